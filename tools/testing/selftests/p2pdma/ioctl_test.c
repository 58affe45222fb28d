// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of peer-to-peer memory with arguments that nobody means: each is
 * answered by an error that the headers name, or by what was asked for, and
 * nothing is lost.  See provider.h for what the machine must have.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "provider.h"

#define ROUNDS		20000
#define QUERY_NODE	"/dev/pci-p2pdma"

FIXTURE(ioctls)
{
	long rest;
	int node;
	int query;
	/* The end of the page that comes before one that is not there */
	char *edge;
};

FIXTURE_SETUP(ioctls)
{
	char *pages;

	self->query = open(QUERY_NODE, O_RDONLY);
	if (self->query < 0)
		SKIP(return, QUERY_NODE " cannot be opened: %m");
	if (!provider_name())
		SKIP(return, "no device provides peer-to-peer memory");
	self->node = open(provider_node(), O_RDWR);
	if (self->node < 0)
		SKIP(return, "/dev/p2pmem/%s cannot be opened: %m",
		     provider_name());

	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	munmap(pages + PAGE, PAGE);
	self->edge = pages + PAGE;
	self->rest = free_bytes();
	srand(1);
}

FIXTURE_TEARDOWN(ioctls)
{
	if (self->rest)
		EXPECT_EQ(self->rest, free_bytes());
}

static void random_bytes(void *memory, size_t bytes)
{
	unsigned char *byte = memory;

	while (bytes--)
		*byte++ = rand() >> 7;
}

/* Half of the time a number that is likely to be looked at in earnest */
static __u32 random_size(__u32 right)
{
	switch (rand() % 4) {
	case 0:
		return right;
	case 1:
		return right + rand() % 64;
	case 2:
		return rand() % 128;
	default:
		return rand();
	}
}

/* A slow kernel, full of checkers, takes longer than usual for that many */
TEST_F_TIMEOUT(ioctls, allocate_with_random_arguments, 600)
{
	static const int known[] = { EINVAL, E2BIG, ENOMEM, EFAULT };
	struct {
		struct pci_p2pdma_alloc want;
		char more[PAGE];
	} arg;
	int i, fd, good = 0;
	size_t k;

	for (i = 0; i < ROUNDS; i++) {
		random_bytes(&arg, sizeof(arg.want));
		memset(arg.more, rand() % 8 ? 0 : 1, sizeof(arg.more));
		arg.want.size = random_size(sizeof(arg.want));
		if (rand() % 4) {
			arg.want.flags = 0;
			arg.want.reserved = 0;
			arg.want.fd_flags = rand() % 4;
			/* A few pages, which may have to be zeroed, or too many */
			arg.want.length = rand() % 8 ? rand() % (16 * PAGE) :
					  self->rest + 1 + rand() % self->rest;
		}
		fd = ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, &arg);
		if (fd >= 0) {
			good++;
			close(fd);
			continue;
		}
		for (k = 0; k < ARRAY_SIZE(known); k++)
			if (errno == known[k])
				break;
		ASSERT_LT(k, ARRAY_SIZE(known))
			TH_LOG("round %d gives %m", i);
	}
	EXPECT_LT(ROUNDS / 20, good);
}

TEST_F_TIMEOUT(ioctls, query_with_random_arguments, 600)
{
	static const int known[] = { EINVAL, E2BIG, ENODEV, EFAULT };
	struct {
		struct pci_p2pdma_query q;
		char more[PAGE];
	} arg;
	int i, good = 0;
	size_t k;

	for (i = 0; i < ROUNDS; i++) {
		random_bytes(&arg, sizeof(arg.q));
		memset(arg.more, rand() % 8 ? 0 : 1, sizeof(arg.more));
		arg.q.size = random_size(sizeof(arg.q));
		if (rand() % 4) {
			arg.q.flags = 0;
			memset(&arg.q.provider, 0, sizeof(arg.q.provider));
			memset(&arg.q.client, 0, sizeof(arg.q.client));
			arg.q.provider.bus = rand() % 4;
			arg.q.client.devfn = rand() % 2 * 8;
		}
		if (!ioctl(self->query, PCI_P2PDMA_IOC_QUERY, &arg)) {
			good++;
			continue;
		}
		for (k = 0; k < ARRAY_SIZE(known); k++)
			if (errno == known[k])
				break;
		ASSERT_LT(k, ARRAY_SIZE(known))
			TH_LOG("round %d gives %m", i);
	}
	EXPECT_LT(0, good);
}

