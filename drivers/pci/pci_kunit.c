// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit on a declared PCI tree
 *
 * A test declares host bridges, ports and endpoints in an array of
 * struct pci_kunit_node. pci_kunit_create() turns each host bridge into a
 * struct pci_host_bridge whose struct pci_ops answer from memory, and lets the
 * PCI core do the rest: it numbers the buses, finds the functions, sizes and
 * assigns the BARs, creates the devices in sysfs. What the test gets are real
 * struct pci_dev, made by the code that makes them on real machines.
 *
 * This file owns the life of a tree, from its creation to its end, and what is
 * done with its devices meanwhile: they are removed, found again, bound and
 * unbound. It also begins and ends suites: it tells whether the kernel has
 * complained meanwhile, which KUnit does not notice, and which processor it
 * believes to have. What was declared is the business of
 * pci_kunit_declare.c, and config space that of pci_kunit_config.c.
 *
 * What a tree owns
 *   - a PCI domain, or several, in which nothing else lives;
 *   - for each host bridge a window of iomem_resource above 4 GiB in which
 *     there is neither RAM nor a device. The kernel may map it and create
 *     struct pages for it; nothing answers behind it;
 *   - for each host bridge an I/O window that is no part of ioport_resource,
 *     because the machine may have left nothing of that. It is there to be
 *     assigned, not to be accessed;
 *   - for each function its config space, which pci_kunit_config.c fills in and
 *     answers from;
 *   - a pci_driver of its own, registered by the first pci_kunit_bind(), that
 *     probes nothing but what the test asks for. It is there so that managed
 *     resources of a device have a life to be bound to.
 *
 * What is emulated
 *   Config space, and the way of a request to it. There is no memory window
 *   below 4 GiB, no interrupt, no reset. The PCI core applies its quirks to the
 *   vendor and device ids of a declaration.
 *
 * Invariants
 *   - those of a declaration (pci_kunit_declare.c);
 *   - a struct pci_kunit_tree lives until the last of its host bridges has been
 *     released by the driver core, whoever held it: config accessors and
 *     resources that the core can still reach are never freed under it. It
 *     holds one reference for the test, one for each host bridge, one for each
 *     operation under way;
 *   - the host bridge is the last part of a tree to go: every device holds its
 *     bus, every bus holds the bridge above. A released bridge means that
 *     everything was freed, and that is what the end of a test waits for. If
 *     it does not happen in time, the test fails and names the devices that
 *     are held.
 *
 * Locking
 *   tree->lock guards config space and is innermost (pci_kunit_config.c).
 *   tree->mutex lets one operation (removal, rescan, unbind) run at a time. The
 *   array itself does not change after creation. Operations run in a worker and
 *   the test waits for them with a time limit, because removing a device can
 *   block for ever on what a test has leaked.
 *
 * What must never happen
 *   - a test that blocks those after it without a word: when an operation does
 *     not end, all trees to come are refused with a message that says so,
 *     because the PCI rescan lock may be held;
 *   - a config access that reaches the machine's own devices, or the other way
 *     round: that is why the domain must be unused;
 *   - a resource left in iomem_resource that points to freed memory.
 *
 * It uses the x86 struct pci_sysdata.
 */

#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "pci_kunit_tree.h"

#define PCI_KUNIT_TIMEOUT_MS	60000
#define PCI_KUNIT_POLL_MS	20

/* Operations, of any tree, that nobody waits for any more */
static atomic_t pci_kunit_stuck = ATOMIC_INIT(0);
static atomic_t pci_kunit_serial = ATOMIC_INIT(0);

/* Life of a tree ---------------------------------------------------------- */

static void pci_kunit_free(struct kref *kref)
{
	struct pci_kunit_tree *tree = container_of(kref, struct pci_kunit_tree,
						   kref);

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE && fn->host) {
			if (fn->host->window.parent)
				release_resource(&fn->host->window);
			kfree(fn->host);
		}
		kfree(fn->cfg);
		kfree(fn->mask);
		kfree(fn->name);
	}
	kfree(tree->driver.name);
	kfree(tree);
}

static void pci_kunit_put(struct pci_kunit_tree *tree)
{
	kref_put(&tree->kref, pci_kunit_free);
}

static void pci_kunit_host_release(struct pci_host_bridge *bridge)
{
	struct pci_kunit_host *host = bridge->release_data;

	complete_all(&host->released);
	pci_kunit_put(host->tree);
}

