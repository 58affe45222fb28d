/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KUnit: many cases made by chance; told in p2pdma_fuzz.c.
 */
#ifndef _P2PDMA_FUZZ_H
#define _P2PDMA_FUZZ_H

#include <linux/prandom.h>
#include <linux/types.h>

struct kunit;

#define FUZZ_DETAIL	200

/**
 * struct fuzz - a run of cases
 * @test: the test
 * @data: what the cases work on
 * @rnd: what the running case draws from, the same for the same case and seed
 * @nr: number of the running case
 * @detail: what the running case does, for whoever has to look into it
 */
struct fuzz {
	struct kunit *test;
	void *data;
	struct rnd_state rnd;
	unsigned int nr;
	char detail[FUZZ_DETAIL];
};

void fuzz_run(struct kunit *test, unsigned int cases,
	      const char *(*one)(struct fuzz *f), void *data);
u32 fuzz_draw(struct fuzz *f, u32 below);
bool fuzz_chance(struct fuzz *f, u32 one_in);
u64 fuzz_number(struct fuzz *f, u64 near);
void fuzz_damage(struct fuzz *f, char *text, size_t size, const char *alphabet);
__printf(2, 3) void fuzz_say(struct fuzz *f, const char *format, ...);

#endif /* _P2PDMA_FUZZ_H */
