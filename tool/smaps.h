/* SPDX-License-Identifier: GPL-2.0 */
/* Mappings of processes, as /proc tells them. */
#ifndef SMAPS_H
#define SMAPS_H

#include <stdbool.h>
#include <stdint.h>

/* One mapping. Bytes. What maps does not tell is 0. */
struct area {
	uint64_t start, end;
	bool shared;
	bool window;		/* its page tables exist once already */
	unsigned int major, minor;
	uint64_t inode;
	uint64_t rss, pss;
	uint64_t huge;		/* of rss: mapped by entries for huge pages */
	const char *name;
};

typedef void (*area_fn)(const struct area *area, void *arg);

/* @path: a maps or smaps file. 0 or a negative errno. */
int read_areas(const char *path, area_fn fn, void *arg);

/* The number after "@field:" in a file, in kB there, here in bytes. */
int read_field(const char *path, const char *field, uint64_t *bytes);

#endif
