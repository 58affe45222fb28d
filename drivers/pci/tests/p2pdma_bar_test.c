// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the BARs of a PCI device as the DMA mapping code knows them:
 * pcim_p2pdma_init(), pcim_p2pdma_provider(), and what a client is given when it
 * maps a BAR by page or as a resource, on a declared PCI tree (pci_kunit.h).
 *
 *   host ─┬─ 01.0 rp0 ── up ─┬─ 00.0 dn0 ── mem    BAR 0 4 MiB, BAR 2 2 MiB,
 *         │                  │                     BAR 4 I/O ports
 *         │                  └─ 01.0 dn1 ── nic
 *         └─ 02.0 rp1 ── ep
 *
 * Bus addresses are 2 GiB below those of the CPU.  Whether the host bridge
 * forwards is up to the case.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "../p2pdma.h"
#include "../pci_kunit.h"
#include "p2pdma_fabric.h"

#define UNLISTED	0x29c0
#define LISTED		0x2030
#define BUS_OFFSET	SZ_2G
#define ACS_ALL		(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = PCI_VENDOR_ID_INTEL,
	  .device = UNLISTED, .bus_offset = BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .acs = PCI_KUNIT_ACS(ACS_ALL, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_4M }, [2] = { .size = SZ_2M },
		   [4] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .acs = PCI_KUNIT_ACS(ACS_ALL, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ep", "rp1", PCI_KUNIT_ENDPOINT },
};

static struct pci_kunit_tree *bench_of_host(struct kunit *test, u16 device)
{
	struct pci_kunit_node *nodes;

	nodes = kunit_kmalloc(test, sizeof(bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, nodes);
	memcpy(nodes, bench, sizeof(bench));
	nodes[0].device = device;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(bench));
}

static struct device *client(struct kunit *test, struct pci_kunit_tree *tree,
			     const char *name)
{
	struct device *dev = &pci_kunit_dev(tree, name)->dev;

	KUNIT_ASSERT_EQ(test, dma_set_mask(dev, DMA_BIT_MASK(64)), 0);
	return dev;
}

/* Life ---------------------------------------------------------------------- */

static void expect_bars(struct kunit *test, struct pci_dev *pdev)
{
	static const int memory[] = { 0, 2 };
	static const int others[] = { -1, 1, 3, 4, 5, 6, 7 };
	struct p2pdma_provider *mem;
	phys_addr_t inside;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(memory); i++) {
		mem = pcim_p2pdma_provider(pdev, memory[i]);
		KUNIT_ASSERT_NOT_NULL_MSG(test, mem, "BAR %d", memory[i]);
		KUNIT_EXPECT_PTR_EQ(test, mem->owner, &pdev->dev);
		inside = pci_resource_start(pdev, memory[i]) + 7;
		KUNIT_EXPECT_EQ(test, pci_p2pdma_bus_addr_map(mem, inside),
				pci_bus_address(pdev, memory[i]) + 7);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++)
		KUNIT_EXPECT_NULL_MSG(test,
				      pcim_p2pdma_provider(pdev, others[i]),
				      "BAR %d", others[i]);
}

/* BARs without struct pages, a pool, or anything that others find */
static void bars_alone(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct device *nic = client(test, tree, "nic");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	KUNIT_EXPECT_NULL(test, pcim_p2pdma_provider(mem, 0));
	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);
	expect_bars(test, mem);
	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);
	expect_bars(test, mem);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(pcim_p2pdma_provider(mem, 0),
						  nic),
			PCI_P2PDMA_MAP_BUS_ADDR);

	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(nic));

	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_NULL(test, pcim_p2pdma_provider(mem, 0));
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
}

static void memory_after_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct device *nic = client(test, tree, "nic");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem"), *found;
	void *addr;

	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);

	/* The first memory that cannot be registered takes nothing with it */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_4K, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 4, 0, 0), -EINVAL);
	expect_bars(test, mem);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);
	expect_bars(test, mem);
	pci_p2pmem_publish(mem, true);
	found = pci_p2pmem_find(nic);
	KUNIT_EXPECT_PTR_EQ(test, found, mem);
	pci_dev_put(found);
	addr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr) {
		KUNIT_EXPECT_PTR_EQ(test, virt_to_page(addr)->pgmap->owner,
				    (void *)pcim_p2pdma_provider(mem, 0));
		pci_free_p2pmem(mem, addr, SZ_64K);
	}

	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	pci_kunit_bind(tree, "mem");
	KUNIT_EXPECT_EQ(test, pcim_p2pdma_init(mem), 0);
	expect_bars(test, mem);
}

