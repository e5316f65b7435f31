// SPDX-License-Identifier: GPL-2.0
/*
 * The OOM reaper, here process_mrelease(2), takes links away from a process that
 * exits and takes the same links away. Each link is counted down once: the
 * counts of the region and of all regions are exact afterwards.
 */
#include "mshare_test.h"
#include "lib_container.h"

#define LINKS		"/sys/kernel/mm/mshare/links"
#define WINDOWS		"/sys/kernel/mm/mshare/windows"
#define GIBS		256UL	/* units, each with a link */
#define REAPERS		3
#define ROUNDS		60
#define SECONDS		15
#define TRIES		50

struct start {
	int ready, go;
};

FIXTURE(reap) {
	size_t unit, size;
	int fd;
	long links, windows;	/* of all regions, before */
	struct start *start;
};

FIXTURE_SETUP(reap)
{
	char *base;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->links = file_number(LINKS);
	self->windows = file_number(WINDOWS);
	self->size = GIBS * self->unit;
	self->start = mmap(NULL, sizeof(*self->start), RW, MAP_SHARED |
			   MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->start);
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	ASSERT_EQ(0, region_map(self->fd, 0, self->size, RW,
				ANON | MAP_NORESERVE, -1, 0));
	/* What has tables is linked when it is mapped. */
	base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, base);
	for (unsigned long i = 0; i < GIBS; i++)
		store(base + i * self->unit, i + 1);
	ASSERT_EQ(GIBS, region_stat(self->fd).links);
	ASSERT_EQ(0, munmap(base, self->size));
	ASSERT_EQ(0, region_stat(self->fd).links);
}

FIXTURE_TEARDOWN(reap)
{
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(self->links, file_number(LINKS));
	EXPECT_EQ(self->windows, file_number(WINDOWS));
}

static __attribute__((noreturn)) void victim(FIXTURE_DATA(reap) *self)
{
	/* The reaper leaves alone what may become shared by a store. */
	int ro = reopen(self->fd, O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHECK(ms_map(ro, self->size, PROT_READ) != MAP_FAILED);
	__atomic_store_n(&self->start->ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

/* Exit status: 1 when it has reaped something, or found nothing left of it. */
static __attribute__((noreturn)) void reaper(struct start *start, int pidfd)
{
	int done = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!__atomic_load_n(&start->go, __ATOMIC_SEQ_CST))
		;
	for (int i = 0; i < TRIES; i++)
		done |= !syscall(__NR_process_mrelease, pidfd, 0);
	_exit(done);
}

/* How many of the reapers got hold of the process. */
static unsigned int reap_one(struct __test_metadata *_metadata,
			     FIXTURE_DATA(reap) *self)
{
	pid_t pid, by[REAPERS];
	unsigned int reaped = 0;
	int status, pidfd;

	memset(self->start, 0, sizeof(*self->start));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		victim(self);
	while (!__atomic_load_n(&self->start->ready, __ATOMIC_SEQ_CST)) {
		ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
		sched_yield();
	}
	ASSERT_EQ(GIBS, region_stat(self->fd).links);
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	ASSERT_LE(0, pidfd);
	for (int i = 0; i < REAPERS; i++) {
		by[i] = fork();
		ASSERT_LE(0, by[i]);
		if (!by[i])
			reaper(self->start, pidfd);
	}
	usleep(1000);
	kill(pid, SIGKILL);
	__atomic_store_n(&self->start->go, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < REAPERS; i++) {
		ASSERT_EQ(by[i], waitpid(by[i], &status, 0));
		reaped += WIFEXITED(status) && WEXITSTATUS(status);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(pidfd);
	return reaped;
}

TEST_F(reap, links_are_counted_once)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int rounds, reaped = 0;
	struct mshare_stat st;

	for (rounds = 0; rounds < ROUNDS && time(NULL) < end; rounds++) {
		reaped += reap_one(_metadata, self);
		st = region_stat(self->fd);
		ASSERT_EQ(0, (long)st.links) TH_LOG("round %u", rounds);
		ASSERT_EQ(0, st.processes);
		ASSERT_EQ(0, st.windows);
		ASSERT_EQ(self->links, file_number(LINKS));
		ASSERT_EQ(self->windows, file_number(WINDOWS));
	}
	TH_LOG("%u rounds, %u reaped", rounds, reaped);
	/* Else nothing has been shown. */
	EXPECT_LT(0, reaped);
	EXPECT_LT(4, rounds);
}

TEST_HARNESS_MAIN
