/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common part of the mshare selftests.
 *
 * Every test gets a msharefs mount of its own, in a mount namespace of its own,
 * on the usual directory: whatever a test leaves behind goes with its last
 * process, and what is counted is the test's.
 */
#ifndef MSHARE_TEST_H
#define MSHARE_TEST_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../kselftest_harness.h"
#pragma GCC diagnostic pop

#include "lib.h"

/* Emulated machines with all checks on are slow; a hang is still found. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 180

static inline size_t ms_setup(struct __test_metadata *_metadata,
			      const char *options)
{
	size_t unit;
	int err;

	if (geteuid()) {
		SKIP(return 0, "needs root");
	}
	if (access(MS_DIR, F_OK)) {
		SKIP(return 0, "this kernel has no msharefs");
	}
	ASSERT_EQ(0, ms_namespace());
	err = ms_mount(options);
	ASSERT_EQ(0, err) TH_LOG("mount of msharefs: %s", strerror(-err));
	unit = ms_unit();
	ASSERT_NE(0, unit);
	/* Sizes are chosen by the unit; most of it is never touched. */
	ASSERT_EQ(0, write_file("/proc/sys/vm/overcommit_memory", "1"));
	return unit;
}

#define MS_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit;						\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
	}

/* A plain region with a window of the whole of it. */
static inline char *ms_new(struct __test_metadata *_metadata, const char *path,
			   size_t len, int *fdp)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *base;

	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	base = ms_map(fd, len, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, base) TH_LOG("%s: mmap: %s", path,
					   strerror(errno));
	if (fdp)
		*fdp = fd;
	else
		close(fd);
	return base;
}

static inline struct peer peer_start(struct __test_metadata *_metadata)
{
	struct peer p;
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				sock));
	p.pid = fork();
	ASSERT_LE(0, p.pid);
	if (!p.pid) {
		close(sock[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer_serve(sock[1]);
	}
	close(sock[1]);
	p.sock = sock[0];
	return p;
}

/*
 * A plain region of one unit, MS_DIR "/a", and a peer that has it at @other;
 * the window here, at another address.
 */
static inline char *pair_start(struct __test_metadata *_metadata, size_t unit,
			       struct peer *p, long *other)
{
	char *base;

	*p = peer_start(_metadata);
	/* Moves the two apart. */
	base = mmap(NULL, 4 * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, base);
	base = ms_new(_metadata, MS_DIR "/a", unit, NULL);
	*other = peer_attach(p, MS_DIR "/a", O_RDWR, PROT_READ | PROT_WRITE);
	ASSERT_LT(0, *other);
	ASSERT_NE(L(base), *other);
	return base;
}

#define PAIR_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit;						\
		struct peer p;						\
		long other;	/* the window of the peer */		\
		char *base;	/* ours */				\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
		if (self->unit)						\
			self->base = pair_start(_metadata, self->unit,	\
						&self->p, &self->other);\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		EXPECT_EQ(0, peer_stop(&self->p));			\
	}

/* Expect a call to fail with one errno. */
#define EXPECT_ERR(err, call) do {					\
	errno = 0;							\
	EXPECT_EQ(-1, L(call));						\
	EXPECT_EQ(err, errno) {						\
		TH_LOG("%s: %s, expected %s", #call, strerror(errno),	\
		       strerror(err));					\
	}								\
} while (0)

#endif
