// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the life of a provider of peer-to-peer DMA memory (p2pdma.c):
 * what may be registered and what is refused, and the end, which waits for
 * whoever has memory of it, a driver, a process or a pin, and leaves nothing
 * behind.
 *
 * Who finds it is in p2pdma_find_test.c, what is done with its memory in
 * p2pdma_use_test.c, and what goes wrong in p2pdma_provider_error_test.c.  The
 * devices are drawn in p2pdma_bench.c.
 *
 * Whoever gives memory back late is a thread of its own, since unbinding does
 * not return before.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "p2pdma_bench.h"
#include "p2pdma_book.h"

/* Resources ----------------------------------------------------------------- */

static void whole_bar(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct bench_held *held;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_4M);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);

	/* The pages are there, and their addresses are those of the BAR */
	held = bench_hold(test, mem, SZ_4M);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(virt_to_page(held->addr)));
	KUNIT_EXPECT_EQ(test, virt_to_phys(held->addr),
			pci_resource_start(mem, 0));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, held->addr),
			pci_bus_address(mem, 0));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, 1));
}

static void part_of_a_bar(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct bench_held *held;

	/* From the middle to the end, without saying how much that is */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, SZ_2M), 0);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_2M);
	held = bench_hold(test, mem, SZ_2M);
	KUNIT_EXPECT_EQ(test, virt_to_phys(held->addr),
			pci_resource_start(mem, 0) + SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, held->addr),
			pci_bus_address(mem, 0) + SZ_2M);

	/* Then the beginning.  Both together are no single piece */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_4M);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_2M);
	bench_drop(test, held);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_4M));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_2M + 1));
	bench_hold(test, mem, SZ_2M);
	bench_hold(test, mem, SZ_2M);
}

static void two_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct bench_held *first, *second;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_4M, 0), 0);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_4M + SZ_2M);

	first = bench_hold(test, mem, SZ_4M);
	second = bench_hold(test, mem, SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, first->addr),
			pci_bus_address(mem, 0));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, second->addr),
			pci_bus_address(mem, 2));
	KUNIT_EXPECT_EQ(test, bench_available(mem), 0);
}

/* What nobody may register, on a device that is no provider yet */
static const struct refusal {
	const char *what;
	const char *name;
	int bar;
	size_t size;
	u64 offset;
} refusals[] = {
	{ "BAR -1", "mem", -1 },
	{ "least BAR", "mem", INT_MIN },
	{ "BAR 6, an expansion ROM", "mem", PCI_ROM_RESOURCE },
	{ "BAR beyond all resources", "mem", PCI_NUM_RESOURCES },
	{ "largest BAR", "mem", INT_MAX },
	{ "upper half of a BAR", "mem", 1 },
	{ "I/O ports", "mem", 4 },
	{ "BAR that does not exist", "mem", 5 },
	{ "device without any", "nic", 0 },
	{ "BAR without address", "huge", 0 },
	{ "part of a BAR without address", "huge", 0, SZ_2M, SZ_2M },
	{ "offset at the end", "mem", 0, 0, SZ_4M },
	{ "offset at the end, with size", "mem", 0, SZ_2M, SZ_4M },
	{ "offset beyond", "mem", 0, 0, SZ_8M },
	{ "largest offset", "mem", 0, SZ_2M, U64_MAX },
	{ "largest aligned offset", "mem", 0, SZ_2M, U64_MAX - SZ_2M + 1 },
	{ "size beyond", "mem", 0, SZ_8M, 0 },
	{ "size beyond, from an offset", "mem", 0, SZ_4M, SZ_2M },
	{ "largest size", "mem", 0, SIZE_MAX, 0 },
	{ "size that wraps with the offset", "mem", 0, SIZE_MAX - SZ_2M + 1,
	  SZ_2M },
	{ "size that wraps beyond", "mem", 0, SIZE_MAX, SZ_2M },
	{ "offset of a page", "mem", 0, SZ_2M, SZ_4K },
	{ "size of a page", "mem", 0, SZ_4K, 0 },
	{ "size of a byte", "mem", 0, 1, 0 },
	{ "rest that is no multiple", "mem", 0, 0, SZ_4K },
	{ "BAR of 1 MiB", "small", 0 },
};

static void refusal_name(const struct refusal *r, char *desc)
{
	strscpy(desc, r->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refusal, refusals, refusal_name);

/* Stock leaves a provider without memory behind, in sysfs and for the driver */
static void refuses_bad_resource(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	struct pci_kunit_tree *tree = bench_tree(test);
	struct vfsmount *mnt = p2p_mount(test, "sysfs");
	struct pci_dev *pdev = pci_kunit_bind(tree, r->name);

	if (!strcmp(r->name, "huge"))
		KUNIT_ASSERT_NULL(test, pdev->resource[0].parent);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(pdev, r->bar, r->size,
						      r->offset), -EINVAL);
	bench_expect_none(test, mnt, pdev, r->what);

	/* It does not stand in the way of one that is good, or the other way */
	if (strcmp(r->name, "mem"))
		return;
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 2, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(pdev, r->bar, r->size,
						      r->offset), -EINVAL);
	KUNIT_EXPECT_EQ(test, bench_size(pdev), SZ_2M);
	bench_expect_file(test, mnt, pdev, "available", SZ_2M);
}

static void refuses_no_device(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(NULL, 0, 0, 0), -EINVAL);
}

static void refuses_the_same_twice(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M), 0);

	/* The same, all of it from before, all of it to the end */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_4M, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, SZ_2M), -EBUSY);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_2M);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_2M);

	/* What is left of it, and other BARs, are welcome */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_4M + SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, bench_size(mem), SZ_4M + SZ_2M);
}

