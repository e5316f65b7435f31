// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that changes a region, a window or their tables, against
 * everything else: for each pair of operations two processes of two threads do
 * both at once, on four CPUs, and check each access that they make, see
 * race_pairs.h.
 *
 * An operation that did not happen would race with nothing: each has to be
 * seen to have been done. With the flush of the attached processes turned off,
 * which debug builds can do, the same checks must fail.
 *
 * MSHARE_RACE_MS from the environment (350): milliseconds for each pair. One
 * pair: race_pairs -v fault-fork.
 */
#include <pthread.h>
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_thp.h"
#include "race_pairs.h"

#define NO_FLUSH	"/sys/kernel/debug/mshare/no_flush"
#define PATH		MS_DIR "/a"

static const struct op ops[] = {
	{ "fault", op_fault, PLAIN, 0, 0, "pgfault" },
	{ "gup", op_gup, PLAIN, 0, 0, NULL },
	{ "fork", op_fork, PLAIN, 0, 0, NULL },
	{ "exit", op_exit, PLAIN, 0, 0, NULL },
	{ "munmap", op_munmap, PLAIN, 0, MAP, NULL },
	{ "mprotect", op_mprotect, PLAIN, 0, ACC, NULL },
	{ "mremap", op_mremap, PLAIN, 0, MAP, NULL },
	{ "PROTECT", op_protect, GUARDED, ACC, 0, NULL },
	{ "UNMAP", op_unmap, MOVING, MAP, 0, NULL },
	{ "truncate", op_truncate, CUT, BUS, 0, NULL },
	{ "reclaim", op_reclaim, PLAIN, 0, 0, "pswpout" },
	{ "migrate", op_migrate, PLAIN, 0, 0, "pgmigrate_success" },
	{ "collapse", op_collapse, PLAIN, 0, 0, "thp_collapse_alloc" },
	{ "smaps", op_smaps, PLAIN, 0, 0, NULL },
};

#define NR_OPS	((unsigned int)ARRAY_SIZE(ops))

FIXTURE(races) {
	struct race *race;
	struct thp_settings thp;
	char *base;
};

FIXTURE_VARIANT(races) {
	const struct op *op[2];
	bool control;
};

/*
 * Three controls, without the flush. Where it lets pages become somebody
 * else's, nobody may store to them.
 */
#define PAIRS	(NR_OPS * (NR_OPS + 1) / 2 + 3)

/* What FIXTURE_VARIANT_ADD() does. */
static void add_pair(const struct op *a, const struct op *b, bool control)
{
	static struct __fixture_variant_metadata object[PAIRS];
	static struct _fixture_variant_races pair[PAIRS];
	static char name[PAIRS][40];
	static unsigned int n;

	pair[n].op[0] = a;
	pair[n].op[1] = b;
	pair[n].control = control;
	snprintf(name[n], sizeof(name[n]), "%s%s-%s",
		 control ? "control-" : "", a->name, b->name);
	object[n].name = name[n];
	object[n].data = &pair[n];
	__register_fixture_variant(&_races_fixture_object, &object[n]);
	n++;
}

static void __attribute__((constructor(KSELFTEST_PRIO_TEST))) add_pairs(void)
{
	for (unsigned int a = 0; a < NR_OPS; a++)
		for (unsigned int b = a; b < NR_OPS; b++)
			add_pair(&ops[a], &ops[b], false);
	for (unsigned int a = 0; a < NR_OPS; a++)
		if (ops[a].area != PLAIN)
			add_pair(&ops[0], &ops[a], true);
}

static unsigned int duration(void)
{
	const char *text = getenv("MSHARE_RACE_MS");

	return text && *text ? strtoul(text, NULL, 0) : 350;
}

static bool races_with(const struct race *race, const char *name)
{
	return !strcmp(race->op[0]->name, name) ||
	       !strcmp(race->op[1]->name, name);
}

