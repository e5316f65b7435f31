// SPDX-License-Identifier: GPL-2.0
/*
 * Writers spin on every CPU but one, each a process with its own window, and
 * hundreds of others are attached and sleep, while the protection of the memory
 * is changed: when MSHAREFS_PROTECT has made it read-only, no store succeeds any
 * more, and when it has made it writable, everybody writes on.
 *
 * The control is a switch that only debug builds have: with the flush of the
 * attached processes turned off, the same writers must be able to go on.
 *
 * MSHARE_ROUNDS from the environment (40): how often protection is changed.
 */
#include "mshare_test.h"
#include <sys/ioctl.h>
#include <time.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define RW		(PROT_READ | PROT_WRITE)
#define HUGE		(2UL << 20)
#define NO_FLUSH	"/sys/kernel/debug/mshare/no_flush"
#define MAX_WRITERS	16
#define SLEEPERS	300
#define STRIDE		64	/* pages: what a writer stores to of each MiB */

struct writer {
	unsigned long stores;	/* rounds over all words */
	unsigned long faults;	/* SEGV_ACCERR at the right address */
	unsigned long strange;	/* any other signal */
};

struct shared {
	int stop, ready;
	struct writer writer[MAX_WRITERS];
};

FIXTURE(instant) {
	size_t unit;
	int fd, writers, rounds;
	char *base;
	struct shared *shared;
	pid_t pid[MAX_WRITERS + SLEEPERS];
	int processes;
};

FIXTURE_VARIANT(instant) {
	size_t size;
	unsigned int flags;
	bool collapse;
};

FIXTURE_VARIANT_ADD(instant, pages) {
	.size = 1UL << 20,
};

FIXTURE_VARIANT_ADD(instant, huge_pages) {
	.size = 2 * HUGE, .collapse = true,
};

FIXTURE_VARIANT_ADD(instant, hugetlb) {
	.size = 2 * HUGE, .flags = MAP_HUGETLB,
};

static struct writer *me;
static char *my_base;
static size_t my_size;

/* To return is to try again: how a program would wait for permission. */
static void note_fault(int sig, siginfo_t *si, void *context)
{
	char *at = si->si_addr;

	(void)context;
	if (sig == SIGSEGV && si->si_code == SEGV_ACCERR &&
	    at >= my_base && at < my_base + my_size)
		__atomic_fetch_add(&me->faults, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&me->strange, 1, __ATOMIC_RELAXED);
}

/* Words of one writer: a line of its own in some pages. */
static volatile uint64_t *word(char *base, unsigned int writer, size_t at)
{
	return (uint64_t *)(base + at + writer * 64);
}

static void write_forever(struct shared *shared, int i)
{
	struct sigaction sa = { .sa_sigaction = note_fault,
				.sa_flags = SA_SIGINFO };
	uint64_t n = 0;

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		n++;
		for (size_t at = 0; at < my_size; at += STRIDE * PAGE)
			*word(my_base, i, at) = n;
		__atomic_fetch_add(&me->stores, 1, __ATOMIC_RELEASE);
	}
}

static void attach(struct shared *shared, size_t unit, size_t size)
{
	int fd = open(MS_DIR "/a", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	my_base = ms_map(fd, unit, RW);
	my_size = size;
	if (my_base == MAP_FAILED)
		_exit(1);
	load(my_base);
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_RELEASE);
}

static long protect(int fd, size_t size, int prot)
{
	struct mshare_protect arg = { .size = size, .prot = prot };

	return ioctl(fd, MSHAREFS_PROTECT, &arg) ? -errno : 0;
}

static uint64_t sum_of_words(const char *base, int writers, size_t size)
{
	uint64_t sum = 0;

	for (int i = 0; i < writers; i++)
		for (size_t at = 0; at < size; at += STRIDE * PAGE)
			sum += *word((char *)base, i, at);
	return sum;
}

/* A writer that has come this far twice has made a full round since. */
static bool all_write(struct shared *shared, int writers)
{
	unsigned long before[MAX_WRITERS];
	time_t end = time(NULL) + 30;

	for (int i = 0; i < writers; i++)
		before[i] = __atomic_load_n(&shared->writer[i].stores,
					    __ATOMIC_ACQUIRE);
	for (int i = 0; i < writers; i++) {
		while (__atomic_load_n(&shared->writer[i].stores,
				       __ATOMIC_ACQUIRE) < before[i] + 2) {
			if (time(NULL) > end)
				return false;
			usleep(100);
		}
	}
	return true;
}

static unsigned long faults_of_all(struct shared *shared, int writers)
{
	unsigned long sum = 0;

	for (int i = 0; i < writers; i++)
		sum += __atomic_load_n(&shared->writer[i].faults,
				       __ATOMIC_RELAXED);
	return sum;
}

static void spin(unsigned int usec)
{
	struct timespec t;
	uint64_t now, end = 0;

	do {
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = t.tv_sec * 1000000ull + t.tv_nsec / 1000;
		end = end ? end : now + usec;
	} while (now < end);
}

