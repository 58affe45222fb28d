// SPDX-License-Identifier: GPL-2.0
/*
 * A bench for KUnit tests of the providers of peer-to-peer DMA memory: a tree of
 * devices, and what drivers, clients and processes do with the memory of one.
 *
 * The devices are those of a declared PCI tree (pci_kunit.h).  Their BARs have
 * addresses, the kernel makes struct pages for them, and nothing answers there:
 * no case touches the memory.
 *
 *   host ─┬─ 01.0 rp0 ── up ─┬─ 00.0 dn0 ── mem    BAR 0 4 MiB, BAR 2 2 MiB,
 *         │                  │                     BAR 4 I/O ports
 *         │                  ├─ 01.0 dn1 ── nic
 *         │                  ├─ 02.0 dn2 ── ssd    BAR 0 2 MiB
 *         │                  └─ 03.0 dn3 ── small  BAR 0 1 MiB
 *         ├─ 02.0 rp1 ── ep                        BAR 0 2 MiB
 *         └─ 03.0 rp2 ── huge                      BAR 0 without address
 *
 * Bus addresses are 2 GiB below those of the CPU, so that one taken for the
 * other is seen.  Whether the host bridge forwards is up to the case.
 *
 * Memory that a case holds is freed when it fails, before the tree is removed:
 * a provider waits for its memory for ever, as it should.
 *
 * mmap() of p2pmem/allocate needs no process: a test thread is given an address
 * space of its own, and opens the file through a mount of sysfs that nobody
 * else sees.
 *
 * The CPU that runs this may be of a family that forwards everything.  A suite
 * on the bench pretends that it is of another, and gives back what was there.
 *
 * Nothing here is locked: a bench belongs to one case, and suites run one after
 * the other.  A function that cannot do what it is for ends the case, unless it
 * returns an error.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "p2pdma_bench.h"

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = PCI_VENDOR_ID_INTEL,
	  .device = UNLISTED, .bus_offset = BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_4M }, [2] = { .size = SZ_2M },
		   [4] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "dn2", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ssd", "dn2", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
	{ "dn3", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(3, 0) },
	{ "small", "dn3", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_1M } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ep", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0) },
	/* More than the window of the host bridge holds */
	{ "huge", "rp2", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2G } } },
};

struct pci_kunit_tree *bench_tree(struct kunit *test)
{
	return PCI_KUNIT_CREATE(test, bench);
}

/* The bench below a listed host bridge, or with another offset */
struct pci_kunit_tree *bench_tree_of(struct kunit *test, u16 device,
				     u64 bus_offset)
{
	return p2p_tree_of(test, bench, ARRAY_SIZE(bench), device, bus_offset);
}

/* A bound device all of whose BAR 0 is registered and published */
struct pci_dev *bench_provider(struct kunit *test, struct pci_kunit_tree *tree,
			       const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	pci_p2pmem_publish(pdev, true);
	return pdev;
}

size_t bench_available(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p = rcu_access_pointer(pdev->p2pdma);

	return p2p ? p2pdma_pool_available(&p2p->pool) : 0;
}

size_t bench_size(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p = rcu_access_pointer(pdev->p2pdma);

	return p2p ? p2pdma_pool_size(&p2p->pool) : 0;
}

static void free_held(void *data)
{
	struct bench_held *held = data;

	pci_free_p2pmem(held->pdev, held->addr, held->size);
}

/* Allocate memory, which the end of the test frees if the test has not */
struct bench_held *bench_hold(struct kunit *test, struct pci_dev *pdev,
			      size_t size)
{
	struct bench_held *held = kunit_kzalloc(test, sizeof(*held), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, held);
	held->pdev = pdev;
	held->size = size;
	held->addr = pci_alloc_p2pmem(pdev, size);
	KUNIT_ASSERT_NOT_NULL_MSG(test, held->addr, "%#zx bytes", size);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_held, held), 0);
	return held;
}

void bench_drop(struct kunit *test, struct bench_held *held)
{
	kunit_release_action(test, free_held, held);
}

