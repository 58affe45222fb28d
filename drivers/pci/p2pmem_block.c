// SPDX-License-Identifier: GPL-2.0
/*
 * Memory behind a BAR as a block device.
 *
 * Some of that memory keeps what is in it: it is backed by a battery, by flash,
 * or by a file of the machine's host.  p2pmem_pci.c offers such memory as a disk
 * if the administrator asks for one, and this file owns the disk: its name
 * (/dev/p2pmem0 and so on) and the copying.  The data begins with the first byte
 * of the memory, without any label, so that a disk comes back with its content
 * whenever the same piece of the BAR is offered again.
 *
 * Why this is not a region of libnvdimm, which has pmem and DAX to give:
 *
 * - Pmem maps its memory write-back, and has no flag to make that anything else.
 *   Behind PCI Express no cache is coherent with what devices write, some
 *   processors take a machine check for it, and on x86 it conflicts with other
 *   mappings of the memory: those of the pool, uncached or write-combining.
 * - Its struct pages, if it has them, are MEMORY_DEVICE_FS_DAX.  To those who map
 *   pages for DMA they are system memory.  A drive would be told to use the BAR
 *   without that anybody asks whether it reaches it, which is what the rest of
 *   this subsystem is there to prevent.
 * - It copies by what is made for memory, rep movsb and non-temporal stores,
 *   instead of memcpy_toio() and memcpy_fromio().
 *
 * So the processor copies here, through a mapping that suits a BAR, and devices
 * are not told of it.  Data that is to move from peer to peer belongs into memory
 * that is offered as such; one BAR can have pieces of both kinds.
 *
 * Copying is done when the bio is submitted, in the context of whoever submits
 * it.  Writes to a BAR are posted.  A flush waits until they have arrived: reads
 * do not overtake writes on their way to a device (PCIe r6.x sec 2.4.1), so one
 * read that has come back says that all writes before it have got there.  What
 * the device then does to keep them is its own affair.
 *
 * Locking: none.  Two bios for the same sectors race as on any disk.
 * del_gendisk() waits for bios that are being copied and fails those that come
 * later, whoever still has the disk open.  The mapping is used no more after
 * that, and p2pmem_block_destroy() returns after that.
 *
 * What must never happen: an access through the mapping after destruction; a
 * flush that completes before the writes that it covers; success for what was
 * read from a device that is gone, as far as that is known.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "p2pmem_block.h"

/**
 * struct p2pmem_block - a disk
 * @pdev: whose memory it is
 * @memory: where the memory is mapped, by whoever created the disk
 * @id: the number in its name
 */
struct p2pmem_block {
	struct pci_dev	*pdev;
	void __iomem	*memory;
	int		id;
};

static DEFINE_IDA(p2pmem_block_ids);

static void copy(struct p2pmem_block *block, struct bio_vec *part,
		 sector_t sector, bool write)
{
	void __iomem *there = block->memory + (sector << SECTOR_SHIFT);
	void *here = bvec_kmap_local(part);

	if (write) {
		flush_dcache_page(part->bv_page);
		memcpy_toio(there, here, part->bv_len);
	} else {
		memcpy_fromio(here, there, part->bv_len);
		flush_dcache_page(part->bv_page);
	}

	kunmap_local(here);
}

/* All that was written before has arrived at the device after this */
static void flush(struct p2pmem_block *block)
{
	/* What the processor is still combining first, which the read may overtake */
	mb();
	ioread8(block->memory);
}

static void submit_bio_here(struct bio *bio)
{
	struct p2pmem_block *block = bio->bi_bdev->bd_disk->private_data;
	bool account = blk_queue_io_stat(bdev_get_queue(bio->bi_bdev));
	bool write = op_is_write(bio_op(bio));
	unsigned long start = 0;
	struct bvec_iter iter;
	struct bio_vec part;

	if (account)
		start = bio_start_io_acct(bio);

	if (bio->bi_opf & REQ_PREFLUSH)
		flush(block);

	bio_for_each_segment(part, bio, iter) {
		copy(block, &part, iter.bi_sector, write);
		/* A megabyte takes long where nothing is cached */
		cond_resched();
	}

	if (write) {
		/* A flush on another processor empties the buffers of that one */
		wmb();
	}

	if (bio->bi_opf & REQ_FUA)
		flush(block);

	/* Asked last: whatever was read before is from the device */
	if (pci_dev_is_disconnected(block->pdev))
		bio->bi_status = BLK_STS_IOERR;

	if (account)
		bio_end_io_acct(bio, start);
	bio_endio(bio);
}

static const struct block_device_operations p2pmem_block_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= submit_bio_here,
};

static int add_disk_named(struct p2pmem_block *block, struct gendisk *disk,
			  u64 size)
{
	disk->fops = &p2pmem_block_fops;
	disk->private_data = block;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "p2pmem%d",
		 block->id);
	set_capacity(disk, size >> SECTOR_SHIFT);

	return device_add_disk(&block->pdev->dev, disk, NULL);
}

/**
 * p2pmem_block_create - make a block device of memory behind a BAR
 * @pdev: the device
 * @memory: the memory, mapped uncached or write-combining
 * @size: number of bytes, a multiple of the size of a page
 *
 * The disk is there for everybody when this returns, and the memory must stay
 * mapped until p2pmem_block_destroy().
 *
 * Context: process context, may sleep.  The caller keeps the driver of @pdev
 * from being unbound meanwhile.
 * Return: the disk, or the error of allocating or adding it, as a pointer.
 */
struct gendisk *p2pmem_block_create(struct pci_dev *pdev, void __iomem *memory,
				    u64 size)
{
	struct queue_limits limits = {
		.logical_block_size	= SECTOR_SIZE,
		.physical_block_size	= PAGE_SIZE,
		.max_hw_sectors		= UINT_MAX,
		.features		= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
					  BLK_FEAT_SYNCHRONOUS |
					  BLK_FEAT_IO_STAT,
	};
	struct p2pmem_block *block;
	struct gendisk *disk;
	int error;

	block = kzalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return ERR_PTR(-ENOMEM);

	block->pdev = pdev;
	block->memory = memory;
	block->id = ida_alloc(&p2pmem_block_ids, GFP_KERNEL);
	if (block->id < 0) {
		error = block->id;
		goto free_block;
	}

	disk = blk_alloc_disk(&limits, dev_to_node(&pdev->dev));
	if (IS_ERR(disk)) {
		error = PTR_ERR(disk);
		goto free_id;
	}

	error = add_disk_named(block, disk, size);
	if (error)
		goto put_disk;

	return disk;

put_disk:
	put_disk(disk);
free_id:
	ida_free(&p2pmem_block_ids, block->id);
free_block:
	kfree(block);

	return ERR_PTR(error);
}

/**
 * p2pmem_block_destroy - take a block device away
 * @disk: what p2pmem_block_create() returned
 *
 * What is in the page cache is written before, unless the device is gone.  The
 * disk may be open, or mounted: I/O fails from now on.
 *
 * Context: process context, may sleep; waits for I/O in flight.  When it returns,
 * nobody accesses the memory any more, and it may be unmapped.
 */
void p2pmem_block_destroy(struct gendisk *disk)
{
	struct p2pmem_block *block = disk->private_data;

	if (pci_dev_is_disconnected(block->pdev))
		blk_mark_disk_dead(disk);
	del_gendisk(disk);

	/* Who has it open gets no further than the queue */
	put_disk(disk);
	ida_free(&p2pmem_block_ids, block->id);
	kfree(block);
}
