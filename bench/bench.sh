#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# bench/bench.sh [--out DIR] [PART...]: measure what mshare costs and
# saves, and print the tables of the README. Parts: clients, window, protect,
# pageout, writeback, unrelated, scale, and report, which prints what was measured
# before. Default: all.
# The kernels are those of ./run bench --series S, by default the first of SUPPORTED.
# docs/measuring.md says what each number means.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
clients=1500

me=bench
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/supported.sh
. "$top/scripts/supported.sh"
read_supported
out=$top/build/bench/results/$series

while [ $# -gt 0 ]; do
	case $1 in
	--out)
		[ $# -ge 2 ] || die "--out needs a directory"
		out=$2
		shift 2
		;;
	--help|-h)
		sed -n '/^set /q; s/^# //p' "$0" | sed '1d'
		exit 0
		;;
	-*) die "$1: unknown option" ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || set -- clients window protect pageout writeback unrelated scale report
mkdir -p "$out"
out=$(cd "$out" && pwd)

# machine LOG OPTIONS -- PROGRAM ARGS: a kernel that was built before.
machine() {
	log=$1
	shift
	"$top/vm/vm.sh" --no-build --out "$out" --log "$out/$log.log" --timeout 1800 "$@" ||
		die "$log: the measuring machine ended with status $?"
}

# Addresses that change from run to run change the number of page tables, too.
counting() {
	log=$1
	shift
	machine "$log" --icount --mem 2G --append norandmaps "$@"
}

kernel() { "$top/kernel/build" "$@" >&2 || die "no kernel"; }

clients() {
	kernel release
	for mode in plain mshare; do
		echo "clients: $clients processes, $mode"
		machine "clients-$mode" --mem 3G --cpus 4 -- build/bench/clients \
			--mode "$mode" --clients "$clients" --area 256M \
			--interval 10 --csv "/out/clients-$mode.csv"
	done
}

window() {
	kernel release
	echo "window: instructions, a window against ordinary shared memory"
	counting window -- build/bench/cost --csv /out/window.csv --label release window
}

protect() {
	kernel release
	echo "protect: instructions, one change for all against one for each"
	counting protect --mem 4G -- build/bench/protect --csv /out/protect.csv
}

pageout() {
	kernel release
	echo "pageout: instructions per page that is swapped out, one entry against one for each"
	counting pageout --mem 4G --swap 512M -- build/bench/pageout --csv /out/pageout.csv
}

writeback() {
	kernel release
	echo "writeback: instructions per page of a file that is written out, one entry against one for each"
	counting writeback --disk 256M -- build/bench/writeback --csv /out/writeback.csv
}

unrelated() {
	kernel release off
	for flavour in off release; do
		echo "unrelated: instructions, kernel $flavour"
		counting "unrelated-$flavour" --flavour "$flavour" -- \
			build/bench/cost --csv "/out/unrelated-$flavour.csv" \
			--label "$flavour" unrelated
	done
}

scale() {
	kernel release
	echo "scale: throughput of first-touch faults, times one worker"
	machine scale --mem 2G --cpus 4 -- build/bench/scale --csv /out/scale.csv
}

report_clients() {
	awk -F, '
		function size(kib) {
			return kib < 1024 ? sprintf("%d KiB", kib) : sprintf("%.1f MiB", kib / 1024)
		}
		/^#/ || $1 == "mode" { next }
		{ tables[$1, $2] = $5; faults[$1, $2] = $7; last = $2 }
		END {
			print "| processes | page tables, ordinary | page tables, mshare | faults of the last, ordinary | mshare |"
			print "|---:|---:|---:|---:|---:|"
			n = split("1 10 100 500 1500", points, " ")
			for (i = 1; i <= n; i++) {
				p = points[i]
				printf "| %d | %s | %s | %d | %d |\n", p, size(tables["plain", p]),
					size(tables["mshare", p]), faults["plain", p], faults["mshare", p]
			}
			printf "\nBytes of page tables per additional process: %.0f ordinary, %.1f mshare (target: at most 4096).\n",
				(tables["plain", last] - tables["plain", 1]) * 1024 / (last - 1),
				(tables["mshare", last] - tables["mshare", 1]) * 1024 / (last - 1)
		}
	' "$out/clients-plain.csv" "$out/clients-mshare.csv"
}

