// SPDX-License-Identifier: GPL-2.0
/*
 * Transparent huge pages in a region: made by a fault, by khugepaged and by
 * ADVISE COLLAPSE; split and made again while processes read and write. The
 * entry of a huge page is in the page that the links point at.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_thp.h"
#include "lib_writers.h"

#define NHUGE		4UL
#define SIZE		(NHUGE * HUGE)
#define NPAGES		(SIZE / PAGE)

FIXTURE(thp) {
	size_t unit;
	char *base;
	int fd;
	struct thp_settings was;
};

FIXTURE_SETUP(thp)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	thp_save(_metadata, &self->was);
	/* Only what a test asks for. */
	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "never"));
	ASSERT_EQ(0, write_file(THP "enabled", "madvise"));
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	/* The upper tables are there before anything is counted. */
	ASSERT_EQ(0, region_map(self->fd, self->unit - PAGE, PAGE, RW,
				ANON | MAP_POPULATE, -1, 0));
}

FIXTURE_TEARDOWN(thp)
{
	thp_restore(_metadata, &self->was);
}

static long pmd_mapped(void)
{
	return meminfo_kb("ShmemPmdMapped");
}

static long settles(long (*count)(void), long want)
{
	for (int i = 0; i < 200 && count() != want; i++)
		usleep(50000);
	return count();
}

/*
 * A table is put aside for each huge page that is mapped, for the day when it
 * is split, on some architectures. On x86 not for shared memory: huge means
 * one table less.
 */
#define TABLES(n)	((n) * PAGE)

TEST_F(thp, always)
{
	long before = pmd_mapped(), huge = meminfo_kb("ShmemHugePages");
	struct mshare_stat was = region_stat(self->fd), st;
	struct peer p = peer_start(_metadata);

	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "always"));
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	for (unsigned int i = 0; i < NHUGE; i++)
		store(self->base + i * HUGE, i);
	st = region_stat(self->fd);
	EXPECT_EQ(before + 8192, pmd_mapped());
	EXPECT_EQ(huge + 8192, meminfo_kb("ShmemHugePages"));
	EXPECT_EQ(was.resident + SIZE, st.resident);
	EXPECT_EQ(was.page_tables, st.page_tables);
	EXPECT_EQ(was.faults + NHUGE, st.faults);
	/* All of it is there after one fault, for everybody. */
	EXPECT_EQ(0, faults_of(self->base, NPAGES, true));
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	EXPECT_EQ(st.page_tables, region_stat(self->fd).page_tables);
	ASSERT_EQ(0, region_unmap(self->fd, 0, SIZE));
	EXPECT_EQ(before, pmd_mapped());
	EXPECT_EQ(huge, meminfo_kb("ShmemHugePages"));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(was.resident, region_stat(self->fd).resident);
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(thp, never)
{
	long before = pmd_mapped();
	struct mshare_stat was = region_stat(self->fd);

	/* The control. */
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_HUGEPAGE));
	fill(self->base, 1, NPAGES);
	EXPECT_EQ(before, pmd_mapped());
	EXPECT_EQ(was.page_tables + TABLES(NHUGE),
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(was.faults + NPAGES, region_stat(self->fd).faults);
}

