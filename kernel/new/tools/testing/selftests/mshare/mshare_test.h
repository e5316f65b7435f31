/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common part of the mshare selftests.
 *
 * Every test gets a msharefs mount of its own, in a mount namespace of its own,
 * on the usual directory: whatever a test leaves behind goes with its last
 * process, and what is counted is the test's.
 *
 * Processes that attach on their own (not by fork) are "peers": started before
 * there is any window, they call functions of this program on request.
 */
#ifndef MSHARE_TEST_H
#define MSHARE_TEST_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../kselftest_harness.h"
#pragma GCC diagnostic pop

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/msharefs.h>

/* Emulated machines with all checks on are slow; a hang is still found. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 180

#define MS_DIR		"/sys/fs/mshare"
#define PAGE		4096UL
#define NOBODY		65534
#define L(x)		((long)(x))

/* How an access ended: 0, or what the signal said. */
#define PROBE(sig, code)	((sig) << 8 | (code))
#define MAPERR			PROBE(SIGSEGV, SEGV_MAPERR)
#define ACCERR			PROBE(SIGSEGV, SEGV_ACCERR)
#define BUS_END			PROBE(SIGBUS, BUS_ADRERR)
#define PROBE_ELSEWHERE		0x10000

#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif

/* Threads probe, too. */
static __thread sigjmp_buf probe_env;
static __thread volatile void *volatile probe_at;
static __thread volatile int probe_result;

static inline void probe_signal(int sig, siginfo_t *si, void *context)
{
	(void)context;
	probe_result = PROBE(sig, si->si_code);
	if (si->si_addr != probe_at)
		probe_result |= PROBE_ELSEWHERE;
	siglongjmp(probe_env, 1);
}

static inline void probe_catch(const volatile void *at)
{
	struct sigaction sa = { .sa_sigaction = probe_signal,
				.sa_flags = SA_SIGINFO };

	probe_at = (volatile void *)at;
	probe_result = 0;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static inline int probe_done(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return probe_result;
}

static inline int probe_read(const volatile void *at, uint64_t *val)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		*val = *(const volatile uint64_t *)at;
	return probe_done();
}

static inline int probe_write(volatile void *at, uint64_t val)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		*(volatile uint64_t *)at = val;
	return probe_done();
}

static inline int peek(const volatile void *at)
{
	uint64_t val;

	return probe_read(at, &val);
}

static inline int probe_call(void *at)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		((void (*)(void))at)();
	return probe_done();
}

static inline uint64_t load(const volatile void *at)
{
	return *(const volatile uint64_t *)at;
}

static inline void store(volatile void *at, uint64_t val)
{
	*(volatile uint64_t *)at = val;
}

/* What page @i of region @region holds: never zero, never another page's. */
static inline uint64_t pattern(unsigned int region, unsigned long i)
{
	return 0x5ea1000000000001ull + ((uint64_t)region << 40) + (i << 8);
}

static inline void fill(char *base, unsigned int region, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		store(base + i * PAGE, pattern(region, i));
}

/* Number of pages that do not hold what fill() wrote. */
static inline unsigned long damaged(const char *base, unsigned int region,
				    unsigned long pages)
{
	unsigned long i, bad = 0;

	for (i = 0; i < pages; i++)
		bad += load(base + i * PAGE) != pattern(region, i);
	return bad;
}

/* Files of /proc and /sys. */

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ret = errno ? -errno : -EIO;
	close(fd);
	return ret;
}

static inline ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	if (n < 0)
		n = -errno;
	buf[len] = 0;
	close(fd);
	return n < 0 ? n : (ssize_t)len;
}

/* The number that a file consists of, -1 when there is none. */
static inline long file_number(const char *path)
{
	char text[64];

	return read_file(path, text, sizeof(text)) > 0 ? atol(text) : -1;
}

/* The number after @field at the start of a line, -1 when there is none. */
static inline long file_field(const char *path, const char *field)
{
	static char buf[1 << 16];
	size_t len = strlen(field);
	char *p;

	if (read_file(path, buf, sizeof(buf)) < 0)
		return -1;
	for (p = buf; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (!strncmp(p, field, len) && strchr(": \t", p[len]))
			return strtol(p + len + 1, NULL, 10);
	}
	return -1;
}

static inline long status_kb(const char *field)
{
	return file_field("/proc/self/status", field);
}

/* The kernel keeps part of these counts per CPU; fold them first. */
static inline long meminfo_kb(const char *field)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return file_field("/proc/meminfo", field);
}

static inline long vmstat(const char *field)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return file_field("/proc/vmstat", field);
}

static inline long minor_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt;
}

