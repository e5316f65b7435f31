#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# bench/postgres.sh BACKENDS MSHARE: Debian's PostgreSQL 15, unmodified, as it is and
# then under "MSHARE run", on the same data. Runs as root in the machine of
# bench/demo-postgres.sh. Samples go to /out/plain.csv and /out/mshare.csv.
#
# Backends are opened ten at a time and stay open. Each reads a table that fills
# nearly all of shared_buffers, and says what it has seen and what that has cost it.
set -eu

backends=$1 mshare=$2
bin=/usr/lib/postgresql/15/bin
buffers=1GB
# Of 8 KiB. Beside it there is room for the system's tables and pgbench's, so
# that nothing of it is ever replaced.
pages=122880
rows=200
# Where times are taken: what both runs reach.
timed=" 10 50 100 "

work=$(mktemp -d)
data=$work/data
log=$work/server.log
export PGHOST="$work" PGUSER=postgres PGDATABASE=postgres

# What the machine prints is part of the demonstration.
give_up() { echo "$*"; exit 1; }
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
control() { runuser -u postgres -- "$bin/pg_ctl" -D "$data" -w -t 300 -s "$@" || give_up "pg_ctl $*"; }
start() {
	runuser -u postgres -- "$@" "$bin/pg_ctl" -D "$data" -w -t 300 -s -l "$log" start \
		</dev/null || { cat "$log"; give_up "PostgreSQL does not start"; }
}
wait_for() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 300 ] || return 1
		sleep 0.1
	done
}
kib() { awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo; }

# ------------------------------------------------------------------ the data
make_data() {
	echo "making a cluster (initdb)"
	install -d -o postgres "$work" "$data"
	runuser -u postgres -- "$bin/initdb" -D "$data" -A trust --no-sync |
		sed -un '/\.\.\. ok/p'
	# Without jit each backend would load a compiler to read a table of this
	# size, which is more memory than its page tables are.
	cat >>"$data/postgresql.conf" <<-CONF
		unix_socket_directories = '$work'
		listen_addresses = ''
		shared_buffers = $buffers
		max_connections = $((backends + 20))
		jit = off
		fsync = off
		autovacuum = off
		max_wal_size = 64MB
		min_wal_size = 32MB
	CONF
	start env
	echo "filling it"
	"$bin/pgbench" -i -q -s 1 2>/dev/null || give_up "pgbench -i fails"
	# One row to a page.
	sql <<-SQL
		CREATE EXTENSION pg_prewarm;
		CREATE EXTENSION pg_buffercache;
		CREATE UNLOGGED TABLE buffered (pad text);
		ALTER TABLE buffered ALTER pad SET STORAGE PLAIN;
		INSERT INTO buffered
			SELECT repeat(chr(97 + i % 26), 7000) FROM generate_series(1, $rows) i;
		CREATE UNLOGGED TABLE seen (pid int, vmpte_before int, vmpte int,
			faults int, seconds float, rows bigint, sum bigint);
	SQL
	file=$data/$(sql -c "SELECT pg_relation_filepath('buffered')")
	control -m fast stop
	tar -C "$work" -cf /out/data.tar data || give_up "the data cannot be kept"
}

# The data as they were made. Pages of zeros are empty pages to PostgreSQL, and a
# hole in the file takes no memory: what is in shared_buffers exists once.
fresh_data() {
	rm -rf "$data" "$log"
	tar -C "$work" -xf /out/data.tar
	truncate -s $((pages * 8192)) "$file"
}

# In four parts, as there are processors. pg_prewarm reads into the buffers
# directly, where a scan would use a small ring of them.
fill_buffers() {
	echo "reading the table into the buffers"
	part=$((pages / 4))
	for first in 0 1 2 3; do
		sql -c "SELECT pg_prewarm('buffered', 'buffer', 'main',
			$((first * part)), $((first * part + part - 1)))" >/dev/null &
	done
	wait
	sql -c "SELECT count(*) FROM pg_buffercache
		WHERE relfilenode = pg_relation_filenode('buffered')" >"$work/count"
	echo "# buffered $(cat "$work/count")" >>"$csv"
	[ "$(cat "$work/count")" -eq "$pages" ] || give_up "only $(cat "$work/count") buffers are filled"
}

# The same transactions in both runs, in whatever order: balances are sums.
transactions() {
	"$bin/pgbench" -n -c 4 -t 25 --random-seed=1 >/dev/null 2>&1 || give_up "pgbench fails"
	echo "# balances $(sql -c "SELECT md5(string_agg(aid || ' ' || abalance, ',' ORDER BY aid))
		FROM pgbench_accounts")" >>"$csv"
}

# -------------------------------------------------------------- the backends
cat >"$work/hold.sql" <<'SQL'
SET max_parallel_workers_per_gather = 0;
SELECT substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)') AS vmpte, extract(epoch from clock_timestamp()) AS began \gset
SELECT count(*) AS rows, sum(hashtext(pad)) AS sum FROM buffered \gset
INSERT INTO seen SELECT pg_backend_pid(), :vmpte, substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)')::int, split_part(pg_read_file('/proc/self/stat'), ' ', 10)::int, extract(epoch from clock_timestamp()) - :began, :rows, :sum;
SELECT pg_sleep(1000000);
SQL

