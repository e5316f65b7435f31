// SPDX-License-Identifier: GPL-2.0
/*
 * Taking mappings away, and putting others in their place, under processes
 * that look at them all the time.
 */
#include "mshare_test.h"
#include "lib_container.h"

CONTAINER_FIXTURE(replace)

#define ROUNDS	100
#define LOOKS	20

/* One change of what watchers see at @at: @next after it, which @call makes. */
#define CHANGE(w, next, call) do {					\
	watch_begin(w, next);						\
	ASSERT_EQ(0, call);						\
	watch_end(w);							\
	ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));			\
} while (0)

TEST_F(replace, contents)
{
	int object[2] = { ms_memfd(_metadata, 1, 4), ms_memfd(_metadata, 2, 4) };
	char *base = self->base;

	ASSERT_EQ(0, region_map(self->fd, 0, 4 * PAGE, RW, FIXED, object[0],
				0));
	EXPECT_EQ(0, damaged(base, 1, 4));
	/* All of it, a part of it, more than it. */
	ASSERT_EQ(0, region_map(self->fd, 0, 4 * PAGE, RW, FIXED, object[1],
				0));
	EXPECT_EQ(0, damaged(base, 2, 4));
	ASSERT_EQ(0, region_map(self->fd, PAGE, 2 * PAGE, RW, FIXED, object[0],
				PAGE));
	EXPECT_EQ(pattern(2, 0), load(base));
	EXPECT_EQ(pattern(1, 1), load(base + PAGE));
	EXPECT_EQ(pattern(1, 2), load(base + 2 * PAGE));
	EXPECT_EQ(pattern(2, 3), load(base + 3 * PAGE));
	EXPECT_EQ(3, region_stat(self->fd).mappings);
	ASSERT_EQ(0, region_anon(self->fd, 0, 6 * PAGE));
	for (unsigned int i = 0; i < 6; i++) {
		EXPECT_EQ(0, load(base + i * PAGE));
	}
	EXPECT_EQ(1, region_stat(self->fd).mappings);
	/* The objects keep what they had. */
	for (unsigned int i = 0; i < 4; i++) {
		EXPECT_EQ(pattern(1, i), file_load(object[0], i));
		EXPECT_EQ(pattern(2, i), file_load(object[1], i));
	}
}

TEST_F_TIMEOUT(replace, watched, 300)
{
	int object[2] = { ms_memfd(_metadata, 1, 4), ms_memfd(_metadata, 2, 4) };
	struct watch *w = watch_new(pattern(1, 2));
	struct peer p[WATCHERS];

	ASSERT_EQ(0, region_map(self->fd, 0, 4 * PAGE, RW, FIXED, object[0],
				0));
	watchers_start(_metadata, w, p, 2 * PAGE);
	ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
	/* Old or new, and nothing between them: no signal, no zero. */
	for (unsigned int i = 0; another_round(i, ROUNDS); i++) {
		CHANGE(w, pattern(2 - i % 2, 2),
		       region_map(self->fd, 0, 4 * PAGE, RW, FIXED,
				  object[1 - i % 2], 0));
	}
	/* The same for a part, and for memory that is fresh each time. */
	for (unsigned int i = 0; another_round(i, ROUNDS); i++) {
		if (i % 2 == 0) {
			CHANGE(w, 0, region_anon(self->fd, 2 * PAGE, PAGE));
		} else {
			CHANGE(w, pattern(1, 2),
			       region_map(self->fd, 2 * PAGE, PAGE, PROT_READ,
					  FIXED, object[0], 2 * PAGE));
		}
	}
	watchers_stop(_metadata, w, p);
}

TEST_F_TIMEOUT(replace, unmap_watched, 300)
{
	int object = ms_memfd(_metadata, 1, 8);
	struct watch *w = watch_new(MAPERR);
	struct peer p[WATCHERS];

	watchers_start(_metadata, w, p, 3 * PAGE);
	ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
	for (unsigned int i = 0; another_round(i, ROUNDS); i++) {
		CHANGE(w, pattern(1, 3),
		       region_map(self->fd, 0, 8 * PAGE, RW, NOREPLACE, object,
				  0));
		/* The page alone, or all. */
		CHANGE(w, MAPERR, i % 2 ?
		       region_unmap(self->fd, 0, self->size) :
		       region_unmap(self->fd, 3 * PAGE, PAGE));
		ASSERT_EQ(0, region_unmap(self->fd, 0, 8 * PAGE));
	}
	watchers_stop(_metadata, w, p);
}

