// SPDX-License-Identifier: GPL-2.0
/*
 * mshare windows: the VMAs through which processes see a region
 *
 * What can be done with a window as a VMA: it is made, forked, split, moved and
 * closed in whole units.
 */
#include <linux/mempolicy.h>
#include <linux/mman.h>

#include "internal.h"

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
	struct mshare_attachment *attachment = mshare_window_attachment(vma);
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
	struct mshare_attachment *attachment = mshare_window_attachment(vma);
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

/* A split cuts at multiples of the unit only: a link cannot be in two VMAs. */
static int window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return IS_ALIGNED(addr, MSHARE_UNIT) ? 0 : -EINVAL;
}

static void window_open(struct vm_area_struct *vma)
{
	struct mshare_attachment *attachment = mshare_window_attachment(vma);

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
	struct mshare_attachment *attachment = mshare_window_attachment(vma);

	if (!attachment)
		return;
	/* I2, I7: unlinked and flushed in the zap phase. */
	VM_WARN_ON_ONCE(mshare_window_linked(vma));
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
 * mshare_link_moved - link a window that mremap(2) has just made
 * @vma: the new window; the old one is still there
 * @address: where it, or what is moved of it, begins
 * @len: bytes
 *
 * Return: @len. What cannot be linked for lack of memory, a fault links.
 */
unsigned long mshare_link_moved(struct vm_area_struct *vma,
				unsigned long address, unsigned long len)
{
	mshare_link_range(vma, address, address + len);
	return len;
}
