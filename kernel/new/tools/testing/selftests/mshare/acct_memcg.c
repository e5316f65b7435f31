// SPDX-License-Identifier: GPL-2.0
/*
 * Pages and page tables of a region are charged to the cgroup of the process
 * that made it, whoever touches them, and as long as the region lives.
 */
#include "mshare_test.h"
#include "lib_cgroup.h"

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	1024UL
#define TABLES	(NPAGES / 512)

FIXTURE(memcg) {
	size_t unit;
	struct peer maker, user;
	long dying;
};

FIXTURE_SETUP(memcg)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(0, cg_create("mshare-maker"));
	ASSERT_EQ(0, cg_create("mshare-user"));
	self->dying = cg_dying_settles(0);
	self->maker = peer_start(_metadata);
	self->user = peer_start(_metadata);
	ASSERT_EQ(0, peer_call(&self->maker, op_enter, L("mshare-maker")));
	ASSERT_EQ(0, peer_call(&self->user, op_enter, L("mshare-user")));
}

FIXTURE_TEARDOWN(memcg)
{
	peer_stop(&self->maker);
	peer_stop(&self->user);
	unlink(MS_DIR "/a");
	EXPECT_EQ(0, cg_remove("mshare-user"));
	cg_remove("mshare-maker");
	/* Nothing holds the cgroups any more. */
	EXPECT_EQ(self->dying, cg_dying_settles(self->dying));
}

#define MAKE() peer_call(&self->maker, op_new, L(MS_DIR "/a"), self->unit)
#define CHARGED(cg, field, bytes) do {					\
	EXPECT_EQ(bytes, cg_stat_settles(cg, field, bytes)) {		\
		TH_LOG("%s of %s", field, cg);				\
	}								\
} while (0)

TEST_F(memcg, pages)
{
	long base;

	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	peer_call(&self->user, op_fill, base, 1, NPAGES);
	CHARGED("mshare-maker", "shmem", NPAGES * PAGE);
	CHARGED("mshare-user", "shmem", 0);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	peer_stop(&self->maker);
	peer_stop(&self->user);
	CHARGED("mshare-maker", "shmem", 0);
}

TEST_F(memcg, tables)
{
	long base, maker, user;

	base = MAKE();
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->maker, op_store, base, 1));
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->user, op_store, base, 1));
	maker = cg_stat("mshare-maker", "pagetables");
	user = cg_stat("mshare-user", "pagetables");
	peer_call(&self->user, op_fill, base, 1, NPAGES * 8);
	CHARGED("mshare-maker", "pagetables", maker + (TABLES * 8 - 1) * PAGE);
	CHARGED("mshare-user", "pagetables", user);
}

TEST_F(memcg, creator_gone)
{
	long base;

	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	peer_call(&self->user, op_fill, base, 1, NPAGES);
	peer_stop(&self->maker);
	peer_call(&self->user, op_fill, base, 1, 2 * NPAGES);
	CHARGED("mshare-maker", "shmem", 2 * NPAGES * PAGE);
	CHARGED("mshare-user", "shmem", 0);
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base, 1, 2 * NPAGES));
}

TEST_F(memcg, cgroup_gone)
{
	long base;

	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	peer_call(&self->user, op_fill, base, 1, NPAGES);
	peer_stop(&self->maker);
	ASSERT_EQ(0, cg_remove("mshare-maker"));
	/* Charged further up from now on, never to the user. */
	peer_call(&self->user, op_fill, base, 1, 4 * NPAGES);
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base, 1, 4 * NPAGES));
	CHARGED("mshare-user", "shmem", 0);
}

TEST_F(memcg, creator_moves)
{
	long base = MAKE();

	/* The cgroup of the moment of creation counts. */
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->maker, op_enter, 0));
	peer_call(&self->maker, op_fill, base, 1, NPAGES);
	CHARGED("mshare-maker", "shmem", NPAGES * PAGE);
}

TEST_F(memcg, user_keeps_its_own)
{
	long base, anon;

	/* The charge is redirected for the region's faults only. */
	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	peer_call(&self->user, op_fill, base, 1, 16);
	anon = peer_sys(&self->user, __NR_mmap, 0, NPAGES * PAGE, RW,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_LT(0, anon);
	peer_call(&self->user, op_fill, anon, 1, NPAGES);
	peer_call(&self->user, op_fill, base, 1, 32);
	EXPECT_LE(NPAGES * PAGE, cg_stat("mshare-user", "anon"));
	CHARGED("mshare-maker", "shmem", 32 * PAGE);
	CHARGED("mshare-user", "shmem", 0);
}

TEST_HARNESS_MAIN
