// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel holds, exactly, to be compared before and after a test.
 *
 *	leaks warm		lets the kernel grow as it does under load
 *	leaks save FILE		writes the counts to FILE
 *	leaks check FILE	waits until they are no more than those in FILE,
 *				names what stays and fails otherwise
 *
 * A program, not a script, because to look must change nothing: a CPU that has
 * nothing to do keeps the mm_struct of the process that ran last, so this one
 * runs on each of them before it counts, and no other is started meanwhile.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

struct count {
	const char *name;
	const char *file;	/* NULL: a slab cache */
	const char *field;
	long value;		/* -1: this kernel does not tell */
};

#define FIELD(name, file, field)	{ name, file, field, -1 }
#define SLAB(name)			{ name, NULL, NULL, -1 }

static struct count counts[] = {
	FIELD("shared memory (kB)", "/proc/meminfo", "Shmem:"),
	/* those that are no process's */
	FIELD("page tables (kB)", "/proc/meminfo", "PageTables:"),
	FIELD("dying cgroups", "/sys/fs/cgroup/cgroup.stat",
	      "nr_dying_descendants"),
	FIELD("cgroups", "/sys/fs/cgroup/cgroup.stat", "nr_descendants"),
	SLAB("mm_struct"), SLAB("vm_area_struct"), SLAB("filp"),
	SLAB("files_cache"), SLAB("shmem_inode_cache"), SLAB("mnt_cache"),
};

#define STOCK "/sys/fs/cgroup/mshare-stock"

#define NR_COUNTS (sizeof(counts) / sizeof(counts[0]))

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

static char text[1 << 17];

/* Reads the whole file from its start. */
static void slurp(int fd)
{
	size_t len = 0;
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = 0;
}

/* The number after @field at the start of a line of the text; -1: none. */
static long number(const char *field)
{
	size_t flen = strlen(field);
	char *p;

	for (p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (!strncmp(p, field, flen) && strchr(" \t", p[flen]))
			return strtol(p + flen, NULL, 10);
	}
	return -1;
}

static long get(const char *path, const char *field)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -1;
	slurp(fd);
	close(fd);
	return number(field);
}

/* Page tables of all processes. */
static long own_tables(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	char path[300];
	long sum = 0, n;

	while (dir && (de = readdir(dir))) {
		if (de->d_name[0] < '0' || de->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", de->d_name);
		n = get(path, "VmPTE:");
		sum += n > 0 ? n : 0;
	}
	closedir(dir);
	return sum;
}

static void visit_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	for (long cpu = 0; cpu < n; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
}

static int slabinfo = -1, shrink[NR_COUNTS];

/*
 * A slab that a CPU works on counts as if it were full. They are given back
 * before counting, with all files open already: to open one takes objects.
 */
static void open_slabs(void)
{
	char path[128];

	slabinfo = open("/proc/slabinfo", O_RDONLY);
	for (size_t i = 0; i < NR_COUNTS; i++) {
		shrink[i] = -1;
		if (counts[i].file)
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 counts[i].name);
		shrink[i] = open(path, O_WRONLY);
	}
}

static void measure(void)
{
	long own = own_tables();

	/* 4: no line in the log from now on; what was used lately stays once. */
	put("/proc/sys/vm/drop_caches", "4");
	for (int i = 0; i < 3; i++)
		put("/proc/sys/vm/drop_caches", "3");
	visit_cpus();
	put("/proc/sys/vm/stat_refresh", "1");
	for (size_t i = 0; i < NR_COUNTS; i++) {
		struct count *c = &counts[i];

		if (!c->file)
			continue;
		c->value = get(c->file, c->field);
		if (!strcmp(c->field, "PageTables:"))
			c->value -= own;
	}
	if (slabinfo < 0)
		return;
	for (size_t i = 0; i < NR_COUNTS; i++)
		(void)!pwrite(shrink[i], "1", 1, 0);
	slurp(slabinfo);
	for (size_t i = 0; i < NR_COUNTS; i++) {
		if (shrink[i] >= 0)
			counts[i].value = number(counts[i].name);
	}
}

