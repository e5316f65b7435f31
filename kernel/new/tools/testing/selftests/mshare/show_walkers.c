// SPDX-License-Identifier: GPL-2.0
/*
 * What looks at, or marks, a process's page tables from /proc and /sys: it
 * tells the truth about a window and changes nothing in the region.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include "lib_smaps.h"

#define NPAGES	32

FIXTURE(walkers) {
	size_t unit;
	struct peer p;
	long other;
	char *base;
	int fd;
};

FIXTURE_SETUP(walkers)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, &self->fd);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
	fill(self->base, 1, NPAGES);
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
}

static void unharmed(struct __test_metadata *_metadata,
		     FIXTURE_DATA(walkers) *self, const char *after)
{
	EXPECT_EQ(0, faults_of(self->base, NPAGES, false)) {
		TH_LOG("pages gone after %s", after);
	}
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_store, self->other,
			       pattern(1, 0)));
	EXPECT_EQ(0, probe_write(self->base + PAGE, pattern(1, 1)));
}

FIXTURE_TEARDOWN(walkers)
{
	unharmed(_metadata, self, "the test");
	EXPECT_EQ(0, munmap(self->base, self->unit));
	EXPECT_EQ(0, peer_stop(&self->p));
}

TEST_F(walkers, clear_refs)
{
	const char *what[] = { "1", "2", "3", "4" };

	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		EXPECT_EQ(0, write_file("/proc/self/clear_refs", what[i]));
		unharmed(_metadata, self, what[i]);
	}
	/* 4 is soft-dirty: it write-protects what it marks, for faults. */
	EXPECT_EQ(0, write_file("/proc/self/clear_refs", "4"));
	EXPECT_EQ(0, faults_of(self->base, NPAGES, true));
}

TEST_F(walkers, smaps)
{
	EXPECT_EQ(self->unit / 1024, smaps_kb(self->base, "Size"));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Rss"));
	EXPECT_EQ(NPAGES * 4 / 2, smaps_kb(self->base, "Pss"));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Shared_Dirty"));
	EXPECT_EQ(0, smaps_kb(self->base, "Private_Clean"));
	EXPECT_EQ(0, smaps_kb(self->base, "Private_Dirty"));
	EXPECT_EQ(0, smaps_kb(self->base, "Anonymous"));
	EXPECT_EQ(0, smaps_kb(self->base, "Swap"));
	EXPECT_EQ(0, smaps_kb(self->base, "Locked"));
	EXPECT_TRUE(smaps_flag(self->base, "pt"));
	EXPECT_FALSE(smaps_flag(&self->unit, "pt"));
	unharmed(_metadata, self, "smaps");
}

/* All attached processes together have the region once. */
TEST_F(walkers, pss_adds_up)
{
	struct peer more[5];
	long at[ARRAY_SIZE(more)], sum;

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		more[i] = peer_start(_metadata);
		at[i] = peer_attach(&more[i], MS_DIR "/a",
				    i % 2 ? O_RDONLY : O_RDWR, PROT_READ);
		ASSERT_LT(0, at[i]);
	}
	sum = smaps_kb(self->base, "Pss");
	sum += peer_call(&self->p, op_smaps, self->other, L("Pss"));
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		EXPECT_EQ(NPAGES * 4, peer_call(&more[i], op_smaps, at[i],
						L("Rss")));
		sum += peer_call(&more[i], op_smaps, at[i], L("Pss"));
	}
	/* Each one's is rounded down to kB. */
	EXPECT_GE(NPAGES * 4, sum);
	EXPECT_LT(NPAGES * 4 - 8, sum);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		EXPECT_EQ(0, peer_stop(&more[i]));
	EXPECT_EQ(NPAGES * 4 / 2, smaps_kb(self->base, "Pss"));
}

TEST_F(walkers, smaps_alone)
{
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munmap, self->other, self->unit));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Pss"));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Private_Dirty"));
	EXPECT_EQ(0, smaps_kb(self->base, "Shared_Dirty"));
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
}

