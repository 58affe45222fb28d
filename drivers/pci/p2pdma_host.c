// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of root complexes: do they forward peer-to-peer traffic?
 *
 * The PCIe specification leaves it open whether a root complex passes a
 * request from one of its ports on to another (PCIe r6.x sec 1.3.1).  Nothing
 * in hardware says so, hence whatever must cross one is refused unless one of
 * these vouches for it, asked in this order:
 *
 *  - the CPU, if it belongs to a family all of whose root complexes forward;
 *  - the table below, by the vendor and device ID of the first device of the
 *    root bus: usually a host bridge at 00.0, on some platforms a root port in
 *    a later slot or an integrated endpoint;
 *  - the hypervisor, which knows the real topology of what it passes through.
 *    It puts a capability into both devices, and the same clique number in
 *    both means that they reach each other.  Only a virtual machine believes
 *    such a capability, as far as a machine can know that it is one;
 *  - the administrator, by the parameter pci_p2pdma.host_bridges: a list of
 *    vendor:device IDs, or "none".  This is an override.  It rests on nothing
 *    that the kernel knows, so its use is logged and taints the kernel, and
 *    every verdict that depends on it says so.
 *
 * Locking: allowed_lock over what the administrator allows.  The first device
 * of a root bus is read from the bus, not looked up among the kernel's
 * devices, because the DMA mapping code may ask from atomic context, where the
 * list of a bus must not be walked.
 *
 * What must never happen: "forwards" for a root complex that nobody vouches
 * for, since a request that is lost there is lost in silence.
 */
#define pr_fmt(fmt) "pci-p2pdma: " fmt

#include <linux/ctype.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "pci.h"
#include "p2pdma.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "pci_p2pdma."

/* Any device of that vendor; no device has this ID itself */
#define HOST_ANY_DEVICE		0xffff

struct p2pdma_host {
	u16	vendor;
	u16	device;
	bool	same_bridge_only;
};

static const struct p2pdma_host p2pdma_hosts[] = {
	/* Xeon E5 and Core i7 of the second and third generation */
	{ PCI_VENDOR_ID_INTEL, 0x3c00, .same_bridge_only = true },
	{ PCI_VENDOR_ID_INTEL, 0x3c01, .same_bridge_only = true },
	/* Xeon E5 v3, Xeon E7 v3 */
	{ PCI_VENDOR_ID_INTEL, 0x2f00, .same_bridge_only = true },
	{ PCI_VENDOR_ID_INTEL, 0x2f01, .same_bridge_only = true },
	/* Skylake-E: DMI, then the root ports A to D */
	{ PCI_VENDOR_ID_INTEL, 0x2020 },
	{ PCI_VENDOR_ID_INTEL, 0x2030 },
	{ PCI_VENDOR_ID_INTEL, 0x2031 },
	{ PCI_VENDOR_ID_INTEL, 0x2032 },
	{ PCI_VENDOR_ID_INTEL, 0x2033 },
	/* Ice Lake, Sapphire Rapids: memory map and VT-d function of a stack */
	{ PCI_VENDOR_ID_INTEL, 0x09a2 },
	/* Stacks whose first function is an accelerator: DSA, IAA, QAT */
	{ PCI_VENDOR_ID_INTEL, 0x0b25 },
	{ PCI_VENDOR_ID_INTEL, 0x0cfe },
	{ PCI_VENDOR_ID_INTEL, 0x4940 },
	{ PCI_VENDOR_ID_INTEL, 0x4942 },
	{ PCI_VENDOR_ID_INTEL, 0x4944 },
	/* Google's systems on a chip */
	{ 0x1ae0, HOST_ANY_DEVICE },
};

/* The administrator's entries; static, as the command line comes before slab */
#define HOSTS_ALLOWED_MAX	32

static DEFINE_SPINLOCK(allowed_lock);
static struct p2pdma_host hosts_allowed[HOSTS_ALLOWED_MAX];
static unsigned int nr_hosts_allowed;

/* Parse a number of exactly four hexadecimal digits */
static const char *parse_id(const char *s, u16 *id)
{
	unsigned int i;

	*id = 0;
	for (i = 0; i < 4; i++) {
		if (!isxdigit(*s))
			return NULL;
		*id = *id << 4 | hex_to_bin(*s++);
	}

	return s;
}

