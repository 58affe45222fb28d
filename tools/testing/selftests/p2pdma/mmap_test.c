// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer memory in a process: p2pmem/allocate and what can be done to a
 * mapping of it.  See provider.h for what the machine must have.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/elf.h>

#include "../kselftest_harness.h"
#include "provider.h"

#define NOBODY	65534
/* Newer than the C library, here and there */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

FIXTURE(memory)
{
	long rest;
};

FIXTURE_SETUP(memory)
{
	int fd;

	if (!provider_name())
		SKIP(return, "no device provides peer-to-peer memory");
	fd = open_allocate(O_RDWR);
	if (fd < 0)
		SKIP(return, "p2pmem/allocate cannot be opened: %m");
	close(fd);

	self->rest = free_bytes();
	if (self->rest < (long)(4 * LARGE))
		SKIP(return, "the provider has less than 8 MiB available");
}

/* Whatever a test did, nothing is lost */
FIXTURE_TEARDOWN(memory)
{
	EXPECT_TRUE(restore_zero());
	if (self->rest)
		EXPECT_EQ(self->rest, free_bytes());
}

/* The mapping of what a test needs: filled, and gone when it ends */
#define MAP(bytes, salt) ({						\
	size_t __bytes = bytes;						\
	void *__memory = map_provider(__bytes);				\
									\
	ASSERT_NE(MAP_FAILED, __memory);				\
	fill(__memory, __bytes, salt);					\
	(char *)__memory;						\
})

/* How many bytes less than at first are available */
#define TAKEN()	(self->rest - free_bytes())

TEST_F(memory, holds_data)
{
	static const size_t sizes[] = {
		PAGE, 3 * PAGE, LARGE - PAGE, LARGE, LARGE + PAGE, 3 * LARGE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *memory = MAP(sizes[i], i);

		EXPECT_EQ((long)sizes[i], TAKEN());
		EXPECT_TRUE(filled(memory, 0, sizes[i], i));
		ASSERT_EQ(0, munmap(memory, sizes[i]));
		EXPECT_EQ(0, TAKEN());
	}
}

/* Whatever was there, of whomever: all that can be had, so that it was ours */
TEST_F(memory, holds_zeros_at_first)
{
	char *memory, *held;
	unsigned long *word;
	size_t size, i;

	if (access(ZERO_SETTING, W_OK))
		SKIP(return, "this kernel writes no zeros, or not for the asking");
	held = hold_rest(self->rest);
	ASSERT_NE(MAP_FAILED, held);
	size = free_bytes();
	ASSERT_TRUE(set_zero("always"));

	memory = MAP(size, 11);
	munmap(memory, size);
	memory = map_provider(size);
	ASSERT_NE(MAP_FAILED, memory);
	word = (unsigned long *)memory;
	for (i = 0; i < size / sizeof(*word) && !word[i]; i++)
		;
	EXPECT_EQ(size / sizeof(*word), i);
	munmap(memory, size);
	munmap(held, self->rest - size);
}

TEST_F(memory, two_mappings_are_two_allocations)
{
	char *a = MAP(LARGE, 1), *b = MAP(LARGE, 2);

	EXPECT_EQ((long)(2 * LARGE), TAKEN());
	EXPECT_TRUE(filled(a, 0, LARGE, 1));
	EXPECT_TRUE(filled(b, 0, LARGE, 2));
	munmap(a, LARGE);
	EXPECT_TRUE(filled(b, 0, LARGE, 2));
	munmap(b, LARGE);
}

TEST_F(memory, all_and_not_a_page_more)
{
	char *memory = map_provider(self->rest);

	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0, free_bytes());
	EXPECT_EQ(MAP_FAILED, map_provider(PAGE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, touch(memory, true));
	EXPECT_EQ(0, touch(memory + self->rest - 1, true));
	munmap(memory, self->rest);
	EXPECT_EQ(MAP_FAILED, map_provider(self->rest + PAGE));
	EXPECT_EQ(ENOMEM, errno);
}

