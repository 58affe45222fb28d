// SPDX-License-Identifier: GPL-2.0
/*
 * Output for programs.  The keys are described in p2pctl.8; existing ones keep
 * their meaning, new ones may come.
 *
 * What must never happen: text that is not valid JSON, whatever names a dump
 * holds.
 */
#include <stdarg.h>

#include "p2pctl.h"

/* Depth of what is open, and whether a comma is due */
static int depth;
static bool comma;

static void put_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void put_key(const char *key)
{
	printf("%s\n%*s", comma ? "," : "", 2 * depth, "");
	comma = true;
	if (key) {
		put_string(key);
		printf(": ");
	}
}

static void put_open(const char *key, char bracket)
{
	if (depth)
		put_key(key);
	putchar(bracket);
	depth++;
	comma = false;
}

static void put_close(char bracket)
{
	depth--;
	printf("\n%*s%c", 2 * depth, "", bracket);
	comma = true;
	if (!depth)
		putchar('\n');
}

static void put_text(const char *key, const char *text)
{
	put_key(key);
	if (text)
		put_string(text);
	else
		printf("null");
}

static void put_number(const char *key, long long number)
{
	put_key(key);
	printf("%lld", number);
}

static void put_size(const char *key, u64 size)
{
	put_key(key);
	printf("%llu", (unsigned long long)size);
}

static void put_bool(const char *key, bool value)
{
	put_key(key);
	printf(value ? "true" : "false");
}

static void put_port(const char *key, const struct pci_dev *port)
{
	put_text(key, port ? port->name : NULL);
}

__printf(2, 3)
static void put_format(const char *key, const char *fmt, ...)
{
	char text[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	put_text(key, text);
}

static void put_acs(const struct pci_dev *pdev)
{
	unsigned int i;
	u16 cap, ctrl;

	if (!read_acs(pdev, &cap, &ctrl)) {
		put_text("acs", NULL);
		return;
	}

	put_open("acs", '{');
	for (i = 0; i < ARRAY_SIZE(acs_bits); i++)
		put_bool(acs_bits[i].key, ctrl & acs_bits[i].mask);
	put_close('}');
}

static void put_memory(const struct pci_dev *pdev)
{
	if (!pdev->provider) {
		put_text("memory", NULL);
		return;
	}

	put_open("memory", '{');
	put_size("size", pdev->p2p_size);
	put_size("available", pdev->p2p_free);
	put_bool("published", pdev->published);
	put_close('}');
}

static void put_function(const char *key, const struct pci_dev *pdev)
{
	put_open(key, '{');
	put_text("name", pdev->name);
	put_text("parent", pdev->parent ? pdev->parent->name : NULL);
	put_text("host_bridge", pdev->host->name);
	put_format("id", "%04x:%04x", pdev->vendor, pdev->device);
	put_format("class", "%06x", pdev->class);
	put_text("kind", function_kind(pdev));
	put_bool("bridge", is_bridge(pdev));
	if (pdev->numa_node < 0)
		put_text("numa_node", NULL);
	else
		put_number("numa_node", pdev->numa_node);
	put_text("config", pdev->gone ? "gone" :
		 pdev->config_read < pdev->config_size ? "cut" : "full");
	put_acs(pdev);
	put_memory(pdev);
	put_close('}');
}

static void put_verdict(const char *key, const struct pci_dev *provider,
			const struct pci_dev *client, const struct verdict *v)
{
	put_open(key, '{');
	put_text("client", client->name);
	put_text("provider", provider->name);
	put_text("type", type_name(v));
	put_text("reason", reason_name(v));
	put_text("reason_text", reason_text(v));
	if (v->known)
		put_number("distance", v->route.distance);
	else
		put_text("distance", NULL);
	put_bool("override", v->known && v->route.override);
	put_port("request_port", v->known ? v->route.request_port : NULL);
	put_port("completion_port", v->known ? v->route.completion_port : NULL);
	put_close('}');
}

static void put_head(void)
{
	put_open(NULL, '{');
	put_number("format", 1);
	put_text("source", query_source());
}

/* Routes of all clients to all providers, or to one */
static void put_routes(const struct pci_dev *only, bool all)
{
	struct verdict v;
	unsigned int i, j;

	put_open("routes", '[');
	for (i = 0; i < machine.nr; i++) {
		struct pci_dev *provider = machine.devs[i];

		if (only ? provider != only : !in_matrix(provider, all))
			continue;
		for (j = 0; j < machine.nr; j++) {
			if (!is_endpoint(machine.devs[j]))
				continue;
			query(provider, machine.devs[j], &v);
			put_verdict(NULL, provider, machine.devs[j], &v);
		}
	}
	put_close(']');
}

/**
 * json_tree - print all functions and routes
 */
void json_tree(void)
{
	unsigned int i;

	put_head();
	put_open("functions", '[');
	for (i = 0; i < machine.nr; i++)
		put_function(NULL, machine.devs[i]);
	put_close(']');
	put_routes(NULL, false);
	put_close('}');
}

/**
 * json_matrix - print which client reaches which provider
 * @all: take every function that is no bridge as a provider
 */
void json_matrix(bool all)
{
	unsigned int i;

	put_head();
	put_open("providers", '[');
	for (i = 0; i < machine.nr; i++)
		if (in_matrix(machine.devs[i], all))
			put_port(NULL, machine.devs[i]);
	put_close(']');
	put_open("clients", '[');
	for (i = 0; i < machine.nr; i++)
		if (is_endpoint(machine.devs[i]))
			put_port(NULL, machine.devs[i]);
	put_close(']');
	put_routes(NULL, all);
	put_close('}');
}

static void put_remedy(const struct remedy *remedy)
{
	char lines[sizeof(remedy->setpci)], *save, *line;

	put_open("remedy", '{');
	put_text("kernel_parameter", *remedy->parameter ? remedy->parameter : NULL);
	put_open("setpci", '[');
	memcpy(lines, remedy->setpci, sizeof(lines));
	for (line = strtok_r(lines, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		put_text(NULL, line);
	put_close(']');
	put_text("host_bridges", *remedy->host_bridges ? remedy->host_bridges :
							 NULL);
	put_close('}');
}

/**
 * json_why - print the path between two functions and the verdict
 * @client: the client
 * @provider: the provider
 * @v: verdict on them
 */
void json_why(struct pci_dev *client, struct pci_dev *provider,
	      const struct verdict *v)
{
	struct remedy remedy;
	struct path path;
	unsigned int i;

	find_path(provider, client, &path);
	find_remedy(provider, client, v, &remedy);

	put_head();
	put_open("path", '[');
	for (i = 0; i < path.nr; i++)
		put_function(NULL, path.step[i]);
	put_close(']');
	put_port("meeting_point", path.top < 0 ? NULL : path.step[path.top]);
	put_verdict("verdict", provider, client, v);
	put_port("unreadable", v->unread);
	put_remedy(&remedy);
	put_close('}');
}

/**
 * json_providers - print each provider and which clients reach it
 */
void json_providers(void)
{
	unsigned int i;

	put_head();
	put_open("providers", '[');
	for (i = 0; i < machine.nr; i++) {
		if (!machine.devs[i]->provider)
			continue;
		put_open(NULL, '{');
		put_text("name", machine.devs[i]->name);
		put_memory(machine.devs[i]);
		put_routes(machine.devs[i], false);
		put_close('}');
	}
	put_close(']');
	put_close('}');
}
