// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of peer-to-peer DMA with input made by chance: what administrators
 * write to files, and what programs ask for by ioctl and mmap.
 *
 * What the answer must be is known from a model: a parser that compares with a
 * pattern, which is not how the kernel does it, and the order in which an ioctl
 * looks at its argument, part of which may lie beyond what is mapped.  How cases
 * are made is told in p2pdma_fuzz.c.
 *
 *   host ─┬─ 01.0 rp0 ── mem   published
 *         ├─ 02.0 rp1 ── ssd   a provider, not published
 *         └─ 03.0 rp2 ── nic
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../p2pdma.h"
#include "p2pdma_bench.h"
#include "p2pdma_fuzz.h"
#include "p2pdma_test.h"

#define CASES_STORE	12000
#define CASES_HOSTS	8000
#define CASES_QUERY	15000
#define CASES_NODE	4000
#define CASES_ZERO	4000
#define CASES_MAP	4000

/* With the other suites, more than 100,000 */
static_assert(CASES_STORE + CASES_HOSTS + CASES_QUERY + CASES_NODE >= 35000);

#define TEXT		512

/* What a text is damaged with */
#define ALPHABET	"0123456789abcdefABCDEF:.,@*\n \tsamenoyXZ\x7f\xff"

static const struct pci_kunit_node nodes[] = {
	{ "host", NULL, PCI_KUNIT_HOST_BRIDGE, INTEL_HOST(UNLISTED) },
	{ "rp0", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(1, 0) },
	{ "mem", "rp0", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_4M } } },
	{ "rp1", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(2, 0) },
	{ "ssd", "rp1", PCI_KUNIT_ENDPOINT, .bar = { { .size = SZ_2M } } },
	{ "rp2", "host", PCI_KUNIT_ROOT_PORT, .devfn = PCI_DEVFN(3, 0) },
	{ "nic", "rp2", PCI_KUNIT_ENDPOINT },
};

static const char * const names[] = {
	"host", "rp0", "mem", "rp1", "ssd", "rp2", "nic",
};

/**
 * struct bench - what is written to and asked
 * @tree: the PCI tree
 * @pdev: its functions, in the order of @names
 * @mem: the provider that is published
 * @text: what is written
 * @canonical: what must be read then
 * @got: what is
 * @page: buffer for what attributes show, which must be aligned
 * @file: the file
 * @allocate: p2pmem/allocate of @mem, opened for reading, for writing and for both
 * @user: two pages of a process, with nothing mapped behind them
 */
struct bench {
	struct pci_kunit_tree *tree;
	struct pci_dev *pdev[ARRAY_SIZE(names)];
	struct pci_dev *mem;
	char text[TEXT];
	char canonical[TEXT];
	char got[SZ_1K];
	char *page;
	struct file *file;
	struct file *allocate[O_RDWR + 1];
	char __user *user;
};

#define USER_BYTES	(2 * PAGE_SIZE)

static struct bench *bench_create(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->tree = PCI_KUNIT_CREATE(test, nodes);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		b->pdev[i] = pci_kunit_dev(b->tree, names[i]);
	b->mem = pci_kunit_bind(b->tree, "mem");
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(b->mem, 0, 0, 0), 0);
	pci_p2pmem_publish(b->mem, true);
	KUNIT_ASSERT_EQ(test, pci_p2pdma_add_resource(pci_kunit_bind(b->tree,
								     "ssd"),
						      0, 0, 0), 0);
	return b;
}

/*
 * Write the text, which is not empty, to the file of a parameter.  The answer must
 * be @want, 0 for all of it, and the file show what is canonical then.
 */
