// SPDX-License-Identifier: GPL-2.0
/*
 * PCI peer-to-peer DMA: providers.
 *
 * A driver whose device has memory behind a BAR makes the device a provider by
 * pci_p2pdma_add_resource().  The memory is given ZONE_DEVICE struct pages, so
 * that it can be described by scatterlists and bios like any other, and goes
 * into the provider's pool.  Clients map it with the ordinary DMA API, which
 * asks here for the address under which the client reaches it.
 *
 * This file owns the provider: its life, its regions, the list of all of them.
 *
 *   p2pdma_find.c    who may find it, and which one suits whom
 *   p2pdma_pool.c    which of its pages are free, over p2pdma_front.c and
 *                    p2pdma_run.c; p2pdma_sgl.c, p2pdma_stats.c
 *   p2pdma_verdict.c what is known of who reaches it
 *   p2pdma_route.c   how a client reaches it, over p2pdma_acs.c and
 *   p2pdma_host.c    what is known of root complexes
 *   p2pdma_query.c   the same for whoever asks
 *   p2pdma_sysfs.c   what user space sees of it
 *   p2pdma_debugfs.c what developers see of it
 *   p2pdma_user.c    its memory in a process
 *   p2pdma_node.c    its memory as a file descriptor; both over p2pdma_dmabuf.c
 *                    and p2pdma_buffer.c
 *
 * Life of a provider:
 *
 *  - It begins with pcim_p2pdma_init(), or with the first resource.  All its
 *    BARs are known to the DMA mapping code from then on (linux/p2pdma.h).
 *  - It has memory from the first resource on, is listed, and shows p2pmem in
 *    sysfs.  A resource that cannot be added leaves no trace, and no provider
 *    if it would have begun with it.
 *  - As long as it has memory it is not suspended at run time.  Memory can be
 *    taken, and used by a device, in any context and without asking the driver,
 *    so that there is no later moment to wake it up.
 *  - It ends when the driver unbinds, by device managed resources, in this
 *    order: nobody finds it any more; allocations fail; the mappings of
 *    processes are torn down; all memory that is out has to come back; then,
 *    and only then, struct pages and bookkeeping go.
 *  - Waiting for memory cannot fail and has no limit, as there is nothing else
 *    that could be done with a page that a device may still write to.  What is
 *    waited for is said in the log.
 *
 * Locking: p2pdma_mutex serialises changes to the list of providers and to the
 * regions of each.  Readers use RCU: pdev->p2pdma for whoever comes without a
 * reference, nothing at all for the holder of an allocation, who keeps the
 * provider waiting.
 *
 * What must never happen: a page handed out after the provider began to end, a
 * struct page that goes while somebody can have its address.
 */
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/p2pdma_pages.h>
#include <linux/pm_runtime.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "p2pdma.h"
#include "p2pdma_buffer.h"
#include "p2pdma_fast.h"

/* How long to wait for memory that is out before the log says so, again */
#define P2PDMA_PATIENCE		(30 * HZ)

static DEFINE_MUTEX(p2pdma_mutex);

/* All providers; RCU readers, changed under p2pdma_mutex */
LIST_HEAD(pci_p2pdma_providers);

/* On while there are providers, so that nobody else pays for what they need */
DEFINE_STATIC_KEY_FALSE(p2pdma_pages_exist);
EXPORT_SYMBOL_GPL(p2pdma_pages_exist);

static const struct dev_pagemap_ops p2pdma_pgmap_ops = {
	.page_free = pci_p2pdma_page_free,
};

/**
 * pci_p2pdma_page_region - the region that a page belongs to
 * @page: a page of peer-to-peer memory
 *
 * Return: the region, valid while the caller holds the page.
 */
struct p2pdma_region *pci_p2pdma_page_region(const struct page *page)
{
	return container_of(page->pgmap, struct p2pdma_region, pgmap);
}

