// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a window that travel by reference: through pipes, and through
 * sockets without a copy. What is on its way is the page itself, and stays
 * when it is unmapped.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_objects.h"
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#define NPAGES	8UL
#define SIZE	(NPAGES * PAGE)

/* A container with one mapping of anonymous memory at its start. */
FIXTURE(splice) {
	size_t unit;
	int fd;
	char *base;
	struct peer p;
	long other;
};

FIXTURE_SETUP(splice)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->base = ms_container_pair(_metadata, self->unit, &self->fd,
				       &self->p, &self->other);
	ASSERT_EQ(0, region_anon(self->fd, 0, 64 * MIB));
}

FIXTURE_TEARDOWN(splice)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

static ssize_t into_pipe(int pipe, char *at, size_t len)
{
	struct iovec iov = { at, len };

	return vmsplice(pipe, &iov, 1, 0);
}

TEST_F(splice, tee)
{
	static char copy[SIZE];
	int a[2], b[2];

	ASSERT_EQ(0, pipe(a));
	ASSERT_EQ(0, pipe(b));
	/* The peer's pages, which this process has never touched. */
	peer_call(&self->p, op_fill, self->other, 1, NPAGES);
	ASSERT_EQ(SIZE, into_pipe(a[1], self->base, SIZE));
	ASSERT_EQ(SIZE, tee(a[0], b[1], SIZE, 0));
	/* Both pipes hold the memory: a store is seen in each. */
	peer_call(&self->p, op_fill, self->other, 2, NPAGES);
	ASSERT_EQ(SIZE, read(a[0], copy, SIZE));
	EXPECT_EQ(0, damaged(copy, 2, NPAGES));
	peer_call(&self->p, op_fill, self->other, 3, NPAGES);
	/* Out of the pipe, into other pages of the window. */
	ASSERT_EQ(SIZE, read(b[0], self->base + MIB, SIZE));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + MIB, 3,
			       NPAGES));
}

/* To a disk and back. */
TEST_F(splice, file)
{
	struct iovec iov = { self->base + MIB, SIZE };
	loff_t off = 0;
	int p[2], file;

	ASSERT_EQ(0, mount_disk());
	file = open(DISK "/f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe(p));
	fill(self->base, 1, NPAGES);
	ASSERT_EQ(SIZE, into_pipe(p[1], self->base, SIZE));
	ASSERT_EQ(SIZE, splice(p[0], NULL, file, NULL, SIZE, SPLICE_F_MOVE));
	/* Moved or copied: the file does not share pages with the region. */
	fill(self->base, 2, NPAGES);
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(pattern(1, i), file_load(file, i));
	}
	ASSERT_EQ(SIZE, splice(file, &off, p[1], NULL, SIZE, 0));
	ASSERT_EQ(SIZE, vmsplice(p[0], &iov, 1, 0));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + MIB, 1,
			       NPAGES));
	close(file);
}

/* Unmapped, replaced, or not allowed any more while they are in a pipe. */
TEST_F(splice, changed_on_the_way)
{
	static char copy[SIZE];

	for (unsigned int way = 0; way < 3; way++) {
		int p[2];

		ASSERT_EQ(0, pipe(p));
		ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
		fill(self->base, way, NPAGES);
		ASSERT_EQ(SIZE, into_pipe(p[1], self->base, SIZE));
		if (way == 0)
			ASSERT_EQ(0, region_unmap(self->fd, 0, SIZE));
		if (way == 1) {
			ASSERT_EQ(0, region_anon(self->fd, 0, SIZE));
			fill(self->base, 9, NPAGES);
		}
		if (way == 2)
			ASSERT_EQ(0, region_protect(self->fd, 0, SIZE,
						    PROT_NONE));
		ASSERT_EQ(SIZE, read(p[0], copy, SIZE));
		EXPECT_EQ(0, damaged(copy, way, NPAGES));
		close(p[0]);
		close(p[1]);
	}
}

TEST_F(splice, needs_rights)
{
	char *at = self->base;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	fill(at, 1, NPAGES);
	ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, PROT_NONE));
	EXPECT_ERR(EFAULT, into_pipe(p[1], at, PAGE));
	ASSERT_EQ(0, region_unmap(self->fd, 0, PAGE));
	EXPECT_ERR(EFAULT, into_pipe(p[1], at, PAGE));
	EXPECT_EQ(PAGE, into_pipe(p[1], at + PAGE, PAGE));
}

