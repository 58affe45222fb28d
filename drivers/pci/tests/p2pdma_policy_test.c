// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what the verdicts of peer-to-peer DMA rest on beside access
 * control, when they are made anew, and how they are asked for (p2pdma_host.c,
 * p2pdma_route.c, p2pdma_verdict.c, p2pdma_query.c):
 *
 *  - the table of root complexes, the hypervisor's word, the administrator's;
 *  - the ways that redirected and translated requests take;
 *  - every path by which access control can be changed, down to the files that
 *    user space has: the next answer must be another one;
 *  - /dev/pci-p2pdma.
 *
 * The tree "fabric" is used by most.  Its host bridge is on no list, its ports
 * implement all of Access Control Services with nothing switched on:
 *
 *   host ─┬─ 01.0 rp0 ── up0 ─┬─ 00.0 dn0 (port 1) ── mem
 *         │                   ├─ 01.0 dn1 (port 2) ── nic, nic1
 *         │                   └─ 02.0 dn2 (port 3) ── up1 ─┬─ dn3 (1) ── gpu
 *         │                                                └─ dn4 (2) ── ssd
 *         └─ 02.0 rp1 ── ep
 *
 * The files of sysfs and procfs are reached through mounts that nobody else
 * sees, /dev/pci-p2pdma through a node with its number in a ramfs.
 *
 * Cases whose comment begins with "Stock" are about a fault of the code that
 * this one replaces (Linux 6.12), and say what that did.
 *
 * The CPU that runs this may be of a family that forwards everything.  The
 * suite pretends that it is not.  It gives back the CPU's name, and what the
 * administrator had allowed.  A taint stays: the use of an override must leave
 * one.  KUnit does not notice a WARN or a lockdep report, so the last case
 * looks for them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/debug_locks.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kmsg_dump.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/pci-ats.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/uaccess.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "../pci_kunit.h"

#define ACS_ALL		(PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | \
			 PCI_ACS_UF | PCI_ACS_EC | PCI_ACS_DT)
#define ACS_NONE_ON	PCI_KUNIT_ACS(ACS_ALL, 0)
#define POS_CTRL	(PCI_KUNIT_POS_ACS + PCI_ACS_CTRL)
#define POS_VECTOR	(PCI_KUNIT_POS_ACS + PCI_ACS_EGRESS_CTL_V)

#define INTEL		PCI_VENDOR_ID_INTEL
#define UNLISTED	0x29c0
#define LISTED		0x2030
#define LISTED_SAME	0x3c00
#define MEMORY		.bar = { [4] = { .size = SZ_4M } }

static const struct pci_kunit_node fabric[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = INTEL,
	  .device = UNLISTED },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .acs = ACS_NONE_ON },
	{ "up0", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT, MEMORY },
	{ "dn1", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0),
	  .acs = ACS_NONE_ON, .ats = true },
	{ "nic1", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1),
	  .acs = ACS_NONE_ON },
	{ "dn2", "up0", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(2, 0),
	  .port = 3, .acs = ACS_NONE_ON },
	{ "up1", "dn2", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn3", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1, .acs = ACS_NONE_ON },
	{ "gpu", "dn3", PCI_KUNIT_ENDPOINT },
	{ "dn4", "up1", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 2, .acs = ACS_NONE_ON },
	{ "ssd", "dn4", PCI_KUNIT_ENDPOINT, MEMORY },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ep", "rp1", PCI_KUNIT_ENDPOINT, MEMORY },
};

/* A declaration to be changed */
static struct pci_kunit_node *copy_nodes(struct kunit *test,
					 const struct pci_kunit_node *nodes,
					 size_t size)
{
	struct pci_kunit_node *copy = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	return memcpy(copy, nodes, size);
}

/* The fabric below another host bridge */
static struct pci_kunit_tree *fabric_of_host(struct kunit *test, u16 device,
					     u64 bus_offset)
{
	struct pci_kunit_node *nodes = copy_nodes(test, fabric, sizeof(fabric));

	nodes[0].device = device;
	nodes[0].bus_offset = bus_offset;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(fabric));
}

static void cpu_pretend(u8 vendor, u8 family)
{
	cpu_data(0).x86_vendor = vendor;
	cpu_data(0).x86 = family;
}

static struct pci_dev *make_provider(struct kunit *test,
				     struct pci_kunit_tree *tree,
				     const char *name)
{
	struct pci_dev *pdev = pci_kunit_bind(tree, name);

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pdev, 4, 0, 0), 0);
	return pdev;
}

static int ask(struct pci_kunit_tree *tree, struct pci_dev *provider,
	       const char *client)
{
	return pci_p2pdma_distance(provider, &pci_kunit_dev(tree, client)->dev,
				   false);
}

/* The verdict that is given to whoever maps pages */
static enum pci_p2pdma_map_type ask_type(struct pci_kunit_tree *tree,
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
static void expect(struct kunit *test, struct pci_kunit_tree *tree,
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
static void expect_ports(struct kunit *test, struct pci_kunit_tree *tree,
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

/* Files --------------------------------------------------------------------- */

static void unmount(void *mnt)
{
	kern_unmount(mnt);
}

static struct vfsmount *mount_fs(struct kunit *test, const char *name)
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
static void close_file(void *file)
{
	fput(file);
	flush_delayed_fput();
}

static struct file *open_file(struct kunit *test, struct vfsmount *mnt,
			      const char *path, int flags)
{
	struct file *file = file_open_root_mnt(mnt, path, flags, 0);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %pe", path, file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_file, file),
			0);
	return file;
}

static ssize_t read_file(struct kunit *test, struct vfsmount *mnt,
			 const char *path, char *buf, size_t size)
{
	struct file *file = open_file(test, mnt, path, O_RDONLY);
	loff_t pos = 0;
	ssize_t len = kernel_read(file, buf, size - 1, &pos);

	kunit_release_action(test, close_file, file);
	buf[max(len, 0)] = '\0';
	return len;
}

/* Memory of a process, for what takes addresses of user space */
static char __user *user_memory(struct kunit *test, size_t size)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, size,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	return (char __user *)addr;
}

/* The kernel log ------------------------------------------------------------ */

#define LOG_LINE	1024

static void log_mark(struct kmsg_dump_iter *iter)
{
	kmsg_dump_rewind(iter);
	while (kmsg_dump_get_line(iter, false, NULL, 0, NULL))
		;
}

/* Number of lines since the mark that contain all of @a, @b and @c */
static unsigned int log_count(struct kmsg_dump_iter *iter, const char *a,
			      const char *b, const char *c)
{
	char *buf __free(kfree) = kmalloc(LOG_LINE, GFP_KERNEL);
	unsigned int n = 0;
	size_t len;

	while (buf && kmsg_dump_get_line(iter, false, buf, LOG_LINE - 1, &len)) {
		buf[len] = '\0';
		n += strstr(buf, a) && strstr(buf, b) && strstr(buf, c);
	}
	return n;
}

/* What the administrator allows --------------------------------------------- */

#define HOST_BRIDGES	"module/pci_p2pdma/parameters/host_bridges"

/* 0 or the error that the writer gets */
static int allow(struct kunit *test, const char *text)
{
	struct file *file = open_file(test, test->priv, HOST_BRIDGES, O_WRONLY);
	ssize_t len, size = strlen(text);
	loff_t pos = 0;

	len = kernel_write(file, text, size, &pos);
	kunit_release_action(test, close_file, file);
	return len == size ? 0 : len;
}

static void expect_allowed(struct kunit *test, const char *want)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	read_file(test, test->priv, HOST_BRIDGES, buf, PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, strim(buf), want);
}