/* The bus numbers of a host bridge end where the next one's begin */
static int pci_kunit_set_busn(struct pci_kunit_tree *tree,
			      struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;

	host->busn.name = "PCI KUnit buses";
	host->busn.start = fn->node.busnr;
	host->busn.end = 0xff;
	host->busn.flags = IORESOURCE_BUS;

	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *other = &tree->fns[i];

		if (other == fn || other->node.type != PCI_KUNIT_HOST_BRIDGE ||
		    other->host->sysdata.domain != host->sysdata.domain)
			continue;
		if (other->node.busnr == fn->node.busnr) {
			kunit_err(tree->test,
				  "nodes \"%s\" and \"%s\": same domain and busnr\n",
				  fn->name, other->name);
			return -EINVAL;
		}
		if (other->node.busnr > fn->node.busnr)
			host->busn.end = min(host->busn.end,
					     other->node.busnr - 1);
	}
	return 0;
}

/* A hole of the physical address space that the kernel can map */
static int pci_kunit_set_window(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;
	u64 size = fn->node.window ?: SZ_1G;
	u64 last = min(SZ_1T, 1ULL << boot_cpu_data.x86_phys_bits) - 1;
	int ret;

	host->window.name = "PCI KUnit window";
	host->window.flags = IORESOURCE_MEM | IORESOURCE_PREFETCH |
			     IORESOURCE_MEM_64 | IORESOURCE_WINDOW;
	ret = allocate_resource(&iomem_resource, &host->window, size, SZ_4G,
				last, max_t(u64, roundup_pow_of_two(size),
					    SZ_1G), NULL, NULL);
	if (ret)
		kunit_err(tree->test,
			  "node \"%s\": no room for a window of %#llx bytes between 4 GiB and %#llx\n",
			  fn->name, size, last);
	return ret;
}

static int pci_kunit_scan_host(struct pci_kunit_tree *tree,
			       struct pci_kunit_fn *fn)
{
	struct pci_kunit_host *host = fn->host;
	struct pci_host_bridge *bridge;
	int ret;

	ret = pci_kunit_set_busn(tree, fn);
	if (ret)
		return ret;
	ret = pci_kunit_set_window(tree, fn);
	if (ret)
		return ret;

	bridge = pci_alloc_host_bridge(0);
	if (!bridge)
		return -ENOMEM;
	bridge->sysdata = &host->sysdata;
	bridge->ops = &pci_kunit_ops;
	bridge->busnr = fn->node.busnr;
	pci_add_resource(&bridge->windows, &host->busn);
	pci_add_resource_offset(&bridge->windows, &host->window,
				host->bus_offset);
	pci_add_resource_offset(&bridge->windows, &host->io, PCI_KUNIT_IO_BASE);
	kref_get(&tree->kref);
	pci_set_host_bridge_release(bridge, pci_kunit_host_release, host);

	ret = pci_host_probe(bridge);
	if (ret) {
		kunit_err(tree->test, "node \"%s\": scanning failed: %d\n",
			  fn->name, ret);
		pci_free_host_bridge(bridge);
		return ret;
	}
	host->bridge = bridge;
	return 0;
}

/* A new reference, NULL if the kernel has no device for this node (now) */
static struct pci_dev *pci_kunit_get_dev(struct pci_kunit_fn *fn)
{
	struct pci_dev *parent, *pdev = NULL;

	if (!fn->cfg || !fn->host->bridge)
		return NULL;
	if (!fn->parent)
		return pci_get_slot(fn->host->bridge->bus, fn->node.devfn);

	parent = pci_kunit_get_dev(fn->parent);
	if (parent && parent->subordinate)
		pdev = pci_get_slot(parent->subordinate, fn->node.devfn);
	pci_dev_put(parent);
	return pdev;
}

static int pci_kunit_check_scan(struct pci_kunit_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct pci_dev *pdev;

		if (!fn->cfg)
			continue;
		pdev = pci_kunit_get_dev(fn);
		if (!pdev) {
			kunit_err(tree->test,
				  "node \"%s\": the PCI core does not find it; is its device number possible below \"%s\", has it a function 0, do the bus numbers suffice?\n",
				  fn->name, fn->node.parent);
			return -ENODEV;
		}
		pci_dev_put(pdev);

		/* The core changes it for an IOMMU or a boot parameter */
		if (fn->node.acs.present)
			pci_kunit_set_acs(tree, fn->name, fn->node.acs.ctrl);
	}
	return 0;
}

