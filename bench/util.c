// SPDX-License-Identifier: GPL-2.0
/* Helpers of the benchmark programs. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* 256M, 1G, 4096: IEC units, nothing may follow. */
size_t parse_size(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);
	int shift = *end == 'G' ? 30 : *end == 'M' ? 20 : *end == 'K' ? 10 : 0;

	end += shift != 0;
	if (end == s || *end || !v)
		die("%s: not a size", s);
	return v << shift;
}

FILE *csv_open(const char *path)
{
	FILE *csv = fopen(path, "we");

	if (!csv)
		die("%s: %s", path, strerror(errno));
	return csv;
}

/* NULL: there was none to write. */
void csv_close(FILE *csv)
{
	if (csv && fclose(csv))
		die("csv: %s", strerror(errno));
}

/*
 * No stdio and no heap: the reader must not grow while it measures, and must
 * not need memory when there is none.
 */
static long key_kib(const char *file, const char *key)
{
	char buf[4096], *p;
	ssize_t n;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	for (p = buf; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, strlen(key)) && p[strlen(key)] == ':')
			return atol(p + strlen(key) + 1);
	}
	return -1;
}

long meminfo_kib(const char *key)
{
	return key_kib("/proc/meminfo", key);
}

long status_kib(const char *key)
{
	return key_kib("/proc/self/status", key);
}

bool try_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

void write_file(const char *path, const char *text)
{
	if (!try_write_file(path, text))
		die("%s: %s", path, strerror(errno));
}

/*
 * The counters of /proc/meminfo are kept per CPU and folded lazily. Folding
 * them first makes differences of two readings exact.
 */
void sync_counters(void)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
}

long minor_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt;
}

u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* Sorts v. */
u64 median_u64(u64 *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare_u64);
	return n ? v[n / 2] : 0;
}

/*
 * Processes that have what the caller has, and do nothing at all, in one process
 * group, by which they are stopped again.
 */
pid_t start_idle(int n)
{
	pid_t group = 0, pid;

	fflush(NULL);
	for (int i = 0; i < n; i++) {
		pid = fork();
		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid)
			for (;;)
				pause();
		group = group ? group : pid;
		if (setpgid(pid, group))
			die("setpgid: %s", strerror(errno));
	}
	return group;
}

void stop_idle(pid_t group, int n)
{
	kill(-group, SIGKILL);
	for (int i = 0; i < n; i++)
		waitpid(-group, NULL, 0);
}
