// SPDX-License-Identifier: GPL-2.0
/* The ioctls of msharefs on a table of mappings. See fake.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/mman.h>

#include "fake.h"

#define PROT_ALL	(PROT_READ | PROT_WRITE | PROT_EXEC)

struct range {
	uint64_t start, end;
};

static bool misaligned(const struct mshare_mapping *m, uint64_t at)
{
	return at & ((1ULL << m->page_shift) - 1);
}

static bool inside(const struct mshare_mapping *m, uint64_t at)
{
	return m->offset < at && at < m->offset + m->size;
}

/* No mapping may be cut within a page of its object. */
static int check_cuts(const struct fake_meta *meta, struct range r)
{
	for (uint64_t i = 0; i < meta->count; i++) {
		const struct mshare_mapping *m = &meta->map[i];

		if ((inside(m, r.start) && misaligned(m, r.start)) ||
		    (inside(m, r.end) && misaligned(m, r.end)))
			return -EINVAL;
	}
	return 0;
}

static int insert(struct fake_meta *meta, const struct mshare_mapping *new)
{
	uint64_t i = 0;

	if (meta->count == FAKE_MAPPINGS)
		return -ENOMEM;
	while (i < meta->count && meta->map[i].offset < new->offset)
		i++;
	memmove(&meta->map[i + 1], &meta->map[i],
		(meta->count - i) * sizeof(*new));
	meta->map[i] = *new;
	meta->count++;
	return 0;
}

static int cut_at(struct fake_meta *meta, uint64_t at)
{
	for (uint64_t i = 0; i < meta->count; i++) {
		struct mshare_mapping *m = &meta->map[i];
		struct mshare_mapping rest = *m;

		if (!inside(m, at))
			continue;
		m->size = at - m->offset;
		rest.offset = at;
		rest.size -= m->size;
		rest.object_offset += m->size;
		return insert(meta, &rest);
	}
	return 0;
}

static int cut(struct fake_meta *meta, struct range r)
{
	int err = check_cuts(meta, r);

	if (!err)
		err = cut_at(meta, r.start);
	return err ? err : cut_at(meta, r.end);
}

static bool in_range(const struct mshare_mapping *m, struct range r)
{
	return m->offset < r.end && m->offset + m->size > r.start;
}

static bool all_mapped(const struct fake_meta *meta, struct range r)
{
	uint64_t at = r.start;

	for (uint64_t i = 0; i < meta->count; i++) {
		const struct mshare_mapping *m = &meta->map[i];

		if (m->offset <= at && m->offset + m->size > at)
			at = m->offset + m->size;
	}
	return at >= r.end;
}

static int unmap(struct fake_meta *meta, struct range r)
{
	int err = cut(meta, r);
	uint64_t kept = 0;

	if (err)
		return err;
	for (uint64_t i = 0; i < meta->count; i++)
		if (!in_range(&meta->map[i], r))
			meta->map[kept++] = meta->map[i];
	meta->count = kept;
	return 0;
}

/* Protection and flags of what is in the range. */
static int change(struct fake_meta *meta, struct range r, int prot,
		  unsigned int set, unsigned int clear)
{
	int err;

	if (!all_mapped(meta, r))
		return -ENOMEM;
	for (uint64_t i = 0; i < meta->count; i++)
		if (prot >= 0 && in_range(&meta->map[i], r) &&
		    prot & ~meta->map[i].max_prot)
			return -EACCES;
	err = cut(meta, r);
	for (uint64_t i = 0; !err && i < meta->count; i++) {
		struct mshare_mapping *m = &meta->map[i];

		if (!in_range(m, r))
			continue;
		if (prot >= 0)
			m->prot = prot;
		m->flags = (m->flags | set) & ~clear;
	}
	return err;
}

static int describe_object(const struct mshare_create *arg,
			   struct mshare_mapping *m)
{
	struct statfs fs;
	struct stat st;

	m->page_shift = 12;
	m->max_prot = PROT_ALL;
	m->kind = MSHAREFS_KIND_ANON;
	if (arg->flags & MAP_HUGETLB) {
		m->page_shift = 21;
		m->kind = MSHAREFS_KIND_HUGETLB;
	}
	if (arg->flags & MAP_ANONYMOUS) {
		m->flags |= arg->flags & MAP_HUGETLB ? 0 : MAP_ANONYMOUS;
		m->flags |= arg->flags & MAP_HUGETLB;
		m->inode = 1;
		return 0;
	}
	if (fstat(arg->fd, &st) || fstatfs(arg->fd, &fs))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENODEV;
	if (fs.f_type == MSHAREFS_MAGIC)
		return -EINVAL;
	m->kind = fs.f_type == TMPFS_MAGIC ? MSHAREFS_KIND_SHMEM :
					     MSHAREFS_KIND_FILE;
	m->object_offset = arg->offset;
	m->inode = st.st_ino;
	m->dev_major = major(st.st_dev);
	m->dev_minor = minor(st.st_dev);
	return 0;
}

