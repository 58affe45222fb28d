// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer memory that is mapped by itself: pages, kernel
 * addresses, resources, physical addresses (kernel/dma/p2pdma.c), on a fabric
 * that is not PCI (p2pdma_fabric.h).
 *
 * Stock gave all of these to the device at the CPU's address, whether it leads
 * there or not.  Here a mapping is translated, or it fails: which of both, for
 * each type and with and without an IOMMU, is in a table.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/swiotlb.h>

#include "../pci_kunit.h"
#include "p2pdma_fabric.h"

#define OFFSET		(SZ_2G + SZ_64K)

#define BUS	PCI_P2PDMA_MAP_BUS_ADDR
#define HOST	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE
#define NEVER	PCI_P2PDMA_MAP_NOT_SUPPORTED

/**
 * enum call - by what memory is mapped
 * @CALL_PAGE: dma_map_page()
 * @CALL_SINGLE: dma_map_single()
 * @CALL_RESOURCE: dma_map_resource()
 * @CALL_PHYS_MMIO: dma_map_phys() with %DMA_ATTR_MMIO
 * @CALL_PHYS: dma_map_phys() without
 */
enum call {
	CALL_PAGE,
	CALL_SINGLE,
	CALL_RESOURCE,
	CALL_PHYS_MMIO,
	CALL_PHYS,
};

static dma_addr_t map(enum call call, struct device *dev, phys_addr_t phys,
		      size_t size)
{
	struct page *page = pfn_to_page(PHYS_PFN(phys));

	switch (call) {
	case CALL_PAGE:
		return dma_map_page(dev, page, offset_in_page(phys), size,
				    DMA_FROM_DEVICE);
	case CALL_SINGLE:
		return dma_map_single(dev, page_address(page) +
				      offset_in_page(phys), size,
				      DMA_FROM_DEVICE);
	case CALL_RESOURCE:
		return dma_map_resource(dev, phys, size, DMA_FROM_DEVICE, 0);
	case CALL_PHYS_MMIO:
		return dma_map_phys(dev, phys, size, DMA_FROM_DEVICE,
				    DMA_ATTR_MMIO);
	default:
		return dma_map_phys(dev, phys, size, DMA_FROM_DEVICE, 0);
	}
}

static void unmap(enum call call, struct device *dev, dma_addr_t addr,
		  size_t size)
{
	switch (call) {
	case CALL_PAGE:
		dma_unmap_page(dev, addr, size, DMA_FROM_DEVICE);
		break;
	case CALL_SINGLE:
		dma_unmap_single(dev, addr, size, DMA_FROM_DEVICE);
		break;
	case CALL_RESOURCE:
		dma_unmap_resource(dev, addr, size, DMA_FROM_DEVICE, 0);
		break;
	case CALL_PHYS_MMIO:
		dma_unmap_phys(dev, addr, size, DMA_FROM_DEVICE, DMA_ATTR_MMIO);
		break;
	default:
		dma_unmap_phys(dev, addr, size, DMA_FROM_DEVICE, 0);
		break;
	}
}

/**
 * enum result - what has to come out
 * @REFUSED: an error
 * @AT_BUS: the address on the bus
 * @AT_CPU: the CPU's address
 * @TRANSLATED: an address that the IOMMU translates, as MMIO
 */
enum result {
	REFUSED,
	AT_BUS,
	AT_CPU,
	TRANSLATED,
};

static void expect(struct kunit *test, enum result result, enum call call,
		   struct device *dev, phys_addr_t phys, size_t size)
{
	dma_addr_t addr = map(call, dev, phys, size);
	struct fabric_pte pte;
	size_t done;

	if (result == REFUSED) {
		KUNIT_EXPECT_EQ_MSG(test, addr, DMA_MAPPING_ERROR,
				    "%pap+%#zx", &phys, size);
		KUNIT_EXPECT_TRUE(test, dma_mapping_error(dev, addr));
		if (dev->dma_iommu)
			KUNIT_EXPECT_EQ(test, fabric_iommu_mapped(dev), 0);
		return;
	}

