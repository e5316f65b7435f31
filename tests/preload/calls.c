// SPDX-License-Identifier: GPL-2.0
/* The preload: what the program's calls become. */
#include <signal.h>

#include "preload_test.h"

#define PAGE	PRELOAD_PAGE

static void exact_length(void **state)
{
	size_t len = 3 * MIB + 1;
	char *p = area(len);

	(void)state;
	assert_int_equal(1, windows);
	assert_int_equal(0, p[len - 1]);
	p[len - 1] = 1;
	assert_int_equal(0, preload_munmap(p, len));
	assert_int_equal(0, windows);
	assert_int_equal(unmapped_len, UNIT);
	assert_false(table_has(0, UINTPTR_MAX));
}

static void second_one_is_empty(void **state)
{
	char *p = area(2 * MIB);

	(void)state;
	memset(p, 1, 2 * MIB);
	assert_int_equal(0, preload_munmap(p, 2 * MIB));
	p = area(2 * MIB);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		assert_int_equal(0, p[i]);
	assert_int_equal(0, preload_munmap(p, 2 * MIB));
}

/* The window goes with the last part, in whichever order. */
static void parts(void **state)
{
	char *p = area(4 * MIB);

	(void)state;
	assert_int_equal(0, preload_munmap(p + MIB, MIB));
	assert_int_equal(0, preload_munmap(p + MIB, MIB));
	assert_int_equal(0, preload_munmap(p, PAGE));
	p[PAGE] = 1;
	p[4 * MIB - 1] = 1;
	assert_int_equal(0, preload_munmap(p + 2 * MIB, 2 * MIB));
	assert_int_equal(1, windows);
	p[PAGE] = 1;
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(0, windows);
}

/* Of several units, those without a byte in use are unmapped. */
static void units(void **state)
{
	size_t len = 2 * UNIT + MIB;
	char *p = area(len);

	(void)state;
	assert_int_equal(3, windows);
	assert_int_equal(0, preload_munmap(p + UNIT - MIB, UNIT + 2 * MIB - PAGE));
	assert_int_equal(2, windows);
	assert_true(unmapped == (uintptr_t)p + UNIT);
	p[0] = 1;
	p[len - 1] = 1;
	assert_int_equal(0, preload_munmap(p, len));
	assert_int_equal(0, windows);
}

static void with_neighbours(void **state)
{
	char *p = area(MIB), *q;

	(void)state;
	q = mmap(p - 2 * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE, -1, 0);
	assert_true(q == p - 2 * PAGE);
	assert_int_equal(0, preload_munmap(q + PAGE, PAGE + UNIT));
	assert_int_equal(0, table_has(0, UINTPTR_MAX));
	assert_true(is_mapped(q));
	assert_false(is_mapped(q + PAGE));
	assert_false(is_mapped(p));
	munmap(q, PAGE);
}

static void wrong_unmapping(void **state)
{
	char *p = area(MIB);

	(void)state;
	assert_int_equal(-1, preload_munmap(p, 0));
	assert_int_equal(-1, preload_munmap(p + 1, MIB));
	assert_int_equal(-1, preload_munmap(p, SIZE_MAX - PAGE));
	assert_true(is_mapped(p));
	assert_int_equal(0, preload_munmap(p, MIB));
}

static int refuse(void *addr, size_t len)
{
	(void)addr;
	(void)len;
	errno = ENOMEM;
	return -1;
}

static void unmapping_that_fails(void **state)
{
	char *p = area(MIB);

	(void)state;
	preload_next.munmap = refuse;
	assert_int_equal(-1, preload_munmap(p, MIB));
	assert_int_equal(ENOMEM, errno);
	preload_next.munmap = next_munmap;
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(0, windows);
}

static void protection(void **state)
{
	char *p = area(MIB + 1);

	(void)state;
	assert_int_equal(0, preload_mprotect(p, MIB + 1, PROT_READ));
	assert_true(protected == (uintptr_t)p && protected_len == UNIT);
	/* A part: what the kernel says to it. */
	assert_int_equal(0, preload_mprotect(p, MIB, RW));
	assert_true(protected_len == MIB);
	assert_int_equal(0, preload_munmap(p, MIB + 1));
}

