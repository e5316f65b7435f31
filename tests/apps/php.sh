#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Debian's PHP 8.2, FPM with opcache, unmodified: without mshare, and with the
# memory of opcache in a region. Usage: php.sh DIRECTORY, with the tool. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=php
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
workers=8
scripts=16

mkdir "$work/www"
number=0
while [ "$number" -lt "$scripts" ]; do
	awk -v n="$number" 'BEGIN {
		print "<?php function values_" n "() { return ["
		for (i = 0; i < 400; i++)
			printf "\"key %d of %d\" => [%d, \"%d\", %d.5],\n", i, n, i * n, i + n, i
		print "]; }"
		print "$sum = 0; foreach (values_" n "() as $k => $v) $sum += $v[0] + $v[1] + strlen($k);"
		print "echo \"script " n ": $sum\\n\";"
	}' >"$work/www/$number.php"
	number=$((number + 1))
done
cat >"$work/www/status.php" <<-'PHP'
	<?php
	$s = opcache_get_status(false);
	echo $s['opcache_statistics']['num_cached_scripts'], ' ',
	     $s['opcache_statistics']['hits'] > 0 ? 'hits' : 'no hits', ' ',
	     $s['memory_usage']['used_memory'] + $s['memory_usage']['free_memory']
	     + $s['memory_usage']['wasted_memory'] >> 20, "\n";
PHP
cat >"$work/fpm.conf" <<-CONF
	[global]
	pid = $work/pid
	error_log = $work/log
	daemonize = yes
	[www]
	user = www-data
	listen = $work/socket
	listen.mode = 0666
	pm = static
	pm.max_children = $workers
	clear_env = yes
CONF

# start COMMAND...: the server by COMMAND
start() {
	rm -f "$work/log"
	"$@" php-fpm8.2 -n -y "$work/fpm.conf" -d zend_extension=opcache.so \
		-d opcache.memory_consumption=512 -d opcache.validate_timestamps=0 \
		-d opcache.file_update_protection=0 </dev/null >"$work/started" 2>&1 &&
		wait_for all_run
}
with_mshare() { start "$mshare" run --require --deepbind --verbose -- "$@"; }
master() { cat "$work/pid"; }
pool() { pgrep -P "$(master)"; }
all_run() { [ "$(pool | wc -l)" -eq "$workers" ]; }
stop() { old=$(master) && kill -QUIT "$old" && wait_for gone; }
gone() { ! kill -0 "$old"; }
# shellcheck disable=SC2046 # pids
stop_all() { [ ! -e "$work/pid" ] || kill -KILL "$(master)" $(pool); }

# get SCRIPT: what the server says
get() {
	SCRIPT_FILENAME=$work/www/$1.php REQUEST_METHOD=GET \
		cgi-fcgi -bind -connect "$work/socket" | sed '1,/^\r*$/d'
}
get_all() {
	number=0
	while [ "$number" -lt "$scripts" ]; do
		get "$number" || return 1
		number=$((number + 1))
	done
}
# Of all of the scripts twice: what was compiled, and what was in the cache.
answers() {
	get_all >"$work/first" && get_all >"$work/second" &&
		cmp "$work/first" "$work/second" && [ "$(wc -l <"$work/first")" -eq "$scripts" ]
}
same_answers() { answers && cmp "$work/plain" "$work/first"; }
cached() { [ "$(get status)" = "$((scripts + 1)) hits 512" ]; }

check plain_start start env
# shellcheck disable=SC2046 # pids
check plain_has_no_window has_no_window $(pool)
check plain_answers answers
cp "$work/first" "$work/plain"
check plain_cached cached
check plain_stop stop

# windows: of the server and all of its workers
windows() {
	# shellcheck disable=SC2046 # pids
	has_window "$(master)" $(pool)
}
check start with_mshare
check said [ "$(shared_areas "$work/started")" -ge 1 ]
check windows windows
# opcache asks for addresses below 2 GiB.
check address grep -q '^40000000-80000000 rw-s .* /sys/fs/mshare/' "/proc/$(master)/maps"
check same_answers same_answers
check cached cached

# A worker that is killed: there is a new one, and the cache as it was.
victim=$(pool | head -n 1)
kill -9 "$victim"
replaced() { all_run && ! kill -0 "$victim"; }
check worker_replaced wait_for replaced
check window_of_the_new windows
check cached_after_kill cached
check same_answers_after_kill same_answers

# A graceful reload: the master executes itself, with a new cache.
old=$(pool | sort)
kill -USR2 "$(master)"
reloaded() { all_run && ! pool | grep -qxF "$old"; }
check reload wait_for reloaded
check windows_after_reload windows
check cache_is_new [ "$(get status)" = "1 no hits 512" ]
check same_answers_after_reload same_answers
check cached_after_reload cached
check stop stop
check no_error sh -c "! grep -E 'ERROR|ALERT' '$work/log'"
check nothing_left nothing_left
finish
