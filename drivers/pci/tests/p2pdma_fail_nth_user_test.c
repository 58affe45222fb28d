// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA when memory is short: what programs have, and
 * the drivers that import it; and what is mapped by an IOMMU.
 *
 * Each allocation inside a call fails in turn, until none does (p2pdma_fault.c):
 * mapping p2pmem/allocate and touching what was mapped, a file descriptor from
 * the device node, attaching to a dma-buf and mapping it, and scatterlists and
 * MMIO behind the IOMMU of a fabric that is not PCI (p2pdma_fabric.h); and what an
 * administrator writes: parameters, the name of a provider, what p2pmem-pci is to
 * be bound to, and what it is to offer, as memory or as a disk.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bio.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../p2pdma.h"
#include "../p2pdma_buffer.h"
#include "p2pdma_fabric.h"
#include "p2pdma_fault.h"
#include "p2pdma_test.h"

MODULE_IMPORT_NS(DMA_BUF);

#define GENERIC		"p2pmem-pci"

#define PAGES		(FAULT_MEMORY / PAGE_SIZE)

/* Memory of processes ------------------------------------------------------- */

/* Every other page is somebody else's */
static void prepare_fragments(struct fault_bench *b)
{
	unsigned int i;

	fault_provide(b);
	if (!b->held)
		b->held = kunit_kcalloc(b->test, PAGES, sizeof(*b->held),
					GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(b->test, b->held);
	for (i = 0; i < PAGES; i++)
		b->held[i] = pci_alloc_p2pmem(b->mem, PAGE_SIZE);
	for (i = 0; i < PAGES; i++) {
		if (!b->held[i] || PFN_DOWN(virt_to_phys(b->held[i])) % 2)
			continue;
		pci_free_p2pmem(b->mem, b->held[i], PAGE_SIZE);
		b->held[i] = NULL;
	}
}

static void finish_fragments(struct fault_bench *b)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		if (b->held[i])
			pci_free_p2pmem(b->mem, b->held[i], PAGE_SIZE);
	fault_provide_no_more(b);
}

static int call_buffer(struct fault_bench *b)
{
	b->dmabuf = p2pdma_dmabuf_create(fault_provider(b), SZ_1M, O_RDWR, false);
	return PTR_ERR_OR_ZERO(b->dmabuf);
}

static void undo_buffer(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, p2pdma_pool_available(&fault_provider(b)->pool),
			FAULT_MEMORY / (b->held ? 2 : 1) - SZ_1M);
	dma_buf_put(b->dmabuf);
}

static void open_file(struct fault_bench *b, const char *name)
{
	char *dir = kobject_get_path(&b->mem->dev.kobj, GFP_KERNEL);
	char *path = kasprintf(GFP_KERNEL, "%s/%s", dir, name);

	kfree(dir);
	KUNIT_ASSERT_NOT_NULL(b->test, path);
	b->file = file_open_root_mnt(b->test->priv, path, O_RDWR, 0);
	kfree(path);
	KUNIT_ASSERT_FALSE(b->test, IS_ERR(b->file));
}

static void prepare_mmap(struct fault_bench *b)
{
	fault_provide(b);
	open_file(b, "p2pmem/allocate");
}

static int call_map_file(struct fault_bench *b)
{
	/* Not of a size that large entries map alone */
	b->addr = vm_mmap(b->file, 0, SZ_2M + SZ_64K, PROT_READ | PROT_WRITE,
			  MAP_SHARED, 0);
	return IS_ERR_VALUE(b->addr) ? b->addr : 0;
}

static void undo_map_file(struct fault_bench *b)
{
	vm_munmap(b->addr, SZ_2M + SZ_64K);
}

/* As I/O does it, at both ends; what was mapped goes if that fails */
static int call_touch(struct fault_bench *b)
{
	unsigned long at[] = { 0, SZ_2M + SZ_32K };
	int error = call_map_file(b);
	struct page *page;
	unsigned int i;

	for (i = 0; !error && i < ARRAY_SIZE(at); i++) {
		error = pin_user_pages_fast(b->addr + at[i], 1,
					    FOLL_WRITE | FOLL_PCI_P2PDMA, &page);
		if (error == 1) {
			unpin_user_page(page);
			error = 0;
		} else {
			undo_map_file(b);
		}
	}
	return error;
}

static void finish_mmap(struct fault_bench *b)
{
	p2p_close(b->file);
	fault_provide_no_more(b);
}

