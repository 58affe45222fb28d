// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the routes of peer-to-peer DMA (p2pdma_route.c, p2pdma_acs.c,
 * p2pdma_host.c).
 *
 * Two kinds:
 *
 *  - what Access Control Services do to a TLP at one port, as tables of port
 *    states: each row is a case that names the clause of the PCIe specification
 *    (r6.x) that it rests on.  "6.12.3" is the text and table on how ACS
 *    controls interact, "7.7.11.n" the ACS capability and its registers;
 *
 *  - verdicts on declared PCI trees (pci_kunit.h), by the function that decides
 *    and by the one that drivers call.  Type, distance, reason and both ports
 *    are compared.
 *
 * The tree "fabric" is used by most:
 *
 *   host ─┬─ 01.0 rp0 ── up0 ─┬─ 00.0 dn0 (port 1) ── mem, mem1
 *         │                   ├─ 01.0 dn1 (port 2) ── nic, nic1
 *         │                   ├─ 02.0 dn2 (port 3) ── up1 ─┬─ dn3 (1) ── gpu
 *         │                   │                            └─ dn4 (2) ── ssd
 *         │                   ├─ 03.0 dn5 (port 40) ── far
 *         │                   └─ 04.0 dn6 (port 4, no ACS) ── old
 *         ├─ 02.0 rp1 ── ep0, ep1
 *         └─ 03.0 rp2 ── br ─┬─ conv0
 *                            ├─ conv1
 *                            └─ pci ─┬─ conv2
 *                                    └─ conv3
 *
 * Its host bridge is on no list, so that whatever crosses it is refused, and
 * all its ports but dn6 implement all of ACS, with nothing switched on.
 *
 * Cases whose comment begins with "Stock" are about a fault of the code that
 * this one replaces (Linux 6.12), and say what that did.
 *
 * The CPU that runs this may be of a family that forwards everything.  The
 * suite pretends that it is not, and gives its name back at the end.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/test.h>

#include <linux/debug_locks.h>
#include <linux/device.h>
#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/seq_buf.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "../p2pdma_acs.h"
#include "../pci_kunit.h"

/* Access Control Services at one port -------------------------------------- */

#define VECTOR(_size)	((_size) << 8)
#define PORT_BIT(_n)	(1U << (_n))

struct acs_row {
	const char *name;
	struct p2pdma_acs_port port;
	enum p2pdma_acs_fate fate;
};

static void acs_row_name(const struct acs_row *row, char *desc)
{
	strscpy(desc, row->name, KUNIT_PARAM_DESC_SIZE);
}

static const struct acs_row requests[] = {
	/* Whether anything controls them */
	{ "no ACS capability: routed by address (2.2.4.1)",
	  { .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "no ACS capability: control bits are noise",
	  { .ctrl = PCI_ACS_RR | PCI_ACS_EC, .target = 1, .vector = 2 },
	  P2PDMA_ACS_DIRECT },
	{ "port gone: all ones are no register (2.3.2)",
	  { .gone = true, .target = 1 },
	  P2PDMA_ACS_UNKNOWN },
	{ "port gone, registers stale",
	  { .gone = true, .present = true, .target = 1 },
	  P2PDMA_ACS_UNKNOWN },
	{ "nothing enabled (6.12.3)",
	  { .present = true, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "vector set, egress control not enabled (7.7.11.4)",
	  { .present = true, .target = 1, .vector = ~0U },
	  P2PDMA_ACS_DIRECT },

	/* Bits that concern other TLPs */
	{ "Source Validation checks, does not route (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_SV, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "Translation Blocking spares untranslated ones (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_TB, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "Completion Redirect is for completions (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_CR, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "Upstream Forwarding is for what comes back (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_UF, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "Direct Translated is for translated ones (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_DT, .target = 1 },
	  P2PDMA_ACS_DIRECT },

	/* The table of 6.12.3: Egress Control, vector bit, Request Redirect */
	{ "EC 0, RR 1 (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_RR, .target = 1 },
	  P2PDMA_ACS_REDIRECT },
	{ "EC 0, RR 1, DT 1: not exempt (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_RR | PCI_ACS_DT, .target = 1 },
	  P2PDMA_ACS_REDIRECT },
	{ "EC 1, bit 0, RR 0 (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "EC 1, bit 0, RR 1 (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC | PCI_ACS_RR,
	    .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "EC 1, bit 1, RR 1 (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC | PCI_ACS_RR,
	    .target = 1, .vector = PORT_BIT(1) },
	  P2PDMA_ACS_REDIRECT },
	{ "EC 1, bit 1, RR 0: ACS violation (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector = PORT_BIT(1) },
	  P2PDMA_ACS_BLOCK },
	{ "EC 1, all bits but the target's, RR 0 (7.7.11.4)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 5, .vector = ~PORT_BIT(5) },
	  P2PDMA_ACS_DIRECT },

	/* Where the bit is: DWORD port / 32, bit port % 32 (7.7.11.4) */
	{ "target 0, bit 0",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 0, .vector = PORT_BIT(0) },
	  P2PDMA_ACS_BLOCK },
	{ "target 31, bit 31",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 31, .vector = PORT_BIT(31) },
	  P2PDMA_ACS_BLOCK },
	{ "target 31, bits 0 to 30",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 31, .vector = ~PORT_BIT(31) },
	  P2PDMA_ACS_DIRECT },
	{ "target 32, bit 0 of the second DWORD",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 32, .vector = PORT_BIT(0) },
	  P2PDMA_ACS_BLOCK },
	{ "target 32, other bits of the second DWORD",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 32, .vector = ~PORT_BIT(0) },
	  P2PDMA_ACS_DIRECT },
	{ "target 63, bit 31 of the second DWORD",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 63, .vector = PORT_BIT(31) },
	  P2PDMA_ACS_BLOCK },
	{ "target 64, bit 0 of the third DWORD",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 64, .vector = PORT_BIT(0) },
	  P2PDMA_ACS_BLOCK },

	/* How many bits there are (7.7.11.2) */
	{ "vector of 8, target 7",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 7 },
	  P2PDMA_ACS_DIRECT },
	{ "vector of 8, target 8: beyond (7.7.11.2)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 8 },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector of 8, target 8, RR 1: beyond (7.7.11.2)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC | PCI_ACS_RR,
	    .target = 8 },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector of 8, target 8, EC 0: nobody looks",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_RR,
	    .target = 8 },
	  P2PDMA_ACS_REDIRECT },
	{ "vector of 1, target 0",
	  { .present = true, .cap = VECTOR(1), .ctrl = PCI_ACS_EC,
	    .target = 0 },
	  P2PDMA_ACS_DIRECT },
	{ "vector of 1, target 1: beyond",
	  { .present = true, .cap = VECTOR(1), .ctrl = PCI_ACS_EC,
	    .target = 1 },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector of 255, target 255: beyond",
	  { .present = true, .cap = VECTOR(255), .ctrl = PCI_ACS_EC,
	    .target = 255 },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector of 0 means 256, target 255, bit clear (7.7.11.2)",
	  { .present = true, .cap = VECTOR(0), .ctrl = PCI_ACS_EC,
	    .target = 255 },
	  P2PDMA_ACS_DIRECT },
	{ "vector of 0 means 256, target 255, bit set (7.7.11.2)",
	  { .present = true, .cap = VECTOR(0), .ctrl = PCI_ACS_EC,
	    .target = 255, .vector = PORT_BIT(31) },
	  P2PDMA_ACS_BLOCK },
	{ "vector of 0 means 256, target 0 (7.7.11.2)",
	  { .present = true, .cap = VECTOR(0), .ctrl = PCI_ACS_EC,
	    .target = 0 },
	  P2PDMA_ACS_DIRECT },

	/* The vector or the target's number cannot be read */
	{ "vector unreadable, EC 1",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector_gone = true },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector unreadable, EC 1, RR 1",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC | PCI_ACS_RR,
	    .target = 1, .vector_gone = true },
	  P2PDMA_ACS_UNKNOWN },
	{ "vector unreadable, EC 0: nobody looks",
	  { .present = true, .cap = VECTOR(8), .target = 1,
	    .vector_gone = true },
	  P2PDMA_ACS_DIRECT },

	/* Peers that the vector does not count: as with EC clear */
	{ "no target port, EC 1, RR 0",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = P2PDMA_NO_TARGET, .vector = ~0U },
	  P2PDMA_ACS_DIRECT },
	{ "no target port, EC 1, RR 1",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC | PCI_ACS_RR,
	    .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_REDIRECT },
};

