// SPDX-License-Identifier: GPL-2.0
/*
 * mshare windows: the VMAs through which processes see a region
 *
 * A process with windows of a region is attached to it: there is one struct
 * mshare_attachment for it, which counts the windows and is what a flush finds.
 * It is on the list of the process from before the first link is set until after
 * the last one was cleared and flushed (I3): mmap(2) and fork(2) attach before they
 * link, and ->close() detaches, which munmap(2) and exit(2) call after
 * tlb_finish_mmu().
 */
#include <linux/file.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * mshare_find_attachment - what attaches a process to a region
 * @mm: of the process
 * @region: the region
 *
 * Context: under RCU, or interrupts off; or mmap_lock of @mm held for writing.
 * Return: the attachment, or NULL.
 */
struct mshare_attachment *mshare_find_attachment(struct mm_struct *mm,
						 struct mshare_region *region)
{
	struct mshare_attachment *attachment;

	hlist_for_each_entry_rcu(attachment, &mm->mshare_attachments, node,
				 irqs_disabled() ||
				 lockdep_is_held(&mm->mmap_lock))
		if (attachment->region == region)
			return attachment;
	return NULL;
}

/* Count one more window if the process is attached already. */
static struct mshare_attachment *get_attachment(struct mshare_region *region,
						struct mm_struct *mm)
{
	struct mshare_attachment *attachment;

	attachment = mshare_find_attachment(mm, region);
	if (!attachment)
		return NULL;
	spin_lock(&region->attach_lock);
	attachment->windows++;
	region->windows++;
	spin_unlock(&region->attach_lock);
	return attachment;
}

static unsigned long window_delta(struct vm_area_struct *vma)
{
	return vma->vm_start - mshare_host_address(vma, vma->vm_start);
}

/*
 * Note where a window is, before it is linked. The parts of a window that has
 * been split are in the same place.
 */
static void show_window(struct vm_area_struct *vma)
{
	struct mshare_attachment *attachment = vma->vm_private_data;
	unsigned long delta = window_delta(vma), flags;
	int i, unused = -1;

	raw_spin_lock_irqsave(&attachment->lock, flags);
	for (i = 0; i < MSHARE_SHOWN; i++) {
		if (!attachment->shown[i].windows)
			unused = i;
		else if (attachment->shown[i].delta == delta)
			break;
	}
	if (i == MSHARE_SHOWN)
		i = unused;
	if (i >= 0) {
		attachment->shown[i].delta = delta;
		attachment->shown[i].windows++;
	} else {
		attachment->others++;
	}
	raw_spin_unlock_irqrestore(&attachment->lock, flags);
}

static void hide_window(struct vm_area_struct *vma)
{
	struct mshare_attachment *attachment = vma->vm_private_data;
	unsigned long delta = window_delta(vma), flags;
	int i;

	raw_spin_lock_irqsave(&attachment->lock, flags);
	for (i = 0; i < MSHARE_SHOWN; i++)
		if (attachment->shown[i].windows &&
		    attachment->shown[i].delta == delta)
			break;
	/*
	 * One of a place that had no room may go first: then the place seems to
	 * be shown longer than it is, and others are flushed completely.
	 */
	if (i < MSHARE_SHOWN)
		attachment->shown[i].windows--;
	else if (!WARN_ON_ONCE(!attachment->others))
		attachment->others--;
	raw_spin_unlock_irqrestore(&attachment->lock, flags);
}

static void tell_exclusive(void)
{
	pr_info_ratelimited("mshare: %s[%d]: windows of msharefs, and KVM or another MMU notifier, exclude each other in a process\n",
			    current->comm, task_pid_nr(current));
}

/**
 * mshare_attach - attach a process to a region for one window
 * @region: kept by the vm_file of the window to be
 * @mm: of the process, with mmap_lock held for writing, so that nobody else
 *	is attaching it
 *
 * Return: the attachment for mshare_window_init() or mshare_detach(), or an
 * ERR_PTR: -ENOMEM; -EBUSY when an MMU notifier user, for example KVM, is
 * registered for the process.
 */
struct mshare_attachment *mshare_attach(struct mshare_region *region,
					struct mm_struct *mm)
{
	struct mshare_attachment *attachment;

	mmap_assert_write_locked(mm);
	/*
	 * Changes of region memory are told to notifiers of the host mm only:
	 * others would keep translations of pages that are gone.
	 */
	if (mm_has_notifiers(mm)) {
		tell_exclusive();
		return ERR_PTR(-EBUSY);
	}

	attachment = get_attachment(region, mm);
	if (attachment)
		return attachment;

	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	mmgrab(mm);
	attachment->mm = mm;
	attachment->region = region;
	attachment->windows = 1;
	raw_spin_lock_init(&attachment->lock);
	/* No translation is older: there is no link yet. */
	attachment->seen = atomic64_read(&region->generation);

