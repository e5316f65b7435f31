// SPDX-License-Identifier: GPL-2.0
/*
 * What libmshare does, call by call, with regions and what is in them. Runs
 * with the fake, under sanitizers, and in the machine, as windows.c does: so the
 * fake is like the kernel where these look.
 */
#include "check.h"

/* ---- regions ---- */

static void create_is_complete_when_it_has_a_name(void **state)
{
	struct mshare_region *region, *other;
	struct mshare_mapping m;

	(void)state;
	region = region_of(5000);
	OK(mshare_open("check", O_RDONLY, &other));
	assert_int_equal(size_of(other), GIB);
	assert_true(mapping_at(other, 0, &m));
	assert_int_equal(m.size, 8192);
	assert_int_equal(m.prot, RW);
	assert_int_equal(m.kind, MSHAREFS_KIND_ANON);
	mshare_close(other);
	mshare_close(region);
}

static void create_refuses_a_name_that_is_taken(void **state)
{
	struct mshare_region *region = region_of(1), *other = NULL;

	(void)state;
	ERR(EEXIST, mshare_create("check", 1, 0, 0600, &other));
	assert_null(other);
	mshare_close(region);
}

static void create_heeds_mode_and_umask(void **state)
{
	mode_t old = umask(027);
	struct mshare_region *region;
	struct stat st;

	(void)state;
	OK(mshare_create("check", 1, 0, 0666, &region));
	umask(old);
	OK(fstat(mshare_fd(region), &st));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	mshare_close(region);
}

static void create_without_memory(void **state)
{
	struct mshare_region *region = region_of(0);
	struct mshare_stat stat;

	(void)state;
	OK(mshare_stat(region, &stat));
	assert_int_equal(stat.size, 0);
	assert_int_equal(stat.mappings, 0);
	mshare_close(region);
}

static void unnamed_region_gets_a_name_later(void **state)
{
	struct mshare_region *region, *other;

	(void)state;
	OK(mshare_create(NULL, MIB, 0, 0600, &region));
	ERR(ENOENT, mshare_open("check", O_RDWR, &other));
	OK(mshare_link(region, "check"));
	OK(mshare_open("check", O_RDWR, &other));
	ERR(EEXIST, mshare_link(region, "check"));
	mshare_close(other);
	mshare_close(region);
}

static void handle_from_fd_is_one_of_its_own(void **state)
{
	struct mshare_region *region = region_of(MIB), *other;
	struct mshare_stat stat;

	(void)state;
	OK(mshare_from_fd(mshare_fd(region), &other));
	mshare_close(region);
	OK(mshare_stat(other, &stat));
	assert_int_equal(stat.mappings, 1);
	assert_int_equal(fcntl(mshare_fd(other), F_GETFD), FD_CLOEXEC);
	mshare_close(other);
	ERR(EBADF, mshare_from_fd(-1, &other));
}

static void what_is_no_region_is_refused(void **state)
{
	char file[] = "/tmp/mshare-check-XXXXXX";
	struct mshare_region *region = NULL;
	int fd = mkstemp(file);

	(void)state;
	ERR(EINVAL, mshare_open("mshare_info", O_RDONLY, &region));
	ERR(EINVAL, mshare_open("/dev/null", O_RDONLY, &region));
	ERR(EINVAL, mshare_open(MSHARE_DIR, O_RDONLY, &region));
	ERR(EINVAL, mshare_open(file, O_RDWR, &region));
	ERR(EINVAL, mshare_from_fd(fd, &region));
	ERR(EINVAL, mshare_remove(file));
	assert_int_equal(access(file, F_OK), 0);
	ERR(EINVAL, mshare_create("/tmp/mshare-check", 1, 0, 0600, &region));
	assert_int_equal(access("/tmp/mshare-check", F_OK), -1);
	assert_null(region);
	close(fd);
	unlink(file);
}

static void names(void **state)
{
	char name[8192] = "";
	struct mshare_region *region;

	(void)state;
	ERR(EINVAL, mshare_open("", O_RDWR, &region));
	ERR(EINVAL, mshare_open(NULL, O_RDWR, &region));
	ERR(EINVAL, mshare_remove(NULL));
	ERR(ENOENT, mshare_open("nobody/check", O_RDWR, &region));
	ERR(ENOENT, mshare_create("nobody/check", 1, 0, 0600, &region));
	ERR(ENOENT, mshare_remove("nobody"));
	memset(name, 'x', 300);
	ERR(ENAMETOOLONG, mshare_open(name, O_RDWR, &region));
	ERR(ENAMETOOLONG, mshare_create(name, 1, 0, 0600, &region));
	memset(name, 'x', sizeof(name) - 1);
	ERR(ENAMETOOLONG, mshare_open(name, O_RDWR, &region));
	ERR(EPERM, mshare_remove("mshare_info"));

	OK(mshare_create(MSHARE_DIR "/check", 1, 0, 0600, &region));
	mshare_close(region);
	OK(mshare_remove("check"));
	ERR(ENOENT, mshare_remove("check"));
}

