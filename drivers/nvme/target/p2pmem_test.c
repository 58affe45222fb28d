// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the NVMe target's choice of peer-to-peer memory (p2pmem.c):
 * which provider is chosen, when the choice is made anew, and what the
 * administrator is told.  The devices are those of p2pmem_stage.h.
 */
#include <kunit/test.h>

#include <linux/mutex.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "../../pci/tests/p2pdma_fault.h"
#include "p2pmem_stage.h"

/* More allocations than enabling makes */
#define MOST_FAULTS	200

static struct nvmet_p2pmem_choice choose(struct stage *stage,
					 struct pci_dev *wanted,
					 struct pci_dev *in_use)
{
	struct device *clients[] = {
		&stage_device(stage, "nic")->dev, &stage_device(stage, "ssd")->dev,
	};
	struct nvmet_p2pmem_choice choice;

	choice = nvmet_p2pmem_choose(clients, ARRAY_SIZE(clients), wanted,
				     in_use);
	/* The tree stays for as long as the case runs */
	pci_dev_put(choice.provider);
	KUNIT_EXPECT_EQ(stage->test, choice.why == NVMET_P2PMEM_USED,
			!!choice.provider);
	return choice;
}

static void chooses_what_all_reach(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *far = stage_provide(stage, "far"), *near;

	KUNIT_EXPECT_EQ(test, choose(stage, NULL, NULL).why,
			NVMET_P2PMEM_UNREACHABLE);
	near = stage_provide(stage, "near");
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, NULL).provider, near);
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, far).provider, near);
}

static void keeps_what_is_as_good_as_any(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct pci_dev *also = stage_provide(stage, "also");
	int i;

	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, near).provider,
				    near);
		KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, also).provider,
				    also);
	}
}

static void leaves_for_a_nearer_one(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct pci_dev *ssd = stage_provide(stage, "ssd");

	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, near).provider, ssd);
	pci_p2pmem_publish(ssd, false);
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, ssd).provider, near);
}

static void takes_none_but_the_wanted(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct pci_dev *far = stage_provide(stage, "far");

	stage_provide(stage, "ssd");
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, near, NULL).provider, near);
	KUNIT_EXPECT_EQ(test, choose(stage, far, NULL).why,
			NVMET_P2PMEM_UNREACHABLE);
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_EQ(test, choose(stage, near, near).why,
			NVMET_P2PMEM_NO_PROVIDER);
}

static void follows_publication(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, NULL, "no_provider"));
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_no_provider"), 1);
	stage_provide(stage, "far");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, NULL, "not_reachable"));
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_not_reachable"), 1);
	pci_p2pmem_publish(near, true);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "dma"));
	stage_provide(stage, "ssd");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "ssd", "dma"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
}

static void follows_access_control(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *port = stage_device(stage, "dn1");
	int control = port->acs_cap + PCI_ACS_CTRL;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_expect(stage, "near", "dma");
	pci_write_config_word(port, control, PCI_ACS_RR);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, NULL, "not_reachable"));
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	pci_write_config_word(port, control, 0);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
}

/* Who is busy with one subsystem holds up no other, nor what connects to it */
static void a_busy_subsystem_is_alone(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct nvmet_subsys *busy = kunit_kzalloc(test, sizeof(*busy),
						  GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, busy);
	mutex_init(&busy->lock);
	xa_init(&busy->namespaces);
	INIT_LIST_HEAD(&busy->ctrls);
	nvmet_p2pmem_subsys_init(busy);

	mutex_lock(&busy->lock);
	pci_p2pmem_publish(near, false);
	pci_p2pmem_publish(near, true);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_expect(stage, "near", "dma");
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, NULL, "no_provider"));
	mutex_unlock(&busy->lock);
	nvmet_p2pmem_subsys_exit(busy);
}

/* Taken out and put in again, an address is another device */
static void wanted_is_an_address(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	char *name;

	stage_provide(stage, "ssd");
	name = kstrdup(pci_name(stage_provide(stage, "near")), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, name);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, name), 0);
	stage_connect_nic(stage);
	stage_expect(stage, "near", "dma");
	pci_kunit_unbind(stage->tree, "near");
	pci_kunit_remove(stage->tree, "near");
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	pci_kunit_rescan(stage->tree);
	KUNIT_EXPECT_STREQ(test, pci_name(stage_device(stage, "near")), name);
	stage_provide(stage, "near");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
	kfree(name);
}

static void forbid_cpu_copy(void *unused)
{
	nvmet_p2pmem_cpu_copy = false;
}

