// SPDX-License-Identifier: GPL-2.0
/*
 * System calls that would reach a region's page tables through a window. Each
 * is refused or acts on the region as documented, and after each the contents
 * are what they were, here and in another process, and all can go on.
 */
#include "mshare_test.h"
#include <linux/kvm.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#define RW	(PROT_READ | PROT_WRITE)
#define NPAGES	32

FIXTURE(refuse) {
	size_t unit;
	struct peer p;
	long other;
	char *base;	/* two units */
	char *ro;	/* the first unit, read-only */
	int fd;
};

FIXTURE_SETUP(refuse)
{
	int ro;

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->p = peer_start(_metadata);
	self->base = ms_new(_metadata, MS_DIR "/a", 2 * self->unit, &self->fd);
	self->other = peer_attach(&self->p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, self->other);
	ro = open(MS_DIR "/a", O_RDONLY);
	self->ro = ms_map(ro, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->ro);
	fill(self->base, 1, NPAGES);
	fill(self->base + self->unit, 2, NPAGES);
	EXPECT_EQ(0, damaged(self->ro, 1, NPAGES));
}

/* Contents, both ways of access, pages to come. */
static void unharmed(struct __test_metadata *_metadata,
		     FIXTURE_DATA(refuse) *self, const char *after)
{
	static unsigned int fresh = 1000;

	EXPECT_EQ(0, damaged(self->base, 1, NPAGES)) {
		TH_LOG("contents changed by %s", after);
	}
	EXPECT_EQ(0, damaged(self->base + self->unit, 2, NPAGES)) {
		TH_LOG("contents changed by %s", after);
	}
	EXPECT_EQ(0, damaged(self->ro, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other, 1, NPAGES)) {
		TH_LOG("another process harmed by %s", after);
	}
	EXPECT_EQ(0, peer_call(&self->p, op_store, self->other,
			       pattern(1, 0)));
	EXPECT_EQ(0, probe_write(self->base + PAGE, pattern(1, 1)));
	EXPECT_EQ(ACCERR, probe_write(self->ro, 1)) {
		TH_LOG("read-only window written after %s", after);
	}
	/* A page nobody had. */
	fresh++;
	EXPECT_EQ(0, peer_call(&self->p, op_store, self->other + fresh * PAGE,
			       fresh));
	EXPECT_EQ(fresh, load(self->base + fresh * PAGE));
}

FIXTURE_TEARDOWN(refuse)
{
	unharmed(_metadata, self, "the test");
	EXPECT_EQ(0, munmap(self->base, 2 * self->unit));
	EXPECT_EQ(0, peer_stop(&self->p));
}

