#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# tests/run.sh [options] [smoke|full]: the test suite, in virtual machines.
# Prints TAP, at the end "N passed, N failed"; logs under build/test. A list of
# what is run where, with which time limit, is in tests/tiers.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"

usage() {
	cat <<-'END'
	usage: ./run test [options] [smoke|full]
	  --flavour F   only this kernel: release, debug, off; several are allowed
	  --la57 V      only with five-level page tables "on", or "off"
	  --suite S     only this suite; several are allowed
	  --no-build    take the kernels as they are
	END
}

die() { echo "mshare: test: $*" >&2; exit 2; }

tier=smoke flavours='' la57='' only='' build=yes
while [ $# -gt 0 ]; do
	case $1 in
	--flavour|--la57|--suite) [ $# -ge 2 ] || die "$1 needs a value" ;;
	esac
	case $1 in
	--flavour)
		case $2 in
		release|debug|off) flavours="$flavours $2" ;;
		*) die "--flavour $2: release, debug or off" ;;
		esac
		shift ;;
	--la57)
		case $2 in
		on|off) la57=$2 ;;
		*) die "--la57 $2: on or off" ;;
		esac
		shift ;;
	--suite) only="$only $2"; shift ;;
	--no-build) build=no ;;
	--help|-h) usage; exit 0 ;;
	-*) usage >&2; die "$1: unknown option" ;;
	*)
		tier=$1
		[ -f "tests/tiers/$tier" ] || die "$tier: smoke or full"
		;;
	esac
	shift
done

has() {
	case " $1 " in *" $2 "*) return 0 ;; esac
	return 1
}

# plan FLAVOUR LA57: SUITE:SECONDS[:VARIABLES] of the tier, one per line
plan() {
	[ -z "$flavours" ] || has "$flavours" "$1" || return 0
	[ -z "$la57" ] || [ "$la57" = "$2" ] || return 0
	while read -r flavour mode suite seconds vars; do
		case $flavour in ''|\#*) continue ;; esac
		has "$(echo "$flavour" | tr , ' ')" "$1" || continue
		has "$(echo "$mode" | tr , ' ')" "$2" || continue
		[ -z "$only" ] || has "$only" "$suite" || continue
		echo "$suite:$seconds${vars:+:$(echo "$vars" | tr ' ' ,)}"
	done <"tests/tiers/$tier"
}

configs=
for config in release/on release/off debug/on debug/off off/on off/off; do
	[ -z "$(plan "${config%/*}" "${config#*/}")" ] || configs="$configs $config"
done
[ -n "$configs" ] || die "nothing to run"

# ------------------------------------------------------------------ programs
if [ "$build" = yes ]; then
	need=
	for config in $configs; do
		has "$need" "${config%/*}" || need="$need ${config%/*}"
	done
	echo "# kernels:$need"
	# shellcheck disable=SC2086 # several words
	vm/kernel.sh $need
fi
kselftest=$top/build/kernel/src/tools/testing/selftests
[ -f "$kselftest/lib.mk" ] || die "no kernel source (./run kernel)"
bin=$top/build/selftests
src=$bin/src
mkdir -p "$src/mshare" "$src/include/linux"
ln -sf "$kselftest/lib.mk" "$kselftest/kselftest.h" "$kselftest/kselftest_harness.h" "$src/"
cp -pu kernel/new/tools/testing/selftests/mshare/* "$src/mshare/"
cp -pu kernel/new/include/uapi/linux/msharefs.h "$src/include/linux/"
echo "# building tests"
make -s -j2 -C "$src/mshare" OUTPUT="$bin" KHDR_INCLUDES="-isystem $src/include" \
	USERCFLAGS=-Werror >&2
for program in leaks seed004/donor seed004/consumer; do
	out=$bin/${program##*/}
	[ -n "$(find "$out" -newer "tests/$program.c" 2>/dev/null)" ] ||
		gcc -O2 -static -Wall -Wextra -Werror -Wno-sizeof-pointer-memaccess \
			-o "$out" "tests/$program.c"
done

# ---------------------------------------------------------------------- runs
logs=$top/build/test
mkdir -p "$logs"
passed=0 failed=0
echo "TAP version 13"

# run_config FLAVOUR LA57
run_config() {
	specs=$(plan "$1" "$2")
	suites=$(echo "$specs" | sed 's/:.*//' | tr '\n' ' ')
	limit=$(echo "$specs" | awk -F: '{ sum += $2 + 20 } END { print sum + 180 }')
	name=$1-la57-$2
	where=$1/$([ "$2" = on ] && echo la57 || echo la48)
	log=$logs/$name.log
	append='' extra='' absent=0
	[ "$2" = on ] || append=no5lvl
	[ "$1" != debug ] || extra=--leaks
	[ "$1" != off ] || absent=1
	rm -f "$log"
	echo "# $where: $suites"

	# shellcheck disable=SC2086 # several words
	{
		status=0
		./run vm --no-build --flavour "$1" --mem 3G --cpus 4 --swap 512M --disk 64M \
			${append:+--append "$append"} $extra --timeout "$limit" \
			--log "$logs/$name.console" -- \
			tests/guest-suite.sh "$bin" $specs 2>"$logs/$name.err" || status=$?
		echo "$status" >"$logs/$name.status"
	} | tee "$log" | awk -f tests/tap.awk -v where="$where" -v suites="$suites" \
		-v first="$((passed + failed))" -v absent="$absent" \
		-v skips=tests/allowed-skips |
	while IFS= read -r line; do
		case $line in
		"@ "*) echo "${line#@ }" >"$logs/$name.count" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	read -r good bad <"$logs/$name.count"
	passed=$((passed + good))
	failed=$((failed + bad))

	# The kernel's log, leaks that kmemleak found, and a machine that was lost.
	read -r status <"$logs/$name.status"
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $where kernel log"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $where kernel log # status $status"
		sed 's/^/#   /' "$logs/$name.err"
	fi
}

start=$(date +%s)
for config in $configs; do
	run_config "${config%/*}" "${config#*/}"
done

echo "1..$((passed + failed))"
echo "# $tier: $(($(date +%s) - start)) s, logs in build/test"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
