// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit stress test of peer-to-peer memory that programs have, while its provider
 * comes and goes.
 *
 * Threads in the address space of one process get memory by the device node, as a
 * file descriptor, and by mmap() of p2pmem/allocate; they map it, pin pages as I/O
 * does, let a device import it and map it, and close.  Meanwhile the driver of the
 * provider is unbound and bound again, or the port above it removed and found
 * again, by which all of it is taken away wherever it is, but for what is pinned or
 * mapped for a device: that is waited for, and importers are told to let go.
 *
 *   host ─── 01.0 rp ── up ─┬─ 00.0 dn0 ── mem   BAR 0 8 MiB
 *                           └─ 01.0 dn1 ── nic   the importer
 *
 * A page that is pinned, or that a device has mapped, bears a mark in a shadow of
 * the memory (p2pdma_shadow.h): nobody else may get it before it is let go of, and
 * nobody at all in the next life of the provider.
 *
 * With p2pdma_stress_user_test.cycles=N on the command line it goes on for longer,
 * and for three minutes at most.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "../p2pdma.h"
#include "p2pdma_shadow.h"
#include "p2pdma_test.h"

MODULE_IMPORT_NS(DMA_BUF);

#define THREADS		3
#define BUS_OFFSET	SZ_2G
#define LONGEST_MS	30000

/* A node keeps its number for as long as somebody has it open */
#define MINORS		8

/* How often the switch above the provider goes, rather than its driver */
#define SWITCH_EVERY	10

static unsigned int cycles = P2P_SLOW ? 250 : 1000;
module_param(cycles, uint, 0444);
MODULE_PARM_DESC(cycles, "How often the provider is taken away (default: 1000, or 250 with KASAN or KCSAN)");

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED),
	  .window = SZ_64M, .bus_offset = BUS_OFFSET },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_8M } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
};

struct storm;

/**
 * struct worker - a thread
 * @storm: what it is part of
 * @id: its number
 * @serial: number of its last mark
 * @mark: mark of what it has imported
 * @rnd: what it does next
 * @user: memory of the process for its requests
 * @sgt: what the device has mapped, under the reservation lock of the dma-buf
 * @done: it has ended
 * @started: it has begun
 * @exported: file descriptors
 * @mapped: mappings
 * @pinned: pages that were pinned
 * @imported: mappings for the device
 * @notified: how often it was told to let go of one
 * @refused: requests that came when there was no provider, or not enough memory
 * @taken: pages that somebody had already
 * @lost: pages that were not ours any more
 * @wrong: other answers that must not be
 */
struct worker {
	struct storm *storm;
	int id;
	u32 serial;
	int mark;
	struct rnd_state rnd;
	char __user *user;
	struct sg_table *sgt;
	struct completion done;
	bool started;
	unsigned long exported;
	unsigned long mapped;
	unsigned long pinned;
	unsigned long imported;
	unsigned long notified;
	unsigned long refused;
	unsigned long taken;
	unsigned long lost;
	unsigned long wrong;
};

/**
 * struct storm - what the threads share
 * @test: the test
 * @tree: the PCI tree
 * @nic: the importer
 * @shadow: the marks
 * @mm: the address space
 * @sysfs: where p2pmem/allocate is
 * @allocate: its path
 * @nodes: where the device nodes are
 * @stop: the threads are to end
 * @worker: the threads
 */
struct storm {
	struct kunit *test;
	struct pci_kunit_tree *tree;
	struct pci_dev *nic;
	struct shadow *shadow;
	struct mm_struct *mm;
	struct vfsmount *sysfs;
	char *allocate;
	struct vfsmount *nodes;
	bool stop;
	struct worker worker[THREADS];
};

static u32 draw(struct worker *w, u32 below)
{
	return prandom_u32_state(&w->rnd) % below;
}

static int new_mark(struct worker *w)
{
	return w->id << 24 | (++w->serial & 0xffffff);
}

/* Pages that are pinned ----------------------------------------------------- */

