// SPDX-License-Identifier: GPL-2.0
/* mprotect(2) of a window: whole units, this process, within the open mode. */
#include "mshare_test.h"

MS_FIXTURE(protect)

#define RW	(PROT_READ | PROT_WRITE)

TEST_F(protect, whole_window)
{
	const size_t unit = self->unit;
	char *base = ms_new(_metadata, MS_DIR "/a", unit, NULL);

	fill(base, 1, 8);
	EXPECT_EQ(0, mprotect(base, unit, PROT_READ));
	EXPECT_EQ(0, damaged(base, 1, 8));
	EXPECT_EQ(ACCERR, probe_write(base, 1));
	EXPECT_EQ(ACCERR, probe_write(base + 100 * PAGE, 1));
	EXPECT_EQ(0, load(base + 100 * PAGE));
	EXPECT_EQ(0, mprotect(base, unit, PROT_NONE));
	EXPECT_EQ(ACCERR, peek(base));
	EXPECT_EQ(ACCERR, probe_write(base, 1));
	EXPECT_EQ(ACCERR, peek(base + 200 * PAGE));
	EXPECT_EQ(0, mprotect(base, unit, PROT_READ));
	EXPECT_EQ(ACCERR, probe_write(base, 1));
	EXPECT_EQ(0, mprotect(base, unit, RW));
	EXPECT_EQ(0, damaged(base, 1, 8));
	EXPECT_EQ(0, probe_write(base + 300 * PAGE, 3));
	EXPECT_EQ(0, probe_write(base, 4));
	EXPECT_EQ(4, load(base));
}

TEST_F(protect, one_unit)
{
	const size_t unit = self->unit;
	char *base = ms_new(_metadata, MS_DIR "/a", 3 * unit, NULL);

	for (unsigned int i = 0; i < 3; i++)
		store(base + i * unit, i + 1);
	EXPECT_EQ(0, mprotect(base + unit, unit, PROT_READ));
	EXPECT_EQ(0, probe_write(base, 10));
	EXPECT_EQ(ACCERR, probe_write(base + unit, 10));
	EXPECT_EQ(0, probe_write(base + 2 * unit, 10));
	EXPECT_EQ(2, load(base + unit));
	EXPECT_EQ(0, mprotect(base, 3 * unit, PROT_NONE));
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(ACCERR, peek(base + i * unit));
	}
	EXPECT_EQ(0, mprotect(base, 3 * unit, RW));
	EXPECT_EQ(0, probe_write(base + unit, 11));
	/* The halves were merged again, or not: either can be unmapped. */
	EXPECT_EQ(0, munmap(base, 3 * unit));
}

TEST_F(protect, part_of_a_unit)
{
	const size_t unit = self->unit;
	char *base = ms_new(_metadata, MS_DIR "/a", 2 * unit, NULL);

	fill(base, 1, 8);
	EXPECT_ERR(EINVAL, mprotect(base, PAGE, PROT_READ));
	EXPECT_ERR(EINVAL, mprotect(base + PAGE, unit, PROT_NONE));
	EXPECT_ERR(EINVAL, mprotect(base + unit, unit - PAGE, PROT_NONE));
	EXPECT_ERR(EINVAL, mprotect(base + unit / 2, unit / 2, PROT_READ));
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT_EQ(0, probe_write(base + i * PAGE, pattern(1, i)));
	}
	EXPECT_EQ(0, probe_write(base + unit, 1));
	EXPECT_EQ(0, probe_write(base + 2 * unit - 8, 1));
	EXPECT_EQ(0, damaged(base, 1, 8));
}

