// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit on a declared PCI tree: config space
 *
 * Each function has 4 KiB of config space in memory, of which conventional ones
 * show 256 bytes, and as much of a write mask: a config write changes the bits
 * that are set in the mask, as in a register with read-only bits. This file owns
 * both: what is in them at first, what the kernel reads and writes, and what a
 * test does behind its back.
 *
 * Requests are routed as by hardware: a function answers if the secondary bus
 * register of the bridge above it holds the bus number that is asked for, and if
 * all bridges further up forward that number. So buses are found at the numbers
 * that the kernel chose, and a bridge that lost its numbers hides what is below
 * it. BARs are sized by writing ones. A request that no function answers is a
 * master abort: all ones, without an error.
 *
 * Every request is counted, of the tree and of the function that it reaches,
 * whether it succeeds or not. Tests read and write past counters, write masks
 * and access modes, and may forge whatever they like.
 *
 * Locking: tree->lock, a raw spinlock, guards config space, masks, access modes
 * and counters. It is innermost and may be taken in any context, as config
 * accessors may run in any. Before the tree is scanned nobody else knows it, and
 * what it begins with is written without the lock.
 *
 * What must never happen: a request that reaches beyond the config space of a
 * function, or any but that of its own tree.
 */

#include <kunit/test.h>

#include <linux/export.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/wordpart.h>

#include "pci_kunit_tree.h"

/* An id that no driver has in its table */
#define PCI_KUNIT_VENDOR	0x1b36
#define PCI_KUNIT_DEVICE	0x0ff0

/* Requests ---------------------------------------------------------------- */

static u32 pci_kunit_load(const u8 *p, int size)
{
	switch (size) {
	case 1:
		return *p;
	case 2:
		return get_unaligned_le16(p);
	default:
		return get_unaligned_le32(p);
	}
}

static void pci_kunit_store(u8 *p, int size, u32 value)
{
	switch (size) {
	case 1:
		*p = value;
		break;
	case 2:
		put_unaligned_le16(value, p);
		break;
	default:
		put_unaligned_le32(value, p);
	}
}

static u32 pci_kunit_ones(int size)
{
	return size == 4 ? U32_MAX : (1U << (8 * size)) - 1;
}

static int pci_kunit_cfg_size(const struct pci_kunit_fn *fn)
{
	return pci_kunit_is_pcie(fn->node.type) ? PCI_CFG_SPACE_EXP_SIZE :
						  PCI_CFG_SPACE_SIZE;
}

/* Is a request for @busnr, seen on the root bus, delivered on fn's bus? */
static bool pci_kunit_routed(const struct pci_kunit_fn *fn, u8 busnr)
{
	const struct pci_kunit_fn *up = fn->parent;

	if (!up)
		return fn->host->busn.start == busnr;
	if (!up->cfg[PCI_SECONDARY_BUS] || up->cfg[PCI_SECONDARY_BUS] != busnr)
		return false;
	while ((up = up->parent)) {
		if (up->cfg[PCI_SECONDARY_BUS] > busnr ||
		    up->cfg[PCI_SUBORDINATE_BUS] < busnr)
			return false;
	}
	return true;
}

static struct pci_kunit_fn *pci_kunit_decode(struct pci_kunit_host *host,
					     u8 busnr, unsigned int devfn)
{
	struct pci_kunit_tree *tree = host->tree;

	lockdep_assert_held(&tree->lock);

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->cfg && fn->host == host && fn->node.devfn == devfn &&
		    pci_kunit_routed(fn, busnr))
			return fn;
	}
	return NULL;
}

static struct pci_kunit_host *pci_kunit_bus_host(struct pci_bus *bus)
{
	return container_of(to_pci_sysdata(bus), struct pci_kunit_host,
			    sysdata);
}

