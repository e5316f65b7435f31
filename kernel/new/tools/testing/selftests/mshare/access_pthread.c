// SPDX-License-Identifier: GPL-2.0
/*
 * The C library's locks between processes, laid out in a region: with a process
 * that has attached on its own, with one that has its window by fork, and with
 * one that has moved that window. The words lie on pages that were not there
 * before.
 */
#include "mshare_test.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

#define RW	(PROT_READ | PROT_WRITE)
#define AWAY	(1UL << 45)
#define ROUNDS	2000

enum how { ATTACHED, INHERITED, MOVED };

struct shared {
	pthread_mutex_t lock;
	pthread_mutex_t robust;
	pthread_mutex_t inherit;
	pthread_mutex_t both;
	pthread_cond_t cond;
	pthread_rwlock_t rwlock;
	pthread_barrier_t barrier;
	sem_t sem[2];
	unsigned long count;
	int turn;
};

FIXTURE(sync) {
	size_t unit;
	char *base;
	struct shared *s;
	struct peer p;
	struct shared *other;	/* in the peer */
};

FIXTURE_VARIANT(sync) {
	enum how how;
};

FIXTURE_VARIANT_ADD(sync, attached) { .how = ATTACHED };
FIXTURE_VARIANT_ADD(sync, inherited) { .how = INHERITED };
FIXTURE_VARIANT_ADD(sync, moved) { .how = MOVED };

static void shared_init(struct __test_metadata *_metadata, struct shared *s)
{
	pthread_rwlockattr_t ra;
	pthread_barrierattr_t ba;
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;
	int err = 0;

	err |= pthread_mutexattr_init(&ma);
	err |= pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	err |= pthread_mutex_init(&s->lock, &ma);
	err |= pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
	err |= pthread_mutex_init(&s->robust, &ma);
	err |= pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
	err |= pthread_mutex_init(&s->both, &ma);
	err |= pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_STALLED);
	err |= pthread_mutex_init(&s->inherit, &ma);
	err |= pthread_condattr_init(&ca);
	err |= pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	err |= pthread_cond_init(&s->cond, &ca);
	err |= pthread_rwlockattr_init(&ra);
	err |= pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
	err |= pthread_rwlock_init(&s->rwlock, &ra);
	err |= pthread_barrierattr_init(&ba);
	err |= pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
	err |= pthread_barrier_init(&s->barrier, &ba, 2);
	err |= sem_init(&s->sem[0], 1, 0);
	err |= sem_init(&s->sem[1], 1, 0);
	ASSERT_EQ(0, err);
}

static long op_move(const long *a)
{
	char *to = mremap((char *)a[0], a[1], a[1],
			  MREMAP_MAYMOVE | MREMAP_FIXED, (char *)AWAY);

	return to == MAP_FAILED ? -errno : L(to);
}

/* A process with the region; where it has what is here at @s. */
static struct shared *start(struct __test_metadata *_metadata,
			    FIXTURE_DATA(sync) *self, enum how how,
			    struct peer *p)
{
	long base = L(self->base);

	*p = peer_start(_metadata);
	if (how == MOVED)
		base = peer_call(p, op_move, base, self->unit);
	if (how == ATTACHED) {
		/* While the inherited one is there: at another address. */
		base = peer_attach(p, MS_DIR "/a", O_RDWR, RW);
		ASSERT_EQ(0, peer_sys(p, __NR_munmap, L(self->base),
				      self->unit));
	}
	ASSERT_LT(0, base);
	EXPECT_EQ(how == INHERITED, base == L(self->base));
	return (void *)(base + L(self->s) - L(self->base));
}

FIXTURE_SETUP(sync)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	self->s = (void *)(self->base + 20 * PAGE);
	self->other = start(_metadata, self, variant->how, &self->p);
	shared_init(_metadata, self->s);
}

FIXTURE_TEARDOWN(sync)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

