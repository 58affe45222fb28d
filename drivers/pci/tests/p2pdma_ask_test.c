// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how verdicts of peer-to-peer DMA are asked for and told: by
 * drivers, for one client or several, by programs through /dev/pci-p2pdma
 * (p2pdma_query.c), and in the kernel log.
 *
 * Cases whose comment begins with "Stock" are about a fault of the code that
 * this one replaces (Linux 6.12), and say what that did.
 */
#include <kunit/test.h>

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/seq_buf.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/uaccess.h>

#include "../p2pdma.h"
#include "p2pdma_test.h"

static void clients_that_are_not_pci(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct device *child = p2p_other_device(test, &nic->dev);
	struct device *grandchild = p2p_other_device(test, child);
	struct device *orphan = p2p_other_device(test, NULL);
	struct device *host = &pci_kunit_host(tree, "host")->dev;

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, child, false), 4);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, grandchild, true), 4);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, grandchild, false), -1);

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, orphan, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, orphan, true), -1);
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_distance(mem, p2p_other_device(test, orphan),
					    false),
			-1);
	/* Its host bridge is no function */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, host, false), -1);
}

/* As the NVMe target has one, which keeps a drive open that was unplugged */
static void clients_that_are_gone(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *nic = pci_dev_get(pci_kunit_dev(tree, "nic"));
	struct pci_p2pdma_route got;

	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, &nic->dev, false), 4);
	pci_kunit_remove(tree, "nic");
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, &nic->dev, false), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_distance(mem, &nic->dev, true), -1);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, &nic->dev, &got), 0);
	KUNIT_EXPECT_EQ(test, got.type, PCI_P2PDMA_MAP_NOT_SUPPORTED);
	KUNIT_EXPECT_EQ(test, got.reason, PCI_P2PDMA_PORT_UNREADABLE);
	pci_dev_put(nic);
}

static int sum_of(struct pci_dev *provider, struct device **clients, int count,
		  bool verbose)
{
	return pci_p2pdma_distance_many(provider, clients, count, verbose);
}

static void several_clients(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct device *clients[] = {
		&pci_kunit_dev(tree, "nic")->dev,
		&pci_kunit_dev(tree, "gpu")->dev,
		&mem->dev,
		&pci_kunit_dev(tree, "ep0")->dev,
		NULL,
	};

	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 1, false), 4);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 2, false), 10);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 3, false), 10);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 3, true), 10);
	/* One that cannot is enough */
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 4, false), -1);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients + 3, 1, true), -1);
	swap(clients[0], clients[3]);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 4, true), -1);

	/* Nobody asks for nothing */
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, 0, true), -1);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients, -1, false), -1);
	KUNIT_EXPECT_EQ(test, sum_of(mem, NULL, 1, false), -1);
	KUNIT_EXPECT_EQ(test, sum_of(NULL, clients, 1, false), -1);
	KUNIT_EXPECT_EQ(test, sum_of(mem, clients + 4, 1, true), -1);
}

