// SPDX-License-Identifier: GPL-2.0
/*
 * Output for people: at most 80 columns where the topology is not too deep for
 * that, line drawing in UTF-8 if the locale has it and in ASCII otherwise.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>

#include "../../../drivers/pci/p2pdma.h"
#include "p2pctl.h"

#define COLUMNS		80

/* Of a table: names of functions, and cells in words or abbreviated */
#define NAME_WIDTH	13
#define WORD_WIDTH	13
#define SHORT_WIDTH	6

/* More providers than this are counted, not named, beside a client */
#define NAMED_MAX	4

static struct {
	const char	*branch;
	const char	*last;
	const char	*bar;
	const char	*none;
} draw = { "|-- ", "`-- ", "|   ", "    " };

/**
 * text_init - prepare for output
 * @numeric: do not look up names of devices
 */
void text_init(bool numeric)
{
	setlocale(LC_CTYPE, "");
	if (!strcmp(nl_langinfo(CODESET), "UTF-8")) {
		draw.branch = "\u251c\u2500\u2500 ";
		draw.last = "\u2514\u2500\u2500 ";
		draw.bar = "\u2502   ";
	}
	if (!numeric)
		load_names();
}

/* Columns that UTF-8 text takes */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;

	return n;
}

/* Print text in lines of words, indented; a word that is too long stays whole */
__printf(2, 3)
static void wrap(int indent, const char *fmt, ...)
{
	char text[2048], *save, *w;
	va_list args;
	int column;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	column = printf("%*s", indent, "");
	for (w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		int len = width(w);

		if (column > indent && column + 1 + len > COLUMNS) {
			printf("\n%*s", indent, "");
			column = indent;
		}
		column += printf("%s", column > indent ? " " : "");
		printf("%s", w);
		column += len;
	}
	putchar('\n');
}

static const char *size_text(u64 size, char text[24])
{
	static const char units[][4] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int unit = 0;
	double value = size;

	while (value >= 1024 && unit < ARRAY_SIZE(units) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 24, value < 100 && value != (u64)value ? "%.1f %s" :
							       "%.0f %s",
		 value, units[unit]);

	return text;
}

static const char *memory_text(const struct pci_dev *pdev, char text[80])
{
	char size[24], room[24];

	snprintf(text, 80, "%s, %s free, %spublished",
		 size_text(pdev->p2p_size, size),
		 size_text(pdev->p2p_free, room), pdev->published ? "" : "not ");
	return text;
}

static bool cut(const struct pci_dev *pdev)
{
	return !pdev->gone && pdev->config_read < pdev->config_size;
}

/* "SV+ TB- ...", or the bits that are set only */
static const char *acs_text(const struct pci_dev *pdev, bool all, char text[80])
{
	char *end = text;
	u16 cap, ctrl;
	unsigned int i;

	if (cut(pdev))
		return all && is_bridge(pdev) ? "ACS unknown (needs root)" : "";
	if (!read_acs(pdev, &cap, &ctrl))
		return all && is_bridge(pdev) ? "no ACS" : "";

	end += sprintf(end, "ACS");
	for (i = 0; i < ARRAY_SIZE(acs_bits); i++)
		if (all || ctrl & acs_bits[i].mask)
			end += sprintf(end, " %s%s", acs_bits[i].name, !all ? "" :
				       ctrl & acs_bits[i].mask ? "+" : "-");

	return all || strlen(text) > strlen("ACS") ? text : "";
}

static void say_source(void)
{
	unsigned int i, nr_cut = 0;

	for (i = 0; i < machine.nr; i++)
		nr_cut += cut(machine.devs[i]);

	putchar('\n');
	wrap(0, "Routes are decided %s.", query_source_text());
	if (nr_cut && strcmp(query_source(), "kernel"))
		wrap(0, "Routes of %u functions are not known (?), as %s: %s.",
		     nr_cut, "their configuration space cannot be read in full",
		     machine.live ? "run p2pctl as root" :
				    "make the dump as root");
}

/* Number of a provider, counted from 1 */
static unsigned int provider_number(const struct pci_dev *pdev)
{
	unsigned int i, n = 0;

	for (i = 0; i < machine.nr; i++) {
		n += machine.devs[i]->provider;
		if (machine.devs[i] == pdev)
			break;
	}

	return n;
}

static unsigned int count_providers(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < machine.nr; i++)
		n += machine.devs[i]->provider;

	return n;
}

struct counts {
	unsigned int	direct;
	unsigned int	host;
	unsigned int	no;
	unsigned int	unknown;
};

