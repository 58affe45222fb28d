// SPDX-License-Identifier: GPL-2.0
/*
 * p2phold - hold a provider's memory and say what becomes of it
 *
 *	p2phold ALLOCATE BYTES
 *	p2phold /dev/p2pmem/ADDRESS BYTES
 *
 * Maps the memory, writes to each page of it, and answers one line for each
 * line of standard input:
 *	touch	write and read the held memory: "ok", "wrong" or "SIGBUS"
 *	map	map one more page through the file that was opened at the
 *		start: "ok" (and the page is given back) or the error's name
 *	drop	give the held memory back: "ok"
 * The first line printed is "held", or the error's name if the mapping was
 * refused. End of input ends the program.
 *
 * In the second form the memory is exported: it belongs to a dma-buf, whose file
 * descriptor is held as well. "map" then maps its first page once more.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/pci_p2pdma.h>
#include "p2pmem.h"

#define PAGE 4096UL

static sigjmp_buf lost;

static void on_sigbus(int signal)
{
	siglongjmp(lost, signal);
}

/*
 * Write something new to each page and read it back; atomic accesses, so that
 * the compiler does not keep what belongs into the device.
 */
static const char *touch(unsigned long *memory, size_t bytes)
{
	const size_t step = PAGE / sizeof(*memory);
	static unsigned long round;
	size_t i;

	round++;
	if (sigsetjmp(lost, 1))
		return "SIGBUS";
	for (i = 0; i < bytes / sizeof(*memory); i += step)
		__atomic_store_n(&memory[i], round << 32 | i, __ATOMIC_RELAXED);
	for (i = 0; i < bytes / sizeof(*memory); i += step)
		if (__atomic_load_n(&memory[i], __ATOMIC_RELAXED) !=
		    (round << 32 | i))
			return "wrong";
	return "ok";
}

static const char *map_another(int fd)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  0);

	if (page == MAP_FAILED)
		return strerrorname_np(errno);
	munmap(page, PAGE);
	return "ok";
}

/* The file to map: the one that was named, or the dma-buf that it gives. */
static int open_memory(const char *path, size_t bytes)
{
	struct pci_p2pdma_alloc want = {
		.size = sizeof(want),
		.fd_flags = O_RDWR | O_CLOEXEC,
		.length = bytes,
	};
	int fd = open_or_die(path, O_RDWR);
	struct stat status;

	if (fstat(fd, &status))
		die_errno(1, "cannot tell what %s is", path);
	if (!S_ISCHR(status.st_mode))
		return fd;
	return ioctl(fd, PCI_P2PDMA_IOC_ALLOC, &want);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_sigbus };
	char line[16];
	size_t bytes;
	void *memory;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: p2phold ALLOCATE BYTES\n");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGBUS, &action, NULL);
	bytes = bytes_arg(argv[2]);
	fd = open_memory(argv[1], bytes);
	if (fd < 0) {
		puts(strerrorname_np(errno));
		return 2;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		puts(strerrorname_np(errno));
		return 2;
	}
	if (strcmp(touch(memory, bytes), "ok")) {
		puts("the memory does not keep what is written to it");
		return 3;
	}
	puts("held");

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "touch")) {
			puts(touch(memory, bytes));
		} else if (!strcmp(line, "map")) {
			puts(map_another(fd));
		} else if (!strcmp(line, "drop")) {
			puts(munmap(memory, bytes) ? strerrorname_np(errno) :
						     "ok");
		} else {
			puts("not a command");
		}
	}
	return 0;
}
