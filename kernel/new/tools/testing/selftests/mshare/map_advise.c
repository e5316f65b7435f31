// SPDX-License-Identifier: GPL-2.0
/*
 * MSHAREFS_ADVISE: advice for the memory of a region. Nothing but REMOVE
 * changes contents. Huge pages are in thp.c.
 */
#include "mshare_test.h"
#include "lib_container.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define NPAGES	64UL
#define SIZE	(NPAGES * PAGE)

FIXTURE(advise) {
	size_t unit, size;
	char *base;
	int fd;
	struct peer p;
	long other;	/* its window */
};

/* SIZE bytes of anonymous memory with pattern 1, behind them a hole. */
FIXTURE_SETUP(advise)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	self->size = UNITS * self->unit;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
	/* What waits in the batch of another CPU cannot be paged out. */
	pin(0);
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	fill(self->base, 1, NPAGES);
}

FIXTURE_TEARDOWN(advise)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

#define UNHARMED() do {							\
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));			\
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1,	\
			       NPAGES));				\
} while (0)

TEST_F(advise, accepted)
{
	const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_DONTDUMP, MADV_DODUMP, MADV_NOHUGEPAGE,
		MADV_HUGEPAGE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_EQ(0, region_advise(self->fd, 0, SIZE, advice[i])) {
			TH_LOG("advice %d", advice[i]);
		}
		EXPECT_EQ(0, region_advise(self->fd, 7 * PAGE, 9 * PAGE,
					   advice[i])) {
			TH_LOG("advice %d", advice[i]);
		}
		UNHARMED();
	}
	EXPECT_EQ(SIZE, region_mapped(self->fd, 0, self->size, NULL));
}

TEST_F(advise, refused)
{
	const int advice[] = {
		MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_DONTNEED_LOCKED, MADV_HWPOISON, MADV_SOFT_OFFLINE, 5, 6,
		7, 26, 99, 102, -1, INT_MIN,
	};
	struct mshare_stat was = region_stat(self->fd);

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_EQ(-EINVAL, region_advise(self->fd, 0, SIZE,
						 advice[i])) {
			TH_LOG("advice %d", advice[i]);
		}
		/* Whatever the range. */
		EXPECT_EQ(-EINVAL, region_advise(self->fd, self->unit, PAGE,
						 advice[i]));
	}
	UNHARMED();
	EXPECT_EQ(was.resident, region_stat(self->fd).resident);
	EXPECT_EQ(1, region_stat(self->fd).mappings);
}

TEST_F(advise, pageout)
{
	long out = vmstat("pswpout"), shmem = meminfo_kb("Shmem");

	ASSERT_LT(0, meminfo_kb("SwapFree")) TH_LOG("needs swap");
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE / 2, MADV_PAGEOUT));
	EXPECT_EQ(SIZE / 2, region_stat(self->fd).resident);
	EXPECT_LE(out + (long)NPAGES / 2, vmstat("pswpout"));
	EXPECT_EQ(shmem - SIZE / 2048, meminfo_kb("Shmem"));
	/* The other half takes no fault; each page of this one does. */
	EXPECT_EQ(0, faults_of(self->base + SIZE / 2, NPAGES / 2, false));
	UNHARMED();
	EXPECT_EQ(SIZE, region_stat(self->fd).resident);
	EXPECT_EQ(shmem, meminfo_kb("Shmem"));
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_PAGEOUT));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_WILLNEED));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
}

TEST_F_TIMEOUT(advise, pageout_watched, 300)
{
	struct watch *w = watch_new(pattern(1, 3));
	struct peer p[WATCHERS];
	char *other;

	watchers_start(_metadata, w, p, 3 * PAGE);
	for (unsigned int i = 0; another_round(i, 50); i++) {
		ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_PAGEOUT));
		/* Other data where it was. */
		other = mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		ASSERT_NE(MAP_FAILED, other);
		fill(other, 2, MIB / PAGE);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		ASSERT_EQ(0, munmap(other, MIB));
	}
	watchers_stop(_metadata, w, p);
	UNHARMED();
}