TEST_F(thp, advise_hugepage)
{
	long before = pmd_mapped();
	struct mshare_stat was = region_stat(self->fd);

	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	store(self->base, 1);
	EXPECT_EQ(before, pmd_mapped());
	/* Half of it, and another part of it not any more. */
	ASSERT_EQ(0, region_advise(self->fd, HUGE, 2 * HUGE, MADV_HUGEPAGE));
	ASSERT_EQ(0, region_advise(self->fd, 2 * HUGE, HUGE,
				   MADV_NOHUGEPAGE));
	for (unsigned int i = 1; i < NHUGE; i++)
		store(self->base + i * HUGE + 5 * PAGE, i);
	EXPECT_EQ(before + 2048, pmd_mapped());
	EXPECT_EQ(was.resident + HUGE + 3 * PAGE,
		  region_stat(self->fd).resident);
	EXPECT_EQ(was.page_tables + TABLES(NHUGE - 1),
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(0, faults_of(self->base + HUGE, 512, true));
}

TEST_F(thp, khugepaged)
{
	struct mshare_stat was = region_stat(self->fd);
	struct peer p = peer_start(_metadata);
	long before = pmd_mapped();

	/* Small first. */
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	fill(self->base, 1, NPAGES);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	EXPECT_EQ(was.page_tables + TABLES(NHUGE),
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(before, pmd_mapped());

	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	thp_hurry(_metadata, "10");
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_HUGEPAGE));
	for (int i = 0; i < 400 && meminfo_kb("ShmemHugePages") < 8192; i++) {
		/* It leaves alone what nobody uses. */
		EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
		usleep(50000);
	}
	EXPECT_LE(8192, meminfo_kb("ShmemHugePages"));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	/* With the small entries, their tables have gone. */
	EXPECT_EQ(before + 8192, settles(pmd_mapped, before + 8192));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(was.resident + SIZE, region_stat(self->fd).resident);
	EXPECT_EQ(0, peer_call(&p, op_fill, L(self->base), 2, NPAGES));
	EXPECT_EQ(0, damaged(self->base, 2, NPAGES));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(thp, collapse)
{
	struct mshare_stat was = region_stat(self->fd);
	struct peer p = peer_start(_metadata);
	long before = pmd_mapped();

	/* Whatever the settings are: it has been asked for. */
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	fill(self->base, 1, NPAGES);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	ASSERT_EQ(0, region_advise(self->fd, HUGE, 2 * HUGE, MADV_COLLAPSE));
	EXPECT_EQ(before + 4096, pmd_mapped());
	EXPECT_EQ(was.page_tables + TABLES(NHUGE - 2),
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(was.resident + SIZE, region_stat(self->fd).resident);
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_COLLAPSE));
	EXPECT_EQ(before + 8192, pmd_mapped());
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, NPAGES));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(thp, collapse_memfd)
{
	int object = ms_memfd(_metadata, 1, 1024);
	long before = pmd_mapped();

	ASSERT_EQ(0, region_map(self->fd, 0, 2 * HUGE, RW, FIXED, object, 0));
	EXPECT_EQ(0, damaged(self->base, 1, 1024));
	ASSERT_EQ(0, region_advise(self->fd, 0, 2 * HUGE, MADV_COLLAPSE));
	EXPECT_EQ(before + 4096, pmd_mapped());
	EXPECT_EQ(0, damaged(self->base, 1, 1024));
	EXPECT_EQ(pattern(1, 700), file_load(object, 700));
	/* Where the offset does not fit it cannot be. */
	ASSERT_EQ(0, region_map(self->fd, 8 * HUGE + PAGE, 2 * HUGE, RW, FIXED,
				object, 0));
	EXPECT_EQ(0, damaged(self->base + 8 * HUGE + PAGE, 1, 1024));
	EXPECT_EQ(before + 4096, pmd_mapped());
	close(object);
}

