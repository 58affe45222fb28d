// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory as a file descriptor: /dev/p2pmem/ADDRESS and the dma-buf
 * that it gives.  See provider.h for what the machine must have.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/dma-buf.h>

#include "../kselftest_harness.h"
#include "provider.h"

#define NOBODY	65534

FIXTURE(buffer)
{
	long rest;
};

FIXTURE_SETUP(buffer)
{
	if (!provider_name())
		SKIP(return, "no device provides peer-to-peer memory");
	if (access(provider_node(), R_OK | W_OK))
		SKIP(return, "/dev/p2pmem/%s cannot be used: %m",
		     provider_name());

	self->rest = free_bytes();
	if (self->rest < (long)(4 * LARGE))
		SKIP(return, "the provider has less than 8 MiB available");
}

FIXTURE_TEARDOWN(buffer)
{
	EXPECT_TRUE(restore_zero());
	if (self->rest)
		EXPECT_EQ(self->rest, free_bytes());
}

#define TAKEN()	(self->rest - free_bytes())

static char *map_fd(int fd, size_t bytes, off_t offset)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    offset);
}

TEST_F(buffer, lives_as_long_as_somebody_has_it)
{
	int fd = alloc_buffer(LARGE + 1, O_RDWR | O_CLOEXEC);
	char *memory;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ((off_t)(LARGE + PAGE), lseek(fd, 0, SEEK_END));
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());

	/* The descriptor keeps all of it, the mapping as well */
	memory = map_fd(fd, LARGE, 0);
	ASSERT_NE(MAP_FAILED, memory);
	fill(memory, LARGE, 1);
	munmap(memory, LARGE);
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	memory = map_fd(fd, LARGE - PAGE, PAGE);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_TRUE(filled(memory, PAGE, LARGE - PAGE, 1));
	close(fd);
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	EXPECT_TRUE(filled(memory, PAGE, LARGE - PAGE, 1));
	munmap(memory, LARGE - PAGE);
}

/* All that can be had, twice, so that the second finds what the first has left */
TEST_F(buffer, holds_zeros_at_first)
{
	char *memory, *held;
	unsigned long *word;
	size_t size, i = 0;
	int fd, turn;

	if (access(ZERO_SETTING, W_OK))
		SKIP(return, "this kernel writes no zeros, or not for the asking");
	held = hold_rest(self->rest);
	ASSERT_NE(MAP_FAILED, held);
	size = free_bytes();
	ASSERT_TRUE(set_zero("always"));

	for (turn = 0; turn < 2; turn++) {
		fd = alloc_buffer(size, O_RDWR);
		ASSERT_LE(0, fd);
		memory = map_fd(fd, size, 0);
		ASSERT_NE(MAP_FAILED, memory);
		word = (unsigned long *)memory;
		for (i = 0; i < size / sizeof(*word) && !word[i]; i++)
			;
		EXPECT_EQ(size / sizeof(*word), i);
		fill(memory, size, 12);
		munmap(memory, size);
		close(fd);
	}
	munmap(held, self->rest - size);
}

TEST_F(buffer, mapped_as_it_was_opened)
{
	int fd = alloc_buffer(LARGE, O_RDONLY);
	char *memory;

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(MAP_FAILED, map_fd(fd, PAGE, 0));
	EXPECT_EQ(EACCES, errno);
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0, touch(memory, false));
	munmap(memory, PAGE);

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
				   LARGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * LARGE, PROT_READ, MAP_SHARED, fd,
				   0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST_F(buffer, what_is_refused)
{
	EXPECT_EQ(-1, alloc_buffer(0, O_RDWR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, alloc_buffer(self->rest + 1, O_RDWR));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, alloc_buffer(~0UL, O_RDWR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, alloc_buffer(PAGE, O_RDWR | O_APPEND));
	EXPECT_EQ(EINVAL, errno);
	/* Of the three modes, which are no bits, none is this one */
	EXPECT_EQ(-1, alloc_buffer(PAGE, O_WRONLY | O_RDWR));
	EXPECT_EQ(EINVAL, errno);
}

static int send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));

	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));

	return fd;
}