/* Operations -------------------------------------------------------------- */

static void pci_kunit_op_destroy(struct pci_kunit_tree *tree,
				 struct pci_kunit_fn *unused);

static void pci_kunit_free_bridges(struct pci_kunit_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE && fn->host->bridge)
			pci_free_host_bridge(fn->host->bridge);
	}
}

static void pci_kunit_work(struct work_struct *work)
{
	struct pci_kunit_tree *tree = container_of(work, struct pci_kunit_tree,
						   work);

	tree->op(tree, tree->op_fn);
	if (atomic_xchg(&tree->op_state, PCI_KUNIT_OP_NONE) ==
	    PCI_KUNIT_OP_STUCK) {
		atomic_dec(&pci_kunit_stuck);
		if (tree->op == pci_kunit_op_destroy) {
			/* The end of a teardown that has failed its test */
			for (size_t i = 0; i < tree->count; i++)
				pci_dev_put(tree->fns[i].held);
			pci_kunit_free_bridges(tree);
			pci_kunit_put(tree);
		}
	}
	complete_all(&tree->done);
	pci_kunit_put(tree);
}

static bool pci_kunit_wait(struct pci_kunit_tree *tree)
{
	return wait_for_completion_timeout(&tree->done,
					   msecs_to_jiffies(tree->timeout_ms));
}

/* Returns false, and has failed the test, if it did not end in time */
static bool pci_kunit_run(struct pci_kunit_tree *tree, pci_kunit_op op,
			  struct pci_kunit_fn *fn, const char *what)
{
	guard(mutex)(&tree->mutex);

	/* Perhaps what blocked it has been given back since */
	if (atomic_read(&tree->op_state) != PCI_KUNIT_OP_NONE &&
	    !pci_kunit_wait(tree)) {
		KUNIT_FAIL(tree->test,
			   "the PCI tree cannot be used: an earlier operation has not ended");
		return false;
	}

	tree->op = op;
	tree->op_fn = fn;
	reinit_completion(&tree->done);
	atomic_set(&tree->op_state, PCI_KUNIT_OP_RUNNING);
	kref_get(&tree->kref);
	queue_work(system_unbound_wq, &tree->work);
	if (pci_kunit_wait(tree)) {
		/* Until the worker has dropped its reference, too */
		flush_work(&tree->work);
		return true;
	}

	atomic_inc(&pci_kunit_stuck);
	if (atomic_cmpxchg(&tree->op_state, PCI_KUNIT_OP_RUNNING,
			   PCI_KUNIT_OP_STUCK) != PCI_KUNIT_OP_RUNNING) {
		atomic_dec(&pci_kunit_stuck);
		flush_work(&tree->work);
		return true;		/* it has, just now */
	}
	KUNIT_FAIL(tree->test,
		   "%s of \"%s\" has not ended after %u ms: something of the device is still in use",
		   what, fn ? fn->name : "the PCI tree", tree->timeout_ms);
	return false;
}

static void pci_kunit_run_or_abort(struct pci_kunit_tree *tree, pci_kunit_op op,
				   struct pci_kunit_fn *fn, const char *what)
{
	if (!pci_kunit_run(tree, op, fn, what))
		__kunit_abort(tree->test);
}

static void pci_kunit_op_destroy(struct pci_kunit_tree *tree,
				 struct pci_kunit_fn *unused)
{
	/*
	 * First the drivers: if one of them waits for ever, it does so without
	 * the rescan lock.
	 */
	if (tree->driver_registered) {
		pci_unregister_driver(&tree->driver);
		tree->driver_registered = false;
	}

	pci_lock_rescan_remove();
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type != PCI_KUNIT_HOST_BRIDGE ||
		    !fn->host->bridge)
			continue;
		pci_stop_root_bus(fn->host->bridge->bus);
		pci_remove_root_bus(fn->host->bridge->bus);
	}
	pci_unlock_rescan_remove();
}

/*
 * After removal the references taken before it are the only ones left. Leaves
 * first: a device that is held holds all bridges above it, which are not to
 * blame.
 */
