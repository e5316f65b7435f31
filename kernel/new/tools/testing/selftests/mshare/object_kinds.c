// SPDX-License-Identifier: GPL-2.0
/*
 * Files of all kinds in a region: one memory, whoever comes to it and how, and
 * SIGBUS beyond its end.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_io.h"
#include "lib_object_kinds.h"

/* What STAT says of that many pages; DAX is never in anybody's RSS. */
static size_t resident(enum kind kind, unsigned long pages)
{
	return kind == DAX_FILE ? 0 : pages * page_size(kind);
}

FIXTURE(objects) {
	size_t unit, size, page;
	char *base;		/* RW window of the whole region */
	char *at;		/* where the object is in it */
	char *ro;		/* the same in a read-only window */
	int fd, object;
	struct peer p;
	long other;		/* where it is in a peer */
	size_t offset;		/* and in the region */
};

FIXTURE_VARIANT(objects) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(objects, memfd) { .kind = MEMFD };
FIXTURE_VARIANT_ADD(objects, tmpfs) { .kind = TMPFS };
FIXTURE_VARIANT_ADD(objects, sysv) { .kind = SYSV };
FIXTURE_VARIANT_ADD(objects, overlay) { .kind = OVERLAID };
FIXTURE_VARIANT_ADD(objects, ext4) { .kind = EXT4 };
FIXTURE_VARIANT_ADD(objects, hugetlb_memfd) { .kind = HUGE_MEMFD };
FIXTURE_VARIANT_ADD(objects, hugetlb_file) { .kind = HUGE_FILE };
FIXTURE_VARIANT_ADD(objects, dax) { .kind = DAX_FILE };

FIXTURE_SETUP(objects)
{
	int err;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	err = prepare(variant->kind);
	ASSERT_EQ(0, err) TH_LOG("%s", strerror(-err));
	self->size = UNITS * self->unit;
	self->page = page_size(variant->kind);
	self->offset = self->unit + 4 * HUGE;
	self->base = ms_container_pair(_metadata, self->size, &self->fd,
				       &self->p, &self->other);
	self->at = self->base + self->offset;
	self->ro = ms_map(reopen(self->fd, O_RDONLY), self->size, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->ro);
	self->ro += self->offset;
	self->other += self->offset;
	self->object = object_new(variant->kind);
	ASSERT_LE(0, self->object) TH_LOG("%s", strerror(-self->object));
	ASSERT_EQ(0, region_map(self->fd, self->offset, NPAGES * self->page,
				RW, FIXED, self->object, 0));
}

FIXTURE_TEARDOWN(objects)
{
	EXPECT_EQ(0, peer_stop(&self->p));
	EXPECT_EQ(0, munmap(self->base, self->size));
	EXPECT_EQ(0, munmap(self->ro - self->offset, self->size));
	EXPECT_EQ(0, region_unmap(self->fd, 0, self->size));
	close(self->object);
	if (self->page == HUGE) {
		unlink(HUGEFS "/f");
		EXPECT_EQ(0, hugepage_pool(0));
	}
}

TEST_F(objects, shown)
{
	static const uint32_t shown[KINDS] = {
		[MEMFD] = MSHAREFS_KIND_SHMEM, [TMPFS] = MSHAREFS_KIND_SHMEM,
		[SYSV] = MSHAREFS_KIND_SHMEM, [OVERLAID] = MSHAREFS_KIND_SHMEM,
		[EXT4] = MSHAREFS_KIND_FILE, [DAX_FILE] = MSHAREFS_KIND_DAX,
		[HUGE_MEMFD] = MSHAREFS_KIND_HUGETLB,
		[HUGE_FILE] = MSHAREFS_KIND_HUGETLB,
	};
	struct mshare_mapping m;
	struct stat st;

	ASSERT_EQ(0, region_next(self->fd, 0, &m));
	EXPECT_EQ(self->offset, m.offset);
	EXPECT_EQ(NPAGES * self->page, m.size);
	EXPECT_EQ(0, m.object_offset);
	EXPECT_EQ(shown[variant->kind], m.kind);
	EXPECT_EQ(RW, m.prot);
	EXPECT_EQ(self->page == HUGE ? MAP_SHARED | MAP_HUGETLB : MAP_SHARED,
		  m.flags);
	EXPECT_EQ(self->page == HUGE ? 21 : 12, m.page_shift);
	ASSERT_EQ(0, fstat(self->object, &st));
	EXPECT_EQ(st.st_ino, m.inode);
}