static void parses_allowed_hosts(struct kunit *test)
{
	static const char * const good[][2] = {
		{ "8086:29c0", "8086:29c0" }, { "8086:29C0\n", "8086:29c0" },
		{ "8086:*", "8086:*" }, { "8086:*@same\n", "8086:*@same" },
		{ "8086:29c0@same", "8086:29c0@same" },
		{ "8086:29c0,1022:*@same,10de:2f95\n",
		  "8086:29c0,1022:*@same,10de:2f95" },
		{ "none", "none" }, { "none\n", "none" }, { "\n", "none" },
	};
	/* With the position of what is wrong, or -1 for any */
	static const struct {
		const char *text;
		int at;
	} bad[] = {
		{ "8086" }, { "8086:" }, { ":29c0" }, { "*:29c0" }, { "*" },
		{ "8086:29c" }, { "8086:29c01" }, { "808:29c0" },
		{ "80860:29c0" }, { "0x8086:29c0" }, { "8086:29g0" },
		{ "8086-29c0" }, { "8086:2*" }, { "8086:**" },
		{ " 8086:29c0" }, { "8086:29c0 " }, { "8086:29c0@" },
		{ "8086:29c0@sam" }, { "8086:29c0@SAME" },
		{ "8086:29c0@samee" }, { "8086:29c0@same@same" }, { "@same" },
		{ "8086:29c0;1022:1480" }, { "NONE" }, { "nonee" },
		{ ",8086:29c0" }, { "8086:29c0,none", 10 },
		{ "8086:29c0,,1022:1480", 10 }, { "8086:29c0, 1022:1480", 10 },
		{ "8086:29c0@same,8086", 15 }, { "8086:29c0,1022:1480,x\n", 20 },
		/* More lines than one */
		{ "8086:29c0\n1022:1480", -1 },
	};
	struct kmsg_dump_iter iter;
	char position[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		KUNIT_EXPECT_EQ_MSG(test, allow(test, good[i][0]), 0, "%s",
				    good[i][0]);
		expect_allowed(test, good[i][1]);
		/* What is shown can be written */
		KUNIT_EXPECT_EQ(test, allow(test, good[i][1]), 0);
		expect_allowed(test, good[i][1]);
	}

	KUNIT_ASSERT_EQ(test, allow(test, "10de:2f95@same,1ae0:*"), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		log_mark(&iter);
		KUNIT_EXPECT_EQ_MSG(test, allow(test, bad[i].text), -EINVAL,
				    "%s", bad[i].text);
		expect_allowed(test, "10de:2f95@same,1ae0:*");
		snprintf(position, sizeof(position),
			 bad[i].at < 0 ? "position" : "position %d ", bad[i].at);
		KUNIT_EXPECT_EQ_MSG(test, log_count(&iter, "host_bridges",
						    position, "nothing"),
				    1, "%s", bad[i].text);
	}
}

static void limits_allowed_hosts(struct kunit *test)
{
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	int i, len = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	for (i = 0; i < 32; i++)
		len += sprintf(text + len, "%s8086:%04x@same", i ? "," : "", i);
	KUNIT_EXPECT_EQ(test, allow(test, text), 0);
	expect_allowed(test, text);

	KUNIT_EXPECT_EQ(test, allow(test, "8086:29c0"), 0);
	strscpy(text + len, ",8086:0020", PAGE_SIZE - len);
	KUNIT_EXPECT_EQ(test, allow(test, text), -E2BIG);
	expect_allowed(test, "8086:29c0");
}

/* /dev/pci-p2pdma, by a node with its number */
static struct file *open_query(struct kunit *test)
{
	struct vfsmount *mnt = mount_fs(test, "ramfs");
	struct inode *dir = d_inode(mnt->mnt_root);
	unsigned int major, minor;
	struct dentry *dentry;
	int error, n;
	char dev[32];

	read_file(test, test->priv, "class/misc/pci-p2pdma/dev", dev,
		  sizeof(dev));
	n = sscanf(dev, "%u:%u", &major, &minor);
	KUNIT_ASSERT_EQ(test, n, 2);

	inode_lock(dir);
	dentry = lookup_one_len("query", mnt->mnt_root, strlen("query"));
	error = PTR_ERR_OR_ZERO(dentry);
	if (!error) {
		error = vfs_mknod(&nop_mnt_idmap, dir, dentry, S_IFCHR | 0444,
				  MKDEV(major, minor));
		dput(dentry);
	}
	inode_unlock(dir);
	KUNIT_ASSERT_EQ(test, error, 0);
	return open_file(test, mnt, "query", O_RDONLY);
}

/* A question as a program puts it; the answer replaces it */
static long query(struct kunit *test, struct file *file, char __user *user,
		  struct pci_p2pdma_query *q)
{
	long ret;

	KUNIT_ASSERT_EQ(test, copy_to_user(user, q, sizeof(*q)), 0);
	ret = vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY, (unsigned long)user);
	KUNIT_ASSERT_EQ(test, copy_from_user(q, user, sizeof(*q)), 0);
	return ret;
}

static struct pci_p2pdma_function function_of(const struct pci_dev *pdev)
{
	struct pci_p2pdma_function f = {};

	if (pdev) {
		f.domain = pci_domain_nr(pdev->bus);
		f.bus = pdev->bus->number;
		f.devfn = pdev->devfn;
	}
	return f;
}

static struct pci_p2pdma_query question(struct pci_kunit_tree *tree,
					const char *provider,
					const char *client)
{
	return (struct pci_p2pdma_query) {
		.size = sizeof(struct pci_p2pdma_query),
		.provider = function_of(pci_kunit_dev(tree, provider)),
		.client = function_of(pci_kunit_dev(tree, client)),
		.type = U32_MAX,
		.reason = U32_MAX,
	};
}

