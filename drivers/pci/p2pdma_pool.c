// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of peer-to-peer DMA memory.
 *
 * A pool owns the pages of one provider.  They come in ranges, one for each
 * resource that the provider added, and an allocation never crosses from one
 * range into the next: neighbouring ranges have different pagemaps, and a
 * buffer that spans two of them has no single translation.
 *
 * Each range is cut into runs of pages that are either free or allocated as
 * one piece.  Two arrays beside the memory describe them; the memory itself is
 * behind a device, slow to read, and must not be written to:
 *
 *   tag[p]   nonzero only where a run begins or a free run ends:
 *              first page of an allocated run   RUN_USED | length
 *              first and last page of a free run          length
 *            so both neighbours of a run that is being freed can be judged
 *            with one load each, and a bogus free finds a tag that differs.
 *   link[p]  list pointers, valid only for the first page of a free run.
 *
 * Free runs are kept in lists by length: one list for each length from 1 to
 * RUN_EXACT pages, so that the requests storage makes (4 KiB to 1 MiB) are
 * answered by the best fitting run, or known to be impossible, with one search
 * of a small bitmap.  Longer runs share a list with others whose length has
 * the same leading four bits.  Allocating and freeing thus take the same time
 * however large, full or fragmented a range is.  Only a request for more than
 * 1 MiB may have to look through one list of such long runs.
 *
 * Invariants, whenever the lock is not held:
 *  - every page belongs to exactly one run;
 *  - two free runs are never neighbours: freeing merges at once;
 *  - free_pages is the total length of the free runs, exact to the page.
 *
 * Locking: pool->lock is a leaf lock and is taken with interrupts disabled,
 * since the last reference to a user's page may be dropped in any context.
 * Allocation and freeing never sleep.
 *
 * What must never happen: a page in two allocations; a free that harms pages
 * of somebody else, whatever its arguments; destruction of a pool while a page
 * is allocated.
 */
#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "p2pdma_pool.h"

#define RUN_USED	BIT(31)
#define RUN_NONE	U32_MAX
/* Twice as much still has a class: 4 TiB of 4 KiB pages a range */
#define RUN_MAX		(BIT(30) - 1)

/* Lengths that have a list of their own; 256 pages are 1 MiB of 4 KiB pages */
#define RUN_EXACT	256U
#define RUN_EXACT_SHIFT	8
/* Every power of two above is shared out between this many lists */
#define RUN_SUB_SHIFT	3
#define RUN_CLASSES	(RUN_EXACT + ((31 - RUN_EXACT_SHIFT) << RUN_SUB_SHIFT))

struct run_link {
	u32 prev;
	u32 next;
};

struct p2pdma_range {
	struct list_head	node;
	unsigned long		vaddr;
	u32			pages;
	u32			*tag;
	struct run_link		*link;
	u32			head[RUN_CLASSES];
	DECLARE_BITMAP(nonempty, RUN_CLASSES);
};

/* List on which a free run of @len pages is found */
static unsigned int run_class(u32 len)
{
	unsigned int order;

	if (len <= RUN_EXACT)
		return len - 1;

	order = fls(len) - 1;
	return RUN_EXACT + ((order - RUN_EXACT_SHIFT) << RUN_SUB_SHIFT) +
	       ((len >> (order - RUN_SUB_SHIFT)) & GENMASK(RUN_SUB_SHIFT - 1, 0));
}

static void run_insert_free(struct p2pdma_range *range, u32 start, u32 len)
{
	unsigned int class = run_class(len);
	u32 next = range->head[class];

	range->tag[start] = len;
	range->tag[start + len - 1] = len;

	range->link[start].prev = RUN_NONE;
	range->link[start].next = next;
	if (next != RUN_NONE)
		range->link[next].prev = start;
	range->head[class] = start;
	__set_bit(class, range->nonempty);
}

static void run_remove_free(struct p2pdma_range *range, u32 start, u32 len)
{
	unsigned int class = run_class(len);
	u32 prev = range->link[start].prev;
	u32 next = range->link[start].next;

	if (next != RUN_NONE)
		range->link[next].prev = prev;
	if (prev != RUN_NONE)
		range->link[prev].next = next;
	else
		range->head[class] = next;
	if (range->head[class] == RUN_NONE)
		__clear_bit(class, range->nonempty);

	range->tag[start] = 0;
	range->tag[start + len - 1] = 0;
}

