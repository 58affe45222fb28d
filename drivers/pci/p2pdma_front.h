/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs of pages that each CPU keeps at hand, in front of a pool.
 *
 * See drivers/pci/p2pdma_front.c for how it works.  What is done with every
 * allocation is in p2pdma_fast.h.
 */
#ifndef _PCI_P2PDMA_FRONT_H
#define _PCI_P2PDMA_FRONT_H

#include <linux/llist.h>
#include <linux/types.h>

struct page;

/* Classes are the powers of two from 1 to 256 pages, 4 KiB to 1 MiB */
#define P2PDMA_FRONT_CLASSES	9
#define P2PDMA_FRONT_LONGEST	(1UL << (P2PDMA_FRONT_CLASSES - 1))
/* Most runs of one class that a CPU keeps */
#define P2PDMA_FRONT_DEPTH	4
#define P2PDMA_FRONT_SLOTS	(P2PDMA_FRONT_CLASSES * P2PDMA_FRONT_DEPTH)

/**
 * struct p2pdma_front - what one CPU keeps
 * @node: entry in &p2pdma_fronts.listed
 * @listed: it is in that list
 * @hits: allocations that were served from here
 * @misses: allocations that could have been, had it kept what they needed
 * @slot: first page of a run, or NULL; whoever exchanges it for NULL owns it.
 *	The slots of a class follow one another, and so do the classes
 */
struct p2pdma_front {
	struct llist_node	node;
	bool			listed;
	unsigned long		hits;
	unsigned long		misses;
	struct page		*slot[P2PDMA_FRONT_SLOTS];
};

/**
 * struct p2pdma_fronts - what all CPUs keep of one pool
 * @cpu: one for each CPU; NULL if there was no memory for them
 * @depth: how many runs of a class a CPU may keep
 * @room: the same; or 0 if whoever frees a run has to look at it more closely
 * @most: greatest of these, or what it was before it became 0
 * @listed: fronts that may hold something
 */
struct p2pdma_fronts {
	struct p2pdma_front __percpu	*cpu;
	u8				depth[P2PDMA_FRONT_CLASSES];
	u8				room[P2PDMA_FRONT_CLASSES];
	u8				most;
	struct llist_head		listed;
};

void p2pdma_front_init(struct p2pdma_fronts *fronts);
void p2pdma_front_destroy(struct p2pdma_fronts *fronts);
void p2pdma_front_open(struct p2pdma_fronts *fronts, unsigned long pages,
		       bool look);
void p2pdma_front_look(struct p2pdma_fronts *fronts);
void p2pdma_front_close(struct p2pdma_fronts *fronts);
void p2pdma_front_list(struct p2pdma_fronts *fronts,
		       struct p2pdma_front *front);
struct p2pdma_front *p2pdma_front_next(struct p2pdma_fronts *fronts);
unsigned long p2pdma_front_parked(struct p2pdma_fronts *fronts,
				  unsigned long nr[P2PDMA_FRONT_CLASSES]);
void p2pdma_front_count(struct p2pdma_fronts *fronts, int cpu,
			unsigned long *hits, unsigned long *misses);

#endif /* _PCI_P2PDMA_FRONT_H */
