// SPDX-License-Identifier: GPL-2.0
/*
 * The donor of the cover letter "Add support for shared PTEs across processes",
 * version 2, with its obvious slips corrected: the mapping is one of the file,
 * not anonymous memory, and results are checked. Everything else is as it
 * stands there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	unsigned long alignsize, start, size;
	char req[128] = "";
	char *addr;
	int fd;

	fd = open("/sys/fs/mshare/mshare_info", O_RDONLY);
	if (fd < 0 || read(fd, req, sizeof(req) - 1) <= 0) {
		perror("ERROR: mshare_info");
		return 1;
	}
	alignsize = atoi(req);
	close(fd);

	fd = open("/sys/fs/mshare/shareme", O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0) {
		perror("ERROR: open failed");
		return 1;
	}
	start = alignsize * 4;
	size = alignsize * 2;
	addr = mmap((void *)start, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (addr == MAP_FAILED) {
		perror("ERROR: mmap failed");
		return 1;
	}
	strncpy(addr, "Some random shared text",
		sizeof("Some random shared text"));
	return 0;
}
