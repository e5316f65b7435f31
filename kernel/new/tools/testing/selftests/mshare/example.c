// SPDX-License-Identifier: GPL-2.0
/*
 * A cache that several processes share, page tables included, and that one of
 * them makes read-only for all: example for Documentation/filesystems/msharefs.rst.
 *
 *	example REGION		for instance /sys/fs/mshare/cache
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/msharefs.h>

#define UNIT	(1UL << 30)	/* better read from mshare_info */
#define CACHE	(64UL << 20)
#define TABLE	(1UL << 20)	/* a second object, behind the first */

/* Any process that may open the file can do this. */
static char *attach(const char *region, int flags, int prot)
{
	int fd = open(region, flags | O_CLOEXEC);
	char *window;

	if (fd < 0)
		err(1, "%s", region);
	window = mmap(NULL, UNIT, prot, MAP_SHARED, fd, 0);
	if (window == MAP_FAILED)
		err(1, "%s: mmap", region);
	/* The window keeps the region. */
	close(fd);
	return window;
}

static int create(const char *region)
{
	struct mshare_create cache = {
		.size = CACHE,
		.prot = PROT_READ | PROT_WRITE,
		.flags = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS,
	};
	struct mshare_create table = {
		.region_offset = CACHE,
		.size = TABLE,
		.prot = PROT_READ,
		.flags = MAP_SHARED | MAP_FIXED_NOREPLACE,
	};
	int fd = open(region, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int object = memfd_create("table", MFD_CLOEXEC);

	if (fd < 0 || object < 0)
		err(1, "%s", region);
	/* Sizes are multiples of the unit; what is not used costs nothing. */
	if (ftruncate(fd, UNIT))
		err(1, "%s: ftruncate", region);
	if (ioctl(fd, MSHAREFS_CREATE_MAPPING, &cache))
		err(1, "%s: cache", region);

	/* Any file will do that can be mapped shared: here, a memfd. */
	if (ftruncate(object, TABLE) || pwrite(object, "a table", 8, 0) != 8)
		err(1, "memfd");
	table.fd = object;
	if (ioctl(fd, MSHAREFS_CREATE_MAPPING, &table))
		err(1, "%s: table", region);
	close(object);
	return fd;
}

static void protect(int fd, int prot)
{
	struct mshare_protect arg = { .size = CACHE, .prot = prot };

	if (ioctl(fd, MSHAREFS_PROTECT, &arg))
		err(1, "MSHAREFS_PROTECT");
}

/* Returns whether the store was possible. */
static int try_store(const char *region, const char *text)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		snprintf(attach(region, O_RDWR, PROT_READ | PROT_WRITE), CACHE,
			 "%s", text);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void list(int fd)
{
	struct mshare_mapping m = { 0 };

	while (!ioctl(fd, MSHAREFS_NEXT_MAPPING, &m)) {
		printf("at %llu KiB: %llu KiB, %s, kind %u\n",
		       (unsigned long long)m.offset >> 10,
		       (unsigned long long)m.size >> 10,
		       m.prot & PROT_WRITE ? "writable" : "read-only", m.kind);
		m.offset += m.size;
	}
}

int main(int argc, char **argv)
{
	struct mshare_stat stat;
	const char *region;
	char *window;
	int fd;

	if (argc != 2)
		errx(1, "usage: example REGION");
	region = argv[1];
	fd = create(region);
	list(fd);

	/* A reader: its window cannot be written, whatever the mapping says. */
	window = attach(region, O_RDONLY, PROT_READ);
	printf("table: %s\n", window + CACHE);

	printf("store: %s\n", try_store(region, "hello") ? "done" : "killed");
	printf("cache: %s\n", window);

	protect(fd, PROT_READ);
	printf("store to read-only memory: %s\n",
	       try_store(region, "what") ? "done" : "killed");
	protect(fd, PROT_READ | PROT_WRITE);
	printf("store to writable memory: %s\n",
	       try_store(region, "world") ? "done" : "killed");
	printf("cache: %s\n", window);

	if (ioctl(fd, MSHAREFS_STAT, &stat))
		err(1, "MSHAREFS_STAT");
	printf("resident: %llu KiB, page tables: %llu KiB, processes: %llu\n",
	       (unsigned long long)stat.resident >> 10,
	       (unsigned long long)stat.page_tables >> 10,
	       (unsigned long long)stat.processes);
	/* It is freed when the last window and file are gone, too. */
	unlink(region);
	return 0;
}