	KUNIT_ASSERT_FALSE_MSG(test, dma_mapping_error(dev, addr), "%pap+%#zx",
			       &phys, size);
	if (result == AT_BUS)
		KUNIT_EXPECT_EQ(test, addr, phys + OFFSET);
	if (result == AT_CPU)
		KUNIT_EXPECT_EQ(test, addr, phys);
	for (done = 0; result == TRANSLATED && done < size; done += PAGE_SIZE) {
		pte = fabric_iommu_lookup(dev, addr + done);
		KUNIT_EXPECT_EQ(test, pte.phys, (phys + done) & PAGE_MASK);
		KUNIT_EXPECT_EQ(test, pte.prot, IOMMU_MMIO | IOMMU_WRITE);
		KUNIT_EXPECT_EQ(test, offset_in_page(addr), offset_in_page(phys));
	}

	if (call != CALL_RESOURCE && call != CALL_PHYS_MMIO) {
		dma_sync_single_for_cpu(dev, addr, size, DMA_FROM_DEVICE);
		dma_sync_single_for_device(dev, addr, size, DMA_FROM_DEVICE);
	}
	unmap(call, dev, addr, size);
	if (dev->dma_iommu)
		KUNIT_EXPECT_EQ(test, fabric_iommu_mapped(dev), 0);
}

/* Every combination --------------------------------------------------------- */

static const struct combination {
	const char			*name;
	bool				iommu;
	enum pci_p2pdma_map_type	type;
	enum result			result;
} combinations[] = {
	{ "direct, bus address", false, BUS, AT_BUS },
	{ "direct, through the host", false, HOST, AT_CPU },
	{ "direct, unreachable", false, NEVER, REFUSED },
	/* An address without a mark could not be told from one of the IOMMU */
	{ "IOMMU, bus address", true, BUS, REFUSED },
	{ "IOMMU, through the host", true, HOST, TRANSLATED },
	{ "IOMMU, unreachable", true, NEVER, REFUSED },
};

KUNIT_ARRAY_PARAM_DESC(combination, combinations, name);

static void every_combination(struct kunit *test)
{
	const struct combination *c = test->param_value;
	struct fabric *fabric = fabric_create(test, c->iommu ? FABRIC_IOMMU : 0,
					      OFFSET);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 1, 5));
	enum call call;

	fabric_set(fabric, 1, 0, c->type);
	for (call = CALL_PAGE; call <= CALL_PHYS; call++) {
		expect(test, c->result, call, dev, phys, SZ_4K);
		expect(test, c->result, call, dev, phys + 512, 1024);
		expect(test, c->result, call, dev, phys + 512, SZ_8K);
		expect(test, c->result, call, dev, phys, SZ_1M);
		expect(test, c->result, call, dev, phys + 77, 1);
	}
}

/* There are no struct pages, hence only the calls that need none */
static void every_combination_without_pages(struct kunit *test)
{
	const struct combination *c = test->param_value;
	struct fabric *fabric = fabric_create(test, FABRIC_NO_PAGES |
					      (c->iommu ? FABRIC_IOMMU : 0),
					      OFFSET);
	struct p2pdma_provider *mem = &fabric->provider[2].mem;
	struct device *dev = fabric_client(fabric, 0);

	fabric_set(fabric, 2, 0, c->type);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(mem, dev), c->type);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(mem, dev), c->type);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_bus_addr_map(mem, mem->range.start + 5),
			mem->range.start + OFFSET + 5);
	expect(test, c->result, CALL_RESOURCE, dev, mem->range.start, SZ_4K);
	expect(test, c->result, CALL_PHYS_MMIO, dev, mem->range.end, 1);
	expect(test, c->result, CALL_PHYS_MMIO, dev, mem->range.start,
	       FABRIC_BYTES);
}

/* Nobody but its clients, as far as the fabric knows */
static void strangers_are_refused(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 0));
	enum call call;

	fabric_set_all(fabric, BUS);
	for (call = CALL_PAGE; call <= CALL_PHYS; call++)
		expect(test, REFUSED, call, &fabric->owner->dev, phys, SZ_4K);
}

/* Resources ----------------------------------------------------------------- */

