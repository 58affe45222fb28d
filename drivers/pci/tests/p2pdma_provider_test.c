// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the providers of peer-to-peer DMA memory (p2pdma.c,
 * p2pdma_sysfs.c, p2pdma_user.c): from the first resource to the end of the
 * last page, through the interface that drivers, the DMA mapping code and user
 * space have.
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
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "../pci_kunit.h"

#define UNLISTED	0x29c0
#define LISTED		0x2030
#define BUS_OFFSET	SZ_2G

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

/* The bench below a listed host bridge, or with another offset */
static struct pci_kunit_tree *bench_of_host(struct kunit *test, u16 device,
					    u64 bus_offset)
{
	struct pci_kunit_node *nodes;

	nodes = kunit_kmalloc(test, sizeof(bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, nodes);
	memcpy(nodes, bench, sizeof(bench));
	nodes[0].device = device;
	nodes[0].bus_offset = bus_offset;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(bench));
}

/* A bound device all of whose BAR 0 is registered and published */
static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree,
				     const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 0, 0, 0), 0);
	pci_p2pmem_publish(pdev, true);
	return pdev;
}

static size_t available(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p = rcu_access_pointer(pdev->p2pdma);

	return p2p ? p2pdma_pool_available(&p2p->pool) : 0;
}

static size_t size_of(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p = rcu_access_pointer(pdev->p2pdma);

	return p2p ? p2pdma_pool_size(&p2p->pool) : 0;
}

/* Memory that the end of the test frees, if the test has not */
struct held {
	struct pci_dev *pdev;
	void *addr;
	size_t size;
};

static void free_held(void *data)
{
	struct held *held = data;

	pci_free_p2pmem(held->pdev, held->addr, held->size);
}

static struct held *hold(struct kunit *test, struct pci_dev *pdev, size_t size)
{
	struct held *held = kunit_kzalloc(test, sizeof(*held), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, held);
	held->pdev = pdev;
	held->size = size;
	held->addr = pci_alloc_p2pmem(pdev, size);
	KUNIT_ASSERT_NOT_NULL_MSG(test, held->addr, "%#zx bytes", size);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_held, held), 0);
	return held;
}

static void drop(struct kunit *test, struct held *held)
{
	kunit_release_action(test, free_held, held);
}

/* Allocate all of BAR 0 page by page, and free every other one, the even ones */
static void fragment(struct kunit *test, struct pci_dev *pdev)
{
	unsigned int i, pages = available(pdev) / PAGE_SIZE;
	struct held **held, *next;

	held = kunit_kcalloc(test, pages, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);
	for (i = 0; i < pages; i++) {
		next = hold(test, pdev, PAGE_SIZE);
		held[(virt_to_phys(next->addr) - pci_resource_start(pdev, 0)) /
		     PAGE_SIZE] = next;
	}
	KUNIT_ASSERT_EQ(test, available(pdev), 0);
	for (i = 0; i < pages; i += 2)
		drop(test, held[i]);
}

/* Files of a device in sysfs ------------------------------------------------ */

static void unmount(void *mnt)
{
	kern_unmount(mnt);
}

static struct vfsmount *mount_sysfs(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("sysfs");
	struct vfsmount *mnt;

	KUNIT_ASSERT_NOT_NULL(test, type);
	mnt = kern_mount(type);
	module_put(type->owner);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmount, mnt), 0);
	return mnt;
}

/* Open p2pmem/@name of a device */
static struct file *open_file(struct vfsmount *mnt, struct pci_dev *pdev,
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

/* Files are closed by a worker in kernel threads: wait for it */
static void close_file(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

static void expect_file(struct kunit *test, struct vfsmount *mnt,
			struct pci_dev *pdev, const char *name,
			unsigned long want)
{
	struct file *file = open_file(mnt, pdev, name, O_RDONLY);
	char text[32] = "";
	unsigned long got;
	loff_t pos = 0;
	ssize_t len;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", name, file);
	len = kernel_read(file, text, sizeof(text) - 1, &pos);
	close_file(file);
	KUNIT_ASSERT_GT(test, len, 0);
	KUNIT_EXPECT_EQ_MSG(test, text[len - 1], '\n', "%s: %s", name, text);
	KUNIT_ASSERT_EQ_MSG(test, kstrtoul(text, 10, &got), 0, "%s: %s", name,
			    text);
	KUNIT_EXPECT_EQ_MSG(test, got, want, "%s", name);
}

/* The device is no provider, for anybody */
static void expect_no_provider(struct kunit *test, struct vfsmount *mnt,
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
		file = open_file(mnt, pdev, names[i], O_RDONLY);
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(file), -ENOENT,
				    "%s: %s", why, names[i]);
		if (!IS_ERR(file))
			close_file(file);
	}
}

/* Resources ----------------------------------------------------------------- */

static void whole_bar(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct held *held;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);

	/* The pages are there, and their addresses are those of the BAR */
	held = hold(test, mem, SZ_4M);
	KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(virt_to_page(held->addr)));
	KUNIT_EXPECT_EQ(test, virt_to_phys(held->addr),
			pci_resource_start(mem, 0));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, held->addr),
			pci_bus_address(mem, 0));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, 1));
}

