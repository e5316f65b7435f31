/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mshare: page tables shared between processes
 *
 *     process A        host mm of the region      process B
 *     PUD entry  --->  PMD page  <--------------  PUD entry
 *     (link, RW)          |                       (link, RO)
 *                         +-- PTE pages, leaves: once, for everyone
 *
 * This is what the engine keeps to itself. What front ends may use is in engine.h.
 *
 * Invariants, each with the place that keeps it:
 *
 * I1  A page-table page that a link points at is not freed while a link to it
 *     exists or a CPU could still walk it. Unmapping in a host mm leaves PMD
 *     pages and what is above them (free_pmd_range() asks
 *     mm_is_mshare_host()); they are freed while no process is attached
 *     (tables.c), or with the region, for which each attached process has a
 *     reference.
 * I2  A link is retired in this order: clear it, flush the process over the
 *     whole unit with paging-structure caches and lazy CPUs, then drop the
 *     reference that keeps the tables. The flush sends IPIs, or on
 *     paravirtual hosts tables are freed by RCU, so GUP-fast, which runs with
 *     interrupts off, is over before a table is freed. The reference is that
 *     of the attachment, which ->close() of the last window drops: munmap(2)
 *     and exit(2) call it after tlb_finish_mmu().
 * I3  A process has an attachment for a region, and every CPU that runs it
 *     has noted so, before its first link is visible, and until its last link
 *     is cleared and flushed (attach.c).
 * I4  Whoever clears or tightens a leaf flushes through the host mm, before
 *     the page is freed or the caller told. That reaches every CPU that runs
 *     an attached process, and every other before it does (flush.c).
 * I5  Nobody edits a leaf through a window: walkers skip it, or go on with
 *     the host VMA under the locks of the host mm.
 * I6  No path gives more access than the window: the link's write and execute
 *     bits for the CPU, mshare_pud_permits() for GUP-fast, the window's VM
 *     flags for the rest. A window without read permission has no links.
 *     A window that can never be written also makes no memory (fault.c).
 * I7  Links are removed in the zap phase of an unmap, mshare_unlink_range()
 *     called by unmap_page_range().
 * I8  RSS and page-table bytes of a region are the host mm's. A link is
 *     counted nowhere; the PUD page that holds it is the process's.
 * I9  Nothing outlives the last reference: mshare_region_put() frees the host
 *     mm, its tables and the memory cgroup reference.
 *
 * Lock order, outermost first:
 *
 *   mmap_lock of the process
 *     window VMA lock (fault path, read)
 *     region->lock
 *       mmap_lock of the host mm
 *         VMA lock of the host mm (fault path, read)
 *           i_mmap_rwsem, folio locks, ...
 *             page table locks
 *               region->attach_lock (leaf)
 *               region->charge_lock (leaf)
 *               attachment->lock (leaf, raw, interrupts off: also taken by the
 *                 scheduler and in interrupts of a flush)
 *
 * A fault that holds only VMA locks never waits for an mmap_lock: it tries,
 * and else asks its caller to come back with the process's mmap_lock.
 */
#ifndef _MM_MSHARE_INTERNAL_H
#define _MM_MSHARE_INTERNAL_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "engine.h"

/*
 * Where a region starts in its host mm. Not 0, so that no host address looks
 * like a NULL pointer, and aligned for links one level further up.
 */
#define MSHARE_HOST_BASE	P4D_SIZE

#define MSHARE_HOST_END		(MSHARE_HOST_BASE + MSHARE_MAX_SIZE)

/**
 * struct mshare_region - memory whose page tables are shared
 * @host: the mm that owns VMAs and page tables; no task runs on it
 * @memcg: pays for page tables and memory: the creator's. NULL without memcg
 * @faults: how many faults windows had; for each CPU
 * @recent_vma: a VMA of @host that a fault was in; see mshare_forget_vma()
 * @id: what trace events call it
 * @index: what a deferred flush calls it, see mshare_region_find()
 * @refs: one of the front end, and one of each attachment
 * @free_work: frees it, and the host mm, when those who see it under RCU are
 *	done
 * @lock: serialises changes of size, mapping, and set-up of windows
 * @size: bytes, a multiple of MSHARE_UNIT; 0 while not set up. Changed under
 *	@lock
 * @locked: pages charged to @lock_ucounts. mmap_lock of @host
 * @lock_ucounts: whose RLIMIT_MEMLOCK they count for; NULL while there are
 *	none. mmap_lock of @host
 * @limit: what @charged counts against; NULL once destroyed. @charge_lock
 * @charge_lock: protects @charged and @reserved
 * @charged: pages of page tables, and for mappings. @charge_lock
 * @reserved: how many of these are not used yet. @charge_lock
 * @prune_work: frees page tables that hold nothing
 * @pruned_flushes: @flushes when that was done last. @lock
 * @pruned_tables: bytes of page tables that were left. @lock
 * @generation: how often the attached processes had to be flushed, see flush.c
 * @attach_lock: protects the counts
 * @processes: how many are attached. @attach_lock
 * @windows: how many they have. @attach_lock
 * @links: how many entries of processes point here
 * @flushes: how often the attached processes were flushed
 */
