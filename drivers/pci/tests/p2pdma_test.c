// SPDX-License-Identifier: GPL-2.0
/*
 * What the KUnit suites of peer-to-peer DMA share: a tree of PCI functions, the
 * comparison of verdicts with what is expected, files and programs as user
 * space has them, the kernel log, and the frame of a case.
 *
 * The tree "fabric" is used by most:
 *
 *   host ─┬─ 01.0 rp0 ── up0 ─┬─ 00.0 dn0 (port 1) ── mem, mem1
 *         │                   ├─ 01.0 dn1 (port 2) ── nic, nic1
 *         │                   ├─ 02.0 dn2 (port 3) ── up1 ─┬─ dn3 (1) ── gpu
 *         │                   │                            └─ dn4 (2) ── ssd
 *         │                   ├─ 03.0 dn5 (port 40) ── far
 *         │                   └─ 04.0 dn6 (port 4, no ACS) ── old
 *         ├─ 02.0 rp1 ── ep0, ep1
 *         └─ 03.0 rp2 ── br ─┬─ conv0
 *                            ├─ conv1
 *                            └─ pci ─┬─ conv2
 *                                    └─ conv3
 *
 * Its host bridge is on no list, so that whatever crosses it is refused, and
 * all its ports but dn6 implement all of ACS, with nothing switched on.  There
 * is memory behind BAR 4 of mem, ssd and ep0.
 *
 * The CPU that runs this may be of a family that forwards everything, and the
 * administrator may have allowed what is refused.  Each case begins with a CPU
 * of another family and nothing allowed; what was there is given back.
 *
 * The files of sysfs and procfs are reached through mounts that nobody else
 * sees, /dev/pci-p2pdma through a node with its number in a ramfs.
 *
 * KUnit does not notice a WARN or a lockdep report: the last case of each suite
 * is pci_kunit_no_complaints(), which looks for them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kmsg_dump.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/processor.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "p2pdma_test.h"

static const struct pci_kunit_node fabric[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },

	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "up0", "rp0", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON,
	  .bar = { { .size = SZ_2M } } },
	{ "dn0", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0), MEMORY },
	{ "mem1", "dn0", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1) },
	{ "dn1", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0),
	  .acs = ACS_NONE_ON, .ats = true },
	{ "nic1", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1),
	  .acs = ACS_NONE_ON },
	{ "dn2", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "up1", "dn2", PCI_KUNIT_UPSTREAM_PORT, .acs = ACS_NONE_ON },
	{ "dn3", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "gpu", "dn3", PCI_KUNIT_ENDPOINT },
	{ "dn4", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ssd", "dn4", PCI_KUNIT_LEGACY_ENDPOINT, MEMORY },
	{ "dn5", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(3, 0),
	  .port = 40, .acs = ACS_NONE_ON },
	{ "far", "dn5", PCI_KUNIT_ENDPOINT },
	{ "dn6", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(4, 0),
	  .port = 4 },
	{ "old", "dn6", PCI_KUNIT_ENDPOINT },

	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ep0", "rp1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0), MEMORY },
	{ "ep1", "rp1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1) },

	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "br", "rp2", PCI_KUNIT_PCIE_PCI_BRIDGE },
	{ "conv0", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(1, 0) },
	{ "conv1", "br", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(2, 0) },
	{ "pci", "br", PCI_KUNIT_PCI_BRIDGE, .devfn = PCI_DEVFN(3, 0) },
	{ "conv2", "pci", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(4, 0) },
	{ "conv3", "pci", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(5, 0) },
};

/* A declaration to be changed */
struct pci_kunit_node *p2p_copy_nodes(struct kunit *test,
				      const struct pci_kunit_node *nodes,
				      size_t count)
{
	size_t size = array_size(count, sizeof(*nodes));
	struct pci_kunit_node *copy = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, nodes, size);
	return copy;
}

/* A declared tree below another host bridge, which is the first of its nodes */
struct pci_kunit_tree *p2p_tree_of(struct kunit *test,
				   const struct pci_kunit_node *declared,
				   size_t count, u16 device, u64 bus_offset)
{
	struct pci_kunit_node *nodes = p2p_copy_nodes(test, declared, count);

	nodes[0].device = device;
	nodes[0].bus_offset = bus_offset;
	return pci_kunit_create(test, nodes, count);
}

/* The fabric */
struct pci_kunit_tree *p2p_fabric(struct kunit *test)
{
	return PCI_KUNIT_CREATE(test, fabric);
}

