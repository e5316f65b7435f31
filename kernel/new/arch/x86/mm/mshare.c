// SPDX-License-Identifier: GPL-2.0
/*
 * mshare on x86: find and flush the CPUs that run processes of a region
 *
 * switch_mm_irqs_off() calls arch_mshare_switch() when it loads a process that
 * is attached to regions. The CPU notes these regions, so that a flush finds
 * them, and then checks whether one of them was flushed while the process was
 * not loaded. The head of mm/mshare/flush.c has the order of the two steps
 * against a flush.
 *
 * The generations that all flushes of an mm use tell whether a CPU is stale. A
 * flush of a region increments the generation of each process once, on the
 * first CPU that notices the flush. A CPU that is behind by this one generation
 * flushes only the changed range. The rules are those of flush_tlb_func().
 */
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/mshare.h>
#include <linux/seqlock.h>
#include <linux/smp.h>

#include <asm/tlbflush.h>

#include <trace/events/tlb.h>

/* Enough for most processes. A process with more counts as in all regions. */
#define LOADED_REGIONS	12
#define LOADED_ANY	U32_MAX

/* As for ordinary flushes, more pages than this flush everything. */
#define PAGES_CEILING	33

/**
 * struct loaded - the regions that a CPU may use
 * @mm: the process with these regions. Valid only while cpu_tlbstate.loaded_mm
 *	is the same or LOADED_MM_SWITCHING, because it is never reset
 * @seq: odd while the other members are written
 * @nr: number of regions that @mm is attached to, or LOADED_ANY
 * @region: indices of the regions
 *
 * Written by the CPU itself with interrupts off, read by all CPUs.
 */
struct loaded {
	struct mm_struct *mm;
	seqcount_t seq;
	u32 nr;
	u32 region[LOADED_REGIONS];
};

static DEFINE_PER_CPU_SHARED_ALIGNED(struct loaded, loaded_regions);
static DEFINE_PER_CPU(struct cpumask, flush_cpus);

static_assert(MSHARE_FLUSH_ALL == TLB_FLUSH_ALL);

/*
 * A flush that reads the notes while they are written may find the old number
 * with the new indices, and miss a region that the process stays attached to.
 * The caller therefore compares the generations of the regions next, with
 * interrupts off. This is too late if the flush frees page tables, because the
 * CPU may walk them until then. So such a flush looks at @seq, see cpu_runs().
 */
static void note_regions(struct mm_struct *mm)
{
	struct loaded *loaded = this_cpu_ptr(&loaded_regions);
	int nr;

	raw_write_seqcount_begin(&loaded->seq);
	WRITE_ONCE(loaded->nr, LOADED_ANY);
	/* Before the indices change. */
	smp_wmb();
	WRITE_ONCE(loaded->mm, mm);
	nr = mshare_regions_of(mm, loaded->region, LOADED_REGIONS);
	/* All indices before their number. */
	smp_wmb();
	WRITE_ONCE(loaded->nr, nr < 0 ? LOADED_ANY : nr);
	raw_write_seqcount_end(&loaded->seq);
}

/**
 * arch_mshare_switch - note and check the regions of a process to be loaded
 * @mm: the process
 *
 * Context: switch_mm_irqs_off(), interrupts off, before it reads the generation
 * of @mm.
 */
void arch_mshare_switch(struct mm_struct *mm)
{
	note_regions(mm);
	/* The notes before the generations of the regions. */
	smp_mb();
	mshare_catch_up(mm);
}

static bool has_noted(const struct loaded *loaded, u32 index)
{
	u32 nr = READ_ONCE(loaded->nr), i;

	if (nr == LOADED_ANY)
		return true;
	/* The number before the indices, see note_regions(). */
	smp_rmb();
	for (i = 0; i < nr; i++)
		if (READ_ONCE(loaded->region[i]) == index)
			return true;
	return false;
}

/*
 * If the notes change meanwhile, and page tables are about to be freed, the CPU
 * counts as running the region: has_noted() may have missed it. The number of
 * notes does not tell, because it is the same after a detach and an attach.
 */
static bool cpu_runs(int cpu, u32 index, bool freed_tables)
{
	struct mm_struct *mm = READ_ONCE(per_cpu(cpu_tlbstate.loaded_mm, cpu));
	const struct loaded *loaded = per_cpu_ptr(&loaded_regions, cpu);
	bool noted, changed;
	unsigned int seq;

	if (mm != LOADED_MM_SWITCHING && mm != READ_ONCE(loaded->mm))
		return false;
	if (!freed_tables &&
	    READ_ONCE(per_cpu(cpu_tlbstate_shared.is_lazy, cpu)))
		return false;
	seq = raw_seqcount_begin(&loaded->seq);
	noted = has_noted(loaded, index);
	changed = read_seqcount_retry(&loaded->seq, seq);
	return noted || (freed_tables && changed);
}

/*
 * A CPU that loads another process notes the regions of the new process some
 * instructions before it writes CR3. Until then the CPU may walk page tables of
 * the old process, with interrupts off.
 */
static bool cpu_switches(int cpu)
{
	/* After the notes have been read. */
	smp_rmb();
	return READ_ONCE(per_cpu(cpu_tlbstate.loaded_mm, cpu)) ==
	       LOADED_MM_SWITCHING;
}

