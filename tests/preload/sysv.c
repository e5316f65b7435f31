// SPDX-License-Identifier: GPL-2.0
/*
 * The preload: segments of System V. They are the kernel's own; only regions are
 * the fake's. Who has not the capability can test no more than what happens then.
 */
#include <limits.h>

#include "preload_test.h"

#define LEN	(3 * MIB)
#define FAILED	((char *)-1)

static int id;

static unsigned long nattch(void)
{
	struct shmid_ds ds;

	return shmctl(id, IPC_STAT, &ds) ? ULONG_MAX : ds.shm_nattch;
}

/* The memory without the preload, in this process. */
static char *plain(void)
{
	char *p = shmat(id, NULL, 0);

	assert_true(p != FAILED);
	return p;
}

static char *attach(void)
{
	char *p = preload_shmat(id, NULL, 0);

	assert_true(p != FAILED);
	return p;
}

static int begin(void **state)
{
	char *p;
	int fd;

	start(state);
	preload_config.sysv = true;
	/* No whole number of pages. */
	id = shmget(IPC_PRIVATE, LEN - 100, IPC_CREAT | 0666);
	assert_true(id >= 0);
	p = plain();
	fd = object_open((uintptr_t)p, LEN);
	assert_int_equal(0, shmdt(p));
	*state = fd >= 0 ? state : NULL;
	if (fd >= 0)
		close(fd);
	return 0;
}

static int end(void **state)
{
	(void)state;
	shmctl(id, IPC_RMID, NULL);
	return 0;
}

#define NEED_CAPABILITY(state) do { if (!*(state)) skip(); } while (0)

/* In the fake it is no more than counted: tests/preload/areas.c looks at memory. */
static void stays_attached(void **state)
{
	char *p;

	NEED_CAPABILITY(state);
	p = attach();
	assert_int_equal(1, windows);
	assert_int_equal(1, nattch());
	assert_int_equal(0, preload_shmdt(p));
	assert_int_equal(0, windows);
	assert_int_equal(0, nattch());
	assert_int_equal(-1, preload_shmdt(p));
	assert_int_equal(EINVAL, errno);
}

/* munmap(2) of all of it detaches, as in the kernel. */
static void unmapped_by_munmap(void **state)
{
	char *p;

	NEED_CAPABILITY(state);
	p = attach();
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(1, nattch());
	assert_int_equal(0, preload_munmap(p + MIB, LEN - MIB));
	assert_int_equal(0, nattch());
	assert_int_equal(0, windows);
	/* What is left of it is found by the address of the whole. */
	p = attach();
	assert_int_equal(0, preload_munmap(p, MIB));
	assert_int_equal(0, preload_shmdt(p));
	assert_int_equal(0, nattch());
	assert_false(table_has(0, UINTPTR_MAX));
}

/* Others have come to where its first unit was: they stay. */
static void what_is_left_of_a_large_one(void **state)
{
	int small = id;
	char *p, *q;

	NEED_CAPABILITY(state);
	id = shmget(IPC_PRIVATE, 2 * UNIT, IPC_CREAT | SHM_NORESERVE | 0600);
	assert_true(id >= 0);
	p = attach();
	assert_int_equal(2, windows);
	assert_int_equal(0, preload_munmap(p, UNIT));
	assert_int_equal(1, windows);
	assert_int_equal(1, nattch());
	q = preload_mmap(p, MIB, RW, AREA | MAP_FIXED_NOREPLACE, -1, 0);
	assert_true(q == p);
	assert_int_equal(0, preload_shmdt(p));
	assert_int_equal(0, nattch());
	assert_int_equal(1, windows);
	q[0] = 1;
	assert_int_equal(-1, preload_shmdt(p));
	assert_int_equal(0, preload_munmap(q, MIB));
	assert_int_equal(0, windows);
	assert_int_equal(0, shmctl(id, IPC_RMID, NULL));
	id = small;
}

static void child_detaches_its_own(void **state)
{
	int status;
	char *p;

	NEED_CAPABILITY(state);
	p = attach();
	if (!fork()) {
		p[0] = 5;
		_exit(nattch() != 2 || preload_shmdt(p) || nattch() != 1);
	}
	wait(&status);
	assert_int_equal(0, status);
	assert_int_equal(5, p[0]);
	assert_int_equal(1, nattch());
	assert_int_equal(0, preload_shmdt(p));
}

static void removed(void **state)
{
	char *p;

	NEED_CAPABILITY(state);
	p = attach();
	assert_int_equal(0, shmctl(id, IPC_RMID, NULL));
	p[1] = 1;
	assert_int_equal(1, nattch());
	assert_int_equal(0, preload_shmdt(p));
	assert_int_equal(ULONG_MAX, nattch());
}

static void left_alone(void **state)
{
	char *room = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p;

	(void)state;
	p = preload_shmat(id, NULL, SHM_RDONLY);
	assert_true(p != FAILED);
	assert_int_equal(0, preload_shmdt(p));
	p = preload_shmat(id, room, SHM_REMAP);
	assert_true(p == room);
	assert_int_equal(0, preload_shmdt(p));
	p = preload_shmat(id, room, 0);
	assert_true(p == room);
	assert_int_equal(0, preload_shmdt(p));
	assert_true(preload_shmat(id, room + 1, 0) == FAILED);
	assert_int_equal(EINVAL, errno);
	preload_config.min_size = LEN;
	p = attach();
	assert_int_equal(0, preload_shmdt(p));
	preload_config.min_size = MIB;
	preload_config.sysv = false;
	p = attach();
	assert_int_equal(0, preload_shmdt(p));
	assert_int_equal(0, windows);
	assert_int_equal(0, nattch());
	assert_true(preload_shmat(-1, NULL, 0) == FAILED);
	assert_int_equal(EINVAL, errno);
}

