// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of p2pmem-pci, the provider of the memory behind any BAR, with what
 * administrators write to its files by chance.
 *
 * What a line asks for, and whether it may be had, is known from a second reading
 * of it, by Documentation/ABI/testing/sysfs-driver-p2pmem-pci and not by the code of
 * the driver.  A line that is accepted must give the memory, or the disk, that it asks
 * for and no other; one that is refused must change nothing.  How cases are made is
 * told in p2pdma_fuzz.c.
 *
 *   host ─── 01.0 rp ── mem    BAR 0 4 MiB, BAR 2 8 MiB, BAR 4 I/O ports
 *
 * BAR 2 is not prefetchable, and holds the interrupt table.  Now and then somebody
 * else has BAR 0.
 */
#include <kunit/test.h>

#include <linux/blkdev.h>
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/hex.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "p2pdma_bench.h"
#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

#define CASES		6000

#define DRIVER		"p2pmem-pci"
#define PATH		80
#define TEXT		SZ_4K

/* The driver is given the device anew when it has accepted so many lines */
#define MOST_PIECES	8

/* The interrupt table, of 2048 vectors, and those that wait, in BAR 2 */
#define MSIX_CAP	0xb0
#define TABLE		(SZ_4M + SZ_2M + SZ_64K)
#define TABLE_BYTES	SZ_32K
#define PENDING		(SZ_4M + SZ_2M + SZ_1M)
#define PENDING_BYTES	SZ_256

/* Why a line may be refused, as bits */
#define WRONG		BIT(0)	/* EINVAL */
#define IN_USE		BIT(1)	/* EBUSY */
#define FORBIDDEN	BIT(2)	/* EPERM */

/* What a line is damaged with */
#define ALPHABET	"0123456789abcdefxXKMGTkmgi=+-,:. \t\n\v\roffsetbarsizforce%\x7f\xff"

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp", PCI_KUNIT_ENDPOINT,
	  .bar = { [0] = { .size = SZ_4M }, [2] = { .size = SZ_8M },
		   [4] = { .size = SZ_32, .type = PCI_KUNIT_BAR_IO } } },
};

/**
 * struct piece - what a line asks for
 * @bar: number of the BAR, or -1
 * @offset: where it begins there
 * @size: number of bytes; 0 stands for the rest
 * @combining: writes may be combined
 * @block: it is to be a disk
 * @force: there are no side effects
 * @memory: what has been allocated of it, which is all
 */
struct piece {
	int bar;
	u64 offset;
	u64 size;
	bool combining;
	bool block;
	bool force;
	void *memory;
};

/**
 * struct bench - the device, and what must be true of it
 * @test: the test
 * @mem: the device
 * @override: path of its file driver_override
 * @offer: its file offer while the driver has it, or NULL
 * @publish: its file publish
 * @published: what that must say
 * @taken: somebody else has BAR 0
 * @pieces: what has been offered
 * @nr: how many
 * @text: what is written
 * @scratch: a copy of it, to take apart
 * @shown: what offer must show
 * @got: what a file shows
 */
struct bench {
	struct kunit *test;
	struct pci_dev *mem;
	char override[PATH];
	struct file *offer;
	struct file *publish;
	bool published;
	bool taken;
	struct piece pieces[MOST_PIECES];
	unsigned int nr;
	char text[TEXT];
	char scratch[TEXT];
	char shown[SZ_1K];
	char got[SZ_1K];
};

/* The device and its driver ------------------------------------------------- */

static struct file *open_control(struct bench *b, const char *name)
{
	char path[PATH];

	snprintf(path, PATH, "bus/pci/devices/%s/p2pmem_pci/%s",
		 pci_name(b->mem), name);
	return p2p_open(b->test, b->test->priv, path, O_RDWR);
}

static const char *give_to_driver(struct bench *b, bool taken)
{
	struct device_driver *driver = driver_find(DRIVER, &pci_bus_type);

	if (taken && pci_request_region(b->mem, 0, "somebody"))
		return "BAR 0 was not free";
	b->taken = taken;
	if (p2p_write(b->test, b->test->priv, b->override, DRIVER) ||
	    device_driver_attach(driver, &b->mem->dev))
		return "the driver does not take the device";
	b->offer = open_control(b, "offer");
	b->publish = open_control(b, "publish");
	b->published = true;
	b->nr = 0;
	b->shown[0] = '\0';
	return NULL;
}

