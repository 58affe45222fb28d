// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of peer-to-peer DMA memory.
 *
 * A pool owns the pages of one provider.  They come in ranges, one for each
 * resource that the provider added, and an allocation never crosses from one
 * range into the next: neighbouring ranges have different pagemaps, and a
 * buffer that spans two of them has no single translation.  Within a range, the
 * runs of free and of allocated pages are the business of p2pdma_run.c, in the
 * same time however large, full or fragmented it is.
 *
 * Before that, runs of a power of two of pages are kept at hand by the CPU that
 * freed them (p2pdma_front.c), as long as there is plenty of free memory
 * besides.  When it becomes scarce they are taken back, once; and so they are
 * by a request that cannot be served otherwise, which therefore fails only if
 * the pages really are not free.
 *
 * A free is checked by the tag of its first page, and takes possession of the
 * run by exchanging that tag: of two CPUs that free the same run, one fails.
 *
 * References.  The pool owns one reference to each of its pages.  Whoever has
 * an allocation may hand pages to others that take references of their own (a
 * socket that sends them, a pin), and may free it while these last.  Such pages
 * must not be handed out again yet.  So the references of a run are counted
 * when it is freed; if there are too many, the run is broken up into single
 * pages and the pool's reference to each is dropped.  The last holder's
 * put_page() then brings each home, by way of ->page_free(), and a provider that
 * goes away waits for it.  Memory of user space (p2pdma_buffer.c) is freed in the
 * same way by its owner, who looks at each page himself.
 *
 * Looking at each page of a long run would cost more than all the rest, and
 * hardly anybody takes references to such pages.  Therefore:
 *
 *  - two pages from each end are looked at always, which is all of a run of up
 *    to four pages and costs about ten instructions;
 *  - the others once somebody was seen who takes references: either in this
 *    way, or by the kernel's common way of doing so, which calls
 *    p2pdma_page_referenced() first.  From then on, the pool being armed, a
 *    free costs four instructions a page.
 *
 * What is left is a driver that by itself calls get_page() on pages in the
 * middle of a long run, of a provider of which no other reference was ever
 * noticed, and keeps them beyond the free.
 *
 * Invariants, whenever the lock is not held:
 *  - those of p2pdma_run.c;
 *  - free_pages is the total length of the free runs, and together with what is
 *    kept at hand it is what is not allocated, exact to the page when no call
 *    is in progress.
 *
 * Locking: pool->lock is a leaf lock and is taken with interrupts disabled,
 * since the last reference to a user's page may be dropped in any context.
 * Allocation and freeing never sleep.  The list of ranges only grows, and is
 * read without a lock.  A free may go on for some instructions after the pool
 * has become idle, in an RCU read section: whoever destroys the pool waits for
 * a grace period in between.
 *
 * What must never happen: a page in two allocations; a page handed out that
 * somebody else holds; a free that harms pages of somebody else, whatever its
 * arguments; destruction of a pool while a page is allocated.
 */
#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "p2pdma_fast.h"
#include "p2pdma_pool.h"

/*
 * With less than this part of the pool free, CPUs keep nothing at hand, until
 * twice as much is free again.
 */
#define POOL_FLOOR	16

/* Runs to take back from a CPU before others get a chance at the lock */
#define POOL_UNPARK	8

/* Pieces to gather or free before others get a chance at the lock */
#define POOL_BATCH	64

static void *range_address(const struct p2pdma_range *range,
			   const struct page *page)
{
	return (void *)(range->vaddr +
			((unsigned long)(page - range->page) << PAGE_SHIFT));
}

static struct p2pdma_range *range_of_page(struct p2pdma_pool *pool,
					  const struct page *page)
{
	struct p2pdma_range *range;

	list_for_each_entry_lockless(range, &pool->ranges, node)
		if (page >= range->page && page < range->page + range->pages)
			break;

	return range;
}

/* Lists and lock of the pool ------------------------------------------------ */

