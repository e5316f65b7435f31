// SPDX-License-Identifier: GPL-2.0
/*
 * Places of a region's memory, on a machine with two nodes: policies belong to
 * the mapped objects, and are everybody's, as for other shared memory.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include "lib_smaps.h"
#include <linux/mempolicy.h>

#define NPAGES	16UL
#define NODE(n)	(1UL << (n))

FIXTURE(numa) {
	size_t unit;
	struct peer p;
	long other;
	char *base;
	int fd;
};

FIXTURE_SETUP(numa)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one node");
	self->p = peer_start(_metadata);
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, &self->fd);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
}

FIXTURE_TEARDOWN(numa)
{
	if (self->p.pid) {
		EXPECT_EQ(0, peer_stop(&self->p));
	}
}

static long mbind_at(const void *at, size_t pages, int mode,
		     unsigned long nodes, int flags)
{
	long ret = syscall(__NR_mbind, at, pages * PAGE, (long)mode,
			   nodes ? &nodes : NULL, nodes ? 64L : 0L, (long)flags);

	return ret ? -errno : 0;
}

/* In which node page @i is; -ENOENT: nowhere. */
static long node_of(const char *at, unsigned long i)
{
	const void *page = at + i * PAGE;
	int status = -1;

	if (syscall(__NR_move_pages, 0L, 1L, &page, NULL, &status, 0L))
		return -errno;
	return status;
}

static long pages_on(const char *at, unsigned long pages, long node)
{
	long there = 0;

	for (unsigned long i = 0; i < pages; i++)
		there += node_of(at, i) == node;
	return there;
}

static long op_pages_on(const long *a)
{
	return pages_on((char *)a[0], a[1], a[2]);
}

/* New memory of this process. */
static long op_prefer(const long *a)
{
	unsigned long nodes = NODE(a[0]);

	return syscall(__NR_set_mempolicy, MPOL_BIND, &nodes, 64L) ? -errno : 0;
}

/* Policy and nodes of an address as mode << 8 | nodes, or -errno. */
static long policy_at(const void *at)
{
	unsigned long nodes = 0;
	int mode = -1;

	if (syscall(__NR_get_mempolicy, &mode, &nodes, 64L, at, MPOL_F_ADDR))
		return -errno;
	return mode << 8 | nodes;
}

static long op_policy_at(const long *a)
{
	return policy_at((void *)a[0]);
}

#define POLICY(mode, nodes)	((mode) << 8 | (nodes))

/* With a policy for each node, whoever touches the memory, and where. */
TEST_F(numa, bind)
{
	for (int node = 0; node < 2; node++) {
		char *at = self->base + node * NPAGES * PAGE;
		long other = self->other + node * NPAGES * PAGE;

		EXPECT_EQ(0, mbind_at(at, NPAGES, MPOL_BIND, NODE(node), 0));
		ASSERT_EQ(0, peer_call(&self->p, op_prefer, !node));
		EXPECT_EQ(0, peer_call(&self->p, op_fill, other, 1, NPAGES));
		EXPECT_EQ(NPAGES, pages_on(at, NPAGES, node));
		EXPECT_EQ(NPAGES, peer_call(&self->p, op_pages_on, other,
					    NPAGES, node));
		EXPECT_EQ(POLICY(MPOL_BIND, NODE(node)), policy_at(at));
		EXPECT_EQ(POLICY(MPOL_BIND, NODE(node)),
			  peer_call(&self->p, op_policy_at, other));
	}
	/* And no further. */
	EXPECT_EQ(POLICY(MPOL_DEFAULT, 0),
		  policy_at(self->base + 2 * NPAGES * PAGE));
	EXPECT_EQ(0, mbind_at(self->base, NPAGES, MPOL_DEFAULT, 0, 0));
	EXPECT_EQ(POLICY(MPOL_DEFAULT, 0), policy_at(self->base));
	EXPECT_EQ(POLICY(MPOL_BIND, NODE(1)),
		  policy_at(self->base + NPAGES * PAGE));
}

TEST_F(numa, interleave)
{
	EXPECT_EQ(0, mbind_at(self->base, NPAGES, MPOL_INTERLEAVE,
			      NODE(0) | NODE(1), 0));
	fill(self->base, 1, NPAGES);
	EXPECT_EQ(NPAGES / 2, pages_on(self->base, NPAGES, 0));
	EXPECT_EQ(NPAGES / 2, pages_on(self->base, NPAGES, 1));
	EXPECT_EQ(NPAGES / 2, numa_field(self->base, " N0="));
	EXPECT_EQ(NPAGES / 2, numa_field(self->base, " N1="));
	ASSERT_NE(NULL, numa_line(self->base));
	EXPECT_NE(NULL, strstr(numa_line(self->base), " interleave:0-1 ")) {
		TH_LOG("%s", numa_line(self->base));
	}
}

