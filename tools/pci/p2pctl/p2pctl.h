/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of p2pctl share.
 *
 *   main.c      command line
 *   dump.c      sysfs of this machine -> text of a dump
 *   topology.c  text of a dump -> functions, buses, host bridges
 *   query.c     the verdict on a pair: asked of the kernel, or decided here by
 *               the kernel's own code (shim/ makes that compile)
 *   path.c      the ports between a pair, and what to do about them
 *   text.c      output for people
 *   json.c      output for programs
 *   dot.c       output for graphviz
 *   move.c      the commands that move data; what does so is told in io.h
 *
 * A live machine is read by writing its dump to memory and parsing it, so that
 * a dump holds all that p2pctl ever knows.
 *
 * One run looks at one machine, which is the global variable machine.  Memory
 * is never freed: the process is short.
 */
#ifndef _P2PCTL_H
#define _P2PCTL_H

#include <stdio.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>

#define P2PCTL_VERSION	"1.0"

/* Of the format of a dump: another is read as another machine, or not at all */
#define DUMP_VERSION	2

/* Exit status; the first three are those of "why" */
enum {
	EXIT_DIRECT,
	EXIT_HOST,
	EXIT_NONE,
	EXIT_ERROR,
};

struct machine {
	struct pci_dev		**devs;		/* in order of address */
	unsigned int		nr;
	struct pci_bus		*buses;
	struct pci_host_bridge	*hosts;
	bool			live;
	bool			has_host_bridges;	/* the parameter */
	char			host_bridges[512];
};

extern struct machine machine;

/* main.c */
extern const char *program;

__printf(1, 2) void complain(const char *fmt, ...);
void *must_alloc(size_t size);

/* dump.c */
int dump_write(FILE *out);

/* topology.c */
int topology_read(FILE *in, const char *name);
int parse_address(const char *text, u32 *domain, u8 *bus, u8 *devfn);
struct pci_dev *find_function(u32 domain, u8 bus, u8 devfn);
bool is_bridge(const struct pci_dev *pdev);
bool is_endpoint(const struct pci_dev *pdev);
const char *function_kind(const struct pci_dev *pdev);
void load_names(void);
const char *function_title(const struct pci_dev *pdev);

/* query.c */

/**
 * struct verdict - can a client reach a provider?
 * @known: there is an answer; otherwise the rest but @unread is meaningless
 * @from_kernel: the running kernel gave it, not the code in p2pctl
 * @route: the answer
 * @unread: function whose configuration space would have to be readable
 */
struct verdict {
	bool			known;
	bool			from_kernel;
	struct pci_p2pdma_route	route;
	const struct pci_dev	*unread;
};

void query_init(bool offline);
const char *query_source(void);
const char *query_source_text(void);
void query(struct pci_dev *provider, struct pci_dev *client,
	   struct verdict *v);
const char *type_name(const struct verdict *v);
const char *type_word(const struct verdict *v);
const char *reason_name(const struct verdict *v);
const char *reason_text(const struct verdict *v);

/* path.c */

/**
 * struct path - the functions that a request passes
 * @step: from the client up to where the paths meet, and down to the provider
 * @nr: number of steps
 * @top: index of the bridge at which the paths meet, or -1 if they meet in the
 *	root complex at best
 * @up: number of steps on the client's side, not counting the top
 */
struct path {
	struct pci_dev	**step;
	unsigned int	nr;
	int		top;
	unsigned int	up;
};

/**
 * struct remedy - how to get a (better) route
 * @parameter: kernel parameter that changes access control, or empty
 * @setpci: commands that do so at once, each ended by a line end, or empty
 * @host_bridges: value for the parameter pci_p2pdma.host_bridges, or empty
 */
struct remedy {
	char	parameter[160];
	char	setpci[240];
	char	host_bridges[640];
};

void find_path(struct pci_dev *provider, struct pci_dev *client,
	       struct path *path);
void find_remedy(struct pci_dev *provider, struct pci_dev *client,
		 const struct verdict *v, struct remedy *remedy);
bool read_acs(const struct pci_dev *pdev, u16 *cap, u16 *ctrl);
const char *port_decides(const struct pci_dev *pdev, const struct verdict *v);

extern const struct acs_bit {
	u16		mask;
	const char	*name;
	const char	*key;
} acs_bits[7];

/* text.c */
void text_init(bool numeric);
void text_tree(void);
void text_matrix(bool all);
void text_why(struct pci_dev *client, struct pci_dev *provider,
	      const struct verdict *v);
void text_providers(void);

/* json.c */
void json_tree(void);
void json_matrix(bool all);
void json_why(struct pci_dev *client, struct pci_dev *provider,
	      const struct verdict *v);
void json_providers(void);

/* dot.c */
void dot_tree(FILE *out);
void dot_why(FILE *out, struct pci_dev *client, struct pci_dev *provider,
	     const struct verdict *v);
int svg_from_dot(const char *text, size_t len);

/* move.c */
struct copy_options;
struct verify_options;

int move_copy(const char *source, const char *target, const char *via,
	      struct copy_options *opt);
int move_verify(const char *drive, const char *name,
		const struct verify_options *opt);
int move_stat(unsigned int interval, unsigned int count);

/* Functions that "matrix" takes as providers */
static inline bool in_matrix(const struct pci_dev *pdev, bool all)
{
	return pdev->provider || (all && is_endpoint(pdev));
}

#endif /* _P2PCTL_H */
