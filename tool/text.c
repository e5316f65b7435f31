// SPDX-License-Identifier: GPL-2.0
/*
 * mshare: text that others chose, and the screen
 *
 * Names of regions are anybody's to choose. On a terminal they must neither be
 * commands nor more than one line, and JSON has to be UTF-8.
 */
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "tool.h"

/*
 * Bytes of the character that @text begins with, and the character. 0: it is not
 * UTF-8, whatever the user's locale is.
 */
static size_t character(const char *text, wchar_t *c)
{
	static locale_t utf8;
	mbstate_t state = { };
	size_t len;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	if (utf8)
		uselocale(utf8);
	len = mbrtowc(c, text, strlen(text), &state);
	return len > MB_LEN_MAX ? 0 : len;
}

/* Puts ? in place of what a terminal could take for a command. */
void defuse(char *text)
{
	size_t len;
	wchar_t c;

	for (; *text; text += len ? len : 1) {
		len = character(text, &c);
		if (!len || iswcntrl(c))
			memset(text, '?', len ? len : 1);
	}
}

/* A copy in which what is not UTF-8 is the replacement character. */
char *valid_utf8(const char *text)
{
	char *copy = malloc(3 * strlen(text) + 1), *to = copy;
	size_t len;
	wchar_t c;

	if (!copy)
		return NULL;
	for (; *text; text += len ? len : 1) {
		len = character(text, &c);
		to = mempcpy(to, len ? text : "\xef\xbf\xbd", len ? len : 3);
	}
	*to = 0;
	return copy;
}

/* Columns of the character that defused @text begins with, and its bytes. */
static int columns_of(const char *text, size_t *len)
{
	wchar_t c = 0;
	int width;

	*len = character(text, &c);
	width = *len ? wcwidth(c) : 1;
	*len = *len ? *len : 1;
	return width < 0 ? 1 : width;
}

/* Columns that it takes, after defuse(). */
int text_width(const char *text)
{
	int width = 0;
	size_t len;

	for (; *text; text += len)
		width += columns_of(text, &len);
	return width;
}

/* The end of @text, without its first @columns. */
const char *text_skip(const char *text, int columns)
{
	size_t len;

	for (; *text && columns > 0; text += len)
		columns -= columns_of(text, &len);
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

/* As vasprintf(3); there is always something to say. For free(3). */
char *format_text(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) >= 0)
		return text;
	fputs("mshare: out of memory\n", stderr);
	exit(FAILED);
}

/* Says what is wrong: one line, whatever is in it. */
void complain(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	defuse(text);
	fprintf(stderr, "mshare: %s\n", text);
	free(text);
}
