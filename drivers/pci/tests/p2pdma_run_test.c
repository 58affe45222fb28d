// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the runs that peer-to-peer DMA memory is cut into
 * (p2pdma_run.c): which run a request is served from and where in it, how freed
 * runs merge, and what lengths there are.
 *
 * Each case keeps a book beside the pool (p2pdma_book.h).  CPUs keep nothing at
 * hand where it would be in the way: the cases drain the pool.
 */
#include <kunit/test.h>

#include <linux/limits.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/sort.h>

#include "../pci_kunit.h"
#include "p2pdma_book.h"

/* Take a free run away again; it must be found where it is */
static void occupy(struct book *book, unsigned int first, unsigned int pages)
{
	void *want = (void *)book->range[0].base + to_bytes(first);
	unsigned int i;
	void *addr;

	addr = p2pdma_pool_alloc(&book->pool, to_bytes(pages));
	KUNIT_ASSERT_PTR_EQ_MSG(book->test, addr, want, "%u pages at %u", pages,
				first);
	KUNIT_ASSERT_TRUE(book->test, p2pdma_pool_split(&book->pool, addr,
							to_bytes(pages)));
	for (i = 0; i < pages; i++)
		book_in(book, addr + to_bytes(i), PAGE_SIZE);
}

/* Alignment ---------------------------------------------------------------- */

static bool aligned(void *addr, unsigned int pages)
{
	return IS_ALIGNED((unsigned long)addr, to_bytes(pages));
}

/* On an empty pool, wherever it begins */
static void powers_of_two_are_aligned(struct kunit *test)
{
	static const unsigned int bases[] = { 0, 1, 3, 255, 511 };
	unsigned int pages = 4096, i, order;
	struct book *book;
	void *addr;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		book = book_open(test, NOWHERE + to_bytes(bases[i]), &pages, 1);
		for (order = 0; order <= 11; order++) {
			addr = book_alloc(book, to_bytes(1UL << order));
			KUNIT_ASSERT_NOT_NULL(test, addr);
			KUNIT_EXPECT_TRUE_MSG(test, aligned(addr, 1U << order),
					      "order %u in a pool from page %u",
					      order, bases[i]);
			book_free(book, 0);
		}
		book_audit(book);
	}
}

/* What is cut off for the sake of alignment is not lost */
static void aligned_pieces_fill_the_pool(struct kunit *test)
{
	unsigned int pages = 1024, order;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	void *addr;

	for (order = 0; order < 10; order++) {
		addr = book_alloc(book, to_bytes(1UL << order));
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_EXPECT_TRUE_MSG(test, aligned(addr, 1U << order),
				      "order %u", order);
		p2pdma_pool_drain(&book->pool);
	}
	KUNIT_EXPECT_EQ(test, book_vacancy(book).pages, 1);
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, book_alloc(book, PAGE_SIZE));
	book_free_all(book);
	book_audit(book);
}

/* The best fitting run has no aligned place, a longer one has */
static void longer_run_is_preferred_if_aligned(struct kunit *test)
{
	struct book *book = book_open_full(test, NOWHERE, 128);

	book_vacate(book, 1, 2);
	book_vacate(book, 21, 3);
	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(2)),
			    (void *)NOWHERE + to_bytes(22));

	/* Without any the memory is given out as it is */
	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(2)),
			    (void *)NOWHERE + to_bytes(1));
	KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(2)));
	book_audit(book);
}

/* Fragments ---------------------------------------------------------------- */

static void every_other_page_free(struct kunit *test)
{
	const unsigned int pages = 2048;
	struct book *book = book_open_full(test, NOWHERE, pages);
	unsigned int i;

	for (i = 0; i < pages; i += 2)
		book_vacate(book, i, 1);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages / 2));

	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, to_bytes(2)));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, to_bytes(300)));

	/* A part of the last page is wanted only */
	KUNIT_EXPECT_EQ(test, book_gather(book, to_bytes(pages / 2) - 100,
					  UINT_MAX, SIZE_MAX), pages / 2);
	KUNIT_EXPECT_EQ(test, book_gather(book, 1, UINT_MAX, SIZE_MAX), 0);

	book_free_all(book);
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(pages)));
}

