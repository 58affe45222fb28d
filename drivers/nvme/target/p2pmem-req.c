// SPDX-License-Identifier: GPL-2.0
/*
 * NVMe target: requests whose data is in peer-to-peer memory.
 *
 * This file owns the memory of such requests, from allocation to free, and what
 * they do when they cannot have any, or cannot use what they have.  Whose memory
 * it is has been chosen before, for the request's controller and namespace
 * (p2pmem.c).
 *
 * Data goes through system memory, and the request is none the worse for it,
 *
 * - where a link has no provider, or the provider's memory is all in use, or in
 *   more pieces than the request can have;
 * - if a client is refused the memory after it was allocated, as its route has
 *   changed in between.  The transport's data is given system memory then, as it
 *   is if the transport cannot map the memory for another reason; the backend's
 *   is copied by the CPU to or from a second buffer.
 *
 * References: allocated memory keeps the provider's driver bound (its removal
 * waits for the memory), and thereby the device, so a request needs no reference.
 * pci_p2pmem_free_sgl() is the last that it has to do with the provider.
 *
 * Locking: none.  Links are read inside SRCU; a request is its owner's.
 *
 * What must never happen: an I/O error, or another's data, on account of a
 * provider that went or of a route that changed.
 */
#include <linux/blkdev.h>
#include <linux/blk-integrity.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/limits.h>
#include <linux/memremap.h>
#include <linux/minmax.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include "nvmet.h"

/**
 * nvmet_p2pmem_req_client - the transport's device can do peer-to-peer DMA
 * @req: a request of the transport
 * @client: the device
 * @max_segment: most bytes that it takes in one segment
 */
void nvmet_p2pmem_req_client(struct nvmet_req *req, struct device *client,
			     unsigned int max_segment)
{
	req->p2pmem.client_access = NVMET_P2PMEM_DMA;
	req->p2pmem.client = client;
	req->p2pmem.max_segment = max_segment;
}
EXPORT_SYMBOL_GPL(nvmet_p2pmem_req_client);

/**
 * nvmet_p2pmem_req_cpu - the transport can copy to and from peer-to-peer memory
 * @req: a request of the transport
 */
void nvmet_p2pmem_req_cpu(struct nvmet_req *req)
{
	req->p2pmem.client_access = NVMET_P2PMEM_CPU;
	req->p2pmem.max_segment = UINT_MAX;
}
EXPORT_SYMBOL_GPL(nvmet_p2pmem_req_cpu);

/**
 * nvmet_p2pmem_req_init - forget what a request carries from its last use
 * @req: the request
 */
void nvmet_p2pmem_req_init(struct nvmet_req *req)
{
	req->p2p_dev = NULL;
	req->p2pmem.access = NVMET_P2PMEM_NONE;
	req->p2pmem.why = NVMET_P2PMEM_UNDECIDED;
	req->p2pmem.bounce = NULL;
}

/* Is the data of a request for the drive, and not for the target itself? */
static bool eligible(const struct nvmet_req *req)
{
	switch (req->cmd->common.opcode) {
	case nvme_cmd_read:
	case nvme_cmd_write:
	case nvme_cmd_zone_append:
		return true;
	default:
		return false;
	}
}

/*
 * Most segments that a request's data may have.  As with system memory, the block
 * layer makes several commands of a read or write that has more segments than the
 * drive takes at once, and the RDMA core posts several work requests.  A zone
 * append has to be one command.
 */
static unsigned int max_segments(const struct nvmet_req *req,
				 struct request_queue *backend)
{
	if (unlikely(req->cmd->common.opcode == nvme_cmd_zone_append))
		return queue_max_segments(backend);

	return UINT_MAX;
}

/*
 * No segment is longer than the drive and the transport's device take, as nobody
 * would cut it: not the DMA API, nor the RDMA core.
 */
static unsigned int max_segment_size(const struct nvmet_req *req,
				     struct request_queue *backend)
{
	return min(queue_max_segment_size(backend), req->p2pmem.max_segment);
}

