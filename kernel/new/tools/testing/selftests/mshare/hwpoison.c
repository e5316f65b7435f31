// SPDX-License-Identifier: GPL-2.0
/*
 * An uncorrectable memory error in a page of a region: those who touch the page
 * get SIGBUS with the address in their own window; those who asked to be told
 * early are told at once; nobody else is.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include "lib_pfn.h"
#include "lib_hwpoison.h"

#define NPAGES	16UL

FIXTURE(hwpoison) {
	size_t unit;
	int fd, object;
	char *base;
	uint64_t pfn[NPAGES];
	long corrupted;
};

/*
 * Two units; the object is at the start of the first and nowhere else. The
 * frames are known before it happens: looking at them touches them.
 */
FIXTURE_SETUP(hwpoison)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(0, access(HWPOISON "corrupt-pfn", W_OK));
	self->corrupted = meminfo_kb("HardwareCorrupted");
	self->fd = ms_container(_metadata, MS_DIR "/a", 2 * self->unit);
	self->object = ms_memfd(_metadata, 1, NPAGES);
	ASSERT_EQ(0, region_map(self->fd, 0, NPAGES * PAGE, RW, FIXED,
				self->object, 0));
	self->base = ms_map(self->fd, 2 * self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	/* Peers must not inherit it. */
	ASSERT_EQ(0, munmap(self->base, 2 * self->unit));
	ASSERT_EQ(0, file_frames(self->object, self->pfn, NPAGES));
	drain_lru();
}

/* Other tests get the frame back. */
FIXTURE_TEARDOWN(hwpoison)
{
	if (!self->unit)
		return;
	EXPECT_EQ(0, region_unmap(self->fd, 0, NPAGES * PAGE));
	EXPECT_EQ(0, ftruncate(self->object, 0));
	EXPECT_EQ(0, unpoison(self->pfn[BAD]));
	EXPECT_EQ(self->corrupted, meminfo_kb("HardwareCorrupted"));
}

#define CORRUPT() do {							\
	ASSERT_EQ(0, write_number(HWPOISON "corrupt-pfn",		\
				  self->pfn[BAD]));			\
	EXPECT_EQ(self->corrupted + 4, meminfo_kb("HardwareCorrupted"));\
} while (0)

/* A window of the test itself; after the peers have been started. */
#define MAP_OWN() do {							\
	self->base = ms_map(self->fd, 2 * self->unit, RW);		\
	ASSERT_NE(MAP_FAILED, self->base);				\
} while (0)

/* For peers: whether page a[2] is not as filled, where a[0] is page BAD. */
static long op_damaged_at(const long *a)
{
	return load((char *)a[0] + (a[2] - L(BAD)) * L(PAGE)) !=
	       pattern(a[1], a[2]);
}

TEST_F(hwpoison, later_access)
{
	struct peer p, q;
	long at, other;

	p = attached(_metadata, self->unit, 0, 1, &at);
	q = attached(_metadata, self->unit, 0, 2, &other);
	MAP_OWN();
	EXPECT_EQ(0, peer_call(&p, op_peek, at));
	CORRUPT();
	EXPECT_EQ(BUS_AR, peer_call(&p, op_peek, at));
	EXPECT_EQ(BUS_AR, peer_call(&p, op_store, at + 64, 1));
	EXPECT_EQ(BUS_AR, peer_call(&q, op_store, other + 8, 1));
	EXPECT_EQ(BUS_AR, peek(self->base + BAD * PAGE));
	/* All other pages are as they were, for all of them. */
	EXPECT_EQ(0, damaged(self->base, 1, BAD));
	EXPECT_EQ(0, peer_call(&p, op_damaged, at - BAD * PAGE, 1, BAD));
	for (unsigned long i = BAD + 1; i < NPAGES; i++) {
		EXPECT_EQ(pattern(1, i), load(self->base + i * PAGE));
		EXPECT_EQ(0, peer_call(&q, op_damaged_at, other, 1, i));
	}
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&q));
}

