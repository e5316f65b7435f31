// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare-preload: what the environment asks for, and which calls it is for */
#include <string.h>
#include <sys/mman.h>

#include "preload.h"

/* What a window does as plain memory would. Huge pages come from a pool. */
#define FLAGS	(MAP_TYPE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | \
		 MAP_STACK | MAP_FIXED_NOREPLACE | MAP_32BIT)

struct preload_config preload_config;

static char where[4096];

static int unit_shift(char letter)
{
	switch (letter | 0x20) {
	case 'k': return 10;
	case 'm': return 20;
	case 'g': return 30;
	case 't': return 40;
	}
	return 0;
}

/* 67108864, 64M, 64MiB. Not strtoull(3), for which -1 is a number. */
bool preload_parse_size(const char *text, uint64_t *size)
{
	uint64_t value = 0;
	int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value))
			return false;
	if (*text) {
		shift = unit_shift(*text);
		if (!shift)
			return false;
		text++;
		if (!strcmp(text, "B") || !strcmp(text, "iB"))
			text += strlen(text);
	}
	if (*text || value > UINT64_MAX >> shift)
		return false;
	*size = value << shift;
	return true;
}

/* Whether @exe, a path, is in @list: names, or paths, with colons between. */
static bool listed(const char *list, const char *exe)
{
	const char *slash = strrchr(exe, '/');
	const char *base = slash ? slash + 1 : exe;

	while (*list) {
		size_t len = strcspn(list, ":");
		const char *name = memchr(list, '/', len) ? exe : base;

		if (len && strlen(name) == len && !memcmp(list, name, len))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static bool flag(struct preload_config *config, const char *name,
		 const char *value)
{
	if (!value || !*value || !strcmp(value, "0"))
		return false;
	if (strcmp(value, "1"))
		config->bad = name;
	return true;
}

/* A copy: servers write their status over the environment. */
static void set_dir(struct preload_config *config, const char *dir)
{
	size_t len = strlen(dir);

	if (*dir != '/' || len >= sizeof(where)) {
		config->bad = "MSHARE_PRELOAD_DIR";
		return;
	}
	memcpy(where, dir, len + 1);
	config->dir = where;
}

/* @exe is empty where it is not known: then no list has it. */
void preload_configure(struct preload_config *config, const char *exe,
		       const char *(*get)(const char *name))
{
	const char *only = get("MSHARE_PRELOAD_ONLY");
	const char *size = get("MSHARE_PRELOAD_MIN_SIZE");
	const char *dir = get("MSHARE_PRELOAD_DIR");

	*config = (struct preload_config){
		.min_size = PRELOAD_MIN_SIZE, .dir = "/sys/fs/mshare",
	};
	config->verbose = flag(config, "MSHARE_PRELOAD_VERBOSE",
			       get("MSHARE_PRELOAD_VERBOSE"));
	config->files = flag(config, "MSHARE_PRELOAD_FILES",
			     get("MSHARE_PRELOAD_FILES"));
	config->sysv = flag(config, "MSHARE_PRELOAD_SYSV",
			    get("MSHARE_PRELOAD_SYSV"));
	config->deepbind = flag(config, "MSHARE_PRELOAD_DEEPBIND",
				get("MSHARE_PRELOAD_DEEPBIND"));
	config->require = flag(config, "MSHARE_PRELOAD_REQUIRE",
			       get("MSHARE_PRELOAD_REQUIRE"));
	if (size && *size && !preload_parse_size(size, &config->min_size))
		config->bad = "MSHARE_PRELOAD_MIN_SIZE";
	if (dir && *dir)
		set_dir(config, dir);
	config->on = !only || !*only || listed(only, exe);
}

/*
 * Whether a window can be what is asked for. Memory that is private, or not for
 * reading and writing, or that has to replace other memory is not: plain calls.
 */
bool preload_eligible(const struct preload_config *config, const void *addr,
		      size_t len, int prot, int flags, off_t offset)
{
	int type = flags & MAP_TYPE;

	if (!config->on || !len || len < config->min_size)
		return false;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return false;
	if (flags & ~FLAGS || (!(flags & MAP_ANONYMOUS) && !config->files))
		return false;
	if (flags & MAP_FIXED_NOREPLACE && !addr)
		return false;
	if (flags & MAP_32BIT && (addr || len > PRELOAD_32BIT))
		return false;
	return prot == (PROT_READ | PROT_WRITE) && !(offset & 4095);
}
