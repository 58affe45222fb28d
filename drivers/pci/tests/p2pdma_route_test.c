// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the routes of peer-to-peer DMA (p2pdma_route.c): verdicts on
 * declared PCI trees, by the function that decides and by the one that drivers
 * call.  Type, distance, reason and the ports that decide are compared.
 *
 * Numbers like 6.12.3 are sections of the PCIe specification (r6.x).  The tree
 * "fabric" is drawn in p2pdma_test.c.  Cases whose comment begins with "Stock"
 * are about a fault of the code that this one replaces (Linux 6.12), and say
 * what that did.
 */
#include <kunit/test.h>

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/sizes.h>

#include "../pci.h"
#include "p2pdma_test.h"

static void one_function(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_direct(test, tree, "mem", "mem", PCI_P2PDMA_SAME_FUNCTION,
			  0);
	p2p_expect_direct(test, tree, "conv2", "conv2",
			  PCI_P2PDMA_SAME_FUNCTION, 0);

	/* Whatever the ports above it do: the traffic does not leave it */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR | PCI_ACS_CR);
	p2p_expect_direct(test, tree, "mem", "mem", PCI_P2PDMA_SAME_FUNCTION,
			  0);
}

static void functions_of_one_device(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	/* Below a switch, below a root port, with and without ACS */
	p2p_expect_direct(test, tree, "mem", "mem1", PCI_P2PDMA_SAME_DEVICE, 2);
	p2p_expect_direct(test, tree, "ep1", "ep0", PCI_P2PDMA_SAME_DEVICE, 2);
	p2p_expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);

	/*
	 * The functions decide, as ports do elsewhere (6.12.1.2).  What they
	 * redirect, dn1 sends up with Upstream Forwarding only (6.12.1.1).
	 */
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_RR);
	p2p_expect_none(test, tree, "nic", "nic1", PCI_P2PDMA_NOT_SENT_UP, 2,
			"nic1", NULL);
	p2p_expect_direct(test, tree, "nic1", "nic", PCI_P2PDMA_SAME_DEVICE, 2);
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_CR);
	p2p_expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);
	p2p_expect_none(test, tree, "nic1", "nic", PCI_P2PDMA_NOT_SENT_UP, 2,
			NULL, "nic1");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_UF);
	pci_p2pdma_routes_changed();
	p2p_expect_none(test, tree, "nic1", "nic", PCI_P2PDMA_HOST_NOT_LISTED,
			2, NULL, "nic1");

	/* Their vector counts functions (7.7.11.4) */
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_EC);
	pci_kunit_set(tree, "nic1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V,
		      4, PORT_BIT(0));
	p2p_expect_none(test, tree, "nic", "nic1", PCI_P2PDMA_ACS_VIOLATION, 2,
			"nic1", NULL);
	pci_kunit_set(tree, "nic1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V,
		      4, ~PORT_BIT(0));
	p2p_expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);

	/* The port above only passes on what leaves the device */
	pci_kunit_set_acs(tree, "nic1", 0);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR | PCI_ACS_CR);
	p2p_expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);
}

static void one_switch(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "mem", "nic1", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "mem", "far", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "gpu", "ssd", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* Through a port without ACS, on either side */
	p2p_expect_direct(test, tree, "mem", "old", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "old", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  4);
}

static void nested_switches(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH,
			  6);
	p2p_expect_direct(test, tree, "gpu", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  6);
	p2p_expect_direct(test, tree, "ssd", "nic1", PCI_P2PDMA_COMMON_SWITCH,
			  6);
}

