# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
# TAP for scripts of tests, to be sourced: $suite names them, a directory $work
# goes in the end.
n=0 bad=0
said=$(mktemp)
trap 'rm -rf "$said" ${work:+"$work"}' EXIT

result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n $suite.$2"
	else
		bad=$((bad + 1))
		tail -n 40 "$said" | sed 's/^/# /'
		echo "not ok $n $suite.$2"
	fi
}

# check NAME COMMAND...: it succeeds
check() {
	name=$1 status=0
	shift
	"$@" >"$said" 2>&1 || status=1
	result "$status" "$name"
}

# cmocka NAME PROGRAM ARGS...: the results of a program with cmocka
cmocka() {
	name=$1 status=0 before=$bad
	shift
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 200 "$@" >"$said" 2>&1 || status=$?
	plan=$(sed -n 's/^1\.\.//p' "$said")
	seen=0
	while IFS= read -r line; do
		case $line in
		ok\ *) n=$((n + 1)) seen=$((seen + 1))
			echo "ok $n $suite.$name.${line##* - }" ;;
		not\ ok\ *) n=$((n + 1)) seen=$((seen + 1)) bad=$((bad + 1))
			echo "not ok $n $suite.$name.${line##* - }" ;;
		1..*|TAP\ *) ;;
		*) echo "# ${line#\# }" ;;
		esac
	done <"$said"
	# What came to no result: a crash, or what a sanitizer found at the end.
	if [ "$seen" != "$plan" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq "$before" ]; }; then
		result 1 "$name.end"
	fi
}

# skip_all REASON: this kernel has nothing to test
skip_all() {
	echo "1..1"
	echo "ok 1 $suite # SKIP $1"
	exit 4
}

# End of the script.
finish() {
	echo "1..$n"
	[ "$bad" -eq 0 ]
	exit
}
