// SPDX-License-Identifier: GPL-2.0
/*
 * What developers see of the providers: the file pci-p2pdma in debugfs.
 *
 * The state of the memory of each, as lines of a name and numbers, after a line
 * with the name of the device.  It may change with any kernel; what is meant to
 * stay is in sysfs (p2pdma_sysfs.c).
 *
 * A provider is shown until its memory has come back, so that this tells what a
 * removal waits for.  One file for all of them makes a provider cheaper to set
 * up than a file for each, and leaves nothing to be undone.
 *
 * Locking: pci_p2pdma_for_each() keeps providers from coming and going.
 *
 * What must never happen: an error because of what is here.
 */
#include <linux/array_size.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>

#include "p2pdma.h"

/* Lengths in the notation of people: 4K, 2M, 1G */
static void show_size(struct seq_file *m, u64 bytes)
{
	if (bytes >= SZ_1G)
		seq_printf(m, " %lluG", bytes / SZ_1G);
	else if (bytes >= SZ_1M)
		seq_printf(m, " %lluM", bytes / SZ_1M);
	else
		seq_printf(m, " %lluK", bytes / SZ_1K);
}

/* How many there are of each length; lengths of which there are none are left out */
static void show_classes(struct seq_file *m, const char *name,
			 const unsigned long *nr, unsigned int classes)
{
	unsigned int i;

	for (i = 0; i < classes; i++) {
		if (!nr[i])
			continue;
		seq_puts(m, name);
		show_size(m, (u64)PAGE_SIZE << i);
		seq_printf(m, " %lu\n", nr[i]);
	}
}

static void show_provider(struct pci_p2pdma *p2p, void *data)
{
	struct p2pdma_pool *pool = &p2p->pool;
	unsigned long nr[P2PDMA_POOL_CLASSES];
	struct p2pdma_pool_stats stats;
	unsigned long hits, misses;
	struct seq_file *m = data;
	int cpu;

	p2pdma_pool_stats(pool, &stats);
	seq_printf(m, "provider %s\n", pci_name(p2p->pdev));
	seq_printf(m, "size %zu\n", stats.size);
	seq_printf(m, "available %zu\n", stats.available);
	seq_printf(m, "largest-free %zu\n", stats.longest);
	seq_printf(m, "peak %zu\n", stats.peak);
	seq_printf(m, "failures %lu\n", stats.failures);
	seq_printf(m, "referenced %lu\n", stats.referenced);

	/* Up to that size, and more than half of it */
	p2pdma_pool_in_use(pool, nr);
	show_classes(m, "in-use", nr, ARRAY_SIZE(nr));

	seq_printf(m, "parked %zu\n", stats.parked);
	p2pdma_front_parked(&pool->fronts, nr);
	show_classes(m, "parked-runs", nr, P2PDMA_FRONT_CLASSES);
	for_each_possible_cpu(cpu) {
		p2pdma_front_count(&pool->fronts, cpu, &hits, &misses);
		if (hits || misses)
			seq_printf(m, "cpu %d hits %lu misses %lu\n", cpu, hits,
				   misses);
	}
}

/**
 * p2pdma_debugfs_show - describe all providers
 * @m: where to
 *
 * Context: process context, may sleep.
 */
void p2pdma_debugfs_show(struct seq_file *m)
{
	pci_p2pdma_for_each(show_provider, m);
}

static int providers_show(struct seq_file *m, void *unused)
{
	p2pdma_debugfs_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(providers);

static int __init p2pdma_debugfs_init(void)
{
	debugfs_create_file("pci-p2pdma", 0400, NULL, NULL, &providers_fops);
	return 0;
}
late_initcall(p2pdma_debugfs_init);
