// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: the object of a segment, and regions that have it mapped
 *
 * A segment has no descriptor. But the link in map_files of where it is attached
 * leads to the file on the kernel's own tmpfs that it is made of, for those with
 * CAP_CHECKPOINT_RESTORE: proc_map_files_get_link() in fs/proc/base.c.
 *
 * The same way leads to regions without a name, of processes that attached the
 * segment before. Nothing is kept anywhere, so nothing can be left or be stale.
 * A region that is not found is made once more, and works as well: both map the
 * same object.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <mshare/msharefs.h>

#include "preload.h"

/* Not snprintf(3), which may allocate. */
static char *put_number(char *to, unsigned long number, unsigned int base)
{
	char digits[24], *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	memcpy(to, at, digits + sizeof(digits) - at);
	to += digits + sizeof(digits) - at;
	*to = 0;
	return to;
}

static int open_process(pid_t pid)
{
	char path[48] = "/proc/";

	put_number(path + strlen(path), pid, 10);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What is mapped at exactly these addresses of the process. */
static int open_mapped(int process, uintptr_t start, uintptr_t end)
{
	char path[48] = "map_files/", *at;

	at = put_number(path + strlen(path), start, 16);
	*at++ = '-';
	put_number(at, end, 16);
	return openat(process, path, O_RDWR | O_CLOEXEC);
}

int object_open(uintptr_t real, size_t len)
{
	/* Not by pid: /proc can be that of another namespace. */
	int process = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1, err;

	if (process >= 0)
		fd = open_mapped(process, real, real + len);
	err = errno == EPERM ? -ENOLINK : -errno;
	if (process >= 0)
		close(process);
	return fd < 0 ? err : fd;
}

/*
 * Which of all objects it is. Device and inode number do not say it: that is the
 * segment's id, which another one can have later, or in another IPC namespace.
 * The generation in its handle is a random number.
 */
int object_identify(int fd, struct object *object)
{
	struct {
		struct file_handle head;
		uint32_t words[16];
	} handle = { .head.handle_bytes = sizeof(handle.words) };
	struct statx born;
	int mount;

	*object = (struct object){ .id.tv_nsec = -1 };
	if (fstat(fd, &object->st) ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &born) ||
	    !(born.stx_mask & STATX_BTIME) ||
	    name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH))
		return -1;
	object->id.tv_sec = handle.words[0];
	object->id.tv_nsec = born.stx_btime.tv_nsec;
	return 0;
}

/* In the time of the region's last change: nobody else has a use for it. */
void object_mark(int region, const struct object *object)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, object->id };

	if (object->id.tv_nsec >= 0)
		futimens(region, times);
}

/*
 * Whether @region has all of @object and nothing else, for ever: it is without a
 * name, and of this user, who has no reason to change it.
 */
static bool has_object(int region, const struct object *object)
{
	struct mshare_mapping map = { };
	struct stat st;

	return !fstat(region, &st) && st.st_uid == geteuid() && !st.st_nlink &&
	       (st.st_mode & 07777) == 0600 &&
	       st.st_mtim.tv_sec == object->id.tv_sec &&
	       st.st_mtim.tv_nsec == object->id.tv_nsec &&
	       (uint64_t)st.st_size == region_padded(object->st.st_size) &&
	       !ioctl(region, MSHAREFS_NEXT_MAPPING, &map) && !map.offset &&
	       map.size == page_up(object->st.st_size) && !map.object_offset &&
	       map.prot == (PROT_READ | PROT_WRITE) &&
	       map.kind == MSHAREFS_KIND_SHMEM &&
	       map.inode == object->st.st_ino &&
	       makedev(map.dev_major, map.dev_minor) == object->st.st_dev;
}

/* The next number of @text, which is in front of @end with. Or NULL. */
static const char *number(const char *text, char end, int base,
			  unsigned long *value)
{
	*value = 0;
	for (; *text && *text != end; text++) {
		int digit = *text <= '9' ? *text - '0' : *text - 'a' + 10;

		if (digit < 0 || digit >= base)
			return NULL;
		*value = *value * base + digit;
	}
	return *text ? text + 1 : NULL;
}

/* A line of maps, which is a window on device @dev if it is a region's. */
static bool is_window(const char *line, dev_t dev, uintptr_t *start,
		      uintptr_t *end)
{
	unsigned long major, minor, offset;

	line = number(line, '-', 16, start);
	line = line ? number(line, ' ', 16, end) : NULL;
	line = line ? strchr(line, ' ') : NULL;		/* rw-s */
	line = line ? number(line + 1, ' ', 16, &offset) : NULL;
	line = line ? number(line, ':', 16, &major) : NULL;
	line = line ? number(line, ' ', 16, &minor) : NULL;
	return line && makedev(major, minor) == dev;
}

struct reader {
	int fd;
	ssize_t have, next;
	char data[2048];
};

static bool next_char(struct reader *from, char *c)
{
	if (from->next == from->have) {
		from->have = read(from->fd, from->data, sizeof(from->data));
		from->next = 0;
	}
	if (from->have <= 0)
		return false;
	*c = from->data[from->next++];
	return true;
}

/* A line without its end, if it is too long. */
static bool next_line(struct reader *from, char *line, size_t size)
{
	size_t len = 0;
	char c = 0;

	while (next_char(from, &c) && c != '\n')
		if (len < size - 1)
			line[len++] = c;
	line[len] = 0;
	return c == '\n';
}

static int find_region(int process, dev_t dev, const struct object *object)
{
	struct reader maps = { .fd = openat(process, "maps", O_RDONLY | O_CLOEXEC) };
	uintptr_t start, end;
	int region = -1;
	char line[128];

	while (maps.fd >= 0 && region < 0 &&
	       next_line(&maps, line, sizeof(line))) {
		if (!is_window(line, dev, &start, &end))
			continue;
		region = open_mapped(process, start, end);
		if (region < 0 || has_object(region, object))
			continue;
		close(region);
		region = -1;
	}
	if (maps.fd >= 0)
		close(maps.fd);
	return region;
}

/* The region in which @pid has @object, or -1. */
int object_region_of(pid_t pid, const struct object *object)
{
	int process = pid > 0 ? open_process(pid) : -1, region;
	struct stat dir;

	if (process < 0)
		return -1;
	region = stat(preload_config.dir, &dir) ? -1 :
		 find_region(process, dir.st_dev, object);
	close(process);
	return region;
}