TEST_F(protect, only_this_process)
{
	const size_t unit = self->unit;
	struct peer p = peer_start(_metadata);
	char *base, *second;
	long other;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	second = ms_map(fd, unit, RW);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	fill(base, 1, 4);
	EXPECT_EQ(0, peer_call(&p, op_store, other, pattern(1, 0)));

	EXPECT_EQ(0, mprotect(base, unit, PROT_NONE));
	EXPECT_EQ(0, peer_call(&p, op_store, other, 5));
	/* Nor another window of the same process. */
	EXPECT_EQ(5, load(second));
	EXPECT_EQ(0, probe_write(second + PAGE, 6));
	EXPECT_EQ(6, peer_call(&p, op_load, other + PAGE));

	EXPECT_EQ(0, peer_sys(&p, __NR_mprotect, other, unit, PROT_READ));
	EXPECT_EQ(ACCERR, peer_call(&p, op_store, other, 7));
	EXPECT_EQ(0, probe_write(second, 8));
	EXPECT_EQ(8, peer_call(&p, op_load, other));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(protect, open_mode)
{
	const size_t unit = self->unit;
	char *base, *p;
	int ro;

	base = ms_new(_metadata, MS_DIR "/a", unit, NULL);
	fill(base, 1, 4);
	ro = open(MS_DIR "/a", O_RDONLY);
	p = ms_map(ro, unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERR(EACCES, mprotect(p, unit, RW));
	EXPECT_ERR(EACCES, mprotect(p, unit, PROT_WRITE));
	EXPECT_EQ(0, damaged(p, 1, 4));
	EXPECT_EQ(ACCERR, probe_write(p, 1));
	EXPECT_EQ(0, mprotect(p, unit, PROT_NONE));
	EXPECT_ERR(EACCES, mprotect(p, unit, RW));
	EXPECT_EQ(ACCERR, peek(p));
	EXPECT_EQ(0, mprotect(p, unit, PROT_READ));
	EXPECT_EQ(0, damaged(p, 1, 4));
	EXPECT_EQ(ACCERR, probe_write(p, 1));
}

TEST_F(protect, mapped_read_only_then_raised)
{
	const size_t unit = self->unit;
	char *base, *p;
	int fd;

	/* Opened for writing, mapped for reading: may be raised later. */
	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	fill(base, 1, 4);
	p = ms_map(fd, unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, damaged(p, 1, 4));
	EXPECT_EQ(ACCERR, probe_write(p, 1));
	EXPECT_EQ(0, mprotect(p, unit, RW));
	EXPECT_EQ(0, probe_write(p, 1));
	EXPECT_EQ(1, load(base));
}

TEST_F(protect, mapped_none_then_raised)
{
	const size_t unit = self->unit;
	char *base, *p;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	fill(base, 1, 4);
	p = ms_map(fd, unit, PROT_NONE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(ACCERR, peek(p));
	EXPECT_EQ(ACCERR, probe_write(p, 1));
	EXPECT_EQ(0, mprotect(p, unit, PROT_READ));
	EXPECT_EQ(0, damaged(p, 1, 4));
	EXPECT_EQ(ACCERR, probe_write(p, 1));
	EXPECT_EQ(0, mprotect(p, unit, PROT_NONE));
	EXPECT_EQ(ACCERR, peek(p));
}

/* The shortest function: return. */
static void put_code(char *at)
{
#ifdef __x86_64__
	*at = 0xc3;
#endif
}

TEST_F(protect, execute)
{
	const size_t unit = self->unit;
	char *base, *x;
	int fd, how;

#ifndef __x86_64__
	SKIP(return, "no code to run on this architecture");
#endif
	base = ms_new(_metadata, MS_DIR "/a", unit, &fd);
	put_code(base);
	/* Not without PROT_EXEC, present or not, before and after mprotect. */
	EXPECT_EQ(ACCERR, probe_call(base));
	EXPECT_EQ(ACCERR, probe_call(base + 50 * PAGE));
	x = ms_map(fd, unit, PROT_READ);
	EXPECT_EQ(ACCERR, probe_call(x));

	/* A window that is executable runs code, or was refused as such. */
	x = ms_map(fd, unit, PROT_READ | PROT_EXEC);
	if (x == MAP_FAILED) {
		EXPECT_TRUE(errno == EPERM || errno == EACCES ||
			    errno == EINVAL);
	} else {
		how = probe_call(x);
		EXPECT_TRUE(how == 0 || how == ACCERR);
		EXPECT_EQ(ACCERR, probe_write(x, 1));
		EXPECT_EQ(0, mprotect(x, unit, PROT_READ));
		EXPECT_EQ(ACCERR, probe_call(x));
	}
	/* Whatever the other window may, this one still may not. */
	EXPECT_EQ(ACCERR, probe_call(base));
}

TEST_F(protect, noexec_mount)
{
	int fd;

	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", MS_NOEXEC, NULL));
	ms_new(_metadata, "/tmp/a", self->unit, &fd);
	EXPECT_EQ(MAP_FAILED, ms_map(fd, self->unit, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EPERM, errno);
}

TEST_F(protect, read_only_mount)
{
	char *base;
	int fd;

	base = ms_new(_metadata, MS_DIR "/a", self->unit, NULL);
	fill(base, 1, 4);
	ASSERT_EQ(0, mount(MS_DIR, "/tmp", NULL, MS_BIND, NULL));
	ASSERT_EQ(0, mount(NULL, "/tmp", NULL,
			   MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	EXPECT_ERR(EROFS, open("/tmp/a", O_RDWR));
	EXPECT_ERR(EROFS, open("/tmp/b", O_RDWR | O_CREAT, 0600));
	fd = open("/tmp/a", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, ms_map(fd, self->unit, RW));
	base = ms_map(fd, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(0, damaged(base, 1, 4));
	EXPECT_EQ(ACCERR, probe_write(base, 1));
}

TEST_F(protect, many_changes)
{
	const size_t unit = self->unit;
	char *base = ms_new(_metadata, MS_DIR "/a", 4 * unit, NULL);
	const int prots[] = { PROT_NONE, PROT_READ, RW };
	unsigned int seed = 1;
	int prot[4] = { RW, RW, RW, RW };

	for (unsigned int i = 0; i < 4; i++)
		store(base + i * unit, pattern(3, i));
	for (int n = 0; n < 300; n++) {
		unsigned int first = rand_r(&seed) % 4;
		unsigned int count = 1 + rand_r(&seed) % (4 - first);
		int new = prots[rand_r(&seed) % 3];

		ASSERT_EQ(0, mprotect(base + first * unit, count * unit, new));
		for (unsigned int i = first; i < first + count; i++)
			prot[i] = new;
		for (unsigned int i = 0; i < 4; i++) {
			EXPECT_EQ(prot[i] == PROT_NONE ? ACCERR : 0,
				  peek(base + i * unit));
			EXPECT_EQ(prot[i] == RW ? 0 : ACCERR,
				  probe_write(base + i * unit, pattern(3, i)));
		}
	}
}

TEST_HARNESS_MAIN
