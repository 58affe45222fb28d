// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the peer-to-peer memory that user space holds
 * (p2pdma_buffer.c, p2pdma_dmabuf.c): how it is mapped, what importers of the
 * dma-buf are told, and that every page comes home, whoever lets go of it last.
 *
 * The devices are those of a declared PCI tree (pci_kunit.h).  Their BARs have
 * addresses, the kernel makes struct pages for them, and nothing answers there:
 * no case looks at what is in the memory.
 *
 *   host ─┬─ 01.0 rp0 ── up ─┬─ 00.0 dn0 ── mem   BAR 0 8 MiB
 *         │                  └─ 01.0 dn1 ── nic
 *         └─ 02.0 rp1 ── far
 *
 * Bus addresses are 2 GiB below those of the CPU, so that one taken for the
 * other is seen.  The host bridge is not known to forward: "far" cannot reach
 * "mem".
 *
 * A page is touched, as far as page tables are concerned, by pinning it.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "../p2pdma.h"
#include "../p2pdma_buffer.h"
#include "../p2pdma_fast.h"
#include "../pci_kunit.h"

MODULE_IMPORT_NS(DMA_BUF);

#define BUS_OFFSET	SZ_2G
#define ALL		SZ_8M

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = PCI_VENDOR_ID_INTEL,
	  .device = 0x29c0, .bus_offset = BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .bar = { { .size = ALL } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .acs = PCI_KUNIT_ACS(PCI_ACS_RR | PCI_ACS_CR, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "far", "rp1", PCI_KUNIT_ENDPOINT },
};

static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree)
{
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	return mem;
}

static struct pci_p2pdma *provider(struct pci_dev *pdev)
{
	return rcu_access_pointer(pdev->p2pdma);
}

static size_t available(struct pci_dev *pdev)
{
	return p2pdma_pool_available(&provider(pdev)->pool);
}

/* Is all memory there again, and in one piece? */
static void expect_whole(struct kunit *test, struct pci_dev *pdev)
{
	void *addr;

	KUNIT_EXPECT_EQ(test, available(pdev), ALL);
	addr = pci_alloc_p2pmem(pdev, ALL);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr)
		pci_free_p2pmem(pdev, addr, ALL);
}

/* The last reference to a file may be dropped by a worker */
static void put(struct dma_buf *dmabuf)
{
	dma_buf_put(dmabuf);
	flush_delayed_fput();
}

static void put_at_end(void *dmabuf)
{
	put(dmabuf);
}

/* A buffer that the end of the test drops, if the test has not */
static struct dma_buf *get_buffer(struct kunit *test, struct pci_dev *pdev,
				  size_t size, bool for_mappings)
{
	struct dma_buf *dmabuf;

	dmabuf = p2pdma_dmabuf_create(provider(pdev), size, O_RDWR,
				      for_mappings);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(dmabuf), "%pe", dmabuf);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_at_end,
							dmabuf), 0);
	return dmabuf;
}

static void drop_buffer(struct kunit *test, struct dma_buf *dmabuf)
{
	kunit_release_action(test, put_at_end, dmabuf);
}

static unsigned long map(struct kunit *test, struct dma_buf *dmabuf,
			 unsigned long at, unsigned long len,
			 unsigned long offset)
{
	unsigned long flags = MAP_SHARED | (at ? MAP_FIXED : 0), addr;

	addr = kunit_vm_mmap(test, dmabuf->file, at, len,
			     PROT_READ | PROT_WRITE, flags, offset);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", (long)addr);
	return addr;
}

/* As p2pmem/allocate does: the mapping is the only holder */
static unsigned long map_alone_at(struct kunit *test, struct pci_dev *pdev,
				  unsigned long at, unsigned long len)
{
	struct dma_buf *dmabuf = get_buffer(test, pdev, len, true);
	unsigned long addr = map(test, dmabuf, at, len, 0);

	drop_buffer(test, dmabuf);
	return addr;
}

static unsigned long map_alone(struct kunit *test, struct pci_dev *pdev,
			       unsigned long len)
{
	return map_alone_at(test, pdev, 0, len);
}

