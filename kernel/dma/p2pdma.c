// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer DMA: how memory of a provider becomes an address for a client.
 *
 * This file is the only part of the DMA mapping code that knows of peer-to-peer
 * memory, and it knows no bus: it asks a provider's operations how a client
 * reaches it (struct p2pdma_provider_ops), keeps the answer, and translates.
 *
 *   type            address for the client
 *   bus address     where the memory sits on the bus: physical address plus
 *                   the provider's offset, behind an IOMMU as well
 *   through the     what the host makes of it: the physical address without
 *   host            any mark of memory encryption, or an I/O virtual address,
 *                   mapped as MMIO
 *   not supported   none: -EREMOTEIO, or DMA_MAPPING_ERROR from calls that have
 *                   no better word for it
 *
 * In a scatterlist, segments of several providers and of ordinary memory may
 * follow each other in any order.  Segments with a bus address are marked, so
 * that an IOMMU leaves them alone and unmapping only takes the mark away.
 *
 * A mapping of a single page or of a resource has nowhere to put a mark.  It is
 * translated where unmapping does nothing to such an address anyway, or where
 * the IOMMU can tell, and refused elsewhere.
 *
 * Peer-to-peer memory is never bounced, and there is never cache maintenance
 * for it: the CPU maps it uncached, and through other addresses than those that
 * the client is given.
 *
 * Life of a provider here: from p2pdma_provider_register() to the return of
 * p2pdma_provider_unregister().  Who maps its memory has to hold either the
 * memory, or the provider (p2pdma_provider_get()), or its owner's driver by
 * other means.
 *
 * Cost: without any provider, the entry points call what handles ordinary
 * memory directly (static calls, where the architecture has them), and a static
 * key keeps the rest away.  With providers, a segment of ordinary memory is told
 * by the zone of its page.  A verdict that is known costs a load each of the
 * provider's table, of two generations, and of a slot.
 *
 * Verdicts are kept in a table for each provider, of one word a client: its
 * address, and the type in the low bits, read and written as a whole.  A client
 * whose slot is taken by another displaces it.  The table carries the
 * generation in which it was begun, and counts no longer once
 * p2pdma_routes_changed() has advanced it.  The generation is sampled before
 * the bus is asked, so that a change meanwhile makes the answer outdated too.
 * That a client is not supported is never kept: the address of a device that
 * the bus does not know may be used again for one that it does.
 *
 * Locking: p2pdma_mutex serialises the switch between idle and in use.  A
 * provider's lock covers changes of its table.  Readers use RCU.
 *
 * What must never happen: an address that leads anywhere but to the memory
 * that was to be mapped.
 */
#define pr_fmt(fmt) "p2pdma: " fmt

#include <linux/atomic.h>
#include <linux/dma-direct.h>
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "p2pdma.h"

/* How long to wait for holders of a provider before the log says so, again */
#define P2PDMA_PATIENCE		(30 * HZ)

/* Clients of which a provider keeps the verdict, logarithm of their number */
#define CLIENT_BITS		6

#define CLIENT_TYPE		3UL

struct p2pdma_clients {
	unsigned long	slot[1 << CLIENT_BITS];
	s64		generation;
	struct rcu_head	rcu;
};

/* On as long as there is a provider; modules ask too, md for one */
DEFINE_STATIC_KEY_FALSE(p2pdma_in_use);
EXPORT_SYMBOL_GPL(p2pdma_in_use);

DEFINE_STATIC_CALL(dma_map_sg_direct, dma_direct_map_sg);
DEFINE_STATIC_CALL(dma_unmap_sg_direct, dma_direct_unmap_sg);

static DEFINE_MUTEX(p2pdma_mutex);
static unsigned int p2pdma_nr_providers;

/* Providers by CPU physical address */
static struct maple_tree p2pdma_ranges =
	MTREE_INIT(p2pdma_ranges, MT_FLAGS_USE_RCU);

static atomic64_t p2pdma_generation = ATOMIC64_INIT(0);

/*
 * Verdicts
 */

