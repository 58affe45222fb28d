// SPDX-License-Identifier: GPL-2.0
/*
 * Any BAR as peer-to-peer memory: a driver for functions that have none.
 *
 * It binds to no device by itself.  The administrator gives it one through
 * driver_override or new_id, and says which memory of it is to be provided:
 *
 *	cd /sys/bus/pci/devices/0000:03:00.0
 *	echo p2pmem-pci >driver_override
 *	echo 0000:03:00.0 >/sys/bus/pci/drivers_probe
 *	echo "bar=2" >p2pmem_pci/offer
 *
 * From then on the function is a provider like any other, with a directory
 * p2pmem of its own.  See Documentation/ABI/testing/sysfs-driver-p2pmem-pci
 * for the files, which this driver owns, and what may be written to them.
 *
 * Nothing is provided before it is asked for, because only a person can know
 * that there is memory behind a BAR: reads and writes of registers have
 * effects.  PCI has one hint.  A BAR that is not prefetchable may have such
 * effects, and is refused unless the words "force" say that it has none.  What
 * is known to be no memory, the table of message-signalled interrupts, is
 * refused whatever the words are: writing to it sends writes anywhere.
 *
 * Memory that keeps its content can be offered as a disk instead, by the word
 * "block"; see p2pmem_block.c.  A byte belongs to one offer: the pool would hand
 * out what a file system is on.
 *
 * What was offered stays so until the driver is unbound, which takes user
 * mappings away and waits for the rest; see p2pdma.c.
 *
 * Locking: a mutex for each device orders writers of its files.  Unbinding
 * removes the files, and waits for their writers, before it releases what they
 * registered.  So no writer needs the device lock, and none may take it.
 *
 * What must never happen: a BAR provided that another driver uses, memory
 * provided that nobody asked for, memory offered twice.
 */
#include <linux/ctype.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "p2pmem_block.h"

#define DRIVER_NAME	"p2pmem-pci"

/**
 * struct offer - a piece of a BAR that is, or is to be, provided
 * @node: entry in &p2pmem_pci.offers
 * @bar: number of the BAR
 * @offset: where it begins in the BAR, in bytes
 * @size: number of bytes; while it is being read, 0 stands for the rest
 * @write_combining: the processor maps it write-combining, not uncached
 * @force: the BAR may be one that is not prefetchable
 * @block: it is a disk, not memory for peers
 * @memory: where it is mapped, if it is a disk
 * @disk: the disk, if it is one
 */
struct offer {
	struct list_head	node;
	int			bar;
	u64			offset;
	u64			size;
	bool			write_combining;
	bool			force;
	bool			block;
	void __iomem		*memory;
	struct gendisk		*disk;
};

/**
 * struct p2pmem_pci - a device that is bound
 * @pdev: the device
 * @lock: protects what follows
 * @offers: list of &struct offer, all of them registered
 * @publish: other drivers may find the memory
 * @claimed: bit n is set if BAR n is memory and ours alone
 */
struct p2pmem_pci {
	struct pci_dev		*pdev;
	/* Serialises writers of the files */
	struct mutex		lock;
	struct list_head	offers;
	bool			publish;
	unsigned long		claimed;
};

/*
 * A number of bytes, with or without K, M or G; false if it is none, or does not
 * fit.  Not memparse(), which takes what does not fit for something else.
 */
static bool parse_bytes(const char *text, u64 *bytes)
{
	size_t len = strlen(text);
	unsigned int shift = 0;
	char digits[32];
	u64 value;

	if (!isdigit(*text) || len >= sizeof(digits))
		return false;

	switch (toupper(text[len - 1])) {
	case 'G':
		shift += 10;
		fallthrough;
	case 'M':
		shift += 10;
		fallthrough;
	case 'K':
		shift += 10;
		len--;
	}
	memcpy(digits, text, len);
	digits[len] = '\0';

	return !kstrtou64(digits, 0, &value) &&
	       !check_shl_overflow(value, shift, bytes);
}

