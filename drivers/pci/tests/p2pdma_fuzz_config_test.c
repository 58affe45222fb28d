// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA against configuration space that lies.
 *
 * Registers are forged by chance (p2pdma_fuzz.c) on a declared PCI tree:
 *
 *  - behind the kernel's back, while devices are in use: access control with any
 *    bits, Egress Control Vectors of any length, port numbers, lists of
 *    capabilities that lead anywhere or in a circle, host bridges that change
 *    their identity, functions that answer no more;
 *  - by writes through the kernel, to any register, as setpci does them.
 *
 * What lies before it is found is in p2pdma_fuzz_found_test.c.
 *
 * There is no second implementation of the decision here, but what must be true
 * of any verdict, from the declaration and from what the registers hold:
 *
 *  - the distance depends on nothing but the topology, and is the same both ways;
 *  - a port that decides and does not answer allows nothing;
 *  - no direct route where the port of the client redirects or blocks requests,
 *    or the port of the provider redirects completions; one where neither does;
 *  - both ways are equal where both ports are set alike;
 *  - only a host bridge that is known forwards, and only who has ATS switched on
 *    may go past a redirecting port;
 *  - the answer comes after a limited number of reads, is the same again, and
 *    what is kept of it does not outlive a write that changes it.
 *
 *   host ─┬─ 01.0 rp0 ── up0 ─┬─ 00.0 dn0 ── mem, mem1
 *         │                   ├─ 01.0 dn1 ── nic, nic1
 *         │                   └─ 02.0 dn2 ── up1 ─┬─ dn3 ── gpu
 *         │                                       └─ dn4 ── ssd
 *         ├─ 02.0 rp1 ── ep
 *         ├─ 03.0 rp2 ── br ─── conv0, conv1
 *         └─ 05.0, 05.1 int0, int1
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/build_bug.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

#define CASES_LIES	40000
#define CASES_WRITES	20000

/* With the other suites, more than 100,000 */
static_assert(CASES_LIES + CASES_WRITES >= 60000);

/* A list of capabilities ends after 48, or 480; it is walked a few times */
#define MOST_READS	12000

#define CLIQUE		.vndr = PCI_KUNIT_CLIQUE(3)

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "up0", "rp0", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON },
	{ "dn0", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0), MEMORY,
	  CLIQUE },
	{ "mem1", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1) },
	{ "dn1", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0),
	  .acs = ACS_NONE_ON, .ats = true, CLIQUE },
	{ "nic1", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1),
	  .acs = ACS_NONE_ON },
	{ "dn2", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 40, .acs = ACS_NONE_ON },
	{ "up1", "dn2", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON },
	{ "dn3", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "gpu", "dn3", PCI_KUNIT_ENDPOINT, .ats = true },
	{ "dn4", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ssd", "dn4", PCI_KUNIT_LEGACY_ENDPOINT, MEMORY, CLIQUE },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ep", "rp1", PCI_KUNIT_ENDPOINT, CLIQUE },
	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "br", "rp2", PCI_KUNIT_PCIE_PCI_BRIDGE },
	{ "conv0", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(1, 0) },
	{ "conv1", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(2, 0) },
	{ "int0", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(5, 0),
	  .acs = ACS_NONE_ON },
	{ "int1", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(5, 1),
	  .acs = ACS_NONE_ON },
};

#define NODES		ARRAY_SIZE(nodes)
#define MOST_DEPTH	8
#define MOST_LIES	64

/**
 * struct lie - what a register held before it was forged
 * @node: number of the function
 * @where: the register
 * @size: its size
 * @truth: what it held
 */
struct lie {
	u8 node;
	u16 where;
	u8 size;
	u32 truth;
};

/**
 * struct config - configuration space of the tree
 * @tree: the tree
 * @pdev: its functions
 * @up: number of the function above each; of the host bridge for the topmost
 * @silent: functions that do not answer
 * @nr_lies: registers that were forged
 * @lies: these
 */
struct config {
	struct pci_kunit_tree *tree;
	struct pci_dev *pdev[NODES];
	u8 up[NODES];
	bool silent[NODES];
	unsigned int nr_lies;
	struct lie lies[MOST_LIES];
};

