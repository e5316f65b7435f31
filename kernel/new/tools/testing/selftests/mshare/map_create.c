// SPDX-License-Identifier: GPL-2.0
/* Containers: their size, what can be mapped where, and how long it lives. */
#include "mshare_test.h"
#include "lib_container.h"

CONTAINER_FIXTURE(container)

static size_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? ~0ul : (size_t)st.st_size;
}

TEST_F(container, empty)
{
	const size_t unit = self->unit;
	struct peer p = peer_start(_metadata);
	struct mshare_mapping m;
	struct mshare_stat st;
	long other;

	/* The peer came by fork: it has the window, too. */
	EXPECT_EQ(MAPERR, peek(self->base));
	EXPECT_EQ(MAPERR, probe_write(self->base + unit + 5 * PAGE, 1));
	EXPECT_EQ(MAPERR, peek(self->base + self->size - 8));
	other = peer_attach(&p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, other);
	EXPECT_EQ(MAPERR, peer_call(&p, op_peek, other));
	/* What the window forbids comes first. */
	EXPECT_EQ(ACCERR, peer_call(&p, op_store, other, 1));

	EXPECT_EQ(-ENOENT, region_next(self->fd, 0, &m));
	st = region_stat(self->fd);
	EXPECT_EQ(self->size, st.size);
	EXPECT_EQ(0, st.mappings);
	EXPECT_EQ(3, st.windows);
	EXPECT_EQ(2, st.processes);
	EXPECT_EQ(0, st.resident);
	EXPECT_EQ(0, st.locked);
	EXPECT_EQ(0, st.links);
	for (size_t i = 0; i < ARRAY_SIZE(st.reserved); i++) {
		EXPECT_EQ(0, st.reserved[i]);
	}

	/* What is mapped later is in the windows that were there before. */
	ASSERT_EQ(0, region_anon(self->fd, unit, 4 * PAGE));
	/* Who may only read makes no memory. */
	EXPECT_EQ(BUS_END, peer_call(&p, op_peek, other + unit));
	fill(self->base + unit, 1, 4);
	EXPECT_EQ(0, peer_call(&p, op_damaged, other + unit, 1, 4));
	EXPECT_EQ(ACCERR, peer_call(&p, op_store, other + unit, 1));
	EXPECT_EQ(MAPERR, peer_call(&p, op_peek, other));
	EXPECT_EQ(MAPERR, peer_call(&p, op_peek, other + unit + 4 * PAGE));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(container, no_size)
{
	int fd = open(MS_DIR "/b", O_RDWR | O_CREAT, 0600);
	struct mshare_mapping m;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, region_anon(fd, 0, PAGE));
	EXPECT_EQ(-EINVAL, region_unmap(fd, 0, PAGE));
	EXPECT_EQ(-ENOENT, region_next(fd, 0, &m));
	EXPECT_EQ(0, region_stat(fd).size);
	/* Still for both: the first mmap(2) makes a plain region of it. */
	EXPECT_EQ(0, probe_write(ms_map(fd, self->unit, RW), 1));
	EXPECT_EQ(self->unit, region_stat(fd).size);
}

TEST_F(container, plain_region)
{
	const size_t unit = self->unit;
	struct mshare_mapping m;
	char *base;
	int fd;

	/* A plain region is a container with one mapping in it. */
	base = ms_new(_metadata, MS_DIR "/b", unit, &fd);
	fill(base, 1, 8);
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(0, m.offset);
	EXPECT_EQ(unit, m.size);
	EXPECT_EQ(RW, m.prot);
	EXPECT_EQ(MSHAREFS_KIND_ANON, m.kind);
	EXPECT_EQ(-ENOENT, region_next(fd, unit, &m));
	EXPECT_EQ(0, region_unmap(fd, 2 * PAGE, PAGE));
	EXPECT_EQ(MAPERR, peek(base + 2 * PAGE));
	EXPECT_EQ(0, damaged(base, 1, 2));
	EXPECT_EQ(pattern(1, 3), load(base + 3 * PAGE));
	EXPECT_EQ(0, region_anon(fd, 2 * PAGE, PAGE));
	EXPECT_EQ(0, load(base + 2 * PAGE));

	/* And grows as one. */
	EXPECT_EQ(0, ftruncate(fd, 2 * unit));
	EXPECT_EQ(0, region_anon(fd, unit, PAGE));
	EXPECT_NE(MAP_FAILED, base = ms_map(fd, 2 * unit, RW));
	EXPECT_EQ(0, probe_write(base + unit, 1));
	EXPECT_EQ(MAPERR, peek(base + unit + PAGE));
}