/* The fabric below another host bridge */
struct pci_kunit_tree *p2p_fabric_of(struct kunit *test, u16 device,
				     u64 bus_offset)
{
	return p2p_tree_of(test, fabric, ARRAY_SIZE(fabric), device,
			   bus_offset);
}

static void expect_port(struct kunit *test, const struct pci_dev *port,
			const char *name, struct pci_kunit_tree *tree,
			const char *what)
{
	struct pci_dev *want = name ? pci_kunit_dev(tree, name) : NULL;

	KUNIT_EXPECT_PTR_EQ_MSG(test, port, want, "%s is %s, should be %s",
				what, port ? pci_name(port) : "none",
				name ?: "none");
}

/* Compare a verdict, and what drivers are told */
void p2p_expect_route(struct kunit *test, struct pci_kunit_tree *tree,
		      const char *provider, const char *client,
		      const struct pci_p2pdma_route *want,
		      const char *request_port, const char *completion_port)
{
	struct pci_dev *p = pci_kunit_dev(tree, provider);
	struct pci_dev *c = pci_kunit_dev(tree, client);
	struct pci_p2pdma_route got;

	pci_p2pdma_route_decide(p, c, &got);
	KUNIT_EXPECT_STREQ_MSG(test, pci_p2pdma_type_name(got.type),
			       pci_p2pdma_type_name(want->type), "%s to %s",
			       client, provider);
	KUNIT_EXPECT_STREQ_MSG(test, pci_p2pdma_reason_name(got.reason),
			       pci_p2pdma_reason_name(want->reason),
			       "%s to %s", client, provider);
	KUNIT_EXPECT_EQ_MSG(test, got.distance, want->distance, "%s to %s",
			    client, provider);
	expect_port(test, got.request_port, request_port, tree,
		    "port that decides on requests");
	expect_port(test, got.completion_port, completion_port, tree,
		    "port that decides on completions");

	KUNIT_EXPECT_EQ_MSG(test, pci_p2pdma_distance(p, &c->dev, false),
			    want->type == PCI_P2PDMA_MAP_NOT_SUPPORTED ?
			    -1 : (int)want->distance, "%s to %s", client,
			    provider);
}

void p2p_expect_direct(struct kunit *test, struct pci_kunit_tree *tree,
		       const char *provider, const char *client,
		       enum pci_p2pdma_reason reason, unsigned int distance)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_BUS_ADDR,
		.reason = reason,
		.distance = distance,
	};

	p2p_expect_route(test, tree, provider, client, &want, NULL, NULL);
}

void p2p_expect_host(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client,
		     enum pci_p2pdma_reason reason, unsigned int distance,
		     const char *request_port, const char *completion_port)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
		.reason = reason,
		.distance = distance,
	};

	p2p_expect_route(test, tree, provider, client, &want, request_port,
			 completion_port);
}

void p2p_expect_none(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client,
		     enum pci_p2pdma_reason reason, unsigned int distance,
		     const char *request_port, const char *completion_port)
{
	struct pci_p2pdma_route want = {
		.type = PCI_P2PDMA_MAP_NOT_SUPPORTED,
		.reason = reason,
		.distance = distance,
	};

	p2p_expect_route(test, tree, provider, client, &want, request_port,
			 completion_port);
}

struct pci_dev *p2p_provider(struct kunit *test, struct pci_kunit_tree *tree,
			     const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 4, 0, 0), 0);
	return pdev;
}

int p2p_ask(struct pci_kunit_tree *tree, struct pci_dev *provider,
	    const char *client)
{
	return pci_p2pdma_distance(provider, &pci_kunit_dev(tree, client)->dev,
				   false);
}

/* The verdict that is given to whoever maps pages */
enum pci_p2pdma_map_type p2p_ask_type(struct pci_kunit_tree *tree,
				      struct pci_dev *provider,
				      const char *client)
{
	return pci_p2pdma_route_type(rcu_access_pointer(provider->p2pdma),
				     &pci_kunit_dev(tree, client)->dev);
}

/* How a client must map, for each reason */
static enum pci_p2pdma_map_type type_for(enum pci_p2pdma_reason reason)
{
	if (reason <= PCI_P2PDMA_COMMON_SWITCH)
		return PCI_P2PDMA_MAP_BUS_ADDR;

