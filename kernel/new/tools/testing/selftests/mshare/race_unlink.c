// SPDX-License-Identifier: GPL-2.0
/*
 * A link goes away while threads on other CPUs use it: when the call that took
 * it away has returned, no access of theirs reaches the region any more.
 *
 * The threads store counters into slots of the window and load a tag from it.
 * They know by a generation counter, odd while the window is being changed,
 * which tag must be there. The main thread looks at the slots through a second
 * window that never changes.
 *
 * MSHARE_ROUNDS from the environment (200): changes of a window in each test,
 * but after half a minute no more, where machines are slow.
 */
#include "mshare_test.h"
#include <pthread.h>
#include <time.h>

#define RW		(PROT_READ | PROT_WRITE)
#define MAX_THREADS	15
#define TAG(which)	(0x7a60000000000000ull + (which) * 0x1111)
#define STRAY		0x57a4000000000000ull
#define SECONDS		30
#define LEAST		4	/* rounds, however long they take */

static struct {
	char *win;		/* the address under test */
	size_t unit, units;
	unsigned int gen;
	int stop;
	int threads, rounds;
	time_t end;
	pthread_t thread[MAX_THREADS];
	unsigned long done[MAX_THREADS];	/* accesses that succeeded */
	unsigned long faults[MAX_THREADS];
	unsigned long wrong;		/* loads of a tag that is gone */
	uint64_t wrong_value;
	uint64_t want[2];		/* tag by bit 1 of the generation */
} race;

static __thread int my_id;

/* Retried until the window is there again. */
static void on_fault(int sig, siginfo_t *si, void *context)
{
	char *at = si->si_addr;

	(void)sig;
	(void)context;
	if (at < race.win || at >= race.win + race.units * race.unit)
		_exit(77);
	race.faults[my_id]++;
	sched_yield();
}

/* Threads use the two ends of the window: a flush may miss either. */
static size_t place(int id)
{
	return id % 2 ? (race.units - 1) * race.unit : 0;
}

static char *slot(char *base, int id)
{
	return base + place(id) + 64 + 64 * id;
}