static struct config *config_create(struct kunit *test)
{
	struct config *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->tree = PCI_KUNIT_CREATE(test, nodes);
	for (i = 0; i < NODES; i++) {
		c->pdev[i] = pci_kunit_dev(c->tree, nodes[i].name);
		for (j = 0; j < i; j++)
			if (i && !strcmp(nodes[i].parent, nodes[j].name))
				c->up[i] = j;
	}
	p2p_provider(test, c->tree, "mem");
	p2p_provider(test, c->tree, "ssd");
	return c;
}

static u32 truth(struct config *c, unsigned int node, int where, int size)
{
	return pci_kunit_get(c->tree, nodes[node].name, where, size);
}

static void remember(struct config *c, unsigned int node, int where, int size)
{
	if (c->nr_lies < MOST_LIES)
		c->lies[c->nr_lies++] = (struct lie){
			node, where, size, truth(c, node, where, size),
		};
}

static void forge(struct config *c, unsigned int node, int where, int size,
		  u32 value)
{
	if (c->nr_lies == MOST_LIES)
		return;
	remember(c, node, where, size);
	pci_kunit_set(c->tree, nodes[node].name, where, size, value);
}

static void silence(struct config *c, unsigned int node,
		    enum pci_kunit_access access)
{
	c->silent[node] = access != PCI_KUNIT_ACCESS_NORMAL;
	pci_kunit_set_access(c->tree, nodes[node].name, access);
}

/* All registers hold what they held in the beginning, and all functions answer */
static void tell_the_truth(struct config *c)
{
	const struct lie *l;
	unsigned int i;

	while (c->nr_lies) {
		l = &c->lies[--c->nr_lies];
		pci_kunit_set(c->tree, nodes[l->node].name, l->where, l->size,
			      l->truth);
	}
	for (i = 0; i < NODES; i++) {
		if (c->silent[i])
			silence(c, i, PCI_KUNIT_ACCESS_NORMAL);
		if (!c->pdev[i])
			continue;
		c->pdev[i]->ats_enabled = 0;
		c->pdev[i]->error_state = pci_channel_io_normal;
	}
}

/* Lies ---------------------------------------------------------------------- */

/* A list of capabilities that leads from anywhere to anywhere */
static void forge_list(struct fuzz *f, struct config *c, unsigned int node)
{
	static const u8 ids[] = {
		PCI_CAP_ID_VNDR, PCI_CAP_ID_VNDR, PCI_CAP_ID_EXP, 0xff, 0,
	};
	unsigned int n = 1 + fuzz_draw(f, 6);
	u8 pos = 0x40 + 4 * fuzz_draw(f, 48), next;

	forge(c, node, PCI_CAPABILITY_LIST, 1, pos);
	while (n--) {
		/* Its own, the last one, or another: in a circle soon */
		next = fuzz_chance(f, 3) ? pos : 0x40 + 4 * fuzz_draw(f, 48);
		forge(c, node, pos, 2, next << 8 | ids[fuzz_draw(f, sizeof(ids))]);
		pos = next;
	}
}

static void forge_extended_list(struct fuzz *f, struct config *c,
				unsigned int node)
{
	static const u16 ids[] = {
		PCI_EXT_CAP_ID_ARI, PCI_EXT_CAP_ID_ACS, PCI_EXT_CAP_ID_DSN,
		0xffff, 0,
	};
	unsigned int n = 1 + fuzz_draw(f, 4), pos = PCI_CFG_SPACE_SIZE, next;

	while (n--) {
		next = fuzz_chance(f, 3) ? pos : 0x100 + 4 * fuzz_draw(f, 0x3c0);
		forge(c, node, pos, 4, next << 20 | 1 << 16 |
		      ids[fuzz_draw(f, ARRAY_SIZE(ids))]);
		pos = next;
	}
}

static void forge_host(struct fuzz *f, struct config *c)
{
	static const u32 ids[] = {
		INTEL | UNLISTED << 16, INTEL | LISTED << 16,
		INTEL | LISTED_SAME << 16, U32_MAX, 0,
	};

	forge(c, 0, PCI_VENDOR_ID, 4, ids[fuzz_draw(f, ARRAY_SIZE(ids))]);
}

