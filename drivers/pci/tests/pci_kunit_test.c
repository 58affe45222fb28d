// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the fixture that declares PCI trees (pci_kunit.c).
 *
 * Other suites believe what the fixture shows them, so this one asks, with the
 * kernel's own functions, whether that is what was declared: the tree, its
 * addresses, its capabilities, what config writes do; and whether a tree that
 * is gone is really gone. Cases that want the fixture to fail a test run it
 * under a struct kunit of their own: the "EXPECTATION FAILED" lines that name
 * the test "expected_to_fail" are wanted.
 *
 * KUnit does not notice a WARN or a lockdep report, so the last case looks for
 * them.
 */

#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/sizes.h>

#include "../pci_kunit.h"

#define ACS_PORT	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

/* One of each kind */
static const struct pci_kunit_node zoo[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE,
	  .vendor = PCI_VENDOR_ID_INTEL, .device = 0x2030 },
	{ "rcie", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(4, 0),
	  .bar = { [2] = { .size = SZ_2M } } },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0),
	  .port = 17, .acs = PCI_KUNIT_ACS(ACS_PORT, PCI_ACS_SV) },
	{ "up", "rp", PCI_KUNIT_UPSTREAM_PORT },
	{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(0, 0),
	  .port = 1,
	  .acs = { .present = true, .cap = ACS_PORT | PCI_ACS_EC,
		   .ctrl = PCI_ACS_RR, .egress_size = 40,
		   .egress = { 0x00000004, 0x00000080 } } },
	{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT, .devfn = PCI_DEVFN(7, 0),
	  .port = 2, .acs = PCI_KUNIT_ACS(PCI_ACS_RR, PCI_ACS_RR | PCI_ACS_DT) },
	{ "mem", "dn0", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_16K }, [4] = { .size = SZ_4M } } },
	{ "nic0", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 0),
	  .vendor = 0x15b3, .device = 0x1021, .class = 0x020000, .ats = true,
	  .vndr = PCI_KUNIT_CLIQUE(5) },
	{ "nic1", "dn1", PCI_KUNIT_ENDPOINT, .devfn = PCI_DEVFN(0, 1),
	  .vendor = 0x15b3, .device = 0x1021, .class = 0x020000,
	  .acs = PCI_KUNIT_ACS(PCI_ACS_RR, 0), .ats = true },
	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "p2p", "rp2", PCI_KUNIT_PCIE_PCI_BRIDGE },
	{ "conv", "p2p", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(3, 0),
	  .bar = { [0] = { .size = SZ_2M } }, .vndr = PCI_KUNIT_CLIQUE(1) },
	{ "pci", "p2p", PCI_KUNIT_PCI_BRIDGE, .devfn = PCI_DEVFN(4, 0) },
	{ "conv2", "pci", PCI_KUNIT_CONVENTIONAL, .devfn = PCI_DEVFN(9, 0),
	  .bar = { [0] = { .size = SZ_1M }, [2] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
	{ "rp3", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0) },
	{ "leg", "rp3", PCI_KUNIT_LEGACY_ENDPOINT,
	  .bar = { [0] = { .size = SZ_2M } } },
};

struct census {
	unsigned int devices;
	unsigned int buses;
	unsigned int resources;
};

static unsigned int count_resources(const struct resource *res)
{
	unsigned int n = 0;

	for (res = res->child; res; res = res->sibling)
		n += 1 + count_resources(res);
	return n;
}

/* All that a tree could leave behind, in the whole machine */
static struct census take_census(void)
{
	struct census c = {};
	struct pci_dev *pdev = NULL;
	struct pci_bus *bus = NULL;

	for_each_pci_dev(pdev)
		c.devices++;
	while ((bus = pci_find_next_bus(bus)))
		c.buses++;
	c.resources = count_resources(&iomem_resource) +
		      count_resources(&ioport_resource);
	return c;
}

static void expect_census(struct kunit *test, struct census before)
{
	struct census now = take_census();

	KUNIT_EXPECT_EQ(test, now.devices, before.devices);
	KUNIT_EXPECT_EQ(test, now.buses, before.buses);
	KUNIT_EXPECT_EQ(test, now.resources, before.resources);
}

