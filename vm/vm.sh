#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# vm/vm.sh [options] [-- PROGRAM ARGS]: boot a built kernel in QEMU, run PROGRAM
# in it as root, and exit with its status. See usage() for the options.
#
# Statuses that are not the program's: 123 the machine did not boot, 124 time is
# up, 125 the machine could not be started, 126 the kernel complained, 127 the
# machine was lost.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)

usage() {
	cat <<-'END'
	usage: ./run vm [options] [-- PROGRAM ARGS]
	Boots the kernel with mshare in QEMU and runs PROGRAM in it as root, with the
	host's files as its own (its changes vanish). Without PROGRAM: a shell.

	  --flavour F     release (default), debug, kcsan, or off (no mshare)
	  --series S      the kernel of this row of SUPPORTED, by default the first
	  --mem SIZE      memory, default 1G (debug, kcsan: 2G)
	  --cpus N        processors, default 4
	  --append ARGS   more kernel arguments, for example la57=off
	  --icount        one processor that counts instructions (deterministic, slow)
	  --accel A       tcg (default) or kvm
	  --swap SIZE     a swap device
	  --disk SIZE     an empty disk, its name in $MSHARE_DISK
	  --pmem SIZE     persistent memory, /dev/pmem0
	  --numa N        spread memory and processors over N nodes
	  --out DIR       directory of the host, writable, /out in the guest
	  --env NAME=VAL  set a variable for PROGRAM; several are allowed
	  --timeout S     give up after S seconds, default 1800 (shell: never);
	                  on booting, after 600
	  --log FILE      write the console to FILE, default build/vm/console.log
	  --allow-oom     the OOM killer's lines are expected
	  --allow REGEX   lines of the log that match are expected
	  --leaks         look for leaked kernel memory at the end (debug only)
	  --qemu ARGS     more arguments for QEMU, for example -s for a debugger
	  --no-build      take the kernel as it is
	END
}

me=vm die_status=125
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/supported.sh
. "$top/scripts/supported.sh"
read_supported

flavour=release mem='' cpus=4 append='' icount=no accel=tcg swap='' disk='' pmem=''
numa=1 out='' timeout='' log='' allow='' leaks=no build=yes env='' qemu_args=''
boot_seconds=600

# quote WORD: print WORD so that the shell reads it back, whatever is in it.
quote() {
	case $1 in
	*\'*) printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/" ;;
	*) printf "'%s'\n" "$1" ;;
	esac
}

# ---------------------------------------------------------------- command line
need() { [ "$1" -ge 2 ] || die "$2 needs a value"; }

add_env() {
	case ${1%%=*} in
	*[!A-Za-z0-9_]*|[0-9]*|'') die "--env $1: not NAME=VALUE" ;;
	esac
	env="$env
export ${1%%=*}=$(quote "${1#*=}")"
}

# parse_options ARGS: the last $program_words words of ARGS are the program.
parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--flavour|--mem|--cpus|--append|--accel|--swap|--disk|--pmem|--numa|--out|--env|--timeout|--log|--allow|--qemu)
			need $# "$1" ;;
		esac
		case $1 in
		--flavour) flavour=$2; shift ;;
		--mem) mem=$2; shift ;;
		--cpus) cpus=$2; shift ;;
		--append) append="$append $2"; shift ;;
		--icount) icount=yes ;;
		--accel) accel=$2; shift ;;
		--swap) swap=$2; shift ;;
		--disk) disk=$2; shift ;;
		--pmem) pmem=$2; shift ;;
		--numa) numa=$2; shift ;;
		--out) out=$2; shift ;;
		--env) add_env "$2"; shift ;;
		--timeout) timeout=$2; shift ;;
		--log) log=$2; shift ;;
		--allow) allow="${allow:+$allow|}$2"; shift ;;
		--allow-oom) allow="${allow:+$allow|}Out of memory: Killed|out of memory: Killed" ;;
		--leaks) leaks=yes ;;
		--qemu) qemu_args="$qemu_args $2"; shift ;;
		--no-build) build=no ;;
		--help|-h) usage; exit 0 ;;
		--) shift; break ;;
		*) die "$1: unknown option (./run vm --help)" ;;
		esac
		shift
	done
	program_words=$#
}

