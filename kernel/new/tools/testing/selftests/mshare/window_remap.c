// SPDX-License-Identifier: GPL-2.0
/*
 * mremap(2) of windows: whole units go to another address, with the links and
 * the protection that they have; the region does not notice.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include <pthread.h>

#define NPAGES	16UL
#define THREADS	16

FIXTURE(remap) {
	size_t unit, size;
	char *base, *room;	/* room: free addresses, 16 units */
	int fd;
};

/* Each unit has NPAGES pages with its own pattern, from page 8 on. */
FIXTURE_SETUP(remap)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->size = UNITS * self->unit;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	for (unsigned int i = 0; i < UNITS; i++) {
		size_t at = i * self->unit + 8 * PAGE;

		ASSERT_EQ(0, region_anon(self->fd, at, NPAGES * PAGE));
		fill(self->base + at, i, NPAGES);
	}
	/* In another 512 GiB: the tables for the links are not there yet. */
	self->room = (char *)(1UL << 45);
}

FIXTURE_TEARDOWN(remap)
{
}

static char *move(char *from, size_t len, char *to)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/* Pages that do not hold what they should, of units @first to @last. */
static unsigned long bad_units(const char *base, size_t unit,
			       unsigned int first, unsigned int last)
{
	unsigned long bad = 0;

	for (unsigned int i = first; i <= last; i++)
		bad += damaged(base + (i - first) * unit + 8 * PAGE, i, NPAGES);
	return bad;
}

TEST_F(remap, whole)
{
	const size_t unit = self->unit;
	struct mshare_stat was = region_stat(self->fd), st;
	struct mshare_info info;
	char *p;

	EXPECT_EQ(UNITS, was.links);
	p = move(self->base, self->size, self->room);
	ASSERT_EQ(self->room, p);
	/* The links went along: nothing is faulted in again. */
	for (unsigned int i = 0; i < UNITS; i++) {
		char *at = p + i * unit + 8 * PAGE;

		EXPECT_EQ(0, faults_of(at, NPAGES, false));
		EXPECT_EQ(MAPERR, peek(self->base + i * unit + 8 * PAGE));
		EXPECT_EQ(MAPERR, peek(at - PAGE));
	}
	EXPECT_EQ(0, bad_units(p, unit, 0, UNITS - 1));
	st = region_stat(self->fd);
	EXPECT_EQ(was.windows, st.windows);
	EXPECT_EQ(was.processes, st.processes);
	EXPECT_EQ(was.links, st.links);
	EXPECT_EQ(was.mappings, st.mappings);
	EXPECT_EQ(was.resident, st.resident);
	EXPECT_EQ(was.page_tables, st.page_tables);
	/* Where it was first is where it was first. */
	ASSERT_EQ(sizeof(info), pread(self->fd, &info, sizeof(info), 0));
	EXPECT_EQ((uint64_t)self->base, info.start);

	store(p + 8 * PAGE, 5);
	p = move(p, self->size, self->base);
	ASSERT_EQ(self->base, p);
	EXPECT_EQ(5, load(p + 8 * PAGE));
	EXPECT_EQ(MAPERR, peek(self->room + 8 * PAGE));
	EXPECT_EQ(0, bad_units(p + unit, unit, 1, UNITS - 1));
	/* A fault at the new place finds the region's new memory. */
	ASSERT_EQ(0, region_anon(self->fd, unit, PAGE));
	EXPECT_EQ(0, probe_write(p + unit, 6));
	EXPECT_EQ(0, munmap(p, self->size));
	EXPECT_EQ(0, region_stat(self->fd).links);
	EXPECT_EQ(0, region_stat(self->fd).windows);
}

