// SPDX-License-Identifier: GPL-2.0
/* The preload: its variables, and which calls are for it. */
#include "preload_test.h"

static const char *variable, *value;

static const char *get(const char *name)
{
	return variable && !strcmp(name, variable) ? value : NULL;
}

static struct preload_config with(const char *exe, const char *name,
				  const char *text)
{
	struct preload_config config;

	variable = name;
	value = text;
	preload_configure(&config, exe, get);
	return config;
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "64k", 64 << 10 },
		{ "64K", 64 << 10 }, { "1M", 1 << 20 }, { "1MiB", 1 << 20 },
		{ "2GB", 2ULL << 30 }, { "3T", 3ULL << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = {
		"", "x", "-1", "+1", " 1", "1 ", "1X", "1KK", "1Ki", "K", "0x10",
		"1.5G", "18446744073709551616", "18446744073709551615K",
		"16777216T",
	};
	uint64_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(preload_parse_size(good[i].text, &size));
		assert_true(size == good[i].size);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(preload_parse_size(bad[i], &size));
}

static void nothing_is_set(void **state)
{
	struct preload_config config = with("/bin/x", NULL, NULL);

	(void)state;
	assert_true(config.on);
	assert_false(config.require || config.files || config.sysv ||
		     config.deepbind || config.verbose);
	assert_true(config.min_size == PRELOAD_MIN_SIZE);
	assert_string_equal(config.dir, "/sys/fs/mshare");
	assert_null(config.bad);
}

static void flags(void **state)
{
	(void)state;
	assert_true(with("x", "MSHARE_PRELOAD_REQUIRE", "1").require);
	assert_false(with("x", "MSHARE_PRELOAD_REQUIRE", "0").require);
	assert_false(with("x", "MSHARE_PRELOAD_REQUIRE", "").require);
	assert_true(with("x", "MSHARE_PRELOAD_FILES", "1").files);
	assert_true(with("x", "MSHARE_PRELOAD_SYSV", "1").sysv);
	assert_true(with("x", "MSHARE_PRELOAD_DEEPBIND", "1").deepbind);
	assert_true(with("x", "MSHARE_PRELOAD_VERBOSE", "1").verbose);
	/* Who means to require it gets it, and is told. */
	assert_true(with("x", "MSHARE_PRELOAD_REQUIRE", "yes").require);
	assert_string_equal(with("x", "MSHARE_PRELOAD_REQUIRE", "yes").bad,
			    "MSHARE_PRELOAD_REQUIRE");
	assert_string_equal(with("x", "MSHARE_PRELOAD_MIN_SIZE", "x").bad,
			    "MSHARE_PRELOAD_MIN_SIZE");
	assert_string_equal(with("x", "MSHARE_PRELOAD_DIR", "x").bad,
			    "MSHARE_PRELOAD_DIR");
	assert_null(with("x", "MSHARE_PRELOAD_DIR", "/x").bad);
}

/* The server may write over its environment. */
static void directory_is_copied(void **state)
{
	char dir[] = "/one";
	struct preload_config config = with("x", "MSHARE_PRELOAD_DIR", dir);

	(void)state;
	memset(dir, 'x', sizeof(dir) - 1);
	assert_string_equal(config.dir, "/one");
}

static bool on(const char *only, const char *exe)
{
	return with(exe, "MSHARE_PRELOAD_ONLY", only).on;
}

static void only_these_programs(void **state)
{
	(void)state;
	assert_true(on("", "/bin/a"));
	assert_true(on("a", "/bin/a"));
	assert_true(on("b:a", "/bin/a"));
	assert_true(on("/bin/a", "/bin/a"));
	assert_true(on("::a:", "/bin/a"));
	assert_false(on("b", "/bin/a"));
	assert_false(on("ab", "/bin/a"));
	assert_false(on("a", "/bin/ab"));
	assert_false(on("/bin", "/bin/a"));
	assert_false(on("/sbin/a", "/bin/a"));
	assert_false(on("a", ""));
}

static bool eligible(const void *addr, size_t len, int prot, int flags)
{
	struct preload_config config = { .on = true, .min_size = MIB };

	return preload_eligible(&config, addr, len, prot, flags, 0);
}

static void calls_for_it(void **state)
{
	void *at = (void *)UNIT;

	(void)state;
	assert_true(eligible(NULL, MIB, RW, AREA));
	assert_true(eligible(NULL, MIB, RW, AREA | MAP_NORESERVE | MAP_POPULATE));
	assert_true(eligible(at, MIB, RW, AREA | MAP_FIXED_NOREPLACE));
	assert_false(eligible(NULL, MIB - 1, RW, AREA));
	assert_false(eligible(NULL, 0, RW, AREA));
	assert_false(eligible(NULL, MIB, PROT_READ, AREA));
	assert_false(eligible(NULL, MIB, PROT_NONE, AREA));
	assert_false(eligible(NULL, MIB, RW | PROT_EXEC, AREA));
	assert_false(eligible(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS));
	assert_false(eligible(NULL, MIB, RW, MAP_SHARED));
	assert_false(eligible(NULL, MIB, RW, AREA | MAP_HUGETLB));
	assert_false(eligible(NULL, MIB, RW, AREA | MAP_HUGETLB | 21 << 26));
	assert_false(eligible(NULL, MIB, RW, AREA | MAP_LOCKED));
	assert_true(eligible(NULL, MIB, RW, AREA | MAP_32BIT));
	assert_true(eligible(NULL, PRELOAD_32BIT, RW, AREA | MAP_32BIT));
	assert_false(eligible(NULL, PRELOAD_32BIT + 1, RW, AREA | MAP_32BIT));
	assert_false(eligible(at, MIB, RW, AREA | MAP_32BIT));
	assert_false(eligible(NULL, MIB, RW, AREA | MAP_GROWSDOWN));
	assert_false(eligible(at, MIB, RW, AREA | MAP_FIXED));
	assert_false(eligible(NULL, MIB, RW, AREA | MAP_FIXED_NOREPLACE));
}

/* No minimum is no reason to take what mmap(2) refuses. */
static void no_minimum(void **state)
{
	struct preload_config config = { .on = true, .min_size = 0 };

	(void)state;
	assert_false(preload_eligible(&config, NULL, 0, RW, AREA, 0));
	assert_true(preload_eligible(&config, NULL, 1, RW, AREA, 0));
	assert_false(preload_eligible(&config, NULL, 1, RW, AREA, 1));
	config.on = false;
	assert_false(preload_eligible(&config, NULL, 1, RW, AREA, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(nothing_is_set),
		cmocka_unit_test(flags),
		cmocka_unit_test(directory_is_copied),
		cmocka_unit_test(only_these_programs),
		cmocka_unit_test(calls_for_it),
		cmocka_unit_test(no_minimum),
	};

	return cmocka_run_group_tests_name("config", tests, start, NULL);
}
