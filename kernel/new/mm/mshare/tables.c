// SPDX-License-Identifier: GPL-2.0
/*
 * mshare page tables: what the tables of a region count for, and freeing those
 * that hold nothing
 *
 * No process owns the page tables of a region: they can outlive every process
 * that has touched it. So they count against the limit that the front end sets
 * for the memory of regions, and with them what else a region can have much
 * of, its mappings.
 *
 * A page table is allocated deep inside the fault handler. Before a fault that
 * may need tables, and before a change that may add mappings, room is reserved
 * (mshare_reserve()); afterwards the charge is set to what is in use and what
 * others have reserved (mshare_settle()). Tables also come and go without
 * this, when khugepaged frees one: the next settlement finds out.
 *
 * Freeing, apart from what unmapping frees:
 *
 * - A PTE page that holds nothing is freed under a VMA that stays, the way
 *   khugepaged does it: the PMD entry is cleared under the lock of the PMD page
 *   and that of the PTE page, all attached processes are flushed with
 *   freed_tables set (I4), and the page is freed after an RCU grace period,
 *   as others may be looking at it under RCU only. The mmap_lock of the host
 *   mm is held, for reading at least.
 * - A PMD or PUD page is freed only while no process is attached (I1), and
 *   with mmap_lock, VMA locks and rmap locks of the host mm held, since rmap
 *   walks look at these levels without a lock of their own. GUP-fast can still
 *   be there, through a link that it read before the link was cleared: tables
 *   go through the mmu_gather, which waits for code that runs with interrupts
 *   off.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/tlb.h>

#include "internal.h"

/*
 * A VMA, and an object that only it has. nr_inodes= bounds the regions, and pays
 * for the first mapping of each.
 */
#define MAPPING_BYTES		2048

/* How many tables are flushed together. */
#define TABLE_BATCH		32

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
 * mshare_reserve - make room for kernel memory of a region
 * @region: the region
 * @pages: how many pages more than now at most
 * @reader: for a process that may not write the region
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
 * mshare_settle - charge for what a region has
 * @region: the region
 * @pages: what the caller has reserved, 0 if nothing
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
	 * It may be too little when tables have come without a reservation:
	 * then the next reservation has to find room for them, too.
	 */
	if (region->limit && more && !region->limit->charge(region->limit, more,
							    false))
		region->charged += more;
	spin_unlock(&region->charge_lock);
}

/**
 * mshare_uncharge - give back all that a region has been charged for
 * @region: without page tables; nothing is charged for it any more
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

/* Whether an address is inside a VMA, where it would have to be split. */
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
 * mshare_reserve_split - make room for VMAs that a change of a range adds
 * @region: the region, with mmap_lock of the host mm held
 * @start: first address in the host mm
 * @end: after the last
 *
 * Return: what to pass to mshare_settle() afterwards, or -ENOSPC.
 */
long mshare_reserve_split(struct mshare_region *region, unsigned long start,
			  unsigned long end)
{
	mmap_assert_locked(region->host);
	return reserve_mappings(region, !!split_at(region->host, start) +
					!!split_at(region->host, end));
}

/**
 * mshare_reserve_replace - make room for VMAs where others are unmapped
 * @region: the region, with mmap_lock of the host mm held
 * @start: first address in the host mm
 * @end: after the last
 * @mappings: how many are mapped there afterwards
 *
 * Unmapping the middle of a VMA leaves two, unmapping anything else no more
 * than there were.
 *
 * Return: what to pass to mshare_settle() afterwards, or -ENOSPC.
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
 * @host: the host mm. Its tables above the PTE level stay: a process is
 *	attached, or the mmap_lock is held
 * @address: of the fault, in @host
 *
 * Return: pages; 0 for nearly all faults.
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
 * struct table_batch - PTE pages that wait for their flush
 * @host: the host mm
 * @nr: how many there are
 * @start: first address that the tables were for
 * @end: after the last
 * @table: the pages; no PMD entry has them any more
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

/* Take a PTE page that holds nothing away from its PMD entry. */
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
	ptl = pte_lockptr(host, pmd);
	if (ptl != pml)
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
	if (ptl != pml)
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

/**
 * mshare_free_empty - free the PTE pages of a range that hold nothing
 * @region: the region
 * @offset: where in the region, bytes, page-aligned
 * @size: bytes, page-aligned
 *
 * Context: may sleep.
 */
void mshare_free_empty(struct mshare_region *region, u64 offset, u64 size)
{
	unsigned long address = MSHARE_HOST_BASE + (offset & PMD_MASK);
	unsigned long end = MSHARE_HOST_BASE + offset + size;
	struct table_batch batch = { .host = region->host };
	unsigned long next;
	pud_t *pud;

	/* Nothing depends on it when the caller is being killed. */
	if (mmap_read_lock_killable(region->host))
		return;
	for (; address < end; address = next) {
		pud = mshare_find_pud(region->host, address, end, &next);
		if (pud && !pud_none(pudp_get(pud)))
			take_empty_of_pmd_page(&batch, pud, address, next);
	}
	flush_batch(&batch);
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

static void prune_range(struct mm_struct *host, unsigned long address,
			unsigned long end)
{
	struct table_batch batch = { .host = host };
	struct mmu_gather tlb;
	unsigned long next;
	pud_t *pud;

	tlb_gather_mmu(&tlb, host);
	for (; address < end; address = next) {
		pud = mshare_find_pud(host, address, end, &next);
		if (pud && !pud_none(pudp_get(pud))) {
			take_empty_of_pmd_page(&batch, pud, address, next);
			prune_pud(&tlb, pud, address);
		}
		if (pud && (next == end || !(next & ~P4D_MASK)))
			prune_p4d(&tlb, address);
	}
	flush_batch(&batch);
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

/*
 * With region->lock held nobody attaches by mmap(2), and by fork(2) only a
 * process whose parent is attached.
 */
static void prune_locked(struct mshare_region *region)
{
	struct mm_struct *host = region->host;

	if (is_attached(region))
		return;
	mmap_write_lock(host);
	if (!mm_take_all_locks(host)) {
		prune_range(host, MSHARE_HOST_BASE,
			    MSHARE_HOST_BASE + MSHARE_MAX_SIZE);
		mm_drop_all_locks(host);
		region->pruned_flushes = atomic_long_read(&region->flushes);
		region->pruned_tables = mm_pgtables_bytes(host);
	}
	mmap_write_unlock(host);
	mshare_settle(region, 0);
}

void mshare_prune_work(struct work_struct *work)
{
	struct mshare_region *region =
		container_of(work, struct mshare_region, prune_work);

	mutex_lock(&region->lock);
	prune_locked(region);
	mutex_unlock(&region->lock);
}

/**
 * mshare_prune - free what page tables hold nothing if nobody is attached
 * @region: the region
 *
 * Looks at them only if something has changed since it did so last: what is
 * taken away from a page table is flushed. Soon, and not before this returns.
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
	queue_work(system_unbound_wq, &region->prune_work);
}
