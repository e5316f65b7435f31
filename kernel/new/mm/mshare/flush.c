// SPDX-License-Identifier: GPL-2.0
/*
 * mshare flush: a flush of the host mm flushes the attached processes
 *
 * Ordinary mm code edits the leaves and flushes the host mm. That mm runs on no
 * CPU, so its cpumask is empty and the flush itself does nothing. But all
 * flushes of an mm go through flush_tlb_mm_range(), which calls mshare_flush()
 * for a host mm (I4).
 *
 * The cost of a flush depends on the number of CPUs that run attached
 * processes, not on the number of attached processes. A region has a
 * generation. A flush increments the generation, and interrupts the CPUs that
 * have an attached process loaded. A process that is not loaded catches up when
 * a CPU loads it, since its attachment records the generation it has seen.
 *
 *     CPU that flushes             CPU that loads an attached process
 *
 *     clear a leaf                 note which regions it is attached to
 *     increment the generation     smp_mb()
 *     (full barrier)               compare the generations; if behind,
 *     look at what CPUs have noted   mark the process stale, and flush
 *     interrupt those              read the leaf by a link
 *
 * Either the flush finds the note, or the loading CPU finds the generation
 * incremented. The same holds for a CPU that was lazy, because it clears
 * is_lazy first, and for a process that attaches while it runs: all CPUs that
 * run the process note the region before the first link is set. They also
 * compare the generations of all its regions before that, because the note
 * replaces an older one, and a flush that reads parts of both may miss a region
 * of either.
 *
 * A CPU that has not compared the generations yet has interrupts off, and may
 * still walk the page tables of the region. So a flush for page tables that are
 * about to be freed must not miss it: a CPU whose notes change while this flush
 * reads them, which a sequence number tells, counts as running the region.
 *
 * tests/model enumerates the interleavings of two or three CPUs, and the
 * failures when a step of the protocol is left out.
 *
 * Marking a process stale increments the generation of its mm. A CPU that has
 * had the mm loaded before compares this generation. The mark comes before
 * attachment->seen is set:
 *
 *     CPU A, behind                CPU B, loads the same process
 *
 *     mark stale
 *     seen = generation (release)  seen == generation (acquire)
 *                                  read the generation of the mm: marked
 *
 * An interrupted CPU flushes just the changed range, at the addresses of the
 * process's windows, if it has missed no other flush. The CPU can tell because
 * each flush of a region is one step of the process's generation, see
 * arch_mshare_flush(). In all other cases a CPU flushes everything.
 *
 * detach: an attachment is removed after the last link of its process has been
 * cleared and the process has been flushed. The attachment is freed after a
 * grace period, because CPUs look at it with interrupts off. exec and fork:
 * switch_mm_irqs_off() loads a new mm like any other; the child is attached
 * before it runs. A CPU that goes offline has init_mm loaded.
 *
 * mshare_flush() is called under page table locks, with interrupts on.
 *
 * Reclaim and migration unmap many pages one by one. They defer the flushes
 * until they are about to free or copy the first page, and then flush once for
 * all pages.
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
 * mshare_regions_of - list the regions that a process is attached to
 * @mm: the process
 * @index: out: indices of the regions
 * @max: size of @index
 *
 * Context: interrupts off.
 * Return: number of regions, -1 if there are more than @max.
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

/* @generation is the current or a recent one of the region. */
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
 * mshare_catch_up - mark a process stale if it has missed flushes
 * @mm: the process
 *
 * Context: interrupts off. The caller has noted that it loads @mm, then had a
 * full barrier, and reads the generation of @mm next.
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
		/* Acquire: the caller reads the generation of @mm later. */
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
 * mshare_catch_up_flush - let a process catch up with one flush
 * @mm: the process, loaded on this CPU
 * @info: the flush; NULL for all flushes so far
 * @shown: out: places of the process's windows
 *
 * Context: interrupts off.
 * Return: the generation of @mm that stands for this flush alone, so that a CPU
 * at the generation before needs no other flush; 0 if everything has to be
 * flushed.
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
		/* After the mark, as in catch_up(). */
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
 * @host: the host mm of the region; the caller has changed its page tables
 * @start: first address that has changed
 * @end: end of the changed range, MSHARE_FLUSH_ALL for everything
 * @shift: log2 of the page size in the range
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

	/* Full barrier between the change and reading the CPUs' notes. */
	info.generation = atomic64_inc_return(&region->generation);
	cpus = arch_mshare_flush(&info, freed_tables);
	count_flush(region, cpus, freed_tables);
}

/**
 * mshare_defer_flush - defer a flush until mshare_flush_deferred()
 * @batch: batch of the current task
 * @host: the host mm, in which the caller has cleared the entry of a page
 *
 * Until then the page must not be freed or copied, since processes may still
 * use it (I4). Other code that depends on the flush checks tlb_flush_batched of
 * the host mm, as for any mm.
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
	/* The batch is full, which is rare: flush at once. */
	mshare_flush(host, 0, MSHARE_FLUSH_ALL, PAGE_SHIFT, false);
}

static void increment_generation(u32 index)
{
	struct mshare_region *region;

	rcu_read_lock();
	region = mshare_region_find(index);
	/* Full barrier after the entries have been cleared. */
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
 * mshare_flush_deferred - do the deferred flushes of a batch
 * @batch: batch of the current task
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
		/* A region that is gone has no process left to flush. */
		cpus = arch_mshare_flush_all(batch->mshare, nr);
		for (i = 0; i < nr; i++)
			count_deferred(batch->mshare[i], cpus);
	}
	memset(batch->mshare, 0, sizeof(batch->mshare));
}
