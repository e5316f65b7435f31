// SPDX-License-Identifier: GPL-2.0
/* mshare ls */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

static const char *const headings[] = {
	"REGION", "MODE", "UID", "SIZE", "RESIDENT", "TABLES", "PROCESSES",
};

#define COLUMNS ((int)(sizeof(headings) / sizeof(headings[0])))

struct listing {
	struct table *table;
	struct json_object *array;
};

static void add_json(struct json_object *array, const char *name,
		     const struct stat *st, const struct mshare_stat *use)
{
	struct json_object *region = json_object_new_object();
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777);
	json_text(region, "name", name);
	json_text(region, "mode", mode);
	json_number(region, "uid", st->st_uid);
	json_number(region, "gid", st->st_gid);
	json_number(region, "size", st->st_size);
	/* Unknown to who may not open it. */
	if (use) {
		json_number(region, "resident", use->resident);
		json_number(region, "page_tables", use->page_tables);
		json_number(region, "processes", use->processes);
		json_number(region, "saved", saved_tables(use));
	}
	json_object_array_add(array, region);
}

static void add_row(struct table *table, const char *name,
		    const struct stat *st, const struct mshare_stat *use)
{
	table_cell(table, "%s", name);
	table_cell(table, "%04o", st->st_mode & 07777);
	table_cell(table, "%u", st->st_uid);
	table_size(table, st->st_size);
	if (!use) {
		for (int i = 4; i < COLUMNS; i++)
			table_cell(table, "-");
		return;
	}
	table_size(table, use->resident);
	table_size(table, use->page_tables);
	table_cell(table, "%llu", (unsigned long long)use->processes);
}

static int list(const char *name, void *arg)
{
	struct mshare_region *region;
	struct listing *to = arg;
	struct mshare_stat use;
	char path[MAX_NAME];
	bool known = false;
	struct stat st;

	if (region_path(name, path) || stat(path, &st))
		return DONE;
	if (!mshare_open(path, O_RDONLY, &region)) {
		known = !mshare_stat(region, &use);
		mshare_close(region);
	}
	if (tool.json)
		add_json(to->array, name, &st, known ? &use : NULL);
	else
		add_row(to->table, name, &st, known ? &use : NULL);
	return DONE;
}

int cmd_ls(int argc, char **argv)
{
	struct listing to = { };
	struct json_object *root;
	int status;

	tool_option(argc, argv, "", NULL);
	if (optind < argc)
		return usage_error("%s: no arguments are needed", argv[optind]);
	if (!tool.json) {
		to.table = table_new(headings, COLUMNS);
		status = each_region(list, &to);
		table_print(to.table);
		return status;
	}
	root = json_new();
	to.array = json_object_new_array();
	json_object_object_add(root, "regions", to.array);
	status = each_region(list, &to);
	if (status == DONE)
		json_print(root);
	else
		json_object_put(root);
	return status;
}
