// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the allocator of peer-to-peer DMA memory (p2pdma_pool.c).
 *
 * A pool never touches the memory that it hands out, so the pools here lie over
 * addresses that do not exist: whoever looked there would fault.
 *
 * Most cases keep a book beside the pool: a bitmap of the pages that are out
 * and a list of the allocations.  The book says what the pool must answer:
 *
 *  - a request succeeds if, and only if, some free run is that long;
 *  - what is handed out was free, lies in one range and is recorded;
 *  - the number of free pages is exact after each step;
 *  - when all that is free is gathered, there are as many pieces as the book has
 *    free runs: more would mean that a merge was forgotten, fewer that a piece
 *    crosses something that it must not cross.
 *
 * Numbers are drawn from a generator with a fixed seed, so that a failure comes
 * again.  A failed case names the step.
 *
 * The ranges of a pool that has several follow one another without a gap,
 * because that is where a run might cross into the next range by mistake.
 *
 * Frees of what was not allocated are answered by the pool with false, and the
 * provider warns (p2pdma.c); hence they can be tested here without a warning.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/panic.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/smp.h>

#include "../p2pdma_pool.h"

/* No such address exists; aligned to any power of two of interest */
#define NOWHERE		0x7ead000000000000UL
#define MAX_RANGES	4
/* Most pages that a range of the pool can have */
#define RANGE_LIMIT	(BIT(30) - 1)

struct book_range {
	unsigned long base;
	unsigned int pages;
	unsigned long *used;
};

struct piece {
	void *addr;
	size_t size;
};

struct book {
	struct kunit *test;
	struct p2pdma_pool pool;
	unsigned int nr_ranges;
	struct book_range range[MAX_RANGES];
	unsigned int pages;
	unsigned int nr_pieces;
	struct piece *pieces;
};

/* What is free, as the book sees it */
struct vacancy {
	unsigned int pages;
	unsigned int runs;
	unsigned int longest;
};

static unsigned int to_pages(size_t size)
{
	return DIV_ROUND_UP(size, PAGE_SIZE);
}

static size_t to_bytes(unsigned long pages)
{
	return pages << PAGE_SHIFT;
}

/* A failed case must not also warn when its pool is destroyed */
static void book_close(void *data)
{
	struct book *book = data;

	while (book->nr_pieces--)
		p2pdma_pool_free(&book->pool,
				 book->pieces[book->nr_pieces].addr,
				 book->pieces[book->nr_pieces].size);
	p2pdma_pool_destroy(&book->pool);
}

/* A pool of @nr ranges from address @base on, one right after the other */
static struct book *book_open(struct kunit *test, unsigned long base,
			      const unsigned int *pages, unsigned int nr)
{
	struct book *book = kunit_kzalloc(test, sizeof(*book), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, book);
	KUNIT_ASSERT_LE(test, nr, MAX_RANGES);
	book->test = test;
	for (i = 0; i < nr; i++)
		book->pages += pages[i];
	book->pieces = kunit_kcalloc(test, book->pages, sizeof(*book->pieces),
				     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, book->pieces);

	/* What closing the book needs is there by now, and is freed after it */
	p2pdma_pool_init(&book->pool);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, book_close, book), 0);

	for (i = 0; i < nr; i++) {
		struct book_range *range = &book->range[i];

		range->base = base;
		range->pages = pages[i];
		range->used = kunit_kcalloc(test, BITS_TO_LONGS(pages[i]),
					    sizeof(long), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, range->used);
		KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool, (void *)base,
						      to_bytes(pages[i]),
						      NUMA_NO_NODE), 0);
		base += to_bytes(pages[i]);
	}
	book->nr_ranges = nr;
	return book;
}

/* The range that all of @pages at @addr lie in, or NULL */
static struct book_range *book_range(struct book *book, void *addr,
				     unsigned int pages, unsigned int *first)
{
	unsigned long vaddr = (unsigned long)addr;
	unsigned int i;

	for (i = 0; i < book->nr_ranges; i++) {
		struct book_range *range = &book->range[i];

		if (vaddr < range->base ||
		    vaddr + to_bytes(pages) > range->base + to_bytes(range->pages))
			continue;
		*first = (vaddr - range->base) >> PAGE_SHIFT;
		return range;
	}
	return NULL;
}

/* Enter what the pool has handed out */
static void book_in(struct book *book, void *addr, size_t size)
{
	struct kunit *test = book->test;
	unsigned int pages = to_pages(size);
	struct book_range *range;
	unsigned int first;

	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(addr));
	range = book_range(book, addr, pages, &first);
	KUNIT_ASSERT_NOT_NULL_MSG(test, range, "%u pages at %#lx are not in one range",
				  pages, (unsigned long)addr - NOWHERE);
	KUNIT_ASSERT_GE_MSG(test, find_next_bit(range->used, first + pages, first),
			    first + pages, "%u pages at %u are in use already",
			    pages, first);
	bitmap_set(range->used, first, pages);
	book->pieces[book->nr_pieces++] = (struct piece){ addr, size };
}

/* Strike out an allocation; it has to be freed, too */
static struct piece book_out(struct book *book, unsigned int index)
{
	struct piece piece = book->pieces[index];
	struct book_range *range;
	unsigned int first;