/* Succeeds or fails with an errno of the list, harms nothing. */
#define HARMLESS(call, ...) do {					\
	const int ok[] = { __VA_ARGS__ };				\
	bool found;							\
	errno = 0;							\
	found = L(call) != -1;						\
	for (size_t i_ = 0; i_ < ARRAY_SIZE(ok); i_++)			\
		found |= errno == ok[i_];				\
	EXPECT_TRUE(found) {						\
		TH_LOG("%s: %s", #call, strerror(errno));		\
	}								\
	unharmed(_metadata, self, #call);				\
} while (0)

/* Fails with this errno, harms nothing. */
#define REFUSED(err, call) do {						\
	EXPECT_ERR(err, call);						\
	unharmed(_metadata, self, #call);				\
} while (0)

TEST_F(refuse, mremap_size)
{
	const size_t unit = self->unit;
	char *base = self->base;

	/* Growing: EINVAL or EFAULT, as for other special mappings. */
	EXPECT_EQ(MAP_FAILED, mremap(base, 2 * unit, 3 * unit, 0));
	EXPECT_TRUE(errno == EFAULT || errno == EINVAL);
	EXPECT_EQ(MAP_FAILED, mremap(base, 2 * unit, 3 * unit,
				     MREMAP_MAYMOVE));
	EXPECT_TRUE(errno == EFAULT || errno == EINVAL);
	unharmed(_metadata, self, "growing mremap");
	/* A second mapping of the same: the old size 0. */
	EXPECT_EQ(MAP_FAILED, mremap(base, 0, unit, MREMAP_MAYMOVE));
	unharmed(_metadata, self, "mremap of size 0");
	/* Parts. */
	EXPECT_EQ(MAP_FAILED, mremap(base, 2 * unit, unit + PAGE, 0));
	EXPECT_EQ(MAP_FAILED, mremap(base + PAGE, PAGE, PAGE, MREMAP_MAYMOVE |
				     MREMAP_FIXED, base + 64 * unit));
	EXPECT_EQ(MAP_FAILED, mremap(base, unit, unit, MREMAP_MAYMOVE |
				     MREMAP_DONTUNMAP, NULL));
	unharmed(_metadata, self, "mremap of parts");
}

TEST_F(refuse, mremap_move)
{
	const size_t unit = self->unit;
	char *base = self->base, *to, *p;

	to = mmap(NULL, 4 * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		  MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	to = (char *)((L(to) + unit - 1) & -unit);
	/* Nowhere else than at multiples of the unit. */
	EXPECT_EQ(MAP_FAILED, mremap(base, 2 * unit, 2 * unit, MREMAP_MAYMOVE |
				     MREMAP_FIXED, to + PAGE));
	unharmed(_metadata, self, "misaligned mremap");
	p = mremap(base, 2 * unit, 2 * unit, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to);
	if (p == MAP_FAILED) {
		EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
	} else {
		EXPECT_EQ(to, p);
		EXPECT_EQ(MAPERR, peek(base));
		self->base = p;
	}
	unharmed(_metadata, self, "mremap");

	/* A read-only window stays one, wherever it goes. */
	p = mremap(self->ro, unit, unit, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to + 2 * unit);
	if (p == MAP_FAILED) {
		EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
	} else {
		self->ro = p;
	}
	unharmed(_metadata, self, "mremap of a read-only window");
}

TEST_F(refuse, mremap_over)
{
	const size_t unit = self->unit;
	char *anon, *p;

	/* Something else moved onto a part of a unit. */
	anon = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	store(anon, 3);
	p = mremap(anon, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   self->base + unit + 64 * PAGE);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(3, load(anon));
	unharmed(_metadata, self, "mremap onto a window");
}

TEST_F(refuse, madvise_advice)
{
	const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED,
		25 /* MADV_COLLAPSE */, 24 /* MADV_DONTNEED_LOCKED */,
		MADV_DONTDUMP, MADV_DODUMP, MADV_DOFORK, MADV_UNMERGEABLE,
		MADV_KEEPONFORK,
	};
	char *base = self->base;

	/* Advice cannot change contents, whether it is taken or not. */
	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		HARMLESS(madvise(base, NPAGES * PAGE, advice[i]),
			 EINVAL, EOPNOTSUPP, EAGAIN, EBUSY, ENOMEM);
		if (advice[i] == MADV_POPULATE_WRITE)
			continue;
		HARMLESS(madvise(self->ro, NPAGES * PAGE, advice[i]),
			 EINVAL, EOPNOTSUPP, EAGAIN, EBUSY, ENOMEM, EACCES);
	}
	EXPECT_EQ(-1, madvise(self->ro, NPAGES * PAGE, MADV_POPULATE_WRITE));
	EXPECT_TRUE(errno == EINVAL || errno == EFAULT);
}

TEST_F(refuse, madvise_senseless)
{
	const int advice[] = { MADV_FREE, MADV_WIPEONFORK, MADV_MERGEABLE,
			       99, -1 };

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		REFUSED(EINVAL, madvise(self->base, 2 * self->unit,
					advice[i]));
		REFUSED(EINVAL, madvise(self->base, NPAGES * PAGE, advice[i]));
	}
}

TEST_F(refuse, madvise_remove)
{
	char *base = self->base + 100 * PAGE;
	int ret;

	/* Through a read-only window: never. */
	EXPECT_EQ(-1, madvise(self->ro, NPAGES * PAGE, MADV_REMOVE));
	EXPECT_TRUE(errno == EACCES || errno == EINVAL);
	unharmed(_metadata, self, "MADV_REMOVE of a read-only window");

	fill(base, 5, 4);
	ret = madvise(base, 4 * PAGE, MADV_REMOVE);
	if (ret) {
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(0, damaged(base, 5, 4));
	} else {
		EXPECT_EQ(0, load(base));
		EXPECT_EQ(0, load(base + 3 * PAGE));
	}
}

