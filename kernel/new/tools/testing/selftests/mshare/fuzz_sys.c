// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's system calls that reach into windows, or look at them. */
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include "lib_io.h"
#include "fuzz.h"

/* The kernel was asked to write @n bytes of what byte_for() said, and did. */
static void check_written(struct fz *f, const struct win *w, const char *at,
			  ssize_t n, const char *how)
{
	/* /proc/self/mem can do that with private memory. */
	if (n > 0 && !(w->prot & PROT_WRITE) && !w->covered)
		wrong(f, "%s wrote %zd bytes to %p, prot %d", how, n, at,
		      w->prot);
}

/*
 * read(2), write(2) and their like, between a window and a file of the same
 * family: it may be the one that is mapped there.
 */
bool do_file_io(struct fz *f)
{
	struct win *w = rnd_win(f);
	int object = rnd(f, NR_OBJECTS), fd;
	off_t at = rnd(f, OBJECT_PAGES) * PAGE;
	size_t len = rnd(f, 4) ? 8 : PAGE;
	bool out = rnd(f, 2);
	struct iovec iov[2];
	ssize_t n;
	char *p;

	if (!w)
		return false;
	fd = f->sh->object[w->family][object];
	p = rnd_word(f, w);
	iov[0] = (struct iovec){ p, len };
	iov[1] = (struct iovec){ f->scratch, len };
	if (fd < 0)
		return false;
	if (out)
		return (object_constant(object) ? 0 :
			pwrite(fd, p, len, at)) > 0;
	n = preadv(fd, iov, 2, at);
	check_written(f, w, p, n < (ssize_t)len ? n : (ssize_t)len, "preadv(2)");
	return n > 0;
}

bool do_pipe(struct fz *f)
{
	struct win *w = rnd_win(f);
	bool splice = rnd(f, 2), out = rnd(f, 3);
	struct iovec iov;
	int pipes[2];
	ssize_t n;
	char *p;

	if (!w || pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		return false;
	p = rnd_word(f, w);
	iov = (struct iovec){ p, PAGE };
	if (out) {
		n = splice ? vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK) :
			     write(pipes[1], p, PAGE);
		/* They are in the pipe for a while. */
		if (n > 0 && one_in(f, 4))
			usleep(1000);
		n = read(pipes[0], f->scratch, PAGE);
		if (n > 0)
			check_bytes(f, w->family, f->scratch, n, p);
	} else {
		memset(f->scratch, byte_for(w), PAGE);
		(void)!write(pipes[1], f->scratch, PAGE);
		n = splice ? vmsplice(pipes[0], &iov, 1, SPLICE_F_NONBLOCK) :
			     read(pipes[0], p, PAGE);
		check_written(f, w, p, n, "a pipe");
	}
	close(pipes[0]);
	close(pipes[1]);
	return n > 0;
}

/* Through process_vm_readv(2), writev(2) and /proc/self/mem. */
bool do_remote(struct fz *f)
{
	struct win *w = rnd_win(f);
	bool mem = rnd(f, 2), out = rnd(f, 2);
	struct iovec local = { f->scratch, PAGE }, remote;
	int fd = -1;
	ssize_t n;
	char *p;

	if (!w)
		return false;
	p = rnd_word(f, w);
	remote = (struct iovec){ p, PAGE };
	if (mem)
		fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (out) {
		n = mem ? pread(fd, f->scratch, PAGE, L(p)) :
			  process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		if (n > 0)
			check_bytes(f, w->family, f->scratch, n, p);
	} else {
		/* The former can write read-only memory that covers a window. */
		memset(f->scratch, mem ? byte_of[w->family] : byte_for(w),
		       PAGE);
		n = mem ? pwrite(fd, f->scratch, PAGE, L(p)) :
			  process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
		check_written(f, w, p, n, mem ? "/proc/self/mem" :
						"process_vm_writev(2)");
	}
	if (fd >= 0)
		close(fd);
	return n > 0;
}

/* Memory of another worker, whatever it has there: it is only read. */
bool do_spy(struct fz *f)
{
	pid_t pid = f->sh->slot[rnd(f, MAX_THREADS)].pid;
	struct win *w = rnd_win(f);
	struct iovec local = { f->scratch, PAGE }, remote;

	if (!w || pid <= 0)
		return false;
	remote = (struct iovec){ w->at + rnd_page(f) * PAGE, PAGE };
	return process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0;
}

