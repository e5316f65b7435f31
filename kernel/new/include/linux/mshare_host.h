/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mshare: host mms, for headers that nearly everything includes.
 *
 * The interface for the rest of mm is in mshare.h. Keep this file small, since
 * a change to it rebuilds the kernel.
 */
#ifndef _LINUX_MSHARE_HOST_H
#define _LINUX_MSHARE_HOST_H

#include <linux/mm_types.h>
#include <linux/rcupdate.h>

struct mem_cgroup;

#ifdef CONFIG_MSHARE

/* No task runs on @mm: it owns the VMAs and page tables of a region. */
static inline bool mm_is_mshare_host(const struct mm_struct *mm)
{
	return rcu_access_pointer(mm->mshare_region);
}

#else

static inline bool mm_is_mshare_host(const struct mm_struct *mm)
{
	return false;
}

#endif

bool mshare_host_in_memcg(struct mm_struct *host, struct mem_cgroup *memcg);
struct mem_cgroup *mshare_get_host_memcg(struct mm_struct *host);

#endif /* _LINUX_MSHARE_HOST_H */
