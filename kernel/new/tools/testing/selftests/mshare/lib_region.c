// SPDX-License-Identifier: GPL-2.0
/* Functions for what is mapped into a region, see lib_region.h. */
#include "lib_region.h"

int region_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret == -1 ? -errno : ret;
}

int region_map(int fd, uint64_t at, uint64_t size, int prot, int flags,
	       int object, uint64_t object_offset)
{
	struct mshare_create arg = {
		.region_offset = at,
		.size = size,
		.offset = object_offset,
		.prot = prot,
		.flags = flags,
		.fd = object,
	};

	return region_ioctl(fd, MSHAREFS_CREATE_MAPPING, &arg);
}

/* Anonymous memory, readable and writable. */
int region_anon(int fd, uint64_t at, uint64_t size)
{
	return region_map(fd, at, size, RW, ANON, -1, 0);
}

int region_unmap(int fd, uint64_t at, uint64_t size)
{
	struct mshare_unmap arg = { .region_offset = at, .size = size };

	return region_ioctl(fd, MSHAREFS_UNMAP, &arg);
}

int region_protect(int fd, uint64_t at, uint64_t size, int prot)
{
	struct mshare_protect arg = {
		.region_offset = at,
		.size = size,
		.prot = prot,
	};

	return region_ioctl(fd, MSHAREFS_PROTECT, &arg);
}

int region_advise(int fd, uint64_t at, uint64_t size, int advice)
{
	struct mshare_advise arg = {
		.region_offset = at,
		.size = size,
		.advice = advice,
	};

	return region_ioctl(fd, MSHAREFS_ADVISE, &arg);
}

int region_lock(int fd, uint64_t at, uint64_t size, int op, int flags)
{
	struct mshare_lock arg = {
		.region_offset = at,
		.size = size,
		.op = op,
		.flags = flags,
	};

	return region_ioctl(fd, MSHAREFS_LOCK, &arg);
}

/* Nothing is as it should be when that fails. */
struct mshare_stat region_stat(int fd)
{
	struct mshare_stat st;

	if (region_ioctl(fd, MSHAREFS_STAT, &st))
		memset(&st, 0xff, sizeof(st));
	return st;
}

int region_next(int fd, uint64_t from, struct mshare_mapping *m)
{
	memset(m, 0, sizeof(*m));
	m->offset = from;
	return region_ioctl(fd, MSHAREFS_NEXT_MAPPING, m);
}

/* What the mappings from @from to @to have in sum, and how many there are. */
uint64_t region_mapped(int fd, uint64_t from, uint64_t to, unsigned int *count)
{
	struct mshare_mapping m;
	uint64_t sum = 0, at, end;

	if (count)
		*count = 0;
	for (at = from; at < to && !region_next(fd, at, &m); at = end) {
		end = m.offset + m.size;
		/* No progress: whoever asked gets what cannot be true. */
		if (end <= at)
			return ~0ull;
		if (m.offset >= to)
			break;
		sum += (end < to ? end : to) -
		       (m.offset > from ? m.offset : from);
		if (count)
			++*count;
	}
	return sum;
}

/* Blocks that are in use in the mount that @path is in. */
long used_blocks(const char *path)
{
	struct statfs sf;

	return statfs(path, &sf) ? -1 : (long)(sf.f_blocks - sf.f_bfree);
}

long used_inodes(const char *path)
{
	struct statfs sf;

	return statfs(path, &sf) ? -1 : (long)(sf.f_files - sf.f_ffree);
}

/* Blocks that a region uses beside its memory: page tables and mappings. */
long overhead_blocks(int fd)
{
	struct mshare_stat st = region_stat(fd);

	return st.page_tables / PAGE + st.mappings / 2;
}

/*
 * Tables that hold nothing are freed a little later than the last process has
 * detached. Waits until @want bytes are left; returns how many there are then.
 */
long tables_settle(int fd, long want)
{
	for (int i = 0; i < 100 && L(region_stat(fd).page_tables) > want; i++)
		usleep(100000);
	return region_stat(fd).page_tables;
}

long used_settle(const char *path, long want)
{
	for (int i = 0; i < 100 && used_blocks(path) > want; i++)
		usleep(100000);
	return used_blocks(path);
}

/* Writes fill()'s patterns into a file, page by page. */
int file_fill(int fd, unsigned int region, unsigned long pages)
{
	static uint64_t page[PAGE / 8];

	for (unsigned long i = 0; i < pages; i++) {
		for (unsigned int at = 0; at < ARRAY_SIZE(page); at++)
			page[at] = pattern(region, i);
		if (pwrite(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -errno;
	}
	return 0;
}

/* The first word of a page of a file, by read(2). */
uint64_t file_load(int fd, unsigned long page)
{
	uint64_t val = 0;

	if (pread(fd, &val, sizeof(val), page * PAGE) != sizeof(val))
		return ~0ull;
	return val;
}

/* The same file, opened once more in another mode. */
int reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* Changes nothing: writes what is there. */
int access_of(volatile void *at)
{
	uint64_t val = 0;
	int r = probe_read(at, &val);

	return CAN(r, probe_write(at, val));
}

/*
 * For peers: a container a[0] of a[1] bytes and mode a[2], filled with anonymous
 * memory that is not reserved; its window, or -errno.
 */
long op_sparse(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		      0600);
	char *base;
	int err;

	if (fd < 0 || fchmod(fd, a[2]) || ftruncate(fd, a[1]))
		return -errno;
	err = region_map(fd, 0, a[1], RW, ANON | MAP_NORESERVE, -1, 0);
	if (err)
		return err;
	base = ms_map(fd, a[1], RW);
	close(fd);
	return base == MAP_FAILED ? -errno : L(base);
}

long op_access(const long *a)
{
	return access_of((void *)a[0]);
}

/* Runs a program; its exit status, or 128 + the signal that killed it. */
int run_program(const char *const *argv)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		dup2(null, 0);
		dup2(null, 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(null);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}