static int pci_kunit_config_read(struct pci_bus *bus, unsigned int devfn,
				 int where, int size, u32 *value)
{
	struct pci_kunit_host *host = pci_kunit_bus_host(bus);
	struct pci_kunit_tree *tree = host->tree;
	struct pci_kunit_fn *fn;
	unsigned long flags;
	int ret = PCIBIOS_SUCCESSFUL;

	*value = pci_kunit_ones(size);

	raw_spin_lock_irqsave(&tree->lock, flags);
	tree->reads++;
	fn = pci_kunit_decode(host, bus->number, devfn);
	if (!fn)
		goto unlock;		/* master abort */

	fn->reads++;
	if (fn->access == PCI_KUNIT_ACCESS_ERROR)
		ret = PCIBIOS_DEVICE_NOT_FOUND;
	else if (fn->access == PCI_KUNIT_ACCESS_NORMAL &&
		 where + size <= pci_kunit_cfg_size(fn))
		*value = pci_kunit_load(fn->cfg + where, size);
unlock:
	raw_spin_unlock_irqrestore(&tree->lock, flags);
	return ret;
}

static int pci_kunit_config_write(struct pci_bus *bus, unsigned int devfn,
				  int where, int size, u32 value)
{
	struct pci_kunit_host *host = pci_kunit_bus_host(bus);
	struct pci_kunit_tree *tree = host->tree;
	struct pci_kunit_fn *fn;
	int ret = PCIBIOS_SUCCESSFUL;
	unsigned long flags;
	u32 mask, old;

	raw_spin_lock_irqsave(&tree->lock, flags);
	tree->writes++;
	fn = pci_kunit_decode(host, bus->number, devfn);
	if (!fn)
		goto unlock;

	fn->writes++;
	if (fn->access == PCI_KUNIT_ACCESS_ERROR) {
		ret = PCIBIOS_DEVICE_NOT_FOUND;
	} else if (fn->access == PCI_KUNIT_ACCESS_NORMAL &&
		   where + size <= pci_kunit_cfg_size(fn)) {
		old = pci_kunit_load(fn->cfg + where, size);
		mask = pci_kunit_load(fn->mask + where, size);
		pci_kunit_store(fn->cfg + where, size,
				(old & ~mask) | (value & mask));
	}
unlock:
	raw_spin_unlock_irqrestore(&tree->lock, flags);
	return ret;
}

struct pci_ops pci_kunit_ops = {
	.read = pci_kunit_config_read,
	.write = pci_kunit_config_write,
};

/* What a function begins with ---------------------------------------------- */

/* Set a register, value and mask of writable bits */
static void pci_kunit_reg(struct pci_kunit_fn *fn, int where, int size,
			  u32 value, u32 mask)
{
	pci_kunit_store(fn->cfg + where, size, value);
	pci_kunit_store(fn->mask + where, size, mask);
}

static void pci_kunit_init_bars(struct pci_kunit_fn *fn)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct pci_kunit_bar *bar = &fn->node.bar[i];
		int where = PCI_BASE_ADDRESS_0 + 4 * i;
		u64 mask = ~(bar->size - 1);

		if (!bar->size)
			continue;
		if (bar->type == PCI_KUNIT_BAR_IO) {
			pci_kunit_reg(fn, where, 4, PCI_BASE_ADDRESS_SPACE_IO,
				      mask);
			continue;
		}
		pci_kunit_reg(fn, where, 4, PCI_BASE_ADDRESS_MEM_TYPE_64 |
			      PCI_BASE_ADDRESS_MEM_PREFETCH,
			      lower_32_bits(mask));
		pci_kunit_reg(fn, where + 4, 4, 0, upper_32_bits(mask));
	}
}

/* A bridge whose windows are closed and whose buses have no number yet */
static void pci_kunit_init_bridge(struct pci_kunit_fn *fn)
{
	pci_kunit_reg(fn, PCI_PRIMARY_BUS, 4, 0, 0x00ffffff);
	pci_kunit_reg(fn, PCI_IO_BASE, 2, 0x00f0, 0xf0f0);
	pci_kunit_reg(fn, PCI_MEMORY_BASE, 4, 0x0000fff0, 0xfff0fff0);
	pci_kunit_reg(fn, PCI_PREF_MEMORY_BASE, 4, 0x0001fff1, 0xfff0fff0);
	pci_kunit_reg(fn, PCI_PREF_BASE_UPPER32, 4, 0, U32_MAX);
	pci_kunit_reg(fn, PCI_PREF_LIMIT_UPPER32, 4, 0, U32_MAX);
	pci_kunit_reg(fn, PCI_BRIDGE_CONTROL, 2, 0, 0x0bff);
}

