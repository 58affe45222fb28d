// SPDX-License-Identifier: GPL-2.0
/*
 * The ports between a client and a provider, and what to do about them.
 *
 * Remedies are complete: what is printed can be copied into a shell or a boot
 * loader's configuration as it is.  Devices in a kernel parameter are separated
 * by semicolons, which shells and GRUB take for the end of a command, so that
 * the parameter is quoted wherever it is printed.
 */
#include <stdlib.h>

#include "../../../drivers/pci/p2pdma.h"
#include "p2pctl.h"

const struct acs_bit acs_bits[7] = {
	{ PCI_ACS_SV, "SV", "source_validation" },
	{ PCI_ACS_TB, "TB", "translation_blocking" },
	{ PCI_ACS_RR, "RR", "request_redirect" },
	{ PCI_ACS_CR, "CR", "completion_redirect" },
	{ PCI_ACS_UF, "UF", "upstream_forwarding" },
	{ PCI_ACS_EC, "EC", "egress_control" },
	{ PCI_ACS_DT, "DT", "direct_translated" },
};

static unsigned int count_up(struct pci_dev *pdev)
{
	unsigned int n = 0;

	for (; pdev; pdev = pci_upstream_bridge(pdev))
		n++;

	return n;
}

/**
 * find_path - find the functions between client and provider
 * @provider: the provider
 * @client: the client
 * @path: returns them
 */
void find_path(struct pci_dev *provider, struct pci_dev *client,
	       struct path *path)
{
	unsigned int up_c = count_up(client), up_p = count_up(provider), i;
	struct pci_dev *c = client, *p = provider;
	unsigned int down;

	/* Numbers of steps below the place where both meet */
	path->up = 0;
	down = 0;
	while (c != p) {
		bool c_moves = up_c >= up_p;
		bool p_moves = up_p >= up_c;

		if (c_moves) {
			c = pci_upstream_bridge(c);
			up_c--;
			path->up++;
		}
		if (p_moves) {
			p = pci_upstream_bridge(p);
			up_p--;
			down++;
		}
	}

	path->nr = path->up + down + !!c;
	path->top = c ? (int)path->up : -1;
	path->step = must_alloc(path->nr * sizeof(*path->step));
	for (i = 0; i < path->up + !!c; i++) {
		path->step[i] = client;
		client = pci_upstream_bridge(client);
	}
	for (i = path->nr; i > path->nr - down; i--) {
		path->step[i - 1] = provider;
		provider = pci_upstream_bridge(provider);
	}
}

/**
 * read_acs - registers of Access Control Services
 * @pdev: function
 * @cap: returns the capability register
 * @ctrl: returns the control register
 *
 * Return: false if it has none or they cannot be read.
 */
bool read_acs(const struct pci_dev *pdev, u16 *cap, u16 *ctrl)
{
	u32 val;

	if (!pdev->acs_cap || pdev->gone ||
	    pci_read_config_dword(pdev, pdev->acs_cap + PCI_ACS_CAP, &val))
		return false;

	*cap = val;
	*ctrl = val >> 16;
	return true;
}

/**
 * port_decides - what a port has to do with a verdict
 * @pdev: a port or function on the path
 * @v: verdict
 *
 * Return: text, or NULL if the port does not decide.
 */
const char *port_decides(const struct pci_dev *pdev, const struct verdict *v)
{
	bool request = v->known && v->route.request_port == pdev;
	bool completion = v->known && v->route.completion_port == pdev;

	if (!request && !completion)
		return NULL;
	if (v->route.reason == PCI_P2PDMA_PORT_UNREADABLE)
		return "decides, but cannot be read";
	if (!request)
		return "redirects completions";
	if (v->route.reason == PCI_P2PDMA_ACS_VIOLATION)
		return "blocks requests";

	return "redirects requests";
}

static void add(char *text, size_t size, const char *fmt, const char *what)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, fmt, what);
}

static void open_port(const struct pci_dev *port, bool violation,
		      struct remedy *remedy)
{
	if (!*remedy->parameter)
		add(remedy->parameter, sizeof(remedy->parameter), "pci=%s=",
		    violation ? "config_acs" : "disable_acs_redir");
	else
		add(remedy->parameter, sizeof(remedy->parameter), "%s", ";");

	/* All of RR, CR and EC; after a violation, TB may be to blame as well */
	add(remedy->parameter, sizeof(remedy->parameter),
	    violation ? "x0x000x@%s" : "%s", port->name);
	add(remedy->setpci, sizeof(remedy->setpci), "setpci -s %s", port->name);
	add(remedy->setpci, sizeof(remedy->setpci), " ECAP_ACS+6.w=0:%s\n",
	    violation ? "2e" : "2c");
}

static void add_host(u32 id, char *list, size_t size)
{
	char entry[16];

	snprintf(entry, sizeof(entry), "%04x:%04x", id & 0xffff, id >> 16);
	if (strstr(list, entry))
		return;

	add(list, size, *list ? ",%s" : "%s", entry);
}

/**
 * find_remedy - find what gives a pair a route, or a better one
 * @provider: the provider
 * @client: the client
 * @v: verdict on them
 * @remedy: returns what to do; empty texts if there is nothing
 */
void find_remedy(struct pci_dev *provider, struct pci_dev *client,
		 const struct verdict *v, struct remedy *remedy)
{
	bool violation = v->route.reason == PCI_P2PDMA_ACS_VIOLATION;
	u32 id, client_id;

	memset(remedy, 0, sizeof(*remedy));
	if (!v->known || v->route.reason == PCI_P2PDMA_PORT_UNREADABLE)
		return;

	if (v->route.request_port)
		open_port(v->route.request_port, violation, remedy);
	if (v->route.completion_port)
		open_port(v->route.completion_port, violation, remedy);

	if (v->route.reason != PCI_P2PDMA_HOST_NOT_LISTED &&
	    v->route.reason != PCI_P2PDMA_HOST_BRIDGES_APART)
		return;

	/* What no device on the root bus names cannot be allowed */
	id = pci_p2pdma_host_id(provider);
	client_id = pci_p2pdma_host_id(client);
	if (PCI_POSSIBLE_ERROR(id) || PCI_POSSIBLE_ERROR(client_id))
		return;

	/* The first entry that fits counts: ours come before those there are */
	add_host(id, remedy->host_bridges, sizeof(remedy->host_bridges));
	add_host(client_id, remedy->host_bridges, sizeof(remedy->host_bridges));
	if (*machine.host_bridges && strcmp(machine.host_bridges, "none"))
		add(remedy->host_bridges, sizeof(remedy->host_bridges), ",%s",
		    machine.host_bridges);
}
