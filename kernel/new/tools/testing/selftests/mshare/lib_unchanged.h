/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A region with a bit of everything, and a look at all of it: what a call that
 * fails must leave as it was.
 */
#ifndef MSHARE_LIB_UNCHANGED_H
#define MSHARE_LIB_UNCHANGED_H

#include "lib_container.h"

#define SCENE_UNITS	2
#define SCENE_PART	16	/* pages of each mapping and each hole */

/* Where what is, in pages; the last two from the second unit on. */
enum { ANON_AT = 0, MEMFD_AT = 32, SEALED_AT = 48, FRESH_AT = 96 };

/**
 * struct scene - the region
 * @fd: open for reading and writing
 * @ro: open for reading
 * @base: a window of all of it, readable, writable and executable
 * @unit: bytes
 * @size: bytes
 * @object: the memfd at MEMFD_AT
 */
struct scene {
	int fd;
	int ro;
	char *base;
	size_t unit;
	size_t size;
	int object;
};

/*
 * Anonymous memory; a hole; a memfd of which the first pages are not mapped,
 * and at its heels another that can only be read; memory that is half of it
 * not there yet; memory without any protection across the border of a unit;
 * the last page.
 */
static inline void scene_make(struct __test_metadata *_metadata,
			      struct scene *s, const char *path, size_t unit)
{
	const size_t part = SCENE_PART * PAGE;
	int sealed;

	s->unit = unit;
	s->size = SCENE_UNITS * unit;
	s->fd = ms_container(_metadata, path, s->size);
	s->ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, s->ro);
	s->base = ms_map(s->fd, s->size, RWX);
	ASSERT_NE(MAP_FAILED, s->base);

	ASSERT_EQ(0, region_anon(s->fd, ANON_AT * PAGE, part));
	fill(s->base + ANON_AT * PAGE, 1, SCENE_PART);
	s->object = ms_memfd(_metadata, 2, SCENE_PART + 4);
	ASSERT_EQ(0, region_map(s->fd, MEMFD_AT * PAGE, part, RW, FIXED,
				s->object, 4 * PAGE));
	sealed = ms_memfd(_metadata, 3, SCENE_PART);
	ASSERT_EQ(0, fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, region_map(s->fd, SEALED_AT * PAGE, part, PROT_READ,
				FIXED, sealed, 0));
	ASSERT_EQ(0, close(sealed));
	ASSERT_EQ(0, region_anon(s->fd, FRESH_AT * PAGE, part));
	fill(s->base + FRESH_AT * PAGE, 4, SCENE_PART / 2);
	ASSERT_EQ(0, region_map(s->fd, unit - part / 2, part, PROT_NONE, ANON,
				-1, 0));
	ASSERT_EQ(0, region_anon(s->fd, s->size - PAGE, PAGE));
	store(s->base + s->size - PAGE, 5);
}

/* Puts the first two mappings back, when a test has replaced them. */
static inline void scene_repair(struct __test_metadata *_metadata,
				struct scene *s)
{
	ASSERT_EQ(0, region_unmap(s->fd, 0, SEALED_AT * PAGE));
	ASSERT_EQ(0, region_anon(s->fd, ANON_AT * PAGE, SCENE_PART * PAGE));
	fill(s->base + ANON_AT * PAGE, 1, SCENE_PART);
	ASSERT_EQ(0, region_map(s->fd, MEMFD_AT * PAGE, SCENE_PART * PAGE, RW,
				FIXED, s->object, 4 * PAGE));
}

#define SCENE_MAPPINGS	16

struct snapshot {
	unsigned int mappings;
	struct mshare_mapping mapping[SCENE_MAPPINGS];
	struct mshare_stat stat;
	uint64_t sum;		/* of contents, and of what cannot be read */
	off_t file_size;
};

/* May be told as one, and need not: mappings of an object side by side. */
static inline bool snapshot_joins(const struct mshare_mapping *a,
				  const struct mshare_mapping *b)
{
	return a->offset + a->size == b->offset &&
	       a->object_offset + a->size == b->object_offset &&
	       a->inode == b->inode && a->prot == b->prot &&
	       a->max_prot == b->max_prot && a->flags == b->flags &&
	       a->kind == b->kind && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->page_shift == b->page_shift;
}

static inline uint64_t snapshot_add(uint64_t sum, uint64_t val)
{
	return (sum ^ val) * 0x100000001b3ull;
}

/*
 * First words of pages from @from to @to, or how reading them ends: it ends
 * where it first fails, and the rest is not looked at.
 */
static inline uint64_t snapshot_sum(char *from, char *to)
{
	volatile uint64_t sum = 0;
	char *volatile at = from;

	probe_catch(from);
	if (!sigsetjmp(probe_env, 1)) {
		for (; at < to; at += PAGE) {
			probe_at = at;
			sum = snapshot_add(sum, load(at));
		}
	}
	return snapshot_add(sum, probe_done());
}

