// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mappings: what is mapped in a region, changed for everybody at once
 *
 * The mappings are VMAs of the host mm. They are made, unmapped and protected
 * by the code that does so for a process, with the mmap_lock of the
 * host mm instead of a process's. Entries that this clears or tightens are
 * flushed in the attached processes by the flush of the host mm (I4), before
 * the lock is dropped.
 *
 * All this happens for whoever opened the region's file for writing. What a
 * process may do with its window is its window's business and not looked at.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/pkeys.h>
#include <linux/sched/mm.h>
#include <linux/secretmem.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "../internal.h"
#include "internal.h"

/* Memory of a private object that nobody can reach once it is unmapped. */
struct mshare_hole {
	struct list_head node;
	struct file *file;
	loff_t offset;
	loff_t size;
};

/* With all of it unmapped, the last reference frees it. */
static bool maps_all(struct vm_area_struct *vma)
{
	return !vma->vm_pgoff && vma->vm_end - vma->vm_start >=
				 i_size_read(file_inode(vma->vm_file));
}

/*
 * Note what memory is out of reach when a range has been unmapped: for
 * mshare_free_unmapped(), also after an error.
 */
static int gather_unmapped(struct mm_struct *host, unsigned long start,
			   unsigned long end, struct list_head *list)
{
	VMA_ITERATOR(vmi, host, start);
	struct vm_area_struct *vma;
	struct mshare_hole *hole;
	unsigned long from;

	for_each_vma_range(vmi, vma, end) {
		from = max(start, vma->vm_start);
		if (!(vma->vm_flags & VM_MSHARE_OWN) ||
		    (maps_all(vma) && start <= vma->vm_start &&
		     end >= vma->vm_end))
			continue;
		hole = kmalloc(sizeof(*hole), GFP_KERNEL);
		if (!hole)
			return -ENOMEM;
		hole->file = get_file(vma->vm_file);
		hole->offset = (loff_t)linear_page_index(vma, from) <<
			       PAGE_SHIFT;
		hole->size = min(end, vma->vm_end) - from;
		list_add_tail(&hole->node, list);
	}
	return 0;
}

static void free_hole(struct mshare_hole *hole)
{
	list_del(&hole->node);
	fput(hole->file);
	kfree(hole);
}

/* The range is still mapped. */
static void keep_unmapped(struct list_head *unmapped)
{
	struct mshare_hole *hole, *next;

	list_for_each_entry_safe(hole, next, unmapped, node)
		free_hole(hole);
}

/**
 * mshare_free_unmapped - free memory that is out of reach
 * @unmapped: list from mshare_map(); empty afterwards
 *
 * Context: may sleep; without region->lock, which is taken with the mmap_lock
 * of a process held, while this takes inode locks.
 */
void mshare_free_unmapped(struct list_head *unmapped)
{
	struct mshare_hole *hole, *next;

	list_for_each_entry_safe(hole, next, unmapped, node) {
		vfs_fallocate(hole->file, FALLOC_FL_PUNCH_HOLE |
			      FALLOC_FL_KEEP_SIZE, hole->offset, hole->size);
		free_hole(hole);
	}
}

static int unmap_host(struct mshare_region *region, unsigned long start,
		      unsigned long end)
{
	VMA_ITERATOR(vmi, region->host, start);
	struct vm_area_struct *vma = vma_find(&vmi, end);
	long reserved;
	int err;

	if (!vma)
		return 0;
	reserved = mshare_reserve_replace(region, start, end, 0);
	if (reserved < 0)
		return reserved;
	/* do_vmi_munmap() compares with the TASK_SIZE of the caller. */
	err = do_vmi_align_munmap(&vmi, vma, region->host, start, end, NULL,
				  false);
	mshare_settle(region, reserved);
	return err;
}

static int map_object(struct mm_struct *host,
		      const struct mshare_map_args *args,
		      unsigned long address, unsigned long size)
{
	/* With MAP_SHARED_VALIDATE mmap(2) knows only older flags. */
	unsigned long flags = (args->flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	unsigned long mapped, populate;

	mapped = do_mmap_in(host, args->file, address, size, args->prot,
			    flags, args->private_object ? VM_MSHARE_OWN : 0,
			    args->pgoff, &populate, NULL);
	return IS_ERR_VALUE(mapped) ? mapped : 0;
}

static int check_mapped(struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP | VM_IO) ||
	    vma_is_secretmem(vma))
		return -ENODEV;
	return 0;
}

/*
 * Whether an object suits a region: memory without struct pages cannot be taken
 * away from attached processes by the rules for pages, and secret memory is
 * meant for one process. The object's mmap method shows it: try in an mm of its
 * own, which no window reaches, before anything has made room for the object.
 */