# check_options: sets bytes, the size of memory, and makes --out absolute.
check_options() {
	case $cpus$numa in *[!0-9]*|'') die "--cpus and --numa take numbers" ;; esac
	case $timeout in *[!0-9]*) die "--timeout takes seconds" ;; esac
	case $accel in tcg|kvm) ;; *) die "--accel $accel: tcg or kvm" ;; esac
	[ -n "$mem" ] || case $flavour in debug|kcsan) mem=2G ;; *) mem=1G ;; esac
	bytes=$(numfmt --from=iec "$mem" 2>/dev/null) || die "--mem $mem: not a size"
	for size in "$swap" "$disk" "$pmem"; do
		[ -z "$size" ] || numfmt --from=iec "$size" >/dev/null 2>&1 || die "$size: not a size"
	done
	if [ -n "$out" ]; then
		mkdir -p "$out" || die "$out: cannot be made"
		out=$(cd "$out" && pwd)
	fi
}

# ------------------------------------------------------- what the machine boots
find_kernel() {
	image=$kernels/$flavour/arch/x86/boot/bzImage
	if [ "$build" = yes ]; then
		"$top/kernel/build" "$flavour" >&2 || exit 125
	fi
	[ -f "$image" ] || die "no kernel $flavour of Linux $series (./run kernel --series $series $flavour)"
}

make_initramfs() {
	cpio=$top/build/vm/initramfs.cpio
	busybox=$(command -v busybox) || die "no busybox"
	mkdir -p "$top/build/vm"
	[ ! -f "$cpio" ] ||
		[ -n "$(find "$top/vm/init" "$top/vm/guest" "$busybox" -newer "$cpio")" ] || return 0
	root=$(mktemp -d)
	mkdir "$root/bin"
	cp "$busybox" "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	install -m 755 "$top/vm/init" "$root/init"
	install -m 644 "$top/vm/guest" "$root/guest"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$cpio.$$" || die "no initramfs"
	# Other machines may be starting from the old one.
	mv "$cpio.$$" "$cpio"
	rm -rf "$root"
}

# measure_counter: sets khz. The guest counts time with the host's counter and
# must not measure it itself.
measure_counter() {
	khz=
	[ "$accel$icount" = tcgno ] || return 0
	counter=$top/build/vm/tsc-khz
	if [ ! -x "$counter" ] || [ -n "$(find "$top/vm/tsc-khz.c" -newer "$counter")" ]; then
		gcc -O2 -Wall -o "$counter.$$" "$top/vm/tsc-khz.c" || die "vm/tsc-khz.c does not build"
		mv "$counter.$$" "$counter"
	fi
	khz=$("$counter")
}

# --------------------------------------------------------- what this run leaves
# shellcheck disable=SC2317 # called by the trap
finish() {
	[ -z "$watch" ] || kill "$watch" 2>/dev/null || :
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || :
	rm -rf "$tmp"
}

make_directory() {
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/mshare-vm.XXXXXX")
	qemu='' watch=''
	trap finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir "$tmp/host"
	console=$tmp/console
}

