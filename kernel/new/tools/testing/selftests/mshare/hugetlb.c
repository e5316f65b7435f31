// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlb in a region: whole pages only, reserved when they are
 * mapped, one entry in the page of the region that links point at. What they
 * have in common with other objects is in object_kinds.c.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"

#define POOL	16L
#define HANON	(ANON | MAP_HUGETLB)

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB	(30 << 26)
#endif

FIXTURE(hugetlb) {
	size_t unit, size;
	char *base;
	int fd;
};

FIXTURE_SETUP(hugetlb)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(POOL, hugepage_pool(POOL));
	self->size = UNITS * self->unit;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

FIXTURE_TEARDOWN(hugetlb)
{
	EXPECT_EQ(0, munmap(self->base, self->size));
	EXPECT_EQ(0, region_unmap(self->fd, 0, self->size));
	EXPECT_EQ(POOL, hugepages("Free"));
	EXPECT_EQ(0, hugepages("Rsvd"));
	EXPECT_EQ(0, hugepage_pool(0));
}

static int anon(int fd, uint64_t at, uint64_t size, int flags)
{
	return region_map(fd, at, size, RW, HANON | flags, -1, 0);
}

#define POOL_IS(free, rsvd) do {					\
	EXPECT_EQ(free, hugepages("Free"));				\
	EXPECT_EQ(rsvd, hugepages("Rsvd"));				\
} while (0)

TEST_F(hugetlb, reserved)
{
	/* When it is mapped, used up when it is touched, both given back. */
	ASSERT_EQ(0, anon(self->fd, 0, 4 * HUGE, 0));
	POOL_IS(POOL, 4);
	store(self->base, 1);
	POOL_IS(POOL - 1, 3);
	store(self->base + HUGE + PAGE, 2);
	store(self->base + HUGE + 2 * PAGE, 3);
	POOL_IS(POOL - 2, 2);
	EXPECT_EQ(2 * HUGE, region_stat(self->fd).resident);
	ASSERT_EQ(0, region_unmap(self->fd, 0, 4 * HUGE));
	POOL_IS(POOL, 0);
	EXPECT_EQ(0, region_stat(self->fd).resident);

	/* In place of itself, and when the region goes. */
	ASSERT_EQ(0, anon(self->fd, 0, 4 * HUGE, MAP_POPULATE));
	POOL_IS(POOL - 4, 0);
	ASSERT_EQ(0, anon(self->fd, 0, 4 * HUGE, 0));
	POOL_IS(POOL, 4);
	EXPECT_EQ(0, load(self->base));
	POOL_IS(POOL - 1, 3);
}

TEST_F(hugetlb, region_goes)
{
	int fd = ms_container(_metadata, MS_DIR "/b", self->unit);
	char *base = ms_map(fd, self->unit, RW);

	ASSERT_EQ(0, anon(fd, 0, 4 * HUGE, 0));
	store(base, 1);
	POOL_IS(POOL - 1, 3);
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(1, load(base));
	EXPECT_EQ(0, munmap(base, self->unit));
	POOL_IS(POOL, 0);
}

TEST_F(hugetlb, too_few)
{
	struct mshare_mapping m;

	EXPECT_EQ(-ENOMEM, anon(self->fd, 0, (POOL + 1) * HUGE, 0));
	EXPECT_EQ(-ENOENT, region_next(self->fd, 0, &m));
	POOL_IS(POOL, 0);
	ASSERT_EQ(0, anon(self->fd, 0, (POOL - 1) * HUGE, 0));
	EXPECT_EQ(-ENOMEM, anon(self->fd, self->unit, 2 * HUGE, 0));
	POOL_IS(POOL, POOL - 1);
	EXPECT_EQ(0, anon(self->fd, self->unit, HUGE, 0));
	POOL_IS(POOL, POOL);
}

/*
 * A replacement for which there are too few pages: what was there stays, or is
 * gone, as with mmap(2), which finds out too late to undo it.
 */
