// SPDX-License-Identifier: GPL-2.0
/*
 * Sample orchestrator: it has no device, but lets those of others exchange data
 * through memory of a provider that all of them reach.
 *
 *	insmod p2pdma_orchestrator.ko clients=0000:03:00.0,0000:04:00.0
 *	cat /sys/kernel/debug/p2pdma_orchestrator/move
 *
 * The clients are two devices of the sample client.  Each time that the file is
 * read, random data goes into the buffer of the first, from there into memory of
 * a provider, from there into the buffer of the second, and is compared.  The
 * file tells through whose memory it went.  Where there is no provider that both
 * reach, system memory takes its place: peer-to-peer memory makes things faster,
 * and its absence must not make them fail.
 *
 * References and locking: the provider is chosen under provider_lock, and held
 * by a reference while it is the chosen one.  Memory that was allocated keeps
 * its provider by itself, so that a request needs neither of them until the
 * memory is freed.  move_lock makes one request wait for the other, since they
 * would share the buffers of the devices.
 *
 * What must never happen: memory asked of a provider that nobody holds; an error
 * on account of a provider that went, or of a route that changed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "p2pdma_client.h"

#define NR_CLIENTS	2

static char *clients[NR_CLIENTS];
static int nr_clients;
module_param_array(clients, charp, &nr_clients, 0444);
MODULE_PARM_DESC(clients, "Addresses of two devices of the sample client");

static struct device *client_dev[NR_CLIENTS];

static DEFINE_MUTEX(provider_lock);
static struct pci_dev *provider;

static DEFINE_MUTEX(move_lock);
static struct dentry *directory;

/* Choosing a provider ------------------------------------------------------- */

/* Of several that are equally near any may be found: keep what is in use */
static bool keep_provider(struct pci_dev *found)
{
	int distance;

	if (found == provider)
		return true;
	if (!found || !provider || !pci_has_p2pmem(provider))
		return false;

	distance = pci_p2pdma_distance_many(provider, client_dev, NR_CLIENTS,
					    false);
	return distance >= 0 &&
	       distance <= pci_p2pdma_distance_many(found, client_dev,
						    NR_CLIENTS, false);
}

static int choose_provider(struct notifier_block *nb, unsigned long action,
			   void *data)
{
	struct pci_dev *found, *unused;

	guard(mutex)(&provider_lock);
	found = pci_p2pmem_find_many(client_dev, NR_CLIENTS);
	unused = found;
	if (!keep_provider(found)) {
		pr_info("using memory of %s\n",
			found ? pci_name(found) : "the system");
		unused = provider;
		provider = found;
	}
	pci_dev_put(unused);

	return NOTIFY_DONE;
}

static struct notifier_block providers_changed = {
	.notifier_call = choose_provider,
};

/* Memory for a request ------------------------------------------------------ */

/**
 * struct buffer - memory that data passes through
 * @sgt: the memory
 * @provider: whose it is, or NULL for system memory
 */
struct buffer {
	struct sg_table	sgt;
	struct pci_dev	*provider;
};

static int alloc_system(struct buffer *buf)
{
	struct sg_table *sgt = &buf->sgt;

	buf->provider = NULL;
	sgt->sgl = sgl_alloc(SAMPLE_CLIENT_BYTES, GFP_KERNEL,
			     &sgt->orig_nents);
	sgt->nents = sgt->orig_nents;
	return sgt->sgl ? 0 : -ENOMEM;
}

/* False if there is none, or no provider to have some */
static bool alloc_peer(struct buffer *buf)
{
	struct sg_table *sgt = &buf->sgt;

	/* Keeps the provider until memory does */
	guard(mutex)(&provider_lock);
	if (!provider)
		return false;

	buf->provider = provider;
	sgt->sgl = pci_p2pmem_alloc_sgl(provider, &sgt->orig_nents,
					SAMPLE_CLIENT_BYTES);
	sgt->nents = sgt->orig_nents;
	return sgt->sgl;
}

static void free_buffer(struct buffer *buf)
{
	/* The provider may be gone when this returns */
	if (buf->provider)
		pci_p2pmem_free_sgl(buf->provider, buf->sgt.sgl);
	else
		sgl_free(buf->sgt.sgl);
}

