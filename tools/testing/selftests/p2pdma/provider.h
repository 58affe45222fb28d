/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of peer-to-peer memory share: finding a provider, and a drive.
 *
 * They run on any machine, and skip what it lacks:
 *
 *   P2PMEM=0000:03:00.0       the provider; the first one if not said
 *   P2PMEM_SCRATCH=/dev/...   a block device whose first 16 MiB the tests may
 *                             overwrite, not in use; without it there is no I/O
 *
 * A provider that p2pmem-pci drives is taken away and given back by tests of
 * its end; others stay bound.
 */
#ifndef P2PDMA_SELFTEST_PROVIDER_H
#define P2PDMA_SELFTEST_PROVIDER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/pci_p2pdma.h>

#define DEVICES		"/sys/bus/pci/devices"
#define PAGE		4096UL
#define LARGE		(2UL << 20)

/* The address of the provider; NULL if the machine has none */
static inline const char *provider_name(void)
{
	static char name[32];
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir;

	if (*name)
		return name;
	if (getenv("P2PMEM")) {
		snprintf(name, sizeof(name), "%s", getenv("P2PMEM"));
		return name;
	}

	dir = opendir(DEVICES);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), DEVICES "/%s/p2pmem/size",
			 entry->d_name);
		if (access(path, F_OK))
			continue;
		snprintf(name, sizeof(name), "%.31s", entry->d_name);
		break;
	}
	if (dir)
		closedir(dir);

	return *name ? name : NULL;
}

/* A file of the provider's directory in sysfs */
static inline const char *provider_path(const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", provider_name(), file);
	return path;
}

static inline const char *provider_node(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/dev/p2pmem/%s", provider_name());
	return path;
}

/* A number in a file of the provider; -1 if it cannot be read */
static inline long provider_number(const char *file)
{
	FILE *f = fopen(provider_path(file), "r");
	long number = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &number) != 1)
		number = -1;
	fclose(f);

	return number;
}

static inline long free_bytes(void)
{
	return provider_number("p2pmem/available");
}

#define ZERO_SETTING	"/sys/module/pci_p2pdma/parameters/zero"

/* What the administrator has chosen there, if a test has changed it */
static char zero_chosen[32];

static inline bool write_zero(const char *whom)
{
	FILE *f = fopen(ZERO_SETTING, "w");
	bool written;

	if (!f)
		return false;
	written = fputs(whom, f) >= 0;

	return !fclose(f) && written;
}

/*
 * For whom does the kernel write zeros to what it hands out?  Root, as whom the tests
 * run, is not among them by default.  To be put back by restore_zero().
 */
static inline bool set_zero(const char *whom)
{
	FILE *f = fopen(ZERO_SETTING, "r");
	bool known;

	if (!f)
		return false;
	known = fgets(zero_chosen, sizeof(zero_chosen), f);
	fclose(f);

	return known && write_zero(whom);
}

static inline bool restore_zero(void)
{
	bool restored = !*zero_chosen || write_zero(zero_chosen);

	*zero_chosen = 0;

	return restored;
}

static inline int open_allocate(int flags)
{
	return open(provider_path("p2pmem/allocate"), flags | O_CLOEXEC);
}

/* Memory of the provider in this process; MAP_FAILED and errno */
static inline void *map_provider(size_t bytes)
{
	int fd = open_allocate(O_RDWR);
	void *memory;
	int error;

	if (fd < 0)
		return MAP_FAILED;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = errno;
	close(fd);
	errno = error;

	return memory;
}

/* So much of the memory is looked at as a whole; more may take minutes to read */
#define LOOKED_AT	(8 * LARGE)

/* Leave no more than that to allocate; what to unmap, or NULL, or MAP_FAILED */
static inline void *hold_rest(size_t bytes)
{
	return bytes > LOOKED_AT ? map_provider(bytes - LOOKED_AT) : NULL;
}

/* A dma-buf of the provider's memory; -1 and errno */
static inline int alloc_buffer(size_t bytes, unsigned int flags)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want),
		.fd_flags = flags,
		.length = bytes,
	};
	int node = open(provider_node(), O_RDWR | O_CLOEXEC);
	int fd, error;

	if (node < 0)
		return -1;
	fd = ioctl(node, PCI_P2PDMA_IOC_ALLOC, &want);
	error = errno;
	close(node);
	errno = error;

	return fd;
}

/* Words that differ from place to place and from one salt to another */
static inline unsigned long pattern(size_t place, unsigned long salt)
{
	return (place + salt) * 0x9e3779b97f4a7c15UL;
}

static inline void fill(void *memory, size_t bytes, unsigned long salt)
{
	unsigned long *word = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		word[i] = pattern(i, salt);
}

/* Is all of it as fill() left it, when the first byte was at @place then? */
static inline bool filled(const void *memory, size_t place, size_t bytes,
			  unsigned long salt)
{
	const unsigned long *word = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (word[i] != pattern(place / sizeof(*word) + i, salt))
			return false;

	return true;
}

static sigjmp_buf fault_return;

static inline void on_fault(int signal)
{
	siglongjmp(fault_return, signal);
}

/* The signal that reading from, or writing to, an address gives; 0 for none */
static inline int touch(char *address, bool write)
{
	struct sigaction action = { .sa_handler = on_fault }, bus, segv;
	int signal;

	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	signal = sigsetjmp(fault_return, 1);
	if (!signal) {
		char c = __atomic_load_n(address, __ATOMIC_RELAXED);

		if (write)
			__atomic_store_n(address, c, __ATOMIC_RELAXED);
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);

	return signal;
}

/* Write a line to a file of the provider, or of its driver; 0 or -1 and errno */
static inline int tell(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error;
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;

	return done < 0 ? -1 : 0;
}

#define GENERIC_DRIVER	"/sys/bus/pci/drivers/p2pmem-pci"

/* May the provider be unbound by a test? */
static inline bool provider_is_generic(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), GENERIC_DRIVER "/%s", provider_name());
	return !access(path, F_OK);
}

/* What has been offered, one piece a line, to be offered again */
static inline void read_offers(char *offers, size_t size)
{
	FILE *f = fopen(provider_path("p2pmem_pci/offer"), "r");

	offers[0] = 0;
	if (!f)
		return;
	offers[fread(offers, 1, size - 1, f)] = 0;
	fclose(f);
}

static inline int unbind_provider(void)
{
	return tell(GENERIC_DRIVER "/unbind", provider_name());
}

static inline int bind_provider(const char *offers)
{
	char copy[PATH_MAX], *line, *rest;

	if (tell(GENERIC_DRIVER "/bind", provider_name()))
		return -1;

	snprintf(copy, sizeof(copy), "%s", offers);
	for (line = strtok_r(copy, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		if (tell(provider_path("p2pmem_pci/offer"), line))
			return -1;

	return 0;
}

#endif /* P2PDMA_SELFTEST_PROVIDER_H */
