// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare: mshare() and mshare_unlink(), the interface of the first proposal
 *
 * There is no handle, and nothing is kept here either: which windows a process
 * has, the kernel knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "private.h"

static int attach(struct mshare_region *region, void *addr, size_t length,
		  int oflags, struct mshare_window **window)
{
	int prot = PROT_READ;

	if ((oflags & O_ACCMODE) == O_RDWR)
		prot |= PROT_WRITE;
	return mshare_attach(region, addr, 0, length, prot, MSHARE_FIXED,
			     window);
}

/* @taken: somebody else has given the name to a region meanwhile. */
static int attach_new(const char *name, void *addr, size_t length, int oflags,
		      mode_t mode, bool *taken)
{
	struct mshare_window *window;
	struct mshare_region *region;
	int err;

	err = ms_create_unnamed(name, length, 0, mode, &region);
	if (err)
		return err;
	err = attach(region, addr, length, oflags, &window);
	if (!err) {
		err = mshare_link(region, name);
		*taken = err == -EEXIST;
		if (err)
			mshare_detach(window);
		else
			free(window);
	}
	mshare_close(region);
	return err;
}

static int attach_existing(const char *name, void *addr, size_t length,
			   int oflags)
{
	struct mshare_window *window;
	struct mshare_region *region;
	int err;

	err = mshare_open(name, oflags & O_ACCMODE, &region);
	if (err)
		return err;
	err = attach(region, addr, length, oflags, &window);
	if (!err)
		free(window);	/* mshare_unlink() finds what it describes */
	mshare_close(region);
	return err;
}

int mshare(const char *name, void *addr, size_t length, int oflags,
	   mode_t mode)
{
	bool taken;
	int err;

	if (!name || !length || oflags & ~(O_ACCMODE | O_CREAT | O_EXCL) ||
	    (oflags & O_ACCMODE) == O_WRONLY)
		return -EINVAL;
	/* Others may create and remove it meanwhile. */
	do {
		taken = false;
		err = -ENOENT;
		if (!(oflags & O_CREAT) || !(oflags & O_EXCL))
			err = attach_existing(name, addr, length, oflags);
		if (err != -ENOENT || !(oflags & O_CREAT))
			return err;
		err = attach_new(name, addr, length, oflags, mode, &taken);
	} while (taken && !(oflags & O_EXCL));
	return err;
}

/* Looks for a window of the file @st. 1: found. */
static int find_window(FILE *maps, const struct stat *st, uintptr_t *start,
		       uintptr_t *end)
{
	unsigned int maj, min;
	char *line = NULL;
	size_t room = 0;
	uint64_t ino;
	int found = 0;

	while (!found && getline(&line, &room, maps) >= 0)
		found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR
			       " %*s %*s %x:%x %" SCNu64,
			       start, end, &maj, &min, &ino) == 5 &&
			ino == st->st_ino && makedev(maj, min) == st->st_dev;
	free(line);
	return found;
}

static int detach_all(const struct stat *st)
{
	uintptr_t start, end;
	FILE *maps;
	int found;

	do {
		maps = fopen("/proc/self/maps", "re");
		if (!maps)
			return -errno;
		found = find_window(maps, st, &start, &end);
		fclose(maps);
		if (found && munmap((void *)start, end - start))
			return -errno;
	} while (found);
	return 0;
}

int mshare_unlink(const char *name)
{
	struct mshare_region *region;
	struct mshare_stat use;
	struct stat st;
	int err;

	err = mshare_open(name, O_RDONLY, &region);
	if (err)
		return err;
	err = fstat(region->fd, &st) ? -errno : detach_all(&st);
	if (!err)
		err = mshare_stat(region, &use);
	if (!err && !use.processes)
		err = mshare_remove(name);
	mshare_close(region);
	/* Another process that ended its access just now may have been faster. */
	return err == -ENOENT ? 0 : err;
}
