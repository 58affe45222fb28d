// SPDX-License-Identifier: GPL-2.0
/*
 * Write down what sysfs tells of this machine's PCI functions; the format is
 * described in topology.c.
 *
 * Of extended configuration space only the chain of capabilities is read, and
 * the contents of the three that routes depend on: ACS, ATS and ARI.  That is
 * quick, and some devices do not bear being read everywhere.
 *
 * Without privilege the kernel shows the first 64 bytes only; READABLE in the
 * dump says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2pctl.h"

#define DEVICES		"/sys/bus/pci/devices"
#define HOST_BRIDGES	"/sys/module/pci_p2pdma/parameters/host_bridges"

/* Longest capability that counts: ACS with 256 bits of Egress Control Vector */
#define CAP_BYTES	40

/* First line of a file below @dir without its line end; false if none */
static bool read_attr(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;

	len = read(fd, buf, size - 1);
	close(fd);
	if (len <= 0)
		return false;

	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return *buf;
}

static unsigned long long read_number(int dir, const char *name)
{
	char buf[64];

	return read_attr(dir, name, buf, sizeof(buf)) ? strtoull(buf, NULL, 0) : 0;
}

/* Copy the chain of extended capabilities */
static void fetch_extended(int fd, u8 *config)
{
	unsigned int pos = PCI_CFG_SPACE_SIZE, hops, id;
	size_t len;
	u32 head;

	for (hops = 0; hops < 480 && pos >= PCI_CFG_SPACE_SIZE; hops++) {
		u8 *at = config + pos;

		if (pread(fd, at, 4, pos) != 4)
			return;
		head = at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24;
		if (!head || PCI_POSSIBLE_ERROR(head))
			return;

		id = PCI_EXT_CAP_ID(head);
		if (id == PCI_EXT_CAP_ID_ACS || id == PCI_EXT_CAP_ID_ATS ||
		    id == PCI_EXT_CAP_ID_ARI) {
			len = id == PCI_EXT_CAP_ID_ACS ? CAP_BYTES : 8;
			if (pos + len > PCI_CFG_SPACE_EXP_SIZE)
				len = PCI_CFG_SPACE_EXP_SIZE - pos;
			if (pread(fd, at, len, pos) < 0)
				return;
		}
		pos = PCI_EXT_CAP_NEXT(head);
	}
}

static void write_config(FILE *out, int dir)
{
	static const u8 zeros[16];
	u8 config[PCI_CFG_SPACE_EXP_SIZE] = { 0 };
	int fd = openat(dir, "config", O_RDONLY | O_CLOEXEC);
	unsigned int size = PCI_CFG_SPACE_SIZE, at, i, n;
	ssize_t readable = 0;
	struct stat st;

	if (fd >= 0) {
		if (!fstat(fd, &st) && st.st_size == PCI_CFG_SPACE_EXP_SIZE)
			size = PCI_CFG_SPACE_EXP_SIZE;
		readable = pread(fd, config, PCI_CFG_SPACE_SIZE, 0);
		if (readable < 0)
			readable = 0;
		if (readable == PCI_CFG_SPACE_SIZE) {
			readable = size;
			if (size > PCI_CFG_SPACE_SIZE)
				fetch_extended(fd, config);
		}
		close(fd);
	}

	fprintf(out, "config-size %x %zx\n", size, readable);
	for (at = 0; at < readable; at += sizeof(zeros)) {
		n = readable - at < 16 ? readable - at : 16;
		if (!memcmp(config + at, zeros, n))
			continue;
		fprintf(out, "config %03x:", at);
		for (i = 0; i < n; i++)
			fprintf(out, " %02x", config[at + i]);
		fputc('\n', out);
	}
}

static void write_bars(FILE *out, int dir)
{
	int fd = openat(dir, "resource", O_RDONLY | O_CLOEXEC);
	unsigned long long start, end, flags;
	unsigned int i;
	FILE *in;

	in = fd < 0 ? NULL : fdopen(fd, "r");
	if (!in)
		return;

	for (i = 0; i < 6; i++) {
		if (fscanf(in, "%llx %llx %llx", &start, &end, &flags) != 3)
			break;
		if (start && flags)
			fprintf(out, "bar %u %llx %llx\n", i, start, flags);
	}
	fclose(in);
}

