// SPDX-License-Identifier: GPL-2.0
/* Windows: mmap() and munmap() of a region, addresses, and what is seen. */
#include "mshare_test.h"

MS_FIXTURE(window)

#define RW	(PROT_READ | PROT_WRITE)
#define FAIL(err, call) do {						\
	errno = 0;							\
	EXPECT_EQ(MAP_FAILED, (call));					\
	EXPECT_EQ(err, errno) {						\
		TH_LOG("%s: %s", #call, strerror(errno));		\
	}								\
} while (0)

/* An address range of @len with nothing in it, aligned to the unit. */
static char *hole(size_t unit, size_t len)
{
	char *p = mmap(NULL, len + unit, PROT_NONE, MAP_PRIVATE |
		       MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	munmap(p, len + unit);
	return (char *)(((unsigned long)p + unit - 1) & -unit);
}

TEST_F(window, alignment)
{
	const size_t unit = self->unit;
	char *at = hole(unit, 8 * unit);
	int fd;

	ASSERT_EQ(0, munmap(ms_new(_metadata, MS_DIR "/a", 2 * unit, &fd),
			    2 * unit));
	FAIL(EINVAL, mmap(at + PAGE, unit, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	FAIL(EINVAL, mmap(at + unit / 2, unit, RW, MAP_SHARED | MAP_FIXED, fd,
			  0));
	FAIL(EINVAL, mmap(at + PAGE, unit, RW,
			  MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0));
	FAIL(EINVAL, ms_map(fd, PAGE, RW));
	FAIL(EINVAL, ms_map(fd, unit - PAGE, RW));
	FAIL(EINVAL, ms_map(fd, unit + PAGE, RW));
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_SHARED, fd, PAGE));
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_SHARED, fd, unit / 2));
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_SHARED, fd, 1));
	FAIL(EINVAL, mmap(NULL, 0, RW, MAP_SHARED, fd, 0));
	EXPECT_EQ(at, mmap(at, unit, RW, MAP_SHARED | MAP_FIXED, fd, unit));
}

TEST_F(window, beyond_end)
{
	const size_t unit = self->unit;
	int fd;

	ms_new(_metadata, MS_DIR "/a", 2 * unit, &fd);
	FAIL(EINVAL, ms_map(fd, 3 * unit, RW));
	FAIL(EINVAL, mmap(NULL, 2 * unit, RW, MAP_SHARED, fd, unit));
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_SHARED, fd, 2 * unit));
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_SHARED, fd, 1L << 46));
	/* The sum wraps: mmap(2) itself has EOVERFLOW for that. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * unit, RW, MAP_SHARED, fd,
				   LONG_MAX - unit + 1));
	EXPECT_NE(MAP_FAILED, mmap(NULL, unit, RW, MAP_SHARED, fd, unit));
}

TEST_F(window, flags)
{
	const size_t unit = self->unit;
	char *base, *p;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	FAIL(EINVAL, mmap(NULL, unit, RW, MAP_PRIVATE, fd, 0));
	FAIL(EINVAL, mmap(NULL, unit, PROT_READ, MAP_PRIVATE, fd, 0));
	FAIL(EINVAL, mmap(NULL, unit, RW, 0, fd, 0));
	FAIL(EOPNOTSUPP, mmap(NULL, unit, RW, MAP_SHARED_VALIDATE | MAP_SYNC,
			      fd, 0));
	FAIL(EEXIST, mmap(base, unit, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
			  0));
	p = mmap(NULL, unit, RW, MAP_SHARED_VALIDATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	store(base, 5);
	EXPECT_EQ(5, load(p));
	FAIL(EBADF, ms_map(-1, unit, RW));
}

TEST_F(window, open_mode)
{
	const size_t unit = self->unit;
	int fd, ro, wo, path;

	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);
	ro = open(MS_DIR "/a", O_RDONLY);
	wo = open(MS_DIR "/a", O_WRONLY);
	path = open(MS_DIR "/a", O_PATH);
	/* No shape yet, and a reader gives it none. */
	FAIL(EINVAL, ms_map(ro, unit, PROT_READ));
	FAIL(EACCES, ms_map(ro, unit, RW));
	FAIL(EACCES, ms_map(wo, unit, PROT_WRITE));
	/* A writer does, however it maps. */
	ASSERT_NE(MAP_FAILED, ms_map(fd, unit, PROT_READ));

	FAIL(EACCES, ms_map(ro, unit, RW));
	FAIL(EACCES, ms_map(ro, unit, PROT_WRITE));
	FAIL(EACCES, ms_map(wo, unit, RW));
	FAIL(EACCES, ms_map(wo, unit, PROT_READ));
	FAIL(EBADF, ms_map(path, unit, PROT_READ));
	EXPECT_NE(MAP_FAILED, ms_map(ro, unit, PROT_READ));
	EXPECT_NE(MAP_FAILED, ms_map(ro, unit, PROT_NONE));
	EXPECT_NE(MAP_FAILED, ms_map(fd, unit, RW));
}

