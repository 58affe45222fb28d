// SPDX-License-Identifier: GPL-2.0
/*
 * p2pctl verify: does data arrive on the way that the kernel allows?
 *
 * A route can be allowed and still lose data: when the administrator vouches for
 * a root complex that does not forward, or when the devices are emulated.  No
 * error tells it.  So a drive moves data into the provider's memory and out of
 * it, and each byte is compared with what the drive moves through system memory.
 *
 *  - Into the memory: the memory is first set to the complement of what is to
 *    arrive, byte by byte, so that what does not arrive is seen whatever it is.
 *    The drive is only read.
 *  - Out of the memory: random data is put there, and its complement on the
 *    drive by way of system memory.  That needs an area of the drive to write
 *    to, which the user has to name; what it holds is put back afterwards.
 *
 * What must never happen: a byte of the drive that is not what it was, outside
 * of the named area at any time, in it after the end.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "io.h"

/* At a time; less if the provider has less */
#define CHUNK	4194304UL

struct test {
	const char	*provider;
	struct drive	drive;
	size_t		chunk;
	unsigned char	*memory;	/* the provider's */
	unsigned char	*wanted;
	unsigned char	*found;
	unsigned char	*kept;
	uint64_t	compared;
	uint64_t	wrong;
	uint64_t	first;
};

static void complement(unsigned char *to, const unsigned char *from,
		       size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		to[i] = ~from[i];
}

/* One MMIO access a word instead of one a byte */
static void complement_into_memory(struct test *t, size_t bytes)
{
	complement(t->found, t->wanted, bytes);
	memcpy(t->memory, t->found, bytes);
}

static void compare(struct test *t, size_t bytes, uint64_t at)
{
	size_t i;

	t->compared += bytes;
	for (i = 0; i < bytes; i++) {
		if (t->found[i] == t->wanted[i])
			continue;
		if (!t->wrong++)
			t->first = at + i;
	}
}

static int failed(struct test *t, const char *what, uint64_t at)
{
	if (errno == EREMOTEIO) {
		printf("  refused: the kernel allows no route between %s and the memory of %s\n",
		       t->drive.path, t->provider);
		return IO_REFUSED;
	}
	complain("cannot %s at %llu of %s: %s", what, (unsigned long long)at,
		 t->drive.path, strerror(errno));

	return IO_ERROR;
}

static int result(struct test *t, const char *what)
{
	char text[32];

	printf("  %-38s %s compared, ", what, bytes_text(t->compared, text));
	if (!t->wrong) {
		printf("every byte is right\n");
		return IO_RIGHT;
	}
	printf("%llu bytes are WRONG, the first at %llu\n",
	       (unsigned long long)t->wrong, (unsigned long long)t->first);

	return IO_WRONG;
}

static int into_memory(struct test *t, uint64_t bytes)
{
	uint64_t at;
	size_t n;

	for (at = 0; at < bytes; at += n) {
		n = bytes - at < t->chunk ? bytes - at : t->chunk;
		if (read_all(t->drive.fd, t->wanted, n, at))
			return failed(t, "read", at);
		complement_into_memory(t, n);
		if (read_all(t->drive.fd, t->memory, n, at))
			return failed(t, "read into the memory", at);
		memcpy(t->found, t->memory, n);
		compare(t, n, at);
	}

	return result(t, "the drive writes to the memory");
}

static int fill_random(unsigned char *memory, size_t bytes)
{
	ssize_t done;

	for (; bytes; bytes -= done, memory += done) {
		done = getrandom(memory, bytes, 0);
		if (done < 0)
			return -1;
	}

	return 0;
}

/* The complement goes first, by a way that is known to be good */
static int out_of_memory_chunk(struct test *t, size_t n, uint64_t at)
{
	if (fill_random(t->wanted, n))
		return failed(t, "find random data", at);
	complement(t->found, t->wanted, n);
	/* If the provider goes, this kills us: the drive is as it was until here */
	memcpy(t->memory, t->wanted, n);
	if (write_all(t->drive.fd, t->found, n, at))
		return failed(t, "write", at);
	if (write_all(t->drive.fd, t->memory, n, at))
		return failed(t, "write from the memory", at);
	if (read_all(t->drive.fd, t->found, n, at))
		return failed(t, "read", at);
	compare(t, n, at);

	return IO_RIGHT;
}

