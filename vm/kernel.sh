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

# shellcheck source=vm/progress.sh
. "$top/vm/progress.sh"
use_ccache "$top"
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1

trap 'stop_progress' EXIT
trap 'exit 130' INT TERM HUP

# The address checks of KASAN and KCSAN read pgtable_l5_enabled() in interrupts,
# while identify_cpu() has cleared all capability bits, of which it is one. With
# this it is a variable that nothing clears.
flags_of() {
	case $1 in debug|kcsan) echo '-DUSE_EARLY_PGTABLE_L5=' ;; esac
}

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
	progress "$flavour" "$log" "$estimate" &
	progress_pid=$!
	status=0
	make -C "$build/src" O="$obj" -j"$jobs" CC="$cc" HOSTCC="$cc" \
		KCFLAGS="$(flags_of "$flavour")" bzImage >>"$log" 2>&1 8>&- 9>&- || status=$?
	stop_progress
	if [ "$status" -ne 0 ]; then
		show_errors "$log" warning
		die "$flavour does not build"
	fi
	grep -E 'warning:' "$log" >&2 || :

	n=$(steps_of "$log")
	[ "$n" -lt "$estimate" ] && [ -f "$obj/build.steps" ] || echo "$n" >"$obj/build.steps"
	if [ "$n" -gt 0 ]; then
		echo "kernel $flavour: built in $(($(date +%s) - start)) s ($n steps)"
	fi
	mv "$obj/built.now" "$obj/built"
	exec 8>&- 9>&-
done
