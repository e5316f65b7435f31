// SPDX-License-Identifier: GPL-2.0
/*
 * Who may do what: an access has to be permitted by the window and by the
 * mapping, a mapping never gets more than its object was opened for, and
 * changing a region takes a file that is open for writing.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

CONTAINER_FIXTURE(rights)

/* What an access gives where window and mapping have these protections. */
static int expected(int window, int mapping)
{
	int both = window & mapping;

	return CAN(both & PROT_READ ? 0 : ACCERR,
		   both & PROT_WRITE ? 0 : ACCERR);
}

TEST_F(rights, window_and_mapping)
{
	const int prot[] = { PROT_NONE, PROT_READ, RW };
	struct peer p = peer_start(_metadata);
	char *win[ARRAY_SIZE(prot)];
	long other[ARRAY_SIZE(prot)];
	const size_t unit = self->unit;

	for (size_t w = 0; w < ARRAY_SIZE(prot); w++) {
		win[w] = mmap(NULL, unit, prot[w], MAP_SHARED, self->fd, unit);
		ASSERT_NE(MAP_FAILED, win[w]);
		other[w] = peer_mmap(&p, NULL, unit, prot[w], self->fd, unit);
		ASSERT_LT(0, other[w]);
	}
	for (size_t m = 0; m < ARRAY_SIZE(prot); m++) {
		ASSERT_EQ(0, region_map(self->fd, unit + m * 2 * PAGE,
					2 * PAGE, prot[m], ANON, -1, 0));
	}
	/* Before anything is resident, and after; the second page. */
	for (int round = 0; round < 2; round++) {
		for (size_t w = 0; w < ARRAY_SIZE(prot); w++) {
			for (size_t m = 0; m < ARRAY_SIZE(prot); m++) {
				size_t at = (2 * m + round) * PAGE;
				int want = expected(prot[w], prot[m]);

				EXPECT_EQ(want, access_of(win[w] + at)) {
					TH_LOG("window %d, mapping %d",
					       prot[w], prot[m]);
				}
				EXPECT_EQ(want, peer_call(&p, op_access,
							  other[w] + at));
			}
		}
		ASSERT_EQ(0, region_advise(self->fd, unit + 2 * PAGE, 4 * PAGE,
					   MADV_POPULATE_READ));
	}
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(rights, protect)
{
	const int prot[] = { PROT_NONE, PROT_READ, RW };
	struct peer p = peer_start(_metadata);
	const size_t unit = self->unit;
	char *ro;
	long other;

	ro = mmap(NULL, unit, PROT_READ, MAP_SHARED, self->fd, 0);
	other = peer_attach(&p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_NE(MAP_FAILED, ro);
	ASSERT_LT(0, other);
	ASSERT_EQ(0, region_anon(self->fd, 0, 8 * PAGE));
	fill(self->base, 1, 6);
	for (size_t from = 0; from < ARRAY_SIZE(prot); from++) {
		for (size_t to = 0; to < ARRAY_SIZE(prot); to++) {
			ASSERT_EQ(0, region_protect(self->fd, 0, 8 * PAGE,
						    prot[from]));
			ASSERT_EQ(0, region_protect(self->fd, 2 * PAGE,
						    5 * PAGE, prot[to]));
			for (unsigned int i = 0; i < 8; i++) {
				int now = i >= 2 && i < 7 ? prot[to] :
							    prot[from];

				EXPECT_EQ(expected(RW, now),
					  access_of(self->base + i * PAGE));
				EXPECT_EQ(expected(RW, now),
					  peer_call(&p, op_access,
						    other + i * PAGE));
				EXPECT_EQ(expected(PROT_READ, now),
					  access_of(ro + i * PAGE));
			}
		}
	}
	ASSERT_EQ(0, region_protect(self->fd, 0, 8 * PAGE, PROT_READ));
	EXPECT_EQ(0, peer_call(&p, op_damaged, other, 1, 6));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(rights, windows_in_one_process)
{
	const size_t unit = self->unit;
	char *both, *ro, *second;

	ASSERT_EQ(0, region_anon(self->fd, unit - 2 * PAGE, 4 * PAGE));
	fill(self->base + unit - 2 * PAGE, 1, 4);
	ro = mmap(NULL, 2 * unit, PROT_READ, MAP_SHARED, self->fd, 0);
	second = mmap(NULL, unit, RW, MAP_SHARED, self->fd, unit);
	both = mmap(NULL, 2 * unit, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, ro);
	ASSERT_NE(MAP_FAILED, second);
	ASSERT_NE(MAP_FAILED, both);
	EXPECT_EQ(0, damaged(ro + unit - 2 * PAGE, 1, 4));
	EXPECT_EQ(0, damaged(both + unit - 2 * PAGE, 1, 4));
	EXPECT_EQ(pattern(1, 2), load(second));
	EXPECT_EQ(pattern(1, 3), load(second + PAGE));
	EXPECT_EQ(MAPERR, peek(second + 2 * PAGE));

	/* Units of one window go different ways; the others do not notice. */
	EXPECT_EQ(0, mprotect(both, unit, PROT_READ));
	EXPECT_EQ(CAN(0, ACCERR), access_of(both + unit - PAGE));
	EXPECT_EQ(CAN(0, 0), access_of(both + unit));
	EXPECT_EQ(0, munmap(both + unit, unit));
	EXPECT_EQ(CAN(MAPERR, MAPERR), access_of(both + unit));
	EXPECT_EQ(CAN(0, ACCERR), access_of(both + unit - PAGE));
	EXPECT_EQ(0, mprotect(both, unit, PROT_NONE));
	EXPECT_EQ(CAN(ACCERR, ACCERR), access_of(both + unit - PAGE));
	EXPECT_EQ(CAN(0, 0), access_of(second));
	EXPECT_EQ(CAN(0, ACCERR), access_of(ro + unit));
	EXPECT_EQ(CAN(0, 0), access_of(self->base + unit - PAGE));

	/* What a mapping forbids, no mprotect(2) permits. */
	EXPECT_EQ(0, region_protect(self->fd, unit - 2 * PAGE, 4 * PAGE,
				    PROT_READ));
	EXPECT_EQ(0, mprotect(both, unit, RW));
	EXPECT_EQ(CAN(0, ACCERR), access_of(both + unit - PAGE));
	EXPECT_EQ(CAN(0, ACCERR), access_of(second));
	EXPECT_EQ(0, damaged(self->base + unit - 2 * PAGE, 1, 4));
}

TEST_F(rights, region_open_mode)
{
	int ro = reopen(self->fd, O_RDONLY), wo = reopen(self->fd, O_WRONLY);
	struct mshare_mapping m;

	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);
	ASSERT_EQ(0, region_anon(self->fd, 0, 8 * PAGE));
	fill(self->base, 1, 8);
	EXPECT_EQ(-EBADF, region_anon(ro, 16 * PAGE, PAGE));
	EXPECT_EQ(-EBADF, region_anon(ro, 0, PAGE));
	EXPECT_EQ(-EBADF, region_unmap(ro, 0, PAGE));
	EXPECT_EQ(-EBADF, region_protect(ro, 0, PAGE, PROT_READ));
	EXPECT_EQ(-EBADF, region_advise(ro, 0, PAGE, MADV_REMOVE));
	EXPECT_EQ(-EBADF, region_advise(ro, 0, PAGE, MADV_NORMAL));
	EXPECT_EQ(-EBADF, region_lock(ro, 0, PAGE, MSHAREFS_LOCK_ON, 0));
	/* Before the argument is looked at. */
	EXPECT_EQ(-EBADF, region_ioctl(ro, MSHAREFS_UNMAP, NULL));
	EXPECT_EQ(-EFAULT, region_ioctl(self->fd, MSHAREFS_UNMAP, NULL));
	EXPECT_EQ(0, damaged(self->base, 1, 8));
	EXPECT_EQ(1, region_stat(ro).mappings);
	EXPECT_EQ(0, region_next(ro, 0, &m));

	/* To write is enough. */
	EXPECT_EQ(0, region_anon(wo, 16 * PAGE, PAGE));
	EXPECT_EQ(0, region_protect(wo, 0, PAGE, PROT_READ));
	EXPECT_EQ(0, region_unmap(wo, 16 * PAGE, PAGE));
	EXPECT_EQ(8 * PAGE, region_mapped(wo, 0, self->size, NULL));
}

static long op_unmap(const long *a)
{
	return region_unmap(a[0], a[1], a[2]);
}

/* A reader of the file cannot become a writer, whatever the file's mode. */
TEST_F(rights, unprivileged)
{
	struct peer p = peer_start(_metadata);
	long fd, other;

	ASSERT_EQ(0, region_anon(self->fd, 0, 8 * PAGE));
	fill(self->base, 1, 8);
	ASSERT_EQ(0, fchmod(self->fd, 0644));
	EXPECT_EQ(0, peer_sys(&p, __NR_munmap, L(self->base), self->size));
	EXPECT_EQ(0, peer_sys(&p, __NR_close, self->fd));
	ASSERT_EQ(0, peer_call(&p, op_unprivileged, 0));
	EXPECT_EQ(-EACCES, peer_open(&p, MS_DIR "/a", O_RDWR));
	fd = peer_open(&p, MS_DIR "/a", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, peer_call(&p, op_unmap, fd, 0, PAGE));
	EXPECT_EQ(-EBADF, peer_sys(&p, __NR_ioctl, fd, MSHAREFS_CREATE_MAPPING,
				   0));
	other = peer_attach(&p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, other);
	EXPECT_EQ(0, peer_call(&p, op_damaged, other, 1, 8));
	EXPECT_EQ(CAN(0, ACCERR), peer_call(&p, op_access, other));
	EXPECT_EQ(-EACCES, peer_sys(&p, __NR_mprotect, other, self->unit, RW));
	EXPECT_EQ(CAN(0, ACCERR), peer_call(&p, op_access, other));

	/* The owner can do all of it without privilege. */
	ASSERT_EQ(0, fchown(self->fd, NOBODY, NOBODY));
	fd = peer_open(&p, MS_DIR "/a", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, peer_call(&p, op_unmap, fd, 0, PAGE));
	EXPECT_EQ(MAPERR, peek(self->base));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(rights, object_open_mode)
{
	int object = ms_memfd(_metadata, 1, 8), ro, wo, sealed, path;
	struct peer p = peer_start(_metadata);
	struct mshare_mapping m;
	char *base = self->base;
	int fd = self->fd;

	ro = reopen(object, O_RDONLY);
	wo = reopen(object, O_WRONLY);
	path = reopen(object, O_PATH);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-EACCES, region_map(fd, 0, 8 * PAGE, RW, FIXED, ro, 0));
	EXPECT_EQ(-EACCES, region_map(fd, 0, 8 * PAGE, RW, FIXED, wo, 0));
	EXPECT_EQ(-EACCES, region_map(fd, 0, 8 * PAGE, PROT_READ, FIXED, wo,
				      0));
	EXPECT_EQ(-EBADF, region_map(fd, 0, 8 * PAGE, PROT_READ, FIXED, path,
				     0));
	EXPECT_EQ(-ENOENT, region_next(fd, 0, &m));

	/* Opened read-only: it is never writable, by nobody and no way. */
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, PROT_READ, FIXED, ro, 0));
	EXPECT_EQ(0, damaged(base, 1, 8));
	EXPECT_EQ(-EACCES, region_protect(fd, 0, 8 * PAGE, RW));
	EXPECT_EQ(-EACCES, region_protect(fd, 3 * PAGE, PAGE, PROT_WRITE));
	EXPECT_EQ(ACCERR, probe_write(base, 1));
	EXPECT_EQ(ACCERR, peer_call(&p, op_store, L(base), 1));
	EXPECT_EQ(-EFAULT, peer_vm_write(&p, getpid(), base, 1));
	EXPECT_ERR(EFAULT, syscall(__NR_getrandom, base, 8L, 0L));
	EXPECT_GT(0, peer_mem_write(&p, getpid(), base, 1));
	EXPECT_GT(0, peer_poke(&p, getpid(), base, 1));
	EXPECT_EQ(0, region_protect(fd, 0, 8 * PAGE, PROT_NONE));
	EXPECT_EQ(-EACCES, region_protect(fd, 0, 8 * PAGE, RW));
	EXPECT_EQ(0, region_protect(fd, 0, 8 * PAGE, PROT_READ));
	EXPECT_EQ(0, damaged(base, 1, 8));
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT_EQ(pattern(1, i), file_load(object, i));
	}
	/* A neighbour that may does not help: nothing at all is changed. */
	ASSERT_EQ(0, region_map(fd, 8 * PAGE, 8 * PAGE, PROT_READ, FIXED,
				object, 0));
	EXPECT_EQ(-EACCES, region_protect(fd, 4 * PAGE, 8 * PAGE, RW));
	EXPECT_EQ(-EACCES, region_protect(fd, 0, 16 * PAGE, RW));
	EXPECT_EQ(ACCERR, probe_write(base + 8 * PAGE, 1));
	ASSERT_EQ(0, region_next(fd, 8 * PAGE, &m));
	EXPECT_EQ(8 * PAGE, m.offset);
	EXPECT_EQ(PROT_READ, m.prot);

	sealed = ms_memfd(_metadata, 2, 8);
	ASSERT_EQ(0, fcntl(sealed, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-EPERM, region_map(fd, 32 * PAGE, PAGE, RW, FIXED, sealed,
				     0));
	ASSERT_EQ(0, region_map(fd, 32 * PAGE, PAGE, PROT_READ, FIXED, sealed,
				0));
	EXPECT_EQ(-EACCES, region_protect(fd, 32 * PAGE, PAGE, RW));
	EXPECT_EQ(pattern(2, 0), load(base + 32 * PAGE));
	EXPECT_EQ(0, peer_stop(&p));
}

