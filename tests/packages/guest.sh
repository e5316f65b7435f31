#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The part of tests/packages.sh in the machine: a Debian with systemd, PostgreSQL
# and our packages. Prints TAP to the host.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
exec >/dev/virtio-ports/mshare.tap 2>&1 </dev/null
export HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
tests=${0%/*}
cd / || exit 1
argument() { sed -n "s/.*mshare\.$1=\([a-z0-9]*\).*/\1/p" /proc/cmdline; }
mode=$(argument test)
suite=packages.$mode
# shellcheck source=tests/tap.sh
. "$tests/tap.sh"
work=$(mktemp -d)
n=$(argument first)
unit=sys-fs-mshare.mount

# within NAME COMMAND...: check with a time limit, for what may hang
within() {
	name=$1
	shift
	check "$name" timeout -k 5 600 "$@"
}
psql() { runuser -u postgres -- psql -X -q -A -t -d postgres -v ON_ERROR_STOP=1 "$@"; }
pgbench() { timeout -k 5 600 runuser -u postgres -- /usr/lib/postgresql/15/bin/pgbench "$@"; }
# The shared memory of the backend that answers.
has_window() {
	psql -c "SELECT pg_read_file('/proc/self/maps')" >"$work/maps" || return 1
	grep '/sys/fs/mshare/' "$work/maps"
}
has_none() { ! has_window && [ -s "$work/maps" ]; }
answers() { [ "$(psql -c 'SELECT count(*) FROM pgbench_accounts')" = 100000 ]; }
# autopkgtest NAME STATUS: a test of the packages ends as it should; 77: skipped
autopkgtest() {
	timeout -k 5 600 env AUTOPKGTEST_TMP="$work" "$tests/$1"
	[ $? -eq "$2" ]
}
not_mounted() { ! grep -q ' msharefs ' /proc/self/mounts; }
state() { [ "$(systemctl "is-$2" "$1")" = "$3" ]; }
# Of all processes, those with a window are PostgreSQL's.
only_postgres() {
	found=1
	for maps in /proc/[0-9]*/maps; do
		grep -q /sys/fs/mshare/ "$maps" 2>/dev/null || continue
		found=0
		[ "$(cat "${maps%maps}comm")" = postgres ] || return 1
	done
	return $found
}
no_failed_unit() {
	systemctl --failed --no-legend
	[ -z "$(systemctl --failed --no-legend)" ]
}
server() { timeout -k 5 900 systemctl "$1" postgresql@15-main.service; }

charged_to_unit() {
	group=/sys/fs/cgroup$(systemctl show -P ControlGroup postgresql@15-main.service)
	shmem=$(awk '$1 == "shmem" { print $2 }' "$group/memory.stat")
	echo "$group: shmem $shmem"
	[ "$(cat "$group/memory.max")" -eq $((1 << 30)) ] && [ "$shmem" -gt 4000000 ]
}

# A kernel that has no msharefs: nothing is wrong, nothing is different.
without() {
	check unit_is_quiet state $unit active inactive
	check unit_did_not_fail state $unit failed inactive
	check no_failed_unit no_failed_unit
	check not_mounted not_mounted
	doctor() { mshare doctor; [ $? -eq 3 ]; }
	check doctor_says doctor
	within estimate mshare estimate --all
	check postgres_runs state postgresql@15-main.service active active
	check fill pgbench -i -q -s 1 postgres
	check ordinary_memory has_none
	check autopkgtest_library autopkgtest library 0
	check autopkgtest_doctor autopkgtest doctor 77
	check autopkgtest_preload autopkgtest preload 77
}

# What a user of the packages does, from the first boot to their removal.
with() {
	check unit_is_active state $unit active active
	check unit_is_enabled state $unit enabled enabled
	check no_failed_unit no_failed_unit
	# For all users, as /tmp is, and nothing of devices or set-user-ID in it.
	check mount_options findmnt -n -t msharefs -O nosuid,nodev /sys/fs/mshare
	check mode [ "$(stat -c %a /sys/fs/mshare)" = 1777 ]
	within doctor mshare doctor
	check autopkgtest_library autopkgtest library 0
	check autopkgtest_doctor autopkgtest doctor 0
	check autopkgtest_preload autopkgtest preload 0

	check postgres_runs state postgresql@15-main.service active active
	check same_data answers
	check backend_has_window has_window
	check read_write pgbench -n -c 8 -t 20 postgres
	# The environment is that of the server alone.
	check window_of_postgres_only only_postgres
	check restart server restart
	check window_after_restart has_window
	# The region is charged to the unit, which bounds it.
	check memory_max systemctl set-property --runtime postgresql@15-main.service MemoryMax=1G
	check memory_max_holds charged_to_unit
	check answers_with_limit answers

	# An upgrade leaves the mount to those who use it.
	check upgrade dpkg -i /root/debs/*.deb
	check mounted_after_upgrade state $unit active active
	check answers_after_upgrade answers

	# Removed while the server runs: it goes on. The environment still names what
	# is gone: the next start is one with ordinary memory.
	check remove dpkg -P mshare libmshare-dev libmshare1 libmshare-preload
	check answers_after_removal answers
	check restart_without server restart
	check answers_without answers
	check ordinary_memory has_none
	# The last user of the mount is gone, the next boot would not make it again.
	check unmount umount /sys/fs/mshare
	systemctl daemon-reload
	gone() { [ "$(systemctl show -P LoadState "$unit")" = not-found ]; }
	check unit_gone gone
	check nothing_left left_nothing

	# Installed in a system that runs: mounted at once. Removed: unmounted.
	check install_again dpkg -i /root/debs/*.deb
	check mounted_at_once state $unit active active
	check window_again server_has_window
	check stop server stop
	check remove_again dpkg -P mshare libmshare-dev libmshare1 libmshare-preload
	check unmounted_by_removal not_mounted
	check unit_gone_again gone
	check nothing_left_again left_nothing
	kernel_package
}

server_has_window() { server restart && has_window; }

# No file of the packages, but documents of the kernel package.
left_nothing() {
	find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /boot -o -path /tmp \
		-o -path /lib/modules -o -path /usr/lib/modules -o -path /var/lib/initramfs-tools \
		-o -path /var/log -o -path /etc/systemd/system/mshare-test.service \
		-o -path /var/lib/dpkg/info -o -path /etc/hostname \) -prune \
		-o -name '*mshare*' ! -name 'linux-*-mshare-*' ! -name 'mshare-test.service' -print >"$work/left"
	cat "$work/left"
	[ ! -s "$work/left" ] && ! dpkg -l 'libmshare*' mshare 2>/dev/null | grep '^[a-z][^n]'
}

kernel_gone() {
	find /boot /lib/modules -maxdepth 1 -name '*-mshare-*' >"$work/left"
	cat "$work/left"
	[ ! -s "$work/left" ]
}

# The kernel that runs removes well, too: only its process goes on.
kernel_package() {
	p=linux-image-$(uname -r)
	dpkg-query -W "$p" >/dev/null 2>&1 || return
	within remove_kernel dpkg -P "$p"
	check kernel_gone kernel_gone
	check another_kernel_stays sh -c 'ls /boot/vmlinuz-*'
}

case $mode in
with|without) "$mode" ;;
*) result 1 "mode $mode" ;;
esac
(finish)
