// SPDX-License-Identifier: GPL-2.0
/*
 * p2pctl: which PCI devices reach each other's memory, how, and why not.
 *
 * This file has the command line; see p2pctl.h for the others and p2pctl.8 for
 * what users are told.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "p2pctl.h"

enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_DOT,
	FORMAT_SVG,
};

enum {
	OPT_ALL = 256,
	OPT_DOT,
	OPT_FROM,
	OPT_JSON,
	OPT_OFFLINE,
	OPT_SVG,
};

static const struct option options[] = {
	{ "all", no_argument, NULL, OPT_ALL },
	{ "dot", no_argument, NULL, OPT_DOT },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "numeric", no_argument, NULL, 'n' },
	{ "offline", no_argument, NULL, OPT_OFFLINE },
	{ "svg", no_argument, NULL, OPT_SVG },
	{ "version", no_argument, NULL, 'V' },
	{ }
};

static const char help[] =
"Usage: p2pctl [OPTION]... [COMMAND]\n"
"Which PCI devices reach each other's memory, how, and why not.\n"
"\n"
"Commands:\n"
"  (none)               the topology, with providers of memory and routes\n"
"  matrix [--all]       which client reaches which provider; with --all, every\n"
"                       function is taken for a provider\n"
"  why CLIENT PROVIDER  how, or why not, and what to do about it\n"
"  providers            who provides memory, and who reaches it\n"
"  dump FILE            write down what another p2pctl needs to answer for this\n"
"                       machine; '-' is standard output; needs root\n"
"\n"
"Options:\n"
"      --from FILE      look at the machine whose dump FILE is ('-': standard\n"
"                       input), not at this one\n"
"      --offline        decide from configuration space (needs root), even if the\n"
"                       running kernel can be asked\n"
"      --json           output for programs (not for dump)\n"
"      --dot            a drawing for graphviz (topology and why)\n"
"      --svg            the same, drawn\n"
"  -n, --numeric        do not look up names of devices\n"
"  -h, --help           this text\n"
"  -V, --version        the version\n"
"\n"
"A function is named as lspci does: 0000:01:00.0, or 01:00.0 in domain 0.\n"
"Exit status of why: 0 directly, 1 through the host bridge, 2 not at all, 3 error\n"
"or not known; of the others: 0, or 3 after an error.\n";

static struct {
	enum format	format;
	const char	*from;
	bool		all;
	bool		offline;
	bool		numeric;
} opt;

const char *program = "p2pctl";

/**
 * complain - print a message for the user
 * @fmt: format of the message, without line end
 */
void complain(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/**
 * must_alloc - allocate memory that is never freed
 * @size: number of bytes, which are set to zero
 *
 * Return: the memory; without memory, the program ends.
 */
void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}

	return p;
}

/* Read the machine in question */
static int load(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file;
	int ret;

	if (opt.from) {
		file = strcmp(opt.from, "-") ? fopen(opt.from, "re") : stdin;
		if (!file) {
			complain("cannot open %s: %s", opt.from, strerror(errno));
			return -1;
		}
		ret = topology_read(file, file == stdin ? "standard input" : opt.from);
		if (file != stdin)
			fclose(file);
		return ret;
	}

	machine.live = true;
	file = open_memstream(&text, &len);
	if (!file) {
		complain("out of memory");
		return -1;
	}
	ret = dump_write(file);
	if (fclose(file) || ret)
		return -1;

	file = fmemopen(text, len, "r");
	if (!file) {
		complain("out of memory");
		return -1;
	}
	ret = topology_read(file, "what sysfs says");
	fclose(file);
	free(text);

	return ret;
}

static int write_dump(const char *name)
{
	FILE *file;

	if (opt.from || opt.format != FORMAT_TEXT) {
		complain("a dump is of this machine, in its own format: leave out the options");
		return EXIT_ERROR;
	}
	if (geteuid())
		complain("without root, most registers are hidden: this dump tells few routes");

	file = strcmp(name, "-") ? fopen(name, "we") : stdout;
	if (!file) {
		complain("cannot create %s: %s", name, strerror(errno));
		return EXIT_ERROR;
	}
	if (dump_write(file))
		return EXIT_ERROR;
	if (fflush(file) || ferror(file)) {
		complain("cannot write %s: %s", name, strerror(errno));
		return EXIT_ERROR;
	}

	return 0;
}

static struct pci_dev *get_function(const char *name)
{
	struct pci_dev *pdev;
	u8 bus, devfn;
	u32 domain;

	if (parse_address(name, &domain, &bus, &devfn)) {
		complain("'%s' is not the address of a PCI function, like 0000:01:00.0 or 01:00.0",
			 name);
		return NULL;
	}

	pdev = find_function(domain, bus, devfn);
	if (!pdev)
		complain("there is no PCI function %s: run '%s' alone to see which there are",
			 name, program);

	return pdev;
}

