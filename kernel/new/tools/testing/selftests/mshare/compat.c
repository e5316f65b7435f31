// SPDX-License-Identifier: GPL-2.0
/*
 * Callers of 32 bits: compat32, a program of that kind, calls each ioctl, and
 * what comes of it is what a caller of 64 bits gets and sees.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "compat.h"

/* Beyond what 32 bits can say. */
#define FAR		(6ULL << 30)
#define BAD_POINTER	0xfffff000ULL

FIXTURE(compat) {
	size_t unit, size;
	char *base;
	int fd, ro;
	int to, from;	/* compat32 */
	pid_t pid;
};

static void start(struct __test_metadata *_metadata,
		  FIXTURE_DATA(compat) *self)
{
	char path[PATH_MAX];
	int to[2], from[2];
	ssize_t n;

	n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	ASSERT_LT(0, n);
	memcpy(path + n, "32", 3);
	ASSERT_EQ(0, pipe2(to, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(from, O_CLOEXEC));
	self->pid = fork();
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(path, path, NULL);
		_exit(126);
	}
	ASSERT_LT(0, self->pid);
	close(to[0]);
	close(from[1]);
	self->to = to[1];
	self->from = from[0];
}

FIXTURE_SETUP(compat)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->size = 8 * self->unit;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->size);
	self->ro = open(MS_DIR "/a", O_RDONLY);
	ASSERT_LE(0, self->ro);
	/* compat32 has these two. */
	ASSERT_EQ(0, fcntl(self->fd, F_SETFD, 0));
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	start(_metadata, self);
}

FIXTURE_TEARDOWN(compat)
{
	close(self->to);
	waitpid(self->pid, NULL, 0);
}

/* What the call returned, -EPIPE when compat32 is dead. */
static long call(FIXTURE_DATA(compat) *self, int op, int fd, const __u64 *arg,
		 struct compat_result *res)
{
	struct compat_call call = { .op = op, .fd = fd };

	memcpy(call.arg, arg, sizeof(call.arg));
	signal(SIGPIPE, SIG_IGN);
	if (write(self->to, &call, sizeof(call)) != sizeof(call) ||
	    read(self->from, res, sizeof(*res)) != sizeof(*res))
		return -EPIPE;
	return res->ret;
}

#define CALL(op, fd, ...) \
	call(self, op, fd, (__u64[COMPAT_ARGS]){ __VA_ARGS__ }, &res)

TEST_F(compat, numbers)
{
	const __u64 numbers[] = {
		4, MSHAREFS_CREATE_MAPPING, MSHAREFS_UNMAP, MSHAREFS_PROTECT,
		MSHAREFS_ADVISE, MSHAREFS_LOCK, MSHAREFS_STAT,
		MSHAREFS_NEXT_MAPPING,
	};
	struct compat_result res;

	ASSERT_EQ(0, CALL(COMPAT_HELLO, 0));
	EXPECT_EQ(0, memcmp(numbers, res.out, sizeof(numbers)));
}

/* As compat32.c passes it. */
static void stat_out(int fd, __u64 *out)
{
	struct mshare_stat st = region_stat(fd);
	const __u64 val[] = {
		st.size, st.mappings, st.windows, st.processes, st.resident,
		st.page_tables, st.locked, st.links, st.faults, st.flushes,
	};

	memset(out, 0, COMPAT_OUT * sizeof(*out));
	memcpy(out, val, sizeof(val));
}

static int next_out(int fd, __u64 from, __u64 *out)
{
	struct mshare_mapping m;
	int ret = region_next(fd, from, &m);
	const __u64 val[] = {
		m.offset, m.size, m.object_offset, m.inode, m.prot,
		m.max_prot, m.flags, m.kind, m.dev_major, m.dev_minor,
		m.page_shift,
	};

	memset(out, 0, COMPAT_OUT * sizeof(*out));
	memcpy(out, val, sizeof(val));
	return ret;
}