static void drivers_ask_for_a_route(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;
	struct device *child =
		p2p_other_device(test, p2p_other_device(test, nic));
	struct device *orphan = p2p_other_device(test, NULL);
	struct pci_p2pdma_route got;
	unsigned long reads;

	/* Of a device that has registered nothing, by one that is not PCI */
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, child, &got), 0);
	KUNIT_EXPECT_EQ(test, got.type, PCI_P2PDMA_MAP_BUS_ADDR);
	KUNIT_EXPECT_EQ(test, got.distance, 4);

	/* By one without anything PCI above it */
	memset(&got, 0xff, sizeof(got));
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, orphan, &got), -ENODEV);
	KUNIT_EXPECT_EQ(test, got.type, PCI_P2PDMA_MAP_NOT_SUPPORTED);
	KUNIT_EXPECT_EQ(test, got.reason, PCI_P2PDMA_NO_PCI_CLIENT);
	KUNIT_EXPECT_FALSE(test, got.override);
	KUNIT_EXPECT_TRUE(test, !got.request_port && !got.completion_port &&
			  !got.up_port);

	/* Ports */
	p2p_expect_ports(test, tree, "mem", "nic", NULL, NULL, NULL);
	p2p_set_ctrl(tree, "dn1", PCI_ACS_RR);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", NULL, NULL);
	p2p_set_ctrl(tree, "dn0", PCI_ACS_CR);
	p2p_expect_ports(test, tree, "mem", "nic", "dn1", "dn0", NULL);
	p2p_expect_ports(test, tree, "nic", "mem", NULL, NULL, NULL);

	/* It is decided afresh, and nothing is kept of it */
	p2p_provider(test, tree, "mem");
	pci_kunit_set_acs(tree, "dn1", 0);
	pci_kunit_set_acs(tree, "dn0", 0);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, nic, &got), 0);
	reads = pci_kunit_reads(tree, NULL);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
	KUNIT_EXPECT_GT(test, pci_kunit_reads(tree, NULL), reads);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);
	KUNIT_EXPECT_EQ(test, pci_p2pdma_route(mem, nic, &got), 0);
	KUNIT_EXPECT_EQ(test, got.reason, PCI_P2PDMA_HOST_NOT_LISTED);
	KUNIT_EXPECT_EQ(test, p2p_ask(tree, mem, "nic"), 4);
}

/* The provider that is found, if it is always the same one */
static struct pci_dev *always_found(struct device *client)
{
	struct pci_dev *first = pci_p2pmem_find(client), *found = first;
	unsigned int i;

	for (i = 0; i < 64 && found == first; i++) {
		pci_dev_put(found);
		found = pci_p2pmem_find(client);
	}
	pci_dev_put(found);
	return found == first ? first : NULL;
}

/* Nodes need not exist to be near or far */
static void prefers_the_nearer_node(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric_of(test, LISTED, 0);
	struct pci_dev *ssd = p2p_provider(test, tree, "ssd");
	struct pci_dev *ep = p2p_provider(test, tree, "ep0");
	struct device *nic = &pci_kunit_dev(tree, "nic")->dev;
	struct pci_dev *mem;

	if (!IS_ENABLED(CONFIG_NUMA))
		kunit_skip(test, "needs CONFIG_NUMA");

	pci_p2pmem_publish(ssd, true);
	pci_p2pmem_publish(ep, true);
	KUNIT_ASSERT_EQ(test, p2p_ask(tree, ssd, "nic"),
			p2p_ask(tree, ep, "nic"));

	/* Who is at no node is as near as can be */
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(nic, 0);
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(&ep->dev, 0);
	KUNIT_EXPECT_NULL(test, always_found(nic));

	set_dev_node(&ssd->dev, 1);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), ep);
	set_dev_node(&ep->dev, 1);
	KUNIT_EXPECT_NULL(test, always_found(nic));
	set_dev_node(&ssd->dev, 0);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), ssd);

	/* Fewer links go before nearer nodes */
	mem = p2p_provider(test, tree, "mem");
	pci_p2pmem_publish(mem, true);
	set_dev_node(&mem->dev, 1);
	KUNIT_EXPECT_PTR_EQ(test, always_found(nic), mem);
}

/* Programs ---------------------------------------------------------------- */

static void expect_function(struct kunit *test,
			    const struct pci_p2pdma_function *got,
			    const struct pci_dev *pdev)
{
	struct pci_p2pdma_function want = p2p_function(pdev);

	want.present = !!pdev;
	KUNIT_EXPECT_MEMEQ(test, got, &want, sizeof(want));
}

