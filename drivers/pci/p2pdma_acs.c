// SPDX-License-Identifier: GPL-2.0
/*
 * What Access Control Services do to peer-to-peer traffic at one port.
 *
 * Three pure functions from the state of a port to the fate of a TLP, one for
 * each kind of TLP that PCIe r6.x sec 6.12.3 distinguishes.  They are asked
 * only about the two ports at which the paths of the peers part:
 *
 *  - requests, with untranslated or translated addresses, are judged where
 *    they arrive, at the port on the side of the requester;
 *  - completions are judged where they arrive, at the port on the side of the
 *    completer.
 *
 * Ports further down merely forward what comes up or goes down.
 *
 * No state, no locking, no access to hardware: whoever calls has read the
 * registers.  What must never happen: an answer of "direct" that rests on a
 * register that could not be read.
 */
#include <linux/pci_regs.h>

#include "p2pdma_acs.h"

/**
 * p2pdma_acs_vector_bits - number of ports that an Egress Control Vector covers
 * @cap: ACS Capability register
 *
 * PCIe r6.x sec 7.7.11.2: an Egress Control Vector Size of 0 means 256.
 *
 * Return: 1 to 256.
 */
unsigned int p2pdma_acs_vector_bits(__u16 cap)
{
	unsigned int bits = (cap >> 8) & 0xff;

	return bits ? bits : 256;
}

/**
 * p2pdma_acs_request - fate of a request with an untranslated address
 * @port: port on the side of the requester
 *
 * Where P2P Egress Control is enabled, the vector says for each target port
 * whether peers may be reached (bit clear), else P2P Request Redirect decides
 * between a detour through the root complex and an ACS violation.
 *
 * Return: the fate of the request.
 */
enum p2pdma_acs_fate p2pdma_acs_request(const struct p2pdma_acs_port *port)
{
	enum p2pdma_acs_fate redirect = P2PDMA_ACS_DIRECT;

	if (port->gone)
		return P2PDMA_ACS_UNKNOWN;
	if (!port->present)
		return P2PDMA_ACS_DIRECT;
	if (port->ctrl & PCI_ACS_RR)
		redirect = P2PDMA_ACS_REDIRECT;
	if (!(port->ctrl & PCI_ACS_EC) || port->target == P2PDMA_NO_TARGET)
		return redirect;

	if (port->vector_gone || port->target < 0 ||
	    (unsigned int)port->target >= p2pdma_acs_vector_bits(port->cap))
		return P2PDMA_ACS_UNKNOWN;
	if (!(port->vector & (1U << (port->target % 32))))
		return P2PDMA_ACS_DIRECT;

	return redirect == P2PDMA_ACS_REDIRECT ? redirect : P2PDMA_ACS_BLOCK;
}

/**
 * p2pdma_acs_translated - fate of a request with a translated address (ATS)
 * @port: port on the side of the requester
 *
 * Translation Blocking rejects such requests before they are routed; Direct
 * Translated P2P exempts them from redirection and egress control.
 *
 * Return: the fate of the request.
 */
enum p2pdma_acs_fate p2pdma_acs_translated(const struct p2pdma_acs_port *port)
{
	if (port->gone)
		return P2PDMA_ACS_UNKNOWN;
	if (port->present && (port->ctrl & PCI_ACS_TB))
		return P2PDMA_ACS_BLOCK;
	if (port->present && (port->ctrl & PCI_ACS_DT))
		return P2PDMA_ACS_DIRECT;

	return p2pdma_acs_request(port);
}

/**
 * p2pdma_acs_completion - fate of a completion without Relaxed Ordering
 * @port: port on the side of the completer
 *
 * P2P Completion Redirect spares completions that have the Relaxed Ordering
 * attribute, but a completer sets it only where the request had it, which the
 * requester chooses request by request: a route cannot rely on it.
 *
 * Return: the fate of the completion.
 */
enum p2pdma_acs_fate p2pdma_acs_completion(const struct p2pdma_acs_port *port)
{
	if (port->gone)
		return P2PDMA_ACS_UNKNOWN;
	if (port->present && (port->ctrl & PCI_ACS_CR))
		return P2PDMA_ACS_REDIRECT;

	return P2PDMA_ACS_DIRECT;
}
