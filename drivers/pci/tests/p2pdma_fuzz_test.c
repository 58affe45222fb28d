// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA with arguments made by chance, of what drivers
 * call.
 *
 * Each case knows what the answer must be, from a model that is simpler than the
 * code: a bitmap of the 2 MiB that are registered, or of the pages that are out.
 * How cases are made is told in p2pdma_fuzz.c.
 *
 *   host ─── 01.0 rp ── mem   BAR 0 8 MiB, BAR 2 2 MiB, BAR 4 I/O ports
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bitmap.h>
#include <linux/build_bug.h>
#include <linux/device/devres.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "../p2pdma.h"
#include "../p2pdma_fast.h"
#include "p2pdma_book.h"
#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

#define CASES_ADD	4000
#define CASES_ALLOC	20000
#define CASES_FREE	20000

/* With the other suites, more than 100,000 */
static_assert(CASES_ADD + CASES_ALLOC + CASES_FREE >= 40000);

#define BAR0		SZ_8M
#define BAR2		SZ_2M

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = BAR0 }, [2] = { .size = BAR2 },
		   [4] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
};

/* Adding memory ------------------------------------------------------------- */

#define UNITS		(BAR0 / SZ_2M)

struct adding {
	struct pci_dev *mem;
	void *group;
	/* Which 2 MiB of BAR 0 and BAR 2 are registered */
	DECLARE_BITMAP(units[2], UNITS);
};

static int what_adding_gives(struct adding *a, int bar, u64 size, u64 offset,
			     unsigned int *first, unsigned int *nr)
{
	u64 len = bar == 0 ? BAR0 : bar == 2 ? BAR2 : 0;

	if (!len || offset >= len || size > len - offset)
		return -EINVAL;
	if (!size)
		size = len - offset;
	if (size % SZ_2M || offset % SZ_2M)
		return -EINVAL;
	*first = offset / SZ_2M;
	*nr = size / SZ_2M;
	if (find_next_bit(a->units[bar / 2], *first + *nr, *first) <
	    *first + *nr)
		return -EBUSY;
	return 0;
}

static const char *add_anything(struct fuzz *f)
{
	struct adding *a = f->data;
	int bar = fuzz_chance(f, 4) ? (int)fuzz_number(f, 6) :
				      2 * (int)fuzz_draw(f, 2);
	u64 offset = fuzz_chance(f, 3) ? 0 : fuzz_number(f, BAR0);
	u64 size = fuzz_number(f, BAR0);
	unsigned int first, nr, want, got;
	struct pci_p2pdma *p2p;
	int error, expected;

	expected = what_adding_gives(a, bar, size, offset, &first, &nr);
	fuzz_say(f, "BAR %d, size %#llx, offset %#llx: %d", bar, size, offset,
		 expected);
	error = pci_p2pdma_add_memory(a->mem, bar, size, offset,
				      fuzz_draw(f, 2));
	if (error != expected)
		return "wrong answer";
	if (!error)
		bitmap_set(a->units[bar / 2], first, nr);

	want = bitmap_weight(a->units[0], UNITS) +
	       bitmap_weight(a->units[1], UNITS);
	p2p = rcu_access_pointer(a->mem->p2pdma);
	if (!p2p != !want)
		return "a provider without memory, or the other way round";
	got = p2p ? p2pdma_pool_size(&p2p->pool) / SZ_2M : 0;
	if (got != want || (p2p && p2pdma_pool_available(&p2p->pool) !=
				   p2pdma_pool_size(&p2p->pool)))
		return "the pool has another size";

	if (fuzz_chance(f, 64)) {
		devres_release_group(&a->mem->dev, a->group);
		bitmap_zero(a->units[0], UNITS);
		bitmap_zero(a->units[1], UNITS);
		if (rcu_access_pointer(a->mem->p2pdma))
			return "the provider has not ended";
		a->group = devres_open_group(&a->mem->dev, NULL, GFP_KERNEL);
		if (!a->group)
			return "no memory";
	}
	return NULL;
}