/**
 * nvmet_p2pmem_alloc_data - allocate memory of its provider for a request's data
 * @req: the request
 * @length: bytes of data without metadata
 *
 * Context: inside the SRCU section nvmet_p2pmem_srcu, process context.
 * Return: whether there was enough.
 */
bool nvmet_p2pmem_alloc_data(struct nvmet_req *req, size_t length)
{
	struct request_queue *backend = bdev_get_queue(req->ns->bdev);
	unsigned int count;

	req->sg = pci_p2pmem_alloc_sgl_limits(req->p2p_dev, &count, length,
					      max_segments(req, backend),
					      max_segment_size(req, backend));
	if (!req->sg)
		return false;

	req->sg_cnt = count;
	return true;
}

static bool same_pagemap(struct scatterlist *sgl)
{
	const struct dev_pagemap *pgmap = sg_page(sgl)->pgmap;
	struct scatterlist *sg;

	for (sg = sg_next(sgl); sg; sg = sg_next(sg))
		if (sg_page(sg)->pgmap != pgmap)
			return false;

	return true;
}

/**
 * nvmet_p2pmem_alloc_metadata - the same for its metadata
 * @req: the request, which has some
 *
 * Context: inside the SRCU section nvmet_p2pmem_srcu, process context.
 * Return: whether there was enough.
 */
bool nvmet_p2pmem_alloc_metadata(struct nvmet_req *req)
{
	struct request_queue *backend = bdev_get_queue(req->ns->bdev);
	unsigned int count, most = max_segment_size(req, backend);

	/* The block layer does not cut metadata */
	count = max_t(unsigned int, 1, queue_max_integrity_segments(backend));
	req->metadata_sg = pci_p2pmem_alloc_sgl_limits(req->p2p_dev, &count,
						       req->metadata_len, count,
						       most);
	if (!req->metadata_sg)
		return false;

	/* Nor does a bio take metadata of two resources of a provider */
	if (!same_pagemap(req->metadata_sg)) {
		pci_p2pmem_free_sgl(req->p2p_dev, req->metadata_sg);
		req->metadata_sg = NULL;
		return false;
	}

	req->metadata_sg_cnt = count;
	return true;
}

/**
 * nvmet_p2pmem_alloc - give a request peer-to-peer memory
 * @req: the request
 *
 * Context: process context, may sleep.
 * Return: true if it has some, for metadata too; false if it needs system
 * memory.
 */
bool nvmet_p2pmem_alloc(struct nvmet_req *req)
{
	struct pci_dev *provider;
	int idx;

	if (!req->ns || !req->ns->p2pmem.enabled || !req->sq->ctrl ||
	    !req->sq->qid)
		return false;

	/* On a file, and being disabled, a namespace may be given the setting */
	if (!req->ns->bdev)
		return false;

	if (!eligible(req)) {
		req->p2pmem.why = NVMET_P2PMEM_INELIGIBLE;
		return false;
	}

	/* A stacked disk can have been given a member that does not */
	if (!blk_queue_pci_p2pdma(bdev_get_queue(req->ns->bdev))) {
		req->p2pmem.why = NVMET_P2PMEM_UNREACHABLE;
		return false;
	}

	idx = srcu_read_lock(&nvmet_p2pmem_srcu);
	provider = nvmet_p2pmem_provider(req);
	if (provider && nvmet_req_alloc_p2pmem_sgls(provider, req)) {
		req->p2p_dev = NULL;
		req->sg = NULL;
		req->sg_cnt = 0;
		req->p2pmem.why = pci_has_p2pmem(provider) ?
					  NVMET_P2PMEM_POOL_EMPTY :
					  NVMET_P2PMEM_NO_PROVIDER;
	}
	srcu_read_unlock(&nvmet_p2pmem_srcu, idx);

	return req->p2p_dev;
}

/**
 * nvmet_p2pmem_give_up - replace memory that the transport could not map
 * @req: the request, whose memory has no data in it yet
 *
 * Context: process context, may sleep.
 * Return: 0 if its memory was peer-to-peer memory and is system memory now,
 * -EINVAL if it was system memory already, -ENOMEM if it has no memory now.
 */
