// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA against devices that lie when they are found.
 *
 * A device is removed, its configuration space forged by chance (p2pdma_fuzz.c),
 * and the device found again: with BARs of no size, of an impossible one or of
 * another kind, with addresses that belong to somebody else (Enhanced Allocation,
 * PCIe r6.x sec 7.8.5), another type of header, and lists of capabilities that
 * lead in a circle.  Then everything is asked of it that a driver might ask.
 *
 * Whatever the device says:
 *
 *  - memory that is registered lies in the window of the host bridge, where the
 *    kernel has put it, and nowhere else;
 *  - no other provider notices anything;
 *  - routes to it and from it are decided, with the same distance both ways;
 *  - it can be removed again, and nothing of it stays.
 *
 *   host ─┬─ 01.0 rp0 ── up ─┬─ 00.0 dn0 ── mem    BAR 4 4 MiB, a provider
 *         │                  ├─ 01.0 dn1 ── liar   BAR 0 and BAR 2 2 MiB
 *         │                  └─ 02.0 dn2 ── nic
 *         └─ 02.0 rp1 ── far
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/device/devres.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/static_key.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

#define CASES_FOUND	300

#define LIAR		"liar"
#define POS_EA		0xa0
#define MOST_LIES	64

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(LISTED) },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .acs = ACS_NONE_ON },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, MEMORY },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ LIAR, "dn1", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_2M }, [2] = { .size = SZ_2M } },
	  .acs = ACS_NONE_ON, .ats = true, .vndr = PCI_KUNIT_CLIQUE(1) },
	{ "dn2", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "nic", "dn2", PCI_KUNIT_ENDPOINT, .vndr = PCI_KUNIT_CLIQUE(1) },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0),
	  .acs = ACS_NONE_ON },
	{ "far", "rp1", PCI_KUNIT_ENDPOINT },
};

/**
 * struct finding - what is forged, and who must not notice
 * @tree: the PCI tree
 * @mem: another provider
 * @window: the window of the host bridge
 * @nr_lies: registers that were forged, by dwords
 * @where: these
 * @truth: what they held
 */
struct finding {
	struct pci_kunit_tree *tree;
	struct pci_dev *mem;
	const struct resource *window;
	unsigned int nr_lies;
	u16 where[MOST_LIES];
	u32 truth[MOST_LIES];
};

static void forge(struct finding *w, int where, int size, u32 value)
{
	if (w->nr_lies == MOST_LIES)
		return;
	w->where[w->nr_lies] = where & ~3;
	w->truth[w->nr_lies++] = pci_kunit_get(w->tree, LIAR, where & ~3, 4);
	pci_kunit_set(w->tree, LIAR, where, size, value);
}

static void set_bar_mask(struct finding *w, unsigned int bar, u32 mask)
{
	pci_kunit_set_mask(w->tree, LIAR, PCI_BASE_ADDRESS_0 + 4 * bar, 4, mask);
}

static void tell_the_truth(struct finding *w)
{
	unsigned int i;

	while (w->nr_lies--)
		pci_kunit_set(w->tree, LIAR, w->where[w->nr_lies], 4,
			      w->truth[w->nr_lies]);
	w->nr_lies = 0;
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		set_bar_mask(w, i, i > 3 ? 0 : i % 2 ? U32_MAX : ~(SZ_2M - 1U));
}

/* A BAR of any kind and size, and what cannot be */
static void forge_bar(struct fuzz *f, struct finding *w)
{
	static const u32 kinds[] = {
		PCI_BASE_ADDRESS_SPACE_IO, 0, PCI_BASE_ADDRESS_MEM_TYPE_1M,
		PCI_BASE_ADDRESS_MEM_PREFETCH, PCI_BASE_ADDRESS_MEM_TYPE_64,
		PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
		PCI_BASE_ADDRESS_MEM_TYPE_MASK, 0xf,
	};
	unsigned int bar = fuzz_draw(f, PCI_STD_NUM_BARS);
	u32 address = fuzz_chance(f, 2) ? (u32)fuzz_number(f, SZ_16M) : 0;

	forge(w, PCI_BASE_ADDRESS_0 + 4 * bar, 4,
	      (address & ~0xfU) | kinds[fuzz_draw(f, ARRAY_SIZE(kinds))]);
	switch (fuzz_draw(f, 5)) {
	case 0:
		set_bar_mask(w, bar, 0);
		break;
	case 1:
		/* With holes in it */
		set_bar_mask(w, bar, fuzz_number(f, U32_MAX));
		break;
	case 2:
		set_bar_mask(w, bar, U32_MAX);
		break;
	default:
		set_bar_mask(w, bar, ~0U << fuzz_draw(f, 32));
		break;
	}
}

