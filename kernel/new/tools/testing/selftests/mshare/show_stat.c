// SPDX-License-Identifier: GPL-2.0
/* STAT, NEXT_MAPPING and fdinfo: they tell what there is, and add up. */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include <sys/sysmacros.h>

CONTAINER_FIXTURE(inspect)

/*
 * Anonymous memory, a memfd and a file of a tmpfs side by side, without a gap;
 * 8 pages each from page 16 on.
 */
#define MIXED 3

static void map_mixed(struct __test_metadata *_metadata, int fd, int *object)
{
	ASSERT_EQ(0, mount_tmpfs());
	object[0] = -1;
	object[1] = ms_memfd(_metadata, 1, 8);
	object[2] = open(MNT "/f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, object[2]);
	ASSERT_EQ(0, file_fill(object[2], 2, 8));
	for (unsigned int i = 0; i < MIXED; i++) {
		ASSERT_EQ(0, region_map(fd, (16 + 8 * i) * PAGE, 8 * PAGE, RW,
					i ? FIXED : ANON, object[i], 0));
	}
}

TEST_F(inspect, next_mapping)
{
	struct mshare_mapping m;
	int object[MIXED], fd = self->fd;
	struct stat st;

	map_mixed(_metadata, fd, object);
	for (unsigned int i = 0; i < MIXED; i++) {
		const uint32_t kind[] = { MSHAREFS_KIND_ANON,
					  MSHAREFS_KIND_SHMEM,
					  MSHAREFS_KIND_SHMEM };
		const uint64_t start = (16 + 8 * i) * PAGE;
		const uint64_t from[] = { start, start + 1, start + 3 * PAGE,
					  start + 8 * PAGE - 1 };

		for (size_t j = 0; j < ARRAY_SIZE(from); j++) {
			ASSERT_EQ(0, region_next(fd, from[j], &m));
			EXPECT_EQ(start, m.offset);
			EXPECT_EQ(8 * PAGE, m.size);
			EXPECT_EQ(0, m.object_offset);
			EXPECT_EQ(RW, m.prot);
			EXPECT_EQ(RW, m.max_prot & RW);
			EXPECT_EQ(i ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS,
				  m.flags);
			EXPECT_EQ(kind[i], m.kind);
			EXPECT_EQ(12, m.page_shift);
			EXPECT_EQ(0, m.reserved);
			if (!i)
				continue;
			ASSERT_EQ(0, fstat(object[i], &st));
			EXPECT_EQ(st.st_ino, m.inode);
			EXPECT_EQ(major(st.st_dev), m.dev_major);
			EXPECT_EQ(minor(st.st_dev), m.dev_minor);
		}
	}
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(16 * PAGE, m.offset);
	EXPECT_EQ(-ENOENT, region_next(fd, (16 + 8 * MIXED) * PAGE, &m));
	EXPECT_EQ(-ENOENT, region_next(fd, self->size - 1, &m));
	EXPECT_EQ(-ENOENT, region_next(fd, self->size, &m));
	EXPECT_EQ(-ENOENT, region_next(fd, UINT64_MAX, &m));

	/* A part of an object, and one that cannot become writable. */
	ASSERT_EQ(0, region_map(fd, self->unit, 3 * PAGE, PROT_READ, FIXED,
				reopen(object[1], O_RDONLY), 2 * PAGE));
	ASSERT_EQ(0, region_next(fd, self->unit + PAGE, &m));
	EXPECT_EQ(self->unit, m.offset);
	EXPECT_EQ(3 * PAGE, m.size);
	EXPECT_EQ(2 * PAGE, m.object_offset);
	EXPECT_EQ(PROT_READ, m.prot);
	EXPECT_EQ(0, m.max_prot & PROT_WRITE);

	/* On any file of the region. */
	EXPECT_EQ(0, region_next(reopen(fd, O_RDONLY), 0, &m));
	EXPECT_EQ(16 * PAGE, m.offset);
	EXPECT_EQ(0, region_next(reopen(fd, O_WRONLY), 0, &m));
	EXPECT_EQ(self->size, region_stat(reopen(fd, O_RDONLY)).size);
}

TEST_F(inspect, next_mapping_split)
{
	struct mshare_mapping m;
	int fd = self->fd, object = ms_memfd(_metadata, 1, 64);
	unsigned int count;

	/* Cut by UNMAP and by PROTECT, the offset in the object goes along. */
	ASSERT_EQ(0, region_map(fd, 0, 64 * PAGE, RW, FIXED, object, 0));
	ASSERT_EQ(0, region_unmap(fd, 10 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, region_protect(fd, 20 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_EQ(62 * PAGE, region_mapped(fd, 0, self->size, &count));
	EXPECT_EQ(4, count);
	EXPECT_EQ(4, region_stat(fd).mappings);
	ASSERT_EQ(0, region_next(fd, 10 * PAGE, &m));
	EXPECT_EQ(12 * PAGE, m.offset);
	EXPECT_EQ(8 * PAGE, m.size);
	EXPECT_EQ(12 * PAGE, m.object_offset);
	EXPECT_EQ(RW, m.prot);
	ASSERT_EQ(0, region_next(fd, 20 * PAGE, &m));
	EXPECT_EQ(20 * PAGE, m.offset);
	EXPECT_EQ(4 * PAGE, m.size);
	EXPECT_EQ(PROT_READ, m.prot);
	EXPECT_EQ(RW, m.max_prot & RW);
	ASSERT_EQ(0, region_next(fd, 24 * PAGE, &m));
	EXPECT_EQ(40 * PAGE, m.size);
	EXPECT_EQ(24 * PAGE, m.object_offset);
}

TEST_F(inspect, stat_adds_up)
{
	struct peer p = peer_start(_metadata);
	struct mshare_stat st, was;
	const size_t unit = self->unit;
	int fd = self->fd, object = ms_memfd(_metadata, 1, 32);
	char *second;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * MIB));
	ASSERT_EQ(0, region_map(fd, unit, 32 * PAGE, RW, FIXED, object, 0));
	was = region_stat(fd);
	EXPECT_EQ(2, was.mappings);
	/* The peer was forked with the window. */
	EXPECT_EQ(2, was.windows);
	EXPECT_EQ(2, was.processes);
	EXPECT_EQ(0, was.resident);

	fill(self->base, 1, 64);
	st = region_stat(fd);
	EXPECT_EQ(64 * PAGE, st.resident);
	EXPECT_EQ(was.faults + 64, st.faults);
	EXPECT_LE(was.page_tables + PAGE, st.page_tables);
	/* Here only: the peer has not been there since. */
	EXPECT_EQ(1, st.links);
	EXPECT_EQ(0, peer_call(&p, op_damaged, L(self->base), 1, 64));
	EXPECT_EQ(2, region_stat(fd).links);
	/* It found the pages, and nothing but the link was missing. */
	EXPECT_EQ(st.resident, region_stat(fd).resident);

	was = region_stat(fd);
	fill(self->base + HUGE, 1, 64);
	st = region_stat(fd);
	EXPECT_EQ(was.page_tables + PAGE, st.page_tables);
	EXPECT_EQ(was.resident + 64 * PAGE, st.resident);
	EXPECT_EQ(was.faults + 64, st.faults);
	EXPECT_EQ(was.links, st.links);

	/* Windows are linked as they are made. */
	was = st;
	second = mmap(NULL, unit, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, second);
	st = region_stat(fd);
	EXPECT_EQ(was.windows + 1, st.windows);
	EXPECT_EQ(was.processes, st.processes);
	EXPECT_EQ(was.links + 1, st.links);
	EXPECT_EQ(was.faults, st.faults);
	EXPECT_EQ(0, mprotect(second, unit, PROT_NONE));
	EXPECT_EQ(was.links, region_stat(fd).links);
	EXPECT_EQ(0, munmap(second, unit));
	EXPECT_EQ(0, munmap(self->base + unit, unit));
	st = region_stat(fd);
	EXPECT_EQ(was.windows + 1, st.windows);
	EXPECT_EQ(was.links, st.links);
	EXPECT_EQ(0, munmap(self->base, unit));
	st = region_stat(fd);
	EXPECT_EQ(was.windows, st.windows);
	EXPECT_EQ(was.links - 1, st.links);
	EXPECT_EQ(was.processes, st.processes);
	EXPECT_EQ(0, munmap(self->base, self->size));
	st = region_stat(fd);
	EXPECT_EQ(1, st.windows);
	EXPECT_EQ(1, st.processes);
	EXPECT_EQ(1, st.links);
	EXPECT_EQ(0, peer_stop(&p));
	st = region_stat(fd);
	EXPECT_EQ(0, st.windows);
	EXPECT_EQ(0, st.processes);
	EXPECT_EQ(0, st.links);
	/* The memory does not depend on who looks at it. */
	EXPECT_EQ(was.resident, st.resident);
	EXPECT_EQ(was.page_tables, st.page_tables);
	EXPECT_EQ(2, st.mappings);
	EXPECT_EQ(self->size, st.size);
}

TEST_F(inspect, stat_flushes)
{
	struct peer p = peer_start(_metadata);
	struct mshare_stat was, st;
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, 16 * PAGE));
	fill(self->base, 1, 16);
	was = region_stat(fd);
	ASSERT_EQ(0, region_unmap(fd, 0, 4 * PAGE));
	st = region_stat(fd);
	EXPECT_LT(was.flushes, st.flushes);
	EXPECT_EQ(was.resident - 4 * PAGE, st.resident);
	/* Where there is nothing, nobody is disturbed. */
	was = st;
	ASSERT_EQ(0, region_unmap(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, self->unit, 4 * PAGE));
	EXPECT_EQ(was.flushes, region_stat(fd).flushes);
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(inspect, fdinfo)
{
	char path[64], text[4096], want[64];
	struct mshare_stat st;

	ASSERT_EQ(0, region_anon(self->fd, 0, 16 * PAGE));
	ASSERT_EQ(0, region_anon(self->fd, self->unit, 16 * PAGE));
	ASSERT_EQ(0, region_lock(self->fd, self->unit, 4 * PAGE,
				 MSHAREFS_LOCK_ON, 0));
	fill(self->base, 1, 8);
	/* The same as STAT, whatever the mode of the file. */
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 reopen(self->fd, O_RDONLY));
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	st = region_stat(self->fd);
#define LINE(name, field) do {						\
	snprintf(want, sizeof(want), "\nmshare-" name ":\t%llu\n",	\
		 (unsigned long long)st.field);				\
	EXPECT_NE(NULL, strstr(text, want)) {				\
		TH_LOG("no %s in %s", want + 1, text);			\
	}								\
} while (0)
	LINE("size", size);
	LINE("mappings", mappings);
	LINE("windows", windows);
	LINE("processes", processes);
	LINE("resident", resident);
	LINE("page-tables", page_tables);
	LINE("locked", locked);
	LINE("links", links);
	LINE("faults", faults);
	LINE("flushes", flushes);
	EXPECT_EQ(3, st.mappings);
	EXPECT_EQ(4 * PAGE, st.locked);
	EXPECT_EQ(12 * PAGE, st.resident);
}

TEST_HARNESS_MAIN
