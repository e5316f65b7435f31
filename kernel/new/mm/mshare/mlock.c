// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mlock: VMAs of a region with VM_LOCKED
 *
 * Locked pages count against the RLIMIT_MEMLOCK of a user, not of a process, as
 * for shmctl(SHM_LOCK), because the region outlives the process. The user who
 * locked first is charged until no page is locked any more.
 *
 * Charge the whole range first, then refund pages that were already locked and
 * VMAs that cannot be locked.
 */
#include <linux/cred.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

#include "../internal.h"
#include "internal.h"

/**
 * mshare_charge_locked - charge for memory that is about to be locked
 * @region: with mmap_lock of the host mm held for writing
 * @pages: largest number of pages
 *
 * Return: 0, -ENOMEM if RLIMIT_MEMLOCK does not allow so many pages.
 */
int mshare_charge_locked(struct mshare_region *region, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK);
	long total;

	mmap_assert_write_locked(region->host);
	if (!region->lock_ucounts) {
		region->lock_ucounts = get_ucounts(current_ucounts());
		if (!region->lock_ucounts)
			return -ENOMEM;
	}
	region->locked += pages;
	total = inc_rlimit_ucounts(region->lock_ucounts,
				   UCOUNT_RLIMIT_MEMLOCK, pages);
	if (limit != RLIM_INFINITY)
		limit >>= PAGE_SHIFT;
	if ((total == LONG_MAX || total > limit) && !capable(CAP_IPC_LOCK))
		return -ENOMEM;
	return 0;
}

/**
 * mshare_settle_locked - uncharge pages that are charged but not locked
 * @region: with mmap_lock of the host mm held for writing, or being destroyed
 *
 * Call after locking, unlocking or unmapping, also on failure, and after a
 * failure of mshare_charge_locked().
 */
void mshare_settle_locked(struct mshare_region *region)
{
	unsigned long locked = region->host->locked_vm;

	if (!region->lock_ucounts)
		return;
	VM_WARN_ON_ONCE(locked > region->locked);
	dec_rlimit_ucounts(region->lock_ucounts, UCOUNT_RLIMIT_MEMLOCK,
			   region->locked - locked);
	region->locked = locked;
	if (!locked) {
		put_ucounts(region->lock_ucounts);
		region->lock_ucounts = NULL;
	}
}

/* The number of pages to lock in a range; -ENOMEM if there is a hole. */
static long count_unlocked(struct mm_struct *host, unsigned long start,
			   unsigned long end)
{
	VMA_ITERATOR(vmi, host, start);
	unsigned long address = start;
	struct vm_area_struct *vma;
	long pages = 0;

	for_each_vma_range(vmi, vma, end) {
		if (vma->vm_start > address)
			return -ENOMEM;
		if (!(vma->vm_flags & VM_LOCKED) && vma_supports_mlock(vma))
			pages += (min(end, vma->vm_end) - address) >> PAGE_SHIFT;
		address = vma->vm_end;
	}
	return address < end ? -ENOMEM : pages;
}

static int mlock_host_range(struct mm_struct *host, unsigned long start,
			    unsigned long end, vm_flags_t vm_flags)
{
	VMA_ITERATOR(vmi, host, start);
	struct vm_area_struct *vma, *prev;
	unsigned long at = start;
	int err;

	/* count_unlocked() has seen that there is a VMA. */
	vma = vma_find(&vmi, end);
	prev = vma_prev(&vmi);
	if (start > vma->vm_start)
		prev = vma;

	for_each_vma_range(vmi, vma, end) {
		err = mlock_fixup(&vmi, vma, &prev, at, min(end, vma->vm_end),
				  vm_flags | (vma->vm_flags & ~VM_LOCKED_MASK));
		if (err)
			return err;
		/* Beyond the old end if the VMA was merged with the next. */
		at = vma_iter_end(&vmi);
	}
	return 0;
}

/**
 * mshare_mlock - lock a range of a region in RAM, or unlock it
 * @region: the region
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @vm_flags: VM_LOCKED, with VM_LOCKONFAULT or without; 0 to unlock
 *
 * Skips hugetlb pages and persistent memory, since they are always in memory.
 * The memory is not populated.
 *
 * Context: may sleep.
 * Return: 0; -EINTR; -ENOMEM if part of the range is not mapped, or if
 * RLIMIT_MEMLOCK does not allow it; -ENOSPC if a mapping has to be split and
 * the limit leaves no room for another: nothing has changed then. -ENOMEM or
 * -EAGAIN if kernel memory runs out, after part of the range.
 */
int mshare_mlock(struct mshare_region *region, u64 offset, u64 size,
		 vm_flags_t vm_flags)
{
	struct mm_struct *host = region->host;
	unsigned long start = MSHARE_HOST_BASE + offset;
	long pages, reserved;
	int err = 0;

	if (mmap_write_lock_killable(host))
		return -EINTR;
	pages = count_unlocked(host, start, start + size);
	if (pages < 0)
		err = pages;
	else if (vm_flags)
		err = mshare_charge_locked(region, pages);
	reserved = err ?: mshare_reserve_split(region, start, start + size);
	if (reserved >= 0) {
		err = mlock_host_range(host, start, start + size, vm_flags);
		mshare_settle(region, reserved);
	} else {
		err = reserved;
	}
	mshare_settle_locked(region);
	mmap_write_unlock(host);
	return err;
}

/**
 * mshare_mlockall - mlockall(2) and munlockall(2) of a window
 * @vma: the window, all of it, with mmap_lock held for writing
 * @newflags: the flags that ordinary memory would get
 *
 * MSHAREFS_LOCK, not mlockall(2), locks memory of a region. Only VM_LOCKONFAULT
 * is noted, so that the population after mlockall(2) can leave the window out.
 */
void mshare_mlockall(struct vm_area_struct *vma, vm_flags_t newflags)
{
	vma_start_write(vma);
	vm_flags_reset(vma, (vma->vm_flags & ~VM_LOCKONFAULT) |
			    (newflags & VM_LOCKONFAULT));
}
