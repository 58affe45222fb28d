/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NVMe target: peer-to-peer memory for the data of requests.
 *
 * What namespaces, controllers and requests carry for it, and what the rest of
 * the target calls.  How it works is told in p2pmem.c (the choice of memory),
 * p2pmem-req.c (requests) and p2pmem-stats.c (what became of them).
 */
#ifndef _NVMET_P2PMEM_H
#define _NVMET_P2PMEM_H

#include <linux/blk_types.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/pci.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct nvmet_ctrl;
struct nvmet_ns;
struct nvmet_req;
struct nvmet_subsys;

/**
 * enum nvmet_p2pmem_why - why data goes through system memory
 * @NVMET_P2PMEM_UNDECIDED: nothing has been decided yet
 * @NVMET_P2PMEM_USED: it does not, peer-to-peer memory is used
 * @NVMET_P2PMEM_NO_PROVIDER: no device publishes memory, or the one that was
 *	chosen by the administrator does not
 * @NVMET_P2PMEM_UNREACHABLE: there is memory, but not for these clients
 * @NVMET_P2PMEM_POOL_EMPTY: the provider's memory was in use, or free in more
 *	pieces than the request can have
 * @NVMET_P2PMEM_TRANSPORT: the transport cannot, or may not, use such memory
 * @NVMET_P2PMEM_INELIGIBLE: the data came with the command, or is for the target
 *	itself to read
 * @NVMET_P2PMEM_REFUSED: a client was refused the memory when it was to be
 *	mapped, as its route had just changed, or could not map it as it is
 * @NVMET_P2PMEM_NR_WHY: number of reasons
 */
enum nvmet_p2pmem_why {
	NVMET_P2PMEM_UNDECIDED,
	NVMET_P2PMEM_USED,
	NVMET_P2PMEM_NO_PROVIDER,
	NVMET_P2PMEM_UNREACHABLE,
	NVMET_P2PMEM_POOL_EMPTY,
	NVMET_P2PMEM_TRANSPORT,
	NVMET_P2PMEM_INELIGIBLE,
	NVMET_P2PMEM_REFUSED,
	NVMET_P2PMEM_NR_WHY,
};

/**
 * enum nvmet_p2pmem_access - how a transport gets at peer-to-peer memory
 * @NVMET_P2PMEM_NONE: not at all
 * @NVMET_P2PMEM_DMA: its device does DMA to it
 * @NVMET_P2PMEM_CPU: the CPU copies to and from it
 */
enum nvmet_p2pmem_access {
	NVMET_P2PMEM_NONE,
	NVMET_P2PMEM_DMA,
	NVMET_P2PMEM_CPU,
};

/**
 * struct nvmet_p2pmem_choice - a provider, or why there is none
 * @provider: the provider, with a reference, or NULL
 * @why: %NVMET_P2PMEM_USED if there is one
 */
struct nvmet_p2pmem_choice {
	struct pci_dev		*provider;
	enum nvmet_p2pmem_why	why;
};

#ifdef CONFIG_PCI_P2PDMA

struct nvmet_p2pmem_bounce;

/**
 * struct nvmet_p2pmem_link - the choice for one controller and one namespace
 * @choice: the provider, or why there is none
 * @access: how the transport gets at the memory
 *
 * Does not change once it can be found.
 */
struct nvmet_p2pmem_link {
	struct nvmet_p2pmem_choice	choice;
	enum nvmet_p2pmem_access	access;
};

/**
 * struct nvmet_p2pmem_counters - what became of read and write requests
 * @requests: by the way in which the transport got at peer-to-peer memory;
 *	%NVMET_P2PMEM_NONE stands for system memory
 * @bytes: the same in bytes
 * @why: requests through system memory, by reason
 */
struct nvmet_p2pmem_counters {
	u64	requests[NVMET_P2PMEM_CPU + 1];
	u64	bytes[NVMET_P2PMEM_CPU + 1];
	u64	why[NVMET_P2PMEM_NR_WHY];
};

/**
 * struct nvmet_p2pmem_subsys - what a subsystem carries
 * @entry: node in the list of those that look when providers or routes change
 * @work: looks for all controllers and namespaces
 */
struct nvmet_p2pmem_subsys {
	struct list_head	entry;
	struct work_struct	work;
};

/**
 * struct nvmet_p2pmem_ns - what a namespace carries
 * @wanted: provider that the administrator chose, with a reference, or NULL
 * @enabled: peer-to-peer memory is to be used
 * @counters: what became of requests
 *
 * The first two change under the subsystem's lock, while the namespace is
 * disabled; @wanted also when its address is taken by another device.
 */
struct nvmet_p2pmem_ns {
	struct pci_dev				*wanted;
	bool					enabled;
	struct nvmet_p2pmem_counters __percpu	*counters;
};

/**
 * struct nvmet_p2pmem_ctrl - what a controller carries
 * @client: PCI function of the transport's device, if it does DMA, with a
 *	reference, or NULL
 * @access: how the transport gets at the memory
 * @links: &struct nvmet_p2pmem_link by namespace; SRCU readers, changed under
 *	the subsystem's lock
 */
struct nvmet_p2pmem_ctrl {
	struct device			*client;
	enum nvmet_p2pmem_access	access;
	struct xarray			links;
};

