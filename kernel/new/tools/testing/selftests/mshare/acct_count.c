// SPDX-License-Identifier: GPL-2.0
/*
 * What a region costs, exactly: page tables by VmPTE and PageTables, faults by
 * minflt, RSS. Ordinary shared memory is measured in the same way beside it, so
 * that a measure that shows nothing is noticed.
 */
#include "mshare_test.h"
#include <sys/personality.h>

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	4096UL			/* 8 tables of 512 entries */
#define TABLES	(NPAGES / 512)
#define PEERS	8

MS_FIXTURE(count)

/*
 * Where address spaces are laid out at random, one process in some hundreds has
 * its mappings at the edge of a 512 GiB slot: not where exact numbers are
 * wanted.
 */
static void __attribute__((constructor(101))) fixed_layout(int argc,
							   char **argv)
{
	int now = personality(0xffffffff);

	(void)argc;
	if (now & ADDR_NO_RANDOMIZE)
		return;
	personality(now | ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
}

/* In a peer: maps fd a[0] at a[1], touches a[3] pages. The growth of VmPTE. */
static long op_cost(const long *a)
{
	long before = status_kb("VmPTE");
	char *base = mmap((void *)a[1], a[2], RW,
			  MAP_SHARED | (a[1] ? MAP_FIXED_NOREPLACE : 0), a[0],
			  0);

	if (base == MAP_FAILED)
		return -errno;
	for (long i = 0; i < a[3]; i++)
		load(base + i * PAGE);
	return status_kb("VmPTE") - before;
}

static long op_faults_of(const long *a)
{
	return faults_of((char *)a[0], a[1], a[2]);
}

static long op_status(const long *a)
{
	return status_kb((char *)a[0]);
}

TEST_F(count, tables_of_one_more_process)
{
	struct peer p = peer_start(_metadata);
	char *base, *slot = (char *)(1UL << 45);
	long fd;

	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, NPAGES);
	/* Reading /proc makes the peer warm. */
	peer_call(&p, op_status, L("VmPTE"));
	fd = peer_open(&p, MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd);
	/* Where it has tables: nothing at all. */
	EXPECT_EQ(0, peer_call(&p, op_cost, fd, 0, self->unit, NPAGES));
	EXPECT_EQ(0, peer_call(&p, op_cost, fd, 0, self->unit, NPAGES));
	/* In 512 GiB of its own: the page that holds the link. */
	EXPECT_EQ(4, peer_call(&p, op_cost, fd, L(slot), self->unit, NPAGES));
	/* And there is room in it. */
	EXPECT_EQ(0, peer_call(&p, op_cost, fd, L(slot + self->unit),
			       self->unit, NPAGES));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(count, tables_of_ordinary_memory)
{
	struct peer p = peer_start(_metadata);
	int fd = memfd_create("ordinary", 0);
	char *base;

	/* The same with a memfd: what the above is saved from. */
	ASSERT_EQ(0, ftruncate(fd, self->unit));
	base = ms_map(fd, self->unit, RW);
	fill(base, 1, NPAGES);
	peer_call(&p, op_status, L("VmPTE"));
	fd = peer_sys(&p, __NR_pidfd_getfd,
		      peer_sys(&p, __NR_pidfd_open, getpid(), 0), fd, 0);
	ASSERT_LE(0, fd);
	EXPECT_LE(TABLES * 4, peer_call(&p, op_cost, fd, 0, self->unit,
					NPAGES));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(count, page_tables_of_many_processes)
{
	struct peer p[PEERS];
	long before, fd[PEERS];
	char *base;

	for (int i = 0; i < PEERS; i++)
		p[i] = peer_start(_metadata);
	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, NPAGES);
	for (int i = 0; i < PEERS; i++) {
		fd[i] = peer_open(&p[i], MS_DIR "/a", O_RDWR);
		ASSERT_LE(0, fd[i]);
		/* All that a peer needs for itself, it gets here. */
		EXPECT_EQ(0, peer_call(&p[i], op_cost, fd[i], 0, self->unit,
				       1));
	}
	before = other_tables_kb();
	for (int i = 0; i < PEERS; i++) {
		EXPECT_EQ(0, peer_call(&p[i], op_cost, fd[i], 0, self->unit,
				       NPAGES));
	}
	EXPECT_EQ(before, other_tables_kb());
	for (int i = 0; i < PEERS; i++) {
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
}

TEST_F(count, tables_of_the_region)
{
	const size_t table = 2UL << 20;
	char *base;
	long before, now, own;

	before = other_tables_kb();
	own = status_kb("VmPTE");
	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	store(base, 1);
	now = other_tables_kb();
	/* One table with entries, and at most one of each level above it. */
	EXPECT_LE(before + 4, now);
	EXPECT_GE(before + 3 * 4, now) {
		TH_LOG("tables of a region with one page: %ld kB",
		       now - before);
	}
	EXPECT_EQ(own, status_kb("VmPTE"));
	/* From here on 4 KiB for each 2 MiB, whoever touches it. */
	for (unsigned int i = 1; i < 64; i++)
		store(base + i * table, i);
	EXPECT_EQ(now + 63 * 4, other_tables_kb());
	for (unsigned int i = 1; i < 64; i++)
		store(base + i * table + 7 * PAGE, i);
	EXPECT_EQ(now + 63 * 4, other_tables_kb());
	EXPECT_EQ(own, status_kb("VmPTE"));

	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(before, other_tables_settle(before));
}

TEST_F(count, faults_first_touch)
{
	char *base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);

	/* One each, as in any shared memory; the second time none. */
	EXPECT_EQ(256, faults_of(base, 256, true));
	EXPECT_EQ(0, faults_of(base, 256, true));
	EXPECT_EQ(0, faults_of(base, 256, false));
	EXPECT_EQ(256, faults_of(base + 512 * PAGE, 256, false));
}

TEST_F(count, faults_of_second_process)
{
	struct peer p = peer_start(_metadata), q = peer_start(_metadata);
	long base;

	base = L(ms_new(_metadata, MS_DIR "/a", self->unit, NULL));
	fill((char *)base, 1, NPAGES);
	base = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&p, op_faults_of, base, NPAGES, false));
	EXPECT_EQ(0, peer_call(&p, op_faults_of, base, NPAGES, true));
	base = peer_attach(&q, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&q, op_faults_of, base, NPAGES, false));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&q));
}