	range = book_range(book, piece.addr, to_pages(piece.size), &first);
	bitmap_clear(range->used, first, to_pages(piece.size));
	book->pieces[index] = book->pieces[--book->nr_pieces];
	return piece;
}

static void *book_alloc(struct book *book, size_t size)
{
	void *addr = p2pdma_pool_alloc(&book->pool, size);

	if (addr)
		book_in(book, addr, size);
	return addr;
}

static void book_free(struct book *book, unsigned int index)
{
	struct piece piece = book_out(book, index);

	KUNIT_ASSERT_TRUE(book->test, p2pdma_pool_free(&book->pool, piece.addr,
						       piece.size));
}

static void book_free_all(struct book *book)
{
	while (book->nr_pieces)
		book_free(book, book->nr_pieces - 1);
}

static struct vacancy range_vacancy(const struct book_range *range)
{
	struct vacancy v = {};
	unsigned int start, end;

	for (start = find_first_zero_bit(range->used, range->pages);
	     start < range->pages;
	     start = find_next_zero_bit(range->used, range->pages, end)) {
		end = find_next_bit(range->used, range->pages, start);
		v.pages += end - start;
		v.runs++;
		v.longest = max(v.longest, end - start);
	}
	return v;
}

static struct vacancy book_vacancy(const struct book *book)
{
	struct vacancy v = {}, r;
	unsigned int i;

	for (i = 0; i < book->nr_ranges; i++) {
		r = range_vacancy(&book->range[i]);
		v.pages += r.pages;
		v.runs += r.runs;
		v.longest = max(v.longest, r.longest);
	}
	return v;
}

/* Is an allocation of @pages pages at @addr on record? */
static bool book_has(const struct book *book, void *addr, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < book->nr_pieces; i++)
		if (book->pieces[i].addr == addr)
			return to_pages(book->pieces[i].size) == pages;
	return false;
}

/*
 * Gather all that is free and give it back: in as many pieces as there are free
 * runs, and until no page is left.
 */
static void book_audit(struct book *book)
{
	struct kunit *test = book->test;
	struct vacancy v = book_vacancy(book);
	unsigned int before = book->nr_pieces;
	size_t got;
	void *addr;

	KUNIT_ASSERT_EQ(test, p2pdma_pool_size(&book->pool),
			to_bytes(book->pages));
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(v.pages));

	while ((addr = p2pdma_pool_alloc_some(&book->pool,
					      to_bytes(book->pages + 1), &got)))
		book_in(book, addr, got);

	KUNIT_ASSERT_EQ(test, book_vacancy(book).pages, 0);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool), 0);
	KUNIT_ASSERT_EQ_MSG(test, book->nr_pieces - before, v.runs,
			    "pieces against free runs");

	while (book->nr_pieces > before)
		book_free(book, book->nr_pieces - 1);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(v.pages));
}

/* All pages allocated, each by itself; free the ones that you want free */
static struct book *full_pool(struct kunit *test, unsigned long base,
			      unsigned int pages)
{
	struct book *book = book_open(test, base, &pages, 1);
	unsigned int i;
	void *addr;

	addr = p2pdma_pool_alloc(&book->pool, to_bytes(pages));
	KUNIT_ASSERT_PTR_EQ(test, addr, (void *)base);
	KUNIT_ASSERT_TRUE(test, p2pdma_pool_split(&book->pool, addr,
						  to_bytes(pages)));
	for (i = 0; i < pages; i++)
		book_in(book, addr + to_bytes(i), PAGE_SIZE);
	return book;
}

static void free_single(struct book *book, void *addr)
{
	unsigned int i;

	for (i = 0; i < book->nr_pieces; i++)
		if (book->pieces[i].addr == addr)
			break;
	KUNIT_ASSERT_LT(book->test, i, book->nr_pieces);
	KUNIT_ASSERT_EQ(book->test, book->pieces[i].size, PAGE_SIZE);
	book_free(book, i);
}

/* Make a free run of @pages pages in a full pool */
static void vacate(struct book *book, unsigned int first, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		free_single(book, (void *)book->range[0].base +
				  to_bytes(first + i));
}

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

/* Random operations against the book --------------------------------------- */

#define MODEL_STEPS	6000
#define MODEL_AUDIT	500

static const struct model_pool {
	const char *name;
	unsigned long base;		/* in pages from NOWHERE */
	unsigned int pages[MAX_RANGES];
} model_pools[] = {
	{ "1 page",		0,	{ 1 } },
	{ "2 pages",		1,	{ 2 } },
	{ "3 pages",		0,	{ 3 } },
	{ "7 pages",		3,	{ 7 } },
	{ "64 pages",		0,	{ 64 } },
	{ "257 pages",		5,	{ 257 } },
	{ "1500 pages",		0,	{ 1500 } },
	{ "8 + 8 pages",	0,	{ 8, 8 } },
	{ "5 + 1 + 300 pages",	7,	{ 5, 1, 300 } },
	{ "700 + 600 + 1 + 33",	0,	{ 700, 600, 1, 33 } },
};

