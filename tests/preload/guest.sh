#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The preload with the kernel. Usage: guest.sh DIRECTORY, with the programs.
# shellcheck disable=SC2034 # for what it sources
set -u
suite=preload
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
[ -d /sys/fs/mshare ] || skip_all "this kernel has no msharefs"
so=$1/preload/libmshare-preload.so
forker=$1/tests/forker
work=$(mktemp -d)

# Everything of 1 MiB is for it, and nothing else.
export MSHARE_PRELOAD_MIN_SIZE=1M MSHARE_PRELOAD_FILES=1 MSHARE_PRELOAD_SYSV=1
# For segments of huge pages.
echo 2 >/proc/sys/vm/nr_hugepages
cmocka areas env LD_PRELOAD="$so" MSHARE_PRELOAD_REQUIRE=1 "$1/tests/areas"
echo 0 >/proc/sys/vm/nr_hugepages
unset MSHARE_PRELOAD_MIN_SIZE MSHARE_PRELOAD_FILES MSHARE_PRELOAD_SYSV

# Page tables of 20 children that have touched 384 MiB: 768 KiB each, or none.
plain=$("$forker" 384 20)
check plain_server [ "$plain" -ge 768 ]
said_=$(LD_PRELOAD=$so MSHARE_PRELOAD_VERBOSE=1 "$forker" 384 20 2>&1 >"$work/out")
shared=$(cat "$work/out")
echo "# VmPTE of a child: $plain KiB plain, $shared KiB with the preload"
check server [ -n "$shared" ]
check tables_below_a_tenth [ "$((shared * 10))" -lt "$plain" ]
check verbose [ "$said_" = \
	"mshare: preload: 402653184 bytes: shared page tables: /sys/fs/mshare" ]
# Nothing is left when they are gone.
check no_region_left [ "$(ls /sys/fs/mshare)" = mshare_info ]

# In the program that the program becomes, too.
check exec env LD_PRELOAD="$so" MSHARE_PRELOAD_REQUIRE=1 env "$forker" 64 2

# fails NAME STATUS ERRORS VARIABLES...
fails() {
	name=$1 want=$2 errors=$3 status=0
	shift 3
	env LD_PRELOAD="$so" "$@" "$forker" 64 2 >"$said" 2>"$work/err" || status=$?
	cat "$work/err" >>"$said"
	[ "$status" -eq "$want" ] && [ "$(cat "$work/err")" = "$errors" ]
	result $? "$name"
}
mkdir "$work/elsewhere"
fails not_msharefs 0 'mshare: preload: 67108864 bytes: ordinary memory: msharefs is not mounted' \
	MSHARE_PRELOAD_DIR="$work/elsewhere"
check umount umount -n /sys/fs/mshare
fails not_mounted 0 \
	'mshare: preload: 67108864 bytes: ordinary memory: msharefs is not mounted'
fails required 1 'mshare: preload: 67108864 bytes: refused: msharefs is not mounted
forker: Cannot allocate memory' MSHARE_PRELOAD_REQUIRE=1
check mount mount -n -t msharefs -o size=32M msharefs /sys/fs/mshare
fails full 1 'mshare: preload: 67108864 bytes: refused: not enough room in msharefs
forker: Cannot allocate memory' MSHARE_PRELOAD_REQUIRE=1
check umount_small umount -n /sys/fs/mshare
check mount_again mount -n -t msharefs msharefs /sys/fs/mshare
finish
