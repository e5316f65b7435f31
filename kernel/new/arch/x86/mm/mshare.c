// SPDX-License-Identifier: GPL-2.0
/*
 * mshare on x86: which CPUs run processes of a region, and flushing them
 *
 * switch_mm_irqs_off() comes here when it loads a process that is attached to
 * regions. The CPU then notes which, for a flush to find, and looks
 * whether one of them was flushed while the process was not loaded. The order of
 * the two against a flush is at the head of mm/mshare/flush.c.
 *
 * What is stale is told by the generations that all flushes of an mm use: a
 * flush of a region increments the generation of each process once, on the
 * first CPU that finds out, and a CPU that is one generation behind because of
 * it flushes the range that was changed. See flush_tlb_func(), whose rules these
 * are.
 */
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/mshare.h>
#include <linux/smp.h>

#include <asm/tlbflush.h>

#include <trace/events/tlb.h>

/* As many as a process is likely to have; with more it is in all regions. */
#define LOADED_REGIONS	12
#define LOADED_ANY	U32_MAX

/* As for ordinary flushes: beyond it, everything goes. */
#define PAGES_CEILING	33

/**
 * struct loaded - what regions a CPU may use
 * @mm: the process that this is about. Only true while cpu_tlbstate.loaded_mm
 *	is the same, or LOADED_MM_SWITCHING: nobody takes it back
 * @nr: how many regions it is attached to, or LOADED_ANY
 * @region: their indices
 *
 * Written by the CPU itself with interrupts off, read by all.
 */
struct loaded {
	struct mm_struct *mm;
	u32 nr;
	u32 region[LOADED_REGIONS];
};

static DEFINE_PER_CPU_SHARED_ALIGNED(struct loaded, loaded_regions);
static DEFINE_PER_CPU(struct cpumask, flush_cpus);

static_assert(MSHARE_FLUSH_ALL == TLB_FLUSH_ALL);

/*
 * A flush that reads the notes while they are written may find the number from
 * before with the indices from after. So whoever has written them compares the
 * generations of the regions next.
 */
static void note_regions(struct mm_struct *mm)
{
	struct loaded *loaded = this_cpu_ptr(&loaded_regions);
	int nr;

	WRITE_ONCE(loaded->nr, LOADED_ANY);
	/* Before the indices change. */
	smp_wmb();
	WRITE_ONCE(loaded->mm, mm);
	nr = mshare_regions_of(mm, loaded->region, LOADED_REGIONS);
	/* All indices before their number. */
	smp_wmb();
	WRITE_ONCE(loaded->nr, nr < 0 ? LOADED_ANY : nr);
}

/**
 * arch_mshare_switch - a process that is attached to regions is being loaded
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

static bool cpu_runs(int cpu, u32 index, bool lazy_too)
{
	struct mm_struct *mm = READ_ONCE(per_cpu(cpu_tlbstate.loaded_mm, cpu));
	const struct loaded *loaded = per_cpu_ptr(&loaded_regions, cpu);
	u32 nr, i;

	if (mm != LOADED_MM_SWITCHING && mm != READ_ONCE(loaded->mm))
		return false;
	if (!lazy_too && READ_ONCE(per_cpu(cpu_tlbstate_shared.is_lazy, cpu)))
		return false;
	nr = READ_ONCE(loaded->nr);
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
 * A CPU that loads another process notes the regions of that one some
 * instructions before it writes CR3. Until then it may walk page tables of the
 * process before, with interrupts off.
 */
static bool cpu_switches(int cpu)
{
	/* After the notes have been read. */
	smp_rmb();
	return READ_ONCE(per_cpu(cpu_tlbstate.loaded_mm, cpu)) ==
	       LOADED_MM_SWITCHING;
}

/* After a full barrier. */
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
			/* Not all windows show all of the region. */
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

	/* Something else has been loaded since: see arch_mshare_switch(). */
	if (mm == &init_mm || mm != this_cpu_read(loaded_regions.mm))
		return;
	/* Tables are about to be freed: as in flush_tlb_func(). */
	if (this_cpu_read(cpu_tlbstate_shared.is_lazy)) {
		switch_mm_irqs_off(NULL, &init_mm, NULL);
		return;
	}

	step = mshare_catch_up_flush(mm, info, &shown);
	gen = atomic64_read(&mm->context.tlb_gen);
	if (local == gen)
		return;
	/* The one flush that is missing is this one. */
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
	 * A flush that reads the notes meanwhile may miss a region that was in
	 * them, as their order changes. The notes before the generations.
	 */
	smp_mb();
	flush_loaded(NULL);
}

/**
 * arch_mshare_attached - a process has been attached to a region
 * @mm: the process, which may be running on several CPUs
 *
 * When this returns, all of them have noted it. Those that load it later find
 * the attachment: they set their bit in mm_cpumask() before they look.
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

/* Not from interrupts, so one mask for each CPU is enough. */
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
 * arch_mshare_flush - flush what CPUs have of a region
 * @info: what has changed
 * @freed_tables: page tables are about to be freed: CPUs that have a process
 *	loaded without using it are flushed, too
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
 * arch_mshare_flush_all - flush all that CPUs have of regions
 * @index: of the regions
 * @nr: how many they are
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