static bool pci_kunit_put_held(struct pci_kunit_tree *tree,
			       unsigned long deadline)
{
	bool leaked = false;

	for (size_t i = tree->count; i--; ) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct kref *kref;

		if (!fn->held)
			continue;
		kref = &fn->held->dev.kobj.kref;
		while (!fn->leaked && kref_read(kref) > 1 &&
		       time_before(jiffies, deadline))
			msleep(PCI_KUNIT_POLL_MS);
		if (!fn->leaked && kref_read(kref) > 1) {
			KUNIT_FAIL(tree->test,
				   "PCI device %s, node \"%s\", has been removed and is still referenced (%u times): a pci_dev_put() is missing, of it or of what was removed from below it",
				   pci_name(fn->held), fn->name,
				   kref_read(kref) - 1);
			fn->leaked = true;
		}
		if (fn->leaked) {
			leaked = true;
			if (fn->parent)
				fn->parent->leaked = true;
		}
		pci_dev_put(fn->held);
		fn->held = NULL;
	}
	return leaked;
}

static void pci_kunit_wait_released(struct pci_kunit_tree *tree,
				    unsigned long deadline, bool leaked)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];
		struct pci_kunit_host *host = fn->host;
		long left = deadline - jiffies;

		if (fn->node.type != PCI_KUNIT_HOST_BRIDGE || !host->bridge)
			continue;
		host->bridge = NULL;
		if (!wait_for_completion_timeout(&host->released,
						 leaked || left < 1 ? 1 : left)) {
			if (!leaked)
				KUNIT_FAIL(tree->test,
					   "host bridge \"%s\" has not been released: something holds it, one of its buses, or a device that was removed earlier",
					   fn->name);
			continue;
		}
		if (host->window.child)
			KUNIT_FAIL(tree->test,
				   "resource \"%s\" %pR was left in the window of host bridge \"%s\"",
				   host->window.child->name,
				   host->window.child, fn->name);
	}
}

static void pci_kunit_teardown(void *data)
{
	struct pci_kunit_tree *tree = data;
	unsigned long deadline;
	bool leaked;

	for (size_t i = 0; i < tree->count; i++)
		tree->fns[i].held = pci_kunit_get_dev(&tree->fns[i]);

	/* If removal does not end, the worker keeps what it works on */
	if (!pci_kunit_run(tree, pci_kunit_op_destroy, NULL, "removal"))
		return;

	deadline = jiffies + msecs_to_jiffies(tree->timeout_ms);
	leaked = pci_kunit_put_held(tree, deadline);
	pci_kunit_free_bridges(tree);
	pci_kunit_wait_released(tree, deadline, leaked);
	pci_kunit_put(tree);
}

/**
 * pci_kunit_try_create() - create a declared PCI tree, or say why not
 * @test: the running test
 * @nodes: the declaration, parents before children; copied
 * @count: number of nodes
 *
 * As pci_kunit_create(), for tests that want to see the error.
 *
 * Return: the tree, or an ERR_PTR(): -EINVAL for a declaration that makes no
 * sense, -EBUSY if a declared domain is in use or an earlier tree could not be
 * removed, -ENODEV if the PCI core does not find a declared function, or what
 * the PCI core returned. The reason is in the log of the test.
 */
