// SPDX-License-Identifier: GPL-2.0
/* What libmshare does between processes and threads: needs the kernel. */
#include <pthread.h>
#include <signal.h>

#include "check.h"

/* cmocka takes signals for failures of tests, and would go on with them. */
static void run_and_exit(int (*fn)(void *), void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	_exit(fn(arg));
}

/* Runs @fn in another process: its result, or 128 + the signal it died of. */
static int elsewhere(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		run_and_exit(fn, arg);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

static int store(void *at)
{
	*(volatile char *)at = 1;
	return 0;
}

static void protection_is_everybodys(void **state)
{
	struct mshare_region *region = region_of(MIB);
	struct mshare_window *window = window_of(region);
	char *p = mshare_window_addr(window);

	(void)state;
	OK(elsewhere(store, p));
	OK(mshare_protect(region, 0, 1, PROT_READ));
	assert_int_equal(128 + SIGSEGV, elsewhere(store, p));
	OK(elsewhere(store, p + 4096));
	OK(mshare_protect(region, 0, 1, RW));
	OK(elsewhere(store, p));
	OK(mshare_unmap(region, 4096, 1));
	assert_int_equal(128 + SIGSEGV, elsewhere(store, p + 4096));
	OK(mshare_detach(window));
	mshare_close(region);
}

/* Attached by name, with a window that is for reading only. */
static int reader(void *arg)
{
	struct mshare_region *region;
	struct mshare_window *window;

	(void)arg;
	if (mshare_open("check", O_RDONLY, &region) ||
	    mshare_attach(region, NULL, 0, 0, PROT_READ, MSHARE_FIXED, &window))
		return 2;
	mshare_close(region);
	if (strcmp(mshare_window_addr(window), "hello"))
		return 3;
	return store(mshare_window_addr(window));
}

static void reader_cannot_write(void **state)
{
	struct mshare_region *region = region_of(MIB);
	struct mshare_window *window = window_of(region);

	(void)state;
	memcpy(mshare_window_addr(window), "hello", 6);
	/* Where the reader wants its own. */
	OK(mshare_detach(window));
	assert_int_equal(128 + SIGSEGV, elsewhere(reader, NULL));
	mshare_close(region);
}

static int detach(void *window)
{
	char *p = mshare_window_addr(window);

	if (mshare_detach(window))
		return 2;
	return store(p);
}

static void child_has_handles_of_its_own(void **state)
{
	struct mshare_region *region = region_of(MIB);
	struct mshare_window *window = window_of(region);
	struct mshare_stat stat;

	(void)state;
	assert_int_equal(128 + SIGSEGV, elsewhere(detach, window));
	store(mshare_window_addr(window));
	OK(mshare_stat(region, &stat));
	assert_int_equal(stat.processes, 1);
	assert_int_equal(stat.windows, 1);
	assert_int_equal(stat.resident, 4096);
	OK(mshare_detach(window));
	mshare_close(region);
}

#define THREADS 8
#define EACH 24

/* Each puts its own objects into the region, takes some out, and puts new in. */
static void *mapper(void *arg)
{
	static __thread uint64_t at[EACH];
	struct mshare_region *region;
	long bad = 0;

	if (mshare_open("check", O_RDWR, &region))
		return (void *)1;
	for (int i = 0; i < EACH; i++)
		bad |= mshare_map(arg ? arg : region, -1, 0, 100 * MIB, RW,
				  MAP_NORESERVE, &at[i]);
	for (int i = 0; i < EACH; i += 2)
		bad |= mshare_unmap(region, at[i], 100 * MIB);
	for (int i = 0; i < EACH; i += 2)
		bad |= mshare_map(region, -1, 0, 50 * MIB, RW, MAP_NORESERVE,
				  &at[i]);
	mshare_close(region);
	return (void *)bad;
}

static int total(const struct mshare_mapping *m, void *sum)
{
	*(uint64_t *)sum += m->size;
	return 0;
}

/* One handle or many, nothing is lost, and no place is taken twice. */
static void threads_map_at_once(void **state)
{
	struct mshare_region *region = region_of(0);
	pthread_t thread[THREADS];
	uint64_t sum = 0;
	void *bad;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		OK(pthread_create(&thread[i], NULL, mapper,
				  i & 1 ? region : NULL));
	for (int i = 0; i < THREADS; i++) {
		OK(pthread_join(thread[i], &bad));
		assert_null(bad);
	}
	OK(mshare_walk(region, total, &sum));
	assert_int_equal(sum, (uint64_t)THREADS * EACH * 75 * MIB);
	mshare_close(region);
}

static void set_huge_pages(int n)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	assert_int_equal(len, write(fd, text, len));
	close(fd);
}

