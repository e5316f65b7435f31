// SPDX-License-Identifier: GPL-2.0
/*
 * Files on persistent memory, mapped without a page cache: 2 MiB at once where
 * file and mapping are aligned. What they have in common with other objects is
 * in object_kinds.c.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"

#define SIZE	(8 * HUGE)

FIXTURE(dax) {
	size_t unit;
	char *base;
	int fd, file;
	struct peer p;
	long other;
};

/* A file of SIZE with all its blocks, in a region from its second 2 MiB on. */
FIXTURE_SETUP(dax)
{
	int err;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	err = mount_dax();
	ASSERT_EQ(0, err) TH_LOG("no DAX: %s", strerror(-err));
	self->base = ms_container_pair(_metadata, self->unit, &self->fd,
				       &self->p, &self->other);
	self->file = open(DAX "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, fallocate(self->file, 0, 0, SIZE));
	/* The upper tables of the unit are there before anything is counted. */
	ASSERT_EQ(0, region_map(self->fd, self->unit - PAGE, PAGE, RW,
				ANON | MAP_POPULATE, -1, 0));
	ASSERT_EQ(0, region_map(self->fd, HUGE, SIZE, RW, FIXED, self->file,
				0));
	self->base += HUGE;
	self->other += HUGE;
}

FIXTURE_TEARDOWN(dax)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

TEST_F(dax, huge_entries)
{
	struct mshare_stat was = region_stat(self->fd), st;

	/* One fault for each 2 MiB, and no table below them. */
	for (unsigned int i = 0; i < 8; i++)
		store(self->base + i * HUGE, i);
	st = region_stat(self->fd);
	EXPECT_EQ(was.page_tables, st.page_tables);
	EXPECT_EQ(was.faults + 8, st.faults);
	EXPECT_EQ(0, faults_of(self->base, SIZE / PAGE, true));
	EXPECT_EQ(0, damaged(self->base, 1, SIZE / PAGE));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1,
			       SIZE / PAGE));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	for (unsigned int i = 0; i < SIZE / PAGE; i += 100) {
		EXPECT_EQ(pattern(1, i), file_load(self->file, i));
	}
}

/* The control: with an offset that does not fit, tables are needed. */
TEST_F(dax, small_entries)
{
	struct mshare_stat was;

	ASSERT_EQ(0, region_unmap(self->fd, HUGE, SIZE));
	was = region_stat(self->fd);
	ASSERT_EQ(0, region_map(self->fd, HUGE + PAGE, SIZE, RW, FIXED,
				self->file, 0));
	fill(self->base + PAGE, 1, SIZE / PAGE);
	EXPECT_EQ(was.page_tables + 9 * PAGE,
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + PAGE, 1,
			       SIZE / PAGE));
	EXPECT_EQ(pattern(1, 1000), file_load(self->file, 1000));
}

TEST_F(dax, split)
{
	struct mshare_stat was = region_stat(self->fd);

	fill(self->base, 1, SIZE / PAGE);
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1,
			       SIZE / PAGE));
	/* A part of one: the others stay huge, the contents are the file's. */
	ASSERT_EQ(0, region_protect(self->fd, 2 * HUGE + 4 * PAGE, 4 * PAGE,
				    PROT_READ));
	for (unsigned int i = 512; i < 1024; i += 3) {
		int want = i >= 516 && i < 520 ? CAN(0, ACCERR) : CAN(0, 0);

		EXPECT_EQ(want, access_of(self->base + i * PAGE));
		EXPECT_EQ(want, peer_call(&self->p, op_access,
					  self->other + i * PAGE));
	}
	EXPECT_EQ(0, damaged(self->base, 1, SIZE / PAGE));
	EXPECT_EQ(was.page_tables + PAGE, region_stat(self->fd).page_tables);
	ASSERT_EQ(0, region_unmap(self->fd, 4 * HUGE + PAGE, PAGE));
	EXPECT_EQ(MAPERR, peek(self->base + 3 * HUGE + PAGE));
	EXPECT_EQ(MAPERR, peer_call(&self->p, op_peek,
				    self->other + 3 * HUGE + PAGE));
	EXPECT_EQ(pattern(1, 1536), load(self->base + 3 * HUGE));
	EXPECT_EQ(pattern(1, 1538), load(self->base + 3 * HUGE + 2 * PAGE));
	EXPECT_EQ(was.page_tables + 2 * PAGE,
		  region_stat(self->fd).page_tables);
	for (unsigned int i = 0; i < SIZE / PAGE; i += 7) {
		EXPECT_EQ(pattern(1, i), file_load(self->file, i));
	}
	/* Without anything left in them the two tables are given back. */
	ASSERT_EQ(0, region_unmap(self->fd, HUGE, SIZE));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	ASSERT_EQ(0, region_map(self->fd, HUGE, SIZE, RW, FIXED, self->file,
				0));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1,
			       SIZE / PAGE));
}

