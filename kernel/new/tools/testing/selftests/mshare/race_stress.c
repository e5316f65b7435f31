// SPDX-License-Identifier: GPL-2.0
/*
 * Dozens of processes attach, fault, fork, exit, unmap, protect, unlink and
 * create at random. Every page that holds anything says whose it is, so that
 * whoever reaches another region's page, or an old one, notices.
 *
 * MSHARE_STRESS_SECONDS (60) and MSHARE_STRESS_SEED (the time) from the
 * environment; the seed is printed and gives each worker the same choices.
 */
#include "mshare_test.h"
#include <time.h>

#define RW		(PROT_READ | PROT_WRITE)
#define WORKERS		32
#define REGIONS		6
#define UNITS		3
#define NPAGES		192	/* used in each unit */
#define WINDOWS		4

enum op { ATTACH, READ, WRITE, WRITE_PROTECTED, UNMAP_UNIT, UNMAP, PROTECT,
	  FORK, CREATE, UNLINK, STRETCH, EXIT, NR_OPS };

static const char *const op_name[] = {
	"attach", "read", "write", "write protected", "unmap unit", "unmap",
	"protect", "fork", "create", "unlink", "many faults", "exit",
};

struct shared {
	unsigned long count[NR_OPS];
	unsigned long id;		/* of the region made last */
	unsigned long bad;
	int stop;
};

struct window {
	char *base;		/* of unit 0, mapped or not */
	uint64_t id;
	bool writable;		/* by the open mode */
	int prot[UNITS];	/* -1: not mapped */
};

struct worker {
	struct shared *shared;
	size_t unit;
	unsigned int seed;
	struct window win[WINDOWS];
};

#define WRONG(fmt, ...) do {						\
	fprintf(stderr, "# worker %d: " fmt "\n", getpid(), __VA_ARGS__); \
	__atomic_fetch_add(&w->shared->bad, 1, __ATOMIC_SEQ_CST);	\
	_exit(1);							\
} while (0)

static unsigned int rnd(struct worker *w, unsigned int below)
{
	return rand_r(&w->seed) % below;
}

static uint64_t content(uint64_t id, unsigned long page)
{
	return (id << 20 | page) * 0x9e3779b97f4a7c15ull | 1;
}

/* What page @page of unit @u may hold: nothing yet, or its own. */
static void check_page(struct worker *w, struct window *win, int u,
		       unsigned long page)
{
	char *at = win->base + u * w->unit + page * PAGE;
	uint64_t val, want = content(win->id, u * NPAGES + page);
	int how = probe_read(at, &val);

	/* A page that nobody has written, read by a file that cannot write. */
	if (how == BUS_END && page && !win->writable)
		return;
	if (how)
		WRONG("read of unit %d page %lu: %#x", u, page, how);
	if (val != want && (val || !page))
		WRONG("unit %d page %lu holds %llx instead of %llx", u, page,
		      (unsigned long long)val, (unsigned long long)want);
}

static void write_page(struct worker *w, struct window *win, int u,
		       unsigned long page)
{
	char *at = win->base + u * w->unit + page * PAGE;
	uint64_t want = content(win->id, u * NPAGES + page);
	int how = probe_write(at, want);

	if (how)
		WRONG("write of unit %d page %lu: %#x", u, page, how);
	/* Further words, that others write too, but nothing else. */
	store(at + 8 * (1 + rnd(w, 511)), want);
}

static void do_create(struct worker *w)
{
	char name[64], temp[64];
	uint64_t id;
	char *base;
	int fd;

	id = __atomic_add_fetch(&w->shared->id, 1, __ATOMIC_SEQ_CST);
	snprintf(temp, sizeof(temp), MS_DIR "/new-%llu",
		 (unsigned long long)id);
	snprintf(name, sizeof(name), MS_DIR "/%u", rnd(w, REGIONS));
	fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		WRONG("create: %s", strerror(errno));
	base = ms_map(fd, UNITS * w->unit, RW);
	if (base == MAP_FAILED)
		WRONG("first mmap: %s", strerror(errno));
	close(fd);
	/* Page 0 of each unit names the region in its other words. */
	for (int u = 0; u < UNITS; u++) {
		store(base + u * w->unit, content(id, u * NPAGES));
		store(base + u * w->unit + PAGE / 2, id);
	}
	if (rename(temp, name))
		WRONG("rename: %s", strerror(errno));
	if (munmap(base, UNITS * w->unit))
		WRONG("munmap: %s", strerror(errno));
}