/* Addresses that are free, from one on that suits a large entry */
static unsigned long find_room(struct kunit *test)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, SZ_16M, PROT_READ,
					   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	vm_munmap(addr, SZ_16M);
	return ALIGN(addr, SZ_2M);
}

static void unmap(unsigned long addr, unsigned long len)
{
	vm_munmap(addr, len);
	flush_delayed_fput();
}

static int pin(unsigned long addr, int nr, struct page **pages)
{
	return pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_PCI_P2PDMA,
				   pages);
}

/* The page that is mapped at @addr, or NULL */
static struct page *look(unsigned long addr)
{
	struct page *page;

	if (pin(addr, 1, &page) != 1)
		return NULL;
	unpin_user_page(page);
	return page;
}

static pmd_t pmd_at(unsigned long addr)
{
	pgd_t *pgd = pgd_offset(current->mm, addr);
	p4d_t *p4d = pgd_none(*pgd) ? NULL : p4d_offset(pgd, addr);
	pud_t *pud = !p4d || p4d_none(*p4d) ? NULL : pud_offset(p4d, addr);

	return !pud || pud_none(*pud) ? __pmd(0) :
					pmdp_get(pmd_offset(pud, addr));
}

static bool is_large(unsigned long addr)
{
	return pmd_devmap(pmd_at(addr));
}

/* Mappings ------------------------------------------------------------------ */

static void one_access_maps_all_that_is_large(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr, at;
	struct page *first;

	addr = map_alone(test, mem, SZ_4M + SZ_2M);
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(addr, SZ_2M));
	KUNIT_EXPECT_EQ(test, available(mem), SZ_2M);
	for (at = addr; at < addr + SZ_4M + SZ_2M; at += SZ_2M)
		KUNIT_EXPECT_TRUE(test, pmd_none(pmd_at(at)));

	/* Somewhere in the middle */
	first = look(addr + SZ_2M + 7 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, first);
	for (at = addr; at < addr + SZ_4M + SZ_2M; at += SZ_2M)
		KUNIT_EXPECT_TRUE(test, is_large(at));

	/* Every page is where it should be, and nobody holds it */
	for (at = addr; at < addr + SZ_4M; at += PAGE_SIZE) {
		struct page *page = look(at);

		KUNIT_ASSERT_PTR_EQ(test, page, first - SZ_2M / PAGE_SIZE - 7 +
				    (at - addr) / PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, page_ref_count(page), 1);
	}

	unmap(addr, SZ_4M + SZ_2M);
	expect_whole(test, mem);
}

