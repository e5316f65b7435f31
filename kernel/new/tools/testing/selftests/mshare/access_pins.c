// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that something has pinned for long: registered buffers of io_uring, and
 * the kernel's test device for pins. A pin outlives what the process mapped,
 * and what it was allowed, but not the rights at the time it was made. Every
 * test runs with ordinary shared memory, too, which says what is right.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_objects.h"

#define NPAGES	16UL
#define SIZE	(NPAGES * PAGE)

/* A memfd of NPAGES, mapped at @at, and at @other in a peer. */
FIXTURE(pins) {
	size_t unit;
	int fd, object, data;
	char *at;
	struct peer p;
	long other;
	struct uring u;
};

FIXTURE_VARIANT(pins) {
	bool window;
};

FIXTURE_VARIANT_ADD(pins, ordinary) { .window = false };
FIXTURE_VARIANT_ADD(pins, window) { .window = true };

FIXTURE_SETUP(pins)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->object = ms_memfd(_metadata, 1, NPAGES);
	self->data = ms_memfd(_metadata, 2, NPAGES);
	self->at = ms_container_pair(_metadata, self->unit, &self->fd, &self->p,
				     &self->other);
	if (variant->window) {
		ASSERT_EQ(0, region_map(self->fd, 0, SIZE, RW, FIXED,
					self->object, 0));
	} else {
		self->at = ms_map(self->object, SIZE, RW);
		ASSERT_NE(MAP_FAILED, self->at);
	}
	ASSERT_EQ(0, uring_setup(&self->u));
}

FIXTURE_TEARDOWN(pins)
{
	uring_free(&self->u);
	EXPECT_EQ(0, peer_stop(&self->p));
}

/* What is done to the mapping: as the region, or as the process. */
#define DO_PROTECT(prot) \
	(variant->window ? region_protect(self->fd, 0, SIZE, prot) : \
			   mprotect(self->at, SIZE, prot))
#define DO_UNMAP() \
	(variant->window ? region_unmap(self->fd, 0, SIZE) : \
			   munmap(self->at, SIZE))
#define DO_ADVISE(advice) \
	(variant->window ? region_advise(self->fd, 0, SIZE, advice) : \
			   madvise(self->at, SIZE, advice))
#define DO_REPLACE(object) \
	(variant->window ? region_map(self->fd, 0, SIZE, RW, FIXED, object, 0) \
			 : mmap(self->at, SIZE, RW, MAP_SHARED | MAP_FIXED, \
				object, 0) != self->at)

/* The data file into the pinned pages, and these into the data file. */
#define INTO_PINNED() \
	uring_rw(&self->u, IORING_OP_READ_FIXED, self->data, self->at, SIZE, 0)
#define OUT_OF_PINNED() \
	uring_rw(&self->u, IORING_OP_WRITE_FIXED, self->data, self->at, SIZE, 0)

static unsigned long bad_in_file(int fd, unsigned int region)
{
	unsigned long bad = 0;

	for (unsigned int i = 0; i < NPAGES; i++)
		bad += file_load(fd, i) != pattern(region, i);
	return bad;
}

TEST_F(pins, survive_unmap)
{
	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	ASSERT_EQ(0, DO_UNMAP());
	EXPECT_EQ(MAPERR, peek(self->at));
	/* They are still the pages of the memfd, both ways. */
	EXPECT_EQ(SIZE, INTO_PINNED());
	EXPECT_EQ(0, bad_in_file(self->object, 2));
	ASSERT_EQ(0, file_fill(self->object, 3, NPAGES));
	EXPECT_EQ(SIZE, OUT_OF_PINNED());
	EXPECT_EQ(0, bad_in_file(self->data, 3));
	/* But there is nothing to be pinned any more. */
	ASSERT_EQ(0, uring_unregister(&self->u));
	EXPECT_EQ(-EFAULT, uring_register(&self->u, self->at, SIZE));
}

