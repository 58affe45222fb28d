// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is known of root complexes (p2pdma_host.c): the list, the
 * families of CPUs, the hypervisor's word, and the administrator's.
 *
 * Whose word counts shows in the verdicts on declared trees.  The administrator
 * speaks through the file of the module parameter in sysfs, as with echo.  The
 * use of an override must leave a taint, so this suite does.
 */
#include <kunit/test.h>

#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "p2pdma_test.h"

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
		p2p_expect_host(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS,
				4, NULL, NULL);
		pci_kunit_destroy(tree);
	}

	/* The same number of another vendor, the next number */
	tree = two_root_ports(test, PCI_VENDOR_ID_REDHAT, 0x2030);
	p2p_expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, NULL);
	pci_kunit_destroy(tree);
	tree = two_root_ports(test, PCI_VENDOR_ID_INTEL, 0x2034);
	p2p_expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, NULL);
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
	struct pci_kunit_tree *tree = p2p_fabric(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		pci_kunit_pretend_cpu(cpus[i].vendor, cpus[i].family);
		if (cpus[i].forwards)
			p2p_expect_host(test, tree, "mem", "ep0",
					PCI_P2PDMA_CPU_FORWARDS, 6, NULL, NULL);
		else
			p2p_expect_none(test, tree, "mem", "ep0",
					PCI_P2PDMA_HOST_NOT_LISTED, 6, NULL,
					NULL);
	}

	/* Direct routes are preferred, redirected ones become possible */
	pci_kunit_pretend_cpu(X86_VENDOR_AMD, 0x19);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	p2p_expect_host(test, tree, "mem", "nic", PCI_P2PDMA_CPU_FORWARDS, 4,
			"dn1", NULL);
}

/* Some platforms have nothing at 00.0: the first device counts */
static void first_device_names_the_host(struct kunit *test)
{
	static const struct pci_kunit_node late[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
		{ "rp0", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(3, 0),
		  INTEL_HOST(LISTED) },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(4, 0) },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};
	static const struct pci_kunit_node behind[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
		{ "rp0", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(3, 0),
		  INTEL_HOST(LISTED) },
		{ "a", "rp0", PCI_KUNIT_ENDPOINT },
		{ "rp1", "host", PCI_KUNIT_ROOT_PORT,
		  .devfn = PCI_DEVFN(4, 0),
		  INTEL_HOST(LISTED) },
		{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, late);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			0x20308086);
	p2p_expect_host(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS, 4, NULL,
			NULL);

	tree = PCI_KUNIT_CREATE(test, behind);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			0x29c08086);
	p2p_expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, NULL);
}

