// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare: objects in a region
 *
 * The kernel wants to be told where an object goes, in whole pages of the
 * object, and that the region is large enough. Here the first gap is taken, the
 * region grows when there is none, and sizes are rounded up.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/mman.h>

#include "private.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

#define FIXED		(MAP_FIXED | MAP_FIXED_NOREPLACE)
#define HUGE_SIZE	((unsigned int)MAP_HUGE_MASK << MAP_HUGE_SHIFT)
#define MAP_FLAGS	((unsigned int)(MAP_TYPE | FIXED | MAP_ANONYMOUS | \
					MAP_HUGETLB | MAP_NORESERVE |	\
					MAP_POPULATE | MAP_LOCKED |	\
					MAP_SYNC) | HUGE_SIZE)

/* What other processes put into the region meanwhile makes us look again. */
#define TRIES		100

static int default_huge_page(uint64_t *size)
{
	unsigned long long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return -errno;
	while (!kb && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %llu kB", &kb) != 1)
			kb = 0;
	fclose(f);
	*size = kb << 10;
	return kb ? 0 : -EINVAL;
}

/* Size of the pages that the object is made of. */
static int object_page(int fd, unsigned int flags, uint64_t *size)
{
	unsigned int log = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
	struct statfs fs;

	*size = ms_page_size();
	if (fd < 0) {
		if (!(flags & MAP_HUGETLB))
			return 0;
		if (!log)
			return default_huge_page(size);
		*size = 1ULL << log;
		return 0;
	}
	if (fstatfs(fd, &fs))
		return -errno;
	if ((uint32_t)fs.f_type == HUGETLBFS_MAGIC)
		*size = fs.f_bsize;
	return 0;
}

static int check_flags(int fd, unsigned int *flags)
{
	unsigned int type = *flags & MAP_TYPE;

	if (*flags & ~MAP_FLAGS || fd < -1)
		return fd < -1 ? -EBADF : -EINVAL;
	if (type && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if ((*flags & MAP_ANONYMOUS) && fd >= 0)
		return -EINVAL;
	if (!type)
		*flags |= *flags & MAP_SYNC ? MAP_SHARED_VALIDATE : MAP_SHARED;
	if (fd < 0)
		*flags |= MAP_ANONYMOUS;
	return 0;
}

/*
 * Huge pages can be mapped as such where region and object agree about where
 * they begin, so an object that has room for one is placed accordingly.
 */
static void placement(const struct mshare_region *region,
		      const struct mshare_create *arg, uint64_t page,
		      uint64_t *align, uint64_t *skew)
{
	uint64_t huge = region->unit / (ms_page_size() / sizeof(uint64_t));

	*align = arg->size >= huge && page < huge ? huge : page;
	*skew = arg->offset & (*align - 1);
}

static int find_gap(const struct mshare_region *region,
		    struct mshare_create *arg, uint64_t page)
{
	struct mshare_mapping m;
	uint64_t align, skew, at = 0;
	int err;

	placement(region, arg, page, &align, &skew);
	for (;;) {
		at += (skew - at) & (align - 1);
		if (at > INT64_MAX || arg->size > INT64_MAX - at)
			return -EFBIG;
		err = ms_mapping_at(region, at, &m);
		if (err == -ENOENT)
			break;
		if (err)
			return err;
		if (m.offset > at && m.offset - at >= arg->size)
			break;
		at = m.offset + m.size;
	}
	arg->region_offset = at;
	return 0;
}

static int create_mapping(struct mshare_region *region,
			  struct mshare_create *arg)
{
	struct mshare_info info;
	uint64_t end = arg->region_offset + arg->size;
	int err;

	/* No room is made for what cannot be. */
	if (end < arg->size || arg->region_offset & (ms_page_size() - 1))
		return -EINVAL;
	err = mshare_info(region, &info);
	if (!err && end > info.size)
		err = ms_grow(region, end);
	if (err)
		return err;
	return ioctl(region->fd, MSHAREFS_CREATE_MAPPING, arg) ? -errno : 0;
}

int mshare_map(struct mshare_region *region, int fd, uint64_t offset,
	       uint64_t size, int prot, int map_flags, uint64_t *region_offset)
{
	unsigned int flags = map_flags;
	struct mshare_create arg = {
		.offset = fd < 0 ? 0 : offset,
		.prot = prot,
		.fd = fd,
	};
	uint64_t page;
	int err;

	if (!region || !size || (flags & FIXED && !region_offset))
		return -EINVAL;
	err = check_flags(fd, &flags);
	if (!err)
		err = object_page(fd, flags, &page);
	if (err)
		return err;
	if (!ms_round_up(&size, page))
		return -EINVAL;
	arg.size = size;
	arg.flags = flags;
	if (flags & FIXED) {
		arg.region_offset = *region_offset;
		return create_mapping(region, &arg);
	}

	arg.flags |= MAP_FIXED_NOREPLACE;
	err = -EEXIST;
	for (int i = 0; i < TRIES && err == -EEXIST; i++) {
		err = find_gap(region, &arg, page);
		if (!err)
			err = create_mapping(region, &arg);
	}
	if (!err && region_offset)
		*region_offset = arg.region_offset;
	return err;
}
