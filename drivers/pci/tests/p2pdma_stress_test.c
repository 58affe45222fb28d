// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit stress test of peer-to-peer DMA: threads in all public calls at once,
 * while providers come and go.
 *
 * On a declared PCI tree (pci_kunit.h) threads look for a provider, allocate
 * from it, alone and in lists, map, free, ask for routes, publish and withdraw,
 * choose by name and listen to changes, without ever pausing.  Meanwhile the test
 * takes the providers away a thousand times, by turns
 *
 *  - by unbinding the driver of one, while its memory is out,
 *  - by removing the switch above one, and finding it again, and
 *  - by removing that switch when it does not answer any more,
 *
 * each of which has to wait until the threads have given back what they hold; and,
 * now and then, a client, about which they ask.
 *
 *   host ─── 01.0 rp0 ── up0 ─┬─ 00.0 dn0 ── mem     BAR 0 8 MiB
 *                             ├─ 01.0 dn1 ── nic     the client
 *                             ├─ 02.0 dn2 ── up1 ─── dn3 ── ssd  BAR 0 4 MiB
 *                             └─ 03.0 dn4 ── gone    the client that goes
 *
 * Each page bears the mark of the very allocation that it is part of, in a shadow
 * of the memory (p2pdma_shadow.h).
 *
 * On a fabric that is not PCI (p2pdma_fabric.h) threads map lists of two providers
 * and use a third one, without struct pages, that is registered and taken away a
 * thousand times, while the routes change.
 *
 * What must be true at any time is counted as it is found to be wrong, and looked
 * at in the end: threads cannot fail a test by themselves.
 *
 * With p2pdma_stress_test.cycles=N on the command line, it goes on for longer,
 * and for three minutes at most.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "p2pdma_fabric.h"
#include "p2pdma_shadow.h"
#include "p2pdma_test.h"

#define THREADS		3
#define HELD		8
#define BUS_OFFSET	SZ_2G

/* How often the switch above a provider goes, rather than its driver */
#define SWITCH_EVERY	25

/* How often of these times it does not answer any more */
#define SURPRISE_EVERY	2

/* How often a client goes as well */
#define CLIENT_EVERY	10

/* A removal that takes longer is one that hangs; emulators are slow */
#define LONGEST_MS	30000

static unsigned int cycles = P2P_SLOW ? 250 : 1000;
module_param(cycles, uint, 0444);
MODULE_PARM_DESC(cycles, "How often providers are taken away (default: 1000, or 250 with KASAN or KCSAN)");

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED),
	  .window = SZ_64M, .bus_offset = BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up0", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_8M } } },
	{ "dn1", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "dn2", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "up1", "dn2", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn3", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "ssd", "dn3", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_4M } } },
	{ "dn4", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(3, 0) },
	{ "gone", "dn4", PCI_KUNIT_ENDPOINT },
};

/* Distances of the two providers from the client */
#define DISTANCE_MEM	4
#define DISTANCE_SSD	6

/* Threads ------------------------------------------------------------------- */

struct storm;

/**
 * struct held - memory that a thread holds, alone or as a list
 * @provider: with a reference; NULL if nothing is held
 * @addr: the memory, if it is alone
 * @size: its size
 * @sgl: the list
 * @nr: number of its entries
 * @mark: what is written to the shadow of its pages
 */
struct held {
	struct pci_dev *provider;
	void *addr;
	size_t size;
	struct scatterlist *sgl;
	unsigned int nr;
	int mark;
};

/**
 * struct worker - a thread
 * @storm: what it is part of
 * @id: its number
 * @serial: number of its last allocation
 * @rnd: what it does next
 * @torn: that of the storm when it began what it does
 * @held: what it holds
 * @nb: by which it listens
 * @done: it has ended
 * @started: it has begun
 * @allocated: allocations
 * @refused: allocations for which there was no memory, or no provider any more
 * @unfound: times that there was no provider to be found
 * @mapped: mappings
 * @visited: times that the client that goes was there
 * @taken: pages that somebody had already
 * @lost: pages that were not those of the allocation any more
 * @wrong: other answers that must not be
 */