TEST_F(compat, create)
{
	struct compat_result res;
	int object = ms_memfd(_metadata, 3, 16);
	__u64 same[COMPAT_OUT];
	struct mshare_mapping m;

	/* It has the file from the start, to have it there, too. */
	close(self->to);
	waitpid(self->pid, NULL, 0);
	ASSERT_EQ(0, fcntl(object, F_SETFD, 0));
	start(_metadata, self);

	EXPECT_EQ(0, CALL(COMPAT_CREATE, self->fd, FAR, 4 * PAGE, ~0ULL, RW,
			  ANON, 77, 0xffffffff));
	EXPECT_EQ(0, CALL(COMPAT_CREATE, self->fd, FAR + 16 * PAGE, 8 * PAGE,
			  8 * PAGE, PROT_READ, FIXED, object, 0x12345678));
	ASSERT_EQ(0, region_next(self->fd, 0, &m));
	EXPECT_EQ(FAR, m.offset);
	EXPECT_EQ(4 * PAGE, m.size);
	EXPECT_EQ(RW, m.prot);
	EXPECT_EQ(MSHAREFS_KIND_ANON, m.kind);
	ASSERT_EQ(0, region_next(self->fd, FAR + 4 * PAGE, &m));
	EXPECT_EQ(FAR + 16 * PAGE, m.offset);
	EXPECT_EQ(8 * PAGE, m.size);
	EXPECT_EQ(8 * PAGE, m.object_offset);
	EXPECT_EQ(PROT_READ, m.prot);
	EXPECT_EQ(MSHAREFS_KIND_SHMEM, m.kind);
	EXPECT_EQ(0, probe_write(self->base + FAR, 5));
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT_EQ(pattern(3, 8 + i),
			  load(self->base + FAR + (16 + i) * PAGE));
	}

	EXPECT_EQ(-EEXIST, CALL(COMPAT_CREATE, self->fd, FAR, PAGE, 0, RW,
				NOREPLACE | MAP_ANONYMOUS));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_CREATE, self->fd, self->size, PAGE, 0,
				RW, ANON));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_CREATE, self->fd, 1, PAGE, 0, RW, ANON));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_CREATE, self->fd, 0, PAGE, 0, RW,
				MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS));
	EXPECT_EQ(-EBADF, CALL(COMPAT_CREATE, self->fd, 0, PAGE, 0, RW, FIXED,
			       (__u32)-1));
	EXPECT_EQ(5, load(self->base + FAR));
	ASSERT_EQ(0, CALL(COMPAT_STAT, self->fd));
	stat_out(self->fd, same);
	EXPECT_EQ(2, res.out[1]);
	EXPECT_EQ(0, memcmp(same, res.out, sizeof(same)));
}

TEST_F(compat, unmap)
{
	struct compat_result res;

	ASSERT_EQ(0, region_anon(self->fd, FAR, 8 * PAGE));
	fill(self->base + FAR, 1, 8);
	EXPECT_EQ(0, CALL(COMPAT_UNMAP, self->fd, FAR + 2 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, damaged(self->base + FAR, 1, 2));
	for (unsigned int i = 2; i < 6; i++) {
		EXPECT_EQ(MAPERR, peek(self->base + FAR + i * PAGE));
	}
	EXPECT_EQ(pattern(1, 6), load(self->base + FAR + 6 * PAGE));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_UNMAP, self->fd, FAR, 0));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_UNMAP, self->fd, FAR,
				-(__u64)PAGE));
	EXPECT_EQ(0, damaged(self->base + FAR, 1, 2));
}

