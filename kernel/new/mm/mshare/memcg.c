// SPDX-License-Identifier: GPL-2.0
/*
 * mshare memory cgroups: who pays for the memory and page tables of a region
 *
 * The creator's cgroup, which the region holds, whoever touches the memory and
 * may write it. A process that may only read brings in no memory of a region's
 * own; for page cache of mapped files, and page tables, it pays itself, as for
 * any file.
 *
 * A limit that is met can start the OOM killer. It would find nobody to blame
 * in a cgroup that the current task does not belong to: such a charge is
 * refused instead, see __mshare_refuse_charge().
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "internal.h"

/* See mm_match_cgroup(). */
bool mshare_host_in_memcg(struct mm_struct *host, struct mem_cgroup *memcg)
{
	struct mshare_region *region;
	bool match;

	rcu_read_lock();
	region = mshare_host_region(host);
	match = region && mem_cgroup_is_descendant(region->memcg, memcg);
	rcu_read_unlock();
	return match;
}

/**
 * mshare_get_memcg - who pays for memory that is faulted into a region
 * @region: the region
 *
 * The creator's cgroup. Once that has been removed, the nearest of its parents
 * that has not: nobody can raise the limit of a removed cgroup, nor would
 * the OOM killer find anyone in it.
 *
 * Context: under RCU, or with the region kept otherwise.
 * Return: a cgroup with a reference for mem_cgroup_put(), NULL without memcg.
 */
static struct mem_cgroup *mshare_get_memcg(struct mshare_region *region)
{
	struct mem_cgroup *memcg = region->memcg;

	rcu_read_lock();
	while (memcg && !css_tryget_online(&memcg->css))
		memcg = parent_mem_cgroup(memcg);
	rcu_read_unlock();
	return memcg;
}

/*
 * For get_mem_cgroup_from_mm(). khugepaged and the tracepoints of the mmap_lock
 * come here with no more than mm_count of the host mm held: the region may be
 * in destruction, and is looked up once, under RCU, which keeps its cgroup, too.
 */
struct mem_cgroup *mshare_get_host_memcg(struct mm_struct *host)
{
	struct mem_cgroup *memcg = NULL;
	struct mshare_region *region;

	rcu_read_lock();
	region = mshare_host_region(host);
	mshare_delay_memcg();
	if (region)
		memcg = mshare_get_memcg(region);
	rcu_read_unlock();
	/* Like a mm that has lost its owner. */
	return memcg ?: root_mem_cgroup;
}

/* See mshare_refuse_charge(). */
bool __mshare_refuse_charge(struct mem_cgroup *over_limit)
{
	struct mem_cgroup *mine;
	bool foreign;

	rcu_read_lock();
	mine = mem_cgroup_from_task(current);
	foreign = mine && !mem_cgroup_is_descendant(mine, over_limit);
	rcu_read_unlock();
	if (foreign)
		current->mshare_refused = 1;
	return foreign;
}

/**
 * mshare_charge_begin - what follows allocates memory for a region
 * @charge: filled in for mshare_charge_end()
 * @region: the region
 * @reader: for a process that may not write the region: it pays itself
 *
 * Nests. Of the host mm's memory, shmem pages are the region's in any case.
 */
void mshare_charge_begin(struct mshare_charge *charge,
			 struct mshare_region *region, bool reader)
{
	charge->nested = current->mshare_charging;
	current->mshare_charging = 1;
	charge->memcg = reader ? NULL : mshare_get_memcg(region);
	charge->old = charge->memcg ? set_active_memcg(charge->memcg) : NULL;
}

/**
 * mshare_charge_end - end what mshare_charge_begin() began
 * @charge: from there
 */
void mshare_charge_end(struct mshare_charge *charge)
{
	if (charge->memcg)
		set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
	current->mshare_charging = charge->nested;
}
