// SPDX-License-Identifier: GPL-2.0
/* Windows across fork, exec and threads. */
#include "mshare_test.h"
#include <pthread.h>

MS_FIXTURE(fork)

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	512

struct arg {
	char *base;
	size_t unit;
	int depth;
};

static int child_reads(void *arg)
{
	struct arg *a = arg;
	long faults;

	faults = faults_of(a->base, NPAGES, false);
	if (faults)
		fprintf(stderr, "# child: %ld faults for %d pages\n", faults,
			NPAGES);
	CHECK(faults == 0);
	CHECK(damaged(a->base, 1, NPAGES) == 0);
	if (a->depth--)
		CHECK(in_child(child_reads, a) == 0);
	return 0;
}

TEST_F(fork, no_fault_in_child)
{
	struct arg a = { .unit = self->unit };

	a.base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(a.base, 1, NPAGES);
	EXPECT_EQ(0, in_child(child_reads, &a));
}

TEST_F(fork, no_fault_in_grandchildren)
{
	struct arg a = { .unit = self->unit, .depth = 3 };

	a.base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(a.base, 1, NPAGES);
	EXPECT_EQ(0, in_child(child_reads, &a));
}

static int child_writes(void *arg)
{
	struct arg *a = arg;

	CHECK(faults_of(a->base, NPAGES, true) == 0);
	fill(a->base, 2, NPAGES);
	return 0;
}

TEST_F(fork, shared_not_copied)
{
	struct arg a = { .unit = self->unit };
	char *other;
	int fd;

	a.base = ms_new(_metadata, MS_DIR "/a", self->unit, &fd);
	fill(a.base, 1, NPAGES);
	EXPECT_EQ(0, in_child(child_writes, &a));
	EXPECT_EQ(0, damaged(a.base, 2, NPAGES));
	other = ms_map(fd, self->unit, PROT_READ);
	EXPECT_EQ(0, damaged(other, 2, NPAGES));
}

static int child_finds_later(void *arg)
{
	struct arg *a = arg;

	/* The parent writes what was not there at fork. */
	for (int i = 0; i < 10000 && load(a->base) != 1; i++)
		usleep(1000);
	CHECK(load(a->base) == 1);
	store(a->base + 5 * PAGE, 2);
	return 0;
}

TEST_F(fork, page_after_fork)
{
	struct arg a;
	int status;
	pid_t pid;

	a.base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(child_finds_later(&a));
	usleep(50000);
	store(a.base, 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(2, load(a.base + 5 * PAGE));
}

static int child_unmaps(void *arg)
{
	struct arg *a = arg;

	CHECK(!munmap(a->base + a->unit, a->unit));
	CHECK(peek(a->base + a->unit) == MAPERR);
	CHECK(!mprotect(a->base, a->unit, PROT_READ));
	CHECK(probe_write(a->base, 1) == ACCERR);
	return 0;
}

TEST_F(fork, child_changes_its_own)
{
	struct arg a = { .unit = self->unit };

	a.base = ms_new(_metadata, MS_DIR "/a", 2 * self->unit, NULL);
	fill(a.base, 1, 8);
	store(a.base + self->unit, 5);
	EXPECT_EQ(0, in_child(child_unmaps, &a));
	EXPECT_EQ(5, load(a.base + self->unit));
	EXPECT_EQ(0, probe_write(a.base, pattern(1, 0)));
	EXPECT_EQ(0, damaged(a.base, 1, 8));
}

static int child_has_protections(void *arg)
{
	struct arg *a = arg;

	CHECK(probe_write(a->base, 1) == 0);
	CHECK(probe_write(a->base + a->unit, 1) == ACCERR);
	CHECK(peek(a->base + a->unit) == 0);
	CHECK(peek(a->base + 2 * a->unit) == ACCERR);
	CHECK(!mprotect(a->base, 3 * a->unit, RW));
	CHECK(probe_write(a->base + a->unit, 1) == 0);
	CHECK(probe_write(a->base + 2 * a->unit, 1) == 0);
	return 0;
}

TEST_F(fork, protections_inherited)
{
	struct arg a = { .unit = self->unit };

	a.base = ms_new(_metadata, MS_DIR "/a", 3 * self->unit, NULL);
	for (unsigned int i = 0; i < 3; i++)
		store(a.base + i * self->unit, 9);
	ASSERT_EQ(0, mprotect(a.base + self->unit, self->unit, PROT_READ));
	ASSERT_EQ(0, mprotect(a.base + 2 * self->unit, self->unit, PROT_NONE));
	EXPECT_EQ(0, in_child(child_has_protections, &a));
	EXPECT_EQ(ACCERR, probe_write(a.base + self->unit, 2));
	EXPECT_EQ(ACCERR, peek(a.base + 2 * self->unit));
}

static int child_execs(void *arg)
{
	char *argv[] = { "/proc/self/exe", "--check-exec", arg, NULL };

	execv(argv[0], argv);
	return 99;
}

/* Runs before the harness: this program as execed by the test. */
static void __attribute__((constructor(101))) after_exec(int argc, char **argv,
							 char **envp)
{
	char text[1 << 14];

	(void)envp;
	if (argc != 3 || strcmp(argv[1], "--check-exec"))
		return;
	CHECK(peek((void *)strtoul(argv[2], NULL, 16)) == MAPERR);
	CHECK(read_file("/proc/self/maps", text, sizeof(text)) > 0);
	CHECK(!strstr(text, MS_DIR));
	_exit(0);
}

TEST_F(fork, gone_after_exec)
{
	char *base, hex[32];

	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, 8);
	snprintf(hex, sizeof(hex), "%lx", L(base));
	EXPECT_EQ(0, in_child(child_execs, hex));
	EXPECT_EQ(0, damaged(base, 1, 8));
}