report_window() {
	awk -F, '
		$1 == "label" { next }
		{ v[$2, $3] = $4 }
		function line(what, name, plain, mshare, target) {
			printf "| %s | %d | %d | %s | %s |\n", name, plain, mshare,
				(plain > 0) ? sprintf("%.3f", mshare / plain) : "", target
		}
		function pair(what, subject, name, target) {
			line(what, name, v[what, "plain" subject], v[what, "mshare" subject], target)
		}
		END {
			clear = v["clearing a page", "-"]
			fault = "first-touch write fault"
			print "| instructions of | ordinary | mshare | mshare / ordinary | target |"
			print "|---|---:|---:|---:|---|"
			pair(fault, "", "first-touch write fault", "at most 1.25")
			line("", "the same without clearing the page", v[fault, "plain"] - clear,
				v[fault, "mshare"] - clear, "at most 1.05")
			pair("first-touch read fault", "", "first-touch read fault, by one that may write", "at most 1.01")
			pair("write to a resident page", "", "write to a page another process brought in", "no fault")
			pair("faults of a second process", "", "faults of a second process, 8192 pages", "0")
			pair("faults of a forked child", " 1G/128M resident", "faults of a forked child, 32768 pages", "0")
			n = split("1G/0M 1G/4K 1G/128M 8G/0M 8G/4K 8G/128M", sizes, " ")
			for (i = 1; i <= n; i++)
				pair("mmap+munmap", " " sizes[i] " resident", "mmap + munmap, " sizes[i] " resident",
					i == 1 ? "grows by units only" : "")
			pair("mmap+read all+munmap", " 1G/128M resident", "mmap + read 128 MiB + munmap", "")
			for (i = 1; i <= n; i++)
				pair("fork+exit+wait", " " sizes[i] " resident", "fork + exit, " sizes[i] " resident",
					i == 1 ? "independent of size and residency" : "")
			pair("fork+read all+exit+wait", " 1G/128M resident", "fork + read 128 MiB + exit", "")
			pair("context switch (pipe)", "", "context switch between two that have it", "at most 1.02")
			printf "\nFork and exit with nothing attached: %d instructions. Clearing a page: %d.\n",
				v["fork+exit+wait", "nothing attached"], clear
		}
	' "$out/window.csv"
}

report_protect() {
	awk -F, '
		$1 == "what" { next }
		{ v[$1, $2, $3] = $4 }
		$1 == "MSHAREFS_PROTECT" && !($3 in seen) { seen[$3]; sizes[++n] = $3 }
		$1 == "MSHAREFS_PROTECT once" { idlers = $2 > 1 ? $2 : idlers; page = $3; next }
		$2 > 1 { many = $2 }
		END {
			each = "each calls mprotect"; once = "MSHAREFS_PROTECT"; size = sizes[1]
			print "| instructions to make memory read-only and writable again | 1 process | " many " processes | ratio | target |"
			print "|---|---:|---:|---:|---|"
			printf "| %d KiB, each process calls mprotect(2) | %.0f | %.0f | %.0f | |\n", size / 1024,
				v[each, 1, size], v[each, many, size], v[each, many, size] / v[each, 1, size]
			for (i = 1; i <= n; i++)
				printf "| %d KiB of a region, one MSHAREFS_PROTECT | %d | %d | %.2f | %s |\n", sizes[i] / 1024,
					v[once, 1, sizes[i]], v[once, many, sizes[i]],
					v[once, many, sizes[i]] / v[once, 1, sizes[i]], i == 1 ? "at most 2" : ""
			printf "\nFor %d processes, mprotect(2) by each takes %.0f times the instructions of one MSHAREFS_PROTECT (target: at least 100).\n",
				many, v[each, many, size] / v[once, many, size]
			idle = "MSHAREFS_PROTECT once"
			printf "\n%d KiB with one attached process that sleeps: %d, with %d: %d, %.2f times (target: at most 1.05).\n",
				page / 1024, v[idle, 1, page], idlers, v[idle, idlers, page], v[idle, idlers, page] / v[idle, 1, page]
		}
	' "$out/protect.csv"
}