/* Free memory is plenty again.  Called with pool->lock held */
static noinline void pool_open(struct p2pdma_pool *pool)
{
	if (pool->dead)
		return;

	p2pdma_front_open(&pool->fronts, pool->pages, pool->armed);
	pool->low = max(pool->least_free, pool->pages / POOL_FLOOR);
	pool->plenty = ULONG_MAX;
}

/* Give back a run that is taken.  Called with pool->lock held */
static void pool_return(struct p2pdma_pool *pool, struct page *page)
{
	unsigned long len = p2pdma_run_len(page);

	lockdep_assert_held(&pool->lock);
	p2pdma_range_free(range_of_page(pool, page), page, len);
	pool->free_pages += len;
	if (unlikely(pool->free_pages >= pool->plenty))
		pool_open(pool);
	if (unlikely(pool->dead) && pool->free_pages == pool->pages)
		wake_up_all(&pool->idle);
}

/*
 * Take back what one CPU keeps at hand, or a good part of it, longest runs first.
 * Called with pool->lock held.
 */
static bool pool_unpark(struct p2pdma_pool *pool)
{
	struct p2pdma_front *front = p2pdma_front_next(&pool->fronts);
	unsigned int class, i, n = 0;
	struct page **slot, *page;

	if (!front)
		return false;

	for (class = P2PDMA_FRONT_CLASSES; class--; ) {
		slot = front->slot + class * P2PDMA_FRONT_DEPTH;
		for (i = 0; i < pool->fronts.most; i++) {
			page = READ_ONCE(slot[i]) ? xchg(&slot[i], NULL) : NULL;
			if (!page)
				continue;
			pool_return(pool, page);
			if (++n < POOL_UNPARK)
				continue;
			p2pdma_front_list(&pool->fronts, front);
			return true;
		}
	}

	return true;
}

/* There never was less, or it becomes scarce.  Called with pool->lock held */
static noinline void pool_low(struct p2pdma_pool *pool)
{
	unsigned long scarce = pool->pages / POOL_FLOOR;

	pool->least_free = min(pool->least_free, pool->free_pages);
	pool->low = pool->least_free;
	if (pool->plenty != ULONG_MAX)
		return;

	if (pool->free_pages >= scarce) {
		pool->low = max(pool->low, scarce);
		return;
	}

	/* What is kept is taken back by those who free something */
	p2pdma_front_close(&pool->fronts);
	pool->plenty = 2 * scarce;
}

/* @len pages are not free any more.  Called with pool->lock held */
static __always_inline void pool_gone(struct p2pdma_pool *pool,
				      unsigned long len)
{
	lockdep_assert_held(&pool->lock);
	pool->free_pages -= len;
	if (unlikely(pool->free_pages < pool->low))
		pool_low(pool);
}

/* Allocate @len pages in one piece.  Called with pool->lock held */
static __always_inline struct page *
pool_carve(struct p2pdma_pool *pool, unsigned long len, unsigned long mask,
	   struct p2pdma_range **from)
{
	struct p2pdma_range *range;
	struct page *page;

	lockdep_assert_held(&pool->lock);
	list_for_each_entry(range, &pool->ranges, node) {
		page = p2pdma_range_alloc(range, len, mask);
		if (unlikely(!page))
			continue;

		pool_gone(pool, len);
		*from = range;
		return page;
	}

	return NULL;
}

/* A front holds something for the first time since it was emptied */
void p2pdma_pool_list_front(struct p2pdma_pool *pool,
			    struct p2pdma_front *front)
{
	p2pdma_front_list(&pool->fronts, front);
	/* p2pdma_pool_kill() may have been there between */
	if (p2pdma_pool_dead(pool))
		p2pdma_pool_drain(pool);
}

static void pool_free_one(struct p2pdma_pool *pool, struct page *page)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	pool_return(pool, page);
	if (pool->plenty != ULONG_MAX)
		pool_unpark(pool);
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* Let this CPU keep a run that is taken, or free it */
static __always_inline void pool_keep(struct p2pdma_pool *pool, void *addr,
				      struct page *page, unsigned long len)
{
	struct p2pdma_front *front;
	unsigned int class = __ffs(len);

