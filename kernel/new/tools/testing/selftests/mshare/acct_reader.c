// SPDX-License-Identifier: GPL-2.0
/*
 * A process that has a region's file open for reading only costs nobody else
 * memory: it reads what is there, and allocates nothing. And a process that may
 * write, in another cgroup than the creator, gets nobody killed there.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_cgroup.h"
#include "lib_io.h"
#include "lib_objects.h"
#include <linux/futex.h>
#include <sys/ptrace.h>

#define ANON_AT		0UL		/* what is mapped in the region */
#define MEMFD_AT	(8 * HUGE)
#define TMPFS_AT	(16 * HUGE)
#define NPAGES		64UL		/* of each, written where it is 8n */

FIXTURE(reader) {
	size_t unit;
	int fd;
	char *rw, *ro;		/* windows of the same region */
	struct peer p;
};

static const size_t part[] = { ANON_AT, MEMFD_AT, TMPFS_AT };

FIXTURE_SETUP(reader)
{
	int object[2];

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(0, mount_tmpfs());
	self->p = peer_start(_metadata);
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	object[0] = memfd_create("object", MFD_CLOEXEC);
	object[1] = open(MNT "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_EQ(0, region_anon(self->fd, ANON_AT, NPAGES * PAGE));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ftruncate(object[i], NPAGES * PAGE));
		ASSERT_EQ(0, region_map(self->fd, part[1 + i], NPAGES * PAGE,
					RW, FIXED, object[i], 0));
		close(object[i]);
	}
	self->rw = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->rw);
	self->ro = ms_map(reopen(self->fd, O_RDONLY), self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->ro);
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		for (unsigned int n = 0; n < NPAGES; n += 8)
			store(self->rw + part[i] + n * PAGE, pattern(i, n));
	}
}

FIXTURE_TEARDOWN(reader)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

#define THERE	L(ARRAY_SIZE(part) * NPAGES / 8)	/* pages, at first */
#define HOLE	(3 * PAGE)		/* not written, in each of them */

/* Nothing has come in but @more pages, and what was written is there. */
#define CAME_IN(more) do {						\
	EXPECT_EQ(THERE + (more),					\
		  L(region_stat(self->fd).resident / PAGE));		\
	for (size_t i_ = 0; i_ < ARRAY_SIZE(part); i_++) {		\
		EXPECT_EQ(pattern(i_, 8),				\
			  load(self->ro + part[i_] + 8 * PAGE));	\
	}								\
} while (0)

TEST_F(reader, load)
{
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		char *ro = self->ro + part[i], *rw = self->rw + part[i];

		for (unsigned int n = 0; n < NPAGES; n++) {
			EXPECT_EQ(n % 8 ? BUS_END : 0, peek(ro + n * PAGE)) {
				TH_LOG("page %u of part %zu", n, i);
			}
		}
		CAME_IN(2 * i);
		/* When it is there, because of a store or a load, it is read. */
		store(rw + HOLE, 7);
		EXPECT_EQ(7, load(ro + HOLE));
		EXPECT_EQ(0, load(rw + HOLE + PAGE));
		EXPECT_EQ(0, load(ro + HOLE + PAGE));
		CAME_IN(2 * i + 2);
		EXPECT_EQ(BUS_END, peek(ro + HOLE - PAGE));
		EXPECT_EQ(ACCERR, probe_write(ro + HOLE - PAGE, 1));
	}
	/* Where nothing is mapped it is as for everybody. */
	EXPECT_EQ(MAPERR, peek(self->ro + self->unit - PAGE));
}

/* A range that has no page table, and a unit that has none. */
TEST_F(reader, load_without_tables)
{
	struct mshare_stat was;
	char *base, *ro;
	int fd;

	ASSERT_EQ(0, region_anon(self->fd, 64 * HUGE, 4 * HUGE));
	was = region_stat(self->fd);
	for (unsigned int i = 0; i < 4; i++) {
		EXPECT_EQ(BUS_END, peek(self->ro + (64 + i) * HUGE));
		EXPECT_EQ(BUS_END, peek(self->ro + (65 + i) * HUGE - 8));
	}
	EXPECT_EQ(was.resident, region_stat(self->fd).resident);
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);

	/* A plain region, which nobody has touched. */
	base = ms_new(_metadata, MS_DIR "/b", 2 * self->unit, &fd);
	ro = ms_map(reopen(fd, O_RDONLY), 2 * self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, ro);
	EXPECT_EQ(BUS_END, peek(ro));
	EXPECT_EQ(BUS_END, peek(ro + 2 * self->unit - 8));
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(0, region_stat(fd).page_tables);
	store(base + self->unit, 9);
	EXPECT_EQ(9, load(ro + self->unit));
	EXPECT_EQ(BUS_END, peek(ro));
	EXPECT_EQ(PAGE, region_stat(fd).resident);
}

