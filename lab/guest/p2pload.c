// SPDX-License-Identifier: GPL-2.0
/*
 * p2pload - keep a drive busy with peer-to-peer memory, and tell what became of it
 *
 *	p2pload ALLOCATE DRIVE OFFSET
 *
 * Round after round the processor writes a pattern into memory of a provider, the
 * drive writes it to its page at OFFSET and reads it back into the same memory,
 * and the processor compares. "begun" is printed after the first round. SIGTERM,
 * or the first error, ends the load; the last line is
 *
 *	rounds=N wrong=N blank=N error=NAME
 *
 * where blank are rounds in which some words were nothing but ones or zeros, as where
 * no device answers, and the others right; wrong are those with any other fault; and
 * NAME is "none", SIGBUS if the memory was taken away while the processor
 * looked at it, or the name of what a system call said.
 */
#include <setjmp.h>
#include <signal.h>
#include "p2pmem.h"

#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(__u64))

static sigjmp_buf lost;
static int enough;

static void on_sigbus(int signal)
{
	siglongjmp(lost, signal);
}

static void on_sigterm(int signal)
{
	(void)signal;
	__atomic_store_n(&enough, 1, __ATOMIC_RELAXED);
}

static void fill(__u64 *memory, __u64 pattern)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		write_word(&memory[i], pattern + i);
}

enum verdict { RIGHT, BLANK, WRONG };

static enum verdict compare(const __u64 *memory, __u64 pattern)
{
	enum verdict verdict = RIGHT;
	__u64 word;
	size_t i;

	for (i = 0; i < WORDS; i++) {
		word = read_word(&memory[i]);
		if (word == pattern + i)
			continue;
		if (word && ~word)
			return WRONG;
		verdict = BLANK;
	}
	return verdict;
}

int main(int argc, char **argv)
{
	struct sigaction bus = { .sa_handler = on_sigbus };
	struct sigaction term = { .sa_handler = on_sigterm };
	static unsigned long rounds, count[WRONG + 1];
	static const char *error = "none";
	static __u64 *memory;
	static off_t offset;
	static int drive;
	__u64 pattern;

	if (argc != 4) {
		fprintf(stderr, "usage: p2pload ALLOCATE DRIVE OFFSET\n");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = map_provider(argv[1], PAGE);
	drive = open_or_die(argv[2], O_RDWR | O_DIRECT);
	offset = bytes_arg(argv[3]);
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGTERM, &term, NULL);

	if (sigsetjmp(lost, 1)) {
		error = "SIGBUS";
		enough = 1;
	}
	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		pattern = (__u64)getpid() << 40 | (__u64)rounds << 12;
		fill(memory, pattern);
		if (write_all(drive, memory, PAGE, offset))
			break;
		fill(memory, ~pattern);
		if (read_all(drive, memory, PAGE, offset))
			break;
		count[compare(memory, pattern)]++;
		if (!rounds++)
			puts("begun");
	}
	/* Neither asked to end nor hit by a signal: a system call has failed */
	if (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
		error = strerrorname_np(errno);
	printf("rounds=%lu wrong=%lu blank=%lu error=%s\n", rounds, count[WRONG],
	       count[BLANK], error);
	return 0;
}
