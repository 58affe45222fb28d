/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Peer-to-peer DMA between PCI devices: asking, and allocating memory.
 *
 * /dev/pci-p2pdma answers, for any two PCI functions, whether and how the one
 * (the client) can read and write memory behind a BAR of the other (the
 * provider).  It is readable by everybody, changes nothing and needs no
 * privilege.
 *
 * /dev/p2pmem/ADDRESS, where ADDRESS is that of a provider in the form of
 * 0000:03:00.0, allocates memory of that provider.  Who may do so is up to the
 * mode, group and ACL of the file.
 */
#ifndef _UAPI_LINUX_PCI_P2PDMA_H
#define _UAPI_LINUX_PCI_P2PDMA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum pci_p2pdma_reason - what a verdict rests on
 * @PCI_P2PDMA_SAME_FUNCTION: client and provider are one function
 * @PCI_P2PDMA_SAME_DEVICE: two functions of one device
 * @PCI_P2PDMA_COMMON_SEGMENT: both are on, or below, one conventional PCI bus
 * @PCI_P2PDMA_COMMON_SWITCH: a switch above both connects them
 * @PCI_P2PDMA_DIRECT_TRANSLATED: requests that the client has translated (ATS)
 *	are routed directly although others are redirected
 * @PCI_P2PDMA_CPU_FORWARDS: through root complexes of a CPU that forwards
 * @PCI_P2PDMA_HOST_FORWARDS: through root complexes known to forward
 * @PCI_P2PDMA_HYPERVISOR_SAYS: the hypervisor vouches for this pair
 * @PCI_P2PDMA_ADMIN_SAYS: the administrator overrides what the kernel knows
 * @PCI_P2PDMA_NO_PCI_CLIENT: the client is not connected through PCI
 * @PCI_P2PDMA_PORT_UNREADABLE: a device or port that decides does not answer
 * @PCI_P2PDMA_ACS_VIOLATION: access control of a port forbids the request
 * @PCI_P2PDMA_NOT_SENT_UP: a port on the way to the root complex does not pass
 *	redirected traffic on
 * @PCI_P2PDMA_HOST_NOT_LISTED: nothing says that the root complex forwards
 * @PCI_P2PDMA_HOST_BRIDGES_APART: it forwards, but not between host bridges
 */
enum pci_p2pdma_reason {
	PCI_P2PDMA_SAME_FUNCTION,
	PCI_P2PDMA_SAME_DEVICE,
	PCI_P2PDMA_COMMON_SEGMENT,
	PCI_P2PDMA_COMMON_SWITCH,
	PCI_P2PDMA_DIRECT_TRANSLATED,
	PCI_P2PDMA_CPU_FORWARDS,
	PCI_P2PDMA_HOST_FORWARDS,
	PCI_P2PDMA_HYPERVISOR_SAYS,
	PCI_P2PDMA_ADMIN_SAYS,
	PCI_P2PDMA_NO_PCI_CLIENT,
	PCI_P2PDMA_PORT_UNREADABLE,
	PCI_P2PDMA_ACS_VIOLATION,
	PCI_P2PDMA_NOT_SENT_UP,
	PCI_P2PDMA_HOST_NOT_LISTED,
	PCI_P2PDMA_HOST_BRIDGES_APART,
};

/* How the client reaches the provider: struct pci_p2pdma_query.type */
#define PCI_P2PDMA_ROUTE_NONE		0	/* it does not */
#define PCI_P2PDMA_ROUTE_DIRECT		1	/* without the root complex */
#define PCI_P2PDMA_ROUTE_HOST		2	/* through the root complex */

/* Flags of a verdict: struct pci_p2pdma_query.verdict */
#define PCI_P2PDMA_VERDICT_OVERRIDE	(1U << 0)  /* rests on an override */
#define PCI_P2PDMA_VERDICT_PROVIDES	(1U << 1)  /* peers may map its BARs */
#define PCI_P2PDMA_VERDICT_PUBLISHED	(1U << 2)  /* ... that others may use */

