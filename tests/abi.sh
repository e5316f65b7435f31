#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# tests/abi.sh: linux/msharefs.h as it is installed is C and C++ of every
# standard, on its own, without a warning, and has the layouts and numbers that
# tests/abi.h pins, for programs of 64 bits, 32 bits and x32. Prints TAP.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
me=abi
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/supported.sh
. "$top/scripts/supported.sh"
read_supported
src=$kernels/src
obj=$kernels/headers
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

c='c89 gnu89 c99 gnu99 c11 gnu11 c17 gnu17'
cxx='c++98 gnu++98 c++11 c++17 c++20'
n=0

# result STATUS NAME: with what was said when it is bad
result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n abi.$2"
	else
		head -n 20 "$out/said" | sed 's/^/# /'
		echo "not ok $n abi.$2"
	fi
}

# compile LANGUAGE STANDARD BITS ARGS...
compile() {
	language=$1 standard=$2 bits=$3
	shift 3
	compiler=gcc
	[ "$language" = c ] || compiler=g++
	# Warnings about our header, not about those that it includes; and no
	# byte in a struct that has no name.
	"$compiler" -x "$language" "-std=$standard" "-m$bits" -fsyntax-only \
		-Wall -Wextra -Wpadded -pedantic -Werror \
		-I "$out" -isystem "$obj/usr/include" "$@" >"$out/said" 2>&1
}

# Nobody changes the source meanwhile.
exec 9>"$kernels/lock"
flock -s 9
status=0
make -s -C "$src" O="$obj" headers >"$out/said" 2>&1 9>&- || status=$?
exec 9>&-
mkdir "$out/linux"
cp "$obj/usr/include/linux/msharefs.h" "$out/linux/" 2>>"$out/said" || status=1
result "$status" headers_install

for bits in 64 32 x32; do
	for standard in $c; do
		status=0
		compile c "$standard" "$bits" -ffreestanding "$top/tests/abi.h" || status=1
		result "$status" "$standard.$bits"
	done
	for standard in $cxx; do
		status=0
		compile c++ "$standard" "$bits" -ffreestanding "$top/tests/abi.h" || status=1
		result "$status" "$standard.$bits"
	done
	status=0
	compile c gnu11 "$bits" -ffreestanding -DCONTROL "$top/tests/abi.h" && status=1
	grep -q pin_offset_of_mshare_mapping_reserved "$out/said" || status=1
	result "$status" "control.$bits"
done

# Beside what programs include with it, before and after.
for order in 'linux/msharefs.h sys/ioctl.h sys/mman.h' 'sys/mman.h sys/ioctl.h linux/msharefs.h'; do
	for header in $order; do
		echo "#include <$header>"
	done >"$out/order.c"
	for language in 'c gnu11' 'c++ gnu++17'; do
		status=0
		compile "${language% *}" "${language#* }" 64 "$out/order.c" || status=1
		result "$status" "${language% *}.from_${order%% *}"
	done
done
echo "1..$n"