/* Allocate all of BAR 0 page by page, and free every other one, the even ones */
void bench_fragment(struct kunit *test, struct pci_dev *pdev)
{
	unsigned int i, pages = bench_available(pdev) / PAGE_SIZE;
	struct bench_held **held, *next;

	held = kunit_kcalloc(test, pages, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);
	for (i = 0; i < pages; i++) {
		next = bench_hold(test, pdev, PAGE_SIZE);
		held[(virt_to_phys(next->addr) - pci_resource_start(pdev, 0)) /
		     PAGE_SIZE] = next;
	}
	KUNIT_ASSERT_EQ(test, bench_available(pdev), 0);
	for (i = 0; i < pages; i += 2)
		bench_drop(test, held[i]);
}

/* Who is found for node @a, and for @b if there is one */
void bench_expect_found(struct kunit *test, struct pci_kunit_tree *tree,
			const char *a, const char *b, struct pci_dev *want)
{
	struct device *clients[2];
	struct pci_dev *found;
	int nr = 0;

	clients[nr++] = &pci_kunit_dev(tree, a)->dev;
	if (b)
		clients[nr++] = &pci_kunit_dev(tree, b)->dev;
	found = pci_p2pmem_find_many(clients, nr);
	KUNIT_EXPECT_PTR_EQ_MSG(test, found, want, "for %s and %s: %s", a,
				b ?: "nobody", found ? pci_name(found) : "none");
	pci_dev_put(found);
}

/* Files of a device in sysfs ------------------------------------------------ */

/* Open p2pmem/@name of a device */
struct file *bench_open(struct vfsmount *mnt, struct pci_dev *pdev,
			const char *name, int flags)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = NULL;

	if (dir)
		path = kasprintf(GFP_KERNEL, "%s/p2pmem/%s", dir, name);
	if (!path)
		return ERR_PTR(-ENOMEM);
	return file_open_root_mnt(mnt, path, flags, 0);
}

void bench_expect_file(struct kunit *test, struct vfsmount *mnt,
		       struct pci_dev *pdev, const char *name,
		       unsigned long want)
{
	struct file *file = bench_open(mnt, pdev, name, O_RDONLY);
	char text[32] = "";
	unsigned long got;
	loff_t pos = 0;
	ssize_t len;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", name, file);
	len = kernel_read(file, text, sizeof(text) - 1, &pos);
	p2p_close(file);
	KUNIT_ASSERT_GT(test, len, 0);
	KUNIT_EXPECT_EQ_MSG(test, text[len - 1], '\n', "%s: %s", name, text);
	KUNIT_ASSERT_EQ_MSG(test, kstrtoul(text, 10, &got), 0, "%s: %s", name,
			    text);
	KUNIT_EXPECT_EQ_MSG(test, got, want, "%s", name);
}

/* The device is no provider, for anybody */
void bench_expect_none(struct kunit *test, struct vfsmount *mnt,
		       struct pci_dev *pdev, const char *why)
{
	static const char * const names[] = {
		"size", "available", "published", "allocate",
	};
	struct file *file;
	unsigned int i;

	KUNIT_EXPECT_NULL_MSG(test, rcu_access_pointer(pdev->p2pdma), "%s", why);
	KUNIT_EXPECT_FALSE_MSG(test, pci_has_p2pmem(pdev), "%s", why);
	KUNIT_EXPECT_NULL_MSG(test, pci_alloc_p2pmem(pdev, PAGE_SIZE), "%s",
			      why);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		file = bench_open(mnt, pdev, names[i], O_RDONLY);
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(file), -ENOENT,
				    "%s: %s", why, names[i]);
		if (!IS_ERR(file))
			p2p_close(file);
	}
}

/* Memory in a process ------------------------------------------------------- */

/* mmap() of p2pmem/allocate; the address, or an error */
unsigned long bench_map(struct kunit *test, struct file *file,
			unsigned long len, unsigned long flags,
			unsigned long offset)
{
	return kunit_vm_mmap(test, file, 0, len, PROT_READ | PROT_WRITE, flags,
			     offset);
}

struct file *bench_open_allocate(struct kunit *test, struct pci_dev *pdev)
{
	struct file *file = bench_open(p2p_mount(test, "sysfs"), pdev,
				       "allocate", O_RDWR);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%pe", file);
	return file;
}

void bench_unmap(unsigned long addr, unsigned long len)
{
	vm_munmap(addr, len);
	flush_delayed_fput();
}

int bench_pin(unsigned long addr, int nr, struct page **pages)
{
	return pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_PCI_P2PDMA,
				   pages);
}
