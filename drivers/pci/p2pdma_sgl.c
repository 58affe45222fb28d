// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer DMA memory as scatterlists.
 *
 * This file owns the lists: how memory of a provider, which may be free in pieces
 * only, becomes one, and how all of it is freed together.  The memory itself is
 * the pool's (p2pdma_pool.c).
 *
 * Most lists are of one entry, and most of those are of a length that CPUs keep
 * at hand.  Such memory is taken without a call.  So is the table, which would
 * cost as much as the memory: each CPU keeps some tables of one entry.  They are
 * no provider's, and are never given back, being few and small.  kfree() does for
 * them what put_table() does.
 *
 * Locking: none.  A table is in a slot or is somebody's: it changes hands by an
 * exchange that no interrupt and no other task of the CPU comes between.
 *
 * What must never happen: a list that shares an entry, or memory, with another;
 * an entry that is longer than the caller can use.
 */
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/pci-p2pdma.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "p2pdma.h"
#include "p2pdma_fast.h"

/* Tables that a CPU keeps; as many as it keeps of memory of two lengths */
#define NR_TABLES	8

struct tables {
	struct scatterlist	*slot[NR_TABLES];
};

static DEFINE_PER_CPU(struct tables, tables);

/* A table of one entry, with whatever is in it */
static __always_inline struct scatterlist *get_table(void)
{
	struct scatterlist *table;
	int i;

	for (i = 0; i < NR_TABLES; i++) {
		if (!this_cpu_read(tables.slot[i]))
			continue;
		table = this_cpu_xchg(tables.slot[i], NULL);
		if (table)
			return table;
	}

	return kmalloc(sizeof(*table), GFP_KERNEL);
}

static __always_inline void put_table(struct scatterlist *table)
{
	int i;

	for (i = 0; i < NR_TABLES; i++)
		if (!this_cpu_read(tables.slot[i]) &&
		    !this_cpu_cmpxchg(tables.slot[i], NULL, table))
			return;

	kfree(table);
}

/*
 * Memory in one piece, if that is easily had.  A page always is, if there is one;
 * what is longer is gathered otherwise.
 */
static __always_inline void *alloc_whole(struct p2pdma_pool *pool,
					 unsigned long len)
{
	return len == 1 ? p2pdma_pool_alloc(pool, PAGE_SIZE) :
			  p2pdma_pool_alloc_front(pool, len);
}

/**
 * pci_p2pmem_alloc_sgl_limits - allocate peer-to-peer memory as a scatterlist
 * @provider: the provider
 * @nr_entries: returns the number of entries
 * @length: number of bytes
 * @max_entries: most entries that the caller can use; 1 asks for contiguous
 *	memory
 * @max_entry_size: most bytes that an entry may have, at least a page; what is
 *	beyond a multiple of the page size is not made use of
 *
 * The list has as few entries as the free memory allows: one, if there is a
 * free piece of that length and the limits permit it.  Entries consist of whole
 * pages, but for the end of the last one, and each lies within one resource that
 * the provider added.
 *
 * Context: process context, may sleep.
 * Return: the scatterlist, to be freed by pci_p2pmem_free_sgl(), or NULL if
 * @length is zero, the memory, or the scatterlist, cannot be had, or not within
 * the limits.
 */
