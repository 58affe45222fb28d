// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of requests of the NVMe target that use peer-to-peer memory
 * (p2pmem-req.c, p2pmem-stats.c): whose memory a request has, what it does
 * without, or if somebody is refused it, and how it is counted.  The request goes
 * the way of the real ones from the allocation of its memory to its completion,
 * through nvmet's own code for block devices, on the stage of p2pmem_stage.h.
 */
#include <kunit/test.h>

#include <linux/kthread.h>
#include <linux/memremap.h>
#include <linux/mutex.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "../../pci/tests/p2pdma_fault.h"
#include "p2pmem_stage.h"

/* Allocations for a second buffer of two pages and metadata, and more than that */
#define BOUNCE_FAULTS	6
#define MOST_FAULTS	50

static void requests_use_the_provider(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	KUNIT_EXPECT_STREQ(test, stage_providers(stage), "");
	stage_connect_nic(stage);
	stage_expect(stage, "near", "dma");

	KUNIT_EXPECT_TRUE(test, stage_whole(stage, nvme_cmd_read, SZ_4K));
	KUNIT_EXPECT_TRUE(test, stage_whole(stage, nvme_cmd_write, SZ_128K));
	KUNIT_EXPECT_TRUE(test, stage_whole(stage, nvme_cmd_read, SZ_1M));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 3);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_bytes"),
			SZ_4K + SZ_128K + SZ_1M);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "cpu_copy_requests"), 0);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 0);
}

/* The provider is there before the controller, or the namespace after both */
static void enabled_while_connected(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	stage_connect_nic(stage);
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_expect(stage, "near", "dma");
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
	/* Nothing is counted as long as nobody wants it to be used */
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 0);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 1);
}

static void pool_runs_empty(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	void *all;

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	all = pci_alloc_p2pmem(near, SZ_4M);
	KUNIT_ASSERT_NOT_NULL(test, all);
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	stage_expect(stage, "near", "dma");
	pci_free_p2pmem(near, all, SZ_4M);
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_bytes"), SZ_4K);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_pool_empty"), 1);
}

#define NEAR_PAGES	(SZ_4M / PAGE_SIZE)

static void let_go(struct pci_dev *near, void **page)
{
	unsigned int i;

	for (i = 0; i < NEAR_PAGES; i++)
		if (page[i])
			pci_free_p2pmem(near, page[i], PAGE_SIZE);
}

/* Allocate all of a provider, and free every other page of it */
static void **hold_every_other_page(struct stage *stage, struct pci_dev *near)
{
	void **page = kunit_kcalloc(stage->test, NEAR_PAGES, sizeof(*page),
				    GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(stage->test, page);
	for (i = 0; i < NEAR_PAGES; i++) {
		page[i] = pci_alloc_p2pmem(near, PAGE_SIZE);
		KUNIT_EXPECT_NOT_NULL(stage->test, page[i]);
	}
	for (i = 0; i < NEAR_PAGES; i++) {
		if (!page[i] || !(PHYS_PFN((unsigned long)page[i]) & 1))
			continue;
		pci_free_p2pmem(near, page[i], PAGE_SIZE);
		page[i] = NULL;
	}

	return page;
}

/* Every other page is free: the memory of a request is in as many pieces */
static void pool_is_fragmented(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	void **page = hold_every_other_page(stage, near);

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_write, SZ_64K);
	KUNIT_EXPECT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_EQ(test, stage->req.sg_cnt, SZ_64K / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_bytes"), SZ_64K);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 0);
	let_go(near, page);
}

/* What the request has got, which it then gives back */
static unsigned int entries(struct stage *stage, u8 opcode, size_t length,
			    size_t longest)
{
	struct nvmet_req *req = &stage->req;
	struct scatterlist *sg;
	unsigned int nr;
	int i;

	stage_begin(stage, opcode, length);
	KUNIT_ASSERT_EQ(stage->test, nvmet_req_alloc_sgls(req), 0);
	KUNIT_EXPECT_TRUE(stage->test, is_pci_p2pdma_page(sg_page(req->sg)));
	for_each_sg(req->sg, sg, req->sg_cnt, i)
		KUNIT_EXPECT_LE(stage->test, (size_t)sg->length, longest);
	nr = req->sg_cnt;
	if (opcode != nvme_cmd_zone_append)
		KUNIT_EXPECT_EQ(stage->test, stage_run(stage), NVME_SC_SUCCESS);
	else
		nvmet_req_uninit(req);
	nvmet_req_free_sgls(req);
	return nr;
}

static void segments_suit_the_drive(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_read, SZ_4K, SZ_4K), 1);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_write, SZ_1M,
				      STAGE_MAX_SEGMENT),
			SZ_1M / STAGE_MAX_SEGMENT);
}

