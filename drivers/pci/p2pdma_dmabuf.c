// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer of peer-to-peer memory as a dma-buf.
 *
 * Drivers that import the dma-buf are asked, when they attach, whether the
 * device for which they do can reach the provider, and get addresses that are
 * good for that device when they map.  The memory has no other place to go:
 *
 *  - an importer must be able to use peer-to-peer memory (allow_peer2peer), and
 *    to let go of it when it is told to (move_notify);
 *  - nobody may pin it, because nobody may keep a provider from ending.
 *
 * Importers get a scatterlist that was mapped by its pages, as a whole, and not
 * address by address (dma_map_phys()).  Behind an IOMMU its fragments then follow
 * each other, for those that can take one address only; and what needs no IOMMU
 * is held against the mask and the boundary of the device, which nobody does for
 * pci_p2pdma_bus_addr_map().  The pages are no business of importers, here as in
 * any dma-buf.
 *
 * At the end of a provider all importers are told, mappings of processes are
 * taken away, and nothing can be attached or mapped any more.  The dma-buf
 * itself stays for as long as somebody has a file descriptor, without memory.
 * (Or no more than its path: opening a descriptor in /proc with O_PATH holds the
 * dentry, by which a dma-buf lives, and lets the file go.  Hence the dentry is
 * what is held here, and the pointer to the file is not looked at.)
 * What importers have mapped is waited for, as any memory of a provider is.
 *
 * Without CONFIG_DMABUF_MOVE_NOTIFY the dma-buf code pins for an importer each
 * time that one maps, which cannot be told from pinning in earnest, and has to
 * be allowed.  What changes is that an importer may then make an unplug wait.
 *
 * Locking: buffers_lock protects the providers' lists of buffers.  It is taken
 * for a moment, with no other lock inside.
 *
 * What must never happen: an address for a device that cannot reach it; a
 * mapping that begins after the importers were told.
 */
#include <linux/dcache.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockref.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "p2pdma.h"
#include "p2pdma_buffer.h"

MODULE_IMPORT_NS(DMA_BUF);

/* Of all providers, since a buffer may outlive its own */
static DEFINE_MUTEX(buffers_lock);

static int dmabuf_attach(struct dma_buf *dmabuf,
			 struct dma_buf_attachment *attach)
{
	struct p2pdma_buffer *buffer = dmabuf->priv;
	int error;

	if (!attach->peer2peer)
		return -EOPNOTSUPP;

	/* Keeps the provider while the question is asked */
	error = p2pdma_buffer_dma_begin(buffer);
	if (error)
		return error;

	/* What its parent reaches, a device that is no function does not */
	if (!dev_is_pci(attach->dev) ||
	    pci_p2pdma_distance(buffer->pdev, attach->dev, false) < 0)
		error = -EREMOTEIO;
	p2pdma_buffer_dma_end(buffer);

	return error;
}

static int dmabuf_pin(struct dma_buf_attachment *attach)
{
	return IS_ENABLED(CONFIG_DMABUF_MOVE_NOTIFY) ? -EOPNOTSUPP : 0;
}

static void dmabuf_unpin(struct dma_buf_attachment *attach)
{
}

/* The longest entry of a scatterlist that the device takes */
static unsigned int longest_entry(struct device *dev)
{
	return max(round_down(dma_get_max_seg_size(dev), PAGE_SIZE), PAGE_SIZE);
}

static unsigned int count_entries(struct p2pdma_buffer *buffer, size_t longest)
{
	unsigned int i, nents = 0;

	for (i = 0; i < buffer->nr_pieces; i++)
		nents += DIV_ROUND_UP(buffer->piece[i].pages << PAGE_SHIFT,
				      longest);

	return nents;
}

static struct sg_table *list_pages(struct p2pdma_buffer *buffer, size_t longest)
{
	struct sg_table *sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	size_t done, left, length;
	struct scatterlist *sg;
	unsigned int i;

	if (!sgt)
		return NULL;
	if (sg_alloc_table(sgt, count_entries(buffer, longest), GFP_KERNEL)) {
		kfree(sgt);
		return NULL;
	}

	sg = sgt->sgl;
	for (i = 0; i < buffer->nr_pieces; i++) {
		left = buffer->piece[i].pages << PAGE_SHIFT;
		for (done = 0; left; done += length, left -= length) {
			length = min(left, longest);
			sg_set_page(sg, virt_to_page(buffer->piece[i].addr + done),
				    length, 0);
			sg = sg_next(sg);
		}
	}

	return sgt;
}

