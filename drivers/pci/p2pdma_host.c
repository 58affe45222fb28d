// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of root complexes: do they forward peer-to-peer traffic?
 *
 * The PCIe specification leaves it open whether a root complex passes a
 * request from one of its ports on to another (PCIe r6.x sec 1.3.1).  Nothing
 * in hardware says so, hence whatever must cross one is refused unless
 *
 *  - the CPU belongs to a family all of whose root complexes forward, or
 *  - the root complex is in the table below, by the vendor and device ID of
 *    the first device of its root bus: usually a host bridge at 00.0, on some
 *    platforms a root port in a later slot.
 *
 * Locking: none.  The first device is read from the bus, not looked up among
 * the kernel's devices, because the DMA mapping code may ask from atomic
 * context, where the list of a bus must not be walked.
 *
 * What must never happen: "forwards" for a root complex that nobody vouches
 * for, since a request that is lost there is lost in silence.
 */
#include <linux/pci.h>
#include <linux/processor.h>

#include "pci.h"
#include "p2pdma.h"

struct p2pdma_host {
	u16	vendor;
	u16	device;
	bool	same_bridge_only;
};

static const struct p2pdma_host p2pdma_hosts[] = {
	/* Xeon E5 and Core i7 of the second and third generation */
	{ PCI_VENDOR_ID_INTEL, 0x3c00, .same_bridge_only = true },
	{ PCI_VENDOR_ID_INTEL, 0x3c01, .same_bridge_only = true },
	/* Xeon E5 v3, Xeon E7 v3 */
	{ PCI_VENDOR_ID_INTEL, 0x2f00, .same_bridge_only = true },
	{ PCI_VENDOR_ID_INTEL, 0x2f01, .same_bridge_only = true },
	/* Skylake-E: DMI, then the root ports A to D */
	{ PCI_VENDOR_ID_INTEL, 0x2020 },
	{ PCI_VENDOR_ID_INTEL, 0x2030 },
	{ PCI_VENDOR_ID_INTEL, 0x2031 },
	{ PCI_VENDOR_ID_INTEL, 0x2032 },
	{ PCI_VENDOR_ID_INTEL, 0x2033 },
	/* Ice Lake, Sapphire Rapids: memory map and VT-d function of a stack */
	{ PCI_VENDOR_ID_INTEL, 0x09a2 },
};

#ifdef CONFIG_X86
/* All processors of AMD from Zen (family 17h) on forward */
static bool host_cpu_forwards(void)
{
	const struct cpuinfo_x86 *cpu = &cpu_data(0);

	return cpu->x86_vendor == X86_VENDOR_AMD && cpu->x86 >= 0x17;
}
#else
static bool host_cpu_forwards(void)
{
	return false;
}
#endif

/**
 * pci_p2pdma_host_id - identify the root complex above a device
 * @pdev: the device
 *
 * Context: any context in which configuration space may be read.
 * Return: device ID (upper half) and vendor ID of the first device on its root
 * bus, or %PCI_ERROR_RESPONSE if none answers.
 */
u32 pci_p2pdma_host_id(struct pci_dev *pdev)
{
	struct pci_bus *bus = pci_find_host_bridge(pdev->bus)->bus;
	unsigned int slot;
	u32 id;

	for (slot = 0; slot < 32; slot++)
		if (pci_bus_read_dev_vendor_id(bus, PCI_DEVFN(slot, 0), &id, 0))
			return id;

	return (u32)PCI_ERROR_RESPONSE;
}

static const struct p2pdma_host *host_lookup(struct pci_dev *pdev)
{
	u32 id = pci_p2pdma_host_id(pdev);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p2pdma_hosts); i++)
		if (p2pdma_hosts[i].vendor == (id & 0xffff) &&
		    p2pdma_hosts[i].device == id >> 16)
			return &p2pdma_hosts[i];

	return NULL;
}

/**
 * pci_p2pdma_host_forwards - does traffic between two devices cross the host?
 * @a: one device
 * @b: the other
 *
 * Context: any context in which configuration space may be read.
 * Return: what is known of the root complexes above the two.
 */
enum p2pdma_host_word pci_p2pdma_host_forwards(struct pci_dev *a,
					       struct pci_dev *b)
{
	const struct p2pdma_host *host_a, *host_b;

	if (host_cpu_forwards())
		return P2PDMA_HOST_CPU;

	host_a = host_lookup(a);
	if (!host_a)
		return P2PDMA_HOST_UNKNOWN;
	if (pci_find_host_bridge(a->bus) == pci_find_host_bridge(b->bus))
		return P2PDMA_HOST_LISTED;

	host_b = host_lookup(b);
	if (!host_b)
		return P2PDMA_HOST_UNKNOWN;
	if (host_a->same_bridge_only || host_b->same_bridge_only)
		return P2PDMA_HOST_APART;

	return P2PDMA_HOST_LISTED;
}
