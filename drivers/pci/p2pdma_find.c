// SPDX-License-Identifier: GPL-2.0
/*
 * PCI peer-to-peer DMA: finding a provider.
 *
 * An orchestrator wants memory that all its clients reach.  It may leave the
 * choice to pci_p2pmem_find_many(), or let an administrator name a provider by
 * an attribute, which pci_p2pdma_enable_store() parses.  Only providers that are
 * published can be found.  Who keeps what was found asks to be told when another
 * choice may have become better.
 *
 * This file owns the choice: whether a provider is published, which one suits a
 * set of clients best, and who is told of changes.  Whether a client reaches a
 * provider, and how far it is, is not decided here (p2pdma_verdict.c).
 *
 * What is found is held as a device, by a reference.  Its driver may be unbound
 * all the same, and allocations fail from then on.
 *
 * Locking: providers come and go under the lock of p2pdma.c.  Here their list,
 * and pdev->p2pdma, are read under RCU.  Whether a provider is published is a
 * word by itself.  Notifiers are called by a worker, without any lock of this
 * subsystem, but under the rwsem of their chain: who unregisters waits for them.
 *
 * What must never happen: a provider found that is not published; a change that
 * somebody with a choice is never told of.
 */
#define pr_fmt(fmt) "pci-p2pdma: " fmt

#include <linux/export.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/notifier.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include "p2pdma.h"

/* Those who are told that another choice of provider may be better now */
static BLOCKING_NOTIFIER_HEAD(p2pdma_notifiers);

/**
 * pci_p2pmem_publish - let other drivers find the memory of a provider, or not
 * @provider: the provider
 * @publish: true if they may
 *
 * Unpublished memory is for the driver that registered it.  Memory that others
 * hold already stays theirs.
 *
 * Context: any context.
 */
void pci_p2pmem_publish(struct pci_dev *provider, bool publish)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	if (p2p)
		WRITE_ONCE(p2p->published, publish);
	pci_p2pdma_notify();
}
EXPORT_SYMBOL_GPL(pci_p2pmem_publish);

static void notify_work(struct work_struct *work)
{
	blocking_notifier_call_chain(&p2pdma_notifiers, 0, NULL);
}

static DECLARE_WORK(p2pdma_notify_work, notify_work);

/**
 * pci_p2pdma_notify - tell orchestrators that providers or routes changed
 *
 * They are told by a worker, once for changes that follow quickly.
 *
 * Context: any context.
 */
void pci_p2pdma_notify(void)
{
	/* Who registers later sees the change: pci_p2pdma_register_notifier() */
	smp_mb();
	if (rcu_access_pointer(p2pdma_notifiers.head))
		queue_work(system_unbound_wq, &p2pdma_notify_work);
}

/**
 * pci_p2pdma_register_notifier - be told when providers or routes change
 * @nb: called, with no particular action, after providers were published or
 *	withdrawn and after the route between any two devices may have changed
 *
 * Orchestrators who keep a provider for longer look then whether it still is
 * the best, or usable at all.  A choice that is made after this call misses no
 * change that it is not told of.
 *
 * Context: process context, may sleep.  @nb is called in process context too.
 */
void pci_p2pdma_register_notifier(struct notifier_block *nb)
{
	blocking_notifier_chain_register(&p2pdma_notifiers, nb);
	/* Pairs with pci_p2pdma_notify() */
	smp_mb();
}
EXPORT_SYMBOL_GPL(pci_p2pdma_register_notifier);

/**
 * pci_p2pdma_unregister_notifier - be told no longer
 * @nb: what was registered, or not
 *
 * Context: process context, may sleep; waits until @nb is no longer called.
 */
void pci_p2pdma_unregister_notifier(struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&p2pdma_notifiers, nb);
}
EXPORT_SYMBOL_GPL(pci_p2pdma_unregister_notifier);

/**
 * pci_has_p2pmem - does a device publish peer-to-peer memory?
 * @provider: the device
 *
 * Context: any context.
 * Return: true if it does.
 */
bool pci_has_p2pmem(struct pci_dev *provider)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	return p2p && READ_ONCE(p2p->published);
}
EXPORT_SYMBOL_GPL(pci_has_p2pmem);