TEST_F(refuse, madvise_dontfork)
{
	int status;
	pid_t pid;

	/* The only thing it could change is what a child gets. */
	if (madvise(self->base, 2 * self->unit, MADV_DONTFORK)) {
		EXPECT_EQ(EINVAL, errno);
		return;
	}
	pid = fork();
	if (!pid)
		_exit(peek(self->base) != MAPERR);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(refuse, process_madvise)
{
	struct iovec iov = { self->base, NPAGES * PAGE };
	int pidfd = syscall(__NR_pidfd_open, getpid(), 0);

	ASSERT_LE(0, pidfd);
	HARMLESS(syscall(__NR_process_madvise, pidfd, &iov, 1L, MADV_COLD, 0L),
		 EINVAL);
	HARMLESS(syscall(__NR_process_madvise, pidfd, &iov, 1L, MADV_PAGEOUT,
			 0L), EINVAL);
	HARMLESS(syscall(__NR_process_madvise, pidfd, &iov, 1L, MADV_WILLNEED,
			 0L), EINVAL);
	HARMLESS(syscall(__NR_process_madvise, pidfd, &iov, 1L, 25L, 0L),
		 EINVAL, EAGAIN, EBUSY);
}

TEST_F(refuse, mlock)
{
	char *base = self->base;

	EXPECT_EQ(-1, mlock(base, NPAGES * PAGE));
	EXPECT_TRUE(errno == EOPNOTSUPP || errno == EINVAL);
	EXPECT_EQ(-1, mlock(base, 2 * self->unit));
	EXPECT_TRUE(errno == EOPNOTSUPP || errno == EINVAL);
	EXPECT_EQ(-1, mlock2(base, NPAGES * PAGE, MLOCK_ONFAULT));
	EXPECT_TRUE(errno == EOPNOTSUPP || errno == EINVAL);
	HARMLESS(munlock(base, NPAGES * PAGE), EOPNOTSUPP, EINVAL);
	EXPECT_EQ(0, status_kb("VmLck"));
}

TEST_F(refuse, mlockall)
{
	char *p;
	int fd;

	/* It populates what there is; where that ends it is no failure. */
	ASSERT_EQ(0, munmap(self->base, 2 * self->unit));
	ASSERT_EQ(0, munmap(self->ro, self->unit));
	ASSERT_EQ(0, mount("msharefs", "/tmp", "msharefs", 0, "size=1m"));
	p = ms_new(_metadata, "/tmp/a", 2 * self->unit, &fd);
	fill(p, 1, 8);

	/* A window is no reason to fail, and is not locked. */
	EXPECT_EQ(0, mlockall(MCL_CURRENT));
	EXPECT_EQ(0, damaged(p, 1, 8));
	EXPECT_GT(self->unit / 1024, status_kb("VmLck"));
	EXPECT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	EXPECT_EQ(0, munmap(p, 2 * self->unit));
	p = ms_map(fd, 2 * self->unit, RW);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, damaged(p, 1, 8));
	EXPECT_GT(self->unit / 1024, status_kb("VmLck"));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, munmap(p, 2 * self->unit));

	self->base = ms_map(self->fd, 2 * self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	self->ro = ms_map(self->fd, self->unit, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->ro);
}

TEST_F(refuse, mempolicy)
{
	unsigned long nodes = 1;
	int mode = -1, status = -1;
	void *page = self->base;

	HARMLESS(syscall(__NR_mbind, self->base, 2 * self->unit, MPOL_BIND,
			 &nodes, 8L, 0L), EINVAL);
	HARMLESS(syscall(__NR_mbind, self->base, 2 * self->unit, MPOL_BIND,
			 &nodes, 8L, MPOL_MF_STRICT | MPOL_MF_MOVE), EINVAL,
		 EIO);
	HARMLESS(syscall(__NR_mbind, self->base, NPAGES * PAGE,
			 MPOL_INTERLEAVE, &nodes, 8L, MPOL_MF_MOVE_ALL),
		 EINVAL, EIO);
	HARMLESS(syscall(__NR_get_mempolicy, &mode, NULL, 0L, self->base,
			 MPOL_F_ADDR), EINVAL, EFAULT);
	HARMLESS(syscall(__NR_get_mempolicy, &mode, NULL, 0L, self->base,
			 MPOL_F_ADDR | MPOL_F_NODE), EINVAL, EFAULT);
	HARMLESS(syscall(__NR_set_mempolicy_home_node, self->base,
			 2 * self->unit, 0L, 0L), EINVAL, EOPNOTSUPP, ENOENT,
		 ENOSYS);
	HARMLESS(syscall(__NR_move_pages, 0L, 1L, &page, NULL, &status, 0L),
		 EINVAL);
	mode = 0;
	HARMLESS(syscall(__NR_move_pages, 0L, 1L, &page, &mode, &status,
			 MPOL_MF_MOVE_ALL), EINVAL);
	HARMLESS(syscall(__NR_migrate_pages, 0L, 8L, &nodes, &nodes), EINVAL);
	HARMLESS(syscall(__NR_set_mempolicy, MPOL_BIND, &nodes, 8L), EINVAL);
	HARMLESS(syscall(__NR_set_mempolicy, MPOL_DEFAULT, NULL, 0L), EINVAL);
}

