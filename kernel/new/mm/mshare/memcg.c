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
		memcg = mshare_memcg(region);
	if (memcg)
		css_get(&memcg->css);
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