static void count_verdict(struct counts *n, const struct verdict *v)
{
	if (!v->known)
		n->unknown++;
	else if (v->route.type == PCI_P2PDMA_MAP_BUS_ADDR)
		n->direct++;
	else if (v->route.type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE)
		n->host++;
	else
		n->no++;
}

/* What a function reaches: "P1 direct, P2 no", or how many it does */
static void routes_text(struct pci_dev *client, char text[160])
{
	struct counts counts = { 0 };
	bool named = count_providers() <= NAMED_MAX;
	unsigned int i;
	struct verdict v;
	char *end = text;

	*text = '\0';
	if (!is_endpoint(client))
		return;

	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *provider = machine.devs[i];

		if (!provider->provider || provider == client)
			continue;

		query(provider, client, &v);
		if (named)
			end += sprintf(end, "%sP%u %s%s", *text ? ", " : "",
				       provider_number(provider), type_word(&v),
				       v.known && v.route.override ? " (override)" : "");
		else
			count_verdict(&counts, &v);
	}
	if (!named)
		sprintf(text, "%u direct, %u host, %u no%s", counts.direct,
			counts.host, counts.no, counts.unknown ? ", some ?" : "");
}

static void print_function(struct pci_dev *pdev, const char *prefix,
			   const char *branch, const char *below)
{
	char text[256], acs[80], memory[80], routes[160];
	int column = width(prefix) + width(branch);
	const char *bits = acs_text(pdev, false, acs);
	int room;

	if (is_bridge(pdev))
		snprintf(text, sizeof(text), "%s %s%s%s%s", pdev->name,
			 function_kind(pdev), *bits ? " [" : "", bits,
			 *bits ? "]" : "");
	else
		snprintf(text, sizeof(text), "%s %s%s", pdev->name,
			 function_title(pdev),
			 pdev->gone ? " (does not answer)" : "");

	room = COLUMNS - column;
	if (room < 40)
		room = 40;
	if (width(text) > room)
		memcpy(text + room - 3, "...", 4);
	printf("%s%s%s", prefix, branch, text);
	column += width(text);

	if (pdev->provider) {
		printf("\n%s%s    P%u: %s", prefix, below, provider_number(pdev),
		       memory_text(pdev, memory));
		column = COLUMNS;
	}
	routes_text(pdev, routes);
	if (*routes && column + 4 + width(routes) <= COLUMNS)
		printf(" -> %s", routes);
	else if (*routes)
		printf("\n%s%s    -> %s", prefix, below, routes);
	putchar('\n');
}

static struct pci_dev *next_child(const struct pci_dev *parent,
				  const struct pci_host_bridge *host,
				  unsigned int *from)
{
	while (*from < machine.nr) {
		struct pci_dev *pdev = machine.devs[(*from)++];

		if (pdev->parent == parent && pdev->host == host)
			return pdev;
	}

	return NULL;
}

static void print_below(const struct pci_dev *parent,
			const struct pci_host_bridge *host, const char *prefix)
{
	unsigned int from = 0;
	struct pci_dev *pdev, *next;
	char deeper[2048];

	next = next_child(parent, host, &from);
	while (next) {
		pdev = next;
		next = next_child(parent, host, &from);
		print_function(pdev, prefix, next ? draw.branch : draw.last,
			       next ? draw.bar : draw.none);
		snprintf(deeper, sizeof(deeper), "%s%s", prefix,
			 next ? draw.bar : draw.none);
		print_below(pdev, host, deeper);
	}
}

/**
 * text_tree - print the topology with providers and routes
 */
void text_tree(void)
{
	const struct pci_host_bridge *host;
	unsigned int i;

	for (i = 0; i < machine.nr; i++) {
		u32 id;

		/* The first function of a root bus stands for the bus */
		if (machine.devs[i]->parent || machine.devs[i]->physfn)
			continue;
		host = machine.devs[i]->host;
		if (i && machine.devs[i - 1]->bus == host->bus)
			continue;

		id = pci_p2pdma_host_id(machine.devs[i]);
		printf("%s host bridge %04x:%04x\n", host->name, id & 0xffff,
		       id >> 16);
		print_below(NULL, host, "");
	}

	if (count_providers())
		say_source();
	else if (machine.nr)
		wrap(0, "%s", "\nNo function provides peer-to-peer memory.");
	else
		wrap(0, "%s", "This machine has no PCI functions.");
}

