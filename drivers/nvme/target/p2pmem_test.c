// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer memory in the NVMe target (p2pmem.c): which
 * provider is chosen, when the choice is made anew, what a request does without
 * one, and what the administrator is told.
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
 */
#include <kunit/test.h>

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/memremap.h>
#include <linux/panic.h>
#include <linux/pci-p2pdma.h>
#include <linux/processor.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../../pci/pci_kunit.h"
#include "nvmet.h"

#define UNLISTED	0x29c0
#define PATIENCE	(60 * HZ)
#define NR_BIOS		8
#define STATE_SIZE	64

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = PCI_VENDOR_ID_INTEL,
	  .device = UNLISTED },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "near", "dn0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_4M } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .acs = PCI_KUNIT_ACS(PCI_ACS_RR | PCI_ACS_CR, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "dn2", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ssd", "dn2", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
	{ "dn3", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(3, 0) },
	{ "also", "dn3", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "far", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
};

/**
 * struct stage - a target, a drive and a request of one case
 * @test: the case
 * @tree: the devices
 * @disk: the drive
 * @answers: what the drive says of each bio in turn, the last one for ever
 * @then: how the request is executed if it is once more, or NULL for as before
 * @peer: whether each bio was in peer-to-peer memory
 * @bios: how many bios there were
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

static void drive_submit(struct bio *bio)
{
	struct stage *stage = bio->bi_bdev->bd_disk->private_data;
	unsigned int i = min_t(unsigned int, stage->bios++, NR_BIOS - 1);

	stage->peer[i] = is_pci_p2pdma_page(bio_page(bio));
	if (stage->then)
		stage->req.execute = stage->then;
	bio->bi_status = stage->answers[i];
	bio_endio(bio);
}

static const struct block_device_operations drive_ops = {
	.owner		= THIS_MODULE,
	.submit_bio	= drive_submit,
};

static void transport_respond(struct nvmet_req *req)
{
	struct stage *stage = container_of(req, struct stage, req);

	complete(&stage->responded);
}

static void transport_delete_ctrl(struct nvmet_ctrl *ctrl)
{
}

static const struct nvmet_fabrics_ops transport = {
	.owner		= THIS_MODULE,
	.type		= NVMF_TRTYPE_RDMA,
	.queue_response	= transport_respond,
	.delete_ctrl	= transport_delete_ctrl,
};

static const struct nvmet_fabrics_ops loop_transport = {
	.owner		= THIS_MODULE,
	.type		= NVMF_TRTYPE_LOOP,
	.queue_response	= transport_respond,
	.delete_ctrl	= transport_delete_ctrl,
};

static struct pci_dev *provide(struct stage *stage, const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(stage->tree, name);

	KUNIT_ASSERT_EQ(stage->test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	pci_p2pmem_publish(pdev, true);
	return pdev;
}

static struct pci_dev *device(struct stage *stage, const char *name)
{
	return pci_kunit_dev(stage->tree, name);
}

static void ref_released(struct percpu_ref *ref)
{
}

static void remove_disk(void *data)
{
	struct stage *stage = data;

	del_gendisk(stage->disk);
	put_disk(stage->disk);
}

static void make_disk(struct stage *stage, blk_features_t features)
{
	struct queue_limits limits = { .features = features };
	struct kunit *test = stage->test;

	stage->disk = blk_alloc_disk(&limits, NUMA_NO_NODE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(stage->disk));
	stage->disk->fops = &drive_ops;
	stage->disk->private_data = stage;
	strscpy(stage->disk->disk_name, "p2pmemtest", DISK_NAME_LEN);
	set_capacity(stage->disk, SZ_64M >> SECTOR_SHIFT);
	KUNIT_ASSERT_EQ(test, device_add_disk(&device(stage, "ssd")->dev,
					      stage->disk, NULL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, remove_disk,
							stage), 0);
}

static void end_subsys(void *data)
{
	struct stage *stage = data;

	nvmet_p2pmem_subsys_exit(&stage->subsys);
	xa_destroy(&stage->subsys.namespaces);
}

static void end_ns(void *data)
{
	struct stage *stage = data;
	struct nvmet_ns *ns = stage->ns;

	mutex_lock(&stage->subsys.lock);
	nvmet_p2pmem_ns_disable(ns);
	xa_erase(&stage->subsys.namespaces, ns->nsid);
	mutex_unlock(&stage->subsys.lock);
	percpu_ref_exit(&ns->ref);
	percpu_ref_exit(&stage->sq.ref);
	nvmet_p2pmem_ns_exit(ns);
}

static struct stage *make_stage_on(struct kunit *test, blk_features_t features)
{
	struct stage *stage = kunit_kzalloc(test, sizeof(*stage), GFP_KERNEL);
	struct nvmet_ns *ns = kunit_kzalloc(test, sizeof(*ns), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, stage);
	KUNIT_ASSERT_NOT_NULL(test, ns);
	stage->test = test;
	stage->tree = PCI_KUNIT_CREATE(test, bench);
	make_disk(stage, features);

	mutex_init(&stage->subsys.lock);
	xa_init(&stage->subsys.namespaces);
	INIT_LIST_HEAD(&stage->subsys.ctrls);
	nvmet_p2pmem_subsys_init(&stage->subsys);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_subsys,
							stage), 0);

	stage->ns = ns;
	ns->subsys = &stage->subsys;
	ns->nsid = 1;
	ns->device_path = "/dev/p2pmemtest";
	ns->bdev = stage->disk->part0;
	ns->blksize_shift = SECTOR_SHIFT;
	ns->size = SZ_64M;
	KUNIT_ASSERT_EQ(test, nvmet_p2pmem_ns_init(ns), 0);
	KUNIT_ASSERT_EQ(test, percpu_ref_init(&ns->ref, ref_released, 0,
					      GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, percpu_ref_init(&stage->sq.ref, ref_released, 0,
					      GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, xa_err(xa_store(&stage->subsys.namespaces, 1, ns,
					      GFP_KERNEL)), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_ns, stage),
			0);
	init_completion(&stage->responded);
	return stage;
}

static struct stage *make_stage(struct kunit *test)
{
	return make_stage_on(test, BLK_FEAT_PCI_P2PDMA);
}

/* What user space does with the attributes p2pmem and enable */
static int enable(struct stage *stage, const char *setting)
{
	int error = nvmet_p2pmem_store(stage->ns, setting);

	if (error)
		return error;

	mutex_lock(&stage->subsys.lock);
	error = nvmet_p2pmem_ns_enable(stage->ns);
	stage->ns->enabled = !error;
	mutex_unlock(&stage->subsys.lock);
	return error;
}

