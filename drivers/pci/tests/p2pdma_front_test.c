// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what CPUs keep at hand of peer-to-peer DMA memory
 * (p2pdma_front.c), on pools with a book beside them (p2pdma_book.h).
 *
 * How much a CPU may keep depends on the number of CPUs: pools are made so large
 * that each may keep one run of each length, or as many as there is room for.
 *
 * Threads here are bound to a CPU, so that what one of them frees stays there.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/smp.h>

#include "../pci_kunit.h"
#include "p2pdma_book.h"

/* Pages of all lengths that may be kept, one run of each */
#define ALL_LENGTHS	(2 * P2PDMA_FRONT_LONGEST - 1)
/* What all CPUs may keep of a pool is this part of it */
#define SHARE		16

/* A pool of which each CPU may keep @rounds runs of each length */
static struct book *open_pool(struct kunit *test, unsigned int rounds)
{
	unsigned int pages = rounds * ALL_LENGTHS * num_possible_cpus() * SHARE;

	return book_open(test, NOWHERE, &pages, 1);
}

static void move_back(void *unused)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

/* Keep the test on one CPU, or it might free on one and allocate on another */
static void stay(struct kunit *test)
{
	int cpu = cpumask_first(cpu_online_mask);

	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, move_back, NULL), 0);
}

static void count(struct book *book, unsigned long *hits, unsigned long *misses)
{
	p2pdma_front_count(&book->pool.fronts, raw_smp_processor_id(), hits,
			   misses);
}

/* What a CPU frees last it gets first, and everything else stays as it is */
static void hits(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned long hits, misses, hits_before, misses_before;
	unsigned int class;
	size_t available, size;
	void *addr, *again;

	stay(test);
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++) {
		size = PAGE_SIZE << class;
		addr = book_alloc(book, size);
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)addr, size));
		/* One came along with it, and leaves no room for a second */
		KUNIT_EXPECT_EQ(test, book_parked(book), size);
		p2pdma_pool_drain(&book->pool);
		KUNIT_EXPECT_EQ(test, book_parked(book), 0);

		available = p2pdma_pool_available(&book->pool);
		count(book, &hits_before, &misses_before);
		book_free(book, 0);
		KUNIT_EXPECT_EQ(test, book_parked(book), size);
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				available + size);

		/* Any size that rounds up to the same */
		again = book_alloc(book, size - 1);
		KUNIT_EXPECT_PTR_EQ(test, again, addr);
		KUNIT_EXPECT_EQ(test, book_parked(book), 0);
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				available);
		count(book, &hits, &misses);
		KUNIT_EXPECT_EQ(test, hits, hits_before + 1);
		KUNIT_EXPECT_EQ(test, misses, misses_before);

		/* A list of one piece is the same thing */
		book_free(book, 0);
		KUNIT_EXPECT_EQ(test, book_gather(book, size, 1, size), 1);
		KUNIT_EXPECT_PTR_EQ(test, book->pieces[0].addr, addr);
		count(book, &hits, &misses);
		KUNIT_EXPECT_EQ(test, hits, hits_before + 2);

		/* Nothing of another length is of use */
		book_free(book, 0);
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, 2 * size));
		count(book, &hits, &misses);
		KUNIT_EXPECT_EQ(test, hits, hits_before + 2);
		book_free(book, 0);
		book_audit(book);
	}
}

/* With room for several, a miss is followed by as many hits */
static void misses_refill(struct kunit *test)
{
	struct book *book = open_pool(test, P2PDMA_FRONT_DEPTH);
	unsigned long hits, misses;
	unsigned int i, k;

	stay(test);
	for (i = 1; i <= 3; i++) {
		for (k = 0; k <= P2PDMA_FRONT_DEPTH; k++) {
			KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
			KUNIT_EXPECT_EQ(test, book_parked(book),
					(P2PDMA_FRONT_DEPTH - k) * SZ_64K);
		}
		count(book, &hits, &misses);
		KUNIT_EXPECT_EQ(test, misses, i);
		KUNIT_EXPECT_EQ(test, hits, i * P2PDMA_FRONT_DEPTH);
	}
	book_audit(book);
}

