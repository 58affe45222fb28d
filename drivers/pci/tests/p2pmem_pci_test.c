// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of p2pmem-pci, the provider of the memory behind any BAR, through
 * what an administrator has: driver_override and the files of a bound device.
 *
 *   host ─┬─ 01.0 rp0 ── mem    BAR 0 4 MiB, BAR 2 2 MiB, BAR 4 I/O ports
 *         └─ 02.0 rp1 ── nic    BAR 0 2 MiB
 *
 * The fixture's BARs are prefetchable, and have no interrupt table: where a case
 * needs it otherwise, it changes what the kernel knows of the device.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pci.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "../p2pdma.h"
#include "../pci_kunit.h"

#define DRIVER		"p2pmem-pci"
#define OFFER		"p2pmem_pci/offer"
#define PUBLISH		"p2pmem_pci/publish"
/* Where nothing else of the fixture is */
#define MSIX_CAP	0xb0

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_4M }, [2] = { .size = SZ_2M },
		   [4] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "nic", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
};

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

static struct file *open_file(struct vfsmount *mnt, struct pci_dev *pdev,
			      const char *name, int flags)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = NULL;

	if (dir)
		path = kasprintf(GFP_KERNEL, "%s/%s", dir, name);
	if (!path)
		return ERR_PTR(-ENOMEM);
	return file_open_root_mnt(mnt, path, flags, 0);
}

static void close_file(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

/* The error of writing @text to a file, or 0 */
static int tell(struct vfsmount *mnt, struct pci_dev *pdev, const char *name,
		const char *text)
{
	struct file *file = open_file(mnt, pdev, name, O_WRONLY);
	loff_t pos = 0;
	ssize_t len;

	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_write(file, text, strlen(text), &pos);
	close_file(file);
	return min_t(ssize_t, len, 0);
}

/* Bind the driver as an administrator does.  Returns what its probe does */
static int bind(struct vfsmount *mnt, struct pci_dev *pdev)
{
	struct device_driver *driver = driver_find(DRIVER, &pci_bus_type);
	int error;

	if (!driver)
		return -ENOENT;
	error = tell(mnt, pdev, "driver_override", DRIVER);
	return error ?: device_driver_attach(driver, &pdev->dev);
}

static struct pci_dev *bound(struct kunit *test, struct pci_kunit_tree *tree,
			     struct vfsmount *mnt, const char *name)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);

	KUNIT_ASSERT_EQ(test, bind(mnt, pdev), 0);
	return pdev;
}

static void expect_file(struct kunit *test, struct vfsmount *mnt,
			struct pci_dev *pdev, const char *name,
			const char *want)
{
	struct file *file = open_file(mnt, pdev, name, O_RDONLY);
	char text[256] = "";
	loff_t pos = 0;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", name, file);
	kernel_read(file, text, sizeof(text) - 1, &pos);
	close_file(file);
	KUNIT_EXPECT_STREQ(test, text, want);
}

static size_t size_of(struct pci_dev *pdev)
{
	struct pci_p2pdma *p2p = rcu_access_pointer(pdev->p2pdma);

	return p2p ? p2pdma_pool_size(&p2p->pool) : 0;
}

/* The bus address of the first byte of all the memory, in one piece */
static u64 where(struct kunit *test, struct pci_dev *pdev)
{
	size_t size = size_of(pdev);
	void *addr = pci_alloc_p2pmem(pdev, size);
	u64 where = pci_p2pmem_virt_to_bus(pdev, addr);

	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr)
		pci_free_p2pmem(pdev, addr, size);
	return where;
}

/* Binding ------------------------------------------------------------------- */

static void binds_where_it_is_told(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct vfsmount *mnt = mount_sysfs(test);

	KUNIT_EXPECT_EQ(test, device_attach(&mem->dev), 0);
	KUNIT_EXPECT_NULL(test, mem->dev.driver);

	KUNIT_ASSERT_EQ(test, bind(mnt, mem), 0);
	KUNIT_ASSERT_NOT_NULL(test, mem->dev.driver);
	KUNIT_EXPECT_STREQ(test, mem->dev.driver->name, DRIVER);

	/* And provides nothing yet */
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	expect_file(test, mnt, mem, OFFER, "");
	expect_file(test, mnt, mem, PUBLISH, "1\n");
}