struct mshare_region {
	struct mm_struct *host;
	struct mem_cgroup *memcg;
	unsigned long __percpu *faults;
	struct vm_area_struct *recent_vma;
	u64 id;
	u32 index;
	refcount_t refs;
	struct rcu_work free_work;
	struct mutex lock;	/* size, start, mapping, set-up of windows */
	u64 size;
	unsigned long locked;
	struct ucounts *lock_ucounts;
	struct mshare_limit *limit;
	spinlock_t charge_lock;	/* limit, charged, reserved */
	long charged;
	long reserved;
	struct work_struct prune_work;
	long pruned_flushes;
	unsigned long pruned_tables;
	atomic64_t generation;
	spinlock_t attach_lock;	/* processes, windows */
	unsigned long processes;
	unsigned long windows;
	atomic_long_t links;
	atomic_long_t flushes;
};

/**
 * struct mshare_attachment - a process with windows of a region
 * @node: in mm->mshare_attachments, walked under RCU or with interrupts off.
 *	Changed with the mmap_lock of the process held for writing, or for
 *	reading by a munmap(2) that has downgraded it, which excludes the others
 * @region: kept by vm_file of the windows
 * @mm: the process; a reference by mmgrab() until @free_work has run, so that
 *	a flush that still sees the attachment can look at it
 * @windows: how many VMAs have it as vm_private_data. region->attach_lock
 * @lock: protects what follows
 * @seen: generation of the region that the process has been told of: its own
 *	generation was incremented since
 * @step: the generation that the process got for @seen, 0 if for several at
 *	once
 * @shown: where the windows are, and how many in each place
 * @others: how many are in none of these places
 * @free_work: frees when the flushes that see the attachment are done
 */
struct mshare_attachment {
	struct hlist_node node;
	struct mshare_region *region;
	struct mm_struct *mm;
	unsigned long windows;
	raw_spinlock_t lock;
	u64 seen;
	u64 step;
	struct {
		unsigned long delta;
		unsigned long windows;
	} shown[MSHARE_SHOWN];
	unsigned long others;
	struct rcu_work free_work;
};

/*
 * The region of a host mm. Under RCU: NULL if it is being destroyed. For who
 * holds a lock that keeps a VMA in the host mm, the region is there.
 */
static inline struct mshare_region *
mshare_host_region(const struct mm_struct *host)
{
	return rcu_dereference_check(host->mshare_region, true);
}

/* Address in the host mm of what @address is in window @vma. */
static inline unsigned long mshare_host_address(struct vm_area_struct *vma,
						unsigned long address)
{
	return MSHARE_HOST_BASE + ((u64)vma->vm_pgoff << PAGE_SHIFT) +
	       (address - vma->vm_start);
}

/* The other way round, for an address that @vma shows. */
static inline unsigned long mshare_window_address(struct vm_area_struct *vma,
						  unsigned long host_address)
{
	return host_address - mshare_host_address(vma, vma->vm_start) +
	       vma->vm_start;
}

/* What attaches the process of window @vma to its region; NULL while forking. */
static inline struct mshare_attachment *
mshare_window_attachment(struct vm_area_struct *vma)
{
	return vma->vm_private_data;
}

static inline struct mshare_region *
mshare_window_region(struct vm_area_struct *vma)
{
	return mshare_window_attachment(vma)->region;
}

/*
 * The MMU knows no entry that may be executed or nothing at all but not read,
 * so a window that may not be read is not linked. See mshare_fault().
 */
static inline bool mshare_vma_linkable(struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_READ | VM_WRITE);
}

/* The process may never write the region: its file is open for reading only. */
static inline bool mshare_vma_is_reader(struct vm_area_struct *vma)
{
	return !(vma->vm_flags & VM_MAYWRITE);
}

/**
 * mshare_sees_table - whether a window has a link, and below it a PTE page
 * @vma: the window
 * @address: anywhere in it
 *
 * Then a fault there takes no page table, or one that khugepaged takes away in
 * this moment, and no link. A PMD entry for a huge page is as good.
 *
 * Context: VMA lock of the window or mmap_lock held, so that the process stays
 * attached, and the PMD page is there even if the link goes (I1).
 */
static inline bool mshare_sees_table(struct vm_area_struct *vma,
				     unsigned long address)
{
	pgd_t *pgd = pgd_offset(vma->vm_mm, address);
	p4d_t *p4d;
	pud_t pud;

	if (pgd_none(pgdp_get(pgd)))
		return false;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(p4dp_get(p4d)))
		return false;
	pud = pudp_get(pud_offset(p4d, address));
	/* Windows show whole units: the offset in the PMD page is the same. */
	return !pud_none(pud) &&
	       !pmd_none(pmdp_get(pmd_offset(&pud, address)));
}