static void keeps_what_it_may(struct kunit *test)
{
	struct book *book = open_pool(test, P2PDMA_FRONT_DEPTH);
	unsigned long nr[P2PDMA_FRONT_CLASSES];
	unsigned int class, i;

	stay(test);
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++)
		for (i = 0; i < 2 * P2PDMA_FRONT_DEPTH; i++)
			KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, PAGE_SIZE << class));
	book_free_all(book);
	KUNIT_EXPECT_EQ(test, p2pdma_front_parked(&book->pool.fronts, nr),
			P2PDMA_FRONT_DEPTH * ALL_LENGTHS);
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++)
		KUNIT_EXPECT_EQ_MSG(test, nr[class], P2PDMA_FRONT_DEPTH,
				    "class %u", class);
	KUNIT_EXPECT_LE(test, book_parked(book) * SHARE,
			p2pdma_pool_size(&book->pool));
	book_audit(book);
}

static void keeps_nothing_else(struct kunit *test)
{
	static const unsigned int pages[] = { 3, 5, 255, 257, 512, 1024 };
	struct book *book = open_pool(test, 1);
	unsigned int i;

	stay(test);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(pages[i])));
		book_free(book, 0);
		KUNIT_EXPECT_EQ_MSG(test, book_parked(book), 0, "%u pages",
				    pages[i]);
	}
	book_audit(book);
}

/* A run of the right length at the wrong place would be handed out again so */
static void keeps_only_what_is_aligned(struct kunit *test)
{
	unsigned int pages = ALL_LENGTHS * num_possible_cpus() * SHARE;
	struct book *book = book_open(test, NOWHERE + PAGE_SIZE, &pages, 1);
	struct page *piece;
	unsigned int nr;
	size_t size;
	void *addr;

	stay(test);
	/* From an odd page on */
	piece = p2pdma_pool_gather(&book->pool, to_bytes(pages), 1, SIZE_MAX,
				   &nr);
	KUNIT_ASSERT_NOT_NULL(test, piece);
	p2pdma_pool_next_piece(piece, &size);
	addr = p2pdma_pool_address(&book->pool, piece);
	KUNIT_ASSERT_TRUE(test, p2pdma_pool_split(&book->pool, addr, size));
	for (nr = 0; nr < 4; nr++)
		KUNIT_ASSERT_TRUE(test, p2pdma_pool_free(&book->pool,
							 addr + to_bytes(nr),
							 PAGE_SIZE));
	p2pdma_pool_drain(&book->pool);
	KUNIT_ASSERT_PTR_EQ(test, book_alloc(book, to_bytes(4)), addr);

	/* Then make it plenty, so that it could be kept */
	for (nr = 4; nr < pages; nr++)
		KUNIT_ASSERT_TRUE(test, p2pdma_pool_free(&book->pool,
							 addr + to_bytes(nr),
							 PAGE_SIZE));
	p2pdma_pool_drain(&book->pool);
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);

	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(4)));
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), to_bytes(4));
	book_audit(book);
}

/* A pool of which there is less for each CPU than a page */
static void keeps_nothing_of_a_tiny_pool(struct kunit *test)
{
	unsigned int pages = SHARE * num_possible_cpus() - 1;
	struct book *book = book_open(test, NOWHERE, &pages, 1);

	stay(test);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_audit(book);
}

/* Ranges that are added later count */
static void keeps_more_of_a_larger_pool(struct kunit *test)
{
	unsigned int more = ALL_LENGTHS * num_possible_cpus() * SHARE;
	unsigned int pages = 1;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct page *page = book_pages(test, more);
	void *addr;

	stay(test);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool,
					      (void *)NOWHERE + SZ_1T, page,
					      to_bytes(more), NUMA_NO_NODE), 0);
	addr = p2pdma_pool_alloc(&book->pool, SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, addr, SZ_1M));
	KUNIT_EXPECT_EQ(test, book_parked(book), SZ_1M);
	/* Which range it came from is known when it goes back */
	p2pdma_pool_drain(&book->pool);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(1 + more));
	addr = p2pdma_pool_alloc(&book->pool, to_bytes(more));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, addr,
						 to_bytes(more)));
}

