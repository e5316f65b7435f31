// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mappings: map, unmap and protect objects in a region
 *
 * The mappings are VMAs of the host mm. The code behind mmap(2), munmap(2) and
 * mprotect(2) changes them, with the mmap_lock of the host mm instead of a
 * process's. If that code clears or tightens entries, its flush of the host mm
 * flushes the attached processes (I4) before the lock is dropped.
 *
 * The caller has opened the region's file for writing. The protection of its
 * windows is not checked, because it limits only accesses through the window.
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

/* Memory of a private object that is unreachable once it is unmapped. */
struct mshare_hole {
	struct list_head node;
	struct file *file;
	loff_t offset;
	loff_t size;
};

/* Unmapping the whole object frees it with the last reference. */
static bool maps_all(struct vm_area_struct *vma)
{
	return !vma->vm_pgoff && vma->vm_end - vma->vm_start >=
				 i_size_read(file_inode(vma->vm_file));
}

/*
 * List the memory that becomes unreachable when a range is unmapped. @list goes
 * to mshare_free_unmapped() or keep_unmapped(), also after an error.
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
		/* VM_DONTCOPY, which has no other use in a host mm. */
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

/* Free the list but not the memory: the range is still mapped. */
static void keep_unmapped(struct list_head *unmapped)
{
	struct mshare_hole *hole, *next;

	list_for_each_entry_safe(hole, next, unmapped, node)
		free_hole(hole);
}

/**
 * mshare_free_unmapped - free memory that has become unreachable
 * @unmapped: list from mshare_map(); empty afterwards
 *
 * Context: may sleep; without region->lock, because that lock is taken inside
 * the mmap_lock of a process, and this function takes inode locks.
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
	/* Not do_vmi_munmap(), which checks against the caller's TASK_SIZE. */
	err = do_vmi_align_munmap(&vmi, vma, region->host, start, end, NULL,
				  false);
	mshare_settle(region, reserved);
	return err;
}

static int map_object(struct mm_struct *host,
		      const struct mshare_map_args *args,
		      unsigned long address, unsigned long size)
{
	/* MAP_SHARED_VALIDATE does not accept MAP_FIXED_NOREPLACE. */
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
 * Check that an object suits a region. Memory without struct pages is refused
 * because the rules for pages cannot revoke it from attached processes, and
 * secret memory because it is meant for one process. Only the object's mmap
 * method tells, so try the object in a scratch mm that no window shows, before
 * old mappings are unmapped to make room.
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
	/* Lets do_mmap_in() treat the mm as a host mm, not as current->mm. */
	rcu_assign_pointer(scratch->mshare_region, region);
	mmap_write_lock(scratch);
	err = map_object(scratch, args, MSHARE_HOST_BASE, PAGE_SIZE) ?:
	      check_mapped(vma_lookup(scratch, MSHARE_HOST_BASE));
	mmap_write_unlock(scratch);
	RCU_INIT_POINTER(scratch->mshare_region, NULL);
	mshare_free_scratch(scratch);
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
 * @args: object and range; the caller has asked security modules
 *
 * No memory is populated. After success and failure alike, the caller drops
 * region->lock and passes args->unmapped to mshare_free_unmapped().
 *
 * Context: may be called under the mmap_lock of a process.
 * Return: 0, or as mmap(2) fails: -EACCES, -EAGAIN, -EEXIST, -ENODEV, -ENOMEM,
 * -EOVERFLOW, -EPERM ..., -EINTR if the caller is being killed, -ENOSPC if the
 * limit leaves no room for another mapping.
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
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 *
 * Memory of the region's private objects in the range is freed. munmap(2) would
 * keep this memory, although it is unreachable, until the rest of the object is
 * unmapped.
 *
 * Context: may sleep.
 * Return: 0, -EINTR, -ENOMEM, -EINVAL for a part of a huge page of hugetlb,
 * -ENOSPC if the middle of a mapping would be unmapped and the limit leaves no
 * room for another. On failure nothing has been unmapped.
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
	/* Mappings on both sides may have kept a PTE table, now empty. */
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

/* All reasons to refuse a change of protection, before the change begins. */
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

	/* may_protect() has seen that there is a VMA. */
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
		/* Beyond the old end if the VMA was merged with the next. */
		at = vma_iter_end(&vmi);
	}
	/* One flush of all attached processes for the whole range. */
	tlb_finish_mmu(&tlb);
	return err;
}

/**
 * mshare_protect - change the protection of a range of a region
 * @region: the region
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @prot: PROT_READ, PROT_WRITE, PROT_EXEC
 *
 * When this returns, no process on any CPU can use the old protection.
 *
 * Context: may sleep.
 * Return: 0; -EINTR; -ENOMEM if part of the range is not mapped; -EACCES if the
 * mapped object or a security module forbids @prot; -EINVAL for a part of a
 * huge page of hugetlb; -ENOSPC if a mapping has to be split and the limit
 * leaves no room for another: nothing has changed then. -ENOMEM also if kernel
 * memory runs out: mappings before the one that could not be split or merged
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