/* Print one block of the matrix: all clients, some providers */
static void print_block(struct pci_dev **providers, unsigned int nr,
			unsigned int first, bool words, bool *override)
{
	int cell = words ? WORD_WIDTH : SHORT_WIDTH;
	struct verdict v;
	unsigned int i, j;
	char text[24];
	int pad;

	pad = NAME_WIDTH - printf("client");
	for (j = 0; j < nr; j++) {
		if (words)
			snprintf(text, sizeof(text), "%s", providers[j]->name);
		else
			snprintf(text, sizeof(text), "P%u", first + j + 1);
		pad = cell - printf("%*s %s", pad, "", text) + pad;
	}
	putchar('\n');

	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *client = machine.devs[i];

		if (!is_endpoint(client))
			continue;

		pad = NAME_WIDTH - printf("%s", client->name);
		for (j = 0; j < nr; j++) {
			const char *mark = "";

			query(providers[j], client, &v);
			if (v.known && v.route.override) {
				*override = true;
				mark = "!";
			}
			if (!v.known || v.route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
				snprintf(text, sizeof(text), "%s",
					 v.known ? "-" : "?");
			else if (words)
				snprintf(text, sizeof(text), "%s%s %u",
					 type_word(&v), mark, v.route.distance);
			else
				snprintf(text, sizeof(text), "%c%s%u",
					 toupper(*type_word(&v)), mark,
					 v.route.distance);
			pad = cell - printf("%*s %s", pad, "", text) + pad;
		}
		putchar('\n');
	}
}

/**
 * text_matrix - print which client reaches which provider
 * @all: take every function that is no bridge as a provider
 */
void text_matrix(bool all)
{
	struct pci_dev **providers = must_alloc(machine.nr * sizeof(*providers) + 1);
	unsigned int nr = 0, block, i;
	bool override = false, words;

	for (i = 0; i < machine.nr; i++)
		if (in_matrix(machine.devs[i], all))
			providers[nr++] = machine.devs[i];
	if (!nr) {
		puts("No function provides peer-to-peer memory;");
		puts("'p2pctl matrix --all' takes every function for a provider.");
		return;
	}

	words = nr <= (COLUMNS - NAME_WIDTH) / WORD_WIDTH;
	block = (COLUMNS - NAME_WIDTH) / (words ? WORD_WIDTH : SHORT_WIDTH);
	if (!words) {
		for (i = 0; i < nr; i++)
			printf("P%-3u %s %s\n", i + 1, providers[i]->name,
			       function_title(providers[i]));
		putchar('\n');
	}

	for (i = 0; i < nr; i += block) {
		if (i)
			putchar('\n');
		print_block(providers + i, nr - i < block ? nr - i : block, i,
			    words, &override);
	}

	putchar('\n');
	wrap(0, "%s, both with the distance; - not at all. 'p2pctl why CLIENT PROVIDER' explains.",
	     words ? "direct: without the root complex; host: through it" :
		     "D: direct, without the root complex; S: to itself; H: through the host bridge");
	if (override)
		wrap(0, "!: rests on pci_p2pdma.host_bridges alone: verify the data.");
	say_source();
}

static void print_step(struct pci_dev *pdev, const char *role,
		       const struct verdict *v)
{
	const char *decides = port_decides(pdev, v);
	char acs[80];

	const char *bits = acs_text(pdev, true, acs);

	printf("  %-13s %s", pdev->name, role ? role : function_kind(pdev));
	if (*bits)
		printf(", %s", bits);
	putchar('\n');
	if (decides)
		wrap(17, "^ %s", decides);
}

static void print_path(struct pci_dev *client, struct pci_dev *provider,
		       const struct verdict *v)
{
	struct path path;
	unsigned int i;

	find_path(provider, client, &path);
	puts("\nPath, up from the client and down to the provider:");
	for (i = 0; i < path.nr; i++) {
		if (path.top < 0 && i == path.up)
			printf("  %-13s where the paths meet\n", "root complex");
		print_step(path.step[i], path.step[i] == client ? "client" :
			   path.step[i] == provider ? "provider" : NULL, v);
		if ((int)i == path.top && client != provider)
			printf("%17s^ here the paths meet\n", "");
	}
}