static void part_of_a_bar(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct held *held;

	/* From the middle to the end, without saying how much that is */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, SZ_2M), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_2M);
	held = hold(test, mem, SZ_2M);
	KUNIT_EXPECT_EQ(test, virt_to_phys(held->addr),
			pci_resource_start(mem, 0) + SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, held->addr),
			pci_bus_address(mem, 0) + SZ_2M);

	/* Then the beginning.  Both together are no single piece */
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_2M);
	drop(test, held);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_4M));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_2M + 1));
	hold(test, mem, SZ_2M);
	hold(test, mem, SZ_2M);
}

static void two_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct held *first, *second;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_4M, 0), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);

	first = hold(test, mem, SZ_4M);
	second = hold(test, mem, SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, first->addr),
			pci_bus_address(mem, 0));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, second->addr),
			pci_bus_address(mem, 2));
	KUNIT_EXPECT_EQ(test, available(mem), 0);
}

/* What nobody may register, on a device that is no provider yet */
static const struct refusal {
	const char *what;
	const char *name;
	int bar;
	size_t size;
	u64 offset;
} refusals[] = {
	{ "BAR -1", "mem", -1 },
	{ "least BAR", "mem", INT_MIN },
	{ "BAR 6, an expansion ROM", "mem", PCI_ROM_RESOURCE },
	{ "BAR beyond all resources", "mem", PCI_NUM_RESOURCES },
	{ "largest BAR", "mem", INT_MAX },
	{ "upper half of a BAR", "mem", 1 },
	{ "I/O ports", "mem", 4 },
	{ "BAR that does not exist", "mem", 5 },
	{ "device without any", "nic", 0 },
	{ "BAR without address", "huge", 0 },
	{ "part of a BAR without address", "huge", 0, SZ_2M, SZ_2M },
	{ "offset at the end", "mem", 0, 0, SZ_4M },
	{ "offset at the end, with size", "mem", 0, SZ_2M, SZ_4M },
	{ "offset beyond", "mem", 0, 0, SZ_8M },
	{ "largest offset", "mem", 0, SZ_2M, U64_MAX },
	{ "largest aligned offset", "mem", 0, SZ_2M, U64_MAX - SZ_2M + 1 },
	{ "size beyond", "mem", 0, SZ_8M, 0 },
	{ "size beyond, from an offset", "mem", 0, SZ_4M, SZ_2M },
	{ "largest size", "mem", 0, SIZE_MAX, 0 },
	{ "size that wraps with the offset", "mem", 0, SIZE_MAX - SZ_2M + 1,
	  SZ_2M },
	{ "size that wraps beyond", "mem", 0, SIZE_MAX, SZ_2M },
	{ "offset of a page", "mem", 0, SZ_2M, SZ_4K },
	{ "size of a page", "mem", 0, SZ_4K, 0 },
	{ "size of a byte", "mem", 0, 1, 0 },
	{ "rest that is no multiple", "mem", 0, 0, SZ_4K },
	{ "BAR of 1 MiB", "small", 0 },
};

static void refusal_name(const struct refusal *r, char *desc)
{
	strscpy(desc, r->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refusal, refusals, refusal_name);

/* Stock leaves a provider without memory behind, in sysfs and for the driver */
static void refuses_bad_resource(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *pdev = pci_kunit_bind(tree, r->name);

	if (!strcmp(r->name, "huge"))
		KUNIT_ASSERT_NULL(test, pdev->resource[0].parent);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(pdev, r->bar, r->size,
						      r->offset), -EINVAL);
	expect_no_provider(test, mnt, pdev, r->what);

	/* It does not stand in the way of one that is good, or the other way */
	if (strcmp(r->name, "mem"))
		return;
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 2, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(pdev, r->bar, r->size,
						      r->offset), -EINVAL);
	KUNIT_EXPECT_EQ(test, size_of(pdev), SZ_2M);
	expect_file(test, mnt, pdev, "available", SZ_2M);
}

static void refuses_no_device(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(NULL, 0, 0, 0), -EINVAL);
}

static void refuses_the_same_twice(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M), 0);

	/* The same, all of it from before, all of it to the end */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, SZ_2M),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_4M, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, SZ_2M), -EBUSY);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_2M);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_2M);

	/* What is left of it, and other BARs, are welcome */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 0, SZ_2M, 0), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);
}

/* Finding ------------------------------------------------------------------- */

static void published_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");

	/* Who has nothing cannot publish it */
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	expect_file(test, mnt, mem, "published", 0);

	/* It is for its own driver nevertheless */
	drop(test, hold(test, mem, PAGE_SIZE));

	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_TRUE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_PTR_EQ(test, pci_p2pmem_find(&nic->dev), mem);
	pci_dev_put(mem);
	expect_file(test, mnt, mem, "published", 1);

	pci_p2pmem_publish(mem, false);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	expect_file(test, mnt, mem, "published", 0);
}