/**
 * struct nvmet_p2pmem_req - what a request carries
 * @access: how the transport gets at that memory
 * @why: why its data is in system memory, if it is known yet
 * @client_access: how the queue's transport gets at peer-to-peer memory
 * @client: device of the transport that does DMA, or NULL
 * @max_segment: most bytes that the transport takes in one segment
 * @bounce: second buffer, in system memory, through which the backend works
 *	after it was refused the first, or NULL
 * @work: begins or ends the use of @bounce
 * @status: what the backend said last, for @work
 *
 * The client is that of the queue and is looked at when a controller connects.
 * Whose memory the data is in is told by p2p_dev of the request itself, which is
 * NULL for system memory.
 */
struct nvmet_p2pmem_req {
	enum nvmet_p2pmem_access	access;
	enum nvmet_p2pmem_why		why;
	enum nvmet_p2pmem_access	client_access;
	struct device			*client;
	unsigned int			max_segment;
	struct nvmet_p2pmem_bounce	*bounce;
	struct work_struct		work;
	blk_status_t			status;
};

extern bool nvmet_p2pmem_cpu_copy;
extern struct srcu_struct nvmet_p2pmem_srcu;

struct nvmet_p2pmem_choice
nvmet_p2pmem_choose(struct device **clients, int nr, struct pci_dev *wanted,
		    struct pci_dev *in_use);

void nvmet_p2pmem_init(void);
void nvmet_p2pmem_exit(void);

void nvmet_p2pmem_subsys_init(struct nvmet_subsys *subsys);
void nvmet_p2pmem_subsys_exit(struct nvmet_subsys *subsys);

int nvmet_p2pmem_ns_init(struct nvmet_ns *ns);
void nvmet_p2pmem_ns_exit(struct nvmet_ns *ns);
int nvmet_p2pmem_ns_enable(struct nvmet_ns *ns);
void nvmet_p2pmem_ns_disable(struct nvmet_ns *ns);

void nvmet_setup_p2p_ns_map(struct nvmet_ctrl *ctrl, struct nvmet_req *req);
void nvmet_release_p2p_ns_map(struct nvmet_ctrl *ctrl);

void nvmet_p2pmem_req_client(struct nvmet_req *req, struct device *client,
			     unsigned int max_segment);
void nvmet_p2pmem_req_cpu(struct nvmet_req *req);
void nvmet_p2pmem_req_init(struct nvmet_req *req);
bool nvmet_p2pmem_alloc(struct nvmet_req *req);
bool nvmet_p2pmem_alloc_data(struct nvmet_req *req, size_t length);
bool nvmet_p2pmem_alloc_metadata(struct nvmet_req *req);
bool nvmet_p2pmem_free(struct nvmet_req *req);
int nvmet_p2pmem_give_up(struct nvmet_req *req);
struct pci_dev *nvmet_p2pmem_provider(struct nvmet_req *req);
void nvmet_p2pmem_account(struct nvmet_req *req);
void nvmet_p2pmem_account_refused(struct nvmet_req *req);
bool nvmet_p2pmem_io_done(struct nvmet_req *req, blk_status_t status);

ssize_t nvmet_p2pmem_show(struct nvmet_ns *ns, char *page);
int nvmet_p2pmem_store(struct nvmet_ns *ns, const char *page);
ssize_t nvmet_p2pmem_providers_show(struct nvmet_ns *ns, char *page);
ssize_t nvmet_p2pmem_stats_show(struct nvmet_ns *ns, char *page);

#else /* CONFIG_PCI_P2PDMA */

struct nvmet_p2pmem_subsys { };
struct nvmet_p2pmem_ns { };
struct nvmet_p2pmem_ctrl { };
struct nvmet_p2pmem_req { };

static inline void nvmet_p2pmem_init(void)
{
}

static inline void nvmet_p2pmem_exit(void)
{
}

static inline void nvmet_p2pmem_subsys_init(struct nvmet_subsys *subsys)
{
}

static inline void nvmet_p2pmem_subsys_exit(struct nvmet_subsys *subsys)
{
}

static inline int nvmet_p2pmem_ns_init(struct nvmet_ns *ns)
{
	return 0;
}

static inline void nvmet_p2pmem_ns_exit(struct nvmet_ns *ns)
{
}

static inline int nvmet_p2pmem_ns_enable(struct nvmet_ns *ns)
{
	return 0;
}

static inline void nvmet_p2pmem_ns_disable(struct nvmet_ns *ns)
{
}

static inline void nvmet_setup_p2p_ns_map(struct nvmet_ctrl *ctrl,
					  struct nvmet_req *req)
{
}

static inline void nvmet_release_p2p_ns_map(struct nvmet_ctrl *ctrl)
{
}

static inline void nvmet_p2pmem_req_client(struct nvmet_req *req,
					   struct device *client,
					   unsigned int max_segment)
{
}

static inline void nvmet_p2pmem_req_cpu(struct nvmet_req *req)
{
}

static inline void nvmet_p2pmem_req_init(struct nvmet_req *req)
{
}

static inline bool nvmet_p2pmem_alloc(struct nvmet_req *req)
{
	return false;
}

static inline bool nvmet_p2pmem_alloc_data(struct nvmet_req *req, size_t length)
{
	return false;
}

static inline bool nvmet_p2pmem_alloc_metadata(struct nvmet_req *req)
{
	return false;
}

static inline bool nvmet_p2pmem_free(struct nvmet_req *req)
{
	return false;
}

static inline int nvmet_p2pmem_give_up(struct nvmet_req *req)
{
	return -EINVAL;
}

static inline void nvmet_p2pmem_account(struct nvmet_req *req)
{
}

static inline bool nvmet_p2pmem_io_done(struct nvmet_req *req,
					blk_status_t status)
{
	return false;
}

#endif /* CONFIG_PCI_P2PDMA */

#endif /* _NVMET_P2PMEM_H */