static void programs_ask_for_a_route(struct kunit *test)
{
	static const char * const pairs[][2] = {
		{ "mem", "nic" }, { "nic", "mem" }, { "mem", "mem" },
		{ "ssd", "gpu" }, { "ep0", "nic" }, { "nic", "nic1" },
		{ "up0", "ep0" },
	};
	struct pci_kunit_tree *tree = p2p_fabric_of(test, LISTED, 0);
	char __user *user = p2p_user_memory(test, PAGE_SIZE);
	struct file *file = p2p_open_query(test);
	struct pci_p2pdma_route route;
	struct pci_p2pdma_query q;
	unsigned int i, step;
	char uevent[128];
	u32 type;

	/* Anybody may */
	p2p_read(test, test->priv, "class/misc/pci-p2pdma/uevent", uevent,
		 sizeof(uevent));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(uevent, "DEVMODE=0444"), "%s",
				  uevent);

	for (step = 0; step < 4; step++) {
		switch (step) {
		case 1:
			p2p_set_ctrl(tree, "dn1", PCI_ACS_RR);
			break;
		case 2:
			p2p_set_ctrl(tree, "dn0", PCI_ACS_CR);
			p2p_set_ctrl(tree, "nic1", PCI_ACS_RR);
			break;
		case 3:
			p2p_set_ctrl(tree, "dn3", PCI_ACS_RR | PCI_ACS_EC);
			p2p_set_vector(tree, "dn3", U32_MAX);
			break;
		}
		for (i = 0; i < ARRAY_SIZE(pairs); i++) {
			q = p2p_question(tree, pairs[i][0], pairs[i][1]);
			KUNIT_ASSERT_EQ(test, p2p_query(test, file, user, &q),
					0);
			pci_p2pdma_route(pci_kunit_dev(tree, pairs[i][0]),
					 &pci_kunit_dev(tree, pairs[i][1])->dev,
					 &route);
			type = route.type == PCI_P2PDMA_MAP_BUS_ADDR ?
				PCI_P2PDMA_ROUTE_DIRECT :
			       route.type == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE ?
				PCI_P2PDMA_ROUTE_HOST : PCI_P2PDMA_ROUTE_NONE;
			KUNIT_EXPECT_EQ(test, q.type, type);
			KUNIT_EXPECT_EQ(test, q.reason, route.reason);
			KUNIT_EXPECT_EQ(test, q.distance, route.distance);
			KUNIT_EXPECT_EQ(test, q.verdict, 0);
			expect_function(test, &q.request_port,
					route.request_port);
			expect_function(test, &q.completion_port,
					route.completion_port);
			expect_function(test, &q.up_port, route.up_port);
		}
	}

	/* What the provider has to offer */
	p2p_provider(test, tree, "mem");
	q = p2p_question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_PROVIDES);
	pci_p2pmem_publish(pci_kunit_dev(tree, "mem"), true);
	q = p2p_question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, PCI_P2PDMA_VERDICT_PROVIDES |
			PCI_P2PDMA_VERDICT_PUBLISHED);
	pci_kunit_unbind(tree, "mem");
	q = p2p_question(tree, "mem", "nic");
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.verdict, 0);
}

static void programs_ask_wrongly(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	char __user *user = p2p_user_memory(test, 2 * PAGE_SIZE);
	char __user *end = user + 2 * PAGE_SIZE;
	struct pci_p2pdma_query q, good = p2p_question(tree, "mem", "nic");
	struct file *file = p2p_open_query(test);
	u32 tail;

	/* Not answered, and not written to */
#define REFUSED(_error, _change)					\
do {									\
	q = good;							\
	_change;							\
	KUNIT_EXPECT_EQ_MSG(test, p2p_query(test, file, user, &q), _error,	\
			    #_change);					\
	KUNIT_EXPECT_EQ_MSG(test, q.type, U32_MAX, #_change);		\
} while (0)
	REFUSED(-EINVAL, q.size = 0);
	REFUSED(-EINVAL, q.size = PCI_P2PDMA_QUERY_SIZE_VER0 - 1);
	REFUSED(-EINVAL, q.flags = 1);
	REFUSED(-EINVAL, q.flags = BIT(31));
	REFUSED(-EINVAL, q.provider.present = 1);
	REFUSED(-EINVAL, q.provider.reserved = 1);
	REFUSED(-EINVAL, q.client.present = 1);
	REFUSED(-EINVAL, q.client.reserved = 1);
	REFUSED(-ENODEV, q.provider.domain++);
	REFUSED(-ENODEV, q.provider.domain = U32_MAX);
	REFUSED(-ENODEV, q.client.bus = 0xff);
	REFUSED(-ENODEV, q.client.devfn = 0xff);
#undef REFUSED

	/* A longer question, of which the kernel does not know the end */
	tail = 1;
	q = good;
	q.size = sizeof(q) + sizeof(tail);
	KUNIT_ASSERT_EQ(test, copy_to_user(user + sizeof(q), &tail,
					   sizeof(tail)), 0);
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), -E2BIG);
	KUNIT_EXPECT_EQ(test, q.type, U32_MAX);
	tail = 0;
	KUNIT_ASSERT_EQ(test, copy_to_user(user + sizeof(q), &tail,
					   sizeof(tail)), 0);
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_DIRECT);

	/* No question is so long that zeros would have to be looked for */
	q = good;
	q.size = PAGE_SIZE + 1;
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), -E2BIG);

	/* The smallest */
	q = good;
	q.size = PCI_P2PDMA_QUERY_SIZE_VER0;
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
	KUNIT_EXPECT_EQ(test, q.type, PCI_P2PDMA_ROUTE_DIRECT);

	/* Something else */
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY + 1,
					(unsigned long)user), -ENOTTY);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, 0, 0), -ENOTTY);

	/* From nowhere, from the kernel, from across the end of the memory */
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY, 0),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY,
					(unsigned long)&good), -EFAULT);
	KUNIT_ASSERT_EQ(test, copy_to_user(end - 8, &good, 8), 0);
	KUNIT_EXPECT_EQ(test, vfs_ioctl(file, PCI_P2PDMA_IOC_QUERY,
					(unsigned long)end - 8), -EFAULT);

	/* The device is open while a function goes */
	pci_kunit_remove(tree, "nic");
	q = good;
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), -ENODEV);
	pci_kunit_rescan(tree);
	q = good;
	KUNIT_EXPECT_EQ(test, p2p_query(test, file, user, &q), 0);
}

