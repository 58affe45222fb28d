// SPDX-License-Identifier: GPL-2.0
/*
 * Routes: how TLPs get from a client to a provider, and back.
 *
 * A client reads and writes a provider's memory by memory requests; the
 * provider answers reads with completions.  Both travel up from where they
 * start to the point where the two paths meet, and down again:
 *
 *                        Root Complex
 *                             |
 *                         Root Port
 *                             |
 *                      Upstream Port            <- here they meet
 *                      /           \
 *        Downstream Port           Downstream Port     <- here they part
 *               |                         |
 *            client                   provider
 *
 * Access Control Services are judged at the two ports below the meeting point
 * (PCIe r6.x sec 6.12.3): requests at the one on the client's side,
 * completions at the one on the provider's side.  Ports further down have no
 * choice but to forward.  If both kinds of TLP pass, the client is given bus
 * addresses.  If one of them is redirected, or the paths meet in the root
 * complex only and the root port on the client's side does not forbid it, the
 * traffic crosses the host, which has to be known to forward it
 * (drivers/pci/p2pdma_host.c) and wants addresses mapped as for ordinary memory.
 *
 * The distance is the number of links from both devices up to the meeting
 * point: 0 for a function and itself, 2 for two functions of one device, 4
 * below one switch.  Without a meeting point it counts to beyond the root bus.
 *
 * Nothing is remembered here; see drivers/pci/p2pdma_verdict.c.  This file also
 * compiles in user space (tools/pci/p2pctl), where the devices come from a dump
 * of another machine.
 *
 * Locking: none.  The caller holds both devices, which hold the bridges above
 * them.  Decisions are made from whatever context asks, the DMA mapping path
 * included: nothing here sleeps.
 *
 * What must never happen: a verdict of "usable" that rests on a register that
 * could not be read.
 */
#include <linux/bitfield.h>
#include <linux/pci.h>
#include <linux/seq_buf.h>

#include "p2pdma.h"
#include "p2pdma_acs.h"

static const char * const type_names[] = {
	[PCI_P2PDMA_MAP_NOT_SUPPORTED]		= "unsupported",
	[PCI_P2PDMA_MAP_BUS_ADDR]		= "bus-address",
	[PCI_P2PDMA_MAP_THRU_HOST_BRIDGE]	= "host-bridge",
};

static const struct {
	const char *name;
	const char *sentence;
} reasons[] = {
	[PCI_P2PDMA_SAME_FUNCTION] = {
		"same-function",
		"client and provider are one function" },
	[PCI_P2PDMA_SAME_DEVICE] = {
		"same-device",
		"both are functions of one device" },
	[PCI_P2PDMA_COMMON_SEGMENT] = {
		"common-segment",
		"both share a conventional PCI segment" },
	[PCI_P2PDMA_COMMON_SWITCH] = {
		"common-switch",
		"a switch above both connects them" },
	[PCI_P2PDMA_DIRECT_TRANSLATED] = {
		"direct-translated",
		"requests that the client has translated are routed directly" },
	[PCI_P2PDMA_CPU_FORWARDS] = {
		"cpu-forwards",
		"root complexes of this CPU family forward peer-to-peer traffic" },
	[PCI_P2PDMA_HOST_FORWARDS] = {
		"host-forwards",
		"the root complex is known to forward peer-to-peer traffic" },
	[PCI_P2PDMA_HYPERVISOR_SAYS] = {
		"hypervisor-says",
		"the hypervisor vouches for this pair" },
	[PCI_P2PDMA_ADMIN_SAYS] = {
		"admin-says",
		"the administrator overrides what the kernel knows of the root complex" },
	[PCI_P2PDMA_NO_PCI_CLIENT] = {
		"no-pci-client",
		"the client is not connected through PCI" },
	[PCI_P2PDMA_PORT_UNREADABLE] = {
		"port-unreadable",
		"a device or port that decides does not answer" },
	[PCI_P2PDMA_ACS_VIOLATION] = {
		"acs-violation",
		"access control of a port forbids it" },
	[PCI_P2PDMA_NOT_SENT_UP] = {
		"not-sent-up",
		"redirected traffic is not passed on towards the root complex" },
	[PCI_P2PDMA_HOST_NOT_LISTED] = {
		"host-not-listed",
		"the root complex is not known to forward peer-to-peer traffic" },
	[PCI_P2PDMA_HOST_BRIDGES_APART] = {
		"host-bridges-apart",
		"the root complex forwards only below one host bridge" },
};

