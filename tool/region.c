// SPDX-License-Identifier: GPL-2.0
/* mshare: regions by their names, and all there are */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "tool.h"

/* Names are those of the library, but below --mount. */
int region_path(const char *name, char *path)
{
	int len;

	if (!*name)
		return -EINVAL;
	len = snprintf(path, MAX_NAME, "%s%s%s", *name == '/' ? "" : tool.dir,
		       *name == '/' ? "" : "/", name);
	return len < MAX_NAME ? 0 : -ENAMETOOLONG;
}

/* Says what is wrong. Returns what to exit with. */
int open_region(const char *name, int oflags, struct mshare_region **region)
{
	char path[MAX_NAME];
	int err;

	err = region_path(name, path);
	if (!err)
		err = mshare_open(path, oflags, region);
	if (err == -ENOENT) {
		complain("%s: no such region", name);
		return NO_REGION;
	}
	if (err == -EINVAL) {
		complain("%s: not a region", name);
		return FAILED;
	}
	return err ? failed(err, name, "cannot be opened") : DONE;
}

/* What tables of their own would take that processes share now. */
uint64_t saved_tables(const struct mshare_stat *stat)
{
	return stat->processes > 1 ? stat->page_tables * (stat->processes - 1) :
				     0;
}

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/*
 * One path for all levels: others can make directories as deep as a path is
 * long.
 */
struct visit {
	char path[2 * MAX_NAME];
	size_t root;		/* length of what is before names of regions */
	region_fn fn;
	void *arg;
};

static int visit_dir(struct visit *visit, size_t len);

static int visit_entry(struct visit *visit, size_t len)
{
	const char *name = visit->path + visit->root;
	struct stat st;

	/* It may be gone already. */
	if (len >= MAX_NAME || lstat(visit->path, &st))
		return DONE;
	if (S_ISDIR(st.st_mode))
		return visit_dir(visit, len);
	return strcmp(name, "mshare_info") ? visit->fn(name, visit->arg) : DONE;
}

/* @len: of the path, which is a directory. */
static int visit_dir(struct visit *visit, size_t len)
{
	int n, status = DONE;
	struct dirent **list;

	n = scandir(visit->path, &list, visible, compare);
	if (n < 0) {
		/* A directory below that is gone, or not ours to read. */
		if (len >= visit->root && (errno == ENOENT || errno == EACCES))
			return DONE;
		return failed(-errno, visit->path, "cannot be listed");
	}
	for (int i = 0; i < n; i++) {
		if (status == DONE) {
			snprintf(visit->path + len, MAX_NAME, "/%s",
				 list[i]->d_name);
			status = visit_entry(visit, strlen(visit->path));
			visit->path[len] = 0;
		}
		free(list[i]);
	}
	free(list);
	return status;
}

static int visit_all(region_fn fn, void *arg)
{
	struct visit visit = { .fn = fn, .arg = arg };
	size_t len = strlen(tool.dir);

	if (len >= MAX_NAME - 1)
		return failed(-ENAMETOOLONG, tool.dir, "cannot be listed");
	memcpy(visit.path, tool.dir, len);
	visit.root = len + 1;
	return visit_dir(&visit, len);
}

/* Calls @fn for each region in order of names. Returns what to exit with. */
int each_region(region_fn fn, void *arg)
{
	int missing = mshare_probe();
	struct statfs fs;

	if (missing == -ENOSYS || !strcmp(tool.dir, MSHARE_DIR)) {
		if (missing)
			return failed(missing, tool.dir, "");
	} else if (statfs(tool.dir, &fs)) {
		return failed(-errno, tool.dir, "cannot be listed");
	} else if (fs.f_type != MSHAREFS_MAGIC) {
		complain("%s: not a mount of msharefs", tool.dir);
		return NO_MSHARE;
	}
	return visit_all(fn, arg);
}
