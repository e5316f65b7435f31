// SPDX-License-Identifier: GPL-2.0
/*
 * A process's windows as another process reaches them: process_vm_readv(2) and
 * writev, ptrace(2), /proc/PID/mem, process_madvise(2). It is the windows of
 * the process that is looked at which count, wherever the caller has its own.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"

#define NPAGES	16UL
#define AWAY	(1UL << 45)	/* windows, of the one and of the other */
#define PLAIN	(1UL << 44)	/* ordinary memory */

enum way { VM, PTRACE, MEM };

/*
 * Unit i of the region holds pattern i. We have unit 0 at AWAY; the peer has
 * there, one after the other, unit 1 read-write, 2 read-only, 3 for nothing.
 * At PLAIN it has memfds with the same rights.
 */
FIXTURE(foreign) {
	size_t unit;
	int fd, object[UNITS];
	char *base, *here;
	struct peer p;
};

FIXTURE_VARIANT(foreign) {
	enum way way;
	int error;	/* what cannot be reached gets */
};

FIXTURE_VARIANT_ADD(foreign, process_vm) { .way = VM, .error = -EFAULT };
FIXTURE_VARIANT_ADD(foreign, ptrace) { .way = PTRACE, .error = -EIO };
FIXTURE_VARIANT_ADD(foreign, proc_mem) { .way = MEM, .error = -EIO };

static const int rights[UNITS] = { RW, RW, PROT_READ, PROT_NONE };

