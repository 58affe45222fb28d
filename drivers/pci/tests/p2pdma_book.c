// SPDX-License-Identifier: GPL-2.0
/*
 * A pool of peer-to-peer memory with a book beside it, for KUnit tests.
 *
 * See p2pdma_book.h.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bitmap.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/page_ref.h>
#include <linux/slab.h>

#include "p2pdma_book.h"

static void complain(struct p2pdma_pool *pool, void *addr, size_t size)
{
	container_of(pool, struct book, pool)->complaints++;
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

static void free_pages_of_book(void *pages)
{
	kvfree(pages);
}

/**
 * book_pages - struct pages as a provider's are when it gets them
 * @test: the test
 * @nr: number of pages
 *
 * Return: the first one.  They go when the test ends.
 */
struct page *book_pages(struct kunit *test, unsigned int nr)
{
	struct page *pages = kvcalloc(nr, sizeof(*pages), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_pages_of_book,
							pages), 0);
	for (i = 0; i < nr; i++)
		set_page_count(pages + i, 1);
	return pages;
}

/**
 * book_open - make a pool with an empty book
 * @test: the test
 * @base: address of the first range; the others follow right after it
 * @pages: number of pages of each range
 * @nr: number of ranges
 *
 * Return: the book, which is closed when the test ends.
 */
struct book *book_open(struct kunit *test, unsigned long base,
		       const unsigned int *pages, unsigned int nr)
{
	struct book *book = kunit_kzalloc(test, sizeof(*book), GFP_KERNEL);
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, book);
	KUNIT_ASSERT_LE(test, nr, MAX_RANGES);
	book->test = test;
	for (i = 0; i < nr; i++)
		book->pages += pages[i];
	book->page = book_pages(test, book->pages + 1);
	book->pieces = kunit_kcalloc(test, book->pages + 1,
				     sizeof(*book->pieces), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, book->pieces);

	/* What closing the book needs is there by now, and is freed after it */
	p2pdma_pool_init(&book->pool, complain);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, book_close, book), 0);

	page = book->page;
	for (i = 0; i < nr; i++) {
		struct book_range *range = &book->range[i];

		range->base = base;
		range->pages = pages[i];
		range->used = kunit_kcalloc(test, BITS_TO_LONGS(pages[i]),
					    sizeof(long), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, range->used);
		KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&book->pool, (void *)base,
						      page, to_bytes(pages[i]),
						      NUMA_NO_NODE), 0);
		base += to_bytes(pages[i]);
		page += pages[i];
	}
	book->nr_ranges = nr;
	return book;
}

/**
 * book_range - the range that an allocation lies in
 * @book: the book
 * @addr: address of the allocation
 * @pages: its length in pages
 * @first: returns the number of its first page in the range
 *
 * Return: the range that all of it lies in, or NULL.
 */
