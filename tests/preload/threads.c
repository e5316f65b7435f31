// SPDX-License-Identifier: GPL-2.0
/*
 * The preload: threads, handlers of signals and children of fork(2) that map and
 * unmap at once. A lock that one of them finds held ends in the alarm.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "preload_test.h"

#define ROUNDS	300

static char *handlers;
static atomic_int handled;

/*
 * Each window at a new place. Not the fake's mmap(2): it allocates memory, under
 * the lock, which the one that waits for the lock in a handler may have
 * interrupted in malloc(3).
 */
static void *window_mmap(void *addr, size_t len, int prot, int flags, int fd,
			 off_t offset)
{
	static _Atomic uintptr_t place = 0x200000000000;

	if (fd < 0 || addr)
		return MAP_FAILED;
	atomic_fetch_add(&windows, 1);
	return __real_mmap64((void *)atomic_fetch_add(&place, UNIT), len, prot,
			     flags | MAP_FIXED_NOREPLACE, fd, offset);
}

static void map_and_unmap(int i)
{
	size_t len = MIB + i % 3 * MIB;
	char *p = area(len);

	p[len - 1] = 1;
	if (preload_munmap(p, MIB) ||
	    (len > MIB && preload_munmap(p + MIB, len - MIB)))
		abort();
}

static void *mapper(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		map_and_unmap(i);
	return NULL;
}

/* Pages of an area, one by one, while others use the table. */
static void on_timer(int sig)
{
	int saved = errno;

	(void)sig;
	if (preload_munmap(handlers + handled % 256 * 4096, 4096))
		abort();
	handled++;
	errno = saved;
}

static void child(char *p)
{
	alarm(20);
	if (p[0] != 1 || preload_munmap(p, MIB))
		_exit(1);
	_exit(table_has((uintptr_t)p, (uintptr_t)p + 1));
}

static void at_once(void **state)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { };
	pthread_t threads[3];
	char *p = area(MIB);
	int status;

	(void)state;
	handlers = area(2 * MIB);
	signal(SIGPROF, on_timer);
	setitimer(ITIMER_PROF, &often, NULL);
	alarm(100);
	p[0] = 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(0, pthread_create(&threads[i], NULL, mapper,
						   NULL));
	for (int i = 0; i < ROUNDS / 4; i++) {
		pid_t pid = fork();

		if (!pid)
			child(p);
		while (waitpid(pid, &status, 0) < 0)
			assert_int_equal(EINTR, errno);
		assert_int_equal(0, status);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_PROF, &never, NULL);
	assert_true(handled > 0);
	assert_int_equal(0, preload_munmap(handlers, 2 * MIB));
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(0, windows);
	assert_false(table_has(0, UINTPTR_MAX));
}

static int start_threads(void **state)
{
	start(state);
	preload_next.mmap = window_mmap;
	preload_lock_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(at_once, start_threads),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