/**
 * __p2pdma_page_referenced - references to pages of a provider will be taken
 * @page: one of them
 *
 * See p2pdma_page_referenced().  Memory of another bus is not allocated here.
 *
 * Context: any context but NMI.
 */
void __p2pdma_page_referenced(const struct page *page)
{
	if (page->pgmap->ops == &p2pdma_pgmap_ops)
		p2pdma_pool_arm(&pci_p2pdma_page_region(page)->p2p->pool);
}
EXPORT_SYMBOL_GPL(__p2pdma_page_referenced);

/**
 * pci_p2pdma_for_each - call a function for each provider
 * @fn: the function
 * @data: its second argument
 *
 * Those are included that wait for their memory in order to go away.
 *
 * Context: process context, may sleep, and so may @fn.  No provider comes or
 * goes meanwhile.
 */
void pci_p2pdma_for_each(void (*fn)(struct pci_p2pdma *p2p, void *data),
			 void *data)
{
	struct pci_p2pdma *p2p;

	guard(mutex)(&p2pdma_mutex);
	list_for_each_entry(p2p, &pci_p2pdma_providers, node)
		fn(p2p, data);
}

static void region_remove(struct p2pdma_region *region)
{
	list_del_rcu(&region->node);
	memunmap_pages(&region->pgmap);
	kfree(region);
}

static void wait_for_memory(struct pci_p2pdma *p2p)
{
	size_t out;

	while (!p2pdma_pool_wait_idle(&p2p->pool, P2PDMA_PATIENCE)) {
		out = p2pdma_pool_size(&p2p->pool) -
		      p2pdma_pool_available(&p2p->pool);
		pci_warn(p2p->pdev,
			 "removal waits for %zu bytes of peer-to-peer memory that are still in use\n",
			 out);
	}
}

/* How a client reaches memory of a BAR, for the DMA mapping code */
static enum pci_p2pdma_map_type bar_map_type(struct p2pdma_provider *mem,
					     struct device *client)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(to_pci_dev(mem->owner)->p2pdma);
	if (!p2p)
		return PCI_P2PDMA_MAP_NOT_SUPPORTED;

	return pci_p2pdma_route_type(p2p, client);
}

static const struct p2pdma_provider_ops bar_ops = {
	.map_type = bar_map_type,
};

static void bars_unregister(struct pci_p2pdma *p2p)
{
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (p2p->mem[bar].owner)
			p2pdma_provider_unregister(&p2p->mem[bar]);
}

static int bars_register(struct pci_p2pdma *p2p)
{
	struct pci_dev *pdev = p2p->pdev;
	struct p2pdma_provider *mem;
	struct resource *res;
	int bar, error;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		res = pci_resource_n(pdev, bar);
		/* As resource_range() has it: nobody is led to the rest */
		if (!(res->flags & IORESOURCE_MEM) || !res->parent ||
		    res->flags & IORESOURCE_UNSET)
			continue;

		mem = &p2p->mem[bar];
		mem->ops = &bar_ops;
		mem->range.start = res->start;
		mem->range.end = res->end;
		mem->bus_offset = pci_bus_address(pdev, bar) - res->start;
		mem->owner = &pdev->dev;
		error = p2pdma_provider_register(mem);
		if (error) {
			mem->owner = NULL;
			bars_unregister(p2p);
			return error;
		}
	}

	return 0;
}

/* Memory was registered, or is being so */
static bool has_memory(struct pci_p2pdma *p2p)
{
	return !list_empty(&p2p->node);
}

static void memory_close(struct pci_p2pdma *p2p)
{
	struct pci_dev *pdev = p2p->pdev;

	pci_p2pmem_publish(pdev, false);
	p2pdma_pool_kill(&p2p->pool);

	/* Both wait for calls in progress, so that there will be no new buffer */
	pci_p2pdma_sysfs_remove(pdev);
	p2pdma_node_remove(p2p);
	p2pdma_dmabuf_revoke_all(p2p);
	wait_for_memory(p2p);
	pm_runtime_put(&pdev->dev);
}

