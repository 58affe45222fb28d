// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of verdicts that are kept (p2pdma_verdict.c): that a kept verdict
 * costs no access to configuration space, is given to nobody else, and expires
 * with everything that it rests on, whoever changes it and on whatever path,
 * down to the files that user space has.
 *
 * Cases whose comment begins with "Stock" are about a fault of the code that
 * this one replaces (Linux 6.12), and say what that did.
 */
#include <kunit/test.h>

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/uaccess.h>

#include "../pci.h"
#include "../p2pdma.h"
#include "p2pdma_test.h"

/* Stock reads two to five registers for each question */
static void warm_answers_read_nothing(struct kunit *test)
{
	static const char * const clients[] = {
		"nic", "gpu", "ep0", "mem", "conv2",
	};
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	int cold[ARRAY_SIZE(clients)], round;
	unsigned long reads;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clients); i++)
		cold[i] = p2p_ask(tree, mem, clients[i]);

	reads = pci_kunit_reads(tree, NULL);
	for (round = 0; round < 3; round++)
		for (i = 0; i < ARRAY_SIZE(clients); i++)
			KUNIT_EXPECT_EQ_MSG(test,
					    p2p_ask(tree, mem, clients[i]),
					    cold[i], "%s", clients[i]);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), reads);

	/* Who maps pages asks the same cache */
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      &pci_kunit_dev(tree, "nic")->dev),
			PCI_P2PDMA_MAP_BUS_ADDR);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), reads);

	/* Who is refused is told why, if there is not too much in the log */
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      &pci_kunit_dev(tree, "ep0")->dev),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);

	/* Who wants to know why is told, always, from the registers */
	reads = pci_kunit_reads(tree, NULL);
	pci_p2pdma_distance(mem, &pci_kunit_dev(tree, "nic")->dev, true);
	KUNIT_EXPECT_GT(test, pci_kunit_reads(tree, NULL), reads);
}

/* Only functions do DMA; whatever hangs below them must ask for itself */
static void route_type_is_for_functions(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;

	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_route_type(rcu_access_pointer(mem->p2pdma),
					      p2p_other_device(test, nic)),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
}

/*
 * Stock never forgets a verdict: it is wrong after a change of ACS at run time,
 * and for the next device in the same slot.
 */
static void changed_policy_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
}

static void changed_topology_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");

	/* Another device in the same slot */
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "far"), 4);
	pci_kunit_remove(tree, "far");
	pci_kunit_set_acs(tree, "dn5", PCI_ACS_RR);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn5", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "far"), -1);

	/* A whole switch in between, and a verdict on somebody else */
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "gpu"), 6);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	pci_kunit_remove(tree, "dn2");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "gpu"), 6);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
}

/* A provider that comes back knows nothing of its earlier life */
static void new_provider_starts_afresh(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	pci_kunit_unbind(tree, "mem");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
	mem = p2p_provider(test, tree, "mem");
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
}

/*
 * Stock keeps verdicts by domain << 16 | bus << 8 | devfn in an int, in which
 * domains of 0x10000 and up (VMD) vanish: a client is given the verdict on one
 * of another domain.
 */
static void high_domains_are_not_confused(struct kunit *test)
{
	static const struct pci_kunit_node low[] = {
		{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED),
		  .domain = 5 },
		{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
		{ "up", "rp", PCI_KUNIT_UPSTREAM_PORT },
		{ "dn0", "up", PCI_KUNIT_DOWNSTREAM_PORT },
		{ "mem", "dn0", PCI_KUNIT_ENDPOINT, MEMORY },
		{ "dn1", "up", PCI_KUNIT_DOWNSTREAM_PORT,
		  .devfn = PCI_DEVFN(1, 0) },
		{ "nic", "dn1", PCI_KUNIT_ENDPOINT },
	};
	static const int domains[] = { 0x10005, 0x20005, 0x7fff0005 };
	struct pci_kunit_tree *tree = PCI_KUNIT_CREATE(test, low), *other;
	struct pci_kunit_node *nodes =
		p2p_copy_nodes(test, low, ARRAY_SIZE(low));
	struct pci_dev *mem, *nic = pci_kunit_dev(tree, "nic");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		nodes[0].domain = domains[i];
		other = pci_kunit_create(test, nodes, ARRAY_SIZE(low));
		KUNIT_ASSERT_EQ(test, pci_dev_id(nic),
				pci_dev_id(pci_kunit_dev(other, "nic")));

		/* The near one first, then the far one, and the reverse */
		mem = p2p_provider(test, tree, "mem");
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
		KUNIT_EXPECT_EQ(test, p2p_ask(other, mem, "nic"), -1);
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
		pci_kunit_unbind(tree, "mem");

		mem = p2p_provider(test, other, "mem");
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
		KUNIT_EXPECT_EQ(test, p2p_ask(other, mem, "nic"), 4);
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
		pci_kunit_destroy(other);
	}
}

