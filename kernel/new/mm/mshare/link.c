// SPDX-License-Identifier: GPL-2.0
/*
 * mshare links: PUD entries of a process that point at PMD tables of a region
 *
 * Links are set under the window's VMA lock or the mmap_lock, for reading or
 * writing. They are cleared when no fault can be running in the window:
 * munmap(2) and mprotect(2) hold the mmap_lock and the VMA lock for writing, or
 * the VMA is already detached, and exit(2) has no other threads. The OOM reaper
 * and process_mrelease(2) are the exception. They clear links under the
 * mmap_lock for reading, so a fault may link again. The new link does no harm,
 * since the process stays attached.
 *
 * The page table lock of the process's mm protects the entry itself.
 */
#include <linux/mm.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "internal.h"

/*
 * The PMD table for @address of the host mm, NULL if there is none yet. No lock
 * is needed, because tables at this level and above are initialised before they
 * become visible, and stay while a process is attached (I1).
 */
static pmd_t *host_pmd_table(struct mm_struct *host, unsigned long address)
{
	pgd_t pgd = pgdp_get(pgd_offset(host, address));
	p4d_t *p4dp, p4d;
	pud_t pud;

	if (!pgd_present(pgd))
		return NULL;
	p4dp = p4d_offset(pgd_offset(host, address), address);
	p4d = p4dp_get(p4dp);
	if (!p4d_present(p4d))
		return NULL;
	pud = pudp_get(pud_offset(p4dp, address));
	if (!pud_present(pud) || WARN_ON_ONCE(pud_leaf(pud)))
		return NULL;
	return pud_pgtable(pud);
}

/**
 * mshare_find_pud - find the PUD entry for an address
 * @mm: mm of a process, or the host mm of a region
 * @address: the address
 * @end: end of the range to search
 * @next: out: first address beyond the entry, or beyond the missing table
 *
 * Faults in other VMAs may add tables meanwhile. No table is removed while the
 * mmap_lock of a process is held.
 *
 * Return: the entry, NULL if a table above it is missing.
 */
pud_t *mshare_find_pud(struct mm_struct *mm, unsigned long address,
		       unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;

	*next = pgd_addr_end(address, end);
	if (pgd_none(pgdp_get(pgd)))
		return NULL;
	p4d = p4d_offset(pgd, address);
	*next = p4d_addr_end(address, end);
	if (p4d_none(p4dp_get(p4d)))
		return NULL;
	*next = pud_addr_end(address, end);
	return pud_offset(p4d, address);
}

/*
 * Clear or replace a link. Return whether there was one, because the OOM
 * reaper, process_mrelease(2) and exit(2) can clear the links of a process at
 * the same time, all with the mmap_lock for reading.
 */
static bool change_link(struct mm_struct *mm, pud_t *pud, pud_t link)
{
	spinlock_t *ptl = pud_lock(mm, pud);
	bool linked = !pud_none(*pud);

	if (linked)
		set_pud(pud, link);
	spin_unlock(ptl);
	return linked;
}

/* Several threads may fault on the same link at once. */
static bool add_link(struct vm_area_struct *vma, pud_t *pud, pmd_t *table)
{
	spinlock_t *ptl = pud_lock(vma->vm_mm, pud);
	bool added = pud_none(*pud);

	if (added)
		set_pud(pud, arch_mshare_mk_link(table, vma->vm_flags));
	else
		VM_WARN_ON_ONCE(pud_pgtable(*pud) != table);
	spin_unlock(ptl);
	return added;
}

/**
 * mshare_link_unit - link one unit of a window
 * @vma: the window, of an attached process (I3)
 * @address: any address in the unit
 *
 * Does nothing if the region has no PMD table there yet, or if the link is
 * already set.
 *
 * Context: VMA lock of the window or mmap_lock held.
 * Return: 0 or -ENOMEM.
 */
int mshare_link_unit(struct vm_area_struct *vma, unsigned long address)
{
	struct mshare_region *region = mshare_window_region(vma);
	struct mm_struct *mm = vma->vm_mm;
	pmd_t *table = host_pmd_table(region->host,
				      mshare_host_address(vma, address));
	p4d_t *p4d;
	pud_t *pud;

	if (!table || !mshare_vma_linkable(vma))
		return 0;

	p4d = p4d_alloc(mm, pgd_offset(mm, address), address);
	if (!p4d)
		return -ENOMEM;
	pud = pud_alloc(mm, p4d, address);
	if (!pud)
		return -ENOMEM;
	/* The common case: a fault below an existing link. */
	if (likely(pud_present(pudp_get(pud))))
		return 0;

	if (add_link(vma, pud, table)) {
		mshare_count_link(region, 1);
		trace_mshare_link(region->id, address & MSHARE_UNIT_MASK,
				  vma->vm_flags);
	}
	return 0;
}

