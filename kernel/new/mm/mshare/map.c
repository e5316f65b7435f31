// SPDX-License-Identifier: GPL-2.0
/*
 * mshare mappings: what is mapped in a region, changed for everybody at once
 *
 * The mappings are VMAs of the host mm. They are made, unmapped, protected and
 * advised by the code that does so for a process, with the mmap_lock of the
 * host mm instead of a process's. Entries that this clears or tightens are
 * flushed in the attached processes by the flush of the host mm (I4), before
 * the lock is dropped.
 *
 * All this happens for whoever opened the region's file for writing. What a
 * process may do with its window is its window's business and not looked at.
 */
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/pkeys.h>
#include <linux/secretmem.h>
#include <linux/security.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "../internal.h"
#include "internal.h"

static int unmap_host(struct mm_struct *host, unsigned long start,
		      unsigned long end)
{
	VMA_ITERATOR(vmi, host, start);
	struct vm_area_struct *vma = vma_find(&vmi, end);

	if (!vma)
		return 0;
	/* do_vmi_munmap() compares with the TASK_SIZE of the caller. */
	return do_vmi_align_munmap(&vmi, vma, host, start, end, NULL, false);
}

/*
 * Whether what has been mapped suits a region. Memory without struct pages
 * cannot be taken away from attached processes by the rules for pages, and
 * secret memory is meant for one process. Nobody can have used it: the VMA is
 * locked until the mmap_lock is dropped.
 */
static bool object_suits(struct mm_struct *host, unsigned long address)
{
	struct vm_area_struct *vma = vma_lookup(host, address);

	return !(vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP | VM_IO)) &&
	       !vma_is_secretmem(vma);
}

static int map_host(struct mm_struct *host, struct file *file,
		    unsigned long address, unsigned long size, pgoff_t pgoff,
		    unsigned long prot, unsigned long flags)
{
	unsigned long mapped, populate;

	if (flags & MAP_FIXED_NOREPLACE &&
	    find_vma_intersection(host, address, address + size))
		return -EEXIST;
	/* With MAP_SHARED_VALIDATE mmap(2) knows only older flags. */
	flags &= ~MAP_FIXED_NOREPLACE;

	mapped = do_mmap_in(host, file, address, size, prot, flags | MAP_FIXED,
			    0, pgoff, &populate, NULL);
	if (IS_ERR_VALUE(mapped))
		return mapped;
	if (!object_suits(host, address)) {
		WARN_ON_ONCE(unmap_host(host, address, address + size));
		return -ENODEV;
	}
	return 0;
}

/**
 * mshare_map - map an object into a region
 * @region: with region->lock held
 * @file: the object
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @pgoff: where in the object, in pages
 * @prot: PROT_*
 * @flags: MAP_*, as for mmap(2). With MAP_FIXED_NOREPLACE nothing may be
 *	mapped there; without it, what is gets unmapped
 *
 * The caller has asked security modules. Nothing is populated.
 *
 * Context: may be called under the mmap_lock of a process.
 * Return: 0, or as mmap(2) fails: -EACCES, -EAGAIN, -EEXIST, -ENODEV, -ENOMEM,
 * -EOVERFLOW, -EPERM ..., -EINTR when the caller is being killed.
 */
int mshare_map(struct mshare_region *region, struct file *file, u64 offset,
	       u64 size, pgoff_t pgoff, unsigned long prot,
	       unsigned long flags)
{
	struct mm_struct *host = region->host;
	int err = 0;

	lockdep_assert_held(&region->lock);

	if (mmap_write_lock_killable(host))
		return -EINTR;
	/* The same errors as of mmap(2). */
	if (flags & MAP_LOCKED && !can_do_mlock())
		err = -EPERM;
	else if (flags & MAP_LOCKED &&
		 mshare_charge_locked(region, size >> PAGE_SHIFT))
		err = -EAGAIN;
	if (!err)
		err = map_host(host, file, MSHARE_HOST_BASE + offset, size,
			       pgoff, prot, flags);
	mshare_settle_locked(region);
	mmap_write_unlock(host);

	trace_mshare_map(region->id, offset, size, prot, err);
	return err;
}

/**
 * mshare_unmap - unmap a range of a region
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 *
 * Context: may sleep.
 * Return: 0, -EINTR, -ENOMEM, -EINVAL for a part of a huge page of hugetlb.
 * Nothing has been unmapped when it fails.
 */
int mshare_unmap(struct mshare_region *region, u64 offset, u64 size)
{
	struct mm_struct *host = region->host;
	unsigned long start = MSHARE_HOST_BASE + offset;
	int err;

	if (mmap_write_lock_killable(host))
		return -EINTR;
	err = unmap_host(host, start, start + size);
	mshare_settle_locked(region);
	mmap_write_unlock(host);

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
 * a huge page of hugetlb: nothing has been changed then. -ENOMEM for want of
 * kernel memory: mappings before the one that could not be split or merged
 * have their new protection, as with mprotect(2).
 */
int mshare_protect(struct mshare_region *region, u64 offset, u64 size,
		   unsigned long prot)
{
	struct mm_struct *host = region->host;
	unsigned long start = MSHARE_HOST_BASE + offset;
	int err;

	if (mmap_write_lock_killable(host))
		return -EINTR;
	err = may_protect(host, start, start + size, prot);
	if (!err)
		err = protect_host(host, start, start + size, prot);
	mmap_write_unlock(host);

	trace_mshare_protect(region->id, offset, size, prot, err);
	return err;
}

/* Advice about one process (fork) or about memory that is not shared (free). */
static bool advice_makes_sense(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_REMOVE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_COLLAPSE:
		return true;
	default:
		return false;
	}
}

/**
 * mshare_advise - madvise(2) for a range of a region
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @advice: MADV_*
 *
 * Context: may sleep.
 * Return: as madvise(2): 0, -EINVAL for advice that makes no sense here,
 * -ENOMEM when part of it is not mapped, ...
 */
int mshare_advise(struct mshare_region *region, u64 offset, u64 size,
		  int advice)
{
	if (!advice_makes_sense(advice))
		return -EINVAL;
	return do_madvise(region->host, MSHARE_HOST_BASE + offset, size,
			  advice);
}
