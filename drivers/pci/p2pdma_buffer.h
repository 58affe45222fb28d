/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Peer-to-peer memory that user space holds: what the files that hand it out
 * share.
 *
 *   p2pdma_user.c    p2pmem/allocate in sysfs, memory for one mapping
 *   p2pdma_node.c    /dev/p2pmem/ADDRESS, memory as a file descriptor
 *   p2pdma_dmabuf.c  a buffer as a dma-buf, its end
 *   p2pdma_buffer.c  its memory and its mappings
 */
#ifndef _PCI_P2PDMA_BUFFER_H
#define _PCI_P2PDMA_BUFFER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct dentry;
struct dma_buf;
struct pci_dev;
struct pci_p2pdma;
struct vm_area_struct;

/**
 * struct p2pdma_piece - part of a buffer that is contiguous in the pool
 * @addr: kernel address of its first page
 * @first: which page of the buffer that is
 * @pages: number of pages
 */
struct p2pdma_piece {
	void		*addr;
	unsigned long	first;
	unsigned long	pages;
};

/**
 * struct p2pdma_buffer - memory of a provider that user space holds
 * @node: entry in &pci_p2pdma.buffers, unless the provider is ending
 * @pdev: the provider's device, with a reference
 * @dmabuf: the dma-buf that the buffer is
 * @dentry: that of the dma-buf's file; who holds it keeps the dma-buf, even if
 *	the file is gone
 * @for_mappings: nobody has a file descriptor: what is not mapped any more is
 *	to be given back
 * @pages: number of pages
 * @lock: protects what follows; see p2pdma_buffer.c for its place among others
 * @p2p: the provider, alive for as long as it misses a page
 * @revoked: the provider is ending: nothing may be mapped any more
 * @dma_users: number of mappings for devices, and of others who keep the memory
 *	from going back once it is revoked
 * @returned: bit n is set when page n was given back
 * @nr_pieces: number of pieces
 * @room: how many there is room for
 * @piece: the pieces, in the order of their pages
 */
struct p2pdma_buffer {
	struct list_head	node;
	struct pci_dev		*pdev;
	struct dma_buf		*dmabuf;
	struct dentry		*dentry;
	bool			for_mappings;
	unsigned long		pages;

	/* Over page tables, device mappings and the end of the memory */
	struct mutex		lock;
	struct pci_p2pdma	*p2p;
	bool			revoked;
	unsigned int		dma_users;
	unsigned long		*returned;
	unsigned int		nr_pieces;
	unsigned int		room;
	struct p2pdma_piece	*piece;
};

/* drivers/pci/p2pdma_buffer.c */
struct p2pdma_buffer *p2pdma_buffer_create(struct pci_p2pdma *p2p, size_t size);
void p2pdma_buffer_destroy(struct p2pdma_buffer *buffer);
int p2pdma_buffer_mmap(struct p2pdma_buffer *buffer,
		       struct vm_area_struct *vma);
void p2pdma_buffer_forbid(struct p2pdma_buffer *buffer);
int p2pdma_buffer_dma_begin(struct p2pdma_buffer *buffer);
void p2pdma_buffer_dma_end(struct p2pdma_buffer *buffer);

/* drivers/pci/p2pdma_dmabuf.c */
struct dma_buf *p2pdma_dmabuf_create(struct pci_p2pdma *p2p, size_t size,
				     int flags, bool for_mappings);
void p2pdma_dmabuf_revoke_all(struct pci_p2pdma *p2p);

/* drivers/pci/p2pdma_node.c */
int p2pdma_node_add(struct pci_p2pdma *p2p);
void p2pdma_node_remove(struct pci_p2pdma *p2p);

#endif /* _PCI_P2PDMA_BUFFER_H */
