// SPDX-License-Identifier: GPL-2.0
/*
 * What waits on, or keeps hold of, memory of a window: futexes, locks between
 * processes, io_uring buffers. The processes have different window addresses,
 * and the words lie on pages that were not there before.
 */
#include "mshare_test.h"
#include "io.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#define RW	(PROT_READ | PROT_WRITE)

FIXTURE(async) {
	size_t unit;
	struct peer p;
	long other;
	char *base;
};

FIXTURE_SETUP(async)
{
	char *dummy;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	dummy = mmap(NULL, 4 * self->unit, PROT_NONE, MAP_PRIVATE |
		     MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, dummy);
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
	ASSERT_NE(L(self->base), self->other);
}

FIXTURE_TEARDOWN(async)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

static long futex(const volatile void *at, int op, uint32_t val,
		  const struct timespec *timeout)
{
	long ret = syscall(__NR_futex, at, op, val, timeout, NULL, 0);

	return ret < 0 ? -errno : ret;
}

static long op_futex_wait(const long *a)
{
	struct timespec limit = { .tv_sec = 60 };

	return futex((void *)a[0], FUTEX_WAIT, a[1], &limit);
}

/* Wakes until somebody was there to be woken. */
static long wake_one(const volatile void *at, int op)
{
	long ret = 0;

	for (int i = 0; i < 10000 && !ret; i++) {
		ret = futex(at, op, 1, NULL);
		if (!ret)
			usleep(1000);
	}
	return ret;
}

static long op_futex_wake(const long *a)
{
	return wake_one((void *)a[0], FUTEX_WAKE);
}

TEST_F(async, futex_wait_there)
{
	/* The waiter brings the page in. */
	peer_begin(&self->p, op_futex_wait, (long[PEER_ARGS]){ self->other });
	EXPECT_EQ(1, wake_one(self->base, FUTEX_WAKE));
	EXPECT_EQ(0, peer_end(&self->p));
}

TEST_F(async, futex_wait_here)
{
	peer_begin(&self->p, op_futex_wake,
		   (long[PEER_ARGS]){ self->other + 5 * PAGE });
	EXPECT_EQ(0, op_futex_wait((long[]){ L(self->base + 5 * PAGE), 0 }));
	EXPECT_EQ(1, peer_end(&self->p));
}

TEST_F(async, futex_read_only_waiter)
{
	struct peer q = peer_start(_metadata);
	long ro = peer_attach(&q, MS_DIR "/a", O_RDONLY, PROT_READ);

	ASSERT_LT(0, ro);
	peer_begin(&q, op_futex_wait, (long[PEER_ARGS]){ ro + 7 * PAGE });
	EXPECT_EQ(1, wake_one(self->base + 7 * PAGE, FUTEX_WAKE));
	EXPECT_EQ(0, peer_end(&q));
	EXPECT_EQ(0, peer_stop(&q));
}

TEST_F(async, futex_compares)
{
	store(self->base, 5);
	EXPECT_EQ(-EAGAIN, peer_call(&self->p, op_futex_wait, self->other, 4));
	/* A private futex is another one. */
	peer_begin(&self->p, op_futex_wait,
		   (long[PEER_ARGS]){ self->other, 5 });
	usleep(200000);
	EXPECT_EQ(0, futex(self->base, FUTEX_WAKE_PRIVATE, 1, NULL));
	EXPECT_EQ(1, wake_one(self->base, FUTEX_WAKE));
	EXPECT_EQ(0, peer_end(&self->p));
}

TEST_F(async, futex_in_two_windows)
{
	struct peer q = peer_start(_metadata);
	char *a, *b;
	long fd;

	/* Same object and offset: the same futex, also in one process. */
	fd = peer_open(&q, MS_DIR "/a", O_RDWR);
	a = (char *)peer_mmap(&q, NULL, self->unit, RW, fd, 0);
	b = (char *)peer_mmap(&q, NULL, self->unit, RW, fd, 0);
	peer_begin(&q, op_futex_wait, (long[PEER_ARGS]){ L(b + 9 * PAGE) });
	EXPECT_EQ(1, wake_one(self->base + 9 * PAGE, FUTEX_WAKE));
	EXPECT_EQ(0, peer_end(&q));
	EXPECT_EQ(0, peer_call(&q, op_load, L(a + 9 * PAGE)));
	EXPECT_EQ(0, peer_stop(&q));
}

/* Locks of the C library, laid out in the region. */
struct shared {
	pthread_mutex_t lock;
	pthread_mutex_t robust;
	pthread_mutex_t inherit;
	pthread_cond_t cond;
	sem_t sem;
	unsigned long count;
	int turn;
};

static int shared_init(struct shared *s)
{
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;
	int err = 0;

	err |= pthread_mutexattr_init(&ma);
	err |= pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	err |= pthread_mutex_init(&s->lock, &ma);
	err |= pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
	err |= pthread_mutex_init(&s->robust, &ma);
	err |= pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_STALLED);
	err |= pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
	err |= pthread_mutex_init(&s->inherit, &ma);
	err |= pthread_condattr_init(&ca);
	err |= pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	err |= pthread_cond_init(&s->cond, &ca);
	err |= sem_init(&s->sem, 1, 0);
	return err;
}

#define ROUNDS 2000

