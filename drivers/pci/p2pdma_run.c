// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of pages in one range of peer-to-peer memory.
 *
 * A range is cut into runs that are either free or allocated as one piece.  The
 * book of them is kept in fields of struct page that the memory management
 * leaves to the owner of device pages, so that a range takes next to no memory
 * and no time to set up.  The memory itself is behind a device, slow to read,
 * and must not be written to.
 *
 *   zone_device_data   the tag, nonzero only where a run begins or a free run
 *                      ends.  It is four times the length, plus
 *                        P2PDMA_RUN_USED   first page of an allocated run
 *                        P2PDMA_RUN_TAKEN  the same, on its way back
 *                        0                 first and last page of a free run
 *                      Both neighbours of a run that is freed can be judged
 *                      with one load each, and so can a bogus free.
 *   private, index     list pointers of the first page of a free run: to the
 *                      next run, and to what points to this one.
 *   private            of other runs, for whoever owns them: a chain of pieces,
 *                      the address of what is kept at hand (p2pdma_pool.c).
 *
 * Free runs are kept in lists by length: one list for each length from 1 to
 * P2PDMA_RUN_EXACT pages, so that the requests storage makes (4 KiB to 1 MiB)
 * are answered by the best fitting run, or known to be impossible, with one
 * search of a small bitmap.  Longer runs share a list with others whose length
 * has the same leading four bits.  Allocating and freeing thus take the same
 * time however large, full or fragmented a range is.  Only a request for more
 * than 1 MiB may have to look through one list of such long runs.
 *
 * Invariants, whenever no function of this file is at work:
 *  - every page belongs to exactly one run;
 *  - two free runs are never neighbours: freeing merges at once.
 *
 * Locking: the caller's, around all functions of this file.  The inline ones of
 * p2pdma_run.h need none: a tag changes between free and not free in functions
 * of this file only; between used and taken by atomic exchange, or by whoever
 * owns the run.
 *
 * What must never happen: a page in two runs.
 */
#include <linux/bitops.h>
#include <linux/minmax.h>

#include "p2pdma_run.h"

static_assert(BITS_TO_LONGS(P2PDMA_RUN_CLASSES) < BITS_PER_LONG);

static bool tag_is_free(unsigned long tag)
{
	return tag && !(tag & P2PDMA_RUN_STATE);
}

static void set_free_tags(struct page *page, unsigned long len)
{
	p2pdma_run_set_tag(page, len << P2PDMA_RUN_SHIFT);
	p2pdma_run_set_tag(page + len - 1, len << P2PDMA_RUN_SHIFT);
}

/* List on which a free run of @len pages is found */
static __always_inline unsigned int run_class(unsigned long len)
{
	unsigned int order;

	if (likely(len <= P2PDMA_RUN_EXACT))
		return len - 1;

	order = __fls(len);
	return P2PDMA_RUN_EXACT +
	       ((order - P2PDMA_RUN_EXACT_SHIFT) << P2PDMA_RUN_SUB_SHIFT) +
	       ((len >> (order - P2PDMA_RUN_SUB_SHIFT)) &
		GENMASK(P2PDMA_RUN_SUB_SHIFT - 1, 0));
}

static struct page *class_first(const struct p2pdma_range *range,
				unsigned int class)
{
	return (struct page *)range->head[class];
}

static __always_inline void class_filled(struct p2pdma_range *range,
					 unsigned int class)
{
	__set_bit(class, range->nonempty);
	__set_bit(class / BITS_PER_LONG, &range->words);
}

static __always_inline void class_emptied(struct p2pdma_range *range,
					  unsigned int class)
{
	__clear_bit(class, range->nonempty);
	if (!range->nonempty[class / BITS_PER_LONG])
		__clear_bit(class / BITS_PER_LONG, &range->words);
}

/* First list from @class on that is not empty, or P2PDMA_RUN_CLASSES */
static __always_inline unsigned int
class_from(const struct p2pdma_range *range, unsigned int class)
{
	unsigned int word = class / BITS_PER_LONG;
	unsigned long bits, words;

	bits = range->nonempty[word] & (~0UL << (class % BITS_PER_LONG));
	if (!bits) {
		words = range->words & (~1UL << word);
		if (!words)
			return P2PDMA_RUN_CLASSES;
		word = __ffs(words);
		bits = range->nonempty[word];
	}

	return word * BITS_PER_LONG + __ffs(bits);
}

static __always_inline void run_insert(struct p2pdma_range *range,
				       struct page *page, unsigned long len)
{
	unsigned int class = run_class(len);
	unsigned long *head = &range->head[class];
	struct page *next = (struct page *)*head;

	set_free_tags(page, len);
	page->private = (unsigned long)next;
	page->index = (unsigned long)head;
	*head = (unsigned long)page;
	if (next)
		next->index = (unsigned long)&page->private;
	else
		class_filled(range, class);
}

static __always_inline void clear_free_tags(struct page *page,
					    unsigned long len)
{
	p2pdma_run_set_tag(page, 0);
	p2pdma_run_set_tag(page + len - 1, 0);
}

