/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for all tests that do without the harness. A program can include
 * kselftest_harness.h in one file only: the files that are linked into several
 * programs include this instead.
 *
 * Processes that attach on their own (not by fork) are "peers": started before
 * there is any window, they call functions of this program on request.
 */
#ifndef MSHARE_LIB_H
#define MSHARE_LIB_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/msharefs.h>
#include "../kselftest.h"

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
extern __thread sigjmp_buf probe_env;
extern __thread volatile void *volatile probe_at;
extern __thread volatile int probe_result;

void probe_signal(int sig, siginfo_t *si, void *context);
void probe_catch(const volatile void *at);
int probe_done(void);
int probe_read(const volatile void *at, uint64_t *val);
int probe_write(volatile void *at, uint64_t val);
int peek(const volatile void *at);
int probe_call(void *at);

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

/* Files of /proc and /sys, and counts. */
int write_file(const char *path, const char *text);
ssize_t read_file(const char *path, char *buf, size_t size);
long file_number(const char *path);
long file_field(const char *path, const char *field);
long status_kb(const char *field);
long meminfo_kb(const char *field);
long vmstat(const char *field);
long minor_faults(void);
long faults_of(char *base, unsigned long pages, bool write);
long meminfo_settles(const char *field, long target);
long other_tables_kb(void);
long other_tables_settle(long target);

/* Set up of a test. */
size_t ms_unit(void);
int ms_namespace(void);
int ms_mount(const char *options);

static inline char *ms_map(int fd, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, 0);
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

void peer_serve(int sock);
void peer_begin(struct peer *p, long (*fn)(const long *), const long *arg);
long peer_end(struct peer *p);
int peer_stop(struct peer *p);

#define peer_call(p, fn, ...) ({					\
	peer_begin(p, fn, (long[PEER_ARGS]){ __VA_ARGS__ });		\
	peer_end(p); })

/* What peers can be told to do. */
long op_syscall(const long *a);
long op_peek(const long *a);
long op_load(const long *a);
long op_store(const long *a);
long op_damaged(const long *a);
long op_fill(const long *a);
long op_touch(const long *a);
long op_unprivileged(const long *a);
long op_attach(const long *a);

#define peer_sys(p, nr, ...)	peer_call(p, op_syscall, nr, __VA_ARGS__)
#define peer_open(p, path, flags) \
	peer_sys(p, __NR_openat, AT_FDCWD, L(path), flags, 0600)
#define peer_mmap(p, addr, len, prot, fd, off) \
	peer_sys(p, __NR_mmap, L(addr), L(len), prot, \
		 MAP_SHARED | ((addr) ? MAP_FIXED_NOREPLACE : 0), fd, L(off))

#define peer_attach(p, path, flags, prot) \
	peer_call(p, op_attach, L(path), flags, prot)

int in_child(int (*fn)(void *), void *arg);

/* In a child: say which line failed, and fail. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: in child %d: %s (errno %d)\n", \
			__FILE__, __LINE__, getpid(), #cond, errno);	\
		_exit(1);						\
	}								\
} while (0)

int cpus(void);
void pin(int cpu);

#endif
