// SPDX-License-Identifier: GPL-2.0
/*
 * p2pcost - what system calls and programs cost, in instructions, all included
 *
 *	p2pcost read|write SAMPLES ROW DRIVE MEMORY [ROW DRIVE MEMORY]...
 *	p2pcost map SAMPLES ROW ALLOCATE BYTES
 *	p2pcost run SAMPLES ROW COMMAND
 *
 * Each DRIVE is read or written with O_DIRECT, 4 KiB and then 128 KiB at a time.
 * MEMORY is "system", or the p2pmem/allocate file of a provider. The rows are
 * ROW/4K and ROW/128K. Several of these take turns, transfer by transfer, so that
 * whatever else goes on meets all of them alike.
 *
 * "map" maps that much of a provider, at an address that is aligned to what large
 * pages need, touches each 2 MiB of it, and unmaps it; the rows are mmap/ROW and
 * munmap/ROW.
 *
 * "run" has the shell execute COMMAND, which copies $BYTES bytes. It does so for two
 * numbers of bytes, and the row tells what one more MiB costs: what it takes to
 * start a program, and to find its devices, is no part of it.
 *
 * What is counted runs from the system call to its return: the file and block
 * layers, the driver, the mapping for the device, the interrupt, context
 * switches; and if the drive is an NVMe target's in the same machine, both ends
 * of the network and the target too. Not counted is the time in which the machine
 * waits for a drive.
 *
 * Method: the machine has one processor, and its time stamp counter counts
 * instructions (QEMU's -icount). It never idles, since a child with the lowest
 * priority of all runs a loop of two instructions, which counts how often it
 * went round. Of the ticks between two points in time, what the child did not
 * use is what everybody else did.
 *
 * The longer the drive takes, the more often the timer interrupts, which is not
 * the transfer's fault; how long that is depends on the host. The figure to look at
 * is therefore the one that a tenth of the transfers does not exceed. Of programs,
 * which are run a few times only, it is the least.
 *
 * That this adds up is tried before anything is reported: a known run of
 * instructions must be exact, and a sleep must cost next to nothing.
 */
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "p2pmem.h"

#define MAX_BYTES	131072UL
#define AREA		(16UL << 20)
#define WARM_UP		16
#define MAX_SAMPLES	1024
#define MAX_SUBJECTS	4
/* What a large page has to be aligned to */
#define LARGE		(2UL << 20)
#define MIB		1048576UL
/* What a command copies */
#define FEW_MIB		4
#define MANY_MIB	12
/* Instructions of the child's loop */
#define LOOP		2

/**
 * struct subject - a drive and the memory that it is used with
 * @row: what its rows are called
 * @path: the drive
 * @fd: the same, open
 * @memory: where its data goes to or comes from
 * @cost: what the transfers have cost
 */
struct subject {
	const char	*row;
	const char	*path;
	int		fd;
	void		*memory;
	unsigned long	cost[MAX_SAMPLES];
};

static unsigned long *rounds;

static inline unsigned long ticks(void)
{
	unsigned int low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (unsigned long)high << 32 | low;
}

/* What has been executed so far by everybody but the child */
static inline unsigned long used(void)
{
	return ticks() - LOOP * __atomic_load_n(rounds, __ATOMIC_RELAXED);
}

static pid_t start_child(void)
{
	const struct sched_param none = { 0 };
	pid_t child;

	rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rounds == MAP_FAILED)
		die_errno(1, "cannot share a page");
	child = fork();
	if (child < 0)
		die_errno(1, "cannot start a child");
	if (child)
		return child;

	/* It must not outlive its parent: it would never end */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		die_errno(1, "cannot give up priority");
	asm volatile("1:	incq	(%0)\n\t"
		     "	jmp	1b" : : "r" (rounds) : "memory");
	__builtin_unreachable();
}