/* Both do @fn, the peer with @arg 1. */
static void both(struct __test_metadata *_metadata, FIXTURE_DATA(sync) *self,
		 long (*fn)(const long *))
{
	peer_begin(&self->p, fn, (long[PEER_ARGS]){ L(self->other), 1 });
	EXPECT_EQ(0, fn((long[PEER_ARGS]){ L(self->s), 0 }));
	EXPECT_EQ(0, peer_end(&self->p));
}

/* Read and written apart: a lock that fails loses some. */
static void count_up(struct shared *s, int round)
{
	unsigned long n = *(volatile unsigned long *)&s->count;

	if (round % 64 == 0)
		sched_yield();
	*(volatile unsigned long *)&s->count = n + 1;
}

static long count_with(struct shared *s, pthread_mutex_t *m)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(m))
			return -1;
		count_up(s, i);
		if (pthread_mutex_unlock(m))
			return -1;
	}
	return 0;
}

static long op_count(const long *a)
{
	struct shared *s = (void *)a[0];
	pthread_mutex_t *m[] = { &s->lock, &s->inherit, &s->robust, &s->both };
	long bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
		bad += count_with(s, m[i]);
		/* Both take the same one at a time. */
		pthread_barrier_wait(&s->barrier);
	}
	return bad;
}

TEST_F(sync, mutexes)
{
	both(_metadata, self, op_count);
	EXPECT_EQ(8 * ROUNDS, self->s->count);
}

static long op_rwlock(const long *a)
{
	struct shared *s = (void *)a[0];
	long bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned long n;

		bad += !!pthread_rwlock_rdlock(&s->rwlock);
		n = *(volatile unsigned long *)&s->count;
		if (i % 64 == 0)
			sched_yield();
		bad += *(volatile unsigned long *)&s->count != n;
		bad += !!pthread_rwlock_unlock(&s->rwlock);
		bad += !!pthread_rwlock_wrlock(&s->rwlock);
		count_up(s, i);
		bad += !!pthread_rwlock_unlock(&s->rwlock);
	}
	return bad;
}

TEST_F(sync, rwlock)
{
	both(_metadata, self, op_rwlock);
	EXPECT_EQ(2 * ROUNDS, self->s->count);
}

/* In turns, each waits for the other's. */
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

TEST_F(sync, condition)
{
	both(_metadata, self, op_ping);
	EXPECT_EQ(200, self->s->count);
}

static long op_post_and_wait(const long *a)
{
	struct shared *s = (void *)a[0];
	long bad = 0;

	for (int i = 0; i < 100; i++) {
		if (sem_post(&s->sem[a[1]]) || sem_wait(&s->sem[!a[1]]))
			return -errno;
		/* Not before the other; who is one ahead at most. */
		__atomic_add_fetch(&s->count, 1, __ATOMIC_SEQ_CST);
		bad += s->count < 2 * i + 1 || s->count > 2 * i + 3;
	}
	return bad;
}

TEST_F(sync, semaphores)
{
	both(_metadata, self, op_post_and_wait);
	EXPECT_EQ(200, self->s->count);
}

static long op_barrier(const long *a)
{
	struct shared *s = (void *)a[0];
	long bad = 0;

	for (int i = 0; i < 100; i++) {
		__atomic_add_fetch(&s->count, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&s->barrier);
		bad += s->count != 2 * i + 2;
		pthread_barrier_wait(&s->barrier);
	}
	return bad;
}

TEST_F(sync, barrier)
{
	both(_metadata, self, op_barrier);
}

/* For peers: locks what is at a[0]. */
static long op_lock(const long *a)
{
	return pthread_mutex_lock((pthread_mutex_t *)a[0]);
}

static long op_unlock(const long *a)
{
	return pthread_mutex_unlock((pthread_mutex_t *)a[0]);
}

/* Until somebody has told the lock that he will wait. */
static bool has_waiter(pthread_mutex_t *m)
{
	time_t limit = time(NULL) + 60;

	while (time(NULL) < limit) {
		if (*(volatile uint32_t *)&m->__data.__lock & FUTEX_WAITERS)
			return true;
		usleep(1000);
	}
	return false;
}

static void kill_owner(struct peer *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->sock);
}

