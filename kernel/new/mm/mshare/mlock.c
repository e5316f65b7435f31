// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mlock: VMAs of a region with VM_LOCKED
 *
 * Locked pages count for the RLIMIT_MEMLOCK of a user, not of a process, as
 * for shmctl(SHM_LOCK): the region outlives the process. The user is whoever
 * locked first, until nothing is locked any more.
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
 * @pages: how many pages at most
 *
 * Return: 0, -ENOMEM when it is more than RLIMIT_MEMLOCK allows.
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
 * mshare_settle_locked - give back what is charged for and not locked
 * @region: with mmap_lock of the host mm held for writing, or being destroyed
 *
 * To be called after all that locks, unlocks or unmaps, also when it failed,
 * and after mshare_charge_locked() failed.
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

/* How many pages of a range are to be locked; -ENOMEM if there is a hole. */
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

	/* count_unlocked() has seen that there is one. */
	vma = vma_find(&vmi, end);
	prev = vma_prev(&vmi);
	if (start > vma->vm_start)
		prev = vma;

	for_each_vma_range(vmi, vma, end) {
		err = mlock_fixup(&vmi, vma, &prev, at, min(end, vma->vm_end),
				  vm_flags | (vma->vm_flags & ~VM_LOCKED_MASK));
		if (err)
			return err;
		/* Further than it was if it has been merged with the next. */
		at = vma_iter_end(&vmi);
	}
	return 0;
}

/**
 * mshare_mlock - keep a range of a region in RAM, or no longer
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @vm_flags: VM_LOCKED, with VM_LOCKONFAULT or without; 0 to unlock
 *
 * hugetlb pages and persistent memory are always there: nothing is done.
 * The memory is not populated.
 *
 * Context: may sleep.
 * Return: 0; -EINTR; -ENOMEM when not all of it is mapped or it is more than
 * RLIMIT_MEMLOCK allows; -ENOSPC when a mapping has to be split and the limit
 * leaves no room for another: nothing has been changed then. -ENOMEM, -EAGAIN
 * for want of kernel memory, after a part of it.
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
 * @newflags: its flags as they would be for ordinary memory
 *
 * Memory of a region is locked by MSHAREFS_LOCK, not by a process. What is left
 * is whether the population that follows mlockall(2) has to leave it out.
 */
void mshare_mlockall(struct vm_area_struct *vma, vm_flags_t newflags)
{
	vma_start_write(vma);
	vm_flags_reset(vma, (vma->vm_flags & ~VM_LOCKONFAULT) |
			    (newflags & VM_LOCKONFAULT));
}
