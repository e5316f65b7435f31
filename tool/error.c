// SPDX-License-Identifier: GPL-2.0
/* mshare: errors in words, and exit statuses */
#include <errno.h>
#include <string.h>

#include "tool.h"

static const char *reason(int err)
{
	switch (-err) {
	case EFBIG:
		return "too large for a region";
	case EHWPOISON:
		return "memory error";
	}
	return strerror(-err);
}

/*
 * "mshare: OBJECT: WHAT: reason", one line. @err is a negative errno; returns
 * what to exit with. What all of msharefs lacks comes before anything else.
 */
int failed(int err, const char *object, const char *what)
{
	int missing = err == -ENOSYS || err == -ENODEV ? mshare_probe() : 0;

	if (missing == -ENOSYS) {
		complain("%s: this kernel has no mshare", object);
		return NO_MSHARE;
	}
	if (missing == -ENODEV && !strcmp(tool.dir, MSHARE_DIR)) {
		complain("%s: msharefs is not mounted (mshare mount)", object);
		return NO_MSHARE;
	}
	complain("%s: %s%s%s", object, what, *what ? ": " : "", reason(err));
	return FAILED;
}
