// SPDX-License-Identifier: GPL-2.0
/*
 * Sample driver of a provider: a device with memory behind a BAR, which other
 * devices may read and write.
 *
 * It drives the shared memory device of QEMU (-device ivshmem-plain), all of
 * whose BAR 2 is memory.  The BAR has to have a multiple of 2 MiB.
 *
 * The memory belongs to the device, not to probe() and remove(): it is there
 * until the driver is unbound, and has all come back before what was set up
 * earlier is undone.  So there is no remove() here at all.  What the memory
 * needs in order to work is set up before it, as managed resources.
 *
 * What must never happen: the device stops answering, or the BAR goes to
 * another driver, while somebody has memory of it.
 */
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>

#define DRIVER_NAME	"p2pdma_provider"
#define MEMORY_BAR	2

/* Nobody has memory of the device any more, so that it could be switched off */
static void memory_is_back(void *data)
{
	struct pci_dev *pdev = data;

	pci_info(pdev, "all peer-to-peer memory is back\n");
}

static int sample_provider_probe(struct pci_dev *pdev,
				 const struct pci_device_id *id)
{
	int error;

	error = pcim_enable_device(pdev);
	if (error)
		return error;

	error = pcim_request_region(pdev, MEMORY_BAR, DRIVER_NAME);
	if (error)
		return error;

	error = devm_add_action(&pdev->dev, memory_is_back, pdev);
	if (error)
		return error;

	/* The whole BAR: a size of 0, from offset 0 */
	error = pci_p2pdma_add_resource(pdev, MEMORY_BAR, 0, 0);
	if (error)
		return error;

	/* Without this, it would be memory for this driver and for mmap() only */
	pci_p2pmem_publish(pdev, true);
	return 0;
}

/* No MODULE_DEVICE_TABLE(): a sample is loaded by hand, not by udev */
static const struct pci_device_id sample_provider_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};

static struct pci_driver sample_provider_driver = {
	.name		= DRIVER_NAME,
	.id_table	= sample_provider_ids,
	.probe		= sample_provider_probe,
};
module_pci_driver(sample_provider_driver);

MODULE_DESCRIPTION("Sample provider of peer-to-peer memory");
MODULE_LICENSE("GPL");