static unsigned long *client_slot(struct p2pdma_clients *clients,
				  struct device *client)
{
	unsigned long i = hash_ptr(client, CLIENT_BITS);

	return &clients->slot[i];
}

static struct p2pdma_clients *new_clients(s64 generation, gfp_t gfp)
{
	struct p2pdma_clients *clients = kzalloc(sizeof(*clients), gfp);

	if (clients)
		clients->generation = generation;
	return clients;
}

/* What cannot be kept for want of memory is asked again next time */
static void keep_verdict(struct p2pdma_provider *provider, s64 generation,
			 struct device *client, enum pci_p2pdma_map_type type)
{
	struct p2pdma_clients *old, *clients;
	unsigned long flags;

	spin_lock_irqsave(&provider->lock, flags);
	old = rcu_dereference_protected(provider->clients,
					lockdep_is_held(&provider->lock));
	clients = old;
	if (old->generation < generation) {
		clients = new_clients(generation, GFP_ATOMIC | __GFP_NOWARN);
		if (clients) {
			rcu_assign_pointer(provider->clients, clients);
			kfree_rcu(old, rcu);
		}
	}
	if (clients && clients->generation == generation)
		WRITE_ONCE(*client_slot(clients, client),
			   (unsigned long)client | type);
	spin_unlock_irqrestore(&provider->lock, flags);
}

static noinline enum pci_p2pdma_map_type
ask_bus(struct p2pdma_provider *provider, struct device *client)
{
	s64 generation = atomic64_read_acquire(&p2pdma_generation);
	enum pci_p2pdma_map_type type;

	type = provider->ops->map_type(provider, client);
	if (type != PCI_P2PDMA_MAP_BUS_ADDR &&
	    type != PCI_P2PDMA_MAP_THRU_HOST_BRIDGE)
		return PCI_P2PDMA_MAP_NOT_SUPPORTED;

	keep_verdict(provider, generation, client, type);
	return type;
}

/* The type that is kept, or a number that is none */
static __always_inline unsigned long kept_type(struct p2pdma_provider *provider,
					       struct device *client)
{
	struct p2pdma_clients *clients;
	unsigned long slot;

	BUILD_BUG_ON(__alignof__(*client) <= CLIENT_TYPE);
	BUILD_BUG_ON(PCI_P2PDMA_MAP_BUS_ADDR > CLIENT_TYPE);
	BUILD_BUG_ON(PCI_P2PDMA_MAP_THRU_HOST_BRIDGE > CLIENT_TYPE);

	guard(rcu)();
	clients = rcu_dereference(provider->clients);
	slot = READ_ONCE(*client_slot(clients, client));
	if (unlikely(clients->generation !=
		     atomic64_read_acquire(&p2pdma_generation)))
		return ULONG_MAX;

	/* Leaves the low bits if it is the client's */
	return slot ^ (unsigned long)client;
}

static __always_inline enum pci_p2pdma_map_type
map_type(struct p2pdma_provider *provider, struct device *client)
{
	unsigned long type = kept_type(provider, client);

	return likely(type <= CLIENT_TYPE) ? type : ask_bus(provider, client);
}

/**
 * pci_p2pdma_map_type - how a client's DMA to a provider is to be mapped
 * @provider: the provider
 * @client: device that does the DMA
 *
 * For memory without struct pages.  If the answer is
 *
 *  - %PCI_P2PDMA_MAP_BUS_ADDR, pci_p2pdma_bus_addr_map() gives the address, which needs
 *    no unmapping,
 *  - %PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, dma_map_phys() with %DMA_ATTR_MMIO does.
 *
 * The answer does not cover the client's DMA mask, which dma_map_phys() checks,
 * and which pci_p2pdma_bus_addr_map() cannot.
 *
 * Context: any context.  The caller holds @provider by p2pdma_provider_get() or
 * by other means, until after the last use of the address.
 * Return: any type but unknown and none.
 */
enum pci_p2pdma_map_type
pci_p2pdma_map_type(struct p2pdma_provider *provider, struct device *client)
{
	return map_type(provider, client);
}
EXPORT_SYMBOL_GPL(pci_p2pdma_map_type);

