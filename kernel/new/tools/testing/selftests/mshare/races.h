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
#ifndef MSHARE_RACES_H
#define MSHARE_RACES_H

#include <pthread.h>
#include <stdarg.h>

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

/* Says it, ten times at most; by no lock that a fork could have copied. */
static inline __attribute__((format(printf, 2, 3)))
void wrong(struct worker *w, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (__atomic_fetch_add(&w->race->wrong, 1, __ATOMIC_SEQ_CST) >= 10)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(2, "# user %u: %s\n", w->id, text);
}

/* Only the owner calls it. */
static inline void now(struct state *s, unsigned int legal, bool emptied)
{
	uint64_t val = ((s->now >> 8) + 1) << 8;

	if (emptied)
		val += 1ull << 40;
	__atomic_store_n(&s->now, val | legal, __ATOMIC_SEQ_CST);
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

static inline struct state *view_state(struct worker *w, unsigned int view)
{
	unsigned int owner = (w->owner & ~1u) + (view - 1) / SLOTS;

	return view ? &w->race->slot[owner][(view - 1) % SLOTS] :
		      &w->race->home;
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

static inline struct use use_begin(struct worker *w, unsigned int part,
				   unsigned int page, unsigned int view)
{
	struct use u = {
		.part = part, .page = page, .view = view,
		.at = view_at(w->race, view) + part_at(part) + page * PAGE,
		.ps = &w->race->part[part],
		.vs = view_state(w, view),
	};

	u.view_was = state_of(u.vs);
	u.part_was = state_of(u.ps);
	return u;
}

static inline bool same_part(const struct use *u)
{
	return state_of(u->ps) == u->part_was;
}

static inline unsigned int legal_of(const struct state *s, uint64_t was,
				    bool write)
{
	if (state_of(s) != was)
		return OK | s->may;
	return (write ? was >> 4 : was) & 15;
}

/* How it may have ended: the window has the first word. */
static inline unsigned int legal(const struct use *u, bool write)
{
	unsigned int by_view = legal_of(u->vs, u->view_was, write);
	unsigned int by_part = legal_of(u->ps, u->part_was, write);

	return by_view & OK ? (by_view & ~OK) | by_part : by_view;
}

/* Contents are known: they are always kept, or nobody touched them. */
static inline bool certain(const struct use *u)
{
	return AREA(u->part) == PLAIN || AREA(u->part) == GUARDED ||
	       (same_part(u) && !IS_CHANGING(u->part_was));
}

static inline unsigned int how_bit(int how)
{
	return how == 0 ? OK : how == MAPERR ? MAP : how == ACCERR ? ACC :
	       how == BUS_END ? BUS : 0;
}

static inline void check_how(struct worker *w, const struct use *u, int how,
			     bool write)
{
	unsigned int may = legal(u, write);

	if (how_bit(how) & may)
		return;
	wrong(w, "%s of part %u page %u through view %u: %#x, legal %#x (part %#llx, now %#llx, view %#llx, now %#llx)",
	      write ? "store" : "load", u->part, u->page, u->view, how, may,
	      (unsigned long long)u->part_was,
	      (unsigned long long)state_of(u->ps),
	      (unsigned long long)u->view_was,
	      (unsigned long long)state_of(u->vs));
}

/*
 * With the handlers of catch_faults(), and without a system call: nothing but
 * a flush takes an old translation from this CPU.
 */
static inline int try_load(char *at, uint64_t *val)
{
	probe_at = at;
	probe_result = 0;
	if (!sigsetjmp(probe_env, 0))
		*val = load(at);
	return probe_result;
}

static inline int try_store(char *at, uint64_t val)
{
	probe_at = at;
	probe_result = 0;
	if (!sigsetjmp(probe_env, 0))
		store(at, val);
	return probe_result;
}

static inline void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = probe_signal,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static inline uint64_t number(unsigned int user, unsigned int part,
			      unsigned int page, uint64_t n)
{
	return 1ull << 63 | (uint64_t)user << 56 | (uint64_t)part << 48 |
	       (uint64_t)page << 40 | n;
}

static inline char *word_at(const struct use *u, unsigned int user)
{
	return u->at + 64 * user;
}

/* What user @user's word holds. It may be being written. */
static inline void check_whose(struct worker *w, const struct use *u,
			       unsigned int user, uint64_t val)
{
	uint64_t own = number(user, u->part, u->page, 0);

	if (!val || (val & ~(~0ull >> 24)) == own)
		return;
	wrong(w, "part %u page %u has %#llx for user %u", u->part, u->page,
	      (unsigned long long)val, user);
}

/*
 * Whether @val can be what the own word holds. Learns from it, and returns
 * whether it is what the word holds now.
 */
static inline bool check_word(struct worker *w, const struct use *u,
			      uint64_t val)
{
	struct word *word = &w->race->word[w->id][u->part][u->page];
	uint64_t epoch = EPOCH(u->part_was);
	bool known = certain(u), good;

	if (known && !word->unsure)
		good = val == (word->epoch == epoch ? word->val : 0);
	else
		good = val == word->val || val == word->next ||
		       (!val && AREA(u->part) >= MOVING);
	if (!good)
		wrong(w, "part %u page %u through view %u has %#llx instead of %#llx (epoch %llu, was %llu, %s)",
		      u->part, u->page, u->view, (unsigned long long)val,
		      (unsigned long long)word->val, (unsigned long long)epoch,
		      (unsigned long long)word->epoch,
		      known && !word->unsure ? "sure" : "not sure");
	if (known) {
		word->val = val;
		word->next = val;
		word->epoch = epoch;
		word->unsure = 0;
	}
	return known;
}

/* The word is known. */
static inline void store_word(struct worker *w, unsigned int part,
			      unsigned int page, unsigned int view)
{
	struct use u = use_begin(w, part, page, view);
	struct word *word = &w->race->word[w->id][part][page];
	int how;

	/* Noted first: a child can be killed at any place. */
	word->next = number(w->id, part, page, ++w->n);
	__atomic_store_n(&word->unsure, 1, __ATOMIC_SEQ_CST);
	how = try_store(word_at(&u, w->id), word->next);
	check_how(w, &u, how, true);
	if (how) {
		word->next = word->val;
		__atomic_store_n(&word->unsure, 0, __ATOMIC_SEQ_CST);
		return;
	}
	if (!certain(&u))
		return;
	/* It may have been emptied since the load before: then it is 0, too. */
	word->val = word->next;
	word->epoch = EPOCH(u.part_was);
	__atomic_store_n(&word->unsure, 0, __ATOMIC_SEQ_CST);
}

/* One page: looks at the own word and at another's, and stores. */
static inline void use_page(struct worker *w, unsigned int part,
			    unsigned int page, unsigned int view)
{
	struct use u = use_begin(w, part, page, view);
	unsigned int other = rnd(w, USERS);
	uint64_t val = 0;
	bool known;
	int how;

	how = try_load(word_at(&u, w->id), &val);
	check_how(w, &u, how, false);
	/* Of three values that it may be, one could not be told. */
	if (how)
		known = !w->race->word[w->id][part][page].unsure;
	else
		known = check_word(w, &u, val);
	if (known && !w->race->load_only)
		store_word(w, part, page, view);
	if (other == w->id || how)
		return;
	u = use_begin(w, part, page, view);
	how = try_load(word_at(&u, other), &val);
	check_how(w, &u, how, false);
	if (!how)
		check_whose(w, &u, other, val);
}

/* Mostly what is being changed, in areas and in windows. */
static inline unsigned int rnd_part(struct worker *w)
{
	const struct op *op = w->race->op[rnd(w, 2)];

	return PART(rnd(w, 2) ? op->area : rnd(w, AREAS), rnd(w, WORKERS));
}

static inline void use_some(struct worker *w, unsigned int times)
{
	for (unsigned int i = 0; i < times && !stopped(w->race); i++) {
		use_page(w, rnd_part(w), rnd(w, NPAGES), rnd(w, VIEWS));
		__atomic_fetch_add(&w->race->uses[w->id], 1, __ATOMIC_RELAXED);
	}
}

/* The same through the window that never changes. */
static inline void use_home(struct worker *w, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		use_page(w, rnd_part(w), rnd(w, NPAGES), 0);
		__atomic_fetch_add(&w->race->uses[w->id], 1, __ATOMIC_RELAXED);
	}
}

#endif
