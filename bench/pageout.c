// SPDX-License-Identifier: GPL-2.0
/*
 * pageout: what it costs to swap out shared memory that many processes use, in
 * instructions of the machine per page: ordinary memory, which has an entry in
 * the page tables of each of them, and a region, which has one. Meant for a
 * guest in which the time stamp counter counts instructions (qemu -icount
 * shift=0), with a swap device and cgroup2.
 *
 *	pageout [--csv FILE] [--size SIZE] [--processes N] [--idle N]
 *
 * madvise(MADV_PAGEOUT) leaves pages alone that more than one process has
 * mapped. So both are reclaimed by memory.reclaim of a cgroup that has nothing
 * else, which does the same; and the region also by MSHAREFS_ADVISE.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/msharefs.h>

#include "bench.h"
#include "icount.h"

#define RW		(PROT_READ | PROT_WRITE)
#define GROUP		"/sys/fs/cgroup/bench-pageout"
#define MAX_PROCESSES	4096

enum how { RECLAIM, ADVISE };

static size_t size = 8 * MIB;
static FILE *csv;
static pid_t clients[MAX_PROCESSES];

static long vmstat(const char *key)
{
	char line[128];
	FILE *f = fopen("/proc/vmstat", "re");
	size_t len = strlen(key);
	long n = -1;

	sync_counters();
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && line[len] == ' ')
			n = atol(line + len);
	}
	if (!f || n < 0)
		die("/proc/vmstat: no %s", key);
	fclose(f);
	return n;
}

/* Reads all of it, says so, and sleeps. */
static void client_main(const struct area *a, int ready)
{
	char *p = area_attach(a, RW);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < size; i += PAGE)
		read_byte(p + i);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void start_clients(const struct area *a, int n)
{
	int ready[2];
	char byte;

	fflush(NULL);
	if (pipe2(ready, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		clients[i] = fork();
		if (clients[i] < 0)
			die("fork: %s", strerror(errno));
		if (!clients[i])
			client_main(a, ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			die("a client is gone");
	}
	close(ready[0]);
	close(ready[1]);
}

static void stop_clients(int n)
{
	for (int i = 0; i < n; i++)
		kill(clients[i], SIGKILL);
	for (int i = 0; i < n; i++)
		waitpid(clients[i], NULL, 0);
}

/* Made and filled by a process in the group, which pays for it. */
static void fill_in_group(const struct area *a)
{
	pid_t pid = fork();
	int status;
	char *p;

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		write_file(GROUP "/cgroup.procs", "0");
		p = area_create(a);
		for (size_t i = 0; i < size; i += PAGE)
			write_byte(p + i);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the area cannot be filled");
}

static void advise(const struct area *a)
{
	struct mshare_advise arg = { .size = size, .advice = MADV_PAGEOUT };
	int fd = open(a->path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, MSHAREFS_ADVISE, &arg))
		die("MSHAREFS_ADVISE: %s", strerror(errno));
	close(fd);
}

/* Three quarters: reclaim that finds little left would only search. */
static void reclaim(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", size / 4 * 3);
	/* Short of it counts, too: pages are counted. */
	try_write_file(GROUP "/memory.reclaim", text);
}

static void report(const char *mode, const char *what, int n, long pages,
		   u64 cost)
{
	printf("  %-8s %-16s %5d processes %6ld pages %12.0f per page\n",
	       mode, what, n, pages, (double)cost / pages);
	fflush(stdout);
	if (csv)
		fprintf(csv, "%s,%s,%d,%ld,%.1f\n", mode, what, n, pages,
			(double)cost / pages);
}

static void measure(enum mode mode, enum how how, int n)
{
	const char *what = how == ADVISE ? "MSHAREFS_ADVISE" : "memory.reclaim";
	struct area a;
	long pages;
	u64 cost;

	area_name(&a, mode, size, MSHARE_DIR);
	fill_in_group(&a);
	start_clients(&a, n);
	/* Pages that wait for a list of reclaim are put there. */
	write_file("/proc/sys/vm/drop_caches", "1");
	pages = vmstat("pswpout");
	cost = ticks();
	if (how == ADVISE)
		advise(&a);
	else
		reclaim();
	cost = ticks() - cost;
	pages = vmstat("pswpout") - pages;
	if (pages < (long)(size / PAGE / 2))
		die("%s, %s: %ld pages were swapped out", mode_name(mode),
		    what, pages);
	report(mode_name(mode), what, n, pages, cost);
	stop_clients(n);
	area_remove(&a);
}

#define ROUNDS	5

/*
 * What a flush costs that reclaim has put off, when the attached processes do
 * nothing: MADV_PAGEOUT of all of it, which the measuring process has brought
 * in each time. The others have no page tables of their own.
 */
static void measure_idle(int n)
{
	u64 cost[ROUNDS];
	struct area a;
	pid_t group;
	long pages;
	char *p;

	area_name(&a, MSHARE, size, MSHARE_DIR);
	p = area_create(&a);
	group = start_idle(n);
	pages = vmstat("pswpout");
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t at = 0; at < size; at += PAGE)
			write_byte(p + at);
		write_file("/proc/sys/vm/drop_caches", "1");
		cost[i] = ticks();
		advise(&a);
		cost[i] = ticks() - cost[i];
	}
	pages = (vmstat("pswpout") - pages) / ROUNDS;
	if (pages < (long)(size / PAGE / 2))
		die("%d idle processes: %ld pages were swapped out", n, pages);
	report("idle", "MSHAREFS_ADVISE", n, pages, median_u64(cost, ROUNDS));
	stop_idle(group, n);
	area_detach(&a, p);
	area_remove(&a);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "processes", required_argument, NULL, 'p' },
		{ "idle", required_argument, NULL, 'i' },
		{}
	};
	int opt, n = 500, idlers = 10000;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			csv = csv_open(optarg);
			break;
		case 's':
			size = parse_size(optarg);
			break;
		case 'p':
			n = atoi(optarg);
			break;
		case 'i':
			idlers = atoi(optarg);
			break;
		default:
			die("usage: pageout [--csv FILE] [--size SIZE] [--processes N] [--idle N]");
		}
	}
	if (n < 1 || n > MAX_PROCESSES)
		die("--processes: 1 to %d", MAX_PROCESSES);
	check_clock();
	try_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		die("%s: %s", GROUP, strerror(errno));
	if (csv)
		fputs("mode,how,processes,pages,instructions per page\n", csv);
	try_write_file("/sys/kernel/debug/fault_around_bytes", "2097152");
	for (int i = 0; i < 2; i++) {
		measure(MSHARE, ADVISE, i ? n : 1);
		measure(MSHARE, RECLAIM, i ? n : 1);
		measure(PLAIN, RECLAIM, i ? n : 1);
	}
	measure_idle(1);
	measure_idle(idlers);
	csv_close(csv);
	return 0;
}