/* What the kernel found is what was declared */
static void enumerates_declared_tree(struct kunit *test)
{
	static const struct {
		const char *name;
		const char *up;		/* bridge above, NULL on the root bus */
		int type;		/* PCI_EXP_TYPE_*, -1 if conventional */
		u32 class;
	} want[] = {
		{ "host", NULL,  -1, 0x060000 },
		{ "rcie", NULL,  PCI_EXP_TYPE_RC_END, 0x058000 },
		{ "rp",   NULL,  PCI_EXP_TYPE_ROOT_PORT, 0x060400 },
		{ "up",   "rp",  PCI_EXP_TYPE_UPSTREAM, 0x060400 },
		{ "dn0",  "up",  PCI_EXP_TYPE_DOWNSTREAM, 0x060400 },
		{ "dn1",  "up",  PCI_EXP_TYPE_DOWNSTREAM, 0x060400 },
		{ "mem",  "dn0", PCI_EXP_TYPE_ENDPOINT, 0x058000 },
		{ "nic0", "dn1", PCI_EXP_TYPE_ENDPOINT, 0x020000 },
		{ "nic1", "dn1", PCI_EXP_TYPE_ENDPOINT, 0x020000 },
		{ "rp2",  NULL,  PCI_EXP_TYPE_ROOT_PORT, 0x060400 },
		{ "p2p",  "rp2", PCI_EXP_TYPE_PCI_BRIDGE, 0x060400 },
		{ "conv", "p2p", -1, 0x058000 },
		{ "pci",  "p2p", -1, 0x060400 },
		{ "conv2", "pci", -1, 0x058000 },
		{ "rp3",  NULL,  PCI_EXP_TYPE_ROOT_PORT, 0x060400 },
		{ "leg",  "rp3", PCI_EXP_TYPE_LEG_END, 0x058000 },
	};
	struct census before = take_census();
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_host_bridge *host = pci_kunit_host(tree, "host");
	struct census after = take_census();

	BUILD_BUG_ON(ARRAY_SIZE(want) != ARRAY_SIZE(zoo));

	/* These devices and no others; a root bus */
	KUNIT_EXPECT_EQ(test, after.devices - before.devices,
			ARRAY_SIZE(zoo));
	KUNIT_EXPECT_EQ(test, after.buses - before.buses, 1);

	for (int i = 0; i < ARRAY_SIZE(want); i++) {
		const char *name = want[i].name;
		struct pci_dev *pdev = pci_kunit_dev(tree, name);
		struct pci_dev *up = want[i].up ?
				     pci_kunit_dev(tree, want[i].up) : NULL;

		KUNIT_EXPECT_EQ_MSG(test, pdev->devfn, zoo[i].devfn, "%s", name);
		KUNIT_EXPECT_EQ_MSG(test, pdev->class, want[i].class, "%s", name);
		KUNIT_EXPECT_PTR_EQ_MSG(test, pdev->bus->self, up, "%s", name);
		KUNIT_EXPECT_PTR_EQ_MSG(test, pci_find_host_bridge(pdev->bus),
					host, "%s", name);
		KUNIT_EXPECT_EQ_MSG(test, pci_is_pcie(pdev),
				    want[i].type >= 0, "%s", name);
		if (want[i].type >= 0)
			KUNIT_EXPECT_EQ_MSG(test, pci_pcie_type(pdev),
					    want[i].type, "%s", name);
		KUNIT_EXPECT_EQ_MSG(test, pdev->cfg_size,
				    want[i].type >= 0 ? 4096 : 256, "%s", name);
		KUNIT_EXPECT_TRUE_MSG(test, pdev->multifunction ==
				      !strncmp(name, "nic", 3), "%s", name);
		if (zoo[i].vendor) {
			KUNIT_EXPECT_EQ(test, pdev->vendor, zoo[i].vendor);
			KUNIT_EXPECT_EQ(test, pdev->device, zoo[i].device);
		}
		/* The device is in sysfs and can be found by its address */
		KUNIT_EXPECT_TRUE(test, device_is_registered(&pdev->dev));
	}
	KUNIT_EXPECT_NE(test, pci_domain_nr(host->bus), 0);
}

static void expect_bar(struct kunit *test, struct pci_kunit_tree *tree,
		       const char *name, int bar, u64 size, u64 bus_offset)
{
	struct pci_dev *pdev = pci_kunit_dev(tree, name);
	struct resource *res = &pdev->resource[bar];
	int where = PCI_BASE_ADDRESS_0 + 4 * bar;
	struct resource_entry *entry;
	bool inside = false;
	u64 stored;

	KUNIT_EXPECT_EQ_MSG(test, resource_size(res), size, "%s", name);
	KUNIT_EXPECT_EQ_MSG(test, res->flags &
			    (IORESOURCE_MEM | IORESOURCE_MEM_64 |
			     IORESOURCE_PREFETCH | IORESOURCE_UNSET),
			    IORESOURCE_MEM | IORESOURCE_MEM_64 |
			    IORESOURCE_PREFETCH, "%s", name);
	KUNIT_EXPECT_NOT_NULL_MSG(test, res->parent, "%s", name);
	KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED(res->start, size), "%s", name);

	resource_list_for_each_entry(entry, &pci_kunit_host(tree, name)->windows)
		inside |= resource_contains(entry->res, res);
	KUNIT_EXPECT_TRUE_MSG(test, inside, "%s", name);

	KUNIT_EXPECT_EQ_MSG(test, pci_bus_address(pdev, bar),
			    res->start - bus_offset, "%s", name);
	stored = pci_kunit_get(tree, name, where, 4) & ~0xfULL;
	stored |= (u64)pci_kunit_get(tree, name, where + 4, 4) << 32;
	KUNIT_EXPECT_EQ_MSG(test, stored, res->start - bus_offset, "%s", name);
}

