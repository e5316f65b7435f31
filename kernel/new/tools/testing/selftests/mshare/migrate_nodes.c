// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a region on a machine with two nodes: they move from one to the
 * other under many attached processes, with few flushes.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_attached.h"
#include "lib_pfn.h"
#include "lib_writers.h"

#define NPAGES		2048UL
#define SIZE		(NPAGES * PAGE)
#define MPOL_MF_MOVE_ALL	(1 << 2)
#define CROWD		16

FIXTURE(nodes) {
	size_t unit;
	int fd, object;
	char *base;
	struct crowd crowd;
};

FIXTURE_SETUP(nodes)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(0, access("/sys/devices/system/node/node1", F_OK)) {
		TH_LOG("needs a machine with two nodes");
	}
	/* Where memory comes from at first. */
	pin(0);
	self->crowd = crowd_start(_metadata, CROWD);
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	self->object = ms_memfd(_metadata, 1, NPAGES);
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	ASSERT_EQ(0, region_map(self->fd, 0, SIZE, RW, FIXED, self->object,
				0));
	crowd_attach(_metadata, &self->crowd, MS_DIR "/a", self->unit);
	EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1, NPAGES));
}

FIXTURE_TEARDOWN(nodes)
{
	crowd_stop(_metadata, &self->crowd);
}

/*
 * Moves the first @n pages at @at to @node, or with -1 moves nothing. How many
 * are there then, on @on; -errno.
 */
static long move_pages_to(char *at, unsigned long n, int node, int on)
{
	static int nodes[NPAGES], status[NPAGES];
	static void *pages[NPAGES];
	long count = 0;

	for (unsigned long i = 0; i < n; i++) {
		pages[i] = at + i * PAGE;
		nodes[i] = node;
		status[i] = -EIO;
	}
	if (syscall(__NR_move_pages, 0, n, pages, node < 0 ? NULL : nodes,
		    status, node < 0 ? 0 : MPOL_MF_MOVE_ALL) < 0)
		return -errno;
	for (unsigned long i = 0; i < n; i++)
		count += status[i] == on;
	return count;
}

/* In ordinary memory, without waiting for anybody: a mapping of the object. */
static char *plain(struct __test_metadata *_metadata, int object)
{
	char *at = ms_map(object, SIZE, PROT_READ);

	ASSERT_NE(MAP_FAILED, at);
	EXPECT_EQ(0, damaged(at, 1, NPAGES));
	return at;
}

static void move_both_ways(struct __test_metadata *_metadata,
			   FIXTURE_DATA(nodes) *self, char *at)
{
	char *look = plain(_metadata, self->object);
	uint64_t flushes;

	for (int node = 1; node >= 0; node--) {
		drain_lru();
		flushes = region_stat(self->fd).flushes;
		EXPECT_EQ(NPAGES, move_pages_to(at ? at : look, NPAGES, node,
						node));
		flushes = region_stat(self->fd).flushes - flushes;
		EXPECT_LT(0, flushes);
		EXPECT_GE(NPAGES / 64, flushes) {
			TH_LOG("%lu flushes for %lu pages", flushes, NPAGES);
		}
		/* It is really there. */
		EXPECT_EQ(NPAGES, move_pages_to(look, NPAGES, -1, node));
		EXPECT_EQ(0, crowd_call(&self->crowd, op_crowd_damaged, 1,
					NPAGES));
	}
}

/* From outside of the region; what a migration does that is not asked for. */
TEST_F(nodes, flushes_of_migration)
{
	move_both_ways(_metadata, self, NULL);
}

TEST_F(nodes, move_pages_of_a_window)
{
	move_both_ways(_metadata, self, self->base);
}

TEST_F_TIMEOUT(nodes, migration_in_use, 300)
{
	char *at = plain(_metadata, self->object);
	unsigned long sum = 0;
	struct use *use;
	long n;

	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	for (unsigned int round = 0; another_round(round, 20); round++) {
		n = move_pages_to(at, NPAGES, 1 - round % 2, 1 - round % 2);
		/* A page that is in use at the moment may stay. */
		EXPECT_LE(0, n);
		sum += n;
		ASSERT_TRUE(use_rounds(use, 1));
	}
	EXPECT_LE(NPAGES / 2, sum);
	use_stop(_metadata, use);
}

TEST_HARNESS_MAIN
