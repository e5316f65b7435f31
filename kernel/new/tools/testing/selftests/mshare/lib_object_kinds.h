/* SPDX-License-Identifier: GPL-2.0 */
/* One file of each kind, NPAGES long, in pages of its own size. */
#ifndef MSHARE_LIB_OBJECT_KINDS_H
#define MSHARE_LIB_OBJECT_KINDS_H

#include "lib_objects.h"

enum kind { MEMFD, TMPFS, SYSV, OVERLAID, EXT4, HUGE_MEMFD, HUGE_FILE, DAX_FILE,
	    KINDS };

#define NPAGES		8UL		/* of the object's size */
#define POOL		24L		/* huge pages */

/* The size of what can be mapped and truncated. */
static inline size_t page_size(enum kind kind)
{
	return kind == HUGE_MEMFD || kind == HUGE_FILE ? HUGE : PAGE;
}

static inline int prepare(enum kind kind)
{
	switch (kind) {
	case TMPFS:
		return mount_tmpfs();
	case OVERLAID:
		return mount_overlay();
	case EXT4:
		return mount_disk();
	case DAX_FILE:
		return mount_dax();
	case HUGE_FILE:
		if (hugepage_pool(POOL) != POOL)
			return -ENOMEM;
		return mount_hugetlbfs();
	case HUGE_MEMFD:
		return hugepage_pool(POOL) == POOL ? 0 : -ENOMEM;
	default:
		return 0;
	}
}

/* A file of NPAGES pages, holding zeros. */
static inline int object_new(enum kind kind)
{
	const char *const path[KINDS] = {
		[TMPFS] = MNT "/f", [EXT4] = DISK "/f", [DAX_FILE] = DAX "/f",
		[HUGE_FILE] = HUGEFS "/f", [OVERLAID] = OVERLAY "/f",
	};
	int fd;

	switch (kind) {
	case MEMFD:
		fd = memfd_create("object", MFD_CLOEXEC);
		break;
	case HUGE_MEMFD:
		fd = memfd_create("object", MFD_CLOEXEC | MFD_HUGETLB |
				  MFD_HUGE_2MB);
		break;
	case SYSV:
		return sysv_file(NPAGES * PAGE);
	default:
		fd = open(path[kind], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	}
	if (fd >= 0 && !ftruncate(fd, NPAGES * page_size(kind)))
		return fd;
	return -errno;
}

/* As fill() and damaged(), for pages of any size, in their last word, too. */
static inline void fill_pages(char *at, size_t page, unsigned int region)
{
	for (unsigned int i = 0; i < NPAGES; i++) {
		store(at + i * page, pattern(region, i));
		store(at + (i + 1) * page - 8, pattern(region, i));
	}
}

static inline long bad_pages(const char *at, size_t page, unsigned int region,
			     unsigned int from, unsigned int to)
{
	long bad = 0;

	for (unsigned int i = from; i < to; i++) {
		bad += load(at + i * page) != pattern(region, i);
		bad += load(at + (i + 1) * page - 8) != pattern(region, i);
	}
	return bad;
}

static inline long op_fill_pages(const long *a)
{
	fill_pages((char *)a[0], a[1], a[2]);
	return 0;
}

static inline long op_bad_pages(const long *a)
{
	return bad_pages((char *)a[0], a[1], a[2], a[3], a[4]);
}

#endif
