// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer memory in scatterlists (kernel/dma/p2pdma.c,
 * dma-direct, dma-iommu.c), on a fabric that is not PCI (p2pdma_fabric.h).
 *
 * A list is written down as a table of segments; what must come out of mapping
 * it follows from the type that the fabric says for each provider.  Behind the
 * mock IOMMU every page of the list is looked up under the address that the
 * device was given, with its protection.  After unmapping, or an error, the list
 * must be what it was, and the IOMMU's table empty.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

#include "../pci_kunit.h"
#include "p2pdma_fabric.h"

#define OFFSET		(SZ_2G + SZ_64K)
#define RAM		(-1)
#define LONG_LIST	700

/**
 * struct segment - a segment of a list
 * @provider: number of the provider, or RAM
 * @page: first page of the provider's memory, or of the RAM of the list
 * @offset: in the page
 * @length: in bytes
 */
struct segment {
	int		provider;
	unsigned int	page;
	unsigned int	offset;
	unsigned int	length;
};

/**
 * struct list - a scatterlist and what it was made of
 * @fabric: where the providers are
 * @dev: the client
 * @client: its number
 * @segment: the segments
 * @nr: their number
 * @ram: ordinary memory
 * @dir: direction of the DMA
 * @sgt: the scatterlist
 */
struct list {
	struct fabric		*fabric;
	struct device		*dev;
	unsigned int		client;
	const struct segment	*segment;
	unsigned int		nr;
	struct page		*ram;
	enum dma_data_direction	dir;
	struct sg_table		sgt;
};

#define RAM_ORDER	4

static void free_ram(void *data)
{
	__free_pages(data, RAM_ORDER);
}

static void free_table(void *data)
{
	sg_free_table(data);
}

static struct page *segment_page(struct list *list, const struct segment *seg)
{
	if (seg->provider == RAM)
		return list->ram + seg->page;

	return fabric_page(list->fabric, seg->provider, seg->page);
}

static struct list *list_create(struct kunit *test, struct fabric *fabric,
				unsigned int client,
				const struct segment *segment, unsigned int nr)
{
	struct list *list = kunit_kzalloc(test, sizeof(*list), GFP_KERNEL);
	struct scatterlist *sg;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, list);
	list->fabric = fabric;
	list->client = client;
	list->dev = fabric_client(fabric, client);
	list->dir = DMA_BIDIRECTIONAL;
	list->segment = segment;
	list->nr = nr;
	list->ram = alloc_pages(GFP_KERNEL | __GFP_ZERO, RAM_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, list->ram);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_ram,
							list->ram), 0);
	KUNIT_ASSERT_EQ(test, sg_alloc_table(&list->sgt, nr, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_table,
							&list->sgt), 0);
	for_each_sgtable_sg(&list->sgt, sg, i)
		sg_set_page(sg, segment_page(list, &segment[i]),
			    segment[i].length, segment[i].offset);

	return list;
}

static enum pci_p2pdma_map_type segment_type(struct list *list,
					     const struct segment *seg)
{
	if (seg->provider == RAM)
		return PCI_P2PDMA_MAP_NONE;

	return list->fabric->provider[seg->provider].type[list->client];
}

/* What the device reaches at @addr is @phys, mapped as its kind must be */
static void expect_translation(struct kunit *test, struct list *list,
			       unsigned int i, dma_addr_t addr,
			       phys_addr_t phys, bool mmio)
{
	struct fabric_pte pte;

	if (!list->dev->dma_iommu) {
		KUNIT_EXPECT_EQ_MSG(test, addr, phys, "segment %u", i);
		return;
	}

	pte = fabric_iommu_lookup(list->dev, addr);
	KUNIT_EXPECT_EQ_MSG(test, pte.phys + offset_in_page(addr), phys,
			    "segment %u at %pad", i, &addr);
	KUNIT_EXPECT_EQ_MSG(test, !!(pte.prot & IOMMU_MMIO), mmio,
			    "segment %u", i);
	KUNIT_EXPECT_EQ_MSG(test, !!(pte.prot & IOMMU_CACHE), !mmio,
			    "segment %u", i);
	KUNIT_EXPECT_EQ_MSG(test, pte.prot & (IOMMU_READ | IOMMU_WRITE),
			    list->dir == DMA_TO_DEVICE ?
			    IOMMU_READ : IOMMU_READ | IOMMU_WRITE,
			    "segment %u", i);
}