static void do_attach(struct worker *w, struct window *win)
{
	int fd, units = 1 + rnd(w, UNITS), first = rnd(w, UNITS - units + 1);
	bool writable = rnd(w, 2);
	char name[64], *p;
	int prot;

	snprintf(name, sizeof(name), MS_DIR "/%u", rnd(w, REGIONS));
	fd = open(name, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT)
			WRONG("open: %s", strerror(errno));
		return;
	}
	prot = writable && rnd(w, 3) ? RW : PROT_READ;
	p = mmap(NULL, units * w->unit, prot, MAP_SHARED, fd,
		 (off_t)first * w->unit);
	if (p == MAP_FAILED)
		WRONG("mmap: %s", strerror(errno));
	close(fd);
	win->base = p - first * w->unit;
	win->writable = writable;
	win->id = load(p + PAGE / 2);
	for (int u = 0; u < UNITS; u++)
		win->prot[u] = u >= first && u < first + units ? prot : -1;
	for (int u = first; u < first + units; u++)
		check_page(w, win, u, 0);
}

static void do_unmap(struct worker *w, struct window *win, int u)
{
	if (win->prot[u] < 0)
		return;
	if (munmap(win->base + u * w->unit, w->unit))
		WRONG("munmap: %s", strerror(errno));
	win->prot[u] = -1;
}

static void do_protect(struct worker *w, struct window *win, int u)
{
	const int prots[] = { PROT_NONE, PROT_READ, RW };
	int prot = prots[rnd(w, 3)], err;

	if (win->prot[u] < 0)
		return;
	err = mprotect(win->base + u * w->unit, w->unit, prot) ? errno : 0;
	if (prot == RW && !win->writable) {
		if (err != EACCES)
			WRONG("mprotect beyond the open mode: %s",
			      strerror(err));
		return;
	}
	if (err)
		WRONG("mprotect: %s", strerror(err));
	win->prot[u] = prot;
}

static void do_access(struct worker *w, struct window *win, int u, enum op op)
{
	unsigned long page = rnd(w, NPAGES);
	int how;

	if (win->prot[u] < 0)
		return;
	if (win->prot[u] == PROT_NONE) {
		how = peek(win->base + u * w->unit + page * PAGE);
		if (how != ACCERR)
			WRONG("read without right: %#x", how);
		return;
	}
	if (op == READ) {
		check_page(w, win, u, page);
	} else if (op == STRETCH) {
		for (unsigned int i = 0; i < 32; i++)
			check_page(w, win, u, (page + i) % NPAGES);
	} else if (win->prot[u] == RW) {
		write_page(w, win, u, page);
		check_page(w, win, u, page);
	} else {
		how = probe_write(win->base + u * w->unit + page * PAGE, 66);
		if (how != ACCERR)
			WRONG("write without right: %#x", how);
	}
}

static void work(struct worker *w, unsigned int steps, int depth);