static void provider_release(void *data)
{
	struct pci_p2pdma *p2p = data;
	struct pci_dev *pdev = p2p->pdev;
	struct p2pdma_region *region, *next;

	if (has_memory(p2p))
		memory_close(p2p);

	mutex_lock(&p2pdma_mutex);
	if (has_memory(p2p))
		list_del_rcu(&p2p->node);
	RCU_INIT_POINTER(pdev->p2pdma, NULL);
	mutex_unlock(&p2pdma_mutex);
	synchronize_rcu();

	bars_unregister(p2p);
	p2pdma_pool_destroy(&p2p->pool);
	list_for_each_entry_safe(region, next, &p2p->regions, node)
		region_remove(region);
	pci_p2pdma_verdicts_destroy(&p2p->verdicts);
	kfree(p2p);
	static_branch_dec(&p2pdma_pages_exist);
	pci_p2pdma_routes_changed();
}

static void complain(struct p2pdma_pool *pool, void *addr, size_t size)
{
	struct pci_p2pdma *p2p = container_of(pool, struct pci_p2pdma, pool);

	WARN_ONCE(1, "%s: freed %zu bytes at %p, which were not allocated so\n",
		  pci_name(p2p->pdev), size, addr);
}

static struct pci_p2pdma *provider_create(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p;
	int error;

	p2p = kzalloc_node(sizeof(*p2p), GFP_KERNEL, dev_to_node(&pdev->dev));
	if (!p2p)
		return ERR_PTR(-ENOMEM);

	p2p->pdev = pdev;
	p2pdma_pool_init(&p2p->pool, complain);
	INIT_LIST_HEAD(&p2p->regions);
	INIT_LIST_HEAD(&p2p->buffers);
	INIT_LIST_HEAD(&p2p->node);
	pci_p2pdma_verdicts_init(&p2p->verdicts);

	error = bars_register(p2p);
	if (error)
		goto free_pool;

	error = devm_add_action(&pdev->dev, provider_release, p2p);
	if (error)
		goto unregister;

	static_branch_inc(&p2pdma_pages_exist);
	rcu_assign_pointer(pdev->p2pdma, p2p);
	return p2p;

unregister:
	bars_unregister(p2p);
free_pool:
	p2pdma_pool_destroy(&p2p->pool);
	kfree(p2p);
	return ERR_PTR(error);
}

static struct pci_p2pdma *provider_get_or_create(struct pci_dev *pdev,
						 bool *created)
{
	struct pci_p2pdma *p2p;

	p2p = rcu_dereference_protected(pdev->p2pdma,
					lockdep_is_held(&p2pdma_mutex));
	*created = !p2p;
	if (!p2p) {
		p2p = provider_create(pdev);
		*created = !IS_ERR(p2p);
	}

	return p2p;
}

/* A provider without memory so far is going to register some */
static int memory_open(struct pci_p2pdma *p2p)
{
	struct pci_dev *pdev = p2p->pdev;
	int error;

	error = pm_runtime_resume_and_get(&pdev->dev);
	if (error)
		return error;

	error = pci_p2pdma_sysfs_add(pdev);
	if (error)
		goto let_sleep;

	error = p2pdma_node_add(p2p);
	if (error)
		goto remove_sysfs;

	list_add_tail_rcu(&p2p->node, &pci_p2pdma_providers);
	return 0;

remove_sysfs:
	pci_p2pdma_sysfs_remove(pdev);
let_sleep:
	pm_runtime_put(&pdev->dev);
	return error;
}

/* The first memory of a provider could not be registered */
static void memory_abandon(struct pci_p2pdma *p2p)
{
	p2pdma_node_remove(p2p);
	pci_p2pdma_sysfs_remove(p2p->pdev);
	list_del_rcu(&p2p->node);
	synchronize_rcu();
	INIT_LIST_HEAD(&p2p->node);
	pm_runtime_put(&p2p->pdev->dev);
}

