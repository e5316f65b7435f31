/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libmshare share. */
#ifndef MSHARE_PRIVATE_H
#define MSHARE_PRIVATE_H

#include <stdbool.h>

#include "mshare.h"

/* Nothing changes after it was made: no lock is needed, nor after fork(2). */
struct mshare_region {
	int fd;
	uint64_t unit;
};

/* A copy of it in a child describes the child's window. */
struct mshare_window {
	void *base;	/* of the window, in units */
	size_t len;
	void *addr;	/* of what was asked for in it */
	size_t size;
};

int ms_path(const char *name, char *path, size_t room);
int ms_open_error(const char *path, int error);
int ms_check_fs(int fd);
int ms_check_region(int fd);
uint64_t ms_unit(void);

int ms_create_unnamed(const char *name, uint64_t size, int map_flags,
		      mode_t mode, struct mshare_region **region);
int ms_grow(const struct mshare_region *region, uint64_t size);
int ms_mapping_at(const struct mshare_region *region, uint64_t offset,
		  struct mshare_mapping *mapping);

uint64_t ms_page_size(void);
bool ms_round_up(uint64_t *value, uint64_t align);

#endif