/* A root bus of which nothing can be read is not known to forward */
static void nobody_names_the_host(struct kunit *test)
{
	struct pci_kunit_tree *tree = two_root_ports(test, PCI_VENDOR_ID_INTEL,
						     0x2030);
	struct pci_p2pdma_route route;
	struct seq_buf s;
	char text[512];

	pci_kunit_set_access(tree, "host", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_access(tree, "rp0", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_set_access(tree, "rp1", PCI_KUNIT_ACCESS_ERROR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_host_id(pci_kunit_dev(tree, "b")),
			U32_MAX);
	p2p_expect_none(test, tree, "a", "b", PCI_P2PDMA_HOST_NOT_LISTED, 4,
			NULL, NULL);

	/* No entry of the table could name it, so that none is proposed */
	pci_p2pdma_route_decide(pci_kunit_dev(tree, "a"),
				pci_kunit_dev(tree, "b"), &route);
	seq_buf_init(&s, text, sizeof(text));
	pci_p2pdma_route_describe(&s, pci_kunit_dev(tree, "a"),
				  pci_kunit_dev(tree, "b"), &route);
	KUNIT_EXPECT_NOT_NULL(test, strstr(seq_buf_str(&s), "no ID to allow"));
	KUNIT_EXPECT_NULL(test, strstr(text, "ffff"));
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

	nodes = p2p_copy_nodes(test, hosts, ARRAY_SIZE(hosts));

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		nodes[0].device = pairs[i].a;
		nodes[3].device = pairs[i].b;
		tree = pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
		if (pairs[i].reason == PCI_P2PDMA_HOST_FORWARDS)
			p2p_expect_host(test, tree, "a", "b", pairs[i].reason,
					4, NULL, NULL);
		else
			p2p_expect_none(test, tree, "a", "b", pairs[i].reason,
					4, NULL, NULL);
		pci_kunit_destroy(tree);
	}
}

/* Nothing at 00.0: what comes first on a root bus names the root complex */
static const struct pci_kunit_node hosts[] = {
	{ "host0", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "first0", "host0", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(3, 0) },
	{ "rp0", "host0", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(4, 0) },
	{ "a", "rp0", PCI_KUNIT_ENDPOINT },
	{ "rp1", "host0", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(5, 0) },
	{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	{ "host1", NULL, PCI_KUNIT_HOST_BRIDGE, .busnr = 0x80 },
	{ "first1", "host1", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(1, 0) },
	{ "rp2", "host1", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "c", "rp2", PCI_KUNIT_ENDPOINT },
};

static struct pci_kunit_tree *two_hosts(struct kunit *test, u16 vendor_a,
					u16 device_a, u16 vendor_b,
					u16 device_b)
{
	struct pci_kunit_node *nodes =
		p2p_copy_nodes(test, hosts, ARRAY_SIZE(hosts));

	nodes[1].vendor = vendor_a;
	nodes[1].device = device_a;
	nodes[7].vendor = vendor_b;
	nodes[7].device = device_b;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
}

#define GOOGLE		0x1ae0

static const struct host_row {
	u16 vendor;
	u16 device;
	enum { NOWHERE, SAME_ONLY, ANYWHERE } forwards;
} host_rows[] = {
	{ INTEL, LISTED_SAME, SAME_ONLY }, { INTEL, LISTED, ANYWHERE },
	/* Accelerators: DSA, IAA, QAT */
	{ INTEL, 0x0b25, ANYWHERE }, { INTEL, 0x0cfe, ANYWHERE },
	{ INTEL, 0x4940, ANYWHERE }, { INTEL, 0x4942, ANYWHERE },
	{ INTEL, 0x4944, ANYWHERE }, { INTEL, 0x4941, NOWHERE },
	{ GOOGLE, 0x0001, ANYWHERE }, { GOOGLE, 0xabcd, ANYWHERE },
	{ GOOGLE + 1, 0x0001, NOWHERE },
};

static void host_row_name(const struct host_row *row, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%04x:%04x", row->vendor,
		 row->device);
}

KUNIT_ARRAY_PARAM(host_row, host_rows, host_row_name);

/* Stock knows neither the wildcard nor the accelerators */
static void table_of_hosts(struct kunit *test)
{
	const struct host_row *row = test->param_value;
	struct pci_kunit_tree *tree = two_hosts(test, row->vendor, row->device,
						row->vendor, row->device);
	enum pci_p2pdma_reason same = PCI_P2PDMA_HOST_NOT_LISTED, two = same;

	if (row->forwards != NOWHERE) {
		same = PCI_P2PDMA_HOST_FORWARDS;
		two = row->forwards == ANYWHERE ? same :
						  PCI_P2PDMA_HOST_BRIDGES_APART;
	}
	p2p_expect(test, tree, "a", "b", same);
	p2p_expect(test, tree, "a", "c", two);
	p2p_expect(test, tree, "c", "b", two);
}

/* What the hypervisor says ------------------------------------------------ */

static struct pci_kunit_tree *two_cliques(struct kunit *test,
					  const struct pci_kunit_vndr *a,
					  const struct pci_kunit_vndr *c)
{
	struct pci_kunit_node *nodes =
		p2p_copy_nodes(test, hosts, ARRAY_SIZE(hosts));

	nodes[1].vendor = INTEL;
	nodes[1].device = UNLISTED;
	nodes[7].vendor = INTEL;
	nodes[7].device = UNLISTED;
	nodes[3].vndr = *a;
	nodes[9].vndr = *c;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
}

static const struct clique_row {
	const char *name;
	bool vouches;
	struct pci_kunit_vndr a, c;
} clique_rows[] = {
	{ "clique 3", true, PCI_KUNIT_CLIQUE(3), PCI_KUNIT_CLIQUE(3) },
	{ "clique 0", true, PCI_KUNIT_CLIQUE(0), PCI_KUNIT_CLIQUE(0) },
	{ "clique 15", true, PCI_KUNIT_CLIQUE(15), PCI_KUNIT_CLIQUE(15) },
	{ "version and reserved bits do not count", true, PCI_KUNIT_CLIQUE(5),
	  { 5, { 'P', '2', 'P', 5 << 3 | 0x87, 0xff } } },
	{ "cliques 3 and 4", false, PCI_KUNIT_CLIQUE(3), PCI_KUNIT_CLIQUE(4) },
	{ "cliques 0 and 8", false, PCI_KUNIT_CLIQUE(0), PCI_KUNIT_CLIQUE(8) },
	{ "one without", false, PCI_KUNIT_CLIQUE(0), { } },
	{ "the other without", false, { }, PCI_KUNIT_CLIQUE(0) },
	{ "both without", false, { }, { } },
	{ "another signature", false, PCI_KUNIT_CLIQUE(3),
	  { 5, { 'P', '2', 'Q', 3 << 3, 0 } } },
	{ "other signatures on both", false,
	  { 5, { 'X', '2', 'P', 3 << 3, 0 } },
	  { 5, { 'X', '2', 'P', 3 << 3, 0 } } },
	{ "signature in small letters", false, PCI_KUNIT_CLIQUE(3),
	  { 5, { 'p', '2', 'p', 3 << 3, 0 } } },
	{ "capability that is too short", false, PCI_KUNIT_CLIQUE(3),
	  { 4, { 'P', '2', 'P', 3 << 3 } } },
};

static void clique_row_name(const struct clique_row *row, char *desc)
{
	strscpy(desc, row->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(clique_row, clique_rows, clique_row_name);

static void hypervisors_cliques(struct kunit *test)
{
	const struct clique_row *row = test->param_value;
	struct pci_kunit_tree *tree = two_cliques(test, &row->a, &row->c);
	enum pci_p2pdma_reason want = row->vouches ?
		PCI_P2PDMA_HYPERVISOR_SAYS : PCI_P2PDMA_HOST_NOT_LISTED;

	p2p_expect(test, tree, "a", "c", want);
	p2p_expect(test, tree, "c", "a", want);

	/* The administrator is needed, and used, only where nobody vouches */
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:29c0"), 0);
	p2p_expect(test, tree, "a", "c",
		   row->vouches ? want : PCI_P2PDMA_ADMIN_SAYS);
}

/* On bare metal nobody but the device can have written that */
static void cliques_without_a_hypervisor(struct kunit *test)
{
	const struct pci_kunit_vndr clique = PCI_KUNIT_CLIQUE(3);
	struct pci_kunit_tree *tree = two_cliques(test, &clique, &clique);

	pci_kunit_pretend_guest(false);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HOST_NOT_LISTED);
	pci_kunit_pretend_guest(true);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "none"), 0);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HYPERVISOR_SAYS);
}