/* What is said ------------------------------------------------------------ */

/* Number of lines since the mark that contain @text; the last is returned */
static unsigned int log_last(struct kmsg_dump_iter *iter, const char *text,
			     char *line)
{
	char *buf __free(kfree) = kmalloc(LOG_LINE, GFP_KERNEL);
	unsigned int n = 0;
	size_t len;

	while (buf &&
	       kmsg_dump_get_line(iter, false, buf, LOG_LINE - 1, &len)) {
		buf[len] = '\0';
		if (!strstr(buf, text))
			continue;
		strscpy(line, buf, LOG_LINE);
		n++;
	}
	return n;
}

/*
 * Stock passes the number of redirecting ports for the flag that tells whether
 * to print: it prints when told to be quiet, and does not say that there is no
 * common bridge when asked.
 */
static void speaks_only_when_asked(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	struct pci_dev *mem = pci_kunit_dev(tree, "mem");
	struct pci_dev *nic = pci_kunit_dev(tree, "nic");
	struct device *clients[] = {
		&nic->dev,
		&pci_kunit_dev(tree, "ep0")->dev,
		&pci_kunit_dev(tree, "gpu")->dev,
		p2p_other_device(test, NULL),
	};
	char *line = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);
	struct kmsg_dump_iter iter;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, line);
	pci_kunit_set_acs(tree, "dn1", PCI_ACS_RR);

	p2p_log_mark(&iter);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		pci_p2pdma_distance(mem, clients[i], false);
	KUNIT_EXPECT_EQ(test, log_last(&iter, "peer-to-peer", line), 0);

	/* One line for each, also for those after the first that cannot */
	KUNIT_EXPECT_EQ(test,
			pci_p2pdma_distance_many(mem, clients,
						 ARRAY_SIZE(clients), true),
			-1);
	KUNIT_EXPECT_EQ(test, log_last(&iter, "peer-to-peer", line),
			ARRAY_SIZE(clients));

	/* No common port */
	pci_p2pdma_distance(mem, clients[1], true);
	KUNIT_EXPECT_EQ(test, log_last(&iter, "peer-to-peer", line), 1);
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, pci_name(mem)));
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, dev_name(clients[1])));
	KUNIT_EXPECT_NOT_NULL(test, strstr(line, "8086:29c0"));
	KUNIT_EXPECT_NULL(test, strstr(line, "pci="));
}

