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
 * complex only, the traffic crosses the host, which has to be known to forward
 * it (drivers/pci/p2pdma_host.c) and wants addresses mapped as for ordinary
 * memory.
 *
 * The distance is the number of links from both devices up to the meeting
 * point: 0 for a function and itself, 2 for two functions of one device, 4
 * below one switch.  Without a meeting point it counts to beyond the root bus.
 *
 * Verdicts are kept for each provider, by domain and routing ID of the client.
 * Every one carries the generation in which it was made.  Whatever may change
 * a route (a device that comes or goes, access control, policy) advances the
 * generation, upon which old verdicts count no longer.  The generation is
 * sampled before any register is read, so that a change in the meantime makes
 * the new verdict stale as well.
 *
 * Locking: none for readers.  Decisions are made from whatever context asks,
 * the DMA mapping path included: nothing here sleeps.  The caller holds both
 * devices, which hold the bridges above them.
 *
 * What must never happen: a verdict of "usable" that rests on a register that
 * could not be read, or that belongs to another device.
 */
#define pr_fmt(fmt) "pci-p2pdma: " fmt

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/init.h>
#include <linux/notifier.h>
#include <linux/seq_buf.h>

#include "p2pdma.h"
#include "p2pdma_acs.h"

#define CREATE_TRACE_POINTS
#include <trace/events/p2pdma.h>

/* Starts at one, so that a verdict that was never made is never current */
static atomic64_t p2pdma_generation = ATOMIC64_INIT(1);

/* A verdict as the cache holds it, packed into an XArray value */
#define ROUTE_TYPE		GENMASK_ULL(2, 0)
#define ROUTE_DISTANCE		GENMASK_ULL(13, 3)
#define ROUTE_GENERATION	GENMASK_ULL(62, 14)

static const char * const type_names[] = {
	[PCI_P2PDMA_MAP_NOT_SUPPORTED]		= "unsupported",
	[PCI_P2PDMA_MAP_BUS_ADDR]		= "bus-address",
	[PCI_P2PDMA_MAP_THRU_HOST_BRIDGE]	= "host-bridge",
};

static const struct {
	const char *name;
	const char *sentence;
} reasons[] = {
	[P2PDMA_SAME_FUNCTION] = {
		"same-function",
		"client and provider are one function" },
	[P2PDMA_SAME_DEVICE] = {
		"same-device",
		"both are functions of one device" },
	[P2PDMA_COMMON_SEGMENT] = {
		"common-segment",
		"both share a conventional PCI segment" },
	[P2PDMA_COMMON_PORT] = {
		"common-switch",
		"a switch above both connects them" },
	[P2PDMA_CPU_FORWARDS] = {
		"cpu-forwards",
		"root complexes of this CPU family forward peer-to-peer traffic" },
	[P2PDMA_HOST_FORWARDS] = {
		"host-forwards",
		"the root complex is known to forward peer-to-peer traffic" },
	[P2PDMA_NO_PCI_CLIENT] = {
		"no-pci-client",
		"the client is not connected through PCI" },
	[P2PDMA_PORT_UNREADABLE] = {
		"port-unreadable",
		"a port that decides cannot be read" },
	[P2PDMA_ACS_VIOLATION] = {
		"acs-violation",
		"egress control of a port forbids it" },
	[P2PDMA_HOST_NOT_LISTED] = {
		"host-not-listed",
		"the root complex is not known to forward peer-to-peer traffic" },
	[P2PDMA_HOST_BRIDGES_APART] = {
		"host-bridges-apart",
		"the root complex forwards only below one host bridge" },
};

/**
 * pci_p2pdma_type_name - a mapping type in words
 * @type: any type but unknown
 *
 * Return: the name that tracepoints and messages use.
 */
const char *pci_p2pdma_type_name(enum pci_p2pdma_map_type type)
{
	return type_names[type];
}

/**
 * pci_p2pdma_reason_name - a reason in one word
 * @reason: the reason
 *
 * Return: the name that tracepoints use.
 */
