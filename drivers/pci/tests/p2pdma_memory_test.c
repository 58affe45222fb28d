// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the memory of a provider, through the interface that drivers
 * have: scatterlists within limits; power as long as there is memory; and what
 * sysfs and debugfs tell of it.
 *
 *   host ─┬─ 01.0 rp0 ── mem     BAR 0 4 MiB, BAR 2 2 MiB
 *         └─ 02.0 rp1 ── other   BAR 0 2 MiB
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "../pci_kunit.h"
#include "p2pdma_book.h"

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_4M }, [2] = { .size = SZ_2M } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "other", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
};

static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree,
				     const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	return pdev;
}

static struct p2pdma_pool *pool_of(struct pci_dev *pdev)
{
	return &rcu_access_pointer(pdev->p2pdma)->pool;
}

/* Scatterlists within limits ------------------------------------------------ */

static void expect_list(struct kunit *test, struct scatterlist *sgl,
			unsigned int nr, u32 length, size_t most)
{
	struct scatterlist *sg;
	unsigned int i;
	u32 sum = 0;

	for_each_sg(sgl, sg, nr, i) {
		KUNIT_EXPECT_LE(test, sg->length, most);
		KUNIT_EXPECT_EQ(test, sg->offset, 0);
		KUNIT_EXPECT_EQ(test, sg->dma_flags, 0);
		KUNIT_EXPECT_EQ(test, !!sg_is_last(sg), i == nr - 1);
		if (i < nr - 1)
			KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(sg->length));
		sum += sg->length;
	}
	KUNIT_EXPECT_EQ(test, sum, length);
}

static void lists_within_limits(struct kunit *test)
{
	static const struct {
		u32 length;
		unsigned int max;
		size_t most;
		unsigned int nr;	/* 0 if it must be refused */
	} lists[] = {
		{ SZ_128K, 1, SIZE_MAX, 1 },
		{ SZ_128K, 1, SZ_128K, 1 },
		{ SZ_128K, 1, SZ_128K - 1, 0 },
		{ SZ_128K, 2, SZ_128K - 1, 2 },
		{ SZ_128K, 32, SZ_4K, 32 },
		{ SZ_128K, 31, SZ_4K, 0 },
		{ SZ_128K, UINT_MAX, SZ_4K, 32 },
		{ SZ_128K, UINT_MAX, SZ_8K - 1, 32 },
		{ SZ_128K, UINT_MAX, SZ_4K - 1, 0 },
		{ SZ_128K, UINT_MAX, 0, 0 },
		{ SZ_128K, 0, SIZE_MAX, 0 },
		{ SZ_128K + 1, 2, SZ_128K, 2 },
		{ 3 * SZ_64K - 7, UINT_MAX, SZ_64K, 3 },
		{ 1, 1, SZ_4K, 1 },
		{ 0, 1, SZ_4K, 0 },
		{ SZ_4M, 1, SIZE_MAX, 1 },
		{ SZ_4M, 4, SZ_1M, 4 },
		{ SZ_4M, 3, SZ_1M, 0 },
		{ SZ_4M + 1, UINT_MAX, SIZE_MAX, 0 },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct scatterlist *sgl;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		sgl = pci_p2pmem_alloc_sgl_limits(mem, &nr, lists[i].length,
						  lists[i].max, lists[i].most);
		KUNIT_EXPECT_EQ_MSG(test, !!sgl, lists[i].nr > 0, "list %u", i);
		if (sgl) {
			KUNIT_EXPECT_EQ_MSG(test, nr, lists[i].nr, "list %u", i);
			expect_list(test, sgl, nr, lists[i].length,
				    lists[i].most);
			KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool_of(mem)),
					SZ_4M - PAGE_ALIGN(lists[i].length));
			pci_p2pmem_free_sgl(mem, sgl);
		}
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool_of(mem)), SZ_4M);
	}

	KUNIT_EXPECT_NULL(test,
			  pci_p2pmem_alloc_sgl_limits(pci_kunit_dev(tree, "other"),
						      &nr, SZ_4K, 1, SZ_4K));
}

