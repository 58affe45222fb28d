// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit on a declared PCI tree
 *
 * A test declares host bridges, ports and endpoints in an array of
 * struct pci_kunit_node. pci_kunit_create() turns each host bridge into a
 * struct pci_host_bridge whose struct pci_ops answer from memory, and lets the
 * PCI core do the rest: it numbers the buses, finds the functions, sizes and
 * assigns the BARs, creates the devices in sysfs. What the test gets are real
 * struct pci_dev, made by the code that makes them on real machines.
 *
 * What a tree owns
 *   - a PCI domain, or several, in which nothing else lives;
 *   - for each host bridge a window of iomem_resource above 4 GiB in which
 *     there is neither RAM nor a device. The kernel may map it and create
 *     struct pages for it; nothing answers behind it;
 *   - for each host bridge an I/O window that is no part of ioport_resource,
 *     because the machine may have left nothing of that. It is there to be
 *     assigned, not to be accessed;
 *   - for each function 4 KiB of config space and as much of a write mask: a
 *     config write changes the bits that are set in the mask, as in a register
 *     with read-only bits. The test may read and write both past the mask, and
 *     forge whatever it likes;
 *   - a pci_driver of its own, registered by the first pci_kunit_bind(), that
 *     probes nothing but what the test asks for. It is there so that managed
 *     resources of a device have a life to be bound to.
 *
 * What is emulated
 *   Config requests are routed as by hardware: a function answers if the
 *   secondary bus register of the bridge above it holds the bus number that is
 *   asked for, and if all bridges further up forward that number. So buses are
 *   found at the numbers that the kernel chose and a bridge that lost its
 *   numbers hides what is below it. BARs are sized by writing ones. There is
 *   no memory window below 4 GiB, no interrupt, no reset. The PCI core applies
 *   its quirks to the vendor and device ids of a declaration.
 *
 * Invariants
 *   - parents precede their children in the array, so walking it backwards
 *     meets the leaves first;
 *   - a struct pci_kunit_tree lives until the last of its host bridges has been
 *     released by the driver core, whoever held it: config accessors and
 *     resources that the core can still reach are never freed under it. It
 *     holds one reference for the test, one for each host bridge, one for each
 *     operation under way;
 *   - the host bridge is the last part of a tree to go: every device holds its
 *     bus, every bus holds the bridge above. A released bridge means that
 *     everything was freed, and that is what the end of a test waits for. If
 *     it does not happen in time, the test fails and names the devices that
 *     are held.
 *
 * Locking
 *   tree->lock, a raw spinlock, guards config space, masks, access modes and
 *   counters; it is innermost and may be taken in any context, as config
 *   accessors may run in any. tree->mutex lets one operation (removal, rescan,
 *   unbind) run at a time. The array itself does not change after creation.
 *   Operations run in a worker and the test waits for them with a time limit,
 *   because removing a device can block for ever on what a test has leaked.
 *
 * What must never happen
 *   - a test that blocks those after it without a word: when an operation does
 *     not end, all trees to come are refused with a message that says so,
 *     because the PCI rescan lock may be held;
 *   - a config access that reaches the machine's own devices, or the other way
 *     round: that is why the domain must be unused;
 *   - a resource left in iomem_resource that points to freed memory.
 *
 * The PCI core keeps a few bytes for each domain number ever used, and never
 * frees them. Trees that do not name a domain use the lowest free one from
 * PCI_KUNIT_FIRST_DOMAIN, so that this does not grow with the number of tests.
 *
 * It uses the x86 struct pci_sysdata.
 */

#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/workqueue.h>

#include "pci_kunit.h"

#define PCI_KUNIT_FIRST_DOMAIN	0x1000
#define PCI_KUNIT_TIMEOUT_MS	60000
#define PCI_KUNIT_POLL_MS	20

/* Above all ports of the machine; on the bus it begins at 0 */
#define PCI_KUNIT_IO_BASE	0x10000

/* An id that no driver has in its table */
#define PCI_KUNIT_VENDOR	0x1b36
#define PCI_KUNIT_DEVICE	0x0ff0

struct pci_kunit_host {
	struct pci_sysdata sysdata;
	struct pci_kunit_tree *tree;
	struct pci_host_bridge *bridge;
	struct resource busn;
	struct resource window;
	struct resource io;
	u64 bus_offset;
	struct completion released;
	bool scanned;
};

