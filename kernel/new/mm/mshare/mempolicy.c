// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mbind(2): the policy of a window is that of the memory of its region
 */
#include <linux/file.h>
#include <linux/mm.h>

#include "internal.h"

/*
 * Room for the VMAs that a change of a range adds. Not reserved: what comes of
 * it is charged when the caller is done, or by the next reservation.
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
 * mshare_translate_range - where system calls with an address are to act
 * @mm: in: current->mm; out: the host mm, for a window
 * @start: in: page-aligned address; out: the same in @mm
 * @end: in and out, after the last address
 *
 * For mbind(2): its work is done on the VMAs of the region, which it locks for
 * everybody and may split. That takes the right to change the region.
 *
 * Return: NULL when @start is not in a window; else the file that keeps the
 * region, for fput(); ERR_PTR(-EINVAL) when not all is in that window,
 * ERR_PTR(-EACCES) when its file is not open for writing, ERR_PTR(-ENOMEM) when
 * there is no room for the mappings that may have to be split, ERR_PTR(-EINTR)
 * when the caller is being killed.
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
