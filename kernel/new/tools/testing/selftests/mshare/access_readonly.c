// SPDX-License-Identifier: GPL-2.0
/*
 * A process whose window is read-only cannot write the region, by any means.
 * Every way is tried on a page that is there and was read through the window,
 * and on a page that nobody has touched yet; the writer then looks for harm.
 */
#include "mshare_test.h"
#include "lib_io.h"
#include <linux/futex.h>

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	16
#define THERE	(3 * PAGE)		/* written by the writer */
#define ABSENT	(40 * PAGE)		/* by nobody */

FIXTURE(readonly) {
	size_t unit;
	struct peer writer;	/* has the region read-write */
	struct peer other;	/* has nothing: tries from outside */
	long base;		/* in the writer */
	char *ro;		/* the window under test */
};

FIXTURE_VARIANT(readonly) {
	int open, prot;
	bool lower;	/* starts read-write, lowered by mprotect() */
	bool forked;	/* inherited from a parent */
};

/* A file that can only be read brings in no memory that was not written yet. */
#define BRINGS_IN(variant)	((variant)->open == O_RDWR)

FIXTURE_VARIANT_ADD(readonly, opened) {
	.open = O_RDONLY, .prot = PROT_READ,
};

FIXTURE_VARIANT_ADD(readonly, mapped) {
	.open = O_RDWR, .prot = PROT_READ,
};

FIXTURE_VARIANT_ADD(readonly, lowered) {
	.open = O_RDWR, .prot = RW, .lower = true,
};

FIXTURE_VARIANT_ADD(readonly, inherited) {
	.open = O_RDONLY, .prot = PROT_READ, .forked = true,
};

FIXTURE_VARIANT_ADD(readonly, lowered_inherited) {
	.open = O_RDWR, .prot = RW, .lower = true, .forked = true,
};

static long op_create(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL, 0666);
	char *base = ms_map(fd, a[1], RW);

	if (base == MAP_FAILED)
		return -errno;
	fill(base, 1, NPAGES);
	return L(base);
}