static long op_count(const long *a)
{
	struct shared *s = (void *)a[0];
	pthread_mutex_t *m = a[1] ? &s->inherit : &s->lock;

	for (int i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(m))
			return -1;
		/* Read and written apart: a lock that fails loses some. */
		unsigned long n = *(volatile unsigned long *)&s->count;

		if (i % 64 == 0)
			sched_yield();
		*(volatile unsigned long *)&s->count = n + 1;
		if (pthread_mutex_unlock(m))
			return -1;
	}
	return 0;
}

static long op_ping(const long *a)
{
	struct shared *s = (void *)a[0];

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&s->lock);
		while (s->turn != a[1])
			pthread_cond_wait(&s->cond, &s->lock);
		s->turn = !s->turn;
		s->count++;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->lock);
	}
	return 0;
}

static long op_sem_wait(const long *a)
{
	struct shared *s = (void *)a[0];

	return sem_wait(&s->sem);
}

static long op_lock_and_die(const long *a)
{
	struct shared *s = (void *)a[0];

	pthread_mutex_lock(&s->robust);
	_exit(0);
}

TEST_F(async, mutex)
{
	struct shared *s = (void *)(self->base + 20 * PAGE);
	long other = self->other + 20 * PAGE;

	ASSERT_EQ(0, shared_init(s));
	peer_begin(&self->p, op_count, (long[PEER_ARGS]){ other, 0 });
	EXPECT_EQ(0, op_count((long[]){ L(s), 0 }));
	EXPECT_EQ(0, peer_end(&self->p));
	EXPECT_EQ(2 * ROUNDS, s->count);
}

TEST_F(async, mutex_priority_inheritance)
{
	struct shared *s = (void *)(self->base + 20 * PAGE);
	long other = self->other + 20 * PAGE;

	ASSERT_EQ(0, shared_init(s));
	peer_begin(&self->p, op_count, (long[PEER_ARGS]){ other, 1 });
	EXPECT_EQ(0, op_count((long[]){ L(s), 1 }));
	EXPECT_EQ(0, peer_end(&self->p));
	EXPECT_EQ(2 * ROUNDS, s->count);
}

TEST_F(async, condition)
{
	struct shared *s = (void *)(self->base + 30 * PAGE);

	ASSERT_EQ(0, shared_init(s));
	peer_begin(&self->p, op_ping,
		   (long[PEER_ARGS]){ self->other + 30 * PAGE, 1 });
	op_ping((long[]){ L(s), 0 });
	EXPECT_EQ(0, peer_end(&self->p));
	EXPECT_EQ(200, s->count);
}

TEST_F(async, semaphore)
{
	struct shared *s = (void *)(self->base + 40 * PAGE);

	ASSERT_EQ(0, shared_init(s));
	peer_begin(&self->p, op_sem_wait,
		   (long[PEER_ARGS]){ self->other + 40 * PAGE });
	usleep(100000);
	EXPECT_EQ(0, sem_post(&s->sem));
	EXPECT_EQ(0, peer_end(&self->p));
}

TEST_F(async, robust_mutex)
{
	struct shared *s = (void *)(self->base + 50 * PAGE);

	ASSERT_EQ(0, shared_init(s));
	peer_begin(&self->p, op_lock_and_die,
		   (long[PEER_ARGS]){ self->other + 50 * PAGE });
	EXPECT_EQ(LONG_MIN, peer_end(&self->p));
	EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&s->robust));
	EXPECT_EQ(0, pthread_mutex_consistent(&s->robust));
	EXPECT_EQ(0, pthread_mutex_unlock(&s->robust));
	EXPECT_EQ(0, pthread_mutex_lock(&s->robust));
}

TEST_F(async, io_uring)
{
	int file = memfd_create("data", 0);
	char *base = self->base;
	struct uring u;

	ASSERT_EQ(0, uring_setup(&u));
	fill(base, 1, 4);
	EXPECT_EQ(4 * PAGE, uring_rw(&u, IORING_OP_WRITE, file, base, 4 * PAGE,
				     0));
	EXPECT_EQ(4 * PAGE, uring_rw(&u, IORING_OP_READ, file, base + 60 * PAGE,
				     4 * PAGE, 0));
	EXPECT_EQ(0, damaged(base + 60 * PAGE, 1, 4));
}

TEST_F(async, io_uring_fixed_buffers)
{
	int file = memfd_create("data", 0);
	char *base = self->base;
	struct uring u;

	/* Pinned before anybody touched them. */
	ASSERT_EQ(0, uring_setup(&u));
	ASSERT_EQ(0, uring_register(&u, base, 16 * PAGE));
	peer_call(&self->p, op_fill, self->other, 2, 8);
	EXPECT_EQ(8 * PAGE, uring_rw(&u, IORING_OP_WRITE_FIXED, file, base,
				     8 * PAGE, 0));
	EXPECT_EQ(8 * PAGE, uring_rw(&u, IORING_OP_READ_FIXED, file,
				     base + 8 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + 8 * PAGE, 2,
			       8));
	/* The pin outlives the window. */
	ASSERT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(8 * PAGE, uring_rw(&u, IORING_OP_READ_FIXED, file,
				     base + 8 * PAGE, 8 * PAGE, 0));
	close(u.fd);
}

TEST_F(async, io_uring_direct)
{
	char *base = self->base;
	int fd = direct_open();
	struct uring u;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, direct_fill(fd, 3, 8));
	ASSERT_EQ(0, uring_setup(&u));
	EXPECT_EQ(8 * PAGE, uring_rw(&u, IORING_OP_READ, fd, base, 8 * PAGE,
				     0));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 3, 8));
	close(fd);
}

TEST_HARNESS_MAIN
