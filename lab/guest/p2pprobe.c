// SPDX-License-Identifier: GPL-2.0
/*
 * p2pprobe - try whether a drive reaches a provider's memory, with data
 *
 *	p2pprobe ALLOCATE DRIVE OFFSET
 *
 * Writes one random page to the drive through system memory and lets the
 * drive put it into the provider's memory; then fills the provider's memory
 * with another random page, lets the drive fetch it from there, and reads it
 * back through system memory. The processor compares both: that an I/O
 * reports success says nothing about where the bytes went.
 *
 * Prints one line and ends with
 *	0	both directions work and the data is right
 *	1	the probe itself could not be set up
 *	2	the kernel refused the transfer; the line has the error's name
 *	3	the transfer was accepted and the data is wrong
 *
 * The page of the drive at OFFSET is overwritten.
 */
#include <sys/random.h>
#include "p2pmem.h"

#define PAGE 4096UL

static void fill_random(void *page)
{
	if (getrandom(page, PAGE, 0) != (ssize_t)PAGE)
		die_errno(1, "no random numbers");
}

static int report_refusal(const char *what)
{
	printf("%s refused: %s\n", what, strerrorname_np(errno));
	return 2;
}

int main(int argc, char **argv)
{
	unsigned char *peer, *plain, wanted[PAGE];
	off_t offset;
	int drive;

	if (argc != 4) {
		fprintf(stderr, "usage: p2pprobe ALLOCATE DRIVE OFFSET\n");
		return 1;
	}
	peer = map_provider(argv[1], PAGE);
	plain = map_system(PAGE);
	drive = open_or_die(argv[2], O_RDWR | O_DIRECT);
	offset = bytes_arg(argv[3]);

	fill_random(plain);
	if (write_all(drive, plain, PAGE, offset))
		die_errno(1, "cannot prepare %s", argv[2]);
	if (read_all(drive, peer, PAGE, offset))
		return report_refusal("read into the provider");
	memcpy(wanted, peer, PAGE);
	if (memcmp(wanted, plain, PAGE)) {
		printf("read into the provider: the data is wrong\n");
		return 3;
	}

	fill_random(wanted);
	memcpy(peer, wanted, PAGE);
	if (write_all(drive, peer, PAGE, offset))
		return report_refusal("write from the provider");
	if (read_all(drive, plain, PAGE, offset))
		die_errno(1, "cannot read %s back", argv[2]);
	if (memcmp(wanted, plain, PAGE)) {
		printf("write from the provider: the data is wrong\n");
		return 3;
	}
	printf("the data is right in both directions\n");
	return 0;
}
