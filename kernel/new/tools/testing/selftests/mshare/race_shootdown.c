// SPDX-License-Identifier: GPL-2.0
/*
 * Readers spin on every CPU but one, each a process with its own window, while
 * the region's pages are taken away and given to a process that fills them with
 * other data. A reader with a translation that should be gone sees that data.
 *
 * The control is a switch that only debug builds have: with the flush of the
 * attached processes turned off, the same readers must see foreign data.
 *
 * MSHARE_ROUNDS from the environment (40): how often pages are taken away, but
 * after a minute and a half no more, where machines are slow.
 */
#include "mshare_test.h"
#include "lib_cgroup.h"
#include <time.h>

#define RW		(PROT_READ | PROT_WRITE)
#define NPAGES		64UL
#define FOREIGN		0xf0e1900df0e1900dull
#define FOREIGN_SIZE	(16UL << 20)
#define CG		"mshare-shootdown"
#define NO_FLUSH	"/sys/kernel/debug/mshare/no_flush"
#define MAX_READERS	16
#define SECONDS		90
#define LEAST		4	/* rounds, however long they take */

struct reader {
	unsigned long rounds;	/* passes over all pages */
	unsigned long foreign;	/* words of somebody else's data */
	unsigned long strange;	/* anything else that is not the pattern */
	uint64_t value;		/* the last of them */
};

struct shared {
	int stop;
	struct reader reader[MAX_READERS];
};

FIXTURE(shootdown) {
	size_t unit;
	struct peer maker;
	struct shared *shared;
	pid_t pid[MAX_READERS];
	int readers, rounds;
	time_t end;
};

static long op_make(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL, 0600);
	char *base = ms_map(fd, a[1], RW);

	if (base == MAP_FAILED)
		return -errno;
	for (unsigned long i = 0; i < NPAGES; i++) {
		for (unsigned int at = 0; at < PAGE; at += 8)
			store(base + i * PAGE + at, pattern(1, i));
	}
	return 0;
}

/* No system call in the loop: a switch of the address space would flush. */
static void read_forever(const char *base, struct shared *shared,
			 struct reader *r)
{
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		for (unsigned long i = 0; i < NPAGES; i++) {
			uint64_t val = load(base + i * PAGE + i % 64 * 64);

			if (val == pattern(1, i))
				continue;
			if (val == FOREIGN)
				r->foreign++;
			else
				r->strange++;
			r->value = val;
		}
		__atomic_fetch_add(&r->rounds, 1, __ATOMIC_RELEASE);
	}
}

FIXTURE_SETUP(shootdown)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_LT(1, cpus()) TH_LOG("needs two CPUs");
	self->rounds = getenv("MSHARE_ROUNDS") ? atoi(getenv("MSHARE_ROUNDS")) :
						 40;
	ASSERT_LE(8, self->rounds);
	self->end = time(NULL) + SECONDS;
	ASSERT_EQ(0, cg_create(CG));
	self->shared = mmap(NULL, sizeof(*self->shared), RW,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->maker = peer_start(_metadata);
	ASSERT_EQ(0, peer_call(&self->maker, op_enter, L(CG)));
	ASSERT_EQ(0, peer_call(&self->maker, op_make, L(MS_DIR "/a"),
			       self->unit));
	self->readers = cpus() - 1 < MAX_READERS ? cpus() - 1 : MAX_READERS;
	for (int i = 0; i < self->readers; i++) {
		self->pid[i] = fork();
		ASSERT_LE(0, self->pid[i]);
		if (!self->pid[i]) {
			int fd = open(MS_DIR "/a", O_RDONLY);
			char *base = ms_map(fd, self->unit, PROT_READ);

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pin(i + 1);
			CHECK(base != MAP_FAILED);
			read_forever(base, self->shared,
				     &self->shared->reader[i]);
			_exit(0);
		}
	}
	pin(0);
}

FIXTURE_TEARDOWN(shootdown)
{
	peer_stop(&self->maker);
	unlink(MS_DIR "/a");
	EXPECT_EQ(0, in_child(cg_swap_again, NULL));
	cg_remove(CG);
}

static unsigned long rounds(FIXTURE_DATA(shootdown) *self)
{
	unsigned long least = ~0ul;

	for (int i = 0; i < self->readers; i++) {
		unsigned long *at = &self->shared->reader[i].rounds;
		unsigned long n = __atomic_load_n(at, __ATOMIC_ACQUIRE);

		least = n < least ? n : least;
	}
	return least;
}

static unsigned long total(FIXTURE_DATA(shootdown) *self, bool foreign)
{
	unsigned long sum = 0;

	for (int i = 0; i < self->readers; i++) {
		struct reader *r = &self->shared->reader[i];

		sum += foreign ? r->foreign : r->foreign + r->strange;
	}
	return sum;
}