/* A hole in the middle: nothing is changed on either side of it. */
TEST_F(rights, protect_hole)
{
	int fd = self->fd;

	ASSERT_EQ(0, region_anon(fd, 0, 4 * PAGE));
	ASSERT_EQ(0, region_anon(fd, 5 * PAGE, 4 * PAGE));
	EXPECT_EQ(-ENOMEM, region_protect(fd, 0, 9 * PAGE, PROT_READ));
	EXPECT_EQ(-ENOMEM, region_protect(fd, 0, 5 * PAGE, PROT_READ));
	EXPECT_EQ(-ENOMEM, region_protect(fd, 4 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-ENOMEM, region_protect(fd, self->unit, PAGE, PROT_READ));
	for (unsigned int i = 0; i < 9; i++) {
		EXPECT_EQ(i == 4 ? MAPERR : 0,
			  probe_write(self->base + i * PAGE, i));
	}
	EXPECT_EQ(2, region_stat(fd).mappings);
}

#ifdef __x86_64__
#define RET "\xc3"
#else
#error "how does a function return on this architecture?"
#endif

/* A memfd that is a function on each of its pages. */
static int code(struct __test_metadata *_metadata, unsigned int pages)
{
	int fd = memfd_create("code", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, pages * PAGE));
	for (unsigned int i = 0; i < pages; i++) {
		ASSERT_EQ(1, pwrite(fd, RET, 1, i * PAGE));
	}
	return fd;
}