/* Kills who owns the lock at @at of struct shared; then with a waiter. */
static void owner_dies(struct __test_metadata *_metadata,
		       FIXTURE_DATA(sync) *self, enum how how, size_t at)
{
	pthread_mutex_t *m = (void *)((char *)self->s + at);
	long there = L(self->other) + at;
	struct peer owner;
	long dying;

	for (int waiter = 0; waiter < 2; waiter++) {
		dying = L(start(_metadata, self, how, &owner)) + at;
		ASSERT_EQ(0, peer_call(&owner, op_lock, dying));
		EXPECT_EQ(EBUSY, pthread_mutex_trylock(m));
		if (waiter) {
			peer_begin(&self->p, op_lock,
				   (long[PEER_ARGS]){ there });
			EXPECT_TRUE(has_waiter(m));
		}
		kill_owner(&owner);
		if (!waiter) {
			ASSERT_EQ(EOWNERDEAD, pthread_mutex_lock(m));
			ASSERT_EQ(0, pthread_mutex_consistent(m));
			ASSERT_EQ(0, pthread_mutex_unlock(m));
			continue;
		}
		ASSERT_EQ(EOWNERDEAD, peer_end(&self->p));
		EXPECT_EQ(EBUSY, pthread_mutex_trylock(m));
		/* Let go without a word: nobody gets it any more. */
		ASSERT_EQ(0, peer_call(&self->p, op_unlock, there));
		EXPECT_EQ(ENOTRECOVERABLE, pthread_mutex_lock(m));
	}
}

TEST_F(sync, robust_owner_killed)
{
	owner_dies(_metadata, self, variant->how,
		   offsetof(struct shared, robust));
}

TEST_F(sync, robust_inheriting_owner_killed)
{
	owner_dies(_metadata, self, variant->how,
		   offsetof(struct shared, both));
}

static long op_lock_and_exit(const long *a)
{
	pthread_mutex_lock((pthread_mutex_t *)a[0]);
	_exit(0);
}

TEST_F(sync, robust_owner_exits)
{
	struct peer owner;
	struct shared *s = start(_metadata, self, variant->how, &owner);

	EXPECT_EQ(LONG_MIN, peer_call(&owner, op_lock_and_exit, L(&s->robust)));
	peer_stop(&owner);
	EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&self->s->robust));
	EXPECT_EQ(0, pthread_mutex_consistent(&self->s->robust));
	EXPECT_EQ(0, pthread_mutex_unlock(&self->s->robust));
	EXPECT_EQ(0, pthread_mutex_lock(&self->s->robust));
}

/* As /proc/PID/stat has it: 20 is ordinary, -1 - n is real time. */
static long priority(pid_t pid)
{
	char path[32], buf[512], *p = buf;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return LONG_MIN;
	p = strrchr(buf, ')');
	for (int i = 2; p && i < 18; i++)
		p = strchr(p + 1, ' ');
	return p ? strtol(p, NULL, 10) : LONG_MIN;
}

/* The owner is known by whoever waits: it gets the waiter's priority. */
TEST_F(sync, priority_is_inherited)
{
	struct sched_param sp = { .sched_priority = 10 };
	pthread_mutex_t *m = &self->s->inherit;

	ASSERT_EQ(0, pthread_mutex_lock(m));
	EXPECT_EQ(20, priority(getpid()));
	ASSERT_EQ(0, sched_setscheduler(self->p.pid, SCHED_FIFO, &sp));
	peer_begin(&self->p, op_lock,
		   (long[PEER_ARGS]){ L(&self->other->inherit) });
	EXPECT_TRUE(has_waiter(m));
	for (int i = 0; i < 10000 && priority(getpid()) == 20; i++)
		usleep(1000);
	EXPECT_EQ(-11, priority(getpid()));
	ASSERT_EQ(0, pthread_mutex_unlock(m));
	EXPECT_EQ(0, peer_end(&self->p));
	EXPECT_EQ(20, priority(getpid()));
}

TEST_HARNESS_MAIN
