// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: many cases made by chance.
 *
 * A case is a function that makes something up, does it, and compares what comes
 * of it with what must be true of it.  It makes it up of parts that have a
 * meaning (registers, names, sizes close to a limit), since noise is refused at
 * the door.
 *
 * Case n draws from a sequence of its own, made of n and the seed of the run, so
 * that the cases before it need not be repeated with the same numbers.  What they
 * left behind may matter nevertheless: then the run has to be repeated.  The seed
 * is always the same, for a test that failed must fail again, and is in the
 * message of a failure.  Another one is used with p2pdma_fuzz.seed=NUMBER on the
 * command line, and more cases with p2pdma_fuzz.times=N.
 *
 * Hostile input makes the kernel say something in nearly each case, so it is kept
 * from the console.  A warning still ends the run, and goes there then, with the
 * number of the case.
 */
#include <kunit/test.h>

#include <linux/cleanup.h>
#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/string.h>

#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

static unsigned long seed = 0x70327064;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "What the cases are made of");

static unsigned int times = 1;
module_param(times, uint, 0444);
MODULE_PARM_DESC(times, "Factor by which to increase the number of cases");

/**
 * fuzz_draw - a number
 * @f: the run
 * @below: it is less than this
 *
 * Return: the number.
 */
u32 fuzz_draw(struct fuzz *f, u32 below)
{
	return prandom_u32_state(&f->rnd) % below;
}

/**
 * fuzz_chance - true now and then
 * @f: the run
 * @one_in: how often
 *
 * Return: true once in so many times.
 */
bool fuzz_chance(struct fuzz *f, u32 one_in)
{
	return !fuzz_draw(f, one_in);
}

/**
 * fuzz_number - a number that is likely to be handled wrongly
 * @f: the run
 * @near: a limit
 *
 * Return: zero, the greatest one, a power of two, the limit, part of it, any
 * number; or one of these and a little more or less.
 */
u64 fuzz_number(struct fuzz *f, u64 near)
{
	u64 n, any = (u64)prandom_u32_state(&f->rnd) << 32;

	any |= prandom_u32_state(&f->rnd);
	switch (fuzz_draw(f, 8)) {
	case 0:
		n = 0;
		break;
	case 1:
		n = U64_MAX;
		break;
	case 2:
		n = 1ULL << fuzz_draw(f, 64);
		break;
	case 3:
		n = any;
		break;
	case 4:
		n = near;
		break;
	case 5:
		n = -near;
		break;
	default:
		n = near ? any % near : any;
		break;
	}

	switch (fuzz_draw(f, 6)) {
	case 0:
		return n + 1;
	case 1:
		return n - 1;
	case 2:
		return n & ~(u64)(SZ_2M - 1);
	case 3:
		return n & PAGE_MASK;
	default:
		return n;
	}
}

/**
 * fuzz_damage - damage a text in a few places, or in none
 * @f: the run
 * @text: the text
 * @size: of the buffer that it is in
 * @alphabet: the characters that are put into it
 *
 * A character is added, replaced or removed, or the text ends there.  Half of the
 * texts get the end of a line, as those of echo have it.
 */
void fuzz_damage(struct fuzz *f, char *text, size_t size, const char *alphabet)
{
	unsigned int n = fuzz_draw(f, 3), at;
	size_t len;

	while (n--) {
		len = strlen(text);
		at = fuzz_draw(f, len + 1);
		switch (fuzz_draw(f, 4)) {
		case 0:
			text[at] = '\0';
			break;
		case 1:
			if (len + 2 < size)
				memmove(text + at + 1, text + at, len - at + 1);
			fallthrough;
		case 2:
			if (at < strlen(text))
				text[at] = alphabet[fuzz_draw(f, strlen(alphabet))];
			break;
		case 3:
			if (at < len)
				memmove(text + at, text + at + 1, len - at);
			break;
		}
	}
	if (fuzz_chance(f, 2))
		strlcat(text, "\n", size);
}

/**
 * fuzz_say - note what the running case does
 * @f: the run
 * @format: as for printf()
 *
 * The last note before something is wrong is part of the message.
 */
void fuzz_say(struct fuzz *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(f->detail, sizeof(f->detail), format, args);
	va_end(args);
}

/* The console has not seen what the kernel warned of: the last 40 lines from it */
static void repeat_warning(struct kunit *test)
{
	char *line __free(kfree) = kmalloc(LOG_LINE, GFP_KERNEL);
	struct kmsg_dump_iter iter;
	unsigned int left = 0;
	size_t len;

	kmsg_dump_rewind(&iter);
	while (line && kmsg_dump_get_line(&iter, false, line, LOG_LINE - 1, &len)) {
		line[len] = '\0';
		if (strstr(line, "cut here"))
			left = 40;
		if (!left)
			continue;
		kunit_info(test, "%s", line);
		left--;
	}
}

/**
 * fuzz_run - run many cases, up to the first one that fails
 * @test: the test, which fails by it
 * @cases: their number
 * @one: the case; returns NULL if all was right, or what was not
 * @data: what it works on
 */
void fuzz_run(struct kunit *test, unsigned int cases,
	      const char *(*one)(struct fuzz *f), void *data)
{
	struct fuzz f = { .test = test, .data = data };
	bool warned = test_taint(TAINT_WARN);
	const char *why = NULL;

	cases *= times;
	if (P2P_SLOW)
		cases /= 4;
	p2p_quiet(test, LOGLEVEL_CRIT);
	for (f.nr = 0; f.nr < cases && !why; f.nr++) {
		prandom_seed_state(&f.rnd, ((u64)seed << 32) + f.nr);
		fuzz_say(&f, "it has not begun");
		why = one(&f);
		if (!why && !warned && test_taint(TAINT_WARN))
			why = "the kernel warned";
		/* A case may have failed the test by itself, deep inside */
		if (!why && READ_ONCE(test->status) == KUNIT_FAILURE)
			why = "see above";
		cond_resched();
	}
	p2p_loud();
	if (!warned && test_taint(TAINT_WARN))
		repeat_warning(test);
	if (why)
		KUNIT_FAIL(test, "p2pdma_fuzz.seed=%#lx, case %u: %s (%s)",
			   seed, f.nr - 1, why, f.detail);
	else
		kunit_info(test, "%u cases with p2pdma_fuzz.seed=%#lx\n", cases,
			   seed);
	kunit_info(test, "figure: cases=%u\n", f.nr);
}