/* A switch may have memory itself, behind its upstream port */
static void provider_is_upstream_port(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_direct(test, tree, "up0", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  2);
	p2p_expect_direct(test, tree, "up0", "gpu", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_none(test, tree, "up0", "ep0", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, NULL);
}

static void different_root_ports(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_none(test, tree, "mem", "ep0", PCI_P2PDMA_HOST_NOT_LISTED, 6,
			NULL, NULL);
	p2p_expect_none(test, tree, "ep0", "mem", PCI_P2PDMA_HOST_NOT_LISTED, 6,
			NULL, NULL);
	p2p_expect_none(test, tree, "ep0", "gpu", PCI_P2PDMA_HOST_NOT_LISTED, 8,
			NULL, NULL);
	p2p_expect_none(test, tree, "conv2", "ep0", PCI_P2PDMA_HOST_NOT_LISTED,
			6, NULL, NULL);
}

static void conventional_segments(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	p2p_expect_direct(test, tree, "conv0", "conv1",
			  PCI_P2PDMA_COMMON_SEGMENT, 2);
	p2p_expect_direct(test, tree, "conv2", "conv3",
			  PCI_P2PDMA_COMMON_SEGMENT, 2);
	p2p_expect_direct(test, tree, "conv0", "conv2",
			  PCI_P2PDMA_COMMON_SEGMENT, 3);
	p2p_expect_direct(test, tree, "conv2", "conv0",
			  PCI_P2PDMA_COMMON_SEGMENT, 3);

	/* The root port above has no part in it */
	pci_kunit_set_acs(tree, "rp2", PCI_ACS_RR | PCI_ACS_CR);
	p2p_expect_direct(test, tree, "conv0", "conv2",
			  PCI_P2PDMA_COMMON_SEGMENT, 3);
}

/* A segment below a switch: its port decides, as for any other device */
static const struct pci_kunit_node segment_below_switch[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "br", "dn0", PCI_KUNIT_PCIE_PCI_BRIDGE },
	{ "conv", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(1, 0) },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "mem", "dn1", PCI_KUNIT_ENDPOINT },
};

static void conventional_below_switch(struct kunit *test)
{
	struct pci_kunit_tree *tree;

	tree = PCI_KUNIT_CREATE(test, segment_below_switch);
	p2p_expect_direct(test, tree, "mem", "conv", PCI_P2PDMA_COMMON_SWITCH,
			  5);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR);
	p2p_expect_none(test, tree, "mem", "conv", PCI_P2PDMA_HOST_NOT_LISTED,
			5, "dn0", NULL);
	p2p_expect_direct(test, tree, "conv", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  5);
}

/* Root complex ------------------------------------------------------------ */

static const struct pci_kunit_node integrated[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "a0", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(4, 0),
	  .acs = ACS_NONE_ON },
	{ "a1", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(4, 1),
	  .acs = ACS_NONE_ON },
	{ "a2", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(4, 2) },
	{ "b0", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(5, 0),
	  .acs = ACS_NONE_ON },
	{ "c0", "host", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(6, 0) },
	{ "c1", "host", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(6, 1) },
};

/*
 * Integrated endpoints have no port above them.  Functions of one device that
 * have ACS say by it how they route between one another (6.12.1.3); nothing is
 * promised for the others.
 */
static void integrated_endpoints(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, integrated);

	p2p_expect_direct(test, tree, "a0", "a0", PCI_P2PDMA_SAME_FUNCTION, 0);
	p2p_expect_direct(test, tree, "a0", "a1", PCI_P2PDMA_SAME_DEVICE, 2);
	p2p_expect_direct(test, tree, "a1", "a0", PCI_P2PDMA_SAME_DEVICE, 2);
	p2p_expect_none(test, tree, "a0", "a2", PCI_P2PDMA_HOST_NOT_LISTED, 2,
			NULL, NULL);
	p2p_expect_none(test, tree, "a0", "b0", PCI_P2PDMA_HOST_NOT_LISTED, 2,
			NULL, NULL);
	p2p_expect_none(test, tree, "c0", "c1", PCI_P2PDMA_HOST_NOT_LISTED, 2,
			NULL, NULL);

	/* Redirection sends them to the root complex, which is on no list */
	pci_kunit_set_acs(tree, "a1", PCI_ACS_RR);
	p2p_expect_none(test, tree, "a0", "a1", PCI_P2PDMA_HOST_NOT_LISTED, 2,
			"a1", NULL);
	p2p_expect_direct(test, tree, "a1", "a0", PCI_P2PDMA_SAME_DEVICE, 2);

	pci_kunit_set_acs(tree, "a1", PCI_ACS_EC);
	pci_kunit_set(tree, "a1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V, 4,
		      PORT_BIT(0));
	p2p_expect_none(test, tree, "a0", "a1", PCI_P2PDMA_ACS_VIOLATION, 2,
			"a1", NULL);

	pci_kunit_set_access(tree, "a0", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_acs(tree, "a1", 0);
	p2p_expect_none(test, tree, "a0", "a1", PCI_P2PDMA_PORT_UNREADABLE, 2,
			NULL, "a0");
}

/* Access control on trees ------------------------------------------------- */

