// SPDX-License-Identifier: GPL-2.0
/* mshare: tables. The first column is text, the others are numbers. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct table {
	const char *const *headings;
	int columns;
	int cells;
	char **cell;
};

static void *need(void *memory)
{
	if (memory)
		return memory;
	complain("out of memory");
	exit(FAILED);
}

struct table *table_new(const char *const *headings, int columns)
{
	struct table *table = need(calloc(1, sizeof(*table)));

	table->headings = headings;
	table->columns = columns;
	return table;
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	table->cell = need(realloc(table->cell,
				   (table->cells + 1) * sizeof(char *)));
	table->cell[table->cells++] = need(text);
	defuse(text);
}

void table_size(struct table *table, uint64_t size)
{
	char room[SIZE_ROOM];

	table_cell(table, "%s", show_size(size, room));
}

static int width(const struct table *table, int column)
{
	int most = tool.noheadings ? 0 : strlen(table->headings[column]);

	for (int i = column; i < table->cells; i += table->columns)
		if (text_width(table->cell[i]) > most)
			most = text_width(table->cell[i]);
	return most;
}

#define NAME_WIDTH 8	/* of names at least, on a narrow screen */

/* Lines that are too long for the screen get shorter names. */
static void fit_screen(const struct table *table, int *widths)
{
	int screen = screen_columns(), sum = 2 * (table->columns - 1);

	for (int i = 0; i < table->columns; i++)
		sum += widths[i];
	if (screen && sum > screen && widths[0] > NAME_WIDTH)
		widths[0] = sum - screen < widths[0] - NAME_WIDTH ?
			    widths[0] - (sum - screen) : NAME_WIDTH;
}

/* What is different in long names is at the end, most of the time. */
static void print_name(const char *name, int width)
{
	int used = text_width(name);

	if (used > width)
		printf("...%s", text_skip(name, used - width + 3));
	else
		printf("%s%*s", name, width - used, "");
}

static void print_row(const struct table *table, const char *const *row,
		      const int *widths)
{
	print_name(row[0], widths[0]);
	for (int i = 1; i < table->columns; i++)
		printf("  %*s%s", widths[i] - text_width(row[i]), "", row[i]);
	putchar('\n');
}

/* How many cells fit, with a line that says that there are more. */
static int visible_cells(const struct table *table)
{
	int rows = table->cells / table->columns;
	int room = tool.live ? screen_rows() - !tool.noheadings - 2 : 0;

	return room > 0 && rows > room ? room * table->columns : table->cells;
}

void table_print(struct table *table)
{
	int *widths = need(calloc(table->columns, sizeof(*widths)));
	int cells = visible_cells(table);

	for (int i = 0; i < table->columns; i++)
		widths[i] = width(table, i);
	fit_screen(table, widths);
	/* Nothing at all, if there is nothing, is for scripts. */
	if (!tool.noheadings && (table->cells || tool.live))
		print_row(table, table->headings, widths);
	for (int i = 0; i < cells; i += table->columns)
		print_row(table, (const char *const *)table->cell + i, widths);
	if (cells < table->cells)
		printf("and %d more\n",
		       (table->cells - cells) / table->columns);
	for (int i = 0; i < table->cells; i++)
		free(table->cell[i]);
	free(table->cell);
	free(widths);
	free(table);
}