static void lie(struct fuzz *f, struct config *c)
{
	unsigned int node = 1 + fuzz_draw(f, NODES - 1);
	const int acs = PCI_KUNIT_POS_ACS;
	u16 bits;

	switch (fuzz_draw(f, 16)) {
	case 0:
		forge(c, node, acs + PCI_ACS_CAP, 2, fuzz_number(f, 0x100));
		break;
	case 1:
	case 2:
		forge(c, node, acs + PCI_ACS_EGRESS_CTL_V + 4 * fuzz_draw(f, 8),
		      4, fuzz_number(f, 8));
		break;
	case 3:
		forge(c, node, PCI_KUNIT_POS_EXP + PCI_EXP_LNKCAP + 3, 1,
		      fuzz_number(f, 41));
		break;
	case 4:
		silence(c, fuzz_draw(f, NODES), 1 + fuzz_draw(f, 2));
		break;
	case 5:
		forge_list(f, c, node);
		break;
	case 6:
		forge_extended_list(f, c, node);
		break;
	case 7:
		forge_host(f, c);
		break;
	case 8:
		c->pdev[node]->ats_enabled = fuzz_draw(f, 2);
		break;
	case 9:
		if (fuzz_chance(f, 4))
			c->pdev[node]->error_state =
				pci_channel_io_perm_failure;
		break;
	case 10:
		forge(c, node, PCI_KUNIT_POS_VNDR + 4 * fuzz_draw(f, 2), 4,
		      fuzz_number(f, 'P'));
		break;
	case 11:
		forge(c, node, acs + PCI_ACS_CTRL, 2, fuzz_number(f, 0x80));
		break;
	default:
		/* What may be set, and mostly is not */
		bits = BIT(fuzz_draw(f, 7));
		bits |= BIT(fuzz_draw(f, 7));
		forge(c, node, acs + PCI_ACS_CTRL, 2, bits);
		break;
	}
}

/* What must be true of verdicts --------------------------------------------- */

/**
 * struct junction - where two paths part, by the declaration
 * @distance: number of links
 * @client: number of the function on the side of the client, or 0
 * @provider: number of that on the side of the provider, or 0
 * @below: they part below a bridge, not in the root complex
 */
struct junction {
	unsigned int distance;
	unsigned int client;
	unsigned int provider;
	bool below;
};

/* The functions from the root bus down to a function; returns how many */
static unsigned int path_to(struct config *c, unsigned int node, u8 *path)
{
	unsigned int depth = 0, i;

	for (i = node; i; i = c->up[i])
		depth++;
	for (i = depth; i; node = c->up[node])
		path[--i] = node;
	return depth;
}

static struct junction junction_of(struct config *c, unsigned int provider,
				   unsigned int client)
{
	u8 down_p[MOST_DEPTH], down_c[MOST_DEPTH];
	unsigned int p = path_to(c, provider, down_p);
	unsigned int q = path_to(c, client, down_c), common = 0;

	while (common < min(p, q) && down_p[common] == down_c[common])
		common++;
	return (struct junction){
		.distance = p + q - 2 * common,
		.client = common < q ? down_c[common] : 0,
		.provider = common < p ? down_p[common] : 0,
		.below = common,
	};
}

static bool gone(struct config *c, unsigned int node)
{
	return c->pdev[node]->error_state == pci_channel_io_perm_failure;
}

static u32 acs_of(struct config *c, unsigned int node)
{
	return nodes[node].acs.present ?
		truth(c, node, PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 4) : 0;
}

/* A port that decides, and of which nothing can be known */
static bool dead(struct config *c, unsigned int node)
{
	return gone(c, node) ||
	       (nodes[node].acs.present &&
		(c->silent[node] || acs_of(c, node) == U32_MAX));
}

static bool has_number(unsigned int node)
{
	return nodes[node].type == PCI_KUNIT_DOWNSTREAM_PORT ||
	       nodes[node].type == PCI_KUNIT_ROOT_PORT;
}