TEST_F(window, address)
{
	const size_t unit = self->unit;
	char *base, *p[8];
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	EXPECT_EQ(0, (unsigned long)base % unit);
	EXPECT_GT(1UL << 47, (unsigned long)base);
	for (int i = 0; i < 8; i++) {
		p[i] = ms_map(fd, unit, RW);
		ASSERT_NE(MAP_FAILED, p[i]);
		EXPECT_EQ(0, (unsigned long)p[i] % unit);
		EXPECT_GT(1UL << 47, (unsigned long)p[i]);
		for (int j = 0; j < i; j++) {
			EXPECT_NE(p[j], p[i]);
		}
		store(p[i], i);
		EXPECT_EQ(i, load(base));
	}
}

TEST_F(window, address_hint)
{
	const size_t unit = self->unit;
	char *at = hole(unit, 16 * unit), *p, *q;
	int fd;

	ASSERT_EQ(0, munmap(ms_new(_metadata, MS_DIR "/a", unit, &fd), unit));
	p = mmap(at + 4 * unit, unit, RW, MAP_SHARED, fd, 0);
	EXPECT_EQ(at + 4 * unit, p);
	/* Rounded: to one of the neighbours, both of them free. */
	q = mmap(at + 8 * unit + 5 * PAGE, unit, RW, MAP_SHARED, fd, 0);
	EXPECT_EQ(0, (unsigned long)q % unit);
	EXPECT_TRUE(q == at + 8 * unit || q == at + 9 * unit);
	/* Taken: elsewhere, and nothing is replaced. */
	store(p, 9);
	q = mmap(p, unit, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_NE(p, q);
	EXPECT_EQ(9, load(p));
}

TEST_F(window, address_high)
{
	const size_t unit = self->unit;
	char *high = (char *)(1UL << 48), *p;
	bool la57;
	int fd;

	p = mmap(high, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	la57 = p == high;
	munmap(p, PAGE);

	ASSERT_EQ(0, munmap(ms_new(_metadata, MS_DIR "/a", unit, &fd), unit));
	p = mmap(high, unit, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	if (la57) {
		EXPECT_EQ(high, p);
	} else {
		EXPECT_GT(1UL << 47, (unsigned long)p);
	}
	EXPECT_EQ(0, (unsigned long)p % unit);
	EXPECT_EQ(0, probe_write(p, 3));
	EXPECT_EQ(3, load(p));
}

TEST_F(window, address_crowded)
{
	const size_t unit = self->unit;
	char *at = hole(unit, 3 * unit), *p;
	int fd;

	/* A gap that is long enough, but not when aligned. */
	ASSERT_EQ(0, munmap(ms_new(_metadata, MS_DIR "/a", unit, &fd), unit));
	ASSERT_NE(MAP_FAILED, mmap(at, PAGE, PROT_READ, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_NE(MAP_FAILED, mmap(at + 2 * unit - PAGE, PAGE, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				   0));
	p = mmap(at, unit, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, (unsigned long)p % unit);
	EXPECT_TRUE(p + unit <= at || p >= at + 2 * unit);
}

TEST_F(window, offset)
{
	const size_t unit = self->unit;
	char *base, *second, *both;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", 3 * unit, &fd);
	second = mmap(NULL, unit, RW, MAP_SHARED, fd, unit);
	both = mmap(NULL, 2 * unit, RW, MAP_SHARED, fd, unit);
	ASSERT_NE(MAP_FAILED, second);
	ASSERT_NE(MAP_FAILED, both);

	for (unsigned int i = 0; i < 3; i++)
		store(base + i * unit + PAGE, pattern(1, i));
	EXPECT_EQ(pattern(1, 1), load(second + PAGE));
	EXPECT_EQ(pattern(1, 1), load(both + PAGE));
	EXPECT_EQ(pattern(1, 2), load(both + unit + PAGE));
	store(both + unit + 5 * PAGE, 42);
	EXPECT_EQ(42, load(base + 2 * unit + 5 * PAGE));
	EXPECT_EQ(0, load(base + 5 * PAGE));
	EXPECT_EQ(0, load(base + unit + 5 * PAGE));
}

TEST_F(window, whole_length)
{
	const size_t unit = self->unit;
	char *base = ms_new(_metadata, MS_DIR "/a", unit, NULL);

	/* One page in every table, and the last of all. */
	for (size_t at = 0; at < unit; at += 2UL << 20)
		store(base + at, at + 1);
	store(base + unit - 8, 7);
	for (size_t at = 0; at < unit; at += 2UL << 20) {
		EXPECT_EQ(at + 1, load(base + at));
	}
	EXPECT_EQ(7, load(base + unit - 8));
	EXPECT_EQ(0, load(base + PAGE));
}

TEST_F(window, larger_than_512G)
{
	const size_t unit = self->unit, size = 700 * unit;
	struct peer p = peer_start(_metadata);
	char *base;
	long other;

	base = ms_new(_metadata, MS_DIR "/a", size, NULL);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	for (unsigned int i = 0; i < 700; i += 50)
		store(base + i * unit, pattern(2, i));
	store(base + size - 8, 8);
	for (unsigned int i = 0; i < 700; i += 50) {
		EXPECT_EQ(pattern(2, i),
			  peer_call(&p, op_load, other + i * unit));
	}
	EXPECT_EQ(8, peer_call(&p, op_load, other + size - 8));
	EXPECT_EQ(0, munmap(base, size));
	EXPECT_EQ(MAPERR, peek(base));
	EXPECT_EQ(MAPERR, peek(base + 650 * unit));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(window, two_processes)
{
	const size_t unit = self->unit;
	struct peer p = peer_start(_metadata), q = peer_start(_metadata);
	char *at = hole(unit, 16 * unit), *base;
	long fd1, fd2;

	base = ms_new(_metadata, MS_DIR "/a", 2 * unit, NULL);
	fd1 = peer_open(&p, MS_DIR "/a", O_RDWR);
	fd2 = peer_open(&q, MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd1);
	ASSERT_LE(0, fd2);
	EXPECT_EQ(L(at), peer_mmap(&p, at, 2 * unit, RW, fd1, 0));
	EXPECT_EQ(L(at + 5 * unit), peer_mmap(&q, at + 5 * unit, unit, RW, fd2,
					      unit));
	/* Each sees what the others write, at once, whoever was first. */
	store(base, 1);
	EXPECT_EQ(1, peer_call(&p, op_load, L(at)));
	EXPECT_EQ(0, peer_call(&p, op_store, L(at + unit), 2));
	EXPECT_EQ(2, peer_call(&q, op_load, L(at + 5 * unit)));
	EXPECT_EQ(2, load(base + unit));
	EXPECT_EQ(0, peer_call(&q, op_store, L(at + 5 * unit + 9 * PAGE), 3));
	EXPECT_EQ(3, load(base + unit + 9 * PAGE));
	EXPECT_EQ(3, peer_call(&p, op_load, L(at + unit + 9 * PAGE)));
	EXPECT_EQ(MAPERR, peer_call(&q, op_peek, L(at)));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(3, peer_call(&q, op_load, L(at + 5 * unit + 9 * PAGE)));
	EXPECT_EQ(0, peer_stop(&q));
}

TEST_F(window, hole)
{
	const size_t unit = self->unit;
	char *base;
	int fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);

	ASSERT_EQ(0, ftruncate(fd, 2 * unit));
	base = ms_map(fd, 2 * unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(MAPERR, peek(base));
	EXPECT_EQ(MAPERR, probe_write(base, 1));
	EXPECT_EQ(MAPERR, peek(base + unit + 123 * PAGE));
	/* A system call meets a hole as EFAULT. */
	EXPECT_EQ(-1, syscall(__NR_getrandom, base, 8L, 0L));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(window, munmap_splits)
{
	const size_t unit = self->unit;
	char *base;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", 3 * unit, &fd);
	for (unsigned int i = 0; i < 3; i++)
		store(base + i * unit, pattern(1, i));
	EXPECT_EQ(0, munmap(base + unit, unit));
	EXPECT_EQ(pattern(1, 0), load(base));
	EXPECT_EQ(MAPERR, peek(base + unit));
	EXPECT_EQ(pattern(1, 2), load(base + 2 * unit));
	store(base + 2 * unit + PAGE, 4);
	EXPECT_EQ(0, munmap(base, unit));
	EXPECT_EQ(MAPERR, peek(base));
	EXPECT_EQ(4, load(base + 2 * unit + PAGE));
	/* Nothing is lost in the region. */
	base = ms_map(fd, 3 * unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(pattern(1, i), load(base + i * unit));
	}
}

TEST_F(window, munmap_part)
{
	const size_t unit = self->unit;
	char *at = hole(unit, 5 * unit), *base, *anon;
	int fd;

	munmap(ms_new(_metadata, MS_DIR "/a", 2 * unit, &fd), 2 * unit);
	base = mmap(at + unit, 2 * unit, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	ASSERT_EQ(at + unit, base);
	anon = mmap(base - PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_FIXED, -1, 0);
	ASSERT_EQ(base - PAGE, anon);
	store(anon, 6);
	fill(base, 1, 16);
	store(base + unit, 5);

	EXPECT_ERR(EINVAL, munmap(base, PAGE));
	EXPECT_ERR(EINVAL, munmap(base + PAGE, PAGE));
	EXPECT_ERR(EINVAL, munmap(base + PAGE, unit));
	EXPECT_ERR(EINVAL, munmap(base, unit + PAGE));
	EXPECT_ERR(EINVAL, munmap(base + unit / 2, unit));
	EXPECT_ERR(EINVAL, munmap(base + 2 * unit - PAGE, PAGE));
	/* Also when it starts or ends in a neighbour: all or nothing. */
	EXPECT_ERR(EINVAL, munmap(anon, 2 * PAGE));
	EXPECT_EQ(6, load(anon));
	EXPECT_EQ(0, damaged(base, 1, 16));
	EXPECT_EQ(5, load(base + unit));

	EXPECT_EQ(0, munmap(anon, PAGE + 2 * unit));
	EXPECT_EQ(MAPERR, peek(anon));
	EXPECT_EQ(MAPERR, peek(base));
	EXPECT_EQ(MAPERR, peek(base + unit));
}

TEST_F(window, fixed_over_part)
{
	const size_t unit = self->unit;
	char *base, *p;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", 3 * unit, &fd);
	for (unsigned int i = 0; i < 3; i++)
		store(base + i * unit, pattern(1, i));
	/* A part of a unit cannot be covered ... */
	FAIL(EINVAL, mmap(base + unit, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			  MAP_FIXED, -1, 0));
	EXPECT_EQ(pattern(1, 1), load(base + unit));
	/* ... a whole one can, and the region does not notice. */
	p = mmap(base + unit, unit, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0);
	ASSERT_EQ(base + unit, p);
	EXPECT_EQ(0, load(p));
	store(p, 99);
	EXPECT_EQ(pattern(1, 0), load(base));
	EXPECT_EQ(pattern(1, 2), load(base + 2 * unit));
	p = mmap(NULL, unit, RW, MAP_SHARED, fd, unit);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(pattern(1, 1), load(p));
	/* And back. */
	p = mmap(base + unit, unit, RW, MAP_SHARED | MAP_FIXED, fd, unit);
	ASSERT_EQ(base + unit, p);
	EXPECT_EQ(pattern(1, 1), load(p));
}

TEST_F(window, replaced)
{
	const size_t unit = self->unit;
	char *at, *a, *b, *p;
	uint64_t val;
	int fda, fdb;

	a = ms_new(_metadata, MS_DIR "/a", unit, &fda);
	b = ms_new(_metadata, MS_DIR "/b", unit, &fdb);
	fill(a, 1, 16);
	fill(b, 2, 16);
	at = ms_map(fda, unit, RW);
	EXPECT_EQ(0, damaged(at, 1, 16));
	p = mmap(at, unit, RW, MAP_SHARED | MAP_FIXED, fdb, 0);
	ASSERT_EQ(at, p);
	EXPECT_EQ(0, damaged(at, 2, 16));
	store(at + 20 * PAGE, 9);
	EXPECT_EQ(9, load(b + 20 * PAGE));
	EXPECT_EQ(0, load(a + 20 * PAGE));
	EXPECT_EQ(0, damaged(a, 1, 16));
	/* One that cannot be made may cost the old one, as with any file. */
	FAIL(EINVAL, mmap(at, unit, RW, MAP_SHARED | MAP_FIXED, fda, unit));
	EXPECT_TRUE(probe_read(at, &val) == MAPERR || val == pattern(2, 0));
	EXPECT_EQ(0, damaged(a, 1, 16));
	EXPECT_EQ(0, damaged(b, 2, 16));
}

TEST_F(window, address_space_limit)
{
	const size_t unit = self->unit;
	struct rlimit rl = { 2 * unit, 2 * unit };
	int fd;

	ASSERT_EQ(0, munmap(ms_new(_metadata, MS_DIR "/a", 4 * unit, &fd),
			    4 * unit));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &rl));
	FAIL(ENOMEM, ms_map(fd, 2 * unit, RW));
	EXPECT_NE(MAP_FAILED, ms_map(fd, unit, RW));
	FAIL(ENOMEM, ms_map(fd, unit, RW));
}

TEST_F(window, maps_line)
{
	static char text[1 << 16];
	char want[64], *line, *base;

	base = ms_new(_metadata, MS_DIR "/a", 2 * self->unit, NULL);
	snprintf(want, sizeof(want), "%lx-%lx rw-s 00000000 ", L(base),
		 L(base) + 2 * self->unit);
	ASSERT_LT(0, read_file("/proc/self/maps", text, sizeof(text)));
	line = strstr(text, want);
	ASSERT_NE(NULL, line) TH_LOG("no line %s", want);
	*strchrnul(line, '\n') = 0;
	EXPECT_NE(NULL, strstr(line, " " MS_DIR "/a"));
}

TEST_F(window, populate)
{
	const size_t unit = self->unit;
	char *base, *p;
	int fd;

	/* A container has nothing to populate: not an error of mmap(2). */
	fd = open(MS_DIR "/a", O_RDWR | O_CREAT, 0600);
	ASSERT_EQ(0, ftruncate(fd, unit));
	p = mmap(NULL, unit, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAPERR, peek(p));

	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", 0, "size=1m"));
	base = ms_new(_metadata, "/tmp/b", unit, &fd);
	fill(base, 1, 8);
	p = mmap(NULL, unit, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, damaged(p, 1, 8));
}

TEST_HARNESS_MAIN
