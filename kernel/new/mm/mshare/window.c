// SPDX-License-Identifier: GPL-2.0
/*
 * mshare windows: the VMAs through which processes see a region
 *
 * Each window VMA has a struct mshare_window, which is on the region's list
 * from before its first link is set until after its last link was cleared and
 * flushed (I3): mmap(2) and fork(2) add it before they link, and ->close()
 * removes it, which munmap(2) and exit(2) call after tlb_finish_mmu().
 */
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "internal.h"

static struct mshare_window *alloc_window(struct mshare_region *region,
					  struct mm_struct *mm)
{
	struct mshare_window *window;

	window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);
	if (!window)
		return NULL;
	mmgrab(mm);
	window->mm = mm;
	window->region = region;
	return window;
}

static void free_window(struct mshare_window *window)
{
	mmdrop(window->mm);
	kfree(window);
}

/* In process context: the last mmdrop() must not come from a softirq. */
static void free_window_work(struct work_struct *work)
{
	free_window(container_of(to_rcu_work(work), struct mshare_window,
				 free_work));
}

static void add_window(struct mshare_window *window, struct vm_area_struct *vma)
{
	struct mshare_region *region = window->region;

	window->vma = vma;
	vma->vm_private_data = window;

	spin_lock(&region->windows_lock);
	list_add_tail_rcu(&window->node, &region->windows);
	spin_unlock(&region->windows_lock);
	mshare_stat_add(MSHARE_STAT_WINDOWS, 1);

	/*
	 * Attaching CPU                  Flushing CPU
	 *   window on the list             clear a leaf
	 *   smp_mb()                       smp_mb() (inc_mm_tlb_gen() of host)
	 *   set a link                     walk the list
	 *   read the leaf through it
	 *
	 * Either the flush finds the window, or the leaf is found cleared.
	 */
	smp_mb();
}

static void remove_window(struct mshare_window *window)
{
	struct mshare_region *region = window->region;

	spin_lock(&region->windows_lock);
	list_del_rcu(&window->node);
	spin_unlock(&region->windows_lock);
	mshare_stat_add(MSHARE_STAT_WINDOWS, -1);

	if (window->spare)
		free_window(window->spare);
	INIT_RCU_WORK(&window->free_work, free_window_work);
	queue_rcu_work(system_wq, &window->free_work);
}

/*
 * A split cuts at multiples of the unit only: a link cannot be in two VMAs.
 * ->open() of the new VMA cannot fail, so what it needs is allocated here.
 */
static int window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct mshare_window *window = vma->vm_private_data;

	if (!IS_ALIGNED(addr, MSHARE_UNIT))
		return -EINVAL;
	if (!window->spare) {
		window->spare = alloc_window(window->region, window->mm);
		if (!window->spare)
			return -ENOMEM;
	}
	return 0;
}

static void window_open(struct vm_area_struct *vma)
{
	struct mshare_window *window = vma->vm_private_data;
	struct mshare_window *spare;

	/* fork(2): mshare_fork_window() comes next, and may fail. */
	if (!window || vma->vm_mm != window->mm) {
		vma->vm_private_data = NULL;
		return;
	}

	/*
	 * A split: the links of the new VMA exist already. They stay covered,
	 * because the old window is on the list, and the process is what a
	 * flush is about.
	 */
	spare = window->spare;
	window->spare = NULL;
	if (WARN_ON_ONCE(!spare)) {
		vma->vm_private_data = NULL;
		return;
	}
	add_window(spare, vma);
}

static void window_close(struct vm_area_struct *vma)
{
	struct mshare_window *window = vma->vm_private_data;

	if (!window)
		return;
	/* I2, I7: unlinked and flushed in the zap phase. */
	VM_WARN_ON_ONCE(mshare_range_linked(vma));
	vma->vm_private_data = NULL;
	remove_window(window);
}

/*
 * Protection keys are in the leaves, which are not this process's alone. The
 * one that mprotect(2) picks for PROT_EXEC is harmless: no links, no leaves.
 */
static bool pkey_allowed(unsigned long newflags)
{
#ifdef CONFIG_ARCH_HAS_PKEYS
	unsigned long pkey = newflags & (VM_PKEY_BIT0 | VM_PKEY_BIT1 |
					 VM_PKEY_BIT2 | VM_PKEY_BIT3);

	if (pkey && (newflags & VM_ACCESS_FLAGS) != VM_EXEC)
		return false;
#endif
	return true;
}

static int window_mprotect(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end, unsigned long newflags)
{
	if (!IS_ALIGNED(start | end, MSHARE_UNIT))
		return -EINVAL;
	if (!pkey_allowed(newflags))
		return -EINVAL;
	return 0;
}