/* Both kinds of memory, where it makes no difference. */
static void map_part(struct __test_metadata *_metadata, struct race *race,
		     unsigned int part)
{
	int object = -1;

	if (AREA(part) == CUT || (AREA(part) != MOVING && part % 2)) {
		object = memfd_create("part", MFD_CLOEXEC);
		ASSERT_LE(0, object);
		ASSERT_EQ(0, ftruncate(object, HUGE));
		ASSERT_EQ(0, region_map(race->fd, part_at(part), HUGE, RW,
					FIXED, object, 0));
	} else {
		ASSERT_EQ(0, region_anon(race->fd, part_at(part), HUGE));
	}
	race->object[part] = object;
}

static void say_states(struct race *race)
{
	race->home.now = OPEN;
	for (unsigned int part = 0; part < PARTS; part++) {
		const struct op *op = race->op[part % WORKERS % 2];

		race->part[part].now = OPEN;
		if (op->area == AREA(part))
			race->part[part].may = op->parts;
	}
	for (unsigned int id = 0; id < WORKERS; id++) {
		const struct op *op = race->op[id % 2];

		for (unsigned int slot = 0; slot < SLOTS; slot++) {
			race->slot[id][slot].now = OPEN;
			race->slot[id][slot].may = op->views;
		}
		if (op->fn == op_mremap)
			race->slot[id][1].now = GONE;
	}
}

FIXTURE_SETUP(races)
{
	struct race *race = mmap(NULL, sizeof(*race), RW, MAP_SHARED |
				 MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, race);
	self->race = race;
	race->unit = ms_setup(_metadata, NULL);
	if (!race->unit)
		return;
	ASSERT_LT(8192, meminfo_kb("SwapFree")) TH_LOG("needs swap");
	race->op[0] = variant->op[0];
	race->op[1] = variant->op[1];
	race->disk = -1;
	if (races_with(race, "gup")) {
		race->disk = direct_open();
		ASSERT_LE(0, race->disk);
		ASSERT_EQ(0, direct_fill(race->disk, 1, NPAGES));
	}
	race->fd = ms_container(_metadata, PATH, race->unit);
	for (unsigned int part = 0; part < PARTS; part++)
		map_part(_metadata, race, part);
	say_states(race);
	thp_save(_metadata, &self->thp);
	if (races_with(race, "collapse")) {
		ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
		thp_hurry(_metadata, "10");
		ASSERT_EQ(0, region_advise(race->fd, 0, PARTS * HUGE,
					   MADV_HUGEPAGE));
	}
}

FIXTURE_TEARDOWN(races)
{
	if (!self->race->unit)
		return;
	thp_restore(_metadata, &self->thp);
	unlink(PATH);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct race *race = w->race;

	pin(w->owner);
	__atomic_fetch_add(&race->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->ready, __ATOMIC_SEQ_CST) <= WORKERS)
		usleep(100);
	while (!stopped(race))
		race->op[w->owner % 2]->fn(w);
	return NULL;
}

static void init_worker(struct worker *w, struct race *race, unsigned int id)
{
	w->race = race;
	w->id = id;
	w->owner = id;
	w->seed = time(NULL) * WORKERS + id;
	w->n = 1;
	w->buf = mmap(NULL, BUF, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(w->buf != MAP_FAILED);
	CHECK(!pipe(w->pipe));
}

static void map_views(struct race *race, unsigned int process)
{
	struct worker w = { .race = race, .owner = 2 * process };

	for (unsigned int i = 0; i < VIEWS; i++) {
		if (view_state(&w, i)->now == GONE)
			continue;
		CHECK(mmap(view_at(race, i), race->unit, RW, MAP_SHARED |
			   MAP_FIXED_NOREPLACE, race->fd, 0) ==
		      view_at(race, i));
	}
}

static void run_process(struct race *race, unsigned int process)
{
	struct worker w[2] = {};
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	catch_faults();
	map_views(race, process);
	init_worker(&w[0], race, 2 * process);
	init_worker(&w[1], race, 2 * process + 1);
	CHECK(!pthread_create(&thread, NULL, work, &w[1]));
	work(&w[0]);
	CHECK(!pthread_join(thread, NULL));
	_exit(0);
}

static void start(struct __test_metadata *_metadata, struct race *race)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			run_process(race, i);
		/* Not by the child, for which it is 0. */
		race->pid[i] = pid;
	}
	while (__atomic_load_n(&race->ready, __ATOMIC_SEQ_CST) < WORKERS) {
		ASSERT_EQ(0, waitpid(-1, NULL, WNOHANG));
		usleep(1000);
	}
	__atomic_fetch_add(&race->ready, 1, __ATOMIC_SEQ_CST);
}