/* Somebody who could not have allocated it, gets it, and writes to it */
static int receiver(int socket)
{
	char *memory;
	int fd;

	if (!geteuid() && (setgroups(0, NULL) || setgid(NOBODY) ||
			   setuid(NOBODY)))
		return 1;
	fd = receive_fd(socket);
	if (fd < 0)
		return 2;
	memory = map_fd(fd, LARGE, 0);
	close(fd);
	if (memory == MAP_FAILED || !filled(memory, 0, LARGE, 2))
		return 3;
	fill(memory, LARGE, 3);

	return 0;
}

TEST_F(buffer, sent_to_another_process)
{
	int fd = alloc_buffer(LARGE, O_RDWR | O_CLOEXEC), sockets[2], status;
	char *memory;
	pid_t pid;

	ASSERT_LE(0, fd);
	memory = map_fd(fd, LARGE, 0);
	ASSERT_NE(MAP_FAILED, memory);
	fill(memory, LARGE, 2);

	/* Both processes have nothing but the socket in common */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_EQ(0, madvise(memory, LARGE, MADV_DONTFORK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fd);
		_exit(receiver(sockets[1]));
	}
	ASSERT_EQ(0, send_fd(sockets[0], fd));
	close(fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(filled(memory, 0, LARGE, 3));
	munmap(memory, LARGE);
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(buffer, takes_the_ioctls_of_a_dma_buf)
{
	struct dma_buf_sync sync = {
		.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
	};
	int fd = alloc_buffer(PAGE, O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	EXPECT_EQ(0, ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
	EXPECT_EQ(0, ioctl(fd, DMA_BUF_SET_NAME, "selftest"));
	close(fd);
}

static int open_as_nobody(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(255);
		_exit(open(provider_node(), O_RDWR) < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;

	return WEXITSTATUS(status);
}

TEST_F(buffer, permissions)
{
	struct stat before;

	if (geteuid())
		SKIP(return, "only root can become somebody else");
	ASSERT_EQ(0, stat(provider_node(), &before));
	ASSERT_TRUE(S_ISCHR(before.st_mode));
	EXPECT_EQ(EACCES, open_as_nobody());
	ASSERT_EQ(0, chown(provider_node(), -1, NOBODY));
	EXPECT_EQ(0, open_as_nobody());
	ASSERT_EQ(0, chown(provider_node(), -1, before.st_gid));
}

TEST_F(buffer, taken_away_with_the_provider)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want), .fd_flags = O_RDWR, .length = PAGE,
	};
	char offers[1024], *memory;
	int fd, node;

	if (!provider_is_generic())
		SKIP(return, "the provider is not one of p2pmem-pci");
	read_offers(offers, sizeof(offers));
	node = open(provider_node(), O_RDWR);
	fd = alloc_buffer(LARGE + PAGE, O_RDWR);
	ASSERT_LE(0, fd);
	memory = map_fd(fd, LARGE + PAGE, 0);
	ASSERT_NE(MAP_FAILED, memory);
	fill(memory, LARGE + PAGE, 4);

	/* The descriptors are open, and of no use */
	ASSERT_EQ(0, unbind_provider());
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_EQ(SIGBUS, touch(memory + LARGE, true));
	EXPECT_EQ(MAP_FAILED, map_fd(fd, PAGE, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, ioctl(node, PCI_P2PDMA_IOC_ALLOC, &want));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, access(provider_node(), F_OK));

	ASSERT_EQ(0, bind_provider(offers));
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_EQ(MAP_FAILED, map_fd(fd, PAGE, 0));
	EXPECT_EQ(-1, ioctl(node, PCI_P2PDMA_IOC_ALLOC, &want));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, TAKEN());
	munmap(memory, LARGE + PAGE);
	close(fd);
	close(node);
}

TEST_HARNESS_MAIN
