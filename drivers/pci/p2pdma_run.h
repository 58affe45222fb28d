/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs of pages in one range of peer-to-peer memory.
 *
 * See drivers/pci/p2pdma_run.c for how it works.
 */
#ifndef _PCI_P2PDMA_RUN_H
#define _PCI_P2PDMA_RUN_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/* What a tag says of the run, beside its length */
#define P2PDMA_RUN_USED		1UL
#define P2PDMA_RUN_TAKEN	2UL
#define P2PDMA_RUN_STATE	3UL
#define P2PDMA_RUN_SHIFT	2

/* Twice as much still has a list: 4 TiB of 4 KiB pages a range */
#define P2PDMA_RUN_MAX		(BIT(30) - 1)

/* Lengths that have a list of their own; 256 pages are 1 MiB of 4 KiB pages */
#define P2PDMA_RUN_EXACT	256U
#define P2PDMA_RUN_EXACT_SHIFT	8
/* Every power of two above is shared out between this many lists */
#define P2PDMA_RUN_SUB_SHIFT	3
#define P2PDMA_RUN_CLASSES	\
	(P2PDMA_RUN_EXACT +	\
	 ((31 - P2PDMA_RUN_EXACT_SHIFT) << P2PDMA_RUN_SUB_SHIFT))

/**
 * struct p2pdma_range - consecutive pages, cut into runs
 * @node: entry in &p2pdma_pool.ranges
 * @vaddr: kernel address of the first page
 * @pfn: the same, counted in pages
 * @pages: number of pages
 * @page: struct page of the first, followed by those of the others
 * @head: lists of free runs: address of the struct page of the first run
 * @words: which words of @nonempty are not zero
 * @nonempty: which of the lists are not empty
 */
struct p2pdma_range {
	struct list_head	node;
	unsigned long		vaddr;
	unsigned long		pfn;
	unsigned long		pages;
	struct page		*page;
	unsigned long		head[P2PDMA_RUN_CLASSES];
	unsigned long		words;
	DECLARE_BITMAP(nonempty, P2PDMA_RUN_CLASSES);
};

/**
 * struct p2pdma_pieces - runs that were allocated together
 * @first: struct page of the first one, chained by their @private
 * @last: where to chain the next
 * @nr: number of runs
 * @left: number of pages that are still wanted
 */
struct p2pdma_pieces {
	unsigned long	first;
	unsigned long	*last;
	unsigned int	nr;
	unsigned long	left;
};

void p2pdma_range_init(struct p2pdma_range *range);
struct page *p2pdma_range_alloc(struct p2pdma_range *range, unsigned long len,
				unsigned long mask);
struct page *p2pdma_range_alloc_many(struct p2pdma_range *range,
				     unsigned long len, unsigned int *nr);
void p2pdma_range_free(struct p2pdma_range *range, struct page *page,
		       unsigned long len);
unsigned int p2pdma_range_last(const struct p2pdma_range *range);
unsigned long p2pdma_range_gather(struct p2pdma_range *range,
				  unsigned int class,
				  struct p2pdma_pieces *pieces,
				  unsigned int max);

/* The tag of a page, see p2pdma_run.c */
static __always_inline unsigned long p2pdma_run_tag(const struct page *page)
{
	return (unsigned long)READ_ONCE(page->zone_device_data);
}

static __always_inline void p2pdma_run_set_tag(struct page *page,
					       unsigned long tag)
{
	WRITE_ONCE(page->zone_device_data, (void *)tag);
}

/* What the tag of an allocated run of this length is */
static __always_inline unsigned long p2pdma_run_used(unsigned long len)
{
	return len << P2PDMA_RUN_SHIFT | P2PDMA_RUN_USED;
}

/* The same on its way back */
static __always_inline unsigned long p2pdma_run_taken(unsigned long len)
{
	return len << P2PDMA_RUN_SHIFT | P2PDMA_RUN_TAKEN;
}

/* Length of the run of which a page is the first */
static __always_inline unsigned long p2pdma_run_len(const struct page *page)
{
	return p2pdma_run_tag(page) >> P2PDMA_RUN_SHIFT;
}

#endif /* _PCI_P2PDMA_RUN_H */
