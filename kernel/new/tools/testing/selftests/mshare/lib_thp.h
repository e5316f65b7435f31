/* SPDX-License-Identifier: GPL-2.0 */
/* Settings of transparent huge pages, which a test changes and puts back. */
#ifndef MSHARE_LIB_THP_H
#define MSHARE_LIB_THP_H

#include "lib_region.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define SHMEM_ENABLED	THP "shmem_enabled"

static const char *const thp_file[] = {
	THP "enabled", SHMEM_ENABLED,
	THP "khugepaged/scan_sleep_millisecs",
	THP "khugepaged/alloc_sleep_millisecs",
	THP "khugepaged/pages_to_scan",
	THP "khugepaged/max_ptes_none",
};

struct thp_settings {
	char text[ARRAY_SIZE(thp_file)][64];
};

/* "always [madvise] never": the one that is chosen. */
static inline void thp_chosen(char *text)
{
	char *from = strchr(text, '['), *to = strchr(text, ']');

	if (from && to) {
		*to = 0;
		memmove(text, from + 1, to - from);
	}
}

static inline void thp_save(struct __test_metadata *_metadata,
			    struct thp_settings *was)
{
	for (size_t i = 0; i < ARRAY_SIZE(thp_file); i++) {
		ASSERT_LT(0, read_file(thp_file[i], was->text[i],
				       sizeof(was->text[i]))) {
			TH_LOG("%s", thp_file[i]);
		}
		thp_chosen(was->text[i]);
	}
}

static inline void thp_restore(struct __test_metadata *_metadata,
			       const struct thp_settings *was)
{
	for (size_t i = 0; i < ARRAY_SIZE(thp_file); i++) {
		EXPECT_EQ(0, write_file(thp_file[i], was->text[i])) {
			TH_LOG("%s: %s", thp_file[i], was->text[i]);
		}
	}
}

/* khugepaged looks at everything, all the time; the number is milliseconds. */
static inline void thp_hurry(struct __test_metadata *_metadata,
			     const char *sleep)
{
	ASSERT_EQ(0, write_file(THP "khugepaged/scan_sleep_millisecs", sleep));
	ASSERT_EQ(0, write_file(THP "khugepaged/alloc_sleep_millisecs", sleep));
	ASSERT_EQ(0, write_file(THP "khugepaged/pages_to_scan", "8192"));
}

#endif
