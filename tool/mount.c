// SPDX-License-Identifier: GPL-2.0
/* mshare mount */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "tool.h"

int cmd_mount(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "options", required_argument, NULL, 'o' },
		{ }
	};
	const char *dir, *options = NULL;
	int c, missing = mshare_probe();

	while ((c = tool_option(argc, argv, "o:", longs)) != -1)
		options = optarg;
	if (argc - optind > 1)
		return usage_error("one directory is enough");
	dir = argc > optind ? argv[optind] : tool.dir;
	if (missing == -ENOSYS)
		return failed(missing, dir, "");
	/* Another one would hide the regions of the first. */
	if (!missing && !strcmp(dir, MSHARE_DIR)) {
		complain("%s: msharefs is mounted already", dir);
		return FAILED;
	}
	if (!mount("msharefs", dir, "msharefs", MS_NOSUID | MS_NODEV, options))
		return DONE;
	if (errno == EINVAL && options) {
		complain("%s: cannot be mounted: wrong options: %s",
			 dir, options);
		return FAILED;
	}
	return failed(-errno, dir, "cannot be mounted");
}