static void attached_over_a_window(void **state)
{
	char *p, *q;

	NEED_CAPABILITY(state);
	p = area(LEN);
	q = preload_shmat(id, p, SHM_REMAP);
	assert_true(q == p);
	assert_int_equal(0, windows);
	assert_false(table_has(0, UINTPTR_MAX));
	assert_int_equal(0, preload_shmdt(q));
	assert_int_equal(0, nattch());
}

/* Inode number of what is mapped at @p, in the list of this process. */
static unsigned long inode_at(const char *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, inode, found = 0;
	char line[4400];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%*x %*s %*x %*s %lu", &start, &inode) == 2 &&
		    start == (uintptr_t)p)
			found = inode;
	if (f)
		fclose(f);
	return found;
}

/* Who attaches it later gets the region of who did before: the page tables. */
static void one_region(void **state)
{
	char *p, *q;
	int status;

	NEED_CAPABILITY(state);
	p = attach();
	q = attach();
	assert_true(p != q);
	assert_int_equal(inode_at(p), inode_at(q));
	assert_int_equal(2, nattch());
	assert_int_equal(0, preload_shmdt(q));
	if (!fork()) {
		q = preload_shmat(id, NULL, 0);
		_exit(q == FAILED || inode_at(q) != inode_at(p));
	}
	wait(&status);
	assert_int_equal(0, status);
	assert_int_equal(0, preload_shmdt(p));
	/* Gone with the last window. */
	p = attach();
	p[0] = 1;
	assert_int_equal(0, preload_shmdt(p));
}

/* Ids come again, in other namespaces also at the same time. */
static void not_of_another_object(void **state)
{
	struct object object;
	char *p, *real;
	int fd;

	NEED_CAPABILITY(state);
	p = attach();
	real = plain();
	fd = object_open((uintptr_t)real, LEN);
	assert_int_equal(0, object_identify(fd, &object));
	close(fd);
	fd = object_region_of(getpid(), &object);
	assert_true(fd >= 0);
	/* No user but this one decides what is in a region that is found. */
	assert_int_equal(0, fchown(fd, geteuid() + 1, -1));
	assert_int_equal(-1, object_region_of(getpid(), &object));
	assert_int_equal(0, fchown(fd, geteuid(), -1));
	assert_int_equal(0, fchmod(fd, 0660));
	assert_int_equal(-1, object_region_of(getpid(), &object));
	assert_int_equal(0, fchmod(fd, 0600));
	close(fd);
	object.id.tv_sec++;
	assert_int_equal(-1, object_region_of(getpid(), &object));
	object.id.tv_sec--;
	object.st.st_ino++;
	assert_int_equal(-1, object_region_of(getpid(), &object));
	object.st.st_ino--;
	assert_int_equal(-1, object_region_of(0, &object));
	assert_int_equal(0, shmdt(real));
	assert_int_equal(0, preload_shmdt(p));
}

/* Each call that can fail does: the segment itself, errno as it was. */
static void falls_back(void **state)
{
	int n = 0;

	NEED_CAPABILITY(state);
	do {
		char *p;

		fake_fail(++n, EIO);
		errno = EXDEV;
		p = preload_shmat(id, NULL, 0);
		assert_int_equal(EXDEV, errno);
		fake_fail(0, 0);
		assert_true(p != FAILED);
		memset(p, n, LEN);
		assert_int_equal(1, nattch());
		assert_int_equal(0, preload_shmdt(p));
		assert_int_equal(0, windows);
		assert_int_equal(0, nattch());
	} while (fake_failed());
	assert_true(n > 5);
}

static int without_capability(void)
{
	char *p;

	if (seteuid(65534) && errno != EPERM)
		return 1;
	p = preload_shmat(id, NULL, 0);
	if (p == FAILED || windows || preload_shmdt(p))
		return 2;
	preload_config.require = true;
	if (preload_shmat(id, NULL, 0) != FAILED || errno != ENOMEM)
		return 3;
	return nattch() ? 4 : 0;
}

static void needs_the_capability(void **state)
{
	char line[256] = "";
	int pipes[2], status;

	(void)state;
	assert_int_equal(0, pipe(pipes));
	if (!fork()) {
		dup2(pipes[1], STDERR_FILENO);
		message_init();
		_exit(without_capability());
	}
	wait(&status);
	assert_int_equal(0, WEXITSTATUS(status));
	assert_true(read(pipes[0], line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, ": 3145628 bytes: ordinary memory: "));
	assert_non_null(strstr(line, "CAP_CHECKPOINT_RESTORE is needed"));
	close(pipes[0]);
	close(pipes[1]);
}

static void more_than_the_table_has(void **state)
{
	static char *p[PRELOAD_PIECES + 1];

	NEED_CAPABILITY(state);
	for (int i = 0; i <= PRELOAD_PIECES; i++)
		p[i] = attach();
	assert_int_equal(PRELOAD_PIECES, windows);
	assert_int_equal(PRELOAD_PIECES + 1, nattch());
	for (int i = 0; i <= PRELOAD_PIECES; i++)
		assert_int_equal(0, preload_shmdt(p[i]));
	assert_int_equal(0, windows);
	assert_int_equal(0, nattch());
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(needs_the_capability),
		TEST(left_alone),
		TEST(stays_attached),
		TEST(unmapped_by_munmap),
		TEST(what_is_left_of_a_large_one),
		TEST(child_detaches_its_own),
		TEST(removed),
		TEST(attached_over_a_window),
		TEST(one_region),
		TEST(not_of_another_object),
		TEST(falls_back),
		TEST(more_than_the_table_has),
	};

	return cmocka_run_group_tests_name("sysv", tests, NULL, NULL);
}