/* Is any of @range registered already? */
static bool range_registered(struct pci_p2pdma *p2p, const struct range *range)
{
	struct p2pdma_region *region;

	list_for_each_entry(region, &p2p->regions, node)
		if (region->pgmap.range.start <= range->end &&
		    range->start <= region->pgmap.range.end)
			return true;

	return false;
}

/*
 * Is the BAR where it was when the provider began, and was it there?  What the
 * DMA mapping code has been told of it is nothing else.
 */
static bool range_known(struct pci_p2pdma *p2p, int bar,
			const struct range *range)
{
	const struct p2pdma_provider *mem = &p2p->mem[bar];

	if (mem->owner && range->start >= mem->range.start &&
	    range->end <= mem->range.end)
		return true;

	pci_err(p2p->pdev, "BAR %d: %pR has got this address after the device began to provide; not used for peer-to-peer DMA until its driver is bound anew\n",
		bar, &p2p->pdev->resource[bar]);
	return false;
}

static int region_add(struct pci_p2pdma *p2p, int bar, struct range *range,
		      unsigned int flags)
{
	struct pci_dev *pdev = p2p->pdev;
	int nid = dev_to_node(&pdev->dev);
	struct p2pdma_region *region;
	int error;

	region = kzalloc_node(sizeof(*region), GFP_KERNEL, nid);
	if (!region)
		return -ENOMEM;

	region->p2p = p2p;
	region->mem = &p2p->mem[bar];
	region->pgmap.owner = region->mem;
	region->pgmap.type = MEMORY_DEVICE_PCI_P2PDMA;
	region->pgmap.ops = &p2pdma_pgmap_ops;
	region->pgmap.range = *range;
	region->pgmap.nr_range = 1;
	if (flags & PCI_P2PDMA_WRITE_COMBINING)
		region->pgmap.flags |= PGMAP_WRITE_COMBINING;

	region->vaddr = memremap_pages(&region->pgmap, nid);
	if (IS_ERR(region->vaddr)) {
		error = PTR_ERR(region->vaddr);
		goto free_region;
	}

	list_add_tail_rcu(&region->node, &p2p->regions);
	error = p2pdma_pool_add(&p2p->pool, region->vaddr,
				virt_to_page(region->vaddr), range_len(range),
				nid);
	if (error)
		goto remove_region;

	return 0;

remove_region:
	list_del_rcu(&region->node);
	synchronize_rcu();
	memunmap_pages(&region->pgmap);
free_region:
	kfree(region);
	return error;
}

static int memory_add(struct pci_p2pdma *p2p, int bar, struct range *range,
		      unsigned int flags)
{
	bool first = !has_memory(p2p);
	int error;

	if (first) {
		error = memory_open(p2p);
		if (error)
			return error;
	}

	error = region_add(p2p, bar, range, flags);
	if (error && first)
		memory_abandon(p2p);
	return error;
}

/* Which part of a BAR is meant, or why it cannot be used */
static int resource_range(struct pci_dev *pdev, int bar, size_t size,
			  u64 offset, struct range *range)
{
	resource_size_t len;

	if (!pdev || bar < 0 || bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
	    pci_resource_flags(pdev, bar) & IORESOURCE_UNSET)
		return -EINVAL;

	/* What bridges do not forward to it, or is somebody else's, is claimed by none */
	if (!pdev->resource[bar].parent) {
		pci_err(pdev, "BAR %d: %pR is not an address that leads to the device; not used for peer-to-peer DMA\n",
			bar, &pdev->resource[bar]);
		return -EINVAL;
	}

	len = pci_resource_len(pdev, bar);
	if (offset >= len || size > len - offset)
		return -EINVAL;

	if (!size)
		size = len - offset;

	range->start = pci_resource_start(pdev, bar) + offset;
	range->end = range->start + size - 1;

	if (!IS_ALIGNED(range->start | size, memremap_compat_align())) {
		pci_err(pdev, "BAR %d: peer-to-peer memory [mem %#llx-%#llx] must begin and end at a multiple of %lu KiB\n",
			bar, range->start, range->end,
			memremap_compat_align() / SZ_1K);
		return -EINVAL;
	}

	return 0;
}