TEST_F(hugetlb, replacement_fails)
{
	char *plain = mmap(NULL, (POOL + 1) * HUGE, RW, MAP_PRIVATE |
			   MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, plain);
	plain = (char *)((L(plain) + HUGE - 1) & -HUGE);
	store(plain, 5);
	EXPECT_EQ(MAP_FAILED, mmap(plain, (POOL + 1) * HUGE, RW, MAP_FIXED |
				   MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB,
				   -1, 0));
	EXPECT_EQ(ENOMEM, errno);

	ASSERT_EQ(0, anon(self->fd, self->unit, HUGE, 0));
	ASSERT_EQ(0, region_anon(self->fd, 0, HUGE));
	store(self->base, 5);
	EXPECT_EQ(-ENOMEM, anon(self->fd, 0, (POOL + 1) * HUGE, 0));
	EXPECT_EQ(peek(plain), peek(self->base));
	EXPECT_EQ(MAPERR, peek(self->base + HUGE));
	/* Beside it nothing has happened. */
	POOL_IS(POOL, 1);
	EXPECT_EQ(HUGE, region_mapped(self->fd, self->unit, 2 * self->unit,
				      NULL));
	EXPECT_EQ(0, anon(self->fd, 0, HUGE, 0));
	POOL_IS(POOL, 2);
}

