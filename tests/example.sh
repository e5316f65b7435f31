#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The example program of the documentation does what the documentation says.
# Usage: example.sh DIRECTORY, with the program in it. Prints TAP.
set -u
dir=$1
region=/sys/fs/mshare/example
expected='at 0 KiB: 65536 KiB, writable, kind 1
at 65536 KiB: 1024 KiB, read-only, kind 2
table: a table
store: done
cache: hello
store to read-only memory: killed
store to writable memory: done
cache: world
resident: 8 KiB, page tables: 16 KiB, processes: 1'

echo "TAP version 13"
echo "1..3"
if [ ! -d /sys/fs/mshare ]; then
	for n in 1 2 3; do
		echo "ok $n example.$n # SKIP this kernel has no msharefs"
	done
	exit 4
fi
failed=0
check() {
	if [ "$3" -eq 0 ]; then
		echo "ok $1 example.$2"
	else
		echo "not ok $1 example.$2"
		failed=1
	fi
}
output=$("$dir/example" "$region" 2>&1)
check 1 ends $?
printf '%s\n' "$output" | sed 's/^/# /'
[ "$output" = "$expected" ]
check 2 output $?
[ ! -e "$region" ]
check 3 gone $?
exit $failed
