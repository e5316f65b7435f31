#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# findings/empty-stock.sh [PACKAGE=VERSION]...: a removed memory cgroup that
# nothing is charged to can stay "dying" until the CPU that charged it last
# charges another cgroup.
#
# Software: Linux 6.1.176-1 and 6.12.117-1~deb12u1 of Debian 12.
#
# The guess: a cgroup in nr_dying_descendants still has page cache or slab
# objects charged to it, and waiting, sync and drop_caches free it.
#
# What is so: a CPU charges a cgroup 64 pages at once and keeps what it does not
# need yet, its stock, which holds a reference to the cgroup. When a cgroup is
# removed, drain_all_stock() in mm/memcontrol.c returns the pages in stocks and
# drops the references, but it skips a stock with no page left. So a cgroup that
# a CPU has charged a multiple of 64 pages can stay: at most one for each CPU,
# until that CPU charges another one. The root cgroup is never charged and does
# not help.
#
# Seen: the expected lines below, on both kernels, and in most runs
#
#	processes whose cgroup stayed: 65 129 193 257
#
# The script boots each kernel in QEMU, with one CPU. The first lines are about a
# cgroup that was charged just these pages, which are free again when it is
# removed: what memory.current has left is the stock. Then 320 processes with 1 to
# 320 pages of memory live and die, each in a cgroup of its own. Kernel memory is
# charged there, too, so which cgroups stay can differ; at least one must.
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
63 pages: memory.current 4096, dying 0
64 pages: memory.current 0, dying 1, drop_caches 1, a page elsewhere 0
65 pages: memory.current 258048, dying 0
128 pages: memory.current 0, dying 1, drop_caches 1, a page elsewhere 0
at least one of 320 processes: yes, a page elsewhere 0
EOF

cat >"$dir/init.c" <<'EOF'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CG	"/cgroup"
#define PAGE	4096UL

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
	int fd = check(open(path, O_WRONLY), path);

	check(write(fd, text, strlen(text)), path);
	close(fd);
}

static char *get(const char *path)
{
	static char text[4096];
	int fd = check(open(path, O_RDONLY), path);

	text[check(read(fd, text, sizeof(text) - 1), path)] = 0;
	close(fd);
	return text;
}

static long dying(void)
{
	char *at = strstr(get(CG "/cgroup.stat"), "nr_dying_descendants ");

	check(at ? 0 : -1, "nr_dying_descendants");
	return atol(at + strlen("nr_dying_descendants "));
}

/* Waits until no removed cgroup is left, for some seconds at most. */
static long dying_after(int seconds)
{
	for (int i = 0; i < 50 * seconds && dying(); i++)
		usleep(20000);
	return dying();
}

/*
 * Charges the cgroup these pages, and nothing else: open files, page tables and
 * the anon_vma are there before this process moves from the root cgroup into it.
 * The last page is for the anon_vma and stays with the root cgroup.
 */
static void charge(const char *procs, unsigned long pages)
{
	int in = check(open(procs, O_WRONLY), procs);
	int out = check(open(CG "/cgroup.procs", O_WRONLY), "cgroup.procs");
	unsigned long size = (pages + 1) * PAGE;
	volatile char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(mem == MAP_FAILED ? -1 : 0, "mmap");
	check(madvise((void *)mem, size, MADV_NOHUGEPAGE), "madvise");
	for (unsigned long i = 0; i < pages; i++)
		(void)mem[i * PAGE];
	mem[pages * PAGE] = 1;
	check(write(in, "0", 1), "move in");
	for (unsigned long i = 0; i < pages; i++)
		mem[i * PAGE] = 1;
	check(write(out, "0", 1), "move out");
	munmap((void *)mem, size);
	close(in);
	close(out);
}

static void user_pages(unsigned long pages)
{
	check(mkdir(CG "/x", 0755), "mkdir");
	charge(CG "/x/cgroup.procs", pages);
	printf("%lu pages: memory.current %ld", pages,
	       atol(get(CG "/x/memory.current")));
	check(rmdir(CG "/x"), "rmdir");
	printf(", dying %ld", dying_after(10));
	if (dying()) {
		sync();
		put("/proc/sys/vm/drop_caches", "3");
		printf(", drop_caches %ld", dying_after(5));
		charge(CG "/other/cgroup.procs", 1);
		printf(", a page elsewhere %ld", dying_after(10));
	}
	printf("\n");
}

static void processes(void)
{
	int stayed = 0;

	printf("processes whose cgroup stayed:");
	for (int pages = 1; pages <= 320; pages++) {
		pid_t pid;
		int status;

		check(mkdir(CG "/x", 0755), "mkdir");
		pid = check(fork(), "fork");
		if (!pid) {
			volatile char *mem = malloc(pages * PAGE);

			put(CG "/x/cgroup.procs", "0");
			for (int i = 0; i < pages; i++)
				mem[i * PAGE] = 1;
			_exit(0);
		}
		check(waitpid(pid, &status, 0), "waitpid");
		check(status ? -1 : 0, "child");
		check(rmdir(CG "/x"), "rmdir");
		if (dying_after(5)) {
			stayed++;
			printf(" %d", pages);
			charge(CG "/other/cgroup.procs", 1);
			if (dying_after(10))
				break;
		}
	}
	printf("\nat least one of 320 processes: %s, a page elsewhere %ld\n",
	       stayed ? "yes" : "no", dying());
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	check(mkdir("/proc", 0755), "mkdir");
	check(mkdir(CG, 0755), "mkdir");
	check(mount("proc", "/proc", "proc", 0, NULL), "/proc");
	check(mount("cgroup", CG, "cgroup2", 0, NULL), CG);
	put(CG "/cgroup.subtree_control", "+memory");
	check(mkdir(CG "/other", 0755), "mkdir");
	printf("%s", get("/proc/version"));
	user_pages(63);
	user_pages(64);
	user_pages(65);
	user_pages(128);
	processes();
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
