// SPDX-License-Identifier: GPL-2.0
/*
 * Files on a disk: stores through windows are noticed, write the file's times,
 * and reach the disk; and that again after they have been written back. What
 * is on the disk is read from the device, past all caches.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#define NPAGES	16UL

FIXTURE(writeback) {
	size_t unit;
	char *base;		/* window, the file at its start */
	int fd, file, device;
	struct peer p;
	long other;
};

FIXTURE_SETUP(writeback)
{
	int err;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	err = mount_disk();
	ASSERT_EQ(0, err) TH_LOG("no disk with ext4: %s", strerror(-err));
	self->device = open(getenv("MSHARE_DISK"),
			    O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->device);
	self->base = ms_container_pair(_metadata, self->unit, &self->fd,
				       &self->p, &self->other);
	self->file = open(DISK "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, file_fill(self->file, 1, NPAGES));
	ASSERT_EQ(0, fsync(self->file));
	ASSERT_EQ(0, region_map(self->fd, 0, NPAGES * PAGE, RW, FIXED,
				self->file, 0));
}

FIXTURE_TEARDOWN(writeback)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

/* The first word of a page of the file, as it is on the disk. */
static uint64_t on_disk(FIXTURE_DATA(writeback) *self, unsigned int page)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} arg = { .map = { .fm_start = page * PAGE, .fm_length = PAGE,
			   .fm_extent_count = 1 } };
	uint64_t *buf, val;
	off_t at;

	if (ioctl(self->file, FS_IOC_FIEMAP, &arg.map) ||
	    arg.map.fm_mapped_extents != 1)
		return ~0ull;
	/* Without a place yet, or not written: nothing is on the disk. */
	if (arg.extent.fe_flags & (FIEMAP_EXTENT_UNKNOWN |
				   FIEMAP_EXTENT_UNWRITTEN))
		return ~0ull;
	at = arg.extent.fe_physical + page * PAGE - arg.extent.fe_logical;
	buf = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	val = pread(self->device, buf, PAGE, at) == (ssize_t)PAGE ? *buf :
								    ~0ull;
	munmap(buf, PAGE);
	return val;
}

static long dirty_pages(void)
{
	return meminfo_kb("Dirty");
}

/* How the kernel is told to write: all have to do it. */
enum how { MSYNC, FSYNC_REGION, FSYNC_FILE, FDATASYNC_REGION, SYNCFS, HOWS };

static int write_back(FIXTURE_DATA(writeback) *self, int how)
{
	switch (how) {
	case MSYNC:
		return msync(self->base, self->unit, MS_SYNC);
	case FSYNC_REGION:
		return fsync(self->fd);
	case FDATASYNC_REGION:
		return fdatasync(self->fd);
	case SYNCFS:
		return syncfs(self->file);
	default:
		return fsync(self->file);
	}
}

TEST_F(writeback, reaches_the_disk)
{
	/*
	 * Again and again: each time the page was clean and write-protected,
	 * and the store has to be noticed.
	 */
	for (int round = 0; round < 3; round++) {
		for (int how = 0; how < HOWS; how++) {
			uint64_t val = 1000 * (round + 1) + how;

			store(self->base + how * PAGE, val);
			EXPECT_EQ(0, peer_call(&self->p, op_store,
					       self->other + (8 + how) * PAGE,
					       val + 500));
			ASSERT_EQ(0, write_back(self, how)) {
				TH_LOG("%d: %s", how, strerror(errno));
			}
			EXPECT_EQ(val, on_disk(self, how)) {
				TH_LOG("round %d, not by %d", round, how);
			}
			EXPECT_EQ(val + 500, on_disk(self, 8 + how)) {
				TH_LOG("round %d, not by %d", round, how);
			}
			EXPECT_EQ(val, load(self->base + how * PAGE));
		}
	}
}

TEST_F(writeback, same_page_again)
{
	/* The one page, by turns from two processes. */
	for (uint64_t i = 1; i <= 20; i++) {
		if (i % 2)
			store(self->base, i);
		else
			EXPECT_EQ(0, peer_call(&self->p, op_store, self->other,
					       i));
		ASSERT_EQ(0, write_back(self, i % HOWS));
		EXPECT_EQ(i, on_disk(self, 0)) {
			TH_LOG("by %llu", (unsigned long long)i % HOWS);
		}
	}
}

TEST_F(writeback, not_before_it_is_told)
{
	/* The control: what has not been written back is not on the disk. */
	store(self->base, 4711);
	EXPECT_EQ(pattern(1, 0), on_disk(self, 0));
	EXPECT_EQ(4711, file_load(self->file, 0));
	ASSERT_EQ(0, msync(self->base, self->unit, MS_SYNC));
	EXPECT_EQ(4711, on_disk(self, 0));
}