KUNIT_ARRAY_PARAM(request, requests, acs_row_name);

static void acs_on_requests(struct kunit *test)
{
	const struct acs_row *row = test->param_value;

	KUNIT_EXPECT_EQ(test, p2pdma_acs_request(&row->port), row->fate);
}

static const struct acs_row translated[] = {
	{ "no ACS capability",
	  { .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "no ACS capability: control bits are noise",
	  { .ctrl = PCI_ACS_TB, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "port gone",
	  { .gone = true, .present = true, .ctrl = PCI_ACS_DT, .target = 1 },
	  P2PDMA_ACS_UNKNOWN },
	{ "nothing enabled",
	  { .present = true, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "DT 1 (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_DT, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "DT 1, RR 1: exempt from redirection (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_DT | PCI_ACS_RR, .target = 1 },
	  P2PDMA_ACS_DIRECT },
	{ "DT 1, EC 1, bit 1: exempt from egress control (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_DT | PCI_ACS_EC,
	    .target = 1, .vector = PORT_BIT(1) },
	  P2PDMA_ACS_DIRECT },
	{ "DT 1, EC 1, vector unreadable: nobody looks",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_DT | PCI_ACS_EC,
	    .target = 1, .vector_gone = true },
	  P2PDMA_ACS_DIRECT },
	{ "DT 0, RR 1: as any request (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_RR, .target = 1 },
	  P2PDMA_ACS_REDIRECT },
	{ "DT 0, EC 1, bit 1, RR 0: as any request (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector = PORT_BIT(1) },
	  P2PDMA_ACS_BLOCK },
	{ "DT 0, EC 1, vector unreadable",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector_gone = true },
	  P2PDMA_ACS_UNKNOWN },
	{ "TB 1: ACS violation (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_TB, .target = 1 },
	  P2PDMA_ACS_BLOCK },
	{ "TB 1, DT 1: blocked before it is routed (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_TB | PCI_ACS_DT, .target = 1 },
	  P2PDMA_ACS_BLOCK },
	{ "TB 1, RR 1: not redirected either (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_TB | PCI_ACS_RR, .target = 1 },
	  P2PDMA_ACS_BLOCK },
};

KUNIT_ARRAY_PARAM(translated, translated, acs_row_name);

static void acs_on_translated_requests(struct kunit *test)
{
	const struct acs_row *row = test->param_value;

	KUNIT_EXPECT_EQ(test, p2pdma_acs_translated(&row->port), row->fate);
}

static const struct acs_row completions[] = {
	{ "no ACS capability",
	  { .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "no ACS capability: control bits are noise",
	  { .ctrl = PCI_ACS_CR, .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "port gone",
	  { .gone = true, .present = true, .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_UNKNOWN },
	{ "nothing enabled",
	  { .present = true, .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "CR 1: redirected unless relaxed ordered (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_CR, .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_REDIRECT },
	{ "RR 1: for requests only (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_RR, .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "EC 1, bit 1: for requests only (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector = ~0U },
	  P2PDMA_ACS_DIRECT },
	{ "EC 1, vector unreadable: for requests only (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = PCI_ACS_EC,
	    .target = 1, .vector_gone = true },
	  P2PDMA_ACS_DIRECT },
	{ "TB 1, DT 1: for requests only (6.12.3)",
	  { .present = true, .ctrl = PCI_ACS_TB | PCI_ACS_DT,
	    .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "SV 1, UF 1 (6.12.1.1)",
	  { .present = true, .ctrl = PCI_ACS_SV | PCI_ACS_UF,
	    .target = P2PDMA_NO_TARGET },
	  P2PDMA_ACS_DIRECT },
	{ "CR 1 among all others (6.12.3)",
	  { .present = true, .cap = VECTOR(8), .ctrl = 0x7f, .target = 1 },
	  P2PDMA_ACS_REDIRECT },
};

KUNIT_ARRAY_PARAM(completion, completions, acs_row_name);

static void acs_on_completions(struct kunit *test)
{
	const struct acs_row *row = test->param_value;

	KUNIT_EXPECT_EQ(test, p2pdma_acs_completion(&row->port), row->fate);
}

/* Egress Control Vector Size, bits 15:8 of the capability (7.7.11.2) */
static void acs_vector_size(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, p2pdma_acs_vector_bits(0x0000), 256);
	KUNIT_EXPECT_EQ(test, p2pdma_acs_vector_bits(0x007f), 256);
	KUNIT_EXPECT_EQ(test, p2pdma_acs_vector_bits(0x0100), 1);
	KUNIT_EXPECT_EQ(test, p2pdma_acs_vector_bits(0x207f), 32);
	KUNIT_EXPECT_EQ(test, p2pdma_acs_vector_bits(0xff00), 255);
}

/* Routes on declared trees ------------------------------------------------- */

#define ACS_ALL		(PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | \
			 PCI_ACS_UF | PCI_ACS_EC | PCI_ACS_DT)
#define ACS_NONE_ON	PCI_KUNIT_ACS(ACS_ALL, 0)

/* Host bridges: on no list, listed, listed for one host bridge only */
#define UNLISTED	.vendor = PCI_VENDOR_ID_INTEL, .device = 0x29c0
#define LISTED		.vendor = PCI_VENDOR_ID_INTEL, .device = 0x2030
#define LISTED_SAME	.vendor = PCI_VENDOR_ID_INTEL, .device = 0x3c00

#define MEMORY		.bar = { [4] = { .size = SZ_4M } }

static const struct pci_kunit_node fabric[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, UNLISTED },

	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "up0", "rp0", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON,
	  .bar = { { .size = SZ_2M } } },
	{ "dn0", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0), MEMORY },
	{ "mem1", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1) },
	{ "dn1", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0),
	  .acs = ACS_NONE_ON },
	{ "nic1", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1),
	  .acs = ACS_NONE_ON },
	{ "dn2", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "up1", "dn2", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON },
	{ "dn3", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "gpu", "dn3", PCI_KUNIT_ENDPOINT },
	{ "dn4", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ssd", "dn4", PCI_KUNIT_LEGACY_ENDPOINT },
	{ "dn5", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(3, 0),
	  .port = 40, .acs = ACS_NONE_ON },
	{ "far", "dn5", PCI_KUNIT_ENDPOINT },
	{ "dn6", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(4, 0),
	  .port = 4 },
	{ "old", "dn6", PCI_KUNIT_ENDPOINT },

	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ep0", "rp1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0) },
	{ "ep1", "rp1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1) },

	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "br", "rp2", PCI_KUNIT_PCIE_PCI_BRIDGE },
	{ "conv0", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(1, 0) },
	{ "conv1", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(2, 0) },
	{ "pci", "br", PCI_KUNIT_PCI_BRIDGE, .devfn = PCI_DEVFN(3, 0) },
	{ "conv2", "pci", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(4, 0) },
	{ "conv3", "pci", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(5, 0) },
};

