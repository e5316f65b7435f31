// SPDX-License-Identifier: GPL-2.0
/*
 * Advice through a window, by madvise(2) and process_madvise(2): it is given to
 * the memory of the region, for everybody, and changes no contents.
 */
#include "mshare_test.h"
#include "container.h"
#include "objects.h"
#include "smaps.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NPAGES		64UL
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

FIXTURE(madvise) {
	size_t unit;
	struct peer p;
	long other;	/* a window of the peer's, which only reads */
	char *base;
	int fd;
	bool swap;
};

FIXTURE_SETUP(madvise)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, &self->fd);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, self->other);
	fill(self->base, 1, NPAGES);
	/* Pages that a CPU is yet to put on a list cannot be isolated. */
	write_file("/proc/sys/vm/drop_caches", "1");
	self->swap = file_field("/proc/meminfo", "SwapTotal") > 0;
}

FIXTURE_TEARDOWN(madvise)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

static long resident(int fd)
{
	return region_stat(fd).resident / PAGE;
}

static void unchanged(struct __test_metadata *_metadata,
		      FIXTURE_DATA(madvise) *self)
{
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
}

static void paged_out(struct __test_metadata *_metadata,
		      FIXTURE_DATA(madvise) *self)
{
	EXPECT_EQ(0, resident(self->fd));
	EXPECT_EQ(0, peer_call(&self->p, op_smaps, self->other, L("Rss")));
	/* What is being written is not there yet. */
	EXPECT_LT(NPAGES * 2, peer_call(&self->p, op_smaps, self->other,
					L("Swap")));
	unchanged(_metadata, self);
	EXPECT_EQ(NPAGES, resident(self->fd));
}

TEST_F(madvise, pageout)
{
	if (!self->swap)
		SKIP(return, "no swap");
	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_PAGEOUT));
	paged_out(_metadata, self);
	/* A part of it. */
	EXPECT_EQ(0, madvise(self->base + 8 * PAGE, 16 * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(NPAGES - 16, resident(self->fd));
	unchanged(_metadata, self);
}

/* The right to change the region is that of the file, not of the window. */
TEST_F(madvise, pageout_through_a_read_only_window)
{
	char *ro = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, ro);
	if (!self->swap)
		SKIP(return, "no swap");
	EXPECT_EQ(0, madvise(ro, NPAGES * PAGE, MADV_PAGEOUT));
	paged_out(_metadata, self);
}

/* What would harm the others, or change how it is mapped for them. */
TEST_F(madvise, of_a_file_opened_to_read)
{
	const int advice[] = { MADV_PAGEOUT, MADV_COLD, MADV_HUGEPAGE,
			       MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_REMOVE };

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_EQ(-EACCES, peer_sys(&self->p, __NR_madvise, self->other,
					    NPAGES * PAGE, advice[i])) {
			TH_LOG("advice %d", advice[i]);
		}
	}
	EXPECT_EQ(NPAGES, resident(self->fd));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_madvise, self->other,
			      NPAGES * PAGE, MADV_WILLNEED));
	unchanged(_metadata, self);
}

TEST_F(madvise, pageout_of_another_process)
{
	struct iovec iov = { (void *)self->other, NPAGES * PAGE };
	int pidfd = syscall(__NR_pidfd_open, self->p.pid, 0);

	if (!self->swap)
		SKIP(return, "no swap");
	ASSERT_LE(0, pidfd);
	EXPECT_ERR(EACCES, syscall(__NR_process_madvise, pidfd, &iov, 1L,
				   MADV_PAGEOUT, 0L));
	iov.iov_base = (void *)peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, L(iov.iov_base));
	EXPECT_EQ((long)(NPAGES * PAGE),
		  syscall(__NR_process_madvise, pidfd, &iov, 1L, MADV_PAGEOUT,
			  0L));
	paged_out(_metadata, self);
	close(pidfd);
}