/* Does egress control, which is on, surely stand in the way between two ports? */
static bool egress_forbids(struct config *c, const struct junction *j)
{
	unsigned int target, bits = (acs_of(c, j->client) >> 8) & 0xff;
	u32 lnkcap, vector;

	if (!has_number(j->client) || !has_number(j->provider))
		return false;
	lnkcap = truth(c, j->provider, PCI_KUNIT_POS_EXP + PCI_EXP_LNKCAP, 4);
	target = lnkcap >> 24;
	if (c->silent[j->provider] || lnkcap == U32_MAX ||
	    target >= (bits ?: 256))
		return true;
	vector = truth(c, j->client, PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V +
		       target / 32 * 4, 4);
	return vector & (1U << (target % 32));
}

static const char *check_direct(struct config *c, const struct junction *j,
				bool direct)
{
	u16 client = acs_of(c, j->client) >> 16;
	u16 provider = acs_of(c, j->provider) >> 16;

	if (direct && provider & PCI_ACS_CR)
		return "direct in spite of completion redirect";
	if (direct && !(client & PCI_ACS_EC) && client & PCI_ACS_RR)
		return "direct in spite of request redirect";
	if (direct && client & PCI_ACS_EC && egress_forbids(c, j))
		return "direct in spite of egress control";
	if (!direct && !(provider & PCI_ACS_CR) &&
	    !(client & (PCI_ACS_RR | PCI_ACS_EC | PCI_ACS_TB)))
		return "not direct, though nothing is in the way";
	return NULL;
}

static const char *check_root_port(struct config *c, const struct junction *j,
				   bool usable)
{
	u16 ctrl = acs_of(c, j->client) >> 16;

	if (nodes[j->client].type != PCI_KUNIT_ROOT_PORT)
		return NULL;
	if (usable && dead(c, j->client))
		return "a dead root port";
	if (usable && ctrl & PCI_ACS_EC && !(ctrl & PCI_ACS_RR) &&
	    egress_forbids(c, j))
		return "in spite of egress control of the root port";
	return NULL;
}

/* Both sides are set alike, and by what works both ways */
static bool must_be_symmetric(struct config *c, const struct junction *j,
			      unsigned int provider, unsigned int client)
{
	u16 a, b;

	if (c->pdev[provider]->ats_enabled || c->pdev[client]->ats_enabled)
		return false;
	if (!j->client || !j->provider)
		return true;
	a = acs_of(c, j->client) >> 16;
	b = acs_of(c, j->provider) >> 16;
	return !((a | b) & (PCI_ACS_EC | PCI_ACS_TB | PCI_ACS_DT)) &&
	       !((a ^ b) & (PCI_ACS_RR | PCI_ACS_CR)) &&
	       !dead(c, j->client) && !dead(c, j->provider);
}

static bool functions_of_one(const struct junction *j)
{
	return nodes[j->client].type == PCI_KUNIT_RC_ENDPOINT &&
	       nodes[j->provider].type == PCI_KUNIT_RC_ENDPOINT;
}

/* Capabilities may stand anywhere, in whatever way they are chained */
static u16 cliques_of(struct config *c, unsigned int node)
{
	u16 cliques = 0;
	u32 where, word;

	if (c->silent[node])
		return 0;
	for (where = 0x40; where < 0x100 - 3; where++) {
		word = truth(c, node, where, 4);
		if ((word & 0xffffff) == ('P' | '2' << 8 | 'P' << 16))
			cliques |= 1 << (word >> 27 & 0xf);
	}
	return cliques;
}

static const char *check_host(struct config *c, const struct junction *j,
			      unsigned int provider, unsigned int client,
			      const struct pci_p2pdma_route *r)
{
	u32 id = truth(c, 0, PCI_VENDOR_ID, 4);

	switch (r->reason) {
	case PCI_P2PDMA_DIRECT_TRANSLATED:
		if (!c->pdev[client]->ats_enabled ||
		    !(acs_of(c, j->client) >> 16 & PCI_ACS_DT))
			return "translated by nobody";
		return NULL;
	case PCI_P2PDMA_HOST_FORWARDS:
		if (c->silent[0] || (id != (INTEL | LISTED << 16) &&
				     id != (INTEL | LISTED_SAME << 16)))
			return "forwarded by a host bridge that nobody knows";
		return NULL;
	case PCI_P2PDMA_HYPERVISOR_SAYS:
		return cliques_of(c, provider) & cliques_of(c, client) ?
			NULL : "in a clique that nobody put both in";
	default:
		return "through the host for no reason";
	}
}