TEST_F(memory, what_mmap_refuses)
{
	int reader = open_allocate(O_RDONLY), fd = open_allocate(O_RDWR);
	char *memory;

	ASSERT_LE(0, reader);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, reader,
				   0));
	EXPECT_EQ(EACCES, errno);

	/* Reading alone is fine, and stays reading alone */
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0, touch(memory, false));
	EXPECT_EQ(SIGSEGV, touch(memory, true));
	EXPECT_EQ(-1, mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	munmap(memory, PAGE);
	close(reader);
	close(fd);
}

TEST_F(memory, part_by_part)
{
	static const struct {
		size_t from;
		size_t to;
	} parts[] = {
		{ LARGE + 5 * PAGE, LARGE + 6 * PAGE }, { 0, PAGE },
		{ 3 * LARGE - PAGE, 3 * LARGE }, { LARGE - PAGE, LARGE + PAGE },
		{ LARGE + PAGE, LARGE + 5 * PAGE }, { 2 * LARGE, 3 * LARGE },
	};
	char *memory = MAP(3 * LARGE, 7);
	long gone = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, munmap(memory + parts[i].from,
				    parts[i].to - parts[i].from));
		gone = 3 * LARGE - TAKEN();
		EXPECT_EQ(SIGSEGV, touch(memory + parts[i].from, false));
		EXPECT_EQ(SIGSEGV, touch(memory + parts[i].to - 1, false));
	}
	EXPECT_EQ((long)(LARGE + 8 * PAGE), gone);
	EXPECT_TRUE(filled(memory + PAGE, PAGE, LARGE - 2 * PAGE, 7));
	EXPECT_TRUE(filled(memory + LARGE + 6 * PAGE, LARGE + 6 * PAGE,
			   LARGE - 6 * PAGE, 7));
	munmap(memory, 3 * LARGE);
}

TEST_F(memory, unmapped_by_mapping_over_it)
{
	char *memory = MAP(LARGE, 3);

	ASSERT_EQ(memory + PAGE, mmap(memory + PAGE, 2 * PAGE,
				      PROT_READ | PROT_WRITE, MAP_PRIVATE |
				      MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ((long)(LARGE - 2 * PAGE), TAKEN());
	EXPECT_TRUE(filled(memory, 0, PAGE, 3));
	EXPECT_TRUE(filled(memory + 3 * PAGE, 3 * PAGE, LARGE - 3 * PAGE, 3));
	munmap(memory, LARGE);
}

/* What a child does with the memory; returns its exit status */
static int in_child(void (*what)(char *memory), char *memory)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		what(memory);
		_exit(99);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void see_and_write(char *memory)
{
	if (!filled(memory, 0, LARGE + PAGE, 4))
		_exit(1);
	fill(memory, LARGE + PAGE, 5);
	_exit(0);
}

static void unmap_half(char *memory)
{
	_exit(munmap(memory, LARGE) ? 1 : 0);
}

TEST_F(memory, shared_with_children)
{
	char *memory = MAP(LARGE + PAGE, 4);

	EXPECT_EQ(0, in_child(see_and_write, memory));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 5));
	EXPECT_EQ(0, in_child(unmap_half, memory));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 5));
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	munmap(memory, LARGE + PAGE);
}

TEST_F(memory, outlives_the_parents_mapping)
{
	char *memory = MAP(LARGE + PAGE, 6);
	int ready[2], go[2], status;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(go[0], &c, 1) != 1 ||
		    !filled(memory, 0, LARGE + PAGE, 6))
			_exit(1);
		munmap(memory, LARGE);
		c = 1;
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1 ||
		    !filled(memory + LARGE, LARGE, PAGE, 6))
			_exit(2);
		_exit(0);
	}
	munmap(memory, LARGE + PAGE);
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	ASSERT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_EQ((long)PAGE, TAKEN());
	ASSERT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(memory, not_for_children_that_must_not)
{
	char *memory = MAP(LARGE, 1);
	int status;
	pid_t pid;

	ASSERT_EQ(0, madvise(memory, LARGE, MADV_DONTFORK));
	pid = fork();
	if (!pid)
		_exit(touch(memory, false));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGSEGV, WEXITSTATUS(status));
	EXPECT_TRUE(filled(memory, 0, LARGE, 1));
	munmap(memory, LARGE);
}

