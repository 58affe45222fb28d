// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: a fabric that is not PCI, and a mock IOMMU.
 *
 * The providers of a fabric are pieces of one hole in the physical address
 * space, one directly behind the other, with struct pages; nothing answers
 * there, so no case touches the memory.  The clients are platform devices.
 * Offset, verdicts and windows are what the test says.
 *
 * The mock IOMMU is registered with the IOMMU core as a driver is, for the
 * devices that a test names, so that dma-iommu.c is the real one.  Its page
 * table is an xarray of pages, in which the test looks up what was mapped, with
 * what protection, and whether anything is left.  It can be told to fail.
 *
 * Life: fabric_create() registers an action for everything that it makes, and
 * the end of the test undoes it in reverse order.  A fabric with mappings left
 * is a failed test; the IOMMU's table is looked at when the devices go.
 *
 * What must never happen: that the mock IOMMU takes a device of the machine.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

#include "p2pdma_fabric.h"

#define CLIENT_NAME		"p2pdma-client"

/* The mock IOMMU ------------------------------------------------------------ */

struct mock_domain {
	struct iommu_domain	domain;
	struct xarray		pages;
	/* Calls of map that still succeed; below zero: all of them */
	int			left;
};

#define MOCK_PROT_BITS		8
#define MOCK_APERTURE_BITS	40

static struct iommu_device mock_iommu;
static struct device *mock_device;

static struct mock_domain *to_mock(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static struct mock_domain *mock_of(struct device *dev)
{
	return to_mock(iommu_get_domain_for_dev(dev));
}

static int mock_attach(struct iommu_domain *domain, struct device *dev)
{
	return 0;
}

static int mock_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t size, size_t count, int prot,
			  gfp_t gfp, size_t *mapped)
{
	struct mock_domain *mock = to_mock(domain);
	void *entry;
	int error;

	if (!mock->left)
		return -ENOMEM;
	if (mock->left > 0)
		mock->left--;

	while (count--) {
		entry = xa_mk_value(PHYS_PFN(phys) << MOCK_PROT_BITS | prot);
		/* Fails if there is something already */
		error = xa_insert(&mock->pages, PHYS_PFN(iova), entry, gfp);
		if (error)
			return error;
		iova += size;
		phys += size;
		*mapped += size;
	}

	return 0;
}

static size_t mock_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t size, size_t count,
			       struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = to_mock(domain);
	size_t unmapped = 0;

	while (count-- && xa_erase(&mock->pages, PHYS_PFN(iova))) {
		iova += size;
		unmapped += size;
	}

	return unmapped;
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	void *entry = xa_load(&to_mock(domain)->pages, PHYS_PFN(iova));

	if (!entry)
		return 0;

	return PFN_PHYS(xa_to_value(entry) >> MOCK_PROT_BITS) +
	       offset_in_page(iova);
}

static void mock_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock(domain);

	WARN_ONCE(!xa_empty(&mock->pages), "mappings are left in the mock IOMMU\n");
	xa_destroy(&mock->pages);
	kfree(mock);
}

static const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev	= mock_attach,
	.map_pages	= mock_map_pages,
	.unmap_pages	= mock_unmap_pages,
	.iova_to_phys	= mock_iova_to_phys,
	.free		= mock_free,
};

static struct iommu_domain *mock_domain_alloc(struct device *dev)
{
	struct mock_domain *mock = kzalloc(sizeof(*mock), GFP_KERNEL);

	if (!mock)
		return NULL;

	xa_init_flags(&mock->pages, XA_FLAGS_LOCK_IRQ);
	mock->left = -1;
	mock->domain.geometry.aperture_end = DMA_BIT_MASK(MOCK_APERTURE_BITS);
	mock->domain.geometry.force_aperture = true;
	return &mock->domain;
}

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static struct iommu_device *mock_probe(struct device *dev)
{
	/* A platform device has no other mark before it is added */
	if (dev == mock_device || dev->platform_data == &mock_iommu)
		return &mock_iommu;

	return ERR_PTR(-ENODEV);
}

static const struct iommu_ops mock_ops = {
	.capable		= mock_capable,
	.domain_alloc_paging	= mock_domain_alloc,
	.probe_device		= mock_probe,
	.device_group		= generic_device_group,
	.pgsize_bitmap		= SZ_4K,
	.owner			= THIS_MODULE,
	.default_domain_ops	= &mock_domain_ops,
};

static void mock_unregister(void *unused)
{
	iommu_device_unregister(&mock_iommu);
	iommu_device_sysfs_remove(&mock_iommu);
	mock_device = NULL;
}

static void mock_register(struct kunit *test)
{
	memset(&mock_iommu, 0, sizeof(mock_iommu));
	KUNIT_ASSERT_EQ(test, iommu_device_sysfs_add(&mock_iommu, NULL, NULL,
						     "p2pdma-mock"), 0);
	if (iommu_device_register(&mock_iommu, &mock_ops, NULL)) {
		iommu_device_sysfs_remove(&mock_iommu);
		KUNIT_FAIL_AND_ABORT(test, "the mock IOMMU cannot be registered");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, mock_unregister,
							NULL), 0);
}