static void assigns_bars(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *pdev;

	expect_bar(test, tree, "rcie", 2, SZ_2M, 0);
	expect_bar(test, tree, "mem", 0, SZ_16K, 0);
	expect_bar(test, tree, "mem", 4, SZ_4M, 0);
	expect_bar(test, tree, "conv", 0, SZ_2M, 0);
	expect_bar(test, tree, "conv2", 0, SZ_1M, 0);
	expect_bar(test, tree, "leg", 0, SZ_2M, 0);

	/* I/O, out of reach of the machine's own */
	pdev = pci_kunit_dev(tree, "conv2");
	KUNIT_EXPECT_TRUE(test, pci_resource_flags(pdev, 2) & IORESOURCE_IO);
	KUNIT_EXPECT_EQ(test, pci_resource_len(pdev, 2), 32);
	KUNIT_EXPECT_NOT_NULL(test, pdev->resource[2].parent);
	KUNIT_EXPECT_GT(test, pci_resource_start(pdev, 2), IO_SPACE_LIMIT);

	/* Not declared, not there */
	KUNIT_EXPECT_EQ(test, pci_resource_len(pci_kunit_dev(tree, "mem"), 2),
			0);
}

/* Two host bridges of one domain, whose windows have an offset of their own */
static const struct pci_kunit_node two_hosts[] = {
	{ "h0", NULL, PCI_KUNIT_HOST_BRIDGE, .vendor = 0x1022,
	  .device = 0x1450, .bus_offset = SZ_2G },
	{ "rp0", "h0", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "ep0", "rp0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_8M } } },
	{ "h1", NULL, PCI_KUNIT_HOST_BRIDGE, .busnr = 0x40,
	  .bus_offset = SZ_1G, .window = SZ_64M },
	{ "rp1", "h1", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "ep1", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_8M } } },
	{ "rp2", "h1", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ep2", "rp2", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_256M } } },
};

static void several_host_bridges(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, two_hosts);
	struct pci_host_bridge *h0 = pci_kunit_host(tree, "ep0");
	struct pci_host_bridge *h1 = pci_kunit_host(tree, "ep1");

	KUNIT_ASSERT_PTR_NE(test, h0, h1);
	KUNIT_EXPECT_PTR_EQ(test, h1, pci_kunit_host(tree, "h1"));
	KUNIT_EXPECT_EQ(test, pci_domain_nr(h0->bus), pci_domain_nr(h1->bus));
	KUNIT_EXPECT_EQ(test, h0->bus->number, 0);
	KUNIT_EXPECT_EQ(test, h0->bus->busn_res.end, 0x3f);
	KUNIT_EXPECT_EQ(test, h1->bus->number, 0x40);
	KUNIT_EXPECT_EQ(test, h1->bus->busn_res.end, 0xff);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "ep1")->bus->number, 0x41);

	/* Function 00.0 tells root complexes apart; h1 has none */
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "h0")->vendor, 0x1022);
	KUNIT_EXPECT_NULL(test, pci_get_slot(h1->bus, 0));

	expect_bar(test, tree, "ep0", 0, SZ_8M, SZ_2G);
	expect_bar(test, tree, "ep1", 0, SZ_8M, SZ_1G);
	/* Larger than the window */
	KUNIT_EXPECT_EQ(test, pci_resource_len(pci_kunit_dev(tree, "ep2"), 0),
			0);
}

static void shows_acs(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *dn0 = pci_kunit_dev(tree, "dn0");
	u32 dword;
	u16 word;

	/* Only where declared */
	KUNIT_EXPECT_EQ(test, dn0->acs_cap, PCI_KUNIT_POS_ACS);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "nic1")->acs_cap,
			PCI_KUNIT_POS_ACS);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "up")->acs_cap, 0);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "nic0")->acs_cap, 0);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "conv")->acs_cap, 0);

	pci_read_config_word(dn0, dn0->acs_cap + PCI_ACS_CAP, &word);
	KUNIT_EXPECT_EQ(test, word, ACS_PORT | PCI_ACS_EC | 40 << 8);
	pci_read_config_word(dn0, dn0->acs_cap + PCI_ACS_CTRL, &word);
	KUNIT_EXPECT_EQ(test, word, PCI_ACS_RR);
	pci_read_config_dword(dn0, dn0->acs_cap + PCI_ACS_EGRESS_CTL_V, &dword);
	KUNIT_EXPECT_EQ(test, dword, 0x04);
	pci_read_config_dword(dn0, dn0->acs_cap + PCI_ACS_EGRESS_CTL_V + 4,
			      &dword);
	KUNIT_EXPECT_EQ(test, dword, 0x80);
	pcie_capability_read_dword(dn0, PCI_EXP_LNKCAP, &dword);
	KUNIT_EXPECT_EQ(test, dword >> 24, 1);
	pcie_capability_read_dword(pci_kunit_dev(tree, "rp"), PCI_EXP_LNKCAP,
				   &dword);
	KUNIT_EXPECT_EQ(test, dword >> 24, 17);

	/* A control register that has what the capability lacks stays so */
	KUNIT_EXPECT_EQ(test, pci_kunit_acs(tree, "dn1"),
			PCI_ACS_RR | PCI_ACS_DT);
}

