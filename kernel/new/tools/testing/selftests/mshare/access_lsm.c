// SPDX-License-Identifier: GPL-2.0
/*
 * A security module that says no: AppArmor, with a profile under which no file
 * may be mapped executable. (It looks at files again only that were opened with
 * the same profile.) Every refusal is asked for once more by mmap(2) or
 * mprotect(2) of ordinary memory, and given to a process without the profile.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"

#define PROFILE	"mshare-no-code"
#define CODE	MNT "/code"
#define SIZE	(8 * PAGE)

static const char profile[] =
	"profile " PROFILE " {\n"
	"  /** rwk,\n"
	"  capability,\n"
	"  signal,\n"
	"  ptrace,\n"
	"  unix,\n"
	"}\n";

/* By the compiler of policies, which wants a file. */
static int load_profile(void)
{
	const char *const argv[] = {
		"apparmor_parser", "--replace", "--skip-cache", MNT "/profile",
		NULL
	};
	int fd = open(MNT "/profile", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = write(fd, profile, sizeof(profile) - 1);

	close(fd);
	return n == sizeof(profile) - 1 ? run_program(argv) : -EIO;
}

FIXTURE(lsm) {
	size_t unit, size;
	char *base;
	int fd, code;
	struct peer free;	/* without the profile, the same files open */
	long free_fd, free_code;
};

FIXTURE_SETUP(lsm)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->size = UNITS * self->unit;
	ASSERT_EQ(0, mount_tmpfs());
	ASSERT_EQ(0, load_profile());
	self->free = peer_start(_metadata);

	ASSERT_EQ(0, write_file("/proc/thread-self/attr/apparmor/current",
				"changeprofile " PROFILE));
	self->code = open(CODE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, self->code);
	ASSERT_EQ(0, file_fill(self->code, 1, SIZE / PAGE));
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	self->free_fd = peer_open(&self->free, MS_DIR "/a", O_RDWR);
	self->free_code = peer_open(&self->free, CODE, O_RDWR);
	ASSERT_LE(0, self->free_fd);
	ASSERT_LE(0, self->free_code);
}

FIXTURE_TEARDOWN(lsm)
{
	if (self->unit)
		EXPECT_EQ(0, peer_stop(&self->free));
}

/* For peers: a[0] region, a[1] offset, a[2] protection, a[3] object. */
static long op_map(const long *a)
{
	return region_map(a[0], a[1], SIZE, a[2], FIXED, a[3], 0);
}

/* For peers: a[0] region, a[1] offset, a[2] size, a[3] protection. */
static long op_protect(const long *a)
{
	return region_protect(a[0], a[1], a[2], a[3]);
}

/* The same without mshare: the profile is in force, and means this. */
static int plain_map(int prot, int fd)
{
	void *at = mmap(NULL, SIZE, prot, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, SIZE);
	return 0;
}

static int plain_protect(int prot, int fd)
{
	void *at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	int ret = mprotect(at, SIZE, prot) ? -errno : 0;

	munmap(at, SIZE);
	return ret;
}

TEST_F(lsm, create)
{
	const struct {
		int prot, want;
	} want[] = {
		{ RW, 0 }, { PROT_READ, 0 }, { RX, -EACCES }, { RWX, -EACCES },
		{ PROT_EXEC, -EACCES }, { PROT_NONE, 0 },
	};
	struct mshare_mapping m;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		int prot = want[i].prot;

		EXPECT_EQ(want[i].want, plain_map(prot, self->code));
		EXPECT_EQ(want[i].want, region_map(self->fd, 0, SIZE, prot,
						   FIXED, self->code, 0)) {
			TH_LOG("protection %d", prot);
		}
		EXPECT_EQ(want[i].want ? -ENOENT : 0,
			  region_next(self->fd, 0, &m));
		EXPECT_EQ(0, peer_call(&self->free, op_map, self->free_fd, 0,
				       prot, self->free_code));
		ASSERT_EQ(0, region_next(self->fd, 0, &m));
		EXPECT_EQ(prot, m.prot);
		EXPECT_EQ(0, region_unmap(self->fd, 0, self->size));
	}
	/* Memory without a file is none of the profile's business. */
	EXPECT_EQ(0, region_map(self->fd, 0, SIZE, RWX, ANON, -1, 0));
}

/* What a refused mapping would have replaced is still there. */
TEST_F(lsm, replace)
{
	ASSERT_EQ(0, region_anon(self->fd, 0, 2 * SIZE));
	fill(self->base, 2, 2 * SIZE / PAGE);
	EXPECT_EQ(-EACCES, region_map(self->fd, PAGE, SIZE, RX, FIXED,
				      self->code, 0));
	EXPECT_EQ(0, damaged(self->base, 2, 2 * SIZE / PAGE));
	EXPECT_EQ(1, region_stat(self->fd).mappings);
}

TEST_F(lsm, protect)
{
	struct mshare_mapping m;
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, SIZE));
	ASSERT_EQ(0, region_map(fd, SIZE, SIZE, RW, FIXED, self->code, 0));
	fill(self->base, 1, 2 * SIZE / PAGE);

	EXPECT_EQ(-EACCES, plain_protect(RX, self->code));
	EXPECT_EQ(-EACCES, region_protect(fd, SIZE, SIZE, RX));
	EXPECT_EQ(-EACCES, region_protect(fd, SIZE + PAGE, PAGE, RWX));
	/* The first mapping could be changed, and is not. */
	EXPECT_EQ(-EACCES, region_protect(fd, 0, 2 * SIZE, RX));
	for (size_t at = 0; at < 2 * SIZE; at += SIZE) {
		ASSERT_EQ(0, region_next(fd, at, &m));
		EXPECT_EQ(at, m.offset);
		EXPECT_EQ(SIZE, m.size);
		EXPECT_EQ(RW, m.prot);
		EXPECT_EQ(CAN(0, 0), access_of(self->base + at));
		EXPECT_EQ(CAN(0, 0), access_of(self->base + at + PAGE));
	}

	/* What the profile permits, and who has none. */
	EXPECT_EQ(0, plain_protect(RW, self->code));
	EXPECT_EQ(0, region_protect(fd, 0, 2 * SIZE, PROT_READ));
	EXPECT_EQ(CAN(0, ACCERR), access_of(self->base + SIZE));
	EXPECT_EQ(0, region_protect(fd, 0, SIZE, RX));
	EXPECT_EQ(0, damaged(self->base, 1, 2 * SIZE / PAGE));
	ASSERT_EQ(0, peer_call(&self->free, op_map, self->free_fd, SIZE, RW,
			       self->free_code));
	EXPECT_EQ(0, peer_call(&self->free, op_protect, self->free_fd, 0,
			       2 * SIZE, RX));
}

/* A window is a mapping of the region's file, which has a name as well. */
TEST_F(lsm, window)
{
	char *own = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, own);
	ASSERT_EQ(0, region_anon(self->fd, 0, PAGE));
	EXPECT_EQ(MAP_FAILED, ms_map(self->fd, self->unit, RX));
	EXPECT_EQ(EACCES, errno);
	EXPECT_ERR(EACCES, mprotect(own, self->unit, RX));
	EXPECT_EQ(CAN(0, ACCERR), access_of(own));
	EXPECT_EQ(0, mprotect(own, self->unit, RW));
	EXPECT_EQ(CAN(0, 0), access_of(own));
	EXPECT_LT(0, peer_mmap(&self->free, 0, self->unit, RX, self->free_fd,
			       0));
}

TEST_HARNESS_MAIN
