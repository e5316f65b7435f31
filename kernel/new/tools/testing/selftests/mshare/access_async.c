// SPDX-License-Identifier: GPL-2.0
/*
 * What waits on, or keeps hold of, memory of a window: futexes and io_uring
 * buffers. The processes have different window addresses, and the words lie on
 * pages that were not there before.
 */
#include "mshare_test.h"
#include "lib_io.h"
#include <linux/futex.h>
#include <time.h>

#define RW	(PROT_READ | PROT_WRITE)

PAIR_FIXTURE(async)

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
	/* A reader cannot bring the page in. */
	EXPECT_EQ(-EFAULT, peer_call(&q, op_futex_wait, ro + 7 * PAGE, 0));
	store(self->base + 7 * PAGE, 0);
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

/* One of several words, in two windows and in memory of the process alone. */
static long op_futex_waitv(const long *a)
{
	static uint32_t own;
	struct timespec limit;
	struct futex_waitv w[3] = {
		{ .uaddr = a[0], .flags = FUTEX_32 },
		{ .uaddr = L(&own), .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
		{ .uaddr = a[1], .flags = FUTEX_32 },
	};
	long ret;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += 60;
	ret = syscall(__NR_futex_waitv, w, 3, 0, &limit, CLOCK_MONOTONIC);
	return ret < 0 ? -errno : ret;
}

TEST_F(async, futex_wait_for_several)
{
	const long at[] = { 11 * PAGE, 12 * PAGE };

	for (unsigned int i = 0; i < 2; i++) {
		peer_begin(&self->p, op_futex_waitv, (long[PEER_ARGS]){
			   self->other + at[0], self->other + at[1] });
		EXPECT_EQ(1, wake_one(self->base + at[i], FUTEX_WAKE));
		EXPECT_EQ(2 * i, peer_end(&self->p));
	}
	store(self->base + at[1], 1);
	EXPECT_EQ(-EAGAIN, peer_call(&self->p, op_futex_waitv,
				     self->other + at[0],
				     self->other + at[1]));
}

/* Moves a waiter from @at to @to, as soon as there is one. */
static long requeue(char *at, int op, char *to)
{
	long ret = 0;

	for (int i = 0; i < 10000 && !ret; i++) {
		ret = syscall(__NR_futex, at, op, op == FUTEX_CMP_REQUEUE_PI,
			      1L, to, 0);
		if (!ret)
			usleep(1000);
	}
	return ret < 0 ? -errno : ret;
}

/* Waiting in one word there, moved from here, woken by the other. */
TEST_F(async, futex_requeue)
{
	char *at = self->base + 13 * PAGE, *to = self->base + 14 * PAGE;

	peer_begin(&self->p, op_futex_wait,
		   (long[PEER_ARGS]){ self->other + 13 * PAGE });
	EXPECT_EQ(1, requeue(at, FUTEX_CMP_REQUEUE, to));
	EXPECT_EQ(0, futex(at, FUTEX_WAKE, 1, NULL));
	EXPECT_EQ(1, futex(to, FUTEX_WAKE, 1, NULL));
	EXPECT_EQ(0, peer_end(&self->p));
}

static long op_wait_requeue_pi(const long *a)
{
	struct timespec limit;
	long ret;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += 60;
	ret = syscall(__NR_futex, a[0], FUTEX_WAIT_REQUEUE_PI, 0, &limit, a[1],
		      0);
	return ret < 0 ? -errno : gettid();
}

/* The same with a lock that we hold: who waits gets it when we let go. */
TEST_F(async, futex_requeue_to_lock)
{
	char *at = self->base + 15 * PAGE, *lock = self->base + 16 * PAGE;

	ASSERT_EQ(0, futex(lock, FUTEX_LOCK_PI, 0, NULL));
	EXPECT_EQ(gettid(), load(lock));
	peer_begin(&self->p, op_wait_requeue_pi,
		   (long[PEER_ARGS]){ self->other + 15 * PAGE,
				      self->other + 16 * PAGE });
	EXPECT_EQ(1, requeue(at, FUTEX_CMP_REQUEUE_PI, lock));
	EXPECT_EQ(FUTEX_WAITERS | gettid(), load(lock));
	EXPECT_EQ(0, futex(lock, FUTEX_UNLOCK_PI, 0, NULL));
	EXPECT_EQ(self->p.pid, peer_end(&self->p));
	EXPECT_EQ(self->p.pid, load(lock) & FUTEX_TID_MASK);
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