static const char *write_text(struct fuzz *f, int want)
{
	struct bench *b = f->data;
	ssize_t size = strlen(b->text);
	loff_t pos = 0;
	ssize_t got;

	fuzz_say(f, "'%s'", b->text);
	got = kernel_write(b->file, b->text, size, &pos);
	if (got != (want ?: size)) {
		fuzz_say(f, "'%s' gives %zd, not %d", b->text, got, want);
		return "wrong answer";
	}

	pos = 0;
	got = kernel_read(b->file, b->got, sizeof(b->got) - 1, &pos);
	if (got < 0)
		return "cannot be read";
	b->got[got] = '\0';
	return strcmp(b->got, b->canonical) ? "shown otherwise" : NULL;
}

/* Choosing a provider by name ----------------------------------------------- */

static const char * const words[] = {
	"0", "1", "y", "n", "Y", "N", "on", "off", "On", "OFF", "t", "true", "f",
	"", "00", "01", "10", "1f", "0000:00", "none", "auto",
};

static const char *store_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	unsigned int references = kref_read(&b->mem->dev.kobj.kref);
	struct pci_dev *chosen = NULL;
	bool enabled = fuzz_draw(f, 2), before = enabled, truth;
	bool plain = false;
	const char *word;
	int error;

	if (fuzz_chance(f, 2)) {
		word = pci_name(b->pdev[fuzz_draw(f, ARRAY_SIZE(names))]);
		strscpy(b->text, word, TEXT);
	} else {
		word = words[fuzz_draw(f, ARRAY_SIZE(words))];
		strscpy(b->text, word, TEXT);
	}
	if (fuzz_chance(f, 4))
		plain = !strcmp(word, pci_name(b->mem)) || !strcmp(word, "0") ||
			!strcmp(word, "1");
	else
		fuzz_damage(f, b->text, TEXT, ALPHABET);
	fuzz_say(f, "'%s'", b->text);

	error = pci_p2pdma_enable_store(b->text, &chosen, &enabled);
	if (error) {
		if (error != -ENODEV)
			return "another error than there should be";
		if (chosen || enabled != before)
			return "something has changed in spite of the error";
		return plain ? "refused" : NULL;
	}
	if (!chosen) {
		/* A number of several digits is the beginning of an address */
		if (strchr(b->text, ':') || kstrtobool(b->text, &truth) ||
		    truth != enabled ||
		    (isdigit(*b->text) && strcspn(b->text, "\n") != 1))
			return "taken for a truth value";
		return NULL;
	}

	if (chosen != b->mem || !enabled ||
	    !sysfs_streq(b->text, pci_name(chosen)))
		return "another provider than was asked for";
	if (kref_read(&b->mem->dev.kobj.kref) != references + 1)
		return "no reference to the provider";
	if (pci_p2pdma_enable_show(b->page, chosen, enabled) < 0 ||
	    !sysfs_streq(b->page, pci_name(chosen)))
		return "shown otherwise";
	pci_dev_put(chosen);
	return NULL;
}

static void choosing_by_name(struct kunit *test)
{
	struct bench *b = bench_create(test);

	b->page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->page);
	fuzz_run(test, CASES_STORE, store_anything, b);
}

/* The parameter host_bridges ------------------------------------------------ */

#define MOST_HOSTS	32

/* Does a word look like the pattern, in which 'h' is a hexadecimal digit? */
static bool looks_like(const char *word, size_t len, const char *pattern)
{
	size_t i;

	if (len != strlen(pattern))
		return false;
	for (i = 0; i < len; i++)
		if (pattern[i] == 'h' ? !isxdigit(word[i]) :
					word[i] != pattern[i])
			return false;
	return true;
}

