// SPDX-License-Identifier: GPL-2.0
/* What autopkgtest preloads into: each of four children writes a quarter. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE	(128UL << 20)
#define PART	(SIZE / 4)

int main(void)
{
	char line[512], *memory;
	int window = 0;
	FILE *maps;

	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("server");
		return 1;
	}
	for (int i = 0; i < 4; i++)
		if (!fork()) {
			memset(memory + i * PART, 'a' + i, PART);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (size_t i = 0; i < SIZE; i += 512)
		if (memory[i] != (char)('a' + i / PART)) {
			fprintf(stderr, "server: wrong at %zu\n", i);
			return 1;
		}
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		window |= !!strstr(line, "/sys/fs/mshare/");
	puts(window ? "a window" : "ordinary memory");
	return 0;
}
