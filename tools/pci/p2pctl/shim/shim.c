// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that the files compiled from it call; see shim.h.
 *
 * Configuration space is what the dump holds.  Beyond the space that a function
 * has, reads fail as they do in the kernel.  Beyond what could be read, they
 * are never made: query.c refuses to decide a route on such functions.
 *
 * What must never happen: an access beyond the stored bytes, or a search that
 * does not end, whatever a dump contains.
 */
#include <stdarg.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>

/* As many as fit into 192 bytes, and into 3840 */
#define CAPS_MAX	48
#define EXT_CAPS_MAX	480

/* Of processors that are not x86 nothing is known */
struct cpuinfo_x86 p2pctl_cpu = {
	.x86_vendor = X86_VENDOR_UNKNOWN,
	.capability = 1 << X86_FEATURE_HYPERVISOR,
};

static int append(char *buf, size_t size, size_t *len, const char *fmt,
		  va_list args)
{
	int n;

	if (*len >= size)
		return -1;

	n = vsnprintf(buf + *len, size - *len, fmt, args);
	*len += n;

	return *len < size ? 0 : -1;
}

int seq_buf_printf(struct seq_buf *s, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = append(s->buffer, s->size, &s->len, fmt, args);
	va_end(args);

	return ret;
}

int seq_buf_puts(struct seq_buf *s, const char *text)
{
	return seq_buf_printf(s, "%s", text);
}

int sysfs_emit_at(char *buf, int at, const char *fmt, ...)
{
	size_t len = at;
	va_list args;

	va_start(args, fmt);
	append(buf, 4096, &len, fmt, args);
	va_end(args);

	return len - at;
}

/* Equal but for a line end of either */
bool sysfs_streq(const char *a, const char *b)
{
	size_t len_a = strcspn(a, "\n");
	size_t len_b = strcspn(b, "\n");

	return len_a == len_b && !memcmp(a, b, len_a);
}

size_t str_has_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) ? 0 : len;
}

int hex_to_bin(unsigned char digit)
{
	return isdigit(digit) ? digit - '0' : tolower(digit) - 'a' + 10;
}

void pci_p2pdma_routes_changed(void)
{
}

int pci_read_config_dword(const struct pci_dev *pdev, int where, u32 *val)
{
	const u8 *b;

	*val = (u32)PCI_ERROR_RESPONSE;
	if (where < 0 || where & 3 || (unsigned int)where + 4 > pdev->config_size)
		return PCIBIOS_BAD_REGISTER_NUMBER;

	b = pdev->config + where;
	*val = b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;

	return 0;
}

static u32 config_dword(const struct pci_dev *pdev, int where)
{
	u32 val;

	pci_read_config_dword(pdev, where, &val);
	return val;
}

u8 pci_find_next_capability(struct pci_dev *pdev, u8 pos, int cap)
{
	unsigned int hops;

	pos = config_dword(pdev, pos & ~3) >> 8;
	for (hops = 0; hops < CAPS_MAX && pos >= PCI_STD_HEADER_SIZEOF; hops++) {
		u32 head;

		pos &= ~3;
		head = config_dword(pdev, pos);
		if ((head & 0xff) == 0xff)
			break;
		if ((head & 0xff) == (u32)cap)
			return pos;
		pos = head >> 8;
	}

	return 0;
}

u8 pci_find_capability(struct pci_dev *pdev, int cap)
{
	int list = PCI_CAPABILITY_LIST;
	u8 type, pos;

	if (!(config_dword(pdev, PCI_COMMAND) >> 16 & PCI_STATUS_CAP_LIST))
		return 0;

	type = config_dword(pdev, PCI_CACHE_LINE_SIZE) >> 16 & 0x7f;
	if (type == PCI_HEADER_TYPE_CARDBUS)
		list = PCI_CB_CAPABILITY_LIST;

	pos = config_dword(pdev, list) & 0xfc;
	if (pos < PCI_STD_HEADER_SIZEOF)
		return 0;
	if ((config_dword(pdev, pos) & 0xff) == (u32)cap)
		return pos;

	return pci_find_next_capability(pdev, pos, cap);
}

u16 pci_find_ext_capability(struct pci_dev *pdev, int cap)
{
	u32 pos = PCI_CFG_SPACE_SIZE, head;
	unsigned int hops;

	if (pdev->config_size <= PCI_CFG_SPACE_SIZE)
		return 0;

	for (hops = 0; hops < EXT_CAPS_MAX && pos >= PCI_CFG_SPACE_SIZE; hops++) {
		head = config_dword(pdev, pos);
		if (!head || PCI_POSSIBLE_ERROR(head))
			break;
		if (PCI_EXT_CAP_ID(head) == (u32)cap)
			return pos;
		pos = PCI_EXT_CAP_NEXT(head);
	}

	return 0;
}

int pci_pcie_type(const struct pci_dev *pdev)
{
	u32 head = config_dword(pdev, pdev->pcie_cap);

	return (head >> 16 & PCI_EXP_FLAGS_TYPE) >> 4;
}

int pcie_capability_read_dword(struct pci_dev *pdev, int pos, u32 *val)
{
	*val = 0;
	if (!pdev->pcie_cap)
		return 0;

	return pci_read_config_dword(pdev, pdev->pcie_cap + pos, val);
}

/* Answers as config space of an empty slot does not */
bool pci_bus_read_dev_vendor_id(struct pci_bus *bus, int devfn, u32 *id,
				int timeout)
{
	struct pci_dev *pdev = bus->devs[devfn];

	if (!pdev || pdev->gone)
		return false;

	*id = pdev->vendor | (u32)pdev->device << 16;
	return true;
}
