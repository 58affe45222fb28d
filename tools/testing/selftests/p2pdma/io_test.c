// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory as a buffer for I/O: O_DIRECT by system calls and by
 * io_uring, compared byte by byte with what a drive holds.  It needs a drive
 * that may be overwritten; see provider.h.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/io_uring.h>

#include "../kselftest_harness.h"
#include "provider.h"

#define PIECE		(64UL << 10)
#define THREADS		4

FIXTURE(io)
{
	long rest;
	int drive;
	char *memory;	/* the provider's */
	char *plain;	/* the system's */
};

FIXTURE_SETUP(io)
{
	const char *path = getenv("P2PMEM_SCRATCH");

	if (!provider_name())
		SKIP(return, "no device provides peer-to-peer memory");
	if (!path)
		SKIP(return, "P2PMEM_SCRATCH names no drive to overwrite");
	/* Not one that is mounted, or a member of something */
	self->drive = open(path, O_RDWR | O_EXCL);
	if (self->drive < 0)
		SKIP(return, "%s cannot be had alone: %m", path);
	close(self->drive);
	self->drive = open(path, O_RDWR | O_DIRECT);
	if (self->drive < 0)
		SKIP(return, "%s cannot be opened: %m", path);

	self->rest = free_bytes();
	self->memory = map_provider(2 * LARGE);
	if (self->memory == MAP_FAILED)
		SKIP(return, "4 MiB of the provider cannot be mapped: %m");
	ASSERT_EQ(0, posix_memalign((void **)&self->plain, PAGE, 2 * LARGE));
	if (pread(self->drive, self->memory, PAGE, 0) < 0 &&
	    errno == EREMOTEIO) {
		munmap(self->memory, 2 * LARGE);
		self->rest = 0;
		SKIP(return, "%s does not reach the provider", path);
	}
}

FIXTURE_TEARDOWN(io)
{
	if (!self->rest)
		return;
	munmap(self->memory, 2 * LARGE);
	EXPECT_EQ(self->rest, free_bytes());
}

/* Transfers of all shapes: where in memory, and how much */
static const struct {
	size_t at;
	size_t bytes;
} shapes[] = {
	{ 0, 512 }, { 0, PAGE }, { PAGE, PAGE }, { 512, 512 },
	{ PAGE - 512, 1024 }, { 0, LARGE }, { LARGE - PAGE, 2 * PAGE },
	{ LARGE - 512, 1024 }, { PAGE, LARGE }, { 3 * PAGE, 5 * PAGE },
	{ 0, 2 * LARGE }, { 512, 2 * LARGE - 512 },
};

TEST_F(io, into_the_provider)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		fill(self->plain, shapes[i].bytes, i);
		ASSERT_EQ((ssize_t)shapes[i].bytes,
			  pwrite(self->drive, self->plain, shapes[i].bytes, 0));
		fill(self->memory, 2 * LARGE, 99);
		ASSERT_EQ((ssize_t)shapes[i].bytes,
			  pread(self->drive, self->memory + shapes[i].at,
				shapes[i].bytes, 0));
		/* It is there, and nothing beside it has changed */
		EXPECT_TRUE(filled(self->memory + shapes[i].at, 0,
				   shapes[i].bytes, i));
		EXPECT_TRUE(filled(self->memory, 0, shapes[i].at, 99));
		EXPECT_TRUE(filled(self->memory + shapes[i].at +
				   shapes[i].bytes,
				   shapes[i].at + shapes[i].bytes,
				   2 * LARGE - shapes[i].at - shapes[i].bytes,
				   99));
	}
}

TEST_F(io, out_of_the_provider)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		fill(self->memory + shapes[i].at, shapes[i].bytes, 100 + i);
		ASSERT_EQ((ssize_t)shapes[i].bytes,
			  pwrite(self->drive, self->memory + shapes[i].at,
				 shapes[i].bytes, 0));
		ASSERT_EQ((ssize_t)shapes[i].bytes,
			  pread(self->drive, self->plain, shapes[i].bytes, 0));
		EXPECT_TRUE(filled(self->plain, 0, shapes[i].bytes, 100 + i));
	}
}

