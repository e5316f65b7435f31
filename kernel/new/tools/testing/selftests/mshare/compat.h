/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How compat.c talks to compat32.c: calls go to its standard input, results
 * come from its standard output. Everything is 64 bits wide, so that the two
 * agree whatever they think of the structs of linux/msharefs.h.
 */
#ifndef MSHARE_COMPAT_H
#define MSHARE_COMPAT_H

enum compat_op {
	/* arg: the fields of the struct; out: those that the kernel writes */
	COMPAT_CREATE,
	COMPAT_UNMAP,
	COMPAT_PROTECT,
	COMPAT_ADVISE,
	COMPAT_LOCK,
	COMPAT_STAT,
	COMPAT_NEXT,
	/* arg: number and pointer, as they are */
	COMPAT_IOCTL,
	/* arg: address, length, prot, flags, offset */
	COMPAT_MMAP,
	/* arg: address, value */
	COMPAT_LOAD,
	COMPAT_STORE,
	/* out: sizeof(long), MSHAREFS_* */
	COMPAT_HELLO,
};

#define COMPAT_ARGS	8
#define COMPAT_OUT	16

struct compat_call {
	__u64 op;
	__u64 fd;
	__u64 arg[COMPAT_ARGS];
};

struct compat_result {
	__s64 ret;		/* as system calls return: -errno */
	__u64 out[COMPAT_OUT];
};

#endif
