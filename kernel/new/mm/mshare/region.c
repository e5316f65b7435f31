// SPDX-License-Identifier: GPL-2.0
/*
 * mshare regions: the host mm and its lifetime
 *
 * A region lives as long as the front end or an attached process has a
 * reference. The exit of the creator does not affect the region, because no
 * task owns it: host->owner is NULL, and the region itself holds the memory
 * cgroup of the creator.
 *
 * Code without a reference finds a region under RCU, by the array of all
 * regions, by host->mshare_region or by an attachment. RCU keeps the structure,
 * its host mm and its memory cgroup.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "internal.h"

/*
 * A fault takes the mmap_lock of a host mm inside the mmap_lock of a process.
 * The host mm has its own class so that lockdep tells the two apart.
 */
static struct lock_class_key mshare_host_mmap_lock_key;

/* All regions, by index. */
static DEFINE_XARRAY_ALLOC1(regions);

/**
 * mshare_region_find - find a region by its index
 * @index: region->index
 *
 * A deferred flush records the index because the region may be gone by the time
 * of the flush. Then nothing is left to flush, since the last process was
 * flushed before it dropped its reference (I2).
 *
 * Context: under RCU for as long as the region is used.
 * Return: the region, or NULL. A new region may have got the same index; an
 * extra flush of that region does no harm.
 */
struct mshare_region *mshare_region_find(u32 index)
{
	return xa_load(&regions, index);
}

/**
 * mshare_alloc_host - make an mm that no task runs on
 *
 * Return: the mm, which becomes a host mm when it gets a region; or NULL.
 */
struct mm_struct *mshare_alloc_host(void)
{
	struct mm_struct *host = mm_alloc();

	if (!host)
		return NULL;
	lockdep_set_class(&host->mmap_lock, &mshare_host_mmap_lock_key);
	host->task_size = TASK_SIZE_MAX;
	/* mm_alloc() copied the caller's settings: THP, mlockall(), MDWE ... */
	host->flags = 0;
	host->def_flags = 0;
#ifdef CONFIG_MEMCG
	/* The owner is not reference counted: it would dangle after exit. */
	RCU_INIT_POINTER(host->owner, NULL);
#endif
	return host;
}

/*
 * exit_mmap() has removed the VMAs. It frees PTE tables only where there were
 * VMAs, and in a host mm no tables above. The tables can go now since no
 * process is attached: every link was cleared and flushed before its window
 * dropped the region (I2).
 */
static void free_host_tables(struct mm_struct *host)
{
	struct mmu_gather tlb;

	/*
	 * No longer a host mm: free_pgd_range() then frees all levels. Readers
	 * without a lock are under RCU, see memcg.c.
	 */
	RCU_INIT_POINTER(host->mshare_region, NULL);
	tlb_gather_mmu(&tlb, host);
	free_pgd_range(&tlb, MSHARE_HOST_BASE, MSHARE_HOST_END, 0, 0);
	tlb_finish_mmu(&tlb);
}

/**
 * mshare_free_scratch - free an mm from mshare_alloc_host() that has no region
 * @scratch: the mm
 *
 * A driver's mmap method that fails may leave page tables without a VMA, which
 * exit_mmap() does not free.
 */
void mshare_free_scratch(struct mm_struct *scratch)
{
	mmgrab(scratch);
	mmput(scratch);
	free_host_tables(scratch);
	mmdrop(scratch);
}

/**
 * mshare_region_create - make an empty region
 * @id: identifies the region in trace events
 * @limit: bounds page tables and mappings; stays until the region is destroyed
 *
 * The region is charged to the caller's memory cgroup, now and later.
 *
 * Context: may sleep; no mm locks held.
 * Return: the region, or ERR_PTR(-ENOMEM).
 */
