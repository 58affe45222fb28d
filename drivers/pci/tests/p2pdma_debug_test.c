// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what CONFIG_DMA_API_DEBUG tells of peer-to-peer memory: a
 * mapping that a driver leaves behind is an error, whichever way the memory was
 * mapped; one that it has undone is none, and no trace of it is left.
 *
 * On the tree of p2pdma_test.c, as the debugging code watches drivers of PCI
 * devices only.  Its count of errors and its list of mappings are files of
 * debugfs, which the kernel itself cannot read or write but by memory of a
 * process.  While a case makes an error, the warning of it is switched off, so
 * that the last case, which looks for warnings, has none to find.
 *
 * Skipped without CONFIG_DMA_API_DEBUG and CONFIG_DEBUG_FS.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "p2pdma_test.h"

#define DEBUG_FILE(_name)	"dma-api/" _name
#define TEXT			SZ_256K

/**
 * struct watch - the files of the debugging code
 * @mnt: debugfs
 * @user: memory of a process, of TEXT bytes
 * @text: what was read last
 */
struct watch {
	struct vfsmount	*mnt;
	char __user	*user;
	char		*text;
};

static void read_file(struct kunit *test, struct watch *watch,
		      const char *path)
{
	struct file *file = p2p_open(test, watch->mnt, path, O_RDONLY);
	size_t size = 0;
	loff_t pos = 0;
	ssize_t len;

	do {
		len = vfs_read(file, watch->user + size, TEXT - size, &pos);
		size += max(len, 0);
	} while (len > 0);
	kunit_release_action(test, p2p_close, file);

	KUNIT_ASSERT_EQ_MSG(test, len, 0, "%s", path);
	KUNIT_ASSERT_LT_MSG(test, size, TEXT, "%s", path);
	KUNIT_ASSERT_EQ(test, copy_from_user(watch->text, watch->user, size),
			0);
	watch->text[size] = '\0';
}

static void write_file(struct kunit *test, struct watch *watch,
		       const char *path, const char *text)
{
	struct file *file = p2p_open(test, watch->mnt, path, O_WRONLY);
	size_t size = strlen(text);
	loff_t pos = 0;

	KUNIT_ASSERT_EQ(test, copy_to_user(watch->user, text, size), 0);
	KUNIT_ASSERT_EQ_MSG(test, vfs_write(file, watch->user, size, &pos),
			    size, "%s", path);
	kunit_release_action(test, p2p_close, file);
}

static u32 errors(struct kunit *test, struct watch *watch)
{
	u32 count = 0;

	read_file(test, watch, DEBUG_FILE("error_count"));
	KUNIT_ASSERT_EQ(test, kstrtou32(strim(watch->text), 10, &count), 0);
	return count;
}

/* Is there a mapping of the device that is called so? */
static bool is_listed(struct kunit *test, struct watch *watch,
		      struct device *dev, const char *called)
{
	char line[80];

	read_file(test, watch, DEBUG_FILE("dump"));
	snprintf(line, sizeof(line), " %s %s idx ", dev_name(dev), called);
	return strstr(watch->text, line);
}

static void begin(struct kunit *test, struct watch *watch)
{
	if (!IS_ENABLED(CONFIG_DMA_API_DEBUG) || !IS_ENABLED(CONFIG_DEBUG_FS))
		kunit_skip(test, "needs CONFIG_DMA_API_DEBUG and CONFIG_DEBUG_FS");

	watch->mnt = p2p_mount(test, "debugfs");
	watch->user = p2p_user_memory(test, TEXT);
	watch->text = kunit_kmalloc(test, TEXT, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, watch->text);

	read_file(test, watch, DEBUG_FILE("disabled"));
	if (watch->text[0] == 'Y')
		kunit_skip(test, "debugging of the DMA API is switched off");
}

/* Let a device go from its driver without the warning that this may give */
static void unbind(struct kunit *test, struct watch *watch,
		   struct pci_kunit_tree *tree, const char *name)
{
	char shown[16];

	read_file(test, watch, DEBUG_FILE("num_errors"));
	KUNIT_ASSERT_GT(test, strscpy(shown, watch->text), 0);
	write_file(test, watch, DEBUG_FILE("num_errors"), "0\n");
	pci_kunit_unbind(tree, name);
	write_file(test, watch, DEBUG_FILE("num_errors"), shown);
}

/* Kinds of mappings --------------------------------------------------------- */

/**
 * struct mapping - peer-to-peer memory that is mapped
 * @pdev: its provider
 * @memory: the memory, a page
 * @sg: a scatterlist of it
 * @addr: what the client was given
 */
struct mapping {
	struct pci_dev		*pdev;
	void			*memory;
	struct scatterlist	sg;
	dma_addr_t		addr;
};

static void free_memory(void *data)
{
	struct mapping *m = data;

	pci_free_p2pmem(m->pdev, m->memory, SZ_4K);
}

static bool map_list(struct device *dev, struct mapping *m)
{
	sg_init_table(&m->sg, 1);
	sg_set_page(&m->sg, virt_to_page(m->memory), SZ_4K, 0);
	return dma_map_sg(dev, &m->sg, 1, DMA_FROM_DEVICE) == 1;
}

