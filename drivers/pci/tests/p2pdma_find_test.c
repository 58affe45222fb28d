// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how a provider of peer-to-peer DMA memory is found
 * (p2pdma_find.c): whether it is published, which is the nearest that all
 * clients reach, and which one an administrator names.
 *
 * The devices are drawn in p2pdma_bench.c.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/test.h>

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "p2pdma_bench.h"
#include "p2pdma_book.h"

/* Finding ------------------------------------------------------------------- */

static void published_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct vfsmount *mnt = p2p_mount(test, "sysfs");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	/* Who has nothing cannot publish it */
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	bench_expect_file(test, mnt, mem, "published", 0);

	/* It is for its own driver nevertheless */
	bench_drop(test, bench_hold(test, mem, PAGE_SIZE));

	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_TRUE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_PTR_EQ(test, pci_p2pmem_find(&nic->dev), mem);
	pci_dev_put(mem);
	bench_expect_file(test, mnt, mem, "published", 1);

	pci_p2pmem_publish(mem, false);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	bench_expect_file(test, mnt, mem, "published", 0);
}

static void finds_the_nearest(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree_of(test, LISTED, 0);
	struct pci_dev *ep = bench_provider(test, tree, "ep");
	struct pci_dev *mem, *ssd;

	/* All there is, however far */
	bench_expect_found(test, tree, "nic", NULL, ep);
	mem = bench_provider(test, tree, "mem");
	bench_expect_found(test, tree, "nic", NULL, mem);
	bench_expect_found(test, tree, "ep", NULL, ep);
	bench_expect_found(test, tree, "ssd", NULL, mem);

	/* Memory of a client goes before memory of its neighbour */
	ssd = bench_provider(test, tree, "ssd");
	bench_expect_found(test, tree, "ssd", NULL, ssd);
	bench_expect_found(test, tree, "ssd", "nic", ssd);
	bench_expect_found(test, tree, "nic", "ssd", ssd);
	bench_expect_found(test, tree, "ep", "nic", ep);
	pci_p2pmem_publish(ssd, false);
	bench_expect_found(test, tree, "ssd", "nic", mem);
}

static void finds_only_what_all_reach(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *ep = bench_provider(test, tree, "ep");
	struct pci_dev *mem;

	bench_expect_found(test, tree, "nic", NULL, NULL);
	bench_expect_found(test, tree, "ep", NULL, ep);
	mem = bench_provider(test, tree, "mem");
	bench_expect_found(test, tree, "nic", NULL, mem);
	bench_expect_found(test, tree, "nic", "ssd", mem);
	bench_expect_found(test, tree, "nic", "ep", NULL);
	bench_expect_found(test, tree, "ep", "ssd", NULL);

	KUNIT_EXPECT_NULL(test, pci_p2pmem_find_many(NULL, 0));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(NULL));
}

/* Who finds holds; who is chosen among equals is left to chance */
static void chooses_among_equals(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct pci_dev *ssd = bench_provider(test, tree, "ssd");
	unsigned int before = kref_read(&mem->dev.kobj.kref);
	unsigned int mems = 0, ssds = 0, i;
	struct pci_dev *found;

	for (i = 0; i < 64; i++) {
		found = pci_p2pmem_find(&nic->dev);
		if (found == mem) {
			mems++;
			KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref),
					before + 1);
		} else if (found == ssd) {
			ssds++;
		}
		pci_dev_put(found);
	}
	KUNIT_EXPECT_EQ(test, mems + ssds, 64);
	KUNIT_EXPECT_GT(test, mems, 0);
	KUNIT_EXPECT_GT(test, ssds, 0);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before);
}

/* Choosing a provider by name ----------------------------------------------- */

