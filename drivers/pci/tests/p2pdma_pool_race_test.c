// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the allocator of peer-to-peer DMA memory, two CPUs at a time,
 * and in interrupts.
 *
 * Whoever gets a page enters himself as its owner, and strikes himself out
 * before he frees it.  A page that has an owner already was handed out twice.
 *
 * Two pools are fought over.  Of a small one there is never enough, and CPUs keep
 * the shortest runs at hand only.  Of a large one they keep runs of every length
 * up to 1 MiB, which are exchanged without a lock: what one thread allocates the
 * other frees, while a third party takes back what is kept (drain), and now and
 * then all that there is.  In the end the pool is killed while they go on: what
 * is freed from then on must not get lost in a slot that nobody looks at.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/page_ref.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "../pci_kunit.h"
#include "p2pdma_book.h"

#define HAMMER_STEPS	10000
#define HAMMER_PIECES	24

/* A pool of which four CPUs keep runs of all lengths */
#define LARGE_POOL	SZ_64K
#define EXCHANGE_STEPS	20000
#define EXCHANGE_SLOTS	32

/* How often a pool is killed, and how long its memory may take to come back */
#define KILL_ROUNDS	40
#define KILL_TIMEOUT	(60 * HZ)

struct hammer {
	struct p2pdma_pool *pool;
	unsigned int pages;
	atomic_t *owner;		/* one for each page */
	int id;
	unsigned long *slots;		/* allocations that change hands */
	bool *killed;			/* nothing may be handed out any more */
	unsigned long allocated;
	unsigned long refused;
	unsigned long taken;		/* pages that somebody else had */
	unsigned long lost;		/* pages that were not ours at the end */
	unsigned long rejected;		/* frees and splits */
	unsigned long late;		/* allocations from a pool that is dead */
	struct completion *go;		/* to begin when both are there */
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

static void hammer_disown_of(struct hammer *h, int id, void *addr, size_t size)
{
	unsigned int page = ((unsigned long)addr - NOWHERE) >> PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < to_pages(size); i++)
		if (page + i >= h->pages ||
		    atomic_cmpxchg(&h->owner[page + i], id, 0) != id)
			h->lost++;
}

static void hammer_disown(struct hammer *h, void *addr, size_t size)
{
	hammer_disown_of(h, h->id, addr, size);
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
static void hammer_gather(struct hammer *h, size_t size, size_t max_piece)
{
	struct page *piece, *next, *first;
	unsigned int nr;
	size_t got;

	first = p2pdma_pool_gather(h->pool, size, UINT_MAX, max_piece, &nr);
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

	if (h->go)
		wait_for_completion(h->go);
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
			continue;
		}
		if (draw(&rnd, 4)) {
			p->addr = p2pdma_pool_alloc(h->pool, p->size);
		} else {
			hammer_gather(h, p->size, 5 * PAGE_SIZE);
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

static void hammer_start(struct kunit *test, struct hammer *h,
			 int (*work)(void *data), unsigned int cpu)
{
	struct task_struct *task;

	init_completion(&h->done);
	task = kthread_create(work, h, "p2pdma_pool_test/%d", h->id);
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
	DECLARE_COMPLETION_ONSTACK(go);
	unsigned int cpu[2], i;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, h);
	two_cpus(cpu);

	for (i = 0; i < 2; i++) {
		h[i].pool = &book->pool;
		h[i].pages = pages;
		h[i].owner = owner;
		h[i].id = i + 1;
		h[i].go = &go;
		hammer_start(test, &h[i], hammer, cpu[i]);
	}
	complete_all(&go);
	for (i = 0; i < 2; i++)
		wait_for_completion(&h[i].done);

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
	}
	/* Otherwise it would have been no contest */
	KUNIT_EXPECT_GT(test, h[0].refused + h[1].refused, 0);
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
	hammer_start(test, &h[1], hammer, cpu[1]);
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

/* Runs of all lengths ------------------------------------------------------- */

/* An allocation in one word: address, logarithm of the pages, who made it */
#define RUN_ID		GENMASK(3, 0)
#define RUN_CLASS	GENMASK(7, 4)

static unsigned long run_alloc(struct hammer *h, unsigned int class)
{
	/* Looked at before the pool is: see kill_under() */
	bool killed = smp_load_acquire(h->killed);
	void *addr = p2pdma_pool_alloc(h->pool, PAGE_SIZE << class);

	if (!addr) {
		h->refused++;
		return 0;
	}

	h->late += killed;
	h->allocated++;
	hammer_own(h, addr, PAGE_SIZE << class);
	return (unsigned long)addr | FIELD_PREP(RUN_CLASS, class) |
	       FIELD_PREP(RUN_ID, h->id);
}

static void run_free(struct hammer *h, unsigned long run)
{
	size_t size = PAGE_SIZE << FIELD_GET(RUN_CLASS, run);
	void *addr = (void *)(run & PAGE_MASK);

	hammer_disown_of(h, FIELD_GET(RUN_ID, run), addr, size);
	h->rejected += !p2pdma_pool_free(h->pool, addr, size);
}

/* Put a run, or none, in a slot, and free what was there, whoever put it there */
static void run_exchange(struct hammer *h, struct rnd_state *rnd,
			 unsigned long run)
{
	run = xchg(&h->slots[draw(rnd, EXCHANGE_SLOTS)], run);
	if (run)
		run_free(h, run);
}

static int exchange(void *data)
{
	struct hammer *h = data;
	unsigned int step;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, h->id);
	for (step = 0; step < EXCHANGE_STEPS; step++) {
		if (!draw(&rnd, 512))
			/* All that is free, as far as one can tell */
			hammer_gather(h, p2pdma_pool_available(h->pool),
				      SIZE_MAX);
		else if (!draw(&rnd, 3))
			run_exchange(h, &rnd, 0);
		else
			run_exchange(h, &rnd,
				     run_alloc(h, draw(&rnd, P2PDMA_FRONT_CLASSES)));
		/* In emulation this lets the other CPU run */
		if (!draw(&rnd, 4))
			cpu_relax();
		cond_resched();
	}

	complete(&h->done);
	return 0;
}

