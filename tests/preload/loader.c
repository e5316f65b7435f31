// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a library as PHP does, which is found in the directory of this program
 * only, by what is written in it: who calls dlopen(3) matters. The library maps
 * 64 MiB; status 3 if it cannot.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(void)
{
	void *library = dlopen("library.so", RTLD_NOW | RTLD_GLOBAL | RTLD_DEEPBIND);
	int (*map)(unsigned long len);

	if (!library) {
		fprintf(stderr, "loader: %s\n", dlerror());
		return 1;
	}
	map = dlsym(library, "map_shared");
	if (!map)
		return 2;
	return map(64 << 20) ? 3 : 0;
}