static void redirected_requests(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	/* Where the client's requests arrive, and only there */
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			"dn1", NULL);
	p2p_expect_none(test, tree, "gpu", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 6,
			"dn1", NULL);
	p2p_expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* Nested: the port of the switch where the paths part */
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	p2p_expect_none(test, tree, "mem", "gpu", PCI_P2PDMA_HOST_NOT_LISTED, 6,
			"dn2", NULL);
	p2p_expect_direct(test, tree, "ssd", "gpu", PCI_P2PDMA_COMMON_SWITCH,
			  4);
}

static void redirected_completions(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);

	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, "dn0");
	p2p_expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			"dn1", "dn0");
}

/* A redirected route is usable where the root complex forwards */
static void redirected_through_listed_host(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric_of(test, 0x3c01, 0);

	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	p2p_expect_host(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS, 4,
			"dn1", NULL);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	p2p_expect_host(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS, 4,
			"dn1", "dn0");
	p2p_expect_host(test, tree, "mem", "ep0", PCI_P2PDMA_HOST_FORWARDS, 6,
			NULL, NULL);

	/* No root complex helps against a violation */
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC);
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V, 4,
		      PORT_BIT(1));
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4,
			"dn1", "dn0");
}

/*
 * Stock counts redirection at every port from both devices up to, and with,
 * the common one, so that it refuses routes that the fabric takes.
 */
static void ports_that_do_not_decide(struct kunit *test)
{
	const u16 redirect = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
	struct pci_kunit_tree *tree = p2p_fabric(test);

	/* Above: the common upstream port, the root port */
	pci_kunit_set_acs(tree, "up0", redirect);
	pci_kunit_set_acs(tree, "rp0", redirect);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH,
			  6);

	/* Below: the ports of the inner switch only pass on what goes up */
	pci_kunit_set_acs(tree, "up1", redirect);
	pci_kunit_set_acs(tree, "dn3", redirect);
	pci_kunit_set_acs(tree, "dn4", redirect);
	p2p_expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH,
			  6);
	p2p_expect_direct(test, tree, "gpu", "mem", PCI_P2PDMA_COMMON_SWITCH,
			  6);

	/* Beside: ports of the same switch, functions that others share */
	pci_kunit_set_acs(tree, "dn5", redirect);
	pci_kunit_set_acs(tree, "nic1", redirect);
	pci_kunit_set_acs(tree, "nic", redirect);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* The other direction's bit at the ports that decide */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR | PCI_ACS_UF);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_CR | PCI_ACS_UF);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* The remaining bits everywhere */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_DT);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_DT);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
}

static void poke_vector(struct pci_kunit_tree *tree, const char *name,
			unsigned int dword, u32 value)
{
	pci_kunit_set(tree, name, PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V +
		      4 * dword, 4, value);
}

/* How hardware that is gone and a bus that fails look */
static const enum pci_kunit_access modes[] = {
	PCI_KUNIT_ACCESS_ALL_ONES, PCI_KUNIT_ACCESS_ERROR,
};

/* dn0 is port 1, dn2 is port 3, dn5 is port 40; the vector has 256 bits */
static void egress_control(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	unsigned int i;

	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* The bit of the port through which the request would leave */
	poke_vector(tree, "dn1", 0, PORT_BIT(1));
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4,
			"dn1", NULL);
	p2p_expect_direct(test, tree, "gpu", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  6);
	poke_vector(tree, "dn1", 0, ~PORT_BIT(1));
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	p2p_expect_none(test, tree, "gpu", "nic", PCI_P2PDMA_ACS_VIOLATION, 6,
			"dn1", NULL);

	/* In the second DWORD */
	poke_vector(tree, "dn1", 0, 0);
	poke_vector(tree, "dn1", 1, PORT_BIT(8));
	p2p_expect_none(test, tree, "far", "nic", PCI_P2PDMA_ACS_VIOLATION, 4,
			"dn1", NULL);
	poke_vector(tree, "dn1", 1, ~PORT_BIT(8));
	p2p_expect_direct(test, tree, "far", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* A vector of ones is not a port that is gone */
	poke_vector(tree, "dn1", 0, U32_MAX);
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4,
			"dn1", NULL);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC | PCI_ACS_RR);
	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			"dn1", NULL);

	/* Where the bit is clear, Request Redirect does not count */
	poke_vector(tree, "dn1", 0, 0);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* It is not for completions */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_EC);
	poke_vector(tree, "dn0", 0, U32_MAX);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* A vector that has no bit for the port */
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2,
		      ACS_ALL | VECTOR(40));
	poke_vector(tree, "dn1", 1, 0);
	p2p_expect_none(test, tree, "far", "nic", PCI_P2PDMA_PORT_UNREADABLE, 4,
			"dn1", NULL);
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2,
		      ACS_ALL | VECTOR(41));
	p2p_expect_direct(test, tree, "far", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);

	/* The target's number cannot be read; its ACS does not matter */
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "dn6", modes[i]);
		p2p_expect_none(test, tree, "old", "nic",
				PCI_P2PDMA_PORT_UNREADABLE, 4, "dn1", NULL);
	}
}

