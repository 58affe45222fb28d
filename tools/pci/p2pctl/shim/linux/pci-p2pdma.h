/* SPDX-License-Identifier: GPL-2.0 */
#include "../../../../../include/linux/pci-p2pdma.h"
