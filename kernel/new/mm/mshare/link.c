// SPDX-License-Identifier: GPL-2.0
/*
 * mshare links: PUD entries of a process that point at PMD pages of a region
 *
 * Links are set under the window's VMA lock or the mmap_lock, for reading or
 * writing, and cleared when no fault can be running in the window: munmap(2)
 * and mprotect(2) hold the mmap_lock and the VMA lock for writing, or the VMA
 * is already detached, and exit(2) has no other threads. The OOM reaper and
 * process_mrelease(2) are the exception: they clear under the mmap_lock for
 * reading, and a fault may link again, which does no harm since the process
 * stays on the list.
 *
 * The page table lock of the process's mm protects the entry itself.
 */
#include <linux/mm.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "internal.h"

/*
 * The PMD page for @address of the host mm, NULL when there is none yet.
 * No lock: tables at this level and above, once there, stay while a process is
 * attached (I1), and are initialised before they become visible.
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
 * mshare_find_pud - the PUD entry for an address
 * @mm: of a process, or the host mm of a region
 * @address: the address
 * @end: after the last that is of interest
 * @next: out: first address that the entry is not for, or after what is missing
 *
 * Faults in other VMAs may be adding tables; none goes while the mmap_lock of a
 * process is held.
 *
 * Return: the entry, NULL when the tables above it are not there.
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
 * Clear or replace a link. Return whether there was one: the OOM reaper,
 * process_mrelease(2) and exit(2) clear the links of a process at the same time,
 * all with the mmap_lock for reading.
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

/* Faults of several threads may be here at once, for the same link. */
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
 * @address: anywhere in the unit
 *
 * Nothing happens where the region has no tables yet, or where the link is
 * there already.
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
	/* The common case: a fault that has nothing to do with the link. */
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
 * @end: after the last, unit-aligned
 *
 * Context: mmap_lock held for writing.
 * Return: 0 or -ENOMEM; what was linked until then stays.
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
 * The whole unit is to be flushed, leaves of all sizes and what CPUs remember
 * of the levels above. One unit at a time: tlb_flush_pte_range() takes its
 * size as an unsigned int. As PTEs: the flush of a PUD range would invalidate
 * one address in each GiB. freed_tables: lazy CPUs too, since the tables may
 * be gone when this process does not refer to them any more.
 */
static void flush_unit(struct mmu_gather *tlb, unsigned long address)
{
	tlb_flush_pte_range(tlb, address, MSHARE_UNIT);
	tlb->freed_tables = 1;
}

/**
 * mshare_unlink_range - take a range of a window away from its process
 * @tlb: where the flush is gathered
 * @vma: the window
 * @start: first address
 * @end: after the last
 *
 * Called by unmap_page_range(), which is in the zap phase of an unmap (I7).
 * The region is not touched.
 *
 * Each link is cleared, counted and flushed by one task. exit(2) may find it
 * cleared by another whose flush is still to come: the others hold the
 * mmap_lock for reading until after their tlb_finish_mmu(), and exit_mmap()
 * takes it for writing before it lets go of the region (I2).
 */
void mshare_unlink_range(struct mmu_gather *tlb, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end)
{
	struct mshare_region *region;
	unsigned long address, next;
	pud_t *pud;

	/* A window is unmapped in units; parts of one cannot be unlinked. */
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
 * @tlb: where the flush is gathered
 * @vma: the window, with its new vm_flags
 * @start: first address
 * @end: after the last
 * @cp_flags: MM_CP_*
 *
 * Called by change_protection() for mprotect(2). Its other callers (NUMA
 * hinting, userfaultfd) would edit leaves and have no business here (I5).
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

	/* After PROT_NONE. What fails for lack of memory, a fault links. */
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
