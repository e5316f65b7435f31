#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The Debian packages, in a Debian: a root directory made with mmdebstrap, with
# PostgreSQL and our packages; booted in QEMU, with Debian's own kernel, which has
# no msharefs, and with ours. Prints TAP. Usage: packages.sh [FLAVOUR|vm], "vm" for
# the kernel of ./run vm. tests/packages/guest.sh is the part in the machine.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=packages
top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/deb
cd "$top" || exit 1
me=deb die_status=2
# shellcheck source=packaging/lib.sh
. packaging/lib.sh

# ------------------------------------------------------------- what is tested
which=${1:-}
image_package() {
	find "$out" -maxdepth 1 -name "linux-image-$series.*-mshare-${1}_*_amd64.deb" 2>/dev/null | sort | tail -n 1
}
if [ "$which" != vm ]; then
	kernel_deb=
	for flavour in ${which:-cloud-amd64 amd64}; do
		[ -n "$kernel_deb" ] || kernel_deb=$(image_package "$flavour")
	done
	[ -n "$kernel_deb" ] ||
		die "test: no package of Linux $series in build/deb: ./run deb kernel --series $series --flavour ${which:-cloud-amd64}"
fi
# Before tap.sh, which has a trap: what fails here is no result of a test.
packaging/userland.sh >/dev/null || exit 2

# Debian without us, kept from run to run: PostgreSQL with a cluster, what the
# tests of the packages compile with, and a kernel of Debian.
include=systemd-sysv,udev,kmod,initramfs-tools,zstd,procps,libjson-c5
include=$include,postgresql-15,gcc,libc6-dev,binutils,pkgconf,linux-image-cloud-amd64
base=$out/root.tar
if [ ! -f "$base" ] || [ "$(cat "$base.include" 2>/dev/null)" != "$include" ]; then
	echo "# making a root directory of Debian 12, log in build/deb/mmdebstrap.log"
	sources='deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main'
	echo "$sources" | timeout -k 10 1800 mmdebstrap --mode=root --variant=apt \
		--aptopt='APT::Install-Recommends "false"' --include="$include" \
		bookworm "$base.new" - >"$out/mmdebstrap.log" 2>&1 || {
		tail -n 5 "$out/mmdebstrap.log" >&2
		die "test: mmdebstrap failed, see build/deb/mmdebstrap.log"
	}
	mv "$base.new" "$base"
	echo "$include" >"$base.include"
fi

# shellcheck source=tests/tap.sh
. tests/tap.sh
qemu=
trap '[ -z "$qemu" ] || kill "$qemu"; rm -rf "$said" "$work"' EXIT
trap 'exit 130' INT TERM HUP
work=$(mktemp -d "$out/test.XXXXXX")
root=$work/root
echo "TAP version 13"

# ------------------------------------------------------------------- bad input
# refused NAME MESSAGE ARGS...: ./run deb ARGS says MESSAGE, in one line, and
# changes nothing
refused() {
	name=$1 message=$2 status=0
	shift 2
	./run deb "$@" >"$work/said" 2>&1 </dev/null || status=$?
	cp "$work/said" "$said"
	[ "$status" -eq 2 ] && [ "$(tail -n 1 "$work/said")" = "mshare: deb: $message" ]
	result $? "$name"
}
refused unknown_part 'frob: userland, kernel, all or test' frob
refused two_parts 'kernel or userland, not both' kernel userland
refused unknown_flavour '--flavour rt: amd64 or cloud-amd64' kernel --flavour rt
refused no_flavour '--flavour needs a value' kernel --flavour
refused unknown_kernel '--kernel debian: only vm' test --kernel debian
refused flavour_of_userland '--flavour is for kernels' userland --flavour amd64
refused unknown_option '--frob: unknown option' --frob

# kernel_refused NAME MESSAGE VARIABLE=VALUE: of the script itself, with another
# directory of configurations
kernel_refused() {
	name=$1 message=$2 status=0
	shift 2
	env "$@" packaging/kernel.sh cloud-amd64 >"$said" 2>&1 </dev/null || status=$?
	[ "$status" -ne 0 ] && tail -n 1 "$said" | grep -qF "mshare: deb: $message"
	result $? "$name"
}
if installed_version "$config_package" >"$said"; then
	mkdir "$work/configs"
	kernel_refused no_config "kernel: $work/configs/config.amd64_none_cloud-amd64.xz: not found" \
		"MSHARE_KERNEL_CONFIGS=$work/configs"
	echo '# Linux/x86 6.1.1 Kernel Configuration' | xz >"$work/configs/config.amd64_none_cloud-amd64.xz"
	kernel_refused other_version "kernel: $work/configs/config.amd64_none_cloud-amd64.xz is not of Linux" \
		"MSHARE_KERNEL_CONFIGS=$work/configs"
fi

# ----------------------------------------------------------------- the machine
in_root() {
	unshare --mount --pid --fork --mount-proc="$root/proc" \
		timeout -k 10 900 chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
}
mkdir "$root"
check unpack tar -C "$root" -xf "$base"
mkdir "$root/root/debs" "$root/root/tests"
for p in $userland_packages; do
	cp "$out/${p}"_*_amd64.deb "$root/root/debs/"