static void the_rest_is_small(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_2M + 3 * PAGE_SIZE,
					    false);
	unsigned long addr = find_room(test);
	unsigned long wrong;

	/* More than the buffer is refused, and what a process would own */
	wrong = kunit_vm_mmap(test, dmabuf->file, 0, SZ_4M, PROT_READ,
			      MAP_SHARED, 0);
	KUNIT_EXPECT_EQ(test, (long)wrong, -EINVAL);
	wrong = kunit_vm_mmap(test, dmabuf->file, 0, SZ_2M, PROT_READ,
			      MAP_PRIVATE, 0);
	KUNIT_EXPECT_EQ(test, (long)wrong, -EINVAL);

	addr = map(test, dmabuf, addr, SZ_2M + 3 * PAGE_SIZE, 0);
	KUNIT_EXPECT_NOT_NULL(test, look(addr + SZ_2M + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, is_large(addr + SZ_2M));
	KUNIT_EXPECT_NOT_NULL(test, look(addr));
	KUNIT_EXPECT_TRUE(test, is_large(addr));
	unmap(addr, SZ_2M + 3 * PAGE_SIZE);

	/* Not aligned, with nothing large in it; the same pages all the same */
	addr = map(test, dmabuf, addr + PAGE_SIZE, SZ_2M, PAGE_SIZE);
	KUNIT_EXPECT_NOT_NULL(test, look(addr));
	KUNIT_EXPECT_NOT_NULL(test, look(addr + SZ_2M - PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, is_large(addr));
	KUNIT_EXPECT_FALSE(test, is_large(addr + SZ_2M - PAGE_SIZE));
	unmap(addr, SZ_2M);

	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* Two mappings of one buffer show the same pages, at whatever alignment */
static void mapped_twice(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_4M, false);
	unsigned long a, b, at;

	a = map(test, dmabuf, 0, SZ_4M, 0);
	b = map(test, dmabuf, 0, SZ_4M - PAGE_SIZE, PAGE_SIZE);
	for (at = PAGE_SIZE; at < SZ_4M; at += PAGE_SIZE)
		KUNIT_ASSERT_PTR_EQ(test, look(a + at),
				    look(b + at - PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_large(a));

	/* The descriptor keeps what nobody maps */
	unmap(a, SZ_4M);
	unmap(b, SZ_4M - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_4M);
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* What is unmapped goes back, and nothing else, wherever it was cut */
static void unmapped_piece_by_piece(struct kunit *test)
{
	static const struct {
		unsigned long first;
		unsigned long pages;
	} holes[] = {
		{ 700, 1 }, { 0, 1 }, { 1023, 1 }, { 512, 100 }, { 400, 112 },
		{ 701, 99 }, { 699, 1 }, { 1, 300 }, { 800, 223 }, { 301, 99 },
		{ 612, 87 },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr = map_alone(test, mem, SZ_4M), at, n, gone = 0;
	DECLARE_BITMAP(hole, 1024) = {};
	struct page *first = look(addr);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, first);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		unmap(addr + holes[i].first * PAGE_SIZE,
		      holes[i].pages * PAGE_SIZE);
		bitmap_set(hole, holes[i].first, holes[i].pages);
		gone += holes[i].pages;
		KUNIT_ASSERT_EQ_MSG(test, available(mem),
				    ALL - SZ_4M + gone * PAGE_SIZE, "hole %u",
				    i);
		for (n = 0; n < 1024; n += 1 + n % 5) {
			at = addr + n * PAGE_SIZE;
			KUNIT_ASSERT_PTR_EQ_MSG(test, look(at),
						test_bit(n, hole) ? NULL :
								    first + n,
						"hole %u, page %lu", i, n);
		}
	}

	KUNIT_EXPECT_EQ(test, gone, 1024);
	expect_whole(test, mem);
}

/* A page that two mappings show goes back with the second */
static void goes_back_with_the_last_mapping(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_4M, true);
	unsigned long a = map(test, dmabuf, 0, SZ_4M, 0);
	unsigned long b = map(test, dmabuf, 0, SZ_1M, SZ_1M);
	unsigned long c = map(test, dmabuf, 0, SZ_2M, SZ_1M + SZ_512K);

	unmap(a, SZ_4M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_2M - SZ_512K);
	KUNIT_EXPECT_NOT_NULL(test, look(b));
	unmap(b, SZ_1M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_2M);
	KUNIT_EXPECT_NOT_NULL(test, look(c));

	/* What is gone stays gone */
	a = map(test, dmabuf, 0, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_2M);
	KUNIT_EXPECT_NULL(test, look(a));
	KUNIT_EXPECT_PTR_EQ(test, look(a + SZ_2M), look(c + SZ_512K));
	unmap(c, SZ_2M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_2M);
	unmap(a, SZ_4M);
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* I/O in flight keeps its pages, and no other ones */
static void pinned_pages_come_home_later(struct kunit *test)
{
	static const unsigned long pinned[] = { 0, 3, 511, 512, 700, 1023 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr = map_alone(test, mem, SZ_4M);
	struct page *pages[ARRAY_SIZE(pinned)];
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		KUNIT_ASSERT_EQ(test, pin(addr + pinned[i] * PAGE_SIZE, 1,
					  &pages[i]), 1);
	KUNIT_EXPECT_TRUE(test, is_large(addr));

	/* In two steps, so that runs of pages with and without pins are cut */
	unmap(addr + SZ_1M, SZ_1M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_4M + SZ_1M - PAGE_SIZE);
	unmap(addr, SZ_4M);
	for (i = 0; i < ARRAY_SIZE(pinned); i++) {
		n = ARRAY_SIZE(pinned) - i;
		KUNIT_EXPECT_EQ(test, available(mem), ALL - n * PAGE_SIZE);
		KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, ALL));
		unpin_user_page(pages[i]);
		KUNIT_EXPECT_EQ(test, page_ref_count(pages[i]), 1);
	}
	expect_whole(test, mem);
}

/* Neither the first nor the last of what is unmapped, which are always looked at */
static void pinned_in_the_middle(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr = map_alone(test, mem, SZ_4M);
	struct page *page;

	KUNIT_ASSERT_EQ(test, pin(addr + SZ_1M, 1, &page), 1);
	unmap(addr, SZ_4M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, ALL));
	unpin_user_page(page);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	expect_whole(test, mem);
}

