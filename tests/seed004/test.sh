#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The two example programs of the public proposal, as a user would run them: the
# donor makes a region and exits, the consumer finds its text at its address.
# Usage: test.sh DIRECTORY, with the programs in it. Prints TAP.
set -u
dir=$1
name=/sys/fs/mshare/shareme
n=0 failed=0

check() {
	what=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n seed004.$what"
	else
		echo "not ok $n seed004.$what"
		failed=1
	fi
}

# shellcheck disable=SC2317 # called through check
has() { printf '%s\n' "$output" | grep -qxF -- "$1"; }

echo "TAP version 13"
echo "1..8"
if [ ! -d /sys/fs/mshare ]; then
	for what in donor name consumer address hint text unlink gone; do
		n=$((n + 1))
		echo "ok $n seed004.$what # SKIP this kernel has no msharefs"
	done
	exit 4
fi
unit=$(cat /sys/fs/mshare/mshare_info)
check donor "$dir/donor"
check name [ -f "$name" ]
output=$("$dir/consumer")
check consumer [ $? -eq 0 ]
printf '%s\n' "$output" | sed 's/^/# /'
# The address that the donor asked for is free in any process.
start=$(printf '0x%x' $((unit * 4)))
check address has "INFO: $((unit * 2)) bytes shared at addr $start"
check hint has "Guest mmap at $start:"
check text has "Some random shared text"
check unlink rm "$name"
check gone [ ! -e "$name" ]
exit $failed
