// SPDX-License-Identifier: GPL-2.0
/*
 * MSHAREFS_LOCK and MAP_LOCKED: memory that stays in RAM, and who pays for it.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_cgroup.h"
#include "lib_smaps.h"

#define ON	MSHAREFS_LOCK_ON
#define OFF	MSHAREFS_LOCK_OFF
#define ONFAULT	MSHAREFS_LOCK_ONFAULT
#define CG	"mshare-lock"

CONTAINER_FIXTURE(lock)

/* Pages wait in batches of each CPU; this puts them on their lists. */
static long now_kb(const char *field)
{
	write_file("/proc/sys/vm/drop_caches", "1");
	return meminfo_kb(field);
}

static long mlocked(void)
{
	return now_kb("Mlocked");
}

static long settles(const char *field, long want)
{
	long now = now_kb(field);

	for (int i = 0; i < 50 && now != want; i++) {
		usleep(20000);
		now = now_kb(field);
	}
	return now;
}

static long mlocked_settles(long want)
{
	return settles("Mlocked", want);
}

TEST_F(lock, on_off)
{
	long before = mlocked(), unevictable = now_kb("Unevictable");
	struct mshare_mapping m;
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	fill(self->base, 1, 16);
	/* Not all of it: locked is what is in the range, and populated. */
	ASSERT_EQ(0, region_lock(fd, MIB, 2 * MIB, ON, 0));
	EXPECT_EQ(2 * MIB, region_stat(fd).locked);
	EXPECT_EQ(2 * MIB + 16 * PAGE, region_stat(fd).resident);
	EXPECT_EQ(before + 2048, mlocked_settles(before + 2048));
	EXPECT_EQ(unevictable + 2048, settles("Unevictable",
					      unevictable + 2048));
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(MAP_SHARED | MAP_ANONYMOUS, m.flags);
	EXPECT_EQ(MIB, m.size);
	ASSERT_EQ(0, region_next(fd, MIB, &m));
	EXPECT_EQ(MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, m.flags);
	EXPECT_EQ(2 * MIB, m.size);
	/* No process has locked anything, though. */
	EXPECT_EQ(0, status_kb("VmLck"));

	/* Twice is once. */
	ASSERT_EQ(0, region_lock(fd, MIB, 2 * MIB, ON, 0));
	EXPECT_EQ(2 * MIB, region_stat(fd).locked);
	ASSERT_EQ(0, region_lock(fd, 2 * MIB, 2 * MIB, OFF, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(before + 1024, mlocked_settles(before + 1024));
	ASSERT_EQ(0, region_lock(fd, 0, 4 * MIB, OFF, 0));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(before, mlocked_settles(before));
	EXPECT_EQ(unevictable, settles("Unevictable", unevictable));
	EXPECT_EQ(2 * MIB + 16 * PAGE, region_stat(fd).resident);
	EXPECT_EQ(0, damaged(self->base, 1, 16));
}

TEST_F(lock, on_fault)
{
	long before = mlocked();
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	ASSERT_EQ(0, region_lock(fd, 0, 4 * MIB, ON, ONFAULT));
	EXPECT_EQ(4 * MIB, region_stat(fd).locked);
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(before, mlocked());
	fill(self->base, 1, 64);
	EXPECT_EQ(before + 256, mlocked_settles(before + 256));
	EXPECT_EQ(64 * PAGE, region_stat(fd).resident);
	/* And the other way of locking after that. */
	ASSERT_EQ(0, region_lock(fd, 0, MIB, ON, 0));
	EXPECT_EQ(MIB, region_stat(fd).resident);
	EXPECT_EQ(before + 1024, mlocked_settles(before + 1024));
	/* Unmapped memory is not locked any more. */
	ASSERT_EQ(0, region_unmap(fd, 0, 4 * MIB));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(before, mlocked_settles(before));
}

/* Locked, though it cannot be brought in: as mlock(2) says it. */
TEST_F(lock, cannot_populate)
{
	int fd = self->fd;

	ASSERT_EQ(0, region_map(fd, 0, MIB, PROT_NONE, ANON, -1, 0));
	EXPECT_EQ(-ENOMEM, region_lock(fd, 0, MIB, ON, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	ASSERT_EQ(0, region_map(fd, MIB, MIB, RW, FIXED,
				ms_memfd(_metadata, 1, 8), 0));
	EXPECT_EQ(-ENOMEM, region_lock(fd, MIB, MIB, ON, 0));
	EXPECT_EQ(2 * MIB, region_stat(fd).locked);
	EXPECT_EQ(0, region_lock(fd, MIB, MIB, ON, ONFAULT));
	EXPECT_EQ(0, region_lock(fd, 0, 2 * MIB, OFF, 0));
	EXPECT_EQ(0, region_stat(fd).locked);
	/* Memory that can be written and not read is no problem. */
	ASSERT_EQ(0, region_map(fd, 2 * MIB, MIB, PROT_WRITE, ANON, -1, 0));
	EXPECT_EQ(0, region_lock(fd, 2 * MIB, MIB, ON, 0));
	EXPECT_EQ(MIB + 8 * PAGE, region_stat(fd).resident);
}

TEST_F(lock, map_locked)
{
	long before = mlocked();
	struct mshare_mapping m;
	int fd = self->fd;

	ASSERT_EQ(0, region_map(fd, 0, MIB, RW, ANON | MAP_LOCKED, -1, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(MIB, region_stat(fd).resident);
	EXPECT_EQ(before + 1024, mlocked_settles(before + 1024));
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, m.flags);
	/* A neighbour is not. */
	ASSERT_EQ(0, region_anon(fd, MIB, MIB));
	fill(self->base, 1, 2 * MIB / PAGE);
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(before + 1024, mlocked());
	ASSERT_EQ(0, region_lock(fd, 0, MIB, OFF, 0));
	EXPECT_EQ(before, mlocked_settles(before));
	/* With the region it all goes. */
	ASSERT_EQ(0, region_map(fd, 0, MIB, RW, ANON | MAP_LOCKED, -1, 0));
	EXPECT_EQ(before + 1024, mlocked_settles(before + 1024));
	ASSERT_EQ(0, munmap(self->base, self->size));
	ASSERT_EQ(0, unlink(MS_DIR "/a"));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(before, mlocked_settles(before));
}

TEST_F(lock, refused)
{
	struct mshare_lock arg = { .size = PAGE, .op = ON };
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, 5 * PAGE, 4 * PAGE));
	EXPECT_EQ(-ENOMEM, region_lock(fd, 0, 9 * PAGE, ON, 0));
	EXPECT_EQ(-ENOMEM, region_lock(fd, 4 * PAGE, PAGE, ON, 0));
	EXPECT_EQ(-ENOMEM, region_lock(fd, 3 * PAGE, 2 * PAGE, ON, ONFAULT));
	EXPECT_EQ(-ENOMEM, region_lock(fd, 0, 9 * PAGE, OFF, 0));
	for (uint32_t op = 0; op < 8; op++) {
		for (uint32_t bit = 0; bit < 32; bit++) {
			arg.op = op;
			arg.flags = 1u << bit;
			if (op == ON && arg.flags == ONFAULT)
				continue;
			EXPECT_EQ(-EINVAL, region_ioctl(fd, MSHAREFS_LOCK,
							&arg));
		}
		if (op == ON || op == OFF)
			continue;
		arg.flags = 0;
		EXPECT_EQ(-EINVAL, region_ioctl(fd, MSHAREFS_LOCK, &arg));
	}
	/* "Nothing changed": */
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(2, region_stat(fd).mappings);
}

/* In a peer: sets RLIMIT_MEMLOCK. */
static long op_limit(const long *a)
{
	struct rlimit rl = { a[0], a[0] };

	return setrlimit(RLIMIT_MEMLOCK, &rl) ? -errno : 0;
}

static long op_lock(const long *a)
{
	return region_lock(a[0], a[1], a[2], a[3], a[4]);
}

static long op_map(const long *a)
{
	return region_map(a[0], a[1], a[2], RW, a[3], -1, 0);
}

static long op_close_window(const long *a)
{
	return munmap((void *)a[0], a[1]) ? -errno : 0;
}

/* The limit, as unprivileged users have it. */
TEST_F(lock, limit)
{
	struct peer p = peer_start(_metadata), q = peer_start(_metadata);
	int fd = self->fd, object;
	char *plain;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	ASSERT_EQ(0, fchown(fd, NOBODY, NOBODY));
	ASSERT_EQ(0, peer_call(&p, op_limit, MIB));
	ASSERT_EQ(0, peer_call(&q, op_limit, MIB));
	ASSERT_EQ(0, peer_call(&p, op_unprivileged, 0));
	ASSERT_EQ(0, peer_call(&q, op_unprivileged, 0));

	EXPECT_EQ(-ENOMEM, peer_call(&p, op_lock, fd, 0, MIB + PAGE, ON, 0));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(0, peer_call(&p, op_lock, fd, 0, MIB - PAGE, ON, 0));
	/* The limit is for the user, in all processes together. */
	EXPECT_EQ(-ENOMEM, peer_call(&q, op_lock, fd, MIB, 2 * PAGE, ON, 0));
	EXPECT_EQ(0, peer_call(&q, op_lock, fd, MIB, PAGE, ON, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	/* What is locked already costs nothing more. */
	EXPECT_EQ(0, peer_call(&q, op_lock, fd, 0, MIB - PAGE, ON, 0));
	EXPECT_EQ(-ENOMEM, peer_call(&q, op_lock, fd, 0, MIB, ON, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(0, peer_call(&q, op_lock, fd, 0, PAGE, OFF, 0));
	EXPECT_EQ(0, peer_call(&q, op_lock, fd, MIB + PAGE, PAGE, ON, 0));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	/* Unmapping gives it back, as does the end of the region. */
	EXPECT_EQ(0, region_unmap(fd, 0, 4 * MIB));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(-EAGAIN, peer_call(&p, op_map, fd, 0, MIB + PAGE,
				     ANON | MAP_LOCKED));
	EXPECT_EQ(0, region_stat(fd).mappings);
	EXPECT_EQ(0, peer_call(&p, op_map, fd, 0, MIB, ANON | MAP_LOCKED));
	EXPECT_EQ(-EAGAIN, peer_call(&p, op_map, fd, MIB, PAGE,
				     ANON | MAP_LOCKED));
	/* In its place: the same amount. */
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(0, region_unmap(fd, 0, MIB));

	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	EXPECT_EQ(0, peer_call(&p, op_lock, fd, 0, MIB, ON, 0));
	object = ms_container(_metadata, MS_DIR "/b", self->unit);
	ASSERT_EQ(0, fchown(object, NOBODY, NOBODY));
	ASSERT_EQ(0, region_anon(object, 0, MIB));
	plain = (char *)peer_sys(&p, __NR_openat, AT_FDCWD, L(MS_DIR "/b"),
				 O_RDWR);
	ASSERT_LE(0, L(plain));
	EXPECT_EQ(-ENOMEM, peer_call(&p, op_lock, L(plain), 0, PAGE, ON, 0));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, peer_call(&p, op_close_window, L(self->base),
			       self->size));
	EXPECT_EQ(0, peer_call(&q, op_close_window, L(self->base),
			       self->size));
	EXPECT_EQ(0, peer_sys(&p, __NR_close, fd));
	EXPECT_EQ(0, peer_sys(&q, __NR_close, fd));
	EXPECT_EQ(0, munmap(self->base, self->size));
	EXPECT_EQ(0, peer_call(&p, op_lock, L(plain), 0, MIB, ON, 0));
	EXPECT_EQ(MIB, region_stat(object).locked);
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&q));
	/* The end of the one who locked changes nothing, either way. */
	EXPECT_EQ(MIB, region_stat(object).locked);
	EXPECT_EQ(0, region_lock(object, 0, MIB, OFF, 0));
	EXPECT_EQ(0, region_stat(object).locked);
}

TEST_F(lock, rights)
{
	struct peer p = peer_start(_metadata), q = peer_start(_metadata);
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, MIB));
	/* Not the owner's, though open for writing. */
	ASSERT_EQ(0, peer_call(&p, op_unprivileged, 0));
	EXPECT_EQ(-EPERM, peer_call(&p, op_lock, fd, 0, PAGE, ON, 0));
	ASSERT_EQ(0, region_lock(fd, 0, PAGE, ON, 0));
	EXPECT_EQ(-EPERM, peer_call(&p, op_lock, fd, 0, PAGE, OFF, 0));
	EXPECT_EQ(PAGE, region_stat(fd).locked);

	ASSERT_EQ(0, fchown(fd, NOBODY, NOBODY));
	ASSERT_EQ(0, peer_call(&q, op_limit, 0));
	ASSERT_EQ(0, peer_call(&q, op_unprivileged, 0));
	EXPECT_EQ(-EPERM, peer_call(&q, op_lock, fd, 0, PAGE, ON, 0));
	EXPECT_EQ(-EPERM, peer_call(&q, op_map, fd, MIB, PAGE,
				    ANON | MAP_LOCKED));
	EXPECT_EQ(PAGE, region_stat(fd).locked);
	EXPECT_EQ(1, region_mapped(fd, 0, self->size, NULL) / MIB);
	/* To let go takes no limit. */
	EXPECT_EQ(0, peer_call(&p, op_lock, fd, 0, PAGE, OFF, 0));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&q));
}

