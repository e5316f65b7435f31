// SPDX-License-Identifier: GPL-2.0
/*
 * mshare flush: a flush of the host mm reaches the processes attached to it
 *
 * Leaves are edited by ordinary mm code, which flushes the host mm. That mm
 * runs nowhere, so its cpumask is empty and the flush itself does nothing. But
 * flush_tlb_mm_range(), which all flushes of an mm come to, then calls here,
 * and the processes on the region's list are flushed (I4).
 *
 * All their generations are bumped, and one round of IPIs goes to the union
 * of the CPUs that may be using them. A CPU that runs one of them flushes it;
 * a CPU that is about to will see the new generation when it switches. Lazy
 * CPUs are interrupted only if page tables were freed.
 *
 * The address differs from window to window, so what is flushed is everything
 * the process has.
 *
 * Called under page table locks, with interrupts on. The list is walked under
 * RCU: concurrent flushes do not wait for each other.
 *
 * Reclaim and migration, which unmap many pages one by one, put flushes off
 * until they want to free or copy the first of them, and make up for all in one
 * round.
 */
#include <linux/percpu.h>
#include <linux/smp.h>

#include <trace/events/mshare.h>

#include "internal.h"

static DEFINE_PER_CPU(struct cpumask, flush_cpus);

static bool flush_disabled(void)
{
	return unlikely(READ_ONCE(mshare_no_flush));
}

/*
 * Bump the generations of all that are attached, and add their CPUs.
 *
 * CPUs set and clear their bits meanwhile, which is harmless: one that sets its
 * bit too late for this reads the new generation after that, see
 * switch_mm_irqs_off(); one too many is interrupted for nothing.
 */
static void flush_attached(struct mshare_region *region, struct cpumask *cpus,
			   bool freed_tables)
{
	struct mshare_attachment *attachment;

	list_for_each_entry_rcu(attachment, &region->attached, node)
		arch_mshare_flush_add(cpus, attachment->mm);

	mshare_count_flush(region);
	if (trace_mshare_flush_enabled())
		trace_mshare_flush(region->id, READ_ONCE(region->processes),
				   cpumask_weight(cpus), freed_tables);
}

/**
 * mshare_flush - flush all processes that are attached to a region
 * @host: the region's mm, which the caller has changed
 * @freed_tables: page tables are about to be freed
 *
 * Context: interrupts on; may hold page table locks.
 */
void mshare_flush(struct mm_struct *host, bool freed_tables)
{
	struct cpumask *cpus;

	if (flush_disabled())
		return;

	/* Not from interrupts, so one mask for each CPU is enough. */
	preempt_disable();
	cpus = this_cpu_ptr(&flush_cpus);
	cpumask_clear(cpus);

	rcu_read_lock();
	flush_attached(mshare_host_region(host), cpus, freed_tables);
	rcu_read_unlock();

	arch_mshare_flush(cpus, freed_tables);
	preempt_enable();
}

/**
 * mshare_defer_flush - put a flush off until mshare_flush_deferred()
 * @batch: of the current task
 * @host: the host mm, in which the caller has cleared an entry of a page. Its
 *	generation has been incremented since, which orders the two like the
 *	attaching side expects, see mshare_attach()
 *
 * Until then nothing must happen to the page that relies on nobody using it
 * (I4). Whoever else depends on the entry being flushed finds that from
 * tlb_flush_batched of the host mm, as for any other.
 *
 * Context: under a page table lock of @host, interrupts on.
 */
void mshare_defer_flush(struct tlbflush_unmap_batch *batch,
			struct mm_struct *host)
{
	u32 index = mshare_host_region(host)->index;
	int i;

	for (i = 0; i < ARRAY_SIZE(batch->mshare); i++) {
		if (batch->mshare[i] == index)
			return;
		if (!batch->mshare[i]) {
			batch->mshare[i] = index;
			return;
		}
	}
	/* Pages of so many regions in turn do not come often. */
	mshare_flush(host, false);
}

/**
 * mshare_flush_deferred - flush what has been put off
 * @batch: of the current task. arch_tlbbatch_flush() comes next and sends the
 *	IPIs
 */
void mshare_flush_deferred(struct tlbflush_unmap_batch *batch)
{
	struct mshare_region *region;
	int i;

	for (i = 0; i < ARRAY_SIZE(batch->mshare) && batch->mshare[i]; i++) {
		rcu_read_lock();
		region = mshare_region_find(batch->mshare[i]);
		if (region && !flush_disabled())
			flush_attached(region, &batch->arch.cpumask, false);
		rcu_read_unlock();
		batch->mshare[i] = 0;
	}
}
