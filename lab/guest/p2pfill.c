// SPDX-License-Identifier: GPL-2.0
/*
 * p2pfill - move the whole of a provider's memory to a drive, or back
 *
 *	p2pfill ALLOCATE BYTES to|from DRIVE OFFSET
 *
 * Maps BYTES of the provider, all that is available if the memory is to be told
 * by its place, and lets the drive write them from OFFSET on ("to"), or fill
 * them from there ("from"). The processor looks at no byte of the data.
 *
 *	p2pfill ALLOCATE BYTES check DRIVE OFFSET
 *
 * Here it does: it compares the provider's memory, byte by byte as it sees it
 * through its mapping, with the drive, and stores the complement of each byte
 * in its place.
 */
#include "p2pmem.h"

static void fail_difference(size_t place)
{
	printf("first difference at byte %zu\n", place);
	exit(3);
}

static void complement(unsigned long *memory, const unsigned long *plain,
		       size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(*plain); i++) {
		if (memory[i] != plain[i])
			fail_difference(i * sizeof(*plain));
		memory[i] = ~plain[i];
	}
}

int main(int argc, char **argv)
{
	void *memory, *plain;
	size_t bytes;
	off_t offset;
	int drive;

	if (argc != 6) {
		fprintf(stderr, "usage: p2pfill ALLOCATE BYTES to|from|check DRIVE OFFSET\n");
		return 1;
	}
	bytes = bytes_arg(argv[2]);
	memory = map_provider(argv[1], bytes);
	drive = open_or_die(argv[4], O_RDWR | O_DIRECT);
	offset = strtoll(argv[5], NULL, 0);

	if (!strcmp(argv[3], "to")) {
		if (write_all(drive, memory, bytes, offset) || fsync(drive))
			die_errno(2, "cannot write %s", argv[4]);
	} else if (!strcmp(argv[3], "from")) {
		if (read_all(drive, memory, bytes, offset))
			die_errno(2, "cannot read %s", argv[4]);
	} else {
		plain = map_system(bytes);
		if (read_all(drive, plain, bytes, offset))
			die_errno(2, "cannot read %s", argv[4]);
		complement(memory, plain, bytes);
	}
	return 0;
}
