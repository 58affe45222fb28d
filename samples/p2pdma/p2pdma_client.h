/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sample client does for others: move data between its device and
 * memory that they give it.
 */
#ifndef _SAMPLES_P2PDMA_CLIENT_H
#define _SAMPLES_P2PDMA_CLIENT_H

#include <linux/dma-direction.h>
#include <linux/sizes.h>

struct device;
struct sg_table;

/* Bytes that the device holds */
#define SAMPLE_CLIENT_BYTES	SZ_2K

int sample_client_move(struct device *dev, struct sg_table *sgt,
		       enum dma_data_direction dir);

#endif /* _SAMPLES_P2PDMA_CLIENT_H */