static void prepare_node(struct fault_bench *b)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want),
		.fd_flags = O_RDWR | O_CLOEXEC,
		.length = SZ_1M,
	};

	fault_provide(b);
	b->file = p2p_open_memory(b->test, b->mem);
	KUNIT_ASSERT_EQ(b->test, copy_to_user(b->user, &want, sizeof(want)), 0);
}

static int call_node(struct fault_bench *b)
{
	b->fd = vfs_ioctl(b->file, PCI_P2PDMA_IOC_ALLOC,
			  (unsigned long)b->user);
	return min(b->fd, 0);
}

static void undo_node(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, close_fd(b->fd), 0);
}

static void finish_node(struct fault_bench *b)
{
	kunit_release_action(b->test, p2p_close, b->file);
	fault_provide_no_more(b);
}

/* What an administrator writes ---------------------------------------------- */

/* Write to a file that is open already: only the writing is to fail */
static int tell(struct file *file, const char *text)
{
	ssize_t len = strlen(text), done;
	loff_t pos = 0;

	done = kernel_write(file, text, len, &pos);
	return done == len ? 0 : done < 0 ? (int)done : -EIO;
}

static void prepare_hosts(struct fault_bench *b)
{
	fault_provide(b);
	b->file = p2p_open(b->test, b->test->priv, HOST_BRIDGES, O_WRONLY);
}

/* All or nothing of it is allowed */
static int call_hosts(struct fault_bench *b)
{
	return tell(b->file, "8086:29c0,10de:*,1022:1480@same");
}

static void undo_hosts(struct fault_bench *b)
{
	KUNIT_EXPECT_GT(b->test, pci_p2pdma_distance(b->mem, &b->far->dev, false),
			0);
	KUNIT_EXPECT_EQ(b->test, p2p_allow(b->test, "none"), 0);
	KUNIT_EXPECT_LT(b->test, pci_p2pdma_distance(b->mem, &b->far->dev, false),
			0);
}

static void finish_hosts(struct fault_bench *b)
{
	kunit_release_action(b->test, p2p_close, b->file);
	KUNIT_EXPECT_EQ(b->test, p2p_allow(b->test, "none"), 0);
	fault_provide_no_more(b);
}

static void prepare_choice(struct fault_bench *b)
{
	fault_provide(b);
	pci_p2pmem_publish(b->mem, true);
}

/* As the attribute p2pmem of the NVMe target does */
static int call_choice(struct fault_bench *b)
{
	struct pci_dev *chosen = NULL;
	bool enabled = false;
	int error;

	error = pci_p2pdma_enable_store(pci_name(b->mem), &chosen, &enabled);
	if (!error && (!enabled || chosen != b->mem))
		error = -ENODEV;
	pci_dev_put(chosen);
	return error;
}

static void set_override(struct fault_bench *b, const char *driver)
{
	open_file(b, "driver_override");
	KUNIT_EXPECT_EQ(b->test, tell(b->file, driver), 0);
	p2p_close(b->file);
}

/* The generic driver in place of the one that does nothing */
static void bind_generic(struct fault_bench *b)
{
	struct device_driver *driver = driver_find(GENERIC, &pci_bus_type);

	KUNIT_ASSERT_NOT_NULL(b->test, driver);
	set_override(b, GENERIC);
	KUNIT_ASSERT_EQ(b->test, device_driver_attach(driver, &b->mem->dev), 0);
	open_file(b, "p2pmem_pci/offer");
}

static void unbind_generic(struct fault_bench *b)
{
	p2p_close(b->file);
	device_release_driver(&b->mem->dev);
}

static void prepare_bind(struct fault_bench *b)
{
	if (!IS_BUILTIN(CONFIG_PCI_P2PMEM_PCI))
		kunit_skip(b->test, "needs CONFIG_PCI_P2PMEM_PCI=y");
	pci_kunit_unbind(b->tree, "mem");
	set_override(b, GENERIC);
}

static int call_bind(struct fault_bench *b)
{
	return device_driver_attach(driver_find(GENERIC, &pci_bus_type),
				    &b->mem->dev);
}

static void undo_bind(struct fault_bench *b)
{
	KUNIT_EXPECT_NOT_NULL(b->test, b->mem->dev.driver);
	device_release_driver(&b->mem->dev);
}

static void finish_bind(struct fault_bench *b)
{
	set_override(b, "\n");
	pci_kunit_bind(b->tree, "mem");
}

static void prepare_offer(struct fault_bench *b)
{
	prepare_bind(b);
	bind_generic(b);
}

static int call_offer(struct fault_bench *b)
{
	return tell(b->file, "bar=0 offset=0x200000");
}

