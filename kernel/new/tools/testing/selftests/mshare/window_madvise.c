// SPDX-License-Identifier: GPL-2.0
/*
 * Advice through a window, by madvise(2) and process_madvise(2): it is given to
 * the memory of the region, for everybody, and changes no contents.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include "lib_smaps.h"
#include <pthread.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NPAGES		64UL
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

FIXTURE(madvise) {
	size_t unit;
	struct peer p;
	long other;	/* a window of the peer's, which only reads */
	char *base;
	int fd;
	bool swap;
};

FIXTURE_SETUP(madvise)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	self->base = ms_new(_metadata, MS_DIR "/a", self->unit, &self->fd);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, self->other);
	fill(self->base, 1, NPAGES);
	/* Pages that a CPU is yet to put on a list cannot be isolated. */
	write_file("/proc/sys/vm/drop_caches", "1");
	self->swap = file_field("/proc/meminfo", "SwapTotal") > 0;
}

FIXTURE_TEARDOWN(madvise)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

static long resident(int fd)
{
	return region_stat(fd).resident / PAGE;
}

static void unchanged(struct __test_metadata *_metadata,
		      FIXTURE_DATA(madvise) *self)
{
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES));
}

static void paged_out(struct __test_metadata *_metadata,
		      FIXTURE_DATA(madvise) *self)
{
	EXPECT_EQ(0, resident(self->fd));
	EXPECT_EQ(0, peer_call(&self->p, op_smaps, self->other, L("Rss")));
	/* What is being written is not there yet. */
	EXPECT_LT(NPAGES * 2, peer_call(&self->p, op_smaps, self->other,
					L("Swap")));
	unchanged(_metadata, self);
	EXPECT_EQ(NPAGES, resident(self->fd));
}

TEST_F(madvise, pageout)
{
	if (!self->swap)
		SKIP(return, "no swap");
	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_PAGEOUT));
	paged_out(_metadata, self);
	/* A part of it. */
	EXPECT_EQ(0, madvise(self->base + 8 * PAGE, 16 * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(NPAGES - 16, resident(self->fd));
	unchanged(_metadata, self);
}

/* The right to change the region is that of the file, not of the window. */
TEST_F(madvise, pageout_through_a_read_only_window)
{
	char *ro = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, ro);
	if (!self->swap)
		SKIP(return, "no swap");
	EXPECT_EQ(0, madvise(ro, NPAGES * PAGE, MADV_PAGEOUT));
	paged_out(_metadata, self);
}

/* What would harm the others, or change how it is mapped for them. */
TEST_F(madvise, of_a_file_opened_to_read)
{
	const int advice[] = { MADV_PAGEOUT, MADV_COLD, MADV_HUGEPAGE,
			       MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_REMOVE };

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_EQ(-EACCES, peer_sys(&self->p, __NR_madvise, self->other,
					    NPAGES * PAGE, advice[i])) {
			TH_LOG("advice %d", advice[i]);
		}
	}
	EXPECT_EQ(NPAGES, resident(self->fd));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(0, peer_sys(&self->p, __NR_madvise, self->other,
			      NPAGES * PAGE, MADV_WILLNEED));
	unchanged(_metadata, self);
}

TEST_F(madvise, pageout_of_another_process)
{
	struct iovec iov = { (void *)self->other, NPAGES * PAGE };
	int pidfd = syscall(__NR_pidfd_open, self->p.pid, 0);

	if (!self->swap)
		SKIP(return, "no swap");
	ASSERT_LE(0, pidfd);
	EXPECT_ERR(EACCES, syscall(__NR_process_madvise, pidfd, &iov, 1L,
				   MADV_PAGEOUT, 0L));
	iov.iov_base = (void *)peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, L(iov.iov_base));
	EXPECT_EQ((long)(NPAGES * PAGE),
		  syscall(__NR_process_madvise, pidfd, &iov, 1L, MADV_PAGEOUT,
			  0L));
	paged_out(_metadata, self);
	close(pidfd);
}

