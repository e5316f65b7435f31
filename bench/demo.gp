# SPDX-License-Identifier: GPL-2.0
#
# The demonstration's plot. Set by bench/demo.sh: plain, mshare (CSV files), png,
# area, ram, left, died_at, died_mib, last_at, last_mib, would, flat
# (MiB of page tables, the others are numbers of clients), clients.

set terminal pngcairo size 1200,750 font "DejaVu Sans,14" background "white"
set output png
set datafile separator ","
set datafile commentschars "#"

set title sprintf("Page tables of one shared area of %.0f MiB, on a machine with %.0f MiB of RAM", area, ram) \
	font ",18" offset 0,0.3
set xlabel "clients that are attached and have touched every page"
set ylabel "memory for the area's page tables (MiB)"
set xrange [0:clients * 1.04]
set yrange [0:would * 1.12]
set border 3 lw 1.5
set tics nomirror out
set grid ytics lc rgb "#dddddd" lt 1
set key off

# What the machine has left: beyond it there is nothing to give.
set object 1 rectangle from graph 0, first left to graph 1, graph 1 \
	fc rgb "#fdecea" fs solid noborder behind
set arrow 1 from graph 0, first left to graph 1, first left nohead lc rgb "#b71c1c" lw 2 dt 2
set label 1 sprintf("RAM limit: %.0f MiB are left beside the area and the processes", left) \
	at graph 0.015, first left offset 0,0.8 tc rgb "#b71c1c"

set label 2 sprintf("the OOM killer strikes:\n%d clients, %.0f MiB", died_at, died_mib) \
	at died_at, died_mib left offset 2.0,-0.6 tc rgb "#b71c1c" font ",15"
set label 3 sprintf("%d clients would need %.0f MiB", clients, would) \
	at clients, would right offset -1.5,0.6 tc rgb "#777777"
set label 4 "ordinary shared memory" at died_at * 0.45, died_mib * 0.45 right offset -2,0.5 \
	tc rgb "#d35400" font ",16"
set label 5 sprintf("mshare: %.1f MiB, all %d clients alive", flat, clients) \
	at clients * 0.98, 0 right offset 0,1.3 tc rgb "#1565c0" font ",16"

set arrow 3 from last_at, last_mib to died_at, died_mib nohead lc rgb "#d35400" lw 4
set arrow 2 from died_at, died_mib to clients, would nohead lc rgb "#aaaaaa" lw 2 dt 3

plot plain every ::1 using 2:($5 / 1024) with lines lw 4 lc rgb "#d35400", \
     mshare every ::1 using 2:($5 / 1024) with lines lw 4 lc rgb "#1565c0", \
     "+" every ::0::0 using (died_at):(died_mib) with points pt 2 ps 3 lw 5 lc rgb "#b71c1c"
