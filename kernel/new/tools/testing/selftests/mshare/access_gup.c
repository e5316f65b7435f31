// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own ways to a process's memory, through a window: on pages that
 * are there, on pages that are there but were never reached by this process,
 * and on pages that nobody has touched.
 */
#include "mshare_test.h"
#include "lib_io.h"

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	64

PAIR_FIXTURE(gup)

TEST_F(gup, process_vm)
{
	char *base = self->base;

	/* The peer reaches into our window, which has nothing in it yet. */
	EXPECT_EQ(0, peer_vm_write(&self->p, getpid(), base, 11));
	EXPECT_EQ(0, peer_vm_write(&self->p, getpid(), base + 9 * PAGE, 12));
	EXPECT_EQ(0, peer_vm_read(&self->p, getpid(), base + 10 * PAGE));
	EXPECT_EQ(11, load(base));
	EXPECT_EQ(12, load(base + 9 * PAGE));
	EXPECT_EQ(11, peer_call(&self->p, op_load, self->other));
	store(base + 11 * PAGE, 13);
	EXPECT_EQ(13, peer_vm_read(&self->p, getpid(), base + 11 * PAGE));
}

TEST_F(gup, process_vm_large)
{
	static char buf[NPAGES * PAGE];
	struct iovec local = { buf, sizeof(buf) };
	struct iovec remote = { (void *)self->other, sizeof(buf) };

	fill(buf, 4, NPAGES);
	EXPECT_EQ(sizeof(buf), process_vm_writev(self->p.pid, &local, 1,
						 &remote, 1, 0));
	EXPECT_EQ(0, damaged(self->base, 4, NPAGES));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(sizeof(buf), process_vm_readv(self->p.pid, &local, 1,
						&remote, 1, 0));
	EXPECT_EQ(0, damaged(buf, 4, NPAGES));
	/* From window to window, and partly out of it. */
	local.iov_base = self->base + NPAGES * PAGE;
	EXPECT_EQ(sizeof(buf), process_vm_readv(self->p.pid, &local, 1,
						&remote, 1, 0));
	EXPECT_EQ(0, damaged(self->base + NPAGES * PAGE, 4, NPAGES));
}

TEST_F(gup, ptrace)
{
	char *base = self->base;

	EXPECT_EQ(0, peer_poke(&self->p, getpid(), base + 2 * PAGE, 21));
	EXPECT_EQ(0, peer_peek_word(&self->p, getpid(), base + 3 * PAGE));
	EXPECT_EQ(21, load(base + 2 * PAGE));
	EXPECT_EQ(21, peer_call(&self->p, op_load, self->other + 2 * PAGE));
	store(base + 3 * PAGE, 22);
	EXPECT_EQ(22, peer_peek_word(&self->p, getpid(), base + 3 * PAGE));
	EXPECT_EQ(0, peer_poke(&self->p, getpid(), base + 3 * PAGE, 23));
	EXPECT_EQ(23, load(base + 3 * PAGE));
}

TEST_F(gup, proc_mem)
{
	char *base = self->base;

	EXPECT_EQ(0, peer_mem_write(&self->p, getpid(), base + 4 * PAGE, 31));
	EXPECT_EQ(0, peer_mem_read(&self->p, getpid(), base + 5 * PAGE));
	EXPECT_EQ(31, peer_mem_read(&self->p, getpid(), base + 4 * PAGE));
	EXPECT_EQ(31, peer_call(&self->p, op_load, self->other + 4 * PAGE));
}

TEST_F(gup, hole)
{
	char *base;
	int fd;

	fd = open(MS_DIR "/empty", O_RDWR | O_CREAT, 0600);
	ASSERT_EQ(0, ftruncate(fd, self->unit));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(-EFAULT, peer_vm_read(&self->p, getpid(), base));
	EXPECT_EQ(-EFAULT, peer_vm_write(&self->p, getpid(), base, 1));
	EXPECT_EQ(-EIO, peer_poke(&self->p, getpid(), base, 1));
	EXPECT_EQ(-EIO, peer_mem_write(&self->p, getpid(), base, 1));
	EXPECT_EQ(MAPERR, peek(base));
}

TEST_F(gup, buffered_io)
{
	int file = memfd_create("data", 0);
	char *base = self->base;

	/* Out of pages that nobody touched: zeroes. Into others. */
	EXPECT_EQ((ssize_t)(4 * PAGE), write(file, base + 100 * PAGE,
					     4 * PAGE));
	EXPECT_EQ(0, load(base + 100 * PAGE));
	fill(base, 5, 8);
	EXPECT_EQ((ssize_t)(8 * PAGE), pwrite(file, base, 8 * PAGE, 0));
	EXPECT_EQ((ssize_t)(8 * PAGE), pread(file, base + 200 * PAGE, 8 * PAGE,
					     0));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + 200 * PAGE,
			       5, 8));
}

