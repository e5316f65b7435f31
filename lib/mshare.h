/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmshare: memory whose page tables are shared between processes.
 *
 * A region is a file in msharefs that holds memory together with its page
 * tables. What is mapped in it is there for every process that has a window on
 * it, and so is every change of its protection. docs/library.md is a guide,
 * libmshare(3) an overview.
 *
 * Functions return 0 or a negative errno. On a kernel without mshare that is
 * -ENOSYS, and -ENODEV where msharefs is not mounted. Sizes are bytes and need
 * not be multiples of anything: they are rounded up to what the memory is made
 * of. Handles can be used by several threads at once, except to destroy them,
 * and by the children of fork(2). There is no other state.
 */
#ifndef MSHARE_H
#define MSHARE_H

#include <stdint.h>
#include <sys/types.h>
#include <mshare/msharefs.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSHARE_VERSION	"1.0"

/* Where msharefs is mounted. Names that do not begin with / are below it. */
#define MSHARE_DIR	"/sys/fs/mshare"

/* A region that is open, and the mapping of one into this process. */
struct mshare_region;
struct mshare_window;

/* What there is: 0, -ENOSYS, -ENODEV; and the unit of windows in bytes. */
int mshare_probe(void);
int mshare_unit(uint64_t *unit);

/* Regions: libmshare's mshare_create(3). */
int mshare_create(const char *name, uint64_t size, int map_flags, mode_t mode,
		  struct mshare_region **region);
int mshare_open(const char *name, int oflags, struct mshare_region **region);
int mshare_from_fd(int fd, struct mshare_region **region);
int mshare_link(struct mshare_region *region, const char *name);
int mshare_remove(const char *name);
int mshare_resize(struct mshare_region *region, uint64_t size);
int mshare_fd(const struct mshare_region *region);
void mshare_close(struct mshare_region *region);

/* Windows: mshare_attach(3). */
#define MSHARE_FIXED	1	/* at this address, or fail with -EEXIST */

int mshare_attach(struct mshare_region *region, void *addr, uint64_t offset,
		  uint64_t size, int prot, int flags,
		  struct mshare_window **window);
void *mshare_window_addr(const struct mshare_window *window);
size_t mshare_window_size(const struct mshare_window *window);
int mshare_detach(struct mshare_window *window);

/* What is in a region, for all processes: mshare_map(3), mshare_protect(3). */
int mshare_map(struct mshare_region *region, int fd, uint64_t offset,
	       uint64_t size, int prot, int map_flags, uint64_t *region_offset);
int mshare_unmap(struct mshare_region *region, uint64_t region_offset,
		 uint64_t size);
int mshare_protect(struct mshare_region *region, uint64_t region_offset,
		   uint64_t size, int prot);
int mshare_advise(struct mshare_region *region, uint64_t region_offset,
		  uint64_t size, int advice);
int mshare_lock(struct mshare_region *region, uint64_t region_offset,
		uint64_t size, int flags);
int mshare_unlock(struct mshare_region *region, uint64_t region_offset,
		  uint64_t size);

/* Looking: mshare_stat(3). */
typedef int (*mshare_walk_fn)(const struct mshare_mapping *mapping, void *arg);

int mshare_info(struct mshare_region *region, struct mshare_info *info);
int mshare_stat(struct mshare_region *region, struct mshare_stat *stat);
int mshare_walk(struct mshare_region *region, mshare_walk_fn fn, void *arg);

/* The interface of the first proposal: mshare(3). */
int mshare(const char *name, void *addr, size_t length, int oflags,
	   mode_t mode);
int mshare_unlink(const char *name);

#ifdef __cplusplus
}
#endif

#endif