TEST_F(hugetlb, noreserve)
{
	struct peer p = peer_start(_metadata);

	/* Nothing is promised: it ends with SIGBUS, for whoever comes last. */
	ASSERT_EQ(0, anon(self->fd, 0, 2 * POOL * HUGE, MAP_NORESERVE));
	POOL_IS(POOL, 0);
	for (int i = 0; i < POOL; i++)
		store(self->base + i * HUGE, i);
	POOL_IS(0, 0);
	EXPECT_EQ(BUS_END, probe_write(self->base + POOL * HUGE + 8, 1));
	EXPECT_EQ(BUS_END, peer_call(&p, op_peek,
				     L(self->base + (POOL + 1) * HUGE)));
	EXPECT_ERR(EFAULT, syscall(__NR_getrandom, self->base + POOL * HUGE,
				   8L, 0L));
	for (int i = 0; i < POOL; i++) {
		EXPECT_EQ(i, peer_call(&p, op_load, L(self->base + i * HUGE)));
	}
	/* Room again. */
	ASSERT_EQ(0, region_unmap(self->fd, 0, HUGE));
	EXPECT_EQ(0, peer_call(&p, op_store, L(self->base + POOL * HUGE), 1));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(hugetlb, bad_size)
{
	int fd = self->fd, object = memfd_create("huge", MFD_CLOEXEC |
						 MFD_HUGETLB | MFD_HUGE_2MB);
	struct mshare_mapping m;

	ASSERT_LE(0, object);
	EXPECT_EQ(-EINVAL, anon(fd, PAGE, HUGE, 0));
	EXPECT_EQ(-EINVAL, anon(fd, HUGE, PAGE, 0));
	EXPECT_EQ(-EINVAL, anon(fd, HUGE, HUGE + PAGE, 0));
	EXPECT_EQ(-EINVAL, anon(fd, HUGE / 2, HUGE, 0));
	EXPECT_EQ(-EINVAL, region_map(fd, PAGE, HUGE, RW, FIXED, object, 0));
	EXPECT_EQ(-EINVAL, region_map(fd, 0, PAGE, RW, FIXED, object, 0));
	EXPECT_EQ(-EINVAL, region_map(fd, 0, HUGE, RW, FIXED, object, PAGE));
	EXPECT_EQ(-EINVAL, region_map(fd, 0, HUGE, RW, FIXED, object,
				      HUGE / 2));
	/* As large as the unit, and sizes that there are not. */
	EXPECT_EQ(-EINVAL, anon(fd, 0, self->unit, MAP_HUGE_1GB));
	EXPECT_EQ(-EINVAL, anon(fd, 0, self->unit, 16 << 26));
	EXPECT_EQ(-EINVAL, anon(fd, 0, self->unit, 63 << 26));
	/* Not a file of huge pages, whatever is asked for. */
	EXPECT_EQ(-EINVAL, region_map(fd, 0, HUGE, RW, FIXED | MAP_HUGETLB,
				      ms_memfd(_metadata, 1, 1), 0));
	EXPECT_EQ(-ENOENT, region_next(fd, 0, &m));
	POOL_IS(POOL, 0);
	EXPECT_EQ(0, anon(fd, 0, HUGE, MAP_HUGE_2MB));
	EXPECT_EQ(0, region_map(fd, HUGE, HUGE, RW, FIXED | MAP_HUGETLB,
				object, 0));
	close(object);
}

TEST_F(hugetlb, parts)
{
	const int prots[] = { PROT_NONE, PROT_READ, RW };
	struct mshare_mapping m;
	int fd = self->fd;

	/* All or nothing of a page: an error, and all is as it was. */
	ASSERT_EQ(0, region_anon(fd, 0, HUGE));
	ASSERT_EQ(0, anon(fd, HUGE, 4 * HUGE, 0));
	ASSERT_EQ(0, region_anon(fd, 5 * HUGE, HUGE));
	for (unsigned int i = 0; i < 6; i++)
		store(self->base + i * HUGE, i + 1);
	EXPECT_EQ(-EINVAL, region_unmap(fd, HUGE, PAGE));
	EXPECT_EQ(-EINVAL, region_unmap(fd, HUGE + PAGE, HUGE));
	EXPECT_EQ(-EINVAL, region_unmap(fd, 0, HUGE + PAGE));
	EXPECT_EQ(-EINVAL, region_unmap(fd, 5 * HUGE - PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, region_unmap(fd, 3 * HUGE - PAGE, HUGE));
	for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
		EXPECT_EQ(-EINVAL, region_protect(fd, HUGE, PAGE, prots[i]));
		EXPECT_EQ(-EINVAL, region_protect(fd, 0, HUGE + PAGE,
						  prots[i]));
		EXPECT_EQ(-EINVAL, region_protect(fd, 5 * HUGE - PAGE,
						  2 * PAGE, prots[i]));
	}
	EXPECT_EQ(-EINVAL, region_map(fd, HUGE, PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(-EINVAL, region_map(fd, 5 * HUGE - PAGE, PAGE, RW, ANON, -1,
				      0));
	EXPECT_EQ(-EEXIST, region_map(fd, HUGE + PAGE, PAGE, RW,
				      NOREPLACE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(3, region_stat(fd).mappings);
	EXPECT_EQ(6 * HUGE, region_mapped(fd, 0, self->size, NULL));
	for (unsigned int i = 0; i < 6; i++) {
		EXPECT_EQ(i + 1, load(self->base + i * HUGE));
		EXPECT_EQ(0, probe_write(self->base + i * HUGE, i + 1));
	}
	/* Whole ones. */
	EXPECT_EQ(0, region_protect(fd, 2 * HUGE, HUGE, PROT_READ));
	EXPECT_EQ(CAN(0, ACCERR), access_of(self->base + 2 * HUGE));
	EXPECT_EQ(CAN(0, 0), access_of(self->base + 3 * HUGE));
	EXPECT_EQ(0, region_unmap(fd, 3 * HUGE, HUGE));
	EXPECT_EQ(MAPERR, peek(self->base + 3 * HUGE));
	EXPECT_EQ(MAPERR, peek(self->base + 4 * HUGE - 8));
	EXPECT_EQ(5, load(self->base + 4 * HUGE));
	ASSERT_EQ(0, region_next(fd, 3 * HUGE, &m));
	EXPECT_EQ(4 * HUGE, m.offset);
	EXPECT_EQ(HUGE, m.size);
	EXPECT_EQ(MSHAREFS_KIND_HUGETLB, m.kind);
	EXPECT_EQ(21, m.page_shift);
	/* Small pages in the place of a huge one. */
	EXPECT_EQ(0, region_anon(fd, 4 * HUGE, HUGE));
	EXPECT_EQ(0, load(self->base + 4 * HUGE));
	EXPECT_EQ(0, probe_write(self->base + 4 * HUGE + PAGE, 1));
	EXPECT_EQ(POOL - 2, hugepages("Free"));
}

/*
 * Pages that are unmapped are free for others. What was only reserved stays so
 * until all of the mapping is gone, as with munmap(2).
 */
TEST_F(hugetlb, unmapped_part)
{
	ASSERT_EQ(0, anon(self->fd, 0, 8 * HUGE, 0));
	store(self->base, 1);
	store(self->base + HUGE, 2);
	POOL_IS(POOL - 2, 6);
	ASSERT_EQ(0, region_unmap(self->fd, HUGE, HUGE));
	POOL_IS(POOL - 1, 6);
	ASSERT_EQ(0, region_unmap(self->fd, 2 * HUGE, 4 * HUGE));
	POOL_IS(POOL - 1, 6);
	EXPECT_EQ(1, load(self->base));
	store(self->base + 7 * HUGE, 7);
	POOL_IS(POOL - 2, 5);
	ASSERT_EQ(0, anon(self->fd, 0, HUGE, 0));
	POOL_IS(POOL - 1, 6);
	EXPECT_EQ(0, load(self->base));
	EXPECT_EQ(7, load(self->base + 7 * HUGE));
	ASSERT_EQ(0, region_unmap(self->fd, HUGE, 7 * HUGE));
	POOL_IS(POOL - 1, 0);
}

TEST_F(hugetlb, advised)
{
	const int refused[] = { MADV_COLD, MADV_PAGEOUT, 25 /* COLLAPSE */ };

	ASSERT_EQ(0, anon(self->fd, 0, 4 * HUGE, 0));
	ASSERT_EQ(0, region_advise(self->fd, 0, 3 * HUGE,
				   MADV_POPULATE_WRITE));
	POOL_IS(POOL - 3, 1);
	EXPECT_EQ(3 * HUGE, region_stat(self->fd).resident);
	fill(self->base, 1, 1536);
	ASSERT_EQ(0, region_advise(self->fd, 0, 4 * HUGE, MADV_DONTNEED));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(0, damaged(self->base, 1, 1536));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(-EINVAL, region_advise(self->fd, 0, 4 * HUGE,
						 refused[i]));
	}
	ASSERT_EQ(0, region_advise(self->fd, HUGE, HUGE, MADV_REMOVE));
	EXPECT_EQ(POOL - 2, hugepages("Free"));
	EXPECT_EQ(0, load(self->base + HUGE + 7 * PAGE));
	EXPECT_EQ(0, damaged(self->base, 1, 512));
	EXPECT_EQ(pattern(1, 1024), load(self->base + 2 * HUGE));
}

TEST_F(hugetlb, page_tables)
{
	struct mshare_stat was, st;

	/* Tables above the entry, once; no table below it. */
	ASSERT_EQ(0, anon(self->fd, 0, 8 * HUGE, 0));
	store(self->base, 1);
	was = region_stat(self->fd);
	EXPECT_EQ(1, was.links);
	EXPECT_EQ(HUGE, was.resident);
	for (unsigned int i = 1; i < 8; i++)
		store(self->base + i * HUGE, i);
	st = region_stat(self->fd);
	EXPECT_EQ(was.page_tables, st.page_tables);
	EXPECT_EQ(8 * HUGE, st.resident);
	EXPECT_EQ(was.faults + 7, st.faults);
	/* All of a page is there after one fault. */
	EXPECT_EQ(0, faults_of(self->base + 3 * HUGE, 512, true));
}

TEST_F(hugetlb, processes)
{
	struct peer p = peer_start(_metadata);
	long other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	int status;
	pid_t pid;

	/* Mapped by one, seen by all; the child takes no fault. */
	ASSERT_LT(0, other);
	ASSERT_EQ(0, anon(self->fd, self->unit - 2 * HUGE, 4 * HUGE, 0));
	other += self->unit - 2 * HUGE;
	EXPECT_EQ(0, peer_call(&p, op_fill, other, 1, 2048));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char *at = self->base + self->unit - 2 * HUGE;

		CHECK(!damaged(at, 1, 2048));
		CHECK(!faults_of(at, 2048, false));
		fill(at, 2, 2048);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, peer_call(&p, op_damaged, other, 2, 2048));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F_TIMEOUT(hugetlb, watched, 300)
{
	struct watch *w = watch_new(MAPERR);
	struct peer p[WATCHERS];
	char *other;

	watchers_start(_metadata, w, p, HUGE + 5 * PAGE);
	for (unsigned int i = 0; another_round(i, 30); i++) {
		watch_begin(w, 0);
		ASSERT_EQ(0, anon(self->fd, 0, 4 * HUGE, 0));
		watch_end(w);
		watch_begin(w, i + 1);
		store(self->base + HUGE + 5 * PAGE, i + 1);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, ACCERR);
		ASSERT_EQ(0, region_protect(self->fd, HUGE, HUGE, PROT_NONE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, MAPERR);
		ASSERT_EQ(0, region_unmap(self->fd, 0, 4 * HUGE));
		watch_end(w);
		/* All of the pool is somebody else's now. */
		other = mmap(NULL, POOL * HUGE, RW, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1,
			     0);
		ASSERT_NE(MAP_FAILED, other);
		for (size_t at = 0; at < POOL * HUGE; at += PAGE)
			store(other + at, 4711);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		ASSERT_EQ(0, munmap(other, POOL * HUGE));
	}
	watchers_stop(_metadata, w, p);
}

TEST_F(hugetlb, locked)
{
	ASSERT_EQ(0, anon(self->fd, 0, 2 * HUGE, 0));
	/* It is there anyway. */
	EXPECT_EQ(0, region_lock(self->fd, 0, 2 * HUGE, MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(0, region_stat(self->fd).locked);
	EXPECT_EQ(0, region_lock(self->fd, 0, 2 * HUGE, MSHAREFS_LOCK_OFF, 0));
	EXPECT_EQ(0, anon(self->fd, 2 * HUGE, HUGE, MAP_LOCKED));
	EXPECT_EQ(0, region_stat(self->fd).locked);
}

/* A file of hugetlbfs on a mount with a size has its reservation from there. */
TEST_F(hugetlb, mount)
{
	struct peer p = peer_start(_metadata);
	struct statfs sf;
	int object;

	ASSERT_EQ(0, mount_hugetlbfs());
	object = open(HUGEFS "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		      0600);
	ASSERT_LE(0, object);
	/* mmap(2) makes such a file as long as the mapping; so does this. */
	ASSERT_EQ(0, region_map(self->fd, 0, 4 * HUGE, RW, FIXED, object, 0));
	POOL_IS(POOL, 4);
	EXPECT_EQ(0, peer_call(&p, op_fill, L(self->base), 1, 2048));
	EXPECT_EQ(pattern(1, 1024), file_load(object, 1024));
	ASSERT_EQ(0, region_unmap(self->fd, 0, 4 * HUGE));
	/* The pages are the file's. */
	POOL_IS(POOL - 4, 0);
	ASSERT_EQ(0, region_map(self->fd, self->unit, 2 * HUGE, PROT_READ,
				FIXED, object, 2 * HUGE));
	EXPECT_EQ(pattern(1, 1024), peer_call(&p, op_load,
					      L(self->base + self->unit)));
	ASSERT_EQ(0, region_unmap(self->fd, self->unit, 2 * HUGE));
	EXPECT_EQ(0, unlink(HUGEFS "/f"));
	EXPECT_EQ(0, close(object));
	POOL_IS(POOL, 0);
	ASSERT_EQ(0, statfs(HUGEFS, &sf));
	EXPECT_EQ(HUGE, sf.f_bsize);
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_HARNESS_MAIN
