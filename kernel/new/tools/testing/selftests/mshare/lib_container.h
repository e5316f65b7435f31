/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Containers, objects to map into them, and processes that watch one word of a
 * window.
 */
#ifndef MSHARE_LIB_CONTAINER_H
#define MSHARE_LIB_CONTAINER_H

#include "lib_region.h"
#include "lib_watch.h"

/* A container: a region with a size and nothing in it. */
static inline int ms_container(struct __test_metadata *_metadata,
			       const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	ASSERT_EQ(0, ftruncate(fd, size)) TH_LOG("%s: %s", path,
						 strerror(errno));
	return fd;
}

/* A test with one container of four units and a window of the whole of it. */
#define UNITS 4

#define CONTAINER_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit, size;					\
		char *base;						\
		int fd;							\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
		self->size = UNITS * self->unit;			\
		if (self->unit) {					\
			self->fd = ms_container(_metadata, MS_DIR "/a",	\
						self->size);		\
			self->base = ms_map(self->fd, self->size, RW);	\
			ASSERT_NE(MAP_FAILED, self->base);		\
		}							\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
	}

/*
 * A container of @size, MS_DIR "/a", with a window of all of it here and, at
 * @other, in a peer.
 */
static inline char *ms_container_pair(struct __test_metadata *_metadata,
				      size_t size, int *fd, struct peer *p,
				      long *other)
{
	char *base;

	*p = peer_start(_metadata);
	*fd = ms_container(_metadata, MS_DIR "/a", size);
	base = ms_map(*fd, size, RW);
	ASSERT_NE(MAP_FAILED, base);
	*other = peer_attach(p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, *other);
	return base;
}

/* A memfd whose pages hold what fill() would write. */
static inline int ms_memfd(struct __test_metadata *_metadata,
			   unsigned int region, unsigned long pages)
{
	int fd = memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, file_fill(fd, region, pages));
	return fd;
}

/*
 * WATCHERS new processes look at @off of MS_DIR "/a", each in its own window of
 * a file that is open with @flags.
 */
static inline void watchers_open(struct __test_metadata *_metadata,
				 struct watch *w, struct peer *p, size_t off,
				 int flags)
{
	long base;

	for (unsigned int i = 0; i < WATCHERS; i++) {
		p[i] = peer_start(_metadata);
		base = peer_attach(&p[i], MS_DIR "/a", flags, PROT_READ);
		ASSERT_LT(0, base);
		peer_begin(&p[i], op_watch,
			   (long[PEER_ARGS]){ base + off, L(w), i });
	}
}

/* These bring in memory that nobody has written yet, and see zeros there. */
static inline void watchers_start(struct __test_metadata *_metadata,
				  struct watch *w, struct peer *p, size_t off)
{
	watchers_open(_metadata, w, p, off, O_RDWR);
}

/* Ends them: none has seen what must not be. */
static inline void watchers_stop(struct __test_metadata *_metadata,
				 struct watch *w, struct peer *p)
{
	w->stop = 1;
	for (unsigned int i = 0; i < WATCHERS; i++) {
		EXPECT_EQ(0, peer_end(&p[i]));
		EXPECT_EQ(0, w->by[i].wrong) {
			TH_LOG("watcher %u: of %lu, last %#llx", i,
			       w->by[i].looks,
			       (unsigned long long)w->by[i].last);
		}
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
}

#endif
