// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: segments of System V
 *
 * The program gets a window of a region that maps the object of the segment, and
 * the segment stays attached, at a place that the program does not know and
 * nobody touches. So all that the kernel counts and does is as without us:
 * nattch, the pids, IPC_RMID, what remains when a process is killed. A process
 * without the preload has the same memory.
 *
 * Only what is asked for plainly, anywhere and for reading and writing, becomes
 * a window.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "preload.h"

#define FAILED	((void *)-1)

/* What the program has instead of its attachments. Unused where real is 0. */
static struct attachment {
	uintptr_t real, window;
} attachments[PRELOAD_PIECES];

bool sysv_insert(uintptr_t real, uintptr_t window)
{
	for (int i = 0; i < PRELOAD_PIECES; i++) {
		if (!attachments[i].real) {
			attachments[i] = (struct attachment){ real, window };
			return true;
		}
	}
	return false;
}

/* Detaches what the program has nothing of any more, as munmap(2) would. */
void sysv_settle(void)
{
	for (int i = 0; i < PRELOAD_PIECES; i++) {
		struct attachment *a = &attachments[i];

		if (a->real && !table_of(a->real)) {
			preload_next.shmdt((void *)a->real);
			a->real = 0;
		}
	}
}

static int unmap(uintptr_t real)
{
	const struct piece *piece;
	int err = 0;

	while (!err && (piece = table_of(real)))
		err = preload_unmap(piece->start, piece->end);
	return err;
}

int preload_shmdt(const void *addr)
{
	uintptr_t at = (uintptr_t)addr;
	bool ours = false;
	int err = 0;

	if (table_may_have(at, at + 1)) {
		preload_lock();
		for (int i = 0; i < PRELOAD_PIECES && !ours; i++) {
			const struct attachment *a = &attachments[i];

			ours = a->real && a->window == at;
			if (ours)
				err = unmap(a->real);
		}
		preload_unlock();
	}
	return ours ? err : preload_next.shmdt(addr);
}

/* Of who has attached the segment before us, if possible. */
static int find_region(int fd, const struct area *area,
		       const struct shmid_ds *segment)
{
	struct object object;
	int region = object_identify(fd, &object);

	if (!region)
		region = object_region_of(segment->shm_lpid, &object);
	if (region < 0)
		region = object_region_of(segment->shm_cpid, &object);
	if (region >= 0)
		return region;
	region = region_create(area);
	if (region >= 0)
		object_mark(region, &object);
	return region;
}

/* 1: there is nothing to gain. */
static int window_of(uintptr_t real, const struct shmid_ds *segment,
		     void **window)
{
	struct area area = {
		.len = segment->shm_segsz, .prot = PROT_READ | PROT_WRITE,
		.real = real,
	};
	int region, err, cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	preload_lock();
	area.fd = object_open(real, page_up(area.len));
	err = area.fd < 0 ? area.fd : !region_can_have(area.fd);
	if (!err) {
		region = find_region(area.fd, &area, segment);
		err = region < 0 ? region :
				   region_window(region, &area, window);
		if (region >= 0)
			close(region);
	}
	if (area.fd >= 0)
		close(area.fd);
	preload_unlock();
	pthread_setcancelstate(cancel, NULL);
	return err;
}

/* @real, or a window instead of it. @segment: as it was before. */
static void *instead(void *real, const struct shmid_ds *segment)
{
	int saved = errno, err = -EINVAL;
	void *p;

	if (!preload_config.bad)
		err = window_of((uintptr_t)real, segment, &p);
	errno = saved;
	if (!err && preload_config.verbose)
		message(segment->shm_segsz, "shared page tables",
			preload_config.dir);
	if (!err)
		return p;
	if (err > 0 || !preload_refuses(segment->shm_segsz, err))
		return real;
	preload_next.shmdt(real);
	errno = ENOMEM;
	return FAILED;
}

/* Over something: windows go as a whole, as for MAP_FIXED. */
static void *replace(int id, const void *addr, int flags, size_t len)
{
	struct room room;
	void *p = FAILED;

	preload_lock();
	if (preload_clear((void *)addr, len, &room)) {
		p = preload_next.shmat(id, addr, flags);
		preload_give_back(&room, (void *)addr, p == FAILED ? 0 : len);
	}
	preload_unlock();
	return p;
}

static bool eligible(const void *addr, int flags,
		     const struct shmid_ds *segment)
{
	return preload_config.on && preload_config.sysv && !addr &&
	       !(flags & ~SHM_RND) && segment->shm_segsz &&
	       segment->shm_segsz >= preload_config.min_size;
}

void *preload_shmat(int id, const void *addr, int flags)
{
	struct shmid_ds segment = { };
	int saved = errno;
	void *real;

	if (!preload_config.on)
		return preload_next.shmat(id, addr, flags);
	/* Who may not ask for it may not attach it, either. */
	if (shmctl(id, IPC_STAT, &segment))
		errno = saved;
	if (flags & SHM_REMAP && addr)
		return replace(id, addr, flags, segment.shm_segsz);
	real = preload_next.shmat(id, addr, flags);
	if (real == FAILED || !eligible(addr, flags, &segment))
		return real;
	return instead(real, &segment);
}
