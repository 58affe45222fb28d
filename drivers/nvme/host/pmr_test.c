// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the Persistent Memory Region of NVMe drives (pmr.c): which
 * region is used, which is switched off again and left alone, and what becomes of
 * one when the controller is started again or its driver goes.
 *
 * The drive is an endpoint of a declared PCI tree.  Its registers are in struct
 * drive: whoever reads or writes one in a case does so by read_register() and
 * write_register(), in the task of the case.  Hence drivers are unbound by that
 * task, too.  Bits and offsets are those of the NVMe base specification, not
 * those of pmr.c.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <kunit/test-bug.h>

#include <linux/bits.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/pci-p2pdma.h>
#include <linux/sizes.h>

#include "../../pci/pci_kunit.h"
#include "../../pci/tests/p2pdma_fault.h"
#include "nvme.h"
#include "pmr.h"

#define UNLISTED	0x29c0

#define PMRCAP		0xe00
#define PMRCTL		0xe04
#define PMRSTS		0xe08
#define PMRMSCL		0xe14
#define PMRMSCU		0xe18

/* PMRCAP: commands read and write it, the BAR, the units of time, the barriers */
#define RDS		BIT(3)
#define WDS		BIT(4)
#define BIR(bar)	((bar) << 5)
#define MINUTES		BIT(8)
#define WBM_MEMORY	BIT(10)
#define WBM_STATUS	BIT(11)
#define TIMEOUT(units)	((units) << 16)
#define CMSS		BIT(24)

#define HAS_PMR		BIT_ULL(56)
#define ENABLED		BIT(0)
#define ERROR		1
#define NOT_READY	BIT(8)
#define HEALTH(state)	((state) << 9)
#define CMSE		BIT(1)

#define REGION		2
#define REGION_BYTES	SZ_4M
#define BUS_OFFSET	SZ_2G

/* Two minutes at most: a loaded machine is to pass */
#define HEALTHY		(RDS | WDS | BIR(REGION) | WBM_STATUS | TIMEOUT(255))

/* More allocations than looking for a region makes */
#define MOST_FAULTS	200

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = PCI_VENDOR_ID_INTEL,
	  .device = UNLISTED, .bus_offset = BUS_OFFSET },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "drive", "rp0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_16K },
		   [REGION] = { .size = REGION_BYTES },
		   [4] = { .size = 256, .type = PCI_KUNIT_BAR_IO } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "small", "rp1", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_16K }, [REGION] = { .size = SZ_64K } } },
};

/*
 * A drive.  The first registers are as the host finds them; PMRSTS is not ready
 * for the next @busy times that it is read, and until @ready_at if that is not 0.
 */
struct drive {
	struct kunit		*test;
	struct pci_kunit_tree	*tree;
	struct pci_dev		*pdev;
	struct nvme_ctrl	ctrl;
	u32			cap;
	u32			status;
	u32			control;
	u32			space_low;
	u32			space_high;
	unsigned int		busy;
	unsigned long		ready_at;
	bool			gone;

	/* What was done to it, and what there was when it was switched off last */
	unsigned int		status_reads;
	unsigned int		control_writes;
	unsigned int		status_reads_then;
	bool			memory_then;
};

static u32 read_status(struct drive *drive)
{
	bool busy = drive->busy || (drive->ready_at &&
				    time_before(jiffies, drive->ready_at));

	drive->status_reads++;
	if (!busy)
		return drive->status;

	if (drive->busy && drive->busy != UINT_MAX)
		drive->busy--;
	/* What is not ready must not be found by anybody */
	KUNIT_EXPECT_FALSE(drive->test, pci_has_p2pmem(drive->pdev));
	return drive->status | NOT_READY;
}

static u32 read_register(struct nvme_pmr *pmr, u32 reg)
{
	struct kunit *test = kunit_get_current_test();
	struct drive *drive = test->priv;

	if (drive->gone)
		return U32_MAX;

	switch (reg) {
	case PMRCAP:
		return drive->cap;
	case PMRCTL:
		return drive->control;
	case PMRSTS:
		return read_status(drive);
	}

	KUNIT_FAIL(test, "register %#x is read", reg);
	return 0;
}

