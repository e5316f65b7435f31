# SPDX-License-Identifier: GPL-2.0
#
# Words of the plot with --app postgres. Set by bench/demo-postgres.sh: ram (MiB),
# buffers.

set title noenhanced sprintf("PostgreSQL 15 with shared_buffers = %s, on a machine with %.0f MiB of RAM", buffers, ram) \
	font ",18" offset 0,0.3
set xlabel "backends that have read all of the buffers"
set ylabel "page tables of the whole machine (MiB)"

struck = sprintf("%d backends, %.0f MiB;\nall sessions end", died_at, died_mib)
needs = sprintf("%d backends would need %.0f MiB", all, would)
ordinary = "PostgreSQL as it is"
shared = sprintf("mshare run: %.0f MiB, all %d backends alive", flat, all)