static void resize(void **state)
{
	struct mshare_region *region = region_of(MIB), *reader;

	(void)state;
	OK(mshare_resize(region, GIB + 1));
	assert_int_equal(size_of(region), 2 * GIB);
	OK(mshare_resize(region, 1));
	assert_int_equal(size_of(region), GIB);
	ERR(EBUSY, mshare_resize(region, 0));
	ERR(EFBIG, mshare_resize(region, 65ULL << 40));
	ERR(EFBIG, mshare_resize(region, UINT64_MAX));
	OK(mshare_open("check", O_RDONLY, &reader));
	ERR(EBADF, mshare_resize(reader, GIB));
	mshare_close(reader);
	mshare_close(region);
}

/* ---- what is mapped ---- */

static void map_takes_the_first_gap(void **state)
{
	struct mshare_region *region = region_of(0);
	uint64_t a, b, c;

	(void)state;
	OK(mshare_map(region, -1, 0, 100, RW, 0, &a));
	OK(mshare_map(region, -1, 0, 4097, PROT_READ, 0, &b));
	OK(mshare_map(region, -1, 0, 64 * KIB, RW, 0, &c));
	assert_int_equal(a, 0);
	assert_int_equal(b, 4096);
	assert_int_equal(c, 12288);
	OK(mshare_unmap(region, b, 4097));
	OK(mshare_map(region, -1, 0, 8192, RW, 0, &b));
	assert_int_equal(b, 4096);
	assert_int_equal(size_of(region), GIB);
	mshare_close(region);
}

static void map_places_large_objects_for_huge_pages(void **state)
{
	struct mshare_region *region = region_of(100);
	uint64_t at;

	(void)state;
	OK(mshare_map(region, -1, 0, 3 * MIB, RW, 0, &at));
	assert_int_equal(at, 2 * MIB);
	mshare_close(region);
}

static void map_makes_room(void **state)
{
	struct mshare_region *region = region_of(GIB - 4096);
	uint64_t at;

	(void)state;
	OK(mshare_map(region, -1, 0, 8192, RW, MAP_NORESERVE, &at));
	assert_int_equal(at, GIB - 4096);
	assert_int_equal(size_of(region), 2 * GIB);
	at = 5 * GIB;
	OK(mshare_map(region, -1, 0, 1, RW, MAP_FIXED_NOREPLACE, &at));
	assert_int_equal(size_of(region), 6 * GIB);
	mshare_close(region);
}

static void map_where_it_is_told(void **state)
{
	struct mshare_region *region = region_of(64 * KIB);
	struct mshare_mapping m;
	uint64_t at = 8192;

	(void)state;
	ERR(EEXIST, mshare_map(region, -1, 0, 1, PROT_READ,
			       MAP_FIXED_NOREPLACE, &at));
	OK(mshare_map(region, -1, 0, 1, PROT_READ, MAP_FIXED, &at));
	assert_true(mapping_at(region, 8192, &m));
	assert_int_equal(m.prot, PROT_READ);
	assert_int_equal(m.size, 4096);
	at = 100;
	ERR(EINVAL, mshare_map(region, -1, 0, 1, RW, MAP_FIXED, &at));
	at = UINT64_MAX - 4095;
	ERR(EINVAL, mshare_map(region, -1, 0, 4097, RW, MAP_FIXED, &at));
	at = 1ULL << 62;
	ERR(EFBIG, mshare_map(region, -1, 0, 1, RW, MAP_FIXED, &at));
	assert_int_equal(size_of(region), GIB);
	mshare_close(region);
}

static void map_a_file(void **state)
{
	struct mshare_region *region = region_of(0);
	int fd = memfd_create("check", MFD_CLOEXEC);
	struct mshare_mapping m;
	uint64_t at;

	(void)state;
	OK(ftruncate(fd, 64 * KIB));
	OK(mshare_map(region, fd, 4096, 10000, RW, 0, &at));
	close(fd);
	assert_true(mapping_at(region, at, &m));
	assert_int_equal(m.kind, MSHAREFS_KIND_SHMEM);
	assert_int_equal(m.object_offset, 4096);
	assert_int_equal(m.size, 12288);
	mshare_close(region);
}

