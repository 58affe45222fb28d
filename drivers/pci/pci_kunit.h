/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit on a declared PCI tree: the interface for tests.
 *
 * A test writes down a tree and gets real devices:
 *
 *	static const struct pci_kunit_node one_switch[] = {
 *		{ "host", NULL,   PCI_KUNIT_HOST_BRIDGE,
 *		  .vendor = PCI_VENDOR_ID_INTEL, .device = 0x2030 },
 *		{ "rp",   "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
 *		{ "up",   "rp",   PCI_KUNIT_UPSTREAM_PORT },
 *		{ "dn0",  "up",   PCI_KUNIT_DOWNSTREAM_PORT,
 *		  .devfn = PCI_DEVFN(0, 0), .port = 1,
 *		  .acs = PCI_KUNIT_ACS(PCI_ACS_RR | PCI_ACS_CR, 0) },
 *		{ "dn1",  "up",   PCI_KUNIT_DOWNSTREAM_PORT,
 *		  .devfn = PCI_DEVFN(1, 0), .port = 2,
 *		  .acs = PCI_KUNIT_ACS(PCI_ACS_RR | PCI_ACS_CR, PCI_ACS_RR) },
 *		{ "mem",  "dn0",  PCI_KUNIT_ENDPOINT,
 *		  .bar = { [4] = { .size = SZ_4M } } },
 *		{ "nic",  "dn1",  PCI_KUNIT_ENDPOINT },
 *	};
 *
 *	static void some_case(struct kunit *test)
 *	{
 *		struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, one_switch);
 *		struct pci_dev *mem = pci_kunit_dev(tree, "mem");
 *		...
 *		pci_kunit_set_acs(tree, "dn1", 0);
 *	}
 *
 * Nothing has to be undone: when the test ends the tree is removed, and the
 * test fails if something still holds a part of it.
 *
 * How it works and what must never happen is told in pci_kunit.c; what a
 * declaration must not be, in pci_kunit_declare.c.
 */
#ifndef _PCI_KUNIT_H
#define _PCI_KUNIT_H

#include <linux/pci.h>
#include <linux/types.h>

struct kunit;
struct pci_kunit_tree;

/**
 * enum pci_kunit_type - what a node of the tree is
 * @PCI_KUNIT_HOST_BRIDGE: a host bridge with a root bus; has no parent. With a
 *	vendor id it also has a conventional function 00.0 of class host bridge
 *	on its root bus, by which the kernel recognises a root complex
 * @PCI_KUNIT_ROOT_PORT: PCI Express root port
 * @PCI_KUNIT_UPSTREAM_PORT: upstream port of a switch
 * @PCI_KUNIT_DOWNSTREAM_PORT: downstream port of a switch
 * @PCI_KUNIT_PCIE_PCI_BRIDGE: PCI Express to conventional PCI bridge
 * @PCI_KUNIT_PCI_BRIDGE: conventional PCI to PCI bridge, no PCI Express
 *	capability
 * @PCI_KUNIT_ENDPOINT: PCI Express endpoint
 * @PCI_KUNIT_LEGACY_ENDPOINT: PCI Express legacy endpoint
 * @PCI_KUNIT_CONVENTIONAL: conventional function, no PCI Express capability
 *	and 256 bytes of config space
 * @PCI_KUNIT_RC_ENDPOINT: root complex integrated endpoint
 */
enum pci_kunit_type {
	PCI_KUNIT_HOST_BRIDGE,
	PCI_KUNIT_ROOT_PORT,
	PCI_KUNIT_UPSTREAM_PORT,
	PCI_KUNIT_DOWNSTREAM_PORT,
	PCI_KUNIT_PCIE_PCI_BRIDGE,
	PCI_KUNIT_PCI_BRIDGE,
	PCI_KUNIT_ENDPOINT,
	PCI_KUNIT_LEGACY_ENDPOINT,
	PCI_KUNIT_CONVENTIONAL,
	PCI_KUNIT_RC_ENDPOINT,
};

/**
 * enum pci_kunit_bar_type - what a base address register decodes
 * @PCI_KUNIT_BAR_MEM64: 64-bit prefetchable memory; takes two registers. The
 *	kernel gives it an address in the window of the host bridge
 * @PCI_KUNIT_BAR_IO: I/O ports. The kernel gives it an address in a window that
 *	the machine's ports know nothing of: it must not be accessed
 */
enum pci_kunit_bar_type {
	PCI_KUNIT_BAR_MEM64,
	PCI_KUNIT_BAR_IO,
};

