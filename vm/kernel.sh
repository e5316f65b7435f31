#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# vm/kernel.sh FLAVOUR...: build the kernel of each flavour in
# build/kernel/FLAVOUR from build/kernel/src. Nothing is rebuilt that did not
# change. Several callers at once take turns for a flavour, and the source tree
# does not change while one of them builds.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build/kernel
jobs=${MSHARE_JOBS:-$(nproc)}

die() { echo "mshare: kernel: $*" >&2; exit 1; }

mkdir -p "$build"

# The same objects are found again by a clone elsewhere: no absolute paths, one
# language of messages.
unset LC_ALL LC_CTYPE LC_MESSAGES
export LANG=C.UTF-8
cc=gcc
if command -v ccache >/dev/null 2>&1; then
	cc='ccache gcc'
	export CCACHE_BASEDIR="$top" CCACHE_NOHASHDIR=1
	export CCACHE_SLOPPINESS=time_macros,include_file_mtime,include_file_ctime
fi
export KBUILD_BUILD_USER=mshare KBUILD_BUILD_HOST=mshare
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1

# progress LOG ESTIMATE: a line now and then, over itself on a terminal.
progress() {
	start=$(date +%s)
	step=10
	[ -z "${CI:-}" ] || step=60
	[ ! -t 1 ] || step=2
	while sleep "$step" >/dev/null 2>&1 8>&- 9>&-; do
		n=$(grep -cE '^  (CC|AS|HOSTCC|LD|AR) ' "$1" || :)
		line="kernel $flavour: $n of about $2 steps, $(($(date +%s) - start)) s"
		if [ -t 1 ]; then printf '\r%s ' "$line"; else echo "$line"; fi
	done
}

progress_pid=
stop_progress() {
	[ -z "$progress_pid" ] || kill "$progress_pid" 2>/dev/null || :
	[ -z "$progress_pid" ] || wait "$progress_pid" 2>/dev/null || :
	[ -z "$progress_pid" ] || [ ! -t 1 ] || printf '\r\033[K'
	progress_pid=
}
trap 'stop_progress' EXIT
trap 'exit 130' INT TERM HUP

for flavour in "$@"; do
	obj=$build/$flavour
	log=$obj/build.log
	mkdir -p "$obj"
	exec 8>"$obj/lock"
	flock -n 8 || {
		echo "kernel $flavour: waiting for another build" >&2
		flock 8
	}
	"$top/kernel/apply" "$build"
	exec 9>"$build/lock"
	flock -s 9

	# make takes seconds to find that there is nothing to do.
	inputs=$(cat "$top/kernel/config/base" "$top/kernel/config/$flavour" \
		"$top/vm/kconfig.sh" "$top/vm/kernel.sh" | cksum; gcc -dumpfullversion)
	if [ -f "$obj/arch/x86/boot/bzImage" ] && [ -f "$obj/.config" ] &&
	   [ "$(cat "$obj/built" 2>/dev/null)" = "$inputs" ] &&
	   [ -z "$(find "$build/src" -newer "$obj/built" -print -quit)" ]; then
		exec 8>&- 9>&-
		continue
	fi
	# Dated before the build reads the first file, in place only after its end.
	echo "$inputs" >"$obj/built.now"
	"$top/vm/kconfig.sh" "$flavour" "$build/src" "$obj"
	start=$(date +%s)

	# What a build from nothing took last time, else a round figure.
	estimate=$(cat "$obj/build.steps" 2>/dev/null || echo 2000)
	: >"$log"
	progress "$log" "$estimate" &
	progress_pid=$!
	status=0
	make -C "$build/src" O="$obj" -j"$jobs" CC="$cc" HOSTCC="$cc" \
		bzImage >>"$log" 2>&1 8>&- 9>&- || status=$?
	stop_progress
	if [ "$status" -ne 0 ]; then
		grep -nE -m 20 '(error|Error|undefined reference|warning):' "$log" >&2 || :
		echo "--- end of $log" >&2
		tail -n 25 "$log" >&2
		die "$flavour does not build"
	fi
	grep -E 'warning:' "$log" >&2 || :

	n=$(grep -cE '^  (CC|AS|HOSTCC|LD|AR) ' "$log" || :)
	[ "$n" -lt "$estimate" ] && [ -f "$obj/build.steps" ] || echo "$n" >"$obj/build.steps"
	if [ "$n" -gt 0 ]; then
		echo "kernel $flavour: built in $(($(date +%s) - start)) s ($n steps)"
	fi
	mv "$obj/built.now" "$obj/built"
	exec 8>&- 9>&-
done