TEST_F(walkers, smaps_swapped)
{
	if (file_field("/proc/meminfo", "SwapTotal") <= 0)
		SKIP(return, "no swap");
	ASSERT_EQ(0, region_advise(self->fd, 0, NPAGES * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Swap") +
			      smaps_kb(self->base, "Rss"));
	EXPECT_LT(0, smaps_kb(self->base, "Swap"));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Rss"));
	EXPECT_EQ(0, smaps_kb(self->base, "Swap"));
}

TEST_F(walkers, rollup)
{
	const char *rollup = "/proc/self/smaps_rollup";
	long with, pss;

	/* Once before, for what looking at it needs itself. */
	file_field(rollup, "Rss");
	with = file_field(rollup, "Rss");
	pss = file_field(rollup, "Pss");
	ASSERT_EQ(0, munmap(self->base, self->unit));
	/* The test itself may have touched a few pages. */
	EXPECT_GT(48, labs(with - file_field(rollup, "Rss") - NPAGES * 4));
	EXPECT_GT(48, labs(pss - file_field(rollup, "Pss") - NPAGES * 2));
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

TEST_F(walkers, numa_maps)
{
	/* Only on kernels with NUMA. */
	if (access("/proc/self/numa_maps", F_OK))
		SKIP(return, "no NUMA");
	EXPECT_EQ(2, numa_field(self->base, "mapmax="));
	EXPECT_EQ(NPAGES, numa_field(self->base, "dirty="));
	EXPECT_EQ(NPAGES, (numa_field(self->base, " N0=") > 0 ?
			   numa_field(self->base, " N0=") : 0) +
			  (numa_field(self->base, " N1=") > 0 ?
			   numa_field(self->base, " N1=") : 0));
	unharmed(_metadata, self, "numa_maps");
}

TEST_F(walkers, pagemap)
{
	uint64_t entry[NPAGES + 8], other[NPAGES];

	pagemap_read(self->base, entry, ARRAY_SIZE(entry));
	for (int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(PM_PRESENT | PM_FILE, entry[i] &
			  (PM_PRESENT | PM_SWAP | PM_FILE | PM_EXCLUSIVE));
	}
	for (int i = NPAGES; i < NPAGES + 8; i++) {
		EXPECT_EQ(0, entry[i] & (PM_PRESENT | PM_SWAP));
	}
	/* The same page frames wherever the window is, none of them twice. */
	ASSERT_EQ(0, peer_sys(&self->p, __NR_munmap, self->other, self->unit));
	pagemap_read(self->base, other, NPAGES);
	for (int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(entry[i] | PM_EXCLUSIVE, other[i]);
		EXPECT_NE(0, entry[i] & ((1ull << 55) - 1));
		EXPECT_NE(entry[i], entry[(i + 1) % NPAGES]);
	}
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
	unharmed(_metadata, self, "pagemap");
}

struct pm_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages,
		 inverted, mask, anyof, ret;
};

TEST_F(walkers, pagemap_scan)
{
	struct { uint64_t start, end, categories; } vec[16];
	struct pm_scan arg = {
		.size = sizeof(arg),
		.start = (uint64_t)self->base,
		.end = (uint64_t)self->base + NPAGES * PAGE,
		.vec = (uint64_t)vec, .vec_len = 16,
		.anyof = 1 << 3, .ret = 1 << 3,		/* present */
	};
	int fd = open("/proc/self/pagemap", O_RDONLY), ret;
	const unsigned long scan = _IOWR('f', 16, struct pm_scan);

	ret = ioctl(fd, scan, &arg);
	EXPECT_LE(0, ret);
	for (int i = 0; i < ret; i++) {
		EXPECT_LE((uint64_t)self->base, vec[i].start);
		EXPECT_GE((uint64_t)self->base + NPAGES * PAGE, vec[i].end);
	}
	unharmed(_metadata, self, "PAGEMAP_SCAN");
	/* With write-protection: refused. */
	arg.flags = 3;
	arg.anyof = 1 << 1;
	arg.ret = 1 << 1;
	EXPECT_EQ(-1, ioctl(fd, scan, &arg));
	unharmed(_metadata, self, "PAGEMAP_SCAN with write-protection");
}

TEST_F(walkers, mincore)
{
	unsigned char vec[NPAGES + 8];

	ASSERT_EQ(0, mincore(self->base, sizeof(vec) * PAGE, vec));
	for (size_t i = 0; i < sizeof(vec); i++) {
		EXPECT_EQ(i < NPAGES, vec[i] & 1);
	}
	/* From within, and over the end of what mincore(2) does at a time. */
	EXPECT_EQ(8, pages_in_core(self->base + (NPAGES - 8) * PAGE, 8192));
	EXPECT_EQ(0, pages_in_core(self->base + self->unit - 64 * PAGE, 64));
	unharmed(_metadata, self, "mincore");
}

/* Several mappings and holes, of which only some pages are there. */
struct mixed {
	struct peer p;
	char *base;
	int fd;
};

static struct mixed mixed_new(struct __test_metadata *_metadata, size_t unit)
{
	struct mixed m;
	int mem;

	m.fd = ms_container(_metadata, MS_DIR "/mixed", unit);
	mem = ms_memfd(_metadata, 2, 8);
	ASSERT_EQ(0, region_anon(m.fd, 4 * PAGE, 8 * PAGE));
	ASSERT_EQ(0, region_map(m.fd, 16 * PAGE, 8 * PAGE, RW, FIXED, mem, 0));
	ASSERT_EQ(0, region_anon(m.fd, 24 * PAGE, 8 * PAGE));
	close(mem);
	m.base = ms_map(m.fd, unit, RW);
	ASSERT_NE(MAP_FAILED, m.base);
	store(m.base + 4 * PAGE, 1);
	store(m.base + 11 * PAGE, 1);
	EXPECT_EQ(pattern(2, 3), load(m.base + 19 * PAGE));
	store(m.base + 31 * PAGE, 1);
	return m;
}

TEST_F(walkers, holes)
{
	struct mixed m = mixed_new(_metadata, self->unit);
	uint64_t entry[40];
	unsigned char vec[40];

	pagemap_read(m.base, entry, 40);
	ASSERT_EQ(0, mincore(m.base, 40 * PAGE, vec));
	for (int i = 0; i < 40; i++) {
		/* What fault-around maps of the file is right as well. */
		bool file = i >= 16 && i < 24, there = i == 4 || i == 11 ||
			    i == 19 || i == 31;

		if (!file || there) {
			EXPECT_EQ(there, entry[i] >> 63) TH_LOG("page %d", i);
		}
		/* The file is all there, mapped or not. */
		EXPECT_EQ(there || file, vec[i] & 1) TH_LOG("page %d", i);
	}
	EXPECT_LE(4 * 4, smaps_kb(m.base, "Rss"));
	EXPECT_GE(11 * 4, smaps_kb(m.base, "Rss"));
	EXPECT_EQ(0, munmap(m.base, self->unit));
	close(m.fd);
}

/* What is in the page cache of a file is told to who may write the file. */
static int as_nobody(void *arg)
{
	struct mixed *m = arg;

	CHECK(!op_unprivileged(NULL));
	CHECK(pages_in_core(m->base + 16 * PAGE, 4) == 4);
	/* Nobody knows; memory of the region itself is another matter. */
	CHECK(pages_in_core(m->base + 40 * PAGE, 4) == 4);
	CHECK(pages_in_core(m->base + 4 * PAGE, 8) == 2);
	return 0;
}

TEST_F(walkers, mincore_of_a_foreign_file)
{
	struct mixed m;
	int fd;

	ASSERT_EQ(0, mount_tmpfs());
	m = mixed_new(_metadata, self->unit);
	fd = open(MNT "/root", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	ASSERT_EQ(0, region_map(m.fd, 40 * PAGE, 4 * PAGE, PROT_READ, FIXED, fd,
				0));
	EXPECT_EQ(0, pages_in_core(m.base + 40 * PAGE, 4));
	/* The region's file is nobody's, the mapped one is not. */
	ASSERT_EQ(0, fchown(m.fd, NOBODY, NOBODY));
	EXPECT_EQ(0, in_child(as_nobody, &m));
	EXPECT_EQ(0, munmap(m.base, self->unit));
	close(m.fd);
	close(fd);
}

TEST_F(walkers, hugetlb)
{
	long pool = hugepage_pool(4), at;
	char *base;
	int fd;

	if (pool < 2)
		SKIP(return, "no huge pages");
	fd = ms_container(_metadata, MS_DIR "/huge", self->unit);
	ASSERT_EQ(0, region_map(fd, 0, 2 * HUGE, RW, ANON | MAP_HUGETLB, -1, 0));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	store(base + HUGE, 1);
	EXPECT_EQ(HUGE / KIB, smaps_kb(base, "Private_Hugetlb"));
	at = peer_attach(&self->p, MS_DIR "/huge", O_RDWR, RW);
	ASSERT_LT(0, at);
	EXPECT_EQ(HUGE / KIB, smaps_kb(base, "Shared_Hugetlb"));
	EXPECT_EQ(0, smaps_kb(base, "Private_Hugetlb"));
	EXPECT_EQ(0, pages_in_core(base, 512));
	EXPECT_EQ(512, pages_in_core(base + HUGE, 512));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munmap, at, self->unit));
	EXPECT_EQ(0, munmap(base, self->unit));
	close(fd);
	unlink(MS_DIR "/huge");
	hugepage_pool(0);
}

TEST_F(walkers, msync)
{
	EXPECT_EQ(0, msync(self->base, self->unit, MS_ASYNC));
	EXPECT_EQ(0, msync(self->base, NPAGES * PAGE, MS_SYNC));
	unharmed(_metadata, self, "msync");
	EXPECT_EQ(0, fsync(self->fd));
	sync();
	unharmed(_metadata, self, "fsync");
}

TEST_F(walkers, compaction)
{
	/* Moves pages of the region too; that may cost faults, not contents. */
	EXPECT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
}

TEST_F(walkers, ksm)
{
	if (write_file("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "no KSM in this kernel");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	usleep(500000);
	unharmed(_metadata, self, "KSM");
	write_file("/sys/kernel/mm/ksm/run", "2");
}

TEST_HARNESS_MAIN