/* One of the ways by which config space is written */
typedef void (*config_writer)(struct kunit *test, struct pci_dev *pdev,
			      int where, int size, u32 val);

static void write_kernel(struct kunit *test, struct pci_dev *pdev, int where,
			 int size, u32 val)
{
	if (size == 1)
		pci_write_config_byte(pdev, where, val);
	else if (size == 2)
		pci_write_config_word(pdev, where, val);
	else
		pci_write_config_dword(pdev, where, val);
}

static void write_user(struct kunit *test, struct pci_dev *pdev, int where,
		       int size, u32 val)
{
	if (size == 1)
		pci_user_write_config_byte(pdev, where, val);
	else if (size == 2)
		pci_user_write_config_word(pdev, where, val);
	else
		pci_user_write_config_dword(pdev, where, val);
}

/* As setpci does */
static void write_sysfs(struct kunit *test, struct pci_dev *pdev, int where,
			int size, u32 val)
{
	char *dir __free(kfree) = kobject_get_path(&pdev->dev.kobj, GFP_KERNEL);
	char *path __free(kfree) = kasprintf(GFP_KERNEL, "%s/config", dir);
	struct file *file = p2p_open(test, test->priv, path, O_WRONLY);
	loff_t pos = where;

	KUNIT_EXPECT_EQ(test, kernel_write(file, &val, size, &pos), size);
	kunit_release_action(test, p2p_close, file);
}

static void write_procfs(struct kunit *test, struct pci_dev *pdev, int where,
			 int size, u32 val)
{
	char __user *user = p2p_user_memory(test, PAGE_SIZE);
	loff_t pos = where;
	struct file *file;
	char path[64];

	snprintf(path, sizeof(path), "bus/pci/%04x:%02x/%02x.%x",
		 pci_domain_nr(pdev->bus), pdev->bus->number,
		 PCI_SLOT(pdev->devfn), PCI_FUNC(pdev->devfn));
	file = p2p_open(test, p2p_mount(test, "proc"), path, O_WRONLY);
	KUNIT_ASSERT_EQ(test, copy_to_user(user, &val, size), 0);
	KUNIT_EXPECT_EQ(test, vfs_write(file, user, size, &pos), size);
	kunit_release_action(test, p2p_close, file);
}

static const struct way {
	const char *name;
	config_writer write;
} ways[] = {
	{ "pci_write_config_*()", write_kernel },
	{ "pci_user_write_config_*()", write_user },
	{ "config in sysfs", write_sysfs },
	{ "/proc/bus/pci", write_procfs },
};

KUNIT_ARRAY_PARAM_DESC(way, ways, name);

/* The control register of dn1, which is the upper half of a DWORD */
static void write_ctrl(struct kunit *test, struct pci_kunit_tree *tree,
		       config_writer write, int size, u16 ctrl)
{
	write(test, pci_kunit_dev(tree, "dn1"),
	      size == 4 ? POS_CTRL - 2 : POS_CTRL, size,
	      size == 4 ? (u32)ctrl << 16 : ctrl);
	KUNIT_ASSERT_EQ(test, pci_kunit_acs(tree, "dn1"), ctrl);
}

/* The answer to both who plans and who maps, and that it is kept */
static void expect_answer(struct kunit *test, struct pci_kunit_tree *tree,
			  struct pci_dev *mem, int distance)
{
	unsigned long reads;

	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), distance);
	reads = pci_kunit_reads(tree, NULL);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), distance);
	KUNIT_EXPECT_EQ_MSG(test, pci_kunit_reads(tree, NULL), reads,
			    "a warm answer read registers");
	KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, mem, "nic"),
			distance < 0 ? PCI_P2PDMA_MAP_NOT_SUPPORTED :
				       PCI_P2PDMA_MAP_BUS_ADDR);
}

/*
 * Stock keeps the first answer for ever: after setpci, data goes where the
 * fabric does not take it, or on a detour, until the provider is bound anew.
 */