/* First of those that use an override: nothing else may have set the taint */
static void override_is_used_or_not(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *ep = make_provider(test, tree, "ep");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	char __user *user = user_memory(test, PAGE_SIZE);
	bool tainted = test_taint(TAINT_CPU_OUT_OF_SPEC);
	struct file *file = open_query(test);
	struct pci_p2pdma_query q;
	struct kmsg_dump_iter iter;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, ask(tree, ep, "nic"), -1);
	KUNIT_EXPECT_EQ(test, ask_type(tree, ep, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);

	/* Who merely asks has not used it */
	log_mark(&iter);
	KUNIT_ASSERT_EQ(test, allow(test, "8086:29c0"), 0);
	expect(test, tree, "ep", "nic", PCI_P2PDMA_ADMIN_SAYS);
	q = question(tree, "ep", "nic");
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_OVERRIDE |
			PCI_P2PDMA_VERDICT_PROVIDES);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_HOST);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "", "host_bridges", ""), 0);
	KUNIT_EXPECT_EQ(test, test_taint(TAINT_CPU_OUT_OF_SPEC), tainted);

	/* A route that does not rest on it is no use either */
	KUNIT_EXPECT_EQ(test, ask(tree, ep, "ep"), 0);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "", "host_bridges", ""), 0);
	KUNIT_EXPECT_EQ(test, test_taint(TAINT_CPU_OUT_OF_SPEC), tainted);

	/* The next answer is another one; the log says so once for each pair */
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, ask(tree, ep, "nic"), 6);
		KUNIT_EXPECT_EQ(test, ask_type(tree, ep, "nic"),
				PCI_P2PDMA_MAP_THRU_HOST_BRIDGE);
		pci_p2pdma_routes_changed();
	}
	KUNIT_EXPECT_EQ(test, log_count(&iter, "host_bridges", pci_name(nic),
					pci_name(ep)), 1);
	KUNIT_EXPECT_TRUE(test, test_taint(TAINT_CPU_OUT_OF_SPEC));
	KUNIT_EXPECT_EQ(test, ask(tree, ep, "nic1"), 6);
	KUNIT_EXPECT_EQ(test, log_count(&iter, "", "host_bridges", ""), 1);

	/* And back */
	KUNIT_ASSERT_EQ(test, allow(test, "none"), 0);
	KUNIT_EXPECT_EQ(test, ask(tree, ep, "nic"), -1);
	KUNIT_EXPECT_EQ(test, ask_type(tree, ep, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	expect(test, tree, "ep", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
}

/* Where nothing is registered, there is nowhere to keep that it was said */
static void override_without_memory_is_quiet(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *ep = pci_kunit_dev(tree, "ep");
	struct kmsg_dump_iter iter;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, allow(test, "8086:29c0"), 0);
	log_mark(&iter);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, ask(tree, ep, "nic"), 6);
	KUNIT_EXPECT_LE(test, log_count(&iter, "host_bridges", "", ""), 1);
}

/* Nothing at 00.0: what comes first on a root bus names the root complex */
static const struct pci_kunit_node hosts[] = {
	{ "host0", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "first0", "host0", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(3, 0) },
	{ "rp0", "host0", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(4, 0) },
	{ "a", "rp0", PCI_KUNIT_ENDPOINT },
	{ "rp1", "host0", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(5, 0) },
	{ "b", "rp1", PCI_KUNIT_ENDPOINT },
	{ "host1", NULL, PCI_KUNIT_HOST_BRIDGE, .busnr = 0x80 },
	{ "first1", "host1", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(1, 0) },
	{ "rp2", "host1", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "c", "rp2", PCI_KUNIT_ENDPOINT },
};

static struct pci_kunit_tree *two_hosts(struct kunit *test, u16 vendor_a,
					u16 device_a, u16 vendor_b,
					u16 device_b)
{
	struct pci_kunit_node *nodes = copy_nodes(test, hosts, sizeof(hosts));

	nodes[1].vendor = vendor_a;
	nodes[1].device = device_a;
	nodes[7].vendor = vendor_b;
	nodes[7].device = device_b;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
}

static void override_and_two_hosts(struct kunit *test)
{
	static const struct {
		const char *allowed;
		enum pci_p2pdma_reason same, two;
	} words[] = {
		{ "8086:29c0", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_NOT_LISTED },
		{ "1b36:0008", PCI_P2PDMA_HOST_NOT_LISTED,
		  PCI_P2PDMA_HOST_NOT_LISTED },
		{ "8086:29c0,1b36:0008", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_ADMIN_SAYS },
		{ "8086:*,1b36:*", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_ADMIN_SAYS },
		{ "8086:29c0@same,1b36:0008", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_BRIDGES_APART },
		{ "8086:29c0,1b36:*@same", PCI_P2PDMA_ADMIN_SAYS,
		  PCI_P2PDMA_HOST_BRIDGES_APART },
		{ "8086:29c1,1b37:*", PCI_P2PDMA_HOST_NOT_LISTED,
		  PCI_P2PDMA_HOST_NOT_LISTED },
	};
	struct pci_kunit_tree *tree = two_hosts(test, INTEL, UNLISTED,
						PCI_VENDOR_ID_REDHAT, 8);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		KUNIT_ASSERT_EQ(test, allow(test, words[i].allowed), 0);
		expect(test, tree, "a", "b", words[i].same);
		expect(test, tree, "a", "c", words[i].two);
		expect(test, tree, "c", "a", words[i].two);
	}

	/* What is known without the administrator goes first */
	cpu_pretend(X86_VENDOR_AMD, 0x19);
	KUNIT_ASSERT_EQ(test, allow(test, "8086:29c0"), 0);
	expect(test, tree, "a", "b", PCI_P2PDMA_CPU_FORWARDS);
	cpu_pretend(X86_VENDOR_INTEL, 6);
	pci_kunit_destroy(tree);
	tree = two_hosts(test, INTEL, LISTED, INTEL, LISTED);
	KUNIT_ASSERT_EQ(test, allow(test, "8086:2030"), 0);
	expect(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS);
	expect(test, tree, "a", "c", PCI_P2PDMA_HOST_FORWARDS);
	pci_kunit_destroy(tree);

	/* Where the list knows of one host bridge, two are an override */
	tree = two_hosts(test, INTEL, LISTED_SAME, INTEL, LISTED_SAME);
	KUNIT_ASSERT_EQ(test, allow(test, "8086:3c00"), 0);
	expect(test, tree, "a", "b", PCI_P2PDMA_HOST_FORWARDS);
	expect(test, tree, "a", "c", PCI_P2PDMA_ADMIN_SAYS);
	KUNIT_ASSERT_EQ(test, allow(test, "8086:3c00@same"), 0);
	expect(test, tree, "a", "c", PCI_P2PDMA_HOST_BRIDGES_APART);
}

/* What is known of root complexes ------------------------------------------- */

#define NVIDIA		PCI_VENDOR_ID_NVIDIA
#define ZHAOXIN		PCI_VENDOR_ID_ZHAOXIN
#define GOOGLE		0x1ae0

static const struct host_row {
	u16 vendor;
	u16 device;
	enum { NOWHERE, SAME_ONLY, ANYWHERE } forwards;
} host_rows[] = {
	{ INTEL, LISTED_SAME, SAME_ONLY }, { INTEL, LISTED, ANYWHERE },
	/* Accelerators: DSA, IAA, QAT */
	{ INTEL, 0x0b25, ANYWHERE }, { INTEL, 0x0cfe, ANYWHERE },
	{ INTEL, 0x4940, ANYWHERE }, { INTEL, 0x4942, ANYWHERE },
	{ INTEL, 0x4944, ANYWHERE }, { INTEL, 0x4941, NOWHERE },
	{ GOOGLE, 0x0001, ANYWHERE }, { GOOGLE, 0xabcd, ANYWHERE },
	{ GOOGLE + 1, 0x0001, NOWHERE }, { NVIDIA, 0x2f94, NOWHERE },
	{ NVIDIA, 0x2f95, ANYWHERE }, { NVIDIA, 0x2f96, ANYWHERE },
	{ NVIDIA, 0x2f97, ANYWHERE }, { NVIDIA, 0x2f98, ANYWHERE },
	{ NVIDIA, 0x2f99, NOWHERE }, { ZHAOXIN, 0x1003, SAME_ONLY },
	{ ZHAOXIN, 0x1004, NOWHERE }, { ZHAOXIN, 0x1005, SAME_ONLY },
	{ ZHAOXIN, 0x1006, SAME_ONLY }, { ZHAOXIN, 0x1007, SAME_ONLY },
	{ ZHAOXIN, 0x1008, ANYWHERE }, { ZHAOXIN, 0x1009, NOWHERE },
};