static u16 pci_kunit_exp_type(enum pci_kunit_type type)
{
	switch (type) {
	case PCI_KUNIT_ROOT_PORT:
		return PCI_EXP_TYPE_ROOT_PORT;
	case PCI_KUNIT_UPSTREAM_PORT:
		return PCI_EXP_TYPE_UPSTREAM;
	case PCI_KUNIT_DOWNSTREAM_PORT:
		return PCI_EXP_TYPE_DOWNSTREAM;
	case PCI_KUNIT_PCIE_PCI_BRIDGE:
		return PCI_EXP_TYPE_PCI_BRIDGE;
	case PCI_KUNIT_LEGACY_ENDPOINT:
		return PCI_EXP_TYPE_LEG_END;
	case PCI_KUNIT_RC_ENDPOINT:
		return PCI_EXP_TYPE_RC_END;
	default:
		return PCI_EXP_TYPE_ENDPOINT;
	}
}

/* PCI Express capability, version 2: a x4 link at 16 GT/s that is up */
static void pci_kunit_init_express(struct pci_kunit_fn *fn)
{
	const int pos = PCI_KUNIT_POS_EXP;

	pci_kunit_reg(fn, pos, 1, PCI_CAP_ID_EXP, 0);
	pci_kunit_reg(fn, pos + PCI_EXP_FLAGS, 2,
		      pci_kunit_exp_type(fn->node.type) << 4 | 2, 0);
	pci_kunit_reg(fn, pos + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER, 0);
	pci_kunit_reg(fn, pos + PCI_EXP_DEVCTL, 2, 0, 0x7fff);
	pci_kunit_reg(fn, pos + PCI_EXP_RTCTL, 2, 0, 0x001f);
	pci_kunit_reg(fn, pos + PCI_EXP_DEVCTL2, 2, 0, 0xffff);

	if (fn->node.type == PCI_KUNIT_RC_ENDPOINT)
		return;		/* no link */

	pci_kunit_reg(fn, pos + PCI_EXP_LNKCAP, 4, fn->node.port << 24 |
		      PCI_EXP_LNKCAP_DLLLARC | 4 << 4 |
		      PCI_EXP_LNKCAP_SLS_16_0GB, 0);
	pci_kunit_reg(fn, pos + PCI_EXP_LNKCTL, 2, 0, 0x0fdb);
	pci_kunit_reg(fn, pos + PCI_EXP_LNKSTA, 2, PCI_EXP_LNKSTA_DLLLA |
		      4 << PCI_EXP_LNKSTA_NLW_SHIFT |
		      PCI_EXP_LNKSTA_CLS_16_0GB, 0);
	pci_kunit_reg(fn, pos + PCI_EXP_LNKCAP2, 4,
		      PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
		      PCI_EXP_LNKCAP2_SLS_8_0GB | PCI_EXP_LNKCAP2_SLS_16_0GB,
		      0);
	pci_kunit_reg(fn, pos + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_16_0GT,
		      0xffff);
}

static void pci_kunit_init_acs(struct pci_kunit_fn *fn)
{
	const struct pci_kunit_acs *acs = &fn->node.acs;
	const int pos = PCI_KUNIT_POS_ACS;

	pci_kunit_reg(fn, pos + PCI_ACS_CAP, 2,
		      acs->cap | acs->egress_size << 8, 0);
	pci_kunit_reg(fn, pos + PCI_ACS_CTRL, 2, acs->ctrl, acs->cap & 0x7f);
	for (int i = 0; i < PCI_KUNIT_EGRESS_DWORDS; i++)
		pci_kunit_reg(fn, pos + PCI_ACS_EGRESS_CTL_V + 4 * i, 4,
			      acs->egress[i],
			      acs->cap & PCI_ACS_EC ? U32_MAX : 0);
}

