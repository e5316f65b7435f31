// SPDX-License-Identifier: GPL-2.0
/*
 * What programs do with shared memory, under the preload and with the kernel,
 * which is stricter than the fake. The variables let 1 MiB be enough.
 */
#include <signal.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "check.h"

#define PAGE	4096UL
#define AREA	(MAP_SHARED | MAP_ANONYMOUS)

static char *area(size_t len)
{
	char *p = mmap(NULL, len, RW, AREA, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Whether the memory at @p is a window. */
static bool is_window(const char *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	bool found = false;
	char line[4400];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    start <= (uintptr_t)p && (uintptr_t)p < end)
			found = strstr(line, "/sys/fs/mshare") ||
				strstr(line, "msharefs") ||
				(end - start) % GIB == 0;
	if (f)
		fclose(f);
	return found;
}

static int died_of(void (*fn)(char *p), char *p)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		fn(p);
		_exit(0);
	}
	assert_int_equal(pid, waitpid(pid, &status, 0));
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void store(char *p)
{
	*(volatile char *)p = 1;
}

static void is_for_it(void **state)
{
	char *p = area(MIB), *q = area(MIB - PAGE), *r;

	(void)state;
	assert_true(is_window(p));
	assert_false(is_window(q));
	r = mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_false(is_window(r));
	assert_int_equal(0, munmap(p, MIB));
	assert_int_equal(0, munmap(q, MIB - PAGE));
	assert_int_equal(0, munmap(r, MIB));
}

/* Padding is not memory. */
static void ends_where_asked(void **state)
{
	char *p = area(MIB + 1);

	(void)state;
	assert_int_equal(0, died_of(store, p + MIB + PAGE - 1));
	assert_int_equal(SIGSEGV, died_of(store, p + MIB + PAGE));
	assert_int_equal(0, munmap(p, MIB + 1));
	assert_int_equal(SIGSEGV, died_of(store, p));
}

static void unmap_and_store(char *p)
{
	if (munmap(p, MIB))
		_exit(1);
	store(p);
}

static void unmapped_in_one_process(void **state)
{
	char *p = area(MIB);

	(void)state;
	p[0] = 7;
	assert_int_equal(SIGSEGV, died_of(unmap_and_store, p));
	assert_int_equal(7, p[0]);
	assert_int_equal(0, munmap(p, MIB));
}

static void unmapped_in_parts(void **state)
{
	char *p = area(4 * MIB);

	(void)state;
	assert_int_equal(0, munmap(p, MIB));
	assert_int_equal(0, munmap(p + 2 * MIB, MIB));
	store(p + MIB);
	store(p + 4 * MIB - 1);
	assert_int_equal(0, munmap(p + MIB, 3 * MIB));
	assert_int_equal(SIGSEGV, died_of(store, p + MIB));
}

