// SPDX-License-Identifier: GPL-2.0
/*
 * mshare madvise(2): advice for a window goes to its region
 */
#include <linux/file.h>
#include <linux/mman.h>

#include "internal.h"

/*
 * Forward advice to the region. The caller has checked whether it may change
 * contents.
 */
static int madvise_region(struct vm_area_struct *vma, unsigned long start,
			  unsigned long end, unsigned long behavior,
			  bool write_locked)
{
	struct mshare_region *region = mshare_window_region(vma);
	u64 offset = mshare_host_address(vma, start) - MSHARE_HOST_BASE;
	struct file *file = get_file(vma->vm_file);
	bool reader = mshare_vma_is_reader(vma);
	struct mm_struct *mm = vma->vm_mm;
	struct mshare_charge charge;
	int err;

	/* Some advice takes inode locks, which are outside the mmap_lock. */
	if (write_locked)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	mshare_charge_begin(&charge, region, reader);
	err = mshare_advise(region, offset, end - start, behavior);
	mshare_charge_end(&charge);
	fput(file);
	if (write_locked)
		mmap_write_lock(mm);
	else
		mmap_read_lock(mm);
	/* madvise(2) fails with ENOMEM if there are too many mappings. */
	return err == -ENOSPC ? -ENOMEM : err;
}

/**
 * mshare_madvise - madvise(2) of a window
 * @vma: the window
 * @prev: out, unless 1 is returned: @vma, or NULL if the mmap_lock was dropped
 *	meanwhile
 * @start: first address
 * @end: end of the range, in the window
 * @behavior: MADV_*
 * @write_locked: the mmap_lock of the process is held for writing
 *
 * Advice that changes only the VMA stays with this window. Advice about memory
 * goes to the region. If such advice slows down other processes, or changes how
 * memory is mapped for them, it needs a file that is open for writing, as
 * MSHAREFS_ADVISE does. MADV_REMOVE needs a writable window, because it changes
 * contents. MADV_DONTNEED does nothing, because for shared memory it concerns
 * only the page tables of one process.
 *
 * Return: 1 to go on as for any VMA, 0 if the work is done, -EINVAL if the
 * advice does not apply to windows, -EACCES, or as madvise(2) fails.
 */
int mshare_madvise(struct vm_area_struct *vma, struct vm_area_struct **prev,
		   unsigned long start, unsigned long end,
		   unsigned long behavior, bool write_locked)
{
	switch (behavior) {
	case MADV_DONTNEED:
		*prev = vma;
		return 0;
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return 1;
	case MADV_REMOVE:
		if (!(vma->vm_flags & VM_WRITE))
			return -EACCES;
		fallthrough;
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
		if (mshare_vma_is_reader(vma))
			return -EACCES;
		fallthrough;
	case MADV_WILLNEED:
		*prev = NULL;
		return madvise_region(vma, start, end, behavior, write_locked);
	default:
		return -EINVAL;
	}
}