static void model_pool_name(const struct model_pool *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(model_pool, model_pools, model_pool_name);

static u32 draw(struct rnd_state *rnd, u32 below)
{
	return prandom_u32_state(rnd) % below;
}

/* Mostly what storage asks for, at times more than there can be */
static size_t draw_size(struct rnd_state *rnd, unsigned int most)
{
	size_t size;

	switch (draw(rnd, 4)) {
	case 0:
		size = to_bytes(1 + draw(rnd, min(most, 4U)));
		break;
	case 1:
		size = to_bytes(1 + draw(rnd, min(most, 64U)));
		break;
	case 2:
		size = to_bytes(1UL << draw(rnd, ilog2(most) + 1));
		break;
	default:
		size = to_bytes(1 + draw(rnd, most + 2));
	}
	/* A part of the last page counts as all of it */
	return draw(rnd, 2) ? size : size - draw(rnd, PAGE_SIZE);
}

static void model_alloc(struct book *book, struct rnd_state *rnd, int step)
{
	size_t size = draw_size(rnd, book->pages);
	struct vacancy v[MAX_RANGES], all = book_vacancy(book);
	unsigned int pages = to_pages(size), first, i;
	struct book_range *range;
	void *addr;

	for (i = 0; i < book->nr_ranges; i++)
		v[i] = range_vacancy(&book->range[i]);

	addr = book_alloc(book, size);
	KUNIT_ASSERT_EQ_MSG(book->test, !!addr, pages <= all.longest,
			    "step %d: %u pages, longest free run %u", step,
			    pages, all.longest);
	if (!addr || !is_power_of_2(pages))
		return;

	/* A run this long has an aligned place, wherever it begins */
	range = book_range(book, addr, pages, &first);
	if (v[range - book->range].longest >= 2 * pages - 1)
		KUNIT_ASSERT_TRUE_MSG(book->test,
				      IS_ALIGNED((unsigned long)addr, to_bytes(pages)),
				      "step %d: %u pages at page %u", step,
				      pages, first);
}

static void model_alloc_some(struct book *book, struct rnd_state *rnd,
			     int step)
{
	size_t size = draw_size(rnd, book->pages), got = 0;
	struct vacancy v = book_vacancy(book);
	unsigned int pages = to_pages(size);
	void *addr;

	addr = p2pdma_pool_alloc_some(&book->pool, size, &got);
	KUNIT_ASSERT_EQ_MSG(book->test, !!addr, v.pages > 0, "step %d", step);
	if (!addr)
		return;

	if (pages <= v.longest) {
		KUNIT_ASSERT_EQ_MSG(book->test, got, size, "step %d", step);
	} else if (v.longest <= 256) {
		KUNIT_ASSERT_EQ_MSG(book->test, got, to_bytes(v.longest),
				    "step %d", step);
	} else {
		/* Runs that share a list differ by less than an eighth */
		KUNIT_ASSERT_TRUE_MSG(book->test, PAGE_ALIGNED(got), "step %d",
				      step);
		KUNIT_ASSERT_GT_MSG(book->test, 9 * to_pages(got),
				    8 * v.longest, "step %d", step);
	}
	book_in(book, addr, got);
}

static void model_split(struct book *book, struct rnd_state *rnd, int step)
{
	unsigned int i, pages, index;
	struct piece piece;

	if (!book->nr_pieces)
		return;

	index = draw(rnd, book->nr_pieces);
	piece = book_out(book, index);
	pages = to_pages(piece.size);
	KUNIT_ASSERT_TRUE_MSG(book->test,
			      p2pdma_pool_split(&book->pool, piece.addr,
						piece.size), "step %d", step);
	for (i = 0; i < pages; i++)
		book_in(book, piece.addr + to_bytes(i), PAGE_SIZE);
}

/* Free, or split, what was not allocated so, mostly next to what was */
static void model_forge(struct book *book, struct rnd_state *rnd, int step)
{
	struct book_range *range = &book->range[draw(rnd, book->nr_ranges)];
	void *addr = (void *)range->base + to_bytes(draw(rnd, range->pages + 1));
	unsigned int pages = 1 + draw(rnd, draw(rnd, 2) ? 3 : range->pages);
	bool done;

	if (book_has(book, addr, pages))
		return;

	if (draw(rnd, 2))
		done = p2pdma_pool_free(&book->pool, addr, to_bytes(pages));
	else
		done = p2pdma_pool_split(&book->pool, addr, to_bytes(pages));
	KUNIT_ASSERT_FALSE_MSG(book->test, done,
			       "step %d: %u pages at %#lx were not allocated so",
			       step, pages, (unsigned long)addr - NOWHERE);
}

static void random_operations_match_model(struct kunit *test)
{
	const struct model_pool *p = test->param_value;
	unsigned int nr = 0, weight;
	struct rnd_state rnd;
	struct book *book;
	int step;

	while (nr < MAX_RANGES && p->pages[nr])
		nr++;
	book = book_open(test, NOWHERE + to_bytes(p->base), p->pages, nr);
	prandom_seed_state(&rnd, 20241121 + p->pages[0]);

	for (step = 0; step < MODEL_STEPS; step++) {
		/* Times of growth and times of decline */
		weight = step / MODEL_AUDIT % 2 ? 5 : 8;

		switch (draw(&rnd, 16)) {
		case 0:
			model_alloc_some(book, &rnd, step);
			break;
		case 1:
			model_split(book, &rnd, step);
			break;
		case 2:
			model_forge(book, &rnd, step);
			break;
		default:
			if (draw(&rnd, 13) < weight)
				model_alloc(book, &rnd, step);
			else if (book->nr_pieces)
				book_free(book, draw(&rnd, book->nr_pieces));
		}

		KUNIT_ASSERT_EQ_MSG(test, p2pdma_pool_available(&book->pool),
				    to_bytes(book_vacancy(book).pages),
				    "step %d", step);
		if (step % MODEL_AUDIT == MODEL_AUDIT - 1)
			book_audit(book);
	}

	/* Every page comes back, and all merges into one run a range */
	book_free_all(book);
	KUNIT_EXPECT_EQ(test, book_vacancy(book).runs, nr);
	book_audit(book);
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
	struct book *book = full_pool(test, NOWHERE, 128);

	vacate(book, 1, 2);
	vacate(book, 21, 3);
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
	struct book *book = full_pool(test, NOWHERE, pages);
	unsigned int i, pieces;
	size_t left, got;
	void *addr;

	for (i = 0; i < pages; i += 2)
		vacate(book, i, 1);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages / 2));

	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, to_bytes(2)));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, to_bytes(300)));

	/* A part of the last page is wanted only */
	left = to_bytes(pages / 2) - 100;
	for (pieces = 0; left; pieces++) {
		addr = p2pdma_pool_alloc_some(&book->pool, left, &got);
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_ASSERT_EQ(test, got, min(left, PAGE_SIZE));
		book_in(book, addr, got);
		left -= got;
	}
	KUNIT_EXPECT_EQ(test, pieces, pages / 2);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc_some(&book->pool, 1, &got));

	book_free_all(book);
	KUNIT_EXPECT_NOT_NULL(test, book_alloc(book, to_bytes(pages)));
}

