/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit: a fabric that is not PCI, for tests of kernel/dma/p2pdma.c.
 *
 * A fabric has providers with struct pages, and clients, which are platform
 * devices with or without a (mock) IOMMU in front of them.  How a client reaches
 * a provider is what the test says.
 */
#ifndef _P2PDMA_FABRIC_H
#define _P2PDMA_FABRIC_H

#include <linux/iommu.h>
#include <linux/memremap.h>
#include <linux/p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

struct io_tlb_mem;
struct kunit;
struct platform_device;

#define FABRIC_PROVIDERS	3
#define FABRIC_CLIENTS		2
#define FABRIC_BYTES		SZ_2M

/**
 * struct fabric_provider - memory that the fabric provides
 * @mem: as the DMA mapping code knows it
 * @pgmap: its struct pages
 * @fabric: where it is
 * @registered: the DMA mapping code knows it
 * @type: what the fabric says of each client
 * @asked: how often it was asked
 * @window_end: clients reach so many bytes from the beginning
 * @revoked: how often holders were asked to let go
 */
struct fabric_provider {
	struct p2pdma_provider		mem;
	struct dev_pagemap		pgmap;
	struct fabric			*fabric;
	bool				registered;
	enum pci_p2pdma_map_type	type[FABRIC_CLIENTS];
	unsigned int			asked;
	u64				window_end;
	unsigned int			revoked;
};

/**
 * struct fabric - the fabric of a test
 * @test: the test
 * @res: CPU physical addresses; the providers lie one behind the other
 * @owner: to whom they belong
 * @provider: the providers
 * @client: the clients
 */
struct fabric {
	struct kunit		*test;
	struct resource		res;
	struct platform_device	*owner;
	struct fabric_provider	provider[FABRIC_PROVIDERS];
	struct platform_device	*client[FABRIC_CLIENTS];
};

/**
 * enum fabric_flags - what kind of fabric
 * @FABRIC_IOMMU: clients are behind the mock IOMMU
 * @FABRIC_WINDOW: clients reach a part of each provider
 * @FABRIC_NO_PAGES: the last provider has no struct pages
 */
enum fabric_flags {
	FABRIC_IOMMU	= BIT(0),
	FABRIC_WINDOW	= BIT(1),
	FABRIC_NO_PAGES	= BIT(2),
};

struct fabric *fabric_create(struct kunit *test, unsigned int flags,
			     u64 bus_offset);
void fabric_unregister(struct fabric_provider *provider);
struct device *fabric_client(struct fabric *fabric, unsigned int client);
void fabric_set(struct fabric *fabric, unsigned int provider,
		unsigned int client, enum pci_p2pdma_map_type type);
void fabric_set_all(struct fabric *fabric, enum pci_p2pdma_map_type type);
struct page *fabric_page(struct fabric *fabric, unsigned int provider,
			 unsigned int page);

/* The mock IOMMU, alone: for devices that the fabric does not bring */
void fabric_iommu_add(struct kunit *test, struct device *dev);

/**
 * struct fabric_pte - what the mock IOMMU has at an address
 * @phys: where it leads, in whole pages
 * @prot: protection flags, IOMMU_READ and so on; 0 if there is nothing
 */
struct fabric_pte {
	phys_addr_t	phys;
	int		prot;
};

struct fabric_pte fabric_iommu_lookup(struct device *dev, dma_addr_t addr);
unsigned int fabric_iommu_mapped(struct device *dev);
void fabric_iommu_fail_after(struct device *dev, unsigned int calls);

struct io_tlb_mem *fabric_use_bounce_buffers(struct kunit *test,
					     struct device *dev);

#endif /* _P2PDMA_FABRIC_H */