static void disconnect(void *data)
{
	struct stage *stage = data;

	mutex_lock(&stage->subsys.lock);
	nvmet_p2pmem_ctrl_exit(&stage->ctrl);
	list_del(&stage->ctrl.subsys_entry);
	mutex_unlock(&stage->subsys.lock);
}

static void connect(struct stage *stage, const struct nvmet_fabrics_ops *ops)
{
	stage->ctrl.subsys = &stage->subsys;
	stage->ctrl.cntlid = 7;
	stage->ctrl.ops = ops;
	stage->sq.ctrl = &stage->ctrl;
	stage->sq.qid = 1;
	stage->req.ops = ops;
	stage->req.sq = &stage->sq;
	stage->req.cmd = &stage->cmd;
	stage->req.cqe = &stage->cqe;

	nvmet_p2pmem_ctrl_init(&stage->ctrl, &stage->req);
	mutex_lock(&stage->subsys.lock);
	list_add_tail(&stage->ctrl.subsys_entry, &stage->subsys.ctrls);
	nvmet_p2pmem_ctrl_start(&stage->ctrl);
	mutex_unlock(&stage->subsys.lock);
	KUNIT_ASSERT_EQ(stage->test,
			kunit_add_action_or_reset(stage->test, disconnect,
						  stage), 0);
}

