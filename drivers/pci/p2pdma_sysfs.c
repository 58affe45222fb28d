// SPDX-License-Identifier: GPL-2.0
/*
 * What user space sees of a provider: the directory p2pmem of its PCI device.
 *
 * See Documentation/ABI/testing/sysfs-bus-pci for the files.  The directory
 * lives from before the provider can be found until after its last allocation
 * was refused.  Removing it waits for calls in progress, mmap() of "allocate"
 * among them.  What was mapped is taken away afterwards (p2pdma_dmabuf.c): it is
 * no mapping of this file any more.
 *
 * Locking: RCU on pdev->p2pdma, as for anybody without a reference.
 *
 * What must never happen: a file that still works on a provider that is gone.
 */
#include <linux/device.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "p2pdma.h"

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(to_pci_dev(dev)->p2pdma);
	return sysfs_emit(buf, "%zu\n", p2p ? p2pdma_pool_size(&p2p->pool) : 0);
}
static DEVICE_ATTR_RO(size);

static ssize_t available_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct pci_p2pdma *p2p;

	guard(rcu)();
	p2p = rcu_dereference(to_pci_dev(dev)->p2pdma);
	return sysfs_emit(buf, "%zu\n",
			  p2p ? p2pdma_pool_available(&p2p->pool) : 0);
}
static DEVICE_ATTR_RO(available);

static void read_stats(struct device *dev, struct p2pdma_pool_stats *stats)
{
	struct pci_p2pdma *p2p;

	memset(stats, 0, sizeof(*stats));
	guard(rcu)();
	p2p = rcu_dereference(to_pci_dev(dev)->p2pdma);
	if (p2p)
		p2pdma_pool_stats(&p2p->pool, stats);
}

static ssize_t largest_free_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct p2pdma_pool_stats stats;

	read_stats(dev, &stats);
	return sysfs_emit(buf, "%zu\n", stats.longest);
}
static DEVICE_ATTR_RO(largest_free);

static ssize_t failures_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct p2pdma_pool_stats stats;

	read_stats(dev, &stats);
	return sysfs_emit(buf, "%lu\n", stats.failures);
}
static DEVICE_ATTR_RO(failures);

static ssize_t published_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n", pci_has_p2pmem(to_pci_dev(dev)));
}
static DEVICE_ATTR_RO(published);

static int allocate_mmap(struct file *file, struct kobject *kobj,
			 struct bin_attribute *attr, struct vm_area_struct *vma)
{
	return pci_p2pdma_mmap(to_pci_dev(kobj_to_dev(kobj)), vma);
}

static struct bin_attribute allocate_attr = {
	.attr = {
		.name = "allocate",
		.mode = 0660,
	},
	/* Some programs do not map beyond the end of a file: have none in sight */
	.size = SZ_1T,
	.mmap = allocate_mmap,
};

static struct bin_attribute *p2pmem_bin_attrs[] = {
	&allocate_attr,
	NULL
};

static struct attribute *p2pmem_attrs[] = {
	&dev_attr_available.attr,
	&dev_attr_failures.attr,
	&dev_attr_largest_free.attr,
	&dev_attr_published.attr,
	&dev_attr_size.attr,
	NULL
};

static const struct attribute_group p2pmem_group = {
	.name		= "p2pmem",
	.attrs		= p2pmem_attrs,
	.bin_attrs	= p2pmem_bin_attrs,
};

/**
 * pci_p2pdma_sysfs_add - make the directory
 * @pdev: device that becomes a provider
 *
 * Context: process context, may sleep.
 * Return: 0 or an error of sysfs.
 */
int pci_p2pdma_sysfs_add(struct pci_dev *pdev)
{
	return sysfs_create_group(&pdev->dev.kobj, &p2pmem_group);
}

/**
 * pci_p2pdma_sysfs_remove - remove the directory
 * @pdev: device that is a provider no longer
 *
 * When this returns, nobody allocates through the directory any more.
 *
 * Context: process context, sleeps.  No lock may be held that mmap() or a read
 * of an attribute needs.
 */
void pci_p2pdma_sysfs_remove(struct pci_dev *pdev)
{
	sysfs_remove_group(&pdev->dev.kobj, &p2pmem_group);
}