static int add_disk_size(struct device *dev, void *size)
{
	if (dev->class == &block_class)
		*(u64 *)size += get_capacity(dev_to_disk(dev)) << SECTOR_SHIFT;
	return 0;
}

/* How many bytes the disks of the device have */
static u64 disk_size(struct bench *b)
{
	u64 size = 0;

	device_for_each_child(&b->mem->dev, &size, add_disk_size);
	return size;
}

static const char *take_from_driver(struct bench *b)
{
	unsigned int i;

	if (!b->offer)
		return NULL;
	kunit_release_action(b->test, p2p_close, b->offer);
	kunit_release_action(b->test, p2p_close, b->publish);
	b->offer = NULL;
	for (i = 0; i < b->nr; i++)
		if (b->pieces[i].memory)
			pci_free_p2pmem(b->mem, b->pieces[i].memory,
					b->pieces[i].size);
	device_release_driver(&b->mem->dev);
	if (b->taken)
		pci_release_region(b->mem, 0);
	return rcu_access_pointer(b->mem->p2pdma) || disk_size(b) ?
		"something is left of what was offered" : NULL;
}

static bool shows(struct bench *b, struct file *file, const char *want)
{
	loff_t pos = 0;
	ssize_t size = kernel_read(file, b->got, sizeof(b->got) - 1, &pos);

	if (size < 0)
		return false;
	b->got[size] = '\0';
	return !strcmp(b->got, want);
}

/* Is the device as the pieces say? */
static const char *compare(struct bench *b)
{
	u64 memory = 0, disks = 0;
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		*(b->pieces[i].block ? &disks : &memory) += b->pieces[i].size;
	if (!shows(b, b->offer, b->shown))
		return "other offers are shown";
	if (!shows(b, b->publish, b->published ? "1\n" : "0\n"))
		return "publish is shown otherwise";
	if (bench_size(b->mem) != memory || bench_available(b->mem))
		return "another amount of memory is provided";
	if (disk_size(b) != disks)
		return "the disks have another size";
	if (pci_has_p2pmem(b->mem) != (memory && b->published))
		return "found by others, or not";
	return NULL;
}

/* What a line asks for ------------------------------------------------------ */

/* Digits as in C: after 0x hexadecimal ones, after 0 octal ones */
static bool read_digits(const char *text, size_t len, u64 *value)
{
	unsigned int base = 10;
	int digit;

	if (len > 2 && text[0] == '0' && tolower(text[1]) == 'x') {
		base = 16;
		text += 2;
		len -= 2;
	} else if (len > 1 && text[0] == '0') {
		base = 8;
	}
	if (!len)
		return false;

	for (*value = 0; len; text++, len--) {
		digit = hex_to_bin(*text);
		if (digit < 0 || digit >= base ||
		    check_mul_overflow(*value, (u64)base, value) ||
		    check_add_overflow(*value, (u64)digit, value))
			return false;
	}
	return true;
}

/* A number of bytes; nobody needs more than 31 characters for one */
static bool read_bytes(const char *text, u64 *value)
{
	static const char units[] = "kmg";
	size_t len = strlen(text);
	const char *unit;
	u64 factor = 1;

	if (!len || len > 31)
		return false;
	unit = strchr(units, tolower(text[len - 1]));
	if (unit) {
		factor = 1ULL << 10 * (unit - units + 1);
		len--;
	}
	return read_digits(text, len, value) &&
	       !check_mul_overflow(*value, factor, value);
}

static bool read_bar(const char *text, int *bar)
{
	bool minus = *text == '-';
	u64 value;

	if (*bar >= 0)
		return false;
	if (minus || *text == '+')
		text++;
	if (!read_digits(text, strlen(text), &value) ||
	    value >= PCI_STD_NUM_BARS || (minus && value))
		return false;
	*bar = value;
	return true;
}

