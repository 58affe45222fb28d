// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of providers as the DMA mapping code knows them
 * (kernel/dma/p2pdma.c): registration, holders, the end, and what the system
 * looks like without any.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "../pci_kunit.h"
#include "p2pdma_fabric.h"

#define BUS	PCI_P2PDMA_MAP_BUS_ADDR
#define HOST	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE

/* Registration -------------------------------------------------------------- */

static const struct p2pdma_provider_ops no_verdict;

static void refuses_nonsense(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	const struct p2pdma_provider whole = fabric->provider[1].mem;
	struct fabric_provider other = fabric->provider[1];
	struct p2pdma_provider *mem = &other.mem;
	u64 size = FABRIC_BYTES;

	fabric_unregister(&fabric->provider[1]);

	*mem = whole;
	mem->owner = NULL;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);
	*mem = whole;
	mem->ops = NULL;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);
	mem->ops = &no_verdict;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);
	*mem = whole;
	mem->range.end = mem->range.start - 1;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);

	/* On the bus it would end beyond the last address, or with it */
	*mem = whole;
	mem->bus_offset = -mem->range.start - size / 2;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);
	mem->bus_offset = -mem->range.start - size;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EINVAL);
	mem->bus_offset--;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(mem), 0);
	p2pdma_provider_unregister(mem);
	/* From the first address of all */
	mem->bus_offset = -mem->range.start;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(mem), 0);
	p2pdma_provider_unregister(mem);
}

static void refuses_what_is_taken(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	const struct p2pdma_provider whole = fabric->provider[1].mem;
	struct fabric_provider other = fabric->provider[1];
	struct p2pdma_provider *mem = &other.mem;

	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EEXIST);
	fabric_unregister(&fabric->provider[1]);
	mem->range.start--;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EEXIST);
	*mem = whole;
	mem->range.end++;
	KUNIT_EXPECT_EQ(test, p2pdma_provider_register(mem), -EEXIST);
	*mem = whole;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(mem), 0);
	p2pdma_provider_unregister(mem);
}

/* Nothing in this machine but what a case brings */
static void in_use_or_not(struct kunit *test)
{
	struct fabric *fabric;
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, static_key_enabled(&p2pdma_in_use));
	fabric = fabric_create(test, 0, 0);
	KUNIT_EXPECT_TRUE(test, p2pdma_page(fabric_page(fabric, 0, 0)));
	KUNIT_EXPECT_FALSE(test, p2pdma_page(virt_to_page(fabric)));
	for (i = 0; i < FABRIC_PROVIDERS; i++) {
		KUNIT_EXPECT_TRUE(test, static_key_enabled(&p2pdma_in_use));
		fabric_unregister(&fabric->provider[i]);
	}
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&p2pdma_in_use));
	KUNIT_EXPECT_FALSE(test, p2pdma_page(fabric_page(fabric, 0, 0)));
}

/* Verdicts ------------------------------------------------------------------ */

/* The table of verdicts is renewed where nothing may sleep */
static void asks_in_atomic_context(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct p2pdma_provider *mem = &fabric->provider[0].mem;
	enum pci_p2pdma_map_type first, second;
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;

	fabric_set(fabric, 0, 0, BUS);
	fabric->provider[0].asked = 0;
	spin_lock_irqsave(&lock, flags);
	first = pci_p2pdma_map_type(mem, fabric_client(fabric, 0));
	second = pci_p2pdma_map_type(mem, fabric_client(fabric, 0));
	spin_unlock_irqrestore(&lock, flags);
	KUNIT_EXPECT_EQ(test, first, BUS);
	KUNIT_EXPECT_EQ(test, second, BUS);
	KUNIT_EXPECT_EQ(test, fabric->provider[0].asked, 1);
}

/* The bus changes its mind while it is being asked: the answer is not kept */
static void (*while_asked)(void);

static enum pci_p2pdma_map_type fickle_map_type(struct p2pdma_provider *mem,
						struct device *client)
{
	if (while_asked)
		while_asked();
	return BUS;
}

static const struct p2pdma_provider_ops fickle_ops = {
	.map_type = fickle_map_type,
};

static unsigned int times_asked;

static void change_once(void)
{
	if (!times_asked++)
		p2pdma_routes_changed();
}

static void change_while_asked(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct p2pdma_provider mem = fabric->provider[1].mem;
	struct device *dev = fabric_client(fabric, 0);

	fabric_unregister(&fabric->provider[1]);
	mem.ops = &fickle_ops;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(&mem), 0);
	times_asked = 0;
	while_asked = change_once;
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(&mem, dev), BUS);
	KUNIT_EXPECT_EQ(test, times_asked, 1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(&mem, dev), BUS);
	KUNIT_EXPECT_EQ(test, times_asked, 2);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(&mem, dev), BUS);
	KUNIT_EXPECT_EQ(test, times_asked, 2);
	while_asked = NULL;
	p2pdma_provider_unregister(&mem);
}

/* More clients than a provider keeps verdicts on: each gets its own answer */
#define CROWD		200

static enum pci_p2pdma_map_type crowd_map_type(struct p2pdma_provider *mem,
					       struct device *client)
{
	return client->id % 2 ? BUS : HOST;
}

static const struct p2pdma_provider_ops crowd_ops = {
	.map_type = crowd_map_type,
};