/* Name of the directory above the device, which is its bridge */
static void write_parent(FILE *out, const char *name, const char *path)
{
	char real[PATH_MAX], *slash;
	u32 domain;
	u8 bus, devfn;

	if (realpath(path, real)) {
		slash = strrchr(real, '/');
		*slash = '\0';
		slash = strrchr(real, '/');
		if (slash && !parse_address(slash + 1, &domain, &bus, &devfn)) {
			fprintf(out, "parent %s\n", slash + 1);
			return;
		}
	}

	parse_address(name, &domain, &bus, &devfn);
	fprintf(out, "parent pci%04x:%02x\n", domain, bus);
}

/* False if it was removed in the meantime */
static bool write_function(FILE *out, const char *name)
{
	char path[PATH_MAX], physfn[PATH_MAX], text[64];
	ssize_t len;
	int dir;

	snprintf(path, sizeof(path), DEVICES "/%s", name);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;

	fprintf(out, "function %s\n", name);
	write_parent(out, name, path);

	len = readlinkat(dir, "physfn", physfn, sizeof(physfn) - 1);
	if (len > 0) {
		physfn[len] = '\0';
		fprintf(out, "physfn %s\n", strrchr(physfn, '/') ?
					    strrchr(physfn, '/') + 1 : physfn);
	}

	fprintf(out, "id %04llx:%04llx\n", read_number(dir, "vendor"),
		read_number(dir, "device"));
	fprintf(out, "class %06llx\n", read_number(dir, "class"));
	if (read_attr(dir, "numa_node", text, sizeof(text)) && *text != '-')
		fprintf(out, "numa-node %s\n", text);
	write_bars(out, dir);
	if (read_attr(dir, "p2pmem/size", text, sizeof(text)))
		fprintf(out, "p2pmem %s %llu %llu\n", text,
			read_number(dir, "p2pmem/available"),
			read_number(dir, "p2pmem/published"));
	write_config(out, dir);
	close(dir);

	return true;
}

/* The first one; its vendor and family come before what it can do */
static void write_cpu(FILE *out)
{
	FILE *in = fopen("/proc/cpuinfo", "re");
	char *line = NULL, vendor[32] = "";
	unsigned int family = 0;
	size_t size = 0;

	if (!in)
		return;

	while (getline(&line, &size, in) > 0) {
		if (sscanf(line, "vendor_id : %31s", vendor) == 1 ||
		    sscanf(line, "cpu family : %u", &family) == 1)
			continue;
		if (strncmp(line, "flags", 5))
			continue;
		if (*vendor)
			fprintf(out, "cpu %s %u%s\n", vendor, family,
				strstr(line, " hypervisor") ? " hypervisor" : "");
		break;
	}
	free(line);
	fclose(in);
}

static int is_function(const struct dirent *entry)
{
	u32 domain;
	u8 bus, devfn;

	return !parse_address(entry->d_name, &domain, &bus, &devfn);
}

/**
 * dump_write - write the dump of this machine
 * @out: where to
 *
 * Return: 0, or -1 after a message.
 */
int dump_write(FILE *out)
{
	struct dirent **names;
	char list[512];
	int i, n, written = 0;

	n = scandir(DEVICES, &names, is_function, alphasort);
	if (n < 0) {
		complain("cannot list " DEVICES ": %s; is sysfs mounted?",
			 strerror(errno));
		return -1;
	}

	fprintf(out, "p2pctl-dump %u\n", DUMP_VERSION);
	write_cpu(out);
	if (read_attr(AT_FDCWD, HOST_BRIDGES, list, sizeof(list)))
		fprintf(out, "host-bridges %s\n", list);
	for (i = 0; i < n; i++)
		written += write_function(out, names[i]->d_name);
	fprintf(out, "end %d\n", written);

	return 0;
}
