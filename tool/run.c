// SPDX-License-Identifier: GPL-2.0
/* mshare run: a program with the preload. Becomes the program, as env(1) does. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define LIBRARY	"libmshare-preload.so"

/* What it exits with when there is no program to do so. */
enum {
	RUN_FAILED = 125,
	NOT_EXECUTABLE = 126,
	NOT_FOUND = 127,
};

/* From here: where it is built, and where packages have it. */
static const char *const places[] = {
	"preload/" LIBRARY,
	"../lib/" LIBRARY,
	"../lib64/" LIBRARY,
	"../lib/x86_64-linux-gnu/" LIBRARY,
};

static int find_library(char *path)
{
	char self[PATH_MAX], try[2 * PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return -errno;
	self[len] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(try, sizeof(try), "%s/%s", self, places[i]);
		if (realpath(try, path))
			return 0;
	}
	return -ENOENT;
}

/* Before others that are preloaded already. */
static int set_preload(void)
{
	const char *others = getenv("LD_PRELOAD") ?: "";
	char path[PATH_MAX], *list;
	int err = find_library(path);

	if (err)
		return failed(err, LIBRARY, "");
	/* What the dynamic loader takes for two names. */
	if (strpbrk(path, ": \t\n")) {
		complain("%s: no colon or space may be in it", path);
		return FAILED;
	}
	if (asprintf(&list, "%s%s%s", path, *others ? ":" : "", others) < 0)
		return failed(-ENOMEM, "run", "");
	err = setenv("LD_PRELOAD", list, 1);
	free(list);
	return err ? failed(-errno, "LD_PRELOAD", "") : DONE;
}

static void set(const char *name, const char *value)
{
	char variable[64];

	snprintf(variable, sizeof(variable), "MSHARE_PRELOAD_%s", name);
	if (setenv(variable, value, 1))
		exit(failed(-errno, variable, "") ? RUN_FAILED : 0);
}

static void set_min_size(const char *text)
{
	char number[32];
	uint64_t size;

	if (parse_size(text, &size))
		exit(usage_error("%s: not a size, 64M is one", text));
	snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	set("MIN_SIZE", number);
}

static void set_option(int c)
{
	switch (c) {
	case 'r':
		set("REQUIRE", "1");
		break;
	case 'm':
		set_min_size(optarg);
		break;
	case 'o':
		if (!*optarg)
			exit(usage_error("--only needs the name of a program"));
		set("ONLY", optarg);
		break;
	case 'f':
		set("FILES", "1");
		break;
	case 's':
		set("SYSV", "1");
		break;
	case 'd':
		set("DEEPBIND", "1");
		break;
	case 'v':
		set("VERBOSE", "1");
		break;
	}
}

int cmd_run(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "require", no_argument, NULL, 'r' },
		{ "min-size", required_argument, NULL, 'm' },
		{ "only", required_argument, NULL, 'o' },
		{ "files", no_argument, NULL, 'f' },
		{ "sysv", no_argument, NULL, 's' },
		{ "deepbind", no_argument, NULL, 'd' },
		{ "verbose", no_argument, NULL, 'v' },
		{ }
	};
	int c;

	/* 1 to 4 are the program's. */
	tool.usage = RUN_FAILED;
	while ((c = tool_option(argc, argv, "+rm:o:fsdv", longs)) != -1)
		set_option(c);
	if (optind == argc)
		return usage_error("a program is needed");
	if (*tool.dir != '/')
		return usage_error("%s: not a path from /", tool.dir);
	if (strcmp(tool.dir, MSHARE_DIR))
		set("DIR", tool.dir);
	if (set_preload())
		return RUN_FAILED;
	execvp(argv[optind], argv + optind);
	c = errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	failed(-errno, argv[optind], "");
	return c;
}
