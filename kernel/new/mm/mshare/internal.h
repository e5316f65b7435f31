/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mshare: page tables shared between processes
 *
 *     process A        host mm of the region      process B
 *     PUD entry  --->  PMD table <--------------  PUD entry
 *     (link, RW)          |                       (link, RO)
 *                         +-- PTE tables, leaves: one copy for all
 *
 * This header is private to the engine. engine.h is the interface for front
 * ends.
 *
 * Invariants, each with the place that keeps it:
 *
 * I1  A page table that a link points at is not freed while a link to it
 *     exists or a CPU could still walk it. Unmapping in a host mm keeps PMD
 *     tables and the levels above, because free_pmd_range() asks
 *     mm_is_mshare_host(). They are freed while no process is attached
 *     (tables.c), or with the region. Each attached process has a reference
 *     to the region.
 * I2  A link is retired in this order: clear it; flush the process over the
 *     whole unit, with paging-structure caches and lazy CPUs; then drop the
 *     reference that keeps the tables. GUP-fast, which runs with interrupts
 *     off, is over before a table is freed, because the flush sends IPIs or,
 *     on paravirtual hosts, tables are freed by RCU. The reference is the
 *     attachment's. ->close() of the last window drops it, and munmap(2) and
 *     exit(2) call ->close() after tlb_finish_mmu().
 * I3  From before its first link is visible until its last link is cleared
 *     and flushed, a process has an attachment for the region, and every CPU
 *     that runs the process has noted the region (attach.c).
 * I4  Code that clears or tightens a leaf flushes the host mm before it frees
 *     the page or reports success. The flush interrupts every CPU that runs
 *     an attached process. Any other CPU flushes before it runs one (flush.c).
 * I5  No leaf is edited through a window. Walkers skip the window, or continue
 *     in the host VMA under the locks of the host mm.
 * I6  No path gives more access than the window. The link's write and execute
 *     bits limit the CPU, mshare_pud_permits() limits GUP-fast, and the
 *     window's VM flags limit all other paths. A window with neither read nor
 *     write permission has no links. A fault in a window that can never be
 *     written does not allocate shmem or hugetlb pages (fault.c).
 * I7  Links are removed in the zap phase of an unmap: unmap_page_range() calls
 *     mshare_unlink_range().
 * I8  RSS and page table bytes of a region count in the host mm. A link counts
 *     in no mm; the PUD table that holds it counts in the process.
 * I9  Nothing of a region outlives its last reference: mshare_region_put()
 *     frees the host mm, its tables and the memory cgroup reference.
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
 * A fault that holds only VMA locks never waits for an mmap_lock. If it cannot
 * lock the VMA of the host mm, it returns VM_FAULT_RETRY so that its caller
 * comes back with the mmap_lock of the process.
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
 * Start of a region in its host mm. Not 0, so that no host address looks like a
 * NULL pointer. Aligned so that links one level further up remain possible.
 */
#define MSHARE_HOST_BASE	P4D_SIZE

#define MSHARE_HOST_END		(MSHARE_HOST_BASE + MSHARE_MAX_SIZE)

