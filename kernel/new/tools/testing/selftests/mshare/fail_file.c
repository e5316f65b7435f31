// SPDX-License-Identifier: GPL-2.0
/*
 * Files that the ioctls cannot use, as the region and as what is to be mapped
 * into it: every kind there is, in every mode. What mmap(2) says to a file is
 * said by MSHAREFS_CREATE_MAPPING, too, and a mapping that is not made replaces
 * nothing.
 */
#include "mshare_test.h"
#include "lib_unchanged.h"
#include <glob.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define TMP	"/mnt"
#define CLOSED	900	/* no file of the test gets there */

FIXTURE(badfile) {
	size_t unit;
	struct scene s;
	struct snapshot before;
};

FIXTURE_SETUP(badfile)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	/* It goes with the mount namespace. */
	mkdir(TMP, 0700);
	ASSERT_EQ(0, mount("tmpfs", TMP, "tmpfs", 0, NULL));
	scene_make(_metadata, &self->s, MS_DIR "/scene", self->unit);
	snapshot_take(_metadata, &self->s, &self->before);
	snapshot_take(_metadata, &self->s, &self->before);
}

FIXTURE_TEARDOWN(badfile)
{
}

static int tmp_file(struct __test_metadata *_metadata, const char *path,
		    int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	ASSERT_EQ(0, file_fill(fd, 7, SCENE_PART));
	if (flags == O_RDWR)
		return fd;
	close(fd);
	return open(path, flags | O_CLOEXEC);
}

static int memfd(struct __test_metadata *_metadata, unsigned int seals)
{
	int fd = ms_memfd(_metadata, 7, SCENE_PART);

	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static int first_of(const char *pattern, int flags)
{
	int fd = -1;
	glob_t g;

	if (!glob(pattern, 0, NULL, &g)) {
		for (size_t i = 0; i < g.gl_pathc && fd < 0; i++)
			fd = open(g.gl_pathv[i], flags | O_CLOEXEC);
		globfree(&g);
	}
	return fd;
}

#define REFUSED(err, call, what) do {					\
	int ret_ = (call);						\
	EXPECT_EQ(-(err), ret_) {					\
		TH_LOG("%s: %s, expected %s", what, strerror(-ret_),	\
		       strerror(err));					\
	}								\
	snapshot_compare(_metadata, &self->s, &self->before, what);	\
} while (0)

/*
 * The file cannot be mapped, in whatever way, over what is there or not. It may
 * be said what mmap(2) says of the rights. @late: it is the file that refuses,
 * and not at once.
 */
static void refuse_object(struct __test_metadata *_metadata,
			  FIXTURE_DATA(badfile) *self, int err, int fd,
			  const char *what, bool late)
{
	const int prot[] = { PROT_NONE, PROT_READ, RW, RX };
	const int flags[] = { FIXED, MAP_SHARED_VALIDATE | MAP_FIXED,
			      FIXED | MAP_POPULATE };
	const struct {
		uint64_t at, pages;
	} range[] = {
		{ 1, 1 },
		{ SCENE_PART - 1, MEMFD_AT - SCENE_PART + 2 },
		{ 20, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(prot) * ARRAY_SIZE(flags); i++) {
		int p = prot[i / ARRAY_SIZE(flags)], want = err;
		int f = flags[i % ARRAY_SIZE(flags)];
		char *map = mmap(NULL, PAGE, p, f & ~MAP_FIXED, fd, 0);

		if (map == MAP_FAILED)
			want = errno;
		else
			munmap(map, PAGE);
		for (size_t r = 0; r < ARRAY_SIZE(range); r++) {
			uint64_t at = range[r].at * PAGE;
			uint64_t size = range[r].pages * PAGE;
			int ret = region_map(self->s.fd, at, size, p, f, fd, 0);

			EXPECT_TRUE(ret == -err || ret == -want) {
				TH_LOG("%s, prot %d: %s, expected %s", what, p,
				       strerror(-ret), strerror(err));
			}
			if (late)
				snapshot_or_gap(_metadata, &self->s,
						&self->before, at, size, what);
			else
				snapshot_compare(_metadata, &self->s,
						 &self->before, what);
		}
	}
	EXPECT_NE(0, region_map(self->s.fd, 20 * PAGE, PAGE, PROT_READ,
				NOREPLACE, fd, 0));
	snapshot_compare(_metadata, &self->s, &self->before, what);
}

#define OBJECT_(err, fd, what, late) do {				\
	int fd_ = (fd);							\
	ASSERT_LE(0, fd_) TH_LOG("%s: %s", what, strerror(errno));	\
	refuse_object(_metadata, self, err, fd_, what, late);		\
	close(fd_);							\
} while (0)