static long op_probe_call(const long *a)
{
	return probe_call((void *)a[0]);
}

TEST_F(rights, execute)
{
	const struct {
		int prot, call;
	} window[] = { { PROT_NONE, ACCERR }, { PROT_READ, ACCERR },
		       { RW, ACCERR }, { RX, 0 }, { RWX, 0 } };
	struct peer p = peer_start(_metadata);
	char *win[ARRAY_SIZE(window)];
	long other[ARRAY_SIZE(window)];
	int fd = self->fd, object = code(_metadata, 8);

	for (size_t i = 0; i < ARRAY_SIZE(window); i++) {
		win[i] = mmap(NULL, self->unit, window[i].prot, MAP_SHARED, fd,
			      0);
		ASSERT_NE(MAP_FAILED, win[i]);
		other[i] = peer_mmap(&p, NULL, self->unit, window[i].prot, fd,
				     0);
		ASSERT_LT(0, other[i]);
	}
	/* Not before there is anything, and nothing but what may be. */
	EXPECT_EQ(MAPERR, probe_call(win[3]));
	ASSERT_EQ(0, region_map(fd, 0, 8 * PAGE, RX, FIXED, object, 0));
	ASSERT_EQ(0, region_map(fd, 8 * PAGE, 8 * PAGE, PROT_READ, FIXED,
				object, 0));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(window); i++) {
			for (unsigned int page = 0; page < 8; page += 7) {
				size_t at = page * PAGE;

				EXPECT_EQ(window[i].call,
					  probe_call(win[i] + at)) {
					TH_LOG("window %d", window[i].prot);
				}
				EXPECT_EQ(window[i].call,
					  peer_call(&p, op_probe_call,
						    other[i] + at));
				at += 8 * PAGE;
				EXPECT_EQ(ACCERR, probe_call(win[i] + at));
				EXPECT_EQ(ACCERR,
					  peer_call(&p, op_probe_call,
						    other[i] + at));
			}
		}
	}
	/* A right that is no more: with the code in every TLB. */
	ASSERT_EQ(0, region_protect(fd, 0, 4 * PAGE, PROT_READ));
	EXPECT_EQ(ACCERR, probe_call(win[3]));
	EXPECT_EQ(ACCERR, peer_call(&p, op_probe_call, other[3]));
	EXPECT_EQ(0, peer_call(&p, op_probe_call, other[3] + 7 * PAGE));
	EXPECT_EQ(CAN(0, ACCERR), access_of(win[4]));
	ASSERT_EQ(0, region_protect(fd, 0, 4 * PAGE, RX));
	EXPECT_EQ(0, probe_call(win[3]));
	EXPECT_EQ(ACCERR, probe_call(win[2]));
	EXPECT_EQ(0, mprotect(win[3], self->unit, PROT_READ));
	EXPECT_EQ(ACCERR, probe_call(win[3]));
	EXPECT_EQ(0, peer_call(&p, op_probe_call, other[3]));
	EXPECT_EQ(0, mprotect(win[3], self->unit, RX));
	EXPECT_EQ(0, probe_call(win[3]));
	EXPECT_EQ(0, mprotect(win[2], self->unit, RWX));
	EXPECT_EQ(0, probe_call(win[2]));
	EXPECT_EQ(ACCERR, probe_write(win[2], 0));
	EXPECT_EQ(0, peer_stop(&p));
}