TEST_F_TIMEOUT(dax, watched, 300)
{
	struct watch *w = watch_new(0);
	struct peer p[WATCHERS];
	const size_t at = 2 * HUGE + 7 * PAGE;

	watchers_start(_metadata, w, p, HUGE + at);
	for (unsigned int i = 0; another_round(i, 30); i++) {
		watch_begin(w, i + 1);
		store(self->base + at, i + 1);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		/* The memory of the device goes, with its entry. */
		watch_begin(w, 0);
		ASSERT_EQ(0, fallocate(self->file, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 2 * HUGE, HUGE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, BUS_END);
		ASSERT_EQ(0, ftruncate(self->file, HUGE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, 0);
		ASSERT_EQ(0, ftruncate(self->file, SIZE));
		ASSERT_EQ(0, fallocate(self->file, 0, 0, SIZE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
	}
	watchers_stop(_metadata, w, p);
}

TEST_F(dax, synced)
{
	int second;

	/* Stores are noticed after each write-back, huge entries or not. */
	for (int round = 1; round < 4; round++) {
		fill(self->base, round, SIZE / PAGE);
		ASSERT_EQ(0, round == 2 ? fsync(self->fd) :
			     msync(self->base - HUGE, self->unit, MS_SYNC));
		EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other,
				       round, SIZE / PAGE));
		for (unsigned int i = 0; i < SIZE / PAGE; i += 100) {
			EXPECT_EQ(pattern(round, i),
				  file_load(self->file, i));
		}
	}
	/* MAP_SYNC is for DAX, and for nothing else. */
	ASSERT_EQ(0, region_map(self->fd, 64 * HUGE, SIZE, RW,
				MAP_SHARED_VALIDATE | MAP_FIXED | MAP_SYNC,
				self->file, 0));
	EXPECT_EQ(0, damaged(self->base + 63 * HUGE, 3, SIZE / PAGE));
	EXPECT_EQ(0, probe_write(self->base + 63 * HUGE, 9));
	EXPECT_EQ(9, load(self->base));
	second = ms_memfd(_metadata, 1, 8);
	EXPECT_EQ(-EOPNOTSUPP, region_map(self->fd, 128 * HUGE, 8 * PAGE, RW,
					  MAP_SHARED_VALIDATE | MAP_FIXED |
					  MAP_SYNC, second, 0));
	EXPECT_EQ(MAPERR, peek(self->base + 127 * HUGE));
	EXPECT_EQ(3, region_stat(self->fd).mappings);
}

TEST_F(dax, read_first)
{
	struct mshare_stat was;
	int sparse = open(DAX "/g", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);

	/* Where the file has no blocks: zeros to read, blocks to write. */
	ASSERT_LE(0, sparse);
	ASSERT_EQ(0, ftruncate(sparse, SIZE));
	ASSERT_EQ(0, region_map(self->fd, HUGE, SIZE, RW, FIXED, sparse, 0));
	was = region_stat(self->fd);
	for (unsigned int i = 0; i < SIZE / PAGE; i += 64) {
		EXPECT_EQ(0, load(self->base + i * PAGE));
	}
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other, 4,
			       SIZE / PAGE));
	EXPECT_EQ(0, damaged(self->base, 4, SIZE / PAGE));
	EXPECT_EQ(pattern(4, 77), file_load(sparse, 77));
	EXPECT_EQ(was.mappings, region_stat(self->fd).mappings);
	close(sparse);
}

TEST_F(dax, locked)
{
	ASSERT_EQ(0, region_lock(self->fd, HUGE, SIZE, MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(0, region_stat(self->fd).locked);
	ASSERT_EQ(0, region_lock(self->fd, HUGE, SIZE, MSHAREFS_LOCK_OFF, 0));
	ASSERT_EQ(0, region_map(self->fd, HUGE, SIZE, RW, FIXED | MAP_LOCKED,
				self->file, 0));
	EXPECT_EQ(0, region_stat(self->fd).locked);
	EXPECT_EQ(0, probe_write(self->base, 1));
}

TEST_F(dax, populated)
{
	struct mshare_stat was = region_stat(self->fd);

	ASSERT_EQ(0, region_advise(self->fd, HUGE, SIZE,
				   MADV_POPULATE_WRITE));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	/* For the link of this process, at most. */
	EXPECT_GE(1, faults_of(self->base, SIZE / PAGE, true));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1,
			       SIZE / PAGE));
	/* Nothing of it can be paged out. */
	EXPECT_EQ(0, region_advise(self->fd, HUGE, SIZE, MADV_PAGEOUT));
	EXPECT_EQ(0, damaged(self->base, 1, SIZE / PAGE));
}

TEST_HARNESS_MAIN
