// SPDX-License-Identifier: GPL-2.0
/*
 * Providers: what it costs to register memory.
 */
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "bench.h"

void name_size(char *name, size_t len, u64 bytes)
{
	if (bytes >= SZ_1G)
		snprintf(name, len, "%lluG", bytes / SZ_1G);
	else
		snprintf(name, len, "%lluM", bytes / SZ_1M);
}

/*
 * Registration sleeps, so that interrupts are on.  A timer tick among some
 * million instructions does no harm.
 */
int add_provider(struct pci_dev *pdev, struct series *s)
{
	u64 before = ticks();
	int ret;

	ret = pci_p2pdma_add_resource(pdev, MEMORY_BAR, 0, 0);
	series_add(s, ticks() - before - cost_of_nothing);
	if (ret)
		pci_err(pdev, "the memory cannot be registered (%d)\n", ret);
	else
		pci_p2pmem_publish(pdev, true);

	return ret;
}

int bench_register(void)
{
	char name[16];
	int i, ret;

	/* The first one also sets up what all have in common */
	series_start(one);
	ret = add_provider(to_pci_dev(client_devs[0]), one);
	if (ret)
		return ret;
	series_report(one, "register/first");

	for (i = 0; i < nr_pools; i++) {
		series_start(one);
		ret = add_provider(pool_devs[i], one);
		if (ret)
			return ret;
		name_size(name, sizeof(name),
			  pci_resource_len(pool_devs[i], MEMORY_BAR));
		series_report(one, "register/%s", name);
	}

	return 0;
}