TEST_F(advise, pageout_file_shared)
{
	int object = ms_memfd(_metadata, 2, 8);
	char *plain = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE,
			   object, 0);

	ASSERT_NE(MAP_FAILED, plain);
	ASSERT_EQ(0, region_map(self->fd, MIB, 8 * PAGE, RW,
				FIXED | MAP_POPULATE, object, 0));
	/* Pages that others map as well are left alone, as by madvise(2). */
	ASSERT_EQ(0, region_advise(self->fd, MIB, 8 * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(0, damaged(plain, 2, 8));
	EXPECT_EQ(0, damaged(self->base + MIB, 2, 8));
}

TEST_F(advise, dontneed)
{
	long shmem = meminfo_kb("Shmem");

	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_DONTNEED));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(shmem, meminfo_kb("Shmem"));
	UNHARMED();
	EXPECT_EQ(SIZE, region_stat(self->fd).resident);
}

TEST_F(advise, remove)
{
	long shmem = meminfo_kb("Shmem");
	struct statfs sf;
	long free;

	ASSERT_EQ(0, statfs(MS_DIR, &sf));
	free = sf.f_bfree;
	ASSERT_EQ(0, region_advise(self->fd, 4 * PAGE, 8 * PAGE, MADV_REMOVE));
	EXPECT_EQ(shmem - 32, meminfo_kb("Shmem"));
	EXPECT_EQ(SIZE - 8 * PAGE, region_stat(self->fd).resident);
	ASSERT_EQ(0, statfs(MS_DIR, &sf));
	EXPECT_EQ(free + 8, sf.f_bfree);
	for (unsigned int i = 0; i < NPAGES; i++) {
		uint64_t want = i >= 4 && i < 12 ? 0 : pattern(1, i);

		EXPECT_EQ(want, (uint64_t)peer_call(&self->p, op_load,
						    self->other + i * PAGE));
		EXPECT_EQ(want, load(self->base + i * PAGE));
	}
	/* The mapping stays. */
	EXPECT_EQ(1, region_stat(self->fd).mappings);
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other, 1, NPAGES));
	UNHARMED();
}

TEST_F(advise, remove_object)
{
	int object = ms_memfd(_metadata, 2, 8), ro = reopen(object, O_RDONLY);
	int fd = self->fd;

	ASSERT_EQ(0, region_map(fd, MIB, 8 * PAGE, RW, FIXED, object, 0));
	ASSERT_EQ(0, region_map(fd, 2 * MIB, 8 * PAGE, PROT_READ, FIXED, ro,
				0));
	EXPECT_EQ(0, damaged(self->base + 2 * MIB, 2, 8));
	/* Who may not write it, may not empty it. */
	EXPECT_EQ(-EACCES, region_advise(fd, 2 * MIB, 8 * PAGE, MADV_REMOVE));
	EXPECT_EQ(0, damaged(self->base + 2 * MIB, 2, 8));
	ASSERT_EQ(0, region_advise(fd, MIB + 2 * PAGE, 3 * PAGE, MADV_REMOVE));
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t want = i >= 2 && i < 5 ? 0 : pattern(2, i);

		EXPECT_EQ(want, file_load(object, i));
		EXPECT_EQ(want, load(self->base + MIB + i * PAGE));
		EXPECT_EQ(want, load(self->base + 2 * MIB + i * PAGE));
	}
}