static void host_row_name(const struct host_row *row, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%04x:%04x", row->vendor,
		 row->device);
}

KUNIT_ARRAY_PARAM(host_row, host_rows, host_row_name);

/* Stock knows neither the wildcard nor the last four families */
static void table_of_hosts(struct kunit *test)
{
	const struct host_row *row = test->param_value;
	struct pci_kunit_tree *tree = two_hosts(test, row->vendor, row->device,
						row->vendor, row->device);
	enum pci_p2pdma_reason same = PCI_P2PDMA_HOST_NOT_LISTED, two = same;

	if (row->forwards != NOWHERE) {
		same = PCI_P2PDMA_HOST_FORWARDS;
		two = row->forwards == ANYWHERE ? same :
						  PCI_P2PDMA_HOST_BRIDGES_APART;
	}
	expect(test, tree, "a", "b", same);
	expect(test, tree, "a", "c", two);
	expect(test, tree, "c", "b", two);
}

/* What the hypervisor says -------------------------------------------------- */

static struct pci_kunit_tree *two_cliques(struct kunit *test,
					  const struct pci_kunit_vndr *a,
					  const struct pci_kunit_vndr *c)
{
	struct pci_kunit_node *nodes = copy_nodes(test, hosts, sizeof(hosts));

	nodes[1].vendor = INTEL;
	nodes[1].device = UNLISTED;
	nodes[7].vendor = INTEL;
	nodes[7].device = UNLISTED;
	nodes[3].vndr = *a;
	nodes[9].vndr = *c;
	return pci_kunit_create(test, nodes, ARRAY_SIZE(hosts));
}

static const struct clique_row {
	const char *name;
	bool vouches;
	struct pci_kunit_vndr a, c;
} clique_rows[] = {
	{ "clique 3", true, PCI_KUNIT_CLIQUE(3), PCI_KUNIT_CLIQUE(3) },
	{ "clique 0", true, PCI_KUNIT_CLIQUE(0), PCI_KUNIT_CLIQUE(0) },
	{ "clique 15", true, PCI_KUNIT_CLIQUE(15), PCI_KUNIT_CLIQUE(15) },
	{ "version and reserved bits do not count", true, PCI_KUNIT_CLIQUE(5),
	  { 5, { 'P', '2', 'P', 5 << 3 | 0x87, 0xff } } },
	{ "cliques 3 and 4", false, PCI_KUNIT_CLIQUE(3), PCI_KUNIT_CLIQUE(4) },
	{ "cliques 0 and 8", false, PCI_KUNIT_CLIQUE(0), PCI_KUNIT_CLIQUE(8) },
	{ "one without", false, PCI_KUNIT_CLIQUE(0), { } },
	{ "the other without", false, { }, PCI_KUNIT_CLIQUE(0) },
	{ "both without", false, { }, { } },
	{ "another signature", false, PCI_KUNIT_CLIQUE(3),
	  { 5, { 'P', '2', 'Q', 3 << 3, 0 } } },
	{ "other signatures on both", false,
	  { 5, { 'X', '2', 'P', 3 << 3, 0 } },
	  { 5, { 'X', '2', 'P', 3 << 3, 0 } } },
	{ "signature in small letters", false, PCI_KUNIT_CLIQUE(3),
	  { 5, { 'p', '2', 'p', 3 << 3, 0 } } },
	{ "capability that is too short", false, PCI_KUNIT_CLIQUE(3),
	  { 4, { 'P', '2', 'P', 3 << 3 } } },
};

static void clique_row_name(const struct clique_row *row, char *desc)
{
	strscpy(desc, row->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(clique_row, clique_rows, clique_row_name);

static void hypervisors_cliques(struct kunit *test)
{
	const struct clique_row *row = test->param_value;
	struct pci_kunit_tree *tree = two_cliques(test, &row->a, &row->c);
	enum pci_p2pdma_reason want = row->vouches ?
		PCI_P2PDMA_HYPERVISOR_SAYS : PCI_P2PDMA_HOST_NOT_LISTED;

	expect(test, tree, "a", "c", want);
	expect(test, tree, "c", "a", want);

	/* The administrator is needed, and used, only where nobody vouches */
	KUNIT_ASSERT_EQ(test, allow(test, "8086:29c0"), 0);
	expect(test, tree, "a", "c",
	       row->vouches ? want : PCI_P2PDMA_ADMIN_SAYS);
}

/* A device that lies must not hold the kernel up */
static void chained_vendor_capabilities(struct kunit *test)
{
	const struct pci_kunit_vndr other = { 5, { 'X', 'Y', 'Z', 3 << 3, 0 } };
	const struct pci_kunit_vndr clique = PCI_KUNIT_CLIQUE(3);
	struct pci_kunit_tree *tree = two_cliques(test, &other, &clique);
	unsigned long reads = pci_kunit_reads(tree, "a");

	/* To itself: twice the limit of the PCI core, squared, at most */
	pci_kunit_set(tree, "a", PCI_KUNIT_POS_VNDR + PCI_CAP_LIST_NEXT, 1,
		      PCI_KUNIT_POS_VNDR);
	expect(test, tree, "a", "c", PCI_P2PDMA_HOST_NOT_LISTED);
	KUNIT_EXPECT_LT(test, pci_kunit_reads(tree, "a") - reads, 20000);

	/* The second of two is found */
	pci_kunit_set(tree, "a", PCI_KUNIT_POS_VNDR + PCI_CAP_LIST_NEXT, 1, 0xc0);
	pci_kunit_set(tree, "a", 0xc0, 4, PCI_CAP_ID_VNDR | 8 << 16 | 'P' << 24);
	pci_kunit_set(tree, "a", 0xc4, 4, '2' | 'P' << 8 | 3 << 19);
	expect(test, tree, "a", "c", PCI_P2PDMA_HYPERVISOR_SAYS);

	/* Ones are no capability */
	pci_kunit_set_access(tree, "c", PCI_KUNIT_ACCESS_ALL_ONES);
	expect(test, tree, "a", "c", PCI_P2PDMA_HOST_NOT_LISTED);
}

/* Ways of requests ---------------------------------------------------------- */

static void set_ctrl(struct pci_kunit_tree *tree, const char *name, u16 ctrl)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);

	pci_write_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, ctrl);
}

static void set_vector(struct pci_kunit_tree *tree, const char *name, u32 bits)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);

	pci_write_config_dword(pdev, pdev->acs_cap + PCI_ACS_EGRESS_CTL_V, bits);
}