/*
 * Walk the segments and what was made of them side by side: the device must
 * find each byte of the list in its place.
 */
static void expect_mapped(struct kunit *test, struct list *list)
{
	struct scatterlist *sg = list->sgt.sgl;
	unsigned int i, done, pos = 0, left = list->sgt.nents;
	const struct segment *seg;
	phys_addr_t phys;

	for (i = 0; i < list->nr; i++) {
		seg = &list->segment[i];
		phys = page_to_phys(segment_page(list, seg)) + seg->offset;
		KUNIT_ASSERT_GT_MSG(test, left, 0, "segment %u", i);

		if (segment_type(list, seg) == PCI_P2PDMA_MAP_BUS_ADDR) {
			KUNIT_EXPECT_EQ(test, pos, 0);
			KUNIT_EXPECT_TRUE_MSG(test, sg_dma_is_bus_address(sg),
					      "segment %u", i);
			KUNIT_EXPECT_EQ_MSG(test, sg_dma_address(sg), phys +
				list->fabric->provider[seg->provider].mem.bus_offset,
				"segment %u", i);
			KUNIT_ASSERT_EQ_MSG(test, sg_dma_len(sg), seg->length,
					    "segment %u", i);
			pos = seg->length;
		} else {
			KUNIT_EXPECT_FALSE_MSG(test, sg_dma_is_bus_address(sg),
					       "segment %u", i);
			for (done = 0; done < seg->length;
			     done += min_t(unsigned int, seg->length - done,
					   PAGE_SIZE - offset_in_page(phys + done)))
				expect_translation(test, list, i,
						   sg_dma_address(sg) + pos + done,
						   phys + done,
						   seg->provider != RAM);
			pos += seg->length;
			KUNIT_ASSERT_LE_MSG(test, pos, sg_dma_len(sg),
					    "segment %u", i);
		}

		if (pos == sg_dma_len(sg)) {
			sg = sg_next(sg);
			left--;
			pos = 0;
		}
	}
	KUNIT_EXPECT_EQ(test, left, 0);
}

/* Nothing is mapped, and the list is what it was */
static void expect_unmapped(struct kunit *test, struct list *list)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(&list->sgt, sg, i) {
		KUNIT_EXPECT_FALSE_MSG(test, sg_dma_is_bus_address(sg),
				       "segment %u", i);
		KUNIT_EXPECT_PTR_EQ_MSG(test, sg_page(sg),
					segment_page(list, &list->segment[i]),
					"segment %u", i);
		KUNIT_EXPECT_EQ_MSG(test, sg->offset, list->segment[i].offset,
				    "segment %u", i);
		KUNIT_EXPECT_EQ_MSG(test, sg->length, list->segment[i].length,
				    "segment %u", i);
	}
	if (list->dev->dma_iommu)
		KUNIT_EXPECT_EQ(test, fabric_iommu_mapped(list->dev), 0);
}

static int map_list(struct list *list)
{
	return dma_map_sgtable(list->dev, &list->sgt, list->dir, 0);
}

static void expect_maps(struct kunit *test, struct list *list)
{
	KUNIT_ASSERT_EQ(test, map_list(list), 0);
	expect_mapped(test, list);
	dma_unmap_sgtable(list->dev, &list->sgt, list->dir, 0);
	expect_unmapped(test, list);
}

