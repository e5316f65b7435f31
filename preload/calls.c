// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare-preload: what the program's calls become */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "preload.h"

/* A range of whole pages that can be ours. */
static bool range_of(const void *addr, size_t len, uintptr_t *start,
		     uintptr_t *end)
{
	*start = (uintptr_t)addr;
	*end = *start + page_up(len);
	return len && *end > *start && !(*start & (PRELOAD_PAGE - 1)) &&
	       table_may_have(*start, *end);
}

static bool unit_is_ours(uintptr_t base)
{
	return table_has(base, base + region_unit());
}

/*
 * The units of ours in which a range begins and ends become part of it, if the
 * program has nothing in them but what is in the range. False: it has.
 */
static bool widen(uintptr_t *start, uintptr_t *end)
{
	uintptr_t mask = region_unit() - 1;
	uintptr_t first = *start & ~mask, last = (*end - 1) & ~mask;
	uintptr_t after = last + mask + 1;

	if (*start > first && unit_is_ours(first)) {
		if (table_has(first, *start))
			return false;
		*start = first;
	}
	if (*end < after && unit_is_ours(last)) {
		if (table_has(*end, after))
			return false;
		*end = after;
	}
	return true;
}

/* The part of one of our units; the unit goes when nothing else is in it. */
static int unmap_in_unit(uintptr_t base, uintptr_t start, uintptr_t end)
{
	uintptr_t after = base + region_unit();
	int err = 0;

	if ((start == base || !table_has(base, start)) &&
	    (end == after || !table_has(end, after)))
		err = preload_next.munmap((void *)base, region_unit());
	if (!err)	/* else too many mappings: nothing has changed */
		table_cut(start, end);
	return err;
}

/* Ours and others, in the order of their addresses. */
int preload_unmap(uintptr_t start, uintptr_t end)
{
	uintptr_t unit = region_unit(), next;
	int err = 0;

	for (; !err && start < end; start = next) {
		uintptr_t base = start & ~(unit - 1);

		next = base + unit;
		if (unit_is_ours(base)) {
			next = next < end ? next : end;
			err = unmap_in_unit(base, start, next);
			continue;
		}
		while (next < end && !unit_is_ours(next))
			next += unit;
		next = next < end ? next : end;
		err = preload_next.munmap((void *)start, next - start);
	}
	sysv_settle();
	return err;
}

int preload_munmap(void *addr, size_t len)
{
	uintptr_t start, end;
	int err;

	if (!range_of(addr, len, &start, &end))
		return preload_next.munmap(addr, len);
	preload_lock();
	err = preload_unmap(start, end);
	preload_unlock();
	return err;
}

/* Of areas as a whole; for parts of them the kernel says EINVAL. */
int preload_mprotect(void *addr, size_t len, int prot)
{
	uintptr_t start, end;
	int err;

	if (!range_of(addr, len, &start, &end))
		return preload_next.mprotect(addr, len, prot);
	preload_lock();
	if (widen(&start, &end))
		err = preload_next.mprotect((void *)start, end - start, prot);
	else
		err = preload_next.mprotect(addr, len, prot);
	preload_unlock();
	return err;
}

/*
 * Makes room for what is to be mapped over ours: as a whole, or the kernel will
 * say EINVAL. Something is there all the time, as other threads map memory, too.
 * False: it cannot be had.
 */
bool preload_clear(void *addr, size_t len, struct room *room)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	uintptr_t start, end;

	*room = (struct room){ };
	if (!range_of(addr, len, &start, &end) || !table_has(start, end) ||
	    !widen(&start, &end))
		return true;
	if (preload_next.mmap((void *)start, end - start, PROT_NONE, flags, -1,
			      0) == MAP_FAILED)
		return false;
	table_cut(start, end);
	sysv_settle();
	*room = (struct room){ start, end };
	return true;
}

/* Gives back what of the room is not used by @len bytes at @addr. */
void preload_give_back(const struct room *room, void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr, end = start + page_up(len);
	int saved = errno;

	if (!room->end)
		return;
	if (room->start < start)
		preload_next.munmap((void *)room->start, start - room->start);
	if (end < room->end)
		preload_next.munmap((void *)end, room->end - end);
	errno = saved;
}