TEST_F(io, vectors)
{
	struct iovec to[8];
	int i;

	fill(self->plain, 8 * PIECE, 5);
	ASSERT_EQ((ssize_t)(8 * PIECE),
		  pwrite(self->drive, self->plain, 8 * PIECE, 0));
	for (i = 0; i < 8; i++)
		to[i] = (struct iovec) {
			self->memory + (7 - i) * 2 * PIECE, PIECE
		};
	ASSERT_EQ((ssize_t)(8 * PIECE), preadv(self->drive, to, 8, 0));
	for (i = 0; i < 8; i++)
		EXPECT_TRUE(filled(to[i].iov_base, i * PIECE, PIECE, 5));
}

struct worker {
	pthread_t thread;
	int drive;
	int number;
	bool good;
};

/* Own memory, own part of the drive; mapped and unmapped all the time */
static void *work(void *data)
{
	struct worker *worker = data;
	off_t offset = (1 + worker->number) * LARGE;
	char *memory;
	int i;

	for (i = 0; i < 32; i++) {
		memory = map_provider(PIECE);
		if (memory == MAP_FAILED)
			return NULL;
		fill(memory, PIECE, worker->number * 1000 + i);
		if (pwrite(worker->drive, memory, PIECE, offset) != PIECE)
			return NULL;
		munmap(memory, PIECE);
		memory = map_provider(PIECE);
		if (memory == MAP_FAILED ||
		    pread(worker->drive, memory, PIECE, offset) != PIECE ||
		    !filled(memory, 0, PIECE, worker->number * 1000 + i))
			return NULL;
		munmap(memory, PIECE);
	}
	worker->good = true;

	return NULL;
}

TEST_F_TIMEOUT(io, threads, 300)
{
	struct worker workers[THREADS] = {};
	int i;

	for (i = 0; i < THREADS; i++) {
		workers[i].drive = self->drive;
		workers[i].number = i;
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work,
					    &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		EXPECT_TRUE(workers[i].good);
	}
}

/* A ring with room for eight */
struct ring {
	int fd;
	unsigned int *sq_tail;
	unsigned int *sq_mask;
	unsigned int *sq_array;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static int ring_open(struct ring *ring)
{
	struct io_uring_params p = {};
	size_t sq_bytes, cq_bytes;
	char *sq, *cq;

	ring->fd = syscall(__NR_io_uring_setup, 8, &p);
	if (ring->fd < 0)
		return -1;

	sq_bytes = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	sq = mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe),
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ring->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;

	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);

	return 0;
}

static void ring_add(struct ring *ring, int opcode, int fd, char *memory,
		     size_t bytes, off_t offset)
{
	unsigned int tail = *ring->sq_tail, slot = tail & *ring->sq_mask;
	struct io_uring_sqe *sqe = &ring->sqes[slot];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (unsigned long)memory;
	sqe->len = bytes;
	sqe->off = offset;
	ring->sq_array[slot] = slot;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

/* Submit @nr requests and wait; the number that moved @bytes */
static int ring_run(struct ring *ring, int nr, int bytes)
{
	unsigned int head = *ring->cq_head;
	int i, good = 0;

	if (syscall(__NR_io_uring_enter, ring->fd, nr, nr,
		    IORING_ENTER_GETEVENTS, NULL, 0) != nr)
		return -1;
	for (i = 0; i < nr; i++, head++) {
		while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
			;
		good += ring->cqes[head & *ring->cq_mask].res == bytes;
	}
	__atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);

	return good;
}