/* region.c */
struct mm_struct *mshare_alloc_host(void);
struct mshare_region *mshare_region_find(u32 index);
void mshare_region_get(struct mshare_region *region);

/* tables.c */
int mshare_reserve(struct mshare_region *region, long pages, bool reader);
void mshare_settle(struct mshare_region *region, long pages);
void mshare_uncharge(struct mshare_region *region);
long mshare_reserve_split(struct mshare_region *region, unsigned long start,
			  unsigned long end);
long mshare_reserve_replace(struct mshare_region *region, unsigned long start,
			    unsigned long end, int mappings);
int mshare_tables_missing(struct mm_struct *host, unsigned long address);
void mshare_free_empty(struct mshare_region *region, u64 offset, u64 size);
void mshare_prune_work(struct work_struct *work);
void mshare_prune(struct mshare_region *region);

/*
 * Who pays for memory of a region: the creator's cgroup. Once that has been
 * removed, the nearest of its parents that has not: nobody can raise the limit
 * of a removed cgroup, nor would the OOM killer find anyone in it. NULL without
 * memcg.
 *
 * It is kept as long as the region is, which has a reference for its cgroup: a
 * cgroup has one for its parent.
 */
static inline struct mem_cgroup *
mshare_memcg(const struct mshare_region *region)
{
	struct mem_cgroup *memcg = region->memcg;

	while (memcg && unlikely(!mem_cgroup_online(memcg)))
		memcg = parent_mem_cgroup(memcg);
	return memcg;
}

/* See mshare_charge_begin(). */
static __always_inline void charge_begin(struct mshare_charge *charge,
					 struct mshare_region *region,
					 bool reader)
{
	charge->nested = current->mshare_charging;
	current->mshare_charging = 1;
	charge->memcg = unlikely(reader) ? NULL : mshare_memcg(region);
	if (charge->memcg)
		charge->old = set_active_memcg(charge->memcg);
}

static __always_inline bool charge_end(struct mshare_charge *charge)
{
	bool refused = current->mshare_refused;

	if (charge->memcg)
		set_active_memcg(charge->old);
	current->mshare_charging = charge->nested;
	current->mshare_refused = 0;
	return refused;
}

/* debug.c */
#ifdef CONFIG_MSHARE_DEBUG
extern bool mshare_no_flush;
extern bool mshare_no_catch_up;
void mshare_delay_memcg(void);
#else
static const bool mshare_no_flush;
static const bool mshare_no_catch_up;
static inline void mshare_delay_memcg(void)
{
}
#endif

/*
 * Flag of a host VMA: its object belongs to the region alone, and nobody can
 * reach what is not mapped of it. That a host mm is never forked leaves the
 * flag without another meaning.
 */
#define VM_MSHARE_OWN	VM_DONTCOPY

/* mlock.c */
int mshare_charge_locked(struct mshare_region *region, unsigned long pages);
void mshare_settle_locked(struct mshare_region *region);

/* attach.c */
struct mshare_attachment *mshare_find_attachment(struct mm_struct *mm,
						 struct mshare_region *region);
void mshare_tell_exclusive(void);

/* link.c */
pud_t *mshare_find_pud(struct mm_struct *mm, unsigned long address,
		       unsigned long end, unsigned long *next);
int mshare_link_unit(struct vm_area_struct *vma, unsigned long address);
int mshare_link_range(struct vm_area_struct *vma, unsigned long start,
		      unsigned long end);
bool mshare_window_linked(struct vm_area_struct *vma);

/* stat.c */
enum mshare_stat_item {
	MSHARE_STAT_REGIONS,
	MSHARE_STAT_WINDOWS,
	MSHARE_STAT_LINKS,
	MSHARE_STAT_FAULTS,
	MSHARE_STAT_FLUSHES,
	NR_MSHARE_STATS
};

DECLARE_PER_CPU(long [NR_MSHARE_STATS], mshare_stats);

static inline void mshare_stat_add(enum mshare_stat_item item, long n)
{
	this_cpu_add(mshare_stats[item], n);
}

static inline void mshare_count_fault(struct mshare_region *region)
{
	this_cpu_inc(*region->faults);
	mshare_stat_add(MSHARE_STAT_FAULTS, 1);
}

static inline void mshare_count_flush(struct mshare_region *region)
{
	atomic_long_inc(&region->flushes);
	mshare_stat_add(MSHARE_STAT_FLUSHES, 1);
}

static inline void mshare_count_link(struct mshare_region *region, long n)
{
	atomic_long_add(n, &region->links);
	mshare_stat_add(MSHARE_STAT_LINKS, n);
}

#endif /* _MM_MSHARE_INTERNAL_H */
