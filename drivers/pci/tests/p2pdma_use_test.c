// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is done with the memory of a provider, by the interfaces
 * that drivers, the DMA mapping code and user space have: it is allocated, in
 * one piece and as a scatterlist; mapped by clients, to the addresses by which
 * they reach it and to none other; and mapped by processes (p2pdma_user.c).
 *
 * The devices are drawn in p2pdma_bench.c, which frees what a case holds when it
 * fails.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */
#include <kunit/test.h>

#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "../p2pdma.h"
#include "p2pdma_bench.h"
#include "p2pdma_book.h"

/* Memory -------------------------------------------------------------------- */

static void allocates_and_frees(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct vfsmount *mnt = p2p_mount(test, "sysfs");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct bench_held *a, *b;
	void *end;

	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(nic, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, 0));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SZ_4M + 1));
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(mem, SIZE_MAX));
	bench_expect_file(test, mnt, mem, "available", SZ_4M);

	a = bench_hold(test, mem, 3 * PAGE_SIZE - 5);
	b = bench_hold(test, mem, 1);
	bench_expect_file(test, mnt, mem, "size", SZ_4M);
	bench_expect_file(test, mnt, mem, "available", SZ_4M - 4 * PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, a->addr, b->addr);

	/* Bus addresses, at the begin and inside */
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, a->addr) + BUS_OFFSET,
			virt_to_phys(a->addr));
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, a->addr + 5000),
			pci_p2pmem_virt_to_bus(mem, a->addr) + 5000);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, NULL), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(nic, a->addr), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, test), 0);
	end = phys_to_virt(pci_resource_end(mem, 0) + 1);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, end), 0);
	KUNIT_EXPECT_EQ(test, pci_p2pmem_virt_to_bus(mem, end - 1),
			pci_bus_address(mem, 0) + SZ_4M - 1);

	bench_drop(test, a);
	bench_drop(test, b);
	bench_expect_file(test, mnt, mem, "available", SZ_4M);
	bench_drop(test, bench_hold(test, mem, SZ_4M));
}

/* Lists of several entries, each all of whole pages but the last */
static void expect_sgl(struct kunit *test, struct scatterlist *sgl,
		       unsigned int nr, unsigned int want_nr, u32 length)
{
	struct scatterlist *sg;
	unsigned int i, n = 0;
	u32 sum = 0;

	KUNIT_EXPECT_EQ(test, nr, want_nr);
	for_each_sg(sgl, sg, nr, i) {
		KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(sg_page(sg)));
		KUNIT_EXPECT_EQ(test, sg->offset, 0);
		KUNIT_EXPECT_GT(test, sg->length, 0);
		KUNIT_EXPECT_EQ(test, !!sg_is_last(sg), i == nr - 1);
		if (i < nr - 1)
			KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(sg->length));
		sum += sg->length;
	}
	KUNIT_EXPECT_EQ(test, sum, length);
	for (sg = sgl; sg; sg = sg_next(sg))
		n++;
	KUNIT_EXPECT_EQ(test, n, nr);
}

static void lists_of_one_piece(struct kunit *test)
{
	static const u32 lengths[] = {
		1, SZ_4K, SZ_4K + 1, SZ_128K, 3 * SZ_64K + 512, SZ_4M,
	};
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct scatterlist *sgl;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		sgl = pci_p2pmem_alloc_sgl(mem, &nr, lengths[i]);
		KUNIT_ASSERT_NOT_NULL(test, sgl);
		expect_sgl(test, sgl, nr, 1, lengths[i]);
		KUNIT_EXPECT_EQ(test, bench_available(mem),
				SZ_4M - PAGE_ALIGN(lengths[i]));
		pci_p2pmem_free_sgl(mem, sgl);
		KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
	}

	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, 0));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, SZ_4M + 1));
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(mem, &nr, U32_MAX));
	KUNIT_EXPECT_NULL(test,
			  pci_p2pmem_alloc_sgl(pci_kunit_dev(tree, "nic"), &nr,
					       SZ_4K));
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
}