/* Ports that do not answer ------------------------------------------------ */

/* Stock asks no root port */
static void egress_of_root_ports(struct kunit *test)
{
	/* The host would forward it */
	const struct pci_kunit_node nodes[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE,
		  .vendor = PCI_VENDOR_ID_INTEL, .device = 0x2030 },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
		  .port = 1, .acs = ACS_NONE_ON },
		{ "a", "rp1", PCI_KUNIT_ENDPOINT },
		{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 1),
		  .port = 2, .acs = ACS_NONE_ON },
		{ "b", "rp2", PCI_KUNIT_ENDPOINT },
		{ "rc", "host", PCI_KUNIT_RC_ENDPOINT,
		  .devfn = PCI_DEVFN(3, 0) },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, nodes);
	unsigned int i;

	/* What is redirected goes where it goes anyway */
	pci_kunit_set_acs(tree, "rp1", PCI_ACS_RR | PCI_ACS_CR);
	p2p_expect_host(test, tree, "b", "a", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);

	pci_kunit_set_acs(tree, "rp1", PCI_ACS_EC);
	poke_vector(tree, "rp1", 0, ~PORT_BIT(2));
	p2p_expect_host(test, tree, "b", "a", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);
	poke_vector(tree, "rp1", 0, PORT_BIT(2));
	p2p_expect_none(test, tree, "b", "a", PCI_P2PDMA_ACS_VIOLATION, 4, "rp1",
			NULL);
	/* Neither for completions, nor for what has no port */
	p2p_expect_host(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);
	p2p_expect_host(test, tree, "rc", "a", PCI_P2PDMA_HOST_FORWARDS, 3, NULL,
			NULL);
	pci_kunit_set_acs(tree, "rp1", PCI_ACS_EC | PCI_ACS_RR);
	p2p_expect_host(test, tree, "b", "a", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);

	/* Nothing but what the client has translated is blocked */
	pci_kunit_set_acs(tree, "rp1", PCI_ACS_TB);
	p2p_expect_host(test, tree, "b", "a", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);
	pci_kunit_dev(tree, "a")->ats_enabled = 1;
	p2p_expect_none(test, tree, "b", "a", PCI_P2PDMA_ACS_VIOLATION, 4, "rp1",
			NULL);
	pci_kunit_dev(tree, "a")->ats_enabled = 0;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "rp1", modes[i]);
		p2p_expect_none(test, tree, "b", "a", PCI_P2PDMA_PORT_UNREADABLE,
				4, "rp1", NULL);
		pci_kunit_set_access(tree, "rp1", PCI_KUNIT_ACCESS_NORMAL);
	}
}

/*
 * Stock takes what a failed read leaves behind for the register: all ones are
 * "redirect", an error may be anything.
 */
static void unreadable_ports(struct kunit *test)
{
	/* Were it redirected, the host would forward it */
	struct pci_kunit_tree *tree = p2p_fabric_of(test, 0x2030, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "dn1", modes[i]);
		p2p_expect_none(test, tree, "mem", "nic",
				PCI_P2PDMA_PORT_UNREADABLE, 4, "dn1", NULL);
		p2p_expect_none(test, tree, "nic", "mem",
				PCI_P2PDMA_PORT_UNREADABLE, 4, NULL, "dn1");
		pci_kunit_set_access(tree, "dn1", PCI_KUNIT_ACCESS_NORMAL);
		p2p_expect_direct(test, tree, "mem", "nic",
				  PCI_P2PDMA_COMMON_SWITCH, 4);

		/* Ports that do not decide are not asked */
		pci_kunit_set_access(tree, "up0", modes[i]);
		pci_kunit_set_access(tree, "dn3", modes[i]);
		p2p_expect_direct(test, tree, "mem", "gpu",
				  PCI_P2PDMA_COMMON_SWITCH, 6);
		pci_kunit_set_access(tree, "up0", PCI_KUNIT_ACCESS_NORMAL);
		pci_kunit_set_access(tree, "dn3", PCI_KUNIT_ACCESS_NORMAL);
	}
}

