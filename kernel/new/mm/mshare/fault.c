// SPDX-License-Identifier: GPL-2.0
/*
 * mshare faults: what a process misses in a window is faulted into the region
 *
 * handle_mm_fault() comes here for a window VMA, with its VMA lock or the
 * process's mmap_lock held, and after the caller has checked the access
 * against the window's own protection. Here the VMA of the host mm is found
 * and locked, the access is checked against it as well, the fault is handled
 * there by the code that handles any other, and the link is set.
 *
 * Which locks are gone when the host's fault handler returns:
 *
 *   VM_FAULT_RETRY, VM_FAULT_COMPLETED   the host's lock; except for RETRY
 *                                        under FAULT_FLAG_RETRY_NOWAIT
 *   anything else                        none
 *
 * and the callers of handle_mm_fault() expect the same of the window's lock.
 */
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include <trace/events/mshare.h>

#include "../internal.h"
#include "internal.h"

static bool lock_dropped(vm_fault_t ret, unsigned int flags)
{
	return ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED) &&
	       !(flags & FAULT_FLAG_RETRY_NOWAIT);
}

static bool host_vma_permits(struct vm_area_struct *host_vma,
			     unsigned int flags)
{
	if (flags & FAULT_FLAG_WRITE)
		return host_vma->vm_flags & VM_WRITE;
	if (flags & FAULT_FLAG_INSTRUCTION)
		return host_vma->vm_flags & VM_EXEC;
	return vma_is_accessible(host_vma);
}

static vm_fault_t fault_host_vma(struct vm_area_struct *host_vma,
				 unsigned long address, unsigned int flags)
{
	if (!host_vma_permits(host_vma, flags))
		return VM_FAULT_SIGSEGV | VM_FAULT_ACCERR;
	return mshare_host_fault(host_vma, address, flags);
}

/*
 * With the VMA lock of the host mm: thousands of processes fault in the same
 * region without meeting on its mmap_lock.
 */
static vm_fault_t fault_vma_locked(struct mm_struct *host,
				   unsigned long address, unsigned int flags)
{
	struct vm_area_struct *host_vma;
	vm_fault_t ret;

	/* Under RETRY_NOWAIT locks are kept, which a VMA lock cannot be. */
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	host_vma = lock_vma_under_rcu(host, address);
	if (!host_vma)
		return VM_FAULT_RETRY;
	ret = fault_host_vma(host_vma, address, flags | FAULT_FLAG_VMA_LOCK);
	if (!lock_dropped(ret, flags))
		vma_end_read(host_vma);
	return ret;
}

static int lock_host(struct mm_struct *host, unsigned int flags)
{
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return mmap_read_trylock(host) ? 0 : -EAGAIN;
	if (flags & FAULT_FLAG_ALLOW_RETRY && flags & FAULT_FLAG_KILLABLE)
		return mmap_read_lock_killable(host);
	mmap_read_lock(host);
	return 0;
}

/* With both mmap_locks, that of the host mm inside. */
static vm_fault_t fault_mmap_locked(struct mm_struct *host,
				    unsigned long address, unsigned int flags)
{
	struct vm_area_struct *host_vma;
	vm_fault_t ret;

	if (lock_host(host, flags))
		return VM_FAULT_RETRY;
	host_vma = vma_lookup(host, address);
	/* A hole of the region is a hole of the process. */
	ret = host_vma ? fault_host_vma(host_vma, address, flags) :
			 VM_FAULT_SIGSEGV;
	if (!lock_dropped(ret, flags))
		mmap_read_unlock(host);
	return ret;
}

static vm_fault_t fault_host(struct mm_struct *host, unsigned long address,
			     unsigned int flags)
{
	vm_fault_t ret;

	ret = fault_vma_locked(host, address, flags);
	/*
	 * Waiting for an mmap_lock under a VMA lock would invert their order:
	 * the caller has to come back with the process's mmap_lock. When it
	 * has that, the mmap_lock of the host is next, and never VM_FAULT_RETRY
	 * for want of it: not all callers can retry, and none can for ever.
	 */
	if (!(ret & VM_FAULT_RETRY) || flags & FAULT_FLAG_VMA_LOCK)
		return ret;
	return fault_mmap_locked(host, address, flags);
}

static void unlock_window(struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_VMA_LOCK)
		vma_end_read(vma);
	else
		mmap_read_unlock(vma->vm_mm);
}

