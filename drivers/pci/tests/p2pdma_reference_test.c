// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA memory that is freed while somebody holds
 * pages of it, as a socket does that still has to send them.
 *
 * The memory is that of a declared PCI tree (pci_kunit.h), since its pages must
 * be those of a device: dropping the last reference to one brings it home.
 *
 *   host ─── 01.0 rp ── mem    BAR 0 4 MiB, BAR 2 2 MiB
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/p2pdma_pages.h>
#include <linux/page_ref.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/uio.h>

#include "../p2pdma.h"
#include "../pci_kunit.h"
#include "p2pdma_book.h"

#define MEMORY		SZ_4M

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = MEMORY }, [2] = { .size = SZ_2M } } },
};

static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree)
{
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	return mem;
}

static struct p2pdma_pool *pool_of(struct pci_dev *mem)
{
	return &rcu_access_pointer(mem->p2pdma)->pool;
}

/* As if no reference had ever been noticed */
static void disarm(struct p2pdma_pool *pool)
{
	pool->armed = false;
	p2pdma_front_open(&pool->fronts, pool->pages, false);
}

/* Everything that can be had: does it include @page? */
static bool is_to_be_had(struct kunit *test, struct p2pdma_pool *pool,
			 struct page *page)
{
	struct page *piece, *next, *first;
	bool found = false;
	unsigned int nr;
	size_t size;

	first = p2pdma_pool_gather(pool, p2pdma_pool_available(pool), UINT_MAX,
				   SIZE_MAX, &nr);
	KUNIT_ASSERT_NOT_NULL(test, first);
	for (piece = first; piece; piece = next) {
		next = p2pdma_pool_next_piece(piece, &size);
		found |= page >= piece && page < piece + to_pages(size);
	}
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), 0);
	p2pdma_pool_free_pieces(pool, first);
	return found;
}

static void expect_whole(struct kunit *test, struct p2pdma_pool *pool)
{
	struct p2pdma_pool_stats stats;

	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY);
	p2pdma_pool_drain(pool);
	p2pdma_pool_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.longest, MEMORY);
}

/* Free @len pages while the @held th is held; only this one stays away */
static void held_page_stays_away(struct kunit *test, struct pci_dev *mem,
				 unsigned int len, unsigned int held)
{
	struct p2pdma_pool *pool = pool_of(mem);
	void *addr = pci_alloc_p2pmem(mem, to_bytes(len));
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	page = virt_to_page(addr) + held;
	get_page(page);
	pci_free_p2pmem(mem, addr, to_bytes(len));
	KUNIT_EXPECT_EQ_MSG(test, p2pdma_pool_available(pool),
			    MEMORY - PAGE_SIZE, "page %u of %u", held, len);
	KUNIT_EXPECT_FALSE_MSG(test, is_to_be_had(test, pool, page),
			       "page %u of %u", held, len);
	KUNIT_EXPECT_TRUE(test, pool->armed);

	put_page(page);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_TRUE(test, is_to_be_had(test, pool, page));
	expect_whole(test, pool);
}

/* On a provider of which nobody ever took a reference */
static void ends_of_a_run_are_always_looked_at(struct kunit *test)
{
	static const unsigned int lengths[] = { 1, 2, 3, 4, 5, 8, 100, 256, 300 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned int i, held, len;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		for (held = 0; held < len; held++) {
			if (held >= P2PDMA_POOL_PROBES / 2 &&
			    held < len - P2PDMA_POOL_PROBES / 2)
				continue;
			disarm(pool_of(mem));
			held_page_stays_away(test, mem, len, held);
		}
	}
}

static void armed_pool_looks_at_all_pages(struct kunit *test)
{
	static const unsigned int lengths[] = { 5, 8, 16, 32, 100, 256 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	unsigned int i;

	p2pdma_pool_arm(pool_of(mem));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		held_page_stays_away(test, mem, lengths[i], lengths[i] / 2);
		held_page_stays_away(test, mem, lengths[i], 2);
		held_page_stays_away(test, mem, lengths[i], lengths[i] - 3);
	}
}