/* The kernel reads for the process, without allocating either. */
TEST_F(reader, system_calls)
{
	const struct timespec soon = { 0, 1000000 };
	int pipes[2], disk = direct_open(), pin;
	unsigned char there;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_LE(0, disk) TH_LOG("no disk: %s", strerror(-disk));
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		char *at = self->ro + part[i] + HOLE;
		struct iovec iov = { at, PAGE };

		EXPECT_ERR(EFAULT, write(pipes[1], at, 8));
		EXPECT_ERR(EFAULT, vmsplice(pipes[1], &iov, 1, 0));
		EXPECT_ERR(EFAULT, syscall(__NR_futex, at, FUTEX_WAIT, 0,
					   &soon, NULL, 0L));
		EXPECT_ERR(EFAULT, open(at, O_RDONLY));
		for (enum engine e = SYNC; e <= URING; e++) {
			EXPECT_EQ(-EFAULT, direct_rw(e, true, disk, at, PAGE,
						     0)) {
				TH_LOG("engine %d", e);
			}
		}
		pin = longterm_pin(at, PAGE, 0);
		EXPECT_EQ(-EFAULT, pin);
		pin = longterm_pin(at, PAGE, LONGTERM_FAST);
		EXPECT_EQ(-EFAULT, pin);
		/* As far as there is something. */
		EXPECT_EQ(L(PAGE), write(pipes[1], at + 5 * PAGE, PAGE));
		EXPECT_EQ(L(PAGE), pwrite(disk, at + 5 * PAGE, PAGE, 0));
		EXPECT_EQ(pattern(i, 8), direct_load(disk, 0));
		EXPECT_EQ(0, mincore(at, PAGE, &there));
		EXPECT_EQ(0, there);
	}
	CAME_IN(0);
	close(disk);
}

/* By another process, from a window of a reader. */
TEST_F(reader, other_process)
{
	uint64_t val;
	struct iovec local = { &val, 8 }, remote;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		char *at = self->ro + part[i] + HOLE;

		remote = (struct iovec){ at, 8 };
		EXPECT_ERR(EFAULT, process_vm_readv(getpid(), &local, 1,
						    &remote, 1, 0));
		EXPECT_EQ(-EFAULT, peer_vm_read(&self->p, getpid(), at));
		EXPECT_EQ(-EIO, peer_mem_read(&self->p, getpid(), at));
		EXPECT_EQ(-EIO, peer_peek_word(&self->p, getpid(), at));
		EXPECT_EQ(pattern(i, 8), peer_vm_read(&self->p, getpid(),
						      at + 5 * PAGE));
		EXPECT_EQ(pattern(i, 8), peer_mem_read(&self->p, getpid(),
						       at + 5 * PAGE));
	}
	CAME_IN(0);
}

/* All that asks for memory in advance. */
TEST_F(reader, populate)
{
	int ro = reopen(self->fd, O_RDONLY), status;
	char *more;
	void *page;
	long other;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		char *at = self->ro + part[i];

		EXPECT_ERR(EFAULT, madvise(at + HOLE, PAGE,
					   MADV_POPULATE_READ));
		EXPECT_ERR(EFAULT, madvise(at, NPAGES * PAGE,
					   MADV_POPULATE_READ));
		EXPECT_EQ(0, madvise(at + 8 * PAGE, PAGE, MADV_POPULATE_READ));
		EXPECT_EQ(0, madvise(at, NPAGES * PAGE, MADV_WILLNEED));
		page = at + HOLE;
		status = 0;
		EXPECT_EQ(0, syscall(__NR_move_pages, 0L, 1L, &page, NULL,
				     &status, 0L));
		EXPECT_GT(0, status);
	}
	/* As far as it goes, and not an error of mmap(2). */
	more = mmap(NULL, self->unit, PROT_READ, MAP_SHARED | MAP_POPULATE,
		    ro, 0);
	ASSERT_NE(MAP_FAILED, more);
	EXPECT_EQ(pattern(0, 8), load(more + 8 * PAGE));
	CAME_IN(0);
	/* The peer has no other window. */
	other = peer_attach(&self->p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, peer_sys(&self->p, __NR_mlockall, MCL_CURRENT));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_munlockall, 0));
	CAME_IN(0);
	close(ro);
}

