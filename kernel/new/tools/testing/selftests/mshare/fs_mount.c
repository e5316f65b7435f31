// SPDX-License-Identifier: GPL-2.0
/* The file system: mount options, names, rights, space. */
#include "mshare_test.h"
#include "lib_container.h"
#include <dirent.h>
#include <sys/un.h>
#include <time.h>

MS_FIXTURE(fs)

#define OTHER "/tmp"	/* any directory: what is mounted there is private */

TEST_F(fs, info_content)
{
	char text[64], want[64];
	struct stat st;
	int fd;

	ASSERT_LT(0, read_file(MS_DIR "/mshare_info", text, sizeof(text)));
	snprintf(want, sizeof(want), "%zu\n", self->unit);
	EXPECT_STREQ(want, text);
#ifdef __x86_64__
	EXPECT_EQ(1UL << 30, self->unit);
#endif
	ASSERT_EQ(0, stat(MS_DIR "/mshare_info", &st));
	EXPECT_EQ(S_IFREG | 0444, st.st_mode);

	fd = open(MS_DIR "/mshare_info", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(2, read(fd, text, 2));
	EXPECT_EQ(0, memcmp(text, want, 2));
	EXPECT_EQ((ssize_t)strlen(want) - 2, read(fd, text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, want + 2, strlen(want) - 2));
	EXPECT_EQ(0, read(fd, text, sizeof(text)));
	EXPECT_EQ(MAP_FAILED, ms_map(fd, self->unit, PROT_READ));
}

/* It may fail or not, as long as the text stays. */
static void ftruncate_ignored(int fd)
{
	if (ftruncate(fd, 0))
		errno = 0;
}

TEST_F(fs, info_stays)
{
	char text[64];
	int fd;

	EXPECT_EQ(-1, unlink(MS_DIR "/mshare_info"));
	EXPECT_TRUE(errno == EPERM || errno == EACCES);
	EXPECT_EQ(-1, rename(MS_DIR "/mshare_info", MS_DIR "/other"));
	EXPECT_TRUE(errno == EPERM || errno == EACCES);

	fd = open(MS_DIR "/region", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-1, rename(MS_DIR "/region", MS_DIR "/mshare_info"));
	EXPECT_TRUE(errno == EPERM || errno == EACCES);
	EXPECT_EQ(-1, renameat2(AT_FDCWD, MS_DIR "/region", AT_FDCWD,
				MS_DIR "/mshare_info", RENAME_EXCHANGE));
	EXPECT_EQ(0, access(MS_DIR "/region", F_OK));
	ASSERT_EQ(0, mkdir(MS_DIR "/d", 0755));
	EXPECT_EQ(-1, rename(MS_DIR "/d", MS_DIR "/mshare_info"));

	/* Root may open it for writing, as any file. */
	fd = open(MS_DIR "/mshare_info", O_RDWR);
	if (fd >= 0) {
		EXPECT_EQ(-1, write(fd, "1", 1));
		ftruncate_ignored(fd);
		close(fd);
	}
	EXPECT_LT(0, read_file(MS_DIR "/mshare_info", text, sizeof(text)));
	EXPECT_EQ(self->unit, strtoul(text, NULL, 10));
}

TEST_F(fs, root_directory)
{
	struct stat st;

	ASSERT_EQ(0, stat(MS_DIR, &st));
	EXPECT_EQ(S_IFDIR | 01777, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
}

TEST_F(fs, option_owner)
{
	struct stat st;

	ASSERT_EQ(0, mount("msharefs", OTHER, "msharefs", 0,
			   "mode=0750,uid=12,gid=34"));
	ASSERT_EQ(0, stat(OTHER, &st));
	EXPECT_EQ(S_IFDIR | 0750, st.st_mode);
	EXPECT_EQ(12, st.st_uid);
	EXPECT_EQ(34, st.st_gid);
	EXPECT_EQ(0, umount(OTHER));
}

TEST_F(fs, option_bad)
{
	const char *bad[] = { "mode=9", "uid=x", "size=x", "nr_inodes=-",
			      "unheard_of", "size" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_ERR(EINVAL, mount("msharefs", OTHER, "msharefs", 0,
					 bad[i]));
	}
}

TEST_F(fs, options_shown)
{
	static char text[1 << 16];
	char *line;

	ASSERT_EQ(0, mount("msharefs", OTHER, "msharefs", 0,
			   "mode=0750,uid=12,size=8m,nr_inodes=77"));
	ASSERT_LT(0, read_file("/proc/self/mounts", text, sizeof(text)));
	line = strstr(text, " " OTHER " msharefs ");
	ASSERT_NE(NULL, line);
	*strchrnul(line, '\n') = 0;
	EXPECT_NE(NULL, strstr(line, "mode=750"));
	EXPECT_NE(NULL, strstr(line, "uid=12"));
	EXPECT_NE(NULL, strstr(line, "size=8192k"));
	EXPECT_NE(NULL, strstr(line, "nr_inodes=77"));
	EXPECT_EQ(0, umount(OTHER));
}

TEST_F(fs, option_size)
{
	struct statfs sf;
	int fd, got = 0;
	uint64_t free;
	char *base;

	ASSERT_EQ(0, mount("msharefs", OTHER, "msharefs", 0, "size=4m"));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(4UL << 20, (unsigned long)sf.f_blocks * sf.f_bsize);
	EXPECT_EQ(sf.f_blocks, sf.f_bfree);
	EXPECT_EQ(sf.f_bfree, sf.f_bavail);

	base = ms_new(_metadata, OTHER "/region", self->unit, &fd);
	ASSERT_EQ(0, statfs(OTHER, &sf));
	free = sf.f_bfree;
	fill(base, 1, 100);
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(free - 100 - overhead_blocks(fd), sf.f_bfree);

	/* The page that is one too many ends as on a full tmpfs. */
	for (unsigned long i = 0; i < 2048 && !got; i++)
		got = probe_write(base + i * PAGE, 1);
	EXPECT_EQ(BUS_END, got);
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(0, sf.f_bfree);
	EXPECT_EQ(1, load(base + 99 * PAGE));

	EXPECT_EQ(0, unlink(OTHER "/region"));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(0, close(fd));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(sf.f_blocks, sf.f_bfree);
	EXPECT_EQ(0, umount(OTHER));
}

TEST_F(fs, remount_size)
{
	struct statfs sf;
	char *base;

	ASSERT_EQ(0, mount("msharefs", OTHER, "msharefs", 0, "size=4m"));
	base = ms_new(_metadata, OTHER "/region", self->unit, NULL);
	fill(base, 1, 256);
	ASSERT_EQ(0, mount(NULL, OTHER, NULL, MS_REMOUNT, "size=8m"));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(8UL << 20, (unsigned long)sf.f_blocks * sf.f_bsize);
	/* Not below what is in use. */
	EXPECT_ERR(EINVAL, mount(NULL, OTHER, NULL, MS_REMOUNT, "size=64k"));
	EXPECT_EQ(0, damaged(base, 1, 256));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(0, umount(OTHER));
}

TEST_F(fs, option_nr_inodes)
{
	struct statfs sf;
	char path[64];
	int fd, n;

	ASSERT_EQ(0, mount("msharefs", OTHER, "msharefs", 0, "nr_inodes=16"));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(16, sf.f_files);
	for (n = 0; n < 32; n++) {
		snprintf(path, sizeof(path), OTHER "/%d", n);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_LT(0, n);
	EXPECT_GE(16, n);
	EXPECT_ERR(ENOSPC, mkdir(OTHER "/d", 0700));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(0, sf.f_ffree);
	EXPECT_EQ(0, unlink(OTHER "/0"));
	ASSERT_EQ(0, statfs(OTHER, &sf));
	EXPECT_EQ(1, sf.f_ffree);
	EXPECT_EQ(0, mkdir(OTHER "/d", 0700));
	EXPECT_EQ(0, umount(OTHER));
}

#define STEP(call) do {							\
	ASSERT_EQ(0, call) TH_LOG("%s: %s", type[i], strerror(errno));	\
	used[i][step++] = used_inodes(dir[i]) - before;			\
} while (0)
#define NAME(buf, name)	(sprintf(buf, "%s/%s", dir[i], name), (buf))

/*
 * A name beside the first one takes an inode of the limit, as it does in tmpfs:
 * each step is made in both.
 */
TEST_F(fs, hard_links)
{
	static const char *const dir[] = { OTHER, "/mnt" };
	static const char *const type[] = { "msharefs", "tmpfs" };
	char path[64], more[64], fdpath[32];
	long used[2][16] = { 0 };

	for (int i = 0; i < 2; i++) {
		int step = 0, fd, err = 0, n;
		long before;

		ASSERT_EQ(0, mount(type[i], dir[i], type[i], 0,
				   "nr_inodes=16"));
		before = used_inodes(dir[i]);
		fd = open(NAME(path, "a"), O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd);
		STEP(close(fd));
		STEP(link(NAME(path, "a"), NAME(more, "b")));
		STEP(link(NAME(path, "b"), NAME(more, "c")));
		/* The first name is like the others. */
		STEP(unlink(NAME(path, "a")));
		STEP(unlink(NAME(path, "c")));
		STEP(link(NAME(path, "b"), NAME(more, "a")));
		/* Over another name, of the same file and of others. */
		STEP(rename(NAME(path, "a"), NAME(more, "b")));
		STEP(mknod(NAME(path, "d"), S_IFREG | 0600, 0));
		STEP(rename(NAME(path, "d"), NAME(more, "b")));
		STEP(rename(NAME(path, "a"), NAME(more, "b")));
		STEP(mkdir(NAME(path, "e"), 0700));
		STEP(rmdir(NAME(path, "e")));
		/* A file without a name gets its first one for nothing. */
		fd = open(dir[i], O_RDWR | O_TMPFILE, 0600);
		ASSERT_LE(0, fd);
		sprintf(fdpath, "/proc/self/fd/%d", fd);
		STEP(linkat(AT_FDCWD, fdpath, AT_FDCWD, NAME(path, "f"),
			    AT_SYMLINK_FOLLOW));
		STEP(link(NAME(path, "f"), NAME(more, "g")));
		STEP(unlink(NAME(path, "f")) ?: unlink(NAME(more, "g")));
		STEP(close(fd));

		/* As many as there are, and not one more. */
		for (n = 0; n < 32 && !err; n++) {
			sprintf(more, "%s/link%d", dir[i], n);
			err = link(NAME(path, "b"), more) ? errno : 0;
		}
		EXPECT_EQ(ENOSPC, err);
		EXPECT_EQ(16, used_inodes(dir[i]));
		EXPECT_ERR(ENOSPC, mkdir(NAME(path, "h"), 0700));
		while (n--) {
			sprintf(more, "%s/link%d", dir[i], n);
			unlink(more);
		}
		EXPECT_EQ(0, unlink(NAME(path, "b")));
		EXPECT_EQ(before, used_inodes(dir[i]));
		EXPECT_EQ(0, umount(dir[i]));
	}
	for (size_t step = 0; step < ARRAY_SIZE(used[0]); step++) {
		EXPECT_EQ(used[1][step], used[0][step]) {
			TH_LOG("step %zu", step);
		}
	}
}

TEST_F(fs, statfs_default)
{
	struct statfs before, sf;
	char *base;
	int fd;

	ASSERT_EQ(0, statfs(MS_DIR, &before));
	EXPECT_EQ(MSHAREFS_MAGIC, (unsigned long)before.f_type);
	EXPECT_EQ(0x4d534852, MSHAREFS_MAGIC);
	EXPECT_EQ(PAGE, (unsigned long)before.f_bsize);
	EXPECT_EQ(255, before.f_namelen);

	base = ms_new(_metadata, MS_DIR "/region", self->unit, &fd);
	fill(base, 1, 64);
	ASSERT_EQ(0, statfs(MS_DIR "/region", &sf));
	EXPECT_EQ(MSHAREFS_MAGIC, (unsigned long)sf.f_type);
	/* Without a limit there is nothing to count down from, as in tmpfs. */
	EXPECT_EQ(before.f_blocks ?
		  before.f_bfree - 64 - overhead_blocks(fd) : 0, sf.f_bfree);
}

TEST_F(fs, names)
{
	struct stat st;
	int fd;

	fd = open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0640);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EEXIST, open(MS_DIR "/a", O_RDWR | O_CREAT | O_EXCL, 0600));
	EXPECT_ERR(ENOENT, open(MS_DIR "/b", O_RDWR));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFREG, st.st_mode & S_IFMT);
	EXPECT_EQ(1, st.st_nlink);

	EXPECT_EQ(0, link(MS_DIR "/a", MS_DIR "/b"));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(2, st.st_nlink);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_ERR(ENOENT, stat(MS_DIR "/a", &st));
	ASSERT_EQ(0, stat(MS_DIR "/b", &st));
	EXPECT_EQ(1, st.st_nlink);

	EXPECT_EQ(0, rename(MS_DIR "/b", MS_DIR "/c"));
	EXPECT_ERR(ENOENT, stat(MS_DIR "/b", &st));
	close(open(MS_DIR "/d", O_RDWR | O_CREAT, 0600));
	EXPECT_EQ(-1, renameat2(AT_FDCWD, MS_DIR "/c", AT_FDCWD, MS_DIR "/d",
				RENAME_NOREPLACE));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(0, rename(MS_DIR "/c", MS_DIR "/d"));
	EXPECT_EQ(0, unlink(MS_DIR "/d"));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
}

