# SPDX-License-Identifier: GPL-2.0
#
# Words of the plot without --app. Set by bench/demo-clients.sh: area, ram, left (MiB).

set title sprintf("Page tables of one shared area of %.0f MiB, on a machine with %.0f MiB of RAM", area, ram) \
	font ",18" offset 0,0.3
set xlabel "clients that are attached and have touched every page"
set ylabel "memory for the area's page tables (MiB)"

# What the machine has left: beyond it there is nothing to give.
set object 1 rectangle from graph 0, first left to graph 1, graph 1 \
	fc rgb "#fdecea" fs solid noborder behind
set arrow 1 from graph 0, first left to graph 1, first left nohead lc rgb "#b71c1c" lw 2 dt 2
set label 1 sprintf("RAM limit: %.0f MiB are left beside the area and the processes", left) \
	at graph 0.015, first left offset 0,0.8 tc rgb "#b71c1c"

struck = sprintf("%d clients, %.0f MiB", died_at, died_mib)
needs = sprintf("%d clients would need %.0f MiB", all, would)
ordinary = "ordinary shared memory"
shared = sprintf("mshare: %.1f MiB, all %d clients alive", flat, all)