static void expect_found(struct kunit *test, struct pci_kunit_tree *tree,
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

static void finds_the_nearest(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_of_host(test, LISTED, 0);
	struct pci_dev *ep = make_provider(test, tree, "ep");
	struct pci_dev *mem, *ssd;

	/* All there is, however far */
	expect_found(test, tree, "nic", NULL, ep);
	mem = make_provider(test, tree, "mem");
	expect_found(test, tree, "nic", NULL, mem);
	expect_found(test, tree, "ep", NULL, ep);
	expect_found(test, tree, "ssd", NULL, mem);

	/* Memory of a client goes before memory of its neighbour */
	ssd = make_provider(test, tree, "ssd");
	expect_found(test, tree, "ssd", NULL, ssd);
	expect_found(test, tree, "ssd", "nic", ssd);
	expect_found(test, tree, "nic", "ssd", ssd);
	expect_found(test, tree, "ep", "nic", ep);
	pci_p2pmem_publish(ssd, false);
	expect_found(test, tree, "ssd", "nic", mem);
}

static void finds_only_what_all_reach(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *ep = make_provider(test, tree, "ep");
	struct pci_dev *mem;

	expect_found(test, tree, "nic", NULL, NULL);
	expect_found(test, tree, "ep", NULL, ep);
	mem = make_provider(test, tree, "mem");
	expect_found(test, tree, "nic", NULL, mem);
	expect_found(test, tree, "nic", "ssd", mem);
	expect_found(test, tree, "nic", "ep", NULL);
	expect_found(test, tree, "ep", "ssd", NULL);

	KUNIT_EXPECT_NULL(test, pci_p2pmem_find_many(NULL, 0));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(NULL));
}

/* Who finds holds; who is chosen among equals is left to chance */
static void chooses_among_equals(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct pci_dev *ssd = make_provider(test, tree, "ssd");
	unsigned int before = kref_read(&mem->dev.kobj.kref);
	unsigned int mems = 0, ssds = 0, i;
	struct pci_dev *found;

	for (i = 0; i < 64; i++) {
		found = pci_p2pmem_find(&nic->dev);
		if (found == mem) {
			mems++;
			KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref),
					before + 1);
		} else if (found == ssd) {
			ssds++;
		}
		pci_dev_put(found);
	}
	KUNIT_EXPECT_EQ(test, mems + ssds, 64);
	KUNIT_EXPECT_GT(test, mems, 0);
	KUNIT_EXPECT_GT(test, ssds, 0);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before);
}

/* Memory -------------------------------------------------------------------- */

static void allocates_and_frees(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct held *a, *b;
	void *end;

	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(nic, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, 0));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_4M + 1));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SIZE_MAX));
	expect_file(test, mnt, mem, "available", SZ_4M);

	a = hold(test, mem, 3 * PAGE_SIZE - 5);
	b = hold(test, mem, 1);
	expect_file(test, mnt, mem, "size", SZ_4M);
	expect_file(test, mnt, mem, "available", SZ_4M - 4 * PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, a->addr, b->addr);

	/* Bus addresses, at the begin and inside */
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, a->addr) + BUS_OFFSET,
			virt_to_phys(a->addr));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, a->addr + 5000),
			pci_p2pmem_virt_to_bus(mem, a->addr) + 5000);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, NULL), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(nic, a->addr), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, test), 0);
	end = phys_to_virt(pci_resource_end(mem, 0) + 1);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, end), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, end - 1),
			pci_bus_address(mem, 0) + SZ_4M - 1);

	drop(test, a);
	drop(test, b);
	expect_file(test, mnt, mem, "available", SZ_4M);
	drop(test, hold(test, mem, SZ_4M));
}

/* Lists of several entries, each all of whole pages but the last */
static void expect_sgl(struct kunit *test, struct scatterlist *sgl,
		       unsigned int nr, unsigned int want_nr, u32 length)
{
	struct scatterlist *sg;
	unsigned int i, n = 0;
	u32 sum = 0;

	KUNIT_EXPECT_EQ(test, nr, want_nr);
	for_each_sg(sgl, sg, nr, i) {
		KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(sg)));
		KUNIT_EXPECT_EQ(test, sg->offset, 0);
		KUNIT_EXPECT_GT(test, sg->length, 0);
		KUNIT_EXPECT_EQ(test, !!sg_is_last(sg), i == nr - 1);
		if (i < nr - 1)
			KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(sg->length));
		sum += sg->length;
	}
	KUNIT_EXPECT_EQ(test, sum, length);
	for (sg = sgl; sg; sg = sg_next(sg))
		n++;
	KUNIT_EXPECT_EQ(test, n, nr);
}

static void lists_of_one_piece(struct kunit *test)
{
	static const u32 lengths[] = {
		1, SZ_4K, SZ_4K + 1, SZ_128K, 3 * SZ_64K + 512, SZ_4M,
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct scatterlist *sgl;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		sgl = pci_p2pmem_alloc_sgl(mem, &nr, lengths[i]);
		KUNIT_ASSERT_NOT_NULL(test, sgl);
		expect_sgl(test, sgl, nr, 1, lengths[i]);
		KUNIT_EXPECT_EQ(test, available(mem),
				SZ_4M - PAGE_ALIGN(lengths[i]));
		pci_p2pmem_free_sgl(mem, sgl);
		KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
	}

	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, 0));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, SZ_4M + 1));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, U32_MAX));
	KUNIT_EXPECT_NULL(test,
			  pci_p2pmem_alloc_sgl(pci_kunit_dev(tree, "nic"), &nr,
					       SZ_4K));
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
}