TEST_F(count, faults_after_other_process)
{
	struct peer p = peer_start(_metadata);
	char *base;
	long other;

	/*
	 * Attached first, populated by another later: at most the one fault
	 * that finds the region's table, which was not there to be linked.
	 */
	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	fill(base, 1, NPAGES);
	EXPECT_GE(1, peer_call(&p, op_faults_of, other, NPAGES, false));
	/* With a table of the unit there, none. */
	fill(base + NPAGES * PAGE, 1, NPAGES);
	EXPECT_EQ(0, peer_call(&p, op_faults_of, other + NPAGES * PAGE, NPAGES,
			       true));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(count, mmap_does_not_populate)
{
	long shmem = meminfo_kb("Shmem");
	char *base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);

	EXPECT_EQ(shmem, meminfo_kb("Shmem"));
	fill(base, 1, 100);
	EXPECT_EQ(shmem + 400, meminfo_kb("Shmem"));
}

TEST_F(count, resident_set)
{
	struct peer p = peer_start(_metadata);
	long base, shmem, all;

	/* The region's memory is nobody's RSS: it is not counted N times. */
	base = L(ms_new(_metadata, MS_DIR "/a", self->unit, NULL));
	shmem = status_kb("RssShmem");
	fill((char *)base, 1, NPAGES);
	EXPECT_EQ(shmem, status_kb("RssShmem"));
	base = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	shmem = peer_call(&p, op_status, L("RssShmem"));
	all = peer_call(&p, op_status, L("VmSize"));
	EXPECT_LE(self->unit / 1024, all);
	EXPECT_EQ(0, peer_call(&p, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(shmem, peer_call(&p, op_status, L("RssShmem")));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(count, tables_of_a_fork)
{
	long none, plain, with;
	struct peer p;
	char *base;

	/* A child costs the same with a populated window as without. */
	p = peer_start(_metadata);
	peer_call(&p, op_status, L("VmPTE"));
	plain = peer_call(&p, op_status, L("VmPTE"));
	EXPECT_EQ(0, peer_stop(&p));

	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, NPAGES);
	none = other_tables_kb();
	p = peer_start(_metadata);
	peer_call(&p, op_status, L("VmPTE"));
	with = peer_call(&p, op_status, L("VmPTE"));
	EXPECT_EQ(plain, with);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(base), 1, NPAGES));
	EXPECT_EQ(with, peer_call(&p, op_status, L("VmPTE")));
	EXPECT_EQ(none + with, other_tables_kb());
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(count, statm_after_munmap)
{
	long before, own;
	char *base;

	own = status_kb("VmPTE");
	before = status_kb("VmSize");
	for (int i = 0; i < 10; i++) {
		base = ms_new(_metadata, MS_DIR "/a", 4 * self->unit, NULL);
		fill(base, 1, 100);
		EXPECT_EQ(before + 4 * self->unit / 1024, status_kb("VmSize"));
		EXPECT_EQ(0, munmap(base, 4 * self->unit));
		EXPECT_EQ(0, unlink(MS_DIR "/a"));
	}
	EXPECT_EQ(before, status_kb("VmSize"));
	EXPECT_GE(own, status_kb("VmPTE"));
}

TEST_HARNESS_MAIN