/* A declaration to be changed */
static struct pci_kunit_node *copy_nodes(struct kunit *test,
					 const struct pci_kunit_node *nodes,
					 size_t count)
{
	size_t size = array_size(count, sizeof(*nodes));
	struct pci_kunit_node *copy = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, nodes, size);
	return copy;
}

/* The fabric below another host bridge */
static struct pci_kunit_tree *fabric_of_host(struct kunit *test, u16 device)
{
	struct pci_kunit_node *nodes;

	nodes = copy_nodes(test, fabric, ARRAY_SIZE(fabric));
	nodes[0].device = device;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(fabric));
}

static void expect_port(struct kunit *test, const struct pci_dev *port,
			const char *name, struct pci_kunit_tree *tree,
			const char *what)
{
	struct pci_dev *want = name ? pci_kunit_dev(tree, name) : NULL;

	KUNIT_EXPECT_PTR_EQ_MSG(test, port, want, "%s is %s, should be %s",
				what, port ? pci_name(port) : "none",
				name ?: "none");
}

/* Compare a verdict, and what drivers are told */
static void expect_route(struct kunit *test, struct pci_kunit_tree *tree,
			 const char *provider, const char *client,
			 const struct pci_p2pdma_route *want,
			 const char *request_port, const char *completion_port)
{
	struct pci_dev *p = pci_kunit_dev(tree, provider);
	struct pci_dev *c = pci_kunit_dev(tree, client);
	struct pci_p2pdma_route got;

	pci_p2pdma_route_decide(p, c, &got);
	KUNIT_EXPECT_STREQ_MSG(test, pci_p2pdma_type_name(got.type),
			       pci_p2pdma_type_name(want->type), "%s to %s",
			       client, provider);
	KUNIT_EXPECT_STREQ_MSG(test, pci_p2pdma_reason_name(got.reason),
			       pci_p2pdma_reason_name(want->reason),
			       "%s to %s", client, provider);
	KUNIT_EXPECT_EQ_MSG(test, got.distance, want->distance, "%s to %s",
			    client, provider);
	expect_port(test, got.request_port, request_port, tree,
		    "port that decides on requests");
	expect_port(test, got.completion_port, completion_port, tree,
		    "port that decides on completions");

	KUNIT_EXPECT_EQ_MSG(test, pci_p2pdma_distance(p, &c->dev, false),
			    want->type == PCI_P2PDMA_MAP_NOT_SUPPORTED ?
			    -1 : (int)want->distance, "%s to %s", client,
			    provider);
}

static void expect_direct(struct kunit *test, struct pci_kunit_tree *tree,
			  const char *provider, const char *client,
			  enum pci_p2pdma_reason reason, unsigned int distance)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_BUS_ADDR,
		.reason = reason,
		.distance = distance,
	};

	expect_route(test, tree, provider, client, &want, NULL, NULL);
}

static void expect_host(struct kunit *test, struct pci_kunit_tree *tree,
			const char *provider, const char *client,
			enum pci_p2pdma_reason reason, unsigned int distance,
			const char *request_port, const char *completion_port)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
		.reason = reason,
		.distance = distance,
	};

	expect_route(test, tree, provider, client, &want, request_port,
		     completion_port);
}

static void expect_none(struct kunit *test, struct pci_kunit_tree *tree,
			const char *provider, const char *client,
			enum pci_p2pdma_reason reason, unsigned int distance,
			const char *request_port, const char *completion_port)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_NOT_SUPPORTED,
		.reason = reason,
		.distance = distance,
	};

	expect_route(test, tree, provider, client, &want, request_port,
		     completion_port);
}

static void one_function(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_direct(test, tree, "mem", "mem", PCI_P2PDMA_SAME_FUNCTION, 0);
	expect_direct(test, tree, "conv2", "conv2", PCI_P2PDMA_SAME_FUNCTION, 0);

	/* Whatever the ports above it do: the traffic does not leave it */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR | PCI_ACS_CR);
	expect_direct(test, tree, "mem", "mem", PCI_P2PDMA_SAME_FUNCTION, 0);
}

static void functions_of_one_device(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	/* Below a switch, below a root port, with and without ACS */
	expect_direct(test, tree, "mem", "mem1", PCI_P2PDMA_SAME_DEVICE, 2);
	expect_direct(test, tree, "ep1", "ep0", PCI_P2PDMA_SAME_DEVICE, 2);
	expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);

	/*
	 * The functions decide, as ports do elsewhere (6.12.1.2).  What they
	 * redirect, dn1 sends up with Upstream Forwarding only (6.12.1.1).
	 */
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_RR);
	expect_none(test, tree, "nic", "nic1", PCI_P2PDMA_NOT_SENT_UP, 2,
		    "nic1", NULL);
	expect_direct(test, tree, "nic1", "nic", PCI_P2PDMA_SAME_DEVICE, 2);
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_CR);
	expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);
	expect_none(test, tree, "nic1", "nic", PCI_P2PDMA_NOT_SENT_UP, 2, NULL,
		    "nic1");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_UF);
	pci_p2pdma_routes_changed();
	expect_none(test, tree, "nic1", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 2,
		    NULL, "nic1");

	/* Their vector counts functions (7.7.11.4) */
	pci_kunit_set_acs(tree, "nic1", PCI_ACS_EC);
	pci_kunit_set(tree, "nic1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V,
		      4, PORT_BIT(0));
	expect_none(test, tree, "nic", "nic1", PCI_P2PDMA_ACS_VIOLATION, 2,
		    "nic1", NULL);
	pci_kunit_set(tree, "nic1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V,
		      4, ~PORT_BIT(0));
	expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);

	/* The port above only passes on what leaves the device */
	pci_kunit_set_acs(tree, "nic1", 0);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR | PCI_ACS_CR);
	expect_direct(test, tree, "nic", "nic1", PCI_P2PDMA_SAME_DEVICE, 2);
}