/*
 * MSG_ZEROCOPY over TCP on the loopback device, which copies when it delivers.
 * So the receiver's buffer is made small, and what does not fit waits at the
 * sender, as pages.
 */
#define SENT	(512 * PAGE)

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	err = ioctl(s, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	err = err || ioctl(s, SIOCSIFFLAGS, &ifr) ? -errno : 0;
	close(s);
	return err;
}

/* A connection: [0] sends without copying, to [1]. */
static int connection(int sock[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int small = PAGE, large = 4 * SENT, one = 1;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	setsockopt(l, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(l, (void *)&a, len) || listen(l, 1) ||
	    getsockname(l, (void *)&a, &len))
		return -errno;
	sock[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (setsockopt(sock[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ||
	    setsockopt(sock[0], SOL_SOCKET, SO_SNDBUFFORCE, &large,
		       sizeof(large)) ||
	    connect(sock[0], (void *)&a, len))
		return -errno;
	sock[1] = accept(l, NULL, NULL);
	close(l);
	return sock[1] < 0 ? -errno : 0;
}

/* How many sends the kernel says it is done with, waiting for one at least. */
static int completions(int sock)
{
	char control[128];
	struct msghdr msg = { .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct pollfd pfd = { .fd = sock };
	struct sock_extended_err *err;
	struct cmsghdr *c;

	if (poll(&pfd, 1, 60000) != 1 || recvmsg(sock, &msg, MSG_ERRQUEUE) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_IP || c->cmsg_type != IP_RECVERR)
		return -EPROTO;
	err = (void *)CMSG_DATA(c);
	if (err->ee_errno || err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		return -EPROTO;
	return err->ee_data - err->ee_info + 1;
}

TEST_F(splice, zerocopy)
{
	char *base = self->base, *into = base + 32 * MIB;
	int sock[2], err = loopback_up();
	struct pollfd pfd;

	ASSERT_EQ(0, err) TH_LOG("loopback: %s", strerror(-err));
	err = connection(sock);
	ASSERT_EQ(0, err) TH_LOG("TCP: %s", strerror(-err));
	/* The peer's pages, which this process has never touched. */
	peer_call(&self->p, op_fill, self->other, 1, SENT / PAGE);
	ASSERT_EQ(SENT, send(sock[0], base, SENT, MSG_ZEROCOPY |
			     MSG_DONTWAIT));
	/* Nothing is done with before all is delivered. */
	pfd = (struct pollfd){ .fd = sock[0] };
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	/* The last pages are still on this side: by reference. */
	peer_call(&self->p, op_store, self->other + SENT - PAGE, 77);
	/* And now nobody has them but the socket. */
	ASSERT_EQ(0, region_unmap(self->fd, 0, SENT));
	EXPECT_EQ(MAPERR, peek(base));
	ASSERT_EQ(SENT, recv(sock[1], into, SENT, MSG_WAITALL));
	EXPECT_EQ(1, completions(sock[0]));
	EXPECT_EQ(77, load(into + SENT - PAGE));
	store(into + SENT - PAGE, pattern(1, SENT / PAGE - 1));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + 32 * MIB, 1,
			       SENT / PAGE));
	close(sock[0]);
	close(sock[1]);
}

TEST_F(splice, zerocopy_needs_rights)
{
	int sock[2];

	ASSERT_EQ(0, loopback_up());
	ASSERT_EQ(0, connection(sock));
	fill(self->base, 1, NPAGES);
	ASSERT_EQ(0, region_protect(self->fd, 0, SIZE, PROT_NONE));
	EXPECT_ERR(EFAULT, send(sock[0], self->base, SIZE, MSG_ZEROCOPY));
	ASSERT_EQ(0, region_unmap(self->fd, 0, SIZE));
	EXPECT_ERR(EFAULT, send(sock[0], self->base, SIZE, MSG_ZEROCOPY));
	close(sock[0]);
	close(sock[1]);
}

TEST_HARNESS_MAIN