/* Requests with translated addresses (PCIe r6.x sec 6.12.3, 10.1) */
static void translated_requests(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");

	make_provider(test, tree, "mem");

	/* The capability alone translates nothing */
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	set_ctrl(tree, "dn1", PCI_ACS_TB);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
	set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);

	/* From here on it does; this alone changes the answer */
	KUNIT_ASSERT_EQ(test, pci_enable_ats(nic, PAGE_SHIFT), 0);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_DIRECT_TRANSLATED);
	expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	expect(test, tree, "mem", "nic1", PCI_P2PDMA_HOST_NOT_LISTED);
	set_ctrl(tree, "dn1", PCI_ACS_RR);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);

	/* Completions have no such way out */
	set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	set_ctrl(tree, "dn0", PCI_ACS_CR);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	expect_ports(test, tree, "mem", "nic", "dn1", "dn0", NULL);
	set_ctrl(tree, "dn0", 0);

	/* Blocked, whatever else is on */
	set_ctrl(tree, "dn1", PCI_ACS_TB);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION);
	expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	expect(test, tree, "mem", "nic1", PCI_P2PDMA_COMMON_SWITCH);
	set_ctrl(tree, "dn1", PCI_ACS_TB | PCI_ACS_DT | PCI_ACS_RR);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_ACS_VIOLATION);
	pci_disable_ats(nic);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	set_ctrl(tree, "dn1", PCI_ACS_TB);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);

	/* Where nothing is redirected, both kinds go the same way */
	set_ctrl(tree, "dn1", PCI_ACS_DT);
	KUNIT_ASSERT_EQ(test, pci_enable_ats(nic, PAGE_SHIFT), 0);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
}

/* The client puts the CPU's address on the link: it must be the bus's, too */
static void translated_requests_and_offset(struct kunit *test)
{
	struct pci_kunit_tree *tree = fabric_of_host(test, UNLISTED, SZ_2G);

	KUNIT_ASSERT_EQ(test, pci_enable_ats(pci_kunit_dev(tree, "nic"),
					     PAGE_SHIFT), 0);
	set_ctrl(tree, "dn1", PCI_ACS_RR | PCI_ACS_DT);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED);
	set_ctrl(tree, "dn1", 0);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH);
}

/* Upstream Forwarding (PCIe r6.x sec 6.12.1.1) */
static void redirected_inside_a_tower(struct kunit *test)
{
	static const enum pci_kunit_access modes[] = {
		PCI_KUNIT_ACCESS_ALL_ONES, PCI_KUNIT_ACCESS_ERROR,
	};
	struct pci_kunit_tree *tree = fabric_of_host(test, LISTED, 0);
	unsigned int i;

	/* dn2 sends up what the inner switch redirects, or does not */
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_COMMON_SWITCH);
	set_ctrl(tree, "dn3", PCI_ACS_RR);
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	expect_ports(test, tree, "ssd", "gpu", "dn3", NULL, "dn2");
	set_ctrl(tree, "dn2", PCI_ACS_UF);
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_HOST_FORWARDS);
	expect_ports(test, tree, "ssd", "gpu", "dn3", NULL, NULL);
	set_ctrl(tree, "dn2", ACS_ALL & ~PCI_ACS_UF);
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);

	/* Completions go the same way */
	set_ctrl(tree, "dn3", 0);
	set_ctrl(tree, "dn4", PCI_ACS_CR);
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	expect_ports(test, tree, "ssd", "gpu", NULL, "dn4", "dn2");
	set_ctrl(tree, "dn2", PCI_ACS_UF);
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_HOST_FORWARDS);

	/* Nothing rests on a port that does not answer */
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pci_kunit_set_access(tree, "dn2", modes[i]);
		expect(test, tree, "ssd", "gpu", PCI_P2PDMA_PORT_UNREADABLE);
		pci_kunit_set_access(tree, "dn2", PCI_KUNIT_ACCESS_NORMAL);
	}

	/* Below the outer switch there are a root port and the root complex */
	set_ctrl(tree, "dn1", PCI_ACS_RR);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);
	set_ctrl(tree, "rp0", ACS_ALL & ~PCI_ACS_UF);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);

	/* What functions of one device redirect arrives at their port */
	set_ctrl(tree, "nic1", PCI_ACS_RR);
	expect(test, tree, "nic", "nic1", PCI_P2PDMA_NOT_SENT_UP);
	expect_ports(test, tree, "nic", "nic1", "nic1", NULL, "dn1");
	set_ctrl(tree, "dn1", PCI_ACS_UF);
	expect(test, tree, "nic", "nic1", PCI_P2PDMA_HOST_FORWARDS);

	/* Ports without ACS */
	set_ctrl(tree, "dn1", PCI_ACS_RR);
	pci_kunit_dev(tree, "dn2")->acs_cap = 0;
	pci_kunit_dev(tree, "rp0")->acs_cap = 0;
	pci_p2pdma_routes_changed();
	expect(test, tree, "ssd", "gpu", PCI_P2PDMA_NOT_SENT_UP);
	expect(test, tree, "mem", "nic", PCI_P2PDMA_HOST_FORWARDS);
}

#define POS_ARI		0x1c0

/* Add an ARI capability to a function that has ACS and no more */
static void add_ari(struct pci_kunit_tree *tree, const char *name, u16 ctrl)
{
	u32 header = pci_kunit_get(tree, name, PCI_KUNIT_POS_ACS, 4);

	pci_kunit_set(tree, name, PCI_KUNIT_POS_ACS, 4,
		      (header & 0xfffff) | POS_ARI << 20);
	pci_kunit_set(tree, name, POS_ARI, 4, 1 << 16 | PCI_EXT_CAP_ID_ARI);
	pci_kunit_set(tree, name, POS_ARI + PCI_ARI_CAP, 4, (u32)ctrl << 16);
}

#define GROUP(_n)	((_n) << 4)

/* Vectors of functions (PCIe r6.x sec 6.13 and 7.7.11.4) */
static void vectors_of_functions(struct kunit *test)
{
	static const struct pci_kunit_node nodes[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = INTEL,
		  .device = UNLISTED },
		{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
		{ "f0", "rp", PCI_KUNIT_ENDPOINT, .devfn = 0,
		  .acs = ACS_NONE_ON },
		{ "f2", "rp", PCI_KUNIT_ENDPOINT, .devfn = 2,
		  .acs = ACS_NONE_ON },
		/* With ARI, the device number is a part of the function's */
		{ "f8", "rp", PCI_KUNIT_ENDPOINT, .devfn = 8,
		  .acs = ACS_NONE_ON },
	};
	struct pci_kunit_tree *tree;

	/* The fixture has no ARI to be scanned by */
	pci_add_flags(PCI_SCAN_ALL_PCIE_DEVS);
	tree = pci_kunit_try_create(test, nodes, ARRAY_SIZE(nodes));
	pci_clear_flags(PCI_SCAN_ALL_PCIE_DEVS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));

	/* By function number */
	set_ctrl(tree, "f0", PCI_ACS_EC);
	set_vector(tree, "f0", BIT(2));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	set_vector(tree, "f0", ~(u32)BIT(2));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);

	/* The same with ARI, in which there are more than eight */
	add_ari(tree, "f0", 0);
	add_ari(tree, "f2", GROUP(5));
	add_ari(tree, "f8", GROUP(6));
	pci_p2pdma_routes_changed();
	set_vector(tree, "f0", BIT(2));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);
	set_vector(tree, "f0", BIT(8));
	expect(test, tree, "f8", "f0", PCI_P2PDMA_ACS_VIOLATION);
	expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	set_vector(tree, "f0", BIT(5) | BIT(6) | BIT(0));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);

	/* By group, where the function that sends says so */
	add_ari(tree, "f0", PCI_ARI_CTRL_ACS | GROUP(1));
	pci_p2pdma_routes_changed();
	set_vector(tree, "f0", BIT(5));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_ACS_VIOLATION);
	expect(test, tree, "f8", "f0", PCI_P2PDMA_SAME_DEVICE);
	set_vector(tree, "f0", ~(u32)BIT(5));
	expect(test, tree, "f2", "f0", PCI_P2PDMA_SAME_DEVICE);
	expect(test, tree, "f8", "f0", PCI_P2PDMA_ACS_VIOLATION);
}

