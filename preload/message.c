// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare-preload: what it says on standard error */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

static struct stat at_start;
static bool had_stderr;
static atomic_flag said = ATOMIC_FLAG_INIT;

void message_init(void)
{
	had_stderr = !fstat(STDERR_FILENO, &at_start);
}

/* A server may have closed it, and have data there now. */
static bool is_stderr(void)
{
	struct stat now;

	return had_stderr && !fstat(STDERR_FILENO, &now) &&
	       now.st_dev == at_start.st_dev && now.st_ino == at_start.st_ino;
}

static char *put(char *to, const char *end, const char *text)
{
	while (*text && to < end)
		*to++ = *text++;
	return to;
}

static char *put_number(char *to, const char *end, uint64_t number)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = 0;
	do {
		*--at = '0' + number % 10;
		number /= 10;
	} while (number);
	return put(to, end, at);
}

/* Without the signal that the program would die of, if nobody reads. */
static void tell(const char *line, size_t len)
{
	const struct timespec now = { };
	sigset_t pipe, pending, old;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	sigpending(&pending);
	if (write(STDERR_FILENO, line, len) < 0 && errno == EPIPE &&
	    !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* "mshare: preload: [LEN bytes: ]WHAT: WHY" in one write(2). */
void message(size_t len, const char *what, const char *why)
{
	char line[512], *at = line, *end = line + sizeof(line) - 1;
	int saved = errno;

	at = put(at, end, "mshare: preload: ");
	if (len) {
		at = put_number(at, end, len);
		at = put(at, end, " bytes: ");
	}
	at = put(at, end, what);
	at = put(at, end, ": ");
	at = put(at, end, why);
	*at++ = '\n';
	if (is_stderr())
		tell(line, at - line);
	errno = saved;
}

void message_once(size_t len, const char *what, const char *why)
{
	if (!atomic_flag_test_and_set(&said))
		message(len, what, why);
}

/* Not strerror(3), which may translate and so allocate. */
const char *message_reason(int err)
{
	const char *text;

	switch (-err) {
	case ENOSYS:
		return "this kernel has no mshare";
	case ENODEV:
		return "msharefs is not mounted";
	case ENOSPC:
		return "not enough room in msharefs";
	case ENOLINK:
		return "CAP_CHECKPOINT_RESTORE is needed for segments";
	case ENOBUFS:
		return "too many pieces of memory";
	}
	text = strerrordesc_np(-err);
	return text ? text : "failed";
}
