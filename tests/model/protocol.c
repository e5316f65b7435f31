// SPDX-License-Identifier: GPL-2.0
/*
 * The protocol, step by step: kernel/new/mm/mshare/flush.c and window.c,
 * kernel/new/arch/x86/mm/mshare.c, and what they are called by in
 * arch/x86/mm/tlb.c. Functions have the names that they have there.
 *
 * A function stops after each access to memory, and goes on when it is called
 * again: what it has to remember is in its part of struct cpu, *f. So there is
 * one access in each step, and all else in a step concerns nobody but the CPU
 * itself. It stops by a jump out of all functions; each remembers where it is.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

#define fallthrough	__attribute__((fallthrough))

static jmp_buf stopped;

/* @how: MORE, or BLOCKED if the step cannot be made yet */
static void __attribute__((noreturn)) stop(int how)
{
	longjmp(stopped, how);
}

#define BEGIN(frame)						\
	__typeof__(frame) *f = &(frame);			\
								\
	switch (f->pc) {					\
	case 0:

#define FINISH							\
	memset(f, 0, sizeof(*f));				\
	}

/* Each place to go on from has a number of its own. */
#define STOP_AT(n)						\
	do {							\
		f->pc = (n);					\
		stop(MORE);					\
	case (n):						\
		break;						\
	} while (0)
#define STOP		STOP_AT(__COUNTER__ + 1)

#define WAIT_AT(n, condition)					\
	do {							\
		f->pc = (n);					\
		fallthrough;					\
	case (n):						\
		if (!(condition))				\
			stop(BLOCKED);				\
	} while (0)
#define WAIT(condition)	WAIT_AT(__COUNTER__ + 1, condition)

#define CALL_AT(n, function)					\
	do {							\
		f->pc = (n);					\
		fallthrough;					\
	case (n):						\
		function;					\
	} while (0)
#define CALL(function)	CALL_AT(__COUNTER__ + 1, function)

#define STORE(var, value)					\
	do {							\
		store(cpu, __func__, VAR(var), value);		\
		STOP;						\
	} while (0)

#define LOAD(to, var)						\
	do {							\
		(to) = load(cpu, __func__, VAR(var));		\
		STOP;						\
	} while (0)

/* What nobody else changes now: no step. */
#define OWN(var)	look(cpu, VAR(var))

/* Those with a lock prefix find the store buffer empty. */
#define DRAINED		(!cpu->nr_stores)

#define ATOMIC(var, operation)					\
	do {							\
		WAIT(DRAINED);					\
		now->mem.var operation;				\
		say(cpu, __func__, "%s = %s, atomic",		\
		    name_of(VAR(var)), value_of(VAR(var), now->mem.var)); \
		STOP;						\
	} while (0)

#define INCREMENT(to, var)					\
	do {							\
		WAIT(DRAINED);					\
		(to) = ++now->mem.var;				\
		say(cpu, __func__, "%s = %s, atomic",		\
		    name_of(VAR(var)), value_of(VAR(var), (to))); \
		STOP;						\
	} while (0)

#define SMP_MB()						\
	do {							\
		WAIT(DRAINED);					\
		say(cpu, __func__, "smp_mb()");			\
		STOP;						\
	} while (0)

#define LOCK(var)						\
	do {							\
		if (control(NO_LOCK))				\
			break;					\
		WAIT(DRAINED && !now->mem.var);			\
		now->mem.var = 1;				\
		say(cpu, __func__, "%s taken", name_of(VAR(var))); \
		STOP;						\
	} while (0)

#define UNLOCK(var)						\
	do {							\
		if (!control(NO_LOCK))				\
			STORE(var, 0);				\
	} while (0)

static void store(struct cpu *cpu, const char *function, size_t var, u8 value)
{
	if (cpu->nr_stores == MAX_STORES) {
		fprintf(stderr, "more than %d stores\n", MAX_STORES);
		abort();
	}
	cpu->stores[cpu->nr_stores].where = var;
	cpu->stores[cpu->nr_stores++].value = value;
	say(cpu, function, "%s = %s", name_of(var), value_of(var, value));
}