done
cp packaging/debian/tests/* tests/tap.sh tests/packages/guest.sh "$root/root/tests/"
check install in_root sh -c 'dpkg -i /root/debs/*.deb'
if [ "$which" != vm ]; then
	cp "$kernel_deb" "$root/root/"
	check install_kernel in_root sh -c 'dpkg -i /root/linux-image-*.deb'
	rm -f "$root"/root/linux-image-*.deb
fi
# A mount unit of an ordinary Debian is not started here, where nothing runs.
check enabled in_root systemctl is-enabled sys-fs-mshare.mount
check unit_verifies in_root systemd-analyze verify --man=no \
	/lib/systemd/system/sys-fs-mshare.mount

cat >>"$root/etc/postgresql/15/main/environment" <<'END'
LD_PRELOAD = 'libmshare-preload.so'
MSHARE_PRELOAD_ONLY = 'postgres'
END
cat >"$root/etc/systemd/system/mshare-test.service" <<'END'
[Unit]
Wants=postgresql.service
After=postgresql.service postgresql@15-main.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/root/tests/guest.sh
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
END
in_root systemctl -q enable mshare-test.service
in_root systemd-machine-id-setup >"$said" 2>&1
echo mshare >"$root/etc/hostname"

# find_boot PATTERN: vmlinuz and initrd of the kernel of that name
find_boot() {
	vmlinuz=$(find "$root/boot" -name "vmlinuz-$1" | sort | tail -n 1)
	initrd=$root/boot/initrd.img-${vmlinuz##*/vmlinuz-}
	[ -f "$vmlinuz" ] && [ -f "$initrd" ] || return 1
	cp "$vmlinuz" "$work/vmlinuz-$2"
	cp "$initrd" "$work/initrd-$2"
}
check kernel_of_debian find_boot '*[0-9]-cloud-amd64' without
if [ "$which" = vm ]; then
	# It has what is needed for the disk built in.
	cp "$kernels/release/arch/x86/boot/bzImage" "$work/vmlinuz-with"
else
	check kernel_of_ours find_boot '*-mshare-*' with
fi
image=$work/disk.img
# Owners and all, without a mount.
check image timeout -k 10 600 mke2fs -q -t ext4 -d "$root" "$image" 4G
rm -rf "$root"

# As in vm/vm.sh: the guest counts time with the host's counter. On a busy host it
# must not measure it, nor test its timer.
check counter gcc -O2 -Wall -o "$work/tsc-khz" vm/tsc-khz.c

# boot MODE: run the tests of guest.sh for a kernel with msharefs, or without
boot() {
	mode=$1
	[ -f "$work/vmlinuz-$mode" ] || { result 1 "$mode.kernel"; return; }
	console=$out/console-$mode.log
	rm -f "$console"
	: >"$work/tap-$mode"
	echo "# booting: $mode msharefs, console in build/deb/console-$mode.log"
	set -- -kernel "$work/vmlinuz-$mode"
	[ ! -f "$work/initrd-$mode" ] || set -- "$@" -initrd "$work/initrd-$mode"
	timeout -k 5 "${MSHARE_DEB_TIMEOUT:-2400}" qemu-system-x86_64 -M q35 -cpu max -accel tcg,thread=multi \
		-smp 2 -m 2G -nodefaults -no-user-config -display none -no-reboot "$@" \
		-append "root=/dev/vda rw console=ttyS0 panic=-1 oops=panic panic_on_warn=1 \
no_timer_check tsc=reliable tsc_early_khz=$("$work/tsc-khz") \
rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 systemd.default_timeout_start_sec=1200 \
systemd.getty_auto=no systemd.show_status=no systemd.log_color=0 mshare.test=$mode mshare.first=$n" \
		-drive "if=none,id=disk,format=raw,cache=unsafe,file=$image" \
		-device virtio-blk-pci,drive=disk \
		-chardev "file,id=console,path=$console" -serial chardev:console \
		-device virtio-serial-pci -chardev "file,id=tap,path=$work/tap-$mode" \
		-device virtserialport,chardev=tap,name=mshare.tap \
		</dev/null >"$work/qemu.err" 2>&1 &
	qemu=$!
	tail -n +1 -f --pid="$qemu" "$work/tap-$mode" | grep --line-buffered -v '^1\.\.'
	wait "$qemu"
	qemu=
	n=$((n + $(grep -cE '^(not )?ok ' "$work/tap-$mode")))
	bad=$((bad + $(grep -c '^not ok ' "$work/tap-$mode")))
	# The plan comes last: without it the machine was lost.
	if ! grep -q '^1\.\.' "$work/tap-$mode"; then
		cat "$work/qemu.err" >"$said"
		tail -n 30 "$console" | tr -d '\r' >>"$said"
		result 1 "$mode.end"
	fi
	check "$mode.kernel_log" vm/splats --allow '' "$console"
}
boot without
boot with
finish
