// SPDX-License-Identifier: GPL-2.0
/*
 * A server that forks and knows nothing of mshare:
 *
 *	forker MIB CHILDREN
 *
 * Each child touches all of the shared memory and checks it. Prints the average
 * VmPTE of the children in KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmpte.h"

static size_t len;
static volatile char *memory;

static int child(int number, unsigned long *ptes)
{
	for (size_t i = 0; i < len; i += 4096)
		if (memory[i] != (char)(i >> 12))
			return 1;
	ptes[number] = vmpte();
	return munmap((void *)memory, len) ? 2 : 0;
}

int main(int argc, char **argv)
{
	int children = argc > 2 ? atoi(argv[2]) : 0, status, bad = 0;
	unsigned long sum = 0, *ptes;

	len = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Small: never for the preload. */
	ptes = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || ptes == MAP_FAILED) {
		perror("forker");
		return 1;
	}
	for (size_t i = 0; i < len; i += 4096)
		memory[i] = i >> 12;
	for (int i = 0; i < children; i++)
		if (!fork())
			_exit(child(i, ptes));
	while (wait(&status) > 0)
		bad |= status;
	for (int i = 0; i < children; i++)
		sum += ptes[i];
	printf("%lu\n", children ? sum / children : 0);
	return bad ? 3 : munmap((void *)memory, len) ? 4 : 0;
}