bool do_futex(struct fz *f)
{
	const struct timespec soon = { 0, 2000000 };
	struct win *w = rnd_win(f);
	unsigned int what = rnd(f, 3);
	volatile uint32_t val = 0;
	uint32_t *p;
	int how;

	if (!w)
		return false;
	p = (uint32_t *)rnd_word(f, w);
	if (what == 0)
		return syscall(__NR_futex, p, FUTEX_WAKE, INT_MAX, NULL, NULL,
			       0L) >= 0;
	if (what == 1)
		return syscall(__NR_futex, p, FUTEX_CMP_REQUEUE, 1, 1L, p + 16,
			       0L) >= 0;
	how = TRY(val = *(volatile uint32_t *)p);
	if (how)
		return false;
	return !syscall(__NR_futex, p, FUTEX_WAIT, val, &soon, NULL, 0L) ||
	       errno == ETIMEDOUT;
}

/* A ring, a pinned window, a file read into it or written from it. */
bool do_uring(struct fz *f)
{
	struct win *w = rnd_win(f);
	int object = rnd(f, NR_OBJECTS), fd;
	off_t at = rnd(f, OBJECT_PAGES) * PAGE;
	bool fixed = rnd(f, 2), out = rnd(f, 2);
	struct io_uring_sqe sqe = {};
	struct uring u;
	long n = -1;
	char *p;
	int err;

	if (!w)
		return false;
	fd = f->sh->object[w->family][object];
	p = rnd_at(f, w, 4 * PAGE);
	if (fd < 0 || (out && object_constant(object)))
		return false;
	/* It maps: not into the gap that another thread has just made. */
	pthread_mutex_lock(&layout);
	err = uring_setup(&u);
	pthread_mutex_unlock(&layout);
	if (err)
		goto out;
	sqe.opcode = out ? IORING_OP_WRITE : IORING_OP_READ;
	if (fixed) {
		/* Registration takes what can be written only. */
		if (uring_register(&u, p, 4 * PAGE))
			goto out;
		if (!(w->prot & PROT_WRITE))
			wrong(f, "buffer at %p, prot %d, registered", p,
			      w->prot);
		sqe.opcode = out ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
	}
	sqe.fd = fd;
	sqe.addr = L(p);
	sqe.len = 2 * PAGE;
	sqe.off = at;
	n = uring_do(&u, &sqe);
	if (!out)
		check_written(f, w, p, n, "io_uring");
out:
	uring_free(&u);
	return n > 0;
}

static const int any_advice[] = {
	0, 1, 2, 3, 4, 4, 8, 9, 9, 12, 13, 14, 14, 15, 15, 16, 17, 18, 19, 20,
	20, 21, 21, 22, 22, 23, 23, 24, 25, 25, 26, 99,
};

bool do_madvise(struct fz *f)
{
	int advice = PICK(f, any_advice);
	struct win *w = rnd_win(f);
	size_t len = PAGE * (1 + rnd(f, 1500));
	bool whole = one_in(f, 6), remote = one_in(f, 6);
	struct iovec iov;
	int pidfd;
	long ret;

	if (!w)
		return false;
	iov = (struct iovec){ rnd_at(f, w, len), len };
	/* A unit of memory is too much to fill. */
	if (whole && advice != MADV_POPULATE_READ &&
	    advice != MADV_POPULATE_WRITE && advice != 25)
		iov = (struct iovec){ w->at, f->sh->unit };
	if (!remote)
		return !madvise(iov.iov_base, iov.iov_len, advice);
	pidfd = syscall(__NR_pidfd_open, getpid(), 0);
	ret = syscall(__NR_process_madvise, pidfd, &iov, 1L, advice, 0L);
	close(pidfd);
	return ret >= 0;
}

static bool register_uffd(char *at, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { L(at), len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK), ret;

	ret = fd < 0 || ioctl(fd, UFFDIO_API, &api) ? -1 :
	      ioctl(fd, UFFDIO_REGISTER, &reg);
	close(fd);
	return !ret;
}

