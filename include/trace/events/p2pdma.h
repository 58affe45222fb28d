/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM p2pdma

#if !defined(_TRACE_P2PDMA_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_P2PDMA_H

#include <linux/tracepoint.h>

/*
 * A route from a client to a provider was decided.  Strings are the names that
 * drivers/pci/p2pdma_route.c gives; port is the port whose access control made
 * the decision, or "none".
 */
TRACE_EVENT(p2pdma_route,
	    TP_PROTO(const struct pci_dev *provider,
		     const struct pci_dev *client,
		     const struct pci_p2pdma_route *route),
	    TP_ARGS(provider, client, route),
	    TP_STRUCT__entry(__string(provider, pci_name(provider))
			     __string(client, pci_name(client))
			     __string(type, pci_p2pdma_type_name(route->type))
			     __field(unsigned int, distance)
			     __string(reason,
				      pci_p2pdma_reason_name(route->reason))
			     __string(port, pci_p2pdma_port_name(route))),
	    TP_fast_assign(__assign_str(provider);
			   __assign_str(client);
			   __assign_str(type);
			   __entry->distance = route->distance;
			   __assign_str(reason);
			   __assign_str(port);),
	    TP_printk("provider=%s client=%s type=%s distance=%u reason=%s port=%s",
		      __get_str(provider), __get_str(client), __get_str(type),
		      __entry->distance, __get_str(reason), __get_str(port))
);

#endif /* _TRACE_P2PDMA_H */

#include <trace/define_trace.h>
