// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: each allocation inside a call fails in turn.
 *
 * The kernel's fault injection does it: with current->fail_nth = n the n-th
 * allocation of this task that can fail does so, of the slab allocator or of
 * pages.  A call is repeated with n = 1, 2, ... until it gets through without
 * the n-th having been reached.  Each time one of two things must come of it:
 *
 *  - the call fails with -ENOMEM, and everything is as before: the memory of the
 *    pool to the byte, the references to the devices, files in sysfs, device
 *    nodes and their numbers, file descriptors, static keys, the table of the
 *    IOMMU, and resources managed by the device; or
 *  - it does without, and the result is as right as it would have been.  Many
 *    must: what only makes the next call faster is no reason to fail, and
 *    nothing may keep a provider from ending.
 *
 * What was lost and cannot be seen in that is for kmemleak to find, if it is
 * configured: the last case but one of each suite asks it.
 *
 * Only what struct pages for device memory take inside the architecture's code is
 * let through, by a filter on the stack: that code warns, or panics, by intent.
 *
 * Needs FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_DEBUG_FS and
 * FAULT_INJECTION_STACKTRACE_FILTER, as p2pdma.config has them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/delay.h>
#include <linux/device/devres.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kallsyms.h>
#include <linux/memory_hotplug.h>
#include <linux/mount.h>
#include <linux/p2pdma_pages.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../p2pdma.h"
#include "p2pdma_fabric.h"
#include "p2pdma_fault.h"
#include "p2pdma_test.h"

/* No call makes that many allocations */
#define MOST_FAULTS	3000
#define FOREIGN_STEP	7

/* kmemleak says nothing of what is younger */
#define LEAK_AGE_MS	6000

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED),
	  .bus_offset = FAULT_BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "up", "rp0", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = FAULT_MEMORY }, [2] = { .size = SZ_2M } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "far", "rp1", PCI_KUNIT_ENDPOINT },
};

/* Fault injection ----------------------------------------------------------- */

static void write_debugfs(struct kunit *test, struct vfsmount *mnt,
			  const char *path, const char *value)
{
	struct file *file = p2p_open(test, mnt, path, O_WRONLY);
	char __user *user = p2p_user_memory(test, PAGE_SIZE);
	size_t len = strlen(value);
	loff_t pos = 0;

	KUNIT_ASSERT_EQ(test, copy_to_user(user, value, len), 0);
	KUNIT_ASSERT_EQ(test, vfs_write(file, user, len, &pos), len);
	kunit_release_action(test, p2p_close, file);
}

/* All of it can be left as it is: nobody else makes anything fail */
void fault_prepare(struct kunit *test)
{
	static const char * const of[] = { "failslab", "fail_page_alloc" };
	unsigned long start = (unsigned long)add_pages, end, size, offset;
	char path[64], value[32];
	struct vfsmount *mnt;
	unsigned int i;

	if (!IS_ENABLED(CONFIG_FAILSLAB) || !IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC) ||
	    !IS_ENABLED(CONFIG_FAULT_INJECTION_STACKTRACE_FILTER))
		kunit_skip(test, "needs fault injection as in p2pdma.config");
	mnt = p2p_mount(test, "debugfs");

	/* Both are where memory gets its struct pages, one behind the other */
	end = (unsigned long)arch_add_memory;
	KUNIT_ASSERT_NE(test, kallsyms_lookup_size_offset(end, &size, &offset), 0);
	end += size;
	KUNIT_ASSERT_LT(test, start, end);
	KUNIT_ASSERT_LT(test, end - start, SZ_16K);

	write_debugfs(test, mnt, "fail_page_alloc/min-order", "0");
	for (i = 0; i < ARRAY_SIZE(of); i++) {
		snprintf(path, sizeof(path), "%s/verbose", of[i]);
		write_debugfs(test, mnt, path, "0");
		snprintf(path, sizeof(path), "%s/ignore-gfp-wait", of[i]);
		write_debugfs(test, mnt, path, "N");
		snprintf(path, sizeof(path), "%s/reject-start", of[i]);
		snprintf(value, sizeof(value), "%#lx", start);
		write_debugfs(test, mnt, path, value);
		snprintf(path, sizeof(path), "%s/reject-end", of[i]);
		snprintf(value, sizeof(value), "%#lx", end);
		write_debugfs(test, mnt, path, value);
	}
}

/* The provider -------------------------------------------------------------- */

struct pci_p2pdma *fault_provider(struct fault_bench *b)
{
	return rcu_access_pointer(b->mem->p2pdma);
}