static void disconnected_devices(struct kunit *test)
{
	static const char * const gone[] = { "nic", "mem", "dn1", "dn0" };
	struct pci_kunit_tree *tree;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gone); i++) {
		tree = p2p_fabric(test);
		p2p_expect_direct(test, tree, "mem", "nic",
				  PCI_P2PDMA_COMMON_SWITCH, 4);
		pci_dev_set_disconnected(pci_kunit_dev(tree, gone[i]), NULL);
		p2p_expect_none(test, tree, "mem", "nic",
				PCI_P2PDMA_PORT_UNREADABLE, 4,
				i == 2 ? "dn1" : NULL, i == 3 ? "dn0" : NULL);
		pci_kunit_destroy(tree);
	}

	/* A port that has no ACS cannot tell by its registers that it is gone */
	tree = p2p_fabric(test);
	p2p_expect_direct(test, tree, "old", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	pci_dev_set_disconnected(pci_kunit_dev(tree, "dn6"), NULL);
	p2p_expect_none(test, tree, "old", "nic", PCI_P2PDMA_PORT_UNREADABLE, 4,
			NULL, "dn6");
	p2p_expect_none(test, tree, "nic", "old", PCI_P2PDMA_PORT_UNREADABLE, 4,
			"dn6", NULL);
}

/* Ways of requests -------------------------------------------------------- */

/* Requests with translated addresses (PCIe r6.x sec 6.12.3, 10.1) */
static void translated_requests(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");

	p2p_provider(test, tree, "mem");

	/* The capability alone translates nothing */
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_TB);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);

	/* From here on it does; this alone changes the answer */
	KUNIT_ASSERT_EQ(test, pci_enable_ats(nic, PAGE_SHIFT), 0);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_DIRECT_TRANSLATED);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	p2p_expect(test, tree, "mem", "nic1", PCI_P2PDMA_HOST_NOT_LISTED);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);

	/* Completions have no such way out */
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	p2p_set_ctrl(tree, "dn0", PCI_ACS_CR);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", "dn0", NULL);
	p2p_set_ctrl(tree, "dn0", 0);

	/* Blocked, whatever else is on */
	p2p_set_ctrl(tree, "dn1", PCI_ACS_TB);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	p2p_expect(test, tree, "mem", "nic1", PCI_P2PDMA_COMMON_SWITCH);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_TB | PCI_ACS_DT | PCI_ACS_RR);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION);
	pci_disable_ats(nic);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_TB);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);

	/* Where nothing is redirected, both kinds go the same way */
	p2p_set_ctrl(tree, "dn1", PCI_ACS_DT);
	KUNIT_ASSERT_EQ(test, pci_enable_ats(nic, PAGE_SHIFT), 0);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
}

/* The client puts the CPU's address on the link: it must be the bus's, too */
static void translated_requests_and_offset(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric_of(test, UNLISTED, SZ_2G);

	KUNIT_ASSERT_EQ(test, pci_enable_ats(pci_kunit_dev(tree, "nic"),
					     PAGE_SHIFT), 0);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	p2p_set_ctrl(tree, "dn1", 0);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
}