struct worker {
	struct storm *storm;
	int id;
	u32 serial;
	struct rnd_state rnd;
	int torn;
	struct held held[HELD];
	struct notifier_block nb;
	struct completion done;
	bool started;
	unsigned long allocated;
	unsigned long refused;
	unsigned long unfound;
	unsigned long mapped;
	unsigned long visited;
	unsigned long taken;
	unsigned long lost;
	unsigned long wrong;
};

/**
 * struct storm - what the threads share
 * @test: the test
 * @tree: the PCI tree, or NULL
 * @nic: the client
 * @gone: where the client is that goes
 * @torn: odd from the time that a switch does not answer any more until it is back
 * @shadow: marks of the pages
 * @fabric: the fabric, or NULL
 * @guest: provider of the fabric that comes and goes; NULL while it does
 * @stop: the threads are to end
 * @worker: the threads
 */
struct storm {
	struct kunit *test;
	struct pci_kunit_tree *tree;
	struct pci_dev *nic;
	struct pci_p2pdma_function gone;
	atomic_t torn;
	struct shadow *shadow;
	struct fabric *fabric;
	struct p2pdma_provider __rcu *guest;
	bool stop;
	struct worker worker[THREADS];
};

static u32 draw(struct worker *w, u32 below)
{
	return prandom_u32_state(&w->rnd) % below;
}

static void stop_threads(void *data)
{
	struct storm *storm = data;
	unsigned int i;

	WRITE_ONCE(storm->stop, true);
	for (i = 0; i < THREADS; i++)
		if (storm->worker[i].started)
			wait_for_completion(&storm->worker[i].done);
}

/* They end with the test at the latest, before what they use goes away */
static void start_threads(struct storm *storm, int (*work)(void *data))
{
	struct kunit *test = storm->test;
	struct task_struct *task;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, kunit_add_action(test, stop_threads, storm), 0);
	for (i = 0; i < THREADS; i++) {
		struct worker *w = &storm->worker[i];

		w->storm = storm;
		w->id = i + 1;
		prandom_seed_state(&w->rnd, w->id);
		init_completion(&w->done);
		task = kthread_create(work, w, "p2pdma_stress/%u", i);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(task), "%pe", task);
		/* They never pause, and the test has to get on */
		set_user_nice(task, MAX_NICE);
		w->started = true;
		wake_up_process(task);
	}
}

static struct storm *storm_create(struct kunit *test)
{
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->test = test;
	p2p_quiet(test, LOGLEVEL_WARNING);
	return storm;
}

/* A PCI tree ---------------------------------------------------------------- */

static void mark_all(struct worker *w, const struct held *h, bool mine)
{
	int from = mine ? 0 : h->mark, to = mine ? h->mark : 0;
	struct shadow *shadow = w->storm->shadow;
	unsigned long wrong = 0;
	struct scatterlist *sg;
	unsigned int i;

	if (!h->sgl)
		wrong = shadow_mark(shadow, virt_to_phys(h->addr), h->size,
				    from, to);
	else
		for_each_sg(h->sgl, sg, h->nr, i)
			wrong += shadow_mark(shadow, sg_phys(sg), sg->length,
					     from, to);
	if (mine)
		w->taken += wrong;
	else
		w->lost += wrong;
}

static void let_go(struct worker *w, struct held *h)
{
	mark_all(w, h, false);
	if (h->sgl)
		pci_p2pmem_free_sgl(h->provider, h->sgl);
	else
		pci_free_p2pmem(h->provider, h->addr, h->size);
	pci_dev_put(h->provider);
	*h = (struct held){};
}

/* Routes may be what they are not while a switch does not answer, but only then */
static void blame(struct worker *w, bool wrong)
{
	/* Whatever was found came before the look whether it is excused */
	smp_mb();
	if (!(w->torn & 1) && w->torn == atomic_read(&w->storm->torn))
		w->wrong += wrong;
}

/* Where memory is that is held does not depend on what becomes of others */
static void map_list(struct worker *w, const struct held *h)
{
	struct device *nic = &w->storm->nic->dev;
	struct scatterlist *sg;
	unsigned int i, n;

	n = dma_map_sg(nic, h->sgl, h->nr, DMA_BIDIRECTIONAL);
	blame(w, !n);
	if (!n)
		return;
	for_each_sg(h->sgl, sg, n, i)
		if (sg_dma_address(sg) + BUS_OFFSET != sg_phys(sg) ||
		    sg_dma_len(sg) != sg->length)
			w->wrong++;
	w->mapped++;
	dma_unmap_sg(nic, h->sgl, h->nr, DMA_BIDIRECTIONAL);
}