TEST_F(remap, one_unit)
{
	const size_t unit = self->unit;
	char *base = self->base, *p;

	/* Out of the middle: the window is in three parts then. */
	p = move(base + unit, unit, self->room);
	ASSERT_EQ(self->room, p);
	EXPECT_EQ(0, bad_units(base, unit, 0, 0));
	EXPECT_EQ(MAPERR, peek(base + unit + 8 * PAGE));
	EXPECT_EQ(0, bad_units(base + 2 * unit, unit, 2, 3));
	EXPECT_EQ(0, bad_units(p, unit, 1, 1));
	EXPECT_EQ(3, region_stat(self->fd).windows);
	EXPECT_EQ(UNITS, region_stat(self->fd).links);
	/* Back, and out of either end. */
	ASSERT_EQ(base + unit, move(p, unit, base + unit));
	EXPECT_EQ(0, bad_units(base, unit, 0, UNITS - 1));
	ASSERT_EQ(p, move(base, unit, p));
	ASSERT_EQ(p + 2 * unit, move(base + 2 * unit, 2 * unit, p + 2 * unit));
	EXPECT_EQ(MAPERR, peek(base + 8 * PAGE));
	EXPECT_EQ(0, bad_units(base + unit, unit, 1, 1));
	EXPECT_EQ(MAPERR, peek(base + 2 * unit + 8 * PAGE));
	EXPECT_EQ(0, bad_units(p, unit, 0, 0));
	EXPECT_EQ(0, bad_units(p + 2 * unit, unit, 2, 3));
	EXPECT_EQ(UNITS, region_stat(self->fd).links);
	EXPECT_EQ(0, munmap(p, 4 * unit));
	EXPECT_EQ(0, munmap(base, self->size));
	EXPECT_EQ(0, region_stat(self->fd).windows);
}

/* Moved and made smaller in one call. */
TEST_F(remap, cut)
{
	const size_t unit = self->unit;
	char *base = self->base;

	ASSERT_EQ(self->room, mremap(base, 3 * unit, unit, MREMAP_MAYMOVE |
				     MREMAP_FIXED, self->room));
	EXPECT_EQ(0, bad_units(self->room, unit, 0, 0));
	EXPECT_EQ(MAPERR, peek(self->room + unit + 8 * PAGE));
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(MAPERR, peek(base + i * unit + 8 * PAGE));
	}
	EXPECT_EQ(0, bad_units(base + 3 * unit, unit, 3, 3));
	EXPECT_EQ(2, region_stat(self->fd).windows);
	EXPECT_EQ(2, region_stat(self->fd).links);
}