struct pci_kunit_fn {
	struct pci_kunit_node node;
	char *name;
	struct pci_kunit_host *host;
	struct pci_kunit_fn *parent;	/* NULL on a root bus */
	u8 *cfg;			/* NULL: host bridge without 00.0 */
	u8 *mask;
	enum pci_kunit_access access;
	unsigned long reads;
	unsigned long writes;
	struct pci_dev *bind;		/* what probe accepts, and has bound */
	struct pci_dev *held;		/* during teardown */
	bool leaked;			/* it, or something below it */
};

enum pci_kunit_op_state {
	PCI_KUNIT_OP_NONE,
	PCI_KUNIT_OP_RUNNING,
	PCI_KUNIT_OP_STUCK,		/* the test has stopped waiting */
};

typedef void (*pci_kunit_op)(struct pci_kunit_tree *tree,
			     struct pci_kunit_fn *fn);

struct pci_kunit_tree {
	struct kref kref;
	struct kunit *test;
	raw_spinlock_t lock;		/* config space, access, counters */
	unsigned long reads;
	unsigned long writes;

	struct mutex mutex;		/* one operation at a time */
	struct work_struct work;
	struct completion done;
	pci_kunit_op op;
	struct pci_kunit_fn *op_fn;
	atomic_t op_state;
	unsigned int timeout_ms;

	struct pci_driver driver;
	bool driver_registered;

	size_t count;
	struct pci_kunit_fn fns[] __counted_by(count);
};

/* Operations, of any tree, that nobody waits for any more */
static atomic_t pci_kunit_stuck = ATOMIC_INIT(0);
static atomic_t pci_kunit_serial = ATOMIC_INIT(0);

/* Config space ------------------------------------------------------------ */

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

static bool pci_kunit_is_pcie(enum pci_kunit_type type)
{
	return type != PCI_KUNIT_HOST_BRIDGE && type != PCI_KUNIT_PCI_BRIDGE &&
	       type != PCI_KUNIT_CONVENTIONAL;
}

static bool pci_kunit_is_bridge(enum pci_kunit_type type)
{
	switch (type) {
	case PCI_KUNIT_ROOT_PORT:
	case PCI_KUNIT_UPSTREAM_PORT:
	case PCI_KUNIT_DOWNSTREAM_PORT:
	case PCI_KUNIT_PCIE_PCI_BRIDGE:
	case PCI_KUNIT_PCI_BRIDGE:
		return true;
	default:
		return false;
	}
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

static struct pci_ops pci_kunit_ops = {
	.read = pci_kunit_config_read,
	.write = pci_kunit_config_write,
};

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

static void pci_kunit_init_config(struct pci_kunit_fn *fn)
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

/* Life of a tree ---------------------------------------------------------- */

static void pci_kunit_free(struct kref *kref)
{
	struct pci_kunit_tree *tree = container_of(kref, struct pci_kunit_tree,
						   kref);

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE && fn->host) {
			if (fn->host->window.parent)
				release_resource(&fn->host->window);
			kfree(fn->host);
		}
		kfree(fn->cfg);
		kfree(fn->mask);
		kfree(fn->name);
	}
	kfree(tree->driver.name);
	kfree(tree);
}

static void pci_kunit_put(struct pci_kunit_tree *tree)
{
	kref_put(&tree->kref, pci_kunit_free);
}

static void pci_kunit_host_release(struct pci_host_bridge *bridge)
{
	struct pci_kunit_host *host = bridge->release_data;

	complete_all(&host->released);
	pci_kunit_put(host->tree);
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

static struct pci_kunit_fn *pci_kunit_lookup(struct pci_kunit_tree *tree,
					     size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(tree->fns[i].name, name))
			return &tree->fns[i];
	}
	return NULL;
}

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

/* The bus numbers of a host bridge end where the next one's begin */
static int pci_kunit_set_busn(struct pci_kunit_tree *tree,
			      struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;

	host->busn.name = "PCI KUnit buses";
	host->busn.start = fn->node.busnr;
	host->busn.end = 0xff;
	host->busn.flags = IORESOURCE_BUS;

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *other = &tree->fns[i];

		if (other == fn || other->node.type != PCI_KUNIT_HOST_BRIDGE ||
		    other->host->sysdata.domain != host->sysdata.domain)
			continue;
		if (other->node.busnr == fn->node.busnr) {
			kunit_err(tree->test,
				  "nodes \"%s\" and \"%s\": same domain and busnr\n",
				  fn->name, other->name);
			return -EINVAL;
		}
		if (other->node.busnr > fn->node.busnr)
			host->busn.end = min(host->busn.end,
					     other->node.busnr - 1);
	}
	return 0;
}

