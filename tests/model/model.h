/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine of the model: its memory, its CPUs, and how the functions in
 * protocol.c are written. See model.c for what it is about.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;

#define MAX_CPUS	3
#define MAX_STORES	16
#define MAX_OPS		5

/* What a CPU can have loaded, or say so: the first two are processes. */
enum { P, Q, NR_PROCESSES, INIT = NR_PROCESSES, SWITCHING, NOTHING };
enum { X, Y, Z, NR_REGIONS };
/* A process is attached to X once, or again when it has been detached. */
enum { TO_X, TO_Y, TO_Z, TO_X_AGAIN, NR_ATTACHMENTS };
/* Leaves: two of region X, one of Y, and one that is process P's own. */
enum {
	LEAF_A, LEAF_B, LEAF_C, LEAF_OWN, NR_LEAVES,
	/* What a CPU caches of the first two by the second window of X. */
	SECOND_A = NR_LEAVES, SECOND_B, NR_CACHED
};

enum { LINK_X, LINK_Y, LINK_Z, SECOND_LINK, NR_LINKS };

#define BIT(n)		(1U << (n))
#define LOADED_ANY	255

static inline u8 region_of(u8 leaf)
{
	return leaf == LEAF_C ? Y : X;
}

static inline u8 attached_to(u8 attachment)
{
	return attachment == TO_X_AGAIN ? X : attachment;
}

static inline u8 linked_to(u8 link)
{
	return link == SECOND_LINK ? X : link;
}

/* What may have been cached of leaves. */
static inline u8 cached(u8 leaves)
{
	return leaves | (leaves & (BIT(LEAF_A) | BIT(LEAF_B))) << SECOND_A;
}

/**
 * struct memory - what all CPUs see, or will once a store has been drained
 * @leaf: 1: the old translation, 0: cleared
 * @table: 1: the entry that refers to the page table of these leaves
 * @link: of a process to each region, and to X by a second window
 * @generation: of a region
 * @tlb_gen: of a process
 * @flag: MM_CONTEXT_MSHARE of a process
 * @cpumask: of a process
 * @list: the attachments of a process, see first()
 * @seen: of an attachment, as are @step, @lock, and
 * @shown: windows that the process has told of, 1 and 2
 * @loaded_mm: of a CPU, as are
 * @is_lazy:
 * @noted_mm: struct loaded
 * @sequence: odd while the other notes are written
 * @noted_nr:
 * @noted:
 * @call: what a CPU wants another one to do; 0 when it is done
 */
struct memory {
	u8 leaf[NR_LEAVES];
	u8 table[NR_REGIONS];
	u8 link[NR_PROCESSES][NR_LINKS];
	u8 generation[NR_REGIONS];
	u8 tlb_gen[NR_PROCESSES];
	u8 flag[NR_PROCESSES];
	u8 cpumask[NR_PROCESSES];
	u8 list[NR_PROCESSES];
	u8 seen[NR_PROCESSES][NR_ATTACHMENTS];
	u8 step[NR_PROCESSES][NR_ATTACHMENTS];
	u8 lock[NR_PROCESSES][NR_ATTACHMENTS];
	u8 shown[NR_PROCESSES][NR_ATTACHMENTS];
	u8 loaded_mm[MAX_CPUS];
	u8 is_lazy[MAX_CPUS];
	u8 noted_mm[MAX_CPUS];
	u8 sequence[MAX_CPUS];
	u8 noted_nr[MAX_CPUS];
	u8 noted[MAX_CPUS][NR_REGIONS];
	u8 call[MAX_CPUS][MAX_CPUS];
};

/* What struct memory.call says. */
enum { CALL_NOTE = 1, CALL_FLUSH, CALL_FLUSH_ALL, CALL_PROCESS };

/**
 * struct cpu - what is a CPU's own
 * @op: which part of its script it is at
 * @chosen: what it has chosen there, + 1
 * @irqs_off: no interrupt is taken
 * @handling: the call that it is handling
 * @sender: the CPU from which it came
 * @cr3: whose page tables it walks
 * @gen: cpu_tlbstate.ctxs[].tlb_gen, of each process
 * @tlb: the old leaves that it has cached, for each process
 * @walk: the links that it has cached, with the entries below
 * @nr_stores: how many have not reached memory
 * @stores: these, first comes first
 *
 * The rest are the functions that it has begun, with what they remember. None
 * can be begun twice: those that an interrupt may call have interrupts off.
 */