static u8 load(const struct cpu *cpu, const char *function, size_t var)
{
	u8 value = look(cpu, var);

	say(cpu, function, "%s is %s", name_of(var), value_of(var, value));
	return value;
}

static const struct op choices[NR_CHOICES] = {
	{ LOAD, P, 0 }, { LOAD, Q, 0 }, { LOAD, INIT, 0 }, { LAZY, 0, 0 },
};

static const struct op *op_of(const struct cpu *cpu)
{
	const struct op *op = &scenario->script[id(cpu)][cpu->op];

	return op->what == ANYTHING ? &choices[cpu->chosen - 1] : op;
}

/* -------------------------------------------- lists, see first() */

static u8 without(u8 list, u8 attachment)
{
	if (first(list) == attachment)
		return rest(list);
	return add_first(without(rest(list), attachment), first(list));
}

static u8 find_by_index(u8 list, u8 region)
{
	for (; list; list = rest(list))
		if (attached_to(first(list)) == region)
			return first(list);
	return NR_ATTACHMENTS;
}

/* ------------------------------------------------ mm/mshare/flush.c */

/* With the lock of the attachment. */
static void catch_up(struct cpu *cpu, u8 mm, u8 at, u8 generation)
{
	BEGIN(cpu->catch_up);
	if (OWN(seen[mm][at]) >= generation)
		goto out;
	if (control(SEEN_FIRST))
		STORE(seen[mm][at], generation);
	INCREMENT(f->gen, tlb_gen[mm]);
	STORE(step[mm][at], 0);
	if (!control(SEEN_FIRST))
		STORE(seen[mm][at], generation);
out:
	FINISH;
}

static void mshare_catch_up(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->catch_up_all);
	if (control(NO_CATCH_UP))
		goto out;
	LOAD(f->list, list[mm]);
	for (; f->list; f->list = rest(f->list)) {
		f->at = first(f->list);
		LOAD(f->generation, generation[attached_to(f->at)]);
		LOAD(f->seen, seen[mm][f->at]);
		if (f->seen == f->generation)
			continue;
		LOCK(lock[mm][f->at]);
		CALL(catch_up(cpu, mm, f->at, f->generation));
		UNLOCK(lock[mm][f->at]);
	}
out:
	FINISH;
}

static bool next_step(u8 seen, u8 generation)
{
	return seen + 1 == generation ||
	       (control(NO_SEEN_CHECK) && seen < generation);
}

/* A step of the process's generation, or the one that was made already. */
static void mshare_catch_up_flush(struct cpu *cpu, u8 mm, u8 region,
				  u8 generation)
{
	BEGIN(cpu->catch_up_flush);
	LOAD(f->list, list[mm]);
	f->at = find_by_index(f->list, region);
	if (f->at == NR_ATTACHMENTS)
		goto out;
	LOCK(lock[mm][f->at]);
	if (next_step(OWN(seen[mm][f->at]), generation)) {
		INCREMENT(f->gen, tlb_gen[mm]);
		STORE(step[mm][f->at], f->gen);
		STORE(seen[mm][f->at], generation);
	} else {
		CALL(catch_up(cpu, mm, f->at, generation));
	}
	if (OWN(seen[mm][f->at]) == generation) {
		cpu->flush_loaded.step = OWN(step[mm][f->at]);
		cpu->flush_loaded.shown = OWN(shown[mm][f->at]);
	}
	UNLOCK(lock[mm][f->at]);
out:
	FINISH;
}

/* -------------------------------------------- arch/x86/mm/mshare.c */

/* Nothing else looks at the sequence, which makes half as many states more. */
static bool frees(void)
{
	int i, op;

	for (i = 0; i < scenario->cpus; i++)
		for (op = 0; op < MAX_OPS; op++)
			if (scenario->script[i][op].what == FREE)
				return true;
	return false;
}

