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
	    TP_PROTO(const char *provider, const char *client,
		     const char *type, unsigned int distance,
		     const char *reason, const char *port),
	    TP_ARGS(provider, client, type, distance, reason, port),
	    TP_STRUCT__entry(__string(provider, provider)
			     __string(client, client)
			     __string(type, type)
			     __field(unsigned int, distance)
			     __string(reason, reason)
			     __string(port, port)),
	    TP_fast_assign(__assign_str(provider);
			   __assign_str(client);
			   __assign_str(type);
			   __entry->distance = distance;
			   __assign_str(reason);
			   __assign_str(port);),
	    TP_printk("provider=%s client=%s type=%s distance=%u reason=%s port=%s",
		      __get_str(provider), __get_str(client), __get_str(type),
		      __entry->distance, __get_str(reason), __get_str(port))
);

#endif /* _TRACE_P2PDMA_H */

#include <trace/define_trace.h>
