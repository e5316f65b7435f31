// SPDX-License-Identifier: GPL-2.0
/*
 * mshare: what page tables of shared memory cost
 *
 * How many page-table pages a mapping has, /proc does not tell, only how much
 * is resident. One page table maps 2 MiB with its 512 entries, so there are at
 * least as many as that takes, and most programs that have much shared memory
 * fill it. Huge pages need none.
 */
#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "tool.h"

#define PAGE	4096ULL
#define SPAN	(512 * PAGE)	/* of one page table */

/* The tables above those are counted only if there is nothing else in them. */
static uint64_t tables_for(uint64_t resident)
{
	return (resident + SPAN - 1) / SPAN * PAGE +
	       resident / (512 * SPAN) * PAGE;
}

/* A smaller mapping has its entries in a table that others need, too. */
static bool is_large(const struct area *area)
{
	return area->shared && area->inode && area->end - area->start >= SPAN;
}

static struct object *find(struct objects *objects, const struct area *area)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = &objects->object[i];

		if (object->inode == area->inode &&
		    object->major == area->major &&
		    object->minor == area->minor)
			return object;
	}
	return NULL;
}

static struct object *add(struct objects *objects, const struct area *area)
{
	struct object *new;

	new = realloc(objects->object, (objects->count + 1) * sizeof(*new));
	if (!new) {
		complain("out of memory");
		exit(FAILED);
	}
	objects->object = new;
	new += objects->count++;
	*new = (struct object){
		.major = area->major, .minor = area->minor,
		.inode = area->inode, .name = strdup(area->name),
	};
	return new;
}

/* For maps: whether there is anything in a process that needs a closer look. */
void objects_look(const struct area *area, void *arg)
{
	struct objects *objects = arg;

	if (is_large(area) &&
	    (objects->adding || find(objects, area)))
		objects->found = true;
}

/* For smaps. */
void objects_add(const struct area *area, void *arg)
{
	struct objects *objects = arg;
	struct object *object;

	if (!is_large(area) || area->window)
		return;
	object = find(objects, area);
	if (!object && objects->adding)
		object = add(objects, area);
	if (!object)
		return;
	if (object->last != objects->pid) {
		object->last = objects->pid;
		object->processes++;
		object->this_tables = 0;
	}
	if (area->end - area->start > object->size)
		object->size = area->end - area->start;
	object->resident += area->pss;
	if (area->rss > area->huge) {
		object->this_tables += tables_for(area->rss - area->huge);
		object->tables += tables_for(area->rss - area->huge);
	}
	if (object->this_tables > object->most)
		object->most = object->this_tables;
}

uint64_t object_once(const struct object *object)
{
	uint64_t once = tables_for(object->resident);

	/* Where pages are huge, or others map them too. */
	if (once > object->tables)
		once = object->tables;
	return once > object->most ? once : object->most;
}

uint64_t object_saved(const struct object *object)
{
	return object->tables - object_once(object);
}

static int compare(const void *a, const void *b)
{
	uint64_t sa = object_saved(a), sb = object_saved(b);

	return sa < sb ? 1 : sa > sb ? -1 : 0;
}

void objects_sort(struct objects *objects)
{
	if (objects->count)
		qsort(objects->object, objects->count,
		      sizeof(*objects->object), compare);
}

void objects_free(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		free(objects->object[i].name);
	free(objects->object);
}
