// SPDX-License-Identifier: GPL-2.0
/*
 * p2phammer - let processes map and unmap a provider's memory at the same time
 *
 *	p2phammer ALLOCATE PAGES PROCESSES SECONDS
 *
 * Each process keeps up to two mappings of a random length, of up to PAGES pages
 * each. It writes into each page of a new mapping who it is, and looks for it
 * before it unmaps the page, half of the mapping at a time now and then. ENOMEM is
 * no error: there may be no memory left. Prints
 *
 *	mappings=N refused=N wrong=N
 *
 * where wrong is the number of pages that had somebody else's data, and fails if
 * nothing was mapped, or if a process ended for another reason.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include "p2pmem.h"

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(__u64))
#define HELD		2

struct counts {
	unsigned long mappings, refused, wrong;
};

struct mapping {
	__u64 *memory;
	size_t pages;
	__u64 mark;
};

/* The first and the last word of each page: more would be slow in a device. */
static void sign(const struct mapping *map)
{
	size_t i;

	for (i = 0; i < map->pages; i++) {
		write_word(&map->memory[i * WORDS], map->mark + i);
		write_word(&map->memory[i * WORDS + WORDS - 1], ~map->mark - i);
	}
}

static unsigned long count_wrong(const struct mapping *map)
{
	unsigned long wrong = 0;
	size_t i;

	for (i = 0; i < map->pages; i++)
		wrong += read_word(&map->memory[i * WORDS]) != map->mark + i ||
			 read_word(&map->memory[i * WORDS + WORDS - 1]) !=
				 ~map->mark - i;
	return wrong;
}

static void release(struct mapping *map, struct counts *counts)
{
	size_t half = map->pages / 2 * PAGE;

	counts->wrong += count_wrong(map);
	if (half && random() % 4 == 0) {
		if (munmap((char *)map->memory + half, map->pages * PAGE - half))
			die_errno(1, "cannot unmap the second half");
		map->pages /= 2;
		sched_yield();
		counts->wrong += count_wrong(map);
	}
	if (munmap(map->memory, map->pages * PAGE))
		die_errno(1, "cannot unmap");
	map->memory = NULL;
}

static void hammer(int fd, size_t pages, time_t end, struct counts *counts)
{
	struct mapping held[HELD] = {}, *map;
	size_t i;

	srandom(getpid());
	while (time(NULL) < end) {
		map = &held[random() % HELD];
		if (map->memory)
			release(map, counts);

		map->pages = 1 + random() % pages;
		map->memory = mmap(NULL, map->pages * PAGE,
				   PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map->memory == MAP_FAILED) {
			map->memory = NULL;
			if (errno != ENOMEM)
				die_errno(1, "cannot map");
			counts->refused++;
			continue;
		}
		map->mark = (__u64)getpid() << 40 | counts->mappings << 16;
		counts->mappings++;
		sign(map);
	}
	for (i = 0; i < HELD; i++)
		if (held[i].memory)
			release(&held[i], counts);
}

int main(int argc, char **argv)
{
	struct counts *counts, sum = {};
	size_t pages, processes, i;
	int fd, status, failed = 0;
	time_t end;

	if (argc != 5) {
		fprintf(stderr, "usage: p2phammer ALLOCATE PAGES PROCESSES SECONDS\n");
		return 1;
	}
	fd = open_or_die(argv[1], O_RDWR);
	pages = bytes_arg(argv[2]);
	processes = bytes_arg(argv[3]);
	end = time(NULL) + bytes_arg(argv[4]);

	counts = mmap(NULL, processes * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die_errno(1, "no memory");
	for (i = 0; i < processes; i++) {
		switch (fork()) {
		case -1:
			die_errno(1, "cannot fork");
			break;
		case 0:
			hammer(fd, pages, end, &counts[i]);
			return 0;
		}
	}
	for (i = 0; i < processes; i++)
		failed |= wait(&status) < 0 || status;

	for (i = 0; i < processes; i++) {
		sum.mappings += counts[i].mappings;
		sum.refused += counts[i].refused;
		sum.wrong += counts[i].wrong;
	}
	printf("mappings=%lu refused=%lu wrong=%lu\n", sum.mappings,
	       sum.refused, sum.wrong);
	return failed || !sum.mappings;
}
