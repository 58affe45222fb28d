// SPDX-License-Identifier: GPL-2.0
/*
 * The functions of a machine, and how they hang together, from a dump.
 *
 * A dump is text: lines of a keyword and its values, separated by blanks; '#'
 * starts a comment line.  Numbers are hexadecimal but for those of p2pmem,
 * cpu, numa-node and end, which are decimal.
 *
 *   p2pctl-dump 2                     first line: the version of the format
 *   cpu VENDOR FAMILY [hypervisor]    of the first processor, and whether it is a
 *                                     virtual one; absent if it is not an x86
 *   host-bridges LIST                 pci_p2pdma.host_bridges; absent if the
 *                                     kernel has no such parameter
 *   function 0000:01:00.0             what follows is about this function:
 *   parent 0000:00:01.0               the bridge above, or pci0000:00
 *   physfn 0000:01:00.0               of a virtual function only
 *   id 1b36:0010                      vendor and device
 *   class 010802
 *   numa-node 0                       absent if there is none
 *   bar N ADDRESS FLAGS               as the CPU sees it; absent if unused
 *   p2pmem SIZE FREE PUBLISHED        of a provider only
 *   config-size SIZE READABLE         of configuration space, in bytes
 *   config OFFSET: XX XX ...          1 to 16 bytes of it; others are 0
 *   end COUNT                         number of functions: nothing is missing
 *
 * READABLE is less than SIZE where whoever made the dump was not allowed to
 * read all, which hides the extended capabilities.
 *
 * What must never happen: a dump that is damaged and yet accepted as another
 * machine.  Hence unknown keywords, values out of range and a tree that does
 * not fit together are errors that name the line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "p2pctl.h"

#define BLANKS		" \t\n"

/* More are no machine but a mistake; also bounds the memory that we take */
#define FUNCTIONS_MAX	65536

/* Each bridge takes a bus number */
#define DEPTH_MAX	255

struct machine machine;

struct reader {
	const char	*name;
	unsigned int	line;
	char		*rest;
	struct pci_dev	*pdev;
	bool		ended;
};

__printf(2, 3)
static int bad(const struct reader *r, const char *fmt, ...)
{
	va_list args;
	char text[256];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	complain("%s:%u: %s", r->name, r->line, text);

	return -1;
}

/* The next word of the line, or "" */
static const char *word(struct reader *r)
{
	const char *w = strtok_r(NULL, BLANKS, &r->rest);

	return w ? w : "";
}

static int parse_number(const char *text, int base, u64 limit, u64 *val)
{
	char *end;

	if (!isxdigit((unsigned char)*text))
		return -1;

	errno = 0;
	*val = strtoull(text, &end, base);

	return errno || *end || *val > limit ? -1 : 0;
}

static int number(struct reader *r, const char *what, int base, u64 limit,
		  u64 *val)
{
	const char *text = word(r);

	if (parse_number(text, base, limit, val))
		return bad(r, "'%.32s' is not a valid %s", text, what);

	return 0;
}

/**
 * parse_address - parse the address of a function
 * @text: 0000:01:00.0, or 01:00.0 in domain 0
 * @domain: returns the domain
 * @bus: returns the bus number
 * @devfn: returns device and function number
 *
 * Return: 0, or -1 if @text is something else.
 */
int parse_address(const char *text, u32 *domain, u8 *bus, u8 *devfn)
{
	unsigned int part[4] = { 0 };
	int n = 0, len = strlen(text);

	if (strspn(text, "0123456789abcdefABCDEF:.") != (size_t)len || len > 16)
		return -1;
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &part[0], &part[1], &part[2],
		   &part[3], &n) != 4 || n != len) {
		part[0] = 0;
		n = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &part[1], &part[2], &part[3],
			   &n) != 3 || n != len)
			return -1;
	}
	if (part[2] > 31 || part[3] > 7)
		return -1;

	*domain = part[0];
	*bus = part[1];
	*devfn = PCI_DEVFN(part[2], part[3]);

	return 0;
}

static struct pci_bus *find_bus(u32 domain, u8 number)
{
	struct pci_bus *bus;