/* Parse vendor:device[@same]; the device may be "*" */
static const char *parse_host(const char *s, struct p2pdma_host *host)
{
	host->same_bridge_only = false;

	s = parse_id(s, &host->vendor);
	if (!s || *s++ != ':')
		return NULL;

	if (*s == '*') {
		host->device = HOST_ANY_DEVICE;
		s++;
	} else {
		s = parse_id(s, &host->device);
		if (!s || host->device == HOST_ANY_DEVICE)
			return NULL;
	}

	if (*s == '@') {
		if (!str_has_prefix(s, "@same"))
			return NULL;
		host->same_bridge_only = true;
		s += strlen("@same");
	}

	return s;
}

static int host_bridges_set(const char *text, const struct kernel_param *kp)
{
	struct p2pdma_host parsed[HOSTS_ALLOWED_MAX];
	unsigned int n = 0;
	const char *s = text, *next;
	unsigned long flags;
	bool more = !sysfs_streq(text, "none") && !sysfs_streq(text, "");

	while (more) {
		if (n == HOSTS_ALLOWED_MAX) {
			pr_err("host_bridges: more than %u entries; nothing was changed\n",
			       HOSTS_ALLOWED_MAX);
			return -E2BIG;
		}

		next = parse_host(s, &parsed[n]);
		if (!next || (*next != ',' && !sysfs_streq(next, ""))) {
			pr_err("host_bridges: '%.*s' at position %td is not of the form 8086:29c0, 8086:* or 8086:29c0@same; nothing was changed\n",
			       (int)strcspn(s, ",\n"), s, s - text);
			return -EINVAL;
		}

		n++;
		more = *next == ',';
		s = next + 1;
	}

	spin_lock_irqsave(&allowed_lock, flags);
	memcpy(hosts_allowed, parsed, n * sizeof(parsed[0]));
	nr_hosts_allowed = n;
	spin_unlock_irqrestore(&allowed_lock, flags);

	pci_p2pdma_routes_changed();
	return 0;
}

static int host_bridges_get(char *buf, const struct kernel_param *kp)
{
	const struct p2pdma_host *host;
	unsigned long flags;
	unsigned int i;
	int len = 0;

	spin_lock_irqsave(&allowed_lock, flags);
	for (i = 0; i < nr_hosts_allowed; i++) {
		host = &hosts_allowed[i];
		len += sysfs_emit_at(buf, len, "%s%04x:", i ? "," : "",
				     host->vendor);
		if (host->device == HOST_ANY_DEVICE)
			len += sysfs_emit_at(buf, len, "*");
		else
			len += sysfs_emit_at(buf, len, "%04x", host->device);
		if (host->same_bridge_only)
			len += sysfs_emit_at(buf, len, "@same");
	}
	spin_unlock_irqrestore(&allowed_lock, flags);

	return len + sysfs_emit_at(buf, len, "%s\n", len ? "" : "none");
}

static const struct kernel_param_ops host_bridges_ops = {
	.set = host_bridges_set,
	.get = host_bridges_get,
};
module_param_cb(host_bridges, &host_bridges_ops, NULL, 0644);
MODULE_PARM_DESC(host_bridges,
		 "Root complexes to be taken as forwarding peer-to-peer traffic: vendor:device[@same],... or none (taints the kernel when used)");

#ifdef CONFIG_X86
/* All processors of AMD from Zen (family 17h) on forward */
static bool host_cpu_forwards(void)
{
	const struct cpuinfo_x86 *cpu = &cpu_data(0);

	return cpu->x86_vendor == X86_VENDOR_AMD && cpu->x86 >= 0x17;
}

/* Without a hypervisor, what looks like its word is that of the device itself */
static bool host_is_virtual(void)
{
	return cpu_has(&cpu_data(0), X86_FEATURE_HYPERVISOR);
}
#else
static bool host_cpu_forwards(void)
{
	return false;
}

/* There is no way to know */
static bool host_is_virtual(void)
{
	return true;
}
#endif

/**
 * pci_p2pdma_host_id - identify the root complex above a device
 * @pdev: the device
 *
 * Context: any context in which configuration space may be read.
 * Return: device ID (upper half) and vendor ID of the first device on its root
 * bus, or %PCI_ERROR_RESPONSE if none answers.
 */
