/* SPDX-License-Identifier: GPL-2.0 */
/* The fuzzer's processes: they fork, execute, exit, and kill each other. */
#ifndef MSHARE_FUZZ_PROC_H
#define MSHARE_FUZZ_PROC_H

#include <linux/kvm.h>
#include <sys/swap.h>

#define MAX_CHILDREN	3	/* of a thread at a time, with theirs */
#define MAX_DEPTH	2

static void run_ops(struct fz *f, uint64_t from, uint64_t to);

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

/* A child waited for: its end is the parent's business. */
static bool child_ended(struct fz *f, pid_t pid)
{
	int status = 0;
	pid_t got;

	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	__atomic_fetch_sub(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST);
	if (got == pid && !known_status(status, f->sh->fail))
		wrong(f, "child ended with status %#x", status);
	return true;
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

static bool do_fork(struct fz *f)
{
	unsigned int what = rnd(f, 24);
	uint64_t seed = rnd64(f) >> 4;
	bool fast = one_in(f, 8), vanish = one_in(f, 20);
	pid_t pid;

	if (f->depth >= MAX_DEPTH)
		return false;
	if (__atomic_add_fetch(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST) >
	    MAX_CHILDREN) {
		__atomic_fetch_sub(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST);
		return false;
	}
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
	if (pid < 0) {
		__atomic_fetch_sub(&f->sh->children[f->id], 1, __ATOMIC_SEQ_CST);
		return false;
	}
	if (vanish)
		kill(pid, SIGKILL);
	return child_ended(f, pid);
}

/* The worker ends with all it has; the supervisor starts it again. */
static bool do_exit(struct fz *f)
{
	bool exec = rnd(f, 2);

	if (exec && !f->depth)
		execute();
	_exit(0);
}

static bool do_kill(struct fz *f)
{
	pid_t pid = f->sh->slot[rnd(f, MAX_THREADS)].pid;

	return pid > 0 && pid != getpid() && !kill(pid, SIGKILL);
}

/* Stopped in the middle of something, and told to go on. */
static bool do_pause(struct fz *f)
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

static bool do_swapoff(struct fz *f)
{
	return one_in(f, 12) && !in_child(swap_again, NULL);
}

#endif
