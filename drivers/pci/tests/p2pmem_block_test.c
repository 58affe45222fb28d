// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of memory behind a BAR as a block device: that bytes go where they
 * belong, and what happens to who has the disk open when it ends.
 *
 * There is nothing behind the BARs of the fixture, so that the disks of these
 * tests are of ordinary memory, where every byte can be looked at.
 * p2pmem_pci_test.c has how the administrator comes by a disk.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../p2pmem_block.h"
#include "../pci_kunit.h"

#define SIZE	SZ_64K

static const struct pci_kunit_node bench[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
};

/* A disk, its memory, the device that it belongs to, and somebody who opened it */
struct stage {
	struct pci_dev *pdev;
	u8 *memory;
	struct gendisk *disk;
	struct file *file;
};

KUNIT_DEFINE_ACTION_WRAPPER(destroy, p2pmem_block_destroy, struct gendisk *);
KUNIT_DEFINE_ACTION_WRAPPER(vfree_action, vfree, const void *);

static void close_file(void *file)
{
	fput(file);
	flush_delayed_fput();
}

/* A byte that differs from those around it, and from those a sector away */
static u8 pattern(size_t i)
{
	return i * 7 + (i >> SECTOR_SHIFT) * 13 + 1;
}

static void fill(u8 *bytes, size_t offset, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = pattern(offset + i);
}

static struct gendisk *add_disk_of(struct kunit *test, struct pci_dev *pdev,
				   void *memory)
{
	struct gendisk *disk;

	disk = p2pmem_block_create(pdev, (void __iomem __force *)memory, SIZE);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(disk), "%pe", disk);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy, disk),
			0);
	return disk;
}

static void *get_memory(struct kunit *test)
{
	void *memory = vzalloc(SIZE);

	KUNIT_ASSERT_NOT_NULL(test, memory);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, vfree_action,
							memory), 0);
	return memory;
}

static struct stage set_stage(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, bench);
	struct stage stage = { .pdev = pci_kunit_dev(tree, "mem") };

	stage.memory = get_memory(test);
	stage.disk = add_disk_of(test, stage.pdev, stage.memory);
	stage.file = bdev_file_open_by_dev(disk_devt(stage.disk),
					   BLK_OPEN_READ | BLK_OPEN_WRITE,
					   NULL, NULL);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(stage.file), "%pe", stage.file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_file,
							stage.file), 0);
	return stage;
}

/* One bio, past the page cache.  @buffer is physically contiguous */
static int transfer(struct stage *stage, blk_opf_t opf, sector_t sector,
		    void *buffer, size_t len)
{
	struct bio_vec vec;
	struct bio bio;
	int error;

	bio_init(&bio, file_bdev(stage->file), &vec, 1, opf);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, virt_to_page(buffer), len,
		       offset_in_page(buffer));
	error = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return error;
}

/* Data ---------------------------------------------------------------------- */

static const struct piece {
	sector_t sector;
	size_t len;
	size_t skip;	/* where in the buffer it begins */
} pieces[] = {
	{ 0, SECTOR_SIZE, 0 },
	{ 3, SECTOR_SIZE, SECTOR_SIZE },
	{ 7, 9 * SECTOR_SIZE, 3 * SECTOR_SIZE },
	{ 8, SZ_16K, 0 },
	{ (SIZE - SECTOR_SIZE) >> SECTOR_SHIFT, SECTOR_SIZE, 0 },
	{ 0, SIZE, 0 },
};

static void piece_name(const struct piece *piece, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes at sector %llu",
		 piece->len, (u64)piece->sector);
}

KUNIT_ARRAY_PARAM(piece, pieces, piece_name);

static void writes_go_where_they_belong(struct kunit *test)
{
	const struct piece *piece = test->param_value;
	size_t begin = piece->sector << SECTOR_SHIFT;
	u8 *buffer = kunit_kzalloc(test, SIZE + SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);
	u8 *want = get_memory(test);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	memset(stage.memory, 0xa5, SIZE);
	memset(want, 0xa5, SIZE);
	fill(want + begin, begin, piece->len);

	fill(buffer + piece->skip, begin, piece->len);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_WRITE | REQ_FUA,
				       piece->sector, buffer + piece->skip,
				       piece->len), 0);
	KUNIT_EXPECT_MEMEQ(test, stage.memory, want, SIZE);
}

static void reads_come_from_where_they_belong(struct kunit *test)
{
	const struct piece *piece = test->param_value;
	size_t begin = piece->sector << SECTOR_SHIFT;
	u8 *buffer = kunit_kzalloc(test, SIZE + SZ_4K, GFP_KERNEL);
	u8 *want = kunit_kzalloc(test, SIZE + SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_NOT_NULL(test, want);
	fill(stage.memory, 0, SIZE);
	fill(want + piece->skip, begin, piece->len);

	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_READ, piece->sector,
				       buffer + piece->skip, piece->len), 0);
	KUNIT_EXPECT_MEMEQ(test, buffer, want, SIZE + SZ_4K);
}