/* Upstream Forwarding (PCIe r6.x sec 6.12.1.1) */
static void redirected_inside_a_tower(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric_of(test, LISTED, 0);
	unsigned int i;

	/* dn2 sends up what the inner switch redirects, or does not */
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_COMMON_SWITCH);
	p2p_set_ctrl(tree, "dn3", PCI_ACS_RR);
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	p2p_expect_ports(test, tree, "ssd", "gpu", "dn3", NULL, "dn2");
	p2p_set_ctrl(tree, "dn2", PCI_ACS_UF);
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_HOST_FORWARDS);
	p2p_expect_ports(test, tree, "ssd", "gpu", "dn3", NULL, NULL);
	p2p_set_ctrl(tree, "dn2", ACS_ALL & ~PCI_ACS_UF);
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);

	/* Completions go the same way */
	p2p_set_ctrl(tree, "dn3", 0);
	p2p_set_ctrl(tree, "dn4", PCI_ACS_CR);
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	p2p_expect_ports(test, tree, "ssd", "gpu", NULL, "dn4", "dn2");
	p2p_set_ctrl(tree, "dn2", PCI_ACS_UF);
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_HOST_FORWARDS);

	/* Nothing rests on a port that does not answer */
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "dn2", modes[i]);
		p2p_expect(test, tree, "ssd", "gpu",
			   PCI_P2PDMA_PORT_UNREADABLE);
		pci_kunit_set_access(tree, "dn2", PCI_KUNIT_ACCESS_NORMAL);
	}

	/* Below the outer switch there are a root port and the root complex */
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);
	p2p_set_ctrl(tree, "rp0", ACS_ALL & ~PCI_ACS_UF);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);

	/* What functions of one device redirect arrives at their port */
	p2p_set_ctrl(tree, "nic1", PCI_ACS_RR);
	p2p_expect(test, tree, "nic", "nic1", PCI_P2PDMA_NOT_SENT_UP);
	p2p_expect_ports(test, tree, "nic", "nic1", "nic1", NULL, "dn1");
	p2p_set_ctrl(tree, "dn1", PCI_ACS_UF);
	p2p_expect(test, tree, "nic", "nic1", PCI_P2PDMA_HOST_FORWARDS);

	/* Ports without ACS */
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR);
	pci_kunit_dev(tree, "dn2")->acs_cap = 0;
	pci_kunit_dev(tree, "rp0")->acs_cap = 0;
	pci_p2pdma_routes_changed();
	p2p_expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);
}

/* Vectors of functions (PCIe r6.x sec 6.13 and 7.7.11.4) */
static void vectors_of_functions(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_functions(test);

	/* By function number */
	p2p_set_ctrl(tree, "f0", PCI_ACS_EC);
	p2p_set_vector(tree, "f0", BIT(2));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	p2p_set_vector(tree, "f0", ~(u32)BIT(2));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);

	/* The same with ARI, in which there are more than eight */
	p2p_add_ari(tree, "f0", 0);
	p2p_add_ari(tree, "f2", ARI_GROUP(5));
	p2p_add_ari(tree, "f8", ARI_GROUP(6));
	pci_p2pdma_routes_changed();
	p2p_set_vector(tree, "f0", BIT(2));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	p2p_expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);
	p2p_set_vector(tree, "f0", BIT(8));
	p2p_expect(test, tree, "f8", "f0", PCI_P2PDMA_ACS_VIOLATION);
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	p2p_set_vector(tree, "f0", BIT(5) | BIT(6) | BIT(0));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	p2p_expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);

	/* By group, where the function that sends says so */
	p2p_add_ari(tree, "f0", PCI_ARI_CTRL_ACS | ARI_GROUP(1));
	pci_p2pdma_routes_changed();
	p2p_set_vector(tree, "f0", BIT(5));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	p2p_expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);
	p2p_set_vector(tree, "f0", ~(u32)BIT(5));
	p2p_expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	p2p_expect(test, tree, "f8", "f0", PCI_P2PDMA_ACS_VIOLATION);
}

static struct kunit_case p2pdma_route_cases[] = {
	KUNIT_CASE(one_function),
	KUNIT_CASE(functions_of_one_device),
	KUNIT_CASE(one_switch),
	KUNIT_CASE(nested_switches),
	KUNIT_CASE(provider_is_upstream_port),
	KUNIT_CASE(different_root_ports),
	KUNIT_CASE(conventional_segments),
	KUNIT_CASE(conventional_below_switch),
	KUNIT_CASE(integrated_endpoints),
	KUNIT_CASE(redirected_requests),
	KUNIT_CASE(redirected_completions),
	KUNIT_CASE(redirected_through_listed_host),
	KUNIT_CASE(ports_that_do_not_decide),
	KUNIT_CASE(egress_control),
	KUNIT_CASE(egress_of_root_ports),
	KUNIT_CASE(unreadable_ports),
	KUNIT_CASE(disconnected_devices),
	KUNIT_CASE(translated_requests),
	KUNIT_CASE(translated_requests_and_offset),
	KUNIT_CASE(redirected_inside_a_tower),
	KUNIT_CASE(vectors_of_functions),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_route_suite = {
	.name = "p2pdma_route",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_route_cases,
};

kunit_test_suite(p2pdma_route_suite);

MODULE_DESCRIPTION("KUnit tests of the routes of peer-to-peer DMA");
MODULE_LICENSE("GPL");