	for (bus = machine.buses; bus; bus = bus->next)
		if (bus->domain == domain && bus->number == number)
			break;

	return bus;
}

/**
 * find_function - find a function by its address
 * @domain: domain
 * @bus: bus number
 * @devfn: device and function number
 *
 * Return: the function, or NULL.
 */
struct pci_dev *find_function(u32 domain, u8 bus, u8 devfn)
{
	struct pci_bus *b = find_bus(domain, bus);

	return b ? b->devs[devfn] : NULL;
}

static struct pci_dev *find_by_name(const char *name)
{
	u32 domain;
	u8 bus, devfn;

	if (parse_address(name, &domain, &bus, &devfn))
		return NULL;

	return find_function(domain, bus, devfn);
}

static int read_function(struct reader *r)
{
	const char *name = word(r);
	struct pci_dev *pdev;
	struct pci_bus *bus;
	u8 bus_nr, devfn;
	u32 domain;

	if (parse_address(name, &domain, &bus_nr, &devfn))
		return bad(r, "'%.32s' is not a PCI address", name);
	if (find_function(domain, bus_nr, devfn))
		return bad(r, "%s is there twice", name);
	if (machine.nr == FUNCTIONS_MAX)
		return bad(r, "more than %u functions", FUNCTIONS_MAX);

	bus = find_bus(domain, bus_nr);
	if (!bus) {
		bus = must_alloc(sizeof(*bus));
		bus->domain = domain;
		bus->number = bus_nr;
		bus->next = machine.buses;
		machine.buses = bus;
	}

	pdev = must_alloc(sizeof(*pdev));
	pdev->bus = bus;
	pdev->domain = domain;
	pdev->bus_nr = bus_nr;
	pdev->devfn = devfn;
	pdev->numa_node = -1;
	pdev->line = r->line;
	snprintf(pdev->name, sizeof(pdev->name), "%04x:%02x:%02x.%x", domain,
		 bus_nr, PCI_SLOT(devfn), PCI_FUNC(devfn));
	bus->devs[devfn] = pdev;

	if (!(machine.nr & (machine.nr - 1))) {
		size_t room = machine.nr ? machine.nr * 2 : 1;

		machine.devs = reallocarray(machine.devs, room,
					    sizeof(*machine.devs));
		if (!machine.devs)
			return bad(r, "out of memory");
	}
	machine.devs[machine.nr++] = pdev;
	r->pdev = pdev;

	return 0;
}

static int read_cpu(struct reader *r)
{
	const char *vendor = word(r), *more;
	u64 family;

	if (number(r, "CPU family", 10, 255, &family))
		return -1;
	if (!strcmp(vendor, "AuthenticAMD"))
		p2pctl_cpu.x86_vendor = X86_VENDOR_AMD;
	p2pctl_cpu.x86 = family;

	more = word(r);
	if (*more && strcmp(more, "hypervisor"))
		return bad(r, "'%s' is no feature of a CPU", more);
	p2pctl_cpu.capability = *more ? 1 << X86_FEATURE_HYPERVISOR : 0;

	return 0;
}

static int read_host_bridges(struct reader *r)
{
	const char *list = word(r);

	if (strlen(list) >= sizeof(machine.host_bridges))
		return bad(r, "the list of host bridges is too long");

	memcpy(machine.host_bridges, list, strlen(list) + 1);
	machine.has_host_bridges = true;
	if (p2pctl_param_host_bridges->set(list, NULL))
		return bad(r, "'%.64s' is not a list of host bridges", list);

	return 0;
}

static int read_id(struct reader *r)
{
	const char *id = word(r);
	unsigned int vendor, device;
	int n = 0;

	if (strlen(id) != 9 || strspn(id, "0123456789abcdefABCDEF:") != 9 ||
	    sscanf(id, "%4x:%4x%n", &vendor, &device, &n) != 2 || n != 9)
		return bad(r, "'%.32s' is not of the form 8086:29c0", id);

	r->pdev->vendor = vendor;
	r->pdev->device = device;

	return 0;
}