static void note_regions(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->note_regions);
	if (frees())
		STORE(sequence[id(cpu)], OWN(sequence[id(cpu)]) + 1);
	STORE(noted_nr[id(cpu)], LOADED_ANY);
	STORE(noted_mm[id(cpu)], mm);
	LOAD(f->list, list[mm]);
	for (; f->list; f->list = rest(f->list), f->nr++)
		STORE(noted[id(cpu)][f->nr], attached_to(first(f->list)));
	STORE(noted_nr[id(cpu)], f->nr);
	if (frees())
		STORE(sequence[id(cpu)], OWN(sequence[id(cpu)]) + 1);
	FINISH;
}

/* mshare_switch() and arch_mshare_switch() */
static void mshare_switch(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->mshare_switch);
	/* init_mm does not have the bit. */
	if (mm == INIT)
		goto out;
	LOAD(f->attached, flag[mm]);
	if (!f->attached)
		goto out;
	CALL(note_regions(cpu, mm));
	if (!control(NO_BARRIER) && !control(NO_BARRIERS))
		SMP_MB();
	CALL(mshare_catch_up(cpu, mm));
out:
	FINISH;
}

static void flush_tlb_local(struct cpu *cpu, const char *function, u8 mm)
{
	say(cpu, function, "flush everything");
	cpu->tlb[mm] = 0;
	cpu->walk[mm] = 0;
}

/* INVLPG: what is cached of tables goes, for all addresses. */
static void flush_leaves(struct cpu *cpu, const char *function, u8 mm,
			 u8 leaves, u8 windows)
{
	if (windows & 2)
		leaves = cached(leaves);
	say(cpu, function, "flush %s", leaves_of(leaves));
	cpu->tlb[mm] &= ~leaves;
	cpu->walk[mm] = 0;
}

static void switch_mm(struct cpu *cpu, u8 next);

static bool one_step_behind(const struct cpu *cpu)
{
	u8 step = cpu->flush_loaded.step;

	return step && cpu->flush_loaded.shown &&
	       (step == cpu->flush_loaded.local + 1 ||
		control(NO_LOCAL_CHECK)) &&
	       (step == cpu->flush_loaded.gen || control(NO_LATEST_CHECK));
}

/* @sender: whose flush it is; NULL: of all there have been */
static void flush_loaded(struct cpu *cpu, const struct cpu *sender)
{
	BEGIN(cpu->flush_loaded);
	f->mm = OWN(loaded_mm[id(cpu)]);
	if (f->mm == INIT || f->mm != OWN(noted_mm[id(cpu)]))
		goto out;
	if (OWN(is_lazy[id(cpu)])) {
		CALL(switch_mm(cpu, INIT));
		goto out;
	}
	f->local = cpu->gen[f->mm];
	if (sender)
		CALL(mshare_catch_up_flush(cpu, f->mm, sender->flush.region,
					   sender->flush.generation));
	else
		CALL(mshare_catch_up(cpu, f->mm));
	LOAD(f->gen, tlb_gen[f->mm]);
	if (f->local == f->gen)
		goto out;
	WAIT(DRAINED);
	if (one_step_behind(cpu))
		flush_leaves(cpu, __func__, f->mm, sender->flush.leaves,
			     f->shown);
	else
		flush_tlb_local(cpu, __func__, f->mm);
	cpu->gen[f->mm] = f->gen;
	STOP;
out:
	FINISH;
}

static void note_attached(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->note_attached);
	if (OWN(loaded_mm[id(cpu)]) != mm)
		goto out;
	CALL(note_regions(cpu, mm));
	if (control(ONLY_NOTES))
		goto out;
	/* Who reads the notes meanwhile may miss a region that was in them. */
	SMP_MB();
	CALL(flush_loaded(cpu, NULL));
out:
	FINISH;
}

/* read_seqcount_retry(), after raw_seqcount_begin() */
static bool changed(u8 sequence, u8 again)
{
	if (control(NO_SEQUENCE))
		return false;
	return sequence != again ||
	       (sequence & 1 && !control(ODD_SEQUENCE));
}

