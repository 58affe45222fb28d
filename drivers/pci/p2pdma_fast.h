/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every allocation and every free of peer-to-peer memory does.
 *
 * In a header, so that it is compiled into its few callers: a buffer that the
 * CPU keeps at hand is allocated and freed in some fifty instructions each, of
 * which calls would be a good part.  Whatever takes longer is in functions of
 * p2pdma_pool.c.  How it works is told there, in p2pdma_front.c and in
 * p2pdma_run.c.
 *
 * A free first takes possession of the run by its tag, which is all that can
 * fail.  Whether somebody holds pages of it is looked at afterwards.
 */
#ifndef _PCI_P2PDMA_FAST_H
#define _PCI_P2PDMA_FAST_H

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/percpu.h>
#include <linux/rculist.h>

#include "p2pdma_pool.h"
#include "p2pdma_run.h"

/* Pages whose references are looked at in any case, half of them at each end */
#define P2PDMA_POOL_PROBES	4

/* drivers/pci/p2pdma_pool.c: the rest of the job */
void *p2pdma_pool_alloc_shared(struct p2pdma_pool *pool, unsigned long len);
void *p2pdma_pool_alloc_refill(struct p2pdma_pool *pool, unsigned long len,
			       unsigned int depth);
void p2pdma_pool_free_taken(struct p2pdma_pool *pool, void *addr,
			    struct page *page);
bool p2pdma_pool_free_bogus(struct p2pdma_pool *pool, void *addr, size_t size);
void p2pdma_pool_list_front(struct p2pdma_pool *pool,
			    struct p2pdma_front *front);

