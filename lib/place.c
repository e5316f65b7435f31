// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare: where regions are, and what is missing when they are not there */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "private.h"

/* What links cover on every x86-64 processor, where mshare_info is not seen. */
#define UNIT_X86_64	(1ULL << 30)

int mshare_probe(void)
{
	struct statfs fs;

	/* The directory is there whenever the kernel has msharefs. */
	if (statfs(MSHARE_DIR, &fs))
		return errno == ENOENT || errno == ENOTDIR ? -ENOSYS : -errno;
	return fs.f_type == MSHAREFS_MAGIC ? 0 : -ENODEV;
}

/* The unit is the kernel's: each mount has the same. */
uint64_t ms_unit(void)
{
	int fd = open(MSHARE_DIR "/mshare_info", O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	uint64_t unit;

	if (fd < 0)
		return UNIT_X86_64;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	unit = strtoull(text, NULL, 10);
	return unit && !(unit & (unit - 1)) ? unit : UNIT_X86_64;
}

int mshare_unit(uint64_t *unit)
{
	int err = mshare_probe();

	if (!unit)
		return -EINVAL;
	if (!err)
		*unit = ms_unit();
	return err;
}

/* The path of the region @name. */
int ms_path(const char *name, char *path, size_t room)
{
	const char *dir = MSHARE_DIR "/";
	int len;

	if (!name || !*name)
		return -EINVAL;
	if (*name == '/')
		dir = "";
	len = snprintf(path, room, "%s%s", dir, name);
	return len < 0 || (size_t)len >= room ? -ENAMETOOLONG : 0;
}

/*
 * Why @path could not be opened: @error, a negative errno, if it is not for
 * lack of msharefs as a whole.
 */
int ms_open_error(const char *path, int error)
{
	int missing = mshare_probe();
	size_t len = strlen(MSHARE_DIR);

	if (missing == -ENOSYS)
		return missing;
	if (missing && !strncmp(path, MSHARE_DIR, len) &&
	    (path[len] == '/' || !path[len]))
		return missing;
	return error;
}

int ms_check_fs(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return -errno;
	return fs.f_type == MSHAREFS_MAGIC ? 0 : -EINVAL;
}

/* Whether a file is a region. mshare_info is in msharefs, too, and is none. */
int ms_check_region(int fd)
{
	struct mshare_stat stat;
	int err = ms_check_fs(fd);

	if (!err && ioctl(fd, MSHAREFS_STAT, &stat))
		err = errno == ENOTTY ? -EINVAL : -errno;
	return err;
}