struct book_range *book_range(struct book *book, void *addr,
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

/**
 * book_in - enter what the pool has handed out
 * @book: the book
 * @addr: address of the allocation
 * @size: its size in bytes
 */
void book_in(struct book *book, void *addr, size_t size)
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

/**
 * book_out - strike out an allocation, which the caller frees
 * @book: the book
 * @index: its number in the list
 *
 * Return: the allocation.
 */
struct piece book_out(struct book *book, unsigned int index)
{
	struct piece piece = book->pieces[index];
	struct book_range *range;
	unsigned int first;

	range = book_range(book, piece.addr, to_pages(piece.size), &first);
	bitmap_clear(range->used, first, to_pages(piece.size));
	book->pieces[index] = book->pieces[--book->nr_pieces];
	return piece;
}

/**
 * book_alloc - allocate, and enter it
 * @book: the book
 * @size: number of bytes
 *
 * Return: what the pool returned.
 */
void *book_alloc(struct book *book, size_t size)
{
	void *addr = p2pdma_pool_alloc(&book->pool, size);

	if (addr)
		book_in(book, addr, size);
	return addr;
}

/**
 * book_gather - allocate in pieces, and enter them
 * @book: the book
 * @size: number of bytes
 * @max_pieces: most pieces
 * @max_piece: most bytes of a piece
 *
 * The last piece is entered with what was wanted of it.
 *
 * Return: number of pieces, or 0.
 */
unsigned int book_gather(struct book *book, size_t size,
			 unsigned int max_pieces, size_t max_piece)
{
	struct kunit *test = book->test;
	struct page *piece, *next;
	unsigned int nr = 0, n;
	size_t got;

	piece = p2pdma_pool_gather(&book->pool, size, max_pieces, max_piece,
				   &nr);
	if (!piece)
		return 0;

	for (n = 0; piece; n++, piece = next) {
		next = p2pdma_pool_next_piece(piece, &got);
		KUNIT_ASSERT_LE(test, got, max_piece);
		KUNIT_ASSERT_GT(test, size, 0);
		if (next)
			KUNIT_ASSERT_LT(test, got, size);
		got = min(got, size);
		book_in(book, p2pdma_pool_address(&book->pool, piece), got);
		size -= got;
	}
	KUNIT_ASSERT_EQ(test, size, 0);
	KUNIT_ASSERT_EQ(test, n, nr);
	KUNIT_ASSERT_LE(test, n, max_pieces);
	return n;
}

/**
 * book_free - free an allocation, and strike it out
 * @book: the book
 * @index: its number in the list
 */
void book_free(struct book *book, unsigned int index)
{
	struct piece piece = book_out(book, index);

	KUNIT_ASSERT_TRUE(book->test, p2pdma_pool_free(&book->pool, piece.addr,
						       piece.size));
}

/**
 * book_free_all - free all allocations
 * @book: the book
 */
void book_free_all(struct book *book)
{
	while (book->nr_pieces)
		book_free(book, book->nr_pieces - 1);
}

/**
 * book_range_vacancy - what is free in a range
 * @range: the range
 *
 * Return: that.
 */
struct vacancy book_range_vacancy(const struct book_range *range)
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

/**
 * book_vacancy - what is free in all ranges
 * @book: the book
 *
 * Return: that.
 */
struct vacancy book_vacancy(const struct book *book)
{
	struct vacancy v = {}, r;
	unsigned int i;

	for (i = 0; i < book->nr_ranges; i++) {
		r = book_range_vacancy(&book->range[i]);
		v.pages += r.pages;
		v.runs += r.runs;
		v.longest = max(v.longest, r.longest);
	}
	return v;
}

/**
 * book_has - is an allocation on record?
 * @book: the book
 * @addr: its address
 * @pages: its length in pages
 *
 * Return: true if it is.
 */
bool book_has(const struct book *book, void *addr, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < book->nr_pieces; i++)
		if (book->pieces[i].addr == addr)
			return to_pages(book->pieces[i].size) == pages;
	return false;
}

/**
 * book_parked - what CPUs keep at hand
 * @book: the book
 *
 * Return: number of bytes.
 */
size_t book_parked(struct book *book)
{
	return p2pdma_front_parked(&book->pool.fronts, NULL) << PAGE_SHIFT;
}

/**
 * book_audit - compare the pool with the book
 * @book: the book
 *
 * Gathers all that is free and gives it back: in as many pieces as there are
 * free runs, and until no page is left.
 */
void book_audit(struct book *book)
{
	struct kunit *test = book->test;
	struct vacancy v = book_vacancy(book);
	unsigned int before = book->nr_pieces;
	unsigned int pieces;

	KUNIT_ASSERT_EQ(test, p2pdma_pool_size(&book->pool),
			to_bytes(book->pages));
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(v.pages));

	p2pdma_pool_drain(&book->pool);
	KUNIT_ASSERT_EQ(test, book_parked(book), 0);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(v.pages));

	pieces = v.pages ? book_gather(book, to_bytes(v.pages), UINT_MAX,
				       SIZE_MAX) : 0;
	KUNIT_ASSERT_EQ(test, book_vacancy(book).pages, 0);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool), 0);
	KUNIT_ASSERT_EQ_MSG(test, pieces, v.runs, "pieces against free runs");

	while (book->nr_pieces > before)
		book_free(book, book->nr_pieces - 1);
	KUNIT_ASSERT_EQ(test, p2pdma_pool_available(&book->pool),
			to_bytes(v.pages));
	p2pdma_pool_drain(&book->pool);
}

/**
 * book_open_full - make a pool with all pages allocated, each by itself
 * @test: the test
 * @base: its address
 * @pages: number of pages
 *
 * Return: the book.
 */
struct book *book_open_full(struct kunit *test, unsigned long base,
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

/**
 * book_vacate - make a free run in a full pool
 * @book: the book
 * @first: number of its first page
 * @pages: its length in pages, each of which is an allocation
 */
void book_vacate(struct book *book, unsigned int first, unsigned int pages)
{
	void *addr = (void *)book->range[0].base + to_bytes(first);
	unsigned int i;

	for (; pages; pages--, addr += PAGE_SIZE) {
		for (i = 0; i < book->nr_pieces; i++)
			if (book->pieces[i].addr == addr)
				break;
		KUNIT_ASSERT_LT(book->test, i, book->nr_pieces);
		KUNIT_ASSERT_EQ(book->test, book->pieces[i].size, PAGE_SIZE);
		book_free(book, i);
	}
	p2pdma_pool_drain(&book->pool);
}
