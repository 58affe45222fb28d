// SPDX-License-Identifier: GPL-2.0
/*
 * A queue of I/O: the few requests of io_uring that copying needs, made by
 * system calls, so that p2pctl depends on no library.
 *
 * Submission and completion queue are shared with the kernel.  Only this side
 * moves the tail of the first and the head of the second.
 *
 * What must never happen: more requests in flight than ring_open() was told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>

#include "io.h"

/**
 * struct ring - a queue of I/O
 * @fd: descriptor of the queue
 * @added: requests that the kernel has not been told of
 * @sq_tail: next free place of the submission queue
 * @sq_mask: its size less one
 * @sq_array: which request is at which place
 * @cq_head: next completion
 * @cq_tail: first place that has none
 * @cq_mask: its size less one
 * @sqes: requests
 * @cqes: completions
 */
struct ring {
	int			fd;
	unsigned int		added;
	unsigned int		*sq_tail;
	unsigned int		*sq_mask;
	unsigned int		*sq_array;
	unsigned int		*cq_head;
	unsigned int		*cq_tail;
	unsigned int		*cq_mask;
	struct io_uring_sqe	*sqes;
	struct io_uring_cqe	*cqes;
};

static void *ring_map(int fd, size_t bytes, off_t what)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, fd, what);

	return memory == MAP_FAILED ? NULL : memory;
}

/**
 * ring_open - make a queue
 * @depth: how many requests may be in flight
 *
 * Return: the queue, or NULL after a message.
 */
struct ring *ring_open(unsigned int depth)
{
	struct io_uring_params p = {};
	struct ring *ring = calloc(1, sizeof(*ring));
	char *sq, *cq;

	if (!ring) {
		complain("out of memory");
		return NULL;
	}

	ring->fd = syscall(__NR_io_uring_setup, depth, &p);
	if (ring->fd < 0) {
		complain("io_uring cannot be used: %s (kernel.io_uring_disabled?)",
			 strerror(errno));
		free(ring);
		return NULL;
	}

	sq = ring_map(ring->fd, p.sq_off.array +
		      p.sq_entries * sizeof(*ring->sq_array),
		      IORING_OFF_SQ_RING);
	cq = ring_map(ring->fd, p.cq_off.cqes +
		      p.cq_entries * sizeof(*ring->cqes), IORING_OFF_CQ_RING);
	ring->sqes = ring_map(ring->fd, p.sq_entries * sizeof(*ring->sqes),
			      IORING_OFF_SQES);
	if (!sq || !cq || !ring->sqes) {
		complain("the queue of I/O cannot be mapped: %s",
			 strerror(errno));
		close(ring->fd);
		free(ring);
		return NULL;
	}

	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);

	return ring;
}

/**
 * ring_add - add a request
 * @ring: the queue
 * @write: write, not read
 * @fd: the drive
 * @memory: the memory
 * @bytes: how much
 * @offset: where on the drive
 * @tag: what ring_wait() is to return with the result
 *
 * The next ring_wait() tells the kernel.
 */
void ring_add(struct ring *ring, bool write, int fd, void *memory,
	      size_t bytes, uint64_t offset, uint64_t tag)
{
	unsigned int tail = *ring->sq_tail, place = tail & *ring->sq_mask;
	struct io_uring_sqe *sqe = &ring->sqes[place];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = write ? IORING_OP_WRITE : IORING_OP_READ;
	sqe->fd = fd;
	sqe->addr = (unsigned long)memory;
	sqe->len = bytes;
	sqe->off = offset;
	sqe->user_data = tag;
	ring->sq_array[place] = place;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	ring->added++;
}

/**
 * ring_wait - wait for a request to end
 * @ring: the queue, with a request in flight or added
 * @tag: returns the tag of the request
 * @result: returns the number of bytes, or a negative error
 *
 * What was added is submitted in one go, and only if there is nothing to
 * return without that.
 *
 * Return: 0, or -1 and errno.
 */
int ring_wait(struct ring *ring, uint64_t *tag, int *result)
{
	unsigned int head = *ring->cq_head;
	struct io_uring_cqe *cqe;
	int submitted;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
		submitted = syscall(__NR_io_uring_enter, ring->fd, ring->added,
				    1, IORING_ENTER_GETEVENTS, NULL, 0);
		if (submitted < 0 && errno != EINTR)
			return -1;
		if (submitted > 0)
			ring->added -= submitted;
	}

	cqe = &ring->cqes[head & *ring->cq_mask];
	*tag = cqe->user_data;
	*result = cqe->res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);

	return 0;
}
