#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Debian's PostgreSQL 15, unmodified: without mshare, and with its shared memory in
# a region. Usage: postgres.sh DIRECTORY, with the tool. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=postgres
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
[ -d /sys/fs/mshare ] || skip_all "this kernel has no msharefs"
bin=/usr/lib/postgresql/15/bin
mshare=$1/mshare
work=$(mktemp -d)
data=$work/data
mkdir "$data"
chmod 755 "$work"
chown postgres "$data"
export PGHOST="$data"
cd "$data" || exit 1

as() { runuser -u postgres -- "$@"; }
psql() { as "$bin/psql" -X -q -A -t -d postgres "$@"; }
control() { as "$bin/pg_ctl" -D "$data" -w -t 300 "$@"; }
postmaster() { head -n 1 "$data/postmaster.pid"; }
wait_for() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 1200 ] || return 1
		sleep 0.1
	done
}

# run COMMAND...: start the server by COMMAND
run() {
	as "$@" "$bin/pg_ctl" -D "$data" -w -t 300 -l "$work/data/start.log" start \
		</dev/null >"$work/started" 2>&1
}
with_mshare() { run "$mshare" run --require --verbose --only postgres -- "$@"; }
has_window() { grep -q '/sys/fs/mshare/' "/proc/$(postmaster)/maps"; }
answers() { [ "$(psql -c 'SELECT count(*) FROM pgbench_accounts')" = 500000 ]; }

# KiB of page tables that a backend gets by reading what is in shared_buffers.
measure() {
	psql >"$work/measured" <<-'SQL'
		SET max_parallel_workers_per_gather = 0;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)');
		SELECT sum(length(pad)) FROM buffered;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)');
	SQL
	{
		read -r before
		read -r sum
		read -r after
	} <"$work/measured"
	echo "# $1: VmPTE of a backend: $before KiB, after reading $sum bytes $after KiB"
	[ "$sum" -eq 168000000 ] || return 1
	grown=$((after - before))
}

# --------------------------------------------------------------------- without
check initdb as "$bin/initdb" -D "$data" -k --no-sync -A trust
cat >>"$data/postgresql.conf" <<-CONF
	unix_socket_directories = '$data'
	shared_buffers = 256MB
	max_connections = 60
	listen_addresses = ''
	logging_collector = on
	fsync = off
	min_dynamic_shared_memory = 16MB
CONF
check plain_start run env
check plain_has_no_window sh -c "! grep /sys/fs/mshare/ /proc/$(postmaster)/maps"
check fill as "$bin/pgbench" -i -q -s 5 postgres
# A row fills a page. Unlogged: it is for this comparison only.
check fill_buffers psql -c "CREATE UNLOGGED TABLE buffered (pad text)" \
	-c "ALTER TABLE buffered ALTER pad SET STORAGE PLAIN" \
	-c "INSERT INTO buffered SELECT repeat('x', 7000) FROM generate_series(1, 24000)" \
	-c "CREATE EXTENSION pg_prewarm" -c "CREATE EXTENSION amcheck"
grown=0
measure plain
result $? plain_reads_all
plain=$grown
# 168 MB on as many pages of 8 KiB, 512 of 4 KiB to a page table.
check plain_tables [ "$plain" -ge 300 ]
check plain_stop control -m fast stop

# ------------------------------------------------------------------------ with
check start with_mshare
check said grep 'mshare: preload: [0-9]* bytes: shared page tables: /sys/fs/mshare' \
	"$work/data/start.log"
check window has_window
check prewarm psql -c "SELECT pg_prewarm('buffered', 'buffer')"
grown=$plain
measure preload
result $? reads_all
check tables_below_a_tenth [ "$((grown * 10))" -lt "$plain" ]
check read_only as "$bin/pgbench" -n -S -c 20 -j 2 -t 50 postgres
check read_write as "$bin/pgbench" -n -c 20 -j 2 -t 5 postgres
check parallel psql -c "SET parallel_setup_cost = 0" -c "SET parallel_tuple_cost = 0" \
	-c "SET min_parallel_table_scan_size = 0" -c "SET enable_indexonlyscan = off" \
	-c "SELECT count(*), sum(abalance) FROM pgbench_accounts"

# A backend that is killed: all others end, and there is new memory.
psql -c "SELECT pg_sleep(1000)" >/dev/null 2>&1 &
client=$!
sleeper() {
	psql -c "SELECT pid FROM pg_stat_activity WHERE query LIKE '%sleep(1000)%'
		 AND pid <> pg_backend_pid()" | grep .
}
check backend wait_for sleeper
kill -9 "$(sleeper)"
wait "$client"
crashed() { grep -q 'all server processes terminated; reinitializing' "$data"/log/*.log; }
check crashed wait_for crashed
check survives_kill_of_backend wait_for answers
check window_after_crash has_window
check immediate_stop control -m immediate stop
check start_after_immediate with_mshare
check answers answers

# The postmaster killed: its children end by themselves, and the next one starts.
old=$(postmaster)
kill -9 "$old"
no_children() { ! pgrep -u postgres postgres; }
check children_end wait_for no_children
check start_after_kill with_mshare
check answers_again answers
check indexes_sound psql -v ON_ERROR_STOP=1 -c "SELECT bt_index_check(c.oid, true)
	FROM pg_class c WHERE relkind = 'i' AND relname LIKE 'pgbench%'"
check stop control -m fast stop
check checksums as "$bin/pg_checksums" -c -D "$data"
check nothing_left no_children
cd /
finish
