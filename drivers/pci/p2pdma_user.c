// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory in a process: mmap() of p2pmem/allocate.
 *
 * Each call of mmap() allocates as much memory as it maps.  The memory has no
 * name: two mappings are two allocations, hence neither offsets nor private
 * mappings make sense.  It need not be contiguous, so a mapping succeeds
 * whenever enough pages are free.
 *
 * What is mapped is a buffer (p2pdma_buffer.c) of which nobody has a file
 * descriptor: the mapping is made one of the buffer's file, in the place of the
 * file in sysfs.  What is unmapped goes back to the pool at once, page by page.
 *
 * A page of the pool that is free, or was handed out, has a reference count of
 * one, which is the provider's.  A buffer that gives back a page to which
 * somebody holds further references drops that one; when the last of the others
 * is dropped, pci_p2pdma_page_free() is called, and the count is one again.
 *
 * Locking: mmap_lock is held for writing by the caller of pci_p2pdma_mmap(),
 * and sysfs holds the file active, which keeps the provider from being torn
 * down before this returns.
 *
 * What must never happen: a page in the pool to which somebody holds a
 * reference.
 */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "p2pdma.h"
#include "p2pdma_buffer.h"
#include "p2pdma_fast.h"

/**
 * pci_p2pdma_page_free - take back a page whose last user is gone
 * @page: a page that was given back while somebody held a reference to it
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

/**
 * pci_p2pdma_mmap - map newly allocated memory of a provider
 * @pdev: the provider
 * @vma: where to map it
 *
 * Context: process context under mmap_lock, with the sysfs file active.
 * Return: 0; -EINVAL for a private mapping or an offset; -ENODEV if the device
 * provides no memory; -ENOMEM if not enough is free; -EINTR if the caller has been
 * killed meanwhile.
 */
int pci_p2pdma_mmap(struct pci_dev *pdev, struct vm_area_struct *vma)
{
	struct pci_p2pdma *p2p;
	struct dma_buf *dmabuf;
	int error;

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

	dmabuf = p2pdma_dmabuf_create(p2p, vma->vm_end - vma->vm_start, O_RDWR,
				      true);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	/* From here on the mapping is one of the dma-buf, and its only holder */
	error = dma_buf_mmap(dmabuf, vma, 0);
	dma_buf_put(dmabuf);

	return error;
}
