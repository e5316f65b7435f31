// SPDX-License-Identifier: GPL-2.0
/*
 * mshare faults: a fault in a window is handled in the region
 *
 * handle_mm_fault() calls mshare_fault() for a window VMA. The VMA lock of the
 * window or the mmap_lock of the process is held, and the caller has checked
 * the access against the window's own protection. mshare_fault() finds and
 * locks the VMA of the host mm, checks the access against that VMA as well,
 * lets the generic code handle the fault there, and sets the link.
 *
 * Locks that have been dropped when the host's fault handler returns:
 *
 *   VM_FAULT_RETRY, VM_FAULT_COMPLETED   the host's lock; except for RETRY
 *                                        under FAULT_FLAG_RETRY_NOWAIT
 *   anything else                        none
 *
 * The callers of handle_mm_fault() expect the same of the window's lock.
 */
#include <linux/hugetlb.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include <trace/events/mshare.h>

#include "../internal.h"
#include "internal.h"

/* Internal, with VM_FAULT_OOM: mshare_refuse_charge() was the cause. */
#define FAULT_REFUSED	((__force vm_fault_t)BIT(31))

/**
 * struct region_fault - a fault in a region
 * @region: the region
 * @address: faulting address in the host mm
 * @flags: FAULT_FLAG_*
 * @reader: the process may never write the region
 */
struct region_fault {
	struct mshare_region *region;
	unsigned long address;
	unsigned int flags;
	bool reader;
};

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

/*
 * Whether a fault would allocate memory that counts against a limit of the
 * region's owner: a hole of shmem or hugetlb. Page cache does not count, since
 * it can be reclaimed. The check comes here because no page table has been
 * allocated yet. FAULT_FLAG_MSHARE_READER repeats the check further down, in
 * case the page is removed meanwhile.
 */
static bool makes_memory(struct vm_area_struct *host_vma, unsigned long address)
{
	struct address_space *mapping = host_vma->vm_file->f_mapping;

	if (!shmem_mapping(mapping) && !is_vm_hugetlb_page(host_vma))
		return false;
	/* A page that is swapped out has a value entry. */
	return !xa_load(&mapping->i_pages,
			linear_page_index(host_vma, address));
}

static __always_inline vm_fault_t
fault_host_vma(struct vm_area_struct *host_vma, struct region_fault fault)
{
	if (!host_vma_permits(host_vma, fault.flags))
		return VM_FAULT_SIGSEGV | VM_FAULT_ACCERR;
	if (likely(!fault.reader))
		return mshare_host_fault(host_vma, fault.address,
					 fault.flags);
	if (makes_memory(host_vma, fault.address))
		return VM_FAULT_SIGBUS;
	return mshare_host_fault(host_vma, fault.address,
				 fault.flags | FAULT_FLAG_MSHARE_READER);
}

static bool vma_covers(const struct vm_area_struct *vma, unsigned long address)
{
	return address >= vma->vm_start && address < vma->vm_end;
}

/*
 * A region has few VMAs, and most faults are in the same one. RCU keeps a VMA
 * that was found in recent_vma from being freed, see mshare_forget_vma(). The
 * VMA lock alone is not enough, because a detached VMA that is about to be
 * freed can still be locked.
 */
static struct vm_area_struct *lock_recent_vma(struct mshare_region *region,
					      unsigned long address)
{
	struct vm_area_struct *vma;

	rcu_read_lock();
	vma = READ_ONCE(region->recent_vma);
	if (vma && vma_covers(vma, address) && vma_start_read(vma)) {
		/* The VMA may have changed before it was locked. */
		if (likely(!vma->detached && vma_covers(vma, address)))
			goto out;
		vma_end_read(vma);
	}
	vma = NULL;
out:
	rcu_read_unlock();
	return vma;
}

/* Rare enough that CPUs that fault in different VMAs do not contend. */
#define REMEMBER_EACH	16

static struct vm_area_struct *lock_any_vma(struct mshare_region *region,
					   unsigned long address)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(region->host, address);

	if (vma && (!READ_ONCE(region->recent_vma) ||
		    (address >> PAGE_SHIFT) % REMEMBER_EACH == 0))
		WRITE_ONCE(region->recent_vma, vma);
	return vma;
}

