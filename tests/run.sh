#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# tests/run.sh [options] [smoke|full|fuzz|races]: the test suite, in virtual machines.
# Prints TAP, at the end "N passed, N failed"; logs under build/test. A list of
# what is run where, with which time limit, is tests/suites.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"

usage() {
	cat <<-'END'
	usage: ./run test [options] [smoke|full|fuzz|races]
	  --flavour F   only this kernel: release, debug, kcsan, off; or "host", what
	                needs no machine; several are allowed
	  --la57 V      only with five-level page tables "on", or "off"; "numa": the
	                suites that need a machine with two nodes
	  --suite S     only this suite; several are allowed ("mm": the kernel's
	                own tests, with mshare and without)
	  --series S    the kernels of this row of SUPPORTED, by default the first
	  --no-build    take the kernels as they are
	END
}

me=test die_status=2
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/supported.sh
. scripts/supported.sh
read_supported

tier=smoke flavours='' la57='' only='' build=yes
while [ $# -gt 0 ]; do
	case $1 in
	--flavour|--la57|--suite) [ $# -ge 2 ] || die "$1 needs a value" ;;
	esac
	case $1 in
	--flavour)
		case $2 in
		release|debug|kcsan|off|host) flavours="$flavours $2" ;;
		*) die "--flavour $2: release, debug, kcsan, off or host" ;;
		esac
		shift ;;
	--la57)
		case $2 in
		on|off|numa) la57=$2 ;;
		*) die "--la57 $2: on, off or numa" ;;
		esac
		shift ;;
	--suite) only="$only $2"; shift ;;
	--no-build) build=no ;;
	--help|-h) usage; exit 0 ;;
	-*) usage >&2; die "$1: unknown option" ;;
	*)
		tier=$1
		case $tier in
		smoke|full|fuzz|races) ;;
		*) die "$tier: smoke, full, fuzz or races" ;;
		esac
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
	awk -f tests/plan.awk -v tier="$tier" -v flavour="$1" -v la57="$2" -v only="$only" \
		tests/suites
}

# No kernel: says what is wrong with the file.
awk -f tests/plan.awk -v tier="$tier" tests/suites || exit 2

configs=
for config in release/on release/off release/numa debug/on debug/off debug/numa \
	      kcsan/on kcsan/off off/on off/off; do
	[ -z "$(plan "${config%/*}" "${config#*/}")" ] || configs="$configs $config"
done
# Scripts of this directory that need no machine.
host=$(plan host -)
# The mm selftests belong to a complete run of tier full, or to --suite mm.
mm=no
if has "$only" mm || { [ "$tier" = full ] && [ -z "$only$flavours$la57" ]; }; then
	mm=yes
fi
[ -n "$configs$host" ] || [ "$mm" = yes ] || die "nothing to run"

# ------------------------------------------------------------------ programs
if [ "$build" = yes ]; then
	need=
	for config in $configs; do
		has "$need" "${config%/*}" || need="$need ${config%/*}"
	done
	[ "$mm" = no ] || for flavour in release off; do
		has "$need" "$flavour" || need="$need $flavour"
	done
	echo "# kernels:$need"
	# shellcheck disable=SC2086 # several words
	[ -z "$need" ] || kernel/build $need
	[ -n "$need" ] || kernel/apply
fi
kselftest=$kernels/src/tools/testing/selftests
[ -f "$kselftest/lib.mk" ] || die "no source of Linux $series (./run kernel --series $series)"
# The harness, and the tests of mm, are those of this kernel.
bin=$kernels/selftests
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

make -s -C tests/lib real >&2
make -s -C tests/preload real >&2
make -s -C tests/tool >&2

# ---------------------------------------------------------------------- runs
logs=$top/build/test
mkdir -p "$logs"
passed=0 failed=0
echo "TAP version 13"

# results WHERE SUITES ABSENT COUNT: make one TAP stream of what suites print
results() {
	awk -f tests/tap.awk -v where="$1" -v suites="$2" -v absent="$3" \
		-v first="$((passed + failed))" -v skips=tests/allowed-skips |
	while IFS= read -r line; do
		case $line in
		"@ "*) echo "${line#@ }" >"$4" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}

count() {
	read -r good bad <"$1"
	passed=$((passed + good))
	failed=$((failed + bad))
}

run_host() {
	suites=$(echo "$host" | sed 's/:.*//' | tr '\n' ' ')
	echo "# host: $suites"
	for spec in $host; do
		suite=${spec%%:*}
		status=0
		began=$(date +%s)
		echo "@suite $suite"
		timeout -k 10 "$(echo "$spec" | cut -d: -f2)" "tests/$suite.sh" </dev/null 2>&1 ||
			status=$?
		echo "@end $suite $status $(($(date +%s) - began))"
	done | tee "$logs/host.log" | results host "$suites" 0 "$logs/host.count"
	count "$logs/host.count"
}

# boot NAME OPTIONS: ./run vm, its logs and its status in files of that name. A
# machine that does not boot has tested nothing: it gets a second try.
boot() {
	name=$1
	shift
	rm -f "$logs/$name.boot.err" "$logs/$name.boot.console"
	status=0
	./run vm --no-build --log "$logs/$name.console" "$@" 2>"$logs/$name.err" || status=$?
	if [ "$status" -eq 123 ]; then
		mv "$logs/$name.err" "$logs/$name.boot.err"
		mv "$logs/$name.console" "$logs/$name.boot.console"
		status=0
		./run vm --no-build --log "$logs/$name.console" "$@" 2>"$logs/$name.err" ||
			status=$?
	fi
	[ "$status" -ne 123 ] || echo "@noboot"
	echo "$status" >"$logs/$name.status"
}