TEST_F(objects, coherent)
{
	const size_t page = self->page, size = NPAGES * page;
	char *plain = ms_map(self->object, size, RW);
	int status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, plain);
	/* Written here: seen in all windows, by mmap(2) and by read(2). */
	fill_pages(self->at, page, 1);
	EXPECT_EQ(0, bad_pages(self->ro, page, 1, 0, NPAGES));
	EXPECT_EQ(0, bad_pages(plain, page, 1, 0, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other, page, 1, 0,
			       NPAGES));
	for (unsigned int i = 0; i < NPAGES; i++) {
		EXPECT_EQ(pattern(1, i),
			  file_load(self->object, i * page / PAGE));
	}
	EXPECT_EQ(resident(variant->kind, NPAGES),
		  region_stat(self->fd).resident);

	/* In another process, and in a child. */
	EXPECT_EQ(0, peer_call(&self->p, op_fill_pages, self->other, page, 2));
	EXPECT_EQ(0, bad_pages(self->at, page, 2, 0, NPAGES));
	EXPECT_EQ(0, bad_pages(plain, page, 2, 0, NPAGES));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!bad_pages(self->at, page, 2, 0, NPAGES));
		CHECK(!bad_pages(self->ro, page, 2, 0, NPAGES));
		fill_pages(self->at, page, 3);
		CHECK(probe_write(self->ro, 1) == ACCERR);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, bad_pages(self->at, page, 3, 0, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other, page, 3, 0,
			       NPAGES));

	/* By mmap(2), and by write(2) where the file takes that. */
	fill_pages(plain, page, 4);
	EXPECT_EQ(0, bad_pages(self->at, page, 4, 0, NPAGES));
	if (page == PAGE) {
		ASSERT_EQ(0, file_fill(self->object, 5, NPAGES));
		EXPECT_EQ(0, bad_pages(self->at, page, 5, 0, NPAGES));
		EXPECT_EQ(0, bad_pages(self->ro, page, 5, 0, NPAGES));
		EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other,
				       page, 5, 0, NPAGES));
	}
	EXPECT_EQ(0, munmap(plain, size));
	EXPECT_EQ(ACCERR, probe_write(self->ro, 1));
}

TEST_F(objects, truncated)
{
	const size_t page = self->page, half = NPAGES / 2 * page;
	const size_t beyond[] = { half, half + 16, half + page - 8,
				  NPAGES * page - 8 };
	uint64_t val;
	pid_t pid;
	int status;

	fill_pages(self->at, page, 1);
	EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other, page, 1, 0,
			       NPAGES));
	ASSERT_EQ(0, ftruncate(self->object, half));
	/* The probe also looks whether the address is the right one. */
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		size_t off = beyond[i];

		EXPECT_EQ(BUS_END, probe_read(self->at + off, &val));
		EXPECT_EQ(BUS_END, probe_write(self->at + off, 1));
		EXPECT_EQ(BUS_END, probe_read(self->ro + off, &val));
		EXPECT_EQ(ACCERR, probe_write(self->ro + off, 1));
		EXPECT_EQ(BUS_END, peer_call(&self->p, op_peek,
					     self->other + off));
		EXPECT_EQ(BUS_END, peer_call(&self->p, op_store,
					     self->other + off, 1));
		EXPECT_ERR(EFAULT, syscall(__NR_getrandom, self->at + off, 8L,
					   0L));
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(probe_read(self->at + half, &val) == BUS_END);
		CHECK(!bad_pages(self->at, page, 1, 0, NPAGES / 2));
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 0, NPAGES / 2));
	EXPECT_EQ(resident(variant->kind, NPAGES / 2),
		  region_stat(self->fd).resident);
	/* It is no matter of what is mapped. */
	EXPECT_EQ(NPAGES * page, region_mapped(self->fd, 0, self->size, NULL));

	/* It comes back empty. */
	ASSERT_EQ(0, ftruncate(self->object, NPAGES * page));
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 0, NPAGES / 2));
	for (unsigned int i = NPAGES / 2; i < NPAGES; i++) {
		EXPECT_EQ(0, peer_call(&self->p, op_load,
				       self->other + i * page));
		EXPECT_EQ(0, load(self->ro + (i + 1) * page - 8));
	}
	EXPECT_EQ(0, peer_call(&self->p, op_fill_pages, self->other, page, 2));
	EXPECT_EQ(0, bad_pages(self->at, page, 2, 0, NPAGES));
}