static void *access_forever(void *arg)
{
	unsigned long n = 0;
	const char *tag;
	uint64_t val;
	unsigned int gen;
	char *mine;

	my_id = L(arg);
	pin(my_id + 1);
	tag = race.win + place(my_id);
	mine = slot(race.win, my_id);
	while (!__atomic_load_n(&race.stop, __ATOMIC_RELAXED)) {
		gen = __atomic_load_n(&race.gen, __ATOMIC_SEQ_CST);
		val = load(tag);
		store(mine, STRAY + ++n);
		if (!(gen & 1) && val != race.want[gen >> 1 & 1] &&
		    __atomic_load_n(&race.gen, __ATOMIC_SEQ_CST) == gen) {
			race.wrong_value = val;
			__atomic_fetch_add(&race.wrong, 1, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&race.done[my_id], n, __ATOMIC_RELEASE);
	}
	return NULL;
}

FIXTURE(unlink_race) {
	size_t unit;
};

FIXTURE_VARIANT(unlink_race) {
	unsigned int units;
};

FIXTURE_VARIANT_ADD(unlink_race, 1_unit) {
	.units = 1,
};

/* Spans that a length of 32 bits cannot say. */
FIXTURE_VARIANT_ADD(unlink_race, 4_units) {
	.units = 4,
};

FIXTURE_VARIANT_ADD(unlink_race, 9_units) {
	.units = 9,
};

FIXTURE_VARIANT_ADD(unlink_race, 512_units) {
	.units = 512,
};

FIXTURE_SETUP(unlink_race)
{
	struct sigaction sa = { .sa_sigaction = on_fault,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_LT(1, cpus()) TH_LOG("needs two CPUs");
	memset(&race, 0, sizeof(race));
	race.unit = self->unit;
	race.units = variant->units;
	race.rounds = getenv("MSHARE_ROUNDS") ? atoi(getenv("MSHARE_ROUNDS")) :
						200;
	ASSERT_LE(8, race.rounds);
	race.end = time(NULL) + SECONDS;
	race.threads = cpus() - 1 < MAX_THREADS ? cpus() - 1 : MAX_THREADS;
	race.win = mmap(NULL, (race.units + 1) * race.unit, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, race.win);
	/* It stays reserved, or the second windows would come to lie there. */
	race.win = (char *)((L(race.win) + race.unit - 1) & -race.unit);
	ASSERT_EQ(0, sigaction(SIGSEGV, &sa, NULL));
	ASSERT_EQ(0, sigaction(SIGBUS, &sa, NULL));
	pin(0);
}

FIXTURE_TEARDOWN(unlink_race)
{
}

static bool go_on(int round, int rounds)
{
	return round < rounds && (round < LEAST || time(NULL) < race.end);
}

static void start_threads(struct __test_metadata *_metadata)
{
	for (int i = 0; i < race.threads; i++) {
		ASSERT_EQ(0, pthread_create(&race.thread[i], NULL,
					    access_forever, (void *)L(i)));
	}
}

static void stop_threads(void)
{
	race.stop = 1;
	for (int i = 0; i < race.threads; i++)
		pthread_join(race.thread[i], NULL);
}

/* Until every thread has made some accesses, or met some faults, more. */
static void wait_progress(struct __test_metadata *_metadata)
{
	time_t limit = time(NULL) + 60;
	unsigned long seen[MAX_THREADS];

	for (int i = 0; i < race.threads; i++)
		seen[i] = __atomic_load_n(&race.done[i], __ATOMIC_ACQUIRE) +
			  race.faults[i];
	for (int i = 0; i < race.threads; i++) {
		while (__atomic_load_n(&race.done[i], __ATOMIC_ACQUIRE) +
		       *(volatile unsigned long *)&race.faults[i] <
		       seen[i] + 4) {
			ASSERT_GT(limit, time(NULL)) {
				TH_LOG("thread %d hangs", i);
			}
			usleep(100);
		}
	}
}

static char *make(struct __test_metadata *_metadata, const char *path,
		  uint64_t tag, int *fd)
{
	char *base = ms_new(_metadata, path, race.units * race.unit, fd);

	store(base, tag);
	store(base + (race.units - 1) * race.unit, tag);
	return base;
}

static void snapshot(char *base, uint64_t *val)
{
	for (int i = 0; i < race.threads; i++)
		val[i] = load(slot(base, i));
}

static void window_now(struct __test_metadata *_metadata, int fd, int prot)
{
	ASSERT_EQ(race.win, mmap(race.win, race.units * race.unit, prot,
				 MAP_SHARED | MAP_FIXED, fd, 0));
}

/* Two regions take turns at one address. */
TEST_F_TIMEOUT(unlink_race, replaced, 400)
{
	uint64_t before[MAX_THREADS], after[MAX_THREADS];
	const size_t len = race.units * race.unit;
	char *base[2];
	int fd[2];

	base[0] = make(_metadata, MS_DIR "/a", TAG(0), &fd[0]);
	base[1] = make(_metadata, MS_DIR "/b", TAG(1), &fd[1]);
	race.want[0] = TAG(0);
	race.want[1] = TAG(1);
	window_now(_metadata, fd[0], RW);
	start_threads(_metadata);
	wait_progress(_metadata);

	for (int n = 0; go_on(n, race.rounds) && !race.wrong; n++) {
		int old = n & 1, new = !old;

		__atomic_add_fetch(&race.gen, 1, __ATOMIC_SEQ_CST);
		if (n & 2) {
			ASSERT_EQ(0, munmap(race.win, len));
			/* Gone means gone, before anything comes instead. */
			snapshot(base[old], before);
			usleep(n % 7 * 100);
			snapshot(base[old], after);
			ASSERT_EQ(0, memcmp(before, after,
					    race.threads * sizeof(*after)));
		}
		window_now(_metadata, fd[new], RW);
		__atomic_add_fetch(&race.gen, 1, __ATOMIC_SEQ_CST);

		snapshot(base[old], before);
		wait_progress(_metadata);
		snapshot(base[old], after);
		for (int i = 0; i < race.threads; i++) {
			ASSERT_EQ(before[i], after[i]) {
				TH_LOG("round %d: thread %d wrote to the old region (%lu accesses, %lu faults)",
				       n, i, race.done[i], race.faults[i]);
			}
		}
		/* They do write to the new one, all of them. */
		snapshot(base[new], before);
		wait_progress(_metadata);
		snapshot(base[new], after);
		for (int i = 0; i < race.threads; i++) {
			ASSERT_NE(before[i], after[i]);
		}
	}
	stop_threads();
	EXPECT_EQ(0, race.wrong) {
		TH_LOG("%lu loads of the old region, last %llx", race.wrong,
		       (unsigned long long)race.wrong_value);
	}
}

#define FILE_SIZE	(8UL << 20)
#define FOREIGN		0xf0e1900df0e1900dull

/* The region dies with its last window; its pages go to a file. */
TEST_F_TIMEOUT(unlink_race, destroyed, 400)
{
	static uint64_t page[PAGE / 8];
	unsigned long harm = 0;
	int fd, next, file;
	char *map;

	for (size_t i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = FOREIGN;
	for (int which = 0; which < 2; which++)
		race.want[which] = TAG(which);
	ASSERT_EQ(0, munmap(make(_metadata, MS_DIR "/0", TAG(0), &fd),
			    race.units * race.unit));
	window_now(_metadata, fd, RW);
	start_threads(_metadata);

	for (int n = 0; go_on(n, race.rounds / 4) && !race.wrong && !harm; n++) {
		char old[32], new[32];

		wait_progress(_metadata);
		snprintf(old, sizeof(old), MS_DIR "/%d", n);
		snprintf(new, sizeof(new), MS_DIR "/%d", n + 1);
		ASSERT_EQ(0, munmap(make(_metadata, new, TAG(!(n & 1)), &next),
				    race.units * race.unit));
		ASSERT_EQ(0, unlink(old));
		ASSERT_EQ(0, close(fd));

		__atomic_add_fetch(&race.gen, 1, __ATOMIC_SEQ_CST);
		if (n & 2) {
			ASSERT_EQ(0, munmap(race.win, race.units * race.unit));
		}
		window_now(_metadata, next, RW);
		__atomic_add_fetch(&race.gen, 1, __ATOMIC_SEQ_CST);
		fd = next;

		/* What was the region is somebody else's memory now. */
		file = memfd_create("file", 0);
		for (unsigned long i = 0; i < FILE_SIZE; i += PAGE) {
			ASSERT_EQ(PAGE, write(file, page, PAGE));
		}
		wait_progress(_metadata);
		map = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, file, 0);
		ASSERT_NE(MAP_FAILED, map);
		for (unsigned long i = 0; i < FILE_SIZE; i += 8)
			harm += load(map + i) != FOREIGN;
		munmap(map, FILE_SIZE);
		close(file);
	}
	stop_threads();
	EXPECT_EQ(0, harm) {
		TH_LOG("%lu words of a file were overwritten", harm);
	}
	EXPECT_EQ(0, race.wrong) {
		TH_LOG("%lu loads of foreign memory, last %llx", race.wrong,
		       (unsigned long long)race.wrong_value);
	}
}

/* A window that is lowered to read-only is read-only for all threads. */
TEST_F_TIMEOUT(unlink_race, lowered, 400)
{
	uint64_t before[MAX_THREADS], after[MAX_THREADS];
	const size_t len = race.units * race.unit;
	char *base;
	int fd;

	base = make(_metadata, MS_DIR "/a", TAG(0), &fd);
	race.want[0] = TAG(0);
	race.want[1] = TAG(0);
	window_now(_metadata, fd, RW);
	start_threads(_metadata);
	for (int n = 0; go_on(n, race.rounds / 2); n++) {
		wait_progress(_metadata);
		ASSERT_EQ(0, mprotect(race.win, len,
				      n & 1 ? PROT_NONE : PROT_READ));
		snapshot(base, before);
		wait_progress(_metadata);
		snapshot(base, after);
		for (int i = 0; i < race.threads; i++) {
			ASSERT_EQ(before[i], after[i]) {
				TH_LOG("round %d: thread %d still writes", n,
				       i);
			}
		}
		ASSERT_EQ(0, mprotect(race.win, len, RW));
		wait_progress(_metadata);
		snapshot(base, after);
		for (int i = 0; i < race.threads; i++) {
			ASSERT_NE(before[i], after[i]);
		}
	}
	stop_threads();
	EXPECT_EQ(0, race.wrong);
}

TEST_HARNESS_MAIN
