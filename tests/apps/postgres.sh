#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Debian's PostgreSQL 15, unmodified: without mshare, and with its shared memory in
# a region. Usage: postgres.sh DIRECTORY, with the tool. Prints TAP.
#
# Not its own regression suite: no package of Debian has the files of that.
# postgresql-server-dev-15 has neither pg_regress nor src/test/regress/sql.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=postgres
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
# shellcheck source=tests/apps/pg.sh
. "${0%/*}/pg.sh"

has() { has_window "$(postmaster)"; }
answers() { [ "$(psql -c 'SELECT count(*) FROM pgbench_accounts')" = 500000 ]; }

# Of 1 GiB of shared_buffers all but a little is pages of one relation. Its file is
# a hole: pages of zeros are valid, and have no row.
megabytes=960
make_hole() {
	file=$data/$(psql -c "SELECT pg_relation_filepath('hole')")
	control -m fast stop && truncate -s "${megabytes}M" "$file"
}
fill_buffers() {
	[ "$(psql -c "SELECT pg_prewarm('hole', 'buffer')")" = $((megabytes * 128)) ]
}

# KiB of page tables of a backend that has read what is in shared_buffers: all of
# it is there, so that a scan needs no ring of a few. Not those of a compiler.
measure() {
	psql >"$work/measured" <<-'SQL'
		SET max_parallel_workers_per_gather = 0;
		SET jit = off;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)');
		EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
			SELECT count(*) FROM hole;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPTE:\s+(\d+)');
	SQL
	before=$(head -n 1 "$work/measured")
	tables=$(tail -n 1 "$work/measured")
	hits=$(sed -n 's/.*shared hit=\([0-9]*\)$/\1/p' "$work/measured" | head -n 1)
	echo "# $1: VmPTE of a backend: $before KiB, after reading $hits buffers $tables KiB"
	[ "${hits:-0}" -eq $((megabytes * 128)) ]
}

# --------------------------------------------------------------------- without
check initdb configure "shared_buffers = 1GB" "max_connections = 220" \
	"logging_collector = on" "min_dynamic_shared_memory = 16MB"
check plain_start run env
check plain_has_no_window has_no_window "$(postmaster)"
check fill as "$bin/pgbench" -i -q -s 5 postgres
# Unlogged: it is for this comparison only.
check hole psql -c "CREATE UNLOGGED TABLE hole (x int) WITH (autovacuum_enabled = off)" \
	-c "CREATE EXTENSION pg_prewarm" -c "CREATE EXTENSION amcheck" -c CHECKPOINT
check make_hole make_hole
check plain_start_again run env
check plain_fill_buffers fill_buffers
measure plain
result $? plain_reads_all
plain=$tables
# 512 pages of 4 KiB to a page table of 4 KiB.
check plain_tables [ "$plain" -ge $((megabytes * 2)) ]
check plain_stop control -m fast stop

# ------------------------------------------------------------------------ with
check start with_mshare
check said grep 'mshare: preload: [0-9]* bytes: shared page tables: /sys/fs/mshare' \
	"$data/start.log"
check window has
check fill_buffers fill_buffers
measure preload
result $? reads_all
check tables_below_a_tenth [ "$((tables * 10))" -lt "$plain" ]

# All at the same time: they wait for a lock until they have been looked at.
cat >"$work/client.sql" <<-'SQL'
	\set aid random(1, 500000)
	SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
	SELECT pg_advisory_xact_lock_shared(1);
SQL
: >"$work/locked"
{
	echo "SELECT pg_advisory_lock(1);"
	while [ -e "$work/locked" ]; do sleep 1; done
} | psql >"$work/lock" &
check lock wait_for [ -s "$work/lock" ]
as "$bin/pgbench" -n -f "$work/client.sql" -c 200 -j 4 -t 1 postgres >"$work/clients" 2>&1 &
clients=$!
backends() {
	psql -c "SELECT pid FROM pg_stat_activity
		WHERE application_name = 'pgbench' AND wait_event = 'advisory'"
}
all_wait() { [ "$(backends | wc -l)" -eq 200 ] || { sleep 1; false; }; }
check connections_200 wait_for all_wait
# shellcheck disable=SC2046 # pids
check window_in_each has_window $(backends)
rm "$work/locked"
wait "$clients"
result $? end_of_connections
check none_failed grep -q 'number of failed transactions: 0 ' "$work/clients"
check read_only as "$bin/pgbench" -n -S -c 20 -j 2 -t 50 postgres
check read_write as "$bin/pgbench" -n -c 20 -j 2 -t 5 postgres

parallel() {
	psql -c "SET parallel_setup_cost = 0" -c "SET parallel_tuple_cost = 0" \
		-c "SET min_parallel_table_scan_size = 0" \
		-c "SET enable_indexonlyscan = off" \
		-c "$1 SELECT count(*), sum(aid), sum(abalance) FROM pgbench_accounts"
}
workers() { parallel 'EXPLAIN (ANALYZE, TIMING OFF)' | grep 'Workers Launched: [1-9]'; }
check parallel_workers workers
same_result() {
	[ "$(parallel "" | cut -d'|' -f1,2)" = "500000|125000250000" ] &&
		[ "$(parallel "")" = "$(psql -c "SET max_parallel_workers_per_gather = 0" \
			-c "SELECT count(*), sum(aid), sum(abalance) FROM pgbench_accounts")" ]
}
check parallel_result same_result

# A backend that is killed: all others end, and there is new memory.
check kill_backend kill_backend
crashed() { grep -q 'all server processes terminated; reinitializing' "$data"/log/*.log; }
check crashed wait_for crashed
check survives_kill_of_backend wait_for answers
check window_after_crash has
check immediate_stop control -m immediate stop
check start_after_immediate with_mshare
check answers answers

# The postmaster killed: its children end by themselves, and the next one starts.
old=$(postmaster)
kill -9 "$old"
check children_end wait_for no_server
check start_after_kill with_mshare
check answers_again answers
check indexes_sound psql -v ON_ERROR_STOP=1 -c "SELECT bt_index_check(c.oid, true)
	FROM pg_class c WHERE relkind = 'i' AND relname LIKE 'pgbench%'"
check stop control -m fast stop
check checksums as "$bin/pg_checksums" -c -D "$data"
check no_server no_server
check nothing_left nothing_left
cd /
finish