static bool go_on(FIXTURE_DATA(shootdown) *self, int round, int rounds)
{
	return round < rounds && (round < LEAST || time(NULL) < self->end);
}

/* Until every reader has made @n passes more. */
static bool wait_passes(FIXTURE_DATA(shootdown) *self, unsigned long n)
{
	unsigned long until = rounds(self) + n;
	time_t limit = time(NULL) + 60;

	while (rounds(self) < until) {
		if (time(NULL) > limit)
			return false;
		usleep(1000);
	}
	return true;
}

static void stop_readers(struct __test_metadata *_metadata,
			 FIXTURE_DATA(shootdown) *self)
{
	int status;

	self->shared->stop = 1;
	for (int i = 0; i < self->readers; i++) {
		EXPECT_EQ(self->pid[i], waitpid(self->pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Takes free memory, the pages freed last first, and writes over it. */
static void take_pages(void)
{
	char *p = mmap(NULL, FOREIGN_SIZE, RW,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return;
	for (unsigned long i = 0; i < FOREIGN_SIZE; i += 8)
		store(p + i, FOREIGN);
	/* Time for the readers to look. */
	usleep(20000);
	munmap(p, FOREIGN_SIZE);
}

static void swap_out(void)
{
	/* It fails when there was less to reclaim: nobody minds. */
	for (int i = 0; i < 3; i++)
		cg_write(CG, "memory.reclaim", "1M");
}

static bool has_swap(void)
{
	return meminfo_kb("SwapFree") > 8192;
}

TEST_F_TIMEOUT(shootdown, swapped_out, 300)
{
	long out, in;

	ASSERT_TRUE(has_swap()) TH_LOG("needs swap");
	ASSERT_TRUE(wait_passes(self, 10));
	out = vmstat("pswpout");
	in = vmstat("pswpin");
	for (int i = 0; go_on(self, i, self->rounds); i++) {
		swap_out();
		take_pages();
		if (i % 10 == 2) {
			swap_out();
			ASSERT_EQ(0, in_child(cg_swap_again, NULL));
		}
		ASSERT_TRUE(wait_passes(self, 2));
	}
	stop_readers(_metadata, self);
	EXPECT_EQ(0, total(self, false)) {
		TH_LOG("%lu words of foreign data, %lu not ours at all, last %llx",
		       total(self, true), total(self, false),
		       (unsigned long long)self->shared->reader[0].value);
	}
	/* Pages did go, and came back. */
	EXPECT_LE(NPAGES, vmstat("pswpout") - out);
	EXPECT_LE(NPAGES, vmstat("pswpin") - in);
}

TEST_F_TIMEOUT(shootdown, migrated, 300)
{
	char *spread = mmap(NULL, 64 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			    MAP_POPULATE, -1, 0);
	long moved = vmstat("pgmigrate_success");

	ASSERT_NE(MAP_FAILED, spread);
	ASSERT_TRUE(wait_passes(self, 10));
	for (int i = 0; go_on(self, i, self->rounds / 2); i++) {
		/* Every other page free: there is something to compact. */
		for (unsigned long at = i % 2 * PAGE; at < 64UL << 20;
		     at += 2 * PAGE)
			madvise(spread + at, PAGE, MADV_DONTNEED);
		ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
		take_pages();
		ASSERT_TRUE(wait_passes(self, 2));
		for (unsigned long at = 0; at < 64UL << 20; at += PAGE)
			store(spread + at, FOREIGN);
	}
	stop_readers(_metadata, self);
	EXPECT_EQ(0, total(self, false)) {
		TH_LOG("%lu words of foreign data, %lu not ours at all",
		       total(self, true), total(self, false));
	}
	EXPECT_LT(0, vmstat("pgmigrate_success") - moved);
}

TEST_F_TIMEOUT(shootdown, seen_without_flush, 300)
{
	int i;

	if (access(NO_FLUSH, W_OK))
		SKIP(goto out, "only debug builds can turn the flush off");
	ASSERT_TRUE(has_swap()) TH_LOG("needs swap");
	ASSERT_TRUE(wait_passes(self, 10));
	ASSERT_EQ(0, write_file(NO_FLUSH, "Y"));
	for (i = 0; go_on(self, i, self->rounds) && !total(self, true); i++) {
		swap_out();
		take_pages();
		wait_passes(self, 2);
	}
	write_file(NO_FLUSH, "N");
	EXPECT_LT(0, total(self, true)) {
		TH_LOG("the readers cannot see a missing flush");
	}
out:
	stop_readers(_metadata, self);
}

TEST_HARNESS_MAIN