/* A chunk that is overwritten, and put back before anybody may interrupt us */
static int borrow_chunk(struct test *t, size_t n, uint64_t at)
{
	sigset_t interrupts, before;
	int status;

	if (read_all(t->drive.fd, t->kept, n, at))
		return failed(t, "read", at);

	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGHUP);
	sigaddset(&interrupts, SIGINT);
	sigaddset(&interrupts, SIGPIPE);
	sigaddset(&interrupts, SIGQUIT);
	sigaddset(&interrupts, SIGTERM);
	sigprocmask(SIG_BLOCK, &interrupts, &before);

	status = out_of_memory_chunk(t, n, at);
	if (write_all(t->drive.fd, t->kept, n, at) || fsync(t->drive.fd)) {
		complain("%zu bytes at %llu of %s are lost: %s", n,
			 (unsigned long long)at, t->drive.path, strerror(errno));
		status = IO_ERROR;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);

	return status;
}

static int out_of_memory(struct test *t, uint64_t offset, uint64_t bytes)
{
	int status = IO_RIGHT;
	uint64_t at;
	size_t n;

	t->compared = 0;
	t->wrong = 0;
	for (at = offset; !status && at < offset + bytes; at += n) {
		n = offset + bytes - at < t->chunk ? offset + bytes - at :
						     t->chunk;
		status = borrow_chunk(t, n, at);
	}

	return status ? status : result(t, "the drive reads from the memory");
}

static int prepare(struct test *t, const struct verify_options *opt)
{
	uint64_t most = memory_available(t->provider) / IO_ALIGN * IO_ALIGN;

	if ((opt->bytes | opt->scratch_offset | opt->scratch_bytes) % IO_ALIGN) {
		complain("offsets and numbers of bytes must be multiples of %lu",
			 IO_ALIGN);
		return -1;
	}
	if (opt->scratch_offset > t->drive.bytes ||
	    opt->scratch_bytes > t->drive.bytes - opt->scratch_offset) {
		complain("%s has %llu bytes: --scratch names an area beyond its end",
			 t->drive.path, (unsigned long long)t->drive.bytes);
		return -1;
	}

	t->chunk = most < CHUNK ? most : CHUNK;
	if (!t->chunk) {
		complain("%s has no memory available: run 'p2pctl providers' to see who has",
			 t->provider);
		return -1;
	}
	t->memory = memory_map(t->provider, t->chunk);
	t->wanted = t->memory ? memory_map(NULL, t->chunk) : NULL;
	t->found = t->wanted ? memory_map(NULL, t->chunk) : NULL;
	t->kept = t->found ? memory_map(NULL, t->chunk) : NULL;

	return t->kept ? 0 : -1;
}

/**
 * verify - let a drive move data to and from a provider's memory, and compare
 * @path: name of the drive
 * @provider: address of the provider
 * @opt: what else was said
 *
 * Return: IO_*, the worst of both directions.
 */
int verify(const char *path, const char *provider,
	   const struct verify_options *opt)
{
	struct test t = { .provider = provider };
	uint64_t bytes = opt->bytes;
	int there, back;

	if (drive_open(&t.drive, path, opt->scratch_bytes, opt->force) ||
	    prepare(&t, opt))
		return IO_ERROR;
	if (bytes > t.drive.bytes / IO_ALIGN * IO_ALIGN)
		bytes = t.drive.bytes / IO_ALIGN * IO_ALIGN;
	if (!bytes) {
		complain("%s has less than %lu bytes: name a larger drive", path,
			 IO_ALIGN);
		return IO_ERROR;
	}

	there = into_memory(&t, bytes);
	if (there > IO_WRONG)
		return there;
	if (!opt->scratch_bytes) {
		printf("  %-38s not tried without --scratch OFFSET,BYTES\n",
		       "the drive reads from the memory");
		return there;
	}
	back = out_of_memory(&t, opt->scratch_offset, opt->scratch_bytes);

	return back > there ? back : there;
}
