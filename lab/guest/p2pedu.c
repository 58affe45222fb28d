// SPDX-License-Identifier: GPL-2.0
/*
 * p2pedu - let QEMU's DMA test device reach a peer's memory, without a driver
 *
 *	p2pedu CLIENT PROVIDER BAR
 *
 * CLIENT is the sysfs directory of an edu device, PROVIDER that of another
 * device whose memory BAR number BAR is to be reached. The device fetches a
 * random block from the last but one page of the BAR into its own buffer, then
 * puts it from there into the last page, where the processor compares it. No
 * kernel code decides or maps anything: this shows what the hardware does with
 * the addresses on its bus.
 *
 * Prints one line and ends with 0 if the data is right, 3 if it is not, and 1
 * if the test itself could not be set up.
 *
 * The device's registers are in QEMU's docs/specs/edu.
 */
#include <endian.h>
#include <linux/types.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "p2pmem.h"

#define PAGE		4096UL
#define BLOCK		2048UL		/* the device stops QEMU above this */
#define EDU_SOURCE	0x80
#define EDU_DESTINATION	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_BUFFER	0x40000UL
#define EDU_RUN		1UL
#define EDU_TO_MEMORY	2UL
#define CONFIG_COMMAND	0x04
#define COMMAND_MEMORY	0x2
#define COMMAND_MASTER	0x4
#define PATIENCE	3000		/* times 10 ms; one transfer takes 100 */

static char *path_of(const char *directory, const char *file)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, file) < 0)
		die_errno(1, "out of memory");
	return path;
}

/* Decode memory, and do DMA: what drivers ask for when they bind. */
static void enable(const char *directory)
{
	int fd = open_or_die(path_of(directory, "config"), O_RDWR);
	__u16 command;

	if (pread(fd, &command, sizeof(command), CONFIG_COMMAND) !=
	    (ssize_t)sizeof(command))
		die_errno(1, "cannot read the command register");
	command |= htole16(COMMAND_MEMORY | COMMAND_MASTER);
	if (pwrite(fd, &command, sizeof(command), CONFIG_COMMAND) !=
	    (ssize_t)sizeof(command))
		die_errno(1, "cannot write the command register");
	close(fd);
}

/* The whole of a BAR, and where it is on the bus. */
static void *map_bar(const char *directory, unsigned int bar,
		     __u64 *address, size_t *bytes)
{
	char *path = path_of(directory, "resource"), name[24];
	FILE *table = fopen(path, "r");
	__u64 first, last;
	unsigned int i;
	void *memory;

	if (!table)
		die_errno(1, "cannot open %s", path);
	for (i = 0; i <= bar; i++)
		if (fscanf(table, "%llx %llx %*x", &first, &last) != 2 || (i == bar && !last)) {
			fprintf(stderr, "p2pedu: %s has no BAR %u\n",
				directory, bar);
			exit(1);
		}
	fclose(table);
	*address = first;
	*bytes = last - first + 1;
	snprintf(name, sizeof(name), "resource%u", bar);
	memory = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      open_or_die(path_of(directory, name), O_RDWR), 0);
	if (memory == MAP_FAILED)
		die_errno(1, "cannot map %s of %s", name, directory);
	return memory;
}

/*
 * The registers take 64-bit accesses. They are made as atomic ones, so that the
 * compiler leaves them as they are.
 */
static void set_register(unsigned char *edu, size_t where, __u64 value)
{
	__atomic_store_n((__u64 *)(edu + where), value, __ATOMIC_RELEASE);
}

static void transfer(unsigned char *edu, __u64 source, __u64 destination,
		     __u64 command)
{
	__u64 *running = (__u64 *)(edu + EDU_COMMAND);
	unsigned int i;

	set_register(edu, EDU_SOURCE, source);
	set_register(edu, EDU_DESTINATION, destination);
	set_register(edu, EDU_COUNT, BLOCK);
	set_register(edu, EDU_COMMAND, command | EDU_RUN);
	for (i = 0; i < PATIENCE; i++) {
		if (!(__atomic_load_n(running, __ATOMIC_ACQUIRE) & EDU_RUN))
			return;
		usleep(10000);
	}
	fprintf(stderr, "p2pedu: the device does not finish\n");
	exit(1);
}

int main(int argc, char **argv)
{
	unsigned char *edu, *memory, wanted[BLOCK], other[BLOCK];
	__u64 edu_address, address;
	size_t edu_bytes, bytes;

	if (argc != 4) {
		fprintf(stderr, "usage: p2pedu CLIENT PROVIDER BAR\n");
		return 1;
	}
	enable(argv[1]);
	enable(argv[2]);
	edu = map_bar(argv[1], 0, &edu_address, &edu_bytes);
	memory = map_bar(argv[2], bytes_arg(argv[3]), &address, &bytes);
	if (bytes < 2 * PAGE) {
		fprintf(stderr, "p2pedu: the BAR is smaller than two pages\n");
		return 1;
	}
	memory += bytes - 2 * PAGE;
	address += bytes - 2 * PAGE;

	if (getrandom(wanted, BLOCK, 0) != (ssize_t)BLOCK ||
	    getrandom(other, BLOCK, 0) != (ssize_t)BLOCK)
		die_errno(1, "no random numbers");
	memcpy(memory, wanted, BLOCK);
	memcpy(memory + PAGE, other, BLOCK);

	transfer(edu, address, EDU_BUFFER, 0);
	/* from here on, only the device's buffer has the block */
	memcpy(memory, other, BLOCK);
	transfer(edu, EDU_BUFFER, address + PAGE, EDU_TO_MEMORY);

	if (memcmp(memory + PAGE, wanted, BLOCK)) {
		printf("the data is wrong\n");
		return 3;
	}
	printf("the data is right in both directions\n");
	return 0;
}