/* Reading ahead goes on behind our back: its end is waited for. */
TEST_F(madvise, willneed)
{
	long there = 0;

	if (!self->swap)
		SKIP(return, "no swap");
	ASSERT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_PAGEOUT));
	/* From swap itself, not from its cache. */
	write_file("/proc/sys/vm/drop_caches", "1");
	ASSERT_EQ(0, resident(self->fd));
	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_WILLNEED));
	for (int i = 0; i < 200 && there != NPAGES; i++) {
		there = pages_in_core(self->base, NPAGES);
		usleep(10000);
	}
	EXPECT_EQ(NPAGES, there);
	EXPECT_EQ(0, resident(self->fd));
	unchanged(_metadata, self);
}

/* What the CPU has noted in the entries, for everybody, is gone. */
TEST_F(madvise, cold)
{
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(0, madvise(self->base, NPAGES / 2 * PAGE, MADV_COLD));
	EXPECT_EQ(NPAGES / 2 * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Rss"));
	unchanged(_metadata, self);
}

TEST_F(madvise, dontneed_drops_nothing)
{
	long before = minor_faults();

	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_DONTNEED));
	EXPECT_EQ(NPAGES, resident(self->fd));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_GT(8, minor_faults() - before);
	unchanged(_metadata, self);
}

TEST_F(madvise, hugepages)
{
	char was[64], *word, *at = self->base + 2 * HUGE;
	long other;

	if (read_file(SHMEM_ENABLED, was, sizeof(was)) < 0)
		SKIP(return, "no transparent huge pages");
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	store(at, 1);
	EXPECT_EQ(0, smaps_kb(self->base, "ShmemPmdMapped"));
	EXPECT_EQ(0, madvise(at + HUGE, HUGE, MADV_HUGEPAGE));
	store(at + HUGE, 1);
	EXPECT_EQ(HUGE / KIB, smaps_kb(self->base, "ShmemPmdMapped"));
	EXPECT_EQ(HUGE / KIB, peer_call(&self->p, op_smaps, self->other,
					L("ShmemPmdMapped")));
	/* By another process, and taken back. */
	other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, peer_sys(&self->p, __NR_madvise, other + 4 * HUGE,
			      2 * HUGE, MADV_HUGEPAGE));
	EXPECT_EQ(0, madvise(self->base + 5 * HUGE, HUGE, MADV_NOHUGEPAGE));
	store(self->base + 4 * HUGE, 1);
	store(self->base + 5 * HUGE, 1);
	EXPECT_EQ(2 * HUGE / KIB, smaps_kb(self->base, "ShmemPmdMapped"));
	word = strchr(was, '[');
	if (word)
		*strchr(word, ']') = 0;
	write_file(SHMEM_ENABLED, word ? word + 1 : "never");
	unchanged(_metadata, self);
}

TEST_F(madvise, collapse)
{
	char *at = self->base + HUGE;
	int err = EAGAIN;

	fill(at, 3, HUGE / PAGE);
	EXPECT_EQ(0, smaps_kb(self->base, "ShmemPmdMapped"));
	/* Pages that somebody else isolates at the moment. */
	for (int i = 0; i < 20 && err; i++)
		err = madvise(at, HUGE, MADV_COLLAPSE) ? errno : 0;
	if (err == EINVAL)
		SKIP(return, "no transparent huge pages");
	EXPECT_EQ(0, err) TH_LOG("%s", strerror(err));
	/* It is mapped when it is used next, for all. */
	EXPECT_EQ(0, damaged(at, 3, HUGE / PAGE));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + HUGE, 3,
			       HUGE / PAGE));
	EXPECT_EQ(HUGE / KIB, peer_call(&self->p, op_smaps, self->other,
					L("ShmemPmdMapped")));
}

