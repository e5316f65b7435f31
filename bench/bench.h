/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark programs have in common: the shared area they touch, and
 * small helpers for reading the kernel's counters.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define PAGE		4096UL
#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define MSHARE_DIR	"/sys/fs/mshare"

/* As in the kernel, so that %lu prints it. */
typedef unsigned long u64;

enum mode { PLAIN, MSHARE };

/*
 * A shared area that every user opens by name and maps for itself: ordinary
 * shared memory (a memfd, reached through /proc) or an msharefs region.
 */
struct area {
	enum mode mode;
	size_t bytes;		/* what is used */
	size_t len;		/* what is mapped: bytes in whole units */
	int memfd;		/* keeps the ordinary area alive */
	char path[128];
};

static inline void write_byte(char *p)
{
	*(volatile char *)p = 1;
}

static inline void read_byte(char *p)
{
	(void)*(volatile char *)p;
}

int parse_mode(const char *name);
const char *mode_name(enum mode mode);
bool have_msharefs(const char *dir);
size_t mshare_unit(const char *dir);

void area_name(struct area *a, enum mode mode, size_t bytes, const char *dir);
void *area_create(const struct area *a);
void *area_attach(const struct area *a, int prot);
void area_detach(const struct area *a, void *p);
void area_remove(struct area *a);

#ifndef __noreturn
#define __noreturn	__attribute__((__noreturn__))
#endif
#define __printf(a, b)	__attribute__((__format__(printf, a, b)))
#define __aligned(n)	__attribute__((__aligned__(n)))

void __noreturn __printf(1, 2) die(const char *fmt, ...);
size_t parse_size(const char *s);
FILE *csv_open(const char *path);
void csv_close(FILE *csv);
long meminfo_kib(const char *key);
long status_kib(const char *key);
void sync_counters(void);
bool try_write_file(const char *path, const char *text);
void write_file(const char *path, const char *text);
long minor_faults(void);
u64 now_ns(void);
int compare_u64(const void *a, const void *b);
u64 median_u64(u64 *v, size_t n);
pid_t start_idle(int n);
void stop_idle(pid_t group, int n);

#endif