/* The providers lie between @start and @last, one behind the other */
static void parts_of_providers(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	phys_addr_t start = fabric->provider[0].mem.range.start;
	phys_addr_t second = fabric->provider[1].mem.range.start;
	phys_addr_t end = fabric->provider[2].mem.range.end + 1;
	struct device *dev = fabric_client(fabric, 0);

	fabric_set_all(fabric, BUS);
	expect(test, AT_BUS, CALL_RESOURCE, dev, start, FABRIC_BYTES);
	expect(test, AT_BUS, CALL_RESOURCE, dev, end - 1, 1);

	expect(test, REFUSED, CALL_RESOURCE, dev, start - 1, 2);
	expect(test, REFUSED, CALL_RESOURCE, dev, start - SZ_4K, SZ_8K);
	expect(test, REFUSED, CALL_RESOURCE, dev, end - 1, 2);
	expect(test, REFUSED, CALL_RESOURCE, dev, second - SZ_4K, SZ_8K);
	expect(test, REFUSED, CALL_RESOURCE, dev, start - SZ_4K,
	       end - start + SZ_8K);

	/* What is nobody's is mapped as ever */
	expect(test, AT_CPU, CALL_RESOURCE, dev, start - SZ_4K, SZ_4K);
	expect(test, AT_CPU, CALL_RESOURCE, dev, end, SZ_4K);

	/* And so is what is nobody's any more */
	fabric_unregister(&fabric->provider[2]);
	expect(test, AT_CPU, CALL_RESOURCE, dev, end - SZ_4K, SZ_4K);
}

/* Limits of the client ------------------------------------------------------ */

static void masks(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 9));
	enum call call;

	for (call = CALL_PAGE; call <= CALL_PHYS; call++) {
		fabric_set(fabric, 0, 0, BUS);
		*dev->dma_mask = phys + OFFSET + SZ_4K - 1;
		expect(test, AT_BUS, call, dev, phys, SZ_4K);
		*dev->dma_mask = phys + OFFSET + SZ_4K - 2;
		expect(test, REFUSED, call, dev, phys, SZ_4K);

		fabric_set(fabric, 0, 0, HOST);
		*dev->dma_mask = phys + SZ_4K - 1;
		expect(test, AT_CPU, call, dev, phys, SZ_4K);
		*dev->dma_mask = phys + SZ_4K - 2;
		expect(test, REFUSED, call, dev, phys, SZ_4K);
	}
}

static void check_windows(struct kunit *test, unsigned int flags,
			  enum result result)
{
	struct fabric *fabric = fabric_create(test, flags | FABRIC_WINDOW,
					      OFFSET);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 0));
	enum call call;

	fabric_set(fabric, 0, 0, HOST);
	fabric->provider[0].window_end = SZ_64K;
	for (call = CALL_PAGE; call <= CALL_PHYS; call++) {
		expect(test, result, call, dev, phys + SZ_64K - SZ_4K, SZ_4K);
		expect(test, REFUSED, call, dev, phys + SZ_64K - SZ_4K + 1,
		       SZ_4K);
		expect(test, REFUSED, call, dev, phys + SZ_64K, 1);
	}
}

static void windows(struct kunit *test)
{
	check_windows(test, 0, AT_CPU);
}

static void windows_iommu(struct kunit *test)
{
	check_windows(test, FABRIC_IOMMU, TRANSLATED);
}

/* Bounce buffers ------------------------------------------------------------ */

static void is_not_bounced(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 0));
	enum call call;

	fabric_use_bounce_buffers(test, dev)->force_bounce = true;
	for (call = CALL_PAGE; call <= CALL_PHYS; call++) {
		fabric_set(fabric, 0, 0, HOST);
		expect(test, REFUSED, call, dev, phys + 7, 99);
		fabric_set(fabric, 0, 0, BUS);
		expect(test, AT_BUS, call, dev, phys + 7, 99);
	}
}

/*
 * The address on the bus is that of a bounce buffer to the CPU: unmapping would
 * take it for one, and release it.  A resource is not asked for at unmapping.
 */
static void looks_like_a_bounce_buffer(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 0));
	struct io_tlb_mem *mem = fabric_use_bounce_buffers(test, dev);

	mem->nslabs = 1;
	mem->defpool.start = phys + OFFSET;
	mem->defpool.end = phys + OFFSET + SZ_4K;
	fabric_set(fabric, 0, 0, BUS);
	expect(test, REFUSED, CALL_PAGE, dev, phys, SZ_4K);
	expect(test, REFUSED, CALL_SINGLE, dev, phys + 100, 100);
	expect(test, AT_BUS, CALL_PAGE, dev, phys + SZ_4K, SZ_4K);
	expect(test, AT_BUS, CALL_RESOURCE, dev, phys, SZ_4K);
}

