// SPDX-License-Identifier: GPL-2.0
/* What stands between the programs under test and the C library. See fake.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "fake.h"

#define REAL	"/sys/fs/mshare"
#define MAX	(64ULL << 40)

static int fail_in, fail_error;
static bool fired;
static void (*intruder)(void);

void fake_intrude(int n, void (*fn)(void))
{
	fail_in = n;
	fired = false;
	intruder = fn;
}

void fake_fail(int n, int error)
{
	fail_in = n;
	fail_error = error;
	if (n)
		fired = false;
}

bool fake_failed(void)
{
	return fired;
}

static bool fails(void)
{
	if (!fail_in || --fail_in)
		return false;
	fired = true;
	errno = fail_error;
	if (!intruder)
		return true;
	intruder();
	intruder = NULL;
	return false;
}

static bool is(const char *state)
{
	const char *now = getenv("MSHARE_FAKE");

	return now && !strcmp(now, state);
}

/* @path, in the fake's directory if it is in msharefs. NULL: errno. */
static const char *place(const char *path, char *room)
{
	const char *dir = getenv("MSHARE_FAKE_DIR");
	size_t len = strlen(REAL);

	if (strncmp(path, REAL, len) || (path[len] && path[len] != '/'))
		return path;
	if (is("absent") || (is("unmounted") && path[len])) {
		errno = ENOENT;
		return NULL;
	}
	snprintf(room, PATH_MAX, "%s%s", dir, path + len);
	return room;
}

static bool is_fake(int fd)
{
	const char *dir = getenv("MSHARE_FAKE_DIR");
	char self[64], path[PATH_MAX];
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	if (n < 0 || !dir || !is("mounted"))
		return false;
	path[n] = 0;
	return !strncmp(path, dir, strlen(dir)) &&
	       (path[strlen(dir)] == '/' || !path[strlen(dir)]);
}

/* Regions are all files that are not mshare_info, which is a short one. */
static int load(int fd, struct fake_meta *meta, struct stat *st, char *path)
{
	FILE *f;

	if (fstat(fd, st))
		return -1;
	if (!S_ISREG(st->st_mode) || st->st_size & (FAKE_UNIT - 1)) {
		errno = ENOTTY;
		return -1;
	}
	snprintf(path, PATH_MAX, "%s.meta", getenv("MSHARE_FAKE_DIR"));
	mkdir(path, 0700);
	snprintf(path + strlen(path), 32, "/%llu", (unsigned long long)st->st_ino);
	memset(meta, 0, sizeof(*meta));
	f = fopen(path, "r");
	if (!f)
		return 0;
	/* A number of an inode is used again; a file of size 0 is a new one. */
	if (!st->st_size || fread(meta, sizeof(*meta), 1, f) != 1)
		memset(meta, 0, sizeof(*meta));
	fclose(f);
	return 0;
}

static void save(const struct fake_meta *meta, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(meta, sizeof(*meta), 1, f) != 1)
		abort();
	fclose(f);
}

