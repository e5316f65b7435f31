// SPDX-License-Identifier: GPL-2.0
/* mshare: reading /proc/PID/maps, smaps and status */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smaps.h"

/* The line that a mapping begins with. */
static bool parse_head(char *line, struct area *area)
{
	char perms[8];
	int name = 0;

	*area = (struct area){ };
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %x:%x %" SCNu64 " %n",
		   &area->start, &area->end, perms, &area->major, &area->minor,
		   &area->inode, &name) != 6 || !name || strlen(perms) < 4)
		return false;
	area->shared = perms[3] == 's';
	area->name = line + name;
	return area->end > area->start;
}

static bool parse_kb(const char *line, const char *field, uint64_t *bytes)
{
	size_t len = strlen(field);
	uint64_t kb;

	if (strncmp(line, field, len) || line[len] != ':' ||
	    sscanf(line + len + 1, "%" SCNu64 " kB", &kb) != 1 ||
	    kb > UINT64_MAX >> 10)
		return false;
	*bytes = kb << 10;
	return true;
}

/* "VmFlags: rd wr sh mr pt": pt, page tables, is for windows of msharefs. */
static bool has_flag(const char *line, const char *flag)
{
	const char *at = line;
	size_t len = strlen(flag);

	if (strncmp(line, "VmFlags:", 8))
		return false;
	while ((at = strstr(at, flag))) {
		if (at[-1] == ' ' && (!at[len] || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static void parse_detail(const char *line, struct area *area)
{
	uint64_t bytes;

	if (parse_kb(line, "Rss", &bytes))
		area->rss = bytes;
	else if (parse_kb(line, "Pss", &bytes))
		area->pss = bytes;
	else if (parse_kb(line, "ShmemPmdMapped", &bytes) ||
		 parse_kb(line, "FilePmdMapped", &bytes))
		area->huge += bytes;
	else if (has_flag(line, "pt"))
		area->window = true;
}

int read_areas(const char *path, area_fn fn, void *arg)
{
	char *line = NULL, *name = NULL;
	struct area area = { }, next;
	FILE *f = fopen(path, "re");
	size_t room = 0;
	int err;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) >= 0) {
		line[strcspn(line, "\n")] = 0;
		if (!parse_head(line, &next)) {
			parse_detail(line, &area);
			continue;
		}
		if (area.end)
			fn(&area, arg);
		free(name);
		name = strdup(next.name);
		area = next;
		area.name = name ?: "";
	}
	/* A process that ends in the middle is one that is not there. */
	err = ferror(f) ? -ESRCH : 0;
	if (!err && area.end)
		fn(&area, arg);
	free(name);
	free(line);
	fclose(f);
	return err;
}

int read_field(const char *path, const char *field, uint64_t *bytes)
{
	FILE *f = fopen(path, "re");
	int err = -ENOENT;
	char line[256];

	if (!f)
		return -errno;
	while (err && fgets(line, sizeof(line), f))
		if (parse_kb(line, field, bytes))
			err = 0;
	fclose(f);
	return err;
}
