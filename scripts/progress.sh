# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
# How far a build of a kernel is: for the scripts that run one.

steps_of() {
	grep -cE '^  (CC|AS|HOSTCC|LD|AR) ' "$1" || :
}

# progress NAME LOG ESTIMATE: a line now and then, over itself on a terminal.
progress() {
	start=$(date +%s)
	step=10
	[ -z "${CI:-}" ] || step=60
	[ ! -t 1 ] || step=2
	while sleep "$step" >/dev/null 2>&1 8>&- 9>&-; do
		line="kernel $1: $(steps_of "$2") of about $3 steps, $(($(date +%s) - start)) s"
		if [ -t 1 ]; then printf '\r%s ' "$line"; else echo "$line"; fi
	done
}

progress_pid=
stop_progress() {
	[ -z "$progress_pid" ] || kill "$progress_pid" 2>/dev/null || :
	[ -z "$progress_pid" ] || wait "$progress_pid" 2>/dev/null || :
	[ -z "$progress_pid" ] || [ ! -t 1 ] || printf '\r\033[K'
	progress_pid=
}

# show_errors LOG [WORD]: why a build ended, on standard error
show_errors() {
	grep -nE -m 20 "(error|Error|undefined reference${2:+|$2}):" "$1" >&2 || :
	echo "--- end of $1" >&2
	tail -n 25 "$1" >&2
}

# The same objects are found again by a clone elsewhere: no absolute paths, one
# language of messages. Sets cc.
use_ccache() {
	unset LC_ALL LC_CTYPE LC_MESSAGES
	export LANG=C.UTF-8
	cc=gcc
	if command -v ccache >/dev/null 2>&1; then
		cc='ccache gcc'
		export CCACHE_BASEDIR="$1" CCACHE_NOHASHDIR=1
		export CCACHE_SLOPPINESS=time_macros,include_file_mtime,include_file_ctime
	fi
	export KBUILD_BUILD_USER=mshare KBUILD_BUILD_HOST=mshare
}