static void write_register(struct nvme_pmr *pmr, u32 reg, u32 value)
{
	struct kunit *test = kunit_get_current_test();
	struct drive *drive = test->priv;

	switch (reg) {
	case PMRCTL:
		drive->control = value;
		drive->control_writes++;
		drive->status_reads_then = drive->status_reads;
		drive->memory_then = rcu_access_pointer(drive->pdev->p2pdma);
		return;
	case PMRMSCL:
		drive->space_low = value;
		return;
	case PMRMSCU:
		drive->space_high = value;
		return;
	}

	KUNIT_FAIL(test, "register %#x is written", reg);
}

static void unbind(void *data)
{
	struct drive *drive = data;

	device_release_driver(&drive->pdev->dev);
}

static struct drive *drive_make(struct kunit *test, const char *name, u32 cap)
{
	struct drive *drive = kunit_kzalloc(test, sizeof(*drive), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, drive);
	drive->test = test;
	drive->cap = cap;
	test->priv = drive;
	kunit_activate_static_stub(test, nvme_pmr_read, read_register);
	kunit_activate_static_stub(test, nvme_pmr_write, write_register);

	drive->tree = PCI_KUNIT_CREATE(test, nodes);
	drive->pdev = pci_kunit_bind(drive->tree, name);
	drive->ctrl.cap = HAS_PMR;
	drive->ctrl.device = &drive->pdev->dev;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unbind, drive), 0);
	return drive;
}

static struct nvme_pmr *find(struct drive *drive)
{
	struct nvme_pmr *pmr = nvme_pmr_find(&drive->ctrl, drive->pdev);

	KUNIT_ASSERT_NOT_NULL(drive->test, pmr);
	return pmr;
}

/* Find the region and start the controller, once */
static struct drive *started(struct kunit *test, u32 cap)
{
	struct drive *drive = drive_make(test, "drive", cap);

	nvme_pmr_enable(find(drive), true);
	return drive;
}

/* All of the region can be had, and by those who look for a provider, or not */
static void expect_used(struct drive *drive, bool published)
{
	void *all = pci_alloc_p2pmem(drive->pdev, REGION_BYTES);

	KUNIT_EXPECT_NOT_NULL(drive->test, all);
	if (all)
		pci_free_p2pmem(drive->pdev, all, REGION_BYTES);
	KUNIT_EXPECT_EQ(drive->test, pci_has_p2pmem(drive->pdev), published);
	KUNIT_EXPECT_EQ(drive->test, drive->control, ENABLED);
}

/* Switched off again after so many writes of PMRCTL, and never registered */
static void expect_not_used(struct drive *drive, unsigned int writes)
{
	KUNIT_EXPECT_NULL(drive->test, rcu_access_pointer(drive->pdev->p2pdma));
	KUNIT_EXPECT_EQ(drive->test, drive->control, 0);
	KUNIT_EXPECT_EQ(drive->test, drive->control_writes, writes);
}

static void used_and_switched_off(struct kunit *test)
{
	struct drive *drive = started(test, HEALTHY);
	unsigned int reads = drive->status_reads;

	expect_used(drive, true);
	KUNIT_EXPECT_EQ(test, reads, 1);
	KUNIT_EXPECT_EQ(test, drive->control_writes, 1);
	KUNIT_EXPECT_EQ(test, drive->space_low, 0);
	KUNIT_EXPECT_EQ(test, drive->space_high, 0);

	unbind(drive);
	expect_not_used(drive, 2);
	/* All memory had come back, and then the last write arrived */
	KUNIT_EXPECT_FALSE(test, drive->memory_then);
	KUNIT_EXPECT_EQ(test, drive->status_reads_then, reads + 1);
}

static void barrier_is_a_read_of_memory(struct kunit *test)
{
	struct drive *drive = started(test, RDS | WDS | BIR(REGION) | WBM_MEMORY);

	expect_used(drive, true);
	unbind(drive);
	expect_not_used(drive, 2);
	KUNIT_EXPECT_FALSE(test, drive->memory_then);
	KUNIT_EXPECT_EQ(test, drive->status_reads, 1);
}

static void both_directions_or_unpublished(struct kunit *test)
{
	static const u32 directions[] = { 0, RDS, WDS };
	struct drive *drive = drive_make(test, "drive", 0);
	struct nvme_pmr *pmr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		drive->cap = (HEALTHY & ~(RDS | WDS)) | directions[i];
		pmr = find(drive);
		nvme_pmr_enable(pmr, true);
		expect_used(drive, false);
		drive->control = 0;
		nvme_pmr_enable(pmr, true);
		expect_used(drive, false);

		unbind(drive);
		pci_kunit_bind(drive->tree, "drive");
	}
}

