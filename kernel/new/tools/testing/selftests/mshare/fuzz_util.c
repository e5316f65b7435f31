// SPDX-License-Identifier: GPL-2.0
/*
 * What the fuzzer's operations draw their arguments from, and how they tell that
 * an access ended as it may, with bytes that may be there.
 */
#include <stdarg.h>
#include <ucontext.h>
#include "fuzz.h"

const uint8_t byte_of[FAMILIES] = { 0xc3, 0x91, 0xa2, 0xb4 };
const uint8_t ro_byte_of[FAMILIES] = { 0x90, 0x19, 0x2a, 0x4b };

pthread_mutex_t layout = PTHREAD_MUTEX_INITIALIZER;

__thread sigjmp_buf access_env;
__thread volatile int access_armed, access_how;
__thread char *volatile access_at;

void wrong(struct fz *f, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	fprintf(stderr,
		"# WRONG: seed %u, thread %d, operation %llu (%s), process %d, fork depth %d: %s\n",
		f->sh->seed, f->id, (unsigned long long)f->n, f->op, getpid(),
		f->depth, text);
	__atomic_fetch_add(&f->sh->bad, 1, __ATOMIC_SEQ_CST);
	_exit(1);
}

/* A crash of its own: the registers, and what is mapped where. */
static void tell_crash(int sig, siginfo_t *si, const ucontext_t *context)
{
	char text[4096];
	ssize_t len;
	int fd;

	fprintf(stderr, "# CRASH: process %d, signal %d, code %d, at %p\n",
		getpid(), sig, si->si_code, si->si_addr);
#ifdef __x86_64__
	for (int i = 0; i <= REG_RIP; i++)
		fprintf(stderr, "# register %d: %#llx\n", i,
			(unsigned long long)context->uc_mcontext.gregs[i]);
#endif
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	while ((len = read(fd, text, sizeof(text))) > 0)
		(void)!write(STDERR_FILENO, text, len);
	close(fd);
}

static void on_signal(int sig, siginfo_t *si, void *context)
{
	if (!access_armed) {
		tell_crash(sig, si, context);
		/* The second time it is fatal. */
		signal(sig, SIG_DFL);
		return;
	}
	access_armed = 0;
	access_how = PROBE(sig, si->si_code);
	access_at = si->si_addr;
	siglongjmp(access_env, 1);
}

void catch_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
}

/*
 * The stack was in swap, and the allocation to bring it back for the frame of a
 * signal was made to fail. The kernel sends this signal instead, which has no
 * address.
 */
static bool is_frame_lost(int how)
{
	return how == PROBE(SIGSEGV, SI_KERNEL);
}

/*
 * All results that an access to a window can have. A read of a window that can
 * only be executed violates the protection key that the kernel gives it. If an
 * allocation for the signal was made to fail, the signal has no code, or it is
 * another one.
 */
bool known_end(struct fz *f, int how)
{
	return !how || how == MAPERR || how == ACCERR || how == BUS_END ||
	       how == PROBE(SIGSEGV, SEGV_PKUERR) ||
	       (f->fail && (!(how & 0xff) || is_frame_lost(how)));
}

void check_how(struct fz *f, int how, const char *from, size_t len)
{
	if (!known_end(f, how))
		wrong(f, "signal %d, code %d, at %p", how >> 8, how & 0xff,
		      access_at);
	if (how & 0xff && !is_frame_lost(how) &&
	    (access_at < from || access_at >= from + len))
		wrong(f, "signal for %p, access to %p, %zu bytes", access_at,
		      from, len);
}

/* Bytes that were in memory of a family. */
void check_bytes(struct fz *f, int family, const void *buf, size_t len,
		 const void *from)
{
	const uint8_t *byte = buf;

	for (size_t i = 0; i < len; i++) {
		if (byte[i] && byte[i] != byte_of[family] &&
		    byte[i] != ro_byte_of[family])
			wrong(f, "family %d: byte %#x at %p + %zu of %zu%s",
			      family, byte[i], from, i, len,
			      byte[i] == POISON ? ", written without right" :
			      "");
	}
}