/**
 * p2pdma_routes_changed - make every kept verdict count no longer
 *
 * To be called by a bus after a change that may alter a verdict, and before a
 * client ceases to exist.
 *
 * Context: any context.
 */
void p2pdma_routes_changed(void)
{
	/* Whoever sees the new generation must see what led to it */
	smp_mb__before_atomic();
	atomic64_inc(&p2pdma_generation);
}
EXPORT_SYMBOL_GPL(p2pdma_routes_changed);

/*
 * Translation
 */

static u64 addressable(struct device *dev)
{
	return min_not_zero(*dev->dma_mask, dev->bus_dma_limit);
}

/* Is this part of the memory what the verdict is about? */
static bool in_reach(struct p2pdma_provider *mem, struct device *dev,
		     phys_addr_t phys, size_t size)
{
	if (likely(!mem->ops->reaches) ||
	    mem->ops->reaches(mem, dev, phys, size))
		return true;

	dev_err_ratelimited(dev, "cannot reach peer-to-peer memory %pap+%#zx of %s, which is outside the window to it\n",
			    &phys, size, dev_name(mem->owner));
	return false;
}

/*
 * Does the client take a translated segment as it is?  Asked of the few that
 * are not surely_fits(): an address that is too high, a segment boundary of
 * which the offset is no multiple, memory that is in reach in part only.
 */
static noinline bool segment_fits(struct p2pdma_provider *mem,
				  struct device *dev, phys_addr_t phys,
				  dma_addr_t addr, size_t size)
{
	u64 beyond = ~(u64)dma_get_seg_boundary(dev);
	dma_addr_t last = addr + size - 1;

	if (!in_reach(mem, dev, phys, size))
		return false;

	if (addr == DMA_MAPPING_ERROR || last < addr ||
	    last > addressable(dev)) {
		dev_err_ratelimited(dev, "cannot address peer-to-peer memory %pad+%#zx of %s (mask %#llx, bus limit %#llx), which takes a device of more address bits, or a BAR at a lower address\n",
				    &addr, size, dev_name(mem->owner),
				    *dev->dma_mask, dev->bus_dma_limit);
		return false;
	}

	/* What crosses a boundary to begin with is as the caller wants it */
	if ((addr ^ last) & beyond && !((phys ^ (phys + size - 1)) & beyond)) {
		dev_err_ratelimited(dev, "peer-to-peer memory %pad+%#zx of %s crosses the segment boundary %#lx of this device, which takes shorter segments\n",
				    &addr, size, dev_name(mem->owner),
				    dma_get_seg_boundary(dev));
		return false;
	}

	return true;
}

/* At its bus address, does each segment fit that is low enough? */
static bool surely_fits(struct p2pdma_provider *mem, struct device *dev)
{
	return !mem->ops->reaches &&
	       !(mem->bus_offset & dma_get_seg_boundary(dev));
}

/*
 * A device that the host only lets use its bounce buffers reaches nothing else
 * through the host.
 */
static bool must_bounce(struct p2pdma_provider *mem, struct device *dev)
{
	if (likely(!is_swiotlb_force_bounce(dev)))
		return false;

	dev_err_ratelimited(dev, "cannot reach peer-to-peer memory of %s, as all its DMA through the host has to be bounced\n",
			    dev_name(mem->owner));
	return true;
}

/**
 * struct direct_run - memory of one provider without an IOMMU
 * @start: first CPU physical address of the provider
 * @size: segments that begin within so many bytes from there are its memory
 * @offset: what to add to a physical address to obtain the client's
 * @end: segments whose address for the client ends here surely fit; 0 if each
 *	has to be looked at
 * @map: type of the mapping
 */
struct direct_run {
	u64				start;
	u64				size;
	u64				offset;
	u64				end;
	enum pci_p2pdma_map_type	map;
};

/* False if the memory is out of reach */
static __always_inline bool begin_run(struct direct_run *run,
				      struct device *dev,
				      struct p2pdma_provider *mem, u64 limit)
{
	run->map = map_type(mem, dev);
	run->start = mem->range.start;
	run->size = mem->size;
	run->end = limit;

