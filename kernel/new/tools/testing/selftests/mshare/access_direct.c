// SPDX-License-Identifier: GPL-2.0
/*
 * O_DIRECT between a file on ext4, on a disk, and a window: read(2), aio,
 * io_uring with plain and with registered buffers. The disk then reads and
 * writes the pages of the region themselves. Where it is not obvious what is
 * right, ordinary shared memory says it.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_objects.h"

#define NPAGES		16UL
#define MANY		(1024 * PAGE)	/* several requests of the disk */
#define LONELY		(1UL << 44)	/* mmap(2) does not choose it */

FIXTURE(direct) {
	size_t unit;
	struct peer p;
	long other;	/* the window of the peer */
	char *base;	/* ours */
	int file;
};

FIXTURE_VARIANT(direct) {
	enum engine engine;
};

FIXTURE_VARIANT_ADD(direct, sync) { .engine = SYNC };
FIXTURE_VARIANT_ADD(direct, aio) { .engine = AIO };
FIXTURE_VARIANT_ADD(direct, io_uring) { .engine = URING };
FIXTURE_VARIANT_ADD(direct, io_uring_fixed) { .engine = URING_FIXED };

FIXTURE_SETUP(direct)
{
	int err;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	err = mount_disk();
	ASSERT_EQ(0, err) TH_LOG("no disk with ext4: %s", strerror(-err));
	self->file = open(DISK "/f", O_RDWR | O_CREAT | O_EXCL | O_DIRECT |
			  O_CLOEXEC, 0600);
	ASSERT_LE(0, self->file);
	self->base = pair_start(_metadata, self->unit, &self->p, &self->other);
}

FIXTURE_TEARDOWN(direct)
{
	EXPECT_EQ(0, peer_stop(&self->p));
	close(self->file);
}

#define READ(at, len, off) \
	direct_rw(variant->engine, false, self->file, at, len, off)
#define WRITE(at, len, off) \
	direct_rw(variant->engine, true, self->file, at, len, off)

TEST_F(direct, read)
{
	char *base = self->base;

	ASSERT_EQ(0, direct_fill(self->file, 6, NPAGES));
	/* Not there; there by us; there by the peer only; a mixture. */
	EXPECT_EQ(4 * PAGE, READ(base, 4 * PAGE, 0));
	fill(base + 4 * PAGE, 7, 4);
	EXPECT_EQ(4 * PAGE, READ(base + 4 * PAGE, 4 * PAGE, 4 * PAGE));
	peer_call(&self->p, op_fill, self->other + 8 * PAGE, 7, 4);
	EXPECT_EQ(8 * PAGE, READ(base + 8 * PAGE, 8 * PAGE, 8 * PAGE));
	EXPECT_EQ(0, damaged(base, 6, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 6, NPAGES));
}

TEST_F(direct, write)
{
	peer_call(&self->p, op_fill, self->other, 8, 8);
	/* Eight pages of the peer, never reached by us, eight of nobody. */
	EXPECT_EQ(16 * PAGE, WRITE(self->base, 16 * PAGE, 0));
	for (unsigned int i = 0; i < 16; i++) {
		EXPECT_EQ(i < 8 ? pattern(8, i) : 0,
			  direct_load(self->file, i));
	}
	/* Once more, with what the peer has stored meanwhile. */
	peer_call(&self->p, op_fill, self->other, 9, 8);
	EXPECT_EQ(8 * PAGE, WRITE(self->base, 8 * PAGE, 0));
	EXPECT_EQ(pattern(9, 7), direct_load(self->file, 7));
}

/* Sectors that lie across pages of the region. */
TEST_F(direct, sectors)
{
	char *base = self->base;

	ASSERT_EQ(0, direct_fill(self->file, 6, 4));
	EXPECT_EQ(3 * 512, READ(base + 2 * PAGE - 512, 3 * 512, PAGE));
	EXPECT_EQ(0, load(base + 2 * PAGE - 520));
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(pattern(6, 1),
			  peer_call(&self->p, op_load, self->other + 2 * PAGE -
				    512 + i * 512));
	}
	EXPECT_EQ(0, load(base + 2 * PAGE + 1024));
	EXPECT_EQ(1024, WRITE(base + 2 * PAGE - 512, 1024, 3 * PAGE + 512));
	EXPECT_EQ(pattern(6, 3), direct_load(self->file, 3));
}