static void pin_page(struct worker *w, unsigned long addr)
{
	int mark = new_mark(w);
	struct page *page;
	phys_addr_t phys;

	if (pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_PCI_P2PDMA,
				&page) != 1) {
		w->refused++;
		return;
	}
	w->pinned++;
	phys = page_to_phys(page);
	w->taken += shadow_mark(w->storm->shadow, phys, PAGE_SIZE, 0, mark);
	if (!draw(w, 4))
		usleep_range(10, 300);
	w->lost += shadow_mark(w->storm->shadow, phys, PAGE_SIZE, mark, 0);
	unpin_user_page(page);
}

/* In a few parts, since part of a mapping may go */
static void use_mapping(struct worker *w, unsigned long addr, size_t len)
{
	unsigned int i, n = draw(w, 4);
	size_t part = PAGE_ALIGN(draw(w, len));

	w->mapped++;
	for (i = 0; i < n; i++)
		pin_page(w, addr + (draw(w, len) & PAGE_MASK));
	if (part && !draw(w, 2)) {
		vm_munmap(addr, part);
		addr += part;
		len -= part;
		if (len)
			pin_page(w, addr);
	}
	if (len)
		vm_munmap(addr, len);
}

static void map_file(struct worker *w, struct file *file, size_t len)
{
	unsigned long addr = vm_mmap(file, 0, len, PROT_READ | PROT_WRITE,
				     MAP_SHARED, 0);

	if (IS_ERR_VALUE(addr))
		w->refused++;
	else
		use_mapping(w, addr, len);
}

static void map_allocate(struct worker *w, size_t len)
{
	struct file *file = file_open_root_mnt(w->storm->sysfs,
					       w->storm->allocate, O_RDWR, 0);

	if (IS_ERR(file)) {
		w->refused++;
		return;
	}
	map_file(w, file, len);
	fput(file);
}

/* A device ------------------------------------------------------------------ */

/* By the addresses that the device is told: pages are not for importers */
static unsigned long mark_table(struct worker *w, int from, int to)
{
	unsigned long wrong = 0;
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(w->sgt, sg, i)
		wrong += shadow_mark(w->storm->shadow,
				     sg_dma_address(sg) + BUS_OFFSET,
				     sg_dma_len(sg), from, to);
	return wrong;
}

/* Under the reservation lock */
static void let_go(struct worker *w, struct dma_buf_attachment *attach)
{
	if (!w->sgt)
		return;
	w->lost += mark_table(w, w->mark, 0);
	dma_buf_unmap_attachment(attach, w->sgt, DMA_BIDIRECTIONAL);
	w->sgt = NULL;
}

static void told_to_let_go(struct dma_buf_attachment *attach)
{
	struct worker *w = attach->importer_priv;

	w->notified++;
	let_go(w, attach);
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.move_notify = told_to_let_go,
};

static void map_for_device(struct worker *w, struct dma_buf_attachment *attach)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		w->wrong += PTR_ERR(sgt) != -ENODEV;
		w->refused++;
		return;
	}
	w->imported++;
	w->sgt = sgt;
	w->mark = new_mark(w);
	w->taken += mark_table(w, 0, w->mark);
}

static void import(struct worker *w, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;
	unsigned int i, n = 1 + draw(w, 3);

	attach = dma_buf_dynamic_attach(dmabuf, &w->storm->nic->dev,
					&importer_ops, w);
	if (IS_ERR(attach)) {
		w->wrong += PTR_ERR(attach) != -ENODEV;
		w->refused++;
		return;
	}
	for (i = 0; i < n; i++) {
		dma_resv_lock(dmabuf->resv, NULL);
		map_for_device(w, attach);
		dma_resv_unlock(dmabuf->resv);
		if (!draw(w, 2))
			usleep_range(10, 300);
		dma_resv_lock(dmabuf->resv, NULL);
		let_go(w, attach);
		dma_resv_unlock(dmabuf->resv);
	}
	dma_buf_detach(dmabuf, attach);
}

/* The device node ----------------------------------------------------------- */

