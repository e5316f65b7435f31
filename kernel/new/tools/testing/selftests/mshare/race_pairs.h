/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of which it is known at any moment what an access must find.
 *
 * Four workers, two threads in each of two processes, share a region. It has
 * parts, of four kinds, and each worker has one of each kind that it alone
 * changes. Each process has views: windows that show all parts. One never
 * changes, the others are changed by one worker each. Who changes a part or a
 * view says before and after what the others may meet there; an access during
 * which nobody said anything new must have ended in just that way.
 *
 * Each user has a word in each page, in which it stores numbers, and remembers
 * the last. So a store that was lost, one that went elsewhere, and contents
 * that should be gone, are seen by whoever stored; a page of somebody else by
 * everybody, since numbers say whose they are and where.
 */
#ifndef MSHARE_RACE_PAIRS_H
#define MSHARE_RACE_PAIRS_H

#include "lib_region.h"

#define WORKERS		4
#define USERS		(2 * WORKERS)	/* one child of each worker, too */
#define NPAGES		32UL		/* used of each part */
#define SLOTS		2		/* places for the windows of a worker */
#define VIEWS		(1 + 2 * SLOTS)
#define SECTOR		512UL
#define TAIL(w)		(4 * SECTOR + (w) * SECTOR)	/* for devices */

/*
 * PLAIN	stays as it is
 * GUARDED	its protection is changed: no store may be lost
 * MOVING	is unmapped, and comes back empty
 * CUT		of a file that is truncated, or gets a hole
 */
enum area { PLAIN, GUARDED, MOVING, CUT, AREAS };
#define PARTS		(AREAS * WORKERS)
#define PART(area, w)	((area) * WORKERS + (w))
#define AREA(part)	((part) / WORKERS)

/* How an access may end; a load in the low bits, a store in the high ones. */
#define OK		1
#define MAP		2	/* MAPERR */
#define ACC		4	/* ACCERR */
#define BUS		8	/* BUS_END */
#define LEGAL(l, s)	((l) | (s) << 4)
#define OPEN		LEGAL(OK, OK)
#define READABLE	LEGAL(OK, ACC)
#define CLOSED		LEGAL(ACC, ACC)
#define GONE		LEGAL(MAP, MAP)
#define CUT_OFF		LEGAL(BUS, BUS)
#define CHANGING(how)	LEGAL(OK | (how), OK | (how))

/**
 * struct state - what a part or a view is for those who use it
 * @now: epoch of its contents in bits 40 up, number of changes in bits 8 up,
 *	 and what is legal
 * @may: what can be met while it changes, in all of this test
 */
struct state {
	uint64_t now;
	unsigned int may;
};

#define EPOCH(now)	((now) >> 40)
#define IS_CHANGING(now) ((now) & OK && (now) & (MAP | ACC | BUS))

/**
 * struct word - what one user knows of its word in one page
 * @val: stored last
 * @next: being stored, when @unsure
 * @epoch: when that was
 * @unsure: it may be either, or have been emptied
 */
struct word {
	uint64_t val;
	uint64_t next;
	uint64_t epoch;
	int unsure;
};

struct worker;

/**
 * struct op - one of the things that race
 * @name: in the name of a pair
 * @fn: does it once, and says so by counting in worker->done
 * @area: which parts it changes, or PLAIN
 * @parts: how it makes accesses to them end
 * @views: how it makes accesses through its worker's windows end
 * @evidence: line of /proc/vmstat that grows when it is really done
 */
struct op {
	const char *name;
	void (*fn)(struct worker *w);
	enum area area;
	unsigned int parts;
	unsigned int views;
	const char *evidence;
};

struct race {
	size_t unit;
	int fd;				/* the region */
	int disk;			/* for O_DIRECT, -1 without */
	int object[PARTS];		/* memfd, -1 where it is anonymous */
	const struct op *op[2];
	bool load_only;
	int stop;
	unsigned int ready;
	unsigned long wrong;
	pid_t pid[2];
	unsigned long done[WORKERS];	/* how often */
	unsigned long uses[USERS];
	struct state part[PARTS];
	struct state slot[WORKERS][SLOTS];
	struct state home;
	struct word word[USERS][PARTS][NPAGES];
};

struct worker {
	struct race *race;
	unsigned int id;		/* as user */
	unsigned int owner;		/* of parts and slots */
	unsigned int seed;
	uint64_t n;
	char *buf;
	int pipe[2];
};

#define BUF		(64 * KIB)

static inline unsigned int rnd(struct worker *w, unsigned int below)
{
	return rand_r(&w->seed) / 8 % below;
}

static inline bool stopped(struct race *race)
{
	return __atomic_load_n(&race->stop, __ATOMIC_RELAXED);
}

static inline uint64_t state_of(const struct state *s)
{
	return __atomic_load_n(&s->now, __ATOMIC_SEQ_CST);
}

/* Where the windows are: nothing else comes there. */
static inline char *view_at(struct race *race, unsigned int i)
{
	return (char *)(1UL << 44) + 2 * i * race->unit;
}

/* The slots of both workers of a process are views of it; 0 is its home. */
static inline unsigned int slot_view(unsigned int owner, unsigned int slot)
{
	return 1 + owner % 2 * SLOTS + slot;
}

static inline size_t part_at(unsigned int part)
{
	return part * HUGE;
}

/* An access, and all that is known of it. */
struct use {
	unsigned int part, page, view;
	char *at;
	struct state *ps, *vs;
	uint64_t part_was, view_was;
};

static inline bool same_part(const struct use *u)
{
	return state_of(u->ps) == u->part_was;
}

static inline char *word_at(const struct use *u, unsigned int user)
{
	return u->at + 64 * user;
}

/* race_pairs_state.c */
__attribute__((format(printf, 2, 3)))
void wrong(struct worker *w, const char *fmt, ...);
void now(struct state *s, unsigned int legal, bool emptied);
struct state *view_state(struct worker *w, unsigned int view);
struct use use_begin(struct worker *w, unsigned int part, unsigned int page,
		     unsigned int view);
unsigned int legal(const struct use *u, bool write);
bool certain(const struct use *u);
void check_how(struct worker *w, const struct use *u, int how, bool write);
int try_load(char *at, uint64_t *val);
int try_store(char *at, uint64_t val);
void catch_faults(void);
void check_whose(struct worker *w, const struct use *u, unsigned int user,
		 uint64_t val);
bool check_word(struct worker *w, const struct use *u, uint64_t val);
unsigned int rnd_part(struct worker *w);
void use_some(struct worker *w, unsigned int times);
void use_home(struct worker *w, unsigned int times);

/* race_pairs_ops.c */
void op_fault(struct worker *w);
void op_gup(struct worker *w);
void op_fork(struct worker *w);
void op_exit(struct worker *w);
void op_munmap(struct worker *w);
void op_mprotect(struct worker *w);
void op_mremap(struct worker *w);
void op_protect(struct worker *w);
void op_unmap(struct worker *w);
void op_truncate(struct worker *w);
void op_reclaim(struct worker *w);
void op_migrate(struct worker *w);
void op_collapse(struct worker *w);
void op_smaps(struct worker *w);

#endif