/* Goes on in a child, which has what the caller had. */
static void continue_in_child(void)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		return;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		kill(getpid(), WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

FIXTURE_SETUP(readonly)
{
	int fd;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->writer = peer_start(_metadata);
	self->other = peer_start(_metadata);
	self->base = peer_call(&self->writer, op_create, L(MS_DIR "/a"),
			       self->unit);
	ASSERT_LT(0, self->base);

	fd = open(MS_DIR "/a", variant->open);
	ASSERT_LE(0, fd);
	self->ro = ms_map(fd, self->unit, variant->prot);
	ASSERT_NE(MAP_FAILED, self->ro);
	if (variant->lower) {
		/* With writable translations cached, for good measure. */
		fill(self->ro, 1, NPAGES);
		ASSERT_EQ(0, mprotect(self->ro, self->unit, PROT_READ));
	}
	EXPECT_EQ(0, damaged(self->ro, 1, NPAGES));
	if (variant->forked)
		continue_in_child();
}

FIXTURE_TEARDOWN(readonly)
{
	EXPECT_EQ(0, peer_call(&self->writer, op_damaged, self->base, 1,
			       NPAGES)) {
		TH_LOG("written through a read-only window");
	}
	EXPECT_EQ(0, peer_call(&self->writer, op_load, self->base + ABSENT)) {
		TH_LOG("written through a read-only window, page not present");
	}
	/* The writer still can. */
	EXPECT_EQ(0, peer_call(&self->writer, op_store, self->base + THERE,
			       pattern(1, 3)));
	peer_stop(&self->writer);
	peer_stop(&self->other);
}

TEST_F(readonly, store)
{
	EXPECT_EQ(ACCERR, probe_write(self->ro + THERE, 1));
	EXPECT_EQ(ACCERR, probe_write(self->ro + ABSENT, 1));
	EXPECT_EQ(BRINGS_IN(variant) ? 0 : BUS_END, peek(self->ro + ABSENT));
	EXPECT_EQ(ACCERR, probe_write(self->ro + ABSENT, 1));
	/* Once it is there, it is read. */
	EXPECT_EQ(0, peer_call(&self->writer, op_store, self->base + ABSENT,
			       0));
	EXPECT_EQ(0, load(self->ro + ABSENT));
	EXPECT_EQ(ACCERR, probe_write(self->ro + ABSENT, 1));
	EXPECT_EQ(ACCERR, probe_write(self->ro + self->unit - 8, 1));
}

TEST_F(readonly, read_from_pipe)
{
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(8, write(fd[1], "XXXXXXXX", 8));
	EXPECT_ERR(EFAULT, read(fd[0], self->ro + THERE, 8));
	EXPECT_ERR(EFAULT, read(fd[0], self->ro + ABSENT, 8));
}

TEST_F(readonly, read_from_file)
{
	int fd = memfd_create("data", 0);
	struct iovec iov[2];
	char buf[8];

	ASSERT_EQ(16, write(fd, "XXXXXXXXYYYYYYYY", 16));
	EXPECT_ERR(EFAULT, pread(fd, self->ro + THERE, 8, 0));
	EXPECT_ERR(EFAULT, pread(fd, self->ro + ABSENT, 8, 0));
	iov[0].iov_base = buf;
	iov[1].iov_base = self->ro + THERE;
	iov[0].iov_len = 8;
	iov[1].iov_len = 8;
	EXPECT_EQ(8, preadv(fd, iov, 2, 0));
}

TEST_F(readonly, read_from_socket)
{
	int sv[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	ASSERT_EQ(8, write(sv[0], "XXXXXXXX", 8));
	EXPECT_ERR(EFAULT, recv(sv[1], self->ro + THERE, 8, 0));
	EXPECT_ERR(EFAULT, recv(sv[1], self->ro + ABSENT, 8, 0));
}

TEST_F(readonly, read_direct)
{
	int fd = direct_open();

	ASSERT_LE(0, fd) TH_LOG("no disk: %s", strerror(-fd));
	ASSERT_EQ(0, direct_fill(fd, 9, 4));
	EXPECT_ERR(EFAULT, pread(fd, self->ro + THERE, PAGE, 0));
	EXPECT_ERR(EFAULT, pread(fd, self->ro + ABSENT, PAGE, 0));
	EXPECT_ERR(EFAULT, pread(fd, self->ro + THERE, 4 * PAGE, 0));
	/* Out of it is fine. */
	EXPECT_EQ((ssize_t)PAGE, pwrite(fd, self->ro + THERE, PAGE, 0));
	EXPECT_EQ(pattern(1, 3), direct_load(fd, 0));
	close(fd);
}

/* By aio and by io_uring, from a disk. */
TEST_F(readonly, direct)
{
	const size_t at[] = { THERE, ABSENT };
	int fd = direct_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, direct_fill(fd, 9, 4));
	for (enum engine e = SYNC; e < ENGINES; e++) {
		for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
			EXPECT_EQ(-EFAULT, direct_rw(e, false, fd, self->ro +
						     at[i], PAGE, 0)) {
				TH_LOG("engine %d", e);
			}
		}
		/* Out of it is fine, but for what is pinned for writing. */
		EXPECT_EQ(e == URING_FIXED ? -EFAULT : (long)PAGE,
			  direct_rw(e, true, fd, self->ro + THERE, PAGE, 0));
	}
	close(fd);
}

/* Long-term pins, with locks and without: to be written, never. */
TEST_F(readonly, pins)
{
	const size_t at[] = { THERE, ABSENT };
	static char copy[PAGE];
	int pin;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		char *page = self->ro + at[i];

		EXPECT_EQ(-EFAULT, longterm_pin(page, PAGE, LONGTERM_WRITE));
		EXPECT_EQ(-EFAULT, longterm_pin(page, PAGE, LONGTERM_WRITE |
						LONGTERM_FAST));
		pin = longterm_pin(page, PAGE, i ? LONGTERM_FAST : 0);
		if (i && !BRINGS_IN(variant)) {
			EXPECT_EQ(-EFAULT, pin);
			continue;
		}
		ASSERT_LE(0, pin);
		EXPECT_EQ(0, longterm_read(pin, copy));
		EXPECT_EQ(i ? 0 : pattern(1, 3), load(copy));
		close(pin);
	}
}

TEST_F(readonly, system_calls)
{
	EXPECT_ERR(EFAULT, syscall(__NR_getrandom, self->ro + THERE, 8L, 0L));
	EXPECT_ERR(EFAULT, syscall(__NR_getrandom, self->ro + ABSENT, 8L, 0L));
	EXPECT_ERR(EFAULT, syscall(__NR_clock_gettime, 1L, self->ro + THERE));
	EXPECT_ERR(EFAULT, syscall(__NR_clock_gettime, 1L, self->ro + ABSENT));
	EXPECT_ERR(EFAULT, syscall(__NR_pipe2, self->ro + THERE, 0L));
}