static void ends_where_the_memory_ends(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_EXPECT_EQ(test, bdev_nr_bytes(file_bdev(stage.file)), SIZE);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_WRITE,
				       (SIZE >> SECTOR_SHIFT) - 1, buffer,
				       SZ_4K), -EIO);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_READ,
				       SIZE >> SECTOR_SHIFT, buffer,
				       SECTOR_SIZE), -EIO);
}

static void cached_writes_arrive_when_told_to(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);
	loff_t pos = SZ_8K;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	fill(buffer, 0, SZ_4K);
	KUNIT_EXPECT_TRUE(test,
			  bdev_write_cache(file_bdev(stage.file)));
	KUNIT_ASSERT_EQ(test, kernel_write(stage.file, buffer, SZ_4K, &pos),
			SZ_4K);
	KUNIT_EXPECT_EQ(test, vfs_fsync(stage.file, 0), 0);
	KUNIT_EXPECT_MEMEQ(test, stage.memory + SZ_8K, buffer, SZ_4K);
}

/* Names --------------------------------------------------------------------- */

static void disks_have_names_of_their_own(struct kunit *test)
{
	struct stage stage = set_stage(test);
	char first[DISK_NAME_LEN];
	struct gendisk *other;

	strscpy(first, stage.disk->disk_name);
	other = add_disk_of(test, stage.pdev, get_memory(test));
	KUNIT_EXPECT_STRNEQ(test, other->disk_name, first);

	/* Free again though the disk is still open */
	kunit_release_action(test, destroy, stage.disk);
	other = add_disk_of(test, stage.pdev, get_memory(test));
	KUNIT_EXPECT_STREQ(test, other->disk_name, first);
}

/* The end ------------------------------------------------------------------- */

static void dies_under_who_has_it_open(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);
	loff_t pos = SZ_4K;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	fill(buffer, 0, SZ_4K);
	KUNIT_ASSERT_EQ(test, kernel_write(stage.file, buffer, SZ_4K, &pos),
			SZ_4K);

	/* What was cached is written first */
	kunit_release_action(test, destroy, stage.disk);
	KUNIT_EXPECT_MEMEQ(test, stage.memory + SZ_4K, buffer, SZ_4K);

	memset(stage.memory, 0xa5, SIZE);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_WRITE, 0, buffer, SZ_4K),
			-EIO);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_READ, 0, buffer, SZ_4K),
			-EIO);
	KUNIT_EXPECT_NULL(test, memchr_inv(stage.memory, 0xa5, SIZE));
}

static void tells_that_the_device_is_gone(struct kunit *test)
{
	u8 *buffer = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	struct stage stage = set_stage(test);
	loff_t pos = SZ_4K;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	fill(buffer, 0, SZ_4K);
	KUNIT_ASSERT_EQ(test, kernel_write(stage.file, buffer, SZ_4K, &pos),
			SZ_4K);

	stage.pdev->error_state = pci_channel_io_perm_failure;
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_READ, 0, buffer, SZ_4K),
			-EIO);
	KUNIT_EXPECT_EQ(test, transfer(&stage, REQ_OP_WRITE | REQ_FUA, 0,
				       buffer, SZ_4K), -EIO);

	/* There is nobody to write to any more */
	memset(stage.memory, 0xa5, SIZE);
	kunit_release_action(test, destroy, stage.disk);
	KUNIT_EXPECT_NULL(test, memchr_inv(stage.memory, 0xa5, SIZE));
	stage.pdev->error_state = pci_channel_io_normal;
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case p2pmem_block_cases[] = {
	KUNIT_CASE_PARAM(writes_go_where_they_belong, piece_gen_params),
	KUNIT_CASE_PARAM(reads_come_from_where_they_belong, piece_gen_params),
	KUNIT_CASE(ends_where_the_memory_ends),
	KUNIT_CASE(cached_writes_arrive_when_told_to),
	KUNIT_CASE(disks_have_names_of_their_own),
	KUNIT_CASE(dies_under_who_has_it_open),
	KUNIT_CASE(tells_that_the_device_is_gone),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pmem_block_suite = {
	.name = "pci_p2pmem_block",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pmem_block_cases,
};

kunit_test_suite(p2pmem_block_suite);

MODULE_DESCRIPTION("KUnit tests of memory behind a PCI BAR as a block device");
MODULE_LICENSE("GPL");
