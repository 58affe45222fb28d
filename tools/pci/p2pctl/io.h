/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of p2pctl that moves data: what its files share.
 *
 *   io.c        drives, memory of providers, system memory
 *   uring.c     a queue of I/O (io_uring without a library)
 *   copy.c      p2pctl copy
 *   verify.c    p2pctl verify
 *   stat.c      p2pctl stat
 *
 * These files know nothing of routes and are compiled against the headers of
 * the system, the others against those of shim/.
 */
#ifndef _P2PCTL_IO_H
#define _P2PCTL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What O_DIRECT and page tables want of offsets, lengths and addresses */
#define IO_ALIGN	4096UL

/* For the address of a function, ffffffff:ff:1f.7 at the longest */
#define ADDRESS_ROOM	20

/**
 * struct drive - a block device, or a file that takes O_DIRECT
 * @path: its name
 * @fd: its descriptor
 * @bytes: its size
 * @block: it is a block device
 */
struct drive {
	const char	*path;
	int		fd;
	uint64_t	bytes;
	bool		block;
};

/**
 * struct copy_options - what p2pctl copy is told
 * @via: the provider, or NULL for system memory
 * @bytes: how much is to be copied, or 0 for all of the source
 * @source_offset: where to begin in the source
 * @target_offset: where to begin in the target
 * @block: bytes of one transfer
 * @depth: transfers in flight
 * @checksum: read both again, and compare
 * @force: write to a target that is in use, too
 */
struct copy_options {
	const char	*via;
	uint64_t	bytes;
	uint64_t	source_offset;
	uint64_t	target_offset;
	size_t		block;
	unsigned int	depth;
	bool		checksum;
	bool		force;
};

/**
 * struct verify_options - what p2pctl verify is told
 * @bytes: how much of the drive is to be read
 * @scratch_offset: where on the drive may be written
 * @scratch_bytes: how much, or 0 for nothing
 * @force: even if the drive is in use
 */
struct verify_options {
	uint64_t	bytes;
	uint64_t	scratch_offset;
	uint64_t	scratch_bytes;
	bool		force;
};

/* Exit status of copy, verify and stat */
enum {
	IO_RIGHT,
	IO_WRONG,
	IO_REFUSED,
	IO_ERROR,
};

#ifndef __printf
#define __printf(a, b)	__attribute__(( \
	__format__(printf, a, b)))
#endif

/* main.c */
__printf(1, 2) void complain(const char *fmt, ...);

/* io.c */
bool parse_bytes(const char *text, uint64_t *bytes);
const char *bytes_text(uint64_t bytes, char text[32]);
int drive_open(struct drive *drive, const char *path, bool write, bool force);
bool drive_function(const char *path, char address[ADDRESS_ROOM]);
const char *drive_of_function(const char *address);
void *memory_map(const char *provider, size_t bytes);
uint64_t memory_available(const char *provider);
int read_all(int fd, void *memory, size_t bytes, uint64_t offset);
int write_all(int fd, const void *memory, size_t bytes, uint64_t offset);

/* uring.c */
struct ring;

struct ring *ring_open(unsigned int depth);
void ring_add(struct ring *ring, bool write, int fd, void *memory,
	      size_t bytes, uint64_t offset, uint64_t tag);
int ring_wait(struct ring *ring, uint64_t *tag, int *result);

/* copy.c */
int copy(const char *source, const char *target,
	 const struct copy_options *opt);

/* verify.c */
int verify(const char *path, const char *provider,
	   const struct verify_options *opt);

/* stat.c */
int stat_watch(const char * const *providers, unsigned int nr,
	       unsigned int interval, unsigned int count);

#endif /* _P2PCTL_IO_H */