/* What the parameter must be after @text was written, or the error */
static int what_hosts_give(const char *text, char *canonical)
{
	static const char * const patterns[] = {
		"hhhh:hhhh", "hhhh:hhhh@same", "hhhh:*", "hhhh:*@same",
	};
	size_t len = strlen(text), word, i, n, out = 0;
	unsigned int p;

	/* One line end belongs to the file, not to the text */
	if (len && text[len - 1] == '\n')
		len--;
	if (!len || (len == 4 && !memcmp(text, "none", 4))) {
		strscpy(canonical, "none\n", TEXT);
		return 0;
	}

	for (i = 0, n = 0; i <= len; i += word + 1, n++) {
		if (n == MOST_HOSTS)
			return -E2BIG;
		for (word = 0; i + word < len && text[i + word] != ','; word++)
			;
		for (p = 0; p < ARRAY_SIZE(patterns); p++)
			if (looks_like(text + i, word, patterns[p]))
				break;
		/* That would be any device */
		if (p == ARRAY_SIZE(patterns) ||
		    !strncasecmp(text + i + 5, "ffff", 4))
			return -EINVAL;
		out += scnprintf(canonical + out, TEXT - out, "%s%.*s",
				 n ? "," : "", (int)word, text + i);
	}
	for (i = 0; i < out; i++)
		canonical[i] = tolower(canonical[i]);
	scnprintf(canonical + out, TEXT - out, "\n");
	return 0;
}

static const char *allow_anything(struct fuzz *f)
{
	static const char * const kinds[] = {
		"%04x:%04x", "%04X:%04X", "%04x:%04x@same", "%04x:*",
		"%04x:*@same", "%04x:ffff", "%x:%x", "none",
	};
	struct bench *b = f->data;
	unsigned int n = fuzz_chance(f, 8) ? 30 + fuzz_draw(f, 5) :
					     fuzz_draw(f, 4);
	/* Mostly what is right, or long lists hardly ever would be */
	unsigned int sane = fuzz_chance(f, 3) ? ARRAY_SIZE(kinds) : 5;
	char previous[TEXT];
	size_t len = 0;
	int want;

	strscpy(previous, b->canonical, TEXT);
	b->text[0] = '\0';
	while (n--) {
		/* Kinds with fewer numbers leave the rest alone */
		len += scnprintf(b->text + len, TEXT - len,
				 kinds[fuzz_draw(f, sane)],
				 fuzz_draw(f, SZ_64K), fuzz_draw(f, SZ_64K));
		if (n)
			len += scnprintf(b->text + len, TEXT - len, ",");
	}
	if (fuzz_chance(f, 2))
		fuzz_damage(f, b->text, TEXT, ALPHABET);
	if (!*b->text)
		return NULL;	/* a write of nothing does not get there */

	want = what_hosts_give(b->text, b->canonical);
	if (want)
		strscpy(b->canonical, previous, TEXT);
	return write_text(f, want);
}

static void allowing_host_bridges(struct kunit *test)
{
	struct bench *b = bench_create(test);

	b->file = p2p_open(test, test->priv, HOST_BRIDGES, O_RDWR);
	strscpy(b->canonical, "none\n", TEXT);
	fuzz_run(test, CASES_HOSTS, allow_anything, b);
}

/* The parameter zero -------------------------------------------------------- */

static const char *zero_for_anybody(struct fuzz *f)
{
	static const char * const right[] = { "never", "unprivileged", "always" };
	static const char * const wrong[] = {
		"", "0", "1", "y", "none", "Never", "ALWAYS", "privileged",
		"never,always", "always never", "never\n\n", "unprivileged ",
	};
	struct bench *b = f->data;
	int want = -EINVAL;
	unsigned int i;
	size_t len;

	if (fuzz_chance(f, 4))
		strscpy(b->text, wrong[fuzz_draw(f, ARRAY_SIZE(wrong))], TEXT);
	else
		strscpy(b->text, right[fuzz_draw(f, ARRAY_SIZE(right))], TEXT);
	fuzz_damage(f, b->text, TEXT, ALPHABET);
	if (!*b->text)
		return NULL;

	/* One line end belongs to the file, not to the word */
	len = strlen(b->text);
	if (b->text[len - 1] == '\n')
		len--;
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		if (len != strlen(right[i]) || memcmp(b->text, right[i], len))
			continue;
		want = 0;
		scnprintf(b->canonical, TEXT, "%s\n", right[i]);
	}
	return write_text(f, want);
}

