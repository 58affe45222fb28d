// SPDX-License-Identifier: GPL-2.0
/*
 * NVMe target: peer-to-peer memory for the data of requests.
 *
 * The data of a read or write passes through memory of the target: the RDMA
 * device puts it there and the backend takes it, or the other way round.  With
 * p2pmem switched on for a namespace that memory is a provider's, a PCI device
 * near both, so that the data stays away from system memory.
 *
 * This file owns the choice of the provider.  For each controller and namespace
 * there is a link: a provider, or the reason why there is none.  It is made when
 * either of the two comes, and made again whenever providers or routes change.
 * If the choice comes out differently the log has a line.  What a request does
 * with it is told in p2pmem-req.c, and the account of that is p2pmem-stats.c's.
 *
 * Who has to reach the provider: the transport's device, if it does DMA, and
 * every device that the namespace's data is on, which are several for RAID and
 * multipath.  Software RDMA does no DMA: the CPU copies.  It can do that with
 * peer-to-peer memory too, but is slow at it, so that it has to be asked for by
 * the parameter p2pmem_cpu_copy, and is called by its name everywhere.
 *
 * References:
 *
 * - A link holds a reference on its provider.  Links are read inside SRCU,
 *   which is held until memory has been allocated.
 * - A link is replaced first, and freed after all who may have read the old one
 *   have left SRCU.
 *
 * Locking: links, and what they are made of, change under the subsystem's lock.
 * That may be held for long, so nobody waits for it on behalf of another
 * subsystem: the one notifier of this module only has a worker of each subsystem
 * look, and takes nothing but the lock of their list.  From the outside in:
 *
 *   the notifier chain's rwsem (drivers/pci/p2pdma_find.c)
 *     subsystems_lock: the list of subsystems; a leaf, nothing sleeps inside
 *
 *   nvmet_config_sem (core.c)
 *     subsys->lock: links; readers are waited for inside
 *       nvmet_p2pmem_srcu, read side: requests that allocate; takes no lock of
 *         these
 *
 * What must never happen: memory asked of a provider that nobody holds; a line
 * that says peer-to-peer where it is not.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/cleanup.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci-p2pdma.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "nvmet.h"

bool nvmet_p2pmem_cpu_copy;
module_param_named(p2pmem_cpu_copy, nvmet_p2pmem_cpu_copy, bool, 0644);
MODULE_PARM_DESC(p2pmem_cpu_copy,
		 "Let software RDMA use peer-to-peer memory, by copies of the CPU (slow, for tests; default: no)");

DEFINE_SRCU(nvmet_p2pmem_srcu);

/* Whom to tell that providers or routes changed */
static LIST_HEAD(subsystems);
static DEFINE_SPINLOCK(subsystems_lock);

/* Devices that have to reach a provider; each with a reference */
struct nvmet_p2pmem_clients {
	struct device	**dev;
	int		nr;
};

static bool provider_exists(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (pci_has_p2pmem(pdev)) {
			pci_dev_put(pdev);
			return true;
		}
	}

	return false;
}

/* The nearest provider, but the one in use if no other is nearer */
static struct pci_dev *nearest(struct device **clients, int nr,
			       struct pci_dev *in_use)
{
	struct pci_dev *best = pci_p2pmem_find_many(clients, nr);
	int distance;

	if (!best || !in_use || best == in_use || !pci_has_p2pmem(in_use))
		return best;

	distance = pci_p2pdma_distance_many(in_use, clients, nr, false);
	if (distance < 0 ||
	    distance > pci_p2pdma_distance_many(best, clients, nr, false))
		return best;

	pci_dev_put(best);
	return pci_dev_get(in_use);
}

/**
 * nvmet_p2pmem_choose - choose a provider for a set of clients
 * @clients: devices that have to reach it
 * @nr: how many
 * @wanted: the only one that will do, or NULL
 * @in_use: the one in use, which is kept if it is as good as any, or NULL
 *
 * Context: process context.  The caller holds all devices.
 * Return: the provider, with a reference, or why there is none.
 */
struct nvmet_p2pmem_choice
nvmet_p2pmem_choose(struct device **clients, int nr, struct pci_dev *wanted,
		    struct pci_dev *in_use)
{
	struct nvmet_p2pmem_choice choice = { .why = NVMET_P2PMEM_UNREACHABLE };

