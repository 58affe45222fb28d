/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the entry points of the DMA mapping code get at peer-to-peer DMA.
 *
 * As long as there is no provider, the calls below are direct calls of the
 * functions that know of ordinary memory alone, and cost not one instruction;
 * on architectures without static calls they go through a pointer.  The first
 * provider redirects them to kernel/dma/p2pdma.c.
 */
#ifndef _KERNEL_DMA_P2PDMA_H
#define _KERNEL_DMA_P2PDMA_H

#include <linux/iommu-dma.h>
#include <linux/p2pdma.h>
#include <linux/static_call.h>

#include "direct.h"

#ifdef CONFIG_P2PDMA

DECLARE_STATIC_CALL(dma_map_sg_direct, dma_direct_map_sg);
DECLARE_STATIC_CALL(dma_unmap_sg_direct, dma_direct_unmap_sg);

static inline int dma_map_sg_direct(struct device *dev, struct scatterlist *sg,
				    int n, enum dma_data_direction dir,
				    unsigned long attrs)
{
	return static_call(dma_map_sg_direct)(dev, sg, n, dir, attrs);
}

static inline void dma_unmap_sg_direct(struct device *dev,
				       struct scatterlist *sg, int n,
				       enum dma_data_direction dir,
				       unsigned long attrs)
{
	static_call(dma_unmap_sg_direct)(dev, sg, n, dir, attrs);
}

dma_addr_t p2pdma_map_page(struct device *dev, struct page *page, size_t offset,
			   size_t size, enum dma_data_direction dir,
			   unsigned long attrs, bool direct);
bool __p2pdma_map_resource(struct device *dev, phys_addr_t phys, size_t size,
			   enum dma_data_direction dir, unsigned long attrs,
			   bool direct, dma_addr_t *addr);
bool __p2pdma_refuse_sg(struct device *dev, struct scatterlist *sgl, int nents);

/* For devices with operations of their own: true if there is no mapping it */
static inline bool p2pdma_refuse_sg(struct device *dev, struct scatterlist *sgl,
				    int nents)
{
	return static_branch_unlikely(&p2pdma_in_use) &&
	       __p2pdma_refuse_sg(dev, sgl, nents);
}

/* False if the range has nothing to do with any provider */
static inline bool p2pdma_map_resource(struct device *dev, phys_addr_t phys,
				       size_t size, enum dma_data_direction dir,
				       unsigned long attrs, bool direct,
				       dma_addr_t *addr)
{
	return static_branch_unlikely(&p2pdma_in_use) &&
	       __p2pdma_map_resource(dev, phys, size, dir, attrs, direct, addr);
}

#else /* CONFIG_P2PDMA */

#define dma_map_sg_direct	dma_direct_map_sg
#define dma_unmap_sg_direct	dma_direct_unmap_sg

static inline dma_addr_t p2pdma_map_page(struct device *dev, struct page *page,
					 size_t offset, size_t size,
					 enum dma_data_direction dir,
					 unsigned long attrs, bool direct)
{
	return DMA_MAPPING_ERROR;
}

static inline bool p2pdma_refuse_sg(struct device *dev, struct scatterlist *sgl,
				    int nents)
{
	return false;
}

static inline bool p2pdma_map_resource(struct device *dev, phys_addr_t phys,
				       size_t size, enum dma_data_direction dir,
				       unsigned long attrs, bool direct,
				       dma_addr_t *addr)
{
	return false;
}

#endif /* CONFIG_P2PDMA */

#if defined(CONFIG_P2PDMA) && defined(CONFIG_IOMMU_DMA)

DECLARE_STATIC_CALL(dma_map_sg_iommu, iommu_dma_map_sg);

static inline int dma_map_sg_iommu(struct device *dev, struct scatterlist *sg,
				   int n, enum dma_data_direction dir,
				   unsigned long attrs)
{
	return static_call(dma_map_sg_iommu)(dev, sg, n, dir, attrs);
}

#else

#define dma_map_sg_iommu	iommu_dma_map_sg

#endif

#endif /* _KERNEL_DMA_P2PDMA_H */