	if (likely(run->map == PCI_P2PDMA_MAP_BUS_ADDR)) {
		run->offset = mem->bus_offset;
		if (mem->special && !surely_fits(mem, dev))
			run->end = 0;
		return true;
	}

	run->offset = 0;
	if (mem->ops->reaches || dev->dma_range_map ||
	    IS_ENABLED(CONFIG_ARCH_HAS_PHYS_TO_DMA))
		run->end = 0;
	return run->map == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE &&
	       !must_bounce(mem, dev);
}

static noinline dma_addr_t translate_special(struct p2pdma_provider *mem,
					     struct device *dev,
					     phys_addr_t phys, size_t size,
					     enum pci_p2pdma_map_type map)
{
	dma_addr_t addr;

	/* Not phys_to_dma(): MMIO is not encrypted */
	if (map == PCI_P2PDMA_MAP_BUS_ADDR)
		addr = pci_p2pdma_bus_addr_map(mem, phys);
	else
		addr = phys_to_dma_unencrypted(dev, phys);

	return segment_fits(mem, dev, phys, addr, size) ? addr :
							  DMA_MAPPING_ERROR;
}

/**
 * pci_p2pdma_map_segment - address of one segment of peer-to-peer memory
 * @state: what is known from earlier segments of the list; zeroed for the first
 * @dev: device that does the DMA
 * @sg: the segment, whose page is one of a provider
 *
 * A segment that is reached directly gets its bus address and is marked as
 * such, so that unmapping leaves it alone; one that is reached through the host
 * is left to be mapped.
 *
 * Context: any context.  The caller holds the memory.
 * Return: %PCI_P2PDMA_MAP_BUS_ADDR, %PCI_P2PDMA_MAP_THRU_HOST_BRIDGE or
 * %PCI_P2PDMA_MAP_NOT_SUPPORTED.
 */
enum pci_p2pdma_map_type
pci_p2pdma_map_segment(struct pci_p2pdma_map_state *state, struct device *dev,
		       struct scatterlist *sg)
{
	struct dev_pagemap *pgmap = sg_page(sg)->pgmap;
	struct p2pdma_provider *mem = pgmap->owner;
	phys_addr_t phys = sg_phys(sg);
	dma_addr_t addr;

	if (state->pgmap != pgmap) {
		state->pgmap = pgmap;
		state->mem = mem;
		state->bus_off = mem->bus_offset;
		state->map = map_type(mem, dev);
		state->end = surely_fits(mem, dev) ? addressable(dev) : 0;
	}

	if (state->map == PCI_P2PDMA_MAP_BUS_ADDR) {
		addr = phys + state->bus_off;
		if (unlikely(addr + sg->length > state->end) &&
		    !segment_fits(mem, dev, phys, addr, sg->length))
			return PCI_P2PDMA_MAP_NOT_SUPPORTED;

		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = sg->length;
		sg_dma_mark_bus_address(sg);
	} else if (state->map == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE &&
		   !in_reach(mem, dev, phys, sg->length)) {
		return PCI_P2PDMA_MAP_NOT_SUPPORTED;
	}

	return state->map;
}

/*
 * Scatterlists without an IOMMU.  These take the place of dma_direct_map_sg()
 * and dma_direct_unmap_sg() while there are providers.
 */

/* sg_next() where there is one, without a call */
static __always_inline struct scatterlist *sg_follow(struct scatterlist *sg)
{
	sg++;
	if (unlikely(sg_is_chain(sg))) {
		sg = sg_chain_ptr(sg);
		/* Worth a branch, as chains are rare */
		barrier();
	}
	return sg;
}

static void direct_unmap_sg(struct device *dev, struct scatterlist *sgl,
			    int nents, enum dma_data_direction dir,
			    unsigned long attrs)
{
	struct scatterlist *sg = sgl;

	while (nents > 0) {
		if (is_pci_p2pdma_page(sg_page(sg)))
			sg_dma_unmark_bus_address(sg);
		else
			dma_direct_unmap_page(dev, sg_dma_address(sg),
					      sg_dma_len(sg), dir, attrs);
		if (--nents)
			sg = sg_follow(sg);
	}
}