/* The range is taken: it cannot begin, and leaves nothing behind */
static void bar_is_taken(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct pci_dev *other = pci_kunit_dev(tree, "nic");
	struct p2pdma_provider *thief;
	bool registered;

	/* What BAR 2 looks like to the DMA mapping code */
	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);
	thief = kunit_kzalloc(test, sizeof(*thief), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, thief);
	*thief = *pcim_p2pdma_provider(mem, 2);
	thief->owner = &other->dev;
	pci_kunit_unbind(tree, "mem");

	pci_kunit_bind(tree, "mem");
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(thief), 0);
	KUNIT_EXPECT_EQ(test, pcim_p2pdma_init(mem), -EEXIST);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), -EEXIST);
	registered = rcu_access_pointer(mem->p2pdma);
	p2pdma_provider_unregister(thief);
	KUNIT_EXPECT_FALSE(test, registered);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
}

/* A BAR that is assigned, or grows, when the device is a provider already */
static void bar_comes_late(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct resource *parent = mem->resource[2].parent;

	mem->resource[2].parent = NULL;
	mem->resource[0].end -= SZ_2M;
	KUNIT_EXPECT_EQ(test, pcim_p2pdma_init(mem), 0);
	mem->resource[0].end += SZ_2M;
	mem->resource[2].parent = parent;

	KUNIT_EXPECT_NULL(test, pcim_p2pdma_provider(mem, 2));
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
}

/* Clients ------------------------------------------------------------------- */

static void expect_resource(struct kunit *test, struct device *dev,
			    struct pci_dev *mem, int bar, u64 want)
{
	phys_addr_t phys = pci_resource_start(mem, bar) + 256;
	dma_addr_t addr;

	addr = dma_map_resource(dev, phys, SZ_64K, DMA_BIDIRECTIONAL, 0);
	if (dma_mapping_error(dev, addr)) {
		KUNIT_EXPECT_EQ_MSG(test, want, DMA_MAPPING_ERROR, "BAR %d", bar);
		return;
	}
	KUNIT_EXPECT_EQ_MSG(test, addr, want + 256, "BAR %d", bar);
	dma_unmap_resource(dev, addr, SZ_64K, DMA_BIDIRECTIONAL, 0);
}

static void expect_page(struct kunit *test, struct device *dev, void *vaddr,
			u64 want)
{
	dma_addr_t addr;

	addr = dma_map_page(dev, virt_to_page(vaddr), 256, SZ_4K,
			    DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, addr)) {
		KUNIT_EXPECT_EQ(test, want, DMA_MAPPING_ERROR);
		return;
	}
	KUNIT_EXPECT_EQ(test, addr, want + 256);
	dma_unmap_page(dev, addr, SZ_4K, DMA_BIDIRECTIONAL);
}

/* Stock: the address of the CPU, whether it leads there or not */
static void resources_and_pages(struct kunit *test)
{
	static const u16 hosts[] = { LISTED, UNLISTED };
	u64 through_host, on_bus;
	struct pci_kunit_tree *tree;
	struct device *nic, *ep;
	struct pci_dev *mem;
	unsigned int i;
	void *vaddr;

	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		tree = bench_of_host(test, hosts[i]);
		nic = client(test, tree, "nic");
		ep = client(test, tree, "ep");
		mem = pci_kunit_bind(tree, "mem");
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
		vaddr = pci_alloc_p2pmem(mem, SZ_64K);
		KUNIT_ASSERT_NOT_NULL(test, vaddr);

		on_bus = virt_to_phys(vaddr) - BUS_OFFSET;
		through_host = hosts[i] == LISTED ? virt_to_phys(vaddr) :
						    DMA_MAPPING_ERROR;
		expect_page(test, nic, vaddr, on_bus);
		expect_page(test, ep, vaddr, through_host);

		/* A BAR without struct pages, of the same device */
		on_bus = pci_bus_address(mem, 2);
		through_host = hosts[i] == LISTED ? pci_resource_start(mem, 2) :
						    DMA_MAPPING_ERROR;
		expect_resource(test, nic, mem, 2, on_bus);
		expect_resource(test, ep, mem, 2, through_host);
		/* Its own */
		expect_resource(test, &mem->dev, mem, 2, on_bus);

		pci_free_p2pmem(mem, vaddr, SZ_64K);
		pci_kunit_destroy(tree);
	}
}