static int read_bar(struct reader *r)
{
	u64 index, address, flags;

	if (number(r, "number of a BAR", 10, 5, &index) ||
	    number(r, "address", 16, ~0ULL, &address) ||
	    number(r, "word of flags", 16, ~0UL, &flags))
		return -1;

	r->pdev->bar[index] = address;
	r->pdev->bar_flags[index] = flags;

	return 0;
}

static int read_p2pmem(struct reader *r)
{
	u64 published;

	if (number(r, "size", 10, ~0ULL, &r->pdev->p2p_size) ||
	    number(r, "size", 10, ~0ULL, &r->pdev->p2p_free) ||
	    number(r, "truth value", 10, 1, &published))
		return -1;

	r->pdev->published = published;
	r->pdev->provider = true;

	return 0;
}

static int read_config_size(struct reader *r)
{
	u64 size, readable;

	if (r->pdev->config)
		return bad(r, "the size of config space is there twice");
	if (number(r, "size of config space", 16, 4096, &size) ||
	    number(r, "size of config space", 16, size, &readable))
		return -1;
	if (size < PCI_STD_HEADER_SIZEOF)
		return bad(r, "no config space is as small as 0x%llx bytes",
			   (unsigned long long)size);

	r->pdev->config = must_alloc(size);
	r->pdev->config_size = size;
	r->pdev->config_read = readable;

	return 0;
}

static int read_config(struct reader *r)
{
	const char *text = word(r);
	unsigned int at, i;
	char colon;
	int n = 0;
	u64 byte;

	if (!r->pdev->config)
		return bad(r, "config space before its size");
	if (sscanf(text, "%3x%c%n", &at, &colon, &n) != 2 || colon != ':' ||
	    text[n])
		return bad(r, "'%.32s' is not an offset and a colon", text);

	for (i = 0; *(text = word(r)); i++) {
		if (i == 16)
			return bad(r, "more than 16 bytes of config space");
		if (at + i >= r->pdev->config_read)
			return bad(r, "more config space than there is");
		if (strlen(text) != 2 || parse_number(text, 16, 0xff, &byte))
			return bad(r, "'%.32s' is not a byte", text);
		r->pdev->config[at + i] = byte;
	}

	return i ? 0 : bad(r, "a line of config space without a byte");
}

static int read_name(struct reader *r, char name[24])
{
	const char *text = word(r);

	/* It goes to terminals and drawings as it is */
	if (!*text || strlen(text) >= 24 ||
	    text[strspn(text, "pci0123456789abcdefABCDEF:.")])
		return bad(r, "'%.32s' is not the name of a function or host bridge",
			   text);

	memcpy(name, text, strlen(text) + 1);
	return 0;
}

static int read_class(struct reader *r)
{
	u64 class;

	if (number(r, "class", 16, 0xffffff, &class))
		return -1;

	r->pdev->class = class;
	return 0;
}

static int read_numa_node(struct reader *r)
{
	u64 node;

	if (number(r, "NUMA node", 10, 65535, &node))
		return -1;

	r->pdev->numa_node = node;
	return 0;
}

static int read_parent(struct reader *r)
{
	return read_name(r, r->pdev->parent_name);
}

static int read_physfn(struct reader *r)
{
	return read_name(r, r->pdev->physfn_name);
}

static int read_end(struct reader *r)
{
	u64 count;

	if (number(r, "number of functions", 10, ~0U, &count))
		return -1;
	if (count != machine.nr)
		return bad(r, "%u functions are here, but %llu should be",
			   machine.nr, (unsigned long long)count);

	r->ended = true;
	return 0;
}

static const struct keyword {
	const char	*name;
	bool		of_function;
	int		(*read)(struct reader *r);
} keywords[] = {
	{ "cpu", false, read_cpu },
	{ "host-bridges", false, read_host_bridges },
	{ "function", false, read_function },
	{ "parent", true, read_parent },
	{ "physfn", true, read_physfn },
	{ "id", true, read_id },
	{ "class", true, read_class },
	{ "numa-node", true, read_numa_node },
	{ "bar", true, read_bar },
	{ "p2pmem", true, read_p2pmem },
	{ "config-size", true, read_config_size },
	{ "config", true, read_config },
	{ "end", false, read_end },
};

