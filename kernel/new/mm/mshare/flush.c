// SPDX-License-Identifier: GPL-2.0
/*
 * mshare flush: a flush of the host mm reaches the processes attached to it
 *
 * Leaves are edited by ordinary mm code, which flushes the host mm. That mm
 * runs nowhere, so its cpumask is empty and the flush itself does nothing. But
 * flush_tlb_mm_range(), which all flushes of an mm come to, then calls here (I4).
 *
 * What a flush costs depends on the CPUs that run attached processes, and not on
 * how many processes are attached. A region has a generation. A flush increments
 * it, and interrupts the CPUs that have an attached process loaded. A process
 * that is not loaded catches up when a CPU loads it: its attachment knows the
 * generation it has seen last.
 *
 *     CPU that flushes             CPU that loads an attached process
 *
 *     clear a leaf                 note which regions it is attached to
 *     increment the generation     smp_mb()
 *     (full barrier)               compare the generations; if behind,
 *     look at what CPUs have noted   mark the process stale, and flush
 *     interrupt those              read the leaf by a link
 *
 * Either the flush finds the note, or the generation is found incremented. The
 * same holds for a CPU that was lazy, which clears is_lazy first, and for a
 * process that attaches while it runs: all CPUs that run it note so, and compare
 * the generations of all its regions, before the first link is set. That note
 * replaces another, and a flush that reads both may miss a region of either.
 *
 * tests/model enumerates what two or three CPUs can do, in any order, and what
 * goes wrong when a step of this is left out.
 *
 * Marking a process stale increments the generation of its mm, which all CPUs
 * compare that had it loaded before. That is done before attachment->seen says
 * so:
 *
 *     CPU A, behind                CPU B, loads the same process
 *
 *     mark stale
 *     seen = generation (release)  seen == generation (acquire)
 *                                  read the generation of the mm: marked
 *
 * An interrupted CPU flushes the range that was changed, where the process has
 * its windows, if that is all it missed: each flush of a region is one step of
 * the process's generation, see arch_mshare_flush(). Everybody else flushes
 * everything.
 *
 * detach: an attachment goes when its process has no link any more and has been
 * flushed as a process. It is freed after a grace period, as CPUs look at it with
 * interrupts off. exec and fork: a new mm is loaded by switch_mm_irqs_off() like
 * any other; the child is attached before it runs. A CPU that goes offline has
 * init_mm loaded.
 *
 * Called under page table locks, with interrupts on.
 *
 * Reclaim and migration, which unmap many pages one by one, put flushes off
 * until they want to free or copy the first of them, and make up for all in one
 * round.
 */
#include <linux/mm_types_task.h>
#include <linux/rculist.h>

#include <trace/events/mshare.h>

#include "internal.h"

static bool flush_disabled(void)
{
	return unlikely(READ_ONCE(mshare_no_flush));
}

/**
 * mshare_regions_of - the regions that a process is attached to
 * @mm: the process
 * @index: out: their indices
 * @max: how many there is room for
 *
 * Context: interrupts off.
 * Return: how many, -1 for more than @max.
 */
int mshare_regions_of(struct mm_struct *mm, u32 *index, int max)
{
	struct mshare_attachment *attachment;
	int nr = 0;

	hlist_for_each_entry_rcu(attachment, &mm->mshare_attachments, node,
				 irqs_disabled()) {
		if (nr == max)
			return -1;
		WRITE_ONCE(index[nr++], attachment->region->index);
	}
	return nr;
}

/* @generation is the region's now or since a moment ago. */
static void catch_up(struct mshare_attachment *attachment, u64 generation)
{
	lockdep_assert_held(&attachment->lock);

	if (attachment->seen >= generation)
		return;
	arch_mshare_mark_stale(attachment->mm);
	attachment->step = 0;
	/* After the mark: see the head of this file. */
	smp_store_release(&attachment->seen, generation);
}

/**
 * mshare_catch_up - a process may have missed flushes
 * @mm: the process. If so, it is marked stale
 *
 * Context: interrupts off; the caller has noted that it loads @mm, and then had
 * a full barrier. It reads the generation of @mm next.
 */
void mshare_catch_up(struct mm_struct *mm)
{
	struct mshare_attachment *attachment;
	u64 generation;

	if (unlikely(READ_ONCE(mshare_no_catch_up)))
		return;

	hlist_for_each_entry_rcu(attachment, &mm->mshare_attachments, node,
				 irqs_disabled()) {
		generation = atomic64_read(&attachment->region->generation);
		/* Before the generation of @mm is read. */
		if (likely(smp_load_acquire(&attachment->seen) == generation))
			continue;
		raw_spin_lock(&attachment->lock);
		catch_up(attachment, generation);
		raw_spin_unlock(&attachment->lock);
	}
}