static void crowd_of_clients(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct p2pdma_provider mem = fabric->provider[1].mem;
	unsigned int i, round, wrong = 0;
	struct device *crowd;

	/* Nothing but their addresses and numbers is looked at */
	crowd = kunit_kcalloc(test, CROWD, sizeof(*crowd), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, crowd);
	fabric_unregister(&fabric->provider[1]);
	mem.ops = &crowd_ops;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(&mem), 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < CROWD; i++) {
			crowd[i].id = i + round;
			wrong += pci_p2pdma_map_type(&mem, &crowd[i]) !=
				 crowd_map_type(&mem, &crowd[i]);
			wrong += pci_p2pdma_map_type(&mem, &crowd[i]) !=
				 crowd_map_type(&mem, &crowd[i]);
		}
		p2pdma_routes_changed();
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	p2pdma_provider_unregister(&mem);
}

/* Holders ------------------------------------------------------------------- */

static int unregister_thread(void *data)
{
	struct fabric_provider *provider = data;

	fabric_unregister(provider);
	/* Until the test has seen that it ends */
	while (!kthread_should_stop())
		usleep_range(1000, 2000);
	return 0;
}

static void end_waits_for_holders(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct fabric_provider *provider = &fabric->provider[1];
	struct p2pdma_provider *mem = &provider->mem;
	struct task_struct *thread;
	unsigned int i;
	bool held;

	fabric_set(fabric, 1, 0, BUS);
	KUNIT_ASSERT_TRUE(test, p2pdma_provider_get(mem));
	KUNIT_ASSERT_TRUE(test, p2pdma_provider_get(mem));
	p2pdma_provider_put(mem);
	KUNIT_EXPECT_EQ(test, provider->revoked, 0);

	thread = kthread_run(unregister_thread, provider, "p2pdma-end");
	if (IS_ERR(thread)) {
		p2pdma_provider_put(mem);
		KUNIT_FAIL_AND_ABORT(test, "no thread");
	}

	/* It asks for the provider, gets it not, and stays usable till then */
	for (i = 0; i < 2000 && !READ_ONCE(provider->revoked); i++)
		usleep_range(1000, 2000);
	msleep(20);
	KUNIT_EXPECT_EQ(test, provider->revoked, 1);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(provider->registered));
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(mem, fabric_client(fabric, 0)),
			BUS);
	/* Nobody would ask a new holder */
	held = p2pdma_provider_get(mem);
	KUNIT_EXPECT_FALSE(test, held);
	if (held)
		p2pdma_provider_put(mem);

	p2pdma_provider_put(mem);
	for (i = 0; i < 2000 && READ_ONCE(provider->registered); i++)
		usleep_range(1000, 2000);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(provider->registered));
	KUNIT_EXPECT_FALSE(test, p2pdma_provider_get(mem));
	kthread_stop(thread);
}

/* The first arrives and the last leaves while others map -------------------- */

struct mapper {
	struct device		*dev;
	struct page		*page;
	struct task_struct	*thread;
	unsigned int		mapped;
	unsigned int		wrong;
};

static int map_thread(void *data)
{
	struct mapper *mapper = data;
	struct scatterlist sg[4];
	struct sg_table sgt = { .sgl = sg, .orig_nents = ARRAY_SIZE(sg) };
	unsigned int i;

	while (!kthread_should_stop()) {
		sg_init_table(sg, ARRAY_SIZE(sg));
		for (i = 0; i < ARRAY_SIZE(sg); i++)
			sg_set_page(&sg[i], mapper->page, 512, 512 * i);
		if (dma_map_sgtable(mapper->dev, &sgt, DMA_TO_DEVICE, 0)) {
			mapper->wrong++;
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(sg); i++)
			if (sg_dma_address(&sg[i]) != sg_phys(&sg[i]))
				mapper->wrong++;
		dma_unmap_sgtable(mapper->dev, &sgt, DMA_TO_DEVICE, 0);
		WRITE_ONCE(mapper->mapped, mapper->mapped + 1);
		cond_resched();
	}

	return 0;
}

static void stop_mapper(void *data)
{
	struct mapper *mapper = data;

	kthread_stop(mapper->thread);
	__free_page(mapper->page);
}

static void comes_and_goes_under_load(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct mapper *mapper = kunit_kzalloc(test, sizeof(*mapper), GFP_KERNEL);
	struct fabric_provider other = fabric->provider[0];
	struct p2pdma_provider *mem = &other.mem;
	unsigned int i, before;

	KUNIT_ASSERT_NOT_NULL(test, mapper);
	for (i = 0; i < FABRIC_PROVIDERS; i++)
		fabric_unregister(&fabric->provider[i]);
	mapper->dev = fabric_client(fabric, 0);
	mapper->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mapper->page);
	mapper->thread = kthread_run(map_thread, mapper, "p2pdma-map");
	if (IS_ERR(mapper->thread)) {
		__free_page(mapper->page);
		KUNIT_FAIL_AND_ABORT(test, "no thread");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_mapper,
							mapper), 0);

	for (i = 0; i < 20; i++) {
		before = READ_ONCE(mapper->mapped);
		KUNIT_ASSERT_EQ(test, p2pdma_provider_register(mem), 0);
		usleep_range(2000, 3000);
		p2pdma_provider_unregister(mem);
		while (READ_ONCE(mapper->mapped) == before)
			usleep_range(1000, 2000);
	}
	KUNIT_EXPECT_EQ(test, READ_ONCE(mapper->wrong), 0);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case core_cases[] = {
	KUNIT_CASE(refuses_nonsense),
	KUNIT_CASE(refuses_what_is_taken),
	KUNIT_CASE(in_use_or_not),
	KUNIT_CASE(asks_in_atomic_context),
	KUNIT_CASE(change_while_asked),
	KUNIT_CASE(crowd_of_clients),
	KUNIT_CASE(end_waits_for_holders),
	KUNIT_CASE(comes_and_goes_under_load),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite core_suite = {
	.name = "p2pdma_core",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = core_cases,
};

kunit_test_suite(core_suite);

MODULE_DESCRIPTION("KUnit tests of the core of peer-to-peer DMA");