	return reason <= PCI_P2PDMA_ADMIN_SAYS ?
		PCI_P2PDMA_MAP_THRU_HOST_BRIDGE : PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

/* Compare a verdict, and the answer that rests on it */
void p2p_expect(struct kunit *test, struct pci_kunit_tree *tree,
		const char *provider, const char *client,
		enum pci_p2pdma_reason reason)
{
	struct pci_dev *p = pci_kunit_dev(tree, provider);
	struct device *c = &pci_kunit_dev(tree, client)->dev;
	struct pci_p2pdma_route got;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_route(p, c, &got), 0);
	KUNIT_EXPECT_STREQ_MSG(test, pci_p2pdma_reason_name(got.reason),
			       pci_p2pdma_reason_name(reason), "%s to %s",
			       client, provider);
	KUNIT_EXPECT_EQ(test, got.type, type_for(reason));
	KUNIT_EXPECT_EQ(test, got.override, reason == PCI_P2PDMA_ADMIN_SAYS);

	/* A case that wants an override used asks for it itself */
	if (!got.override)
		KUNIT_EXPECT_EQ_MSG(test, pci_p2pdma_distance(p, c, false),
				    got.type == PCI_P2PDMA_MAP_NOT_SUPPORTED ?
				    -1 : (int)got.distance, "%s to %s", client,
				    provider);
}

/* The ports that a verdict names */
void p2p_expect_ports(struct kunit *test, struct pci_kunit_tree *tree,
		      const char *provider, const char *client,
		      const char *request, const char *completion,
		      const char *up)
{
	const char * const want[] = { request, completion, up };
	struct pci_p2pdma_route r;
	int i;

	pci_p2pdma_route(pci_kunit_dev(tree, provider),
			 &pci_kunit_dev(tree, client)->dev, &r);
	for (i = 0; i < 3; i++) {
		struct pci_dev *got = i == 0 ? r.request_port :
				      i == 1 ? r.completion_port : r.up_port;

		KUNIT_EXPECT_PTR_EQ_MSG(test, got, want[i] ?
					pci_kunit_dev(tree, want[i]) : NULL,
					"port %d is not %s", i, want[i]);
	}
}

/* Files ------------------------------------------------------------------- */

static void unmount(void *mnt)
{
	kern_unmount(mnt);
}

struct vfsmount *p2p_mount(struct kunit *test, const char *name)
{
	struct file_system_type *type = get_fs_type(name);
	struct vfsmount *mnt;

	KUNIT_ASSERT_NOT_NULL_MSG(test, type, "%s", name);
	mnt = kern_mount(type);
	module_put(type->owner);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(mnt), "%s: %pe", name, mnt);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmount, mnt), 0);
	return mnt;
}

/* Files are closed by a worker in kernel threads: wait for it */
void p2p_close(void *file)
{
	fput(file);
	flush_delayed_fput();
}

struct file *p2p_open(struct kunit *test, struct vfsmount *mnt,
		      const char *path, int flags)
{
	struct file *file = file_open_root_mnt(mnt, path, flags, 0);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", path, file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, p2p_close, file),
			0);
	return file;
}

ssize_t p2p_read(struct kunit *test, struct vfsmount *mnt, const char *path,
		 char *buf, size_t size)
{
	struct file *file = p2p_open(test, mnt, path, O_RDONLY);
	loff_t pos = 0;
	ssize_t len = kernel_read(file, buf, size - 1, &pos);

	kunit_release_action(test, p2p_close, file);
	buf[max(len, 0)] = '\0';
	return len;
}

/* 0 or the error that the writer gets */
int p2p_write(struct kunit *test, struct vfsmount *mnt, const char *path,
	      const char *text)
{
	struct file *file = p2p_open(test, mnt, path, O_WRONLY);
	ssize_t len, size = strlen(text);
	loff_t pos = 0;

	len = kernel_write(file, text, size, &pos);
	kunit_release_action(test, p2p_close, file);
	return len == size ? 0 : len;
}

/* Memory of a process, for what takes addresses of user space */
char __user *p2p_user_memory(struct kunit *test, size_t size)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, size,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	return (char __user *)addr;
}

/* The kernel log ---------------------------------------------------------- */

void p2p_log_mark(struct kmsg_dump_iter *iter)
{
	kmsg_dump_rewind(iter);
	while (kmsg_dump_get_line(iter, false, NULL, 0, NULL))
		;
}