/* cpu_runs() of each CPU */
static void add_loaded(struct cpu *cpu, u8 region, bool freed_tables)
{
	BEGIN(cpu->add_loaded);
	for (f->cpu = 0; f->cpu < scenario->cpus; f->cpu++) {
		LOAD(f->mm, loaded_mm[f->cpu]);
		if (control(NOT_SWITCHING) && f->mm == SWITCHING)
			continue;
		if (f->mm != SWITCHING) {
			LOAD(f->noted, noted_mm[f->cpu]);
			if (f->mm != f->noted)
				goto other;
		}
		if (!freed_tables) {
			LOAD(f->lazy, is_lazy[f->cpu]);
			if (f->lazy)
				continue;
		}
		if (freed_tables)
			LOAD(f->sequence, sequence[f->cpu]);
		LOAD(f->nr, noted_nr[f->cpu]);
		for (f->i = 0; f->nr != LOADED_ANY && f->i < f->nr; f->i++) {
			LOAD(f->index, noted[f->cpu][f->i]);
			if (f->index == region)
				break;
		}
		if (f->nr == LOADED_ANY || f->i < f->nr)
			goto runs;
		if (!freed_tables)
			continue;
		if (control(ONLY_NUMBER)) {
			LOAD(f->again, noted_nr[f->cpu]);
			if (f->again != f->nr)
				goto runs;
		} else {
			LOAD(f->again, sequence[f->cpu]);
			if (changed(f->sequence, f->again))
				goto runs;
		}
other:
		/* cpu_switches() */
		if (!freed_tables || control(NOT_LEAVING))
			continue;
		LOAD(f->mm, loaded_mm[f->cpu]);
		if (f->mm != SWITCHING)
			continue;
runs:
		cpu->flush.cpus |= BIT(f->cpu);
	}
	FINISH;
}

/* ----------------------------------------------- arch/x86/mm/tlb.c */

static void switch_mm(struct cpu *cpu, u8 next)
{
	BEGIN(cpu->switch_mm);
	f->prev = OWN(loaded_mm[id(cpu)]);
	f->was_lazy = OWN(is_lazy[id(cpu)]);
	if (f->was_lazy && !control(LATE_LAZY))
		STORE(is_lazy[id(cpu)], 0);
	if (f->prev == next) {
		if (!f->was_lazy)
			goto out;
		if (!control(NO_BARRIERS))
			SMP_MB();
		CALL(mshare_switch(cpu, next));
		LOAD(f->gen, tlb_gen[next]);
		if (cpu->gen[next] == f->gen)
			goto loaded;
		f->flush = 1;
	} else {
		STORE(loaded_mm[id(cpu)], SWITCHING);
		if (f->prev != INIT)
			ATOMIC(cpumask[f->prev], &= ~BIT(id(cpu)));
		if (next != INIT)
			ATOMIC(cpumask[next], |= BIT(id(cpu)));
		CALL(mshare_switch(cpu, next));
		if (next != INIT) {
			LOAD(f->gen, tlb_gen[next]);
			f->flush = cpu->gen[next] < f->gen;
		}
	}
	WAIT(DRAINED);
	say(cpu, __func__, "CR3 = %s%s", value_of(VAR(loaded_mm), next),
	    f->flush ? ", flushed" : "");
	if (f->flush) {
		cpu->gen[next] = f->gen;
		cpu->tlb[next] = 0;
		cpu->walk[next] = 0;
	}
	cpu->cr3 = next;
	STOP;
	STORE(loaded_mm[id(cpu)], next);
loaded:
	if (f->was_lazy && control(LATE_LAZY))
		STORE(is_lazy[id(cpu)], 0);
out:
	FINISH;
}

static void enter_lazy_tlb(struct cpu *cpu)
{
	BEGIN(cpu->enter_lazy);
	if (OWN(loaded_mm[id(cpu)]) != INIT)
		STORE(is_lazy[id(cpu)], 1);
	FINISH;
}