static void zeroing(struct kunit *test)
{
	struct bench *b = bench_create(test);

	b->file = p2p_open(test, test->priv, ZERO, O_RDWR);
	strscpy(b->canonical, "never\n", TEXT);
	fuzz_run(test, CASES_ZERO, zero_for_anybody, b);
}

/* ioctl --------------------------------------------------------------------- */

/* Command, and where the argument is: part of it may not be there */
static unsigned int make_command(struct fuzz *f, unsigned int right)
{
	return fuzz_chance(f, 16) ? (unsigned int)fuzz_number(f, right) : right;
}

static size_t make_place(struct fuzz *f, size_t size)
{
	size_t place = fuzz_chance(f, 8) ? USER_BYTES - fuzz_draw(f, size + 64) :
					   fuzz_draw(f, 256);

	return min(place, USER_BYTES);
}

static u32 make_size(struct fuzz *f, u32 right)
{
	switch (fuzz_draw(f, 8)) {
	case 0:
		return fuzz_number(f, right);
	case 1:
		return right + fuzz_draw(f, 128);
	case 2:
		return PAGE_SIZE - 2 + fuzz_draw(f, 4);
	default:
		return right;
	}
}

/**
 * what_argument_gives - what becomes of a structure that a program hands in
 * @f: the run
 * @place: where it is in the memory of the program
 * @size: the size that it says it has
 * @version0: the least size
 * @known: how much of it the kernel knows
 * @tail: offset of a byte that is not zero behind that, or 0
 *
 * Return: 0 if it is read, or the error.
 */
static int what_argument_gives(struct fuzz *f, size_t place, u32 size,
			       u32 version0, u32 known, u32 tail)
{
	u32 mapped = USER_BYTES - place;

	if (mapped < sizeof(u32))
		return -EFAULT;
	if (size < version0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	/* What the kernel does not know is looked at first, up to what is there */
	if (size > known && tail && tail < min(size, mapped))
		return -E2BIG;
	return size > mapped ? -EFAULT : 0;
}

/* Write a structure and what follows it; what does not fit is not there */
static int put_argument(struct bench *b, size_t place, const void *what,
			size_t known, u32 tail)
{
	size_t room = USER_BYTES - place;
	u8 one = 1;

	if (clear_user(b->user, USER_BYTES) ||
	    copy_to_user(b->user + place, what, min(known, room)))
		return -EFAULT;
	if (tail && tail < room && copy_to_user(b->user + place + tail, &one, 1))
		return -EFAULT;
	return 0;
}

static u32 make_tail(struct fuzz *f, u32 known)
{
	return fuzz_chance(f, 3) ? known + fuzz_draw(f, 200) : 0;
}

static struct pci_p2pdma_function make_function(struct fuzz *f,
						struct pci_dev **pdev)
{
	struct bench *b = f->data;
	struct pci_p2pdma_function fn;

	*pdev = b->pdev[fuzz_draw(f, ARRAY_SIZE(names))];
	fn = p2p_function(*pdev);
	if (!fuzz_chance(f, 12))
		return fn;

	*pdev = NULL;
	switch (fuzz_draw(f, 3)) {
	case 0:
		/* Nobody has as many domains */
		fn.domain = 0x7000000 + fuzz_draw(f, 0x1000000);
		break;
	case 1:
		fn.bus = 0xf0 + fuzz_draw(f, 16);
		break;
	default:
		fn.devfn = PCI_DEVFN(20 + fuzz_draw(f, 12), fuzz_draw(f, 8));
		break;
	}
	return fn;
}

static const char *compare_answer(const struct pci_p2pdma_query *q,
				  struct pci_dev *provider,
				  struct pci_dev *client)
{
	struct pci_p2pdma_route route;
	u32 verdict = 0, type;

	pci_p2pdma_route(provider, &client->dev, &route);
	type = route.type == PCI_P2PDMA_MAP_BUS_ADDR ? PCI_P2PDMA_ROUTE_DIRECT :
	       route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED ?
		PCI_P2PDMA_ROUTE_NONE : PCI_P2PDMA_ROUTE_HOST;
	if (rcu_access_pointer(provider->p2pdma))
		verdict |= PCI_P2PDMA_VERDICT_PROVIDES;
	if (pci_has_p2pmem(provider))
		verdict |= PCI_P2PDMA_VERDICT_PUBLISHED;
	return q->type == type && q->reason == route.reason &&
	       q->distance == route.distance && q->verdict == verdict ?
		NULL : "another answer than drivers get";
}

static const char *query_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	unsigned int cmd = make_command(f, PCI_P2PDMA_IOC_QUERY);
	struct pci_p2pdma_query q, answer;
	struct pci_dev *provider, *client;
	u32 known = sizeof(q), tail = make_tail(f, known);
	size_t place = make_place(f, known);
	int want, got;

	prandom_bytes_state(&f->rnd, &q, sizeof(q));
	q.size = make_size(f, known);
	q.flags = fuzz_chance(f, 16) ? fuzz_number(f, 2) : 0;
	q.provider = make_function(f, &provider);
	q.client = make_function(f, &client);
	if (fuzz_chance(f, 32))
		q.client.reserved = fuzz_draw(f, 256);
	if (fuzz_chance(f, 32))
		q.provider.present = fuzz_draw(f, 256);
	if (put_argument(b, place, &q, known, tail))
		return "the memory of the program is gone";

	want = cmd != PCI_P2PDMA_IOC_QUERY ? -ENOTTY :
	       what_argument_gives(f, place, q.size, PCI_P2PDMA_QUERY_SIZE_VER0,
				   known, tail);
	if (!want && (q.flags || q.client.reserved || q.provider.present))
		want = -EINVAL;
	if (!want && (!provider || !client))
		want = -ENODEV;

	fuzz_say(f, "command %#x, size %u at %zu, tail %u, expected: %d", cmd,
		 q.size, place, tail, want);
	got = vfs_ioctl(b->file, cmd, (unsigned long)b->user + place);
	if (got != want)
		return "wrong answer";
	if (USER_BYTES - place < known)
		return NULL;

	if (copy_from_user(&answer, b->user + place, known))
		return "the memory of the program is gone";
	if (!want)
		return compare_answer(&answer, provider, client);
	return memcmp(&answer, &q, known) ? "an error with an answer" : NULL;
}