/* Pages of another user in place of those that were unmapped. */
TEST_F_TIMEOUT(replace, unmapped_memory_is_not_seen, 300)
{
	struct watch *w = watch_new(MAPERR);
	struct peer p[WATCHERS];
	char *other;

	watchers_start(_metadata, w, p, 0);
	ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
	for (unsigned int i = 0; another_round(i, ROUNDS); i++) {
		CHANGE(w, 0, region_anon(self->fd, 0, 16 * PAGE));
		watch_begin(w, pattern(1, 0));
		fill(self->base, 1, 16);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
		CHANGE(w, MAPERR, region_unmap(self->fd, 0, 16 * PAGE));
		other = mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		ASSERT_NE(MAP_FAILED, other);
		fill(other, 2, MIB / PAGE);
		ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
		ASSERT_EQ(0, munmap(other, MIB));
	}
	watchers_stop(_metadata, w, p);
}

TEST_F(replace, failed)
{
	int object = ms_memfd(_metadata, 1, 8), ro = reopen(object, O_RDONLY);
	struct watch *w = watch_new(pattern(1, 2));
	int sealed = ms_memfd(_metadata, 2, 8);
	struct peer p[WATCHERS];

	ASSERT_EQ(0, fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, region_map(self->fd, 0, 8 * PAGE, RW, FIXED, object, 0));
	watchers_start(_metadata, w, p, 2 * PAGE);
	ASSERT_TRUE(watch_wait(w, WATCHERS, LOOKS));
	/* Whatever fails leaves what was there, at every moment. */
	for (unsigned int i = 0; i < 20; i++) {
		EXPECT_EQ(-EACCES, region_map(self->fd, 0, 8 * PAGE, RW, FIXED,
					      ro, 0));
		EXPECT_EQ(-EPERM, region_map(self->fd, 0, 8 * PAGE, RW, FIXED,
					     sealed, 0));
		EXPECT_EQ(-EBADF, region_map(self->fd, 0, 8 * PAGE, RW, FIXED,
					     -1, 0));
		EXPECT_EQ(-EINVAL, region_map(self->fd, 0, 8 * PAGE, RW, FIXED,
					      object, 1));
		EXPECT_EQ(-EINVAL, region_map(self->fd, 0, self->size + PAGE,
					      RW, FIXED, object, 0));
		EXPECT_EQ(-EEXIST, region_map(self->fd, 0, 8 * PAGE, RW,
					      NOREPLACE, object, 0));
		/* More than there is, by far. */
		ASSERT_EQ(0, write_file("/proc/sys/vm/overcommit_memory",
					"2"));
		EXPECT_EQ(-ENOMEM, region_anon(self->fd, 0, self->size));
		ASSERT_EQ(0, write_file("/proc/sys/vm/overcommit_memory",
					"1"));
		ASSERT_TRUE(watch_wait(w, WATCHERS, 1));
	}
	watchers_stop(_metadata, w, p);
	EXPECT_EQ(0, damaged(self->base, 1, 8));
	EXPECT_EQ(1, region_stat(self->fd).mappings);
	EXPECT_EQ(8 * PAGE, region_mapped(self->fd, 0, self->size, NULL));
}