/* Changes that the next answer must know ------------------------------------ */

/* One of the ways by which config space is written */
typedef void (*config_writer)(struct kunit *test, struct pci_dev *pdev,
			      int where, int size, u32 val);

static void write_kernel(struct kunit *test, struct pci_dev *pdev, int where,
			 int size, u32 val)
{
	if (size == 1)
		pci_write_config_byte(pdev, where, val);
	else if (size == 2)
		pci_write_config_word(pdev, where, val);
	else
		pci_write_config_dword(pdev, where, val);
}

static void write_user(struct kunit *test, struct pci_dev *pdev, int where,
		       int size, u32 val)
{
	if (size == 1)
		pci_user_write_config_byte(pdev, where, val);
	else if (size == 2)
		pci_user_write_config_word(pdev, where, val);
	else
		pci_user_write_config_dword(pdev, where, val);
}

/* As setpci does */
static void write_sysfs(struct kunit *test, struct pci_dev *pdev, int where,
			int size, u32 val)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = kasprintf(GFP_KERNEL, "%s/config", dir);
	struct file *file = open_file(test, test->priv, path, O_WRONLY);
	loff_t pos = where;

	KUNIT_EXPECT_EQ(test, kernel_write(file, &val, size, &pos), size);
	kunit_release_action(test, close_file, file);
}

static void write_procfs(struct kunit *test, struct pci_dev *pdev, int where,
			 int size, u32 val)
{
	char __user *user = user_memory(test, PAGE_SIZE);
	loff_t pos = where;
	struct file *file;
	char path[64];

	snprintf(path, sizeof(path), "bus/pci/%04x:%02x/%02x.%x",
		 pci_domain_nr(pdev->bus), pdev->bus->number,
		 PCI_SLOT(pdev->devfn), PCI_FUNC(pdev->devfn));
	file = open_file(test, mount_fs(test, "proc"), path, O_WRONLY);
	KUNIT_ASSERT_EQ(test, copy_to_user(user, &val, size), 0);
	KUNIT_EXPECT_EQ(test, vfs_write(file, user, size, &pos), size);
	kunit_release_action(test, close_file, file);
}

static const struct way {
	const char *name;
	config_writer write;
} ways[] = {
	{ "pci_write_config_*()", write_kernel },
	{ "pci_user_write_config_*()", write_user },
	{ "config in sysfs", write_sysfs },
	{ "/proc/bus/pci", write_procfs },
};

KUNIT_ARRAY_PARAM_DESC(way, ways, name);

/* The control register of dn1, which is the upper half of a DWORD */
static void write_ctrl(struct kunit *test, struct pci_kunit_tree *tree,
		       config_writer write, int size, u16 ctrl)
{
	write(test, pci_kunit_dev(tree, "dn1"),
	      size == 4 ? POS_CTRL - 2 : POS_CTRL, size,
	      size == 4 ? (u32)ctrl << 16 : ctrl);
	KUNIT_ASSERT_EQ(test, pci_kunit_acs(tree, "dn1"), ctrl);
}

/* The answer to both who plans and who maps, and that it is kept */
static void expect_answer(struct kunit *test, struct pci_kunit_tree *tree,
			  struct pci_dev *mem, int distance)
{
	unsigned long reads;

	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), distance);
	reads = pci_kunit_reads(tree, NULL);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), distance);
	KUNIT_EXPECT_EQ(test, ask_type(tree, mem, "nic"),
			distance < 0 ? PCI_P2PDMA_MAP_NOT_SUPPORTED :
				       PCI_P2PDMA_MAP_BUS_ADDR);
	KUNIT_EXPECT_EQ_MSG(test, pci_kunit_reads(tree, NULL), reads,
			    "a warm answer read registers");
}

/*
 * Stock keeps the first answer for ever: after setpci, data goes where the
 * fabric does not take it, or on a detour, until the provider is bound anew.
 */
static void changed_control_is_noticed(struct kunit *test)
{
	config_writer write = ((const struct way *)test->param_value)->write;
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	struct pci_dev *dn1 = pci_kunit_dev(tree, "dn1");
	int size;

	for (size = 1; size <= 4; size *= 2) {
		expect_answer(test, tree, mem, 4);
		write_ctrl(test, tree, write, size, PCI_ACS_RR);
		expect_answer(test, tree, mem, -1);
		write_ctrl(test, tree, write, size, 0);
		expect_answer(test, tree, mem, 4);

		/* Who maps before anybody asks gets the new one, too */
		write_ctrl(test, tree, write, size, PCI_ACS_RR);
		KUNIT_EXPECT_EQ(test, ask_type(tree, mem, "nic"),
				PCI_P2PDMA_MAP_NOT_SUPPORTED);
		write_ctrl(test, tree, write, size, PCI_ACS_EC);
		KUNIT_EXPECT_EQ(test, ask_type(tree, mem, "nic"),
				PCI_P2PDMA_MAP_BUS_ADDR);

		/* The vector: the provider is below port 1 */
		write(test, dn1, POS_VECTOR, size, BIT(1));
		expect_answer(test, tree, mem, -1);
		write(test, dn1, POS_VECTOR, size, 0);
		expect_answer(test, tree, mem, 4);
	}
}

/* Which registers count, and which do not; each is written what it holds */
static void neighbours_keep_the_cache(struct kunit *test)
{
	static const struct {
		const char *name;
		int where, size;
		bool counts;
	} regs[] = {
		{ "mem", PCI_COMMAND, 2, false },
		{ "mem", PCI_BIST, 1, false },
		{ "mem", PCI_BASE_ADDRESS_0, 1, true },
		{ "mem", PCI_BASE_ADDRESS_4, 4, true },
		{ "dn1", PCI_PRIMARY_BUS, 4, true },
		{ "dn1", PCI_SUBORDINATE_BUS, 1, true },
		{ "dn1", PCI_PREF_LIMIT_UPPER32, 4, true },
		{ "dn1", PCI_IO_BASE_UPPER16, 2, false },
		{ "dn1", PCI_BRIDGE_CONTROL, 2, false },
		{ "dn1", PCI_KUNIT_POS_EXP + PCI_EXP_DEVCTL, 2, false },
		{ "dn1", PCI_KUNIT_POS_ACS, 4, false },
		{ "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2, false },
		{ "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 4, true },
		{ "dn1", POS_CTRL, 1, true },
		{ "dn1", POS_CTRL + 1, 1, true },
		{ "dn1", POS_VECTOR + 31, 1, true },
		{ "dn1", POS_VECTOR + 32, 4, false },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CAP, 2, false },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL, 2, true },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL + 1, 1, true },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL + 2, 2, false },
		/* No ACS capability, no ATS capability, but such an offset */
		{ "up0", POS_CTRL, 2, false },
		{ "mem", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL, 2, false },
	};
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");
	unsigned long reads;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		ask(tree, mem, "nic");
		reads = pci_kunit_reads(tree, NULL);
		write_kernel(test, pci_kunit_dev(tree, regs[i].name),
			     regs[i].where, regs[i].size,
			     pci_kunit_get(tree, regs[i].name, regs[i].where,
					   regs[i].size));
		KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
		KUNIT_EXPECT_EQ_MSG(test, pci_kunit_reads(tree, NULL) != reads,
				    regs[i].counts, "%d bytes at %#x of %s",
				    regs[i].size, regs[i].where, regs[i].name);
	}
}