/* Tables of one entry are used again: by one list at a time, and blank */
static void tables_are_used_again(struct kunit *test)
{
	static const u32 lengths[] = { SZ_4K, SZ_128K - 1, 1, SZ_8K };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct scatterlist *sgl[24];
	unsigned int round, i, j, nr;
	u32 length;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(sgl); i++) {
			length = lengths[(i + round) % ARRAY_SIZE(lengths)];
			sgl[i] = pci_p2pmem_alloc_sgl(mem, &nr, length);
			KUNIT_ASSERT_NOT_NULL(test, sgl[i]);
			KUNIT_EXPECT_EQ(test, nr, 1);
			expect_list(test, sgl[i], nr, length, SIZE_MAX);
			KUNIT_EXPECT_EQ(test, sg_dma_len(sgl[i]), 0);
			for (j = 0; j < i; j++) {
				KUNIT_EXPECT_PTR_NE(test, sgl[i], sgl[j]);
				KUNIT_EXPECT_PTR_NE(test, sg_page(sgl[i]),
						    sg_page(sgl[j]));
			}
		}
		for (i = 0; i < ARRAY_SIZE(sgl); i++) {
			sg_dma_len(sgl[i]) = ~0;
			sg_dma_mark_bus_address(sgl[i]);
			pci_p2pmem_free_sgl(mem, sgl[i]);
		}
		KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool_of(mem)),
				SZ_4M);
	}
}

/* Contiguous memory that is there once what CPUs keep at hand is taken back */
static void contiguous_on_demand(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct scatterlist *sgl;
	unsigned int nr, i;
	void *addr[16];

	for (i = 0; i < ARRAY_SIZE(addr); i++) {
		addr[i] = pci_alloc_p2pmem(mem, PAGE_SIZE << (i % 3));
		KUNIT_ASSERT_NOT_NULL(test, addr[i]);
	}
	for (i = 0; i < ARRAY_SIZE(addr); i++)
		pci_free_p2pmem(mem, addr[i], PAGE_SIZE << (i % 3));
	KUNIT_ASSERT_GT(test,
			p2pdma_front_parked(&pool_of(mem)->fronts, NULL), 0);

	sgl = pci_p2pmem_alloc_sgl_limits(mem, &nr, SZ_4M, 1, SIZE_MAX);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	KUNIT_EXPECT_EQ(test, nr, 1);
	pci_p2pmem_free_sgl(mem, sgl);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool_of(mem)), SZ_4M);
}

/* Memory of two resources is described by two entries, wherever it meets */
static void entries_stay_in_one_resource(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct scatterlist *sgl, *sg;
	unsigned int nr, i;

	/* Two resources, one right after the other */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M), 0);
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl_limits(mem, &nr, SZ_4M, 1,
							    SIZE_MAX));
	sgl = pci_p2pmem_alloc_sgl(mem, &nr, SZ_4M);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	KUNIT_EXPECT_EQ(test, nr, 2);
	for_each_sg(sgl, sg, nr, i) {
		struct page *last = sg_page(sg) + sg->length / PAGE_SIZE - 1;

		KUNIT_EXPECT_EQ(test, sg->length, SZ_2M);
		KUNIT_EXPECT_PTR_EQ(test, sg_page(sg)->pgmap, last->pgmap);
	}
	pci_p2pmem_free_sgl(mem, sgl);
}

/* What user space is told ---------------------------------------------------- */

static void unmount(void *mnt)
{
	kern_unmount(mnt);
}

static struct vfsmount *mount(struct kunit *test, const char *name)
{
	struct file_system_type *type = get_fs_type(name);
	struct vfsmount *mnt;

	KUNIT_ASSERT_NOT_NULL_MSG(test, type, "%s", name);
	mnt = kern_mount(type);
	module_put(type->owner);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmount, mnt), 0);
	return mnt;
}

/* The text of a file, which goes when the test ends */
static char *read_file(struct kunit *test, struct vfsmount *mnt,
		       const char *path)
{
	char *text = kunit_kzalloc(test, SZ_16K, GFP_KERNEL);
	struct file *file = file_open_root_mnt(mnt, path, O_RDONLY, 0);
	loff_t pos = 0;
	ssize_t len;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", path, file);
	len = kernel_read(file, text, SZ_16K - 1, &pos);
	fput(file);
	flush_delayed_fput();
	KUNIT_ASSERT_GE(test, len, 0);
	return text;
}