/* Until nothing can be had any more, and then all that was had is freed */
static int exchange_until_killed(void *data)
{
	struct hammer *h = data;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, h->id);
	/* The pool is dead for whoever sees this: see kill_under() */
	while (!smp_load_acquire(h->killed)) {
		run_exchange(h, &rnd,
			     run_alloc(h, draw(&rnd, P2PDMA_FRONT_CLASSES)));
		if (!draw(&rnd, 4))
			cpu_relax();
		cond_resched();
	}

	for (i = 0; i < EXCHANGE_SLOTS; i++) {
		run_exchange(h, &rnd, 0);
		run_exchange(h, &rnd, run_alloc(h, i % P2PDMA_FRONT_CLASSES));
	}
	for (i = 0; i < EXCHANGE_SLOTS; i++) {
		unsigned long run = xchg(&h->slots[i], 0);

		if (run)
			run_free(h, run);
	}

	complete(&h->done);
	return 0;
}

/* Two threads on a pool of LARGE_POOL pages */
static struct hammer *two_exchangers(struct kunit *test,
				     struct p2pdma_pool *pool)
{
	struct hammer *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	unsigned long *slots = kunit_kcalloc(test, EXCHANGE_SLOTS,
					     sizeof(*slots), GFP_KERNEL);
	atomic_t *owner = kunit_kcalloc(test, LARGE_POOL, sizeof(*owner),
					GFP_KERNEL);
	bool *killed = kunit_kzalloc(test, sizeof(*killed), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, h);
	KUNIT_ASSERT_NOT_NULL(test, slots);
	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, killed);
	for (i = 0; i < 2; i++) {
		h[i].pool = pool;
		h[i].pages = LARGE_POOL;
		h[i].owner = owner;
		h[i].id = i + 1;
		h[i].slots = slots;
		h[i].killed = killed;
	}
	return h;
}

static void expect_no_quarrel(struct kunit *test, const struct hammer *h)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
		KUNIT_EXPECT_EQ(test, h[i].late, 0);
		KUNIT_EXPECT_GT(test, h[i].allocated, 0);
	}
}

