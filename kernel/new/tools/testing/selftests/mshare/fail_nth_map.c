// SPDX-License-Identifier: GPL-2.0
/*
 * Low memory in the ioctls, and when a window is moved: each allocation fails
 * once, see fail_nth.c. An ioctl that fails then has changed nothing; only
 * MSHAREFS_PROTECT and MSHAREFS_ADVISE of several mappings may be done with the
 * first of them, as mprotect(2) and madvise(2) may.
 */
#include "mshare_test.h"
#include "fail_nth.h"
#include "lib_unchanged.h"
#include <linux/memfd.h>

#define NPAGES	8

/* -errno of the ioctls to the macro's "err". */
#define IOCTL(call)	(err = -(call))

/* The region of a test, and what it is like before anything fails. */
static struct scene scene;
static struct snapshot before;

static void begin(struct __test_metadata *_metadata,
		  FIXTURE_DATA(failnth) *self)
{
	scene_make(_metadata, &scene, MS_DIR "/scene", self->unit);
	snapshot_take(_metadata, &scene, &before);
	snapshot_take(_metadata, &scene, &before);
	self->shmem = meminfo_kb("Shmem");
	self->tables = other_tables_kb();
}

/* So that the fixture finds nothing left of it. */
static void end(struct __test_metadata *_metadata, FIXTURE_DATA(failnth) *self,
		long shmem)
{
	EXPECT_EQ(0, munmap(scene.base, scene.size));
	EXPECT_EQ(0, close(scene.fd));
	EXPECT_EQ(0, close(scene.ro));
	EXPECT_EQ(0, close(scene.object));
	EXPECT_EQ(0, unlink(MS_DIR "/scene"));
	self->shmem = shmem;
}

#define SCENE(...) do {							\
	long shmem_ = self->shmem;					\
	begin(_metadata, self);						\
	__VA_ARGS__							\
	end(_metadata, self, shmem_);					\
} while (0)

#define UNCHANGED(what) do {						\
	if (err)							\
		snapshot_compare(_metadata, &scene, &before,		\
				 say("%s, allocation %d: %s", what, nth, \
				     strerror(err)));			\
} while (0)

static const char *say(const char *fmt, const char *what, int nth,
		       const char *error)
{
	static char text[200];

	snprintf(text, sizeof(text), fmt, what, nth, error);
	return text;
}

/* Where nothing was: afterwards there is nothing, or all of it. */
static void create_in_hole(struct __test_metadata *_metadata,
			   FIXTURE_DATA(failnth) *self, int flags, int object,
			   const char *what)
{
	const size_t at = 20 * PAGE, size = 4 * PAGE;

	EACH_ALLOCATION(, {
		IOCTL(region_map(scene.fd, at, size, RW, flags, object, 0));
	}, {
		UNCHANGED(what);
		if (err) {
			ASSERT_EQ(0, region_map(scene.fd, at, size, RW, flags,
						object, 0));
		}
		ASSERT_EQ(0, probe_write(scene.base + at + size - 8, 0));
		ASSERT_EQ(MAPERR, peek(scene.base + at + size));
		ASSERT_EQ(0, region_unmap(scene.fd, at, size));
		snapshot_compare(_metadata, &scene, &before, what);
	}, ENOMEM, ENOSPC);
	EXPECT_LT(0, hits);
}

TEST_F_TIMEOUT(failnth, create_anon, 600)
{
	SCENE({
		create_in_hole(_metadata, self, ANON, -1, "anonymous");
		create_in_hole(_metadata, self, ANON | MAP_NORESERVE, -1,
			       "MAP_NORESERVE");
		create_in_hole(_metadata, self, NOREPLACE | MAP_ANONYMOUS, -1,
			       "MAP_FIXED_NOREPLACE");
	});
}

/* As with mmap(2), for want of memory it is mapped and not all of it there. */
TEST_F_TIMEOUT(failnth, create_populate, 600)
{
	SCENE({
		create_in_hole(_metadata, self, ANON | MAP_POPULATE, -1,
			       "MAP_POPULATE");
		create_in_hole(_metadata, self, ANON | MAP_LOCKED, -1,
			       "MAP_LOCKED");
		EXPECT_EQ(0, region_stat(scene.fd).locked);
	});
}