static int allocate_fd(struct worker *w, size_t len)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want),
		.fd_flags = O_RDWR | O_CLOEXEC,
		.length = len,
	};
	char name[4];
	struct file *file;
	int fd;

	snprintf(name, sizeof(name), "%u", draw(w, draw(w, 4) ? 1 : MINORS));
	file = file_open_root_mnt(w->storm->nodes, name, O_RDWR, 0);
	if (IS_ERR(file)) {
		w->wrong += PTR_ERR(file) != -ENXIO;
		return PTR_ERR(file);
	}
	if (copy_to_user(w->user, &want, sizeof(want)))
		fd = -EFAULT;
	else
		fd = vfs_ioctl(file, PCI_P2PDMA_IOC_ALLOC,
			       (unsigned long)w->user);
	w->wrong += fd < 0 && fd != -ENODEV && fd != -ENOMEM;
	fput(file);
	return fd;
}

static void use_fd(struct worker *w, size_t len)
{
	int fd = allocate_fd(w, len);
	struct dma_buf *dmabuf;

	if (fd < 0) {
		w->refused++;
		return;
	}
	w->exported++;
	dmabuf = dma_buf_get(fd);
	w->wrong += IS_ERR(dmabuf) || close_fd(fd);
	if (IS_ERR(dmabuf))
		return;
	/* Pages that are pinned are not also marked as imported */
	if (draw(w, 2))
		import(w, dmabuf);
	else
		map_file(w, dmabuf->file, len);
	dma_buf_put(dmabuf);
}

/* Threads ------------------------------------------------------------------- */

static int work(void *data)
{
	struct worker *w = data;
	unsigned long refused;
	size_t len;

	kthread_use_mm(w->storm->mm);
	while (!READ_ONCE(w->storm->stop)) {
		len = draw(w, 4) ? PAGE_SIZE << draw(w, 8) :
				   PAGE_ALIGN(1 + draw(w, SZ_2M + SZ_64K));
		refused = w->refused;
		if (draw(w, 3))
			use_fd(w, len);
		else
			map_allocate(w, len);
		/* Who asks again at once takes time from what it waits for */
		if (w->refused != refused)
			usleep_range(200, 1000);
		/* What was let go of goes back when files are closed */
		flush_delayed_fput();
		cond_resched();
	}
	kthread_unuse_mm(w->storm->mm);
	complete(&w->done);
	return 0;
}

static void stop_threads(void *data)
{
	struct storm *storm = data;
	unsigned int i;

	WRITE_ONCE(storm->stop, true);
	for (i = 0; i < THREADS; i++)
		if (storm->worker[i].started)
			wait_for_completion(&storm->worker[i].done);
	mmput(storm->mm);
}

static void start_threads(struct storm *storm, char __user *user)
{
	struct kunit *test = storm->test;
	struct task_struct *task;
	unsigned int i;

	/* The test may be aborted, and its address space go, before they end */
	storm->mm = current->mm;
	mmget(storm->mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_threads,
							storm), 0);
	for (i = 0; i < THREADS; i++) {
		struct worker *w = &storm->worker[i];

		w->storm = storm;
		w->id = i + 1;
		w->user = user + i * PAGE_SIZE;
		prandom_seed_state(&w->rnd, w->id);
		init_completion(&w->done);
		task = kthread_create(work, w, "p2pdma_stress/%u", i);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(task), "%pe", task);
		set_user_nice(task, MAX_NICE);
		w->started = true;
		wake_up_process(task);
	}
}

/* The storm ----------------------------------------------------------------- */

static struct pci_dev *offer(struct storm *storm)
{
	struct pci_dev *mem = pci_kunit_bind(storm->tree, "mem");