/* Whatever is kept, all of the pool can be had in one piece */
static void gives_back_under_pressure(struct kunit *test)
{
	struct book *book = open_pool(test, P2PDMA_FRONT_DEPTH);
	unsigned int class, i;
	size_t most;

	stay(test);
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++)
		for (i = 0; i < P2PDMA_FRONT_DEPTH; i++)
			KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, PAGE_SIZE << class));
	book_free_all(book);
	most = book_parked(book);
	KUNIT_ASSERT_GT(test, most, 0);

	/* One piece, of a length that is no power of two */
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(book->pages - 1)));
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_free_all(book);

	/* In pieces */
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_4K));
	book_free_all(book);
	KUNIT_ASSERT_GT(test, book_parked(book), 0);
	KUNIT_EXPECT_EQ(test, book_gather(book, to_bytes(book->pages), 1,
					  SIZE_MAX), 1);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), 0);
	book_free_all(book);
	book_audit(book);
}

/* Below a sixteenth nothing is kept, until there is an eighth */
static void keeps_nothing_when_it_is_scarce(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned int scarce = book->pages / 16, i, last;
	void *addr;

	stay(test);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(2 * scarce + 1)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
	book_free(book, 0);
	KUNIT_ASSERT_GE(test, book_parked(book), SZ_64K);

	/* All but a page of what makes it scarce */
	p2pdma_pool_drain(&book->pool);
	addr = book_alloc(book, p2pdma_pool_available(&book->pool) -
				to_bytes(scarce));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, SZ_4K));
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);

	/* What nearly makes it plenty */
	last = book->nr_pieces;
	for (i = 0; i < last; i++)
		if (book->pieces[i].size == to_bytes(2 * scarce + 1))
			break;
	KUNIT_ASSERT_LT(test, i, last);
	book_free(book, i);
	for (i = 0; i < book->nr_pieces; i++)
		if (book->pieces[i].size == SZ_64K)
			break;
	KUNIT_ASSERT_LT(test, i, book->nr_pieces);
	book_free(book, i);
	KUNIT_EXPECT_EQ(test, book_parked(book), SZ_64K);
	book_free_all(book);
	book_audit(book);
}

/* What is kept when it becomes scarce goes back with the next free */
static void takes_back_when_it_becomes_scarce(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned int i;

	stay(test);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, 3 * SZ_4K));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_1M));
	KUNIT_ASSERT_EQ(test, book_parked(book), SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(book->pages / 16 * 15)));
	KUNIT_EXPECT_EQ(test, book_parked(book), SZ_1M);
	for (i = 0; book->pieces[i].size != 3 * SZ_4K; i++)
		;
	book_free(book, i);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_audit(book);
}

/* Other CPUs --------------------------------------------------------------- */

struct elsewhere {
	struct book *book;
	struct completion done;
	bool ok;
};

/* Leave something of each length in the front of the CPU that this runs on */
static int use_front(void *data)
{
	struct elsewhere *e = data;
	void *addr[P2PDMA_FRONT_CLASSES];
	unsigned int class;

	e->ok = true;
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++) {
		addr[class] = p2pdma_pool_alloc(&e->book->pool,
						PAGE_SIZE << class);
		e->ok &= !!addr[class];
	}
	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++)
		if (addr[class])
			e->ok &= p2pdma_pool_free(&e->book->pool, addr[class],
						  PAGE_SIZE << class);
	complete(&e->done);
	return 0;
}

static void use_front_of(struct kunit *test, struct book *book,
			 unsigned int cpu)
{
	struct elsewhere e = { .book = book };
	struct task_struct *task;

	init_completion(&e.done);
	task = kthread_create(use_front, &e, "p2pdma_front_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpu);
	wake_up_process(task);
	wait_for_completion(&e.done);
	KUNIT_ASSERT_TRUE(test, e.ok);
}

static unsigned int other_cpu(struct kunit *test)
{
	unsigned int cpu = cpumask_any_but(cpu_online_mask,
					   raw_smp_processor_id());

	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	return cpu;
}

static void finds_what_another_cpu_keeps(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned int cpu;

	stay(test);
	cpu = other_cpu(test);
	use_front_of(test, book, cpu);
	KUNIT_EXPECT_EQ(test, book_parked(book), to_bytes(ALL_LENGTHS));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(book->pages));
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(book->pages)));
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
}

static void online_again(void *data)
{
	add_cpu((unsigned long)data);
}

/* Memory that an offline CPU keeps is as free as any */
static void finds_what_an_offline_cpu_keeps(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned long cpu;

	stay(test);
	cpu = other_cpu(test);
	use_front_of(test, book, cpu);
	KUNIT_EXPECT_EQ(test, book_parked(book), to_bytes(ALL_LENGTHS));

	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, online_again,
							(void *)cpu), 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), to_bytes(ALL_LENGTHS));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(book->pages));
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(book->pages)));
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_free_all(book);

	/* And the CPU begins anew */
	kunit_release_action(test, online_again, (void *)cpu);
	use_front_of(test, book, cpu);
	KUNIT_EXPECT_EQ(test, book_parked(book), to_bytes(ALL_LENGTHS));
	book_audit(book);
}

