/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bench for KUnit tests of the providers of peer-to-peer DMA memory; told in
 * p2pdma_bench.c.
 */
#ifndef _P2PDMA_BENCH_H
#define _P2PDMA_BENCH_H

#include <linux/sizes.h>
#include <linux/types.h>

#include "p2pdma_test.h"

struct page;

#define BUS_OFFSET	SZ_2G

/**
 * struct bench_held - memory that the end of the test frees, if the test has not
 * @pdev: its provider
 * @addr: its address
 * @size: its size in bytes
 */
struct bench_held {
	struct pci_dev *pdev;
	void *addr;
	size_t size;
};

struct pci_kunit_tree *bench_tree(struct kunit *test);
struct pci_kunit_tree *bench_tree_of(struct kunit *test, u16 device,
				     u64 bus_offset);
struct pci_dev *bench_provider(struct kunit *test, struct pci_kunit_tree *tree,
			       const char *name);
size_t bench_available(struct pci_dev *pdev);
size_t bench_size(struct pci_dev *pdev);
struct bench_held *bench_hold(struct kunit *test, struct pci_dev *pdev,
			      size_t size);
void bench_drop(struct kunit *test, struct bench_held *held);
void bench_fragment(struct kunit *test, struct pci_dev *pdev);
void bench_expect_found(struct kunit *test, struct pci_kunit_tree *tree,
			const char *a, const char *b, struct pci_dev *want);

struct file *bench_open(struct vfsmount *mnt, struct pci_dev *pdev,
			const char *name, int flags);
void bench_expect_file(struct kunit *test, struct vfsmount *mnt,
		       struct pci_dev *pdev, const char *name,
		       unsigned long want);
void bench_expect_none(struct kunit *test, struct vfsmount *mnt,
		       struct pci_dev *pdev, const char *why);

unsigned long bench_map(struct kunit *test, struct file *file,
			unsigned long len, unsigned long flags,
			unsigned long offset);
struct file *bench_open_allocate(struct kunit *test, struct pci_dev *pdev);
void bench_unmap(unsigned long addr, unsigned long len);
int bench_pin(unsigned long addr, int nr, struct page **pages);

#endif /* _P2PDMA_BENCH_H */
