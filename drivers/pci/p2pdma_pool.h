/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of one peer-to-peer DMA provider, page by page.
 *
 * See drivers/pci/p2pdma_pool.c for how it works.  Nothing here touches the
 * memory that is handed out, so a pool may be set up over any address range.
 */
#ifndef _PCI_P2PDMA_POOL_H
#define _PCI_P2PDMA_POOL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

/**
 * struct p2pdma_pool - allocator of a provider's pages
 * @lock: protects everything else, taken with interrupts off
 * @ranges: the address ranges that make up the pool, in order of addition
 * @pages: number of pages in all ranges
 * @free_pages: number of them that are not allocated
 * @dead: set once the provider goes away; allocations fail from then on
 * @idle: woken when the last page comes back to a dead pool
 */
struct p2pdma_pool {
	/* Leaf lock over everything below */
	spinlock_t		lock;
	struct list_head	ranges;
	unsigned long		pages;
	unsigned long		free_pages;
	bool			dead;
	wait_queue_head_t	idle;
};

void p2pdma_pool_init(struct p2pdma_pool *pool);
int p2pdma_pool_add(struct p2pdma_pool *pool, void *vaddr, size_t size,
		    int nid);
void p2pdma_pool_destroy(struct p2pdma_pool *pool);

void *p2pdma_pool_alloc(struct p2pdma_pool *pool, size_t size);
void *p2pdma_pool_alloc_some(struct p2pdma_pool *pool, size_t size,
			     size_t *got);
bool p2pdma_pool_split(struct p2pdma_pool *pool, void *addr, size_t size);
bool p2pdma_pool_free(struct p2pdma_pool *pool, void *addr, size_t size);

size_t p2pdma_pool_size(struct p2pdma_pool *pool);
size_t p2pdma_pool_available(struct p2pdma_pool *pool);

void p2pdma_pool_kill(struct p2pdma_pool *pool);
bool p2pdma_pool_wait_idle(struct p2pdma_pool *pool, unsigned long timeout);

#endif /* _PCI_P2PDMA_POOL_H */
