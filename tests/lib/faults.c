// SPDX-License-Identifier: GPL-2.0
/*
 * Each call that libmshare makes fails once, with the fake. What was asked for
 * then fails with that error and leaves nothing behind, or it does not matter
 * and the rest is done. Lost memory, the sanitizer finds.
 */
#include "check.h"
#include "fake.h"

#define ERROR	EL2HLT	/* nothing here returns it by itself */

/* Address space that is mapped, in lines of the list. */
static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, "/m/");
	fclose(f);
	return n;
}

/*
 * Runs @fn with the first, second, ... call failing until there is none left.
 * @fn gives back what it got when it succeeds. Returns how many there were.
 */
static int fail_each(int (*fn)(void))
{
	int files = open_files(), maps = mappings(), n = 0, err;
	bool failed;

	do {
		fake_fail(++n, ERROR);
		err = fn();
		failed = fake_failed();
		fake_fail(0, 0);
		if (err && (err != -ERROR && err != -ENOMEM && err != -ENOSYS))
			fail_msg("call %d: %s", n, strerror(-err));
		if (err && !failed)
			fail_msg("without a fault: %s", strerror(-err));
		assert_int_equal(files, open_files());
		assert_int_equal(maps, mappings());
	} while (failed);
	return n - 1;
}

static bool exists(void)
{
	struct mshare_region *region;
	int err = mshare_open("check", O_RDONLY, &region);

	if (!err)
		mshare_close(region);
	return !err;
}

static int try_create(void)
{
	struct mshare_region *region = NULL;
	int err = mshare_create("check", MIB, 0, 0600, &region);

	fake_fail(0, ERROR);
	assert_int_equal(!err, exists());
	assert_int_equal(!err, !!region);
	if (err)
		return err;
	mshare_close(region);
	return mshare_remove("check");
}

static void create(void **state)
{
	(void)state;
	/* open, check, handle, place, grow, map, link */
	assert_true(fail_each(try_create) >= 7);
}

static int try_open(void)
{
	struct mshare_region *region = NULL;
	int err = mshare_open("check", O_RDWR, &region);

	mshare_close(region);
	return err;
}

static void open_region(void **state)
{
	(void)state;
	mshare_close(region_of(MIB));
	assert_true(fail_each(try_open) >= 4);
}

static struct mshare_region *given;

static int try_from_fd(void)
{
	struct mshare_region *region = NULL;
	int err = mshare_from_fd(mshare_fd(given), &region);

	mshare_close(region);
	return err;
}

static int try_attach(void)
{
	struct mshare_window *window = NULL;
	int err = mshare_attach(given, NULL, 0, 0, RW, 0, &window);

	if (err) {
		assert_null(window);
		return err;
	}
	fake_fail(0, 0);
	return mshare_detach(window);
}

static int try_map(void)
{
	uint64_t at = 0;
	int err = mshare_map(given, -1, 0, GIB, RW, 0, &at);

	fake_fail(0, 0);
	return err ? err : mshare_unmap(given, at, GIB);
}

static int try_protect(void)
{
	return mshare_protect(given, 0, 1, PROT_READ);
}

static int count(const struct mshare_mapping *m, void *arg)
{
	(void)m;
	++*(int *)arg;
	return 0;
}

static int try_look(void)
{
	struct mshare_stat stat;
	struct mshare_info info;
	int n = 0, err;

	err = mshare_info(given, &info);
	if (!err)
		err = mshare_stat(given, &stat);
	return err ? err : mshare_walk(given, count, &n);
}

static int try_resize(void)
{
	return mshare_resize(given, GIB);
}

static void with_a_handle(void **state)
{
	(void)state;
	given = region_of(MIB);
	assert_true(fail_each(try_from_fd) >= 4);
	assert_true(fail_each(try_attach) >= 3);
	assert_true(fail_each(try_map) >= 4);
	assert_true(fail_each(try_protect) >= 2);
	assert_true(fail_each(try_look) >= 4);
	assert_true(fail_each(try_resize) >= 1);
	mshare_close(given);
}