void fault_open_group(struct fault_bench *b)
{
	b->group = devres_open_group(&b->mem->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(b->test, b->group);
}

/* What the device manages since fault_open_group() goes; returns how much it is */
int fault_release_group(struct fault_bench *b)
{
	int n = devres_release_group(&b->mem->dev, b->group);

	b->group = NULL;
	return n;
}

void fault_provide(struct fault_bench *b)
{
	fault_open_group(b);
	KUNIT_ASSERT_EQ(b->test, pci_p2pdma_add_resource(b->mem, 0, 0, 0), 0);
}

void fault_provide_no_more(struct fault_bench *b)
{
	KUNIT_EXPECT_EQ(b->test, fault_release_group(b), 1);
}

/* The number that its device node has */
dev_t fault_node(struct fault_bench *b)
{
	char path[64];

	snprintf(path, sizeof(path), "class/pci_p2pmem/%s/dev",
		 pci_name(b->mem));
	return p2p_dev(b->test, path);
}

/* The last reference to a file may be dropped by a worker: wait for it */
void fault_settle(void)
{
	flush_delayed_fput();
}

/* What must be as before ---------------------------------------------------- */

enum {
	PROVIDER,
	SIZE,
	AVAILABLE,
	PUBLISHED,
	DIRECTORY,
	NODE,
	REFERENCES,
	CLIENT_REFERENCES,
	BUFFERS,
	PAGES_EXIST,
	IN_USE,
	NEXT_FD,
	IOMMU_PAGES,
	STATES
};

static const char * const state_names[] = {
	[PROVIDER]		= "provider is there",
	[SIZE]			= "bytes of its memory",
	[AVAILABLE]		= "bytes that are free",
	[PUBLISHED]		= "memory is published",
	[DIRECTORY]		= "directory in sysfs",
	[NODE]			= "device node",
	[REFERENCES]		= "references to the provider's device",
	[CLIENT_REFERENCES]	= "references to the client",
	[BUFFERS]		= "buffers of user space",
	[PAGES_EXIST]		= "count of key p2pdma_pages_exist",
	[IN_USE]		= "key p2pdma_in_use",
	[NEXT_FD]		= "next file descriptor",
	[IOMMU_PAGES]		= "pages in the IOMMU's table",
};

struct state {
	unsigned long value[STATES];
};

static bool file_exists(struct fault_bench *b, const char *format,
			const char *name)
{
	char *path = kasprintf(GFP_KERNEL, format, name);
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(b->test, path);
	file = file_open_root_mnt(b->test->priv, path, O_RDONLY, 0);
	kfree(path);
	if (IS_ERR(file))
		return false;
	p2p_close(file);
	return true;
}

static void get_tree_state(struct fault_bench *b, unsigned long *value)
{
	char *dir = kobject_get_path(&b->mem->dev.kobj, GFP_KERNEL);
	struct pci_p2pdma *p2p = fault_provider(b);

	KUNIT_ASSERT_NOT_NULL(b->test, dir);
	value[DIRECTORY] = file_exists(b, "%s/p2pmem/size", dir);
	kfree(dir);
	value[NODE] = file_exists(b, "class/pci_p2pmem/%s/dev",
				  pci_name(b->mem));
	value[PUBLISHED] = pci_has_p2pmem(b->mem);
	value[REFERENCES] = kref_read(&b->mem->dev.kobj.kref);
	value[CLIENT_REFERENCES] = kref_read(&b->nic->dev.kobj.kref);
	if (!p2p)
		return;
	value[PROVIDER] = true;
	value[SIZE] = p2pdma_pool_size(&p2p->pool);
	value[AVAILABLE] = p2pdma_pool_available(&p2p->pool);
	value[BUFFERS] = !list_empty(&p2p->buffers);
}

static struct state get_state(struct fault_bench *b)
{
	struct state s = {};
	int fd;

	fault_settle();
	if (b->fabric)
		s.value[IOMMU_PAGES] =
			fabric_iommu_mapped(fabric_client(b->fabric, 0));
	else
		get_tree_state(b, s.value);
	s.value[PAGES_EXIST] = static_key_count(&p2pdma_pages_exist.key);
	s.value[IN_USE] = static_key_enabled(&p2pdma_in_use);
	fd = get_unused_fd_flags(0);
	KUNIT_ASSERT_GE(b->test, fd, 0);
	put_unused_fd(fd);
	s.value[NEXT_FD] = fd;
	return s;
}

static void expect_state(struct fault_bench *b, const struct state *want,
			 unsigned int n)
{
	struct state got = get_state(b);
	unsigned int i;

	for (i = 0; i < STATES; i++)
		KUNIT_EXPECT_EQ_MSG(b->test, got.value[i], want->value[i],
				    "%s, after fault %u", state_names[i], n);
}

/* The test ------------------------------------------------------------------ */

/* Returns false if no n-th allocation is made */
static bool fail_one(struct fault_bench *b, const struct fault_entry *e,
		     unsigned int n, const struct state *bare,
		     unsigned int *failures)
{
	struct kunit *test = b->test;
	struct state before = get_state(b);
	bool hit;
	int error;

	fault_set_nth(n);
	error = e->call(b);
	hit = !fault_get_nth();
	fault_set_nth(0);

	if (error) {
		++*failures;
		KUNIT_EXPECT_TRUE_MSG(test, hit, "%d without a fault", error);
		KUNIT_EXPECT_FALSE_MSG(test, e->never_fails,
				       "fault %u is no reason to fail", n);
		KUNIT_EXPECT_EQ_MSG(test, error, -ENOMEM, "fault %u", n);
	} else if (e->undo) {
		e->undo(b);
	}
	expect_state(b, e->ends ? bare : &before, n);
	return hit;
}

static void bench_init(struct fault_bench *b, bool fabric)
{
	struct kunit *test = b->test;

	b->user = p2p_user_memory(test, PAGE_SIZE);
	if (fabric) {
		b->fabric = fabric_create(test, FABRIC_IOMMU, FAULT_BUS_OFFSET);
		return;
	}
	b->tree = PCI_KUNIT_CREATE(test, nodes);
	b->mem = pci_kunit_bind(b->tree, "mem");
	b->nic = pci_kunit_bind(b->tree, "nic");
	b->far = pci_kunit_dev(b->tree, "far");
	fault_provide(b);
	b->node = fault_node(b);
	fault_provide_no_more(b);
}

void fault_each(struct kunit *test)
{
	const struct fault_entry *e = test->param_value;
	struct fault_bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned int n = 0, rounds = 0, failures = 0;
	struct state bare;
	bool prepared = false, hit;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->test = test;
	fault_prepare(test);
	bench_init(b, e->fabric);
	bare = get_state(b);

	do {
		if (!prepared)
			e->prepare(b);
		n += e->own && n >= e->own ? FOREIGN_STEP : 1;
		rounds++;
		hit = fail_one(b, e, n, &bare, &failures);
		prepared = !e->fresh;
		if (e->fresh && e->finish)
			e->finish(b);
	} while (hit && n < MOST_FAULTS &&
		 READ_ONCE(test->status) != KUNIT_FAILURE);

	if (prepared && e->finish)
		e->finish(b);
	if (!e->fabric)
		expect_state(b, &bare, n);
	KUNIT_EXPECT_FALSE_MSG(test, hit, "did not end");
	KUNIT_EXPECT_GE(test, rounds - 1, e->least);
	kunit_info(test, "%s: %u allocations failed in turn, %u of them without harm\n",
		   e->name, rounds - 1, rounds - 1 - failures);
	kunit_info(test, "figure: faults=%u\n", rounds - 1);
}

void fault_entry_name(const struct fault_entry *e, char *desc)
{
	strscpy(desc, e->name, KUNIT_PARAM_DESC_SIZE);
}

/* Leaks ---------------------------------------------------------------------- */

void fault_nothing_leaked(struct kunit *test)
{
	char *text = kunit_kzalloc(test, SZ_16K, GFP_KERNEL);
	struct vfsmount *mnt;
	struct file *file;
	char __user *user;
	loff_t pos = 0;
	ssize_t len;

	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		kunit_skip(test, "needs CONFIG_DEBUG_KMEMLEAK");

	KUNIT_ASSERT_NOT_NULL(test, text);
	user = p2p_user_memory(test, SZ_16K);
	mnt = p2p_mount(test, "debugfs");
	rcu_barrier();
	msleep(LEAK_AGE_MS);
	/* What is found the first time may have changed a moment ago */
	write_debugfs(test, mnt, "kmemleak", "scan");
	write_debugfs(test, mnt, "kmemleak", "scan");

	file = p2p_open(test, mnt, "kmemleak", O_RDONLY);
	do {
		len = vfs_read(file, user, SZ_16K - 1, &pos);
		KUNIT_ASSERT_GE(test, len, 0);
		KUNIT_ASSERT_EQ(test, copy_from_user(text, user, len), 0);
		text[len] = '\0';
		KUNIT_EXPECT_NULL_MSG(test, strstr(text, "p2p"), "%s", text);
	} while (len);
}
