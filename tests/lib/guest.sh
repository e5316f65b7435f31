#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# libmshare with the kernel. Usage: guest.sh DIRECTORY, with the programs in it.
# shellcheck disable=SC2034,SC2016 # for tap.sh; a script in quotes
set -u
suite=lib
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
[ -d /sys/fs/mshare ] || skip_all "this kernel has no msharefs"
echo 1 >/proc/sys/vm/overcommit_memory
cmocka api "$1/tests/api"
cmocka windows "$1/tests/windows"
cmocka real "$1/tests/real"
# What the guide says its programs print.
for program in "$1"/tests/example-*.expected; do
	program=${program%.expected}
	check "guide.${program##*-}" sh -c '"$1" 2>&1 | diff "$1.expected" -' - "$program"
done
# -n: nothing is noted in /run, which would be counted.
check unmount umount -n /sys/fs/mshare
cmocka unmounted "$1/tests/absent" ENODEV
check mount mount -n -t msharefs msharefs /sys/fs/mshare
finish