/* Both take over the reference to the provider, if they succeed */
static bool take_list(struct worker *w, struct held *h, struct pci_dev *provider)
{
	size_t longest = PAGE_SIZE << draw(w, 9);

	h->sgl = pci_p2pmem_alloc_sgl_limits(provider, &h->nr,
					     1 + draw(w, SZ_512K),
					     1 + draw(w, 200), longest);
	if (!h->sgl)
		return false;
	h->provider = provider;
	return true;
}

static bool take_one(struct worker *w, struct held *h, struct pci_dev *provider)
{
	pci_bus_addr_t bus;

	if (draw(w, 4))
		h->size = PAGE_SIZE << draw(w, 9);
	else
		h->size = 1 + draw(w, SZ_1M);
	h->addr = pci_alloc_p2pmem(provider, h->size);
	if (!h->addr)
		return false;
	h->provider = provider;

	bus = pci_p2pmem_virt_to_bus(provider, h->addr);
	w->wrong += bus + BUS_OFFSET != virt_to_phys(h->addr);
	return true;
}

static void take(struct worker *w, struct held *h, struct pci_dev *provider)
{
	bool list = draw(w, 2);

	if (!(list ? take_list(w, h, provider) : take_one(w, h, provider))) {
		w->refused++;
		pci_dev_put(provider);
		return;
	}

	w->allocated++;
	/* Unlike any other: who, and which of his */
	h->mark = w->id << 24 | (++w->serial & 0xffffff);
	mark_all(w, h, true);
	if (list)
		map_list(w, h);
}

/* The answer stays the same until the provider's function is out of the tree */
static void ask(struct worker *w, struct pci_dev *provider)
{
	struct device *nic = &w->storm->nic->dev, *both[] = { nic, nic };
	int distance = pci_p2pdma_distance(provider, nic, false);
	struct pci_p2pdma_route route;
	bool wrong;

	wrong = distance != DISTANCE_MEM && distance != DISTANCE_SSD;
	wrong |= pci_p2pdma_distance_many(provider, both, 2, false) !=
		 2 * distance;
	wrong |= pci_p2pdma_route(provider, nic, &route) ||
		 route.type != PCI_P2PDMA_MAP_BUS_ADDR ||
		 route.distance != distance;
	blame(w, wrong && device_is_registered(&provider->dev));
}

/* Whoever asks holds the client, so that it is somewhere, in the tree or not */
static void ask_about_client(struct worker *w, struct pci_dev *provider)
{
	const struct pci_p2pdma_function *at = &w->storm->gone;
	struct pci_dev *gone;
	int distance;

	gone = pci_get_domain_bus_and_slot(at->domain, at->bus, at->devfn);
	if (!gone)
		return;
	distance = pci_p2pdma_distance(provider, &gone->dev, false);
	if (distance != DISTANCE_MEM && distance != DISTANCE_SSD &&
	    distance != -1)
		w->wrong++;
	w->visited++;
	pci_dev_put(gone);
}

static void choose(struct worker *w, struct pci_dev *provider)
{
	struct pci_dev *chosen = NULL;
	bool enabled = false;

	/* A refusal is worth a line in the log, and ten thousand are not */
	if (!pci_has_p2pmem(provider))
		return;
	if (pci_p2pdma_enable_store(pci_name(provider), &chosen, &enabled)) {
		w->wrong += chosen || enabled;
		return;
	}
	/* It may have gone, and come again as another one of that name */
	w->wrong += !enabled || !chosen ||
		    strcmp(pci_name(chosen), pci_name(provider));
	pci_dev_put(chosen);
}

static int changed(struct notifier_block *nb, unsigned long action, void *data)
{
	return NOTIFY_DONE;
}

static void listen(struct worker *w)
{
	if (w->nb.notifier_call) {
		pci_p2pdma_unregister_notifier(&w->nb);
		w->nb.notifier_call = NULL;
	} else {
		w->nb.notifier_call = changed;
		pci_p2pdma_register_notifier(&w->nb);
	}
}