int nvmet_p2pmem_give_up(struct nvmet_req *req)
{
	if (!req->p2p_dev)
		return -EINVAL;

	nvmet_req_free_sgls(req);
	req->p2pmem.why = NVMET_P2PMEM_REFUSED;
	return nvmet_req_alloc_system_sgls(req);
}
EXPORT_SYMBOL_GPL(nvmet_p2pmem_give_up);

/**
 * struct nvmet_p2pmem_bounce - second buffer of a request
 * @sg: the memory that the request does not point to at the moment: system
 *	memory before and after the backend has worked, else the provider's
 * @metadata_sg: the same for metadata
 * @sg_cnt: entries of @sg
 * @metadata_sg_cnt: entries of @metadata_sg
 */
struct nvmet_p2pmem_bounce {
	struct scatterlist	*sg;
	struct scatterlist	*metadata_sg;
	int			sg_cnt;
	int			metadata_sg_cnt;
};

/* Copy all that @from describes to the memory of @to, which is not shorter */
static void copy_sgl(struct scatterlist *to, int to_cnt,
		     struct scatterlist *from, int from_cnt, bool from_peer)
{
	struct sg_mapping_iter source, sink;
	size_t n;

	sg_miter_start(&source, from, from_cnt, SG_MITER_FROM_SG);
	sg_miter_start(&sink, to, to_cnt, SG_MITER_TO_SG);
	while (sg_miter_next(&source) && sg_miter_next(&sink)) {
		n = min(source.length, sink.length);
		if (from_peer)
			memcpy_fromio(sink.addr,
				      (__force void __iomem *)source.addr, n);
		else
			memcpy_toio((__force void __iomem *)sink.addr,
				    source.addr, n);
		source.consumed = n;
		sink.consumed = n;
	}
	/* In the reverse of the order in which they were mapped */
	sg_miter_stop(&sink);
	sg_miter_stop(&source);
}

static void swap_buffers(struct nvmet_req *req,
			 struct nvmet_p2pmem_bounce *bounce)
{
	swap(req->sg, bounce->sg);
	swap(req->sg_cnt, bounce->sg_cnt);
	swap(req->metadata_sg, bounce->metadata_sg);
	swap(req->metadata_sg_cnt, bounce->metadata_sg_cnt);
}

static void free_bounce(struct nvmet_p2pmem_bounce *bounce)
{
	if (bounce->sg)
		sgl_free(bounce->sg);
	if (bounce->metadata_sg)
		sgl_free(bounce->metadata_sg);
	kfree(bounce);
}

static struct nvmet_p2pmem_bounce *alloc_bounce(struct nvmet_req *req)
{
	struct nvmet_p2pmem_bounce *bounce;
	unsigned int count;

	bounce = kzalloc(sizeof(*bounce), GFP_KERNEL);
	if (!bounce)
		return NULL;

	bounce->sg = sgl_alloc(req->transfer_len - req->metadata_len,
			       GFP_KERNEL, &count);
	bounce->sg_cnt = count;
	if (!bounce->sg)
		goto fail;

	if (req->metadata_len) {
		bounce->metadata_sg = sgl_alloc(req->metadata_len, GFP_KERNEL,
						&count);
		bounce->metadata_sg_cnt = count;
		if (!bounce->metadata_sg)
			goto fail;
	}

	return bounce;

fail:
	free_bounce(bounce);
	return NULL;
}

/**
 * nvmet_p2pmem_free - take a request's peer-to-peer memory back
 * @req: the request
 *
 * Context: process or softirq context.
 * Return: true if it had some, false if its memory is system memory.
 */
bool nvmet_p2pmem_free(struct nvmet_req *req)
{
	struct pci_dev *provider = req->p2p_dev;
	struct nvmet_p2pmem_bounce *bounce = req->p2pmem.bounce;

	if (!provider)
		return false;

	/* The request ended before the backend had the second buffer */
	if (bounce) {
		req->p2pmem.bounce = NULL;
		swap_buffers(req, bounce);
		free_bounce(bounce);
	}

	/* The last of these may be what the end of the provider waits for */
	if (req->metadata_sg)
		pci_p2pmem_free_sgl(provider, req->metadata_sg);
	pci_p2pmem_free_sgl(provider, req->sg);
	req->p2p_dev = NULL;
	return true;
}

