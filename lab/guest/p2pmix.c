// SPDX-License-Identifier: GPL-2.0
/*
 * p2pmix - one request through memory of several kinds
 *
 *	p2pmix DRIVE ALLOCATE...
 *
 * Writes and reads with O_DIRECT from and to vectors whose pieces are, by turns,
 * system memory and memory of each provider whose p2pmem/allocate file is named.
 * The pieces are of several sizes, down to a sector, so that some pages are used
 * in part. What arrives is compared with what was sent: on the drive by reading
 * it into system memory, and in the pieces by reading them back. Overwrites the
 * first mebibyte of the drive.
 *
 * Exit status 0 if all data is right, 1 if the program cannot do its work, 2 if
 * data is wrong, 3 if a request fails.
 */
#include <sys/uio.h>

#include "p2pmem.h"

#define PIECES		64
#define ROOM		(PIECES * 4096UL)
#define MAX_KINDS	8

static __u64 seed = 88172645463325252ULL;

static __u64 next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Device memory: by whole words, as memcpy() may do as it likes */
static void fill(void *memory, const __u64 *data, size_t bytes)
{
	__u64 *to = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*data); i++)
		write_word(&to[i], data ? data[i] : 0);
}

static int differs(const void *memory, const __u64 *data, size_t bytes)
{
	const __u64 *from = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*data); i++)
		if (read_word(&from[i]) != data[i])
			return 1;
	return 0;
}

/* Pieces of @unit bytes, each at @offset of a page, of all kinds by turns */
static size_t layout(struct iovec *iov, char **kind, int kinds, size_t unit,
		     size_t offset)
{
	int i;

	for (i = 0; i < PIECES; i++) {
		iov[i].iov_base = kind[i % kinds] + i * 4096UL + offset;
		iov[i].iov_len = unit;
	}
	return PIECES * unit;
}

int main(int argc, char **argv)
{
	static const struct {
		size_t unit, offset;
	} shapes[] = {
		{ 4096, 0 }, { 2048, 2048 }, { 512, 0 }, { 1024, 512 },
		{ 512, 3584 },
	};
	struct iovec iov[PIECES];
	char *kind[MAX_KINDS];
	__u64 *data, *back;
	int kinds = 1, drive, i;
	unsigned int s, wrong = 0;

	if (argc < 3 || argc - 2 >= MAX_KINDS) {
		fprintf(stderr, "usage: p2pmix DRIVE ALLOCATE...\n");
		return 1;
	}
	drive = open_or_die(argv[1], O_RDWR | O_DIRECT);
	kind[0] = map_system(ROOM);
	for (i = 2; i < argc; i++)
		kind[kinds++] = map_provider(argv[i], ROOM);
	data = map_system(ROOM);
	back = map_system(ROOM);

	for (s = 0; s < ARRAY_SIZE(shapes); s++) {
		size_t unit = shapes[s].unit;
		size_t bytes = layout(iov, kind, kinds, unit, shapes[s].offset);
		size_t w;

		for (w = 0; w < bytes / sizeof(*data); w++)
			data[w] = next();
		for (i = 0; i < PIECES; i++)
			fill(iov[i].iov_base, data + i * unit / sizeof(*data),
			     unit);
		if (pwritev(drive, iov, PIECES, 0) != (ssize_t)bytes)
			die_errno(3, "cannot write pieces of %zu bytes", unit);
		memset(back, 0, bytes);
		if (read_all(drive, back, bytes, 0))
			die_errno(3, "cannot read what was written");
		if (memcmp(back, data, bytes)) {
			printf("written from pieces of %zu bytes at %zu: wrong\n",
			       unit, shapes[s].offset);
			wrong++;
		}

		for (i = 0; i < PIECES; i++)
			fill(iov[i].iov_base, NULL, unit);
		if (preadv(drive, iov, PIECES, 0) != (ssize_t)bytes)
			die_errno(3, "cannot read into pieces of %zu bytes",
				  unit);
		for (i = 0; i < PIECES; i++) {
			if (!differs(iov[i].iov_base,
				     data + i * unit / sizeof(*data), unit))
				continue;
			printf("read into piece %d of %zu bytes at %zu: wrong\n",
			       i, unit, shapes[s].offset);
			wrong++;
		}
	}

	if (wrong)
		return 2;
	printf("the data is right in %d kinds of memory\n", kinds);
	return 0;
}
