#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What docs/postgresql.md says of huge pages and of memory limits, with Debian's
# PostgreSQL 15. Usage: pgmemory.sh DIRECTORY, with the tool. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=pgmemory
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
# shellcheck source=tests/apps/pg.sh
. "${0%/*}/pg.sh"
pool=/proc/sys/vm/nr_hugepages
group=/sys/fs/cgroup/pgmemory
mount_size=$(findmnt -n -o OPTIONS /sys/fs/mshare | tr , '\n' | grep '^size=' || echo size=50%)

# Also at the end, when most of it has been done.
stop_all() {
	control -m immediate stop
	echo 0 >"$pool"
	mount -o remount,"$mount_size" /sys/fs/mshare
	rmdir "$group"
}

answers() { [ "$(psql -c 'SELECT count(*) FROM pgbench_accounts')" = 500000 ]; }
prewarm() { psql -c "SELECT pg_prewarm('pgbench_accounts', 'buffer')"; }
# The file that ALTER SYSTEM writes: read last.
huge_pages() { echo "huge_pages = $1" >"$data/postgresql.auto.conf"; }

# ------------------------------------------------------------------- huge pages
meminfo() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }
pool_is_idle() {
	[ "$(meminfo HugePages_Free)" -eq "$(cat "$pool")" ] &&
		[ "$(meminfo HugePages_Rsvd)" -eq 0 ]
}
# What the server has its large memory from.
memory() {
	awk '/ \/sys\/fs\/mshare\// { print "window" }
	     / \/anon_hugepage/ { print "pool" }' "/proc/$(postmaster)/maps" | sort -u
}
# With mshare or without, and for this reason.
no_start() {
	! with_mshare && ! run env &&
		[ "$(grep -c 'could not map anonymous shared memory' "$data/start.log")" -eq 2 ]
}
said_nothing() { ! grep mshare: "$data/start.log"; }

# row NAME PAGES SETTING MEMORY: a row of the table in docs/postgresql.md
row() {
	check "$1_pool" sh -c "echo $2 >$pool && [ \$(cat $pool) -eq $2 ]"
	huge_pages "$3"
	rm -f "$data/start.log"
	if [ "$4" = none ]; then
		check "$1_does_not_start" no_start
		return
	fi
	check "$1_start" with_mshare
	check "$1_has_$4" [ "$(memory)" = "$4" ]
	case $4 in
	window) [ "$2" -eq 0 ] || check "$1_pool_idle" pool_is_idle ;;
	pool)	check "$1_pool_used" eval '! pool_is_idle'
		check "$1_said_nothing" said_nothing ;;
	esac
	check "$1_stop" control -m fast stop
}

check initdb configure "shared_buffers = 128MB" "max_connections = 50" \
	"min_dynamic_shared_memory = 0" "autovacuum = off"
row none_try 0 try window
row none_off 0 off window
row none_on 0 on none
row enough_try 100 try pool
row enough_on 100 on pool
row enough_off 100 off window
row few_try 20 try window
row few_on 20 on none
echo 0 >"$pool"
huge_pages try

# --------------------------------------------------------------- its own cgroup
grep -qw memory /sys/fs/cgroup/cgroup.subtree_control ||
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir "$group"
in_group() {
	# shellcheck disable=SC2016 # the shell that is to move
	(sh -c 'echo "$PPID" >"$1/cgroup.procs"' sh "$group" && "$@")
}
# memory.stat may be old; cpu.stat has everything summed up.
charged() {
	cat "$group/cpu.stat" >/dev/null
	awk -v name="$1" '$1 == name { print $2 }' "$group/memory.stat"
}
oom_kills() { awk '$1 == "oom_kill" { print $2 }' "$group/memory.events"; }

# Ten backends that have read all of the table, 80 MB, and stay.
readers() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		psql -c "SET max_parallel_workers_per_gather = 0" -c "SET jit = off" \
			-c "SELECT sum(abalance) FROM pgbench_accounts" \
			-c "SELECT pg_sleep(1000)" >/dev/null 2>&1 &
	done
	wait_for all_sleep
}
all_sleep() {
	[ "$(psql -c "SELECT count(*) FROM pg_stat_activity
		WHERE wait_event = 'PgSleep'")" -eq 10 ]
}

check plain_start in_group run env
check fill as "$bin/pgbench" -i -q -s 5 postgres
check prewarm_is_there psql -c "CREATE EXTENSION pg_prewarm"
check plain_prewarm prewarm
check plain_readers readers
plain=$(charged pagetables)
check plain_stop control -m immediate stop
wait

check start in_group with_mshare
check prewarm prewarm
check readers readers
shared=$(charged pagetables)
shmem=$(charged shmem)
echo "# of the group, in KiB: page tables $((plain / 1024)) plain," \
	"$((shared / 1024)) with the preload; shmem $((shmem / 1024))"
check memory_is_the_groups [ "$shmem" -gt 80000000 ]
# Each backend has read 64 MiB at least: 128 KiB of page tables.
check page_tables_smaller [ $((plain - shared)) -gt $((10 * 128 * 1024)) ]
check stop control -m immediate stop
wait

# ---------------------------------------------------- more than the group may have
check limit sh -c "echo 400M >$group/memory.max && echo 0 >$group/memory.swap.max"
check start_with_limit in_group with_mshare
check prewarm_with_limit prewarm
# A backend that takes as much for itself is the one that is killed.
too_much() {
	! psql -c "SET work_mem = '2GB'" \
		-c "SELECT count(*) FROM generate_series(1, 20000000) x"
}
check too_much too_much
check backend_killed [ "$(oom_kills)" -eq 1 ]
check all_reinitialized wait_for grep \
	'all server processes terminated; reinitializing' "$data/start.log"
check comes_back wait_for answers
check window_again has_window "$(postmaster)"
check limit_kept [ "$(cat "$group/memory.peak")" -le $((400 << 20)) ]
check stop_with_limit control -m fast stop

# ------------------------------------------------- less than size= of the mount
# Ordinary memory is allowed here: it is what the server gets in the end.
not_required() { run "$mshare" run --verbose --only postgres --; }
scarce() {
	used=$(findmnt -n -b -o USED /sys/fs/mshare)
	mount -o remount,"size=$((used + (8 << 20)))" /sys/fs/mshare
}
room() { mount -o remount,"$mount_size" /sys/fs/mshare; }
rm -f "$data/start.log"
check start_before_scarce not_required
check scarce scarce
# The kernel finds no room for what is read: an error of one query.
check query_fails eval '! prewarm'
check query_said grep 'could not read block' "$data/start.log"
check server_stays control status
check room room
check prewarm_with_room prewarm
check scarce_again scarce
# The server finds none for a page that it makes: as for ordinary shared memory.
check backend_dies eval '! psql -c "CREATE TABLE new AS SELECT generate_series(1, 1000000)"'
check sigbus grep 'was terminated by signal 7: Bus error' "$data/start.log"
check comes_back_without wait_for answers
check ordinary_memory has_no_window "$(postmaster)"
check scarce_said grep 'ordinary memory: not enough room in msharefs' "$data/start.log"
check room_again room
check last_stop control -m fast stop

check checksums as "$bin/pg_checksums" -c -D "$data"
check no_server no_server
check group_goes wait_for rmdir "$group"
check nothing_left nothing_left
cd /
finish