/*
 * How a process may end: others may have killed it; and one that has no memory
 * for a signal handler's stack gets SIGSEGV instead.
 */
bool known_status(int status, bool fail)
{
	return !status || status == SIGKILL || (fail && status == SIGSEGV);
}

/* Mostly the first one, so that all meet there. */
unsigned int rnd_unit(struct fz *f)
{
	static const uint8_t unit[] = { 0, 0, 0, 0, 1, 1, 2 };

	return PICK(f, unit);
}

/* A page of a unit: at borders of tables, near the start, anywhere. */
uint64_t rnd_page(struct fz *f)
{
	const unsigned long pages = f->sh->unit / PAGE;
	unsigned int kind = rnd(f, 16), far = rnd(f, 8), near = rnd(f, 40);

	if (kind < 10)
		return near;
	if (kind < 13)
		return 512 * (1 + far % 3) - 4 + near % 8;
	if (kind < 15)
		return pages - 1 - near % 8;
	return rnd(f, pages);
}

/* Values that go wrong where a check is missing. */
uint64_t rnd_nasty(struct fz *f)
{
	const uint64_t unit = f->sh->unit;
	const uint64_t val[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * unit - PAGE, 2 * unit,
		3 * unit, unit + 1, 1ull << 31, 1ull << 32, 1ull << 46,
		1ull << 47, 1ull << 62, 1ull << 63, (1ull << 63) - PAGE,
		-(uint64_t)PAGE, -unit, ~0ull,
	};
	unsigned int kind = rnd(f, 2);
	uint64_t bits = rnd64(f), pick = PICK(f, val);

	return kind ? pick : bits >> rnd(f, 64);
}

/* Mostly the region is as large as what is asked for. */
uint64_t fit(struct fz *f, struct rfd *r, uint64_t at, uint64_t len)
{
	bool loose = one_in(f, 16);
	struct mshare_info info;

	if (loose || pread(r->fd, &info, sizeof(info), 0) != sizeof(info) ||
	    !info.size)
		return at;
	return at + len <= info.size ? at : at % f->sh->unit;
}

/* In the region, page-aligned, mostly not long. */
void rnd_range(struct fz *f, struct rfd *r, __u64 *at, __u64 *size, bool brief)
{
	const uint64_t unit = f->sh->unit;
	unsigned int kind = rnd(f, 32);
	uint64_t pages = 1 + rnd(f, 24), huge = 1 + rnd(f, 3);

	*at = rnd_unit(f) * unit + rnd_page(f) * PAGE;
	if (kind < 22) {
		*size = pages * PAGE;
	} else if (kind < 28) {
		*at = ALIGN(*at, 2UL << 20);
		*size = huge * (2UL << 20);
	} else if (kind < 30) {
		*size = (512 + pages) * PAGE;
	} else if (brief) {
		*size = PAGE;
	} else {
		*at = ALIGN(*at, unit);
		*size = huge * unit;
	}
	*at = fit(f, r, *at, *size);
}

int rnd_prot(struct fz *f, int family)
{
	const int prot[] = { PROT_NONE, PROT_READ, PROT_READ, PROT_READ, RW, RW,
			     RW, RW, RW, RW, RW, RW, PROT_WRITE };
	const int code[] = { PROT_NONE, PROT_READ, RW, RW, RWX, RWX, RX, RX,
			     PROT_EXEC };
	int p = PICK(f, prot), c = PICK(f, code);

	return family == CODE ? c : p;
}

/* One of the windows of the thread, NULL when there is none at the place. */
struct win *rnd_win(struct fz *f)
{
	unsigned int first = rnd(f, NR_WINS);

	for (unsigned int i = 0; i < NR_WINS; i++) {
		struct win *w = &f->win[(first + i) % NR_WINS];

		if (w->at)
			return w;
	}
	return NULL;
}

struct rfd *rnd_fd(struct fz *f)
{
	unsigned int first = rnd(f, NR_FDS);

	for (unsigned int i = 0; i < NR_FDS; i++) {
		struct rfd *r = &f->fd[(first + i) % NR_FDS];

		if (r->fd >= 0)
			return r;
	}
	return NULL;
}