/* A controller whose transport has the network card do DMA */
static void connect_nic(struct stage *stage)
{
	nvmet_p2pmem_req_client(&stage->req, &device(stage, "nic")->dev);
	connect(stage, &transport);
}

/* Begin a request: its command, and memory for its data */
static void begin_request(struct stage *stage, u8 opcode, size_t length)
{
	struct nvmet_req *req = &stage->req;

	memset(&stage->cmd, 0, sizeof(stage->cmd));
	memset(&stage->cqe, 0, sizeof(stage->cqe));
	stage->cmd.rw.opcode = opcode;
	stage->cmd.rw.length = cpu_to_le16((length >> SECTOR_SHIFT) - 1);
	reinit_completion(&stage->responded);

	req->ns = stage->ns;
	req->sg = NULL;
	req->metadata_sg = NULL;
	req->sg_cnt = 0;
	req->metadata_sg_cnt = 0;
	req->metadata_len = 0;
	req->transfer_len = length;
	nvmet_p2pmem_req_init(req);
	percpu_ref_get(&stage->ns->ref);
	percpu_ref_get(&stage->sq.ref);
}

/* The drive's part of a request that has memory; returns the NVMe status */
static u16 run_request(struct stage *stage)
{
	struct nvmet_req *req = &stage->req;

	stage->bios = 0;
	KUNIT_ASSERT_EQ(stage->test, nvmet_bdev_parse_io_cmd(req), 0);
	req->execute(req);
	KUNIT_ASSERT_NE(stage->test, 0UL,
			wait_for_completion_timeout(&stage->responded,
						    PATIENCE));
	return le16_to_cpu(stage->cqe.status) >> 1;
}

/* A whole request; returns whether its memory was a provider's */
static bool whole_request(struct stage *stage, u8 opcode, size_t length)
{
	bool peer;

	begin_request(stage, opcode, length);
	KUNIT_ASSERT_EQ(stage->test, nvmet_req_alloc_sgls(&stage->req), 0);
	peer = is_pci_p2pdma_page(sg_page(stage->req.sg));
	KUNIT_EXPECT_EQ(stage->test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(stage->test, stage->peer[0], peer);
	nvmet_req_free_sgls(&stage->req);
	return peer;
}

static bool read_request(struct stage *stage)
{
	return whole_request(stage, nvme_cmd_read, SZ_4K);
}

/* A number of p2pmem_stats */
static u64 counted(struct stage *stage, const char *name)
{
	char *page = kunit_kzalloc(stage->test, PAGE_SIZE, GFP_KERNEL);
	unsigned long long value = ~0ULL;
	char *line, *rest, *text;

	KUNIT_ASSERT_NOT_NULL(stage->test, page);
	nvmet_p2pmem_stats_show(stage->ns, page);
	for (rest = page; (line = strsep(&rest, "\n"));) {
		text = strchr(line, ' ');
		if (!text)
			continue;
		*text++ = '\0';
		if (!strcmp(line, name))
			KUNIT_EXPECT_EQ(stage->test,
					kstrtoull(text, 10, &value), 0);
	}
	return value;
}

/* p2pmem_providers, without the end of the line */
static char *providers(struct stage *stage)
{
	char *page = kunit_kzalloc(stage->test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(stage->test, page);
	nvmet_p2pmem_providers_show(stage->ns, page);
	return strim(page);
}

/* A line of it */
static char *state(struct stage *stage, const char *provider, const char *how)
{
	char *text = kunit_kzalloc(stage->test, STATE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(stage->test, text);
	snprintf(text, STATE_SIZE, "7 %s %s",
		 provider ? pci_name(device(stage, provider)) : "none", how);
	return text;
}

static void expect_state(struct stage *stage, const char *provider,
			 const char *how)
{
	KUNIT_EXPECT_STREQ(stage->test, providers(stage),
			   state(stage, provider, how));
}

/* Wait until a worker has told everybody about a change */
static bool becomes(struct stage *stage, const char *provider, const char *how)
{
	char *wanted = state(stage, provider, how);
	int i;

	for (i = 0; i < 3000; i++) {
		if (!strcmp(providers(stage), wanted))
			return true;
		msleep(20);
	}

	kunit_info(stage->test, "wanted '%s', is '%s'", wanted,
		   providers(stage));
	return false;
}

static struct nvmet_p2pmem_choice choose(struct stage *stage,
					 struct pci_dev *wanted,
					 struct pci_dev *in_use)
{
	struct device *clients[] = {
		&device(stage, "nic")->dev, &device(stage, "ssd")->dev,
	};
	struct nvmet_p2pmem_choice choice;

	choice = nvmet_p2pmem_choose(clients, ARRAY_SIZE(clients), wanted,
				     in_use);
	/* The tree stays for as long as the case runs */
	pci_dev_put(choice.provider);
	KUNIT_EXPECT_EQ(stage->test, choice.why == NVMET_P2PMEM_USED,
			!!choice.provider);
	return choice;
}

static void chooses_what_all_reach(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *far = provide(stage, "far"), *near;

	KUNIT_EXPECT_EQ(test, choose(stage, NULL, NULL).why,
			NVMET_P2PMEM_UNREACHABLE);
	near = provide(stage, "near");
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, NULL).provider, near);
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, far).provider, near);
}

