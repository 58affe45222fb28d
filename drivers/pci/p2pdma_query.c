// SPDX-License-Identifier: GPL-2.0
/*
 * Asking about routes from user space: /dev/pci-p2pdma.
 *
 * A misc device that anybody may open and that answers one ioctl: can this
 * function reach that one, how, and if not, why not.  See
 * include/uapi/linux/pci_p2pdma.h.
 *
 * Why a device with an ioctl: the answer belongs to a pair of functions, of
 * which there are too many to give each a file in sysfs; it has several parts
 * that must be consistent with each other; and a device node can be left out
 * of a container.  Why no privilege: the answer tells nothing that the
 * topology in sysfs does not, and asking changes nothing.  It neither fills
 * nor reads the cache of verdicts, shows in no trace, and does not count as use
 * of an override.
 *
 * Locking: pci_bus_sem, held for reading while a route is decided, keeps the
 * bridges above a function that is still on its bus.  A removal that waits for
 * peer-to-peer memory does not hold it, so that the question can be asked in
 * just that situation.
 *
 * What must never happen: an answer about a function that has been removed.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "pci.h"
#include "p2pdma.h"

static struct pci_dev *get_function(const struct pci_p2pdma_function *f)
{
	return pci_get_domain_bus_and_slot(f->domain, f->bus, f->devfn);
}

static struct pci_p2pdma_function put_function(struct pci_dev *pdev)
{
	struct pci_p2pdma_function f = {};

	if (pdev) {
		f.domain = pci_domain_nr(pdev->bus);
		f.bus = pdev->bus->number;
		f.devfn = pdev->devfn;
		f.present = 1;
	}

	return f;
}

static u32 route_type_to_user(enum pci_p2pdma_map_type type)
{
	switch (type) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		return PCI_P2PDMA_ROUTE_DIRECT;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		return PCI_P2PDMA_ROUTE_HOST;
	default:
		return PCI_P2PDMA_ROUTE_NONE;
	}
}

static void answer(struct pci_dev *provider,
		   const struct pci_p2pdma_route *route,
		   struct pci_p2pdma_query *q)
{
	q->type = route_type_to_user(route->type);
	q->reason = route->reason;
	q->distance = route->distance;
	q->verdict = route->override ? PCI_P2PDMA_VERDICT_OVERRIDE : 0;
	if (rcu_access_pointer(provider->p2pdma))
		q->verdict |= PCI_P2PDMA_VERDICT_PROVIDES;
	if (pci_has_p2pmem(provider))
		q->verdict |= PCI_P2PDMA_VERDICT_PUBLISHED;
	q->request_port = put_function(route->request_port);
	q->completion_port = put_function(route->completion_port);
	q->up_port = put_function(route->up_port);
}

static int query(struct pci_p2pdma_query *q)
{
	struct pci_dev *provider = get_function(&q->provider);
	struct pci_dev *client = get_function(&q->client);
	struct pci_p2pdma_route route;
	int error = -ENODEV;

	if (!provider || !client)
		goto put_devices;

	down_read(&pci_bus_sem);
	if (device_is_registered(&provider->dev) &&
	    device_is_registered(&client->dev)) {
		pci_p2pdma_route_decide(provider, client, &route);
		answer(provider, &route, q);
		error = 0;
	}
	up_read(&pci_bus_sem);

put_devices:
	pci_dev_put(client);
	pci_dev_put(provider);
	return error;
}

static long query_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pci_p2pdma_query __user *user = (void __user *)arg;
	struct pci_p2pdma_query q = {};
	u32 size;
	int error;

	if (cmd != PCI_P2PDMA_IOC_QUERY)
		return -ENOTTY;

	if (get_user(size, &user->size))
		return -EFAULT;
	if (size < PCI_P2PDMA_QUERY_SIZE_VER0)
		return -EINVAL;
	/* No version will be that long, and nobody is to read through zeros */
	if (size > PAGE_SIZE)
		return -E2BIG;

	error = copy_struct_from_user(&q, sizeof(q), user, size);
	if (error)
		return error;
	if (q.flags || q.provider.present || q.provider.reserved ||
	    q.client.present || q.client.reserved)
		return -EINVAL;

	error = query(&q);
	if (error)
		return error;

	if (copy_to_user(user, &q, min_t(size_t, size, sizeof(q))))
		return -EFAULT;

	return 0;
}

static const struct file_operations query_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= query_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice query_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pci-p2pdma",
	.mode	= 0444,
	.fops	= &query_fops,
};

builtin_misc_device(query_dev);
