// SPDX-License-Identifier: GPL-2.0
/*
 * A stage for KUnit tests of peer-to-peer memory in the NVMe target: what it
 * consists of is told in p2pmem_stage.h.
 *
 * A stage owns a tree of devices, a disk, and the structures of a subsystem with
 * one namespace and at most one controller, which no other part of the target
 * knows.  They end in the reverse of the order in which they were made, each by
 * an action of the case.
 *
 * Locking: the subsystem's lock, as in the target.
 *
 * What must never happen: a part of a stage that its case leaves to the next one.
 */
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/limits.h>
#include <linux/memremap.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "p2pmem_stage.h"

#define UNLISTED	0x29c0
#define PATIENCE	(60 * HZ)
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

static void drive_submit(struct bio *bio)
{
	struct stage *stage = bio->bi_bdev->bd_disk->private_data;
	unsigned int i = min_t(unsigned int, stage->bios++, NR_BIOS - 1);
	unsigned long flags;

	stage->peer[i] = is_pci_p2pdma_page(bio_page(bio));
	if (stage->then)
		stage->req.execute = stage->then;
	bio->bi_status = stage->answers[i];
	/* As drives do, where nobody may wait */
	local_irq_save(flags);
	bio_endio(bio);
	local_irq_restore(flags);
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

const struct nvmet_fabrics_ops stage_transport = {
	.owner		= THIS_MODULE,
	.type		= NVMF_TRTYPE_RDMA,
	.queue_response	= transport_respond,
	.delete_ctrl	= transport_delete_ctrl,
};

const struct nvmet_fabrics_ops stage_loop = {
	.owner		= THIS_MODULE,
	.type		= NVMF_TRTYPE_LOOP,
	.queue_response	= transport_respond,
	.delete_ctrl	= transport_delete_ctrl,
};

/**
 * stage_provide - have a device provide the memory of its BAR 0
 * @stage: the stage
 * @name: its name in the tree
 *
 * Return: the device.
 */
struct pci_dev *stage_provide(struct stage *stage, const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(stage->tree, name);

	KUNIT_ASSERT_EQ(stage->test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	pci_p2pmem_publish(pdev, true);
	return pdev;
}

/**
 * stage_device - one of the devices
 * @stage: the stage
 * @name: its name in the tree
 *
 * Return: the device, without a reference; it stays until it is taken out.
 */
struct pci_dev *stage_device(struct stage *stage, const char *name)
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
	struct queue_limits limits = {
		.features = features,
		.max_segments = STAGE_MAX_SEGMENTS,
		.max_segment_size = STAGE_MAX_SEGMENT,
	};
	struct kunit *test = stage->test;

	stage->disk = blk_alloc_disk(&limits, NUMA_NO_NODE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(stage->disk));
	stage->disk->fops = &drive_ops;
	stage->disk->private_data = stage;
	strscpy(stage->disk->disk_name, "p2pmemtest", DISK_NAME_LEN);
	set_capacity(stage->disk, SZ_64M >> SECTOR_SHIFT);
	KUNIT_ASSERT_EQ(test, device_add_disk(&stage_device(stage, "ssd")->dev,
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

	stage_disable(stage);
	percpu_ref_exit(&stage->ns->ref);
	percpu_ref_exit(&stage->sq.ref);
	nvmet_p2pmem_ns_exit(stage->ns);
}

/**
 * stage_make_on - make a stage
 * @test: the case
 * @features: features of the drive
 *
 * Return: the stage, whose namespace is disabled and has no controller.
 */
struct stage *stage_make_on(struct kunit *test, blk_features_t features)
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
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_ns, stage),
			0);
	init_completion(&stage->responded);
	return stage;
}

/**
 * stage_make - make a stage with a drive that takes peer-to-peer memory
 * @test: the case
 *
 * Return: see stage_make_on().
 */
struct stage *stage_make(struct kunit *test)
{
	return stage_make_on(test, BLK_FEAT_PCI_P2PDMA);
}

/**
 * stage_enable - do what user space does with the attributes p2pmem and enable
 * @stage: the stage
 * @setting: text for p2pmem
 *
 * Return: 0 or the error.
 */
int stage_enable(struct stage *stage, const char *setting)
{
	struct nvmet_ns *ns = stage->ns;
	int error = nvmet_p2pmem_store(ns, setting);

	if (error)
		return error;

	mutex_lock(&stage->subsys.lock);
	error = nvmet_p2pmem_ns_enable(ns);
	if (!error) {
		error = xa_insert(&stage->subsys.namespaces, ns->nsid, ns,
				  GFP_KERNEL);
		if (error)
			nvmet_p2pmem_ns_disable(ns);
	}
	ns->enabled = !error;
	mutex_unlock(&stage->subsys.lock);
	return error;
}

/**
 * stage_disable - do what nvmet_ns_disable() does until it waits for requests
 * @stage: the stage
 */
void stage_disable(struct stage *stage)
{
	struct nvmet_ns *ns = stage->ns;

	mutex_lock(&stage->subsys.lock);
	ns->enabled = false;
	xa_erase(&stage->subsys.namespaces, ns->nsid);
	nvmet_p2pmem_ns_disable(ns);
	mutex_unlock(&stage->subsys.lock);
}

