/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mshare engine: the interface for front ends
 *
 * A front end decides which processes share which memory, gives regions names
 * and access rights, and limits their memory. The engine manages the page
 * tables. The engine depends on no front end, and front ends do not include
 * internal.h.
 *
 * Front ends: msharefs (fs/msharefs).
 */
#ifndef _MM_MSHARE_ENGINE_H
#define _MM_MSHARE_ENGINE_H

#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mshare.h>
#include <linux/pgtable.h>

struct mshare_attachment;
struct mshare_region;

/* The range of one link. Windows and sizes of regions are multiples of it. */
#define MSHARE_UNIT		PUD_SIZE
#define MSHARE_UNIT_MASK	(~(MSHARE_UNIT - 1))

#ifndef DEFAULT_MAP_WINDOW
#define DEFAULT_MAP_WINDOW	TASK_SIZE_MAX
#endif

/*
 * Half of the address space of any process, so that MSHARE_HOST_BASE and other
 * mappings have room: 64 TiB on x86.
 */
#define MSHARE_MAX_SIZE	\
	((u64)rounddown_pow_of_two((unsigned long)DEFAULT_MAP_WINDOW - 1))

/**
 * struct mshare_limit - limit on the kernel memory of regions
 * @charge: charge a number of pages, or uncharge if negative, which does not
 *	fail; the last argument says whether the process may not write the
 *	region. Called under spinlocks. Return 0 or -ENOSPC
 *
 * The front end owns the structure.
 */
struct mshare_limit {
	int (*charge)(struct mshare_limit *limit, long pages, bool reader);
};

/* region.c */
struct mshare_region *mshare_region_create(u64 id, struct mshare_limit *limit);
void mshare_region_put(struct mshare_region *region);
int mshare_region_lock(struct mshare_region *region);
void mshare_region_unlock(struct mshare_region *region);
u64 mshare_region_size(struct mshare_region *region);
int mshare_region_resize(struct mshare_region *region, u64 size);
void mshare_settle_all(struct mshare_limit *limit);

/**
 * struct mshare_charge - an allocation for a region, while it is going on
 * @memcg: memory cgroup to charge; NULL for the current task's
 * @old: memory cgroup that was active before, if @memcg is set
 * @nested: another such allocation was going on already
 */
struct mshare_charge {
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
	bool nested;
};

void mshare_charge_begin(struct mshare_charge *charge,
			 struct mshare_region *region, bool reader);
bool mshare_charge_end(struct mshare_charge *charge);

/**
 * struct mshare_map_args - an object, and the range to map it at
 * @file: the object
 * @private_object: @file belongs to the region alone
 * @pgoff: offset in the object, in pages
 * @offset: offset in the region in bytes, page-aligned
 * @size: bytes, page-aligned; @offset + @size is within the region
 * @prot: PROT_*
 * @flags: MAP_*, as for mmap(2). MAP_FIXED_NOREPLACE fails if the range has a
 *	mapping; without MAP_FIXED_NOREPLACE old mappings are unmapped
 * @unmapped: out: list for mshare_free_unmapped()
 */
struct mshare_map_args {
	struct file *file;
	bool private_object;
	pgoff_t pgoff;
	u64 offset;
	u64 size;
	unsigned long prot;
	unsigned long flags;
	struct list_head unmapped;
};

/* map.c */
int mshare_map(struct mshare_region *region, struct mshare_map_args *args);
void mshare_free_unmapped(struct list_head *unmapped);
int mshare_unmap(struct mshare_region *region, u64 offset, u64 size);
int mshare_protect(struct mshare_region *region, u64 offset, u64 size,
		   unsigned long prot);

/**
 * struct mshare_object - a mapped object, or the part of it in a range
 * @file: file of the object, with a reference
 * @offset: offset of the mapping in the region, in bytes
 * @from: start of the mapped part in @file, in bytes
 * @to: end of the mapped part in @file, in bytes
 * @vm_flags: VM flags of the mapping
 * @page_shift: log2 of the page size
 * @is_private: the object belongs to the region alone
 */
struct mshare_object {
	struct file *file;
	u64 offset;
	loff_t from;
	loff_t to;
	vm_flags_t vm_flags;
	unsigned int page_shift;
	bool is_private;
};

/* advise.c */
int mshare_find_object(struct mshare_region *region, u64 offset,
		       struct mshare_object *object);
int mshare_next_object(struct mshare_region *region, u64 *offset, u64 end,
		       struct mshare_object *object);
int mshare_advise(struct mshare_region *region, u64 offset, u64 size,
		  int advice);
int mshare_populate(struct mshare_region *region, u64 offset, u64 size);

/* mlock.c */
int mshare_mlock(struct mshare_region *region, u64 offset, u64 size,
		 vm_flags_t vm_flags);

/* attach.c */
struct mshare_attachment *mshare_attach(struct mshare_region *region,
					struct mm_struct *mm);
void mshare_detach(struct mshare_attachment *attachment);

/* window.c */
void mshare_window_init(struct vm_area_struct *vma,
			struct mshare_attachment *attachment);

/**
 * struct mshare_region_stat - statistics of a region
 * @size: size in bytes
 * @mappings: number of VMAs in the host mm
 * @windows: number of windows of all processes
 * @processes: number of attached processes
 * @resident: bytes of resident memory
 * @page_tables: bytes of page tables
 * @locked: bytes of locked mappings
 * @links: number of PUD entries of processes that point at its page tables
 * @faults: number of faults in windows so far
 * @flushes: number of flushes of the attached processes so far
 */
struct mshare_region_stat {
	u64 size;
	u64 mappings;
	u64 windows;
	u64 processes;
	u64 resident;
	u64 page_tables;
	u64 locked;
	u64 links;
	u64 faults;
	u64 flushes;
};

/* stat.c */
void mshare_region_stat(struct mshare_region *region,
			struct mshare_region_stat *stat);

#endif /* _MM_MSHARE_ENGINE_H */
