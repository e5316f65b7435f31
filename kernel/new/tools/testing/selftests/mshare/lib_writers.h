/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writers and readers on all CPUs, each with a window of its own. Each page has
 * a word for each of them, and one that nobody writes any more.
 */
#ifndef MSHARE_LIB_WRITERS_H
#define MSHARE_LIB_WRITERS_H

#include <time.h>

#define USERS 4

struct use {
	int stop;
	unsigned long pages;
	unsigned long rounds[USERS];
	unsigned long wrong[USERS];
	struct peer p[USERS];
};

/* For peers: a[0] the memory, a[1] the struct use, a[2] who. */
static inline long op_use(const long *a)
{
	struct use *use = (void *)a[1];
	unsigned long n = 0;
	char *base = (char *)a[0] + a[2] * 64;

	pin(a[2]);
	while (!__atomic_load_n(&use->stop, __ATOMIC_RELAXED)) {
		/* All that it wrote in the last round is still there. */
		for (unsigned long i = a[2]; i < use->pages; i += 3) {
			char *at = base + i * PAGE;

			if (n && load(at) != pattern(n, i))
				use->wrong[a[2]]++;
			store(at, pattern(n + 1, i));
		}
		n++;
		/* And what others write is theirs. */
		for (unsigned long i = a[2]; i < use->pages; i += 7) {
			char *at = (char *)a[0] + i * PAGE + 64 * USERS;

			if (load(at) != pattern(9, i))
				use->wrong[a[2]]++;
		}
		__atomic_add_fetch(&use->rounds[a[2]], 1, __ATOMIC_RELEASE);
		/* What is always in use is not collapsed. */
		if (n % 2)
			usleep(30000);
	}
	return 0;
}

/*
 * Starts them on the first @pages of the region @path, of which @base is a
 * window.
 */
static inline struct use *use_start(struct __test_metadata *_metadata,
				    const char *path, char *base,
				    unsigned long pages)
{
	struct use *use = mmap(NULL, sizeof(*use), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long at;

	ASSERT_NE(MAP_FAILED, use);
	use->pages = pages;
	for (unsigned long i = 0; i < pages; i++)
		store(base + i * PAGE + 64 * USERS, pattern(9, i));
	for (int i = 0; i < USERS; i++) {
		use->p[i] = peer_start(_metadata);
		at = peer_attach(&use->p[i], path, O_RDWR,
				 PROT_READ | PROT_WRITE);
		ASSERT_LT(0, at);
		peer_begin(&use->p[i], op_use,
			   (long[PEER_ARGS]){ at, L(use), i });
	}
	return use;
}

static inline unsigned long use_least(struct use *use)
{
	unsigned long n = ~0ul;

	for (int i = 0; i < USERS; i++) {
		unsigned long r = __atomic_load_n(&use->rounds[i],
						  __ATOMIC_ACQUIRE);

		n = r < n ? r : n;
	}
	return n;
}

/* Waits until each of them has gone through all of it @n times more. */
static inline bool use_rounds(struct use *use, unsigned long n)
{
	unsigned long until = use_least(use) + n;
	time_t limit = time(NULL) + 60;

	while (use_least(use) < until) {
		if (time(NULL) > limit)
			return false;
		usleep(1000);
	}
	return true;
}

/* Nobody found anything that it should not have. */
static inline void use_stop(struct __test_metadata *_metadata, struct use *use)
{
	use->stop = 1;
	for (int i = 0; i < USERS; i++) {
		EXPECT_EQ(0, peer_end(&use->p[i]));
		EXPECT_EQ(0, use->wrong[i]);
		EXPECT_EQ(0, peer_stop(&use->p[i]));
	}
}

#endif