/* A flush of a process itself: by munmap(2) of a page, or of a window. */
static void flush_tlb_func(struct cpu *cpu, const struct cpu *sender)
{
	const struct op *op = op_of(sender);

	BEGIN(cpu->flush_tlb_func);
	f->mm = OWN(loaded_mm[id(cpu)]);
	if (f->mm != op->a)
		goto out;
	if (OWN(is_lazy[id(cpu)])) {
		CALL(switch_mm(cpu, INIT));
		goto out;
	}
	f->local = cpu->gen[f->mm];
	if (sender->flush_process.gen <= f->local)
		goto out;
	LOAD(f->gen, tlb_gen[f->mm]);
	if (f->local == f->gen)
		goto out;
	WAIT(DRAINED);
	if (op->what == UNMAP && f->gen == f->local + 1 &&
	    f->gen == sender->flush_process.gen)
		flush_leaves(cpu, __func__, f->mm, BIT(LEAF_OWN), 1);
	else
		flush_tlb_local(cpu, __func__, f->mm);
	cpu->gen[f->mm] = f->gen;
	STOP;
out:
	FINISH;
}

/* ------------------------------------------------------ interrupts */

static void call(struct cpu *cpu, u8 what, u8 sender)
{
	switch (what) {
	case CALL_NOTE:
		note_attached(cpu, op_of(&now->cpu[sender])->a);
		break;
	case CALL_FLUSH:
		flush_loaded(cpu, &now->cpu[sender]);
		break;
	case CALL_FLUSH_ALL:
		flush_loaded(cpu, NULL);
		break;
	default:
		flush_tlb_func(cpu, &now->cpu[sender]);
	}
}

static void handle(struct cpu *cpu)
{
	BEGIN(cpu->handle);
	CALL(call(cpu, cpu->handling, cpu->sender));
	STORE(call[cpu->sender][id(cpu)], 0);
	say(cpu, __func__, "interrupt ends");
	cpu->handling = 0;
	cpu->sender = 0;
	cpu->irqs_off = 0;
	FINISH;
}

/* on_each_cpu_mask(), and wait */
static void call_cpus(struct cpu *cpu, u8 cpus, u8 what)
{
	BEGIN(cpu->call_cpus);
	for (f->cpu = 0; f->cpu < scenario->cpus; f->cpu++)
		if (f->cpu != id(cpu) && cpus & BIT(f->cpu))
			ATOMIC(call[id(cpu)][f->cpu], = what);
	if (cpus & BIT(id(cpu))) {
		cpu->irqs_off = 1;
		CALL(call(cpu, what, id(cpu)));
		cpu->irqs_off = 0;
		STOP;
	}
	for (f->cpu = 0; f->cpu < scenario->cpus; f->cpu++)
		WAIT(f->cpu == id(cpu) || !(cpus & BIT(f->cpu)) ||
		     !OWN(call[id(cpu)][f->cpu]));
	FINISH;
}

/* ------------------------------------------------ parts of a script */

static void load_mm(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->load_mm);
	cpu->irqs_off = 1;
	CALL(switch_mm(cpu, mm));
	cpu->irqs_off = 0;
	FINISH;
}

/* What ordinary mm code does to the page tables of a region. */
static void clear(struct cpu *cpu, const struct op *op)
{
	BEGIN(cpu->clear);
	if (op->what == FREE) {
		STORE(table[op->a], 0);
	} else {
		STORE(leaf[op->a], 0);
		if (op->what == DEFERRED && op->b != op->a)
			STORE(leaf[op->b], 0);
	}
	FINISH;
}

static u8 leaves_cleared(const struct op *op)
{
	switch (op->what) {
	case FREE:
		return op->a == X ? BIT(LEAF_A) | BIT(LEAF_B) : BIT(LEAF_C);
	case DEFERRED:
		return BIT(op->a) | BIT(op->b);
	default:
		return BIT(op->a);
	}
}

static void flush_returns(struct cpu *cpu, const struct op *op)
{
	now->dead |= cached(leaves_cleared(op));
	if (op->what == FREE)
		now->freed |= BIT(op->a);
	say(cpu, __func__, "%s must not be used any more",
	    leaves_of(leaves_cleared(op)));
}

/* mshare_flush() */
static void flush(struct cpu *cpu, const struct op *op)
{
	bool freed_tables = op->what == FREE && !control(NOT_LAZY);

	BEGIN(cpu->flush);
	f->region = op->what == FREE ? op->a : region_of(op->a);
	f->leaves = leaves_cleared(op);
	if (control(EARLY_INCREMENT))
		INCREMENT(f->generation, generation[f->region]);
	CALL(clear(cpu, op));
	if (control(EARLY_LOOK))
		CALL(add_loaded(cpu, f->region, freed_tables));
	if (!control(EARLY_INCREMENT))
		INCREMENT(f->generation, generation[f->region]);
	if (!control(EARLY_LOOK))
		CALL(add_loaded(cpu, f->region, freed_tables));
	CALL(call_cpus(cpu, f->cpus, CALL_FLUSH));
	flush_returns(cpu, op);
	FINISH;
}

