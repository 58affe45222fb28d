// SPDX-License-Identifier: GPL-2.0
/*
 * Output for graphviz: host bridges and functions are boxes, links are lines.
 * Of the whole topology, arrows go from each client to the providers that it
 * reaches.  Of one pair, the links that the traffic takes are drawn bold, those
 * up to the root complex and back included if it is redirected, and the ports
 * that decide are red.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "p2pctl.h"

#define DIRECT_COLOR	"#1b7f3b"
#define HOST_COLOR	"#c46a00"
#define NONE_COLOR	"#b00020"

static const char *color_of(const struct verdict *v)
{
	if (!v->known)
		return "gray";

	switch (v->route.type) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		return DIRECT_COLOR;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		return HOST_COLOR;
	default:
		return NONE_COLOR;
	}
}

static void put_label(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_node(FILE *out, const struct pci_dev *pdev, const char *note,
		     bool marked)
{
	fprintf(out, "\t\"%s\" [label=\"%s\\n", pdev->name, pdev->name);
	put_label(out, is_bridge(pdev) ? function_kind(pdev) :
					 function_title(pdev));
	if (note)
		fprintf(out, "\\n%s", note);
	fputs("\"", out);
	if (pdev->provider)
		fputs(", style=\"filled,rounded\", fillcolor=\"#dcefe2\"", out);
	if (marked)
		fprintf(out, ", color=\"" NONE_COLOR "\", penwidth=2");
	fputs("];\n", out);
}

static void put_link(FILE *out, const struct pci_dev *pdev, const char *color)
{
	fprintf(out, "\t\"%s\" -> \"%s\" [dir=none",
		pdev->parent ? pdev->parent->name : pdev->host->name, pdev->name);
	if (color)
		fprintf(out, ", penwidth=4, color=\"%s\"", color);
	fputs("];\n", out);
}

static void put_hosts(FILE *out)
{
	const struct pci_host_bridge *host;

	fputs("digraph p2pdma {\n"
	      "\tnode [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=10];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=10];\n", out);
	for (host = machine.hosts; host; host = host->next)
		fprintf(out, "\t\"%s\" [label=\"%s\\nhost bridge\", shape=box3d];\n",
			host->name, host->name);
}

/**
 * dot_tree - draw the topology with all routes
 * @out: where to
 */
void dot_tree(FILE *out)
{
	struct verdict v;
	unsigned int i, j;

	put_hosts(out);
	for (i = 0; i < machine.nr; i++) {
		put_node(out, machine.devs[i],
			 machine.devs[i]->provider ? "provider" : NULL, false);
		put_link(out, machine.devs[i], NULL);
	}
	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *provider = machine.devs[i];

		for (j = 0; j < machine.nr && provider->provider; j++) {
			struct pci_dev *client = machine.devs[j];

			if (client == provider || !is_endpoint(client))
				continue;
			query(provider, client, &v);
			if (!v.known ||
			    v.route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
				continue;
			fprintf(out, "\t\"%s\" -> \"%s\" [constraint=false, style=dashed",
				client->name, provider->name);
			fprintf(out, ", color=\"%s\", fontcolor=\"%s\", label=\"%s\"];\n",
				color_of(&v), color_of(&v), type_word(&v));
		}
	}
	fputs("}\n", out);
}

/* Does the traffic pass the link above this function? */
static bool link_used(struct pci_dev *pdev, const struct path *path,
		      const struct verdict *v)
{
	struct pci_dev *up;
	unsigned int i;

	for (i = 0; i < path->nr; i++)
		if (path->step[i] == pdev && (int)i != path->top)
			return true;

	if (path->top < 0 || !v->known ||
	    v->route.type != PCI_P2PDMA_MAP_THRU_HOST_BRIDGE)
		return false;
	for (up = path->step[path->top]; up; up = pci_upstream_bridge(up))
		if (up == pdev)
			return true;

	return false;
}

/**
 * dot_why - draw the topology with one route
 * @out: where to
 * @client: the client
 * @provider: the provider
 * @v: verdict on them
 */
void dot_why(FILE *out, struct pci_dev *client, struct pci_dev *provider,
	     const struct verdict *v)
{
	struct path path;
	unsigned int i;

	find_path(provider, client, &path);
	put_hosts(out);
	fprintf(out, "\tlabel=\"%s to %s: %s\";\n", client->name, provider->name,
		reason_text(v));
	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *pdev = machine.devs[i];
		const char *note = port_decides(pdev, v);
		bool decides = note;

		if (pdev == client)
			note = "client";
		else if (pdev == provider)
			note = "provider";
		put_node(out, pdev, note, decides);
		put_link(out, pdev, link_used(pdev, &path, v) ? color_of(v) :
								NULL);
	}
	fputs("}\n", out);
}

/**
 * svg_from_dot - have graphviz draw on standard output
 * @text: the drawing in its language
 * @len: length of the text
 *
 * Return: 0, or -1 after a message.
 */
int svg_from_dot(const char *text, size_t len)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	if (pipe(fds))
		goto failed;
	pid = fork();
	if (pid < 0)
		goto failed;
	if (!pid) {
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("dot", "dot", "-Tsvg", NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}

	close(fds[0]);
	for (; len; text += n, len -= n) {
		n = write(fds[1], text, len);
		if (n < 0)
			break;
	}
	close(fds[1]);
	if (waitpid(pid, &status, 0) < 0)
		goto failed;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		complain("--svg needs graphviz: install the package graphviz, or use --dot");
		return -1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		complain("graphviz failed; try --dot to see what it was given");
		return -1;
	}

	return 0;

failed:
	complain("graphviz cannot be started: %s", strerror(errno));
	return -1;
}