/* A hole of the physical address space that the kernel can map */
static int pci_kunit_set_window(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;
	u64 size = fn->node.window ?: SZ_1G;
	u64 last = min(SZ_1T, 1ULL << boot_cpu_data.x86_phys_bits) - 1;
	int ret;

	host->window.name = "PCI KUnit window";
	host->window.flags = IORESOURCE_MEM | IORESOURCE_PREFETCH |
			     IORESOURCE_MEM_64 | IORESOURCE_WINDOW;
	ret = allocate_resource(&iomem_resource, &host->window, size, SZ_4G,
				last, max_t(u64, roundup_pow_of_two(size),
					    SZ_1G), NULL, NULL);
	if (ret)
		kunit_err(tree->test,
			  "node \"%s\": no room for a window of %#llx bytes between 4 GiB and %#llx\n",
			  fn->name, size, last);
	return ret;
}

static int pci_kunit_scan_host(struct pci_kunit_tree *tree,
			       struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;
	struct pci_host_bridge *bridge;
	int ret;

	ret = pci_kunit_set_busn(tree, fn);
	if (ret)
		return ret;
	ret = pci_kunit_set_window(tree, fn);
	if (ret)
		return ret;

	bridge = pci_alloc_host_bridge(0);
	if (!bridge)
		return -ENOMEM;
	bridge->sysdata = &host->sysdata;
	bridge->ops = &pci_kunit_ops;
	bridge->busnr = fn->node.busnr;
	pci_add_resource(&bridge->windows, &host->busn);
	pci_add_resource_offset(&bridge->windows, &host->window,
				host->bus_offset);
	pci_add_resource_offset(&bridge->windows, &host->io, PCI_KUNIT_IO_BASE);
	kref_get(&tree->kref);
	pci_set_host_bridge_release(bridge, pci_kunit_host_release, host);

	ret = pci_host_probe(bridge);
	if (ret) {
		kunit_err(tree->test, "node \"%s\": scanning failed: %d\n",
			  fn->name, ret);
		pci_free_host_bridge(bridge);
		return ret;
	}
	host->bridge = bridge;
	return 0;
}

/* A new reference, NULL if the kernel has no device for this node (now) */
static struct pci_dev *pci_kunit_get_dev(struct pci_kunit_fn *fn)
{
	struct pci_dev *parent, *pdev = NULL;

	if (!fn->cfg || !fn->host->bridge)
		return NULL;
	if (!fn->parent)
		return pci_get_slot(fn->host->bridge->bus, fn->node.devfn);

	parent = pci_kunit_get_dev(fn->parent);
	if (parent && parent->subordinate)
		pdev = pci_get_slot(parent->subordinate, fn->node.devfn);
	pci_dev_put(parent);
	return pdev;
}

static int pci_kunit_check_scan(struct pci_kunit_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct pci_dev *pdev;

		if (!fn->cfg)
			continue;
		pdev = pci_kunit_get_dev(fn);
		if (!pdev) {
			kunit_err(tree->test,
				  "node \"%s\": the PCI core does not find it; is its device number possible below \"%s\", has it a function 0, do the bus numbers suffice?\n",
				  fn->name, fn->node.parent);
			return -ENODEV;
		}
		pci_dev_put(pdev);

		/* The core changes it for an IOMMU or a boot parameter */
		if (fn->node.acs.present)
			pci_kunit_set_acs(tree, fn->name, fn->node.acs.ctrl);
	}
	return 0;
}

/* Operations -------------------------------------------------------------- */

static void pci_kunit_op_destroy(struct pci_kunit_tree *tree,
				 struct pci_kunit_fn *unused);

static void pci_kunit_free_bridges(struct pci_kunit_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE && fn->host->bridge)
			pci_free_host_bridge(fn->host->bridge);
	}
}

