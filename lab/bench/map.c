// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping of scatter lists for a client: memory of one provider, of two in turn,
 * ordinary memory, and both in turn.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>

#include "bench.h"

static const unsigned int segments[] = { 1, 16, 256 };

/* Pages of the providers in @from by turns, of ordinary memory where one is NULL */
static int get_pages(struct sg_table *sgt, struct pci_dev **from, int nr_from,
		     unsigned int nr)
{
	struct scatterlist *sg;
	unsigned int i;
	void *vaddr;
	int ret;

	ret = sg_alloc_table(sgt, nr, GFP_KERNEL);
	if (ret)
		return ret;
	for_each_sgtable_sg(sgt, sg, i) {
		if (from[i % nr_from])
			vaddr = pci_alloc_p2pmem(from[i % nr_from], PAGE_SIZE);
		else
			vaddr = (void *)__get_free_page(GFP_KERNEL);
		if (!vaddr)
			return -ENOMEM;
		sg_set_page(sg, virt_to_page(vaddr), PAGE_SIZE, 0);
	}

	return 0;
}

static void put_pages(struct sg_table *sgt, struct pci_dev **from, int nr_from)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(sgt, sg, i) {
		struct page *page = sg_page(sg);

		if (!page)
			break;
		if (from[i % nr_from])
			pci_free_p2pmem(from[i % nr_from], page_to_virt(page),
					PAGE_SIZE);
		else
			__free_page(page);
	}
	sg_free_table(sgt);
}

static int bench_map(const char *what, struct pci_dev **from, int nr_from,
		     unsigned int nr)
{
	struct device *client = client_devs[0];
	struct sg_table sgt;
	u64 map, unmap;
	int i, ret;

	series_start(one);
	series_start(another);
	ret = get_pages(&sgt, from, nr_from, nr);
	/* The first one decides the route */
	for (i = -1; i < 64 && !ret; i++) {
		map = INSTRUCTIONS(ret = dma_map_sgtable(client, &sgt,
							 DMA_BIDIRECTIONAL, 0));
		if (ret) {
			dev_err(client, "mapping %u segments of %s memory failed (%d)\n",
				nr, what, ret);
			break;
		}
		unmap = INSTRUCTIONS(dma_unmap_sgtable(client, &sgt,
						       DMA_BIDIRECTIONAL, 0));
		if (i >= 0) {
			series_add(one, map);
			series_add(another, unmap);
		}
	}
	put_pages(&sgt, from, nr_from);
	if (ret)
		return ret;
	series_report(one, "map/%s/%u", what, nr);
	series_report(another, "unmap/%s/%u", what, nr);
	return 0;
}

int bench_maps(const char *what, struct pci_dev **from, int nr_from)
{
	int i, ret = 0;

	for (i = 0; i < ARRAY_SIZE(segments) && !ret; i++)
		if (nr_from < 2 || segments[i] >= 2)
			ret = bench_map(what, from, nr_from, segments[i]);

	return ret;
}
