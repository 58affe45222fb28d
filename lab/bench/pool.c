// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation from a provider's memory: buffers and scatter lists, from pools
 * that are empty, filled from one end, aged by mixed use, or full of holes; and
 * from aged pools all that an NVMe target does about a request's memory.
 */
#include <linux/dma-mapping.h>
#include <linux/minmax.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "bench.h"

/* Those sizes for which there are rows where rows are many */
static const int shown[] = { 0, 3, 5 };

/**
 * struct pool - a provider whose memory is allocated by the bench
 * @pdev: the provider
 * @name: its size in words
 * @bytes: its size
 * @held: bytes that are allocated
 * @nr: number of buffers that are allocated
 * @buf: the buffers
 * @max: room in @buf
 * @rnd: random choices
 */
struct pool {
	struct pci_dev		*pdev;
	char			name[16];
	u64			bytes;
	u64			held;
	unsigned int		nr;
	struct buffer {
		void		*vaddr;
		size_t		size;
	}			*buf;
	unsigned int		max;
	struct rnd_state	rnd;
};

static bool pool_get(struct pool *pool, size_t size, struct series *done,
		     struct series *fail)
{
	void *vaddr;
	u64 cost;

	if (pool->nr == pool->max)
		return false;

	cost = INSTRUCTIONS(vaddr = pci_alloc_p2pmem(pool->pdev, size));
	if (!vaddr) {
		if (done)
			done->failed++;
		if (fail)
			series_add(fail, cost);
		return false;
	}

	if (done)
		series_add(done, cost);
	pool->buf[pool->nr].vaddr = vaddr;
	pool->buf[pool->nr++].size = size;
	pool->held += size;
	return true;
}

static void pool_put(struct pool *pool, unsigned int i, struct series *done)
{
	struct buffer buf = pool->buf[i];
	u64 cost;

	cost = INSTRUCTIONS(pci_free_p2pmem(pool->pdev, buf.vaddr, buf.size));
	if (done)
		series_add(done, cost);
	pool->held -= buf.size;
	pool->buf[i] = pool->buf[--pool->nr];
}

static void pool_empty(struct pool *pool)
{
	while (pool->nr)
		pool_put(pool, pool->nr - 1, NULL);
}

/* Buffers of 1 MiB, one after the other, up to a percentage of the pool */
static void pool_fill(struct pool *pool, unsigned int percent)
{
	while (pool->held + SZ_1M <= pool->bytes / 100 * percent)
		if (!pool_get(pool, SZ_1M, NULL, NULL))
			break;
}

/* In line, so that only the two calls count */
static __always_inline void *get_and_put(struct pci_dev *pdev, size_t size)
{
	void *vaddr = pci_alloc_p2pmem(pdev, size);

	if (vaddr)
		pci_free_p2pmem(pdev, vaddr, size);

	return vaddr;
}

static void bench_lifo(struct pool *pool)
{
	int i, k;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		size_t size = sizes[k].bytes;
		void *vaddr;
		u64 cost;

		series_start(one);
		/* The first ones may set up what the later ones use */
		for (i = -8; i < 256; i++) {
			cost = INSTRUCTIONS(vaddr = get_and_put(pool->pdev, size));
			if (!vaddr)
				one->failed++;
			else if (i >= 0)
				series_add(one, cost);
		}
		series_report(one, "lifo/%s/%s", pool->name, sizes[k].name);
	}
}

/* The oldest of 128 buffers is freed and a new one allocated */
static void bench_fifo(struct pool *pool, int k)
{
	struct buffer *oldest;
	unsigned int i, nr = min_t(u64, 128, pool->bytes / 2 / sizes[k].bytes);
	u64 cost;

	series_start(one);
	series_start(another);
	while (pool->nr < nr)
		if (!pool_get(pool, sizes[k].bytes, NULL, NULL))
			break;
	for (i = 0; i < 2048; i++) {
		void *vaddr;

		oldest = &pool->buf[i % pool->nr];
		cost = INSTRUCTIONS(pci_free_p2pmem(pool->pdev, oldest->vaddr,
						    oldest->size));
		series_add(another, cost);
		cost = INSTRUCTIONS(vaddr = pci_alloc_p2pmem(pool->pdev,
							     oldest->size));
		if (!vaddr) {
			one->failed++;
			*oldest = pool->buf[--pool->nr];
			break;
		}
		series_add(one, cost);
		oldest->vaddr = vaddr;
	}
	pool_empty(pool);
	series_report(one, "fifo-alloc/%s/%s", pool->name, sizes[k].name);
	series_report(another, "fifo-free/%s/%s", pool->name, sizes[k].name);
}