/**
 * pci_p2pdma_type_name - a mapping type in one word
 * @type: any type but unknown
 *
 * Return: its name, as tracepoints show it.
 */
const char *pci_p2pdma_type_name(enum pci_p2pdma_map_type type)
{
	return type_names[type];
}

/**
 * pci_p2pdma_reason_name - a reason in one word
 * @reason: the reason
 *
 * Return: its name, as tracepoints show it.
 */
const char *pci_p2pdma_reason_name(enum pci_p2pdma_reason reason)
{
	return reasons[reason].name;
}

/**
 * pci_p2pdma_reason_text - a reason in plain words
 * @reason: the reason
 *
 * Return: a sentence without capital letter and full stop.
 */
const char *pci_p2pdma_reason_text(enum pci_p2pdma_reason reason)
{
	return reasons[reason].sentence;
}

/**
 * pci_p2pdma_port_name - the port whose access control decided
 * @route: the verdict
 *
 * Return: its name, or "none" if no port had a say.
 */
const char *pci_p2pdma_port_name(const struct pci_p2pdma_route *route)
{
	if (route->request_port)
		return pci_name(route->request_port);
	if (route->completion_port)
		return pci_name(route->completion_port);
	if (route->up_port)
		return pci_name(route->up_port);

	return "none";
}

/*
 * Where two paths part: the last device of each path below the bridge at which
 * they meet.  A side is NULL if its device is that bridge itself.  The bridge
 * is NULL if the paths meet in the root complex at best.
 */
struct junction {
	struct pci_dev	*bridge;
	struct pci_dev	*client_side;
	struct pci_dev	*provider_side;
	unsigned int	distance;
};

static unsigned int links_to_root(struct pci_dev *pdev)
{
	struct pci_bus *bus = pci_physfn(pdev)->bus;
	unsigned int links = 1;

	for (; !pci_is_root_bus(bus); bus = bus->parent)
		links++;

	return links;
}

static void find_junction(struct pci_dev *provider, struct pci_dev *client,
			  struct junction *j)
{
	unsigned int up_p = links_to_root(provider);
	unsigned int up_c = links_to_root(client);
	struct pci_dev *p = provider, *c = client;
	unsigned int total = up_p + up_c;

	j->provider_side = NULL;
	j->client_side = NULL;

	for (; up_p > up_c; up_p--) {
		j->provider_side = p;
		p = pci_upstream_bridge(p);
	}
	for (; up_c > up_p; up_c--) {
		j->client_side = c;
		c = pci_upstream_bridge(c);
	}
	for (; p != c; up_p--) {
		j->provider_side = p;
		j->client_side = c;
		p = pci_upstream_bridge(p);
		c = pci_upstream_bridge(c);
	}

	j->bridge = p;
	j->distance = total - 2 * up_p;
}

/*
 * Functions with one device number, or behind one link: at its end is a single
 * device, whose functions may have any number (ARI).
 */
static bool same_device(struct pci_dev *a, struct pci_dev *b)
{
	struct pci_dev *up = pci_upstream_bridge(a);

	a = pci_physfn(a);
	b = pci_physfn(b);
	if (a->bus != b->bus)
		return false;
	if (PCI_SLOT(a->devfn) == PCI_SLOT(b->devfn))
		return true;

	return up && pci_is_pcie(up) &&
	       (pci_pcie_type(up) == PCI_EXP_TYPE_ROOT_PORT ||
		pci_pcie_type(up) == PCI_EXP_TYPE_DOWNSTREAM);
}