/* mshare_flush_deferred() */
static void flush_deferred(struct cpu *cpu, const struct op *op)
{
	BEGIN(cpu->flush);
	CALL(clear(cpu, op));
	INCREMENT(f->generation, generation[region_of(op->a)]);
	if (region_of(op->b) != region_of(op->a))
		INCREMENT(f->generation, generation[region_of(op->b)]);
	CALL(add_loaded(cpu, region_of(op->a), false));
	if (region_of(op->b) != region_of(op->a))
		CALL(add_loaded(cpu, region_of(op->b), false));
	CALL(call_cpus(cpu, f->cpus, CALL_FLUSH_ALL));
	flush_returns(cpu, op);
	FINISH;
}

/* arch_mshare_attached() */
static void attached(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->attached);
	if (!control(LATE_FLAG))
		ATOMIC(flag[mm], = 1);
	SMP_MB();
	LOAD(f->mask, cpumask[mm]);
	CALL(call_cpus(cpu, f->mask, CALL_NOTE));
	if (control(LATE_FLAG))
		ATOMIC(flag[mm], = 1);
	FINISH;
}

/* show_window() and hide_window() */
static void show(struct cpu *cpu, u8 mm, u8 at, u8 shown)
{
	BEGIN(cpu->show);
	cpu->irqs_off = !control(LOCK_IRQS_ON);
	STOP;
	LOCK(lock[mm][at]);
	STORE(shown[mm][at], shown);
	UNLOCK(lock[mm][at]);
	cpu->irqs_off = 0;
	STOP;
	FINISH;
}

static void set_link(struct cpu *cpu, u8 mm, u8 link)
{
	BEGIN(cpu->set_link);
	now->gone[mm] &= ~BIT(link);
	STORE(link[mm][link], 1);
	FINISH;
}

/* mshare_attach(), and mshare_window_init() */
static void attach(struct cpu *cpu, u8 mm, u8 at)
{
	BEGIN(cpu->attach);
	LOAD(f->generation, generation[attached_to(at)]);
	STORE(seen[mm][at], f->generation);
	STORE(list[mm], add_first(OWN(list[mm]), at));
	if (control(LATE_NOTES))
		CALL(set_link(cpu, mm, attached_to(at)));
	CALL(attached(cpu, mm));
	CALL(show(cpu, mm, at, 1));
	if (!control(LATE_NOTES))
		CALL(set_link(cpu, mm, attached_to(at)));
	FINISH;
}

static bool lazy_or_other(u8 lazy, u8 loaded, u8 mm)
{
	return lazy || (loaded != SWITCHING && loaded != mm);
}

/* flush_tlb_mm_range() of a process */
static void flush_process(struct cpu *cpu, u8 mm, bool freed_tables)
{
	BEGIN(cpu->flush_process);
	INCREMENT(f->gen, tlb_gen[mm]);
	LOAD(f->mask, cpumask[mm]);
	if (freed_tables)
		f->cpus = f->mask;
	for (f->cpu = 0; f->cpu < scenario->cpus && !freed_tables; f->cpu++) {
		if (!(f->mask & BIT(f->cpu)))
			continue;
		LOAD(f->mm, loaded_mm[f->cpu]);
		LOAD(f->lazy, is_lazy[f->cpu]);
		if (!lazy_or_other(f->lazy, f->mm, mm))
			f->cpus |= BIT(f->cpu);
	}
	CALL(call_cpus(cpu, f->cpus, CALL_PROCESS));
	FINISH;
}

/* mshare_unlink_range(), and the flush after it */
static void unlink_window(struct cpu *cpu, u8 mm, u8 link)
{
	BEGIN(cpu->unlink_window);
	STORE(link[mm][link], 0);
	CALL(flush_process(cpu, mm, true));
	now->gone[mm] |= BIT(link);
	say(cpu, __func__, "this link must not be used any more");
	FINISH;
}