static void one_switch(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "mem", "nic1", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "mem", "far", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "gpu", "ssd", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* Through a port without ACS, on either side */
	expect_direct(test, tree, "mem", "old", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "old", "mem", PCI_P2PDMA_COMMON_SWITCH, 4);
}

static void nested_switches(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH, 6);
	expect_direct(test, tree, "gpu", "mem", PCI_P2PDMA_COMMON_SWITCH, 6);
	expect_direct(test, tree, "ssd", "nic1", PCI_P2PDMA_COMMON_SWITCH, 6);
}

/* A switch may have memory itself, behind its upstream port */
static void provider_is_upstream_port(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_direct(test, tree, "up0", "nic", PCI_P2PDMA_COMMON_SWITCH, 2);
	expect_direct(test, tree, "up0", "gpu", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_none(test, tree, "up0", "ep0", PCI_P2PDMA_HOST_NOT_LISTED, 4,
		    NULL, NULL);
}

static void different_root_ports(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_none(test, tree, "mem", "ep0", PCI_P2PDMA_HOST_NOT_LISTED, 6,
		    NULL, NULL);
	expect_none(test, tree, "ep0", "mem", PCI_P2PDMA_HOST_NOT_LISTED, 6,
		    NULL, NULL);
	expect_none(test, tree, "ep0", "gpu", PCI_P2PDMA_HOST_NOT_LISTED, 8,
		    NULL, NULL);
	expect_none(test, tree, "conv2", "ep0", PCI_P2PDMA_HOST_NOT_LISTED, 6,
		    NULL, NULL);
}

static void conventional_segments(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	expect_direct(test, tree, "conv0", "conv1", PCI_P2PDMA_COMMON_SEGMENT, 2);
	expect_direct(test, tree, "conv2", "conv3", PCI_P2PDMA_COMMON_SEGMENT, 2);
	expect_direct(test, tree, "conv0", "conv2", PCI_P2PDMA_COMMON_SEGMENT, 3);
	expect_direct(test, tree, "conv2", "conv0", PCI_P2PDMA_COMMON_SEGMENT, 3);

	/* The root port above has no part in it */
	pci_kunit_set_acs(tree, "rp2", PCI_ACS_RR | PCI_ACS_CR);
	expect_direct(test, tree, "conv0", "conv2", PCI_P2PDMA_COMMON_SEGMENT, 3);
}

/* A segment below a switch: its port decides, as for any other device */
static const struct pci_kunit_node segment_below_switch[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, UNLISTED },
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
	expect_direct(test, tree, "mem", "conv", PCI_P2PDMA_COMMON_SWITCH, 5);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR);
	expect_none(test, tree, "mem", "conv", PCI_P2PDMA_HOST_NOT_LISTED, 5,
		    "dn0", NULL);
	expect_direct(test, tree, "conv", "mem", PCI_P2PDMA_COMMON_SWITCH, 5);
}

/* Root complex ------------------------------------------------------------- */

static const struct pci_kunit_node integrated[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, UNLISTED },
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

	expect_direct(test, tree, "a0", "a0", PCI_P2PDMA_SAME_FUNCTION, 0);
	expect_direct(test, tree, "a0", "a1", PCI_P2PDMA_SAME_DEVICE, 2);
	expect_direct(test, tree, "a1", "a0", PCI_P2PDMA_SAME_DEVICE, 2);
	expect_none(test, tree, "a0", "a2", PCI_P2PDMA_HOST_NOT_LISTED, 2, NULL,
		    NULL);
	expect_none(test, tree, "a0", "b0", PCI_P2PDMA_HOST_NOT_LISTED, 2, NULL,
		    NULL);
	expect_none(test, tree, "c0", "c1", PCI_P2PDMA_HOST_NOT_LISTED, 2, NULL,
		    NULL);

	/* Redirection sends them to the root complex, which is on no list */
	pci_kunit_set_acs(tree, "a1", PCI_ACS_RR);
	expect_none(test, tree, "a0", "a1", PCI_P2PDMA_HOST_NOT_LISTED, 2, "a1",
		    NULL);
	expect_direct(test, tree, "a1", "a0", PCI_P2PDMA_SAME_DEVICE, 2);

	pci_kunit_set_acs(tree, "a1", PCI_ACS_EC);
	pci_kunit_set(tree, "a1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V, 4,
		      PORT_BIT(0));
	expect_none(test, tree, "a0", "a1", PCI_P2PDMA_ACS_VIOLATION, 2, "a1",
		    NULL);

	pci_kunit_set_access(tree, "a0", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_acs(tree, "a1", 0);
	expect_none(test, tree, "a0", "a1", PCI_P2PDMA_PORT_UNREADABLE, 2, NULL,
		    "a0");
}

/* Two root ports of the host bridge that is put in */
static struct pci_kunit_tree *two_root_ports(struct kunit *test, u16 vendor,
					     u16 device)
{
	const struct pci_kunit_node nodes[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = vendor,
		  .device = device },
		{ "rp0", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(1, 0) },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(2, 0) },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};

	return PCI_KUNIT_CREATE(test, nodes);
}

static void listed_host_bridges(struct kunit *test)
{
	static const u16 listed[] = {
		0x3c00, 0x3c01, 0x2f00, 0x2f01, 0x2020, 0x2030, 0x2031, 0x2032,
		0x2033, 0x09a2,
	};
	struct pci_kunit_tree *tree;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(listed); i++) {
		tree = two_root_ports(test, PCI_VENDOR_ID_INTEL, listed[i]);
		expect_host(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS, 4,
			    NULL, NULL);
		pci_kunit_destroy(tree);
	}

	/* The same number of another vendor, the next number */
	tree = two_root_ports(test, PCI_VENDOR_ID_REDHAT, 0x2030);
	expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4, NULL,
		    NULL);
	pci_kunit_destroy(tree);
	tree = two_root_ports(test, PCI_VENDOR_ID_INTEL, 0x2034);
	expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4, NULL,
		    NULL);
}

static void cpu_pretend(u8 vendor, u8 family)
{
	cpu_data(0).x86_vendor = vendor;
	cpu_data(0).x86 = family;
}

