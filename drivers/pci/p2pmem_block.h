/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DRIVERS_PCI_P2PMEM_BLOCK_H
#define DRIVERS_PCI_P2PMEM_BLOCK_H

#include <linux/err.h>
#include <linux/kconfig.h>
#include <linux/types.h>

struct gendisk;
struct pci_dev;

#if IS_ENABLED(CONFIG_BLOCK)
struct gendisk *p2pmem_block_create(struct pci_dev *pdev, void __iomem *memory,
				    u64 size);
void p2pmem_block_destroy(struct gendisk *disk);
#else
static inline struct gendisk *p2pmem_block_create(struct pci_dev *pdev,
						  void __iomem *memory,
						  u64 size)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void p2pmem_block_destroy(struct gendisk *disk)
{
}
#endif

#endif /* DRIVERS_PCI_P2PMEM_BLOCK_H */
