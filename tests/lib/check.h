/* SPDX-License-Identifier: GPL-2.0 */
/* Common part of the tests of libmshare. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mshare.h"

#define RW	(PROT_READ | PROT_WRITE)
#define KIB	(1ULL << 10)
#define MIB	(1ULL << 20)
#define GIB	(1ULL << 30)

/* Calls that have to succeed, or to fail with one error. */
#define OK(call)	assert_int_equal(0, call)
#define ERR(err, call)	assert_int_equal(-(err), call)

static inline int check_setup(void **state)
{
	(void)state;
	mshare_remove("check");
	return 0;
}

static inline int check_teardown(void **state)
{
	(void)state;
	mshare_remove("check");
	return 0;
}

#define CHECK(fn)	cmocka_unit_test_setup_teardown(fn, check_setup, \
							check_teardown)

static inline struct mshare_region *region_of(uint64_t size)
{
	struct mshare_region *region;

	OK(mshare_create("check", size, 0, 0600, &region));
	return region;
}

static inline struct mshare_window *window_of(struct mshare_region *region)
{
	struct mshare_window *window;

	OK(mshare_attach(region, NULL, 0, 0, RW, 0, &window));
	return window;
}

/* What is mapped at @offset. False: nothing. */
static inline int find_mapping(const struct mshare_mapping *m, void *arg)
{
	struct mshare_mapping *found = arg;

	if (m->offset + m->size <= found->offset)
		return 0;
	if (m->offset > found->offset)
		return -ENOENT;
	*found = *m;
	return 1;
}

static inline bool mapping_at(struct mshare_region *region, uint64_t offset,
			      struct mshare_mapping *m)
{
	*m = (struct mshare_mapping){ .offset = offset };
	return mshare_walk(region, find_mapping, m) == 1;
}

static inline uint64_t size_of(struct mshare_region *region)
{
	struct mshare_info info;

	OK(mshare_info(region, &info));
	return info.size;
}

/* Descriptors that are open, and the one that this takes. */
static inline int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
