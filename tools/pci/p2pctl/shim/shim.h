/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Enough of the kernel for drivers/pci/p2pdma_route.c, p2pdma_host.c and
 * p2pdma_acs.c to compile in user space, unchanged.
 *
 * The other headers of this directory stand in for those that these files
 * include and lead here.  Functions are in shim.c.  There is one thread, hence
 * locks are nothing; and no verdict is cached.
 *
 * struct pci_dev is the function as p2pctl knows it: the upper part are the
 * members that the kernel's files use, by the names that they have there; the
 * lower part is what the tool itself keeps (topology.c fills both in).
 */
#ifndef _P2PCTL_SHIM_H
#define _P2PCTL_SHIM_H

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/pci_regs.h>
#include <linux/types.h>

/* Language */
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define __printf(a, b)	__attribute__(( \
				format(printf, a, b)))

#define max(a, b) ({			\
	typeof(a) _a = (a);		\
	typeof(b) _b = (b);		\
	_a > _b ? _a : _b;		\
})

#define FIELD_GET(mask, reg) ({		\
	typeof(mask) _m = (mask);	\
	((reg) & _m) / (_m & (~_m + 1));	\
})

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define pr_err(fmt, ...)	fprintf(stderr, pr_fmt(fmt), ##__VA_ARGS__)

/* Text */
struct seq_buf {
	char	*buffer;
	size_t	size;
	size_t	len;
};

__printf(2, 3) int seq_buf_printf(struct seq_buf *s, const char *fmt, ...);
int seq_buf_puts(struct seq_buf *s, const char *text);
__printf(3, 4) int sysfs_emit_at(char *buf, int at, const char *fmt, ...);
bool sysfs_streq(const char *a, const char *b);
size_t str_has_prefix(const char *s, const char *prefix);
int hex_to_bin(unsigned char digit);

/* Locks, lists and memory: declared by what p2pctl includes, never used */
struct unused {
	int	nothing;
};

#define spinlock_t		struct unused
#define __rcu
#define __percpu
#define wait_queue_head_t	struct unused

struct list_head {
	struct list_head *next;
};

struct llist_head {
	struct llist_node *first;
};

struct llist_node {
	struct llist_node *next;
};

struct xarray {
	void	*unused;
};

struct dev_pagemap {
	void	*owner;
};

struct p2pdma_provider {
	void	*owner;
};

struct page;
struct device;
struct scatterlist;
struct vm_area_struct;

#define pci_bus_addr_t		u64

#define DEFINE_SPINLOCK(name)		spinlock_t name
#define spin_lock_irqsave(lock, flags)	((void)(lock), (flags) = 0)
#define spin_unlock_irqrestore(lock, flags)	((void)(lock), (void)(flags))

/* Module parameters: the operations get a name by which p2pctl calls them */
struct kernel_param;

struct kernel_param_ops {
	int	(*set)(const char *text, const struct kernel_param *kp);
	int	(*get)(char *buf, const struct kernel_param *kp);
};

extern const struct kernel_param_ops *const p2pctl_param_host_bridges;

#define module_param_cb(name, ops, ...) \
	const struct kernel_param_ops *const p2pctl_param_##name = (ops)
#define MODULE_PARM_DESC(...) \
	struct kernel_param

/* The processor of the machine in question */
#define X86_VENDOR_AMD		2
#define X86_VENDOR_UNKNOWN	0xff
#define X86_FEATURE_HYPERVISOR	0

struct cpuinfo_x86 {
	u8	x86;
	u8	x86_vendor;
	u32	capability;
};

extern struct cpuinfo_x86 p2pctl_cpu;

#define cpu_data(n)		(*(&p2pctl_cpu + (n)))
#define cpu_has(cpu, bit)	((cpu)->capability >> (bit) & 1)

/* PCI */
enum pci_p2pdma_map_type {
	PCI_P2PDMA_MAP_UNKNOWN,
	PCI_P2PDMA_MAP_NOT_SUPPORTED,
	PCI_P2PDMA_MAP_BUS_ADDR,
	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
};

#define PCI_VENDOR_ID_INTEL	0x8086
#define PCI_VENDOR_ID_NVIDIA	0x10de
#define PCI_VENDOR_ID_ZHAOXIN	0x1d17

#define PCI_BASE_CLASS_BRIDGE	0x06
#define PCI_CLASS_BRIDGE_PCI	0x0604

#define PCI_DEVFN(slot, func)	((((slot) & 0x1f) << 3) | ((func) & 0x07))
#define PCI_SLOT(devfn)		(((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn)		((devfn) & 0x07)

#define PCI_ERROR_RESPONSE	(~0ULL)
#define PCI_POSSIBLE_ERROR(val)	((val) == ((typeof(val))PCI_ERROR_RESPONSE))

#define PCIBIOS_BAD_REGISTER_NUMBER	0x87

#define IORESOURCE_MEM		0x00000200

struct resource {
	unsigned long	flags;
};

struct resource_entry {
	struct resource_entry	*next;
	struct resource		*res;
	u64			offset;
};

/* The one window that topology.c makes out of what devices' BARs show */
struct pci_host_bridge {
	struct pci_bus		*bus;
	struct resource_entry	*windows;
	struct resource_entry	window;
	struct resource		memory;
	char			name[24];
	struct pci_host_bridge	*next;
};

#define resource_list_for_each_entry(entry, list) \
	for (struct resource_entry **_e = (list); ((entry) = *_e); \
	     _e = &(*_e)->next)
#define resource_type(res)	((res)->flags & IORESOURCE_MEM)

struct pci_bus {
	struct pci_bus		*parent;
	struct pci_dev		*self;
	struct pci_host_bridge	*host;
	struct pci_dev		*devs[256];
	u32			domain;
	u8			number;
	struct pci_bus		*next;
};

struct pci_dev {
	struct pci_bus		*bus;
	unsigned int		devfn;
	u8			pcie_cap;
	u16			acs_cap;
	bool			ats_enabled;
	struct pci_dev		*physfn;

	char			name[24];
	u32			domain;
	u8			bus_nr;
	u16			vendor;
	u16			device;
	u32			class;
	int			numa_node;
	unsigned int		config_size;
	unsigned int		config_read;
	bool			gone;
	u8			*config;
	u64			bar[6];
	unsigned long		bar_flags[6];
	bool			provider;
	bool			published;
	u64			p2p_size;
	u64			p2p_free;
	struct pci_dev		*parent;
	struct pci_host_bridge	*host;
	char			parent_name[24];
	char			physfn_name[24];
	unsigned int		line;
};

static inline const char *pci_name(const struct pci_dev *pdev)
{
	return pdev->name;
}

static inline struct pci_dev *pci_physfn(struct pci_dev *pdev)
{
	return pdev->physfn ? pdev->physfn : pdev;
}

static inline struct pci_host_bridge *pci_find_host_bridge(struct pci_bus *bus)
{
	return bus->host;
}

static inline bool pci_is_root_bus(const struct pci_bus *bus)
{
	return !bus->parent;
}

static inline struct pci_dev *pci_upstream_bridge(struct pci_dev *pdev)
{
	return pci_physfn(pdev)->bus->self;
}

static inline bool pci_is_pcie(const struct pci_dev *pdev)
{
	return pdev->pcie_cap;
}

/* A function that answers with all ones throughout is as good as removed */
static inline bool pci_dev_is_disconnected(const struct pci_dev *pdev)
{
	return pdev->gone;
}

int pci_pcie_type(const struct pci_dev *pdev);
int pci_read_config_dword(const struct pci_dev *pdev, int where, u32 *val);
int pcie_capability_read_dword(struct pci_dev *pdev, int pos, u32 *val);
bool pci_bus_read_dev_vendor_id(struct pci_bus *bus, int devfn, u32 *id,
				int timeout);
u8 pci_find_capability(struct pci_dev *pdev, int cap);
u8 pci_find_next_capability(struct pci_dev *pdev, u8 pos, int cap);
u16 pci_find_ext_capability(struct pci_dev *pdev, int cap);

#endif /* _P2PCTL_SHIM_H */