TEST_F_TIMEOUT(objects, truncated_watched, 300)
{
	const size_t page = self->page, off = (NPAGES - 1) * page;
	struct watch *w = watch_new(0);
	struct peer p[WATCHERS];

	watchers_start(_metadata, w, p, self->offset + off);
	for (unsigned int i = 0; another_round(i, 20); i++) {
		watch_begin(w, i + 1);
		store(self->at + off, i + 1);
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 10));
		watch_begin(w, BUS_END);
		ASSERT_EQ(0, ftruncate(self->object, off));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 10));
		watch_begin(w, 0);
		ASSERT_EQ(0, ftruncate(self->object, NPAGES * page));
		watch_end(w);
		ASSERT_TRUE(watch_wait(w, WATCHERS, 10));
	}
	watchers_stop(_metadata, w, p);
}

/* The object is memory: to read a hole of it takes a page of memory. */
static bool is_memory(enum kind kind)
{
	return kind != EXT4 && kind != DAX_FILE;
}

/* A hole punched into the file is one in all windows. */
TEST_F(objects, hole_punched)
{
	const int hole = is_memory(variant->kind) ? BUS_END : 0;
	const size_t page = self->page;

	fill_pages(self->at, page, 1);
	EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other, page, 1, 0,
			       NPAGES));
	ASSERT_EQ(0, fallocate(self->object, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 2 * page, 3 * page));
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 0, 2));
	for (unsigned int i = 2; i < 5; i++) {
		EXPECT_EQ(0, load(self->at + i * page));
		EXPECT_EQ(0, peer_call(&self->p, op_load,
				       self->other + (i + 1) * page - 8));
	}
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 5, NPAGES));
	/* The same through the region. */
	ASSERT_EQ(0, region_advise(self->fd, self->offset + 5 * page, page,
				   MADV_REMOVE));
	EXPECT_EQ(hole, peek(self->ro + 5 * page));
	EXPECT_EQ(0, peer_call(&self->p, op_load, self->other + 5 * page));
	EXPECT_EQ(0, load(self->ro + 5 * page));
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 6, NPAGES));
	EXPECT_EQ(0, file_load(self->object, 5 * page / PAGE));
}

