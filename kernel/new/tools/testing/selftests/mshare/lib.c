// SPDX-License-Identifier: GPL-2.0
/* Functions for all tests, see lib.h. */
#include "lib.h"

/* Threads probe, too. */
__thread sigjmp_buf probe_env;
__thread volatile void *volatile probe_at;
__thread volatile int probe_result;

void probe_signal(int sig, siginfo_t *si, void *context)
{
	(void)context;
	probe_result = PROBE(sig, si->si_code);
	if (si->si_addr != probe_at)
		probe_result |= PROBE_ELSEWHERE;
	siglongjmp(probe_env, 1);
}

void probe_catch(const volatile void *at)
{
	struct sigaction sa = { .sa_sigaction = probe_signal,
				.sa_flags = SA_SIGINFO };

	probe_at = (volatile void *)at;
	probe_result = 0;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

int probe_done(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return probe_result;
}

int probe_read(const volatile void *at, uint64_t *val)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		*val = *(const volatile uint64_t *)at;
	return probe_done();
}

int probe_write(volatile void *at, uint64_t val)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		*(volatile uint64_t *)at = val;
	return probe_done();
}

int peek(const volatile void *at)
{
	uint64_t val;

	return probe_read(at, &val);
}

int probe_call(void *at)
{
	probe_catch(at);
	if (!sigsetjmp(probe_env, 1))
		((void (*)(void))at)();
	return probe_done();
}

int write_file(const char *path, const char *text)
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

ssize_t read_file(const char *path, char *buf, size_t size)
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
long file_number(const char *path)
{
	char text[64];

	return read_file(path, text, sizeof(text)) > 0 ? atol(text) : -1;
}

/* The number after @field at the start of a line, -1 when there is none. */
long file_field(const char *path, const char *field)
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

long status_kb(const char *field)
{
	return file_field("/proc/self/status", field);
}

/* The kernel keeps part of these counts per CPU; fold them first. */
long meminfo_kb(const char *field)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return file_field("/proc/meminfo", field);
}

long vmstat(const char *field)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return file_field("/proc/vmstat", field);
}

long minor_faults(void)
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
long faults_of(char *base, unsigned long pages, bool write)
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
long meminfo_settles(const char *field, long target)
{
	long now = meminfo_kb(field);

	for (int i = 0; i < 100 && now > target; i++) {
		usleep(50000);
		now = meminfo_kb(field);
	}
	return now;
}

/* Page tables in kB of all other processes and of regions. */
long other_tables_kb(void)
{
	return meminfo_kb("PageTables") - status_kb("VmPTE");
}

long other_tables_settle(long target)
{
	long now = other_tables_kb();

	for (int i = 0; i < 100 && now > target; i++) {
		usleep(50000);
		now = other_tables_kb();
	}
	return now;
}

size_t ms_unit(void)
{
	char text[64];

	if (read_file(MS_DIR "/mshare_info", text, sizeof(text)) <= 0)
		return 0;
	return strtoul(text, NULL, 10);
}

int ms_namespace(void)
{
	if (unshare(CLONE_NEWNS))
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return 0;
}

int ms_mount(const char *options)
{
	return mount("msharefs", MS_DIR, "msharefs", 0, options) ? -errno : 0;
}

void peer_serve(int sock)
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

void peer_begin(struct peer *p, long (*fn)(const long *), const long *arg)
{
	struct peer_call call = { .fn = fn };

	memcpy(call.arg, arg, sizeof(call.arg));
	/* When it is not there any more, peer_end() says so. */
	(void)!send(p->sock, &call, sizeof(call), MSG_NOSIGNAL);
}

/* What the function returned, LONG_MIN when the peer died instead. */
long peer_end(struct peer *p)
{
	long ret;

	if (recv(p->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return LONG_MIN;
	return ret;
}

/* The status of waitpid(). */
int peer_stop(struct peer *p)
{
	int status = -1;

	peer_begin(p, NULL, (long[PEER_ARGS]){ 0 });
	close(p->sock);
	waitpid(p->pid, &status, 0);
	return status;
}

long op_syscall(const long *a)
{
	long ret = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);

	return ret == -1 ? -errno : ret;
}

long op_peek(const long *a)
{
	return peek((void *)a[0]);
}

long op_load(const long *a)
{
	return load((void *)a[0]);
}

long op_store(const long *a)
{
	return probe_write((void *)a[0], a[1]);
}

long op_damaged(const long *a)
{
	return damaged((char *)a[0], a[1], a[2]);
}

long op_fill(const long *a)
{
	fill((char *)a[0], a[1], a[2]);
	return 0;
}

/*
 * Writes fill()'s pattern 1 into the word at a[0] and at every a[1] bytes after
 * it, a[2] words in all; reads the words when a[3]. How many times it did that
 * before it got SIGBUS, or minus how another access ended.
 */
long op_touch(const long *a)
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

long op_unprivileged(const long *a)
{
	(void)a;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	/* Else the process could not be traced by its own kind, nor dump. */
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

/*
 * Opens and maps the whole of a region, at a[3] if that is not 0; the window's
 * address or -errno.
 */
long op_attach(const long *a)
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

/* Runs @fn in a child; its exit status, or 128 + the signal that killed it. */
int in_child(int (*fn)(void *), void *arg)
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

int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}
