// SPDX-License-Identifier: GPL-2.0
/* A region as a file: read, write, size. */
#include "mshare_test.h"
#include <limits.h>
#include <linux/falloc.h>

MS_FIXTURE(file)

static uint64_t region_size(int fd)
{
	struct mshare_info info = { 0 };

	if (pread(fd, &info, sizeof(info), 0) != sizeof(info))
		return ~0ull;
	return info.size;
}

static int new_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

TEST_F(file, read_info)
{
	struct mshare_info info = { 1, 1 };
	char *base, *again, big[64];
	int fd = new_file(MS_DIR "/a"), wo;

	ASSERT_LE(0, fd);
	EXPECT_EQ(16, sizeof(info));
	ASSERT_EQ(16, read(fd, &info, sizeof(info)));
	EXPECT_EQ(0, info.start);
	EXPECT_EQ(0, info.size);

	base = ms_map(fd, self->unit * 2, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(16, pread(fd, &info, sizeof(info), 0));
	EXPECT_EQ((uint64_t)base, info.start);
	EXPECT_EQ(self->unit * 2, info.size);

	EXPECT_ERR(EINVAL, pread(fd, &info, 15, 0));
	EXPECT_ERR(EINVAL, pread(fd, &info, 1, 0));
	EXPECT_EQ(0, pread(fd, big, sizeof(big), 16));
	EXPECT_EQ(0, pread(fd, big, sizeof(big), 1 << 20));
	EXPECT_EQ(16, pread(fd, big, sizeof(big), 0));
	EXPECT_EQ(0, memcmp(big, &info, 16));
	EXPECT_ERR(EFAULT, syscall(__NR_pread64, fd, 8L, 16L, 0L));

	/* As a stream: once, then the end. */
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(16, read(fd, big, sizeof(big)));
	EXPECT_EQ(0, read(fd, big, sizeof(big)));

	/* The start is the first window's, whatever happens to it. */
	ASSERT_EQ(0, munmap(base, self->unit * 2));
	again = mmap(base + self->unit * 16, self->unit, PROT_READ, MAP_SHARED,
		     fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	ASSERT_EQ(16, pread(fd, &info, sizeof(info), 0));
	EXPECT_EQ((uint64_t)base, info.start);
	EXPECT_EQ(self->unit * 2, info.size);

	wo = open(MS_DIR "/a", O_WRONLY);
	ASSERT_LE(0, wo);
	EXPECT_ERR(EBADF, read(wo, big, sizeof(big)));
}

TEST_F(file, write_refused)
{
	int fd = new_file(MS_DIR "/a"), pipefd[2], other;
	struct mshare_info info = { 0 };
	char *base;

	base = ms_map(fd, self->unit, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	fill(base, 1, 4);
	EXPECT_ERR(EINVAL, write(fd, &info, sizeof(info)));
	EXPECT_ERR(EINVAL, pwrite(fd, &info, sizeof(info), 0));
	EXPECT_ERR(EINVAL, pwrite(fd, "x", 1, 4096));
	other = open(MS_DIR "/a", O_WRONLY | O_APPEND);
	ASSERT_LE(0, other);
	EXPECT_ERR(EINVAL, write(other, "x", 1));
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(4, write(pipefd[1], "abcd", 4));
	EXPECT_ERR(EINVAL, splice(pipefd[0], NULL, fd, NULL, 4, 0));
	EXPECT_EQ(self->unit, region_size(fd));
	EXPECT_EQ(0, damaged(base, 1, 4));
}

TEST_F(file, truncating_open)
{
	int fd = new_file(MS_DIR "/a"), other;
	char *base;

	/* Of an empty region it changes nothing. */
	other = open(MS_DIR "/a", O_RDWR | O_TRUNC);
	ASSERT_LE(0, other);
	base = ms_map(fd, self->unit, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	fill(base, 1, 4);
	EXPECT_EQ(-1, open(MS_DIR "/a", O_RDWR | O_TRUNC));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, damaged(base, 1, 4));
	EXPECT_EQ(self->unit, region_size(fd));
}

TEST_F(file, truncate_empty)
{
	int fd = new_file(MS_DIR "/a");
	struct stat st;
	char *base;

	EXPECT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, region_size(fd));
	/* Still a region without a shape: the first mmap gives it one. */
	base = ms_map(fd, self->unit, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(0, probe_write(base, 1));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(self->unit, (size_t)st.st_size);
}

TEST_F(file, truncate_values)
{
	const off_t unit = self->unit;
	const off_t bad[] = { 1, PAGE, unit - 1, unit + 1, unit - PAGE,
			      unit + PAGE, 3 * unit / 2 };
	const off_t huge[] = { LLONG_MAX, (LLONG_MAX / unit) * unit, 1LL << 62,
			       1LL << 57 };
	int fd = new_file(MS_DIR "/a");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_ERR(EINVAL, ftruncate(fd, bad[i]));
		EXPECT_ERR(EINVAL, truncate(MS_DIR "/a", bad[i]));
		EXPECT_ERR(EINVAL, fallocate(fd, 0, 0, bad[i]));
	}
	EXPECT_ERR(EINVAL, ftruncate(fd, -unit));
	for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
		EXPECT_EQ(-1, ftruncate(fd, huge[i]));
		EXPECT_TRUE(errno == EFBIG || errno == EINVAL);
		EXPECT_EQ(-1, fallocate(fd, 0, 0, huge[i]));
		EXPECT_TRUE(errno == EFBIG || errno == EINVAL);
	}
	EXPECT_EQ(0, region_size(fd));
	EXPECT_EQ(0, ftruncate(fd, unit));
	EXPECT_EQ(unit, (off_t)region_size(fd));
	EXPECT_ERR(EINVAL, ftruncate(fd, unit + PAGE));
	EXPECT_EQ(unit, (off_t)region_size(fd));
}

TEST_F(file, fallocate)
{
	const size_t unit = self->unit;
	int fd = new_file(MS_DIR "/a");

	EXPECT_ERR(EINVAL, fallocate(fd, 0, 0, 0));
	EXPECT_ERR(EINVAL, fallocate(fd, 0, -unit, unit));
	EXPECT_EQ(0, fallocate(fd, 0, 0, 2 * unit));
	EXPECT_EQ(2 * unit, region_size(fd));
	/* It never makes a file smaller. */
	EXPECT_EQ(0, fallocate(fd, 0, 0, unit));
	EXPECT_EQ(2 * unit, region_size(fd));
	EXPECT_EQ(0, fallocate(fd, 0, 0, 3 * unit));
	EXPECT_EQ(3 * unit, region_size(fd));

	EXPECT_ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, unit));
	EXPECT_ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE |
					 FALLOC_FL_KEEP_SIZE, 0, unit));
	EXPECT_ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, unit));
	EXPECT_ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0,
					 unit));
	EXPECT_EQ(3 * unit, region_size(fd));
}

