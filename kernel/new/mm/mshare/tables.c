// SPDX-License-Identifier: GPL-2.0
/*
 * mshare page tables: charging the tables of a region, freeing empty ones
 *
 * No process owns the page tables of a region, and they can outlive every
 * process that has touched the region. They therefore count against the limit
 * that the front end sets for the memory of regions. So do mappings, because a
 * region can have many.
 *
 * A page table is allocated deep inside the fault handler. mshare_reserve()
 * reserves room before a fault that may need tables, and before a change that
 * may add mappings. Afterwards mshare_settle() sets the charge to the pages in
 * use plus the pages that other tasks have reserved. Tables also come and go
 * without a reservation, for example when khugepaged frees one. The next
 * mshare_settle() corrects the charge.
 *
 * Empty tables that unmapping does not free are freed here:
 *
 * - A PTE table is freed under a VMA that stays, as khugepaged does it: the PMD
 *   entry is cleared under the page table locks of the PMD table and the PTE
 *   table, all attached processes are flushed with freed_tables set (I4), and
 *   the table is freed after an RCU grace period, since other walkers may look
 *   at it under RCU alone. The mmap_lock of the host mm is held, at least for
 *   reading.
 * - A PMD or PUD table is freed only while no process is attached (I1), and
 *   with mmap_lock, VMA locks and rmap locks of the host mm held, since rmap
 *   walks look at these levels without a lock of their own. GUP-fast can still
 *   be in the table through a link that it read before the link was cleared.
 *   The tables go through the mmu_gather because it waits for code that runs
 *   with interrupts off.
 *
 * A worker frees all that is empty once no process is attached. Users of the
 * region decide how long its locks are held: a fault can wait for a file system
 * under the mmap_lock. The worker therefore waits for no lock of the region, and
 * comes back later instead, since the workqueue serves the whole system. It looks
 * for empty PTE tables, of which there can be millions, before it takes the rmap
 * locks, because other processes that map the same files wait for those.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/tlb.h>

#include "internal.h"

/*
 * Kernel memory of a mapping: a VMA, and an object that only this VMA uses. The
 * first mapping of a region is free, because nr_inodes= bounds the regions.
 */
#define MAPPING_BYTES		2048

/* Number of PTE tables for each flush. */
#define TABLE_BATCH		32

/* When to try again to free tables of a region whose locks are taken. */
#define PRUNE_DELAY		HZ

static long mapping_pages(long mappings)
{
	return mappings * MAPPING_BYTES >> PAGE_SHIFT;
}

static long pages_used(struct mshare_region *region)
{
	struct mm_struct *host = region->host;

	return (mm_pgtables_bytes(host) >> PAGE_SHIFT) +
	       mapping_pages(READ_ONCE(host->map_count));
}

/**
 * mshare_reserve - reserve kernel memory for a region
 * @region: the region
 * @pages: largest number of pages that the caller may add
 * @reader: the process may not write the region
 *
 * Context: any that may take spinlocks, interrupts on.
 * Return: 0, and mshare_settle() has to follow; -ENOSPC.
 */
int mshare_reserve(struct mshare_region *region, long pages, bool reader)
{
	long more;
	int err = 0;

	spin_lock(&region->charge_lock);
	more = pages_used(region) + region->reserved + pages - region->charged;
	if (more > 0)
		err = region->limit->charge(region->limit, more, reader);
	if (!err) {
		region->charged += max(more, 0L);
		region->reserved += pages;
	}
	spin_unlock(&region->charge_lock);
	return err;
}

/**
 * mshare_settle - set the charge of a region to its use
 * @region: the region
 * @pages: number of pages that the caller has reserved, or 0
 *
 * Context: as for mshare_reserve().
 */
void mshare_settle(struct mshare_region *region, long pages)
{
	long more;

	spin_lock(&region->charge_lock);
	region->reserved -= pages;
	more = pages_used(region) + region->reserved - region->charged;
	/*
	 * The charge may stay too low if tables were added without a
	 * reservation. The next reservation has to find room for them, too.
	 */
	if (region->limit && more && !region->limit->charge(region->limit, more,
							    false))
		region->charged += more;
	spin_unlock(&region->charge_lock);
}

