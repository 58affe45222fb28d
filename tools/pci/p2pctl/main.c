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
#include "io.h"

enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_DOT,
	FORMAT_SVG,
};

enum {
	OPT_ALL = 256,
	OPT_BLOCK,
	OPT_BYTES,
	OPT_CHECKSUM,
	OPT_COUNT,
	OPT_DEPTH,
	OPT_DOT,
	OPT_FORCE,
	OPT_FROM,
	OPT_INTERVAL,
	OPT_JSON,
	OPT_OFFLINE,
	OPT_SCRATCH,
	OPT_SOURCE_OFFSET,
	OPT_SVG,
	OPT_TARGET_OFFSET,
	OPT_VIA,
};

static const struct option options[] = {
	{ "all", no_argument, NULL, OPT_ALL },
	{ "block", required_argument, NULL, OPT_BLOCK },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ "checksum", no_argument, NULL, OPT_CHECKSUM },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "dot", no_argument, NULL, OPT_DOT },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "help", no_argument, NULL, 'h' },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "numeric", no_argument, NULL, 'n' },
	{ "offline", no_argument, NULL, OPT_OFFLINE },
	{ "scratch", required_argument, NULL, OPT_SCRATCH },
	{ "source-offset", required_argument, NULL, OPT_SOURCE_OFFSET },
	{ "svg", no_argument, NULL, OPT_SVG },
	{ "target-offset", required_argument, NULL, OPT_TARGET_OFFSET },
	{ "via", required_argument, NULL, OPT_VIA },
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
"  verify DRIVE PROVIDER\n"
"                       let the drive move data to the provider's memory, and\n"
"                       compare every byte\n"
"  copy SOURCE TARGET   copy a drive to another through memory of a provider\n"
"  stat                 watch how much of the providers' memory is in use\n"
"\n"
"Options:\n"
"      --from FILE      look at the machine whose dump FILE is ('-': standard\n"
"                       input), not at this one\n"
"      --offline        decide from configuration space (needs root), even if the\n"
"                       running kernel can be asked\n"
"      --json           output for programs (topology, matrix, why, providers)\n"
"      --dot            a drawing for graphviz (topology and why)\n"
"      --svg            the same, drawn\n"
"  -n, --numeric        do not look up names of devices\n"
"  -h, --help           this text\n"
"  -V, --version        the version\n"
"\n"
"Options of verify, copy and stat:\n"
"      --scratch OFFSET,BYTES\n"
"                       verify may write there; what it holds is put back\n"
"      --bytes BYTES    how much to copy (all of the source), or to read and\n"
"                       compare (16M)\n"
"      --via PROVIDER   copy through this provider, or 'system' memory; by\n"
"                       default through the nearest that both drives reach\n"
"      --source-offset BYTES, --target-offset BYTES\n"
"                       where the copy begins\n"
"      --block BYTES    of one transfer (128K)\n"
"      --depth N        transfers in flight (32)\n"
"      --checksum       read both again after the copy, and compare\n"
"      --force          write to a drive that is mounted or in use, too\n"
"      --interval N     seconds between two looks (1)\n"
"      --count N        looks (no end)\n"
"\n"
"A function is named as lspci does: 0000:01:00.0, or 01:00.0 in domain 0. A drive\n"
"is /dev/nvme0n1, or the function of an NVMe drive. BYTES may end in K, M, G or T.\n"
"Exit status of why: 0 directly, 1 through the host bridge, 2 not at all, 3 error\n"
"or not known; of verify and copy: 0 right, 1 wrong data, 2 no route, 3 error; of\n"
"the others: 0, or 3 after an error.\n";

static struct {
	enum format	format;
	const char	*from;
	bool		all;
	bool		offline;
	bool		numeric;
	const char	*via;
	uint64_t	bytes;
	uint64_t	block;
	uint64_t	depth;
	uint64_t	interval;
	uint64_t	count;
	struct copy_options	copy;
	struct verify_options	verify;
	/* The first option given that only some commands take, and which */
	const char	*special;
	unsigned int	special_for;
} opt = {
	.block = 128 << 10,
	.depth = 32,
	.interval = 1,
};

/* Commands that take options of their own */
enum {
	FOR_VERIFY	= 1,
	FOR_COPY	= 2,
	FOR_STAT	= 4,
};

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

static int run_copy(char **args)
{
	opt.copy.bytes = opt.bytes;
	opt.copy.block = opt.block;
	opt.copy.depth = opt.depth;

	return move_copy(args[0], args[1], opt.via, &opt.copy);
}