TEST_F(memory, moved)
{
	char *memory = MAP(2 * LARGE, 8), *room, *moved;

	room = mmap(NULL, 4 * LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	ASSERT_NE(MAP_FAILED, room);

	/* To where large entries fit, and to where they do not */
	moved = (char *)(((unsigned long)room + LARGE) & ~(LARGE - 1));
	ASSERT_EQ(moved, mremap(memory, 2 * LARGE, 2 * LARGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, moved));
	EXPECT_TRUE(filled(moved, 0, 2 * LARGE, 8));
	ASSERT_EQ(memory + PAGE,
		  mremap(moved, LARGE, LARGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 memory + PAGE));
	EXPECT_TRUE(filled(memory + PAGE, 0, LARGE, 8));
	EXPECT_TRUE(filled(moved + LARGE, LARGE, LARGE, 8));
	EXPECT_EQ((long)(2 * LARGE), TAKEN());

	/* Shorter is fine, longer is not */
	EXPECT_EQ(memory + PAGE, mremap(memory + PAGE, LARGE, PAGE, 0));
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	EXPECT_EQ(MAP_FAILED, mremap(memory + PAGE, PAGE, 2 * PAGE,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	munmap(memory + PAGE, PAGE);
	munmap(room, 4 * LARGE);
	munmap(moved + LARGE, LARGE);
}

TEST_F(memory, protection)
{
	char *memory = MAP(LARGE + PAGE, 9);

	ASSERT_EQ(0, mprotect(memory, LARGE + PAGE, PROT_READ));
	EXPECT_EQ(0, touch(memory, false));
	EXPECT_EQ(SIGSEGV, touch(memory, true));
	EXPECT_EQ(SIGSEGV, touch(memory + LARGE, true));
	ASSERT_EQ(0, mprotect(memory, LARGE + PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(memory, false));
	ASSERT_EQ(0, mprotect(memory, LARGE + PAGE, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 9));
	fill(memory, LARGE + PAGE, 10);

	/* Of a part of what one entry maps */
	ASSERT_EQ(0, mprotect(memory + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(memory + PAGE, true));
	EXPECT_EQ(0, touch(memory + 2 * PAGE, true));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 10));
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	munmap(memory, LARGE + PAGE);
}

TEST_F(memory, advice)
{
	char *memory = MAP(LARGE + PAGE, 11);

	/* What is dropped from the page tables comes back */
	ASSERT_EQ(0, madvise(memory, LARGE + PAGE, MADV_DONTNEED));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 11));
	ASSERT_EQ(0, madvise(memory + PAGE, PAGE, MADV_DONTNEED));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 11));
	EXPECT_EQ(0, madvise(memory, LARGE, MADV_NOHUGEPAGE));
	EXPECT_EQ(0, madvise(memory, LARGE, MADV_DONTNEED));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 11));

	/* What would lose it is refused */
	EXPECT_EQ(-1, madvise(memory, LARGE, MADV_FREE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, madvise(memory, LARGE, MADV_REMOVE));
	EXPECT_EQ(-1, madvise(memory, LARGE, MADV_DODUMP));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 11));
	EXPECT_EQ((long)(LARGE + PAGE), TAKEN());
	munmap(memory, LARGE + PAGE);
}

/* The line of /proc/self/smaps on the mapping at @memory that begins so */
static bool smaps_line(const char *memory, const char *key, char *line,
		       size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool found = false, inside = false;
	unsigned long start, end;

	while (f && !found && fgets(line, size, f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)memory &&
				 (unsigned long)memory < end;
		else
			found = inside && !strncmp(line, key, strlen(key));
	}
	if (f)
		fclose(f);

	return found;
}