TEST_F(container, grow)
{
	const size_t unit = self->unit;
	struct peer p = peer_start(_metadata);
	int fd = ms_container(_metadata, MS_DIR "/b", unit);
	char *base, *more;
	long other;

	base = ms_map(fd, unit, RW);
	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, region_anon(fd, unit - PAGE, PAGE));
	store(base + unit - PAGE, pattern(1, 0));
	EXPECT_EQ(-EINVAL, region_anon(fd, unit, PAGE));
	EXPECT_EQ(-EINVAL, region_anon(fd, unit - PAGE, 2 * PAGE));

	EXPECT_EQ(0, ftruncate(fd, 2 * unit));
	EXPECT_EQ(2 * unit, region_stat(fd).size);
	EXPECT_EQ(0, region_anon(fd, unit, PAGE));
	EXPECT_EQ(0, fallocate(fd, 0, 2 * unit, unit));
	EXPECT_EQ(3 * unit, region_stat(fd).size);
	EXPECT_EQ(3 * unit, file_size(fd));
	EXPECT_EQ(0, region_anon(fd, 3 * unit - PAGE, PAGE));

	more = ms_map(fd, 3 * unit, RW);
	ASSERT_NE(MAP_FAILED, more);
	store(more + unit, pattern(1, 1));
	store(more + 3 * unit - PAGE, pattern(1, 2));
	other = peer_attach(&p, MS_DIR "/b", O_RDWR, RW);
	ASSERT_LT(0, other);
	for (int i = 0; i < 3; i++) {
		const size_t at[] = { unit - PAGE, unit, 3 * unit - PAGE };

		EXPECT_EQ(pattern(1, i),
			  peer_call(&p, op_load, other + at[i]));
	}
	EXPECT_EQ(pattern(1, 0), load(base + unit - PAGE));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(container, shrink_busy)
{
	const size_t unit = self->unit;
	int fd = ms_container(_metadata, MS_DIR "/b", 4 * unit);
	char *base;

	/* A mapping across the cut, by one page. */
	ASSERT_EQ(0, region_anon(fd, unit - PAGE, 2 * PAGE));
	EXPECT_ERR(EBUSY, ftruncate(fd, unit));
	EXPECT_EQ(4 * unit, file_size(fd));
	EXPECT_EQ(4 * unit, region_stat(fd).size);
	EXPECT_EQ(2 * PAGE, region_mapped(fd, 0, 4 * unit, NULL));

	EXPECT_EQ(0, region_unmap(fd, unit, PAGE));
	EXPECT_EQ(0, ftruncate(fd, unit));
	EXPECT_EQ(unit, region_stat(fd).size);
	EXPECT_EQ(PAGE, region_mapped(fd, 0, unit, NULL));

	/* Nothing of what was cut off comes back. */
	EXPECT_EQ(0, ftruncate(fd, 4 * unit));
	EXPECT_EQ(PAGE, region_mapped(fd, 0, 4 * unit, NULL));

	/* A window in the way, with nothing in it. */
	base = mmap(NULL, unit, RW, MAP_SHARED, fd, 2 * unit);
	ASSERT_NE(MAP_FAILED, base);
	EXPECT_ERR(EBUSY, ftruncate(fd, unit));
	EXPECT_ERR(EBUSY, ftruncate(fd, 2 * unit));
	EXPECT_EQ(4 * unit, region_stat(fd).size);
	EXPECT_EQ(0, ftruncate(fd, 3 * unit));
	EXPECT_EQ(0, munmap(base, unit));
	EXPECT_ERR(EBUSY, ftruncate(fd, 0));
	EXPECT_EQ(0, region_unmap(fd, 0, 3 * unit));
	EXPECT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, region_stat(fd).size);
}

TEST_F(container, any_page)
{
	const size_t unit = self->unit;
	const size_t at[] = { PAGE, 511 * PAGE, 700 * PAGE, unit - PAGE,
			      2 * unit + 3 * PAGE, 4 * unit - 2 * PAGE };
	struct peer p = peer_start(_metadata);
	long other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);

	ASSERT_LT(0, other);
	/* Also across two tables, and across two units. */
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, region_anon(self->fd, at[i], 2 * PAGE));
		fill(self->base + at[i], i, 2);
	}
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		long here = other + at[i];

		EXPECT_EQ(0, peer_call(&p, op_damaged, here, i, 2));
		EXPECT_EQ(MAPERR, peer_call(&p, op_peek, here - PAGE));
		if (at[i] + 2 * PAGE < self->size) {
			EXPECT_EQ(MAPERR, peer_call(&p, op_peek,
						    here + 2 * PAGE));
		}
	}
	EXPECT_EQ(ARRAY_SIZE(at), region_stat(self->fd).mappings);
	EXPECT_EQ(0, peer_stop(&p));
}

