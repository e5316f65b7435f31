// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel without the feature says so: no file system, no directory, no flag.
 * The control for everything else: on such a kernel no other test may pass.
 */
#include "mshare_test.h"

FIXTURE(absent) {
	int unused;
};

FIXTURE_SETUP(absent)
{
	char text[4096];

	self->unused = 0;
	ASSERT_LT(0, read_file("/proc/filesystems", text, sizeof(text)));
	if (strstr(text, "msharefs"))
		SKIP(return, "this kernel has msharefs");
}

FIXTURE_TEARDOWN(absent)
{
}

TEST_F(absent, mount)
{
	char dir[] = "/tmp/mshare-absent-XXXXXX";

	ASSERT_NE(NULL, mkdtemp(dir));
	EXPECT_ERR(ENODEV, mount("msharefs", dir, "msharefs", 0, NULL));
	rmdir(dir);
}

TEST_F(absent, directory)
{
	EXPECT_ERR(ENOENT, access(MS_DIR, F_OK));
}

TEST_HARNESS_MAIN
