// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA when memory is short: what drivers call.
 *
 * Each allocation inside a call fails in turn, until none does (p2pdma_fault.c):
 * becoming a provider and ending it, allocating, mapping, asking for routes.
 */
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "../p2pdma.h"
#include "p2pdma_fault.h"
#include "p2pdma_test.h"

#define SHORT_LISTS	64

/* Providers ----------------------------------------------------------------- */

/* Whatever failed: nothing is left for the driver core to undo */
static void nothing_managed(struct fault_bench *b)
{
	if (b->group)
		KUNIT_EXPECT_EQ(b->test, fault_release_group(b), 0);
}

static int call_add(struct fault_bench *b)
{
	return pci_p2pdma_add_memory(b->mem, 0, 0, 0,
				     PCI_P2PDMA_WRITE_COMBINING);
}

static void undo_add(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, p2pdma_pool_available(&fault_provider(b)->pool),
			FAULT_MEMORY);
	/* Numbers of nodes that could not be made are not lost either */
	KUNIT_EXPECT_EQ(b->test, fault_node(b), b->node);
	fault_provide_no_more(b);
}

static int call_add_further(struct fault_bench *b)
{
	return pci_p2pdma_add_resource(b->mem, 2, 0, 0);
}

static void undo_add_further(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, p2pdma_pool_size(&fault_provider(b)->pool),
			FAULT_MEMORY + SZ_2M);
	/* It cannot be taken back alone */
	fault_provide_no_more(b);
	fault_provide(b);
}

static int call_init(struct fault_bench *b)
{
	return pcim_p2pdma_init(b->mem);
}

static void undo_init(struct fault_bench *b)
{
	KUNIT_EXPECT_NOT_NULL(b->test, pcim_p2pdma_provider(b->mem, 0));
	fault_provide_no_more(b);
}

static int call_end(struct fault_bench *b)
{
	fault_release_group(b);
	return 0;
}

static int call_publish(struct fault_bench *b)
{
	pci_p2pmem_publish(b->mem, true);
	return pci_has_p2pmem(b->mem) ? 0 : -ENODEV;
}

static void undo_publish(struct fault_bench *b)
{
	pci_p2pmem_publish(b->mem, false);
}

static int changed(struct notifier_block *nb, unsigned long action, void *data)
{
	return NOTIFY_DONE;
}

static int call_notifier(struct fault_bench *b)
{
	static struct notifier_block nb = { .notifier_call = changed };

	pci_p2pdma_register_notifier(&nb);
	pci_p2pmem_publish(b->mem, true);
	pci_p2pdma_routes_changed();
	pci_p2pmem_publish(b->mem, false);
	pci_p2pdma_unregister_notifier(&nb);
	return 0;
}

/* Memory -------------------------------------------------------------------- */

static int call_alloc(struct fault_bench *b)
{
	void *addr = pci_alloc_p2pmem(b->mem, SZ_64K);

	if (!addr)
		return -ENOMEM;
	pci_free_p2pmem(b->mem, addr, SZ_64K);
	return 0;
}

static int call_list(struct fault_bench *b)
{
	b->sgl = pci_p2pmem_alloc_sgl(b->mem, &b->nr, SZ_64K);
	return b->sgl ? 0 : -ENOMEM;
}

/* So many entries that they do not fit into a page */
static int call_long_list(struct fault_bench *b)
{
	b->sgl = pci_p2pmem_alloc_sgl_limits(b->mem, &b->nr, SZ_1M, UINT_MAX,
					     PAGE_SIZE);
	return b->sgl ? 0 : -ENOMEM;
}

/*
 * More lists of one entry than CPUs keep tables for.  Those of a page are taken
 * from what the CPU has at hand, the others from the pool.
 */
static int call_short_lists(struct fault_bench *b)
{
	struct scatterlist *sgl[SHORT_LISTS];
	unsigned int n, nr;
	int error = 0;

	for (n = 0; n < SHORT_LISTS; n++) {
		sgl[n] = pci_p2pmem_alloc_sgl(b->mem, &nr,
					      n % 2 ? 3 * PAGE_SIZE : PAGE_SIZE);
		if (!sgl[n]) {
			error = -ENOMEM;
			break;
		}
	}
	while (n--)
		pci_p2pmem_free_sgl(b->mem, sgl[n]);
	return error;
}

static void undo_list(struct fault_bench *b)
{
	pci_p2pmem_free_sgl(b->mem, b->sgl);
	b->sgl = NULL;
}