/**
 * struct pci_kunit_bar - a base address register
 * @size: power of two, at least 16 for memory and 4 for I/O; 0 means that there
 *	is none. To be registered as struct pages: at least 2 MiB. If the window
 *	of the host bridge cannot hold what is below a port, the kernel gives up
 *	all these BARs: their resources have size and flags 0
 * @type: what it decodes, 64-bit prefetchable memory if not said
 */
struct pci_kunit_bar {
	u64 size;
	enum pci_kunit_bar_type type;
};

#define PCI_KUNIT_EGRESS_DWORDS		8

/**
 * struct pci_kunit_acs - Access Control Services of a function
 * @present: the function has the capability
 * @cap: capability bits (PCI_ACS_SV to PCI_ACS_DT); only these can be set in
 *	the control register by config writes
 * @ctrl: control register after enumeration. Bits that @cap lacks are taken as
 *	they are: a device may lie
 * @egress_size: Egress Control Vector Size as in bits 15:8 of the capability
 *	(0 stands for 256 there), meaningful with PCI_ACS_EC in @cap
 * @egress: Egress Control Vector
 *
 * PCI_KUNIT_ACS() fills it in without an egress vector.
 */
struct pci_kunit_acs {
	bool present;
	u16 cap;
	u16 ctrl;
	u8 egress_size;
	u32 egress[PCI_KUNIT_EGRESS_DWORDS];
};

/**
 * PCI_KUNIT_ACS() - ACS capability without egress control vector
 * @_cap: bits that the function implements
 * @_ctrl: bits that are on
 */
#define PCI_KUNIT_ACS(_cap, _ctrl)					\
	{ .present = true, .cap = (_cap), .ctrl = (_ctrl) }

#define PCI_KUNIT_VNDR_MAX		29

/**
 * struct pci_kunit_vndr - vendor-specific capability (id 0x09)
 * @len: number of bytes after the three of the header (id, next, length); 0
 *	means that there is no such capability
 * @data: these bytes
 */
struct pci_kunit_vndr {
	u8 len;
	u8 data[PCI_KUNIT_VNDR_MAX];
};

/**
 * PCI_KUNIT_CLIQUE() - hypervisor's peer-to-peer clique capability
 * @_id: clique id, 0 to 15
 */
#define PCI_KUNIT_CLIQUE(_id)						\
	{ .len = 5, .data = { 'P', '2', 'P', (_id) << 3, 0 } }

/**
 * struct pci_kunit_node - a host bridge or a function of the tree
 * @name: name, unique in the tree
 * @parent: name of a host bridge or bridge declared earlier in the array; NULL
 *	for a host bridge
 * @type: what it is
 * @devfn: device and function number. Below root ports and downstream ports
 *	only device 0 exists. Functions that share a bus and a device number are
 *	a multi-function device (there must be a function 0)
 * @vendor: vendor id; 0 stands for one that no driver claims (a host bridge has
 *	no function 00.0 then)
 * @device: device id, taken together with @vendor
 * @class: class code with programming interface (24 bits); 0 stands for one
 *	that suits @type
 * @port: port number (Link Capabilities 31:24)
 * @bar: base address registers; bridges have two, other functions six
 * @acs: Access Control Services
 * @ats: the function has an ATS capability (pci_enable_ats() switches it on)
 * @vndr: vendor-specific capability
 * @domain: host bridge only: PCI domain; 0 stands for a free one, the same for
 *	all host bridges of the tree that do not name theirs
 * @busnr: host bridge only: number of its root bus. It owns the numbers up to
 *	the next host bridge of the same domain, or 255
 * @window: host bridge only: size of its memory window, 0 stands for 1 GiB
 * @bus_offset: host bridge only: CPU address minus bus address in the window;
 *	multiple of 1 MiB, less than 4 GiB
 *
 * Only config space is there. Reading the memory behind a BAR gives no fault
 * and no data.
 */
struct pci_kunit_node {
	const char *name;
	const char *parent;
	enum pci_kunit_type type;
	u8 devfn;
	u16 vendor;
	u16 device;
	u32 class;
	u8 port;
	struct pci_kunit_bar bar[PCI_STD_NUM_BARS];
	struct pci_kunit_acs acs;
	bool ats;
	struct pci_kunit_vndr vndr;

	int domain;
	u8 busnr;
	u64 window;
	u64 bus_offset;
};

/*
 * Where the fixture puts capabilities. A function that lacks one has zeroes
 * there. Tests that forge config space start from these.
 */
