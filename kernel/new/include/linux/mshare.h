/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mshare: shared page tables, the interface for the rest of mm.
 *
 * A region is a piece of address space that lives in a host mm no task runs
 * on. A window is a VMA through which a process sees the region: it holds no
 * page table entries of its own, only links, PUD entries that point at the
 * PMD tables of the host mm. See mm/mshare/internal.h for the protocol.
 *
 * Everything here compiles to nothing without CONFIG_MSHARE: VM_MSHARE is
 * then VM_NONE, vma_is_mshare() is constant false, and the calls behind it
 * are dropped.
 */
#ifndef _LINUX_MSHARE_H
#define _LINUX_MSHARE_H

#include <linux/mm.h>
#include <linux/mshare_host.h>
#include <linux/sched.h>

struct folio_walk;
struct mem_cgroup;
struct mm_walk;
struct mmu_gather;
struct pt_regs;
struct tlbflush_unmap_batch;

/* The VMA is a window of an mshare region. */
static inline bool vma_is_mshare(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MSHARE;
}

/*
 * A FAULT_FLAG_*: the process may never write the region, so the fault must not
 * allocate memory. A hole of shmem or hugetlb is an error.
 */
#define FAULT_FLAG_MSHARE_READER	BIT(20)

static inline bool mshare_fault_by_reader(unsigned int flags)
{
	return IS_ENABLED(CONFIG_MSHARE) && flags & FAULT_FLAG_MSHARE_READER;
}

vm_fault_t mshare_fault(struct vm_area_struct *vma, unsigned long address,
			unsigned int flags, struct pt_regs *regs);
vm_fault_t mshare_host_fault(struct vm_area_struct *host_vma,
			     unsigned long address, unsigned int flags);
void mshare_forget_vma(struct vm_area_struct *vma);
void mshare_unlink_range(struct mmu_gather *tlb, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end);
int mshare_fork_window(struct vm_area_struct *dst, struct vm_area_struct *src);
long mshare_change_protection(struct mmu_gather *tlb,
			      struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long cp_flags);
int mshare_madvise(struct vm_area_struct *vma, struct vm_area_struct **prev,
		   unsigned long start, unsigned long end,
		   unsigned long behavior, bool write_locked);
struct vm_area_struct *mshare_lock_host_vma(struct vm_area_struct *vma,
					    unsigned long *address,
					    bool *mmap_locked);
void mshare_unlock_host_vma(struct vm_area_struct *host_vma, bool mmap_locked);
bool mshare_may_mremap(unsigned long address, unsigned long old_len,
		       unsigned long new_len, unsigned long flags,
		       unsigned long new_address);
unsigned long mshare_link_moved(struct vm_area_struct *vma,
				unsigned long address, unsigned long len);
unsigned long mshare_dump_hole(unsigned long address, unsigned long end);
int mshare_walk_window(unsigned long start, unsigned long end,
		       struct mm_walk *walk,
		       int (*walk_vma)(unsigned long start, unsigned long end,
				       struct mm_walk *walk));
long mshare_mincore(struct vm_area_struct *window, unsigned long start,
		    unsigned long end, unsigned char *vec,
		    long (*mincore_vma)(struct vm_area_struct *vma,
					unsigned long start, unsigned long end,
					unsigned char *vec));
struct folio *mshare_folio_walk_start(struct folio_walk *fw,
				      struct vm_area_struct *window,
				      unsigned long address, int flags);
void mshare_folio_walk_end(struct folio_walk *fw);
unsigned long mshare_task_address(struct task_struct *task,
				  struct mm_struct *host,
				  unsigned long address);
void mshare_mlockall(struct vm_area_struct *vma, vm_flags_t newflags);
void mshare_flush(struct mm_struct *host, unsigned long start,
		  unsigned long end, unsigned int shift, bool freed_tables);
void mshare_defer_flush(struct tlbflush_unmap_batch *batch,
			struct mm_struct *host);

#ifdef CONFIG_MSHARE

#include <asm/mshare.h>

/*
 * A lockless walker may find a read-only link at the PUD level above writable
 * leaves, so the leaf alone does not tell whether a write is allowed (I6).
 */
static inline bool mshare_pud_permits(pud_t pud, bool write)
{
	return !write || arch_mshare_link_write(pud);
}

/* A new mm has no attachments, even if it is a copy of an attached one. */
static inline void mshare_mm_init(struct mm_struct *mm)
{
	INIT_HLIST_HEAD(&mm->mshare_attachments);
}

bool __mshare_refuse_charge(struct mem_cgroup *memcg);

/*
 * Whether to refuse a charge to @memcg, which is full: the current task
 * allocates memory for a region, and is in another part of the hierarchy.
 */
static inline bool mshare_refuse_charge(struct mem_cgroup *memcg)
{
	return current->mshare_charging && __mshare_refuse_charge(memcg);
}

