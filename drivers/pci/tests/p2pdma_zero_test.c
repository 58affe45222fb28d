// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what peer-to-peer memory holds when user space gets it
 * (p2pdma_buffer.c).
 *
 * Nothing answers behind the BARs of a declared PCI tree.  Here the memory of the
 * provider is ordinary memory, so that one can look: two ranges of 2 MiB, out of
 * which buffers are made of whole ranges.  The pool has struct pages of its own for
 * it, since it writes to them.
 *
 * That both ways of allocating go through this, and that it works on a real BAR, is
 * for the selftests to show.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../p2pdma.h"
#include "../p2pdma_buffer.h"
#include "p2pdma_book.h"
#include "p2pdma_test.h"

#define RANGES		2
#define RANGE		SZ_2M
#define ALL		(RANGES * RANGE)

/* What others have left */
#define LEFT		0xa5

/**
 * struct bench - a provider of ordinary memory
 * @p2p: the provider, as far as buffers know it
 * @mem: its memory, which is contiguous
 */
struct bench {
	struct pci_p2pdma p2p;
	u8 *mem;
};

static void free_memory(void *mem)
{
	free_pages_exact(mem, ALL);
}

static void end_pool(void *pool)
{
	p2pdma_pool_destroy(pool);
}

static struct bench *bench_create(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct page *pages = book_pages(test, ALL / PAGE_SIZE + 1);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->mem = alloc_pages_exact(ALL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->mem);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_memory,
							b->mem), 0);
	memset(b->mem, LEFT, ALL);

	INIT_LIST_HEAD(&b->p2p.buffers);
	p2pdma_pool_init(&b->p2p.pool, NULL);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_pool,
							&b->p2p.pool), 0);
	for (i = 0; i < RANGES; i++)
		KUNIT_ASSERT_EQ(test, p2pdma_pool_add(&b->p2p.pool,
						      b->mem + i * RANGE,
						      pages + i * (RANGE / PAGE_SIZE),
						      RANGE, NUMA_NO_NODE), 0);
	return b;
}

static struct p2pdma_buffer *get_buffer(struct kunit *test, struct bench *b,
					size_t size)
{
	struct p2pdma_buffer *buffer = p2pdma_buffer_create(&b->p2p, size);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(buffer), "%pe", buffer);
	return buffer;
}

/* How many bytes of the whole memory are @value */
static size_t count(struct bench *b, u8 value)
{
	size_t i, n = 0;

	for (i = 0; i < ALL; i++)
		n += b->mem[i] == value;
	return n;
}

/* That of the buffer, every byte of it, and not a byte of others' */
static void holds_zeros(struct kunit *test)
{
	struct bench *b = bench_create(test);
	struct p2pdma_buffer *one, *other;

	one = get_buffer(test, b, RANGE);
	KUNIT_ASSERT_EQ(test, one->nr_pieces, 1);
	KUNIT_EXPECT_NULL(test, memchr_inv(one->piece[0].addr, 0, RANGE));
	KUNIT_EXPECT_EQ(test, count(b, LEFT), RANGE);

	memset(one->piece[0].addr, 1, RANGE);
	other = get_buffer(test, b, RANGE);
	KUNIT_EXPECT_NULL(test, memchr_inv(other->piece[0].addr, 0, RANGE));
	KUNIT_EXPECT_NULL(test, memchr_inv(one->piece[0].addr, 1, RANGE));
	p2pdma_buffer_destroy(other);
	p2pdma_buffer_destroy(one);
}

/* Of several pieces, and again when it has been somebody's */
static void holds_zeros_each_time(struct kunit *test)
{
	struct bench *b = bench_create(test);
	struct p2pdma_buffer *buffer;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		buffer = get_buffer(test, b, ALL);
		KUNIT_EXPECT_EQ(test, buffer->nr_pieces, RANGES);
		KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, 0, ALL));
		memset(b->mem, LEFT + i, ALL);
		p2pdma_buffer_destroy(buffer);
		/* What is given back is nobody's yet, and left alone */
		KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, LEFT + i, ALL));
	}
}

static void left_alone_if_switched_off(struct kunit *test)
{
	struct bench *b = bench_create(test);
	struct p2pdma_buffer *buffer;

	KUNIT_ASSERT_EQ(test, p2p_zero(test, "never"), 0);
	buffer = get_buffer(test, b, ALL);
	KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, LEFT, ALL));
	p2pdma_buffer_destroy(buffer);

	KUNIT_ASSERT_EQ(test, p2p_zero(test, "always"), 0);
	buffer = get_buffer(test, b, ALL);
	KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, 0, ALL));
	p2pdma_buffer_destroy(buffer);
}

/* By default those who could read the BAR without us get it as it is */
static void written_for_the_unprivileged(struct kunit *test)
{
	struct bench *b = bench_create(test);
	const struct cred *privileged;
	struct p2pdma_buffer *buffer;
	struct cred *cred;

	KUNIT_ASSERT_EQ(test, p2p_zero(test, "unprivileged"), 0);
	buffer = get_buffer(test, b, ALL);
	KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, LEFT, ALL));
	p2pdma_buffer_destroy(buffer);

	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_SYS_RAWIO);
	privileged = override_creds(cred);
	buffer = p2pdma_buffer_create(&b->p2p, ALL);
	revert_creds(privileged);
	put_cred(cred);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(buffer), "%pe", buffer);
	KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, 0, ALL));
	p2pdma_buffer_destroy(buffer);
}

static void other_words_are_refused(struct kunit *test)
{
	char shown[16];

	KUNIT_EXPECT_EQ(test, p2p_zero(test, "sometimes"), -EINVAL);
	p2p_read(test, test->priv, ZERO, shown, sizeof(shown));
	KUNIT_EXPECT_STREQ(test, strim(shown), "always");
}

/* Who is killed does not wait for slow memory, and nothing is lost */
static void given_up_when_killed(struct kunit *test)
{
	struct bench *b = bench_create(test);
	struct p2pdma_buffer *buffer;

	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	buffer = p2pdma_buffer_create(&b->p2p, ALL);
	flush_signals(current);
	disallow_signal(SIGKILL);

	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(buffer), -EINTR);
	if (!IS_ERR(buffer))
		p2pdma_buffer_destroy(buffer);
	KUNIT_EXPECT_EQ(test, p2pdma_pool_available(&b->p2p.pool), ALL);

	buffer = get_buffer(test, b, ALL);
	KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, 0, ALL));
	p2pdma_buffer_destroy(buffer);
}

/* The other suites do without it */
static int zero_case_init(struct kunit *test)
{
	int error = p2p_case_init(test);

	return error ?: p2p_zero(test, "always");
}

static struct kunit_case p2pdma_zero_cases[] = {
	KUNIT_CASE(holds_zeros),
	KUNIT_CASE(holds_zeros_each_time),
	KUNIT_CASE(left_alone_if_switched_off),
	KUNIT_CASE(written_for_the_unprivileged),
	KUNIT_CASE(other_words_are_refused),
	KUNIT_CASE(given_up_when_killed),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_zero_suite = {
	.name = "p2pdma_zero",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = zero_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_zero_cases,
};

kunit_test_suite(p2pdma_zero_suite);

MODULE_DESCRIPTION("KUnit tests of what peer-to-peer memory holds at first");
MODULE_LICENSE("GPL");