static void remapping(void **state)
{
	char *p = area(4 * MIB), *q;

	(void)state;
	assert_true(preload_mremap(p, 4 * MIB, 4 * MIB, 0, NULL) == p);
	assert_true(preload_mremap(p, 4 * MIB, 8 * MIB, MREMAP_MAYMOVE, NULL) ==
		    MAP_FAILED);
	assert_int_equal(ENOMEM, errno);
	assert_true(preload_mremap(p, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE |
				   MREMAP_FIXED, p + UNIT) == MAP_FAILED);
	assert_int_equal(EINVAL, errno);
	assert_true(preload_mremap(p, 4 * MIB, 0, 0, NULL) == MAP_FAILED);
	assert_true(preload_mremap(p, 0, MIB, MREMAP_MAYMOVE, NULL) == MAP_FAILED);
	assert_true(preload_mremap(p, 8 * MIB, MIB, 0, NULL) == MAP_FAILED);
	assert_true(preload_mremap(p, 4 * MIB, MIB, 0, NULL) == p);
	assert_false(table_has((uintptr_t)p + MIB, (uintptr_t)p + 4 * MIB));
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(0, windows);

	/* What is not ours is left alone. */
	q = preload_mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = preload_mremap(q, MIB, 8 * MIB, MREMAP_MAYMOVE, NULL);
	assert_true(q != MAP_FAILED);
	q[8 * MIB - 1] = 1;
	assert_int_equal(0, preload_munmap(q, 8 * MIB));
}

/* Another thread would get what is free for a moment. */
static void *over_something(void *addr, size_t len, int prot, int flags, int fd,
			    off_t offset)
{
	if (flags & MAP_FIXED)
		assert_true(is_mapped(addr));
	return next_mmap(addr, len, prot, flags, fd, offset);
}

static void replaced_by_force(void **state)
{
	char *p = area(MIB);

	(void)state;
	preload_next.mmap = over_something;
	assert_true(preload_mmap(p, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				 MAP_FIXED, -1, 0) == p);
	assert_int_equal(0, windows);
	assert_false(table_has(0, UINTPTR_MAX));
	/* Nothing is left of what kept the place. */
	assert_true(is_mapped(p + MIB - PAGE));
	assert_false(is_mapped(p + MIB));
	p[MIB - 1] = 1;
	assert_int_equal(0, preload_munmap(p, MIB));
}

static void replacing_that_fails(void **state)
{
	char *p = area(MIB);

	(void)state;
	assert_true(preload_mmap(p, MIB, RW, MAP_SHARED | MAP_FIXED, 1000, 0) ==
		    MAP_FAILED);
	assert_int_equal(EBADF, errno);
	assert_false(table_has(0, UINTPTR_MAX));
	assert_false(is_mapped(p));
}

static void moved_over(void **state)
{
	char *p = area(MIB), *q;

	(void)state;
	q = preload_mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q[1] = 7;
	assert_true(preload_mremap(q, MIB, MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
				   p) == p);
	assert_int_equal(7, p[1]);
	assert_false(table_has(0, UINTPTR_MAX));
	assert_false(is_mapped(p + MIB));
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_false(is_mapped(p));
}

/* At the address, or as the plain call would have it. */
static void address_asked_for(void **state)
{
	char *p = area(MIB), *q, *free;

	(void)state;
	free = (char *)(((uintptr_t)p - 64 * UNIT) & ~(UNIT - 1));
	q = preload_mmap(free, MIB, RW, AREA, -1, 0);
	assert_true(q == free);
	assert_int_equal(2, windows);
	assert_true(preload_mmap(p, MIB, RW, AREA | MAP_FIXED_NOREPLACE, -1, 0) ==
		    MAP_FAILED);
	assert_int_equal(EEXIST, errno);
	assert_int_equal(0, preload_munmap(q, MIB));
	q = preload_mmap(free + PAGE, MIB, RW, AREA, -1, 0);
	assert_true(q == free + PAGE);
	assert_int_equal(1, windows);
	munmap(q, MIB);
	assert_int_equal(0, preload_munmap(p, MIB));
}

/* Of MAP_32BIT, when the one place is taken: the sanitizer has some of it. */
static void no_place_in_the_first_2_gib(void **state)
{
	char *p;

	(void)state;
	mmap((void *)PRELOAD_32BIT, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
	     MAP_FIXED_NOREPLACE, -1, 0);
	p = preload_mmap(NULL, MIB, RW, AREA | MAP_32BIT, -1, 0);
	assert_true(p != MAP_FAILED && (uintptr_t)p + MIB <= 2 * UNIT);
	assert_int_equal(0, windows);
	munmap(p, MIB);
	preload_config.require = true;
	assert_true(preload_mmap(NULL, MIB, RW, AREA | MAP_32BIT, -1, 0) ==
		    MAP_FAILED);
	assert_int_equal(ENOMEM, errno);
}

static void shared_with_children(void **state)
{
	char *p = area(MIB);
	int status;

	(void)state;
	if (!fork()) {
		p[1] = 2;
		/* The child's part only. */
		_exit(preload_munmap(p, MIB) || table_has(0, UINTPTR_MAX));
	}
	wait(&status);
	assert_int_equal(0, status);
	assert_int_equal(2, p[1]);
	p[2] = 1;
	assert_int_equal(0, preload_munmap(p, MIB));
}