TEST_F(readonly, vmsplice)
{
	struct iovec iov = { self->ro + THERE, PAGE };
	int p[2], q[2], file = memfd_create("data", 0);
	char *map, word[8];

	/* Into the memory. */
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(8, write(p[1], "XXXXXXXX", 8));
	iov.iov_len = 8;
	EXPECT_ERR(EFAULT, vmsplice(p[0], &iov, 1, 0));
	iov.iov_base = self->ro + ABSENT;
	EXPECT_ERR(EFAULT, vmsplice(p[0], &iov, 1, 0));
	/* Nothing was lost from the pipe. */
	ASSERT_EQ(8, read(p[0], word, 8));
	EXPECT_EQ(0, memcmp(word, "XXXXXXXX", 8));

	/* A page given away is still the region's. */
	ASSERT_EQ(0, pipe(q));
	iov.iov_base = self->ro + THERE;
	iov.iov_len = PAGE;
	ASSERT_EQ((ssize_t)PAGE, vmsplice(q[1], &iov, 1, SPLICE_F_GIFT));
	ASSERT_EQ(0, ftruncate(file, PAGE));
	ASSERT_EQ((ssize_t)PAGE, splice(q[0], NULL, file, NULL, PAGE,
					SPLICE_F_MOVE));
	map = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(pattern(1, 3), load(map));
	memset(map, 'X', PAGE);
}

TEST_F(readonly, process_vm_writev)
{
	EXPECT_EQ(-EFAULT, peer_vm_write(&self->other, getpid(),
					 self->ro + THERE, 1));
	EXPECT_EQ(-EFAULT, peer_vm_write(&self->other, getpid(),
					 self->ro + ABSENT, 1));
	EXPECT_EQ(pattern(1, 3), peer_vm_read(&self->other, getpid(),
					      self->ro + THERE));
}

TEST_F(readonly, ptrace_poke)
{
	/* A debugger may write to private memory only. */
	EXPECT_EQ(-EIO, peer_poke(&self->other, getpid(), self->ro + THERE, 1));
	EXPECT_EQ(-EIO, peer_poke(&self->other, getpid(), self->ro + ABSENT,
				  1));
	EXPECT_EQ(pattern(1, 3), peer_peek_word(&self->other, getpid(),
						self->ro + THERE));
}

TEST_F(readonly, proc_mem)
{
	EXPECT_EQ(-EIO, peer_mem_write(&self->other, getpid(), self->ro + THERE,
				       1));
	EXPECT_EQ(-EIO, peer_mem_write(&self->other, getpid(),
				       self->ro + ABSENT, 1));
	EXPECT_EQ(pattern(1, 3), peer_mem_read(&self->other, getpid(),
					       self->ro + THERE));
}

TEST_F(readonly, io_uring)
{
	int file = memfd_create("data", 0), fd;
	struct uring u;

	ASSERT_EQ(0, uring_setup(&u));
	ASSERT_EQ(8, write(file, "XXXXXXXX", 8));
	EXPECT_EQ(-EFAULT, uring_rw(&u, IORING_OP_READ, file, self->ro + THERE,
				    8, 0));
	EXPECT_EQ(-EFAULT, uring_rw(&u, IORING_OP_READ, file, self->ro + ABSENT,
				    8, 0));
	/* Fixed buffers are pinned for writing, whatever they are used for. */
	EXPECT_EQ(-EFAULT, uring_register(&u, self->ro + THERE, PAGE));
	EXPECT_EQ(-EFAULT, uring_register(&u, self->ro + ABSENT, PAGE));
	EXPECT_EQ(-EFAULT, uring_register(&u, self->ro, 64 * PAGE));

	fd = direct_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, direct_fill(fd, 9, 4));
	EXPECT_EQ(-EFAULT, uring_rw(&u, IORING_OP_READ, fd, self->ro + THERE,
				    PAGE, 0));
	close(fd);
}

TEST_F(readonly, futex)
{
	uint32_t own = 0;

	EXPECT_ERR(EFAULT, syscall(__NR_futex, &own, FUTEX_WAKE_OP, 1, 1L,
				   self->ro + THERE,
				   FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ,
					    0)));
	EXPECT_ERR(EFAULT, syscall(__NR_futex, &own, FUTEX_WAKE_OP, 1, 1L,
				   self->ro + ABSENT,
				   FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ,
					    0)));
	EXPECT_ERR(EFAULT, syscall(__NR_futex, self->ro + ABSENT,
				   FUTEX_LOCK_PI, 0, NULL, NULL, 0));
}