static int try_object(struct mshare_region *region,
		      const struct mshare_map_args *args)
{
	struct mm_struct *scratch;
	int err;

	if (args->private_object || shmem_mapping(args->file->f_mapping) ||
	    is_file_hugepages(args->file))
		return 0;
	scratch = mshare_alloc_host();
	if (!scratch)
		return -ENOMEM;
	/* For do_mmap_in(): nothing here is current->mm's. */
	rcu_assign_pointer(scratch->mshare_region, region);
	mmap_write_lock(scratch);
	err = map_object(scratch, args, MSHARE_HOST_BASE, PAGE_SIZE) ?:
	      check_mapped(vma_lookup(scratch, MSHARE_HOST_BASE));
	mmap_write_unlock(scratch);
	RCU_INIT_POINTER(scratch->mshare_region, NULL);
	mmput(scratch);
	return err;
}

static int map_host(struct mshare_region *region,
		    const struct mshare_map_args *args)
{
	unsigned long address = MSHARE_HOST_BASE + args->offset;
	struct mm_struct *host = region->host;
	long reserved;
	int err;

	if (args->flags & MAP_FIXED_NOREPLACE &&
	    find_vma_intersection(host, address, address + args->size))
		return -EEXIST;
	reserved = mshare_reserve_replace(region, address,
					  address + args->size, 1);
	if (reserved < 0)
		return reserved;
	err = map_object(host, args, address, args->size);
	mshare_settle(region, reserved);
	return err;
}

static int charge_map_locked(struct mshare_region *region, u64 size,
			     unsigned long flags)
{
	if (!(flags & MAP_LOCKED))
		return 0;
	if (!can_do_mlock())
		return -EPERM;
	return mshare_charge_locked(region, size >> PAGE_SHIFT) ? -EAGAIN : 0;
}

/**
 * mshare_map - map an object into a region
 * @region: with region->lock held
 * @args: what and where; the caller has asked security modules
 *
 * Nothing is populated. Whatever is returned, the caller has to pass
 * args->unmapped to mshare_free_unmapped() when it has dropped region->lock.
 *
 * Context: may be called under the mmap_lock of a process.
 * Return: 0, or as mmap(2) fails: -EACCES, -EAGAIN, -EEXIST, -ENODEV, -ENOMEM,
 * -EOVERFLOW, -EPERM ..., -EINTR when the caller is being killed, -ENOSPC when
 * the limit leaves no room for another mapping.
 */
int mshare_map(struct mshare_region *region, struct mshare_map_args *args)
{
	unsigned long start = MSHARE_HOST_BASE + args->offset;
	unsigned long end = start + args->size;
	struct mm_struct *host = region->host;
	int err;

	lockdep_assert_held(&region->lock);

	INIT_LIST_HEAD(&args->unmapped);
	err = try_object(region, args);
	if (err)
		return err;
	if (mmap_write_lock_killable(host))
		return -EINTR;
	/* The order of errors is that of mmap(2). */
	err = charge_map_locked(region, args->size, args->flags) ?:
	      gather_unmapped(host, start, end, &args->unmapped) ?:
	      map_host(region, args);
	mshare_settle_locked(region);
	/*
	 * On failure the old mappings are normally still in place: keep their
	 * memory. If the range is empty, unmapping could not be undone, and the
	 * memory must be freed.
	 */
	if (err && find_vma_intersection(host, start, end))
		keep_unmapped(&args->unmapped);
	mmap_write_unlock(host);

	trace_mshare_map(region->id, args->offset, args->size, args->prot, err);
	return err;
}

/**
 * mshare_unmap - unmap a range of a region
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 *
 * Memory of the region's own objects is freed where it was mapped: munmap(2)
 * would leave it to the rest of the mapping, from where nobody can reach it.
 *
 * Context: may sleep.
 * Return: 0, -EINTR, -ENOMEM, -EINVAL for a part of a huge page of hugetlb,
 * -ENOSPC when the middle of a mapping is to be unmapped and the limit leaves no
 * room for another. Nothing has been unmapped when it fails.
 */
int mshare_unmap(struct mshare_region *region, u64 offset, u64 size)
{
	struct mm_struct *host = region->host;
	unsigned long start = MSHARE_HOST_BASE + offset;
	LIST_HEAD(unmapped);
	int err;

	if (mmap_write_lock_killable(host))
		return -EINTR;
	err = gather_unmapped(host, start, start + size, &unmapped);
	if (!err)
		err = unmap_host(region, start, start + size);
	mshare_settle_locked(region);
	mmap_write_unlock(host);
	if (err)
		keep_unmapped(&unmapped);
	else
		mshare_free_unmapped(&unmapped);
	/* A PTE page can be there for what is left on both sides. */
	mshare_free_empty(region, offset, size);
	mshare_prune(region);

	trace_mshare_unmap(region->id, offset, size, 0, err);
	return err;
}

