// SPDX-License-Identifier: GPL-2.0
/* Ways into and out of memory, see lib_io.h. */
#include "lib_io.h"

/*
 * A block device for O_DIRECT: the one that MSHARE_DISK names, which is
 * overwritten, or a loop device over memory, gone when it is closed.
 */
int direct_open(void)
{
	const char *disk = getenv("MSHARE_DISK");
	struct loop_config config = {
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int ctl, n, mem, fd;
	char path[32];

	if (disk && *disk) {
		fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return -errno;
	n = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	if (n < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/loop%d", n);
	mem = memfd_create("disk", MFD_CLOEXEC);
	if (mem < 0 || ftruncate(mem, DIRECT_SIZE))
		return -errno;
	config.fd = mem;
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		return -errno;
	close(mem);
	return fd;
}

/* Page @i of the disk gets the pattern of that page; through plain memory. */
int direct_fill(int fd, unsigned int region, unsigned int pages)
{
	char *buf = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned int i = 0; i < pages; i++) {
		for (unsigned int at = 0; at < PAGE; at += 8)
			store(buf + at, pattern(region, i));
		if (pwrite(fd, buf, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -EIO;
	}
	munmap(buf, PAGE);
	return 0;
}

/* Start of page @i of the disk. */
uint64_t direct_load(int fd, unsigned int i)
{
	uint64_t *buf = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), val = 0;

	if (pread(fd, buf, PAGE, i * PAGE) == (ssize_t)PAGE)
		val = *buf;
	munmap(buf, PAGE);
	return val;
}

int uring_setup(struct uring *u)
{
	memset(u, 0, sizeof(*u));
	u->ring = MAP_FAILED;
	u->sqe = MAP_FAILED;
	u->fd = syscall(__NR_io_uring_setup, 4, &u->p);
	if (u->fd < 0)
		return -errno;
	if (!(u->p.features & IORING_FEAT_SINGLE_MMAP))
		return -ENOSYS;
	u->ring_size = 16 * PAGE;
	u->ring = mmap(NULL, u->ring_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQ_RING);
	if (u->ring == MAP_FAILED) {
		u->ring_size = PAGE;
		u->ring = mmap(NULL, u->ring_size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	}
	u->sqe = mmap(NULL, u->p.sq_entries * sizeof(*u->sqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
		      IORING_OFF_SQES);
	if (u->ring == MAP_FAILED || u->sqe == MAP_FAILED)
		return -errno;
	return 0;
}

void uring_free(struct uring *u)
{
	if (u->ring != MAP_FAILED)
		munmap(u->ring, u->ring_size);
	if (u->sqe != MAP_FAILED)
		munmap(u->sqe, u->p.sq_entries * sizeof(*u->sqe));
	if (u->fd >= 0)
		close(u->fd);
}

long uring_do(struct uring *u, const struct io_uring_sqe *sqe)
{
	uint32_t *tail = (void *)(u->ring + u->p.sq_off.tail);
	uint32_t *mask = (void *)(u->ring + u->p.sq_off.ring_mask);
	uint32_t *array = (void *)(u->ring + u->p.sq_off.array);
	uint32_t *cq_head = (void *)(u->ring + u->p.cq_off.head);
	uint32_t *cq_mask = (void *)(u->ring + u->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(u->ring + u->p.cq_off.cqes);
	uint32_t at = *tail & *mask, head;
	long res;

	u->sqe[at] = *sqe;
	array[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	head = __atomic_load_n(cq_head, __ATOMIC_ACQUIRE);
	res = cqes[head & *cq_mask].res;
	__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

long uring_rw(struct uring *u, int op, int fd, char *buf, unsigned int len,
	      uint64_t off)
{
	struct io_uring_sqe sqe = { .opcode = op, .fd = fd, .len = len,
				    .addr = (uint64_t)buf, .off = off };

	return uring_do(u, &sqe);
}

int uring_register(struct uring *u, char *buf, size_t len)
{
	struct iovec iov = { buf, len };

	if (syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_BUFFERS,
		    &iov, 1) < 0)
		return -errno;
	return 0;
}

int uring_unregister(struct uring *u)
{
	return syscall(__NR_io_uring_register, u->fd, IORING_UNREGISTER_BUFFERS,
		       NULL, 0) < 0 ? -errno : 0;
}

/* Linux aio: one request, and its end. */
long aio_rw(int op, int fd, char *buf, size_t len, uint64_t off)
{
	struct iocb cb = { .aio_lio_opcode = op, .aio_fildes = fd,
			   .aio_buf = (uint64_t)buf, .aio_nbytes = len,
			   .aio_offset = off }, *list = &cb;
	aio_context_t ctx = 0;
	struct io_event ev;
	long ret;

	if (syscall(__NR_io_setup, 1, &ctx))
		return -errno;
	if (syscall(__NR_io_submit, ctx, 1, &list) == 1 &&
	    syscall(__NR_io_getevents, ctx, 1, 1, &ev, NULL) == 1)
		ret = ev.res;
	else
		ret = -errno;
	syscall(__NR_io_destroy, ctx);
	return ret;
}

/* Bytes that were moved, or -errno. */
long direct_rw(enum engine engine, bool write, int fd, char *buf, size_t len,
	       uint64_t off)
{
	struct uring u;
	long ret;

	if (engine == SYNC) {
		ret = write ? pwrite(fd, buf, len, off) :
			      pread(fd, buf, len, off);
		return ret < 0 ? -errno : ret;
	}
	if (engine == AIO)
		return aio_rw(write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD, fd, buf,
			      len, off);
	ret = uring_setup(&u);
	if (engine == URING_FIXED) {
		ret = ret ?: uring_register(&u, buf, len);
		ret = ret ?: uring_rw(&u, write ? IORING_OP_WRITE_FIXED :
				      IORING_OP_READ_FIXED, fd, buf, len, off);
	} else {
		ret = ret ?: uring_rw(&u, write ? IORING_OP_WRITE :
				      IORING_OP_READ, fd, buf, len, off);
	}
	uring_free(&u);
	return ret;
}

int longterm_pin(const char *at, size_t size, uint32_t flags)
{
	struct longterm arg = { (uint64_t)at, size, flags };
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, LONGTERM_START, &arg))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* What the pinned pages hold. */
int longterm_read(int fd, char *buf)
{
	uint64_t addr = (uint64_t)buf;

	return ioctl(fd, LONGTERM_READ, &addr) ? -errno : 0;
}

/* For peers: stop process a[0], write or read one word, let it go on. */
long op_ptrace(const long *a)
{
	long ret;

	if (ptrace(PTRACE_ATTACH, a[0], NULL, NULL))
		return -errno;
	if (waitpid(a[0], NULL, __WALL) != a[0])
		return -errno;
	errno = 0;
	ret = ptrace(a[1], a[0], a[2], a[3]);
	ret = errno ? -errno : ret;
	ptrace(PTRACE_DETACH, a[0], NULL, NULL);
	return ret;
}

/* For peers: /proc/PID/mem of process a[0]. */
long op_mem(const long *a)
{
	uint64_t val = a[2];
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/mem", a[0]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (a[3])
		n = pwrite(fd, &val, 8, a[1]);
	else
		n = pread(fd, &val, 8, a[1]);
	if (n < 0)
		val = -errno;
	else if (a[3])
		val = 0;
	close(fd);
	return val;
}

/* For peers: process_vm_writev() or readv() of one word of process a[0]. */
long op_vm(const long *a)
{
	uint64_t val = a[2];
	struct iovec local = { &val, 8 }, remote = { (void *)a[1], 8 };
	ssize_t n;

	if (a[3])
		n = process_vm_writev(a[0], &local, 1, &remote, 1, 0);
	else
		n = process_vm_readv(a[0], &local, 1, &remote, 1, 0);
	if (n != 8)
		return n < 0 ? -errno : -EIO;
	return a[3] ? 0 : (long)val;
}
