/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmshare-preload: gives large shared memory of programs that do not know
 * mshare page tables that exist once. mshare-preload(7) says what it does for
 * users.
 *
 * An area that a program maps becomes a window of an unnamed region. Windows
 * are made of units (1 GiB), so beyond the end of the area there is padding,
 * and the kernel unmaps whole units only. Which bytes of its windows the
 * program still has is in a table:
 *
 * - A unit belongs to one window. It is unmapped when the last byte in it is.
 * - The table is the process's own: fork(2) copies it together with the windows.
 *   Nothing that a process unmaps changes the region, which others may use.
 * - Nothing here calls malloc(3) or stdio(3). The lock is held with all signals
 *   blocked, and over fork(2), so handlers and children can use all of it.
 */
#ifndef PRELOAD_H
#define PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PRELOAD_MIN_SIZE	(64ULL << 20)
#define PRELOAD_PIECES		256
#define PRELOAD_PAGE		4096UL
/* The one unit that MAP_32BIT allows, from 1 GiB to 2 GiB, and as large. */
#define PRELOAD_32BIT		(1UL << 30)

/* config.c: what the environment asks for */
struct preload_config {
	bool on;		/* else every call is the plain one */
	bool require;		/* fail instead of giving plain memory */
	bool files;		/* mappings of memfds and tmpfs, too */
	bool sysv;		/* segments of shmat(2), too */
	bool deepbind;		/* for libraries of RTLD_DEEPBIND, too */
	bool verbose;
	uint64_t min_size;
	const char *dir;
	const char *bad;	/* a variable that has no such value */
};

extern struct preload_config preload_config;

void preload_configure(struct preload_config *config, const char *exe,
		       const char *(*get)(const char *name));
bool preload_parse_size(const char *text, uint64_t *size);
bool preload_eligible(const struct preload_config *config, const void *addr,
		      size_t len, int prot, int flags, off_t offset);

/* table.c: pieces of windows that the program has. Needs the lock. */
struct piece {
	uintptr_t start, end;	/* nothing if they are equal */
	uintptr_t real;		/* the attachment that it stands for, or 0 */
};

bool table_insert(uintptr_t start, uintptr_t end, uintptr_t real);
void table_cut(uintptr_t start, uintptr_t end);
bool table_has(uintptr_t start, uintptr_t end);	/* any byte */
const struct piece *table_find(uintptr_t at);
const struct piece *table_within(uintptr_t start, uintptr_t end);
const struct piece *table_of(uintptr_t real);
/* No lock. False: certainly nothing in there. */
bool table_may_have(uintptr_t start, uintptr_t end);

/* lock.c */
void preload_lock(void);
void preload_unlock(void);
void preload_lock_init(void);

/* What a window is to be of: the arguments of mmap(2). */
struct area {
	void *addr;
	size_t len;
	int prot, flags, fd;
	off_t offset;
	uintptr_t real;		/* as in struct piece */
};

/*
 * region.c: windows of regions, in the table. Negative errno. Under the lock, from
 * making a region to closing it: else a child could have the window and not know
 * of it, or have the descriptor, and keep the region for ever.
 */
int region_area(const struct area *area, void **window);
int region_create(const struct area *area);	/* its descriptor */
int region_window(int region, const struct area *area, void **window);
bool region_can_have(int fd);
uint64_t region_unit(void);
uint64_t region_padded(size_t len);

/* object.c: segments of System V as objects, and regions that have them */
struct object {
	struct stat st;
	struct timespec id;	/* as good as no other has; tv_nsec -1: unknown */
};

int object_open(uintptr_t real, size_t len);	/* a descriptor */
int object_identify(int fd, struct object *object);
void object_mark(int region, const struct object *object);
int object_region_of(pid_t pid, const struct object *object);

/* sysv.c. Attachments: under the lock. */
bool sysv_insert(uintptr_t real, uintptr_t window);
void sysv_settle(void);
void *preload_shmat(int id, const void *addr, int flags);
int preload_shmdt(const void *addr);

static inline uintptr_t page_up(uintptr_t size)
{
	return (size + PRELOAD_PAGE - 1) & ~(PRELOAD_PAGE - 1);
}

/* calls.c: what the program's calls become */
void *preload_mmap(void *addr, size_t len, int prot, int flags, int fd,
		   off_t offset);
int preload_munmap(void *addr, size_t len);
int preload_unmap(uintptr_t start, uintptr_t end);	/* under the lock */

/* Where something of ours was, and is to be something else. Nothing if empty. */
struct room {
	uintptr_t start, end;
};

/* Under the lock. */
bool preload_clear(void *addr, size_t len, struct room *room);
void preload_give_back(const struct room *room, void *addr, size_t len);

bool preload_refuses(size_t len, int err);
int preload_mprotect(void *addr, size_t len, int prot);
void *preload_mremap(void *addr, size_t old_len, size_t len, int flags,
		     void *to);

/* message.c: one line, once, where standard error still is what it was */
void message_init(void);
void message(size_t len, const char *what, const char *why);
void message_once(size_t len, const char *what, const char *why);
const char *message_reason(int err);

/* next.c: the calls of who comes after us, the C library as a rule */
struct preload_next {
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset);
	int (*munmap)(void *addr, size_t len);
	int (*mprotect)(void *addr, size_t len, int prot);
	void *(*mremap)(void *addr, size_t old_len, size_t len, int flags, ...);
	void *(*shmat)(int id, const void *addr, int flags);
	int (*shmdt)(const void *addr);
	void *(*dlopen)(const char *file, int mode);
};

extern struct preload_next preload_next;

#endif