static const char *check_verdict(struct config *c, unsigned int provider,
				 unsigned int client,
				 const struct pci_p2pdma_route *r)
{
	struct junction j = junction_of(c, provider, client);
	bool direct = r->type == PCI_P2PDMA_MAP_BUS_ADDR;
	bool usable = r->type != PCI_P2PDMA_MAP_NOT_SUPPORTED;
	bool says_direct = r->reason <= PCI_P2PDMA_COMMON_SWITCH;
	bool says_usable = r->reason <= PCI_P2PDMA_ADMIN_SAYS;
	const char *why;

	if (r->type < PCI_P2PDMA_MAP_NOT_SUPPORTED ||
	    r->type > PCI_P2PDMA_MAP_THRU_HOST_BRIDGE ||
	    r->reason > PCI_P2PDMA_HOST_BRIDGES_APART || r->override)
		return "no verdict";
	if (direct != says_direct || usable != says_usable)
		return "a reason that is none for it";
	if (r->distance != j.distance)
		return "wrong distance";
	if ((r->request_port && r->request_port != c->pdev[j.client]) ||
	    (r->completion_port && r->completion_port != c->pdev[j.provider]))
		return "a port that has no say";
	if (usable && (gone(c, provider) || gone(c, client)))
		return "a device that is gone";

	if (direct && !j.below && !functions_of_one(&j))
		return "direct through the root complex";
	if (j.client && j.provider && (j.below || functions_of_one(&j))) {
		if (dead(c, j.client) || dead(c, j.provider))
			return usable ? "a dead port" : NULL;
		if (!gone(c, provider) && !gone(c, client)) {
			why = check_direct(c, &j, direct);
			if (why)
				return why;
		}
	} else if (!j.below) {
		why = check_root_port(c, &j, usable);
		if (why)
			return why;
	}
	return usable && !direct ?
		check_host(c, &j, provider, client, r) : NULL;
}

static bool same_verdict(const struct pci_p2pdma_route *a,
			 const struct pci_p2pdma_route *b)
{
	return a->type == b->type && a->reason == b->reason &&
	       a->distance == b->distance &&
	       a->request_port == b->request_port &&
	       a->completion_port == b->completion_port &&
	       a->up_port == b->up_port;
}

/* Drivers are told what the verdict says, the first time and when it is kept */
static const char *check_answers(struct config *c, unsigned int provider,
				 unsigned int client,
				 const struct pci_p2pdma_route *r)
{
	int want = r->type == PCI_P2PDMA_MAP_NOT_SUPPORTED ? -1 :
							    (int)r->distance;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (pci_p2pdma_distance(c->pdev[provider],
					&c->pdev[client]->dev, false) != want)
			return "another answer than the verdict";
	return NULL;
}

static const char *ask(struct fuzz *f, struct config *c, unsigned int provider,
		       unsigned int client)
{
	struct pci_p2pdma_route r, again, back;
	unsigned long reads = pci_kunit_reads(c->tree, NULL);
	struct junction j = junction_of(c, provider, client);
	const char *why;

	fuzz_say(f, "memory of %s, used by %s", nodes[provider].name,
		 nodes[client].name);
	pci_p2pdma_route(c->pdev[provider], &c->pdev[client]->dev, &r);
	if (pci_kunit_reads(c->tree, NULL) - reads > MOST_READS)
		return "too many reads";
	fuzz_say(f, "memory of %s, used by %s, %s by %s", nodes[provider].name,
		 nodes[client].name, pci_p2pdma_type_name(r.type),
		 pci_p2pdma_reason_name(r.reason));

	why = check_verdict(c, provider, client, &r);
	if (why)
		return why;
	pci_p2pdma_route(c->pdev[provider], &c->pdev[client]->dev, &again);
	if (!same_verdict(&r, &again))
		return "another verdict the second time";
	pci_p2pdma_route(c->pdev[client], &c->pdev[provider]->dev, &back);
	if (back.distance != r.distance)
		return "another distance back";
	if (must_be_symmetric(c, &j, provider, client) && back.type != r.type)
		return "another way back";
	return check_answers(c, provider, client, &r);
}