struct cpu {
	u8 op;
	u8 chosen;
	u8 irqs_off;
	u8 handling;
	u8 sender;
	u8 cr3;
	u8 gen[NR_PROCESSES];
	u8 tlb[NR_PROCESSES];
	u8 walk[NR_PROCESSES];

	struct { u8 pc, prev, was_lazy, gen, flush; } switch_mm;
	struct { u8 pc, attached; } mshare_switch;
	struct { u8 pc, list, nr; } note_regions;
	struct { u8 pc, list, at, generation, seen; } catch_up_all;
	struct { u8 pc, gen; } catch_up;
	struct { u8 pc, list, at, gen; } catch_up_flush;
	struct { u8 pc, mm, local, step, shown, gen; } flush_loaded;
	struct { u8 pc, mm, local, gen; } flush_tlb_func;
	struct { u8 pc; } note_attached, handle, enter_lazy, load_mm, clear,
		set_link, show, unlink_window, detach, open_second,
		close_second, unmap;
	struct {
		u8 pc, cpu, mm, noted, lazy, sequence, nr, i, index, again;
	} add_loaded;
	struct { u8 pc, cpu; } call_cpus;
	struct { u8 pc, region, leaves, generation, cpus; } flush;
	struct { u8 pc, generation; } attach;
	struct { u8 pc, gen, mask, cpus, cpu, mm, lazy; } flush_process;
	struct { u8 pc, mask; } attached;

	u8 nr_stores;
	struct {
		u8 where;
		u8 value;
	} stores[MAX_STORES];
};

/**
 * struct state - of the whole machine
 * @dead: leaves whose flush has returned
 * @freed: regions whose page table was freed, after the flush
 * @gone: links of each process that were cleared, and flushed
 */
struct state {
	struct memory mem;
	u8 dead;
	u8 freed;
	u8 gone[NR_PROCESSES];
	struct cpu cpu[MAX_CPUS];
};

/* Part of a script. */
struct op {
	enum {
		END,		/* of the script */
		LOAD,		/* switch to process @a, or INIT */
		LAZY,		/* to a kernel thread, without a switch */
		ANYTHING,	/* of these two, or nothing: all are tried */
		FLUSH,		/* clear leaf @a, and flush */
		FREE,		/* the page table of region @a */
		DEFERRED,	/* clear leaves @a and @b, and flush all at once */
		ATTACH,		/* process @a by attachment @b */
		DETACH,
		OPEN,		/* a second window of X for process @a */
		CLOSE,		/* it */
		UNMAP,		/* a leaf of P's own, without us */
	} what;
	u8 a;
	u8 b;
};

/* What is wrong in a control. */
enum {
	/* smp_mb() between the notes and the look at the generations */
	NO_BARRIER		= BIT(0),
	/* nor that of switch_mm_irqs_off() for lazy CPUs */
	NO_BARRIERS		= BIT(1),
	/* the generation is incremented before the leaf is cleared */
	EARLY_INCREMENT		= BIT(2),
	/* the flush looks who runs before it increments the generation */
	EARLY_LOOK		= BIT(3),
	/* attachment->seen is set before the process is marked stale */
	SEEN_FIRST		= BIT(4),
	/* nothing is compared when a process is loaded */
	NO_CATCH_UP		= BIT(5),
	/* the first link is set before the CPUs have made a note */
	LATE_NOTES		= BIT(6),
	/* MM_CONTEXT_MSHARE is set after they have */
	LATE_FLAG		= BIT(7),
	/* what they missed meanwhile is not looked for */
	ONLY_NOTES		= BIT(8),
	/* a window is linked before flushes know where it is */
	LATE_SHOW		= BIT(9),
	/* is_lazy is cleared after the look at the generations */
	LATE_LAZY		= BIT(10),
	/* a CPU that is loading a process does not count as running any */
	NOT_SWITCHING		= BIT(11),
	/* CPUs that are lazy are left out when page tables are freed */
	NOT_LAZY		= BIT(12),
	/* a range is flushed also if the CPU has missed other steps, */
	NO_LOCAL_CHECK		= BIT(13),
	/* if there have been others since, */
	NO_LATEST_CHECK		= BIT(14),
	/* if the step is for several flushes */
	NO_SEEN_CHECK		= BIT(15),
	/* attachment->lock is not taken */
	NO_LOCK			= BIT(16),
	/* or with interrupts on */
	LOCK_IRQS_ON		= BIT(17),
	/* CPUs on their way to another process are left out, too */
	NOT_LEAVING		= BIT(18),
	/* notes that change while they are read count as those of any time, */
	NO_SEQUENCE		= BIT(19),
	/* if their number is the same, */
	ONLY_NUMBER		= BIT(20),
	/* or if they are being changed before and after */
	ODD_SEQUENCE		= BIT(21),
};