	page->private = (unsigned long)addr;
	if (!p2pdma_front_put(&pool->fronts, class,
			      READ_ONCE(pool->fronts.depth[class]), page,
			      &front))
		pool_free_one(pool, page);
	else if (!READ_ONCE(front->listed))
		p2pdma_pool_list_front(pool, front);
}

/* What an aligned run has to be a multiple of, less one */
static __always_inline unsigned long run_mask(unsigned long len)
{
	return len & (len - 1) ? 0 : len - 1;
}

/*
 * Allocate, from what CPUs keep if need be.  Others may have the lock in between,
 * as there may be many CPUs.
 */
static noinline struct page *
pool_alloc(struct p2pdma_pool *pool, unsigned long len,
	   struct p2pdma_range **from, bool count_failure)
{
	bool possible = len && len <= READ_ONCE(pool->pages), more;
	unsigned long flags;
	struct page *page;

	/* Alignment of much is worth what it costs */
	if (possible && run_mask(len) >= P2PDMA_FRONT_LONGEST)
		p2pdma_pool_drain(pool);

	do {
		spin_lock_irqsave(&pool->lock, flags);
		page = possible && !pool->dead ?
			pool_carve(pool, len, run_mask(len), from) : NULL;
		more = !page && possible && pool_unpark(pool);
		if (!page && !more)
			pool->failures += count_failure;
		spin_unlock_irqrestore(&pool->lock, flags);
	} while (more);

	return page;
}

/* The rest of p2pdma_pool_alloc(), if CPUs keep nothing of that length */
void *p2pdma_pool_alloc_shared(struct p2pdma_pool *pool, unsigned long len)
{
	unsigned long mask = run_mask(len), flags;
	struct p2pdma_range *range;
	struct page *page = NULL;

	/* Nothing at all is not among these either */
	if (likely(mask < P2PDMA_FRONT_LONGEST)) {
		spin_lock_irqsave(&pool->lock, flags);
		if (likely(!pool->dead))
			page = pool_carve(pool, len, mask, &range);
		spin_unlock_irqrestore(&pool->lock, flags);
	}
	if (unlikely(!page))
		page = pool_alloc(pool, len, &range, true);

	return page ? range_address(range, page) : NULL;
}

/*
 * The rest of p2pdma_pool_alloc(), if CPUs keep such runs but this one has none.
 * As many as it may keep are allocated along with the one that is wanted, unless
 * free memory becomes scarce.
 */
