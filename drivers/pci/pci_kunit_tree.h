/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the KUnit fixture of PCI trees share; not for tests,
 * which have pci_kunit.h.
 *
 * pci_kunit.c owns the life of a tree, pci_kunit_declare.c what was declared,
 * pci_kunit_config.c the config space. The first is on top: neither of the
 * others calls it.
 */
#ifndef _PCI_KUNIT_TREE_H
#define _PCI_KUNIT_TREE_H

#include <linux/completion.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pci_kunit.h"

/* Above all ports of the machine; on the bus it begins at 0 */
#define PCI_KUNIT_IO_BASE	0x10000

/* A host bridge; freed with the tree, after the core has released @bridge */
struct pci_kunit_host {
	struct pci_sysdata sysdata;
	struct pci_kunit_tree *tree;
	struct pci_host_bridge *bridge;
	struct resource busn;
	struct resource window;
	struct resource io;
	u64 bus_offset;
	struct completion released;
};

/* A node of the tree: a function, or a host bridge */
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

static inline bool pci_kunit_is_pcie(enum pci_kunit_type type)
{
	return type != PCI_KUNIT_HOST_BRIDGE && type != PCI_KUNIT_PCI_BRIDGE &&
	       type != PCI_KUNIT_CONVENTIONAL;
}

static inline bool pci_kunit_is_bridge(enum pci_kunit_type type)
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

/* drivers/pci/pci_kunit_declare.c */
int pci_kunit_declare(struct pci_kunit_tree *tree,
		      const struct pci_kunit_node *nodes);
struct pci_kunit_fn *pci_kunit_node(struct pci_kunit_tree *tree,
				    const char *name);
struct pci_kunit_fn *pci_kunit_function(struct pci_kunit_tree *tree,
					const char *name);

/* drivers/pci/pci_kunit_config.c */
extern struct pci_ops pci_kunit_ops;
void pci_kunit_init_config(struct pci_kunit_fn *fn);

#endif /* _PCI_KUNIT_TREE_H */