TEST_F(pins, survive_protect)
{
	const int prot[] = { PROT_READ, PROT_NONE };

	for (unsigned int i = 0; i < ARRAY_SIZE(prot); i++) {
		ASSERT_EQ(0, DO_PROTECT(RW));
		ASSERT_EQ(0, file_fill(self->data, 4 + i, NPAGES));
		ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
		ASSERT_EQ(0, DO_PROTECT(prot[i]));
		EXPECT_EQ(ACCERR, probe_write(self->at, 1));
		EXPECT_EQ(SIZE, INTO_PINNED());
		EXPECT_EQ(0, bad_in_file(self->object, 4 + i));
		ASSERT_EQ(0, uring_unregister(&self->u));
		EXPECT_EQ(-EFAULT, uring_register(&self->u, self->at, SIZE));
	}
	/* The protection back, and it is the same memory. */
	ASSERT_EQ(0, DO_PROTECT(RW));
	EXPECT_EQ(0, damaged(self->at, 5, NPAGES));
	EXPECT_EQ(0, uring_register(&self->u, self->at, SIZE));
}

/* Something else is mapped there: pins have what was there. */
TEST_F(pins, survive_replacement)
{
	int object = ms_memfd(_metadata, 7, NPAGES);

	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	ASSERT_EQ(0, DO_REPLACE(object));
	EXPECT_EQ(0, damaged(self->at, 7, NPAGES));
	EXPECT_EQ(SIZE, INTO_PINNED());
	EXPECT_EQ(0, damaged(self->at, 7, NPAGES));
	EXPECT_EQ(0, bad_in_file(self->object, 2));
	/* Registered anew, it is what is there now. */
	ASSERT_EQ(0, uring_unregister(&self->u));
	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	EXPECT_EQ(SIZE, INTO_PINNED());
	EXPECT_EQ(0, damaged(self->at, 2, NPAGES));
	close(object);
}

/* The file loses the pages; who has pinned them keeps them, and nobody else. */
TEST_F(pins, survive_truncation)
{
	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	ASSERT_EQ(0, ftruncate(self->object, 0));
	EXPECT_EQ(BUS_END, peek(self->at));
	ASSERT_EQ(0, ftruncate(self->object, SIZE));
	EXPECT_EQ(SIZE, OUT_OF_PINNED());
	EXPECT_EQ(0, bad_in_file(self->data, 1));
	EXPECT_EQ(SIZE, INTO_PINNED());
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(0, load(self->at + i * PAGE));
	}
}

/*
 * Reclaim may unmap a pinned page, never replace it: stores made afterwards are
 * seen through the pin, and the other way round.
 */
TEST_F(pins, survive_reclaim)
{
	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	for (unsigned int i = 5; i < 7; i++) {
		ASSERT_EQ(0, DO_ADVISE(MADV_PAGEOUT));
		fill(self->at, i, NPAGES);
		EXPECT_EQ(SIZE, OUT_OF_PINNED());
		EXPECT_EQ(0, bad_in_file(self->data, i));
		ASSERT_EQ(0, DO_ADVISE(MADV_PAGEOUT));
		write_file("/proc/sys/vm/compact_memory", "1");
		ASSERT_EQ(0, file_fill(self->data, 20 + i, NPAGES));
		EXPECT_EQ(SIZE, INTO_PINNED());
		EXPECT_EQ(0, damaged(self->at, 20 + i, NPAGES));
	}
}

/* It is shared memory: a child stores into the pages, not into copies. */
TEST_F(pins, survive_fork)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!damaged(self->at, 1, NPAGES));
		fill(self->at, 6, NPAGES);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(SIZE, OUT_OF_PINNED());
	EXPECT_EQ(0, bad_in_file(self->data, 6));
}

/* All is gone but the pin: the pages go with it, and were nobody else's. */
TEST_F(pins, outlive_all)
{
	ASSERT_EQ(0, uring_register(&self->u, self->at, SIZE));
	ASSERT_EQ(0, DO_UNMAP());
	if (variant->window) {
		ASSERT_EQ(0, unlink(MS_DIR "/a"));
		ASSERT_EQ(0, peer_stop(&self->p));
		self->p = peer_start(_metadata);
		ASSERT_EQ(0, munmap(self->at, self->unit));
		close(self->fd);
	}
	close(self->object);
	/* Somebody who needs pages. */
	close(ms_memfd(_metadata, 9, 1024));
	EXPECT_EQ(SIZE, OUT_OF_PINNED());
	EXPECT_EQ(0, bad_in_file(self->data, 1));
	EXPECT_EQ(SIZE, INTO_PINNED());
}