const char *pci_p2pdma_reason_name(enum p2pdma_reason reason)
{
	return reasons[reason].name;
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
	unsigned int links = 0;

	for (; pdev; pdev = pci_upstream_bridge(pdev))
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

	while (p != c) {
		unsigned int level = max(up_p, up_c);

		if (up_p == level) {
			j->provider_side = p;
			p = pci_upstream_bridge(p);
			up_p--;
		}
		if (up_c == level) {
			j->client_side = c;
			c = pci_upstream_bridge(c);
			up_c--;
		}
	}

	j->bridge = p;
	j->distance = total - up_p - up_c;
}

static bool same_device(struct pci_dev *a, struct pci_dev *b)
{
	a = pci_physfn(a);
	b = pci_physfn(b);

	return a->bus == b->bus && PCI_SLOT(a->devfn) == PCI_SLOT(b->devfn);
}

static bool is_port(struct pci_dev *pdev)
{
	return pci_is_pcie(pdev) && pci_pcie_type(pdev) == PCI_EXP_TYPE_DOWNSTREAM;
}

/* What connects the two sides of a junction that has a bridge */
static enum p2pdma_reason junction_kind(const struct junction *j)
{
	if (!j->client_side && !j->provider_side)
		return P2PDMA_SAME_FUNCTION;
	if (!j->client_side || !j->provider_side)
		return P2PDMA_COMMON_PORT;
	if (!pci_is_pcie(j->bridge))
		return P2PDMA_COMMON_SEGMENT;

	switch (pci_pcie_type(j->bridge)) {
	case PCI_EXP_TYPE_UPSTREAM:
		return P2PDMA_COMMON_PORT;
	case PCI_EXP_TYPE_PCI_BRIDGE:
		return P2PDMA_COMMON_SEGMENT;
	default:
		/* A link has one device at its end, whatever its numbers */
		return P2PDMA_SAME_DEVICE;
	}
}

/* False if the access fails or the function does not answer */
static bool read_dword(struct pci_dev *pdev, int where, u32 *val)
{
	return !pci_read_config_dword(pdev, where, val) &&
	       !PCI_POSSIBLE_ERROR(*val);
}

/*
 * The number by which the Egress Control Vector of a port or function knows
 * the other side (PCIe r6.x sec 7.7.11.4), or P2PDMA_NO_TARGET.
 */