/* Stock wants one contiguous piece and gives nothing */
static void lists_from_fragments(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *ssd = make_provider(test, tree, "ssd");
	struct scatterlist *sgl, *rest;
	unsigned int nr;

	fragment(test, ssd);
	KUNIT_ASSERT_EQ(test, available(ssd), SZ_1M);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(ssd, SZ_8K));

	sgl = pci_p2pmem_alloc_sgl(ssd, &nr, SZ_128K - 1);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	expect_sgl(test, sgl, nr, SZ_128K / PAGE_SIZE, SZ_128K - 1);
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M - SZ_128K);

	/* More than is left: all that was gathered goes back */
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(ssd, &nr,
						     SZ_1M - SZ_128K + 1));
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M - SZ_128K);

	/* Exactly what is left */
	rest = pci_p2pmem_alloc_sgl(ssd, &nr, SZ_1M - SZ_128K);
	KUNIT_EXPECT_NOT_NULL(test, rest);
	KUNIT_EXPECT_EQ(test, available(ssd), 0);
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(ssd, &nr, 1));

	if (rest)
		pci_p2pmem_free_sgl(ssd, rest);
	pci_p2pmem_free_sgl(ssd, sgl);
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M);
}

/* Entries do not span resources: each has a translation of its own */
static void lists_from_two_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct scatterlist *sgl;
	unsigned int nr;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	sgl = pci_p2pmem_alloc_sgl(mem, &nr, SZ_4M + SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	expect_sgl(test, sgl, nr, 2, SZ_4M + SZ_1M);
	KUNIT_EXPECT_EQ(test, sg_phys(sgl), pci_resource_start(mem, 0));
	KUNIT_EXPECT_EQ(test, sg_phys(&sgl[1]) / SZ_2M,
			pci_resource_start(mem, 2) / SZ_2M);
	pci_p2pmem_free_sgl(mem, sgl);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M + SZ_2M);
}

/* Mapping for DMA ----------------------------------------------------------- */

#define MAP_ENTRIES	4

/* A table over pieces of memory, one entry each */
static void fill_table(struct kunit *test, struct sg_table *sgt,
		       struct scatterlist *sgl, void * const *addr,
		       const unsigned int *len, unsigned int nr)
{
	unsigned int i;

	sg_init_table(sgl, nr);
	for (i = 0; i < nr; i++)
		sg_set_buf(&sgl[i], addr[i], len[i]);
	*sgt = (struct sg_table){ .sgl = sgl, .nents = nr, .orig_nents = nr };
}

static void expect_bus_address(struct kunit *test, struct scatterlist *sg,
			       struct pci_dev *provider)
{
	KUNIT_EXPECT_TRUE(test, sg_dma_is_bus_address(sg));
	KUNIT_EXPECT_EQ(test, sg_dma_address(sg),
			pci_p2pmem_virt_to_bus(provider, sg_virt(sg)));
	KUNIT_EXPECT_EQ(test, sg_dma_len(sg), sg->length);
}

static void maps_to_bus_addresses(struct kunit *test)
{
	static const u64 offsets[] = { 0, BUS_OFFSET };
	static const unsigned int len[MAP_ENTRIES] = {
		SZ_64K, SZ_4K, 512, SZ_8K,
	};
	struct scatterlist sgl[MAP_ENTRIES];
	struct device *nic;
	struct pci_kunit_tree *tree;
	struct held *held[MAP_ENTRIES];
	void *addr[MAP_ENTRIES];
	struct pci_dev *mem, *ssd;
	struct sg_table sgt;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		tree = bench_of_host(test, UNLISTED, offsets[i]);
		nic = &pci_kunit_bind(tree, "nic")->dev;
		mem = make_provider(test, tree, "mem");
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
		ssd = make_provider(test, tree, "ssd");

		/* Two resources and two providers, one after the other */
		held[0] = hold(test, mem, SZ_4M);
		held[1] = hold(test, mem, SZ_64K);
		held[2] = hold(test, ssd, SZ_4K);
		held[3] = held[0];
		for (k = 0; k < MAP_ENTRIES; k++)
			addr[k] = held[k]->addr;
		addr[2] += 1024;
		addr[3] += SZ_1M;
		fill_table(test, &sgt, sgl, addr, len, MAP_ENTRIES);

		KUNIT_ASSERT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL,
						      0), 0);
		KUNIT_EXPECT_EQ(test, sgt.nents, MAP_ENTRIES);
		expect_bus_address(test, &sgl[0], mem);
		expect_bus_address(test, &sgl[1], mem);
		expect_bus_address(test, &sgl[2], ssd);
		expect_bus_address(test, &sgl[3], mem);
		KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[0]) + offsets[i],
				pci_resource_start(mem, 0));
		KUNIT_EXPECT_EQ(test, (sg_dma_address(&sgl[1]) + offsets[i]) / SZ_2M,
				pci_resource_start(mem, 2) / SZ_2M);
		KUNIT_EXPECT_EQ(test, (sg_dma_address(&sgl[2]) + offsets[i]) / SZ_2M,
				pci_resource_start(ssd, 0) / SZ_2M);
		for (k = 0; k < MAP_ENTRIES; k++)
			KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[k]) + offsets[i],
					sg_phys(&sgl[k]));

		dma_unmap_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0);
		for (k = 0; k < MAP_ENTRIES; k++)
			KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[k]));
		for (k = 0; k < 3; k++)
			drop(test, held[k]);
		pci_kunit_destroy(tree);
	}
}