/* Where commands find the region is an address of the bus */
static void address_is_told(struct kunit *test)
{
	struct drive *drive = started(test, HEALTHY | CMSS);
	u64 base = pci_resource_start(drive->pdev, REGION) - BUS_OFFSET;

	expect_used(drive, true);
	KUNIT_EXPECT_EQ(test, drive->space_low, lower_32_bits(base) | CMSE);
	KUNIT_EXPECT_EQ(test, drive->space_high, upper_32_bits(base));
}

static void waits_until_ready(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);

	drive->busy = 3;
	nvme_pmr_enable(find(drive), true);
	expect_used(drive, true);
	KUNIT_EXPECT_EQ(test, drive->status_reads, 4);
}

/* Longer than one unit would be otherwise */
static void waits_for_minutes(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", RDS | WDS | BIR(REGION) |
					 WBM_STATUS | MINUTES | TIMEOUT(1));

	drive->ready_at = jiffies + msecs_to_jiffies(600);
	nvme_pmr_enable(find(drive), true);
	expect_used(drive, true);
}

static void waits_no_longer_than_told(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", RDS | WDS | BIR(REGION) |
					 WBM_STATUS);
	struct nvme_pmr *pmr = find(drive);

	drive->busy = UINT_MAX;
	nvme_pmr_enable(pmr, true);
	expect_not_used(drive, 2);

	/* The next start may find it ready */
	drive->busy = 0;
	nvme_pmr_enable(pmr, true);
	expect_used(drive, true);
}

static void left_off_if_never_used(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);

	find(drive);
	unbind(drive);
	expect_not_used(drive, 0);
	KUNIT_EXPECT_EQ(test, drive->status_reads, 0);
}

struct illness {
	const char *name;
	u32 status;
};

static const struct illness illnesses[] = {
	{ "error", ERROR },
	{ "not restored", HEALTH(1) },
	{ "read only", HEALTH(2) },
	{ "unreliable", HEALTH(3) },
	{ "all of it", ERROR | HEALTH(3) },
};

KUNIT_ARRAY_PARAM_DESC(illness, illnesses, name);

static void not_used_if_not_healthy(struct kunit *test)
{
	const struct illness *illness = test->param_value;
	struct drive *drive = drive_make(test, "drive", HEALTHY);

	drive->status = illness->status;
	nvme_pmr_enable(find(drive), true);
	expect_not_used(drive, 2);
	KUNIT_EXPECT_EQ(test, drive->status_reads, 1);
}

/* Waits neither for two minutes nor at all */
static void not_used_if_gone(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);
	struct nvme_pmr *pmr = find(drive);
	unsigned long start = jiffies;

	drive->gone = true;
	nvme_pmr_enable(pmr, true);
	expect_not_used(drive, 2);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + 60 * HZ));

	/* It went before: PMRCAP is all ones, too */
	nvme_pmr_enable(find(drive), true);
	expect_not_used(drive, 2);
}

/* Registers, half of a register pair, I/O ports, and what is no BAR at all */
static void bar_is_not_usable(struct kunit *test)
{
	static const u32 bars[] = { 0, 1, 3, 4, 5, 6, 7 };
	struct drive *drive = drive_make(test, "drive", 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bars); i++) {
		drive->cap = (HEALTHY & ~BIR(7)) | BIR(bars[i]);
		nvme_pmr_enable(find(drive), true);
		expect_not_used(drive, 0);
	}
}

static void bar_is_too_small(struct kunit *test)
{
	struct drive *drive = drive_make(test, "small", HEALTHY);

	nvme_pmr_enable(find(drive), true);
	expect_not_used(drive, 0);
}

static void not_used_beside_other_memory(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);
	struct nvme_pmr *pmr = find(drive);

	nvme_pmr_enable(pmr, false);
	expect_not_used(drive, 0);
	nvme_pmr_enable(pmr, true);
	expect_used(drive, true);
}

static void none_without_the_capability(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);

	drive->ctrl.cap = ~HAS_PMR;
	KUNIT_EXPECT_NULL(test, nvme_pmr_find(&drive->ctrl, drive->pdev));
	nvme_pmr_enable(NULL, true);
	expect_not_used(drive, 0);
}

