// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the allocator of peer-to-peer DMA memory (p2pdma_pool.c): what
 * belongs to its interface and is neither about runs (p2pdma_run_test.c) nor
 * about what CPUs keep at hand (p2pdma_front_test.c).
 *
 * Each case keeps a book beside the pool (p2pdma_book.h).
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/sizes.h>

#include "../pci_kunit.h"
#include "p2pdma_book.h"

/* Splitting, cutting, frees of what is not there --------------------------- */

static void split_pages_come_back_one_by_one(struct kunit *test)
{
	static const unsigned int lengths[] = { 1, 2, 17, 256, 300 };
	unsigned int pages = 300, i, k, len;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct rnd_state rnd;
	void *addr;

	prandom_seed_state(&rnd, 7);

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		addr = p2pdma_pool_alloc(&book->pool, to_bytes(len) - 1);
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_ASSERT_TRUE(test, p2pdma_pool_split(&book->pool, addr,
							  to_bytes(len) - 1));
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				to_bytes(pages - len));

		for (k = 0; k < len; k++)
			book_in(book, addr + to_bytes(k), PAGE_SIZE);
		if (len > 1) {
			/* It is not one allocation any more */
			KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, addr,
								  to_bytes(len)));
			KUNIT_EXPECT_FALSE(test, p2pdma_pool_split(&book->pool, addr,
								   to_bytes(len)));
		}
		while (book->nr_pieces) {
			book_free(book, draw(&rnd, book->nr_pieces));
			KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
					to_bytes(pages - book->nr_pieces));
		}
		book_audit(book);
	}
}

/* Who asks for aligned memory gets that or none, and it is no failure */
static void aligned_or_nothing(struct kunit *test)
{
	unsigned int pages = 12;
	struct book *book = book_open(test, NOWHERE + to_bytes(2), &pages, 1);
	struct p2pdma_pool *pool = &book->pool;
	struct p2pdma_pool_stats stats;
	void *addr;

	/* Of pages 2 to 13, 4 to 7 and 8 to 11 are so */
	addr = p2pdma_pool_try_aligned(pool, to_bytes(4), to_bytes(4));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)addr, to_bytes(4)));
	book_in(book, addr, to_bytes(4));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_try_aligned(pool, to_bytes(8),
							to_bytes(8)));
	addr = p2pdma_pool_try_aligned(pool, to_bytes(4), to_bytes(4));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)addr, to_bytes(4)));
	book_in(book, addr, to_bytes(4));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_try_aligned(pool, to_bytes(4),
							PAGE_SIZE));
	p2pdma_pool_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.failures, 0);

	/* The last four pages in a row are 10 to 13 */
	book_free_all(book);
	book_audit(book);
	addr = p2pdma_pool_try_aligned(pool, to_bytes(8), PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	book_in(book, addr, to_bytes(8));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_try_aligned(pool, to_bytes(4),
							to_bytes(4)));
	book_free_all(book);
	book_audit(book);
}

/* Each part of what was cut is an allocation, and the whole is none any more */
static void cuts_allocations(struct kunit *test)
{
	static const struct {
		unsigned int first, pages;
		size_t at;
	} bogus[] = {
		{ 0, 16, 0 }, { 0, 16, 16 * PAGE_SIZE }, { 0, 16, SZ_1M },
		{ 0, 16, PAGE_SIZE / 2 }, { 0, 8, PAGE_SIZE },
		{ 1, 8, PAGE_SIZE }, { 1, 15, PAGE_SIZE },
	};
	unsigned int pages = 48, i;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct p2pdma_pool *pool = &book->pool;
	void *addr = p2pdma_pool_alloc(pool, to_bytes(16));

	KUNIT_ASSERT_NOT_NULL(test, addr);
	for (i = 0; i < ARRAY_SIZE(bogus); i++) {
		KUNIT_EXPECT_FALSE_MSG(test,
				       p2pdma_pool_cut(pool, addr +
						       to_bytes(bogus[i].first),
						       to_bytes(bogus[i].pages),
						       bogus[i].at),
				       "%u", i);
		KUNIT_EXPECT_EQ(test, book->complaints, i + 1);
	}

	/* 4, 1 and 11 pages */
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_cut(pool, addr, to_bytes(16) - 1,
						to_bytes(4)));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(pool, addr, to_bytes(16)));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_cut(pool, addr + to_bytes(4),
						to_bytes(12), PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), to_bytes(32));

	book_in(book, addr, to_bytes(4));
	book_in(book, addr + to_bytes(4), PAGE_SIZE);
	book_in(book, addr + to_bytes(5), to_bytes(11));
	for (i = 0; i < 3; i++) {
		book_free(book, (1 + i) % book->nr_pieces);
		book_audit(book);
	}
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), to_bytes(48));
}