/**
 * mshare_forget_vma - forget a VMA of a host mm that is about to be freed
 * @vma: the VMA, which no task has locked or can find to lock
 *
 * lock_any_vma() stores a VMA in recent_vma only under its VMA lock and before
 * it is detached, so @vma is not stored again. A task that has read @vma from
 * recent_vma is in an RCU read-side critical section, and the caller frees @vma
 * after a grace period.
 *
 * Context: any.
 */
void mshare_forget_vma(struct vm_area_struct *vma)
{
	struct mshare_region *region = mshare_host_region(vma->vm_mm);

	VM_WARN_ON_ONCE(!vma->detached && region->recent_vma == vma);
	/* Full barrier before call_rcu(). */
	cmpxchg(&region->recent_vma, vma, NULL);
}

/*
 * Fault with a VMA lock of the host mm, so that thousands of processes can
 * fault in one region without contending on its mmap_lock.
 */
static __always_inline vm_fault_t fault_vma_locked(struct region_fault fault)
{
	struct vm_area_struct *host_vma;
	vm_fault_t ret;

	/* RETRY_NOWAIT keeps locks, but fault handlers drop VMA locks. */
	if (unlikely(fault.flags & FAULT_FLAG_RETRY_NOWAIT))
		return VM_FAULT_RETRY;
	host_vma = lock_recent_vma(fault.region, fault.address);
	if (unlikely(!host_vma))
		host_vma = lock_any_vma(fault.region, fault.address);
	if (!host_vma)
		return VM_FAULT_RETRY;
	fault.flags |= FAULT_FLAG_VMA_LOCK;
	ret = fault_host_vma(host_vma, fault);
	if (likely(!lock_dropped(ret, fault.flags)))
		vma_end_read(host_vma);
	return ret;
}

/* Fault with both mmap_locks; that of the host mm is the inner one. */
static noinline vm_fault_t fault_mmap_locked(struct region_fault fault)
{
	struct mm_struct *host = fault.region->host;
	struct vm_area_struct *host_vma;
	vm_fault_t ret;

	if (fault.flags & FAULT_FLAG_RETRY_NOWAIT) {
		if (!mmap_read_trylock(host))
			return VM_FAULT_RETRY;
	} else if (mmap_read_lock_killable(host)) {
		/* The task is being killed and does not see the result. */
		return fault.flags & FAULT_FLAG_ALLOW_RETRY ? VM_FAULT_RETRY :
							      VM_FAULT_SIGBUS;
	}
	host_vma = vma_lookup(host, fault.address);
	/* A hole of the region is a hole of the window. */
	ret = host_vma ? fault_host_vma(host_vma, fault) : VM_FAULT_SIGSEGV;
	if (!lock_dropped(ret, fault.flags))
		mmap_read_unlock(host);
	return ret;
}

static __always_inline vm_fault_t fault_host(struct region_fault fault)
{
	vm_fault_t ret = fault_vma_locked(fault);

	/*
	 * Waiting for an mmap_lock under a VMA lock would invert the lock
	 * order, so let the caller come back with the mmap_lock of the process.
	 * Under that lock, wait for the mmap_lock of the host mm instead of
	 * returning VM_FAULT_RETRY, since not all callers can retry, and none
	 * can retry forever.
	 */
	if (likely(!(ret & VM_FAULT_RETRY)) ||
	    fault.flags & FAULT_FLAG_VMA_LOCK)
		return ret;
	return fault_mmap_locked(fault);
}

static __always_inline vm_fault_t fault_charged(struct region_fault fault)
{
	struct mshare_charge charge;
	vm_fault_t ret;
	bool refused;

	charge_begin(&charge, fault.region, fault.reader);
	ret = fault_host(fault);
	refused = charge_end(&charge);
	trace_mshare_fault(fault.region->id, fault.address - MSHARE_HOST_BASE,
			   fault.flags, (__force unsigned int)ret);
	if (unlikely(refused) && ret & VM_FAULT_OOM)
		ret |= FAULT_REFUSED;
	return ret;
}