/* The end of a provider ----------------------------------------------------- */

static void unbound_and_bound_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct vfsmount *mnt = p2p_mount(test, "sysfs");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem;
	int i;

	for (i = 0; i < 3; i++) {
		mem = pci_kunit_bind(tree, "mem");
		bench_expect_none(test, mnt, mem, "bound");
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
		/* Nothing is left of its last life */
		KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
		KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M + SZ_2M);
		pci_p2pmem_publish(mem, true);
		bench_expect_found(test, tree, "nic", NULL, mem);
		bench_drop(test, bench_hold(test, mem, SZ_64K));

		pci_kunit_unbind(tree, "mem");
		bench_expect_none(test, mnt, mem, "unbound");
		KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	}

	/* The same for a device that is removed, driver and all */
	mem = bench_provider(test, tree, "mem");
	pci_kunit_remove(tree, "mem");
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	pci_kunit_rescan(tree);
	mem = bench_provider(test, tree, "mem");
	bench_expect_found(test, tree, "nic", NULL, mem);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
}

/* Somebody who gives memory back while its provider ends */
struct late {
	struct pci_dev *pdev;
	struct device *client;
	void *addr;
	struct page *page;
	void *refused;			/* what an allocation gave meanwhile */
	bool published;
	bool found;
	bool freed;
	struct completion done;
};

static int late(void *data)
{
	struct late *l = data;
	struct pci_dev *found;
	int i;

	/* Until nobody finds it any more, and then some */
	for (i = 0; i < 250 && pci_has_p2pmem(l->pdev); i++)
		msleep(20);
	msleep(200);

	l->refused = pci_alloc_p2pmem(l->pdev, PAGE_SIZE);
	found = pci_p2pmem_find(l->client);
	l->found = found;
	pci_dev_put(found);
	l->published = pci_has_p2pmem(l->pdev);

	WRITE_ONCE(l->freed, true);
	if (l->addr)
		pci_free_p2pmem(l->pdev, l->addr, SZ_64K);
	if (l->page)
		unpin_user_page(l->page);
	complete(&l->done);
	return 0;
}

static void start_late(struct kunit *test, struct late *l)
{
	struct task_struct *task;

	init_completion(&l->done);
	task = kthread_run(late, l, "p2pdma_provider_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
}

static void expect_late(struct kunit *test, struct late *l)
{
	/* Unbinding has ended: not before the memory was back */
	KUNIT_EXPECT_TRUE(test, READ_ONCE(l->freed));
	wait_for_completion(&l->done);
	KUNIT_EXPECT_NULL(test, l->refused);
	KUNIT_EXPECT_FALSE(test, l->found);
	KUNIT_EXPECT_FALSE(test, l->published);
}

static void unbinding_waits_for_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct vfsmount *mnt = p2p_mount(test, "sysfs");
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct late l = {
		.pdev = mem,
		.client = &pci_kunit_dev(tree, "nic")->dev,
	};

	l.addr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, l.addr);
	start_late(test, &l);
	pci_kunit_unbind(tree, "mem");
	expect_late(test, &l);
	bench_expect_none(test, mnt, mem, "unbound");

	bench_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
}

static void unbinding_waits_for_pins(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct file *file = bench_open_allocate(test, mem);
	struct late l = {
		.pdev = mem,
		.client = &pci_kunit_dev(tree, "nic")->dev,
	};
	unsigned long addr;

	addr = bench_map(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, bench_pin(addr, 1, &l.page), 1);
	p2p_close(file);
	start_late(test, &l);

	/* The mapping is there until it is taken away */
	pci_kunit_unbind(tree, "mem");
	expect_late(test, &l);
	KUNIT_EXPECT_LT(test, bench_pin(addr, 1, &l.page), 0);
	bench_unmap(addr, SZ_64K);
}

static void unbinding_takes_mappings_away(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct file *file = bench_open_allocate(test, mem);
	unsigned long addr, next;
	struct page *page;

	addr = bench_map(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, bench_pin(addr, 1, &page), 1);
	unpin_user_page(page);

	/* With the file open, too.  What was mapped is no memory any more */
	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_LT(test, bench_pin(addr, 1, &page), 0);
	next = bench_map(test, file, PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(next));
	bench_unmap(addr, SZ_64K);
	p2p_close(file);

	/* The next one to come is not concerned by it */
	mem = bench_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
	file = bench_open_allocate(test, mem);
	addr = bench_map(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(addr));

	/* And when the whole device is removed */
	pci_kunit_remove(tree, "mem");
	KUNIT_EXPECT_LT(test, bench_pin(addr, 1, &page), 0);
	bench_unmap(addr, SZ_64K);
	p2p_close(file);
}

/* The suite ---------------------------------------------------------------- */

static struct kunit_case p2pdma_provider_cases[] = {
	KUNIT_CASE(whole_bar),
	KUNIT_CASE(part_of_a_bar),
	KUNIT_CASE(two_bars),
	KUNIT_CASE_PARAM(refuses_bad_resource, refusal_gen_params),
	KUNIT_CASE(refuses_no_device),
	KUNIT_CASE(refuses_the_same_twice),
	KUNIT_CASE(unbound_and_bound_again),
	KUNIT_CASE(unbinding_waits_for_memory),
	KUNIT_CASE(unbinding_waits_for_pins),
	KUNIT_CASE(unbinding_takes_mappings_away),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_provider_suite = {
	.name = "p2pdma_provider",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_provider_cases,
};

kunit_test_suite(p2pdma_provider_suite);

MODULE_DESCRIPTION("KUnit tests of providers of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
