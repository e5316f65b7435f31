#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The part of tests/run.sh that runs in the machine: each suite with a time
# limit, and after each a look at what it left behind in the kernel.
# Usage: guest-suite.sh DIR SUITE:SECONDS[:NAME=VALUE[,NAME=VALUE]]...
# Lines that begin with @ are for tests/tap.awk.
set -u
dir=$1
shift
here=${0%/*}
userland=$PWD/build/userland
before=/run/mshare-leaks

# On a tmpfs: both have their page before anything is counted.
echo "# nothing" >"$before"
echo "# nothing" >"$before.left"

# Directories of the host that are written to for the first time get an inode of
# their own, and keep it.
for where in /tmp /var/tmp; do
	: >"$where/mshare-warm" && rm -f "$where/mshare-warm"
done
# mount(8) makes this one when it wants to, and leaves it.
mkdir -p /run/mount
"$dir/leaks" warm

say() { echo "mshare-test: $*" >/dev/kmsg; }

for spec; do
	suite=${spec%%:*}
	rest=${spec#*:}
	seconds=${rest%%:*}
	vars=
	[ "$rest" = "$seconds" ] || vars=$(echo "${rest#*:}" | tr , ' ')

	# The same redirection as below: an open file counts, too.
	"$dir/leaks" save "$before" >>"$before.left" ||
		echo "@fail leaks cannot be counted"
	echo "@suite $suite"
	say "suite $suite"
	start=$(cut -d. -f1 /proc/uptime)
	case $suite in
	seed004) set -- "$here/seed004/test.sh" "$dir" ;;
	example) set -- "$here/example.sh" "$dir" ;;
	postgres|pgmemory|php|sysv|posixshm|fio) set -- "$here/apps/$suite.sh" "$userland" ;;
	lib|preload|tool) set -- "$here/$suite/guest.sh" "$userland" ;;
	*) set -- "$dir/$suite" ;;
	esac
	status=0
	# shellcheck disable=SC2086 # several variables in one word
	env $vars timeout -k 10 "$seconds" "$@" </dev/null 2>&1 || status=$?
	now=$(cut -d. -f1 /proc/uptime)
	echo "@end $suite $status $((now - start))"
	say "suite $suite ended with $status"
	# Not $(...): the pipe that it takes would be counted.
	if "$dir/leaks" check "$before" >>"$before.left"; then
		echo "@leaks $suite ok"
	else
		grep leaked: "$before.left"
		while IFS= read -r line; do say "$suite: $line"; done <"$before.left"
		echo "# nothing" >"$before.left"
		echo "@leaks $suite failed"
	fi
done
echo "@done"
