// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads allocate from one pool, as a program: on the host's own
 * processors, which an emulated machine cannot use both in earnest.
 *
 *	port ROUNDS MEBIBYTES NAME
 *
 * Built twice: with the files of the pool (drivers/pci/p2pdma_*.c), and, where
 * PORT_STOCK is 1, with the allocator that stock's pools are made of
 * (lib/genalloc.c).  In both cases it is the allocator alone, without the few
 * instructions of pci_alloc_p2pmem() around it.
 *
 * Prints rows as lab/bench/scale.c does, in which the method is told, but for
 * this: a run is short and counts only if each thread had its processor nearly
 * all the time.  On a busy host most runs do not, and are repeated.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "shim.h"

#define POOL_START	0x100000000UL
#define RUN_NS		2000000UL
/* Per cent of the time that a thread must have had its processor */
#define HAD		95
#define ATTEMPTS	5000
#define BATCH		64
#define MAX_ROUNDS	101

/* Processors of the host on which the threads run */
static int processor[PORT_CPUS];

static size_t pool_bytes;

__thread unsigned int this_cpu;

#if PORT_STOCK
#include <linux/genalloc.h>

static struct gen_pool *pool;

static void pool_setup(void)
{
	pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!pool || gen_pool_add_owner(pool, POOL_START, 0, pool_bytes,
					NUMA_NO_NODE, pool))
		abort();
}

static inline void *pool_get(size_t size)
{
	void *owner;

	return (void *)gen_pool_alloc_owner(pool, size, &owner);
}

static inline void pool_put(void *addr, size_t size)
{
	void *owner;

	gen_pool_free_owner(pool, (unsigned long)addr, size, &owner);
}
#else
#include "p2pdma_fast.h"

static struct p2pdma_pool pool;

static void pool_setup(void)
{
	unsigned long i, pages = pool_bytes >> PAGE_SHIFT;
	struct page *page = port_zalloc(pages * sizeof(*page));

	if (!page)
		abort();
	for (i = 0; i < pages; i++)
		page[i].references = 1;
	p2pdma_pool_init(&pool, NULL);
	if (p2pdma_pool_add(&pool, (void *)POOL_START, page, pool_bytes, 0))
		abort();
}

static inline void *pool_get(size_t size)
{
	return p2pdma_pool_alloc(&pool, size);
}

static inline void pool_put(void *addr, size_t size)
{
	if (!p2pdma_pool_free(&pool, addr, size))
		abort();
}
#endif

struct worker {
	unsigned int	cpu;
	size_t		size;	/* 0: the control, which shares nothing */
	int		*waiting;
	u64		start;
	double		rate;	/* 0: it did not have its processor */
};

static u64 now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

static void repeat(size_t size)
{
	unsigned int i, k;
	void *addr;

	for (i = 0; i < BATCH; i++) {
		if (!size) {
			for (k = 0; k < 64; k++)
				barrier();
			continue;
		}
		addr = pool_get(size);
		if (!addr)
			abort();
		pool_put(addr, size);
	}
}

static void *work(void *data)
{
	struct worker *w = data;
	u64 end, had;
	u64 count = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor[w->cpu], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		abort();
	this_cpu = w->cpu;

	__atomic_fetch_sub(w->waiting, 1, __ATOMIC_SEQ_CST);
	while (READ_ONCE(*w->waiting))
		cpu_relax();

	had = now(CLOCK_THREAD_CPUTIME_ID);
	w->start = now(CLOCK_MONOTONIC);
	do {
		repeat(w->size);
		count += BATCH;
		end = now(CLOCK_MONOTONIC);
	} while (end - w->start < RUN_NS);
	had = now(CLOCK_THREAD_CPUTIME_ID) - had;
	if (had * 100 >= (end - w->start) * HAD)
		w->rate = (double)count / (end - w->start);
	return NULL;
}

/* What @nr threads do together in a nanosecond, or 0 */
static double try_rate(int nr, size_t size)
{
	struct worker w[PORT_CPUS];
	pthread_t thread[PORT_CPUS];
	int waiting = nr, i;
	u64 first = UINT64_MAX, last = 0;
	bool valid = true;
	double sum = 0;

	for (i = 0; i < nr; i++) {
		w[i] = (struct worker){ .cpu = i, .size = size,
					.waiting = &waiting };
		if (pthread_create(&thread[i], NULL, work, &w[i]))
			abort();
	}
	for (i = 0; i < nr; i++) {
		pthread_join(thread[i], NULL);
		valid = valid && w[i].rate;
		sum += w[i].rate;
		first = min(first, w[i].start);
		last = max(last, w[i].start);
	}
	/* Not one after the other */
	valid = valid && (last - first) * 100 <= RUN_NS * (100 - HAD);
	return valid ? sum : 0;
}

static double rate_of(int nr, size_t size)
{
	double rate;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		rate = try_rate(nr, size);
		if (rate)
			return rate;
	}
	fprintf(stderr,
		"port: this host did not give two processors for %lu ms at a time; run the bench when it is less busy\n",
		RUN_NS / 1000000);
	exit(1);
}

static double gain(size_t size)
{
	double single = rate_of(1, size);

	return rate_of(PORT_CPUS, size) / single;
}

static int compare(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(const char *name, long *sample, int n)
{
	long sum = 0;
	int i;

	qsort(sample, n, sizeof(*sample), compare);
	for (i = 0; i < n; i++)
		sum += sample[i];
	printf("row %s n=%d failed=0 median=%ld mean=%ld worst=%ld\n", name, n,
	       sample[n / 2], sum / n, sample[0]);
}

static void choose_processors(void)
{
	cpu_set_t set;
	int i, n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		abort();
	for (i = 0; i < CPU_SETSIZE && n < PORT_CPUS; i++)
		if (CPU_ISSET(i, &set))
			processor[n++] = i;
	if (n < PORT_CPUS) {
		fprintf(stderr, "port: two processors are needed, there is one\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		size_t size;
		const char *name;
	} sizes[] = {
		{ 4096, "4K" }, { 131072, "128K" }, { 1048576, "1M" },
	};
	static long sample[MAX_ROUNDS], control[3 * MAX_ROUNDS];
	int rounds = argc == 4 ? atoi(argv[1]) : 0, i, n = 0;
	unsigned int k;
	char name[64];

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: port ROUNDS MEBIBYTES NAME, with at most %d rounds\n",
			MAX_ROUNDS);
		return 1;
	}
	pool_bytes = strtoul(argv[2], NULL, 0) << 20;
	choose_processors();
	pool_setup();
	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		for (i = 0; i < rounds; i++) {
			double alone = gain(0);

			sample[i] = 2000 * gain(sizes[k].size) / alone;
			control[n++] = 1000 * alone;
		}
		snprintf(name, sizeof(name), "port/%s/%s", argv[3],
			 sizes[k].name);
		report(name, sample, rounds);
	}
	snprintf(name, sizeof(name), "port/%s/control", argv[3]);
	report(name, control, n);
	return 0;
}