static void expect_attribute(struct kunit *test, struct vfsmount *mnt,
			     struct pci_dev *pdev, const char *name,
			     const char *want)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = NULL;

	if (dir)
		path = kasprintf(GFP_KERNEL, "%s/p2pmem/%s", dir, name);
	KUNIT_ASSERT_NOT_NULL(test, path);
	KUNIT_EXPECT_STREQ_MSG(test, read_file(test, mnt, path), want, "%s",
			       name);
}

static void sysfs_tells_the_book(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct vfsmount *mnt = mount(test, "sysfs");
	void *addr;

	expect_attribute(test, mnt, mem, "largest_free", "4194304\n");
	expect_attribute(test, mnt, mem, "failures", "0\n");
	addr = pci_alloc_p2pmem(mem, 3 * SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, 3 * SZ_1M));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_2M));
	expect_attribute(test, mnt, mem, "largest_free", "1048576\n");
	expect_attribute(test, mnt, mem, "available", "1048576\n");
	expect_attribute(test, mnt, mem, "failures", "2\n");
	pci_free_p2pmem(mem, addr, 3 * SZ_1M);
	expect_attribute(test, mnt, mem, "largest_free", "4194304\n");
}

/*
 * What the file in debugfs says.  It cannot be read as those of sysfs are: the
 * kernel reads only files whose operations take an iterator.
 */
static char *describe(struct kunit *test)
{
	struct seq_file m = { .size = SZ_16K };

	m.buf = kunit_kzalloc(test, m.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	p2pdma_debugfs_show(&m);
	KUNIT_ASSERT_FALSE(test, seq_has_overflowed(&m));
	return m.buf;
}

/* The part of that which is about a provider, up to the next one */
static char *part_of(char *text, struct pci_dev *pdev)
{
	char *begin, *end;
	char name[40];

	snprintf(name, sizeof(name), "provider %s\n", pci_name(pdev));
	begin = strstr(text, name);
	if (!begin)
		return NULL;
	end = strstr(begin + 1, "provider ");
	if (end)
		*end = '\0';
	return begin;
}

static void debugfs_tells_more(struct kunit *test)
{
	static const char * const want[] = {
		"\nsize 4194304\n", "\navailable 2076672\n", "\npeak ",
		"\nfailures 1\n", "\nreferenced 0\n", "\nin-use 4M 1\n",
		"\nin-use 16K 1\n", "\nparked 0\n", "\ncpu ",
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct pci_dev *other = make_provider(test, tree, "other");
	void *much, *little;
	unsigned int i;
	char *part;

	much = pci_alloc_p2pmem(mem, SZ_2M + SZ_4K);
	KUNIT_ASSERT_NOT_NULL(test, much);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_2M));
	little = pci_alloc_p2pmem(mem, SZ_16K - SZ_4K);
	pci_free_p2pmem(mem, little, SZ_16K - SZ_4K);
	little = pci_alloc_p2pmem(mem, SZ_16K);
	KUNIT_ASSERT_NOT_NULL(test, little);
	p2pdma_pool_drain(pool_of(mem));

	part = part_of(describe(test), mem);
	KUNIT_ASSERT_NOT_NULL(test, part);
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(part, want[i]),
					  "%s is not in %s", want[i], part);
	pci_free_p2pmem(mem, little, SZ_16K);
	pci_free_p2pmem(mem, much, SZ_2M + SZ_4K);
	part = part_of(describe(test), mem);
	KUNIT_ASSERT_NOT_NULL(test, part);
	KUNIT_EXPECT_NULL(test, strstr(part, "\nin-use"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(part, "\nparked-runs 16K 1\n"));

	part = part_of(describe(test), other);
	KUNIT_ASSERT_NOT_NULL(test, part);
	KUNIT_EXPECT_NOT_NULL(test, strstr(part, "\nsize 2097152\n"));

	/* Which is not shown when it is gone */
	pci_kunit_unbind(tree, "other");
	KUNIT_EXPECT_NULL(test, part_of(describe(test), other));
	KUNIT_EXPECT_NOT_NULL(test, part_of(describe(test), mem));
}