/* Number of lines since the mark that contain all of @a, @b and @c */
unsigned int p2p_log_count(struct kmsg_dump_iter *iter, const char *a,
			   const char *b, const char *c)
{
	char *buf __free(kfree) = kmalloc(LOG_LINE, GFP_KERNEL);
	unsigned int n = 0;
	size_t len;

	while (buf &&
	       kmsg_dump_get_line(iter, false, buf, LOG_LINE - 1, &len)) {
		buf[len] = '\0';
		n += strstr(buf, a) && strstr(buf, b) && strstr(buf, c);
	}
	return n;
}

static void loglevel_back(void *level)
{
	console_loglevel = *(int *)level;
}

/*
 * Nothing less serious than @level goes to the console until the test ends, or
 * p2p_loud() is called.  It is in the log all the same, and a console takes most
 * of the time of whoever says the same ten thousand times.
 */
void p2p_quiet(struct kunit *test, int level)
{
	static int before;

	before = console_loglevel;
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, loglevel_back, &before), 0);
	console_loglevel = level + 1;
}

/* The opposite, before something is said that must be seen */
void p2p_loud(void)
{
	console_loglevel = max(console_loglevel, CONSOLE_LOGLEVEL_DEFAULT);
}

/* Grace periods ----------------------------------------------------------- */

static void rcu_as_ever(void *test)
{
	p2p_write(test, ((struct kunit *)test)->priv, "kernel/rcu_expedited",
		  "0");
}

/* A provider ends with several grace periods: a thousand ends take a while */
void p2p_hurry_rcu(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, p2p_write(test, test->priv,
					"kernel/rcu_expedited", "1"), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, rcu_as_ever, test),
			0);
}

/* KUnit gives a case five minutes, however slow the machine is */
#define STORM_TIME	(180 * HZ)

/*
 * Whether a storm, begun at a time in jiffies, goes on.  It has all its cycles, or
 * as many as there is time for, but too few are none.
 */
bool p2p_one_more(unsigned int done, unsigned int cycles, unsigned long begun)
{
	return done < cycles && (done < P2P_FEWEST_CYCLES ||
				 time_before(jiffies, begun + STORM_TIME));
}

/* What the administrator allows ------------------------------------------- */

/* 0 or the error that the writer gets */
int p2p_allow(struct kunit *test, const char *text)
{
	return p2p_write(test, test->priv, HOST_BRIDGES, text);
}

/* Whose memory is zeroed; 0 or the error that the writer gets */
int p2p_zero(struct kunit *test, const char *text)
{
	return p2p_write(test, test->priv, ZERO, text);
}

/* Device nodes ------------------------------------------------------------ */

/* Make node @name in @mnt for a number */
void p2p_mknod(struct kunit *test, struct vfsmount *mnt, const char *name,
	       dev_t dev)
{
	struct inode *dir = d_inode(mnt->mnt_root);
	struct dentry *dentry;
	int error;

	inode_lock(dir);
	dentry = lookup_one_len(name, mnt->mnt_root, strlen(name));
	error = PTR_ERR_OR_ZERO(dentry);
	if (!error) {
		error = vfs_mknod(&nop_mnt_idmap, dir, dentry, S_IFCHR | 0666,
				  dev);
		dput(dentry);
	}
	inode_unlock(dir);
	KUNIT_ASSERT_EQ(test, error, 0);
}

/* The number that a file "dev" in sysfs tells */
dev_t p2p_dev(struct kunit *test, const char *path)
{
	unsigned int major, minor;
	char dev[32];
	int n;

	p2p_read(test, test->priv, path, dev, sizeof(dev));
	n = sscanf(dev, "%u:%u", &major, &minor);
	KUNIT_ASSERT_EQ(test, n, 2);
	return MKDEV(major, minor);
}

/* /dev/pci-p2pdma, by a node with its number */
struct file *p2p_open_query(struct kunit *test)
{
	struct vfsmount *mnt = p2p_mount(test, "ramfs");

	p2p_mknod(test, mnt, "query", p2p_dev(test, "class/misc/pci-p2pdma/dev"));
	return p2p_open(test, mnt, "query", O_RDONLY);
}

/* /dev/p2pmem/ADDRESS of a provider, by a node with its number */
struct file *p2p_open_memory(struct kunit *test, struct pci_dev *provider)
{
	struct vfsmount *mnt = p2p_mount(test, "ramfs");
	char path[64];

	snprintf(path, sizeof(path), "class/pci_p2pmem/%s/dev",
		 pci_name(provider));
	p2p_mknod(test, mnt, "memory", p2p_dev(test, path));
	return p2p_open(test, mnt, "memory", O_RDWR);
}