/*
 * Everything about the scene that a call can change. Reads only what is there:
 * that would change what is resident.
 */
static inline void snapshot_take(struct __test_metadata *_metadata,
				 const struct scene *s, struct snapshot *snap)
{
	const struct { unsigned int from, to; } look[] = {
		{ ANON_AT, ANON_AT + SCENE_PART },
		{ ANON_AT + SCENE_PART, ANON_AT + SCENE_PART + 1 },
		{ MEMFD_AT - 1, MEMFD_AT },
		{ MEMFD_AT, SEALED_AT + SCENE_PART },
		{ SEALED_AT + SCENE_PART, SEALED_AT + SCENE_PART + 1 },
		{ FRESH_AT, FRESH_AT + SCENE_PART / 2 },
		{ FRESH_AT + SCENE_PART, FRESH_AT + SCENE_PART + 1 },
	};
	struct mshare_mapping m, *last = NULL;
	struct stat st;
	uint64_t at = 0;

	memset(snap, 0, sizeof(*snap));
	while (!region_next(s->fd, at, &m)) {
		ASSERT_LT(at, m.offset + m.size);
		at = m.offset + m.size;
		/* Replaced by scene_repair(), and nobody else has a name. */
		if (m.kind == MSHAREFS_KIND_ANON)
			m.inode = 0;
		if (last && snapshot_joins(last, &m)) {
			last->size += m.size;
			continue;
		}
		ASSERT_GT(SCENE_MAPPINGS, snap->mappings);
		last = &snap->mapping[snap->mappings++];
		*last = m;
	}
	for (size_t i = 0; i < ARRAY_SIZE(look); i++)
		snap->sum = snapshot_add(snap->sum,
					 snapshot_sum(s->base +
						      look[i].from * PAGE,
						      s->base +
						      look[i].to * PAGE));
	snap->sum = snapshot_add(snap->sum,
				 peek(s->base + s->unit - PAGE));
	snap->sum = snapshot_add(snap->sum, peek(s->base + s->unit));
	snap->sum = snapshot_add(snap->sum, load(s->base + s->size - PAGE));
	snap->stat = region_stat(s->fd);
	/* As often as anybody looks, and as the kernel likes. */
	snap->stat.faults = 0;
	snap->stat.flushes = 0;
	/* Compared by the list. */
	snap->stat.mappings = 0;
	/* A split can take a table, and give it back when the next one goes. */
	snap->stat.page_tables = 0;
	ASSERT_EQ(0, fstat(s->fd, &st));
	snap->file_size = st.st_size;
}

static inline void snapshot_compare(struct __test_metadata *_metadata,
				    const struct scene *s,
				    const struct snapshot *before,
				    const char *after)
{
	struct snapshot now;

	snapshot_take(_metadata, s, &now);
	ASSERT_EQ(before->mappings, now.mappings) {
		TH_LOG("mappings after %s", after);
	}
	for (unsigned int i = 0; i < now.mappings; i++) {
		ASSERT_EQ(0, memcmp(&before->mapping[i], &now.mapping[i],
				    sizeof(now.mapping[i]))) {
			TH_LOG("mapping at %#llx, size %#llx, after %s",
			       (unsigned long long)now.mapping[i].offset,
			       (unsigned long long)now.mapping[i].size, after);
		}
	}
	ASSERT_EQ(before->sum, now.sum) {
		TH_LOG("contents after %s", after);
	}
	ASSERT_EQ(0, memcmp(&before->stat, &now.stat, sizeof(now.stat))) {
		TH_LOG("resident %llu, then %llu; locked %llu, then %llu: after %s",
		       (unsigned long long)before->stat.resident,
		       (unsigned long long)now.stat.resident,
		       (unsigned long long)before->stat.locked,
		       (unsigned long long)now.stat.locked, after);
	}
	ASSERT_EQ(before->file_size, now.file_size) {
		TH_LOG("size after %s", after);
	}
}

/*
 * After MAP_FIXED failed when the old mappings were gone already, which
 * mmap(2) does not avoid either: nothing but a gap may have come of it. For
 * ranges within the first two mappings.
 */
static inline void snapshot_or_gap(struct __test_metadata *_metadata,
				   struct scene *s,
				   const struct snapshot *before, uint64_t at,
				   uint64_t size, const char *after)
{
	struct snapshot now;

	snapshot_take(_metadata, s, &now);
	if (now.sum != before->sum || now.mappings != before->mappings) {
		ASSERT_EQ(0, region_mapped(s->fd, at, at + size, NULL)) {
			TH_LOG("neither old nor gone after %s", after);
		}
		scene_repair(_metadata, s);
	}
	snapshot_compare(_metadata, s, before, after);
}

#endif
