// SPDX-License-Identifier: GPL-2.0
/*
 * What memory in a container is counted as, and limited by: overcommit, size=
 * of the mount, resident pages, page tables; MAP_POPULATE and MAP_NORESERVE.
 */
#include "mshare_test.h"
#include "lib_container.h"

#define OVERCOMMIT	"/proc/sys/vm/overcommit_memory"

FIXTURE(account) {
	size_t unit, size;
	char *base;
	int fd;
};

FIXTURE_SETUP(account)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->size = UNITS * self->unit;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

FIXTURE_TEARDOWN(account)
{
	/* As ms_setup() wants it. */
	EXPECT_EQ(0, write_file(OVERCOMMIT, "1"));
}

static long committed(void)
{
	return meminfo_kb("Committed_AS");
}

TEST_F(account, populate)
{
	long shmem = meminfo_kb("Shmem");
	struct mshare_stat was, st;

	/* One page first: the upper levels of the table are there then. */
	ASSERT_EQ(0, region_map(self->fd, 0, PAGE, RW, ANON | MAP_POPULATE, -1,
				0));
	was = region_stat(self->fd);
	EXPECT_EQ(PAGE, was.resident);
	EXPECT_EQ(shmem + 4, meminfo_kb("Shmem"));
	ASSERT_EQ(0, region_map(self->fd, HUGE, 2 * HUGE, RW,
				ANON | MAP_POPULATE, -1, 0));
	st = region_stat(self->fd);
	EXPECT_EQ(PAGE + 2 * HUGE, st.resident);
	EXPECT_EQ(was.page_tables + 2 * PAGE, st.page_tables);
	EXPECT_EQ(shmem + 4 + 4096, meminfo_kb("Shmem"));
	/* All there is to fault in is the link of this process. */
	EXPECT_GE(1, faults_of(self->base + HUGE, 1024, true));
	EXPECT_EQ(0, damaged(self->base + HUGE, 1, 1024));

	/* Read-only memory is populated, too, and that of a file. */
	ASSERT_EQ(0, region_map(self->fd, 8 * MIB, 16 * PAGE, PROT_READ,
				ANON | MAP_POPULATE, -1, 0));
	EXPECT_EQ(st.resident + 16 * PAGE, region_stat(self->fd).resident);
	ASSERT_EQ(0, region_map(self->fd, 9 * MIB, 16 * PAGE, RW,
				FIXED | MAP_POPULATE,
				ms_memfd(_metadata, 1, 16), 0));
	EXPECT_EQ(st.resident + 32 * PAGE, region_stat(self->fd).resident);
	/* So is what can be written and not read. */
	ASSERT_EQ(0, region_map(self->fd, 11 * MIB, 16 * PAGE, PROT_WRITE,
				ANON | MAP_POPULATE, -1, 0));
	EXPECT_EQ(st.resident + 48 * PAGE, region_stat(self->fd).resident);
	/* What is not accessible is not, and that is no error. */
	ASSERT_EQ(0, region_map(self->fd, 10 * MIB, 16 * PAGE, PROT_NONE,
				ANON | MAP_POPULATE, -1, 0));
	EXPECT_EQ(st.resident + 48 * PAGE, region_stat(self->fd).resident);
}

TEST_F(account, populate_partly)
{
	int object = ms_memfd(_metadata, 1, 8);
	uint64_t val;

	/* As far as the file goes: mmap(2) does not tell, either. */
	ASSERT_EQ(0, region_map(self->fd, 0, 16 * PAGE, RW,
				FIXED | MAP_POPULATE, object, 0));
	EXPECT_EQ(8 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(0, damaged(self->base, 1, 8));
	EXPECT_EQ(BUS_END, probe_read(self->base + 8 * PAGE, &val));
}

TEST_F(account, not_populated)
{
	long shmem = meminfo_kb("Shmem");

	ASSERT_EQ(0, region_anon(self->fd, 0, self->size));
	EXPECT_EQ(shmem, meminfo_kb("Shmem"));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	fill(self->base, 1, 100);
	EXPECT_EQ(shmem + 400, meminfo_kb("Shmem"));
	EXPECT_EQ(100 * PAGE, region_stat(self->fd).resident);
}

TEST_F(account, committed)
{
	const long before = committed(), kb = 64 << 10;

	/* The whole of it at once, whatever is touched. */
	ASSERT_EQ(0, region_anon(self->fd, 0, 64 * MIB));
	EXPECT_EQ(before + kb, committed());
	fill(self->base, 1, 256);
	EXPECT_EQ(before + kb, committed());
	/* Nothing is charged for it again. */
	ASSERT_EQ(0, region_protect(self->fd, 0, 32 * MIB, PROT_READ));
	ASSERT_EQ(0, region_protect(self->fd, 0, 32 * MIB, RW));
	EXPECT_EQ(before + kb, committed());
	ASSERT_EQ(0, region_unmap(self->fd, 0, 64 * MIB));
	EXPECT_EQ(before, committed());

	/* A replacement: the old one's charge goes when the new one is there */
	ASSERT_EQ(0, region_anon(self->fd, 0, 64 * MIB));
	ASSERT_EQ(0, region_anon(self->fd, 0, 64 * MIB));
	EXPECT_EQ(before + kb, committed());
	ASSERT_EQ(0, region_unmap(self->fd, 0, 16 * MIB));
	ASSERT_EQ(0, region_unmap(self->fd, 16 * MIB, 48 * MIB));
	EXPECT_EQ(before, committed());

	/* A file has paid for itself. */
	ASSERT_EQ(0, region_map(self->fd, 0, 64 * MIB, RW, FIXED,
				memfd_create("empty", MFD_CLOEXEC), 0));
	EXPECT_EQ(before, committed());
}

TEST_F(account, committed_noreserve)
{
	const long before = committed();

	/* Page by page, as they are made. */
	ASSERT_EQ(0, region_map(self->fd, 0, self->size, RW,
				ANON | MAP_NORESERVE, -1, 0));
	EXPECT_EQ(before, committed());
	fill(self->base, 1, 256);
	EXPECT_EQ(before + 1024, committed());
	ASSERT_EQ(0, region_unmap(self->fd, 0, 128 * PAGE));
	EXPECT_EQ(before + 512, committed());
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->size));
	EXPECT_EQ(before, committed());
}

