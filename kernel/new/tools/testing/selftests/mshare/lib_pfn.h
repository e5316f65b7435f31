/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where pages are, what moves them, and how many entries of page tables the
 * kernel goes to for it.
 */
#ifndef MSHARE_LIB_PFN_H
#define MSHARE_LIB_PFN_H

#define HWPOISON	"/sys/kernel/debug/hwpoison/"
#define MEMORY		"/sys/devices/system/memory/"
#define TRACING		"/sys/kernel/tracing/instances/mshare"

static inline int write_number(const char *path, unsigned long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%#lx", n);
	return write_file(path, text);
}

/*
 * The page frames of the first @n pages of a file. They are looked at in a
 * mapping that is gone afterwards, so that the file is mapped as it was before.
 */
static inline int file_frames(int fd, uint64_t *pfn, unsigned long n)
{
	char *at = mmap(NULL, n * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE,
			fd, 0);
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (at != MAP_FAILED && map >= 0)
		len = pread(map, pfn, n * 8, (unsigned long)at / PAGE * 8);
	if (map >= 0)
		close(map);
	if (at != MAP_FAILED)
		munmap(at, n * PAGE);
	if (len != (ssize_t)(n * 8))
		return -EIO;
	for (unsigned long i = 0; i < n; i++) {
		if (!(pfn[i] >> 63))
			return -ENOENT;
		pfn[i] &= (1ull << 55) - 1;
	}
	return 0;
}

/* Pages that wait to be put on a list of reclaim, of all CPUs, are put there. */
static inline void drain_lru(void)
{
	write_file("/proc/sys/vm/drop_caches", "1");
}

/* Moves what is in the frame to another one, and takes it out of use. */
static inline int soft_offline(uint64_t pfn)
{
	return write_number(MEMORY "soft_offline_page", pfn * PAGE);
}

/* A frame that nobody has any more comes back to use. */
static inline int unpoison(uint64_t pfn)
{
	int err = 0;

	for (int i = 0; i < 50; i++) {
		err = write_number(HWPOISON "unpoison-pfn", pfn);
		if (err != -EBUSY)
			break;
		usleep(20000);
	}
	return err;
}

/* Trace events, counted; of the kernel as a whole. */

static inline int events_start(const char *event)
{
	char path[128];

	if (mkdir(TRACING, 0700) && errno != EEXIST)
		return -errno;
	write_file(TRACING "/trace", "");
	snprintf(path, sizeof(path), TRACING "/events/%s/enable", event);
	return write_file(path, "1");
}

/* How many lines have @what in them. Ends it. */
static inline long events_stop(const char *what)
{
	static char text[1 << 20];
	long n = 0;

	write_file(TRACING "/events/enable", "0");
	if (read_file(TRACING "/trace", text, sizeof(text)) < 0)
		n = -1;
	for (char *p = text; n >= 0 && (p = strstr(p, what)); p++)
		n++;
	rmdir(TRACING);
	return n;
}

#endif