/* The limit of it: I/O ports and /dev/mem lead past the kernel */
static void changes_behind_the_back_are_not_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
}

/* Stock gives the next device in a slot the verdict on the last one */
static void hotplug_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = make_provider(test, tree, "mem");

	expect_answer(test, tree, mem, 4);
	pci_kunit_remove(tree, "nic");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, ask_type(tree, mem, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	expect_answer(test, tree, mem, -1);

	/* Any removal will do */
	pci_kunit_set_acs(tree, "dn1", 0);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), -1);
	pci_kunit_remove(tree, "ep");
	expect_answer(test, tree, mem, 4);
}

/* Asking -------------------------------------------------------------------- */

static struct device *child_of(struct kunit *test, struct device *parent)
{
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->parent = parent;
	dev->init_name = "p2pdma_policy_test";
	return dev;
}

static void drivers_ask_for_a_route(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;
	struct device *child = child_of(test, child_of(test, nic));
	struct pci_p2pdma_route got;
	unsigned long reads;

	/* Of a device that has registered nothing, by one that is not PCI */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, child, &got), 0);
	KUNIT_EXPECT_EQ(test, got.type, PCI_P2PDMA_MAP_BUS_ADDR);
	KUNIT_EXPECT_EQ(test, got.distance, 4);

	/* By one without anything PCI above it */
	memset(&got, 0xff, sizeof(got));
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, child_of(test, NULL), &got),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, got.type, PCI_P2PDMA_MAP_NOT_SUPPORTED);
	KUNIT_EXPECT_EQ(test, got.reason, PCI_P2PDMA_NO_PCI_CLIENT);
	KUNIT_EXPECT_FALSE(test, got.override);
	KUNIT_EXPECT_TRUE(test, !got.request_port && !got.completion_port &&
			  !got.up_port);

	/* Ports */
	expect_ports(test, tree, "mem", "nic", NULL, NULL, NULL);
	set_ctrl(tree, "dn1", PCI_ACS_RR);
	expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	set_ctrl(tree, "dn0", PCI_ACS_CR);
	expect_ports(test, tree, "mem", "nic", "dn1", "dn0", NULL);
	expect_ports(test, tree, "nic", "mem", NULL, NULL, NULL);

	/* It is decided afresh, and nothing is kept of it */
	make_provider(test, tree, "mem");
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_kunit_set_acs(tree, "dn0", 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, nic, &got), 0);
	reads = pci_kunit_reads(tree, NULL);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
	KUNIT_EXPECT_GT(test, pci_kunit_reads(tree, NULL), reads);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, nic, &got), 0);
	KUNIT_EXPECT_EQ(test, got.reason, PCI_P2PDMA_HOST_NOT_LISTED);
	KUNIT_EXPECT_EQ(test, ask(tree, mem, "nic"), 4);
}

/* The provider that is found, if it is always the same one */
static struct pci_dev *always_found(struct device *client)
{
	struct pci_dev *first = pci_p2pmem_find(client), *found = first;
	unsigned int i;

	for (i = 0; i < 64 && found == first; i++) {
		pci_dev_put(found);
		found = pci_p2pmem_find(client);
	}
	pci_dev_put(found);
	return found == first ? first : NULL;
}

/* Nodes need not exist to be near or far */
static void prefers_the_nearer_node(struct kunit *test)
{
	struct pci_kunit_tree *tree = fabric_of_host(test, LISTED, 0);
	struct pci_dev *ssd = make_provider(test, tree, "ssd");
	struct pci_dev *ep = make_provider(test, tree, "ep");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;
	struct pci_dev *mem;

	if (!IS_ENABLED(CONFIG_NUMA))
		kunit_skip(test, "needs CONFIG_NUMA");

	pci_p2pmem_publish(ssd, true);
	pci_p2pmem_publish(ep, true);
	KUNIT_ASSERT_EQ(test, ask(tree, ssd, "nic"), ask(tree, ep, "nic"));

	/* Who is at no node is as near as can be */
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(nic, 0);
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(&ep->dev, 0);
	KUNIT_EXPECT_NULL(test, always_found(nic));

	set_dev_node(&ssd->dev, 1);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), ep);
	set_dev_node(&ep->dev, 1);
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(&ssd->dev, 0);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), ssd);

	/* Fewer links go before nearer nodes */
	mem = make_provider(test, tree, "mem");
	pci_p2pmem_publish(mem, true);
	set_dev_node(&mem->dev, 1);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), mem);
}

static void expect_function(struct kunit *test,
			    const struct pci_p2pdma_function *got,
			    const struct pci_dev *pdev)
{
	struct pci_p2pdma_function want = function_of(pdev);

	want.present = !!pdev;
	KUNIT_EXPECT_MEMEQ(test, got, &want, sizeof(want));
}

static void programs_ask_for_a_route(struct kunit *test)
{
	static const char * const pairs[][2] = {
		{ "mem", "nic" }, { "nic", "mem" }, { "mem", "mem" },
		{ "ssd", "gpu" }, { "ep", "nic" }, { "nic", "nic1" },
		{ "up0", "ep" },
	};
	struct pci_kunit_tree *tree = fabric_of_host(test, LISTED, 0);
	char __user *user = user_memory(test, PAGE_SIZE);
	struct file *file = open_query(test);
	struct pci_p2pdma_route route;
	struct pci_p2pdma_query q;
	unsigned int i, step;
	char uevent[128];
	u32 type;

	/* Anybody may */
	read_file(test, test->priv, "class/misc/pci-p2pdma/uevent", uevent,
		  sizeof(uevent));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(uevent, "DEVMODE=0444"), "%s",
				  uevent);

	for (step = 0; step < 4; step++) {
		switch (step) {
		case 1:
			set_ctrl(tree, "dn1", PCI_ACS_RR);
			break;
		case 2:
			set_ctrl(tree, "dn0", PCI_ACS_CR);
			set_ctrl(tree, "nic1", PCI_ACS_RR);
			break;
		case 3:
			set_ctrl(tree, "dn3", PCI_ACS_RR | PCI_ACS_EC);
			set_vector(tree, "dn3", U32_MAX);
			break;
		}
		for (i = 0; i < ARRAY_SIZE(pairs); i++) {
			q = question(tree, pairs[i][0], pairs[i][1]);
			KUNIT_ASSERT_EQ(test, query(test, file, user, &q), 0);
			pci_p2pdma_route(pci_kunit_dev(tree, pairs[i][0]),
					 &pci_kunit_dev(tree, pairs[i][1])->dev,
					 &route);
			type = route.type == PCI_P2PDMA_MAP_BUS_ADDR ?
				PCI_P2PDMA_ROUTE_DIRECT :
			       route.type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE ?
				PCI_P2PDMA_ROUTE_HOST : PCI_P2PDMA_ROUTE_NONE;
			KUNIT_EXPECT_EQ(test, q.type, type);
			KUNIT_EXPECT_EQ(test, q.reason, route.reason);
			KUNIT_EXPECT_EQ(test, q.distance, route.distance);
			KUNIT_EXPECT_EQ(test, q.verdict, 0);
			expect_function(test, &q.request_port,
					route.request_port);
			expect_function(test, &q.completion_port,
					route.completion_port);
			expect_function(test, &q.up_port, route.up_port);
		}
	}

	/* What the provider has to offer */
	make_provider(test, tree, "mem");
	q = question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_PROVIDES);
	pci_p2pmem_publish(pci_kunit_dev(tree, "mem"), true);
	q = question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_PROVIDES |
			PCI_P2PDMA_VERDICT_PUBLISHED);
	pci_kunit_unbind(tree, "mem");
	q = question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, 0);
}