static void cpu_families(struct kunit *test)
{
	static const struct {
		u8 vendor;
		u8 family;
		bool forwards;
	} cpus[] = {
		{ X86_VENDOR_AMD, 0x15, false },
		{ X86_VENDOR_AMD, 0x16, false },
		{ X86_VENDOR_AMD, 0x17, true },
		{ X86_VENDOR_AMD, 0x19, true },
		{ X86_VENDOR_AMD, 0x1a, true },
		{ X86_VENDOR_INTEL, 0x17, false },
		{ X86_VENDOR_INTEL, 6, false },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		cpu_pretend(cpus[i].vendor, cpus[i].family);
		if (cpus[i].forwards)
			expect_host(test, tree, "mem", "ep0",
				    PCI_P2PDMA_CPU_FORWARDS, 6, NULL, NULL);
		else
			expect_none(test, tree, "mem", "ep0",
				    PCI_P2PDMA_HOST_NOT_LISTED, 6, NULL, NULL);
	}

	/* Direct routes are preferred, redirected ones become possible */
	cpu_pretend(X86_VENDOR_AMD, 0x19);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	expect_host(test, tree, "mem", "nic", PCI_P2PDMA_CPU_FORWARDS, 4, "dn1",
		    NULL);
}

/* Some platforms have nothing at 00.0: the first device counts */
static void first_device_names_the_host(struct kunit *test)
{
	static const struct pci_kunit_node late[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
		{ "rp0", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(3, 0), LISTED },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(4, 0) },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};
	static const struct pci_kunit_node behind[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, UNLISTED },
		{ "rp0", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(3, 0), LISTED },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(4, 0), LISTED },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, late);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			0x20308086);
	expect_host(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS, 4, NULL, NULL);

	tree = PCI_KUNIT_CREATE(test, behind);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			0x29c08086);
	expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4, NULL,
		    NULL);
}

/* A root bus of which nothing can be read is not known to forward */
static void nobody_names_the_host(struct kunit *test)
{
	struct pci_kunit_tree *tree = two_root_ports(test, PCI_VENDOR_ID_INTEL,
						     0x2030);

	pci_kunit_set_access(tree, "host", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_access(tree, "rp0", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_access(tree, "rp1", PCI_KUNIT_ACCESS_ERROR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			U32_MAX);
	expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4, NULL,
		    NULL);
}

static void two_host_bridges(struct kunit *test)
{
	static const struct {
		u16 a;
		u16 b;
		enum pci_p2pdma_reason reason;
	} pairs[] = {
		{ 0x2030, 0x2030, PCI_P2PDMA_HOST_FORWARDS },
		{ 0x2030, 0x09a2, PCI_P2PDMA_HOST_FORWARDS },
		{ 0x3c00, 0x3c00, PCI_P2PDMA_HOST_BRIDGES_APART },
		{ 0x3c00, 0x2030, PCI_P2PDMA_HOST_BRIDGES_APART },
		{ 0x2030, 0x3c00, PCI_P2PDMA_HOST_BRIDGES_APART },
		{ 0x2030, 0x29c0, PCI_P2PDMA_HOST_NOT_LISTED },
		{ 0x29c0, 0x2030, PCI_P2PDMA_HOST_NOT_LISTED },
		{ 0x3c00, 0x29c0, PCI_P2PDMA_HOST_NOT_LISTED },
	};
	static const struct pci_kunit_node hosts[] = {
		{ "host0", NULL, PCI_KUNIT_HOST_BRIDGE,
		  .vendor = PCI_VENDOR_ID_INTEL },
		{ "rp0", "host0", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(1, 0) },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "host1", NULL, PCI_KUNIT_HOST_BRIDGE,
		  .vendor = PCI_VENDOR_ID_INTEL, .busnr = 0x80 },
		{ "rp1", "host1", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(1, 0) },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};
	struct pci_kunit_node *nodes;
	struct pci_kunit_tree *tree;
	unsigned int i;

	nodes = copy_nodes(test, hosts, ARRAY_SIZE(hosts));

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		nodes[0].device = pairs[i].a;
		nodes[3].device = pairs[i].b;
		tree = pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
		if (pairs[i].reason == PCI_P2PDMA_HOST_FORWARDS)
			expect_host(test, tree, "a", "b", pairs[i].reason, 4,
				    NULL, NULL);
		else
			expect_none(test, tree, "a", "b", pairs[i].reason, 4,
				    NULL, NULL);
		pci_kunit_destroy(tree);
	}
}

/* Access control on trees -------------------------------------------------- */

static void redirected_requests(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	/* Where the client's requests arrive, and only there */
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4, "dn1",
		    NULL);
	expect_none(test, tree, "gpu", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 6, "dn1",
		    NULL);
	expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* Nested: the port of the switch where the paths part */
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	expect_none(test, tree, "mem", "gpu", PCI_P2PDMA_HOST_NOT_LISTED, 6, "dn2",
		    NULL);
	expect_direct(test, tree, "ssd", "gpu", PCI_P2PDMA_COMMON_SWITCH, 4);
}

static void redirected_completions(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4, NULL,
		    "dn0");
	expect_direct(test, tree, "nic", "mem", PCI_P2PDMA_COMMON_SWITCH, 4);

	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4, "dn1",
		    "dn0");
}

/* A redirected route is usable where the root complex forwards */
static void redirected_through_listed_host(struct kunit *test)
{
	struct pci_kunit_tree *tree = fabric_of_host(test, 0x3c01);

	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	expect_host(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS, 4, "dn1",
		    NULL);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	expect_host(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS, 4, "dn1",
		    "dn0");
	expect_host(test, tree, "mem", "ep0", PCI_P2PDMA_HOST_FORWARDS, 6, NULL,
		    NULL);

	/* No root complex helps against a violation */
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC);
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V, 4,
		      PORT_BIT(1));
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4, "dn1",
		    "dn0");
}

/*
 * Stock counts redirection at every port from both devices up to, and with,
 * the common one, so that it refuses routes that the fabric takes.
 */
static void ports_that_do_not_decide(struct kunit *test)
{
	const u16 redirect = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	/* Above: the common upstream port, the root port */
	pci_kunit_set_acs(tree, "up0", redirect);
	pci_kunit_set_acs(tree, "rp0", redirect);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH, 6);

	/* Below: the ports of the inner switch only pass on what goes up */
	pci_kunit_set_acs(tree, "up1", redirect);
	pci_kunit_set_acs(tree, "dn3", redirect);
	pci_kunit_set_acs(tree, "dn4", redirect);
	expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH, 6);
	expect_direct(test, tree, "gpu", "mem", PCI_P2PDMA_COMMON_SWITCH, 6);

	/* Beside: ports of the same switch, functions that others share */
	pci_kunit_set_acs(tree, "dn5", redirect);
	pci_kunit_set_acs(tree, "nic1", redirect);
	pci_kunit_set_acs(tree, "nic", redirect);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* The other direction's bit at the ports that decide */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_RR | PCI_ACS_UF);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_CR | PCI_ACS_UF);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* The remaining bits everywhere */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_DT);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_DT);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
}

static void set_vector(struct pci_kunit_tree *tree, const char *name,
		       unsigned int dword, u32 value)
{
	pci_kunit_set(tree, name, PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V +
		      4 * dword, 4, value);
}