static void segments_suit_the_transport(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage->max_segment = SZ_64K;
	stage_connect_nic(stage);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_read, SZ_64K, SZ_64K), 1);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_read, SZ_1M, SZ_64K), 16);
}

/* One that takes less than a page has none of it */
static void segments_suit_nobody(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage->max_segment = SZ_2K;
	stage_connect_nic(stage);
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_pool_empty"), 1);
}

/* A zone append is one command, however much is free in pieces */
static void a_zone_append_is_not_cut(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	void **page = hold_every_other_page(stage, near);
	size_t most = STAGE_MAX_SEGMENTS * PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_zone_append, most,
				      PAGE_SIZE), STAGE_MAX_SEGMENTS);
	KUNIT_EXPECT_EQ(test, entries(stage, nvme_cmd_write, 2 * most,
				      PAGE_SIZE), 2 * STAGE_MAX_SEGMENTS);

	stage_begin(stage, nvme_cmd_zone_append, 2 * most);
	KUNIT_EXPECT_FALSE(test, nvmet_p2pmem_alloc(&stage->req));
	KUNIT_EXPECT_EQ(test, stage->req.p2pmem.why, NVMET_P2PMEM_POOL_EMPTY);
	nvmet_req_uninit(&stage->req);
	let_go(near, page);
}

static void metadata_goes_along(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	struct nvmet_req *req = &stage->req;
	void *rest;

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_write, SZ_4K);
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
	req->transfer_len = SZ_2M + req->metadata_len;
	KUNIT_EXPECT_FALSE(test, nvmet_p2pmem_alloc(req));
	KUNIT_EXPECT_NULL(test, req->sg);
	pci_free_p2pmem(near, rest, SZ_2M);
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_alloc(req));
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_free(req));
	nvmet_req_uninit(req);
}

/* A bio takes data of two resources of a provider apart, and metadata not at all */
static void metadata_is_of_one_resource(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct pci_dev *near = pci_kunit_bind(stage->tree, "near");
	struct nvmet_req *req = &stage->req;
	void *first, *second;

	if (!IS_ENABLED(CONFIG_BLK_DEV_INTEGRITY))
		kunit_skip(test, "needs CONFIG_BLK_DEV_INTEGRITY");

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(near, 0, SZ_2M, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(near, 0, SZ_2M, SZ_2M),
			0);
	pci_p2pmem_publish(near, true);
	stage->disk->queue->limits.max_integrity_segments = 2;
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);

	/* Leaves two pages of one, of which the data takes one, and one of the other */
	first = pci_alloc_p2pmem(near, SZ_2M - 2 * PAGE_SIZE);
	second = pci_alloc_p2pmem(near, SZ_2M - PAGE_SIZE);
	KUNIT_EXPECT_NOT_NULL(test, first);
	KUNIT_EXPECT_NOT_NULL(test, second);
	stage_begin(stage, nvme_cmd_write, PAGE_SIZE);
	req->metadata_len = 2 * PAGE_SIZE;
	req->transfer_len += req->metadata_len;
	KUNIT_EXPECT_FALSE(test, nvmet_p2pmem_alloc(req));
	KUNIT_EXPECT_EQ(test, req->p2pmem.why, NVMET_P2PMEM_POOL_EMPTY);
	KUNIT_EXPECT_NULL(test, req->metadata_sg);

	/* It need not be the resource that the data is of */
	if (second)
		pci_free_p2pmem(near, second, SZ_2M - PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_alloc(req));
	KUNIT_EXPECT_TRUE(test, nvmet_p2pmem_free(req));
	nvmet_req_uninit(req);
	if (first)
		pci_free_p2pmem(near, first, SZ_2M - 2 * PAGE_SIZE);
}