/**
 * mshare_uncharge - drop the whole charge of a region
 * @region: the region, without page tables; it is not charged again
 */
void mshare_uncharge(struct mshare_region *region)
{
	spin_lock(&region->charge_lock);
	VM_WARN_ON_ONCE(region->reserved);
	region->limit->charge(region->limit, -region->charged, false);
	region->charged = 0;
	region->limit = NULL;
	spin_unlock(&region->charge_lock);
}

/* The VMA that has to be split at @address, or NULL. */
static struct vm_area_struct *split_at(struct mm_struct *host,
				       unsigned long address)
{
	struct vm_area_struct *vma = vma_lookup(host, address);

	return vma && vma->vm_start < address ? vma : NULL;
}

static long reserve_mappings(struct mshare_region *region, int more)
{
	long mappings = READ_ONCE(region->host->map_count);
	long pages = mapping_pages(mappings + more) - mapping_pages(mappings);
	int err;

	if (!more)
		return 0;
	err = mshare_reserve(region, pages, false);
	return err ?: pages;
}

/**
 * mshare_reserve_split - reserve VMAs that the change of a range may add
 * @region: the region, with mmap_lock of the host mm held
 * @start: first address in the host mm
 * @end: end of the range
 *
 * Return: number of pages for mshare_settle() afterwards, or -ENOSPC.
 */
long mshare_reserve_split(struct mshare_region *region, unsigned long start,
			  unsigned long end)
{
	mmap_assert_locked(region->host);
	return reserve_mappings(region, !!split_at(region->host, start) +
					!!split_at(region->host, end));
}

/**
 * mshare_reserve_replace - reserve VMAs for a range that is unmapped first
 * @region: the region, with mmap_lock of the host mm held
 * @start: first address in the host mm
 * @end: end of the range
 * @mappings: number of VMAs that are mapped in the range afterwards
 *
 * Unmapping the middle of a VMA leaves two VMAs. No other unmapping adds any.
 *
 * Return: number of pages for mshare_settle() afterwards, or -ENOSPC.
 */
long mshare_reserve_replace(struct mshare_region *region, unsigned long start,
			    unsigned long end, int mappings)
{
	struct vm_area_struct *first = split_at(region->host, start);

	mmap_assert_locked(region->host);
	if (first && first == split_at(region->host, end))
		mappings++;
	return reserve_mappings(region, mappings);
}

/**
 * mshare_tables_missing - how many page tables a fault may have to allocate
 * @host: the host mm. Its tables above the PTE level stay, because a process is
 *	attached or the mmap_lock is held
 * @address: faulting address in @host
 *
 * Return: number of tables; 0 for nearly all faults.
 */
int mshare_tables_missing(struct mm_struct *host, unsigned long address)
{
	pgd_t *pgd = pgd_offset(host, address);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(pgdp_get(pgd)))
		return 3;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(p4dp_get(p4d)))
		return 3;
	pud = pud_offset(p4d, address);
	if (pud_none(pudp_get(pud)))
		return 2;
	return pmd_none(pmdp_get(pmd_offset(pud, address)));
}

/**
 * struct table_batch - PTE tables that wait for their flush
 * @host: the host mm
 * @nr: number of tables
 * @start: first address that the tables covered
 * @end: end of the addresses that the tables covered
 * @table: the tables; their PMD entries have been cleared
 */
struct table_batch {
	struct mm_struct *host;
	int nr;
	unsigned long start;
	unsigned long end;
	pgtable_t table[TABLE_BATCH];
};

static void flush_batch(struct table_batch *batch)
{
	int i;

	if (!batch->nr)
		return;
	mshare_flush(batch->host, batch->start, batch->end, PAGE_SHIFT, true);
	for (i = 0; i < batch->nr; i++)
		pte_free_defer(batch->host, batch->table[i]);
	batch->nr = 0;
}

