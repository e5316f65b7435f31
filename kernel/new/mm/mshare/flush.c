// SPDX-License-Identifier: GPL-2.0
/*
 * mshare flush: a flush of the host mm reaches the processes attached to it
 *
 * Leaves are edited by ordinary mm code, which flushes the host mm. That mm
 * runs nowhere, so its cpumask is empty and the flush itself does nothing. But
 * it ends in mmu_notifier_arch_invalidate_secondary_tlbs(), and for a region
 * the secondary TLBs are the TLBs of the attached processes (I4).
 *
 * All their generations are bumped, and one round of IPIs goes to the union
 * of the CPUs that may be using them. A CPU that runs one of them flushes
 * it; a CPU that is about to will see the new generation when it switches.
 *
 * What is flushed is not told by the notifier exactly enough to do less:
 * page tables may have been freed, so lazy CPUs are included and
 * paging-structure caches dropped, and the address differs from window to
 * window, so it is everything the process has.
 *
 * The callback runs under page table locks, with interrupts on. The list is
 * walked under RCU: concurrent flushes do not wait for each other.
 */
#include <linux/debugfs.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include "internal.h"

static DEFINE_PER_CPU(struct cpumask, flush_cpus);

#ifdef CONFIG_MSHARE_DEBUG
static bool no_flush;

static bool flush_disabled(void)
{
	return unlikely(READ_ONCE(no_flush));
}

static int __init mshare_debug_init(void)
{
	debugfs_create_bool("no_flush", 0600,
			    debugfs_create_dir("mshare", NULL), &no_flush);
	return 0;
}
late_initcall(mshare_debug_init);
#else
static bool flush_disabled(void)
{
	return false;
}
#endif

static void mshare_flush_attached(struct mmu_notifier *notifier,
				  struct mm_struct *host, unsigned long start,
				  unsigned long end)
{
	struct mshare_region *region = container_of(notifier,
						    struct mshare_region,
						    notifier);
	struct mshare_window *window;
	struct cpumask *cpus;

	if (flush_disabled())
		return;

	/* Not from interrupts, so one mask for each CPU is enough. */
	preempt_disable();
	cpus = this_cpu_ptr(&flush_cpus);
	cpumask_clear(cpus);

	rcu_read_lock();
	list_for_each_entry_rcu(window, &region->windows, node)
		arch_mshare_flush_add(cpus, window->mm);
	rcu_read_unlock();

	arch_mshare_flush(cpus);
	preempt_enable();
}

const struct mmu_notifier_ops mshare_notifier_ops = {
	.arch_invalidate_secondary_tlbs	= mshare_flush_attached,
};