/* Reading ahead goes on behind our back: its end is waited for. */
TEST_F(madvise, willneed)
{
	long there = 0;

	if (!self->swap)
		SKIP(return, "no swap");
	ASSERT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_PAGEOUT));
	/* From swap itself, not from its cache. */
	write_file("/proc/sys/vm/drop_caches", "1");
	ASSERT_EQ(0, resident(self->fd));
	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_WILLNEED));
	for (int i = 0; i < 200 && there != NPAGES; i++) {
		there = pages_in_core(self->base, NPAGES);
		usleep(10000);
	}
	EXPECT_EQ(NPAGES, there);
	EXPECT_EQ(0, resident(self->fd));
	unchanged(_metadata, self);
}

/* What the CPU has noted in the entries, for everybody, is gone. */
TEST_F(madvise, cold)
{
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(0, madvise(self->base, NPAGES / 2 * PAGE, MADV_COLD));
	EXPECT_EQ(NPAGES / 2 * 4, smaps_kb(self->base, "Referenced"));
	EXPECT_EQ(NPAGES * 4, smaps_kb(self->base, "Rss"));
	unchanged(_metadata, self);
}

TEST_F(madvise, dontneed_drops_nothing)
{
	long before = minor_faults();

	EXPECT_EQ(0, madvise(self->base, NPAGES * PAGE, MADV_DONTNEED));
	EXPECT_EQ(NPAGES, resident(self->fd));
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_GT(8, minor_faults() - before);
	unchanged(_metadata, self);
}

TEST_F(madvise, hugepages)
{
	char was[64], *word, *at = self->base + 2 * HUGE;
	long other;

	if (read_file(SHMEM_ENABLED, was, sizeof(was)) < 0)
		SKIP(return, "no transparent huge pages");
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	ASSERT_EQ(0, write_file(SHMEM_ENABLED, "advise"));
	store(at, 1);
	EXPECT_EQ(0, smaps_kb(self->base, "ShmemPmdMapped"));
	EXPECT_EQ(0, madvise(at + HUGE, HUGE, MADV_HUGEPAGE));
	store(at + HUGE, 1);
	EXPECT_EQ(HUGE / KIB, smaps_kb(self->base, "ShmemPmdMapped"));
	EXPECT_EQ(HUGE / KIB, peer_call(&self->p, op_smaps, self->other,
					L("ShmemPmdMapped")));
	/* By another process, and taken back. */
	other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, peer_sys(&self->p, __NR_madvise, other + 4 * HUGE,
			      2 * HUGE, MADV_HUGEPAGE));
	EXPECT_EQ(0, madvise(self->base + 5 * HUGE, HUGE, MADV_NOHUGEPAGE));
	store(self->base + 4 * HUGE, 1);
	store(self->base + 5 * HUGE, 1);
	EXPECT_EQ(2 * HUGE / KIB, smaps_kb(self->base, "ShmemPmdMapped"));
	word = strchr(was, '[');
	if (word)
		*strchr(word, ']') = 0;
	write_file(SHMEM_ENABLED, word ? word + 1 : "never");
	unchanged(_metadata, self);
}

TEST_F(madvise, collapse)
{
	char *at = self->base + HUGE;
	int err = EAGAIN;

	fill(at, 3, HUGE / PAGE);
	EXPECT_EQ(0, smaps_kb(self->base, "ShmemPmdMapped"));
	/* Pages that somebody else isolates at the moment. */
	for (int i = 0; i < 20 && err; i++)
		err = madvise(at, HUGE, MADV_COLLAPSE) ? errno : 0;
	if (err == EINVAL)
		SKIP(return, "no transparent huge pages");
	EXPECT_EQ(0, err) TH_LOG("%s", strerror(err));
	/* It is mapped when it is used next, for all. */
	EXPECT_EQ(0, damaged(at, 3, HUGE / PAGE));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + HUGE, 3,
			       HUGE / PAGE));
	EXPECT_EQ(HUGE / KIB, peer_call(&self->p, op_smaps, self->other,
					L("ShmemPmdMapped")));
}