/* Ordinary memory in the same list has nothing to do with it */
static void maps_along_with_ordinary_memory(struct kunit *test)
{
	static const unsigned int len[3] = { SZ_4K, SZ_4K, SZ_4K };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct device *nic = &pci_kunit_bind(tree, "nic")->dev;
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct held *held = hold(test, mem, SZ_64K);
	void *ram = kunit_kmalloc(test, SZ_4K, GFP_KERNEL);
	void *addr[3] = { held->addr, ram, held->addr + SZ_8K };
	struct scatterlist sgl[3];
	struct sg_table sgt;

	KUNIT_ASSERT_NOT_NULL(test, ram);
	fill_table(test, &sgt, sgl, addr, len, 3);
	KUNIT_ASSERT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0), 0);
	expect_bus_address(test, &sgl[0], mem);
	KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[1]));
	KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[1]), virt_to_phys(ram));
	expect_bus_address(test, &sgl[2], mem);
	dma_unmap_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0);
}

/* Through the host the address is that of the CPU, as for ordinary memory */
static void maps_through_the_host(struct kunit *test)
{
	static const unsigned int len[2] = { SZ_4K, SZ_64K };
	struct pci_kunit_tree *tree = bench_of_host(test, LISTED, BUS_OFFSET);
	struct device *ep = &pci_kunit_bind(tree, "ep")->dev;
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct held *held = hold(test, mem, SZ_128K);
	void *addr[2] = { held->addr, held->addr + SZ_64K };
	struct scatterlist sgl[2];
	struct sg_table sgt;
	unsigned int i;

	fill_table(test, &sgt, sgl, addr, len, 2);
	KUNIT_ASSERT_EQ(test, dma_map_sgtable(ep, &sgt, DMA_TO_DEVICE, 0), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[i]));
		KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[i]),
				virt_to_phys(addr[i]));
		KUNIT_EXPECT_EQ(test, sg_dma_len(&sgl[i]), len[i]);
	}
	dma_unmap_sgtable(ep, &sgt, DMA_TO_DEVICE, 0);

	/* Out of reach of a 32-bit device: refused, never copied elsewhere */
	KUNIT_ASSERT_EQ(test, dma_set_mask(ep, DMA_BIT_MASK(32)), 0);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(ep, &sgt, DMA_TO_DEVICE, 0),
			-EREMOTEIO);
}

static void refuses_to_map_what_is_not_reached(struct kunit *test)
{
	static const unsigned int len[2] = { SZ_4K, SZ_4K };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct device *nic = &pci_kunit_bind(tree, "nic")->dev;
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct pci_dev *ep = make_provider(test, tree, "ep");
	struct held *near = hold(test, mem, SZ_4K);
	struct held *far = hold(test, ep, SZ_4K);
	void *addr[2] = { near->addr, far->addr };
	struct scatterlist sgl[2];
	struct sg_table sgt;

	fill_table(test, &sgt, sgl, &addr[1], len, 1);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0),
			-EREMOTEIO);

	/* One that can be reached does not help the other */
	fill_table(test, &sgt, sgl, addr, len, 2);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0),
			-EREMOTEIO);
	KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[0]));

	/* And the own memory is always reached */
	fill_table(test, &sgt, sgl, &addr[1], len, 1);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(&ep->dev, &sgt, DMA_BIDIRECTIONAL,
					      0), 0);
	expect_bus_address(test, &sgl[0], ep);
	dma_unmap_sgtable(&ep->dev, &sgt, DMA_BIDIRECTIONAL, 0);
}

/* Memory in a process ------------------------------------------------------- */

/* mmap() of p2pmem/allocate; the address, or an error */
static unsigned long map_file(struct kunit *test, struct file *file,
			      unsigned long len, unsigned long flags,
			      unsigned long offset)
{
	return kunit_vm_mmap(test, file, 0, len, PROT_READ | PROT_WRITE, flags,
			     offset);
}

static struct file *open_allocate(struct kunit *test, struct pci_dev *pdev)
{
	struct file *file = open_file(mount_sysfs(test), pdev, "allocate",
				      O_RDWR);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%pe", file);
	return file;
}

static void unmap(unsigned long addr, unsigned long len)
{
	vm_munmap(addr, len);
	flush_delayed_fput();
}

static int pin(unsigned long addr, int nr, struct page **pages)
{
	return pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_PCI_P2PDMA,
				   pages);
}

static void mapping_holds_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct file *file = open_allocate(test, mem);
	unsigned long a, b;

	a = map_file(test, file, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(a), "%ld", (long)a);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M - SZ_1M);

	/* Another mapping is other memory */
	b = map_file(test, file, 3 * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(b));
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M - SZ_1M - 3 * PAGE_SIZE);

	/* Part of a mapping may go, and the file need not stay open */
	close_file(file);
	unmap(a, SZ_64K);
	KUNIT_EXPECT_EQ(test, available(mem),
			SZ_4M - SZ_1M + SZ_64K - 3 * PAGE_SIZE);
	unmap(b, 3 * PAGE_SIZE);
	unmap(a + SZ_64K, SZ_1M - SZ_64K);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);

	/* In one piece, as before */
	drop(test, hold(test, mem, SZ_4M));
}