/* The value of a word NAME=VALUE, or NULL if it is another word */
static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strlen(word) > len && !memcmp(word, name, len) &&
	       word[len] == '=' ? word + len + 1 : NULL;
}

static bool read_word(const char *word, struct piece *p)
{
	bool combining = !strcmp(word, "write-combining");
	bool block = !strcmp(word, "block");
	bool force = !strcmp(word, "force");

	p->combining |= combining;
	p->block |= block;
	p->force |= force;
	if (value_of(word, "bar"))
		return read_bar(value_of(word, "bar"), &p->bar);
	if (value_of(word, "offset"))
		return read_bytes(value_of(word, "offset"), &p->offset);
	if (value_of(word, "size"))
		return read_bytes(value_of(word, "size"), &p->size) && p->size;
	return !*word || combining || block || force;
}

/* Is the line one that can be understood?  Then @p is what it asks for. */
static bool read_line(struct bench *b, struct piece *p)
{
	char *rest = b->scratch, *word;

	*p = (struct piece) { .bar = -1 };
	strscpy(rest, b->text, TEXT);
	while ((word = strsep(&rest, " \t\n")))
		if (!read_word(word, p))
			return false;
	return p->bar >= 0;
}

static bool have_common(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return max(a, b) < min(a + a_size, b + b_size);
}

/* All that is wrong with a piece; fills in its size */
static unsigned int what_is_wrong(struct bench *b, struct piece *p)
{
	u64 unit = p->block ? PAGE_SIZE : SZ_2M;
	u64 len = p->bar == 0 ? SZ_4M : SZ_8M;
	unsigned int wrong = 0, i;

	if ((p->bar != 0 && p->bar != 2) || (p->bar == 0 && b->taken))
		return IN_USE;
	if (p->offset >= len || p->size > len - p->offset)
		return WRONG;
	if (!p->size)
		p->size = len - p->offset;

	if (p->offset % unit || p->size % unit)
		wrong |= WRONG;
	for (i = 0; i < b->nr; i++)
		if (b->pieces[i].bar == p->bar &&
		    have_common(b->pieces[i].offset, b->pieces[i].size,
				p->offset, p->size))
			wrong |= IN_USE;
	if (p->bar == 2 &&
	    (!p->force ||
	     have_common(p->offset, p->size, TABLE, TABLE_BYTES) ||
	     have_common(p->offset, p->size, PENDING, PENDING_BYTES)))
		wrong |= FORBIDDEN;
	return wrong;
}

static unsigned int reason_of(int error)
{
	switch (error) {
	case -EINVAL:
		return WRONG;
	case -EBUSY:
		return IN_USE;
	case -EPERM:
		return FORBIDDEN;
	default:
		return 0;
	}
}

/* Lines --------------------------------------------------------------------- */

static void make_bytes(struct fuzz *f, char *word, const char *name, u64 near)
{
	static const char * const formats[] = {
		"%s=%llu", "%s=%llu", "%s=%#llx", "%s=%#llX", "%s=0%llo",
		"%s=%lluK", "%s=%llum", "%s=%lluG", "%s=%#llxk", "%s=-%llu",
		"%s=+%llu", "%s=%lluKi", "%s=%lluT", "%s= %llu", "%s=%llu%%",
		"%s=%032llu", "%s=%lld",
	};
	u64 value;

	switch (fuzz_draw(f, 8)) {
	case 0:
		value = fuzz_number(f, near);
		break;
	case 1:
		value = fuzz_draw(f, near / PAGE_SIZE) * PAGE_SIZE;
		break;
	case 2:
		/* What is right once it has been cut to 64 bits */
		value = (1ULL << (24 + 10 * fuzz_draw(f, 3))) * SZ_1K +
			fuzz_draw(f, 8);
		break;
	case 3:
		/* As a number of KiB or MiB, for the units */
		value = near >> (fuzz_chance(f, 2) ? 10 : 20);
		break;
	default:
		value = fuzz_draw(f, near / SZ_2M + 1) * (u64)SZ_2M;
		break;
	}
	snprintf(word, PATH, formats[fuzz_chance(f, 2) ? 0 :
				     fuzz_draw(f, ARRAY_SIZE(formats))],
		 name, value);
}