static bool is_port(struct pci_dev *pdev)
{
	return pci_is_pcie(pdev) && pci_pcie_type(pdev) == PCI_EXP_TYPE_DOWNSTREAM;
}

static bool is_root_port(struct pci_dev *pdev)
{
	return pci_is_pcie(pdev) && pci_pcie_type(pdev) == PCI_EXP_TYPE_ROOT_PORT;
}

/* What connects the two sides of a junction that has a bridge */
static enum pci_p2pdma_reason junction_kind(const struct junction *j)
{
	if (!j->client_side && !j->provider_side)
		return PCI_P2PDMA_SAME_FUNCTION;
	if (!j->client_side || !j->provider_side)
		return PCI_P2PDMA_COMMON_SWITCH;
	if (!pci_is_pcie(j->bridge))
		return PCI_P2PDMA_COMMON_SEGMENT;

	switch (pci_pcie_type(j->bridge)) {
	case PCI_EXP_TYPE_UPSTREAM:
		return PCI_P2PDMA_COMMON_SWITCH;
	case PCI_EXP_TYPE_PCI_BRIDGE:
		return PCI_P2PDMA_COMMON_SEGMENT;
	default:
		/* A link has one device at its end, whatever its numbers */
		return PCI_P2PDMA_SAME_DEVICE;
	}
}

/* False if the access fails or the function does not answer */
static bool read_dword(struct pci_dev *pdev, int where, u32 *val)
{
	return !pci_read_config_dword(pdev, where, val) &&
	       !PCI_POSSIBLE_ERROR(*val);
}

/*
 * The number by which the Egress Control Vector of a function knows another
 * function of the device: its function number, or its group if the functions
 * are grouped (PCIe r6.x sec 6.13, ARI).
 */
static int egress_function(struct pci_dev *from, struct pci_dev *to, bool *gone)
{
	int from_ari = pci_find_ext_capability(from, PCI_EXT_CAP_ID_ARI);
	int to_ari = pci_find_ext_capability(to, PCI_EXT_CAP_ID_ARI);
	u32 from_dword, to_dword;

	if (!from_ari || !to_ari)
		return PCI_FUNC(to->devfn);

	if (!read_dword(from, from_ari + PCI_ARI_CAP, &from_dword) ||
	    !read_dword(to, to_ari + PCI_ARI_CAP, &to_dword)) {
		*gone = true;
		return 0;
	}

	if ((from_dword >> 16) & PCI_ARI_CTRL_ACS)
		return PCI_ARI_CTRL_FG(to_dword >> 16);

	/* With ARI, device and function number are one */
	return to->devfn;
}

/*
 * The number by which the Egress Control Vector of a port or function knows
 * the other side (PCIe r6.x sec 7.7.11.4), or P2PDMA_NO_TARGET.
 */
static int egress_target(struct pci_dev *from, struct pci_dev *to, bool *gone)
{
	u32 lnkcap;

	*gone = false;
	if (!is_port(from) && !is_root_port(from))
		return same_device(from, to) ? egress_function(from, to, gone) :
					       P2PDMA_NO_TARGET;
	/* Numbers are those of one switch, or of the ports of one root bus */
	if (from->bus != to->bus || (!is_port(to) && !is_root_port(to)))
		return P2PDMA_NO_TARGET;

	if (pcie_capability_read_dword(to, PCI_EXP_LNKCAP, &lnkcap) ||
	    PCI_POSSIBLE_ERROR(lnkcap)) {
		*gone = true;
		return 0;
	}

	return FIELD_GET(PCI_EXP_LNKCAP_PN, lnkcap);
}

/*
 * Read what decides at @pdev about TLPs for @peer, which is NULL if egress
 * control does not matter.
 */
static void read_port(struct pci_dev *pdev, struct pci_dev *peer,
		      struct p2pdma_acs_port *port)
{
	int pos = pdev->acs_cap;
	u32 dword;
	int where;