static void mapped_pages_are_the_providers(struct kunit *test)
{
	enum { NR = 16 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct file *file = open_allocate(test, mem);
	struct page *pages[NR];
	unsigned long addr;
	int i, k, nr;

	addr = map_file(test, file, NR * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	/* Who is not prepared for such pages does not get them */
	nr = pin_user_pages_fast(addr, 1, FOLL_WRITE, pages);
	KUNIT_EXPECT_LT(test, nr, 0);
	if (nr > 0)
		unpin_user_pages(pages, nr);

	nr = pin(addr, NR, pages);
	KUNIT_EXPECT_EQ(test, nr, NR);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(pages[i]));
		KUNIT_EXPECT_GE(test, page_to_phys(pages[i]),
				pci_resource_start(mem, 0));
		KUNIT_EXPECT_LE(test, page_to_phys(pages[i]),
				pci_resource_end(mem, 0));
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_PTR_NE(test, pages[i], pages[k]);
	}

	/* Gone from the process, still in use by whoever pinned them */
	unmap(addr, NR * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M - NR * PAGE_SIZE);
	if (nr > 0)
		unpin_user_pages(pages, nr);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
	close_file(file);
}

/* Pages are as good after a process had them as before, many times */
static void mapped_again_and_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *ssd = make_provider(test, tree, "ssd");
	struct file *file = open_allocate(test, ssd);
	unsigned long addr;
	int i;

	for (i = 0; i < 10; i++) {
		addr = map_file(test, file, SZ_2M, MAP_SHARED, 0);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "round %d: %ld",
				       i, (long)addr);
		KUNIT_EXPECT_EQ(test, available(ssd), 0);
		unmap(addr, SZ_2M);
		KUNIT_EXPECT_EQ(test, available(ssd), SZ_2M);
		drop(test, hold(test, ssd, SZ_2M));
	}
	close_file(file);
}

static void mapping_is_refused(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct file *file = open_allocate(test, mem);
	static const struct {
		const char *what;
		unsigned long len;
		unsigned long flags;
		unsigned long offset;
		long error;
	} wrong[] = {
		{ "private", SZ_64K, MAP_PRIVATE, 0, -EINVAL },
		{ "offset", SZ_64K, MAP_SHARED, PAGE_SIZE, -EINVAL },
		{ "private, offset", SZ_64K, MAP_PRIVATE, SZ_2M, -EINVAL },
		{ "more than there is", SZ_4M + PAGE_SIZE, MAP_SHARED, 0,
		  -ENOMEM },
		{ "far more than there is", SZ_1G, MAP_SHARED, 0, -ENOMEM },
	};
	unsigned long addr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		addr = map_file(test, file, wrong[i].len, wrong[i].flags,
				wrong[i].offset);
		KUNIT_EXPECT_EQ_MSG(test, (long)addr, wrong[i].error, "%s",
				    wrong[i].what);
		flush_delayed_fput();
		KUNIT_EXPECT_EQ_MSG(test, available(mem), SZ_4M, "%s",
				    wrong[i].what);
	}

	/* Less than enough, because somebody else has it */
	hold(test, mem, SZ_4M - SZ_64K);
	addr = map_file(test, file, SZ_128K, MAP_SHARED, 0);
	KUNIT_EXPECT_EQ(test, (long)addr, -ENOMEM);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, available(mem), SZ_64K);
	close_file(file);
}