static void some_requests_are_not_eligible(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct scatterlist inline_sg;
	struct page *page;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);

	/* Data that the target reads itself */
	stage_begin(stage, nvme_cmd_dsm, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	nvmet_req_free_sgls(&stage->req);
	nvmet_req_uninit(&stage->req);

	/* An admin command */
	stage_begin(stage, nvme_cmd_read, SZ_4K);
	stage->sq.qid = 0;
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	nvmet_req_free_sgls(&stage->req);
	nvmet_req_uninit(&stage->req);
	stage->sq.qid = 1;

	/* Of a namespace on a file that was given the setting just now */
	mutex_lock(&stage->subsys.lock);
	stage_begin(stage, nvme_cmd_read, SZ_4K);
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
	stage_begin(stage, nvme_cmd_write, SZ_4K);
	sg_init_table(&inline_sg, 1);
	sg_set_page(&inline_sg, page, SZ_4K, 0);
	stage->req.sg = &inline_sg;
	stage->req.sg_cnt = 1;
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	__free_page(page);

	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_not_eligible"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 0);
}

static void transport_is_refused(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	struct nvmet_req *req = &stage->req;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_read, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_give_up(req), 0);
	KUNIT_EXPECT_FALSE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	KUNIT_EXPECT_EQ(test, nvmet_p2pmem_give_up(req), -EINVAL);
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	nvmet_req_free_sgls(req);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_refused"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 0);
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
	struct stage *stage = stage_make(test);
	struct scatterlist *sg;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, refusal->opcode, refusal->length);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	sg = stage->req.sg;
	stage->answers[0] = BLK_STS_TARGET;
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 2);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	KUNIT_EXPECT_FALSE(test, stage->peer[1]);
	/* The transport has what it had */
	KUNIT_EXPECT_PTR_EQ(test, stage->req.sg, sg);
	KUNIT_EXPECT_NULL(test, stage->req.p2pmem.bounce);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_refused"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_requests"), 1);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_bytes"), refusal->length);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), 0);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_bytes"), 0);
}

/* An error that is not about memory is the initiator's to know */
static void drive_has_an_error(struct kunit *test)
{
	struct stage *stage = stage_make(test);
	int i;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);

	stage_begin(stage, nvme_cmd_read, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_MEDIUM;
	KUNIT_EXPECT_NE(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 1);
	nvmet_req_free_sgls(&stage->req);

	stage_begin(stage, nvme_cmd_write, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	for (i = 0; i < NR_BIOS; i++)
		stage->answers[i] = BLK_STS_TARGET;
	KUNIT_EXPECT_NE(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 2);
	nvmet_req_free_sgls(&stage->req);
}

/* What a device that is gone gives back must not be written to the drive */
static void drive_is_refused_and_provider_gone(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_write, SZ_4K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_TARGET;
	pci_kunit_set_access(stage->tree, "near", PCI_KUNIT_ACCESS_ALL_ONES);
	/* The initiator has it still, and is to try again */
	KUNIT_EXPECT_EQ(test, stage_run(stage) & ~NVME_STATUS_MORE,
			NVME_SC_INTERNAL);
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
	struct stage *stage = stage_make(test);
	struct pci_dev *near = stage_provide(stage, "near");
	void *all;

	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_write, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage->answers[0] = BLK_STS_TARGET;
	stage->then = fail;
	KUNIT_EXPECT_NE(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 1);
	nvmet_req_free_sgls(&stage->req);
	KUNIT_EXPECT_NULL(test, stage->req.p2pmem.bounce);

	all = pci_alloc_p2pmem(near, SZ_4M);
	KUNIT_EXPECT_NOT_NULL(test, all);
	if (all)
		pci_free_p2pmem(near, all, SZ_4M);
}

/* Nothing is allocated of a provider, which has so many bytes */
static void expect_all_free(struct stage *stage, const char *name, size_t size)
{
	struct pci_dev *pdev = stage_device(stage, name);
	void *all = pci_alloc_p2pmem(pdev, size);

	KUNIT_EXPECT_NOT_NULL(stage->test, all);
	if (all)
		pci_free_p2pmem(pdev, all, size);
}

/* Somebody who is before a request in the queue, and takes his time */
struct dawdler {
	struct work_struct	work;
	struct completion	go;
};

static void dawdle(struct work_struct *work)
{
	wait_for_completion(&container_of(work, struct dawdler, work)->go);
}

/*
 * The backend was refused the request's memory, and what a worker would do about
 * it is done here: only the allocations of this task can be made to fail.
 * Returns whether the n-th one has.
 */
static bool refuse_here(struct stage *stage, unsigned int n)
{
	struct work_struct *work = &stage->req.p2pmem.work;
	struct workqueue_struct *before = nvmet_wq, *queue;
	struct dawdler dawdler;
	bool hit;

	queue = alloc_ordered_workqueue("p2pmem_req_test", 0);
	KUNIT_ASSERT_NOT_NULL(stage->test, queue);
	init_completion(&dawdler.go);
	INIT_WORK_ONSTACK(&dawdler.work, dawdle);
	queue_work(queue, &dawdler.work);

	nvmet_wq = queue;
	KUNIT_EXPECT_TRUE(stage->test, nvmet_p2pmem_io_done(&stage->req,
							    BLK_STS_TARGET));
	nvmet_wq = before;
	KUNIT_EXPECT_TRUE(stage->test, cancel_work_sync(work));
	complete(&dawdler.go);
	destroy_workqueue(queue);
	destroy_work_on_stack(&dawdler.work);

	fault_set_nth(n);
	work->func(work);
	hit = !fault_get_nth();
	fault_set_nth(0);
	return hit;
}

/* As a drive does with system memory */
static void succeed(struct nvmet_req *req)
{
	nvmet_p2pmem_io_done(req, BLK_STS_OK);
}

/* Returns false if no n-th allocation is made */
static bool bounce_fails(struct stage *stage, u8 opcode, unsigned int n,
			 unsigned int *failures)
{
	struct nvmet_req *req = &stage->req;
	struct kunit *test = stage->test;
	u16 status;
	bool hit;

	stage_begin(stage, opcode, 2 * PAGE_SIZE);
	req->metadata_len = 64;
	req->transfer_len += 64;
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(req->sg)));
	nvmet_p2pmem_account(req);
	req->execute = succeed;

	hit = refuse_here(stage, n);
	stage_await(stage);
	status = le16_to_cpu(stage->cqe.status) >> 1;
	if (status != NVME_SC_SUCCESS) {
		++*failures;
		KUNIT_EXPECT_TRUE_MSG(test, hit, "fails without a fault");
		/* The initiator is to try again */
		KUNIT_EXPECT_EQ_MSG(test, status & ~NVME_STATUS_MORE,
				    NVME_SC_INTERNAL, "fault %u", n);
	}
	KUNIT_EXPECT_NULL(test, req->p2pmem.bounce);
	nvmet_req_free_sgls(req);
	expect_all_free(stage, "near", SZ_4M);
	return hit;
}

