// SPDX-License-Identifier: GPL-2.0
/*
 * What peer-to-peer DMA costs, in instructions.
 *
 * The module uses nothing but the public interface (linux/pci-p2pdma.h and the
 * DMA API), so that the very same source measures any implementation of it.  It
 * runs once, when it is loaded, and leaves its figures in debugfs as lines
 *
 *   row NAME n=... failed=... median=... mean=... worst=... reads=...
 *
 * in p2pdma_bench/rows.  lab/runner/bench.py knows what the names mean and which
 * figures are to be reached.
 *
 * Method: the machine counts instructions with its time stamp counter, which
 * QEMU does when it is started with "-icount shift=0,sleep=off".  Interrupts are
 * off around each operation.  A known run of instructions is measured first,
 * and nothing is reported if the result is not exact.  Configuration reads are
 * counted in a pass of their own, by accessors put in place for all buses,
 * since counting them costs instructions.
 *
 * What is measured depends on the functions that the parameters name:
 *
 *   pools=       with one client: registration, allocation, scatter lists and
 *                the mapping of segments.  The first two are used as pools, a
 *                third is only registered.
 *   providers=   with clients: distance, and the search for a provider
 *
 * The functions are QEMU's shared memory devices (ivshmem-plain), whose BAR 2 is
 * memory; the driver in this module binds to them.  What must be measured with
 * no provider in the system comes first.  Random choices come from a generator
 * with a fixed seed: each kernel is given the same work.
 */
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/seq_buf.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#define MEMORY_BAR	2
#define MAX_FUNCTIONS	64
#define MAX_SAMPLES	4096
#define ROWS_BYTES	SZ_64K
/* A call, the NOPs, a return */
#define KNOWN_RUN	1002

static char *pools[3];
static int nr_pools;
module_param_array(pools, charp, &nr_pools, 0444);
MODULE_PARM_DESC(pools, "functions whose memory is allocated from");

static char *providers[MAX_FUNCTIONS];
static int nr_providers;
module_param_array(providers, charp, &nr_providers, 0444);
MODULE_PARM_DESC(providers, "functions to be found by clients");

static char *clients[MAX_FUNCTIONS];
static int nr_clients;
module_param_array(clients, charp, &nr_clients, 0444);
MODULE_PARM_DESC(clients, "functions that are to reach the memory");

static bool quick;
module_param(quick, bool, 0444);
MODULE_PARM_DESC(quick, "leave out what takes long to prepare");

static struct pci_dev *pool_devs[ARRAY_SIZE(pools)];
static struct pci_dev *provider_devs[MAX_FUNCTIONS];
static struct device *client_devs[MAX_FUNCTIONS];

/* What is allocated most often by storage */
static const struct {
	size_t		bytes;
	const char	*name;
} sizes[] = {
	{ SZ_4K, "4K" },
	{ SZ_16K, "16K" },
	{ SZ_64K, "64K" },
	{ SZ_128K, "128K" },
	{ SZ_256K, "256K" },
	{ SZ_1M, "1M" },
};

/* Those of them for which there are rows where rows are many */
static const int shown[] = { 0, 3, 5 };

/*
 * Counting
 */

static u64 cost_of_nothing;

/* The same few instructions wherever the compiler puts it */
static __always_inline u64 ticks(void)
{
	u64 now;

	asm volatile("rdtsc\n\t"
		     "shl $32, %%rdx\n\t"
		     "or %%rdx, %%rax" : "=a" (now) : : "rdx", "memory");
	return now;
}

/* Instructions that a statement takes, a call and its arguments included */
#define INSTRUCTIONS(statement) ({				\
	unsigned long irq_flags;				\
	u64 before, after;					\
								\
	cond_resched();						\
	local_irq_save(irq_flags);				\
	before = ticks();					\
	statement;						\
	after = ticks();					\
	local_irq_restore(irq_flags);				\
	after - before - cost_of_nothing;			\
})

static noinline void known_run(void)
{
	asm volatile(".rept 1000\n\tnop\n\t.endr");
}

