// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups, see lib_cgroup.h. */
#include "lib_cgroup.h"

/* Makes cgroup @name; -errno. */
int cg_create(const char *name)
{
	char path[128];
	struct statfs sf;

	if (statfs(CG_ROOT, &sf) || sf.f_type != CGROUP2_SUPER_MAGIC) {
		if (mount("cgroup2", CG_ROOT, "cgroup2", 0, NULL))
			return -errno;
	}
	write_file(CG_ROOT "/cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), CG_ROOT "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), CG_ROOT "/%s/memory.stat", name);
	return access(path, R_OK) ? -errno : 0;
}

int cg_write(const char *name, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), CG_ROOT "/%s/%s", name, file);
	return write_file(path, text);
}

/* The calling process goes there; NULL is the root. */
int cg_enter(const char *name)
{
	return name ? cg_write(name, "cgroup.procs", "0") :
		      write_file(CG_ROOT "/cgroup.procs", "0");
}

int cg_remove(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CG_ROOT "/%s", name);
	for (int i = 0; i < 100; i++) {
		if (!rmdir(path))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(20000);
	}
	return -errno;
}

/*
 * Pages of this program itself can have been reclaimed and read in again by a
 * process of the group: mapped as they are, they would hold it. Only for groups
 * without memory that is looked at later.
 */
void cg_empty(const char *name)
{
	for (int i = 0; i < 10 && cg_write(name, "memory.reclaim", "64M"); i++)
		usleep(10000);
}

long cg_stat(const char *name, const char *field)
{
	char path[128];

	/* memory.stat may be old; cpu.stat has everything summed up. */
	snprintf(path, sizeof(path), CG_ROOT "/%s/cpu.stat", name);
	file_field(path, "usage_usec");
	snprintf(path, sizeof(path), CG_ROOT "/%s/memory.stat", name);
	return file_field(path, field);
}

/* What a process that ended holds is freed a little later: waits for @want. */
long cg_stat_settles(const char *name, const char *field, long want)
{
	long now = cg_stat(name, field);

	for (int i = 0; i < 60 && now != want; i++) {
		usleep(100000);
		now = cg_stat(name, field);
	}
	return now;
}

long cg_dying(void)
{
	return file_field(CG_ROOT "/cgroup.stat", "nr_dying_descendants");
}

/* KASAN holds freed objects back, and each holds its cgroup. */
static void cg_shrink_slabs(void)
{
	glob_t g;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		write_file(g.gl_pathv[i], "1");
	globfree(&g);
}

/* For in_child(): charges a cgroup on one CPU. */
static int cg_charge(void *cpu)
{
	char *p;

	pin(L(cpu));
	CHECK(!cg_enter("mshare-stock"));
	/* Objects and pages: there is a stock of each. */
	p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 64; i++)
		store(p + i * PAGE, 1);
	return 0;
}

/*
 * Each CPU keeps a stock of charges of the cgroup that it has charged or
 * uncharged last, with a reference. Removing the cgroup drains the stock, but
 * only if there is a page in it: an empty one holds the removed cgroup until the
 * CPU charges for another. That one is never removed: it would be held the same
 * way.
 */
static void cg_replace_stock(void)
{
	if (cg_create("mshare-stock"))
		return;
	for (long i = 0; i < cpus(); i++)
		in_child(cg_charge, (void *)i);
}

/* Waits until no more than @want removed cgroups are left. */
long cg_dying_settles(long want)
{
	write_file("/proc/sys/vm/drop_caches", "3");
	for (int i = 0; i < 100 && cg_dying() > want; i++) {
		usleep(100000);
		if (i % 20 == 2)
			cg_replace_stock();
		if (i % 20 == 10)
			cg_shrink_slabs();
	}
	return cg_dying();
}

/*
 * Swap off and on again: brings everything back to memory, and empties the
 * caches of swap slots, which would keep hold of a cgroup. In the namespace of
 * the first process, as the swap area holds on to the mount of its device.
 * For in_child().
 */
int cg_swap_again(void *arg)
{
	int ns = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	char text[1024], path[128];

	(void)arg;
	CHECK(ns >= 0 && !setns(ns, CLONE_NEWNS));
	CHECK(read_file("/proc/swaps", text, sizeof(text)) > 0);
	CHECK(sscanf(text, "%*[^\n]\n%127s", path) == 1);
	CHECK(!swapoff(path));
	CHECK(!swapon(path, 0));
	return 0;
}

/* The number in a file of the cgroup. */
long cg_number(const char *name, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), CG_ROOT "/%s/%s", name, file);
	return file_number(path);
}

long cg_events(const char *name, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), CG_ROOT "/%s/memory.events", name);
	return file_field(path, what);
}

/* For peers. */
long op_enter(const long *a)
{
	return cg_enter((char *)a[0]);
}

/* For peers: a plain region a[0] of a[1] bytes; the window or -errno. */
long op_new(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL, 0600);
	char *base = ms_map(fd, a[1], PROT_READ | PROT_WRITE);

	close(fd);
	return base == MAP_FAILED ? -errno : L(base);
}

/* For peers: private memory of a[0] bytes, all touched; its address. */
long op_private(const long *a)
{
	char *at = mmap(NULL, a[0], PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	fill(at, 3, a[0] / PAGE);
	return L(at);
}