static void expect_refuses(struct kunit *test, struct list *list)
{
	KUNIT_EXPECT_EQ(test, map_list(list), -EREMOTEIO);
	expect_unmapped(test, list);
}

/* Every combination --------------------------------------------------------- */

#define BUS	PCI_P2PDMA_MAP_BUS_ADDR
#define HOST	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE
#define NEVER	PCI_P2PDMA_MAP_NOT_SUPPORTED

static const struct segment one[] = {
	{ 0, 3, 0, SZ_4K },
};

static const struct segment many[] = {
	{ 0, 0, 0, SZ_64K }, { 0, 16, 0, SZ_4K }, { 0, 100, 512, 1024 },
	{ 0, 17, 0, SZ_8K }, { 0, 40, 4000, 96 + SZ_4K }, { 0, 511, 0, SZ_4K },
	{ 0, 20, 4092, 4 }, { 0, 3, 0, SZ_16K },
};

static const struct segment mixed[] = {
	{ RAM, 0, 0, SZ_4K }, { 0, 7, 0, SZ_4K }, { RAM, 3, 1024, 512 },
	{ 0, 8, 0, SZ_4K }, { 0, 9, 100, 200 }, { RAM, 4, 0, SZ_8K },
	{ RAM, 6, 0, SZ_4K }, { 0, 12, 0, SZ_32K },
};

static const struct segment mixed_first[] = {
	{ 0, 12, 2048, 2048 }, { RAM, 0, 0, SZ_4K }, { 0, 13, 0, 512 },
};

/* The second provider is reached, and not as the first one is */
static const struct segment several[] = {
	{ 1, 0, 0, SZ_4K }, { 0, 511, 0, SZ_4K }, { 1, 0, 0, SZ_8K },
	{ RAM, 2, 512, SZ_4K }, { 2, 5, 0, SZ_4K }, { 0, 6, 0, SZ_4K },
	{ 1, 511, 0, SZ_4K }, { 2, 0, 0, SZ_4K }, { RAM, 9, 0, 512 },
	{ 1, 2, 512, 512 },
};

static const struct shape {
	const char		*name;
	const struct segment	*segment;
	unsigned int		nr;
} shapes[] = {
	{ "one", one, ARRAY_SIZE(one) },
	{ "many", many, ARRAY_SIZE(many) },
	{ "mixed", mixed, ARRAY_SIZE(mixed) },
	{ "mixed, peer-to-peer first", mixed_first, ARRAY_SIZE(mixed_first) },
	{ "several providers", several, ARRAY_SIZE(several) },
};

static const struct {
	enum pci_p2pdma_map_type	type;
	const char			*name;
} types[] = {
	{ BUS, "bus address" }, { HOST, "through the host" },
	{ NEVER, "unreachable" },
};

struct combination {
	unsigned int	number;
	bool		iommu;
	unsigned int	type;
	unsigned int	shape;
	u64		offset;
};

#define COMBINATIONS	(2 * ARRAY_SIZE(types) * ARRAY_SIZE(shapes) * 2)

static struct combination combinations[COMBINATIONS];

static const void *combination_gen_params(const void *prev, char *desc)
{
	const struct combination *last = prev;
	unsigned int n = last ? last->number + 1 : 0, i = n;
	struct combination *c = &combinations[n];

	if (n == COMBINATIONS)
		return NULL;

	c->number = n;
	c->iommu = i % 2;
	i /= 2;
	c->type = i % ARRAY_SIZE(types);
	i /= ARRAY_SIZE(types);
	c->offset = i % 2 ? OFFSET : 0;
	c->shape = i / 2;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, %s, %s, offset %#llx",
		 c->iommu ? "IOMMU" : "direct", types[c->type].name,
		 shapes[c->shape].name, c->offset);
	return c;
}

