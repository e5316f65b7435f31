// SPDX-License-Identifier: GPL-2.0
/* mshare stat */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

static const char *const headings[] = {
	"REGION", "PROCESSES", "RESIDENT", "TABLES", "SAVED", "FAULTS", "FLUSHES",
};

#define COLUMNS ((int)(sizeof(headings) / sizeof(headings[0])))

static void add_json(struct json_object *array, const char *name,
		     const struct mshare_stat *use)
{
	struct json_object *region = json_object_new_object();

	json_text(region, "name", name);
	json_number(region, "processes", use->processes);
	json_number(region, "resident", use->resident);
	json_number(region, "page_tables", use->page_tables);
	json_number(region, "saved", saved_tables(use));
	json_number(region, "faults", use->faults);
	json_number(region, "flushes", use->flushes);
	json_object_array_add(array, region);
}

static void add_row(struct table *table, const char *name,
		    const struct mshare_stat *use)
{
	table_cell(table, "%s", name);
	table_cell(table, "%llu", (unsigned long long)use->processes);
	table_size(table, use->resident);
	table_size(table, use->page_tables);
	table_size(table, saved_tables(use));
	table_cell(table, "%llu", (unsigned long long)use->faults);
	table_cell(table, "%llu", (unsigned long long)use->flushes);
}

struct view {
	struct table *table;
	struct json_object *array;
};

static void add(struct view *view, const char *name,
		struct mshare_region *region)
{
	struct mshare_stat use;

	if (mshare_stat(region, &use))
		return;
	if (tool.json)
		add_json(view->array, name, &use);
	else
		add_row(view->table, name, &use);
}

/* Of all regions, those that may be opened. */
static int add_if_open(const char *name, void *view)
{
	struct mshare_region *region;
	char path[MAX_NAME];

	if (!region_path(name, path) && !mshare_open(path, O_RDONLY, &region)) {
		add(view, name, region);
		mshare_close(region);
	}
	return DONE;
}

static int add_named(char **names, int count, struct view *view)
{
	struct mshare_region *region;
	int status;

	for (int i = 0; i < count; i++) {
		status = open_region(names[i], O_RDONLY, &region);
		if (status)
			return status;
		add(view, names[i], region);
		mshare_close(region);
	}
	return DONE;
}

static int show_once(char **names, int count)
{
	struct json_object *root = NULL;
	struct view view = { };
	int status;

	if (tool.json) {
		root = json_new();
		view.array = json_object_new_array();
		json_object_object_add(root, "regions", view.array);
	} else {
		view.table = table_new(headings, COLUMNS);
	}
	status = count ? add_named(names, count, &view) :
			 each_region(add_if_open, &view);
	if (!tool.json)
		table_print(view.table);
	else if (status == DONE)
		json_print(root);
	else
		json_object_put(root);
	return status;
}

static int parse_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return *end || end == text || !(*seconds >= 0.01 && *seconds <= 86400) ?
	       -EINVAL : 0;
}

static void wait_for(double seconds)
{
	struct timespec time = { .tv_sec = (time_t)seconds };

	time.tv_nsec = (seconds - (double)time.tv_sec) * 1e9;
	fflush(stdout);
	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* Something that can be cleared. */
static bool is_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

int cmd_stat(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "watch", optional_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },
		{ }
	};
	bool live = false, screen;
	double seconds = 2;
	long count = 0;
	char *end;
	int c, status;

	while ((c = tool_option(argc, argv, "w::c:", longs)) != -1) {
		if (c == 'w')
			live = true;
		/* -w 5, as others have it, too. */
		if (c == 'w' && !optarg && argv[optind] &&
		    !parse_seconds(argv[optind], &seconds))
			optarg = argv[optind++];
		if (c == 'w' && optarg && parse_seconds(optarg, &seconds))
			return usage_error("%s: not a number of seconds", optarg);
		if (c == 'c') {
			count = strtol(optarg, &end, 10);
			if (*end || count < 1)
				return usage_error("%s: not a count", optarg);
		}
	}
	screen = live && !tool.json && is_screen();
	tool.live = screen;
	for (long i = 0;; i++) {
		if (screen)
			printf("\033[H\033[J");
		status = show_once(argv + optind, argc - optind);
		if (status || !live || (count && i + 1 >= count))
			return status;
		if (ferror(stdout))
			return FAILED;
		wait_for(seconds);
		if (!screen && !tool.json)
			putchar('\n');
	}
}