/* First page of a free run of at least @len pages, or RUN_NONE */
static u32 run_find(struct p2pdma_range *range, u32 len)
{
	unsigned int class = run_class(len);
	unsigned int first = class;
	u32 start;

	/* A shared list may hold runs that are too short: prefer the next one */
	if (len > RUN_EXACT)
		first++;

	first = find_next_bit(range->nonempty, RUN_CLASSES, first);
	if (first < RUN_CLASSES)
		return range->head[first];

	if (len <= RUN_EXACT)
		return RUN_NONE;

	for (start = range->head[class]; start != RUN_NONE;
	     start = range->link[start].next)
		if (range->tag[start] >= len)
			break;

	return start;
}

/*
 * Where to cut @len pages out of the free run at @start.  Lengths that are a
 * power of two are placed at a multiple of themselves, so that they can be
 * mapped by large page table entries.  Returns RUN_NONE if the run has no such
 * place.
 */
static u32 run_place(struct p2pdma_range *range, u32 start, u32 len)
{
	unsigned long first = (range->vaddr >> PAGE_SHIFT) + start;
	u32 skip;

	if (!is_power_of_2(len))
		return start;

	skip = ALIGN(first, len) - first;
	if ((u64)skip + len > range->tag[start])
		return RUN_NONE;

	return start + skip;
}

/* Turn @len pages at @pos, inside the free run at @start, into a used run */
static void run_carve(struct p2pdma_range *range, u32 start, u32 pos, u32 len)
{
	u32 end = start + range->tag[start];

	run_remove_free(range, start, end - start);
	if (pos > start)
		run_insert_free(range, start, pos - start);
	if (pos + len < end)
		run_insert_free(range, pos + len, end - pos - len);
	range->tag[pos] = RUN_USED | len;
}

/* First page of a newly allocated run of exactly @len pages, or RUN_NONE */
static u32 range_alloc(struct p2pdma_range *range, u32 len)
{
	u32 start = run_find(range, len);
	u32 pos, other;

	if (start == RUN_NONE)
		return RUN_NONE;

	pos = run_place(range, start, len);
	if (pos == RUN_NONE) {
		/* Runs this long have an aligned place wherever they begin */
		other = run_find(range, 2 * len - 1);
		if (other != RUN_NONE) {
			start = other;
			pos = run_place(range, start, len);
		} else {
			pos = start;
		}
	}

	run_carve(range, start, pos, len);
	return pos;
}

static void range_free(struct p2pdma_range *range, u32 start, u32 len)
{
	u32 end = start + len;
	u32 tag;

	range->tag[start] = 0;

	if (start) {
		tag = range->tag[start - 1];
		if (tag && !(tag & RUN_USED)) {
			start -= tag;
			run_remove_free(range, start, tag);
		}
	}

	if (end < range->pages) {
		tag = range->tag[end];
		if (tag && !(tag & RUN_USED)) {
			run_remove_free(range, end, tag);
			end += tag;
		}
	}

	run_insert_free(range, start, end - start);
}

static void *range_page(struct p2pdma_range *range, u32 page)
{
	return (void *)(range->vaddr + ((unsigned long)page << PAGE_SHIFT));
}

/*
 * Find the allocation of @len pages at @addr.  Anything else, a second free, a
 * wrong size or an address that is not ours, is answered with NULL.
 */
static struct p2pdma_range *pool_lookup(struct p2pdma_pool *pool, void *addr,
					unsigned long len, u32 *start)
{
	unsigned long vaddr = (unsigned long)addr;
	struct p2pdma_range *range;
	unsigned long offset;

	if (len > RUN_MAX)
		return NULL;

	list_for_each_entry(range, &pool->ranges, node) {
		offset = vaddr - range->vaddr;
		if (offset >> PAGE_SHIFT >= range->pages)
			continue;

		*start = offset >> PAGE_SHIFT;
		if (offset_in_page(offset) ||
		    range->tag[*start] != (RUN_USED | len))
			return NULL;
		return range;
	}

	return NULL;
}

static unsigned long size_to_pages(size_t size)
{
	return (size >> PAGE_SHIFT) + !!offset_in_page(size);
}

/**
 * p2pdma_pool_init - make an empty pool
 * @pool: the pool
 */
void p2pdma_pool_init(struct p2pdma_pool *pool)
{
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->ranges);
	init_waitqueue_head(&pool->idle);
	pool->pages = 0;
	pool->free_pages = 0;
	pool->dead = false;
}

static void range_destroy(struct p2pdma_range *range)
{
	kvfree(range->link);
	kvfree(range->tag);
	kvfree(range);
}