/* What nobody holds is kept at hand as ever */
static void armed_pool_keeps_memory_at_hand(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct p2pdma_pool *pool = pool_of(mem);
	void *addr;

	p2pdma_pool_arm(pool);
	migrate_disable();
	addr = pci_alloc_p2pmem(mem, SZ_16K);
	p2pdma_pool_drain(pool);
	pci_free_p2pmem(mem, addr, SZ_16K);
	KUNIT_EXPECT_EQ(test, p2pdma_front_parked(&pool->fronts, NULL),
			SZ_16K / PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, pci_alloc_p2pmem(mem, SZ_16K), addr);
	pci_free_p2pmem(mem, addr, SZ_16K);
	migrate_enable();
	expect_whole(test, pool);

	/* Nor does it forget when memory is scarce and becomes plenty again */
	addr = pci_alloc_p2pmem(mem, MEMORY - SZ_4K);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	pci_free_p2pmem(mem, addr, MEMORY - SZ_4K);
	held_page_stays_away(test, mem, 8, 4);
}

/* Held more than once, several of them, dropped in any order and context */
static void all_holders_must_let_go(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct p2pdma_pool *pool = pool_of(mem);
	struct p2pdma_pool_stats stats;
	unsigned long flags;
	struct page *page;
	void *addr;

	addr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	page = virt_to_page(addr);
	get_page(page);
	get_page(page);
	get_page(page + 7);
	get_page(page + 15);
	pci_free_p2pmem(mem, addr, SZ_64K);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K * 3);

	put_page(page);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K * 3);
	local_irq_save(flags);
	put_page(page + 15);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K * 2);
	put_page(page);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K);
	put_page(page + 7);
	expect_whole(test, pool);
	p2pdma_pool_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.referenced, 1);
}

static void lists_are_looked_at(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct p2pdma_pool *pool = pool_of(mem);
	struct scatterlist *sgl;
	struct page *page;
	unsigned int nr;

	sgl = pci_p2pmem_alloc_sgl_limits(mem, &nr, SZ_128K, UINT_MAX, SZ_16K);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	KUNIT_EXPECT_EQ(test, nr, 8);
	page = sg_page(&sgl[5]) + 1;
	get_page(page);
	pci_p2pmem_free_sgl(mem, sgl);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K);
	put_page(page);
	expect_whole(test, pool);

	sgl = pci_p2pmem_alloc_sgl(mem, &nr, SZ_128K);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	KUNIT_EXPECT_EQ(test, nr, 1);
	page = sg_page(sgl);
	get_page(page);
	pci_p2pmem_free_sgl(mem, sgl);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), MEMORY - SZ_4K);
	put_page(page);
	expect_whole(test, pool);
}

/* Announcements ------------------------------------------------------------- */

static void extract_bvec(struct iov_iter *iter)
{
	struct page *pages[4], **p = pages;
	size_t offset;

	iov_iter_extract_pages(iter, &p, SZ_16K, ARRAY_SIZE(pages), 0, &offset);
}

static void get_bvec(struct iov_iter *iter)
{
	struct page *pages[4];
	size_t offset;
	ssize_t got;

	for (got = iov_iter_get_pages2(iter, pages, SZ_16K, ARRAY_SIZE(pages),
				       &offset); got > 0; got -= PAGE_SIZE)
		put_page(pages[got / PAGE_SIZE - 1]);
}

/* Who takes pages out of an iterator over kernel memory may take references */
static void taking_pages_arms(struct kunit *test)
{
	static void (* const take[])(struct iov_iter *) = {
		extract_bvec, get_bvec, extract_bvec,
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct p2pdma_pool *pool = pool_of(mem);
	void *ordinary = kunit_kzalloc(test, SZ_16K, GFP_KERNEL);
	void *addr = pci_alloc_p2pmem(mem, SZ_16K), *from;
	struct iov_iter iter;
	struct bio_vec bvec;
	struct kvec kvec;
	unsigned int i, k;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_ASSERT_NOT_NULL(test, ordinary);
	for (i = 0; i < ARRAY_SIZE(take); i++) {
		for (k = 0; k < 2; k++) {
			from = k ? addr : ordinary;
			kvec = (struct kvec){ from, SZ_16K };
			bvec_set_virt(&bvec, from, SZ_16K);
			if (i < 2)
				iov_iter_bvec(&iter, ITER_SOURCE, &bvec, 1,
					      SZ_16K);
			else
				iov_iter_kvec(&iter, ITER_SOURCE, &kvec, 1,
					      SZ_16K);
			take[i](&iter);
			KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), 0);
			KUNIT_EXPECT_EQ_MSG(test, pool->armed, k, "way %u", i);
		}
		disarm(pool);
	}
	pci_free_p2pmem(mem, addr, SZ_16K);
	expect_whole(test, pool);
}