/* A question as a program puts it; the answer replaces it */
long p2p_query(struct kunit *test, struct file *file, char __user *user,
	       struct pci_p2pdma_query *q)
{
	long ret;

	KUNIT_ASSERT_EQ(test, copy_to_user(user, q, sizeof(*q)), 0);
	ret = vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY, (unsigned long)user);
	KUNIT_ASSERT_EQ(test, copy_from_user(q, user, sizeof(*q)), 0);
	return ret;
}

struct pci_p2pdma_function p2p_function(const struct pci_dev *pdev)
{
	struct pci_p2pdma_function f = {};

	if (pdev) {
		f.domain = pci_domain_nr(pdev->bus);
		f.bus = pdev->bus->number;
		f.devfn = pdev->devfn;
	}
	return f;
}

struct pci_p2pdma_query p2p_question(struct pci_kunit_tree *tree,
				     const char *provider, const char *client)
{
	return (struct pci_p2pdma_query) {
		.size = sizeof(struct pci_p2pdma_query),
		.provider = p2p_function(pci_kunit_dev(tree, provider)),
		.client = p2p_function(pci_kunit_dev(tree, client)),
		.type = U32_MAX,
		.reason = U32_MAX,
	};
}

void p2p_set_ctrl(struct pci_kunit_tree *tree, const char *name, u16 ctrl)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);

	pci_write_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, ctrl);
}

void p2p_set_vector(struct pci_kunit_tree *tree, const char *name, u32 bits)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);

	pci_write_config_dword(pdev, pdev->acs_cap + PCI_ACS_EGRESS_CTL_V,
			       bits);
}

static const struct pci_kunit_node functions[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "f0", "rp", PCI_KUNIT_ENDPOINT, .devfn = 0, .acs = ACS_NONE_ON },
	{ "f2", "rp", PCI_KUNIT_ENDPOINT, .devfn = 2, .acs = ACS_NONE_ON,
	  MEMORY },
	/* With ARI, the device number is a part of the function's */
	{ "f8", "rp", PCI_KUNIT_ENDPOINT, .devfn = 8, .acs = ACS_NONE_ON },
};

/* A device whose functions control what they send to one another */
struct pci_kunit_tree *p2p_functions(struct kunit *test)
{
	struct pci_kunit_tree *tree;

	/* The fixture has no ARI to be scanned by */
	pci_add_flags(PCI_SCAN_ALL_PCIE_DEVS);
	tree = pci_kunit_try_create(test, functions, ARRAY_SIZE(functions));
	pci_clear_flags(PCI_SCAN_ALL_PCIE_DEVS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));
	return tree;
}

/* Add an ARI capability to a function that has ACS and no more */
void p2p_add_ari(struct pci_kunit_tree *tree, const char *name, u16 ctrl)
{
	u32 header = pci_kunit_get(tree, name, PCI_KUNIT_POS_ACS, 4);

	pci_kunit_set(tree, name, PCI_KUNIT_POS_ACS, 4,
		      (header & 0xfffff) | POS_ARI << 20);
	pci_kunit_set(tree, name, POS_ARI, 4, 1 << 16 | PCI_EXT_CAP_ID_ARI);
	pci_kunit_set(tree, name, POS_ARI + PCI_ARI_CAP, 4, (u32)ctrl << 16);
}

/* What the administrator had allowed when the running case began */
static char allowed_before[SZ_1K];

/* And who was to get zeros */
static char zero_before[16];

/* A case that pretends otherwise must not reach the next one */
int p2p_case_init(struct kunit *test)
{
	pci_kunit_pretend_cpu(X86_VENDOR_INTEL, 6);
	pci_kunit_pretend_guest(true);
	test->priv = p2p_mount(test, "sysfs");
	p2p_read(test, test->priv, HOST_BRIDGES, allowed_before,
		 sizeof(allowed_before));
	p2p_read(test, test->priv, ZERO, zero_before, sizeof(zero_before));

	/* Where nothing answers, writing takes long and shows nothing */
	return p2p_allow(test, "none") ?: p2p_zero(test, "never");
}

void p2p_case_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, p2p_allow(test, allowed_before), 0);
	KUNIT_EXPECT_EQ(test, p2p_zero(test, zero_before), 0);
}

/* A device that the tree does not know, below @parent or nothing */
struct device *p2p_other_device(struct kunit *test, struct device *parent)
{
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->parent = parent;
	dev->init_name = "p2pdma_test";
	return dev;
}