TEST_F(compat, protect)
{
	struct compat_result res;

	ASSERT_EQ(0, region_anon(self->fd, FAR, 8 * PAGE));
	fill(self->base + FAR, 1, 8);
	EXPECT_EQ(0, CALL(COMPAT_PROTECT, self->fd, FAR + PAGE, PAGE,
			  PROT_READ));
	EXPECT_EQ(ACCERR, probe_write(self->base + FAR + PAGE, 1));
	EXPECT_EQ(0, CALL(COMPAT_PROTECT, self->fd, FAR + 2 * PAGE, PAGE,
			  PROT_NONE));
	EXPECT_EQ(ACCERR, peek(self->base + FAR + 2 * PAGE));
	EXPECT_EQ(0, probe_write(self->base + FAR + 3 * PAGE, pattern(1, 3)));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_PROTECT, self->fd, FAR, 8 * PAGE,
				PROT_READ, 1));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_PROTECT, self->fd, FAR, 8 * PAGE, 8));
	EXPECT_EQ(-ENOMEM, CALL(COMPAT_PROTECT, self->fd, FAR, 9 * PAGE,
				PROT_READ));
	EXPECT_EQ(0, probe_write(self->base + FAR, pattern(1, 0)));
	EXPECT_EQ(0, CALL(COMPAT_PROTECT, self->fd, FAR, 8 * PAGE, RW));
	EXPECT_EQ(0, damaged(self->base + FAR, 1, 8));
}

TEST_F(compat, advise)
{
	struct compat_result res;

	ASSERT_EQ(0, region_anon(self->fd, FAR, 8 * PAGE));
	EXPECT_EQ(0, CALL(COMPAT_ADVISE, self->fd, FAR, 4 * PAGE,
			  MADV_POPULATE_WRITE));
	EXPECT_EQ(4 * PAGE, region_stat(self->fd).resident);
	fill(self->base + FAR, 1, 8);
	EXPECT_EQ(0, CALL(COMPAT_ADVISE, self->fd, FAR + PAGE, PAGE,
			  MADV_REMOVE));
	EXPECT_EQ(0, load(self->base + FAR + PAGE));
	EXPECT_EQ(pattern(1, 0), load(self->base + FAR));
	EXPECT_EQ(pattern(1, 2), load(self->base + FAR + 2 * PAGE));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_ADVISE, self->fd, FAR, PAGE, 12345));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_ADVISE, self->fd, FAR, PAGE,
				MADV_NORMAL, 1));
}