FIXTURE_SETUP(instant)
{
	struct mshare_create map = {
		.size = variant->size, .prot = RW,
		.flags = MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS |
			 variant->flags,
	};
	struct mshare_advise collapse = {
		.size = variant->size, .advice = MADV_COLLAPSE,
	};

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_LT(1, cpus()) TH_LOG("needs two CPUs");
	if (variant->flags & MAP_HUGETLB)
		ASSERT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", "8"));
	self->rounds = getenv("MSHARE_ROUNDS") ? atoi(getenv("MSHARE_ROUNDS")) :
						 40;
	self->fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, self->unit));
	ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_CREATE_MAPPING, &map));
	/* Before anybody writes: a page in use cannot be collapsed. */
	if (variant->collapse) {
		self->base = ms_map(self->fd, self->unit, RW);
		ASSERT_NE(MAP_FAILED, self->base);
		fill(self->base, 0, variant->size / PAGE);
		ASSERT_EQ(0, munmap(self->base, self->unit));
		ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_ADVISE, &collapse)) {
			TH_LOG("collapse: %s", strerror(errno));
		}
	}
	self->shared = mmap(NULL, sizeof(*self->shared), RW,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);

	self->writers = cpus() - 1 < MAX_WRITERS ? cpus() - 1 : MAX_WRITERS;
	for (int i = 0; i < self->writers + SLEEPERS; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			attach(self->shared, self->unit, variant->size);
			if (i >= self->writers)
				for (;;)
					pause();
			pin(i + 1);
			me = &self->shared->writer[i];
			write_forever(self->shared, i);
			_exit(0);
		}
		self->pid[self->processes++] = pid;
	}
	pin(0);
	self->base = ms_map(self->fd, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->base);
	ASSERT_TRUE(all_write(self->shared, self->writers));
	while (__atomic_load_n(&self->shared->ready, __ATOMIC_ACQUIRE) <
	       self->processes)
		usleep(1000);
}

FIXTURE_TEARDOWN(instant)
{
	if (!self->unit)
		return;
	for (int i = 0; i < self->processes; i++)
		kill(self->pid[i], SIGKILL);
	for (int i = 0; i < self->processes; i++)
		waitpid(self->pid[i], NULL, 0);
	munmap(self->base, self->unit);
	close(self->fd);
	unlink(MS_DIR "/a");
	if (variant->flags & MAP_HUGETLB)
		write_file("/proc/sys/vm/nr_hugepages", "0");
}

TEST_F_TIMEOUT(instant, read_only_at_once, 400)
{
	struct shared *s = self->shared;
	size_t size = variant->size;
	unsigned long late = 0;

	for (int round = 0; round < self->rounds; round++) {
		unsigned long faults = faults_of_all(s, self->writers);
		uint64_t sum;

		ASSERT_EQ(0, protect(self->fd, size, PROT_READ));
		sum = sum_of_words(self->base, self->writers, size);
		spin(round % 4 * 1000 + 200);
		late += sum_of_words(self->base, self->writers, size) != sum;
		/* They notice, at the right address. */
		for (int i = 0; i < 1000 &&
		     faults_of_all(s, self->writers) == faults; i++)
			spin(1000);
		EXPECT_LT(faults, faults_of_all(s, self->writers));
		late += sum_of_words(self->base, self->writers, size) != sum;

		ASSERT_EQ(0, protect(self->fd, size, RW));
		ASSERT_TRUE(all_write(s, self->writers));
		/* What they met before is over: nobody faults any more. */
		faults = faults_of_all(s, self->writers);
		spin(500);
		EXPECT_EQ(faults, faults_of_all(s, self->writers));
	}
	EXPECT_EQ(0, late);
	for (int i = 0; i < self->writers; i++)
		EXPECT_EQ(0, s->writer[i].strange);
}

/* Part of the range, and none at all: no access of any kind. */
TEST_F_TIMEOUT(instant, nothing_at_once, 400)
{
	struct shared *s = self->shared;
	size_t size = variant->size;
	char *second = self->base + size / 2;

	for (int round = 0; round < self->rounds / 4; round++) {
		struct mshare_protect half = {
			.region_offset = size / 2, .size = size / 2,
			.prot = PROT_NONE,
		};

		ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_PROTECT, &half));
		EXPECT_EQ(ACCERR, peek(second));
		EXPECT_EQ(0, peek(self->base));
		half.prot = RW;
		ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_PROTECT, &half));
		EXPECT_EQ(0, peek(second));
		ASSERT_TRUE(all_write(s, self->writers));
	}
	for (int i = 0; i < self->writers; i++)
		EXPECT_EQ(0, s->writer[i].strange);
}

/* The readers of this test would notice. */
TEST_F_TIMEOUT(instant, control_without_flush, 400)
{
	struct shared *s = self->shared;
	size_t size = variant->size;
	unsigned long late = 0;

	if (access(NO_FLUSH, W_OK)) {
		SKIP(return, "only debug kernels can leave the flush out");
	}
	for (int round = 0; round < 100 && !late; round++) {
		uint64_t sum;

		ASSERT_EQ(0, write_file(NO_FLUSH, "1"));
		ASSERT_EQ(0, protect(self->fd, size, PROT_READ));
		sum = sum_of_words(self->base, self->writers, size);
		/* The host may keep the CPUs of the writers waiting. */
		for (int i = 0; i < 100 && !late; i++) {
			spin(2000);
			late += sum_of_words(self->base, self->writers,
					     size) != sum;
		}
		ASSERT_EQ(0, write_file(NO_FLUSH, "0"));
		ASSERT_EQ(0, protect(self->fd, size, RW));
		ASSERT_TRUE(all_write(s, self->writers));
	}
	EXPECT_LT(0, late);
}

TEST_HARNESS_MAIN