static void keeps_what_is_as_good_as_any(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct pci_dev *also = provide(stage, "also");
	int i;

	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, near).provider,
				    near);
		KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, also).provider,
				    also);
	}
}

static void leaves_for_a_nearer_one(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct pci_dev *ssd = provide(stage, "ssd");

	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, near).provider, ssd);
	pci_p2pmem_publish(ssd, false);
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, NULL, ssd).provider, near);
}

static void takes_none_but_the_wanted(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct pci_dev *far = provide(stage, "far");

	provide(stage, "ssd");
	KUNIT_EXPECT_PTR_EQ(test, choose(stage, near, NULL).provider, near);
	KUNIT_EXPECT_EQ(test, choose(stage, far, NULL).why,
			NVMET_P2PMEM_UNREACHABLE);
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_EQ(test, choose(stage, near, near).why,
			NVMET_P2PMEM_NO_PROVIDER);
}

static void requests_use_the_provider(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	KUNIT_EXPECT_STREQ(test, providers(stage), "");
	connect_nic(stage);
	expect_state(stage, "near", "dma");

	KUNIT_EXPECT_TRUE(test, whole_request(stage, nvme_cmd_read, SZ_4K));
	KUNIT_EXPECT_TRUE(test, whole_request(stage, nvme_cmd_write, SZ_128K));
	KUNIT_EXPECT_TRUE(test, whole_request(stage, nvme_cmd_read, SZ_1M));
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 3);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_bytes"),
			SZ_4K + SZ_128K + SZ_1M);
	KUNIT_EXPECT_EQ(test, counted(stage, "cpu_copy_requests"), 0);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 0);
}

/* The provider is there before the controller, or the namespace after both */
static void enabled_while_connected(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	provide(stage, "near");
	connect_nic(stage);
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	expect_state(stage, "near", "dma");
	KUNIT_EXPECT_TRUE(test, read_request(stage));
	/* Nothing is counted as long as nobody wants it to be used */
	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 0);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 1);
}

static void pool_runs_empty(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	void *all;

	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	all = pci_alloc_p2pmem(near, SZ_4M);
	KUNIT_ASSERT_NOT_NULL(test, all);
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	expect_state(stage, "near", "dma");
	pci_free_p2pmem(near, all, SZ_4M);
	KUNIT_EXPECT_TRUE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_bytes"), SZ_4K);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_pool_empty"), 1);
}

