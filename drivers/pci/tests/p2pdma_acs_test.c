// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what Access Control Services do to a TLP at one port
 * (p2pdma_acs.c).
 *
 * Tables of port states: each row is a case that names the clause of the PCIe
 * specification (r6.x) that it rests on.  "6.12.3" is the text and table on how
 * ACS controls interact, "7.7.11.n" the ACS capability and its registers.  There
 * are no devices: the functions are pure.
 */
#include <kunit/test.h>

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "../p2pdma_acs.h"
#include "p2pdma_test.h"

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

static struct kunit_case p2pdma_acs_cases[] = {
	KUNIT_CASE_PARAM(acs_on_requests, request_gen_params),
	KUNIT_CASE_PARAM(acs_on_translated_requests, translated_gen_params),
	KUNIT_CASE_PARAM(acs_on_completions, completion_gen_params),
	KUNIT_CASE(acs_vector_size),
	{}
};

static struct kunit_suite p2pdma_acs_suite = {
	.name = "p2pdma_acs",
	.test_cases = p2pdma_acs_cases,
};

kunit_test_suite(p2pdma_acs_suite);

MODULE_DESCRIPTION("KUnit tests of access control in peer-to-peer DMA");
MODULE_LICENSE("GPL");
