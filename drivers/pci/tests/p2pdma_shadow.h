/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A shadow of the memory of providers, for KUnit stress tests.
 *
 * Nothing answers behind the BARs of a declared PCI tree, so that no pattern can
 * be written there.  The shadow takes its place: a word for each page of the window
 * of the host bridge.  Whoever gets memory writes a mark to each of its pages,
 * which must be blank, and blanks them before he lets go of it, which must bear
 * his mark still.  A page that two have, or that one has twice, is seen by it, in
 * whatever life of a provider each of them got it.
 */
#ifndef _P2PDMA_SHADOW_H
#define _P2PDMA_SHADOW_H

#include <kunit/test.h>

#include <linux/atomic.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/pci.h>

/**
 * struct shadow - a word for each page of a window
 * @base: physical address of the first page
 * @pages: number of pages
 * @mark: the words
 */
struct shadow {
	phys_addr_t base;
	unsigned long pages;
	atomic_t *mark;
};

/* The shadow of the window that a BAR lies in */
static inline struct shadow *shadow_create(struct kunit *test,
					   struct pci_dev *pdev, int bar)
{
	const struct resource *window = &pdev->resource[bar];
	struct shadow *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	while (window->parent->parent)
		window = window->parent;
	s->base = window->start;
	s->pages = resource_size(window) >> PAGE_SHIFT;
	s->mark = kunit_kcalloc(test, s->pages, sizeof(*s->mark), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s->mark);
	return s;
}

/* Change the marks of all pages; returns how many had another one */
static inline unsigned long shadow_mark(struct shadow *s, phys_addr_t phys,
					size_t size, int from, int to)
{
	unsigned long page = (phys - s->base) >> PAGE_SHIFT;
	unsigned long n = DIV_ROUND_UP(size, PAGE_SIZE), wrong = 0;

	for (; n; n--, page++)
		wrong += page >= s->pages ||
			 atomic_cmpxchg(&s->mark[page], from, to) != from;
	return wrong;
}

static inline void shadow_expect_blank(struct kunit *test, struct shadow *s)
{
	unsigned long page;

	for (page = 0; page < s->pages; page++)
		KUNIT_ASSERT_EQ_MSG(test, atomic_read(&s->mark[page]), 0,
				    "page %lu", page);
}

#endif /* _P2PDMA_SHADOW_H */