/* A device that lies must not hold the kernel up */
static void chained_vendor_capabilities(struct kunit *test)
{
	const struct pci_kunit_vndr other = { 5, { 'X', 'Y', 'Z', 3 << 3, 0 } };
	const struct pci_kunit_vndr clique = PCI_KUNIT_CLIQUE(3);
	struct pci_kunit_tree *tree = two_cliques(test, &other, &clique);
	unsigned long reads = pci_kunit_reads(tree, "a");

	/* To itself: twice the limit of the PCI core, squared, at most */
	pci_kunit_set(tree, "a", PCI_KUNIT_POS_VNDR + PCI_CAP_LIST_NEXT, 1,
		      PCI_KUNIT_POS_VNDR);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HOST_NOT_LISTED);
	KUNIT_EXPECT_LT(test, pci_kunit_reads(tree, "a") - reads, 20000);

	/* The second of two is found */
	pci_kunit_set(tree, "a", PCI_KUNIT_POS_VNDR + PCI_CAP_LIST_NEXT, 1,
		      0xc0);
	pci_kunit_set(tree, "a", 0xc0, 4,
		      PCI_CAP_ID_VNDR | 8 << 16 | 'P' << 24);
	pci_kunit_set(tree, "a", 0xc4, 4, '2' | 'P' << 8 | 3 << 19);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HYPERVISOR_SAYS);

	/* Ones are no capability */
	pci_kunit_set_access(tree, "c", PCI_KUNIT_ACCESS_ALL_ONES);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HOST_NOT_LISTED);
}

/* What the administrator allows ------------------------------------------- */

static void expect_allowed(struct kunit *test, const char *want)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	p2p_read(test, test->priv, HOST_BRIDGES, buf, PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, strim(buf), want);
}

