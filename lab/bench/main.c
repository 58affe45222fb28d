// SPDX-License-Identifier: GPL-2.0
/*
 * What peer-to-peer DMA costs, in instructions.
 *
 * The module uses nothing but the public interface (linux/pci-p2pdma.h and the
 * DMA API), so that the very same source measures any implementation of it.  It
 * runs once, when it is loaded, and leaves its figures in debugfs as lines
 *
 *   row NAME n=... failed=... median=... mean=... worst=... reads=...
 *
 * in p2pdma_bench/rows.  lab/runner/figures.py knows what the names mean and
 * which figures are to be reached.
 *
 * Method: the machine counts instructions with its time stamp counter, which
 * QEMU does when it is started with "-icount shift=0,sleep=off".  Interrupts are
 * off around each operation.  A known run of instructions is measured first,
 * and nothing is reported if the result is not exact.  Configuration reads are
 * counted in a pass of their own, by accessors put in place for all buses,
 * since counting them costs instructions.
 *
 * What is measured depends on the functions that the parameters name:
 *
 *   pools=       with one client: registration, allocation, scatter lists and
 *                the mapping of segments.  The first two are used as pools, a
 *                third is only registered.
 *   providers=   with clients: distance, and the search for a provider
 *   dormant=1    with one client: the mapping of ordinary memory, and nothing
 *                else.  This also works on a kernel without peer-to-peer DMA.
 *   scale=1      with one pool: what two processors reach together.  Nothing can
 *                be counted where two run at a time; this is about ratios.
 *
 * The functions are QEMU's shared memory devices (ivshmem-plain), whose BAR 2 is
 * memory; the driver in this module binds to them.  What must be measured with
 * no provider in the system comes first.  Random choices come from a generator
 * with a fixed seed: each kernel is given the same work.
 */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "bench.h"

static char *pools[MAX_POOLS];
int nr_pools;
module_param_array(pools, charp, &nr_pools, 0444);
MODULE_PARM_DESC(pools, "functions whose memory is allocated from");

static char *providers[MAX_FUNCTIONS];
int nr_providers;
module_param_array(providers, charp, &nr_providers, 0444);
MODULE_PARM_DESC(providers, "functions to be found by clients");

static char *clients[MAX_FUNCTIONS];
int nr_clients;
module_param_array(clients, charp, &nr_clients, 0444);
MODULE_PARM_DESC(clients, "functions that are to reach the memory");

static bool dormant;
module_param(dormant, bool, 0444);
MODULE_PARM_DESC(dormant, "map ordinary memory, and nothing else");

static bool scale;
module_param(scale, bool, 0444);
MODULE_PARM_DESC(scale, "let two processors allocate from one pool, and nothing else");

bool quick;
module_param(quick, bool, 0444);
MODULE_PARM_DESC(quick, "leave out what takes long to prepare");

struct pci_dev *pool_devs[MAX_POOLS];
struct pci_dev *provider_devs[MAX_FUNCTIONS];
struct device *client_devs[MAX_FUNCTIONS];

const struct bench_size sizes[NR_SIZES] = {
	{ SZ_4K, "4K" },
	{ SZ_16K, "16K" },
	{ SZ_64K, "64K" },
	{ SZ_128K, "128K" },
	{ SZ_256K, "256K" },
	{ SZ_1M, "1M" },
};

/* What maps are made of where they are of ordinary memory */
static struct pci_dev *ram[] = { NULL };

static struct debugfs_blob_wrapper rows_blob;
static struct dentry *rows_dir;

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret = pcim_enable_device(pdev);

	if (ret)
		return ret;
	pci_set_master(pdev);
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};

static struct pci_driver bench_driver = {
	.name		= "p2pdma_bench",
	.id_table	= bench_ids,
	.probe		= bench_probe,
};

static struct pci_dev *function_get(const char *name)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, name);

	if (!dev) {
		pr_err("there is no function %s\n", name);
		return NULL;
	}
	if (dev->driver != &bench_driver.driver) {
		dev_err(dev, "it is not a shared memory device that this module could drive\n");
		put_device(dev);
		return NULL;
	}

	return to_pci_dev(dev);
}

static int functions_get(void)
{
	struct pci_dev *pdev;
	int i;

	for (i = 0; i < nr_pools; i++) {
		pool_devs[i] = function_get(pools[i]);
		if (!pool_devs[i])
			return -ENODEV;
	}
	for (i = 0; i < nr_providers; i++) {
		provider_devs[i] = function_get(providers[i]);
		if (!provider_devs[i])
			return -ENODEV;
	}
	for (i = 0; i < nr_clients; i++) {
		pdev = function_get(clients[i]);
		if (!pdev)
			return -ENODEV;
		client_devs[i] = &pdev->dev;
	}

	return 0;
}

static void functions_put(void)
{
	int i;

	for (i = 0; i < nr_pools; i++)
		pci_dev_put(pool_devs[i]);
	for (i = 0; i < nr_providers; i++)
		pci_dev_put(provider_devs[i]);
	for (i = 0; i < nr_clients; i++)
		put_device(client_devs[i]);
}

static int measure_memory(void)
{
	int ret;

	/* What must be measured with no provider in the system comes first */
	ret = bench_maps("dormant", ram, 1);
	if (ret || dormant)
		return ret;
	ret = bench_register();
	if (!ret)
		ret = bench_maps("ram", ram, 1);
	if (!ret)
		ret = bench_maps("p2p", pool_devs, 1);
	if (!ret)
		ret = bench_maps("two", pool_devs, 2);
	if (!ret)
		ret = bench_maps("mixed", (struct pci_dev *[]){ pool_devs[0], NULL }, 2);
	if (!ret)
		ret = bench_pools();

	return ret;
}

/* Exact before, exact after */
static int measure(void)
{
	int ret = calibrate();

	if (!ret && (dormant || nr_pools >= 2))
		ret = measure_memory();
	if (!ret && !dormant && nr_providers)
		ret = bench_routes();
	if (!ret)
		ret = calibrate();

	return ret;
}

static bool enough_functions(void)
{
	if (scale)
		return nr_pools;

	return nr_clients && (dormant || nr_providers || nr_pools >= 2);
}

static int __init bench_init(void)
{
	int ret;

	if (!enough_functions()) {
		pr_err("name at least one client, and two pools, a provider, or dormant=1; or scale=1 and a pool\n");
		return -EINVAL;
	}
	ret = pci_register_driver(&bench_driver);
	if (ret)
		return ret;

	ret = functions_get();
	if (!ret)
		ret = scale ? bench_scale() : measure();
	functions_put();
	if (!ret) {
		rows_blob.data = (void *)rows_so_far(&rows_blob.size);
		ret = rows_blob.data ? 0 : -E2BIG;
	}
	if (ret) {
		pci_unregister_driver(&bench_driver);
		return ret;
	}

	rows_dir = debugfs_create_dir("p2pdma_bench", NULL);
	debugfs_create_blob("rows", 0444, rows_dir, &rows_blob);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(rows_dir);
	pci_unregister_driver(&bench_driver);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("What peer-to-peer DMA costs, in instructions");
MODULE_LICENSE("GPL");