/**
 * fabric_iommu_add - put the mock IOMMU in front of a device
 * @test: the test, which has no fabric with an IOMMU
 * @dev: a device without a driver
 */
void fabric_iommu_add(struct kunit *test, struct device *dev)
{
	mock_device = dev;
	mock_register(test);
	KUNIT_ASSERT_TRUE(test, dev->dma_iommu);
}

/**
 * fabric_iommu_lookup - what a device behind the mock IOMMU reaches
 * @dev: the device
 * @addr: address that the device uses
 *
 * Return: the page and its protection; zeroes if nothing is mapped there.
 */
struct fabric_pte fabric_iommu_lookup(struct device *dev, dma_addr_t addr)
{
	void *entry = xa_load(&mock_of(dev)->pages, PHYS_PFN(addr));
	unsigned long value = entry ? xa_to_value(entry) : 0;

	return (struct fabric_pte){
		.phys = PFN_PHYS(value >> MOCK_PROT_BITS),
		.prot = value & GENMASK(MOCK_PROT_BITS - 1, 0),
	};
}

/**
 * fabric_iommu_mapped - how many pages are mapped for a device
 * @dev: the device
 *
 * Return: their number.
 */
unsigned int fabric_iommu_mapped(struct device *dev)
{
	unsigned long index;
	unsigned int n = 0;
	void *entry;

	xa_for_each(&mock_of(dev)->pages, index, entry)
		n++;

	return n;
}

/**
 * fabric_iommu_fail_after - let the mock IOMMU fail
 * @dev: device for which it maps
 * @calls: so many calls still succeed; UINT_MAX stands for all of them
 */
void fabric_iommu_fail_after(struct device *dev, unsigned int calls)
{
	mock_of(dev)->left = calls;
}

/* Providers ----------------------------------------------------------------- */

static struct fabric_provider *to_fabric(struct p2pdma_provider *mem)
{
	return container_of(mem, struct fabric_provider, mem);
}

static enum pci_p2pdma_map_type fabric_map_type(struct p2pdma_provider *mem,
						struct device *client)
{
	struct fabric_provider *provider = to_fabric(mem);
	unsigned int i;

	/* Counted for tests that ask from one thread */
	data_race(provider->asked++);
	for (i = 0; i < FABRIC_CLIENTS; i++)
		if (client == &provider->fabric->client[i]->dev)
			return READ_ONCE(provider->type[i]);

	return PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

static bool fabric_reaches(struct p2pdma_provider *mem, struct device *client,
			   phys_addr_t phys, size_t size)
{
	return phys + size - mem->range.start <= to_fabric(mem)->window_end;
}

static void fabric_revoke(struct p2pdma_provider *mem)
{
	to_fabric(mem)->revoked++;
}

static const struct p2pdma_provider_ops fabric_ops = {
	.map_type	= fabric_map_type,
	.revoke		= fabric_revoke,
};

static const struct p2pdma_provider_ops fabric_window_ops = {
	.map_type	= fabric_map_type,
	.reaches	= fabric_reaches,
	.revoke		= fabric_revoke,
};

/**
 * fabric_unregister - take a provider away before the test ends
 * @provider: the provider
 */
void fabric_unregister(struct fabric_provider *provider)
{
	if (!provider->registered)
		return;

	p2pdma_provider_unregister(&provider->mem);
	provider->registered = false;
}

static void unregister_action(void *data)
{
	fabric_unregister(data);
}

static void unmap_pages_action(void *data)
{
	memunmap_pages(data);
}

static void add_provider(struct fabric *fabric, unsigned int i, bool pages,
			 const struct p2pdma_provider_ops *ops, u64 bus_offset)
{
	struct fabric_provider *provider = &fabric->provider[i];
	struct kunit *test = fabric->test;
	void *vaddr;
	int err;

	provider->fabric = fabric;
	provider->window_end = FABRIC_BYTES;
	provider->mem.owner = &fabric->owner->dev;
	provider->mem.ops = ops;
	provider->mem.bus_offset = bus_offset;
	provider->mem.range.start = fabric->res.start + i * FABRIC_BYTES;
	provider->mem.range.end = provider->mem.range.start + FABRIC_BYTES - 1;

	if (pages) {
		provider->pgmap.type = MEMORY_DEVICE_PCI_P2PDMA;
		provider->pgmap.owner = &provider->mem;
		provider->pgmap.range = provider->mem.range;
		provider->pgmap.nr_range = 1;
		vaddr = memremap_pages(&provider->pgmap, NUMA_NO_NODE);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(vaddr), "%pe", vaddr);
		err = kunit_add_action_or_reset(test, unmap_pages_action,
						&provider->pgmap);
		KUNIT_ASSERT_EQ(test, err, 0);
	}

	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(&provider->mem), 0);
	provider->registered = true;
	err = kunit_add_action_or_reset(test, unregister_action, provider);
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* Devices ------------------------------------------------------------------- */

