// SPDX-License-Identifier: GPL-2.0
/*
 * Counting: instructions, by the time stamp counter of a machine that is made to
 * count them, and reads of configuration space, by accessors of our own.
 *
 * A known run of instructions is measured first.  Nothing is reported if the
 * result is not exact.
 */
#include <linux/pci.h>
#include <linux/seq_buf.h>
#include <linux/sizes.h>
#include <linux/sort.h>

#include "bench.h"

#define ROWS_BYTES	SZ_64K
/* A call, the NOPs, a return */
#define KNOWN_RUN	1002

u64 cost_of_nothing;

noinline void known_run(void)
{
	asm volatile(".rept 1000\n\tnop\n\t.endr");
}

int calibrate(void)
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

struct series series[NR_SIZES + 1];

static char rows_text[ROWS_BYTES];
static struct seq_buf rows = {
	.buffer = rows_text,
	.size = sizeof(rows_text),
};

void series_start(struct series *s)
{
	s->n = 0;
	s->failed = 0;
	s->reads = -1;
}

void series_start_all(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(series); i++)
		series_start(&series[i]);
}

void series_add(struct series *s, u64 value)
{
	if (s->n < MAX_SAMPLES)
		s->sample[s->n++] = value;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

void series_report(struct series *s, const char *name, ...)
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

const char *rows_so_far(size_t *size)
{
	if (seq_buf_has_overflowed(&rows)) {
		pr_err("the figures do not fit into %d bytes\n", ROWS_BYTES);
		return NULL;
	}

	*size = seq_buf_used(&rows);
	return rows_text;
}

/* Configuration reads: the accessors of all buses are exchanged for a while */

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

void count_reads_start(struct pci_bus *bus)
{
	true_ops = pci_bus_set_ops(bus, &counting_ops);
	nr_reads = 0;
	set_ops(bus, &counting_ops);
}

int count_reads_end(struct pci_bus *bus)
{
	set_ops(bus, true_ops);
	return nr_reads;
}
