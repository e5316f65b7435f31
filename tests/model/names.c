// SPDX-License-Identifier: GPL-2.0
/* What a trace calls the variables of struct memory, and their values. */
#include <stdio.h>

#include "model.h"

static const char *const leaves[] = {
	"a", "b", "c", "own", "a by 2", "b by 2"
};

static const char *const mms[] = { "P", "Q", "init", "SWITCHING", "nothing" };

static const char *const regions[] = { "X", "Y", "Z" };

static const char *const links[] = { "X", "Y", "Z", "X by 2" };

static const char *const attachments[] = { "X", "Y", "Z", "X again" };

static const char *const digits[] = { "0", "1", "2" };

static const char *const calls[] = {
	"done", "note", "flush", "flush all", "flush the process"
};

#define NAMES(var, many, outer, inner, values)				\
	{ #var, offsetof(struct memory, var),				\
	  sizeof(((struct memory *)NULL)->var), many, outer, inner, values }

/* @inner: names of the second index, of which there are @many, if there is. */
static const struct {
	const char *name;
	size_t start;
	size_t size;
	u8 many;
	const char *const *outer;
	const char *const *inner;
	const char *const *values;
} vars[] = {
	NAMES(leaf, 1, leaves, NULL, NULL),
	NAMES(table, 1, regions, NULL, NULL),
	NAMES(link, NR_LINKS, mms, links, NULL),
	NAMES(generation, 1, regions, NULL, NULL),
	NAMES(tlb_gen, 1, mms, NULL, NULL),
	NAMES(flag, 1, mms, NULL, NULL),
	NAMES(cpumask, 1, mms, NULL, NULL),
	NAMES(list, 1, mms, NULL, NULL),
	NAMES(seen, NR_ATTACHMENTS, mms, attachments, NULL),
	NAMES(step, NR_ATTACHMENTS, mms, attachments, NULL),
	NAMES(lock, NR_ATTACHMENTS, mms, attachments, NULL),
	NAMES(shown, NR_ATTACHMENTS, mms, attachments, NULL),
	NAMES(loaded_mm, 1, digits, NULL, mms),
	NAMES(is_lazy, 1, digits, NULL, NULL),
	NAMES(noted_mm, 1, digits, NULL, mms),
	NAMES(sequence, 1, digits, NULL, NULL),
	NAMES(noted_nr, 1, digits, NULL, NULL),
	NAMES(noted, NR_REGIONS, digits, digits, regions),
	NAMES(call, MAX_CPUS, digits, digits, calls),
};

static size_t find(size_t var)
{
	size_t i = 0;

	while (var - vars[i].start >= vars[i].size)
		i++;
	return i;
}

const char *name_of(size_t var)
{
	static char name[40];
	size_t i = find(var), at = var - vars[i].start;

	if (vars[i].inner)
		snprintf(name, sizeof(name), "%s[%s][%s]", vars[i].name,
			 vars[i].outer[at / vars[i].many],
			 vars[i].inner[at % vars[i].many]);
	else
		snprintf(name, sizeof(name), "%s[%s]", vars[i].name,
			 vars[i].outer[at]);
	return name;
}

static const char *name_of_list(u8 list)
{
	static char text[40];
	int len = 0;

	if (!list)
		return "empty";
	for (; list; list = rest(list))
		len += snprintf(text + len, sizeof(text) - len, "%s%s",
				len ? ", " : "", attachments[first(list)]);
	return text;
}

const char *value_of(size_t var, u8 value)
{
	static char number[4];
	size_t i = find(var);

	if (vars[i].values)
		return vars[i].values[value];
	if (vars[i].start == VAR(list))
		return name_of_list(value);
	if (value == LOADED_ANY)
		return "ANY";
	snprintf(number, sizeof(number), "%u", value);
	return number;
}

const char *leaves_of(u8 set)
{
	static char text[40];
	int i, len = 0;

	for (i = 0; i < NR_CACHED; i++)
		if (set & BIT(i))
			len += snprintf(text + len, sizeof(text) - len, "%s%s",
					len ? ", " : "", leaves[i]);
	return text;
}