static void every_combination(struct kunit *test)
{
	const struct combination *c = test->param_value;
	const struct shape *shape = &shapes[c->shape];
	struct fabric *fabric = fabric_create(test, c->iommu ? FABRIC_IOMMU : 0,
					      c->offset);
	enum pci_p2pdma_map_type type = types[c->type].type;
	struct list *list;
	unsigned int i;

	fabric_set(fabric, 0, 0, type);
	fabric_set(fabric, 1, 0, type == BUS ? HOST : BUS);
	fabric_set(fabric, 2, 0, HOST);
	/* That another client reaches it does not matter */
	fabric_set(fabric, 0, 1, type == BUS ? NEVER : BUS);

	list = list_create(test, fabric, 0, shape->segment, shape->nr);
	/* Twice: what mapping leaves behind must not matter */
	for (i = 0; i < 2; i++) {
		if (type == NEVER)
			expect_refuses(test, list);
		else
			expect_maps(test, list);
	}
}

/* Long lists in chained tables, of everything by chance */
static void long_list(struct kunit *test, unsigned int flags)
{
	struct fabric *fabric = fabric_create(test, flags, OFFSET);
	struct segment *segment;
	struct rnd_state rnd;
	struct list *list;
	unsigned int i;

	segment = kunit_kcalloc(test, LONG_LIST, sizeof(*segment), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, segment);
	prandom_seed_state(&rnd, 5);
	for (i = 0; i < LONG_LIST; i++) {
		/* Runs as well as changes */
		if (i && prandom_u32_state(&rnd) % 2)
			segment[i].provider = segment[i - 1].provider;
		else
			segment[i].provider = (int)(prandom_u32_state(&rnd) % 4) - 1;
		segment[i].page = prandom_u32_state(&rnd) % 14;
		segment[i].offset = prandom_u32_state(&rnd) % 8 * 512;
		segment[i].length = prandom_u32_state(&rnd) % 8 * 512 + 512;
	}

	fabric_set(fabric, 0, 0, BUS);
	fabric_set(fabric, 1, 0, HOST);
	fabric_set(fabric, 2, 0, BUS);
	list = list_create(test, fabric, 0, segment, LONG_LIST);
	/* The same ordinary memory occurs several times */
	list->dir = DMA_TO_DEVICE;
	expect_maps(test, list);
	expect_maps(test, list);

	fabric_set(fabric, 2, 0, NEVER);
	expect_refuses(test, list);
}

static void long_lists(struct kunit *test)
{
	long_list(test, 0);
}

static void long_lists_iommu(struct kunit *test)
{
	long_list(test, FABRIC_IOMMU);
}

/* Only a part of the table is mapped: what follows is not looked at */
static void part_of_a_table(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct list part;

	fabric_set(fabric, 0, 0, BUS);
	part = *list_create(test, fabric, 0, several, ARRAY_SIZE(several));
	part.segment = several + 1;
	part.nr = 1;
	part.sgt.sgl = sg_next(part.sgt.sgl);
	part.sgt.orig_nents = 1;
	expect_maps(test, &part);
	part.nr = 2;
	part.sgt.orig_nents = 2;
	expect_refuses(test, &part);
}

/* Errors in the middle ------------------------------------------------------ */

/* The last provider is not reached: at each place of a list of everything */
static void error_at_each_place(struct kunit *test, unsigned int flags)
{
	static const struct segment template[] = {
		{ 0, 1, 0, SZ_4K }, { 1, 2, 512, 1024 }, { RAM, 3, 1024, 512 },
		{ 1, 8, 512, SZ_8K }, { RAM, 5, 256, SZ_4K }, { 0, 6, 0, 512 },
	};
	struct fabric *fabric = fabric_create(test, flags, OFFSET);
	struct segment *segment;
	struct scatterlist *sg;
	unsigned int i, place;
	struct list *list;

	fabric_set(fabric, 0, 0, BUS);
	fabric_set(fabric, 1, 0, HOST);
	for (place = 0; place < ARRAY_SIZE(template); place++) {
		segment = kunit_kmalloc(test, sizeof(template), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, segment);
		memcpy(segment, template, sizeof(template));
		segment[place].provider = 2;
		list = list_create(test, fabric, 0, segment, ARRAY_SIZE(template));

		/* What an earlier mapping leaves in the list must not matter */
		fabric_set(fabric, 2, 0, HOST);
		expect_maps(test, list);
		for_each_sgtable_sg(&list->sgt, sg, i) {
			sg_dma_address(sg) = 0x1230 + i;
			sg_dma_len(sg) = 77 + i;
		}

		fabric_set(fabric, 2, 0, NEVER);
		expect_refuses(test, list);
		fabric_set(fabric, 2, 0, BUS);
		expect_maps(test, list);
	}
}

