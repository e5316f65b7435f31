// SPDX-License-Identifier: GPL-2.0
/*
 * mshare memory cgroups: charging the memory and page tables of a region
 *
 * The creator's cgroup, which the region holds, is charged for all processes
 * that may write the region. A process that may only read allocates no memory
 * of the region. Its own cgroup is charged for page cache of mapped files and
 * for page tables, as for any file.
 *
 * A charge at the limit can start the OOM killer. If the current task is not in
 * the full cgroup, the charge is refused instead, because the OOM killer would
 * find no task there that asked for the memory. See __mshare_refuse_charge().
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

/*
 * For get_mem_cgroup_from_mm(). khugepaged and the tracepoints of the mmap_lock
 * hold only mm_count of the host mm, so the region may be under destruction.
 * Look it up once, under RCU, which keeps its cgroup as well.
 */
struct mem_cgroup *mshare_get_host_memcg(struct mm_struct *host)
{
	struct mem_cgroup *memcg = NULL;
	struct mshare_region *region;

	rcu_read_lock();
	region = mshare_host_region(host);
	mshare_delay_memcg();
	if (region)
		memcg = mshare_memcg(region);
	if (memcg)
		css_get(&memcg->css);
	rcu_read_unlock();
	/* As for an mm that has lost its owner. */
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