static unsigned long protected_flags(struct vm_area_struct *vma,
				     unsigned long prot)
{
	return calc_vm_prot_bits(prot, 0) |
	       (vma->vm_flags & ~(VM_ACCESS_FLAGS | VM_FLAGS_CLEAR));
}

/* All that can be said against a change of protection before it begins. */
static int may_protect_vma(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end, unsigned long prot)
{
	unsigned long newflags = protected_flags(vma, prot);
	int err = 0;

	/* newflags >> 4 shifts VM_MAY* in place of VM_* */
	if ((newflags & ~(newflags >> 4)) & VM_ACCESS_FLAGS)
		return -EACCES;
	if (map_deny_write_exec(vma->vm_flags, newflags))
		return -EACCES;
	if (!arch_validate_flags(newflags))
		return -EINVAL;
	if (vma->vm_ops && vma->vm_ops->may_split && start > vma->vm_start)
		err = vma->vm_ops->may_split(vma, start);
	if (!err && vma->vm_ops && vma->vm_ops->may_split && end < vma->vm_end)
		err = vma->vm_ops->may_split(vma, end);
	if (!err && vma->vm_ops && vma->vm_ops->mprotect)
		err = vma->vm_ops->mprotect(vma, max(start, vma->vm_start),
					    min(end, vma->vm_end), newflags);
	return err ?: security_file_mprotect(vma, prot, prot);
}

static int may_protect(struct mm_struct *host, unsigned long start,
		       unsigned long end, unsigned long prot)
{
	VMA_ITERATOR(vmi, host, start);
	unsigned long address = start;
	struct vm_area_struct *vma;
	int err;

	for_each_vma_range(vmi, vma, end) {
		if (vma->vm_start > address)
			return -ENOMEM;
		err = may_protect_vma(vma, start, end, prot);
		if (err)
			return err;
		address = vma->vm_end;
	}
	return address < end ? -ENOMEM : 0;
}

static int protect_host(struct mm_struct *host, unsigned long start,
			unsigned long end, unsigned long prot)
{
	VMA_ITERATOR(vmi, host, start);
	struct vm_area_struct *vma, *prev;
	unsigned long at = start;
	struct mmu_gather tlb;
	int err = 0;

	/* may_protect() has seen that there is one. */
	vma = vma_find(&vmi, end);
	prev = vma_prev(&vmi);
	if (start > vma->vm_start)
		prev = vma;

	tlb_gather_mmu(&tlb, host);
	for_each_vma_range(vmi, vma, end) {
		err = mprotect_fixup(&vmi, &tlb, vma, &prev, at,
				     min(end, vma->vm_end),
				     protected_flags(vma, prot));
		if (err)
			break;
		/* Further than it was if it has been merged with the next. */
		at = vma_iter_end(&vmi);
	}
	/* One flush for all of it, of everybody. */
	tlb_finish_mmu(&tlb);
	return err;
}

/**
 * mshare_protect - change the protection of a range of a region
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @prot: PROT_READ, PROT_WRITE, PROT_EXEC
 *
 * When this returns, no process on any CPU can use the old protection.
 *
 * Context: may sleep.
 * Return: 0; -EINTR; -ENOMEM when not all of it is mapped; -EACCES when the
 * mapped object or a security module does not permit it; -EINVAL for a part of
 * a huge page of hugetlb; -ENOSPC when a mapping has to be split and the limit
 * leaves no room for another: nothing has been changed then. -ENOMEM for want
 * of kernel memory: mappings before the one that could not be split or merged
 * have their new protection, as with mprotect(2).
 */
int mshare_protect(struct mshare_region *region, u64 offset, u64 size,
		   unsigned long prot)
{
	struct mm_struct *host = region->host;
	unsigned long start = MSHARE_HOST_BASE + offset;
	long reserved;
	int err;

	if (mmap_write_lock_killable(host))
		return -EINTR;
	err = may_protect(host, start, start + size, prot);
	reserved = err ?: mshare_reserve_split(region, start, start + size);
	if (reserved >= 0) {
		err = protect_host(host, start, start + size, prot);
		mshare_settle(region, reserved);
	} else {
		err = reserved;
	}
	mmap_write_unlock(host);

	trace_mshare_protect(region->id, offset, size, prot, err);
	return err;
}
