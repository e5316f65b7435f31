// SPDX-License-Identifier: GPL-2.0
/* What races: each function does one thing once, see struct op. */
#include <linux/falloc.h>
#include <linux/futex.h>
#include "lib_io.h"
#include "race_pairs.h"

#define FEW	40		/* pages used in between */
#define MANY	400

static void did(struct worker *w)
{
	__atomic_fetch_add(&w->race->done[w->owner], 1, __ATOMIC_RELAXED);
}

/* What must work, whatever else happens. */
#define MUST(w, call) do {						\
	errno = 0;							\
	if ((long)(call) < 0)						\
		wrong(w, "%s: %s", #call, strerror(errno));		\
} while (0)

/* The same for functions that return -errno. */
#define MUST_DO(w, call) do {						\
	int _err = (call);						\
									\
	if (_err)							\
		wrong(w, "%s: %s", #call, strerror(-_err));		\
} while (0)

/* Advice about the used pages of a part, which may be unmapped just now. */
static int advise_part(struct worker *w, unsigned int part, size_t size,
		       int advice)
{
	struct race *race = w->race;
	int err = region_advise(race->fd, part_at(part), size, advice);

	if (err == -ENOMEM && race->part[part].may & MAP)
		err = 0;
	return err;
}

/*
 * The entries are gone and the pages are not: they have to be mapped again,
 * by everybody who uses them.
 */
void op_fault(struct worker *w)
{
	unsigned int part = rnd_part(w);

	MUST_DO(w, advise_part(w, part, NPAGES * PAGE, MADV_DONTNEED));
	use_some(w, MANY);
	did(w);
}

static void gup_refused(struct worker *w, const struct use *u, bool write,
			const char *what)
{
	unsigned int may = legal(u, write);

	if (errno != EFAULT || !(may & ~OK))
		wrong(w, "%s of part %u page %u through view %u: %s", what,
		      u->part, u->page, u->view, strerror(errno));
}

/* The page is pinned for the pipe; what comes out is what was in it. */
static void gup_read(struct worker *w, unsigned int part, unsigned int page)
{
	struct use u = use_begin(w, part, page, rnd(w, VIEWS));
	struct iovec iov = { u.at, PAGE };
	bool known;

	if (vmsplice(w->pipe[1], &iov, 1, 0) != (ssize_t)PAGE) {
		gup_refused(w, &u, false, "vmsplice");
		return;
	}
	if (!(legal(&u, false) & OK))
		wrong(w, "vmsplice of part %u through view %u is not refused",
		      part, u.view);
	known = certain(&u);
	if (read(w->pipe[0], w->buf, PAGE) != (ssize_t)PAGE) {
		wrong(w, "pipe: %s", strerror(errno));
		return;
	}
	for (unsigned int user = 0; user < USERS; user++)
		check_whose(w, &u, user, load(w->buf + 64 * user));
	if (known && certain(&u))
		check_word(w, &u, load(w->buf + 64 * w->id));
}

/* Part of the page is pinned, and the device writes into it. */
static void gup_write(struct worker *w, unsigned int part, unsigned int page)
{
	const uint64_t want = pattern(1, page);
	struct use u = use_begin(w, part, page, rnd(w, VIEWS));
	char *tail = u.at + TAIL(w->owner);
	uint64_t val = 0;
	int how;

	how = try_store(tail, ~0ull);
	check_how(w, &u, how, true);
	if (pread(w->race->disk, tail, SECTOR, page * PAGE) !=
	    (ssize_t)SECTOR) {
		gup_refused(w, &u, true, "O_DIRECT read");
		return;
	}
	if (!(legal(&u, true) & OK))
		wrong(w, "O_DIRECT read into part %u through view %u is not refused",
		      part, u.view);
	how = try_load(tail, &val);
	check_how(w, &u, how, false);
	if (!how && val != want &&
	    (val || AREA(part) < MOVING || certain(&u)))
		wrong(w, "part %u page %u has %#llx instead of what was read",
		      part, page, (unsigned long long)val);
}

/* Nobody sleeps there: to find the page is all that it does. */
static void gup_futex(struct worker *w, unsigned int part, unsigned int page)
{
	struct use u = use_begin(w, part, page, rnd(w, VIEWS));

	if (syscall(SYS_futex, u.at + PAGE - 8, FUTEX_WAKE, 1, NULL, NULL, 0))
		gup_refused(w, &u, false, "futex");
	else if (!(legal(&u, false) & OK))
		wrong(w, "futex in part %u through view %u is not refused",
		      part, u.view);
}

