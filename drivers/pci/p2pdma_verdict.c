// SPDX-License-Identifier: GPL-2.0
/*
 * Verdicts that were made before: which client reaches which provider, and how.
 *
 * Deciding a route (drivers/pci/p2pdma_route.c) reads configuration space,
 * which is slow.  Verdicts are therefore kept in a hash table for each
 * provider.  A slot of the table is one word, with domain and routing ID of
 * the client, type and distance, so that it is read and replaced as a whole.
 * The table is replaced by a larger one before it is half full, so that looking
 * a client up takes few steps.
 *
 * A table carries the generation in which its verdicts were made.  Whatever
 * may change a route (a device that comes or goes, access control, address
 * decoding, host policy) advances the generation, upon which older tables
 * count no longer.  There is nobody to wait for: the next verdict empties the
 * table and gives it the new generation.  The generation is sampled before any
 * register is read, so that a change in the meantime makes the new verdict
 * stale as well.
 *
 * A reader compares the generations first and reads the slot afterwards.  If
 * the table is emptied in between, what it finds is the verdict that was right
 * when it came, a newer one, or none; never one that is older.
 *
 * Locking: readers are in an RCU read-side section and take no lock.  A verdict
 * is stored under the table's lock with interrupts off, as the DMA mapping path
 * may do so in any context.
 *
 * What must never happen: a verdict that outlives what it rests on, or answers
 * for another device.
 */
#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/notifier.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "p2pdma.h"

#define CREATE_TRACE_POINTS
#include <trace/events/p2pdma.h>

static atomic64_t p2pdma_generation = ATOMIC64_INIT(0);

/* A slot: no verdict has type zero, so neither is a slot in use */
#define SLOT_TYPE		GENMASK_ULL(1, 0)
#define SLOT_DISTANCE		GENMASK_ULL(15, 2)
#define SLOT_CLIENT		GENMASK_ULL(63, 16)

/* A provider usually has a few clients */
#define SLOTS_MIN_SHIFT		2

/* Lines in the log about DMA that is refused: so many in a minute */
#define REFUSALS_INTERVAL	(60 * HZ)
#define REFUSALS_BURST		10

/* There are 1 << slots_shift slots, of which @used are in use */
struct p2pdma_verdict_table {
	struct rcu_head	rcu;
	u64		generation;
	unsigned int	slots_shift;
	unsigned int	used;
	u64		slot[];
};

/* Bytes of BARs, or of a bridge's BARs, bus numbers and windows */
#define HEADER_DECODERS		(PCI_IO_BASE_UPPER16 - PCI_BASE_ADDRESS_0)

/* Nearest PCI function at or above a device, which the device holds */
static struct pci_dev *pci_ancestor(struct device *dev)
{
	for (; dev; dev = dev->parent)
		if (dev_is_pci(dev))
			return to_pci_dev(dev);

	return NULL;
}

