#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Programs with segments of System V, without mshare and with it: processes that
# attach one by its key, stress-ng, PostgreSQL. Usage: sysv.sh DIRECTORY, with the
# programs. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=sysv
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
attacher=$1/tests/attacher
key=0x6d736872
clients="1 2 3 4 5 6 7 8"

# What ipcs(1) says of the segment, and shmctl(2) through it.
attached() { ipcs -m | awk -v key="$key" '$1 == key { print $6 }'; }
no_segment() { [ -z "$(ipcs -m | awk '/^0x/')" ]; }

# open_clients HOW COMMAND...: a process that makes the segment, then clients that
# are executed each by itself. They stay until close_clients.
open_clients() {
	how=$1
	shift
	mkfifo "$work/hold.$how"
	pids=
	for i in 0 $clients; do
		size=$([ "$i" -ne 0 ] || echo 96)
		# shellcheck disable=SC2086 # nothing, or a number
		"$@" "$attacher" "$key" $size <"$work/hold.$how" \
			>"$work/$how.$i" 2>"$work/$how.err.$i" 3>&- &
		pids="$pids $!"
		# Whoever opens it for reading waits for this.
		[ "$i" -ne 0 ] || exec 3>"$work/hold.$how"
		wait_for [ -s "$work/$how.$i" ] || return 1
	done
}
close_clients() {
	exec 3>&-
	for pid in $pids; do
		wait "$pid" || return 1
	done
}
# Sums and counters; and the page tables, on average.
results() { for i in 0 $clients; do cut -d' ' -f1,2 "$work/$1.$i"; done; }
tables() { for i in $clients; do cat "$work/$1.$i"; done | awk '{ sum += $3 } END { print int(sum / NR) }'; }
inodes() {
	for pid in $pids; do
		awk '$6 ~ "^/sys/fs/mshare/" { print $5 }' "/proc/$pid/maps"
	done | sort -u | wc -l
}

# ---------------------------------------------------- processes that share a key
open_clients plain env
result $? key_plain
check key_plain_no_window has_no_window "${pids##* }"
check key_plain_attached [ "$(attached)" -eq 9 ]
close_clients
result $? key_plain_end
check key_plain_removed ipcrm -M "$key"

open_clients shared "$mshare" run --sysv --require --verbose --
result $? key
# shellcheck disable=SC2086 # pids
check key_windows has_window $pids
check key_attached [ "$(attached)" -eq 9 ]
check key_same_results [ "$(results plain)" = "$(results shared)" ]
check key_one_region [ "$(inodes)" -eq 1 ]
echo "# VmPTE of a process: $(tables plain) KiB plain, $(tables shared) KiB with the preload"
# 96 MiB: 192 KiB of page tables less; programs have some of their own.
check key_page_tables [ "$(($(tables plain) - $(tables shared)))" -ge 180 ]
# One that knows nothing of it sees the same memory.
check key_without [ "$("$attacher" "$key" </dev/null | cut -d' ' -f1,2)" = \
	"$(tail -n 1 "$work/plain.8" | cut -d' ' -f1) 10" ]
victim=${pids##* }
kill -9 "$victim"
wait "$victim" 2>/dev/null
check key_killed_is_detached [ "$(attached)" -eq 8 ]
# Marked for removal: it goes with the last of them.
check key_removed ipcrm -M "$key"
pids=${pids% *}
close_clients
result $? key_end
check key_no_segment no_segment
check key_nothing_left nothing_left

# --------------------------------------------------------------------- stress-ng
stress() {
	"$@" stress-ng --temp-path "$work" --no-rand-seed --verify --shm-sysv 2 \
		--shm-sysv-bytes 2M --shm-sysv-segs 2 --shm-sysv-ops 40 --timeout 200
}
check stress_plain stress env
stress_shared() {
	stress "$mshare" run --sysv --min-size 1M --verbose \
		>"$work/stress" 2>&1 || { tail "$work/stress"; return 1; }
}
check stress stress_shared
check stress_windows [ "$(shared_areas "$work/stress")" -ge 1 ]
echo "# stress-ng: $(shared_areas "$work/stress") windows"
check stress_no_segment no_segment
check stress_nothing_left nothing_left

# -------------------------------------------------------------------- PostgreSQL
# shellcheck source=tests/apps/pg.sh
. "${0%/*}/pg.sh"
# pgbench_accounts without mshare and with it, and who says so.
sum() { psql -c "SELECT count(*), sum(aid) FROM pgbench_accounts"; }
check pg_initdb configure "shared_memory_type = sysv" "shared_buffers = 128MB" \
	"min_dynamic_shared_memory = 0"
check pg_plain_start run env
check pg_fill as "$bin/pgbench" -i -q -s 2 postgres
plain=$(sum)
check pg_plain_stop control -m fast stop

# Not root, and without the capability: one line, and everything as it was.
without_capability() {
	run "$mshare" run --sysv --only postgres -- "$@"
}
check pg_without_capability without_capability
check pg_without_capability_said grep -q \
	'ordinary memory: CAP_CHECKPOINT_RESTORE is needed' "$data/start.log"
check pg_without_capability_result [ "$(sum)" = "$plain" ]
check pg_without_capability_stop control -m fast stop

pg_shared() {
	"$mshare" run --sysv --require --verbose --only postgres -- setpriv \
		--reuid postgres --regid postgres --init-groups --inh-caps +checkpoint_restore \
		--ambient-caps +checkpoint_restore "$bin/pg_ctl" -D "$data" -w -t 300 \
		-l "$data/shared.log" start </dev/null >"$work/started" 2>&1
}
check pg_start pg_shared
check pg_window has_window "$(postmaster)"
check pg_segment_attached [ "$(ipcs -m | awk '/^0x/ && $5 > 100000000 { print $6 }')" -gt 1 ]
check pg_result [ "$(sum)" = "$plain" ]
check pg_read_write as "$bin/pgbench" -n -c 10 -j 2 -t 5 postgres
check pg_kill_backend kill_backend
comes_back() { [ "$(sum)" = "$plain" ]; }
check pg_survives_kill_of_backend wait_for comes_back
check pg_window_after_crash has_window "$(postmaster)"
check pg_stop control -m fast stop
check pg_checksums as "$bin/pg_checksums" -c -D "$data"
check pg_no_segment no_segment
check pg_nothing_left nothing_left
cd /
finish