/* Stock wants one contiguous piece here, too */
static void mapping_from_fragments(struct kunit *test)
{
	enum { NR = 20 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *ssd = make_provider(test, tree, "ssd");
	struct file *file = open_allocate(test, ssd);
	struct page *pages[NR];
	unsigned long addr;
	int i, k, nr;

	fragment(test, ssd);
	KUNIT_ASSERT_EQ(test, available(ssd), SZ_1M);

	addr = map_file(test, file, NR * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", (long)addr);
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M - NR * PAGE_SIZE);
	nr = pin(addr, NR, pages);
	KUNIT_EXPECT_EQ(test, nr, NR);
	for (i = 0; i < nr; i++) {
		/* The odd pages are held by somebody else */
		KUNIT_EXPECT_EQ(test, page_to_pfn(pages[i]) % 2, 0);
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_PTR_NE(test, pages[i], pages[k]);
	}
	if (nr > 0)
		unpin_user_pages(pages, nr);
	unmap(addr, NR * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M);

	/* All that is free, and not a page more */
	addr = map_file(test, file, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", (long)addr);
	KUNIT_EXPECT_EQ(test, available(ssd), 0);
	KUNIT_EXPECT_EQ(test, (long)map_file(test, file, PAGE_SIZE, MAP_SHARED,
					     0), -ENOMEM);
	unmap(addr, SZ_1M);
	KUNIT_EXPECT_EQ(test, available(ssd), SZ_1M);
	close_file(file);
}

/* The end of a provider ----------------------------------------------------- */

static void unbound_and_bound_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem;
	int i;

	for (i = 0; i < 3; i++) {
		mem = pci_kunit_bind(tree, "mem");
		expect_no_provider(test, mnt, mem, "bound");
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
		/* Nothing is left of its last life */
		KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
		KUNIT_EXPECT_EQ(test, available(mem), SZ_4M + SZ_2M);
		pci_p2pmem_publish(mem, true);
		expect_found(test, tree, "nic", NULL, mem);
		drop(test, hold(test, mem, SZ_64K));

		pci_kunit_unbind(tree, "mem");
		expect_no_provider(test, mnt, mem, "unbound");
		KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	}

	/* The same for a device that is removed, driver and all */
	mem = make_provider(test, tree, "mem");
	pci_kunit_remove(tree, "mem");
	KUNIT_EXPECT_NULL(test, pci_p2pmem_find(&nic->dev));
	pci_kunit_rescan(tree);
	mem = make_provider(test, tree, "mem");
	expect_found(test, tree, "nic", NULL, mem);
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
}

/* Somebody who gives memory back while its provider ends */
struct late {
	struct pci_dev *pdev;
	struct device *client;
	void *addr;
	struct page *page;
	void *refused;			/* what an allocation gave meanwhile */
	bool published;
	bool found;
	bool freed;
	struct completion done;
};

static int late(void *data)
{
	struct late *l = data;
	struct pci_dev *found;
	int i;

	/* Until nobody finds it any more, and then some */
	for (i = 0; i < 250 && pci_has_p2pmem(l->pdev); i++)
		msleep(20);
	msleep(200);

	l->refused = pci_alloc_p2pmem(l->pdev, PAGE_SIZE);
	found = pci_p2pmem_find(l->client);
	l->found = found;
	pci_dev_put(found);
	l->published = pci_has_p2pmem(l->pdev);

	WRITE_ONCE(l->freed, true);
	if (l->addr)
		pci_free_p2pmem(l->pdev, l->addr, SZ_64K);
	if (l->page)
		unpin_user_page(l->page);
	complete(&l->done);
	return 0;
}

static void start_late(struct kunit *test, struct late *l)
{
	struct task_struct *task;

	init_completion(&l->done);
	task = kthread_run(late, l, "p2pdma_provider_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
}

static void expect_late(struct kunit *test, struct late *l)
{
	/* Unbinding has ended: not before the memory was back */
	KUNIT_EXPECT_TRUE(test, READ_ONCE(l->freed));
	wait_for_completion(&l->done);
	KUNIT_EXPECT_NULL(test, l->refused);
	KUNIT_EXPECT_FALSE(test, l->found);
	KUNIT_EXPECT_FALSE(test, l->published);
}

static void unbinding_waits_for_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct late l = {
		.pdev = mem,
		.client = &pci_kunit_dev(tree, "nic")->dev,
	};

	l.addr = pci_alloc_p2pmem(mem, SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, l.addr);
	start_late(test, &l);
	pci_kunit_unbind(tree, "mem");
	expect_late(test, &l);
	expect_no_provider(test, mnt, mem, "unbound");

	make_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
}

static void unbinding_waits_for_pins(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct file *file = open_allocate(test, mem);
	struct late l = {
		.pdev = mem,
		.client = &pci_kunit_dev(tree, "nic")->dev,
	};
	unsigned long addr;

	addr = map_file(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, pin(addr, 1, &l.page), 1);
	close_file(file);
	start_late(test, &l);

	/* The mapping is there until it is taken away */
	pci_kunit_unbind(tree, "mem");
	expect_late(test, &l);
	KUNIT_EXPECT_LT(test, pin(addr, 1, &l.page), 0);
	unmap(addr, SZ_64K);
}

static void unbinding_takes_mappings_away(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct file *file = open_allocate(test, mem);
	unsigned long addr, next;
	struct page *page;

	addr = map_file(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, pin(addr, 1, &page), 1);
	unpin_user_page(page);

	/* With the file open, too.  What was mapped is no memory any more */
	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_LT(test, pin(addr, 1, &page), 0);
	next = map_file(test, file, PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(next));
	unmap(addr, SZ_64K);
	close_file(file);

	/* The next one to come is not concerned by it */
	mem = make_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, available(mem), SZ_4M);
	file = open_allocate(test, mem);
	addr = map_file(test, file, SZ_64K, MAP_SHARED, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(addr));

	/* And when the whole device is removed */
	pci_kunit_remove(tree, "mem");
	KUNIT_EXPECT_LT(test, pin(addr, 1, &page), 0);
	unmap(addr, SZ_64K);
	close_file(file);
}

/* Choosing a provider by name ----------------------------------------------- */

static const struct setting {
	const char *text;
	int error;
	bool enabled;
} settings[] = {
	{ "0", 0, false },
	{ "1", 0, true },
	{ "0\n", 0, false },
	{ "1\n", 0, true },
	{ "y", 0, true },
	{ "Y\n", 0, true },
	{ "yes\n", 0, true },
	{ "n", 0, false },
	{ "no\n", 0, false },
	{ "on", 0, true },
	{ "on\n", 0, true },
	{ "off", 0, false },
	{ "OFF\n", 0, false },
	/* Addresses that begin with a truth value */
	{ "0000:fe:1f.7", -ENODEV },
	{ "1000:fe:1f.7\n", -ENODEV },
	{ "0000:", -ENODEV },
	{ "10", -ENODEV },
	{ "01", -ENODEV },
	/* Neither */
	{ "", -ENODEV },
	{ "\n", -ENODEV },
	{ "maybe", -ENODEV },
	{ "2", -ENODEV },
	{ "-1", -ENODEV },
	{ " 1", -ENODEV },
	{ ":", -ENODEV },
};

