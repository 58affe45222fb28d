// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating peer-to-peer memory as a file descriptor: /dev/p2pmem/ADDRESS.
 *
 * Each provider has a device node, named by its PCI address.  Its only operation
 * is an ioctl that allocates memory and returns a dma-buf, which can be mapped,
 * passed to other processes, and imported by drivers.  See
 * include/uapi/linux/pci_p2pdma.h.
 *
 * Why a node for each provider: who may take memory of which device is for the
 * administrator to say, by mode, group or ACL of a file, by udev rules, and by
 * which nodes a container gets.  The file p2pmem/allocate in sysfs, which says
 * so for mapping, can neither be given to a container by itself nor take ioctls;
 * and /dev/pci-p2pdma is for everybody.  Why not a dma-buf heap, which has such
 * nodes and this very ioctl: a heap cannot be removed, and providers can.
 *
 * Who has opened the node for reading only gets a descriptor that can be mapped for
 * reading only.  Which way a driver moves data that imports the descriptor is, as
 * with every dma-buf, between the driver and who gave the descriptor to it.
 *
 * Who has the node open when the provider ends keeps the open file, and nothing
 * else: everything it asks is answered by ENODEV.
 *
 * Locking: node->lock is held for reading by callers, so that removal, which
 * holds it for writing, waits for them.
 *
 * What must never happen: an allocation from a provider that is ending.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "p2pdma.h"
#include "p2pdma_buffer.h"

/* For root, and for a group if udev gives the node one */
#define NODE_MODE	0660
#define NODE_DIR	"p2pmem"

/**
 * struct p2pdma_node - device node of a provider
 * @dev: the device, whose reference count is that of this structure
 * @cdev: the character device
 * @lock: protects @p2p
 * @p2p: the provider, or NULL when it is ending
 */
struct p2pdma_node {
	struct device		dev;
	struct cdev		cdev;
	/* Keeps the provider while it is asked for memory */
	struct rw_semaphore	lock;
	struct pci_p2pdma	*p2p;
};

static dev_t node_first;
static DEFINE_IDA(node_minors);

static char *node_path(const struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = NODE_MODE;

	return kasprintf(GFP_KERNEL, NODE_DIR "/%s", dev_name(dev));
}

/* Not by the name of the group of attributes, a directory of the device as well */
static const struct class node_class = {
	.name		= "pci_p2pmem",
	.devnode	= node_path,
};

static int give_fd(struct pci_p2pdma *p2p, const struct pci_p2pdma_alloc *want)
{
	struct dma_buf *dmabuf;
	int fd;

	dmabuf = p2pdma_dmabuf_create(p2p, want->length,
				      want->fd_flags & O_ACCMODE, false);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	fd = dma_buf_fd(dmabuf, want->fd_flags & O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(dmabuf);

	return fd;
}

static long node_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pci_p2pdma_alloc __user *user = (void __user *)arg;
	struct p2pdma_node *node = file->private_data;
	struct pci_p2pdma_alloc want = {};
	u32 size;
	int error;

	if (cmd != PCI_P2PDMA_IOC_ALLOC)
		return -ENOTTY;

	if (get_user(size, &user->size))
		return -EFAULT;
	if (size < PCI_P2PDMA_ALLOC_SIZE_VER0)
		return -EINVAL;
	/* No version will be that long, and nobody is to read through zeros */
	if (size > PAGE_SIZE)
		return -E2BIG;

	error = copy_struct_from_user(&want, sizeof(want), user, size);
	if (error)
		return error;
	if (want.flags || want.reserved || !want.length ||
	    want.length > SIZE_MAX - PAGE_SIZE ||
	    want.fd_flags & ~(O_CLOEXEC | O_ACCMODE))
		return -EINVAL;
	/* For neither reading nor writing: no permission would be asked for */
	if ((want.fd_flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (OPEN_FMODE(want.fd_flags) & ~file->f_mode)
		return -EACCES;

	guard(rwsem_read)(&node->lock);
	if (!node->p2p)
		return -ENODEV;

	return give_fd(node->p2p, &want);
}

static int node_open(struct inode *inode, struct file *file)
{
	struct p2pdma_node *node = container_of(inode->i_cdev,
						struct p2pdma_node, cdev);

	/* The character device holds the node until the file is released */
	file->private_data = node;
	return nonseekable_open(inode, file);
}

static const struct file_operations node_fops = {
	.owner		= THIS_MODULE,
	.open		= node_open,
	.unlocked_ioctl	= node_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static void node_release(struct device *dev)
{
	struct p2pdma_node *node = container_of(dev, struct p2pdma_node, dev);

	ida_free(&node_minors, MINOR(dev->devt));
	kfree(node);
}

/* The node is gone; who has opened it before gets nothing more */
static void node_end(struct p2pdma_node *node)
{
	down_write(&node->lock);
	node->p2p = NULL;
	up_write(&node->lock);

	put_device(&node->dev);
}

/**
 * p2pdma_node_add - make the device node of a provider
 * @p2p: the provider
 *
 * Context: process context, may sleep.
 * Return: 0, or an error: -ENOMEM, or that of the driver core.
 */
int p2pdma_node_add(struct pci_p2pdma *p2p)
{
	struct p2pdma_node *node;
	int minor, error;

	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return -ENOMEM;

	minor = ida_alloc_max(&node_minors, MINORMASK, GFP_KERNEL);
	if (minor < 0) {
		kfree(node);
		return minor;
	}

	init_rwsem(&node->lock);
	node->p2p = p2p;
	device_initialize(&node->dev);
	node->dev.class = &node_class;
	node->dev.parent = &p2p->pdev->dev;
	node->dev.release = node_release;
	node->dev.devt = MKDEV(MAJOR(node_first), minor);
	cdev_init(&node->cdev, &node_fops);
	node->cdev.owner = THIS_MODULE;

	error = dev_set_name(&node->dev, "%s", pci_name(p2p->pdev));
	if (!error)
		error = cdev_device_add(&node->cdev, &node->dev);
	if (error) {
		node_end(node);
		return error;
	}

	p2p->node_dev = node;
	return 0;
}

/**
 * p2pdma_node_remove - remove the device node of a provider
 * @p2p: the provider
 *
 * When this returns, nobody allocates through the node any more.
 *
 * Context: process context, may sleep.
 */
void p2pdma_node_remove(struct pci_p2pdma *p2p)
{
	struct p2pdma_node *node = p2p->node_dev;

	cdev_device_del(&node->cdev, &node->dev);
	node_end(node);
}

/* Before the first provider */
static int __init p2pdma_node_init(void)
{
	int error;

	error = alloc_chrdev_region(&node_first, 0, MINORMASK + 1, "p2pmem");
	return error ?: class_register(&node_class);
}
subsys_initcall(p2pdma_node_init);