/* As drivers pin: with locks or without, to read or to write. */
TEST_F(pins, of_drivers)
{
	static char copy[SIZE];

	for (uint32_t flags = 0; flags < 4; flags++) {
		int pin = longterm_pin(self->at, SIZE, flags);

		ASSERT_LE(0, pin) TH_LOG("flags %u: %s", flags, strerror(-pin));
		/* In the first round the pin brought the pages in. */
		fill(self->at, flags, NPAGES);
		ASSERT_EQ(0, longterm_read(pin, copy));
		EXPECT_EQ(0, damaged(copy, flags, NPAGES));
		ASSERT_EQ(0, DO_UNMAP());
		ASSERT_EQ(0, file_fill(self->object, 8 + flags, NPAGES));
		ASSERT_EQ(0, longterm_read(pin, copy));
		EXPECT_EQ(0, damaged(copy, 8 + flags, NPAGES));
		close(pin);
		EXPECT_EQ(-EFAULT, longterm_pin(self->at, SIZE, flags));
		ASSERT_EQ(0, DO_REPLACE(self->object));
	}
}

/* Neither way gives what the protection of the region does not. */
TEST_F(pins, of_drivers_need_rights)
{
	fill(self->at, 1, NPAGES);
	for (uint32_t fast = 0; fast <= LONGTERM_FAST; fast += LONGTERM_FAST) {
		int pin;

		ASSERT_EQ(0, DO_PROTECT(PROT_READ));
		EXPECT_EQ(-EFAULT, longterm_pin(self->at, SIZE,
						LONGTERM_WRITE | fast));
		pin = longterm_pin(self->at, SIZE, fast);
		EXPECT_LE(0, pin);
		close(pin);
		ASSERT_EQ(0, DO_PROTECT(PROT_NONE));
		EXPECT_EQ(-EFAULT, longterm_pin(self->at, SIZE, fast));
	}
}

/*
 * Files that must be told of stores, and files on memory that may move, cannot
 * be pinned for long: ext4, to write; DAX at all. Absent pages and those that
 * are there and writable: the second is what is found without locks.
 */
static void refused(struct __test_metadata *_metadata, FIXTURE_DATA(pins) *self,
		    bool window, const char *path, const int *want)
{
	char *at = self->at;
	int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ASSERT_LE(0, file);
	ASSERT_EQ(0, file_fill(file, 1, NPAGES));
	if (window) {
		ASSERT_EQ(0, region_map(self->fd, 0, SIZE, RW, FIXED, file, 0));
	} else {
		ASSERT_EQ(at, mmap(at, SIZE, RW, MAP_SHARED | MAP_FIXED, file,
				   0));
	}
	for (unsigned int round = 0; round < 2; round++) {
		for (uint32_t flags = 0; flags < 4; flags++) {
			int pin = longterm_pin(at, SIZE, flags);

			EXPECT_EQ(want[flags & LONGTERM_WRITE],
				  pin < 0 ? pin : 0) {
				TH_LOG("flags %u, round %u", flags, round);
			}
			if (pin >= 0)
				close(pin);
		}
		EXPECT_EQ(want[1], uring_register(&self->u, at, SIZE));
		fill(at, 1, NPAGES);
	}
	close(file);
}

TEST_F(pins, of_ext4)
{
	const int want[] = { 0, -EFAULT };

	ASSERT_EQ(0, mount_disk());
	refused(_metadata, self, variant->window, DISK "/f", want);
}

TEST_F(pins, of_dax)
{
	const int want[] = { -EOPNOTSUPP, -EOPNOTSUPP };

	ASSERT_EQ(0, mount_dax());
	refused(_metadata, self, variant->window, DAX "/f", want);
}

TEST_HARNESS_MAIN
