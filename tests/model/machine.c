// SPDX-License-Identifier: GPL-2.0
/*
 * The machine: how it is in the beginning, what it does by itself, and what must
 * not be.
 *
 * Between the moves, each CPU caches all that it can of the page tables that CR3
 * points at. It may do so at any time, even while it is lazy; what it has cached
 * decides nothing, and nothing that is wrong is hidden by more of it. So there
 * is no need to try less.
 */
#include <stdio.h>

#include "model.h"

struct state *now;

/* ------------------------------------------------- what has been cached */

/* By the second window of X, the leaves are called SECOND_*. */
static bool walks_to(u8 mm, u8 walk, u8 entry)
{
	u8 leaf = entry < NR_LEAVES ? entry : entry - SECOND_A;

	if (!now->mem.leaf[leaf])
		return false;
	if (leaf == LEAF_OWN)
		return mm == P;
	return walk & BIT(entry < NR_LEAVES ? region_of(leaf) : SECOND_LINK);
}

static void fill(struct cpu *cpu)
{
	u8 mm = cpu->cr3, new = 0, i;

	if (mm == INIT)
		return;
	for (i = 0; i < NR_LINKS; i++)
		if (now->mem.link[mm][i] && now->mem.table[linked_to(i)])
			cpu->walk[mm] |= BIT(i);
	for (i = 0; i < NR_CACHED; i++)
		if (walks_to(mm, cpu->walk[mm], i))
			new |= BIT(i);
	new &= ~cpu->tlb[mm];
	if (new)
		say(cpu, NULL, "  caches %s of %s", leaves_of(new),
		    mm == P ? "P" : "Q");
	cpu->tlb[mm] |= new;
}

/* ------------------------------------------------------ what must not be */

/* What a CPU can have cached by @links. */
static u8 leaves_by(u8 links)
{
	u8 set = 0;

	if (links & BIT(LINK_X))
		set |= BIT(LEAF_A) | BIT(LEAF_B);
	if (links & BIT(LINK_Y))
		set |= BIT(LEAF_C);
	if (links & BIT(SECOND_LINK))
		set |= BIT(SECOND_A) | BIT(SECOND_B);
	return set;
}

/* By which links there is no way any more. */
static u8 links_without_tables(u8 mm)
{
	u8 links = now->gone[mm], i;

	for (i = 0; i < NR_LINKS; i++)
		if (now->freed & BIT(linked_to(i)))
			links |= BIT(i);
	return links;
}

static const char *wrong_cpu(const struct cpu *cpu)
{
	u8 mm = cpu->cr3;

	if (mm == INIT || (cpu->irqs_off && !scenario->strict))
		return NULL;
	if (cpu->walk[mm] & links_without_tables(mm))
		return "may walk a page table that was freed";
	/* What a process cannot use does no harm. */
	if (cpu->irqs_off || look(cpu, VAR(is_lazy[id(cpu)])))
		return NULL;
	if (cpu->tlb[mm] & now->dead)
		return "uses an old translation after the flush";
	if (cpu->tlb[mm] & leaves_by(now->gone[mm]))
		return "uses a translation by a link that is gone";
	return NULL;
}

/**
 * wrong - look whether what is promised holds
 *
 * Return: what does not, or NULL.
 */
const char *wrong(void)
{
	static char text[80];
	const char *why;
	int i;

	for (i = 0; i < scenario->cpus; i++) {
		why = wrong_cpu(&now->cpu[i]);
		if (why) {
			snprintf(text, sizeof(text), "CPU %d %s", i, why);
			return text;
		}
	}
	return NULL;
}

/* Whether all have come to the end of their scripts. */
bool ended(void)
{
	const struct cpu *cpu;
	int i;

	for (i = 0; i < scenario->cpus; i++) {
		cpu = &now->cpu[i];
		if (scenario->script[i][cpu->op].what != END || cpu->handling)
			return false;
	}
	return true;
}

/* -------------------------------------------------------------- moves */

