// SPDX-License-Identifier: GPL-2.0
/*
 * p2pslot - take the device out of a hotplug slot without a word
 *
 *	p2pslot CONFIG
 *
 * CONFIG is the configuration space of the port that has the slot, a file of
 * sysfs. QEMU takes a device out when the power of its slot is switched off. That
 * is done here behind the kernel's back, with the slot's interrupts off, so that
 * the device is gone before anybody hears of it; then the register is restored,
 * and the interrupt that says "card not present" comes. To the kernel it is a
 * surprise removal.
 */
#include <endian.h>
#include <linux/pci_regs.h>
#include <linux/types.h>
#include "p2pmem.h"

static void read_config(int fd, void *value, size_t bytes, off_t where)
{
	if (pread(fd, value, bytes, where) != (ssize_t)bytes)
		die_errno(1, "cannot read configuration space at 0x%jx",
			  (intmax_t)where);
}

static void write_control(int fd, __u16 value, off_t where)
{
	value = htole16(value);
	if (pwrite(fd, &value, sizeof(value), where) != (ssize_t)sizeof(value))
		die_errno(1, "cannot write configuration space at 0x%jx",
			  (intmax_t)where);
}

/* The list of capabilities has at most 48 entries. */
static off_t find_express(int fd)
{
	unsigned int hops;
	__u8 where, id;

	read_config(fd, &where, 1, PCI_CAPABILITY_LIST);
	for (hops = 0; where >= 0x40 && hops < 48; hops++) {
		where &= ~3;
		read_config(fd, &id, 1, where);
		if (id == PCI_CAP_ID_EXP)
			return where;
		read_config(fd, &where, 1, where + 1);
	}
	fprintf(stderr, "p2pslot: the port has no PCI Express capability\n");
	exit(1);
}

int main(int argc, char **argv)
{
	__u16 control, off;
	off_t where;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: p2pslot CONFIG\n");
		return 1;
	}
	fd = open_or_die(argv[1], O_RDWR);
	where = find_express(fd) + PCI_EXP_SLTCTL;
	read_config(fd, &control, sizeof(control), where);
	control = le16toh(control);

	off = control & ~(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_PIC);
	off |= PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
	write_control(fd, off, where);
	control |= PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_PDCE;
	write_control(fd, control, where);
	return 0;
}