/*
 * The backend was refused a request's memory; let it work on a second buffer.
 * If that cannot be, the initiator has what is needed to try again, and is told
 * to, as it is if there is no system memory for a request to begin with.
 */
static void begin_bounce(struct nvmet_req *req)
{
	struct nvmet_p2pmem_bounce *bounce = alloc_bounce(req);

	if (!bounce)
		goto again;

	if (nvme_is_write(req->cmd)) {
		copy_sgl(bounce->sg, bounce->sg_cnt, req->sg, req->sg_cnt,
			 true);
		if (req->metadata_len)
			copy_sgl(bounce->metadata_sg, bounce->metadata_sg_cnt,
				 req->metadata_sg, req->metadata_sg_cnt, true);
	}

	/*
	 * What was read from a device that is gone is not what was written.
	 * It may have gone during the copy, so this is asked afterwards.
	 */
	if (!pci_device_is_present(req->p2p_dev)) {
		free_bounce(bounce);
		goto again;
	}

	nvmet_p2pmem_account_refused(req);
	swap_buffers(req, bounce);
	req->p2pmem.bounce = bounce;
	req->execute(req);
	return;

again:
	nvmet_req_complete(req, NVME_SC_INTERNAL);
}

/*
 * The transport's device reads the memory by a path of its own, on which it may be
 * there before what the CPU has written, and is under way.  What is read back
 * comes after that.
 */
static void wait_for_writes(struct nvmet_req *req)
{
	/* Out of the write-combining buffers, before the read */
	mb();
	readb((__force void __iomem *)sg_virt(req->sg));
}

static void end_bounce(struct nvmet_req *req)
{
	struct nvmet_p2pmem_bounce *bounce = req->p2pmem.bounce;
	blk_status_t status = req->p2pmem.status;

	req->p2pmem.bounce = NULL;
	swap_buffers(req, bounce);
	if (!nvme_is_write(req->cmd) && status == BLK_STS_OK) {
		copy_sgl(req->sg, req->sg_cnt, bounce->sg, bounce->sg_cnt,
			 false);
		if (req->metadata_len)
			copy_sgl(req->metadata_sg, req->metadata_sg_cnt,
				 bounce->metadata_sg, bounce->metadata_sg_cnt,
				 false);
		wait_for_writes(req);
		/* What was put into a device that is gone is not what is sent */
		if (!pci_device_is_present(req->p2p_dev))
			status = BLK_STS_IOERR;
	}
	free_bounce(bounce);
	nvmet_req_complete(req, blk_to_nvme_status(req, status));
}

static void bounce_work(struct work_struct *work)
{
	struct nvmet_req *req = container_of(work, struct nvmet_req,
					     p2pmem.work);

	if (req->p2pmem.bounce)
		end_bounce(req);
	else
		begin_bounce(req);
}

/**
 * nvmet_p2pmem_io_done - look at what the backend said of a read or write
 * @req: the request
 * @status: what it said
 *
 * A backend that was refused peer-to-peer memory says so by %BLK_STS_TARGET,
 * as it does on errors of the drive, which are repeated to no harm.
 *
 * Context: any context but NMI.  Nothing is allocated here, where it could fail.
 * Return: true if the request is not done yet and will be completed here, false
 * if the caller is to complete it.
 */
bool nvmet_p2pmem_io_done(struct nvmet_req *req, blk_status_t status)
{
	if (!req->p2pmem.bounce) {
		if (status != BLK_STS_TARGET || !req->p2p_dev)
			return false;

		INIT_WORK(&req->p2pmem.work, bounce_work);
	}

	req->p2pmem.status = status;
	queue_work(nvmet_wq, &req->p2pmem.work);
	return true;
}
