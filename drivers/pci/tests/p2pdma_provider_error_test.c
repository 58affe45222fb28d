// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of providers of peer-to-peer DMA memory when something is wrong
 * (p2pdma.c): resources that look like memory and are none, registration that
 * fails half-way, and a removal that must notice at once that it can go on.
 *
 * A device that lies is made by giving it another resource for a moment.  The
 * resource tree keeps the old one, and nobody else looks.
 *
 * The tree "fabric" is drawn in p2pdma_test.c.
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/range.h>
#include <linux/slab.h>

#include "../p2pdma.h"
#include "p2pdma_test.h"

/* The device is no provider: not for drivers, not in sysfs */
static void expect_nothing_left(struct kunit *test, struct pci_dev *pdev,
				const char *why)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = kasprintf(GFP_KERNEL, "%s/p2pmem/size", dir);
	struct file *file;
	void *addr;

	KUNIT_ASSERT_NOT_NULL(test, path);
	KUNIT_EXPECT_NULL_MSG(test, rcu_access_pointer(pdev->p2pdma), "%s",
			      why);
	addr = pci_alloc_p2pmem(pdev, PAGE_SIZE);
	KUNIT_EXPECT_NULL_MSG(test, addr, "%s", why);
	if (addr)
		pci_free_p2pmem(pdev, addr, PAGE_SIZE);
	file = file_open_root_mnt(test->priv, path, O_RDONLY, 0);
	KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(file), -ENOENT, "%s", why);
	if (!IS_ERR(file))
		p2p_close(file);
}

/* What registering a BAR gives while its resource is @lie */
static int add_with_resource(struct pci_dev *pdev, int bar,
			     const struct resource *lie)
{
	struct resource truth = pdev->resource[bar];
	int error;

	pdev->resource[bar].start = lie->start;
	pdev->resource[bar].end = lie->end;
	pdev->resource[bar].flags = lie->flags;
	error = pci_p2pdma_add_resource(pdev, bar, 0, 0);
	pdev->resource[bar] = truth;
	return error;
}

/* Nothing but the kind of the resource speaks against these */
static void only_memory_of_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct resource lie = mem->resource[4];

	lie.flags = (lie.flags & ~IORESOURCE_TYPE_BITS) | IORESOURCE_IO;
	KUNIT_EXPECT_EQ(test, add_with_resource(mem, 4, &lie), -EINVAL);
	expect_nothing_left(test, mem, "I/O ports, enough and aligned");

	lie.flags = mem->resource[4].flags | IORESOURCE_UNSET;
	KUNIT_EXPECT_EQ(test, add_with_resource(mem, 4, &lie), -EINVAL);
	expect_nothing_left(test, mem, "without an address");

	/* A ROM is memory, but for reading */
	lie.flags = mem->resource[4].flags;
	KUNIT_EXPECT_EQ(test, add_with_resource(mem, PCI_ROM_RESOURCE, &lie),
			-EINVAL);
	expect_nothing_left(test, mem, "expansion ROM, enough and aligned");

	/* The truth is fine */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 4, 0, 0), 0);
}

/* Memory at addresses for which the kernel can have no struct pages */
static struct resource out_of_reach(const struct pci_dev *pdev, int bar)
{
	resource_size_t start = mhp_get_pluggable_range(true).end + 1;
	struct resource lie = pdev->resource[bar];

	lie.end = start + resource_size(&lie) - 1;
	lie.start = start;
	return lie;
}

/* Stock leaves a provider without memory behind */
static void first_resource_fails(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct resource lie = out_of_reach(mem, 4);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_LT(test, add_with_resource(mem, 4, &lie), 0);
		expect_nothing_left(test, mem, "no struct pages");
	}

	/* It does not stand in the way */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 4, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	pci_kunit_unbind(tree, "mem");
	expect_nothing_left(test, mem, "unbound");
}