/* Link the capabilities of a function, each header pointing to the next */
static void pci_kunit_init_caps(struct pci_kunit_fn *fn)
{
	const struct pci_kunit_vndr *vndr = &fn->node.vndr;
	int where = PCI_CAPABILITY_LIST;
	int ext = PCI_KUNIT_POS_DSN;

	if (pci_kunit_is_pcie(fn->node.type)) {
		pci_kunit_init_express(fn);
		pci_kunit_reg(fn, where, 1, PCI_KUNIT_POS_EXP, 0);
		where = PCI_KUNIT_POS_EXP + PCI_CAP_LIST_NEXT;
	}
	if (vndr->len) {
		pci_kunit_reg(fn, where, 1, PCI_KUNIT_POS_VNDR, 0);
		pci_kunit_reg(fn, PCI_KUNIT_POS_VNDR, 4,
			      PCI_CAP_ID_VNDR | (vndr->len + 3) << 16, 0);
		memcpy(fn->cfg + PCI_KUNIT_POS_VNDR + 3, vndr->data, vndr->len);
	}
	if (fn->cfg[PCI_CAPABILITY_LIST])
		pci_kunit_reg(fn, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);

	if (!pci_kunit_is_pcie(fn->node.type))
		return;

	/*
	 * The list of extended capabilities must start at 0x100: a serial
	 * number is there, the index of the function.
	 */
	pci_kunit_reg(fn, ext, 4, 1 << 16 | PCI_EXT_CAP_ID_DSN, 0);
	pci_kunit_reg(fn, ext + 4, 4, fn - fn->host->tree->fns, 0);
	if (fn->node.acs.present) {
		fn->cfg[ext + 2] |= (PCI_KUNIT_POS_ACS & 0xf) << 4;
		fn->cfg[ext + 3] = PCI_KUNIT_POS_ACS >> 4;
		ext = PCI_KUNIT_POS_ACS;
		pci_kunit_reg(fn, ext, 4, 1 << 16 | PCI_EXT_CAP_ID_ACS, 0);
		pci_kunit_init_acs(fn);
	}
	if (fn->node.ats) {
		fn->cfg[ext + 2] |= (PCI_KUNIT_POS_ATS & 0xf) << 4;
		fn->cfg[ext + 3] = PCI_KUNIT_POS_ATS >> 4;
		ext = PCI_KUNIT_POS_ATS;
		pci_kunit_reg(fn, ext, 4, 1 << 16 | PCI_EXT_CAP_ID_ATS, 0);
		pci_kunit_reg(fn, ext + PCI_ATS_CAP, 2,
			      PCI_ATS_CAP_PAGE_ALIGNED, 0);
		pci_kunit_reg(fn, ext + PCI_ATS_CTRL, 2, 0,
			      PCI_ATS_CTRL_ENABLE | PCI_ATS_CTRL_STU(~0));
	}
}

static u32 pci_kunit_class(const struct pci_kunit_node *node)
{
	if (node->class)
		return node->class;
	if (node->type == PCI_KUNIT_HOST_BRIDGE)
		return PCI_CLASS_BRIDGE_HOST << 8;
	if (pci_kunit_is_bridge(node->type))
		return PCI_CLASS_BRIDGE_PCI_NORMAL;
	return PCI_CLASS_MEMORY_OTHER << 8;
}

/* Fill in what a function is declared to be, from nothing but zeroes */
void pci_kunit_init_config(struct pci_kunit_fn *fn)
{
	const struct pci_kunit_node *node = &fn->node;

	pci_kunit_reg(fn, PCI_VENDOR_ID, 2,
		      node->vendor ?: PCI_KUNIT_VENDOR, 0);
	pci_kunit_reg(fn, PCI_DEVICE_ID, 2,
		      node->vendor ? node->device :
				     PCI_KUNIT_DEVICE + node->type, 0);
	pci_kunit_reg(fn, PCI_COMMAND, 2, 0, 0x0547);
	pci_kunit_reg(fn, PCI_CLASS_REVISION, 4, pci_kunit_class(node) << 8,
		      0);
	pci_kunit_reg(fn, PCI_CACHE_LINE_SIZE, 2, 0, 0xffff);
	pci_kunit_reg(fn, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	pci_kunit_init_bars(fn);
	if (pci_kunit_is_bridge(node->type)) {
		fn->cfg[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
		pci_kunit_init_bridge(fn);
	}
	pci_kunit_init_caps(fn);
}

/* Access for tests -------------------------------------------------------- */

static void pci_kunit_check_range(struct pci_kunit_tree *tree, int where,
				  int size)
{
	if ((size != 1 && size != 2 && size != 4) || where < 0 ||
	    where + size > PCI_CFG_SPACE_EXP_SIZE)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "config space has no %d bytes at %#x",
				     size, where);
}

/**
 * pci_kunit_get() - read config space behind the kernel's back
 * @tree: the tree
 * @name: name of the node
 * @where: offset
 * @size: 1, 2 or 4 bytes
 *
 * Not counted, and not subject to pci_kunit_set_access().
 *
 * Return: what is stored there.
 */
u32 pci_kunit_get(struct pci_kunit_tree *tree, const char *name, int where,
		  int size)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);
	unsigned long flags;
	u32 value;

	pci_kunit_check_range(tree, where, size);
	raw_spin_lock_irqsave(&tree->lock, flags);
	value = pci_kunit_load(fn->cfg + where, size);
	raw_spin_unlock_irqrestore(&tree->lock, flags);
	return value;
}
EXPORT_SYMBOL_GPL(pci_kunit_get);

