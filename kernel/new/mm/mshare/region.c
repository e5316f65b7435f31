// SPDX-License-Identifier: GPL-2.0
/*
 * mshare regions: the host mm and its lifetime
 *
 * A region lives as long as the front end or an attached process has a
 * reference. No task owns it: host->owner is NULL, and the memory cgroup of the
 * creator is held by the region. So nothing happens to it when the creator
 * exits.
 *
 * Who finds a region without holding any of these, by the array of all regions,
 * by host->mshare_region or by an attachment, does so under RCU, which keeps
 * the structure, its host mm and its memory cgroup.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <asm/tlb.h>

#include <trace/events/mshare.h>

#include "internal.h"

/*
 * A fault takes the mmap_lock of a host mm inside that of a process. Lockdep
 * has to know that they are not the same.
 */
static struct lock_class_key mshare_host_mmap_lock_key;

/* By index. */
static DEFINE_XARRAY_ALLOC1(regions);

/**
 * mshare_region_find - the region with an index
 * @index: region->index
 *
 * A flush that has been put off remembers the index and not the region, which
 * may be gone when it is made up for: then there is nothing to flush, as the
 * last process has been flushed when it let go of the region (I2).
 *
 * Context: under RCU, for as long as the region is used.
 * Return: the region, or NULL. It may be another one with the same index, for
 * which a flush is not wrong.
 */
struct mshare_region *mshare_region_find(u32 index)
{
	return xa_load(&regions, index);
}

/**
 * mshare_alloc_host - make an mm that no task runs on
 *
 * Return: the mm, which is not a host mm before it has a region; or NULL.
 */
struct mm_struct *mshare_alloc_host(void)
{
	struct mm_struct *host = mm_alloc();

	if (!host)
		return NULL;
	lockdep_set_class(&host->mmap_lock, &mshare_host_mmap_lock_key);
	host->task_size = TASK_SIZE_MAX;
	/* mm_alloc() made it like the caller's: no THP, mlockall(), MDWE ... */
	host->flags = 0;
	host->def_flags = 0;
#ifdef CONFIG_MEMCG
	/* Not reference counted: would dangle when the creator exits. */
	RCU_INIT_POINTER(host->owner, NULL);
#endif
	return host;
}

/*
 * exit_mmap() has removed the VMAs, but frees tables only where VMAs were,
 * and the PMD level and above not at all in a host mm. Nobody is attached:
 * every link was cleared and flushed before its window let go of the region
 * (I2), so the tables can go.
 */
static void free_host_tables(struct mm_struct *host)
{
	struct mmu_gather tlb;

	/* Who reads it without a lock does so under RCU: see memcg.c. */
	RCU_INIT_POINTER(host->mshare_region, NULL);
	tlb_gather_mmu(&tlb, host);
	free_pgd_range(&tlb, MSHARE_HOST_BASE, MSHARE_HOST_END, 0, 0);
	tlb_finish_mmu(&tlb);
}

/**
 * mshare_region_create - make an empty region
 * @id: what trace events are to call it
 * @limit: bounds page tables and mappings; stays until the region is destroyed
 *
 * Charged to the caller's memory cgroup, now and later.
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
	INIT_WORK(&region->prune_work, mshare_prune_work);
	spin_lock_init(&region->attach_lock);

	region->faults = alloc_percpu_gfp(unsigned long, GFP_KERNEL_ACCOUNT);
	if (!region->faults)
		goto free_region;
	region->host = mshare_alloc_host();
	if (!region->host)
		goto free_faults;
	region->id = id;
	region->memcg = get_mem_cgroup_from_mm(current->mm);
	/* Whoever finds the region by it finds all of the above. */
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

/* In process context: the last mmdrop() must not come from a softirq. */
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

/* No window is left, and nobody can make one. current->mm may be NULL. */
static void destroy_region(struct mshare_region *region)
{
	struct mm_struct *host = region->host;

	cancel_work_sync(&region->prune_work);
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

/* For who has a reference, or is given one by the front end. */
void mshare_region_get(struct mshare_region *region)
{
	refcount_inc(&region->refs);
}

/**
 * mshare_region_put - drop a reference
 * @region: with the last one it is destroyed, with all its memory
 *
 * Nobody may attach to the region once the front end has dropped its own.
 *
 * Context: may sleep.
 */
void mshare_region_put(struct mshare_region *region)
{
	if (refcount_dec_and_test(&region->refs))
		destroy_region(region);
}

/**
 * mshare_region_lock - keep others from changing size and windows of a region
 * @region: the region
 *
 * Context: may sleep; inside the mmap_lock of a process.
 * Return: 0, -EINTR when the caller is being killed.
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
 * mshare_region_size - how large a region is
 * @region: the region. It can change at any time if it is not locked
 *
 * Return: bytes, 0 if nothing has been set up.
 */
u64 mshare_region_size(struct mshare_region *region)
{
	return READ_ONCE(region->size);
}

/**
 * mshare_charge_begin - what follows allocates memory for a region
 * @charge: filled in for mshare_charge_end()
 * @region: the region, which stays until then
 * @reader: for a process that may not write the region: it pays itself
 *
 * Nests. Of the host mm's memory, shmem pages are the region's in any case.
 */
void mshare_charge_begin(struct mshare_charge *charge,
			 struct mshare_region *region, bool reader)
{
	charge_begin(charge, region, reader);
}

/**
 * mshare_charge_end - end what mshare_charge_begin() began
 * @charge: from there
 *
 * Return: whether a charge was refused in between, see mshare_refuse_charge().
 */
bool mshare_charge_end(struct mshare_charge *charge)
{
	return charge_end(charge);
}

/**
 * mshare_settle_all - charge what the regions of a limit have
 * @limit: the limit
 *
 * For who reads what is charged. Not all that frees page tables settles at
 * once: khugepaged knows nothing of regions.
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

/**
 * mshare_show_mem - say what regions hold, for the OOM report
 *
 * Memory of regions is in the report as shmem and page cache, and their page
 * tables as page tables, but no process in it has them.
 *
 * Context: any.
 */
void mshare_show_mem(void)
{
	unsigned long count = 0, unused = 0, resident = 0, tables = 0, index;
	struct mshare_region *region, *largest = NULL;

	rcu_read_lock();
	xa_for_each(&regions, index, region) {
		count++;
		unused += !READ_ONCE(region->processes);
		resident += resident_pages(region);
		tables += table_pages(region);
		if (!largest ||
		    resident_pages(region) > resident_pages(largest))
			largest = region;
	}
	if (largest) {
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

/* -EBUSY if anything is. */
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
 * The front end knows whether a window is in the way. One that is just being
 * mapped may not be seen by it: the window then shows a hole.
 *
 * Return: 0, -EINVAL when @size is not a multiple of the unit, -EFBIG, -EBUSY
 * when a mapping is beyond @size, -EINTR when the caller is being killed.
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
