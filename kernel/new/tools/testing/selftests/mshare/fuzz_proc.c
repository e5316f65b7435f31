// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's processes: they fork, execute, exit, and kill each other. */
#include <linux/kvm.h>
#include <sys/swap.h>
#include "lib_cgroup.h"
#include "fuzz.h"

#define MAX_CHILDREN	3	/* of a thread at a time, with theirs */
#define MAX_DEPTH	2

/* The same program, which sees the variable and ends at once. */
#define EXEC_ONLY	"MSHARE_FUZZ_EXEC=1"

static void execute(void)
{
	char *const argv[] = { "fuzz", NULL }, *const env[] = { EXEC_ONLY, NULL };

	execve("/proc/self/exe", argv, env);
}

static __attribute__((constructor)) void executed(void)
{
	if (getenv("MSHARE_FUZZ_EXEC"))
		_exit(0);
}

/*
 * A child waited for: its end is the parent's business. False when it could
 * not be started.
 */
static bool child_ended(struct fz *f, pid_t pid)
{
	int status = 0;
	pid_t got;

	do {
		got = pid < 0 ? 0 : waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	__atomic_fetch_sub(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST);
	if (pid > 0 && got == pid && !known_status(status, f->sh->fail))
		wrong(f, "child ended with status %#x", status);
	return pid > 0;
}

static void in_new_process(struct fz *f, unsigned int what, uint64_t seed)
{
	int kvm;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The other thread does not exist here, and may have held it. */
	pthread_mutex_init(&layout, NULL);
	f->other = NULL;
	f->depth++;
	switch (what) {
	case 0:
		execute();
		break;
	case 1:
		kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		if (ioctl(kvm, KVM_CREATE_VM, 0) >= 0 && rnd_win(f))
			for (int i = 0; i < NR_WINS; i++)
				if (f->win[i].at && !f->win[i].covered)
					wrong(f, "KVM in a process with windows");
		break;
	default:
		/* Operations of its own, from a place of their own. */
		seed = (seed >> 8) << 8;
		run_ops(f, seed, seed + 1 + seed / 256 % 30);
	}
	_exit(0);
}

/* False: there are enough of them. Else child_ended() is to follow. */
static bool child_begins(struct fz *f)
{
	if (f->depth >= MAX_DEPTH)
		return false;
	if (__atomic_add_fetch(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST) <=
	    MAX_CHILDREN)
		return true;
	__atomic_fetch_sub(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST);
	return false;
}

bool do_fork(struct fz *f)
{
	unsigned int what = rnd(f, 24);
	uint64_t seed = rnd64(f) >> 4;
	bool fast = one_in(f, 8), vanish = one_in(f, 20);
	pid_t pid;

	if (!child_begins(f))
		return false;
	if (fast) {
		/* It must not touch anything of ours. */
		pid = vfork();
		if (!pid) {
			execute();
			_exit(0);
		}
	} else {
		pid = fork();
		if (!pid)
			in_new_process(f, what, seed);
	}
	if (pid > 0 && vanish)
		kill(pid, SIGKILL);
	return child_ended(f, pid);
}

/* A unit of the region of @r, through a file that is open for reading. */
static char *reader_window(struct fz *f, struct rfd *r)
{
	int fd = reopen(r->fd, O_RDONLY);
	char *at = ms_map(fd, f->sh->unit, PROT_READ);

	if (fd >= 0)
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/* The windows of a process that dies are also taken from it by others. */
bool do_mrelease(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int tries = 1 + rnd(f, 6), usec = rnd(f, 2000);
	bool reader = rnd(f, 4), done = false;
	int pidfd;
	pid_t pid, parent;

	if (!child_begins(f))
		return false;
	parent = getpid();
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Killed before it was asked to tell: it would wait for ever. */
		if (getppid() != parent)
			_exit(0);
		/* A window that can become writable is left alone. */
		if (r && reader)
			reader_window(f, r);
		for (;;)
			pause();
	}
	if (pid > 0) {
		pidfd = syscall(__NR_pidfd_open, pid, 0);
		usleep(usec);
		kill(pid, SIGKILL);
		while (tries--)
			done |= !syscall(__NR_process_mrelease, pidfd, 0);
		if (pidfd >= 0)
			close(pidfd);
	}
	return child_ended(f, pid) && done;
}

/* Somebody who never owns a region, and has no capability. */
#define STRANGER	1000

static __attribute__((noreturn)) void lock_as_stranger(struct fz *f,
						       struct rfd *r)
{
	struct mshare_create arg = { .fd = -1 };
	bool replace = rnd(f, 4), populate = one_in(f, 4);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rnd_range(f, r, &arg.region_offset, &arg.size, true);
	arg.prot = rnd_prot(f, r->family);
	arg.flags = MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED |
		    (replace ? MAP_FIXED : MAP_FIXED_NOREPLACE) |
		    (populate ? MAP_POPULATE : 0);
	if (setgroups(0, NULL) || setresgid(STRANGER, STRANGER, STRANGER) ||
	    setresuid(STRANGER, STRANGER, STRANGER))
		_exit(0);
	if (!region_ioctl(r->fd, MSHAREFS_CREATE_MAPPING, &arg))
		wrong(f, "MAP_LOCKED by a stranger, at %#llx, size %#llx",
		      (unsigned long long)arg.region_offset,
		      (unsigned long long)arg.size);
	_exit(0);
}

bool do_lock_other(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	pid_t pid;

	if (!r || !child_begins(f))
		return false;
	pid = fork();
	if (!pid)
		lock_as_stranger(f, r);
	return child_ended(f, pid);
}

/* A process that is killed there for want of memory has a name that tells. */
static void enter_small(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "mshare-victim");
	if (cg_enter(SMALL))
		_exit(0);
}