void *p2pdma_pool_alloc_refill(struct p2pdma_pool *pool, unsigned long len,
			       unsigned int depth)
{
	struct p2pdma_range *range;
	void *addr = NULL, *more;
	struct page *page = NULL;
	unsigned long flags;
	unsigned int nr;

	this_cpu_inc(pool->fronts.cpu->misses);
	if (READ_ONCE(pool->free_pages) <
	    READ_ONCE(pool->pages) / POOL_FLOOR + (1 + depth) * len)
		return p2pdma_pool_alloc_shared(pool, len);

	spin_lock_irqsave(&pool->lock, flags);
	list_for_each_entry(range, &pool->ranges, node) {
		if (pool->dead)
			break;
		nr = 1 + depth;
		page = p2pdma_range_alloc_many(range, len, &nr);
		if (!page)
			continue;
		pool_gone(pool, nr * len);
		addr = range_address(range, page);
		break;
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	if (!addr)
		return p2pdma_pool_alloc_shared(pool, len);

	for (more = addr; --nr; ) {
		page -= len;
		more -= len << PAGE_SHIFT;
		pool_keep(pool, more, page, len);
	}

	return addr;
}

/* Frees --------------------------------------------------------------------- */

/* Nothing like that is allocated */
bool p2pdma_pool_free_bogus(struct p2pdma_pool *pool, void *addr, size_t size)
{
	if (pool->complain)
		pool->complain(pool, addr, size);

	return false;
}

/* Make an allocation of each page of a run that is taken */
static void run_break_up(struct page *page, unsigned long len)
{
	while (len--)
		p2pdma_run_set_tag(page + len, p2pdma_run_used(1));
}

static bool pages_referenced(struct page *page, unsigned long len)
{
	unsigned long references = 0, i;

	for (i = 0; i < len; i++)
		references += page_ref_count(page + i);

	return references != len;
}

/*
 * If somebody holds pages of a run that is taken, let each of them come home
 * when it is dropped.  Returns false if nobody does.
 */
static bool run_release(struct p2pdma_pool *pool, struct page *page,
			unsigned long len)
{
	unsigned long flags, i;

	if (!p2pdma_run_referenced(page, len) &&
	    (!READ_ONCE(pool->armed) || !pages_referenced(page, len)))
		return false;

	p2pdma_pool_arm(pool);
	spin_lock_irqsave(&pool->lock, flags);
	pool->referenced++;
	spin_unlock_irqrestore(&pool->lock, flags);

	run_break_up(page, len);
	for (i = 0; i < len; i++)
		put_page(page + i);

	return true;
}

/* The rest of p2pdma_pool_free(), once the run at @addr is taken */
void p2pdma_pool_free_taken(struct p2pdma_pool *pool, void *addr,
			    struct page *page)
{
	unsigned long len = p2pdma_run_len(page);

	if (unlikely(run_release(pool, page, len)))
		return;

	/* Of an armed pool, what can be kept comes here */
	if (READ_ONCE(pool->armed) && p2pdma_run_fits(addr, len))
		pool_keep(pool, addr, page, len);
	else
		pool_free_one(pool, page);
}

/* Gathering ----------------------------------------------------------------- */

/* All in one piece that this CPU keeps */
static struct page *gather_front(struct p2pdma_pool *pool, unsigned long len)
{
	unsigned int depth, class;
	struct page *page;

	if (!p2pdma_front_fits(len))
		return NULL;

	class = __ffs(len);
	depth = READ_ONCE(pool->fronts.depth[class]);
	page = depth ? p2pdma_front_take(&pool->fronts, class, depth) : NULL;
	if (!page)
		return NULL;

	p2pdma_run_set_tag(page, p2pdma_run_used(len));
	page->private = 0;
	return page;
}

static void pieces_add(struct p2pdma_pieces *pieces, struct page *page,
		       unsigned long len)
{
	*pieces->last = (unsigned long)page;
	pieces->last = &page->private;
	pieces->nr++;
	pieces->left -= len;
}

/* The range whose longest run is longest, or nearly so if all are long */
static struct p2pdma_range *pool_longest(struct p2pdma_pool *pool,
					 unsigned int *class)
{
	struct p2pdma_range *range, *best = NULL;
	unsigned int last;

	list_for_each_entry(range, &pool->ranges, node) {
		last = p2pdma_range_last(range);
		if (last < P2PDMA_RUN_CLASSES && (!best || last > *class)) {
			best = range;
			*class = last;
		}
	}

	return best;
}

/* Called with pool->lock held */
static bool gather_longest(struct p2pdma_pool *pool,
			   struct p2pdma_pieces *pieces, unsigned int max)
{
	struct p2pdma_range *range;
	unsigned int class;

	range = pool_longest(pool, &class);
	if (!range)
		return false;

	pool_gone(pool, p2pdma_range_gather(range, class, pieces, max));
	return true;
}

/* Gather until there are @max pieces.  Called with pool->lock held */
static bool gather_some(struct p2pdma_pool *pool, struct p2pdma_pieces *pieces,
			unsigned long most, unsigned int max)
{
	struct p2pdma_range *range;
	unsigned long len, mask;
	struct page *page;

	if (pool->dead)
		return false;

	while (pieces->left && pieces->nr < max) {
		len = min(pieces->left, most);
		/* A list of one piece is aligned like any allocation */
		mask = !pieces->nr && len == pieces->left &&
		       is_power_of_2(len) ? len - 1 : 0;

		page = pool_carve(pool, len, mask, &range);
		if (page)
			pieces_add(pieces, page, len);
		else if (len > P2PDMA_FRONT_LONGEST && pool_unpark(pool))
			continue;
		else if (!gather_longest(pool, pieces, max) &&
			 !pool_unpark(pool))
			return false;
	}

	return true;
}

static bool pool_try_gather(struct p2pdma_pool *pool,
			    struct p2pdma_pieces *pieces, unsigned long most,
			    unsigned int max)
{
	unsigned long flags;
	bool more;

	pieces->first = 0;
	pieces->last = &pieces->first;
	pieces->nr = 0;

	do {
		spin_lock_irqsave(&pool->lock, flags);
		more = gather_some(pool, pieces, most,
				   min(max, pieces->nr + POOL_BATCH));
		spin_unlock_irqrestore(&pool->lock, flags);
	} while (more && pieces->left && pieces->nr < max);

	*pieces->last = 0;
	return !pieces->left;
}

/* Interface ----------------------------------------------------------------- */

/**
 * p2pdma_pool_init - make an empty pool
 * @pool: the pool
 * @complain: what to call for a bogus free, or NULL
 *
 * Context: process context, may sleep.
 */
void p2pdma_pool_init(struct p2pdma_pool *pool, p2pdma_pool_complain *complain)
{
	memset(pool, 0, sizeof(*pool));
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->ranges);
	init_waitqueue_head(&pool->idle);
	p2pdma_front_init(&pool->fronts);
	pool->complain = complain;
}