TEST_F(fs, directories)
{
	struct dirent *de;
	int fd, seen = 0;
	struct stat st;
	char *base;
	DIR *dir;

	EXPECT_EQ(0, mkdir(MS_DIR "/d", 0755));
	EXPECT_ERR(EEXIST, mkdir(MS_DIR "/d", 0755));
	EXPECT_EQ(0, mkdir(MS_DIR "/d/e", 0700));
	ASSERT_EQ(0, stat(MS_DIR "/d", &st));
	EXPECT_EQ(S_IFDIR | 0755, st.st_mode);
	EXPECT_EQ(3, st.st_nlink);

	base = ms_new(_metadata, MS_DIR "/d/e/region", self->unit, &fd);
	fill(base, 3, 4);
	EXPECT_EQ(-1, rmdir(MS_DIR "/d/e"));
	EXPECT_EQ(ENOTEMPTY, errno);
	EXPECT_EQ(0, rename(MS_DIR "/d/e/region", MS_DIR "/d/region"));
	EXPECT_EQ(0, rmdir(MS_DIR "/d/e"));
	EXPECT_EQ(0, rename(MS_DIR "/d", MS_DIR "/f"));
	EXPECT_EQ(0, damaged(base, 3, 4));

	dir = opendir(MS_DIR "/f");
	ASSERT_NE(NULL, dir);
	while ((de = readdir(dir))) {
		EXPECT_TRUE(!strcmp(de->d_name, ".") ||
			    !strcmp(de->d_name, "..") ||
			    !strcmp(de->d_name, "region"));
		seen++;
	}
	EXPECT_EQ(3, seen);
	closedir(dir);
	EXPECT_EQ(0, unlink(MS_DIR "/f/region"));
	EXPECT_EQ(0, rmdir(MS_DIR "/f"));
	EXPECT_EQ(-1, rmdir(MS_DIR));
}