static int calibrate(void)
{
	u64 found;
	int i;

	cost_of_nothing = 0;
	cost_of_nothing = INSTRUCTIONS(barrier());

	for (i = 0; i < 16; i++) {
		found = INSTRUCTIONS(known_run());
		if (found == KNOWN_RUN)
			continue;
		pr_err("%d instructions take %llu ticks of the time stamp counter, so that nothing can be measured; start QEMU with -icount shift=0,sleep=off,align=off and one CPU\n",
		       KNOWN_RUN, found);
		return -EINVAL;
	}

	return 0;
}

/**
 * struct series - the same operation, measured many times
 * @n: number of samples
 * @failed: number of operations that failed and are not among the samples
 * @reads: configuration reads of one operation, or -1 if not counted
 * @sample: instructions
 */
struct series {
	unsigned int	n;
	unsigned int	failed;
	int		reads;
	u64		sample[MAX_SAMPLES];
};

/* One for each size, and one more for what fails */
static struct series series[ARRAY_SIZE(sizes) + 1];
static struct series *const one = &series[0];
static struct series *const another = &series[1];
static struct series *const failing = &series[ARRAY_SIZE(sizes)];

static char rows_text[ROWS_BYTES];
static struct seq_buf rows;
static struct debugfs_blob_wrapper rows_blob;
static struct dentry *rows_dir;

static void series_start(struct series *s)
{
	s->n = 0;
	s->failed = 0;
	s->reads = -1;
}

static void series_start_all(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(series); i++)
		series_start(&series[i]);
}