static void pci_kunit_work(struct work_struct *work)
{
	struct pci_kunit_tree *tree = container_of(work, struct pci_kunit_tree,
						   work);

	tree->op(tree, tree->op_fn);
	if (atomic_xchg(&tree->op_state, PCI_KUNIT_OP_NONE) ==
	    PCI_KUNIT_OP_STUCK) {
		atomic_dec(&pci_kunit_stuck);
		if (tree->op == pci_kunit_op_destroy) {
			/* The end of a teardown that has failed its test */
			for (size_t i = 0; i < tree->count; i++)
				pci_dev_put(tree->fns[i].held);
			pci_kunit_free_bridges(tree);
			pci_kunit_put(tree);
		}
	}
	complete_all(&tree->done);
	pci_kunit_put(tree);
}

static bool pci_kunit_wait(struct pci_kunit_tree *tree)
{
	return wait_for_completion_timeout(&tree->done,
					   msecs_to_jiffies(tree->timeout_ms));
}

/* Returns false, and has failed the test, if it did not end in time */
static bool pci_kunit_run(struct pci_kunit_tree *tree, pci_kunit_op op,
			  struct pci_kunit_fn *fn, const char *what)
{
	guard(mutex)(&tree->mutex);

	/* Perhaps what blocked it has been given back since */
	if (atomic_read(&tree->op_state) != PCI_KUNIT_OP_NONE &&
	    !pci_kunit_wait(tree)) {
		KUNIT_FAIL(tree->test,
			   "the PCI tree cannot be used: an earlier operation has not ended");
		return false;
	}

	tree->op = op;
	tree->op_fn = fn;
	reinit_completion(&tree->done);
	atomic_set(&tree->op_state, PCI_KUNIT_OP_RUNNING);
	kref_get(&tree->kref);
	queue_work(system_unbound_wq, &tree->work);
	if (pci_kunit_wait(tree))
		return true;

	atomic_inc(&pci_kunit_stuck);
	if (atomic_cmpxchg(&tree->op_state, PCI_KUNIT_OP_RUNNING,
			   PCI_KUNIT_OP_STUCK) != PCI_KUNIT_OP_RUNNING) {
		atomic_dec(&pci_kunit_stuck);
		return true;		/* it has, just now */
	}
	KUNIT_FAIL(tree->test,
		   "%s of \"%s\" has not ended after %u ms: something of the device is still in use",
		   what, fn ? fn->name : "the PCI tree", tree->timeout_ms);
	return false;
}

static void pci_kunit_run_or_abort(struct pci_kunit_tree *tree, pci_kunit_op op,
				   struct pci_kunit_fn *fn, const char *what)
{
	if (!pci_kunit_run(tree, op, fn, what))
		__kunit_abort(tree->test);
}

static void pci_kunit_op_destroy(struct pci_kunit_tree *tree,
				 struct pci_kunit_fn *unused)
{
	/*
	 * First the drivers: if one of them waits for ever, it does so without
	 * the rescan lock.
	 */
	if (tree->driver_registered) {
		pci_unregister_driver(&tree->driver);
		tree->driver_registered = false;
	}

	pci_lock_rescan_remove();
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type != PCI_KUNIT_HOST_BRIDGE ||
		    !fn->host->bridge)
			continue;
		pci_stop_root_bus(fn->host->bridge->bus);
		pci_remove_root_bus(fn->host->bridge->bus);
	}
	pci_unlock_rescan_remove();
}

/*
 * After removal the references taken before it are the only ones left. Leaves
 * first: a device that is held holds all bridges above it, which are not to
 * blame.
 */
static bool pci_kunit_put_held(struct pci_kunit_tree *tree,
			       unsigned long deadline)
{
	bool leaked = false;

	for (size_t i = tree->count; i--; ) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct kref *kref;

		if (!fn->held)
			continue;
		kref = &fn->held->dev.kobj.kref;
		while (!fn->leaked && kref_read(kref) > 1 &&
		       time_before(jiffies, deadline))
			msleep(PCI_KUNIT_POLL_MS);
		if (!fn->leaked && kref_read(kref) > 1) {
			KUNIT_FAIL(tree->test,
				   "PCI device %s, node \"%s\", has been removed and is still referenced (%u times): a pci_dev_put() is missing, of it or of what was removed from below it",
				   pci_name(fn->held), fn->name,
				   kref_read(kref) - 1);
			fn->leaked = true;
		}
		if (fn->leaked) {
			leaked = true;
			if (fn->parent)
				fn->parent->leaked = true;
		}
		pci_dev_put(fn->held);
		fn->held = NULL;
	}
	return leaked;
}