static void memory_with_a_file(void **state)
{
	int fd = memfd_create("x", 0);
	char *p, byte;

	(void)state;
	assert_int_equal(0, ftruncate(fd, 2 * MIB));
	p = preload_mmap(NULL, 2 * MIB, RW, MAP_SHARED, fd, 0);
	assert_int_equal(0, windows);
	munmap(p, 2 * MIB);

	preload_config.files = true;
	preload_config.verbose = false;
	p = preload_mmap(NULL, MIB, RW, MAP_SHARED, fd, MIB);
	assert_true(p != MAP_FAILED);
	assert_int_equal(1, windows);
	assert_int_equal(0, preload_munmap(p, MIB));
	p = preload_mmap(NULL, MIB, RW, MAP_SHARED, -1, 0);
	assert_true(p == MAP_FAILED);
	assert_int_equal(EBADF, errno);
	assert_int_equal(0, read(fd, &byte, 0));
	close(fd);
}

/* Each call that can fail does: plain memory, nothing left, errno as it was. */
static void falls_back(void **state)
{
	int before = open_files(), n = 0;
	char *p;

	(void)state;
	do {
		fake_fail(++n, EIO);
		errno = EXDEV;
		p = preload_mmap(NULL, MIB, RW, AREA, -1, 0);
		assert_int_equal(EXDEV, errno);
		fake_fail(0, 0);
		assert_true(p != MAP_FAILED);
		memset(p, 1, MIB);
		assert_int_equal(before, open_files());
		assert_int_equal(0, preload_munmap(p, MIB));
		assert_int_equal(0, windows);
	} while (fake_failed());
	assert_true(n > 5);
}

/* All but not to know the unit: which the kernel has as we know it. */
static void required(void **state)
{
	int failures = 0;
	char *p;

	(void)state;
	preload_config.require = true;
	for (int n = 1; n < 10; n++) {
		fake_fail(n, EIO);
		p = preload_mmap(NULL, MIB, RW, AREA, -1, 0);
		fake_fail(0, 0);
		if (p == MAP_FAILED) {
			assert_int_equal(ENOMEM, errno);
			failures++;
			continue;
		}
		assert_int_equal(1, windows);
		assert_int_equal(0, preload_munmap(p, MIB));
	}
	assert_in_range(failures, 4, 8);
	preload_config.bad = "X";
	assert_true(preload_mmap(NULL, MIB, RW, AREA, -1, 0) == MAP_FAILED);
	/* What is not for it is plain memory all the same. */
	p = preload_mmap(NULL, MIB, RW, AREA | MAP_STACK | MAP_PRIVATE, -1, 0);
	assert_int_equal(0, windows);
}

static void more_than_the_table_has(void **state)
{
	static char *p[PRELOAD_PIECES + 1];

	(void)state;
	for (int i = 0; i <= PRELOAD_PIECES; i++) {
		p[i] = area(MIB);
		p[i][0] = 1;
	}
	assert_int_equal(PRELOAD_PIECES, windows);
	for (int i = 0; i <= PRELOAD_PIECES; i++)
		assert_int_equal(0, preload_munmap(p[i], MIB));
	assert_int_equal(0, windows);
}

/* One line; none where it would go into the server's data. */
static void said_once(void **state)
{
	char line[256] = "", more[8];
	int saved = dup(STDERR_FILENO), pipes[2];

	(void)state;
	assert_int_equal(0, pipe2(pipes, O_NONBLOCK));
	dup2(pipes[1], STDERR_FILENO);
	message_init();
	message(5, "what", "why");
	assert_true(read(pipes[0], line, sizeof(line)) > 0);
	assert_string_equal(line, "mshare: preload: 5 bytes: what: why\n");
	dup2(saved, STDERR_FILENO);
	message(5, "this must not", "be seen");
	assert_int_equal(-1, read(pipes[0], more, sizeof(more)));
	close(pipes[0]);
	close(pipes[1]);
	close(saved);
}

/* Who reads it has gone: the program does not notice. */
static void said_to_nobody(void **state)
{
	int pipes[2], status;

	(void)state;
	assert_int_equal(0, pipe(pipes));
	if (!fork()) {
		signal(SIGPIPE, SIG_DFL);
		dup2(pipes[1], STDERR_FILENO);
		message_init();
		close(pipes[0]);
		message(5, "what", "why");
		_exit(0);
	}
	close(pipes[0]);
	close(pipes[1]);
	wait(&status);
	assert_int_equal(0, status);
}

#define TEST(fn) cmocka_unit_test_setup(fn, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exact_length),
		TEST(second_one_is_empty),
		TEST(parts),
		TEST(units),
		TEST(with_neighbours),
		TEST(wrong_unmapping),
		TEST(unmapping_that_fails),
		TEST(protection),
		TEST(remapping),
		TEST(replaced_by_force),
		TEST(replacing_that_fails),
		TEST(moved_over),
		TEST(address_asked_for),
		TEST(no_place_in_the_first_2_gib),
		TEST(shared_with_children),
		TEST(memory_with_a_file),
		TEST(falls_back),
		TEST(required),
		TEST(more_than_the_table_has),
		TEST(said_once),
		TEST(said_to_nobody),
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