static int draw(struct pci_dev *client, struct pci_dev *provider,
		const struct verdict *v)
{
	FILE *out = stdout;
	char *text = NULL;
	size_t len = 0;

	if (opt.format == FORMAT_SVG) {
		out = open_memstream(&text, &len);
		if (!out) {
			complain("out of memory");
			return -1;
		}
	}

	if (client)
		dot_why(out, client, provider, v);
	else
		dot_tree(out);
	if (opt.format == FORMAT_DOT)
		return 0;

	fclose(out);
	return svg_from_dot(text, len);
}

static int why(const char *client_name, const char *provider_name)
{
	struct pci_dev *client = get_function(client_name);
	struct pci_dev *provider = client ? get_function(provider_name) : NULL;
	struct verdict v;

	if (!provider)
		return EXIT_ERROR;

	query(provider, client, &v);
	if (opt.format == FORMAT_TEXT)
		text_why(client, provider, &v);
	else if (opt.format == FORMAT_JSON)
		json_why(client, provider, &v);
	else if (draw(client, provider, &v))
		return EXIT_ERROR;

	if (v.known && v.route.type == PCI_P2PDMA_MAP_BUS_ADDR)
		return EXIT_DIRECT;
	if (v.known && v.route.type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE)
		return EXIT_HOST;
	if (v.known)
		return EXIT_NONE;

	if (v.unread)
		complain("configuration space of %s can be read up to byte %u of %u only: %s",
			 v.unread->name, v.unread->config_read,
			 v.unread->config_size, machine.live ?
			 "run p2pctl as root, or on a kernel with /dev/pci-p2pdma" :
			 "make the dump as root");
	else
		complain("%s or %s has just been removed: run '%s' alone to see what is there",
			 client_name, provider_name, program);
	return EXIT_ERROR;
}

static int tree(void)
{
	if (opt.format == FORMAT_TEXT)
		text_tree();
	else if (opt.format == FORMAT_JSON)
		json_tree();
	else if (draw(NULL, NULL, NULL))
		return EXIT_ERROR;

	return 0;
}

static int run(const char *command, char **args)
{
	if (!strcmp(command, "dump"))
		return write_dump(args[0]);

	if (load())
		return EXIT_ERROR;
	query_init(opt.offline);
	text_init(opt.numeric);

	if (!strcmp(command, "tree"))
		return tree();
	if (!strcmp(command, "why"))
		return why(args[0], args[1]);

	if (!strcmp(command, "matrix")) {
		if (opt.format == FORMAT_JSON)
			json_matrix(opt.all);
		else
			text_matrix(opt.all);
	} else {
		if (opt.format == FORMAT_JSON)
			json_providers();
		else
			text_providers();
	}

	return 0;
}

static int bad_usage(void)
{
	fprintf(stderr, "Try '%s --help'.\n", program);
	return EXIT_ERROR;
}

static int check_command(const char *command, int nr_args)
{
	static const struct {
		const char	*name;
		const char	*args;
		int		nr_args;
		bool		drawn;
		bool		all;
	} commands[] = {
		{ "tree", "", 0, true, false },
		{ "matrix", "", 0, false, true },
		{ "why", " CLIENT PROVIDER", 2, true, false },
		{ "providers", "", 0, false, false },
		{ "dump", " FILE", 1, false, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(command, commands[i].name))
			break;
	if (i == ARRAY_SIZE(commands)) {
		complain("there is no command '%s'", command);
		return -1;
	}
	if (nr_args != commands[i].nr_args) {
		complain("use it as '%s %s%s'", program, command, commands[i].args);
		return -1;
	}
	if (opt.format >= FORMAT_DOT && !commands[i].drawn) {
		complain("there is no drawing of '%s', only of the topology and of 'why'",
			 command);
		return -1;
	}
	if (opt.all && !commands[i].all) {
		complain("--all is for 'matrix'");
		return -1;
	}

	return 0;
}

int main(int argc, char **argv)
{
	const char *command;
	int c, ret;

	while ((c = getopt_long(argc, argv, "hnV", options, NULL)) != -1) {
		switch (c) {
		case OPT_ALL:
			opt.all = true;
			break;
		case OPT_DOT:
			opt.format = FORMAT_DOT;
			break;
		case OPT_FROM:
			opt.from = optarg;
			break;
		case OPT_JSON:
			opt.format = FORMAT_JSON;
			break;
		case OPT_OFFLINE:
			opt.offline = true;
			break;
		case OPT_SVG:
			opt.format = FORMAT_SVG;
			break;
		case 'n':
			opt.numeric = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("p2pctl " P2PCTL_VERSION);
			return 0;
		default:
			return bad_usage();
		}
	}

	argv += optind;
	argc -= optind;
	command = argc ? *argv : "tree";
	if (check_command(command, argc ? argc - 1 : 0))
		return bad_usage();

	ret = run(command, argv + 1);
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write the output: %s", strerror(errno));
		return EXIT_ERROR;
	}

	return ret;
}