/* What the DMA mapping code keeps ends with a change that PCI notices */
static void follows_access_control(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_of_host(test, LISTED);
	struct device *nic = client(test, tree, "nic");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct pci_dev *dn1 = pci_kunit_dev(tree, "dn1");
	int where = dn1->acs_cap + PCI_ACS_CTRL;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pcim_p2pdma_init(mem), 0);
	for (i = 0; i < 2; i++) {
		expect_resource(test, nic, mem, 0, pci_bus_address(mem, 0));
		expect_resource(test, nic, mem, 0, pci_bus_address(mem, 0));
		pci_write_config_word(dn1, where, PCI_ACS_RR | PCI_ACS_UF);
		pci_write_config_word(pci_kunit_dev(tree, "dn0"), where,
				      PCI_ACS_UF);
		expect_resource(test, nic, mem, 0, pci_resource_start(mem, 0));
		expect_resource(test, nic, mem, 0, pci_resource_start(mem, 0));
		pci_write_config_word(dn1, where, 0);
	}
}

/*
 * Stock: the CPU copies MMIO to a bounce buffer, or fails without one, if the
 * device is not trusted and a segment does not fill its pages.  What it maps is
 * mapped as ordinary memory.
 */
static void untrusted_behind_iommu(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_of_host(test, LISTED);
	struct device *ep = client(test, tree, "ep");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct scatterlist sg[2];
	struct sg_table sgt = { .sgl = sg, .orig_nents = 2 };
	struct fabric_pte pte;
	unsigned int i;
	void *vaddr;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	fabric_iommu_add(test, ep);
	to_pci_dev(ep)->untrusted = true;
	vaddr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, vaddr);

	sg_init_table(sg, 2);
	sg_set_page(&sg[0], virt_to_page(vaddr), 512, 512);
	sg_set_page(&sg[1], virt_to_page(vaddr + SZ_8K), 1024, 2048);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(ep, &sgt, DMA_BIDIRECTIONAL, 0), 0);
	for (i = 0; i < 2 && sgt.nents == 2; i++) {
		pte = fabric_iommu_lookup(ep, sg_dma_address(&sg[i]));
		KUNIT_EXPECT_EQ(test, pte.phys, page_to_phys(sg_page(&sg[i])));
		KUNIT_EXPECT_EQ(test, offset_in_page(sg_dma_address(&sg[i])),
				sg[i].offset);
		KUNIT_EXPECT_EQ(test, pte.prot,
				IOMMU_MMIO | IOMMU_READ | IOMMU_WRITE);
	}
	if (sgt.nents) {
		dma_sync_sgtable_for_cpu(ep, &sgt, DMA_BIDIRECTIONAL);
		dma_sync_sgtable_for_device(ep, &sgt, DMA_BIDIRECTIONAL);
		dma_unmap_sgtable(ep, &sgt, DMA_BIDIRECTIONAL, 0);
	}
	KUNIT_EXPECT_EQ(test, fabric_iommu_mapped(ep), 0);
	pci_free_p2pmem(mem, vaddr, SZ_64K);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case bar_cases[] = {
	KUNIT_CASE(bars_alone),
	KUNIT_CASE(memory_after_bars),
	KUNIT_CASE(bar_is_taken),
	KUNIT_CASE(bar_comes_late),
	KUNIT_CASE(resources_and_pages),
	KUNIT_CASE(follows_access_control),
	KUNIT_CASE(untrusted_behind_iommu),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite bar_suite = {
	.name = "p2pdma_bar",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = bar_cases,
};

kunit_test_suite(bar_suite);

MODULE_DESCRIPTION("KUnit tests of BARs that other devices may reach");