static int read_line(struct reader *r, char *line)
{
	const struct keyword *k;
	const char *key;

	key = strtok_r(line, BLANKS, &r->rest);
	if (!key || *key == '#')
		return 0;
	if (r->ended)
		return bad(r, "something follows the end of the dump");

	for (k = keywords; k < keywords + ARRAY_SIZE(keywords); k++)
		if (!strcmp(key, k->name))
			break;
	if (k == keywords + ARRAY_SIZE(keywords))
		return bad(r, "'%.32s' is not a keyword of a dump", key);
	if (k->of_function && !r->pdev)
		return bad(r, "'%s' before the first function", key);
	if (k->read(r))
		return -1;

	key = word(r);
	return *key ? bad(r, "'%.32s' is more than belongs here", key) : 0;
}

static struct pci_host_bridge *get_host(const char *name)
{
	struct pci_host_bridge *host;

	for (host = machine.hosts; host; host = host->next)
		if (!strcmp(host->name, name))
			return host;

	host = must_alloc(sizeof(*host));
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->memory.flags = IORESOURCE_MEM;
	host->window.res = &host->memory;
	host->next = machine.hosts;
	machine.hosts = host;

	return host;
}

static int link_parent(struct reader *r, struct pci_dev *pdev)
{
	struct pci_bus *bus = pdev->bus;
	struct pci_host_bridge *host;

	if (!*pdev->parent_name)
		return bad(r, "%s has no parent", pdev->name);
	if (!pdev->config)
		return bad(r, "%s has no config space", pdev->name);
	if (*pdev->physfn_name) {
		pdev->physfn = find_by_name(pdev->physfn_name);
		if (!pdev->physfn || *pdev->physfn->physfn_name)
			return bad(r, "%s: there is no physical function %s",
				   pdev->name, pdev->physfn_name);
	}

	if (!strncmp(pdev->parent_name, "pci", 3)) {
		host = get_host(pdev->parent_name);
		/* Virtual functions may be on a bus of their own */
		if (!pdev->physfn) {
			if ((host->bus && host->bus != bus) ||
			    (bus->host && bus->host != host))
				return bad(r, "%s is on another bus than others of %s",
					   pdev->name, host->name);
			host->bus = bus;
		}
		pdev->host = host;
		bus->host = host;
		return 0;
	}

	pdev->parent = find_by_name(pdev->parent_name);
	if (!pdev->parent)
		return bad(r, "%s: there is no parent %s", pdev->name,
			   pdev->parent_name);
	if (*pdev->parent->physfn_name)
		return bad(r, "%s: a virtual function cannot be its parent",
			   pdev->name);
	if (bus->self && bus->self != pdev->parent)
		return bad(r, "%s and others of its bus have different parents",
			   pdev->name);
	bus->self = pdev->parent;
	bus->parent = pdev->parent->bus;

	return 0;
}

/* Follow the parents to the host bridge */
static int link_host(struct reader *r, struct pci_dev *pdev)
{
	struct pci_dev *up = pdev;
	unsigned int n = 0;

	while (up->parent) {
		if (n++ == DEPTH_MAX)
			return bad(r, "%s is above itself, or below more bridges than there can be",
				   pdev->name);
		up = up->parent;
	}

	if (pdev->bus->self && !pdev->parent)
		return bad(r, "%s and others of its bus have different parents",
			   pdev->name);
	pdev->host = up->host;

	return 0;
}

static bool all_ones(const struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; i < PCI_STD_HEADER_SIZEOF; i++)
		if (pdev->config[i] != 0xff)
			return false;

	return true;
}

