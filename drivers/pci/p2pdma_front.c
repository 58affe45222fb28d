// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of pages that each CPU keeps at hand, in front of a pool.
 *
 * Storage allocates and frees buffers of the same few sizes over and over.  A
 * run of a power of two of pages, up to 1 MiB, that is freed is not merged with
 * its neighbours at once but kept by the CPU that freed it, and is the answer
 * to the next request for that many pages on this CPU: neither the pool's lock
 * nor its lists are touched.
 *
 * There is no lock here either.  A front is an array of slots, a few for each
 * length, and a run belongs to whoever exchanges the slot for NULL, be it the
 * CPU itself, an interrupt on it, or another CPU that needs the memory.  It
 * makes no difference if a task is moved to another CPU while it looks, so that
 * nothing has to be disabled.
 *
 * What is kept is not lost: a pool that cannot serve a request takes back what
 * the fronts keep, one front after the other, and fails only if that does not
 * help either.  This reaches the fronts of all CPUs, of those that went offline
 * too, for which nothing else needs to be done.  Fronts that may hold something
 * are in a list, so that the time this takes depends on how many CPUs used the
 * pool of late, and not on how many there are.
 *
 * How much can be kept is bounded: all CPUs together may keep a 16th part of a
 * pool.  It is shared out a run of each length at a time, short ones first, so
 * that on many CPUs a small pool keeps short runs only, and a tiny one none.
 *
 * Invariants:
 *  - a run in a slot is in no other slot, and belongs to nobody;
 *  - a front whose slots are not all empty is in the list, or whoever filled
 *    the slot is about to put it there and has not returned yet.
 *
 * What must never happen: memory in a slot that nobody finds.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/string.h>

#include "p2pdma_front.h"

/* Part of a pool that all CPUs together may keep */
#define FRONT_SHARE	16

/**
 * p2pdma_front_init - make fronts that keep nothing
 * @fronts: the fronts
 *
 * If there is no memory they never will keep anything, which is slow and
 * otherwise harmless.
 *
 * Context: process context, may sleep.
 */
void p2pdma_front_init(struct p2pdma_fronts *fronts)
{
	memset(fronts->depth, 0, sizeof(fronts->depth));
	memset(fronts->room, 0, sizeof(fronts->room));
	init_llist_head(&fronts->listed);
	fronts->cpu = alloc_percpu(struct p2pdma_front);
}

/**
 * p2pdma_front_destroy - free the fronts
 * @fronts: the fronts, with nothing in them and nobody using them
 *
 * Context: process context.
 */
void p2pdma_front_destroy(struct p2pdma_fronts *fronts)
{
	free_percpu(fronts->cpu);
	fronts->cpu = NULL;
}

/**
 * p2pdma_front_open - let CPUs keep runs, or more of them
 * @fronts: the fronts
 * @pages: number of pages of the pool
 * @look: whoever frees a run is to look at it more closely first
 *
 * Context: any context.  One caller at a time of this, of p2pdma_front_look()
 * and of p2pdma_front_close().
 */
void p2pdma_front_open(struct p2pdma_fronts *fronts, unsigned long pages,
		       bool look)
{
	unsigned long left = pages / FRONT_SHARE / num_possible_cpus();
	unsigned int depth, class;

	if (!fronts->cpu)
		return;

	fronts->most = 0;
	for (depth = 1; depth <= P2PDMA_FRONT_DEPTH; depth++) {
		for (class = 0; class < P2PDMA_FRONT_CLASSES; class++) {
			if (left >> class == 0)
				return;
			left -= 1UL << class;
			fronts->most = depth;
			WRITE_ONCE(fronts->depth[class], depth);
			WRITE_ONCE(fronts->room[class], look ? 0 : depth);
		}
	}
}

/**
 * p2pdma_front_look - have runs looked at more closely before they are kept
 * @fronts: the fronts
 *
 * Context: as for p2pdma_front_open().
 */
void p2pdma_front_look(struct p2pdma_fronts *fronts)
{
	/* Readers look at single bytes, in whatever order */
	memset(fronts->room, 0, sizeof(fronts->room));
}

/**
 * p2pdma_front_close - let CPUs keep nothing from now on
 * @fronts: the fronts
 *
 * What they keep stays, and who is just about to put something may still do so.
 *
 * Context: as for p2pdma_front_open().
 */
void p2pdma_front_close(struct p2pdma_fronts *fronts)
{
	memset(fronts->room, 0, sizeof(fronts->room));
	memset(fronts->depth, 0, sizeof(fronts->depth));
}

/**
 * p2pdma_front_list - enter a front into the list of those that hold something
 * @fronts: the fronts
 * @front: the one
 *
 * Context: any context but NMI.
 */
void p2pdma_front_list(struct p2pdma_fronts *fronts, struct p2pdma_front *front)
{
	if (!xchg(&front->listed, true))
		llist_add(&front->node, &fronts->listed);
}

/**
 * p2pdma_front_next - take a front from the list
 * @fronts: the fronts
 *
 * The caller takes what is in its slots, and lists it again if that is not all of
 * it.
 *
 * Context: any context but NMI.  One caller at a time.
 * Return: the front, or NULL if the list is empty.
 */
struct p2pdma_front *p2pdma_front_next(struct p2pdma_fronts *fronts)
{
	struct llist_node *node = llist_del_first(&fronts->listed);
	struct p2pdma_front *front;

	if (!node)
		return NULL;

	front = llist_entry(node, struct p2pdma_front, node);
	/*
	 * Who fills a slot looks afterwards whether the front is listed, and
	 * the slots are looked at after this: one of both sees the other.
	 */
	smp_store_mb(front->listed, false);
	return front;
}

/**
 * p2pdma_front_parked - how much is kept
 * @fronts: the fronts
 * @nr: returns the number of runs of each class, or NULL
 *
 * Context: any context.
 * Return: number of pages, exact if nobody takes or puts meanwhile.
 */
unsigned long p2pdma_front_parked(struct p2pdma_fronts *fronts,
				  unsigned long nr[P2PDMA_FRONT_CLASSES])
{
	struct p2pdma_front *front;
	unsigned long pages = 0;
	unsigned int class, i;
	int cpu;

	if (nr)
		memset(nr, 0, P2PDMA_FRONT_CLASSES * sizeof(*nr));
	if (!fronts->cpu)
		return 0;

	for_each_possible_cpu(cpu) {
		front = per_cpu_ptr(fronts->cpu, cpu);
		for (i = 0; i < P2PDMA_FRONT_SLOTS; i++) {
			if (!READ_ONCE(front->slot[i]))
				continue;
			class = i / P2PDMA_FRONT_DEPTH;
			pages += 1UL << class;
			if (nr)
				nr[class]++;
		}
	}

	return pages;
}

/**
 * p2pdma_front_count - how often a CPU found what it needed
 * @fronts: the fronts
 * @cpu: the CPU
 * @hits: returns the number of allocations served by its front
 * @misses: returns the number of those that a front could have served
 *
 * Context: any context.
 */
void p2pdma_front_count(struct p2pdma_fronts *fronts, int cpu,
			unsigned long *hits, unsigned long *misses)
{
	struct p2pdma_front *front;

	*hits = 0;
	*misses = 0;
	if (!fronts->cpu)
		return;

	front = per_cpu_ptr(fronts->cpu, cpu);
	*hits = READ_ONCE(front->hits);
	*misses = READ_ONCE(front->misses);
}