TEST_F(fs, no_other_types)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
				   .sun_path = MS_DIR "/s" };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	EXPECT_ERR(EPERM, symlink("mshare_info", MS_DIR "/s"));
	EXPECT_ERR(EPERM, mknod(MS_DIR "/s", S_IFIFO | 0600, 0));
	EXPECT_ERR(EPERM, mknod(MS_DIR "/s", S_IFCHR | 0600, 0x103));
	EXPECT_ERR(EPERM, mknod(MS_DIR "/s", S_IFBLK | 0600, 0x700));
	EXPECT_EQ(-1, bind(sock, (void *)&sun, sizeof(sun)));
	EXPECT_EQ(EPERM, errno);
	EXPECT_ERR(ENOENT, lstat(MS_DIR "/s", &st));
	/* A regular one is a region, made by whatever call. */
	EXPECT_EQ(0, mknod(MS_DIR "/s", S_IFREG | 0600, 0));
	ASSERT_EQ(0, stat(MS_DIR "/s", &st));
	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
}

TEST_F(fs, mkstemp)
{
	char a[] = MS_DIR "/tmpXXXXXX", b[] = MS_DIR "/tmpXXXXXX";
	int fd = mkstemp(a), fd2 = mkstemp(b);
	struct stat st;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, fd2);
	EXPECT_STRNE(a, b);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
}