	if (!wanted) {
		choice.provider = nearest(clients, nr, in_use);
		if (!choice.provider && !provider_exists())
			choice.why = NVMET_P2PMEM_NO_PROVIDER;
	} else if (!pci_has_p2pmem(wanted)) {
		choice.why = NVMET_P2PMEM_NO_PROVIDER;
	} else if (pci_p2pdma_distance_many(wanted, clients, nr, false) >= 0) {
		choice.provider = pci_dev_get(wanted);
	}

	if (choice.provider)
		choice.why = NVMET_P2PMEM_USED;

	return choice;
}

/*
 * The PCI function that a device is or is below, which is all that routes depend
 * on; without one, the device.  To be found while the device is registered: a
 * reference on a disk or RDMA device does not keep what is above it.
 */
static struct device *function_of(struct device *dev)
{
	struct device *above;

	for (above = dev; above; above = above->parent)
		if (dev_is_pci(above))
			return above;

	return dev;
}

static int add_client(struct nvmet_p2pmem_clients *clients,
		      struct device *client)
{
	struct device **dev;

	/* Called by disk_iterate_members(), where nobody may wait for I/O */
	dev = krealloc_array(clients->dev, clients->nr + 1, sizeof(*dev),
			     GFP_NOIO);
	if (!dev)
		return -ENOMEM;

	dev[clients->nr++] = get_device(client);
	clients->dev = dev;
	return 0;
}

static int add_member(struct gendisk *disk, void *clients)
{
	return add_client(clients, function_of(disk_to_dev(disk)));
}

static void put_clients(struct nvmet_p2pmem_clients *clients)
{
	while (clients->nr)
		put_device(clients->dev[--clients->nr]);
	kfree(clients->dev);
}

/* The devices that a namespace's data is on, and the transport's if given */
static int get_clients(struct nvmet_p2pmem_clients *clients,
		       struct nvmet_ns *ns, struct device *transport)
{
	int error;

	*clients = (struct nvmet_p2pmem_clients){ };
	error = disk_iterate_members(ns->bdev->bd_disk, add_member, clients);
	if (!error && transport)
		error = add_client(clients, transport);
	if (error)
		put_clients(clients);

	return error;
}

/*
 * The administrator gave an address.  If the device that had it was taken out
 * and another put in, that one is meant now.
 */
static void find_wanted_again(struct nvmet_ns *ns)
{
	struct pci_dev *old = ns->p2pmem.wanted, *now;
	struct device *dev;

	if (!old || pci_has_p2pmem(old))
		return;

	/* By its name: the domain is told by the host bridge, which may be gone */
	dev = bus_find_device_by_name(&pci_bus_type, NULL, pci_name(old));
	if (!dev)
		return;

	now = to_pci_dev(dev);
	if (now != old && pci_has_p2pmem(now))
		swap(ns->p2pmem.wanted, now);
	pci_dev_put(now);
}

/* Why a transport cannot use peer-to-peer memory */
static const char *transport_text(const struct nvmet_ctrl *ctrl)
{
	switch (ctrl->ops->type) {
	case NVMF_TRTYPE_RDMA:
		if (ctrl->p2pmem.access == NVMET_P2PMEM_CPU)
			return "software RDMA copies by CPU, which nvmet.p2pmem_cpu_copy=1 allows";
		return "the RDMA device cannot do peer-to-peer DMA";
	case NVMF_TRTYPE_LOOP:
		return "the loop transport lends the initiator's own pages to the drive";
	case NVMF_TRTYPE_TCP:
		return "the TCP transport copies between sockets and system memory";
	default:
		return "the transport has no peer-to-peer DMA";
	}
}

static const char *why_text(const struct nvmet_ctrl *ctrl,
			    const struct nvmet_ns *ns,
			    enum nvmet_p2pmem_why why)
{
	switch (why) {
	case NVMET_P2PMEM_TRANSPORT:
		return transport_text(ctrl);
	case NVMET_P2PMEM_NO_PROVIDER:
		if (ns->p2pmem.wanted)
			return "the chosen device publishes no peer-to-peer memory";
		return "no device publishes peer-to-peer memory";
	default:
		if (ns->p2pmem.wanted)
			return "not every device on the way reaches the chosen one";
		return "no provider is reached by every device on the way, see p2pctl matrix";
	}
}

