// SPDX-License-Identifier: GPL-2.0
/*
 * A program of 32 bits that calls what compat.c tells it to, see compat.h. It
 * has no library, since few machines have one of 32 bits to compile with.
 */
#include <linux/types.h>
#include <asm/unistd.h>
#include <linux/msharefs.h>

#include "compat.h"

_Static_assert(sizeof(long) == 4, "not a program of 32 bits");

static long call3(long nr, long a, long b, long c)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "0" (nr), "b" (a), "c" (b), "d" (c) : "memory");
	return ret;
}

static long ioctl(int fd, unsigned long cmd, const void *arg)
{
	return call3(__NR_ioctl, fd, cmd, (long)arg);
}

/* The old mmap(2), which has its arguments in memory. */
static long map(int fd, const __u64 *arg)
{
	unsigned long args[] = { arg[0], arg[1], arg[2], arg[3], fd, arg[4] };

	return call3(__NR_mmap, (long)args, 0, 0);
}

static long create(int fd, const __u64 *arg)
{
	struct mshare_create create = {
		.region_offset = arg[0],
		.size = arg[1],
		.offset = arg[2],
		.prot = arg[3],
		.flags = arg[4],
		.fd = arg[5],
		.padding = arg[6],
	};

	return ioctl(fd, MSHAREFS_CREATE_MAPPING, &create);
}

static long unmap(int fd, const __u64 *arg)
{
	struct mshare_unmap unmap = {
		.region_offset = arg[0],
		.size = arg[1],
	};

	return ioctl(fd, MSHAREFS_UNMAP, &unmap);
}

static long protect(int fd, const __u64 *arg)
{
	struct mshare_protect protect = {
		.region_offset = arg[0],
		.size = arg[1],
		.prot = arg[2],
		.flags = arg[3],
	};

	return ioctl(fd, MSHAREFS_PROTECT, &protect);
}

static long advise(int fd, const __u64 *arg)
{
	struct mshare_advise advise = {
		.region_offset = arg[0],
		.size = arg[1],
		.advice = arg[2],
		.flags = arg[3],
	};

	return ioctl(fd, MSHAREFS_ADVISE, &advise);
}

static long lock(int fd, const __u64 *arg)
{
	struct mshare_lock lock = {
		.region_offset = arg[0],
		.size = arg[1],
		.op = arg[2],
		.flags = arg[3],
	};

	return ioctl(fd, MSHAREFS_LOCK, &lock);
}

static long stat(int fd, __u64 *out)
{
	struct mshare_stat stat;
	long ret = ioctl(fd, MSHAREFS_STAT, &stat);

	out[0] = stat.size;
	out[1] = stat.mappings;
	out[2] = stat.windows;
	out[3] = stat.processes;
	out[4] = stat.resident;
	out[5] = stat.page_tables;
	out[6] = stat.locked;
	out[7] = stat.links;
	out[8] = stat.faults;
	out[9] = stat.flushes;
	for (int i = 0; i < 6; i++)
		out[10 + i] = stat.reserved[i];
	return ret;
}

static long next(int fd, const __u64 *arg, __u64 *out)
{
	struct mshare_mapping next = {
		.offset = arg[0],
		.reserved = arg[1],
	};
	long ret = ioctl(fd, MSHAREFS_NEXT_MAPPING, &next);

	out[0] = next.offset;
	out[1] = next.size;
	out[2] = next.object_offset;
	out[3] = next.inode;
	out[4] = next.prot;
	out[5] = next.max_prot;
	out[6] = next.flags;
	out[7] = next.kind;
	out[8] = next.dev_major;
	out[9] = next.dev_minor;
	out[10] = next.page_shift;
	out[11] = next.reserved;
	return ret;
}

static long hello(__u64 *out)
{
	static const unsigned long numbers[] = {
		sizeof(long), MSHAREFS_CREATE_MAPPING, MSHAREFS_UNMAP,
		MSHAREFS_PROTECT, MSHAREFS_ADVISE, MSHAREFS_LOCK,
		MSHAREFS_STAT, MSHAREFS_NEXT_MAPPING,
	};

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		out[i] = numbers[i];
	return 0;
}

static long do_call(const struct compat_call *call, __u64 *out)
{
	volatile __u64 *at = (void *)(unsigned long)call->arg[0];
	int fd = call->fd;

	switch (call->op) {
	case COMPAT_CREATE:
		return create(fd, call->arg);
	case COMPAT_UNMAP:
		return unmap(fd, call->arg);
	case COMPAT_PROTECT:
		return protect(fd, call->arg);
	case COMPAT_ADVISE:
		return advise(fd, call->arg);
	case COMPAT_LOCK:
		return lock(fd, call->arg);
	case COMPAT_STAT:
		return stat(fd, out);
	case COMPAT_NEXT:
		return next(fd, call->arg, out);
	case COMPAT_IOCTL:
		return ioctl(fd, call->arg[0],
			     (void *)(unsigned long)call->arg[1]);
	case COMPAT_MMAP:
		out[0] = (unsigned long)map(fd, call->arg);
		return 0;
	case COMPAT_LOAD:
		out[0] = *at;
		return 0;
	case COMPAT_STORE:
		*at = call->arg[1];
		return 0;
	case COMPAT_HELLO:
		return hello(out);
	default:
		return -1;
	}
}

void _start(void)
{
	static struct compat_call call;
	static struct compat_result result;

	while (call3(__NR_read, 0, (long)&call, sizeof(call)) == sizeof(call)) {
		result = (struct compat_result){ 0 };
		result.ret = do_call(&call, result.out);
		if (call3(__NR_write, 1, (long)&result, sizeof(result)) !=
		    sizeof(result))
			break;
	}
	call3(__NR_exit, 0, 0, 0);
}
