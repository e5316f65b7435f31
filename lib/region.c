// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare: regions, and the handles of those that are open */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"

/* Takes @fd over, also when it fails. */
static int new_handle(int fd, struct mshare_region **region)
{
	struct mshare_region *new = malloc(sizeof(*new));

	if (!new) {
		close(fd);
		return -ENOMEM;
	}
	new->fd = fd;
	new->unit = ms_unit();
	*region = new;
	return 0;
}

int mshare_open(const char *name, int oflags, struct mshare_region **region)
{
	char path[PATH_MAX];
	int err, fd;

	if (!region || (oflags != O_RDONLY && oflags != O_RDWR))
		return -EINVAL;
	err = ms_path(name, path, sizeof(path));
	if (err)
		return err;
	/* What turns out not to be a region must not hang or become a tty. */
	fd = open(path, oflags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return ms_open_error(path, -errno);
	err = ms_check_region(fd);
	if (err) {
		close(fd);
		return ms_open_error(path, err);
	}
	return new_handle(fd, region);
}

int mshare_from_fd(int fd, struct mshare_region **region)
{
	int copy, err;

	if (!region)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	err = ms_check_region(copy);
	if (err) {
		close(copy);
		return mshare_probe() == -ENOSYS ? -ENOSYS : err;
	}
	return new_handle(copy, region);
}

/* In the directory where it is to get its name. */
static int open_unnamed(const char *name, mode_t mode)
{
	char path[PATH_MAX];
	char *slash;
	int err, fd;

	err = ms_path(name ? name : "unnamed", path, sizeof(path));
	if (err)
		return err;
	slash = strrchr(path, '/');
	slash[slash == path] = 0;
	fd = open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
	if (fd < 0)	/* not every file system has such files */
		return ms_open_error(path, errno == EOPNOTSUPP ? -EINVAL :
								 -errno);
	err = ms_check_region(fd);
	if (err) {
		close(fd);
		return ms_open_error(path, err);
	}
	return fd;
}

int ms_create_unnamed(const char *name, uint64_t size, int map_flags,
		      mode_t mode, struct mshare_region **region)
{
	int err, fd;

	if (map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return -EINVAL;
	fd = open_unnamed(name, mode);
	if (fd < 0)
		return fd;
	err = new_handle(fd, region);
	if (err || !size)
		return err;
	err = mshare_map(*region, -1, 0, size, PROT_READ | PROT_WRITE,
			 map_flags, NULL);
	if (err)
		mshare_close(*region);
	return err;
}

/* The name comes last: whoever can open the region finds it complete. */
int mshare_create(const char *name, uint64_t size, int map_flags, mode_t mode,
		  struct mshare_region **region)
{
	struct mshare_region *new;
	int err;

	if (!region)
		return -EINVAL;
	err = ms_create_unnamed(name, size, map_flags, mode, &new);
	if (err)
		return err;
	if (name) {
		err = mshare_link(new, name);
		if (err) {
			mshare_close(new);
			return err;
		}
	}
	*region = new;
	return 0;
}

int mshare_link(struct mshare_region *region, const char *name)
{
	char self[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	char path[PATH_MAX];
	int err;

	if (!region)
		return -EINVAL;
	err = ms_path(name, path, sizeof(path));
	if (err)
		return err;
	if (!linkat(region->fd, "", AT_FDCWD, path, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOENT)
		return -errno;
	/*
	 * Also what the kernel says when the file was opened with other
	 * credentials, by the process that passed it on for example.
	 */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", region->fd);
	if (!linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		return 0;
	return -errno;
}

/*
 * The directory is looked at, and the name removed from that one: what path
 * leads to may be another file the next time, but not one of msharefs.
 */
int mshare_remove(const char *name)
{
	char path[PATH_MAX];
	char *slash;
	int err, dir;

	err = ms_path(name, path, sizeof(path));
	if (err)
		return err;
	slash = strrchr(path, '/');
	*slash = 0;
	dir = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ms_open_error(path, -errno);
	err = ms_check_fs(dir);
	if (!err && unlinkat(dir, slash + 1, 0))
		err = -errno;
	close(dir);
	return err == -EINVAL ? ms_open_error(path, err) : err;
}

/* Never makes it smaller: others may be making it larger now. */
int ms_grow(const struct mshare_region *region, uint64_t size)
{
	if (!ms_round_up(&size, region->unit) || size > INT64_MAX)
		return -EFBIG;
	return fallocate(region->fd, 0, 0, size) ? -errno : 0;
}

int mshare_resize(struct mshare_region *region, uint64_t size)
{
	if (!region)
		return -EINVAL;
	if (!ms_round_up(&size, region->unit) || size > INT64_MAX)
		return -EFBIG;
	if (!ftruncate(region->fd, size))
		return 0;
	/* EINVAL, too, is what ftruncate(2) says about a file not writable. */
	if (errno == EINVAL &&
	    (fcntl(region->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	return -errno;
}

int mshare_fd(const struct mshare_region *region)
{
	return region ? region->fd : -EINVAL;
}

void mshare_close(struct mshare_region *region)
{
	if (!region)
		return;
	close(region->fd);
	free(region);
}