/* When it cannot be unmapped, the window is still there, and so is its handle. */
static void detach(void **state)
{
	struct mshare_region *region = region_of(MIB);
	struct mshare_window *window = window_of(region);

	(void)state;
	fake_fail(1, ERROR);
	ERR(ERROR, mshare_detach(window));
	fake_fail(0, 0);
	*(char *)mshare_window_addr(window) = 1;
	OK(mshare_detach(window));
	mshare_close(region);
}

static int try_classic(void)
{
	int err = mshare("check", NULL, MIB, O_RDWR | O_CREAT, 0600);

	fake_fail(0, ERROR);
	assert_int_equal(!err, exists());
	return err ? err : mshare_unlink("check");
}

static int try_classic_again(void)
{
	struct mshare_region *region;
	struct mshare_info info;
	int err = mshare("check", NULL, MIB, O_RDWR, 0);

	fake_fail(0, ERROR);
	if (err)
		return err;
	OK(mshare_open("check", O_RDWR, &region));
	OK(mshare_info(region, &info));
	mshare_close(region);
	return munmap((void *)(uintptr_t)info.start, GIB);
}

static void classic(void **state)
{
	(void)state;
	assert_true(fail_each(try_classic) >= 8);
	mshare_close(region_of(MIB));
	assert_true(fail_each(try_classic_again) >= 6);
}

/* ---- others in between ---- */

static void others_map(void)
{
	uint64_t at;

	OK(mshare_map(given, -1, 0, GIB + 1, RW, 0, &at));
	OK(mshare_map(given, -1, 0, 1, RW, 0, &at));
}

static void others_grow(void)
{
	OK(mshare_resize(given, 64 * GIB));
}

static int total(const struct mshare_mapping *m, void *sum)
{
	*(uint64_t *)sum += m->size;
	return 0;
}

/*
 * Whatever others do between which two calls, nothing is lost or in the way:
 * in the end there are @size bytes of room, and @memory in it.
 */
static void map_despite(void (*others)(void), uint64_t size, uint64_t memory)
{
	bool came = true;

	for (int n = 1; came; n++) {
		uint64_t at, sum = 0;
		int err;

		given = region_of(0);
		fake_intrude(n, others);
		err = mshare_map(given, -1, 0, GIB, RW, 0, &at);
		came = fake_failed();
		fake_intrude(0, NULL);
		OK(err);
		OK(mshare_walk(given, total, &sum));
		assert_int_equal(sum, came ? memory : GIB);
		assert_true(size_of(given) >= (came ? size : GIB));
		mshare_close(given);
		OK(mshare_remove("check"));
		assert_true(came || n > 4);
	}
}

static void others_in_between(void **state)
{
	(void)state;
	map_despite(others_map, 3 * GIB, 2 * GIB + 8192);
	map_despite(others_grow, 64 * GIB, GIB);
}

static char link_path[64], other_dir[64], other_file[80];

/* The path leads to a file that is not in msharefs now. */
static void others_lead_elsewhere(void)
{
	OK(unlink(link_path));
	OK(symlink(other_dir, link_path));
}

static void remove_removes_regions_only(void **state)
{
	char dir[] = "/tmp/mshare-XXXXXX", name[80];
	bool came = true;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(link_path, sizeof(link_path), "%s/link", dir);
	snprintf(other_dir, sizeof(other_dir), "%s/other", dir);
	snprintf(other_file, sizeof(other_file), "%s/check", other_dir);
	snprintf(name, sizeof(name), "%s/check", link_path);
	OK(mkdir(other_dir, 0700));
	fd = open(other_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int n = 1; came; n++) {
		mshare_close(region_of(MIB));
		OK(symlink(getenv("MSHARE_FAKE_DIR"), link_path));
		fake_intrude(n, others_lead_elsewhere);
		mshare_remove(name);
		came = fake_failed();
		fake_intrude(0, NULL);
		OK(access(other_file, F_OK));
		OK(unlink(link_path));
		mshare_remove("check");
		assert_true(came || n > 3);
	}
	OK(unlink(other_file));
	OK(rmdir(other_dir));
	OK(rmdir(dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(create),
		CHECK(open_region),
		CHECK(with_a_handle),
		CHECK(detach),
		CHECK(classic),
		CHECK(others_in_between),
		CHECK(remove_removes_regions_only),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
