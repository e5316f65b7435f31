// SPDX-License-Identifier: GPL-2.0
/*
 * A flush interrupts the CPUs that run processes of a region. Processes that do
 * not run have to catch up before they do: one that sleeps on a CPU that is idle
 * meanwhile, and so keeps what it has in the TLB; many that take turns on the
 * CPUs, with one region or more than a CPU takes note of; and CPUs that go away
 * and come back.
 *
 * The control is a switch of debug builds: without catching up, the sleeper must
 * be seen to write what has been made read-only.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include <sched.h>
#include <time.h>

#define NO_CATCH_UP	"/sys/kernel/debug/mshare/no_catch_up"
#define MAX_REGIONS	14	/* a CPU takes note of 12 */
#define VALUES		3
#define TURNERS		10
#define SECONDS		12

static long op_pin(const long *a)
{
	pin(a[0]);
	return 0;
}

static long op_write(const long *a)
{
	return probe_write((void *)a[0], a[1]);
}

FIXTURE(sleeper) {
	size_t unit;
	int fd;
	char *base;		/* two pages */
	struct peer p;
	long at;		/* where the peer has them */
};

FIXTURE_SETUP(sleeper)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_LT(1, cpus()) TH_LOG("needs two CPUs");
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	ASSERT_EQ(0, region_anon(self->fd, 0, 2 * PAGE));
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	self->p = peer_start(_metadata);
	self->at = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->at);
	ASSERT_EQ(0, peer_call(&self->p, op_pin, L(cpus() - 1)));
	pin(0);
}

FIXTURE_TEARDOWN(sleeper)
{
	EXPECT_EQ(0, peer_stop(&self->p));
	EXPECT_EQ(0, munmap(self->base, self->unit));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
}

/* How often it can write to what is read-only, in so many rounds. */
static int writes_through(struct __test_metadata *_metadata,
			  FIXTURE_DATA(sleeper) *self, int rounds)
{
	int through = 0;
	long how;

	for (int i = 0; i < rounds; i++) {
		ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, RW));
		/* In its TLB, writable. */
		ASSERT_EQ(0, peer_call(&self->p, op_write, self->at, L(i)));
		/* Asleep, its CPU idle. */
		usleep(2000);
		ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, PROT_READ));
		how = peer_call(&self->p, op_write, self->at, L(i + 1));
		if (!how)
			through++;
		else
			ASSERT_EQ(ACCERR, how);
	}
	return through;
}

TEST_F(sleeper, catches_up)
{
	EXPECT_EQ(0, writes_through(_metadata, self, 300));
}

TEST_F(sleeper, seen_without_catching_up)
{
	int through;

	if (access(NO_CATCH_UP, W_OK))
		SKIP(return, "only debug builds can turn it off");
	ASSERT_EQ(0, write_file(NO_CATCH_UP, "Y"));
	through = writes_through(_metadata, self, 300);
	ASSERT_EQ(0, write_file(NO_CATCH_UP, "N"));
	EXPECT_LT(0, through) TH_LOG("the sleeper cannot see a missing flush");
}

#define TRACING	"/sys/kernel/tracing/"

static long op_spin(const long *a)
{
	volatile uint64_t *p = (uint64_t *)a[0];

	while (!load((char *)p + PAGE))
		(void)*p;
	return 0;
}

/* How many flushes of @pages pages interrupts have brought; -1: all pages. */
static long traced(long pages)
{
	char line[512], what[64];
	FILE *f = fopen(TRACING "trace", "re");
	long n = 0;

	snprintf(what, sizeof(what), "tlb_flush: pages:%ld reason:remote shoot",
		 pages);
	while (f && fgets(line, sizeof(line), f))
		n += !!strstr(line, what);
	if (f)
		fclose(f);
	return n;
}

/* Who runs loses the pages that were changed, in each of its windows. */
TEST_F(sleeper, loses_one_page)
{
	const int rounds = 50;

	store(self->base + PAGE, 0);
	ASSERT_EQ(0, peer_call(&self->p, op_write, self->at, L(1)));
	ASSERT_EQ(0, write_file(TRACING "events/tlb/tlb_flush/enable", "1"));
	peer_begin(&self->p, op_spin, (long[PEER_ARGS]){ self->at });
	usleep(50000);
	ASSERT_EQ(0, write_file(TRACING "trace", "0"));
	for (int i = 0; i < rounds; i++) {
		ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, PROT_READ));
		ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, RW));
	}
	/* Making it writable takes nothing away. */
	EXPECT_LE(rounds, traced(1));
	EXPECT_EQ(0, traced(-1));
	store(self->base + PAGE, 1);
	EXPECT_EQ(0, peer_end(&self->p));
	write_file(TRACING "events/tlb/tlb_flush/enable", "0");
}

/**
 * struct turns - what the processes that take turns share with the test
 * @stop: they are to end
 * @expected: what is mapped in each region, at least
 * @old: how often one of them has read less
 * @passes: of each
 */