/* With free runs of 8, 5, 3 and 1 pages the least number of pieces is known */
static void fewest_pieces(struct kunit *test)
{
	static const struct {
		unsigned int pages;
		unsigned int pieces;
	} want[] = {
		{ 1, 1 }, { 3, 1 }, { 6, 1 }, { 8, 1 }, { 9, 2 }, { 11, 2 },
		{ 13, 2 }, { 14, 3 }, { 16, 3 }, { 17, 4 },
	};
	unsigned int i, before, left;
	struct book *book = full_pool(test, NOWHERE, 64);
	size_t got;
	void *addr;

	vacate(book, 0, 3);
	vacate(book, 10, 8);
	vacate(book, 30, 1);
	vacate(book, 59, 5);

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		before = book->nr_pieces;
		for (left = want[i].pages; left; left -= to_pages(got)) {
			addr = p2pdma_pool_alloc_some(&book->pool,
						      to_bytes(left), &got);
			KUNIT_ASSERT_NOT_NULL(test, addr);
			book_in(book, addr, got);
		}
		KUNIT_EXPECT_EQ_MSG(test, book->nr_pieces - before,
				    want[i].pieces, "%u pages", want[i].pages);
		while (book->nr_pieces > before)
			book_free(book, book->nr_pieces - 1);
	}
	book_audit(book);
}

/* The longest piece may be in any of the ranges */
static void gathers_from_all_ranges(struct kunit *test)
{
	static const unsigned int pages[] = { 4, 9, 6 };
	struct book *book = book_open(test, NOWHERE, pages, 3);
	static const unsigned int want[] = { 9, 6, 3 };
	unsigned int i, left = 18;
	size_t got;
	void *addr;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		addr = p2pdma_pool_alloc_some(&book->pool, to_bytes(left),
					      &got);
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_EXPECT_EQ(test, got, to_bytes(want[i]));
		book_in(book, addr, got);
		left -= to_pages(got);
	}
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), PAGE_SIZE);
}