/**
 * mshare_link_range - link all units of a range that have tables
 * @vma: the window, of an attached process (I3)
 * @start: first address, unit-aligned
 * @end: end of the range, unit-aligned
 *
 * Context: mmap_lock held for writing.
 * Return: 0 or -ENOMEM; links that were set before the failure stay.
 */
int mshare_link_range(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end)
{
	unsigned long address;
	int err = 0;

	for (address = start; address < end && !err; address += MSHARE_UNIT) {
		err = mshare_link_unit(vma, address);
		cond_resched();
	}
	return err;
}

/*
 * Flush a whole unit, with leaves of all sizes and the paging-structure caches
 * of the levels above. Flush one unit for each call, because
 * tlb_flush_pte_range() takes its size as an unsigned int. Flush PTEs, because
 * the flush of a PUD range would invalidate one address in each GiB. Set
 * freed_tables to include lazy CPUs, since the tables may be gone when this
 * process does not refer to them any more.
 */
static void flush_unit(struct mmu_gather *tlb, unsigned long address)
{
	tlb_flush_pte_range(tlb, address, MSHARE_UNIT);
	tlb->freed_tables = 1;
}

/**
 * mshare_unlink_range - clear the links of a range of a window
 * @tlb: gathers the flush
 * @vma: the window
 * @start: first address
 * @end: end of the range
 *
 * Called by unmap_page_range(), which is in the zap phase of an unmap (I7).
 * The region is not touched.
 *
 * Each link is cleared, counted and flushed by one task. exit(2) may find a
 * link cleared by a task that has yet to flush. Such a task holds the mmap_lock
 * for reading until after its tlb_finish_mmu(), and exit_mmap() takes the
 * mmap_lock for writing before it drops the region (I2).
 */
void mshare_unlink_range(struct mmu_gather *tlb, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end)
{
	struct mshare_region *region;
	unsigned long address, next;
	pud_t *pud;

	/* Windows are unmapped in units: no part of a unit can be unlinked. */
	if (WARN_ON_ONCE(!IS_ALIGNED(start | end, MSHARE_UNIT)))
		return;

	for (address = start; address < end; address = next) {
		pud = mshare_find_pud(vma->vm_mm, address, end, &next);
		cond_resched();
		if (!pud || pud_none(pudp_get(pud)) ||
		    !change_link(vma->vm_mm, pud, __pud(0)))
			continue;
		flush_unit(tlb, address);
		region = mshare_window_region(vma);
		mshare_count_link(region, -1);
		trace_mshare_unlink(region->id, address);
	}
}

/**
 * mshare_change_protection - give the links of a range the VMA's permission
 * @tlb: gathers the flush
 * @vma: the window, with its new vm_flags
 * @start: first address
 * @end: end of the range
 * @cp_flags: MM_CP_*
 *
 * Called by change_protection() for mprotect(2). Calls for NUMA hinting and
 * userfaultfd do nothing, because they would edit leaves (I5).
 *
 * Return: 0 pages changed.
 */
long mshare_change_protection(struct mmu_gather *tlb,
			      struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long cp_flags)
{
	unsigned long address, next;
	pud_t *pud;

	if (cp_flags & (MM_CP_PROT_NUMA | MM_CP_UFFD_WP_ALL))
		return 0;
	if (WARN_ON_ONCE(!IS_ALIGNED(start | end, MSHARE_UNIT)))
		return 0;

	if (!mshare_vma_linkable(vma)) {
		mshare_unlink_range(tlb, vma, start, end);
		return 0;
	}

	for (address = start; address < end; address = next) {
		pud = mshare_find_pud(vma->vm_mm, address, end, &next);
		cond_resched();
		if (!pud || pud_none(pudp_get(pud)))
			continue;
		change_link(vma->vm_mm, pud,
			    arch_mshare_mk_link(pud_pgtable(*pud),
						vma->vm_flags));
		flush_unit(tlb, address);
	}

	/* After PROT_NONE. On -ENOMEM a later fault sets the missing links. */
	mshare_link_range(vma, start, end);
	return 0;
}

/* Whether any link of the window is left; for assertions. */
bool mshare_window_linked(struct vm_area_struct *vma)
{
	unsigned long address, next;
	pud_t *pud;

	for (address = vma->vm_start; address < vma->vm_end; address = next) {
		pud = mshare_find_pud(vma->vm_mm, address, vma->vm_end, &next);
		cond_resched();
		if (pud && !pud_none(pudp_get(pud)))
			return true;
	}
	return false;
}
