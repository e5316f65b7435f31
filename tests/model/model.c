// SPDX-License-Identifier: GPL-2.0
/*
 * A model of how a flush of a region reaches the processes attached to it, in
 * which everything is tried that CPUs can do at the same time: every order of
 * their accesses, every moment for an interrupt, every delay of a store.
 *
 *	model [-v] [TEST...]	all tests, or those; -v: how each control fails
 *
 * After a flush has returned, no process may use an old translation, whether
 * it is running or is loaded later; no CPU, not even a lazy one, may walk a
 * page table that was freed; and nobody waits for ever. The controls leave
 * something out that this depends on, or do it at the wrong time, and pass if
 * that is found.
 *
 * What there is:
 *	- two or three CPUs as x86 has them: a store can be seen by others later,
 *	  but in order; locked operations and smp_mb() wait until all can be seen;
 *	- processes P and Q with PCIDs, so that a CPU keeps what it has cached of
 *	  one while it runs the other; a CPU caches leaves, and links with what is
 *	  below, at any time while it has the process loaded;
 *	- regions X, Y and Z; what clears leaves and flushes; what loads
 *	  processes, or leaves a CPU lazy; mmap(2) and munmap(2) of windows;
 *	  ordinary flushes of a process; and calls of other CPUs.
 * Each step of protocol.c is one access. Scripts have a few parts for each CPU,
 * see below.
 *
 * What there is not:
 *	- orders that x86 keeps: smp_wmb(), smp_rmb(), acquire and release are
 *	  nothing here, as they are on x86 but for the compiler;
 *	- more regions than CPUs have room to note; an mm_struct at the address of
 *	  an older one; PCIDs that are used again; CPUs that come and go;
 *	- RCU: lists are read in one step, and attachments are not freed;
 *	- addresses: a leaf is flushed or is not; nor Meltdown's second page table;
 *	- page table locks, and mmap_locks: a script that needs one has it, and
 *	  nothing else in the scenario takes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define LOADS(mm)		{ LOAD, mm, 0 }
#define GOES_LAZY		{ LAZY, 0, 0 }
#define DOES_ANYTHING		{ ANYTHING, 0, 0 }
#define FLUSHES(leaf)		{ FLUSH, leaf, 0 }
#define FREES(region)		{ FREE, region, 0 }
#define DEFERS(leaf, leaf2)	{ DEFERRED, leaf, leaf2 }
#define ATTACHES(mm, at)	{ ATTACH, mm, at }
#define DETACHES(mm, at)	{ DETACH, mm, at }
#define OPENS(mm)		{ OPEN, mm, 0 }
#define CLOSES(mm)		{ CLOSE, mm, 0 }
#define UNMAPS			{ UNMAP, 0, 0 }
#define RUNS			{ END, 0, 0 }

static const struct scenario scenarios[] = { {
	.name = "switch_in",
	.cpus = 2, .loaded = { INIT, INIT }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { LOADS(P) } },
}, {
	.name = "switch_away_and_back",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X), BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { LOADS(Q), LOADS(P) } },
}, {
	.name = "switch_to_init_and_back",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { LOADS(INIT), LOADS(P) } },
}, {
	/* The first marks it stale, the second has to see that. */
	.name = "two_load",
	.cpus = 3, .loaded = { INIT, INIT, INIT }, .attached = { BIT(X) },
	.script = { { LOADS(P) }, { LOADS(P) }, { FLUSHES(LEAF_A) } },
}, {
	.name = "flush_and_load",
	.cpus = 2, .loaded = { INIT, INIT }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A), LOADS(P) }, { LOADS(P) } },
}, {
	.name = "lazy_and_back",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { GOES_LAZY, LOADS(P) } },
}, {
	.name = "lazy_and_other",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X), BIT(X) },
	.script = { { FLUSHES(LEAF_A) },
		    { GOES_LAZY, LOADS(Q), GOES_LAZY, LOADS(P) } },
}, {
	.name = "anything",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X), BIT(X) },
	.script = { { FLUSHES(LEAF_A), FLUSHES(LEAF_B) },
		    { DOES_ANYTHING, DOES_ANYTHING, DOES_ANYTHING,
		      DOES_ANYTHING } },
}, {
	.name = "anything_on_two",
	.cpus = 3, .loaded = { INIT, P, INIT }, .attached = { BIT(X), BIT(Y) },
	.script = { { FLUSHES(LEAF_A) }, { DOES_ANYTHING, DOES_ANYTHING },
		    { LOADS(P) } },
}, {
	.name = "exchange",
	.cpus = 3, .loaded = { INIT, P, Q }, .attached = { BIT(X), BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { LOADS(Q) }, { LOADS(P) } },
}, {
	/* Another thread runs, whose CPU has to make a note. */
	.name = "attach",
	.cpus = 3, .loaded = { P, P, INIT },
	.script = { { ATTACHES(P, TO_X) }, { RUNS }, { FLUSHES(LEAF_A) } },
}, {
	.name = "attach_and_load",
	.cpus = 3, .loaded = { P, INIT, INIT },
	.script = { { ATTACHES(P, TO_X) }, { LOADS(P) }, { FLUSHES(LEAF_A) } },
}, {
	.name = "attach_and_two_flushes",
	.cpus = 3, .loaded = { P, INIT, INIT },
	.script = { { ATTACHES(P, TO_X) }, { FLUSHES(LEAF_A) },
		    { FLUSHES(LEAF_B) } },
}, {
	/* The notes that there are change while the flush reads them. */
	.name = "attach_to_second",
	.cpus = 2, .loaded = { P, INIT }, .attached = { BIT(X) },
	.script = { { ATTACHES(P, TO_Y) }, { FLUSHES(LEAF_A) } },
}, {
	.name = "attach_to_second_two_flushes",
	.cpus = 2, .loaded = { P, INIT }, .attached = { BIT(X) },
	.script = { { ATTACHES(P, TO_Y) },
		    { FLUSHES(LEAF_C), FLUSHES(LEAF_A) } },
}, {
	.name = "attach_to_second_running",
	.cpus = 3, .loaded = { P, P, INIT }, .attached = { BIT(X) },
	.script = { { ATTACHES(P, TO_Y) }, { RUNS }, { FLUSHES(LEAF_A) } },
}, {
	.name = "detach",
	.cpus = 3, .loaded = { P, P, INIT }, .attached = { BIT(X) },
	.script = { { DETACHES(P, TO_X) }, { RUNS }, { FLUSHES(LEAF_A) } },
}, {
	.name = "detach_and_load",
	.cpus = 3, .loaded = { P, INIT, INIT }, .attached = { BIT(X) },
	.script = { { DETACHES(P, TO_X) }, { LOADS(P) }, { FLUSHES(LEAF_A) } },
}, {
	.name = "detach_from_other",
	.cpus = 2, .loaded = { P, INIT }, .attached = { BIT(X) | BIT(Y) },
	.script = { { DETACHES(P, TO_X) }, { FLUSHES(LEAF_C) } },
}, {
	.name = "attach_again",
	.cpus = 3, .loaded = { P, P, INIT }, .attached = { BIT(X) },
	.script = { { DETACHES(P, TO_X), ATTACHES(P, TO_X_AGAIN) }, { RUNS },
		    { FLUSHES(LEAF_A) } },
}, {
	/* Both CPUs flush both leaves, each as part of one step or of two. */
	.name = "two_flushes",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { FLUSHES(LEAF_B) } },
}, {
	.name = "two_flushes_on_three",
	.cpus = 3, .loaded = { P, P, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { FLUSHES(LEAF_B) }, { RUNS } },
}, {
	.name = "two_flushes_and_load",
	.cpus = 3, .loaded = { INIT, P, INIT }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A), FLUSHES(LEAF_B) }, { RUNS },
		    { LOADS(P) } },
}, {
	.name = "two_flushes_and_lazy",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A), FLUSHES(LEAF_B) },
		    { GOES_LAZY, LOADS(P) } },
}, {
	.name = "two_flushes_and_lazy_twice",
	.cpus = 3, .loaded = { INIT, INIT, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { FLUSHES(LEAF_B) },
		    { GOES_LAZY, LOADS(P), GOES_LAZY, LOADS(P) } },
}, {
	.name = "two_regions",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) | BIT(Y) },
	.script = { { FLUSHES(LEAF_A) }, { FLUSHES(LEAF_C) } },
}, {
	/* Pages of a window are flushed in all windows there are. */
	.name = "second_window",
	.cpus = 3, .loaded = { P, P, INIT }, .attached = { BIT(X) },
	.script = { { OPENS(P), CLOSES(P) }, { RUNS }, { FLUSHES(LEAF_A) } },
}, {
	/* The process has memory of its own, with flushes of its own. */
	.name = "munmap",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) },
	.script = { { UNMAPS }, { FLUSHES(LEAF_A) } },
}, {
	.name = "munmap_running",
	.cpus = 3, .loaded = { P, INIT, P }, .attached = { BIT(X) },
	.script = { { UNMAPS }, { FLUSHES(LEAF_A) }, { RUNS } },
}, {
	.name = "munmap_and_flush",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) },
	.script = { { FLUSHES(LEAF_A) }, { UNMAPS, FLUSHES(LEAF_B) } },
}, {
	.name = "deferred",
	.cpus = 2, .loaded = { INIT, INIT }, .attached = { BIT(X) | BIT(Y) },
	.script = { { DEFERS(LEAF_A, LEAF_C) },
		    { LOADS(P), GOES_LAZY, LOADS(P) } },
}, {
	.name = "deferred_and_flush",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) | BIT(Y) },
	.script = { { DEFERS(LEAF_A, LEAF_C) }, { FLUSHES(LEAF_B) } },
}, {
	.name = "freed_tables",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X), BIT(Y) },
	.script = { { FREES(X) },
		    { DOES_ANYTHING, DOES_ANYTHING, DOES_ANYTHING } },
	.strict = true,
}, {
	.name = "freed_tables_lazy",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) },
	.script = { { FREES(X) }, { GOES_LAZY, LOADS(P), GOES_LAZY } },
	.strict = true,
}, {
	/* Nor may a CPU walk them on its way from P, before it writes CR3. */
	.name = "freed_tables_switching",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X), BIT(Y) },
	.script = { { FREES(X) }, { LOADS(Q) } },
	.strict = true,
}, {
	/* Nor while it writes its notes anew, before it compares generations. */
	.name = "freed_tables_attach",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) },
	.script = { { FREES(X) }, { ATTACHES(P, TO_Y) } },
	.strict = true,
}, {
	.name = "freed_tables_attach_running",
	.cpus = 3, .loaded = { INIT, P, P }, .attached = { BIT(X) },
	.script = { { FREES(X) }, { ATTACHES(P, TO_Y) }, { RUNS } },
	.strict = true,
}, {
	/* There are as many notes as before. */
	.name = "freed_tables_attach_again",
	.cpus = 2, .loaded = { INIT, P }, .attached = { BIT(X) | BIT(Y) },
	.script = { { FREES(Y) },
		    { DETACHES(P, TO_X), ATTACHES(P, TO_X_AGAIN) } },
	.strict = true,
}, {
	/* No interrupt: the region moves from the second note to the first. */
	.name = "freed_tables_detach_and_lazy",
	.cpus = 2, .loaded = { INIT, P },
	.attached = { BIT(X) | BIT(Y) | BIT(Z) },
	.script = { { FREES(Y) }, { DETACHES(P, TO_Z), GOES_LAZY, LOADS(P) } },
	.strict = true,
} };