static void short_runs_are_used_first(struct kunit *test)
{
	struct book *book = full_pool(test, NOWHERE, 512);

	/* Freed in this order, so that the longest is found last and first */
	vacate(book, 300, 200);
	vacate(book, 100, 5);
	vacate(book, 200, 7);
	vacate(book, 20, 60);

	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(5)),
			    (void *)NOWHERE + to_bytes(100));
	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(6)),
			    (void *)NOWHERE + to_bytes(200));
	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(59)),
			    (void *)NOWHERE + to_bytes(20));
	KUNIT_EXPECT_PTR_EQ(test, book_alloc(book, to_bytes(200)),
			    (void *)NOWHERE + to_bytes(300));
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
	struct book *book;
	void *addr[5] = {};

	for (l = 0; l < ARRAY_SIZE(lengths); l++) {
		len = lengths[l];
		book = book_open(test, NOWHERE, &(unsigned int){ 5 * len }, 1);

		for (i = 0; i < ARRAY_SIZE(orders); i++) {
			for (k = 0; k < 5; k++) {
				addr[k] = book_alloc(book, to_bytes(len));
				KUNIT_ASSERT_PTR_EQ(test, addr[k], addr[0] +
						    to_bytes(k * len));
			}
			for (k = 0; k < 3; k++) {
				for (n = 0; n < book->nr_pieces; n++)
					if (book->pieces[n].addr ==
					    addr[orders[i][k]])
						break;
				book_free(book, n);
			}
			KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(3 * len) + 1));
			KUNIT_EXPECT_PTR_EQ_MSG(test,
						book_alloc(book, to_bytes(3 * len)),
						addr[1],
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
	size_t got;
	void *addr;

	for (i = 0; i < ARRAY_SIZE(never); i++)
		KUNIT_EXPECT_NULL_MSG(test, book_alloc(book, never[i]),
				      "%#zx bytes", never[i]);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc_some(&book->pool, 0, &got));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		addr = book_alloc(book, sizes[i]);
		KUNIT_ASSERT_NOT_NULL_MSG(test, addr, "%#zx bytes", sizes[i]);
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				to_bytes(pages - to_pages(sizes[i])));
		book_free(book, 0);
	}

	/* As much as there is, however much is wanted */
	addr = p2pdma_pool_alloc_some(&book->pool, SIZE_MAX, &got);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, got, to_bytes(pages));
	book_in(book, addr, got);
	book_free(book, 0);
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
	struct book *book = full_pool(test, NOWHERE, pages);
	unsigned int i, step;
	int len;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		vacate(book, 7, lengths[i]);
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
		book = full_pool(test, NOWHERE, 3600);
		for (first = 1, k = 0; k < 3; k++) {
			vacate(book, first, lists[i].length[k]);
			if (lists[i].length[k] >= lists[i].want)
				where = first;
			first += lists[i].length[k] + 3;
		}
		KUNIT_EXPECT_NULL(test, book_alloc(book, to_bytes(1150)));
		addr = book_alloc(book, to_bytes(lists[i].want));
		KUNIT_EXPECT_PTR_EQ_MSG(test, addr,
					(void *)NOWHERE + to_bytes(where),
					"%u pages", lists[i].want);
		book_audit(book);
	}
}

/* Splitting, frees of what is not there ------------------------------------ */

static void split_pages_come_back_one_by_one(struct kunit *test)
{
	static const unsigned int lengths[] = { 1, 2, 17, 256, 300 };
	unsigned int pages = 300, i, k, len;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	struct rnd_state rnd;
	void *addr;

	prandom_seed_state(&rnd, 7);

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		addr = p2pdma_pool_alloc(&book->pool, to_bytes(len) - 1);
		KUNIT_ASSERT_NOT_NULL(test, addr);
		KUNIT_ASSERT_TRUE(test, p2pdma_pool_split(&book->pool, addr,
							  to_bytes(len) - 1));
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
				to_bytes(pages - len));

		for (k = 0; k < len; k++)
			book_in(book, addr + to_bytes(k), PAGE_SIZE);
		if (len > 1) {
			/* It is not one allocation any more */
			KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, addr,
								  to_bytes(len)));
			KUNIT_EXPECT_FALSE(test, p2pdma_pool_split(&book->pool, addr,
								   to_bytes(len)));
		}
		while (book->nr_pieces) {
			book_free(book, draw(&rnd, book->nr_pieces));
			KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
					to_bytes(pages - book->nr_pieces));
		}
		book_audit(book);
	}
}

static void bogus_frees_change_nothing(struct kunit *test)
{
	static const unsigned int pages[] = { 40, 40 };
	struct book *book = book_open(test, NOWHERE + PAGE_SIZE, pages, 2);
	void *base = (void *)book->range[0].base;
	void *end = base + to_bytes(80);
	void *a = book_alloc(book, to_bytes(5));
	void *b = book_alloc(book, to_bytes(7));
	void *c = book_alloc(book, to_bytes(5));
	const struct {
		const char *what;
		void *addr;
		size_t size;
	} bogus[] = {
		{ "size zero", a, 0 },
		{ "too short", a, to_bytes(4) },
		{ "too long", a, to_bytes(5) + 1 },
		{ "along with the next", a, to_bytes(12) },
		{ "far too long", a, SIZE_MAX },
		{ "length modulo 2^32", a, to_bytes((1UL << 32) + 5) },
		{ "length with the used bit", a, to_bytes((1UL << 31) + 5) },
		{ "second page", a + PAGE_SIZE, to_bytes(4) },
		{ "second page, one", a + PAGE_SIZE, PAGE_SIZE },
		{ "last page", b + to_bytes(6), PAGE_SIZE },
		{ "not at a page", b + 8, to_bytes(7) },
		{ "last byte of the page before", b - 1, to_bytes(7) },
		{ "free memory", c + to_bytes(5), PAGE_SIZE },
		{ "all of the free run", c + to_bytes(5), to_bytes(23) },
		{ "last page of the range", base + to_bytes(39), PAGE_SIZE },
		{ "NULL", NULL, to_bytes(5) },
		{ "below", base - PAGE_SIZE, PAGE_SIZE },
		{ "above", end, PAGE_SIZE },
		{ "far above", (void *)-PAGE_SIZE, PAGE_SIZE },
		{ "2^32 pages above", a + to_bytes(1UL << 32), to_bytes(5) },
	};
	size_t available = p2pdma_pool_available(&book->pool);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_ASSERT_NOT_NULL(test, c);

	for (i = 0; i < ARRAY_SIZE(bogus); i++) {
		KUNIT_EXPECT_FALSE_MSG(test,
				       p2pdma_pool_free(&book->pool, bogus[i].addr,
							bogus[i].size),
				       "%s", bogus[i].what);
		KUNIT_EXPECT_FALSE_MSG(test,
				       p2pdma_pool_split(&book->pool, bogus[i].addr,
							 bogus[i].size),
				       "%s", bogus[i].what);
		KUNIT_EXPECT_EQ_MSG(test, p2pdma_pool_available(&book->pool),
				    available, "%s", bogus[i].what);
	}
	book_audit(book);

	/* A second free, with the neighbours in use, free, and merged */
	for (i = 0; i < 3; i++) {
		struct piece piece = book->pieces[(i + 1) % book->nr_pieces];

		book_free(book, (i + 1) % book->nr_pieces);
		KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, piece.addr,
							  piece.size));
		KUNIT_EXPECT_FALSE(test, p2pdma_pool_split(&book->pool, piece.addr,
							   piece.size));
		book_audit(book);
	}
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(80));

	/* Any size that rounds up to the same pages is the same allocation */
	a = p2pdma_pool_alloc(&book->pool, 3 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, a,
						 2 * PAGE_SIZE + 1));
}