static void config_writes_obey_masks(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *rp = pci_kunit_dev(tree, "rp");
	struct pci_dev *dn0 = pci_kunit_dev(tree, "dn0");
	u32 dword;
	u16 word;

	/* Through the kernel: only what the capability has */
	pci_write_config_word(rp, rp->acs_cap + PCI_ACS_CTRL, 0xffff);
	KUNIT_EXPECT_EQ(test, pci_kunit_acs(tree, "rp"), ACS_PORT);
	pci_write_config_word(rp, rp->acs_cap + PCI_ACS_CTRL, PCI_ACS_CR);
	KUNIT_EXPECT_EQ(test, pci_kunit_acs(tree, "rp"), PCI_ACS_CR);
	pci_write_config_word(rp, rp->acs_cap + PCI_ACS_CAP, 0);
	KUNIT_EXPECT_EQ(test, pci_kunit_get(tree, "rp", PCI_KUNIT_POS_ACS +
					    PCI_ACS_CAP, 2), ACS_PORT);

	/* Behind its back: anything, and it sees it */
	pci_kunit_set_acs(tree, "rp", 0xa5a5);
	pci_read_config_word(rp, rp->acs_cap + PCI_ACS_CTRL, &word);
	KUNIT_EXPECT_EQ(test, word, 0xa5a5);

	/* The egress vector can be written where egress control exists */
	pci_write_config_dword(dn0, dn0->acs_cap + PCI_ACS_EGRESS_CTL_V, ~0);
	pci_write_config_dword(rp, rp->acs_cap + PCI_ACS_EGRESS_CTL_V, ~0);
	KUNIT_EXPECT_EQ(test, pci_kunit_get(tree, "dn0", PCI_KUNIT_POS_ACS +
					    PCI_ACS_EGRESS_CTL_V, 4), U32_MAX);
	KUNIT_EXPECT_EQ(test, pci_kunit_get(tree, "rp", PCI_KUNIT_POS_ACS +
					    PCI_ACS_EGRESS_CTL_V, 4), 0);

	/* Bytes and words of a register do not touch their neighbours */
	pci_kunit_set_mask(tree, "rp", 0x200, 4, U32_MAX);
	pci_kunit_set(tree, "rp", 0x200, 4, 0x11223344);
	pci_write_config_byte(rp, 0x201, 0xaa);
	pci_write_config_word(rp, 0x202, 0xbbcc);
	pci_read_config_dword(rp, 0x200, &dword);
	KUNIT_EXPECT_EQ(test, dword, 0xbbccaa44);
	pci_kunit_set_mask(tree, "rp", 0x200, 4, 0x0000000f);
	pci_write_config_dword(rp, 0x200, 0);
	KUNIT_EXPECT_EQ(test, pci_kunit_get(tree, "rp", 0x200, 4), 0xbbccaa40);

	/* Ids cannot be written */
	pci_write_config_dword(rp, PCI_VENDOR_ID, 0);
	KUNIT_EXPECT_NE(test, pci_kunit_get(tree, "rp", PCI_VENDOR_ID, 4), 0);
}

static void shows_capabilities(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *nic0 = pci_kunit_dev(tree, "nic0");
	struct pci_dev *conv = pci_kunit_dev(tree, "conv");
	static const u8 clique[] = { 8, 'P', '2', 'P', 5 << 3, 0 };
	u8 pos, byte;

	pos = pci_find_capability(nic0, PCI_CAP_ID_VNDR);
	KUNIT_ASSERT_EQ(test, pos, PCI_KUNIT_POS_VNDR);
	for (int i = 0; i < ARRAY_SIZE(clique); i++) {
		pci_read_config_byte(nic0, pos + 2 + i, &byte);
		KUNIT_EXPECT_EQ_MSG(test, byte, clique[i], "byte %d", i);
	}
	/* On a function without PCI Express capability too */
	KUNIT_EXPECT_EQ(test, pci_find_capability(conv, PCI_CAP_ID_VNDR),
			PCI_KUNIT_POS_VNDR);
	KUNIT_EXPECT_EQ(test, pci_find_capability(pci_kunit_dev(tree, "mem"),
						  PCI_CAP_ID_VNDR), 0);

	KUNIT_EXPECT_EQ(test, pci_find_ext_capability(nic0,
						      PCI_EXT_CAP_ID_ATS),
			PCI_KUNIT_POS_ATS);
	/* Behind ACS in the list */
	KUNIT_EXPECT_EQ(test,
			pci_find_ext_capability(pci_kunit_dev(tree, "nic1"),
						PCI_EXT_CAP_ID_ATS),
			PCI_KUNIT_POS_ATS);
	KUNIT_EXPECT_EQ(test, pci_find_ext_capability(pci_kunit_dev(tree, "mem"),
						      PCI_EXT_CAP_ID_ATS), 0);

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		return;
	KUNIT_ASSERT_EQ(test, pci_enable_ats(nic0, PAGE_SHIFT), 0);
	KUNIT_EXPECT_TRUE(test, !!nic0->ats_enabled);
	KUNIT_EXPECT_TRUE(test,
			  pci_kunit_get(tree, "nic0", PCI_KUNIT_POS_ATS +
					PCI_ATS_CTRL, 2) & PCI_ATS_CTRL_ENABLE);
	pci_disable_ats(nic0);
}

