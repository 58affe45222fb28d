// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of the allocator of peer-to-peer DMA memory: thousands of random
 * operations on small pools, each compared with a book (p2pdma_book.h).
 *
 * Numbers are drawn from a generator with a fixed seed, so that a failure comes
 * again.  A failed case names the step.
 */
#include <kunit/test.h>

#include <linux/bitmap.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/sort.h>

#include "../pci_kunit.h"
#include "p2pdma_book.h"

#define MODEL_STEPS	6000
#define MODEL_AUDIT	500

/* Lengths from here on share lists, and are not told apart exactly */
#define LONG_RUN	257

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
	struct vacancy v[MAX_RANGES], all = book_vacancy(book);
	size_t size = draw_size(rnd, book->pages);
	unsigned int pages = to_pages(size), first, i;
	bool scattered = book_parked(book);
	struct book_range *range;
	void *addr;

	for (i = 0; i < book->nr_ranges; i++)
		v[i] = book_range_vacancy(&book->range[i]);

	addr = book_alloc(book, size);
	KUNIT_ASSERT_EQ_MSG(book->test, !!addr, pages <= all.longest,
			    "step %d: %u pages, longest free run %u", step,
			    pages, all.longest);
	if (!addr || !is_power_of_2(pages) || scattered)
		return;

	/* A run this long has an aligned place, wherever it begins */
	range = book_range(book, addr, pages, &first);
	if (v[range - book->range].longest >= 2 * pages - 1)
		KUNIT_ASSERT_TRUE_MSG(book->test,
				      IS_ALIGNED((unsigned long)addr, to_bytes(pages)),
				      "step %d: %u pages at page %u", step,
				      pages, first);
}

static int longer_first(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

/* How many pieces of up to @most pages are needed at least; 0 if impossible */
static unsigned int fewest_pieces(struct book *book, unsigned int pages,
				  unsigned int most, unsigned int *longest)
{
	unsigned int nr = 0, i, k, start, end, len;
	int *run;

	/* Pieces of the runs as they would be cut, not the runs */
	run = kunit_kcalloc(book->test, book->pages + 1, sizeof(*run),
			    GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(book->test, run);
	*longest = 0;
	for (i = 0; i < book->nr_ranges; i++) {
		struct book_range *range = &book->range[i];

		for (end = 0; ; ) {
			start = find_next_zero_bit(range->used, range->pages, end);
			if (start >= range->pages)
				break;
			end = find_next_bit(range->used, range->pages, start);
			*longest = max(*longest, end - start);
			for (len = end - start; len; len -= min(len, most))
				run[nr++] = min(len, most);
		}
	}
	sort(run, nr, sizeof(*run), longer_first, NULL);
	for (k = 0; k < nr && pages; k++)
		pages -= min_t(unsigned int, pages, run[k]);
	kunit_kfree(book->test, run);
	return pages ? 0 : k;
}

static void model_gather(struct book *book, struct rnd_state *rnd, int step)
{
	size_t size = draw_size(rnd, book->pages);
	unsigned int pages = to_pages(size), most, max_pieces, need, longest;
	bool scattered;
	unsigned int nr;

	most = draw(rnd, 2) ? book->pages : 1 + draw(rnd, book->pages);
	max_pieces = draw(rnd, 2) ? UINT_MAX : 1 + draw(rnd, 8);
	need = fewest_pieces(book, pages, most, &longest);
	scattered = book_parked(book);

	nr = book_gather(book, size, max_pieces, to_bytes(most));
	if (!need) {
		KUNIT_ASSERT_EQ_MSG(book->test, nr, 0, "step %d: %u pages",
				    step, pages);
		return;
	}

	/* What is kept at hand may make it more, but not too many */
	if (nr)
		KUNIT_ASSERT_GE_MSG(book->test, nr, need, "step %d: %u pages",
				    step, pages);
	if (longest >= LONG_RUN && need > 1 && max_pieces != UINT_MAX)
		return;
	KUNIT_ASSERT_EQ_MSG(book->test, nr > 0, need <= max_pieces,
			    "step %d: %u pages in up to %u pieces, %u needed",
			    step, pages, max_pieces, need);
	if (nr && !scattered && longest < LONG_RUN)
		KUNIT_ASSERT_EQ_MSG(book->test, nr, need, "step %d: %u pages",
				    step, pages);
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
	unsigned int complaints = book->complaints;
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
	KUNIT_ASSERT_EQ(book->test, book->complaints, complaints + 1);
}

static void random_operations_match_model(struct kunit *test)
{
	const struct model_pool *p = test->param_value;
	unsigned int nr = 0, weight, most_parked = 0;
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
			model_gather(book, &rnd, step);
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

		most_parked = max_t(unsigned int, most_parked,
				    to_pages(book_parked(book)));
		KUNIT_ASSERT_EQ_MSG(test, p2pdma_pool_available(&book->pool),
				    to_bytes(book_vacancy(book).pages),
				    "step %d", step);
		if (step % MODEL_AUDIT == MODEL_AUDIT - 1)
			book_audit(book);
	}

	/* Otherwise what is kept at hand was left out */
	KUNIT_EXPECT_EQ(test, most_parked > 0, book->pages >= 64);
	KUNIT_EXPECT_LE(test, most_parked, book->pages / 32);

	/* Every page comes back, and all merges into one run a range */
	book_free_all(book);
	KUNIT_EXPECT_EQ(test, book_vacancy(book).runs, nr);
	book_audit(book);
}

static struct kunit_case p2pdma_pool_model_cases[] = {
	KUNIT_CASE_PARAM(random_operations_match_model, model_pool_gen_params),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_pool_model_suite = {
	.name = "p2pdma_pool_model",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_pool_model_cases,
};

kunit_test_suite(p2pdma_pool_model_suite);

MODULE_DESCRIPTION("KUnit test of peer-to-peer DMA memory against a model");
MODULE_LICENSE("GPL");
