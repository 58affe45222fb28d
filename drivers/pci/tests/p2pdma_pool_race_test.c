// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the allocator of peer-to-peer DMA memory, two CPUs at a time,
 * and in interrupts.
 *
 * Whoever gets a page enters himself as its owner, and strikes himself out
 * before he frees it.  A page that has an owner already was handed out twice.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include "p2pdma_book.h"

#define HAMMER_STEPS	10000
#define HAMMER_PIECES	24

struct hammer {
	struct p2pdma_pool *pool;
	unsigned int pages;
	atomic_t *owner;		/* one for each page */
	int id;
	unsigned long refused;
	unsigned long taken;		/* pages that somebody else had */
	unsigned long lost;		/* pages that were not ours at the end */
	unsigned long rejected;		/* frees and splits */
	struct completion done;
};

static void hammer_own(struct hammer *h, void *addr, size_t size)
{
	unsigned int page = ((unsigned long)addr - NOWHERE) >> PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < to_pages(size); i++)
		if (page + i >= h->pages ||
		    atomic_cmpxchg(&h->owner[page + i], 0, h->id))
			h->taken++;
}

static void hammer_disown(struct hammer *h, void *addr, size_t size)
{
	unsigned int page = ((unsigned long)addr - NOWHERE) >> PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < to_pages(size); i++)
		if (page + i >= h->pages ||
		    atomic_cmpxchg(&h->owner[page + i], h->id, 0) != h->id)
			h->lost++;
}

static void hammer_free(struct hammer *h, struct piece *piece, bool split)
{
	size_t done;

	hammer_disown(h, piece->addr, piece->size);
	if (!split) {
		h->rejected += !p2pdma_pool_free(h->pool, piece->addr,
						 piece->size);
	} else {
		h->rejected += !p2pdma_pool_split(h->pool, piece->addr,
						  piece->size);
		for (done = 0; done < piece->size; done += PAGE_SIZE)
			h->rejected += !p2pdma_pool_free(h->pool,
							 piece->addr + done,
							 PAGE_SIZE);
	}
	piece->addr = NULL;
}

/* Several pieces, all of which are freed again at once */
static void hammer_gather(struct hammer *h, size_t size)
{
	struct page *piece, *next, *first;
	unsigned int nr;
	size_t got;

	first = p2pdma_pool_gather(h->pool, size, UINT_MAX, 5 * PAGE_SIZE, &nr);
	for (piece = first; piece; piece = next) {
		next = p2pdma_pool_next_piece(piece, &got);
		hammer_own(h, p2pdma_pool_address(h->pool, piece), got);
	}
	for (piece = first; piece; piece = next) {
		next = p2pdma_pool_next_piece(piece, &got);
		hammer_disown(h, p2pdma_pool_address(h->pool, piece), got);
	}
	h->refused += !first;
	p2pdma_pool_free_pieces(h->pool, first);
}

static int hammer(void *data)
{
	struct hammer *h = data;
	struct piece piece[HAMMER_PIECES] = {};
	struct rnd_state rnd;
	unsigned int i, step;

	prandom_seed_state(&rnd, h->id);
	for (step = 0; step < HAMMER_STEPS; step++) {
		struct piece *p = &piece[draw(&rnd, HAMMER_PIECES)];

		if (p->addr) {
			hammer_free(h, p, !draw(&rnd, 8));
			continue;
		}
		p->size = 1 + draw(&rnd, 12 * PAGE_SIZE);
		if (!draw(&rnd, 16)) {
			/* Here and there, as when memory runs short */
			p2pdma_pool_drain(h->pool);
		} else if (draw(&rnd, 4)) {
			p->addr = p2pdma_pool_alloc(h->pool, p->size);
		} else {
			hammer_gather(h, p->size);
			continue;
		}
		if (p->addr)
			hammer_own(h, p->addr, p->size);
		else
			h->refused++;
	}
	for (i = 0; i < HAMMER_PIECES; i++)
		if (piece[i].addr)
			hammer_free(h, &piece[i], false);

	complete(&h->done);
	return 0;
}

