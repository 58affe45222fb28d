/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the PCI peer-to-peer DMA subsystem share.
 *
 * Requests go one way: user memory and sysfs use the provider, the provider uses
 * the pool and the route, the route uses the host policy and the table of Access
 * Control Services.  What goes the other way are notices: a provider that begins
 * or ends has its files made or removed and its buffers revoked, a new host
 * policy makes verdicts expire, and orchestrators are told of changes.
 */
#ifndef _PCI_P2PDMA_H
#define _PCI_P2PDMA_H

#include <linux/dma-map-ops.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/p2pdma.h>
#include <linux/pci-p2pdma.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "p2pdma_pool.h"

struct seq_buf;
struct seq_file;

struct p2pdma_node;
struct p2pdma_verdict_table;

/**
 * struct p2pdma_verdicts - what was decided about clients of a provider
 * @lock: protects changes, taken with interrupts off
 * @table: current or outdated verdicts; RCU readers
 * @overridden: clients on whose overridden route the log has a line
 */
struct p2pdma_verdicts {
	/* Leaf lock over changes of the table */
	spinlock_t				lock;
	struct p2pdma_verdict_table __rcu	*table;
	struct xarray				overridden;
};

/**
 * struct pci_p2pdma - a device that provides peer-to-peer DMA memory
 * @pdev: the device
 * @mem: its BARs, as the DMA mapping code knows them; those that are no memory
 *	have no owner
 * @pool: its memory
 * @regions: list of &struct p2pdma_region; RCU readers, grows under the
 *	provider lock, is emptied only after the last reader is gone
 * @verdicts: which clients reach it, and how
 * @buffers: list of &struct p2pdma_buffer, what user space holds
 * @node_dev: device node through which user space allocates
 * @node: entry in the list of all providers, empty until the device registers
 *	memory; RCU readers
 * @published: other drivers may find and use the memory
 */
struct pci_p2pdma {
	struct pci_dev		*pdev;
	struct p2pdma_provider	mem[PCI_STD_NUM_BARS];
	struct p2pdma_pool	pool;
	struct list_head	regions;
	struct p2pdma_verdicts	verdicts;
	struct list_head	buffers;
	struct p2pdma_node	*node_dev;
	struct list_head	node;
	bool			published;
};

/**
 * struct p2pdma_region - a piece of a BAR that has struct pages
 * @node: entry in &pci_p2pdma.regions
 * @p2p: the provider
 * @vaddr: kernel address of its first byte
 * @mem: the BAR
 * @pgmap: owner of the struct pages
 */
struct p2pdma_region {
	struct list_head	node;
	struct pci_p2pdma	*p2p;
	void			*vaddr;
	struct p2pdma_provider	*mem;
	struct dev_pagemap	pgmap;
};

/* drivers/pci/p2pdma_host.c */

/**
 * enum p2pdma_host_word - what is known of the root complexes on a route
 * @P2PDMA_HOST_UNKNOWN: nothing; they must be expected not to forward
 * @P2PDMA_HOST_APART: known to forward only below one host bridge, and these
 *	are two
 * @P2PDMA_HOST_CPU: every root complex of this CPU family forwards
 * @P2PDMA_HOST_LISTED: listed as forwarding
 * @P2PDMA_HOST_CLIQUE: the hypervisor says that this pair reaches each other
 * @P2PDMA_HOST_OVERRIDE: the administrator says so, nobody else does
 */
enum p2pdma_host_word {
	P2PDMA_HOST_UNKNOWN,
	P2PDMA_HOST_APART,
	P2PDMA_HOST_CPU,
	P2PDMA_HOST_LISTED,
	P2PDMA_HOST_CLIQUE,
	P2PDMA_HOST_OVERRIDE,
};

enum p2pdma_host_word pci_p2pdma_host_forwards(struct pci_dev *a,
					       struct pci_dev *b);
u32 pci_p2pdma_host_id(struct pci_dev *pdev);

/* drivers/pci/p2pdma_route.c */
void pci_p2pdma_route_decide(struct pci_dev *provider, struct pci_dev *client,
			     struct pci_p2pdma_route *route);
void pci_p2pdma_route_describe(struct seq_buf *s, struct pci_dev *provider,
			       struct pci_dev *client,
			       const struct pci_p2pdma_route *route);
const char *pci_p2pdma_type_name(enum pci_p2pdma_map_type type);
const char *pci_p2pdma_reason_name(enum pci_p2pdma_reason reason);
const char *pci_p2pdma_reason_text(enum pci_p2pdma_reason reason);
const char *pci_p2pdma_port_name(const struct pci_p2pdma_route *route);

/* drivers/pci/p2pdma_verdict.c */
void pci_p2pdma_verdicts_init(struct p2pdma_verdicts *v);
void pci_p2pdma_verdicts_destroy(struct p2pdma_verdicts *v);
enum pci_p2pdma_map_type
pci_p2pdma_route_type(struct pci_p2pdma *p2p, struct device *client);

/* drivers/pci/p2pdma_find.c */
void pci_p2pdma_notify(void);

/* drivers/pci/p2pdma.c */
extern struct list_head pci_p2pdma_providers;
struct p2pdma_region *pci_p2pdma_page_region(const struct page *page);
void pci_p2pdma_for_each(void (*fn)(struct pci_p2pdma *p2p, void *data),
			 void *data);

/* drivers/pci/p2pdma_sysfs.c */
int pci_p2pdma_sysfs_add(struct pci_dev *pdev);
void pci_p2pdma_sysfs_remove(struct pci_dev *pdev);

/* drivers/pci/p2pdma_debugfs.c */
void p2pdma_debugfs_show(struct seq_file *m);

/* drivers/pci/p2pdma_user.c */
int pci_p2pdma_mmap(struct pci_dev *pdev, struct vm_area_struct *vma);
void pci_p2pdma_page_free(struct page *page);

#endif /* _PCI_P2PDMA_H */