#define OBJECT(err, fd, what)		OBJECT_(err, fd, what, false)
#define OBJECT_LATE(err, fd, what)	OBJECT_(err, fd, what, true)
#define OBJECT_BAD(err, fd, what) \
	refuse_object(_metadata, self, err, fd, what, false)

TEST_F(badfile, not_files)
{
	int sock[2], pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));

	OBJECT_BAD(EBADF, -1, "fd -1");
	OBJECT_BAD(EBADF, INT_MIN, "fd 2^31");
	OBJECT_BAD(EBADF, INT_MAX, "fd 2^31 - 1");
	OBJECT_BAD(EBADF, AT_FDCWD, "AT_FDCWD");
	OBJECT_BAD(EBADF, CLOSED, "closed");
	OBJECT(EBADF, open(TMP, O_PATH), "O_PATH of a directory");
	OBJECT(EBADF, tmp_file(_metadata, TMP "/path", O_PATH), "O_PATH");

	OBJECT(ENODEV, open(TMP, O_RDONLY), "directory");
	OBJECT(ENODEV, open(MS_DIR, O_RDONLY), "directory of msharefs");
	OBJECT(ENODEV, pipes[0], "pipe");
	OBJECT(ENODEV, pipes[1], "pipe, write end");
	OBJECT(ENODEV, sock[0], "socket");
	OBJECT(ENODEV, socket(AF_INET, SOCK_DGRAM, 0), "UDP socket");
	OBJECT(ENODEV, eventfd(0, 0), "eventfd");
	OBJECT(ENODEV, epoll_create1(0), "epoll");
	OBJECT(ENODEV, syscall(__NR_pidfd_open, getpid(), 0), "pidfd");
}

TEST_F(badfile, devices)
{
	struct io_uring_params {
		char bytes[120];
	} params = {};
	int secret;

	OBJECT(ENODEV, open("/dev/zero", O_RDWR), "/dev/zero");
	OBJECT(ENODEV, open("/dev/null", O_RDWR), "/dev/null");
	OBJECT(ENODEV, open("/dev/mem", O_RDWR), "/dev/mem");
	OBJECT(ENODEV, open("/dev/ptmx", O_RDWR), "/dev/ptmx");
	OBJECT(ENODEV, open("/dev/kmsg", O_RDWR), "/dev/kmsg");
	OBJECT(ENODEV, open("/dev/loop-control", O_RDWR), "/dev/loop-control");
	OBJECT(ENODEV, syscall(__NR_io_uring_setup, 4, &params), "io_uring");
	secret = syscall(__NR_memfd_secret, 0);
	ASSERT_LE(0, secret);
	ASSERT_EQ(0, ftruncate(secret, SCENE_PART * PAGE));
	/* The limit for locked memory does not come before that. */
	OBJECT(ENODEV, secret, "memfd_secret");
	if (getenv("MSHARE_DISK"))
		OBJECT(ENODEV, open(getenv("MSHARE_DISK"), O_RDWR), "disk");
}

/* Regular files that have no pages, or whose pages are a device's. */
TEST_F(badfile, not_regular_enough)
{
	OBJECT(ENODEV, open("/proc/self/maps", O_RDONLY), "/proc/self/maps");
	OBJECT(ENODEV, open("/proc/self/mem", O_RDWR), "/proc/self/mem");
	OBJECT_LATE(EIO, open("/proc/meminfo", O_RDONLY), "/proc/meminfo");
	OBJECT_LATE(ENODEV,
		    open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDWR),
		    "a file of sysfs");
	/* Memory of a device, that can be mapped, by the PCI bus. */
	OBJECT(ENODEV, first_of("/sys/bus/pci/devices/*/resource[0-9]", O_RDWR),
	       "PCI memory");
}

