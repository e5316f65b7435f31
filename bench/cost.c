// SPDX-License-Identifier: GPL-2.0
/*
 * cost: what operations cost in instructions of the machine, user and kernel
 * together, with interrupts and all. Meant for a guest in which the time stamp
 * counter counts instructions (qemu -icount shift=0); anything else is refused.
 *
 *	cost [--csv FILE] [--label NAME] GROUP...
 *
 * Groups: window (a window against ordinary shared memory) and unrelated
 * (what programs pay that have nothing to do with mshare). One CPU is enough;
 * medians take out the timer interrupts.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "icount.h"

#define MAX_SAMPLES	65536

static u64 samples[MAX_SAMPLES];
static size_t nr_samples;
static u64 clock_cost;	/* of reading the clock, in every sample */
static const char *label = "";
static const char *dir = MSHARE_DIR;
static FILE *csv;

/* --- samples --- */

/* Touches what samples go to: a fork before has made it copy-on-write. */
static void begin(void)
{
	memset(samples, 0, sizeof(samples));
	nr_samples = 0;
}

static void add(u64 t)
{
	if (nr_samples < MAX_SAMPLES)
		samples[nr_samples++] = t - clock_cost;
}

/* One row: the median, and the mean as what the machine really spent. */
static void end(const char *what, const char *subject, double divide)
{
	u64 sum = 0, median;

	for (size_t i = 0; i < nr_samples; i++)
		sum += samples[i];
	median = median_u64(samples, nr_samples);
	printf("  %-28s %-26s %12.1f  (mean %.1f, %zu runs)\n", what, subject,
	       median / divide, sum / divide / nr_samples, nr_samples);
	fflush(stdout);
	if (csv)
		fprintf(csv, "%s,%s,%s,%.1f,%.1f,%.1f,%zu\n", label, what, subject,
			median / divide, sum / divide / nr_samples,
			samples[0] / divide, nr_samples);
}

static void count(const char *what, const char *subject, long n)
{
	printf("  %-28s %-26s %12ld\n", what, subject, n);
	if (csv)
		fprintf(csv, "%s,%s,%s,%ld,%ld,%ld,1\n", label, what, subject, n, n, n);
}

static pid_t fork_or_die(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		die("a measuring process failed, wait status %#x", status);
}

static void write_pages(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		write_byte(p + i);
}

static void read_pages(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		read_byte(p + i);
}

static void time_writes(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE) {
		u64 t = ticks();

		write_byte(p + i);
		add(ticks() - t);
	}
}

/* More pages than there is room for samples to spare: one of eight. */
static void time_reads(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE) {
		u64 t = ticks();

		read_byte(p + i);
		t = ticks() - t;
		if (i / PAGE % 8 == 0)
			add(t);
	}
}

/* --- group window --- */

/*
 * An area with its first resident bytes in memory, put there by a process that
 * is gone. span is the size of what is mapped.
 */
static size_t wanted_resident;
static struct area *wanted;

static void populate(void)
{
	char *p = area_create(wanted);

	write_pages(p, wanted_resident);
}

static void make_area(struct area *a, enum mode mode, size_t span, size_t resident)
{
	pid_t pid;

	area_name(a, mode, span, dir);
	wanted = a;
	wanted_resident = resident;
	fflush(NULL);
	pid = fork_or_die();
	if (!pid) {
		populate();
		_exit(0);
	}
	wait_for(pid);
}

/*
 * How much of a first-touch fault is the clearing of the page: the same string
 * instruction as the kernel's clear_page() takes, in user space.
 */
static void page_clearing(void)
{
	static char page[PAGE] __aligned(PAGE);

	memset(page, 1, PAGE);
	begin();
	for (int i = 0; i < 501; i++) {
		char *p = page;
		size_t n = PAGE;
		u64 t = ticks();

		asm volatile("rep stosb" : "+D" (p), "+c" (n) : "a" (0) : "memory");
		add(ticks() - t);
	}
	end("clearing a page", "-", 1);
}