static long op_become(const long *a)
{
	if (setgroups(0, NULL) || setresgid(a[0], a[0], a[0]) ||
	    setresuid(a[0], a[0], a[0]))
		return -errno;
	return 0;
}

/* MAP_LOCKED is for those who may lock, and takes from nobody else's limit. */
TEST_F(lock, map_locked_rights)
{
	struct peer owner = peer_start(_metadata), p = peer_start(_metadata);
	long before = mlocked();
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, MIB));
	fill(self->base, 1, MIB / PAGE);
	ASSERT_EQ(0, fchown(fd, NOBODY, NOBODY));
	ASSERT_EQ(0, peer_call(&owner, op_limit, MIB));
	ASSERT_EQ(0, peer_call(&p, op_limit, 64 * MIB));
	ASSERT_EQ(0, peer_call(&owner, op_become, NOBODY));
	ASSERT_EQ(0, peer_call(&p, op_become, 1000));

	/* Beside and over what is there, with another flag and without. */
	EXPECT_EQ(-EPERM, peer_call(&p, op_map, fd, 4 * MIB, MIB,
				    ANON | MAP_LOCKED));
	EXPECT_EQ(-EPERM, peer_call(&p, op_map, fd, 0, MIB,
				    ANON | MAP_LOCKED));
	EXPECT_EQ(-EPERM, peer_call(&p, op_map, fd, 4 * MIB, MIB,
				    ANON | MAP_LOCKED | MAP_POPULATE));
	EXPECT_EQ(-EPERM, peer_call(&p, op_map, fd, 4 * MIB, MIB,
				    NOREPLACE | MAP_ANONYMOUS | MAP_LOCKED));
	EXPECT_EQ(MAPERR, peek(self->base + 4 * MIB));
	EXPECT_EQ(MIB, region_mapped(fd, 0, self->size, NULL));
	EXPECT_EQ(MIB, region_stat(fd).resident);
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(0, damaged(self->base, 1, MIB / PAGE));
	EXPECT_EQ(before, mlocked_settles(before));
	/* What it does without locking is another matter. */
	EXPECT_EQ(0, peer_call(&p, op_map, fd, 4 * MIB, MIB, ANON));

	/* All of the owner's limit is left. */
	EXPECT_EQ(0, peer_call(&owner, op_map, fd, 8 * MIB, MIB,
			       ANON | MAP_LOCKED));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(-EPERM, peer_call(&p, op_map, fd, 16 * MIB, PAGE,
				    ANON | MAP_LOCKED));
	EXPECT_EQ(MIB, region_stat(fd).locked);
	EXPECT_EQ(0, peer_stop(&owner));
	EXPECT_EQ(0, peer_stop(&p));
	/* CAP_IPC_LOCK: whoever owns it, and without a limit. */
	EXPECT_EQ(0, region_map(fd, 16 * MIB, PAGE, RW, ANON | MAP_LOCKED, -1,
				0));
}