static void errors_in_the_middle(struct kunit *test)
{
	error_at_each_place(test, 0);
}

static void errors_in_the_middle_iommu(struct kunit *test)
{
	error_at_each_place(test, FABRIC_IOMMU);
}

/* The IOMMU driver fails after so many runs */
static void iommu_fails(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, FABRIC_IOMMU, OFFSET);
	unsigned int calls;
	struct list *list;

	fabric_set(fabric, 0, 0, BUS);
	fabric_set(fabric, 1, 0, HOST);
	fabric_set(fabric, 2, 0, HOST);
	list = list_create(test, fabric, 0, several, ARRAY_SIZE(several));

	for (calls = 0; calls < 5; calls++) {
		fabric_iommu_fail_after(list->dev, calls);
		KUNIT_EXPECT_EQ(test, map_list(list), -ENOMEM);
		expect_unmapped(test, list);
	}
	fabric_iommu_fail_after(list->dev, UINT_MAX);
	expect_maps(test, list);
}

/*
 * A segment with a bus address lies in physical memory where the segment before
 * it, which the IOMMU maps, ends.
 */
static void neighbours(struct kunit *test)
{
	static const struct segment last[] = {
		{ 0, 511, 0, SZ_4K }, { 1, 0, 0, SZ_4K },
	};
	static const struct segment between[] = {
		{ 0, 511, 0, SZ_4K }, { 1, 0, 0, FABRIC_BYTES },
		{ 2, 0, 0, SZ_4K },
	};
	struct fabric *fabric = fabric_create(test, FABRIC_IOMMU, 0);
	struct list *list;

	fabric_set(fabric, 0, 0, HOST);
	fabric_set(fabric, 1, 0, BUS);
	fabric_set(fabric, 2, 0, HOST);
	list = list_create(test, fabric, 0, last, ARRAY_SIZE(last));
	expect_maps(test, list);
	list = list_create(test, fabric, 0, between, ARRAY_SIZE(between));
	expect_maps(test, list);
}

/* Verdicts ------------------------------------------------------------------ */

static void verdicts_are_kept(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct fabric_provider *provider = &fabric->provider[0];
	struct list *list, *other;
	unsigned int i;

	list = list_create(test, fabric, 0, one, ARRAY_SIZE(one));
	other = list_create(test, fabric, 1, one, ARRAY_SIZE(one));
	fabric_set(fabric, 0, 0, BUS);
	fabric_set(fabric, 0, 1, HOST);
	provider->asked = 0;
	/* Not by turns: one may be kept in the other's place */
	for (i = 0; i < 3; i++)
		expect_maps(test, list);
	for (i = 0; i < 3; i++)
		expect_maps(test, other);
	KUNIT_EXPECT_EQ(test, provider->asked, 2);

	/* A change counts at once; for the other it is asked again */
	fabric_set(fabric, 0, 0, HOST);
	for (i = 0; i < 3; i++)
		expect_maps(test, list);
	for (i = 0; i < 3; i++)
		expect_maps(test, other);
	KUNIT_EXPECT_EQ(test, provider->asked, 4);

	/* A refusal is not kept */
	fabric_set(fabric, 0, 0, NEVER);
	for (i = 0; i < 3; i++)
		expect_refuses(test, list);
	KUNIT_EXPECT_EQ(test, provider->asked, 7);
	provider->type[0] = BUS;
	expect_maps(test, list);

	/* What the bus should not say is as good as one */
	fabric_set(fabric, 0, 0, PCI_P2PDMA_MAP_NONE);
	KUNIT_EXPECT_EQ(test, map_list(list), -EREMOTEIO);
	fabric_set(fabric, 0, 0, PCI_P2PDMA_MAP_UNKNOWN);
	KUNIT_EXPECT_EQ(test, map_list(list), -EREMOTEIO);
}

