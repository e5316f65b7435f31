/* SPDX-License-Identifier: GPL-2.0 */
/* What /proc tells of one mapping of this process, found by its address. */
#ifndef MSHARE_LIB_SMAPS_H
#define MSHARE_LIB_SMAPS_H

/* From the line of the mapping at @base in a file of maps on, or NULL. */
static inline char *proc_entry(const char *file, const void *base,
			       const char *separator)
{
	static char text[1 << 18];
	char start[32], *p;

	if (read_file(file, text, sizeof(text)) < 0)
		return NULL;
	snprintf(start, sizeof(start), "%lx%s", L(base), separator);
	for (p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, start, strlen(start)))
			return p;
	return NULL;
}

/* A field of the mapping at @base in smaps, in kB; -1: not there. */
static inline long smaps_kb(const void *base, const char *field)
{
	char *p = proc_entry("/proc/self/smaps", base, "-");
	char name[64];

	snprintf(name, sizeof(name), "\n%s:", field);
	p = p ? strstr(p, name) : NULL;
	return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

static inline bool smaps_flag(const void *base, const char *flag)
{
	char *p = proc_entry("/proc/self/smaps", base, "-"), *end;
	char name[8];

	p = p ? strstr(p, "\nVmFlags:") : NULL;
	end = p ? strchr(p + 1, '\n') : NULL;
	if (!end)
		return false;
	*end = 0;
	snprintf(name, sizeof(name), " %s ", flag);
	return strstr(p, name);
}

/* The line of the mapping at @base in numa_maps, NULL when there is none. */
static inline char *numa_line(const void *base)
{
	char *p = proc_entry("/proc/self/numa_maps", base, " ");

	if (p)
		p[strcspn(p, "\n")] = 0;
	return p;
}

/* The number after a word like "mapmax=" of that line; -1: not there. */
static inline long numa_field(const void *base, const char *name)
{
	char *p = numa_line(base);

	p = p ? strstr(p, name) : NULL;
	return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

/* In a peer. */
static inline long op_smaps(const long *a)
{
	return smaps_kb((void *)a[0], (const char *)a[1]);
}

/* How many of @pages pages mincore(2) finds; -1: it failed. */
static inline long pages_in_core(const void *at, size_t pages)
{
	unsigned char vec[8192];
	long there = 0;

	if (pages > sizeof(vec) || mincore((void *)at, pages * PAGE, vec))
		return -1;
	for (size_t i = 0; i < pages; i++)
		there += vec[i] & 1;
	return there;
}

#define PM_PRESENT	(1ull << 63)
#define PM_SWAP		(1ull << 62)
#define PM_FILE		(1ull << 61)
#define PM_EXCLUSIVE	(1ull << 56)

/* Entries of /proc/self/pagemap; what could not be read is all ones. */
static inline void pagemap_read(const void *at, uint64_t *entry, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (pread(fd, entry, pages * 8, L(at) / PAGE * 8) != (ssize_t)pages * 8)
		memset(entry, 0xff, pages * 8);
	close(fd);
}

#endif
