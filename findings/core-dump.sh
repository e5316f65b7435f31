#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# findings/core-dump.sh [PACKAGE=VERSION]...: a core dump allocates the pages of
# shared memory that nobody has touched, and they stay when the process is gone.
#
# Software: Linux 6.1.176-1 and 6.12.117-1~deb12u1 of Debian 12.
#
# The guess: memory that was never touched becomes a hole in the core file. To
# dump it allocates nothing.
#
# What is so: this holds for private memory. In shared memory the dump takes a
# page fault on each page that is missing, and a fault in tmpfs allocates the
# page. The page is mapped in the dying process, so that needs page tables, too.
# They go with the process; the pages belong to the shared memory, and stay.
# no_page_table() in mm/gup.c leaves a hole only where the VMA has no fault
# handler, which is so for private anonymous memory; shared memory has that of
# tmpfs.
#
# Bit 1 of coredump_filter, which is set by default, is for shared memory that has
# no name. So memory of shm_open() is in the dump once shm_unlink() has removed the
# name, and not before.
#
# Seen: the expected lines below, on both kernels.
#
# The script boots each kernel in QEMU. A process maps 64 MiB and touches one
# page. Its child calls abort(), and the program in core_pattern reads the dump.
# The first number is what the child's VmRSS has grown by, from before abort() to
# the end of the dump. The second is how many pages there are in the memory after
# that, as mincore(2) tells the parent.
#
# Needs: qemu-system-x86 gcc libc6-dev cpio gzip, and apt's lists of Debian 12.
# Exit status: 0 as stated here, 1 not so any more, 2 could not be tried.
set -eu

[ $# -gt 0 ] || set -- linux-image-6.1.0-50-cloud-amd64=6.1.176-1 \
	linux-image-6.12.117+deb12-cloud-amd64=6.12.117-1~deb12u1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM
die() { echo "$0: $*" >&2; exit 2; }

cat >"$dir/expected" <<'EOF'
private: 0 MiB more in the dumping process, then 1 of 16384 pages
shared: 64 MiB more in the dumping process, then 16384 of 16384 pages
memfd: 64 MiB more in the dumping process, then 16384 of 16384 pages
System V: 64 MiB more in the dumping process, then 16384 of 16384 pages
shm_open: 0 MiB more in the dumping process, then 1 of 16384 pages
shm_open, shm_unlink: 64 MiB more in the dumping process, then 16384 of 16384 pages
shared, MADV_DONTDUMP: 0 MiB more in the dumping process, then 1 of 16384 pages
shared, coredump_filter 0x31: 0 MiB more in the dumping process, then 1 of 16384 pages
EOF

cat >"$dir/init.c" <<'EOF'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	16384UL
#define SIZE	(PAGES * 4096)

static void stop(void)
{
	fflush(stdout);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static long check(long ret, const char *what)
{
	if (ret < 0) {
		printf("error: %s: %s\n", what, strerror(errno));
		stop();
	}
	return ret;
}

static void put(const char *path, const char *text)
{
	int fd = check(open(path, O_WRONLY | O_CREAT, 0644), path);

	check(write(fd, text, strlen(text)), path);
	close(fd);
}

static char *get(const char *path)
{
	static char text[8192];
	int fd = check(open(path, O_RDONLY), path);

	text[check(read(fd, text, sizeof(text) - 1), path)] = 0;
	close(fd);
	return text;
}

static long rss(const char *pid)
{
	char path[64];
	char *at;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	at = strstr(get(path), "\nVmRSS:");
	return at ? atol(at + strlen("\nVmRSS:")) : -1;
}

static void put_rss(const char *path, const char *pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", rss(pid));
	put(path, text);
}

/* core_pattern: the process that is dumped waits for this one. */
static int reader(const char *pid)
{
	static char data[1 << 16];

	while (read(STDIN_FILENO, data, sizeof(data)) > 0)
		;
	put_rss("/after", pid);
	return 0;
}

static void dump(const char *name, char *mem)
{
	static unsigned char there[PAGES];
	unsigned long pages = 0;
	long grown;
	int status;
	pid_t pid;

	check(mem == (void *)-1 ? -1 : 0, name);
	mem[0] = 1;
	unlink("/before");
	unlink("/after");
	pid = check(fork(), "fork");
	if (!pid) {
		put_rss("/before", "self");
		abort();
	}
	check(waitpid(pid, &status, 0), "waitpid");
	check(WIFSIGNALED(status) && WCOREDUMP(status) ? 0 : -1, "no dump");
	grown = atol(get("/after"));
	grown -= atol(get("/before"));
	check(mincore(mem, SIZE, there), "mincore");
	for (unsigned long i = 0; i < PAGES; i++)
		pages += there[i] & 1;
	printf("%s: %ld MiB more in the dumping process, then %lu of %lu pages\n",
	       name, (grown + 512) / 1024, pages, PAGES);
}

static void *anon(int flags)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags,
		    -1, 0);
}

