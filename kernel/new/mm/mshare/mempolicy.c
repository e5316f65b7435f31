// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mbind(2): a policy for a window goes to the memory of its region
 */
#include <linux/file.h>
#include <linux/mm.h>

#include "internal.h"

/*
 * Check for room for the VMAs that the change of a range may add. The room is
 * not reserved, because the next mshare_reserve() or mshare_settle() charges
 * the VMAs.
 */
static int check_room(struct mshare_region *region, unsigned long start,
		      unsigned long end)
{
	long reserved;

	if (mmap_read_lock_killable(region->host))
		return -EINTR;
	reserved = mshare_reserve_split(region, start, end);
	mmap_read_unlock(region->host);
	if (reserved < 0)
		return -ENOMEM;
	mshare_settle(region, reserved);
	return 0;
}

/**
 * mshare_translate_range - translate a range of a window to the host mm
 * @mm: in: current->mm; out: the host mm, for a window
 * @start: in: page-aligned address; out: the same in @mm
 * @end: in and out: end of the range
 *
 * For mbind(2), which works on the VMAs of the region. It locks them for all
 * processes and may split them, so the caller needs the right to change the
 * region.
 *
 * Return: NULL if @start is not in a window; otherwise the file that keeps the
 * region, for fput(); ERR_PTR(-EINVAL) if the range extends beyond the window,
 * ERR_PTR(-EACCES) if the window's file is not open for writing,
 * ERR_PTR(-ENOMEM) if there is no room for the mappings that may have to be
 * split, ERR_PTR(-EINTR) if the caller is being killed.
 */
struct file *mshare_translate_range(struct mm_struct **mm, unsigned long *start,
				    unsigned long *end)
{
	struct vm_area_struct *window;
	struct mshare_region *region;
	struct file *file = NULL;
	unsigned long size = *end - *start;
	int err;

	mmap_read_lock(*mm);
	window = vma_lookup(*mm, *start);
	if (window && vma_is_mshare(window)) {
		if (*end > window->vm_end)
			file = ERR_PTR(-EINVAL);
		else if (mshare_vma_is_reader(window))
			file = ERR_PTR(-EACCES);
		else
			file = get_file(window->vm_file);
	}
	if (IS_ERR_OR_NULL(file)) {
		mmap_read_unlock(*mm);
		return file;
	}
	region = mshare_window_region(window);
	*start = mshare_host_address(window, *start);
	*end = *start + size;
	mmap_read_unlock(*mm);

	*mm = region->host;
	err = check_room(region, *start, *end);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	return file;
}