/* Stock wants one contiguous piece and gives nothing */
static void lists_from_fragments(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *ssd = bench_provider(test, tree, "ssd");
	struct scatterlist *sgl, *rest;
	unsigned int nr;

	bench_fragment(test, ssd);
	KUNIT_ASSERT_EQ(test, bench_available(ssd), SZ_1M);
	KUNIT_EXPECT_NULL(test, pci_alloc_p2pmem(ssd, SZ_8K));

	sgl = pci_p2pmem_alloc_sgl(ssd, &nr, SZ_128K - 1);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	expect_sgl(test, sgl, nr, SZ_128K / PAGE_SIZE, SZ_128K - 1);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M - SZ_128K);

	/* More than is left: all that was gathered goes back */
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(ssd, &nr,
						     SZ_1M - SZ_128K + 1));
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M - SZ_128K);

	/* Exactly what is left */
	rest = pci_p2pmem_alloc_sgl(ssd, &nr, SZ_1M - SZ_128K);
	KUNIT_EXPECT_NOT_NULL(test, rest);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), 0);
	KUNIT_EXPECT_NULL(test, pci_p2pmem_alloc_sgl(ssd, &nr, 1));

	if (rest)
		pci_p2pmem_free_sgl(ssd, rest);
	pci_p2pmem_free_sgl(ssd, sgl);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M);
}

/* Entries do not span resources: each has a translation of its own */
static void lists_from_two_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = pci_kunit_bind(tree, "mem");
	struct scatterlist *sgl;
	unsigned int nr;

	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 0, 0, 0), 0);
	sgl = pci_p2pmem_alloc_sgl(mem, &nr, SZ_4M + SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, sgl);
	expect_sgl(test, sgl, nr, 2, SZ_4M + SZ_1M);
	KUNIT_EXPECT_EQ(test, sg_phys(sgl), pci_resource_start(mem, 0));
	KUNIT_EXPECT_EQ(test, sg_phys(&sgl[1]) / SZ_2M,
			pci_resource_start(mem, 2) / SZ_2M);
	pci_p2pmem_free_sgl(mem, sgl);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M + SZ_2M);
}

/* Mapping for DMA ----------------------------------------------------------- */

#define MAP_ENTRIES	4

/* A table over pieces of memory, one entry each */
static void fill_table(struct kunit *test, struct sg_table *sgt,
		       struct scatterlist *sgl, void * const *addr,
		       const unsigned int *len, unsigned int nr)
{
	unsigned int i;

	sg_init_table(sgl, nr);
	for (i = 0; i < nr; i++)
		sg_set_buf(&sgl[i], addr[i], len[i]);
	*sgt = (struct sg_table){ .sgl = sgl, .nents = nr, .orig_nents = nr };
}

static void expect_bus_address(struct kunit *test, struct scatterlist *sg,
			       struct pci_dev *provider)
{
	KUNIT_EXPECT_TRUE(test, sg_dma_is_bus_address(sg));
	KUNIT_EXPECT_EQ(test, sg_dma_address(sg),
			pci_p2pmem_virt_to_bus(provider, sg_virt(sg)));
	KUNIT_EXPECT_EQ(test, sg_dma_len(sg), sg->length);
}

static void maps_to_bus_addresses(struct kunit *test)
{
	static const u64 offsets[] = { 0, BUS_OFFSET, BUS_OFFSET };
	static const unsigned int len[MAP_ENTRIES] = {
		SZ_64K, SZ_4K, 512, SZ_8K,
	};
	struct scatterlist sgl[MAP_ENTRIES];
	struct device *nic;
	struct pci_kunit_tree *tree;
	struct bench_held *held[MAP_ENTRIES];
	void *addr[MAP_ENTRIES];
	struct pci_dev *mem, *ssd;
	struct sg_table sgt;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		tree = bench_tree_of(test, UNLISTED, offsets[i]);
		nic = &pci_kunit_bind(tree, "nic")->dev;
		/* The last one crosses no boundary that was not crossed before */
		if (i == 2)
			dma_set_seg_boundary(nic, BUS_OFFSET - 1);
		mem = bench_provider(test, tree, "mem");
		KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(mem, 2, 0, 0), 0);
		ssd = bench_provider(test, tree, "ssd");

		/* Two resources and two providers, one after the other */
		held[0] = bench_hold(test, mem, SZ_4M);
		held[1] = bench_hold(test, mem, SZ_64K);
		held[2] = bench_hold(test, ssd, SZ_4K);
		held[3] = held[0];
		for (k = 0; k < MAP_ENTRIES; k++)
			addr[k] = held[k]->addr;
		addr[2] += 1024;
		addr[3] += SZ_1M;
		fill_table(test, &sgt, sgl, addr, len, MAP_ENTRIES);

		KUNIT_ASSERT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL,
						      0), 0);
		KUNIT_EXPECT_EQ(test, sgt.nents, MAP_ENTRIES);
		expect_bus_address(test, &sgl[0], mem);
		expect_bus_address(test, &sgl[1], mem);
		expect_bus_address(test, &sgl[2], ssd);
		expect_bus_address(test, &sgl[3], mem);
		KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[0]) + offsets[i],
				pci_resource_start(mem, 0));
		KUNIT_EXPECT_EQ(test, (sg_dma_address(&sgl[1]) + offsets[i]) / SZ_2M,
				pci_resource_start(mem, 2) / SZ_2M);
		KUNIT_EXPECT_EQ(test, (sg_dma_address(&sgl[2]) + offsets[i]) / SZ_2M,
				pci_resource_start(ssd, 0) / SZ_2M);
		for (k = 0; k < MAP_ENTRIES; k++)
			KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[k]) + offsets[i],
					sg_phys(&sgl[k]));

		dma_unmap_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0);
		for (k = 0; k < MAP_ENTRIES; k++)
			KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[k]));
		for (k = 0; k < 3; k++)
			bench_drop(test, held[k]);
		pci_kunit_destroy(tree);
	}
}