/* dn0 is port 1, dn2 is port 3, dn5 is port 40; the vector has 256 bits */
static void egress_control(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);

	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* The bit of the port through which the request would leave */
	set_vector(tree, "dn1", 0, PORT_BIT(1));
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4, "dn1",
		    NULL);
	expect_direct(test, tree, "gpu", "nic", PCI_P2PDMA_COMMON_SWITCH, 6);
	set_vector(tree, "dn1", 0, ~PORT_BIT(1));
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
	expect_none(test, tree, "gpu", "nic", PCI_P2PDMA_ACS_VIOLATION, 6, "dn1",
		    NULL);

	/* In the second DWORD */
	set_vector(tree, "dn1", 0, 0);
	set_vector(tree, "dn1", 1, PORT_BIT(8));
	expect_none(test, tree, "far", "nic", PCI_P2PDMA_ACS_VIOLATION, 4, "dn1",
		    NULL);
	set_vector(tree, "dn1", 1, ~PORT_BIT(8));
	expect_direct(test, tree, "far", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* A vector of ones is not a port that is gone */
	set_vector(tree, "dn1", 0, U32_MAX);
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION, 4, "dn1",
		    NULL);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_EC | PCI_ACS_RR);
	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED, 4, "dn1",
		    NULL);

	/* Where the bit is clear, Request Redirect does not count */
	set_vector(tree, "dn1", 0, 0);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* It is not for completions */
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_EC);
	set_vector(tree, "dn0", 0, U32_MAX);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* A vector that has no bit for the port */
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2,
		      ACS_ALL | VECTOR(40));
	set_vector(tree, "dn1", 1, 0);
	expect_none(test, tree, "far", "nic", PCI_P2PDMA_PORT_UNREADABLE, 4, "dn1",
		    NULL);
	pci_kunit_set(tree, "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2,
		      ACS_ALL | VECTOR(41));
	expect_direct(test, tree, "far", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

	/* The target's number cannot be read; its ACS does not matter */
	pci_kunit_set_access(tree, "dn6", PCI_KUNIT_ACCESS_ALL_ONES);
	expect_none(test, tree, "old", "nic", PCI_P2PDMA_PORT_UNREADABLE, 4, "dn1",
		    NULL);
}

/* Ports that do not answer ------------------------------------------------- */

/*
 * Stock takes what a failed read leaves behind for the register: all ones are
 * "redirect", an error may be anything.
 */
static void unreadable_ports(struct kunit *test)
{
	static const enum pci_kunit_access modes[] = {
		PCI_KUNIT_ACCESS_ALL_ONES, PCI_KUNIT_ACCESS_ERROR,
	};
	/* Were it redirected, the host would forward it */
	struct pci_kunit_tree *tree = fabric_of_host(test, 0x2030);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "dn1", modes[i]);
		expect_none(test, tree, "mem", "nic", PCI_P2PDMA_PORT_UNREADABLE,
			    4, "dn1", NULL);
		expect_none(test, tree, "nic", "mem", PCI_P2PDMA_PORT_UNREADABLE,
			    4, NULL, "dn1");
		pci_kunit_set_access(tree, "dn1", PCI_KUNIT_ACCESS_NORMAL);
		expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);

		/* Ports that do not decide are not asked */
		pci_kunit_set_access(tree, "up0", modes[i]);
		pci_kunit_set_access(tree, "dn3", modes[i]);
		expect_direct(test, tree, "mem", "gpu", PCI_P2PDMA_COMMON_SWITCH, 6);
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
		tree = PCI_KUNIT_CREATE(test, fabric);
		expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH, 4);
		pci_dev_set_disconnected(pci_kunit_dev(tree, gone[i]), NULL);
		expect_none(test, tree, "mem", "nic", PCI_P2PDMA_PORT_UNREADABLE,
			    4, i == 2 ? "dn1" : NULL, i == 3 ? "dn0" : NULL);
		pci_kunit_destroy(tree);
	}
}

/* Who asks ----------------------------------------------------------------- */

/* A device that the tree does not know, below @parent or nothing */
static struct device *other_device(struct kunit *test, struct device *parent)
{
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->parent = parent;
	dev->init_name = "p2pdma_route_test";
	return dev;
}

static void clients_that_are_not_pci(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct device *child = other_device(test, &nic->dev);
	struct device *grandchild = other_device(test, child);
	struct device *orphan = other_device(test, NULL);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, child, false), 4);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, grandchild, true), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, grandchild, false), -1);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, orphan, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, orphan, true), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, other_device(test, orphan),
						  false), -1);
	/* Its host bridge is no function */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, &pci_kunit_host(tree, "host")->dev,
						  false), -1);
}

static void several_clients(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct device *clients[] = {
		&pci_kunit_dev(tree, "nic")->dev,
		&pci_kunit_dev(tree, "gpu")->dev,
		&mem->dev,
		&pci_kunit_dev(tree, "ep0")->dev,
		NULL,
	};

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 1, false), 4);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 2, false), 10);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 3, false), 10);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 3, true), 10);
	/* One that cannot is enough */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 4, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients + 3, 1, true), -1);
	swap(clients[0], clients[3]);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 4, true), -1);

	/* Nobody asks for nothing */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, 0, true), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients, -1, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, NULL, 1, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(NULL, clients, 1, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance_many(mem, clients + 4, 1, true), -1);
}

/* The cache ---------------------------------------------------------------- */

static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree,
				     const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 4, 0, 0), 0);
	return pdev;
}

static int ask(struct pci_kunit_tree *tree, struct pci_dev *provider,
	       const char *client)
{
	return pci_p2pdma_distance(provider, &pci_kunit_dev(tree, client)->dev,
				   false);
}

/* Stock reads two to five registers for each question */
static void warm_answers_read_nothing(struct kunit *test)
{
	static const char * const clients[] = {
		"nic", "gpu", "ep0", "mem", "conv2",
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	int cold[ARRAY_SIZE(clients)], round;
	unsigned long reads;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clients); i++)
		cold[i] = ask(tree, mem, clients[i]);

	reads = pci_kunit_reads(tree, NULL);
	for (round = 0; round < 3; round++)
		for (i = 0; i < ARRAY_SIZE(clients); i++)
			KUNIT_EXPECT_EQ_MSG(test, ask(tree, mem, clients[i]),
					    cold[i], "%s", clients[i]);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), reads);

	/* Who maps pages asks the same cache */
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      &pci_kunit_dev(tree, "nic")->dev),
			PCI_P2PDMA_MAP_BUS_ADDR);
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      &pci_kunit_dev(tree, "ep0")->dev),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), reads);

	/* Who wants to know why is told from the registers */
	pci_p2pdma_distance(mem, &pci_kunit_dev(tree, "nic")->dev, true);
	KUNIT_EXPECT_GT(test, pci_kunit_reads(tree, NULL), reads);
}

/* Only functions do DMA; whatever hangs below them must ask for itself */
static void route_type_is_for_functions(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;

	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      other_device(test, nic)),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
}

/*
 * Stock never forgets a verdict: it is wrong after a change of ACS at run time,
 * and for the next device in the same slot.
 */
static void changed_policy_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
}