TEST_F(account, overcommit_refused)
{
	const uint64_t all = 64 * self->unit;
	struct mshare_mapping m;
	long before;

	ASSERT_EQ(0, munmap(self->base, self->size));
	ASSERT_EQ(0, ftruncate(self->fd, all));
	before = committed();
	/* Far more than there is. */
	ASSERT_EQ(0, write_file(OVERCOMMIT, "0"));
	EXPECT_EQ(-ENOMEM, region_anon(self->fd, 0, all));
	EXPECT_EQ(-ENOENT, region_next(self->fd, 0, &m));
	EXPECT_EQ(before, committed());
	EXPECT_EQ(0, region_map(self->fd, 0, all, RW, ANON | MAP_NORESERVE,
				-1, 0));
	EXPECT_EQ(0, region_unmap(self->fd, 0, all));
	/* Where nothing may be promised, it is no use to ask for that. */
	ASSERT_EQ(0, write_file(OVERCOMMIT, "2"));
	EXPECT_EQ(-ENOMEM, region_anon(self->fd, 0, all));
	EXPECT_EQ(-ENOMEM, region_map(self->fd, 0, all, RW,
				      ANON | MAP_NORESERVE, -1, 0));
	EXPECT_EQ(-ENOENT, region_next(self->fd, 0, &m));
	EXPECT_EQ(before, committed());
	EXPECT_EQ(0, region_anon(self->fd, 0, MIB));
	EXPECT_EQ(before + 1024, committed());
	EXPECT_EQ(0, region_unmap(self->fd, 0, MIB));
	EXPECT_EQ(before, committed());
}

TEST_F(account, mount_size)
{
	char *base, *second;
	struct statfs sf;
	int fd, other;
	long n;

	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", 0, "size=1m"));
	fd = ms_container(_metadata, "/tmp/a", self->unit);
	other = ms_container(_metadata, "/tmp/b", self->unit);
	base = ms_map(fd, self->unit, RW);
	second = ms_map(other, self->unit, RW);
	/* A limit of what is used, not of what is mapped. */
	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	ASSERT_EQ(0, region_anon(fd, 4 * MIB, 4 * MIB));
	ASSERT_EQ(0, region_anon(other, 0, 4 * MIB));
	/* Objects that are not of the mount do not count, but for tables. */
	ASSERT_EQ(0, region_map(fd, 8 * MIB, 8 * PAGE, RW, FIXED,
				ms_memfd(_metadata, 4, 8), 0));
	EXPECT_EQ(0, damaged(base + 8 * MIB, 4, 8));
	EXPECT_EQ(overhead_blocks(fd), used_blocks("/tmp"));
	fill(base, 1, 100);
	fill(base + 4 * MIB, 2, 56);
	store(second, pattern(3, 0));
	EXPECT_EQ(157 + overhead_blocks(fd) + overhead_blocks(other),
		  used_blocks("/tmp"));
	/* The rest of it. */
	ASSERT_EQ(0, statfs("/tmp", &sf));
	EXPECT_EQ(256, sf.f_blocks);
	n = 1 + sf.f_bfree;
	fill(second, 3, n);
	EXPECT_EQ(BUS_END, probe_write(base + 200 * PAGE, 1));
	EXPECT_EQ(BUS_END, probe_write(second + 200 * PAGE, 1));
	EXPECT_ERR(EFAULT, syscall(__NR_getrandom, base + 300 * PAGE, 8L, 0L));
	ASSERT_EQ(0, statfs("/tmp", &sf));
	EXPECT_EQ(0, sf.f_bfree);
	EXPECT_EQ(0, damaged(base, 1, 100));
	EXPECT_EQ(0, damaged(base + 4 * MIB, 2, 56));
	EXPECT_EQ(0, damaged(second, 3, n));
	EXPECT_EQ(0, damaged(base + 8 * MIB, 4, 8));

	/* Room for one is room for another. */
	ASSERT_EQ(0, region_unmap(fd, 0, 10 * PAGE));
	ASSERT_EQ(0, statfs("/tmp", &sf));
	ASSERT_EQ(10, sf.f_bfree);
	fill(second + 200 * PAGE, 3, 10);
	EXPECT_EQ(BUS_END, probe_write(second + 210 * PAGE, 1));
	/* To populate more than there is, is as with mmap(2) no error. */
	ASSERT_EQ(0, region_unmap(fd, 10 * PAGE, 10 * PAGE));
	ASSERT_EQ(0, region_map(fd, 0, 20 * PAGE, RW, ANON | MAP_POPULATE, -1,
				0));
	ASSERT_EQ(0, statfs("/tmp", &sf));
	EXPECT_EQ(0, sf.f_bfree);
	ASSERT_EQ(0, region_unmap(fd, 0, self->unit));
	ASSERT_EQ(0, region_unmap(other, 0, self->unit));
	EXPECT_EQ(0, region_stat(fd).mappings);
	EXPECT_EQ(overhead_blocks(fd) + overhead_blocks(other),
		  used_blocks("/tmp"));
	/* What is left are tables that links of this process point at. */
	EXPECT_GE(4, used_blocks("/tmp"));
	ASSERT_EQ(0, munmap(base, self->unit));
	ASSERT_EQ(0, munmap(second, self->unit));
	EXPECT_EQ(0, used_settle("/tmp", 0));
}

