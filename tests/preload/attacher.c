// SPDX-License-Identifier: GPL-2.0
/*
 * A program that attaches a segment of System V by its key, and knows nothing of
 * mshare:
 *
 *	attacher KEY [MIB]
 *
 * With MIB it makes the segment first, and fills it. Prints the sum of the first
 * bytes of all pages, the value of a counter there that it adds one to, and its
 * VmPTE in KiB; keeps the segment until standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

#include "vmpte.h"

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	key_t key = argc > 1 ? strtol(argv[1], NULL, 0) : 0;
	size_t len = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	int id = shmget(key, len, len ? IPC_CREAT | IPC_EXCL | 0600 : 0);
	unsigned long sum = 0;
	struct shmid_ds ds;
	unsigned int *counter;
	unsigned char *p;
	char byte;

	if (id < 0 || shmctl(id, IPC_STAT, &ds))
		return fail("shmget");
	p = shmat(id, NULL, 0);
	if (p == (void *)-1)
		return fail("shmat");
	for (size_t i = 0; i < len; i += 4096)
		p[i] = i >> 12;
	for (size_t i = 0; i < ds.shm_segsz; i += 4096)
		sum += p[i];
	counter = (unsigned int *)(p + 8);
	printf("%lu %u %lu\n", sum, __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST),
	       vmpte());
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return shmdt(p) ? fail("shmdt") : 0;
}
