// SPDX-License-Identifier: GPL-2.0
/*
 * mshare windows: the VMAs through which processes see a region
 *
 * Windows are made, forked, split, moved and closed in whole units.
 */
#include <linux/mempolicy.h>
#include <linux/mman.h>

#include "internal.h"

static unsigned long window_delta(struct vm_area_struct *vma)
{
	return vma->vm_start - mshare_host_address(vma, vma->vm_start);
}

/*
 * Note the place of a window before the window is linked. All parts of a window
 * that has been split are in the same place.
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
	 * A window counted in @others may have the same delta as one in @shown.
	 * If the former is closed first, it takes the count in @shown. The
	 * latter then counts in @others, so that everything is flushed.
	 */
	if (i < MSHARE_SHOWN)
		attachment->shown[i].windows--;
	else if (!WARN_ON_ONCE(!attachment->others))
		attachment->others--;
	raw_spin_unlock_irqrestore(&attachment->lock, flags);
}

/* Windows split at multiples of the unit, as no link can be in two VMAs. */
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

	/* A split VMA has links already; mremap(2) sets them later. */
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
 * Protection keys are in the leaves, which other processes share. The key that
 * mprotect(2) picks for PROT_EXEC alone is harmless because such a window has
 * no links.
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

/* Not reached, because handle_mm_fault() calls mshare_fault() instead. */
static vm_fault_t window_fault(struct vm_fault *vmf)
{
	WARN_ON_ONCE(1);
	return VM_FAULT_SIGBUS;
}

#ifdef CONFIG_NUMA
/*
 * The policy of region memory belongs to the mapped objects. mbind(2) of a
 * range within one window has set it there, see mshare_translate_range().
 */
static int window_set_policy(struct vm_area_struct *vma, struct mempolicy *new)
{
	return -EINVAL;
}

/* The policy of a memory object: files on disks, and hugetlb, have none. */
static struct mempolicy *window_get_policy(struct vm_area_struct *vma,
					   unsigned long address, pgoff_t *ilx)
{
	struct mm_struct *host = mshare_window_region(vma)->host;
	struct mempolicy *policy = NULL;
	struct vm_area_struct *host_vma;

	address = mshare_host_address(vma, address);
	/* A task that is being killed does not use the result. */
	if (mmap_read_lock_killable(host))
		return NULL;
	host_vma = vma_lookup(host, address);
	/* Only an object's policy has a reference count and can be returned. */
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
 * @vma: the VMA that mmap(2) is setting up; vm_pgoff is its offset in the
 *	 region. Whole units within the region
 * @attachment: from mshare_attach(); owned by the window from now on
 *
 * All units that have page tables are linked, so that the process reaches
 * resident memory without a fault.
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

	/* On -ENOMEM a later fault sets the missing links. */
	mshare_link_range(vma, vma->vm_start, vma->vm_end);
}

/**
 * mshare_fork_window - give a child the window of its parent
 * @dst: the child's VMA
 * @src: the parent's VMA, write-locked
 *
 * Called by copy_page_range(). On failure the child's exit_mmap() cleans up.
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
 * mshare_may_mremap - whether mremap(2) can move or resize a window
 * @address: start of the window, or of the part to move
 * @old_len: old length, page-aligned
 * @new_len: new length, page-aligned
 * @flags: MREMAP_*
 * @new_address: target with MREMAP_FIXED
 *
 * Whole units can be moved, and cut off at the end, which is unmapping. A
 * window cannot grow, since mmap(2) can map all of a region.
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
 * @address: start of the moved range in @vma
 * @len: bytes
 *
 * Return: @len. On -ENOMEM a later fault sets the missing links.
 */
unsigned long mshare_link_moved(struct vm_area_struct *vma,
				unsigned long address, unsigned long len)
{
	mshare_link_range(vma, address, address + len);
	return len;
}