/* KASAN holds freed objects back, and each holds its cgroup. */
static void shrink_all(void)
{
	glob_t g;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		put(g.gl_pathv[i], "1");
	globfree(&g);
}

static void fill_stock(void)
{
	put(STOCK "/cgroup.procs", "0");
	/* Not malloc(): what is written there and never read, gcc leaves out. */
	_exit(mmap(NULL, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED);
}

/*
 * The stock of charges of a CPU holds the cgroup that it was filled for last, a
 * removed one as well if it is empty: let it be another one's, which stays.
 */
static void replace_stocks(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	for (long cpu = 0; cpu < n; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
		if (!fork())
			fill_stock();
		wait(NULL);
	}
}

/*
 * Pages of other file systems in memory that an earlier test has sent to swap
 * come back sooner or later, and are no leak of the test in which they do.
 */
static void swap_in(void)
{
	int swaps = open("/proc/swaps", O_RDONLY);
	char path[128];

	slurp(swaps);
	close(swaps);
	if (sscanf(text, "%*[^\n]\n%127s", path) == 1 && !swapoff(path))
		swapon(path, 0);
}

static int save(const char *path)
{
	FILE *f;

	swap_in();
	/* Twice: what looking needs is there after the first time. */
	measure();
	usleep(300000);
	measure();
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return 2;
	}
	for (size_t i = 0; i < NR_COUNTS; i++)
		fprintf(f, "%ld\n", counts[i].value);
	return fclose(f) ? 2 : 0;
}

static int check(const char *path)
{
	long before[NR_COUNTS];
	bool more = true;
	FILE *f;

	f = fopen(path, "r");
	if (!f) {
		perror(path);
		return 2;
	}
	for (size_t i = 0; i < NR_COUNTS; i++) {
		if (fscanf(f, "%ld", &before[i]) != 1) {
			fprintf(stderr, "%s: not a file of this program\n",
				path);
			return 2;
		}
	}
	fclose(f);
	/* RCU, delayed work and the last of the processes take their time. */
	for (int try = 0; try < 60 && more; try++) {
		if (try)
			usleep(200000);
		if (try % 20 == 5)
			replace_stocks();
		if (try % 20 == 10)
			shrink_all();
		measure();
		more = false;
		for (size_t i = 0; i < NR_COUNTS; i++)
			more |= counts[i].value > before[i];
	}
	for (size_t i = 0; i < NR_COUNTS; i++) {
		if (counts[i].value > before[i])
			printf("# leaked: %s: %ld before, %ld after\n",
			       counts[i].name, before[i], counts[i].value);
	}
	return more;
}

/* Devices are still being found, and get a node each, when the first test starts. */
static void wait_until_quiet(void)
{
	long before[NR_COUNTS] = { 0 };
	int quiet = 0;

	open_slabs();
	for (int try = 0; try < 40 && quiet < 4; try++) {
		usleep(250000);
		measure();
		quiet++;
		for (size_t i = 0; i < NR_COUNTS; i++) {
			if (counts[i].value > before[i])
				quiet = 0;
			before[i] = counts[i].value;
		}
	}
}

/*
 * Many processes at once: the memory for per-CPU counters grows by an area of
 * its own, with page tables of the kernel that nobody gives back.
 */
static int warm(void)
{
	int hold[2];
	char byte;

	if (pipe(hold))
		return 2;
	for (int i = 0; i < 400; i++) {
		switch (fork()) {
		case 0:
			close(hold[1]);
			(void)!read(hold[0], &byte, 1);
			_exit(0);
		case -1:
			perror("fork");
			return 2;
		}
	}
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	/* Counted from the start, see replace_stocks(). */
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(STOCK, 0755);
	wait_until_quiet();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "warm"))
		return warm();
	open_slabs();
	if (argc == 3 && !strcmp(argv[1], "save"))
		return save(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2]);
	fprintf(stderr, "usage: leaks warm | save FILE | check FILE\n");
	return 2;
}