/**
 * struct pci_p2pdma_function - address of a PCI function
 * @domain: PCI domain (segment)
 * @bus: bus number
 * @devfn: device number in bits 7:3, function number in bits 2:0
 * @present: in a question zero; in an answer 1, or zero if there is no such
 *	function, as for a port that had no say
 * @reserved: zero
 */
struct pci_p2pdma_function {
	__u32 domain;
	__u8 bus;
	__u8 devfn;
	__u8 present;
	__u8 reserved;
};

/**
 * struct pci_p2pdma_query - question and answer of PCI_P2PDMA_IOC_QUERY
 * @size: in: size of this structure, as the caller knows it
 * @flags: in: zero
 * @provider: in: function whose memory is to be reached
 * @client: in: function that is to reach it
 * @type: out: PCI_P2PDMA_ROUTE_*
 * @reason: out: &enum pci_p2pdma_reason
 * @distance: out: number of links up from both to where their paths meet
 * @verdict: out: PCI_P2PDMA_VERDICT_*
 * @request_port: out: port that redirects or blocks the client's requests
 * @completion_port: out: port that redirects the provider's completions
 * @up_port: out: port that does not send redirected traffic up
 *
 * Errors: EINVAL for a size below that of the first version, or flags or
 * reserved fields that are not zero; E2BIG for a larger structure whose
 * unknown part is not zero, or beyond a page; ENODEV if a function does not
 * exist.
 */
struct pci_p2pdma_query {
	__u32 size;
	__u32 flags;
	struct pci_p2pdma_function provider;
	struct pci_p2pdma_function client;
	__u32 type;
	__u32 reason;
	__u32 distance;
	__u32 verdict;
	struct pci_p2pdma_function request_port;
	struct pci_p2pdma_function completion_port;
	struct pci_p2pdma_function up_port;
};

/* Size of the first version of struct pci_p2pdma_query */
#define PCI_P2PDMA_QUERY_SIZE_VER0	64

#define PCI_P2PDMA_IOC_QUERY	_IO(0xBD, 0x00)

/**
 * struct pci_p2pdma_alloc - request of PCI_P2PDMA_IOC_ALLOC
 * @size: in: size of this structure, as the caller knows it
 * @fd_flags: in: O_CLOEXEC, and O_RDONLY, O_WRONLY or O_RDWR
 * @length: in: number of bytes, rounded up to whole pages
 * @flags: in: zero
 * @reserved: in: zero
 *
 * The ioctl returns a file descriptor: a dma-buf, whose memory is that of the
 * provider.  It can be mapped (MAP_SHARED), sent to another process, and given
 * to drivers that import such buffers; a driver whose device cannot reach the
 * provider gets EREMOTEIO when it attaches.  The memory returns to the provider
 * when the last descriptor, mapping and import is gone.  It holds zeros at first,
 * unless the caller has CAP_SYS_RAWIO or the administrator has decided otherwise
 * (pci_p2pdma.zero=).
 *
 * When the provider is removed, or its driver unbound, the memory is taken away:
 * touching a mapping gives SIGBUS, I/O that uses it EFAULT.
 *
 * Errors: EINVAL for a size below that of the first version, a length of zero or
 * beyond all address spaces, or flags that are not known; E2BIG for a larger
 * structure whose unknown part is not zero, or beyond a page; EACCES if the node
 * is not open for what the descriptor is to be open for, reading or writing;
 * ENOMEM if that many pages are not free; ENODEV if the provider has been removed;
 * EINTR if the caller was killed while zeros were written; EMFILE.
 */
struct pci_p2pdma_alloc {
	__u32 size;
	__u32 fd_flags;
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

/* Size of the first version of struct pci_p2pdma_alloc */
#define PCI_P2PDMA_ALLOC_SIZE_VER0	24

#define PCI_P2PDMA_IOC_ALLOC	_IO(0xBD, 0x01)

#endif /* _UAPI_LINUX_PCI_P2PDMA_H */
