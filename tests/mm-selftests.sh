#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the kernel's own tests that tests/mm-selftests.list names, in the machine.
# Usage: mm-selftests.sh DIR. Prints "@mm STATUS PASSED FAILED SKIPPED PROGRAM"
# for each, for tests/run.sh to compare.
set -u
list=$(cd "${0%/*}" && pwd)/mm-selftests.list
cd "$1" || exit 1
out=/run/mm-selftest

echo 128 >/proc/sys/vm/nr_hugepages
while read -r what seconds program; do
	[ "$what" = run ] || continue
	echo "mshare-test: mm $program" >/dev/kmsg
	echo "# $program"
	# Some of them lose a race of their own now and then.
	for try in 1 2 3; do
		status=0
		# shellcheck disable=SC2086 # program and arguments
		case $program in
		on-fault-limit)	# not as root
			timeout -k 5 "$seconds" setpriv --reuid 65534 --regid 65534 \
				--clear-groups ./$program ;;
		*)	timeout -k 5 "$seconds" ./$program ;;
		esac </dev/null >"$out" 2>&1 || status=$?
		cat "$out"
		case $status in 0|4) break ;; esac
		echo "# $program: try $try: status $status"
	done
	counts=$(awk '/^(# )*ok .*# *SKIP/ { s++; next } /^(# )*ok / { p++ } /^(# )*not ok / { f++ }
		END { print p + 0, f + 0, s + 0 }' "$out")
	echo "@mm $status $counts $program"
done <"$list"