static bool writable(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

REAL_OF(void *, malloc, size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

REAL_OF(int, open64, const char *path, int flags, ...)
{
	char room[PATH_MAX];
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	path = fails() ? NULL : place(path, room);
	if (!path)
		return -1;
	if (is("unmounted") && path == room && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

REAL_OF(int, fcntl64, int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return command != F_GETFL && fails() ? -1 :
	       __real_fcntl64(fd, command, arg);
}

static int fake_statfs(int err, struct statfs *fs)
{
	if (!err) {
		fs->f_type = is("mounted") ? MSHAREFS_MAGIC : SYSFS_MAGIC;
		fs->f_blocks = 0;	/* as without size= */
	}
	return err;
}

REAL_OF(int, statfs64, const char *path, struct statfs *fs)
{
	char room[PATH_MAX];

	path = fails() ? NULL : place(path, room);
	if (!path)
		return -1;
	if (path != room)
		return __real_statfs64(path, fs);
	return fake_statfs(__real_statfs64(path, fs), fs);
}

REAL_OF(int, fstatfs64, int fd, struct statfs *fs)
{
	if (fails())
		return -1;
	if (!is_fake(fd))
		return __real_fstatfs64(fd, fs);
	return fake_statfs(__real_fstatfs64(fd, fs), fs);
}

REAL_OF(int, ioctl, int fd, unsigned long command, ...)
{
	struct fake_meta meta;
	char path[PATH_MAX];
	struct stat st;
	va_list args;
	void *arg;
	int err;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (fails())
		return -1;
	if (!is_fake(fd))
		return __real_ioctl(fd, command, arg);
	if (load(fd, &meta, &st, path))
		return -1;
	errno = EBADF;
	if (command != MSHAREFS_STAT && command != MSHAREFS_NEXT_MAPPING &&
	    !writable(fd))
		return -1;
	err = fake_ioctl(&meta, st.st_size, command, arg);
	if (err) {
		errno = -err;
		return -1;
	}
	save(&meta, path);
	return 0;
}

REAL_OF(ssize_t, pread64, int fd, void *to, size_t len, off_t offset)
{
	struct fake_meta meta;
	char path[PATH_MAX];
	struct mshare_info *info = to;
	struct stat st;

	if (fails())
		return -1;
	if (!is_fake(fd))
		return __real_pread64(fd, to, len, offset);
	if (len < sizeof(*info) || offset || load(fd, &meta, &st, path)) {
		errno = EINVAL;
		return -1;
	}
	info->start = meta.start;
	info->size = st.st_size;
	return sizeof(*info);
}

static int resize(int fd, off_t size, bool shrink)
{
	struct fake_meta meta;
	char path[PATH_MAX];
	struct stat st;

	errno = EINVAL;
	if (size & (FAKE_UNIT - 1) || load(fd, &meta, &st, path))
		return -1;
	errno = EFBIG;
	if ((uint64_t)size > MAX)
		return -1;
	if (size < st.st_size && !shrink)
		return 0;
	errno = EBUSY;
	for (uint64_t i = 0; i < meta.count; i++)
		if (meta.map[i].offset + meta.map[i].size > (uint64_t)size)
			return -1;
	/* Nothing of what had this inode before. */
	save(&meta, path);
	return __real_ftruncate64(fd, size);
}

REAL_OF(int, ftruncate64, int fd, off_t size)
{
	if (!is_fake(fd))
		return __real_ftruncate64(fd, size);
	if (fails())
		return -1;
	errno = EINVAL;
	if (!writable(fd))
		return -1;
	return resize(fd, size, true);
}

REAL_OF(int, fallocate64, int fd, int mode, off_t offset, off_t len)
{
	if (!is_fake(fd))
		return __real_fallocate64(fd, mode, offset, len);
	if (fails())
		return -1;
	errno = EBADF;
	if (!writable(fd))
		return -1;
	return resize(fd, offset + len, false);
}

/* Like the kernel: in units, at multiples of the unit. */
static void *map_units(void *addr, size_t len, int prot, int flags, int fd,
		       off_t offset)
{
	uintptr_t at = (uintptr_t)addr;
	void *room;

	if (!(flags & MAP_FIXED_NOREPLACE)) {
		room = __real_mmap64(NULL, len + FAKE_UNIT, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				     -1, 0);
		if (room == MAP_FAILED)
			return room;
		__real_munmap(room, len + FAKE_UNIT);
		/* A hint is taken if it is free. */
		flags |= MAP_FIXED_NOREPLACE;
		if (at)
			addr = __real_mmap64(addr, len, prot, flags, fd, offset);
		if (at && addr != MAP_FAILED)
			return addr;
		at = ((uintptr_t)room + FAKE_UNIT - 1) & ~(FAKE_UNIT - 1);
	}
	return __real_mmap64((void *)at, len, prot, flags, fd, offset);
}

REAL_OF(void *, mmap64, void *addr, size_t len, int prot, int flags, int fd,
	off_t offset)
{
	struct fake_meta meta;
	char path[PATH_MAX];
	struct stat st;

	if (fd < 0 || !is_fake(fd))
		return __real_mmap64(addr, len, prot, flags, fd, offset);
	if (fails() || load(fd, &meta, &st, path))
		return MAP_FAILED;
	errno = EINVAL;
	if ((len | offset) & (FAKE_UNIT - 1) || offset + len > (size_t)st.st_size)
		return MAP_FAILED;
	if (flags & MAP_FIXED_NOREPLACE && (uintptr_t)addr & (FAKE_UNIT - 1))
		return MAP_FAILED;
	addr = map_units(addr, len, prot, flags, fd, offset);
	if (addr != MAP_FAILED && !meta.start) {
		meta.start = (uintptr_t)addr;
		save(&meta, path);
	}
	return addr;
}

REAL_OF(int, munmap, void *addr, size_t len)
{
	return fails() ? -1 : __real_munmap(addr, len);
}

REAL_OF(int, linkat, int from, const char *path, int to, const char *name,
	int flags)
{
	char self[64], room[PATH_MAX];

	name = fails() ? NULL : place(name, room);
	if (!name)
		return -1;
	if (!(flags & AT_EMPTY_PATH))
		return __real_linkat(from, path, to, name, flags);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", from);
	return __real_linkat(AT_FDCWD, self, to, name, AT_SYMLINK_FOLLOW);
}

REAL_OF(int, unlinkat, int dir, const char *name, int flags)
{
	if (fails())
		return -1;
	if (is_fake(dir) && !strcmp(name, "mshare_info")) {
		errno = EPERM;
		return -1;
	}
	return __real_unlinkat(dir, name, flags);
}

REAL_OF(int, mkdir, const char *path, mode_t mode)
{
	char room[PATH_MAX];

	path = place(path, room);
	return path ? __real_mkdir(path, mode) : -1;
}

REAL_OF(int, scandir64, const char *path, struct dirent ***list,
	int (*filter)(const struct dirent *),
	int (*compare)(const struct dirent **, const struct dirent **))
{
	char room[PATH_MAX];

	path = place(path, room);
	return path ? __real_scandir64(path, list, filter, compare) : -1;
}

REAL_OF(int, access, const char *path, int mode)
{
	char room[PATH_MAX];

	path = place(path, room);
	return path ? __real_access(path, mode) : -1;
}

REAL_OF(int, stat64, const char *path, struct stat *st)
{
	char room[PATH_MAX];

	path = place(path, room);
	return path ? __real_stat64(path, st) : -1;
}

REAL_OF(int, lstat64, const char *path, struct stat *st)
{
	char room[PATH_MAX];

	path = place(path, room);
	return path ? __real_lstat64(path, st) : -1;
}

/* What mount(2) was asked for becomes true. */
REAL_OF(int, mount, const char *source, const char *target, const char *type,
	unsigned long flags, const void *data)
{
	(void)source;
	(void)flags;
	(void)data;
	errno = ENODEV;
	if (strcmp(type, "msharefs") || is("absent"))
		return -1;
	errno = ENOENT;
	if (strcmp(target, REAL))
		return -1;
	return setenv("MSHARE_FAKE", "mounted", 1);
}
