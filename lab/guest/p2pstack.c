// SPDX-License-Identifier: GPL-2.0
/*
 * p2pstack - make a block device of others
 *
 *	p2pstack raid0|raid1 DEVICE DEVICE...		by md
 *	p2pstack linear|striped|delay DEVICE...		by the device mapper
 *	p2pstack multipath DEVICE...			paths to the same data
 *	p2pstack stop DEVICE
 *
 * Prints the path of the new device. Nothing is written to the devices below:
 * the array lives as long as the machine runs or until it is stopped. It stands
 * in for mdadm and dmsetup, which would bring libraries along.
 */
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "p2pmem.h"

#define STRIPE		65536
#define SECTOR		512
#define MD_NODE		"/dev/md0"
#define DM_CONTROL	"/dev/mapper/control"
#define DM_NAME		"lab"
#define MAX_TABLE	4096
/* Bits of md's states, which the kernel's exported headers leave out */
#define DISK_ACTIVE	1
#define DISK_SYNC	2
#define ARRAY_CLEAN	0

static dev_t number_of(const char *device)
{
	struct stat status;

	if (stat(device, &status))
		die_errno(1, "cannot find %s", device);
	if (!S_ISBLK(status.st_mode)) {
		fprintf(stderr, "p2pstack: %s is no block device\n", device);
		exit(1);
	}
	return status.st_rdev;
}

static unsigned long long sectors_of(const char *device)
{
	int fd = open_or_die(device, O_RDONLY);
	unsigned long long bytes;

	if (ioctl(fd, BLKGETSIZE64, &bytes))
		die_errno(1, "cannot ask for the size of %s", device);
	close(fd);
	return bytes / SECTOR;
}

static void make_md(int level, char **devices, int count)
{
	mdu_array_info_t array = {
		.major_version = 0, .minor_version = 90, .level = level,
		.nr_disks = count, .raid_disks = count, .not_persistent = 1,
		.state = 1 << ARRAY_CLEAN, .active_disks = count,
		.working_disks = count, .chunk_size = level == 1 ? 0 : STRIPE,
	};
	int i, fd, tries = 0;

	if (mknod(MD_NODE, S_IFBLK | 0600, makedev(MD_MAJOR, 0)) &&
	    errno != EEXIST)
		die_errno(1, "cannot make %s", MD_NODE);
	/* An array that was stopped is gone a moment later, and not before */
	while ((fd = open(MD_NODE, O_RDWR | O_CLOEXEC)) < 0 &&
	       (errno == ENODEV || errno == ENXIO) && tries++ < 300)
		usleep(100000);
	if (fd < 0)
		die_errno(1, "cannot open %s", MD_NODE);
	array.size = sectors_of(devices[0]) / 2;
	if (ioctl(fd, SET_ARRAY_INFO, &array))
		die_errno(1, "cannot set up %s", MD_NODE);
	for (i = 0; i < count; i++) {
		dev_t number = number_of(devices[i]);
		mdu_disk_info_t disk = {
			.number = i, .major = major(number),
			.minor = minor(number), .raid_disk = i,
			.state = 1 << DISK_ACTIVE | 1 << DISK_SYNC,
		};

		if (ioctl(fd, ADD_NEW_DISK, &disk))
			die_errno(1, "cannot add %s to %s", devices[i],
				  MD_NODE);
	}
	if (ioctl(fd, RUN_ARRAY, NULL))
		die_errno(1, "cannot start %s", MD_NODE);
	puts(MD_NODE);
}

/* An ioctl of the device mapper, with a table of one target if there is one */
static struct dm_ioctl *dm(unsigned long request, unsigned int flags,
			   const char *type, unsigned long long sectors,
			   const char *table)
{
	static union {
		struct dm_ioctl io;
		char room[sizeof(struct dm_ioctl) +
			  sizeof(struct dm_target_spec) + MAX_TABLE];
	} buffer;
	int fd = open_or_die(DM_CONTROL, O_RDWR);
	struct dm_target_spec *target;

	memset(&buffer, 0, sizeof(buffer));
	buffer.io.version[0] = DM_VERSION_MAJOR;
	buffer.io.data_size = sizeof(buffer);
	buffer.io.data_start = sizeof(buffer.io);
	buffer.io.flags = flags;
	snprintf(buffer.io.name, sizeof(buffer.io.name), "%s", DM_NAME);
	if (type) {
		buffer.io.target_count = 1;
		target = (struct dm_target_spec *)(buffer.room +
						   sizeof(buffer.io));
		target->length = sectors;
		snprintf(target->target_type, sizeof(target->target_type),
			 "%s", type);
		snprintf((char *)(target + 1), MAX_TABLE, "%s", table);
	}
	if (ioctl(fd, request, &buffer))
		die_errno(1, "the device mapper refuses request %#lx", request);
	close(fd);
	return &buffer.io;
}

static void make_dm(const char *type, char **devices, int count)
{
	unsigned long long sectors = sectors_of(devices[0]);
	const char *start = " 0";
	char table[MAX_TABLE] = "";
	unsigned int number;
	int i, used = 0;

	if (!strcmp(type, "striped")) {
		sectors *= count;
		used = sprintf(table, "%d %d ", count, STRIPE / SECTOR);
	}
	/* No features, no handler; one group of paths, which take turns */
	if (!strcmp(type, "multipath")) {
		used = sprintf(table, "0 0 1 1 round-robin 0 %d 0 ", count);
		start = "";
	}
	for (i = 0; i < count; i++) {
		dev_t device = number_of(devices[i]);

		used += snprintf(table + used, sizeof(table) - used,
				 "%u:%u%s ", major(device), minor(device),
				 start);
	}
	/* By no time at all */
	if (!strcmp(type, "delay"))
		strcat(table, "0");

	dm(DM_DEV_CREATE, 0, NULL, 0, NULL);
	dm(DM_TABLE_LOAD, 0, type, sectors, table);
	/* Resume, which takes the new table into use */
	number = minor(dm(DM_DEV_SUSPEND, 0, NULL, 0, NULL)->dev);
	printf("/dev/dm-%u\n", number);
}

static void stop_device(const char *device)
{
	int fd;

	if (strcmp(device, MD_NODE)) {
		dm(DM_DEV_REMOVE, 0, NULL, 0, NULL);
		return;
	}
	fd = open_or_die(device, O_RDWR);
	if (ioctl(fd, STOP_ARRAY, NULL))
		die_errno(1, "cannot stop %s", device);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr,
			"usage: p2pstack raid0|raid1|linear|striped|delay|multipath DEVICE...\n"
			"       p2pstack stop DEVICE\n");
		return 1;
	}
	if (!strcmp(argv[1], "stop"))
		stop_device(argv[2]);
	else if (!strncmp(argv[1], "raid", 4))
		make_md(atoi(argv[1] + 4), argv + 2, argc - 2);
	else
		make_dm(argv[1], argv + 2, argc - 2);
	return 0;
}
