/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest's programs share: mapping a provider's memory, I/O that is
 * all or nothing, and errors by name.
 *
 * A provider of peer-to-peer memory has a file p2pmem/allocate in sysfs.
 * Mapping it shared allocates that much of the device's memory for as long as
 * the mapping lives; O_DIRECT I/O to and from the mapping then moves data
 * between the drive and the provider without touching system memory.
 */
#ifndef LAB_P2PMEM_H
#define LAB_P2PMEM_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * Memory that is a device's, or that a device writes to: each access is one of a
 * whole word, which the compiler neither leaves out nor puts together with others.
 */
static inline __u64 read_word(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void write_word(__u64 *word, __u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Print "PROGRAM: what: Text of errno (ENAME)" and leave with that status. */
static inline void die_errno(int status, const char *format, ...)
{
	int err = errno;
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s (%s)\n", strerror(err), strerrorname_np(err));
	exit(status);
}

/* A number of bytes from the command line; 0 is not one. */
static inline size_t bytes_arg(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (!value || *end) {
		fprintf(stderr, "%s: '%s' is not a number of bytes\n",
			program_invocation_short_name, text);
		exit(1);
	}
	return value;
}

static inline int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die_errno(1, "cannot open %s", path);
	return fd;
}

/* Allocate and map memory of the provider whose allocate file this is. */
static inline void *map_provider(const char *allocate, size_t bytes)
{
	int fd = open_or_die(allocate, O_RDWR);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			    fd, 0);

	if (memory == MAP_FAILED)
		die_errno(1, "cannot map %zu bytes of %s", bytes, allocate);
	close(fd);
	return memory;
}

static inline void *map_system(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		die_errno(1, "cannot map %zu bytes of system memory", bytes);
	return memory;
}

/* Read all of it or fail; a drive that ends early is an error (ENODATA). */
static inline int read_all(int fd, void *buffer, size_t bytes, off_t offset)
{
	while (bytes) {
		ssize_t done = pread(fd, buffer, bytes, offset);

		if (done < 0)
			return -1;
		if (!done) {
			errno = ENODATA;
			return -1;
		}
		buffer = (char *)buffer + done;
		bytes -= done;
		offset += done;
	}
	return 0;
}

static inline int write_all(int fd, const void *buffer, size_t bytes,
			    off_t offset)
{
	while (bytes) {
		ssize_t done = pwrite(fd, buffer, bytes, offset);

		if (done < 0)
			return -1;
		if (!done) {
			errno = ENODATA;
			return -1;
		}
		buffer = (const char *)buffer + done;
		bytes -= done;
		offset += done;
	}
	return 0;
}

#endif /* LAB_P2PMEM_H */