static void unreadable_functions(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *dn0 = pci_kunit_dev(tree, "dn0");
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	int where = dn0->acs_cap + PCI_ACS_CTRL;
	u32 dword;
	u16 word;

	pci_kunit_set_access(tree, "dn0", PCI_KUNIT_ACCESS_ALL_ONES);
	KUNIT_EXPECT_EQ(test, pci_read_config_word(dn0, where, &word), 0);
	KUNIT_EXPECT_EQ(test, word, 0xffff);
	KUNIT_EXPECT_FALSE(test, pci_device_is_present(dn0));
	pci_write_config_word(dn0, where, 0);
	KUNIT_EXPECT_EQ(test, pci_kunit_acs(tree, "dn0"), PCI_ACS_RR);

	/* Only this function */
	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	KUNIT_EXPECT_NE(test, dword, U32_MAX);

	pci_kunit_set_access(tree, "dn0", PCI_KUNIT_ACCESS_ERROR);
	KUNIT_EXPECT_EQ(test, pci_read_config_word(dn0, where, &word),
			PCIBIOS_DEVICE_NOT_FOUND);
	KUNIT_EXPECT_EQ(test, pci_write_config_word(dn0, where, 0),
			PCIBIOS_DEVICE_NOT_FOUND);
	KUNIT_EXPECT_EQ(test, pci_kunit_acs(tree, "dn0"), PCI_ACS_RR);

	pci_kunit_set_access(tree, "dn0", PCI_KUNIT_ACCESS_NORMAL);
	KUNIT_EXPECT_EQ(test, pci_read_config_word(dn0, where, &word), 0);
	KUNIT_EXPECT_EQ(test, word, PCI_ACS_RR);
	KUNIT_EXPECT_TRUE(test, pci_device_is_present(dn0));
}

static void counts_config_accesses(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	unsigned long reads = pci_kunit_reads(tree, "mem");
	unsigned long other = pci_kunit_reads(tree, "leg");
	unsigned long all = pci_kunit_reads(tree, NULL);
	unsigned long writes = pci_kunit_writes(tree, "mem");
	unsigned long all_writes = pci_kunit_writes(tree, NULL);
	u32 dword;
	u8 byte;

	/* Enumeration has read */
	KUNIT_EXPECT_GT(test, reads, 0);
	KUNIT_EXPECT_GT(test, writes, 0);
	KUNIT_EXPECT_GE(test, all, reads + other);

	/* What the test does itself does not count */
	pci_kunit_set_acs(tree, "dn0", pci_kunit_acs(tree, "dn0"));
	pci_kunit_get(tree, "mem", 0, 4);
	pci_kunit_dev(tree, "mem");
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), all);
	KUNIT_EXPECT_EQ(test, pci_kunit_writes(tree, NULL), all_writes);

	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	pci_read_config_byte(mem, PCI_REVISION_ID, &byte);
	pci_write_config_byte(mem, PCI_INTERRUPT_LINE, 9);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, "mem"), reads + 2);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, "leg"), other);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), all + 2);
	KUNIT_EXPECT_EQ(test, pci_kunit_writes(tree, "mem"), writes + 1);
	KUNIT_EXPECT_EQ(test, pci_kunit_writes(tree, NULL), all_writes + 1);

	/* A function that does not exist: counted for the tree */
	pci_bus_read_config_dword(mem->bus, PCI_DEVFN(0, 5), 0, &dword);
	KUNIT_EXPECT_EQ(test, dword, U32_MAX);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), all + 3);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, "mem"), reads + 2);
}

/* Requests follow the bus number registers */
static void routes_config_requests(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *rp = pci_kunit_dev(tree, "rp");
	u8 subordinate;
	u32 dword;

	/* A bridge further up that does not forward the number */
	pci_read_config_byte(rp, PCI_SUBORDINATE_BUS, &subordinate);
	pci_write_config_byte(rp, PCI_SUBORDINATE_BUS, rp->subordinate->number);
	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	KUNIT_EXPECT_EQ(test, dword, U32_MAX);
	pci_write_config_byte(rp, PCI_SUBORDINATE_BUS, subordinate);
	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	KUNIT_EXPECT_NE(test, dword, U32_MAX);

	/* The bridge right above */
	pci_write_config_byte(mem->bus->self, PCI_SECONDARY_BUS, 0xee);
	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	KUNIT_EXPECT_EQ(test, dword, U32_MAX);
	pci_write_config_byte(mem->bus->self, PCI_SECONDARY_BUS,
			      mem->bus->number);
	pci_read_config_dword(mem, PCI_VENDOR_ID, &dword);
	KUNIT_EXPECT_NE(test, dword, U32_MAX);
}

static void removes_and_finds_again(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	struct census before = take_census();

	/* A port takes along what is below */
	pci_kunit_remove(tree, "dn1");
	KUNIT_EXPECT_NULL(test, pci_kunit_find_dev(tree, "dn1"));
	KUNIT_EXPECT_NULL(test, pci_kunit_find_dev(tree, "nic0"));
	KUNIT_EXPECT_NULL(test, pci_kunit_find_dev(tree, "nic1"));
	KUNIT_EXPECT_NOT_NULL(test, pci_kunit_find_dev(tree, "mem"));
	KUNIT_EXPECT_EQ(test, take_census().devices, before.devices - 3);

	pci_kunit_rescan(tree);
	expect_census(test, before);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "nic1")->vendor, 0x15b3);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "dn1")->acs_cap,
			PCI_KUNIT_POS_ACS);

	/* Its BARs get addresses again */
	pci_kunit_remove(tree, "mem");
	pci_kunit_rescan(tree);
	expect_bar(test, tree, "mem", 4, SZ_4M, 0);

	/* Pulled out: not found until it is there again */
	pci_kunit_remove(tree, "mem");
	pci_kunit_set_access(tree, "mem", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_kunit_rescan(tree);
	KUNIT_EXPECT_NULL(test, pci_kunit_find_dev(tree, "mem"));

	/* And another device into its slot */
	pci_kunit_set_access(tree, "mem", PCI_KUNIT_ACCESS_NORMAL);
	pci_kunit_set(tree, "mem", PCI_VENDOR_ID, 2, 0x1234);
	pci_kunit_rescan(tree);
	KUNIT_EXPECT_EQ(test, pci_kunit_dev(tree, "mem")->vendor, 0x1234);
	expect_bar(test, tree, "mem", 4, SZ_4M, 0);
	expect_census(test, before);
}

