/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NVMe over PCIe: the Persistent Memory Region of a controller.
 */
#ifndef _NVME_PMR_H
#define _NVME_PMR_H

#include <linux/types.h>

struct nvme_ctrl;
struct nvme_pmr;
struct pci_dev;

struct nvme_pmr *nvme_pmr_find(struct nvme_ctrl *ctrl, struct pci_dev *pdev);
void nvme_pmr_enable(struct nvme_pmr *pmr, bool alone);

#if IS_ENABLED(CONFIG_KUNIT)
/* The registers, for tests to be in their place */
u32 nvme_pmr_read(struct nvme_pmr *pmr, u32 reg);
void nvme_pmr_write(struct nvme_pmr *pmr, u32 reg, u32 value);
#endif

#endif /* _NVME_PMR_H */