/* Limits of the client ------------------------------------------------------ */

/* The mask applies to the address that the client is given */
static void masks(struct kunit *test)
{
	static const struct segment ends[] = {
		{ 0, 0, 0, SZ_4K }, { 0, 511, 0, SZ_4K },
	};
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	u64 start = fabric->provider[0].mem.range.start, bus = start + OFFSET;
	struct list *list;

	list = list_create(test, fabric, 0, ends, ARRAY_SIZE(ends));
	fabric_set(fabric, 0, 0, BUS);
	*list->dev->dma_mask = bus + FABRIC_BYTES - 1;
	expect_maps(test, list);
	*list->dev->dma_mask = bus + FABRIC_BYTES - 2;
	expect_refuses(test, list);
	*list->dev->dma_mask = DMA_BIT_MASK(32);
	expect_refuses(test, list);

	fabric_set(fabric, 0, 0, HOST);
	expect_refuses(test, list);
	*list->dev->dma_mask = start + FABRIC_BYTES - 1;
	expect_maps(test, list);
	*list->dev->dma_mask = start + FABRIC_BYTES - 2;
	expect_refuses(test, list);

	/* So does the limit of the bus that the client is on */
	*list->dev->dma_mask = DMA_BIT_MASK(64);
	list->dev->bus_dma_limit = start + FABRIC_BYTES - 1;
	expect_maps(test, list);
	list->dev->bus_dma_limit = start + FABRIC_BYTES - 2;
	expect_refuses(test, list);
	fabric_set(fabric, 0, 0, BUS);
	expect_refuses(test, list);
	list->dev->bus_dma_limit = bus + FABRIC_BYTES - 1;
	expect_maps(test, list);
	list->dev->bus_dma_limit = 0;
}

/* A single segment without an offset has a path of its own */
static void mask_of_one(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	u64 end = page_to_phys(fabric_page(fabric, 0, one[0].page)) + SZ_4K;
	struct list *list;

	list = list_create(test, fabric, 0, one, ARRAY_SIZE(one));
	fabric_set(fabric, 0, 0, BUS);
	*list->dev->dma_mask = end;
	expect_maps(test, list);
	*list->dev->dma_mask = end - 1;
	expect_maps(test, list);
	*list->dev->dma_mask = end - 2;
	expect_refuses(test, list);
	*list->dev->dma_mask = DMA_BIT_MASK(64);
	list->dev->bus_dma_limit = end - 2;
	expect_refuses(test, list);
	list->dev->bus_dma_limit = 0;
	expect_maps(test, list);
}

/* The offset brings memory into the reach of a client with a narrow mask */
static void mask_below_an_offset(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, 0);
	struct fabric_provider *provider = &fabric->provider[0];
	struct list *list;

	fabric_unregister(provider);
	provider->mem.bus_offset = SZ_1M - provider->mem.range.start;
	KUNIT_ASSERT_EQ(test, p2pdma_provider_register(&provider->mem), 0);
	provider->registered = true;

	list = list_create(test, fabric, 0, many, ARRAY_SIZE(many));
	*list->dev->dma_mask = DMA_BIT_MASK(32);
	fabric_set(fabric, 0, 0, BUS);
	expect_maps(test, list);
	fabric_set(fabric, 0, 0, HOST);
	expect_refuses(test, list);
}

