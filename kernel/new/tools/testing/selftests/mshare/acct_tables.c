// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables and mappings of regions count against the size= of the mount, as
 * memory does: a full mount refuses more of them, and those that hold nothing
 * are given back.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_kmsg.h"
#include "lib_objects.h"

#define SIZE	(16 * MIB)		/* of the mount */
#define BLOCKS	L(SIZE / PAGE)
#define MANY	32			/* units; far more tables than fit */

FIXTURE(tables) {
	size_t unit;
	int fd;
	char *base;
};

FIXTURE_SETUP(tables)
{
	self->unit = ms_setup(_metadata, "size=16m");
}

FIXTURE_TEARDOWN(tables)
{
}

/* A region of @units units, all of it memory, with a window here. */
static void make(struct __test_metadata *_metadata, FIXTURE_DATA(tables) *self,
		 unsigned int units)
{
	self->base = (char *)op_sparse((long[]){ L(MS_DIR "/a"),
						 units * self->unit, 0600 });
	ASSERT_LT(0, L(self->base));
	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

/* The mount is used for this region, and for nothing else. */
#define USED_IS_THE_REGIONS() do {					\
	EXPECT_EQ(L(region_stat(self->fd).resident / PAGE) +		\
		  overhead_blocks(self->fd), used_blocks(MS_DIR));	\
} while (0)

static unsigned long tables(int fd)
{
	return region_stat(fd).page_tables / PAGE;
}