/* Ways into and out of the memory that are not loads and stores. */
TEST_F(objects, io)
{
	const size_t page = self->page;
	int pipefd[2], disk, file;
	struct iovec iov;
	char *copy;

	/* Pages that nobody has touched, by the kernel first. */
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(5, write(pipefd[1], "12345", 5));
	EXPECT_EQ(5, read(pipefd[0], self->at + page - 3, 5));
	EXPECT_EQ(0, memcmp(self->ro + page - 3, "12345", 5));
	EXPECT_EQ(0, peer_vm_write(&self->p, getpid(), self->at + 2 * page,
				   77));
	EXPECT_EQ(77, load(self->at + 2 * page));
	EXPECT_EQ(-EFAULT, peer_vm_write(&self->p, getpid(), self->ro, 78));
	EXPECT_EQ(77, peer_vm_read(&self->p, getpid(), self->ro + 2 * page));
	EXPECT_EQ(77, peer_mem_read(&self->p, getpid(), self->ro + 2 * page));
	iov = (struct iovec){ self->at + 2 * page, 8 };
	EXPECT_EQ(8, vmsplice(pipefd[1], &iov, 1, 0));
	copy = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(8, read(pipefd[0], copy, 8));
	EXPECT_EQ(77, load(copy));

	/* Both ways from and to a disk, past the page cache. */
	if (variant->kind == EXT4) {
		disk = open(DISK "/other", O_RDWR | O_CREAT | O_DIRECT, 0600);
		ASSERT_LE(0, disk);
		ASSERT_EQ(0, fallocate(disk, 0, 0, 4 * PAGE));
	} else {
		disk = direct_open();
	}
	ASSERT_LE(0, disk);
	ASSERT_EQ(0, direct_fill(disk, 6, 4));
	EXPECT_EQ(2 * PAGE, pread(disk, self->at + 4 * page, 2 * PAGE, PAGE));
	EXPECT_EQ(pattern(6, 1), load(self->ro + 4 * page));
	EXPECT_EQ(pattern(6, 2), load(self->ro + 4 * page + PAGE));
	EXPECT_EQ(pattern(6, 1), peer_call(&self->p, op_load,
					   self->other + 4 * page));
	EXPECT_ERR(EFAULT, pread(disk, self->ro + 6 * page, PAGE, 0));
	store(self->at + 4 * page, 99);
	EXPECT_EQ(PAGE, pwrite(disk, self->ro + 4 * page, PAGE, 3 * PAGE));
	EXPECT_EQ(99, direct_load(disk, 3));

	/* A file read and written through its own mapping. */
	file = memfd_create("data", MFD_CLOEXEC);
	EXPECT_EQ(page, write(file, self->at + 4 * page, page));
	EXPECT_EQ(page, pread(file, self->at + 6 * page, page, 0));
	EXPECT_EQ(99, load(self->at + 6 * page));
	if (page == PAGE) {
		EXPECT_EQ(PAGE, pwrite(self->object, self->at + 6 * page, PAGE,
				       7 * PAGE));
		EXPECT_EQ(99, load(self->at + 7 * PAGE));
	}
	close(disk);
}

TEST_F(objects, read_only)
{
	int ro = reopen(self->object, O_RDONLY);

	ASSERT_LE(0, ro);
	fill_pages(self->at, self->page, 1);
	EXPECT_EQ(-EACCES, region_map(self->fd, 2 * self->unit,
				      NPAGES * self->page, RW, FIXED, ro, 0));
	ASSERT_EQ(0, region_map(self->fd, 2 * self->unit, NPAGES * self->page,
				PROT_READ, FIXED, ro, 0));
	EXPECT_EQ(0, bad_pages(self->base + 2 * self->unit, self->page, 1, 0,
			       NPAGES));
	EXPECT_EQ(ACCERR, probe_write(self->base + 2 * self->unit, 1));
	EXPECT_EQ(-EACCES, region_protect(self->fd, 2 * self->unit, self->page,
					  RW));
	EXPECT_EQ(ACCERR, probe_write(self->base + 2 * self->unit, 1));
	EXPECT_EQ(pattern(1, 0), file_load(self->object, 0));
	close(ro);
}

TEST_F(objects, protect)
{
	const size_t page = self->page;

	fill_pages(self->at, page, 1);
	EXPECT_EQ(0, peer_call(&self->p, op_bad_pages, self->other, page, 1, 0,
			       NPAGES));
	ASSERT_EQ(0, region_protect(self->fd, self->offset + page, 2 * page,
				    PROT_READ));
	ASSERT_EQ(0, region_protect(self->fd, self->offset + 5 * page, page,
				    PROT_NONE));
	for (unsigned int i = 0; i < NPAGES; i++) {
		int want = i == 1 || i == 2 ? CAN(0, ACCERR) :
			   i == 5 ? CAN(ACCERR, ACCERR) : CAN(0, 0);

		EXPECT_EQ(want, access_of(self->at + i * page));
		EXPECT_EQ(want, peer_call(&self->p, op_access,
					  self->other + i * page));
	}
	ASSERT_EQ(0, region_protect(self->fd, self->offset, NPAGES * page,
				    RW));
	EXPECT_EQ(0, bad_pages(self->at, page, 1, 0, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_fill_pages, self->other, page, 2));
	EXPECT_EQ(0, bad_pages(self->at, page, 2, 0, NPAGES));
}

TEST_HARNESS_MAIN
