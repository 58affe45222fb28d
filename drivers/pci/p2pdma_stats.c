// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of the memory of a peer-to-peer DMA provider: how much there is,
 * how much of it is free, and what became of requests for it.
 *
 * Nothing is counted for this with every allocation but what the pool needs
 * itself (p2pdma_pool.c) and the hits of what CPUs keep at hand (p2pdma_front.c).
 * The rest is found out here when somebody asks.
 *
 * Locking: pool->lock where the runs of a range are looked at.  The list of
 * ranges only grows, and tags may be read at any time.
 */
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "p2pdma_pool.h"
#include "p2pdma_run.h"

/* Runs to compare where the longest of a list is wanted */
#define LONGEST_OF	64

/**
 * p2pdma_pool_size - all memory of the pool
 * @pool: the pool
 *
 * Return: number of bytes.
 */
size_t p2pdma_pool_size(struct p2pdma_pool *pool)
{
	return READ_ONCE(pool->pages) << PAGE_SHIFT;
}

/**
 * p2pdma_pool_available - memory that is not allocated
 * @pool: the pool
 *
 * Return: number of bytes, exact if no call is in progress.
 */
size_t p2pdma_pool_available(struct p2pdma_pool *pool)
{
	unsigned long parked = p2pdma_front_parked(&pool->fronts, NULL);

	/* What a CPU gives back meanwhile may be counted twice */
	return min(READ_ONCE(pool->free_pages) + parked,
		   READ_ONCE(pool->pages)) << PAGE_SHIFT;
}

/* Longest free run of a range in pages.  Called with pool->lock held */
static unsigned long longest_free(const struct p2pdma_range *range)
{
	unsigned int class = p2pdma_range_last(range), n = 0;
	unsigned long longest = 0;
	struct page *page;

	if (class >= P2PDMA_RUN_CLASSES)
		return 0;

	for (page = (struct page *)range->head[class]; page && n < LONGEST_OF;
	     page = (struct page *)page->private, n++)
		longest = max(longest, p2pdma_run_len(page));

	return longest;
}

/**
 * p2pdma_pool_stats - the book of a pool
 * @pool: the pool
 * @stats: returns it
 *
 * Context: any context but NMI.
 */
void p2pdma_pool_stats(struct p2pdma_pool *pool,
		       struct p2pdma_pool_stats *stats)
{
	unsigned long parked = p2pdma_front_parked(&pool->fronts, NULL);
	unsigned long flags, longest = 0;
	struct p2pdma_range *range;

	spin_lock_irqsave(&pool->lock, flags);
	list_for_each_entry(range, &pool->ranges, node)
		longest = max(longest, longest_free(range));
	stats->size = pool->pages << PAGE_SHIFT;
	stats->available = min(pool->free_pages + parked, pool->pages) <<
			   PAGE_SHIFT;
	stats->parked = parked << PAGE_SHIFT;
	stats->longest = longest << PAGE_SHIFT;
	stats->peak = (pool->pages - pool->least_free) << PAGE_SHIFT;
	stats->failures = pool->failures;
	stats->referenced = pool->referenced;
	spin_unlock_irqrestore(&pool->lock, flags);
}

/**
 * p2pdma_pool_in_use - what is allocated
 * @pool: the pool
 * @nr: returns the number of allocations of up to 2^i pages, and of more than
 *	2^(i - 1)
 *
 * Looks at all pages.  What changes meanwhile may be counted or not.
 *
 * Context: process context, may sleep.
 */
void p2pdma_pool_in_use(struct p2pdma_pool *pool,
			unsigned long nr[P2PDMA_POOL_CLASSES])
{
	struct p2pdma_range *range;
	unsigned long tag, i;

	memset(nr, 0, P2PDMA_POOL_CLASSES * sizeof(*nr));

	list_for_each_entry_lockless(range, &pool->ranges, node) {
		for (i = 0; i < range->pages; i++) {
			tag = p2pdma_run_tag(range->page + i);
			if (tag & P2PDMA_RUN_USED)
				nr[order_base_2(tag >> P2PDMA_RUN_SHIFT)]++;
			if (i % SZ_4K == 0)
				cond_resched();
		}
	}
}