static void *map_file(int fd)
{
	void *mem;

	check(ftruncate(fd, SIZE), "ftruncate");
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return mem;
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	void *mem;
	int id;

	if (argc == 3 && !strcmp(argv[1], "core"))
		return reader(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	check(mkdir("/proc", 0755), "mkdir");
	check(mount("proc", "/proc", "proc", 0, NULL), "/proc");
	check(mkdir("/dev/shm", 0755), "mkdir");
	check(mount("shm", "/dev/shm", "tmpfs", 0, NULL), "/dev/shm");
	put("/proc/sys/kernel/core_pattern", "|/init core %P");
	put("/proc/sys/kernel/core_pipe_limit", "1");
	check(setrlimit(RLIMIT_CORE, &unlimited), "setrlimit");
	printf("%s", get("/proc/version"));

	mem = anon(MAP_PRIVATE);
	dump("private", mem);
	munmap(mem, SIZE);

	mem = anon(MAP_SHARED);
	dump("shared", mem);
	munmap(mem, SIZE);

	id = check(memfd_create("memory", 0), "memfd_create");
	mem = map_file(id);
	dump("memfd", mem);
	munmap(mem, SIZE);

	id = check(shm_open("/memory", O_RDWR | O_CREAT, 0600), "shm_open");
	mem = map_file(id);
	dump("shm_open", mem);
	munmap(mem, SIZE);
	check(shm_unlink("/memory"), "shm_unlink");

	id = check(shm_open("/memory", O_RDWR | O_CREAT, 0600), "shm_open");
	mem = map_file(id);
	check(shm_unlink("/memory"), "shm_unlink");
	dump("shm_open, shm_unlink", mem);
	munmap(mem, SIZE);

	id = check(shmget(IPC_PRIVATE, SIZE, 0600), "shmget");
	mem = shmat(id, NULL, 0);
	check(shmctl(id, IPC_RMID, NULL), "shmctl");
	dump("System V", mem);
	shmdt(mem);

	mem = anon(MAP_SHARED);
	check(madvise(mem, SIZE, MADV_DONTDUMP), "madvise");
	dump("shared, MADV_DONTDUMP", mem);
	munmap(mem, SIZE);

	mem = anon(MAP_SHARED);
	put("/proc/self/coredump_filter", "0x31");
	dump("shared, coredump_filter 0x31", mem);
	printf("end\n");
	stop();
}
EOF

gcc -O1 -Wall -static -o "$dir/init" "$dir/init.c" || die "gcc failed"
(cd "$dir" && echo init | cpio -o -H newc --quiet | gzip >initramfs.gz) ||
	die "no initramfs"
qemu-system-x86_64 --version | head -n 1

changed=0
for package; do
	rm -rf "$dir/package"
	mkdir "$dir/package"
	(cd "$dir/package" && apt-get -qq -o APT::Sandbox::User=root download "$package" &&
		dpkg-deb -x ./*.deb .) || die "$package: not to be had"
	echo "== $package"
	timeout --foreground 900 qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp 1 -m 256 \
		-nodefaults -no-user-config -no-reboot -display none -serial stdio \
		-kernel "$dir"/package/boot/vmlinuz-* -initrd "$dir/initramfs.gz" \
		-append "console=ttyS0 loglevel=1 panic=-1 no_timer_check" </dev/null >"$dir/console" ||
		die "QEMU failed"
	tr -d '\r' <"$dir/console" | tee "$dir/seen"
	grep -qx end "$dir/seen" || die "the machine did not come to the end"
	while read -r line; do
		grep -qxF "$line" "$dir/seen" || { echo "not seen: $line"; changed=1; }
	done <"$dir/expected"
done
[ "$changed" -eq 0 ] && echo "as stated" || echo "not as stated"
exit "$changed"
