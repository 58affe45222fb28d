// SPDX-License-Identifier: GPL-2.0
/*
 * Sample driver of a client: a device that does DMA to memory it is given.
 *
 * There is nothing about peers in it, apart from the comments.  The memory may
 * be the system's or a provider's, or some of both: dma_map_sgtable() finds the
 * addresses by which this device reaches it, or fails.
 *
 * It drives the teaching device of QEMU (-device edu), which moves data between
 * a small buffer of its own and the bus, at one transfer in 100 ms.  The device
 * takes addresses of 28 bits if QEMU is not told otherwise, which is less than
 * memory behind a BAR usually needs:
 *
 *	qemu -device edu,dma_mask=0xffffffffffffffff
 *	insmod p2pdma_client.ko address_bits=64
 *
 * Locking: the device lock.  It keeps the driver bound, and makes those who use
 * one device wait for each other.
 *
 * What must never happen: memory is unmapped, and so given back, that the
 * device may still write to.
 */
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>

#include "p2pdma_client.h"

#define DRIVER_NAME	"p2pdma_client"
#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
#define REGISTER_BAR	0

/* The device's registers, and where its buffer is for them */
#define EDU_SOURCE	0x80
#define EDU_DESTINATION	0x88
#define EDU_BYTES	0x90
#define EDU_COMMAND	0x98
#define  EDU_RUN	BIT_ULL(0)
#define  EDU_TO_MEMORY	BIT_ULL(1)
#define EDU_BUFFER	0x40000

/* Many times what a transfer takes */
#define PATIENCE_US	(10 * USEC_PER_SEC)

static unsigned int address_bits = 28;
module_param(address_bits, uint, 0444);
MODULE_PARM_DESC(address_bits, "Bits of an address that the device takes (default: 28)");

/**
 * struct sample_client - a device that is bound
 * @regs: its registers
 * @stuck: it did not end a transfer, and is not to be used again
 */
struct sample_client {
	void __iomem	*regs;
	bool		stuck;
};

/* Let the device move one segment from or to where it is in its buffer */
static int move_segment(struct pci_dev *pdev, struct sample_client *client,
			dma_addr_t memory, size_t offset, size_t bytes,
			enum dma_data_direction dir)
{
	u64 buffer = EDU_BUFFER + offset, command = EDU_RUN;
	int error;

	if (dir == DMA_FROM_DEVICE)
		command |= EDU_TO_MEMORY;

	writeq(dir == DMA_FROM_DEVICE ? buffer : memory,
	       client->regs + EDU_SOURCE);
	writeq(dir == DMA_FROM_DEVICE ? memory : buffer,
	       client->regs + EDU_DESTINATION);
	writeq(bytes, client->regs + EDU_BYTES);
	writeq(command, client->regs + EDU_COMMAND);

	error = readq_poll_timeout(client->regs + EDU_COMMAND, command,
				   !(command & EDU_RUN), 10 * USEC_PER_MSEC,
				   PATIENCE_US);
	if (error) {
		/* It must not reach memory that is somebody else's soon */
		pci_clear_master(pdev);
		client->stuck = true;
		pci_err(pdev, "the device does not end a transfer; unbind and bind the driver to use it again\n");
	}

	return error;
}

static int move_list(struct pci_dev *pdev, struct sg_table *sgt,
		     enum dma_data_direction dir)
{
	struct sample_client *client = pci_get_drvdata(pdev);
	struct scatterlist *sg;
	size_t done = 0;
	int i, error;

	if (client->stuck)
		return -EIO;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (sg_dma_len(sg) > SAMPLE_CLIENT_BYTES - done)
			return -EINVAL;

		error = move_segment(pdev, client, sg_dma_address(sg), done,
				     sg_dma_len(sg), dir);
		if (error)
			return error;
		done += sg_dma_len(sg);
	}

	return 0;
}

static struct pci_driver sample_client_driver;

/**
 * sample_client_move - move data between the device and memory
 * @dev: the device
 * @sgt: the memory, up to %SAMPLE_CLIENT_BYTES of it
 * @dir: %DMA_TO_DEVICE or %DMA_FROM_DEVICE
 *
 * Context: process context, sleeps.  The caller holds @dev and the memory.
 * Return: 0; -ENODEV if the driver is not bound to the device; -EREMOTEIO if
 * part of it is memory of a provider that the device cannot reach, upon which
 * nothing has moved and other memory will do; -EINVAL if there is too much of
 * it; an error of the device.
 */
int sample_client_move(struct device *dev, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	int error;

	guard(device)(dev);
	if (dev->driver != &sample_client_driver.driver)
		return -ENODEV;

	error = dma_map_sgtable(dev, sgt, dir, 0);
	if (error)
		return error;

	error = move_list(to_pci_dev(dev), sgt, dir);
	dma_unmap_sgtable(dev, sgt, dir, 0);
	return error;
}
EXPORT_SYMBOL_GPL(sample_client_move);

static int sample_client_probe(struct pci_dev *pdev,
			       const struct pci_device_id *id)
{
	u64 mask = DMA_BIT_MASK(clamp(address_bits, 1U, 64U));
	struct sample_client *client;
	int error;

	client = devm_kzalloc(&pdev->dev, sizeof(*client), GFP_KERNEL);
	if (!client)
		return -ENOMEM;

	error = pcim_enable_device(pdev);
	if (error)
		return error;

	client->regs = pcim_iomap_region(pdev, REGISTER_BAR, DRIVER_NAME);
	if (IS_ERR(client->regs))
		return PTR_ERR(client->regs);

	/* What the device really takes: mappings rely on it */
	error = dma_set_mask_and_coherent(&pdev->dev, mask);
	if (error)
		return dev_err_probe(&pdev->dev, error,
				     "no memory of this machine is surely below %#llx; if the device takes higher addresses, set address_bits\n",
				     mask);

	pci_set_drvdata(pdev, client);
	pci_set_master(pdev);
	return 0;
}

/* No MODULE_DEVICE_TABLE(): a sample is loaded by hand, not by udev */
static const struct pci_device_id sample_client_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ }
};

static struct pci_driver sample_client_driver = {
	.name		= DRIVER_NAME,
	.id_table	= sample_client_ids,
	.probe		= sample_client_probe,
};
module_pci_driver(sample_client_driver);

MODULE_DESCRIPTION("Sample client of peer-to-peer memory");
MODULE_LICENSE("GPL");