static void changed_topology_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");

	/* Another device in the same slot */
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "far"), 4);
	pci_kunit_remove(tree, "far");
	pci_kunit_set_acs(tree, "dn5", PCI_ACS_RR);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn5", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "far"), -1);

	/* A whole switch in between, and a verdict on somebody else */
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "gpu"), 6);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	pci_kunit_remove(tree, "dn2");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "gpu"), 6);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
}

/* A provider that comes back knows nothing of its earlier life */
static void new_provider_starts_afresh(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	pci_kunit_unbind(tree, "mem");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
	mem = make_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
}

/*
 * Stock keeps verdicts by domain << 16 | bus << 8 | devfn in an int, in which
 * domains of 0x10000 and up (VMD) vanish: a client is given the verdict on one
 * of another domain.
 */
static void high_domains_are_not_confused(struct kunit *test)
{
	static const struct pci_kunit_node low[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, UNLISTED, .domain = 5 },
		{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
		{ "up", "rp", PCI_KUNIT_UPSTREAM_PORT },
		{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT },
		{ "mem", "dn0", PCI_KUNIT_ENDPOINT, MEMORY },
		{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT,
		  .devfn = PCI_DEVFN(1, 0) },
		{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	};
	static const int domains[] = { 0x10005, 0x20005, 0x7fff0005 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, low), *other;
	struct pci_kunit_node *nodes = copy_nodes(test, low, ARRAY_SIZE(low));
	struct pci_dev *mem, *nic = pci_kunit_dev(tree, "nic");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		nodes[0].domain = domains[i];
		other = pci_kunit_create(test, nodes, ARRAY_SIZE(low));
		KUNIT_ASSERT_EQ(test, pci_dev_id(nic),
				pci_dev_id(pci_kunit_dev(other, "nic")));

		/* The near one first, then the far one, and the reverse */
		mem = make_provider(test, tree, "mem");
		KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
		KUNIT_EXPECT_EQ(test, ask(other, mem, "nic"), -1);
		KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
		pci_kunit_unbind(tree, "mem");

		mem = make_provider(test, other, "mem");
		KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
		KUNIT_EXPECT_EQ(test, ask(other, mem, "nic"), 4);
		KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
		pci_kunit_destroy(other);
	}
}

/* What is said ------------------------------------------------------------- */

#define LOG_LINE	1024

/* The end of the kernel log as it is now */
static void log_mark(struct kmsg_dump_iter *iter)
{
	kmsg_dump_rewind(iter);
	while (kmsg_dump_get_line(iter, false, NULL, 0, NULL))
		;
}

/* Number of lines since the mark that contain @text; the last is returned */
static unsigned int log_count(struct kmsg_dump_iter *iter, const char *text,
			      char *line)
{
	char *buf __free(kfree) = kmalloc(LOG_LINE, GFP_KERNEL);
	unsigned int n = 0;
	size_t len;

	while (buf && kmsg_dump_get_line(iter, false, buf, LOG_LINE - 1, &len)) {
		buf[len] = '\0';
		if (!strstr(buf, text))
			continue;
		strscpy(line, buf, LOG_LINE);
		n++;
	}
	return n;
}

/*
 * Stock passes the number of redirecting ports for the flag that tells whether
 * to print: it prints when told to be quiet, and does not say that there is no
 * common bridge when asked.
 */
static void speaks_only_when_asked(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct device *clients[] = {
		&nic->dev,
		&pci_kunit_dev(tree, "ep0")->dev,
		&pci_kunit_dev(tree, "gpu")->dev,
		other_device(test, NULL),
	};
	char *line = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);
	struct kmsg_dump_iter iter;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, line);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);

	log_mark(&iter);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		pci_p2pdma_distance(mem, clients[i], false);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "peer-to-peer", line), 0);

	/* One line for each, also for those after the first that cannot */
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_distance_many(mem, clients,
						 ARRAY_SIZE(clients), true),
			-1);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "peer-to-peer", line),
			ARRAY_SIZE(clients));

	/* No common port */
	pci_p2pdma_distance(mem, clients[1], true);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "peer-to-peer", line), 1);
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, pci_name(mem)));
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, dev_name(clients[1])));
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, "8086:29c0"));
	KUNIT_EXPECT_NULL(test, strstr(line, "pci="));
}

static void describe(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client, char *text)
{
	struct pci_dev *p = pci_kunit_dev(tree, provider);
	struct pci_dev *c = pci_kunit_dev(tree, client);
	struct pci_p2pdma_route route;
	struct seq_buf s;

	pci_p2pdma_route_decide(p, c, &route);
	seq_buf_init(&s, text, LOG_LINE);
	pci_p2pdma_route_describe(&s, p, c, &route);
	seq_buf_str(&s);
	KUNIT_EXPECT_FALSE(test, seq_buf_has_overflowed(&s));
}

/* The text ends with the parameter for these ports, in quotes, or has none */
static void expect_remedy(struct kunit *test, struct pci_kunit_tree *tree,
			  const char *text, const char *a, const char *b)
{
	const char *at = strstr(text, "\"pci=");
	char want[128];

	if (!a) {
		KUNIT_EXPECT_NULL_MSG(test, strstr(text, "pci="), "%s", text);
		return;
	}
	snprintf(want, sizeof(want), "\"pci=disable_acs_redir=%s%s%s\"",
		 pci_name(pci_kunit_dev(tree, a)), b ? ";" : "",
		 b ? pci_name(pci_kunit_dev(tree, b)) : "");
	KUNIT_ASSERT_NOT_NULL_MSG(test, at, "%s", text);
	KUNIT_EXPECT_STREQ(test, at, want);
}

static void names_the_remedy(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	char *text = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);

	describe(test, tree, "mem", "nic", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "directly"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "(distance 4)"));
	expect_remedy(test, tree, text, NULL, NULL);

	/* Ports that redirect, but have no say, are not named */
	pci_kunit_set_acs(tree, "up0", PCI_ACS_RR | PCI_ACS_CR);
	pci_kunit_set_acs(tree, "rp0", PCI_ACS_RR | PCI_ACS_CR);
	pci_kunit_set_acs(tree, "dn3", PCI_ACS_RR | PCI_ACS_CR);

	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	describe(test, tree, "mem", "gpu", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "cannot reach"));
	expect_remedy(test, tree, text, "dn2", NULL);

	pci_kunit_set_acs(tree, "dn2", 0);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, "dn0", NULL);

	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, "dn2", "dn0");

	/* Also where the route works, but takes a detour */
	cpu_pretend(X86_VENDOR_AMD, 0x19);
	describe(test, tree, "mem", "gpu", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "through the host bridge"));
	expect_remedy(test, tree, text, "dn2", "dn0");

	/* Not where no parameter helps */
	pci_kunit_set_access(tree, "dn2", PCI_KUNIT_ACCESS_ALL_ONES);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, NULL, NULL);
}

#define DEEP_LEVELS	8

/*
 * Stock gathers the names of all redirecting ports in a buffer of 128 bytes:
 * with ten of them it writes a byte beyond its end, and prints a parameter that
 * is cut short.
 */