/**
 * p2pdma_pool_add - give a range of pages to a pool
 * @pool: the pool
 * @vaddr: kernel address of the first page, page aligned
 * @pages: its struct page, followed by those of the other pages; each with one
 *	reference, which the pool takes over, and zone_device_data of NULL
 * @size: length in bytes, a multiple of the page size
 * @nid: NUMA node on which to keep the book
 *
 * Context: process context, may sleep.  The pool may be in use.
 * Return: 0, -EINVAL for a range that is empty, unaligned or has more than
 * 2^30 - 1 pages, or -ENOMEM.
 */
int p2pdma_pool_add(struct p2pdma_pool *pool, void *vaddr, struct page *pages,
		    size_t size, int nid)
{
	unsigned long nr = size >> PAGE_SHIFT;
	struct p2pdma_range *range;
	unsigned long flags;

	if (!nr || nr > P2PDMA_RUN_MAX || offset_in_page(size) ||
	    offset_in_page(vaddr))
		return -EINVAL;

	range = kzalloc_node(sizeof(*range), GFP_KERNEL, nid);
	if (!range)
		return -ENOMEM;

	range->vaddr = (unsigned long)vaddr;
	range->pages = nr;
	range->page = pages;
	p2pdma_range_init(range);

	spin_lock_irqsave(&pool->lock, flags);
	list_add_tail_rcu(&range->node, &pool->ranges);
	pool->pages += nr;
	pool->free_pages += nr;
	pool->least_free += nr;
	/* Never below that, or a new lowest value would not be noticed */
	pool->low += nr;
	if (pool->free_pages >= 2 * pool->pages / POOL_FLOOR)
		pool_open(pool);
	spin_unlock_irqrestore(&pool->lock, flags);

	return 0;
}

/**
 * p2pdma_pool_destroy - forget all ranges
 * @pool: the pool, with nothing allocated: see p2pdma_pool_wait_idle(); after
 *	that an RCU grace period has to pass
 *
 * Context: process context.
 */
void p2pdma_pool_destroy(struct p2pdma_pool *pool)
{
	struct p2pdma_range *range, *next;

	p2pdma_pool_drain(pool);
	WARN_ON(pool->free_pages != pool->pages);

	list_for_each_entry_safe(range, next, &pool->ranges, node)
		kfree(range);
	p2pdma_front_destroy(&pool->fronts);
	INIT_LIST_HEAD(&pool->ranges);
	pool->pages = 0;
	pool->free_pages = 0;
}

/**
 * p2pdma_pool_try_aligned - allocate contiguous pages, aligned or not at all
 * @pool: the pool
 * @size: number of bytes, a power of two
 * @align: what the address has to be a multiple of, a power of two of at most
 *	@size
 *
 * For who can do with less: that there is none is not counted as a failure.
 *
 * Context: any context but NMI; something keeps the pool until this returns.
 * Return: kernel address of the first page, to be freed by p2pdma_pool_free(),
 * or NULL.
 */
