# SPDX-License-Identifier: GPL-2.0
#
# The plot of a demonstration: page tables of 1 to all processes, a line that ends
# where the OOM killer strikes and one that does not. Set by bench/demo.sh: plain,
# mshare (CSV files), png, col (of KiB), died_at, died_mib, last_at, last_mib,
# would, flat (MiB; the others are numbers of processes), all. The words, in
# struck, needs, ordinary and shared, are set by demo-clients.gp or demo-postgres.gp.

set terminal pngcairo size 1200,750 font "DejaVu Sans,14" background "white"
set output png
set datafile separator ","
set datafile commentschars "#"

set xrange [0:all * 1.04]
set yrange [0:would * 1.12]
set border 3 lw 1.5
set tics nomirror out
set grid ytics lc rgb "#dddddd" lt 1
set key off

oom = sprintf("the OOM killer strikes:\n%s", struck)
# Beside the cross, or below it where there is no room beside it.
if (died_at < 0.75 * all) \
	set label 2 oom at died_at, died_mib left offset 2.0,-0.6 tc rgb "#b71c1c" font ",15"; \
else \
	set label 2 oom at graph 0.99, first died_mib * 0.84 right tc rgb "#b71c1c" font ",15"
set label 3 needs at all, would right offset -1.5,0.6 tc rgb "#777777"
set label 4 ordinary at died_at * 0.45, died_mib * 0.45 right offset -2,0.5 \
	tc rgb "#d35400" font ",16"
set label 5 shared at all * 0.98, flat right offset 0,1.3 tc rgb "#1565c0" font ",16"

set arrow 3 from last_at, last_mib to died_at, died_mib nohead lc rgb "#d35400" lw 4
set arrow 2 from died_at, died_mib to all, would nohead lc rgb "#aaaaaa" lw 2 dt 3

plot plain every ::1 using 2:(column(col) / 1024) with lines lw 4 lc rgb "#d35400", \
     mshare every ::1 using 2:(column(col) / 1024) with lines lw 4 lc rgb "#1565c0", \
     "+" every ::0::0 using (died_at):(died_mib) with points pt 2 ps 3 lw 5 lc rgb "#b71c1c"