FIXTURE_SETUP(foreign)
{
	long fd, at;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->fd = ms_container(_metadata, MS_DIR "/a", UNITS * self->unit);
	self->base = ms_map(self->fd, UNITS * self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	for (unsigned int i = 0; i < UNITS; i++) {
		ASSERT_EQ(0, region_anon(self->fd, i * self->unit, 64 * MIB));
		fill(self->base + i * self->unit, i, NPAGES);
		self->object[i] = ms_memfd(_metadata, i, NPAGES);
	}
	self->p = peer_start(_metadata);
	ASSERT_EQ(0, peer_sys(&self->p, __NR_munmap, L(self->base),
			      UNITS * self->unit));
	fd = peer_open(&self->p, MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd);
	for (unsigned int i = 1; i < UNITS; i++) {
		at = AWAY + (i - 1) * self->unit;
		ASSERT_EQ(at, peer_mmap(&self->p, at, self->unit, rights[i], fd,
					i * self->unit));
		at = PLAIN + (i - 1) * self->unit;
		ASSERT_EQ(at, peer_mmap(&self->p, at, 4 * NPAGES * PAGE,
					rights[i], self->object[i], 0));
	}
	self->here = mmap((char *)AWAY, self->unit, RW, MAP_SHARED |
			  MAP_FIXED_NOREPLACE, self->fd, 0);
	ASSERT_EQ(AWAY, L(self->here));
}

FIXTURE_TEARDOWN(foreign)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

/* The word at @at of the other process, or -errno. */
static long get(enum way way, pid_t pid, unsigned long at)
{
	switch (way) {
	case VM:
		return op_vm((long[]){ pid, at, 0, 0 });
	case PTRACE:
		return op_ptrace((long[]){ pid, PTRACE_PEEKDATA, at, 0 });
	default:
		return op_mem((long[]){ pid, at, 0, 0 });
	}
}

static long put(enum way way, pid_t pid, unsigned long at, long val)
{
	switch (way) {
	case VM:
		return op_vm((long[]){ pid, at, val, 1 });
	case PTRACE:
		return op_ptrace((long[]){ pid, PTRACE_POKEDATA, at, val });
	default:
		return op_mem((long[]){ pid, at, val, 1 });
	}
}

#define GET(at)		get(variant->way, self->p.pid, at)
#define PUT(at, val)	put(variant->way, self->p.pid, at, val)

TEST_F(foreign, is_the_others_window)
{
	/* Here that address has unit 0. */
	for (unsigned long i = 0; i < NPAGES; i++) {
		EXPECT_EQ(pattern(1, i), GET(AWAY + i * PAGE));
		EXPECT_EQ(0, PUT(AWAY + i * PAGE, pattern(5, i)));
	}
	EXPECT_EQ(0, damaged(self->here, 0, NPAGES));
	EXPECT_EQ(0, damaged(self->base + self->unit, 5, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, AWAY, 5, NPAGES));
	/* Where only we have something, and where nobody has. */
	EXPECT_EQ(variant->error, GET(L(self->base)));
	EXPECT_EQ(variant->error, PUT(L(self->base), 1));
	EXPECT_EQ(variant->error, GET(AWAY + 3 * self->unit));
	EXPECT_EQ(0, damaged(self->base, 0, NPAGES));
}

/* Pages that nobody has touched come for the other process. */
TEST_F(foreign, brings_pages_in)
{
	EXPECT_EQ(0, GET(AWAY + 100 * PAGE));
	EXPECT_EQ(0, PUT(AWAY + 101 * PAGE, 7));
	EXPECT_EQ(7, load(self->base + self->unit + 101 * PAGE));
	EXPECT_EQ(7, peer_call(&self->p, op_load, AWAY + 101 * PAGE));
	EXPECT_EQ(0, load(self->here + 101 * PAGE));
}

/* The same answer as for ordinary memory, whatever it is; and no harm. */
TEST_F(foreign, like_ordinary_memory)
{
	for (unsigned int i = 1; i < UNITS; i++) {
		unsigned long off = (i - 1) * self->unit;

		for (unsigned int page = 0; page < 2; page++) {
			unsigned long at = off + page * PAGE;

			EXPECT_EQ(GET(PLAIN + at), GET(AWAY + at))
				TH_LOG("unit %u", i);
			EXPECT_EQ(PUT(PLAIN + at, pattern(i, page)),
				  PUT(AWAY + at, pattern(i, page)))
				TH_LOG("unit %u", i);
			if (rights[i] == RW)
				continue;
			EXPECT_EQ(variant->error, PUT(AWAY + at, 1));
		}
		/* Absent: in a hole of the file, in an untouched page. */
		if (rights[i] != RW) {
			EXPECT_EQ(variant->error, PUT(AWAY + off + 99 * PAGE,
						      1));
			EXPECT_EQ(0, load(self->base + i * self->unit +
					  99 * PAGE));
		}
		EXPECT_EQ(0, damaged(self->base + i * self->unit, i, NPAGES));
	}
}

/* What the region does not allow, no process has. */
TEST_F(foreign, protected_by_region)
{
	const unsigned int pages[] = { 0, 99 };
	const int prot[] = { PROT_READ, PROT_NONE };

	for (size_t i = 0; i < ARRAY_SIZE(prot); i++) {
		ASSERT_EQ(0, region_protect(self->fd, self->unit, MIB,
					    prot[i]));
		for (size_t j = 0; j < ARRAY_SIZE(pages); j++) {
			unsigned long at = AWAY + pages[j] * PAGE;

			EXPECT_EQ(variant->error, PUT(at, 1));
			if (prot[i] == PROT_READ) {
				EXPECT_EQ(j ? 0 : pattern(1, 0), GET(at));
			} else if (variant->way == VM) {
				EXPECT_EQ(-EFAULT, GET(at));
			}
		}
	}
	ASSERT_EQ(0, region_unmap(self->fd, self->unit, PAGE));
	EXPECT_EQ(variant->error, GET(AWAY));
	EXPECT_EQ(variant->error, PUT(AWAY, 1));
	ASSERT_EQ(0, region_protect(self->fd, self->unit + PAGE, MIB - PAGE,
				    RW));
	EXPECT_EQ(0, damaged(self->base, 0, NPAGES));
	EXPECT_EQ(pattern(1, 1), load(self->base + self->unit + PAGE));
	EXPECT_EQ(0, load(self->base + self->unit + 99 * PAGE));
}

/* Beyond the end of a mapped file. */
TEST_F(foreign, end_of_file)
{
	unsigned long off = 2 * NPAGES * PAGE;

	ASSERT_EQ(0, region_map(self->fd, self->unit, 4 * NPAGES * PAGE, RW,
				FIXED, self->object[0], 0));
	EXPECT_EQ(pattern(0, 1), GET(AWAY + PAGE));
	EXPECT_EQ(GET(PLAIN + off), GET(AWAY + off));
	EXPECT_EQ(PUT(PLAIN + off, 1), PUT(AWAY + off, 1));
	EXPECT_EQ(variant->error, GET(AWAY + off));
	EXPECT_EQ(variant->error, PUT(AWAY + off, 1));
	ASSERT_EQ(0, ftruncate(self->object[0], 4 * NPAGES * PAGE));
	EXPECT_EQ(0, PUT(AWAY + off, 3));
	EXPECT_EQ(3, file_load(self->object[0], 2 * NPAGES));
}

TEST_HARNESS_MAIN