/* What is too large to be rounded up gives 0, which is no size either */
static __always_inline unsigned long p2pdma_size_to_pages(size_t size)
{
	return (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Does this many pages make a run that can be kept?  Not for 0 */
static inline bool p2pdma_front_fits(unsigned long pages)
{
	return is_power_of_2(pages) && pages <= P2PDMA_FRONT_LONGEST;
}

/**
 * p2pdma_front_take - take a run that this CPU keeps
 * @fronts: what all CPUs keep
 * @class: logarithm of the length of the run in pages
 * @depth: &p2pdma_fronts.depth of that class, not 0
 *
 * Context: any context but NMI.  The task may be moved to another CPU at any
 * point, after which it takes from where it began.
 * Return: the first page of the run, which is the caller's, or NULL.
 */
static __always_inline struct page *
p2pdma_front_take(struct p2pdma_fronts *fronts, unsigned int class,
		  unsigned int depth)
{
	struct page **slot, **end, *page;

	slot = raw_cpu_ptr(fronts->cpu)->slot + class * P2PDMA_FRONT_DEPTH;
	end = slot + depth;
	do {
		if (!READ_ONCE(*slot))
			continue;
		page = xchg(slot, NULL);
		if (page) {
			this_cpu_inc(fronts->cpu->hits);
			return page;
		}
	} while (++slot != end);

	return NULL;
}

/**
 * p2pdma_front_put - let this CPU keep a run
 * @fronts: what all CPUs keep
 * @class: logarithm of the length of the run in pages
 * @room: &p2pdma_fronts.room of that class, or its depth if the run has been
 *	looked at
 * @page: its first page
 * @front: returns the front that keeps it
 *
 * A front that is not &p2pdma_front.listed after this has to be listed by the
 * caller with p2pdma_front_list().
 *
 * Context: as for p2pdma_front_take().
 * Return: false if there is no room, and the run is still the caller's.
 */
static __always_inline bool
p2pdma_front_put(struct p2pdma_fronts *fronts, unsigned int class,
		 unsigned int room, struct page *page,
		 struct p2pdma_front **front)
{
	struct page **slot, **end;

	if (!room)
		return false;

	*front = raw_cpu_ptr(fronts->cpu);
	slot = (*front)->slot + class * P2PDMA_FRONT_DEPTH;
	end = slot + room;
	do {
		if (!READ_ONCE(*slot) && !cmpxchg(slot, NULL, page))
			return true;
	} while (++slot != end);

	return false;
}

/* Take possession of an allocated run; false if there is none of this length */
static __always_inline bool p2pdma_run_take(struct page *page,
					    unsigned long len)
{
	void *tag = (void *)p2pdma_run_used(len);

	return try_cmpxchg(&page->zone_device_data, &tag,
			   (void *)p2pdma_run_taken(len));
}

/*
 * Find the page at @addr, where an allocation may begin.  An address that is
 * not ours is answered with false.
 */
static __always_inline bool p2pdma_pool_lookup(struct p2pdma_pool *pool,
					       void *addr, struct page **page)
{
	struct p2pdma_range *range;
	unsigned long offset;

	list_for_each_entry_lockless(range, &pool->ranges, node) {
		offset = (unsigned long)addr - range->vaddr;
		if (unlikely(offset >> PAGE_SHIFT >= range->pages))
			continue;

		*page = range->page + (offset >> PAGE_SHIFT);
		return likely(!offset_in_page(offset));
	}

	return false;
}

/* Are there more references to the pages at both ends than the pool's own? */
static __always_inline bool p2pdma_run_referenced(struct page *page,
						  unsigned long len)
{
	struct page *last = page + len - 1;
	int references;

	references = page_ref_count(page);
	references += page_ref_count(last);
	if (len <= P2PDMA_POOL_PROBES / 2)
		return references != P2PDMA_POOL_PROBES / 2;

	references += page_ref_count(page + 1);
	references += page_ref_count(last - 1);
	return references != P2PDMA_POOL_PROBES;
}

/* What is kept at hand is aligned */
static __always_inline bool p2pdma_run_fits(void *addr, unsigned long len)
{
	return p2pdma_front_fits(len) &&
	       IS_ALIGNED((unsigned long)addr, len << PAGE_SHIFT);
}

/**
 * p2pdma_pool_alloc_front - allocate what this CPU keeps at hand
 * @pool: the pool
 * @len: number of pages
 *
 * Context: any context but NMI.
 * Return: kernel address of the first page, or NULL if the CPU keeps nothing of
 * that length, which says nothing of the pool.
 */
static __always_inline void *p2pdma_pool_alloc_front(struct p2pdma_pool *pool,
						     unsigned long len)
{
	unsigned int depth, class;
	struct page *page;

	if (!p2pdma_front_fits(len))
		return NULL;

	class = __ffs(len);
	depth = READ_ONCE(pool->fronts.depth[class]);
	page = depth ? p2pdma_front_take(&pool->fronts, class, depth) : NULL;
	if (unlikely(!page))
		return NULL;

	p2pdma_run_set_tag(page, p2pdma_run_used(len));
	return (void *)page->private;
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
static __always_inline void *p2pdma_pool_alloc(struct p2pdma_pool *pool,
					       size_t size)
{
	unsigned long len = p2pdma_size_to_pages(size);
	unsigned int depth, class;
	struct page *page;

	if (unlikely(!p2pdma_front_fits(len)))
		return p2pdma_pool_alloc_shared(pool, len);

	class = __ffs(len);
	depth = READ_ONCE(pool->fronts.depth[class]);
	if (unlikely(!depth))
		return p2pdma_pool_alloc_shared(pool, len);

	page = p2pdma_front_take(&pool->fronts, class, depth);
	if (unlikely(!page))
		return p2pdma_pool_alloc_refill(pool, len, depth);

	p2pdma_run_set_tag(page, p2pdma_run_used(len));
	return (void *)page->private;
}

/**
 * p2pdma_pool_free - return an allocation
 * @pool: the pool
 * @addr: address that the allocation returned
 * @size: the size with which it was allocated
 *
 * Pages that somebody else holds stay away until they are dropped.
 *
 * A double free, a wrong size or a foreign address does no harm, but is
 * complained about.
 *
 * Context: any context but NMI, in an RCU read section unless something else
 * keeps the pool until this returns.
 * Return: false, and nothing has changed, if there is no such allocation.
 */
static __always_inline bool p2pdma_pool_free(struct p2pdma_pool *pool,
					     void *addr, size_t size)
{
	unsigned long len = p2pdma_size_to_pages(size);
	struct p2pdma_front *front;
	unsigned int class;
	struct page *page;

	if (unlikely(!p2pdma_pool_lookup(pool, addr, &page) ||
		     !p2pdma_run_take(page, len)))
		return p2pdma_pool_free_bogus(pool, addr, size);

	if (likely(p2pdma_run_fits(addr, len) &&
		   !p2pdma_run_referenced(page, len))) {
		page->private = (unsigned long)addr;
		class = __ffs(len);
		if (p2pdma_front_put(&pool->fronts, class,
				     READ_ONCE(pool->fronts.room[class]), page,
				     &front)) {
			if (unlikely(!READ_ONCE(front->listed)))
				p2pdma_pool_list_front(pool, front);
			return true;
		}
	}

	p2pdma_pool_free_taken(pool, addr, page);
	return true;
}

/**
 * p2pdma_pool_next_piece - go through the pieces that were gathered
 * @piece: first page of a piece, which has not been freed yet
 * @size: returns its size in bytes, a multiple of the page size
 *
 * Return: first page of the next piece, or NULL if this is the last.
 */
static inline struct page *p2pdma_pool_next_piece(struct page *piece,
						  size_t *size)
{
	*size = p2pdma_run_len(piece) << PAGE_SHIFT;
	return (struct page *)piece->private;
}

#endif /* _PCI_P2PDMA_FAST_H */
