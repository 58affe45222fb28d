/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool of peer-to-peer memory with a book beside it, for KUnit tests.
 *
 * A pool never touches the memory that it hands out, so the pools here lie over
 * addresses that do not exist: whoever looked there would fault.  Their struct
 * pages are ordinary memory.
 *
 * The book is a bitmap of the pages that are out and a list of the allocations.
 * It says what the pool must answer:
 *
 *  - a request succeeds if, and only if, some free run is that long;
 *  - what is handed out was free, lies in one range and is recorded;
 *  - the number of free pages is exact after each step;
 *  - when all that is free is gathered, there are as many pieces as the book has
 *    free runs: more would mean that a merge was forgotten, fewer that a piece
 *    crosses something that it must not cross.
 *
 * The ranges of a pool that has several follow one another without a gap, and so
 * do their struct pages, because that is where a run might cross into the next
 * range by mistake.
 *
 * What CPUs keep at hand is free, as far as the book is concerned.  Where a case
 * is about the runs behind that, it drains the pool first.
 *
 * KUnit does not notice a WARN or a lockdep report; the last case of each suite
 * looks for them.
 */
#ifndef _PCI_P2PDMA_BOOK_H
#define _PCI_P2PDMA_BOOK_H

#include <kunit/test.h>

#include <linux/mm_types.h>
#include <linux/prandom.h>
#include <linux/types.h>

#include "../p2pdma_fast.h"
#include "../p2pdma_pool.h"

/* No such address exists; aligned to any power of two of interest */
#define NOWHERE		0x7ead000000000000UL
#define MAX_RANGES	4

/**
 * struct book_range - a range of a pool
 * @base: its address
 * @pages: number of pages
 * @used: the pages that are out
 */
struct book_range {
	unsigned long base;
	unsigned int pages;
	unsigned long *used;
};

/**
 * struct piece - an allocation
 * @addr: its address
 * @size: its size in bytes
 */
struct piece {
	void *addr;
	size_t size;
};

/**
 * struct book - a pool and what is known of it
 * @test: the test
 * @pool: the pool
 * @nr_ranges: number of ranges
 * @range: the ranges
 * @page: struct pages of all ranges
 * @pages: number of pages in all ranges
 * @nr_pieces: number of allocations
 * @pieces: the allocations
 * @complaints: how often the pool complained
 */
struct book {
	struct kunit *test;
	struct p2pdma_pool pool;
	unsigned int nr_ranges;
	struct book_range range[MAX_RANGES];
	struct page *page;
	unsigned int pages;
	unsigned int nr_pieces;
	struct piece *pieces;
	unsigned int complaints;
};

/**
 * struct vacancy - what is free, as the book sees it
 * @pages: number of pages
 * @runs: number of runs
 * @longest: length of the longest
 */
struct vacancy {
	unsigned int pages;
	unsigned int runs;
	unsigned int longest;
};

static inline unsigned int to_pages(size_t size)
{
	return DIV_ROUND_UP(size, PAGE_SIZE);
}

static inline size_t to_bytes(unsigned long pages)
{
	return pages << PAGE_SHIFT;
}

static inline u32 draw(struct rnd_state *rnd, u32 below)
{
	return prandom_u32_state(rnd) % below;
}

struct book *book_open(struct kunit *test, unsigned long base,
		       const unsigned int *pages, unsigned int nr);
struct book *book_open_full(struct kunit *test, unsigned long base,
			    unsigned int pages);
struct page *book_pages(struct kunit *test, unsigned int nr);
struct book_range *book_range(struct book *book, void *addr,
			      unsigned int pages, unsigned int *first);
void book_in(struct book *book, void *addr, size_t size);
struct piece book_out(struct book *book, unsigned int index);
void *book_alloc(struct book *book, size_t size);
unsigned int book_gather(struct book *book, size_t size,
			 unsigned int max_pieces, size_t max_piece);
void book_free(struct book *book, unsigned int index);
void book_free_all(struct book *book);
struct vacancy book_range_vacancy(const struct book_range *range);
struct vacancy book_vacancy(const struct book *book);
bool book_has(const struct book *book, void *addr, unsigned int pages);
void book_audit(struct book *book);
void book_vacate(struct book *book, unsigned int first, unsigned int pages);
size_t book_parked(struct book *book);

#endif /* _PCI_P2PDMA_BOOK_H */