static void say_link(const struct nvmet_ctrl *ctrl, const struct nvmet_ns *ns,
		     const struct nvmet_p2pmem_link *link)
{
	if (link->choice.provider)
		pr_info("using p2pmem on %s for nsid %u of controller %u%s\n",
			pci_name(link->choice.provider), ns->nsid, ctrl->cntlid,
			link->access == NVMET_P2PMEM_CPU ?
				", by CPU copy to peer memory" : "");
	else
		pr_info("using system memory, not p2pmem, for nsid %u of controller %u: %s\n",
			ns->nsid, ctrl->cntlid,
			why_text(ctrl, ns, link->choice.why));
}

/* What the link of a controller and a namespace, @old so far, should be now */
static int decide(struct nvmet_p2pmem_link *link, const struct nvmet_ctrl *ctrl,
		  struct nvmet_ns *ns, const struct nvmet_p2pmem_link *old)
{
	struct pci_dev *in_use = old ? old->choice.provider : NULL;
	struct nvmet_p2pmem_clients clients;
	int error;

	link->choice = (struct nvmet_p2pmem_choice){
		.why = NVMET_P2PMEM_TRANSPORT,
	};
	link->access = ctrl->p2pmem.access;
	if (link->access == NVMET_P2PMEM_NONE ||
	    (link->access == NVMET_P2PMEM_CPU && !READ_ONCE(nvmet_p2pmem_cpu_copy)))
		return 0;

	error = get_clients(&clients, ns, ctrl->p2pmem.client);
	if (error)
		return error;

	find_wanted_again(ns);
	link->choice = nvmet_p2pmem_choose(clients.dev, clients.nr,
					   ns->p2pmem.wanted, in_use);

	/* The log tells who does not reach it, where that is one device, once */
	if (link->choice.why == NVMET_P2PMEM_UNREACHABLE && ns->p2pmem.wanted &&
	    (!old || old->choice.why != NVMET_P2PMEM_UNREACHABLE))
		pci_p2pdma_distance_many(ns->p2pmem.wanted, clients.dev,
					 clients.nr, true);
	put_clients(&clients);
	return 0;
}

static void free_link(struct nvmet_p2pmem_link *link)
{
	if (link)
		pci_dev_put(link->choice.provider);
	kfree(link);
}

/* Wait for all who may have read links that cannot be found any more */
static void wait_for_readers(void)
{
	synchronize_srcu_expedited(&nvmet_p2pmem_srcu);
}

/*
 * Make the link of a controller and a namespace, if it is not right as it is.
 * If memory is too short for that it stays: requests cope with a provider that
 * is not there, or does not suit.
 */
static void make_link(struct nvmet_ctrl *ctrl, struct nvmet_ns *ns)
{
	struct nvmet_p2pmem_link *old, *link;
	struct xarray *links = &ctrl->p2pmem.links;

	lockdep_assert_held(&ctrl->subsys->lock);

	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return;

	old = xa_load(links, ns->nsid);
	if (decide(link, ctrl, ns, old))
		goto free_new;

	if (old && old->choice.provider == link->choice.provider &&
	    old->choice.why == link->choice.why && old->access == link->access)
		goto free_new;

	if (xa_err(xa_store(links, ns->nsid, link, GFP_KERNEL)))
		goto free_new;

	say_link(ctrl, ns, link);
	if (old)
		wait_for_readers();
	free_link(old);
	return;

free_new:
	free_link(link);
}

static void make_links(struct nvmet_ctrl *ctrl)
{
	struct nvmet_ns *ns;
	unsigned long nsid;

	lockdep_assert_held(&ctrl->subsys->lock);

	xa_for_each(&ctrl->subsys->namespaces, nsid, ns)
		if (ns->p2pmem.enabled)
			make_link(ctrl, ns);
}

