// SPDX-License-Identifier: GPL-2.0
/* mshare doctor: what there is and what is missing, in plain words */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tool.h"

#define ADVICE_INDENT 14

struct report {
	struct json_object *checks;
	int status;
};

/* In lines that fit the screen, below what was found. */
static void print_advice(const char *advice)
{
	int room = screen_columns() - ADVICE_INDENT;
	int len, cut;

	for (; *advice; advice += cut + strspn(advice + cut, " ")) {
		len = strlen(advice);
		cut = len;
		if (room > 0 && len > room) {
			for (cut = room; cut && advice[cut] != ' '; cut--)
				;
			if (!cut)
				cut = strcspn(advice, " ");
		}
		printf("%*s%.*s\n", ADVICE_INDENT, "", cut, advice);
	}
}

/* One finding. @advice is what to do about it; NULL: it is as it should be. */
static void say(struct report *report, const char *check, const char *found,
		const char *advice)
{
	struct json_object *line;

	if (!tool.json) {
		printf("%-4s %-8s %s\n", advice ? "BAD" : "ok", check, found);
		print_advice(advice ?: "");
		return;
	}
	line = json_object_new_object();
	json_text(line, "check", check);
	json_object_object_add(line, "ok", json_object_new_boolean(!advice));
	json_text(line, "found", found);
	if (advice)
		json_text(line, "advice", advice);
	json_object_array_add(report->checks, line);
}

static void bad(struct report *report, int status, const char *check,
		const char *found, const char *advice)
{
	say(report, check, found, advice);
	report->status = report->status ?: status;
}

static bool check_kernel(struct report *report)
{
	int probe = mshare_probe();

	if (probe == -ENOSYS) {
		bad(report, NO_MSHARE, "kernel", "this kernel has no mshare",
		    "Boot a kernel with CONFIG_MSHAREFS=y. If this one has it, sysfs is not mounted here.");
		return false;
	}
	say(report, "kernel", "it has mshare", NULL);
	if (probe == -ENODEV) {
		bad(report, NO_MSHARE, "mount",
		    "msharefs is not mounted on " MSHARE_DIR,
		    "As root: mshare mount");
		return false;
	}
	if (probe) {
		bad(report, NO_MSHARE, "mount", strerror(-probe),
		    "Directories above " MSHARE_DIR " have to be accessible.");
		return false;
	}
	return true;
}

static void check_mount(struct report *report)
{
	char text[128], total[SIZE_ROOM], avail[SIZE_ROOM];
	struct statfs fs;

	if (statfs(MSHARE_DIR, &fs)) {
		bad(report, FAILED, "mount", strerror(errno), "");
		return;
	}
	if (!fs.f_blocks) {
		say(report, "mount", "it is there, without a limit (size=0)",
		    NULL);
		return;
	}
	snprintf(text, sizeof(text), "it is there, %s of %s are free",
		 show_size((uint64_t)fs.f_bavail * fs.f_bsize, avail),
		 show_size((uint64_t)fs.f_blocks * fs.f_bsize, total));
	if (fs.f_bavail)
		say(report, "mount", text, NULL);
	else
		bad(report, FAILED, "mount", text,
		    "Remove regions, or as root: mount -o remount,size=SIZE "
		    MSHARE_DIR);
}

static const char *why_not(int err)
{
	switch (-err) {
	case EACCES:
	case EPERM:
		return MSHARE_DIR " has to be writable: see the mount options mode=, uid=, gid=.";
	case ENOSPC:
		return "There are too many regions: see the mount option nr_inodes=.";
	case EROFS:
		return "As root: mount -o remount,rw " MSHARE_DIR;
	case EMFILE:
	case ENFILE:
		return "Too many files are open.";
	}
	return "See mshare(1).";
}

/* By a system call: a store where there is no memory would be SIGBUS. */
static bool use_page(void *page)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool used = fd >= 0 && read(fd, page, 1) == 1;

	if (fd >= 0)
		close(fd);
	return used;
}

/* The way of a program, with a region that nobody sees. */
static void check_region(struct report *report)
{
	struct mshare_window *window;
	struct mshare_region *region;
	int err;

	err = mshare_create(NULL, 4096, 0, 0600, &region);
	if (err) {
		bad(report, FAILED, "create", strerror(-err), why_not(err));
		return;
	}
	say(report, "create", "regions can be created", NULL);
	err = mshare_attach(region, NULL, 0, 0, PROT_READ | PROT_WRITE, 0,
			    &window);
	if (err) {
		bad(report, FAILED, "attach", strerror(-err),
		    err == -ENOMEM ? "The limit of address space is too low: ulimit -v" :
				     "See mshare(1).");
	} else {
		say(report, "attach", "and attached", NULL);
		if (use_page(mshare_window_addr(window)))
			say(report, "memory", "and used", NULL);
		else
			bad(report, FAILED, "memory", "there is none",
			    "The mount, see size=, or the memory cgroup is full.");
		mshare_detach(window);
	}
	mshare_close(region);
}

/* What does not prevent anything, and may be a surprise later. */
static void check_limits(struct report *report)
{
	struct rlimit limit;
	char mode[8] = "";
	int fd;

	if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY)
		say(report, "limit", "ulimit -v: windows count for it, in whole GiB",
		    NULL);
	fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, mode, sizeof(mode) - 1) > 0 && mode[0] == '2')
		say(report, "limit", "vm.overcommit_memory is 2: memory in regions counts, windows do not",
		    NULL);
	close(fd);
}

int cmd_doctor(int argc, char **argv)
{
	struct report report = { .status = DONE };
	struct json_object *root = NULL;

	tool_option(argc, argv, "", NULL);
	if (optind < argc)
		return usage_error("%s: no arguments are needed", argv[optind]);
	if (tool.json) {
		root = json_new();
		report.checks = json_object_new_array();
	}
	if (check_kernel(&report)) {
		check_mount(&report);
		check_region(&report);
		check_limits(&report);
	}
	if (tool.json) {
		json_object_object_add(root, "usable",
				       json_object_new_boolean(!report.status));
		json_object_object_add(root, "checks", report.checks);
		json_print(root);
	}
	return report.status;
}
