// SPDX-License-Identifier: GPL-2.0
/*
 * What looks at, or marks, a process's page tables from /proc and /sys: it
 * tells no lies about a window and changes nothing in the region.
 */
#include "mshare_test.h"
#include <sys/ioctl.h>

#define RW	(PROT_READ | PROT_WRITE)
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

/* Value of the field in the entry of the window in smaps, in kB. */
static long smaps_kb(const char *base, const char *field)
{
	static char text[1 << 17];
	char start[32], *p;

	if (read_file("/proc/self/smaps", text, sizeof(text)) < 0)
		return -1;
	snprintf(start, sizeof(start), "%lx-", L(base));
	p = strstr(text, start);
	p = p ? strstr(p, field) : NULL;
	return p ? strtol(p + strlen(field) + 1, NULL, 10) : -1;
}

TEST_F(walkers, smaps)
{
	long rss = smaps_kb(self->base, "\nRss"), pss;

	EXPECT_EQ(self->unit / 1024, smaps_kb(self->base, "\nSize"));
	/* Either it does not count the region, or it counts it right. */
	EXPECT_TRUE(rss == 0 || rss == NPAGES * 4) {
		TH_LOG("Rss %ld kB", rss);
	}
	EXPECT_EQ(0, smaps_kb(self->base, "\nPrivate_Clean"));
	EXPECT_EQ(0, smaps_kb(self->base, "\nPrivate_Dirty"));
	EXPECT_EQ(0, smaps_kb(self->base, "\nAnonymous"));
	EXPECT_EQ(0, smaps_kb(self->base, "\nSwap"));
	pss = smaps_kb(self->base, "\nPss");
	EXPECT_TRUE(pss == 0 || pss == rss / 2) {
		TH_LOG("Pss %ld kB of %ld kB for two processes", pss, rss);
	}
	unharmed(_metadata, self, "smaps");
}

TEST_F(walkers, rollup_and_numa_maps)
{
	static char text[1 << 16];

	EXPECT_LT(0, read_file("/proc/self/smaps_rollup", text, sizeof(text)));
	unharmed(_metadata, self, "smaps_rollup");
	/* Only on kernels with NUMA. */
	read_file("/proc/self/numa_maps", text, sizeof(text));
	unharmed(_metadata, self, "numa_maps");
}

TEST_F(walkers, pagemap)
{
	uint64_t entry[NPAGES + 8];
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t there = 0;

	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)sizeof(entry),
		  pread(fd, entry, sizeof(entry),
			(unsigned long)self->base / PAGE * 8));
	/* None or all of the resident pages, and nothing else. */
	for (int i = 0; i < NPAGES; i++)
		there += entry[i] >> 63;
	EXPECT_TRUE(there == 0 || there == NPAGES);
	for (int i = NPAGES; i < NPAGES + 8; i++) {
		EXPECT_EQ(0, entry[i] >> 63);
	}
	for (int i = 0; there && i < NPAGES; i++) {
		EXPECT_EQ(1, entry[i] >> 61 & 1);	/* file or shared */
		EXPECT_EQ(0, entry[i] >> 56 & 1);	/* not exclusive */
	}
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
	int there = 0;

	ASSERT_EQ(0, mincore(self->base, sizeof(vec) * PAGE, vec));
	for (size_t i = 0; i < sizeof(vec); i++)
		there += vec[i] & 1;
	EXPECT_TRUE(there == 0 || there == NPAGES) {
		TH_LOG("mincore sees %d of %d pages", there, NPAGES);
	}
	unharmed(_metadata, self, "mincore");
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
