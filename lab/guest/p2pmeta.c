// SPDX-License-Identifier: GPL-2.0
/*
 * p2pmeta - NVMe data and metadata, each in a memory of its own
 *
 *	p2pmeta DRIVE DATA METADATA
 *
 * DATA and METADATA are p2pmem/allocate files, or "system". Writes blocks whose
 * metadata is a buffer of its own by a passthrough command, reads them back into
 * cleared memory of the same kinds, and then into system memory, and compares.
 * Overwrites the beginning of the drive.
 *
 * Exit status 0 if all is right, 1 if the program cannot do its work, 2 if data
 * or metadata is wrong, 3 if a command fails.
 */
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include "p2pmem.h"

#define BLOCKS		16
#define BLOCK		512
#define METADATA	8
#define DATA_BYTES	(BLOCKS * BLOCK)
#define META_BYTES	(BLOCKS * METADATA)
#define NVME_WRITE	1
#define NVME_READ	2

static int drive;
static int nsid;

static __u64 *map_kind(const char *kind)
{
	return !strcmp(kind, "system") ? map_system(4096UL * 4) :
					 map_provider(kind, 4096UL * 4);
}

static void run_command(int opcode, __u64 *data, __u64 *metadata)
{
	struct nvme_passthru_cmd cmd = {
		.opcode = opcode, .nsid = nsid,
		.addr = (uintptr_t)data, .data_len = DATA_BYTES,
		.metadata = (uintptr_t)metadata, .metadata_len = META_BYTES,
		.cdw12 = BLOCKS - 1,
	};
	int status = ioctl(drive, NVME_IOCTL_IO_CMD, &cmd);

	if (status < 0)
		die_errno(3, "the command %d fails", opcode);
	if (status > 0) {
		fprintf(stderr, "p2pmeta: the drive answers the command %d with status %#x\n",
			opcode, status);
		exit(3);
	}
}

static void fill(__u64 *memory, size_t bytes, __u64 first)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(*memory); i++)
		write_word(&memory[i],
			   first ? first + i * 0x9e3779b97f4a7c15ULL : 0);
}

static int check(__u64 *memory, size_t bytes, __u64 first, const char *what)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(*memory); i++) {
		if (read_word(&memory[i]) == first + i * 0x9e3779b97f4a7c15ULL)
			continue;
		printf("%s wrong at %zu\n", what, i * sizeof(*memory));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	__u64 *data, *metadata, *plain, *plain_metadata;
	int faults = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: p2pmeta DRIVE DATA METADATA\n");
		return 1;
	}
	drive = open_or_die(argv[1], O_RDWR);
	nsid = ioctl(drive, NVME_IOCTL_ID);
	if (nsid <= 0)
		die_errno(1, "%s is no NVMe namespace", argv[1]);
	data = map_kind(argv[2]);
	metadata = map_kind(argv[3]);
	plain = map_kind("system");
	plain_metadata = map_kind("system");

	fill(data, DATA_BYTES, 1000);
	fill(metadata, META_BYTES, 2000);
	run_command(NVME_WRITE, data, metadata);

	run_command(NVME_READ, plain, plain_metadata);
	faults += check(plain, DATA_BYTES, 1000, "written data");
	faults += check(plain_metadata, META_BYTES, 2000, "written metadata");

	fill(data, DATA_BYTES, 0);
	fill(metadata, META_BYTES, 0);
	run_command(NVME_READ, data, metadata);
	faults += check(data, DATA_BYTES, 1000, "read data");
	faults += check(metadata, META_BYTES, 2000, "read metadata");

	if (faults)
		return 2;
	puts("data and metadata are right");
	return 0;
}
