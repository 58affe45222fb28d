/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel's header has beyond the one of the same name in user space */
#ifndef _P2PCTL_SHIM_TYPES_H
#define _P2PCTL_SHIM_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#endif /* _P2PCTL_SHIM_TYPES_H */
