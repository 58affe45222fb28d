// SPDX-License-Identifier: GPL-2.0
/*
 * Routes: how far a provider is, and which one is nearest.
 */
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>

#include "bench.h"

static struct pci_bus *root_bus(struct pci_dev *pdev)
{
	struct pci_bus *bus = pdev->bus;

	while (bus->parent)
		bus = bus->parent;

	return bus;
}

/*
 * Whatever remembers routes must forget them when a BAR is written, even though
 * to the value that it has.
 */
static void touch_bar(struct pci_dev *pdev)
{
	u32 bar;

	pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0, &bar);
	pci_write_config_dword(pdev, PCI_BASE_ADDRESS_0, bar);
}

static int bench_distance(const char *what, bool cold, int nr)
{
	struct pci_dev *provider = provider_devs[0];
	struct pci_bus *bus = root_bus(provider);
	int i, distance;
	u64 cost;

	series_start(one);
	for (i = -1; i < 64; i++) {
		if (cold)
			touch_bar(provider);
		cost = INSTRUCTIONS(distance =
				    pci_p2pdma_distance_many(provider,
							     client_devs, nr,
							     false));
		if (distance < 0) {
			pci_err(provider, "%d clients do not reach it\n", nr);
			return -EREMOTEIO;
		}
		if (i >= 0)
			series_add(one, cost);
	}

	if (cold)
		touch_bar(provider);
	count_reads_start(bus);
	pci_p2pdma_distance_many(provider, client_devs, nr, false);
	one->reads = count_reads_end(bus);

	series_report(one, "distance/%s/%d", what, nr);
	return 0;
}

static int bench_find(const char *what, bool cold, bool expected)
{
	struct pci_bus *bus = root_bus(to_pci_dev(client_devs[0]));
	struct pci_dev *found;
	u64 cost;
	int i;

	series_start(one);
	for (i = -1; i < 16; i++) {
		if (cold)
			touch_bar(to_pci_dev(client_devs[0]));
		cost = INSTRUCTIONS(found = pci_p2pmem_find_many(client_devs,
								 nr_clients));
		if (!!found != expected) {
			pr_err("%s was found where %s was expected\n",
			       found ? pci_name(found) : "nothing",
			       expected ? "a provider" : "nothing");
			pci_dev_put(found);
			return -EREMOTEIO;
		}
		pci_dev_put(found);
		if (i >= 0)
			series_add(one, cost);
	}

	if (cold)
		touch_bar(to_pci_dev(client_devs[0]));
	count_reads_start(bus);
	found = pci_p2pmem_find_many(client_devs, nr_clients);
	one->reads = count_reads_end(bus);
	pci_dev_put(found);

	series_report(one, "find/%s/%dx%d", what, expected ? nr_providers : 0,
		      nr_clients);
	return 0;
}

int bench_routes(void)
{
	char name[16];
	int i, ret;

	ret = bench_find("warm", false, false);
	if (ret)
		return ret;

	series_start(one);
	for (i = 0; i < nr_providers; i++) {
		ret = add_provider(provider_devs[i], one);
		if (ret)
			return ret;
	}
	name_size(name, sizeof(name),
		  pci_resource_len(provider_devs[0], MEMORY_BAR));
	series_report(one, "register/%s", name);

	ret = bench_distance("warm", false, 1);
	if (!ret)
		ret = bench_distance("warm", false, nr_clients);
	if (!ret)
		ret = bench_distance("cold", true, 1);
	if (!ret)
		ret = bench_distance("cold", true, nr_clients);
	if (!ret)
		ret = bench_find("warm", false, true);
	if (!ret)
		ret = bench_find("cold", true, true);

	return ret;
}