/**
 * pci_kunit_set() - write config space behind the kernel's back
 * @tree: the tree
 * @name: name of the node
 * @where: offset
 * @size: 1, 2 or 4 bytes
 * @value: stored as it is, read-only bits included
 *
 * Not counted, and not subject to pci_kunit_set_access(). What the kernel
 * remembers of the device (class, BARs, positions of capabilities) does not
 * change by it until the device is removed and found again.
 */
void pci_kunit_set(struct pci_kunit_tree *tree, const char *name, int where,
		   int size, u32 value)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);
	unsigned long flags;

	pci_kunit_check_range(tree, where, size);
	raw_spin_lock_irqsave(&tree->lock, flags);
	pci_kunit_store(fn->cfg + where, size, value);
	raw_spin_unlock_irqrestore(&tree->lock, flags);
}
EXPORT_SYMBOL_GPL(pci_kunit_set);

/**
 * pci_kunit_set_mask() - say which bits config writes change
 * @tree: the tree
 * @name: name of the node
 * @where: offset
 * @size: 1, 2 or 4 bytes
 * @mask: a bit that is set can be written
 */
void pci_kunit_set_mask(struct pci_kunit_tree *tree, const char *name,
			int where, int size, u32 mask)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);
	unsigned long flags;

	pci_kunit_check_range(tree, where, size);
	raw_spin_lock_irqsave(&tree->lock, flags);
	pci_kunit_store(fn->mask + where, size, mask);
	raw_spin_unlock_irqrestore(&tree->lock, flags);
}
EXPORT_SYMBOL_GPL(pci_kunit_set_mask);

/**
 * pci_kunit_set_access() - make a function unreadable, or readable again
 * @tree: the tree
 * @name: name of the node
 * @access: how it answers from now on
 *
 * What is below a bridge stays readable: the numbers of its buses are still
 * there. A function that is unreadable when it is looked for, by
 * pci_kunit_rescan(), is not found.
 */
void pci_kunit_set_access(struct pci_kunit_tree *tree, const char *name,
			  enum pci_kunit_access access)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);
	unsigned long flags;

	raw_spin_lock_irqsave(&tree->lock, flags);
	fn->access = access;
	raw_spin_unlock_irqrestore(&tree->lock, flags);
}
EXPORT_SYMBOL_GPL(pci_kunit_set_access);

/**
 * pci_kunit_reads() - number of config reads since the tree was created
 * @tree: the tree
 * @name: name of the node, NULL for the whole tree
 *
 * The whole tree includes reads of functions that do not exist. Reads that
 * failed count.
 *
 * Return: the number.
 */
unsigned long pci_kunit_reads(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_kunit_fn *fn = name ? pci_kunit_function(tree, name) : NULL;
	unsigned long flags, count;

	raw_spin_lock_irqsave(&tree->lock, flags);
	count = fn ? fn->reads : tree->reads;
	raw_spin_unlock_irqrestore(&tree->lock, flags);
	return count;
}
EXPORT_SYMBOL_GPL(pci_kunit_reads);

/**
 * pci_kunit_writes() - number of config writes since the tree was created
 * @tree: the tree
 * @name: name of the node, NULL for the whole tree
 *
 * Return: the number.
 */
unsigned long pci_kunit_writes(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_kunit_fn *fn = name ? pci_kunit_function(tree, name) : NULL;
	unsigned long flags, count;

	raw_spin_lock_irqsave(&tree->lock, flags);
	count = fn ? fn->writes : tree->writes;
	raw_spin_unlock_irqrestore(&tree->lock, flags);
	return count;
}
EXPORT_SYMBOL_GPL(pci_kunit_writes);