/* One word of an offer; false if there is no such word, or no such value */
static bool parse_word(const char *word, struct offer *offer)
{
	if (!strcmp(word, "write-combining")) {
		offer->write_combining = true;
		return true;
	}
	if (!strcmp(word, "force")) {
		offer->force = true;
		return true;
	}
	if (!strcmp(word, "block")) {
		offer->block = true;
		return true;
	}
	if (!strncmp(word, "bar=", 4))
		return offer->bar < 0 && !kstrtoint(word + 4, 0, &offer->bar) &&
		       offer->bar >= 0 && offer->bar < PCI_STD_NUM_BARS;
	if (!strncmp(word, "offset=", 7))
		return parse_bytes(word + 7, &offer->offset);
	if (!strncmp(word, "size=", 5))
		return parse_bytes(word + 5, &offer->size) && offer->size;

	return false;
}

static int parse_offer(struct pci_dev *pdev, char *text, struct offer *offer)
{
	char *word;

	offer->bar = -1;
	while ((word = strsep(&text, " \t\n"))) {
		if (!*word || parse_word(word, offer))
			continue;
		pci_err(pdev, "offer: '%s' is not understood; write bar=0 to bar=5 and, if wanted, offset=BYTES, size=BYTES, write-combining, block, force\n",
			word);
		return -EINVAL;
	}

	if (offer->bar < 0) {
		pci_err(pdev, "offer: say which BAR is to be provided, for example bar=2\n");
		return -EINVAL;
	}

	return 0;
}

/* Do [@a, @a + @a_size) and [@b, @b + @b_size) have a byte in common? */
static bool overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

/*
 * Is part of the offer where message-signalled interrupts are told where to go,
 * or where they wait?  What cannot be read is taken to be there.
 */
static bool has_interrupt_table(struct pci_dev *pdev, const struct offer *offer)
{
	u32 table, pending, table_offset, pending_offset;
	unsigned int vectors;
	u16 flags;

	if (!pdev->msix_cap)
		return false;

	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &flags);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pending);
	if (PCI_POSSIBLE_ERROR(table) || PCI_POSSIBLE_ERROR(pending))
		return true;

	vectors = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
	table_offset = table & PCI_MSIX_TABLE_OFFSET;
	pending_offset = pending & PCI_MSIX_PBA_OFFSET;

	return ((table & PCI_MSIX_TABLE_BIR) == offer->bar &&
		overlap(offer->offset, offer->size, table_offset,
			vectors * PCI_MSIX_ENTRY_SIZE)) ||
	       ((pending & PCI_MSIX_PBA_BIR) == offer->bar &&
		overlap(offer->offset, offer->size, pending_offset,
			DIV_ROUND_UP(vectors, BITS_PER_TYPE(u64)) *
			sizeof(u64)));
}

/* Has part of it been offered already? */
static bool is_offered(struct p2pmem_pci *p2pmem, const struct offer *offer)
{
	struct offer *other;

	list_for_each_entry(other, &p2pmem->offers, node)
		if (other->bar == offer->bar &&
		    overlap(other->offset, other->size, offer->offset,
			    offer->size))
			return true;

	return false;
}