/* Unpublished for a while, so that the farther one is found */
static void withdraw(struct worker *w, struct pci_dev *provider)
{
	struct pci_dev *other;

	pci_p2pmem_publish(provider, false);
	other = pci_p2pmem_find(&w->storm->nic->dev);
	if (other)
		ask(w, other);
	pci_dev_put(other);
	pci_p2pmem_publish(provider, true);
}

static void audit(struct pci_p2pdma *p2p, void *data)
{
	struct p2pdma_pool_stats stats;
	struct worker *w = data;

	p2pdma_pool_stats(&p2p->pool, &stats);
	w->wrong += (stats.size != SZ_8M && stats.size != SZ_4M) ||
		    stats.longest > stats.size || stats.peak > stats.size;
}

static void step(struct worker *w)
{
	struct held *h = &w->held[draw(w, HELD)];
	struct pci_dev *provider;

	if (h->provider) {
		let_go(w, h);
		return;
	}

	w->torn = atomic_read(&w->storm->torn);
	/* Whatever is found comes after that */
	smp_mb();
	provider = pci_p2pmem_find(&w->storm->nic->dev);
	if (!provider) {
		w->unfound++;
		return;
	}
	switch (draw(w, 13)) {
	case 0:
		ask(w, provider);
		break;
	case 1:
		choose(w, provider);
		break;
	case 2:
		withdraw(w, provider);
		break;
	case 3:
		listen(w);
		break;
	case 4:
		pci_p2pdma_for_each(audit, w);
		break;
	case 5:
		ask_about_client(w, provider);
		break;
	default:
		take(w, h, provider);
		return;
	}
	pci_dev_put(provider);
}

static int work(void *data)
{
	struct worker *w = data;
	unsigned int i;

	while (!READ_ONCE(w->storm->stop)) {
		step(w);
		/* In emulation this lets the other CPU run */
		if (!draw(w, 4))
			cpu_relax();
		cond_resched();
	}

	for (i = 0; i < HELD; i++)
		if (w->held[i].provider)
			let_go(w, &w->held[i]);
	if (w->nb.notifier_call)
		listen(w);
	complete(&w->done);
	return 0;
}

static struct pci_dev *offer(struct storm *storm, const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(storm->tree, name);

	KUNIT_ASSERT_EQ(storm->test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	pci_p2pmem_publish(pdev, true);
	return pdev;
}

/* What is below a slot is pulled out, and what the slot's driver does about it */
static void pull_out(struct pci_kunit_tree *tree)
{
	static const char * const names[] = { "up1", "dn3", "ssd" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		pci_kunit_set_access(tree, names[i], PCI_KUNIT_ACCESS_ALL_ONES);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		pci_dev_set_disconnected(pci_kunit_dev(tree, names[i]), NULL);
	pci_kunit_remove(tree, "up1");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		pci_kunit_set_access(tree, names[i], PCI_KUNIT_ACCESS_NORMAL);
}

/* The switch goes by surprise, and comes again */
static void tear_switch(struct storm *storm)
{
	atomic_inc(&storm->torn);
	/* Before anything else is seen to change */
	smp_mb__after_atomic();
	pull_out(storm->tree);
	pci_kunit_rescan(storm->tree);
	/* All is there again before that is said */
	smp_mb__before_atomic();
	atomic_inc(&storm->torn);
}

/* The switch goes, and comes again */
static void replug_switch(struct storm *storm)
{
	pci_kunit_remove(storm->tree, "dn2");
	pci_kunit_rescan(storm->tree);
}

/* Take a provider away and let it come again */
static void replug(struct storm *storm, unsigned int cycle)
{
	const char *name = cycle % 2 ? "ssd" : "mem";

	if (cycle % SWITCH_EVERY == SWITCH_EVERY - 1) {
		if (cycle / SWITCH_EVERY % SURPRISE_EVERY == SURPRISE_EVERY - 1)
			tear_switch(storm);
		else
			replug_switch(storm);
		name = "ssd";
	} else {
		pci_kunit_unbind(storm->tree, name);
	}
	offer(storm, name);

	if (cycle % CLIENT_EVERY == CLIENT_EVERY - 1) {
		pci_kunit_remove(storm->tree, "gone");
		pci_kunit_rescan(storm->tree);
	}
}

static void expect_whole(struct kunit *test, struct pci_dev *pdev, size_t size)
{
	struct p2pdma_pool *pool = &rcu_access_pointer(pdev->p2pdma)->pool;
	void *addr = pci_alloc_p2pmem(pdev, size);

	KUNIT_EXPECT_EQ(test, p2pdma_pool_size(pool), size);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr)
		pci_free_p2pmem(pdev, addr, size);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(pool), size);
}