static void bogus_frees_change_nothing(struct kunit *test)
{
	static const unsigned int pages[] = { 40, 40 };
	struct book *book = book_open(test, NOWHERE + PAGE_SIZE, pages, 2);
	void *base = (void *)book->range[0].base;
	void *end = base + to_bytes(80);
	void *a = book_alloc(book, to_bytes(5));
	void *b = book_alloc(book, to_bytes(7));
	void *c = book_alloc(book, to_bytes(5));
	const struct {
		const char *what;
		void *addr;
		size_t size;
	} bogus[] = {
		{ "size zero", a, 0 },
		{ "too short", a, to_bytes(4) },
		{ "too long", a, to_bytes(5) + 1 },
		{ "along with the next", a, to_bytes(12) },
		{ "far too long", a, SIZE_MAX },
		{ "length modulo 2^32", a, to_bytes((1UL << 32) + 5) },
		{ "length with the used bit", a, to_bytes((1UL << 31) + 5) },
		{ "second page", a + PAGE_SIZE, to_bytes(4) },
		{ "second page, one", a + PAGE_SIZE, PAGE_SIZE },
		{ "last page", b + to_bytes(6), PAGE_SIZE },
		{ "not at a page", b + 8, to_bytes(7) },
		{ "last byte of the page before", b - 1, to_bytes(7) },
		{ "free memory", base, PAGE_SIZE },
		{ "all of the free run", base, to_bytes(23) },
		{ "the other half of the free run", base + to_bytes(11),
		  to_bytes(12) },
		{ "end of the free run", base + to_bytes(22), PAGE_SIZE },
		{ "last page of the range", base + to_bytes(39), PAGE_SIZE },
		{ "NULL", NULL, to_bytes(5) },
		{ "below", base - PAGE_SIZE, PAGE_SIZE },
		{ "above", end, PAGE_SIZE },
		{ "far above", (void *)-PAGE_SIZE, PAGE_SIZE },
		{ "2^32 pages above", a + to_bytes(1UL << 32), to_bytes(5) },
	};
	size_t available = p2pdma_pool_available(&book->pool);
	unsigned int i, complaints = 0;

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_ASSERT_NOT_NULL(test, c);

	for (i = 0; i < ARRAY_SIZE(bogus); i++) {
		KUNIT_EXPECT_FALSE_MSG(test,
				       p2pdma_pool_free(&book->pool, bogus[i].addr,
							bogus[i].size),
				       "%s", bogus[i].what);
		KUNIT_EXPECT_FALSE_MSG(test,
				       p2pdma_pool_split(&book->pool, bogus[i].addr,
							 bogus[i].size),
				       "%s", bogus[i].what);
		KUNIT_EXPECT_EQ_MSG(test, p2pdma_pool_available(&book->pool),
				    available, "%s", bogus[i].what);
		complaints += 2;
		KUNIT_EXPECT_EQ_MSG(test, book->complaints, complaints, "%s",
				    bogus[i].what);
	}
	book_audit(book);

	/* A second free, with the neighbours in use, free, and merged */
	for (i = 0; i < 3; i++) {
		struct piece piece = book->pieces[(i + 1) % book->nr_pieces];

		book_free(book, (i + 1) % book->nr_pieces);
		KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, piece.addr,
							  piece.size));
		KUNIT_EXPECT_FALSE(test, p2pdma_pool_split(&book->pool, piece.addr,
							   piece.size));
		book_audit(book);
	}
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(80));

	/* Any size that rounds up to the same pages is the same allocation */
	a = p2pdma_pool_alloc(&book->pool, 3 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, a,
						 2 * PAGE_SIZE + 1));
}

/* Ranges, end of a pool ---------------------------------------------------- */