void op_gup(struct worker *w)
{
	for (unsigned int i = 0; i < 8; i++) {
		gup_read(w, rnd_part(w), rnd(w, NPAGES));
		gup_write(w, rnd_part(w), rnd(w, NPAGES));
		gup_futex(w, rnd_part(w), rnd(w, NPAGES));
	}
	use_some(w, FEW);
	did(w);
}

/* A child is a user of its own; its parent's windows may be changing. */
static struct worker as_child(struct worker *w)
{
	struct worker child = *w;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child.id = WORKERS + w->owner;
	child.seed = w->seed + 1;
	return child;
}

void op_fork(struct worker *w)
{
	int status = 0;
	pid_t pid;

	/* Numbers that a child has used are not used again. */
	w->n += MANY;
	pid = fork();
	if (!pid) {
		struct worker child = as_child(w);

		use_home(&child, FEW);
		_exit(0);
	}
	MUST(w, pid);
	use_some(w, FEW);
	if (waitpid(pid, &status, 0) != pid || status)
		wrong(w, "child ended with status %#x", status);
	did(w);
}

/* In the middle of using its windows, one of them its own. */
void op_exit(struct worker *w)
{
	unsigned long *uses = &w->race->uses[WORKERS + w->owner], from = *uses;
	struct race *race = w->race;
	int status = 0;
	pid_t pid;

	w->n += 1 << 20;
	pid = fork();
	if (!pid) {
		struct worker child = as_child(w);

		if (ms_map(race->fd, race->unit, PROT_READ) == MAP_FAILED)
			_exit(1);
		for (;;)
			use_home(&child, FEW);
	}
	MUST(w, pid);
	/* Not for ever: there may be no progress in a slow machine. */
	for (int i = 0; i < 1000 && !stopped(race) &&
	     __atomic_load_n(uses, __ATOMIC_RELAXED) < from + FEW; i++) {
		use_some(w, 1);
		usleep(100);
	}
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		wrong(w, "child ended with status %#x", status);
	did(w);
}

static struct state *slot_of(struct worker *w, unsigned int slot)
{
	return &w->race->slot[w->owner][slot];
}

static char *slot_at(struct worker *w, unsigned int slot)
{
	return view_at(w->race, slot_view(w->owner, slot));
}

static void map_slot(struct worker *w, unsigned int slot)
{
	struct race *race = w->race;

	MUST(w, mmap(slot_at(w, slot), race->unit, RW, MAP_SHARED | MAP_FIXED,
		     race->fd, 0) == MAP_FAILED ? -1 : 0);
	now(slot_of(w, slot), OPEN, false);
}

/* Unmapped and mapped, or replaced. */
void op_munmap(struct worker *w)
{
	struct state *s = slot_of(w, 0);

	now(s, CHANGING(MAP), false);
	if (rnd(w, 3)) {
		MUST(w, munmap(slot_at(w, 0), w->race->unit));
		now(s, GONE, false);
		use_some(w, FEW);
		now(s, CHANGING(MAP), false);
	}
	map_slot(w, 0);
	use_some(w, FEW);
	did(w);
}

static void protect_slot(struct worker *w, int prot, unsigned int then)
{
	struct state *s = slot_of(w, 0);

	now(s, CHANGING(ACC), false);
	MUST(w, mprotect(slot_at(w, 0), w->race->unit, prot));
	now(s, then, false);
	use_some(w, FEW);
}

void op_mprotect(struct worker *w)
{
	protect_slot(w, PROT_READ, READABLE);
	protect_slot(w, PROT_NONE, CLOSED);
	protect_slot(w, RW, OPEN);
	did(w);
}

static void move_slot(struct worker *w, unsigned int from, unsigned int to)
{
	now(slot_of(w, from), CHANGING(MAP), false);
	now(slot_of(w, to), CHANGING(MAP), false);
	MUST(w, mremap(slot_at(w, from), w->race->unit, w->race->unit,
		       MREMAP_MAYMOVE | MREMAP_FIXED, slot_at(w, to)) ==
	     MAP_FAILED ? -1 : 0);
	now(slot_of(w, from), GONE, false);
	now(slot_of(w, to), OPEN, false);
	use_some(w, FEW);
}

void op_mremap(struct worker *w)
{
	move_slot(w, 0, 1);
	move_slot(w, 1, 0);
	did(w);
}

static void protect_part(struct worker *w, int prot, unsigned int then)
{
	unsigned int part = PART(GUARDED, w->owner);
	struct state *s = &w->race->part[part];

	now(s, CHANGING(ACC), false);
	MUST_DO(w, region_protect(w->race->fd, part_at(part), NPAGES * PAGE,
				  prot));
	now(s, then, false);
	use_some(w, FEW);
}