/* Whoever has the window by fork(2), and wherever mremap(2) puts it. */
TEST_F(reader, inherited)
{
	const size_t unit = self->unit;
	char *to;
	pid_t pid;
	int status;

	to = mmap(NULL, 2 * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		  MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	to = (char *)((L(to) + unit - 1) & -unit);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(peek(self->ro + HOLE) == BUS_END);
		CHECK(load(self->ro + 8 * PAGE) == pattern(0, 8));
		CHECK(mremap(self->ro, unit, unit, MREMAP_MAYMOVE |
			     MREMAP_FIXED, to) == to);
		CHECK(peek(to + HOLE) == BUS_END);
		CHECK(load(to + 8 * PAGE) == pattern(0, 8));
		CHECK(!mprotect(to, unit, PROT_NONE));
		CHECK(!mprotect(to, unit, PROT_READ));
		CHECK(peek(to + HOLE) == BUS_END);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	CAME_IN(0);
}

/* It is the file that counts, not what the window permits. */
TEST_F(reader, of_a_file_opened_to_write)
{
	char *win = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, win);
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		EXPECT_EQ(0, load(win + part[i] + HOLE));
		EXPECT_EQ(0, load(self->ro + part[i] + HOLE));
		EXPECT_EQ(0, madvise(win + part[i] + HOLE + PAGE, PAGE,
				     MADV_POPULATE_READ));
	}
	CAME_IN(2 * L(ARRAY_SIZE(part)));
}

/* What is not in memory at the moment, and is in swap, was there before. */
TEST_F(reader, swapped_out)
{
	const unsigned long pages = 256;
	long out = vmstat("pswpout");

	ASSERT_LT(0, meminfo_kb("SwapFree")) TH_LOG("needs swap");
	pin(0);
	ASSERT_EQ(0, region_anon(self->fd, 64 * HUGE, HUGE));
	fill(self->rw + 64 * HUGE, 5, pages);
	for (int i = 0; i < 2; i++) {
		write_file("/proc/sys/vm/drop_caches", "1");
		ASSERT_EQ(0, region_advise(self->fd, 64 * HUGE, pages * PAGE,
					   i ? MADV_DONTNEED : MADV_PAGEOUT));
		EXPECT_EQ(THERE, L(region_stat(self->fd).resident / PAGE));
		EXPECT_EQ(0, damaged(self->ro + 64 * HUGE, 5, pages));
		CAME_IN(L(pages));
	}
	EXPECT_LE(out + L(pages), vmstat("pswpout"));
	EXPECT_EQ(BUS_END, peek(self->ro + 64 * HUGE + pages * PAGE));
	EXPECT_EQ(0, damaged(self->rw + 64 * HUGE, 5, pages));
}

TEST_F(reader, hugetlb)
{
	const long pool = 4;
	const size_t at = 64 * HUGE;

	ASSERT_EQ(pool, hugepage_pool(pool));
	ASSERT_EQ(0, region_map(self->fd, at, 2 * HUGE, RW, ANON | MAP_HUGETLB,
				-1, 0));
	EXPECT_EQ(BUS_END, peek(self->ro + at));
	EXPECT_EQ(BUS_END, peek(self->ro + at + HUGE + 5 * PAGE));
	EXPECT_ERR(EFAULT, madvise(self->ro + at, HUGE, MADV_POPULATE_READ));
	EXPECT_EQ(-EFAULT, peer_vm_read(&self->p, getpid(), self->ro + at));
	EXPECT_EQ(pool, hugepages("Free"));
	CAME_IN(0);
	store(self->rw + at + 5 * PAGE, 6);
	EXPECT_EQ(6, load(self->ro + at + 5 * PAGE));
	EXPECT_EQ(0, load(self->ro + at));
	EXPECT_EQ(BUS_END, peek(self->ro + at + HUGE));
	EXPECT_EQ(pool - 1, hugepages("Free"));
	ASSERT_EQ(0, region_unmap(self->fd, at, 2 * HUGE));
	EXPECT_EQ(0, hugepage_pool(0));
}

/* Pages come and go under readers that look all the time. */
TEST_F_TIMEOUT(reader, removed_watched, 300)
{
	struct watch *w = watch_new(pattern(0, 8));
	struct peer p[WATCHERS];

	watchers_open(_metadata, w, p, ANON_AT + 8 * PAGE, O_RDONLY);
	for (unsigned int i = 0; another_round(i, 50); i++) {
		watch_begin(w, BUS_END);
		ASSERT_EQ(0, region_advise(self->fd, ANON_AT, NPAGES * PAGE,
					   MADV_REMOVE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, 0);
		ASSERT_EQ(0, region_advise(self->fd, ANON_AT, NPAGES * PAGE,
					   MADV_POPULATE_WRITE));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
		watch_begin(w, i + 1);
		store(self->rw + ANON_AT + 8 * PAGE, i + 1);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 20));
	}
	watchers_stop(_metadata, w, p);
}