TEST_F_TIMEOUT(failnth, create_memfd, 600)
{
	long shmem = self->shmem;
	int object = ms_memfd(_metadata, 6, 8);

	self->shmem = meminfo_kb("Shmem");
	SCENE({
		create_in_hole(_metadata, self, FIXED, object, "memfd");
		create_in_hole(_metadata, self, FIXED | MAP_POPULATE, object,
			       "memfd, MAP_POPULATE");
		create_in_hole(_metadata, self, FIXED | MAP_LOCKED, object,
			       "memfd, MAP_LOCKED");
	});
	EXPECT_EQ(0, close(object));
	self->shmem = shmem;
}

/*
 * In the middle of a mapping; in the place of it; over two and a hole. As with
 * mmap(2), what was there may be gone when it fails late, but not more of it.
 */
TEST_F_TIMEOUT(failnth, create_fixed, 900)
{
	const struct {
		size_t at, pages;
		const char *what;
	} range[] = {
		{ ANON_AT + 4, 4, "in the middle" },
		{ ANON_AT, SCENE_PART, "in its place" },
		{ ANON_AT + 8, MEMFD_AT, "over a hole" },
	};
	const int flags[] = { FIXED, ANON, ANON | MAP_POPULATE };

	SCENE({
		for (size_t i = 0; i < ARRAY_SIZE(range) * 3; i++) {
			size_t at = range[i / 3].at * PAGE;
			size_t size = range[i / 3].pages * PAGE;
			int how = flags[i % 3];

			EACH_ALLOCATION(, {
				IOCTL(region_map(scene.fd, at, size, RW, how,
						 scene.object, 0));
			}, {
				if (err)
					snapshot_or_gap(_metadata, &scene,
							&before, at, size,
							range[i / 3].what);
				else
					ASSERT_EQ(0, peek(scene.base + at));
				scene_repair(_metadata, &scene);
				snapshot_compare(_metadata, &scene, &before,
						 "repair");
			}, ENOMEM, ENOSPC);
			EXPECT_LT(0, hits);
		}
	});
}

/* What is refused only after it has been looked at. */
TEST_F_TIMEOUT(failnth, create_refused, 600)
{
	int fd = syscall(__NR_memfd_secret, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	SCENE({
		const size_t at[] = { 20 * PAGE, 4 * PAGE };

		for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
			EACH_ALLOCATION(, {
				IOCTL(region_map(scene.fd, at[i], 4 * PAGE, RW,
						 FIXED, fd, 0));
				ASSERT_NE(0, err);
				if (err == ENODEV)
					err = 0;
			}, {
				UNCHANGED("memfd_secret");
			}, ENOMEM);
		}
	});
	close(fd);
}

TEST_F_TIMEOUT(failnth, create_hugetlb, 600)
{
	char text[32];
	long free;

	ASSERT_LT(0, read_file("/proc/sys/vm/nr_hugepages", text,
			       sizeof(text)));
	ASSERT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", "2"));
	free = file_field("/proc/meminfo", "HugePages_Free");
	EXPECT_EQ(2, free);
	SCENE({
		const size_t at = HUGE;

		EACH_ALLOCATION(, {
			IOCTL(region_map(scene.fd, at, 2 * HUGE, RW,
					 ANON | MAP_HUGETLB, -1, 0));
		}, {
			UNCHANGED("hugetlb");
			ASSERT_EQ(err ? 0 : 2, file_field("/proc/meminfo",
							  "HugePages_Rsvd"));
			if (!err) {
				ASSERT_EQ(0, probe_write(scene.base + at, 1));
				ASSERT_EQ(0, region_unmap(scene.fd, at,
							  2 * HUGE));
			}
			ASSERT_EQ(0, file_field("/proc/meminfo",
						"HugePages_Rsvd"));
			ASSERT_EQ(free, file_field("/proc/meminfo",
						   "HugePages_Free"));
		}, ENOMEM, ENOSPC);
		EXPECT_LT(0, hits);
	});
	EXPECT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", text));
}

/* One mapping, both ends of a mapping, several with holes between. */
TEST_F_TIMEOUT(failnth, unmap, 900)
{
	const struct {
		size_t at, pages;
		const char *what;
	} range[] = {
		{ ANON_AT + 4, 4, "in the middle" },
		{ ANON_AT + 8, MEMFD_AT, "over a hole" },
		{ ANON_AT, SEALED_AT, "two mappings" },
	};

	SCENE({
		for (size_t i = 0; i < ARRAY_SIZE(range); i++) {
			size_t at = range[i].at * PAGE;
			size_t size = range[i].pages * PAGE;

			EACH_ALLOCATION(, {
				IOCTL(region_unmap(scene.fd, at, size));
			}, {
				UNCHANGED(range[i].what);
				if (!err) {
					ASSERT_EQ(0, region_mapped(scene.fd, at,
								   at + size,
								   NULL));
				}
				scene_repair(_metadata, &scene);
				snapshot_compare(_metadata, &scene, &before,
						 "repair");
			}, ENOMEM);
			EXPECT_LT(0, hits);
		}
	});
}