struct pci_kunit_tree *pci_kunit_try_create(struct kunit *test,
					    const struct pci_kunit_node *nodes,
					    size_t count)
{
	struct pci_kunit_tree *tree;
	int ret;

	if (atomic_read(&pci_kunit_stuck)) {
		kunit_err(test, "the removal of an earlier PCI tree has not ended, fix that test first\n");
		return ERR_PTR(-EBUSY);
	}

	tree = kzalloc(struct_size(tree, fns, count), GFP_KERNEL);
	if (!tree)
		return ERR_PTR(-ENOMEM);
	tree->count = count;
	tree->test = test;
	tree->timeout_ms = PCI_KUNIT_TIMEOUT_MS;
	kref_init(&tree->kref);
	raw_spin_lock_init(&tree->lock);
	mutex_init(&tree->mutex);
	init_completion(&tree->done);
	INIT_WORK(&tree->work, pci_kunit_work);

	ret = pci_kunit_declare(tree, nodes);
	if (ret)
		goto err_put;

	for (size_t i = 0; i < count; i++) {
		if (tree->fns[i].node.type != PCI_KUNIT_HOST_BRIDGE)
			continue;
		ret = pci_kunit_scan_host(tree, &tree->fns[i]);
		if (ret)
			goto err_teardown;
	}
	ret = pci_kunit_check_scan(tree);
	if (ret)
		goto err_teardown;

	/* On failure the action has been run: the tree is gone */
	ret = kunit_add_action_or_reset(test, pci_kunit_teardown, tree);
	return ret ? ERR_PTR(ret) : tree;

err_teardown:
	pci_kunit_teardown(tree);
	return ERR_PTR(ret);
err_put:
	pci_kunit_put(tree);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(pci_kunit_try_create);

/**
 * pci_kunit_create() - create a declared PCI tree
 * @test: the running test
 * @nodes: the declaration, parents before children; copied
 * @count: number of nodes
 *
 * Removed at the end of the test, after what the test has registered later with
 * kunit_add_action(). The test fails if something of the tree is still in use
 * then. See PCI_KUNIT_CREATE() for whole arrays.
 *
 * Context: process, from the thread of the test.
 *
 * Return: the tree, never an error: the test is aborted instead.
 */
struct pci_kunit_tree *pci_kunit_create(struct kunit *test,
					const struct pci_kunit_node *nodes,
					size_t count)
{
	struct pci_kunit_tree *tree = pci_kunit_try_create(test, nodes, count);

	if (IS_ERR(tree))
		KUNIT_FAIL_AND_ABORT(test, "no PCI tree: %pe, see above", tree);
	return tree;
}
EXPORT_SYMBOL_GPL(pci_kunit_create);

/**
 * pci_kunit_destroy() - remove a tree before the end of the test
 * @tree: the tree, not to be used afterwards
 *
 * The test fails if something of the tree is still in use.
 */
void pci_kunit_destroy(struct pci_kunit_tree *tree)
{
	kunit_release_action(tree->test, pci_kunit_teardown, tree);
}
EXPORT_SYMBOL_GPL(pci_kunit_destroy);

/**
 * pci_kunit_set_timeout() - change how long removal may take
 * @tree: the tree
 * @timeout_ms: limit in milliseconds for each operation that removes something,
 *	and for the release of all devices at the end; a minute if not set
 */
void pci_kunit_set_timeout(struct pci_kunit_tree *tree, unsigned int timeout_ms)
{
	tree->timeout_ms = timeout_ms;
}
EXPORT_SYMBOL_GPL(pci_kunit_set_timeout);

/* Access for tests -------------------------------------------------------- */

/* All functions that take a name abort the test if there is no such node. */

/**
 * pci_kunit_find_dev() - the device of a node, if the kernel has one now
 * @tree: the tree
 * @name: name of the node; for a host bridge its function 00.0 is meant
 *
 * Return: the device without a reference, or NULL if it has been removed.
 */
struct pci_dev *pci_kunit_find_dev(struct pci_kunit_tree *tree,
				   const char *name)
{
	struct pci_dev *pdev = pci_kunit_get_dev(pci_kunit_function(tree, name));

	pci_dev_put(pdev);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_find_dev);

/**
 * pci_kunit_dev() - the device of a node
 * @tree: the tree
 * @name: name of the node; for a host bridge its function 00.0 is meant
 *
 * Return: the device, without a reference: it is valid until it is removed.
 * If it has been removed the test is aborted.
 */
struct pci_dev *pci_kunit_dev(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_dev *pdev = pci_kunit_find_dev(tree, name);

	if (!pdev)
		KUNIT_FAIL_AND_ABORT(tree->test,
				     "the kernel has no device for node \"%s\" now",
				     name);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_dev);

/**
 * pci_kunit_host() - the host bridge of a node
 * @tree: the tree
 * @name: name of a host bridge or of a node below it
 *
 * Return: the host bridge without a reference; its root bus is @bus of it.
 */
struct pci_host_bridge *pci_kunit_host(struct pci_kunit_tree *tree,
				       const char *name)
{
	return pci_kunit_node(tree, name)->host->bridge;
}
EXPORT_SYMBOL_GPL(pci_kunit_host);

static void pci_kunit_op_remove(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	struct pci_dev *pdev = pci_kunit_get_dev(fn);

	if (pdev)
		pci_stop_and_remove_bus_device_locked(pdev);
	pci_dev_put(pdev);
}

/**
 * pci_kunit_remove() - remove a device and all below it, as a user does
 * @tree: the tree
 * @name: name of the node
 *
 * As by the file remove in sysfs: drivers are unbound. The function stays
 * where it is and pci_kunit_rescan() finds it again, unless
 * pci_kunit_set_access() made it unreadable. Config space keeps its contents.
 * The test is aborted if the removal does not end.
 */
void pci_kunit_remove(struct pci_kunit_tree *tree, const char *name)
{
	pci_kunit_dev(tree, name);
	pci_kunit_run_or_abort(tree, pci_kunit_op_remove,
			       pci_kunit_function(tree, name), "removal");
}
EXPORT_SYMBOL_GPL(pci_kunit_remove);

static void pci_kunit_op_rescan(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *unused)
{
	pci_lock_rescan_remove();
	for (size_t i = 0; i < tree->count; i++) {
		struct pci_kunit_fn *fn = &tree->fns[i];

		if (fn->node.type == PCI_KUNIT_HOST_BRIDGE)
			pci_rescan_bus(fn->host->bridge->bus);
	}
	pci_unlock_rescan_remove();
}

/**
 * pci_kunit_rescan() - look for devices on all buses of the tree
 * @tree: the tree
 *
 * As by the file rescan in sysfs. ACS control registers of devices that are
 * found are left as the PCI core sets them up.
 */
void pci_kunit_rescan(struct pci_kunit_tree *tree)
{
	pci_kunit_run_or_abort(tree, pci_kunit_op_rescan, NULL, "rescan");
}
EXPORT_SYMBOL_GPL(pci_kunit_rescan);

/*
 * The driver. fn->bind is written by the test before it lets the driver core
 * probe, and afterwards under the lock of the device.
 */

static struct pci_kunit_fn *pci_kunit_bound_fn(struct pci_dev *pdev)
{
	struct pci_kunit_tree *tree =
		container_of(to_pci_driver(pdev->dev.driver),
			     struct pci_kunit_tree, driver);

	for (size_t i = 0; i < tree->count; i++) {
		if (tree->fns[i].bind == pdev)
			return &tree->fns[i];
	}
	return NULL;
}

static int pci_kunit_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (!pci_kunit_bound_fn(pdev))
		return -ENODEV;		/* same ids, not asked for */
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static void pci_kunit_driver_remove(struct pci_dev *pdev)
{
	pci_kunit_bound_fn(pdev)->bind = NULL;
}

static int pci_kunit_do_bind(struct pci_kunit_tree *tree,
			     struct pci_kunit_fn *fn, struct pci_dev *pdev)
{
	int ret;

	guard(mutex)(&tree->mutex);

	if (!tree->driver_registered) {
		tree->driver.name = kasprintf(GFP_KERNEL, "pci_kunit.%d",
					      atomic_inc_return(&pci_kunit_serial));
		if (!tree->driver.name)
			return -ENOMEM;
		tree->driver.probe = pci_kunit_probe;
		tree->driver.remove = pci_kunit_driver_remove;
		ret = pci_register_driver(&tree->driver);
		if (ret)
			return ret;
		tree->driver_registered = true;
	}

	/* The driver matches nothing until an id is added, which then probes */
	fn->bind = pdev;
	ret = pci_add_dynid(&tree->driver, pdev->vendor, pdev->device,
			    PCI_ANY_ID, PCI_ANY_ID, 0, 0, 0);
	if (!ret && pdev->dev.driver != &tree->driver.driver)
		ret = -EBUSY;
	if (ret)
		fn->bind = NULL;
	return ret;
}

/**
 * pci_kunit_bind() - bind a device to a driver that does nothing
 * @tree: the tree
 * @name: name of the node
 *
 * Managed resources of the device then live until it is unbound: by
 * pci_kunit_unbind(), by its removal, or at the end of the test. The driver
 * sets a DMA mask of 64 bits. The test is aborted if the device cannot be
 * bound.
 *
 * Return: the device, without a reference.
 */
struct pci_dev *pci_kunit_bind(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);
	int ret = pci_kunit_do_bind(tree, pci_kunit_function(tree, name), pdev);

	if (ret)
		KUNIT_FAIL_AND_ABORT(tree->test, "cannot bind node \"%s\": %d",
				     name, ret);
	return pdev;
}
EXPORT_SYMBOL_GPL(pci_kunit_bind);

