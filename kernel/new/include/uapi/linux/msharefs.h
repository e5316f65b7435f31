/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * msharefs: regions of memory whose page tables are shared between processes.
 * See Documentation/filesystems/msharefs.rst.
 */
#ifndef _UAPI_LINUX_MSHAREFS_H
#define _UAPI_LINUX_MSHAREFS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* f_type of statfs(2) on an msharefs mount */
#define MSHAREFS_MAGIC		0x4d534852

/**
 * struct mshare_info - result of read(2) on a region file
 * @start: address of the first window ever made of the region, 0 before that
 * @size: size of the region in bytes, 0 until the size is set
 *
 * A read at offset 0 needs a buffer of at least sizeof(struct mshare_info)
 * bytes, otherwise it fails with EINVAL.
 */
struct mshare_info {
	__u64 start;
	__u64 size;
};

/*
 * ioctl(2) on a region file. Offsets and sizes are bytes and multiples of the
 * page size. Fields named flags have to be 0 unless described otherwise.
 *
 * A command that changes a region needs a file that is open for writing,
 * otherwise it fails with EBADF.
 */

/**
 * struct mshare_create - argument of MSHAREFS_CREATE_MAPPING
 * @region_offset: start of the mapping in the region
 * @size: size of the mapping
 * @offset: offset in the object; not used with MAP_ANONYMOUS
 * @prot: PROT_READ, PROT_WRITE, PROT_EXEC, PROT_NONE, as for mmap(2)
 * @flags: MAP_SHARED, or MAP_SHARED_VALIDATE, and one of MAP_FIXED and
 *	MAP_FIXED_NOREPLACE; MAP_ANONYMOUS, MAP_HUGETLB and its sizes,
 *	MAP_NORESERVE, MAP_POPULATE, MAP_LOCKED, MAP_SYNC as for mmap(2)
 * @fd: the object; not used with MAP_ANONYMOUS
 * @padding: ignored, because earlier proposals of this struct had no name for
 *	these four bytes, and programs do not set them
 */
struct mshare_create {
	__u64 region_offset;
	__u64 size;
	__u64 offset;
	__u32 prot;
	__u32 flags;
	__u32 fd;
	__u32 padding;
};

/**
 * struct mshare_unmap - argument of MSHAREFS_UNMAP
 * @region_offset: start of the range in the region
 * @size: size of the range; holes in the range are ignored
 */
struct mshare_unmap {
	__u64 region_offset;
	__u64 size;
};

/**
 * struct mshare_protect - argument of MSHAREFS_PROTECT
 * @region_offset: start of the range in the region
 * @size: size of the range
 * @prot: PROT_READ, PROT_WRITE, PROT_EXEC, PROT_NONE, as for mprotect(2)
 * @flags: 0
 */
struct mshare_protect {
	__u64 region_offset;
	__u64 size;
	__u32 prot;
	__u32 flags;
};

/**
 * struct mshare_advise - argument of MSHAREFS_ADVISE
 * @region_offset: start of the range in the region
 * @size: size of the range
 * @advice: MADV_*, as for madvise(2)
 * @flags: 0
 */
struct mshare_advise {
	__u64 region_offset;
	__u64 size;
	__u32 advice;
	__u32 flags;
};

/* struct mshare_lock, op: keep in RAM, or allow to be swapped again */
#define MSHAREFS_LOCK_ON	1
#define MSHAREFS_LOCK_OFF	2

/* struct mshare_lock, flags: lock pages when they are first used */
#define MSHAREFS_LOCK_ONFAULT	1

/**
 * struct mshare_lock - argument of MSHAREFS_LOCK
 * @region_offset: start of the range in the region
 * @size: size of the range
 * @op: MSHAREFS_LOCK_ON or MSHAREFS_LOCK_OFF
 * @flags: MSHAREFS_LOCK_ONFAULT, with MSHAREFS_LOCK_ON only
 */
struct mshare_lock {
	__u64 region_offset;
	__u64 size;
	__u32 op;
	__u32 flags;
};

/**
 * struct mshare_stat - result of MSHAREFS_STAT
 * @size: size of the region in bytes
 * @mappings: number of mappings
 * @windows: number of windows of all processes
 * @processes: number of processes with windows
 * @resident: bytes of memory that the page tables of the region map, without
 *	persistent memory (DAX), since the kernel does not count it
 * @page_tables: bytes of page tables of the region
 * @locked: bytes in locked mappings
 * @links: number of page table entries of processes that point at page tables
 *	of the region
 * @faults: page faults handled for windows since the region was created
 * @flushes: TLB flushes of the attached processes since then
 * @reserved: 0
 */
struct mshare_stat {
	__u64 size;
	__u64 mappings;
	__u64 windows;
	__u64 processes;
	__u64 resident;
	__u64 page_tables;
	__u64 locked;
	__u64 links;
	__u64 faults;
	__u64 flushes;
	__u64 reserved[6];
};

/* struct mshare_mapping, kind */
#define MSHAREFS_KIND_ANON	1	/* MAP_ANONYMOUS, or a plain region */
#define MSHAREFS_KIND_SHMEM	2	/* memfd, tmpfs, System V */
#define MSHAREFS_KIND_FILE	3	/* page cache of a file */
#define MSHAREFS_KIND_HUGETLB	4	/* MAP_HUGETLB, hugetlbfs */
#define MSHAREFS_KIND_DAX	5	/* persistent memory */

/**
 * struct mshare_mapping - argument and result of MSHAREFS_NEXT_MAPPING
 * @offset: in: offset in the region at which the search starts. Out: start of
 *	the mapping, which is lower if the mapping extends across that offset
 * @size: out: size of the mapping
 * @object_offset: out: offset in the object at which the mapping starts
 * @inode: out: inode number of the object
 * @prot: out: PROT_*
 * @max_prot: out: the PROT_* that MSHAREFS_PROTECT allows
 * @flags: out: MAP_SHARED; MAP_LOCKED and MAP_HUGETLB if they apply;
 *	MAP_ANONYMOUS with MSHAREFS_KIND_ANON
 * @kind: out: MSHAREFS_KIND_*
 * @dev_major: out: major number of the object's device
 * @dev_minor: out: minor number of the object's device
 * @page_shift: out: log2 of the size of a page of the object; transparent huge
 *	pages do not count
 * @reserved: 0, in and out
 */
struct mshare_mapping {
	__u64 offset;
	__u64 size;
	__u64 object_offset;
	__u64 inode;
	__u32 prot;
	__u32 max_prot;
	__u32 flags;
	__u32 kind;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 page_shift;
	__u32 reserved;
};

#define MSHAREFS_CREATE_MAPPING	_IOW('x', 0, struct mshare_create)
#define MSHAREFS_UNMAP		_IOW('x', 1, struct mshare_unmap)
#define MSHAREFS_PROTECT	_IOW('x', 16, struct mshare_protect)
#define MSHAREFS_ADVISE		_IOW('x', 17, struct mshare_advise)
#define MSHAREFS_LOCK		_IOW('x', 18, struct mshare_lock)
#define MSHAREFS_STAT		_IOR('x', 19, struct mshare_stat)
#define MSHAREFS_NEXT_MAPPING	_IOWR('x', 20, struct mshare_mapping)

#endif /* _UAPI_LINUX_MSHAREFS_H */