# The kernel has killed a process of the server: it ends all the others.
struck() { grep -q 'terminated by signal 9' "$log"; }

# open_until NUMBER: as many backends have read all. False: the OOM killer.
open_until() {
	"$bin/pgbench" -n -c $(($1 - open)) -t 1 -f "$work/hold.sql" >>"$work/hold.log" 2>&1 &
	holders="$holders $!"
	tries=0
	while :; do
		now=$(timeout 20 "$bin/psql" -X -q -A -t -c 'SELECT count(*) FROM seen' 2>/dev/null) || now=
		! struck || return 1
		[ "${now:-0}" -le "$open" ] || open=$now
		[ "$open" -lt "$1" ] || return 0
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || { tail -n 5 "$work/hold.log" "$log"; give_up "a backend does not end its query"; }
		sleep 0.3
	done
}

# Times, of which only the ratio of the two runs is shown.
timing() {
	connect=$("$bin/pgbench" -n -C -S -t 20 2>&1 | sed -n 's/^average connection time = \([0-9.]*\).*/\1/p')
	rate=$("$bin/pgbench" -n -S -c 4 -j 2 -T 3 2>&1 | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
}

# sample MODE: a line of numbers, a line for people. False: no answer.
sample() {
	# The kernel counts for each processor.
	echo 1 >/proc/sys/vm/stat_refresh
	tables=$(kib PageTables)
	connect='' rate=''
	sql -F, >"$work/means" -c "SELECT avg(vmpte)::int, max(vmpte), avg(vmpte_before)::int,
		avg(faults)::int, round(avg(seconds)::numeric, 4) FROM seen" || return 1
	case $timed in *" $open "*) timing ;; esac
	echo "$1,$open,$tables,$(cat "$work/means"),$connect,$rate,$(kib MemAvailable)" >>"$csv"
	IFS=, read -r vmpte _ _ faults _ <"$work/means"
	printf '%4d backends: page tables of the machine %6d KiB, of a backend %4d KiB, %5d faults, %4d MiB of RAM left\n' \
		"$open" "$tables" "$vmpte" "$faults" $(($(kib MemAvailable) / 1024))
}

# Up to ten more: the first alone, then full tens.
next() {
	[ "$open" -gt 0 ] || { echo 1; return; }
	to=$((open / 10 * 10 + 10))
	[ "$to" -le "$backends" ] || to=$backends
	echo "$to"
}

oom() {
	wait_for struck || { tail -n 20 "$log"; give_up "the server does not answer"; }
	line=$(dmesg | sed -n 's/.*\(Out of memory: Killed.*\)/\1/p' | head -n 1)
	[ -n "$line" ] || { tail -n 20 "$log"; give_up "a backend was killed, and not by the OOM killer"; }
	echo "# oom $open" >>"$csv"
	echo "The OOM killer struck when $open of $backends backends were through. The kernel's log, and PostgreSQL's:"
	echo "  $line"
	grep -E 'signal 9|terminating any|all server processes' "$log" | sed 's/^.*LOG: */  /'
}

# All gave the same answer; the windows are there, or are not.
audit() {
	sql -F' ' -c "SELECT DISTINCT rows, sum FROM seen" | sed 's/^/# answer /' >>"$csv"
	for pid in $(sql -c "SELECT pid FROM seen"); do
		! grep -q '/sys/fs/mshare/' "/proc/$pid/maps" || echo "$pid"
	done >"$work/windows"
	echo "# windows $(wc -l <"$work/windows")" >>"$csv"
}

# Nothing but some of the log of transactions is there that was not before.
freed() { [ "$(kib Shmem)" -lt $((before + 131072)) ]; }

# run MODE COMMAND...: the server started by COMMAND
run() {
	mode=$1 csv=/out/$1.csv open=0 holders='' dead=''
	shift
	echo "# ram_kib $(kib MemTotal)" >"$csv"
	echo "mode,backends,pagetables_kib,vmpte_kib,vmpte_max_kib,vmpte_before_kib,faults,reading_s,connect_ms,tps,available_kib" >>"$csv"
	fresh_data
	before=$(kib Shmem)
	start "$@"
	fill_buffers
	transactions
	while [ "$open" -lt "$backends" ]; do
		if ! open_until "$(next)" || ! sample "$mode"; then
			dead=yes
			oom
			break
		fi
		[ "$open" -ne 100 ] || audit
	done
	[ -n "$dead" ] || {
		audit
		echo "# alive $(sql -c "SELECT count(*) FROM seen s JOIN pg_stat_activity a USING (pid)")" >>"$csv"
	}
	# Those all of whose backends are gone have ended.
	# shellcheck disable=SC2086 # several numbers
	kill $holders 2>/dev/null || :
	wait
	control -m immediate stop
	wait_for freed || give_up "memory was left behind: $(kib Shmem) KiB of shared memory, $before before"
}

make_data
printf '\n1. PostgreSQL as it is\n'
run plain env
printf '\n2. The same, started by mshare run\n'
# Half of the RAM may be in regions, if the administrator does not say otherwise. The
# buffers are more than that here.
mount -o remount,size=90% /sys/fs/mshare || give_up "the limit of msharefs cannot be raised"
run mshare "$mshare" run --require --only postgres --
