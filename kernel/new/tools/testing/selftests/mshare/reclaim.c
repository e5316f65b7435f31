// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a region goes out to swap and comes back while many processes are
 * attached, and what that costs does not depend on how many they are.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_cgroup.h"
#include "lib_attached.h"
#include "lib_pfn.h"
#include "lib_writers.h"

#define NPAGES	2048UL
#define SIZE	(NPAGES * PAGE)
#define MAKER	"mshare-maker"

FIXTURE(reclaim) {
	size_t unit;
	int fd;
	char *base;
	struct crowd crowd;
};

FIXTURE_SETUP(reclaim)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_LT(0, meminfo_kb("SwapFree")) TH_LOG("needs swap");
	self->crowd = crowd_start(_metadata, crowd_size());
	/* What waits in the batch of another CPU cannot be paged out. */
	pin(0);
}

FIXTURE_TEARDOWN(reclaim)
{
	crowd_stop(_metadata, &self->crowd);
}

/* A region with @pages pages of pattern 1, to which all are attached. */
static void populate(struct __test_metadata *_metadata,
		     FIXTURE_DATA(reclaim) *self, unsigned long pages)
{
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	ASSERT_EQ(0, region_anon(self->fd, 0, pages * PAGE));
	fill(self->base, 1, pages);
	crowd_attach(_metadata, &self->crowd, MS_DIR "/a", self->unit);
	ASSERT_EQ(self->crowd.n + 1, region_stat(self->fd).processes);
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, 1));
}

static int pageout(int fd, unsigned long pages)
{
	drain_lru();
	return region_advise(fd, 0, pages * PAGE, MADV_PAGEOUT);
}

TEST_F_TIMEOUT(reclaim, out_and_in_for_all, 400)
{
	const unsigned long words = 64;
	long out;

	populate(_metadata, self, NPAGES);
	out = vmstat("pswpout");
	ASSERT_EQ(0, pageout(self->fd, NPAGES));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_LE(out + (long)NPAGES, vmstat("pswpout"));
	/* All of them bring it back at the same time. */
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, NPAGES));
	EXPECT_EQ(SIZE, region_stat(self->fd).resident);

	/* What they write is written out, whoever it was. */
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_word, words, true));
	ASSERT_EQ(0, pageout(self->fd, NPAGES));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_word, words, false));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
}

/*
 * For crowd_call(): the part of each process of a[2] pages holds what fill()
 * wrote. It reads, and writes what is there.
 */
static long op_part(const long *a)
{
	char *base = (char *)a[0];
	long bad = 0;

	for (long i = a[1] * a[2]; i < (a[1] + 1) * a[2]; i++) {
		bad += load(base + i * PAGE) != pattern(1, i);
		store(base + i * PAGE, pattern(1, i));
	}
	return bad;
}

/*
 * The creator's cgroup has room for a third of the region. All of it can be
 * used nevertheless, by processes that are not in that cgroup, and no more than
 * the limit is ever in memory.
 */
TEST_F_TIMEOUT(reclaim, limit_of_the_creator, 600)
{
	const unsigned long part = 24 + 1024 / self->crowd.n;
	const unsigned long pages = part * self->crowd.n;
	const long limit = pages * PAGE / 3;
	struct peer maker = peer_start(_metadata);
	long out, peak, dying = cg_dying_settles(0);
	char text[32];

	ASSERT_EQ(0, cg_create(MAKER));
	ASSERT_EQ(0, peer_call(&maker, op_enter, L(MAKER)));
	ASSERT_LT(0, peer_call(&maker, op_new, L(MS_DIR "/a"), self->unit));
	/* There is nobody in it that could be killed. */
	peer_stop(&maker);
	snprintf(text, sizeof(text), "%ld", limit);
	ASSERT_EQ(0, cg_write(MAKER, "memory.max", text));
	out = vmstat("pswpout");

	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->base = ms_map(self->fd, self->unit, RW);
	crowd_attach(_metadata, &self->crowd, MS_DIR "/a", self->unit);
	fill(self->base, 1, pages);
	EXPECT_LE(out + (pages * (long)PAGE - limit) / (long)PAGE,
		  vmstat("pswpout"));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, crowd_call(&self->crowd, op_part, part));
	}
	EXPECT_EQ(0, damaged(self->base, 1, pages));
	/* It was full. Now, pages may be on their way out: not "shmem" any more. */
	peak = cg_number(MAKER, "memory.peak");
	EXPECT_GE(limit, peak);
	EXPECT_LT(limit - limit / 8, peak);
	EXPECT_GE(limit, region_stat(self->fd).resident);

	EXPECT_EQ(0, munmap(self->base, self->unit));
	close(self->fd);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	crowd_stop(_metadata, &self->crowd);
	EXPECT_EQ(0, in_child(cg_swap_again, NULL));
	EXPECT_EQ(0, cg_remove(MAKER));
	EXPECT_EQ(dying, cg_dying_settles(dying));
}