/* Ordinary memory in the same list has nothing to do with it */
static void maps_along_with_ordinary_memory(struct kunit *test)
{
	static const unsigned int len[3] = { SZ_4K, SZ_4K, SZ_4K };
	struct pci_kunit_tree *tree = bench_tree(test);
	struct device *nic = &pci_kunit_bind(tree, "nic")->dev;
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct bench_held *held = bench_hold(test, mem, SZ_64K);
	void *ram = kunit_kmalloc(test, SZ_4K, GFP_KERNEL);
	void *addr[3] = { held->addr, ram, held->addr + SZ_8K };
	struct scatterlist sgl[3];
	struct sg_table sgt;

	KUNIT_ASSERT_NOT_NULL(test, ram);
	fill_table(test, &sgt, sgl, addr, len, 3);
	KUNIT_ASSERT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0), 0);
	expect_bus_address(test, &sgl[0], mem);
	KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[1]));
	KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[1]), virt_to_phys(ram));
	expect_bus_address(test, &sgl[2], mem);
	dma_unmap_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0);
}

/* Through the host the address is that of the CPU, as for ordinary memory */
static void maps_through_the_host(struct kunit *test)
{
	static const unsigned int len[2] = { SZ_4K, SZ_64K };
	struct pci_kunit_tree *tree = bench_tree_of(test, LISTED, BUS_OFFSET);
	struct device *ep = &pci_kunit_bind(tree, "ep")->dev;
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct bench_held *held = bench_hold(test, mem, SZ_128K);
	void *addr[2] = { held->addr, held->addr + SZ_64K };
	struct scatterlist sgl[2];
	struct sg_table sgt;
	unsigned int i;

	fill_table(test, &sgt, sgl, addr, len, 2);
	KUNIT_ASSERT_EQ(test, dma_map_sgtable(ep, &sgt, DMA_TO_DEVICE, 0), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[i]));
		KUNIT_EXPECT_EQ(test, sg_dma_address(&sgl[i]),
				virt_to_phys(addr[i]));
		KUNIT_EXPECT_EQ(test, sg_dma_len(&sgl[i]), len[i]);
	}
	dma_unmap_sgtable(ep, &sgt, DMA_TO_DEVICE, 0);

	/* Out of reach of a 32-bit device: refused, never copied elsewhere */
	KUNIT_ASSERT_EQ(test, dma_set_mask(ep, DMA_BIT_MASK(32)), 0);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(ep, &sgt, DMA_TO_DEVICE, 0),
			-EREMOTEIO);
}