/* Of memory that nobody has touched, by a process that may write. */
static void first_touch(enum mode mode, const char *what, size_t bytes,
			void (*touch)(char *p, size_t bytes))
{
	struct area a;
	char *p;

	make_area(&a, mode, GIB, 0);
	p = area_attach(&a, PROT_READ | PROT_WRITE);
	begin();
	touch(p, bytes);
	end(what, mode_name(mode), 1);
	area_detach(&a, p);
	area_remove(&a);
}

/* A second process reaches memory that is there already. */
static void resident_touch(enum mode mode)
{
	struct area a;
	size_t bytes = 32 * MIB;
	long faults;
	char *p;

	make_area(&a, mode, GIB, bytes);
	p = area_attach(&a, PROT_READ | PROT_WRITE);
	begin();
	faults = minor_faults();
	time_writes(p, bytes);
	faults = minor_faults() - faults;
	end("write to a resident page", mode_name(mode), 1);
	count("faults of a second process", mode_name(mode), faults);
	area_detach(&a, p);
	area_remove(&a);
}

static void name_subject(char *subject, size_t n, enum mode mode, size_t span, size_t resident)
{
	bool pages = resident % MIB;

	snprintf(subject, n, "%s %zuG/%zu%c resident", mode_name(mode), span / GIB,
		 resident / (pages ? KIB : MIB), pages ? 'K' : 'M');
}