/* Two cgroups: the creator's, with little room and no swap, and another one. */
#define MAKER	"mshare-maker"
#define USER	"mshare-user"
#define LIMIT	(24 * MIB)
#define OWN	(8 * MIB)	/* of the creator, beside the region */
#define BEYOND	(64 * MIB)

FIXTURE(group) {
	size_t unit;
	struct peer maker, user;
	int fd;
	long own;		/* the maker's memory */
	long dying;
};

FIXTURE_SETUP(group)
{
	char limit[32];

	self->unit = ms_setup(_metadata, "size=256m");
	if (!self->unit)
		return;
	/* No group pays for this program, which would hold it: see cg_empty(). */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	self->dying = cg_dying_settles(0);
	snprintf(limit, sizeof(limit), "%lu", LIMIT);
	ASSERT_EQ(0, cg_create(MAKER));
	ASSERT_EQ(0, cg_create(USER));
	ASSERT_EQ(0, cg_write(MAKER, "memory.max", limit));
	ASSERT_EQ(0, cg_write(MAKER, "memory.swap.max", "0"));
	self->maker = peer_start(_metadata);
	self->user = peer_start(_metadata);
	ASSERT_EQ(0, peer_call(&self->maker, op_enter, L(MAKER)));
	ASSERT_EQ(0, peer_call(&self->user, op_enter, L(USER)));
	/* Everybody may read it. */
	ASSERT_LT(0, peer_call(&self->maker, op_sparse, L(MS_DIR "/a"),
			       self->unit, 0644));
	self->own = peer_call(&self->maker, op_private, OWN);
	ASSERT_LT(0, self->own);
	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(group)
{
	EXPECT_EQ(0, peer_stop(&self->maker));
	EXPECT_EQ(0, peer_stop(&self->user));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	cg_empty(MAKER);
	cg_empty(USER);
	EXPECT_EQ(0, cg_remove(MAKER));
	EXPECT_EQ(0, cg_remove(USER));
	EXPECT_EQ(self->dying, cg_dying_settles(self->dying));
}

/* Nobody was killed. */
#define NONE_KILLED() do {						\
	EXPECT_EQ(0, cg_events(MAKER, "oom_kill"));			\
	EXPECT_EQ(0, cg_events(USER, "oom_kill"));			\
	EXPECT_EQ(0, waitpid(self->maker.pid, NULL, WNOHANG));		\
} while (0)

/*
 * And the creator has what it had. Asking it takes memory of its cgroup: not
 * while that is full.
 */
#define MAKER_LIVES() do {						\
	NONE_KILLED();							\
	EXPECT_EQ(0, peer_call(&self->maker, op_damaged, self->own, 3,	\
			       OWN / PAGE));				\
} while (0)

/* For peers: how many of the a[1] pages at a[0] are there. */
static long op_readable(const long *a)
{
	long n = 0;

	for (long i = 0; i < a[1]; i++) {
		int how = peek((char *)a[0] + i * PAGE);

		if (how && how != BUS_END)
			return -how;
		n += !how;
	}
	return n;
}

/* Somebody who may read the region reads all of it, and it costs nothing. */
TEST_F(group, reader_fills_nothing)
{
	const long own = cg_stat(MAKER, "shmem");
	struct mshare_stat was = region_stat(self->fd);
	long used = used_blocks(MS_DIR), base;

	ASSERT_EQ(0, peer_call(&self->user, op_unprivileged, 0));
	EXPECT_EQ(-EACCES, peer_open(&self->user, MS_DIR "/a", O_RDWR));
	base = peer_attach(&self->user, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->user, op_readable, base, BEYOND / PAGE));
	EXPECT_EQ(was.resident, region_stat(self->fd).resident);
	EXPECT_EQ(was.page_tables, region_stat(self->fd).page_tables);
	EXPECT_EQ(used, used_blocks(MS_DIR));
	EXPECT_EQ(own, cg_stat(MAKER, "shmem"));
	MAKER_LIVES();
}

/*
 * Who may write, but is not of the creator's cgroup, is refused when that is
 * full, after the cgroup has had time to make room; nobody is killed for it.
 */
