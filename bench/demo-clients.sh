# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # read by bench/demo.sh
#
# The demonstration without --app: the same machine runs the same clients twice, on
# ordinary shared memory and on an mshare region. The promise is kept when the
# first run dies of its page tables and the second does not notice them.
clients=1500
mem=1G
area=256M
# Page tables of the region may grow by this much from the first client to the
# last: a few processes have nothing else mapped near the window, and need a
# page of their own to reach it.
slack_kib=128

# run_clients MODE: status in $status, samples in $out/MODE.csv.
run_clients() {
	in_machine "$1" 420 build/bench/clients --mode "$1" --clients "$clients" \
		--area "$area" --interval 5 --csv "/out/$1.csv"
}

table() {
	died=$(note plain oom)
	awk -F, -v died="$died" "$size"'
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

# What the machine has left beside the area and the processes, in gnuplot's words.
limit() {
	awk '
		/^# ram_kib/ { ram = $3 / 1024 }
		/^# free_kib/ { left += $3 / 1024 }
		/^# area_kib/ { area = $3 / 1024; left -= area }
		END { printf "area=%f; ram=%f; left=%f\n", area, ram, left }
	' "$out/plain.csv"
}

begin "$top/build/demo"
make -s -C "$top/bench" OUT="$top/build/bench" || die "the benchmark programs do not build"

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
promise "Without mshare: the OOM killer struck when $(note plain oom) of $clients clients were attached." \
	"without mshare the machine should have run out of memory, but the run ended with status $plain_status." \
	[ "$plain_status" -eq 3 ]
all_alive() { [ "$mshare_status" -eq 0 ] && [ "$(note mshare alive)" = "$clients" ]; }
promise "With mshare:    all $clients clients are alive and see the same memory." \
	"with mshare not all $clients clients are alive and well (status $mshare_status)." \
	all_alive
flat() { [ -n "$first" ] && [ -n "$last" ] && [ $((last - first)) -le "$slack_kib" ]; }
promise "                The area's page tables take $last KiB for $clients clients, $first KiB for one." \
	"with mshare page tables grow from ${first:-?} KiB for one client to ${last:-?} KiB for $clients." \
	flat
finish pagetables.png 5 "$clients" "$(limit)"
