#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# bench/demo.sh [--app NAME] [--no-build]: the demonstrations. Each has a script of
# its own, demo-NAME.sh, which is read from here; without --app it is clients.
# Each uses shared memory twice, as it ever was and with mshare, and exits with 0
# only when what mshare promises was seen.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=yes demo=clients
failed=0

me=demo
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"

while [ $# -gt 0 ]; do
	case $1 in
	--app)
		case ${2:-} in
		postgres) demo=$2; shift ;;
		'') usage_error "--app needs a name: postgres" ;;
		*) usage_error "--app $2: the application can be postgres, and no other yet" ;;
		esac ;;
	--no-build) build=no ;;
	*) usage_error "$1: unknown option, --app postgres is one" ;;
	esac
	shift
done

# begin DIRECTORY: an empty one for the results
begin() {
	out=$1
	mkdir -p "$out"
	rm -f "$out"/*.csv "$out"/*.log "$out"/*.png "$out"/*.tar
	[ "$build" = no ] || "$top/kernel/build" release >&2 || die "no kernel"
}

# in_machine LOG SECONDS PROGRAM ARGS...: with $mem of memory; its status in $status
in_machine() {
	log=$out/$1.log seconds=$2
	shift 2
	rm -f "$out/status"
	{
		status=0
		"$top/vm/vm.sh" --flavour release --mem "$mem" --cpus 4 --no-build \
			--append sysctl.vm.oom_dump_tasks=0 \
			--allow-oom --allow 'page allocation failure' \
			--out "$out" --log "$log" --timeout "$seconds" -- "$@" 2>&1 ||
			status=$?
		echo "$status" >"$out/status"
	} | sed -u 's/^/    /'
	status=$(cat "$out/status")
	rm -f "$out/status"
}

# at MODE NUMBER COLUMN: one value of a run, empty when it did not get there.
at() { awk -F, -v n="$2" -v c="$3" '!/^#/ && $2 == n { print $c }' "$out/$1.csv"; }

# note MODE KEY: what a run said beside its samples.
note() { sed -n "s/^# $2 //p" "$out/$1.csv"; }

# For awk.
# shellcheck disable=SC2034,SC2016 # used by what is read below; a function of awk
size='function size(kib) {
	return kib < 1024 ? sprintf("%d KiB", kib) : sprintf("%.1f MiB", kib / 1024)
}'

# promise KEPT BROKEN COMMAND...: which of the two it is.
promise() {
	kept=$1 broken=$2
	shift 2
	if "$@"; then
		echo "$kept"
	else
		echo "FAILED: $broken"
		failed=1
	fi
}

# plot PNG COLUMN NUMBER [EXPRESSION]: page tables, KiB in a column of the samples,
# of 1 to NUMBER processes. EXPRESSION is for demo-$demo.gp.
plot() {
	awk -F, -v died="$(note plain oom)" -v col="$2" -v all="$3" '
		!/^#/ && $1 == "plain" { last = $col / 1024; n = $2; slope = last / n }
		END {
			printf "col=%d; all=%d; would=%f; last_at=%d; last_mib=%f\n",
				col, all, slope * all, n, last
			printf "died_at=%d; died_mib=%f\n", died, slope * died
		}
	' "$out/plain.csv" >"$out/plot.vars"
	gnuplot -e "plain='$out/plain.csv'; mshare='$out/mshare.csv'; png='$out/$1'" \
		-e "flat=$(at mshare "$3" "$2")/1024.0; ${4:-}" \
		"$out/plot.vars" "$top/bench/demo-$demo.gp" "$top/bench/demo.gp" ||
		die "gnuplot failed"
}

# finish PNG ARGS OF plot: the end of a demonstration
finish() {
	if [ "$failed" -eq 0 ]; then
		plot "$@"
		echo "Plot:           ${out#"$PWD/"}/$1"
		echo "The promise is kept."
	fi
	exit "$failed"
}

# shellcheck source=bench/demo-clients.sh
. "$top/bench/demo-$demo.sh"
