#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The preload without a machine: its parts under AddressSanitizer and UBSan with a
# fake of msharefs, and the library on this kernel, which has none. Prints TAP.
# shellcheck disable=SC2016 # scripts in quotes
set -u
suite=preload
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
work=$(mktemp -d)
asan=$PWD/build/asan
plain=$PWD/build/userland

check builds_with_sanitizers make -s -C tests/preload fake O="$asan" \
	SANITIZE=address,undefined
for unit in config table calls sysv threads; do
	rm -rf "$work/fake" "$work/fake.meta"
	mkdir "$work/fake"
	echo 1073741824 >"$work/fake/mshare_info"
	MSHARE_FAKE=mounted MSHARE_FAKE_DIR=$work/fake \
		cmocka "$unit" "$asan/tests/preload-$unit"
done

check builds make -s -C tests/preload real O="$plain"
so=$plain/preload/libmshare-preload.so
exported() { nm -D --defined-only "$so" | awk '{ print $3 }' | sort | tr '\n' ' '; }
check symbols [ "$(exported)" = \
	"dlopen mmap mmap64 mprotect mremap munmap shmat shmdt " ]
# What may be called from mmap(2): nothing that allocates or translates.
check allocates_nothing sh -c '! nm -D --undefined-only "$1" |
	grep -E " (malloc|calloc|realloc|free|.*printf.*|strerror.*_r|strerror|fopen.*)@"' - "$so"

# expect NAME STATUS ERRORS PROGRAM ARGS...: with the library
expect() {
	name=$1 want=$2 errors=$3 status=0
	shift 3
	env LD_PRELOAD="$so" "$@" >"$said" 2>"$work/err" || status=$?
	echo "status $status" >>"$said"
	cat "$work/err" >>"$said"
	[ "$status" -eq "$want" ] && [ "$(cat "$work/err")" = "$errors" ]
	result $? "$name"
}
forker=$plain/tests/forker
if [ ! -d /sys/fs/mshare ]; then
	why='this kernel has no mshare'
	expect falls_back 0 "mshare: preload: 67108864 bytes: ordinary memory: $why" \
		"$forker" 64 2
	expect small_is_silent 0 '' "$forker" 63 2
	expect requires 1 "mshare: preload: 67108864 bytes: refused: $why
forker: Cannot allocate memory" env MSHARE_PRELOAD_REQUIRE=1 "$forker" 64 2
	expect wrong_size 0 "mshare: preload: 67108864 bytes: ordinary memory, wrong value: \
MSHARE_PRELOAD_MIN_SIZE" env MSHARE_PRELOAD_MIN_SIZE=x "$forker" 64 2
	expect other_program 0 '' env MSHARE_PRELOAD_REQUIRE=1 MSHARE_PRELOAD_ONLY=x:/y \
		"$forker" 64 2
	# A library of RTLD_DEEPBIND, if it is asked for; found by who loads it.
	expect deepbind_alone 0 '' env MSHARE_PRELOAD_REQUIRE=1 "$plain/tests/loader"
	expect deepbind 3 "mshare: preload: 67108864 bytes: refused: $why" \
		env MSHARE_PRELOAD_REQUIRE=1 MSHARE_PRELOAD_DEEPBIND=1 "$plain/tests/loader"
fi
# With standard error closed.
check no_stderr sh -c 'LD_PRELOAD=$1 "$2" 64 2 2>&-' - "$so" "$forker"
check installs make -s -C preload install O="$plain" DESTDIR="$work/at" prefix=/usr
check installed [ -x "$work/at/usr/lib/libmshare-preload.so" ]
# Its page names each variable, and no other.
variables() { grep -oh 'MSHARE_PRELOAD_[A-Z_]*' "$@" | sort -u; }
check manual [ "$(variables man/mshare-preload.7)" = "$(variables preload/config.c)" ]
finish
