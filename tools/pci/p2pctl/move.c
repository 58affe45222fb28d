// SPDX-License-Identifier: GPL-2.0
/*
 * The commands that move data, as far as they have to do with routes: who is a
 * drive, who is a provider, and which provider suits two drives.
 *
 * A drive is named by its block device (or a file on it), or by the PCI address
 * of an NVMe drive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2pctl.h"
#include "io.h"

static struct pci_dev *function_of_address(const char *address)
{
	u8 bus, devfn;
	u32 domain;

	if (parse_address(address, &domain, &bus, &devfn))
		return NULL;

	return find_function(domain, bus, devfn);
}

/*
 * What the user calls a drive: the name of its block device or file, and the
 * function, which may be NULL if it is a volume.  Returns NULL after a message.
 */
static const char *get_drive(const char *name, struct pci_dev **function)
{
	char address[ADDRESS_ROOM];
	const char *path;

	*function = function_of_address(name);
	if (*function) {
		path = drive_of_function((*function)->name);
		if (!path)
			complain("%s is no NVMe drive: name a block device",
				 (*function)->name);
		return path;
	}

	if (drive_function(name, address))
		*function = function_of_address(address);

	return name;
}

static struct pci_dev *get_provider(const char *name)
{
	struct pci_dev *pdev = function_of_address(name);

	if (!pdev) {
		complain("there is no PCI function %s: see '%s providers'",
			 name, program);
		return NULL;
	}
	if (!pdev->provider) {
		complain("%s provides no memory: see '%s providers'",
			 pdev->name, program);
		return NULL;
	}

	return pdev;
}

static bool reaches(struct pci_dev *provider, struct pci_dev *client,
		    unsigned int *distance)
{
	struct verdict v;

	query(provider, client, &v);
	if (!v.known || v.route.type == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		return false;

	*distance += v.route.distance;
	return true;
}

/* The provider nearest to both that has the memory to spare */
static struct pci_dev *choose_provider(struct pci_dev *a, struct pci_dev *b,
				       uint64_t bytes)
{
	unsigned int i, distance, least = -1u;
	struct pci_dev *pdev, *best = NULL;

	for (i = 0; a && b && i < machine.nr; i++) {
		pdev = machine.devs[i];
		distance = 0;
		if (pdev->provider && pdev->published &&
		    memory_available(pdev->name) >= bytes &&
		    reaches(pdev, a, &distance) &&
		    reaches(pdev, b, &distance) && distance < least) {
			least = distance;
			best = pdev;
		}
	}

	return best;
}

static void say_no_provider(const char *source, const char *target,
			    uint64_t bytes)
{
	complain("no provider has %llu bytes for both %s and %s: going through system memory",
		 (unsigned long long)bytes, source, target);
}

/**
 * move_copy - p2pctl copy
 * @source: what to copy from
 * @target: what to copy to
 * @via: address of a provider, "system", or NULL for the best one
 * @opt: what else was said
 *
 * Return: exit status.
 */
int move_copy(const char *source, const char *target, const char *via,
	      struct copy_options *opt)
{
	struct pci_dev *from, *to, *provider = NULL;

	source = get_drive(source, &from);
	target = source ? get_drive(target, &to) : NULL;
	if (!target)
		return IO_ERROR;

	if (via && strcmp(via, "system")) {
		provider = get_provider(via);
		if (!provider)
			return IO_ERROR;
	} else if (!via) {
		provider = choose_provider(from, to,
					   opt->block * opt->depth);
		if (!provider)
			say_no_provider(source, target,
					opt->block * opt->depth);
	}
	opt->via = provider ? provider->name : NULL;

	return copy(source, target, opt);
}

/**
 * move_verify - p2pctl verify
 * @drive: the client
 * @name: address of the provider
 * @opt: what else was said
 *
 * Return: exit status.
 */
int move_verify(const char *drive, const char *name,
		const struct verify_options *opt)
{
	struct pci_dev *client, *provider = get_provider(name);
	struct verdict v;

	drive = provider ? get_drive(drive, &client) : NULL;
	if (!drive)
		return IO_ERROR;

	printf("%s and memory of %s\n", drive, provider->name);
	if (client) {
		query(provider, client, &v);
		printf("  the route is %s: %s%s\n", type_name(&v),
		       reason_text(&v), v.known && v.route.override ?
		       " (an override)" : "");
	}
	fflush(stdout);

	return verify(drive, provider->name, opt);
}

/**
 * move_stat - p2pctl stat
 * @interval: seconds between two looks
 * @count: how many, or 0 for no end
 *
 * Return: exit status.
 */
int move_stat(unsigned int interval, unsigned int count)
{
	const char **names = must_alloc((machine.nr + 1) * sizeof(*names));
	unsigned int i, nr = 0;

	for (i = 0; i < machine.nr; i++)
		if (machine.devs[i]->provider)
			names[nr++] = machine.devs[i]->name;

	return stat_watch(names, nr, interval, count);
}