static void disconnect(void *data)
{
	struct stage *stage = data;

	mutex_lock(&stage->subsys.lock);
	nvmet_release_p2p_ns_map(&stage->ctrl);
	list_del(&stage->ctrl.subsys_entry);
	mutex_unlock(&stage->subsys.lock);
}

/**
 * stage_connect - have an initiator connect
 * @stage: the stage
 * @ops: the transport
 */
void stage_connect(struct stage *stage, const struct nvmet_fabrics_ops *ops)
{
	stage->ctrl.subsys = &stage->subsys;
	stage->ctrl.cntlid = 7;
	stage->ctrl.ops = ops;
	spin_lock_init(&stage->ctrl.error_lock);
	stage->sq.ctrl = &stage->ctrl;
	stage->sq.qid = 1;
	stage->req.ops = ops;
	stage->req.sq = &stage->sq;
	stage->req.cmd = &stage->cmd;
	stage->req.cqe = &stage->cqe;

	mutex_lock(&stage->subsys.lock);
	list_add_tail(&stage->ctrl.subsys_entry, &stage->subsys.ctrls);
	nvmet_setup_p2p_ns_map(&stage->ctrl, &stage->req);
	mutex_unlock(&stage->subsys.lock);
	KUNIT_ASSERT_EQ(stage->test,
			kunit_add_action_or_reset(stage->test, disconnect,
						  stage), 0);
}

/**
 * stage_connect_nic - have one connect whose data a network card moves by DMA
 * @stage: the stage
 */
void stage_connect_nic(struct stage *stage)
{
	nvmet_p2pmem_req_client(&stage->req, &stage_device(stage, "nic")->dev,
				stage->max_segment ?: UINT_MAX);
	stage_connect(stage, &stage_transport);
}

/**
 * stage_begin - begin a request, which has no memory yet
 * @stage: the stage
 * @opcode: its command
 * @length: bytes of data
 */
void stage_begin(struct stage *stage, u8 opcode, size_t length)
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

/**
 * stage_await - wait for the response to a request, and for who has given it
 * @stage: the stage
 */
void stage_await(struct stage *stage)
{
	KUNIT_ASSERT_NE(stage->test, 0UL,
			wait_for_completion_timeout(&stage->responded,
						    PATIENCE));
	/* Namespace and queue are put after that, in a worker perhaps */
	flush_workqueue(nvmet_wq);
}

/**
 * stage_run - do the drive's part of a request that has memory
 * @stage: the stage
 *
 * Return: the NVMe status, without the phase.
 */
u16 stage_run(struct stage *stage)
{
	struct nvmet_req *req = &stage->req;

	stage->bios = 0;
	KUNIT_ASSERT_EQ(stage->test, nvmet_bdev_parse_io_cmd(req), 0);
	req->execute(req);
	stage_await(stage);
	return le16_to_cpu(stage->cqe.status) >> 1;
}

/**
 * stage_whole - do all of a request, which succeeds
 * @stage: the stage
 * @opcode: its command
 * @length: bytes of data
 *
 * Return: whether its memory was a provider's.
 */
bool stage_whole(struct stage *stage, u8 opcode, size_t length)
{
	bool peer;

	stage_begin(stage, opcode, length);
	KUNIT_ASSERT_EQ(stage->test, nvmet_req_alloc_sgls(&stage->req), 0);
	peer = is_pci_p2pdma_page(sg_page(stage->req.sg));
	KUNIT_EXPECT_EQ(stage->test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(stage->test, stage->peer[0], peer);
	nvmet_req_free_sgls(&stage->req);
	return peer;
}

/**
 * stage_read - do all of a read of 4 KiB
 * @stage: the stage
 *
 * Return: see stage_whole().
 */
bool stage_read(struct stage *stage)
{
	return stage_whole(stage, nvme_cmd_read, SZ_4K);
}

/**
 * stage_counted - a number of the attribute p2pmem_stats
 * @stage: the stage
 * @name: its name
 *
 * Return: the number, all ones if there is none of that name.
 */
u64 stage_counted(struct stage *stage, const char *name)
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

/**
 * stage_providers - the attribute p2pmem_providers
 * @stage: the stage
 *
 * Return: its text, without the end of the line.
 */
char *stage_providers(struct stage *stage)
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
		 provider ? pci_name(stage_device(stage, provider)) : "none", how);
	return text;
}

/**
 * stage_expect - expect the controller to have a provider
 * @stage: the stage
 * @provider: name of the device, or NULL for none
 * @how: what p2pmem_providers says after it
 */
void stage_expect(struct stage *stage, const char *provider, const char *how)
{
	KUNIT_EXPECT_STREQ(stage->test, stage_providers(stage),
			   state(stage, provider, how));
}

/**
 * stage_becomes - wait until a worker has looked at a change
 * @stage: the stage
 * @provider: name of the device, or NULL for none
 * @how: what p2pmem_providers says after it
 *
 * Return: whether it came out like that.
 */
bool stage_becomes(struct stage *stage, const char *provider, const char *how)
{
	char *wanted = state(stage, provider, how);
	int i;

	for (i = 0; i < 3000; i++) {
		if (!strcmp(stage_providers(stage), wanted))
			return true;
		msleep(20);
	}

	kunit_info(stage->test, "wanted '%s', is '%s'", wanted,
		   stage_providers(stage));
	return false;
}