/* With the address in the window of each, and exactly once. */
TEST_F(hwpoison, told_early)
{
	struct peer p, q, late;
	long at, other;

	p = attached(_metadata, self->unit, 0, 1, &at);
	q = attached(_metadata, self->unit, 0, 2, &other);
	late = attached(_metadata, self->unit, 0, 1, NULL);
	/* Touched by one of them only: it is mapped for all. */
	EXPECT_EQ(0, peer_call(&p, op_peek, at));
	EXPECT_EQ(0, peer_call(&p, op_expect, true));
	EXPECT_EQ(0, peer_call(&q, op_expect, true));
	EXPECT_EQ(0, peer_call(&late, op_expect, false));
	CORRUPT();
	EXPECT_EQ(1, TOLD(&p, COUNT));
	EXPECT_EQ(BUS_MCEERR_AO, TOLD(&p, CODE));
	EXPECT_EQ(at, TOLD(&p, ADDR));
	EXPECT_EQ(12, TOLD(&p, LSB));
	EXPECT_EQ(1, TOLD(&q, COUNT));
	EXPECT_EQ(BUS_MCEERR_AO, TOLD(&q, CODE));
	EXPECT_EQ(other, TOLD(&q, ADDR));
	EXPECT_EQ(0, TOLD(&late, COUNT));
	/* And who goes there nevertheless is stopped. */
	EXPECT_EQ(BUS_AR, peer_call(&p, op_peek, at));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&q));
	EXPECT_EQ(0, peer_stop(&late));
}

