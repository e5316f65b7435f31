// SPDX-License-Identifier: GPL-2.0
/*
 * mshare memory failure: find the processes that have lost a page of a region
 *
 * memory-failure.c finds a page in the host mm. It has to signal the processes
 * that see the page through a window, with their own address.
 */
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>

#include "internal.h"

/* See mshare_attached(). */
bool __mshare_attached(struct mm_struct *host, struct task_struct *task)
{
	struct mshare_region *region = mshare_host_region(host);
	bool found = false;

	/* task_lock() keeps task->mm. */
	task_lock(task);
	rcu_read_lock();
	if (task->mm)
		found = mshare_find_attachment(task->mm, region);
	rcu_read_unlock();
	task_unlock(task);
	return found;
}

/* The address in window @vma of @address in @host; -EFAULT if there is none. */
static unsigned long shown_at(struct vm_area_struct *vma,
			      struct mm_struct *host, unsigned long address)
{
	struct mshare_attachment *attachment = mshare_window_attachment(vma);

	if (!attachment || attachment->region->host != host ||
	    address < mshare_host_address(vma, vma->vm_start) ||
	    address >= mshare_host_address(vma, vma->vm_end))
		return -EFAULT;
	return mshare_window_address(vma, address);
}

/**
 * mshare_task_address - where a task sees an address of a host mm
 * @task: the task
 * @host: the host mm
 * @address: address in @host
 *
 * For memory-failure.c, which reports the address of the lost page.
 *
 * Context: any that may take spinlocks; a window that is being made or unmapped
 * may be missed.
 * Return: the address in the task's first window that shows @address, -EFAULT
 * if there is none.
 */
unsigned long mshare_task_address(struct task_struct *task,
				  struct mm_struct *host, unsigned long address)
{
	unsigned long found = -EFAULT;
	struct vm_area_struct *vma;
	struct mm_struct *mm;

	/* task_lock() keeps task->mm; RCU keeps VMAs and attachments. */
	task_lock(task);
	rcu_read_lock();
	mm = task->mm;
	if (mm) {
		VMA_ITERATOR(vmi, mm, 0);

		for_each_vma(vmi, vma) {
			/* vma_start_read() fails while the VMA is changed. */
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