TEST_F(madvise, remove)
{
	char *ro = ms_map(self->fd, self->unit, PROT_READ);

	ASSERT_NE(MAP_FAILED, ro);
	/* Not through a window that cannot be written, for whatever reason. */
	EXPECT_ERR(EACCES, madvise(ro, PAGE, MADV_REMOVE));
	EXPECT_EQ(-EACCES, peer_sys(&self->p, __NR_madvise, self->other, PAGE,
				    MADV_REMOVE));
	EXPECT_EQ(NPAGES, resident(self->fd));
	unchanged(_metadata, self);

	EXPECT_EQ(0, madvise(self->base + 4 * PAGE, 8 * PAGE, MADV_REMOVE));
	EXPECT_EQ(NPAGES - 8, resident(self->fd));
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(i >= 4 && i < 12 ? 0 : pattern(1, i),
			  load(ro + i * PAGE));
	}
	EXPECT_EQ(0, peer_call(&self->p, op_load, self->other + 4 * PAGE));
}

TEST_F(madvise, remove_from_a_file)
{
	int mem = ms_memfd(_metadata, 2, 8), rdonly = reopen(mem, O_RDONLY);
	int fd = ms_container(_metadata, MS_DIR "/files", self->unit);
	char *base;

	ASSERT_LE(0, rdonly);
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, RW, FIXED, mem, 0));
	ASSERT_EQ(0, region_map(fd, 8 * PAGE, 8 * PAGE, PROT_READ, FIXED,
				rdonly, 0));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	/* The window can be written, what is mapped there cannot. */
	EXPECT_ERR(EACCES, madvise(base + 8 * PAGE, PAGE, MADV_REMOVE));
	EXPECT_EQ(pattern(2, 0), file_load(mem, 0));
	EXPECT_EQ(0, madvise(base, PAGE, MADV_REMOVE));
	EXPECT_EQ(0, file_load(mem, 0));
	EXPECT_EQ(pattern(2, 1), file_load(mem, 1));
	close(fd);
	close(rdonly);
	close(mem);
}

/* As for any memory: what is not mapped is told, the rest is done. */
TEST_F(madvise, holes)
{
	int fd = ms_container(_metadata, MS_DIR "/holes", self->unit);
	char *base;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, 8 * PAGE, 4 * PAGE));
	base = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	store(base, 1);
	store(base + 8 * PAGE, 1);
	EXPECT_ERR(ENOMEM, madvise(base, 16 * PAGE, MADV_COLD));
	EXPECT_EQ(0, smaps_kb(base, "Referenced"));
	EXPECT_ERR(ENOMEM, madvise(base, self->unit, MADV_HUGEPAGE));
	EXPECT_ERR(ENOMEM, madvise(base + 20 * PAGE, PAGE, MADV_WILLNEED));
	EXPECT_ERR(ENOMEM, madvise(base + 20 * PAGE, PAGE, MADV_REMOVE));
	close(fd);
}

/* The lock of the process is dropped in between, and taken again. */
TEST_F(madvise, several_windows)
{
	char *at = mmap(NULL, 4 * self->unit, PROT_NONE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base;
	int fd;

	ASSERT_NE(MAP_FAILED, at);
	at = (char *)((L(at) + self->unit - 1) & -self->unit);
	base = ms_new(_metadata, MS_DIR "/b", self->unit, &fd);
	ASSERT_EQ(at, mmap(at, self->unit, RW, FIXED, self->fd, 0));
	ASSERT_EQ(at + self->unit, mmap(at + self->unit, self->unit, RW, FIXED,
					fd, 0));
	store(base, 1);
	store(at + self->unit - PAGE, 1);
	EXPECT_EQ(0, madvise(at, 2 * self->unit, MADV_COLD));
	EXPECT_EQ(0, smaps_kb(at, "Referenced"));
	EXPECT_EQ(0, smaps_kb(at + self->unit, "Referenced"));
	/* With ordinary memory behind them. */
	EXPECT_EQ(0, madvise(at, 3 * self->unit, MADV_NOHUGEPAGE));
	EXPECT_TRUE(smaps_flag(at + 2 * self->unit, "nh"));
	unchanged(_metadata, self);
	close(fd);
}

#define LAYOUT	24UL	/* pages */

/*
 * The same in a region and in ordinary memory: memory, a hole, memory that is
 * read-only, none that can be accessed, and a file that ends half-way.
 */
static const struct {
	unsigned int at, pages;
	int prot;
	bool file;
} part[] = {
	{ 0, 4, RW, false },
	{ 8, 4, PROT_READ, false },
	{ 12, 4, PROT_NONE, false },
	{ 16, 8, RW, true },
};

static int region_layout(struct __test_metadata *_metadata, const char *path,
			 size_t unit)
{
	int fd = ms_container(_metadata, path, unit), object;

	object = ms_memfd(_metadata, 2, 4);
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		int flags = part[i].file ? FIXED : ANON;

		ASSERT_EQ(0, region_map(fd, part[i].at * PAGE,
					part[i].pages * PAGE, part[i].prot,
					flags, part[i].file ? object : -1, 0));
	}
	close(object);
	return fd;
}