TEST_F(writeback, cold_cache)
{
	/* Dropped from memory, and read again from the disk. */
	EXPECT_EQ(0, peer_call(&self->p, op_fill, self->other, 2, NPAGES));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, region_unmap(self->fd, 0, NPAGES * PAGE));
	ASSERT_EQ(0, posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(0, write_file("/proc/sys/vm/drop_caches", "3"));
	ASSERT_EQ(0, region_map(self->fd, 0, NPAGES * PAGE, RW, FIXED,
				self->file, 0));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	EXPECT_EQ(0, damaged(self->base, 2, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 2, NPAGES));
}

TEST_F(writeback, dirty_counts)
{
	long before;

	ASSERT_EQ(0, syncfs(self->file));
	before = dirty_pages();
	fill(self->base, 3, NPAGES);
	EXPECT_LE(before + (long)NPAGES * 4, dirty_pages());
	/* Read-only access makes nothing dirty. */
	ASSERT_EQ(0, syncfs(self->file));
	before = dirty_pages();
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 3, NPAGES));
	EXPECT_GT(before + (long)NPAGES * 4, dirty_pages());
}

static int64_t mtime(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	return st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
}

TEST_F(writeback, times)
{
	int64_t last = mtime(self->file), now;

	for (int round = 0; round < 4; round++) {
		/* The clock of files ticks in HZ. */
		usleep(50000);
		EXPECT_EQ(0, damaged(self->base + 2 * PAGE, 1, 0));
		load(self->base + 3 * PAGE);
		ASSERT_EQ(0, msync(self->base, self->unit, MS_SYNC));
		EXPECT_EQ(last, mtime(self->file));
		if (round % 2)
			store(self->base + 3 * PAGE, round);
		else
			EXPECT_EQ(0, peer_call(&self->p, op_store,
					       self->other + 3 * PAGE, round));
		ASSERT_EQ(0, write_back(self, round % HOWS));
		now = mtime(self->file);
		EXPECT_LT(last, now);
		last = now;
	}
}

TEST_F(writeback, msync_flags)
{
	EXPECT_ERR(EINVAL, msync(self->base, PAGE, MS_SYNC | MS_ASYNC));
	EXPECT_ERR(EINVAL, msync(self->base, PAGE, 0x80));
	EXPECT_EQ(0, msync(self->base, PAGE, MS_ASYNC));
	EXPECT_EQ(0, msync(self->base, PAGE, 0));
	/* A part is enough, where it is; a hole is not an error of a window */
	store(self->base + 5 * PAGE, 55);
	store(self->base + 6 * PAGE, 66);
	EXPECT_EQ(0, msync(self->base + 5 * PAGE, PAGE, MS_SYNC));
	EXPECT_EQ(55, on_disk(self, 5));
	EXPECT_EQ(0, msync(self->base, self->unit, MS_SYNC));
	EXPECT_EQ(66, on_disk(self, 6));
	/* By any window of a file that is open for writing. */
	store(self->base + 5 * PAGE, 56);
	EXPECT_EQ(0, msync(ms_map(self->fd, self->unit, PROT_READ), self->unit,
			   MS_SYNC));
	EXPECT_EQ(56, on_disk(self, 5));
}

/* Two files and memory: all that are in the range are written. */
TEST_F(writeback, several_files)
{
	int second = open(DISK "/g", O_RDWR | O_CREAT | O_EXCL, 0600), first;

	ASSERT_LE(0, second);
	ASSERT_EQ(0, file_fill(second, 2, NPAGES));
	ASSERT_EQ(0, fsync(second));
	ASSERT_EQ(0, region_anon(self->fd, NPAGES * PAGE, NPAGES * PAGE));
	ASSERT_EQ(0, region_map(self->fd, 2 * NPAGES * PAGE, NPAGES * PAGE, RW,
				FIXED, second, 0));
	for (int round = 1; round < 4; round++) {
		fill(self->base, round, 3 * NPAGES);
		ASSERT_EQ(0, round == 2 ? fsync(self->fd) :
			     msync(self->base, self->unit, MS_SYNC));
		first = self->file;
		for (unsigned int i = 0; i < NPAGES; i++) {
			EXPECT_EQ(pattern(round, i), on_disk(self, i));
			self->file = second;
			EXPECT_EQ(pattern(round, 2 * NPAGES + i),
				  on_disk(self, i));
			self->file = first;
		}
	}
	close(second);
}

/* A mapping that is unmapped while dirty loses nothing. */
TEST_F(writeback, unmapped_dirty)
{
	fill(self->base, 2, NPAGES);
	ASSERT_EQ(0, region_unmap(self->fd, 0, NPAGES / 2 * PAGE));
	ASSERT_EQ(0, region_map(self->fd, NPAGES / 2 * PAGE,
				NPAGES / 2 * PAGE, RW, ANON, -1, 0));
	ASSERT_EQ(0, fsync(self->file));
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(pattern(2, i), on_disk(self, i));
		EXPECT_EQ(pattern(2, i), file_load(self->file, i));
	}
}

