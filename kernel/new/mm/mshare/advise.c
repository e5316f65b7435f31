// SPDX-License-Identifier: GPL-2.0
/*
 * mshare advice: populating memory of a region, and advice about the memory
 *
 * The code behind madvise(2) gives most advice to the VMAs of the host mm. The
 * exceptions are cases in which that code takes the mmap_lock a second time and
 * the wait cannot be killed, because unrelated users can hold the mmap_lock of
 * a host mm for long. MADV_COLLAPSE does so, and is not an exception: its lock
 * is taken deep in khugepaged.
 */
#include <linux/fadvise.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>

#include "../internal.h"
#include "internal.h"

static void describe_object(struct vm_area_struct *vma, unsigned long start,
			    unsigned long end, struct mshare_object *object)
{
	object->file = get_file(vma->vm_file);
	object->offset = start - MSHARE_HOST_BASE;
	object->from = ((loff_t)vma->vm_pgoff << PAGE_SHIFT) +
		       (start - vma->vm_start);
	object->to = object->from + (end - start);
	object->vm_flags = vma->vm_flags;
	object->page_shift = ilog2(vma_kernel_pagesize(vma));
	object->is_private = vma->vm_flags & VM_MSHARE_OWN;
}

/**
 * mshare_find_object - find the mapping at or after an offset of a region
 * @region: the region
 * @offset: offset in bytes at which the search starts
 * @object: out: all of the first mapping that ends after @offset; the caller
 *	has to fput() its file
 *
 * Context: may sleep; the mmap_lock of the host mm is not held afterwards.
 * Return: 1; 0 if there is no mapping; -EINTR if the caller is being killed.
 */
int mshare_find_object(struct mshare_region *region, u64 offset,
		       struct mshare_object *object)
{
	struct vm_area_struct *vma;

	if (offset >= MSHARE_MAX_SIZE)
		return 0;
	if (mmap_read_lock_killable(region->host))
		return -EINTR;
	vma = find_vma(region->host, MSHARE_HOST_BASE + offset);
	if (vma)
		describe_object(vma, vma->vm_start, vma->vm_end, object);
	mmap_read_unlock(region->host);
	return !!vma;
}

/**
 * mshare_next_object - find the next mapping in a range of a region
 * @region: the region
 * @offset: in: offset in bytes at which the search starts, page-aligned; out:
 *	end of the part that was found
 * @end: end of the range
 * @object: out: the part of the mapping in the range; the caller has to fput()
 *	its file
 *
 * Context: may sleep; the mmap_lock of the host mm is not held afterwards.
 * Return: 1; 0 if there is no mapping; -EINTR if the caller is being killed.
 */
int mshare_next_object(struct mshare_region *region, u64 *offset, u64 end,
		       struct mshare_object *object)
{
	unsigned long address = MSHARE_HOST_BASE + *offset;
	unsigned long limit = MSHARE_HOST_BASE + end;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(region->host))
		return -EINTR;
	vma = find_vma_intersection(region->host, address, limit);
	if (vma) {
		limit = min(limit, vma->vm_end);
		describe_object(vma, max(address, vma->vm_start), limit,
				object);
		*offset = limit - MSHARE_HOST_BASE;
	}
	mmap_read_unlock(region->host);
	return !!vma;
}

/*
 * Populate up to the end of one PTE table, so that its page tables can be
 * reserved. The mmap_lock of the host mm is held afterwards unless *@locked is
 * 0.
 */
static long populate_table(struct mshare_region *region, unsigned long address,
			   unsigned long end, int advice, int *locked)
{
	struct mm_struct *host = region->host;
	int tables = mshare_tables_missing(host, address);
	struct vm_area_struct *vma;
	long pages;

	if (tables && mshare_reserve(region, tables, false))
		return -EFAULT;
	if (advice) {
		pages = faultin_page_range(host, address, end,
					   advice == MADV_POPULATE_WRITE,
					   locked);
	} else {
		vma = vma_lookup(host, address);
		pages = populate_vma_page_range(vma, address,
						min(end, vma->vm_end), locked);
	}
	if (tables)
		mshare_settle(region, tables);
	return pages;
}

/*
 * With @advice, MADV_POPULATE_READ or MADV_POPULATE_WRITE, a hole is an error.
 * Without @advice a hole is left out.
 */
static long populate_range(struct mshare_region *region, u64 offset, u64 size,
			   int advice)
{
	unsigned long address = MSHARE_HOST_BASE + offset;
	unsigned long end = address + size;
	struct mm_struct *host = region->host;
	struct vm_area_struct *vma;
	int locked = 0;
	long pages = 0;

	while (address < end) {
		/* The mmap_lock is dropped while pages are read in. */
		if (!locked && mmap_read_lock_killable(host))
			return -EINTR;
		locked = 1;
		if (!advice) {
			vma = find_vma_intersection(host, address, end);
			if (!vma)
				break;
			address = max(address, vma->vm_start);
		}
		pages = populate_table(region, address,
				       min(end, ALIGN(address + 1, PMD_SIZE)),
				       advice, &locked);
		if (pages < 0)
			break;
		address += pages << PAGE_SHIFT;
		cond_resched();
	}
	if (locked)
		mmap_read_unlock(host);
	return min(pages, 0L);
}