	KUNIT_ASSERT_EQ(storm->test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	return mem;
}

static void expect_calm(struct storm *storm, s64 longest, unsigned int done)
{
	struct kunit *test = storm->test;
	struct worker sum = {}, *w;

	p2p_loud();
	for (w = storm->worker; w < storm->worker + THREADS; w++) {
		sum.exported += w->exported;
		sum.mapped += w->mapped;
		sum.pinned += w->pinned;
		sum.imported += w->imported;
		sum.notified += w->notified;
		sum.refused += w->refused;
		KUNIT_EXPECT_EQ_MSG(test, w->taken, 0, "thread %d", w->id);
		KUNIT_EXPECT_EQ_MSG(test, w->lost, 0, "thread %d", w->id);
		KUNIT_EXPECT_EQ_MSG(test, w->wrong, 0, "thread %d", w->id);
	}
	kunit_info(test, "%u cycles, the longest %lld ms; %lu descriptors, %lu mappings, %lu pages pinned, %lu imports, %lu revoked, %lu refused\n",
		   done, longest, sum.exported, sum.mapped, sum.pinned,
		   sum.imported, sum.notified, sum.refused);
	kunit_info(test, "figure: cycles=%u slowest_ms=%lld\n", done, longest);
	KUNIT_EXPECT_GE(test, done, min(cycles, P2P_FEWEST_CYCLES));
	KUNIT_EXPECT_LT(test, longest, LONGEST_MS);
	/* Otherwise nothing was in the way of an end */
	KUNIT_EXPECT_GT(test, sum.pinned, 0);
	KUNIT_EXPECT_GT(test, sum.imported, 0);
	KUNIT_EXPECT_GT(test, sum.notified, 0);
	KUNIT_EXPECT_GT(test, sum.refused, 0);
}

static void programs_lose_their_memory(struct kunit *test)
{
	struct storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	unsigned long start = jiffies;
	unsigned int i, major;
	char __user *user;
	struct pci_dev *mem;
	s64 longest = 0;
	char path[64];
	ktime_t begun;
	void *addr;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->test = test;
	storm->sysfs = test->priv;
	p2p_quiet(test, LOGLEVEL_WARNING);
	p2p_hurry_rcu(test);
	user = p2p_user_memory(test, THREADS * PAGE_SIZE);
	storm->tree = PCI_KUNIT_CREATE(test, nodes);
	storm->nic = pci_kunit_bind(storm->tree, "nic");
	mem = offer(storm);
	storm->shadow = shadow_create(test, mem, 0);

	storm->allocate = kunit_kzalloc(test, SZ_1K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, storm->allocate);
	snprintf(storm->allocate, SZ_1K, "bus/pci/devices/%s/p2pmem/allocate",
		 pci_name(mem));
	snprintf(path, sizeof(path), "class/pci_p2pmem/%s/dev", pci_name(mem));
	major = MAJOR(p2p_dev(test, path));
	storm->nodes = p2p_mount(test, "ramfs");
	for (i = 0; i < MINORS; i++) {
		snprintf(path, sizeof(path), "%u", i);
		p2p_mknod(test, storm->nodes, path, MKDEV(major, i));
	}

	start_threads(storm, user);
	for (i = 0; p2p_one_more(i, cycles, start); i++) {
		begun = ktime_get();
		if (i % SWITCH_EVERY == SWITCH_EVERY - 1) {
			pci_kunit_remove(storm->tree, "dn0");
			pci_kunit_rescan(storm->tree);
		} else {
			pci_kunit_unbind(storm->tree, "mem");
		}
		mem = offer(storm);
		longest = max(longest, ktime_ms_delta(ktime_get(), begun));
		/* Long enough for something to be allocated */
		usleep_range(500, 2000);
	}
	kunit_release_action(test, stop_threads, storm);
	flush_delayed_fput();

	expect_calm(storm, longest, i);
	shadow_expect_blank(test, storm->shadow);
	addr = pci_alloc_p2pmem(mem, SZ_8M);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr)
		pci_free_p2pmem(mem, addr, SZ_8M);
}

static struct kunit_case p2pdma_stress_user_cases[] = {
	KUNIT_CASE_SLOW(programs_lose_their_memory),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_stress_user_suite = {
	.name = "p2pdma_stress_user",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_stress_user_cases,
};

kunit_test_suite(p2pdma_stress_user_suite);

MODULE_DESCRIPTION("KUnit stress test of peer-to-peer memory that programs have");
MODULE_LICENSE("GPL");
