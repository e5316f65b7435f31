// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: the symbols that programs find instead of the C library's.
 * What the C library calls itself does not come here: malloc(3), the stacks of
 * threads, stdio(3), the dynamic loader.
 */
#undef _FILE_OFFSET_BITS	/* it makes mmap another name of mmap64 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "preload.h"

#define PUBLIC __attribute__((visibility("default")))

_Static_assert(sizeof(long) == 8, "mmap and mmap64 are one");

PUBLIC void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset)
{
	return preload_mmap(addr, len, prot, flags, fd, offset);
}

PUBLIC void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t offset) __attribute__((alias("mmap64")));

PUBLIC int munmap(void *addr, size_t len)
{
	return preload_munmap(addr, len);
}

PUBLIC int mprotect(void *addr, size_t len, int prot)
{
	return preload_mprotect(addr, len, prot);
}

PUBLIC void *mremap(void *addr, size_t old_len, size_t len, int flags, ...)
{
	void *to = NULL;
	va_list args;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(args, flags);
		to = va_arg(args, void *);
		va_end(args);
	}
	return preload_mremap(addr, old_len, len, flags, to);
}

PUBLIC void *shmat(int id, const void *addr, int flags)
{
	return preload_shmat(id, addr, flags);
}

PUBLIC int shmdt(const void *addr)
{
	return preload_shmdt(addr);
}

/*
 * A library that is loaded with RTLD_DEEPBIND finds the C library before us. PHP
 * loads all of its extensions so, among them opcache.
 *
 * This has to be compiled to a jump: dlopen(3) searches for whom it returns to.
 */
PUBLIC void *dlopen(const char *file, int mode)
{
	if (preload_config.on && preload_config.deepbind)
		mode &= ~RTLD_DEEPBIND;
	if (!preload_next.dlopen)	/* called before init() */
		preload_next.dlopen = dlsym(RTLD_NEXT, "dlopen");
	return preload_next.dlopen(file, mode);
}

static void find_next(void)
{
	struct preload_next next = {
		.mmap = dlsym(RTLD_NEXT, "mmap64"),
		.munmap = dlsym(RTLD_NEXT, "munmap"),
		.mprotect = dlsym(RTLD_NEXT, "mprotect"),
		.mremap = dlsym(RTLD_NEXT, "mremap"),
		.shmat = dlsym(RTLD_NEXT, "shmat"),
		.shmdt = dlsym(RTLD_NEXT, "shmdt"),
		.dlopen = dlsym(RTLD_NEXT, "dlopen"),
	};

	if (next.mmap && next.munmap && next.mprotect && next.mremap &&
	    next.shmat && next.shmdt)
		preload_next = next;
}

/* Not what somebody puts into the environment of a setuid program. */
static const char *get(const char *name)
{
	return secure_getenv(name);
}

__attribute__((constructor)) static void init(void)
{
	int saved = errno;
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[len > 0 ? len : 0] = 0;
	message_init();
	find_next();
	preload_lock_init();
	preload_configure(&preload_config, exe, get);
	errno = saved;
}