TEST_F(rights, execute_written)
{
	int fd = self->fd, object = code(_metadata, 1);
	char *x = ms_map(fd, self->size, RX);

	/* Written through one window, called through another. */
	ASSERT_NE(MAP_FAILED, x);
	ASSERT_EQ(0, region_map(fd, 0, PAGE, RWX, FIXED, object, 0));
	EXPECT_EQ(0, probe_call(x));
	memset(self->base + 64, 0xc3, 1);
	EXPECT_EQ(0, probe_call(x + 64));
	EXPECT_EQ(ACCERR, probe_call(self->base + 64));
	EXPECT_EQ(ACCERR, probe_write(x, 1));
}

TEST_F(rights, object_noexec)
{
	int object, fd = self->fd;
	struct mshare_mapping m;
	char *x;

	ASSERT_EQ(0, mount("tmpfs", "/mnt", "tmpfs", MS_NOEXEC, NULL));
	object = open("/mnt/code", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
	ASSERT_LE(0, object);
	ASSERT_EQ(1, write(object, RET, 1));
	EXPECT_EQ(-EPERM, region_map(fd, 0, PAGE, RX, FIXED, object, 0));
	EXPECT_EQ(-EPERM, region_map(fd, 0, PAGE, PROT_EXEC, FIXED, object,
				     0));
	EXPECT_EQ(-ENOENT, region_next(fd, 0, &m));
	ASSERT_EQ(0, region_map(fd, 0, PAGE, PROT_READ, FIXED, object, 0));
	EXPECT_EQ(-EACCES, region_protect(fd, 0, PAGE, RX));
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(PROT_READ, m.prot);
	EXPECT_EQ(RW, m.max_prot);
	x = ms_map(fd, self->size, RX);
	ASSERT_NE(MAP_FAILED, x);
	EXPECT_EQ(ACCERR, probe_call(x));
	close(object);
}

TEST_F(rights, noexec_region)
{
	struct mshare_mapping m;
	int fd;

	/* The mount of the region forbids it to windows. */
	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", MS_NOEXEC, NULL));
	fd = ms_container(_metadata, "/tmp/a", self->unit);
	ASSERT_EQ(0, region_map(fd, 0, PAGE, RX, FIXED, code(_metadata, 1),
				0));
	ASSERT_EQ(0, region_next(fd, 0, &m));
	EXPECT_EQ(RX, m.prot);
	EXPECT_EQ(MAP_FAILED, ms_map(fd, self->unit, RX));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(ACCERR, probe_call(ms_map(fd, self->unit, PROT_READ)));
}

static int mdwe(void *arg)
{
	int fd = *(int *)arg, object = memfd_create("code", 0);

	CHECK(!ftruncate(object, 8 * PAGE));
	CHECK(!prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0));
	CHECK(region_map(fd, 0, PAGE, RWX, FIXED, object, 0) == -EACCES);
	CHECK(region_map(fd, 0, PAGE, PROT_WRITE | PROT_EXEC, ANON, -1, 0) ==
	      -EACCES);
	CHECK(region_stat(fd).mappings == 0);
	CHECK(!region_map(fd, 0, PAGE, RW, FIXED, object, 0));
	CHECK(region_protect(fd, 0, PAGE, RWX) == -EACCES);
	CHECK(!region_map(fd, PAGE, PAGE, RX, FIXED, object, 0));
	CHECK(region_protect(fd, PAGE, PAGE, RWX) == -EACCES);
	return 0;
}

TEST_F(rights, mdwe)
{
	struct mshare_mapping m;

	EXPECT_EQ(0, in_child(mdwe, &self->fd));
	ASSERT_EQ(0, region_next(self->fd, 0, &m));
	EXPECT_EQ(RW, m.prot);
	ASSERT_EQ(0, region_next(self->fd, PAGE, &m));
	EXPECT_EQ(RX, m.prot);
	/* It is the caller that is bound, not the region. */
	EXPECT_EQ(0, region_protect(self->fd, 0, PAGE, RWX));
}

TEST_HARNESS_MAIN