static void expect_calm(struct storm *storm, s64 longest, unsigned int done)
{
	struct worker sum = {}, *w;
	struct kunit *test = storm->test;

	p2p_loud();
	for (w = storm->worker; w < storm->worker + THREADS; w++) {
		sum.allocated += w->allocated;
		sum.refused += w->refused;
		sum.unfound += w->unfound;
		sum.mapped += w->mapped;
		KUNIT_EXPECT_EQ_MSG(test, w->taken, 0, "thread %d", w->id);
		KUNIT_EXPECT_EQ_MSG(test, w->lost, 0, "thread %d", w->id);
		KUNIT_EXPECT_EQ_MSG(test, w->wrong, 0, "thread %d", w->id);
		KUNIT_EXPECT_GT_MSG(test, w->mapped, 0, "thread %d", w->id);
	}
	kunit_info(test, "%u cycles, the longest %lld ms; %lu allocations, %lu refused, %lu mappings, %lu times no provider\n",
		   done, longest, sum.allocated, sum.refused, sum.mapped,
		   sum.unfound);
	kunit_info(test, "figure: cycles=%u slowest_ms=%lld\n", done, longest);
	KUNIT_EXPECT_GE(test, done, min(cycles, P2P_FEWEST_CYCLES));
	KUNIT_EXPECT_LT(test, longest, LONGEST_MS);
	/* Otherwise nobody was in the way of an end */
	KUNIT_EXPECT_GT(test, sum.refused + sum.unfound, 0);
}

static void providers_come_and_go(struct kunit *test)
{
	struct storm *storm = storm_create(test);
	unsigned long start = jiffies;
	struct pci_dev *mem;
	s64 longest = 0;
	unsigned int i;
	ktime_t begun;

	p2p_hurry_rcu(test);
	storm->tree = PCI_KUNIT_CREATE(test, bench);
	storm->nic = pci_kunit_bind(storm->tree, "nic");
	dma_set_max_seg_size(&storm->nic->dev, UINT_MAX);
	storm->gone = p2p_function(pci_kunit_dev(storm->tree, "gone"));
	mem = offer(storm, "mem");
	offer(storm, "ssd");
	storm->shadow = shadow_create(test, mem, 0);
	KUNIT_ASSERT_EQ(test, p2p_ask(storm->tree, mem, "nic"), DISTANCE_MEM);

	start_threads(storm, work);
	for (i = 0; p2p_one_more(i, cycles, start); i++) {
		begun = ktime_get();
		replug(storm, i);
		longest = max(longest, ktime_ms_delta(ktime_get(), begun));
	}
	kunit_release_action(test, stop_threads, storm);

	expect_calm(storm, longest, i);
	if (i >= SWITCH_EVERY * SURPRISE_EVERY)
		KUNIT_EXPECT_GT(test, atomic_read(&storm->torn), 0);
	for (i = 0; i < THREADS; i++)
		KUNIT_EXPECT_GT(test, storm->worker[i].visited, 0);
	shadow_expect_blank(test, storm->shadow);
	expect_whole(test, pci_kunit_dev(storm->tree, "mem"), SZ_8M);
	expect_whole(test, pci_kunit_dev(storm->tree, "ssd"), SZ_4M);
}

/* A fabric that is not PCI -------------------------------------------------- */

#define ENTRIES		8