/* Every other page is free: the memory of a request is in as many pieces */
static void pool_is_fragmented(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	unsigned int i, nr = SZ_4M / PAGE_SIZE;
	void **page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	for (i = 0; i < nr; i++) {
		page[i] = pci_alloc_p2pmem(near, PAGE_SIZE);
		KUNIT_EXPECT_NOT_NULL(test, page[i]);
	}
	for (i = 0; i < nr; i++) {
		if (!page[i] || !(PHYS_PFN((unsigned long)page[i]) & 1))
			continue;
		pci_free_p2pmem(near, page[i], PAGE_SIZE);
		page[i] = NULL;
	}

	begin_request(stage, nvme_cmd_write, SZ_64K);
	KUNIT_EXPECT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_EQ(test, stage->req.sg_cnt, SZ_64K / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_bytes"), SZ_64K);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 0);

	for (i = 0; i < nr; i++)
		if (page[i])
			pci_free_p2pmem(near, page[i], PAGE_SIZE);
}

static void metadata_goes_along(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct nvmet_req *req = &stage->req;
	void *rest;

	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	begin_request(stage, nvme_cmd_write, SZ_4K);
	req->metadata_len = 64;
	req->transfer_len += 64;
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(req->metadata_sg)));
	KUNIT_EXPECT_EQ(test, req->sg->length, SZ_4K);
	KUNIT_EXPECT_EQ(test, req->metadata_sg->length, 64);
	nvmet_req_free_sgls(req);

	/* Room for one of the two only: both are in system memory then */
	rest = pci_alloc_p2pmem(near, SZ_2M);
	KUNIT_ASSERT_NOT_NULL(test, rest);
	KUNIT_EXPECT_FALSE(test, nvmet_p2pmem_alloc(req, SZ_2M));
	KUNIT_EXPECT_NULL(test, req->sg);
	pci_free_p2pmem(near, rest, SZ_2M);
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_alloc(req, SZ_2M));
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_free(req));
	nvmet_req_uninit(req);
}

static void some_requests_are_not_eligible(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct scatterlist inline_sg;
	struct page *page;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);

	/* Data that the target reads itself */
	begin_request(stage, nvme_cmd_dsm, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	nvmet_req_free_sgls(&stage->req);
	nvmet_req_uninit(&stage->req);

	/* An admin command */
	begin_request(stage, nvme_cmd_read, SZ_4K);
	stage->sq.qid = 0;
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	nvmet_req_free_sgls(&stage->req);
	nvmet_req_uninit(&stage->req);
	stage->sq.qid = 1;

	/* Of a namespace on a file that was given the setting just now */
	mutex_lock(&stage->subsys.lock);
	begin_request(stage, nvme_cmd_read, SZ_4K);
	stage->ns->bdev = NULL;
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	nvmet_req_free_sgls(&stage->req);
	nvmet_req_uninit(&stage->req);
	stage->ns->bdev = stage->disk->part0;
	mutex_unlock(&stage->subsys.lock);

	/* Data that came with the command */
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	begin_request(stage, nvme_cmd_write, SZ_4K);
	sg_init_table(&inline_sg, 1);
	sg_set_page(&inline_sg, page, SZ_4K, 0);
	stage->req.sg = &inline_sg;
	stage->req.sg_cnt = 1;
	KUNIT_EXPECT_EQ(test, run_request(stage), NVME_SC_SUCCESS);
	__free_page(page);

	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_not_eligible"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 0);
}

static void follows_publication(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");

	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_TRUE(test, becomes(stage, NULL, "no_provider"));
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_no_provider"), 1);
	provide(stage, "far");
	KUNIT_EXPECT_TRUE(test, becomes(stage, NULL, "not_reachable"));
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_not_reachable"), 1);
	pci_p2pmem_publish(near, true);
	KUNIT_EXPECT_TRUE(test, becomes(stage, "near", "dma"));
	provide(stage, "ssd");
	KUNIT_EXPECT_TRUE(test, becomes(stage, "ssd", "dma"));
	KUNIT_EXPECT_TRUE(test, read_request(stage));
}