/* Ranges, end of a pool ---------------------------------------------------- */

static void adds_ranges(struct kunit *test)
{
	static const unsigned int pages[] = { 4 };
	struct book *book = book_open(test, NOWHERE, pages, 1);
	void *next = (void *)NOWHERE + SZ_1G;
	size_t got;
	void *addr;

	KUNIT_EXPECT_EQ(test, p2pdma_pool_add(&book->pool, next, 0,
					      NUMA_NO_NODE), -EINVAL);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_add(&book->pool, next, PAGE_SIZE - 1,
					      NUMA_NO_NODE), -EINVAL);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_add(&book->pool, next, PAGE_SIZE + 1,
					      NUMA_NO_NODE), -EINVAL);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_add(&book->pool, next + 1, PAGE_SIZE,
					      NUMA_NO_NODE), -EINVAL);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_add(&book->pool, next,
					      to_bytes(RANGE_LIMIT + 1),
					      NUMA_NO_NODE), -EINVAL);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), to_bytes(4));

	/* While the pool is in use; the second range may be far away */
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(4)));
	KUNIT_EXPECT_NULL(test, book_alloc(book, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool, next, to_bytes(9),
					      NUMA_NO_NODE), 0);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), to_bytes(13));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(9));

	addr = p2pdma_pool_alloc_some(&book->pool, to_bytes(20), &got);
	KUNIT_EXPECT_PTR_EQ(test, addr, next);
	KUNIT_EXPECT_EQ(test, got, to_bytes(9));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_free(&book->pool, addr, got));
}

static void empty_pool(struct kunit *test)
{
	struct book *book = book_open(test, NOWHERE, NULL, 0);
	size_t got;

	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&book->pool), 0);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), 0);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, 1));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc_some(&book->pool, 1, &got));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_free(&book->pool, (void *)NOWHERE,
						  PAGE_SIZE));
	p2pdma_pool_kill(&book->pool);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, HZ));
}

static void dead_pool_gives_nothing(struct kunit *test)
{
	unsigned int pages = 10;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	unsigned long begin;
	size_t got;

	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(3)));
	KUNIT_ASSERT_NOT_NULL(test, book_alloc(book, to_bytes(2)));
	p2pdma_pool_kill(&book->pool);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc_some(&book->pool, PAGE_SIZE,
						       &got));

	/* It waits, but not longer than it is told */
	begin = jiffies;
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_wait_idle(&book->pool, HZ / 10));
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, begin + HZ / 10));

	/* Memory still comes back, and is not given out again */
	book_free(book, 0);
	KUNIT_EXPECT_NULL(test, p2pdma_pool_alloc(&book->pool, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, p2pdma_pool_wait_idle(&book->pool, 1));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool), to_bytes(8));
	book_free(book, 0);
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, 0));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&book->pool, HZ));
}

struct late_free {
	struct book *book;
	unsigned int nr;
	struct completion done;
};

static int free_late(void *data)
{
	struct late_free *late = data;
	unsigned int i;

	for (i = 0; i < late->nr; i++) {
		msleep(50);
		p2pdma_pool_free(&late->book->pool, late->book->pieces[i].addr,
				 late->book->pieces[i].size);
	}
	complete(&late->done);
	return 0;
}

