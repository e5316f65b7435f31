#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What vm/splats takes for a complaint of the kernel, and what it does not. Prints
# TAP.
# shellcheck disable=SC2317 # functions that check() calls
set -u
suite=splats
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
work=$(mktemp -d)

# status WANTED [ARGS]: of vm/splats, for the log on standard input
status() {
	wanted=$1 got=0
	shift
	cat >"$work/log"
	vm/splats "$@" "$work/log" || got=$?
	[ "$got" -eq "$wanted" ]
}

stack() {
	cat <<-'END'
	[    2.000000] mshare-victim invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0
	[    2.000001] Call Trace:
	[    2.000002]  <TASK>
	[    2.000003]  ? __page_table_check_ptes_set+0x3f5/0x6c0
	[    2.000004]  kasan_report+0xd8/0x110
	[    2.000005]  </TASK>
	[    2.000006] Memory cgroup out of memory: Killed process 766 (mshare-victim) total-vm:4kB
	END
}

warning() {
	echo "[    2.000000] WARNING: CPU: 0 PID: 7 at mm/mshare/link.c:90 add_link+0x1f/0x30"
}

race() {
	cat <<-END
	[    3.000000] ==================================================================
	[    3.000001] BUG: KCSAN: data-race in $1 / $2
	[    3.000002]
	[    3.000003] write to 0xff11000102d0c000 of 8 bytes by task 70 on cpu 1:
	[    3.000004]  $1+0x10/0x20
	[    3.000005] read to 0xff11000102d0c000 of 8 bytes by task 71 on cpu 0:
	[    3.000006]  $2+0x10/0x20
	[    3.000007] ==================================================================
	END
}

quiet() { echo "[    1.000000] Linux version 6.12"; }
run() {
	log=$1
	shift
	"$log" | status "$@"
}
our_race() { race mshare_flush do_exit; }
foreign_race() { race do_exit do_wait; }

check quiet_log run quiet 0
check warning run warning 1
check allowed_warning run warning 0 --allow 'link[.]c:90'
check oom_kill run stack 1
check frames_of_a_stack run stack 0 --allow 'ut of memory: Killed'
check race_of_mshare run our_race 1
check race_elsewhere run foreign_race 0
finish