static void hammer_start(struct kunit *test, struct hammer *h, unsigned int cpu)
{
	struct task_struct *task;

	init_completion(&h->done);
	task = kthread_create(hammer, h, "p2pdma_pool_test/%d", h->id);
	if (IS_ERR(task)) {
		KUNIT_FAIL(test, "no thread: %pe", task);
		complete(&h->done);
		return;
	}
	kthread_bind(task, cpu);
	wake_up_process(task);
}

/* CPUs to use: two, if there are */
static void two_cpus(unsigned int cpu[2])
{
	cpu[0] = cpumask_first(cpu_online_mask);
	cpu[1] = cpumask_next(cpu[0], cpu_online_mask);
	if (cpu[1] >= nr_cpu_ids)
		cpu[1] = cpu[0];
}

static void no_page_belongs_to_two(struct kunit *test)
{
	/* Less than both would like to have, so that some are refused */
	static const unsigned int pages = 200;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	atomic_t *owner = kunit_kcalloc(test, pages, sizeof(*owner), GFP_KERNEL);
	struct hammer *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	unsigned int cpu[2], i;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, h);
	two_cpus(cpu);

	for (i = 0; i < 2; i++) {
		h[i].pool = &book->pool;
		h[i].pages = pages;
		h[i].owner = owner;
		h[i].id = i + 1;
		hammer_start(test, &h[i], cpu[i]);
	}
	for (i = 0; i < 2; i++)
		wait_for_completion(&h[i].done);

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
		/* Otherwise it would have been no contest */
		KUNIT_EXPECT_GT(test, h[i].refused, 0);
	}
	book_audit(book);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));
}

static void from_interrupt(void *data)
{
	struct hammer *h = data;
	void *addr = p2pdma_pool_alloc(h->pool, 3 * PAGE_SIZE);

	if (!addr) {
		h->refused++;
		return;
	}
	hammer_own(h, addr, 3 * PAGE_SIZE);
	hammer_disown(h, addr, 3 * PAGE_SIZE);
	h->rejected += !p2pdma_pool_free(h->pool, addr, 3 * PAGE_SIZE);
}

/* Interrupts come at any point of what the thread on the same CPU does */
static void interrupts_a_thread(struct kunit *test)
{
	static const unsigned int pages = 100;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	atomic_t *owner = kunit_kcalloc(test, pages, sizeof(*owner), GFP_KERNEL);
	struct hammer *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	unsigned int cpu[2], i, calls = 0;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, h);
	two_cpus(cpu);
	if (cpu[0] == cpu[1])
		kunit_skip(test, "needs two CPUs");

	for (i = 0; i < 2; i++) {
		h[i].pool = &book->pool;
		h[i].pages = pages;
		h[i].owner = owner;
		h[i].id = i + 1;
	}
	hammer_start(test, &h[1], cpu[1]);
	while (!try_wait_for_completion(&h[1].done)) {
		if (smp_call_function_single(cpu[1], from_interrupt, &h[0],
					     true))
			break;
		calls++;
		cond_resched();
	}
	KUNIT_EXPECT_GT(test, calls, 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
	}
	KUNIT_EXPECT_LT(test, h[0].refused, calls);
	book_audit(book);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));
}

static struct kunit_case p2pdma_pool_race_cases[] = {
	KUNIT_CASE(no_page_belongs_to_two),
	KUNIT_CASE(interrupts_a_thread),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite p2pdma_pool_race_suite = {
	.name = "p2pdma_pool_race",
	.suite_init = complaints_start,
	.test_cases = p2pdma_pool_race_cases,
};

kunit_test_suite(p2pdma_pool_race_suite);

MODULE_DESCRIPTION("KUnit tests of two CPUs on one pool of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