static void runs_of_all_lengths_change_hands(struct kunit *test)
{
	static const unsigned int pages = LARGE_POOL;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct hammer *h = two_exchangers(test, &book->pool);
	unsigned long nr[P2PDMA_FRONT_CLASSES], hits, misses;
	bool seen[P2PDMA_FRONT_CLASSES] = {};
	unsigned int cpu[2], i;

	for (i = 0; i < P2PDMA_FRONT_CLASSES; i++)
		KUNIT_ASSERT_GT_MSG(test, book->pool.fronts.depth[i], 0,
				    "CPUs keep no runs of %u pages", 1U << i);
	two_cpus(cpu);
	for (i = 0; i < 2; i++)
		hammer_start(test, &h[i], exchange, cpu[i]);
	for (i = 0; i < 2; ) {
		unsigned int class;

		if (try_wait_for_completion(&h[i].done)) {
			i++;
			continue;
		}
		p2pdma_front_parked(&book->pool.fronts, nr);
		for (class = 0; class < P2PDMA_FRONT_CLASSES; class++)
			seen[class] |= nr[class];
		p2pdma_pool_drain(&book->pool);
		usleep_range(100, 1000);
	}

	expect_no_quarrel(test, h);
	/* Otherwise it would have been no contest */
	KUNIT_EXPECT_GT(test, h[0].refused + h[1].refused, 0);
	for (i = 0; i < P2PDMA_FRONT_CLASSES; i++)
		KUNIT_EXPECT_TRUE_MSG(test, seen[i],
				      "no run of %u pages was ever kept",
				      1U << i);
	for (i = 0; i < 2; i++) {
		p2pdma_front_count(&book->pool.fronts, cpu[i], &hits, &misses);
		KUNIT_EXPECT_GT_MSG(test, hits, 0, "CPU %u", cpu[i]);
	}

	for (i = 0; i < EXCHANGE_SLOTS; i++)
		if (h->slots[i])
			run_free(h, h->slots[i]);
	KUNIT_EXPECT_EQ(test, h->lost + h->rejected, 0);
	book_audit(book);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));
}

/* A pool that is killed under two threads gets all its memory back, or false */
static bool kill_under(struct kunit *test, struct hammer *h, unsigned int round)
{
	struct p2pdma_pool *pool = h->pool;
	unsigned int cpu[2], i;
	bool idle;

	two_cpus(cpu);
	WRITE_ONCE(*h->killed, false);
	for (i = 0; i < 2; i++)
		hammer_start(test, &h[i], exchange_until_killed, cpu[i]);
	usleep_range(500, 500 + 100 * round);
	p2pdma_pool_kill(pool);
	/* Whoever sees it must get nothing any more */
	smp_store_release(h->killed, true);

	idle = p2pdma_pool_wait_idle(pool, KILL_TIMEOUT);
	for (i = 0; i < 2; i++)
		wait_for_completion(&h[i].done);
	KUNIT_EXPECT_TRUE_MSG(test, idle, "round %u", round);
	KUNIT_EXPECT_EQ_MSG(test, p2pdma_front_parked(&pool->fronts, NULL), 0,
			    "round %u", round);
	KUNIT_EXPECT_EQ_MSG(test, p2pdma_pool_available(pool),
			    to_bytes(LARGE_POOL), "round %u", round);
	return idle;
}

static void killed_while_runs_change_hands(struct kunit *test)
{
	struct p2pdma_pool *pool = kunit_kzalloc(test, sizeof(*pool), GFP_KERNEL);
	struct page *page = book_pages(test, LARGE_POOL);
	struct hammer *h = two_exchangers(test, pool);
	unsigned int round, i;

	KUNIT_ASSERT_NOT_NULL(test, pool);
	for (round = 0; round < KILL_ROUNDS; round++) {
		/* As a provider's pages are when it gets them */
		memset(page, 0, array_size(LARGE_POOL, sizeof(*page)));
		for (i = 0; i < LARGE_POOL; i++)
			set_page_count(page + i, 1);
		p2pdma_pool_init(pool, NULL);
		KUNIT_ASSERT_EQ(test, p2pdma_pool_add(pool, (void *)NOWHERE,
						      page,
						      to_bytes(LARGE_POOL),
						      NUMA_NO_NODE), 0);
		if (!kill_under(test, h, round))
			break;
		p2pdma_pool_destroy(pool);
	}
	expect_no_quarrel(test, h);
	KUNIT_EXPECT_EQ(test, round, KILL_ROUNDS);
}

static struct kunit_case p2pdma_pool_race_cases[] = {
	KUNIT_CASE(no_page_belongs_to_two),
	KUNIT_CASE(interrupts_a_thread),
	KUNIT_CASE_SLOW(runs_of_all_lengths_change_hands),
	KUNIT_CASE_SLOW(killed_while_runs_change_hands),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_pool_race_suite = {
	.name = "p2pdma_pool_race",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_pool_race_cases,
};

kunit_test_suite(p2pdma_pool_race_suite);

MODULE_DESCRIPTION("KUnit tests of two CPUs on one pool of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