/* Behind an IOMMU it applies to what the IOMMU does not translate */
static void masks_iommu(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, FABRIC_IOMMU, OFFSET);
	struct list *list;

	list = list_create(test, fabric, 0, mixed, ARRAY_SIZE(mixed));
	*list->dev->dma_mask = DMA_BIT_MASK(32);
	fabric_set(fabric, 0, 0, HOST);
	expect_maps(test, list);
	fabric_set(fabric, 0, 0, BUS);
	expect_refuses(test, list);
	*list->dev->dma_mask = DMA_BIT_MASK(64);
	expect_maps(test, list);
}

/* A segment must not come to lie across a boundary by its translation */
static void check_boundary(struct kunit *test, unsigned int flags)
{
	/* The offset is 64 KiB more than a multiple: boundaries are 16 pages off */
	static const struct segment across[] = { { 0, 239, 0, SZ_8K } };
	static const struct segment before[] = { { 0, 239, 0, SZ_4K } };
	static const struct segment after[] = { { 0, 240, 0, SZ_8K } };
	/* Across one to begin with: the caller does not care */
	static const struct segment careless[] = { { 0, 239, 0, SZ_1M } };
	struct fabric *fabric = fabric_create(test, flags, OFFSET);
	struct list *list;

	fabric_set(fabric, 0, 0, BUS);
	dma_set_seg_boundary(fabric_client(fabric, 0), SZ_1M - 1);

	list = list_create(test, fabric, 0, across, 1);
	expect_refuses(test, list);
	list = list_create(test, fabric, 0, before, 1);
	expect_maps(test, list);
	list = list_create(test, fabric, 0, after, 1);
	expect_maps(test, list);

	/* This one DMA API debugging would report, whatever the memory */
	if (IS_ENABLED(CONFIG_DMA_API_DEBUG_SG))
		return;
	list = list_create(test, fabric, 0, careless, 1);
	expect_maps(test, list);
}

static void boundaries(struct kunit *test)
{
	check_boundary(test, 0);
}

static void boundaries_iommu(struct kunit *test)
{
	check_boundary(test, FABRIC_IOMMU);
}

/* Memory that is in reach in part only */
static void check_windows(struct kunit *test, unsigned int flags)
{
	static const struct segment inside[] = {
		{ 0, 0, 0, SZ_4K }, { 0, 255, 0, SZ_4K }, { RAM, 0, 0, SZ_4K },
		{ 1, 511, 0, SZ_4K },
	};
	static const struct segment outside[] = {
		{ 0, 0, 0, SZ_4K }, { RAM, 0, 0, SZ_4K }, { 0, 256, 0, 512 },
	};
	static const struct segment half[] = { { 0, 255, 512, SZ_4K } };
	static const enum pci_p2pdma_map_type reached[] = { BUS, HOST };
	struct fabric *fabric = fabric_create(test, flags | FABRIC_WINDOW,
					      OFFSET);
	struct list *list;
	unsigned int i;

	fabric->provider[0].window_end = SZ_1M;
	for (i = 0; i < ARRAY_SIZE(reached); i++) {
		fabric_set_all(fabric, reached[i]);
		list = list_create(test, fabric, 0, inside, ARRAY_SIZE(inside));
		expect_maps(test, list);
		list = list_create(test, fabric, 0, outside, ARRAY_SIZE(outside));
		expect_refuses(test, list);
		list = list_create(test, fabric, 0, half, ARRAY_SIZE(half));
		expect_refuses(test, list);
	}
}

static void windows(struct kunit *test)
{
	check_windows(test, 0);
}

static void windows_iommu(struct kunit *test)
{
	check_windows(test, FABRIC_IOMMU);
}

/* Bounce buffers ------------------------------------------------------------ */