static void refuses_bridges(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *port = pci_kunit_dev(tree, "rp0");
	struct vfsmount *mnt = mount_sysfs(test);

	KUNIT_ASSERT_NULL(test, port->dev.driver);
	KUNIT_EXPECT_EQ(test, bind(mnt, port), -EINVAL);
	KUNIT_EXPECT_NULL(test, port->dev.driver);
}

/* A BAR for which the kernel has found no address */
static void refuses_what_cannot_be_enabled(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct vfsmount *mnt = mount_sysfs(test);

	mem->resource[2].flags |= IORESOURCE_UNSET;
	KUNIT_EXPECT_EQ(test, bind(mnt, mem), -EINVAL);
	KUNIT_EXPECT_NULL(test, mem->dev.driver);
	KUNIT_EXPECT_FALSE(test, pci_is_enabled(mem));

	mem->resource[2].flags &= ~IORESOURCE_UNSET;
	KUNIT_ASSERT_EQ(test, bind(mnt, mem), 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"), 0);
}

static void unbound_and_bound_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct vfsmount *mnt = mount_sysfs(test);
	int i;

	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, bind(mnt, mem), 0);
		expect_file(test, mnt, mem, OFFER, "");
		KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"), 0);
		KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), 0);
		KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);

		device_release_driver(&mem->dev);
		KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
		KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"),
				-ENOENT);
		/* The BARs are free for the next driver */
		KUNIT_EXPECT_EQ(test, pci_request_region(mem, 0, "next"), 0);
		pci_release_region(mem, 0);
	}
}

/* Offers -------------------------------------------------------------------- */

static void offers_a_bar(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "bar=0\n"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
	KUNIT_EXPECT_EQ(test, where(test, mem), pci_bus_address(mem, 0));
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x0 size=0x400000\n");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "  bar=2\n"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x0 size=0x400000\n"
		    "bar=2 offset=0x0 size=0x200000\n");
}

static void offers_a_part(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "offset=2M bar=0"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_2M);
	KUNIT_EXPECT_EQ(test, where(test, mem),
			pci_bus_address(mem, 0) + SZ_2M);

	/* That part cannot be had twice; the other one can */
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), -EBUSY);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0 size=2048k"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x200000 size=0x200000\n"
		    "bar=0 offset=0x0 size=0x200000\n");
}

static const struct refusal {
	const char *text;
	int error;
} refusals[] = {
	{ "\n", -EINVAL },
	{ "offset=2M", -EINVAL },
	{ "2", -EINVAL },
	{ "bar=", -EINVAL },
	{ "bar=-1", -EINVAL },
	{ "bar=6", -EINVAL },
	{ "bar=two", -EINVAL },
	{ "bar=0 bar=2", -EINVAL },
	{ "bar=0,2", -EINVAL },
	{ "bar=0 size=0", -EINVAL },
	{ "bar=0 size=", -EINVAL },
	{ "bar=0 size=-2M", -EINVAL },
	{ "bar=0 size=2Mi", -EINVAL },
	{ "bar=0 size=6M", -EINVAL },
	{ "bar=0 size=K", -EINVAL },
	/* Zero, 2 MiB and 2 MiB again, if they were cut to 64 bits */
	{ "bar=0 offset=0x400000000G", -EINVAL },
	{ "bar=0 size=17592186044418M", -EINVAL },
	{ "bar=0 size=18446744073711648768", -EINVAL },
	{ "bar=0 size=000000000000000000000000000000002M", -EINVAL },
	{ "bar=0 offset=4M", -EINVAL },
	{ "bar=0 offset=2M size=4M", -EINVAL },
	{ "bar=0 offset=0xfffffffffffff000 size=0x2000", -EINVAL },
	{ "bar=0 offset=1M size=2M", -EINVAL },
	{ "bar=0 size=3M", -EINVAL },
	{ "bar=0 cached", -EINVAL },
	{ "bar=0 Force", -EINVAL },
	{ "bar=0 size=512 block", -EINVAL },
	{ "bar=0 offset=512 size=4K block", -EINVAL },
	{ "bar=0 size=6M block", -EINVAL },
	/* No BAR, and one of I/O ports */
	{ "bar=1", -EBUSY },
	{ "bar=5", -EBUSY },
	{ "bar=4 force", -EBUSY },
};

