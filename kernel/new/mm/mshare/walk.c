// SPDX-License-Identifier: GPL-2.0
/*
 * mshare walks: who looks at memory through a window sees that of the region
 *
 * Walkers of a process's page tables stop at a window (I5). Those that only
 * look, and are right with the VMA of the host mm in place of the window, go on
 * there, with the mmap_lock of the host mm inside that of the process.
 *
 * They then see the counts of the host mm, in which a page is mapped once, by
 * everyone: mshare_sharers() tells how many that are.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>

#include "internal.h"

static unsigned long window_address(struct vm_area_struct *vma,
				    unsigned long host_address)
{
	return host_address - mshare_host_address(vma, vma->vm_start) +
	       vma->vm_start;
}

static int walk_hole(unsigned long start, unsigned long end,
		     struct mm_walk *walk)
{
	if (start >= end || !walk->ops->pte_hole)
		return 0;
	return walk->ops->pte_hole(start, end, -1, walk);
}

/**
 * mshare_walk_window - walk page tables that are seen through a window
 * @start: in the window
 * @end: after the last address, in the window
 * @walk: the walk; its VMA is the window
 * @walk_vma: how to walk a VMA
 *
 * Holes of the region are told with addresses of the window.
 *
 * Context: mmap_lock of the process held.
 * Return: what a callback returned, -EINTR when the caller is being killed.
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
		err = walk_hole(window_address(window, at),
				window_address(window, next), walk);
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

		/* Whoever waits to change the region has faults behind it. */
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
 * @start: first address in it
 * @end: after the last
 * @vec: a byte for each page
 * @mincore_vma: the same for a range of a VMA
 *
 * Whether the caller may know what is resident is a question to each file that
 * is mapped in the region.
 *
 * Context: mmap_lock of the process held.
 * Return: number of pages that @vec tells of, or an error.
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
 * @address: in the window
 * @flags: FW_*
 *
 * The mmap_lock of the host mm is held until folio_walk_end().
 *
 * Return: the folio, NULL when there is none or the caller is being killed.
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

/* The page table lock has been dropped. */
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
 * mshare_window_range - where system calls with an address are to act
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
struct file *mshare_window_range(struct mm_struct **mm, unsigned long *start,
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
		else if (!(window->vm_file->f_mode & FMODE_WRITE))
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

/* See mshare_attached(). */
bool __mshare_attached(struct mm_struct *host, struct task_struct *task)
{
	struct mshare_region *region = mshare_host_region(host);
	bool found = false;

	/* Keeps task->mm. */
	task_lock(task);
	rcu_read_lock();
	if (task->mm)
		found = mshare_find_attachment(task->mm, region);
	rcu_read_unlock();
	task_unlock(task);
	return found;
}

/* Where a window shows an address of a host mm; -EFAULT: it does not. */
static unsigned long shown_at(struct vm_area_struct *vma,
			      struct mm_struct *host, unsigned long address)
{
	struct mshare_attachment *attachment = vma->vm_private_data;

	if (!attachment || attachment->region->host != host ||
	    address < mshare_host_address(vma, vma->vm_start) ||
	    address >= mshare_host_address(vma, vma->vm_end))
		return -EFAULT;
	return window_address(vma, address);
}

/**
 * mshare_task_address - where a task sees an address of a host mm
 * @task: the task
 * @host: the host mm
 * @address: in @host
 *
 * For memory-failure.c, which tells processes what they have lost.
 *
 * Context: any that may take spinlocks; a window that is being made or unmapped
 * may be missed.
 * Return: the address in the first of its windows that shows it, -EFAULT when
 * there is none.
 */
unsigned long mshare_task_address(struct task_struct *task,
				  struct mm_struct *host, unsigned long address)
{
	unsigned long found = -EFAULT;
	struct vm_area_struct *vma;
	struct mm_struct *mm;

	/* Keeps task->mm; RCU keeps the VMAs, and what they point at. */
	task_lock(task);
	rcu_read_lock();
	mm = task->mm;
	if (mm) {
		VMA_ITERATOR(vmi, mm, 0);

		for_each_vma(vmi, vma) {
			/* One that is being changed shows neither this nor that. */
			if (!vma_is_mshare(vma) || !vma_start_read(vma))
				continue;
			found = shown_at(vma, host, address);
			vma_end_read(vma);
			if (found != -EFAULT)
				break;
		}
	}
	rcu_read_unlock();
	task_unlock(task);
	return found;
}

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