static void adds_ranges(struct kunit *test)
{
	/* Most pages that a range of the pool can have */
	const unsigned long limit = BIT(30) - 1;
	static const unsigned int pages[] = { 4 };
	struct book *book = book_open(test, NOWHERE, pages, 1);
	struct page *more = book_pages(test, 9);
	void *next = (void *)NOWHERE + SZ_1G;
	const struct {
		void *addr;
		size_t size;
	} refused[] = {
		{ next, 0 }, { next, PAGE_SIZE - 1 }, { next, PAGE_SIZE + 1 },
		{ next + 1, PAGE_SIZE }, { next, to_bytes(limit + 1) },
	};
	struct page *piece;
	unsigned int i, nr;
	size_t got;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    p2pdma_pool_add(&book->pool,
						    refused[i].addr, more,
						    refused[i].size,
						    NUMA_NO_NODE), -EINVAL,
				    "%#zx bytes", refused[i].size);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), to_bytes(4));

	/* While the pool is in use; the second range may be far away */
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(4)));
	KUNIT_EXPECT_NULL(test, book_alloc(book, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool, next, more,
					      to_bytes(9), NUMA_NO_NODE), 0);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), to_bytes(13));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(9));

	piece = p2pdma_pool_gather(&book->pool, to_bytes(9), 1, SIZE_MAX, &nr);
	KUNIT_ASSERT_PTR_EQ(test, piece, more);
	KUNIT_EXPECT_PTR_EQ(test, p2pdma_pool_address(&book->pool, piece), next);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_next_piece(piece, &got));
	KUNIT_EXPECT_EQ(test, got, to_bytes(9));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, next, got));
}

static void empty_pool(struct kunit *test)
{
	struct book *book = book_open(test, NOWHERE, NULL, 0);
	struct p2pdma_pool_stats stats;
	unsigned int nr;

	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), 0);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), 0);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, 1));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_gather(&book->pool, 1, UINT_MAX,
						   SIZE_MAX, &nr));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, (void *)NOWHERE,
						  PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, book->complaints, 1);
	p2pdma_pool_stats(&book->pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.longest, 0);
	p2pdma_pool_kill(&book->pool);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, HZ));
}

static void dead_pool_gives_nothing(struct kunit *test)
{
	unsigned int pages = 10;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	unsigned long begin;
	unsigned int nr;

	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(3)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(2)));
	p2pdma_pool_kill(&book->pool);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_gather(&book->pool, PAGE_SIZE,
						   UINT_MAX, SIZE_MAX, &nr));

	/* It waits, but not longer than it is told */
	begin = jiffies;
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_wait_idle(&book->pool, HZ / 10));
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, begin + HZ / 10));

	/* Memory still comes back, and is not given out again */
	book_free(book, 0);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_wait_idle(&book->pool, 1));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(8));
	book_free(book, 0);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, 0));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, HZ));
}

struct late_free {
	struct book *book;
	unsigned int nr;
	struct completion done;
};

static int free_late(void *data)
{
	struct late_free *late = data;
	unsigned int i;

	for (i = 0; i < late->nr; i++) {
		msleep(50);
		p2pdma_pool_free(&late->book->pool, late->book->pieces[i].addr,
				 late->book->pieces[i].size);
	}
	complete(&late->done);
	return 0;
}

static void waits_for_the_last_free(struct kunit *test)
{
	unsigned int pages = 10;
	struct late_free late = {
		.book = book_open(test, NOWHERE, &pages, 1),
		.nr = 3,
	};
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < late.nr; i++)
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(late.book, to_bytes(2)));
	init_completion(&late.done);
	p2pdma_pool_kill(&late.book->pool);

	task = kthread_run(free_late, &late, "p2pdma_pool_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&late.book->pool,
						      60 * HZ));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&late.book->pool),
			to_bytes(pages));
	wait_for_completion(&late.done);
	late.book->nr_pieces = 0;
}

static void works_with_interrupts_off(struct kunit *test)
{
	unsigned int pages = 20;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct page *rest;
	bool split, freed[2], off[6];
	unsigned long flags;
	unsigned int nr;
	void *addr;

	local_irq_save(flags);
	addr = p2pdma_pool_alloc(&book->pool, to_bytes(2));
	off[0] = irqs_disabled();
	rest = p2pdma_pool_gather(&book->pool, to_bytes(18), UINT_MAX, SIZE_MAX,
				  &nr);
	off[1] = irqs_disabled();
	split = p2pdma_pool_split(&book->pool, addr, to_bytes(2));
	off[2] = irqs_disabled();
	freed[0] = p2pdma_pool_free(&book->pool, addr, PAGE_SIZE);
	freed[1] = p2pdma_pool_free(&book->pool, addr + PAGE_SIZE, PAGE_SIZE);
	off[3] = irqs_disabled();
	p2pdma_pool_free_pieces(&book->pool, rest);
	off[4] = irqs_disabled();
	p2pdma_pool_drain(&book->pool);
	off[5] = irqs_disabled();
	local_irq_restore(flags);

	KUNIT_EXPECT_NOT_NULL(test, addr);
	KUNIT_EXPECT_NOT_NULL(test, rest);
	KUNIT_EXPECT_TRUE(test, split);
	KUNIT_EXPECT_TRUE(test, freed[0] && freed[1]);
	KUNIT_EXPECT_TRUE(test, off[0] && off[1] && off[2] && off[3] && off[4] &&
			  off[5]);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	book_audit(book);
}