/* Each allocation of the second buffer fails in turn */
static void drive_is_refused_when_memory_is_short(struct kunit *test)
{
	static const u8 opcodes[] = { nvme_cmd_read, nvme_cmd_write };
	unsigned int i, n, failures, all = 0, requests = 0;
	struct stage *stage;
	bool hit;

	if (!IS_ENABLED(CONFIG_PCI_P2PDMA_KUNIT_TEST))
		kunit_skip(test, "needs CONFIG_PCI_P2PDMA_KUNIT_TEST");
	fault_prepare(test);
	stage = stage_make(test);
	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		n = 0;
		failures = 0;
		do {
			hit = bounce_fails(stage, opcodes[i], ++n, &failures);
		} while (hit && n < MOST_FAULTS);
		KUNIT_EXPECT_FALSE(test, hit);
		/* Some do no harm: the allocator, too, allocates, now and then */
		KUNIT_EXPECT_GE(test, n - 1, BOUNCE_FAULTS);
		KUNIT_EXPECT_GT(test, failures, 0);
		all += failures;
		requests += n;
	}

	/* What ended before it had a second buffer did not use system memory */
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "dma_requests"), all);
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_refused"),
			requests - all);
	/* The last one of each opcode met none */
	kunit_info(test, "figure: faults=%zu\n", requests - ARRAY_SIZE(opcodes));
}

static void namespace_goes_during_a_request(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_write, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	stage_disable(stage);
	KUNIT_EXPECT_STREQ(test, stage_providers(stage), "");

	/* A change of the providers does not bring it back */
	stage_provide(stage, "far");
	flush_work(&stage->subsys.p2pmem.work);
	KUNIT_EXPECT_STREQ(test, stage_providers(stage), "");

	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	nvmet_req_free_sgls(&stage->req);
	expect_all_free(stage, "near", SZ_4M);

	/* Another setting, and as it was */
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "0"), 0);
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	stage_disable(stage);
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_expect(stage, "near", "dma");
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
}

