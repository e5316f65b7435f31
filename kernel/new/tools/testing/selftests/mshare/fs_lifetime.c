// SPDX-License-Identifier: GPL-2.0
/*
 * A region lives as long as its name, an open file or a window does, and its
 * memory comes back at once when the last of them goes.
 */
#include "mshare_test.h"

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	1024
#define KB	(NPAGES * 4)

FIXTURE(lifetime) {
	size_t unit;
	struct peer p, q;
	long shmem, tables;
};

FIXTURE_SETUP(lifetime)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->shmem = meminfo_kb("Shmem");
	self->tables = other_tables_kb();
	self->p = peer_start(_metadata);
	self->q = peer_start(_metadata);
}

FIXTURE_TEARDOWN(lifetime)
{
	peer_stop(&self->p);
	peer_stop(&self->q);
	EXPECT_EQ(self->shmem, meminfo_settles("Shmem", self->shmem));
	EXPECT_GE(self->tables, other_tables_settle(self->tables));
}

static long op_create(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL, 0600);
	char *base = ms_map(fd, a[1], RW);

	if (base == MAP_FAILED)
		return -errno;
	close(fd);
	fill(base, 1, NPAGES);
	return L(base);
}

#define CREATE(p, path) peer_call(p, op_create, L(path), self->unit)

TEST_F(lifetime, creator_exits_first)
{
	long base;

	ASSERT_LT(0, CREATE(&self->p, MS_DIR "/a"));
	base = peer_attach(&self->q, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	peer_stop(&self->p);
	EXPECT_EQ(0, peer_call(&self->q, op_damaged, base, 1, NPAGES));
	/* It goes on: pages, tables, windows. */
	EXPECT_EQ(0, peer_call(&self->q, op_store, base + 5000 * PAGE, 1));
	EXPECT_EQ(0, peer_call(&self->q, op_store, base + self->unit - 8, 1));
	EXPECT_LT(0, peer_attach(&self->q, MS_DIR "/a", O_RDWR, RW));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, peer_call(&self->q, op_damaged, base, 1, NPAGES));
}

TEST_F(lifetime, name_only)
{
	long base;

	/* Nobody has it open or mapped, and it is still there. */
	ASSERT_LT(0, CREATE(&self->p, MS_DIR "/a"));
	peer_stop(&self->p);
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	base = peer_attach(&self->q, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->q, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(0, peer_sys(&self->q, __NR_munmap, base, self->unit));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
}

TEST_F(lifetime, unlinked_while_used)
{
	long base = CREATE(&self->p, MS_DIR "/a");
	struct stat st;

	ASSERT_LT(0, base);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_ERR(ENOENT, stat(MS_DIR "/a", &st));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_store, base + NPAGES * PAGE, 1));

	/* The same name, another region. */
	base = CREATE(&self->q, MS_DIR "/a");
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->q, op_load, base + NPAGES * PAGE));
	EXPECT_EQ(self->shmem + 2 * KB + 8, meminfo_kb("Shmem"));
	peer_stop(&self->p);
	EXPECT_EQ(self->shmem + KB + 4, meminfo_settles("Shmem", self->shmem +
							KB + 4));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
}

TEST_F(lifetime, open_file_only)
{
	long base, fd;

	ASSERT_LT(0, base = CREATE(&self->p, MS_DIR "/a"));
	fd = peer_open(&self->q, MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd);
	peer_stop(&self->p);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	base = peer_mmap(&self->q, NULL, self->unit, RW, fd, 0);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->q, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(0, peer_sys(&self->q, __NR_munmap, base, self->unit));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, peer_sys(&self->q, __NR_close, fd));
	EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
}

TEST_F(lifetime, window_only)
{
	long base = CREATE(&self->p, MS_DIR "/a");

	ASSERT_LT(0, base);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munmap, base, self->unit));
	EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
}

TEST_F(lifetime, one_of_two_windows)
{
	long base = CREATE(&self->p, MS_DIR "/a");
	long other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);

	ASSERT_LT(0, base);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munmap, base, self->unit));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, other, 1, NPAGES));
	EXPECT_EQ(MAPERR, peer_call(&self->p, op_peek, base));
}

TEST_F(lifetime, replaced_by_rename)
{
	long a = CREATE(&self->p, MS_DIR "/a");
	long b = CREATE(&self->q, MS_DIR "/b");

	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munmap, a, self->unit));
	EXPECT_EQ(self->shmem + 2 * KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, rename(MS_DIR "/b", MS_DIR "/a"));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, peer_call(&self->q, op_damaged, b, 1, NPAGES));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
}

/* A file descriptor on its way through a socket is an open file. */
TEST_F(lifetime, in_flight)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	char *base;
	int sv[2], fd;

	ASSERT_LT(0, CREATE(&self->p, MS_DIR "/a"));
	fd = open(MS_DIR "/a", O_RDWR);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ASSERT_EQ(1, sendmsg(sv[0], &msg, 0));
	close(fd);
	peer_stop(&self->p);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));

	ASSERT_EQ(1, recvmsg(sv[1], &msg, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	base = ms_map(fd, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(0, damaged(base, 1, NPAGES));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
}

TEST_F(lifetime, killed)
{
	long base = CREATE(&self->p, MS_DIR "/a");

	ASSERT_LT(0, base);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(self->shmem + KB, meminfo_kb("Shmem"));
	EXPECT_EQ(0, kill(self->p.pid, SIGKILL));
	EXPECT_EQ(SIGKILL, peer_stop(&self->p));
	EXPECT_EQ(self->shmem, meminfo_settles("Shmem", self->shmem));
}

/* Never mapped, or sized and never mapped, or mapped and never touched. */
TEST_F(lifetime, unused)
{
	char *base;
	int fd;

	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);
	EXPECT_EQ(0, ftruncate(fd, 3 * self->unit));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
}

TEST_F(lifetime, many_regions)
{
	char path[64];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 20; i++) {
			char *base;

			snprintf(path, sizeof(path), MS_DIR "/%d", i);
			base = ms_new(_metadata, path, self->unit, NULL);
			fill(base, i, 16);
			ASSERT_EQ(0, damaged(base, i, 16));
			ASSERT_EQ(0, munmap(base, self->unit));
		}
		EXPECT_EQ(self->shmem + 20 * 16 * 4, meminfo_kb("Shmem"));
		for (int i = 0; i < 20; i++) {
			snprintf(path, sizeof(path), MS_DIR "/%d", i);
			ASSERT_EQ(0, unlink(path));
		}
		EXPECT_EQ(self->shmem, meminfo_kb("Shmem"));
	}
}

TEST_HARNESS_MAIN