/* Every page table and every other mapping is a block. */
TEST_F(tables, count)
{
	int object = ms_memfd(_metadata, 2, 8);
	long used;

	EXPECT_EQ(0, used_blocks(MS_DIR));
	make(_metadata, self, 4);
	EXPECT_EQ(0, used_blocks(MS_DIR));
	/* A page, and a table of each level. */
	store(self->base, 1);
	used = used_blocks(MS_DIR);
	EXPECT_LE(4, used);
	EXPECT_EQ(used - 1, tables(self->fd));
	USED_IS_THE_REGIONS();
	/* Two more tables: another one of the last level, and one of two. */
	store(self->base + HUGE, 1);
	EXPECT_EQ(used + 2, used_blocks(MS_DIR));
	store(self->base + self->unit, 1);
	EXPECT_EQ(used + 5, used_blocks(MS_DIR));
	store(self->base + self->unit + PAGE, 1);
	EXPECT_EQ(used + 6, used_blocks(MS_DIR));
	USED_IS_THE_REGIONS();

	/* Two mappings fit into a block, and one alone is free. */
	ASSERT_EQ(0, region_protect(self->fd, PAGE, PAGE, PROT_READ));
	EXPECT_EQ(3, region_stat(self->fd).mappings);
	EXPECT_EQ(used + 7, used_blocks(MS_DIR));
	ASSERT_EQ(0, region_protect(self->fd, 0, PAGE, PROT_READ));
	EXPECT_EQ(2, region_stat(self->fd).mappings);
	EXPECT_EQ(used + 7, used_blocks(MS_DIR));
	ASSERT_EQ(0, region_protect(self->fd, 8 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(4, region_stat(self->fd).mappings);
	EXPECT_EQ(used + 8, used_blocks(MS_DIR));
	ASSERT_EQ(0, region_protect(self->fd, 0, 9 * PAGE, RW));
	EXPECT_EQ(1, region_stat(self->fd).mappings);
	EXPECT_EQ(used + 6, used_blocks(MS_DIR));

	/* Memory of an object is not the mount's, its tables are. */
	ASSERT_EQ(0, region_map(self->fd, 4 * HUGE, 8 * PAGE, RW, FIXED,
				object, 0));
	EXPECT_EQ(used + 7, used_blocks(MS_DIR));
	EXPECT_EQ(0, damaged(self->base + 4 * HUGE, 2, 8));
	EXPECT_EQ(used + 8, used_blocks(MS_DIR));

	/* A second region has its own; with it, they are given back. */
	self->base = ms_new(_metadata, MS_DIR "/b", self->unit, NULL);
	store(self->base, 1);
	EXPECT_LE(used + 12, used_blocks(MS_DIR));
	EXPECT_EQ(0, munmap(self->base, self->unit));
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	EXPECT_EQ(used + 8, used_settle(MS_DIR, used + 8));
}

/*
 * A page in each 2 MiB, and all of a unit removed before the next: there is
 * never much, though it takes far more tables in sum than there may be.
 */
TEST_F(tables, removed_by_an_unprivileged_user)
{
	struct peer p = peer_start(_metadata);
	const long n = self->unit / HUGE;
	long base;

	ASSERT_EQ(0, peer_call(&p, op_unprivileged, 0));
	base = peer_call(&p, op_sparse, L(MS_DIR "/a"), MANY * self->unit,
			 0600);
	ASSERT_LT(0, base);
	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	for (unsigned int i = 0; i < MANY; i++) {
		long at = base + i * self->unit;

		ASSERT_EQ(n, peer_call(&p, op_touch, at, HUGE, n)) {
			TH_LOG("unit %u", i);
		}
		ASSERT_EQ(0, peer_sys(&p, __NR_madvise, at, self->unit,
				      MADV_REMOVE));
	}
	EXPECT_EQ(0, region_stat(self->fd).resident);
	/* The tables that links point at: one for each unit, and above them. */
	EXPECT_GE(MANY + 4, tables(self->fd));
	USED_IS_THE_REGIONS();
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_GE(SIZE, region_stat(self->fd).page_tables);
	/* Nobody is attached, and nothing is in it. */
	EXPECT_EQ(0, tables_settle(self->fd, 0));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
}

/* The same without giving back: it ends as in a tmpfs that is full. */
TEST_F(tables, limit)
{
	const size_t size = MANY * self->unit;
	struct peer p = peer_start(_metadata);
	struct mshare_stat st;
	char *other;
	long base, n;

	ASSERT_EQ(0, peer_call(&p, op_unprivileged, 0));
	base = peer_call(&p, op_sparse, L(MS_DIR "/a"), size, 0600);
	ASSERT_LT(0, base);
	self->fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	/* A page and a table for each, and few tables above them. */
	n = peer_call(&p, op_touch, base, HUGE, size / HUGE);
	EXPECT_GT(BLOCKS / 2, n);
	EXPECT_LT(BLOCKS / 2 - 16, n);
	st = region_stat(self->fd);
	EXPECT_EQ(n * L(PAGE), L(st.resident));
	EXPECT_GE(SIZE, st.resident + st.page_tables);
	EXPECT_LE(BLOCKS - 4, used_blocks(MS_DIR));
	USED_IS_THE_REGIONS();
	/* By whatever way, and for the administrator. */
	EXPECT_EQ(BUS_END, peer_call(&p, op_store, base + (n + 8) * HUGE, 1));
	EXPECT_EQ(BUS_END, peer_call(&p, op_peek, base + (n + 8) * HUGE));
	EXPECT_EQ(-EFAULT, peer_sys(&p, __NR_getrandom, base + (n + 8) * HUGE,
				    8, 0));
	self->base = ms_map(self->fd, size, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(BUS_END, probe_write(self->base + (n + 8) * HUGE, 1));
	/* In another region there is no more room, either. */
	other = ms_new(_metadata, MS_DIR "/b", self->unit, NULL);
	EXPECT_EQ(BUS_END, probe_write(other, 1));
	EXPECT_EQ(0, munmap(other, self->unit));
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	/* What is there can be used. */
	EXPECT_EQ(n, peer_call(&p, op_touch, base, HUGE, n));
	EXPECT_EQ(n, op_touch((long[PEER_ARGS]){ L(self->base), HUGE, n }));

	/* Room for a page and a table is room for another. */
	EXPECT_EQ(0, peer_sys(&p, __NR_madvise, base, 4 * HUGE, MADV_REMOVE));
	EXPECT_GE(BLOCKS - 8, used_blocks(MS_DIR));
	EXPECT_EQ(0, peer_call(&p, op_store, base + (n + 8) * HUGE, 1));
	EXPECT_EQ(0, load(self->base));

	/* It goes with the region. */
	EXPECT_EQ(0, munmap(self->base, size));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	EXPECT_LT(0, used_blocks(MS_DIR));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
}

/* Calls that bring memory in say that there is none; all others work. */
TEST_F(tables, calls_at_the_limit)
{
	const size_t size = 8 * self->unit;
	long n, at;
	int fd;

	make(_metadata, self, 8);
	fd = self->fd;
	n = op_touch((long[PEER_ARGS]){ L(self->base), HUGE, size / HUGE });
	ASSERT_GT(L(size / HUGE), n);
	at = (n + 8) * HUGE;
	EXPECT_EQ(-EFAULT, region_advise(fd, at, PAGE, MADV_POPULATE_WRITE));
	EXPECT_EQ(-EFAULT, region_advise(fd, at, PAGE, MADV_POPULATE_READ));
	EXPECT_ERR(EFAULT, madvise(self->base + at, PAGE, MADV_POPULATE_READ));
	EXPECT_ERR(EFAULT, madvise(self->base + at, PAGE,
				   MADV_POPULATE_WRITE));
	/* Locked, and not brought in; a part would be one mapping more. */
	EXPECT_EQ(-ENOMEM, region_lock(fd, 0, size, MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(size, region_stat(fd).locked);
	EXPECT_EQ(0, region_lock(fd, 0, size, MSHAREFS_LOCK_OFF, 0));
	EXPECT_EQ(-ENOSPC, region_lock(fd, at, PAGE, MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(0, region_stat(fd).locked);
	EXPECT_EQ(0, region_advise(fd, at, PAGE, MADV_WILLNEED));
	EXPECT_EQ(0, region_advise(fd, at, PAGE, MADV_COLD));
	EXPECT_EQ(0, region_protect(fd, 0, size, PROT_READ));
	EXPECT_EQ(0, region_protect(fd, 0, size, RW));
	EXPECT_EQ(0, region_advise(fd, 0, PAGE, MADV_DONTNEED));
	EXPECT_EQ(pattern(1, 0), load(self->base));
	EXPECT_EQ(0, region_unmap(fd, 0, size));
	EXPECT_EQ(0, region_stat(fd).mappings);
	EXPECT_GE(16, used_settle(MS_DIR, 16));
}

#define FULL	(4 * MIB / 2048)	/* mappings in a mount of 4 MiB */

/* Mappings are kernel memory as well. */
TEST_F(tables, mappings)
{
	const unsigned long pages = 4 * FULL;
	struct mshare_mapping m;
	struct mshare_stat st;
	unsigned long i;
	int ret = 0, fd;

	ASSERT_EQ(0, mount(NULL, MS_DIR, NULL, MS_REMOUNT, "size=4m"));
	make(_metadata, self, 4);
	fd = self->fd;
	for (i = 1; i < pages && !ret; i += 2)
		ret = region_protect(fd, i * PAGE, PAGE, PROT_READ);
	EXPECT_EQ(-ENOSPC, ret);
	st = region_stat(fd);
	EXPECT_LT(FULL - 8, st.mappings);
	EXPECT_GT(FULL + 8, st.mappings);
	USED_IS_THE_REGIONS();
	EXPECT_LE(used_blocks(MS_DIR), L(4 * MIB / PAGE));
	/* Nothing is changed by what failed. */
	i -= 2;
	ASSERT_EQ(0, region_next(fd, i * PAGE, &m));
	EXPECT_EQ(RW, m.prot);
	EXPECT_LE(self->unit, m.size);

	/* That was two more; there may be room for one. */
	for (i = 0, ret = 0; i < 4 && !ret; i++)
		ret = region_unmap(fd, 3 * self->unit + 2 * i * PAGE, PAGE);
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(4 * self->unit - (i - 1) * PAGE,
		  region_mapped(fd, 0, 4 * self->unit, NULL));
	EXPECT_EQ(-ENOSPC, region_protect(fd, 2 * self->unit, PAGE,
					  PROT_NONE));
	EXPECT_EQ(-ENOSPC, region_map(fd, 2 * self->unit, PAGE, RW, FIXED,
				      ms_memfd(_metadata, 1, 1), 0));
	EXPECT_EQ(-ENOSPC, region_map(fd, 2 * self->unit, PAGE, RW, ANON, -1,
				      0));
	EXPECT_EQ(4 * self->unit - (i - 1) * PAGE,
		  region_mapped(fd, 0, 4 * self->unit, NULL));
	USED_IS_THE_REGIONS();
	/* Nor for a page. */
	EXPECT_EQ(BUS_END, probe_write(self->base, 1));

	/* Whole mappings can be unmapped: one, and then all. */
	EXPECT_EQ(0, region_unmap(fd, PAGE, PAGE));
	EXPECT_EQ(0, region_unmap(fd, 4 * PAGE, 3 * PAGE));
	EXPECT_EQ(0, region_protect(fd, 2 * self->unit, PAGE, PROT_READ));
	EXPECT_EQ(0, region_unmap(fd, 0, 4 * self->unit));
	EXPECT_EQ(0, region_stat(fd).mappings);
	EXPECT_EQ(0, munmap(self->base, 4 * self->unit));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
}

#define RANGES	16		/* of 2 MiB, with two pages in each */

static unsigned long bad_ranges(const char *base, uint64_t want)
{
	unsigned long bad = 0;

	for (unsigned long i = 0; i < RANGES; i++) {
		bad += load(base + i * HUGE) != (want ? pattern(want, i) : 0);
		bad += load(base + i * HUGE + 5 * PAGE) !=
		       (want ? pattern(want + 1, i) : 0);
	}
	return bad;
}

static void fill_ranges(char *base, unsigned int region)
{
	for (unsigned long i = 0; i < RANGES; i++) {
		store(base + i * HUGE, pattern(region, i));
		store(base + i * HUGE + 5 * PAGE, pattern(region + 1, i));
	}
}

static long op_bad_ranges(const long *a)
{
	return bad_ranges((char *)a[0], a[1]);
}

static long op_fill_ranges(const long *a)
{
	fill_ranges((char *)a[0], a[1]);
	return 0;
}

/*
 * Advice that empties ranges frees their tables at once, while processes are
 * attached: they find what is there, or nothing, and can go on writing.
 */
TEST_F(tables, freed_by_advice)
{
	const struct {
		int advice;
		bool window, removes;
	} how[] = {
		{ MADV_REMOVE, false, true },
		{ MADV_REMOVE, true, true },
		{ MADV_DONTNEED, false, false },
		{ MADV_PAGEOUT, false, false },
		{ MADV_PAGEOUT, true, false },
	};
	struct peer p = peer_start(_metadata);
	unsigned long was;
	long other;

	make(_metadata, self, 1);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	ASSERT_LT(0, meminfo_kb("SwapFree")) TH_LOG("needs swap");
	/* What waits in the batch of another CPU cannot be paged out. */
	pin(0);
	store(self->base + RANGES * HUGE, 1);
	was = tables(self->fd);
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		uint64_t want = how[i].removes ? 0 : 10 * i + 1;
		int ret;

		fill_ranges(self->base, 10 * i + 1);
		EXPECT_EQ(0, peer_call(&p, op_bad_ranges, other, 10 * i + 1));
		EXPECT_EQ(was + RANGES, tables(self->fd));
		write_file("/proc/sys/vm/drop_caches", "1");
		ret = how[i].window ?
		      madvise(self->base, RANGES * HUGE, how[i].advice) :
		      region_advise(self->fd, 0, RANGES * HUGE, how[i].advice);
		ASSERT_EQ(0, ret);
		EXPECT_EQ(was, tables(self->fd)) {
			TH_LOG("advice %d", how[i].advice);
		}
		EXPECT_EQ(PAGE, region_stat(self->fd).resident);
		EXPECT_EQ(0, peer_call(&p, op_bad_ranges, other, want));
		EXPECT_EQ(0, bad_ranges(self->base, want));
		EXPECT_EQ(0, peer_call(&p, op_fill_ranges, other, 10 * i + 5));
		EXPECT_EQ(0, bad_ranges(self->base, 10 * i + 5));
		EXPECT_EQ(1, load(self->base + RANGES * HUGE));
	}

	/* A page that is left keeps its table. */
	ASSERT_EQ(0, region_advise(self->fd, PAGE, RANGES * HUGE - PAGE,
				   MADV_REMOVE));
	EXPECT_EQ(was + 1, tables(self->fd));
	EXPECT_EQ(2 * PAGE, region_stat(self->fd).resident);
	EXPECT_EQ(pattern(45, 0), load(self->base));
	USED_IS_THE_REGIONS();
	EXPECT_EQ(0, peer_stop(&p));
}

/* For peers: stores to a word of each range, until told to stop, and looks. */
static long op_store_often(const long *a)
{
	const int *stop = (int *)a[1];
	long wrong = 0;

	for (uint64_t n = 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); n++) {
		char *at = (char *)a[0] + n % RANGES * HUGE;
		uint64_t val;

		store(at, n);
		val = load(at);
		/* It may have been removed since. */
		wrong += val && val != n;
	}
	return wrong;
}

/* Tables are freed while others bring them in again. */
TEST_F_TIMEOUT(tables, freed_under_writers, 300)
{
	int *stop = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct peer p[3];
	long base;

	make(_metadata, self, 1);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = peer_start(_metadata);
		base = peer_attach(&p[i], MS_DIR "/a", O_RDWR, RW);
		ASSERT_LT(0, base);
		peer_begin(&p[i], op_store_often, (long[PEER_ARGS]){
			   base + i * PAGE, L(stop) });
	}
	for (unsigned int round = 0; another_round(round, 300); round++) {
		ASSERT_EQ(0, region_advise(self->fd, 0, RANGES * HUGE,
					   round % 3 ? MADV_REMOVE :
						       MADV_DONTNEED));
	}
	*stop = 1;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		EXPECT_EQ(0, peer_end(&p[i]));
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
	ASSERT_EQ(0, region_advise(self->fd, 0, self->unit, MADV_REMOVE));
	EXPECT_EQ(0, region_stat(self->fd).resident);
	USED_IS_THE_REGIONS();
	EXPECT_EQ(0, munmap(self->base, self->unit));
	EXPECT_EQ(0, tables_settle(self->fd, 0));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
}

/* With the last process go tables of all levels that hold nothing. */
TEST_F(tables, freed_after_detach)
{
	int object = ms_memfd(_metadata, 3, 8);
	struct peer p;
	unsigned long least;
	long other;

	make(_metadata, self, 4);
	p = peer_start(_metadata);	/* has the window by fork */
	fill(self->base, 1, 4);
	least = tables(self->fd);
	fill_ranges(self->base + self->unit, 1);
	fill_ranges(self->base + 2 * self->unit, 1);
	/* A file that is cut off is one more way to empty a range. */
	ASSERT_EQ(0, region_map(self->fd, 3 * self->unit, 8 * PAGE, RW, FIXED,
				object, 0));
	EXPECT_EQ(0, damaged(self->base + 3 * self->unit, 3, 8));
	ASSERT_EQ(0, ftruncate(object, 0));
	ASSERT_EQ(0, region_advise(self->fd, self->unit, 2 * self->unit,
				   MADV_REMOVE));
	EXPECT_LE(least + 3, tables(self->fd));
	EXPECT_EQ(0, munmap(self->base, 4 * self->unit));
	/* Links of the other process point at them. */
	usleep(200000);
	EXPECT_LE(least + 3, tables(self->fd));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(least, tables_settle(self->fd, least * PAGE) / PAGE);
	USED_IS_THE_REGIONS();

	/* All of it can be used again. */
	p = peer_start(_metadata);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, peer_call(&p, op_damaged, other, 1, 4));
	EXPECT_EQ(0, peer_call(&p, op_bad_ranges, other + self->unit, 0));
	EXPECT_EQ(0, peer_call(&p, op_fill_ranges, other + 2 * self->unit, 7));
	EXPECT_EQ(0, peer_call(&p, op_bad_ranges, other + 2 * self->unit, 7));
	EXPECT_EQ(BUS_END, peer_call(&p, op_peek, other + 3 * self->unit));
	EXPECT_EQ(0, peer_stop(&p));
	close(object);
}

/* Attached again before that is done, and over and over. */
TEST_F_TIMEOUT(tables, attached_again, 300)
{
	unsigned int round;

	make(_metadata, self, 4);
	EXPECT_EQ(0, munmap(self->base, 4 * self->unit));
	for (round = 0; another_round(round, 200); round++) {
		char *at;

		self->base = ms_map(self->fd, 4 * self->unit, RW);
		ASSERT_NE(MAP_FAILED, self->base);
		at = self->base + round % 4 * self->unit;
		fill_ranges(at, 2 * round + 1);
		ASSERT_EQ(0, bad_ranges(at, 2 * round + 1));
		if (round % 3) {
			ASSERT_EQ(0, region_advise(self->fd,
						   round % 4 * self->unit,
						   self->unit, MADV_REMOVE));
		}
		ASSERT_EQ(0, munmap(self->base, 4 * self->unit));
		usleep(round * 997 % 20000);
		if (round % 3)
			continue;
		/* What is in it stays. */
		self->base = ms_map(self->fd, 4 * self->unit, PROT_READ);
		at = self->base + round % 4 * self->unit;
		ASSERT_EQ(0, bad_ranges(at, 2 * round + 1));
		ASSERT_EQ(0, munmap(self->base, 4 * self->unit));
		ASSERT_EQ(0, region_advise(self->fd, 0, 4 * self->unit,
					   MADV_REMOVE));
	}
	EXPECT_EQ(0, region_advise(self->fd, 0, 4 * self->unit, MADV_REMOVE));
	self->base = ms_map(self->fd, 4 * self->unit, RW);
	EXPECT_EQ(0, munmap(self->base, 4 * self->unit));
	EXPECT_EQ(0, tables_settle(self->fd, 0));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
}

/* The same when it is unmapped while nobody is attached. */
TEST_F(tables, freed_after_unmap)
{
	unsigned long least;

	make(_metadata, self, 4);
	fill(self->base, 1, 4);
	least = tables(self->fd);
	for (unsigned int i = 1; i < 4; i++)
		fill_ranges(self->base + i * self->unit, i);
	EXPECT_EQ(0, munmap(self->base, 4 * self->unit));
	/* They hold something. */
	usleep(200000);
	EXPECT_EQ(least + 3 * (RANGES + 1), tables(self->fd));
	ASSERT_EQ(0, region_unmap(self->fd, self->unit, 3 * self->unit));
	EXPECT_EQ(least, tables_settle(self->fd, least * PAGE) / PAGE);
	USED_IS_THE_REGIONS();
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->unit));
	EXPECT_EQ(0, tables_settle(self->fd, 0));
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
	/* And mapped again. */
	ASSERT_EQ(0, region_anon(self->fd, 0, self->unit));
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(0, load(self->base));
	fill_ranges(self->base, 4);
	EXPECT_EQ(0, bad_ranges(self->base, 4));
}

/*
 * Readers of mapped files bring tables in, which are the mount's. They cannot
 * fill it: the last eighth is for those who may write.
 */
TEST_F(tables, readers_leave_an_eighth)
{
	const long n = self->unit / HUGE, blocks = MIB / PAGE;
	struct peer p;
	int err, file;
	long ro, got, more;

	err = mount_disk();
	ASSERT_EQ(0, err) TH_LOG("no disk with ext4: %s", strerror(-err));
	file = open(DISK "/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, self->unit));
	ASSERT_EQ(0, mount(NULL, MS_DIR, NULL, MS_REMOUNT, "size=1m"));
	p = peer_start(_metadata);
	self->fd = ms_container(_metadata, MS_DIR "/a", 2 * self->unit);
	ASSERT_EQ(0, region_map(self->fd, 0, self->unit, RW, FIXED, file, 0));
	ASSERT_EQ(0, region_anon(self->fd, self->unit, MIB));
	self->base = ms_map(self->fd, 2 * self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	ro = peer_attach(&p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, ro);
	got = peer_call(&p, op_touch, ro, HUGE, n, true);
	EXPECT_GT(n, got);
	EXPECT_GE(blocks * 7 / 8, used_blocks(MS_DIR));
	EXPECT_LE(blocks * 7 / 8 - 8, used_blocks(MS_DIR));
	EXPECT_LE(blocks * 7 / 8 - 16, got);
	EXPECT_EQ(BUS_END, peer_call(&p, op_peek, ro + (got + 1) * HUGE));
	EXPECT_EQ(0, peer_call(&p, op_peek, ro));

	/* A writer goes on with the file, and with memory, to the end. */
	EXPECT_EQ(0, peek(self->base + (got + 1) * HUGE));
	EXPECT_EQ(0, peer_call(&p, op_peek, ro + (got + 1) * HUGE));
	EXPECT_EQ(0, probe_write(self->base + self->unit, 1));
	more = L(self->base + self->unit);
	more = op_touch((long[PEER_ARGS]){ more, PAGE, MIB / PAGE });
	EXPECT_LT(10, more);
	EXPECT_GT(MIB / PAGE, more);
	EXPECT_LE(blocks - 4, used_blocks(MS_DIR));
	EXPECT_EQ(more + overhead_blocks(self->fd), used_blocks(MS_DIR));
	EXPECT_EQ(0, peer_stop(&p));
	close(file);
}

/* What the kernel tells when memory runs out tells of regions, too. */
TEST_F(tables, report)
{
	int log = kmsg_open();
	char *line;

	ASSERT_LE(0, log);
	make(_metadata, self, 1);
	fill_ranges(self->base, 1);
	ASSERT_EQ(0, write_file("/proc/sysrq-trigger", "m"));
	line = kmsg_line(kmsg_read(log), ";mshare: ");
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, "regions")) TH_LOG("%s", line);
	EXPECT_NE(NULL, strstr(line, "page tables")) TH_LOG("%s", line);
	close(log);
}

TEST_HARNESS_MAIN