static void set_flag(void *flag)
{
	*(bool *)flag = true;
}

static void binds_for_managed_resources(struct kunit *test)
{
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);
	bool unbound = false, removed = false, destroyed = false;
	struct pci_dev *pdev;

	pdev = pci_kunit_bind(tree, "nic1");
	KUNIT_EXPECT_PTR_EQ(test, pdev, pci_kunit_dev(tree, "nic1"));
	KUNIT_EXPECT_NOT_NULL(test, pdev->dev.driver);
	KUNIT_EXPECT_EQ(test, dma_get_mask(&pdev->dev), DMA_BIT_MASK(64));
	/* The same ids, not asked for */
	KUNIT_EXPECT_NULL(test, pci_kunit_dev(tree, "nic0")->dev.driver);

	KUNIT_ASSERT_EQ(test, devm_add_action(&pdev->dev, set_flag, &unbound),
			0);
	KUNIT_EXPECT_FALSE(test, unbound);
	pci_kunit_unbind(tree, "nic1");
	KUNIT_EXPECT_TRUE(test, unbound);
	KUNIT_EXPECT_NULL(test, pdev->dev.driver);

	/* Again, and removed while bound; not bound when it is back */
	pci_kunit_bind(tree, "nic1");
	KUNIT_ASSERT_EQ(test, devm_add_action(&pdev->dev, set_flag, &removed),
			0);
	pci_kunit_remove(tree, "nic1");
	KUNIT_EXPECT_TRUE(test, removed);
	pci_kunit_rescan(tree);
	KUNIT_EXPECT_NULL(test, pci_kunit_dev(tree, "nic1")->dev.driver);

	/* Bound at the end; two devices at once */
	pci_kunit_bind(tree, "nic1");
	pdev = pci_kunit_bind(tree, "mem");
	KUNIT_ASSERT_EQ(test, devm_add_action(&pdev->dev, set_flag, &destroyed),
			0);
	pci_kunit_destroy(tree);
	KUNIT_EXPECT_TRUE(test, destroyed);
}

static void domains_of_their_own(struct kunit *test)
{
	static const struct pci_kunit_node low[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .domain = 1 },
		{ "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(3, 0),
		  .bar = { { .size = SZ_2M } } },
	};
	static const struct pci_kunit_node high[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .domain = 0x10001 },
		{ "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = PCI_DEVFN(3, 0),
		  .bar = { { .size = SZ_2M } } },
	};
	struct pci_kunit_tree *a = PCI_KUNIT_CREATE(test, low);
	struct pci_kunit_tree *b = PCI_KUNIT_CREATE(test, high);
	struct pci_kunit_tree *c = PCI_KUNIT_CREATE(test, zoo);
	struct pci_kunit_tree *d = PCI_KUNIT_CREATE(test, zoo);
	struct pci_dev *in_a = pci_kunit_dev(a, "ep");
	struct pci_dev *in_b = pci_kunit_dev(b, "ep");
	struct pci_dev *found;
	u16 word;

	KUNIT_EXPECT_EQ(test, pci_domain_nr(in_a->bus), 1);
	KUNIT_EXPECT_EQ(test, pci_domain_nr(in_b->bus), 0x10001);
	KUNIT_EXPECT_STREQ(test, pci_name(in_b), "10001:00:03.0");
	KUNIT_EXPECT_NE(test, pci_domain_nr(pci_kunit_dev(c, "mem")->bus),
			pci_domain_nr(pci_kunit_dev(d, "mem")->bus));

	found = pci_get_domain_bus_and_slot(0x10001, 0, PCI_DEVFN(3, 0));
	KUNIT_EXPECT_PTR_EQ(test, found, in_b);
	pci_dev_put(found);

	/* One answers, the other does not notice */
	pci_kunit_set(a, "ep", PCI_SUBSYSTEM_ID, 2, 0xaaaa);
	pci_kunit_set(b, "ep", PCI_SUBSYSTEM_ID, 2, 0xbbbb);
	pci_read_config_word(in_a, PCI_SUBSYSTEM_ID, &word);
	KUNIT_EXPECT_EQ(test, word, 0xaaaa);
	pci_read_config_word(in_b, PCI_SUBSYSTEM_ID, &word);
	KUNIT_EXPECT_EQ(test, word, 0xbbbb);
	KUNIT_EXPECT_FALSE(test, resource_overlaps(&in_a->resource[0],
						   &in_b->resource[0]));
}

#define HOST	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE }

