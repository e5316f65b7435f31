/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the preload's parts share. They run with the fake. */
#ifndef PRELOAD_TEST_H
#define PRELOAD_TEST_H

#include <sys/shm.h>

#include "check.h"
#include "fake.h"
#include "preload.h"

#define UNIT	FAKE_UNIT
#define AREA	(MAP_SHARED | MAP_ANONYMOUS)

/* Windows that there are, and where the last unmapping was. */
static _Atomic int windows;
static uintptr_t unmapped, unmapped_len, protected, protected_len;

static inline bool is_mapped(void *addr)
{
	return !msync(addr, PRELOAD_PAGE, MS_ASYNC);
}

/* What a window's place is kept with is no window. */
static inline void *next_mmap(void *addr, size_t len, int prot, int flags,
			      int fd, off_t offset)
{
	void *p;

	if (flags & MAP_FIXED && prot == PROT_NONE && !(len & (UNIT - 1)) &&
	    is_mapped(addr))
		windows -= len / UNIT;
	p = mmap(addr, len, prot, flags, fd, offset);

	if (p != MAP_FAILED && fd >= 0 && !(len & (UNIT - 1)))
		windows += len / UNIT;
	return p;
}

static inline int next_munmap(void *addr, size_t len)
{
	unmapped = (uintptr_t)addr;
	unmapped_len = len;
	/* One by one; what is not there is no window. */
	if (len == UNIT && !((uintptr_t)addr & (UNIT - 1)) &&
	    !msync(addr, len, MS_ASYNC))
		windows--;
	return munmap(addr, len);
}

static inline int next_mprotect(void *addr, size_t len, int prot)
{
	protected = (uintptr_t)addr;
	protected_len = len;
	return mprotect(addr, len, prot);
}

static inline int start(void **state)
{
	(void)state;
	preload_next.mmap = next_mmap;
	preload_next.munmap = next_munmap;
	preload_next.mprotect = next_mprotect;
	preload_next.shmat = shmat;
	preload_next.shmdt = shmdt;
	preload_config = (struct preload_config){
		.on = true, .min_size = MIB, .dir = "/sys/fs/mshare",
	};
	windows = 0;
	unmapped = 0;
	return 0;
}

static inline char *area(size_t len)
{
	char *p = preload_mmap(NULL, len, RW, AREA, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

#endif
