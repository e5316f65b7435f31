#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# fio with buffers in shared memory: 8 processes that write to ext4 with O_DIRECT
# from buffers in windows, read it back into them, and verify it. Without mshare
# and with it. Usage: fio.sh DIRECTORY, with the tool. Prints TAP.
# shellcheck disable=SC2034,SC2317 # for what it sources; called through check
set -u
suite=fio
# shellcheck source=tests/apps/common.sh
. "${0%/*}/common.sh"
disk=$work/disk

with_mshare() { "$mshare" run --require --sysv --min-size 1M --verbose -- "$@"; }

# 16 buffers of 64 KiB: 1 MiB for each of the processes.
options="--name=test --directory=$disk --size=3M --numjobs=8 --thread=0 --bs=64k
	--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1
	--verify_state_save=0 --randrepeat=1 --fallocate=none"

# run MEMORY COMMAND...: its report in $work/report
run() {
	memory=$1
	shift
	# shellcheck disable=SC2086 # options
	"$@" fio $options --rw=randrw --mem="$memory" --do_verify=1 --group_reporting=1 \
		--output-format=json --output="$work/report" \
		>"$work/said" 2>&1 || { tail -n 20 "$work/said"; return 1; }
}
# numbers: bytes read, bytes written, errors
numbers() {
	/usr/bin/python3 - "$work/report" <<-'PYTHON'
		import json, sys
		text = open(sys.argv[1]).read()
		jobs = json.loads(text[text.index("{"):])["jobs"]
		print(sum(j["read"]["io_bytes"] for j in jobs),
		      sum(j["write"]["io_bytes"] for j in jobs),
		      sum(j["error"] for j in jobs))
	PYTHON
}
# shellcheck disable=SC2086 # options
write() { with_mshare fio $options --rw=write --mem=mmapshared --do_verify=0; }
# shellcheck disable=SC2086 # options
verify() {
	with_mshare fio $options --rw=write --mem=mmapshared --verify_only=1 \
		--verify_state_load=0
}
check mkfs mkfs.ext4 -q -F "$MSHARE_DISK"
mkdir "$disk"
check mount mount -n -t ext4 "$MSHARE_DISK" "$disk"
for memory in mmapshared shm; do
	check "$memory.plain" run "$memory" env
	plain=$(numbers)
	rm "$disk"/test.*
	check "$memory.with" run "$memory" with_mshare
	echo "# $memory: bytes read and written, errors: $plain, with mshare: $(numbers)"
	check "$memory.same" [ "$(numbers)" = "$plain" ]
	check "$memory.no_error" [ "$(numbers | cut -d' ' -f3)" -eq 0 ]
	# One for each process.
	check "$memory.windows" [ "$(shared_areas "$work/said")" -ge 8 ]
	check "$memory.nothing_left" nothing_left
	rm "$disk"/test.*
done

# A byte that is not what was written: it is seen, by a read into a window.
check write write
check verified verify
printf x | dd of="$(find "$disk" -type f | head -n 1)" bs=1 seek=100000 conv=notrunc \
	status=none
not_verified() { ! verify; }
check corruption_is_seen not_verified
check umount umount -n "$disk"
no_segment() { [ "$(ipcs -m | grep -c '^0x')" -eq 0 ]; }
check no_segment no_segment
check nothing_left nothing_left
finish