# ---------------------------------------------------------------- the program
# choose_shell: sets shell, and the size of the terminal for it.
choose_shell() {
	[ -t 0 ] || die "no program, and no terminal for a shell"
	tty=yes
	size=$(stty size 2>/dev/null) && rows=${size% *} columns=${size#* }
	shell=/bin/sh
	[ ! -x /bin/bash ] || shell=/bin/bash
	echo "vm: Linux $series, $flavour, end it with exit" >&2
}

# write_program PROGRAM ARGS: write the script that vm/guest reads.
write_program() {
	case $1 in
	*/*) [ -e "$1" ] || die "$1: no such program" ;;
	esac
	# An empty /tmp, unless something that the program needs is there.
	guest_tmp=tmpfs
	case $top/:$1 in
	/tmp/*:*|*:/tmp/*) guest_tmp=host ;;
	esac
	nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
	{
		echo "tmp=$guest_tmp out=${out:+yes} tty=$tty rows=$rows columns=$columns"
		echo "leaks=$leaks nonce=$nonce"
		echo "main() {"
		echo "cd $(quote "$top")"
		printf '%s' "set --"
		for arg in "$@"; do
			printf ' %s' "$(quote "$arg")"
		done
		echo
		# shellcheck disable=SC2016
		echo 'exec "$@"'
		echo "}"
		echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		echo "export HOME=/root LANG=C.UTF-8 TERM=$(quote "${TERM:-dumb}")"
		echo "export MSHARE_VM=1 MSHARE_FLAVOUR=$flavour$env"
	} >"$tmp/host/program"
}

# ---------------------------------------------------------------- the machine
# add WORD...: add words to the command line of QEMU, which is kept quoted.
add() {
	for word in "$@"; do
		command_line="$command_line $(quote "$word")"
	done
}

# place_pmem: ordinary memory behind the rest, above 4 GiB, which the kernel is
# told to take for persistent memory with struct pages, as DAX needs them. (An
# NVDIMM of QEMU would need a namespace set up first.)
place_pmem() {
	machine=q35
	[ -n "$pmem" ] || return 0
	pmem=$(numfmt --from=iec "$pmem")
	low=2147483648
	[ "$bytes" -gt "$low" ] || low=$bytes
	# on a section boundary
	bytes=$((low + (bytes - low + 134217727) / 134217728 * 134217728))
	machine=$machine,max-ram-below-4g=$low
	append="$append memmap=$pmem!$((4294967296 + bytes - low))"
	bytes=$((bytes + pmem))
}

add_processors() {
	if [ "$icount" = yes ]; then
		[ "$accel" = tcg ] || die "--icount works with --accel tcg only"
		cpus=1
		add -accel tcg,thread=single -icount shift=0,sleep=off
	elif [ "$accel" = tcg ]; then
		add -accel tcg,thread=multi
	else
		add -accel kvm
	fi
	# A socket each, or the processors of two nodes would share a cache.
	add -smp "cpus=$cpus,sockets=$cpus"
}

add_memory() {
	add -m "size=${bytes}B"
	[ "$numa" -gt 1 ] || return 0
	[ "$cpus" -ge "$numa" ] || die "--numa $numa needs as many processors"
	# Whole 2 MiB per node; the last takes what is left.
	part=$((bytes / numa / 2097152 * 2097152))
	node=0
	while [ "$node" -lt "$numa" ]; do
		[ "$node" -lt $((numa - 1)) ] || part=$((bytes - part * node))
		add -object "memory-backend-ram,id=node$node,size=$part" \
			-numa "node,nodeid=$node,memdev=node$node,cpus=$((cpus * node / numa))-$((cpus * (node + 1) / numa - 1))"
		node=$((node + 1))
	done
}

add_disks() {
	for kind in swap disk; do
		eval "size=\$$kind"
		[ -n "$size" ] || continue
		truncate -s "$size" "$tmp/$kind.img"
		add -drive "if=none,id=$kind,format=raw,cache=unsafe,file=$tmp/$kind.img" \
			-device "virtio-blk-pci,drive=$kind,serial=$kind"
	done
	[ -z "$out" ] ||
		add -fsdev "local,id=out,path=$out,security_model=none" \
			-device virtio-9p-pci,fsdev=out,mount_tag=out
}

# set_kernel_args: sets kernel_args, to which --append and --pmem add theirs.
set_kernel_args() {
	kernel_args="console=ttyS0 panic=-1 oops=panic tsc=reliable"
	# Each report of KCSAN is a warning: all are wanted, and judged at the end.
	[ "$flavour" = kcsan ] || kernel_args="$kernel_args panic_on_warn=1"
	kernel_args="$kernel_args${khz:+ tsc_early_khz=$khz}"
	# A busy host can keep a processor of the guest from running for some time.
	kernel_args="$kernel_args rcupdate.rcu_cpu_stall_timeout=120"
	case $flavour in debug|kcsan) kernel_args="$kernel_args watchdog_thresh=60" ;; esac
}

# set_command_line: sets command_line, for eval.
set_command_line() {
	command_line=
	place_pmem
	# shellcheck disable=SC2086 # several arguments in one word
	add qemu-system-x86_64 -M "$machine" -cpu max $qemu_args
	add -nodefaults -no-user-config -display none -no-reboot
	add_processors
	add_memory
	add_disks
	set_kernel_args
	add -kernel "$image" -initrd "$cpio" -append "$kernel_args$append" \
		-chardev "file,id=console,path=$console" -serial chardev:console \
		-device virtio-serial-pci -chardev stdio,id=program,signal=off \
		-device virtconsole,chardev=program \
		-device isa-debug-exit,iobase=0xf4,iosize=0x04 \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=host,path=$tmp/host,security_model=none" \
		-device virtio-9p-pci,fsdev=host,mount_tag=host
}

# end_slow_boot PID: end the machine if it has not come to its program in time.
end_slow_boot() {
	left=$boot_seconds
	until [ -f "$tmp/host/started" ]; do
		if [ "$left" -eq 0 ]; then
			kill "$1" 2>/dev/null || :
			break
		fi
		left=$((left - 1))
		sleep 1
	done
}

# run_machine QEMU ARGS: sets status, that of QEMU or of timeout(1).
run_machine() {
	status=0
	if [ "$tty" = yes ]; then
		"$@" || status=$?
		stty sane 2>/dev/null || :
		return 0
	fi
	timeout -k 5 "$timeout" "$@" </dev/null 2>"$tmp/qemu.err" &
	qemu=$!
	end_slow_boot "$qemu" </dev/null >/dev/null 2>&1 &
	watch=$!
	wait "$qemu" || status=$?
	qemu=
	kill "$watch" 2>/dev/null || :
	watch=
	cat "$tmp/qemu.err" >&2
}

# ----------------------------------------------------------------- the verdict
keep_console() {
	[ -n "$log" ] || log=$top/build/vm/console.log
	touch "$console"
	cp "$console" "$log.$$"
	mv "$log.$$" "$log"
}

end_of_log() {
	complain "$1; end of $log:"
	tail -n 30 "$console" >&2
}

# judge: exit with the status of the program, or with what went wrong instead.
judge() {
	result=lost
	[ ! -f "$tmp/host/status" ] || result=$(cat "$tmp/host/status")
	splats=0
	"$top/vm/splats" --allow "$allow" "$console" >&2 || splats=$?

	if [ ! -s "$console" ] && [ "$status" -eq 1 ]; then
		die "QEMU did not start"
	elif [ ! -f "$tmp/host/started" ]; then
		# Whatever it was, the program has nothing to do with it.
		end_of_log "the machine did not boot (QEMU ended with $status)"
		exit 123
	elif [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		end_of_log "no end after $timeout s"
		exit 124
	elif [ "$status" -ne 85 ] || [ "${result%% *}" != "$nonce" ]; then
		# 85 is what the guest's last write makes of QEMU's own status.
		[ "$splats" -ne 0 ] || end_of_log "the machine was lost (QEMU ended with $status)"
		exit 127
	elif [ "$splats" -ne 0 ]; then
		exit 126
	fi
	exit "${result#* }"
}

parse_options "$@"
shift $(($# - program_words))
check_options
find_kernel
make_initramfs
measure_counter
make_directory

tty=no rows=24 columns=80
if [ $# -eq 0 ]; then
	choose_shell
	set -- "$shell"
else
	timeout=${timeout:-1800}
fi
write_program "$@"

set_command_line
eval "set -- $command_line"
run_machine "$@"
keep_console
judge
