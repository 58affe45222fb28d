// SPDX-License-Identifier: GPL-2.0
/*
 * p2pctl stat: who holds how much of the providers' memory, as time goes on.
 *
 * Each file of a provider's directory p2pmem that is a number is a column, so
 * that what later kernels count is shown without a change here.  Numbers that
 * are known to be sizes are shown as such.
 *
 * What must never happen: that watching takes memory or changes anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define COLUMNS_MAX	32

struct column {
	char		name[32];
	uint64_t	value;
};

/* A number in a file; false if there is none, or none that may be read */
static bool read_number(const char *path, uint64_t *value)
{
	char text[32], *end;
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = 0;
	*value = strtoull(text, &end, 10);

	return end != text && (!*end || *end == '\n');
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct column *)a)->name,
		      ((const struct column *)b)->name);
}

/* What size and available say is told otherwise, and so left out */
static unsigned int read_columns(const char *provider, struct column *columns)
{
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned int nr = 0;
	DIR *dir;
	int len;

	len = snprintf(path, sizeof(path), PCI_DEVICES "/%s/p2pmem", provider);
	dir = opendir(path);
	while (dir && nr < COLUMNS_MAX && (entry = readdir(dir))) {
		struct column *c = &columns[nr];

		if (entry->d_type != DT_REG ||
		    !strcmp(entry->d_name, "allocate") ||
		    !strcmp(entry->d_name, "size") ||
		    !strcmp(entry->d_name, "available"))
			continue;
		snprintf(path + len, sizeof(path) - len, "/%s", entry->d_name);
		if (!read_number(path, &c->value))
			continue;
		snprintf(c->name, sizeof(c->name), "%.31s", entry->d_name);
		nr++;
	}
	if (dir)
		closedir(dir);
	qsort(columns, nr, sizeof(*columns), by_name);

	return nr;
}

static bool tell(const char *provider, uint64_t *before)
{
	struct column columns[COLUMNS_MAX];
	char path[PATH_MAX], used_text[32], size_text[32], change[40] = "";
	uint64_t size, used;
	unsigned int i, nr;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/p2pmem/size", provider);
	if (!read_number(path, &size)) {
		printf("%s  is no provider any more\n", provider);
		return false;
	}
	used = size - memory_available(provider);
	if (*before != UINT64_MAX && used != *before) {
		bytes_text(used > *before ? used - *before : *before - used,
			   used_text);
		snprintf(change, sizeof(change), " (%c%s)",
			 used > *before ? '+' : '-', used_text);
	}
	*before = used;

	printf("%s  %s of %s in use%s", provider, bytes_text(used, used_text),
	       bytes_text(size, size_text), change);
	nr = read_columns(provider, columns);
	for (i = 0; i < nr; i++)
		printf("  %s %llu", columns[i].name,
		       (unsigned long long)columns[i].value);
	putchar('\n');

	return true;
}

/**
 * stat_watch - print what is in use, again and again
 * @providers: addresses of the providers
 * @nr: number of providers
 * @interval: seconds between two looks
 * @count: how many looks, or 0 for no end
 *
 * Return: IO_RIGHT, or IO_ERROR after a message if there is nothing to see.
 */
int stat_watch(const char * const *providers, unsigned int nr,
	       unsigned int interval, unsigned int count)
{
	uint64_t *before = calloc(nr ? nr : 1, sizeof(*before));
	unsigned int look, i, alive;
	char clock[16];
	time_t now;

	if (!nr || !before) {
		complain(nr ? "out of memory" :
			      "no device provides peer-to-peer memory");
		return IO_ERROR;
	}
	for (i = 0; i < nr; i++)
		before[i] = UINT64_MAX;

	for (look = 0; !count || look < count; look++) {
		if (look)
			sleep(interval);
		now = time(NULL);
		strftime(clock, sizeof(clock), "%T", localtime(&now));
		printf("%s\n", clock);
		for (i = 0, alive = 0; i < nr; i++)
			alive += tell(providers[i], &before[i]);
		if (fflush(stdout) || !alive)
			break;
	}
	free(before);

	return IO_RIGHT;
}
