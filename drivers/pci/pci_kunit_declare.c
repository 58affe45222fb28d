// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit on a declared PCI tree: what was declared
 *
 * A declaration is an array of struct pci_kunit_node, written by hand. This file
 * copies it into the tree, finds the parents and the host bridge of each node,
 * gives the host bridges their domains and the functions their config space, and
 * refuses what the PCI core could not enumerate, with a line in the log of the
 * test that names the node and says what is wrong. It also finds nodes by name.
 *
 * Invariants
 *   - parents precede their children in the array, so walking it backwards
 *     meets the leaves first;
 *   - names are unique in a tree;
 *   - only bridges and host bridges have children;
 *   - a node has config space unless it is a host bridge without vendor id;
 *   - no two functions answer at one place.
 *
 * Whatever was allocated when a declaration is refused belongs to the tree, and
 * is freed with it.
 *
 * The PCI core keeps a few bytes for each domain number ever used, and never
 * frees them. Trees that do not name a domain use the lowest free one from
 * PCI_KUNIT_FIRST_DOMAIN, so that this does not grow with the number of tests.
 *
 * Locking: none. A tree is declared before anybody else knows it, and what was
 * declared does not change afterwards.
 *
 * What must never happen: a tree in a domain in which anything else lives.
 */

#include <kunit/test.h>

#include <linux/align.h>
#include <linux/completion.h>
#include <linux/ioport.h>
#include <linux/log2.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pci_kunit_tree.h"

#define PCI_KUNIT_FIRST_DOMAIN	0x1000

/* Names ------------------------------------------------------------------- */

static struct pci_kunit_fn *pci_kunit_lookup(struct pci_kunit_tree *tree,
					     size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(tree->fns[i].name, name))
			return &tree->fns[i];
	}
	return NULL;
}

/* The node of a name; the test is aborted if there is none */
struct pci_kunit_fn *pci_kunit_node(struct pci_kunit_tree *tree,
				    const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_lookup(tree, tree->count, name);

	if (!fn)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "no node is named \"%s\"", name);
	return fn;
}

/* The same, if it is a function, which a host bridge need not be */
struct pci_kunit_fn *pci_kunit_function(struct pci_kunit_tree *tree,
					const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_node(tree, name);

	if (!fn->cfg)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "host bridge \"%s\" was declared without vendor id and has no function 00.0",
				     name);
	return fn;
}

/* What is refused --------------------------------------------------------- */

static const char *pci_kunit_bad_bars(const struct pci_kunit_node *node,
				      u64 bus_offset)
{
	int nr = pci_kunit_is_bridge(node->type) ? 2 : PCI_STD_NUM_BARS;

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct pci_kunit_bar *bar = &node->bar[i];
		bool io = bar->type == PCI_KUNIT_BAR_IO;

		if (!bar->size)
			continue;
		if (!is_power_of_2(bar->size) || bar->size < (io ? 4 : 16))
			return "the size of a BAR is not a power of two of at least 16 (I/O: 4)";
		if (io && bar->size > SZ_256)
			return "an I/O BAR is larger than 256";
		if (i + (io ? 1 : 2) > nr)
			return "there are fewer BARs, and one of memory takes two";
		if (!io && node->bar[i + 1].size)
			return "a BAR of memory takes the next one too";
		if (!io && !IS_ALIGNED(bus_offset, bar->size))
			return "a BAR is not aligned under the bus_offset of the host bridge";
	}
	return NULL;
}

static const char *pci_kunit_bad_node(struct pci_kunit_tree *tree, size_t index)
{
	const struct pci_kunit_fn *fn = &tree->fns[index];
	const struct pci_kunit_node *node = &fn->node;
	bool host = node->type == PCI_KUNIT_HOST_BRIDGE;
	const char *why;

	if (pci_kunit_lookup(tree, index, fn->name))
		return "the name is taken by an earlier node";
	if (host && (node->parent || node->devfn))
		return "a host bridge has no parent and no devfn";
	if (!host && !fn->host)
		return "no host bridge or bridge of the parent's name was declared before";
	if (!host && (node->domain || node->busnr || node->window ||
		      node->bus_offset))
		return "domain, busnr, window and bus_offset belong to host bridges";
	if (node->domain < 0)
		return "a domain is not negative";
	if (!IS_ALIGNED(node->bus_offset, SZ_1M) || node->bus_offset >= SZ_4G)
		return "bus_offset is not a multiple of 1 MiB below 4 GiB";
	if (!IS_ALIGNED(node->window, SZ_1M))
		return "window is not a multiple of 1 MiB";
	if (node->vndr.len > PCI_KUNIT_VNDR_MAX)
		return "vndr has more bytes than there is room for";
	if (!pci_kunit_is_pcie(node->type) && (node->acs.present || node->ats))
		return "a conventional function has no ACS or ATS capability";
	why = pci_kunit_bad_bars(node, fn->host->bus_offset);
	if (why)
		return why;
	for (size_t i = 0; fn->cfg && i < index; i++) {
		const struct pci_kunit_fn *other = &tree->fns[i];

		if (other->cfg && other->host == fn->host &&
		    other->parent == fn->parent &&
		    other->node.devfn == node->devfn)
			return "its devfn is taken by an earlier node";
	}
	return NULL;
}