static void programs_ask_wrongly(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, fabric);
	char __user *user = user_memory(test, 2 * PAGE_SIZE);
	char __user *end = user + 2 * PAGE_SIZE;
	struct pci_p2pdma_query q, good = question(tree, "mem", "nic");
	struct file *file = open_query(test);
	u32 tail;

	/* Not answered, and not written to */
#define REFUSED(_error, _change)					\
do {									\
	q = good;							\
	_change;							\
	KUNIT_EXPECT_EQ_MSG(test, query(test, file, user, &q), _error,	\
			    #_change);					\
	KUNIT_EXPECT_EQ_MSG(test, q.type, U32_MAX, #_change);		\
} while (0)
	REFUSED(-EINVAL, q.size = 0);
	REFUSED(-EINVAL, q.size = PCI_P2PDMA_QUERY_SIZE_VER0 - 1);
	REFUSED(-EINVAL, q.flags = 1);
	REFUSED(-EINVAL, q.flags = BIT(31));
	REFUSED(-EINVAL, q.provider.present = 1);
	REFUSED(-EINVAL, q.provider.reserved = 1);
	REFUSED(-EINVAL, q.client.present = 1);
	REFUSED(-EINVAL, q.client.reserved = 1);
	REFUSED(-ENODEV, q.provider.domain++);
	REFUSED(-ENODEV, q.provider.domain = U32_MAX);
	REFUSED(-ENODEV, q.client.bus = 0xff);
	REFUSED(-ENODEV, q.client.devfn = 0xff);
#undef REFUSED

	/* A longer question, of which the kernel does not know the end */
	tail = 1;
	q = good;
	q.size = sizeof(q) + sizeof(tail);
	KUNIT_ASSERT_EQ(test, copy_to_user(user + sizeof(q), &tail,
					   sizeof(tail)), 0);
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), -E2BIG);
	KUNIT_EXPECT_EQ(test, q.type, U32_MAX);
	tail = 0;
	KUNIT_ASSERT_EQ(test, copy_to_user(user + sizeof(q), &tail,
					   sizeof(tail)), 0);
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_DIRECT);

	/* The smallest */
	q = good;
	q.size = PCI_P2PDMA_QUERY_SIZE_VER0;
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_DIRECT);

	/* Something else */
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY + 1,
					(unsigned long)user), -ENOTTY);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, 0, 0), -ENOTTY);

	/* From nowhere, from the kernel, from across the end of the memory */
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY, 0),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY,
					(unsigned long)&good), -EFAULT);
	KUNIT_ASSERT_EQ(test, copy_to_user(end - 8, &good, 8), 0);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY,
					(unsigned long)end - 8), -EFAULT);

	/* The device is open while a function goes */
	pci_kunit_remove(tree, "nic");
	q = good;
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), -ENODEV);
	pci_kunit_rescan(tree);
	q = good;
	KUNIT_EXPECT_EQ(test, query(test, file, user, &q), 0);
}

/* The suite ----------------------------------------------------------------- */

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static bool locks_before;
static u8 cpu_vendor;
static u8 cpu_family;

/* What the administrator had allowed when the running case began */
static char allowed_before[SZ_1K];

static int p2pdma_policy_suite_init(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;
	cpu_vendor = cpu_data(0).x86_vendor;
	cpu_family = cpu_data(0).x86;
	return 0;
}

static void p2pdma_policy_suite_exit(struct kunit_suite *suite)
{
	cpu_pretend(cpu_vendor, cpu_family);
}

/* A case that pretends otherwise must not reach the next one */
static int p2pdma_policy_init(struct kunit *test)
{
	cpu_pretend(X86_VENDOR_INTEL, 6);
	test->priv = mount_fs(test, "sysfs");
	read_file(test, test->priv, HOST_BRIDGES, allowed_before,
		  sizeof(allowed_before));
	return allow(test, "none");
}

static void p2pdma_policy_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, allow(test, allowed_before), 0);
}

/* Last: nothing in this suite made the kernel complain */
static void kernel_has_not_complained(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}

static struct kunit_case p2pdma_policy_cases[] = {
	KUNIT_CASE(parses_allowed_hosts),
	KUNIT_CASE(limits_allowed_hosts),
	KUNIT_CASE(override_is_used_or_not),
	KUNIT_CASE(override_without_memory_is_quiet),
	KUNIT_CASE(override_and_two_hosts),
	KUNIT_CASE_PARAM(table_of_hosts, host_row_gen_params),
	KUNIT_CASE_PARAM(hypervisors_cliques, clique_row_gen_params),
	KUNIT_CASE(chained_vendor_capabilities),
	KUNIT_CASE(translated_requests),
	KUNIT_CASE(translated_requests_and_offset),
	KUNIT_CASE(redirected_inside_a_tower),
	KUNIT_CASE(vectors_of_functions),
	KUNIT_CASE_PARAM(changed_control_is_noticed, way_gen_params),
	KUNIT_CASE(neighbours_keep_the_cache),
	KUNIT_CASE(changes_behind_the_back_are_not_noticed),
	KUNIT_CASE(hotplug_is_noticed),
	KUNIT_CASE(drivers_ask_for_a_route),
	KUNIT_CASE(prefers_the_nearer_node),
	KUNIT_CASE(programs_ask_for_a_route),
	KUNIT_CASE(programs_ask_wrongly),
	KUNIT_CASE(kernel_has_not_complained),
	{}
};

static struct kunit_suite p2pdma_policy_suite = {
	.name = "p2pdma_policy",
	.init = p2pdma_policy_init,
	.exit = p2pdma_policy_exit,
	.suite_init = p2pdma_policy_suite_init,
	.suite_exit = p2pdma_policy_suite_exit,
	.test_cases = p2pdma_policy_cases,
};

kunit_test_suite(p2pdma_policy_suite);

MODULE_DESCRIPTION("KUnit tests of the policy of peer-to-peer DMA");
MODULE_LICENSE("GPL");