/* What is left out, in which scenario. */
static const struct {
	const char *name;
	const char *in;
	unsigned int control;
} controls[] = {
	{ "no_barrier", "switch_in", NO_BARRIER },
	/* switch_mm_irqs_off() has one for lazy CPUs, too. */
	{ "no_barriers_lazy", "lazy_and_back", NO_BARRIERS },
	{ "early_increment", "switch_in", EARLY_INCREMENT },
	{ "early_look", "switch_in", EARLY_LOOK },
	{ "seen_before_mark", "two_load", SEEN_FIRST },
	{ "seen_before_mark_on_two", "flush_and_load", SEEN_FIRST },
	{ "no_catch_up", "switch_in", NO_CATCH_UP },
	{ "no_catch_up_lazy", "lazy_and_back", NO_CATCH_UP },
	{ "switching_is_nobody", "switch_in", NOT_SWITCHING },
	{ "late_lazy", "lazy_and_back", LATE_LAZY },
	{ "link_before_notes", "attach", LATE_NOTES },
	{ "flag_after_notes", "attach_and_load", LATE_FLAG },
	/* Only notes: who reads them meanwhile may miss X for Y. */
	{ "no_catch_up_attached", "attach_to_second", ONLY_NOTES },
	{ "link_before_shown", "second_window", LATE_SHOW },
	{ "lock_with_interrupts", "attach", LOCK_IRQS_ON },
	/* Which steps of a process a CPU that flushes a range may have missed. */
	{ "no_local_check", "two_flushes", NO_LOCAL_CHECK },
	{ "no_latest_check", "two_flushes", NO_LATEST_CHECK },
	{ "no_seen_check", "two_flushes", NO_SEEN_CHECK },
	{ "no_lock", "munmap_and_flush", NO_LOCK },
	{ "lazy_left_out", "freed_tables_lazy", NOT_LAZY },
	{ "switching_left_out", "freed_tables_switching", NOT_LEAVING },
	{ "no_sequence", "freed_tables_attach", NO_SEQUENCE },
	{ "no_sequence_running", "freed_tables_attach_running", NO_SEQUENCE },
	{ "no_sequence_lazy", "freed_tables_detach_and_lazy", NO_SEQUENCE },
	/* The number of notes may be the same. */
	{ "only_number", "freed_tables_attach_again", ONLY_NUMBER },
	{ "odd_sequence", "freed_tables_attach", ODD_SEQUENCE },
};

