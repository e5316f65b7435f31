/* SPDX-License-Identifier: GPL-2.0 */
/* Shared memory of all processes, by the object that is mapped. */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <sys/types.h>

#include "smaps.h"

struct object {
	unsigned int major, minor;
	uint64_t inode;
	char *name;
	uint64_t size;		/* of the largest mapping */
	unsigned long processes;
	uint64_t tables;	/* of all processes, at least */
	uint64_t most;		/* of one process */
	uint64_t resident;	/* of all together: the sum of Pss */
	uint64_t this_tables;	/* of the process that is being looked at */
	pid_t last;		/* that was looked at */
};

struct objects {
	struct object *object;
	size_t count;
	bool adding;		/* objects not known so far */
	pid_t pid;		/* being looked at */
	bool found;		/* it maps one of them */
};

void objects_look(const struct area *area, void *objects);
void objects_add(const struct area *area, void *objects);
void objects_sort(struct objects *objects);
void objects_free(struct objects *objects);

/* What tables that exist once would take, and what that saves. */
uint64_t object_once(const struct object *object);
uint64_t object_saved(const struct object *object);

#endif