static void copies_by_cpu_only_if_asked(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	nvmet_p2pmem_req_cpu(&stage->req);
	stage_connect(stage, &stage_transport);
	stage_expect(stage, NULL, "transport");
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_transport"), 1);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forbid_cpu_copy,
							NULL), 0);
	nvmet_p2pmem_cpu_copy = true;
	/* The next choice takes notice, whatever gives rise to it */
	stage_provide(stage, "far");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "cpu-copy"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "cpu_copy_requests"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "cpu_copy_bytes"), SZ_4K);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 0);
}

static void transports_without_it(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect(stage, &stage_loop);
	stage_expect(stage, NULL, "transport");
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_transport"), 1);
}

static const char *name_of(struct stage *stage, const char *name)
{
	return pci_name(stage_device(stage, name));
}

static void enabling_is_refused(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "0"), 0);
	stage_disable(stage);
	stage_provide(stage, "far");
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, name_of(stage, "far")),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, name_of(stage, "near")),
			-ENODEV);
	stage_provide(stage, "near");
	stage->ns->bdev = NULL;
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), -EINVAL);
	stage->ns->bdev = stage->disk->part0;
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), 0);
}

/*
 * Each allocation of it fails in turn: it is refused, and nothing has changed, or a
 * controller does without.
 */
static void enabling_when_memory_is_short(struct kunit *test)
{
	struct stage *stage;
	struct pci_dev *near;
	unsigned int n = 0;
	int error;
	bool hit;
	void *all;

	if (!IS_ENABLED(CONFIG_PCI_P2PDMA_KUNIT_TEST))
		kunit_skip(test, "needs CONFIG_PCI_P2PDMA_KUNIT_TEST");
	fault_prepare(test);
	stage = stage_make(test);
	near = stage_provide(stage, "near");
	stage_connect_nic(stage);

	do {
		fault_set_nth(++n);
		error = stage_enable(stage, "1");
		hit = !fault_get_nth();
		fault_set_nth(0);

		if (error) {
			KUNIT_EXPECT_TRUE(test, hit);
			KUNIT_EXPECT_EQ(test, error, -ENOMEM);
			KUNIT_EXPECT_FALSE(test, stage_read(stage));
		} else if (!hit) {
			stage_expect(stage, "near", "dma");
			KUNIT_EXPECT_TRUE(test, stage_read(stage));
		} else {
			stage_read(stage);
		}

		stage_disable(stage);
		all = pci_alloc_p2pmem(near, SZ_4M);
		KUNIT_EXPECT_NOT_NULL_MSG(test, all, "after fault %u", n);
		if (all)
			pci_free_p2pmem(near, all, SZ_4M);
	} while (hit && n < MOST_FAULTS);

	KUNIT_EXPECT_FALSE(test, hit);
	KUNIT_EXPECT_GT(test, n, 1);
	kunit_info(test, "figure: faults=%u\n", n - 1);
}

static void enabling_needs_the_drivers_support(struct kunit *test)
{
	struct stage *stage = stage_make_on(test, 0);

	stage_provide(stage, "near");
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stage_enable(stage, "0"), 0);
}

static void setting_is_shown(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct nvmet_ns *ns = stage->ns;
	char *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, page, "0\n");
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "1\n"), 0);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, page, "1\n");
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, pci_name(near)), 0);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, strim(page), pci_name(near));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "maybe"), -ENODEV);
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "2"), -ENODEV);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, strim(page), pci_name(near));
	ns->enabled = true;
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "0"), -EBUSY);
	ns->enabled = false;
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "0"), 0);
}

static struct kunit_case nvmet_p2pmem_cases[] = {
	KUNIT_CASE(chooses_what_all_reach),
	KUNIT_CASE(keeps_what_is_as_good_as_any),
	KUNIT_CASE(leaves_for_a_nearer_one),
	KUNIT_CASE(takes_none_but_the_wanted),
	KUNIT_CASE(follows_publication),
	KUNIT_CASE(follows_access_control),
	KUNIT_CASE(a_busy_subsystem_is_alone),
	KUNIT_CASE(wanted_is_an_address),
	KUNIT_CASE(copies_by_cpu_only_if_asked),
	KUNIT_CASE(transports_without_it),
	KUNIT_CASE(enabling_is_refused),
	KUNIT_CASE(enabling_when_memory_is_short),
	KUNIT_CASE(enabling_needs_the_drivers_support),
	KUNIT_CASE(setting_is_shown),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite nvmet_p2pmem_suite = {
	.name = "nvmet_p2pmem",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = nvmet_p2pmem_cases,
};

kunit_test_suite(nvmet_p2pmem_suite);

MODULE_DESCRIPTION("KUnit tests of the choice of peer-to-peer memory in the NVMe target");
MODULE_LICENSE("GPL");