TEST_F(io, io_uring)
{
	struct ring ring;
	int round, i;

	if (ring_open(&ring))
		SKIP(return, "there is no io_uring: %m");

	for (round = 0; round < 8; round++) {
		fill(self->memory, 8 * PIECE, round);
		for (i = 0; i < 8; i++)
			ring_add(&ring, IORING_OP_WRITE, self->drive,
				 self->memory + i * PIECE, PIECE,
				 (7 - i) * PIECE);
		ASSERT_EQ(8, ring_run(&ring, 8, PIECE));
		for (i = 0; i < 8; i++)
			ring_add(&ring, IORING_OP_READ, self->drive,
				 self->memory + LARGE + i * PIECE, PIECE,
				 (7 - i) * PIECE);
		ASSERT_EQ(8, ring_run(&ring, 8, PIECE));
		EXPECT_TRUE(filled(self->memory + LARGE, 0, 8 * PIECE, round));
		ASSERT_EQ((ssize_t)PIECE,
			  pread(self->drive, self->plain, PIECE, 7 * PIECE));
		EXPECT_TRUE(filled(self->plain, 0, PIECE, round));
	}
	close(ring.fd);
}

/* Buffers that are registered are pinned for as long as that lasts: no */
TEST_F(io, io_uring_does_not_keep_it)
{
	struct iovec buffer = { self->memory, PIECE };
	struct ring ring;

	if (ring_open(&ring))
		SKIP(return, "there is no io_uring: %m");

	EXPECT_EQ(-1, syscall(__NR_io_uring_register, ring.fd,
			      IORING_REGISTER_BUFFERS, &buffer, 1));
	EXPECT_EQ(EREMOTEIO, errno);
	EXPECT_EQ(0, touch(self->memory, true));
	close(ring.fd);
}

/* What is not on a device that takes such memory takes none */
TEST_F(io, not_for_other_files)
{
	char path[] = "/tmp/p2pdma.XXXXXX";
	int fd = mkstemp(path), direct;

	ASSERT_LE(0, fd);
	unlink(path);
	/* A copy by the processor is always possible */
	ASSERT_EQ((ssize_t)PIECE, write(fd, self->memory, PIECE));
	fill(self->memory, PIECE, 6);
	ASSERT_EQ((ssize_t)PIECE, pwrite(fd, self->memory, PIECE, 0));
	ASSERT_EQ((ssize_t)PIECE, pread(fd, self->memory + PIECE, PIECE, 0));
	EXPECT_TRUE(filled(self->memory + PIECE, 0, PIECE, 6));
	close(fd);

	/* A loop device takes none, if it has been set up */
	direct = open("/dev/loop0", O_RDWR | O_DIRECT);
	if (direct < 0)
		return;
	if (lseek(direct, 0, SEEK_END) > 0) {
		EXPECT_EQ(-1, pread(direct, self->memory, PAGE, 0));
		EXPECT_EQ(EREMOTEIO, errno);
	}
	close(direct);
}

TEST_F(io, taken_away_while_in_use)
{
	char offers[1024];
	struct ring ring;
	int i;

	if (!provider_is_generic())
		SKIP(return, "the provider is not one of p2pmem-pci");
	if (ring_open(&ring))
		SKIP(return, "there is no io_uring: %m");
	read_offers(offers, sizeof(offers));

	/* Submitted, not waited for; the end waits for the drive */
	for (i = 0; i < 8; i++)
		ring_add(&ring, IORING_OP_READ, self->drive,
			 self->memory + i * PIECE, PIECE, i * PIECE);
	ASSERT_EQ(8, syscall(__NR_io_uring_enter, ring.fd, 8, 0, 0, NULL, 0));
	ASSERT_EQ(0, unbind_provider());
	ASSERT_EQ(0, syscall(__NR_io_uring_enter, ring.fd, 0, 8,
			     IORING_ENTER_GETEVENTS, NULL, 0));
	for (i = 0; i < 8; i++) {
		int result = ring.cqes[i].res;

		/* The memory was there until it had ended, or not at all */
		EXPECT_TRUE(result == (int)PIECE || result == -EFAULT)
			TH_LOG("request %d gives %d", i, result);
	}
	EXPECT_EQ(SIGBUS, touch(self->memory, false));
	EXPECT_EQ(-1, pread(self->drive, self->memory, PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, bind_provider(offers));
	EXPECT_EQ(self->rest, free_bytes());
	close(ring.fd);
}

TEST_HARNESS_MAIN