static void further_resource_fails(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	struct pci_p2pdma *p2p = rcu_access_pointer(mem->p2pdma);
	struct resource lie = out_of_reach(mem, 4);
	void *addr;

	/* In a BAR that the device does not have */
	KUNIT_EXPECT_LT(test, add_with_resource(mem, 0, &lie), 0);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(mem->p2pdma), p2p);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(&p2p->pool), SZ_4M);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&p2p->pool), SZ_4M);

	addr = pci_alloc_p2pmem(mem, SZ_4M);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr)
		pci_free_p2pmem(mem, addr, SZ_4M);
}

/* A removal says after 30 s what it waits for; pci_kunit gives it up after 60 */
#define PATIENCE	(45 * HZ)

/* Somebody who gives memory back while its provider is removed */
struct late {
	struct pci_dev *pdev;
	void *addr;
	unsigned long freed;
	struct kmsg_dump_iter log;
	unsigned int told;
	struct completion done;
};

static int give_back(struct late *late)
{
	late->freed = jiffies;
	pci_free_p2pmem(late->pdev, late->addr, PAGE_SIZE);
	complete_all(&late->done);
	return 0;
}

static int free_late(void *data)
{
	struct late *late = data;
	unsigned long latest = jiffies + PATIENCE;

	/* The removal hides the provider, then waits */
	while (pci_has_p2pmem(late->pdev) && time_before(jiffies, latest))
		msleep(20);
	msleep(200);
	return give_back(late);
}

static int free_when_told(void *data)
{
	struct late *late = data;
	unsigned long latest = jiffies + PATIENCE;

	while (!late->told && time_before(jiffies, latest)) {
		msleep(100);
		late->told = p2p_log_count(&late->log, pci_name(late->pdev),
					   "removal waits for 4096 bytes", "");
	}
	return give_back(late);
}

static void await_late(void *data)
{
	struct late *late = data;

	wait_for_completion(&late->done);
}

/* Remove a provider that has one page out, which @fn gives back */
static struct late *remove_while_used(struct kunit *test,
				      int (*fn)(void *late))
{
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct task_struct *task;
	unsigned long ended;

	KUNIT_ASSERT_NOT_NULL(test, late);
	late->pdev = p2p_provider(test, tree, "mem");
	init_completion(&late->done);
	p2p_log_mark(&late->log);
	pci_p2pmem_publish(late->pdev, true);
	late->addr = pci_alloc_p2pmem(late->pdev, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, late->addr);
	task = kthread_run(fn, late, "p2pdma_late");
	if (IS_ERR(task)) {
		pci_free_p2pmem(late->pdev, late->addr, PAGE_SIZE);
		KUNIT_FAIL_AND_ABORT(test, "no thread: %pe", task);
	}
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, await_late, late), 0);

	pci_kunit_unbind(tree, "mem");
	ended = jiffies;
	await_late(late);
	KUNIT_EXPECT_TRUE(test, time_after_eq(ended, late->freed));
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(ended - late->freed), 15000);
	return late;
}

/* It is woken by the last free.  Unwoken, it would look again after 30 s */
static void removal_ends_with_the_last_free(struct kunit *test)
{
	remove_while_used(test, free_late);
}

/* Whoever waits for it is told why, after those 30 s */
static void removal_says_what_it_waits_for(struct kunit *test)
{
	struct late *late = remove_while_used(test, free_when_told);

	KUNIT_EXPECT_EQ(test, late->told, 1);
}

static struct kunit_case p2pdma_provider_error_cases[] = {
	KUNIT_CASE(only_memory_of_bars),
	KUNIT_CASE(first_resource_fails),
	KUNIT_CASE(further_resource_fails),
	KUNIT_CASE_SLOW(removal_ends_with_the_last_free),
	KUNIT_CASE_SLOW(removal_says_what_it_waits_for),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_provider_error_suite = {
	.name = "p2pdma_provider_error",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_provider_error_cases,
};

kunit_test_suite(p2pdma_provider_error_suite);

MODULE_DESCRIPTION("KUnit tests of failing providers of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
