/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the fuzzer share.
 *
 * Workers are processes of two threads. Each thread does random operations, of
 * which the n-th depends on the seed, the thread's number and n only, whatever
 * became of those before.
 *
 * Regions and objects belong to families, by their names. Everybody writes the
 * family's byte into memory of a family, and nothing else is ever in there but
 * zeros and the byte of its read-only objects, however writes are torn: so one
 * byte tells that a page came from elsewhere. What is written where it must not
 * go through is POISON, which is no family's.
 */
#ifndef MSHARE_FUZZ_H
#define MSHARE_FUZZ_H

#include <pthread.h>
#include <stdarg.h>
#include <ucontext.h>

/* Down. */
#define ALIGN(x, a)	((x) / (a) * (a))

#define TMP		"/mnt"
#define FAMILIES	4
#define POISON		0x77

/*
 * Code of the first family is called: a byte returns, its read-only byte does
 * nothing, and zeros add AL to where RAX points to. All others are not.
 */
#define CODE		0
static const uint8_t byte_of[FAMILIES] = { 0xc3, 0x91, 0xa2, 0xb4 };
static const uint8_t ro_byte_of[FAMILIES] = { 0x90, 0x19, 0x2a, 0x4b };

/* Objects of a family; the files are opened by each worker on its own. */
enum object {
	OBJ_MEMFD, OBJ_TMPFS, OBJ_EXT4, OBJ_DAX, OBJ_HUGETLB,
	OBJ_ROOT,		/* on whatever has the root directory */
	OBJ_SEALED,		/* cannot be written any more */
	OBJ_READ_ONLY,		/* open for reading only */
	NR_OBJECTS
};

#define OBJECT_PAGES	1536	/* of each at most; 6 MiB */
#define RO_PAGES	64

/* Where the n-th operation of a thread is now, for those who look later. */
struct slot {
	pid_t pid;
	unsigned int op;
	int fail;
	uint64_t n;
};

#define MAX_THREADS	32
#define MAX_OPS		64

/**
 * struct shared - what all processes see
 * @seed: of everything
 * @unit: what mshare_info says
 * @stop: set when it is time to end
 * @bad: how often something was wrong
 * @fail: allocations may be made to fail
 * @children: how many there are of each thread
 * @object: file descriptors, -1 where this machine has none
 * @count: calls of each operation
 * @done: how many of them did what they wanted
 * @usec: how long they took
 * @slot: the threads
 */
struct shared {
	unsigned int seed;
	size_t unit;
	int stop;
	int bad;
	int fail;
	int children[MAX_THREADS];
	int object[FAMILIES][NR_OBJECTS];
	unsigned long count[MAX_OPS];
	unsigned long done[MAX_OPS];
	unsigned long usec[MAX_OPS];
	struct slot slot[MAX_THREADS];
};

/* A region file that a thread has open. */
struct rfd {
	int fd;			/* -1: none */
	int family;
	int mode;		/* O_RDONLY, O_WRONLY, O_RDWR, O_PATH */
};

/* One unit of a window. Those of one mmap(2) are neighbours. */
struct win {
	char *at;		/* NULL: none */
	uint8_t family;
	uint8_t prot;
	uint8_t max;		/* what mprotect(2) can give */
	bool covered;		/* by the other thread, with private memory */
};

#define NR_FDS		6
#define NR_WINS		12
#define AREA_UNITS	24

/**
 * struct fz - a thread
 * @sh: for all
 * @id: number of the thread
 * @depth: how many forks away from the worker
 * @n: number of the operation
 * @rng: drawn from
 * @op: what is being done, in words
 * @fail: an allocation of it is made to fail
 * @fd: files
 * @win: windows; other threads look at them without asking
 * @area: where windows at chosen addresses go; nothing else comes there
 * @other: the other thread of the process, NULL in a child
 * @scratch: a page of its own
 */
struct fz {
	struct shared *sh;
	int id;
	int depth;
	uint64_t n;
	uint64_t rng;
	const char *op;
	bool fail;
	struct rfd fd[NR_FDS];
	struct win win[NR_WINS];
	char *area;
	struct fz *other;
	char *scratch;
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t rnd64(struct fz *f)
{
	f->rng += 0x9e3779b97f4a7c15ull;
	return mix(f->rng);
}

static unsigned int rnd(struct fz *f, unsigned int below)
{
	return (rnd64(f) >> 16) % below;
}

static bool one_in(struct fz *f, unsigned int n)
{
	return !rnd(f, n);
}

#define PICK(f, array)	((array)[rnd(f, ARRAY_SIZE(array))])

/* Mostly the first one, so that all meet there. */
static unsigned int rnd_unit(struct fz *f)
{
	static const uint8_t unit[] = { 0, 0, 0, 0, 1, 1, 2 };

	return PICK(f, unit);
}

/* Not as it must be: says so, and ends all. */
static __attribute__((noreturn, format(printf, 2, 3)))
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

/* Accesses that may fail; each thread has its own. */
static __thread sigjmp_buf access_env;
static __thread volatile int access_armed, access_how;
static __thread char *volatile access_at;

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

static void catch_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
}

