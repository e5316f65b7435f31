#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The mshare tool with the kernel. Usage: guest.sh DIRECTORY, with the programs.
# shellcheck disable=SC2034 # for what it sources
set -u
suite=tool
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
[ -d /sys/fs/mshare ] || skip_all "this kernel has no msharefs"
# shellcheck source=tests/tool/cases.sh
. "${0%/*}/cases.sh"
mshare=$1/mshare
work=$(mktemp -d)
region_cases
map_cases

# Two processes share what they have touched.
"$1/tests/user" one 3 >"$work/ready" &
user=$!
while ! grep -q ready "$work/ready"; do sleep 0.1; done
expect used 0 '*' '' show -J one
has processes '"processes": 3'
tables=$(sed -n 's/.*"page_tables": \([0-9]*\),/\1/p' "$work/out")
has saved "\"saved\": $((tables * 2))"
check tables [ "$tables" -gt 0 ]
kill "$user"
wait "$user" 2>/dev/null

output_cases

# Programs that the preload cannot be in run as ever, whatever was asked for, and
# not a word is said.
mkdir -p "$work/preload"
chmod 755 "$work"
cp "$1/mshare" "$1/tests/shared" "$1/tests/shared-static" "$work/"
cp "$1/preload/libmshare-preload.so" "$work/preload/"
cp "$work/shared" "$work/shared-setuid"
chmod 4755 "$work/shared-setuid"
as_nobody() { runuser -u nobody -- "$work/mshare" run --require --verbose "$work/$1" 2>&1; }
check run_with_window [ "$(as_nobody shared)" = \
	"mshare: preload: 67108864 bytes: shared page tables: /sys/fs/mshare
itself, 1 windows" ]
check run_setuid [ "$(as_nobody shared-setuid)" = 'setuid, 0 windows' ]
check run_static [ "$(as_nobody shared-static)" = 'itself, 0 windows' ]

check umount umount -n /sys/fs/mshare
check run_setuid_unmounted [ "$(as_nobody shared-setuid)" = 'setuid, 0 windows' ]
check run_static_unmounted [ "$(as_nobody shared-static)" = 'itself, 0 windows' ]
missing_cases 'msharefs is not mounted (mshare mount)'
expect mount_wrong 1 '' 'mshare: /sys/fs/mshare: cannot be mounted: wrong options: frob=1' \
	mount -o frob=1
expect mount_nowhere 1 '' 'mshare: /none: cannot be mounted: No such file or directory' \
	mount /none
expect mount 0 '' '' mount -o mode=1777
expect usable 0 '*' '' doctor
check umount_again umount -n /sys/fs/mshare
expect mount_small 0 '' '' mount -o size=20K
expect fill_it 0 '' '' create -p full 8K
expect doctor_full 1 '*' '' doctor
has doctor_sees_the_limit 'BAD  mount    it is there, 0 B of 20 KiB are free'
has doctor_finds_no_memory 'BAD  memory   there is none'
check umount_small umount -n /sys/fs/mshare
check mount_again mount -n -t msharefs msharefs /sys/fs/mshare
finish