static bool pte_page_empty(pmd_t *pmd)
{
	pte_t *pte = pte_offset_kernel(pmd, 0);
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		if (!pte_none(ptep_get(pte + i)))
			return false;
	return true;
}

/* Clear the PMD entry of an empty PTE table, and batch the table. */
static void take_empty(struct table_batch *batch, pmd_t *pmd,
		       unsigned long address)
{
	struct mm_struct *host = batch->host;
	spinlock_t *pml, *ptl;
	pmd_t table;

	pml = pmd_lock(host, pmd);
	table = pmdp_get(pmd);
	if (pmd_none(table) || !pmd_present(table) || pmd_leaf(table) ||
	    WARN_ON_ONCE(pmd_bad(table))) {
		spin_unlock(pml);
		return;
	}
	/* Locks are split (Kconfig): it is another one. */
	ptl = pte_lockptr(host, pmd);
	spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	if (pte_page_empty(pmd)) {
		pmd_clear(pmd);
		pmdp_get_lockless_sync();
		mm_dec_nr_ptes(host);
		if (!batch->nr++)
			batch->start = address;
		batch->end = address + PMD_SIZE;
		batch->table[batch->nr - 1] = pmd_pgtable(table);
	}
	spin_unlock(ptl);
	spin_unlock(pml);

	if (batch->nr == TABLE_BATCH)
		flush_batch(batch);
}

static void take_empty_of_pmd_page(struct table_batch *batch, pud_t *pud,
				   unsigned long address, unsigned long end)
{
	pmd_t *pmd = pmd_offset(pud, address);

	for (; address < end; address += PMD_SIZE, pmd++) {
		if (!pmd_none(pmdp_get(pmd)))
			take_empty(batch, pmd, address);
		cond_resched();
	}
}

/* Context: mmap_lock of @host held. */
static void free_empty_range(struct mm_struct *host, unsigned long address,
			     unsigned long end)
{
	struct table_batch batch = { .host = host };
	unsigned long next;
	pud_t *pud;

	for (; address < end; address = next) {
		pud = mshare_find_pud(host, address, end, &next);
		if (pud && !pud_none(pudp_get(pud)))
			take_empty_of_pmd_page(&batch, pud, address, next);
	}
	flush_batch(&batch);
}

/**
 * mshare_free_empty - free the empty PTE tables of a range
 * @region: the region
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned
 *
 * Context: may sleep.
 */
void mshare_free_empty(struct mshare_region *region, u64 offset, u64 size)
{
	unsigned long address = MSHARE_HOST_BASE + (offset & PMD_MASK);
	unsigned long end = MSHARE_HOST_BASE + offset + size;

	/* A killed task skips the work, since no caller depends on it. */
	if (mmap_read_lock_killable(region->host))
		return;
	free_empty_range(region->host, address, end);
	mmap_read_unlock(region->host);
	mshare_settle(region, 0);
}

static bool pmd_page_empty(pud_t *pud)
{
	pmd_t *pmd = pmd_offset(pud, 0);
	int i;

	for (i = 0; i < PTRS_PER_PMD; i++)
		if (!pmd_none(pmdp_get(pmd + i)))
			return false;
	return true;
}

static bool pud_page_empty(p4d_t *p4d)
{
	pud_t *pud = pud_offset(p4d, 0);
	int i;

	for (i = 0; i < PTRS_PER_PUD; i++)
		if (!pud_none(pudp_get(pud + i)))
			return false;
	return true;
}

static void prune_pud(struct mmu_gather *tlb, pud_t *pud, unsigned long address)
{
	pmd_t *pmd = pmd_offset(pud, 0);

	if (!pmd_page_empty(pud))
		return;
	pud_clear(pud);
	pmd_free_tlb(tlb, pmd, address);
	mm_dec_nr_pmds(tlb->mm);
}

static void prune_p4d(struct mmu_gather *tlb, unsigned long address)
{
	p4d_t *p4d = p4d_offset(pgd_offset(tlb->mm, address), address);
	pud_t *pud = pud_offset(p4d, 0);

	if (!pud_page_empty(p4d))
		return;
	p4d_clear(p4d);
	pud_free_tlb(tlb, pud, address);
	mm_dec_nr_puds(tlb->mm);
}