static void pci_kunit_wait_released(struct pci_kunit_tree *tree,
				    unsigned long deadline, bool leaked)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct pci_kunit_host *host = fn->host;
		long left = deadline - jiffies;

		if (fn->node.type != PCI_KUNIT_HOST_BRIDGE || !host->bridge)
			continue;
		host->bridge = NULL;
		if (!wait_for_completion_timeout(&host->released,
						 leaked || left < 1 ? 1 : left)) {
			if (!leaked)
				KUNIT_FAIL(tree->test,
					   "host bridge \"%s\" has not been released: something holds it, one of its buses, or a device that was removed earlier",
					   fn->name);
			continue;
		}
		if (host->window.child)
			KUNIT_FAIL(tree->test,
				   "resource \"%s\" %pR was left in the window of host bridge \"%s\"",
				   host->window.child->name,
				   host->window.child, fn->name);
	}
}

static void pci_kunit_teardown(void *data)
{
	struct pci_kunit_tree *tree = data;
	unsigned long deadline;
	bool leaked;

	for (size_t i = 0; i < tree->count; i++)
		tree->fns[i].held = pci_kunit_get_dev(&tree->fns[i]);

	/* If removal does not end, the worker keeps what it works on */
	if (!pci_kunit_run(tree, pci_kunit_op_destroy, NULL, "removal"))
		return;

	deadline = jiffies + msecs_to_jiffies(tree->timeout_ms);
	leaked = pci_kunit_put_held(tree, deadline);
	pci_kunit_free_bridges(tree);
	pci_kunit_wait_released(tree, deadline, leaked);
	pci_kunit_put(tree);
}

/**
 * pci_kunit_try_create() - create a declared PCI tree, or say why not
 * @test: the running test
 * @nodes: the declaration, parents before children; copied
 * @count: number of nodes
 *
 * As pci_kunit_create(), for tests that want to see the error.
 *
 * Return: the tree, or an ERR_PTR(): -EINVAL for a declaration that makes no
 * sense, -EBUSY if a declared domain is in use or an earlier tree could not be
 * removed, -ENODEV if the PCI core does not find a declared function, or what
 * the PCI core returned. The reason is in the log of the test.
 */
struct pci_kunit_tree *pci_kunit_try_create(struct kunit *test,
					    const struct pci_kunit_node *nodes,
					    size_t count)
{
	struct pci_kunit_tree *tree;
	int ret;

	if (atomic_read(&pci_kunit_stuck)) {
		kunit_err(test, "the removal of an earlier PCI tree has not ended, fix that test first\n");
		return ERR_PTR(-EBUSY);
	}

	tree = kzalloc(struct_size(tree, fns, count), GFP_KERNEL);
	if (!tree)
		return ERR_PTR(-ENOMEM);
	tree->count = count;
	tree->test = test;
	tree->timeout_ms = PCI_KUNIT_TIMEOUT_MS;
	kref_init(&tree->kref);
	raw_spin_lock_init(&tree->lock);
	mutex_init(&tree->mutex);
	init_completion(&tree->done);
	INIT_WORK(&tree->work, pci_kunit_work);

	for (size_t i = 0; i < count; i++) {
		ret = pci_kunit_add_node(tree, i, &nodes[i]);
		if (ret)
			goto err_put;
	}
	pci_kunit_mark_multifunction(tree);
	ret = pci_kunit_set_domains(tree);
	if (ret)
		goto err_put;

	for (size_t i = 0; i < count; i++) {
		if (tree->fns[i].node.type != PCI_KUNIT_HOST_BRIDGE)
			continue;
		ret = pci_kunit_scan_host(tree, &tree->fns[i]);
		if (ret)
			goto err_teardown;
	}
	ret = pci_kunit_check_scan(tree);
	if (ret)
		goto err_teardown;

	/* On failure the action has been run: the tree is gone */
	ret = kunit_add_action_or_reset(test, pci_kunit_teardown, tree);
	return ret ? ERR_PTR(ret) : tree;

err_teardown:
	pci_kunit_teardown(tree);
	return ERR_PTR(ret);
err_put:
	pci_kunit_put(tree);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(pci_kunit_try_create);

/**
 * pci_kunit_create() - create a declared PCI tree
 * @test: the running test
 * @nodes: the declaration, parents before children; copied
 * @count: number of nodes
 *
 * Removed at the end of the test, after what the test has registered later with
 * kunit_add_action(). The test fails if something of the tree is still in use
 * then. See PCI_KUNIT_CREATE() for whole arrays.
 *
 * Context: process, from the thread of the test.
 *
 * Return: the tree, never an error: the test is aborted instead.
 */
struct pci_kunit_tree *pci_kunit_create(struct kunit *test,
					const struct pci_kunit_node *nodes,
					size_t count)
{
	struct pci_kunit_tree *tree = pci_kunit_try_create(test, nodes, count);

	if (IS_ERR(tree))
		KUNIT_FAIL_AND_ABORT(test, "no PCI tree: %pe, see above", tree);
	return tree;
}
EXPORT_SYMBOL_GPL(pci_kunit_create);

/**
 * pci_kunit_destroy() - remove a tree before the end of the test
 * @tree: the tree, not to be used afterwards
 *
 * The test fails if something of the tree is still in use.
 */
void pci_kunit_destroy(struct pci_kunit_tree *tree)
{
	kunit_release_action(tree->test, pci_kunit_teardown, tree);
}
EXPORT_SYMBOL_GPL(pci_kunit_destroy);

/**
 * pci_kunit_set_timeout() - change how long removal may take
 * @tree: the tree
 * @timeout_ms: limit in milliseconds for each operation that removes something,
 *	and for the release of all devices at the end; a minute if not set
 */
void pci_kunit_set_timeout(struct pci_kunit_tree *tree, unsigned int timeout_ms)
{
	tree->timeout_ms = timeout_ms;
}
EXPORT_SYMBOL_GPL(pci_kunit_set_timeout);

/* Access for tests -------------------------------------------------------- */

static struct pci_kunit_fn *pci_kunit_node(struct pci_kunit_tree *tree,
					   const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_lookup(tree, tree->count, name);

	if (!fn)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "no node is named \"%s\"", name);
	return fn;
}