static __always_inline void run_remove(struct p2pdma_range *range,
				       struct page *page, unsigned long len)
{
	struct page *next = (struct page *)page->private;
	unsigned long *link = (unsigned long *)page->index;
	unsigned long class;

	clear_free_tags(page, len);
	*link = (unsigned long)next;
	if (next) {
		next->index = (unsigned long)link;
		return;
	}

	/* Was it alone in the list, or just the last one? */
	class = link - range->head;
	if (class < P2PDMA_RUN_CLASSES)
		class_emptied(range, class);
}

/* Remove the first of a list, without clearing its tags */
static __always_inline void class_remove_first(struct p2pdma_range *range,
					       unsigned int class,
					       struct page *page)
{
	struct page *next = (struct page *)page->private;

	range->head[class] = (unsigned long)next;
	if (next)
		next->index = (unsigned long)&range->head[class];
	else
		class_emptied(range, class);
}

/*
 * Where to cut @len pages out of the @all pages of the free run at @page, as
 * near to its end as possible: the rest then often keeps its place in its list.
 * With @mask, which is a power of two less one, the place is a multiple of that
 * power, so that it can be mapped by large page table entries.  Returns the
 * number of pages in front, or a negative number if the run has no such place.
 */
static __always_inline long run_place(struct p2pdma_range *range,
				      struct page *page, unsigned long all,
				      unsigned long len, unsigned long mask)
{
	unsigned long before = all - len;
	unsigned long pfn = range->pfn + (page - range->page) + before;

	return before - (pfn & mask);
}

/* Turn @len pages, @before pages into the free run at @page, into a used run */
static noinline struct page *run_carve(struct p2pdma_range *range,
				       struct page *page, unsigned long before,
				       unsigned long len)
{
	unsigned long all = p2pdma_run_len(page);
	unsigned long after = all - before - len;
	struct page *run = page + before;

	run_remove(range, page, all);
	if (before)
		run_insert(range, page, before);
	if (after)
		run_insert(range, run + len, after);
	p2pdma_run_set_tag(run, p2pdma_run_used(len));

	return run;
}

/* A free run of at least @len pages, where lists are shared */
static struct page *run_find_long(struct p2pdma_range *range,
				  unsigned long len)
{
	unsigned int class = run_class(len);
	struct page *page;

	/* This list may hold runs that are too short: prefer the next one */
	if (class_from(range, class + 1) < P2PDMA_RUN_CLASSES)
		return class_first(range, class_from(range, class + 1));

	for (page = class_first(range, class); page;
	     page = (struct page *)page->private)
		if (p2pdma_run_len(page) >= len)
			break;

	return page;
}

/* Allocate from the run at @page or, if that has no aligned place, elsewhere */
static struct page *range_alloc_aligned(struct p2pdma_range *range,
					struct page *page, unsigned long len,
					unsigned long mask)
{
	long before = run_place(range, page, p2pdma_run_len(page), len, mask);
	struct page *longer;

	if (before >= 0)
		return run_carve(range, page, before, len);

	/* Runs this long have an aligned place wherever they begin */
	longer = run_find_long(range, len + mask);
	if (!longer)
		return run_carve(range, page, 0, len);

	before = run_place(range, longer, p2pdma_run_len(longer), len, mask);
	return run_carve(range, longer, before, len);
}

static noinline struct page *range_alloc_long(struct p2pdma_range *range,
					      unsigned long len,
					      unsigned long mask)
{
	struct page *page = NULL;

	if (len && len <= range->pages)
		page = run_find_long(range, len);

	return page ? range_alloc_aligned(range, page, len, mask) : NULL;
}

/* No list is sure to hold a run with an aligned place */
static noinline struct page *range_alloc_askew(struct p2pdma_range *range,
					       struct page *page,
					       unsigned long len,
					       unsigned long mask)
{
	if (len + mask > P2PDMA_RUN_EXACT)
		return range_alloc_aligned(range, page, len, mask);

	return run_carve(range, page, 0, len);
}

/**
 * p2pdma_range_init - make a single free run of all pages
 * @range: the range, with its address and pages filled in, and zeros otherwise
 */
void p2pdma_range_init(struct p2pdma_range *range)
{
	range->pfn = range->vaddr >> PAGE_SHIFT;
	run_insert(range, range->page, range->pages);
}

/*
 * Allocate up to *@nr runs of up to P2PDMA_RUN_EXACT pages.  Returns the last
 * one; the others are right before it, and taken.
 */
