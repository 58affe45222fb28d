/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Peer-to-peer DMA between PCI devices.
 *
 * A provider registers memory behind its BARs and publishes it.  An
 * orchestrator asks for a provider that its clients can reach, allocates
 * buffers from it and hands them to the clients.  A client maps them with the
 * DMA API as it maps any memory, and gets -EREMOTEIO where it cannot reach
 * them.  Documentation/driver-api/pci/p2pdma.rst is the guide; the functions
 * are described where they are defined, in drivers/pci/p2pdma*.c.
 */
#ifndef _LINUX_PCI_P2PDMA_H
#define _LINUX_PCI_P2PDMA_H

#include <linux/array_size.h>
#include <linux/dma-map-ops.h>
#include <linux/errno.h>
#include <linux/p2pdma.h>
#include <linux/pci.h>
#include <linux/sprintf.h>
#include <linux/types.h>
#include <uapi/linux/pci_p2pdma.h>

struct device;
struct notifier_block;
struct scatterlist;

/**
 * struct pci_p2pdma_route - how a client reaches a provider
 * @type: how the client's DMA must be mapped, or that it cannot be
 * @reason: what the verdict rests on
 * @distance: number of links, up from both to where their paths meet
 * @override: the verdict rests on the administrator's word alone
 * @request_port: port that redirects or blocks the client's requests, or NULL
 * @completion_port: port that redirects the provider's completions, or NULL
 * @up_port: port that does not send redirected traffic up, or NULL
 *
 * The ports are valid as long as the caller holds provider and client.
 */
struct pci_p2pdma_route {
	enum pci_p2pdma_map_type	type;
	enum pci_p2pdma_reason		reason;
	unsigned int			distance;
	bool				override;
	struct pci_dev			*request_port;
	struct pci_dev			*completion_port;
	struct pci_dev			*up_port;
};

/* Flags of pci_p2pdma_add_memory() */
#define PCI_P2PDMA_WRITE_COMBINING	0x1

#ifdef CONFIG_PCI_P2PDMA

/* For whoever changes what a route depends on */
void pci_p2pdma_routes_changed(void);
void pci_p2pdma_config_written(const struct pci_dev *pdev, int where, int size);

/* For providers */
int pcim_p2pdma_init(struct pci_dev *pdev);
struct p2pdma_provider *pcim_p2pdma_provider(struct pci_dev *pdev, int bar);
int pci_p2pdma_add_memory(struct pci_dev *provider, int bar, size_t size,
			  u64 offset, unsigned int flags);
int pci_p2pdma_add_resource(struct pci_dev *provider, int bar, size_t size,
			    u64 offset);
void pci_p2pmem_publish(struct pci_dev *provider, bool publish);
pci_bus_addr_t pci_p2pmem_virt_to_bus(struct pci_dev *provider, void *vaddr);

/* For orchestrators: which provider? */
struct pci_dev *pci_p2pmem_find_many(struct device **clients, int nr_clients);
int pci_p2pdma_distance_many(struct pci_dev *provider, struct device **clients,
			     int nr_clients, bool verbose);
int pci_p2pdma_route(struct pci_dev *provider, struct device *client,
		     struct pci_p2pdma_route *route);
bool pci_has_p2pmem(struct pci_dev *provider);
void pci_p2pdma_register_notifier(struct notifier_block *nb);
void pci_p2pdma_unregister_notifier(struct notifier_block *nb);

/* For orchestrators: its memory */
struct scatterlist *pci_p2pmem_alloc_sgl(struct pci_dev *provider,
					 unsigned int *nr_entries, u32 length);
struct scatterlist *pci_p2pmem_alloc_sgl_limits(struct pci_dev *provider,
						unsigned int *nr_entries,
						u32 length,
						unsigned int max_entries,
						size_t max_entry_size);
void pci_p2pmem_free_sgl(struct pci_dev *provider, struct scatterlist *sgl);
void *pci_alloc_p2pmem(struct pci_dev *provider, size_t size);
void pci_free_p2pmem(struct pci_dev *provider, void *vaddr, size_t size);