static void follows_access_control(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *port = device(stage, "dn1");
	int control = port->acs_cap + PCI_ACS_CTRL;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	expect_state(stage, "near", "dma");
	pci_write_config_word(port, control, PCI_ACS_RR);
	KUNIT_EXPECT_TRUE(test, becomes(stage, NULL, "not_reachable"));
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	pci_write_config_word(port, control, 0);
	KUNIT_EXPECT_TRUE(test, becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, read_request(stage));
}

/* Who is busy with one subsystem holds up no other, nor what connects to it */
static void a_busy_subsystem_is_alone(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct nvmet_subsys *busy = kunit_kzalloc(test, sizeof(*busy),
						  GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, busy);
	mutex_init(&busy->lock);
	xa_init(&busy->namespaces);
	INIT_LIST_HEAD(&busy->ctrls);
	nvmet_p2pmem_subsys_init(busy);

	mutex_lock(&busy->lock);
	pci_p2pmem_publish(near, false);
	pci_p2pmem_publish(near, true);
	KUNIT_EXPECT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	expect_state(stage, "near", "dma");
	pci_p2pmem_publish(near, false);
	KUNIT_EXPECT_TRUE(test, becomes(stage, NULL, "no_provider"));
	mutex_unlock(&busy->lock);
	nvmet_p2pmem_subsys_exit(busy);
}

static int unbind(void *data)
{
	struct stage *stage = data;

	pci_kunit_unbind(stage->tree, "near");
	return 0;
}

/* A request keeps its memory, the provider's end waits, others do without */
static void provider_goes_during_a_request(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct task_struct *task;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);

	begin_request(stage, nvme_cmd_write, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	task = kthread_create(unbind, stage, "p2pmem_unbind");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	KUNIT_EXPECT_TRUE(test, becomes(stage, NULL, "no_provider"));
	KUNIT_EXPECT_EQ(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	nvmet_req_free_sgls(&stage->req);
	kthread_stop(task);
	put_task_struct(task);

	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_no_provider"), 1);
	provide(stage, "near");
	KUNIT_EXPECT_TRUE(test, becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, read_request(stage));
}

/* Taken out and put in again, an address is another device */
static void wanted_is_an_address(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	char *name;

	provide(stage, "ssd");
	name = kstrdup(pci_name(provide(stage, "near")), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, name);
	KUNIT_EXPECT_EQ(test, enable(stage, name), 0);
	connect_nic(stage);
	expect_state(stage, "near", "dma");
	pci_kunit_unbind(stage->tree, "near");
	pci_kunit_remove(stage->tree, "near");
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	pci_kunit_rescan(stage->tree);
	KUNIT_EXPECT_STREQ(test, pci_name(device(stage, "near")), name);
	provide(stage, "near");
	KUNIT_EXPECT_TRUE(test, becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, read_request(stage));
	kfree(name);
}

static void forbid_cpu_copy(void *unused)
{
	nvmet_p2pmem_cpu_copy = false;
}

static void copies_by_cpu_only_if_asked(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	nvmet_p2pmem_req_cpu(&stage->req);
	connect(stage, &transport);
	expect_state(stage, NULL, "transport");
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_transport"), 1);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forbid_cpu_copy,
							NULL), 0);
	nvmet_p2pmem_cpu_copy = true;
	/* The next choice takes notice, whatever gives rise to it */
	provide(stage, "far");
	KUNIT_EXPECT_TRUE(test, becomes(stage, "near", "cpu-copy"));
	KUNIT_EXPECT_TRUE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "cpu_copy_requests"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "cpu_copy_bytes"), SZ_4K);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 0);
}

static void transports_without_it(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect(stage, &loop_transport);
	expect_state(stage, NULL, "transport");
	KUNIT_EXPECT_FALSE(test, read_request(stage));
	KUNIT_EXPECT_EQ(test, counted(stage, "system_transport"), 1);
}

