// SPDX-License-Identifier: GPL-2.0
/* The preload's table of pieces, against a map with a byte for each page. */
#include "preload_test.h"

#define PAGES	600
#define AT	(1UL << 40)

static char model[PAGES];

static uintptr_t at(int page)
{
	return AT + page * PRELOAD_PAGE;
}

static int clean(void **state)
{
	(void)state;
	table_cut(0, UINTPTR_MAX);
	memset(model, 0, sizeof(model));
	return 0;
}

static void same(void)
{
	for (int i = 0; i < PAGES; i++)
		assert_int_equal(model[i], table_has(at(i), at(i + 1)));
}

/* Never more pieces than there is room for: every other page of 500. */
static void random_cuts(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		clean(NULL);
		assert_true(table_insert(at(50), at(550), 0));
		memset(model + 50, 1, 500);
		for (int i = 0; i < 60; i++) {
			int from = rand_r(&seed) % PAGES;
			int n = rand_r(&seed) % (round % 40 + 1);

			n = from + n > PAGES ? PAGES - from : n;
			table_cut(at(from), at(from + n));
			memset(model + from, 0, n);
		}
		same();
	}
}

static void pieces_side_by_side(void **state)
{
	(void)state;
	assert_true(table_insert(at(0), at(2), 0));
	assert_true(table_insert(at(2), at(4), 0));
	assert_true(table_find(at(1))->end == at(2));
	assert_true(table_find(at(2))->start == at(2));
	assert_null(table_find(at(4)));
	table_cut(at(1), at(3));
	assert_false(table_has(at(1), at(3)));
	assert_true(table_has(at(0), at(1)));
	assert_true(table_has(at(3), at(4)));
	assert_true(table_may_have(at(3), at(4)));
	assert_false(table_may_have(0, 4096));
}

/* When a piece cannot be two, none of it that is in use is lost. */
static void full(void **state)
{
	(void)state;
	for (int i = 0; i < PRELOAD_PIECES; i++)
		assert_true(table_insert(at(2 * i), at(2 * i) + 3, 0));
	assert_false(table_insert(1, 2, 0));
	table_cut(at(2) + 1, at(2) + 2);
	assert_true(table_has(at(2), at(2) + 1));
	assert_true(table_has(at(2) + 2, at(2) + 3));
	table_cut(at(4), at(5));
	assert_true(table_insert(1, 2, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(random_cuts, clean),
		cmocka_unit_test_setup(pieces_side_by_side, clean),
		cmocka_unit_test_setup(full, clean),
	};

	return cmocka_run_group_tests_name("table", tests, start, NULL);
}
