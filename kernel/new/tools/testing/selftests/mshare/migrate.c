// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a region get other places in memory, under processes that use them:
 * soft offline, compaction, memory that is taken out, khugepaged. Where a page
 * is can be seen by an object that is mapped in the region and looked at by its
 * file.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_pfn.h"
#include "lib_objects.h"
#include "lib_writers.h"

#define THP	"/sys/kernel/mm/transparent_hugepage/"
#define NPAGES	512UL

FIXTURE(motion) {
	size_t unit;
	int fd, object;
	char *base;
};

FIXTURE_SETUP(motion)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->fd = ms_container(_metadata, MS_DIR "/a", self->unit);
	self->base = ms_map(self->fd, self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

FIXTURE_TEARDOWN(motion)
{
}

static void map_object(struct __test_metadata *_metadata,
		       FIXTURE_DATA(motion) *self, unsigned long pages)
{
	self->object = ms_memfd(_metadata, 1, pages);
	ASSERT_EQ(0, region_map(self->fd, 0, pages * PAGE, RW, FIXED,
				self->object, 0));
}

static unsigned long moved(const uint64_t *was, const uint64_t *is,
			   unsigned long n)
{
	unsigned long count = 0;

	for (unsigned long i = 0; i < n; i++)
		count += was[i] != is[i];
	return count;
}

/* Each page, one by one, while it is read and written. */
TEST_F_TIMEOUT(motion, soft_offline, 300)
{
	const unsigned long pages = 64;
	uint64_t was[64], is[64];
	struct use *use;

	map_object(_metadata, self, pages);
	use = use_start(_metadata, MS_DIR "/a", self->base, pages);
	ASSERT_TRUE(use_rounds(use, 1));
	ASSERT_EQ(0, file_frames(self->object, was, pages));
	drain_lru();
	for (unsigned long i = 0; i < pages; i++) {
		int err = 0;

		/* One that is being looked at is left for another time. */
		for (int again = 0; again < 50; again++) {
			err = soft_offline(was[i]);
			if (err != -EBUSY)
				break;
			usleep(10000);
		}
		EXPECT_EQ(0, err) {
			TH_LOG("page %lu: %s", i, strerror(-err));
		}
	}
	ASSERT_TRUE(use_rounds(use, 2));
	ASSERT_EQ(0, file_frames(self->object, is, pages));
	EXPECT_EQ(pages, moved(was, is, pages));
	use_stop(_metadata, use);
	for (unsigned long i = 0; i < pages; i++) {
		EXPECT_EQ(0, unpoison(was[i]));
	}
}

/* Pages @from to @to of @object, with pages of @apart between them. */
static void alternate(struct __test_metadata *_metadata, int object, int apart,
		      unsigned long from, unsigned long to)
{
	for (unsigned long i = from; i < to; i++) {
		ASSERT_EQ(8, pwrite(object, &i, 8, i * PAGE));
		for (unsigned long j = 0; j < 8; j++)
			ASSERT_EQ(8, pwrite(apart, &i, 8, (i * 8 + j) * PAGE));
	}
}

/*
 * Compaction moves pages from the lower end of a zone to free pages at its
 * upper end. So some of the region has to be far from there: what is free is
 * given to huge pages while half of it is allocated. Between the pages of the
 * region there are free ones.
 */
TEST_F_TIMEOUT(motion, compaction, 300)
{
	const unsigned long half = NPAGES / 2;
	uint64_t was[NPAGES], is[NPAGES];
	struct use *use;
	int apart;

	self->object = memfd_create("object", MFD_CLOEXEC);
	apart = memfd_create("apart", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(self->object, NPAGES * PAGE));
	alternate(_metadata, self->object, apart, 0, half);
	hugepage_pool((meminfo_kb("MemFree") - 256 * 1024) / 2048);
	alternate(_metadata, self->object, apart, half, NPAGES);
	EXPECT_EQ(0, hugepage_pool(0));
	/* What was between them is free now. */
	close(apart);

	ASSERT_EQ(0, region_map(self->fd, 0, NPAGES * PAGE, RW, FIXED,
				self->object, 0));
	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	ASSERT_TRUE(use_rounds(use, 1));
	ASSERT_EQ(0, file_frames(self->object, was, NPAGES));
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_memory", "1"));
	ASSERT_EQ(0, file_frames(self->object, is, NPAGES));
	EXPECT_LE(NPAGES / 8, moved(was, is, NPAGES));
	ASSERT_TRUE(use_rounds(use, 1));
	use_stop(_metadata, use);
}

/* Memory that can be taken out is in blocks; -1 when there is no such thing. */
static long block_pages(void)
{
	char text[32];

	if (read_file(MEMORY "block_size_bytes", text, sizeof(text)) <= 0)
		return -1;
	return strtoul(text, NULL, 16) / PAGE;
}

static int set_block(unsigned long block, const char *state)
{
	char path[128];

	snprintf(path, sizeof(path), MEMORY "memory%lu/state", block);
	return write_file(path, state);
}

static unsigned long in_block(const uint64_t *pfn, unsigned long n,
			      unsigned long block, unsigned long size)
{
	unsigned long count = 0;

	for (unsigned long i = 0; i < n; i++)
		count += pfn[i] / size == block;
	return count;
}

/*
 * Takes blocks of memory that have pages of the region out of use. The kernel
 * has memory of its own in some that it cannot move: one is enough.
 */
TEST_F_TIMEOUT(motion, memory_taken_out, 400)
{
	const unsigned long pages = 32768;
	unsigned long size = block_pages(), out = 0, last = ~0ul;
	uint64_t *pfn = calloc(pages, sizeof(*pfn));
	struct use *use;

	ASSERT_LT(0, L(size));
	ASSERT_NE(NULL, pfn);
	map_object(_metadata, self, pages);
	use = use_start(_metadata, MS_DIR "/a", self->base, NPAGES);
	ASSERT_TRUE(use_rounds(use, 1));
	ASSERT_EQ(0, file_frames(self->object, pfn, pages));
	for (unsigned long i = 0; i < pages && out < 2; i++) {
		unsigned long block = pfn[i] / size, had;

		if (block == last)
			continue;
		last = block;
		had = in_block(pfn, pages, block, size);
		if (had < 16 || set_block(block, "offline"))
			continue;
		ASSERT_EQ(0, file_frames(self->object, pfn, pages));
		EXPECT_EQ(0, in_block(pfn, pages, block, size)) {
			TH_LOG("block %lu had %lu pages", block, had);
		}
		ASSERT_TRUE(use_rounds(use, 1));
		ASSERT_EQ(0, set_block(block, "online"));
		out++;
	}
	use_stop(_metadata, use);
	for (unsigned long i = NPAGES; i < pages; i++)
		ASSERT_EQ(pattern(1, i), load(self->base + i * PAGE));
	if (!out)
		SKIP(return, "no block of memory could be taken out");
}

/* For peers: reads a[1] pages at a[0], over and over, until a[2] is set. */
static long op_read_or_hole(const long *a)
{
	const int *stop = (int *)a[2];
	unsigned long wrong = 0;
	uint64_t val;
	int how;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		for (long i = 0; i < a[1]; i++) {
			how = probe_read((char *)a[0] + i * PAGE, &val);
			/* Not mapped, not written yet, or what is written. */
			if (how ? how != MAPERR && how != BUS_END :
				  val && val != pattern(1, i))
				wrong++;
		}
	}
	return wrong;
}

