// SPDX-License-Identifier: GPL-2.0
/* mshare: tables. The first column is text, the others are numbers. */
#include <ctype.h>
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
	fprintf(stderr, "mshare: out of memory\n");
	exit(FAILED);
}

struct table *table_new(const char *const *headings, int columns)
{
	struct table *table = need(calloc(1, sizeof(*table)));

	table->headings = headings;
	table->columns = columns;
	return table;
}

/* Names are chosen by others, who may want to play with the terminal. */
static void defuse(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
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
		if ((int)strlen(table->cell[i]) > most)
			most = strlen(table->cell[i]);
	return most;
}

static void print_row(const struct table *table, const char *const *row,
		      const int *widths)
{
	printf("%-*s", widths[0], row[0]);
	for (int i = 1; i < table->columns; i++)
		printf("  %*s", widths[i], row[i]);
	putchar('\n');
}

void table_print(struct table *table)
{
	int *widths = need(calloc(table->columns, sizeof(*widths)));

	for (int i = 0; i < table->columns; i++)
		widths[i] = width(table, i);
	if (!tool.noheadings && table->cells)
		print_row(table, table->headings, widths);
	for (int i = 0; i < table->cells; i += table->columns)
		print_row(table, (const char *const *)table->cell + i, widths);
	for (int i = 0; i < table->cells; i++)
		free(table->cell[i]);
	free(table->cell);
	free(widths);
	free(table);
}