/* May this memory be provided?  Also fills in its size. */
static int check_offer(struct p2pmem_pci *p2pmem, struct offer *offer)
{
	struct pci_dev *pdev = p2pmem->pdev;
	resource_size_t len = pci_resource_len(pdev, offer->bar);

	if (!test_bit(offer->bar, &p2pmem->claimed)) {
		pci_err(pdev, "offer: BAR %d is no memory, or not for this driver to use; see lspci -vv and /proc/iomem\n",
			offer->bar);
		return -EBUSY;
	}

	if (!offer->size && offer->offset < len)
		offer->size = len - offer->offset;
	if (offer->offset >= len || offer->size > len - offer->offset) {
		pci_err(pdev, "offer: %#llx bytes at offset %#llx are beyond the end of BAR %d; it has %#llx bytes\n",
			offer->size, offer->offset, offer->bar, (u64)len);
		return -EINVAL;
	}

	if (is_offered(p2pmem, offer)) {
		pci_err(pdev, "offer: part of it has been offered already; read this file for what has, unbind the driver to take it back\n");
		return -EBUSY;
	}

	if (offer->block &&
	    !PAGE_ALIGNED(pci_resource_start(pdev, offer->bar) | offer->offset |
			  offer->size)) {
		pci_err(pdev, "offer: a disk begins and ends at multiples of %lu bytes; round offset= and size=\n",
			PAGE_SIZE);
		return -EINVAL;
	}

	if (has_interrupt_table(pdev, offer)) {
		pci_err(pdev, "offer: part of it is the device's interrupt table; leave that out by offset= and size=\n");
		return -EPERM;
	}

	if (!(pci_resource_flags(pdev, offer->bar) & IORESOURCE_PREFETCH) &&
	    !offer->force) {
		pci_err(pdev, "offer: BAR %d is not prefetchable, so access may have side effects; if it is memory all the same, add the word force\n",
			offer->bar);
		return -EPERM;
	}

	return 0;
}

/* Provide it to peers, by the pool that all memory of the device is in */
static int make_memory(struct p2pmem_pci *p2pmem, struct offer *offer)
{
	int error;

	error = pci_p2pdma_add_memory(p2pmem->pdev, offer->bar, offer->size,
				      offer->offset, offer->write_combining ?
				      PCI_P2PDMA_WRITE_COMBINING : 0);
	if (!error)
		pci_p2pmem_publish(p2pmem->pdev, p2pmem->publish);

	return error;
}

static int make_disk(struct p2pmem_pci *p2pmem, struct offer *offer)
{
	struct pci_dev *pdev = p2pmem->pdev;
	resource_size_t start = pci_resource_start(pdev, offer->bar) +
				offer->offset;

	if (!IS_ENABLED(CONFIG_BLOCK)) {
		pci_err(pdev, "offer: this kernel has no block devices; leave out the word block\n");
		return -EOPNOTSUPP;
	}

	offer->memory = offer->write_combining ?
			ioremap_wc(start, offer->size) :
			ioremap(start, offer->size);
	if (!offer->memory)
		return -ENOMEM;

	offer->disk = p2pmem_block_create(pdev, offer->memory, offer->size);
	if (IS_ERR(offer->disk)) {
		iounmap(offer->memory);
		return PTR_ERR(offer->disk);
	}

	pci_info(pdev, "BAR %d: a block device, listed in the directory block of the device, has [mem %pap + %#llx]\n",
		 offer->bar, &start, offer->size);

	return 0;
}

static int make_offer(struct p2pmem_pci *p2pmem, char *text)
{
	struct offer *offer __free(kfree) = kzalloc(sizeof(*offer), GFP_KERNEL);
	int error;

	if (!offer)
		return -ENOMEM;

	error = parse_offer(p2pmem->pdev, text, offer);
	if (error)
		return error;

	guard(mutex)(&p2pmem->lock);
	error = check_offer(p2pmem, offer);
	if (error)
		return error;

	error = offer->block ? make_disk(p2pmem, offer) :
			       make_memory(p2pmem, offer);
	if (error)
		return error;

	list_add_tail(&no_free_ptr(offer)->node, &p2pmem->offers);

	return 0;
}

static ssize_t offer_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	char *text __free(kfree) = kstrdup(buf, GFP_KERNEL);
	int error;

	if (!text)
		return -ENOMEM;

	error = make_offer(dev_get_drvdata(dev), text);

	return error ?: count;
}