static const struct setting {
	const char *text;
	int error;
	bool enabled;
} settings[] = {
	{ "0", 0, false },
	{ "1", 0, true },
	{ "0\n", 0, false },
	{ "1\n", 0, true },
	{ "y", 0, true },
	{ "Y\n", 0, true },
	{ "yes\n", 0, true },
	{ "n", 0, false },
	{ "no\n", 0, false },
	{ "on", 0, true },
	{ "on\n", 0, true },
	{ "off", 0, false },
	{ "OFF\n", 0, false },
	/* Addresses that begin with a truth value */
	{ "0000:fe:1f.7", -ENODEV },
	{ "1000:fe:1f.7\n", -ENODEV },
	{ "0000:", -ENODEV },
	{ "10", -ENODEV },
	{ "01", -ENODEV },
	/* Neither */
	{ "", -ENODEV },
	{ "\n", -ENODEV },
	{ "maybe", -ENODEV },
	{ "2", -ENODEV },
	{ "-1", -ENODEV },
	{ " 1", -ENODEV },
	{ ":", -ENODEV },
};

static void setting_name(const struct setting *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "\"%.*s\"%s",
		 (int)strcspn(s->text, "\n"), s->text,
		 strchr(s->text, '\n') ? " and end of line" : "");
}

KUNIT_ARRAY_PARAM(setting, settings, setting_name);

static void parses_settings(struct kunit *test)
{
	const struct setting *s = test->param_value;
	struct pci_dev *untouched = (struct pci_dev *)test, *chosen = untouched;
	bool enabled = !s->enabled;

	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(s->text, &chosen,
						      &enabled), s->error);
	KUNIT_EXPECT_PTR_EQ(test, chosen, untouched);
	if (s->error)
		KUNIT_EXPECT_TRUE(test, enabled);
	else
		KUNIT_EXPECT_EQ(test, enabled, s->enabled);
}

static void chooses_by_name(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	char *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct pci_dev *chosen = NULL;
	unsigned int before;
	char text[32];
	bool enabled = false;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	snprintf(text, sizeof(text), "%s\n", pci_name(mem));

	/* No memory; memory that is not published */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled),
			-ENODEV);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	before = kref_read(&mem->dev.kobj.kref);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled),
			-ENODEV);
	KUNIT_EXPECT_NULL(test, chosen);
	KUNIT_EXPECT_FALSE(test, enabled);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before);

	/* Published; with and without end of line */
	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled), 0);
	KUNIT_EXPECT_PTR_EQ(test, chosen, mem);
	KUNIT_EXPECT_TRUE(test, enabled);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before + 1);
	pci_dev_put(chosen);
	chosen = NULL;
	enabled = false;
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(pci_name(mem), &chosen,
						      &enabled), 0);
	KUNIT_EXPECT_PTR_EQ(test, chosen, mem);
	KUNIT_EXPECT_TRUE(test, enabled);

	/* What is shown is what can be written again */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, mem, true),
			strlen(text));
	KUNIT_EXPECT_STREQ(test, buf, text);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, NULL, true), 2);
	KUNIT_EXPECT_STREQ(test, buf, "1\n");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, NULL, false), 2);
	KUNIT_EXPECT_STREQ(test, buf, "0\n");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, mem, false), 2);
	KUNIT_EXPECT_STREQ(test, buf, "0\n");

	if (chosen == mem)
		pci_dev_put(chosen);
}

/* The suite ---------------------------------------------------------------- */

static struct kunit_case p2pdma_find_cases[] = {
	KUNIT_CASE(published_or_not),
	KUNIT_CASE(finds_the_nearest),
	KUNIT_CASE(finds_only_what_all_reach),
	KUNIT_CASE(chooses_among_equals),
	KUNIT_CASE_PARAM(parses_settings, setting_gen_params),
	KUNIT_CASE(chooses_by_name),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_find_suite = {
	.name = "p2pdma_find",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_find_cases,
};

kunit_test_suite(p2pdma_find_suite);

MODULE_DESCRIPTION("KUnit tests of finding providers of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
