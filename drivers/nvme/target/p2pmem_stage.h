/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stage for KUnit tests of peer-to-peer memory in the NVMe target: a target, a
 * drive, and a request between them.
 *
 * Devices are those of a declared PCI tree (drivers/pci/pci_kunit.h):
 *
 *   host ─┬─ 01.0 rp0 ── up ─┬─ 00.0 dn0 ── near    BAR 0 4 MiB
 *         │                  ├─ 01.0 dn1 ── nic
 *         │                  ├─ 02.0 dn2 ── ssd     BAR 0 2 MiB
 *         │                  └─ 03.0 dn3 ── also    BAR 0 2 MiB, as near as near
 *         └─ 02.0 rp1 ── far                        BAR 0 2 MiB
 *
 * The host bridge is on no list, so that far is out of reach.  nic stands for
 * an RDMA device: a request's client.  A block device without a medium, whose
 * parent is ssd, stands for a drive: it says of each bio what the case wants.
 * The request goes the way of the real ones from the allocation of its memory
 * to its completion, through nvmet's own code for block devices.
 *
 * Nothing answers behind the BARs.  That data arrives is for the scenarios of
 * the lab to show; here it is where data would have gone.
 *
 * What a stage makes ends with its case.  A stage_ function that cannot do what
 * it is for ends the case, unless it returns an error.
 */
#ifndef _NVMET_P2PMEM_STAGE_H
#define _NVMET_P2PMEM_STAGE_H

#include <kunit/test.h>

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "../../pci/pci_kunit.h"
#include "nvmet.h"

#define NR_BIOS			8

/* What the drive takes */
#define STAGE_MAX_SEGMENTS	32
#define STAGE_MAX_SEGMENT	SZ_512K

/**
 * struct stage - a target, a drive and a request of one case
 * @test: the case
 * @tree: the devices
 * @disk: the drive
 * @answers: what the drive says of each bio in turn, the last one for ever
 * @then: how the request is executed if it is once more, or NULL for as before
 * @peer: whether each bio was in peer-to-peer memory
 * @bios: how many bios there were
 * @max_segment: most bytes that the network card takes in one segment, or 0
 * @subsys: the subsystem
 * @ns: its namespace
 * @ctrl: its controller
 * @connected: the controller is in use
 * @sq: the controller's I/O queue
 * @cmd: command of @req
 * @cqe: completion of @req
 * @req: the request
 * @responded: the transport has @cqe
 */
struct stage {
	struct kunit		*test;
	struct pci_kunit_tree	*tree;
	struct gendisk		*disk;
	blk_status_t		answers[NR_BIOS];
	void			(*then)(struct nvmet_req *req);
	bool			peer[NR_BIOS];
	unsigned int		bios;
	unsigned int		max_segment;
	struct nvmet_subsys	subsys;
	struct nvmet_ns		*ns;
	struct nvmet_ctrl	ctrl;
	bool			connected;
	struct nvmet_sq		sq;
	struct nvme_command	cmd;
	struct nvme_completion	cqe;
	struct nvmet_req	req;
	struct completion	responded;
};

extern const struct nvmet_fabrics_ops stage_transport;
extern const struct nvmet_fabrics_ops stage_loop;

struct stage *stage_make_on(struct kunit *test, blk_features_t features);
struct stage *stage_make(struct kunit *test);
struct pci_dev *stage_device(struct stage *stage, const char *name);
struct pci_dev *stage_provide(struct stage *stage, const char *name);
int stage_enable(struct stage *stage, const char *setting);
void stage_disable(struct stage *stage);
void stage_connect(struct stage *stage, const struct nvmet_fabrics_ops *ops);
void stage_connect_nic(struct stage *stage);

void stage_begin(struct stage *stage, u8 opcode, size_t length);
void stage_await(struct stage *stage);
u16 stage_run(struct stage *stage);
bool stage_whole(struct stage *stage, u8 opcode, size_t length);
bool stage_read(struct stage *stage);

u64 stage_counted(struct stage *stage, const char *name);
char *stage_providers(struct stage *stage);
void stage_expect(struct stage *stage, const char *provider, const char *how);
bool stage_becomes(struct stage *stage, const char *provider, const char *how);

#endif /* _NVMET_P2PMEM_STAGE_H */