TEST_F(refuse, userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { 0 };
	const uint64_t modes[] = { UFFDIO_REGISTER_MODE_MISSING,
				   UFFDIO_REGISTER_MODE_WP,
				   UFFDIO_REGISTER_MODE_MINOR };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		reg.range.start = (uint64_t)self->base;
		reg.range.len = 2 * self->unit;
		reg.mode = modes[i];
		REFUSED(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
		reg.range.len = NPAGES * PAGE;
		REFUSED(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
	}
	close(fd);
}

TEST_F(refuse, remap_file_pages)
{
	REFUSED(EINVAL, remap_file_pages(self->base, PAGE, 0, 1, 0));
	REFUSED(EINVAL, remap_file_pages(self->base, self->unit, 0,
					 self->unit / PAGE, 0));
}

TEST_F(refuse, pkey)
{
	int key = pkey_alloc(0, 0);

	if (key < 0 && errno == ENOSYS)
		SKIP(return, "this kernel has no protection keys");
	if (key < 0) {
		/* Without hardware for keys the default key is the only one. */
		REFUSED(EINVAL, pkey_mprotect(self->base, 2 * self->unit, RW,
					      1));
		return;
	}
	REFUSED(EINVAL, pkey_mprotect(self->base, 2 * self->unit, RW, key));
	REFUSED(EINVAL, pkey_mprotect(self->base, self->unit, PROT_READ, key));
	pkey_free(key);
}

TEST_F(refuse, prctl_merge)
{
	/* Everything mergeable may be merged: a window is not. */
	HARMLESS(prctl(67 /* PR_SET_MEMORY_MERGE */, 1, 0, 0, 0), EINVAL);
	HARMLESS(prctl(67, 0, 0, 0, 0), EINVAL);
}

/* Who keeps copies of page tables must be told of changes: KVM, for one. */
TEST_F(refuse, kvm)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct peer q;

	if (kvm < 0)
		SKIP(return, "no KVM in this machine");
	REFUSED(EBUSY, ioctl(kvm, KVM_CREATE_VM, 0));

	/* The other order, in a process that keeps a VM to its end. */
	q = peer_start(_metadata);
	EXPECT_EQ(0, peer_sys(&q, __NR_munmap, L(self->base),
			      2 * self->unit));
	EXPECT_EQ(0, peer_sys(&q, __NR_munmap, L(self->ro), self->unit));
	ASSERT_LE(0, peer_sys(&q, __NR_ioctl, kvm, KVM_CREATE_VM, 0));
	EXPECT_EQ(-EBUSY, peer_attach(&q, MS_DIR "/a", O_RDWR, RW));
	EXPECT_EQ(0, peer_stop(&q));
}

TEST_F(refuse, seal)
{
	/* mseal(2) forbids changes of a mapping; if taken it must hold. */
	char *p = ms_map(self->fd, self->unit, RW);
	long ret = syscall(462 /* mseal */, p, self->unit, 0L);

	if (!ret) {
		EXPECT_ERR(EPERM, munmap(p, self->unit));
		EXPECT_ERR(EPERM, mprotect(p, self->unit, PROT_READ));
	}
	EXPECT_EQ(0, damaged(p, 1, NPAGES));
}

TEST_HARNESS_MAIN