static void changed_control_is_noticed(struct kunit *test)
{
	config_writer write = ((const struct way *)test->param_value)->write;
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	struct pci_dev *dn1 = pci_kunit_dev(tree, "dn1");
	int size;

	for (size = 1; size <= 4; size *= 2) {
		expect_answer(test, tree, mem, 4);
		write_ctrl(test, tree, write, size, PCI_ACS_RR);
		expect_answer(test, tree, mem, -1);
		write_ctrl(test, tree, write, size, 0);
		expect_answer(test, tree, mem, 4);

		/* Who maps before anybody asks gets the new one, too */
		write_ctrl(test, tree, write, size, PCI_ACS_RR);
		KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, mem, "nic"),
				PCI_P2PDMA_MAP_NOT_SUPPORTED);
		write_ctrl(test, tree, write, size, PCI_ACS_EC);
		KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, mem, "nic"),
				PCI_P2PDMA_MAP_BUS_ADDR);

		/* The vector: the provider is below port 1 */
		write(test, dn1, POS_VECTOR, size, BIT(1));
		expect_answer(test, tree, mem, -1);
		write(test, dn1, POS_VECTOR, size, 0);
		expect_answer(test, tree, mem, 4);
	}
}

/* Which registers count, and which do not; each is written what it holds */
static void neighbours_keep_the_cache(struct kunit *test)
{
	static const struct {
		const char *name;
		int where, size;
		bool counts;
	} regs[] = {
		{ "mem", PCI_COMMAND, 2, false },
		{ "mem", PCI_BIST, 1, false },
		{ "mem", PCI_BASE_ADDRESS_0, 1, true },
		{ "mem", PCI_BASE_ADDRESS_4, 4, true },
		{ "dn1", PCI_PRIMARY_BUS, 4, true },
		{ "dn1", PCI_SUBORDINATE_BUS, 1, true },
		{ "dn1", PCI_PREF_LIMIT_UPPER32, 4, true },
		{ "dn1", PCI_IO_BASE_UPPER16, 2, false },
		{ "dn1", PCI_BRIDGE_CONTROL, 2, false },
		{ "dn1", PCI_KUNIT_POS_EXP + PCI_EXP_DEVCTL, 2, false },
		/* ARI Forwarding Enable: which functions there are, no more */
		{ "dn1", PCI_KUNIT_POS_EXP + PCI_EXP_DEVCTL2, 2, false },
		{ "dn1", PCI_KUNIT_POS_ACS, 4, false },
		{ "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 2, false },
		{ "dn1", PCI_KUNIT_POS_ACS + PCI_ACS_CAP, 4, true },
		{ "dn1", POS_CTRL, 1, true },
		{ "dn1", POS_CTRL + 1, 1, true },
		{ "dn1", POS_VECTOR + 31, 1, true },
		{ "dn1", POS_VECTOR + 32, 4, false },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CAP, 2, false },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL, 2, true },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL + 1, 1, true },
		{ "nic", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL + 2, 2, false },
		/* No ACS capability, no ATS capability, but such an offset */
		{ "dn6", POS_CTRL, 2, false },
		{ "mem", PCI_KUNIT_POS_ATS + PCI_ATS_CTRL, 2, false },
	};
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	unsigned long reads;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		p2p_ask(tree, mem, "nic");
		write_kernel(test, pci_kunit_dev(tree, regs[i].name),
			     regs[i].where, regs[i].size,
			     pci_kunit_get(tree, regs[i].name, regs[i].where,
					   regs[i].size));
		reads = pci_kunit_reads(tree, NULL);
		KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
		KUNIT_EXPECT_EQ_MSG(test, pci_kunit_reads(tree, NULL) != reads,
				    regs[i].counts, "%d bytes at %#x of %s",
				    regs[i].size, regs[i].where, regs[i].name);
	}
}

/*
 * Functions that ARI puts into groups: which bit of the vector counts depends
 * on the control registers of both (PCIe r6.x sec 7.8.8.3 and 7.7.11.4).
 */