static int create(struct fake_meta *meta, struct range r,
		  const struct mshare_create *arg)
{
	struct mshare_mapping m = {
		.offset = r.start, .size = r.end - r.start,
		.prot = arg->prot, .flags = MAP_SHARED,
	};
	unsigned int type = arg->flags & MAP_TYPE;
	int err;

	if (arg->prot & ~PROT_ALL ||
	    (type != MAP_SHARED && type != MAP_SHARED_VALIDATE) ||
	    !(arg->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return -EINVAL;
	err = describe_object(arg, &m);
	if (err)
		return err;
	if (misaligned(&m, m.offset | m.size | m.object_offset))
		return -EINVAL;
	for (uint64_t i = 0; i < meta->count; i++)
		if (in_range(&meta->map[i], r) &&
		    arg->flags & MAP_FIXED_NOREPLACE)
			return -EEXIST;
	err = unmap(meta, r);
	if (!err && arg->flags & MAP_LOCKED)
		m.flags |= MAP_LOCKED;
	return err ? err : insert(meta, &m);
}

static int advise(struct fake_meta *meta, struct range r,
		  const struct mshare_advise *arg)
{
	if (arg->flags)
		return -EINVAL;
	switch (arg->advice) {
	case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL:
	case MADV_WILLNEED: case MADV_DONTNEED: case MADV_REMOVE:
	case MADV_DONTDUMP: case MADV_DODUMP: case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE: case MADV_COLD: case MADV_PAGEOUT:
	case MADV_POPULATE_READ: case MADV_POPULATE_WRITE:
		return all_mapped(meta, r) ? 0 : -ENOMEM;
	}
	return -EINVAL;
}

static int lock(struct fake_meta *meta, struct range r,
		const struct mshare_lock *arg)
{
	if (arg->op == MSHAREFS_LOCK_ON && arg->flags <= MSHAREFS_LOCK_ONFAULT)
		return change(meta, r, -1, MAP_LOCKED, 0);
	if (arg->op == MSHAREFS_LOCK_OFF && !arg->flags)
		return change(meta, r, -1, 0, MAP_LOCKED);
	return -EINVAL;
}

static int next(const struct fake_meta *meta, struct mshare_mapping *arg)
{
	for (uint64_t i = 0; i < meta->count; i++) {
		if (meta->map[i].offset + meta->map[i].size > arg->offset) {
			*arg = meta->map[i];
			return 0;
		}
	}
	return -ENOENT;
}

static void count(const struct fake_meta *meta, uint64_t size,
		  struct mshare_stat *stat)
{
	*stat = (struct mshare_stat){ .size = size, .mappings = meta->count };
	for (uint64_t i = 0; i < meta->count; i++)
		if (meta->map[i].flags & MAP_LOCKED)
			stat->locked += meta->map[i].size;
}

int fake_ioctl(struct fake_meta *meta, uint64_t size, unsigned long command,
	       void *arg)
{
	/* All structs of commands that change something begin like this. */
	const struct mshare_unmap *unmap_arg = arg;
	const struct mshare_protect *protect = arg;
	struct range r;

	if (command == MSHAREFS_STAT) {
		count(meta, size, arg);
		return 0;
	}
	if (command == MSHAREFS_NEXT_MAPPING)
		return next(meta, arg);

	r.start = unmap_arg->region_offset;
	r.end = r.start + unmap_arg->size;
	if (r.end <= r.start || r.end > size || (r.start | r.end) & 4095)
		return -EINVAL;
	switch (command) {
	case MSHAREFS_CREATE_MAPPING:
		return create(meta, r, arg);
	case MSHAREFS_UNMAP:
		return unmap(meta, r);
	case MSHAREFS_PROTECT:
		if (protect->flags || protect->prot & ~PROT_ALL)
			return -EINVAL;
		return change(meta, r, protect->prot, 0, 0);
	case MSHAREFS_ADVISE:
		return advise(meta, r, arg);
	case MSHAREFS_LOCK:
		return lock(meta, r, arg);
	}
	return -ENOTTY;
}