static struct pci_kunit_fn *pci_kunit_function(struct pci_kunit_tree *tree,
					       const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_node(tree, name);

	if (!fn->cfg)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "host bridge \"%s\" was declared without vendor id and has no function 00.0",
				     name);
	return fn;
}

/* All functions that take a name abort the test if there is no such node. */

/**
 * pci_kunit_find_dev() - the device of a node, if the kernel has one now
 * @tree: the tree
 * @name: name of the node; for a host bridge its function 00.0 is meant
 *
 * Return: the device without a reference, or NULL if it has been removed.
 */
struct pci_dev *pci_kunit_find_dev(struct pci_kunit_tree *tree,
				   const char *name)
{
	struct pci_dev *pdev = pci_kunit_get_dev(pci_kunit_function(tree, name));

	pci_dev_put(pdev);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_find_dev);

/**
 * pci_kunit_dev() - the device of a node
 * @tree: the tree
 * @name: name of the node; for a host bridge its function 00.0 is meant
 *
 * Return: the device, without a reference: it is valid until it is removed.
 * If it has been removed the test is aborted.
 */
struct pci_dev *pci_kunit_dev(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_dev *pdev = pci_kunit_find_dev(tree, name);

	if (!pdev)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "the kernel has no device for node \"%s\" now",
				     name);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_dev);

/**
 * pci_kunit_host() - the host bridge of a node
 * @tree: the tree
 * @name: name of a host bridge or of a node below it
 *
 * Return: the host bridge without a reference; its root bus is @bus of it.
 */
struct pci_host_bridge *pci_kunit_host(struct pci_kunit_tree *tree,
				       const char *name)
{
	return pci_kunit_node(tree, name)->host->bridge;
}
EXPORT_SYMBOL_GPL(pci_kunit_host);

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

static void pci_kunit_op_remove(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	struct pci_dev *pdev = pci_kunit_get_dev(fn);

	if (pdev)
		pci_stop_and_remove_bus_device_locked(pdev);
	pci_dev_put(pdev);
}

/**
 * pci_kunit_remove() - remove a device and all below it, as a user does
 * @tree: the tree
 * @name: name of the node
 *
 * As by the file remove in sysfs: drivers are unbound. The function stays
 * where it is and pci_kunit_rescan() finds it again, unless
 * pci_kunit_set_access() made it unreadable. Config space keeps its contents.
 * The test is aborted if the removal does not end.
 */