/* What is meant for memory of the system does nothing, whatever it returns */
TEST_F(memory, advice_for_other_memory)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_COLLAPSE,
		MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_MERGEABLE, MADV_COLD,
		MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	char *memory = MAP(2 * LARGE, 20), line[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(memory, 2 * LARGE, advice[i]);
		EXPECT_TRUE(filled(memory, 0, 2 * LARGE, 20))
			TH_LOG("advice %d", advice[i]);
		EXPECT_EQ((long)(2 * LARGE), TAKEN());
	}
	/* The pages of equal content stay two */
	ASSERT_TRUE(smaps_line(memory, "VmFlags:", line, sizeof(line)));
	EXPECT_EQ(NULL, strstr(line, " mg"));
	EXPECT_EQ(-1, madvise(memory, 2 * LARGE, MADV_WIPEONFORK));
	EXPECT_EQ(EINVAL, errno);
	munmap(memory, 2 * LARGE);
}

TEST_F(memory, locked)
{
	char *memory = MAP(LARGE + PAGE, 12);

	EXPECT_EQ(0, mlock(memory, LARGE + PAGE));
	EXPECT_TRUE(filled(memory, 0, LARGE + PAGE, 12));
	EXPECT_EQ(0, munlock(memory, LARGE + PAGE));
	/* There is nothing behind it */
	EXPECT_EQ(-1, msync(memory, LARGE + PAGE, MS_SYNC));
	EXPECT_EQ(EINVAL, errno);
	munmap(memory, LARGE + PAGE);

	memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, open_allocate(O_RDWR), 0);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0, touch(memory, true));
	munmap(memory, LARGE);
}

TEST_F(memory, told_of_in_proc)
{
	/* Pages alone, and what large entries map */
	static const size_t sizes[] = { PAGE, LARGE + PAGE, 2 * LARGE };
	char line[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *memory = MAP(sizes[i], 13);

		ASSERT_TRUE(smaps_line(memory, "Size:", line, sizeof(line)));
		EXPECT_EQ((long)sizes[i] / 1024, atol(line + strlen("Size:")));
		/* It is no system memory, and not part of core dumps */
		ASSERT_TRUE(smaps_line(memory, "Rss:", line, sizeof(line)));
		EXPECT_EQ(0, atol(line + strlen("Rss:")));
		ASSERT_TRUE(smaps_line(memory, "VmFlags:", line,
				       sizeof(line)));
		EXPECT_NE(NULL, strstr(line, " dd"));
		munmap(memory, sizes[i]);
	}
}

/* Other pages of the same allocation, in the place of some */
TEST_F(memory, mapped_in_another_order)
{
	char *memory = MAP(4 * PAGE, 17);

	ASSERT_EQ(0, remap_file_pages(memory, PAGE, 0, 1, 0));

	/* The second page is mapped twice, and nobody has the first */
	EXPECT_EQ((long)(3 * PAGE), TAKEN());
	EXPECT_TRUE(filled(memory, PAGE, PAGE, 17));
	EXPECT_TRUE(filled(memory + PAGE, PAGE, 3 * PAGE, 17));
	fill(memory, PAGE, 18);
	EXPECT_TRUE(filled(memory + PAGE, 0, PAGE, 18));

	/* What has gone back does not come again */
	ASSERT_EQ(0, remap_file_pages(memory + PAGE, PAGE, 0, 0, 0));
	EXPECT_EQ(SIGBUS, touch(memory + PAGE, true));
	EXPECT_EQ((long)(3 * PAGE), TAKEN());
	EXPECT_TRUE(filled(memory, 0, PAGE, 18));
	EXPECT_TRUE(filled(memory + 2 * PAGE, 2 * PAGE, 2 * PAGE, 17));
	munmap(memory, 4 * PAGE);
}