void op_protect(struct worker *w)
{
	protect_part(w, PROT_READ, READABLE);
	protect_part(w, PROT_NONE, CLOSED);
	protect_part(w, RW, OPEN);
	did(w);
}

/* All of it: with a huge page or none, and the table below. */
void op_unmap(struct worker *w)
{
	unsigned int part = PART(MOVING, w->owner);
	struct state *s = &w->race->part[part];

	now(s, CHANGING(MAP), false);
	MUST_DO(w, region_unmap(w->race->fd, part_at(part), HUGE));
	now(s, GONE, false);
	use_some(w, FEW);
	now(s, CHANGING(MAP), true);
	MUST_DO(w, region_anon(w->race->fd, part_at(part), HUGE));
	now(s, OPEN, false);
	use_some(w, FEW);
	did(w);
}

void op_truncate(struct worker *w)
{
	unsigned int part = PART(CUT, w->owner);
	struct state *s = &w->race->part[part];
	int object = w->race->object[part];

	now(s, CHANGING(BUS), false);
	if (rnd(w, 2)) {
		MUST(w, ftruncate(object, 0));
		now(s, CUT_OFF, true);
		use_some(w, FEW);
		now(s, CHANGING(BUS), false);
		MUST(w, ftruncate(object, HUGE));
	} else {
		MUST(w, fallocate(object, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, 0, NPAGES * PAGE));
	}
	now(s, OPEN, true);
	use_some(w, FEW);
	did(w);
}

void op_reclaim(struct worker *w)
{
	MUST_DO(w, advise_part(w, rnd_part(w), NPAGES * PAGE, MADV_PAGEOUT));
	use_some(w, FEW);
	did(w);
}

/* Memory with holes is what there is to compact. */
void op_migrate(struct worker *w)
{
	for (size_t at = 0; at < BUF; at += PAGE)
		store(w->buf + at, at + 1);
	for (size_t at = 0; at < BUF; at += 2 * PAGE)
		madvise(w->buf + at, PAGE, MADV_DONTNEED);
	MUST_DO(w, write_file("/proc/sys/vm/compact_memory", "1"));
	for (size_t at = PAGE; at < BUF; at += 2 * PAGE)
		if (load(w->buf + at) != at + 1)
			wrong(w, "page of its own at %#zx is damaged", at);
	use_some(w, FEW);
	did(w);
}

/* What is in use can be in the way of it, or is made small by others. */
void op_collapse(struct worker *w)
{
	unsigned int part = rnd_part(w);
	int err = advise_part(w, part, HUGE, MADV_COLLAPSE);
	unsigned int may;

	if (!err)
		did(w);
	else if (err != -EAGAIN && err != -EBUSY && err != -EINVAL)
		wrong(w, "collapse of part %u: %s", part, strerror(-err));
	use_some(w, FEW);
	/* A hole where nobody looks: small pages again. */
	err = region_advise(w->race->fd, part_at(part) + HUGE / 2, 8 * PAGE,
			    MADV_REMOVE);
	may = w->race->part[part].may;
	if (err && !(err == -ENOMEM && may & MAP) &&
	    !(err == -EACCES && may & ACC))
		wrong(w, "hole in part %u: %s", part, strerror(-err));
}

/* A process that is told to stop may be gone, also in the middle. */
static bool read_proc(struct worker *w, pid_t pid, const char *name, off_t at,
		      ssize_t want)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if (want) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = pread(fd, w->buf, want, at);
		close(fd);
	} else {
		n = read_file(path, w->buf, BUF);
	}
	if ((n > 0 && (!want || n == want)) || stopped(w->race))
		return n > 0;
	wrong(w, "%s: %zd bytes", path, n);
	return false;
}

void op_smaps(struct worker *w)
{
	struct race *race = w->race;
	pid_t pid = race->pid[rnd(w, 2)];
	char *home = view_at(race, 0);
	char line[64];

	snprintf(line, sizeof(line), "%lx-%lx ", L(home),
		 L(home) + race->unit);
	if (read_proc(w, pid, "smaps", 0, 0) && !strstr(w->buf, line) &&
	    !stopped(race))
		wrong(w, "smaps of %d does not have %s", pid, line);
	snprintf(line, sizeof(line), "\n%lx ", L(home));
	if (read_proc(w, pid, "numa_maps", 0, 0) && !strstr(w->buf, line) &&
	    !stopped(race))
		wrong(w, "numa_maps of %d does not have %s", pid, line + 1);
	for (unsigned int part = 0; part < PARTS; part++)
		read_proc(w, pid, "pagemap", (L(home) + part_at(part)) / PAGE *
			  8, NPAGES * 8);
	use_some(w, FEW);
	did(w);
}