	*port = (struct p2pdma_acs_port){ .target = P2PDMA_NO_TARGET };

	if (pci_dev_is_disconnected(pdev)) {
		port->gone = true;
		return;
	}
	if (!pos)
		return;

	/* Capability and control register share a DWORD */
	if (!read_dword(pdev, pos + PCI_ACS_CAP, &dword)) {
		port->gone = true;
		return;
	}

	port->present = true;
	port->cap = dword & 0xffff;
	port->ctrl = dword >> 16;
	if (!peer || !(port->ctrl & PCI_ACS_EC))
		return;

	port->target = egress_target(pdev, peer, &port->vector_gone);
	if (port->vector_gone || port->target == P2PDMA_NO_TARGET ||
	    port->target >= p2pdma_acs_vector_bits(port->cap))
		return;

	/* All ones are a proper vector, if the port still answers afterwards */
	where = pos + PCI_ACS_EGRESS_CTL_V + port->target / 32 * 4;
	if (!read_dword(pdev, where, &port->vector))
		port->vector_gone = !PCI_POSSIBLE_ERROR(port->vector) ||
				    !read_dword(pdev, pos + PCI_ACS_CAP, &dword);
}

static void refuse(struct pci_p2pdma_route *route,
		   enum pci_p2pdma_reason reason)
{
	route->type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
	route->reason = reason;
}

/*
 * An ATS client puts the address on the link that the IOMMU told it: the
 * memory's address as the CPU knows it.  The fabric routes that correctly only
 * where it is the bus address as well.
 */
static bool bus_offset_is_zero(struct pci_dev *pdev)
{
	struct pci_host_bridge *host = pci_find_host_bridge(pdev->bus);
	struct resource_entry *window;

	resource_list_for_each_entry(window, &host->windows)
		if (window->offset && resource_type(window->res) == IORESOURCE_MEM)
			return false;

	return true;
}

/*
 * Judge both directions at the junction.  The type stays unknown if TLPs are
 * redirected; the ports that do so, or forbid it, are in the route.
 */
static void judge_ports(const struct junction *j, struct pci_dev *client,
			struct pci_p2pdma_route *route)
{
	enum p2pdma_acs_fate request, completion, translated = P2PDMA_ACS_UNKNOWN;
	struct p2pdma_acs_port port;

	read_port(j->client_side, j->provider_side, &port);
	request = p2pdma_acs_request(&port);
	if (client->ats_enabled)
		translated = p2pdma_acs_translated(&port);
	read_port(j->provider_side, NULL, &port);
	completion = p2pdma_acs_completion(&port);

	if (request != P2PDMA_ACS_DIRECT)
		route->request_port = j->client_side;
	if (completion != P2PDMA_ACS_DIRECT)
		route->completion_port = j->provider_side;

	if (request == P2PDMA_ACS_UNKNOWN || completion == P2PDMA_ACS_UNKNOWN) {
		refuse(route, PCI_P2PDMA_PORT_UNREADABLE);
	} else if (request == P2PDMA_ACS_BLOCK) {
		refuse(route, PCI_P2PDMA_ACS_VIOLATION);
	} else if (translated == P2PDMA_ACS_BLOCK) {
		route->request_port = j->client_side;
		refuse(route, PCI_P2PDMA_ACS_VIOLATION);
	} else if (completion == P2PDMA_ACS_DIRECT &&
		   request == P2PDMA_ACS_DIRECT) {
		route->type = PCI_P2PDMA_MAP_BUS_ADDR;
	} else if (completion == P2PDMA_ACS_DIRECT &&
		   translated == P2PDMA_ACS_DIRECT &&
		   bus_offset_is_zero(j->provider_side)) {
		route->type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE;
		route->reason = PCI_P2PDMA_DIRECT_TRANSLATED;
	}
}