/* All DMA through the host must be bounced, which cannot be done with MMIO */
static void is_not_bounced(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct io_tlb_mem *mem;
	struct list *list;

	list = list_create(test, fabric, 0, many, ARRAY_SIZE(many));
	mem = fabric_use_bounce_buffers(test, list->dev);
	mem->force_bounce = true;

	fabric_set(fabric, 0, 0, HOST);
	expect_refuses(test, list);
	/* What does not go through the host does not concern it */
	fabric_set(fabric, 0, 0, BUS);
	expect_maps(test, list);
	mem->force_bounce = false;
	fabric_set(fabric, 0, 0, HOST);
	expect_maps(test, list);
}

/* Ordinary memory between that cannot be mapped: it is bounced, to nowhere */
static void ram_cannot_be_mapped(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	struct io_tlb_mem *mem;
	struct list *list;

	list = list_create(test, fabric, 0, mixed_first,
			   ARRAY_SIZE(mixed_first));
	mem = fabric_use_bounce_buffers(test, list->dev);
	fabric_set(fabric, 0, 0, BUS);

	mem->force_bounce = true;
	KUNIT_EXPECT_EQ(test, map_list(list), -EIO);
	expect_unmapped(test, list);
	mem->force_bounce = false;
	expect_maps(test, list);
}

/*
 * The addresses that the client is given are those of somebody's bounce buffer
 * to the CPU.  Any access to the pool, which has no slots, is a NULL pointer
 * dereference.
 */
static void sync_leaves_it_alone(struct kunit *test)
{
	struct fabric *fabric = fabric_create(test, 0, OFFSET);
	u64 bus = fabric->provider[0].mem.range.start + OFFSET;
	struct io_tlb_mem *mem;
	struct list *list;

	list = list_create(test, fabric, 0, many, ARRAY_SIZE(many));
	mem = fabric_use_bounce_buffers(test, list->dev);
	mem->defpool.start = bus;
	mem->defpool.end = bus + FABRIC_BYTES;
	mem->nslabs = 1;
	list->dev->dma_skip_sync = false;

	fabric_set(fabric, 0, 0, BUS);
	KUNIT_ASSERT_EQ(test, map_list(list), 0);
	KUNIT_ASSERT_TRUE(test, dma_need_sync(list->dev,
					      sg_dma_address(list->sgt.sgl)));
	dma_sync_sgtable_for_cpu(list->dev, &list->sgt, DMA_BIDIRECTIONAL);
	dma_sync_sgtable_for_device(list->dev, &list->sgt, DMA_BIDIRECTIONAL);
	expect_mapped(test, list);
	dma_unmap_sgtable(list->dev, &list->sgt, DMA_BIDIRECTIONAL, 0);
	expect_unmapped(test, list);
}

/* The suite ----------------------------------------------------------------- */

static struct kunit_case map_cases[] = {
	KUNIT_CASE_PARAM(every_combination, combination_gen_params),
	KUNIT_CASE(long_lists),
	KUNIT_CASE(long_lists_iommu),
	KUNIT_CASE(part_of_a_table),
	KUNIT_CASE(errors_in_the_middle),
	KUNIT_CASE(errors_in_the_middle_iommu),
	KUNIT_CASE(iommu_fails),
	KUNIT_CASE(neighbours),
	KUNIT_CASE(verdicts_are_kept),
	KUNIT_CASE(masks),
	KUNIT_CASE(mask_of_one),
	KUNIT_CASE(mask_below_an_offset),
	KUNIT_CASE(masks_iommu),
	KUNIT_CASE(boundaries),
	KUNIT_CASE(boundaries_iommu),
	KUNIT_CASE(windows),
	KUNIT_CASE(windows_iommu),
	KUNIT_CASE(is_not_bounced),
	KUNIT_CASE(ram_cannot_be_mapped),
	KUNIT_CASE(sync_leaves_it_alone),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite map_suite = {
	.name = "p2pdma_map",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = map_cases,
};

kunit_test_suite(map_suite);

MODULE_DESCRIPTION("KUnit tests of scatterlists of peer-to-peer memory");
