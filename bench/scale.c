// SPDX-License-Identifier: GPL-2.0
/*
 * scale: how first-touch faults in one area scale with the number of CPUs that
 * take them, for a region and for ordinary shared memory.
 *
 *	scale [--csv FILE] [--runs N] [--mib N] [--dir MSHAREFS]
 *
 * Every worker touches its own fresh part of the area, always the same amount.
 * Shown is throughput relative to one worker in the same mode. Runs of both
 * modes alternate, so that what else the machine does hits both.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define MAX_WORKERS	4
#define MAX_RUNS	101

enum kind { PROCESSES, THREADS };

static struct shared {
	atomic_int ready;
	atomic_int go;
	u64 end_ns[MAX_WORKERS];
} *sh;

static struct area area;
static size_t part;
static char *attached;		/* the window that threads share */

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity: %s", strerror(errno));
}

static void *work(void *arg)
{
	size_t number = (size_t)arg;
	char *p = attached;

	pin(number);
	if (!p)
		p = area_attach(&area, PROT_READ | PROT_WRITE);
	p += number * part;
	atomic_fetch_add(&sh->ready, 1);
	while (!atomic_load(&sh->go))
		sched_yield();
	for (size_t i = 0; i < part; i += PAGE)
		write_byte(p + i);
	sh->end_ns[number] = now_ns();
	return NULL;
}

static void create_in_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		area_create(&area);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the area could not be created");
}

/* From the common start to the end of the last worker. */
static u64 run(enum kind kind, enum mode mode, int workers, const char *dir)
{
	pthread_t thread[MAX_WORKERS];
	pid_t pid[MAX_WORKERS];
	u64 start, last = 0;
	int status;

	memset(sh, 0, sizeof(*sh));
	area_name(&area, mode, part * MAX_WORKERS, dir);
	create_in_child();
	attached = NULL;
	if (kind == THREADS)
		attached = area_attach(&area, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < (size_t)workers; i++) {
		if (kind == THREADS) {
			if (pthread_create(&thread[i], NULL, work, (void *)i))
				die("pthread_create failed");
			continue;
		}
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork: %s", strerror(errno));
		if (!pid[i]) {
			work((void *)i);
			_exit(0);
		}
	}
	while (atomic_load(&sh->ready) < workers)
		usleep(1000);
	start = now_ns();
	atomic_store(&sh->go, 1);
	for (int i = 0; i < workers; i++) {
		if (kind == THREADS)
			pthread_join(thread[i], NULL);
		else if (waitpid(pid[i], &status, 0) != pid[i] || status)
			die("a worker failed");
		if (sh->end_ns[i] > last)
			last = sh->end_ns[i];
	}
	if (attached)
		area_detach(&area, attached);
	area_remove(&area);
	return last - start;
}

static void measure(enum kind kind, int runs, const char *dir, FILE *csv)
{
	static const int workers[] = { 1, 2, 4 };
	static u64 t[2][3][MAX_RUNS];
	double speedup[2];

	for (int r = 0; r < runs; r++)
		for (int w = 0; w < 3; w++)
			for (int mode = PLAIN; mode <= MSHARE; mode++)
				t[mode][w][r] = run(kind, mode, workers[w], dir);
	for (int w = 0; w < 3; w++) {
		for (int mode = PLAIN; mode <= MSHARE; mode++) {
			u64 one = median_u64(t[mode][0], runs);

			speedup[mode] = (double)workers[w] * one /
					median_u64(t[mode][w], runs);
		}
		printf("  %d %-10s plain %.2f  mshare %.2f  mshare/plain %.2f\n",
		       workers[w], kind == THREADS ? "threads" : "processes",
		       speedup[PLAIN], speedup[MSHARE],
		       speedup[MSHARE] / speedup[PLAIN]);
		if (csv)
			fprintf(csv, "%s,%d,%.3f,%.3f,%.3f\n",
				kind == THREADS ? "threads" : "processes",
				workers[w], speedup[PLAIN], speedup[MSHARE],
				speedup[MSHARE] / speedup[PLAIN]);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", 1, NULL, 'c' }, { "runs", 1, NULL, 'r' },
		{ "mib", 1, NULL, 'm' }, { "dir", 1, NULL, 'd' }, { }
	};
	const char *dir = MSHARE_DIR;
	FILE *csv = NULL;
	int runs = 9, opt;

	part = 32 * MIB;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			csv = csv_open(optarg);
			break;
		case 'r':
			runs = atoi(optarg);
			break;
		case 'm':
			part = atoi(optarg) * MIB;
			break;
		case 'd':
			dir = optarg;
			break;
		default:
			die("usage: scale [--csv FILE] [--runs N] [--mib N] [--dir MSHAREFS]");
		}
	}
	if (runs < 1 || runs > MAX_RUNS || !part)
		die("--runs is 1 to %d, --mib at least 1", MAX_RUNS);
	if (sysconf(_SC_NPROCESSORS_ONLN) < MAX_WORKERS)
		die("%d CPUs are needed", MAX_WORKERS);
	if (!have_msharefs(dir))
		die("%s: no msharefs is mounted here", dir);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (csv)
		fputs("workers_are,workers,plain_speedup,mshare_speedup,ratio\n", csv);
	measure(PROCESSES, runs, dir, csv);
	measure(THREADS, runs, dir, csv);
	csv_close(csv);
	return 0;
}