static void prepare_list(struct fault_bench *b)
{
	fault_provide(b);
	b->sgl = pci_p2pmem_alloc_sgl_limits(b->mem, &b->nr, SZ_64K, UINT_MAX,
					     PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(b->test, b->sgl);
}

static int call_map(struct fault_bench *b)
{
	struct scatterlist *sg;
	unsigned int i;

	if (dma_map_sg(&b->nic->dev, b->sgl, b->nr, DMA_BIDIRECTIONAL) != b->nr)
		return -EIO;
	for_each_sg(b->sgl, sg, b->nr, i)
		if (sg_dma_address(sg) + FAULT_BUS_OFFSET != sg_phys(sg))
			return -EINVAL;
	return 0;
}

static void undo_map(struct fault_bench *b)
{
	dma_unmap_sg(&b->nic->dev, b->sgl, b->nr, DMA_BIDIRECTIONAL);
}

static void finish_list(struct fault_bench *b)
{
	undo_list(b);
	fault_provide_no_more(b);
}

/* Routes -------------------------------------------------------------------- */

/* Clients enough to make the table of verdicts grow twice */
static int call_ask(struct fault_bench *b)
{
	static const struct {
		const char *client;
		int distance;
	} want[] = {
		{ "nic", 4 }, { "mem", 0 }, { "far", -1 }, { "dn1", 3 },
		{ "up", 2 }, { "rp0", 3 }, { "rp1", -1 }, { "dn0", 1 },
	};
	struct device *clients[] = { &b->nic->dev, &b->mem->dev };
	struct pci_p2pdma_route route;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++)
		if (p2p_ask(b->tree, b->mem, want[i].client) !=
		    want[i].distance)
			return -EINVAL;
	if (pci_p2pdma_distance_many(b->mem, clients, 2, false) != 4 ||
	    pci_p2pdma_route(b->mem, &b->nic->dev, &route) ||
	    route.type != PCI_P2PDMA_MAP_BUS_ADDR)
		return -EINVAL;
	return 0;
}

static void prepare_find(struct fault_bench *b)
{
	fault_provide(b);
	pci_p2pmem_publish(b->mem, true);
}

static int call_find(struct fault_bench *b)
{
	struct pci_dev *found = pci_p2pmem_find(&b->nic->dev);

	pci_dev_put(found);
	return found == b->mem ? 0 : -ENODEV;
}

static void prepare_override(struct fault_bench *b)
{
	fault_provide(b);
	KUNIT_ASSERT_EQ(b->test, p2p_allow(b->test, "8086:29c0"), 0);
}

static int call_override(struct fault_bench *b)
{
	return pci_p2pdma_distance(b->mem, &b->far->dev, false) > 0 ? 0 :
								     -EINVAL;
}

static void finish_override(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, p2p_allow(b->test, "none"), 0);
	fault_provide_no_more(b);
}

static const struct fault_entry entries[] = {
	{ "add memory", .prepare = fault_open_group, .call = call_add,
	  .undo = undo_add, .finish = nothing_managed, .fresh = true,
	  .least = 20 },
	{ "add further memory", .prepare = fault_provide,
	  .call = call_add_further, .undo = undo_add_further,
	  .finish = fault_provide_no_more, .least = 3 },
	{ "init", .prepare = fault_open_group, .call = call_init,
	  .undo = undo_init, .finish = nothing_managed, .fresh = true,
	  .least = 3 },
	{ "end", .prepare = fault_provide, .call = call_end, .fresh = true,
	  .ends = true, .never_fails = true },
	{ "publish", .prepare = fault_provide, .call = call_publish,
	  .undo = undo_publish, .finish = fault_provide_no_more,
	  .never_fails = true },
	{ "notifier", .prepare = fault_provide, .call = call_notifier,
	  .finish = fault_provide_no_more, .never_fails = true },
	{ "alloc", .prepare = fault_provide, .call = call_alloc,
	  .finish = fault_provide_no_more, .never_fails = true },
	{ "alloc list", .prepare = fault_provide, .call = call_list,
	  .undo = undo_list, .finish = fault_provide_no_more, .least = 1 },
	{ "alloc long list", .prepare = fault_provide, .call = call_long_list,
	  .undo = undo_list, .finish = fault_provide_no_more, .least = 1 },
	{ "alloc short lists", .prepare = fault_provide,
	  .call = call_short_lists, .finish = fault_provide_no_more,
	  .least = 16 },
	{ "map list", .prepare = prepare_list, .call = call_map,
	  .undo = undo_map, .finish = finish_list, .fresh = true,
	  .never_fails = true, .least = 1 },
	{ "ask for routes", .prepare = fault_provide, .call = call_ask,
	  .finish = fault_provide_no_more, .fresh = true, .never_fails = true,
	  .least = 3 },
	{ "find", .prepare = prepare_find, .call = call_find,
	  .finish = fault_provide_no_more, .fresh = true, .never_fails = true,
	  .least = 1 },
	{ "overridden route", .prepare = prepare_override,
	  .call = call_override, .finish = finish_override, .fresh = true,
	  .never_fails = true, .least = 1 },
};

KUNIT_ARRAY_PARAM(entry, entries, fault_entry_name);

static struct kunit_case p2pdma_fail_nth_cases[] = {
	KUNIT_CASE_PARAM_ATTR(fault_each, entry_gen_params,
			      {.speed = KUNIT_SPEED_SLOW}),
	KUNIT_CASE_SLOW(fault_nothing_leaked),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fail_nth_suite = {
	.name = "p2pdma_fail_nth",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fail_nth_cases,
};

kunit_test_suite(p2pdma_fail_nth_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer DMA when memory is short");
MODULE_LICENSE("GPL");