static void refuses_to_map_what_is_not_reached(struct kunit *test)
{
	static const unsigned int len[2] = { SZ_4K, SZ_4K };
	struct pci_kunit_tree *tree = bench_tree(test);
	struct device *nic = &pci_kunit_bind(tree, "nic")->dev;
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct pci_dev *ep = bench_provider(test, tree, "ep");
	struct bench_held *near = bench_hold(test, mem, SZ_4K);
	struct bench_held *far = bench_hold(test, ep, SZ_4K);
	void *addr[2] = { near->addr, far->addr };
	struct scatterlist sgl[2];
	struct sg_table sgt;

	fill_table(test, &sgt, sgl, &addr[1], len, 1);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0),
			-EREMOTEIO);

	/* One that can be reached does not help the other */
	fill_table(test, &sgt, sgl, addr, len, 2);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(nic, &sgt, DMA_BIDIRECTIONAL, 0),
			-EREMOTEIO);
	KUNIT_EXPECT_FALSE(test, sg_dma_is_bus_address(&sgl[0]));

	/* And the own memory is always reached */
	fill_table(test, &sgt, sgl, &addr[1], len, 1);
	KUNIT_EXPECT_EQ(test, dma_map_sgtable(&ep->dev, &sgt, DMA_BIDIRECTIONAL,
					      0), 0);
	expect_bus_address(test, &sgl[0], ep);
	dma_unmap_sgtable(&ep->dev, &sgt, DMA_BIDIRECTIONAL, 0);
}

/* Memory in a process ------------------------------------------------------- */

static void mapping_holds_memory(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct file *file = bench_open_allocate(test, mem);
	unsigned long a, b;

	a = bench_map(test, file, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(a), "%ld", (long)a);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M - SZ_1M);

	/* Another mapping is other memory */
	b = bench_map(test, file, 3 * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(b));
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M - SZ_1M - 3 * PAGE_SIZE);

	/* Part of a mapping may go, and the file need not stay open */
	p2p_close(file);
	bench_unmap(a, SZ_64K);
	KUNIT_EXPECT_EQ(test, bench_available(mem),
			SZ_4M - SZ_1M + SZ_64K - 3 * PAGE_SIZE);
	bench_unmap(b, 3 * PAGE_SIZE);
	bench_unmap(a + SZ_64K, SZ_1M - SZ_64K);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);

	/* In one piece, as before */
	bench_drop(test, bench_hold(test, mem, SZ_4M));
}

static void mapped_pages_are_the_providers(struct kunit *test)
{
	enum { NR = 16 };
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct file *file = bench_open_allocate(test, mem);
	struct page *pages[NR];
	unsigned long addr;
	int i, k, nr;

	addr = bench_map(test, file, NR * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));

	/* Who is not prepared for such pages does not get them */
	nr = pin_user_pages_fast(addr, 1, FOLL_WRITE, pages);
	KUNIT_EXPECT_LT(test, nr, 0);
	if (nr > 0)
		unpin_user_pages(pages, nr);

	nr = bench_pin(addr, NR, pages);
	KUNIT_EXPECT_EQ(test, nr, NR);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, is_pci_p2pdma_page(pages[i]));
		KUNIT_EXPECT_GE(test, page_to_phys(pages[i]),
				pci_resource_start(mem, 0));
		KUNIT_EXPECT_LE(test, page_to_phys(pages[i]),
				pci_resource_end(mem, 0));
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_PTR_NE(test, pages[i], pages[k]);
	}

	/* Gone from the process, still in use by whoever pinned them */
	bench_unmap(addr, NR * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M - NR * PAGE_SIZE);
	if (nr > 0)
		unpin_user_pages(pages, nr);
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_4M);
	p2p_close(file);
}

/* Pages are as good after a process had them as before, many times */
static void mapped_again_and_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *ssd = bench_provider(test, tree, "ssd");
	struct file *file = bench_open_allocate(test, ssd);
	unsigned long addr;
	int i;

	for (i = 0; i < 10; i++) {
		addr = bench_map(test, file, SZ_2M, MAP_SHARED, 0);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "round %d: %ld",
				       i, (long)addr);
		KUNIT_EXPECT_EQ(test, bench_available(ssd), 0);
		bench_unmap(addr, SZ_2M);
		KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_2M);
		bench_drop(test, bench_hold(test, ssd, SZ_2M));
	}
	p2p_close(file);
}