/*
 * Minor faults of touching one word in each of @pages pages: fill() when
 * @write, else load(). A first round over memory of the process itself makes
 * sure that code, stack and counters take no fault of their own.
 */
static __attribute__((noinline, unused)) long faults_of(char *base,
							unsigned long pages,
							bool write)
{
	static char warm[2 * PAGE];
	long before = 0, after = 0;
	char *at = warm;

	for (int round = 0; round < 2; round++) {
		before = minor_faults();
		for (unsigned long i = 0; i < (round ? pages : 2); i++) {
			if (write)
				store(at + i * PAGE, pattern(1, i));
			else
				load(at + i * PAGE);
		}
		after = minor_faults();
		at = base;
	}
	return after - before;
}

/*
 * Tables of a process that is gone are freed after an RCU grace period. Waits
 * until @field of meminfo has come down to @target, returns what it then is.
 */
static inline long meminfo_settles(const char *field, long target)
{
	long now = meminfo_kb(field);

	for (int i = 0; i < 100 && now > target; i++) {
		usleep(50000);
		now = meminfo_kb(field);
	}
	return now;
}

/* Page tables in kB of all other processes and of regions. */
static inline long other_tables_kb(void)
{
	return meminfo_kb("PageTables") - status_kb("VmPTE");
}

static inline long other_tables_settle(long target)
{
	long now = other_tables_kb();

	for (int i = 0; i < 100 && now > target; i++) {
		usleep(50000);
		now = other_tables_kb();
	}
	return now;
}

/* Set up of a test. */

static inline size_t ms_unit(void)
{
	char text[64];

	if (read_file(MS_DIR "/mshare_info", text, sizeof(text)) <= 0)
		return 0;
	return strtoul(text, NULL, 10);
}

static inline int ms_namespace(void)
{
	if (unshare(CLONE_NEWNS))
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return 0;
}

static inline int ms_mount(const char *options)
{
	return mount("msharefs", MS_DIR, "msharefs", 0, options) ? -errno : 0;
}

static inline size_t ms_setup(struct __test_metadata *_metadata,
			      const char *options)
{
	size_t unit;
	int err;

	if (geteuid()) {
		SKIP(return 0, "needs root");
	}
	if (access(MS_DIR, F_OK)) {
		SKIP(return 0, "this kernel has no msharefs");
	}
	ASSERT_EQ(0, ms_namespace());
	err = ms_mount(options);
	ASSERT_EQ(0, err) TH_LOG("mount of msharefs: %s", strerror(-err));
	unit = ms_unit();
	ASSERT_NE(0, unit);
	/* Sizes are chosen by the unit; most of it is never touched. */
	ASSERT_EQ(0, write_file("/proc/sys/vm/overcommit_memory", "1"));
	return unit;
}

#define MS_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit;						\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
	}

static inline char *ms_map(int fd, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, 0);
}

/* A plain region with a window of the whole of it. */
static inline char *ms_new(struct __test_metadata *_metadata, const char *path,
			   size_t len, int *fdp)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *base;

	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	base = ms_map(fd, len, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base) TH_LOG("%s: mmap: %s", path,
					   strerror(errno));
	if (fdp)
		*fdp = fd;
	else
		close(fd);
	return base;
}

/* Peers. */

#define PEER_ARGS 8

struct peer {
	pid_t pid;
	int sock;
};

struct peer_call {
	long (*fn)(const long *arg);
	long arg[PEER_ARGS];
};

static inline void peer_serve(int sock)
{
	struct peer_call call;
	long ret;

	/* The end of file alone would not do: later peers hold the socket. */
	while (recv(sock, &call, sizeof(call), 0) == sizeof(call) && call.fn) {
		ret = call.fn(call.arg);
		if (send(sock, &ret, sizeof(ret), 0) != sizeof(ret))
			break;
	}
	_exit(0);
}

static inline struct peer peer_start(struct __test_metadata *_metadata)
{
	struct peer p;
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				sock));
	p.pid = fork();
	ASSERT_LE(0, p.pid);
	if (!p.pid) {
		close(sock[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer_serve(sock[1]);
	}
	close(sock[1]);
	p.sock = sock[0];
	return p;
}

static inline void peer_begin(struct peer *p, long (*fn)(const long *),
			      const long *arg)
{
	struct peer_call call = { .fn = fn };

	memcpy(call.arg, arg, sizeof(call.arg));
	/* When it is not there any more, peer_end() says so. */
	(void)!send(p->sock, &call, sizeof(call), MSG_NOSIGNAL);
}

/* What the function returned, LONG_MIN when the peer died instead. */
static inline long peer_end(struct peer *p)
{
	long ret;

	if (recv(p->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return LONG_MIN;
	return ret;
}

#define peer_call(p, fn, ...) ({					\
	peer_begin(p, fn, (long[PEER_ARGS]){ __VA_ARGS__ });		\
	peer_end(p); })

/* The status of waitpid(). */
static inline int peer_stop(struct peer *p)
{
	int status = -1;

	peer_begin(p, NULL, (long[PEER_ARGS]){ 0 });
	close(p->sock);
	waitpid(p->pid, &status, 0);
	return status;
}

static inline long op_syscall(const long *a)
{
	long ret = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);

	return ret == -1 ? -errno : ret;
}