# boot_failures WHERE NAME: a first try that failed is no failure, and is told.
boot_failures() {
	[ -f "$logs/$2.boot.err" ] || return 0
	echo "# $1: the machine did not boot at the first try:"
	sed "s/^/#   /; s/$2\.console/$2.boot.console/" "$logs/$2.boot.err"
}

# bad_end WHERE NAME STATUS: the machine, or its kernel, did not do its part.
bad_end() {
	failed=$((failed + 1))
	if [ "$3" -eq 123 ]; then
		echo "not ok $((passed + failed)) - $1 - the machine did not boot"
	else
		echo "not ok $((passed + failed)) - $1 kernel log # status $3"
	fi
	sed 's/^/#   /' "$logs/$2.err"
}

# run_config FLAVOUR LA57, or "numa": la57 and two nodes
run_config() {
	specs=$(plan "$1" "$2")
	suites=$(echo "$specs" | sed 's/:.*//' | tr '\n' ' ')
	limit=$(echo "$specs" | awk -F: '{ sum += $2 + 20 } END { print sum + 180 }')
	append='' extra='' absent=0
	case $2 in
	on) name=$1-la57-on where=$1/la57 ;;
	off) name=$1-la57-off where=$1/la48 append=no5lvl ;;
	numa)	name=$1-numa where=$1/numa
		# An Intel processor recovers from machine checks, and has a
		# page table of its own in the kernel (Meltdown).
		extra='--numa 2 --qemu -cpu --qemu max,vendor=GenuineIntel' ;;
	esac
	log=$logs/$name.log
	[ "$1" != debug ] || extra="$extra --leaks"
	[ "$1" != off ] || absent=1
	rm -f "$log"
	echo "# $where: $suites"

	# shellcheck disable=SC2086 # several words
	boot "$name" --flavour "$1" --mem 3G --cpus 4 --swap 512M --disk 64M --pmem 256M \
		${append:+--append "$append"} $extra --timeout "$limit" \
		--allow 'ut of memory: Killed process [0-9]+ [(]mshare-victim[)]' \
		--allow 'cgroup out of memory: Killed process [0-9]+ [(]postgres[)]' \
		-- tests/guest-suite.sh "$bin" $specs |
		tee "$log" | results "$where" "$suites" "$absent" "$logs/$name.count"
	count "$logs/$name.count"
	boot_failures "$where" "$name"

	# The kernel's log, leaks that kmemleak found, and a machine that was lost.
	read -r status <"$logs/$name.status"
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $where kernel log"
		# What is no failure, and should be known.
		sed -n 's/^--- /#   /p' "$logs/$name.err"
	else
		bad_end "$where" "$name" "$status"
	fi
}

# The kernel's own mm tests, with mshare and without: the same results. What
# fails on both is emulation's fault, or ours to live with; the list says it.
mm_programs() {
	awk '$1 == "run" && !seen[$3]++ { print $3 }' tests/mm-selftests.list
}

build_mm() {
	echo "# building the kernel's mm selftests"
	make -s -C "$kernels/src" O="$kernels/release" headers >"$logs/mm-build.log" 2>&1 &&
	for program in $(mm_programs); do
		make -s -C "$kselftest/mm" OUTPUT="$bin/mm" "$bin/mm/$program" \
			KHDR_INCLUDES="-isystem $kernels/release/usr/include" \
			>>"$logs/mm-build.log" 2>&1 || return 1
	done
}

run_mm() {
	mkdir -p "$bin/mm"
	if ! build_mm; then
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - mm build"
		tail -n 20 "$logs/mm-build.log" | sed 's/^/#   /'
		return
	fi
	for flavour in off release; do
		echo "# $flavour/la57: mm selftests"
		boot "mm-$flavour" --flavour "$flavour" --mem 3G --cpus 4 --swap 512M \
			--timeout 3000 --allow-oom -- \
			tests/mm-selftests.sh "$bin/mm" >"$logs/mm-$flavour.log"
		boot_failures "$flavour/la57 mm" "mm-$flavour"
		tr -d '\r' <"$logs/mm-$flavour.log" | sed -n 's/^@mm //p' >"$logs/mm-$flavour.result"
		[ "$status" -eq 0 ] || bad_end "$flavour/la57 mm" "mm-$flavour" "$status"
	done
	while read -r what _ program; do
		[ "$what" = run ] || continue
		off=$(grep -xE "([0-9]+ ){4}$program" "$logs/mm-off.result" || :)
		release=$(grep -xE "([0-9]+ ){4}$program" "$logs/mm-release.result" || :)
		if [ -n "$off" ] && [ "$off" = "$release" ]; then
			passed=$((passed + 1))
			echo "ok $((passed + failed)) - mm $program # same: $(echo "$off" |
				awk '{ print "status " $1 ", " $2 " ok, " $3 " not ok, " $4 " skipped" }')"
		else
			failed=$((failed + 1))
			echo "not ok $((passed + failed)) - mm $program"
			echo "#   without mshare: ${off:-no result}"
			echo "#   with mshare:    ${release:-no result}"
		fi
	done <tests/mm-selftests.list
}

start=$(date +%s)
[ -z "$host" ] || run_host
for config in $configs; do
	run_config "${config%/*}" "${config#*/}"
done

if [ "$mm" = yes ]; then
	run_mm
fi

echo "1..$((passed + failed))"
echo "# $tier: $(($(date +%s) - start)) s, logs in build/test"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