static void transport_is_refused(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct nvmet_req *req = &stage->req;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	begin_request(stage, nvme_cmd_read, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_give_up(req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_give_up(req), -EINVAL);
	KUNIT_EXPECT_EQ(test, run_request(stage), NVME_SC_SUCCESS);
	nvmet_req_free_sgls(req);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_refused"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 0);
}

struct refusal {
	const char *name;
	u8 opcode;
	size_t length;
};

static const struct refusal refusals[] = {
	{ "short read", nvme_cmd_read, SZ_4K },
	{ "long read", nvme_cmd_read, SZ_1M },
	{ "short write", nvme_cmd_write, SZ_4K },
	{ "long write", nvme_cmd_write, SZ_1M },
};

KUNIT_ARRAY_PARAM_DESC(refusal, refusals, name);

static void drive_is_refused(struct kunit *test)
{
	const struct refusal *refusal = test->param_value;
	struct stage *stage = make_stage(test);
	struct scatterlist *sg;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	begin_request(stage, refusal->opcode, refusal->length);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	sg = stage->req.sg;
	stage->answers[0] = BLK_STS_TARGET;
	KUNIT_EXPECT_EQ(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 2);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	KUNIT_EXPECT_FALSE(test, stage->peer[1]);
	/* The transport has what it had */
	KUNIT_EXPECT_PTR_EQ(test, stage->req.sg, sg);
	KUNIT_EXPECT_NULL(test, stage->req.p2pmem.bounce);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_refused"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, counted(stage, "system_bytes"), refusal->length);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_requests"), 0);
	KUNIT_EXPECT_EQ(test, counted(stage, "dma_bytes"), 0);
}

/* An error that is not about memory is the initiator's to know */
static void drive_has_an_error(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	int i;

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);

	begin_request(stage, nvme_cmd_read, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_MEDIUM;
	KUNIT_EXPECT_NE(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 1);
	nvmet_req_free_sgls(&stage->req);

	begin_request(stage, nvme_cmd_write, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	for (i = 0; i < NR_BIOS; i++)
		stage->answers[i] = BLK_STS_TARGET;
	KUNIT_EXPECT_NE(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 2);
	nvmet_req_free_sgls(&stage->req);
}

/* What a device that is gone gives back must not be written to the drive */
static void drive_is_refused_and_provider_gone(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	provide(stage, "near");
	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	begin_request(stage, nvme_cmd_write, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_TARGET;
	pci_kunit_set_access(stage->tree, "near", PCI_KUNIT_ACCESS_ALL_ONES);
	KUNIT_EXPECT_NE(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 1);
	pci_kunit_set_access(stage->tree, "near", PCI_KUNIT_ACCESS_NORMAL);
	nvmet_req_free_sgls(&stage->req);
}

static void fail(struct nvmet_req *req)
{
	nvmet_req_complete(req, NVME_SC_INTERNAL);
}

/* As a zone append does that is too long in pieces of system memory */
static void second_buffer_is_not_used(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	void *all;

	KUNIT_ASSERT_EQ(test, enable(stage, "1"), 0);
	connect_nic(stage);
	begin_request(stage, nvme_cmd_write, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_TARGET;
	stage->then = fail;
	KUNIT_EXPECT_NE(test, run_request(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 1);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_NULL(test, stage->req.p2pmem.bounce);

	all = pci_alloc_p2pmem(near, SZ_4M);
	KUNIT_EXPECT_NOT_NULL(test, all);
	if (all)
		pci_free_p2pmem(near, all, SZ_4M);
}

static void enabling_is_refused(struct kunit *test)
{
	struct stage *stage = make_stage(test);

	KUNIT_EXPECT_EQ(test, enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, enable(stage, "0"), 0);
	stage->ns->enabled = false;
	provide(stage, "far");
	KUNIT_EXPECT_EQ(test, enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, enable(stage, pci_name(device(stage, "far"))),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, enable(stage, pci_name(device(stage, "near"))),
			-ENODEV);
	provide(stage, "near");
	stage->ns->bdev = NULL;
	KUNIT_EXPECT_EQ(test, enable(stage, "1"), -EINVAL);
	stage->ns->bdev = stage->disk->part0;
	KUNIT_EXPECT_EQ(test, enable(stage, "1"), 0);
}

static void enabling_needs_the_drivers_support(struct kunit *test)
{
	struct stage *stage = make_stage_on(test, 0);

	provide(stage, "near");
	KUNIT_EXPECT_EQ(test, enable(stage, "1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, enable(stage, "0"), 0);
}

static void setting_is_shown(struct kunit *test)
{
	struct stage *stage = make_stage(test);
	struct pci_dev *near = provide(stage, "near");
	struct nvmet_ns *ns = stage->ns;
	char *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, page, "0\n");
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "1\n"), 0);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, page, "1\n");
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, pci_name(near)), 0);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, strim(page), pci_name(near));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "maybe"), -ENODEV);
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "2"), -ENODEV);
	nvmet_p2pmem_show(ns, page);
	KUNIT_EXPECT_STREQ(test, strim(page), pci_name(near));
	ns->enabled = true;
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "0"), -EBUSY);
	ns->enabled = false;
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_store(ns, "0"), 0);
}

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static bool locks_before;
static u8 cpu_vendor;