TEST_F(memory, seen_by_debuggers)
{
	char *memory = MAP(LARGE + PAGE, 14), *plain = malloc(LARGE + PAGE);
	int fd = open("/proc/self/mem", O_RDWR);
	off_t place = (off_t)memory;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, plain);
	ASSERT_EQ((ssize_t)(LARGE + PAGE),
		  pread(fd, plain, LARGE + PAGE, place));
	EXPECT_TRUE(filled(plain, 0, LARGE + PAGE, 14));
	ASSERT_EQ(3, pwrite(fd, "abc", 3, place + LARGE - 1));
	EXPECT_EQ(0, memcmp(memory + LARGE - 1, "abc", 3));

	/* What is mapped for reading only is not written to in this way */
	ASSERT_EQ(0, mprotect(memory, LARGE + PAGE, PROT_READ));
	EXPECT_EQ(-1, pwrite(fd, "xyz", 3, place + LARGE - 1));
	EXPECT_EQ(0, memcmp(memory + LARGE - 1, "abc", 3));
	close(fd);
	free(plain);
	munmap(memory, LARGE + PAGE);
}

TEST_F(memory, seen_by_who_traces)
{
	static const size_t sizes[] = { PAGE, 2 * LARGE };
	unsigned long *word, found;
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *memory = MAP(sizes[i], 21);

		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (mprotect(memory, PAGE, PROT_READ) ||
			    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
				_exit(1);
			raise(SIGSTOP);
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSTOPPED(status));

		/* The last word, of a page that the child may write to */
		word = (unsigned long *)(memory + sizes[i]) - 1;
		errno = 0;
		found = ptrace(PTRACE_PEEKDATA, pid, word, NULL);
		EXPECT_EQ(0, errno);
		EXPECT_EQ(pattern(sizes[i] / sizeof(*word) - 1, 21), found);
		if (sizes[i] > PAGE) {		/* else there is only one page */
			EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, word, 22L));
			EXPECT_EQ(22, *word);
		}
		/* The first one, of a page that the child may only read */
		word = (unsigned long *)memory;
		EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, word, 23L));
		EXPECT_EQ(pattern(0, 21), *word);

		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		munmap(memory, sizes[i]);
	}
}

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"

/* How many bytes of the mapping at @memory are in a core file; -1: no mapping */
static long bytes_in_core(const char *path, const char *memory)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long bytes = -1;
	struct elf64_hdr elf;
	struct elf64_phdr part;
	int i;

	if (fd < 0)
		return -1;
	if (read(fd, &elf, sizeof(elf)) == sizeof(elf))
		for (i = 0; i < elf.e_phnum; i++)
			if (pread(fd, &part, sizeof(part), elf.e_phoff +
				  i * sizeof(part)) == sizeof(part) &&
			    part.p_type == PT_LOAD &&
			    part.p_vaddr == (unsigned long)memory)
				bytes = part.p_filesz;
	close(fd);

	return bytes;
}

static void dump_core(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* Not the handlers of the harness */
	signal(SIGQUIT, SIG_DFL);
	if (setrlimit(RLIMIT_CORE, &all))
		_exit(1);
	raise(SIGQUIT);
	_exit(2);
}