/* Up to 16 buffers more in a pool that is filled from one end */
static void bench_filled(struct pool *pool, unsigned int percent)
{
	unsigned int filled, want;
	int i, k, round;

	pool_fill(pool, percent);
	filled = pool->nr;

	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		k = shown[i];
		want = clamp((pool->bytes - pool->held) / sizes[k].bytes, 1, 16);
		series_start(one);
		for (round = 0; round < 16; round++) {
			while (pool->nr < filled + want)
				if (!pool_get(pool, sizes[k].bytes, one, NULL))
					break;
			while (pool->nr > filled)
				pool_put(pool, pool->nr - 1, NULL);
		}
		series_report(one, "filled/%s/%u/%s", pool->name, percent,
			      sizes[k].name);
	}
	pool_empty(pool);
}

/* One step of mixed use: random buffers go, one of random size comes */
static void churn(struct pool *pool, u64 target, bool measure)
{
	int k = prandom_u32_state(&pool->rnd) % ARRAY_SIZE(sizes);
	struct series *s = measure ? &series[k] : NULL;

	while (pool->nr && pool->held + sizes[k].bytes > target)
		pool_put(pool, prandom_u32_state(&pool->rnd) % pool->nr, NULL);
	pool_get(pool, sizes[k].bytes, s, measure ? failing : NULL);
}

/* Memory for a request, an address for the client that moves the data, and back */
static __always_inline int set_up_request(struct pci_dev *pdev,
					  struct device *client, size_t size)
{
	unsigned int nents, mapped;
	struct scatterlist *sgl;

	sgl = pci_p2pmem_alloc_sgl(pdev, &nents, size);
	if (!sgl)
		return -ENOMEM;
	mapped = dma_map_sg(client, sgl, nents, DMA_FROM_DEVICE);
	if (mapped)
		dma_unmap_sg(client, sgl, nents, DMA_FROM_DEVICE);
	pci_p2pmem_free_sgl(pdev, sgl);

	return mapped ? 0 : -EREMOTEIO;
}

/* A pool that is in use, and requests that come and go meanwhile */
static int bench_requests(struct pool *pool, u64 target, unsigned int percent)
{
	struct device *client = client_devs[0];
	int i, k, round, ret;
	u64 cost;

	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		k = shown[i];
		series_start(one);
		for (round = 0; round < (quick ? 256 : 1024); round++) {
			churn(pool, target, false);
			cost = INSTRUCTIONS(ret = set_up_request(pool->pdev,
								 client,
								 sizes[k].bytes));
			if (ret == -EREMOTEIO) {
				dev_err(client, "memory of %s cannot be mapped for it\n",
					pci_name(pool->pdev));
				return ret;
			}
			if (ret)
				one->failed++;
			else
				series_add(one, cost);
		}
		series_report(one, "request/%s/%u/%s", pool->name, percent,
			      sizes[k].name);
	}

	return 0;
}

static int bench_aged(struct pool *pool, unsigned int percent)
{
	u64 target = pool->bytes / 100 * percent;
	unsigned int steps, i;
	int ret;

	prandom_seed_state(&pool->rnd, percent);
	/* About four times through the memory; a buffer is 244 KiB on average */
	steps = pool->bytes / SZ_64K;
	for (i = 0; i < steps; i++)
		churn(pool, target, false);

	series_start_all();
	for (i = 0; i < (quick ? 1024 : 6144); i++)
		churn(pool, target, true);

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		series_report(&series[shown[i]], "aged/%s/%u/%s", pool->name,
			      percent, sizes[shown[i]].name);
	if (failing->n)
		series_report(failing, "fail/%s/aged-%u", pool->name, percent);

	ret = bench_requests(pool, target, percent);
	pool_empty(pool);
	return ret;
}