/* Without a policy of the memory's own, that of whoever touches it first. */
TEST_F(numa, set_mempolicy)
{
	ASSERT_EQ(0, peer_call(&self->p, op_prefer, 1));
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other, 1, NPAGES));
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 1));
	ASSERT_EQ(0, peer_call(&self->p, op_prefer, 0));
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other + NPAGES * PAGE,
			       1, NPAGES));
	EXPECT_EQ(NPAGES, pages_on(self->base + NPAGES * PAGE, NPAGES, 0));
}

static void fill_on(struct __test_metadata *_metadata,
		    FIXTURE_DATA(numa) *self, int node)
{
	ASSERT_EQ(0, peer_call(&self->p, op_prefer, node));
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other, 1, NPAGES));
	ASSERT_EQ(NPAGES, pages_on(self->base, NPAGES, node));
}

static void unchanged(struct __test_metadata *_metadata,
		      FIXTURE_DATA(numa) *self)
{
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
}

TEST_F(numa, bind_moves)
{
	fill_on(_metadata, self, 0);
	EXPECT_EQ(-EIO, mbind_at(self->base, NPAGES, MPOL_BIND, NODE(1),
				 MPOL_MF_STRICT));
	/* What another process uses is not moved with MPOL_MF_MOVE. */
	EXPECT_EQ(0, mbind_at(self->base, NPAGES, MPOL_BIND, NODE(1),
			      MPOL_MF_MOVE));
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 0));
	EXPECT_EQ(0, mbind_at(self->base, NPAGES, MPOL_BIND, NODE(1),
			      MPOL_MF_MOVE_ALL));
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 1));
	EXPECT_EQ(NPAGES, peer_call(&self->p, op_pages_on, self->other, NPAGES,
				    1));
	unchanged(_metadata, self);

	ASSERT_EQ(0, peer_sys(&self->p, __NR_munmap, self->other, self->unit));
	EXPECT_EQ(0, mbind_at(self->base, NPAGES, MPOL_BIND, NODE(0),
			      MPOL_MF_MOVE));
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 0));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
}

TEST_F(numa, bind_range)
{
	const unsigned long pages = self->unit / PAGE;

	EXPECT_EQ(0, mbind_at(self->base, pages, MPOL_BIND, NODE(1), 0));
	/* Not part window, part something else. */
	EXPECT_EQ(-EINVAL, mbind_at(self->base + self->unit - PAGE, 2,
				    MPOL_BIND, NODE(0), 0));
	EXPECT_EQ(POLICY(MPOL_BIND, NODE(1)),
		  policy_at(self->base + self->unit - PAGE));
	EXPECT_EQ(-EINVAL, mbind_at(self->base, NPAGES, 99, NODE(0), 0));
	EXPECT_EQ(-EINVAL, mbind_at(self->base, NPAGES, MPOL_BIND, NODE(0),
				    1 << 20));
}

/* It locks the region for all, and may split its mappings. */
TEST_F(numa, bind_of_a_file_opened_to_read)
{
	int rdonly = reopen(self->fd, O_RDONLY);
	char *ro = ms_map(rdonly, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, ro);
	EXPECT_EQ(-EACCES, mbind_at(ro, NPAGES, MPOL_BIND, NODE(1), 0));
	EXPECT_EQ(POLICY(MPOL_DEFAULT, 0), policy_at(self->base));
	close(rdonly);
}

TEST_F(numa, bind_holes)
{
	int fd = ms_container(_metadata, MS_DIR "/b", self->unit);
	char *base = ms_map(fd, self->unit, RW);

	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	EXPECT_EQ(-EFAULT, mbind_at(base, 8, MPOL_BIND, NODE(1), 0));
	EXPECT_EQ(-EFAULT, mbind_at(base + 4 * PAGE, 4, MPOL_BIND, NODE(1), 0));
	EXPECT_EQ(0, mbind_at(base, 4, MPOL_BIND, NODE(1), 0));
	EXPECT_EQ(POLICY(MPOL_DEFAULT, 0), policy_at(base + 4 * PAGE));
	close(fd);
}

TEST_F(numa, get_mempolicy_node)
{
	int node = -1;

	fill_on(_metadata, self, 1);
	EXPECT_EQ(0, syscall(__NR_get_mempolicy, &node, NULL, 0L, self->base,
			     MPOL_F_ADDR | MPOL_F_NODE));
	EXPECT_EQ(1, node);
}

static long move_page(char *at, int node, int flags)
{
	void *page = at;
	int status = -1;

	if (syscall(__NR_move_pages, 0L, 1L, &page, &node, &status,
		    (long)flags) < 0)
		return -errno;
	return status;
}