/*
 * A segment of ordinary memory between others.  Out of line, and with these very
 * arguments: the loop that calls it has no registers to spare.
 */
static noinline __noclone dma_addr_t
direct_map_ram(struct device *dev, struct scatterlist *sg,
	       enum dma_data_direction dir, unsigned long attrs)
{
	return dma_direct_map_page(dev, sg_page(sg), sg->offset, sg->length,
				   dir, attrs);
}

/* A list that begins with peer-to-peer memory, and may continue with any */
static int direct_map_sg_p2p(struct device *dev, struct scatterlist *sgl,
			     int nents, enum dma_data_direction dir,
			     unsigned long attrs)
{
	struct direct_run run = {};
	struct scatterlist *sg = sgl;
	struct p2pdma_provider *mem;
	u64 limit = addressable(dev);
	int left = nents, error;
	phys_addr_t phys;
	dma_addr_t addr;

	for (;;) {
		phys = sg_phys(sg);
		if (phys - run.start >= run.size) {
			if (!is_pci_p2pdma_page(sg_page(sg))) {
				addr = direct_map_ram(dev, sg, dir, attrs);
				error = -EIO;
				if (addr == DMA_MAPPING_ERROR)
					goto unmap;
				sg_dma_address(sg) = addr;
				sg_dma_len(sg) = sg->length;
				goto next;
			}
			mem = sg_page(sg)->pgmap->owner;
			error = -EREMOTEIO;
			if (!begin_run(&run, dev, mem, limit))
				goto unmap;
		}

		addr = phys + run.offset;
		if (unlikely(addr + sg->length > run.end)) {
			mem = sg_page(sg)->pgmap->owner;
			error = -EREMOTEIO;
			addr = translate_special(mem, dev, phys, sg->length,
						 run.map);
			if (addr == DMA_MAPPING_ERROR)
				goto unmap;
		}
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = sg->length;
		if (run.map == PCI_P2PDMA_MAP_BUS_ADDR)
			sg_dma_mark_bus_address(sg);
next:
		if (!--left)
			return nents;
		sg = sg_follow(sg);
	}

unmap:
	direct_unmap_sg(dev, sgl, nents - left, dir,
			attrs | DMA_ATTR_SKIP_CPU_SYNC);
	return error;
}

/* A list that begins with ordinary memory; out of line, at no cost to others */
static noinline int direct_map_sg_ram(struct device *dev,
				      struct scatterlist *sgl, int nents,
				      enum dma_data_direction dir,
				      unsigned long attrs)
{
	struct scatterlist *sg = sgl;
	int left = nents, ret;

	for (;;) {
		sg_dma_address(sg) = dma_direct_map_page(dev, sg_page(sg),
							 sg->offset, sg->length,
							 dir, attrs);
		ret = -EIO;
		if (sg_dma_address(sg) == DMA_MAPPING_ERROR)
			break;
		sg_dma_len(sg) = sg->length;

		if (!--left)
			return nents;
		sg = sg_follow(sg);
		if (is_zone_device_page(sg_page(sg))) {
			ret = direct_map_sg_p2p(dev, sg, left, dir, attrs);
			if (ret < 0)
				break;
			return nents;
		}
	}

	direct_unmap_sg(dev, sgl, nents - left, dir,
			attrs | DMA_ATTR_SKIP_CPU_SYNC);
	return ret;
}

/* The most common list of peer-to-peer memory: a single segment, in easy reach */
static noinline int direct_map_sg_one(struct device *dev,
				      struct scatterlist *sgl, int nents,
				      enum dma_data_direction dir,
				      unsigned long attrs)
{
	const struct dev_pagemap *pgmap = sg_page(sgl)->pgmap;
	struct p2pdma_provider *mem = pgmap->owner;
	dma_addr_t addr;

	if (pgmap->type != MEMORY_DEVICE_PCI_P2PDMA || mem->special ||
	    dev->bus_dma_limit || kept_type(mem, dev) != PCI_P2PDMA_MAP_BUS_ADDR)
		goto other;

	/* Not special: the offset is zero */
	addr = sg_phys(sgl);
	if (unlikely(addr + sgl->length > *dev->dma_mask))
		goto other;

	sg_dma_address(sgl) = addr;
	sg_dma_len(sgl) = sgl->length;
	sg_dma_mark_bus_address(sgl);
	return nents;

other:
	return direct_map_sg_p2p(dev, sgl, nents, dir, attrs);
}