static void unmap_list(struct device *dev, struct mapping *m)
{
	dma_unmap_sg(dev, &m->sg, 1, DMA_FROM_DEVICE);
}

static bool map_page(struct device *dev, struct mapping *m)
{
	m->addr = dma_map_page(dev, virt_to_page(m->memory), 0, SZ_4K,
			       DMA_FROM_DEVICE);
	return !dma_mapping_error(dev, m->addr);
}

static void unmap_page(struct device *dev, struct mapping *m)
{
	dma_unmap_page(dev, m->addr, SZ_4K, DMA_FROM_DEVICE);
}

static bool map_mmio(struct device *dev, struct mapping *m)
{
	m->addr = dma_map_phys(dev, page_to_phys(virt_to_page(m->memory)),
			       SZ_4K, DMA_FROM_DEVICE, DMA_ATTR_MMIO);
	return !dma_mapping_error(dev, m->addr);
}

static void unmap_mmio(struct device *dev, struct mapping *m)
{
	dma_unmap_phys(dev, m->addr, SZ_4K, DMA_FROM_DEVICE, DMA_ATTR_MMIO);
}

static const struct kind {
	const char	*name;
	const char	*called;
	bool		(*map)(struct device *dev, struct mapping *m);
	void		(*unmap)(struct device *dev, struct mapping *m);
} kinds[] = {
	{ "scatterlist", "peer-to-peer-scatter-gather", map_list, unmap_list },
	{ "page", "peer-to-peer-single", map_page, unmap_page },
	{ "physical address", "resource", map_mmio, unmap_mmio },
};

static void kind_to_desc(const struct kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kind, kinds, kind_to_desc);

/* A page of a provider, until the end of the case, for all kinds of mappings */
static struct mapping *memory_of(struct kunit *test, struct pci_kunit_tree *tree,
				 const char *name)
{
	struct mapping *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->pdev = p2p_provider(test, tree, name);
	m->memory = pci_alloc_p2pmem(m->pdev, SZ_4K);
	KUNIT_ASSERT_NOT_NULL(test, m->memory);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_memory, m),
			0);
	return m;
}

/* The cases ----------------------------------------------------------------- */

static void mapping_left_behind(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct pci_kunit_tree *tree;
	struct watch watch = {};
	struct mapping *m;
	struct device *dev;
	u32 before;

	begin(test, &watch);
	tree = p2p_fabric(test);
	m = memory_of(test, tree, "mem");

	before = errors(test, &watch);
	dev = &pci_kunit_bind(tree, "nic")->dev;
	KUNIT_ASSERT_TRUE(test, kind->map(dev, m));
	KUNIT_EXPECT_TRUE(test, is_listed(test, &watch, dev, kind->called));
	unbind(test, &watch, tree, "nic");
	KUNIT_EXPECT_EQ(test, errors(test, &watch), before + 1);

	/* Late, and yet what is unmapped is what was mapped */
	kind->unmap(dev, m);
	KUNIT_EXPECT_FALSE(test, is_listed(test, &watch, dev, kind->called));
	KUNIT_EXPECT_EQ(test, errors(test, &watch), before + 1);

	/* A driver as it should be */
	pci_kunit_bind(tree, "nic");
	KUNIT_ASSERT_TRUE(test, kind->map(dev, m));
	KUNIT_EXPECT_TRUE(test, is_listed(test, &watch, dev, kind->called));
	kind->unmap(dev, m);
	KUNIT_EXPECT_FALSE(test, is_listed(test, &watch, dev, kind->called));
	unbind(test, &watch, tree, "nic");
	KUNIT_EXPECT_EQ(test, errors(test, &watch), before + 1);
}

/* What was refused is not pending */
static void refused_mapping(struct kunit *test)
{
	struct pci_kunit_tree *tree;
	struct watch watch = {};
	struct mapping *m;
	struct device *dev;
	unsigned int i;
	u32 before;

	begin(test, &watch);
	tree = p2p_fabric(test);
	m = memory_of(test, tree, "ep0");

	before = errors(test, &watch);
	dev = &pci_kunit_bind(tree, "nic")->dev;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		KUNIT_EXPECT_FALSE_MSG(test, kinds[i].map(dev, m), "%s",
				       kinds[i].name);
		KUNIT_EXPECT_FALSE_MSG(test, is_listed(test, &watch, dev,
						       kinds[i].called),
				       "%s", kinds[i].name);
	}
	unbind(test, &watch, tree, "nic");
	KUNIT_EXPECT_EQ(test, errors(test, &watch), before);
}

static struct kunit_case p2pdma_debug_cases[] = {
	KUNIT_CASE_PARAM(mapping_left_behind, kind_gen_params),
	KUNIT_CASE(refused_mapping),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_debug_suite = {
	.name = "p2pdma_debug",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_debug_cases,
};

kunit_test_suite(p2pdma_debug_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer memory under DMA API debugging");
MODULE_LICENSE("GPL");