/* Call after a full barrier. */
static void add_loaded(struct cpumask *cpus, u32 index, bool freed_tables)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (cpu_runs(cpu, index, freed_tables) ||
		    (freed_tables && cpu_switches(cpu)))
			__cpumask_set_cpu(cpu, cpus);
}

static unsigned long flush_windows(const struct mshare_flush_info *info,
				   const struct mshare_shown *shown)
{
	unsigned long address, at, pages = 0;
	int i;

	for (i = 0; i < shown->nr; i++) {
		for (address = info->start; address < info->end;
		     address += 1UL << info->shift) {
			at = address + shown->delta[i];
			/* A window need not show the whole region. */
			if (at >= TASK_SIZE_MAX)
				continue;
			flush_tlb_one_user(at);
			pages++;
		}
	}
	return pages;
}

static bool few_pages(const struct mshare_flush_info *info,
		      const struct mshare_shown *shown)
{
	unsigned long pages;

	if (info->end == MSHARE_FLUSH_ALL || !shown->nr)
		return false;
	pages = (info->end - info->start) >> info->shift;
	return pages * shown->nr <= PAGES_CEILING;
}

static void flush_loaded(void *data)
{
	struct mm_struct *mm = this_cpu_read(cpu_tlbstate.loaded_mm);
	u16 asid = this_cpu_read(cpu_tlbstate.loaded_mm_asid);
	u64 local = this_cpu_read(cpu_tlbstate.ctxs[asid].tlb_gen), gen, step;
	const struct mshare_flush_info *info = data;
	unsigned long pages = TLB_FLUSH_ALL;
	struct mshare_shown shown = {};

	VM_WARN_ON_ONCE(!irqs_disabled());

	/* Another mm was loaded meanwhile, see arch_mshare_switch(). */
	if (mm == &init_mm || mm != this_cpu_read(loaded_regions.mm))
		return;
	/* Tables are about to be freed, as in flush_tlb_func(). */
	if (this_cpu_read(cpu_tlbstate_shared.is_lazy)) {
		switch_mm_irqs_off(NULL, &init_mm, NULL);
		return;
	}

	step = mshare_catch_up_flush(mm, info, &shown);
	gen = atomic64_read(&mm->context.tlb_gen);
	if (local == gen)
		return;
	/* This flush is the only one that the CPU has missed. */
	if (step && step == local + 1 && step == gen && few_pages(info, &shown))
		pages = flush_windows(info, &shown);
	else
		flush_tlb_local();
	this_cpu_write(cpu_tlbstate.ctxs[asid].tlb_gen, gen);
	trace_tlb_flush(TLB_REMOTE_SHOOTDOWN, pages);
}

static void note_attached(void *mm)
{
	if (this_cpu_read(cpu_tlbstate.loaded_mm) != mm)
		return;
	note_regions(mm);
	/*
	 * The notes before the generations, because a flush that reads the
	 * notes meanwhile may miss an old region: their order changes.
	 */
	smp_mb();
	flush_loaded(NULL);
}

/**
 * arch_mshare_attached - make all CPUs note a new attachment of a process
 * @mm: the process, which may be running on several CPUs
 *
 * When this returns, all these CPUs have noted the region. CPUs that load @mm
 * later find the attachment, because they set their bit in mm_cpumask() before
 * they look for attachments.
 *
 * Context: interrupts on, no spinlocks.
 */
void arch_mshare_attached(struct mm_struct *mm)
{
	set_bit(MM_CONTEXT_MSHARE, &mm->context.flags);
	/* The bit and the attachment before mm_cpumask(). */
	smp_mb();
	on_each_cpu_mask(mm_cpumask(mm), note_attached, mm, true);
}

/* One mask for each CPU is enough, since interrupts do not flush. */
static struct cpumask *get_flush_cpus(void)
{
	struct cpumask *cpus;

	preempt_disable();
	cpus = this_cpu_ptr(&flush_cpus);
	cpumask_clear(cpus);
	return cpus;
}

static int put_flush_cpus(struct cpumask *cpus,
			  const struct mshare_flush_info *info)
{
	int nr = cpumask_weight(cpus);

	if (nr)
		on_each_cpu_mask(cpus, flush_loaded, (void *)info, true);
	preempt_enable();
	return nr;
}

/**
 * arch_mshare_flush - flush the CPUs that run processes of a region
 * @info: the changed range
 * @freed_tables: page tables are about to be freed: lazy CPUs, which have a
 *	process loaded without using it, are flushed, too
 *
 * When this returns, no CPU that has an attached process loaded uses an old
 * translation.
 *
 * Context: after a full barrier, interrupts on; may hold page table locks.
 * Return: how many CPUs were flushed.
 */
int arch_mshare_flush(const struct mshare_flush_info *info, bool freed_tables)
{
	struct cpumask *cpus = get_flush_cpus();

	add_loaded(cpus, info->index, freed_tables);
	return put_flush_cpus(cpus, info);
}

/**
 * arch_mshare_flush_all - flush the CPUs that run processes of some regions
 * @index: indices of the regions
 * @nr: number of regions
 *
 * Everything is flushed, since the changed ranges are not known.
 *
 * Context: as for arch_mshare_flush().
 * Return: how many CPUs were flushed.
 */
int arch_mshare_flush_all(const u32 *index, int nr)
{
	struct cpumask *cpus = get_flush_cpus();

	while (nr--)
		add_loaded(cpus, index[nr], false);
	return put_flush_cpus(cpus, NULL);
}