static void print_ports_remedy(const struct remedy *remedy)
{
	const char *line, *end;

	puts("\nTo let the fabric route directly, boot with the kernel parameter");
	printf("  \"%s\"\n", remedy->parameter);
	puts("which is, as a line at the end of /etc/default/grub (then run update-grub):");
	printf("  GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX \\\n\\\"%s\\\"\"\n",
	       remedy->parameter);
	puts("or do it now, as root, until the next boot:");
	for (line = remedy->setpci; *line; line = end + 1) {
		end = strchr(line, '\n');
		printf("  %.*s\n", (int)(end - line), line);
	}
	wrap(0, "Devices below these ports are then not isolated from each other any more.");
}

static void print_host_remedy(const struct remedy *remedy)
{
	putchar('\n');
	wrap(0, "If you know that the root complex forwards, allow it by the kernel parameter");
	printf("  pci_p2pdma.host_bridges=%s\n", remedy->host_bridges);
	puts("or do it now, as root, until the next boot:");
	printf("  echo %s \\\n  > /sys/module/pci_p2pdma/parameters/host_bridges\n",
	       remedy->host_bridges);
	puts("WARNING: this overrides what the kernel knows, and taints it.");
	puts("A root complex that does not forward loses data without any error:");
	puts("compare what arrives with what was sent before you rely on it.");
	if (!machine.has_host_bridges)
		wrap(0, "(%s has no such parameter.)", machine.live ?
		     "The running kernel" : "The kernel of that machine");
}

/**
 * text_why - explain a verdict
 * @client: the client
 * @provider: the provider
 * @v: verdict on them
 */
void text_why(struct pci_dev *client, struct pci_dev *provider,
	      const struct verdict *v)
{
	struct remedy remedy;
	char text[80];

	printf("client    %s %.52s\n", client->name, function_title(client));
	printf("provider  %s %.52s\n", provider->name, function_title(provider));
	printf("          %s\n", provider->provider ? memory_text(provider, text) :
	       "has registered no peer-to-peer memory");
	print_path(client, provider, v);

	printf("\nDecision, ");
	wrap(0, "%s:", query_source_text());
	if (!v->known) {
		wrap(2, "%s: not known: %s.", v->unread ? v->unread->name : "Route",
		     reason_text(v));
		return;
	}

	if (v->route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		wrap(2, "%s cannot reach %s: %s.", client->name, provider->name,
		     reason_text(v));
	else
		wrap(2, "%s reaches %s %s, distance %u: %s.", client->name,
		     provider->name,
		     v->route.type == PCI_P2PDMA_MAP_BUS_ADDR ?
		     "directly" : "through the host bridge", v->route.distance,
		     reason_text(v));
	if (v->route.override)
		wrap(2, "This rests on pci_p2pdma.host_bridges alone: verify the data.");
	if (v->route.reason == PCI_P2PDMA_NOT_SENT_UP && v->route.up_port)
		wrap(2, "It gets stuck at %s, which has no Upstream Forwarding.",
		     v->route.up_port->name);

	find_remedy(provider, client, v, &remedy);
	if (*remedy.parameter)
		print_ports_remedy(&remedy);
	if (*remedy.host_bridges)
		print_host_remedy(&remedy);
}

/* The clients that have a route of one type, or not, in one paragraph */
static void print_clients(struct pci_dev *provider, const char *heading,
			  const char *type)
{
	char *text = NULL;
	size_t len = 0;
	struct verdict v;
	unsigned int i, n = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;

	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *client = machine.devs[i];

		if (!is_endpoint(client) || client == provider)
			continue;
		query(provider, client, &v);
		if (strcmp(type_name(&v), type))
			continue;
		fprintf(out, " %s", client->name);
		n++;
	}
	fclose(out);

	if (n) {
		const char *at = text;
		int column = printf("  %-12s", heading);

		for (at = strtok(text, " "); at; at = strtok(NULL, " ")) {
			if (column + 1 + width(at) > COLUMNS)
				column = printf("\n%14s", "") - 1;
			column += printf(" %s", at);
		}
		putchar('\n');
	}
	free(text);
}

/**
 * text_providers - print each provider and which clients reach it
 */
void text_providers(void)
{
	unsigned int i;
	char text[80];

	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *pdev = machine.devs[i];

		if (!pdev->provider)
			continue;
		printf("%s %.60s\n", pdev->name, function_title(pdev));
		printf("  %s\n", memory_text(pdev, text));
		print_clients(pdev, "directly:", "bus-address");
		print_clients(pdev, "by host:", "host-bridge");
		print_clients(pdev, "not:", "unsupported");
		print_clients(pdev, "not known:", "unknown");
	}

	if (count_providers())
		say_source();
	else
		puts("No function provides peer-to-peer memory.");
}
