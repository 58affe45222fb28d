// SPDX-License-Identifier: GPL-2.0
/*
 * NVMe over PCIe: the Persistent Memory Region as peer-to-peer memory.
 *
 * A controller may have a BAR of memory that keeps its contents without power
 * (NVMe base specification 1.4, section 4.8).  The host switches it on and waits
 * until the controller says that it is ready; the memory then is registered for
 * peer-to-peer DMA, as the Controller Memory Buffer is.
 *
 * What was written to the region has arrived when a read has come back that
 * follows the writes: of PMRSTS, or of the region itself, as PMRCAP.PMRWBM says.
 * The driver reads once more when all memory has come back after it was unbound,
 * so that what peers wrote last is not lost with the power, and switches the
 * region off.  Hence the region is looked for before any memory of the function
 * is registered: what is managed by the device ends in reverse order.
 *
 * A region that does not become ready in time, or is not healthy, is switched
 * off again and reported, and the drive works without it.  Reset of the
 * controller leaves the region's registers alone; should a controller not, it is
 * switched on once more.
 *
 * A controller that has a Controller Memory Buffer as well keeps the region to
 * itself: all memory of a function is one pool, which is published or not, and
 * the two may differ in what they take, submission queues and data of which
 * direction.
 *
 * Locking: the callers' (probe, reset work and removal of a controller exclude
 * each other).
 *
 * What must never happen: memory handed out before the controller says that it
 * is ready.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>

#include "nvme.h"
#include "pmr.h"

#define NVME_CAP_PMRS(cap)	(((cap) >> 56) & 0x1)

#define REG_PMRMSCL		0x0e14
#define REG_PMRMSCU		0x0e18

#define PMRCAP_RDS		BIT(3)
#define PMRCAP_WDS		BIT(4)
#define PMRCAP_BIR		GENMASK(7, 5)
#define PMRCAP_TU		GENMASK(9, 8)
#define PMRCAP_WBM_MEMORY	BIT(10)
#define PMRCAP_WBM_STATUS	BIT(11)
#define PMRCAP_TO		GENMASK(23, 16)
#define PMRCAP_CMSS		BIT(24)

#define PMRCTL_EN		BIT(0)

#define PMRSTS_ERR		GENMASK(7, 0)
#define PMRSTS_NRDY		BIT(8)
#define PMRSTS_HSTS		GENMASK(11, 9)

#define PMRMSC_CMSE		BIT(1)
#define PMRMSC_CBA		GENMASK_ULL(63, 12)

/* The registers are in the first page of BAR 0 */
#define REGS_BAR		0
#define REGS_BYTES		SZ_4K

/**
 * struct nvme_pmr - the region of a controller
 * @ctrl: the controller
 * @pdev: its function
 * @regs: its registers
 * @cap: PMRCAP
 * @bar: where the region is, or 0 if it cannot have struct pages
 * @vaddr: a part of the region to read from, if that is its write barrier
 * @used: it is on, and registered
 */
struct nvme_pmr {
	struct nvme_ctrl	*ctrl;
	struct pci_dev		*pdev;
	void __iomem		*regs;
	u32			cap;
	int			bar;
	void __iomem		*vaddr;
	bool			used;
};

/* All registers are read and written by these two, which a test may stand in for */
VISIBLE_IF_KUNIT u32 nvme_pmr_read(struct nvme_pmr *pmr, u32 reg)
{
	KUNIT_STATIC_STUB_REDIRECT(nvme_pmr_read, pmr, reg);
	return readl(pmr->regs + reg);
}

VISIBLE_IF_KUNIT void nvme_pmr_write(struct nvme_pmr *pmr, u32 reg, u32 value)
{
	KUNIT_STATIC_STUB_REDIRECT(nvme_pmr_write, pmr, reg, value);
	writel(value, pmr->regs + reg);
}

/* Time that the controller may take to become ready, in jiffies */
static unsigned long time_limit(u32 cap)
{
	unsigned long units = FIELD_GET(PMRCAP_TO, cap);

	/* Units of 500 ms, or of minutes */
	return FIELD_GET(PMRCAP_TU, cap) ? units * 60 * HZ : units * HZ / 2;
}

