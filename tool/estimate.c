// SPDX-License-Identifier: GPL-2.0
/*
 * mshare estimate: on any kernel, what page tables cost running programs, and
 * what sharing them would save
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "objects.h"
#include "tool.h"

static const char *const headings[] = {
	"OBJECT", "MAPPED", "PROCESSES", "TABLES", "WITH MSHARE", "SAVED",
};

#define COLUMNS ((int)(sizeof(headings) / sizeof(headings[0])))
#define PATH_ROOM 1024
#define PROGRESS 200	/* processes that one would have to wait for */

static const char *proc = "/proc";

struct estimate {
	struct objects objects;
	uint64_t tables;	/* all page tables of what was asked for */
	unsigned long processes;
	unsigned long unreadable;
};

static const char *proc_path(char *room, pid_t pid, const char *file)
{
	snprintf(room, PATH_ROOM, "%s/%d/%s", proc, pid, file);
	return room;
}

/* Adds a process if it maps something of interest. */
static int scan(struct estimate *estimate, pid_t pid)
{
	struct objects *objects = &estimate->objects;
	char path[PATH_ROOM];
	int err;

	objects->pid = pid;
	objects->found = false;
	/* maps is cheap; smaps walks page tables. */
	err = read_areas(proc_path(path, pid, "maps"), objects_look, objects);
	if (!err && objects->found)
		err = read_areas(proc_path(path, pid, "smaps"), objects_add,
				 objects);
	return err;
}

static int is_pid(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]);
}

static int scan_all(struct estimate *estimate)
{
	bool show = isatty(STDERR_FILENO);
	struct dirent **list;
	int err, n;

	n = scandir(proc, &list, is_pid, NULL);
	if (n < 0)
		return failed(-errno, proc, "cannot be listed");
	if (n < PROGRESS)
		show = false;
	for (int i = 0; i < n; i++) {
		err = scan(estimate, atoi(list[i]->d_name));
		if (err == -EACCES || err == -EPERM)
			estimate->unreadable++;
		else if (!err)
			estimate->processes++;
		free(list[i]);
		if (show && i % 20 == 0)
			fprintf(stderr, "\r%d of %d processes", i, n);
	}
	free(list);
	if (show)
		fprintf(stderr, "\r\033[K");
	return DONE;
}

/* The objects of one process, and all its page tables. */
static int collect(struct estimate *estimate, const char *text)
{
	char path[PATH_ROOM], *end;
	long pid = strtol(text, &end, 10);
	uint64_t tables = 0;
	int err;

	if (!isdigit((unsigned char)*text) || *end || pid < 1 || pid > INT32_MAX)
		return usage_error("%s: not the number of a process", text);
	err = scan(estimate, pid);
	if (!err) {
		/* Kernel threads have none. */
		read_field(proc_path(path, pid, "status"), "VmPTE", &tables);
		estimate->tables += tables;
		return DONE;
	}
	if (err == -ENOENT || err == -ESRCH)
		complain("%s: no such process", text);
	else
		failed(err, text, "cannot be read");
	return FAILED;
}

/* What was counted so far, only who is mapped is kept. */
static void forget_numbers(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object *o = &objects->object[i];

		*o = (struct object){
			.major = o->major, .minor = o->minor,
			.inode = o->inode, .name = o->name,
		};
	}
}

static void print_json(const struct estimate *estimate, uint64_t saved)
{
	struct json_object *root = json_new();
	struct json_object *array = json_object_new_array();

	json_number(root, "page_tables", estimate->tables);
	json_number(root, "saved", saved);
	json_number(root, "processes", estimate->processes);
	json_number(root, "unreadable", estimate->unreadable);
	for (size_t i = 0; i < estimate->objects.count; i++) {
		const struct object *o = &estimate->objects.object[i];
		struct json_object *object = json_object_new_object();

		json_text(object, "object", o->name ?: "");
		json_number(object, "device_major", o->major);
		json_number(object, "device_minor", o->minor);
		json_number(object, "inode", o->inode);
		json_number(object, "mapped", o->size);
		json_number(object, "processes", o->processes);
		json_number(object, "page_tables", o->tables);
		json_number(object, "page_tables_shared", object_once(o));
		json_number(object, "saved", object_saved(o));
		json_object_array_add(array, object);
	}
	json_object_object_add(root, "objects", array);
	json_print(root);
}

static void print_text(const struct estimate *estimate, uint64_t saved,
		       bool all)
{
	struct table *table = table_new(headings, COLUMNS);
	char tables[SIZE_ROOM], less[SIZE_ROOM];

	printf("page tables of %s: %s\n",
	       all ? "all processes" : "what was asked for",
	       show_size(estimate->tables, tables));
	for (size_t i = 0; i < estimate->objects.count; i++) {
		const struct object *o = &estimate->objects.object[i];

		if (!object_saved(o))
			continue;
		table_cell(table, "%s", o->name);
		table_size(table, o->size);
		table_cell(table, "%lu", o->processes);
		table_size(table, o->tables);
		table_size(table, object_once(o));
		table_size(table, object_saved(o));
	}
	if (saved)
		printf("sharing would save at least %s of all processes' page tables\n\n",
		       show_size(saved, less));
	else
		printf("no shared memory with page tables that are worth sharing\n");
	table_print(table);
}

static int print(struct estimate *estimate, bool all)
{
	uint64_t saved = 0;

	objects_sort(&estimate->objects);
	for (size_t i = 0; i < estimate->objects.count; i++)
		saved += object_saved(&estimate->objects.object[i]);
	if (estimate->unreadable)
		complain("estimate: processes left out, because they cannot be read: %lu",
			 estimate->unreadable);
	if (tool.json)
		print_json(estimate, saved);
	else
		print_text(estimate, saved, all);
	return DONE;
}

static int estimate_pids(struct estimate *estimate, char **pids, int count)
{
	int status = DONE;

	estimate->objects.adding = true;
	for (int i = 0; i < count && !status; i++)
		status = collect(estimate, pids[i]);
	if (status)
		return status;
	/* Now those that share memory with them. */
	estimate->objects.adding = false;
	forget_numbers(&estimate->objects);
	return scan_all(estimate);
}

static int estimate_all(struct estimate *estimate)
{
	char path[PATH_ROOM];
	int err;

	snprintf(path, sizeof(path), "%s/meminfo", proc);
	err = read_field(path, "PageTables", &estimate->tables);
	if (err)
		return failed(err, path, "cannot be read");
	estimate->objects.adding = true;
	return scan_all(estimate);
}

int cmd_estimate(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "proc", required_argument, NULL, 'p' },
		{ }
	};
	struct estimate estimate = { };
	bool all = false;
	int c, status;

	while ((c = tool_option(argc, argv, "a", longs)) != -1) {
		if (c == 'a')
			all = true;
		else
			proc = optarg;
	}
	if (all ? optind != argc : optind == argc)
		return usage_error("processes, or --all, are needed");
	status = all ? estimate_all(&estimate) :
		       estimate_pids(&estimate, argv + optind, argc - optind);
	if (status == DONE)
		status = print(&estimate, all);
	objects_free(&estimate.objects);
	return status;
}
