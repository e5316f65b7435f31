// SPDX-License-Identifier: GPL-2.0
/* mshare: regions of memory with shared page tables, on the command line */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct tool tool = { .dir = MSHARE_DIR, .usage = USAGE };

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *help;
} commands[] = {
	{ "run", cmd_run, "[-r] [-m SIZE] [-o EXE[:EXE...]] [-f] [-s] [-d] [-v] [--] PROGRAM [ARGUMENTS]",
	  "run a program with shared page tables, of its shared memory" },
	{ "create", cmd_create, "[-m MODE] [-p] [-l] [-N] [-H] REGION [SIZE]",
	  "make a region, with SIZE of memory in it" },
	{ "ls", cmd_ls, "", "list regions" },
	{ "show", cmd_show, "REGION", "what is mapped in a region, and its use" },
	{ "stat", cmd_stat, "[-w [SECONDS]] [-c COUNT] [REGION...]",
	  "use, faults and flushes; -w: again and again" },
	{ "map", cmd_map,
	  "[-f FILE] [-o OFFSET] [-a AT] [-P PROT] [-r] [-p] [-l] [-N] [-H] REGION SIZE",
	  "map memory or a file into a region, say where" },
	{ "unmap", cmd_unmap, "REGION AT SIZE", "unmap part of a region" },
	{ "protect", cmd_protect, "REGION AT SIZE PROT",
	  "change protection for all processes" },
	{ "rm", cmd_rm, "[-f] REGION...", "remove regions" },
	{ "mount", cmd_mount, "[-o OPTIONS] [DIRECTORY]", "mount msharefs" },
	{ "doctor", cmd_doctor, "", "say what is missing to use mshare" },
	{ "estimate", cmd_estimate, "[--proc DIRECTORY] PID... | --all",
	  "what page tables cost programs now, and what sharing would save" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option common[] = {
	{ "json", no_argument, NULL, 'J' },
	{ "bytes", no_argument, NULL, 'b' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "mount", required_argument, NULL, 'D' },
	{ "help", no_argument, NULL, 'h' },
};

#define COMMON (sizeof(common) / sizeof(common[0]))
#define MAX_OPTIONS 32

static const struct command *running;

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void help(void)
{
	printf("usage: mshare COMMAND [options] ARGUMENTS\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\n"
	       "  -J, --json         print JSON\n"
	       "  -b, --bytes        print sizes in bytes\n"
	       "  -n, --noheadings   print no headings\n"
	       "  -D, --mount DIR    where msharefs is mounted (" MSHARE_DIR ")\n"
	       "  -h, --help         this text; after a command, about it\n"
	       "  -V, --version      version\n\n"
	       "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no mshare in this kernel or not\n"
	       "mounted, 4 no such region; run: the program's. See mshare(1).\n");
}

static void command_help(void)
{
	printf("usage: mshare %s [-J] [-b] [-n] [-D DIR] %s\n%s.\n",
	       running->name, running->arguments, running->help);
}

int usage_error(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	if (tool.command)
		complain("%s: %s (mshare %s --help)", tool.command, text,
			 tool.command);
	else
		complain("%s (mshare --help)", text);
	free(text);
	return tool.usage;
}

/*
 * The next option that is the command's own, -1 at the end. Those that all have
 * are dealt with here, mistakes too. With + at the beginning of @shorts options
 * end at the first argument.
 */
int tool_option(int argc, char **argv, const char *shorts,
		const struct option *longs)
{
	struct option all[MAX_OPTIONS] = { };
	bool in_order = *shorts == '+';
	char all_shorts[64];
	size_t n = 0;
	int c;

	while (longs && longs->name && n < MAX_OPTIONS - COMMON - 1)
		all[n++] = *longs++;
	memcpy(all + n, common, sizeof(common));
	snprintf(all_shorts, sizeof(all_shorts), "%s:JbnD:h%s",
		 in_order ? "+" : "", shorts + in_order);
	for (;;) {
		c = getopt_long(argc, argv, all_shorts, all, NULL);
		switch (c) {
		case 'J':
			tool.json = true;
			break;
		case 'b':
			tool.bytes = true;
			break;
		case 'n':
			tool.noheadings = true;
			break;
		case 'D':
			tool.dir = optarg;
			break;
		case 'h':
			command_help();
			exit(DONE);
		case ':':
			exit(usage_error("%s needs a value", argv[optind - 1]));
		case '?':
			if (optopt && strchr(all_shorts, optopt))
				exit(usage_error("%s: takes no value",
						 argv[optind - 1]));
			if (optopt)
				exit(usage_error("-%c: not an option", optopt));
			exit(usage_error("%s: not an option", argv[optind - 1]));
		default:
			return c;
		}
	}
}

static int first_option(const char *arg)
{
	if (!strcmp(arg, "-h") || !strcmp(arg, "--help") || !strcmp(arg, "help"))
		help();
	else if (!strcmp(arg, "-V") || !strcmp(arg, "--version"))
		printf("mshare " MSHARE_VERSION "\n");
	else if (arg[0] == '-')
		return usage_error("%s: the command comes first", arg);
	else
		return usage_error("%s: not a command", arg);
	return DONE;
}

/* What could not be written was not done. */
static int close_output(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		complain("output: %m");
		return status ?: FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	opterr = 0;
	if (argc < 2)
		return usage_error("a command is needed");
	running = find_command(argv[1]);
	if (!running)
		return close_output(first_option(argv[1]));
	tool.command = running->name;
	return close_output(running->run(argc - 1, argv + 1));
}
