// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's operations on names, files and mounts. */
#include <dirent.h>
#include <linux/falloc.h>
#include "fuzz.h"

#define NAMES	3	/* regions of a family in a directory */

/* Directories of regions: three of the main mount, two that come and go. */
static const char *const place[] = {
	MS_DIR "/", MS_DIR "/", MS_DIR "/d0/", MS_DIR "/d1/", TMP "/m0/",
	TMP "/m1/",
};

const char *const mount_point[NR_MOUNTS] = { TMP "/m0", TMP "/m1" };

static void rnd_name(struct fz *f, int family, char *name)
{
	const char *dir = PICK(f, place);

	sprintf(name, "%sf%d.%u", dir, family, rnd(f, NAMES));
}

static void drop_fd(struct rfd *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

bool do_open(struct fz *f)
{
	struct rfd *r = &f->fd[rnd(f, NR_FDS)];
	const int modes[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY,
			      O_RDONLY, O_WRONLY };
	const int extra[] = { 0, 0, 0, O_CREAT, O_CREAT, O_CREAT,
			      O_CREAT | O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW,
			      O_DIRECTORY, O_DIRECT };
	int family = rnd(f, FAMILIES), mode = PICK(f, modes);
	int flags = PICK(f, extra), path = one_in(f, 40);
	int tmp = one_in(f, 16), units = 1 + rnd(f, 3), sized = rnd(f, 4);
	struct statfs sf;
	char name[64];

	rnd_name(f, family, name);
	drop_fd(r);
	r->family = family;
	r->mode = mode;
	if (path) {
		r->fd = open(name, O_PATH | O_CLOEXEC);
		r->mode = O_PATH;
	} else if (tmp) {
		*strrchr(name, '/') = 0;
		r->fd = open(name, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		r->mode = O_RDWR;
	} else {
		r->fd = open(name, mode | flags | O_CLOEXEC, 0600);
	}
	if (r->fd < 0)
		return false;
	/* Nothing may be mounted there, or not yet. */
	if (fstatfs(r->fd, &sf) || sf.f_type != MSHAREFS_MAGIC) {
		drop_fd(r);
		return false;
	}
	/* What is new stays plain, or becomes a container. */
	if (sized && !path && (tmp || flags & O_CREAT) &&
	    !lseek(r->fd, 0, SEEK_END) &&
	    !ftruncate(r->fd, units * f->sh->unit))
		region_map(r->fd, 0, 4 * HUGE, family == CODE ? RWX : RW, ANON,
			   -1, 0);
	return true;
}

bool do_close(struct fz *f)
{
	struct rfd *r = rnd_fd(f);

	if (r)
		drop_fd(r);
	return r;
}

bool do_unlink(struct fz *f)
{
	char name[64];

	rnd_name(f, rnd(f, FAMILIES), name);
	return !unlink(name);
}

bool do_rename(struct fz *f)
{
	const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE,
				       RENAME_EXCHANGE, RENAME_WHITEOUT };
	int family = rnd(f, FAMILIES);
	unsigned int how = PICK(f, flags);
	char from[64], to[64];

	rnd_name(f, family, from);
	rnd_name(f, family, to);
	return !renameat2(AT_FDCWD, from, AT_FDCWD, to, how);
}

/* Two names of a region, of which mostly one does not stay. */
bool do_link(struct fz *f)
{
	int family = rnd(f, FAMILIES);
	unsigned int then = rnd(f, 4);
	bool room = rnd(f, 2), ok;
	char from[64], to[64];

	rnd_name(f, family, from);
	rnd_name(f, family, to);
	if (room && strcmp(from, to))
		unlink(to);
	ok = !link(from, to);
	if (then)
		unlink(then == 1 ? from : to);
	return ok;
}

/* Gives a file without a name one. */
bool do_linkat(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	char path[40], name[64];

	if (!r)
		return false;
	rnd_name(f, r->family, name);
	sprintf(path, "/proc/self/fd/%d", r->fd);
	return !linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

bool do_dir(struct fz *f)
{
	static const char *const dir[] = { MS_DIR "/d0", MS_DIR "/d1" };
	const char *name = PICK(f, dir), *other = PICK(f, dir);

	switch (rnd(f, 6)) {
	case 0:
		return !rmdir(name);
	case 1:
		return !rename(name, other);
	case 2:
		return !chmod(name, rnd(f, 2) ? 0700 : 0755);
	default:
		return !mkdir(name, 0700);
	}
}

/* Everything in a directory, but what cannot be removed. */
void remove_names(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *de;

	while (dir && (de = readdir(dir))) {
		if (unlinkat(dirfd(dir), de->d_name, 0))
			unlinkat(dirfd(dir), de->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

bool do_readdir(struct fz *f)
{
	const char *name = PICK(f, place);
	DIR *dir = opendir(name);
	struct dirent *de;
	struct stat st;

	if (!dir)
		return false;
	while ((de = readdir(dir)))
		fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW);
	closedir(dir);
	return true;
}

/* Size and space of a region. */
bool do_resize(struct fz *f)
{
	const int modes[] = { 0, 0, 0, FALLOC_FL_KEEP_SIZE,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      FALLOC_FL_ZERO_RANGE };
	struct rfd *r = rnd_fd(f);
	uint64_t size = rnd(f, 5) * f->sh->unit, nasty = rnd_nasty(f);
	bool odd = one_in(f, 8), shape = one_in(f, 3);
	int mode = PICK(f, modes), ret;

	if (!r)
		return false;
	/* Terabytes are a region, too, but not one to work with. */
	if (odd)
		size = nasty % (64ull << 30) | (nasty & (1ull << 63));
	if (shape)
		ret = fallocate(r->fd, mode, 0, size);
	else
		ret = ftruncate(r->fd, size);
	if (!ret && (size % f->sh->unit || (shape && mode) ||
		     r->mode == O_RDONLY || r->mode == O_PATH))
		wrong(f, "size %#llx was taken, fallocate %d, mode %d",
		      (unsigned long long)size, shape ? mode : -1, r->mode);
	return !ret;
}

bool do_read_info(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int len = rnd(f, 40), at = rnd(f, 20);
	bool writing = one_in(f, 4);
	struct mshare_info info[3] = {};
	struct stat st;
	ssize_t n;

	if (!r || len > sizeof(info))
		return false;
	if (writing) {
		if (pwrite(r->fd, info, len, at) > 0)
			wrong(f, "write(2) of a region succeeded");
		return false;
	}
	n = pread(r->fd, info, len, at);
	if (n > (ssize_t)sizeof(*info))
		wrong(f, "read(2) returned %zd", n);
	if (n == sizeof(*info) && !at &&
	    (info->size % f->sh->unit || info->start % f->sh->unit))
		wrong(f, "mshare_info: start %#llx, size %#llx",
		      (unsigned long long)info->start,
		      (unsigned long long)info->size);
	fsync(r->fd);
	return !fstat(r->fd, &st) && n > 0;
}

bool do_attributes(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int what = rnd(f, 4);

	if (!r)
		return false;
	switch (what) {
	case 0:
		return !fchmod(r->fd, 0600 | rnd(f, 64));
	case 1:
		return !fchown(r->fd, rnd(f, 2) ? 0 : NOBODY, -1);
	case 2:
		return !futimens(r->fd, NULL);
	default:
		return fcntl(r->fd, F_SETFL, rnd(f, 2) ? O_APPEND : 0) >= 0;
	}
}

/*
 * Other mounts come and go; the main one changes its limits. None is large:
 * those that were detached in use add up, and swapoff wants room for all.
 */
bool do_mount(struct fz *f)
{
	static const char *const options[] = {
		"size=24m", "size=8m", "size=8m,nr_inodes=20",
		"size=16m,mode=700", "size=1%", "size=12m,uid=1,gid=2",
		"size=8m,nr_inodes=0", "size=1x", "x=y", "nr_inodes=-1",
		"size=4k,nr_inodes=2",
	};
	static const char *const limits[] = {
		"size=192m", "size=128m", "size=200m", "size=192m,nr_inodes=500",
		"size=1k", "nr_inodes=1", "size=bad", "mode=1777",
	};
	const char *dir = PICK(f, mount_point), *opt = PICK(f, options);
	const char *limit = PICK(f, limits);
	unsigned int what = rnd(f, 10);
	struct statfs sf;

	statfs(MS_DIR, &sf);
	switch (what) {
	case 0:
	case 1:
	case 2:
	case 3:
		return !mount("msharefs", dir, "msharefs",
			      one_in(f, 4) ? MS_NOEXEC : 0, opt);
	case 4:
	case 5:
	case 6:
		return !umount(dir);
	case 7:
		return !umount2(dir, MNT_DETACH);
	case 8:
		return !mount(NULL, dir, NULL, MS_REMOUNT, opt);
	default:
		return !mount(NULL, MS_DIR, NULL, MS_REMOUNT, limit);
	}
}
