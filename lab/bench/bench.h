/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the bench share: counting instructions, series of samples,
 * and the functions of the machine.  main.c tells how it all works.
 */
#ifndef P2PDMA_BENCH_H
#define P2PDMA_BENCH_H

#include <linux/compiler.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/types.h>

struct device;
struct pci_bus;
struct pci_dev;

#define MEMORY_BAR	2
#define MAX_POOLS	3
#define MAX_FUNCTIONS	64
#define MAX_SAMPLES	4096

/* main.c: the functions that the parameters name */
extern struct pci_dev *pool_devs[MAX_POOLS];
extern struct pci_dev *provider_devs[MAX_FUNCTIONS];
extern struct device *client_devs[MAX_FUNCTIONS];
extern int nr_pools, nr_providers, nr_clients;
extern bool quick;

#define NR_SIZES	6

/**
 * struct bench_size - a size of buffers
 * @bytes: the size
 * @name: how rows call it
 */
struct bench_size {
	size_t		bytes;
	const char	*name;
};

/* What is allocated most often by storage */
extern const struct bench_size sizes[NR_SIZES];

/* count.c */
extern u64 cost_of_nothing;

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

int calibrate(void);
noinline void known_run(void);

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
extern struct series series[NR_SIZES + 1];
#define one		(&series[0])
#define another		(&series[1])
#define failing		(&series[NR_SIZES])

void series_start(struct series *s);
void series_start_all(void);
void series_add(struct series *s, u64 value);
__printf(2, 3) void series_report(struct series *s, const char *name, ...);

/* The rows so far, or NULL if they did not fit */
const char *rows_so_far(size_t *size);

void count_reads_start(struct pci_bus *bus);
int count_reads_end(struct pci_bus *bus);

/* provider.c */
void name_size(char *name, size_t len, u64 bytes);
int add_provider(struct pci_dev *pdev, struct series *s);
int bench_register(void);

/* pool.c, map.c, route.c, scale.c: 0 or an error */
int bench_pools(void);
int bench_maps(const char *what, struct pci_dev **from, int nr_from);
int bench_routes(void);
int bench_scale(void);

#endif /* P2PDMA_BENCH_H */