/* Four ways of taking a part out of a huge page. */
TEST_F(thp, split)
{
	struct mshare_stat was = region_stat(self->fd);
	struct peer p = peer_start(_metadata);
	long before = pmd_mapped(), shmem;
	char *base = self->base;

	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "always"));
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	EXPECT_EQ(0, peer_call(&p, op_fill, L(base), 1, NPAGES));
	ASSERT_EQ(before + 8192, pmd_mapped());
	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "never"));
	shmem = meminfo_kb("Shmem");

	ASSERT_EQ(0, region_protect(self->fd, 3 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(before + 6144, pmd_mapped());
	ASSERT_EQ(0, region_unmap(self->fd, HUGE + 3 * PAGE, 2 * PAGE));
	EXPECT_EQ(before + 4096, pmd_mapped());
	ASSERT_EQ(0, region_advise(self->fd, 2 * HUGE + 3 * PAGE, 2 * PAGE,
				   MADV_REMOVE));
	EXPECT_EQ(before + 2048, pmd_mapped());
	ASSERT_EQ(0, region_map(self->fd, 3 * HUGE + 3 * PAGE, 2 * PAGE,
				PROT_READ, ANON, -1, 0));
	EXPECT_EQ(before, pmd_mapped());
	EXPECT_EQ(CAN(0, ACCERR), access_of(base + 3 * PAGE));
	EXPECT_EQ(CAN(0, 0), access_of(base + 2 * PAGE));
	EXPECT_EQ(CAN(MAPERR, MAPERR), access_of(base + HUGE + 4 * PAGE));
	EXPECT_EQ(0, load(base + 2 * HUGE + 3 * PAGE));
	EXPECT_EQ(0, load(base + 3 * HUGE + 3 * PAGE));
	for (unsigned int i = 0; i < NPAGES; i++) {
		if (i >= 512 && (i % 512 == 3 || i % 512 == 4))
			continue;
		EXPECT_EQ(pattern(1, i), load(base + i * PAGE));
		EXPECT_EQ(pattern(1, i), (uint64_t)peer_call(&p, op_load,
							     L(base + i * PAGE)));
	}
	EXPECT_EQ(was.page_tables + TABLES(NHUGE),
		  region_stat(self->fd).page_tables);
	/* Two pages for each of three, but for those read meanwhile. */
	EXPECT_EQ(shmem - 3 * 8 + 2 * 4, meminfo_kb("Shmem"));
	ASSERT_EQ(0, region_unmap(self->fd, 0, SIZE));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F_TIMEOUT(thp, split_and_collapse_under_users, 400)
{
	const size_t aside = 64 * HUGE;
	unsigned int collapsed = 0;
	time_t end = time(NULL) + 60;
	struct use *use;

	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	/* A neighbour in the same table of links, made huge and small too. */
	ASSERT_EQ(0, region_anon(self->fd, aside, HUGE));
	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	ASSERT_TRUE(use_rounds(use, 2));
	for (int round = 0; round < 40 && time(NULL) < end; round++) {
		const size_t at = round % NHUGE * HUGE + 16 * PAGE;
		int err;

		/* Pages in use can be in the way; then it is another time. */
		for (unsigned int i = 0; i < NHUGE; i++) {
			err = region_advise(self->fd, i * HUGE, HUGE,
					    MADV_COLLAPSE);
			EXPECT_TRUE(!err || err == -EAGAIN || err == -EBUSY) {
				TH_LOG("MADV_COLLAPSE: %s", strerror(-err));
			}
			collapsed += !err;
		}
		ASSERT_TRUE(use_rounds(use, 1));
		/* Without taking anything away from those who use it. */
		ASSERT_EQ(0, region_protect(self->fd, at, 8 * PAGE, RWX));
		ASSERT_TRUE(use_rounds(use, 1));
		ASSERT_EQ(0, region_protect(self->fd, 0, SIZE, RW));
		store(self->base + aside, round);
		ASSERT_EQ(0, region_advise(self->fd, aside, HUGE,
					   MADV_COLLAPSE));
		ASSERT_EQ(0, region_advise(self->fd, aside + PAGE, PAGE,
					   MADV_REMOVE));
		ASSERT_EQ(0, region_unmap(self->fd, aside + 8 * PAGE, PAGE));
		EXPECT_EQ(round, load(self->base + aside));
		ASSERT_EQ(0, region_anon(self->fd, aside, HUGE));
	}
	use_stop(_metadata, use);
	EXPECT_LT(NHUGE, collapsed);
}

/* The same with khugepaged, and contents that go and come back. */
TEST_F_TIMEOUT(thp, khugepaged_under_users, 400)
{
	long before = file_field("/proc/vmstat", "thp_collapse_alloc");
	time_t end = time(NULL) + 40;
	struct use *use;

	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	thp_hurry(_metadata, "1");
	ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_NOHUGEPAGE));
	fill(self->base, 1, NPAGES);
	ASSERT_EQ(0, region_advise(self->fd, 0, SIZE, MADV_HUGEPAGE));
	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	for (int round = 0; round < 60 && time(NULL) < end; round++) {
		ASSERT_TRUE(use_rounds(use, 1));
		/* Paged out in parts, it comes back in small pages. */
		ASSERT_EQ(0, region_advise(self->fd, round % NHUGE * HUGE,
					   round % 2 ? HUGE : 40 * PAGE,
					   MADV_PAGEOUT));
		usleep(100000);
	}
	use_stop(_metadata, use);
	EXPECT_LT(before, file_field("/proc/vmstat", "thp_collapse_alloc"));
}

TEST_HARNESS_MAIN