struct mshare_region *mshare_region_create(u64 id,
					   struct mshare_limit *limit)
{
	struct mshare_region *region;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);
	refcount_set(&region->refs, 1);
	mutex_init(&region->lock);
	spin_lock_init(&region->charge_lock);
	region->limit = limit;
	INIT_DELAYED_WORK(&region->prune_work, mshare_prune_work);
	spin_lock_init(&region->attach_lock);

	region->faults = alloc_percpu_gfp(unsigned long, GFP_KERNEL_ACCOUNT);
	if (!region->faults)
		goto free_region;
	region->host = mshare_alloc_host();
	if (!region->host)
		goto free_faults;
	region->id = id;
	region->memcg = get_mem_cgroup_from_mm(current->mm);
	/* Readers of the pointer see all fields set above. */
	rcu_assign_pointer(region->host->mshare_region, region);
	/*
	 * The array is global: do not charge its nodes, they would pin a dead
	 * memory cgroup.
	 */
	if (xa_alloc(&regions, &region->index, region, xa_limit_32b,
		     GFP_KERNEL))
		goto free_host;

	mshare_stat_add(MSHARE_STAT_REGIONS, 1);
	trace_mshare_region_create(region->id);
	return region;

free_host:
	mem_cgroup_put(region->memcg);
	RCU_INIT_POINTER(region->host->mshare_region, NULL);
	mmput(region->host);
free_faults:
	free_percpu(region->faults);
free_region:
	kfree(region);
	return ERR_PTR(-ENOMEM);
}

/* In process context, because a softirq must not do the last mmdrop(). */
static void free_region_work(struct work_struct *work)
{
	struct mshare_region *region =
		container_of(to_rcu_work(work), struct mshare_region,
			     free_work);

	mmdrop(region->host);
	mem_cgroup_put(region->memcg);
	free_percpu(region->faults);
	kfree(region);
}

/* No window is left and none can be made. current->mm may be NULL. */
static void destroy_region(struct mshare_region *region)
{
	struct mm_struct *host = region->host;

	cancel_delayed_work_sync(&region->prune_work);
	VM_WARN_ON_ONCE(region->processes || region->windows);
	VM_WARN_ON_ONCE(atomic_read(&host->mm_users) != 1);

	VM_WARN_ON_ONCE(atomic_long_read(&region->links));
	trace_mshare_region_destroy(region->id);

	xa_erase(&regions, region->index);
	mmgrab(host);
	mmput(host);
	free_host_tables(host);
	host->locked_vm = 0;
	mshare_settle_locked(region);
	mshare_uncharge(region);
	mshare_stat_add(MSHARE_STAT_REGIONS, -1);

	/* Not kfree_rcu(): it may batch for seconds, and this pins a memcg. */
	INIT_RCU_WORK(&region->free_work, free_region_work);
	queue_rcu_work(system_wq, &region->free_work);
}

/* The caller has a reference, or relies on the front end's. */
void mshare_region_get(struct mshare_region *region)
{
	refcount_inc(&region->refs);
}

/**
 * mshare_region_put - drop a reference
 * @region: the region, destroyed with its memory by the last reference
 *
 * No process may attach once the front end has dropped its reference.
 *
 * Context: may sleep.
 */
void mshare_region_put(struct mshare_region *region)
{
	if (refcount_dec_and_test(&region->refs))
		destroy_region(region);
}

/**
 * mshare_region_lock - keep size and windows of a region from changing
 * @region: the region
 *
 * Context: may sleep; inside the mmap_lock of a process.
 * Return: 0, -EINTR if the caller is being killed.
 */
int mshare_region_lock(struct mshare_region *region)
{
	return mutex_lock_killable(&region->lock);
}

void mshare_region_unlock(struct mshare_region *region)
{
	mutex_unlock(&region->lock);
}

/**
 * mshare_region_size - the size of a region
 * @region: the region. The size can change at any time if it is not locked
 *
 * Return: bytes, 0 before the region is set up.
 */
u64 mshare_region_size(struct mshare_region *region)
{
	return READ_ONCE(region->size);
}

/**
 * mshare_charge_begin - charge the allocations that follow to a region
 * @charge: filled in for mshare_charge_end()
 * @region: the region, which stays until then
 * @reader: the process may not write the region: charge its own memory cgroup
 *
 * Calls nest. shmem pages allocated in the host mm are charged to the region in
 * any case.
 */
void mshare_charge_begin(struct mshare_charge *charge,
			 struct mshare_region *region, bool reader)
{
	charge_begin(charge, region, reader);
}

/**
 * mshare_charge_end - stop charging allocations to a region
 * @charge: from mshare_charge_begin()
 *
 * Return: whether a charge was refused in between, see mshare_refuse_charge().
 */
bool mshare_charge_end(struct mshare_charge *charge)
{
	return charge_end(charge);
}