struct turns {
	int stop;
	uint64_t expected[MAX_REGIONS];
	unsigned long old[TURNERS];
	unsigned long passes[TURNERS];
};

FIXTURE(turns) {
	size_t unit;
	int fd[MAX_REGIONS], memfd;
	struct turns *turns;
	pid_t pid[TURNERS];
	uint64_t *value;	/* VALUES pages of each region's memory */
};

/* Some have one region, some two, eight, or all. */
static int regions_of(int turner)
{
	static const int regions[] = { 1, 2, 8, MAX_REGIONS };

	return regions[turner % ARRAY_SIZE(regions)];
}

static void take_turns(FIXTURE_DATA(turns) *self, int turner)
{
	int regions = regions_of(turner);
	struct turns *t = self->turns;
	char *base[MAX_REGIONS];
	uint64_t expected;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < regions; i++) {
		base[i] = ms_map(self->fd[(turner + i) % MAX_REGIONS],
				 self->unit, PROT_READ);
		CHECK(base[i] != MAP_FAILED);
	}
	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < regions; i++) {
			expected = __atomic_load_n(&t->expected[(turner + i) %
								MAX_REGIONS],
						   __ATOMIC_ACQUIRE);
			if (load(base[i]) < expected)
				t->old[turner]++;
		}
		t->passes[turner]++;
		if (t->passes[turner] % 7 == (unsigned int)turner % 7)
			usleep(100);
		else
			sched_yield();
	}
	_exit(0);
}

FIXTURE_SETUP(turns)
{
	char path[64];

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->turns = mmap(NULL, sizeof(*self->turns), RW,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->turns);
	self->memfd = memfd_create("turns", MFD_CLOEXEC);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, MAX_REGIONS * VALUES * PAGE));
	self->value = mmap(NULL, MAX_REGIONS * VALUES * PAGE, RW, MAP_SHARED,
			   self->memfd, 0);
	ASSERT_NE(MAP_FAILED, self->value);
	for (int i = 0; i < MAX_REGIONS; i++) {
		snprintf(path, sizeof(path), MS_DIR "/%d", i);
		self->fd[i] = ms_container(_metadata, path, self->unit);
		ASSERT_EQ(0, region_map(self->fd[i], 0, PAGE, RW, FIXED,
					self->memfd, i * VALUES * PAGE));
	}
	for (int i = 0; i < TURNERS; i++) {
		self->pid[i] = fork();
		ASSERT_LE(0, self->pid[i]);
		if (!self->pid[i])
			take_turns(self, i);
	}
}

FIXTURE_TEARDOWN(turns)
{
	char path[64];
	int status;

	self->turns->stop = 1;
	for (int i = 0; i < TURNERS; i++) {
		EXPECT_EQ(self->pid[i], waitpid(self->pid[i], &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_LT(10, self->turns->passes[i]);
		EXPECT_EQ(0, self->turns->old[i]) {
			TH_LOG("with %d regions, in %lu passes", regions_of(i),
			       self->turns->passes[i]);
		}
	}
	for (int i = 0; i < MAX_REGIONS; i++) {
		snprintf(path, sizeof(path), MS_DIR "/%d", i);
		EXPECT_EQ(0, unlink(path));
		close(self->fd[i]);
	}
	munmap(self->value, MAX_REGIONS * VALUES * PAGE);
	close(self->memfd);
}

/*
 * Another page with a larger value takes the place of the one that is there.
 * Nobody may read a smaller one after the call has returned. The page that has
 * gone keeps its value for the next round.
 */
static void replace_page(struct __test_metadata *_metadata,
			 FIXTURE_DATA(turns) *self, int region)
{
	uint64_t next = self->turns->expected[region] + 1;
	long page = region * VALUES + next % VALUES;

	self->value[page * PAGE / 8] = next;
	ASSERT_EQ(0, region_map(self->fd[region], 0, PAGE, RW, FIXED,
				self->memfd, page * PAGE));
	__atomic_store_n(&self->turns->expected[region], next,
			 __ATOMIC_RELEASE);
}

TEST_F(turns, every_region_is_flushed)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int seed = 1;

	while (time(NULL) < end)
		replace_page(_metadata, self, rand_r(&seed) % MAX_REGIONS);
}

static bool set_online(int cpu, const char *online)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	return !write_file(path, online);
}

TEST_F(turns, processors_go_and_come_back)
{
	time_t end = time(NULL) + SECONDS;
	int n = cpus(), cpu = 1, away = 0;
	unsigned int seed = 2;

	if (n < 2 || !set_online(1, "1"))
		SKIP(return, "no processor can be taken offline");
	for (unsigned int i = 0; time(NULL) < end; i++) {
		replace_page(_metadata, self, rand_r(&seed) % MAX_REGIONS);
		if (i % 64)
			continue;
		if (set_online(cpu, away ? "1" : "0"))
			away = !away;
		if (!away)
			cpu = 1 + cpu % (n - 1);
	}
	for (int i = 1; i < n; i++)
		EXPECT_TRUE(set_online(i, "1"));
}

TEST_HARNESS_MAIN