static void tell_shown(const struct mshare_attachment *attachment,
		       struct mshare_shown *shown)
{
	int i;

	shown->nr = 0;
	if (attachment->others)
		return;
	for (i = 0; i < MSHARE_SHOWN; i++)
		if (attachment->shown[i].windows)
			shown->delta[shown->nr++] = attachment->shown[i].delta;
}

static struct mshare_attachment *find_by_index(struct mm_struct *mm, u32 index)
{
	struct mshare_attachment *attachment;

	hlist_for_each_entry_rcu(attachment, &mm->mshare_attachments, node,
				 irqs_disabled())
		if (attachment->region->index == index)
			return attachment;
	return NULL;
}

/**
 * mshare_catch_up_flush - one flush has come to a CPU that runs a process
 * @mm: the process
 * @info: of the flush; NULL for all flushes that there have been
 * @shown: out: where the process has its windows
 *
 * Context: interrupts off.
 * Return: the generation of @mm for which nothing but this flush is needed, if
 * the one before has been flushed; 0 if everything has to be flushed.
 */
u64 mshare_catch_up_flush(struct mm_struct *mm,
			  const struct mshare_flush_info *info,
			  struct mshare_shown *shown)
{
	struct mshare_attachment *attachment;
	u64 step = 0;

	if (!info) {
		mshare_catch_up(mm);
		return 0;
	}
	attachment = find_by_index(mm, info->index);
	if (!attachment)
		return 0;

	raw_spin_lock(&attachment->lock);
	if (attachment->seen + 1 == info->generation) {
		attachment->step = arch_mshare_mark_stale(mm);
		/* After the mark, too. */
		smp_store_release(&attachment->seen, info->generation);
	} else {
		catch_up(attachment, info->generation);
	}
	if (attachment->seen == info->generation) {
		step = attachment->step;
		tell_shown(attachment, shown);
	}
	raw_spin_unlock(&attachment->lock);
	return step;
}

static void count_flush(struct mshare_region *region, int cpus,
			bool freed_tables)
{
	mshare_count_flush(region);
	trace_mshare_flush(region->id, READ_ONCE(region->processes), cpus,
			   freed_tables);
}

/**
 * mshare_flush - flush all processes that are attached to a region
 * @host: the region's mm, which the caller has changed
 * @start: first address that has changed
 * @end: after the last, MSHARE_FLUSH_ALL for everything
 * @shift: log2 of the size of the pages there
 * @freed_tables: page tables are about to be freed
 *
 * Context: interrupts on; may hold page table locks.
 */
void mshare_flush(struct mm_struct *host, unsigned long start,
		  unsigned long end, unsigned int shift, bool freed_tables)
{
	struct mshare_region *region = mshare_host_region(host);
	struct mshare_flush_info info = {
		.index	= region->index,
		.start	= start,
		.end	= end,
		.shift	= shift,
	};
	int cpus;

	if (flush_disabled())
		return;

	/* A full barrier. */
	info.generation = atomic64_inc_return(&region->generation);
	cpus = arch_mshare_flush(&info, freed_tables);
	count_flush(region, cpus, freed_tables);
}

/**
 * mshare_defer_flush - put a flush off until mshare_flush_deferred()
 * @batch: of the current task
 * @host: the host mm, in which the caller has cleared an entry of a page
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
	mshare_flush(host, 0, MSHARE_FLUSH_ALL, PAGE_SHIFT, false);
}

static void increment_generation(u32 index)
{
	struct mshare_region *region;

	rcu_read_lock();
	region = mshare_region_find(index);
	/* A full barrier after the entries have been cleared. */
	if (region)
		atomic64_inc_return(&region->generation);
	rcu_read_unlock();
}

static void count_deferred(u32 index, int cpus)
{
	struct mshare_region *region;

	rcu_read_lock();
	region = mshare_region_find(index);
	if (region)
		count_flush(region, cpus, false);
	rcu_read_unlock();
}

/**
 * mshare_flush_deferred - flush what has been put off
 * @batch: of the current task
 *
 * Context: interrupts on; may sleep or not.
 */
void mshare_flush_deferred(struct tlbflush_unmap_batch *batch)
{
	int i, nr, cpus;

	if (likely(!batch->mshare[0]))
		return;

	for (nr = 0; nr < ARRAY_SIZE(batch->mshare) && batch->mshare[nr]; nr++)
		if (!flush_disabled())
			increment_generation(batch->mshare[nr]);
	if (!flush_disabled()) {
		/* A region that has gone has nobody attached. */
		cpus = arch_mshare_flush_all(batch->mshare, nr);
		for (i = 0; i < nr; i++)
			count_deferred(batch->mshare[i], cpus);
	}
	memset(batch->mshare, 0, sizeof(batch->mshare));
}