static void many_redirecting_ports(struct kunit *test)
{
	struct pci_kunit_node *nodes, *node;
	char names[2][DEEP_LEVELS][2][8];
	struct pci_kunit_tree *tree;
	const char *parent;
	unsigned int i, k;
	char *text;

	text = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);
	nodes = kunit_kcalloc(test, 5 + 4 * DEEP_LEVELS, sizeof(*nodes),
			      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, nodes);

	/* Two towers of switches below one, all ports of which redirect */
	node = nodes;
	*node++ = (struct pci_kunit_node){ "host", NULL, PCI_KUNIT_HOST_BRIDGE,
					   UNLISTED };
	*node++ = (struct pci_kunit_node){ "rp", "host", PCI_KUNIT_ROOT_PORT,
					   .devfn = PCI_DEVFN(1, 0) };
	*node++ = (struct pci_kunit_node){ "up", "rp",
					   PCI_KUNIT_UPSTREAM_PORT };
	for (k = 0; k < 2; k++) {
		parent = "up";
		for (i = 0; i < DEEP_LEVELS; i++) {
			snprintf(names[k][i][0], 8, "d%u.%u", k, i);
			snprintf(names[k][i][1], 8, "u%u.%u", k, i);
			*node++ = (struct pci_kunit_node){
				names[k][i][0], parent,
				PCI_KUNIT_DOWNSTREAM_PORT,
				.devfn = PCI_DEVFN(i ? 0 : k, 0),
				.acs = PCI_KUNIT_ACS(ACS_ALL, PCI_ACS_RR |
						     PCI_ACS_CR),
			};
			parent = names[k][i][0];
			if (i == DEEP_LEVELS - 1)
				break;
			*node++ = (struct pci_kunit_node){
				names[k][i][1], parent, PCI_KUNIT_UPSTREAM_PORT,
			};
			parent = names[k][i][1];
		}
		*node++ = (struct pci_kunit_node){ k ? "nic" : "mem", parent,
						   PCI_KUNIT_ENDPOINT };
	}
	tree = pci_kunit_create(test, nodes, node - nodes);

	expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED,
		    4 * DEEP_LEVELS, "d1.0", "d0.0");
	describe(test, tree, "mem", "nic", text);
	expect_remedy(test, tree, text, "d1.0", "d0.0");

	/* The two that it names are enough */
	pci_kunit_set_acs(tree, "d1.0", 0);
	pci_kunit_set_acs(tree, "d0.0", 0);
	expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
		      4 * DEEP_LEVELS);
}

/* Scripts and tracing rely on one word for each */
static void names_are_words(struct kunit *test)
{
	int i, k;

	for (i = PCI_P2PDMA_SAME_FUNCTION; i <= PCI_P2PDMA_HOST_BRIDGES_APART; i++) {
		const char *name = pci_p2pdma_reason_name(i);

		KUNIT_ASSERT_NOT_NULL(test, name);
		KUNIT_EXPECT_GT(test, strlen(name), 0);
		KUNIT_EXPECT_NULL_MSG(test, strpbrk(name, " =\t"), "%s", name);
		for (k = PCI_P2PDMA_SAME_FUNCTION; k < i; k++)
			KUNIT_EXPECT_STRNEQ(test, name,
					    pci_p2pdma_reason_name(k));
	}
	KUNIT_EXPECT_STREQ(test, pci_p2pdma_type_name(PCI_P2PDMA_MAP_BUS_ADDR),
			   "bus-address");
	KUNIT_EXPECT_STREQ(test,
			   pci_p2pdma_type_name(PCI_P2PDMA_MAP_THRU_HOST_BRIDGE),
			   "host-bridge");
	KUNIT_EXPECT_STREQ(test,
			   pci_p2pdma_type_name(PCI_P2PDMA_MAP_NOT_SUPPORTED),
			   "unsupported");
}

/* The suite ---------------------------------------------------------------- */

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static bool locks_before;
static u8 cpu_vendor;
static u8 cpu_family;

static int p2pdma_route_suite_init(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;
	cpu_vendor = cpu_data(0).x86_vendor;
	cpu_family = cpu_data(0).x86;
	return 0;
}

static void p2pdma_route_suite_exit(struct kunit_suite *suite)
{
	cpu_pretend(cpu_vendor, cpu_family);
}

/* A case that pretends otherwise must not reach the next one */
static int p2pdma_route_init(struct kunit *test)
{
	cpu_pretend(X86_VENDOR_INTEL, 6);
	return 0;
}

/* Last: nothing in this suite made the kernel complain */
static void kernel_has_not_complained(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}

static struct kunit_case p2pdma_route_cases[] = {
	KUNIT_CASE_PARAM(acs_on_requests, request_gen_params),
	KUNIT_CASE_PARAM(acs_on_translated_requests, translated_gen_params),
	KUNIT_CASE_PARAM(acs_on_completions, completion_gen_params),
	KUNIT_CASE(acs_vector_size),
	KUNIT_CASE(one_function),
	KUNIT_CASE(functions_of_one_device),
	KUNIT_CASE(one_switch),
	KUNIT_CASE(nested_switches),
	KUNIT_CASE(provider_is_upstream_port),
	KUNIT_CASE(different_root_ports),
	KUNIT_CASE(conventional_segments),
	KUNIT_CASE(conventional_below_switch),
	KUNIT_CASE(integrated_endpoints),
	KUNIT_CASE(listed_host_bridges),
	KUNIT_CASE(cpu_families),
	KUNIT_CASE(first_device_names_the_host),
	KUNIT_CASE(nobody_names_the_host),
	KUNIT_CASE(two_host_bridges),
	KUNIT_CASE(redirected_requests),
	KUNIT_CASE(redirected_completions),
	KUNIT_CASE(redirected_through_listed_host),
	KUNIT_CASE(ports_that_do_not_decide),
	KUNIT_CASE(egress_control),
	KUNIT_CASE(unreadable_ports),
	KUNIT_CASE(disconnected_devices),
	KUNIT_CASE(clients_that_are_not_pci),
	KUNIT_CASE(several_clients),
	KUNIT_CASE(warm_answers_read_nothing),
	KUNIT_CASE(route_type_is_for_functions),
	KUNIT_CASE(changed_policy_is_noticed),
	KUNIT_CASE(changed_topology_is_noticed),
	KUNIT_CASE(new_provider_starts_afresh),
	KUNIT_CASE(high_domains_are_not_confused),
	KUNIT_CASE(speaks_only_when_asked),
	KUNIT_CASE(names_the_remedy),
	KUNIT_CASE(many_redirecting_ports),
	KUNIT_CASE(names_are_words),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite p2pdma_route_suite = {
	.name = "p2pdma_route",
	.init = p2pdma_route_init,
	.suite_init = p2pdma_route_suite_init,
	.suite_exit = p2pdma_route_suite_exit,
	.test_cases = p2pdma_route_cases,
};

kunit_test_suite(p2pdma_route_suite);

MODULE_DESCRIPTION("KUnit tests of the routes of peer-to-peer DMA");
MODULE_LICENSE("GPL");
