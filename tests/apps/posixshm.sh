#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# POSIX shared memory of programs that are executed each by itself: Python's
# multiprocessing.shared_memory, and stress-ng. Without mshare and with it. Usage:
# posixshm.sh DIRECTORY, with the tool. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=posixshm
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
here=$(cd "${0%/*}" && pwd)

with_mshare() { "$mshare" run --require --files --verbose "$@"; }
exchange() {
	"$@" /usr/bin/python3 -S "$here/posixshm.py" produce "mshare-test" 96 3 \
		>"$work/out" 2>"$work/err" && ! grep Traceback "$work/err"
}
# kinds: how many processes have which kind of memory; tables KIND: the average
kinds() { awk '/^(window|plain) / { n[$1]++ } END { for (k in n) print k, n[k] }' "$work/err"; }
tables() { awk -v kind="$1" '$1 == kind { s += $2; n++ } END { print n ? int(s / n) : 0 }' "$work/err"; }
no_file() { [ -z "$(find /dev/shm -type f)" ]; }

check plain exchange env
cp "$work/out" "$work/plain"
check plain_kinds [ "$(kinds)" = "plain 13" ]
plain=$(tables plain)
# The memory is right, and what 12 processes wrote there.
check plain_is_right sh -c "[ \$(awk '{ print \$NF }' '$work/plain' | sort | uniq -c |
	awk '\$1 == 13' | wc -l) -eq 1 ]"
check exchange exchange with_mshare --
check same_results cmp "$work/plain" "$work/out"
check windows [ "$(kinds)" = "window 13" ]
check areas [ "$(shared_areas "$work/err")" -eq 4 ]
echo "# VmPTE of a process: $plain KiB plain, $(tables window) KiB with the preload"
# 96 MiB have 192 KiB of page tables; a Python of its own has as much again.
check page_tables [ "$((plain - $(tables window)))" -ge 180 ]
check no_file no_file
check nothing_left nothing_left

# It maps, grows, shrinks and closes segments all the time.
stress() {
	"$@" stress-ng --temp-path "$work" --no-rand-seed --verify --shm 2 \
		--shm-bytes 2M --shm-objs 4 --shm-ops 16 --timeout 200
}
check stress_plain stress env
stress_shared() {
	stress "$mshare" run --files --min-size 1M --verbose \
		>"$work/stress" 2>&1 || { tail "$work/stress"; return 1; }
}
check stress stress_shared
echo "# stress-ng: $(shared_areas "$work/stress") windows"
check stress_windows [ "$(shared_areas "$work/stress")" -ge 1 ]
check stress_no_file no_file
check stress_nothing_left nothing_left
finish