static void parses_allowed_hosts(struct kunit *test)
{
	static const char * const good[][2] = {
		{ "8086:29c0", "8086:29c0" }, { "8086:29C0\n", "8086:29c0" },
		{ "8086:*", "8086:*" }, { "8086:*@same\n", "8086:*@same" },
		{ "8086:29c0@same", "8086:29c0@same" },
		{ "8086:29c0,1022:*@same,10de:2f95\n",
		  "8086:29c0,1022:*@same,10de:2f95" },
		{ "none", "none" }, { "none\n", "none" }, { "\n", "none" },
	};
	/* With the position of what is wrong, or -1 for any */
	static const struct {
		const char *text;
		int at;
	} bad[] = {
		{ "8086" }, { "8086:" }, { ":29c0" }, { "*:29c0" }, { "*" },
		{ "8086:29c" }, { "8086:29c01" }, { "808:29c0" },
		{ "80860:29c0" }, { "0x8086:29c0" }, { "8086:29g0" },
		{ "8086-29c0" }, { "8086:2*" }, { "8086:**" },
		{ " 8086:29c0" }, { "8086:29c0 " }, { "8086:29c0@" },
		{ "8086:29c0@sam" }, { "8086:29c0@SAME" },
		{ "8086:29c0@samee" }, { "8086:29c0@same@same" }, { "@same" },
		{ "8086:29c0;1022:1480" }, { "NONE" }, { "nonee" },
		{ ",8086:29c0" }, { "8086:29c0,none", 10 },
		{ "8086:29c0,,1022:1480", 10 }, { "8086:29c0, 1022:1480", 10 },
		{ "8086:29c0@same,8086", 15 }, { "8086:29c0,1022:1480,x\n", 20 },
		/* More lines than one */
		{ "8086:29c0\n1022:1480", -1 },
	};
	struct kmsg_dump_iter iter;
	char position[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		KUNIT_EXPECT_EQ_MSG(test, p2p_allow(test, good[i][0]), 0, "%s",
				    good[i][0]);
		expect_allowed(test, good[i][1]);
		/* What is shown can be written */
		KUNIT_EXPECT_EQ(test, p2p_allow(test, good[i][1]), 0);
		expect_allowed(test, good[i][1]);
	}

	KUNIT_ASSERT_EQ(test, p2p_allow(test, "10de:2f95@same,1ae0:*"), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		p2p_log_mark(&iter);
		KUNIT_EXPECT_EQ_MSG(test, p2p_allow(test, bad[i].text), -EINVAL,
				    "%s", bad[i].text);
		expect_allowed(test, "10de:2f95@same,1ae0:*");
		snprintf(position, sizeof(position),
			 bad[i].at < 0 ? "position" : "position %d ",
			 bad[i].at);
		KUNIT_EXPECT_EQ_MSG(test, p2p_log_count(&iter, "host_bridges",
							position, "nothing"),
				    1, "%s", bad[i].text);
	}
}

static void limits_allowed_hosts(struct kunit *test)
{
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	int i, len = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	for (i = 0; i < 32; i++)
		len += sprintf(text + len, "%s8086:%04x@same", i ? "," : "", i);
	KUNIT_EXPECT_EQ(test, p2p_allow(test, text), 0);
	expect_allowed(test, text);

	KUNIT_EXPECT_EQ(test, p2p_allow(test, "8086:29c0"), 0);
	strscpy(text + len, ",8086:0020", PAGE_SIZE - len);
	KUNIT_EXPECT_EQ(test, p2p_allow(test, text), -E2BIG);
	expect_allowed(test, "8086:29c0");
}

/* First of those that use an override: nothing else may have set the taint */
static void override_is_used_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *ep = p2p_provider(test, tree, "ep0");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	char __user *user = p2p_user_memory(test, PAGE_SIZE);
	bool tainted = test_taint(TAINT_CPU_OUT_OF_SPEC);
	struct file *file = p2p_open_query(test);
	struct pci_p2pdma_query q;
	struct kmsg_dump_iter iter;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "nic"), -1);
	KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, ep, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);

	/* Who merely asks has not used it */
	p2p_log_mark(&iter);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:29c0"), 0);
	p2p_expect(test, tree, "ep0", "nic", PCI_P2PDMA_ADMIN_SAYS);
	q = p2p_question(tree, "ep0", "nic");
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_OVERRIDE |
			PCI_P2PDMA_VERDICT_PROVIDES);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_HOST);
	KUNIT_EXPECT_EQ(test, p2p_log_count(&iter, "", "host_bridges", ""), 0);
	KUNIT_EXPECT_EQ(test, test_taint(TAINT_CPU_OUT_OF_SPEC), tainted);

	/* A route that does not rest on it is no use either */
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "ep0"), 0);
	p2p_expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	KUNIT_EXPECT_EQ(test, p2p_log_count(&iter, "", "host_bridges", ""), 0);
	KUNIT_EXPECT_EQ(test, test_taint(TAINT_CPU_OUT_OF_SPEC), tainted);

	/* The next answer is another one; the log says so once for each pair */
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "nic"), 6);
		KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, ep, "nic"),
				PCI_P2PDMA_MAP_THRU_HOST_BRIDGE);
		pci_p2pdma_routes_changed();
	}
	KUNIT_EXPECT_EQ(test,
			p2p_log_count(&iter, "host_bridges", pci_name(nic),
				      pci_name(ep)),
			1);
	KUNIT_EXPECT_TRUE(test, test_taint(TAINT_CPU_OUT_OF_SPEC));
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "nic1"), 6);
	KUNIT_EXPECT_EQ(test, p2p_log_count(&iter, "", "host_bridges", ""), 1);

	/* And back */
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "none"), 0);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "nic"), -1);
	KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, ep, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	p2p_expect(test, tree, "ep0", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
}

