/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Access Control Services do to peer-to-peer traffic at one port.
 *
 * See drivers/pci/p2pdma_acs.c.  Both files use nothing but the register
 * definitions that user space has too, so that the same decision can be made
 * there from a dump of another machine.
 */
#ifndef _PCI_P2PDMA_ACS_H
#define _PCI_P2PDMA_ACS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <linux/types.h>
#endif

/* No target port can be named: conventional PCI, or a function without one */
#define P2PDMA_NO_TARGET	(-1)

/**
 * struct p2pdma_acs_port - state of the port (or function) that decides
 * @gone: its configuration space cannot be read
 * @present: it has an ACS Extended Capability
 * @cap: ACS Capability register
 * @ctrl: ACS Control register
 * @target: number of the port that the request leaves through, as the Egress
 *	Control Vector counts, or %P2PDMA_NO_TARGET
 * @vector_gone: the Egress Control Vector, or the number of the target port,
 *	cannot be read; judged only if egress control is enabled
 * @vector: the DWORD of the vector that holds the bit of @target
 */
struct p2pdma_acs_port {
	bool	gone;
	bool	present;
	__u16	cap;
	__u16	ctrl;
	int	target;
	bool	vector_gone;
	__u32	vector;
};

/**
 * enum p2pdma_acs_fate - what the port does with a TLP that is meant for a peer
 * @P2PDMA_ACS_DIRECT: routes it to the peer
 * @P2PDMA_ACS_REDIRECT: sends it up, towards the root complex
 * @P2PDMA_ACS_BLOCK: treats it as an ACS violation
 * @P2PDMA_ACS_UNKNOWN: cannot be told; nothing may rely on it
 */
enum p2pdma_acs_fate {
	P2PDMA_ACS_DIRECT,
	P2PDMA_ACS_REDIRECT,
	P2PDMA_ACS_BLOCK,
	P2PDMA_ACS_UNKNOWN,
};

unsigned int p2pdma_acs_vector_bits(__u16 cap);
enum p2pdma_acs_fate p2pdma_acs_request(const struct p2pdma_acs_port *port);
enum p2pdma_acs_fate p2pdma_acs_translated(const struct p2pdma_acs_port *port);
enum p2pdma_acs_fate p2pdma_acs_completion(const struct p2pdma_acs_port *port);

#endif /* _PCI_P2PDMA_ACS_H */