static ssize_t offer_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct p2pmem_pci *p2pmem = dev_get_drvdata(dev);
	struct offer *offer;
	ssize_t len = 0;

	guard(mutex)(&p2pmem->lock);
	list_for_each_entry(offer, &p2pmem->offers, node)
		len += sysfs_emit_at(buf, len,
				     "bar=%d offset=%#llx size=%#llx%s%s%s\n",
				     offer->bar, offer->offset, offer->size,
				     offer->write_combining ?
				     " write-combining" : "",
				     offer->block ? " block" : "",
				     offer->force ? " force" : "");

	return len;
}
static DEVICE_ATTR_RW(offer);

static ssize_t publish_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct p2pmem_pci *p2pmem = dev_get_drvdata(dev);
	bool publish;
	int error;

	error = kstrtobool(buf, &publish);
	if (error) {
		pci_err(p2pmem->pdev, "publish: write 1 to let other drivers find the memory, 0 to keep it from them\n");
		return error;
	}

	guard(mutex)(&p2pmem->lock);
	p2pmem->publish = publish;
	pci_p2pmem_publish(p2pmem->pdev, publish);

	return count;
}

static ssize_t publish_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct p2pmem_pci *p2pmem = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(p2pmem->publish));
}
static DEVICE_ATTR_RW(publish);

static struct attribute *p2pmem_pci_attrs[] = {
	&dev_attr_offer.attr,
	&dev_attr_publish.attr,
	NULL
};

static const struct attribute_group p2pmem_pci_group = {
	.name	= "p2pmem_pci",
	.attrs	= p2pmem_pci_attrs,
};

static const struct attribute_group *p2pmem_pci_groups[] = {
	&p2pmem_pci_group,
	NULL
};

static int p2pmem_pci_probe(struct pci_dev *pdev,
			    const struct pci_device_id *id)
{
	struct p2pmem_pci *p2pmem;
	int bar, error;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "is a bridge and provides no memory; give %s an endpoint\n",
			DRIVER_NAME);
		return -EINVAL;
	}

	p2pmem = devm_kzalloc(&pdev->dev, sizeof(*p2pmem), GFP_KERNEL);
	if (!p2pmem)
		return -ENOMEM;

	p2pmem->pdev = pdev;
	p2pmem->publish = true;
	mutex_init(&p2pmem->lock);
	INIT_LIST_HEAD(&p2pmem->offers);

	error = pcim_enable_device(pdev);
	if (error)
		return dev_err_probe(&pdev->dev, error,
				     "cannot enable the device\n");

	/* All of them now, so that they are released after the memory */
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (pci_resource_flags(pdev, bar) & IORESOURCE_MEM &&
		    !pcim_request_region(pdev, bar, DRIVER_NAME))
			__set_bit(bar, &p2pmem->claimed);

	pci_set_drvdata(pdev, p2pmem);

	return 0;
}

static void p2pmem_pci_remove(struct pci_dev *pdev)
{
	struct p2pmem_pci *p2pmem = pci_get_drvdata(pdev);
	struct offer *offer, *next;

	/* Peers' memory is taken back by the provider that it belongs to */
	list_for_each_entry_safe(offer, next, &p2pmem->offers, node) {
		if (offer->block) {
			p2pmem_block_destroy(offer->disk);
			iounmap(offer->memory);
		}
		kfree(offer);
	}
}

/* Devices come by driver_override and new_id alone */
static const struct pci_device_id p2pmem_pci_ids[] = {
	{ }
};

static struct pci_driver p2pmem_pci_driver = {
	.name		= DRIVER_NAME,
	.id_table	= p2pmem_pci_ids,
	.probe		= p2pmem_pci_probe,
	.remove		= p2pmem_pci_remove,
	.dev_groups	= p2pmem_pci_groups,
};
module_pci_driver(p2pmem_pci_driver);

MODULE_DESCRIPTION("Provides the memory behind any PCI BAR for peer-to-peer DMA");
MODULE_LICENSE("GPL");