/* Pages of both providers that stay, by turns */
static void map_both(struct worker *w)
{
	struct device *client = fabric_client(w->storm->fabric, 0);
	struct scatterlist sgl[ENTRIES], *sg;
	unsigned int i, nr = 1 + draw(w, ENTRIES), n;
	u64 offset;

	sg_init_table(sgl, nr);
	for_each_sg(sgl, sg, nr, i)
		sg_set_page(sg, fabric_page(w->storm->fabric, i % 2,
					    draw(w, FABRIC_BYTES / PAGE_SIZE)),
			    PAGE_SIZE, 0);
	n = dma_map_sg(client, sgl, nr, DMA_BIDIRECTIONAL);
	w->wrong += n != nr;
	for_each_sg(sgl, sg, n, i) {
		/* Directly or through the host, as the route was just then */
		offset = sg_dma_is_bus_address(sg) ? BUS_OFFSET : 0;
		w->wrong += sg_dma_address(sg) != sg_phys(sg) + offset;
	}
	if (!n)
		return;
	w->mapped++;
	dma_unmap_sg(client, sgl, nr, DMA_BIDIRECTIONAL);
	for_each_sg(sgl, sg, nr, i)
		w->wrong += sg_dma_is_bus_address(sg);
}

/* The one that comes and goes, while it is there */
static void use_guest(struct worker *w)
{
	struct device *client = fabric_client(w->storm->fabric, 0);
	struct p2pdma_provider *guest;

	scoped_guard(rcu) {
		guest = rcu_dereference(w->storm->guest);
		if (guest && !p2pdma_provider_get(guest)) {
			w->refused++;
			guest = NULL;
		}
	}
	if (!guest) {
		w->unfound++;
		return;
	}

	w->allocated++;
	if (!draw(w, 8))
		usleep_range(10, 100);
	switch (pci_p2pdma_map_type(guest, client)) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		if (pci_p2pdma_bus_addr_map(guest, guest->range.start) !=
		    guest->range.start + BUS_OFFSET)
			w->wrong++;
		break;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		break;
	default:
		w->wrong++;
	}
	p2pdma_provider_put(guest);
}

static int work_on_fabric(void *data)
{
	struct worker *w = data;

	while (!READ_ONCE(w->storm->stop)) {
		if (draw(w, 2))
			map_both(w);
		else
			use_guest(w);
		if (!draw(w, 4))
			cpu_relax();
		cond_resched();
	}
	complete(&w->done);
	return 0;
}

static void any_provider_comes_and_goes(struct kunit *test)
{
	struct storm *storm = storm_create(test);
	unsigned long start = jiffies;
	struct p2pdma_provider *guest;
	s64 longest = 0;
	unsigned int i;
	ktime_t begun;

	p2p_hurry_rcu(test);
	storm->fabric = fabric_create(test, FABRIC_NO_PAGES, BUS_OFFSET);
	fabric_set_all(storm->fabric, PCI_P2PDMA_MAP_BUS_ADDR);
	guest = &storm->fabric->provider[2].mem;
	rcu_assign_pointer(storm->guest, guest);
	start_threads(storm, work_on_fabric);

	for (i = 0; p2p_one_more(i, cycles, start); i++) {
		begun = ktime_get();
		fabric_set(storm->fabric, i % 3, 0,
			   i & 4 ? PCI_P2PDMA_MAP_BUS_ADDR :
				   PCI_P2PDMA_MAP_THRU_HOST_BRIDGE);
		/* Who has seen it asks for it before the end is over */
		rcu_assign_pointer(storm->guest, NULL);
		p2pdma_provider_unregister(guest);
		if (p2pdma_provider_register(guest)) {
			storm->fabric->provider[2].registered = false;
			KUNIT_FAIL(test, "not to be registered again");
			break;
		}
		rcu_assign_pointer(storm->guest, guest);
		longest = max(longest, ktime_ms_delta(ktime_get(), begun));
		usleep_range(100, 1000);
	}
	kunit_release_action(test, stop_threads, storm);
	expect_calm(storm, longest, i);
	KUNIT_EXPECT_EQ(test, storm->fabric->provider[2].revoked, i);
}

static struct kunit_case p2pdma_stress_cases[] = {
	KUNIT_CASE_SLOW(providers_come_and_go),
	KUNIT_CASE_SLOW(any_provider_comes_and_goes),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_stress_suite = {
	.name = "p2pdma_stress",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_stress_cases,
};

kunit_test_suite(p2pdma_stress_suite);

MODULE_DESCRIPTION("KUnit stress test of peer-to-peer DMA");
MODULE_LICENSE("GPL");