/* With free runs of 8, 5, 3 and 1 pages the least number of pieces is known */
static void fewest_pieces(struct kunit *test)
{
	static const struct {
		unsigned int pages;
		unsigned int most;	/* pages of a piece */
		unsigned int pieces;
	} want[] = {
		{ 1, 99, 1 }, { 3, 99, 1 }, { 6, 99, 1 }, { 8, 99, 1 },
		{ 9, 99, 2 }, { 11, 99, 2 }, { 13, 99, 2 }, { 14, 99, 3 },
		{ 16, 99, 3 }, { 17, 99, 4 },
		/* 8 is cut into 4 + 4, or 3 + 3 + 2, or pages */
		{ 8, 4, 2 }, { 12, 4, 3 }, { 13, 4, 4 }, { 15, 4, 4 },
		{ 17, 4, 6 }, { 9, 3, 3 }, { 12, 3, 4 }, { 17, 3, 7 },
		{ 17, 1, 17 }, { 1, 1, 1 },
	};
	struct book *book = book_open_full(test, NOWHERE, 64);
	unsigned int i, before, nr;

	book_vacate(book, 0, 3);
	book_vacate(book, 10, 8);
	book_vacate(book, 30, 1);
	book_vacate(book, 59, 5);
	before = book->nr_pieces;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		nr = book_gather(book, to_bytes(want[i].pages), UINT_MAX,
				 to_bytes(want[i].most));
		KUNIT_EXPECT_EQ_MSG(test, nr, want[i].pieces,
				    "%u pages in pieces of %u", want[i].pages,
				    want[i].most);
		while (book->nr_pieces > before)
			book_free(book, book->nr_pieces - 1);
		p2pdma_pool_drain(&book->pool);

		/* So many are few enough, one less is not */
		nr = book_gather(book, to_bytes(want[i].pages), want[i].pieces,
				 to_bytes(want[i].most));
		KUNIT_EXPECT_EQ(test, nr, want[i].pieces);
		while (book->nr_pieces > before)
			book_free(book, book->nr_pieces - 1);
		p2pdma_pool_drain(&book->pool);
		nr = book_gather(book, to_bytes(want[i].pages),
				 want[i].pieces - 1, to_bytes(want[i].most));
		KUNIT_EXPECT_EQ(test, nr, 0);
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				to_bytes(17));
	}
	KUNIT_EXPECT_EQ(test, book_gather(book, to_bytes(18), UINT_MAX,
					  SIZE_MAX), 0);
	book_audit(book);
}

/* The longest piece may be in any of the ranges */
static void gathers_from_all_ranges(struct kunit *test)
{
	static const unsigned int pages[] = { 4, 9, 6 };
	static const unsigned int want[] = { 9, 6, 3 };
	struct book *book = book_open(test, NOWHERE, pages, 3);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, book_gather(book, to_bytes(18), UINT_MAX,
					  SIZE_MAX), 3);
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_EQ(test, book->pieces[i].size, to_bytes(want[i]));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), PAGE_SIZE);
}

/* More pieces than are gathered, or freed, in one go */
static void gathers_many(struct kunit *test)
{
	const unsigned int pages = 1000;
	struct book *book = book_open_full(test, NOWHERE, pages);
	struct page *piece;
	unsigned int i, nr;

	for (i = 0; i < pages; i += 3)
		book_vacate(book, i, 2 - i % 2);
	book_audit(book);
	piece = p2pdma_pool_gather(&book->pool, to_bytes(450), UINT_MAX,
				   SIZE_MAX, &nr);
	KUNIT_ASSERT_NOT_NULL(test, piece);
	KUNIT_EXPECT_EQ(test, nr, 167 + 116);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(book_vacancy(book).pages - 450));
	p2pdma_pool_free_pieces(&book->pool, piece);
	book_audit(book);
}

static void short_runs_are_used_first(struct kunit *test)
{
	struct book *book = book_open_full(test, NOWHERE, 512);
	unsigned int first;

	/* Freed in this order, so that the longest is found last and first */
	book_vacate(book, 300, 200);
	book_vacate(book, 100, 5);
	book_vacate(book, 200, 7);
	book_vacate(book, 20, 60);

	book_range(book, book_alloc(book, to_bytes(5)), 5, &first);
	KUNIT_EXPECT_EQ(test, first, 100);
	book_range(book, book_alloc(book, to_bytes(6)), 6, &first);
	KUNIT_EXPECT_EQ(test, first, 201);
	book_range(book, book_alloc(book, to_bytes(59)), 59, &first);
	KUNIT_EXPECT_EQ(test, first, 21);
	book_range(book, book_alloc(book, to_bytes(200)), 200, &first);
	KUNIT_EXPECT_EQ(test, first, 300);
	book_audit(book);
}

