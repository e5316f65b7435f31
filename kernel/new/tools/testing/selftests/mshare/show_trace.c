// SPDX-License-Identifier: GPL-2.0
/* Trace events and the counters of /sys/kernel/mm/mshare/. */
#include "mshare_test.h"
#include <sys/ioctl.h>

#define RW		(PROT_READ | PROT_WRITE)
#define TRACING		"/sys/kernel/tracing/instances/mshare"
#define COUNTERS	"/sys/kernel/mm/mshare/"

FIXTURE(trace) {
	size_t unit;
	char path[64];
	int fd;
	unsigned long ino;
	char *base;
};

static char log_text[1 << 18];

static void read_log(void)
{
	if (read_file(TRACING "/trace", log_text, sizeof(log_text)) < 0)
		log_text[0] = 0;
}

/*
 * The line of @event of region @ino that contains @what, once it is found
 * removed from the text; NULL: there is none.
 */
static char *event(const char *name, unsigned long ino, const char *what)
{
	static char line[1024];
	char head[128], *p = log_text, *end;

	snprintf(head, sizeof(head), " %s: region=%lu", name, ino);
	for (; (p = strstr(p, head)); p = end) {
		end = strchr(p, '\n');
		if (!end)
			return NULL;
		snprintf(line, sizeof(line), "%.*s", (int)(end - p), p);
		if (!strchr(" ", line[strlen(head)]) || !strstr(line, what))
			continue;
		memset(p, '.', end - p);
		return line;
	}
	return NULL;
}

static long counter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), COUNTERS "%s", name);
	return file_number(path);
}

FIXTURE_SETUP(trace)
{
	struct stat st;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(0, mkdir(TRACING, 0700)) TH_LOG("%s", strerror(errno));
	ASSERT_EQ(0, write_file(TRACING "/events/mshare/enable", "1"));
	self->fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, fstat(self->fd, &st));
	self->ino = st.st_ino;
	ASSERT_EQ(0, ftruncate(self->fd, self->unit));
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

FIXTURE_TEARDOWN(trace)
{
	if (!self->unit)
		return;
	write_file(TRACING "/events/mshare/enable", "0");
	rmdir(TRACING);
}

static long map(int fd, uint64_t at, uint64_t size, int prot)
{
	struct mshare_create arg = {
		.region_offset = at, .size = size, .prot = prot,
		.flags = MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS,
	};

	return ioctl(fd, MSHAREFS_CREATE_MAPPING, &arg) ? -errno : 0;
}

TEST_F(trace, life_of_a_region)
{
	struct mshare_protect protect = {
		.region_offset = 2 * PAGE, .size = PAGE, .prot = PROT_READ,
	};
	struct mshare_unmap unmap = { .region_offset = PAGE, .size = PAGE };
	char link[64];

	ASSERT_EQ(0, map(self->fd, PAGE, 4 * PAGE, RW));
	EXPECT_EQ(-EINVAL, map(self->fd, self->unit, PAGE, RW));
	store(self->base + PAGE, 1);
	store(self->base + 2 * PAGE, 1);
	EXPECT_EQ(MAPERR, peek(self->base));
	ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_PROTECT, &protect));
	ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_UNMAP, &unmap));
	ASSERT_EQ(0, munmap(self->base, self->unit));
	ASSERT_EQ(0, unlink(MS_DIR "/a"));
	ASSERT_EQ(0, close(self->fd));
	read_log();

	EXPECT_NE(NULL, event("mshare_region_create", self->ino, ""));
	EXPECT_NE(NULL, event("mshare_map", self->ino,
			      "offset=0x1000 size=0x4000 prot=0x3 ret=0"));
	/* What fails before anything is done is nobody's event. */
	EXPECT_EQ(NULL, event("mshare_map", self->ino, ""));
	snprintf(link, sizeof(link), "address=%#lx", L(self->base));
	EXPECT_NE(NULL, event("mshare_link", self->ino, link));
	EXPECT_EQ(NULL, event("mshare_link", self->ino, ""));
	EXPECT_NE(NULL, event("mshare_fault", self->ino, "offset=0x1000 "));
	EXPECT_NE(NULL, event("mshare_fault", self->ino, "offset=0x2000 "));
	EXPECT_NE(NULL, event("mshare_fault", self->ino, "offset=0x0 "));
	EXPECT_NE(NULL, event("mshare_protect", self->ino,
			      "offset=0x2000 size=0x1000 prot=0x1 ret=0"));
	EXPECT_NE(NULL, event("mshare_unmap", self->ino,
			      "offset=0x1000 size=0x1000 prot=0x0 ret=0"));
	/* One for each of the two: one process, which runs on this CPU. */
	EXPECT_NE(NULL, event("mshare_flush", self->ino, "mms=1 cpus=1 "));
	EXPECT_NE(NULL, event("mshare_flush", self->ino, "mms=1 cpus=1 "));
	EXPECT_NE(NULL, event("mshare_unlink", self->ino, link));
	EXPECT_EQ(NULL, event("mshare_unlink", self->ino, ""));
	EXPECT_NE(NULL, event("mshare_region_destroy", self->ino, ""));
}

TEST_F(trace, counters)
{
	struct mshare_protect protect = { .size = PAGE, .prot = PROT_READ };
	long regions = counter("regions"), windows = counter("windows");
	long links = counter("links"), faults = counter("faults");
	long flushes = counter("flushes");
	char *second;
	int other;

	ASSERT_EQ(0, map(self->fd, 0, PAGE, RW));
	EXPECT_EQ(links, counter("links"));
	store(self->base, 1);
	EXPECT_EQ(links + 1, counter("links"));
	/* Once more when the VMA lock alone did not do. */
	EXPECT_LE(faults + 1, counter("faults"));
	EXPECT_GE(faults + 2, counter("faults"));

	second = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, second);
	EXPECT_EQ(windows + 1, counter("windows"));
	/* There are page tables: linked at once, and no fault. */
	EXPECT_EQ(links + 2, counter("links"));
	faults = counter("faults");
	EXPECT_EQ(1, load(second));
	EXPECT_EQ(faults, counter("faults"));

	ASSERT_EQ(0, ioctl(self->fd, MSHAREFS_PROTECT, &protect));
	EXPECT_EQ(flushes + 1, counter("flushes"));

	ASSERT_EQ(0, munmap(second, self->unit));
	EXPECT_EQ(windows, counter("windows"));
	EXPECT_EQ(links + 1, counter("links"));
	other = open(MS_DIR "/b", O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, other);
	EXPECT_EQ(regions + 1, counter("regions"));
	unlink(MS_DIR "/b");
	close(other);
	EXPECT_EQ(regions, counter("regions"));
}

TEST_HARNESS_MAIN