u32 pci_p2pdma_host_id(struct pci_dev *pdev)
{
	struct pci_bus *bus = pci_find_host_bridge(pdev->bus)->bus;
	unsigned int slot;
	u32 id;

	for (slot = 0; slot < 32; slot++)
		if (pci_bus_read_dev_vendor_id(bus, PCI_DEVFN(slot, 0), &id, 0))
			return id;

	return (u32)PCI_ERROR_RESPONSE;
}

static const struct p2pdma_host *host_lookup(const struct p2pdma_host *hosts,
					     unsigned int n, u32 id)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (hosts[i].vendor == (id & 0xffff) &&
		    (hosts[i].device == id >> 16 ||
		     hosts[i].device == HOST_ANY_DEVICE))
			return &hosts[i];

	return NULL;
}

/* What a table says of two root complexes, which may be one */
static enum p2pdma_host_word
table_word(const struct p2pdma_host *hosts, unsigned int n, u32 id_a, u32 id_b,
	   bool same_bridge, enum p2pdma_host_word vouched)
{
	const struct p2pdma_host *host_a = host_lookup(hosts, n, id_a);
	const struct p2pdma_host *host_b = host_lookup(hosts, n, id_b);

	if (!host_a || !host_b)
		return P2PDMA_HOST_UNKNOWN;
	if (!same_bridge &&
	    (host_a->same_bridge_only || host_b->same_bridge_only))
		return P2PDMA_HOST_APART;

	return vouched;
}

/*
 * The clique that a hypervisor put a device in: a vendor-specific capability
 * whose body is "P2P" and a byte with the number in bits 6:3.
 */
static int device_clique(struct pci_dev *pdev)
{
	u8 pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	unsigned int hops;
	u32 head, body;

	/* A capability that is chained to itself must not hold us up */
	for (hops = 0; pos && hops < 48; hops++) {
		if (pci_read_config_dword(pdev, pos, &head) ||
		    pci_read_config_dword(pdev, pos + 4, &body) ||
		    PCI_POSSIBLE_ERROR(head) || PCI_POSSIBLE_ERROR(body))
			return -1;

		if (((head >> 16) & 0xff) >= 8 && head >> 24 == 'P' &&
		    (body & 0xffff) == ('P' << 8 | '2'))
			return (body >> 19) & 0xf;

		pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR);
	}

	return -1;
}

static bool same_clique(struct pci_dev *a, struct pci_dev *b)
{
	int clique = host_is_virtual() ? device_clique(a) : -1;

	return clique >= 0 && clique == device_clique(b);
}

/**
 * pci_p2pdma_host_forwards - does traffic between two devices cross the host?
 * @a: one device
 * @b: the other
 *
 * Context: any context in which configuration space may be read.
 * Return: what is known of the root complexes above the two.
 */
enum p2pdma_host_word pci_p2pdma_host_forwards(struct pci_dev *a,
					       struct pci_dev *b)
{
	enum p2pdma_host_word word, allowed;
	unsigned long flags;
	bool same_bridge;
	u32 id_a, id_b;

	if (host_cpu_forwards())
		return P2PDMA_HOST_CPU;

	same_bridge = pci_find_host_bridge(a->bus) ==
		      pci_find_host_bridge(b->bus);
	id_a = pci_p2pdma_host_id(a);
	id_b = same_bridge ? id_a : pci_p2pdma_host_id(b);

	word = table_word(p2pdma_hosts, ARRAY_SIZE(p2pdma_hosts), id_a, id_b,
			  same_bridge, P2PDMA_HOST_LISTED);
	if (word == P2PDMA_HOST_LISTED)
		return word;
	if (same_clique(a, b))
		return P2PDMA_HOST_CLIQUE;

	spin_lock_irqsave(&allowed_lock, flags);
	allowed = table_word(hosts_allowed, nr_hosts_allowed, id_a, id_b,
			     same_bridge, P2PDMA_HOST_OVERRIDE);
	spin_unlock_irqrestore(&allowed_lock, flags);

	return allowed == P2PDMA_HOST_UNKNOWN ? word : allowed;
}