static void do_fork(struct worker *w, int depth)
{
	unsigned int seed = rand_r(&w->seed);
	int status;
	pid_t pid;

	if (depth > 2)
		return;
	pid = fork();
	if (pid < 0)
		return;		/* too many processes: no fault of ours */
	if (!pid) {
		w->seed = seed;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(w, rnd(w, 60), depth + 1);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		WRONG("child ended with status %#x", status);
}

static void work(struct worker *w, unsigned int steps, int depth)
{
	static const enum op dice[] = {
		ATTACH, ATTACH, ATTACH, READ, READ, READ, READ, WRITE, WRITE,
		WRITE, WRITE, STRETCH, STRETCH, WRITE_PROTECTED, UNMAP_UNIT,
		UNMAP, PROTECT, PROTECT, FORK, CREATE, UNLINK, EXIT,
	};
	char name[64];

	for (unsigned int n = 0; n < steps; n++) {
		struct window *win = &w->win[rnd(w, WINDOWS)];
		enum op op = dice[rnd(w, ARRAY_SIZE(dice))];
		int u = rnd(w, UNITS);

		if (__atomic_load_n(&w->shared->stop, __ATOMIC_RELAXED))
			return;
		__atomic_fetch_add(&w->shared->count[op], 1,
				   __ATOMIC_RELAXED);
		switch (op) {
		case ATTACH:
			for (int i = 0; i < UNITS; i++)
				do_unmap(w, win, i);
			do_attach(w, win);
			break;
		case READ:
		case WRITE:
		case WRITE_PROTECTED:
		case STRETCH:
			do_access(w, win, u, op);
			break;
		case UNMAP_UNIT:
			do_unmap(w, win, u);
			break;
		case UNMAP:
			for (int i = 0; i < UNITS; i++)
				do_unmap(w, win, i);
			break;
		case PROTECT:
			do_protect(w, win, u);
			break;
		case FORK:
			do_fork(w, depth);
			break;
		case CREATE:
			do_create(w);
			break;
		case UNLINK:
			snprintf(name, sizeof(name), MS_DIR "/%u",
				 rnd(w, REGIONS));
			if (unlink(name) && errno != ENOENT)
				WRONG("unlink: %s", strerror(errno));
			break;
		default:
			/* With all windows in place. */
			if (!rnd(w, 8))
				return;
		}
	}
}

MS_FIXTURE(stress)

static unsigned int from_env(const char *name, unsigned int other)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : other;
}

static pid_t start(struct worker *w, unsigned int seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	w->seed = seed;
	work(w, 2000, 0);
	_exit(0);
}

TEST_F_TIMEOUT(stress, everything, 3600)
{
	unsigned int seconds = from_env("MSHARE_STRESS_SECONDS", 60);
	unsigned int seed = from_env("MSHARE_STRESS_SEED", time(NULL));
	pid_t pid[WORKERS], killed = 0;
	unsigned int started = 0, dice = seed;
	struct worker w = { .unit = self->unit };
	long shmem = meminfo_kb("Shmem");
	time_t end = time(NULL) + seconds;
	int status;

	TH_LOG("%u seconds, seed %u", seconds, seed);
	w.shared = mmap(NULL, sizeof(*w.shared), RW, MAP_SHARED |
			MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, w.shared);
	for (int i = 0; i < WINDOWS; i++)
		for (int u = 0; u < UNITS; u++)
			w.win[i].prot[u] = -1;
	w.seed = seed;
	for (int i = 0; i < REGIONS; i++)
		do_create(&w);
	for (int i = 0; i < WORKERS; i++) {
		pid[i] = start(&w, seed + ++started);
		ASSERT_LT(0, pid[i]);
	}
	/* Who ends is replaced; now and then one is killed in the middle. */
	while (time(NULL) < end && !w.shared->bad) {
		pid_t gone = waitpid(-1, &status, WNOHANG);

		if (gone <= 0) {
			usleep(20000);
			if (!killed && rand_r(&dice) % 8 == 0) {
				killed = pid[rand_r(&dice) % WORKERS];
				kill(killed, SIGKILL);
			}
			continue;
		}
		if (status && !(gone == killed && status == SIGKILL)) {
			TH_LOG("worker %d ended with status %#x", gone,
			       status);
			w.shared->bad++;
		}
		if (gone == killed)
			killed = 0;
		for (int i = 0; i < WORKERS; i++) {
			if (pid[i] == gone)
				pid[i] = start(&w, seed + ++started);
		}
	}
	w.shared->stop = 1;
	for (int i = 0; i < WORKERS; i++) {
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_TRUE(!status || pid[i] == killed);
	}
	EXPECT_EQ(0, w.shared->bad);
	for (int i = 0; i < NR_OPS; i++) {
		TH_LOG("%-16s %lu", op_name[i], w.shared->count[i]);
		EXPECT_LT(0, w.shared->count[i]);
	}
	EXPECT_EQ(0, umount(MS_DIR)) {
		TH_LOG("still busy: %s", strerror(errno));
	}
	munmap(w.shared, sizeof(*w.shared));
	EXPECT_EQ(shmem, meminfo_settles("Shmem", shmem));
}

TEST_HARNESS_MAIN
