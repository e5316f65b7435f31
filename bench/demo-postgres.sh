# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # read by bench/demo.sh
#
# The demonstration of --app postgres: Debian's PostgreSQL 15, unmodified, as it is
# and started by mshare run, one after the other in one machine. The promise is
# kept when a backend's page tables are a tenth, do not grow by reading, the answers
# are the same, and only PostgreSQL as it is runs out of memory.
backends=200
buffers=1GB
# About 250 MiB more than the buffers and 200 backends need, if the page tables of the
# buffers exist once, and 150 MiB less than they need if each backend has its own.
mem=1900M
# What a backend may have more than its own page tables, KiB: a client has some, too.
slack_kib=16

# The columns of bench/postgres.sh.
tables=3 vmpte=4 vmpte_before=6

table() {
	awk -F, -v died="$(note plain oom)" -v all="$backends" "$size"'
		function row(mode, n,    k) {
			k = mode SUBSEP n
			if (!(k in tables))
				return mode == "plain" && died ? "  out of memory at " died " backends" : "  not reached"
			return sprintf("%10s %10s %8d   ", size(tables[k]), size(vmpte[k]), faults[k])
		}
		function ratio(what, n) {
			if (!what["plain", n] || !what["mshare", n])
				return "-"
			return sprintf("%.2f", what["mshare", n] / what["plain", n])
		}
		/^#/ || $1 == "mode" { next }
		{
			tables[$1, $2] = $3; vmpte[$1, $2] = $4; faults[$1, $2] = $7
			reading[$1, $2] = $8; connect[$1, $2] = $9; rate[$1, $2] = $10
		}
		END {
			print "           |         PostgreSQL as it is        |         started by mshare run"
			print "  backends |  machine*  backend**   faults***   |  machine*  backend**   faults***"
			print "  ---------+------------------------------------+----------------------------------"
			n = split("1 10 50 100 " all, points, " ")
			for (i = 1; i <= n; i++)
				printf "  %8d |%-36s|%s\n", points[i], row("plain", points[i]), row("mshare", points[i])
			print "  *   page tables of the whole machine (PageTables of /proc/meminfo)"
			print "  **  page tables of one backend that has read all of the buffers (VmPTE)"
			print "  *** page faults of one backend from its start to the end of its reading"
			print ""
			print "  With mshare, where PostgreSQL as it is takes 1. Rough, as the host may have been busier"
			print "  in one of the two runs:"
			print ""
			print "  backends | time to connect | first reading of all buffers | transactions of pgbench -S"
			print "  ---------+-----------------+------------------------------+---------------------------"
			n = split("10 50 100", points, " ")
			for (i = 1; i <= n; i++)
				printf "  %8d | %15s | %28s | %26s\n", points[i], ratio(connect, points[i]),
					ratio(reading, points[i]), ratio(rate, points[i])
		}
	' "$out/plain.csv" "$out/mshare.csv"
}

begin "$top/build/demo/postgres"
make -s -C "$top" -f userland.mk || die "the tool and the preload do not build"

cat <<END
PostgreSQL 15 of Debian, unmodified, with shared_buffers = $buffers, on a machine with 4 processors and
$mem of RAM. That is enough for the buffers and for $backends backends, but not for page tables of the
buffers in each of them ($backends x 2 MiB): it was chosen so. Every backend reads all of the buffers, and
stays open. The same machine, kernel, programs and data both ways. It takes some minutes.

END
in_machine postgres 2400 "$top/bench/postgres.sh" "$backends" "$top/build/userland/mshare"
rm -f "$out/data.tar"
for mode in plain mshare; do
	{ [ -s "$out/$mode.csv" ] && [ -n "$(at "$mode" 100 1)" ]; } ||
		die "no measurement of 100 backends, $mode (status $status), see $log"
done
[ "$status" -eq 0 ] || die "the machine ended with status $status, see $log"

echo
table
echo

struck=$(note plain oom)
promise "As it is:    the OOM killer struck when $struck of $backends backends were open, and PostgreSQL ended all of them." \
	"PostgreSQL as it is should have run out of memory." \
	[ -n "$struck" ]
alive=$(note mshare alive) windows=$(note mshare windows | tail -n 1)
alive() { [ "$alive" = "$backends" ] && [ "$windows" = "$backends" ]; }
promise "With mshare: all $backends backends are alive, and have the buffers in a window." \
	"with mshare ${alive:-not all} of $backends backends are alive, ${windows:-0} with a window." \
	alive
answers() { grep -E '^# (answer|balances) ' "$out/$1.csv" | sort -u; }
same() {
	[ "$(answers plain | wc -l)" -eq 2 ] && [ "$(answers plain)" = "$(answers mshare)" ] &&
		[ "$(note plain windows)" = 0 ]
}
promise "             Every backend has read the same as without it; so have all accounts the same balance." \
	"the answers differ: $out/plain.csv, $out/mshare.csv." \
	same
mine=$(at mshare 100 "$vmpte") theirs=$(at plain 100 "$vmpte")
promise "             Page tables of a backend: $mine KiB instead of $theirs KiB, at 100 backends." \
	"a backend has $mine KiB of page tables, and should have less than a tenth of $theirs KiB." \
	[ $((mine * 10)) -lt "$theirs" ]
grown=$((mine - $(at mshare 100 "$vmpte_before")))
promise "             By reading all buffers they grew by $grown KiB, instead of $((theirs - $(at plain 100 "$vmpte_before"))) KiB." \
	"page tables of a backend grew by $grown KiB by reading all buffers." \
	[ "$grown" -le "$slack_kib" ]
last=$(at mshare "$backends" "$tables")
each=$(((${last:-0} - $(at mshare 1 "$tables")) / (backends - 1)))
own_only() { [ -n "$last" ] && [ "$each" -le $((mine + slack_kib)) ]; }
promise "             Each further backend took $each KiB of page tables of the whole machine." \
	"page tables of the machine grow from $(at mshare 1 "$tables") KiB with one backend to ${last:-?} KiB with $backends." \
	own_only
finish postgres.png "$tables" "$backends" "buffers='$buffers'; ram=$(note plain ram_kib)/1024.0"
