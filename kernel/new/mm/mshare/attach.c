// SPDX-License-Identifier: GPL-2.0
/*
 * mshare attachments: which processes have windows of a region
 *
 * A process with windows of a region is attached to the region by one struct
 * mshare_attachment. The attachment counts the windows, holds a reference to
 * the region, and lets a flush find the process. It is on the list of the
 * process from before the first link is set until after the last link is
 * cleared and flushed (I3), because mmap(2) and fork(2) attach before they
 * link, and munmap(2) and exit(2) call ->close(), which detaches, after
 * tlb_finish_mmu().
 */
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * mshare_find_attachment - find the attachment of a process to a region
 * @mm: mm of the process
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

void mshare_tell_exclusive(void)
{
	pr_info_ratelimited("mshare: %s[%d]: a process cannot have both msharefs windows and an MMU notifier, such as KVM\n",
			    current->comm, task_pid_nr(current));
}

/**
 * mshare_attach - attach a process to a region for one window
 * @region: the region, kept by the caller until this returns
 * @mm: mm of the process, with mmap_lock held for writing, so that no other
 *	task attaches the process
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
	 * Only notifiers of the host mm learn of changes of region memory.
	 * Notifiers of @mm would keep translations of pages that are gone.
	 */
	if (mm_has_notifiers(mm)) {
		mshare_tell_exclusive();
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
	mshare_region_get(region);
	attachment->region = region;
	attachment->windows = 1;
	raw_spin_lock_init(&attachment->lock);
	/* No CPU has an older translation, since there is no link yet. */
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

/* In process context, because a softirq must not do the last mmdrop(). */
static void free_attachment_work(struct work_struct *work)
{
	struct mshare_attachment *attachment =
		container_of(to_rcu_work(work), struct mshare_attachment,
			     free_work);

	mmdrop(attachment->mm);
	kfree(attachment);
}

/**
 * mshare_detach - undo mshare_attach() for one window
 * @attachment: attachment of a window whose links are cleared and flushed
 *
 * The last window of the process drops the reference to the region (I2).
 *
 * Context: may sleep.
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
	/* A flush may still be looking at the attachment and its mm. */
	INIT_RCU_WORK(&attachment->free_work, free_attachment_work);
	queue_rcu_work(system_wq, &attachment->free_work);
	mshare_region_put(region);
}

/**
 * mshare_mm_has_windows - whether a process has a window
 * @mm: with mmap_lock held
 *
 * If so, mmu_notifier_register() must fail.
 */
bool mshare_mm_has_windows(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	for_each_vma(vmi, vma) {
		if (vma_is_mshare(vma)) {
			mshare_tell_exclusive();
			return true;
		}
	}
	return false;
}