static void make_all_links(struct work_struct *work)
{
	struct nvmet_subsys *subsys = container_of(work, struct nvmet_subsys,
						   p2pmem.work);
	struct nvmet_ctrl *ctrl;

	guard(mutex)(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		make_links(ctrl);
}

static int providers_changed(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct nvmet_p2pmem_subsys *subsys;

	spin_lock(&subsystems_lock);
	list_for_each_entry(subsys, &subsystems, entry)
		queue_work(nvmet_wq, &subsys->work);
	spin_unlock(&subsystems_lock);

	return NOTIFY_DONE;
}

static struct notifier_block providers_nb = {
	.notifier_call = providers_changed,
};

/**
 * nvmet_p2pmem_init - be told when providers or routes change
 *
 * Context: process context, before there is a subsystem.
 */
void nvmet_p2pmem_init(void)
{
	pci_p2pdma_register_notifier(&providers_nb);
}

/**
 * nvmet_p2pmem_exit - be told no longer
 *
 * Context: process context, when there is no subsystem any more.
 */
void nvmet_p2pmem_exit(void)
{
	pci_p2pdma_unregister_notifier(&providers_nb);
}

/**
 * nvmet_p2pmem_subsys_init - choose anew for a subsystem from now on
 * @subsys: the subsystem, whose lock and lists are initialized
 *
 * Controllers that it gets later miss no change.
 */
void nvmet_p2pmem_subsys_init(struct nvmet_subsys *subsys)
{
	INIT_WORK(&subsys->p2pmem.work, make_all_links);

	spin_lock(&subsystems_lock);
	list_add(&subsys->p2pmem.entry, &subsystems);
	spin_unlock(&subsystems_lock);
}

/**
 * nvmet_p2pmem_subsys_exit - choose nothing for a subsystem any more
 * @subsys: the subsystem, which has no controllers any more
 *
 * Context: process context, without the subsystem's lock.
 */
void nvmet_p2pmem_subsys_exit(struct nvmet_subsys *subsys)
{
	spin_lock(&subsystems_lock);
	list_del(&subsys->p2pmem.entry);
	spin_unlock(&subsystems_lock);
	/* Nobody queues it any more */
	cancel_work_sync(&subsys->p2pmem.work);
}

/**
 * nvmet_p2pmem_ns_init - prepare a new namespace
 * @ns: the namespace
 *
 * Return: 0 or -ENOMEM.
 */
int nvmet_p2pmem_ns_init(struct nvmet_ns *ns)
{
	ns->p2pmem.counters = alloc_percpu(struct nvmet_p2pmem_counters);
	return ns->p2pmem.counters ? 0 : -ENOMEM;
}

/**
 * nvmet_p2pmem_ns_exit - give back what a namespace has
 * @ns: the namespace, disabled
 */
void nvmet_p2pmem_ns_exit(struct nvmet_ns *ns)
{
	pci_dev_put(ns->p2pmem.wanted);
	free_percpu(ns->p2pmem.counters);
}

/**
 * nvmet_p2pmem_ns_enable - begin to use peer-to-peer memory for a namespace
 * @ns: the namespace, whose backend is open and which is not in use yet
 *
 * The administrator is told right away if there is no memory that the backend
 * can use.  What the transports can use is found out for each controller.
 *
 * Context: process context, under the subsystem's lock.
 * Return: 0 if it is used or not wanted, -EINVAL after a line in the log, or
 * -ENOMEM.
 */
int nvmet_p2pmem_ns_enable(struct nvmet_ns *ns)
{
	struct nvmet_p2pmem_clients clients;
	struct nvmet_p2pmem_choice choice;
	struct nvmet_ctrl *ctrl;
	int error;

	lockdep_assert_held(&ns->subsys->lock);

	if (!ns->p2pmem.enabled)
		return 0;

	if (!ns->bdev) {
		pr_err("nsid %u: p2pmem needs a block device, and %s is a file or has buffered_io; write 0 to p2pmem to do without\n",
		       ns->nsid, ns->device_path);
		return -EINVAL;
	}

	if (!blk_queue_pci_p2pdma(bdev_get_queue(ns->bdev))) {
		pr_err("nsid %u: the driver of %s, or of a device below it, does not support p2pmem; write 0 to p2pmem to do without\n",
		       ns->nsid, ns->device_path);
		return -EINVAL;
	}

	error = get_clients(&clients, ns, NULL);
	if (error)
		return error;

	find_wanted_again(ns);
	choice = nvmet_p2pmem_choose(clients.dev, clients.nr,
				     ns->p2pmem.wanted, NULL);
	if (!choice.provider) {
		if (choice.why == NVMET_P2PMEM_UNREACHABLE && ns->p2pmem.wanted)
			pci_p2pdma_distance_many(ns->p2pmem.wanted, clients.dev,
						 clients.nr, true);
		pr_err("nsid %u: no p2pmem for %s: %s; write 0 to p2pmem to do without\n",
		       ns->nsid, ns->device_path,
		       why_text(NULL, ns, choice.why));
		error = -EINVAL;
	}
	pci_dev_put(choice.provider);
	put_clients(&clients);
	if (error)
		return error;

	list_for_each_entry(ctrl, &ns->subsys->ctrls, subsys_entry)
		make_link(ctrl, ns);

	return 0;
}

/**
 * nvmet_p2pmem_ns_disable - let no more requests use peer-to-peer memory
 * @ns: the namespace
 *
 * Requests that have such memory keep it.
 *
 * Context: process context, under the subsystem's lock.
 */
void nvmet_p2pmem_ns_disable(struct nvmet_ns *ns)
{
	struct nvmet_p2pmem_link *link;
	struct nvmet_ctrl *ctrl;

	lockdep_assert_held(&ns->subsys->lock);

	list_for_each_entry(ctrl, &ns->subsys->ctrls, subsys_entry) {
		link = xa_erase(&ctrl->p2pmem.links, ns->nsid);
		if (link)
			wait_for_readers();
		free_link(link);
	}
}

/**
 * nvmet_setup_p2p_ns_map - choose providers for a new controller
 * @ctrl: the controller, which its subsystem has just come to know, and which is
 *	looked at whenever providers or routes change from then on
 * @req: the request by which it is being made, of the queue that it will have
 *
 * Context: process context, under the subsystem's lock since before anybody
 * could find the controller.
 */
void nvmet_setup_p2p_ns_map(struct nvmet_ctrl *ctrl, struct nvmet_req *req)
{
	xa_init(&ctrl->p2pmem.links);
	ctrl->p2pmem.access = req->p2pmem.client_access;
	ctrl->p2pmem.client = get_device(function_of(req->p2pmem.client));
	make_links(ctrl);
}

/**
 * nvmet_release_p2p_ns_map - give back what a controller has
 * @ctrl: the controller, which has no queues any more
 *
 * Context: process context, under the subsystem's lock.
 */
void nvmet_release_p2p_ns_map(struct nvmet_ctrl *ctrl)
{
	struct nvmet_p2pmem_link *link;
	unsigned long nsid;

	xa_for_each(&ctrl->p2pmem.links, nsid, link)
		free_link(link);
	xa_destroy(&ctrl->p2pmem.links);
	put_device(ctrl->p2pmem.client);
}

/**
 * nvmet_p2pmem_provider - whose memory a request is to have
 * @req: the request
 *
 * Context: inside the SRCU section nvmet_p2pmem_srcu, for as long as the provider
 * is used.
 * Return: the provider, or NULL; @req knows the reason then.
 */
struct pci_dev *nvmet_p2pmem_provider(struct nvmet_req *req)
{
	const struct nvmet_p2pmem_link *link;

	link = xa_load(&req->sq->ctrl->p2pmem.links, req->ns->nsid);
	if (!link) {
		req->p2pmem.why = NVMET_P2PMEM_NO_PROVIDER;
		return NULL;
	}

	req->p2pmem.why = link->choice.why;
	req->p2pmem.access = link->access;
	return link->choice.provider;
}

/**
 * nvmet_p2pmem_show - show a namespace's setting
 * @ns: the namespace
 * @page: buffer of a page for the text
 *
 * Return: length of the text.
 */
ssize_t nvmet_p2pmem_show(struct nvmet_ns *ns, char *page)
{
	guard(mutex)(&ns->subsys->lock);
	return pci_p2pdma_enable_show(page, ns->p2pmem.wanted,
				      ns->p2pmem.enabled);
}

/**
 * nvmet_p2pmem_store - change a namespace's setting
 * @ns: the namespace, which has to be disabled
 * @page: what user space wrote, see pci_p2pdma_enable_store()
 *
 * Return: 0; -EBUSY or -ENODEV after a line in the log.
 */
int nvmet_p2pmem_store(struct nvmet_ns *ns, const char *page)
{
	struct pci_dev *wanted = NULL;
	bool enabled;
	int error;

	guard(mutex)(&ns->subsys->lock);
	if (ns->enabled) {
		pr_err("nsid %u: p2pmem can be changed only while the namespace is disabled; write 0 to enable first\n",
		       ns->nsid);
		return -EBUSY;
	}

	error = pci_p2pdma_enable_store(page, &wanted, &enabled);
	if (error)
		return error;

	ns->p2pmem.enabled = enabled;
	pci_dev_put(ns->p2pmem.wanted);
	ns->p2pmem.wanted = wanted;
	return 0;
}
