// SPDX-License-Identifier: GPL-2.0
/* mshare: protections and kinds of memory in letters */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tool.h"

static const struct {
	const char *name;
	int prot;
} prots[] = {
	{ "none", PROT_NONE },
	{ "r", PROT_READ },
	{ "rw", PROT_READ | PROT_WRITE },
	{ "rx", PROT_READ | PROT_EXEC },
	{ "rwx", PROT_READ | PROT_WRITE | PROT_EXEC },
	{ "w", PROT_WRITE },
	{ "x", PROT_EXEC },
	{ "wx", PROT_WRITE | PROT_EXEC },
};

#define PROTS (sizeof(prots) / sizeof(prots[0]))

int parse_prot(const char *text, int *prot)
{
	for (size_t i = 0; i < PROTS; i++) {
		if (!strcmp(text, prots[i].name)) {
			*prot = prots[i].prot;
			return 0;
		}
	}
	return -EINVAL;
}

const char *show_prot(unsigned int prot)
{
	for (size_t i = 0; i < PROTS; i++)
		if (prot == (unsigned int)prots[i].prot)
			return prots[i].name;
	return "?";
}

/* The options that say what memory is to be like. */
int memory_flag(int letter)
{
	switch (letter) {
	case 'p':
		return MAP_POPULATE;
	case 'l':
		return MAP_LOCKED;
	case 'N':
		return MAP_NORESERVE;
	case 'H':
		return MAP_HUGETLB;
	}
	return 0;
}