/* For attributes by which an administrator chooses */
ssize_t pci_p2pdma_enable_show(char *buf, struct pci_dev *chosen,
			       bool enabled);
int pci_p2pdma_enable_store(const char *text, struct pci_dev **chosen,
			    bool *enabled);

#else /* CONFIG_PCI_P2PDMA */

static inline int pcim_p2pdma_init(struct pci_dev *pdev)
{
	return -EOPNOTSUPP;
}

static inline struct p2pdma_provider *
pcim_p2pdma_provider(struct pci_dev *pdev, int bar)
{
	return NULL;
}

static inline void pci_p2pdma_routes_changed(void)
{
}

static inline void pci_p2pdma_config_written(const struct pci_dev *pdev,
					     int where, int size)
{
}

static inline int pci_p2pdma_route(struct pci_dev *provider,
				   struct device *client,
				   struct pci_p2pdma_route *route)
{
	return -EOPNOTSUPP;
}

static inline ssize_t pci_p2pdma_enable_show(char *buf, struct pci_dev *chosen,
					     bool enabled)
{
	return sprintf(buf, "none\n");
}

static inline int pci_p2pdma_enable_store(const char *text,
					  struct pci_dev **chosen,
					  bool *enabled)
{
	*enabled = false;
	return 0;
}

static inline void *pci_alloc_p2pmem(struct pci_dev *provider, size_t size)
{
	return NULL;
}

static inline void pci_free_p2pmem(struct pci_dev *provider, void *vaddr,
				   size_t size)
{
}

static inline struct scatterlist *
pci_p2pmem_alloc_sgl(struct pci_dev *provider, unsigned int *nr_entries,
		     u32 length)
{
	return NULL;
}

static inline struct scatterlist *
pci_p2pmem_alloc_sgl_limits(struct pci_dev *provider, unsigned int *nr_entries,
			    u32 length, unsigned int max_entries,
			    size_t max_entry_size)
{
	return NULL;
}

static inline void pci_p2pmem_free_sgl(struct pci_dev *provider,
				       struct scatterlist *sgl)
{
}

static inline bool pci_has_p2pmem(struct pci_dev *provider)
{
	return false;
}

static inline int pci_p2pdma_distance_many(struct pci_dev *provider,
					   struct device **clients,
					   int nr_clients, bool verbose)
{
	return -1;
}

static inline struct pci_dev *pci_p2pmem_find_many(struct device **clients,
						   int nr_clients)
{
	return NULL;
}

static inline pci_bus_addr_t pci_p2pmem_virt_to_bus(struct pci_dev *provider,
						    void *vaddr)
{
	return 0;
}

static inline void pci_p2pmem_publish(struct pci_dev *provider, bool publish)
{
}

static inline int pci_p2pdma_add_memory(struct pci_dev *provider, int bar,
					size_t size, u64 offset,
					unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline int pci_p2pdma_add_resource(struct pci_dev *provider, int bar,
					  size_t size, u64 offset)
{
	return -EOPNOTSUPP;
}

#endif /* CONFIG_PCI_P2PDMA */

/**
 * pci_p2pmem_find - find the provider that suits one client best
 * @client: device that is to reach the memory
 *
 * Return: see pci_p2pmem_find_many().
 */
static inline struct pci_dev *pci_p2pmem_find(struct device *client)
{
	return pci_p2pmem_find_many(&client, 1);
}

/**
 * pci_p2pdma_distance - how far a provider is from one client
 * @provider: device whose memory is to be reached
 * @client: device that is to reach it
 * @verbose: print the verdict, with what to do about it
 *
 * Return: see pci_p2pdma_distance_many().
 */
static inline int pci_p2pdma_distance(struct pci_dev *provider,
				      struct device *client, bool verbose)
{
	struct device *clients[] = { client };

	return pci_p2pdma_distance_many(provider, clients, ARRAY_SIZE(clients),
					verbose);
}

#endif /* _LINUX_PCI_P2PDMA_H */