static void find_capabilities(struct pci_dev *pdev)
{
	u16 pos;
	u32 val;

	pdev->gone = all_ones(pdev);
	if (pdev->gone)
		return;

	pdev->pcie_cap = pci_find_capability(pdev, PCI_CAP_ID_EXP);
	pdev->acs_cap = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ACS);
	pos = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ATS);
	if (pos && !pci_read_config_dword(pdev, pos + PCI_ATS_CAP, &val))
		pdev->ats_enabled = (val >> 16) & PCI_ATS_CTRL_ENABLE;
}

/*
 * What is on the bus at another address than the CPU has for it shows that the
 * host bridge translates.
 */
static void find_bus_offset(struct pci_dev *pdev)
{
	unsigned int nr = is_bridge(pdev) ? 2 : 6;
	unsigned int i;
	u32 low, high = 0;
	u64 bus_addr;

	if (pdev->gone || pdev->physfn || pdev->config_read < PCI_STD_HEADER_SIZEOF)
		return;

	for (i = 0; i < nr; i++) {
		if (!(pdev->bar_flags[i] & IORESOURCE_MEM))
			continue;

		pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0 + 4 * i, &low);
		if (low & PCI_BASE_ADDRESS_MEM_TYPE_64 && i + 1 < nr)
			pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0 + 4 * i + 4,
					      &high);
		else
			high = 0;

		bus_addr = (u64)high << 32 | (low & PCI_BASE_ADDRESS_MEM_MASK);
		if (!bus_addr || bus_addr == pdev->bar[i])
			continue;

		pdev->host->window.offset = pdev->bar[i] - bus_addr;
		pdev->host->windows = &pdev->host->window;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct pci_dev *x = *(struct pci_dev *const *)a;
	const struct pci_dev *y = *(struct pci_dev *const *)b;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	if (x->bus_nr != y->bus_nr)
		return x->bus_nr < y->bus_nr ? -1 : 1;

	return (x->devfn > y->devfn) - (x->devfn < y->devfn);
}

static int link_functions(struct reader *r)
{
	unsigned int i;

	for (i = 0; i < machine.nr; i++) {
		r->line = machine.devs[i]->line;
		if (link_parent(r, machine.devs[i]))
			return -1;
	}
	for (i = 0; i < machine.nr; i++) {
		r->line = machine.devs[i]->line;
		if (link_host(r, machine.devs[i]))
			return -1;
	}
	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *pdev = machine.devs[i];

		/* All of a bus have one parent, hence one host */
		pdev->bus->host = pdev->host;
		if (!pdev->host->bus) {
			r->line = pdev->line;
			return bad(r, "nothing but virtual functions on %s",
				   pdev->host->name);
		}
		find_capabilities(pdev);
		find_bus_offset(pdev);
	}

	if (machine.nr)
		qsort(machine.devs, machine.nr, sizeof(*machine.devs),
		      by_address);

	return 0;
}

/**
 * topology_read - read a dump
 * @in: its text
 * @name: what to call it in messages
 *
 * Return: 0, or -1 after a message.
 */
int topology_read(FILE *in, const char *name)
{
	struct reader r = { .name = name };
	char *line = NULL;
	unsigned int version;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, in)) >= 0) {
		r.line++;
		if (memchr(line, 0, len))
			return bad(&r, "this is not a dump made by 'p2pctl dump'");
		if (r.line == 1) {
			if (sscanf(line, "p2pctl-dump %u", &version) != 1)
				return bad(&r, "this is not a dump made by 'p2pctl dump'");
			if (version != DUMP_VERSION)
				return bad(&r, "this p2pctl reads version %u of dumps, not %u",
					   DUMP_VERSION, version);
			continue;
		}
		if (read_line(&r, line))
			return -1;
	}

	if (ferror(in)) {
		complain("%s: cannot be read: %s", name, strerror(errno));
		return -1;
	}
	if (!r.ended)
		return bad(&r, r.line ? "the dump is cut short, its last line is missing" :
					"the dump is empty");

	return link_functions(&r);
}

/**
 * is_bridge - is this a bridge to another bus?
 * @pdev: function
 *
 * Return: true if so.
 */
bool is_bridge(const struct pci_dev *pdev)
{
	return pdev->class >> 8 == PCI_CLASS_BRIDGE_PCI;
}