struct scatterlist *pci_p2pmem_alloc_sgl_limits(struct pci_dev *provider,
						unsigned int *nr_entries,
						u32 length,
						unsigned int max_entries,
						size_t max_entry_size)
{
	unsigned long len = p2pdma_size_to_pages(length);
	struct page *piece = NULL, *next;
	struct scatterlist *sgl, *sg;
	struct pci_p2pdma *p2p;
	void *whole = NULL;
	unsigned int nr;
	size_t size;

	scoped_guard(rcu) {
		p2p = rcu_dereference(provider->p2pdma);
		if (unlikely(!p2p))
			return NULL;

		if (likely(max_entries && len <= max_entry_size >> PAGE_SHIFT))
			whole = alloc_whole(&p2p->pool, len);
		if (!whole && len != 1)
			piece = p2pdma_pool_gather(&p2p->pool, length,
						   max_entries, max_entry_size,
						   &nr);
	}

	/* From here on the memory keeps the provider */
	if (likely(whole)) {
		sgl = get_table();
		if (unlikely(!sgl)) {
			pci_free_p2pmem(provider, whole, length);
			return NULL;
		}

		*sgl = (struct scatterlist){};
		sg_set_page(sgl, virt_to_page(whole), length, 0);
		sg_mark_end(sgl);
		*nr_entries = 1;
		return sgl;
	}

	if (!piece)
		return NULL;

	sgl = nr == 1 ? get_table() :
			kvmalloc_array(nr, sizeof(*sgl), GFP_KERNEL);
	if (!sgl) {
		/* With the last of its memory the provider may go */
		scoped_guard(rcu)
			p2pdma_pool_free_pieces(&p2p->pool, piece);
		return NULL;
	}

	for (sg = sgl; piece; sg++, piece = next) {
		next = p2pdma_pool_next_piece(piece, &size);
		*sg = (struct scatterlist){};
		sg_set_page(sg, piece, min(size, length), 0);
		length -= sg->length;
	}
	sg_mark_end(sg - 1);

	*nr_entries = nr;
	return sgl;
}
EXPORT_SYMBOL_GPL(pci_p2pmem_alloc_sgl_limits);

/**
 * pci_p2pmem_alloc_sgl - allocate peer-to-peer memory as a scatterlist
 * @provider: the provider
 * @nr_entries: returns the number of entries
 * @length: number of bytes
 *
 * pci_p2pmem_alloc_sgl_limits() without limits.
 *
 * Context: process context, may sleep.
 * Return: the scatterlist, to be freed by pci_p2pmem_free_sgl(), or NULL if the
 * memory, or the scatterlist, cannot be had.
 */
struct scatterlist *pci_p2pmem_alloc_sgl(struct pci_dev *provider,
					 unsigned int *nr_entries, u32 length)
{
	return pci_p2pmem_alloc_sgl_limits(provider, nr_entries, length,
					   UINT_MAX, SIZE_MAX);
}
EXPORT_SYMBOL_GPL(pci_p2pmem_alloc_sgl);

/**
 * pci_p2pmem_free_sgl - free a scatterlist and the memory that it describes
 * @provider: the provider
 * @sgl: what pci_p2pmem_alloc_sgl() or its variant with limits returned
 *
 * Context: process or softirq context; does not sleep unless the list is long
 * enough to have been allocated by pages.
 */
void pci_p2pmem_free_sgl(struct pci_dev *provider, struct scatterlist *sgl)
{
	unsigned long first = 0, *last = &first;
	struct pci_p2pdma *p2p;
	struct scatterlist *sg;
	struct page *piece;

	if (sg_is_last(sgl)) {
		pci_free_p2pmem(provider, sg_virt(sgl), sgl->length);
		put_table(sgl);
		return;
	}

	rcu_read_lock();
	p2p = rcu_dereference(provider->p2pdma);
	for (sg = sgl; p2p && sg; sg = sg_next(sg)) {
		piece = p2pdma_pool_take(&p2p->pool, sg_virt(sg), sg->length);
		if (!piece)
			continue;
		*last = (unsigned long)piece;
		last = &piece->private;
	}
	*last = 0;
	if (p2p)
		p2pdma_pool_free_pieces(&p2p->pool, (struct page *)first);
	rcu_read_unlock();
	WARN_ONCE(!p2p, "%s: freed a scatterlist of a device that provides no memory\n",
		  pci_name(provider));

	kvfree(sgl);
}
EXPORT_SYMBOL_GPL(pci_p2pmem_free_sgl);