static void refusal_name(const struct refusal *r, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "\"%.*s\"",
		 (int)strcspn(r->text, "\n"), r->text);
}

KUNIT_ARRAY_PARAM(refusal, refusals, refusal_name);

static void refuses(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	const struct refusal *r = test->param_value;
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, r->text), r->error);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	expect_file(test, mnt, mem, OFFER, "");

	/* And has forgotten it */
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
}

static void refuses_what_others_use(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct vfsmount *mnt = mount_sysfs(test);

	KUNIT_ASSERT_EQ(test, pci_request_region(mem, 0, "somebody"), 0);
	KUNIT_ASSERT_EQ(test, bind(mnt, mem), 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), -EBUSY);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0 force"), -EBUSY);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"), 0);
	device_release_driver(&mem->dev);
	pci_release_region(mem, 0);
}

static void refuses_side_effects(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	mem->resource[0].flags &= ~IORESOURCE_PREFETCH;
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), -EPERM);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0 force"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M);
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x0 size=0x400000 force\n");
}

/* A table of 2048 vectors, 32 KiB, and 256 bytes for those that wait */
static void put_interrupt_table(struct pci_kunit_tree *tree,
				struct pci_dev *pdev, int bar, u32 table,
				u32 pending)
{
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_FLAGS, 2,
		      PCI_MSIX_FLAGS_QSIZE);
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_TABLE, 4, table | bar);
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_PBA, 4, pending | bar);
	pdev->msix_cap = MSIX_CAP;
}

static void refuses_interrupt_tables(struct kunit *test)
{
	static const char * const low = "bar=0 size=2M force";
	static const char * const high = "bar=0 offset=2M force";
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	/* The last byte of the table, then of those that wait, is in the way */
	put_interrupt_table(tree, mem, 0, SZ_2M - SZ_32K + 8, 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, high), -EPERM);
	put_interrupt_table(tree, mem, 0, 0, SZ_2M - 256 + 8);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, high), -EPERM);
	/* The first one */
	put_interrupt_table(tree, mem, 0, SZ_2M - 8, SZ_2M + SZ_1M);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, low), -EPERM);
	put_interrupt_table(tree, mem, 0, SZ_2M + SZ_1M, SZ_2M - 8);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, low), -EPERM);
	/* Nobody can tell */
	pci_kunit_set_access(tree, "mem", PCI_KUNIT_ACCESS_ALL_ONES);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, low), -EPERM);
	pci_kunit_set_access(tree, "mem", PCI_KUNIT_ACCESS_NORMAL);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));

	/* They end where the offer begins, and begin where it ends */
	put_interrupt_table(tree, mem, 0, SZ_2M - SZ_32K, SZ_2M - SZ_64K);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, high), 0);
	put_interrupt_table(tree, mem, 0, SZ_2M, SZ_2M + SZ_32K);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, low), 0);
	/* They are in another BAR */
	put_interrupt_table(tree, mem, 0, 0, SZ_32K);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_4M + SZ_2M);
}

static void published_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");
	struct pci_dev *nic = bound(test, tree, mnt, "nic");

	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), 0);
	KUNIT_EXPECT_TRUE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, PUBLISH, "0\n"), 0);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	/* Another offer is no reason to tell of the first */
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=2"), 0);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	expect_file(test, mnt, mem, PUBLISH, "0\n");
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, PUBLISH, "perhaps"), -EINVAL);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(mem));
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, PUBLISH, "1"), 0);
	KUNIT_EXPECT_TRUE(test, pci_has_p2pmem(mem));

	/* It can be said before there is anything to find */
	KUNIT_EXPECT_EQ(test, tell(mnt, nic, PUBLISH, "0"), 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, nic, OFFER, "bar=0"), 0);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(nic));
}

static int is_disk(struct device *dev, void *unused)
{
	return dev->class == &block_class;
}

/* How many bytes the disk of a device has; 0 if it has none */
static u64 disk_size(struct pci_dev *pdev)
{
	struct device *dev = device_find_child(&pdev->dev, NULL, is_disk);
	u64 size;

	if (!dev)
		return 0;
	size = get_capacity(dev_to_disk(dev)) << SECTOR_SHIFT;
	put_device(dev);
	return size;
}

