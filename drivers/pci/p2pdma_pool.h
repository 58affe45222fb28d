/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of one peer-to-peer DMA provider, page by page.
 *
 * See drivers/pci/p2pdma_pool.c for how it works.  Allocating and freeing are in
 * p2pdma_fast.h.  Nothing there touches the memory that is handed out, only its
 * struct pages, so a pool may be set up over any address range.
 */
#ifndef _PCI_P2PDMA_POOL_H
#define _PCI_P2PDMA_POOL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "p2pdma_front.h"

struct p2pdma_pool;

/**
 * typedef p2pdma_pool_complain - told of a bogus free
 * @pool: the pool
 * @addr: address that was freed
 * @size: size with which it was freed
 */
typedef void p2pdma_pool_complain(struct p2pdma_pool *pool, void *addr,
				  size_t size);

/**
 * struct p2pdma_pool - allocator of a provider's pages
 * @ranges: the address ranges that make up the pool, in order of addition;
 *	read without a lock, grows under @lock
 * @fronts: runs that CPUs keep at hand
 * @complain: what to call for a bogus free, or NULL
 * @dead: set once the provider goes away; allocations fail from then on
 * @armed: somebody takes references on pages: look at each when it is freed
 * @lock: protects what follows, taken with interrupts off
 * @pages: number of pages in all ranges
 * @free_pages: number of them that are in free runs
 * @least_free: lowest value of @free_pages so far
 * @low: to be told when @free_pages becomes less than this
 * @plenty: to be told when it is no longer less than this
 * @failures: number of allocations that failed
 * @referenced: number of runs that were freed while pages of them were held
 * @idle: woken when the last page comes back to a dead pool
 */
struct p2pdma_pool {
	struct list_head	ranges;
	struct p2pdma_fronts	fronts;
	p2pdma_pool_complain	*complain;
	bool			dead;
	bool			armed;
	/* Leaf lock over everything below */
	spinlock_t		lock;
	unsigned long		pages;
	unsigned long		free_pages;
	unsigned long		least_free;
	unsigned long		low;
	unsigned long		plenty;
	unsigned long		failures;
	unsigned long		referenced;
	wait_queue_head_t	idle;
};

/* Lengths by which the book of a pool is kept: powers of two up to 2^30 pages */
#define P2PDMA_POOL_CLASSES	31

/**
 * struct p2pdma_pool_stats - the book of a pool
 * @size: bytes in all
 * @available: bytes that are not allocated
 * @parked: bytes of them that CPUs keep at hand
 * @longest: bytes of the longest free run, without what is kept at hand; beyond
 *	1 MiB it may be up to an eighth too small
 * @peak: most bytes that were allocated or kept at hand at one time
 * @failures: allocations that failed
 * @referenced: allocations that were freed while somebody held pages of them
 */
struct p2pdma_pool_stats {
	size_t		size;
	size_t		available;
	size_t		parked;
	size_t		longest;
	size_t		peak;
	unsigned long	failures;
	unsigned long	referenced;
};

void p2pdma_pool_init(struct p2pdma_pool *pool, p2pdma_pool_complain *complain);
int p2pdma_pool_add(struct p2pdma_pool *pool, void *vaddr, struct page *pages,
		    size_t size, int nid);
void p2pdma_pool_destroy(struct p2pdma_pool *pool);

void *p2pdma_pool_try_aligned(struct p2pdma_pool *pool, size_t size,
			      size_t align);
struct page *p2pdma_pool_take(struct p2pdma_pool *pool, void *addr,
			      size_t size);
bool p2pdma_pool_cut(struct p2pdma_pool *pool, void *addr, size_t size,
		     size_t at);
bool p2pdma_pool_split(struct p2pdma_pool *pool, void *addr, size_t size);

struct page *p2pdma_pool_gather(struct p2pdma_pool *pool, size_t size,
				unsigned int max_pieces, size_t max_piece,
				unsigned int *nr);
void p2pdma_pool_free_pieces(struct p2pdma_pool *pool, struct page *piece);
void *p2pdma_pool_address(struct p2pdma_pool *pool, struct page *page);

void p2pdma_pool_drain(struct p2pdma_pool *pool);
void p2pdma_pool_arm(struct p2pdma_pool *pool);

size_t p2pdma_pool_size(struct p2pdma_pool *pool);
size_t p2pdma_pool_available(struct p2pdma_pool *pool);
void p2pdma_pool_stats(struct p2pdma_pool *pool,
		       struct p2pdma_pool_stats *stats);
void p2pdma_pool_in_use(struct p2pdma_pool *pool,
			unsigned long nr[P2PDMA_POOL_CLASSES]);

void p2pdma_pool_kill(struct p2pdma_pool *pool);

/* Was it killed?  What takes long, and is waited for, should give up then */
static inline bool p2pdma_pool_dead(struct p2pdma_pool *pool)
{
	return READ_ONCE(pool->dead);
}

bool p2pdma_pool_wait_idle(struct p2pdma_pool *pool, unsigned long timeout);

#endif /* _PCI_P2PDMA_POOL_H */