static __always_inline struct page *
range_alloc(struct p2pdma_range *range, unsigned long len, unsigned long mask,
	    unsigned int *nr)
{
	unsigned long all, after, more = *nr - 1;
	struct page *page, *run;
	unsigned int class;
	long before;

	class = class_from(range, len - 1);
	if (unlikely(class >= P2PDMA_RUN_CLASSES))
		return NULL;

	page = class_first(range, class);
	all = p2pdma_run_len(page);
	before = run_place(range, page, all, len, mask);
	if (unlikely(before < 0)) {
		/* Runs this long have an aligned place wherever they begin */
		class = run_class(len + mask);
		if (class >= P2PDMA_RUN_EXACT)
			class++;
		class = class_from(range, class);
		if (class >= P2PDMA_RUN_CLASSES)
			goto askew;

		page = class_first(range, class);
		all = p2pdma_run_len(page);
		before = run_place(range, page, all, len, mask);
	}

	run = page + before;
	after = all - before - len;
	p2pdma_run_set_tag(page + all - 1, 0);
	if (unlikely(after))
		run_insert(range, run + len, after);
	p2pdma_run_set_tag(run, p2pdma_run_used(len));

	if (more) {
		more = min(more, (unsigned long)before / len);
		*nr = more + 1;
		before -= more * len;
		for (; more; more--)
			p2pdma_run_set_tag(run - more * len,
					   p2pdma_run_taken(len));
	}

	if (class >= P2PDMA_RUN_EXACT && run_class(before) == class) {
		set_free_tags(page, before);
		return run;
	}

	class_remove_first(range, class, page);
	if (before)
		run_insert(range, page, before);
	return run;

askew:
	*nr = 1;
	return range_alloc_askew(range, page, len, mask);
}

/**
 * p2pdma_range_alloc - allocate a run
 * @range: the range
 * @len: number of pages, of which 0 are not to be had
 * @mask: the run should begin at an address that is a multiple of @mask + 1
 *	pages; a power of two less one, and less than @len
 *
 * Return: first page of a run of exactly @len pages, or NULL if there is no
 * free run that long.
 */
struct page *p2pdma_range_alloc(struct p2pdma_range *range, unsigned long len,
				unsigned long mask)
{
	unsigned int nr = 1;

	/* Or 0 */
	if (unlikely(len - 1 >= P2PDMA_RUN_EXACT))
		return range_alloc_long(range, len, mask);

	return range_alloc(range, len, mask, &nr);
}

/**
 * p2pdma_range_alloc_many - allocate runs of one length
 * @range: the range
 * @len: number of pages, a power of two of up to P2PDMA_RUN_EXACT
 * @nr: how many runs are welcome; returns how many there are
 *
 * They are aligned if the first one can be.
 *
 * Return: first page of a run, or NULL if there is no free run that long.  The
 * other runs are right before it, and are taken already.
 */
struct page *p2pdma_range_alloc_many(struct p2pdma_range *range,
				     unsigned long len, unsigned int *nr)
{
	return range_alloc(range, len, len - 1, nr);
}

/**
 * p2pdma_range_free - free a run, and merge it with its neighbours
 * @range: the range
 * @page: first page of a run that was taken
 * @len: number of pages
 */
void p2pdma_range_free(struct p2pdma_range *range, struct page *page,
		       unsigned long len)
{
	struct page *end = page + len;
	unsigned long tag;

	p2pdma_run_set_tag(page, 0);

	if (page > range->page) {
		tag = p2pdma_run_tag(page - 1);
		if (tag_is_free(tag)) {
			page -= tag >> P2PDMA_RUN_SHIFT;
			run_remove(range, page, tag >> P2PDMA_RUN_SHIFT);
		}
	}

	if (end < range->page + range->pages) {
		tag = p2pdma_run_tag(end);
		if (tag_is_free(tag)) {
			run_remove(range, end, tag >> P2PDMA_RUN_SHIFT);
			end += tag >> P2PDMA_RUN_SHIFT;
		}
	}

	run_insert(range, page, end - page);
}

/**
 * p2pdma_range_last - list of the longest free runs
 * @range: the range
 *
 * Return: its number; P2PDMA_RUN_CLASSES if all lists are empty.
 */
unsigned int p2pdma_range_last(const struct p2pdma_range *range)
{
	unsigned int word;

	if (!range->words)
		return P2PDMA_RUN_CLASSES;

	word = __fls(range->words);
	return word * BITS_PER_LONG + __fls(range->nonempty[word]);
}

/**
 * p2pdma_range_gather - allocate whole free runs
 * @range: the range
 * @class: list to take them from, whose first run is no longer than what is
 *	wanted
 * @pieces: what is gathered already, and how much more is wanted
 * @max: most pieces in all, more than there are
 *
 * Return: number of pages.
 */
unsigned long p2pdma_range_gather(struct p2pdma_range *range,
				  unsigned int class,
				  struct p2pdma_pieces *pieces,
				  unsigned int max)
{
	struct page *page = class_first(range, class), *last;
	unsigned long len = p2pdma_run_len(page);
	unsigned long n, most = 1;

	/* All of the list have this length, unless they are long */
	if (len <= P2PDMA_RUN_EXACT)
		most = min_t(unsigned long, pieces->left / len,
			     max - pieces->nr);

	/* They are chained already */
	*pieces->last = (unsigned long)page;
	n = 0;
	do {
		last = page;
		p2pdma_run_set_tag(last + len - 1, 0);
		p2pdma_run_set_tag(last, p2pdma_run_used(len));
		page = (struct page *)last->private;
	} while (++n < most && page);

	pieces->last = &last->private;
	pieces->nr += n;
	pieces->left -= n * len;

	range->head[class] = (unsigned long)page;
	if (page)
		page->index = (unsigned long)&range->head[class];
	else
		class_emptied(range, class);

	return n * len;
}