TEST_F(fs, statx)
{
	struct statx before, after;
	char *base;
	int fd;

	umask(022);
	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0666);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &before));
	EXPECT_EQ(STATX_BASIC_STATS, before.stx_mask & STATX_BASIC_STATS);
	EXPECT_EQ(S_IFREG | 0644, before.stx_mode);
	EXPECT_EQ(0, before.stx_size);
	EXPECT_EQ(1, before.stx_nlink);
	EXPECT_LE(time(NULL) - 60, before.stx_mtime.tv_sec);
	EXPECT_GE(time(NULL), before.stx_mtime.tv_sec);

	base = ms_map(fd, self->unit * 2, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &after));
	EXPECT_EQ(self->unit * 2, after.stx_size);
	EXPECT_EQ(before.stx_ino, after.stx_ino);
}

static int as_nobody(void *path)
{
	struct stat st;
	int fd;

	CHECK(!op_unprivileged(NULL));
	/* Others' files */
	CHECK(open(path, O_RDWR) == -1 && errno == EACCES);
	CHECK(chmod(path, 0666) == -1 && errno == EPERM);
	CHECK(chown(path, NOBODY, NOBODY) == -1 && errno == EPERM);
	CHECK(unlink(path) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(rename(path, MS_DIR "/x") == -1 &&
	      (errno == EPERM || errno == EACCES));
	CHECK(truncate(path, 0) == -1 && errno == EACCES);
	CHECK(open(MS_DIR "/mshare_info", O_RDWR) == -1 && errno == EACCES);
	fd = open(MS_DIR "/mshare_info", O_RDONLY);
	CHECK(fd >= 0);
	/* Its own */
	fd = open(MS_DIR "/own", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK(!chmod(MS_DIR "/own", 0400));
	CHECK(chown(MS_DIR "/own", 0, -1) == -1 && errno == EPERM);
	CHECK(open(MS_DIR "/own", O_RDWR) == -1 && errno == EACCES);
	CHECK(!stat(MS_DIR "/own", &st));
	CHECK(st.st_mode == (S_IFREG | 0400));
	CHECK(st.st_uid == NOBODY && st.st_gid == NOBODY);
	CHECK(ms_map(fd, 1UL << 30, PROT_READ | PROT_WRITE) != MAP_FAILED);
	CHECK(!unlink(MS_DIR "/own"));
	return 0;
}

TEST_F(fs, rights)
{
	struct stat st;
	int fd;

	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, in_child(as_nobody, MS_DIR "/a"));
	EXPECT_EQ(0, chmod(MS_DIR "/a", 0644));
	EXPECT_EQ(0, chown(MS_DIR "/a", 7, 8));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFREG | 0644, st.st_mode);
	EXPECT_EQ(7, st.st_uid);
	EXPECT_EQ(8, st.st_gid);
}

