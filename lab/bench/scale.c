// SPDX-License-Identifier: GPL-2.0
/*
 * Scaling: what two processors allocate and free from one pool, compared with
 * what one of them does.
 *
 * A round is four short runs: a loop that shares nothing, on one processor and
 * on both, then the same with the pool.  The host may not give two emulated
 * processors twice as much as one, and not always the same; the loop, a control,
 * tells how much it gave in this very round.  A sample is
 *
 *            what both do with the pool / what one does
 *   2000  *  ------------------------------------------
 *              the same quotient of the control
 *
 * that is, thousandths of what one processor does, on a host that has a core for
 * each.  2000 is the best that there can be, and 1000 is nothing gained.
 */
#include <linux/cpumask.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>

#include "bench.h"

#define NR_WORKERS	2
#define RUN_MS		60
#define BATCH		32

/**
 * struct worker - a processor that repeats an operation
 * @cpu: which processor
 * @size: bytes to allocate, or 0 for the control
 * @waiting: number of workers that have not arrived yet
 * @rate: repetitions in a second, or 0 if an allocation failed
 * @done: it has finished
 */
struct worker {
	int			cpu;
	size_t			size;
	atomic_t		*waiting;
	u64			rate;
	struct completion	done;
};

static bool repeat(size_t size)
{
	unsigned int i;
	void *vaddr;

	for (i = 0; i < BATCH; i++) {
		if (!size) {
			known_run();
			continue;
		}
		vaddr = pci_alloc_p2pmem(pool_devs[0], size);
		if (!vaddr)
			return false;
		pci_free_p2pmem(pool_devs[0], vaddr, size);
	}

	return true;
}

static int work(void *data)
{
	struct worker *w = data;
	ktime_t start, now, end;
	u64 count = 0;

	/* Begin together: who is there first waits for the other */
	atomic_dec(w->waiting);
	while (atomic_read(w->waiting))
		cpu_relax();

	start = ktime_get();
	end = ktime_add_ms(start, RUN_MS);
	do {
		if (!repeat(w->size)) {
			count = 0;
			break;
		}
		count += BATCH;
		now = ktime_get();
	} while (ktime_before(now, end));

	w->rate = count ? div64_u64(count * NSEC_PER_SEC,
				    ktime_to_ns(ktime_sub(now, start))) : 0;
	complete(&w->done);
	return 0;
}

/* Repetitions in a second of @nr processors together, or an error */
static s64 run(unsigned int nr, size_t size)
{
	struct task_struct *task[NR_WORKERS];
	struct worker w[NR_WORKERS];
	atomic_t waiting = ATOMIC_INIT(nr);
	unsigned int i, k;
	s64 sum = 0;

	for (i = 0; i < nr; i++) {
		w[i].cpu = i;
		w[i].size = size;
		w[i].waiting = &waiting;
		init_completion(&w[i].done);
		task[i] = kthread_create_on_cpu(work, &w[i], i, "p2pdma_bench/%u");
		if (IS_ERR(task[i])) {
			for (k = 0; k < i; k++)
				kthread_stop(task[k]);
			return PTR_ERR(task[i]);
		}
	}
	for (i = 0; i < nr; i++)
		wake_up_process(task[i]);
	for (i = 0; i < nr; i++) {
		wait_for_completion(&w[i].done);
		if (!w[i].rate)
			return -ENOMEM;
		sum += w[i].rate;
	}

	return sum;
}

/* What two do, in thousandths of what one does, or an error */
static s64 gain(size_t size)
{
	s64 single = run(1, size), both;

	if (single < 0)
		return single;
	both = run(NR_WORKERS, size);

	return both < 0 ? both : div64_s64(both * 1000, single);
}

int bench_scale(void)
{
	static const int sizes_used[] = { 0, 3, 5 };
	unsigned int i, round;
	s64 control, found;
	int ret;

	if (num_online_cpus() < NR_WORKERS) {
		pr_err("two processors are needed, there is one; start QEMU with -smp 2 and without -icount\n");
		return -EINVAL;
	}
	series_start(failing);
	ret = add_provider(pool_devs[0], failing);
	if (ret)
		return ret;

	series_start(failing);
	for (i = 0; i < ARRAY_SIZE(sizes_used); i++) {
		const struct bench_size *size = &sizes[sizes_used[i]];

		series_start(one);
		for (round = 0; round < (quick ? 7 : 21); round++) {
			control = gain(0);
			found = gain(size->bytes);
			if (control <= 0 || found < 0)
				return control < 0 ? control : found ?: -EINVAL;
			series_add(failing, control);
			series_add(one, div64_s64(found * 2000, control));
		}
		series_report(one, "scale/pool/%s", size->name);
	}
	series_report(failing, "scale/control");
	return 0;
}