/* Every other page is somebody else's: no two neighbours, nothing large */
static void mapped_from_fragments(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	enum { PAGES = ALL / PAGE_SIZE };
	struct p2pdma_pool *pool = &provider(mem)->pool;
	unsigned long addr, at;
	struct page *page;
	void **held;
	int i;

	held = kunit_kcalloc(test, PAGES, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);
	for (i = 0; i < PAGES; i++)
		held[i] = p2pdma_pool_alloc(pool, PAGE_SIZE);
	for (i = 0; i < PAGES; i++)
		if (held[i] && PFN_DOWN(virt_to_phys(held[i])) % 2)
			p2pdma_pool_free(pool, held[i], PAGE_SIZE);

	addr = map_alone(test, mem, SZ_2M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL / 2 - SZ_2M);
	for (at = addr; at < addr + SZ_2M; at += PAGE_SIZE) {
		page = look(at);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_ASSERT_EQ(test, page_to_pfn(page) % 2, 1);
	}
	KUNIT_EXPECT_FALSE(test, is_large(addr));

	unmap(addr + SZ_64K, SZ_1M);
	KUNIT_EXPECT_EQ(test, available(mem), ALL / 2 - SZ_1M);
	KUNIT_EXPECT_NULL(test, look(addr + SZ_64K));
	KUNIT_EXPECT_NOT_NULL(test, look(addr + SZ_64K - PAGE_SIZE));
	unmap(addr, SZ_2M);
	for (i = 0; i < PAGES; i++)
		if (held[i] && !(PFN_DOWN(virt_to_phys(held[i])) % 2))
			p2pdma_pool_free(pool, held[i], PAGE_SIZE);
	expect_whole(test, mem);
}

/* One small allocation in the way costs no more than the 2 MiB that it is in */
static void large_where_there_is_room(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	void *small = pci_alloc_p2pmem(mem, PAGE_SIZE);
	unsigned long addr, at;

	KUNIT_ASSERT_NOT_NULL(test, small);
	addr = map_alone_at(test, mem, find_room(test), ALL - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, available(mem), 0);
	KUNIT_EXPECT_NOT_NULL(test, look(addr + ALL - 2 * PAGE_SIZE));
	KUNIT_EXPECT_NOT_NULL(test, look(addr));
	for (at = addr; at < addr + ALL - SZ_2M; at += SZ_2M)
		KUNIT_EXPECT_TRUE(test, is_large(at));
	KUNIT_EXPECT_FALSE(test, is_large(at));
	unmap(addr, ALL - PAGE_SIZE);
	pci_free_p2pmem(mem, small, PAGE_SIZE);
	expect_whole(test, mem);
}

/* How a page is mapped for the process */
static enum page_cache_mode cache_mode(unsigned long addr)
{
	pmd_t pmd = pmd_at(addr);

	return pgprot2cachemode(pgprot_large_2_4k(__pgprot(pmd_flags(pmd))));
}

static void never_cached(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr = map_alone(test, mem, SZ_2M);

	KUNIT_ASSERT_NOT_NULL(test, look(addr));
	KUNIT_ASSERT_TRUE(test, is_large(addr));
	KUNIT_EXPECT_EQ(test, cache_mode(addr), _PAGE_CACHE_MODE_UC_MINUS);
	unmap(addr, SZ_2M);

	pci_kunit_unbind(tree, "mem");
	mem = pci_kunit_bind(tree, "mem");
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_memory(mem, 0, 0, 0,
						    PCI_P2PDMA_WRITE_COMBINING),
			0);
	addr = map_alone(test, mem, SZ_2M);
	KUNIT_ASSERT_NOT_NULL(test, look(addr));
	KUNIT_EXPECT_EQ(test, cache_mode(addr), _PAGE_CACHE_MODE_WC);
	unmap(addr, SZ_2M);
}