static void remove_device(void *data)
{
	platform_device_unregister(data);
}

static struct platform_device *add_device(struct kunit *test, const char *name,
					  bool iommu)
{
	struct platform_device *pdev;

	pdev = platform_device_alloc(name, PLATFORM_DEVID_AUTO);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	pdev->dev.platform_data = iommu ? &mock_iommu : NULL;
	if (platform_device_add(pdev)) {
		pdev->dev.platform_data = NULL;
		platform_device_put(pdev);
		KUNIT_FAIL_AND_ABORT(test, "%s cannot be added", name);
	}
	/* The device frees what it points to; it has been probed by now */
	pdev->dev.platform_data = NULL;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, remove_device,
							pdev), 0);
	KUNIT_ASSERT_EQ(test, dma_set_mask(&pdev->dev, DMA_BIT_MASK(64)), 0);
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return pdev;
}

static void release_range(void *data)
{
	release_resource(data);
}

/**
 * fabric_create - make a fabric for a test
 * @test: the test
 * @flags: &enum fabric_flags
 * @bus_offset: offset of all providers
 *
 * Nobody reaches anything before fabric_set().
 *
 * Return: the fabric, never NULL: the test is aborted instead.
 */
struct fabric *fabric_create(struct kunit *test, unsigned int flags,
			     u64 bus_offset)
{
	struct fabric *fabric = kunit_kzalloc(test, sizeof(*fabric), GFP_KERNEL);
	unsigned int i;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, fabric);
	fabric->test = test;

	fabric->res.name = "KUnit fabric";
	fabric->res.flags = IORESOURCE_MEM;
	err = allocate_resource(&iomem_resource, &fabric->res,
				FABRIC_PROVIDERS * FABRIC_BYTES, SZ_4G,
				SZ_1T - 1, SZ_1G, NULL, NULL);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, release_range,
							&fabric->res), 0);

	if (flags & FABRIC_IOMMU)
		mock_register(test);

	fabric->owner = add_device(test, "p2pdma-owner", false);
	for (i = 0; i < FABRIC_CLIENTS; i++) {
		fabric->client[i] = add_device(test, CLIENT_NAME,
					       flags & FABRIC_IOMMU);
		KUNIT_ASSERT_TRUE(test, fabric->client[i]->dev.dma_iommu ==
				  !!(flags & FABRIC_IOMMU));
	}

	fabric_set_all(fabric, PCI_P2PDMA_MAP_NOT_SUPPORTED);
	for (i = 0; i < FABRIC_PROVIDERS; i++)
		add_provider(fabric, i, i < FABRIC_PROVIDERS - 1 ||
			     !(flags & FABRIC_NO_PAGES),
			     flags & FABRIC_WINDOW ? &fabric_window_ops :
						     &fabric_ops, bus_offset);

	return fabric;
}

/**
 * fabric_client - one of the clients
 * @fabric: the fabric
 * @client: its number
 *
 * Return: the client's device.
 */
struct device *fabric_client(struct fabric *fabric, unsigned int client)
{
	return &fabric->client[client]->dev;
}

/**
 * fabric_set - say how a client reaches a provider
 * @fabric: the fabric
 * @provider: number of the provider
 * @client: number of the client
 * @type: how
 */
void fabric_set(struct fabric *fabric, unsigned int provider,
		unsigned int client, enum pci_p2pdma_map_type type)
{
	WRITE_ONCE(fabric->provider[provider].type[client], type);
	p2pdma_routes_changed();
}

/**
 * fabric_set_all - say how all clients reach all providers
 * @fabric: the fabric
 * @type: how
 */
void fabric_set_all(struct fabric *fabric, enum pci_p2pdma_map_type type)
{
	unsigned int provider, client;

	for (provider = 0; provider < FABRIC_PROVIDERS; provider++)
		for (client = 0; client < FABRIC_CLIENTS; client++)
			fabric_set(fabric, provider, client, type);
}

/**
 * fabric_page - a page of a provider
 * @fabric: the fabric
 * @provider: number of the provider
 * @page: number of the page
 *
 * Return: the page.
 */
struct page *fabric_page(struct fabric *fabric, unsigned int provider,
			 unsigned int page)
{
	u64 start = fabric->provider[provider].mem.range.start;

	return pfn_to_page(PHYS_PFN(start) + page);
}

static void take_bounce_buffers_away(void *data)
{
	struct device *dev = data;

	dev->dma_io_tlb_mem = NULL;
}

/**
 * fabric_use_bounce_buffers - give a client bounce buffers of its own
 * @test: the test, at the end of which they go
 * @dev: the client
 *
 * The pool has no slots, so that nothing can be bounced.
 *
 * Return: the pool.
 */
struct io_tlb_mem *fabric_use_bounce_buffers(struct kunit *test,
					     struct device *dev)
{
	struct io_tlb_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	dev->dma_io_tlb_mem = mem;
	err = kunit_add_action_or_reset(test, take_bounce_buffers_away, dev);
	KUNIT_ASSERT_EQ(test, err, 0);
	return mem;
}