TEST_F(account, page_tables)
{
	struct mshare_stat was;
	long tables;

	ASSERT_EQ(0, region_anon(self->fd, 0, 64 * MIB));
	store(self->base, 1);
	was = region_stat(self->fd);
	tables = other_tables_kb();
	for (unsigned int i = 1; i < 32; i++)
		store(self->base + i * HUGE, i);
	EXPECT_EQ(was.page_tables + 31 * PAGE,
		  region_stat(self->fd).page_tables);
	EXPECT_EQ(tables + 31 * 4, other_tables_kb());
	EXPECT_EQ(32 * PAGE, region_stat(self->fd).resident);
	ASSERT_EQ(0, region_unmap(self->fd, HUGE, 31 * HUGE));
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(tables, other_tables_settle(tables));
	EXPECT_EQ(PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(1, load(self->base));
}

/* Thousandths of RAM and swap that the OOM killer sees in a process. */
static long oom_score(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/oom_score", pid);
	return file_number(path);
}

/*
 * To kill all processes that are attached to a region may free it: each of them
 * weighs its part of the region more than a process that has no window.
 */
TEST_F(account, oom_score)
{
	const uint64_t size = 256 * MIB;
	struct peer p, q, none;
	long kb, weight, alone, both;

	/* The peers come by fork, and are not to have a window. */
	ASSERT_EQ(0, munmap(self->base, self->size));
	p = peer_start(_metadata);
	q = peer_start(_metadata);
	none = peer_start(_metadata);
	ASSERT_EQ(0, region_anon(self->fd, 0, size));
	ASSERT_EQ(0, region_advise(self->fd, 0, size, MADV_POPULATE_WRITE));
	ASSERT_EQ(size, region_stat(self->fd).resident);
	/* A score is two thirds of the thousandths, above that of nothing. */
	kb = meminfo_kb("MemTotal") + meminfo_kb("SwapTotal");
	weight = size / KIB * 1000 / kb * 2 / 3;
	ASSERT_LT(4, weight);
	EXPECT_GE(oom_score(none.pid) + 2, oom_score(p.pid));

	ASSERT_LT(0, peer_attach(&p, MS_DIR "/a", O_RDWR, RW));
	alone = oom_score(p.pid);
	EXPECT_LE(oom_score(none.pid) + weight - 2, alone);
	ASSERT_LT(0, peer_attach(&q, MS_DIR "/a", O_RDWR, RW));
	both = oom_score(p.pid);
	EXPECT_GE(alone - weight / 2 + 2, both);
	EXPECT_LE(oom_score(none.pid) + weight / 2 - 2, both);
	EXPECT_GE(both + 2, oom_score(q.pid));
	EXPECT_LE(both - 2, oom_score(q.pid));
	/* A window more is no further process. */
	ASSERT_LT(0, peer_attach(&q, MS_DIR "/a", O_RDONLY, PROT_READ));
	EXPECT_LE(both - 2, oom_score(p.pid));
	EXPECT_EQ(0, peer_stop(&q));
	EXPECT_LE(alone - 2, oom_score(p.pid));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&none));
}

TEST_HARNESS_MAIN
