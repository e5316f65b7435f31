// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare: what is done to a range of a region, for all processes at once */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "private.h"

uint64_t ms_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* @align is a power of two. False when the result is not a number. */
bool ms_round_up(uint64_t *value, uint64_t align)
{
	uint64_t up = (*value + align - 1) & ~(align - 1);

	if (up < *value)
		return false;
	*value = up;
	return true;
}

/* The first mapping that ends after @offset. */
int ms_mapping_at(const struct mshare_region *region, uint64_t offset,
		  struct mshare_mapping *mapping)
{
	*mapping = (struct mshare_mapping){ .offset = offset };
	return ioctl(region->fd, MSHAREFS_NEXT_MAPPING, mapping) ? -errno : 0;
}

/*
 * Rounds up @size as mshare_map() did: the page at the end is in it as a whole,
 * and which size that page has, the mapping tells.
 */
static int round_range(const struct mshare_region *region, uint64_t offset,
		       uint64_t *size)
{
	uint64_t page = ms_page_size(), end = offset + *size;
	struct mshare_mapping m;
	int err;

	if (!*size || end < offset)
		return -EINVAL;
	if (end & (region->unit - 1)) {
		err = ms_mapping_at(region, end - 1, &m);
		if (err && err != -ENOENT)
			return err;
		if (!err && m.offset < end)
			page = 1ULL << m.page_shift;
		/* Mappings begin at multiples of their pages. */
		if (!ms_round_up(&end, page))
			return -EINVAL;
	}
	*size = end - offset;
	return 0;
}

/* @size is the one in @arg: it is rounded there. */
static int change(struct mshare_region *region, unsigned long command,
		  uint64_t offset, __u64 *size, void *arg)
{
	uint64_t rounded = *size;
	int err;

	if (!region)
		return -EINVAL;
	err = round_range(region, offset, &rounded);
	if (err)
		return err;
	*size = rounded;
	return ioctl(region->fd, command, arg) ? -errno : 0;
}

int mshare_unmap(struct mshare_region *region, uint64_t region_offset,
		 uint64_t size)
{
	struct mshare_unmap arg = {
		.region_offset = region_offset, .size = size,
	};

	return change(region, MSHAREFS_UNMAP, region_offset, &arg.size, &arg);
}

int mshare_protect(struct mshare_region *region, uint64_t region_offset,
		   uint64_t size, int prot)
{
	struct mshare_protect arg = {
		.region_offset = region_offset, .size = size, .prot = prot,
	};

	return change(region, MSHAREFS_PROTECT, region_offset, &arg.size, &arg);
}

int mshare_advise(struct mshare_region *region, uint64_t region_offset,
		  uint64_t size, int advice)
{
	struct mshare_advise arg = {
		.region_offset = region_offset, .size = size, .advice = advice,
	};

	return change(region, MSHAREFS_ADVISE, region_offset, &arg.size, &arg);
}

int mshare_lock(struct mshare_region *region, uint64_t region_offset,
		uint64_t size, int flags)
{
	struct mshare_lock arg = {
		.region_offset = region_offset, .size = size,
		.op = MSHAREFS_LOCK_ON, .flags = flags,
	};

	return change(region, MSHAREFS_LOCK, region_offset, &arg.size, &arg);
}

int mshare_unlock(struct mshare_region *region, uint64_t region_offset,
		  uint64_t size)
{
	struct mshare_lock arg = {
		.region_offset = region_offset, .size = size,
		.op = MSHAREFS_LOCK_OFF,
	};

	return change(region, MSHAREFS_LOCK, region_offset, &arg.size, &arg);
}