TEST_F(remap, protection)
{
	const size_t unit = self->unit;
	char *to = self->room, *p;
	int ro;

	/* Read-only for good, read-only for now, nothing at all. */
	ro = reopen(self->fd, O_RDONLY);
	p = ms_map(ro, unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(CAN(0, ACCERR), access_of(p + 8 * PAGE));
	ASSERT_EQ(to, move(p, unit, to));
	EXPECT_EQ(CAN(0, ACCERR), access_of(to + 8 * PAGE));
	EXPECT_ERR(EACCES, mprotect(to, unit, RW));
	EXPECT_EQ(CAN(0, ACCERR), access_of(to + 9 * PAGE));
	EXPECT_EQ(0, munmap(to, unit));

	EXPECT_EQ(0, mprotect(self->base, unit, PROT_READ));
	ASSERT_EQ(to, move(self->base, unit, to));
	EXPECT_EQ(CAN(0, ACCERR), access_of(to + 8 * PAGE));
	EXPECT_EQ(0, mprotect(to, unit, RW));
	EXPECT_EQ(CAN(0, 0), access_of(to + 8 * PAGE));
	EXPECT_EQ(0, mprotect(to, unit, PROT_NONE));
	ASSERT_EQ(to + unit, move(to, unit, to + unit));
	EXPECT_EQ(CAN(ACCERR, ACCERR), access_of(to + unit + 8 * PAGE));
	EXPECT_EQ(CAN(MAPERR, MAPERR), access_of(to + 8 * PAGE));
	EXPECT_EQ(0, mprotect(to + unit, unit, PROT_READ));
	EXPECT_EQ(CAN(0, ACCERR), access_of(to + unit + 8 * PAGE));
	EXPECT_EQ(0, bad_units(to + unit, unit, 0, 0));
}

TEST_F(remap, over_others)
{
	const size_t unit = self->unit;
	char *b, *plain, *base = self->base;
	int fd;

	/* Over a window of another region: that one is gone from there. */
	b = ms_new(_metadata, MS_DIR "/b", 2 * unit, &fd);
	fill(b + 8 * PAGE, 20, NPAGES);
	store(b + unit, 21);
	ASSERT_EQ(b, move(base, unit, b));
	EXPECT_EQ(0, bad_units(b, unit, 0, 0));
	EXPECT_EQ(21, load(b + unit));
	EXPECT_EQ(1, region_stat(fd).windows);
	EXPECT_EQ(1, region_stat(fd).links);
	/* Over ordinary memory. */
	plain = mmap(self->room, unit, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		     MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_EQ(self->room, plain);
	fill(plain + 8 * PAGE, 30, NPAGES);
	ASSERT_EQ(plain, move(base + unit, unit, plain));
	EXPECT_EQ(0, bad_units(plain, unit, 1, 1));
	/* And ordinary memory over a whole unit of a window. */
	plain = mmap(NULL, 2 * unit, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		     MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, plain);
	store(plain, 31);
	ASSERT_EQ(base + 2 * unit, move(plain, unit, base + 2 * unit));
	EXPECT_EQ(31, load(base + 2 * unit));
	EXPECT_EQ(0, load(base + 2 * unit + 8 * PAGE));
	EXPECT_EQ(0, bad_units(base + 3 * unit, unit, 3, 3));
	/* The regions have what they had. */
	b = ms_map(fd, unit, RW);
	EXPECT_EQ(0, damaged(b + 8 * PAGE, 20, NPAGES));
	base = ms_map(self->fd, self->size, RW);
	EXPECT_EQ(0, bad_units(base, unit, 0, UNITS - 1));
}

#define REFUSED(err, call) do {						\
	errno = 0;							\
	EXPECT_EQ(MAP_FAILED, call);					\
	EXPECT_EQ(err, errno) TH_LOG("%s", #call);			\
	EXPECT_EQ(0, bad_units(base, unit, 0, UNITS - 1)) {		\
		TH_LOG("harmed by %s", #call);				\
	}								\
} while (0)

TEST_F(remap, refused)
{
	const int move_fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	const size_t unit = self->unit, size = self->size;
	char *base = self->base, *to = self->room;
	struct mshare_stat was = region_stat(self->fd), st;

	REFUSED(EINVAL, mremap(base, size, size, move_fixed, to + PAGE));
	REFUSED(EINVAL, mremap(base, size, size, move_fixed, to + unit / 2));
	REFUSED(EINVAL, mremap(base, PAGE, PAGE, move_fixed, to));
	REFUSED(EINVAL, mremap(base + PAGE, PAGE, PAGE, move_fixed, to));
	REFUSED(EINVAL, mremap(base + PAGE, unit, unit, move_fixed, to));
	REFUSED(EINVAL, mremap(base, unit / 2, unit / 2, move_fixed, to));
	REFUSED(EINVAL, mremap(base, unit + PAGE, unit + PAGE, move_fixed,
			       to));
	/* Onto itself. */
	REFUSED(EINVAL, mremap(base, size, size, move_fixed, base + unit));
	REFUSED(EINVAL, mremap(base, unit, unit, move_fixed, base));
	REFUSED(EINVAL, mremap(base, unit, unit, MREMAP_FIXED, to));
	/* The old place stays, or there are two. */
	REFUSED(EINVAL, mremap(base, unit, unit,
			       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
	REFUSED(EINVAL, mremap(base, unit, unit,
			       move_fixed | MREMAP_DONTUNMAP, to));
	REFUSED(EINVAL, mremap(base, 0, unit, MREMAP_MAYMOVE));
	REFUSED(EINVAL, mremap(base, 0, unit, move_fixed, to));
	/* Parts cut off. */
	REFUSED(EINVAL, mremap(base, size, size - PAGE, 0));
	REFUSED(EINVAL, mremap(base, size, PAGE, 0));
	/* Ordinary memory onto a part of a unit. */
	to = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REFUSED(EINVAL, mremap(to, PAGE, PAGE, move_fixed,
			       base + unit + PAGE));
	/* Growing. */
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mremap(base, size, size + unit, 0));
	EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
	EXPECT_EQ(MAP_FAILED, mremap(base, size, size + unit,
				     MREMAP_MAYMOVE));
	EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
	EXPECT_EQ(MAP_FAILED, mremap(base, unit, 2 * unit, move_fixed,
				     self->room));
	EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
	EXPECT_EQ(MAPERR, peek(self->room));
	EXPECT_EQ(0, bad_units(base, unit, 0, UNITS - 1));
	st = region_stat(self->fd);
	EXPECT_EQ(was.links, st.links);
	EXPECT_EQ(was.processes, st.processes);

	/* Nothing to do, and less by a unit. */
	EXPECT_EQ(base, mremap(base, size, size, MREMAP_MAYMOVE));
	EXPECT_EQ(base, mremap(base, size, size, 0));
	EXPECT_EQ(base, mremap(base, size, size - unit, 0));
	EXPECT_EQ(0, bad_units(base, unit, 0, UNITS - 2));
	EXPECT_EQ(MAPERR, peek(base + size - unit + 8 * PAGE));
}

TEST_F(remap, after_fork)
{
	const size_t unit = self->unit;
	char *base = self->base;
	int status;
	pid_t pid;

	/* Parent and child go different ways. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(move(base, self->size, self->room) == self->room);
		CHECK(!bad_units(self->room, unit, 0, UNITS - 1));
		CHECK(peek(base + 8 * PAGE) == MAPERR);
		store(self->room + 9 * PAGE, 7);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(7, load(base + 9 * PAGE));
	EXPECT_EQ(MAPERR, peek(self->room + 9 * PAGE));

	/* One that is moved is inherited like any other. */
	ASSERT_EQ(self->room, move(base, self->size, self->room));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(load(self->room + 9 * PAGE) == 7);
		CHECK(!bad_units(self->room + unit, unit, 1, UNITS - 1));
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

static long op_pageout(const long *a)
{
	return region_advise(a[0], 8 * PAGE, NPAGES * PAGE, MADV_PAGEOUT);
}

/* Pages that go while the window does: rmap, reclaim and move meet. */
TEST_F_TIMEOUT(remap, under_reclaim, 300)
{
	struct peer p = peer_start(_metadata);
	char *at = self->base, *to = self->room;
	char *next;

	for (unsigned int round = 0; another_round(round, 60); round++) {
		peer_begin(&p, op_pageout, (long[PEER_ARGS]){ self->fd });
		next = at == to ? self->base : to;
		ASSERT_EQ(next, move(at, self->size, next));
		EXPECT_EQ(0, bad_units(next, self->unit, 0, UNITS - 1));
		EXPECT_EQ(0, peer_end(&p));
		EXPECT_EQ(0, bad_units(next, self->unit, 0, UNITS - 1));
		at = next;
	}
	EXPECT_EQ(0, peer_stop(&p));
}

/*
 * Threads look at an address from which the window comes and goes: with it
 * gone, what is put in its place must be seen, and nothing of the region.
 */
static void *watch_thread(void *arg)
{
	return (void *)op_watch(arg);
}

/* All the others keep the mm busy, and need no addresses for it. */
static char busy[THREADS][2 * PAGE] __attribute__((aligned(PAGE)));

static void *busy_thread(void *arg)
{
	static unsigned int threads;
	char *p = busy[__atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED)];
	struct watch *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		mprotect(p, PAGE, PROT_READ);
		mprotect(p, PAGE, RW);
		store(p, 1);
		usleep(500);
	}
	return NULL;
}

TEST_F_TIMEOUT(remap, threads, 300)
{
	struct watch *w = watch_new(pattern(1, 3));
	char *at = self->base + self->unit, *page = at + 11 * PAGE, *other;
	const size_t unit = self->unit;
	long arg[WATCHERS][PEER_ARGS];
	pthread_t thread[THREADS];
	unsigned long wrong = 0;
	void *ret;

	for (unsigned int i = 0; i < THREADS; i++) {
		if (i < WATCHERS) {
			arg[i][0] = L(page);
			arg[i][1] = L(w);
			arg[i][2] = i;
		}
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, i < WATCHERS ?
					    watch_thread : busy_thread,
					    i < WATCHERS ? (void *)arg[i] :
							   w));
	}
	ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
	for (unsigned int round = 0; another_round(round, 60); round++) {
		watch_begin(w, MAPERR);
		ASSERT_EQ(self->room, move(at, unit, self->room));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));

		/* First an empty page, then one that holds something. */
		watch_begin(w, 0);
		other = mmap(at, unit, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			     MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		ASSERT_EQ(at, other);
		watch_end(w);
		watch_begin(w, 4711);
		store(page, 4711);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		EXPECT_EQ(pattern(1, 3), load(self->room + 11 * PAGE));

		/* In one step, over what is there. */
		watch_begin(w, MAPERR);
		ASSERT_EQ(0, munmap(at, unit));
		watch_end(w);
		watch_begin(w, pattern(1, 3));
		ASSERT_EQ(at, move(self->room, unit, at));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
	}
	w->stop = 1;
	for (unsigned int i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &ret));
		if (i < WATCHERS)
			wrong += w->by[i].wrong;
	}
	EXPECT_EQ(0, wrong) {
		TH_LOG("last %llx", (unsigned long long)w->by[0].last);
	}
	EXPECT_EQ(0, bad_units(self->base, unit, 0, UNITS - 1));
	EXPECT_EQ(UNITS, region_stat(self->fd).links);
}

TEST_HARNESS_MAIN