/**
 * p2pdma_pool_add - give a range of pages to a pool
 * @pool: the pool
 * @vaddr: kernel address of the first page, page aligned
 * @size: length in bytes, a multiple of the page size
 * @nid: NUMA node on which to keep the book
 *
 * Context: process context, may sleep.  The pool may be in use.
 * Return: 0, -EINVAL for a range that is empty, unaligned or has more than
 * 2^30 - 1 pages, or -ENOMEM.
 */
int p2pdma_pool_add(struct p2pdma_pool *pool, void *vaddr, size_t size,
		    int nid)
{
	unsigned long pages = size >> PAGE_SHIFT;
	struct p2pdma_range *range;
	unsigned long flags;
	unsigned int i;

	if (!pages || pages > RUN_MAX || offset_in_page(size) ||
	    offset_in_page(vaddr))
		return -EINVAL;

	range = kvzalloc_node(sizeof(*range), GFP_KERNEL, nid);
	if (!range)
		return -ENOMEM;

	range->vaddr = (unsigned long)vaddr;
	range->pages = pages;
	range->tag = kvzalloc_node(array_size(pages, sizeof(*range->tag)),
				   GFP_KERNEL, nid);
	range->link = kvmalloc_node(array_size(pages, sizeof(*range->link)),
				    GFP_KERNEL, nid);
	if (!range->tag || !range->link) {
		range_destroy(range);
		return -ENOMEM;
	}

	for (i = 0; i < RUN_CLASSES; i++)
		range->head[i] = RUN_NONE;
	run_insert_free(range, 0, pages);

	spin_lock_irqsave(&pool->lock, flags);
	list_add_tail(&range->node, &pool->ranges);
	pool->pages += pages;
	pool->free_pages += pages;
	spin_unlock_irqrestore(&pool->lock, flags);

	return 0;
}

/**
 * p2pdma_pool_destroy - forget all ranges
 * @pool: the pool, with nothing allocated: see p2pdma_pool_wait_idle()
 *
 * Context: process context.
 */
void p2pdma_pool_destroy(struct p2pdma_pool *pool)
{
	struct p2pdma_range *range, *next;

	WARN_ON(pool->free_pages != pool->pages);

	list_for_each_entry_safe(range, next, &pool->ranges, node)
		range_destroy(range);
	INIT_LIST_HEAD(&pool->ranges);
	pool->pages = 0;
	pool->free_pages = 0;
}

static void *pool_alloc(struct p2pdma_pool *pool, unsigned long pages)
{
	struct p2pdma_range *range;
	u32 start;

	if (pool->dead || pages > pool->free_pages)
		return NULL;

	list_for_each_entry(range, &pool->ranges, node) {
		if (pages > range->pages)
			continue;

		start = range_alloc(range, pages);
		if (start == RUN_NONE)
			continue;

		pool->free_pages -= pages;
		return range_page(range, start);
	}

	return NULL;
}

/**
 * p2pdma_pool_alloc - allocate contiguous pages
 * @pool: the pool
 * @size: number of bytes, rounded up to whole pages
 *
 * A power of two is aligned to itself where a free run allows it.
 *
 * Context: any context but NMI.
 * Return: kernel address of the first page, or NULL if @size is zero, the pool
 * is dead or no free run is long enough.
 */
void *p2pdma_pool_alloc(struct p2pdma_pool *pool, size_t size)
{
	unsigned long pages = size_to_pages(size);
	unsigned long flags;
	void *addr;

	if (!pages)
		return NULL;

	spin_lock_irqsave(&pool->lock, flags);
	addr = pool_alloc(pool, pages);
	spin_unlock_irqrestore(&pool->lock, flags);

	return addr;
}

/* Longest free run of a range, or nearly so beyond RUN_EXACT pages */
static u32 range_longest(struct p2pdma_range *range)
{
	unsigned int class = find_last_bit(range->nonempty, RUN_CLASSES);

	return class < RUN_CLASSES ? range->head[class] : RUN_NONE;
}

/* Allocate the longest free run, or its beginning if @pages is shorter */
static void *pool_alloc_longest(struct p2pdma_pool *pool, unsigned long *pages)
{
	struct p2pdma_range *range, *best = NULL;
	u32 start, longest = 0, best_start = 0;

	if (pool->dead)
		return NULL;

	list_for_each_entry(range, &pool->ranges, node) {
		start = range_longest(range);
		if (start == RUN_NONE || range->tag[start] <= longest)
			continue;
		best = range;
		best_start = start;
		longest = range->tag[start];
	}
	if (!best)
		return NULL;

	*pages = min_t(unsigned long, longest, *pages);
	run_carve(best, best_start, best_start, *pages);
	pool->free_pages -= *pages;
	return range_page(best, best_start);
}