static void waits_for_the_last_free(struct kunit *test)
{
	unsigned int pages = 10;
	struct late_free late = {
		.book = book_open(test, NOWHERE, &pages, 1),
		.nr = 3,
	};
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < late.nr; i++)
		KUNIT_ASSERT_NOT_NULL(test, book_alloc(late.book, to_bytes(2)));
	init_completion(&late.done);
	p2pdma_pool_kill(&late.book->pool);

	task = kthread_run(free_late, &late, "p2pdma_pool_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_EXPECT_TRUE(test, p2pdma_pool_wait_idle(&late.book->pool,
						      60 * HZ));
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&late.book->pool),
			to_bytes(pages));
	wait_for_completion(&late.done);
	late.book->nr_pieces = 0;
}

/* Two at a time, and in interrupts ------------------------------------------ */

#define HAMMER_STEPS	10000
#define HAMMER_PIECES	24

struct hammer {
	struct p2pdma_pool *pool;
	unsigned int pages;
	atomic_t *owner;		/* one for each page */
	int id;
	unsigned long refused;
	unsigned long taken;		/* pages that somebody else had */
	unsigned long lost;		/* pages that were not ours at the end */
	unsigned long rejected;		/* frees and splits */
	struct completion done;
};

static void hammer_own(struct hammer *h, void *addr, size_t size)
{
	unsigned int page = ((unsigned long)addr - NOWHERE) >> PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < to_pages(size); i++)
		if (page + i >= h->pages ||
		    atomic_cmpxchg(&h->owner[page + i], 0, h->id))
			h->taken++;
}

static void hammer_disown(struct hammer *h, void *addr, size_t size)
{
	unsigned int page = ((unsigned long)addr - NOWHERE) >> PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < to_pages(size); i++)
		if (page + i >= h->pages ||
		    atomic_cmpxchg(&h->owner[page + i], h->id, 0) != h->id)
			h->lost++;
}

static void hammer_free(struct hammer *h, struct piece *piece, bool split)
{
	size_t done;

	hammer_disown(h, piece->addr, piece->size);
	if (!split) {
		h->rejected += !p2pdma_pool_free(h->pool, piece->addr,
						 piece->size);
	} else {
		h->rejected += !p2pdma_pool_split(h->pool, piece->addr,
						  piece->size);
		for (done = 0; done < piece->size; done += PAGE_SIZE)
			h->rejected += !p2pdma_pool_free(h->pool,
							 piece->addr + done,
							 PAGE_SIZE);
	}
	piece->addr = NULL;
}

static int hammer(void *data)
{
	struct hammer *h = data;
	struct piece piece[HAMMER_PIECES] = {};
	struct rnd_state rnd;
	unsigned int i, step;

	prandom_seed_state(&rnd, h->id);
	for (step = 0; step < HAMMER_STEPS; step++) {
		struct piece *p = &piece[draw(&rnd, HAMMER_PIECES)];

		if (p->addr) {
			hammer_free(h, p, !draw(&rnd, 8));
			continue;
		}
		p->size = 1 + draw(&rnd, 12 * PAGE_SIZE);
		if (draw(&rnd, 4))
			p->addr = p2pdma_pool_alloc(h->pool, p->size);
		else
			p->addr = p2pdma_pool_alloc_some(h->pool, p->size,
							 &p->size);
		if (p->addr)
			hammer_own(h, p->addr, p->size);
		else
			h->refused++;
	}
	for (i = 0; i < HAMMER_PIECES; i++)
		if (piece[i].addr)
			hammer_free(h, &piece[i], false);

	complete(&h->done);
	return 0;
}

static void hammer_start(struct kunit *test, struct hammer *h, unsigned int cpu)
{
	struct task_struct *task;

	init_completion(&h->done);
	task = kthread_create(hammer, h, "p2pdma_pool_test/%d", h->id);
	if (IS_ERR(task)) {
		KUNIT_FAIL(test, "no thread: %pe", task);
		complete(&h->done);
		return;
	}
	kthread_bind(task, cpu);
	wake_up_process(task);
}

/* CPUs to use: two, if there are */
static void two_cpus(unsigned int cpu[2])
{
	cpu[0] = cpumask_first(cpu_online_mask);
	cpu[1] = cpumask_next(cpu[0], cpu_online_mask);
	if (cpu[1] >= nr_cpu_ids)
		cpu[1] = cpu[0];
}

static void no_page_belongs_to_two(struct kunit *test)
{
	/* Less than both would like to have, so that some are refused */
	static const unsigned int pages = 200;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	atomic_t *owner = kunit_kcalloc(test, pages, sizeof(*owner), GFP_KERNEL);
	struct hammer *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	unsigned int cpu[2], i;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, h);
	two_cpus(cpu);

	for (i = 0; i < 2; i++) {
		h[i].pool = &book->pool;
		h[i].pages = pages;
		h[i].owner = owner;
		h[i].id = i + 1;
		hammer_start(test, &h[i], cpu[i]);
	}
	for (i = 0; i < 2; i++)
		wait_for_completion(&h[i].done);

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
		/* Otherwise it would have been no contest */
		KUNIT_EXPECT_GT(test, h[i].refused, 0);
	}
	book_audit(book);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));
}