static void adding_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, nodes);
	struct adding *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, a);
	a->mem = pci_kunit_bind(tree, "mem");
	a->group = devres_open_group(&a->mem->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a->group);
	fuzz_run(test, CASES_ADD, add_anything, a);
}

/* Allocating ---------------------------------------------------------------- */

#define ALL_PAGES	((BAR0 + BAR2) / PAGE_SIZE)
#define BAR0_PAGES	(BAR0 / PAGE_SIZE)
#define HELD		48

struct allocation {
	void *addr;
	size_t size;
	struct scatterlist *sgl;
	unsigned int nr;
};

struct allocating {
	struct pci_dev *mem;
	struct p2pdma_pool *pool;
	/* Pages of BAR 0, then of BAR 2, that are out */
	DECLARE_BITMAP(out, ALL_PAGES);
	struct allocation held[HELD];
};

/* The longest run of pages that are free, in BAR 0 or in BAR 2 */
static unsigned int longest_run(struct allocating *a)
{
	unsigned int start = 0, end, longest = 0;

	for (;;) {
		start = find_next_zero_bit(a->out, ALL_PAGES, start);
		if (start >= ALL_PAGES)
			return longest;
		end = find_next_bit(a->out, start < BAR0_PAGES ? BAR0_PAGES :
								ALL_PAGES,
				    start);
		longest = max(longest, end - start);
		start = end;
	}
}

/* Pages go out, or come back; what is wrong with it, or NULL */
static const char *account(struct allocating *a, void *addr, size_t size,
			   bool go)
{
	unsigned long pages = DIV_ROUND_UP(size, PAGE_SIZE), first, limit;
	phys_addr_t phys = virt_to_phys(addr);
	resource_size_t start0 = pci_resource_start(a->mem, 0);
	resource_size_t start2 = pci_resource_start(a->mem, 2);

	if (phys >= start0 && phys - start0 < BAR0) {
		first = (phys - start0) >> PAGE_SHIFT;
		limit = BAR0_PAGES;
	} else if (phys >= start2 && phys - start2 < BAR2) {
		first = BAR0_PAGES + ((phys - start2) >> PAGE_SHIFT);
		limit = ALL_PAGES;
	} else {
		return "memory that is in no BAR";
	}
	if (!PAGE_ALIGNED(addr) || first + pages > limit)
		return "memory beyond the end";
	if (!go) {
		bitmap_clear(a->out, first, pages);
		return NULL;
	}
	if (find_next_bit(a->out, first + pages, first) < first + pages)
		return "memory that is out already";
	bitmap_set(a->out, first, pages);
	if (pci_p2pmem_virt_to_bus(a->mem, addr + size - 1) !=
	    virt_to_phys(addr) + size - 1)
		return "wrong bus address";
	return NULL;
}

static const char *account_all(struct allocating *a, struct allocation *h,
			       bool go)
{
	struct scatterlist *sg;
	const char *why = NULL;
	unsigned int i;

	if (!h->sgl)
		return account(a, h->addr, h->size, go);
	for_each_sg(h->sgl, sg, h->nr, i)
		why = why ?: account(a, sg_virt(sg), sg->length, go);
	return why;
}

static const char *give_back(struct allocating *a, struct allocation *h)
{
	const char *why = account_all(a, h, false);

	if (h->sgl)
		pci_p2pmem_free_sgl(a->mem, h->sgl);
	else
		pci_free_p2pmem(a->mem, h->addr, h->size);
	*h = (struct allocation){};
	return why;
}

static const char *get_one(struct fuzz *f, struct allocating *a,
			   struct allocation *h)
{
	unsigned int longest = longest_run(a);
	u64 size = fuzz_number(f, (u64)longest << PAGE_SHIFT);
	bool possible;