/* Checks, and the end ------------------------------------------------------- */

static void notices_a_second_free(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	void *addr;

	stay(test);
	addr = book_alloc(book, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	p2pdma_pool_drain(&book->pool);
	book_free(book, 0);
	KUNIT_ASSERT_EQ(test, book_parked(book), SZ_64K);

	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, addr, SZ_64K));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, addr, SZ_4K));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_split(&book->pool, addr, SZ_64K));
	KUNIT_EXPECT_EQ(test, book->complaints, 3);
	KUNIT_EXPECT_EQ(test, book_parked(book), SZ_64K);
	book_audit(book);

	/* And what came along with another allocation never was one */
	KUNIT_ASSERT_PTR_EQ(test, book_alloc(book, SZ_64K), addr);
	KUNIT_ASSERT_EQ(test, book_parked(book), SZ_64K);
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, addr - SZ_64K,
						  SZ_64K));
	book_audit(book);
}

static void dead_pool_keeps_nothing(struct kunit *test)
{
	struct book *book = open_pool(test, 1);

	stay(test);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_4K));
	book_free(book, 0);
	KUNIT_ASSERT_GT(test, book_parked(book), 0);

	p2pdma_pool_kill(&book->pool);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	KUNIT_EXPECT_NULL(test, book_alloc(book, SZ_64K));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_wait_idle(&book->pool, 0));
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, 0));
}

/*
 * A free that has looked whether there is room before the pool died, and puts
 * the run there afterwards: nobody would find it again.
 */
static void late_comers_are_taken_back(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	struct p2pdma_fronts *fronts = &book->pool.fronts;

	stay(test);
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, SZ_64K));
	p2pdma_pool_kill(&book->pool);
	/* As that free has seen it */
	fronts->room[4] = 1;
	book_free(book, 0);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, 0));
	fronts->room[4] = 0;
}

/* The memory for the fronts could not be had */
static void works_without_fronts(struct kunit *test)
{
	struct book *book = open_pool(test, 1);
	unsigned long hits, misses;
	unsigned int class;

	p2pdma_front_destroy(&book->pool.fronts);
	p2pdma_front_close(&book->pool.fronts);
	p2pdma_front_open(&book->pool.fronts, book->pages, false);

	for (class = 0; class < P2PDMA_FRONT_CLASSES; class++) {
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, PAGE_SIZE << class));
		KUNIT_ASSERT_EQ(test, book_gather(book, PAGE_SIZE << class, 1,
						  SIZE_MAX), 1);
	}
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	count(book, &hits, &misses);
	KUNIT_EXPECT_EQ(test, hits + misses, 0);
	book_free_all(book);
	KUNIT_EXPECT_EQ(test, book_parked(book), 0);
	book_audit(book);
}

static struct kunit_case p2pdma_front_cases[] = {
	KUNIT_CASE(hits),
	KUNIT_CASE(misses_refill),
	KUNIT_CASE(keeps_what_it_may),
	KUNIT_CASE(keeps_nothing_else),
	KUNIT_CASE(keeps_only_what_is_aligned),
	KUNIT_CASE(keeps_nothing_of_a_tiny_pool),
	KUNIT_CASE(keeps_more_of_a_larger_pool),
	KUNIT_CASE(gives_back_under_pressure),
	KUNIT_CASE(keeps_nothing_when_it_is_scarce),
	KUNIT_CASE(takes_back_when_it_becomes_scarce),
	KUNIT_CASE(finds_what_another_cpu_keeps),
	KUNIT_CASE(finds_what_an_offline_cpu_keeps),
	KUNIT_CASE(notices_a_second_free),
	KUNIT_CASE(dead_pool_keeps_nothing),
	KUNIT_CASE(late_comers_are_taken_back),
	KUNIT_CASE(works_without_fronts),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_front_suite = {
	.name = "p2pdma_front",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_front_cases,
};

kunit_test_suite(p2pdma_front_suite);

MODULE_DESCRIPTION("KUnit tests of what CPUs keep of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