/* Files of msharefs: a region in a region would have no end. */
TEST_F(badfile, regions)
{
	int fd;

	OBJECT_BAD(EINVAL, self->s.fd, "itself");
	OBJECT_BAD(EINVAL, self->s.ro, "itself, read-only");
	OBJECT(EINVAL, open(MS_DIR "/other", O_RDWR | O_CREAT, 0600),
	       "empty region");
	ms_new(_metadata, MS_DIR "/plain", self->unit, &fd);
	OBJECT(EINVAL, fd, "plain region");
	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", 0, NULL));
	ms_new(_metadata, "/tmp/plain", self->unit, &fd);
	OBJECT(EINVAL, fd, "region of another mount");
	fd = open(MS_DIR "/mshare_info", O_RDONLY);
	ASSERT_LE(0, fd);
	/* Of msharefs, and without a way to be mapped: the one or the other. */
	EXPECT_NE(0, region_map(self->s.fd, 0, PAGE, PROT_READ, FIXED, fd, 0));
	snapshot_compare(_metadata, &self->s, &self->before, "mshare_info");
}

/* Modes: what mmap(2) of the file refuses with which error. */
TEST_F(badfile, modes)
{
	const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, RW, RX,
			      PROT_EXEC, PROT_WRITE | PROT_EXEC, RWX };
	int append, flags, noexec;
	unsigned int refused = 0;

	ASSERT_EQ(0, mkdir(TMP "/noexec", 0700));
	ASSERT_EQ(0, mount("tmpfs", TMP "/noexec", "tmpfs", MS_NOEXEC, NULL));
	noexec = tmp_file(_metadata, TMP "/noexec/file", O_RDWR);
	append = tmp_file(_metadata, TMP "/forever", O_RDWR);
	flags = FS_APPEND_FL;
	ASSERT_EQ(0, ioctl(append, FS_IOC_SETFLAGS, &flags));

	const struct {
		int fd;
		const char *what;
	} file[] = {
		{ tmp_file(_metadata, TMP "/rw", O_RDWR), "O_RDWR" },
		{ tmp_file(_metadata, TMP "/ro", O_RDONLY), "O_RDONLY" },
		{ tmp_file(_metadata, TMP "/wo", O_WRONLY), "O_WRONLY" },
		{ tmp_file(_metadata, TMP "/rwa", O_RDWR | O_APPEND),
		  "O_RDWR | O_APPEND" },
		{ tmp_file(_metadata, TMP "/woa", O_WRONLY | O_APPEND),
		  "O_WRONLY | O_APPEND" },
		{ append, "append-only, open for writing" },
		{ open(TMP "/forever", O_RDONLY), "append-only" },
		{ noexec, "noexec" },
		{ open(TMP "/noexec/file", O_RDONLY), "noexec, O_RDONLY" },
		{ memfd(_metadata, F_SEAL_WRITE), "F_SEAL_WRITE" },
		{ memfd(_metadata, F_SEAL_FUTURE_WRITE), "F_SEAL_FUTURE_WRITE" },
		{ memfd(_metadata, F_SEAL_SHRINK), "F_SEAL_SHRINK" },
		{ memfd(_metadata, F_SEAL_GROW), "F_SEAL_GROW" },
		{ memfd(_metadata, F_SEAL_SEAL), "F_SEAL_SEAL" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(file) * ARRAY_SIZE(prots); i++) {
		int fd = file[i / ARRAY_SIZE(prots)].fd;
		const char *what = file[i / ARRAY_SIZE(prots)].what;
		int prot = prots[i % ARRAY_SIZE(prots)], err, ret;
		struct mshare_mapping m;
		unsigned int max = 0;
		char *p;

		ASSERT_LE(0, fd) TH_LOG("%s: %s", what, strerror(errno));
		p = mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0);
		err = p == MAP_FAILED ? errno : 0;
		ret = region_map(self->s.fd, 0, PAGE, prot, FIXED, fd, 0);
		EXPECT_EQ(-err, ret) {
			TH_LOG("%s, prot %d: %s, of mmap(2): %s", what, prot,
			       strerror(-ret), strerror(err));
		}
		if (err) {
			refused++;
			snapshot_compare(_metadata, &self->s, &self->before,
					 what);
			continue;
		}
		/* And so with what mprotect(2) can make of it. */
		ASSERT_EQ(0, region_next(self->s.fd, 0, &m));
		for (unsigned int bit = PROT_READ; bit <= PROT_EXEC; bit *= 2) {
			err = mprotect(p, PAGE, bit) ? errno : 0;
			EXPECT_TRUE(!err || err == EACCES);
			EXPECT_EQ(-err, region_protect(self->s.fd, 0, PAGE,
						       bit)) {
				TH_LOG("%s, prot %d to %d", what, prot, bit);
			}
			max |= err ? 0 : bit;
		}
		EXPECT_EQ(max, m.max_prot) {
			TH_LOG("%s, prot %d", what, prot);
		}
		munmap(p, PAGE);
		ASSERT_EQ(0, region_map(self->s.fd, 0, PAGE, prot, FIXED, fd,
					0));
		scene_repair(_metadata, &self->s);
		snapshot_compare(_metadata, &self->s, &self->before, what);
	}
	EXPECT_LT(20, refused);
	/* Or the file could not be removed. */
	flags = 0;
	EXPECT_EQ(0, ioctl(append, FS_IOC_SETFLAGS, &flags));
}