/**
 * is_endpoint - may this be a client or provider?
 * @pdev: function
 *
 * Return: false for bridges of all kinds.
 */
bool is_endpoint(const struct pci_dev *pdev)
{
	return pdev->class >> 16 != PCI_BASE_CLASS_BRIDGE;
}

/**
 * function_kind - what a function is in the topology
 * @pdev: function
 *
 * Return: one or two words.
 */
const char *function_kind(const struct pci_dev *pdev)
{
	if (pdev->gone)
		return "does not answer";
	if (!pdev->pcie_cap)
		return is_endpoint(pdev) ? "endpoint" : "bridge";

	switch (pci_pcie_type(pdev)) {
	case PCI_EXP_TYPE_ROOT_PORT:
		return "root port";
	case PCI_EXP_TYPE_UPSTREAM:
		return "upstream port";
	case PCI_EXP_TYPE_DOWNSTREAM:
		return "downstream port";
	case PCI_EXP_TYPE_PCI_BRIDGE:
		return "PCIe-to-PCI bridge";
	case PCI_EXP_TYPE_PCIE_BRIDGE:
		return "PCI-to-PCIe bridge";
	case PCI_EXP_TYPE_RC_END:
		return "integrated endpoint";
	default:
		return "endpoint";
	}
}

/*
 * Names from pci.ids.  Vendors start in the first column, their devices are
 * indented by one tab.
 */
static char **titles;

static void title_set(u16 vendor, u16 device, const char *name)
{
	unsigned int i;
	char *copy, *c;

	for (i = 0; i < machine.nr; i++) {
		if (machine.devs[i]->vendor != vendor ||
		    machine.devs[i]->device != device)
			continue;

		copy = strdup(name);
		if (!copy)
			return;
		copy[strcspn(copy, "\n")] = '\0';
		for (c = copy; *c; c++)
			if (!isprint((unsigned char)*c) || *c & 0x80)
				*c = '?';
		titles[i] = copy;
	}
}

/**
 * load_names - look up what the vendors call their devices
 *
 * Without a file pci.ids, functions are called by what their class says.
 */
void load_names(void)
{
	static const char * const places[] = {
		"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids",
	};
	unsigned int vendor = 0x10000, id, i;
	FILE *ids = NULL;
	char line[512];
	int n;

	for (i = 0; i < ARRAY_SIZE(places) && !ids; i++)
		ids = fopen(places[i], "re");
	if (!ids)
		return;

	titles = must_alloc(machine.nr * sizeof(*titles) + 1);
	while (fgets(line, sizeof(line), ids) && line[0] != 'C') {
		if (line[0] != '\t')
			vendor = sscanf(line, "%4x ", &id) == 1 ? id : 0x10000;
		else if (sscanf(line, "\t%4x  %n", &id, &n) == 1 &&
			 line[1] != '\t' && vendor < 0x10000)
			title_set(vendor, id, line + n);
	}
	fclose(ids);
}

static const struct {
	u32		class;
	const char	*name;
} class_names[] = {
	{ 0x0108, "NVMe drive" },
	{ 0x01, "storage" },
	{ 0x0207, "InfiniBand adapter" },
	{ 0x02, "network adapter" },
	{ 0x03, "display" },
	{ 0x04, "multimedia" },
	{ 0x05, "memory" },
	{ 0x0600, "host bridge" },
	{ 0x0604, "PCI bridge" },
	{ 0x06, "bridge" },
	{ 0x0c03, "USB controller" },
	{ 0x0c, "serial bus" },
	{ 0x12, "accelerator" },
};

/**
 * function_title - what to call a device
 * @pdev: function
 *
 * Return: name from pci.ids, or what the class says.
 */
const char *function_title(const struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; titles && i < machine.nr; i++)
		if (machine.devs[i] == pdev && titles[i])
			return titles[i];

	for (i = 0; i < ARRAY_SIZE(class_names); i++)
		if (class_names[i].class == pdev->class >> 8 ||
		    class_names[i].class == pdev->class >> 16)
			return class_names[i].name;

	return "device";
}
