// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that use shared memory, until they are killed.
 *
 *	user REGION PROCESSES		a region of msharefs, its first page
 *	user - PROCESSES MIB		ordinary shared memory, all of it
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <mshare.h>

static volatile char *memory;
static size_t size = 4096;

static int attach(const char *name)
{
	struct mshare_window *window;
	struct mshare_region *region;
	int err;

	err = mshare_open(name, O_RDWR, &region);
	if (!err)
		err = mshare_attach(region, NULL, 0, 0, PROT_READ | PROT_WRITE,
				    0, &window);
	if (!err)
		memory = mshare_window_addr(window);
	return err;
}

static void touch(void)
{
	for (size_t i = 0; i < size; i += 4096)
		memory[i] = 1;
}

int main(int argc, char **argv)
{
	int processes = argc > 2 ? atoi(argv[2]) : 0, done[2];
	char byte;

	if (argc < 3 || pipe(done))
		return 2;
	if (strcmp(argv[1], "-")) {
		if (attach(argv[1]))
			return 1;
	} else {
		size = argc > 3 ? strtoul(argv[3], NULL, 10) << 20 : 0;
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			return 1;
	}
	touch();
	for (int i = 1; i < processes; i++) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			touch();
			if (write(done[1], "x", 1) != 1)
				return 1;
			pause();
			return 0;
		}
		if (read(done[0], &byte, 1) != 1)
			return 1;
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	pause();
	return 0;
}