/* An offer cannot be withdrawn alone */
static void undo_offer(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, p2pdma_pool_size(&fault_provider(b)->pool),
			FAULT_MEMORY - SZ_2M);
	unbind_generic(b);
	bind_generic(b);
}

static void finish_offer(struct fault_bench *b)
{
	unbind_generic(b);
	finish_bind(b);
}

/*
 * Disks share the slab cache of their bios.  Have one before: where none can be made,
 * the base forgets the name of what sysfs was to show of it.
 */
static struct bio_set disk_bios;

static int call_disk(struct fault_bench *b)
{
	int error = tell(b->file, "bar=0 offset=0x200000 block");

	/* So the driver core says that a disk has no name, for want of memory */
	return error == -EINVAL ? -ENOMEM : error;
}

static void undo_disk(struct fault_bench *b)
{
	KUNIT_EXPECT_NULL(b->test, fault_provider(b));
	/* Numbers of disks that could not be made are not lost */
	KUNIT_EXPECT_NE(b->test, p2p_dev(b->test, "class/block/p2pmem0/dev"), 0);
	unbind_generic(b);
	bind_generic(b);
}

static void prepare_disk(struct fault_bench *b)
{
	if (!IS_ENABLED(CONFIG_BLOCK))
		kunit_skip(b->test, "needs CONFIG_BLOCK");
	KUNIT_ASSERT_EQ(b->test, bioset_init(&disk_bios, 1, 0, 0), 0);
	prepare_offer(b);

	/* Page tables of the mapping stay: each call allocates as many times */
	KUNIT_ASSERT_EQ(b->test, call_disk(b), 0);
	undo_disk(b);
}

static void finish_disk(struct fault_bench *b)
{
	finish_offer(b);
	if (IS_ENABLED(CONFIG_BLOCK))
		bioset_exit(&disk_bios);
}

/* Importers ----------------------------------------------------------------- */

static void let_go(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.move_notify = let_go,
};

static void prepare_buffer(struct fault_bench *b)
{
	prepare_fragments(b);
	KUNIT_ASSERT_EQ(b->test, call_buffer(b), 0);
}

static int call_attach(struct fault_bench *b)
{
	b->attach = dma_buf_dynamic_attach(b->dmabuf, &b->nic->dev,
					   &importer_ops, b);
	return PTR_ERR_OR_ZERO(b->attach);
}

static void undo_attach(struct fault_bench *b)
{
	dma_buf_detach(b->dmabuf, b->attach);
}

static void finish_buffer(struct fault_bench *b)
{
	undo_buffer(b);
	fault_settle();
	finish_fragments(b);
}

static void prepare_import(struct fault_bench *b)
{
	prepare_buffer(b);
	KUNIT_ASSERT_EQ(b->test, call_attach(b), 0);
}

static int call_import(struct fault_bench *b)
{
	b->sgt = dma_buf_map_attachment_unlocked(b->attach, DMA_BIDIRECTIONAL);
	return PTR_ERR_OR_ZERO(b->sgt);
}

static void undo_import(struct fault_bench *b)
{
	struct scatterlist *sg;
	unsigned int i;
	u64 phys;

	for_each_sgtable_dma_sg(b->sgt, sg, i) {
		phys = sg_dma_address(sg) + FAULT_BUS_OFFSET;
		KUNIT_EXPECT_GE(b->test, phys, pci_resource_start(b->mem, 0));
		KUNIT_EXPECT_LE(b->test, phys + sg_dma_len(sg) - 1,
				pci_resource_end(b->mem, 0));
	}
	dma_buf_unmap_attachment_unlocked(b->attach, b->sgt, DMA_BIDIRECTIONAL);
}

static void finish_import(struct fault_bench *b)
{
	undo_attach(b);
	finish_buffer(b);
}

/* Behind an IOMMU ----------------------------------------------------------- */

static void prepare_register(struct fault_bench *b)
{
	fabric_unregister(&b->fabric->provider[2]);
}

static int call_register(struct fault_bench *b)
{
	return p2pdma_provider_register(&b->fabric->provider[2].mem);
}

static void undo_register(struct fault_bench *b)
{
	p2pdma_provider_unregister(&b->fabric->provider[2].mem);
}

/* One provider is reached directly, the other one through the IOMMU */
static void prepare_table(struct fault_bench *b)
{
	struct scatterlist *sg;
	unsigned int i;

	fabric_set(b->fabric, 0, 0, PCI_P2PDMA_MAP_BUS_ADDR);
	fabric_set(b->fabric, 1, 0, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE);
	KUNIT_ASSERT_EQ(b->test, sg_alloc_table(&b->table, 16, GFP_KERNEL), 0);
	for_each_sgtable_sg(&b->table, sg, i)
		sg_set_page(sg, fabric_page(b->fabric, i % 2, 3 * i), SZ_8K, 0);
}