static int nvmet_p2pmem_suite_init(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;

	/* Not one of those that forward everything */
	cpu_vendor = cpu_data(0).x86_vendor;
	cpu_data(0).x86_vendor = X86_VENDOR_INTEL;
	return 0;
}

static void nvmet_p2pmem_suite_exit(struct kunit_suite *suite)
{
	cpu_data(0).x86_vendor = cpu_vendor;
}

/* Last: nothing in this suite made the kernel complain */
static void kernel_has_not_complained(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}

static struct kunit_case nvmet_p2pmem_cases[] = {
	KUNIT_CASE(chooses_what_all_reach),
	KUNIT_CASE(keeps_what_is_as_good_as_any),
	KUNIT_CASE(leaves_for_a_nearer_one),
	KUNIT_CASE(takes_none_but_the_wanted),
	KUNIT_CASE(requests_use_the_provider),
	KUNIT_CASE(enabled_while_connected),
	KUNIT_CASE(pool_runs_empty),
	KUNIT_CASE(pool_is_fragmented),
	KUNIT_CASE(metadata_goes_along),
	KUNIT_CASE(some_requests_are_not_eligible),
	KUNIT_CASE(follows_publication),
	KUNIT_CASE(follows_access_control),
	KUNIT_CASE(a_busy_subsystem_is_alone),
	KUNIT_CASE(provider_goes_during_a_request),
	KUNIT_CASE(wanted_is_an_address),
	KUNIT_CASE(copies_by_cpu_only_if_asked),
	KUNIT_CASE(transports_without_it),
	KUNIT_CASE(transport_is_refused),
	KUNIT_CASE_PARAM(drive_is_refused, refusal_gen_params),
	KUNIT_CASE(drive_has_an_error),
	KUNIT_CASE(drive_is_refused_and_provider_gone),
	KUNIT_CASE(second_buffer_is_not_used),
	KUNIT_CASE(enabling_is_refused),
	KUNIT_CASE(enabling_needs_the_drivers_support),
	KUNIT_CASE(setting_is_shown),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite nvmet_p2pmem_suite = {
	.name = "nvmet_p2pmem",
	.suite_init = nvmet_p2pmem_suite_init,
	.suite_exit = nvmet_p2pmem_suite_exit,
	.test_cases = nvmet_p2pmem_cases,
};

kunit_test_suite(nvmet_p2pmem_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer memory in the NVMe target");
MODULE_LICENSE("GPL");