static void shrinks(void **state)
{
	char *p = area(4 * MIB);

	(void)state;
	assert_true(mremap(p, 4 * MIB, 8 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
	assert_int_equal(ENOMEM, errno);
	assert_true(mremap(p, 4 * MIB, MIB, 0) == p);
	p[MIB - 1] = 1;
	assert_int_equal(0, munmap(p, MIB));
	assert_int_equal(SIGSEGV, died_of(store, p));
}

/* As opcache.protect_memory does. */
static void protected_in_one_process(void **state)
{
	char *p = area(MIB);

	(void)state;
	assert_int_equal(0, mprotect(p, MIB, PROT_READ));
	assert_int_equal(SIGSEGV, died_of(store, p));
	assert_int_equal(-1, mprotect(p, PAGE, RW));
	assert_int_equal(EINVAL, errno);
	assert_int_equal(0, mprotect(p, MIB, RW));
	store(p);
	assert_int_equal(0, munmap(p, MIB));
}

static void replaced(void **state)
{
	char *p = area(MIB);

	(void)state;
	assert_true(mmap(p, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == p);
	assert_false(is_window(p));
	store(p);
	assert_int_equal(0, munmap(p, MIB));
}

/* As opcache asks for it. */
static void in_the_first_2_gib(void **state)
{
	char *p = mmap(NULL, MIB, RW, AREA | MAP_32BIT, -1, 0), *q;

	(void)state;
	assert_true((uintptr_t)p == GIB);
	assert_true(is_window(p));
	/* There is one such place, and it is free again. */
	q = mmap(NULL, MIB, RW, AREA | MAP_32BIT, -1, 0);
	assert_true(q == MAP_FAILED);
	assert_int_equal(ENOMEM, errno);
	assert_int_equal(0, munmap(p, MIB));
	p = mmap(NULL, MIB, RW, AREA | MAP_32BIT, -1, 0);
	assert_true((uintptr_t)p == GIB);
	assert_int_equal(0, munmap(p, MIB));
}

static void memfd(void **state)
{
	int fd = memfd_create("x", 0);
	char *p, *q, byte = 0;

	(void)state;
	assert_int_equal(0, ftruncate(fd, 2 * MIB));
	p = mmap(NULL, MIB, RW, MAP_SHARED, fd, MIB);
	assert_true(p != MAP_FAILED);
	assert_true(is_window(p));
	p[5] = 3;
	assert_int_equal(1, pread(fd, &byte, 1, MIB + 5));
	assert_int_equal(3, byte);
	/* With another offset than its own that is as good. */
	q = mmap(NULL, 2 * MIB, PROT_READ, MAP_SHARED, fd, 0);
	assert_false(is_window(q));
	assert_int_equal(3, q[MIB + 5]);
	assert_int_equal(0, munmap(p, MIB));
	assert_int_equal(0, munmap(q, 2 * MIB));
	close(fd);
}

/* What another process has without the preload. */
static char *without_us(int id)
{
	return (char *)syscall(SYS_shmat, id, NULL, 0);
}

static unsigned long nattch(int id)
{
	struct shmid_ds ds;

	assert_int_equal(0, shmctl(id, IPC_STAT, &ds));
	return ds.shm_nattch;
}

static void segment(void **state)
{
	int id = shmget(IPC_PRIVATE, 2 * MIB - 1, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0), *q = without_us(id);

	(void)state;
	assert_true(is_window(p));
	assert_false(is_window(q));
	assert_int_equal(2, nattch(id));
	p[2 * MIB - 1] = 3;
	assert_int_equal(3, q[2 * MIB - 1]);
	q[0] = 4;
	assert_int_equal(4, p[0]);
	assert_int_equal(SIGSEGV, died_of(store, p + 2 * MIB));
	assert_int_equal(0, shmdt(p));
	assert_int_equal(SIGSEGV, died_of(store, p));
	assert_int_equal(1, nattch(id));
	assert_int_equal(0, shmctl(id, IPC_RMID, NULL));
	p = shmat(id, NULL, 0);
	assert_int_equal(4, p[0]);
	assert_int_equal(0, shmdt(q));
	assert_int_equal(1, nattch(id));
	assert_int_equal(0, shmdt(p));
	assert_int_equal(-1, shmctl(id, IPC_STAT, &(struct shmid_ds){ }));
}

/* A child that is killed is not attached any more. */
static void segment_of_the_killed(void **state)
{
	int id = shmget(IPC_PRIVATE, 2 * MIB, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		p[1] = 7;
		for (;;)
			pause();
	}
	while (!*(volatile char *)(p + 1))
		;
	assert_int_equal(2, nattch(id));
	kill(pid, SIGKILL);
	assert_int_equal(pid, waitpid(pid, NULL, 0));
	assert_int_equal(1, nattch(id));
	assert_int_equal(0, shmctl(id, IPC_RMID, NULL));
	assert_int_equal(0, shmdt(p));
}

/* From the pool, or not at all: the kernel's answer, and never a window. */
static void segment_of_huge_pages(void **state)
{
	int id = shmget(IPC_PRIVATE, 2 * MIB, IPC_CREAT | SHM_HUGETLB | 0600);
	char *p;

	(void)state;
	if (id < 0)
		skip();
	p = shmat(id, NULL, 0);
	assert_int_equal(0, shmctl(id, IPC_RMID, NULL));
	assert_false(is_window(p));
	assert_int_equal(0, shmdt(p));
}

static void many(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		char *p = area(MIB);

		assert_int_equal(0, p[0]);
		p[0] = 1;
		assert_int_equal(0, munmap(p, MIB));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_for_it),
		cmocka_unit_test(ends_where_asked),
		cmocka_unit_test(unmapped_in_one_process),
		cmocka_unit_test(unmapped_in_parts),
		cmocka_unit_test(shrinks),
		cmocka_unit_test(protected_in_one_process),
		cmocka_unit_test(replaced),
		cmocka_unit_test(in_the_first_2_gib),
		cmocka_unit_test(memfd),
		cmocka_unit_test(segment),
		cmocka_unit_test(segment_of_the_killed),
		cmocka_unit_test(segment_of_huge_pages),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests_name("areas", tests, NULL, NULL);
}
