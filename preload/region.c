// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: a region for one area
 *
 * It has no name, and no file is kept open, which programs that close all files
 * would close: the windows keep it, and it goes with the last of them. This is
 * not done with libmshare, which allocates its handles.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include <mshare/msharefs.h>

#include "preload.h"

#define UNIT_X86_64	(1ULL << 30)

static _Atomic uint64_t unit;	/* the kernel's, once there is an area */

uint64_t region_unit(void)
{
	return unit ? unit : UNIT_X86_64;
}

/* mshare_info, from the mount that the region is on. */
static uint64_t read_unit(void)
{
	char path[PATH_MAX], text[32] = "";
	size_t len = strlen(preload_config.dir);
	uint64_t value = 0;
	ssize_t got = 0;
	int fd;

	if (len + sizeof("/mshare_info") > sizeof(path))
		return UNIT_X86_64;
	memcpy(path, preload_config.dir, len);
	memcpy(path + len, "/mshare_info", sizeof("/mshare_info"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	for (ssize_t i = 0; i < got && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (text[i] - '0');
	return value >= 4096 && !(value & (value - 1)) ? value : UNIT_X86_64;
}

/* Memory and the page tables for it: one for 512 pages, and those above. */
static fsblkcnt_t blocks_of(size_t len, size_t block)
{
	fsblkcnt_t pages = len / block;

	return pages + pages / 512 + 2;
}

static int open_region(size_t len)
{
	int fd = open(preload_config.dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct statfs fs;
	int err;

	if (fd < 0) {
		err = -errno;
		/* Without msharefs the directory is one of sysfs, or missing. */
		if (err == -EOPNOTSUPP)
			return -ENODEV;
		if (err == -EACCES && !statfs(preload_config.dir, &fs) &&
		    fs.f_type != MSHAREFS_MAGIC)
			return -ENODEV;
		return err == -ENOENT ? -ENOSYS : err;
	}
	err = fstatfs(fd, &fs) ? -errno : 0;
	if (!err && fs.f_type != MSHAREFS_MAGIC)
		err = -ENODEV;
	/* The mount's limit strikes at first use, with SIGBUS: not so late. */
	if (!err && fs.f_blocks && blocks_of(len, fs.f_bsize) >= fs.f_bavail)
		err = -ENOSPC;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Only what is memory: page tables of a file on a disk come and go with it. */
bool region_can_have(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

uint64_t region_padded(size_t len)
{
	uint64_t mask = region_unit() - 1;

	return (len + mask) & ~mask;
}

static int fill(int region, const struct area *area)
{
	struct mshare_create arg = {
		.size = page_up(area->len),
		.prot = PROT_READ | PROT_WRITE,
		.flags = (area->flags & (MAP_ANONYMOUS | MAP_NORESERVE)) |
			 MAP_SHARED | MAP_FIXED_NOREPLACE,
	};

	if (!(area->flags & MAP_ANONYMOUS)) {
		arg.fd = area->fd;
		arg.offset = area->offset;
	}
	if (ftruncate(region, region_padded(area->len)) ||
	    ioctl(region, MSHAREFS_CREATE_MAPPING, &arg))
		return -errno;
	return 0;
}

/* A new region with the object of @area. */
int region_create(const struct area *area)
{
	int region = open_region(area->len), err;

	if (region < 0)
		return region;
	if (!unit)
		unit = read_unit();
	err = area->len > INT64_MAX - unit ? -ENOMEM : fill(region, area);
	if (!err)
		return region;
	close(region);
	return err;
}

static bool note(void *window, const struct area *area)
{
	uintptr_t start = (uintptr_t)window;

	if (!table_insert(start, start + page_up(area->len), area->real))
		return false;
	if (!area->real || sysv_insert(area->real, start))
		return true;
	table_cut(start, start + page_up(area->len));
	return false;
}

/* At the address asked for, if there is one, or not at all. */
int region_window(int region, const struct area *area, void **window)
{
	int fixed = area->addr ? MAP_FIXED_NOREPLACE : 0;
	size_t len = region_padded(area->len);
	void *p;

	p = preload_next.mmap(area->addr, len, area->prot, MAP_SHARED | fixed,
			      region, 0);
	if (p == MAP_FAILED)
		return -errno;
	*window = p;
	if (note(p, area))
		return 0;
	preload_next.munmap(p, len);
	return -ENOBUFS;
}

/* As MAP_POPULATE has it: as much as there is room for. Not under the lock. */
static void populate(void *window, const struct area *area)
{
	bool write = area->prot & PROT_WRITE;

	madvise(window, page_up(area->len),
		write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

/* A window of a new region. */
int region_area(const struct area *area, void **window)
{
	int region, err, cancel;

	/* mmap(2) is no cancellation point, open(2) and close(2) are. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	preload_lock();
	region = region_create(area);
	err = region < 0 ? region : region_window(region, area, window);
	if (region >= 0)
		close(region);
	preload_unlock();
	if (!err && area->flags & MAP_POPULATE)
		populate(*window, area);
	pthread_setcancelstate(cancel, NULL);
	return err;
}