/**
 * pcim_p2pdma_init - let other devices reach the BARs of a device
 * @pdev: the device
 *
 * For drivers that hand out memory of their BARs by themselves, without struct
 * pages and the pool that come with pci_p2pdma_add_resource(), and which may be
 * called afterwards nevertheless.  May be called several times; ends with the
 * driver.
 *
 * Context: process context, may sleep.  The caller holds the device lock, as a
 * driver's probe does.
 * Return: 0, -ENOMEM, or -EEXIST if a BAR overlaps with memory that another
 * provider has registered.
 */
int pcim_p2pdma_init(struct pci_dev *pdev)
{
	bool created;

	guard(mutex)(&p2pdma_mutex);
	return PTR_ERR_OR_ZERO(provider_get_or_create(pdev, &created));
}
EXPORT_SYMBOL_GPL(pcim_p2pdma_init);

/**
 * pcim_p2pdma_provider - a BAR as the DMA mapping code knows it
 * @pdev: a device for which pcim_p2pdma_init() succeeded
 * @bar: number of the BAR
 *
 * The provider lives as long as the driver is bound.  Until then the driver has
 * to see to it that nobody uses it any more; its removal waits for those who
 * have it from p2pdma_provider_get().
 *
 * Context: any context.  The caller keeps the driver bound.
 * Return: the provider; NULL if the BAR is no memory, or the device has not been
 * initialised.
 */
struct p2pdma_provider *pcim_p2pdma_provider(struct pci_dev *pdev, int bar)
{
	struct pci_p2pdma *p2p;

	if (bar < 0 || bar >= PCI_STD_NUM_BARS)
		return NULL;

	guard(rcu)();
	p2p = rcu_dereference(pdev->p2pdma);
	if (!p2p || !p2p->mem[bar].owner)
		return NULL;

	return &p2p->mem[bar];
}
EXPORT_SYMBOL_GPL(pcim_p2pdma_provider);

/**
 * pci_p2pdma_add_memory - make memory behind a BAR usable for peer-to-peer DMA
 * @pdev: the device, which becomes a provider if it is not one yet
 * @bar: number of the BAR, 0 to 5
 * @size: number of bytes, or 0 for everything from @offset to the end
 * @offset: where the memory begins in the BAR, in bytes
 * @flags: %PCI_P2PDMA_WRITE_COMBINING to let the processor combine its writes,
 *	which it otherwise sends one by one; or 0
 *
 * May be called several times, for several BARs or for parts of one.  The
 * memory stays registered until the driver unbinds, and the unbinding waits
 * for all of it to be free.  It is not found by other drivers before
 * pci_p2pmem_publish().  A device with memory is not suspended at run time (D3);
 * one that is sleeps no longer when this returns.
 *
 * Begin and size must be multiples of memremap_compat_align(), 2 MiB on x86.
 *
 * Context: process context, may sleep.  The driver must not be unbound
 * meanwhile: its probe is safe, and so are the files that it gives the device.
 * Return: 0; -EINVAL if there is no such memory, not at that alignment, or at an
 * address that does not lead to it, or that it has got after the device began to
 * provide; -EBUSY if part of it is registered already; the error of the driver's
 * runtime_resume(); -ENOMEM or another error of memremap_pages(), upon which
 * nothing is left behind.
 */