static int call_table(struct fault_bench *b)
{
	/* Verdicts are asked for again */
	p2pdma_routes_changed();
	return dma_map_sgtable(fabric_client(b->fabric, 0), &b->table,
			       DMA_BIDIRECTIONAL, 0);
}

static void undo_table(struct fault_bench *b)
{
	dma_unmap_sgtable(fabric_client(b->fabric, 0), &b->table,
			  DMA_BIDIRECTIONAL, 0);
}

static void finish_table(struct fault_bench *b)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(&b->table, sg, i) {
		KUNIT_EXPECT_FALSE(b->test, sg_dma_is_bus_address(sg));
		KUNIT_EXPECT_EQ(b->test, sg->length, SZ_8K);
	}
	sg_free_table(&b->table);
}

static void prepare_resource(struct fault_bench *b)
{
	fabric_set(b->fabric, 1, 0, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE);
}

static int call_resource(struct fault_bench *b)
{
	struct device *dev = fabric_client(b->fabric, 0);

	p2pdma_routes_changed();
	b->dma = dma_map_resource(dev, page_to_phys(fabric_page(b->fabric, 1, 5)),
				  SZ_64K, DMA_BIDIRECTIONAL, 0);
	return dma_mapping_error(dev, b->dma);
}

static void undo_resource(struct fault_bench *b)
{
	dma_unmap_resource(fabric_client(b->fabric, 0), b->dma, SZ_64K,
			   DMA_BIDIRECTIONAL, 0);
}

static const struct fault_entry entries[] = {
	{ "buffer", .prepare = fault_provide, .call = call_buffer,
	  .undo = undo_buffer, .finish = fault_provide_no_more, .least = 5 },
	{ "buffer of fragments", .prepare = prepare_fragments,
	  .call = call_buffer, .undo = undo_buffer,
	  .finish = finish_fragments, .least = 6 },
	{ "mmap", .prepare = prepare_mmap, .call = call_map_file,
	  .undo = undo_map_file, .finish = finish_mmap, .least = 6 },
	{ "mmap and touch", .prepare = prepare_mmap, .call = call_touch,
	  .undo = undo_map_file, .finish = finish_mmap, .least = 8 },
	{ "file descriptor", .prepare = prepare_node, .call = call_node,
	  .undo = undo_node, .finish = finish_node, .least = 5 },
	{ "host_bridges", .prepare = prepare_hosts, .call = call_hosts,
	  .undo = undo_hosts, .finish = finish_hosts, .least = 1 },
	{ "choice by name", .prepare = prepare_choice, .call = call_choice,
	  .finish = fault_provide_no_more },
	{ "offer of any BAR", .prepare = prepare_offer, .call = call_offer,
	  .undo = undo_offer, .finish = finish_offer, .least = 20 },
	{ "bind to any BAR", .prepare = prepare_bind, .call = call_bind,
	  .undo = undo_bind, .finish = finish_bind, .least = 10 },
	{ "offer of a disk", .prepare = prepare_disk, .call = call_disk,
	  .undo = undo_disk, .finish = finish_disk, .least = 40,
	  .own = 100 },
	{ "attach", .prepare = prepare_buffer, .call = call_attach,
	  .undo = undo_attach, .finish = finish_buffer, .least = 1 },
	{ "import", .prepare = prepare_import, .call = call_import,
	  .undo = undo_import, .finish = finish_import, .least = 2 },
	{ "register", true, .prepare = prepare_register,
	  .call = call_register, .undo = undo_register, .least = 1 },
	{ "map list by an IOMMU", true, .prepare = prepare_table,
	  .call = call_table, .undo = undo_table, .finish = finish_table,
	  .least = 1 },
	{ "map resource by an IOMMU", true, .prepare = prepare_resource,
	  .call = call_resource, .undo = undo_resource, .least = 1 },
};

KUNIT_ARRAY_PARAM(entry, entries, fault_entry_name);

static struct kunit_case p2pdma_fail_nth_user_cases[] = {
	KUNIT_CASE_PARAM_ATTR(fault_each, entry_gen_params,
			      {.speed = KUNIT_SPEED_SLOW}),
	KUNIT_CASE_SLOW(fault_nothing_leaked),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fail_nth_user_suite = {
	.name = "p2pdma_fail_nth_user",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fail_nth_user_cases,
};

kunit_test_suite(p2pdma_fail_nth_user_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer memory of programs when memory is short");
MODULE_LICENSE("GPL");
