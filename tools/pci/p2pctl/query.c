// SPDX-License-Identifier: GPL-2.0
/*
 * The verdict on a pair.
 *
 * The running kernel is asked, if it is this machine that is looked at and the
 * kernel has /dev/pci-p2pdma: its word is what counts, and everybody may ask.
 * Otherwise the kernel's own code decides here, from the registers that the
 * dump holds.
 *
 * What must never happen: a verdict that was decided here although registers
 * on the path could not be read for want of privilege.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <uapi/linux/pci_p2pdma.h>

#include "../../../drivers/pci/p2pdma.h"
#include "p2pctl.h"

#define DEVICE	"/dev/pci-p2pdma"

static int kernel = -1;
static const char *why_not_kernel;

/**
 * query_init - find out whom to ask
 * @offline: not the kernel
 */
void query_init(bool offline)
{
	if (!machine.live) {
		why_not_kernel = "from the dump";
		return;
	}
	if (offline) {
		why_not_kernel = "from configuration space, as --offline asks";
		return;
	}

	kernel = open(DEVICE, O_RDONLY | O_CLOEXEC);
	if (kernel >= 0)
		return;

	why_not_kernel = errno == EACCES || errno == EPERM ?
		"from configuration space, as " DEVICE " may not be opened" :
		"from configuration space, as this kernel has no " DEVICE;
}

/**
 * query_source - who answers, in one word
 *
 * Return: "kernel", "config" or "dump".
 */
const char *query_source(void)
{
	if (!machine.live)
		return "dump";

	return kernel >= 0 ? "kernel" : "config";
}

/**
 * query_source_text - who answers, in a clause
 *
 * Return: text that follows "decided".
 */
const char *query_source_text(void)
{
	return kernel >= 0 ? "by the running kernel" : why_not_kernel;
}

static struct pci_p2pdma_function to_user(const struct pci_dev *pdev)
{
	struct pci_p2pdma_function f = {
		.domain = pdev->domain,
		.bus = pdev->bus_nr,
		.devfn = pdev->devfn,
	};

	return f;
}

static struct pci_dev *from_user(const struct pci_p2pdma_function *f)
{
	return f->present ? find_function(f->domain, f->bus, f->devfn) : NULL;
}

static bool ask_kernel(const struct pci_dev *provider,
		       const struct pci_dev *client, struct verdict *v)
{
	struct pci_p2pdma_query q = {
		.size = sizeof(q),
		.provider = to_user(provider),
		.client = to_user(client),
	};

	if (ioctl(kernel, PCI_P2PDMA_IOC_QUERY, &q))
		return false;

	switch (q.type) {
	case PCI_P2PDMA_ROUTE_DIRECT:
		v->route.type = PCI_P2PDMA_MAP_BUS_ADDR;
		break;
	case PCI_P2PDMA_ROUTE_HOST:
		v->route.type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE;
		break;
	default:
		v->route.type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
		break;
	}
	v->route.reason = q.reason;
	v->route.distance = q.distance;
	v->route.override = q.verdict & PCI_P2PDMA_VERDICT_OVERRIDE;
	v->route.request_port = from_user(&q.request_port);
	v->route.completion_port = from_user(&q.completion_port);
	v->route.up_port = from_user(&q.up_port);

	return true;
}

/* The first function from this one upwards that was not read in full */
static const struct pci_dev *unread_above(struct pci_dev *pdev)
{
	for (; pdev; pdev = pci_upstream_bridge(pdev))
		if (!pdev->gone && pdev->config_read < pdev->config_size)
			return pdev;

	return NULL;
}

/**
 * query - can a client reach a provider?
 * @provider: device whose memory is to be reached
 * @client: device that is to reach it
 * @v: returns the verdict
 */
void query(struct pci_dev *provider, struct pci_dev *client, struct verdict *v)
{
	*v = (struct verdict){ 0 };

	if (kernel >= 0) {
		v->known = ask_kernel(provider, client, v);
		v->from_kernel = v->known;
		if (v->known)
			return;
		if (errno == ENODEV)
			return;
		why_not_kernel = "from configuration space, as " DEVICE
				 " of this kernel speaks another language";
		kernel = -1;
	}

	v->unread = unread_above(client);
	if (!v->unread)
		v->unread = unread_above(provider);
	if (v->unread)
		return;

	pci_p2pdma_route_decide(provider, client, &v->route);
	v->known = true;
}

/**
 * type_name - the type of a verdict as the kernel's tracepoint calls it
 * @v: verdict
 *
 * Return: the name, or "unknown".
 */
const char *type_name(const struct verdict *v)
{
	if (!v->known)
		return "unknown";

	switch (v->route.type) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		return "bus-address";
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		return "host-bridge";
	default:
		return "unsupported";
	}
}

/**
 * type_word - the type of a verdict, in a word that fits into a table
 * @v: verdict
 *
 * Return: the word.
 */
const char *type_word(const struct verdict *v)
{
	if (!v->known)
		return "?";

	switch (v->route.type) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		return v->route.reason == PCI_P2PDMA_SAME_FUNCTION ? "self" :
								     "direct";
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		return "host";
	default:
		return "no";
	}
}

/* A newer kernel may have reasons that we have not heard of */
static bool reason_known(const struct verdict *v)
{
	return v->route.reason <= PCI_P2PDMA_HOST_BRIDGES_APART;
}

/**
 * reason_name - the reason of a verdict in one word
 * @v: verdict
 *
 * Return: the word.
 */
const char *reason_name(const struct verdict *v)
{
	if (!v->known)
		return v->unread ? "config-unread" : "device-removed";

	return reason_known(v) ? pci_p2pdma_reason_name(v->route.reason) :
				 "other";
}

/**
 * reason_text - the reason of a verdict in plain words
 * @v: verdict
 *
 * Return: a sentence without capital letter and full stop.
 */
const char *reason_text(const struct verdict *v)
{
	if (!v->known)
		return v->unread ? "its configuration space cannot be read in full" :
				   "one of the two has been removed";

	return reason_known(v) ? pci_p2pdma_reason_text(v->route.reason) :
				 "for a reason that is newer than this p2pctl";
}
