// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: the calls that it stands before
 *
 * Other libraries map memory before this one is initialized, and dlsym(3) may
 * allocate some: until it was called, the kernel is called itself.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

static void *kernel_mmap(void *addr, size_t len, int prot, int flags, int fd,
			 off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static int kernel_munmap(void *addr, size_t len)
{
	return syscall(SYS_munmap, addr, len);
}

static int kernel_mprotect(void *addr, size_t len, int prot)
{
	return syscall(SYS_mprotect, addr, len, prot);
}

static void *kernel_mremap(void *addr, size_t old_len, size_t len, int flags,
			   ...)
{
	va_list args;
	void *to;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	return (void *)syscall(SYS_mremap, addr, old_len, len, flags, to);
}

static void *kernel_shmat(int id, const void *addr, int flags)
{
	return (void *)syscall(SYS_shmat, id, addr, flags);
}

static int kernel_shmdt(const void *addr)
{
	return syscall(SYS_shmdt, addr);
}

struct preload_next preload_next = {
	.mmap = kernel_mmap,
	.munmap = kernel_munmap,
	.mprotect = kernel_mprotect,
	.mremap = kernel_mremap,
	.shmat = kernel_shmat,
	.shmdt = kernel_shmdt,
};