static int deny_write_exec(void *arg)
{
	struct scene *s = arg;

	CHECK(!prctl(65 /* PR_SET_MDWE */, 1 /* REFUSE_EXEC_GAIN */, 0, 0, 0));
	CHECK(region_map(s->fd, 0, PAGE, RWX, ANON, -1, 0) == -EACCES);
	CHECK(region_map(s->fd, 0, PAGE, PROT_WRITE | PROT_EXEC, ANON, -1,
			 0) == -EACCES);
	CHECK(region_protect(s->fd, 0, PAGE, RX) == -EACCES);
	CHECK(region_protect(s->fd, 0, PAGE, PROT_EXEC) == -EACCES);
	CHECK(region_protect(s->fd, 0, PAGE, RWX) == -EACCES);
	return 0;
}

TEST_F(badfile, deny_write_exec)
{
	EXPECT_EQ(0, in_child(deny_write_exec, &self->s));
	snapshot_compare(_metadata, &self->s, &self->before, "MDWE");
	/* It is about the caller: others can. */
	EXPECT_EQ(0, region_protect(self->s.fd, 0, PAGE, RWX));
}

TEST_F(badfile, hugetlb)
{
	int fd = syscall(__NR_memfd_create, "huge", MFD_HUGETLB | MFD_HUGE_2MB);
	char text[32];
	const struct {
		uint64_t at, size, offset;
	} bad[] = {
		{ PAGE, HUGE, 0 }, { 0, PAGE, 0 }, { 0, HUGE + PAGE, 0 },
		{ 0, HUGE, PAGE }, { HUGE / 2, HUGE, 0 }, { 0, HUGE / 2, 0 },
		{ 0, HUGE, HUGE / 2 }, { HUGE - PAGE, 2 * HUGE, 0 },
		{ 0, 2 * HUGE - PAGE, HUGE },
	};

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4 * HUGE));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		REFUSED(EINVAL, region_map(self->s.fd, bad[i].at, bad[i].size,
					   RW, FIXED, fd, bad[i].offset),
			"part of a huge page");
		if (bad[i].offset)
			continue;
		REFUSED(EINVAL, region_map(self->s.fd, bad[i].at, bad[i].size,
					   RW, ANON | MAP_HUGETLB, -1, 0),
			"part of an anonymous huge page");
	}
	/* None are there, nor can be made. */
	ASSERT_LT(0, read_file("/proc/sys/vm/nr_hugepages", text,
			       sizeof(text)));
	ASSERT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", "0"));
	REFUSED(ENOMEM, region_map(self->s.fd, HUGE, HUGE, RW, FIXED, fd, 0),
		"no huge pages");
	REFUSED(ENOMEM, region_map(self->s.fd, HUGE, HUGE, RW,
				   ANON | MAP_HUGETLB, -1, 0),
		"no anonymous huge pages");
	EXPECT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", text));
	close(fd);
}

