/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Low memory: of an operation each allocation is made to fail once, the first,
 * the second, and so on until the operation needs no more.
 *
 * Needs CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAULT_INJECTION_DEBUG_FS.
 */
#ifndef MSHARE_FAIL_NTH_H
#define MSHARE_FAIL_NTH_H

#define DEBUGFS		"/sys/kernel/debug"
#define MAX_ALLOCS	2000

FIXTURE(failnth) {
	size_t unit;
	long shmem, tables;
	int control;
};

FIXTURE_SETUP(failnth)
{
	const char *settings[][2] = {
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/failslab/verbose", "0" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "/fail_page_alloc/min-order", "0" },
		{ DEBUGFS "/fail_page_alloc/verbose", "0" },
	};

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	if (access("/proc/self/fail-nth", W_OK) ||
	    access(DEBUGFS "/failslab", F_OK) ||
	    access(DEBUGFS "/fail_page_alloc", F_OK)) {
		SKIP(return, "this kernel has no fault injection");
	}
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		ASSERT_EQ(0, write_file(settings[i][0], settings[i][1])) {
			TH_LOG("%s", settings[i][0]);
		}
	}
	self->control = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->control);
	self->shmem = meminfo_kb("Shmem");
	self->tables = other_tables_kb();
}

FIXTURE_TEARDOWN(failnth)
{
	EXPECT_EQ(self->shmem, meminfo_settles("Shmem", self->shmem));
	EXPECT_GE(self->tables, other_tables_settle(self->tables));
}

static inline void arm(int control, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	CHECK(pwrite(control, text, len, 0) == len);
}

/* Was the failure used up? Switches it off in any case. */
static inline bool disarm(int control)
{
	char text[16] = "";
	ssize_t n = pread(control, text, sizeof(text) - 1, 0);

	CHECK(n > 0);
	CHECK(pwrite(control, "0", 1, 0) == 1);
	return atoi(text) == 0;
}

/*
 * For n = 1, 2, ...: @before, then @op with the n-th allocation failing, then
 * @after. @op leaves 0 or an errno in "err"; every error but those named fails
 * the test.
 */
#define EACH_ALLOCATION(before, op, after, ...) do {			\
	const int ok[] = { 0, __VA_ARGS__ };				\
	int nth, err = 0;						\
	bool hit, known;						\
	for (nth = 1; nth < MAX_ALLOCS; nth++) {			\
		before;							\
		errno = 0;						\
		arm(self->control, nth);				\
		op;							\
		hit = disarm(self->control);				\
		known = false;						\
		for (size_t i_ = 0; i_ < ARRAY_SIZE(ok); i_++)		\
			known |= err == ok[i_];				\
		ASSERT_TRUE(known) {					\
			TH_LOG("allocation %d: %s", nth, strerror(err)); \
		}							\
		after;							\
		if (!hit)						\
			break;						\
		ASSERT_EQ(self->shmem, meminfo_settles("Shmem",		\
						       self->shmem)) {	\
			TH_LOG("allocation %d leaves memory", nth);	\
		}							\
	}								\
	EXPECT_EQ(0, err) {						\
		TH_LOG("fails without a failure: %s", strerror(err));	\
	}								\
	EXPECT_GT(MAX_ALLOCS, nth);					\
	hits = nth - 1;							\
} while (0)

/* Allocations that the last operation was seen to make. */
static int hits;

#endif