static struct sg_table *dmabuf_map(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	struct p2pdma_buffer *buffer = attach->dmabuf->priv;
	struct sg_table *sgt;
	int error;

	error = p2pdma_buffer_dma_begin(buffer);
	if (error)
		return ERR_PTR(error);

	error = -ENOMEM;
	sgt = list_pages(buffer, longest_entry(attach->dev));
	if (!sgt)
		goto end;

	error = dma_map_sgtable(attach->dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (error)
		goto free_table;

	return sgt;

free_table:
	sg_free_table(sgt);
	kfree(sgt);
end:
	p2pdma_buffer_dma_end(buffer);
	return ERR_PTR(error);
}

static void dmabuf_unmap(struct dma_buf_attachment *attach,
			 struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_sgtable(attach->dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(sgt);
	kfree(sgt);
	p2pdma_buffer_dma_end(attach->dmabuf->priv);
}

static int dmabuf_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	return p2pdma_buffer_mmap(dmabuf->priv, vma);
}

static void dmabuf_release(struct dma_buf *dmabuf)
{
	struct p2pdma_buffer *buffer = dmabuf->priv;

	mutex_lock(&buffers_lock);
	list_del_init(&buffer->node);
	mutex_unlock(&buffers_lock);

	p2pdma_buffer_destroy(buffer);
}

static const struct dma_buf_ops dmabuf_ops = {
	.attach		= dmabuf_attach,
	.pin		= dmabuf_pin,
	.unpin		= dmabuf_unpin,
	.map_dma_buf	= dmabuf_map,
	.unmap_dma_buf	= dmabuf_unmap,
	.mmap		= dmabuf_mmap,
	.release	= dmabuf_release,
};

/**
 * p2pdma_dmabuf_create - allocate memory of a provider as a dma-buf
 * @p2p: the provider, which the caller keeps from ending
 * @size: number of bytes, rounded up to whole pages
 * @flags: O_RDWR or another mode, for who gets a file descriptor
 * @for_mappings: nobody will; what is not mapped any more goes back at once
 *
 * Context: process context, may sleep.
 * Return: the dma-buf, or an error: -EINVAL if @size is zero, -ENOMEM if that
 * many pages are not free, -EINTR if the caller has been killed meanwhile, -ENODEV
 * if the provider began to end, or one of dma_buf_export().
 */
struct dma_buf *p2pdma_dmabuf_create(struct pci_p2pdma *p2p, size_t size,
				     int flags, bool for_mappings)
{
	struct dma_buf_export_info info = {
		.exp_name	= "p2pmem",
		.owner		= THIS_MODULE,
		.ops		= &dmabuf_ops,
		.flags		= flags,
	};
	struct p2pdma_buffer *buffer;
	struct dma_buf *dmabuf;

	buffer = p2pdma_buffer_create(p2p, size);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);

	buffer->for_mappings = for_mappings;
	info.priv = buffer;
	info.size = buffer->pages << PAGE_SHIFT;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		p2pdma_buffer_destroy(buffer);
		return dmabuf;
	}

	buffer->dmabuf = dmabuf;
	buffer->dentry = dmabuf->file->f_path.dentry;
	mutex_lock(&buffers_lock);
	list_add_tail(&buffer->node, &p2p->buffers);
	mutex_unlock(&buffers_lock);

	return dmabuf;
}

/*
 * The next buffer of an ending provider, which then has it no more.  The caller
 * drops the dentry.
 */
static struct p2pdma_buffer *take_buffer(struct pci_p2pdma *p2p)
{
	struct p2pdma_buffer *buffer;

	guard(mutex)(&buffers_lock);
	while ((buffer = list_first_entry_or_null(&p2p->buffers,
						  struct p2pdma_buffer,
						  node))) {
		list_del_init(&buffer->node);
		/*
		 * One that is being released gives its memory back by itself.
		 * It is in the list, so that dmabuf_release() is still to come,
		 * and the dentry after that.
		 */
		if (lockref_get_not_dead(&buffer->dentry->d_lockref))
			return buffer;
	}

	return NULL;
}

/**
 * p2pdma_dmabuf_revoke_all - take all buffers of a provider away
 * @p2p: the provider, of which no new ones can be had
 *
 * Their memory comes back before this returns, but for what devices have mapped
 * and I/O is in flight to.
 *
 * Context: process context, may sleep.
 */
void p2pdma_dmabuf_revoke_all(struct pci_p2pdma *p2p)
{
	struct p2pdma_buffer *buffer;
	struct dma_buf *dmabuf;

	while ((buffer = take_buffer(p2p))) {
		p2pdma_buffer_forbid(buffer);

		dmabuf = buffer->dmabuf;
		dma_resv_lock(dmabuf->resv, NULL);
		dma_buf_move_notify(dmabuf);
		dma_resv_unlock(dmabuf->resv);

		dput(buffer->dentry);
	}
}