/* Addresses of others: memory of the machine, the other provider, any */
static u64 address_of_others(struct fuzz *f, struct finding *w)
{
	switch (fuzz_draw(f, 4)) {
	case 0:
		return SZ_16M;
	case 1:
		return pci_resource_start(w->mem, 4);
	case 2:
		return w->window->start + (u64)fuzz_draw(f, 512) * SZ_2M;
	default:
		return fuzz_number(f, SZ_1T) & ~(u64)(SZ_2M - 1);
	}
}

/* Enhanced Allocation: a BAR that is where the device says, once for all */
static void forge_allocation(struct fuzz *f, struct finding *w)
{
	u64 base = address_of_others(f, w), size = SZ_2M;

	forge(w, PCI_KUNIT_POS_VNDR, 2, POS_EA << 8 | PCI_CAP_ID_VNDR);
	forge(w, POS_EA, 4, 1 << 16 | PCI_CAP_ID_EA);
	/* 64 bits of base and offset, for any BAR, memory of either kind */
	forge(w, POS_EA + 4, 4, PCI_EA_ENABLE | 4 |
	      fuzz_draw(f, PCI_STD_NUM_BARS) << 4 | fuzz_draw(f, 2) << 8 |
	      0xff << 16);
	forge(w, POS_EA + 8, 4, (lower_32_bits(base) & PCI_EA_FIELD_MASK) |
	      PCI_EA_IS_64);
	forge(w, POS_EA + 12, 4, (lower_32_bits(size - 1) & PCI_EA_FIELD_MASK) |
	      PCI_EA_IS_64);
	forge(w, POS_EA + 16, 4, upper_32_bits(base));
	forge(w, POS_EA + 20, 4, 0);
}

/* A list of capabilities in a circle */
static void forge_circle(struct fuzz *f, struct finding *w)
{
	unsigned int at = 0x40 + 4 * fuzz_draw(f, 48);
	unsigned int back = 0x100 + 4 * fuzz_draw(f, 0x3c0);

	forge(w, PCI_CAPABILITY_LIST, 1, at);
	forge(w, at, 2, at << 8 | PCI_CAP_ID_VNDR);
	forge(w, PCI_KUNIT_POS_DSN, 4, back << 20 | 1 << 16 |
	      PCI_EXT_CAP_ID_DSN);
	forge(w, back, 4, (fuzz_chance(f, 2) ? back : PCI_KUNIT_POS_DSN) << 20 |
	      1 << 16 | PCI_EXT_CAP_ID_ARI);
}

static void lie(struct fuzz *f, struct finding *w)
{
	switch (fuzz_draw(f, 8)) {
	case 0:
	case 1:
		forge_allocation(f, w);
		break;
	case 2:
		forge_circle(f, w);
		break;
	case 3:
		forge(w, PCI_HEADER_TYPE, 1, fuzz_draw(f, 4) |
		      fuzz_draw(f, 2) << 7);
		break;
	case 4:
		/* Access control with any length of vector, or none at all */
		forge(w, PCI_KUNIT_POS_ACS, 4, fuzz_number(f, U32_MAX));
		forge(w, PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 4,
		      fuzz_number(f, U32_MAX));
		break;
	default:
		forge_bar(f, w);
		break;
	}
}

static bool in_window(struct finding *w, u64 start, u64 size)
{
	return size <= resource_size(w->window) && start >= w->window->start &&
	       start - w->window->start <= resource_size(w->window) - size;
}

static const char *offer_all(struct fuzz *f, struct finding *w,
			     struct pci_dev *pdev)
{
	const char *why = NULL;
	void *group, *addr;
	size_t size = 0;
	int bar;