report_pageout() {
	awk -F, '
		NR == 1 { next }
		{ v[$1, $2, $3] = $5 }
		$1 == "idle" && $3 > 1 { idlers = $3 }
		$1 != "idle" && $3 > 1 { many = $3 }
		function line(name, mode, how) {
			printf "| %s | %d | %d | %.2f |\n", name, v[mode, how, 1], v[mode, how, many],
				v[mode, how, many] / v[mode, how, 1]
		}
		END {
			print "| instructions to swap out a page | 1 process | " many " processes | ratio |"
			print "|---|---:|---:|---:|"
			line("ordinary shared memory, reclaim", "plain", "memory.reclaim")
			line("region, reclaim", "mshare", "memory.reclaim")
			line("region, MSHAREFS_ADVISE with MADV_PAGEOUT", "mshare", "MSHAREFS_ADVISE")
			plain = v["plain", "memory.reclaim", many]
			printf "\nFor %d processes, a page of ordinary shared memory takes %.0f times the instructions of one of a region, %.0f times those of MADV_PAGEOUT (target: at least 20).\n",
				many, plain / v["mshare", "memory.reclaim", many], plain / v["mshare", "MSHAREFS_ADVISE", many]
			one = v["idle", "MSHAREFS_ADVISE", 1]
			all = v["idle", "MSHAREFS_ADVISE", idlers]
			printf "\nMADV_PAGEOUT of a region with one more attached process, which sleeps: %d for each page, with %d: %d, %.3f times (target: at most 1.02).\n",
				one, idlers, all, all / one
		}
	' "$out/pageout.csv"
}

report_writeback() {
	awk -F, '
		NR == 1 { next }
		{ v[$1, $2] = $3 }
		$2 > 1 { many = $2 }
		END {
			print "| instructions to write out a page of a file | 1 process has written it | " many " processes |"
			print "|---|---:|---:|"
			printf "| mapped by each | %d | %d |\n", v["plain", 1], v["plain", many]
			printf "| mapped in a region | %d | %d |\n", v["mshare", 1], v["mshare", many]
			printf "\nFor %d processes, a page in a region takes %.3f of the instructions (target: at most 0.05).\n",
				many, v["mshare", many] / v["plain", many]
		}
	' "$out/writeback.csv"
}

report_unrelated() {
	awk -F, '
		$1 == "label" { next }
		{ v[$1, $2] = $4 }
		$1 == "off" { order[++n] = $2 }
		END {
			print "| instructions of | kernel without mshare | kernel with mshare, unused | difference | target 0.15 % |"
			print "|---|---:|---:|---:|---|"
			for (i = 1; i <= n; i++) {
				a = v["off", order[i]]
				b = v["release", order[i]]
				d = (b - a) / a * 100
				printf "| %s | %.1f | %.1f | %+.2f %% | %s |\n", order[i], a, b, d,
					d < 0.155 ? "reached" : "not reached"
			}
		}
	' "$out/unrelated-off.csv" "$out/unrelated-release.csv"
}

report_scale() {
	awk -F, '
		NR == 1 {
			print "| workers | ordinary, times one | mshare, times one | mshare / ordinary |"
			print "|---|---:|---:|---:|"
			next
		}
		{ printf "| %d %s | %.2f | %.2f | %.2f |\n", $2, $1, $3, $4, $5 }
	' "$out/scale.csv"
}

report() {
	{
		for part in clients window protect pageout writeback unrelated scale; do
			[ -f "$out/$part.csv" ] || [ -f "$out/$part-mshare.csv" ] ||
				[ -f "$out/$part-release.csv" ] || continue
			[ "$part" = clients ] || echo
			"report_$part"
		done
	} >"$out/numbers.md"
	cat "$out/numbers.md"
}

make -s -C "$top/bench" OUT="$top/build/bench" || die "the benchmark programs do not build"
for part in "$@"; do
	case $part in
	clients|window|protect|pageout|writeback|unrelated|scale|report) "$part" ;;
	*) die "$part: clients, window, protect, pageout, writeback, unrelated, scale or report" ;;
	esac
done