TEST_F(gup, direct_read)
{
	char *base = self->base;
	int fd = direct_open();

	ASSERT_LE(0, fd) TH_LOG("no disk: %s", strerror(-fd));
	ASSERT_EQ(0, direct_fill(fd, 6, 16));
	/* Not there; there by us; there by the peer only; a mixture. */
	EXPECT_EQ((ssize_t)(4 * PAGE), pread(fd, base, 4 * PAGE, 0));
	fill(base + 4 * PAGE, 7, 4);
	EXPECT_EQ((ssize_t)(4 * PAGE), pread(fd, base + 4 * PAGE, 4 * PAGE,
					     4 * PAGE));
	peer_call(&self->p, op_fill, self->other + 8 * PAGE, 7, 4);
	EXPECT_EQ((ssize_t)(8 * PAGE), pread(fd, base + 8 * PAGE, 8 * PAGE,
					     8 * PAGE));
	EXPECT_EQ(0, damaged(base, 6, 16));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 6, 16));
	close(fd);
}

TEST_F(gup, direct_write)
{
	char *base = self->base;
	int fd = direct_open();

	ASSERT_LE(0, fd) TH_LOG("no disk: %s", strerror(-fd));
	ASSERT_EQ(0, direct_fill(fd, 6, 16));
	peer_call(&self->p, op_fill, self->other, 8, 8);
	/* Eight pages of the peer, never reached by us, eight of nobody. */
	EXPECT_EQ((ssize_t)(16 * PAGE), pwrite(fd, base, 16 * PAGE, 0));
	for (unsigned int i = 0; i < 16; i++) {
		EXPECT_EQ(i < 8 ? pattern(8, i) : 0, direct_load(fd, i));
	}
	close(fd);
}

TEST_F(gup, vmsplice)
{
	struct iovec iov = { self->base, 4 * PAGE };
	uint64_t word;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	peer_call(&self->p, op_fill, self->other, 9, 2);
	ASSERT_EQ((ssize_t)(4 * PAGE), vmsplice(fd[1], &iov, 1, 0));
	/* What the pipe holds is the memory itself. */
	store(self->base + 8, 77);
	for (unsigned int i = 0; i < 4; i++) {
		static char page[PAGE];

		ASSERT_EQ((ssize_t)PAGE, read(fd[0], page, PAGE));
		EXPECT_EQ(i < 2 ? pattern(9, i) : 0, load(page));
		if (!i) {
			EXPECT_EQ(77, load(page + 8));
		}
	}
	/* And into the window. */
	word = 55;
	ASSERT_EQ(8, write(fd[1], &word, 8));
	iov.iov_base = self->base + 50 * PAGE;
	iov.iov_len = 8;
	ASSERT_EQ(8, vmsplice(fd[0], &iov, 1, 0));
	EXPECT_EQ(55, peer_call(&self->p, op_load, self->other + 50 * PAGE));
}

/* Pages on the way through a pipe outlive window and region. */
TEST_F(gup, vmsplice_then_gone)
{
	static char page[PAGE];
	struct iovec iov;
	char *base;
	int fd[2];

	base = ms_new(_metadata, MS_DIR "/b", self->unit, NULL);
	fill(base, 3, 4);
	iov.iov_base = base;
	iov.iov_len = 4 * PAGE;
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ((ssize_t)(4 * PAGE), vmsplice(fd[1], &iov, 1, 0));
	ASSERT_EQ(0, unlink(MS_DIR "/b"));
	ASSERT_EQ(0, munmap(base, self->unit));
	for (unsigned int i = 0; i < 4; i++) {
		ASSERT_EQ((ssize_t)PAGE, read(fd[0], page, PAGE));
		EXPECT_EQ(pattern(3, i), load(page));
	}
}

TEST_F(gup, sockets)
{
	static char buf[4 * PAGE];
	int sv[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	fill(self->base, 2, 4);
	ASSERT_EQ((ssize_t)sizeof(buf), send(sv[0], self->base, sizeof(buf),
					     0));
	ASSERT_EQ((ssize_t)sizeof(buf), recv(sv[1], self->base + 32 * PAGE,
					     sizeof(buf), MSG_WAITALL));
	EXPECT_EQ(0, damaged(self->base + 32 * PAGE, 2, 4));
}

TEST_HARNESS_MAIN