static void stop(struct __test_metadata *_metadata, struct race *race)
{
	int status = -1;

	race->stop = 1;
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(race->pid[i], waitpid(race->pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

static unsigned long sum(const unsigned long *of, unsigned int from,
			 unsigned int step)
{
	unsigned long n = 0;

	for (unsigned int id = from; id < WORKERS; id += step)
		n += __atomic_load_n(&of[id], __ATOMIC_RELAXED);
	return n;
}

/* What everybody stored is still there, with nobody in the way. */
static void check_all(struct __test_metadata *_metadata, struct race *race)
{
	struct worker w = { .race = race };

	/* The home of the others is where this process has nothing. */
	map_views(race, 0);
	catch_faults();
	for (w.id = 0; w.id < USERS; w.id++) {
		for (unsigned int i = 0; i < PARTS * NPAGES; i++) {
			struct use u = use_begin(&w, i / NPAGES, i % NPAGES, 0);
			uint64_t val = 0;

			ASSERT_EQ(0, try_load(word_at(&u, w.id), &val));
			check_word(&w, &u, val);
		}
	}
	EXPECT_EQ(0, race->wrong);
}

static void without_flush(struct __test_metadata *_metadata, struct race *race)
{
	time_t end = time(NULL) + 60;

	race->load_only = race->op[1]->area != GUARDED;
	start(_metadata, race);
	ASSERT_EQ(0, write_file(NO_FLUSH, "Y"));
	while (!__atomic_load_n(&race->wrong, __ATOMIC_RELAXED) &&
	       time(NULL) < end)
		usleep(10000);
	stop(_metadata, race);
	ASSERT_EQ(0, write_file(NO_FLUSH, "N"));
	EXPECT_LT(0, race->wrong) TH_LOG("a missing flush is not seen");
}

/* Both have been done, and pages used meanwhile. */
static bool evident(struct race *race, const long *before)
{
	for (int i = 0; i < 2; i++)
		if (race->op[i]->evidence &&
		    vmstat(race->op[i]->evidence) <= before[i])
			return false;
	return sum(race->done, 0, 2) && sum(race->done, 1, 2) &&
	       sum(race->uses, 0, 1);
}

static void with_flush(struct __test_metadata *_metadata, struct race *race)
{
	long before[2] = {};
	bool enough = false;

	for (int i = 0; i < 2; i++)
		if (race->op[i]->evidence)
			before[i] = vmstat(race->op[i]->evidence);
	start(_metadata, race);
	usleep(duration() * 1000);
	/* Where it is slow, a little longer. */
	for (int i = 0; i < 600 && !race->wrong; i++) {
		enough = evident(race, before);
		if (enough)
			break;
		usleep(50000);
	}
	stop(_metadata, race);
	EXPECT_EQ(0, race->wrong);
	EXPECT_TRUE(enough);
	TH_LOG("%lu %s, %lu %s, %lu uses", sum(race->done, 0, 2),
	       race->op[0]->name, sum(race->done, 1, 2), race->op[1]->name,
	       sum(race->uses, 0, 1));
	check_all(_metadata, race);
}

TEST_F_TIMEOUT(races, together, 300)
{
	if (!variant->control) {
		with_flush(_metadata, self->race);
	} else if (access(NO_FLUSH, W_OK)) {
		SKIP(return, "only debug builds can turn the flush off");
	} else {
		without_flush(_metadata, self->race);
	}
}

TEST_HARNESS_MAIN