/* Functions of an integrated device that say by ACS what they do for peers */
static bool functions_route_inside(const struct junction *j)
{
	return same_device(j->client_side, j->provider_side) &&
	       j->client_side->acs_cap && j->provider_side->acs_cap &&
	       pci_pcie_type(j->client_side) == PCI_EXP_TYPE_RC_END &&
	       pci_pcie_type(j->provider_side) == PCI_EXP_TYPE_RC_END;
}

/*
 * Redirected traffic that arrives at a downstream port of another switch is
 * meant for something below that very port.  Only with Upstream Forwarding
 * does the switch send it up nevertheless (PCIe r6.x sec 6.12.1.1).  What the
 * root port at the top does with it is a matter of the root complex.
 */
static void judge_way_up(const struct junction *j,
			 struct pci_p2pdma_route *route)
{
	struct p2pdma_acs_port port;
	struct pci_dev *up;

	for (up = j->bridge; up; up = pci_upstream_bridge(up)) {
		if (!is_port(up))
			continue;

		read_port(up, NULL, &port);
		if (!port.gone && port.ctrl & PCI_ACS_UF)
			continue;

		route->up_port = up;
		refuse(route, port.gone ? PCI_P2PDMA_PORT_UNREADABLE :
					  PCI_P2PDMA_NOT_SENT_UP);
		return;
	}
}

/*
 * Where paths meet in the root complex, the root port on the client's side may
 * forbid what the root complex would forward.  Redirected or not, requests that it
 * lets pass are a matter of the root complex, and so are completions.
 */
static void judge_root_port(const struct junction *j, struct pci_dev *client,
			    struct pci_p2pdma_route *route)
{
	enum p2pdma_acs_fate request, translated = P2PDMA_ACS_DIRECT;
	struct p2pdma_acs_port port;

	if (j->bridge || !is_root_port(j->client_side))
		return;

	read_port(j->client_side, j->provider_side, &port);
	request = p2pdma_acs_request(&port);
	if (client->ats_enabled)
		translated = p2pdma_acs_translated(&port);

	if (request == P2PDMA_ACS_UNKNOWN)
		refuse(route, PCI_P2PDMA_PORT_UNREADABLE);
	else if (request == P2PDMA_ACS_BLOCK || translated == P2PDMA_ACS_BLOCK)
		refuse(route, PCI_P2PDMA_ACS_VIOLATION);
	else
		return;

	route->request_port = j->client_side;
}

static void judge_host(struct pci_dev *provider, struct pci_dev *client,
		       struct pci_p2pdma_route *route)
{
	route->type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE;

	switch (pci_p2pdma_host_forwards(provider, client)) {
	case P2PDMA_HOST_CPU:
		route->reason = PCI_P2PDMA_CPU_FORWARDS;
		break;
	case P2PDMA_HOST_LISTED:
		route->reason = PCI_P2PDMA_HOST_FORWARDS;
		break;
	case P2PDMA_HOST_CLIQUE:
		route->reason = PCI_P2PDMA_HYPERVISOR_SAYS;
		break;
	case P2PDMA_HOST_OVERRIDE:
		route->reason = PCI_P2PDMA_ADMIN_SAYS;
		route->override = true;
		break;
	case P2PDMA_HOST_APART:
		refuse(route, PCI_P2PDMA_HOST_BRIDGES_APART);
		break;
	case P2PDMA_HOST_UNKNOWN:
		refuse(route, PCI_P2PDMA_HOST_NOT_LISTED);
		break;
	}
}

/**
 * pci_p2pdma_route_decide - decide the route from a client to a provider
 * @provider: device whose memory is to be reached
 * @client: device that is to reach it
 * @route: returns the verdict
 *
 * Reads the deciding registers; nothing comes from the cache.
 *
 * Context: any context in which configuration space may be read.  The caller
 * holds both devices.
 */
void pci_p2pdma_route_decide(struct pci_dev *provider, struct pci_dev *client,
			     struct pci_p2pdma_route *route)
{
	struct junction j;