int pci_p2pdma_add_memory(struct pci_dev *pdev, int bar, size_t size,
			  u64 offset, unsigned int flags)
{
	struct pci_p2pdma *p2p;
	struct range range;
	bool created = false;
	int error;

	error = resource_range(pdev, bar, size, offset, &range);
	if (error)
		return error;

	mutex_lock(&p2pdma_mutex);
	p2p = provider_get_or_create(pdev, &created);
	if (IS_ERR(p2p))
		error = PTR_ERR(p2p);
	else if (!range_known(p2p, bar, &range))
		error = -EINVAL;
	else if (range_registered(p2p, &range))
		error = -EBUSY;
	else
		error = memory_add(p2p, bar, &range, flags);
	mutex_unlock(&p2pdma_mutex);

	if (!error)
		pci_info(pdev, "BAR %d: added peer-to-peer DMA memory [mem %#llx-%#llx]\n",
			 bar, range.start, range.end);
	else if (created)
		devm_release_action(&pdev->dev, provider_release, p2p);

	return error;
}
EXPORT_SYMBOL_GPL(pci_p2pdma_add_memory);

/**
 * pci_p2pdma_add_resource - make memory behind a BAR usable for peer-to-peer DMA
 * @pdev: the device
 * @bar: number of the BAR
 * @size: number of bytes, or 0
 * @offset: where the memory begins in the BAR, in bytes
 *
 * This is pci_p2pdma_add_memory() without flags.
 *
 * Return: see pci_p2pdma_add_memory().
 */
int pci_p2pdma_add_resource(struct pci_dev *pdev, int bar, size_t size,
			    u64 offset)
{
	return pci_p2pdma_add_memory(pdev, bar, size, offset, 0);
}
EXPORT_SYMBOL_GPL(pci_p2pdma_add_resource);

/**
 * pci_alloc_p2pmem - allocate contiguous peer-to-peer memory
 * @provider: the provider
 * @size: number of bytes, rounded up to whole pages
 *
 * A power of two is aligned to itself where there is room for it so.
 *
 * Context: any context but NMI; does not sleep.
 * Return: kernel address of the memory, to be freed by pci_free_p2pmem(), or
 * NULL if the device is no provider, is going away, @size is zero or no free
 * piece is that long.
 */
void *pci_alloc_p2pmem(struct pci_dev *provider, size_t size)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	if (!p2p)
		return NULL;

	return p2pdma_pool_alloc(&p2p->pool, size);
}
EXPORT_SYMBOL_GPL(pci_alloc_p2pmem);

/**
 * pci_free_p2pmem - free peer-to-peer memory
 * @provider: the provider
 * @vaddr: what pci_alloc_p2pmem() returned
 * @size: the size that was asked for
 *
 * The provider stays until its last memory is freed, so this is safe while its
 * driver unbinds.
 *
 * Context: any context but NMI; does not sleep.
 */
void pci_free_p2pmem(struct pci_dev *provider, void *vaddr, size_t size)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	if (WARN_ONCE(!p2p, "%s: freed memory of a device that provides none\n",
		      pci_name(provider)))
		return;

	p2pdma_pool_free(&p2p->pool, vaddr, size);
}
EXPORT_SYMBOL_GPL(pci_free_p2pmem);

/**
 * pci_p2pmem_virt_to_bus - bus address of peer-to-peer memory
 * @provider: the provider
 * @vaddr: address inside memory from pci_alloc_p2pmem(), or NULL
 *
 * This is where the provider's BAR sits on the PCI bus, for the provider's own
 * use.  Other devices get their addresses from the DMA API.
 *
 * Context: any context.  The caller holds the memory.
 * Return: the bus address; 0 if @vaddr is NULL or not the provider's.
 */
pci_bus_addr_t pci_p2pmem_virt_to_bus(struct pci_dev *provider, void *vaddr)
{
	struct p2pdma_region *region;
	struct pci_p2pdma *p2p;
	size_t offset;

	guard(rcu)();
	p2p = rcu_dereference(provider->p2pdma);
	if (!vaddr || !p2p)
		return 0;

	list_for_each_entry_rcu(region, &p2p->regions, node) {
		offset = vaddr - region->vaddr;
		if (vaddr >= region->vaddr &&
		    offset < range_len(&region->pgmap.range))
			return pci_p2pdma_bus_addr_map(region->mem,
					       region->pgmap.range.start +
					       offset);
	}

	return 0;
}
EXPORT_SYMBOL_GPL(pci_p2pmem_virt_to_bus);
