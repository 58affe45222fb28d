// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory and RDMA: a memory region, as ibv_reg_mr() makes one, pins
 * its pages for as long as it lives, and is refused for this memory.
 *
 * The commands are written to the device by hand, so that no library is needed.
 * Some adapters want more than zeros where a driver's own data is; those are left
 * out, as are machines without any.  Software RDMA (siw, rxe) will do.
 */
#include <rdma/ib_user_verbs.h>

#include "../kselftest_harness.h"
#include "provider.h"

#define MAX_ADAPTERS	16
/* For data of drivers behind each request and answer: more than they have */
#define EXTRA_BYTES	64
#define ANSWER_BYTES	256
#define LOCAL_WRITE	1

static __u64 answer[ANSWER_BYTES / sizeof(__u64)];

/* Write a command, whose answer is in answer[] after that; 0 or -1 and errno */
static int command(int fd, unsigned int number, const void *request,
		   size_t bytes)
{
	struct {
		struct ib_uverbs_cmd_hdr header;
		char request[128 + EXTRA_BYTES];
	} message = {};
	size_t all = sizeof(message.header) + bytes + EXTRA_BYTES;

	message.header.command = number;
	message.header.in_words = all / 4;
	message.header.out_words = ANSWER_BYTES / 4;
	memcpy(message.request, request, bytes);

	return write(fd, &message, all) == (ssize_t)all ? 0 : -1;
}

/* Open an adapter and make a protection domain; -1 if that is not possible */
static int open_adapter(int number, __u32 *domain)
{
	struct ib_uverbs_get_context context = {
		.response = (unsigned long)answer,
	};
	struct ib_uverbs_alloc_pd pd = { .response = (unsigned long)answer };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/infiniband/uverbs%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (command(fd, IB_USER_VERBS_CMD_GET_CONTEXT, &context,
		    sizeof(context)) ||
	    command(fd, IB_USER_VERBS_CMD_ALLOC_PD, &pd, sizeof(pd))) {
		close(fd);
		return -1;
	}
	memcpy(domain, answer, sizeof(*domain));

	return fd;
}

/* What ibv_reg_mr() does; the region ends when the adapter is closed */
static int reg_mr(int fd, __u32 domain, void *memory, size_t bytes, int access)
{
	struct ib_uverbs_reg_mr region = {
		.response = (unsigned long)answer,
		.start = (unsigned long)memory,
		.length = bytes,
		.hca_va = (unsigned long)memory,
		.pd_handle = domain,
		.access_flags = access,
	};

	return command(fd, IB_USER_VERBS_CMD_REG_MR, &region, sizeof(region));
}

TEST(memory_regions)
{
	char *memory, *plain;
	int fd, i, tried = 0;
	long rest;
	__u32 pd;

	if (!provider_name())
		SKIP(return, "no device provides peer-to-peer memory");
	rest = free_bytes();
	memory = map_provider(LARGE + PAGE);
	if (memory == MAP_FAILED)
		SKIP(return, "2 MiB of the provider cannot be mapped: %m");
	plain = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, plain);

	for (i = 0; i < MAX_ADAPTERS; i++) {
		fd = open_adapter(i, &pd);
		if (fd < 0)
			continue;
		/* It takes other memory, so that it would take this */
		if (reg_mr(fd, pd, plain, LARGE, LOCAL_WRITE)) {
			close(fd);
			continue;
		}
		tried++;

		EXPECT_EQ(-1, reg_mr(fd, pd, memory, LARGE, LOCAL_WRITE));
		EXPECT_EQ(EREMOTEIO, errno);
		EXPECT_EQ(-1, reg_mr(fd, pd, memory, LARGE, 0));
		EXPECT_EQ(EREMOTEIO, errno);
		/* Behind the large page, where there are small ones */
		EXPECT_EQ(-1, reg_mr(fd, pd, memory + LARGE, PAGE,
				     LOCAL_WRITE));
		EXPECT_EQ(EREMOTEIO, errno);
		EXPECT_EQ(0, touch(memory, true));
		close(fd);
	}
	munmap(plain, LARGE);
	munmap(memory, LARGE + PAGE);
	EXPECT_EQ(rest, free_bytes());

	if (!tried)
		SKIP(return, "there is no RDMA adapter that registers memory without its library");
}

TEST_HARNESS_MAIN
