// SPDX-License-Identifier: GPL-2.0
/* mshare create, mshare rm */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tool.h"

static int parse_mode(const char *text, mode_t *mode)
{
	char *end;
	unsigned long value = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || value > 07777)
		return -EINVAL;
	*mode = value;
	return 0;
}

int cmd_create(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "populate", no_argument, NULL, 'p' },
		{ "lock", no_argument, NULL, 'l' },
		{ "noreserve", no_argument, NULL, 'N' },
		{ "hugetlb", no_argument, NULL, 'H' },
		{ }
	};
	struct mshare_region *region;
	char path[MAX_NAME];
	mode_t mode = 0600;
	uint64_t size = 0;
	int c, err, flags = 0;

	while ((c = tool_option(argc, argv, "m:plNH", longs)) != -1) {
		if (c != 'm')
			flags |= memory_flag(c);
		else if (parse_mode(optarg, &mode))
			return usage_error("%s: not a mode, 0660 is one",
					   optarg);
	}
	if (argc - optind < 1 || argc - optind > 2)
		return usage_error("one region and at most one size are needed");
	if (argc - optind == 2 && parse_size(argv[optind + 1], &size))
		return usage_error("%s: not a size, 64M is one", argv[optind + 1]);
	if (flags && !size)
		return usage_error("without a size there is no memory to %s",
				   "populate, lock, reserve or be huge");

	err = region_path(argv[optind], path);
	if (!err)
		err = mshare_create(path, size, flags, mode, &region);
	if (err)
		return failed(err, argv[optind], "cannot be created");
	mshare_close(region);
	return DONE;
}

int cmd_rm(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "force", no_argument, NULL, 'f' },
		{ }
	};
	bool force = false;
	int c, err, this, status = DONE;
	char path[MAX_NAME];

	while ((c = tool_option(argc, argv, "f", longs)) != -1)
		force = c == 'f';
	if (optind == argc)
		return usage_error("a region is needed");
	for (; optind < argc; optind++) {
		err = region_path(argv[optind], path);
		if (!err)
			err = mshare_remove(path);
		if (!err || (force && err == -ENOENT))
			continue;
		this = FAILED;
		if (err == -ENOENT) {
			complain("%s: no such region", argv[optind]);
			this = NO_REGION;
		} else if (err == -EINVAL) {
			complain("%s: not a region", argv[optind]);
		} else {
			this = failed(err, argv[optind], "cannot be removed");
		}
		status = status ?: this;
	}
	return status;
}
