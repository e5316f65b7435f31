// SPDX-License-Identifier: GPL-2.0
/* A library that maps memory itself, for loader. */
#include <sys/mman.h>

int map_shared(unsigned long len);

int map_shared(unsigned long len)
{
	void *p = mmap(0, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : munmap(p, len);
}