static int direct_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
			 enum dma_data_direction dir, unsigned long attrs)
{
	if (unlikely(nents <= 0))
		return nents;
	if (!is_zone_device_page(sg_page(sgl)))
		return direct_map_sg_ram(dev, sgl, nents, dir, attrs);
	if (nents == 1)
		return direct_map_sg_one(dev, sgl, nents, dir, attrs);

	return direct_map_sg_p2p(dev, sgl, nents, dir, attrs);
}

#ifdef CONFIG_IOMMU_DMA
DEFINE_STATIC_CALL(dma_map_sg_iommu, iommu_dma_map_sg);

/* Takes the place of iommu_dma_map_sg() while there are providers */
static int iommu_map_sg_p2p(struct device *dev, struct scatterlist *sgl,
			    int nents, enum dma_data_direction dir,
			    unsigned long attrs)
{
	struct pci_p2pdma_map_state state = {};
	int i, translated = 0, p2p = 0, ret;
	struct scatterlist *sg;

	for_each_sg(sgl, sg, nents, i) {
		if (!is_pci_p2pdma_page(sg_page(sg))) {
			translated++;
			continue;
		}

		switch (pci_p2pdma_map_segment(&state, dev, sg)) {
		case PCI_P2PDMA_MAP_BUS_ADDR:
			break;
		case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
			translated++;
			break;
		default:
			ret = -EREMOTEIO;
			goto unmark;
		}
		p2p++;
	}

	if (!p2p)
		return iommu_dma_map_sg(dev, sgl, nents, dir, attrs);
	if (!translated)
		return nents;

	ret = iommu_dma_map_p2p_sg(dev, sgl, nents, dir, attrs);
	if (ret > 0)
		return ret;

unmark:
	for_each_sg(sgl, sg, nents, i)
		sg_dma_unmark_bus_address(sg);
	return ret;
}

static void switch_iommu(bool use)
{
	if (use)
		static_call_update(dma_map_sg_iommu, iommu_map_sg_p2p);
	else
		static_call_update(dma_map_sg_iommu, iommu_dma_map_sg);
}
#else
static void switch_iommu(bool use)
{
}
#endif

/* Operations of a driver or of an architecture know no peers */
static void no_operations(struct p2pdma_provider *mem, struct device *dev)
{
	dev_err_ratelimited(dev, "cannot reach peer-to-peer memory of %s, of which the DMA operations of this device know nothing\n",
			    dev_name(mem->owner));
}

/**
 * __p2pdma_refuse_sg - keep peer-to-peer memory from operations of another kind
 * @dev: device that does the DMA, by operations of its own (struct dma_map_ops)
 * @sgl: the scatterlist
 * @nents: number of segments
 *
 * For dma_map_sg().
 *
 * Context: any context.
 * Return: true if there is peer-to-peer memory in the list, which must not be
 * mapped, after a line in the log.
 */
bool __p2pdma_refuse_sg(struct device *dev, struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (is_pci_p2pdma_page(sg_page(sg))) {
			no_operations(sg_page(sg)->pgmap->owner, dev);
			return true;
		}
	}

	return false;
}

/*
 * Map memory of a provider by itself.  @marked says that unmapping will know
 * what it was; otherwise the address has to be one that unmapping leaves alone.
 */
