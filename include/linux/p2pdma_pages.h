/* SPDX-License-Identifier: GPL-2.0 */
/*
 * References to pages of peer-to-peer memory.
 *
 * Memory that a provider has handed out inside the kernel goes back to it by
 * being freed, not by dropping references, and is handed out again.  Code that
 * is given pages by somebody else and takes references of its own, which may
 * last longer than the memory is allocated, says so before it does.  The
 * provider then looks for such references when memory is freed, and keeps
 * pages back as long as they are held.
 *
 * See drivers/pci/p2pdma_pool.c.  Pages of a user mapping need none of this.
 */
#ifndef _LINUX_P2PDMA_PAGES_H
#define _LINUX_P2PDMA_PAGES_H

#include <linux/jump_label.h>
#include <linux/memremap.h>

#ifdef CONFIG_PCI_P2PDMA

DECLARE_STATIC_KEY_FALSE(p2pdma_pages_exist);
void __p2pdma_page_referenced(const struct page *page);

/**
 * p2pdma_page_referenced - announce a reference to a page that may be one
 * @page: any page of a set of neighbours to which references will be taken, or
 *	may be taken by the caller's caller
 *
 * Costs nothing as long as no device provides peer-to-peer memory.
 *
 * Context: any context but NMI.  Somebody holds the page.
 */
static inline void p2pdma_page_referenced(const struct page *page)
{
	if (static_branch_unlikely(&p2pdma_pages_exist) &&
	    is_pci_p2pdma_page(page))
		__p2pdma_page_referenced(page);
}

#else /* CONFIG_PCI_P2PDMA */

static inline void p2pdma_page_referenced(const struct page *page)
{
}

#endif /* CONFIG_PCI_P2PDMA */

#endif /* _LINUX_P2PDMA_PAGES_H */