TEST_F(compat, lock)
{
	struct compat_result res;

	ASSERT_EQ(0, region_anon(self->fd, FAR, 8 * PAGE));
	EXPECT_EQ(0, CALL(COMPAT_LOCK, self->fd, FAR, 4 * PAGE,
			  MSHAREFS_LOCK_ON));
	EXPECT_EQ(4 * PAGE, region_stat(self->fd).locked);
	EXPECT_EQ(4 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(0, CALL(COMPAT_LOCK, self->fd, FAR + 4 * PAGE, 4 * PAGE,
			  MSHAREFS_LOCK_ON, MSHAREFS_LOCK_ONFAULT));
	EXPECT_EQ(8 * PAGE, region_stat(self->fd).locked);
	EXPECT_EQ(4 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(-EINVAL, CALL(COMPAT_LOCK, self->fd, FAR, PAGE, 3));
	EXPECT_EQ(0, CALL(COMPAT_LOCK, self->fd, FAR, 8 * PAGE,
			  MSHAREFS_LOCK_OFF));
	EXPECT_EQ(0, region_stat(self->fd).locked);
}

TEST_F(compat, next_mapping)
{
	__u64 same[COMPAT_OUT], at = 0;
	struct compat_result res;
	int n = 0;

	ASSERT_EQ(0, region_anon(self->fd, 0, PAGE));
	ASSERT_EQ(0, region_map(self->fd, FAR, 8 * PAGE, PROT_READ, FIXED,
				ms_memfd(_metadata, 3, 16), 4 * PAGE));
	ASSERT_EQ(0, region_anon(self->fd, self->size - PAGE, PAGE));
	for (; !next_out(self->fd, at, same); n++, at = same[0] + same[1]) {
		ASSERT_EQ(0, CALL(COMPAT_NEXT, self->fd, at));
		EXPECT_EQ(0, memcmp(same, res.out, sizeof(same)));
	}
	EXPECT_EQ(3, n);
	EXPECT_EQ(-ENOENT, CALL(COMPAT_NEXT, self->fd, self->size));
	EXPECT_EQ(-EINVAL, CALL(COMPAT_NEXT, self->fd, 0, 1));
}

/* Numbers, pointers and files that are wrong. */
TEST_F(compat, refused)
{
	const __u64 numbers[] = {
		MSHAREFS_CREATE_MAPPING, MSHAREFS_UNMAP, MSHAREFS_PROTECT,
		MSHAREFS_ADVISE, MSHAREFS_LOCK, MSHAREFS_STAT,
		MSHAREFS_NEXT_MAPPING,
	};
	struct compat_result res;
	bool changes;

	close(self->to);
	waitpid(self->pid, NULL, 0);
	ASSERT_EQ(0, fcntl(self->ro, F_SETFD, 0));
	start(_metadata, self);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		changes = numbers[i] != MSHAREFS_STAT &&
			  numbers[i] != MSHAREFS_NEXT_MAPPING;
		EXPECT_EQ(-EFAULT, CALL(COMPAT_IOCTL, self->fd, numbers[i],
					BAD_POINTER));
		EXPECT_EQ(-EFAULT, CALL(COMPAT_IOCTL, self->fd, numbers[i]));
		EXPECT_EQ(changes ? -EBADF : -EFAULT,
			  CALL(COMPAT_IOCTL, self->ro, numbers[i],
			       BAD_POINTER));
		EXPECT_EQ(-ENOTTY, CALL(COMPAT_IOCTL, self->fd,
					numbers[i] ^ 0x40000, BAD_POINTER));
		EXPECT_EQ(-ENOTTY, CALL(COMPAT_IOCTL, self->fd,
					numbers[i] ^ 0x80, BAD_POINTER));
		EXPECT_EQ(-EBADF, CALL(COMPAT_IOCTL, 9999, numbers[i],
				       BAD_POINTER));
	}
	EXPECT_EQ(0, region_stat(self->fd).mappings);
}

TEST_F(compat, window)
{
	struct compat_result res;
	__u64 at;

	ASSERT_EQ(0, region_anon(self->fd, self->unit, 8 * PAGE));
	fill(self->base + self->unit, 1, 8);
	ASSERT_EQ(0, CALL(COMPAT_MMAP, self->fd, 0, self->unit, RW, MAP_SHARED,
			  self->unit));
	at = res.out[0];
	EXPECT_EQ(0, at % self->unit) {
		TH_LOG("mmap: %s", strerror(-(int)at));
	}
	ASSERT_EQ(0, CALL(COMPAT_LOAD, 0, at + 3 * PAGE));
	EXPECT_EQ(pattern(1, 3), res.out[0]);
	ASSERT_EQ(0, CALL(COMPAT_STORE, 0, at + 4 * PAGE, 44));
	EXPECT_EQ(44, load(self->base + self->unit + 4 * PAGE));
	EXPECT_EQ(2, region_stat(self->fd).processes);

	/* Where it asks for it; not half a unit; and no more than there is. */
	ASSERT_EQ(0, CALL(COMPAT_MMAP, self->fd, self->unit, self->unit,
			  PROT_READ, MAP_SHARED | MAP_FIXED, self->unit));
	EXPECT_EQ(self->unit, res.out[0]);
	ASSERT_EQ(0, CALL(COMPAT_LOAD, 0, self->unit + 4 * PAGE));
	EXPECT_EQ(44, res.out[0]);
	ASSERT_EQ(0, CALL(COMPAT_MMAP, self->fd, self->unit, self->unit / 2,
			  PROT_READ, MAP_SHARED | MAP_FIXED, 0));
	EXPECT_EQ(-EINVAL, (int)res.out[0]);
	ASSERT_EQ(0, CALL(COMPAT_MMAP, self->fd, 0, 3 * self->unit, PROT_READ,
			  MAP_SHARED, 0));
	EXPECT_EQ(-ENOMEM, (int)res.out[0]);

	/* Protection changes reach it as they reach everyone. */
	ASSERT_EQ(0, region_protect(self->fd, self->unit + 4 * PAGE, PAGE,
				    PROT_NONE));
	EXPECT_EQ(-EPIPE, CALL(COMPAT_LOAD, 0, at + 4 * PAGE));
}

TEST_HARNESS_MAIN