static const struct refusal {
	const char *what;
	int err;
	struct pci_kunit_node nodes[3];
} refusals[] = {
	{ "parent missing", -EINVAL,
	  { HOST, { "ep", "nobody", PCI_KUNIT_ENDPOINT } } },
	{ "parent declared later", -EINVAL,
	  { HOST, { "ep", "rp", PCI_KUNIT_ENDPOINT },
	    { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 } } },
	{ "parent is an endpoint", -EINVAL,
	  { HOST, { "rp", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8 },
	    { "ep", "rp", PCI_KUNIT_ENDPOINT } } },
	{ "host bridge with parent", -EINVAL,
	  { HOST, { "h2", "host", PCI_KUNIT_HOST_BRIDGE, .busnr = 1 } } },
	{ "name twice", -EINVAL,
	  { HOST, { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 },
	    { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 16 } } },
	{ "devfn twice", -EINVAL,
	  { HOST, { "a", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 },
	    { "b", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 } } },
	{ "BAR not a power of two", -EINVAL,
	  { HOST, { "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8,
		    .bar = { { .size = SZ_2M + 1 } } } } },
	{ "BAR over BAR", -EINVAL,
	  { HOST, { "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8,
		    .bar = { { .size = SZ_2M }, { .size = SZ_2M } } } } },
	{ "BAR past the last", -EINVAL,
	  { HOST, { "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8,
		    .bar = { [5] = { .size = SZ_2M } } } } },
	{ "BAR that a bridge lacks", -EINVAL,
	  { HOST, { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8,
		    .bar = { [2] = { .size = SZ_2M } } } } },
	{ "conventional with ACS", -EINVAL,
	  { HOST, { "ep", "host", PCI_KUNIT_CONVENTIONAL, .devfn = 8,
		    .acs = PCI_KUNIT_ACS(PCI_ACS_RR, 0) } } },
	{ "bus offset not aligned", -EINVAL,
	  { { "host", NULL, PCI_KUNIT_HOST_BRIDGE, .bus_offset = SZ_4K } } },
	{ "bus offset against BAR", -EINVAL,
	  { { "host", NULL, PCI_KUNIT_HOST_BRIDGE, .bus_offset = SZ_1M },
	    { "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8,
	      .bar = { { .size = SZ_2M } } } } },
	{ "endpoint with a domain", -EINVAL,
	  { HOST, { "ep", "host", PCI_KUNIT_RC_ENDPOINT, .devfn = 8,
		    .domain = 7 } } },
	{ "same bus numbers", -EINVAL,
	  { HOST, { "h2", NULL, PCI_KUNIT_HOST_BRIDGE } } },
	{ "device 1 behind a link", -ENODEV,
	  { HOST, { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 },
	    { "ep", "rp", PCI_KUNIT_ENDPOINT, .devfn = 8 } } },
	{ "no function 0", -ENODEV,
	  { HOST, { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 },
	    { "ep", "rp", PCI_KUNIT_ENDPOINT, .devfn = 1 } } },
	{ "no bus number left", -ENODEV,
	  { { "host", NULL, PCI_KUNIT_HOST_BRIDGE, .busnr = 255 },
	    { "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = 8 },
	    { "ep", "rp", PCI_KUNIT_ENDPOINT } } },
	{ "window larger than the address space", -EBUSY,
	  { { "host", NULL, PCI_KUNIT_HOST_BRIDGE, .window = SZ_1T } } },
};

static void describe_refusal(const struct refusal *r, char *desc)
{
	strscpy(desc, r->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refusal, refusals, describe_refusal);

static void refuses_bad_declarations(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	struct census before = take_census();
	struct pci_kunit_tree *tree;
	size_t count = 0;

	while (count < ARRAY_SIZE(r->nodes) && r->nodes[count].name)
		count++;

	tree = pci_kunit_try_create(test, r->nodes, count);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(tree), r->err);
	expect_census(test, before);
}

static void refuses_domain_in_use(struct kunit *test)
{
	static const struct pci_kunit_node nodes[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, .domain = 77 },
	};
	struct pci_kunit_tree *tree;

	PCI_KUNIT_CREATE(test, nodes);
	tree = pci_kunit_try_create(test, nodes, ARRAY_SIZE(nodes));
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(tree), -EBUSY);
}

static void leaves_no_trace(struct kunit *test)
{
	struct census before = take_census();
	int domain;

	for (int i = 0; i < 3; i++) {
		struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, zoo);

		domain = pci_domain_nr(pci_kunit_host(tree, "host")->bus);
		KUNIT_EXPECT_NE(test, take_census().resources,
				before.resources);
		pci_kunit_destroy(tree);
		expect_census(test, before);
		KUNIT_EXPECT_NULL(test, pci_find_bus(domain, 0));
	}
}

/*
 * What does not end is waited for this long. What does end has to be faster,
 * also in a kernel full of checkers on a busy host.
 */
#define SHORT_TIMEOUT_MS \
	(IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_KCSAN) ? 10000 : 3000)

/* A worker that was not waited for may still be at it */
static void await_census(struct kunit *test, struct census before)
{
	for (int i = 0; i < 3000 &&
	     take_census().resources != before.resources; i++)
		msleep(20);
	expect_census(test, before);
}