	find_junction(provider, client, &j);
	*route = (struct pci_p2pdma_route){
		.type = PCI_P2PDMA_MAP_UNKNOWN,
		.distance = j.distance,
	};

	if (pci_dev_is_disconnected(provider) ||
	    pci_dev_is_disconnected(client)) {
		refuse(route, PCI_P2PDMA_PORT_UNREADABLE);
	} else if (j.bridge) {
		route->reason = junction_kind(&j);
		if (j.client_side && j.provider_side)
			judge_ports(&j, client, route);
		else
			route->type = PCI_P2PDMA_MAP_BUS_ADDR;
	} else if (functions_route_inside(&j)) {
		route->reason = PCI_P2PDMA_SAME_DEVICE;
		judge_ports(&j, client, route);
	}

	if (route->type == PCI_P2PDMA_MAP_UNKNOWN)
		judge_way_up(&j, route);
	if (route->type == PCI_P2PDMA_MAP_UNKNOWN)
		judge_root_port(&j, client, route);
	if (route->type == PCI_P2PDMA_MAP_UNKNOWN)
		judge_host(provider, client, route);
}

/**
 * pci_p2pdma_route_describe - put a verdict into words
 * @s: buffer for the text, which has no line end
 * @provider: the provider
 * @client: the client
 * @route: the verdict on them
 *
 * Where access control stands in the way, the text ends with the kernel
 * parameter that removes it, quoted so that a shell and GRUB take it unharmed.
 */
void pci_p2pdma_route_describe(struct seq_buf *s, struct pci_dev *provider,
			       struct pci_dev *client,
			       const struct pci_p2pdma_route *route)
{
	const struct pci_dev *request = route->request_port;
	const struct pci_dev *completion = route->completion_port;
	u32 id, client_id;

	switch (route->type) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		seq_buf_printf(s, "reaches %s directly", pci_name(provider));
		break;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		seq_buf_printf(s, "reaches %s through the host bridge",
			       pci_name(provider));
		break;
	default:
		seq_buf_printf(s, "cannot reach %s", pci_name(provider));
		break;
	}
	seq_buf_printf(s, " (distance %u): %s", route->distance,
		       reasons[route->reason].sentence);

	switch (route->reason) {
	case PCI_P2PDMA_HOST_NOT_LISTED:
	case PCI_P2PDMA_HOST_BRIDGES_APART:
		id = pci_p2pdma_host_id(provider);
		client_id = pci_p2pdma_host_id(client);
		if (PCI_POSSIBLE_ERROR(id) || PCI_POSSIBLE_ERROR(client_id)) {
			seq_buf_puts(s, "; the bridge has no ID to allow it by");
			break;
		}
		seq_buf_printf(s, "; if it does%s, allow it by pci_p2pdma.host_bridges=%04x:%04x",
			       route->reason == PCI_P2PDMA_HOST_BRIDGES_APART ?
			       " so between two as well" : "",
			       id & 0xffff, id >> 16);
		if (client_id != id)
			seq_buf_printf(s, ",%04x:%04x", client_id & 0xffff,
				       client_id >> 16);
		break;
	case PCI_P2PDMA_ACS_VIOLATION:
		seq_buf_printf(s, "; to permit it, boot with \"pci=config_acs=x0x000x@%s\"",
			       pci_name(request));
		return;
	case PCI_P2PDMA_NOT_SENT_UP:
		seq_buf_printf(s, " by %s", pci_name(route->up_port));
		break;
	case PCI_P2PDMA_PORT_UNREADABLE:
		return;
	default:
		break;
	}

	if (!request && !completion)
		return;

	seq_buf_puts(s, "; to let the fabric route directly, boot with \"pci=disable_acs_redir=");
	if (request)
		seq_buf_puts(s, pci_name(request));
	if (request && completion)
		seq_buf_puts(s, ";");
	if (completion)
		seq_buf_puts(s, pci_name(completion));
	seq_buf_puts(s, "\"");
}