/* handle_mm_fault() redirects before it could come to this. */
static vm_fault_t window_fault(struct vm_fault *vmf)
{
	WARN_ON_ONCE(1);
	return VM_FAULT_SIGBUS;
}

#ifdef CONFIG_NUMA
/* The policy of region memory belongs to the mapped objects. */
static int window_set_policy(struct vm_area_struct *vma, struct mempolicy *new)
{
	return -EINVAL;
}
#endif

static const struct vm_operations_struct mshare_window_ops = {
	.open		= window_open,
	.close		= window_close,
	.may_split	= window_may_split,
	.mprotect	= window_mprotect,
	.fault		= window_fault,
#ifdef CONFIG_NUMA
	.set_policy	= window_set_policy,
#endif
};

/**
 * mshare_window_mmap - make a VMA a window
 * @region: with region->lock held
 * @vma: of a process, being set up by mmap(2); vm_pgoff says where in the
 *	 region it starts
 *
 * Everything of the region that has page tables is linked, so that resident
 * memory is reached without a fault.
 *
 * Context: mmap_lock of the process held for writing.
 * Return: 0, -EINVAL for a bad range, -EBUSY when an MMU notifier user (KVM,
 * for example) is registered for the process, -ENOMEM.
 */
int mshare_window_mmap(struct mshare_region *region,
		       struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;
	struct mshare_window *window;

	lockdep_assert_held(&region->lock);

	if (!IS_ALIGNED(vma->vm_start | vma->vm_end | offset, MSHARE_UNIT))
		return -EINVAL;
	if (offset > region->size || len > region->size - offset)
		return -EINVAL;
	/*
	 * Changes of region memory are told to notifiers of the host mm only:
	 * others would keep translations of pages that are gone.
	 */
	if (mm_has_notifiers(vma->vm_mm))
		return -EBUSY;

	window = alloc_window(region, vma->vm_mm);
	if (!window)
		return -ENOMEM;

	/*
	 * VM_DONTEXPAND is in VM_SPECIAL, which keeps out KSM, khugepaged,
	 * mlock, userfaultfd, MGLRU's page table walks and merging.
	 */
	vm_flags_set(vma, VM_MSHARE | VM_DONTEXPAND);
	vma->vm_ops = &mshare_window_ops;
	add_window(window, vma);
	if (!region->start)
		region->start = vma->vm_start;

	/* What cannot be linked for lack of memory now, a fault links later. */
	mshare_link_range(vma, vma->vm_start, vma->vm_end);
	return 0;
}

/**
 * mshare_fork_window - give a child the window of its parent
 * @dst: the child's VMA
 * @src: the parent's VMA, write-locked
 *
 * Called by copy_page_range(). On failure the child's exit_mmap() undoes what
 * is there.
 *
 * Return: 0 or -ENOMEM.
 */
int mshare_fork_window(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct mshare_window *window;

	window = alloc_window(mshare_window_region(src), dst->vm_mm);
	if (!window)
		return -ENOMEM;
	add_window(window, dst);
	return mshare_link_range(dst, dst->vm_start, dst->vm_end);
}

/**
 * mshare_windows_beyond - whether a window reaches beyond an offset
 * @region: with region->lock held, so that no window is being added
 * @offset: in bytes
 *
 * A window that is being unmapped or split at the same time may be seen as it
 * was before.
 */
bool mshare_windows_beyond(struct mshare_region *region, u64 offset)
{
	struct mshare_window *window;
	bool found = false;

	spin_lock(&region->windows_lock);
	list_for_each_entry(window, &region->windows, node) {
		unsigned long end = mshare_host_address(window->vma,
							window->vma->vm_end);

		if (end > MSHARE_HOST_BASE + offset) {
			found = true;
			break;
		}
	}
	spin_unlock(&region->windows_lock);
	return found;
}

/**
 * mshare_mm_has_windows - whether a process has a window
 * @mm: with mmap_lock held
 *
 * Asked by mmu_notifier_register(), which must then be refused.
 */
bool mshare_mm_has_windows(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	for_each_vma(vmi, vma)
		if (vma_is_mshare(vma))
			return true;
	return false;
}

/**
 * mshare_madvise - which madvise(2) advice a window takes
 * @vma: the window
 * @behavior: MADV_*
 *
 * Return: 1 to go on as for any VMA: advice that changes only the VMA. 0 when
 * there is nothing to do, -EINVAL when it is not supported. Contents of a
 * region are changed through its file only, so MADV_DONTNEED of one process
 * drops nothing.
 */
int mshare_madvise(struct vm_area_struct *vma, unsigned long behavior)
{
	switch (behavior) {
	case MADV_DONTNEED:
		return 0;
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
		return 1;
	default:
		return -EINVAL;
	}
}
