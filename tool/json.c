// SPDX-License-Identifier: GPL-2.0
/* mshare: JSON. Keys are snake_case, sizes integers in bytes. */
#include <stdlib.h>

#include "tool.h"

/* The outermost object: its version changes when keys change their meaning. */
struct json_object *json_new(void)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "version", json_object_new_int(1));
	return object;
}

void json_text(struct json_object *to, const char *key, const char *value)
{
	char *text = valid_utf8(value);

	json_object_object_add(to, key, json_object_new_string(text ?: ""));
	free(text);
}

void json_number(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

void json_print(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