static void announcing_arms_one_provider(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_kunit_tree *other = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct pci_dev *bystander = make_provider(test, other);
	void *addr = pci_alloc_p2pmem(mem, SZ_4K);

	KUNIT_ASSERT_NOT_NULL(test, addr);
	p2pdma_page_referenced(ZERO_PAGE(0));
	KUNIT_EXPECT_FALSE(test, pool_of(mem)->armed);
	p2pdma_page_referenced(virt_to_page(addr));
	KUNIT_EXPECT_TRUE(test, pool_of(mem)->armed);
	KUNIT_EXPECT_FALSE(test, pool_of(bystander)->armed);
	pci_free_p2pmem(mem, addr, SZ_4K);
}

/* The way home -------------------------------------------------------------- */

struct late_put {
	struct pci_dev *mem;
	struct page *page;
	bool put;
	struct completion done;
};

static int put_late(void *data)
{
	struct late_put *l = data;

	msleep(300);
	WRITE_ONCE(l->put, true);
	put_page(l->page);
	complete(&l->done);
	return 0;
}

static void unbinding_waits_for_references(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct late_put l = { .mem = mem };
	struct task_struct *task;
	void *addr;

	addr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	l.page = virt_to_page(addr);
	init_completion(&l.done);
	get_page(l.page);
	pci_free_p2pmem(mem, addr, SZ_64K);
	task = kthread_run(put_late, &l, "p2pdma_reference_test");
	if (IS_ERR(task)) {
		put_page(l.page);
		KUNIT_FAIL_AND_ABORT(test, "no thread: %pe", task);
	}

	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_TRUE(test, READ_ONCE(l.put));
	wait_for_completion(&l.done);
	make_provider(test, tree);
	expect_whole(test, pool_of(mem));
}

static int count_at_free;

/* Somebody who hands the page out again at once, to one who takes a reference */
static void free_to_the_next(struct page *page)
{
	count_at_free = page_ref_count(page);
	get_page(page);
}

static const struct dev_pagemap_ops next_ops = {
	.page_free = free_to_the_next,
};

/* The BAR that no provider has becomes memory of somebody on another bus */
static void *foreign_memory(struct kunit *test, struct pci_dev *mem,
			    struct dev_pagemap *pgmap)
{
	void *addr;

	pgmap->type = MEMORY_DEVICE_PCI_P2PDMA;
	pgmap->ops = &next_ops;
	pgmap->range.start = pci_resource_start(mem, 2);
	pgmap->range.end = pci_resource_end(mem, 2);
	pgmap->nr_range = 1;
	addr = memremap_pages(pgmap, NUMA_NO_NODE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(addr));
	return addr;
}

/* The pages of a provider on another bus belong to no pool of ours */
static void announcing_leaves_other_buses_alone(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree);
	struct p2pdma_region *region;
	void *addr;

	/* Around a foreign pagemap is what would be found if it were ours */
	region = kunit_kzalloc(test, sizeof(*region), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, region);
	region->p2p = rcu_access_pointer(mem->p2pdma);
	addr = foreign_memory(test, mem, &region->pgmap);

	p2pdma_page_referenced(virt_to_page(addr));
	KUNIT_EXPECT_FALSE(test, pool_of(mem)->armed);
	memunmap_pages(&region->pgmap);
}

/* ->page_free() is the last that is done with a page of this type */
static void page_free_may_hand_out_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct dev_pagemap *pgmap;
	struct page *page;
	void *addr;

	pgmap = kunit_kzalloc(test, sizeof(*pgmap), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pgmap);
	addr = foreign_memory(test, mem, pgmap);

	page = virt_to_page(addr);
	count_at_free = -1;
	put_page(page);
	KUNIT_EXPECT_EQ(test, count_at_free, 1);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 2);
	put_page(page);
	memunmap_pages(pgmap);
}

static struct kunit_case p2pdma_reference_cases[] = {
	KUNIT_CASE(ends_of_a_run_are_always_looked_at),
	KUNIT_CASE(armed_pool_looks_at_all_pages),
	KUNIT_CASE(armed_pool_keeps_memory_at_hand),
	KUNIT_CASE(all_holders_must_let_go),
	KUNIT_CASE(lists_are_looked_at),
	KUNIT_CASE(taking_pages_arms),
	KUNIT_CASE(announcing_arms_one_provider),
	KUNIT_CASE(unbinding_waits_for_references),
	KUNIT_CASE(announcing_leaves_other_buses_alone),
	KUNIT_CASE(page_free_may_hand_out_again),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_reference_suite = {
	.name = "p2pdma_reference",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_reference_cases,
};

kunit_test_suite(p2pdma_reference_suite);

MODULE_DESCRIPTION("KUnit tests of references to pages of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