static void say_route(struct pci_dev *provider, struct pci_dev *client,
		      const struct pci_p2pdma_route *route)
{
	DECLARE_SEQ_BUF(s, 512);

	pci_p2pdma_route_describe(&s, provider, client, route);
	if (route->type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		pci_warn(client, "peer-to-peer DMA %s\n", seq_buf_str(&s));
	else
		pci_info(client, "peer-to-peer DMA %s\n", seq_buf_str(&s));
}

/* Domain and routing ID */
static u64 client_key(struct pci_dev *client)
{
	return ((u64)(u32)pci_domain_nr(client->bus) << 16) |
	       pci_dev_id(client);
}

static unsigned int nr_slots(const struct p2pdma_verdict_table *table)
{
	return 1U << table->slots_shift;
}

/* Where to look for a client, on from where @i slots are taken by others */
static __always_inline unsigned int
probe(const struct p2pdma_verdict_table *table, u64 key, unsigned int i)
{
	return (hash_64(key, table->slots_shift) + i) & (nr_slots(table) - 1);
}

/* The verdict on a client that a table holds, or zero */
static __always_inline u64 read_slot(const struct p2pdma_verdict_table *table,
				     u64 key)
{
	unsigned int i = 0;
	u64 val;

	val = READ_ONCE(table->slot[hash_64(key, table->slots_shift)]);
	while (unlikely(val && FIELD_GET(SLOT_CLIENT, val) != key))
		val = READ_ONCE(table->slot[probe(table, key, ++i)]);

	return val;
}

static struct p2pdma_verdict_table *new_table(u64 generation,
					      unsigned int slots_shift)
{
	struct p2pdma_verdict_table *table;

	table = kzalloc(struct_size(table, slot, 1U << slots_shift),
			GFP_ATOMIC | __GFP_NOWARN);
	if (table) {
		table->generation = generation;
		table->slots_shift = slots_shift;
	}

	return table;
}

static void fill_slot(struct p2pdma_verdict_table *table, u64 verdict)
{
	u64 *slot, key = FIELD_GET(SLOT_CLIENT, verdict);
	unsigned int i = 0;

	do {
		slot = &table->slot[probe(table, key, i++)];
	} while (*slot && FIELD_GET(SLOT_CLIENT, *slot) != key);

	table->used += !*slot;
	WRITE_ONCE(*slot, verdict);
}

/* Readers of this generation find the slots empty */
static void empty_table(struct p2pdma_verdict_table *table, u64 generation)
{
	/* In whole words, unlike memset() */
	memset64(table->slot, 0, nr_slots(table));
	table->used = 0;
	/* Who sees this generation sees the slots empty: see current_table() */
	smp_store_release(&table->generation, generation);
}

/* A table of @generation with room for one more verdict */
static struct p2pdma_verdict_table *
table_with_room(struct p2pdma_verdicts *v, u64 generation)
{
	struct p2pdma_verdict_table *old, *table;
	unsigned int i;

	old = rcu_dereference_protected(v->table, lockdep_is_held(&v->lock));
	if (!old) {
		table = new_table(generation, SLOTS_MIN_SHIFT);
		rcu_assign_pointer(v->table, table);
		return table;
	}

	/* What was decided before the last change is of no use */
	if (old->generation > generation)
		return NULL;
	if (old->generation < generation) {
		empty_table(old, generation);
		return old;
	}
	if (old->used < nr_slots(old) / 2)
		return old;

	table = new_table(generation, old->slots_shift + 1);
	if (!table)
		return NULL;

	for (i = 0; i < nr_slots(old); i++)
		if (old->slot[i])
			fill_slot(table, old->slot[i]);

	rcu_assign_pointer(v->table, table);
	kfree_rcu(old, rcu);
	return table;
}

/* A verdict that cannot be kept for want of memory is made again next time */
static void keep_verdict(struct p2pdma_verdicts *v, u64 generation, u64 verdict)
{
	struct p2pdma_verdict_table *table;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	table = table_with_room(v, generation);
	if (table)
		fill_slot(table, verdict);
	spin_unlock_irqrestore(&v->lock, flags);
}

/**
 * pci_p2pdma_verdicts_init - begin to keep verdicts on a provider
 * @v: where
 */
void pci_p2pdma_verdicts_init(struct p2pdma_verdicts *v)
{
	spin_lock_init(&v->lock);
	RCU_INIT_POINTER(v->table, NULL);
	xa_init_flags(&v->overridden, XA_FLAGS_LOCK_IRQ);
}

/**
 * pci_p2pdma_verdicts_destroy - forget all verdicts on a provider
 * @v: where they are, with no reader left
 */
void pci_p2pdma_verdicts_destroy(struct p2pdma_verdicts *v)
{
	kfree(rcu_dereference_protected(v->table, true));
	xa_destroy(&v->overridden);
}

/* Did the log have a line on the overridden route of this pair before? */
static bool override_said(struct pci_p2pdma *p2p, struct pci_dev *client)
{
	static atomic_t said_without_provider = ATOMIC_INIT(0);
	unsigned long flags;
	int error;

	/* There is no place to remember pairs of a device without memory */
	if (!p2p)
		return atomic_xchg(&said_without_provider, 1);

	xa_lock_irqsave(&p2p->verdicts.overridden, flags);
	error = __xa_insert(&p2p->verdicts.overridden, client_key(client),
			    xa_mk_value(1), GFP_ATOMIC | __GFP_NOWARN);
	xa_unlock_irqrestore(&p2p->verdicts.overridden, flags);

	return error == -EBUSY;
}

/*
 * A route that only the administrator vouches for may lose or misdirect data
 * without a sign of it.  Say so, once for each client of a provider, and mark
 * the kernel.
 */
static void note_override(struct pci_p2pdma *p2p, struct pci_dev *provider,
			  struct pci_dev *client)
{
	add_taint(TAINT_CPU_OUT_OF_SPEC, LOCKDEP_STILL_OK);

	if (!override_said(p2p, client))
		pci_warn(client, "peer-to-peer DMA to %s is allowed by pci_p2pdma.host_bridges alone: verify the data, what gets lost is not reported\n",
			 pci_name(provider));
}

/*
 * Make a verdict and keep it; it goes to the log if @verbose.  @p2p is NULL for
 * a device that has registered no memory and thus has nowhere to keep it.
 */
static noinline u64 make_verdict(struct pci_p2pdma *p2p,
				 struct pci_dev *provider,
				 struct pci_dev *client, bool verbose)
{
	u64 now = atomic64_read_acquire(&p2pdma_generation);
	struct pci_p2pdma_route route;
	u64 verdict;

	pci_p2pdma_route_decide(provider, client, &route);
	trace_p2pdma_route(provider, client, &route);

	verdict = FIELD_PREP(SLOT_CLIENT, client_key(client)) |
		  FIELD_PREP(SLOT_TYPE, route.type) |
		  FIELD_PREP(SLOT_DISTANCE, route.distance);

	if (p2p)
		keep_verdict(&p2p->verdicts, now, verdict);
	if (route.override)
		note_override(p2p, provider, client);
	if (verbose)
		say_route(provider, client, &route);

	return verdict;
}

/* The verdicts on clients of a provider, or NULL if they count no longer */
static __always_inline const struct p2pdma_verdict_table *
current_table(struct pci_p2pdma *p2p)
{
	const struct p2pdma_verdict_table *table;
	u64 generation;

	table = rcu_dereference(p2p->verdicts.table);
	if (unlikely(!table))
		return NULL;

	/* Slots are read after it; pairs with empty_table() */
	generation = smp_load_acquire(&table->generation);
	if (unlikely(generation != atomic64_read_acquire(&p2pdma_generation)))
		return NULL;

	return table;
}

/*
 * The verdict on a client in a table, or zero if there is none.  A client that was
 * removed has none, not even if another device is where it was.
 */
static __always_inline u64
kept_verdict(const struct p2pdma_verdict_table *table, struct device *client)
{
	if (unlikely(!client || !dev_is_pci(client) ||
		     !device_is_registered(client)))
		return 0;

	return read_slot(table, client_key(to_pci_dev(client)));
}

/* @function is NULL, or the client: then that or the provider was removed */
static enum pci_p2pdma_reason none_reason(const struct pci_dev *function)
{
	return function ? PCI_P2PDMA_PORT_UNREADABLE : PCI_P2PDMA_NO_PCI_CLIENT;
}

static bool both_are_there(struct pci_dev *provider, struct pci_dev *client)
{
	return device_is_registered(&provider->dev) &&
	       device_is_registered(&client->dev);
}

static void say_no_client(struct device *client, struct pci_dev *provider,
			  const struct pci_dev *function)
{
	dev_warn(client, "peer-to-peer DMA cannot reach %s: %s\n",
		 pci_name(provider),
		 pci_p2pdma_reason_text(none_reason(function)));
}

/*
 * Make the verdict on a client; zero if it is below no function, or if that or
 * the provider was removed.  Who holds a function keeps it, but not the physical
 * function that a virtual one belongs to, nor what accesses configuration space,
 * which may be gone then.
 */
static u64 verdict_anew(struct pci_dev *provider, struct device *client,
			bool verbose)
{
	struct pci_dev *pdev = pci_ancestor(client);

	if (pdev && both_are_there(provider, pdev))
		return make_verdict(rcu_dereference(provider->p2pdma), provider,
				    pdev, verbose);

	if (verbose && client)
		say_no_client(client, provider, pdev);

	return 0;
}

/*
 * DMA was tried where there is no route: whoever gets the error that follows
 * finds the reason in the log, however long the verdict has been known.  Some
 * try again and again.
 */
static noinline void say_refusal(struct pci_p2pdma *p2p, struct device *client)
{
	static DEFINE_RATELIMIT_STATE(lines, REFUSALS_INTERVAL, REFUSALS_BURST);
	struct pci_dev *pdev = dev_is_pci(client) ? to_pci_dev(client) : NULL;
	struct pci_p2pdma_route route;

	if (!__ratelimit(&lines))
		return;

	if (!pdev || !device_is_registered(client)) {
		say_no_client(client, p2p->pdev, pdev);
		return;
	}

	pci_p2pdma_route_decide(p2p->pdev, pdev, &route);
	say_route(p2p->pdev, pdev, &route);
}

/**
 * pci_p2pdma_route_type - how a client's DMA to a provider must be mapped
 * @p2p: the provider
 * @client: device that does the DMA
 *
 * Only PCI functions do PCI DMA: a device that merely hangs below one is given
 * the verdict that it cannot, and so is a function that was removed.
 *
 * Context: any context.  The caller holds an allocation of the provider.
 * Return: any mapping type but unknown.
 */
enum pci_p2pdma_map_type
pci_p2pdma_route_type(struct pci_p2pdma *p2p, struct device *client)
{
	enum pci_p2pdma_map_type type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
	const struct p2pdma_verdict_table *table;
	u64 verdict = 0;

	guard(rcu)();
	if (dev_is_pci(client)) {
		table = current_table(p2p);
		if (likely(table))
			verdict = kept_verdict(table, client);
		if (unlikely(!verdict))
			verdict = verdict_anew(p2p->pdev, client, false);
		type = FIELD_GET(SLOT_TYPE, verdict);
	}

	if (likely(type > PCI_P2PDMA_MAP_NOT_SUPPORTED))
		return type;

	say_refusal(p2p, client);
	return PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

/* The answer where not all that it takes is in the table, if there is one */
static noinline int
distance_many_anew(struct pci_dev *provider, struct device **clients,
		   int nr_clients, bool verbose,
		   const struct p2pdma_verdict_table *table)
{
	bool reachable = true;
	int i, sum = 0;
	u64 verdict;

	for (i = 0; i < nr_clients && (reachable || verbose); i++) {
		verdict = table ? kept_verdict(table, clients[i]) : 0;
		if (!verdict)
			verdict = verdict_anew(provider, clients[i], verbose);
		if (FIELD_GET(SLOT_TYPE, verdict) <=
		    PCI_P2PDMA_MAP_NOT_SUPPORTED)
			reachable = false;
		sum += FIELD_GET(SLOT_DISTANCE, verdict);
	}

	return reachable ? sum : -1;
}

/**
 * pci_p2pdma_distance_many - how far a provider is from a set of clients
 * @provider: device whose memory is to be reached
 * @clients: devices that are to reach it; each may also be a device that is not
 *	PCI itself but below a PCI function
 * @nr_clients: number of clients
 * @verbose: print the verdict on each client, with what to do about it
 *
 * Routes are decided by PCIe r6.x sec 6.12.3 (Access Control Services) and by
 * what is known of the root complexes.
 *
 * Context: any context in which configuration space may be read; does not
 * sleep.  The caller holds all devices.
 * Return: the sum of the distances, in links, where a lower number is better
 * and zero means that client and provider are the same function; -1 if a
 * client cannot reach the provider or no client was given.
 */
int pci_p2pdma_distance_many(struct pci_dev *provider, struct device **clients,
			     int nr_clients, bool verbose)
{
	const struct p2pdma_verdict_table *table;
	struct pci_p2pdma *p2p;
	int i, sum = 0;
	u64 verdict;

	if (!provider || !clients || nr_clients <= 0)
		return -1;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	table = likely(p2p && !verbose) ? current_table(p2p) : NULL;
	if (!table)
		return distance_many_anew(provider, clients, nr_clients,
					  verbose, NULL);

	for (i = 0; i < nr_clients; i++) {
		verdict = kept_verdict(table, clients[i]);
		if (unlikely(FIELD_GET(SLOT_TYPE, verdict) <=
			     PCI_P2PDMA_MAP_NOT_SUPPORTED))
			goto not_kept;
		sum += FIELD_GET(SLOT_DISTANCE, verdict);
	}

	return sum;

not_kept:
	if (verdict)
		return -1;
	return distance_many_anew(provider, clients, nr_clients, false, table);
}
EXPORT_SYMBOL_GPL(pci_p2pdma_distance_many);

/**
 * pci_p2pdma_route - how a client reaches a provider, and why
 * @provider: device whose memory is to be reached, registered or not
 * @client: device that is to reach it, or a device below it
 * @route: returns the verdict
 *
 * Always decides afresh; see pci_p2pdma_distance() for the quick question.
 *
 * Context: any context in which configuration space may be read; does not
 * sleep.  The caller holds both devices.
 * Return: 0, or -ENODEV if the client is not below any PCI function, in which
 * case the verdict says so.
 */
int pci_p2pdma_route(struct pci_dev *provider, struct device *client,
		     struct pci_p2pdma_route *route)
{
	struct pci_dev *pci_client = pci_ancestor(client);

	if (pci_client && both_are_there(provider, pci_client)) {
		pci_p2pdma_route_decide(provider, pci_client, route);
		return 0;
	}

	*route = (struct pci_p2pdma_route){
		.type = PCI_P2PDMA_MAP_NOT_SUPPORTED,
		.reason = none_reason(pci_client),
	};
	return pci_client ? 0 : -ENODEV;
}
EXPORT_SYMBOL_GPL(pci_p2pdma_route);

/**
 * pci_p2pdma_routes_changed - make every kept verdict count no longer
 *
 * To be called after a change that may alter a route.
 *
 * Context: any context.
 */
void pci_p2pdma_routes_changed(void)
{
	/* Whoever sees the new generation must see what led to it */
	smp_mb__before_atomic();
	atomic64_inc(&p2pdma_generation);

	/* What the DMA mapping code keeps rests on verdicts from here */
	p2pdma_routes_changed();
	pci_p2pdma_notify();
}

static bool ranges_meet(int a, int a_size, int b, int b_size)
{
	return a < b + b_size && b < a + a_size;
}

#ifdef CONFIG_PCI_ATS
static bool ats_written(const struct pci_dev *pdev, int where, int size)
{
	return pdev->ats_cap &&
	       ranges_meet(where, size, pdev->ats_cap + PCI_ATS_CTRL,
			   sizeof(u16));
}
#else
static bool ats_written(const struct pci_dev *pdev, int where, int size)
{
	return false;
}
#endif

/*
 * The control register of ARI (PCIe r6.x sec 7.8.8.3) says in which group a
 * function is, and whether an Egress Control Vector counts groups.  Nobody
 * knows where the capability is, but its header is the DWORD before the one
 * with the register: one read tells, and only if the write reached the upper
 * half of a DWORD.  A header that cannot be read may be that of ARI.
 */
static bool ari_written(const struct pci_dev *pdev, int where, int size)
{
	int dword = ALIGN_DOWN(where, sizeof(u32));
	u32 header;

	if (dword < PCI_CFG_SPACE_SIZE + PCI_ARI_CAP ||
	    !ranges_meet(where, size, dword + PCI_ARI_CTRL - PCI_ARI_CAP,
			 sizeof(u16)))
		return false;

	return pci_read_config_dword(pdev, dword - PCI_ARI_CAP, &header) ||
	       PCI_POSSIBLE_ERROR(header) ||
	       PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ARI;
}

/**
 * pci_p2pdma_config_written - take notice of a write to configuration space
 * @pdev: the device that was written to
 * @where: offset of the first byte
 * @size: number of bytes
 *
 * Called after every write by the kernel and by user space that goes through
 * the kernel.  Routes change with the control registers of Access Control
 * Services, Address Translation Services and Alternative Routing-ID
 * Interpretation, the Egress Control Vector, and the registers of the header
 * that decode addresses and bus numbers.
 *
 * ARI Forwarding Enable of the port above has no say: it decides which
 * functions are found, and those that come or go are noticed by themselves.
 *
 * Context: any context.
 */
void pci_p2pdma_config_written(const struct pci_dev *pdev, int where, int size)
{
	/* The vector has at most 256 bits and follows the control register */
	int acs_size = PCI_ACS_EGRESS_CTL_V - PCI_ACS_CTRL + 256 / 8;

	if (ranges_meet(where, size, PCI_BASE_ADDRESS_0, HEADER_DECODERS) ||
	    (pdev->acs_cap &&
	     ranges_meet(where, size, pdev->acs_cap + PCI_ACS_CTRL, acs_size)) ||
	    ats_written(pdev, where, size) || ari_written(pdev, where, size))
		pci_p2pdma_routes_changed();
}

static int topology_changed(struct notifier_block *nb, unsigned long action,
			    void *data)
{
	if (action == BUS_NOTIFY_ADD_DEVICE ||
	    action == BUS_NOTIFY_REMOVED_DEVICE)
		pci_p2pdma_routes_changed();

	return NOTIFY_DONE;
}

static struct notifier_block topology_nb = {
	.notifier_call = topology_changed,
};

static int __init pci_p2pdma_verdict_init(void)
{
	return bus_register_notifier(&pci_bus_type, &topology_nb);
}
postcore_initcall_sync(pci_p2pdma_verdict_init);
