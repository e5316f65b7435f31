#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# bench/demo.sh: the demonstration. The same machine runs the same clients twice,
# on ordinary shared memory and on an mshare region. Exit status 0 only when the
# first run dies of its page tables and the second does not notice them.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/demo
clients=1500
mem=1G
area=256M
# Page tables of the region may grow by this much from the first client to the
# last: a few processes have nothing else mapped near the window, and need a
# page of their own to reach it.
slack_kib=128

die() { echo "mshare: demo: $*" >&2; exit 1; }

# run_clients MODE: status in $status, samples in $out/MODE.csv.
run_clients() {
	rm -f "$out/$1.csv" "$out/status"
	{
		status=0
		"$top/vm/vm.sh" --flavour release --mem "$mem" --cpus 4 --no-build \
			--append sysctl.vm.oom_dump_tasks=0 \
			--allow-oom --allow 'page allocation failure' \
			--out "$out" --log "$out/$1.log" --timeout 420 -- \
			build/bench/clients --mode "$1" --clients "$clients" \
			--area "$area" --interval 5 --csv "/out/$1.csv" 2>&1 ||
			status=$?
		echo "$status" >"$out/status"
	} | sed -u 's/^/    /'
	status=$(cat "$out/status")
	rm -f "$out/status"
}

# at MODE CLIENTS COLUMN: one number of a run, empty when it did not get there.
at() { awk -F, -v n="$2" -v c="$3" '!/^#/ && $2 == n { print $c }' "$out/$1.csv"; }

# note MODE KEY: what a run said beside its samples.
note() { sed -n "s/^# $2 //p" "$out/$1.csv"; }

table() {
	died=$(note plain oom)
	awk -F, -v died="$died" '
		function size(kib) {
			return kib < 1024 ? sprintf("%d KiB", kib) : sprintf("%.1f MiB", kib / 1024)
		}
		function row(mode, n,    k) {
			k = mode SUBSEP n
			if (!(k in tables))
				return mode == "plain" && died ? "  out of memory at " died " clients" : "  not reached"
			return sprintf("%12s %10d %11.1f   ", size(tables[k]), faults[k], seconds[k] / unit)
		}
		/^#/ || $1 == "mode" { next }
		{ tables[$1, $2] = $5; faults[$1, $2] = $7; seconds[$1, $2] = $9 }
		END {
			# One ordinary client, averaged over a hundred.
			unit = seconds["plain", 100] / 100
			print "           |         ordinary shared memory        |                mshare"
			print "   clients | page tables   faults*    time**       | page tables   faults*    time**"
			print "  ---------+---------------------------------------+-------------------------------------"
			split("1 10 100 500 1500", points, " ")
			for (i = 1; i <= 5; i++)
				printf "  %8d |%-39s|%s\n", points[i], row("plain", points[i]), row("mshare", points[i])
			print "  *  page faults of one client, attaching and reading every page"
			print "  ** until all of them were through; 1 is what one client takes on ordinary shared memory."
			print "     Rough, as the host may have been busier in one of the two runs"
		}
	' "$out/plain.csv" "$out/mshare.csv"
}

plot() {
	died=$(note plain oom)
	awk -F, -v died="$died" -v clients="$clients" '
		/^# ram_kib/ { split($0, w, " "); ram = w[3] / 1024 }
		/^# free_kib/ { split($0, w, " "); left += w[3] / 1024 }
		/^# area_kib/ { split($0, w, " "); area = w[3] / 1024; left -= area }
		!/^#/ && $1 == "plain" { last = $5 / 1024; n = $2; slope = last / n }
		END {
			printf "area=%f; ram=%f; left=%f; clients=%d; would=%f\n",
				area, ram, left, clients, slope * clients
			printf "last_at=%d; last_mib=%f; died_at=%d; died_mib=%f\n",
				n, last, died, slope * died
		}
	' "$out/plain.csv" >"$out/plot.vars"
	gnuplot -e "plain='$out/plain.csv'; mshare='$out/mshare.csv'; png='$out/pagetables.png'; flat=$(at mshare "$clients" 5)/1024.0" \
		"$out/plot.vars" "$top/bench/demo.gp" || die "gnuplot failed"
}

mkdir -p "$out"
rm -f "$out"/*.csv "$out"/*.log "$out"/*.png
make -s -C "$top/bench" OUT="$top/build/bench" || die "the benchmark programs do not build"
"$top/vm/kernel.sh" release >&2 || die "no kernel"

cat <<END
A machine with 1 GiB of RAM has to serve $clients processes that all use one shared area of 256 MiB.
Every process that touches ordinary shared memory pays for page tables of its own; with mshare the
page tables exist once. The same machine, kernel and program run both ways (about two minutes).

1. Ordinary shared memory
END
run_clients plain
plain_status=$status
[ -s "$out/plain.csv" ] || die "the first machine did not get as far as a measurement (status $plain_status), see $out/plain.log"

printf '\n2. The same, with mshare\n'
run_clients mshare
mshare_status=$status
[ -s "$out/mshare.csv" ] || die "the second machine did not get as far as a measurement (status $mshare_status), see $out/mshare.log"

printf '\nPage tables that the area costs:\n\n'
table

first=$(at mshare 1 5)
last=$(at mshare "$clients" 5)
echo
failed=0
if [ "$plain_status" -eq 3 ]; then
	echo "Without mshare: the OOM killer struck when $(note plain oom) of $clients clients were attached."
else
	echo "FAILED: without mshare the machine should have run out of memory, but the run ended with status $plain_status."
	failed=1
fi
if [ "$mshare_status" -eq 0 ] && [ "$(note mshare alive)" = "$clients" ]; then
	echo "With mshare:    all $clients clients are alive and see the same memory."
else
	echo "FAILED: with mshare not all $clients clients are alive and well (status $mshare_status)."
	failed=1
fi
if [ -n "$first" ] && [ -n "$last" ] && [ $((last - first)) -le $slack_kib ]; then
	echo "                The area's page tables take $last KiB for $clients clients, $first KiB for one."
else
	echo "FAILED: with mshare page tables grow from ${first:-?} KiB for one client to ${last:-?} KiB for $clients."
	failed=1
fi
if [ "$failed" -eq 0 ]; then
	plot
	echo "Plot:           ${out#"$PWD/"}/pagetables.png"
	echo "The promise is kept."
fi
exit "$failed"