void *p2pdma_pool_try_aligned(struct p2pdma_pool *pool, size_t size,
			      size_t align)
{
	struct p2pdma_range *range;
	struct page *page;
	void *addr;

	page = pool_alloc(pool, p2pdma_size_to_pages(size), &range, false);
	if (!page)
		return NULL;

	addr = range_address(range, page);
	if (IS_ALIGNED((unsigned long)addr, align))
		return addr;

	p2pdma_pool_free(pool, addr, size);
	return NULL;
}

/**
 * p2pdma_pool_take - free an allocation along with others
 * @pool: the pool
 * @addr: address that the allocation returned
 * @size: the size with which it was allocated
 *
 * The first step of p2pdma_pool_free(), with all its checks.  The second step
 * is p2pdma_pool_free_pieces(), once for all pieces, which the caller chains.
 *
 * Context: as for p2pdma_pool_free().
 * Return: first page of what is to be freed; NULL if there is nothing left to
 * do.
 */
struct page *p2pdma_pool_take(struct p2pdma_pool *pool, void *addr,
			      size_t size)
{
	unsigned long len = p2pdma_size_to_pages(size);
	struct page *page;

	if (!p2pdma_pool_lookup(pool, addr, &page) ||
	    !p2pdma_run_take(page, len)) {
		p2pdma_pool_free_bogus(pool, addr, size);
		return NULL;
	}

	return run_release(pool, page, len) ? NULL : page;
}

/**
 * p2pdma_pool_cut - make two allocations of one
 * @pool: the pool
 * @addr: address of the allocation
 * @size: its size in bytes
 * @at: where the second one begins in it, in bytes, a multiple of the page size
 *
 * Each is then freed by itself.
 *
 * Context: any context but NMI.
 * Return: false, and nothing has changed, if there is no such allocation or
 * nothing is left of one of the two.
 */
bool p2pdma_pool_cut(struct p2pdma_pool *pool, void *addr, size_t size,
		     size_t at)
{
	unsigned long len = p2pdma_size_to_pages(size);
	unsigned long first = at >> PAGE_SHIFT;
	struct page *page;

	if (!first || first >= len || offset_in_page(at) ||
	    !p2pdma_pool_lookup(pool, addr, &page) ||
	    !p2pdma_run_take(page, len))
		return p2pdma_pool_free_bogus(pool, addr, size);

	p2pdma_run_set_tag(page + first, p2pdma_run_used(len - first));
	p2pdma_run_set_tag(page, p2pdma_run_used(first));
	return true;
}

/**
 * p2pdma_pool_split - let each page of an allocation be freed by itself
 * @pool: the pool
 * @addr: address of the allocation
 * @size: its size in bytes
 *
 * For pages that somebody holds, which come back one at a time: the owner drops
 * the pool's reference to each.
 *
 * Context: any context but NMI.
 * Return: false, and nothing has changed, if there is no such allocation.
 */
bool p2pdma_pool_split(struct p2pdma_pool *pool, void *addr, size_t size)
{
	unsigned long len = p2pdma_size_to_pages(size);
	struct page *page;

	if (!p2pdma_pool_lookup(pool, addr, &page) ||
	    !p2pdma_run_take(page, len))
		return p2pdma_pool_free_bogus(pool, addr, size);

	run_break_up(page, len);
	return true;
}

/**
 * p2pdma_pool_gather - allocate pages in several pieces
 * @pool: the pool
 * @size: number of bytes, rounded up to whole pages
 * @max_pieces: most pieces that are acceptable
 * @max_piece: most bytes that a piece may have, at least a page
 * @nr: returns the number of pieces
 *
 * In as few pieces as the free runs allow.  What CPUs keep at hand is merged
 * with them only if more than that would fit into one, or if there is no other
 * way.
 *
 * Context: any context but NMI.
 * Return: the first piece, see p2pdma_pool_next_piece(); or NULL if @size is
 * zero, the pool is dead, not enough is free, or not in so few pieces.
 */