/* Mostly functions below the switch, where there is something to decide */
static unsigned int draw_function(struct fuzz *f)
{
	return 1 + fuzz_draw(f, fuzz_chance(f, 3) ? NODES - 1 : 14);
}

static const char *lie_and_ask(struct fuzz *f)
{
	struct config *c = f->data;
	unsigned int n = 1 + fuzz_draw(f, 4);

	if (fuzz_chance(f, 6) || c->nr_lies > MOST_LIES - 32)
		tell_the_truth(c);
	while (n--)
		lie(f, c);
	/* It was done behind the kernel's back */
	pci_p2pdma_routes_changed();
	return ask(f, c, draw_function(f), draw_function(f));
}

static void registers_that_lie(struct kunit *test)
{
	struct config *c = config_create(test);

	fuzz_run(test, CASES_LIES, lie_and_ask, c);
	tell_the_truth(c);
}

/* Writes -------------------------------------------------------------------- */

static int draw_register(struct fuzz *f)
{
	switch (fuzz_draw(f, 8)) {
	case 0:
	case 1:
	case 2:
		return PCI_KUNIT_POS_ACS + PCI_ACS_CTRL - 2 + fuzz_draw(f, 4);
	case 3:
	case 4:
		return PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V +
		       fuzz_draw(f, 40);
	case 5:
		return fuzz_draw(f, 0x40);
	case 6:
		return PCI_KUNIT_POS_ATS + fuzz_draw(f, 8);
	default:
		return fuzz_draw(f, PCI_CFG_SPACE_EXP_SIZE);
	}
}

/* As drivers do it, or as user space does */
static void write_register(struct pci_dev *pdev, int where, int size, u32 value,
			   bool user)
{
	if (size == 1)
		user ? pci_user_write_config_byte(pdev, where, value) :
		       pci_write_config_byte(pdev, where, value);
	else if (size == 2)
		user ? pci_user_write_config_word(pdev, where, value) :
		       pci_write_config_word(pdev, where, value);
	else
		user ? pci_user_write_config_dword(pdev, where, value) :
		       pci_write_config_dword(pdev, where, value);
}

static const char *write_and_ask(struct fuzz *f)
{
	struct config *c = f->data;
	unsigned int node = 1 + fuzz_draw(f, NODES - 1);
	unsigned int provider = draw_function(f), client = draw_function(f);
	int size = 1 << fuzz_draw(f, 3), where = draw_register(f) & -size;
	u32 value = fuzz_chance(f, 2) ? fuzz_number(f, 0x80) :
					1U << fuzz_draw(f, 32);
	struct pci_p2pdma_route r;
	const char *why;

	if (fuzz_chance(f, 8) || c->nr_lies > MOST_LIES - 2) {
		tell_the_truth(c);
		pci_p2pdma_routes_changed();
	}

	/* Something is kept now, if the provider is one */
	pci_p2pdma_route(c->pdev[provider], &c->pdev[client]->dev, &r);
	why = check_answers(c, provider, client, &r);
	if (why)
		return why;
	remember(c, node, where & ~3, 4);
	write_register(c->pdev[node], where, size, value, fuzz_draw(f, 2));
	pci_p2pdma_route(c->pdev[provider], &c->pdev[client]->dev, &r);
	fuzz_say(f, "%#x written to %d bytes at %#x of %s; memory of %s, used by %s",
		 value, size, where, nodes[node].name, nodes[provider].name,
		 nodes[client].name);
	return check_answers(c, provider, client, &r);
}

static void writes_to_any_register(struct kunit *test)
{
	struct config *c = config_create(test);

	fuzz_run(test, CASES_WRITES, write_and_ask, c);
	tell_the_truth(c);
}

static struct kunit_case p2pdma_fuzz_config_cases[] = {
	KUNIT_CASE_SLOW(registers_that_lie),
	KUNIT_CASE_SLOW(writes_to_any_register),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fuzz_config_suite = {
	.name = "p2pdma_fuzz_config",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fuzz_config_cases,
};

kunit_test_suite(p2pdma_fuzz_config_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer DMA against configuration space that lies");
MODULE_LICENSE("GPL");