/*
 * What the kernel itself does not promise, and has nothing to do with regions: a
 * CPU that is on its way from P to Q, with interrupts off, is not in
 * mm_cpumask(P) any more some instructions before it writes CR3. Until then it
 * may walk a page table of P that was freed.
 */
static const struct scenario known[] = { {
	.name = "known.process_switching",
	.cpus = 2, .loaded = { P, P }, .attached = { BIT(X) },
	.script = { { DETACHES(P, TO_X) }, { LOADS(Q) } },
	.strict = true, .broken = true,
} };

static int nr_tests, nr_failed;
static bool verbose;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void test(const struct scenario *what)
{
	double began = seconds();
	struct result result;
	bool good;

	explore(what, &result);
	good = !result.why == !what->broken;
	if (result.why && (verbose || !good))
		print_trace(&result);
	printf("# %u states, %.1f s; %s", result.states, seconds() - began,
	       result.why ? result.why : "nothing wrong");
	if (result.why)
		printf(", in %u moves", result.depth);
	printf("\n%sok %d - %s\n", good ? "" : "not ", ++nr_tests, what->name);
	fflush(stdout);
	nr_failed += !good;
}

static void test_control(const char *name, const char *in, unsigned int control)
{
	struct scenario what;
	size_t i = 0;

	while (strcmp(scenarios[i].name, in))
		i++;
	what = scenarios[i];
	what.name = name;
	what.control = control;
	what.broken = true;
	test(&what);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	char **names = argv + 1, name[60];
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "-v")) {
		verbose = true;
		names++;
	}
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (wanted(scenarios[i].name, names))
			test(&scenarios[i]);
	for (i = 0; i < ARRAY_SIZE(controls); i++) {
		snprintf(name, sizeof(name), "control.%s", controls[i].name);
		if (wanted(name, names))
			test_control(name, controls[i].in, controls[i].control);
	}
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (wanted(known[i].name, names))
			test(&known[i]);
	printf("1..%d\n", nr_tests);
	return nr_failed || !nr_tests;
}
