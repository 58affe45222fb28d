/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit: each allocation inside a call fails in turn; told in p2pdma_fault.c.
 */
#ifndef _P2PDMA_FAULT_H
#define _P2PDMA_FAULT_H

#include <linux/compiler.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct dma_buf;
struct dma_buf_attachment;
struct fabric;
struct file;
struct kunit;
struct pci_dev;
struct pci_kunit_tree;
struct pci_p2pdma;

/* BAR 0 of the provider; BAR 2 has 2 MiB.  Bus addresses are lower by an offset */
#define FAULT_MEMORY		SZ_4M
#define FAULT_BUS_OFFSET	SZ_2G

/**
 * struct fault_bench - what calls work on, and what they make
 * @test: the test
 * @tree: the PCI tree, or NULL
 * @mem: the device that is, or becomes, a provider
 * @nic: a device that reaches it
 * @far: a device that does not
 * @fabric: the fabric that is not PCI, or NULL
 * @user: a page of a process
 * @group: resources of @mem that the driver core manages
 * @node: number of the device node that a provider gets
 * @held: pages that are in the way of others
 * @file: for the calls, like all that follows: what was opened
 * @sgl: a scatterlist of the pool
 * @nr: number of its entries
 * @dmabuf: a buffer
 * @attach: an attachment to it
 * @sgt: what is mapped of it
 * @table: a table of the call's own
 * @addr: where something is mapped in the process
 * @dma: what a client was given
 * @fd: a file descriptor
 */
struct fault_bench {
	struct kunit *test;
	struct pci_kunit_tree *tree;
	struct pci_dev *mem;
	struct pci_dev *nic;
	struct pci_dev *far;
	struct fabric *fabric;
	char __user *user;
	void *group;
	dev_t node;
	void **held;

	struct file *file;
	struct scatterlist *sgl;
	unsigned int nr;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct sg_table table;
	unsigned long addr;
	dma_addr_t dma;
	int fd;
};

/**
 * struct fault_entry - a call
 * @name: its name
 * @fabric: on the fabric that is not PCI, behind its IOMMU
 * @prepare: makes what the call needs
 * @call: the call; returns 0 or an error
 * @undo: undoes what it did
 * @finish: undoes what @prepare did
 * @fresh: prepare it anew each time
 * @ends: it leaves nothing of what was prepared
 * @never_fails: it gets by whatever fails
 * @least: so many allocations there are at least, or this is not the test that it
 *	seems to be
 * @own: what comes after so many allocations is the base's own, and only one of
 *	several fails; 0 if each does
 */
struct fault_entry {
	const char *name;
	bool fabric;
	void (*prepare)(struct fault_bench *b);
	int (*call)(struct fault_bench *b);
	void (*undo)(struct fault_bench *b);
	void (*finish)(struct fault_bench *b);
	bool fresh;
	bool ends;
	bool never_fails;
	unsigned int least;
	unsigned int own;
};

/* The n-th allocation of this task fails; 0 for none.  It is 0 once one has */
#ifdef CONFIG_FAULT_INJECTION
static inline void fault_set_nth(unsigned int n)
{
	WRITE_ONCE(current->fail_nth, n);
}

static inline unsigned int fault_get_nth(void)
{
	return READ_ONCE(current->fail_nth);
}
#else
static inline void fault_set_nth(unsigned int n)
{
}

static inline unsigned int fault_get_nth(void)
{
	return 0;
}
#endif

/* Prepare for that, or skip the test if the kernel is not configured for it */
void fault_prepare(struct kunit *test);

struct pci_p2pdma *fault_provider(struct fault_bench *b);
void fault_open_group(struct fault_bench *b);
int fault_release_group(struct fault_bench *b);
void fault_provide(struct fault_bench *b);
void fault_provide_no_more(struct fault_bench *b);
dev_t fault_node(struct fault_bench *b);
void fault_settle(void);

/* A test case with a struct fault_entry as parameter, and names for these */
void fault_each(struct kunit *test);
void fault_entry_name(const struct fault_entry *e, char *desc);

/* Last case but one: what kmemleak knows of, if it is configured */
void fault_nothing_leaked(struct kunit *test);

#endif /* _P2PDMA_FAULT_H */