static void works_with_interrupts_off(struct kunit *test)
{
	unsigned int pages = 20;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	bool split, freed[3], off[5];
	unsigned long flags;
	void *addr, *some;
	size_t got;

	local_irq_save(flags);
	addr = p2pdma_pool_alloc(&book->pool, to_bytes(2));
	off[0] = irqs_disabled();
	some = p2pdma_pool_alloc_some(&book->pool, to_bytes(30), &got);
	off[1] = irqs_disabled();
	split = p2pdma_pool_split(&book->pool, addr, to_bytes(2));
	off[2] = irqs_disabled();
	freed[0] = p2pdma_pool_free(&book->pool, addr, PAGE_SIZE);
	freed[1] = p2pdma_pool_free(&book->pool, addr + PAGE_SIZE, PAGE_SIZE);
	off[3] = irqs_disabled();
	freed[2] = p2pdma_pool_free(&book->pool, some, got);
	off[4] = irqs_disabled();
	local_irq_restore(flags);

	KUNIT_EXPECT_NOT_NULL(test, addr);
	KUNIT_EXPECT_NOT_NULL(test, some);
	KUNIT_EXPECT_EQ(test, got, to_bytes(18));
	KUNIT_EXPECT_TRUE(test, split);
	KUNIT_EXPECT_TRUE(test, freed[0] && freed[1] && freed[2]);
	KUNIT_EXPECT_TRUE(test, off[0] && off[1] && off[2] && off[3] && off[4]);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	book_audit(book);
}

static void from_interrupt(void *data)
{
	struct hammer *h = data;
	void *addr = p2pdma_pool_alloc(h->pool, 3 * PAGE_SIZE);

	if (!addr) {
		h->refused++;
		return;
	}
	hammer_own(h, addr, 3 * PAGE_SIZE);
	hammer_disown(h, addr, 3 * PAGE_SIZE);
	h->rejected += !p2pdma_pool_free(h->pool, addr, 3 * PAGE_SIZE);
}

/* Interrupts come at any point of what the thread on the same CPU does */
static void interrupts_a_thread(struct kunit *test)
{
	static const unsigned int pages = 100;
	struct book *book = book_open(test, NOWHERE, &pages, 1);
	atomic_t *owner = kunit_kcalloc(test, pages, sizeof(*owner), GFP_KERNEL);
	struct hammer *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	unsigned int cpu[2], i, calls = 0;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_NOT_NULL(test, h);
	two_cpus(cpu);
	if (cpu[0] == cpu[1])
		kunit_skip(test, "needs two CPUs");

	for (i = 0; i < 2; i++) {
		h[i].pool = &book->pool;
		h[i].pages = pages;
		h[i].owner = owner;
		h[i].id = i + 1;
	}
	hammer_start(test, &h[1], cpu[1]);
	while (!try_wait_for_completion(&h[1].done)) {
		if (smp_call_function_single(cpu[1], from_interrupt, &h[0],
					     true))
			break;
		calls++;
		cond_resched();
	}
	KUNIT_EXPECT_GT(test, calls, 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, h[i].taken, 0);
		KUNIT_EXPECT_EQ(test, h[i].lost, 0);
		KUNIT_EXPECT_EQ(test, h[i].rejected, 0);
	}
	KUNIT_EXPECT_LT(test, h[0].refused, calls);
	book_audit(book);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(pages));
}

/* Complaints of the kernel ------------------------------------------------- */

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static bool locks_before;

static int p2pdma_pool_suite_init(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;
	return 0;
}

/* Last: nothing in this suite made the kernel complain */
static void kernel_has_not_complained(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}

static struct kunit_case p2pdma_pool_cases[] = {
	KUNIT_CASE_PARAM(random_operations_match_model, model_pool_gen_params),
	KUNIT_CASE(powers_of_two_are_aligned),
	KUNIT_CASE(aligned_pieces_fill_the_pool),
	KUNIT_CASE(longer_run_is_preferred_if_aligned),
	KUNIT_CASE(every_other_page_free),
	KUNIT_CASE(fewest_pieces),
	KUNIT_CASE(gathers_from_all_ranges),
	KUNIT_CASE(short_runs_are_used_first),
	KUNIT_CASE(exhaustion_and_recovery),
	KUNIT_CASE(freed_neighbours_merge),
	KUNIT_CASE(runs_do_not_cross_ranges),
	KUNIT_CASE(sizes_at_the_limits),
	KUNIT_CASE(any_length_up_to_the_longest),
	KUNIT_CASE(only_one_run_of_a_list_is_long_enough),
	KUNIT_CASE(split_pages_come_back_one_by_one),
	KUNIT_CASE(bogus_frees_change_nothing),
	KUNIT_CASE(adds_ranges),
	KUNIT_CASE(empty_pool),
	KUNIT_CASE(dead_pool_gives_nothing),
	KUNIT_CASE(waits_for_the_last_free),
	KUNIT_CASE(no_page_belongs_to_two),
	KUNIT_CASE(works_with_interrupts_off),
	KUNIT_CASE(interrupts_a_thread),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite p2pdma_pool_suite = {
	.name = "p2pdma_pool",
	.suite_init = p2pdma_pool_suite_init,
	.test_cases = p2pdma_pool_cases,
};

kunit_test_suite(p2pdma_pool_suite);

MODULE_DESCRIPTION("KUnit tests of the allocator of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