/* swapoff brings everything back to memory, under those who use it. */
TEST_F_TIMEOUT(reclaim, swapoff_in_use, 400)
{
	long used, least = LONG_MAX;
	struct use *use;

	populate(_metadata, self, NPAGES);
	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	for (unsigned int round = 0; another_round(round, 8); round++) {
		used = meminfo_kb("SwapFree");
		ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_PAGEOUT));
		used -= meminfo_kb("SwapFree");
		least = used < least ? used : least;
		ASSERT_EQ(0, in_child(cg_swap_again, NULL));
		/* It is a new one, with nothing in it. */
		ASSERT_TRUE(use_rounds(use, 1));
	}
	EXPECT_LT(0, least);
	use_stop(_metadata, use);

	/* And with the processes asleep, all of it. */
	fill(self->base, 1, NPAGES);
	ASSERT_EQ(0, pageout(self->fd, NPAGES));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	ASSERT_EQ(0, in_child(cg_swap_again, NULL));
	EXPECT_EQ(meminfo_kb("SwapTotal"), meminfo_kb("SwapFree"));
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, NPAGES));
}

/* Reclaim of many pages does not flush the attached processes for each. */
TEST_F(reclaim, flushes_of_pageout)
{
	uint64_t flushes;

	populate(_metadata, self, NPAGES);
	drain_lru();
	flushes = region_stat(self->fd).flushes;
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_PAGEOUT));
	ASSERT_EQ(0, region_stat(self->fd).resident);
	flushes = region_stat(self->fd).flushes - flushes;
	EXPECT_LT(0, flushes);
	EXPECT_GE(NPAGES / 64, flushes) {
		TH_LOG("%lu flushes for %lu pages", flushes, NPAGES);
	}
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, 64));
}

/* The same where reclaim itself has chosen the pages: 32 of them at a time. */
TEST_F(reclaim, flushes_of_group_reclaim)
{
	struct peer maker = peer_start(_metadata);
	uint64_t flushes, resident;
	long pages, dying = cg_dying_settles(0);

	ASSERT_EQ(0, cg_create(MAKER));
	ASSERT_EQ(0, peer_call(&maker, op_enter, L(MAKER)));
	ASSERT_LT(0, peer_call(&maker, op_new, L(MS_DIR "/a"), self->unit));
	peer_stop(&maker);
	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	fill(self->base, 1, NPAGES);
	crowd_attach(_metadata, &self->crowd, MS_DIR "/a", self->unit);
	drain_lru();
	resident = region_stat(self->fd).resident;
	flushes = region_stat(self->fd).flushes;
	ASSERT_EQ(0, cg_write(MAKER, "memory.reclaim", "6M"));
	pages = (resident - region_stat(self->fd).resident) / PAGE;
	flushes = region_stat(self->fd).flushes - flushes;
	EXPECT_LE(1024, pages);
	EXPECT_LT(0, flushes);
	EXPECT_GE(pages / 8, flushes) {
		TH_LOG("%lu flushes for %ld pages", flushes, pages);
	}
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, 64));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));

	EXPECT_EQ(0, munmap(self->base, self->unit));
	close(self->fd);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	crowd_stop(_metadata, &self->crowd);
	EXPECT_EQ(0, in_child(cg_swap_again, NULL));
	EXPECT_EQ(0, cg_remove(MAKER));
	EXPECT_EQ(dying, cg_dying_settles(dying));
}

#define FEW_PAGES 64UL

/*
 * Each entry that reclaim removes is one change of a counter of its mm. One
 * entry for one page: with a visit for each process they would be thousands.
 */
TEST_F(reclaim, one_entry_per_page)
{
	populate(_metadata, self, FEW_PAGES);
	drain_lru();
	ASSERT_EQ(0, events_start("kmem/rss_stat"));
	ASSERT_EQ(0, region_advise(self->fd, 0, FEW_PAGES * PAGE,
				   MADV_PAGEOUT));
	EXPECT_EQ(FEW_PAGES, events_stop("type=MM_SHMEMPAGES"));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, FEW_PAGES));
}

/* Moves the pages of @fd; how many entries had to be changed for it. */
static long entries_of_migration(struct __test_metadata *_metadata, int fd)
{
	uint64_t pfn[FEW_PAGES];
	long n;

	ASSERT_EQ(0, file_frames(fd, pfn, FEW_PAGES));
	drain_lru();
	ASSERT_EQ(0, events_start("migrate/set_migration_pte"));
	for (unsigned long i = 0; i < FEW_PAGES; i++) {
		ASSERT_EQ(0, soft_offline(pfn[i]));
	}
	n = events_stop(" set_migration_pte: ");
	for (unsigned long i = 0; i < FEW_PAGES; i++) {
		EXPECT_EQ(0, unpoison(pfn[i]));
	}
	return n;
}

TEST_F(reclaim, one_entry_per_page_of_migration)
{
	int object = ms_memfd(_metadata, 1, FEW_PAGES);

	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	ASSERT_EQ(0, region_map(self->fd, 0, FEW_PAGES * PAGE, RW, FIXED,
				object, 0));
	crowd_attach(_metadata, &self->crowd, MS_DIR "/a", self->unit);
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, FEW_PAGES));
	EXPECT_EQ(FEW_PAGES, entries_of_migration(_metadata, object));
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, FEW_PAGES));
	close(object);
}

/* What the above is saved from, and a measure that shows it. */
TEST_F(reclaim, entries_of_ordinary_memory)
{
	const unsigned long mappings = 8;
	int object = ms_memfd(_metadata, 1, FEW_PAGES);
	char *base;

	for (unsigned long i = 0; i < mappings; i++) {
		base = ms_map(object, FEW_PAGES * PAGE, PROT_READ);
		ASSERT_NE(MAP_FAILED, base);
		EXPECT_EQ(0, damaged(base, 1, FEW_PAGES));
	}
	EXPECT_EQ(mappings * FEW_PAGES,
		  entries_of_migration(_metadata, object));
	close(object);
}

TEST_HARNESS_MAIN