static void describe(struct kunit *test, struct pci_kunit_tree *tree,
		     const char *provider, const char *client, char *text)
{
	struct pci_dev *p = pci_kunit_dev(tree, provider);
	struct pci_dev *c = pci_kunit_dev(tree, client);
	struct pci_p2pdma_route route;
	struct seq_buf s;

	pci_p2pdma_route_decide(p, c, &route);
	seq_buf_init(&s, text, LOG_LINE);
	pci_p2pdma_route_describe(&s, p, c, &route);
	seq_buf_str(&s);
	KUNIT_EXPECT_FALSE(test, seq_buf_has_overflowed(&s));
}

/* The text ends with the parameter for these ports, in quotes, or has none */
static void expect_remedy(struct kunit *test, struct pci_kunit_tree *tree,
			  const char *text, const char *a, const char *b)
{
	const char *at = strstr(text, "\"pci=");
	char want[128];

	if (!a) {
		KUNIT_EXPECT_NULL_MSG(test, strstr(text, "pci="), "%s", text);
		return;
	}
	snprintf(want, sizeof(want), "\"pci=disable_acs_redir=%s%s%s\"",
		 pci_name(pci_kunit_dev(tree, a)), b ? ";" : "",
		 b ? pci_name(pci_kunit_dev(tree, b)) : "");
	KUNIT_ASSERT_NOT_NULL_MSG(test, at, "%s", text);
	KUNIT_EXPECT_STREQ(test, at, want);
}

static void names_the_remedy(struct kunit *test)
{
	struct pci_kunit_tree *tree = p2p_fabric(test);
	char *text = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);

	describe(test, tree, "mem", "nic", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "directly"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "(distance 4)"));
	expect_remedy(test, tree, text, NULL, NULL);

	/* Ports that redirect, but have no say, are not named */
	pci_kunit_set_acs(tree, "up0", PCI_ACS_RR | PCI_ACS_CR);
	pci_kunit_set_acs(tree, "rp0", PCI_ACS_RR | PCI_ACS_CR);
	pci_kunit_set_acs(tree, "dn3", PCI_ACS_RR | PCI_ACS_CR);

	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	describe(test, tree, "mem", "gpu", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "cannot reach"));
	expect_remedy(test, tree, text, "dn2", NULL);

	pci_kunit_set_acs(tree, "dn2", 0);
	pci_kunit_set_acs(tree, "dn0", PCI_ACS_CR);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, "dn0", NULL);

	pci_kunit_set_acs(tree, "dn2", PCI_ACS_RR);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, "dn2", "dn0");

	/* Also where the route works, but takes a detour */
	pci_kunit_pretend_cpu(X86_VENDOR_AMD, 0x19);
	describe(test, tree, "mem", "gpu", text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "through the host bridge"));
	expect_remedy(test, tree, text, "dn2", "dn0");

	/* Not where no parameter helps */
	pci_kunit_set_access(tree, "dn2", PCI_KUNIT_ACCESS_ALL_ONES);
	describe(test, tree, "mem", "gpu", text);
	expect_remedy(test, tree, text, NULL, NULL);
}

#define DEEP_LEVELS	8

/*
 * Stock gathers the names of all redirecting ports in a buffer of 128 bytes:
 * with ten of them it writes a byte beyond its end, and prints a parameter that
 * is cut short.
 */
