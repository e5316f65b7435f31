/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Many processes that are attached to one region, at addresses that differ
 * from one to the next. MSHARE_CROWD says how many.
 */
#ifndef MSHARE_LIB_ATTACHED_H
#define MSHARE_LIB_ATTACHED_H

#define CROWD_BASE	(1UL << 45)
#define CROWD_PLACES	8

struct crowd {
	unsigned int n;
	struct peer *p;
	long *at;	/* their windows */
};

static inline unsigned int crowd_size(void)
{
	const char *n = getenv("MSHARE_CROWD");

	return n && *n ? atoi(n) : 500;
}

static inline struct crowd crowd_start(struct __test_metadata *_metadata,
				       unsigned int n)
{
	const struct rlimit files = { 2 * n + 256, 2 * n + 256 };
	struct crowd c = {
		.n = n,
		.p = calloc(n, sizeof(*c.p)),
		.at = calloc(n, sizeof(*c.at)),
	};

	ASSERT_TRUE(c.p && c.at);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (unsigned int i = 0; i < n; i++)
		c.p[i] = peer_start(_metadata);
	return c;
}

/*
 * Calls @fn in all of them at the same time. Its first argument is the window,
 * its second which process it is, the others are @arg. How many did not return
 * 0, or are gone.
 */
static inline unsigned int crowd_call_args(struct crowd *c,
					   long (*fn)(const long *),
					   const long *arg)
{
	long all[PEER_ARGS];
	unsigned int bad = 0;

	memcpy(all + 2, arg, sizeof(all) - 2 * sizeof(all[0]));
	for (unsigned int i = 0; i < c->n; i++) {
		all[0] = c->at[i];
		all[1] = i;
		peer_begin(&c->p[i], fn, all);
	}
	for (unsigned int i = 0; i < c->n; i++)
		bad += peer_end(&c->p[i]) != 0;
	return bad;
}

#define crowd_call(c, fn, ...) \
	crowd_call_args(c, fn, (long[PEER_ARGS]){ __VA_ARGS__ })

/* All of the region, to be read and written. */
static inline void crowd_attach(struct __test_metadata *_metadata,
				struct crowd *c, const char *path, size_t unit)
{
	for (unsigned int i = 0; i < c->n; i++) {
		c->at[i] = peer_call(&c->p[i], op_attach, L(path), O_RDWR,
				     PROT_READ | PROT_WRITE, CROWD_BASE +
				     i % CROWD_PLACES * 4 * unit);
		ASSERT_LT(0, c->at[i]) {
			TH_LOG("process %u: %s", i, strerror(-c->at[i]));
		}
	}
}

static inline void crowd_stop(struct __test_metadata *_metadata,
			      struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		EXPECT_EQ(0, peer_stop(&c->p[i]));
	}
	c->n = 0;
}

/* For crowd_call(): pages that do not hold what fill() wrote. */
static inline long op_crowd_damaged(const long *a)
{
	return damaged((char *)a[0], a[2], a[3]);
}

/*
 * For crowd_call(): a word of each process in a page of a[2], written when a[3]
 * and else compared with what has been written.
 */
static inline long op_crowd_word(const long *a)
{
	char *at = (char *)a[0] + a[1] % a[2] * PAGE + 64 + a[1] / a[2] * 8;

	if (!a[3])
		return load(at) != pattern(7, a[1]);
	store(at, pattern(7, a[1]));
	return 0;
}

#endif
