// SPDX-License-Identifier: GPL-2.0
/*
 * mshare: text that others chose, and the screen
 *
 * Names of regions are anybody's to choose. On a terminal they must neither be
 * commands nor more than one line, and JSON has to be UTF-8.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool.h"

static bool continues(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that @text begins with. 0: it is not UTF-8. */
static size_t utf8_length(const char *text, unsigned int *code)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	size_t len = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 :
		     *s < 0xf0 ? 3 : *s < 0xf8 ? 4 : 0;

	*code = len < 2 ? *s : *s & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if (!continues(s[i]))
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (len && (*code < least[len] || *code > 0x10ffff ||
		    (*code >= 0xd800 && *code < 0xe000)))
		return 0;
	return len;
}

/* Puts ? in place of what a terminal could take for a command. */
void defuse(char *text)
{
	unsigned int code;
	size_t len;

	for (; *text; text += len ? len : 1) {
		len = utf8_length(text, &code);
		if (!len || code < 0x20 || (code >= 0x7f && code < 0xa0))
			memset(text, '?', len ? len : 1);
	}
}

/* A copy in which what is not UTF-8 is the replacement character. */
char *valid_utf8(const char *text)
{
	char *copy = malloc(3 * strlen(text) + 1), *to = copy;
	unsigned int code;
	size_t len;

	if (!copy)
		return NULL;
	for (; *text; text += len ? len : 1) {
		len = utf8_length(text, &code);
		to = mempcpy(to, len ? text : "\xef\xbf\xbd", len ? len : 3);
	}
	*to = 0;
	return copy;
}

/* Columns that it takes, after defuse(). */
int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += !continues(*text);
	return width;
}

/* The end of @text, without its first @columns. */
const char *text_skip(const char *text, int columns)
{
	while (*text && (columns > 0 || continues(*text)))
		columns -= !continues(*text++);
	return text;
}

/* Of the terminal that output goes to; 0 where it goes elsewhere. */
int screen_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

int screen_rows(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_row;
}

/* Says what is wrong: one line, whatever is in it. */
void complain(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0) {
		fputs("mshare: out of memory\n", stderr);
		return;
	}
	defuse(text);
	fprintf(stderr, "mshare: %s\n", text);
	free(text);
}