static void make_word(struct fuzz *f, char *word, unsigned int bar)
{
	static const char * const right[] = {
		"force", "force", "force", "block", "block", "write-combining",
		"",
	};
	static const char * const wrong[] = {
		"bar", "bar=", "BAR=0", "bars=0", "bar=0,2", "bar=6", "bar=-1",
		"bar=-0", "bar=4294967296", "bar=0K", "bar==0", "bar:0", "=", "-",
		"0", "size", "size=", "size=0", "size=all", "size=0x", "offset",
		"offset=", "offset=K", "write_combining", "write-combining=1",
		"write", "combining", "Force", "forced", "force=0", "noforce",
		"blocks", "block=1", "cached", "%s%n", "\x80", "bar=0\v",
	};
	u64 near = bar == 0 ? SZ_4M : SZ_8M;

	switch (fuzz_draw(f, 32)) {
	case 0 ... 7:
		make_bytes(f, word, "offset", near);
		break;
	case 8 ... 17:
		make_bytes(f, word, "size", near);
		break;
	case 18:
		snprintf(word, PATH, "bar=%u", fuzz_draw(f, 8));
		break;
	case 19:
		strscpy(word, wrong[fuzz_draw(f, ARRAY_SIZE(wrong))], PATH);
		break;
	default:
		strscpy(word, right[fuzz_draw(f, ARRAY_SIZE(right))], PATH);
		break;
	}
}

static void make_line(struct fuzz *f, char *text)
{
	static const char * const bars[] = {
		"bar=%u", "bar=%u", "bar=%u", "bar=%#x", "bar=0%o", "bar=+%u",
	};
	static const char * const gaps[] = { " ", " ", "  ", "\t", "\n", "," };
	unsigned int bar = fuzz_chance(f, 8) ? fuzz_draw(f, 6) :
					       2 * fuzz_draw(f, 2);
	unsigned int words = 1 + fuzz_draw(f, 4), at = fuzz_draw(f, words);
	char word[PATH];
	unsigned int i;

	text[0] = '\0';
	/* Up to nearly all that a file in sysfs takes at once */
	if (fuzz_chance(f, 64)) {
		i = fuzz_draw(f, TEXT - 256);
		memset(text, fuzz_chance(f, 2) ? ' ' : 'b', i);
		text[i] = '\0';
	}
	for (i = 0; i < words; i++) {
		if (i == at)
			snprintf(word, PATH, bars[fuzz_draw(f, ARRAY_SIZE(bars))],
				 bar);
		else
			make_word(f, word, bar);
		if (i)
			strlcat(text, fuzz_chance(f, 8) ?
				gaps[fuzz_draw(f, ARRAY_SIZE(gaps))] : " ", TEXT);
		strlcat(text, word, TEXT);
	}
	if (fuzz_chance(f, 32)) {
		i = fuzz_draw(f, 64);
		prandom_bytes_state(&f->rnd, text, i);
		text[i] = '\0';
	}
	if (fuzz_chance(f, 3))
		fuzz_damage(f, text, TEXT, ALPHABET);
}

/* What was accepted must be where the line says, and be all of it */
static const char *add_piece(struct bench *b, struct piece *p)
{
	size_t len = strlen(b->shown);

	scnprintf(b->shown + len, sizeof(b->shown) - len,
		  "bar=%d offset=%#llx size=%#llx%s%s%s\n", p->bar, p->offset,
		  p->size, p->combining ? " write-combining" : "",
		  p->block ? " block" : "", p->force ? " force" : "");
	if (!p->block) {
		/* All that was offered before is held: there is nothing else */
		p->memory = pci_alloc_p2pmem(b->mem, p->size);
		if (!p->memory)
			return "less memory than was asked for";
	}
	b->pieces[b->nr++] = *p;
	if (p->memory && pci_p2pmem_virt_to_bus(b->mem, p->memory) !=
			 pci_bus_address(b->mem, p->bar) + p->offset)
		return "other memory than was asked for";
	return NULL;
}