static void pci_kunit_op_unbind(struct pci_kunit_tree *tree,
				struct pci_kunit_fn *fn)
{
	device_release_driver(&fn->bind->dev);
}

/**
 * pci_kunit_unbind() - unbind a device that pci_kunit_bind() has bound
 * @tree: the tree
 * @name: name of the node
 *
 * Managed resources of the device are released by it. The test is aborted if
 * that does not end.
 */
void pci_kunit_unbind(struct pci_kunit_tree *tree, const char *name)
{
	struct pci_kunit_fn *fn = pci_kunit_function(tree, name);

	if (!fn->bind)
		KUNIT_FAIL_AND_ABORT(tree->test, "node \"%s\" is not bound",
				     name);
	pci_kunit_run_or_abort(tree, pci_kunit_op_unbind, fn, "unbinding");
}
EXPORT_SYMBOL_GPL(pci_kunit_unbind);

/* Suites -------------------------------------------------------------------- */

static const unsigned int bad_taints[] = {
	TAINT_WARN, TAINT_DIE, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP,
};

static bool tainted_before[ARRAY_SIZE(bad_taints)];
static int locks_before;
static struct cpuinfo_x86 cpu_before;

/**
 * pci_kunit_pretend_cpu() - let the kernel take its processor for another one
 * @vendor: X86_VENDOR_INTEL, for example
 * @family: its family
 *
 * Some processors forward between the host bridges around them. To be used in
 * suites that have pci_kunit_suite_init() and pci_kunit_suite_exit().
 */
