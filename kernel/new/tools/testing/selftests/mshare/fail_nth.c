// SPDX-License-Identifier: GPL-2.0
/*
 * Low memory: of every operation each allocation is made to fail once, the
 * first, the second, and so on until the operation needs no more. It then fails
 * with ENOMEM or does without; what was there is as it was, and the next try
 * succeeds. Nothing is left behind, which Shmem and PageTables tell here and
 * the slab counts and kmemleak tell the one who runs this.
 */
#include "mshare_test.h"
#include "fail_nth.h"

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	8

TEST_F(failnth, create)
{
	int fd;

	EACH_ALLOCATION(, {
		fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600);
		err = fd < 0 ? errno : 0;
	}, {
		if (fd >= 0) {
			ASSERT_EQ(0, close(fd));
			ASSERT_EQ(0, unlink(MS_DIR "/a"));
		} else {
			ASSERT_EQ(-1, access(MS_DIR "/a", F_OK));
		}
	}, ENOMEM, ENFILE);
	EXPECT_LT(0, hits);
}

TEST_F(failnth, mkdir)
{
	EACH_ALLOCATION(, {
		err = mkdir(MS_DIR "/d", 0700) ? errno : 0;
	}, {
		if (!err) {
			ASSERT_EQ(0, rmdir(MS_DIR "/d"));
		}
	}, ENOMEM);
	EXPECT_LT(0, hits);
}

/* No inode is ENOSPC in memory file systems, here and below. */
TEST_F(failnth, mount)
{
	EACH_ALLOCATION(, {
		err = mount("msharefs", "/tmp", "msharefs", 0, "size=1m") ?
		      errno : 0;
	}, {
		if (!err) {
			ASSERT_EQ(0, umount("/tmp"));
		}
	}, ENOMEM, ENOSPC);
	EXPECT_LT(0, hits);
}

TEST_F(failnth, set_size)
{
	int fd;

	EACH_ALLOCATION({
		fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd);
	}, {
		err = ftruncate(fd, self->unit) ? errno : 0;
	}, {
		struct stat st;

		ASSERT_EQ(0, fstat(fd, &st));
		ASSERT_EQ(err ? 0 : self->unit, (size_t)st.st_size);
		ASSERT_EQ(0, ftruncate(fd, self->unit));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, unlink(MS_DIR "/a"));
	}, ENOMEM);
}

TEST_F(failnth, first_mmap)
{
	struct stat st;
	char *base;
	int fd;

	EACH_ALLOCATION({
		fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd);
	}, {
		base = ms_map(fd, self->unit, RW);
		err = base == MAP_FAILED ? errno : 0;
	}, {
		if (err) {
			/* As if it had not been tried: it still has no size. */
			ASSERT_EQ(0, fstat(fd, &st));
			ASSERT_EQ(0, st.st_size);
			base = ms_map(fd, 2 * self->unit, RW);
			if (base == MAP_FAILED) {
				TH_LOG("allocation %d: %s, then: %s", nth,
				       strerror(err), strerror(errno));
			}
			ASSERT_NE(MAP_FAILED, base);
		}
		fill(base, 1, NPAGES);
		ASSERT_EQ(0, damaged(base, 1, NPAGES));
		ASSERT_EQ(0, munmap(base, (err ? 2 : 1) * self->unit));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, unlink(MS_DIR "/a"));
	}, ENOMEM, ENOSPC);
	EXPECT_LT(0, hits);
}

/* Later ones, in a slot of the address space that has no table yet. */
TEST_F(failnth, second_mmap)
{
	char *base, *at = (char *)(1UL << 45), *p;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", self->unit, &fd);
	fill(base, 1, NPAGES);
	self->shmem += NPAGES * 4;
	EACH_ALLOCATION(, {
		p = mmap(at, self->unit, RW, MAP_SHARED | MAP_FIXED_NOREPLACE,
			 fd, 0);
		err = p == MAP_FAILED ? errno : 0;
	}, {
		if (!err) {
			ASSERT_EQ(at, p);
			ASSERT_EQ(0, damaged(p, 1, NPAGES));
			ASSERT_EQ(0, munmap(p, self->unit));
		}
		ASSERT_EQ(MAPERR, peek(at));
	}, ENOMEM);
	EXPECT_LT(0, hits);
	self->shmem -= NPAGES * 4;
	EXPECT_EQ(0, damaged(base, 1, NPAGES));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, munmap(base, self->unit));
}

/* One window in the place of another. */
TEST_F(failnth, replacing_mmap)
{
	char *a, *b, *at, *p;
	int fda, fdb;
	uint64_t val;

	a = ms_new(_metadata, MS_DIR "/a", 3 * self->unit, &fda);
	b = ms_new(_metadata, MS_DIR "/b", self->unit, &fdb);
	for (unsigned int i = 0; i < 3; i++)
		store(a + i * self->unit, 1);
	store(b, 2);
	self->shmem += 4 * 4;
	at = (char *)(1UL << 45);
	EACH_ALLOCATION({
		ASSERT_EQ(at, mmap(at, 3 * self->unit, RW, MAP_SHARED |
				   MAP_FIXED, fda, 0));
	}, {
		p = mmap(at + self->unit, self->unit, RW, MAP_SHARED |
			 MAP_FIXED, fdb, 0);
		err = p == MAP_FAILED ? errno : 0;
	}, {
		/* mmap(2) may leave a gap there when it fails late. */
		ASSERT_EQ(1, load(at));
		ASSERT_EQ(1, load(at + 2 * self->unit));
		if (err) {
			ASSERT_TRUE(probe_read(at + self->unit, &val) ==
				    MAPERR || val == 1);
		} else {
			ASSERT_EQ(2, load(at + self->unit));
		}
	}, ENOMEM);
	EXPECT_LT(0, hits);
	self->shmem -= 4 * 4;
	EXPECT_EQ(0, munmap(at, 3 * self->unit));
	EXPECT_EQ(0, munmap(a, 3 * self->unit));
	EXPECT_EQ(0, munmap(b, self->unit));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	EXPECT_EQ(0, close(fda));
	EXPECT_EQ(0, close(fdb));
}