unsigned long __mshare_oom_pages(struct mm_struct *mm);

/* The share of process @mm in the regions that it is attached to, in pages. */
static inline unsigned long mshare_oom_pages(struct mm_struct *mm)
{
	return hlist_empty(&mm->mshare_attachments) ? 0 :
						      __mshare_oom_pages(mm);
}

int mshare_regions_of(struct mm_struct *mm, u32 *index, int max);
void mshare_catch_up(struct mm_struct *mm);
void arch_mshare_switch(struct mm_struct *mm);

/* Call before the generation of @mm is read to decide on a flush. */
static inline void mshare_switch(struct mm_struct *mm)
{
	if (unlikely(arch_mshare_may_be_attached(mm)))
		arch_mshare_switch(mm);
}

/* The range to flush is unknown, or too large to describe. */
#define MSHARE_FLUSH_ALL	(~0UL)

/**
 * struct mshare_flush_info - a flush of a region
 * @index: index of the region
 * @generation: generation of the region since the flush
 * @start: first address in the host mm
 * @end: end of the range, MSHARE_FLUSH_ALL for everything
 * @shift: log2 of the page size in the range
 */
struct mshare_flush_info {
	u32 index;
	u64 generation;
	unsigned long start;
	unsigned long end;
	unsigned int shift;
};

#define MSHARE_SHOWN	4

/**
 * struct mshare_shown - the places where a process sees a region
 * @nr: number of places; 0 if there are more than MSHARE_SHOWN
 * @delta: offset to add to an address of the host mm, for each place
 */
struct mshare_shown {
	int nr;
	unsigned long delta[MSHARE_SHOWN];
};

u64 mshare_catch_up_flush(struct mm_struct *mm,
			  const struct mshare_flush_info *info,
			  struct mshare_shown *shown);
void mshare_show_mem(void);
bool mshare_mm_has_windows(struct mm_struct *mm);
bool mshare_dump_window(unsigned long address);
unsigned long __mshare_sharers(struct vm_area_struct *vma);
bool __mshare_attached(struct mm_struct *host, struct task_struct *task);
struct file *mshare_translate_range(struct mm_struct **mm, unsigned long *start,
				    unsigned long *end);
void mshare_flush_deferred(struct tlbflush_unmap_batch *batch);

/* Whether a region flush is deferred, and dirty pages have been unmapped. */
static inline bool mshare_flush_is_deferred(void)
{
	return current->tlb_ubc.writable && current->tlb_ubc.mshare[0];
}

#else

static inline bool mshare_pud_permits(pud_t pud, bool write)
{
	return true;
}

static inline void mshare_mm_init(struct mm_struct *mm)
{
}

static inline bool mshare_refuse_charge(struct mem_cgroup *memcg)
{
	return false;
}

static inline unsigned long mshare_oom_pages(struct mm_struct *mm)
{
	return 0;
}

static inline void mshare_switch(struct mm_struct *mm)
{
}

static inline void mshare_show_mem(void)
{
}

static inline bool mshare_mm_has_windows(struct mm_struct *mm)
{
	return false;
}

static inline bool mshare_dump_window(unsigned long address)
{
	return false;
}

static inline unsigned long __mshare_sharers(struct vm_area_struct *vma)
{
	return 0;
}

static inline bool __mshare_attached(struct mm_struct *host,
				     struct task_struct *task)
{
	return false;
}

static inline struct file *mshare_translate_range(struct mm_struct **mm,
						  unsigned long *start,
						  unsigned long *end)
{
	return NULL;
}

static inline void mshare_flush_deferred(struct tlbflush_unmap_batch *batch)
{
}

static inline bool mshare_flush_is_deferred(void)
{
	return false;
}

#endif /* CONFIG_MSHARE */

/*
 * mlockall(2) with MCL_ONFAULT does not populate windows. Check the flags of
 * the process as well, because mmap(2) clears VM_LOCKONFAULT of a window that
 * is made under MCL_FUTURE.
 */
static inline bool mshare_lock_on_fault(struct vm_area_struct *vma)
{
	return vma_is_mshare(vma) &&
	       (vma->vm_flags | vma->vm_mm->def_flags) & VM_LOCKONFAULT;
}

/*
 * The number of other processes that use the page tables of @vma, a window or a
 * VMA of a host mm. A page mapped there once is mapped as many times more.
 */
static inline unsigned long mshare_sharers(struct vm_area_struct *vma)
{
	if (likely(!vma_is_mshare(vma) && !mm_is_mshare_host(vma->vm_mm)))
		return 0;
	return __mshare_sharers(vma);
}

/* Whether @task is attached to the region of @host; false for any other mm. */
static inline bool mshare_attached(struct mm_struct *host,
				   struct task_struct *task)
{
	return mm_is_mshare_host(host) && __mshare_attached(host, task);
}

#endif /* _LINUX_MSHARE_H */