/* What is taken over ------------------------------------------------------ */

static struct pci_kunit_host *pci_kunit_alloc_host(struct pci_kunit_tree *tree,
						   u64 bus_offset)
{
	struct pci_kunit_host *host = kzalloc(sizeof(*host), GFP_KERNEL);

	if (!host)
		return NULL;
	host->tree = tree;
	host->bus_offset = bus_offset;
	host->sysdata.node = NUMA_NO_NODE;
	host->io = DEFINE_RES_IO_NAMED(PCI_KUNIT_IO_BASE, SZ_64K,
				       "PCI KUnit I/O window");
	init_completion(&host->released);
	return host;
}

/* Copy a declaration and refuse what the PCI core could not enumerate */
static int pci_kunit_add_node(struct pci_kunit_tree *tree, size_t index,
			      const struct pci_kunit_node *node)
{
	struct pci_kunit_fn *fn = &tree->fns[index];
	bool host = node->type == PCI_KUNIT_HOST_BRIDGE;
	struct pci_kunit_fn *parent;
	const char *why;

	fn->node = *node;
	fn->name = kstrdup(node->name ?: "", GFP_KERNEL);
	if (!fn->name)
		return -ENOMEM;

	if (host) {
		fn->host = pci_kunit_alloc_host(tree, node->bus_offset);
		if (!fn->host)
			return -ENOMEM;
	} else {
		parent = pci_kunit_lookup(tree, index, node->parent ?: "");
		if (parent && parent->node.type == PCI_KUNIT_HOST_BRIDGE) {
			fn->host = parent->host;
		} else if (parent && pci_kunit_is_bridge(parent->node.type)) {
			fn->host = parent->host;
			fn->parent = parent;
		}
	}

	if (!host || node->vendor) {
		fn->cfg = kzalloc(PCI_CFG_SPACE_EXP_SIZE, GFP_KERNEL);
		fn->mask = kzalloc(PCI_CFG_SPACE_EXP_SIZE, GFP_KERNEL);
		if (!fn->cfg || !fn->mask)
			return -ENOMEM;
	}

	why = pci_kunit_bad_node(tree, index);
	if (why) {
		kunit_err(tree->test, "node %zu, \"%s\": %s\n", index, fn->name,
			  why);
		return -EINVAL;
	}
	if (fn->cfg)
		pci_kunit_init_config(fn);
	return 0;
}

/* Functions that share a device say so in their header */
static void pci_kunit_mark_multifunction(struct pci_kunit_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *a = &tree->fns[i];

		for (size_t j = 0; a->cfg && j < i; j++) {
			struct pci_kunit_fn *b = &tree->fns[j];

			if (!b->cfg || a->host != b->host ||
			    a->parent != b->parent ||
			    PCI_SLOT(a->node.devfn) != PCI_SLOT(b->node.devfn))
				continue;
			a->cfg[PCI_HEADER_TYPE] |= PCI_HEADER_TYPE_MFD;
			b->cfg[PCI_HEADER_TYPE] |= PCI_HEADER_TYPE_MFD;
		}
	}
}

static bool pci_kunit_domain_used(int domain)
{
	struct pci_bus *bus = NULL;

	while ((bus = pci_find_next_bus(bus))) {
		if (pci_domain_nr(bus) == domain)
			return true;
	}
	return false;
}

static bool pci_kunit_domain_declared(struct pci_kunit_tree *tree, int domain)
{
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->fns[i].node.domain == domain)
			return true;
	}
	return false;
}

static int pci_kunit_set_domains(struct pci_kunit_tree *tree)
{
	int domain = PCI_KUNIT_FIRST_DOMAIN;

	while (pci_kunit_domain_used(domain) ||
	       pci_kunit_domain_declared(tree, domain))
		domain++;

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type != PCI_KUNIT_HOST_BRIDGE)
			continue;
		if (pci_kunit_domain_used(fn->node.domain) && fn->node.domain) {
			kunit_err(tree->test,
				  "node \"%s\": PCI domain %#x is in use, declare another one or 0\n",
				  fn->name, fn->node.domain);
			return -EBUSY;
		}
		fn->host->sysdata.domain = fn->node.domain ?: domain;
	}
	return 0;
}

/**
 * pci_kunit_declare() - take over a declaration, or refuse it
 * @tree: a tree of which nothing is set but its test and the number of nodes
 * @nodes: as many nodes; copied
 *
 * Nothing of it is known to the PCI core afterwards.
 *
 * Context: process, from the thread of the test.
 *
 * Return: 0; -EINVAL for a declaration that makes no sense, -EBUSY if a declared
 * domain is in use, both with the reason in the log of the test; -ENOMEM.
 */
int pci_kunit_declare(struct pci_kunit_tree *tree,
		      const struct pci_kunit_node *nodes)
{
	int ret;

	for (size_t i = 0; i < tree->count; i++) {
		ret = pci_kunit_add_node(tree, i, &nodes[i]);
		if (ret)
			return ret;
	}
	pci_kunit_mark_multifunction(tree);
	return pci_kunit_set_domains(tree);
}