/* A fault that finds no memory is tried again by the processor. */
TEST_F(failnth, fault)
{
	char *base;
	long left;

	for (int write = 0; write < 2; write++) {
		EACH_ALLOCATION({
			base = ms_new(_metadata, MS_DIR "/a", self->unit,
				      NULL);
		}, {
			/* Nothing but the access between arm and disarm. */
			if (write)
				store(base + 700 * PAGE, 5);
			else
				load(base + 700 * PAGE);
		}, {
			left = meminfo_kb("Shmem") - self->shmem;
			ASSERT_EQ(4, left);
			ASSERT_EQ(write ? 5 : 0, load(base + 700 * PAGE));
			ASSERT_EQ(0, munmap(base, self->unit));
			ASSERT_EQ(0, unlink(MS_DIR "/a"));
		});
		EXPECT_LT(0, hits);
	}
}

/* A fault in a system call: EFAULT, as there is no one to try again. */
TEST_F(failnth, fault_in_system_call)
{
	char *base;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	EACH_ALLOCATION({
		base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
		ASSERT_EQ(8, write(fd[1], "ABCDEFGH", 8));
	}, {
		err = read(fd[0], base, 8) == 8 ? 0 : errno;
	}, {
		if (err) {
			ASSERT_EQ(8, read(fd[0], base, 8));
		}
		ASSERT_EQ(0, memcmp(base, "ABCDEFGH", 8));
		ASSERT_EQ(0, munmap(base, self->unit));
		ASSERT_EQ(0, unlink(MS_DIR "/a"));
	}, EFAULT, ENOMEM);
	EXPECT_LT(0, hits);
}

/* A process that reaches for another one's window. */
TEST_F(failnth, remote_access)
{
	struct peer p = peer_start(_metadata);
	struct iovec local, remote;
	uint64_t val = 7;
	char *own;
	long base;

	local = (struct iovec){ &val, 8 };
	own = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	for (unsigned int page = 1; page < 3; page++) {
		base = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
		ASSERT_LT(0, base);
		remote = (struct iovec){ (void *)(base + page * PAGE), 8 };
		for (int nth = 1; nth < MAX_ALLOCS; nth++) {
			ssize_t n;

			arm(self->control, nth);
			n = process_vm_writev(p.pid, &local, 1, &remote, 1, 0);
			if (n != 8) {
				EXPECT_TRUE(errno == EFAULT || errno == ENOMEM);
			}
			if (!disarm(self->control)) {
				EXPECT_EQ(8, n);
				break;
			}
		}
		EXPECT_EQ(7, peer_call(&p, op_load, base + page * PAGE));
	}
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(self->shmem + 8, meminfo_kb("Shmem"));
	EXPECT_EQ(0, munmap(own, self->unit));
}

TEST_F(failnth, fork)
{
	pid_t pid = -1;
	char *base;
	int status;

	base = ms_new(_metadata, MS_DIR "/a", 3 * self->unit, NULL);
	fill(base, 1, NPAGES);
	/* Three VMAs instead of one. */
	ASSERT_EQ(0, mprotect(base + self->unit, self->unit, PROT_READ));
	self->shmem += NPAGES * 4;
	EACH_ALLOCATION(, {
		pid = fork();
		if (!pid)
			_exit(damaged(base, 1, NPAGES) ||
			      probe_write(base + self->unit, 1) != ACCERR);
		err = pid < 0 ? errno : 0;
	}, {
		if (pid > 0) {
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_EQ(0, status);
		}
		ASSERT_EQ(0, damaged(base, 1, NPAGES));
	}, ENOMEM, EAGAIN);
	EXPECT_LT(0, hits);
	self->shmem -= NPAGES * 4;
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, munmap(base, 3 * self->unit));
}

TEST_F(failnth, munmap_splits)
{
	char *base;
	int fd;

	munmap(ms_new(_metadata, MS_DIR "/a", 3 * self->unit, &fd),
	       3 * self->unit);
	EACH_ALLOCATION({
		base = ms_map(fd, 3 * self->unit, RW);
		ASSERT_NE(MAP_FAILED, base);
	}, {
		err = munmap(base + self->unit, self->unit) ? errno : 0;
	}, {
		/* All or nothing: reading would change Shmem, so look at it. */
		ASSERT_EQ(err ? 0 : -1, mprotect(base + self->unit, self->unit,
						 PROT_READ));
		ASSERT_EQ(0, munmap(base, 3 * self->unit));
	}, ENOMEM);
	EXPECT_LT(0, hits);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
}

TEST_F(failnth, mprotect_splits)
{
	char *base;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", 3 * self->unit, &fd);
	store(base + self->unit, 1);
	self->shmem += 4;
	EACH_ALLOCATION({
		ASSERT_EQ(0, mprotect(base, 3 * self->unit, RW));
	}, {
		err = mprotect(base + self->unit, self->unit, PROT_READ) ?
		      errno : 0;
	}, {
		ASSERT_EQ(err ? 0 : ACCERR, probe_write(base + self->unit, 1));
	}, ENOMEM);
	EXPECT_LT(0, hits);
	self->shmem -= 4;
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, munmap(base, 3 * self->unit));
}

TEST_HARNESS_MAIN