void pci_kunit_pretend_cpu(u8 vendor, u8 family)
{
	cpu_data(0).x86_vendor = vendor;
	cpu_data(0).x86 = family;
}
EXPORT_SYMBOL_GPL(pci_kunit_pretend_cpu);

/**
 * pci_kunit_pretend_guest() - let the kernel believe that it has a hypervisor
 * @guest: or that it has none
 *
 * To be used like pci_kunit_pretend_cpu().
 */
void pci_kunit_pretend_guest(bool guest)
{
	assign_bit(X86_FEATURE_HYPERVISOR,
		   (unsigned long *)cpu_data(0).x86_capability, guest);
}
EXPORT_SYMBOL_GPL(pci_kunit_pretend_guest);

/**
 * pci_kunit_suite_init() - begin a suite
 * @suite: a suite whose last case is pci_kunit_no_complaints()
 *
 * Whatever runs the suite, it counts as a virtual machine whose processor
 * forwards nothing from one PCI device to another. No two suites run at a time.
 *
 * Return: 0.
 */
int pci_kunit_suite_init(struct kunit_suite *suite)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_taints); i++)
		tainted_before[i] = test_taint(bad_taints[i]);
	locks_before = debug_locks;

	cpu_before = cpu_data(0);
	pci_kunit_pretend_cpu(X86_VENDOR_INTEL, 6);
	pci_kunit_pretend_guest(true);
	return 0;
}
EXPORT_SYMBOL_GPL(pci_kunit_suite_init);

/**
 * pci_kunit_suite_exit() - end a suite that pci_kunit_suite_init() began
 * @suite: the suite
 */
void pci_kunit_suite_exit(struct kunit_suite *suite)
{
	pci_kunit_pretend_cpu(cpu_before.x86_vendor, cpu_before.x86);
	pci_kunit_pretend_guest(cpu_has(&cpu_before, X86_FEATURE_HYPERVISOR));
}
EXPORT_SYMBOL_GPL(pci_kunit_suite_exit);

/**
 * pci_kunit_no_complaints() - nothing in a suite made the kernel complain
 * @test: the last case of the suite, which pci_kunit_suite_init() began
 *
 * KUnit does not notice that by itself. The case fails if there was a warning,
 * an oops, a bad page, a lockup or a report of lockdep.
 */
void pci_kunit_no_complaints(struct kunit *test)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_taints); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_taint(bad_taints[i]),
				    tainted_before[i],
				    "taint %u: see the kernel log",
				    bad_taints[i]);
	KUNIT_EXPECT_EQ_MSG(test, debug_locks, locks_before,
			    "lockdep: see the kernel log");
}
EXPORT_SYMBOL_GPL(pci_kunit_no_complaints);

MODULE_DESCRIPTION("KUnit on a declared PCI tree");
MODULE_LICENSE("GPL");