/**
 * p2pdma_pool_alloc_some - allocate as much as is free in one piece
 * @pool: the pool
 * @size: number of bytes wanted, rounded up to whole pages
 * @got: returns the number of bytes allocated: a multiple of the page size,
 *	or @size itself when all of it was to be had
 *
 * Called repeatedly, this gathers @size bytes from a fragmented pool in as few
 * pieces as it can, as long as that many pages are free.
 *
 * Context: any context but NMI.
 * Return: kernel address of the piece, to be freed with *@got; NULL if @size is
 * zero, the pool is dead or nothing is free.
 */
void *p2pdma_pool_alloc_some(struct p2pdma_pool *pool, size_t size,
			     size_t *got)
{
	unsigned long pages = size_to_pages(size);
	unsigned long flags;
	void *addr;

	if (!pages)
		return NULL;

	spin_lock_irqsave(&pool->lock, flags);
	addr = pool_alloc(pool, pages);
	if (!addr)
		addr = pool_alloc_longest(pool, &pages);
	spin_unlock_irqrestore(&pool->lock, flags);

	*got = min_t(size_t, size, (size_t)pages << PAGE_SHIFT);
	return addr;
}

/**
 * p2pdma_pool_split - let each page of an allocation be freed by itself
 * @pool: the pool
 * @addr: address of the allocation
 * @size: its size in bytes
 *
 * User mappings need this: their pages come back one at a time.
 *
 * Context: any context but NMI.
 * Return: false, and nothing has changed, if there is no such allocation.
 */
bool p2pdma_pool_split(struct p2pdma_pool *pool, void *addr, size_t size)
{
	unsigned long pages = size_to_pages(size);
	struct p2pdma_range *range;
	unsigned long flags;
	u32 start, i;

	spin_lock_irqsave(&pool->lock, flags);
	range = pool_lookup(pool, addr, pages, &start);
	for (i = 0; range && i < pages; i++)
		range->tag[start + i] = RUN_USED | 1;
	spin_unlock_irqrestore(&pool->lock, flags);

	return range;
}

/**
 * p2pdma_pool_free - return an allocation
 * @pool: the pool
 * @addr: address that the allocation returned
 * @size: the size with which it was allocated
 *
 * A double free, a wrong size or a foreign address does no harm: the caller,
 * who knows whose memory it is, is told and should complain.
 *
 * Context: any context but NMI.
 * Return: false, and nothing has changed, if there is no such allocation.
 */
bool p2pdma_pool_free(struct p2pdma_pool *pool, void *addr, size_t size)
{
	unsigned long pages = size_to_pages(size);
	struct p2pdma_range *range;
	unsigned long flags;
	u32 start;

	spin_lock_irqsave(&pool->lock, flags);
	range = pool_lookup(pool, addr, pages, &start);
	if (range) {
		range_free(range, start, pages);
		pool->free_pages += pages;
		if (unlikely(pool->dead) && pool->free_pages == pool->pages)
			wake_up_all(&pool->idle);
	}
	spin_unlock_irqrestore(&pool->lock, flags);

	return range;
}

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
 * Return: number of bytes.
 */
size_t p2pdma_pool_available(struct p2pdma_pool *pool)
{
	return READ_ONCE(pool->free_pages) << PAGE_SHIFT;
}

/**
 * p2pdma_pool_kill - let every further allocation fail
 * @pool: the pool
 *
 * Context: any context but NMI.
 */
void p2pdma_pool_kill(struct p2pdma_pool *pool)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	pool->dead = true;
	spin_unlock_irqrestore(&pool->lock, flags);
}

static bool pool_is_idle(struct p2pdma_pool *pool)
{
	unsigned long flags;
	bool idle;

	/* Under the lock, so that the free that made it idle is done with it */
	spin_lock_irqsave(&pool->lock, flags);
	idle = pool->free_pages == pool->pages;
	spin_unlock_irqrestore(&pool->lock, flags);

	return idle;
}

/**
 * p2pdma_pool_wait_idle - wait until all memory of a dead pool came back
 * @pool: the pool, after p2pdma_pool_kill()
 * @timeout: how long to wait, in jiffies
 *
 * Context: process context, sleeps.
 * Return: true if nothing is allocated any more.
 */
bool p2pdma_pool_wait_idle(struct p2pdma_pool *pool, unsigned long timeout)
{
	return wait_event_timeout(pool->idle, pool_is_idle(pool), timeout);
}