/* Within a mapping all or nothing; of several the first may be done. */
TEST_F_TIMEOUT(failnth, protect, 900)
{
	SCENE({
		EACH_ALLOCATION(, {
			IOCTL(region_protect(scene.fd, 4 * PAGE, 4 * PAGE,
					     PROT_READ));
		}, {
			UNCHANGED("PROTECT in the middle");
			if (!err) {
				ASSERT_EQ(ACCERR, probe_write(scene.base +
							      4 * PAGE, 1));
				ASSERT_EQ(ACCERR, probe_write(scene.base +
							      7 * PAGE, 1));
			}
			ASSERT_EQ(0, region_protect(scene.fd, 0, SCENE_PART *
						    PAGE, RW));
			snapshot_compare(_metadata, &scene, &before, "repair");
		}, ENOMEM);
		EXPECT_LT(0, hits);

		/* The last page of one, and the first of the next. */
		EACH_ALLOCATION(, {
			IOCTL(region_protect(scene.fd, (SEALED_AT - 1) * PAGE,
					     2 * PAGE, PROT_NONE));
		}, {
			int first = peek(scene.base + (SEALED_AT - 1) * PAGE);
			int second = peek(scene.base + SEALED_AT * PAGE);

			if (!err) {
				ASSERT_EQ(ACCERR, first);
				ASSERT_EQ(ACCERR, second);
			} else {
				ASSERT_TRUE(first == 0 || first == ACCERR);
				ASSERT_EQ(0, second);
			}
			ASSERT_EQ(0, region_protect(scene.fd, SEALED_AT * PAGE,
						    PAGE, PROT_READ));
			ASSERT_EQ(0, region_protect(scene.fd, MEMFD_AT * PAGE,
						    SCENE_PART * PAGE, RW));
			snapshot_compare(_metadata, &scene, &before, "repair");
		}, ENOMEM);
		EXPECT_LT(0, hits);
	});
}

TEST_F_TIMEOUT(failnth, advise, 900)
{
	const int advice[] = { MADV_HUGEPAGE, MADV_RANDOM, MADV_DONTDUMP };
	const int undo[] = { MADV_NOHUGEPAGE, MADV_NORMAL, MADV_DODUMP };
	const int harmless[] = { MADV_WILLNEED, MADV_DONTNEED, MADV_COLD,
				 MADV_PAGEOUT, MADV_POPULATE_READ,
				 MADV_POPULATE_WRITE, 25 /* COLLAPSE */ };

	SCENE({
		ASSERT_EQ(0, region_advise(scene.fd, 0, SCENE_PART * PAGE,
					   MADV_NOHUGEPAGE));
		for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
			EACH_ALLOCATION(, {
				IOCTL(region_advise(scene.fd, 4 * PAGE,
						    4 * PAGE, advice[i]));
			}, {
				snapshot_compare(_metadata, &scene, &before,
						 "ADVISE that splits");
				ASSERT_EQ(0, region_advise(scene.fd, 0,
							   SCENE_PART * PAGE,
							   undo[i]));
			}, ENOMEM, EAGAIN);
			EXPECT_LT(0, hits);
		}
		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
			EACH_ALLOCATION(, {
				IOCTL(region_advise(scene.fd, MEMFD_AT * PAGE,
						    4 * PAGE, harmless[i]));
				/* No huge page has room there. */
				if (harmless[i] == 25 && err == EINVAL)
					err = 0;
			}, {
				ASSERT_EQ(0, region_advise(scene.fd, 0,
							   SCENE_PART * PAGE,
							   MADV_POPULATE_READ));
				ASSERT_EQ(0, region_advise(scene.fd, MEMFD_AT *
							   PAGE, SCENE_PART *
							   PAGE,
							   MADV_POPULATE_READ));
				snapshot_compare(_metadata, &scene, &before,
						 "ADVISE");
			}, ENOMEM, EAGAIN, EFAULT);
		}
	});
}