/**
 * struct mshare_region - memory whose page tables are shared
 * @host: the mm that owns the VMAs and page tables; no task runs on it
 * @memcg: the creator's memory cgroup, charged for memory and page tables;
 *	NULL without memcg
 * @faults: number of faults in windows, for each CPU
 * @recent_vma: a VMA of @host with a recent fault; see mshare_forget_vma()
 * @id: identifies the region in trace events
 * @index: identifies the region in a deferred flush, see mshare_region_find()
 * @refs: one held by the front end, one by each attachment
 * @free_work: frees the region and its host mm after an RCU grace period
 * @lock: serialises resizing, mapping, and set-up of windows
 * @size: bytes, a multiple of MSHARE_UNIT; 0 until set up. Changed under @lock
 * @locked: pages charged to @lock_ucounts. mmap_lock of @host
 * @lock_ucounts: user whose RLIMIT_MEMLOCK bounds @locked; NULL while @locked
 *	is 0. mmap_lock of @host
 * @limit: bounds @charged; NULL once the region is destroyed. @charge_lock
 * @charge_lock: protects @limit, @charged and @reserved
 * @charged: pages charged for page tables and mappings. @charge_lock
 * @reserved: pages of @charged that are not in use yet. @charge_lock
 * @prune_work: frees empty page tables
 * @pruned_flushes: @flushes at the last pruning. @lock
 * @pruned_tables: bytes of page tables left by the last pruning. @lock
 * @generation: incremented by each flush, see flush.c
 * @attach_lock: protects @processes, @windows, and @windows of attachments
 * @processes: number of attached processes. @attach_lock
 * @windows: number of their windows. @attach_lock
 * @links: number of PUD entries of processes that point at its page tables
 * @flushes: number of flushes of the attached processes
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
	struct mutex lock;	/* size, mapping, set-up of windows */
	u64 size;
	unsigned long locked;
	struct ucounts *lock_ucounts;
	struct mshare_limit *limit;
	spinlock_t charge_lock;	/* limit, charged, reserved */
	long charged;
	long reserved;
	struct delayed_work prune_work;
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
 *	reading by a munmap(2) that has downgraded the lock, since no other
 *	task can take the lock for writing meanwhile
 * @region: the region, with a reference
 * @mm: mm of the process, pinned by mmgrab() until @free_work has run, because
 *	a flush may still look at it
 * @windows: number of VMAs that have the attachment as vm_private_data.
 *	region->attach_lock
 * @lock: protects @seen, @step, @shown and @others
 * @seen: generation of the region that the process has caught up with: the
 *	generation of @mm has been incremented since
 * @step: the generation of @mm that stands for @seen alone; 0 if it stands for
 *	several flushes
 * @shown: places of windows, see struct mshare_shown, and number of windows in
 *	each place
 * @others: number of windows in other places
 * @free_work: frees the attachment when no flush can see it any more
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
 * The region of a host mm. Under RCU, NULL if the region is being destroyed.
 * Never NULL under a lock that keeps a VMA in the host mm.
 */
static inline struct mshare_region *
mshare_host_region(const struct mm_struct *host)
{
	return rcu_dereference_check(host->mshare_region, true);
}

/* The address in the host mm that window @vma shows at @address. */
static inline unsigned long mshare_host_address(struct vm_area_struct *vma,
						unsigned long address)
{
	return MSHARE_HOST_BASE + ((u64)vma->vm_pgoff << PAGE_SHIFT) +
	       (address - vma->vm_start);
}

/* The address in window @vma that shows @host_address. */
static inline unsigned long mshare_window_address(struct vm_area_struct *vma,
						  unsigned long host_address)
{
	return host_address - mshare_host_address(vma, vma->vm_start) +
	       vma->vm_start;
}

/* The attachment that window @vma belongs to; NULL while forking. */
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
 * A link cannot withhold read permission, because the MMU has no bit for that.
 * A window with neither read nor write permission therefore has no links. See
 * mshare_fault().
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
 * mshare_sees_table - whether a window has a link with a PTE table below
 * @vma: the window
 * @address: any address in the window
 *
 * If so, a fault at @address needs no new link. The fault needs no PTE table
 * either, unless khugepaged removes this one concurrently. A PMD entry that
 * maps a huge page counts as a PTE table.
 *
 * Context: VMA lock of the window or mmap_lock held, so that the process stays
 * attached. The PMD table then stays even if the link is cleared (I1).
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
	/* Windows are unit-aligned: the index in the PMD table is the same. */
	return !pud_none(pud) &&
	       !pmd_none(pmdp_get(pmd_offset(&pud, address)));
}

/* region.c */
struct mm_struct *mshare_alloc_host(void);
void mshare_free_scratch(struct mm_struct *scratch);
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
 * The memcg to charge for a region: the creator's, or its nearest online
 * ancestor, because the limit of a removed memcg cannot be raised and the OOM
 * killer would find no task in it. NULL without memcg.
 *
 * The result lives as long as the region, since the region holds a reference to
 * its memcg and a memcg holds one to its parent.
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
 * Flag of a host VMA whose object belongs to the region alone: unmapped parts
 * of the object are unreachable. VM_DONTCOPY is free for this use because a
 * host mm is never forked.
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