static void setting_name(const struct setting *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "\"%.*s\"%s",
		 (int)strcspn(s->text, "\n"), s->text,
		 strchr(s->text, '\n') ? " and end of line" : "");
}

KUNIT_ARRAY_PARAM(setting, settings, setting_name);

static void parses_settings(struct kunit *test)
{
	const struct setting *s = test->param_value;
	struct pci_dev *untouched = (struct pci_dev *)test, *chosen = untouched;
	bool enabled = !s->enabled;

	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(s->text, &chosen,
						      &enabled), s->error);
	KUNIT_EXPECT_PTR_EQ(test, chosen, untouched);
	if (s->error)
		KUNIT_EXPECT_TRUE(test, enabled);
	else
		KUNIT_EXPECT_EQ(test, enabled, s->enabled);
}

static void chooses_by_name(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	char *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct pci_dev *chosen = NULL;
	unsigned int before;
	char text[32];
	bool enabled = false;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	snprintf(text, sizeof(text), "%s\n", pci_name(mem));

	/* No memory; memory that is not published */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled),
			-ENODEV);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	before = kref_read(&mem->dev.kobj.kref);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled),
			-ENODEV);
	KUNIT_EXPECT_NULL(test, chosen);
	KUNIT_EXPECT_FALSE(test, enabled);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before);

	/* Published; with and without end of line */
	pci_p2pmem_publish(mem, true);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(text, &chosen, &enabled), 0);
	KUNIT_EXPECT_PTR_EQ(test, chosen, mem);
	KUNIT_EXPECT_TRUE(test, enabled);
	KUNIT_EXPECT_EQ(test, kref_read(&mem->dev.kobj.kref), before + 1);
	pci_dev_put(chosen);
	chosen = NULL;
	enabled = false;
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_store(pci_name(mem), &chosen,
						      &enabled), 0);
	KUNIT_EXPECT_PTR_EQ(test, chosen, mem);
	KUNIT_EXPECT_TRUE(test, enabled);

	/* What is shown is what can be written again */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, mem, true),
			strlen(text));
	KUNIT_EXPECT_STREQ(test, buf, text);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, NULL, true), 2);
	KUNIT_EXPECT_STREQ(test, buf, "1\n");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, NULL, false), 2);
	KUNIT_EXPECT_STREQ(test, buf, "0\n");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_enable_show(buf, mem, false), 2);
	KUNIT_EXPECT_STREQ(test, buf, "0\n");

	if (chosen == mem)
		pci_dev_put(chosen);
}

/* The suite ---------------------------------------------------------------- */

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static bool locks_before;
static u8 cpu_vendor;

static int p2pdma_provider_suite_init(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;

	/* Not one of those that forward everything */
	cpu_vendor = cpu_data(0).x86_vendor;
	cpu_data(0).x86_vendor = X86_VENDOR_INTEL;
	return 0;
}

static void p2pdma_provider_suite_exit(struct kunit_suite *suite)
{
	cpu_data(0).x86_vendor = cpu_vendor;
}

/* Last: nothing in this suite made the kernel complain */
static void kernel_has_not_complained(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}

static struct kunit_case p2pdma_provider_cases[] = {
	KUNIT_CASE(whole_bar),
	KUNIT_CASE(part_of_a_bar),
	KUNIT_CASE(two_bars),
	KUNIT_CASE_PARAM(refuses_bad_resource, refusal_gen_params),
	KUNIT_CASE(refuses_no_device),
	KUNIT_CASE(refuses_the_same_twice),
	KUNIT_CASE(published_or_not),
	KUNIT_CASE(finds_the_nearest),
	KUNIT_CASE(finds_only_what_all_reach),
	KUNIT_CASE(chooses_among_equals),
	KUNIT_CASE(allocates_and_frees),
	KUNIT_CASE(lists_of_one_piece),
	KUNIT_CASE(lists_from_fragments),
	KUNIT_CASE(lists_from_two_bars),
	KUNIT_CASE(maps_to_bus_addresses),
	KUNIT_CASE(maps_along_with_ordinary_memory),
	KUNIT_CASE(maps_through_the_host),
	KUNIT_CASE(refuses_to_map_what_is_not_reached),
	KUNIT_CASE(mapping_holds_memory),
	KUNIT_CASE(mapped_pages_are_the_providers),
	KUNIT_CASE(mapped_again_and_again),
	KUNIT_CASE(mapping_is_refused),
	KUNIT_CASE(mapping_from_fragments),
	KUNIT_CASE(unbound_and_bound_again),
	KUNIT_CASE(unbinding_waits_for_memory),
	KUNIT_CASE(unbinding_waits_for_pins),
	KUNIT_CASE(unbinding_takes_mappings_away),
	KUNIT_CASE_PARAM(parses_settings, setting_gen_params),
	KUNIT_CASE(chooses_by_name),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite p2pdma_provider_suite = {
	.name = "p2pdma_provider",
	.suite_init = p2pdma_provider_suite_init,
	.suite_exit = p2pdma_provider_suite_exit,
	.test_cases = p2pdma_provider_cases,
};

kunit_test_suite(p2pdma_provider_suite);

MODULE_DESCRIPTION("KUnit tests of providers of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