static void drain(struct cpu *cpu)
{
	size_t var = cpu->stores[0].where;
	u8 value = cpu->stores[0].value;

	*byte(var) = value;
	cpu->nr_stores--;
	memmove(cpu->stores, cpu->stores + 1,
		cpu->nr_stores * sizeof(*cpu->stores));
	memset(cpu->stores + cpu->nr_stores, 0, sizeof(*cpu->stores));
	say(cpu, NULL, "  seen by all: %s = %s", name_of(var),
	    value_of(var, value));
}

/* There is no order between the calls of several senders. */
static bool may_interrupt(const struct cpu *cpu, u8 sender)
{
	return sender < scenario->cpus && !cpu->irqs_off &&
	       look(cpu, VAR(call[sender][id(cpu)]));
}

static void interrupt(struct cpu *cpu, u8 sender)
{
	size_t var = VAR(call[sender][id(cpu)]);

	cpu->irqs_off = 1;
	cpu->handling = look(cpu, var);
	cpu->sender = sender;
	say(cpu, NULL, "interrupt: %s", value_of(var, cpu->handling));
}

/**
 * possible - whether a CPU can make a move
 * @cpu: the CPU
 * @move: enum move. Whether a step can be made turns out when it is
 */
bool possible(const struct cpu *cpu, u8 move)
{
	if (move == STEP)
		return true;
	if (move == DRAIN)
		return cpu->nr_stores;
	if (move < CHOOSE)
		return may_interrupt(cpu, move - INTERRUPT);
	return can_choose(cpu, move - CHOOSE);
}

/**
 * make_move - change the state of the machine
 * @cpu: which moves
 * @move: enum move, a possible one
 *
 * Return: false if the step cannot be made yet. The state is worth nothing then.
 */
bool make_move(struct cpu *cpu, u8 move)
{
	int i;

	if (move == STEP) {
		if (step_cpu(cpu) == BLOCKED)
			return false;
	} else if (move == DRAIN) {
		drain(cpu);
	} else if (move < CHOOSE) {
		interrupt(cpu, move - INTERRUPT);
	} else {
		cpu->chosen = move - CHOOSE + 1;
	}
	for (i = 0; i < scenario->cpus; i++)
		fill(&now->cpu[i]);
	return true;
}

/* ------------------------------------------------------ the beginning */

static void begin_process(u8 mm)
{
	u8 at;

	now->mem.tlb_gen[mm] = 1;
	for (at = 0; at < NR_REGIONS; at++) {
		if (!(scenario->attached[mm] & BIT(at)))
			continue;
		now->mem.list[mm] = add_first(now->mem.list[mm], at);
		now->mem.flag[mm] = 1;
		now->mem.seen[mm][at] = 1;
		now->mem.shown[mm][at] = 1;
		now->mem.link[mm][at] = 1;
	}
}

/* It has run each process before, and has cached all that it could. */
static void begin_cpu(struct cpu *cpu, u8 nr)
{
	struct memory *mem = &now->mem;
	u8 mm, list;

	for (mm = 0; mm < NR_PROCESSES; mm++) {
		cpu->gen[mm] = 1;
		cpu->cr3 = mm;
		fill(cpu);
	}
	mm = scenario->loaded[nr];
	cpu->cr3 = mm;
	mem->loaded_mm[nr] = mm;
	mem->noted_mm[nr] = NOTHING;
	if (mm == INIT)
		return;
	mem->cpumask[mm] |= BIT(nr);
	if (!mem->flag[mm])
		return;
	mem->noted_mm[nr] = mm;
	for (list = mem->list[mm]; list; list = rest(list))
		mem->noted[nr][mem->noted_nr[nr]++] = attached_to(first(list));
}

/**
 * begin - make the first state of the scenario the present one
 * @state: where to keep it
 */
void begin(struct state *state)
{
	u8 i;

	memset(state, 0, sizeof(*state));
	now = state;
	memset(now->mem.leaf, 1, sizeof(now->mem.leaf));
	memset(now->mem.table, 1, sizeof(now->mem.table));
	memset(now->mem.generation, 1, sizeof(now->mem.generation));
	for (i = 0; i < NR_PROCESSES; i++)
		begin_process(i);
	for (i = 0; i < scenario->cpus; i++)
		begin_cpu(&now->cpu[i], i);
}