/*
 * Growing fails: ordinary shared memory that grows has no memory there either
 * (SIGBUS), so that programs have to be prepared for it.
 */
static void *remap(void *addr, uintptr_t old_len, uintptr_t len, bool plain)
{
	if (!plain || !len) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (len > old_len) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (len < old_len && preload_munmap((char *)addr + len, old_len - len))
		return MAP_FAILED;
	return addr;
}

/* What is not ours, to where we may have something. */
static void *move(void *addr, size_t old_len, size_t len, int flags, void *to)
{
	struct room room;
	void *p = MAP_FAILED;

	if (!(flags & MREMAP_FIXED))
		return preload_next.mremap(addr, old_len, len, flags, to);
	preload_lock();
	if (preload_clear(to, len, &room)) {
		p = preload_next.mremap(addr, old_len, len, flags, to);
		preload_give_back(&room, to, p == MAP_FAILED ? 0 : len);
	}
	preload_unlock();
	return p;
}

void *preload_mremap(void *addr, size_t old_len, size_t len, int flags,
		     void *to)
{
	const struct piece *piece = NULL;
	uintptr_t start, end;
	bool inside = false;

	if (range_of(addr, old_len ? old_len : 1, &start, &end)) {
		preload_lock();
		piece = table_find(start);
		inside = piece && end <= piece->end;
		preload_unlock();
	}
	if (!piece)
		return move(addr, old_len, len, flags, to);
	return remap(addr, page_up(old_len), page_up(len),
		     inside && old_len && !(flags & ~MREMAP_MAYMOVE));
}

static void *replace(void *addr, size_t len, int prot, int flags, int fd,
		     off_t offset)
{
	uintptr_t start, end;
	struct room room;
	void *p = MAP_FAILED;

	if (!range_of(addr, len, &start, &end))
		return preload_next.mmap(addr, len, prot, flags, fd, offset);
	preload_lock();
	if (preload_clear(addr, len, &room)) {
		p = preload_next.mmap(addr, len, prot, flags, fd, offset);
		preload_give_back(&room, addr, p == MAP_FAILED ? 0 : len);
	}
	preload_unlock();
	return p;
}

/* Whether there is to be no ordinary memory either; says what there is, and why. */
bool preload_refuses(size_t len, int err)
{
	const char *bad = preload_config.bad;
	const char *why = bad ? bad : message_reason(err);

	if (preload_config.require)
		message_once(len, bad ? "refused, wrong value" : "refused", why);
	else
		message_once(len, bad ? "ordinary memory, wrong value" :
					"ordinary memory", why);
	return preload_config.require;
}

/* What the program gets instead of a window, which @err is the reason for. */
static void *without(void *addr, size_t len, int prot, int flags, int fd,
		     off_t offset, int err)
{
	/* Something is at the address: for the kernel to say. */
	if (err == -EEXIST)
		return preload_next.mmap(addr, len, prot, flags, fd, offset);
	if (preload_refuses(len, err)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return preload_next.mmap(addr, len, prot, flags, fd, offset);
}

void *preload_mmap(void *addr, size_t len, int prot, int flags, int fd,
		   off_t offset)
{
	struct area area = { addr, len, prot, flags, fd, offset, 0 };
	int saved = errno, err = -EINVAL;
	void *p;

	if (flags & MAP_FIXED)
		return replace(addr, len, prot, flags, fd, offset);
	if (!preload_eligible(&preload_config, addr, len, prot, flags, offset) ||
	    (uintptr_t)addr & (region_unit() - 1) ||
	    (!(flags & MAP_ANONYMOUS) && !region_can_have(fd))) {
		errno = saved;
		return preload_next.mmap(addr, len, prot, flags, fd, offset);
	}
	if (flags & MAP_32BIT)
		area.addr = (void *)PRELOAD_32BIT;
	if (!preload_config.bad)
		err = region_area(&area, &p);
	/* Taken: the address is ours, not one that was asked for. */
	if (err == -EEXIST && !addr)
		err = -ENOMEM;
	errno = saved;
	if (err)
		return without(addr, len, prot, flags, fd, offset, err);
	if (preload_config.verbose)
		message(len, "shared page tables", preload_config.dir);
	return p;
}