void pci_kunit_remove(struct pci_kunit_tree *tree, const char *name)
{
	pci_kunit_dev(tree, name);
	pci_kunit_run_or_abort(tree, pci_kunit_op_remove,
			       pci_kunit_function(tree, name), "removal");
}
EXPORT_SYMBOL_GPL(pci_kunit_remove);

static void pci_kunit_op_rescan(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *unused)
{
	pci_lock_rescan_remove();
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE)
			pci_rescan_bus(fn->host->bridge->bus);
	}
	pci_unlock_rescan_remove();
}

/**
 * pci_kunit_rescan() - look for devices on all buses of the tree
 * @tree: the tree
 *
 * As by the file rescan in sysfs. ACS control registers of devices that are
 * found are left as the PCI core sets them up.
 */
void pci_kunit_rescan(struct pci_kunit_tree *tree)
{
	pci_kunit_run_or_abort(tree, pci_kunit_op_rescan, NULL, "rescan");
}
EXPORT_SYMBOL_GPL(pci_kunit_rescan);

/*
 * The driver. fn->bind is written by the test before it lets the driver core
 * probe, and afterwards under the lock of the device.
 */

static struct pci_kunit_fn *pci_kunit_bound_fn(struct pci_dev *pdev)
{
	struct pci_kunit_tree *tree =
		container_of(to_pci_driver(pdev->dev.driver),
			     struct pci_kunit_tree, driver);

	for (size_t i = 0; i < tree->count; i++) {
		if (tree->fns[i].bind == pdev)
			return &tree->fns[i];
	}
	return NULL;
}

static int pci_kunit_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (!pci_kunit_bound_fn(pdev))
		return -ENODEV;		/* same ids, not asked for */
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static void pci_kunit_driver_remove(struct pci_dev *pdev)
{
	pci_kunit_bound_fn(pdev)->bind = NULL;
}

static int pci_kunit_do_bind(struct pci_kunit_tree *tree,
			     struct pci_kunit_fn *fn, struct pci_dev *pdev)
{
	int ret;

	guard(mutex)(&tree->mutex);

	if (!tree->driver_registered) {
		tree->driver.name = kasprintf(GFP_KERNEL, "pci_kunit.%d",
					      atomic_inc_return(&pci_kunit_serial));
		if (!tree->driver.name)
			return -ENOMEM;
		tree->driver.probe = pci_kunit_probe;
		tree->driver.remove = pci_kunit_driver_remove;
		ret = pci_register_driver(&tree->driver);
		if (ret)
			return ret;
		tree->driver_registered = true;
	}

	/* The driver matches nothing until an id is added, which then probes */
	fn->bind = pdev;
	ret = pci_add_dynid(&tree->driver, pdev->vendor, pdev->device,
			    PCI_ANY_ID, PCI_ANY_ID, 0, 0, 0);
	if (!ret && pdev->dev.driver != &tree->driver.driver)
		ret = -EBUSY;
	if (ret)
		fn->bind = NULL;
	return ret;
}

/**
 * pci_kunit_bind() - bind a device to a driver that does nothing
 * @tree: the tree
 * @name: name of the node
 *
 * Managed resources of the device then live until it is unbound: by
 * pci_kunit_unbind(), by its removal, or at the end of the test. The driver
 * sets a DMA mask of 64 bits. The test is aborted if the device cannot be
 * bound.
 *
 * Return: the device, without a reference.
 */
struct pci_dev *pci_kunit_bind(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);
	int ret = pci_kunit_do_bind(tree, pci_kunit_function(tree, name), pdev);

	if (ret)
		KUNIT_FAIL_AND_ABORT(tree->test, "cannot bind node \"%s\": %d",
				     name, ret);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_bind);

static void pci_kunit_op_unbind(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	device_release_driver(&fn->bind->dev);
}

/**
 * pci_kunit_unbind() - unbind a device that pci_kunit_bind() has bound
 * @tree: the tree
 * @name: name of the node
 *
 * Managed resources of the device are released by it. The test is aborted if
 * that does not end.
 */
void pci_kunit_unbind(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);

	if (!fn->bind)
		KUNIT_FAIL_AND_ABORT(tree->test, "node \"%s\" is not bound",
				     name);
	pci_kunit_run_or_abort(tree, pci_kunit_op_unbind, fn, "unbinding");
}
EXPORT_SYMBOL_GPL(pci_kunit_unbind);

MODULE_DESCRIPTION("KUnit on a declared PCI tree");
MODULE_LICENSE("GPL");