static void mapping_is_refused(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct file *file = bench_open_allocate(test, mem);
	static const struct {
		const char *what;
		unsigned long len;
		unsigned long flags;
		unsigned long offset;
		long error;
	} wrong[] = {
		{ "private", SZ_64K, MAP_PRIVATE, 0, -EINVAL },
		{ "offset", SZ_64K, MAP_SHARED, PAGE_SIZE, -EINVAL },
		{ "private, offset", SZ_64K, MAP_PRIVATE, SZ_2M, -EINVAL },
		{ "more than there is", SZ_4M + PAGE_SIZE, MAP_SHARED, 0,
		  -ENOMEM },
		{ "far more than there is", SZ_1G, MAP_SHARED, 0, -ENOMEM },
	};
	unsigned long addr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		addr = bench_map(test, file, wrong[i].len, wrong[i].flags,
				 wrong[i].offset);
		KUNIT_EXPECT_EQ_MSG(test, (long)addr, wrong[i].error, "%s",
				    wrong[i].what);
		flush_delayed_fput();
		KUNIT_EXPECT_EQ_MSG(test, bench_available(mem), SZ_4M, "%s",
				    wrong[i].what);
	}

	/* Less than enough, because somebody else has it */
	bench_hold(test, mem, SZ_4M - SZ_64K);
	addr = bench_map(test, file, SZ_128K, MAP_SHARED, 0);
	KUNIT_EXPECT_EQ(test, (long)addr, -ENOMEM);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, bench_available(mem), SZ_64K);
	p2p_close(file);
}

/* The file goes with the provider; who comes all the same is told */
static void mapping_without_a_provider(struct kunit *test)
{
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *mem = bench_provider(test, tree, "mem");
	struct vm_area_struct vma = { .vm_end = PAGE_SIZE };

	vm_flags_init(&vma, VM_SHARED | VM_MAYSHARE);
	pci_kunit_unbind(tree, "mem");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_mmap(mem, &vma), -ENODEV);
	KUNIT_EXPECT_NULL(test, vma.vm_file);
}

/* Stock wants one contiguous piece here, too */
static void mapping_from_fragments(struct kunit *test)
{
	enum { NR = 20 };
	struct pci_kunit_tree *tree = bench_tree(test);
	struct pci_dev *ssd = bench_provider(test, tree, "ssd");
	struct file *file = bench_open_allocate(test, ssd);
	struct page *pages[NR];
	unsigned long addr;
	int i, k, nr;

	bench_fragment(test, ssd);
	KUNIT_ASSERT_EQ(test, bench_available(ssd), SZ_1M);

	addr = bench_map(test, file, NR * PAGE_SIZE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", (long)addr);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M - NR * PAGE_SIZE);
	nr = bench_pin(addr, NR, pages);
	KUNIT_EXPECT_EQ(test, nr, NR);
	for (i = 0; i < nr; i++) {
		/* The odd pages are held by somebody else */
		KUNIT_EXPECT_EQ(test, page_to_pfn(pages[i]) % 2, 0);
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_PTR_NE(test, pages[i], pages[k]);
	}
	if (nr > 0)
		unpin_user_pages(pages, nr);
	bench_unmap(addr, NR * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M);

	/* All that is free, and not a page more */
	addr = bench_map(test, file, SZ_1M, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", (long)addr);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), 0);
	KUNIT_EXPECT_EQ(test, (long)bench_map(test, file, PAGE_SIZE, MAP_SHARED,
					      0), -ENOMEM);
	bench_unmap(addr, SZ_1M);
	KUNIT_EXPECT_EQ(test, bench_available(ssd), SZ_1M);
	p2p_close(file);
}

/* The suite ---------------------------------------------------------------- */

static struct kunit_case p2pdma_use_cases[] = {
	KUNIT_CASE(allocates_and_frees),
	KUNIT_CASE(lists_of_one_piece),
	KUNIT_CASE(lists_from_fragments),
	KUNIT_CASE(lists_from_two_bars),
	KUNIT_CASE(maps_to_bus_addresses),
	KUNIT_CASE(maps_along_with_ordinary_memory),
	KUNIT_CASE(maps_through_the_host),
	KUNIT_CASE(refuses_to_map_what_is_not_reached),
	KUNIT_CASE(mapping_holds_memory),
	KUNIT_CASE(mapped_pages_are_the_providers),
	KUNIT_CASE(mapped_again_and_again),
	KUNIT_CASE(mapping_is_refused),
	KUNIT_CASE(mapping_without_a_provider),
	KUNIT_CASE(mapping_from_fragments),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_use_suite = {
	.name = "p2pdma_use",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = p2pdma_use_cases,
};

kunit_test_suite(p2pdma_use_suite);

MODULE_DESCRIPTION("KUnit tests of the use of peer-to-peer DMA memory");
MODULE_LICENSE("GPL");