static void asking_for_routes(struct kunit *test)
{
	struct bench *b = bench_create(test);

	b->user = p2p_user_memory(test, USER_BYTES);
	b->file = p2p_open_query(test);
	fuzz_run(test, CASES_QUERY, query_anything, b);
}

static const char *allocate_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	struct p2pdma_pool *pool = &rcu_access_pointer(b->mem->p2pdma)->pool;
	unsigned int cmd = make_command(f, PCI_P2PDMA_IOC_ALLOC);
	struct pci_p2pdma_alloc want = {};
	u32 known = sizeof(want), tail = make_tail(f, known);
	size_t place = make_place(f, known), avail = p2pdma_pool_available(pool);
	int expected, got;

	want.size = make_size(f, known);
	want.length = fuzz_number(f, avail);
	want.fd_flags = fuzz_chance(f, 8) ? (u32)fuzz_number(f, O_CLOEXEC) :
					    O_RDWR | O_CLOEXEC;
	want.flags = fuzz_chance(f, 16) ? fuzz_number(f, 2) : 0;
	want.reserved = fuzz_chance(f, 16) ? fuzz_number(f, 2) : 0;
	if (put_argument(b, place, &want, known, tail))
		return "the memory of the program is gone";

	expected = cmd != PCI_P2PDMA_IOC_ALLOC ? -ENOTTY :
		   what_argument_gives(f, place, want.size,
				       PCI_P2PDMA_ALLOC_SIZE_VER0, known, tail);
	if (!expected && (want.flags || want.reserved || !want.length ||
			  want.length > SIZE_MAX - PAGE_SIZE ||
			  want.fd_flags & ~(u32)(O_CLOEXEC | O_ACCMODE) ||
			  (want.fd_flags & O_ACCMODE) == O_ACCMODE))
		expected = -EINVAL;
	if (!expected && want.length > avail)
		expected = -ENOMEM;

	fuzz_say(f, "command %#x, size %u at %zu, tail %u, length %#llx, expected: %d",
		 cmd, want.size, place, tail, want.length, expected);
	got = vfs_ioctl(b->file, cmd, (unsigned long)b->user + place);
	if (min(got, 0) != expected) {
		if (got >= 0)
			close_fd(got);
		return "wrong answer";
	}
	if (got >= 0) {
		if (p2pdma_pool_available(pool) !=
		    avail - ALIGN(want.length, PAGE_SIZE))
			return "another amount of memory";
		if (close_fd(got))
			return "no file descriptor";
		flush_delayed_fput();
	}
	return p2pdma_pool_available(pool) == avail ? NULL :
						     "memory has been lost";
}

