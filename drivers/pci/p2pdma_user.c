// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory in a process: mmap() of p2pmem/allocate.
 *
 * Each call of mmap() allocates as much memory as it maps and populates the
 * mapping at once.  The memory has no name: two mappings are two allocations,
 * hence neither offsets nor private mappings make sense.  It need not be
 * contiguous, so a mapping succeeds whenever enough pages are free.
 *
 * The mapping is the only holder of the allocation.  Pages go back to the pool
 * one at a time as their last reference is dropped: by munmap(), by exit, by
 * the end of I/O that was in flight, or by the removal of the sysfs file.
 *
 * A page of the pool that is free, or was handed out inside the kernel, has a
 * reference count of one, which is the provider's.  A mapping turns this one
 * over to the process: inserting the page into the page tables takes a
 * reference, and the provider's is dropped.  When the count reaches zero,
 * pci_p2pdma_page_free() is called, and the count is set to one again.
 *
 * Locking: mmap_lock is held for writing by the caller of pci_p2pdma_mmap(),
 * and sysfs holds the file active, which keeps the provider from being torn
 * down before this returns.
 *
 * What must never happen: a page in the pool that a process has mapped, a
 * cacheable mapping of device memory.
 */
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "p2pdma.h"
#include "p2pdma_fast.h"

/**
 * pci_p2pdma_page_free - take back a page whose last user is gone
 * @page: a page that a process had mapped
 *
 * Context: any context but NMI.
 */
void pci_p2pdma_page_free(struct page *page)
{
	struct pci_p2pdma *p2p = pci_p2pdma_page_region(page)->p2p;

	/* This page may be the last that keeps the provider */
	guard(rcu)();
	p2pdma_pool_free(&p2p->pool, page_to_virt(page), PAGE_SIZE);
}

/*
 * Map one piece of the pool.  From here on each of its pages belongs either to
 * the mapping or, if it could not be inserted, to the pool again.
 */
static int map_piece(struct pci_p2pdma *p2p, struct vm_area_struct *vma,
		     unsigned long uaddr, void *piece, size_t size)
{
	struct page *page;
	size_t done;
	int error;

	p2pdma_pool_split(&p2p->pool, piece, size);
	for (done = 0; done < size; done += PAGE_SIZE) {
		page = virt_to_page(piece + done);
		error = vm_insert_page(vma, uaddr + done, page);
		if (error)
			goto free_rest;
		put_page(page);
	}

	return 0;

free_rest:
	for (; done < size; done += PAGE_SIZE)
		p2pdma_pool_free(&p2p->pool, piece + done, PAGE_SIZE);
	return error;
}

/**
 * pci_p2pdma_mmap - map newly allocated memory of a provider
 * @pdev: the provider
 * @vma: where to map it; the whole of it is populated
 *
 * Context: process context under mmap_lock, with the sysfs file active.
 * Return: 0; -EINVAL for a private mapping or an offset; -ENODEV if the device
 * provides no memory; -ENOMEM if not enough is free, or an error of
 * vm_insert_page(), upon which what was inserted goes with the mapping.
 */
int pci_p2pdma_mmap(struct pci_dev *pdev, struct vm_area_struct *vma)
{
	unsigned long uaddr = vma->vm_start;
	struct page *piece, *next;
	struct pci_p2pdma *p2p;
	unsigned int nr;
	int error = 0;
	size_t size;

	if (!(vma->vm_flags & VM_MAYSHARE)) {
		pci_info_ratelimited(pdev, "%s: peer-to-peer memory must be mapped MAP_SHARED\n",
				     current->comm);
		return -EINVAL;
	}
	if (vma->vm_pgoff) {
		pci_info_ratelimited(pdev, "%s: peer-to-peer memory must be mapped at offset 0\n",
				     current->comm);
		return -EINVAL;
	}

	/* The active file keeps the provider beyond this section */
	scoped_guard(rcu)
		p2p = rcu_dereference(pdev->p2pdma);
	if (!p2p)
		return -ENODEV;

	piece = p2pdma_pool_gather(&p2p->pool, vma->vm_end - vma->vm_start,
				   UINT_MAX, SIZE_MAX, &nr);
	if (!piece)
		return -ENOMEM;

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);

	for (; piece; piece = next) {
		next = p2pdma_pool_next_piece(piece, &size);
		if (!error)
			error = map_piece(p2p, vma, uaddr, page_to_virt(piece),
					  size);
		else
			p2pdma_pool_free(&p2p->pool, page_to_virt(piece), size);
		uaddr += size;
	}

	return error;
}