static int run_verify(char **args)
{
	opt.verify.bytes = opt.bytes ? opt.bytes : 16 << 20;
	opt.verify.force = opt.copy.force;

	return move_verify(args[0], args[1], &opt.verify);
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

	if (!strcmp(command, "copy"))
		return run_copy(args);
	if (!strcmp(command, "verify"))
		return run_verify(args);
	if (!strcmp(command, "stat"))
		return move_stat(opt.interval, opt.count);

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
		unsigned int	moves;
	} commands[] = {
		{ "tree", "", 0, true, false, 0 },
		{ "matrix", "", 0, false, true, 0 },
		{ "why", " CLIENT PROVIDER", 2, true, false, 0 },
		{ "providers", "", 0, false, false, 0 },
		{ "dump", " FILE", 1, false, false, 0 },
		{ "verify", " DRIVE PROVIDER", 2, false, false, FOR_VERIFY },
		{ "copy", " SOURCE TARGET", 2, false, false, FOR_COPY },
		{ "stat", "", 0, false, false, FOR_STAT },
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
	if (opt.special && !(opt.special_for & commands[i].moves)) {
		complain("--%s is not for '%s'", opt.special, command);
		return -1;
	}
	if (commands[i].moves && (opt.from || opt.format == FORMAT_JSON)) {
		complain("'%s' is for this machine, and for people: leave out --from and --json",
			 command);
		return -1;
	}

	return 0;
}

/* A number of bytes or of other things, at least 1 */
static bool get_number(const char *name, const char *text, uint64_t limit,
		       uint64_t *value)
{
	if (parse_bytes(text, value) && *value && *value <= limit)
		return true;

	complain("--%s takes a number from 1 to %llu, not '%s'", name,
		 (unsigned long long)limit, text);
	return false;
}

static bool get_offset(const char *name, const char *text, uint64_t *value)
{
	if (parse_bytes(text, value))
		return true;

	complain("--%s takes a number of bytes, not '%s'", name, text);
	return false;
}

static bool get_scratch(const char *text)
{
	char *copy = strdup(text), *comma = copy ? strchr(copy, ',') : NULL;
	bool good;

	if (comma)
		*comma = 0;
	good = comma && parse_bytes(copy, &opt.verify.scratch_offset) &&
	       parse_bytes(comma + 1, &opt.verify.scratch_bytes) &&
	       opt.verify.scratch_bytes;
	if (!good)
		complain("--scratch takes an offset and a number of bytes, like 1G,16M, not '%s'",
			 text);
	free(copy);

	return good;
}

/* Options that only verify, copy or stat take; false after a message */
static bool get_special(int c, const char *name, const char *text)
{
	static const struct {
		int		c;
		unsigned int	commands;
	} takers[] = {
		{ OPT_BLOCK, FOR_COPY },
		{ OPT_BYTES, FOR_COPY | FOR_VERIFY },
		{ OPT_CHECKSUM, FOR_COPY },
		{ OPT_COUNT, FOR_STAT },
		{ OPT_DEPTH, FOR_COPY },
		{ OPT_FORCE, FOR_COPY | FOR_VERIFY },
		{ OPT_INTERVAL, FOR_STAT },
		{ OPT_SCRATCH, FOR_VERIFY },
		{ OPT_SOURCE_OFFSET, FOR_COPY },
		{ OPT_TARGET_OFFSET, FOR_COPY },
		{ OPT_VIA, FOR_COPY },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(takers) && takers[i].c != c; i++)
		;
	if (i == ARRAY_SIZE(takers))
		return false;
	if (!opt.special || !(opt.special_for & ~takers[i].commands)) {
		opt.special = name;
		opt.special_for = takers[i].commands;
	}

	switch (c) {
	case OPT_BLOCK:
		if (!get_number(name, text, 1 << 30, &opt.block))
			return false;
		if (opt.block % IO_ALIGN)
			complain("--block must be a multiple of %lu", IO_ALIGN);
		return !(opt.block % IO_ALIGN);
	case OPT_BYTES:
		return get_number(name, text, UINT64_MAX, &opt.bytes);
	case OPT_CHECKSUM:
		opt.copy.checksum = true;
		return true;
	case OPT_COUNT:
		return get_number(name, text, UINT32_MAX, &opt.count);
	case OPT_DEPTH:
		return get_number(name, text, 4096, &opt.depth);
	case OPT_FORCE:
		opt.copy.force = true;
		return true;
	case OPT_INTERVAL:
		return get_number(name, text, 86400, &opt.interval);
	case OPT_SCRATCH:
		return get_scratch(text);
	case OPT_SOURCE_OFFSET:
		return get_offset(name, text, &opt.copy.source_offset);
	case OPT_TARGET_OFFSET:
		return get_offset(name, text, &opt.copy.target_offset);
	default:
		opt.via = text;
		return true;
	}
}

int main(int argc, char **argv)
{
	const char *command;
	int c, ret, index;

	while ((c = getopt_long(argc, argv, "hnV", options, &index)) != -1) {
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
		case '?':
			return bad_usage();
		default:
			if (!get_special(c, options[index].name, optarg))
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
