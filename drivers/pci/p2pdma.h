/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the PCI peer-to-peer DMA subsystem share.
 *
 * Dependencies point one way: user memory and sysfs use the provider, the
 * provider uses the pool and the route, the route uses the host policy and the
 * table of Access Control Services.
 */
#ifndef _PCI_P2PDMA_H
#define _PCI_P2PDMA_H

#include <linux/dma-map-ops.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/pci-p2pdma.h>
#include <linux/xarray.h>

#include "p2pdma_pool.h"

struct seq_buf;

/**
 * struct pci_p2pdma - a device that provides peer-to-peer DMA memory
 * @pdev: the device
 * @pool: its memory
 * @regions: list of &struct p2pdma_region; RCU readers, grows under the
 *	provider lock, is emptied only after the last reader is gone
 * @routes: verdicts by client; see drivers/pci/p2pdma_route.c
 * @node: entry in the list of all providers; RCU readers
 * @published: other drivers may find and use the memory
 */
struct pci_p2pdma {
	struct pci_dev		*pdev;
	struct p2pdma_pool	pool;
	struct list_head	regions;
	struct xarray		routes;
	struct list_head	node;
	bool			published;
};

/**
 * struct p2pdma_region - a piece of a BAR that has struct pages
 * @node: entry in &pci_p2pdma.regions
 * @p2p: the provider
 * @vaddr: kernel address of its first byte
 * @bus_offset: what to add to a CPU physical address to obtain the address
 *	that reaches it on the PCI bus (modulo 2^64)
 * @pgmap: owner of the struct pages
 */
struct p2pdma_region {
	struct list_head	node;
	struct pci_p2pdma	*p2p;
	void			*vaddr;
	u64			bus_offset;
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
 */
enum p2pdma_host_word {
	P2PDMA_HOST_UNKNOWN,
	P2PDMA_HOST_APART,
	P2PDMA_HOST_CPU,
	P2PDMA_HOST_LISTED,
};

enum p2pdma_host_word pci_p2pdma_host_forwards(struct pci_dev *a,
					       struct pci_dev *b);
u32 pci_p2pdma_host_id(struct pci_dev *pdev);

/* drivers/pci/p2pdma_route.c */

/**
 * enum p2pdma_reason - what a verdict rests on
 * @P2PDMA_SAME_FUNCTION: the client is the provider
 * @P2PDMA_SAME_DEVICE: two functions of one device
 * @P2PDMA_COMMON_SEGMENT: both sit on, or below, one conventional PCI bus
 * @P2PDMA_COMMON_PORT: a bridge or switch that both are below connects them
 * @P2PDMA_CPU_FORWARDS: through root complexes of a CPU that forwards
 * @P2PDMA_HOST_FORWARDS: through root complexes that are listed as forwarding
 * @P2PDMA_NO_PCI_CLIENT: the client is not below any PCI device
 * @P2PDMA_PORT_UNREADABLE: a deciding port does not answer
 * @P2PDMA_ACS_VIOLATION: egress control of a port forbids the request
 * @P2PDMA_HOST_NOT_LISTED: nothing says that the root complex forwards
 * @P2PDMA_HOST_BRIDGES_APART: it forwards, but not between host bridges
 */
enum p2pdma_reason {
	P2PDMA_SAME_FUNCTION,
	P2PDMA_SAME_DEVICE,
	P2PDMA_COMMON_SEGMENT,
	P2PDMA_COMMON_PORT,
	P2PDMA_CPU_FORWARDS,
	P2PDMA_HOST_FORWARDS,
	P2PDMA_NO_PCI_CLIENT,
	P2PDMA_PORT_UNREADABLE,
	P2PDMA_ACS_VIOLATION,
	P2PDMA_HOST_NOT_LISTED,
	P2PDMA_HOST_BRIDGES_APART,
};

/**
 * struct p2pdma_route - how a client reaches a provider
 * @type: how the client's DMA must be mapped, or not at all
 * @reason: what the decision rests on
 * @distance: number of links to cross, up from both to where they meet
 * @request_port: port that redirects or blocks the client's requests, or NULL
 * @completion_port: port that redirects the provider's completions, or NULL
 *
 * The ports are valid as long as the caller holds provider and client.
 */
struct p2pdma_route {
	enum pci_p2pdma_map_type	type;
	enum p2pdma_reason		reason;
	unsigned int			distance;
	struct pci_dev			*request_port;
	struct pci_dev			*completion_port;
};

void pci_p2pdma_route_decide(struct pci_dev *provider, struct pci_dev *client,
			     struct p2pdma_route *route);
enum pci_p2pdma_map_type
pci_p2pdma_route_type(struct pci_p2pdma *p2p, struct device *client);
void pci_p2pdma_route_describe(struct seq_buf *s, struct pci_dev *provider,
			       struct pci_dev *client,
			       const struct p2pdma_route *route);
const char *pci_p2pdma_type_name(enum pci_p2pdma_map_type type);
const char *pci_p2pdma_reason_name(enum p2pdma_reason reason);
void pci_p2pdma_routes_changed(void);

/* drivers/pci/p2pdma.c */
struct p2pdma_region *pci_p2pdma_page_region(const struct page *page);

/* drivers/pci/p2pdma_sysfs.c */
int pci_p2pdma_sysfs_add(struct pci_dev *pdev);
void pci_p2pdma_sysfs_remove(struct pci_dev *pdev);

/* drivers/pci/p2pdma_user.c */
int pci_p2pdma_mmap(struct pci_dev *pdev, struct vm_area_struct *vma);
void pci_p2pdma_page_free(struct page *page);

#endif /* _PCI_P2PDMA_H */