TEST_F_TIMEOUT(group, writer_is_refused, 300)
{
	const long max = BEYOND / PAGE;
	long base, pages, more;
	time_t begun;

	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	pages = peer_call(&self->user, op_touch, base, PAGE, max);
	EXPECT_LE(L(LIMIT - OWN - 4 * MIB) / L(PAGE), pages);
	EXPECT_GT(L(LIMIT - OWN) / L(PAGE), pages);
	NONE_KILLED();
	/* By a load, by a store, and by the kernel. */
	begun = time(NULL);
	EXPECT_EQ(BUS_END, peer_call(&self->user, op_peek,
				     base + 2 * pages * PAGE));
	EXPECT_EQ(-EFAULT, peer_sys(&self->user, __NR_getrandom,
				    base + 2 * pages * PAGE, 8, 0));
	EXPECT_GE(30, time(NULL) - begun);
	/* What is there, everybody can use. */
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base, 1, pages));
	EXPECT_EQ(pages, peer_call(&self->user, op_touch, base, PAGE, pages));
	NONE_KILLED();

	/* Somebody makes room, and it goes on with that. */
	EXPECT_EQ(0, region_advise(self->fd, 0, OWN, MADV_REMOVE));
	MAKER_LIVES();
	more = peer_call(&self->user, op_touch, base, PAGE, max);
	EXPECT_LE(L((OWN - MIB) / PAGE), more);
	EXPECT_GT(max, more);
	NONE_KILLED();
	EXPECT_EQ(0, region_advise(self->fd, 0, self->unit, MADV_REMOVE));
	MAKER_LIVES();
}

/* Many at once: none of them waits for ever, none of them kills. */
TEST_F_TIMEOUT(group, writers_are_refused, 300)
{
	struct peer p[4];
	long base[4], pages;

	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = peer_start(_metadata);
		ASSERT_EQ(0, peer_call(&p[i], op_enter, L(USER)));
		base[i] = peer_attach(&p[i], MS_DIR "/a", O_RDWR, RW);
		ASSERT_LT(0, base[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		peer_begin(&p[i], op_touch, (long[PEER_ARGS]){
			   base[i] + i * BEYOND, PAGE, BEYOND / PAGE });
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		pages = peer_end(&p[i]);
		EXPECT_LE(0, pages);
		EXPECT_GT(L(BEYOND / PAGE), pages);
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
	NONE_KILLED();
	EXPECT_EQ(0, region_advise(self->fd, 0, self->unit, MADV_REMOVE));
	MAKER_LIVES();
}

#define FILE_AT		(512UL * MIB)
#define FILE_PAGES	256UL

/* Page cache and page tables that a reader brings in are its own cgroup's. */
TEST_F(group, file_of_a_reader)
{
	const long bytes = FILE_PAGES * PAGE;
	long base, was_file, was_tables, user_file, user_tables, now;
	int err = mount_disk(), file;

	ASSERT_EQ(0, err) TH_LOG("no disk with ext4: %s", strerror(-err));
	file = open(DISK "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, file_fill(file, 2, FILE_PAGES));
	ASSERT_EQ(0, fsync(file));
	ASSERT_EQ(0, posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(0, region_map(self->fd, FILE_AT, FILE_PAGES * PAGE, RW,
				FIXED, file, 0));
	ASSERT_EQ(0, region_advise(self->fd, 0, PAGE, MADV_POPULATE_WRITE));
	base = peer_attach(&self->user, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, base);
	/* With its link, and with the tables that are above that page. */
	EXPECT_EQ(0, peer_call(&self->user, op_peek, base));
	was_file = cg_stat(MAKER, "file");
	was_tables = cg_stat(MAKER, "pagetables");
	user_file = cg_stat(USER, "file");
	user_tables = cg_stat(USER, "pagetables");
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base + FILE_AT, 2,
			       FILE_PAGES));
	/* Its own program's pages may come to that. */
	now = cg_stat(USER, "file");
	EXPECT_LE(user_file + bytes, now);
	EXPECT_GE(user_file + bytes + L(16 * PAGE), now);
	EXPECT_EQ(user_tables + L(PAGE),
		  cg_stat_settles(USER, "pagetables", user_tables + L(PAGE)));
	EXPECT_EQ(was_file, cg_stat(MAKER, "file"));
	EXPECT_EQ(was_tables, cg_stat(MAKER, "pagetables"));
	MAKER_LIVES();

	/* The table goes with what it holds. */
	ASSERT_EQ(0, region_unmap(self->fd, FILE_AT, FILE_PAGES * PAGE));
	EXPECT_EQ(user_tables, cg_stat_settles(USER, "pagetables",
					       user_tables));
	/* Else its cache would hold the cgroup. */
	close(file);
	EXPECT_EQ(0, umount(DISK));
}

TEST_HARNESS_MAIN