static void bench_sgl(struct pool *pool, const char *state, int k)
{
	struct scatterlist *sgl;
	unsigned int nents;
	u64 cost;
	int i;

	series_start(one);
	series_start(another);
	for (i = 0; i < 16; i++) {
		cost = INSTRUCTIONS(sgl = pci_p2pmem_alloc_sgl(pool->pdev, &nents,
							       sizes[k].bytes));
		if (!sgl) {
			one->failed++;
			continue;
		}
		series_add(one, cost);
		cost = INSTRUCTIONS(pci_p2pmem_free_sgl(pool->pdev, sgl));
		series_add(another, cost);
	}
	series_report(one, "sgl-alloc/%s/%s/%s", pool->name, state,
		      sizes[k].name);
	if (another->n)
		series_report(another, "sgl-free/%s/%s/%s", pool->name, state,
			      sizes[k].name);
}

static int compare_buffers(const void *a, const void *b)
{
	const struct buffer *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/* Every other page is free, and 1 MiB at the end, which is then taken away */
static void bench_holes(struct pool *pool)
{
	unsigned int pages = pool->bytes / PAGE_SIZE, i, nr, kept = 0;
	int round;

	while (pool_get(pool, PAGE_SIZE, NULL, NULL))
		;
	if (pool->nr < pages / 2)
		return;
	sort(pool->buf, pool->nr, sizeof(*pool->buf), compare_buffers, NULL);
	nr = pool->nr;
	for (i = 0; i < nr; i++) {
		struct buffer buf = pool->buf[i];

		if (i % 2 && i < nr - SZ_1M / PAGE_SIZE) {
			pool->buf[kept++] = buf;
			continue;
		}
		pci_free_p2pmem(pool->pdev, buf.vaddr, buf.size);
		pool->held -= buf.size;
	}
	pool->nr = kept;

	series_start(one);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 8; i++)
			pool_get(pool, SZ_64K, one, NULL);
		while (pool->nr > kept)
			pool_put(pool, pool->nr - 1, NULL);
	}
	series_report(one, "holes/%s/64K", pool->name);

	/* The end goes, in whatever pieces it is to be had */
	while (pool_get(pool, SZ_64K, NULL, NULL))
		;
	while (pool_get(pool, SZ_8K, NULL, NULL))
		;
	series_start(one);
	series_start(failing);
	for (i = 0; i < 8; i++)
		pool_get(pool, SZ_64K, one, failing);
	if (failing->n)
		series_report(failing, "fail/%s/holes", pool->name);
	bench_sgl(pool, "holes", 3);
	bench_sgl(pool, "holes", 5);
	pool_empty(pool);
}

static int bench_pool(struct pci_dev *pdev, bool holes)
{
	static const unsigned int percent[] = { 50, 80, 95 };
	struct pool pool = {
		.pdev	= pdev,
		.bytes	= pci_resource_len(pdev, MEMORY_BAR),
	};
	int i, ret = 0;

	name_size(pool.name, sizeof(pool.name), pool.bytes);
	pool.max = pool.bytes / PAGE_SIZE;
	pool.buf = vmalloc_array(pool.max, sizeof(*pool.buf));
	if (!pool.buf)
		return -ENOMEM;

	bench_lifo(&pool);
	bench_fifo(&pool, 3);
	bench_sgl(&pool, "empty", 3);
	bench_sgl(&pool, "empty", 5);
	for (i = 0; i < ARRAY_SIZE(percent); i++)
		bench_filled(&pool, percent[i]);
	for (i = 0; i < ARRAY_SIZE(percent) && !ret; i++)
		ret = bench_aged(&pool, percent[i]);
	if (holes && !ret)
		bench_holes(&pool);

	vfree(pool.buf);
	return ret;
}

int bench_pools(void)
{
	int ret;

	ret = bench_pool(pool_devs[0], true);
	if (!ret)
		ret = bench_pool(pool_devs[1], !quick);

	return ret;
}