static void started_again(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);
	struct nvme_pmr *pmr = find(drive);

	nvme_pmr_enable(pmr, true);
	nvme_pmr_enable(pmr, true);
	KUNIT_EXPECT_EQ(test, drive->control_writes, 1);
	expect_used(drive, true);

	/* The reset was one that the registers do not survive */
	drive->control = 0;
	nvme_pmr_enable(pmr, true);
	KUNIT_EXPECT_EQ(test, drive->control_writes, 2);
	expect_used(drive, true);

	/* Nor that, and there is other memory now: this one has been handed out */
	drive->control = 0;
	nvme_pmr_enable(pmr, false);
	KUNIT_EXPECT_EQ(test, drive->control_writes, 3);
	expect_used(drive, true);
}

static void started_again_and_ill(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);
	struct nvme_pmr *pmr = find(drive);

	nvme_pmr_enable(pmr, true);
	drive->control = 0;
	drive->status = ERROR;
	nvme_pmr_enable(pmr, true);
	KUNIT_EXPECT_FALSE(test, pci_has_p2pmem(drive->pdev));
	KUNIT_EXPECT_EQ(test, drive->control, 0);

	drive->status = 0;
	nvme_pmr_enable(pmr, true);
	expect_used(drive, true);
}

/* No bridge forwards the addresses that the region has */
static void cannot_be_registered(struct kunit *test)
{
	struct drive *drive = drive_make(test, "drive", HEALTHY);
	struct nvme_pmr *pmr = find(drive);
	struct resource *bar = &drive->pdev->resource[REGION], *parent = bar->parent;

	bar->parent = NULL;
	nvme_pmr_enable(pmr, true);
	bar->parent = parent;
	expect_not_used(drive, 2);

	nvme_pmr_enable(pmr, true);
	expect_used(drive, true);
}

/* Each allocation of it fails in turn: there is no region, or one that works */
static void looked_for_when_memory_is_short(struct kunit *test)
{
	struct nvme_pmr *pmr;
	struct drive *drive;
	unsigned int n = 0;
	bool hit;

	if (!IS_ENABLED(CONFIG_PCI_P2PDMA_KUNIT_TEST))
		kunit_skip(test, "needs CONFIG_PCI_P2PDMA_KUNIT_TEST");
	fault_prepare(test);
	drive = drive_make(test, "drive", RDS | WDS | BIR(REGION) | WBM_MEMORY);

	do {
		fault_set_nth(++n);
		pmr = nvme_pmr_find(&drive->ctrl, drive->pdev);
		hit = !fault_get_nth();
		fault_set_nth(0);

		if (!hit)
			KUNIT_EXPECT_NOT_NULL(test, pmr);
		nvme_pmr_enable(pmr, true);
		if (pmr)
			expect_used(drive, true);
		unbind(drive);
		KUNIT_EXPECT_EQ(test, drive->control, 0);
		pci_kunit_bind(drive->tree, "drive");
	} while (hit && n < MOST_FAULTS);

	KUNIT_EXPECT_FALSE(test, hit);
	/* The region, two mappings, and what ends them */
	KUNIT_EXPECT_GT(test, n, 4);
	kunit_info(test, "figure: faults=%u\n", n - 1);
}

static struct kunit_case nvme_pmr_cases[] = {
	KUNIT_CASE(used_and_switched_off),
	KUNIT_CASE(barrier_is_a_read_of_memory),
	KUNIT_CASE(both_directions_or_unpublished),
	KUNIT_CASE(address_is_told),
	KUNIT_CASE(waits_until_ready),
	KUNIT_CASE(waits_for_minutes),
	KUNIT_CASE(waits_no_longer_than_told),
	KUNIT_CASE(left_off_if_never_used),
	KUNIT_CASE_PARAM(not_used_if_not_healthy, illness_gen_params),
	KUNIT_CASE(not_used_if_gone),
	KUNIT_CASE(bar_is_not_usable),
	KUNIT_CASE(bar_is_too_small),
	KUNIT_CASE(not_used_beside_other_memory),
	KUNIT_CASE(none_without_the_capability),
	KUNIT_CASE(started_again),
	KUNIT_CASE(started_again_and_ill),
	KUNIT_CASE(cannot_be_registered),
	KUNIT_CASE(looked_for_when_memory_is_short),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite nvme_pmr_suite = {
	.name = "nvme_pmr",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = nvme_pmr_cases,
};

kunit_test_suite(nvme_pmr_suite);

MODULE_DESCRIPTION("KUnit tests of the Persistent Memory Region of NVMe drives");
MODULE_LICENSE("GPL");