/* Page tables are charged to the active cgroup, memory to the host's. */
static vm_fault_t fault_charged(struct mshare_region *region,
				unsigned long address, unsigned int flags)
{
	struct mem_cgroup *memcg = mshare_get_memcg(region);
	struct mem_cgroup *old_memcg = set_active_memcg(memcg);
	vm_fault_t ret = fault_host(region->host, address, flags);

	set_active_memcg(old_memcg);
	mem_cgroup_put(memcg);
	trace_mshare_fault(region->id, address - MSHARE_HOST_BASE, flags, ret);
	return ret;
}

#define LIMIT_TRIES	20	/* each takes HZ / 20, and what reclaim takes */

/*
 * When a cgroup that is not ours is full, and killing in it did not help, then
 * trying again, as for VM_FAULT_OOM, could go on for ever: it is as if the file
 * system that the memory comes from was full. But not before what is on its way
 * to swap has had time to get there.
 */
static vm_fault_t fault_within_limit(struct mshare_region *region,
				     unsigned long address, unsigned int flags)
{
	vm_fault_t ret = 0;
	int tries;

	for (tries = 0; tries < LIMIT_TRIES; tries++) {
		ret = fault_charged(region, address, flags);
		if (!(ret & VM_FAULT_OOM) || !mshare_foreign_memcg(region))
			return ret;
		if (flags & FAULT_FLAG_RETRY_NOWAIT ||
		    fatal_signal_pending(current))
			break;
		schedule_timeout_killable(HZ / 20);
	}
	return (ret & ~VM_FAULT_OOM) | VM_FAULT_SIGBUS;
}

/**
 * mshare_fault - handle a fault in a window
 * @vma: the window
 * @address: where, in the process
 * @flags: FAULT_FLAG_*
 * @regs: of the faulting CPU; NULL for get_user_pages()
 *
 * Context: as for handle_mm_fault().
 * Return: VM_FAULT_*. VM_FAULT_ACCERR goes with VM_FAULT_SIGSEGV where memory
 * is mapped but its protection forbids the access.
 */
vm_fault_t mshare_fault(struct vm_area_struct *vma, unsigned long address,
			unsigned int flags, struct pt_regs *regs)
{
	struct mshare_region *region = mshare_window_region(vma);
	vm_fault_t ret;

	/*
	 * The CPU can use nothing but a link, and there is none in a window
	 * that may only be executed. get_user_pages() with FOLL_FORCE can.
	 */
	if (regs && !mshare_vma_linkable(vma))
		return VM_FAULT_SIGSEGV | VM_FAULT_ACCERR;

	mshare_count_fault(region);
	ret = fault_within_limit(region, mshare_host_address(vma, address),
				 flags);
	if (!(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY)) &&
	    mshare_link_unit(vma, address))
		ret |= VM_FAULT_OOM;

	if (lock_dropped(ret, flags)) {
		/* The window, and with it the region, may go away now. */
		unlock_window(vma, flags);
		/* Only one of the two may be told. */
		if (ret & VM_FAULT_OOM)
			ret = VM_FAULT_RETRY;
	}
	return ret;
}

/**
 * mshare_lock_host_vma - find and lock what a window shows
 * @vma: the window, with mmap_lock of its process held
 * @address: in: in the process; out: in the host mm
 * @mmap_locked: out: which lock was taken, for mshare_unlock_host_vma()
 *
 * For get_user_pages(), which walks page tables under locks: those of the
 * process do not keep the region from freeing its PTE pages (I5).
 *
 * Return: the VMA of the host mm, or NULL when nothing is mapped there.
 */
struct vm_area_struct *mshare_lock_host_vma(struct vm_area_struct *vma,
					    unsigned long *address,
					    bool *mmap_locked)
{
	struct mm_struct *host = mshare_window_region(vma)->host;
	struct vm_area_struct *host_vma;

	*address = mshare_host_address(vma, *address);
	*mmap_locked = false;
	host_vma = lock_vma_under_rcu(host, *address);
	if (host_vma)
		return host_vma;

	*mmap_locked = true;
	mmap_read_lock(host);
	host_vma = vma_lookup(host, *address);
	if (!host_vma)
		mmap_read_unlock(host);
	return host_vma;
}

void mshare_unlock_host_vma(struct vm_area_struct *host_vma, bool mmap_locked)
{
	if (mmap_locked)
		mmap_read_unlock(host_vma->vm_mm);
	else
		vma_end_read(host_vma);
}