	spin_lock(&region->attach_lock);
	region->processes++;
	region->windows++;
	spin_unlock(&region->attach_lock);
	hlist_add_head_rcu(&attachment->node, &mm->mshare_attachments);

	/* I3. See flush.c for the order against a flush. */
	arch_mshare_attached(mm);
	return attachment;
}

/* In process context: the last mmdrop() must not come from a softirq. */
static void free_attachment_work(struct work_struct *work)
{
	struct mshare_attachment *attachment =
		container_of(to_rcu_work(work), struct mshare_attachment,
			     free_work);

	mmdrop(attachment->mm);
	kfree(attachment);
}

/**
 * mshare_detach - give back what mshare_attach() gave
 * @attachment: of a window that has no links any more, and was flushed
 */
void mshare_detach(struct mshare_attachment *attachment)
{
	struct mshare_region *region = attachment->region;
	bool last;

	spin_lock(&region->attach_lock);
	region->windows--;
	last = !--attachment->windows;
	if (last)
		region->processes--;
	spin_unlock(&region->attach_lock);
	if (!last)
		return;

	hlist_del_rcu(&attachment->node);
	mshare_prune(region);
	/* A flush may be looking at it, and at the mm. */
	INIT_RCU_WORK(&attachment->free_work, free_attachment_work);
	queue_rcu_work(system_wq, &attachment->free_work);
}

/* A split cuts at multiples of the unit only: a link cannot be in two VMAs. */
static int window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return IS_ALIGNED(addr, MSHARE_UNIT) ? 0 : -EINVAL;
}

static void window_open(struct vm_area_struct *vma)
{
	struct mshare_attachment *attachment = vma->vm_private_data;

	/* fork(2): mshare_fork_window() comes next, and may fail. */
	if (!attachment || vma->vm_mm != attachment->mm) {
		vma->vm_private_data = NULL;
		return;
	}

	/* A split: the new VMA has links already. Or mremap(2) will link. */
	spin_lock(&attachment->region->attach_lock);
	attachment->windows++;
	attachment->region->windows++;
	spin_unlock(&attachment->region->attach_lock);
	show_window(vma);
	mshare_stat_add(MSHARE_STAT_WINDOWS, 1);
}

static void window_close(struct vm_area_struct *vma)
{
	struct mshare_attachment *attachment = vma->vm_private_data;

	if (!attachment)
		return;
	/* I2, I7: unlinked and flushed in the zap phase. */
	VM_WARN_ON_ONCE(mshare_range_linked(vma));
	hide_window(vma);
	vma->vm_private_data = NULL;
	mshare_stat_add(MSHARE_STAT_WINDOWS, -1);
	mshare_detach(attachment);
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
/*
 * The policy of region memory belongs to the mapped objects. mbind(2) of a
 * range within one window has gone there, and does not come here.
 */
static int window_set_policy(struct vm_area_struct *vma, struct mempolicy *new)
{
	return -EINVAL;
}

/* Of memory. Files on disks, and hugetlb, have no policy of their own. */
static struct mempolicy *window_get_policy(struct vm_area_struct *vma,
					   unsigned long address, pgoff_t *ilx)
{
	struct mm_struct *host = mshare_window_region(vma)->host;
	struct mempolicy *policy = NULL;
	struct vm_area_struct *host_vma;

	address = mshare_host_address(vma, address);
	/* Whoever is being killed does not ask any more. */
	if (mmap_read_lock_killable(host))
		return NULL;
	host_vma = vma_lookup(host, address);
	/* Only that of an object is reference counted, and can be returned. */
	if (host_vma && host_vma->vm_ops && host_vma->vm_ops->get_policy)
		policy = __get_vma_policy(host_vma, address, ilx);
	mmap_read_unlock(host);
	return policy;
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
	.get_policy	= window_get_policy,
#endif
};

/**
 * mshare_window_init - make a VMA a window
 * @vma: of a process, being set up by mmap(2); vm_pgoff says where in the
 *	 region it starts. Whole units within the region
 * @attachment: from mshare_attach(); the window's from now on
 *
 * Everything of the region that has page tables is linked, so that resident
 * memory is reached without a fault.
 *
 * Context: mmap_lock of the process held for writing.
 */
void mshare_window_init(struct vm_area_struct *vma,
			struct mshare_attachment *attachment)
{
	/*
	 * VM_DONTEXPAND is in VM_SPECIAL, which keeps out KSM, khugepaged,
	 * mlock, userfaultfd, MGLRU's page table walks and merging.
	 */
	vm_flags_set(vma, VM_MSHARE | VM_DONTEXPAND);
	vma->vm_ops = &mshare_window_ops;
	vma->vm_private_data = attachment;
	show_window(vma);
	mshare_stat_add(MSHARE_STAT_WINDOWS, 1);

	/* What cannot be linked for lack of memory now, a fault links later. */
	mshare_link_range(vma, vma->vm_start, vma->vm_end);
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
	struct mshare_attachment *attachment;

	attachment = mshare_attach(mshare_window_region(src), dst->vm_mm);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);
	dst->vm_private_data = attachment;
	show_window(dst);
	mshare_stat_add(MSHARE_STAT_WINDOWS, 1);
	return mshare_link_range(dst, dst->vm_start, dst->vm_end);
}