static void many_redirecting_ports(struct kunit *test)
{
	struct pci_kunit_node *nodes, *node;
	char names[2][DEEP_LEVELS][2][8];
	struct pci_kunit_tree *tree;
	const char *parent;
	unsigned int i, k;
	char *text;

	text = kunit_kzalloc(test, LOG_LINE, GFP_KERNEL);
	nodes = kunit_kcalloc(test, 5 + 4 * DEEP_LEVELS, sizeof(*nodes),
			      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, nodes);

	/* Two towers of switches below one, all ports of which redirect */
	node = nodes;
	*node++ = (struct pci_kunit_node){ "host", NULL, PCI_KUNIT_HOST_BRIDGE,
					   INTEL_HOST(UNLISTED) };
	*node++ = (struct pci_kunit_node){ "rp", "host", PCI_KUNIT_ROOT_PORT,
					   .devfn = PCI_DEVFN(1, 0) };
	*node++ = (struct pci_kunit_node){ "up", "rp",
					   PCI_KUNIT_UPSTREAM_PORT };
	for (k = 0; k < 2; k++) {
		parent = "up";
		for (i = 0; i < DEEP_LEVELS; i++) {
			snprintf(names[k][i][0], 8, "d%u.%u", k, i);
			snprintf(names[k][i][1], 8, "u%u.%u", k, i);
			*node++ = (struct pci_kunit_node){
				names[k][i][0], parent,
				PCI_KUNIT_DOWNSTREAM_PORT,
				.devfn = PCI_DEVFN(i ? 0 : k, 0),
				.acs = PCI_KUNIT_ACS(ACS_ALL, PCI_ACS_RR |
						     PCI_ACS_CR),
			};
			parent = names[k][i][0];
			if (i == DEEP_LEVELS - 1)
				break;
			*node++ = (struct pci_kunit_node){
				names[k][i][1], parent, PCI_KUNIT_UPSTREAM_PORT,
			};
			parent = names[k][i][1];
		}
		*node++ = (struct pci_kunit_node){ k ? "nic" : "mem", parent,
						   PCI_KUNIT_ENDPOINT };
	}
	tree = pci_kunit_create(test, nodes, node - nodes);

	p2p_expect_none(test, tree, "mem", "nic", PCI_P2PDMA_HOST_NOT_LISTED,
			4 * DEEP_LEVELS, "d1.0", "d0.0");
	describe(test, tree, "mem", "nic", text);
	expect_remedy(test, tree, text, "d1.0", "d0.0");

	/* The two that it names are enough */
	pci_kunit_set_acs(tree, "d1.0", 0);
	pci_kunit_set_acs(tree, "d0.0", 0);
	p2p_expect_direct(test, tree, "mem", "nic", PCI_P2PDMA_COMMON_SWITCH,
			  4 * DEEP_LEVELS);
}

/* Scripts and tracing rely on one word for each */
static void names_are_words(struct kunit *test)
{
	int i, k;

	for (i = PCI_P2PDMA_SAME_FUNCTION; i <= PCI_P2PDMA_HOST_BRIDGES_APART;
	     i++) {
		const char *name = pci_p2pdma_reason_name(i);

		KUNIT_ASSERT_NOT_NULL(test, name);
		KUNIT_EXPECT_GT(test, strlen(name), 0);
		KUNIT_EXPECT_NULL_MSG(test, strpbrk(name, " =\t"), "%s", name);
		for (k = PCI_P2PDMA_SAME_FUNCTION; k < i; k++)
			KUNIT_EXPECT_STRNEQ(test, name,
					    pci_p2pdma_reason_name(k));
	}
	KUNIT_EXPECT_STREQ(test, pci_p2pdma_type_name(PCI_P2PDMA_MAP_BUS_ADDR),
			   "bus-address");
	KUNIT_EXPECT_STREQ(test,
			   pci_p2pdma_type_name(PCI_P2PDMA_MAP_THRU_HOST_BRIDGE),
			   "host-bridge");
	KUNIT_EXPECT_STREQ(test,
			   pci_p2pdma_type_name(PCI_P2PDMA_MAP_NOT_SUPPORTED),
			   "unsupported");
}

static struct kunit_case p2pdma_ask_cases[] = {
	KUNIT_CASE(clients_that_are_not_pci),
	KUNIT_CASE(clients_that_are_gone),
	KUNIT_CASE(several_clients),
	KUNIT_CASE(drivers_ask_for_a_route),
	KUNIT_CASE(prefers_the_nearer_node),
	KUNIT_CASE(programs_ask_for_a_route),
	KUNIT_CASE(programs_ask_wrongly),
	KUNIT_CASE(speaks_only_when_asked),
	KUNIT_CASE(names_the_remedy),
	KUNIT_CASE(many_redirecting_ports),
	KUNIT_CASE(names_are_words),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_ask_suite = {
	.name = "p2pdma_ask",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_ask_cases,
};

kunit_test_suite(p2pdma_ask_suite);

MODULE_DESCRIPTION("KUnit tests of who asks for routes of peer-to-peer DMA");
MODULE_LICENSE("GPL");