TEST_F(memory, not_in_core_dumps)
{
	char *memory, *plain, before[256], path[64];
	FILE *f = fopen(CORE_PATTERN, "r");
	int status;
	pid_t pid;

	if (!f || !fgets(before, sizeof(before), f))
		SKIP(return, "there are no core dumps");
	fclose(f);
	if (tell(CORE_PATTERN, "/tmp/p2pdma.core.%p"))
		SKIP(return, "only root can say where core dumps go");

	memory = MAP(2 * LARGE, 24);
	plain = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Not next to other memory, of which it would become a part */
	mprotect(plain, PAGE, PROT_READ);
	pid = fork();
	if (!pid) {
		mprotect(plain, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
		*plain = 1;
		dump_core();
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, tell(CORE_PATTERN, before));
	if (!WIFSIGNALED(status) || !WCOREDUMP(status)) {
		munmap(memory, 2 * LARGE);
		SKIP(return, "no core was dumped");
	}

	snprintf(path, sizeof(path), "/tmp/p2pdma.core.%d", pid);
	EXPECT_EQ((long)PAGE, bytes_in_core(path, plain));
	EXPECT_EQ(0, bytes_in_core(path, memory));
	unlink(path);
	munmap(plain, PAGE);
	EXPECT_TRUE(filled(memory, 0, 2 * LARGE, 24));
	munmap(memory, 2 * LARGE);
}

/* Where pages would go to somebody who is not prepared for them */
TEST_F(memory, pages_stay_here)
{
	char *memory = MAP(LARGE, 15), plain[PAGE];
	struct iovec from = { memory, PAGE }, to = { plain, PAGE };
	int fds[2], null = open("/dev/null", O_WRONLY);

	/* Without CONFIG_CROSS_MEMORY_ATTACH even copying nothing fails */
	if (!process_vm_readv(getpid(), NULL, 0, NULL, 0, 0)) {
		EXPECT_EQ(-1, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, process_vm_writev(getpid(), &to, 1, &from, 1, 0));
		EXPECT_EQ(EFAULT, errno);
	}
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-1, vmsplice(fds[1], &from, 1, SPLICE_F_GIFT));
	EXPECT_EQ(-1, vmsplice(fds[1], &from, 1, 0));

	/* A copy of the data is another thing */
	ASSERT_EQ((ssize_t)PAGE, write(fds[1], memory, PAGE));
	ASSERT_EQ((ssize_t)PAGE, read(fds[0], memory + PAGE, PAGE));
	EXPECT_TRUE(filled(memory + PAGE, 0, PAGE, 15));
	ASSERT_EQ((ssize_t)PAGE, write(null, memory, PAGE));
	close(null);
	close(fds[0]);
	close(fds[1]);
	munmap(memory, LARGE);
}

/* As user and group nobody; the errno of opening the file, 0 if it opens */
static int open_as_nobody(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(255);
		_exit(open_allocate(O_RDWR) < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;

	return WEXITSTATUS(status);
}

TEST_F(memory, permissions)
{
	const char *path = provider_path("p2pmem/allocate");
	struct stat before;

	if (geteuid())
		SKIP(return, "only root can become somebody else");
	ASSERT_EQ(0, stat(path, &before));
	EXPECT_EQ(0660, before.st_mode & 0777);
	EXPECT_EQ(EACCES, open_as_nobody());
	ASSERT_EQ(0, chown(path, -1, NOBODY));
	EXPECT_EQ(0, open_as_nobody());
	ASSERT_EQ(0, chown(path, -1, before.st_gid));
	EXPECT_EQ(EACCES, open_as_nobody());
}

TEST_F(memory, taken_away_with_the_provider)
{
	int fd, debugger = open("/proc/self/mem", O_RDONLY);
	char offers[1024], *memory, byte;

	if (!provider_is_generic())
		SKIP(return, "the provider is not one of p2pmem-pci");
	read_offers(offers, sizeof(offers));
	fd = open_allocate(O_RDWR);
	memory = MAP(LARGE + PAGE, 16);
	ASSERT_EQ(1, pread(debugger, &byte, 1, (off_t)memory));

	ASSERT_EQ(0, unbind_provider());
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_EQ(SIGBUS, touch(memory + LARGE, true));
	EXPECT_EQ(-1, pread(debugger, &byte, 1, (off_t)memory));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENODEV, errno);

	/* Also not when it has come back */
	ASSERT_EQ(0, bind_provider(offers));
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_EQ(0, TAKEN());
	munmap(memory, LARGE + PAGE);
	close(debugger);
	close(fd);
}

TEST_HARNESS_MAIN