/* The book that the pool itself keeps --------------------------------------- */

static void keeps_its_book(struct kunit *test)
{
	unsigned int pages = 512, i;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	unsigned long nr[P2PDMA_POOL_CLASSES], sum = 0;
	struct p2pdma_pool_stats stats;

	p2pdma_pool_stats(&book->pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.size, to_bytes(512));
	KUNIT_EXPECT_EQ(test, stats.available, to_bytes(512));
	KUNIT_EXPECT_EQ(test, stats.longest, to_bytes(512));
	KUNIT_EXPECT_EQ(test, stats.peak, 0);
	KUNIT_EXPECT_EQ(test, stats.failures, 0);
	KUNIT_EXPECT_EQ(test, stats.referenced, 0);

	/* Of lengths that nobody keeps at hand */
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(100)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(65)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(128)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(3)));
	KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(400)));
	KUNIT_EXPECT_NULL(test, book_alloc(book, SIZE_MAX / 2));
	KUNIT_EXPECT_EQ(test, book_gather(book, to_bytes(217), UINT_MAX,
					  SIZE_MAX), 0);
	p2pdma_pool_in_use(&book->pool, nr);
	for (i = 0; i < P2PDMA_POOL_CLASSES; i++)
		sum += nr[i];
	KUNIT_EXPECT_EQ(test, sum, 4);
	KUNIT_EXPECT_EQ(test, nr[7], 3);
	KUNIT_EXPECT_EQ(test, nr[2], 1);

	book_free(book, 3);
	book_free(book, 0);
	p2pdma_pool_stats(&book->pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.available, to_bytes(512 - 65 - 128));
	KUNIT_EXPECT_EQ(test, stats.longest,
			to_bytes(book_vacancy(book).longest));
	KUNIT_EXPECT_EQ(test, stats.peak, to_bytes(100 + 65 + 128 + 3));
	KUNIT_EXPECT_EQ(test, stats.failures, 3);
	KUNIT_EXPECT_EQ(test, stats.parked, 0);

	book_free_all(book);
	p2pdma_pool_in_use(&book->pool, nr);
	for (i = 0; i < P2PDMA_POOL_CLASSES; i++)
		KUNIT_EXPECT_EQ(test, nr[i], 0);
}

/* A range that comes when memory is scarce, and leaves it so */
static void book_goes_on_with_more(struct kunit *test)
{
	unsigned int pages = 1600;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct page *more = book_pages(test, 100);
	void *next = (void *)NOWHERE + SZ_1G, *addr;
	struct p2pdma_pool_stats stats;

	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(1550)));
	KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool, next, more,
					      to_bytes(100), NUMA_NO_NODE), 0);
	p2pdma_pool_stats(&book->pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.peak, to_bytes(1550));

	addr = p2pdma_pool_alloc(&book->pool, to_bytes(99));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	p2pdma_pool_stats(&book->pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.peak, to_bytes(1550 + 99));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, addr,
						 to_bytes(99)));
}

static struct kunit_case p2pdma_pool_cases[] = {
	KUNIT_CASE(split_pages_come_back_one_by_one),
	KUNIT_CASE(aligned_or_nothing),
	KUNIT_CASE(cuts_allocations),
	KUNIT_CASE(bogus_frees_change_nothing),
	KUNIT_CASE(adds_ranges),
	KUNIT_CASE(empty_pool),
	KUNIT_CASE(dead_pool_gives_nothing),
	KUNIT_CASE(waits_for_the_last_free),
	KUNIT_CASE(works_with_interrupts_off),
	KUNIT_CASE(keeps_its_book),
	KUNIT_CASE(book_goes_on_with_more),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_pool_suite = {
	.name = "p2pdma_pool",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_pool_cases,
};

kunit_test_suite(p2pdma_pool_suite);

MODULE_DESCRIPTION("KUnit tests of the allocator of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