/* The rest of what takes an address. */
bool do_other_call(struct fz *f)
{
	struct win *w = rnd_win(f);
	unsigned long nodes = 1;
	unsigned char *vec = (unsigned char *)f->scratch;
	bool whole = rnd(f, 3);
	size_t len = PAGE * (1 + rnd(f, 600));
	int mode = rnd(f, 7), status = 0, node = 0;
	unsigned int what = rnd(f, 16);
	void *page;
	char *at;

	if (!w)
		return false;
	at = rnd_at(f, w, len);
	page = at;
	switch (what) {
	case 0:
		return !mlock(at, len);
	case 1:
		return !mlock2(at, len, MLOCK_ONFAULT);
	case 2:
		return !munlock(at, len);
	case 3:
	case 4:
		return !syscall(__NR_mbind, whole ? w->at : at,
				whole ? f->sh->unit : len, (long)mode,
				mode ? &nodes : NULL, mode ? 8L : 0L,
				(long)rnd(f, 8));
	case 5:
		return !syscall(__NR_get_mempolicy, &mode, NULL, 0L, at,
				(long)(rnd(f, 2) ? MPOL_F_ADDR :
					   MPOL_F_ADDR | MPOL_F_NODE));
	case 6:
		return !syscall(__NR_move_pages, 0L, 1L, &page,
				rnd(f, 2) ? &node : NULL, &status,
				(long)MPOL_MF_MOVE);
	case 7:
		return syscall(__NR_migrate_pages, 0L, 8L, &nodes, &nodes) >= 0;
	case 8:
	case 9:
		return !msync(at, len, rnd(f, 2) ? MS_SYNC : MS_ASYNC);
	case 10:
	case 11:
		return !mincore(at, len, vec);
	case 12:
		return !remap_file_pages(at, len, 0, rnd(f, 100), 0);
	case 13:
		/* Memory that the other thread put there is another matter. */
		if (register_uffd(w->at, f->sh->unit) && !w->covered)
			wrong(f, "userfaultfd registered a window");
		return false;
	case 14:
		return !prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, w->at,
			      f->sh->unit, "window");
	default:
		return !syscall(__NR_pkey_mprotect, w->at, f->sh->unit,
				(long)w->prot, (long)rnd(f, 3));
	}
}

/* What /proc and /sys tell. */
bool do_proc(struct fz *f)
{
	static const char *const file[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "status", "statm",
		"stat", "pagemap", "fdinfo", "map_files", "oom_score",
		"clear_refs",
	};
	static const char *const other[] = {
		"/sys/kernel/mm/mshare/regions", "/sys/kernel/mm/mshare/windows",
		"/proc/meminfo", "/proc/vmstat", "/proc/self/mountinfo",
		"/proc/locks",
	};
	pid_t pid = rnd(f, 2) ? getpid() :
				f->sh->slot[rnd(f, MAX_THREADS)].pid;
	const char *name = PICK(f, file), *elsewhere = PICK(f, other);
	struct win *w = rnd_win(f);
	struct rfd *r = rnd_fd(f);
	bool sys = one_in(f, 6);
	int fd, n = 0, turn = 0, kind = 1 + rnd(f, 5);
	char path[80];

	if (pid <= 0)
		return false;
	if (!strcmp(name, "fdinfo"))
		sprintf(path, "/proc/self/fdinfo/%d", r ? r->fd : 0);
	else if (!strcmp(name, "map_files"))
		sprintf(path, "/proc/self/map_files/%lx-%lx", w ? L(w->at) : 0,
			w ? L(w->at) + f->sh->unit : 0);
	else
		sprintf(path, "/proc/%d/%s", pid, name);
	fd = open(sys ? elsewhere : path,
		  (!sys && !strcmp(name, "clear_refs") ? O_WRONLY : O_RDONLY) |
		  O_CLOEXEC);
	if (fd < 0)
		return false;
	if (!sys && !strcmp(name, "clear_refs")) {
		char text[4];

		n = write(fd, text, sprintf(text, "%d", kind));
	} else if (!sys && !strcmp(name, "pagemap") && w) {
		n = pread(fd, f->scratch, PAGE, (L(w->at) / PAGE +
						 rnd_page(f)) * 8);
	} else {
		do {
			n = read(fd, f->scratch, PAGE);
		} while (n > 0 && ++turn < 200);
		n = turn;
	}
	close(fd);
	return n > 0;
}

/* Memory is wanted elsewhere. */
bool do_pressure(struct fz *f)
{
	static const char *const what[][2] = {
		/* 4: without a line in the log */
		{ "/proc/sys/vm/drop_caches", "5" },
		{ "/proc/sys/vm/drop_caches", "6" },
		{ "/proc/sys/vm/drop_caches", "7" },
		{ "/proc/sys/vm/compact_memory", "1" },
		{ "/sys/fs/cgroup/memory.reclaim", "8M" },
		{ "/sys/fs/cgroup/memory.reclaim", "24M" },
		{ "/sys/fs/cgroup/memory.reclaim", "64M" },
		{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always" },
		{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise" },
		{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "never" },
		{ "/proc/sys/vm/overcommit_memory", "0" },
		{ "/proc/sys/vm/overcommit_memory", "1" },
		{ "/proc/sys/kernel/numa_balancing", "1" },
		{ "/proc/sys/kernel/numa_balancing", "0" },
	};
	unsigned int which = rnd(f, ARRAY_SIZE(what));

	return !write_file(what[which][0], what[which][1]);
}