static void huge_pages_are_rounded_to(void **state)
{
	struct mshare_region *region = region_of(100);
	struct mshare_mapping m;
	uint64_t at;

	(void)state;
	set_huge_pages(4);
	OK(mshare_map(region, -1, 0, 3 * MIB, RW, MAP_HUGETLB, &at));
	assert_int_equal(at, 2 * MIB);
	assert_true(mapping_at(region, at, &m));
	assert_int_equal(m.size, 4 * MIB);
	assert_int_equal(m.kind, MSHAREFS_KIND_HUGETLB);
	OK(mshare_protect(region, at, 3 * MIB, PROT_READ));
	OK(mshare_unmap(region, at, 3 * MIB));
	assert_false(mapping_at(region, at, &m));
	OK(mshare_map(region, -1, 0, 1, RW, MAP_HUGETLB | 21 << 26, &at));
	assert_true(mapping_at(region, at, &m));
	assert_int_equal(m.size, 2 * MIB);
	mshare_close(region);
	OK(mshare_remove("check"));
	set_huge_pages(0);
}

#define AT	((char *)(32ULL << 40))

/* Attaches as the second, and ends its access as the last. */
static int classic_second(void *arg)
{
	const int *pipes = arg;
	char c;

	/* Not with the window that fork(2) gave. */
	munmap(AT, GIB);
	if (mshare("check", AT, MIB, O_RDWR, 0) || strcmp(AT, "hello"))
		return 2;
	if (write(pipes[1], "x", 1) != 1 || read(pipes[2], &c, 1) != 1)
		return 3;
	if (mshare_unlink("check") || !access(MSHARE_DIR "/check", F_OK))
		return 4;
	return store(AT);
}

static void classic_goes_with_the_last(void **state)
{
	int pipes[4], status;
	pid_t pid;
	char c;

	(void)state;
	OK(pipe(pipes));
	OK(pipe(pipes + 2));
	OK(mshare("check", AT, MIB, O_RDWR | O_CREAT | O_EXCL, 0600));
	memcpy(AT, "hello", 6);
	pid = fork();
	if (!pid)
		run_and_exit(classic_second, pipes);
	assert_int_equal(1, read(pipes[0], &c, 1));
	/* Not the last: the name stays, the window is gone. */
	OK(mshare_unlink("check"));
	OK(access(MSHARE_DIR "/check", F_OK));
	assert_int_equal(128 + SIGSEGV, elsewhere(store, AT));
	assert_int_equal(1, write(pipes[3], "x", 1));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(SIGSEGV, WTERMSIG(status));
	for (int i = 0; i < 4; i++)
		close(pipes[i]);
}

/* A process that has changed its identity since it opened the file. */
static void name_with_other_credentials(void **state)
{
	struct mshare_region *region;
	struct stat st;

	(void)state;
	OK(setegid(1000));
	OK(seteuid(1000));
	OK(mshare_create(NULL, MIB, 0, 0600, &region));
	OK(seteuid(0));
	OK(setegid(1001));
	OK(seteuid(1000));
	OK(mshare_link(region, "check"));
	OK(seteuid(0));
	OK(setegid(0));
	OK(stat(MSHARE_DIR "/check", &st));
	assert_int_equal(st.st_uid, 1000);
	mshare_close(region);
}

static int not_yours(void *arg)
{
	struct mshare_region *region;

	(void)arg;
	if (setgid(1000) || setuid(1000))
		return 2;
	if (mshare_open("check", O_RDONLY, &region) != -EACCES)
		return 3;
	if (mshare_remove("check") != -EPERM)
		return 4;
	return 0;
}

static void rights_are_those_of_the_file(void **state)
{
	(void)state;
	mshare_close(region_of(MIB));
	OK(elsewhere(not_yours, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(protection_is_everybodys),
		CHECK(reader_cannot_write),
		CHECK(child_has_handles_of_its_own),
		CHECK(threads_map_at_once),
		CHECK(huge_pages_are_rounded_to),
		CHECK(classic_goes_with_the_last),
		CHECK(name_with_other_credentials),
		CHECK(rights_are_those_of_the_file),
	};

	return cmocka_run_group_tests_name("real", tests, NULL, NULL);
}