static unsigned long known_run(unsigned int thousands)
{
	unsigned long least = ULONG_MAX;
	unsigned int i, k;

	/* An interrupt may hit some of them */
	for (i = 0; i < 16; i++) {
		unsigned long start = ticks(), took;

		for (k = 0; k < thousands; k++)
			asm volatile(".rept 998\n\tnop\n\t.endr");
		took = ticks() - start;
		if (took < least)
			least = took;
	}
	return least;
}

static void calibrate(void)
{
	const struct timespec nap = { .tv_nsec = 50000000 };
	unsigned long one = known_run(8), two = known_run(16), spent, passed;

	/* The loop's own instructions, two or three a round, are the rest */
	if (two - one < 8 * 1000 || two - one > 8 * 1002) {
		fprintf(stderr,
			"p2pcost: 8000 instructions take %lu ticks of the time stamp counter; start QEMU with -icount shift=0,sleep=off,align=off and one CPU\n",
			(two - one));
		exit(1);
	}

	passed = ticks();
	spent = used();
	nanosleep(&nap, NULL);
	passed = ticks() - passed;
	spent = used() - spent;
	if (passed < 50000000 || spent > passed / 20) {
		fprintf(stderr,
			"p2pcost: %lu of the %lu instructions of a sleep are not accounted for; give the machine one CPU and nothing else to do\n",
			spent, passed);
		exit(1);
	}
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

static unsigned long transfer(struct subject *subject, bool writing,
			      size_t bytes, off_t offset)
{
	unsigned long start = used();
	int error = writing ?
		write_all(subject->fd, subject->memory, bytes, offset) :
		read_all(subject->fd, subject->memory, bytes, offset);

	if (error)
		die_errno(1, "cannot %s %s at %jd", writing ? "write" : "read",
			  subject->path, (intmax_t)offset);
	return used() - start;
}

/* The rest of a row, after its name */
static void report(unsigned long *cost, unsigned int samples)
{
	unsigned long sum = 0;
	unsigned int i;

	qsort(cost, samples, sizeof(*cost), compare);
	for (i = 0; i < samples; i++)
		sum += cost[i];
	printf(" n=%u failed=0 tenth=%lu median=%lu mean=%lu worst=%lu\n",
	       samples, cost[samples / 10], cost[samples / 2],
	       (sum / samples), cost[samples - 1]);
}

static void measure(struct subject *subjects, int nr, bool writing,
		    size_t bytes, unsigned int samples)
{
	unsigned int i;
	int k;

	for (i = 0; i < WARM_UP + samples; i++) {
		off_t offset = (unsigned long)i * bytes % AREA;

		for (k = 0; k < nr; k++) {
			unsigned long cost = transfer(&subjects[k], writing,
						      bytes, offset);

			if (i >= WARM_UP)
				subjects[k].cost[i - WARM_UP] = cost;
		}
	}
	for (k = 0; k < nr; k++) {
		printf("row %s/%zuK", subjects[k].row, bytes / 1024);
		report(subjects[k].cost, samples);
	}
}

static void prepare(struct subject *subject, bool writing, char **words)
{
	subject->row = words[0];
	subject->path = words[1];
	subject->fd = open_or_die(words[1],
				  (writing ? O_WRONLY : O_RDONLY) | O_DIRECT);
	subject->memory = strcmp(words[2], "system") ?
		map_provider(words[2], MAX_BYTES) : map_system(MAX_BYTES);
}

static void use_drives(int nr, char **words, bool writing, unsigned int samples)
{
	static const size_t sizes[] = { 4096, MAX_BYTES };
	static struct subject subjects[MAX_SUBJECTS];
	unsigned int i;
	int k;

	for (k = 0; k < nr; k++)
		prepare(&subjects[k], writing, words + 3 * k);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure(subjects, nr, writing, sizes[i], samples);
}

/* A place for a mapping that large pages fit into; nothing is there */
static char *large_place(size_t bytes)
{
	char *place = mmap(NULL, bytes + LARGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (place == MAP_FAILED)
		die_errno(1, "there is no room for a mapping of %zu bytes",
			  bytes);
	munmap(place, bytes + LARGE);
	return place + (-(uintptr_t)place & (LARGE - 1));
}

static void map_memory(const char *row, const char *path, size_t bytes,
		       unsigned int samples)
{
	static unsigned long mapping[MAX_SAMPLES], unmapping[MAX_SAMPLES];
	int fd = open_or_die(path, O_RDWR);
	char *place = large_place(bytes), *memory;
	unsigned long start;
	unsigned int i;
	size_t at;

	for (i = 0; i < samples; i++) {
		start = used();
		memory = mmap(place, bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		if (memory == MAP_FAILED)
			die_errno(1, "cannot map %zu bytes of %s", bytes, path);
		/* Whoever leaves the work for the first access does it now */
		for (at = 0; at < bytes; at += LARGE)
			read_word((__u64 *)(memory + at));
		mapping[i] = used() - start;

		start = used();
		munmap(memory, bytes);
		unmapping[i] = used() - start;
	}
	printf("row mmap/%s", row);
	report(mapping, samples);
	printf("row munmap/%s", row);
	report(unmapping, samples);
}

/* Have the shell run a command that copies that much */
static unsigned long command_cost(const char *command, unsigned long bytes)
{
	unsigned long start;
	char text[24];
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%lu", bytes);
	setenv("BYTES", text, 1);
	start = used();
	pid = fork();
	if (pid < 0)
		die_errno(1, "cannot start a process");
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		die_errno(1, "cannot wait for a process");
	if (status) {
		fprintf(stderr, "p2pcost: '%s' ended with status %#x\n", command,
			(unsigned int)status);
		exit(1);
	}
	return used() - start;
}

static void run_command(const char *row, const char *command,
			unsigned int samples)
{
	unsigned long few = ULONG_MAX, many = ULONG_MAX, took;
	unsigned int i;

	for (i = 0; i < samples; i++) {
		took = command_cost(command, FEW_MIB * MIB);
		if (took < few)
			few = took;
		took = command_cost(command, MANY_MIB * MIB);
		if (took < many)
			many = took;
	}
	if (many < few) {
		fprintf(stderr, "p2pcost: '%s' costs less for more bytes\n",
			command);
		exit(1);
	}
	printf("row %s n=%u failed=0 least=%lu\n", row, samples,
	       (many - few) / (MANY_MIB - FEW_MIB));
}

static int show_usage(void)
{
	fprintf(stderr,
		"usage: p2pcost read|write SAMPLES ROW DRIVE MEMORY [ROW DRIVE MEMORY]..., at most %d of them\n"
		"       p2pcost map SAMPLES ROW ALLOCATE BYTES\n"
		"       p2pcost run SAMPLES ROW COMMAND\n", MAX_SUBJECTS);
	return 1;
}

int main(int argc, char **argv)
{
	bool writing, drives, map, run;
	int nr = argc / 3 - 1;
	unsigned int samples;
	pid_t child;

	if (argc < 5)
		return show_usage();
	writing = !strcmp(argv[1], "write");
	drives = (writing || !strcmp(argv[1], "read")) && argc % 3 == 0 &&
		 nr >= 1 && nr <= MAX_SUBJECTS;
	map = !strcmp(argv[1], "map") && argc == 6;
	run = !strcmp(argv[1], "run") && argc == 5;
	if (!drives && !map && !run)
		return show_usage();
	samples = bytes_arg(argv[2]);
	if (samples > MAX_SAMPLES)
		samples = MAX_SAMPLES;

	child = start_child();
	calibrate();
	if (drives)
		use_drives(nr, argv + 3, writing, samples);
	else if (map)
		map_memory(argv[3], argv[4], bytes_arg(argv[5]), samples);
	else
		run_command(argv[3], argv[4], samples);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