TEST_F(madvise, remove)
{
	char *ro = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, ro);
	/* Not through a window that cannot be written, for whatever reason. */
	EXPECT_ERR(EACCES, madvise(ro, PAGE, MADV_REMOVE));
	EXPECT_EQ(-EACCES, peer_sys(&self->p, __NR_madvise, self->other, PAGE,
				    MADV_REMOVE));
	EXPECT_EQ(NPAGES, resident(self->fd));
	unchanged(_metadata, self);

	EXPECT_EQ(0, madvise(self->base + 4 * PAGE, 8 * PAGE, MADV_REMOVE));
	EXPECT_EQ(NPAGES - 8, resident(self->fd));
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(i >= 4 && i < 12 ? 0 : pattern(1, i),
			  load(ro + i * PAGE));
	}
	EXPECT_EQ(0, peer_call(&self->p, op_load, self->other + 4 * PAGE));
}

TEST_F(madvise, remove_from_a_file)
{
	int mem = ms_memfd(_metadata, 2, 8), rdonly = reopen(mem, O_RDONLY);
	int fd = ms_container(_metadata, MS_DIR "/files", self->unit);
	char *base;

	ASSERT_LE(0, rdonly);
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, RW, FIXED, mem, 0));
	ASSERT_EQ(0, region_map(fd, 8 * PAGE, 8 * PAGE, PROT_READ, FIXED,
				rdonly, 0));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	/* The window can be written, what is mapped there cannot. */
	EXPECT_ERR(EACCES, madvise(base + 8 * PAGE, PAGE, MADV_REMOVE));
	EXPECT_EQ(pattern(2, 0), file_load(mem, 0));
	EXPECT_EQ(0, madvise(base, PAGE, MADV_REMOVE));
	EXPECT_EQ(0, file_load(mem, 0));
	EXPECT_EQ(pattern(2, 1), file_load(mem, 1));
	close(fd);
	close(rdonly);
	close(mem);
}

/* As for any memory: what is not mapped is told, the rest is done. */
TEST_F(madvise, holes)
{
	int fd = ms_container(_metadata, MS_DIR "/holes", self->unit);
	char *base;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, 8 * PAGE, 4 * PAGE));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	store(base, 1);
	store(base + 8 * PAGE, 1);
	EXPECT_ERR(ENOMEM, madvise(base, 16 * PAGE, MADV_COLD));
	EXPECT_EQ(0, smaps_kb(base, "Referenced"));
	EXPECT_ERR(ENOMEM, madvise(base, self->unit, MADV_HUGEPAGE));
	EXPECT_ERR(ENOMEM, madvise(base + 20 * PAGE, PAGE, MADV_WILLNEED));
	EXPECT_ERR(ENOMEM, madvise(base + 20 * PAGE, PAGE, MADV_REMOVE));
	close(fd);
}

/* The lock of the process is dropped in between, and taken again. */
TEST_F(madvise, several_windows)
{
	char *at = mmap(NULL, 4 * self->unit, PROT_NONE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base;
	int fd;

	ASSERT_NE(MAP_FAILED, at);
	at = (char *)((L(at) + self->unit - 1) & -self->unit);
	base = ms_new(_metadata, MS_DIR "/b", self->unit, &fd);
	ASSERT_EQ(at, mmap(at, self->unit, RW, FIXED, self->fd, 0));
	ASSERT_EQ(at + self->unit, mmap(at + self->unit, self->unit, RW, FIXED,
					fd, 0));
	store(base, 1);
	store(at + self->unit - PAGE, 1);
	EXPECT_EQ(0, madvise(at, 2 * self->unit, MADV_COLD));
	EXPECT_EQ(0, smaps_kb(at, "Referenced"));
	EXPECT_EQ(0, smaps_kb(at + self->unit, "Referenced"));
	/* With ordinary memory behind them. */
	EXPECT_EQ(0, madvise(at, 3 * self->unit, MADV_NOHUGEPAGE));
	EXPECT_TRUE(smaps_flag(at + 2 * self->unit, "nh"));
	unchanged(_metadata, self);
	close(fd);
}

TEST_HARNESS_MAIN