/* The largest there can be, at its end, and across tables of every level. */
TEST_F(container, far_away)
{
	const size_t unit = self->unit, max = 1UL << 46, slot = 1UL << 39;
	const size_t at[] = { max - 2 * PAGE, slot - PAGE, 100 * slot - PAGE };
	int fd = ms_container(_metadata, MS_DIR "/b", max);
	struct peer p = peer_start(_metadata);
	char *base;
	long other;

	EXPECT_ERR(EFBIG, ftruncate(fd, max + unit));
	EXPECT_EQ(-EINVAL, region_anon(fd, max, PAGE));
	EXPECT_EQ(-EINVAL, region_anon(fd, max - PAGE, 2 * PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		size_t from = at[i] & -unit, in = at[i] - from;
		size_t len = i ? 2 * unit : unit;

		ASSERT_EQ(0, region_anon(fd, at[i], 2 * PAGE));
		base = mmap(NULL, len, RW, MAP_SHARED, fd, from);
		ASSERT_NE(MAP_FAILED, base);
		other = peer_mmap(&p, NULL, len, RW, fd, from);
		ASSERT_LT(0, other);
		fill(base + in, i, 2);
		EXPECT_EQ(0, peer_call(&p, op_damaged, other + in, i, 2));
		EXPECT_EQ(MAPERR, peek(base + in - PAGE));
		EXPECT_EQ(0, munmap(base, len));
		EXPECT_EQ(0, peer_call(&p, op_damaged, other + in, i, 2));
	}
	EXPECT_EQ(ARRAY_SIZE(at), region_stat(fd).mappings);
	EXPECT_EQ(2 * PAGE * ARRAY_SIZE(at), region_mapped(fd, 0, max, NULL));
	EXPECT_EQ(0, region_unmap(fd, 0, max));
	EXPECT_EQ(MAPERR, peer_call(&p, op_peek, other + unit - PAGE));
	EXPECT_EQ(0, region_stat(fd).resident);
	EXPECT_EQ(0, peer_stop(&p));
}

/* As for a process, there is a limit; at it nothing can be split, either. */
TEST_F(container, too_many)
{
	const unsigned int limit = 500;
	char saved[32];
	unsigned int n;

	ASSERT_EQ(0, region_anon(self->fd, self->unit, 8 * PAGE));
	fill(self->base + self->unit, 1, 8);
	ASSERT_LT(0, read_file("/proc/sys/vm/max_map_count", saved,
			       sizeof(saved)));
	ASSERT_EQ(0, write_file("/proc/sys/vm/max_map_count", "500"));
	for (n = 1; n < 2 * limit; n++) {
		if (region_anon(self->fd, n * 2 * PAGE, PAGE))
			break;
	}
	EXPECT_EQ(-ENOMEM, region_anon(self->fd, n * 2 * PAGE, PAGE));
	EXPECT_EQ(-ENOMEM, region_unmap(self->fd, self->unit + PAGE, PAGE));
	EXPECT_EQ(-ENOMEM, region_protect(self->fd, self->unit + PAGE, PAGE,
					  PROT_READ));
	EXPECT_EQ(-ENOMEM, region_lock(self->fd, self->unit + PAGE, PAGE,
				       MSHAREFS_LOCK_ON, 0));
	EXPECT_EQ(0, write_file("/proc/sys/vm/max_map_count", saved));
	EXPECT_LE(limit - 2, n);
	EXPECT_GE(limit + 1, n);
	EXPECT_EQ(n, region_stat(self->fd).mappings);
	EXPECT_EQ(0, region_stat(self->fd).locked);
	EXPECT_EQ(0, damaged(self->base + self->unit, 1, 8));
	EXPECT_EQ(CAN(0, 0), access_of(self->base + self->unit + PAGE));
	EXPECT_EQ(0, region_unmap(self->fd, self->unit + PAGE, PAGE));
	EXPECT_EQ(n + 1, region_stat(self->fd).mappings);
}

TEST_F(container, object_offset)
{
	int object = ms_memfd(_metadata, 3, 16);
	char *base = self->base;

	ASSERT_EQ(0, region_map(self->fd, 100 * PAGE, 4 * PAGE, RW, FIXED,
				object, 5 * PAGE));
	for (unsigned int i = 0; i < 4; i++) {
		EXPECT_EQ(pattern(3, 5 + i), load(base + (100 + i) * PAGE));
	}
	/* The mapping keeps the object, and it is the object: not a copy. */
	store(base + 101 * PAGE, 7);
	EXPECT_EQ(7, file_load(object, 6));
	ASSERT_EQ(sizeof(int), pwrite(object, &(int){ 9 }, sizeof(int),
				      7 * PAGE));
	EXPECT_EQ(9, *(int *)(base + 102 * PAGE));
	close(object);
	EXPECT_EQ(7, load(base + 101 * PAGE));
	EXPECT_EQ(MAPERR, peek(base + 104 * PAGE));
	EXPECT_EQ(MAPERR, peek(base + 99 * PAGE));
}

TEST_F(container, one_object_often)
{
	int object = ms_memfd(_metadata, 3, 8), second;
	char *base = self->base, *plain, *win;

	/* Twice in one region, once in another, once in plain memory. */
	second = ms_container(_metadata, MS_DIR "/b", self->unit);
	win = ms_map(second, self->unit, RW);
	plain = ms_map(object, 8 * PAGE, RW);
	ASSERT_NE(MAP_FAILED, win);
	ASSERT_EQ(0, region_map(self->fd, PAGE, 8 * PAGE, RW, FIXED, object,
				0));
	ASSERT_EQ(0, region_map(self->fd, self->unit, 8 * PAGE, PROT_READ,
				FIXED, object, 0));
	ASSERT_EQ(0, region_map(second, 40 * PAGE, 8 * PAGE, RW, FIXED, object,
				0));
	EXPECT_EQ(0, damaged(base + PAGE, 3, 8));
	EXPECT_EQ(0, damaged(base + self->unit, 3, 8));
	EXPECT_EQ(0, damaged(win + 40 * PAGE, 3, 8));
	for (unsigned int i = 0; i < 8; i++) {
		store((i % 2 ? base + PAGE : win + 40 * PAGE) + i * PAGE, i);
		EXPECT_EQ(i, load(base + PAGE + i * PAGE));
		EXPECT_EQ(i, load(base + self->unit + i * PAGE));
		EXPECT_EQ(i, load(win + 40 * PAGE + i * PAGE));
		EXPECT_EQ(i, load(plain + i * PAGE));
	}
	EXPECT_EQ(ACCERR, probe_write(base + self->unit, 1));
}

TEST_F(container, object_goes)
{
	int object, fd = ms_container(_metadata, MS_DIR "/b", self->unit);
	char *base = ms_map(fd, self->unit, RW);
	long shmem;

	/* The memory of a memfd lives as long as it is mapped, no longer. */
	shmem = meminfo_kb("Shmem");
	object = ms_memfd(_metadata, 1, 256);
	ASSERT_EQ(0, region_map(fd, 0, MIB, RW, FIXED, object, 0));
	close(object);
	EXPECT_EQ(shmem + 1024, meminfo_kb("Shmem"));
	EXPECT_EQ(0, damaged(base, 1, 256));
	EXPECT_EQ(0, region_unmap(fd, 0, MIB - PAGE));
	EXPECT_EQ(shmem + 1024, meminfo_kb("Shmem"));
	EXPECT_EQ(0, region_unmap(fd, MIB - PAGE, PAGE));
	EXPECT_EQ(shmem, meminfo_settles("Shmem", shmem));

	/* And with the region. */
	object = ms_memfd(_metadata, 1, 256);
	ASSERT_EQ(0, region_map(fd, 0, MIB, RW, FIXED, object, 0));
	ASSERT_EQ(0, region_anon(fd, MIB, MIB));
	close(object);
	fill(base, 2, 512);
	EXPECT_EQ(shmem + 2048, meminfo_kb("Shmem"));
	EXPECT_EQ(0, unlink(MS_DIR "/b"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, damaged(base, 2, 512));
	EXPECT_EQ(0, munmap(base, self->unit));
	EXPECT_EQ(shmem, meminfo_settles("Shmem", shmem));
}

TEST_HARNESS_MAIN