TEST_F_TIMEOUT(advise, remove_watched, 300)
{
	struct watch *w = watch_new(pattern(1, 3));
	struct peer p[WATCHERS];

	watchers_start(_metadata, w, p, 3 * PAGE);
	for (unsigned int i = 0; another_round(i, 50); i++) {
		watch_begin(w, 0);
		ASSERT_EQ(0, region_advise(self->fd, i % 3 * PAGE, 8 * PAGE,
					   MADV_REMOVE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, pattern(1, 3));
		fill(self->base, 1, NPAGES);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
	}
	watchers_stop(_metadata, w, p);
	UNHARMED();
}

TEST_F(advise, populate)
{
	int fd = self->fd, object = ms_memfd(_metadata, 2, 4);
	struct mshare_stat was;

	ASSERT_EQ(0, region_anon(fd, MIB, MIB));
	ASSERT_EQ(0, region_map(fd, 2 * MIB, 8 * PAGE, PROT_READ, FIXED,
				object, 0));
	ASSERT_EQ(0, region_map(fd, 3 * MIB, 8 * PAGE, PROT_NONE, ANON, -1,
				0));
	was = region_stat(fd);
	ASSERT_EQ(0, region_advise(fd, MIB, 10 * PAGE, MADV_POPULATE_READ));
	EXPECT_EQ(was.resident + 10 * PAGE, region_stat(fd).resident);
	ASSERT_EQ(0, region_advise(fd, MIB + 8 * PAGE, 10 * PAGE,
				   MADV_POPULATE_WRITE));
	EXPECT_EQ(was.resident + 18 * PAGE, region_stat(fd).resident);
	/* Both are ready to be written: it is shared memory. */
	EXPECT_EQ(0, faults_of(self->base + MIB + 8 * PAGE, 10, true));

	/* What cannot be, as madvise(2) says it. */
	EXPECT_EQ(0, region_advise(fd, 2 * MIB, 4 * PAGE, MADV_POPULATE_READ));
	EXPECT_EQ(-EINVAL, region_advise(fd, 2 * MIB, 4 * PAGE,
					 MADV_POPULATE_WRITE));
	EXPECT_EQ(-EFAULT, region_advise(fd, 2 * MIB, 8 * PAGE,
					 MADV_POPULATE_READ));
	EXPECT_EQ(-EINVAL, region_advise(fd, 3 * MIB, PAGE,
					 MADV_POPULATE_READ));
	EXPECT_EQ(-ENOMEM, region_advise(fd, MIB / 2, PAGE,
					 MADV_POPULATE_READ));
	EXPECT_EQ(-ENOMEM, region_advise(fd, 0, SIZE + PAGE,
					 MADV_POPULATE_WRITE));
	UNHARMED();
}

TEST_F(advise, hole)
{
	int fd = self->fd;
	char *base = self->base;

	/* On both sides of the hole it is done. */
	ASSERT_EQ(0, region_unmap(fd, 8 * PAGE, 4 * PAGE));
	EXPECT_EQ(-ENOMEM, region_advise(fd, 4 * PAGE, 12 * PAGE,
					 MADV_REMOVE));
	EXPECT_EQ(0, damaged(base, 1, 4));
	for (unsigned int i = 4; i < 8; i++) {
		EXPECT_EQ(0, load(base + i * PAGE));
		EXPECT_EQ(0, load(base + (i + 8) * PAGE));
	}
	EXPECT_EQ(pattern(1, 16), load(base + 16 * PAGE));
	EXPECT_EQ(-ENOMEM, region_advise(fd, 8 * PAGE, PAGE, MADV_COLD));
	EXPECT_EQ(-ENOMEM, region_advise(fd, 0, 9 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(-ENOMEM, region_advise(fd, SIZE - PAGE, 2 * PAGE,
					 MADV_PAGEOUT));
	EXPECT_EQ(-ENOMEM, region_advise(fd, self->unit, PAGE, MADV_NORMAL));
	EXPECT_EQ(pattern(1, 16), load(base + 16 * PAGE));
}

TEST_F(advise, locked)
{
	ASSERT_EQ(0, region_lock(self->fd, 0, SIZE / 2, MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(-EINVAL, region_advise(self->fd, 0, SIZE, MADV_PAGEOUT));
	EXPECT_EQ(-EINVAL, region_advise(self->fd, 0, PAGE, MADV_DONTNEED));
	EXPECT_EQ(-EINVAL, region_advise(self->fd, 0, PAGE, MADV_REMOVE));
	EXPECT_LE(SIZE / 2, region_stat(self->fd).resident);
	UNHARMED();
	ASSERT_EQ(0, region_lock(self->fd, 0, SIZE, MSHAREFS_LOCK_OFF, 0));
	EXPECT_EQ(0, region_advise(self->fd, 0, PAGE, MADV_REMOVE));
	EXPECT_EQ(0, load(self->base));
}

/* Advice to many threads' pages at once, while a peer writes there. */
TEST_F(advise, under_writers)
{
	const int advice[] = { MADV_DONTNEED, MADV_PAGEOUT, MADV_COLD,
			       MADV_POPULATE_WRITE, MADV_WILLNEED };

	for (unsigned int round = 0; another_round(round, 60); round++) {
		peer_begin(&self->p, op_fill,
			   (long[PEER_ARGS]){ self->other, round, NPAGES });
		for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
			/* A page that is being used may be left alone. */
			EXPECT_EQ(0, region_advise(self->fd, 0, SIZE,
						   advice[i]));
		}
		EXPECT_EQ(0, peer_end(&self->p));
		ASSERT_EQ(0, damaged(self->base, round, NPAGES));
	}
}

TEST_HARNESS_MAIN