/* Moving -------------------------------------------------------------------- */

/* From the first client to the second */
static int relay(struct buffer *buf)
{
	int error = sample_client_move(client_dev[0], &buf->sgt,
				       DMA_FROM_DEVICE);

	return error ?: sample_client_move(client_dev[1], &buf->sgt,
					   DMA_TO_DEVICE);
}

/*
 * Through memory of a provider if there is some.  A route may change after the
 * memory was allocated; a client is then refused it, and the request begins
 * again with system memory.
 */
static int relay_somehow(struct seq_file *m)
{
	struct buffer buf;
	int error;

	if (alloc_peer(&buf)) {
		error = relay(&buf);
		if (!error)
			seq_printf(m, "moved through memory of %s\n",
				   pci_name(buf.provider));
		free_buffer(&buf);
		if (error != -EREMOTEIO)
			return error;
	}

	error = alloc_system(&buf);
	if (error)
		return error;

	error = relay(&buf);
	if (!error)
		seq_puts(m, "moved through system memory\n");
	free_buffer(&buf);
	return error;
}

/* Fill the first client's buffer, relay, and look at the second client's */
static int move_and_compare(struct seq_file *m, struct buffer *system,
			    void *sent, void *got)
{
	struct sg_table *sgt = &system->sgt;
	int error;

	get_random_bytes(sent, SAMPLE_CLIENT_BYTES);
	sg_copy_from_buffer(sgt->sgl, sgt->orig_nents, sent,
			    SAMPLE_CLIENT_BYTES);
	error = sample_client_move(client_dev[0], sgt, DMA_TO_DEVICE);
	if (error)
		return error;

	error = relay_somehow(m);
	if (error)
		return error;

	error = sample_client_move(client_dev[1], sgt, DMA_FROM_DEVICE);
	if (error)
		return error;

	sg_copy_to_buffer(sgt->sgl, sgt->orig_nents, got, SAMPLE_CLIENT_BYTES);
	return memcmp(sent, got, SAMPLE_CLIENT_BYTES) ? -EIO : 0;
}

static int move_show(struct seq_file *m, void *unused)
{
	void *sent __free(kfree) = kmalloc(SAMPLE_CLIENT_BYTES, GFP_KERNEL);
	void *got __free(kfree) = kmalloc(SAMPLE_CLIENT_BYTES, GFP_KERNEL);
	struct buffer system;
	int error;

	if (!sent || !got)
		return -ENOMEM;

	error = alloc_system(&system);
	if (error)
		return error;

	scoped_guard(mutex, &move_lock)
		error = move_and_compare(m, &system, sent, got);
	free_buffer(&system);
	return error;
}
DEFINE_SHOW_ATTRIBUTE(move);

/* Beginning and end --------------------------------------------------------- */

static void put_clients(void)
{
	int i;

	for (i = 0; i < NR_CLIENTS; i++)
		put_device(client_dev[i]);
}

static int get_clients(void)
{
	int i;

	if (nr_clients != NR_CLIENTS) {
		pr_err("name two devices, such as clients=0000:03:00.0,0000:04:00.0\n");
		return -EINVAL;
	}

	for (i = 0; i < NR_CLIENTS; i++) {
		client_dev[i] = bus_find_device_by_name(&pci_bus_type, NULL,
							clients[i]);
		if (!client_dev[i]) {
			pr_err("there is no PCI device %s\n", clients[i]);
			put_clients();
			return -ENODEV;
		}
	}

	return 0;
}

static int __init sample_orchestrator_init(void)
{
	int error = get_clients();

	if (error)
		return error;

	/* In this order, so that no change is missed */
	pci_p2pdma_register_notifier(&providers_changed);
	choose_provider(&providers_changed, 0, NULL);

	directory = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("move", 0400, directory, NULL, &move_fops);
	return 0;
}

static void __exit sample_orchestrator_exit(void)
{
	/* Waits for those who read the file */
	debugfs_remove(directory);
	pci_p2pdma_unregister_notifier(&providers_changed);
	pci_dev_put(provider);
	put_clients();
}

module_init(sample_orchestrator_init);
module_exit(sample_orchestrator_exit);

MODULE_DESCRIPTION("Sample orchestrator of peer-to-peer DMA");
MODULE_LICENSE("GPL");
