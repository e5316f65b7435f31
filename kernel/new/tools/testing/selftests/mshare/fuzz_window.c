// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's windows: making, changing and using them. */
#include "fuzz.h"

/* How many entries of the window that starts at @w are neighbours, at most 3. */
static unsigned int run_of(struct fz *f, struct win *w)
{
	unsigned int n = 1;

	while (n < 3 && w + n < f->win + NR_WINS &&
	       w[n].at == w->at + n * f->sh->unit)
		n++;
	return n;
}

/* A place in the table and in the area for @units, NULL when there is none. */
static struct win *free_wins(struct fz *f, unsigned int units)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < NR_WINS; i++) {
		n = f->win[i].at ? 0 : n + 1;
		if (n == units)
			return &f->win[i + 1 - units];
	}
	return NULL;
}

static bool in_area(struct fz *f, const char *at)
{
	return f->area && at >= f->area && at < f->area + AREA_UNITS * f->sh->unit;
}

/* Where nothing of the thread's is. Its own windows may be there by choice. */
static char *free_area(struct fz *f, unsigned int units)
{
	unsigned int first = rnd(f, AREA_UNITS - units + 1);
	char *at = f->area + first * f->sh->unit;

	for (unsigned int i = 0; i < NR_WINS; i++) {
		char *w = f->win[i].at;

		if (w && w + f->sh->unit > at && w < at + units * f->sh->unit)
			return NULL;
	}
	return at;
}

/* Nobody else's mapping must come to lie in the area. */
static void reserve(struct fz *f, char *at, size_t len)
{
	if (in_area(f, at) &&
	    mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		 MAP_NORESERVE, -1, 0) == MAP_FAILED)
		/* For want of memory: then it is used no more. */
		f->area = NULL;
}

static void forget(struct win *w, unsigned int units)
{
	for (unsigned int i = 0; i < units; i++)
		w[i].at = NULL;
}

/* The arguments of mmap(2) that cannot be right. */
static void bad_mmap(struct fz *f, struct rfd *r, char *at, size_t len)
{
	char *p;

	switch (rnd(f, 6)) {
	case 0:
		p = mmap(NULL, len - PAGE, PROT_READ, MAP_SHARED, r->fd, 0);
		break;
	case 1:
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, r->fd, PAGE);
		break;
	case 2:
		p = mmap(at + PAGE, len, PROT_READ, MAP_SHARED |
			 MAP_FIXED_NOREPLACE, r->fd, 0);
		break;
	case 3:
		p = mmap(NULL, len, RW, MAP_PRIVATE, r->fd, 0);
		break;
	case 4:
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, r->fd, 1L << 52);
		break;
	default:
		p = mmap(NULL, len + PAGE, PROT_READ, MAP_SHARED, r->fd, 0);
	}
	if (p != MAP_FAILED)
		wrong(f, "mmap(2) of what is no window succeeded: %p", p);
}

bool do_mmap(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int units = 1 + rnd_unit(f), kind = rnd(f, 8), i;
	const size_t len = units * f->sh->unit;
	int prot = rnd_prot(f, r ? r->family : 0), flags = MAP_SHARED;
	off_t offset = rnd_unit(f) * f->sh->unit;
	uint64_t hint = rnd64(f) >> 8 >> rnd(f, 16);
	bool bad = one_in(f, 12), ok = false;
	char *at = NULL, *p;
	struct win *w;

	if (!r)
		return false;
	offset = fit(f, r, offset, len);
	pthread_mutex_lock(&layout);
	w = free_wins(f, units);
	if (!w)
		goto out;
	if (bad) {
		bad_mmap(f, r, f->area, len);
		goto out;
	}
	if (kind < 4 && f->area) {
		/* In the place of its own, or of one that is there. */
		at = free_area(f, units);
		if (!at)
			goto out;
		flags |= MAP_FIXED;
	} else if (kind < 6) {
		/* Anywhere, also above 47 bits. */
		at = (char *)hint;
	}
	if (one_in(f, 8))
		flags |= MAP_NORESERVE;
	p = mmap(at, len, prot, flags, r->fd, offset);
	if (p == MAP_FAILED) {
		/* mmap(2) may have unmapped it before it failed. */
		if (flags & MAP_FIXED)
			reserve(f, at, len);
		goto out;
	}
	if ((unsigned long)p % f->sh->unit)
		wrong(f, "mmap(2) returned %p", p);
	if (flags & MAP_FIXED && p != at)
		wrong(f, "mmap(2) at %p returned %p", at, p);
	if (r->mode == O_PATH || r->mode == O_WRONLY ||
	    (r->mode == O_RDONLY && prot & PROT_WRITE))
		wrong(f, "mmap(2) by mode %d, prot %d", r->mode, prot);
	for (i = 0; i < units; i++) {
		w[i].family = r->family;
		w[i].prot = prot;
		w[i].max = r->mode == O_RDWR ? RWX : RX;
		w[i].covered = false;
		w[i].at = p + i * f->sh->unit;
	}
	ok = true;
out:
	pthread_mutex_unlock(&layout);
	return ok;
}