#define LOCKALL	(4 * MIB)

/*
 * mlockall(2) of the process brings into a window what it brings into other
 * shared memory: all that is mapped, but nothing when it is to be locked as it
 * comes in.
 */
TEST_F(lock, mlockall_on_fault)
{
	int object = memfd_create("plain", MFD_CLOEXEC);
	char *plain;

	ASSERT_EQ(0, ftruncate(object, LOCKALL));
	plain = ms_map(object, LOCKALL, RW);
	ASSERT_NE(MAP_FAILED, plain);
	ASSERT_EQ(0, region_anon(self->fd, 0, LOCKALL));
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_ONFAULT));
	EXPECT_EQ(0, pages_in_core(plain, LOCKALL / PAGE));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	ASSERT_EQ(0, munlockall());
	ASSERT_EQ(0, munmap(self->base, self->size));

	/* Windows that come later. */
	ASSERT_EQ(0, mlockall(MCL_FUTURE | MCL_ONFAULT));
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(0, region_stat(self->fd).resident);
	ASSERT_EQ(0, munlockall());
	ASSERT_EQ(0, munmap(self->base, self->size));
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(0, region_stat(self->fd).resident);
	fill(self->base, 1, 4);
	EXPECT_EQ(4 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(0, region_stat(self->fd).locked);
	ASSERT_EQ(0, munlockall());

	/* Without MCL_ONFAULT all of it comes in, now and later. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	EXPECT_EQ(LOCKALL / PAGE, pages_in_core(plain, LOCKALL / PAGE));
	EXPECT_EQ(LOCKALL, region_stat(self->fd).resident);
	EXPECT_EQ(0, region_stat(self->fd).locked);
	ASSERT_EQ(0, munlockall());
	ASSERT_EQ(0, munmap(self->base, self->size));
	ASSERT_EQ(0, region_anon(self->fd, 0, LOCKALL));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	self->base = ms_map(self->fd, self->size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(LOCKALL, region_stat(self->fd).resident);
	ASSERT_EQ(0, munlockall());
	close(object);
}

TEST_F(lock, not_evicted)
{
	long out, in;
	int fd;

	/* In a cgroup that is told to reclaim all it can. */
	ASSERT_EQ(0, cg_create(CG));
	ASSERT_EQ(0, cg_enter(CG));
	fd = ms_container(_metadata, MS_DIR "/b", self->unit);
	self->base = ms_map(fd, self->unit, RW);
	ASSERT_EQ(0, region_anon(fd, 0, 2 * MIB));
	fill(self->base, 1, 512);
	ASSERT_EQ(0, region_lock(fd, 0, MIB, ON, 0));
	ASSERT_EQ(0, cg_enter(NULL));
	EXPECT_EQ(-EINVAL, region_advise(fd, 0, MIB, MADV_PAGEOUT));
	EXPECT_EQ(-EINVAL, region_advise(fd, 0, MIB, MADV_COLD));
	EXPECT_EQ(2 * MIB, region_stat(fd).resident);
	out = vmstat("pswpout");
	/* It fails when there was less to reclaim. */
	for (int i = 0; i < 4; i++)
		cg_write(CG, "memory.reclaim", "2M");
	in = region_stat(fd).resident;
	EXPECT_LT(out, vmstat("pswpout"));
	EXPECT_LE(MIB, in);
	EXPECT_GT(MIB + MIB / 2, in);
	/* Those that went are not those that are locked. */
	EXPECT_EQ(0, faults_of(self->base, 256, false));
	EXPECT_EQ(0, damaged(self->base, 1, 512));
	ASSERT_EQ(0, region_lock(fd, 0, MIB, OFF, 0));
	EXPECT_EQ(0, region_advise(fd, 0, 2 * MIB, MADV_PAGEOUT));
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(0, damaged(self->base, 1, 512));
	EXPECT_EQ(0, munmap(self->base, self->unit));
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, in_child(cg_swap_again, NULL));
	cg_remove(CG);
}

TEST_HARNESS_MAIN