/* Runtime power management --------------------------------------------------- */

/* A bound device whose driver, and administrator, let it sleep when it is idle */
static struct pci_dev *bind_sleepy(struct pci_kunit_tree *tree,
				   const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	pm_runtime_allow(&pdev->dev);
	pm_runtime_put_noidle(&pdev->dev);
	return pdev;
}

/* What such a driver does at its end */
static void unbind_sleepy(struct pci_kunit_tree *tree, const char *name)
{
	pm_runtime_get_noresume(&pci_kunit_dev(tree, name)->dev);
	pci_kunit_unbind(tree, name);
}

static void awake_as_long_as_there_is_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree;
	struct pci_dev *mem;
	void *addr;

	if (!IS_ENABLED(CONFIG_PM))
		kunit_skip(test, "needs CONFIG_PM");

	tree = PCI_KUNIT_CREATE(test, bench);
	mem = bind_sleepy(tree, "mem");

	/* BARs that others may reach are the driver's business */
	KUNIT_EXPECT_EQ(test, pcim_p2pdma_init(mem), 0);
	KUNIT_EXPECT_GE(test, pm_runtime_suspend(&mem->dev), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mem->dev));

	/* What is no memory is not worth waking up for */
	KUNIT_EXPECT_LT(test, pci_p2pdma_add_resource(mem, 1, 0, 0), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mem->dev));

	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_active(&mem->dev));
	KUNIT_EXPECT_EQ(test, pm_runtime_suspend(&mem->dev), -EAGAIN);

	/* Whether any of it is out makes no difference, nor does more of it */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	addr = pci_alloc_p2pmem(mem, SZ_4K);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, pm_runtime_suspend(&mem->dev), -EAGAIN);
	if (addr)
		pci_free_p2pmem(mem, addr, SZ_4K);
	KUNIT_EXPECT_EQ(test, pm_runtime_suspend(&mem->dev), -EAGAIN);

	/* Nothing of it is left in the next life */
	unbind_sleepy(tree, "mem");
	mem = bind_sleepy(tree, "mem");
	KUNIT_EXPECT_GE(test, pm_runtime_suspend(&mem->dev), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mem->dev));
	unbind_sleepy(tree, "mem");
}

/* Asleep, with nobody allowed to change that */
static void cannot_be_woken(struct kunit *test)
{
	struct pci_kunit_tree *tree;
	struct pci_dev *mem;

	if (!IS_ENABLED(CONFIG_PM))
		kunit_skip(test, "needs CONFIG_PM");

	tree = PCI_KUNIT_CREATE(test, bench);
	mem = bind_sleepy(tree, "mem");
	KUNIT_EXPECT_GE(test, pm_runtime_suspend(&mem->dev), 0);
	pm_runtime_disable(&mem->dev);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), -EACCES);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	pm_runtime_enable(&mem->dev);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mem->dev));

	/* The attempt is forgotten: it wakes up, and sleeps when it is over */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_active(&mem->dev));
	unbind_sleepy(tree, "mem");
	mem = bind_sleepy(tree, "mem");
	KUNIT_EXPECT_GE(test, pm_runtime_suspend(&mem->dev), 0);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mem->dev));
	unbind_sleepy(tree, "mem");
}

static struct kunit_case p2pdma_memory_cases[] = {
	KUNIT_CASE(lists_within_limits),
	KUNIT_CASE(tables_are_used_again),
	KUNIT_CASE(contiguous_on_demand),
	KUNIT_CASE(entries_stay_in_one_resource),
	KUNIT_CASE(awake_as_long_as_there_is_memory),
	KUNIT_CASE(cannot_be_woken),
	KUNIT_CASE(sysfs_tells_the_book),
	KUNIT_CASE(debugfs_tells_more),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_memory_suite = {
	.name = "p2pdma_memory",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_memory_cases,
};

kunit_test_suite(p2pdma_memory_suite);

MODULE_DESCRIPTION("KUnit tests of the memory of a peer-to-peer DMA provider");
MODULE_LICENSE("GPL");
