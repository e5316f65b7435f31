// SPDX-License-Identifier: GPL-2.0
/* Objects of all kinds side by side, and what becomes of them. */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_object_kinds.h"

CONTAINER_FIXTURE(object)

TEST_F(object, sealed)
{
	int object = ms_memfd(_metadata, 1, 8), fd = self->fd;

	/* Not while a mapping could write it. */
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, RW, FIXED, object, 0));
	EXPECT_ERR(EBUSY, fcntl(object, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, region_protect(fd, 0, 8 * PAGE, PROT_READ));
	EXPECT_ERR(EBUSY, fcntl(object, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, region_unmap(fd, 0, 4 * PAGE));
	EXPECT_ERR(EBUSY, fcntl(object, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, region_unmap(fd, 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, fcntl(object, F_ADD_SEALS, F_SEAL_WRITE));
	/* And never again after that. */
	EXPECT_EQ(-EPERM, region_map(fd, 0, 8 * PAGE, RW, FIXED, object, 0));
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, PROT_READ, FIXED, object, 0));
	EXPECT_EQ(-EACCES, region_protect(fd, 0, 8 * PAGE, RW));
	EXPECT_EQ(-EACCES, region_advise(fd, 0, 8 * PAGE, MADV_REMOVE));
	EXPECT_EQ(ACCERR, probe_write(self->base, 1));
	EXPECT_EQ(0, damaged(self->base, 1, 8));
	close(object);
}

/* A program, from wherever it is: what the window shows is what read(2) does */
TEST_F(object, program)
{
	int object = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *x = ms_map(self->fd, self->size, RX);
	struct mshare_mapping m;
	static char page[PAGE];
	struct stat st;
	size_t size;

	ASSERT_LE(0, object);
	ASSERT_EQ(0, fstat(object, &st));
	size = st.st_size & -PAGE;
	EXPECT_EQ(-EACCES, region_map(self->fd, 0, size, RW, FIXED, object,
				      0));
	ASSERT_EQ(0, region_map(self->fd, 0, size, RX, FIXED, object, 0));
	ASSERT_EQ(0, region_next(self->fd, 0, &m));
	EXPECT_EQ(st.st_ino, m.inode);
	EXPECT_EQ(0, m.max_prot & PROT_WRITE);
	for (size_t at = 0; at < size; at += PAGE) {
		ASSERT_EQ(PAGE, pread(object, page, PAGE, at));
		ASSERT_EQ(0, memcmp(page, x + at, PAGE));
	}
	EXPECT_EQ(ACCERR, probe_write(self->base, 1));
	EXPECT_EQ(ACCERR, probe_call(self->base));
	close(object);
}

/* What is mapped keeps its file system, and nothing else does. */
TEST_F(object, umount)
{
	char *const mounts[] = { DISK, DAX };
	int object;

	ASSERT_EQ(0, mount_disk());
	ASSERT_EQ(0, mount_dax());
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/f", mounts[i]);
		object = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			      0600);
		ASSERT_LE(0, object);
		ASSERT_EQ(0, ftruncate(object, 8 * PAGE));
		ASSERT_EQ(0, region_map(self->fd, 0, 8 * PAGE, RW, FIXED,
					object, 0));
		EXPECT_EQ(0, close(object));
		EXPECT_EQ(0, unlink(path));
		fill(self->base, 1, 8);
		EXPECT_ERR(EBUSY, umount(mounts[i]));
		EXPECT_EQ(0, region_unmap(self->fd, 0, 7 * PAGE));
		EXPECT_ERR(EBUSY, umount(mounts[i]));
		EXPECT_EQ(pattern(1, 7), load(self->base + 7 * PAGE));
		EXPECT_EQ(0, region_anon(self->fd, 7 * PAGE, PAGE));
		EXPECT_EQ(0, umount(mounts[i])) {
			TH_LOG("%s: %s", mounts[i], strerror(errno));
		}
	}
}

/* All of them in one region, side by side. */
static int use_all(char *base, unsigned int round)
{
	for (int kind = 0; kind < KINDS; kind++) {
		char *at = base + kind * 16 * HUGE;

		CHECK(!bad_pages(at, page_size(kind), round * KINDS + kind, 0,
				 NPAGES));
		fill_pages(at, page_size(kind), (round + 1) * KINDS + kind);
	}
	return 0;
}

static long op_use_all(const long *a)
{
	return use_all((char *)a[0], a[1]);
}

FIXTURE(all) {
	size_t unit;
};

FIXTURE_SETUP(all)
{
	self->unit = ms_setup(_metadata, NULL);
}

FIXTURE_TEARDOWN(all)
{
	unlink(HUGEFS "/f");
	EXPECT_EQ(0, hugepage_pool(0));
}

TEST_F(all, in_one_region)
{
	struct peer p = peer_start(_metadata);
	int fd, object[KINDS], status;
	unsigned int round = 0;
	char *base;
	long other;
	pid_t pid;

	fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	base = ms_map(fd, self->unit, RW);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	for (int kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, prepare(kind));
		object[kind] = object_new(kind);
		ASSERT_LE(0, object[kind]);
		ASSERT_EQ(0, region_map(fd, kind * 16 * HUGE,
					NPAGES * page_size(kind), RW, FIXED,
					object[kind], 0));
		fill_pages(base + kind * 16 * HUGE, page_size(kind), kind);
	}
	EXPECT_EQ(KINDS, region_stat(fd).mappings);
	/* One access that goes from one object to the next. */
	ASSERT_EQ(0, region_map(fd, 16 * HUGE - PAGE, PAGE, RW, FIXED,
				object[EXT4], 0));
	store(base + 16 * HUGE - PAGE, pattern(EXT4, 0));
	EXPECT_EQ(16, syscall(__NR_getrandom, base + 16 * HUGE - 8, 16L, 0L));
	ASSERT_EQ(0, region_unmap(fd, 16 * HUGE - PAGE, PAGE));
	fill_pages(base + EXT4 * 16 * HUGE, PAGE, EXT4);
	fill_pages(base + 16 * HUGE, PAGE, TMPFS);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, peer_call(&p, op_use_all, other, round++));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(use_all(base, round));
		round++;
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, use_all(base, round++));
	}
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(0, region_unmap(fd, 0, self->unit));
	for (int kind = 0; kind < KINDS; kind++)
		close(object[kind]);
}

TEST_HARNESS_MAIN