/* Where the file begins a huge page, the region does. */
static void map_a_part_of_a_file_for_huge_pages(void **state)
{
	struct mshare_region *region = region_of(0);
	int fd = memfd_create("check", MFD_CLOEXEC);
	uint64_t at;

	(void)state;
	OK(ftruncate(fd, 64 * MIB));
	OK(mshare_map(region, fd, 3 * MIB, 16 * MIB, RW, 0, &at));
	assert_int_equal(at, MIB);
	close(fd);
	mshare_close(region);
}

static void map_refuses(void **state)
{
	struct mshare_region *region = region_of(0), *reader;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint64_t at = 0;

	(void)state;
	ERR(EINVAL, mshare_map(NULL, -1, 0, 1, RW, 0, &at));
	ERR(EINVAL, mshare_map(region, -1, 0, 0, RW, 0, &at));
	ERR(EINVAL, mshare_map(region, -1, 0, 1, 64, 0, &at));
	ERR(EINVAL, mshare_map(region, -1, 0, 1, RW, MAP_PRIVATE, &at));
	ERR(EINVAL, mshare_map(region, -1, 0, 1, RW, MAP_GROWSDOWN, &at));
	ERR(EINVAL, mshare_map(region, null, 0, 1, RW, MAP_ANONYMOUS, &at));
	ERR(EINVAL, mshare_map(region, -1, 0, 1, RW, MAP_FIXED, NULL));
	ERR(EINVAL, mshare_map(region, -1, 0, UINT64_MAX, RW, 0, &at));
	ERR(EFBIG, mshare_map(region, -1, 0, 1ULL << 62, RW, 0, &at));
	ERR(EBADF, mshare_map(region, -2, 0, 1, RW, 0, &at));
	ERR(EBADF, mshare_map(region, 9999, 0, 1, RW, 0, &at));
	ERR(ENODEV, mshare_map(region, null, 0, 1, RW, 0, &at));
	ERR(EINVAL, mshare_map(region, mshare_fd(region), 0, 1, RW, 0, &at));
	OK(mshare_open("check", O_RDONLY, &reader));
	ERR(EBADF, mshare_map(reader, -1, 0, 1, RW, 0, &at));
	mshare_close(reader);
	mshare_close(region);
	close(null);
}

static void ranges_end_where_their_pages_do(void **state)
{
	struct mshare_region *region = region_of(64 * KIB);
	struct mshare_mapping m;

	(void)state;
	OK(mshare_protect(region, 4096, 1, PROT_READ));
	assert_true(mapping_at(region, 4096, &m));
	assert_int_equal(m.offset, 4096);
	assert_int_equal(m.size, 4096);
	assert_int_equal(m.prot, PROT_READ);
	OK(mshare_protect(region, 4096, 4096, RW));
	OK(mshare_unmap(region, 60 * KIB, 4000));
	assert_false(mapping_at(region, 60 * KIB, &m));
	/* The page before, and what follows the last one of the region. */
	assert_true(mapping_at(region, 56 * KIB, &m));
	OK(mshare_unmap(region, 0, GIB));
	assert_false(mapping_at(region, 0, &m));
	mshare_close(region);
}

static int count(const struct mshare_mapping *m, void *arg)
{
	(void)m;
	return ++*(int *)arg == 3 ? -ECANCELED : 0;
}

static void walk_sees_all_and_can_end_early(void **state)
{
	struct mshare_region *region = region_of(64 * KIB);
	int n = 0;

	(void)state;
	OK(mshare_protect(region, 0, 4096, PROT_READ));
	OK(mshare_walk(region, count, &n));
	assert_int_equal(n, 2);
	n = 0;
	OK(mshare_protect(region, 8192, 4096, PROT_READ));
	ERR(ECANCELED, mshare_walk(region, count, &n));
	mshare_close(region);
}

