// SPDX-License-Identifier: GPL-2.0
/*
 * writeback: what it costs to write out a file that many processes have mapped
 * and written, in instructions of the machine: with an entry in the page tables
 * of each of them, and in a region, which has one. Meant for a guest in which
 * the time stamp counter counts instructions (qemu -icount shift=0), with a disk
 * whose name is in MSHARE_DISK.
 *
 *	writeback [--csv FILE] [--size SIZE] [--processes N]
 *
 * Counted is the CPU time of the process that calls fsync(2), which makes each
 * page clean before it is written. What it waits for the disk is not in it.
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
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/msharefs.h>

#include "bench.h"
#include "icount.h"

#define RW		(PROT_READ | PROT_WRITE)
#define MNT		"/mnt"
#define DATA		MNT "/data"
#define MAX_PROCESSES	1000

static size_t size = 64 * MIB;
static size_t unit;
static FILE *csv;
static struct {
	pid_t pid;
	int ask;
} writers[MAX_PROCESSES];

static u64 cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

static void make_disk(void)
{
	const char *disk = getenv("MSHARE_DISK");
	char command[128];

	if (!disk)
		die("no disk: MSHARE_DISK is not set");
	snprintf(command, sizeof(command), "mkfs.ext4 -q -F %s", disk);
	if (system(command) || mount(disk, MNT, "ext4", 0, ""))
		die("%s: no file system can be made there", disk);
}

/* The file, with all its blocks on the disk. */
static int make_file(void)
{
	int fd = open(DATA, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char page[PAGE] = "data";

	if (fd < 0)
		die("%s: %s", DATA, strerror(errno));
	for (size_t i = 0; i < size; i += PAGE)
		if (write(fd, page, PAGE) != (ssize_t)PAGE)
			die("%s: %s", DATA, strerror(errno));
	if (fsync(fd))
		die("fsync: %s", strerror(errno));
	return fd;
}

/* A region with the file in it; what processes map is the region then. */
static int make_region(int file)
{
	struct mshare_create arg = {
		.size = size, .prot = RW, .flags = MAP_SHARED | MAP_FIXED_NOREPLACE,
		.fd = file,
	};
	int fd = open(MSHARE_DIR "/bench", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, unit) ||
	    ioctl(fd, MSHAREFS_CREATE_MAPPING, &arg))
		die("region: %s", strerror(errno));
	return fd;
}

/* Writes all pages each time it is told, says so, and waits. */
static void writer_main(int fd, size_t len, int ask, int answer)
{
	char *p = mmap(NULL, len, RW, MAP_SHARED, fd, 0), byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	while (read(ask, &byte, 1) == 1) {
		for (size_t i = 0; i < size; i += PAGE)
			write_byte(p + i);
		if (write(answer, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static u64 timed_fsync(int file)
{
	u64 t = cpu_time();

	if (fsync(file))
		die("fsync: %s", strerror(errno));
	return cpu_time() - t;
}

/* One after the other. */
static u64 write_and_sync(int file, int n, int answer)
{
	char byte = 0;

	for (int i = 0; i < n; i++) {
		if (write(writers[i].ask, &byte, 1) != 1 ||
		    read(answer, &byte, 1) != 1)
			die("a writer is gone");
	}
	return timed_fsync(file);
}

static void start_writers(int n, int fd, size_t len, int answer)
{
	int ask[2];

	fflush(NULL);
	for (int i = 0; i < n; i++) {
		if (pipe2(ask, O_CLOEXEC))
			die("pipe: %s", strerror(errno));
		writers[i].pid = fork();
		if (writers[i].pid < 0)
			die("fork: %s", strerror(errno));
		if (!writers[i].pid)
			writer_main(fd, len, ask[0], answer);
		close(ask[0]);
		writers[i].ask = ask[1];
	}
}

static void stop_writers(int n)
{
	for (int i = 0; i < n; i++) {
		close(writers[i].ask);
		kill(writers[i].pid, SIGKILL);
		waitpid(writers[i].pid, NULL, 0);
	}
}

static void measure(enum mode mode, int n)
{
	int file = make_file(), fd = mode == MSHARE ? make_region(file) : file;
	size_t len = mode == MSHARE ? unit : size;
	int answer[2];
	double cost;

	if (pipe2(answer, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	start_writers(n, fd, len, answer[1]);
	/* What comes after the first time is what comes every time. */
	write_and_sync(file, n, answer[0]);
	cost = (double)write_and_sync(file, n, answer[0]) / (size / PAGE);
	printf("  %-8s %5d processes %12.0f per page\n", mode_name(mode), n, cost);
	fflush(stdout);
	if (csv)
		fprintf(csv, "%s,%d,%.1f\n", mode_name(mode), n, cost);
	stop_writers(n);
	close(answer[0]);
	close(answer[1]);
	if (mode == MSHARE) {
		close(fd);
		unlink(MSHARE_DIR "/bench");
	}
	close(file);
	unlink(DATA);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "processes", required_argument, NULL, 'p' },
		{}
	};
	int opt, n = 100;

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
		default:
			die("usage: writeback [--csv FILE] [--size SIZE] [--processes N]");
		}
	}
	if (n < 1 || n > MAX_PROCESSES)
		die("--processes: 1 to %d", MAX_PROCESSES);
	check_clock();
	if (!have_msharefs(MSHARE_DIR))
		die("%s: no msharefs is mounted here", MSHARE_DIR);
	unit = mshare_unit(MSHARE_DIR);
	if (size > unit)
		die("--size: at most %zu", unit);
	make_disk();
	if (csv)
		fputs("mode,processes,instructions per page\n", csv);
	try_write_file("/sys/kernel/debug/fault_around_bytes", "2097152");
	for (int mode = PLAIN; mode <= MSHARE; mode++)
		for (int i = 0; i < 2; i++)
			measure(mode, i ? n : 1);
	csv_close(csv);
	umount2(MNT, 0);
	return 0;
}