static void changed_group_is_noticed(struct kunit *test)
{
	const int ctrl = POS_ARI + PCI_ARI_CTRL;
	struct pci_kunit_tree *tree = p2p_functions(test);
	struct pci_dev *f0 = pci_kunit_dev(tree, "f0");
	struct pci_dev *f2 = p2p_provider(test, tree, "f2");
	unsigned long reads;

	p2p_add_ari(tree, "f0", 0);
	p2p_add_ari(tree, "f2", ARI_GROUP(5));
	pci_kunit_set_mask(tree, "f0", ctrl, 2, U16_MAX);
	pci_kunit_set_mask(tree, "f2", ctrl, 2, U16_MAX);
	p2p_set_ctrl(tree, "f0", PCI_ACS_EC);
	p2p_set_vector(tree, "f0", BIT(5));

	/* By function, by group, in another group */
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), 2);
	pci_write_config_word(f0, ctrl, PCI_ARI_CTRL_ACS);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), -1);
	pci_write_config_word(f2, ctrl, ARI_GROUP(4));
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), 2);

	/* By its upper byte, with the capability register, in vain */
	pci_write_config_byte(f2, ctrl, ARI_GROUP(5));
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), -1);
	pci_write_config_dword(f0, POS_ARI + PCI_ARI_CAP, 0);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), 2);
	reads = pci_kunit_reads(tree, NULL);
	pci_write_config_word(f0, POS_ARI + PCI_ARI_CAP, 0);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), 2);
	KUNIT_EXPECT_EQ(test, pci_kunit_reads(tree, NULL), reads);

	/* A function that does not tell what was written to */
	KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, f2, "f0"),
			PCI_P2PDMA_MAP_BUS_ADDR);
	pci_kunit_set_access(tree, "f2", PCI_KUNIT_ACCESS_ALL_ONES);
	pci_write_config_word(f2, ctrl, ARI_GROUP(5));
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, f2, "f0"), -1);
}

/* The limit of it: I/O ports and /dev/mem lead past the kernel */
static void changes_behind_the_back_are_not_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");

	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	pci_p2pdma_routes_changed();
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
}

/* Stock gives the next device in a slot the verdict on the last one */
static void hotplug_is_noticed(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");

	expect_answer(test, tree, mem, 4);
	pci_kunit_remove(tree, "nic");
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, p2p_ask_type(tree, mem, "nic"),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	expect_answer(test, tree, mem, -1);

	/* Any removal will do */
	pci_kunit_set_acs(tree, "dn1", 0);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), -1);
	pci_kunit_remove(tree, "ep0");
	expect_answer(test, tree, mem, 4);
}

/* As the drive below an open disk, when another is put in its place */
static void removed_clients_have_no_verdict(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = p2p_provider(test, tree, "mem");
	struct pci_dev *old = pci_dev_get(pci_kunit_dev(tree, "nic"));

	expect_answer(test, tree, mem, 4);
	pci_kunit_remove(tree, "nic");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(pcim_p2pdma_provider(mem, 4),
						  &old->dev),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);

	/* Not that of its successor either, which is kept by the same address */
	pci_kunit_rescan(tree);
	pci_kunit_set_acs(tree, "dn1", 0);
	KUNIT_EXPECT_PTR_NE(test, pci_kunit_dev(tree, "nic"), old);
	expect_answer(test, tree, mem, 4);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, &old->dev, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_map_type(pcim_p2pdma_provider(mem, 4),
						  &old->dev),
			PCI_P2PDMA_MAP_NOT_SUPPORTED);
	pci_dev_put(old);
}

/* As one that an administrator chose by its address, and that was taken out */
static void removed_providers_have_no_verdict(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *old = pci_dev_get(p2p_provider(test, tree, "mem"));
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct pci_p2pdma_route route;

	expect_answer(test, tree, old, 4);
	pci_kunit_remove(tree, "mem");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(old, &nic->dev, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(old, &nic->dev, true), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(old, &nic->dev, &route), 0);
	KUNIT_EXPECT_EQ(test, route.type, PCI_P2PDMA_MAP_NOT_SUPPORTED);
	KUNIT_EXPECT_EQ(test, route.reason, PCI_P2PDMA_PORT_UNREADABLE);
	pci_dev_put(old);
}

static struct kunit_case p2pdma_verdict_cases[] = {
	KUNIT_CASE(warm_answers_read_nothing),
	KUNIT_CASE(route_type_is_for_functions),
	KUNIT_CASE(changed_policy_is_noticed),
	KUNIT_CASE(changed_topology_is_noticed),
	KUNIT_CASE(new_provider_starts_afresh),
	KUNIT_CASE(high_domains_are_not_confused),
	KUNIT_CASE_PARAM(changed_control_is_noticed, way_gen_params),
	KUNIT_CASE(neighbours_keep_the_cache),
	KUNIT_CASE(changed_group_is_noticed),
	KUNIT_CASE(changes_behind_the_back_are_not_noticed),
	KUNIT_CASE(hotplug_is_noticed),
	KUNIT_CASE(removed_clients_have_no_verdict),
	KUNIT_CASE(removed_providers_have_no_verdict),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_verdict_suite = {
	.name = "p2pdma_verdict",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_verdict_cases,
};

kunit_test_suite(p2pdma_verdict_suite);

MODULE_DESCRIPTION("KUnit tests of kept verdicts of peer-to-peer DMA");
MODULE_LICENSE("GPL");