/**
 * mshare_settle_all - set the charge of all regions of a limit to their use
 * @limit: the limit
 *
 * Call before the charge is reported. Not all code that frees page tables
 * settles the charge: khugepaged, for example, is not aware of regions.
 *
 * Context: may sleep.
 */
void mshare_settle_all(struct mshare_limit *limit)
{
	struct mshare_region *region;
	unsigned long index;

	rcu_read_lock();
	xa_for_each(&regions, index, region) {
		if (READ_ONCE(region->limit) == limit)
			mshare_settle(region, 0);
		if (need_resched()) {
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
}

static unsigned long resident_pages(struct mshare_region *region)
{
	return get_mm_rss(region->host) +
	       get_mm_counter(region->host, MM_SWAPENTS);
}

static unsigned long table_pages(struct mshare_region *region)
{
	return mm_pgtables_bytes(region->host) >> PAGE_SHIFT;
}

/* See mshare_oom_pages(). */
unsigned long __mshare_oom_pages(struct mm_struct *mm)
{
	struct mshare_attachment *attachment;
	struct mshare_region *region;
	unsigned long pages = 0;

	rcu_read_lock();
	hlist_for_each_entry_rcu(attachment, &mm->mshare_attachments, node) {
		region = attachment->region;
		pages += (resident_pages(region) + table_pages(region)) /
			 max(READ_ONCE(region->processes), 1UL);
	}
	rcu_read_unlock();
	return pages;
}

/* The report can be made with interrupts off, and users make many regions. */
#define SHOWN_REGIONS	8192UL

/**
 * mshare_show_mem - report the memory of regions, for the OOM report
 *
 * The report counts memory of regions as shmem and page cache, and their page
 * tables as page tables, but lists them with no process.
 *
 * Context: any.
 */
void mshare_show_mem(void)
{
	unsigned long count = 0, unused = 0, resident = 0, tables = 0, index;
	struct mshare_region *region, *largest = NULL;

	rcu_read_lock();
	xa_for_each(&regions, index, region) {
		if (++count > SHOWN_REGIONS)
			break;
		unused += !READ_ONCE(region->processes);
		resident += resident_pages(region);
		tables += table_pages(region);
		if (!largest ||
		    resident_pages(region) > resident_pages(largest))
			largest = region;
	}
	if (largest) {
		if (count > SHOWN_REGIONS)
			pr_warn("mshare: more than %lu regions, of which:\n",
				SHOWN_REGIONS);
		count = min(count, SHOWN_REGIONS);
		pr_warn("mshare: %lu regions, %lu without a process: %lukB mapped, %lukB page tables\n",
			count, unused, resident << (PAGE_SHIFT - 10),
			tables << (PAGE_SHIFT - 10));
		pr_warn("mshare: largest region: inode %llu, %lukB mapped, %lukB page tables, %lu processes\n",
			largest->id,
			resident_pages(largest) << (PAGE_SHIFT - 10),
			table_pages(largest) << (PAGE_SHIFT - 10),
			READ_ONCE(largest->processes));
	}
	rcu_read_unlock();
}

/* Return -EBUSY if there is a mapping beyond @offset. */
static int mapped_beyond(struct mshare_region *region, u64 offset)
{
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(region->host))
		return -EINTR;
	vma = find_vma(region->host, MSHARE_HOST_BASE + offset);
	mmap_read_unlock(region->host);
	return vma ? -EBUSY : 0;
}

/**
 * mshare_region_resize - set the size of a region
 * @region: with region->lock held
 * @size: bytes
 *
 * The front end checks for windows beyond @size. It may miss a window that is
 * just being mapped: the window then shows a hole.
 *
 * Return: 0, -EINVAL if @size is not a multiple of the unit, -EFBIG, -EBUSY if
 * there is a mapping beyond @size, -EINTR if the caller is being killed.
 */
int mshare_region_resize(struct mshare_region *region, u64 size)
{
	int err;

	lockdep_assert_held(&region->lock);

	if (!IS_ALIGNED(size, MSHARE_UNIT))
		return -EINVAL;
	if (size > MSHARE_MAX_SIZE)
		return -EFBIG;
	err = size < region->size ? mapped_beyond(region, size) : 0;
	if (err)
		return err;
	WRITE_ONCE(region->size, size);
	return 0;
}