static void allocating_by_file_descriptor(struct kunit *test)
{
	struct bench *b = bench_create(test);

	b->user = p2p_user_memory(test, USER_BYTES);
	b->file = p2p_open_memory(test, b->mem);
	fuzz_run(test, CASES_NODE, allocate_anything, b);
}

/* mmap ---------------------------------------------------------------------- */

/**
 * struct map - what is asked of mmap()
 * @file: the file, opened for @access
 * @access: O_RDONLY, O_WRONLY or O_RDWR
 * @len: number of bytes
 * @offset: where in the file
 * @prot: what is to be done with the memory
 * @flags: of what kind the mapping is
 */
struct map {
	struct file *file;
	int access;
	unsigned long len;
	unsigned long offset;
	unsigned long prot;
	unsigned long flags;
};

static struct map make_map(struct fuzz *f, size_t avail)
{
	static const unsigned long kinds[] = {
		MAP_PRIVATE, 0, MAP_TYPE, MAP_SHARED | MAP_GROWSDOWN,
		MAP_SHARED_VALIDATE | MAP_SYNC, MAP_PRIVATE | MAP_POPULATE,
	};
	static const unsigned long hints[] = {
		0, 0, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE,
	};
	struct bench *b = f->data;
	struct map map = {
		.access = fuzz_chance(f, 8) ? fuzz_draw(f, 3) : O_RDWR,
		.len = fuzz_number(f, avail),
		.prot = fuzz_chance(f, 8) ? fuzz_draw(f, 8) :
					    PROT_READ | PROT_WRITE,
		.flags = fuzz_chance(f, 2) ? MAP_SHARED : MAP_SHARED_VALIDATE,
	};

	map.file = b->allocate[map.access];
	if (fuzz_chance(f, 3))
		map.len = 1 + fuzz_draw(f, avail);
	if (fuzz_chance(f, 4))
		map.offset = fuzz_number(f, SZ_1T);
	map.flags |= hints[fuzz_draw(f, ARRAY_SIZE(hints))];
	if (fuzz_chance(f, 8))
		map.flags = kinds[fuzz_draw(f, ARRAY_SIZE(kinds))];
	return map;
}

/* What the file and the manual of mmap() allow */
static bool map_is_right(const struct map *map, size_t avail)
{
	unsigned long kind = map->flags & MAP_TYPE;

	if (!map->len || map->len > avail || map->offset)
		return false;
	if ((kind != MAP_SHARED && kind != MAP_SHARED_VALIDATE) ||
	    map->flags & (MAP_GROWSDOWN | MAP_SYNC))
		return false;
	if (map->prot & PROT_EXEC || map->access == O_WRONLY)
		return false;
	return map->access == O_RDWR || !(map->prot & PROT_WRITE);
}