static const struct {
	const char *name;
	unsigned int nr;
	bool changes;
} command[] = {
	{ "CREATE_MAPPING", MSHAREFS_CREATE_MAPPING, true },
	{ "UNMAP", MSHAREFS_UNMAP, true },
	{ "PROTECT", MSHAREFS_PROTECT, true },
	{ "ADVISE", MSHAREFS_ADVISE, true },
	{ "LOCK", MSHAREFS_LOCK, true },
	{ "STAT", MSHAREFS_STAT, false },
	{ "NEXT_MAPPING", MSHAREFS_NEXT_MAPPING, false },
};

/* The file that the ioctl is called on. */
TEST_F(badfile, targets)
{
	int pipes[2], sock[2], fd;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	const struct {
		int fd, err;
		const char *what;
	} target[] = {
		{ -1, EBADF, "-1" },
		{ CLOSED, EBADF, "closed" },
		{ open(MS_DIR "/scene", O_PATH), EBADF, "O_PATH" },
		{ open(MS_DIR, O_RDONLY), ENOTTY, "directory of msharefs" },
		{ open(MS_DIR "/mshare_info", O_RDONLY), ENOTTY, "mshare_info" },
		{ open(TMP, O_RDONLY), ENOTTY, "directory" },
		{ tmp_file(_metadata, TMP "/file", O_RDWR), ENOTTY, "file" },
		{ self->s.object, ENOTTY, "memfd" },
		{ pipes[0], ENOTTY, "pipe" },
		{ sock[0], ENOTTY, "socket" },
		{ open("/dev/zero", O_RDWR), ENOTTY, "/dev/zero" },
		{ open("/proc/self/maps", O_RDONLY), ENOTTY, "/proc" },
	};
	char page[PAGE] = "";

	for (size_t i = 0; i < ARRAY_SIZE(target); i++) {
		for (size_t c = 0; c < ARRAY_SIZE(command); c++)
			REFUSED(target[i].err,
				region_ioctl(target[i].fd, command[c].nr, page),
				target[i].what);
	}
	/* Rights come first, whatever the argument is. */
	for (size_t c = 0; c < ARRAY_SIZE(command); c++) {
		if (command[c].changes) {
			REFUSED(EBADF, region_ioctl(self->s.ro, command[c].nr,
						    page), command[c].name);
			REFUSED(EBADF, region_ioctl(self->s.ro, command[c].nr,
						    NULL), command[c].name);
		} else {
			memset(page, 0, sizeof(page));
			EXPECT_EQ(0, region_ioctl(self->s.ro, command[c].nr,
						  page));
		}
	}
	/* A file that can be written need not be readable. */
	fd = open(MS_DIR "/scene", O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, region_protect(fd, 0, PAGE, PROT_READ));
	EXPECT_EQ(0, region_protect(fd, 0, PAGE, RW));
	EXPECT_EQ(self->s.size, region_stat(fd).size);
}

/* Whose file it is that a region is made of does not matter, but the modes. */
static int as_nobody(void *arg)
{
	struct scene *s = arg;
	int fd;

	CHECK(!op_unprivileged(NULL));
	fd = open(MS_DIR "/scene", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(region_anon(fd, 0, PAGE) == -EBADF);
	CHECK(region_unmap(fd, 0, PAGE) == -EBADF);
	CHECK(region_protect(fd, 0, PAGE, PROT_NONE) == -EBADF);
	CHECK(region_advise(fd, 0, PAGE, MADV_REMOVE) == -EBADF);
	CHECK(region_lock(fd, 0, PAGE, MSHAREFS_LOCK_ON, 0) == -EBADF);
	CHECK(region_stat(fd).size == s->size);
	/* Through a window of its own, too. */
	CHECK(ms_map(fd, s->size, RW) == MAP_FAILED && errno == EACCES);
	/* With the file, but not as its owner. */
	CHECK(region_lock(s->fd, 0, PAGE, MSHAREFS_LOCK_ON, 0) == -EPERM);
	CHECK(region_lock(s->fd, 0, PAGE, MSHAREFS_LOCK_OFF, 0) == -EPERM);
	CHECK(region_protect(s->fd, SEALED_AT * PAGE, PAGE, RW) == -EACCES);
	return 0;
}

TEST_F(badfile, rights)
{
	ASSERT_EQ(0, chmod(MS_DIR "/scene", 0644));
	EXPECT_EQ(0, in_child(as_nobody, &self->s));
	snapshot_compare(_metadata, &self->s, &self->before, "somebody else");
}

TEST_HARNESS_MAIN