/* What a debugger is answered that wants to write a byte at @addr */
static int poke(unsigned long addr)
{
	struct vm_area_struct *vma;
	int result = 0;
	u8 byte = 0;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		result = vma->vm_ops->access(vma, addr, &byte, 1, 1);
	mmap_read_unlock(current->mm);

	return result;
}

/* Who may only read does not write as a debugger of himself either */
static void read_only_for_debuggers(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	unsigned long addr = map(test, dmabuf, 0, SZ_64K, 0);

	KUNIT_EXPECT_EQ(test, poke(addr), 1);
	unmap(addr, SZ_64K);
	addr = kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K, PROT_READ,
			     MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_EXPECT_EQ(test, poke(addr), -EIO);
	unmap(addr, SZ_64K);
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* Importers ----------------------------------------------------------------- */

/* One that does what it is told */
struct importer {
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	unsigned int notified;
	bool lets_go;
};

static void importer_notified(struct dma_buf_attachment *attach)
{
	struct importer *importer = attach->importer_priv;

	importer->notified++;
	if (!importer->lets_go || !importer->sgt)
		return;
	dma_buf_unmap_attachment(attach, importer->sgt, DMA_BIDIRECTIONAL);
	importer->sgt = NULL;
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.move_notify = importer_notified,
};

static const struct dma_buf_attach_ops system_memory_ops = {
	.move_notify = importer_notified,
};

static int attach(struct importer *importer, struct dma_buf *dmabuf,
		  struct pci_dev *pdev, const struct dma_buf_attach_ops *ops)
{
	struct dma_buf_attachment *attach;

	attach = dma_buf_dynamic_attach(dmabuf, &pdev->dev, ops, importer);
	if (IS_ERR(attach))
		return PTR_ERR(attach);

	/* As importers do, which keep the buffer for as long as they use it */
	get_dma_buf(dmabuf);
	importer->attach = attach;
	return 0;
}

static int import(struct importer *importer)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(importer->attach,
					      DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	importer->sgt = sgt;
	return 0;
}

static void let_go(struct importer *importer)
{
	if (importer->sgt)
		dma_buf_unmap_attachment_unlocked(importer->attach,
						  importer->sgt,
						  DMA_BIDIRECTIONAL);
	importer->sgt = NULL;
}

static void detach(struct importer *importer)
{
	struct dma_buf *dmabuf = importer->attach->dmabuf;

	let_go(importer);
	dma_buf_detach(dmabuf, importer->attach);
	put(dmabuf);
}

static void imported_at_bus_addresses(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *nic = pci_kunit_bind(tree, "nic");
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_4M, false);
	struct importer importer = {};
	struct scatterlist *sg;
	u64 phys, first = 0;
	size_t length = 0;
	unsigned int i;

	dma_set_max_seg_size(&nic->dev, SZ_1M);
	KUNIT_ASSERT_EQ(test, attach(&importer, dmabuf, nic, &importer_ops), 0);
	KUNIT_ASSERT_EQ(test, import(&importer), 0);
	for_each_sgtable_dma_sg(importer.sgt, sg, i) {
		KUNIT_EXPECT_LE(test, sg_dma_len(sg), SZ_1M);
		/* Pages are not for importers, see CONFIG_DMABUF_DEBUG */
		phys = sg_dma_address(sg) + BUS_OFFSET;
		if (!i)
			first = phys;
		KUNIT_EXPECT_EQ(test, phys, first + length);
		length += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(test, length, SZ_4M);
	KUNIT_EXPECT_EQ(test, importer.sgt->nents, 4);
	KUNIT_EXPECT_GE(test, first, pci_resource_start(mem, 0));
	KUNIT_EXPECT_LE(test, first + length - 1, pci_resource_end(mem, 0));

	/* The last of both to let go gives it back */
	drop_buffer(test, dmabuf);
	detach(&importer);
	expect_whole(test, mem);
}

static void imports_that_are_refused(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *nic = pci_kunit_bind(tree, "nic");
	struct pci_dev *far = pci_kunit_bind(tree, "far");
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	const struct platform_device_info info = {
		.parent = &nic->dev,
		.name = "port of nic",
		.id = PLATFORM_DEVID_AUTO,
	};
	struct dma_buf_attachment *attached;
	struct importer importer = {};
	struct platform_device *port;

	KUNIT_EXPECT_EQ(test, attach(&importer, dmabuf, far, &importer_ops),
			-EREMOTEIO);

	/* Its parent reaches the memory, but its own addresses are not PCI's */
	port = platform_device_register_full(&info);
	KUNIT_ASSERT_FALSE(test, IS_ERR(port));
	attached = dma_buf_dynamic_attach(dmabuf, &port->dev, &importer_ops,
					  &importer);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(attached), -EREMOTEIO);
	platform_device_unregister(port);

	KUNIT_EXPECT_EQ(test, attach(&importer, dmabuf, nic,
				     &system_memory_ops), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, attach(&importer, dmabuf, nic, NULL),
			-EOPNOTSUPP);

	/* Nobody pins it */
	KUNIT_ASSERT_EQ(test, attach(&importer, dmabuf, nic, &importer_ops), 0);
	dma_resv_lock(dmabuf->resv, NULL);
	KUNIT_EXPECT_EQ(test, dma_buf_pin(importer.attach), -EOPNOTSUPP);
	dma_resv_unlock(dmabuf->resv);
	detach(&importer);

	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* Attached while there was a route */
static void imports_without_a_route(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *nic = pci_kunit_bind(tree, "nic");
	struct pci_dev *port = pci_kunit_dev(tree, "dn1");
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	int control = port->acs_cap + PCI_ACS_CTRL;
	struct importer importer = {};

	KUNIT_ASSERT_EQ(test, attach(&importer, dmabuf, nic, &importer_ops), 0);
	pci_write_config_word(port, control, PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, import(&importer), -EREMOTEIO);
	pci_write_config_word(port, control, 0);
	KUNIT_EXPECT_EQ(test, import(&importer), 0);
	detach(&importer);

	/* Nothing is left that the end would wait for */
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
	pci_kunit_unbind(tree, "mem");
}

/* The end of a provider ----------------------------------------------------- */

static void importers_are_told_of_the_end(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *nic = pci_kunit_bind(tree, "nic");
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	struct importer one = { .lets_go = true }, other = {};
	unsigned long addr = map(test, dmabuf, 0, SZ_64K, 0);

	KUNIT_ASSERT_EQ(test, attach(&one, dmabuf, nic, &importer_ops), 0);
	KUNIT_ASSERT_EQ(test, attach(&other, dmabuf, nic, &importer_ops), 0);
	KUNIT_ASSERT_EQ(test, import(&one), 0);
	KUNIT_EXPECT_NOT_NULL(test, look(addr));

	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_EQ(test, one.notified, 1);
	KUNIT_EXPECT_EQ(test, other.notified, 1);
	KUNIT_EXPECT_NULL(test, provider(mem));

	/* There is nothing left that could be mapped by anybody */
	KUNIT_EXPECT_NULL(test, look(addr));
	KUNIT_EXPECT_EQ(test, import(&other), -ENODEV);
	detach(&other);
	detach(&one);
	KUNIT_EXPECT_EQ(test, attach(&one, dmabuf, nic, &importer_ops),
			-ENODEV);
	unmap(addr, SZ_64K);
	addr = kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K, PROT_READ,
			     MAP_SHARED, 0);
	KUNIT_EXPECT_EQ(test, (long)addr, -ENODEV);

	/* The next life of the provider is not concerned by it */
	mem = make_provider(test, tree);
	expect_whole(test, mem);
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

struct late {
	struct importer *importer;
	bool done;
	struct completion ended;
};

static int late(void *data)
{
	struct late *late = data;
	int i;

	for (i = 0; i < 250 && !READ_ONCE(late->importer->notified); i++)
		msleep(20);
	msleep(200);
	WRITE_ONCE(late->done, true);
	let_go(late->importer);
	complete(&late->ended);
	return 0;
}

static void the_end_waits_for_importers(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *nic = pci_kunit_bind(tree, "nic");
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	struct importer importer = {};
	struct late l = { .importer = &importer };
	struct task_struct *task;

	init_completion(&l.ended);
	KUNIT_ASSERT_EQ(test, attach(&importer, dmabuf, nic, &importer_ops), 0);
	KUNIT_ASSERT_EQ(test, import(&importer), 0);
	task = kthread_run(late, &l, "p2pdma_buffer_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));

	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_TRUE(test, READ_ONCE(l.done));
	wait_for_completion(&l.ended);
	KUNIT_EXPECT_EQ(test, importer.notified, 1);
	detach(&importer);
	drop_buffer(test, dmabuf);
}

/* A buffer that nobody has any more is no reason to wait */
static void the_end_without_buffers(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned long addr = map_alone(test, mem, SZ_4M);

	KUNIT_EXPECT_NOT_NULL(test, look(addr));
	unmap(addr, SZ_2M);
	drop_buffer(test, get_buffer(test, mem, SZ_64K, false));
	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_NULL(test, look(addr + SZ_2M));

	/* What is unmapped then was not given back a second time */
	mem = make_provider(test, tree);
	unmap(addr + SZ_2M, SZ_2M);
	expect_whole(test, mem);
}

static void put_dentry(void *dentry)
{
	dput(dentry);
}

/* Nor is one of which somebody has the path alone, as by O_PATH */
static void the_end_without_files(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf = get_buffer(test, mem, SZ_64K, false);
	struct dentry *dentry = dget(dmabuf->file->f_path.dentry);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_dentry,
							dentry), 0);
	drop_buffer(test, dmabuf);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - SZ_64K);
	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_NULL(test, provider(mem));

	mem = make_provider(test, tree);
	kunit_release_action(test, put_dentry, dentry);
	expect_whole(test, mem);
}