#define PCI_KUNIT_POS_EXP		0x40
#define PCI_KUNIT_POS_VNDR		0x80
#define PCI_KUNIT_POS_DSN		0x100
#define PCI_KUNIT_POS_ACS		0x140
#define PCI_KUNIT_POS_ATS		0x180

/**
 * enum pci_kunit_access - how a function answers config requests
 * @PCI_KUNIT_ACCESS_NORMAL: from its config space
 * @PCI_KUNIT_ACCESS_ALL_ONES: reads give all ones with success, writes vanish:
 *	a function that is gone, as hardware shows it
 * @PCI_KUNIT_ACCESS_ERROR: the access itself fails with
 *	PCIBIOS_DEVICE_NOT_FOUND
 */
enum pci_kunit_access {
	PCI_KUNIT_ACCESS_NORMAL,
	PCI_KUNIT_ACCESS_ALL_ONES,
	PCI_KUNIT_ACCESS_ERROR,
};

struct pci_kunit_tree *pci_kunit_create(struct kunit *test,
					const struct pci_kunit_node *nodes,
					size_t count);
struct pci_kunit_tree *pci_kunit_try_create(struct kunit *test,
					    const struct pci_kunit_node *nodes,
					    size_t count);
void pci_kunit_destroy(struct pci_kunit_tree *tree);
void pci_kunit_set_timeout(struct pci_kunit_tree *tree,
			   unsigned int timeout_ms);

/**
 * PCI_KUNIT_CREATE() - pci_kunit_create() of a whole array
 * @test: the running test
 * @nodes: array of &struct pci_kunit_node
 */
#define PCI_KUNIT_CREATE(test, nodes)					\
({									\
	const typeof(nodes) *__nodes = &(nodes);			\
									\
	pci_kunit_create(test, *__nodes, ARRAY_SIZE(*__nodes));		\
})

struct pci_dev *pci_kunit_dev(struct pci_kunit_tree *tree, const char *name);
struct pci_dev *pci_kunit_find_dev(struct pci_kunit_tree *tree,
				   const char *name);
struct pci_host_bridge *pci_kunit_host(struct pci_kunit_tree *tree,
				       const char *name);

u32 pci_kunit_get(struct pci_kunit_tree *tree, const char *name, int where,
		  int size);
void pci_kunit_set(struct pci_kunit_tree *tree, const char *name, int where,
		   int size, u32 value);
void pci_kunit_set_mask(struct pci_kunit_tree *tree, const char *name,
			int where, int size, u32 mask);

/**
 * pci_kunit_acs() - ACS control register of a node
 * @tree: the tree
 * @name: name of the node
 *
 * Return: the stored value, not counted as a config read.
 */
static inline u16 pci_kunit_acs(struct pci_kunit_tree *tree, const char *name)
{
	return pci_kunit_get(tree, name, PCI_KUNIT_POS_ACS + PCI_ACS_CTRL, 2);
}

/**
 * pci_kunit_set_acs() - change the ACS control register behind the kernel's back
 * @tree: the tree
 * @name: name of the node
 * @ctrl: new value, stored whatever the capability says
 *
 * A change that the kernel can notice is made with pci_write_config_word() at
 * pdev->acs_cap + PCI_ACS_CTRL.
 */
static inline void pci_kunit_set_acs(struct pci_kunit_tree *tree,
				     const char *name, u16 ctrl)
{
	pci_kunit_set(tree, name, PCI_KUNIT_POS_ACS + PCI_ACS_CTRL, 2, ctrl);
}

void pci_kunit_set_access(struct pci_kunit_tree *tree, const char *name,
			  enum pci_kunit_access access);
unsigned long pci_kunit_reads(struct pci_kunit_tree *tree, const char *name);
unsigned long pci_kunit_writes(struct pci_kunit_tree *tree, const char *name);

void pci_kunit_remove(struct pci_kunit_tree *tree, const char *name);
void pci_kunit_rescan(struct pci_kunit_tree *tree);
struct pci_dev *pci_kunit_bind(struct pci_kunit_tree *tree, const char *name);
void pci_kunit_unbind(struct pci_kunit_tree *tree, const char *name);

void pci_kunit_pretend_cpu(u8 vendor, u8 family);
void pci_kunit_pretend_guest(bool guest);
int pci_kunit_suite_init(struct kunit_suite *suite);
void pci_kunit_suite_exit(struct kunit_suite *suite);
void pci_kunit_no_complaints(struct kunit *test);

#endif /* _PCI_KUNIT_H */