	if (fuzz_chance(f, 2))
		size = PAGE_SIZE << fuzz_draw(f, 12);
	possible = size && size <= (u64)longest << PAGE_SHIFT;
	fuzz_say(f, "alloc %#llx, longest run is %u pages", size, longest);
	h->addr = pci_alloc_p2pmem(a->mem, size);
	h->size = size;
	if (!h->addr)
		return possible ? "refused" : NULL;
	return possible ? account_all(a, h, true) : "impossible";
}

static const char *get_list(struct fuzz *f, struct allocating *a,
			    struct allocation *h)
{
	u64 avail = p2pdma_pool_available(a->pool), most, left;
	u32 length = fuzz_number(f, avail);
	unsigned int entries = fuzz_number(f, 64), i;
	struct scatterlist *sg;

	most = fuzz_chance(f, 2) ? fuzz_number(f, SZ_128K) :
				   PAGE_SIZE << fuzz_draw(f, 10);
	if (fuzz_chance(f, 2))
		entries = UINT_MAX;
	fuzz_say(f, "list of %#x, at most %u of %#llx, of %#llx", length,
		 entries, most, avail);
	h->sgl = pci_p2pmem_alloc_sgl_limits(a->mem, &h->nr, length, entries,
					     most);
	if (!h->sgl)
		return length && length <= avail && entries == UINT_MAX &&
		       most >= PAGE_SIZE ? "refused" : NULL;
	if (!length || length > avail || h->nr > entries)
		return "impossible";

	left = length;
	for_each_sg(h->sgl, sg, h->nr, i) {
		if (!sg->length || sg->length > most || sg->length > left)
			return "an entry of a wrong length";
		left -= sg->length;
		if (left && !PAGE_ALIGNED(sg->length))
			return "an entry that is no whole page";
		if (sg_is_last(sg) != (i == h->nr - 1))
			return "the list does not end where it should";
	}
	if (left)
		return "too little";
	return account_all(a, h, true);
}

static const char *look_up_anything(struct fuzz *f, struct allocating *a)
{
	u64 n = fuzz_number(f, BAR0);
	void *base = page_to_virt(pfn_to_page(PHYS_PFN(pci_resource_start(a->mem,
									 0))));
	pci_bus_addr_t bus = pci_p2pmem_virt_to_bus(a->mem, base + n);
	u64 phys = pci_resource_start(a->mem, 0) + n;
	u64 start2 = pci_resource_start(a->mem, 2);

	fuzz_say(f, "%#llx beyond the beginning", n);
	if (n < BAR0 || (phys >= start2 && phys - start2 < BAR2))
		return bus == phys ? NULL : "wrong bus address";
	return bus ? "a bus address of something else" : NULL;
}

static const char *alloc_anything(struct fuzz *f)
{
	struct allocating *a = f->data;
	struct allocation *h = &a->held[fuzz_draw(f, HELD)];
	const char *why;

	fuzz_say(f, "free");
	if (h->addr || h->sgl)
		why = give_back(a, h);
	else if (fuzz_chance(f, 8))
		why = look_up_anything(f, a);
	else
		why = fuzz_chance(f, 2) ? get_list(f, a, h) : get_one(f, a, h);
	if (!why && p2pdma_pool_available(a->pool) >> PAGE_SHIFT !=
		    ALL_PAGES - bitmap_weight(a->out, ALL_PAGES))
		why = "the number of free pages is wrong";
	return why;
}

static void give_all_back(void *data)
{
	struct allocating *a = data;
	struct allocation *h;

	for (h = a->held; h < a->held + HELD; h++)
		if (h->addr || h->sgl)
			give_back(a, h);
}

