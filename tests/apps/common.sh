# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# What the tests of applications have in common, to be sourced: $suite names
# them, $1 is the directory with the tool.
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
[ -d /sys/fs/mshare ] || skip_all "this kernel has no msharefs"
mshare=$1/mshare
work=$(mktemp -d)
chmod 755 "$work"

# Servers do not stay when the test ends too early: at its time limit, say.
stop_all() { :; }
trap 'stop_all >/dev/null 2>&1; rm -rf "$said" "$work"' EXIT
trap 'exit 1' TERM INT

# wait_for COMMAND...: until it succeeds, two minutes at most
wait_for() {
	read -r now _ </proc/uptime
	end=$((${now%.*} + 120))
	until "$@" >/dev/null 2>&1; do
		read -r now _ </proc/uptime
		[ "${now%.*}" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# has_window PID...: each of them has one
has_window() {
	[ $# -gt 0 ] || return 1
	for pid; do
		grep -q ' /sys/fs/mshare/' "/proc/$pid/maps" || return 1
	done
}
has_no_window() { ! has_window "$@"; }

# status_of PID NAME: the number that /proc/PID/status has for it
status_of() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }

# Regions without a name, too.
no_region() {
	[ -z "$("$mshare" ls -n)" ] && [ "$(cat /sys/kernel/mm/mshare/regions)" -eq 0 ]
}
# What a process had goes when it has ended, which is not waited for everywhere.
nothing_left() { wait_for no_region; }

# shared_areas FILE: how many areas the preload said that it has made windows of
shared_areas() { grep -c 'mshare: preload: [0-9]* bytes: shared page tables' "$1"; }
