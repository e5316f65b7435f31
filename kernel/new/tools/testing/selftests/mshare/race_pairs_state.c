// SPDX-License-Identifier: GPL-2.0
/*
 * How the workers of races use the memory that they share, and know what they
 * must find there, see race_pairs.h.
 */
#include <stdarg.h>
#include "race_pairs.h"

/* Says it, ten times at most; by no lock that a fork could have copied. */
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
void now(struct state *s, unsigned int legal, bool emptied)
{
	uint64_t val = ((s->now >> 8) + 1) << 8;

	if (emptied)
		val += 1ull << 40;
	__atomic_store_n(&s->now, val | legal, __ATOMIC_SEQ_CST);
}

struct state *view_state(struct worker *w, unsigned int view)
{
	unsigned int owner = (w->owner & ~1u) + (view - 1) / SLOTS;

	return view ? &w->race->slot[owner][(view - 1) % SLOTS] :
		      &w->race->home;
}

struct use use_begin(struct worker *w, unsigned int part, unsigned int page,
		     unsigned int view)
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

static unsigned int legal_of(const struct state *s, uint64_t was, bool write)
{
	if (state_of(s) != was)
		return OK | s->may;
	return (write ? was >> 4 : was) & 15;
}

/* How it may have ended: the window has the first word. */
unsigned int legal(const struct use *u, bool write)
{
	unsigned int by_view = legal_of(u->vs, u->view_was, write);
	unsigned int by_part = legal_of(u->ps, u->part_was, write);

	return by_view & OK ? (by_view & ~OK) | by_part : by_view;
}

/* Contents are known: they are always kept, or nobody touched them. */
bool certain(const struct use *u)
{
	return AREA(u->part) == PLAIN || AREA(u->part) == GUARDED ||
	       (same_part(u) && !IS_CHANGING(u->part_was));
}

static unsigned int how_bit(int how)
{
	return how == 0 ? OK : how == MAPERR ? MAP : how == ACCERR ? ACC :
	       how == BUS_END ? BUS : 0;
}

void check_how(struct worker *w, const struct use *u, int how, bool write)
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
int try_load(char *at, uint64_t *val)
{
	probe_at = at;
	probe_result = 0;
	if (!sigsetjmp(probe_env, 0))
		*val = load(at);
	return probe_result;
}

int try_store(char *at, uint64_t val)
{
	probe_at = at;
	probe_result = 0;
	if (!sigsetjmp(probe_env, 0))
		store(at, val);
	return probe_result;
}

void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = probe_signal,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static uint64_t number(unsigned int user, unsigned int part, unsigned int page,
		       uint64_t n)
{
	return 1ull << 63 | (uint64_t)user << 56 | (uint64_t)part << 48 |
	       (uint64_t)page << 40 | n;
}

/* What user @user's word holds. It may be being written. */
void check_whose(struct worker *w, const struct use *u, unsigned int user,
		 uint64_t val)
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
bool check_word(struct worker *w, const struct use *u, uint64_t val)
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
static void store_word(struct worker *w, unsigned int part,
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
static void use_page(struct worker *w, unsigned int part, unsigned int page,
		     unsigned int view)
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
unsigned int rnd_part(struct worker *w)
{
	const struct op *op = w->race->op[rnd(w, 2)];

	return PART(rnd(w, 2) ? op->area : rnd(w, AREAS), rnd(w, WORKERS));
}

void use_some(struct worker *w, unsigned int times)
{
	for (unsigned int i = 0; i < times && !stopped(w->race); i++) {
		use_page(w, rnd_part(w), rnd(w, NPAGES), rnd(w, VIEWS));
		__atomic_fetch_add(&w->race->uses[w->id], 1, __ATOMIC_RELAXED);
	}
}

/* The same through the window that never changes. */
void use_home(struct worker *w, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		use_page(w, rnd_part(w), rnd(w, NPAGES), 0);
		__atomic_fetch_add(&w->race->uses[w->id], 1, __ATOMIC_RELAXED);
	}
}