TEST_F(ioctls, other_requests)
{
	char arg[PAGE] = {};
	unsigned int nr;

	for (nr = 0; nr < 256; nr++) {
		if (nr != 1) {
			EXPECT_EQ(-1, ioctl(self->node, _IO(0xBD, nr), arg));
			EXPECT_EQ(ENOTTY, errno);
		}
		if (nr) {
			EXPECT_EQ(-1, ioctl(self->query, _IO(0xBD, nr), arg));
			EXPECT_EQ(ENOTTY, errno);
		}
	}
	EXPECT_EQ(-1, read(self->node, arg, sizeof(arg)));
	EXPECT_EQ(-1, write(self->node, arg, sizeof(arg)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
				   self->node, 0));
}

TEST_F(ioctls, no_more_than_the_node_is_open_for)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want), .length = PAGE,
	};
	int node, fd;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		node = open(provider_node(), modes[i]);
		ASSERT_LE(0, node);
		for (k = 0; k < ARRAY_SIZE(modes); k++) {
			want.fd_flags = modes[k];
			fd = ioctl(node, PCI_P2PDMA_IOC_ALLOC, &want);
			if (modes[i] == O_RDWR || modes[i] == modes[k]) {
				ASSERT_LE(0, fd);
				EXPECT_EQ(modes[k],
					  fcntl(fd, F_GETFL) & O_ACCMODE);
				close(fd);
			} else {
				EXPECT_EQ(-1, fd);
				EXPECT_EQ(EACCES, errno);
			}
		}
		/* None of the three, for which nothing has to be open */
		want.fd_flags = O_ACCMODE;
		EXPECT_EQ(-1, ioctl(node, PCI_P2PDMA_IOC_ALLOC, &want));
		EXPECT_EQ(EINVAL, errno);
		close(node);
	}
}

TEST_F(ioctls, structures_that_are_not_all_there)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want), .fd_flags = O_RDWR, .length = PAGE,
	};
	size_t there;
	int fd;

	for (there = 0; there < sizeof(want); there++) {
		memcpy(self->edge - there, &want, there);
		EXPECT_EQ(-1, ioctl(self->node, PCI_P2PDMA_IOC_ALLOC,
				    self->edge - there));
		EXPECT_EQ(EFAULT, errno);
	}
	memcpy(self->edge - there, &want, there);
	fd = ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, self->edge - there);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-1, ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, NULL));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(ioctls, answers_that_cannot_be_written)
{
	struct pci_p2pdma_query *q = (void *)(self->edge - PAGE);
	unsigned int bus, dev, fn;
	int fields;

	fields = sscanf(provider_name(), "%x:%x:%x.%x", &q->client.domain, &bus,
			&dev, &fn);
	ASSERT_EQ(4, fields);
	q->size = sizeof(*q);
	q->client.bus = bus;
	q->client.devfn = dev << 3 | fn;
	q->provider = q->client;
	ASSERT_EQ(0, mprotect(q, PAGE, PROT_READ));
	EXPECT_EQ(-1, ioctl(self->query, PCI_P2PDMA_IOC_QUERY, q));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, mprotect(q, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ioctl(self->query, PCI_P2PDMA_IOC_QUERY, q));
	EXPECT_EQ(PCI_P2PDMA_ROUTE_DIRECT, q->type);
}

TEST_F(ioctls, structures_of_other_versions)
{
	struct {
		struct pci_p2pdma_alloc want;
		char more[64];
	} arg = {
		.want = { .fd_flags = O_RDWR, .length = PAGE },
	};
	char *pages;
	int fd;

	/* A newer one that asks for nothing new is understood */
	arg.want.size = sizeof(arg);
	fd = ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, &arg);
	EXPECT_LE(0, fd);
	close(fd);
	arg.more[63] = 1;
	EXPECT_EQ(-1, ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, &arg));
	EXPECT_EQ(E2BIG, errno);
	arg.want.size = PCI_P2PDMA_ALLOC_SIZE_VER0 - 1;
	EXPECT_EQ(-1, ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, &arg));
	EXPECT_EQ(EINVAL, errno);

	/* None is longer than a page, zeros or not */
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	arg.want.size = PAGE + 1;
	memcpy(pages, &arg.want, sizeof(arg.want));
	EXPECT_EQ(-1, ioctl(self->node, PCI_P2PDMA_IOC_ALLOC, pages));
	EXPECT_EQ(E2BIG, errno);
	munmap(pages, 2 * PAGE);
}

TEST_HARNESS_MAIN