static void offers_a_disk(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "bar=2 offset=8K block"),
			0);
	KUNIT_EXPECT_EQ(test, disk_size(mem), SZ_2M - SZ_8K);
	/* Peers find nothing there */
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));
	expect_file(test, mnt, mem, OFFER,
		    "bar=2 offset=0x2000 size=0x1fe000 block\n");

	/* Taken back, and to be had again */
	device_release_driver(&mem->dev);
	KUNIT_EXPECT_EQ(test, disk_size(mem), 0);
	KUNIT_ASSERT_EQ(test, bind(mnt, mem), 0);
	KUNIT_EXPECT_EQ(test, disk_size(mem), 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER,
				   "block bar=2 write-combining"), 0);
	KUNIT_EXPECT_EQ(test, disk_size(mem), SZ_2M);
	expect_file(test, mnt, mem, OFFER,
		    "bar=2 offset=0x0 size=0x200000 write-combining block\n");
}

static void no_byte_is_offered_twice(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "bar=0 size=2M block"), 0);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0"), -EBUSY);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER,
				   "bar=0 offset=2044K size=4K block"), -EBUSY);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(mem->p2pdma));

	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER, "bar=0 offset=2M"), 0);
	KUNIT_EXPECT_EQ(test, size_of(mem), SZ_2M);
	KUNIT_EXPECT_EQ(test, tell(mnt, mem, OFFER,
				   "bar=0 offset=4092K block"), -EBUSY);
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x0 size=0x200000 block\n"
		    "bar=0 offset=0x200000 size=0x200000\n");
}

/* How the kernel's own mapping of a page is cached */
static enum page_cache_mode cache_mode(struct pci_dev *pdev)
{
	void *addr = pci_alloc_p2pmem(pdev, PAGE_SIZE);
	unsigned int level;
	pgprot_t prot = {};
	pte_t *pte;

	pte = lookup_address((unsigned long)addr, &level);
	if (pte && level == PG_LEVEL_4K)
		prot = pte_pgprot(*pte);
	else if (pte)
		prot = pgprot_large_2_4k(pte_pgprot(*pte));
	pci_free_p2pmem(pdev, addr, PAGE_SIZE);

	return pgprot2cachemode(prot);
}

static void write_combining_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct vfsmount *mnt = mount_sysfs(test);
	struct pci_dev *mem = bound(test, tree, mnt, "mem");
	struct pci_dev *nic = bound(test, tree, mnt, "nic");

	KUNIT_ASSERT_EQ(test, tell(mnt, mem, OFFER, "bar=0 write-combining"),
			0);
	KUNIT_EXPECT_EQ(test, cache_mode(mem), _PAGE_CACHE_MODE_WC);
	expect_file(test, mnt, mem, OFFER,
		    "bar=0 offset=0x0 size=0x400000 write-combining\n");

	KUNIT_ASSERT_EQ(test, tell(mnt, nic, OFFER, "bar=0"), 0);
	KUNIT_EXPECT_EQ(test, cache_mode(nic), _PAGE_CACHE_MODE_UC_MINUS);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case p2pmem_pci_cases[] = {
	KUNIT_CASE(binds_where_it_is_told),
	KUNIT_CASE(refuses_bridges),
	KUNIT_CASE(refuses_what_cannot_be_enabled),
	KUNIT_CASE(unbound_and_bound_again),
	KUNIT_CASE(offers_a_bar),
	KUNIT_CASE(offers_a_part),
	KUNIT_CASE_PARAM(refuses, refusal_gen_params),
	KUNIT_CASE(refuses_what_others_use),
	KUNIT_CASE(refuses_side_effects),
	KUNIT_CASE(refuses_interrupt_tables),
	KUNIT_CASE(offers_a_disk),
	KUNIT_CASE(no_byte_is_offered_twice),
	KUNIT_CASE(published_or_not),
	KUNIT_CASE(write_combining_or_not),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pmem_pci_suite = {
	.name = "pci_p2pmem_pci",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pmem_pci_cases,
};

kunit_test_suite(p2pmem_pci_suite);

MODULE_DESCRIPTION("KUnit tests of the provider of the memory behind any PCI BAR");
MODULE_LICENSE("GPL");