static void allocating(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, nodes);
	struct allocating *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, a);
	a->mem = pci_kunit_bind(tree, "mem");
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(a->mem, 0, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(a->mem, 2, 0, 0), 0);
	a->pool = &rcu_access_pointer(a->mem->p2pdma)->pool;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, give_all_back, a),
			0);
	fuzz_run(test, CASES_ALLOC, alloc_anything, a);
	kunit_release_action(test, give_all_back, a);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(a->pool), BAR0 + BAR2);
}

/* Freeing what is not there ------------------------------------------------- */

#define FREE_PIECES	40

/* What is done with it; each returns whether the pool took it */
static bool take_wrong(struct p2pdma_pool *pool, void *addr, size_t size)
{
	return p2pdma_pool_take(pool, addr, size);
}

static bool cut_wrong(struct p2pdma_pool *pool, void *addr, size_t size)
{
	return p2pdma_pool_cut(pool, addr, size, PAGE_SIZE);
}

static bool free_wrong(struct p2pdma_pool *pool, void *addr, size_t size)
{
	return p2pdma_pool_free(pool, addr, size);
}

static bool (* const wrong_ways[])(struct p2pdma_pool *pool, void *addr,
				   size_t size) = {
	free_wrong, take_wrong, cut_wrong, p2pdma_pool_split,
};

static const char *free_anything(struct fuzz *f)
{
	struct book *book = f->data;
	size_t before = p2pdma_pool_available(&book->pool);
	unsigned int way = fuzz_draw(f, ARRAY_SIZE(wrong_ways));
	unsigned int complaints = book->complaints, i;
	u64 size = fuzz_number(f, to_bytes(book->pages));
	void *addr = (void *)NOWHERE;
	unsigned long pages;

	/* Now and then something that is right, so that there is something */
	if (book->nr_pieces < FREE_PIECES && fuzz_chance(f, 2)) {
		book_alloc(book, 1 + fuzz_draw(f, SZ_256K));
		return NULL;
	}
	if (!book->nr_pieces)
		return NULL;
	i = fuzz_draw(f, book->nr_pieces);
	if (fuzz_chance(f, 4)) {
		book_free(book, i);
		return NULL;
	}

	/* Close to what is right */
	switch (fuzz_draw(f, 4)) {
	case 0:
		addr += fuzz_number(f, to_bytes(book->pages));
		break;
	case 1:
		addr = book->pieces[i].addr;
		break;
	case 2:
		addr = book->pieces[i].addr + fuzz_number(f, SZ_64K);
		size = book->pieces[i].size;
		break;
	default:
		addr = book->pieces[i].addr + PAGE_SIZE;
		size = book->pieces[i].size - PAGE_SIZE;
		break;
	}

	pages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (pages && pages <= book->pages && book_has(book, addr, pages))
		return NULL;
	fuzz_say(f, "way %u, %#llx bytes at %#lx", way, size,
		 (unsigned long)addr - NOWHERE);
	if (wrong_ways[way](&book->pool, addr, size))
		return "taken";
	if (book->complaints != complaints + 1)
		return "not complained about";
	if (p2pdma_pool_available(&book->pool) != before)
		return "the number of free pages has changed";
	return NULL;
}

static void freeing_what_is_not_there(struct kunit *test)
{
	static const unsigned int pages[] = { 1000, 24, 1 };
	struct book *book = book_open(test, NOWHERE, pages, ARRAY_SIZE(pages));

	fuzz_run(test, CASES_FREE, free_anything, book);
	/* Nothing of all that has changed what is out, or its length */
	book_audit(book);
	book_free_all(book);
	book_audit(book);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case p2pdma_fuzz_cases[] = {
	KUNIT_CASE_SLOW(adding_memory),
	KUNIT_CASE_SLOW(allocating),
	KUNIT_CASE_SLOW(freeing_what_is_not_there),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fuzz_suite = {
	.name = "p2pdma_fuzz",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fuzz_cases,
};

kunit_test_suite(p2pdma_fuzz_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer DMA with arguments made by chance");
MODULE_LICENSE("GPL");
