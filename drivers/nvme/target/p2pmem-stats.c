// SPDX-License-Identifier: GPL-2.0
/*
 * NVMe target: what becomes of requests with peer-to-peer memory.
 *
 * This file owns the counters of each namespace, and the files of configfs that
 * tell about them and about the providers in use.  A request is counted when its
 * data is the backend's to move, once, by the memory that the data is in; and
 * moved to the other column if the backend is refused that memory.
 *
 * Locking: counters belong to a CPU each and are summed up without a lock, so
 * that what is read while requests run is not of one moment.
 *
 * What must never happen: a request that is counted as peer-to-peer though its
 * data went through system memory.
 */
#include <linux/cleanup.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/sizes.h>
#include <linux/srcu.h>
#include <linux/sysfs.h>

#include "nvmet.h"

static const char *const why_names[NVMET_P2PMEM_NR_WHY] = {
	[NVMET_P2PMEM_NO_PROVIDER]	= "no_provider",
	[NVMET_P2PMEM_UNREACHABLE]	= "not_reachable",
	[NVMET_P2PMEM_POOL_EMPTY]	= "pool_empty",
	[NVMET_P2PMEM_TRANSPORT]	= "transport",
	[NVMET_P2PMEM_INELIGIBLE]	= "not_eligible",
	[NVMET_P2PMEM_REFUSED]		= "refused",
};

/* Why a request has system memory that nobody asked this file for */
static enum nvmet_p2pmem_why why_not_asked(struct nvmet_req *req)
{
	enum nvmet_p2pmem_why why = NVMET_P2PMEM_INELIGIBLE;
	int idx;

	idx = srcu_read_lock(&nvmet_p2pmem_srcu);
	if (!nvmet_p2pmem_provider(req) && req->p2pmem.why == NVMET_P2PMEM_TRANSPORT)
		why = NVMET_P2PMEM_TRANSPORT;
	srcu_read_unlock(&nvmet_p2pmem_srcu, idx);

	return why;
}

static void count_system(struct nvmet_req *req, enum nvmet_p2pmem_why why,
			 int times)
{
	struct nvmet_p2pmem_counters __percpu *counters =
		req->ns->p2pmem.counters;

	this_cpu_add(counters->requests[NVMET_P2PMEM_NONE], times);
	this_cpu_add(counters->bytes[NVMET_P2PMEM_NONE],
		     times * req->transfer_len);
	this_cpu_add(counters->why[why], times);
}

static void count_peer(struct nvmet_req *req, int times)
{
	struct nvmet_p2pmem_counters __percpu *counters =
		req->ns->p2pmem.counters;

	this_cpu_add(counters->requests[req->p2pmem.access], times);
	this_cpu_add(counters->bytes[req->p2pmem.access],
		     times * req->transfer_len);
}

/**
 * nvmet_p2pmem_account - count a request whose data the backend is to move
 * @req: the request
 *
 * Context: any context but NMI.
 */
void nvmet_p2pmem_account(struct nvmet_req *req)
{
	if (!req->ns->p2pmem.enabled || req->p2pmem.bounce)
		return;

	if (req->p2p_dev) {
		count_peer(req, 1);
		return;
	}

	if (req->p2pmem.why == NVMET_P2PMEM_UNDECIDED)
		req->p2pmem.why = why_not_asked(req);
	count_system(req, req->p2pmem.why, 1);
}

/**
 * nvmet_p2pmem_account_refused - a request that was counted uses system memory
 * @req: the request, which was counted as peer-to-peer
 *
 * Context: any context but NMI.
 */
void nvmet_p2pmem_account_refused(struct nvmet_req *req)
{
	count_peer(req, -1);
	count_system(req, NVMET_P2PMEM_REFUSED, 1);
}

/**
 * nvmet_p2pmem_providers_show - show the provider of each controller
 * @ns: the namespace
 * @page: buffer of a page for the text
 *
 * Return: length of the text.
 */
ssize_t nvmet_p2pmem_providers_show(struct nvmet_ns *ns, char *page)
{
	struct nvmet_p2pmem_link *link;
	struct nvmet_ctrl *ctrl;
	ssize_t len = 0;

	guard(mutex)(&ns->subsys->lock);
	list_for_each_entry(ctrl, &ns->subsys->ctrls, subsys_entry) {
		link = xa_load(&ctrl->p2pmem.links, ns->nsid);
		if (!link)
			continue;

		/* Of larger pages, too, configfs takes no more; a line is shorter */
		if (len > SZ_4K - 64)
			break;

		if (link->choice.provider)
			len += sysfs_emit_at(page, len, "%u %s %s\n",
					     ctrl->cntlid,
					     pci_name(link->choice.provider),
					     link->access == NVMET_P2PMEM_CPU ?
						     "cpu-copy" : "dma");
		else
			len += sysfs_emit_at(page, len, "%u none %s\n",
					     ctrl->cntlid,
					     why_names[link->choice.why]);
	}

	return len;
}

/**
 * nvmet_p2pmem_stats_show - show what became of a namespace's requests
 * @ns: the namespace
 * @page: buffer of a page for the text
 *
 * Return: length of the text.
 */
ssize_t nvmet_p2pmem_stats_show(struct nvmet_ns *ns, char *page)
{
	static const char *const ways[] = {
		[NVMET_P2PMEM_NONE]	= "system",
		[NVMET_P2PMEM_DMA]	= "dma",
		[NVMET_P2PMEM_CPU]	= "cpu_copy",
	};
	struct nvmet_p2pmem_counters sum = { }, *counters;
	ssize_t len = 0;
	int cpu, i;

	for_each_possible_cpu(cpu) {
		counters = per_cpu_ptr(ns->p2pmem.counters, cpu);
		for (i = 0; i < ARRAY_SIZE(ways); i++) {
			sum.requests[i] += READ_ONCE(counters->requests[i]);
			sum.bytes[i] += READ_ONCE(counters->bytes[i]);
		}
		for (i = 0; i < NVMET_P2PMEM_NR_WHY; i++)
			sum.why[i] += READ_ONCE(counters->why[i]);
	}

	for (i = ARRAY_SIZE(ways) - 1; i >= 0; i--)
		len += sysfs_emit_at(page, len, "%s_requests %llu\n%s_bytes %llu\n",
				     ways[i], sum.requests[i], ways[i],
				     sum.bytes[i]);
	for (i = 0; i < NVMET_P2PMEM_NR_WHY; i++)
		if (why_names[i])
			len += sysfs_emit_at(page, len, "system_%s %llu\n",
					     why_names[i], sum.why[i]);

	return len;
}
