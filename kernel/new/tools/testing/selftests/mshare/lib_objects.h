/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of all kinds that can be mapped into a region. The file systems are
 * mounted under /mnt, in the mount namespace of the test.
 */
#ifndef MSHARE_LIB_OBJECTS_H
#define MSHARE_LIB_OBJECTS_H

#include <sys/ipc.h>
#include <sys/shm.h>

#define MNT		"/mnt"
#define DISK		MNT "/disk"	/* ext4 on the disk */
#define DAX		MNT "/dax"	/* ext4 on persistent memory */
#define HUGEFS		MNT "/huge"	/* hugetlbfs */
#define OVERLAY		MNT "/overlay"	/* overlayfs on the tmpfs at MNT */
#define PMEM		"/dev/pmem0"
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	MAP_HUGE_2MB
#endif
#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"

static inline int mount_tmpfs(void)
{
	struct statfs sf;

	if (!statfs(MNT, &sf) && sf.f_type == 0x01021994 /* TMPFS_MAGIC */)
		return 0;
	return mount("tmpfs", MNT, "tmpfs", 0, "mode=755") ? -errno : 0;
}

/* Extents of whole, aligned 2 MiB, if only for DAX. */
static inline int make_ext4(const char *device)
{
	const char *const argv[] = {
		"mkfs.ext4", "-q", "-F", "-b", "4096", "-E",
		"stride=512,stripe_width=512,lazy_itable_init=0,lazy_journal_init=0",
		device, NULL
	};

	return run_program(argv);
}

static inline int mount_ext4(const char *device, const char *dir,
			     const char *options)
{
	int err = mount_tmpfs();

	if (err)
		return err;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	/* What was there before is another test's. */
	err = make_ext4(device);
	if (err)
		return err < 0 ? err : -EIO;
	return mount(device, dir, "ext4", 0, options) ? -errno : 0;
}

static inline int mount_disk(void)
{
	const char *disk = getenv("MSHARE_DISK");

	return disk && *disk ? mount_ext4(disk, DISK, NULL) : -ENODEV;
}

static inline int mount_dax(void)
{
	return mount_ext4(PMEM, DAX, "dax=always");
}

static inline int mount_overlay(void)
{
	const char *const dir[] = { MNT "/l", MNT "/u", MNT "/w", OVERLAY };
	int err = mount_tmpfs();

	for (size_t i = 0; !err && i < ARRAY_SIZE(dir); i++)
		err = mkdir(dir[i], 0755) ? -errno : 0;
	if (!err && mount("overlay", OVERLAY, "overlay", 0,
			  "lowerdir=" MNT "/l,upperdir=" MNT "/u,workdir=" MNT "/w"))
		err = -errno;
	return err;
}

static inline int mount_hugetlbfs(void)
{
	int err = mount_tmpfs();

	if (err)
		return err;
	if (mkdir(HUGEFS, 0755))
		return -errno;
	return mount("hugetlbfs", HUGEFS, "hugetlbfs", 0, "pagesize=2M") ?
	       -errno : 0;
}

static inline long hugepages(const char *which)
{
	char field[32];

	snprintf(field, sizeof(field), "HugePages_%s", which);
	return file_field("/proc/meminfo", field);
}

/* Asks for a pool of @n huge pages; how many there are then. */
static inline long hugepage_pool(long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", n);
	for (int i = 0; i < 5 && hugepages("Total") != n; i++) {
		if (i && n) {
			write_file("/proc/sys/vm/drop_caches", "3");
			write_file("/proc/sys/vm/compact_memory", "1");
		}
		if (i && !n)
			usleep(100000);
		write_file(NR_HUGEPAGES, text);
	}
	return hugepages("Total");
}

/*
 * The file of a System V segment: what the kernel maps has a name under
 * /proc/self/map_files.
 */
static inline int sysv_file(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600), fd;
	char path[64], *at;

	if (id < 0)
		return -errno;
	at = shmat(id, NULL, 0);
	/* It is gone with the last user. */
	shmctl(id, IPC_RMID, NULL);
	if (at == (char *)-1)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", L(at),
		 L(at) + size);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	shmdt(at);
	return fd;
}

#endif
