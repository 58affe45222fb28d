// SPDX-License-Identifier: GPL-2.0
/*
 * Drives and memory, as system calls have them.
 *
 * A drive that is to be written to is opened exclusively, so that one that is
 * mounted, or part of a volume, is refused; --force leaves that out.
 *
 * Memory of a provider is mapped through its file p2pmem/allocate in sysfs,
 * which every kernel with peer-to-peer DMA has.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "io.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"

/**
 * parse_bytes - parse a number of bytes
 * @text: a number, which may end in K, M, G or T
 * @bytes: returns it
 *
 * Return: false if @text is something else.
 */
bool parse_bytes(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (value > UINT64_MAX >> shift)
		return false;

	*bytes = value << shift;
	return true;
}

/**
 * bytes_text - a number of bytes for people
 * @bytes: the number
 * @text: room for the text
 *
 * Return: @text.
 */
const char *bytes_text(uint64_t bytes, char text[32])
{
	static const char * const units[] = {
		"bytes", "KiB", "MiB", "GiB", "TiB"
	};
	double value = bytes;
	unsigned int unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	if (value == (uint64_t)value)
		snprintf(text, 32, "%llu %s", (unsigned long long)value,
			 units[unit]);
	else
		snprintf(text, 32, "%.1f %s", value, units[unit]);

	return text;
}

static int drive_size(struct drive *drive)
{
	struct stat st;

	if (fstat(drive->fd, &st))
		return -1;
	drive->block = S_ISBLK(st.st_mode);
	drive->bytes = st.st_size;
	if (!drive->block && !S_ISREG(st.st_mode)) {
		errno = ENOTBLK;
		return -1;
	}

	return drive->block ? ioctl(drive->fd, BLKGETSIZE64, &drive->bytes) : 0;
}

/**
 * drive_open - open a drive or file for direct I/O
 * @drive: filled in
 * @path: its name
 * @write: for writing, too
 * @force: even if somebody else uses it
 *
 * Return: 0, or -1 after a message.
 */
int drive_open(struct drive *drive, const char *path, bool write, bool force)
{
	int flags = O_DIRECT | O_CLOEXEC | (write ? O_RDWR : O_RDONLY);
	struct stat st;

	/* Of a block device, O_EXCL means that nobody has claimed it */
	if (write && !force && !stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;

	drive->path = path;
	drive->fd = open(path, flags);
	if (drive->fd < 0 && errno == EBUSY) {
		complain("%s is in use: unmount it, or add --force if you are sure",
			 path);
		return -1;
	}
	if (drive->fd < 0 && errno == EINVAL) {
		complain("%s takes no direct I/O: use a block device, or a file on ext4",
			 path);
		return -1;
	}
	if (drive->fd < 0) {
		complain("cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	if (drive_size(drive)) {
		complain("%s is neither a block device nor a file: %s", path,
			 strerror(errno));
		return -1;
	}

	return 0;
}

/* Of a domain there are four digits, or more: those behind VMD are 10000 and up */
static bool is_address(const char *word, size_t len)
{
	unsigned int domain, bus, device, function;
	int end = 0;

	return len >= 12 && len < ADDRESS_ROOM &&
	       sscanf(word, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device,
		      &function, &end) == 4 && (size_t)end == len;
}

/* The device number of the drive that @path is on */
static bool device_number(const char *path, dev_t *number)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	*number = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;

	return true;
}

/**
 * drive_function - the PCI function that a drive is, or a file is on
 * @path: its name
 * @address: returns the function's address
 *
 * Return: false if there is none, as for volumes of several drives.
 */
bool drive_function(const char *path, char address[ADDRESS_ROOM])
{
	char link[64], device[PATH_MAX], *word;
	bool found = false;
	dev_t number;
	size_t len;

	if (!device_number(path, &number))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(number),
		 minor(number));
	if (!realpath(link, device))
		return false;

	/* The last one on the way down is the drive's own */
	for (word = device; *word; word += len) {
		word += strspn(word, "/");
		len = strcspn(word, "/");
		if (!is_address(word, len))
			continue;
		snprintf(address, ADDRESS_ROOM, "%.*s", (int)len, word);
		found = true;
	}

	return found;
}

