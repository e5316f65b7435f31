// SPDX-License-Identifier: GPL-2.0
/* mshare: sizes as people write and read them; units are powers of 1024 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tool.h"

static const char units[] = "BKMGTPE";

/* What follows the number: nothing, B, K, KB, KiB, ... -1: something else. */
static int parse_unit(const char *text)
{
	const char *unit;

	if (!*text)
		return 0;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit || !*unit)
		return -1;
	text++;
	if (unit != units && *text && strcasecmp(text, "B") &&
	    strcasecmp(text, "iB"))
		return -1;
	if (unit == units && *text)
		return -1;
	return unit - units;
}

/* Digits after the point, in 2^-10 ... of the unit: exact enough for bytes. */
static int parse_fraction(const char **text, int shift, uint64_t *bytes)
{
	uint64_t digits = 0, scale = 1;

	*bytes = 0;
	if (**text != '.')
		return 0;
	++*text;
	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	for (; isdigit((unsigned char)**text); ++*text) {
		if (scale < 1000000000) {
			digits = digits * 10 + (**text - '0');
			scale *= 10;
		}
	}
	if (shift)
		*bytes = (uint64_t)(((__uint128_t)digits << shift) / scale);
	return 0;
}

int parse_size(const char *text, uint64_t *size)
{
	const char *end = text;
	uint64_t whole, fraction;
	const char *unit;
	char *after;
	int order;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		errno = 0;
		*size = strtoull(text, &after, 16);
		return after == text + 2 || *after ? -EINVAL : -errno;
	}
	errno = 0;
	whole = strtoull(text, &after, 10);
	if (errno)
		return -errno;
	end = after;
	unit = end + (*end == '.') + strspn(end + (*end == '.'), "0123456789");
	order = parse_unit(unit);
	if (order < 0 || parse_fraction(&end, order * 10, &fraction))
		return -EINVAL;
	/* No part of a byte. */
	if (!order && unit != after)
		return -EINVAL;
	if (whole > UINT64_MAX >> (order * 10))
		return -ERANGE;
	*size = (whole << (order * 10)) + fraction;
	return 0;
}

/* In the largest unit in which it is at least 1, with one decimal below 10. */
const char *show_size(uint64_t size, char *room)
{
	int order = 0;

	if (tool.bytes) {
		snprintf(room, SIZE_ROOM, "%llu", (unsigned long long)size);
		return room;
	}
	while (order < 6 && size >> (order * 10 + 10))
		order++;
	if (!order) {
		snprintf(room, SIZE_ROOM, "%llu B", (unsigned long long)size);
		return room;
	}
	if (size % (1ULL << (order * 10)))
		snprintf(room, SIZE_ROOM, "%.1f %ciB",
			 (double)size / (1ULL << (order * 10)), units[order]);
	else
		snprintf(room, SIZE_ROOM, "%llu %ciB",
			 (unsigned long long)size >> (order * 10), units[order]);
	return room;
}
