// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare: what a region is made of, and what it costs */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "private.h"

int mshare_info(struct mshare_region *region, struct mshare_info *info)
{
	ssize_t n;

	if (!region || !info)
		return -EINVAL;
	n = pread(region->fd, info, sizeof(*info), 0);
	if (n < 0)
		return -errno;
	return n == sizeof(*info) ? 0 : -EIO;
}

int mshare_stat(struct mshare_region *region, struct mshare_stat *stat)
{
	if (!region || !stat)
		return -EINVAL;
	return ioctl(region->fd, MSHAREFS_STAT, stat) ? -errno : 0;
}

int mshare_walk(struct mshare_region *region, mshare_walk_fn fn, void *arg)
{
	struct mshare_mapping m;
	uint64_t at = 0;
	int err;

	if (!region || !fn)
		return -EINVAL;
	for (;;) {
		err = ms_mapping_at(region, at, &m);
		if (err)
			return err == -ENOENT ? 0 : err;
		err = fn(&m, arg);
		if (err)
			return err;
		at = m.offset + m.size;
	}
}