static int egress_target(struct pci_dev *from, struct pci_dev *to, bool *gone)
{
	u32 lnkcap;

	*gone = false;
	if (!to)
		return P2PDMA_NO_TARGET;
	if (!is_port(from))
		return same_device(from, to) ? PCI_FUNC(to->devfn) :
					       P2PDMA_NO_TARGET;
	if (!is_port(to))
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

/*
 * Judge both directions at the junction.  Returns true if TLPs reach the peer
 * without a detour; otherwise the ports that prevent it are in the route, and
 * its type says if a detour may be tried.
 */
static bool judge_ports(const struct junction *j, struct p2pdma_route *route)
{
	enum p2pdma_acs_fate request = P2PDMA_ACS_DIRECT;
	enum p2pdma_acs_fate completion = P2PDMA_ACS_DIRECT;
	struct p2pdma_acs_port port;

	if (!j->client_side || !j->provider_side)
		return true;

	read_port(j->client_side, j->provider_side, &port);
	request = p2pdma_acs_request(&port);
	read_port(j->provider_side, NULL, &port);
	completion = p2pdma_acs_completion(&port);

	if (request != P2PDMA_ACS_DIRECT)
		route->request_port = j->client_side;
	if (completion != P2PDMA_ACS_DIRECT)
		route->completion_port = j->provider_side;

	if (request == P2PDMA_ACS_BLOCK) {
		route->type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
		route->reason = P2PDMA_ACS_VIOLATION;
	} else if (request == P2PDMA_ACS_UNKNOWN ||
		   completion == P2PDMA_ACS_UNKNOWN) {
		route->type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
		route->reason = P2PDMA_PORT_UNREADABLE;
	}

	return request == P2PDMA_ACS_DIRECT && completion == P2PDMA_ACS_DIRECT;
}

/* Functions of an integrated device that say by ACS what they do for peers */
static bool functions_route_inside(const struct junction *j)
{
	return same_device(j->client_side, j->provider_side) &&
	       j->client_side->acs_cap && j->provider_side->acs_cap &&
	       pci_pcie_type(j->client_side) == PCI_EXP_TYPE_RC_END &&
	       pci_pcie_type(j->provider_side) == PCI_EXP_TYPE_RC_END;
}

static void judge_host(struct pci_dev *provider, struct pci_dev *client,
		       struct p2pdma_route *route)
{
	route->type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE;

	switch (pci_p2pdma_host_forwards(provider, client)) {
	case P2PDMA_HOST_CPU:
		route->reason = P2PDMA_CPU_FORWARDS;
		return;
	case P2PDMA_HOST_LISTED:
		route->reason = P2PDMA_HOST_FORWARDS;
		return;
	case P2PDMA_HOST_APART:
		route->reason = P2PDMA_HOST_BRIDGES_APART;
		break;
	case P2PDMA_HOST_UNKNOWN:
		route->reason = P2PDMA_HOST_NOT_LISTED;
		break;
	}

	route->type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

static const char *route_port_name(const struct p2pdma_route *route)
{
	if (route->request_port)
		return pci_name(route->request_port);
	if (route->completion_port)
		return pci_name(route->completion_port);

	return "none";
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
			     struct p2pdma_route *route)
{
	struct junction j;

	find_junction(provider, client, &j);
	*route = (struct p2pdma_route){
		.type = PCI_P2PDMA_MAP_UNKNOWN,
		.distance = j.distance,
	};

	if (pci_dev_is_disconnected(provider) ||
	    pci_dev_is_disconnected(client)) {
		route->type = PCI_P2PDMA_MAP_NOT_SUPPORTED;
		route->reason = P2PDMA_PORT_UNREADABLE;
	} else if (j.bridge) {
		if (judge_ports(&j, route)) {
			route->type = PCI_P2PDMA_MAP_BUS_ADDR;
			route->reason = junction_kind(&j);
		}
	} else if (functions_route_inside(&j) && judge_ports(&j, route)) {
		route->type = PCI_P2PDMA_MAP_BUS_ADDR;
		route->reason = P2PDMA_SAME_DEVICE;
	}

	if (route->type == PCI_P2PDMA_MAP_UNKNOWN)
		judge_host(provider, client, route);

	trace_p2pdma_route(pci_name(provider), pci_name(client),
			   type_names[route->type], route->distance,
			   reasons[route->reason].name, route_port_name(route));
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
			       const struct p2pdma_route *route)
{
	const struct pci_dev *request = route->request_port;
	const struct pci_dev *completion = route->completion_port;

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

	if (route->reason == P2PDMA_HOST_NOT_LISTED) {
		u32 id = pci_p2pdma_host_id(provider);

		seq_buf_printf(s, " (host bridge %04x:%04x)", id & 0xffff,
			       id >> 16);
	}

	if (route->reason == P2PDMA_PORT_UNREADABLE || !(request || completion))
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

/* Nearest PCI function at or above a device, which the device holds */
static struct pci_dev *pci_ancestor(struct device *dev)
{
	for (; dev; dev = dev->parent)
		if (dev_is_pci(dev))
			return to_pci_dev(dev);

	return NULL;
}

static void say_route(struct pci_dev *provider, struct pci_dev *client,
		      const struct p2pdma_route *route)
{
	DECLARE_SEQ_BUF(s, 512);

	pci_p2pdma_route_describe(&s, provider, client, route);
	if (route->type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		pci_warn(client, "peer-to-peer DMA %s\n", seq_buf_str(&s));
	else
		pci_info(client, "peer-to-peer DMA %s\n", seq_buf_str(&s));
}

/* On 64-bit kernels, which P2PDMA needs, domains of any size fit */
static unsigned long route_index(struct pci_dev *client)
{
	return ((unsigned long)(u32)pci_domain_nr(client->bus) << 16) |
	       pci_dev_id(client);
}

static u64 route_pack(const struct p2pdma_route *route, u64 generation)
{
	return FIELD_PREP(ROUTE_TYPE, route->type) |
	       FIELD_PREP(ROUTE_DISTANCE, route->distance) |
	       FIELD_PREP(ROUTE_GENERATION, generation);
}

/* A verdict that cannot be kept for want of memory is made again next time */
static void route_keep(struct pci_p2pdma *p2p, struct pci_dev *client, u64 kept)
{
	unsigned long flags;

	xa_lock_irqsave(&p2p->routes, flags);
	__xa_store(&p2p->routes, route_index(client), xa_mk_value(kept),
		   GFP_ATOMIC | __GFP_NOWARN);
	xa_unlock_irqrestore(&p2p->routes, flags);
}

/*
 * The verdict on a client, from the cache if it is current.  @p2p is NULL for
 * a device that has registered no memory and thus has nowhere to keep it.
 * With @always the registers are read in any case.  @route is filled in if
 * they were; otherwise its type stays unknown.
 */
static u64 route_lookup(struct pci_p2pdma *p2p, struct pci_dev *provider,
			struct pci_dev *client, bool always,
			struct p2pdma_route *route)
{
	u64 now = atomic64_read_acquire(&p2pdma_generation);
	u64 kept = 0;

	if (p2p && !always)
		kept = xa_to_value(xa_load(&p2p->routes, route_index(client)));
	if (FIELD_GET(ROUTE_GENERATION, kept) == now)
		return kept;

	pci_p2pdma_route_decide(provider, client, route);
	kept = route_pack(route, now);
	if (p2p)
		route_keep(p2p, client, kept);

	return kept;
}

/**
 * pci_p2pdma_route_type - how a client's DMA to a provider must be mapped
 * @p2p: the provider
 * @client: device that does the DMA
 *
 * Only PCI functions do PCI DMA: a device that merely hangs below one is given
 * the verdict that it cannot.
 *
 * Context: any context.  The caller holds an allocation of the provider.
 * Return: any mapping type but unknown.
 */
enum pci_p2pdma_map_type
pci_p2pdma_route_type(struct pci_p2pdma *p2p, struct device *client)
{
	struct p2pdma_route route = { .type = PCI_P2PDMA_MAP_UNKNOWN };
	u64 kept;

	if (!dev_is_pci(client))
		return PCI_P2PDMA_MAP_NOT_SUPPORTED;

	kept = route_lookup(p2p, p2p->pdev, to_pci_dev(client), false, &route);
	if (unlikely(route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED))
		say_route(p2p->pdev, to_pci_dev(client), &route);

	return FIELD_GET(ROUTE_TYPE, kept);
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
	struct p2pdma_route route;
	struct pci_p2pdma *p2p;
	struct pci_dev *client;
	bool reachable = true;
	int i, sum = 0;
	u64 verdict;

	if (!provider || !clients || nr_clients <= 0)
		return -1;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);

	for (i = 0; i < nr_clients && (reachable || verbose); i++) {
		client = pci_ancestor(clients[i]);
		if (!client) {
			if (verbose && clients[i])
				dev_warn(clients[i],
					 "peer-to-peer DMA cannot reach %s: %s\n",
					 pci_name(provider),
					 reasons[P2PDMA_NO_PCI_CLIENT].sentence);
			reachable = false;
			continue;
		}

		verdict = route_lookup(p2p, provider, client, verbose, &route);
		if (verbose)
			say_route(provider, client, &route);
		if (FIELD_GET(ROUTE_TYPE, verdict) ==
		    PCI_P2PDMA_MAP_NOT_SUPPORTED)
			reachable = false;

		sum += FIELD_GET(ROUTE_DISTANCE, verdict);
	}

	return reachable ? sum : -1;
}
EXPORT_SYMBOL_GPL(pci_p2pdma_distance_many);

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

static int __init pci_p2pdma_route_init(void)
{
	return bus_register_notifier(&pci_bus_type, &topology_nb);
}
postcore_initcall_sync(pci_p2pdma_route_init);