/* Who can at all ------------------------------------------------------------ */

static void direct_can(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct device *dev = fabric_client(fabric, 0);
	u64 *mask = dev->dma_mask;

	KUNIT_EXPECT_TRUE(test, dma_pci_p2pdma_supported(dev));

	/* A device that does no DMA */
	dev->dma_mask = NULL;
	KUNIT_EXPECT_FALSE(test, dma_pci_p2pdma_supported(dev));
	dev->dma_mask = mask;
}

static void iommu_can(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, FABRIC_IOMMU, 0);

	KUNIT_EXPECT_TRUE(test,
			  dma_pci_p2pdma_supported(fabric_client(fabric, 0)));
}

/* Operations of an architecture or of a driver: they map whatever they get */
static dma_addr_t careless_map_page(struct device *dev, struct page *page,
				    unsigned long offset, size_t size,
				    enum dma_data_direction dir,
				    unsigned long attrs)
{
	return page_to_phys(page) + offset;
}

static dma_addr_t careless_map_resource(struct device *dev, phys_addr_t phys,
					size_t size,
					enum dma_data_direction dir,
					unsigned long attrs)
{
	return phys;
}

static int careless_map_sg(struct device *dev, struct scatterlist *sgl,
			   int nents, enum dma_data_direction dir,
			   unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		sg_dma_address(sg) = sg_phys(sg);
		sg_dma_len(sg) = sg->length;
	}

	return nents;
}

static const struct dma_map_ops careless_ops = {
	.map_page	= careless_map_page,
	.map_resource	= careless_map_resource,
	.map_sg		= careless_map_sg,
};

static void others_cannot(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct device *dev = fabric_client(fabric, 0);
	phys_addr_t phys = page_to_phys(fabric_page(fabric, 0, 0));
	void *ram = kunit_kzalloc(test, SZ_512, GFP_KERNEL);
	struct scatterlist sg[2];
	struct sg_table sgt = { .sgl = sg, .orig_nents = 2 };
	enum call call;

	KUNIT_ASSERT_NOT_NULL(test, ram);

	if (!IS_ENABLED(CONFIG_ARCH_HAS_DMA_OPS))
		kunit_skip(test, "there are no others in this kernel");

	fabric_set(fabric, 0, 0, BUS);
	set_dma_ops(dev, &careless_ops);
	KUNIT_EXPECT_FALSE(test, dma_pci_p2pdma_supported(dev));
	for (call = CALL_PAGE; call <= CALL_PHYS; call++)
		expect(test, REFUSED, call, dev, phys, SZ_4K);

	/* Wherever in the list it is; without it they are left to themselves */
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], ram, SZ_512);
	sg_set_page(&sg[1], fabric_page(fabric, 0, 0), SZ_4K, 0);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(dev, &sgt, DMA_FROM_DEVICE, 0),
			-EREMOTEIO);
	KUNIT_EXPECT_EQ(test, dma_map_sg(dev, &sg[1], 1, DMA_FROM_DEVICE), 0);
	KUNIT_EXPECT_EQ(test, dma_map_sg(dev, sg, 1, DMA_FROM_DEVICE), 1);
	dma_unmap_sg(dev, sg, 1, DMA_FROM_DEVICE);
	set_dma_ops(dev, NULL);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case single_cases[] = {
	KUNIT_CASE_PARAM(every_combination, combination_gen_params),
	KUNIT_CASE_PARAM(every_combination_without_pages,
			 combination_gen_params),
	KUNIT_CASE(strangers_are_refused),
	KUNIT_CASE(parts_of_providers),
	KUNIT_CASE(masks),
	KUNIT_CASE(windows),
	KUNIT_CASE(windows_iommu),
	KUNIT_CASE(is_not_bounced),
	KUNIT_CASE(looks_like_a_bounce_buffer),
	KUNIT_CASE(direct_can),
	KUNIT_CASE(iommu_can),
	KUNIT_CASE(others_cannot),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite single_suite = {
	.name = "p2pdma_single",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = single_cases,
};

kunit_test_suite(single_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer memory that is mapped by itself");
