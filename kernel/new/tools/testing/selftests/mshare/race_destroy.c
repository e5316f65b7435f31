// SPDX-License-Identifier: GPL-2.0
/*
 * khugepaged allocates a huge page for a file that it found in the host mm of a
 * region, and asks for the cgroup that pays, while the region is destroyed. It
 * holds no lock and no more than the mm_struct then.
 *
 * A switch that only debug builds have makes khugepaged wait in the middle of
 * it. That the kernel does not complain is looked at by who runs this.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_thp.h"

#define MEMCG_DELAY	"/sys/kernel/debug/mshare/memcg_delay"
#define DELAY		"50"	/* milliseconds */
#define MAPS		8UL	/* huge pages to be made */
#define SECONDS		20

FIXTURE(destroy) {
	size_t unit;
	struct thp_settings was;
};

FIXTURE_SETUP(destroy)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	if (access(MEMCG_DELAY, W_OK))
		SKIP(return, "only debug kernels can make khugepaged wait");
	thp_save(_metadata, &self->was);
	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	ASSERT_EQ(0, write_file(THP "khugepaged/max_ptes_none", "511"));
	thp_hurry(_metadata, "0");
	ASSERT_EQ(0, write_file(MEMCG_DELAY, DELAY));
}

FIXTURE_TEARDOWN(destroy)
{
	EXPECT_EQ(0, write_file(MEMCG_DELAY, "0"));
	thp_restore(_metadata, &self->was);
}

/* A region with a page in each of MAPS ranges that may become huge pages. */
static void make_and_destroy(struct __test_metadata *_metadata, size_t unit,
			     unsigned int usec)
{
	int fd = ms_container(_metadata, MS_DIR "/a", unit);
	char *base = ms_map(fd, unit, RW);

	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, region_anon(fd, 0, MAPS * HUGE));
	for (unsigned long i = 0; i < MAPS; i++)
		store(base + i * HUGE + PAGE, i + 1);
	ASSERT_EQ(0, region_advise(fd, 0, MAPS * HUGE, MADV_HUGEPAGE));
	usleep(usec);
	/* It may be at any of them now, waiting. */
	ASSERT_EQ(0, munmap(base, unit));
	ASSERT_EQ(0, unlink(MS_DIR "/a"));
	ASSERT_EQ(0, close(fd));
}

TEST_F_TIMEOUT(destroy, while_khugepaged_charges, 120)
{
	long alloc = vmstat("thp_collapse_alloc");
	time_t end = time(NULL) + SECONDS;
	unsigned int rounds;

	for (rounds = 0; time(NULL) < end; rounds++)
		make_and_destroy(_metadata, self->unit,
				 rounds * 3700 % 100000);
	alloc = vmstat("thp_collapse_alloc") - alloc;
	TH_LOG("%u regions, %ld huge pages", rounds, alloc);
	/* It was there, and went on after each of them. */
	EXPECT_LT(4, rounds);
	EXPECT_LT(0, alloc);
}

TEST_HARNESS_MAIN