static inline long op_peek(const long *a)
{
	return peek((void *)a[0]);
}

static inline long op_load(const long *a)
{
	return load((void *)a[0]);
}

static inline long op_store(const long *a)
{
	return probe_write((void *)a[0], a[1]);
}

static inline long op_damaged(const long *a)
{
	return damaged((char *)a[0], a[1], a[2]);
}

static inline long op_fill(const long *a)
{
	fill((char *)a[0], a[1], a[2]);
	return 0;
}

/*
 * Writes fill()'s pattern 1 into the word at a[0] and at every a[1] bytes after
 * it, a[2] words in all; reads the words when a[3]. How many times it did that
 * before it got SIGBUS, or minus how another access ended.
 */
static inline long op_touch(const long *a)
{
	uint64_t val;
	long i;
	int how;

	for (i = 0; i < a[2]; i++) {
		char *at = (char *)a[0] + i * a[1];

		how = a[3] ? probe_read(at, &val) :
			     probe_write(at, pattern(1, i));
		if (how)
			return how == BUS_END ? i : -how;
	}
	return i;
}

static inline long op_unprivileged(const long *a)
{
	(void)a;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	/* Else the process could not be traced by its own kind, nor dump. */
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

#define peer_sys(p, nr, ...)	peer_call(p, op_syscall, nr, __VA_ARGS__)
#define peer_open(p, path, flags) \
	peer_sys(p, __NR_openat, AT_FDCWD, L(path), flags, 0600)
#define peer_mmap(p, addr, len, prot, fd, off) \
	peer_sys(p, __NR_mmap, L(addr), L(len), prot, \
		 MAP_SHARED | ((addr) ? MAP_FIXED_NOREPLACE : 0), fd, L(off))

/*
 * Opens and maps the whole of a region, at a[3] if that is not 0; the window's
 * address or -errno.
 */
static inline long op_attach(const long *a)
{
	int fd = open((const char *)a[0], (int)a[1] | O_CLOEXEC);
	struct mshare_info info;
	char *base;

	if (fd < 0)
		return -errno;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return -EIO;
	base = mmap((void *)a[3], info.size, (int)a[2], MAP_SHARED |
		    (a[3] ? MAP_FIXED_NOREPLACE : 0), fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	close(fd);
	return L(base);
}

#define peer_attach(p, path, flags, prot) \
	peer_call(p, op_attach, L(path), flags, prot)

/*
 * A plain region of one unit, MS_DIR "/a", and a peer that has it at @other;
 * the window here, at another address.
 */
static inline char *pair_start(struct __test_metadata *_metadata, size_t unit,
			       struct peer *p, long *other)
{
	char *base;

	*p = peer_start(_metadata);
	/* Moves the two apart. */
	base = mmap(NULL, 4 * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, base);
	base = ms_new(_metadata, MS_DIR "/a", unit, NULL);
	*other = peer_attach(p, MS_DIR "/a", O_RDWR, PROT_READ | PROT_WRITE);
	ASSERT_LT(0, *other);
	ASSERT_NE(L(base), *other);
	return base;
}

#define PAIR_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit;						\
		struct peer p;						\
		long other;	/* the window of the peer */		\
		char *base;	/* ours */				\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
		if (self->unit)						\
			self->base = pair_start(_metadata, self->unit,	\
						&self->p, &self->other);\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		EXPECT_EQ(0, peer_stop(&self->p));			\
	}

/* Runs @fn in a child; its exit status, or 128 + the signal that killed it. */
static inline int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(fn(arg));
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/* In a child: say which line failed, and fail. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: in child %d: %s (errno %d)\n", \
			__FILE__, __LINE__, getpid(), #cond, errno);	\
		_exit(1);						\
	}								\
} while (0)

/* Expect a call to fail with one errno. */
#define EXPECT_ERR(err, call) do {					\
	errno = 0;							\
	EXPECT_EQ(-1, L(call));						\
	EXPECT_EQ(err, errno) {						\
		TH_LOG("%s: %s, expected %s", #call, strerror(errno),	\
		       strerror(err));					\
	}								\
} while (0)

static inline int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

#endif
