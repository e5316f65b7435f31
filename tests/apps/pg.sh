# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
# Debian's PostgreSQL 15, unmodified, in $data: to be sourced after common.sh.
bin=/usr/lib/postgresql/15/bin
data=$work/data
mkdir "$data"
chown postgres "$data"
export PGHOST="$data"
cd "$data" || exit 1

as() { runuser -u postgres -- "$@"; }
psql() { as "$bin/psql" -X -q -A -t -d postgres "$@"; }
control() { as "$bin/pg_ctl" -D "$data" -w -t 300 "$@"; }
postmaster() { head -n 1 "$data/postmaster.pid"; }
no_server() { ! pgrep -u postgres postgres; }

stop_all() {
	[ ! -e "$data/postmaster.pid" ] || control -m immediate stop
}

# configure SETTING...: a new cluster
configure() {
	as "$bin/initdb" -D "$data" -k --no-sync -A trust || return 1
	printf '%s\n' "unix_socket_directories = '$data'" "listen_addresses = ''" \
		"fsync = off" "$@" >>"$data/postgresql.conf"
}

# run COMMAND...: start the server by COMMAND
run() {
	as "$@" "$bin/pg_ctl" -D "$data" -w -t 300 -l "$data/start.log" start \
		</dev/null >"$work/started" 2>&1
}
with_mshare() { run "$mshare" run --require --verbose --only postgres --; }

# A backend is killed, as the OOM killer would: its client hears of it.
kill_backend() {
	psql -c "SELECT pg_sleep(1000)" >/dev/null 2>&1 &
	client=$!
	wait_for sleeper && kill -9 "$(sleeper)" && ! wait "$client"
}
sleeper() {
	psql -c "SELECT pid FROM pg_stat_activity WHERE query LIKE '%sleep(1000)%'
		 AND pid <> pg_backend_pid()" | grep .
}