/* A process is asked as a whole; two windows of it are one signal. */
TEST_F(hwpoison, told_early_with_two_windows)
{
	struct peer p;
	long at, fd;

	p = attached(_metadata, self->unit, 0, 1, &at);
	fd = peer_open(&p, MS_DIR "/a", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, peer_mmap(&p, 0, self->unit, PROT_READ, fd, 0));
	EXPECT_EQ(0, peer_call(&p, op_expect, true));
	CORRUPT();
	EXPECT_EQ(1, TOLD(&p, COUNT));
	EXPECT_EQ(BUS_MCEERR_AO, TOLD(&p, CODE));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(hwpoison, others_are_not_told)
{
	struct peer elsewhere, gone, stranger;
	long at, fd;

	/* A window of the part that has not the page in it. */
	elsewhere = attached(_metadata, self->unit, 1, 1, NULL);
	gone = attached(_metadata, self->unit, 0, 1, &at);
	ASSERT_EQ(0, peer_sys(&gone, __NR_munmap, at - BAD * PAGE,
			      self->unit));
	stranger = peer_start(_metadata);
	fd = peer_open(&stranger, MS_DIR "/b", O_RDWR | O_CREAT);
	ASSERT_LE(0, fd);
	at = peer_mmap(&stranger, 0, self->unit, RW, fd, 0);
	ASSERT_LT(0, at);
	EXPECT_EQ(0, peer_call(&stranger, op_fill, at, 2, NPAGES));
	EXPECT_EQ(0, peer_call(&elsewhere, op_expect, true));
	EXPECT_EQ(0, peer_call(&gone, op_expect, true));
	EXPECT_EQ(0, peer_call(&stranger, op_expect, true));
	CORRUPT();
	EXPECT_EQ(0, TOLD(&elsewhere, COUNT));
	EXPECT_EQ(0, TOLD(&gone, COUNT));
	EXPECT_EQ(0, TOLD(&stranger, COUNT));
	EXPECT_EQ(0, peer_call(&stranger, op_damaged, at, 2, NPAGES));
	EXPECT_EQ(0, peer_stop(&elsewhere));
	EXPECT_EQ(0, peer_stop(&gone));
	EXPECT_EQ(0, peer_stop(&stranger));
}

/* System calls say so and send no signal. */
TEST_F(hwpoison, system_calls)
{
	char *bad, byte = 0;
	struct iovec local = { &byte, 1 }, remote = { .iov_len = 1 };
	struct peer p;
	int pipes[2];
	long at;

	p = attached(_metadata, self->unit, 0, 1, &at);
	MAP_OWN();
	bad = self->base + BAD * PAGE;
	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
	CORRUPT();
	EXPECT_ERR(EFAULT, write(pipes[1], bad, 1));
	ASSERT_EQ(1, write(pipes[1], &byte, 1));
	EXPECT_ERR(EFAULT, read(pipes[0], bad, 1));
	remote.iov_base = (void *)at;
	EXPECT_ERR(EFAULT, process_vm_readv(p.pid, &local, 1, &remote, 1, 0));
	EXPECT_ERR(EFAULT, process_vm_writev(p.pid, &local, 1, &remote, 1, 0));
	/* The page after it is all right. */
	remote.iov_base = (void *)(at + PAGE);
	EXPECT_EQ(1, process_vm_readv(p.pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, peer_stop(&p));
}

/* Another object in its place, and all is well. */
TEST_F(hwpoison, replaced)
{
	struct peer p;
	long at;

	p = attached(_metadata, self->unit, 0, 1, &at);
	MAP_OWN();
	CORRUPT();
	EXPECT_EQ(BUS_AR, peer_call(&p, op_peek, at));
	ASSERT_EQ(0, region_anon(self->fd, BAD * PAGE, PAGE));
	EXPECT_EQ(0, peer_call(&p, op_peek, at));
	EXPECT_EQ(0, peer_call(&p, op_store, at, 7));
	EXPECT_EQ(7, load(self->base + BAD * PAGE));
	EXPECT_EQ(pattern(1, BAD + 1), load(self->base + (BAD + 1) * PAGE));
	EXPECT_EQ(0, peer_stop(&p));
}

/* A huge page of hugetlb: it is lost as a whole, for those who have it. */

FIXTURE(hwpoison_huge) {
	size_t unit;
	int fd, object;
	uint64_t pfn;		/* of the second of two huge pages */
	long corrupted;
};

FIXTURE_SETUP(hwpoison_huge)
{
	uint64_t pfn[2 * HUGE / PAGE];

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_EQ(4, hugepage_pool(4));
	self->corrupted = meminfo_kb("HardwareCorrupted");
	self->fd = ms_container(_metadata, MS_DIR "/a", 2 * self->unit);
	self->object = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
				    MFD_HUGE_2MB);
	ASSERT_LE(0, self->object);
	ASSERT_EQ(0, ftruncate(self->object, 2 * HUGE));
	ASSERT_EQ(0, region_map(self->fd, 0, 2 * HUGE, RW, FIXED,
				self->object, 0));
	ASSERT_EQ(0, region_advise(self->fd, 0, 2 * HUGE,
				   MADV_POPULATE_WRITE));
	ASSERT_EQ(0, file_frames(self->object, pfn, ARRAY_SIZE(pfn)));
	self->pfn = pfn[HUGE / PAGE + BAD];
}

FIXTURE_TEARDOWN(hwpoison_huge)
{
	if (!self->unit)
		return;
	EXPECT_EQ(0, region_unmap(self->fd, 0, 2 * HUGE));
	EXPECT_EQ(0, ftruncate(self->object, 0));
	/* By the first of its pages, which has the mark. */
	EXPECT_EQ(0, unpoison(self->pfn - BAD));
	EXPECT_EQ(0, hugepage_pool(0));
	EXPECT_EQ(self->corrupted, meminfo_kb("HardwareCorrupted"));
}

#define HUGE_OF(addr)	((addr) & ~L(HUGE - 1))

TEST_F(hwpoison_huge, told_and_later_access)
{
	struct peer early, p, elsewhere;
	long first, at, other;

	early = attached(_metadata, self->unit, 0, 1, &first);
	p = attached(_metadata, self->unit, 0, 2, &other);
	elsewhere = attached(_metadata, self->unit, 1, 1, NULL);
	at = HUGE_OF(first) + HUGE;
	other = HUGE_OF(other) + HUGE;
	EXPECT_EQ(0, peer_call(&early, op_expect, true));
	EXPECT_EQ(0, peer_call(&elsewhere, op_expect, true));
	ASSERT_EQ(0, write_number(HWPOISON "corrupt-pfn", self->pfn));
	EXPECT_EQ(1, TOLD(&early, COUNT));
	EXPECT_EQ(BUS_MCEERR_AO, TOLD(&early, CODE));
	EXPECT_EQ(at, HUGE_OF(TOLD(&early, ADDR)));
	EXPECT_EQ(21, TOLD(&early, LSB));
	EXPECT_EQ(0, TOLD(&elsewhere, COUNT));
	EXPECT_EQ(BUS_AR, peer_call(&p, op_peek, other));
	EXPECT_EQ(BUS_AR, peer_call(&p, op_store, other + HUGE - 8, 1));
	EXPECT_EQ(0, peer_call(&p, op_peek, other - 8));
	EXPECT_EQ(0, peer_call(&p, op_store, other - HUGE, 1));
	EXPECT_EQ(1, peer_call(&early, op_load, at - HUGE));
	EXPECT_EQ(0, peer_stop(&early));
	EXPECT_EQ(0, peer_stop(&p));
	EXPECT_EQ(0, peer_stop(&elsewhere));
}

TEST_HARNESS_MAIN