static long op_store_forever(const long *a)
{
	volatile int *stop = (int *)a[2];
	unsigned long n = 0;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < NPAGES; i++)
			store((char *)a[0] + i * PAGE + a[1] * 8, n + i);
		n++;
	}
	return n;
}

/*
 * Writers on all CPUs, each with a word of its own in each page, while the
 * pages are written back all the time: at the end nothing is missing.
 */
TEST_F_TIMEOUT(writeback, under_writers, 300)
{
	int *stop = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct peer p[3];
	long base, n[3];

	for (unsigned int i = 0; i < 3; i++) {
		p[i] = peer_start(_metadata);
		base = peer_attach(&p[i], MS_DIR "/a", O_RDWR, RW);
		ASSERT_LT(0, base);
		peer_begin(&p[i], op_store_forever,
			   (long[PEER_ARGS]){ base, i + 1, L(stop) });
	}
	for (unsigned int i = 0; i < 40; i++)
		EXPECT_EQ(0, write_back(self, i % HOWS));
	*stop = 1;
	for (unsigned int i = 0; i < 3; i++) {
		n[i] = peer_end(&p[i]);
		EXPECT_LT(0, n[i]);
	}
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, region_unmap(self->fd, 0, NPAGES * PAGE));
	ASSERT_EQ(0, posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
	for (unsigned int i = 0; i < NPAGES; i++) {
		uint64_t word[4];

		ASSERT_EQ(sizeof(word), pread(self->file, word, sizeof(word),
					      i * PAGE));
		EXPECT_EQ(pattern(1, i), word[0]);
		for (unsigned int j = 0; j < 3; j++) {
			EXPECT_EQ(n[j] - 1 + i, word[j + 1]) {
				TH_LOG("page %u of writer %u", i, j);
			}
		}
	}
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
}

/* A file beyond its end, extended by write(2), in the last page and behind. */
TEST_F(writeback, extended)
{
	uint64_t val = 88;

	ASSERT_EQ(0, ftruncate(self->file, PAGE + 100));
	/* The rest of the page is there, and empty. */
	EXPECT_EQ(pattern(1, 1), load(self->base + PAGE + 88));
	EXPECT_EQ(0, load(self->base + PAGE + 104));
	EXPECT_EQ(BUS_END, peer_call(&self->p, op_peek,
				     self->other + 2 * PAGE));
	ASSERT_EQ(8, pwrite(self->file, &val, 8, 2 * PAGE));
	EXPECT_EQ(88, peer_call(&self->p, op_load, self->other + 2 * PAGE));
	EXPECT_EQ(0, load(self->base + PAGE + 104));
	EXPECT_EQ(BUS_END, peek(self->base + 3 * PAGE));
	EXPECT_EQ(0, probe_write(self->base + 2 * PAGE + 16, 99));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_EQ(88, on_disk(self, 2));
}

/* A disk that is full says so by SIGBUS, in whatever process. */
TEST_F(writeback, disk_full)
{
	struct statfs sf;
	int filler = open(DISK "/filler", O_RDWR | O_CREAT | O_EXCL, 0600);
	int sparse = open(DISK "/sparse", O_RDWR | O_CREAT | O_EXCL, 0600);

	ASSERT_LE(0, sparse);
	ASSERT_EQ(0, ftruncate(sparse, NPAGES * PAGE));
	ASSERT_EQ(0, region_map(self->fd, HUGE, NPAGES * PAGE, RW, FIXED,
				sparse, 0));
	ASSERT_EQ(0, statfs(DISK, &sf));
	for (size_t size = (size_t)sf.f_bfree * PAGE, at = 0; size >= PAGE;) {
		if (fallocate(filler, 0, at, size)) {
			ASSERT_EQ(ENOSPC, errno);
			size /= 2;
		} else {
			at += size;
		}
	}
	EXPECT_EQ(BUS_END, probe_write(self->base + HUGE, 1));
	EXPECT_EQ(BUS_END, peer_call(&self->p, op_store,
				     self->other + HUGE + PAGE, 1));
	EXPECT_EQ(0, load(self->base + HUGE));
	/* What has its place already can be written. */
	EXPECT_EQ(0, probe_write(self->base, 5));
	ASSERT_EQ(0, ftruncate(filler, 0));
	ASSERT_EQ(0, syncfs(filler));
	EXPECT_EQ(0, probe_write(self->base + HUGE, 1));
	close(filler);
	close(sparse);
}

TEST_HARNESS_MAIN
