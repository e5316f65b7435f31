/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of msharefs as libmshare and the tool need to be tested without it.
 *
 * The linker puts it between them and the C library (--wrap, see fake.mk). A
 * directory stands for /sys/fs/mshare, files in it for regions: windows are
 * mappings of these files, and what is mapped in a region is only noted. Tests
 * that hold for both run on the real thing too, in the machine: what differs
 * there is a mistake here.
 *
 *	MSHARE_FAKE=absent|unmounted|mounted	which kernel it is to be
 *	MSHARE_FAKE_DIR=DIRECTORY		an empty directory to begin with
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>

#include <mshare/msharefs.h>

#define FAKE_UNIT	(1ULL << 30)
#define FAKE_MAPPINGS	32

/* What is noted about a region, in DIRECTORY.meta/INODE. */
struct fake_meta {
	uint64_t start;
	uint64_t count;
	struct mshare_mapping map[FAKE_MAPPINGS];
};

/* The @n-th call from now on that can fail does, with @error. 0: none more. */
void fake_fail(int n, int error);
/* Before the @n-th call that can fail, @fn runs: another process, as it were. */
void fake_intrude(int n, void (*fn)(void));
/* Whether it came to that. */
bool fake_failed(void);

/* fake_table.c: the mappings of a region of @size bytes. Negative errno. */
int fake_ioctl(struct fake_meta *meta, uint64_t size, unsigned long command,
	       void *arg);

/* Defines what is called instead of @name, which is __real_@name. */
#define REAL_OF(type, name, ...)					\
	type __real_##name(__VA_ARGS__);				\
	type __wrap_##name(__VA_ARGS__);				\
	type __wrap_##name(__VA_ARGS__)

/*
 * Calls from the fake to the fake go on to the C library: the compiler knows
 * that its functions do not come back, and drops what would notice.
 */
void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset);
int __real_munmap(void *addr, size_t len);
int __real_ftruncate64(int fd, off_t size);

#endif