/* The same while the drive has been refused the memory */
static void namespace_goes_during_a_bounce(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);
	stage_begin(stage, nvme_cmd_read, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	stage_disable(stage);
	stage->answers[0] = BLK_STS_TARGET;
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_EQ(test, stage->bios, 2);
	KUNIT_EXPECT_FALSE(test, stage->peer[1]);
	nvmet_req_free_sgls(&stage->req);
	expect_all_free(stage, "near", SZ_4M);
}

static int unbind(void *data)
{
	struct stage *stage = data;

	pci_kunit_unbind(stage->tree, "near");
	return 0;
}

/*
 * A request keeps its memory, the provider's end waits, others do without.
 * @present says whether the device still answers.
 */
static void provider_goes(struct stage *stage, bool present)
{
	struct kunit *test = stage->test;
	struct task_struct *task;

	stage_provide(stage, "near");
	KUNIT_ASSERT_EQ(test, stage_enable(stage, "1"), 0);
	stage_connect_nic(stage);

	stage_begin(stage, nvme_cmd_write, SZ_64K);
	KUNIT_ASSERT_EQ(test, nvmet_req_alloc_sgls(&stage->req), 0);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(stage->req.sg)));
	if (!present)
		pci_kunit_set_access(stage->tree, "near",
				     PCI_KUNIT_ACCESS_ALL_ONES);
	task = kthread_create(unbind, stage, "p2pmem_unbind");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, NULL, "no_provider"));
	KUNIT_EXPECT_EQ(test, stage_run(stage), NVME_SC_SUCCESS);
	KUNIT_EXPECT_TRUE(test, stage->peer[0]);
	nvmet_req_free_sgls(&stage->req);
	kthread_stop(task);
	put_task_struct(task);

	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	KUNIT_EXPECT_EQ(test, stage_counted(stage, "system_no_provider"), 1);
}

static void provider_goes_during_a_request(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	provider_goes(stage, true);
	stage_provide(stage, "near");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
}

/* Pulled out, and another one put in */
static void provider_is_unplugged_during_a_request(struct kunit *test)
{
	struct stage *stage = stage_make(test);

	provider_goes(stage, false);
	pci_kunit_remove(stage->tree, "near");
	KUNIT_EXPECT_FALSE(test, stage_read(stage));
	pci_kunit_set_access(stage->tree, "near", PCI_KUNIT_ACCESS_NORMAL);
	pci_kunit_rescan(stage->tree);
	stage_provide(stage, "near");
	KUNIT_EXPECT_TRUE(test, stage_becomes(stage, "near", "dma"));
	KUNIT_EXPECT_TRUE(test, stage_read(stage));
}

static struct kunit_case nvmet_p2pmem_req_cases[] = {
	KUNIT_CASE(requests_use_the_provider),
	KUNIT_CASE(enabled_while_connected),
	KUNIT_CASE(pool_runs_empty),
	KUNIT_CASE(pool_is_fragmented),
	KUNIT_CASE(segments_suit_the_drive),
	KUNIT_CASE(segments_suit_the_transport),
	KUNIT_CASE(segments_suit_nobody),
	KUNIT_CASE(a_zone_append_is_not_cut),
	KUNIT_CASE(metadata_goes_along),
	KUNIT_CASE(metadata_is_of_one_resource),
	KUNIT_CASE(some_requests_are_not_eligible),
	KUNIT_CASE(namespace_goes_during_a_request),
	KUNIT_CASE(namespace_goes_during_a_bounce),
	KUNIT_CASE(provider_goes_during_a_request),
	KUNIT_CASE(provider_is_unplugged_during_a_request),
	KUNIT_CASE(transport_is_refused),
	KUNIT_CASE_PARAM(drive_is_refused, refusal_gen_params),
	KUNIT_CASE(drive_has_an_error),
	KUNIT_CASE(drive_is_refused_and_provider_gone),
	KUNIT_CASE(second_buffer_is_not_used),
	KUNIT_CASE(drive_is_refused_when_memory_is_short),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite nvmet_p2pmem_req_suite = {
	.name = "nvmet_p2pmem_req",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = nvmet_p2pmem_req_cases,
};

kunit_test_suite(nvmet_p2pmem_req_suite);

MODULE_DESCRIPTION("KUnit tests of requests with peer-to-peer memory in the NVMe target");
MODULE_LICENSE("GPL");