static void series_add(struct series *s, u64 value)
{
	if (s->n < MAX_SAMPLES)
		s->sample[s->n++] = value;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static __printf(2, 3) void series_report(struct series *s, const char *name, ...)
{
	char text[48];
	va_list args;
	u64 sum = 0;
	int i;

	va_start(args, name);
	vsnprintf(text, sizeof(text), name, args);
	va_end(args);

	seq_buf_printf(&rows, "row %s n=%u failed=%u", text, s->n, s->failed);
	if (s->n) {
		sort(s->sample, s->n, sizeof(u64), compare_u64, NULL);
		for (i = 0; i < s->n; i++)
			sum += s->sample[i];
		seq_buf_printf(&rows, " median=%llu mean=%llu worst=%llu",
			       s->sample[s->n / 2], sum / s->n,
			       s->sample[s->n - 1]);
	}
	if (s->reads >= 0)
		seq_buf_printf(&rows, " reads=%d", s->reads);
	seq_buf_puts(&rows, "\n");
}

/*
 * Configuration reads: the accessors of all buses are exchanged for a while
 */

static struct pci_ops *true_ops;
static int nr_reads;

static int counting_read(struct pci_bus *bus, unsigned int devfn, int where,
			 int size, u32 *val)
{
	nr_reads++;
	return true_ops->read(bus, devfn, where, size, val);
}

static int counting_write(struct pci_bus *bus, unsigned int devfn, int where,
			  int size, u32 val)
{
	return true_ops->write(bus, devfn, where, size, val);
}

static struct pci_ops counting_ops = {
	.read	= counting_read,
	.write	= counting_write,
};

static void set_ops(struct pci_bus *bus, struct pci_ops *ops)
{
	struct pci_bus *child;

	pci_bus_set_ops(bus, ops);
	list_for_each_entry(child, &bus->children, node)
		set_ops(child, ops);
}

static void count_reads_start(struct pci_bus *bus)
{
	true_ops = pci_bus_set_ops(bus, &counting_ops);
	nr_reads = 0;
	set_ops(bus, &counting_ops);
}

static int count_reads_end(struct pci_bus *bus)
{
	set_ops(bus, true_ops);
	return nr_reads;
}

static struct pci_bus *root_bus(struct pci_dev *pdev)
{
	struct pci_bus *bus = pdev->bus;

	while (bus->parent)
		bus = bus->parent;

	return bus;
}

/*
 * Providers
 */

static void name_size(char *name, size_t len, u64 bytes)
{
	if (bytes >= SZ_1G)
		snprintf(name, len, "%lluG", bytes / SZ_1G);
	else
		snprintf(name, len, "%lluM", bytes / SZ_1M);
}

/*
 * Registration sleeps, so that interrupts are on.  A timer tick among some
 * million instructions does no harm.
 */
static int add_provider(struct pci_dev *pdev, struct series *s)
{
	u64 before = ticks();
	int ret;

	ret = pci_p2pdma_add_resource(pdev, MEMORY_BAR, 0, 0);
	series_add(s, ticks() - before - cost_of_nothing);
	if (ret)
		pci_err(pdev, "the memory cannot be registered (%d)\n", ret);
	else
		pci_p2pmem_publish(pdev, true);

	return ret;
}

static int bench_register(void)
{
	char name[16];
	int i, ret;

	/* The first one also sets up what all have in common */
	series_start(one);
	ret = add_provider(to_pci_dev(client_devs[0]), one);
	if (ret)
		return ret;
	series_report(one, "register/first");

	for (i = 0; i < nr_pools; i++) {
		series_start(one);
		ret = add_provider(pool_devs[i], one);
		if (ret)
			return ret;
		name_size(name, sizeof(name),
			  pci_resource_len(pool_devs[i], MEMORY_BAR));
		series_report(one, "register/%s", name);
	}

	return 0;
}

/*
 * Allocation
 */

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

static void bench_aged(struct pool *pool, unsigned int percent)
{
	u64 target = pool->bytes / 100 * percent;
	unsigned int steps, i;

	prandom_seed_state(&pool->rnd, percent);
	/* About four times through the memory; a buffer is 244 KiB on average */
	steps = pool->bytes / SZ_64K;
	for (i = 0; i < steps; i++)
		churn(pool, target, false);

	series_start_all();
	for (i = 0; i < (quick ? 1024 : 6144); i++)
		churn(pool, target, true);
	pool_empty(pool);

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		series_report(&series[shown[i]], "aged/%s/%u/%s", pool->name,
			      percent, sizes[shown[i]].name);
	if (failing->n)
		series_report(failing, "fail/%s/aged-%u", pool->name, percent);
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
	struct pool pool = {
		.pdev	= pdev,
		.bytes	= pci_resource_len(pdev, MEMORY_BAR),
	};

	name_size(pool.name, sizeof(pool.name), pool.bytes);
	pool.max = pool.bytes / PAGE_SIZE;
	pool.buf = vmalloc_array(pool.max, sizeof(*pool.buf));
	if (!pool.buf)
		return -ENOMEM;

	bench_lifo(&pool);
	bench_fifo(&pool, 3);
	bench_sgl(&pool, "empty", 3);
	bench_sgl(&pool, "empty", 5);
	bench_filled(&pool, 50);
	bench_filled(&pool, 80);
	bench_filled(&pool, 95);
	bench_aged(&pool, 50);
	bench_aged(&pool, 80);
	bench_aged(&pool, 95);
	if (holes)
		bench_holes(&pool);

	vfree(pool.buf);
	return 0;
}

/*
 * Mapping of scatter lists
 */

static const unsigned int segments[] = { 1, 16, 256 };

/* Pages of memory: from providers by turns, or ordinary if there are none */
static int get_pages(struct sg_table *sgt, struct pci_dev **from, int nr_from,
		     unsigned int nr)
{
	struct scatterlist *sg;
	unsigned int i;
	void *vaddr;
	int ret;

	ret = sg_alloc_table(sgt, nr, GFP_KERNEL);
	if (ret)
		return ret;
	for_each_sgtable_sg(sgt, sg, i) {
		if (nr_from)
			vaddr = pci_alloc_p2pmem(from[i % nr_from], PAGE_SIZE);
		else
			vaddr = (void *)__get_free_page(GFP_KERNEL);
		if (!vaddr)
			return -ENOMEM;
		sg_set_page(sg, virt_to_page(vaddr), PAGE_SIZE, 0);
	}

	return 0;
}

static void put_pages(struct sg_table *sgt, struct pci_dev **from, int nr_from)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(sgt, sg, i) {
		struct page *page = sg_page(sg);

		if (!page)
			break;
		if (nr_from)
			pci_free_p2pmem(from[i % nr_from], page_to_virt(page),
					PAGE_SIZE);
		else
			__free_page(page);
	}
	sg_free_table(sgt);
}