/*
 * Runs @code, which may end by a signal, as there is no telling what others do
 * to the region meanwhile. 0, or what the signal said.
 */
#define TRY(code) ({							\
	access_how = 0;							\
	if (!sigsetjmp(access_env, 0)) {				\
		access_armed = 1;					\
		__asm__ volatile("" : : : "memory");			\
		code;							\
		__asm__ volatile("" : : : "memory");			\
		access_armed = 0;					\
	}								\
	access_how; })

/*
 * All that an access to a window can end with. To read what can be executed
 * only is an offence against the protection key that the kernel gives it. When
 * there is no memory to tell what happened, a signal tells nothing.
 */
static bool known_end(struct fz *f, int how)
{
	return !how || how == MAPERR || how == ACCERR || how == BUS_END ||
	       how == PROBE(SIGSEGV, SEGV_PKUERR) ||
	       (f->fail && !(how & 0xff));
}

static void check_how(struct fz *f, int how, const char *from, size_t len)
{
	if (!known_end(f, how))
		wrong(f, "signal %d, code %d, at %p", how >> 8, how & 0xff,
		      access_at);
	if (how & 0xff && (access_at < from || access_at >= from + len))
		wrong(f, "signal for %p, access to %p, %zu bytes", access_at,
		      from, len);
}

/* Bytes that were in memory of a family. */
static void check_bytes(struct fz *f, int family, const void *buf, size_t len,
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

static uint64_t word_of(uint8_t byte)
{
	return byte * 0x0101010101010101ull;
}

/* What to write: the family's byte if it may be seen there, else POISON. */
static uint8_t byte_for(const struct win *w)
{
	return w->prot & PROT_WRITE ? byte_of[w->family] : POISON;
}

/* A page of a unit: at borders of tables, near the start, anywhere. */
static uint64_t rnd_page(struct fz *f)
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
static uint64_t rnd_nasty(struct fz *f)
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
static uint64_t fit(struct fz *f, struct rfd *r, uint64_t at, uint64_t len)
{
	bool loose = one_in(f, 16);
	struct mshare_info info;

	if (loose || pread(r->fd, &info, sizeof(info), 0) != sizeof(info) ||
	    !info.size)
		return at;
	return at + len <= info.size ? at : at % f->sh->unit;
}

/* In the region, page-aligned, mostly not long. */
static void rnd_range(struct fz *f, struct rfd *r, __u64 *at, __u64 *size,
		      bool brief)
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

static int rnd_prot(struct fz *f, int family)
{
	const int prot[] = { PROT_NONE, PROT_READ, PROT_READ, PROT_READ, RW, RW,
			     RW, RW, RW, RW, RW, RW, PROT_WRITE };
	const int code[] = { PROT_NONE, PROT_READ, RW, RW, RWX, RWX, RX, RX,
			     PROT_EXEC };
	int p = PICK(f, prot), c = PICK(f, code);

	return family == CODE ? c : p;
}

/* One of the windows of the thread, NULL when there is none at the place. */
static struct win *rnd_win(struct fz *f)
{
	unsigned int first = rnd(f, NR_WINS);

	for (unsigned int i = 0; i < NR_WINS; i++) {
		struct win *w = &f->win[(first + i) % NR_WINS];

		if (w->at)
			return w;
	}
	return NULL;
}

static struct rfd *rnd_fd(struct fz *f)
{
	unsigned int first = rnd(f, NR_FDS);

	for (unsigned int i = 0; i < NR_FDS; i++) {
		struct rfd *r = &f->fd[(first + i) % NR_FDS];

		if (r->fd >= 0)
			return r;
	}
	return NULL;
}

/*
 * Places of windows change under this lock: what another thread was told to
 * cover or protect must not have become something else.
 */
static pthread_mutex_t layout = PTHREAD_MUTEX_INITIALIZER;

/*
 * How a process may end: others may have killed it; and one that has no memory
 * for a signal handler's stack gets SIGSEGV instead.
 */
static bool known_status(int status, bool fail)
{
	return !status || status == SIGKILL || (fail && status == SIGSEGV);
}

/* Each returns whether it did what it wanted to do. */
typedef bool (*fuzz_fn)(struct fz *f);

struct fuzz_op {
	const char *name;
	unsigned int weight;
	fuzz_fn fn;
};

#endif
