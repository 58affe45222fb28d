// SPDX-License-Identifier: GPL-2.0
/*
 * p2pacs - read or write the ACS Control register of a port
 *
 *	p2pacs CONFIG [VALUE]
 *
 * CONFIG is the port's configuration space as a file: config in sysfs, or the
 * one in /proc/bus/pci. Both are what setpci and the like use. Without VALUE
 * the register is printed as four hexadecimal digits; with VALUE it is written
 * and read back, and the program fails if the port did not take the value.
 */
#include <endian.h>
#include <linux/types.h>
#include "p2pmem.h"

#define FIRST_EXTENDED	0x100
#define ID_ACS		0x000d
#define ACS_CONTROL	0x06

static void read_config(int fd, void *value, size_t bytes, off_t where)
{
	if (pread(fd, value, bytes, where) != (ssize_t)bytes)
		die_errno(1, "cannot read configuration space at 0x%jx",
			  (intmax_t)where);
}

/* Extended capabilities are a list; a port's list fits into its 4 KiB. */
static off_t find_acs(int fd)
{
	off_t where = FIRST_EXTENDED;
	unsigned int hops;
	__u32 header;

	for (hops = 0; where >= FIRST_EXTENDED && hops < 960; hops++) {
		read_config(fd, &header, sizeof(header), where);
		header = le32toh(header);
		if ((header & 0xffff) == ID_ACS)
			return where;
		where = header >> 20;
	}
	fprintf(stderr, "p2pacs: the port has no ACS capability\n");
	exit(1);
}

int main(int argc, char **argv)
{
	__u16 wanted, found;
	off_t where;
	char *end;
	int fd;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: p2pacs CONFIG [VALUE]\n");
		return 1;
	}
	fd = open_or_die(argv[1], argc == 3 ? O_RDWR : O_RDONLY);
	where = find_acs(fd) + ACS_CONTROL;
	if (argc == 3) {
		wanted = htole16(strtoul(argv[2], &end, 16));
		if (end == argv[2] || *end) {
			fprintf(stderr, "p2pacs: '%s' is not a hexadecimal number\n",
				argv[2]);
			return 1;
		}
		if (pwrite(fd, &wanted, sizeof(wanted), where) !=
		    (ssize_t)sizeof(wanted))
			die_errno(1, "cannot write %s", argv[1]);
	}
	read_config(fd, &found, sizeof(found), where);
	if (argc == 2) {
		printf("%04x\n", le16toh(found));
	} else if (found != wanted) {
		fprintf(stderr, "p2pacs: %04x was written and %04x is there\n",
			le16toh(wanted), le16toh(found));
		return 1;
	}
	return 0;
}