struct page *p2pdma_pool_gather(struct p2pdma_pool *pool, size_t size,
				unsigned int max_pieces, size_t max_piece,
				unsigned int *nr)
{
	unsigned long most = max_piece >> PAGE_SHIFT;
	unsigned long len = p2pdma_size_to_pages(size);
	struct p2pdma_pieces pieces;
	unsigned long flags;
	struct page *page;
	int attempt;

	if (!len || !most || !max_pieces)
		return NULL;

	page = len <= most ? gather_front(pool, len) : NULL;
	if (page) {
		*nr = 1;
		return page;
	}

	for (attempt = 0; attempt < 2; attempt++) {
		if (len > READ_ONCE(pool->free_pages) &&
		    len > p2pdma_pool_available(pool) >> PAGE_SHIFT)
			break;

		pieces.left = len;
		if (pool_try_gather(pool, &pieces, most, max_pieces)) {
			*nr = pieces.nr;
			return (struct page *)pieces.first;
		}

		/* Merged with what is kept at hand, fewer pieces may do */
		p2pdma_pool_free_pieces(pool, (struct page *)pieces.first);
		p2pdma_pool_drain(pool);
	}

	spin_lock_irqsave(&pool->lock, flags);
	pool->failures++;
	spin_unlock_irqrestore(&pool->lock, flags);
	return NULL;
}

/**
 * p2pdma_pool_free_pieces - return pieces
 * @pool: the pool
 * @piece: the first one, or NULL
 *
 * For pieces from p2pdma_pool_take(), chained by their private, and for those
 * that p2pdma_pool_gather() returned and that nobody else has seen.
 *
 * Context: any context but NMI.
 */
void p2pdma_pool_free_pieces(struct p2pdma_pool *pool, struct page *piece)
{
	struct page *next;
	unsigned long flags;
	unsigned int n;
	size_t size;

	while (piece) {
		spin_lock_irqsave(&pool->lock, flags);
		for (n = 0; piece && n < POOL_BATCH; n++) {
			next = p2pdma_pool_next_piece(piece, &size);
			pool_return(pool, piece);
			piece = next;
		}
		spin_unlock_irqrestore(&pool->lock, flags);
	}
}

/**
 * p2pdma_pool_address - where a page is
 * @pool: the pool
 * @page: a page of it
 *
 * Return: kernel address of the page.
 */
void *p2pdma_pool_address(struct p2pdma_pool *pool, struct page *page)
{
	return range_address(range_of_page(pool, page), page);
}

/**
 * p2pdma_pool_drain - take back what CPUs keep at hand
 * @pool: the pool
 *
 * Context: any context but NMI.
 */
void p2pdma_pool_drain(struct p2pdma_pool *pool)
{
	unsigned long flags;
	bool more;

	do {
		spin_lock_irqsave(&pool->lock, flags);
		more = pool_unpark(pool);
		spin_unlock_irqrestore(&pool->lock, flags);
	} while (more);
}

/**
 * p2pdma_pool_arm - look at each page for references when it is freed
 * @pool: the pool
 *
 * To be called before a reference is taken to a page that is allocated.
 *
 * Context: any context but NMI.
 */
void p2pdma_pool_arm(struct p2pdma_pool *pool)
{
	unsigned long flags;

	/* Pairs with the store below: who finds it armed finds no room */
	if (smp_load_acquire(&pool->armed))
		return;

	spin_lock_irqsave(&pool->lock, flags);
	p2pdma_front_look(&pool->fronts);
	/* Last: others go on as soon as they see this */
	smp_store_release(&pool->armed, true);
	spin_unlock_irqrestore(&pool->lock, flags);
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
	WRITE_ONCE(pool->dead, true);
	p2pdma_front_close(&pool->fronts);
	spin_unlock_irqrestore(&pool->lock, flags);

	/* Who still puts something there looks at pool->dead afterwards */
	smp_mb();
	p2pdma_pool_drain(pool);
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