/* Where nothing is registered, there is nowhere to keep that it was said */
static void override_without_memory_is_quiet(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *ep = pci_kunit_dev(tree, "ep0");
	struct kmsg_dump_iter iter;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:29c0"), 0);
	p2p_log_mark(&iter);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, ep, "nic"), 6);
	KUNIT_EXPECT_LE(test, p2p_log_count(&iter, "host_bridges", "", ""), 1);
}

static void override_and_two_hosts(struct kunit *test)
{
	static const struct {
		const char *allowed;
		enum pci_p2pdma_reason same, two;
	} words[] = {
		{ "8086:29c0", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_NOT_LISTED },
		{ "1b36:0008", PCI_P2PDMA_HOST_NOT_LISTED,
		  PCI_P2PDMA_HOST_NOT_LISTED },
		{ "8086:29c0,1b36:0008", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_ADMIN_SAYS },
		{ "8086:*,1b36:*", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_ADMIN_SAYS },
		{ "8086:29c0@same,1b36:0008", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_BRIDGES_APART },
		{ "8086:29c0,1b36:*@same", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_BRIDGES_APART },
		{ "8086:29c1,1b37:*", PCI_P2PDMA_HOST_NOT_LISTED,
		  PCI_P2PDMA_HOST_NOT_LISTED },
	};
	struct pci_kunit_tree *tree = two_hosts(test, INTEL, UNLISTED,
						PCI_VENDOR_ID_REDHAT, 8);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		KUNIT_ASSERT_EQ(test, p2p_allow(test, words[i].allowed), 0);
		p2p_expect(test, tree, "a", "b", words[i].same);
		p2p_expect(test, tree, "a", "c", words[i].two);
		p2p_expect(test, tree, "c", "a", words[i].two);
	}

	/* What is known without the administrator goes first */
	pci_kunit_pretend_cpu(X86_VENDOR_AMD, 0x19);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:29c0"), 0);
	p2p_expect(test, tree, "a", "b", PCI_P2PDMA_CPU_FORWARDS);
	pci_kunit_pretend_cpu(X86_VENDOR_INTEL, 6);
	pci_kunit_destroy(tree);
	tree = two_hosts(test, INTEL, LISTED, INTEL, LISTED);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:2030"), 0);
	p2p_expect(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HOST_FORWARDS);
	pci_kunit_destroy(tree);

	/* Where the list knows of one host bridge, two are an override */
	tree = two_hosts(test, INTEL, LISTED_SAME, INTEL, LISTED_SAME);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:3c00"), 0);
	p2p_expect(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_ADMIN_SAYS);
	KUNIT_ASSERT_EQ(test, p2p_allow(test, "8086:3c00@same"), 0);
	p2p_expect(test, tree, "a", "c", PCI_P2PDMA_HOST_BRIDGES_APART);
}

static struct kunit_case p2pdma_host_cases[] = {
	KUNIT_CASE(listed_host_bridges),
	KUNIT_CASE(cpu_families),
	KUNIT_CASE(first_device_names_the_host),
	KUNIT_CASE(nobody_names_the_host),
	KUNIT_CASE(two_host_bridges),
	KUNIT_CASE(parses_allowed_hosts),
	KUNIT_CASE(limits_allowed_hosts),
	KUNIT_CASE(override_is_used_or_not),
	KUNIT_CASE(override_without_memory_is_quiet),
	KUNIT_CASE(override_and_two_hosts),
	KUNIT_CASE_PARAM(table_of_hosts, host_row_gen_params),
	KUNIT_CASE_PARAM(hypervisors_cliques, clique_row_gen_params),
	KUNIT_CASE(cliques_without_a_hypervisor),
	KUNIT_CASE(chained_vendor_capabilities),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_host_suite = {
	.name = "p2pdma_host",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_host_cases,
};

kunit_test_suite(p2pdma_host_suite);

MODULE_DESCRIPTION("KUnit tests of root complexes in peer-to-peer DMA");
MODULE_LICENSE("GPL");