static char *plain_layout(struct __test_metadata *_metadata, int prot)
{
	int object = ms_memfd(_metadata, 2, 4);
	char *at = mmap(NULL, LAYOUT * PAGE, PROT_NONE, MAP_PRIVATE |
			MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, at);
	ASSERT_EQ(0, munmap(at, LAYOUT * PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		int flags = part[i].file ? NOREPLACE :
					   NOREPLACE | MAP_ANONYMOUS;
		char *p = mmap(at + part[i].at * PAGE, part[i].pages * PAGE,
			       part[i].prot & prot, flags,
			       part[i].file ? object : -1, 0);

		ASSERT_EQ(at + part[i].at * PAGE, p);
	}
	close(object);
	return at;
}

static int populate(char *at, unsigned long pages, int advice)
{
	return madvise(at, pages * PAGE, advice) ? errno : 0;
}

static bool forbids(int prot, int advice)
{
	return !(prot & (advice == MADV_POPULATE_WRITE ? PROT_WRITE :
							 PROT_READ));
}

/*
 * What cannot be brought in has the error that it has in ordinary memory, with
 * every window: the mapping is the same there with what the window permits.
 */
TEST_F(madvise, populate_errors)
{
	const int advice[] = { MADV_POPULATE_READ, MADV_POPULATE_WRITE };
	const int prot[] = { RW, PROT_READ, PROT_NONE };
	int fd = region_layout(_metadata, MS_DIR "/b", self->unit);
	char *win, *plain;

	for (size_t p = 0; p < ARRAY_SIZE(prot); p++) {
		win = ms_map(fd, self->unit, prot[p]);
		ASSERT_NE(MAP_FAILED, win);
		plain = plain_layout(_metadata, prot[p]);
		for (unsigned long i = 0; i < 2 * LAYOUT * LAYOUT; i++) {
			int adv = advice[i % 2], want, is;
			unsigned long at = i / 2 / LAYOUT;
			unsigned long pages = 1 + i / 2 % LAYOUT;

			if (at + pages > LAYOUT)
				continue;
			/* The window comes first, also in front of a hole. */
			want = forbids(prot[p], adv) ? EINVAL :
			       populate(plain + at * PAGE, pages, adv);
			is = populate(win + at * PAGE, pages, adv);
			EXPECT_EQ(want, is) {
				TH_LOG("%lu pages at %lu, prot %d, advice %d: %s, not %s",
				       pages, at, prot[p], adv, strerror(is),
				       strerror(want));
			}
		}
		ASSERT_EQ(0, munmap(plain, LAYOUT * PAGE));
		ASSERT_EQ(0, munmap(win, self->unit));
	}

	/* In words: */
	win = ms_map(fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, win);
	EXPECT_EQ(0, populate(win, 4, MADV_POPULATE_WRITE));
	EXPECT_EQ(0, populate(win + 16 * PAGE, 4, MADV_POPULATE_WRITE));
	EXPECT_EQ(ENOMEM, populate(win + 4 * PAGE, 1, MADV_POPULATE_READ));
	EXPECT_EQ(ENOMEM, populate(win + 4 * PAGE, 1, MADV_POPULATE_WRITE));
	EXPECT_EQ(0, populate(win + 8 * PAGE, 4, MADV_POPULATE_READ));
	EXPECT_EQ(EINVAL, populate(win + 8 * PAGE, 4, MADV_POPULATE_WRITE));
	EXPECT_EQ(EINVAL, populate(win + 12 * PAGE, 1, MADV_POPULATE_READ));
	EXPECT_EQ(EFAULT, populate(win + 20 * PAGE, 1, MADV_POPULATE_READ));
	/* What the window forbids, whatever is mapped there. */
	EXPECT_EQ(0, mprotect(win, self->unit, PROT_READ));
	EXPECT_EQ(EINVAL, populate(win, 4, MADV_POPULATE_WRITE));
	EXPECT_EQ(0, populate(win, 4, MADV_POPULATE_READ));
	EXPECT_EQ(0, munmap(win, self->unit));
	/* The pages in front of the first hole are brought in. */
	ASSERT_EQ(0, region_advise(fd, 0, 4 * PAGE, MADV_REMOVE));
	ASSERT_EQ(8, resident(fd));
	win = ms_map(fd, self->unit, RW);
	EXPECT_EQ(ENOMEM, populate(win, self->unit / PAGE,
				   MADV_POPULATE_READ));
	EXPECT_EQ(12, resident(fd));
	close(fd);
}

struct remapper {
	char *at;		/* ordinary memory, PIECES pages */
	int stop;
	unsigned long rounds;
};

#define PIECES	64UL

/* The pieces of memory begin and end elsewhere each time. */
static void *remap_pieces(void *arg)
{
	const int prot[] = { RW, PROT_READ, PROT_NONE };
	struct remapper *r = arg;
	unsigned int seed = 1;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		unsigned long at = rand_r(&seed) / 8 % PIECES;
		unsigned long n = 1 + rand_r(&seed) / 8 % (PIECES - at);
		int p = prot[rand_r(&seed) / 8 % 3];

		switch (rand_r(&seed) / 8 % 4) {
		case 0:
			munmap(r->at + at * PAGE, n * PAGE);
			break;
		case 1:
			mprotect(r->at + at * PAGE, n * PAGE, p);
			break;
		default:
			/* Nothing else can have come there meanwhile. */
			mmap(r->at + at * PAGE, n * PAGE, p, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		}
		r->rounds++;
	}
	return NULL;
}

/*
 * The lock of the process is dropped for the region: what comes after the
 * window is looked up again, as it may have become something else.
 */
TEST_F(madvise, memory_behind_is_remapped)
{
	const int advice[] = { MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_COLD,
			       MADV_WILLNEED };
	const size_t unit = self->unit;
	struct remapper r = { 0 };
	time_t end = time(NULL) + 3;
	unsigned long rounds = 0;
	pthread_t thread;
	char *at;

	at = mmap(NULL, 3 * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		  MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, at);
	at = (char *)((L(at) + unit - 1) & -unit);
	ASSERT_EQ(at, mmap(at, unit, RW, FIXED, self->fd, 0));
	r.at = at + unit;
	/* What the thread unmaps, no allocation of the C library must get. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, remap_pieces, &r));
	while (time(NULL) < end) {
		for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
			size_t len = (1 + rounds % (2 * PIECES)) * PAGE;
			int ret = madvise(at + unit - PAGE, len + PAGE,
					  advice[i]);

			/* Holes are told, and nothing else can go wrong. */
			EXPECT_TRUE(!ret || errno == ENOMEM) {
				TH_LOG("advice %d: %s", advice[i],
				       strerror(errno));
			}
		}
		rounds++;
	}
	r.stop = 1;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_LT(10, rounds);
	EXPECT_LT(10, r.rounds);
	/* It was about advice: the region is as it was. */
	EXPECT_EQ(0, damaged(at, 1, NPAGES));
	unchanged(_metadata, self);
}

TEST_HARNESS_MAIN