/* The first entry of a directory that begins so; false if there is none */
static bool first_entry(const char *path, const char *begin, char name[64])
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, begin, strlen(begin));
		if (found)
			snprintf(name, 64, "%.63s", entry->d_name);
	}
	if (dir)
		closedir(dir);

	return found;
}

/**
 * drive_of_function - the block device of an NVMe drive
 * @address: the drive's PCI address
 *
 * Return: its name, or NULL if the function is no such drive.
 */
const char *drive_of_function(const char *address)
{
	static char path[128];
	char dir[PATH_MAX], controller[64], name[64];
	size_t len;

	snprintf(dir, sizeof(dir), PCI_DEVICES "/%s/nvme", address);
	if (!first_entry(dir, "nvme", controller))
		return NULL;
	len = strlen(dir);
	snprintf(dir + len, sizeof(dir) - len, "/%s", controller);
	snprintf(name, sizeof(name), "%.62sn", controller);
	if (!first_entry(dir, name, name))
		return NULL;

	snprintf(path, sizeof(path), "/dev/%s", name);
	return path;
}

/**
 * memory_available - memory of a provider that nobody has
 * @provider: its address
 *
 * Return: number of bytes; 0 if the function is no provider.
 */
uint64_t memory_available(const char *provider)
{
	char path[PATH_MAX];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/p2pmem/available",
		 provider);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &bytes) != 1)
		bytes = 0;
	fclose(file);

	return bytes;
}

static void *map_provider(const char *provider, size_t bytes)
{
	char path[PATH_MAX];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/p2pmem/allocate",
		 provider);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		complain(errno == ENOENT ?
			 "%s provides no memory: 'p2pctl providers' tells who does" :
			 "memory of %s cannot be had: %s", provider,
			 strerror(errno));
		return NULL;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		complain("%zu bytes of %s, which has %llu available, cannot be mapped: %s",
			 bytes, provider,
			 (unsigned long long)memory_available(provider),
			 strerror(errno));
		memory = NULL;
	}
	close(fd);

	return memory;
}

/**
 * memory_map - allocate memory for I/O
 * @provider: address of the provider whose memory it is to be, or NULL
 * @bytes: number of bytes
 *
 * Return: the memory, aligned to pages, or NULL after a message.
 */
void *memory_map(const char *provider, size_t bytes)
{
	void *memory;

	if (provider)
		return map_provider(provider, bytes);

	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED) {
		complain("%zu bytes of memory cannot be had: %s", bytes,
			 strerror(errno));
		return NULL;
	}

	return memory;
}

/**
 * read_all - read, all or nothing
 * @fd: from where
 * @memory: to where
 * @bytes: how much
 * @offset: where it begins
 *
 * Return: 0, or -1 and errno; EIO if the file ends before.
 */
int read_all(int fd, void *memory, size_t bytes, uint64_t offset)
{
	ssize_t done;

	for (; bytes; bytes -= done, memory += done, offset += done) {
		done = pread(fd, memory, bytes, offset);
		if (done < 0)
			return -1;
		if (!done) {
			errno = EIO;
			return -1;
		}
	}

	return 0;
}

/**
 * write_all - write, all or nothing
 * @fd: to where
 * @memory: from where
 * @bytes: how much
 * @offset: where it begins
 *
 * Return: 0, or -1 and errno.
 */
int write_all(int fd, const void *memory, size_t bytes, uint64_t offset)
{
	ssize_t done;

	for (; bytes; bytes -= done, memory += done, offset += done) {
		done = pwrite(fd, memory, bytes, offset);
		if (done < 0)
			return -1;
		if (!done) {
			errno = EIO;
			return -1;
		}
	}

	return 0;
}