/**
 * struct scenario - what is tried
 * @name: of the test
 * @cpus: how many there are
 * @loaded: what each of them has loaded at the beginning
 * @attached: the regions that each process is attached to
 * @script: what each CPU does
 * @control: what is wrong
 * @broken: that must be found
 * @strict: what was freed may not be walked with interrupts off either
 */
struct scenario {
	const char *name;
	u8 cpus;
	u8 loaded[MAX_CPUS];
	u8 attached[NR_PROCESSES];
	struct op script[MAX_CPUS][MAX_OPS];
	unsigned int control;
	bool broken;
	bool strict;
};

/**
 * struct result - of trying all there is
 * @states: how many states were reached
 * @why: what is wrong with the last that was looked at; NULL if with none
 * @last: its number
 * @depth: how many moves lead to it
 */
struct result {
	uint32_t states;
	const char *why;
	uint32_t last;
	uint32_t depth;
};

/*
 * What can happen next: a CPU goes on with its script, or with what interrupted
 * it; its oldest store reaches memory; it is interrupted, by what another one
 * asks of it; or it decides what to do, where its script leaves that open.
 */
#define NR_CHOICES	5
enum move {
	STEP, DRAIN, INTERRUPT, CHOOSE = INTERRUPT + MAX_CPUS,
	NR_MOVES = CHOOSE + NR_CHOICES
};

extern const struct scenario *scenario;
extern struct state *now;
/* A trace is being printed. */
extern bool tracing;

static inline bool control(unsigned int bit)
{
	return scenario->control & bit;
}

/* machine.c */
void begin(struct state *state);
bool possible(const struct cpu *cpu, u8 move);
bool make_move(struct cpu *cpu, u8 move);
const char *wrong(void);
bool ended(void);

/* explore.c */
void explore(const struct scenario *what, struct result *result);
void print_trace(const struct result *result);
__attribute__((format(printf, 3, 4)))
void tell(const struct cpu *cpu, const char *function, const char *format, ...);
#define say(cpu, ...)				\
	do {					\
		if (tracing)			\
			tell(cpu, __VA_ARGS__);	\
	} while (0)

/* names.c */
const char *name_of(size_t var);
const char *value_of(size_t var, u8 value);
const char *leaves_of(u8 set);

/* protocol.c */
enum { BLOCKED = 1, MORE };
int step_cpu(struct cpu *cpu);
bool can_choose(const struct cpu *cpu, u8 choice);

/* What is called after variables of memory. */
#define VAR(var)	offsetof(struct memory, var)

/* Memory as a CPU sees it: its own stores, when they have not been drained. */
static inline u8 *byte(size_t var)
{
	return (u8 *)&now->mem + var;
}

static inline u8 look(const struct cpu *cpu, size_t var)
{
	int i;

	for (i = cpu->nr_stores - 1; i >= 0; i--)
		if (cpu->stores[i].where == var)
			return cpu->stores[i].value;
	return *byte(var);
}

static inline u8 id(const struct cpu *cpu)
{
	return cpu - now->cpu;
}

/*
 * A list of attachments is a number. Each digit is an attachment + 1, and the
 * lowest one is the head.
 */
#define LIST_BASE	(NR_ATTACHMENTS + 1)
_Static_assert(LIST_BASE * LIST_BASE * LIST_BASE <= 256, "no room for three");

static inline u8 first(u8 list)
{
	return list % LIST_BASE - 1;
}

static inline u8 rest(u8 list)
{
	return list / LIST_BASE;
}

static inline u8 add_first(u8 list, u8 attachment)
{
	return list * LIST_BASE + attachment + 1;
}

#endif /* MODEL_H */