/* Whether a PMD table is empty. A PUD table becomes empty with its last one. */
static bool any_pmd_page_empty(struct mm_struct *host, unsigned long address,
			       unsigned long end)
{
	unsigned long next;
	pud_t *pud;

	for (; address < end; address = next) {
		pud = mshare_find_pud(host, address, end, &next);
		if (pud && !pud_none(pudp_get(pud)) && pmd_page_empty(pud))
			return true;
		cond_resched();
	}
	return false;
}

static void prune_range(struct mm_struct *host, unsigned long address,
			unsigned long end)
{
	struct mmu_gather tlb;
	unsigned long next;
	pud_t *pud;

	tlb_gather_mmu(&tlb, host);
	for (; address < end; address = next) {
		pud = mshare_find_pud(host, address, end, &next);
		if (pud && !pud_none(pudp_get(pud)))
			prune_pud(&tlb, pud, address);
		if (pud && (next == end || !(next & ~P4D_MASK)))
			prune_p4d(&tlb, address);
	}
	tlb_finish_mmu(&tlb);
}

static bool is_attached(struct mshare_region *region)
{
	bool attached;

	spin_lock(&region->attach_lock);
	attached = region->processes;
	spin_unlock(&region->attach_lock);
	return attached;
}

/* mmap_write_lock() without waiting. The kernel has no function for this. */
static bool host_write_trylock(struct mm_struct *host)
{
	return down_write_trylock(&host->mmap_lock);
}

/* Free empty PMD tables and PUD tables. */
static bool prune_upper(struct mshare_region *region)
{
	struct mm_struct *host = region->host;
	bool done = true;

	if (!host_write_trylock(host))
		return false;
	if (any_pmd_page_empty(host, MSHARE_HOST_BASE, MSHARE_HOST_END)) {
		done = !mm_take_all_locks(host);
		if (done) {
			prune_range(host, MSHARE_HOST_BASE, MSHARE_HOST_END);
			mm_drop_all_locks(host);
		}
	}
	if (done) {
		region->pruned_flushes = atomic_long_read(&region->flushes);
		region->pruned_tables = mm_pgtables_bytes(host);
	}
	mmap_write_unlock(host);
	return done;
}

/*
 * region->lock keeps mmap(2) from attaching a process. fork(2) attaches only a
 * child whose parent is attached. Return whether there is nothing left to do.
 */
static bool prune_locked(struct mshare_region *region)
{
	struct mm_struct *host = region->host;
	bool done;

	if (is_attached(region))
		return true;
	if (!mmap_read_trylock(host))
		return false;
	free_empty_range(host, MSHARE_HOST_BASE, MSHARE_HOST_END);
	mmap_read_unlock(host);
	done = prune_upper(region);
	mshare_settle(region, 0);
	return done;
}

void mshare_prune_work(struct work_struct *work)
{
	struct mshare_region *region = container_of(to_delayed_work(work),
						    struct mshare_region,
						    prune_work);
	bool done = false;

	if (mutex_trylock(&region->lock)) {
		done = prune_locked(region);
		mutex_unlock(&region->lock);
	}
	if (!done)
		queue_delayed_work(system_unbound_wq, &region->prune_work,
				   PRUNE_DELAY);
}

/**
 * mshare_prune - have empty page tables freed if no process is attached
 * @region: the region
 *
 * Queues work that frees the tables soon after. Does nothing if since the last
 * pruning there was no flush, which follows each removal of an entry, and the
 * size of the tables has not changed.
 *
 * Context: any.
 */
void mshare_prune(struct mshare_region *region)
{
	if (READ_ONCE(region->processes) ||
	    (READ_ONCE(region->pruned_flushes) ==
	     atomic_long_read(&region->flushes) &&
	     READ_ONCE(region->pruned_tables) == mm_pgtables_bytes(region->host)))
		return;
	queue_delayed_work(system_unbound_wq, &region->prune_work, 0);
}