/* False if the region does not become ready, after a line in the log */
static bool switch_on(struct nvme_pmr *pmr)
{
	unsigned long deadline;
	u32 status;
	u64 base;

	/* By which commands of the host name the region */
	if (pmr->cap & PMRCAP_CMSS) {
		base = pci_bus_address(pmr->pdev, pmr->bar) & PMRMSC_CBA;
		nvme_pmr_write(pmr, REG_PMRMSCU, upper_32_bits(base));
		nvme_pmr_write(pmr, REG_PMRMSCL,
			       lower_32_bits(base) | PMRMSC_CMSE);
	}

	nvme_pmr_write(pmr, NVME_REG_PMRCTL, PMRCTL_EN);
	deadline = jiffies + time_limit(pmr->cap);
	for (;;) {
		status = nvme_pmr_read(pmr, NVME_REG_PMRSTS);
		/* It may ask for hours, in which it may be unplugged */
		if (!(status & PMRSTS_NRDY) || PCI_POSSIBLE_ERROR(status) ||
		    time_after(jiffies, deadline))
			break;
		msleep(20);
	}

	/* All ones are not healthy either */
	if (!(status & (PMRSTS_NRDY | PMRSTS_ERR | PMRSTS_HSTS)))
		return true;

	dev_warn(pmr->ctrl->device,
		 "persistent memory region not used: status %#x, %s\n", status,
		 PCI_POSSIBLE_ERROR(status) ? "the controller is gone" :
		 status & PMRSTS_NRDY ? "it did not become ready in time" :
		 "it is not healthy, check the drive");
	nvme_pmr_write(pmr, NVME_REG_PMRCTL, 0);
	return false;
}

static bool usable(struct pci_dev *pdev, int bar)
{
	return bar >= 2 && bar < PCI_STD_NUM_BARS &&
	       pci_resource_flags(pdev, bar) & IORESOURCE_MEM &&
	       pci_resource_len(pdev, bar) &&
	       IS_ALIGNED(pci_resource_start(pdev, bar) |
			  pci_resource_len(pdev, bar), memremap_compat_align());
}

/* Wait until what was written has arrived */
static void barrier_read(struct nvme_pmr *pmr)
{
	if (pmr->cap & PMRCAP_WBM_STATUS)
		nvme_pmr_read(pmr, NVME_REG_PMRSTS);
	else if (pmr->vaddr)
		readl(pmr->vaddr);
}

/* Nobody holds memory of the region any more */
static void pmr_release(void *data)
{
	struct nvme_pmr *pmr = data;

	if (pmr->used) {
		barrier_read(pmr);
		nvme_pmr_write(pmr, NVME_REG_PMRCTL, 0);
	}
	if (pmr->vaddr)
		iounmap(pmr->vaddr);
	iounmap(pmr->regs);
}

/**
 * nvme_pmr_find - look for the Persistent Memory Region of a controller
 * @ctrl: the controller, whose CAP is known
 * @pdev: its function, of which no memory is registered yet
 *
 * Context: process context, may sleep.
 * Return: the region, which lives as long as the driver is bound; NULL if there
 * is none, or no memory to keep track of it.
 */
struct nvme_pmr *nvme_pmr_find(struct nvme_ctrl *ctrl, struct pci_dev *pdev)
{
	struct nvme_pmr *pmr;
	int bar;

	if (!IS_ENABLED(CONFIG_PCI_P2PDMA) || !NVME_CAP_PMRS(ctrl->cap))
		return NULL;

	pmr = devm_kzalloc(&pdev->dev, sizeof(*pmr), GFP_KERNEL);
	if (!pmr)
		return NULL;

	pmr->ctrl = ctrl;
	pmr->pdev = pdev;
	pmr->regs = ioremap(pci_resource_start(pdev, REGS_BAR), REGS_BYTES);
	if (!pmr->regs)
		return NULL;

	pmr->cap = nvme_pmr_read(pmr, NVME_REG_PMRCAP);
	bar = FIELD_GET(PMRCAP_BIR, pmr->cap);
	if (usable(pdev, bar)) {
		pmr->bar = bar;
		if (!(pmr->cap & PMRCAP_WBM_STATUS))
			pmr->vaddr = ioremap(pci_resource_start(pdev, bar),
					     PAGE_SIZE);
	}

	if (devm_add_action_or_reset(&pdev->dev, pmr_release, pmr))
		return NULL;

	return pmr;
}

static void publish(struct nvme_pmr *pmr, bool on)
{
	/* Commands of this controller must be able to use it both ways */
	if (pmr->cap & PMRCAP_RDS && pmr->cap & PMRCAP_WDS)
		pci_p2pmem_publish(pmr->pdev, on);
}

/**
 * nvme_pmr_enable - use the Persistent Memory Region of a controller
 * @pmr: the region, or NULL
 * @alone: the controller has no other memory
 *
 * To be called whenever the controller is started.
 *
 * Context: process context; sleeps for as long as the controller asks for.
 */
void nvme_pmr_enable(struct nvme_pmr *pmr, bool alone)
{
	if (!pmr || !pmr->bar)
		return;

	if (pmr->used) {
		/* What is not there any more must not be handed out */
		if (!(nvme_pmr_read(pmr, NVME_REG_PMRCTL) & PMRCTL_EN))
			publish(pmr, switch_on(pmr));
		return;
	}

	if (!alone || !switch_on(pmr))
		return;

	if (pci_p2pdma_add_resource(pmr->pdev, pmr->bar, 0, 0)) {
		nvme_pmr_write(pmr, NVME_REG_PMRCTL, 0);
		return;
	}

	pmr->used = true;
	publish(pmr, true);
}