/* Reads what is there, and gets SIGBUS elsewhere. */
static __attribute__((noreturn)) void read_in_small(struct fz *f,
						    struct rfd *r)
{
	volatile uint64_t val = 0;
	char *base, *at;
	uint64_t seen;
	int how;

	enter_small();
	base = reader_window(f, r);
	for (int i = 0; base && i < 200; i++) {
		at = base + rnd_page(f) * PAGE;
		how = TRY(val = load(at));
		check_how(f, how, at, 8);
		seen = how ? 0 : val;
		check_bytes(f, r->family, &seen, sizeof(seen), at);
	}
	_exit(0);
}

#define SMALL_PAGES	(2 * SMALL_SIZE / PAGE)

/*
 * A process of another cgroup in a region of the small one: writes until that
 * is full, or reads and finds nothing.
 */
static __attribute__((noreturn)) void use_small(struct fz *f, int fd,
						bool reader)
{
	char *base;
	int how;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cg_enter(NULL))
		_exit(0);
	if (reader)
		fd = reopen(fd, O_RDONLY);
	base = ms_map(fd, f->sh->unit, reader ? PROT_READ : RW);
	if (base == MAP_FAILED)
		_exit(0);
	for (unsigned long i = 0; i < SMALL_PAGES; i++) {
		char *at = base + i * PAGE;

		how = reader ? TRY((void)load(at)) : TRY(store(at, i + 1));
		check_how(f, how, at, 8);
		if (reader && !how)
			wrong(f, "page %lu, which nobody has written, is read",
			      i);
		if (!reader && how)
			break;
	}
	_exit(0);
}

static __attribute__((noreturn)) void create_in_small(struct fz *f,
						      bool reader)
{
	int fd, status;
	pid_t pid;

	enter_small();
	fd = open(MS_DIR, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, f->sh->unit) ||
	    region_map(fd, 0, SMALL_PAGES * PAGE, RW, ANON, -1, 0))
		_exit(0);
	pid = fork();
	if (!pid)
		use_small(f, fd, reader);
	if (pid > 0 && waitpid(pid, &status, 0) == pid &&
	    !known_status(status, f->sh->fail))
		wrong(f, "grandchild ended with status %#x", status);
	_exit(0);
}

bool do_reader(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int what = rnd(f, 12);
	pid_t pid;

	if (!r || !child_begins(f))
		return false;
	pid = fork();
	if (!pid) {
		f->depth++;
		if (what < 2)
			create_in_small(f, what);
		read_in_small(f, r);
	}
	return child_ended(f, pid);
}

/* Of the process, with its windows. */
bool do_mlockall(struct fz *f)
{
	const int which[] = { MCL_CURRENT, MCL_FUTURE,
			      MCL_CURRENT | MCL_FUTURE };
	int flags = PICK(f, which) | MCL_ONFAULT, ret;
	unsigned int then = rnd(f, 3);

	ret = mlockall(flags);
	if (then == 1)
		usleep(1000);
	/* Else the other thread does it, or this one another time. */
	if (then)
		munlockall();
	return !ret;
}

/* The worker ends with all it has; the supervisor starts it again. */
bool do_exit(struct fz *f)
{
	bool exec = rnd(f, 2);

	if (exec && !f->depth)
		execute();
	_exit(0);
}

bool do_kill(struct fz *f)
{
	pid_t pid = f->sh->slot[rnd(f, MAX_THREADS)].pid;

	return pid > 0 && pid != getpid() && !kill(pid, SIGKILL);
}

/* Stopped in the middle of something, and told to go on. */
bool do_pause(struct fz *f)
{
	pid_t pid = f->sh->slot[rnd(f, MAX_THREADS)].pid;

	if (pid <= 0 || pid == getpid() || kill(pid, SIGSTOP))
		return false;
	usleep(5000);
	return !kill(pid, SIGCONT);
}

/*
 * Everything comes back from swap. In the namespace of the first process, as
 * the swap area keeps the mount of its device.
 */
static int swap_again(void *arg)
{
	int ns = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	char text[400], path[64];

	(void)arg;
	if (read_file("/proc/swaps", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%*[^\n]\n%63s", path) != 1)
		return 1;
	if (setns(ns, CLONE_NEWNS) || swapoff(path))
		return 1;
	return swapon(path, 0) ? 1 : 0;
}

bool do_swapoff(struct fz *f)
{
	return one_in(f, 12) && !in_child(swap_again, NULL);
}