static dma_addr_t map_single(struct p2pdma_provider *mem, struct device *dev,
			     phys_addr_t phys, size_t size,
			     enum dma_data_direction dir, unsigned long attrs,
			     bool direct, bool marked)
{
	enum pci_p2pdma_map_type type = map_type(mem, dev);
	dma_addr_t addr;

	if (type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		return DMA_MAPPING_ERROR;

	if (direct) {
		if (type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE &&
		    must_bounce(mem, dev))
			return DMA_MAPPING_ERROR;
		addr = translate_special(mem, dev, phys, size, type);
		if (addr == DMA_MAPPING_ERROR ||
		    marked || !dma_direct_need_sync(dev, addr))
			return addr;
	} else if (use_dma_iommu(dev)) {
		if (!in_reach(mem, dev, phys, size))
			return DMA_MAPPING_ERROR;
		if (type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE &&
		    (marked || dev_is_dma_coherent(dev)))
			return iommu_dma_map_resource(dev, phys, size, dir,
						      attrs);
	} else {
		no_operations(mem, dev);
		return DMA_MAPPING_ERROR;
	}

	dev_err_ratelimited(dev, "peer-to-peer memory of %s was to be mapped by itself, which cannot be expressed here; the driver has to use a scatterlist\n",
			    dev_name(mem->owner));
	return DMA_MAPPING_ERROR;
}

/**
 * p2pdma_map_page - map a page of a provider by itself
 * @dev: device that does the DMA
 * @page: the page
 * @offset: where in the page the memory begins
 * @size: its length, which may go beyond the page
 * @dir: direction of the DMA
 * @attrs: attributes of the mapping
 * @direct: there is no IOMMU
 *
 * For dma_map_page_attrs(), whose other half is the usual one: unmapping does
 * not know what it unmaps.
 *
 * Context: any context.  The caller holds the memory.
 * Return: the address, or DMA_MAPPING_ERROR after a line in the log.
 */
dma_addr_t p2pdma_map_page(struct device *dev, struct page *page, size_t offset,
			   size_t size, enum dma_data_direction dir,
			   unsigned long attrs, bool direct)
{
	return map_single(page->pgmap->owner, dev, page_to_phys(page) + offset,
			  size, dir, attrs, direct, false);
}

/**
 * __p2pdma_map_resource - map MMIO if it belongs to a provider
 * @dev: device that does the DMA
 * @phys: CPU physical address
 * @size: length in bytes
 * @dir: direction of the DMA
 * @attrs: attributes of the mapping
 * @direct: there is no IOMMU
 * @addr: returns the address, or DMA_MAPPING_ERROR after a line in the log
 *
 * For dma_map_resource().
 *
 * Context: any context.
 * Return: false if no part of the range is a provider's, so that it is to be
 * mapped as if there were none.
 */
bool __p2pdma_map_resource(struct device *dev, phys_addr_t phys, size_t size,
			   enum dma_data_direction dir, unsigned long attrs,
			   bool direct, dma_addr_t *addr)
{
	struct p2pdma_provider *mem;
	phys_addr_t last = phys + size - 1;
	unsigned long at = phys;

	guard(rcu)();
	mem = mt_find(&p2pdma_ranges, &at, last);
	if (!mem)
		return false;

	if (phys < mem->range.start || last > mem->range.end) {
		dev_err_ratelimited(dev, "MMIO %pap+%#zx belongs to %s in part only; map the parts by themselves\n",
				    &phys, size, dev_name(mem->owner));
		*addr = DMA_MAPPING_ERROR;
	} else {
		*addr = map_single(mem, dev, phys, size, dir, attrs, direct,
				   true);
	}

	return true;
}

/*
 * Providers
 */

/* The first provider arrives, or the last one leaves */
static void switch_to(bool use)
{
	if (use) {
		static_branch_enable(&p2pdma_in_use);
		static_call_update(dma_map_sg_direct, direct_map_sg);
		static_call_update(dma_unmap_sg_direct, direct_unmap_sg);
		switch_iommu(true);
	} else {
		switch_iommu(false);
		static_call_update(dma_map_sg_direct, dma_direct_map_sg);
		static_call_update(dma_unmap_sg_direct, dma_direct_unmap_sg);
		static_branch_disable(&p2pdma_in_use);
	}
}

/**
 * p2pdma_provider_register - let memory be mapped by other devices
 * @provider: owner, ops, range and bus_offset are filled in
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL if the range is empty, is not on the bus as a whole, or
 * something is missing; -EEXIST if part of it belongs to another provider;
 * -ENOMEM.
 */
int p2pdma_provider_register(struct p2pdma_provider *provider)
{
	u64 start = provider->range.start, end = provider->range.end;
	u64 offset = provider->bus_offset;
	struct p2pdma_clients *clients;
	int error;

	/* The last address of all means an error */
	if (!provider->owner || !provider->ops || !provider->ops->map_type ||
	    start > end || start + offset > end + offset ||
	    end + offset == DMA_MAPPING_ERROR)
		return -EINVAL;

	clients = new_clients(atomic64_read(&p2pdma_generation), GFP_KERNEL);
	if (!clients)
		return -ENOMEM;

	provider->size = end - start + 1;
	provider->special = offset || provider->ops->reaches;
	spin_lock_init(&provider->lock);
	provider->ending = false;
	refcount_set(&provider->users, 1);
	init_completion(&provider->unused);
	RCU_INIT_POINTER(provider->clients, clients);

	guard(mutex)(&p2pdma_mutex);
	error = mtree_insert_range(&p2pdma_ranges, start, end, provider,
				   GFP_KERNEL);
	if (error) {
		kfree(clients);
		return error;
	}

	if (!p2pdma_nr_providers++)
		switch_to(true);
	return 0;
}
EXPORT_SYMBOL_GPL(p2pdma_provider_register);

/**
 * p2pdma_provider_unregister - take memory out of the reach of other devices
 * @provider: a registered provider, of which nobody holds memory any more
 *
 * Waits until whoever holds the provider has let go, for which the bus asks in
 * its @revoke, and says so in the log if that takes long.
 *
 * Context: process context, may sleep.
 */
void p2pdma_provider_unregister(struct p2pdma_provider *provider)
{
	struct p2pdma_clients *clients;

	WRITE_ONCE(provider->ending, true);
	/* Pairs with p2pdma_provider_get(): who did not see it is asked below */
	smp_mb();
	if (provider->ops->revoke)
		provider->ops->revoke(provider);

	p2pdma_provider_put(provider);
	while (!wait_for_completion_timeout(&provider->unused, P2PDMA_PATIENCE))
		dev_warn(provider->owner, "removal waits for %u users of peer-to-peer memory\n",
			 refcount_read(&provider->users));

	scoped_guard(mutex, &p2pdma_mutex) {
		mtree_erase(&p2pdma_ranges, provider->range.start);
		if (!--p2pdma_nr_providers)
			switch_to(false);
	}

	/* Who looked the range up before may still read what it found */
	synchronize_rcu();
	clients = rcu_dereference_protected(provider->clients, true);
	RCU_INIT_POINTER(provider->clients, NULL);
	kfree(clients);
}
EXPORT_SYMBOL_GPL(p2pdma_provider_unregister);

/**
 * p2pdma_provider_get - keep a provider from going away
 * @provider: the provider
 *
 * For those who hold none of its memory as struct pages.  They must be ready to
 * let go when the owner of the provider asks for it, and must be where it looks
 * for them before they call this.
 *
 * Context: any context.
 * Return: false if it is about to go, so that it must not be used.
 */
bool p2pdma_provider_get(struct p2pdma_provider *provider)
{
	if (!refcount_inc_not_zero(&provider->users))
		return false;

	/* Pairs with p2pdma_provider_unregister(), which asks holders once */
	smp_mb__after_atomic();
	if (READ_ONCE(provider->ending)) {
		p2pdma_provider_put(provider);
		return false;
	}

	return true;
}
EXPORT_SYMBOL_GPL(p2pdma_provider_get);

/**
 * p2pdma_provider_put - let a provider go away
 * @provider: a provider from p2pdma_provider_get()
 *
 * Context: any context.
 */
void p2pdma_provider_put(struct p2pdma_provider *provider)
{
	if (refcount_dec_and_test(&provider->users))
		complete(&provider->unused);
}
EXPORT_SYMBOL_GPL(p2pdma_provider_put);