/* Exhaustion, merging, sizes ----------------------------------------------- */

static void exhaustion_and_recovery(struct kunit *test)
{
	static const unsigned int pages[] = { 200, 100 };
	static const size_t sizes[] = { SZ_64K, SZ_4K, 3 * SZ_4K, SZ_128K };
	struct book *book = book_open(test, NOWHERE, pages, 2);
	unsigned int i = 0, round;
	size_t size;

	for (round = 0; round < 20; round++) {
		while (book_alloc(book, sizes[i++ % ARRAY_SIZE(sizes)]))
			;
		while (book_alloc(book, PAGE_SIZE))
			;
		KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool), 0);
		KUNIT_ASSERT_NULL(test, book_alloc(book, 1));

		/* What comes back can be had again, and no more than that */
		i = (round * 7) % book->nr_pieces;
		size = book->pieces[i].size;
		book_free(book, i);
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, size));
		KUNIT_ASSERT_NULL(test, book_alloc(book, 1));

		for (i = 0; i < book->nr_pieces; i++)
			book_free(book, i);
	}
	book_free_all(book);
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(200)));
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(100)));
}

static int lower_first(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->addr < y->addr ? -1 : 1;
}

/*
 * Five neighbours; the middle three are freed in all orders, so that the last
 * one merges to the left, to the right and on both sides.
 */
static void freed_neighbours_merge(struct kunit *test)
{
	static const unsigned int orders[][3] = {
		{ 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
		{ 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 },
	};
	static const unsigned int lengths[] = { 1, 3, 100, 300 };
	unsigned int i, k, l, n, len;
	struct piece piece[5];
	struct book *book;
	void *addr;

	for (l = 0; l < ARRAY_SIZE(lengths); l++) {
		len = lengths[l];
		book = book_open(test, NOWHERE, &(unsigned int){ 5 * len }, 1);

		for (i = 0; i < ARRAY_SIZE(orders); i++) {
			for (k = 0; k < 5; k++)
				KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(len)));
			memcpy(piece, book->pieces, sizeof(piece));
			sort(piece, 5, sizeof(*piece), lower_first, NULL);
			for (k = 0; k < 3; k++) {
				addr = piece[orders[i][k]].addr;
				for (n = 0; n < book->nr_pieces; n++)
					if (book->pieces[n].addr == addr)
						break;
				book_free(book, n);
			}
			KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(3 * len) + 1));
			KUNIT_EXPECT_PTR_EQ_MSG(test,
						book_alloc(book, to_bytes(3 * len)),
						piece[1].addr,
						"order %u, %u pages each", i,
						len);
			book_free_all(book);
			book_audit(book);
		}
	}
}

/* Ranges that touch are still two: their memory has different owners */
static void runs_do_not_cross_ranges(struct kunit *test)
{
	static const unsigned int pages[] = { 16, 16 };
	struct book *book = book_open(test, NOWHERE, pages, 2);

	KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(17)));
	KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(32)));

	/* The last page of one and the first of the other, freed */
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(16)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(16)));
	book_free_all(book);
	KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(17)));
	book_audit(book);
}

static void sizes_at_the_limits(struct kunit *test)
{
	static const size_t never[] = {
		0, 5000 * PAGE_SIZE + 1, 5001 * PAGE_SIZE, SZ_1G,
		/* More pages than 31, 32 and 33 bits can count */
		(1UL << 31) * PAGE_SIZE, (1UL << 32) * PAGE_SIZE,
		((1UL << 32) + 1) * PAGE_SIZE, ((1UL << 33) + 7) * PAGE_SIZE,
		SIZE_MAX - PAGE_SIZE, SIZE_MAX - PAGE_SIZE + 2, SIZE_MAX,
	};
	static const size_t sizes[] = {
		1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1,
		255 * PAGE_SIZE, 256 * PAGE_SIZE, 256 * PAGE_SIZE + 1,
		257 * PAGE_SIZE, 511 * PAGE_SIZE, 513 * PAGE_SIZE,
		3000 * PAGE_SIZE, 4096 * PAGE_SIZE, 4999 * PAGE_SIZE,
		4999 * PAGE_SIZE + 1, 5000 * PAGE_SIZE,
	};
	unsigned int pages = 5000, i;
	struct book *book = book_open(test, NOWHERE, &pages, 1);

	for (i = 0; i < ARRAY_SIZE(never); i++)
		KUNIT_EXPECT_NULL_MSG(test, book_alloc(book, never[i]),
				      "%#zx bytes", never[i]);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		KUNIT_EXPECT_EQ_MSG(test, book_gather(book, never[i], UINT_MAX,
						      SIZE_MAX), 0,
				    "%#zx bytes", never[i]);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_ASSERT_NOT_NULL_MSG(test, book_alloc(book, sizes[i]),
					  "%#zx bytes", sizes[i]);
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				to_bytes(pages - to_pages(sizes[i])));
		book_free(book, 0);
	}

	book_audit(book);
}

