// SPDX-License-Identifier: GPL-2.0
/*
 * The shared area of the benchmarks, as ordinary shared memory or as an
 * msharefs region. Both are used in the same steps: name it, create it once,
 * attach to it by name in every process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "bench.h"

#ifndef MSHAREFS_MAGIC
#define MSHAREFS_MAGIC	0x4d534852
#endif

int parse_mode(const char *name)
{
	if (!strcmp(name, "plain"))
		return PLAIN;
	if (!strcmp(name, "mshare"))
		return MSHARE;
	die("%s: mode is plain or mshare", name);
}

const char *mode_name(enum mode mode)
{
	return mode == MSHARE ? "mshare" : "plain";
}

bool have_msharefs(const char *dir)
{
	struct statfs st;

	return !statfs(dir, &st) && st.f_type == MSHAREFS_MAGIC;
}

/* The alignment and size unit of regions: a number in a file. */
size_t mshare_unit(const char *dir)
{
	char path[128], text[32] = "";
	size_t unit;
	int fd;

	snprintf(path, sizeof(path), "%s/mshare_info", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
	unit = strtoul(text, NULL, 10);
	if (unit < PAGE || unit & (unit - 1))
		die("%s: %s: not a unit", path, text);
	return unit;
}

/*
 * Decide where the area will be found, before the users are forked, so that
 * they have to inherit nothing but the name.
 */
void area_name(struct area *a, enum mode mode, size_t bytes, const char *dir)
{
	a->mode = mode;
	a->bytes = bytes;
	a->memfd = -1;
	if (mode == MSHARE) {
		size_t unit;

		if (!have_msharefs(dir))
			die("%s: no msharefs is mounted here", dir);
		unit = mshare_unit(dir);
		a->len = (bytes + unit - 1) / unit * unit;
		snprintf(a->path, sizeof(a->path), "%s/bench.%d", dir, getpid());
		return;
	}
	a->len = bytes;
	a->memfd = memfd_create("bench", MFD_CLOEXEC);
	if (a->memfd < 0)
		die("memfd_create: %s", strerror(errno));
	snprintf(a->path, sizeof(a->path), "/proc/%d/fd/%d", getpid(), a->memfd);
}

static void *area_map(const struct area *a, int flags, int prot)
{
	int fd = open(a->path, flags | O_CLOEXEC, 0600);
	void *p;

	if (fd < 0)
		die("%s: open: %s", a->path, strerror(errno));
	if (a->mode == PLAIN && (flags & O_CREAT) && ftruncate(fd, a->len))
		die("%s: ftruncate: %s", a->path, strerror(errno));
	p = mmap(NULL, a->len, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("%s: mmap of %zu bytes: %s", a->path, a->len, strerror(errno));
	close(fd);
	return p;
}

/* The first mmap() by a writer gives an msharefs region its size. */
void *area_create(const struct area *a)
{
	return area_map(a, O_RDWR | O_CREAT, PROT_READ | PROT_WRITE);
}

void *area_attach(const struct area *a, int prot)
{
	return area_map(a, O_RDWR, prot);
}

void area_detach(const struct area *a, void *p)
{
	if (munmap(p, a->len))
		die("%s: munmap: %s", a->path, strerror(errno));
}

void area_remove(struct area *a)
{
	if (a->mode == MSHARE && unlink(a->path) && errno != ENOENT)
		die("%s: unlink: %s", a->path, strerror(errno));
	if (a->memfd >= 0)
		close(a->memfd);
	a->memfd = -1;
}