/* How far the provider's NUMA node is from those of the clients, in all */
static int node_distance_many(struct pci_dev *provider, struct device **clients,
			      int nr_clients)
{
	int node = dev_to_node(&provider->dev);
	int i, client_node, sum = 0;

	if (node == NUMA_NO_NODE)
		return LOCAL_DISTANCE * nr_clients;

	for (i = 0; i < nr_clients; i++) {
		client_node = dev_to_node(clients[i]);
		sum += client_node == NUMA_NO_NODE ?
			       LOCAL_DISTANCE :
			       node_distance(client_node, node);
	}

	return sum;
}

/**
 * pci_p2pmem_find_many - find the provider that suits a set of clients best
 * @clients: devices that are to reach the memory
 * @nr_clients: number of clients
 *
 * Only published providers that every client can reach are considered.  The
 * one with the least sum of distances wins, so that memory of one of the
 * clients goes before memory behind the same switch, and that before memory
 * elsewhere.  Among those the nearest NUMA node wins, and among equals again
 * the choice is random, which spreads the load.
 *
 * Context: any context in which configuration space may be read; does not
 * sleep.  The caller holds all clients.
 * Return: the provider with a reference, to be dropped by pci_dev_put(), or
 * NULL if there is none.
 */
struct pci_dev *pci_p2pmem_find_many(struct device **clients, int nr_clients)
{
	int distance, nodes, least = INT_MAX, least_nodes = INT_MAX;
	struct pci_dev *best = NULL;
	unsigned int equals = 0;
	struct pci_p2pdma *p2p;

	guard(rcu)();
	list_for_each_entry_rcu(p2p, &pci_p2pdma_providers, node) {
		if (!READ_ONCE(p2p->published))
			continue;

		distance = pci_p2pdma_distance_many(p2p->pdev, clients,
						    nr_clients, false);
		if (distance < 0 || distance > least)
			continue;

		nodes = node_distance_many(p2p->pdev, clients, nr_clients);
		if (distance == least && nodes > least_nodes)
			continue;

		if (distance < least || nodes < least_nodes)
			equals = 0;
		least = distance;
		least_nodes = nodes;

		/* The n-th of equals replaces what was chosen once in n times */
		if (!get_random_u32_below(++equals))
			best = p2p->pdev;
	}

	return pci_dev_get(best);
}
EXPORT_SYMBOL_GPL(pci_p2pmem_find_many);

/**
 * pci_p2pdma_enable_store - parse the setting of a peer-to-peer attribute
 * @text: text that user space wrote
 * @chosen: returns the provider if the text names one, with a reference, and
 *	is left alone otherwise
 * @enabled: returns whether peer-to-peer memory is to be used
 *
 * Accepts what kstrtobool() does, or the address of a provider in the form of
 * pci_name(), which implies yes.
 *
 * Context: process context, may sleep.
 * Return: 0; -ENODEV for a device that does not exist or publishes no
 * memory, and for anything else, after a line in the log.
 */
int pci_p2pdma_enable_store(const char *text, struct pci_dev **chosen,
			    bool *enabled)
{
	int len = strcspn(text, "\n");
	struct pci_dev *provider;
	struct device *dev;
	bool number = *text == '0' || *text == '1';

	/* An address is no truth value, even if it begins like one */
	if (!strchr(text, ':') && (!number || len == 1) &&
	    !kstrtobool(text, enabled))
		return 0;

	dev = bus_find_device_by_name(&pci_bus_type, NULL, text);
	if (!dev) {
		pr_err("no PCI device '%.*s'; write 0, 1 or the address of a provider such as 0000:01:00.0\n",
		       len, text);
		return -ENODEV;
	}

	provider = to_pci_dev(dev);
	if (!pci_has_p2pmem(provider)) {
		pci_err(provider, "publishes no peer-to-peer memory, cannot be used as a provider\n");
		pci_dev_put(provider);
		return -ENODEV;
	}

	*chosen = provider;
	*enabled = true;
	return 0;
}
EXPORT_SYMBOL_GPL(pci_p2pdma_enable_store);

/**
 * pci_p2pdma_enable_show - show the setting of a peer-to-peer attribute
 * @buf: buffer of a page for the text
 * @chosen: provider that was chosen, or NULL
 * @enabled: whether peer-to-peer memory is to be used
 *
 * Return: length of the text, which pci_p2pdma_enable_store() understands.
 */
ssize_t pci_p2pdma_enable_show(char *buf, struct pci_dev *chosen,
			       bool enabled)
{
	if (enabled && chosen)
		return sysfs_emit(buf, "%s\n", pci_name(chosen));

	return sysfs_emit(buf, "%d\n", enabled);
}
EXPORT_SYMBOL_GPL(pci_p2pdma_enable_show);
