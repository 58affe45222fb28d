/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Peer-to-peer DMA on any bus: providers, and what the DMA mapping code asks.
 *
 * A provider is a range of MMIO that devices other than its owner may reach
 * without a detour through system memory.  The bus that it sits on registers
 * it with an offset and a few operations; that is all the mapping code knows of
 * the bus.  linux/pci-p2pdma.h is the interface of the first such bus.
 *
 * A client maps such memory with the DMA API as it maps any other, or asks for
 * the type of the mapping and translates by itself where there are no struct
 * pages (pci_p2pdma_map_type(), pci_p2pdma_bus_addr_map(), dma_map_phys()).
 *
 * kernel/dma/p2pdma.c tells how it works and describes the functions.
 */
#ifndef _LINUX_P2PDMA_H
#define _LINUX_P2PDMA_H

#include <linux/completion.h>
#include <linux/jump_label.h>
#include <linux/memremap.h>
#include <linux/range.h>
#include <linux/refcount.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

struct device;
struct p2pdma_clients;
struct p2pdma_provider;
struct scatterlist;

/**
 * enum pci_p2pdma_map_type - how a client's DMA to a provider is mapped
 * @PCI_P2PDMA_MAP_UNKNOWN: not decided yet; no function returns this
 * @PCI_P2PDMA_MAP_NOT_SUPPORTED: the client does not reach the memory; mapping
 *	it fails with -EREMOTEIO
 * @PCI_P2PDMA_MAP_BUS_ADDR: the client reaches it without the host; it is given
 *	the address at which the memory sits on the bus, whatever the IOMMU
 * @PCI_P2PDMA_MAP_THRU_HOST_BRIDGE: the client reaches it through the host,
 *	which sees the CPU's physical address, or an I/O virtual address that the
 *	IOMMU translates to it
 * @PCI_P2PDMA_MAP_NONE: the memory is no peer-to-peer memory
 */
enum pci_p2pdma_map_type {
	PCI_P2PDMA_MAP_UNKNOWN = 0,
	PCI_P2PDMA_MAP_NOT_SUPPORTED,
	PCI_P2PDMA_MAP_BUS_ADDR,
	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
	PCI_P2PDMA_MAP_NONE,
};

/**
 * struct p2pdma_provider_ops - what a bus knows of its providers
 * @map_type: how @client reaches @provider.  A positive answer is kept, and
 *	holds until p2pdma_routes_changed() is called, which the bus must also
 *	do before a client that got one ceases to exist.  Any context
 * @reaches: may be left out.  Does the verdict of @map_type hold for this part
 *	of the memory, as it is not for all of it where the client sees the
 *	provider through a window?  Asked for each segment.  Any context
 * @revoke: may be left out.  The provider is about to go: ask those who hold
 *	it by p2pdma_provider_get() to let go.  May sleep
 */
struct p2pdma_provider_ops {
	enum pci_p2pdma_map_type (*map_type)(struct p2pdma_provider *provider,
					     struct device *client);
	bool (*reaches)(struct p2pdma_provider *provider, struct device *client,
			phys_addr_t phys, size_t size);
	void (*revoke)(struct p2pdma_provider *provider);
};

/**
 * struct p2pdma_provider - a range of MMIO that peers may reach
 * @owner: the device that it belongs to
 * @bus_offset: what to add to a CPU physical address to obtain the address that
 *	reaches it on the bus (modulo 2^64)
 * @ops: the bus
 * @range: CPU physical addresses, both ends included
 *
 * The first four are filled in by the bus before p2pdma_provider_register() and
 * constant as long as it is registered.  Struct pages are not needed; where
 * there are some, &dev_pagemap.type is %MEMORY_DEVICE_PCI_P2PDMA and
 * &dev_pagemap.owner the provider.
 */
struct p2pdma_provider {
	struct device				*owner;
	u64					bus_offset;
	const struct p2pdma_provider_ops	*ops;
	struct range				range;

	/* private: */
	/* Length of @range */
	u64					size;
	/* Segments of it may need a closer look */
	bool					special;
	/* Verdicts that are kept; RCU readers */
	struct p2pdma_clients __rcu		*clients;
	/* Leaf lock over changes of @clients, taken with interrupts off */
	spinlock_t				lock;
	/* There are no new holders */
	bool					ending;
	/* Holders, and one for being registered; the last completes @unused */
	refcount_t				users;
	struct completion			unused;
};

/**
 * struct pci_p2pdma_map_state - what is known while a scatterlist is walked
 * @pgmap: pagemap of the last peer-to-peer segment, or NULL
 * @mem: its provider
 * @map: how its memory is mapped, of &enum pci_p2pdma_map_type
 * @bus_off: its offset on the bus
 * @end: segments that end below this address need no further check
 *
 * To be zeroed before the first segment.
 */
struct pci_p2pdma_map_state {
	struct dev_pagemap	*pgmap;
	struct p2pdma_provider	*mem;
	int			map;
	u64			bus_off;
	u64			end;
};

#ifdef CONFIG_P2PDMA

DECLARE_STATIC_KEY_FALSE(p2pdma_in_use);

/* For buses */
int p2pdma_provider_register(struct p2pdma_provider *provider);
void p2pdma_provider_unregister(struct p2pdma_provider *provider);
void p2pdma_routes_changed(void);

/* For those who use a provider without struct pages */
bool p2pdma_provider_get(struct p2pdma_provider *provider);
void p2pdma_provider_put(struct p2pdma_provider *provider);
enum pci_p2pdma_map_type
pci_p2pdma_map_type(struct p2pdma_provider *provider, struct device *client);

/* For the DMA mapping code */
enum pci_p2pdma_map_type
pci_p2pdma_map_segment(struct pci_p2pdma_map_state *state, struct device *dev,
		       struct scatterlist *sg);

/**
 * p2pdma_providers_exist - may there be peer-to-peer memory in this system?
 *
 * Return: false as long as there is no provider; the cost is an instruction.
 */
static inline bool p2pdma_providers_exist(void)
{
	return static_branch_unlikely(&p2pdma_in_use);
}

/**
 * p2pdma_page - is a page peer-to-peer memory?
 * @page: the page
 *
 * Return: false, at the cost of an instruction, as long as there is no provider
 * in the system.
 */
static inline bool p2pdma_page(const struct page *page)
{
	return p2pdma_providers_exist() && is_pci_p2pdma_page(page);
}

#else /* CONFIG_P2PDMA */

static inline enum pci_p2pdma_map_type
pci_p2pdma_map_segment(struct pci_p2pdma_map_state *state, struct device *dev,
		       struct scatterlist *sg)
{
	return PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

static inline enum pci_p2pdma_map_type
pci_p2pdma_map_type(struct p2pdma_provider *provider, struct device *client)
{
	return PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

static inline bool p2pdma_providers_exist(void)
{
	return false;
}

static inline bool p2pdma_page(const struct page *page)
{
	return false;
}

#endif /* CONFIG_P2PDMA */

/**
 * pci_p2pdma_bus_addr_map - where memory of a provider sits on the bus
 * @provider: the provider
 * @phys: CPU physical address of the memory
 *
 * To be given to clients for which the type is %PCI_P2PDMA_MAP_BUS_ADDR, and to
 * no other.
 *
 * Return: the address.
 */
static inline dma_addr_t
pci_p2pdma_bus_addr_map(const struct p2pdma_provider *provider,
			phys_addr_t phys)
{
	return phys + provider->bus_offset;
}

#endif /* _LINUX_P2PDMA_H */
