/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is mapped into a region: the ioctls as functions that return 0 or
 * -errno, what a region has, and files to map.
 */
#ifndef MSHARE_LIB_REGION_H
#define MSHARE_LIB_REGION_H

#include <linux/mman.h>
#include <sys/ioctl.h>
#include <time.h>
#include "lib.h"

#define RW		(PROT_READ | PROT_WRITE)
#define RX		(PROT_READ | PROT_EXEC)
#define RWX		(PROT_READ | PROT_WRITE | PROT_EXEC)
#define KIB		(1UL << 10)
#define MIB		(1UL << 20)
#define HUGE		(2 * MIB)

#define FIXED		(MAP_SHARED | MAP_FIXED)
#define NOREPLACE	(MAP_SHARED | MAP_FIXED_NOREPLACE)
#define ANON		(FIXED | MAP_ANONYMOUS)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

int region_ioctl(int fd, unsigned long cmd, const void *arg);
int region_map(int fd, uint64_t at, uint64_t size, int prot, int flags,
	       int object, uint64_t object_offset);
int region_anon(int fd, uint64_t at, uint64_t size);
int region_unmap(int fd, uint64_t at, uint64_t size);
int region_protect(int fd, uint64_t at, uint64_t size, int prot);
int region_advise(int fd, uint64_t at, uint64_t size, int advice);
int region_lock(int fd, uint64_t at, uint64_t size, int op, int flags);
struct mshare_stat region_stat(int fd);
int region_next(int fd, uint64_t from, struct mshare_mapping *m);
uint64_t region_mapped(int fd, uint64_t from, uint64_t to, unsigned int *count);
long used_blocks(const char *path);
long used_inodes(const char *path);
long overhead_blocks(int fd);
long tables_settle(int fd, long want);
long used_settle(const char *path, long want);

/* Files. */
int file_fill(int fd, unsigned int region, unsigned long pages);
uint64_t file_load(int fd, unsigned long page);
int reopen(int fd, int flags);

/* Two probes in one number: whether @at can be read, and written. */
#define CAN(read, write)	((read) << 16 | (write))

int access_of(volatile void *at);

/* For peers. */
long op_sparse(const long *a);
long op_access(const long *a);

int run_program(const char *const *argv);

#endif
