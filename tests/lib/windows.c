// SPDX-License-Identifier: GPL-2.0
/* Windows, and the interface of the first proposal, which gives them only. */
#include "check.h"

static void window_shows_the_memory(void **state)
{
	struct mshare_region *region = region_of(5000);
	struct mshare_window *one = window_of(region), *two;
	char *p = mshare_window_addr(one);

	(void)state;
	assert_int_equal(mshare_window_size(one), GIB);
	memcpy(p + 4900, "hello", 6);
	OK(mshare_attach(region, NULL, 4096, 900, PROT_READ, 0, &two));
	assert_int_equal(mshare_window_size(two), 900);
	assert_ptr_not_equal(p + 4096, mshare_window_addr(two));
	assert_string_equal((char *)mshare_window_addr(two) + 804, "hello");
	mshare_close(region);
	OK(mshare_detach(one));
	assert_string_equal((char *)mshare_window_addr(two) + 804, "hello");
	OK(mshare_detach(two));
}

static void windows_are_at_the_same_address(void **state)
{
	struct mshare_region *region = region_of(GIB + 1);
	struct mshare_window *window = window_of(region), *other;
	char *p = mshare_window_addr(window);
	struct mshare_info info;

	(void)state;
	OK(mshare_info(region, &info));
	assert_ptr_equal((void *)(uintptr_t)info.start, p);
	ERR(EEXIST, mshare_attach(region, NULL, 0, 0, RW, MSHARE_FIXED, &other));
	ERR(EEXIST, mshare_attach(region, p, 0, 0, RW, MSHARE_FIXED, &other));
	OK(mshare_detach(window));
	OK(mshare_attach(region, NULL, 0, 0, RW, MSHARE_FIXED, &window));
	assert_ptr_equal(mshare_window_addr(window), p);
	OK(mshare_detach(window));
	OK(mshare_attach(region, NULL, GIB + 4096, 100, RW, 0, &window));
	assert_ptr_equal(mshare_window_addr(window), p + GIB + 4096);
	OK(mshare_detach(window));
	OK(mshare_attach(region, p + 4096, 4096, 100, RW, MSHARE_FIXED, &window));
	assert_ptr_equal(mshare_window_addr(window), p + 4096);
	OK(mshare_detach(window));
	mshare_close(region);
}

static void attach_refuses(void **state)
{
	struct mshare_region *region = region_of(0), *reader;
	struct mshare_window *w = NULL;

	(void)state;
	ERR(EINVAL, mshare_attach(region, NULL, 0, 0, RW, 0, &w));
	OK(mshare_resize(region, 1));
	ERR(EINVAL, mshare_attach(region, NULL, GIB, 0, RW, 0, &w));
	ERR(EINVAL, mshare_attach(region, NULL, 0, GIB + 1, RW, 0, &w));
	ERR(EINVAL, mshare_attach(region, NULL, 1, GIB, RW, 0, &w));
	ERR(EINVAL, mshare_attach(region, NULL, 0, UINT64_MAX, RW, 0, &w));
	ERR(EINVAL, mshare_attach(region, NULL, UINT64_MAX, 2, RW, 0, &w));
	ERR(EINVAL, mshare_attach(region, NULL, 0, 0, RW, 2, &w));
	ERR(EINVAL, mshare_attach(region, (void *)4096, 0, 0, RW, MSHARE_FIXED,
				  &w));
	ERR(EINVAL, mshare_attach(region, NULL, 0, 0, RW, 0, NULL));
	ERR(EINVAL, mshare_attach(NULL, NULL, 0, 0, RW, 0, &w));
	OK(mshare_open("check", O_RDONLY, &reader));
	ERR(EACCES, mshare_attach(reader, NULL, 0, 0, RW, 0, &w));
	assert_null(w);
	ERR(EINVAL, mshare_detach(NULL));
	assert_null(mshare_window_addr(NULL));
	assert_int_equal(mshare_window_size(NULL), 0);
	mshare_close(reader);
	mshare_close(region);
}

/* ---- the first proposal ---- */

/* Free in every process, with AddressSanitizer, too. */
#define AT	((char *)(32ULL << 40))

static void classic_creates_once(void **state)
{
	(void)state;
	ERR(ENOENT, mshare("check", AT, 5000, O_RDWR, 0));
	OK(mshare("check", AT, 5000, O_RDWR | O_CREAT | O_EXCL, 0600));
	memcpy(AT, "hello", 6);
	ERR(EEXIST, mshare("check", AT + GIB, 1, O_RDWR | O_CREAT | O_EXCL,
			   0600));
	/* A second window of the same. */
	OK(mshare("check", AT + GIB, 1, O_RDWR | O_CREAT, 0600));
	assert_string_equal(AT + GIB, "hello");
	/* One that is in the way, at the right place and a wrong one. */
	ERR(EEXIST, mshare("check", AT, 5000, O_RDWR, 0));
	ERR(EINVAL, mshare("check", AT + 4096, 5000, O_RDWR, 0));
	OK(munmap(AT, GIB));
	OK(munmap(AT + GIB, GIB));
}

static void classic_leaves_nothing_when_it_fails(void **state)
{
	struct mshare_region *region;

	(void)state;
	ERR(EINVAL, mshare("check", AT + 1, 5000, O_RDWR | O_CREAT, 0600));
	ERR(ENOENT, mshare_open("check", O_RDWR, &region));
	ERR(EINVAL, mshare("check", AT, 0, O_RDWR | O_CREAT, 0600));
	ERR(EINVAL, mshare("check", AT, 1, O_WRONLY | O_CREAT, 0600));
	ERR(EINVAL, mshare("check", AT, 1, O_RDWR | O_TRUNC, 0600));
	ERR(EINVAL, mshare(NULL, AT, 1, O_RDWR | O_CREAT, 0600));
	ERR(ENOENT, mshare_unlink("check"));
}

/* The address is taken, not the name: trying again would go on for ever. */
static void classic_where_something_is(void **state)
{
	struct mshare_region *region;

	(void)state;
	assert_ptr_equal(AT, mmap(AT, GIB, PROT_NONE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_NORESERVE |
				  MAP_FIXED_NOREPLACE, -1, 0));
	ERR(EEXIST, mshare("check", AT, 5000, O_RDWR | O_CREAT, 0600));
	ERR(ENOENT, mshare_open("check", O_RDWR, &region));
	OK(munmap(AT, GIB));
}

static void classic_at_an_address_of_its_choice(void **state)
{
	struct mshare_region *region;
	struct mshare_info info;

	(void)state;
	OK(mshare("check", NULL, 5000, O_RDWR | O_CREAT, 0600));
	OK(mshare_open("check", O_RDWR, &region));
	OK(mshare_info(region, &info));
	*(char *)(uintptr_t)info.start = 1;
	OK(munmap((void *)(uintptr_t)info.start, GIB));
	mshare_close(region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(window_shows_the_memory),
		CHECK(windows_are_at_the_same_address),
		CHECK(attach_refuses),
		CHECK(classic_creates_once),
		CHECK(classic_leaves_nothing_when_it_fails),
		CHECK(classic_where_something_is),
		CHECK(classic_at_an_address_of_its_choice),
	};

	return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