/* touch: what a client does that comes, reads all and goes. */
static void map_unmap(enum mode mode, size_t span, size_t resident, bool touch)
{
	char subject[64];
	struct area a;
	int fd;

	make_area(&a, mode, span, resident);
	fd = open(a.path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: open: %s", a.path, strerror(errno));
	begin();
	for (int i = 0; i < (touch ? 11 : 301); i++) {
		u64 t = ticks();
		char *p = mmap(NULL, a.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p == MAP_FAILED)
			die("%s: mmap: %s", a.path, strerror(errno));
		if (touch)
			read_pages(p, resident);
		if (munmap(p, a.len))
			die("%s: munmap: %s", a.path, strerror(errno));
		add(ticks() - t);
	}
	name_subject(subject, sizeof(subject), mode, span, resident);
	end(touch ? "mmap+read all+munmap" : "mmap+munmap", subject, 1);
	close(fd);
	area_remove(&a);
}

/* What a forked child leaves behind. */
static long *child_faults;

static void fork_exit(enum mode mode, size_t span, size_t resident, bool touch)
{
	char subject[64] = "nothing attached";
	struct area a;
	char *p = NULL;

	if (span) {
		make_area(&a, mode, span, resident);
		p = area_attach(&a, PROT_READ | PROT_WRITE);
		read_pages(p, resident);
		name_subject(subject, sizeof(subject), mode, span, resident);
	}
	fflush(NULL);
	begin();
	for (int i = 0; i < (touch ? 11 : 301); i++) {
		u64 t = ticks();
		pid_t pid = fork_or_die();

		if (!pid) {
			if (touch) {
				/* The code and stack take faults of their own. */
				long faults = minor_faults();

				read_pages((char *)samples, PAGE);
				faults = minor_faults();
				read_pages(p, resident);
				*child_faults = minor_faults() - faults;
			}
			_exit(0);
		}
		wait_for(pid);
		add(ticks() - t);
	}
	if (touch)
		count("faults of a forked child", subject, *child_faults);
	end(touch ? "fork+read all+exit+wait" : "fork+exit+wait", subject, 1);
	if (span) {
		area_detach(&a, p);
		area_remove(&a);
	}
}

/* Two processes that wake each other; @subject: what else they have. */
static void pipe_rounds(const char *subject)
{
	int to[2], from[2];
	char byte = 0;
	pid_t pid;

	if (pipe(to) || pipe(from))
		die("pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork_or_die();
	if (!pid) {
		close(to[1]);
		while (read(to[0], &byte, 1) == 1)
			if (write(from[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(to[0]);
	begin();
	for (int i = 0; i < 4001; i++) {
		u64 t = ticks();

		if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
			die("pipe: %s", strerror(errno));
		add(ticks() - t);
	}
	end("context switch (pipe)", subject, 2);
	close(to[1]);
	wait_for(pid);
	close(from[0]);
	close(from[1]);
}

/* Both of them have the area, and have used it. */
static void switches(enum mode mode)
{
	struct area a;
	char *p;

	make_area(&a, mode, GIB, PAGE);
	p = area_attach(&a, PROT_READ | PROT_WRITE);
	read_byte(p);
	pipe_rounds(mode_name(mode));
	area_detach(&a, p);
	area_remove(&a);
}

static void group_window(void)
{
	/* Nothing, one page and so one link, and a lot behind that link. */
	static const size_t residents[] = { 0, PAGE, 128 * MIB };

	if (!have_msharefs(dir))
		die("%s: no msharefs is mounted here", dir);
	child_faults = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child_faults == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	page_clearing();
	for (int mode = PLAIN; mode <= MSHARE; mode++) {
		first_touch(mode, "first-touch write fault", 32 * MIB, time_writes);
		first_touch(mode, "first-touch read fault", 256 * MIB, time_reads);
		resident_touch(mode);
		for (size_t span = GIB; span <= 8 * GIB; span *= 8)
			for (int i = 0; i < 3; i++)
				map_unmap(mode, span, residents[i], false);
		map_unmap(mode, GIB, 128 * MIB, true);
	}
	for (int mode = PLAIN; mode <= MSHARE; mode++)
		switches(mode);
	fork_exit(PLAIN, 0, 0, false);
	for (int mode = PLAIN; mode <= MSHARE; mode++) {
		for (size_t span = GIB; span <= 8 * GIB; span *= 8)
			for (int i = 0; i < 3; i++)
				fork_exit(mode, span, residents[i], false);
		fork_exit(mode, GIB, 128 * MIB, true);
	}
}

/* --- group unrelated --- */

static void unrelated_fault(const char *what, int flags)
{
	size_t bytes = 32 * MIB;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	/* One page per fault, whatever the kernel thinks of huge pages. */
	madvise(p, bytes, MADV_NOHUGEPAGE);
	begin();
	time_writes(p, bytes);
	end(what, "-", 1);
	munmap(p, bytes);
}

static void file_map(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/self/exe: %s", strerror(errno));
	begin();
	for (int i = 0; i < 2001; i++) {
		u64 t = ticks();
		char *p = mmap(NULL, 64 * KIB, PROT_READ, MAP_PRIVATE, fd, 0);

		if (p == MAP_FAILED)
			die("mmap: %s", strerror(errno));
		read_byte(p);
		munmap(p, 64 * KIB);
		add(ticks() - t);
	}
	end("file mmap+read+munmap", "-", 1);
	close(fd);
}

static void unrelated_fork(void)
{
	fflush(NULL);
	begin();
	for (int i = 0; i < 1001; i++) {
		u64 t = ticks();
		pid_t pid = fork_or_die();

		if (!pid)
			_exit(0);
		wait_for(pid);
		add(ticks() - t);
	}
	end("fork+exit+wait", "-", 1);
}

static void group_unrelated(void)
{
	unrelated_fault("anonymous fault", MAP_PRIVATE);
	unrelated_fault("shared memory fault", MAP_SHARED);
	file_map();
	unrelated_fork();
	pipe_rounds("-");
}

static void usage(void)
{
	die("usage: cost [--csv FILE] [--label NAME] [--dir MSHAREFS] window|unrelated...");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", 1, NULL, 'c' }, { "label", 1, NULL, 'l' },
		{ "dir", 1, NULL, 'd' }, { }
	};
	cpu_set_t one;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			csv = csv_open(optarg);
			break;
		case 'l':
			label = optarg;
			break;
		case 'd':
			dir = optarg;
			break;
		default:
			usage();
		}
	}
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity: %s", strerror(errno));
	clock_cost = check_clock();
	if (csv)
		fputs("label,what,subject,median,mean,min,runs\n", csv);
	for (; optind < argc; optind++) {
		if (!strcmp(argv[optind], "window"))
			group_window();
		else if (!strcmp(argv[optind], "unrelated"))
			group_unrelated();
		else
			usage();
	}
	csv_close(csv);
	return 0;
}