TEST_F(fs, umount_busy)
{
	long shmem = meminfo_kb("Shmem");
	char *base;
	int fd;

	base = ms_new(_metadata, MS_DIR "/region", self->unit, &fd);
	fill(base, 1, 256);
	EXPECT_EQ(shmem + 256 * 4, meminfo_kb("Shmem"));
	EXPECT_ERR(EBUSY, umount(MS_DIR));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_ERR(EBUSY, umount(MS_DIR));
	base = ms_map(fd, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, base);
	close(fd);
	EXPECT_ERR(EBUSY, umount(MS_DIR));
	EXPECT_EQ(0, damaged(base, 1, 256));
	EXPECT_EQ(0, munmap(base, self->unit));
	/* The name keeps the region, not the mount busy. */
	EXPECT_EQ(shmem + 256 * 4, meminfo_kb("Shmem"));
	EXPECT_EQ(0, umount(MS_DIR));
	EXPECT_EQ(shmem, meminfo_settles("Shmem", shmem));
}

TEST_F(fs, umount_lazy)
{
	char *base = ms_new(_metadata, MS_DIR "/region", self->unit, NULL);
	long shmem = meminfo_kb("Shmem");

	fill(base, 1, 64);
	EXPECT_EQ(0, umount2(MS_DIR, MNT_DETACH));
	EXPECT_EQ(0, damaged(base, 1, 64));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(shmem, meminfo_settles("Shmem", shmem));
}

TEST_HARNESS_MAIN