/**
 * mshare_populate - bring a range of a region into memory
 * @region: the region
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned
 *
 * Like mlock(2) and MAP_POPULATE, and unlike MADV_POPULATE_READ, this populates
 * all memory that can be accessed in any way. Holes are left out.
 *
 * Context: may sleep.
 * Return: 0; as mlock(2), -ENOMEM for memory that cannot be accessed, is beyond
 * the end of a file, or does not fit into the mount, and -EAGAIN if memory runs
 * out.
 */
int mshare_populate(struct mshare_region *region, u64 offset, u64 size)
{
	long err = populate_range(region, offset, size, 0);

	return err == -EFAULT ? -ENOMEM : err == -ENOMEM ? -EAGAIN : err;
}

/* MADV_POPULATE_*, with the errors of madvise(2). */
static int advise_populate(struct mshare_region *region, u64 offset, u64 size,
			   int advice)
{
	long err = populate_range(region, offset, size, advice);

	switch (err) {
	case 0:
	case -EINTR:
	case -EINVAL:	/* the protection forbids the access */
	case -EHWPOISON:
	case -EFAULT:	/* SIGBUS or SIGSEGV */
		return err;
	default:	/* no mapping, or no memory */
		return -ENOMEM;
	}
}

static int willneed_object(const struct mshare_object *object)
{
	/* madvise(2) ignores errors of MADV_WILLNEED, too. */
	vfs_fadvise(object->file, object->from, object->to - object->from,
		    POSIX_FADV_WILLNEED);
	return 0;
}

static int remove_object(const struct mshare_object *object)
{
	if (object->vm_flags & VM_LOCKED)
		return -EINVAL;
	if ((object->vm_flags & (VM_SHARED | VM_MAYWRITE)) !=
	    (VM_SHARED | VM_MAYWRITE))
		return -EACCES;
	return vfs_fallocate(object->file,
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     object->from, object->to - object->from);
}

/* MADV_WILLNEED and MADV_REMOVE act on objects, without the mmap_lock. */
static int advise_objects(struct mshare_region *region, u64 offset, u64 end,
			  int advice)
{
	struct mshare_object object;
	int err = 0, found;
	bool hole = false;
	u64 at;

	while (offset < end && !err) {
		at = offset;
		found = mshare_next_object(region, &offset, end, &object);
		if (found < 0)
			return found;
		if (!found)
			return -ENOMEM;
		hole |= offset - at > object.to - object.from;
		/* For shmem, do_madvise() reads in swap and keeps the lock. */
		if (advice == MADV_REMOVE)
			err = remove_object(&object);
		else if (!shmem_mapping(object.file->f_mapping))
			err = willneed_object(&object);
		else
			err = do_madvise(region->host, MSHARE_HOST_BASE +
					 offset - (object.to - object.from),
					 object.to - object.from, advice);
		fput(object.file);
	}
	return err ?: hole ? -ENOMEM : 0;
}

/* Advice that is stored in the VMAs, which may have to be split. */
static int advise_vmas(struct mshare_region *region, unsigned long start,
		       unsigned long end, int advice)
{
	long reserved;
	int err;

	if (mmap_read_lock_killable(region->host))
		return -EINTR;
	reserved = mshare_reserve_split(region, start, end);
	mmap_read_unlock(region->host);
	if (reserved < 0)
		return reserved;
	err = do_madvise(region->host, start, end - start, advice);
	mshare_settle(region, reserved);
	return err;
}

/**
 * mshare_advise - madvise(2) for a range of a region
 * @region: the region
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @advice: MADV_*
 *
 * Page tables that are empty after advice to free memory are freed.
 *
 * Context: may sleep.
 * Return: as madvise(2): 0, -EINVAL for advice that does not apply to a region,
 * -ENOMEM if part of the range is not mapped, ...; -EINTR if the caller is
 * being killed; -ENOSPC if a mapping has to be split and the limit leaves no
 * room for another.
 */
int mshare_advise(struct mshare_region *region, u64 offset, u64 size,
		  int advice)
{
	unsigned long start = MSHARE_HOST_BASE + offset;
	int err;

	switch (advice) {
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return advise_populate(region, offset, size, advice);
	case MADV_WILLNEED:
		return advise_objects(region, offset, offset + size, advice);
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return advise_vmas(region, start, start + size, advice);
	case MADV_COLD:
	case MADV_COLLAPSE:
		return do_madvise(region->host, start, size, advice);
	case MADV_REMOVE:
		err = advise_objects(region, offset, offset + size, advice);
		break;
	case MADV_DONTNEED:
	case MADV_PAGEOUT:
		err = do_madvise(region->host, start, size, advice);
		break;
	default:
		/* For one process (fork), or for memory that is not shared. */
		return -EINVAL;
	}

	mshare_free_empty(region, offset, size);
	mshare_prune(region);
	return err;
}