static void protect_advise_lock_refuse(void **state)
{
	struct mshare_region *region = region_of(64 * KIB), *reader;

	(void)state;
	OK(mshare_open("check", O_RDONLY, &reader));
	ERR(EINVAL, mshare_protect(region, 1, 4096, RW));
	ERR(EINVAL, mshare_protect(region, 0, 0, RW));
	ERR(EINVAL, mshare_protect(region, 0, 4096, 64));
	ERR(EINVAL, mshare_protect(region, 4096, UINT64_MAX - 4096, RW));
	ERR(EINVAL, mshare_protect(region, 0, UINT64_MAX, RW));
	ERR(ENOMEM, mshare_protect(region, 0, MIB, RW));
	ERR(EBADF, mshare_protect(reader, 0, 4096, RW));
	ERR(EINVAL, mshare_unmap(region, 4096, UINT64_MAX - 4096));
	ERR(EBADF, mshare_unmap(reader, 0, 4096));
	OK(mshare_advise(region, 0, 1, MADV_WILLNEED));
	ERR(EINVAL, mshare_advise(region, 0, 1, MADV_WIPEONFORK));
	ERR(EBADF, mshare_advise(reader, 0, 1, MADV_WILLNEED));
	ERR(EINVAL, mshare_lock(region, 0, 1, 2));
	ERR(EBADF, mshare_lock(reader, 0, 1, 0));
	mshare_close(reader);
	mshare_close(region);
}

static void locked_memory_is_counted(void **state)
{
	struct mshare_region *region = region_of(64 * KIB);
	struct mshare_stat stat;

	(void)state;
	OK(mshare_lock(region, 0, 10000, MSHAREFS_LOCK_ONFAULT));
	OK(mshare_stat(region, &stat));
	assert_int_equal(stat.locked, 12288);
	OK(mshare_unlock(region, 0, 10000));
	OK(mshare_stat(region, &stat));
	assert_int_equal(stat.locked, 0);
	mshare_close(region);
}

static void no_handle(void **state)
{
	struct mshare_region *region;
	struct mshare_stat stat;
	uint64_t unit;

	(void)state;
	mshare_close(NULL);
	ERR(EINVAL, mshare_fd(NULL));
	ERR(EINVAL, mshare_link(NULL, "check"));
	ERR(EINVAL, mshare_resize(NULL, 1));
	ERR(EINVAL, mshare_unmap(NULL, 0, 1));
	ERR(EINVAL, mshare_protect(NULL, 0, 1, RW));
	ERR(EINVAL, mshare_advise(NULL, 0, 1, 0));
	ERR(EINVAL, mshare_lock(NULL, 0, 1, 0));
	ERR(EINVAL, mshare_unlock(NULL, 0, 1));
	ERR(EINVAL, mshare_info(NULL, (struct mshare_info *)&stat));
	ERR(EINVAL, mshare_stat(NULL, &stat));
	ERR(EINVAL, mshare_walk(NULL, count, NULL));
	ERR(EINVAL, mshare_create("check", 1, 0, 0600, NULL));
	ERR(EINVAL, mshare_create("check", 1, MAP_FIXED, 0600, &region));
	ERR(EINVAL, mshare_create("check", 1, MAP_PRIVATE, 0600, &region));
	ERR(EINVAL, mshare_open("check", O_WRONLY, &region));
	ERR(EINVAL, mshare_open("check", O_RDWR | O_CREAT, &region));
	ERR(EINVAL, mshare_open("check", O_RDWR, NULL));
	ERR(EINVAL, mshare_from_fd(0, NULL));
	ERR(EINVAL, mshare_unit(NULL));
	OK(mshare_probe());
	OK(mshare_unit(&unit));
	assert_int_equal(unit, GIB);
	ERR(ENOENT, mshare_open("check", O_RDWR, &region));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(create_is_complete_when_it_has_a_name),
		CHECK(create_refuses_a_name_that_is_taken),
		CHECK(create_heeds_mode_and_umask),
		CHECK(create_without_memory),
		CHECK(unnamed_region_gets_a_name_later),
		CHECK(handle_from_fd_is_one_of_its_own),
		CHECK(what_is_no_region_is_refused),
		CHECK(names),
		CHECK(resize),
		CHECK(map_takes_the_first_gap),
		CHECK(map_places_large_objects_for_huge_pages),
		CHECK(map_makes_room),
		CHECK(map_where_it_is_told),
		CHECK(map_a_file),
		CHECK(map_a_part_of_a_file_for_huge_pages),
		CHECK(map_refuses),
		CHECK(ranges_end_where_their_pages_do),
		CHECK(walk_sees_all_and_can_end_early),
		CHECK(protect_advise_lock_refuse),
		CHECK(locked_memory_is_counted),
		CHECK(no_handle),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