TEST_F_TIMEOUT(failnth, advise_remove, 600)
{
	SCENE({
		EACH_ALLOCATION(, {
			IOCTL(region_advise(scene.fd, 4 * PAGE, 4 * PAGE,
					    MADV_REMOVE));
		}, {
			for (unsigned int i = 4; !err && i < 8; i++) {
				ASSERT_EQ(0, load(scene.base + i * PAGE));
			}
			fill(scene.base, 1, SCENE_PART);
			snapshot_compare(_metadata, &scene, &before,
					 "MADV_REMOVE");
		}, ENOMEM);
	});
}

/* Half of it is not there yet. What is locked is what the region says. */
TEST_F_TIMEOUT(failnth, lock, 600)
{
	const size_t at = (FRESH_AT + 4) * PAGE, size = 8 * PAGE;

	SCENE({
		EACH_ALLOCATION(, {
			IOCTL(region_lock(scene.fd, at, size, MSHAREFS_LOCK_ON,
					  0));
		}, {
			struct mshare_stat st = region_stat(scene.fd);

			/* Locked, if only what is missing could not be had. */
			ASSERT_TRUE(st.locked == size || (err && !st.locked));
			if (!err) {
				ASSERT_EQ(before.stat.resident + 4 * PAGE,
					  st.resident);
			}
			ASSERT_EQ(0, region_lock(scene.fd, FRESH_AT * PAGE,
						 SCENE_PART * PAGE,
						 MSHAREFS_LOCK_OFF, 0));
			ASSERT_EQ(0, region_advise(scene.fd, (FRESH_AT + 8) *
						   PAGE, 8 * PAGE,
						   MADV_REMOVE));
			snapshot_compare(_metadata, &scene, &before, "LOCK");
		}, ENOMEM, EAGAIN);
		EXPECT_LT(0, hits);

		/* To unlock a part takes memory, too. */
		ASSERT_EQ(0, region_lock(scene.fd, MEMFD_AT * PAGE, SCENE_PART *
					 PAGE, MSHAREFS_LOCK_ON, 0));
		EACH_ALLOCATION(, {
			IOCTL(region_lock(scene.fd, (MEMFD_AT + 4) * PAGE,
					  4 * PAGE, MSHAREFS_LOCK_OFF, 0));
		}, {
			ASSERT_EQ((err ? SCENE_PART : SCENE_PART - 4) * PAGE,
				  region_stat(scene.fd).locked);
			ASSERT_EQ(0, region_lock(scene.fd, MEMFD_AT * PAGE,
						 SCENE_PART * PAGE,
						 MSHAREFS_LOCK_ON, 0));
		}, ENOMEM, EAGAIN);
		EXPECT_LT(0, hits);
		ASSERT_EQ(0, region_lock(scene.fd, MEMFD_AT * PAGE, SCENE_PART *
					 PAGE, MSHAREFS_LOCK_OFF, 0));
		snapshot_compare(_metadata, &scene, &before, "LOCK_OFF");
	});
}

/*
 * A window is where it was, or where it should go, whole and linked. It may be
 * at both places: as with any memory, what was moved away stays mapped when it
 * cannot be split off.
 */
TEST_F_TIMEOUT(failnth, mremap, 600)
{
	const size_t unit = self->unit;
	char *from = (char *)(1UL << 45), *to = (char *)(1UL << 46);

	SCENE({
		for (unsigned int part = 0; part < 2; part++) {
			size_t len = (part ? 1 : 2) * unit;

			EACH_ALLOCATION({
				ASSERT_EQ(from, mmap(from, 2 * unit, RW,
						     MAP_SHARED | MAP_FIXED,
						     scene.fd, 0));
				ASSERT_EQ(0, damaged(from, 1, SCENE_PART));
			}, {
				char *p = mremap(from, len, len,
						 MREMAP_MAYMOVE | MREMAP_FIXED,
						 to);
				err = p == MAP_FAILED ? errno : 0;
			}, {
				char *at = err ? from : to;
				char *other = err ? to : from;

				ASSERT_EQ(0, damaged(at, 1, SCENE_PART));
				if (err || !hit || peek(other) == MAPERR) {
					ASSERT_EQ(MAPERR, peek(other));
				} else {
					ASSERT_EQ(0, damaged(other, 1,
							     SCENE_PART));
				}
				ASSERT_EQ(0, peek(part ?
						  from + 2 * unit - PAGE :
						  at + 2 * unit - PAGE));
				ASSERT_EQ(0, munmap(from, 2 * unit));
				ASSERT_EQ(0, munmap(to, 2 * unit));
				snapshot_compare(_metadata, &scene, &before,
						 "mremap");
			}, ENOMEM);
			EXPECT_LT(0, hits);
		}
	});
}

TEST_HARNESS_MAIN