	group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	if (!group)
		return "no memory";
	for (bar = 0; bar < PCI_STD_NUM_BARS && !why; bar++) {
		fuzz_say(f, "BAR %d is %pR", bar, &pdev->resource[bar]);
		if (pci_p2pdma_add_resource(pdev, bar, 0, 0))
			continue;
		size += pci_resource_len(pdev, bar);
		if (!in_window(w, pci_resource_start(pdev, bar),
			       pci_resource_len(pdev, bar)))
			why = "memory of somebody else";
	}
	addr = pci_alloc_p2pmem(pdev, PAGE_SIZE);
	if (!why && !addr != !size)
		why = "memory without a BAR, or the other way round";
	if (!why && addr && !in_window(w, virt_to_phys(addr), PAGE_SIZE))
		why = "a page of somebody else";
	if (addr)
		pci_free_p2pmem(pdev, addr, PAGE_SIZE);
	devres_release_group(&pdev->dev, group);
	if (!why && rcu_access_pointer(pdev->p2pdma))
		why = "the provider has not ended";
	return why;
}

static const char *ask_all(struct finding *w, struct pci_dev *pdev)
{
	static const char * const others[] = { "mem", "nic", "far", "dn1", "host" };
	struct pci_p2pdma_route to, back;
	struct pci_dev *other;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		other = pci_kunit_dev(w->tree, others[i]);
		pci_p2pdma_route(pdev, &other->dev, &to);
		pci_p2pdma_route(other, &pdev->dev, &back);
		if (to.distance != back.distance ||
		    to.type < PCI_P2PDMA_MAP_NOT_SUPPORTED ||
		    to.type > PCI_P2PDMA_MAP_THRU_HOST_BRIDGE ||
		    back.type < PCI_P2PDMA_MAP_NOT_SUPPORTED ||
		    back.type > PCI_P2PDMA_MAP_THRU_HOST_BRIDGE)
			return "no verdict";
	}
	return NULL;
}

static const char *find_a_liar(struct fuzz *f)
{
	struct finding *w = f->data;
	struct p2pdma_pool *pool = &rcu_access_pointer(w->mem->p2pdma)->pool;
	struct pci_dev *nic = pci_kunit_dev(w->tree, "nic"), *pdev;
	unsigned int n = 1 + fuzz_draw(f, 6);
	const char *why = NULL;

	/* It may not have been found with its last story */
	if (pci_kunit_find_dev(w->tree, LIAR))
		pci_kunit_remove(w->tree, LIAR);
	tell_the_truth(w);
	while (n--)
		lie(f, w);
	fuzz_say(f, "is being found");
	pci_kunit_rescan(w->tree);

	pdev = pci_kunit_find_dev(w->tree, LIAR);
	if (pdev) {
		fuzz_say(f, "asking");
		why = ask_all(w, pdev) ?: offer_all(f, w, pdev);
	}
	if (!why && (p2pdma_pool_size(pool) != SZ_4M ||
		     p2pdma_pool_available(pool) != SZ_4M ||
		     !pci_has_p2pmem(w->mem) ||
		     pci_p2pdma_distance(w->mem, &nic->dev, false) != 4))
		why = "another provider has noticed";
	return why;
}

static void devices_that_lie(struct kunit *test)
{
	struct finding *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->tree = PCI_KUNIT_CREATE(test, nodes);
	w->mem = p2p_provider(test, w->tree, "mem");
	pci_p2pmem_publish(w->mem, true);
	for (w->window = &w->mem->resource[4]; w->window->parent->parent; )
		w->window = w->window->parent;

	fuzz_run(test, CASES_FOUND, find_a_liar, w);
	if (pci_kunit_find_dev(w->tree, LIAR))
		pci_kunit_remove(w->tree, LIAR);
	tell_the_truth(w);
	pci_kunit_rescan(w->tree);
	/* It was all made up, and the device is as good as any */
	p2p_expect_direct(test, w->tree, LIAR, "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
}

static struct kunit_case p2pdma_fuzz_found_cases[] = {
	KUNIT_CASE_SLOW(devices_that_lie),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fuzz_found_suite = {
	.name = "p2pdma_fuzz_found",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fuzz_found_cases,
};

kunit_test_suite(p2pdma_fuzz_found_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer DMA against devices that lie");
MODULE_LICENSE("GPL");