/**
 * mshare_may_mremap - what mremap(2) can do with a window
 * @address: where the window, or the part of it to be moved, is
 * @old_len: its length, page-aligned
 * @new_len: what is to become of it, page-aligned
 * @flags: MREMAP_*
 * @new_address: where to with MREMAP_FIXED
 *
 * Whole units can be moved, and cut off at the end, which is unmapping. There
 * is nothing of a region to grow into that mmap(2) could not map.
 */
bool mshare_may_mremap(unsigned long address, unsigned long old_len,
		       unsigned long new_len, unsigned long flags,
		       unsigned long new_address)
{
	if (new_len > old_len || flags & MREMAP_DONTUNMAP)
		return false;
	if (!(flags & MREMAP_FIXED))
		return true;
	return IS_ALIGNED(address | old_len | new_len | new_address,
			  MSHARE_UNIT);
}

/**
 * mshare_move_links - link a window that mremap(2) has just made
 * @vma: the new window; the old one is still there
 * @address: where it, or what is moved of it, begins
 * @len: bytes
 *
 * Return: @len. What cannot be linked for lack of memory, a fault links.
 */
unsigned long mshare_move_links(struct vm_area_struct *vma,
				unsigned long address, unsigned long len)
{
	mshare_link_range(vma, address, address + len);
	return len;
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
	for_each_vma(vmi, vma) {
		if (vma_is_mshare(vma)) {
			tell_exclusive();
			return true;
		}
	}
	return false;
}

/* Advice about the region's memory: which changes no contents, or may do so. */
static int madvise_region(struct vm_area_struct *vma, unsigned long start,
			  unsigned long end, unsigned long behavior,
			  bool write_locked)
{
	struct mshare_region *region = mshare_window_region(vma);
	u64 offset = mshare_host_address(vma, start) - MSHARE_HOST_BASE;
	struct file *file = get_file(vma->vm_file);
	bool reader = mshare_vma_is_reader(vma);
	struct mm_struct *mm = vma->vm_mm;
	struct mshare_charge charge;
	int err;

	/* Some takes inode locks, inside which others fault in this process. */
	if (write_locked)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	mshare_charge_begin(&charge, region, reader);
	err = mshare_advise(region, offset, end - start, behavior);
	mshare_charge_end(&charge);
	fput(file);
	if (write_locked)
		mmap_write_lock(mm);
	else
		mmap_read_lock(mm);
	/* What madvise(2) says when there are too many mappings. */
	return err == -ENOSPC ? -ENOMEM : err;
}

/**
 * mshare_madvise - madvise(2) of a window
 * @vma: the window
 * @prev: out, unless 1 is returned: @vma, or NULL if the mmap_lock was dropped
 *	meanwhile
 * @start: first address
 * @end: after the last, in the window
 * @behavior: MADV_*
 * @write_locked: how the mmap_lock of the process is held
 *
 * Advice that changes only the VMA is this window's; advice about memory is
 * given to the region. What makes it slower for others, or changes how it is
 * mapped for them, takes the right that MSHAREFS_ADVISE takes, a file that is
 * open for writing. Contents change through a window that can be written only,
 * so MADV_REMOVE needs one, and MADV_DONTNEED, which for shared memory is about
 * one process, drops nothing.
 *
 * Return: 1 to go on as for any VMA, 0 when all is done, -EINVAL when the
 * advice is not for windows, -EACCES, or as madvise(2) fails.
 */
int mshare_madvise(struct vm_area_struct *vma, struct vm_area_struct **prev,
		   unsigned long start, unsigned long end,
		   unsigned long behavior, bool write_locked)
{
	switch (behavior) {
	case MADV_DONTNEED:
		*prev = vma;
		return 0;
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return 1;
	case MADV_REMOVE:
		if (!(vma->vm_flags & VM_WRITE))
			return -EACCES;
		fallthrough;
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
		if (!(vma->vm_file->f_mode & FMODE_WRITE))
			return -EACCES;
		fallthrough;
	case MADV_WILLNEED:
		*prev = NULL;
		return madvise_region(vma, start, end, behavior, write_locked);
	default:
		return -EINVAL;
	}
}