/* munmap(2) of the only window of a region */
static void detach(struct cpu *cpu, u8 mm, u8 at)
{
	BEGIN(cpu->detach);
	CALL(unlink_window(cpu, mm, attached_to(at)));
	CALL(show(cpu, mm, at, 0));
	STORE(list[mm], without(OWN(list[mm]), at));
	FINISH;
}

/* mmap(2) and munmap(2) of a second window of X */
static void open_second(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->open_second);
	if (control(LATE_SHOW))
		CALL(set_link(cpu, mm, SECOND_LINK));
	CALL(show(cpu, mm, TO_X, 3));
	if (!control(LATE_SHOW))
		CALL(set_link(cpu, mm, SECOND_LINK));
	FINISH;
}

static void close_second(struct cpu *cpu, u8 mm)
{
	BEGIN(cpu->close_second);
	CALL(unlink_window(cpu, mm, SECOND_LINK));
	CALL(show(cpu, mm, TO_X, 1));
	FINISH;
}

/* munmap(2) of what is no window */
static void unmap(struct cpu *cpu)
{
	BEGIN(cpu->unmap);
	STORE(leaf[LEAF_OWN], 0);
	CALL(flush_process(cpu, P, false));
	now->dead |= BIT(LEAF_OWN);
	say(cpu, __func__, "%s must not be used any more",
	    leaves_of(BIT(LEAF_OWN)));
	FINISH;
}

static void run_op(struct cpu *cpu, const struct op *op)
{
	switch (op->what) {
	case LOAD:
		load_mm(cpu, op->a);
		break;
	case LAZY:
		enter_lazy_tlb(cpu);
		break;
	case FLUSH:
	case FREE:
		flush(cpu, op);
		break;
	case DEFERRED:
		flush_deferred(cpu, op);
		break;
	case ATTACH:
		attach(cpu, op->a, op->b);
		break;
	case DETACH:
		detach(cpu, op->a, op->b);
		break;
	case OPEN:
		open_second(cpu, op->a);
		break;
	case CLOSE:
		close_second(cpu, op->a);
		break;
	case UNMAP:
		unmap(cpu);
		break;
	default:
		break;
	}
}

static bool has_to_do(const struct cpu *cpu)
{
	const struct op *op = &scenario->script[id(cpu)][cpu->op];

	if (cpu->handling)
		return true;
	return op->what != END && (op->what != ANYTHING || cpu->chosen);
}

/* Come back here only at the end of a part of the script, or an interrupt. */
static void go_on(struct cpu *cpu)
{
	if (cpu->handling) {
		handle(cpu);
		return;
	}
	run_op(cpu, op_of(cpu));
	cpu->op++;
	cpu->chosen = 0;
}

/**
 * step_cpu - make the next step of what a CPU is doing
 * @cpu: the CPU
 *
 * Return: MORE, or BLOCKED if it has nothing to do or has to wait.
 */
int step_cpu(struct cpu *cpu)
{
	int how;

	if (!has_to_do(cpu))
		return BLOCKED;
	how = setjmp(stopped);
	if (how)
		return how;
	go_on(cpu);
	return MORE;
}

/**
 * can_choose - whether a CPU may, and may want to, do something now
 * @cpu: the CPU
 * @choice: number of it
 */
bool can_choose(const struct cpu *cpu, u8 choice)
{
	const struct op *op = &scenario->script[id(cpu)][cpu->op];
	u8 loaded = OWN(loaded_mm[id(cpu)]);
	bool lazy = OWN(is_lazy[id(cpu)]);

	if (cpu->handling || op->what != ANYTHING || cpu->chosen)
		return false;
	switch (choices[choice].what) {
	case LOAD:
		return loaded != choices[choice].a || lazy;
	case LAZY:
		return loaded != INIT && !lazy;
	default:
		return true;
	}
}

/* Numbers of places are kept in a byte. */
_Static_assert(__COUNTER__ < 255, "too many places to stop at");