static const char *offer_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	unsigned int wrong = WRONG;
	const char *why = NULL;
	loff_t pos = 0;
	struct piece p;
	ssize_t size;
	int got;

	make_line(f, b->text);
	size = strlen(b->text);
	if (!size)
		return NULL;	/* a write of nothing does not get there */
	if (read_line(b, &p))
		wrong = what_is_wrong(b, &p);

	got = kernel_write(b->offer, b->text, size, &pos);
	fuzz_say(f, "offer of %zd characters, '%.100s', gives %d, reasons to refuse it: %#x",
		 size, b->text, got, wrong);
	if (wrong ? !(reason_of(got) & wrong) : got != size)
		return "wrong answer";
	if (!wrong)
		why = add_piece(b, &p);
	return why ?: compare(b);
}

/* Truth values are what the kernel takes for them anywhere: by how they begin */
static bool read_truth(const char *text, bool *value)
{
	char c = tolower(text[0]);

	if (c == 'o') {
		c = tolower(text[1]);
		*value = c == 'n';
		return *value || c == 'f';
	}
	*value = c == '1' || c == 'y' || c == 't';
	return *value || c == '0' || c == 'n' || c == 'f';
}

static const char *publish_anything(struct fuzz *f)
{
	static const char * const words[] = {
		"0", "1", "y", "N", "on", "off", "Of", "o", "true", "FALSE",
		"enable", "-1", "+1", " 1", "2", "publish", "01", "10", "\n1",
	};
	struct bench *b = f->data;
	bool value, right;
	loff_t pos = 0;
	ssize_t size;
	int got;

	strscpy(b->text, words[fuzz_draw(f, ARRAY_SIZE(words))], TEXT);
	if (fuzz_chance(f, 2))
		fuzz_damage(f, b->text, TEXT, ALPHABET);
	size = strlen(b->text);
	if (!size)
		return NULL;
	right = read_truth(b->text, &value);
	got = kernel_write(b->publish, b->text, size, &pos);
	fuzz_say(f, "publish '%s' gives %d", b->text, got);
	if (got != (right ? size : -EINVAL))
		return "wrong answer";
	if (right)
		b->published = value;
	return compare(b);
}

static const char *write_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	const char *why = NULL;

	if (!b->offer || b->nr == MOST_PIECES || fuzz_chance(f, 20)) {
		fuzz_say(f, "the driver loses the device and gets it back");
		why = take_from_driver(b) ?:
		      give_to_driver(b, fuzz_chance(f, 8)) ?: compare(b);
	}
	if (why)
		return why;
	return fuzz_chance(f, 6) ? publish_anything(f) : offer_anything(f);
}

static void put_interrupt_table(struct pci_kunit_tree *tree,
				struct pci_dev *pdev)
{
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_FLAGS, 2,
		      PCI_MSIX_FLAGS_QSIZE);
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_TABLE, 4, TABLE | 2);
	pci_kunit_set(tree, "mem", MSIX_CAP + PCI_MSIX_PBA, 4, PENDING | 2);
	pdev->msix_cap = MSIX_CAP;
}

static void offering(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct pci_kunit_tree *tree;

	KUNIT_ASSERT_NOT_NULL(test, b);
	tree = PCI_KUNIT_CREATE(test, nodes);
	b->test = test;
	b->mem = pci_kunit_dev(tree, "mem");
	b->mem->resource[2].flags &= ~IORESOURCE_PREFETCH;
	put_interrupt_table(tree, b->mem);
	snprintf(b->override, PATH, "bus/pci/devices/%s/driver_override",
		 pci_name(b->mem));
	p2p_hurry_rcu(test);
	fuzz_run(test, CASES, write_anything, b);
	KUNIT_EXPECT_NULL(test, take_from_driver(b));
}

static struct kunit_case p2pmem_fuzz_cases[] = {
	KUNIT_CASE_SLOW(offering),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pmem_fuzz_suite = {
	.name = "p2pmem_fuzz",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pmem_fuzz_cases,
};

kunit_test_suite(p2pmem_fuzz_suite);

MODULE_DESCRIPTION("KUnit tests of the memory behind any PCI BAR with what administrators write by chance");
MODULE_LICENSE("GPL");