static int bench_map(const char *what, struct pci_dev **from, int nr_from,
		     unsigned int nr)
{
	struct device *client = client_devs[0];
	struct sg_table sgt;
	u64 map, unmap;
	int i, ret;

	series_start(one);
	series_start(another);
	ret = get_pages(&sgt, from, nr_from, nr);
	/* The first one decides the route */
	for (i = -1; i < 64 && !ret; i++) {
		map = INSTRUCTIONS(ret = dma_map_sgtable(client, &sgt,
							 DMA_BIDIRECTIONAL, 0));
		if (ret) {
			dev_err(client, "mapping %u segments of %s memory failed (%d)\n",
				nr, what, ret);
			break;
		}
		unmap = INSTRUCTIONS(dma_unmap_sgtable(client, &sgt,
						       DMA_BIDIRECTIONAL, 0));
		if (i >= 0) {
			series_add(one, map);
			series_add(another, unmap);
		}
	}
	put_pages(&sgt, from, nr_from);
	if (ret)
		return ret;
	series_report(one, "map/%s/%u", what, nr);
	series_report(another, "unmap/%s/%u", what, nr);
	return 0;
}

static int bench_maps(const char *what, struct pci_dev **from, int nr_from)
{
	int i, ret = 0;

	for (i = 0; i < ARRAY_SIZE(segments) && !ret; i++)
		if (nr_from < 2 || segments[i] >= 2)
			ret = bench_map(what, from, nr_from, segments[i]);

	return ret;
}

/*
 * Routes
 */

/*
 * Whatever remembers routes must forget them when a BAR is written, even though
 * to the value that it has.
 */
static void touch_bar(struct pci_dev *pdev)
{
	u32 bar;

	pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0, &bar);
	pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0, bar);
}

static int bench_distance(const char *what, bool cold, int nr)
{
	struct pci_dev *provider = provider_devs[0];
	struct pci_bus *bus = root_bus(provider);
	int i, distance;
	u64 cost;

	series_start(one);
	for (i = -1; i < 64; i++) {
		if (cold)
			touch_bar(provider);
		cost = INSTRUCTIONS(distance =
				    pci_p2pdma_distance_many(provider,
							     client_devs, nr,
							     false));
		if (distance < 0) {
			pci_err(provider, "%d clients do not reach it\n", nr);
			return -EREMOTEIO;
		}
		if (i >= 0)
			series_add(one, cost);
	}

	if (cold)
		touch_bar(provider);
	count_reads_start(bus);
	pci_p2pdma_distance_many(provider, client_devs, nr, false);
	one->reads = count_reads_end(bus);

	series_report(one, "distance/%s/%d", what, nr);
	return 0;
}

static int bench_find(const char *what, bool cold, bool expected)
{
	struct pci_bus *bus = root_bus(to_pci_dev(client_devs[0]));
	struct pci_dev *found;
	u64 cost;
	int i;

	series_start(one);
	for (i = -1; i < 16; i++) {
		if (cold)
			touch_bar(to_pci_dev(client_devs[0]));
		cost = INSTRUCTIONS(found = pci_p2pmem_find_many(client_devs,
								 nr_clients));
		if (!!found != expected) {
			pr_err("%s was found where %s was expected\n",
			       found ? pci_name(found) : "nothing",
			       expected ? "a provider" : "nothing");
			pci_dev_put(found);
			return -EREMOTEIO;
		}
		pci_dev_put(found);
		if (i >= 0)
			series_add(one, cost);
	}

	if (cold)
		touch_bar(to_pci_dev(client_devs[0]));
	count_reads_start(bus);
	found = pci_p2pmem_find_many(client_devs, nr_clients);
	one->reads = count_reads_end(bus);
	pci_dev_put(found);

	series_report(one, "find/%s/%dx%d", what, expected ? nr_providers : 0,
		      nr_clients);
	return 0;
}

