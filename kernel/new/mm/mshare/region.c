// SPDX-License-Identifier: GPL-2.0
/*
 * mshare regions: the host mm, its lifetime, and who pays
 *
 * A region lives as long as the front end keeps it, which is as long as a
 * name, an open file or a window refers to it. No task owns it: host->owner
 * is NULL, and the memory cgroup of the creator is held by the region. So
 * nothing happens to it when the creator exits.
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

static struct mm_struct *alloc_host_mm(void)
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

	host->mshare_region = NULL;
	tlb_gather_mmu(&tlb, host);
	free_pgd_range(&tlb, MSHARE_HOST_BASE, MSHARE_HOST_END, 0, 0);
	tlb_finish_mmu(&tlb);
}

/**
 * mshare_region_create - make an empty region
 * @id: what trace events are to call it
 *
 * Charged to the caller's memory cgroup, now and later.
 *
 * Context: may sleep; no mm locks held.
 * Return: the region, or ERR_PTR(-ENOMEM).
 */
struct mshare_region *mshare_region_create(u64 id)
{
	struct mshare_region *region;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);
	mutex_init(&region->lock);
	spin_lock_init(&region->attach_lock);
	INIT_LIST_HEAD(&region->attached);

	region->faults = alloc_percpu_gfp(unsigned long, GFP_KERNEL_ACCOUNT);
	if (!region->faults)
		goto free_region;
	region->host = alloc_host_mm();
	if (!region->host)
		goto free_faults;
	/* The array is everybody's: no cgroup is to be kept by its nodes. */
	if (xa_alloc(&regions, &region->index, region, xa_limit_32b,
		     GFP_KERNEL))
		goto free_host;
	region->host->mshare_region = region;
	region->id = id;
	region->memcg = get_mem_cgroup_from_mm(current->mm);

	mshare_stat_add(MSHARE_STAT_REGIONS, 1);
	trace_mshare_region_create(region->id);
	return region;

free_host:
	mmput(region->host);
free_faults:
	free_percpu(region->faults);
free_region:
	kfree(region);
	return ERR_PTR(-ENOMEM);
}

static void free_region(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct mshare_region, rcu));
}

/**
 * mshare_region_destroy - free a region with all its memory
 * @region: no window is left, and nobody can make one
 *
 * Context: may sleep. current->mm may be NULL.
 */
void mshare_region_destroy(struct mshare_region *region)
{
	struct mm_struct *host = region->host;

	VM_WARN_ON_ONCE(!list_empty(&region->attached));
	VM_WARN_ON_ONCE(atomic_read(&host->mm_users) != 1);

	VM_WARN_ON_ONCE(atomic_long_read(&region->links));
	trace_mshare_region_destroy(region->id);

	xa_erase(&regions, region->index);
	mmgrab(host);
	mmput(host);
	free_host_tables(host);
	host->locked_vm = 0;
	mshare_settle_locked(region);
	mmdrop(host);

	mem_cgroup_put(region->memcg);
	mshare_stat_add(MSHARE_STAT_REGIONS, -1);
	free_percpu(region->faults);
	/* Not with what kfree_rcu() collects for seconds: a cgroup has paid. */
	call_rcu(&region->rcu, free_region);
}

#ifdef CONFIG_MEMCG
/* For comparisons: the region holds the reference, mapped pages the region. */
struct mem_cgroup *mshare_host_memcg(struct mm_struct *host)
{
	return host->mshare_region->memcg;
}

/**
 * mshare_get_memcg - who pays for memory that is faulted into a region
 * @region: the region
 *
 * The creator's cgroup. Once that has been removed, the nearest of its parents
 * that has not: nobody can raise the limit of a removed cgroup, nor would
 * the OOM killer find anyone in it.
 *
 * Return: a cgroup with a reference for mem_cgroup_put(), NULL without memcg.
 */
struct mem_cgroup *mshare_get_memcg(struct mshare_region *region)
{
	struct mem_cgroup *memcg = region->memcg;

	rcu_read_lock();
	while (memcg && !css_tryget_online(&memcg->css))
		memcg = parent_mem_cgroup(memcg);
	rcu_read_unlock();
	return memcg;
}

/* For get_mem_cgroup_from_mm(). */
struct mem_cgroup *mshare_get_host_memcg(struct mm_struct *host)
{
	return mshare_get_memcg(host->mshare_region);
}

/* Whether somebody else than the current task's cgroup pays. */
bool mshare_foreign_memcg(struct mshare_region *region)
{
	struct mem_cgroup *mine;
	bool foreign;

	if (!region->memcg)
		return false;
	rcu_read_lock();
	mine = mem_cgroup_from_task(current);
	foreign = mine && !mem_cgroup_is_descendant(mine, region->memcg);
	rcu_read_unlock();
	return foreign;
}
#endif

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