/* Can a byte be read, and be written, as it must be? */
static bool touch(const struct map *map, unsigned long addr)
{
	u8 __user *at = (u8 __user *)addr;
	bool write = map->prot & PROT_WRITE;
	bool read = write || map->prot & PROT_READ;
	u8 byte;

	return !copy_from_user(&byte, at, 1) == read &&
	       !put_user(0, at) == write;
}

/* May the mapping be made writable? */
static bool may_write(unsigned long addr)
{
	struct vm_area_struct *vma;
	bool may;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	may = vma && vma->vm_flags & VM_MAYWRITE;
	mmap_read_unlock(current->mm);
	return may;
}

static const char *use_mapping(struct fuzz *f, const struct map *map,
			       unsigned long addr, size_t avail)
{
	struct bench *b = f->data;
	size_t len = PAGE_ALIGN(map->len), first;
	bool write = map->access == O_RDWR;

	if (bench_available(b->mem) != avail - len)
		return "another amount of memory";
	if (!touch(map, addr) || !touch(map, addr + len - 1))
		return "accessible where it must not be, or not where it must";
	if (may_write(addr) != write)
		return "writable by another file than that";

	/* A part of it goes back by itself */
	first = ALIGN_DOWN(fuzz_draw(f, len), PAGE_SIZE);
	if (first && vm_munmap(addr, first))
		return "cannot be unmapped in part";
	if (bench_available(b->mem) != avail - len + first)
		return "another amount of memory after a part has gone back";
	if (vm_munmap(addr + first, len - first))
		return "cannot be unmapped";
	flush_delayed_fput();
	return NULL;
}

static const char *map_anything(struct fuzz *f)
{
	struct bench *b = f->data;
	size_t avail = bench_available(b->mem);
	struct map map = make_map(f, avail);
	bool right = map_is_right(&map, avail);
	const char *why = NULL;
	unsigned long addr;

	addr = vm_mmap(map.file, 0, map.len, map.prot, map.flags, map.offset);
	fuzz_say(f, "access %d, length %#lx at %#lx, protection %#lx, flags %#lx gives %ld",
		 map.access, map.len, map.offset, map.prot, map.flags, addr);
	if (IS_ERR_VALUE(addr) == right)
		return right ? "refused" : "not refused";
	if (right)
		why = use_mapping(f, &map, addr, avail);
	else
		flush_delayed_fput();
	if (!why && bench_available(b->mem) != avail)
		why = "memory has been lost";
	return why;
}

static void mapping(struct kunit *test)
{
	struct bench *b = bench_create(test);
	char path[80];
	int access;

	/* It is the first mapping that gives the test an address space */
	b->user = p2p_user_memory(test, USER_BYTES);
	snprintf(path, sizeof(path), "bus/pci/devices/%s/p2pmem/allocate",
		 pci_name(b->mem));
	for (access = 0; access < ARRAY_SIZE(b->allocate); access++)
		b->allocate[access] = p2p_open(test, test->priv, path, access);
	fuzz_run(test, CASES_MAP, map_anything, b);
}

static struct kunit_case p2pdma_fuzz_user_cases[] = {
	KUNIT_CASE_SLOW(choosing_by_name),
	KUNIT_CASE_SLOW(allowing_host_bridges),
	KUNIT_CASE_SLOW(zeroing),
	KUNIT_CASE_SLOW(asking_for_routes),
	KUNIT_CASE_SLOW(allocating_by_file_descriptor),
	KUNIT_CASE_SLOW(mapping),
	KUNIT_CASE(pci_kunit_no_complaints),
	{}
};

static struct kunit_suite p2pdma_fuzz_user_suite = {
	.name = "p2pdma_fuzz_user",
	.suite_init = pci_kunit_suite_init,
	.suite_exit = pci_kunit_suite_exit,
	.init = p2p_case_init,
	.exit = p2p_case_exit,
	.test_cases = p2pdma_fuzz_user_cases,
};

kunit_test_suite(p2pdma_fuzz_user_suite);

MODULE_DESCRIPTION("KUnit tests of peer-to-peer DMA with what users write by chance");
MODULE_LICENSE("GPL");
