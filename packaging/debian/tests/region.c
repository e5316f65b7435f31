// SPDX-License-Identifier: GPL-2.0
/* What autopkgtest compiles: a child writes to a region, the parent reads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mshare.h>

#define SIZE	(64UL << 20)
#define TEXT	"the child wrote"

static int fail(const char *what, int err)
{
	fprintf(stderr, "region: %s: %s\n", what, strerror(-err));
	return 1;
}

int main(void)
{
	struct mshare_region *region;
	struct mshare_window *window;
	int err = mshare_probe();
	char *memory;
	pid_t child;

	if (err == -ENOSYS || err == -ENODEV) {
		if (mshare_create(NULL, SIZE, 0, 0600, &region) != err)
			return fail("create without msharefs", -EEXIST);
		puts("no msharefs here");
		return 0;
	}
	err = err ?: mshare_create(NULL, SIZE, 0, 0600, &region);
	if (err)
		return fail("create", err);
	err = mshare_attach(region, NULL, 0, 0, PROT_READ | PROT_WRITE, 0,
			    &window);
	if (err)
		return fail("attach", err);
	memory = mshare_window_addr(window);
	child = fork();
	if (child < 0)
		return fail("fork", -errno);
	if (!child) {
		memcpy(memory + SIZE - 64, TEXT, sizeof(TEXT));
		_exit(0);
	}
	if (waitpid(child, NULL, 0) != child)
		return fail("waitpid", -errno);
	printf("%s, the parent read\n", memory + SIZE - 64);
	mshare_detach(window);
	mshare_close(region);
	return 0;
}
