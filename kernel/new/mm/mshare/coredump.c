// SPDX-License-Identifier: GPL-2.0
/*
 * mshare core dumps: leave out the holes of a region
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "internal.h"

/* Length of the hole at @address of the host mm, at most to @end. */
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
	/* MADV_DONTDUMP for the region leaves the mapping out. */
	if (vma->vm_flags & VM_DONTDUMP)
		return min(end, vma->vm_end) - address;
	if (!vma_is_shmem(vma))
		return 0;

	/* A page that is swapped out has a value entry. */
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
 * @address: address in the current process, page-aligned
 * @end: end of the range to dump
 *
 * A region is often much larger than its used part. A dump must not allocate
 * memory that was never written, nor look at it page by page.
 *
 * Return: bytes from @address on that are a hole of the region behind a window;
 * 0 if the page has to be dumped, or @address is not in a window; the whole
 * range if the process is being killed.
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