static int child_vforks(void *arg)
{
	struct arg *a = arg;
	int status;
	pid_t pid;

	pid = vfork();
	if (!pid)
		_exit(load(a->base) == pattern(1, 0) ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	return 0;
}

TEST_F(fork, vfork)
{
	struct arg a;

	a.base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(a.base, 1, 8);
	EXPECT_EQ(0, in_child(child_vforks, &a));
	EXPECT_EQ(0, damaged(a.base, 1, 8));
}

/* Fork while other threads fault pages in and change windows. */
static volatile bool stop;
static char *arena;
static size_t arena_unit;
static int arena_fd;

static void *toucher(void *arg)
{
	unsigned long n = L(arg) * 0x10000;

	for (unsigned long i = n; !stop; i = n + (i + 1 - n) % 0x8000)
		store(arena + i * PAGE % (2 * arena_unit) + 8 * L(arg), i + 1);
	return NULL;
}

static void *mapper(void *arg)
{
	(void)arg;
	while (!stop) {
		char *p = ms_map(arena_fd, 2 * arena_unit, RW);

		if (p == MAP_FAILED)
			return (void *)1;
		if (load(p) != pattern(7, 0) ||
		    munmap(p + arena_unit, arena_unit) ||
		    munmap(p, arena_unit))
			return (void *)2;
	}
	return NULL;
}

static int child_of_threads(void *arg)
{
	struct arg *a = arg;

	CHECK(faults_of(a->base, 1, false) == 0);
	CHECK(load(a->base) == pattern(7, 0));
	return 0;
}

TEST_F(fork, threads_fault_meanwhile)
{
	struct arg a = { .unit = self->unit };
	pthread_t t[3];
	void *ret;

	arena_unit = self->unit;
	arena = ms_new(_metadata, MS_DIR "/a", 2 * self->unit, &arena_fd);
	a.base = arena;
	store(arena, pattern(7, 0));
	ASSERT_EQ(0, pthread_create(&t[0], NULL, toucher, (void *)1));
	ASSERT_EQ(0, pthread_create(&t[1], NULL, toucher, (void *)2));
	ASSERT_EQ(0, pthread_create(&t[2], NULL, mapper, NULL));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, in_child(child_of_threads, &a));
	}
	stop = true;
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &ret);
		EXPECT_EQ(NULL, ret);
	}
	EXPECT_EQ(pattern(7, 0), load(arena));
}

TEST_HARNESS_MAIN
