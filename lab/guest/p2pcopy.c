// SPDX-License-Identifier: GPL-2.0
/*
 * p2pcopy - copy between two drives with O_DIRECT through a chosen memory
 *
 *	p2pcopy FROM OFFSET TO OFFSET BYTES [ALLOCATE]
 *
 * With ALLOCATE, the p2pmem/allocate file of a provider, each chunk is read
 * from FROM into the provider's memory and written from there to TO. Without
 * it the same is done through system memory. The processor looks at no byte
 * of the data: checking it is somebody else's job, who must not have to trust
 * this program.
 *
 * The buffer is one mebibyte, so that the block layer has to split and merge
 * as it does for real applications.
 */
#include "p2pmem.h"

#define CHUNK 1048576UL

static off_t offset_arg(const char *text)
{
	char *end;
	off_t value = strtoll(text, &end, 0);

	if (end == text || *end || value < 0) {
		fprintf(stderr, "p2pcopy: '%s' is not an offset in bytes\n",
			text);
		exit(1);
	}
	return value;
}

int main(int argc, char **argv)
{
	off_t from_offset, to_offset;
	size_t bytes, done, chunk;
	int from, to;
	void *memory;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: p2pcopy FROM OFFSET TO OFFSET BYTES [ALLOCATE]\n");
		return 1;
	}
	from = open_or_die(argv[1], O_RDONLY | O_DIRECT);
	from_offset = offset_arg(argv[2]);
	to = open_or_die(argv[3], O_WRONLY | O_DIRECT);
	to_offset = offset_arg(argv[4]);
	bytes = bytes_arg(argv[5]);
	memory = argc == 7 ? map_provider(argv[6], CHUNK) : map_system(CHUNK);

	for (done = 0; done < bytes; done += chunk) {
		chunk = bytes - done < CHUNK ? bytes - done : CHUNK;
		if (read_all(from, memory, chunk, from_offset + done))
			die_errno(1, "cannot read %s at %jd", argv[1],
				  (intmax_t)(from_offset + done));
		if (write_all(to, memory, chunk, to_offset + done))
			die_errno(1, "cannot write %s at %jd", argv[3],
				  (intmax_t)(to_offset + done));
	}
	if (fsync(to))
		die_errno(1, "cannot flush %s", argv[3]);
	return 0;
}