TEST_F(direct, many_pages)
{
	ASSERT_EQ(0, fallocate(self->file, 0, 0, MANY));
	for (unsigned long i = 0; i < MANY / PAGE; i += 7)
		peer_call(&self->p, op_store, self->other + i * PAGE,
			  pattern(2, i));
	EXPECT_EQ(MANY, WRITE(self->base, MANY, 0));
	EXPECT_EQ(MANY, READ(self->base + 2 * MANY, MANY, 0));
	for (unsigned long i = 0; i < MANY / PAGE; i++) {
		EXPECT_EQ(i % 7 ? 0 : pattern(2, i),
			  load(self->base + 2 * MANY + i * PAGE));
	}
}

/* A child has the window, and the disk reaches it there. */
TEST_F(direct, in_child)
{
	int status;
	pid_t pid;

	fill(self->base, 1, 4);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(WRITE(self->base, 4 * PAGE, 0) == 4 * PAGE);
		CHECK(READ(self->base + 8 * PAGE, 4 * PAGE, 0) == 4 * PAGE);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, damaged(self->base + 8 * PAGE, 1, 4));
}

/* Into a window of a file of the same file system, and out of it. */
TEST_F(direct, file_in_region)
{
	int fd = ms_container(_metadata, MS_DIR "/c", self->unit);
	int object = open(DISK "/g", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool fixed = variant->engine == URING_FIXED;
	char *base = ms_map(fd, self->unit, RW);
	long want = fixed ? -EFAULT : 4 * PAGE;

	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, file_fill(object, 3, NPAGES));
	ASSERT_EQ(0, region_map(fd, PAGE, NPAGES * PAGE, RW, FIXED, object, 0));
	ASSERT_EQ(0, direct_fill(self->file, 4, NPAGES));
	/*
	 * The second time with the pages there, and writable. To register them
	 * would be to pin for long what the file system must be told of.
	 */
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(want, READ(base + PAGE, 4 * PAGE, 0));
		EXPECT_EQ(pattern(fixed ? 3 : 4, 3), file_load(object, 3));
		store(base + PAGE, load(base + PAGE));
	}
	EXPECT_EQ(want, WRITE(base + 9 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(fixed ? pattern(4, 0) : pattern(3, 8),
		  direct_load(self->file, 0));
	close(fd);
	close(object);
}

/*
 * The buffer is no memory from some page on, or may not be used so: whatever
 * ordinary memory gets. Nothing arrives but what was said to.
 */
TEST_F(direct, like_ordinary_memory)
{
	int fd = ms_container(_metadata, MS_DIR "/c", self->unit);
	int object = ms_memfd(_metadata, 1, NPAGES);
	char *at[2] = { (char *)LONELY, ms_map(fd, self->unit, RW) };

	ASSERT_EQ(at[0], mmap(at[0], NPAGES * PAGE, RW, MAP_SHARED |
			      MAP_FIXED_NOREPLACE, object, 0));
	ASSERT_NE(MAP_FAILED, at[1]);
	ASSERT_EQ(0, munmap(at[0] + 4 * PAGE, PAGE));
	ASSERT_EQ(0, mprotect(at[0] + 8 * PAGE, PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(at[0] + 12 * PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(0, region_map(fd, 0, NPAGES * PAGE, RW, FIXED, object, 0));
	ASSERT_EQ(0, region_unmap(fd, 4 * PAGE, PAGE));
	ASSERT_EQ(0, region_protect(fd, 8 * PAGE, PAGE, PROT_READ));
	ASSERT_EQ(0, region_protect(fd, 12 * PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(0, direct_fill(self->file, 2, NPAGES));

	for (unsigned int page = 2; page < 14; page++) {
		long got[2][2];

		for (unsigned int i = 0; i < 2; i++) {
			char *buf = at[i] + page * PAGE;

			ASSERT_EQ(0, file_fill(object, 1, NPAGES));
			got[i][0] = READ(buf, 2 * PAGE, page * PAGE);
			EXPECT_EQ(pattern(1, 4), file_load(object, 4));
			EXPECT_EQ(pattern(1, 8), file_load(object, 8));
			EXPECT_EQ(pattern(1, 12), file_load(object, 12));
			got[i][1] = WRITE(buf, 2 * PAGE, 20 * PAGE);
		}
		EXPECT_EQ(got[0][0], got[1][0]) {
			TH_LOG("read at page %u", page);
		}
		EXPECT_EQ(got[0][1], got[1][1]) {
			TH_LOG("write at page %u", page);
		}
	}
	/* The controls have said something. */
	EXPECT_EQ(2 * PAGE, READ(at[1] + 6 * PAGE, 2 * PAGE, 0));
	EXPECT_EQ(-EFAULT, READ(at[1] + 8 * PAGE, PAGE, 0));
	EXPECT_EQ(-EFAULT, WRITE(at[1] + 12 * PAGE, PAGE, 0));
	close(fd);
	close(object);
}

TEST_HARNESS_MAIN
