// SPDX-License-Identifier: GPL-2.0
/*
 * p2pbeside - requests beside each other on a drive, with memory of two kinds
 *
 *	p2pbeside ALLOCATE DRIVE OFFSET
 *
 * Lets the drive read neighbouring pages, by turns into system memory and into the
 * provider's memory. They are submitted at once, so that the block layer would put
 * all into one command if it may. Each must end by itself: if the drive does not
 * reach the provider, that is no reason to refuse what is beside it on the drive,
 * which can be somebody else's.
 *
 * Prints how the reads of either kind ended, if all of a kind ended alike: "the data
 * is right", or the error's name. Exit status 0, or 1 if the program cannot do its
 * work, or 2 if they did not end alike.
 */
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "p2pmem.h"

#define PAGE		4096UL
/* More than two, or the kernel submits each by itself */
#define READS		8

enum kind { SYSTEM, PROVIDER, KINDS };

/* How a read ended, which must have been as others of its kind have */
static const char *ending(const struct io_event *event, const char *memory,
			  const char *wanted)
{
	if (event->res < 0)
		return strerrorname_np(-event->res);
	if (event->res != (__s64)PAGE)
		return "too few bytes";
	return memcmp(memory, wanted, PAGE) ? "the data is wrong" :
					      "the data is right";
}

int main(int argc, char **argv)
{
	struct iocb reads[READS] = {}, *submitted[READS];
	const char *found[KINDS] = {}, *one;
	struct io_event events[READS];
	char *memory[KINDS], *wanted;
	aio_context_t context = 0;
	unsigned int i, n;
	off_t offset;
	int drive;

	if (argc != 4) {
		fprintf(stderr, "usage: p2pbeside ALLOCATE DRIVE OFFSET\n");
		return 1;
	}
	memory[SYSTEM] = map_system(READS * PAGE);
	memory[PROVIDER] = map_provider(argv[1], READS * PAGE);
	wanted = map_system(READS * PAGE);
	drive = open_or_die(argv[2], O_RDONLY | O_DIRECT);
	offset = bytes_arg(argv[3]);
	if (read_all(drive, wanted, READS * PAGE, offset))
		die_errno(1, "cannot read %s", argv[2]);
	if (syscall(__NR_io_setup, READS, &context))
		die_errno(1, "no asynchronous I/O");

	for (i = 0; i < READS; i++) {
		reads[i].aio_data = i;
		reads[i].aio_lio_opcode = IOCB_CMD_PREAD;
		reads[i].aio_fildes = drive;
		reads[i].aio_buf = (uintptr_t)memory[i % KINDS] + i * PAGE;
		reads[i].aio_nbytes = PAGE;
		reads[i].aio_offset = offset + i * PAGE;
		submitted[i] = &reads[i];
	}
	if (syscall(__NR_io_submit, context, READS, submitted) != READS)
		die_errno(1, "cannot submit %d reads", READS);
	if (syscall(__NR_io_getevents, context, READS, READS, events, NULL) !=
	    READS)
		die_errno(1, "cannot wait for %d reads", READS);

	for (i = 0; i < READS; i++) {
		n = events[i].data;
		one = ending(&events[i], memory[n % KINDS] + n * PAGE,
			     wanted + n * PAGE);
		if (found[n % KINDS] && strcmp(found[n % KINDS], one)) {
			printf("%s: %s and %s\n",
			       n % KINDS == SYSTEM ? "system" : "provider",
			       found[n % KINDS], one);
			return 2;
		}
		found[n % KINDS] = one;
	}
	printf("system: %s, provider: %s\n", found[SYSTEM], found[PROVIDER]);
	return 0;
}
