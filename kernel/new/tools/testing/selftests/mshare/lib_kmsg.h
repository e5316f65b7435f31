/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel has said since a test began. */
#ifndef MSHARE_LIB_KMSG_H
#define MSHARE_LIB_KMSG_H

/* The log from here on, or -errno. */
static inline int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* The line of the log with @what in it, without what is before that. */
static inline char *kmsg_line(const char *log, const char *what)
{
	static char line[1024];
	const char *at = strstr(log, what);

	if (!at)
		return NULL;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static inline char *kmsg_read(int fd)
{
	static char text[1 << 17];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 9000 &&
	       ((n = read(fd, text + len, 8192)) > 0 ||
		(n < 0 && errno == EPIPE)))
		len += n > 0 ? n : 0;
	text[len] = 0;
	return text;
}

static inline long number_after(const char *line, const char *what)
{
	const char *at = line ? strstr(line, what) : NULL;

	return at ? strtol(at + strlen(what), NULL, 10) : -1;
}

#endif