/* All of a free run can be had, and any part of it, whatever its length */
static void any_length_up_to_the_longest(struct kunit *test)
{
	static const unsigned int lengths[] = {
		1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 255, 256, 257, 258,
		287, 288, 289, 319, 320, 511, 512, 513, 575, 576, 577, 1000,
		1023, 1024, 1025, 2047, 3000,
	};
	const unsigned int pages = 3100;
	struct book *book = book_open_full(test, NOWHERE, pages);
	unsigned int i, step;
	int len;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		book_vacate(book, 7, lengths[i]);
		KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(lengths[i] + 1)));

		step = lengths[i] > 300 ? 37 : 1;
		for (len = lengths[i]; len > 0; len -= step) {
			KUNIT_ASSERT_NOT_NULL_MSG(test,
						  book_alloc(book, to_bytes(len)),
						  "%d pages of %u", len,
						  lengths[i]);
			book_free(book, book->nr_pieces - 1);
		}
		occupy(book, 7, lengths[i]);
	}
}

/* Above 256 pages, runs of different lengths share a list: look at all */
static void only_one_run_of_a_list_is_long_enough(struct kunit *test)
{
	static const struct {
		unsigned int length[3];
		unsigned int want;
	} lists[] = {
		{ { 310, 290, 300 }, 305 }, { { 290, 310, 300 }, 305 },
		{ { 290, 300, 310 }, 305 }, { { 257, 258, 257 }, 258 },
		{ { 288, 319, 300 }, 319 }, { { 515, 570, 540 }, 570 },
		{ { 1030, 1027, 1149 }, 1149 },
	};
	unsigned int i, k, first, where = 0;
	struct book *book;
	void *addr;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		book = book_open_full(test, NOWHERE, 3600);
		for (first = 1, k = 0; k < 3; k++) {
			book_vacate(book, first, lists[i].length[k]);
			if (lists[i].length[k] >= lists[i].want)
				where = first + lists[i].length[k];
			first += lists[i].length[k] + 3;
		}
		KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(1150)));
		addr = book_alloc(book, to_bytes(lists[i].want));
		KUNIT_ASSERT_NOT_NULL_MSG(test, addr, "%u pages", lists[i].want);
		KUNIT_EXPECT_PTR_EQ_MSG(test, addr + to_bytes(lists[i].want),
					(void *)NOWHERE + to_bytes(where),
					"%u pages", lists[i].want);
		book_audit(book);
	}
}

static struct kunit_case p2pdma_run_cases[] = {
	KUNIT_CASE(powers_of_two_are_aligned),
	KUNIT_CASE(aligned_pieces_fill_the_pool),
	KUNIT_CASE(longer_run_is_preferred_if_aligned),
	KUNIT_CASE(every_other_page_free),
	KUNIT_CASE(fewest_pieces),
	KUNIT_CASE(gathers_from_all_ranges),
	KUNIT_CASE(gathers_many),
	KUNIT_CASE(short_runs_are_used_first),
	KUNIT_CASE(exhaustion_and_recovery),
	KUNIT_CASE(freed_neighbours_merge),
	KUNIT_CASE(runs_do_not_cross_ranges),
	KUNIT_CASE(sizes_at_the_limits),
	KUNIT_CASE(any_length_up_to_the_longest),
	KUNIT_CASE(only_one_run_of_a_list_is_long_enough),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_run_suite = {
	.name = "p2pdma_run",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_run_cases,
};

kunit_test_suite(p2pdma_run_suite);

MODULE_DESCRIPTION("KUnit tests of the runs of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