/* Part of a unit: which is refused, if it is still a window. */
static void *part_of(struct fz *f, struct win *w, size_t *len)
{
	char *at = w->at + PAGE * rnd(f, 100);

	*len = PAGE * (1 + rnd(f, 100));
	return w->covered ? NULL : at;
}

bool do_munmap(struct fz *f)
{
	const size_t unit = f->sh->unit;
	struct win *w = rnd_win(f);
	bool part = one_in(f, 8), ok = false;
	unsigned int units;
	char *at;
	size_t len;

	if (!w)
		return false;
	pthread_mutex_lock(&layout);
	if (part) {
		at = part_of(f, w, &len);
		if (at && !munmap(at, len))
			wrong(f, "munmap(2) of a part of a unit succeeded");
		goto out;
	}
	at = w->at;
	units = 1 + rnd(f, run_of(f, w));
	ok = !munmap(at, units * unit);
	/* Only for want of memory, and then nothing was done. */
	if (!ok && errno != ENOMEM)
		wrong(f, "munmap(2): %s", strerror(errno));
	if (ok) {
		forget(w, units);
		reserve(f, at, units * unit);
	}
out:
	pthread_mutex_unlock(&layout);
	return ok;
}

bool do_mprotect(struct fz *f)
{
	const size_t unit = f->sh->unit;
	struct win *w = rnd_win(f);
	bool part = one_in(f, 8);
	int prot, ret = -1, allowed = RWX;
	unsigned int units;
	size_t len;
	char *at;

	if (!w)
		return false;
	prot = rnd_prot(f, w->family);
	pthread_mutex_lock(&layout);
	if (part) {
		at = part_of(f, w, &len);
		if (at && !mprotect(at, len, prot))
			wrong(f, "mprotect(2) of a part of a unit succeeded");
		goto out;
	}
	units = 1 + rnd(f, run_of(f, w));
	for (unsigned int i = 0; i < units; i++)
		allowed &= w[i].max;
	ret = mprotect(w->at, units * unit, prot);
	if (!ret && prot & ~allowed)
		wrong(f, "mprotect(2) to %d, allowed is %d", prot, allowed);
	for (unsigned int i = 0; i < units; i++) {
		/* When it fails some may have it. */
		w[i].prot = ret ? w[i].prot | (prot & w[i].max) : prot;
	}
out:
	pthread_mutex_unlock(&layout);
	return !ret;
}

/* What is not whole units to a place of that size is refused. */
static void bad_mremap(struct fz *f, struct win *w, char *to)
{
	const size_t unit = f->sh->unit;
	char *p;

	switch (rnd(f, 4)) {
	case 0:
		p = mremap(w->at + PAGE, PAGE, PAGE, MREMAP_MAYMOVE |
			   MREMAP_FIXED, to);
		break;
	case 1:
		p = mremap(w->at, unit, unit, MREMAP_MAYMOVE | MREMAP_FIXED |
			   MREMAP_DONTUNMAP, to);
		break;
	case 2:
		p = mremap(w->at, unit, 2 * unit, MREMAP_MAYMOVE);
		break;
	default:
		p = mremap(w->at, unit, PAGE, 0);
	}
	if (p != MAP_FAILED)
		wrong(f, "mremap(2) of %p succeeded: %p", w->at, p);
}

bool do_mremap(struct fz *f)
{
	const size_t unit = f->sh->unit;
	struct win *w = rnd_win(f);
	bool bad = one_in(f, 3), ok = false;
	unsigned int units;
	char *from, *to, *p;

	if (!w)
		return false;
	pthread_mutex_lock(&layout);
	from = w->at;
	units = 1 + rnd(f, run_of(f, w));
	to = f->area ? free_area(f, units) : NULL;
	if (!to)
		goto out;
	if (bad) {
		if (!w->covered)
			bad_mremap(f, w, to);
	} else {
		/* A run can be several windows, and then it is EFAULT. */
		p = mremap(from, units * unit, units * unit, MREMAP_MAYMOVE |
			   MREMAP_FIXED, to);
		if (p != MAP_FAILED && p != to)
			wrong(f, "mremap(2) to %p returned %p", to, p);
		ok = p == to;
	}
	for (unsigned int i = 0; ok && i < units; i++)
		w[i].at = to + i * unit;
	/* The old place, or the new one that it may have emptied. */
	reserve(f, ok ? from : to, units * unit);
out:
	pthread_mutex_unlock(&layout);
	return ok;
}

/* A window of the other thread, at any time: takes it away, or lowers it. */
bool do_interfere(struct fz *f)
{
	bool cover = rnd(f, 2), ok = false;
	int prot = rnd(f, 2) ? PROT_READ : PROT_NONE;
	unsigned int which = rnd(f, NR_WINS);
	struct win *w;

	if (!f->other)
		return false;
	pthread_mutex_lock(&layout);
	w = &f->other->win[which];
	if (w->at && cover) {
		/* Known before it is done, and if it leaves a gap. */
		w->max = RWX;
		w->covered = true;
		ok = mmap(w->at, f->sh->unit, PROT_NONE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) ==
		     w->at;
	} else if (w->at) {
		ok = !mprotect(w->at, f->sh->unit, prot);
	}
	pthread_mutex_unlock(&layout);
	return ok;
}