/* Requests ------------------------------------------------------------------ */

static void requests_that_are_refused(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct dma_buf *dmabuf;
	static const struct {
		size_t size;
		long error;
	} requests[] = {
		{ 0, -EINVAL }, { ALL + 1, -ENOMEM }, { SZ_1G, -ENOMEM },
		{ SIZE_MAX - PAGE_SIZE, -ENOMEM },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		dmabuf = p2pdma_dmabuf_create(provider(mem), requests[i].size,
					      O_RDWR, false);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dmabuf),
				requests[i].error);
		if (!IS_ERR(dmabuf))
			put(dmabuf);
	}

	/* A page that is not needed whole is given whole */
	dmabuf = get_buffer(test, mem, PAGE_SIZE + 1, false);
	KUNIT_EXPECT_EQ(test, dmabuf->size, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, available(mem), ALL - 2 * PAGE_SIZE);
	drop_buffer(test, dmabuf);
	expect_whole(test, mem);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case p2pdma_buffer_cases[] = {
	KUNIT_CASE(one_access_maps_all_that_is_large),
	KUNIT_CASE(the_rest_is_small),
	KUNIT_CASE(mapped_twice),
	KUNIT_CASE(unmapped_piece_by_piece),
	KUNIT_CASE(goes_back_with_the_last_mapping),
	KUNIT_CASE(pinned_pages_come_home_later),
	KUNIT_CASE(pinned_in_the_middle),
	KUNIT_CASE(mapped_from_fragments),
	KUNIT_CASE(large_where_there_is_room),
	KUNIT_CASE(never_cached),
	KUNIT_CASE(read_only_for_debuggers),
	KUNIT_CASE(imported_at_bus_addresses),
	KUNIT_CASE(imports_that_are_refused),
	KUNIT_CASE(imports_without_a_route),
	KUNIT_CASE(importers_are_told_of_the_end),
	KUNIT_CASE(the_end_waits_for_importers),
	KUNIT_CASE(the_end_without_buffers),
	KUNIT_CASE(the_end_without_files),
	KUNIT_CASE(requests_that_are_refused),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_buffer_suite = {
	.name = "pci_p2pdma_buffer",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_buffer_cases,
};

kunit_test_suite(p2pdma_buffer_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer memory that user space holds");
MODULE_LICENSE("GPL");