TEST_F(file, container)
{
	const size_t unit = self->unit;
	int fd = new_file(MS_DIR "/a");
	struct mshare_info info;
	struct stat st;
	char *base;

	EXPECT_EQ(0, ftruncate(fd, 2 * unit));
	ASSERT_EQ(16, pread(fd, &info, sizeof(info), 0));
	EXPECT_EQ(0, info.start);
	EXPECT_EQ(2 * unit, info.size);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(2 * unit, (size_t)st.st_size);

	/* It may be mapped with nothing in it, and mmap puts nothing there. */
	base = ms_map(fd, 2 * unit, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(MAPERR, peek(base));
	EXPECT_EQ(MAPERR, probe_write(base + unit, 1));
	EXPECT_EQ(MAPERR, peek(base + 2 * unit - 8));
	ASSERT_EQ(16, pread(fd, &info, sizeof(info), 0));
	EXPECT_EQ((uint64_t)base, info.start);
}

TEST_F(file, grow_and_shrink)
{
	const size_t unit = self->unit;
	int fd = new_file(MS_DIR "/a");
	char *base;

	EXPECT_EQ(0, ftruncate(fd, unit));
	EXPECT_EQ(0, ftruncate(fd, 4 * unit));
	EXPECT_EQ(4 * unit, region_size(fd));
	EXPECT_EQ(0, ftruncate(fd, 3 * unit));
	EXPECT_EQ(3 * unit, region_size(fd));

	base = mmap(NULL, unit, PROT_READ, MAP_SHARED, fd, unit);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_ERR(EBUSY, ftruncate(fd, unit));
	EXPECT_EQ(3 * unit, region_size(fd));
	/* Behind the window nothing is in the way. */
	EXPECT_EQ(0, ftruncate(fd, 2 * unit));
	EXPECT_EQ(0, ftruncate(fd, 5 * unit));
	EXPECT_EQ(5 * unit, region_size(fd));
	EXPECT_EQ(0, munmap(base, unit));
	EXPECT_EQ(0, ftruncate(fd, unit));
	EXPECT_EQ(unit, region_size(fd));
}

TEST_F(file, shrink_plain)
{
	const size_t unit = self->unit;
	char *base, *more;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", 2 * unit, &fd);
	fill(base, 1, 4);
	store(base + unit, 77);
	EXPECT_ERR(EBUSY, ftruncate(fd, unit));
	EXPECT_ERR(EBUSY, ftruncate(fd, 0));
	/* The memory is in the way, window or not. */
	EXPECT_EQ(0, munmap(base, 2 * unit));
	EXPECT_ERR(EBUSY, ftruncate(fd, unit));
	EXPECT_EQ(2 * unit, region_size(fd));

	/* What is added is empty. */
	EXPECT_EQ(0, ftruncate(fd, 3 * unit));
	more = ms_map(fd, 3 * unit, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, more);
	EXPECT_EQ(0, damaged(more, 1, 4));
	EXPECT_EQ(77, load(more + unit));
	EXPECT_EQ(MAPERR, peek(more + 2 * unit));
	EXPECT_EQ(0, munmap(more, 3 * unit));
	EXPECT_EQ(0, ftruncate(fd, 2 * unit));
}

TEST_F(file, size_needs_write)
{
	int fd = new_file(MS_DIR "/a"), ro;

	ro = open(MS_DIR "/a", O_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-1, ftruncate(ro, self->unit));
	EXPECT_TRUE(errno == EBADF || errno == EINVAL);
	EXPECT_ERR(EBADF, fallocate(ro, 0, 0, self->unit));
	EXPECT_EQ(0, region_size(fd));
}

TEST_F(file, first_mmap_failed)
{
	const size_t unit = self->unit;
	int fd = new_file(MS_DIR "/a");

	EXPECT_EQ(MAP_FAILED, ms_map(fd, unit + PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, unit, PROT_READ, MAP_SHARED, fd,
				   unit));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, unit, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, region_size(fd));
	EXPECT_NE(MAP_FAILED, ms_map(fd, unit, PROT_READ | PROT_WRITE));
	EXPECT_EQ(unit, region_size(fd));
}

TEST_F(file, commit_charge)
{
	const long pages = 1024;
	long before, now;
	char *base;

	/*
	 * Charged as shared memory is: at least what is there. The whole of it
	 * would refuse a unit to a machine that has less memory than that.
	 */
	before = file_field("/proc/meminfo", "Committed_AS");
	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, pages);
	now = file_field("/proc/meminfo", "Committed_AS");
	EXPECT_LE(before + pages * 4, now);
	EXPECT_GE(before + self->unit / 1024 + 64, now);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_GT(before + pages * 4,
		  file_field("/proc/meminfo", "Committed_AS"));
}

TEST_HARNESS_MAIN
