/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit suites of peer-to-peer DMA share; told in p2pdma_test.c.
 */
#ifndef _P2PDMA_TEST_H
#define _P2PDMA_TEST_H

#include <linux/kconfig.h>
#include <linux/pci-p2pdma.h>
#include <linux/types.h>

#include "../pci_kunit.h"

struct file;
struct kmsg_dump_iter;
struct kunit;
struct vfsmount;

/* Host bridges: on no list, listed, listed for one host bridge only */
#define INTEL			PCI_VENDOR_ID_INTEL
#define UNLISTED		0x29c0
#define LISTED			0x2030
#define LISTED_SAME		0x3c00
#define INTEL_HOST(_device)	.vendor = INTEL, .device = (_device)

#define ACS_ALL		(PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | \
			 PCI_ACS_UF | PCI_ACS_EC | PCI_ACS_DT)
#define ACS_NONE_ON	PCI_KUNIT_ACS(ACS_ALL, 0)
#define POS_CTRL	(PCI_KUNIT_POS_ACS + PCI_ACS_CTRL)
#define POS_VECTOR	(PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V)
#define POS_ARI		0x1c0
#define ARI_GROUP(_n)	((_n) << 4)

/* Egress Control Vector: its size as the capability has it, a bit in it */
#define VECTOR(_size)	((_size) << 8)
#define PORT_BIT(_n)	(1U << (_n))

#define MEMORY		.bar = { [4] = { .size = SZ_4M } }

#define HOST_BRIDGES	"module/pci_p2pdma/parameters/host_bridges"
#define ZERO		"module/pci_p2pdma/parameters/zero"

#define LOG_LINE	1024

/* A kernel that checks every access is several times slower: do less */
#define P2P_SLOW	(IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_KCSAN))

/* A storm of fewer cycles would show nothing */
#define P2P_FEWEST_CYCLES	50U

struct pci_kunit_node *p2p_copy_nodes(struct kunit *test,
				      const struct pci_kunit_node *nodes,
				      size_t count);
struct pci_kunit_tree *p2p_tree_of(struct kunit *test,
				   const struct pci_kunit_node *declared,
				   size_t count, u16 device, u64 bus_offset);
struct pci_kunit_tree *p2p_fabric(struct kunit *test);
struct pci_kunit_tree *p2p_fabric_of(struct kunit *test, u16 device,
				     u64 bus_offset);
void p2p_expect_route(struct kunit *test, struct pci_kunit_tree *tree,
		      const char *provider, const char *client,
		      const struct pci_p2pdma_route *want,
		      const char *request_port, const char *completion_port);
void p2p_expect_direct(struct kunit *test, struct pci_kunit_tree *tree,
		       const char *provider, const char *client,
		       enum pci_p2pdma_reason reason, unsigned int distance);
void p2p_expect_host(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client,
		     enum pci_p2pdma_reason reason, unsigned int distance,
		     const char *request_port, const char *completion_port);
void p2p_expect_none(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client,
		     enum pci_p2pdma_reason reason, unsigned int distance,
		     const char *request_port, const char *completion_port);
struct pci_dev *p2p_provider(struct kunit *test, struct pci_kunit_tree *tree,
			     const char *name);
int p2p_ask(struct pci_kunit_tree *tree, struct pci_dev *provider,
	    const char *client);
enum pci_p2pdma_map_type p2p_ask_type(struct pci_kunit_tree *tree,
				      struct pci_dev *provider,
				      const char *client);
void p2p_expect(struct kunit *test, struct pci_kunit_tree *tree,
		const char *provider, const char *client,
		enum pci_p2pdma_reason reason);
void p2p_expect_ports(struct kunit *test, struct pci_kunit_tree *tree,
		      const char *provider, const char *client,
		      const char *request, const char *completion,
		      const char *up);
struct vfsmount *p2p_mount(struct kunit *test, const char *name);
void p2p_close(void *file);
struct file *p2p_open(struct kunit *test, struct vfsmount *mnt,
		      const char *path, int flags);
ssize_t p2p_read(struct kunit *test, struct vfsmount *mnt, const char *path,
		 char *buf, size_t size);
int p2p_write(struct kunit *test, struct vfsmount *mnt, const char *path,
	      const char *text);
char __user *p2p_user_memory(struct kunit *test, size_t size);
void p2p_log_mark(struct kmsg_dump_iter *iter);
unsigned int p2p_log_count(struct kmsg_dump_iter *iter, const char *a,
			   const char *b, const char *c);
void p2p_quiet(struct kunit *test, int level);
void p2p_loud(void);
void p2p_hurry_rcu(struct kunit *test);
bool p2p_one_more(unsigned int done, unsigned int cycles, unsigned long begun);
int p2p_allow(struct kunit *test, const char *text);
int p2p_zero(struct kunit *test, const char *text);
void p2p_mknod(struct kunit *test, struct vfsmount *mnt, const char *name,
	       dev_t dev);
dev_t p2p_dev(struct kunit *test, const char *path);
struct file *p2p_open_query(struct kunit *test);
struct file *p2p_open_memory(struct kunit *test, struct pci_dev *provider);
long p2p_query(struct kunit *test, struct file *file, char __user *user,
	       struct pci_p2pdma_query *q);
struct pci_p2pdma_function p2p_function(const struct pci_dev *pdev);
struct pci_p2pdma_query p2p_question(struct pci_kunit_tree *tree,
				     const char *provider, const char *client);
void p2p_set_ctrl(struct pci_kunit_tree *tree, const char *name, u16 ctrl);
void p2p_set_vector(struct pci_kunit_tree *tree, const char *name, u32 bits);
struct pci_kunit_tree *p2p_functions(struct kunit *test);
void p2p_add_ari(struct pci_kunit_tree *tree, const char *name, u16 ctrl);
int p2p_case_init(struct kunit *test);
void p2p_case_exit(struct kunit *test);
struct device *p2p_other_device(struct kunit *test, struct device *parent);

#endif /* _P2PDMA_TEST_H */