TEST_F(numa, move_pages)
{
	fill_on(_metadata, self, 0);
	EXPECT_EQ(-EACCES, move_page(self->base, 1, MPOL_MF_MOVE));
	EXPECT_EQ(0, node_of(self->base, 0));
	for (unsigned long i = 0; i < NPAGES; i += 2)
		EXPECT_EQ(1, move_page(self->base + i * PAGE, 1,
				       MPOL_MF_MOVE_ALL));
	EXPECT_EQ(NPAGES / 2, pages_on(self->base, NPAGES, 1));
	EXPECT_EQ(NPAGES / 2, pages_on(self->base, NPAGES, 0));
	unchanged(_metadata, self);
	/* Where nothing is, there and in holes. */
	EXPECT_EQ(-ENOENT, node_of(self->base, NPAGES));
	EXPECT_EQ(-ENOENT, move_page(self->base + NPAGES * PAGE, 1,
				     MPOL_MF_MOVE_ALL));

	ASSERT_EQ(0, peer_sys(&self->p, __NR_munmap, self->other, self->unit));
	EXPECT_EQ(1, move_page(self->base + PAGE, 1, MPOL_MF_MOVE));
	EXPECT_EQ(1, node_of(self->base, 1));
}

TEST_F(numa, migrate_pages)
{
	unsigned long from = NODE(0), to = NODE(1);

	fill_on(_metadata, self, 0);
	/* Of the other process, with the right to move what is shared. */
	EXPECT_EQ(0, syscall(__NR_migrate_pages, (long)self->p.pid, 64L, &from,
			     &to));
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 1));
	unchanged(_metadata, self);
}

/* Without CAP_SYS_NICE only what nobody else uses. */
static int migrate_unprivileged(void *arg)
{
	unsigned long from = NODE(1), to = NODE(0);

	CHECK(!op_unprivileged(NULL));
	CHECK(syscall(__NR_migrate_pages, 0L, 64L, &from, &to) >= 0);
	CHECK(pages_on(arg, NPAGES, 1) == NPAGES);
	return 0;
}

TEST_F(numa, migrate_pages_unprivileged)
{
	fill_on(_metadata, self, 1);
	EXPECT_EQ(0, in_child(migrate_unprivileged, self->base));
	unchanged(_metadata, self);
}

TEST_F(numa, hugetlb)
{
	int fd = ms_container(_metadata, MS_DIR "/huge", self->unit);
	char *base = ms_map(fd, self->unit, RW);

	ASSERT_NE(MAP_FAILED, base);
	if (hugepage_pool(8) < 8)
		SKIP(return, "no huge pages");
	ASSERT_EQ(0, region_map(fd, 0, 2 * HUGE, RW, ANON | MAP_HUGETLB, -1, 0));
	for (int node = 0; node < 2; node++) {
		char *at = base + node * HUGE;

		EXPECT_EQ(0, mbind_at(at, HUGE / PAGE, MPOL_BIND, NODE(node),
				      0));
		store(at, 1);
		EXPECT_EQ(node, node_of(at, 0));
	}
	EXPECT_EQ(0, mbind_at(base, HUGE / PAGE, MPOL_BIND, NODE(1),
			      MPOL_MF_MOVE_ALL));
	EXPECT_EQ(1, node_of(base, 5));
	EXPECT_EQ(1, load(base));
	EXPECT_EQ(0, munmap(base, self->unit));
	close(fd);
	unlink(MS_DIR "/huge");
	hugepage_pool(0);
}

#define BALANCING "/sys/kernel/debug/sched/numa_balancing/"

/* The scanner comes to new memory at once, and again after a tenth of a second. */
static int scan_often(void)
{
	int err = write_file(BALANCING "scan_delay_ms", "10");

	err = err ?: write_file(BALANCING "scan_period_min_ms", "100");
	err = err ?: write_file(BALANCING "scan_period_max_ms", "100");
	return err ?: write_file("/proc/sys/kernel/numa_balancing", "1");
}

/*
 * The scanner makes entries inaccessible to see who comes. Those of a region
 * are everybody's, and are left alone: no hinting faults. Ordinary memory of
 * the same process shows that the scanner has been there, more than once.
 */
TEST_F(numa, balancing)
{
	const unsigned long pages = 1024;
	char *plain = mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	const long enough = vmstat("numa_pte_updates") + 2 * pages;
	time_t end = time(NULL) + 60;
	unsigned int round = 0;
	long faults = 0, before;

	ASSERT_NE(MAP_FAILED, plain);
	fill_on(_metadata, self, 1);
	fill(plain, 2, pages);
	ASSERT_EQ(0, scan_often());
	while (vmstat("numa_pte_updates") < enough && time(NULL) < end) {
		/* Of a single thread, pages of its own node are left alone. */
		pin(round++ % 2 ? cpus() - 1 : 0);
		for (int i = 0; i < 200; i++)
			EXPECT_EQ(0, damaged(plain, 2, pages));
		before = minor_faults();
		EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
		faults += minor_faults() - before;
	}
	write_file("/proc/sys/kernel/numa_balancing", "0");
	EXPECT_LE(enough, vmstat("numa_pte_updates")) {
		TH_LOG("the scanner did not come");
	}
	/* Its own code may be hinted; a scan of the window is each page. */
	EXPECT_GT(NPAGES, faults);
	EXPECT_EQ(NPAGES, pages_on(self->base, NPAGES, 1));
	unchanged(_metadata, self);
}

TEST_HARNESS_MAIN