static int bench_routes(void)
{
	char name[16];
	int i, ret;

	ret = bench_find("warm", false, false);
	if (ret)
		return ret;

	series_start(one);
	for (i = 0; i < nr_providers; i++) {
		ret = add_provider(provider_devs[i], one);
		if (ret)
			return ret;
	}
	name_size(name, sizeof(name),
		  pci_resource_len(provider_devs[0], MEMORY_BAR));
	series_report(one, "register/%s", name);

	ret = bench_distance("warm", false, 1);
	if (!ret)
		ret = bench_distance("warm", false, nr_clients);
	if (!ret)
		ret = bench_distance("cold", true, 1);
	if (!ret)
		ret = bench_distance("cold", true, nr_clients);
	if (!ret)
		ret = bench_find("warm", false, true);
	if (!ret)
		ret = bench_find("cold", true, true);

	return ret;
}

static int bench_pools(void)
{
	int ret;

	ret = bench_maps("dormant", NULL, 0);
	if (!ret)
		ret = bench_register();
	if (!ret)
		ret = bench_maps("ram", NULL, 0);
	if (!ret)
		ret = bench_maps("p2p", pool_devs, 1);
	if (!ret)
		ret = bench_maps("two", pool_devs, 2);
	if (!ret)
		ret = bench_pool(pool_devs[0], true);
	if (!ret)
		ret = bench_pool(pool_devs[1], !quick);

	return ret;
}

/*
 * The module
 */

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret = pcim_enable_device(pdev);

	if (ret)
		return ret;
	pci_set_master(pdev);
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};

static struct pci_driver bench_driver = {
	.name		= "p2pdma_bench",
	.id_table	= bench_ids,
	.probe		= bench_probe,
};

static struct pci_dev *function_get(const char *name)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, name);

	if (!dev) {
		pr_err("there is no function %s\n", name);
		return NULL;
	}
	if (dev->driver != &bench_driver.driver) {
		dev_err(dev, "it is not a shared memory device that this module could drive\n");
		put_device(dev);
		return NULL;
	}

	return to_pci_dev(dev);
}

static int functions_get(void)
{
	struct pci_dev *pdev;
	int i;

	for (i = 0; i < nr_pools; i++) {
		pool_devs[i] = function_get(pools[i]);
		if (!pool_devs[i])
			return -ENODEV;
	}
	for (i = 0; i < nr_providers; i++) {
		provider_devs[i] = function_get(providers[i]);
		if (!provider_devs[i])
			return -ENODEV;
	}
	for (i = 0; i < nr_clients; i++) {
		pdev = function_get(clients[i]);
		if (!pdev)
			return -ENODEV;
		client_devs[i] = &pdev->dev;
	}

	return 0;
}

static void functions_put(void)
{
	int i;

	for (i = 0; i < nr_pools; i++)
		pci_dev_put(pool_devs[i]);
	for (i = 0; i < nr_providers; i++)
		pci_dev_put(provider_devs[i]);
	for (i = 0; i < nr_clients; i++)
		put_device(client_devs[i]);
}

static int __init bench_init(void)
{
	int ret;

	if (!nr_clients || (!nr_providers && nr_pools < 2)) {
		pr_err("name at least one client, and two pools or a provider\n");
		return -EINVAL;
	}
	ret = calibrate();
	if (ret)
		return ret;
	ret = pci_register_driver(&bench_driver);
	if (ret)
		return ret;

	seq_buf_init(&rows, rows_text, sizeof(rows_text));
	ret = functions_get();
	if (!ret && nr_pools >= 2)
		ret = bench_pools();
	if (!ret && nr_providers)
		ret = bench_routes();
	if (!ret && seq_buf_has_overflowed(&rows)) {
		pr_err("the figures do not fit into %d bytes\n", ROWS_BYTES);
		ret = -E2BIG;
	}
	/* Once more: what was exact must have stayed so */
	if (!ret)
		ret = calibrate();
	functions_put();
	if (ret) {
		pci_unregister_driver(&bench_driver);
		return ret;
	}

	rows_blob.data = rows_text;
	rows_blob.size = seq_buf_used(&rows);
	rows_dir = debugfs_create_dir("p2pdma_bench", NULL);
	debugfs_create_blob("rows", 0444, rows_dir, &rows_blob);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(rows_dir);
	pci_unregister_driver(&bench_driver);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("What peer-to-peer DMA costs, in instructions");
MODULE_LICENSE("GPL");
