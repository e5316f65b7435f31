/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of mshare share. Each command is a file of its own. */
#ifndef TOOL_H
#define TOOL_H

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>
#include <mshare.h>

/* What the tool exits with. */
enum {
	DONE = 0,
	FAILED = 1,
	USAGE = 2,
	NO_MSHARE = 3,
	NO_REGION = 4,
};

#define MAX_NAME	4096

/* main.c: options that all commands have, and those of one */
extern struct tool {
	bool json;
	bool bytes;
	bool noheadings;
	bool live;		/* the screen is all ours */
	const char *dir;	/* where msharefs is mounted */
	const char *command;
	int usage;		/* what wrong usage exits with */
} tool;

int tool_option(int argc, char **argv, const char *shorts,
		const struct option *longs);
int usage_error(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* error.c */
int failed(int err, const char *object, const char *what);

/* text.c */
char *format_text(const char *format, va_list args);
void complain(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void defuse(char *text);
char *valid_utf8(const char *text);
int text_width(const char *text);
const char *text_skip(const char *text, int columns);
int screen_columns(void);
int screen_rows(void);

/* size.c: 4096, 64k, 1.5G, 2TiB */
int parse_size(const char *text, uint64_t *size);
const char *show_size(uint64_t size, char *room);
#define SIZE_ROOM 32

/* prot.c: r, rw, rx, rwx, none */
int parse_prot(const char *text, int *prot);
const char *show_prot(unsigned int prot);
int memory_flag(int letter);	/* p, l, N, H: MAP_* */

/* region.c */
int region_path(const char *name, char *path);
int open_region(const char *name, int oflags, struct mshare_region **region);
uint64_t saved_tables(const struct mshare_stat *stat);
typedef int (*region_fn)(const char *name, void *arg);
int each_region(region_fn fn, void *arg);

/* table.c: columns of text */
struct table;
struct table *table_new(const char *const *headings, int columns);
void table_cell(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void table_size(struct table *table, uint64_t size);
void table_print(struct table *table);

/* json.c */
struct json_object *json_new(void);
void json_text(struct json_object *to, const char *key, const char *value);
void json_number(struct json_object *to, const char *key, uint64_t value);
void json_print(struct json_object *object);

int cmd_create(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_unmap(int argc, char **argv);
int cmd_protect(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_mount(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_estimate(int argc, char **argv);
int cmd_run(int argc, char **argv);

#endif
