// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare: windows, through which a process sees a region
 *
 * They are made of units. What is asked for can begin and end anywhere; the
 * window is of the units that contain it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "private.h"

/*
 * Where the window should be: where the first one of the region is, so that
 * pointers in the region are good in as many processes as possible.
 */
static uintptr_t usual_place(const struct mshare_info *info, uint64_t base)
{
	uint64_t at = info->start + base;

	return info->start && at == (uintptr_t)at ? at : 0;
}

/* What of the region to see: @size 0 is all that follows @offset. */
static int window_range(const struct mshare_region *region,
			const struct mshare_info *info, uint64_t offset,
			uint64_t *size, uint64_t *base, uint64_t *len)
{
	if (offset >= info->size)
		return -EINVAL;
	if (!*size)
		*size = info->size - offset;
	if (*size > info->size - offset)
		return -EINVAL;
	*base = offset & ~(region->unit - 1);
	*len = offset - *base + *size;
	if (!ms_round_up(len, region->unit) || *len > SIZE_MAX)
		return -ENOMEM;
	return 0;
}

static int map_window(const struct mshare_region *region, uintptr_t at,
		      uint64_t base, uint64_t len, int prot, int flags,
		      struct mshare_window *window)
{
	int fixed = flags & MSHARE_FIXED ? MAP_FIXED_NOREPLACE : 0;
	void *addr;

	if (fixed && !at)
		fixed = 0;	/* the first window there is: anywhere */
	if (fixed && at & (region->unit - 1))
		return -EINVAL;
	addr = mmap((void *)at, len, prot, MAP_SHARED | fixed, region->fd, base);
	if (addr == MAP_FAILED)
		return -errno;
	window->base = addr;
	window->len = len;
	return 0;
}

int mshare_attach(struct mshare_region *region, void *addr, uint64_t offset,
		  uint64_t size, int prot, int flags,
		  struct mshare_window **window)
{
	struct mshare_window *new;
	struct mshare_info info;
	uint64_t base, len;
	uintptr_t at;
	int err;

	if (!region || !window || flags & ~MSHARE_FIXED)
		return -EINVAL;
	err = mshare_info(region, &info);
	if (!err)
		err = window_range(region, &info, offset, &size, &base, &len);
	if (err)
		return err;
	at = addr ? (uintptr_t)addr - (offset - base) : usual_place(&info, base);

	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	err = map_window(region, at, base, len, prot, flags, new);
	if (err) {
		free(new);
		return err;
	}
	new->addr = (char *)new->base + (offset - base);
	new->size = size;
	*window = new;
	return 0;
}

void *mshare_window_addr(const struct mshare_window *window)
{
	return window ? window->addr : NULL;
}

size_t mshare_window_size(const struct mshare_window *window)
{
	return window ? window->size : 0;
}

int mshare_detach(struct mshare_window *window)
{
	if (!window)
		return -EINVAL;
	if (munmap(window->base, window->len))
		return -errno;
	free(window);
	return 0;
}