/* A test that is not this one, to see it fail */
static struct kunit *other_test(struct kunit *test)
{
	struct kunit *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, other);
	kunit_init_test(other, "expected_to_fail", NULL);
	return other;
}

static void leaked_device_fails_test(struct kunit *test)
{
	struct census before = take_census();
	struct kunit *other = other_test(test);
	struct pci_kunit_tree *tree;
	struct pci_dev *held;

	tree = pci_kunit_try_create(other, zoo, ARRAY_SIZE(zoo));
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));
	pci_kunit_set_timeout(tree, SHORT_TIMEOUT_MS);

	held = pci_dev_get(pci_kunit_dev(tree, "mem"));
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_SUCCESS);
	kunit_cleanup(other);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_FAILURE);

	/* Still ours to use, and all is gone when it is given back */
	KUNIT_EXPECT_EQ(test, held->devfn, 0);
	KUNIT_EXPECT_NE(test, take_census().resources, before.resources);
	pci_dev_put(held);
	await_census(test, before);
}

static void device_leaked_earlier_fails_test(struct kunit *test)
{
	struct census before = take_census();
	struct kunit *other = other_test(test);
	struct pci_kunit_tree *tree;
	struct pci_dev *held;

	tree = pci_kunit_try_create(other, zoo, ARRAY_SIZE(zoo));
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));

	/* The tree has forgotten this one: only the host bridge tells */
	held = pci_dev_get(pci_kunit_dev(tree, "rcie"));
	pci_kunit_remove(tree, "rcie");
	pci_kunit_set_timeout(tree, SHORT_TIMEOUT_MS);
	kunit_cleanup(other);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_FAILURE);

	pci_dev_put(held);
	await_census(test, before);
}

static void leaked_resource_fails_test(struct kunit *test)
{
	struct kunit *other = other_test(test);
	struct resource leaked = DEFINE_RES_MEM_NAMED(0, SZ_4K, "leaked");
	struct pci_kunit_tree *tree;
	struct resource_entry *entry;
	int ret = -ENOENT;

	tree = pci_kunit_try_create(other, zoo, ARRAY_SIZE(zoo));
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));

	resource_list_for_each_entry(entry,
				     &pci_kunit_host(tree, "host")->windows) {
		if (resource_type(entry->res) != IORESOURCE_MEM)
			continue;
		leaked.start = entry->res->end + 1 - SZ_4K;
		leaked.end = entry->res->end;
		ret = request_resource(entry->res, &leaked);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	kunit_cleanup(other);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_FAILURE);
}

struct hang {
	struct completion stop;
	struct completion stopped;
};

static void hang(void *data)
{
	struct hang *hang = data;

	wait_for_completion(&hang->stop);
	complete(&hang->stopped);
}

static void removal_that_hangs_fails_test(struct kunit *test)
{
	struct census before = take_census();
	struct kunit *other = other_test(test);
	struct pci_kunit_tree *tree, *next;
	struct pci_dev *pdev;
	struct hang h;

	init_completion(&h.stop);
	init_completion(&h.stopped);

	tree = pci_kunit_try_create(other, zoo, ARRAY_SIZE(zoo));
	KUNIT_ASSERT_FALSE(test, IS_ERR(tree));
	pci_kunit_set_timeout(tree, SHORT_TIMEOUT_MS);
	pdev = pci_kunit_bind(tree, "mem");
	KUNIT_EXPECT_EQ(test, devm_add_action(&pdev->dev, hang, &h), 0);
	kunit_cleanup(other);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_FAILURE);

	/* Those who come after are told */
	next = pci_kunit_try_create(test, zoo, ARRAY_SIZE(zoo));
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(next), -EBUSY);

	/* When it ends after all, the tree goes and new ones can be made */
	complete(&h.stop);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&h.stopped, 60 * HZ),
			0);
	await_census(test, before);
	PCI_KUNIT_CREATE(test, zoo);
}

static struct kunit_case pci_kunit_cases[] = {
	KUNIT_CASE(enumerates_declared_tree),
	KUNIT_CASE(assigns_bars),
	KUNIT_CASE(several_host_bridges),
	KUNIT_CASE(shows_acs),
	KUNIT_CASE(config_writes_obey_masks),
	KUNIT_CASE(shows_capabilities),
	KUNIT_CASE(unreadable_functions),
	KUNIT_CASE(counts_config_accesses),
	KUNIT_CASE(routes_config_requests),
	KUNIT_CASE(removes_and_finds_again),
	KUNIT_CASE(binds_for_managed_resources),
	KUNIT_CASE(domains_of_their_own),
	KUNIT_CASE_PARAM(refuses_bad_declarations, refusal_gen_params),
	KUNIT_CASE(refuses_domain_in_use),
	KUNIT_CASE(leaves_no_trace),
	KUNIT_CASE(leaked_device_fails_test),
	KUNIT_CASE(device_leaked_earlier_fails_test),
	KUNIT_CASE(leaked_resource_fails_test),
	KUNIT_CASE(removal_that_hangs_fails_test),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite pci_kunit_suite = {
	.name = "pci_kunit",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.test_cases = pci_kunit_cases,
};

kunit_test_suite(pci_kunit_suite);

MODULE_DESCRIPTION("KUnit tests of declared PCI trees");
MODULE_LICENSE("GPL");
