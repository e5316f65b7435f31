// SPDX-License-Identifier: GPL-2.0
/*
 * mshare core dumps: leave out the holes of a region
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "internal.h"

/* How far there is nothing from @address of the host mm on, at most to @end. */
static unsigned long host_hole(struct mm_struct *host, unsigned long address,
			       unsigned long end)
{
	struct vm_area_struct *vma = find_vma(host, address);
	struct xarray *pages;
	unsigned long index;

	if (!vma || vma->vm_start >= end)
		return end - address;
	if (vma->vm_start > address)
		return vma->vm_start - address;
	/* MSHAREFS_ADVISE can leave it out. */
	if (vma->vm_flags & VM_DONTDUMP)
		return min(end, vma->vm_end) - address;
	if (!vma_is_shmem(vma))
		return 0;

	/* Pages that are swapped out have a value entry. */
	end = min(end, vma->vm_end);
	index = linear_page_index(vma, address);
	pages = &vma->vm_file->f_mapping->i_pages;
	if (!xa_find(pages, &index, linear_page_index(vma, end - 1),
		     XA_PRESENT))
		return end - address;
	index -= linear_page_index(vma, address);
	return index << PAGE_SHIFT;
}

/**
 * mshare_dump_hole - how much a core dump can leave out
 * @address: of the current process, page-aligned
 * @end: of what is being dumped
 *
 * A region is often much larger than what is used of it. Memory that nobody
 * has ever written is not made just to be dumped, nor looked at page by page.
 *
 * Return: bytes from @address on in a window where the region has nothing, 0
 * when the page has to be dumped, or it is no window. All of it when the
 * process is being killed.
 */
unsigned long mshare_dump_hole(unsigned long address, unsigned long end)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long hole = 0;
	struct mm_struct *host;

	if (mmap_read_lock_killable(mm))
		return end - address;
	vma = vma_lookup(mm, address);
	if (vma && vma_is_mshare(vma)) {
		host = mshare_window_region(vma)->host;
		if (mmap_read_lock_killable(host)) {
			hole = end - address;
			goto unlock;
		}
		hole = host_hole(host, mshare_host_address(vma, address),
				 mshare_host_address(vma,
						     min(end, vma->vm_end)));
		mmap_read_unlock(host);
	}
unlock:
	mmap_read_unlock(mm);
	return hole;
}

/* Whether @address of the current process is in a window. */
bool mshare_dump_window(unsigned long address)
{
	struct vm_area_struct *vma;
	bool window;

	if (mmap_read_lock_killable(current->mm))
		return false;
	vma = vma_lookup(current->mm, address);
	window = vma && vma_is_mshare(vma);
	mmap_read_unlock(current->mm);
	return window;
}