/*
 * A page of a window, with room for @len bytes of it: beyond the end could be
 * anything, the stack of a thread as well as another region.
 */
char *rnd_at(struct fz *f, struct win *w, size_t len)
{
	char *at = w->at + rnd_page(f) * PAGE, *end = w->at + f->sh->unit;

	for (; w + 1 < f->win + NR_WINS; w++) {
		if (w[1].at != end || w[1].family != w->family ||
		    w[1].prot != w->prot)
			break;
		end += f->sh->unit;
	}
	return at + len > end ? end - (len + PAGE - 1) / PAGE * PAGE : at;
}

/* The same at any word, with room for a page from there on. */
char *rnd_word(struct fz *f, struct win *w)
{
	return rnd_at(f, w, 2 * PAGE) + rnd(f, PAGE / 8) * 8;
}

bool do_load(struct fz *f)
{
	struct win *w = rnd_win(f);
	volatile uint64_t val = 0;
	uint64_t seen;
	char *at;
	int how;

	if (!w)
		return false;
	at = rnd_word(f, w);
	how = TRY(val = load(at));
	check_how(f, how, at, 8);
	if (how)
		return false;
	seen = val;
	check_bytes(f, w->family, &seen, sizeof(seen), at);
	return true;
}

/* A whole page, or two. */
bool do_load_page(struct fz *f)
{
	struct win *w = rnd_win(f);
	char *at;
	int how;

	if (!w)
		return false;
	at = rnd_at(f, w, PAGE);
	how = TRY(memcpy(f->scratch, at, PAGE));
	check_how(f, how, at, PAGE);
	if (how)
		return false;
	check_bytes(f, w->family, f->scratch, PAGE, at);
	return true;
}

bool do_store(struct fz *f)
{
	struct win *w = rnd_win(f);
	unsigned int kind = rnd(f, 4);
	uint8_t byte;
	char *at;
	int how;

	if (!w)
		return false;
	byte = byte_for(w);
	at = rnd_word(f, w);
	if (kind == 0) {
		how = TRY(__atomic_exchange_n((uint64_t *)at, word_of(byte),
					      __ATOMIC_SEQ_CST));
		check_how(f, how, at, 8);
	} else if (kind == 1) {
		at = (char *)ALIGN((unsigned long)at, PAGE);
		how = TRY(memset(at, byte, PAGE));
		check_how(f, how, at, PAGE);
	} else {
		how = TRY(store(at, word_of(byte)));
		check_how(f, how, at, 8);
	}
	if (!how && byte == POISON)
		wrong(f, "store to %p, prot %d, succeeded", at, w->prot);
	return !how;
}

/* From one window of a family to another, which may be the same page. */
bool do_copy(struct fz *f)
{
	struct win *from = rnd_win(f), *to = rnd_win(f);
	char *src, *dst;
	int how;

	if (!from || from->family != to->family || !(to->prot & PROT_WRITE))
		return false;
	src = rnd_at(f, from, PAGE);
	dst = rnd_at(f, to, PAGE);
	how = TRY(memmove(dst, src, PAGE));
	if (!known_end(f, how))
		wrong(f, "copy: signal %d, code %d", how >> 8, how & 0xff);
	return !how;
}

/*
 * Code of the first family is harmless, whatever it becomes meanwhile. Where it
 * cannot be executed the call ends at its first byte.
 */
bool do_call(struct fz *f)
{
	struct win *w = rnd_win(f);
	char *scratch = f->scratch;
	volatile uint8_t byte = 0;
	char *at;
	int how;

	/* Mostly one where it can succeed. */
	for (unsigned int i = 0; i < 8 && w && !(w->prot & PROT_EXEC); i++)
		w = rnd_win(f);
	if (!w)
		return false;
	at = rnd_word(f, w);
#ifdef __x86_64__
	if ((w->prot & RWX) == RWX)
		TRY(*(volatile uint8_t *)at = byte_of[w->family]);
	if (w->prot & PROT_EXEC) {
		/* Not through gigabytes of zeros. */
		how = TRY(byte = *(volatile uint8_t *)at);
		if (how || !byte)
			return false;
	}
	how = TRY(({
		char *rax = scratch;

		__asm__ volatile("sub $128, %%rsp\n\t"
				 "call *%1\n\t"
				 "add $128, %%rsp"
				 : "+a" (rax) : "r" (at)
				 : "rbx", "memory", "cc");
	}));
	if (!known_end(f, how))
		wrong(f, "call of %p: signal %d, code %d, at %p", at, how >> 8,
		      how & 0xff, access_at);
	if (!(w->prot & PROT_EXEC)) {
		if (!how)
			wrong(f, "call of %p, prot %d, succeeded", at, w->prot);
		check_how(f, how, at, 1);
	}
	return !how;
#else
	return false;
#endif
}