/* The kernel marks the locks of a thread that dies: not these. */
TEST_F(readonly, robust_list)
{
	struct robust_list entry[2];
	struct robust_list_head head;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char *lock = self->ro + THERE + 8;

		/* The writer puts our thread into the lock word. */
		peer_call(&self->writer, op_store, self->base + THERE + 8,
			  getpid());
		CHECK(*(pid_t *)lock == getpid());
		head.list.next = &entry[0];
		entry[0].next = &head.list;
		head.futex_offset = lock - (char *)&entry[0];
		head.list_op_pending = NULL;
		CHECK(!syscall(__NR_set_robust_list, &head, sizeof(head)));
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(pid, peer_call(&self->writer, op_load,
				 self->base + THERE + 8));
}

/* As far as read-only goes: nothing may be read or written without rights. */
FIXTURE(none) {
	size_t unit;
	struct peer writer, other;
	long base;
	char *win;
};

FIXTURE_SETUP(none)
{
	int fd;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->writer = peer_start(_metadata);
	self->other = peer_start(_metadata);
	self->base = peer_call(&self->writer, op_create, L(MS_DIR "/a"),
			       self->unit);
	ASSERT_LT(0, self->base);
	fd = open(MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd);
	self->win = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->win);
	fill(self->win, 1, NPAGES);
	ASSERT_EQ(0, mprotect(self->win, self->unit, PROT_NONE));
}

FIXTURE_TEARDOWN(none)
{
	EXPECT_EQ(0, peer_call(&self->writer, op_damaged, self->base, 1,
			       NPAGES));
	EXPECT_EQ(0, peer_call(&self->writer, op_load, self->base + ABSENT));
	peer_stop(&self->writer);
	peer_stop(&self->other);
}

TEST_F(none, access)
{
	EXPECT_EQ(ACCERR, peek(self->win + THERE));
	EXPECT_EQ(ACCERR, peek(self->win + ABSENT));
	EXPECT_EQ(ACCERR, probe_write(self->win + THERE, 1));
	EXPECT_EQ(ACCERR, probe_write(self->win + ABSENT, 1));
}

TEST_F(none, system_calls)
{
	int fd[2], file = memfd_create("data", 0), disk;
	struct iovec iov = { self->win + THERE, 8 };

	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(8, write(fd[1], "XXXXXXXX", 8));
	EXPECT_ERR(EFAULT, read(fd[0], self->win + THERE, 8));
	EXPECT_ERR(EFAULT, read(fd[0], self->win + ABSENT, 8));
	EXPECT_ERR(EFAULT, write(file, self->win + THERE, 8));
	EXPECT_ERR(EFAULT, write(file, self->win + ABSENT, 8));
	EXPECT_ERR(EFAULT, vmsplice(fd[1], &iov, 1, 0));
	EXPECT_ERR(EFAULT, syscall(__NR_futex, self->win + THERE, FUTEX_WAIT,
				   0, NULL, NULL, 0));
	disk = direct_open();
	ASSERT_LE(0, disk);
	EXPECT_ERR(EFAULT, pwrite(disk, self->win + THERE, PAGE, 0));
	EXPECT_ERR(EFAULT, pread(disk, self->win + THERE, PAGE, 0));
	EXPECT_ERR(EFAULT, pwrite(disk, self->win + ABSENT, PAGE, 0));
	EXPECT_ERR(EFAULT, pread(disk, self->win + ABSENT, PAGE, 0));
	close(disk);
}

TEST_F(none, other_process)
{
	EXPECT_EQ(-EFAULT, peer_vm_read(&self->other, getpid(),
					self->win + THERE));
	EXPECT_EQ(-EFAULT, peer_vm_write(&self->other, getpid(),
					 self->win + THERE, 1));
	EXPECT_EQ(-EFAULT, peer_vm_read(&self->other, getpid(),
					self->win + ABSENT));
	EXPECT_EQ(-EIO, peer_poke(&self->other, getpid(), self->win + THERE,
				  1));
	EXPECT_EQ(-EIO, peer_mem_write(&self->other, getpid(),
				       self->win + ABSENT, 1));
}

TEST_HARNESS_MAIN
