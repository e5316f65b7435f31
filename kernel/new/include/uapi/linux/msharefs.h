/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * msharefs: regions of memory whose page tables are shared between processes.
 * See Documentation/filesystems/msharefs.rst.
 */
#ifndef _UAPI_LINUX_MSHAREFS_H
#define _UAPI_LINUX_MSHAREFS_H

#include <linux/types.h>

/* f_type of statfs(2) on an msharefs mount */
#define MSHAREFS_MAGIC		0x4d534852

/**
 * struct mshare_info - what read(2) of a region file returns
 * @start: address of the first window ever made of the region, 0 before that
 * @size: size of the region in bytes, 0 while it has none
 *
 * A read at offset 0 needs a buffer of at least sizeof(struct mshare_info)
 * bytes, else it fails with EINVAL.
 */
struct mshare_info {
	__u64 start;
	__u64 size;
};

#endif /* _UAPI_LINUX_MSHAREFS_H */