#define LIMIT_TRIES	20	/* each takes HZ / 20, plus reclaim */

/*
 * A memory cgroup of the region is full, and the task is not in that cgroup.
 * The OOM killer is not started then, so retries as for VM_FAULT_OOM could go
 * on forever. Fail with SIGBUS, as for a full file system, but first give pages
 * on their way to swap time to get there.
 */
static noinline vm_fault_t fault_at_limit(struct region_fault fault)
{
	vm_fault_t ret;
	int tries;

	if (fault.flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_SIGBUS;
	for (tries = 1; tries < LIMIT_TRIES; tries++) {
		schedule_timeout_killable(HZ / 20);
		if (fatal_signal_pending(current))
			break;
		ret = fault_charged(fault);
		if (!(ret & FAULT_REFUSED))
			return ret;
	}
	return VM_FAULT_SIGBUS;
}

static void unlock_window(struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_VMA_LOCK)
		vma_end_read(vma);
	else
		mmap_read_unlock(vma->vm_mm);
}

/**
 * mshare_fault - handle a fault in a window
 * @vma: the window
 * @address: faulting address in the process
 * @flags: FAULT_FLAG_*
 * @regs: registers of the faulting CPU; NULL for get_user_pages()
 *
 * Context: as for handle_mm_fault().
 * Return: VM_FAULT_*. VM_FAULT_ACCERR accompanies VM_FAULT_SIGSEGV if memory is
 * mapped but its protection forbids the access.
 */
vm_fault_t mshare_fault(struct vm_area_struct *vma, unsigned long address,
			unsigned int flags, struct pt_regs *regs)
{
	struct region_fault fault = {
		.region		= mshare_window_region(vma),
		.address	= mshare_host_address(vma, address),
		.flags		= flags,
		.reader		= mshare_vma_is_reader(vma),
	};
	const bool linked = mshare_sees_table(vma, address);
	int tables = 0;
	vm_fault_t ret;

	mshare_count_fault(fault.region);
	if (unlikely(!linked)) {
		/*
		 * A CPU can access the region through a link only, and a window
		 * with PROT_EXEC alone has none. get_user_pages() with
		 * FOLL_FORCE needs no link.
		 */
		if (regs && !mshare_vma_linkable(vma))
			return VM_FAULT_SIGSEGV | VM_FAULT_ACCERR;
		tables = mshare_tables_missing(fault.region->host,
					       fault.address);
		/* The limit is reached: SIGBUS, as for a full tmpfs. */
		if (tables && mshare_reserve(fault.region, tables,
					     fault.reader))
			return VM_FAULT_SIGBUS;
	}

	ret = fault_charged(fault);
	if (unlikely(ret & FAULT_REFUSED))
		ret = fault_at_limit(fault);

	if (unlikely(!linked)) {
		if (tables)
			mshare_settle(fault.region, tables);
		if (!(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY)) &&
		    mshare_link_unit(vma, address))
			ret |= VM_FAULT_OOM;
	}
	if (unlikely(lock_dropped(ret, flags))) {
		/* From here on the window and its region may go away. */
		unlock_window(vma, flags);
		/* VM_FAULT_OOM would mean that the lock is still held. */
		if (ret & VM_FAULT_OOM)
			ret = VM_FAULT_RETRY;
	}
	return ret;
}

/**
 * mshare_lock_host_vma - find and lock the VMA that a window shows
 * @vma: the window, with mmap_lock of its process held
 * @address: in: address in the process; out: address in the host mm
 * @mmap_locked: out: which lock was taken, for mshare_unlock_host_vma()
 *
 * For get_user_pages(), which walks page tables under locks. The locks of the
 * process do not keep the region from freeing its PTE tables (I5).
 *
 * Return: the VMA of the host mm, NULL if there is no mapping at @address,
 * ERR_PTR(-EINTR) if the caller is being killed.
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
	if (mmap_read_lock_killable(host))
		return ERR_PTR(-EINTR);
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
