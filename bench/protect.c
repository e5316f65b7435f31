// SPDX-License-Identifier: GPL-2.0
/*
 * protect: what a change of protection of shared memory costs, in instructions
 * of the machine: for processes that each call mprotect(2), and for a region
 * whose mapping is changed once for all. Meant for a guest in which the time
 * stamp counter counts instructions (qemu -icount shift=0).
 *
 *	protect [--csv FILE] [--size SIZE] [--processes N] [--idle N]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/msharefs.h>

#include "bench.h"
#include "icount.h"

#define RW		(PROT_READ | PROT_WRITE)
#define MAX_PROCESSES	4096
#define ROUNDS		21

static const char *dir = MSHARE_DIR;
static size_t size = 64 * MIB;
static u64 clock_cost;
static FILE *csv;

/* A process that has attached and waits: it ends when told, or measures. */
struct client {
	pid_t pid;
	int ask, answer;
};

static struct client clients[MAX_PROCESSES];

static void report(const char *what, int processes, size_t bytes, u64 n)
{
	printf("  %-34s %5d processes %9zu bytes %12lu\n", what, processes,
	       bytes, n);
	fflush(stdout);
	if (csv)
		fprintf(csv, "%s,%d,%zu,%lu\n", what, processes, bytes, n);
}

static u64 timed_mprotect(char *p, int prot)
{
	u64 t = ticks();

	if (mprotect(p, size, prot))
		die("mprotect: %s", strerror(errno));
	return ticks() - t - clock_cost;
}

/* Each change once before it counts: the first has to split the mapping. */
static void client_main(const struct area *a, int ask, int answer)
{
	char *p = area_attach(a, RW);
	u64 cost;
	char go;

	for (size_t i = 0; i < size; i += PAGE)
		read_byte(p + i);
	cost = 0;
	if (write(answer, &cost, sizeof(cost)) != sizeof(cost))
		_exit(1);
	while (read(ask, &go, 1) == 1) {
		cost = timed_mprotect(p, PROT_READ);
		cost += timed_mprotect(p, RW);
		if (write(answer, &cost, sizeof(cost)) != sizeof(cost))
			_exit(1);
	}
	_exit(0);
}

static u64 answer_of(const struct client *c)
{
	u64 cost;

	if (read(c->answer, &cost, sizeof(cost)) != sizeof(cost))
		die("a client is gone");
	return cost;
}

static void start_clients(const struct area *a, int n)
{
	int ask[2], answer[2];

	fflush(NULL);
	for (int i = 0; i < n; i++) {
		if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
			die("pipe: %s", strerror(errno));
		clients[i].pid = fork();
		if (clients[i].pid < 0)
			die("fork: %s", strerror(errno));
		if (!clients[i].pid) {
			/* Those that came before end with their pipe. */
			if (ask[0] > 3)
				close_range(3, ask[0] - 1, 0);
			close(ask[1]);
			close(answer[0]);
			client_main(a, ask[0], answer[1]);
		}
		close(ask[0]);
		close(answer[1]);
		clients[i].ask = ask[1];
		clients[i].answer = answer[0];
		answer_of(&clients[i]);
	}
}

static void stop_clients(int n)
{
	for (int i = 0; i < n; i++) {
		close(clients[i].ask);
		close(clients[i].answer);
	}
	for (int i = 0; i < n; i++)
		waitpid(clients[i].pid, NULL, 0);
}

/* All of them, one after the other; the second round is the one that counts. */
static u64 clients_protect(int n)
{
	u64 sum = 0;

	for (int round = 0; round < 2; round++) {
		sum = 0;
		for (int i = 0; i < n; i++) {
			if (write(clients[i].ask, "", 1) != 1)
				die("a client is gone");
			sum += answer_of(&clients[i]);
		}
	}
	return sum;
}

static void plain(int n)
{
	struct area a;
	char *p;

	area_name(&a, PLAIN, size, dir);
	p = area_create(&a);
	memset(p, 1, size);
	start_clients(&a, n);
	report("each calls mprotect", n, size, clients_protect(n));
	stop_clients(n);
	area_detach(&a, p);
	area_remove(&a);
}

static u64 timed_protect(int fd, size_t bytes, int prot)
{
	struct mshare_protect arg = { .size = bytes, .prot = prot };
	u64 t = ticks();

	if (ioctl(fd, MSHAREFS_PROTECT, &arg))
		die("MSHAREFS_PROTECT: %s", strerror(errno));
	return ticks() - t - clock_cost;
}

/* Read-only and back, as the clients do it. */
static u64 region_protect(int fd, size_t bytes)
{
	u64 cost[ROUNDS];

	timed_protect(fd, bytes, PROT_READ);
	timed_protect(fd, bytes, RW);
	for (int i = 0; i < ROUNDS; i++) {
		cost[i] = timed_protect(fd, bytes, PROT_READ);
		cost[i] += timed_protect(fd, bytes, RW);
	}
	return median_u64(cost, ROUNDS);
}

static void region(int n)
{
	struct area a;
	char *p;
	int fd;

	area_name(&a, MSHARE, size, dir);
	p = area_create(&a);
	memset(p, 1, size);
	/* Those who attached are counted, not the one that changes. */
	area_detach(&a, p);
	start_clients(&a, n);
	fd = open(a.path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", a.path, strerror(errno));
	report("MSHAREFS_PROTECT", n, size, region_protect(fd, size));
	report("MSHAREFS_PROTECT", n, 2 * MIB, region_protect(fd, 2 * MIB));
	report("MSHAREFS_PROTECT", n, PAGE, region_protect(fd, PAGE));
	close(fd);
	stop_clients(n);
	area_remove(&a);
}

/* Attached, and doing nothing at all. */
static void idle(int n)
{
	struct area a;
	pid_t group;
	char *p;
	int fd;

	area_name(&a, MSHARE, size, dir);
	p = area_create(&a);
	memset(p, 1, PAGE);
	group = start_idle(n);
	area_detach(&a, p);
	fd = open(a.path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", a.path, strerror(errno));
	report("MSHAREFS_PROTECT once", n, PAGE, region_protect(fd, PAGE));
	close(fd);
	stop_idle(group, n);
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
	const struct rlimit files = { 3 * MAX_PROCESSES, 3 * MAX_PROCESSES };
	int opt, n = 1000, idlers = 10000;

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
			die("usage: protect [--csv FILE] [--size SIZE] [--processes N] [--idle N]");
		}
	}
	if (n < 1 || n > MAX_PROCESSES)
		die("--processes: 1 to %d", MAX_PROCESSES);
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit: %s", strerror(errno));
	clock_cost = check_clock();
	if (csv)
		fputs("what,processes,bytes,instructions\n", csv);
	/* A thousand processes fault all pages in: 512 at a time. */
	try_write_file("/sys/kernel/debug/fault_around_bytes", "2097152");
	region(1);
	region(n);
	plain(1);
	plain(n);
	idle(1);
	idle(idlers);
	csv_close(csv);
	return 0;
}
