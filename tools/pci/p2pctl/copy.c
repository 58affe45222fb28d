// SPDX-License-Identifier: GPL-2.0
/*
 * p2pctl copy: from one drive to another, through memory of a provider.
 *
 * The memory is cut into blocks, as many as transfers may be in flight.  Each
 * block is filled by a read and emptied by a write, over and over; the processor
 * looks at no byte of it.  --checksum reads both ends again afterwards, through
 * system memory, since that the kernel reports success says nothing about where
 * data went.
 *
 * What must never happen: success reported for bytes that were not written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "io.h"

/* How often to tell how far it is, in seconds */
#define TELL_EVERY	0.5
#define CHECK_BYTES	1048576UL

struct block {
	char		*memory;
	uint64_t	at;		/* where in the area that is copied */
	size_t		bytes;
	bool		writing;
};

struct job {
	const struct copy_options	*opt;
	struct drive			source;
	struct drive			target;
	uint64_t			bytes;
	uint64_t			next;	/* what has not been begun */
	uint64_t			done;
	unsigned int			busy;
	struct ring			*ring;
	struct block			*blocks;
	double				begun;
	double				told;
	bool				quiet;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* How far it is, on a line that is overwritten by the next */
static void tell(struct job *job)
{
	double time = now(), seconds = time - job->begun;
	char done[32], all[32], rate[32];

	if (job->quiet || time - job->told < TELL_EVERY)
		return;
	job->told = time;
	fprintf(stderr, "\r%3.0f %%  %s of %s, %s/s\033[K",
		100.0 * job->done / job->bytes, bytes_text(job->done, done),
		bytes_text(job->bytes, all),
		bytes_text(seconds > 0 ? job->done / seconds : 0, rate));
}

static void end_line(struct job *job)
{
	if (!job->quiet && job->told)
		fprintf(stderr, "\r\033[K");
}

/* Where on the drive that it is read from, or written to */
static uint64_t block_offset(const struct job *job, const struct block *block)
{
	return block->at + (block->writing ? job->opt->target_offset :
					     job->opt->source_offset);
}

static void begin_transfer(struct job *job, struct block *block)
{
	bool write = block->writing;

	ring_add(job->ring, write, write ? job->target.fd : job->source.fd,
		 block->memory, block->bytes, block_offset(job, block),
		 block - job->blocks);
}

/* Let a block have the next part of the source, if there is one */
static void begin_block(struct job *job, struct block *block)
{
	if (job->next == job->bytes)
		return;

	block->at = job->next;
	block->bytes = job->opt->block;
	if (block->bytes > job->bytes - job->next)
		block->bytes = job->bytes - job->next;
	block->writing = false;
	job->next += block->bytes;
	job->busy++;
	begin_transfer(job, block);
}

static int transfer_failed(struct job *job, const struct block *block,
			   int error)
{
	const struct drive *drive = block->writing ? &job->target :
						     &job->source;

	end_line(job);
	if (error == EREMOTEIO && job->opt->via) {
		complain("%s does not reach the memory of %s: use --via system",
			 drive->path, job->opt->via);
		return IO_REFUSED;
	}
	complain("cannot %s %zu bytes at %llu of %s: %s",
		 block->writing ? "write" : "read", block->bytes,
		 (unsigned long long)block_offset(job, block), drive->path,
		 strerror(error));

	return IO_ERROR;
}

static int run(struct job *job)
{
	struct block *block;
	unsigned int i;
	uint64_t tag;
	int result;

	for (i = 0; i < job->opt->depth; i++)
		begin_block(job, &job->blocks[i]);

	while (job->busy) {
		if (ring_wait(job->ring, &tag, &result)) {
			complain("cannot wait for I/O: %s", strerror(errno));
			return IO_ERROR;
		}
		block = &job->blocks[tag];
		if (result < 0)
			return transfer_failed(job, block, -result);
		if ((size_t)result != block->bytes)
			return transfer_failed(job, block, EIO);

		if (!block->writing) {
			block->writing = true;
			begin_transfer(job, block);
			continue;
		}
		job->busy--;
		job->done += block->bytes;
		begin_block(job, block);
		tell(job);
	}

	if (fsync(job->target.fd)) {
		end_line(job);
		complain("cannot flush %s: %s", job->target.path,
			 strerror(errno));
		return IO_ERROR;
	}
	end_line(job);

	return IO_RIGHT;
}

/* CRC-32C of a block, going on from an earlier one */
static uint32_t crc32c(uint32_t crc, const unsigned char *byte, size_t bytes)
{
	static uint32_t table[256];
	unsigned int i, k;

	for (i = 0; !table[255] && i < 256; i++) {
		uint32_t value = i;

		for (k = 0; k < 8; k++)
			value = value >> 1 ^ (value & 1 ? 0x82f63b78 : 0);
		table[i] = value;
	}

	crc = ~crc;
	while (bytes--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];

	return ~crc;
}

static int read_back(struct job *job, const struct drive *drive, char *memory,
		     size_t bytes, uint64_t offset)
{
	if (!read_all(drive->fd, memory, bytes, offset))
		return 0;

	complain("cannot read %s again at %llu: %s", drive->path,
		 (unsigned long long)offset, strerror(errno));
	return -1;
}

static int check(struct job *job)
{
	char *one = memory_map(NULL, CHECK_BYTES);
	char *other = one ? memory_map(NULL, CHECK_BYTES) : NULL;
	uint32_t crc = 0;
	uint64_t at;
	size_t bytes;

	if (!other)
		return IO_ERROR;

	for (at = 0; at < job->bytes; at += bytes) {
		bytes = CHECK_BYTES;
		if (bytes > job->bytes - at)
			bytes = job->bytes - at;
		if (read_back(job, &job->source, one, bytes,
			      job->opt->source_offset + at) ||
		    read_back(job, &job->target, other, bytes,
			      job->opt->target_offset + at))
			return IO_ERROR;
		if (memcmp(one, other, bytes)) {
			complain("the data is wrong: %s and %s differ after %llu bytes or later",
				 job->source.path, job->target.path,
				 (unsigned long long)at);
			return IO_WRONG;
		}
		crc = crc32c(crc, (unsigned char *)one, bytes);
	}
	printf("both ends are equal, CRC-32C %08x\n", crc);

	return IO_RIGHT;
}

static int prepare(struct job *job)
{
	const struct copy_options *opt = job->opt;
	uint64_t room;
	char *memory;
	unsigned int i;

	if (opt->source_offset > job->source.bytes) {
		complain("%s ends before byte %llu", job->source.path,
			 (unsigned long long)opt->source_offset);
		return -1;
	}
	room = job->source.bytes - opt->source_offset;
	job->bytes = opt->bytes ? opt->bytes : room;
	if (job->bytes > room) {
		complain("%s has only %llu bytes from there on",
			 job->source.path, (unsigned long long)room);
		return -1;
	}
	if (job->target.block && (opt->target_offset > job->target.bytes ||
				  job->bytes > job->target.bytes -
					       opt->target_offset)) {
		complain("%llu bytes do not fit on %s, which has %llu: say how many by --bytes",
			 (unsigned long long)job->bytes, job->target.path,
			 (unsigned long long)job->target.bytes);
		return -1;
	}
	if ((job->bytes | opt->source_offset | opt->target_offset) % 512) {
		complain("offsets and the number of bytes must be multiples of 512");
		return -1;
	}

	memory = memory_map(opt->via, opt->block * opt->depth);
	job->blocks = calloc(opt->depth, sizeof(*job->blocks));
	job->ring = memory && job->blocks ? ring_open(opt->depth) : NULL;
	if (!job->ring)
		return -1;
	for (i = 0; i < opt->depth; i++)
		job->blocks[i].memory = memory + i * opt->block;

	return 0;
}

/**
 * copy - copy from one drive to another
 * @source: name of the source
 * @target: name of the target
 * @opt: what else was said
 *
 * Return: IO_*, with a message unless all is right.
 */
int copy(const char *source, const char *target,
	 const struct copy_options *opt)
{
	struct job job = { .opt = opt, .quiet = !isatty(STDERR_FILENO) };
	char bytes[32], rate[32];
	double seconds;
	int result;

	if (drive_open(&job.source, source, false, true) ||
	    drive_open(&job.target, target, true, opt->force) ||
	    prepare(&job))
		return IO_ERROR;

	job.begun = now();
	result = run(&job);
	if (result)
		return result;

	seconds = now() - job.begun;
	printf("copied %s in %.1f s, %s/s, through %s%s\n",
	       bytes_text(job.bytes, bytes), seconds,
	       bytes_text(seconds > 0 ? job.bytes / seconds : 0, rate),
	       opt->via ? "memory of " : "system memory",
	       opt->via ? opt->via : "");

	return opt->checksum ? check(&job) : IO_RIGHT;
}
