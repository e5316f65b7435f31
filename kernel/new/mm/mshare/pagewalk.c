// SPDX-License-Identifier: GPL-2.0
/*
 * mshare walks: walking the page tables of a region through a window
 *
 * Walkers of a process's page tables stop at a window (I5). A walker that only
 * looks, and that works with the VMA of the host mm in place of the window,
 * continues in the host mm. It holds the mmap_lock of the host mm inside the
 * mmap_lock of the process.
 *
 * Such a walker sees the counts of the host mm, in which a page is mapped once
 * for all processes: mshare_sharers() tells the number of other processes.
 */
#include <linux/mm.h>
#include <linux/pagewalk.h>

#include "internal.h"

static int walk_hole(unsigned long start, unsigned long end,
		     struct mm_walk *walk)
{
	if (start >= end || !walk->ops->pte_hole)
		return 0;
	return walk->ops->pte_hole(start, end, -1, walk);
}

/**
 * mshare_walk_window - walk the page tables behind a window
 * @start: first address in the window
 * @end: end of the range in the window
 * @walk: the walk; its VMA is the window
 * @walk_vma: walks a VMA of the host mm
 *
 * Holes of the region are reported with addresses of the window.
 *
 * Context: mmap_lock of the process held.
 * Return: result of a callback, -EINTR if the caller is being killed.
 */
int mshare_walk_window(unsigned long start, unsigned long end,
		       struct mm_walk *walk,
		       int (*walk_vma)(unsigned long start, unsigned long end,
				       struct mm_walk *walk))
{
	struct vm_area_struct *window = walk->vma, *vma;
	struct mm_struct *host = mshare_window_region(window)->host;
	struct mm_struct *mm = walk->mm;
	unsigned long at = mshare_host_address(window, start);
	unsigned long host_end = at + (end - start), next;
	int err = 0;

	if (!walk->ops->walk_mshare)
		return walk_hole(start, end, walk);
	if (mmap_read_lock_killable(host))
		return -EINTR;

	while (at < host_end) {
		vma = find_vma(host, at);
		next = vma ? min(host_end, max(at, vma->vm_start)) : host_end;
		err = walk_hole(mshare_window_address(window, at),
				mshare_window_address(window, next), walk);
		at = next;
		if (err || at == host_end)
			break;

		next = min3(host_end, vma->vm_end, ALIGN(at + 1, MSHARE_UNIT));
		walk->vma = vma;
		walk->mm = host;
		err = walk_vma(at, next, walk);
		walk->vma = window;
		walk->mm = mm;
		at = next;
		if (err)
			break;

		/* Let a waiting writer in, since faults queue up behind it. */
		if (mmap_lock_is_contended(host)) {
			mmap_read_unlock(host);
			if (mmap_read_lock_killable(host))
				return -EINTR;
		}
	}

	mmap_read_unlock(host);
	return err;
}

/**
 * mshare_mincore - mincore(2) of a range of a window
 * @window: the window
 * @start: first address in the window
 * @end: end of the range
 * @vec: a byte for each page
 * @mincore_vma: the same for a range of a VMA
 *
 * @mincore_vma runs for each mapping of the region, because each mapped file
 * decides whether the caller may know its resident pages.
 *
 * Context: mmap_lock of the process held.
 * Return: number of pages in @vec, or an error.
 */
long mshare_mincore(struct vm_area_struct *window, unsigned long start,
		    unsigned long end, unsigned char *vec,
		    long (*mincore_vma)(struct vm_area_struct *vma,
					unsigned long start, unsigned long end,
					unsigned char *vec))
{
	struct mm_struct *host = mshare_window_region(window)->host;
	unsigned long first = mshare_host_address(window, start);
	unsigned long last = first + (end - start);
	struct vm_area_struct *vma;
	struct vma_iterator vmi;
	unsigned long from;
	long done = 0;

	memset(vec, 0, (end - start) >> PAGE_SHIFT);
	if (mmap_read_lock_killable(host))
		return -EINTR;
	vma_iter_init(&vmi, host, first);
	for_each_vma_range(vmi, vma, last) {
		from = max(first, vma->vm_start);
		done = mincore_vma(vma, from, min(last, vma->vm_end),
				   vec + ((from - first) >> PAGE_SHIFT));
		if (done < 0)
			break;
	}
	mmap_read_unlock(host);
	return done < 0 ? done : (end - start) >> PAGE_SHIFT;
}

/**
 * mshare_folio_walk_start - folio_walk_start() for a window
 * @fw: filled in
 * @window: the window, with mmap_lock of its process held
 * @address: address in the window
 * @flags: FW_*
 *
 * The mmap_lock of the host mm is held until folio_walk_end().
 *
 * Return: the folio, NULL if there is none or the caller is being killed.
 */
struct folio *mshare_folio_walk_start(struct folio_walk *fw,
				      struct vm_area_struct *window,
				      unsigned long address, int flags)
{
	struct mm_struct *host = mshare_window_region(window)->host;
	struct folio *folio = NULL;
	struct vm_area_struct *vma;

	address = mshare_host_address(window, address);
	if (mmap_read_lock_killable(host))
		return NULL;
	vma = vma_lookup(host, address);
	if (vma)
		folio = folio_walk_start(fw, vma, address,
					 (__force folio_walk_flags_t)flags);
	if (folio)
		fw->vma = vma;
	else
		mmap_read_unlock(host);
	return folio;
}

/* The caller has dropped the page table lock. */
void mshare_folio_walk_end(struct folio_walk *fw)
{
	struct mm_struct *host = fw->vma->vm_mm;

	vma_pgtable_walk_end(fw->vma);
	mmap_read_unlock(host);
}

/* See mshare_sharers(). */
unsigned long __mshare_sharers(struct vm_area_struct *vma)
{
	struct mshare_region *region;
	unsigned long processes;

	region = vma_is_mshare(vma) ? mshare_window_region(vma) :
				      mshare_host_region(vma->vm_mm);
	processes = READ_ONCE(region->processes);
	return processes ? processes - 1 : 0;
}