TEST_F(replace, noreplace)
{
	int object = ms_memfd(_metadata, 1, 8);
	const struct {
		unsigned int at, pages;
	} over[] = { { 8, 8 }, { 0, 9 }, { 15, 1 }, { 15, 9 }, { 10, 2 },
		     { 0, 64 }, { 8, 1 } };

	ASSERT_EQ(0, region_map(self->fd, 8 * PAGE, 8 * PAGE, RW, NOREPLACE,
				object, 0));
	for (size_t i = 0; i < ARRAY_SIZE(over); i++) {
		EXPECT_EQ(-EEXIST, region_map(self->fd, over[i].at * PAGE,
					      over[i].pages * PAGE, RW,
					      NOREPLACE | MAP_ANONYMOUS, -1,
					      0)) {
			TH_LOG("%u pages at %u", over[i].pages, over[i].at);
		}
		/* With both, it is NOREPLACE. */
		EXPECT_EQ(-EEXIST, region_map(self->fd, over[i].at * PAGE,
					      over[i].pages * PAGE, RW,
					      NOREPLACE | ANON, -1, 0));
		EXPECT_EQ(0, damaged(self->base + 8 * PAGE, 1, 8));
		EXPECT_EQ(1, region_stat(self->fd).mappings);
	}
	/* A resident page or not makes no difference, nor does PROT_NONE. */
	ASSERT_EQ(0, region_protect(self->fd, 8 * PAGE, 8 * PAGE, PROT_NONE));
	EXPECT_EQ(-EEXIST, region_map(self->fd, 8 * PAGE, PAGE, RW,
				      NOREPLACE | MAP_ANONYMOUS, -1, 0));
	/* In front of it and behind it there is room, to the page. */
	EXPECT_EQ(0, region_map(self->fd, 0, 8 * PAGE, RW,
				NOREPLACE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(0, region_map(self->fd, 16 * PAGE, PAGE, RW,
				NOREPLACE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(17 * PAGE, region_mapped(self->fd, 0, self->size, NULL));
}

TEST_F(replace, unmap_part)
{
	const unsigned long pages = 8 * MIB / PAGE;
	struct peer p = peer_start(_metadata);
	char *base = self->base;
	struct mshare_stat was;
	long shmem, tables, used;

	ASSERT_EQ(0, region_anon(self->fd, 0, 8 * MIB));
	fill(base, 1, pages);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(base), 1, pages));
	was = region_stat(self->fd);
	shmem = meminfo_kb("Shmem");
	tables = other_tables_kb();
	used = used_blocks(MS_DIR) - overhead_blocks(self->fd);
	EXPECT_EQ(pages, used);

	/* One page of it. */
	EXPECT_EQ(0, region_unmap(self->fd, 5 * PAGE, PAGE));
	EXPECT_EQ(shmem - 4, meminfo_kb("Shmem"));
	EXPECT_EQ(used - 1,
		  used_blocks(MS_DIR) - overhead_blocks(self->fd));
	EXPECT_EQ(MAPERR, peek(base + 5 * PAGE));
	EXPECT_EQ(MAPERR, peer_call(&p, op_peek, L(base + 5 * PAGE)));
	EXPECT_EQ(was.resident - PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(2, region_stat(self->fd).mappings);

	/* Two tables and a bit more: those two are given back. */
	EXPECT_EQ(0, region_unmap(self->fd, HUGE - 4 * PAGE,
				  2 * HUGE + 8 * PAGE));
	EXPECT_EQ(shmem - 4 - 4096 - 32, meminfo_kb("Shmem"));
	EXPECT_EQ(used - 1 - 1024 - 8,
		  used_blocks(MS_DIR) - overhead_blocks(self->fd));
	EXPECT_EQ(was.resident - 9 * PAGE - 2 * HUGE,
		  region_stat(self->fd).resident);
	EXPECT_EQ(was.page_tables - 2 * PAGE,
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(tables - 8, other_tables_settle(tables - 8));
	EXPECT_EQ(3, region_stat(self->fd).mappings);

	/* What is left is as it was. */
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(base), 1, 5));
	EXPECT_EQ(pattern(1, 6), load(base + 6 * PAGE));
	EXPECT_EQ(pattern(1, 507), load(base + HUGE - 5 * PAGE));
	EXPECT_EQ(MAPERR, peek(base + HUGE - 4 * PAGE));
	EXPECT_EQ(MAPERR, peek(base + 3 * HUGE + 3 * PAGE));
	EXPECT_EQ(pattern(1, 3 * 512 + 4), load(base + 3 * HUGE + 4 * PAGE));
	EXPECT_EQ(pattern(1, pages - 1), load(base + 8 * MIB - PAGE));

	/* New memory in the hole is new. */
	ASSERT_EQ(0, region_anon(self->fd, 2 * HUGE, PAGE));
	EXPECT_EQ(0, peer_call(&p, op_load, L(base + 2 * HUGE)));

	EXPECT_EQ(0, region_unmap(self->fd, 0, self->size));
	EXPECT_EQ(shmem - 8192, meminfo_kb("Shmem"));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(0, region_stat(self->fd).mappings);
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(replace, unmap_across)
{
	int object[2] = { ms_memfd(_metadata, 1, 8), ms_memfd(_metadata, 2, 8) };
	char *base = self->base;
	struct peer p = peer_start(_metadata);

	/* A memfd, a hole, anonymous memory, a hole, a memfd. */
	ASSERT_EQ(0, region_map(self->fd, 0, 8 * PAGE, RW, FIXED, object[0],
				0));
	ASSERT_EQ(0, region_anon(self->fd, 16 * PAGE, 8 * PAGE));
	ASSERT_EQ(0, region_map(self->fd, 32 * PAGE, 8 * PAGE, RW, FIXED,
				object[1], 0));
	fill(base + 16 * PAGE, 3, 8);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(base), 1, 8));
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(base + 32 * PAGE), 2, 8));

	EXPECT_EQ(0, region_unmap(self->fd, 4 * PAGE, 32 * PAGE));
	EXPECT_EQ(2, region_stat(self->fd).mappings);
	EXPECT_EQ(8 * PAGE, region_mapped(self->fd, 0, self->size, NULL));
	EXPECT_EQ(8 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(0, damaged(base, 1, 4));
	for (unsigned int i = 4; i < 36; i++) {
		EXPECT_EQ(MAPERR, peek(base + i * PAGE));
		EXPECT_EQ(MAPERR, peer_call(&p, op_peek, L(base + i * PAGE)));
	}
	EXPECT_EQ(pattern(2, 4), load(base + 36 * PAGE));
	EXPECT_EQ(pattern(2, 7), peer_call(&p, op_load, L(base + 39 * PAGE)));

	/* Unmapped is not erased: a file has its contents as before. */
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT_EQ(pattern(1, i), file_load(object[0], i));
		EXPECT_EQ(pattern(2, i), file_load(object[1], i));
	}
	ASSERT_EQ(0, region_map(self->fd, 0, 8 * PAGE, RW, FIXED, object[0],
				0));
	EXPECT_EQ(0, damaged(base, 1, 8));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(replace, unmap_nothing)
{
	EXPECT_EQ(0, region_unmap(self->fd, 0, self->size));
	EXPECT_EQ(0, region_unmap(self->fd, self->size - PAGE, PAGE));
	ASSERT_EQ(0, region_anon(self->fd, 4 * PAGE, PAGE));
	store(self->base + 4 * PAGE, 1);
	EXPECT_EQ(0, region_unmap(self->fd, 0, 4 * PAGE));
	EXPECT_EQ(0, region_unmap(self->fd, 5 * PAGE, self->size - 5 * PAGE));
	EXPECT_EQ(1, load(self->base + 4 * PAGE));
	EXPECT_EQ(1, region_stat(self->fd).mappings);
}

/* A replaced anonymous mapping gives its memory back, too. */
TEST_F(replace, memory)
{
	int object = ms_memfd(_metadata, 1, 256);
	long shmem = meminfo_kb("Shmem");

	for (unsigned int i = 0; i < 20; i++) {
		ASSERT_EQ(0, region_anon(self->fd, 0, 4 * MIB));
		fill(self->base, 1, 1024);
		EXPECT_EQ(shmem + 4096, meminfo_kb("Shmem"));
	}
	ASSERT_EQ(0, region_map(self->fd, MIB, MIB, RW, FIXED, object, 0));
	EXPECT_EQ(shmem + 3072, meminfo_kb("Shmem"));
	EXPECT_EQ(0, damaged(self->base, 1, 256));
	EXPECT_EQ(0, damaged(self->base + MIB, 1, 256));
	EXPECT_EQ(pattern(1, 512), load(self->base + 2 * MIB));
	ASSERT_EQ(0, region_unmap(self->fd, 0, 4 * MIB));
	EXPECT_EQ(shmem, meminfo_kb("Shmem"));
}

TEST_HARNESS_MAIN