static const char *const khugepaged[][2] = {
	{ THP "shmem_enabled", "advise" },
	{ THP "khugepaged/scan_sleep_millisecs", "0" },
	{ THP "khugepaged/alloc_sleep_millisecs", "0" },
	{ THP "khugepaged/pages_to_scan", "8192" },
	{ THP "khugepaged/max_ptes_none", "511" },
};

/*
 * khugepaged makes huge pages of what is being unmapped and mapped again.
 * Readers see what is written there, or nothing; nobody else's memory.
 */
TEST_F_TIMEOUT(motion, khugepaged_and_unmap, 300)
{
	int *stop = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char saved[ARRAY_SIZE(khugepaged)][64], *from, *to;
	long collapsed = vmstat("thp_collapse_alloc");
	const unsigned long huge = 4, pages = huge * 512;
	time_t end = time(NULL) + 25;
	struct peer p[USERS - 1];
	long at;

	for (size_t i = 0; i < ARRAY_SIZE(khugepaged); i++) {
		ASSERT_LT(0, read_file(khugepaged[i][0], saved[i], 64));
		from = strchr(saved[i], '[');
		to = strchr(saved[i], ']');
		if (from && to) {
			*to = 0;
			memmove(saved[i], from + 1, to - from);
		}
		ASSERT_EQ(0, write_file(khugepaged[i][0], khugepaged[i][1]));
	}
	for (int i = 0; i < USERS - 1; i++) {
		p[i] = peer_start(_metadata);
		at = peer_attach(&p[i], MS_DIR "/a", O_RDONLY, PROT_READ);
		ASSERT_LT(0, at);
		peer_begin(&p[i], op_read_or_hole,
			   (long[PEER_ARGS]){ at, pages, L(stop) });
	}
	/* On a slow machine khugepaged takes its time. */
	for (unsigned int round = 0; time(NULL) < end ||
	     (time(NULL) < end + 120 &&
	      vmstat("thp_collapse_alloc") == collapsed); round++) {
		const size_t aside = round % huge * HUGE;

		ASSERT_EQ(0, region_anon(self->fd, 0, huge * HUGE));
		/* A small page in each: else they were huge from the start. */
		for (unsigned long i = 0; i < pages; i += 512)
			store(self->base + i * PAGE, pattern(1, i));
		ASSERT_EQ(0, region_advise(self->fd, 0, huge * HUGE,
					   MADV_HUGEPAGE));
		for (unsigned long i = 0; i < pages; i += 1 + round % 3)
			store(self->base + i * PAGE, pattern(1, i));
		/* At another point of its work each time. */
		usleep(round % 16 * 5000);
		ASSERT_EQ(0, region_unmap(self->fd, aside, HUGE / 2));
		ASSERT_EQ(0, region_unmap(self->fd, 0, huge * HUGE));
		EXPECT_EQ(MAPERR, peek(self->base + aside));
	}
	*stop = 1;
	for (int i = 0; i < USERS - 1; i++) {
		EXPECT_EQ(0, peer_end(&p[i]));
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
	/* There was a race. */
	EXPECT_LT(collapsed, vmstat("thp_collapse_alloc"));
	for (size_t i = 0; i < ARRAY_SIZE(khugepaged); i++) {
		EXPECT_EQ(0, write_file(khugepaged[i][0], saved[i]));
	}
}

TEST_HARNESS_MAIN
