// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer of the cover letter "Add support for shared PTEs across
 * processes", version 2, with its obvious slips corrected: the file is opened
 * for writing, as it is then mapped so, a parenthesis is where it was meant to
 * be, and results are checked. Everything else is as it stands there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct mshare_info {
	unsigned long start;
	unsigned long size;
};

int main(void)
{
	struct mshare_info minfo;
	ssize_t count;
	char *addr;
	int fd;

	fd = open("/sys/fs/mshare/shareme", O_RDWR);
	if (fd < 0) {
		perror("ERROR: open failed");
		return 1;
	}
	count = read(fd, &minfo, sizeof(struct mshare_info));
	if (count <= 0) {
		perror("ERROR: read failed");
		return 1;
	}
	printf("INFO: %ld bytes shared at addr 0x%lx\n", minfo.size,
	       minfo.start);
	addr = mmap((void *)minfo.start, minfo.size, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED) {
		perror("ERROR: mmap failed");
		return 1;
	}
	printf("Guest mmap at %p:\n", (void *)addr);
	printf("%s\n", addr);
	printf("\nDone\n");
	return 0;
}
