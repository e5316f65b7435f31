// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel without msharefs, or where it is not mounted: every call says so.
 *
 *	absent ENOSYS|ENODEV
 */
#include "check.h"

static int missing;

static int none(const struct mshare_mapping *m, void *arg)
{
	(void)m;
	(void)arg;
	return 0;
}

static void probe(void **state)
{
	uint64_t unit;

	(void)state;
	ERR(missing, mshare_probe());
	ERR(missing, mshare_unit(&unit));
}

static void what_takes_a_name(void **state)
{
	struct mshare_region *region = NULL;

	(void)state;
	ERR(missing, mshare_create("check", MIB, 0, 0600, &region));
	ERR(missing, mshare_create(NULL, MIB, 0, 0600, &region));
	ERR(missing, mshare_create(MSHARE_DIR "/check", 1, 0, 0600, &region));
	ERR(missing, mshare_create("a/b", MIB, 0, 0600, &region));
	ERR(missing, mshare_open("check", O_RDWR, &region));
	ERR(missing, mshare_open("mshare_info", O_RDONLY, &region));
	ERR(missing, mshare_open("a/b", O_RDONLY, &region));
	ERR(missing, mshare_remove("check"));
	ERR(missing, mshare("check", NULL, MIB, O_RDWR | O_CREAT, 0600));
	ERR(missing, mshare_unlink("check"));
	assert_null(region);
}

/* Somewhere else: with a kernel that has msharefs it is just no region. */
static void what_is_elsewhere(void **state)
{
	struct mshare_region *region = NULL;
	int other = missing == ENOSYS ? ENOSYS : EINVAL;

	(void)state;
	ERR(other, mshare_open("/dev/null", O_RDONLY, &region));
	ERR(other, mshare_create("/tmp/mshare-check", 1, 0, 0600, &region));
	ERR(other, mshare_remove("/dev/null"));
	ERR(other, mshare_from_fd(0, &region));
	assert_null(region);
}

static void bad_arguments(void **state)
{
	struct mshare_region *region;
	uint64_t at;

	(void)state;
	ERR(EINVAL, mshare_open(NULL, O_RDWR, &region));
	ERR(EINVAL, mshare_create("", 1, 0, 0600, &region));
	ERR(EINVAL, mshare_map(NULL, -1, 0, 1, RW, 0, &at));
	ERR(EINVAL, mshare_walk(NULL, none, NULL));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe),
		cmocka_unit_test(what_takes_a_name),
		cmocka_unit_test(what_is_elsewhere),
		cmocka_unit_test(bad_arguments),
	};

	if (argc != 2)
		return 2;
	missing = strcmp(argv[1], "ENODEV") ? ENOSYS : ENODEV;
	return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
