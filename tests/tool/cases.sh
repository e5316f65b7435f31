# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2016
# What the mshare tool does, for the fake and for the kernel. Sourced after
# tests/tap.sh; $mshare is the program, $work a directory.

# expect NAME STATUS OUTPUT ERRORS ARGS...: "*" is any. What is printed is left in
# $work/out. Errors are one line. Starts no other program: machines are slow.
expect() {
	name=$1 want=$2 output=$3 errors=$4 status=0
	shift 4
	printed=$("$mshare" "$@" 2>"$work/err" </dev/null) || status=$?
	printf '%s\n' "$printed" >"$work/out"
	complaint='' more=''
	{
		IFS= read -r complaint
		IFS= read -r more
	} <"$work/err"
	if [ "$status" -eq "$want" ] &&
	   { [ "$output" = '*' ] || [ "$printed" = "$output" ]; } &&
	   { [ "$errors" = '*' ] || [ "$complaint$more" = "$errors" ]; }; then
		result 0 "$name"
	else
		echo "mshare $*: status $status, expected $want" >"$said"
		cat "$work/out" "$work/err" >>"$said"
		result 1 "$name"
	fi
}

# has NAME TEXT: it was printed
has() {
	case $printed in
	*"$2"*) result 0 "$1" ;;
	*) cp "$work/out" "$said"; result 1 "$1" ;;
	esac
}

usage_cases() {
	expect no_command 2 '' 'mshare: a command is needed (mshare --help)'
	expect wrong_command 2 '' 'mshare: frob: not a command (mshare --help)' frob
	expect option_first 2 '' 'mshare: --json: the command comes first (mshare --help)' \
		--json ls
	expect wrong_option 2 '' 'mshare: ls: --frob: not an option (mshare ls --help)' \
		ls --frob
	expect value_for_none 2 '' 'mshare: ls: --json=x: takes no value (mshare ls --help)' \
		ls --json=x
	expect wrong_letter 2 '' 'mshare: ls: -x: not an option (mshare ls --help)' ls -x
	expect no_value 2 '' 'mshare: create: -m needs a value (mshare create --help)' \
		create x -m
	expect too_many 2 '' 'mshare: ls: x: no arguments are needed (mshare ls --help)' ls x
	expect create_nothing 2 '' \
		'mshare: create: one region and at most one size are needed (mshare create --help)' \
		create
	for size in '' x -1 1.5 1X 1KK 1.K 99999999999999999999 20000000000G 0x 1BB; do
		expect "size.$size" 2 '' \
			"mshare: create: $size: not a size, 64M is one (mshare create --help)" \
			create x -- "$size"
	done
	for mode in 8 x '' 17777 -1; do
		expect "mode.$mode" 2 '' \
			"mshare: create: $mode: not a mode, 0660 is one (mshare create --help)" \
			create x 1M "--mode=$mode"
	done
	expect no_memory 2 '' '*' create x --lock
	expect prot 2 '' 'mshare: protect: q: not a protection, rw is one (mshare protect --help)' \
		protect x 0 1M q
	expect protect_arguments 2 '' '*' protect x 0 1M
	expect unmap_arguments 2 '' '*' unmap x 0
	expect unmap_number 2 '' '*' unmap x y 1
	expect map_arguments 2 '' '*' map x
	expect map_offset 2 '' 'mshare: map: --offset is for --file (mshare map --help)' \
		map x 1M --offset 4K
	expect map_replace 2 '' 'mshare: map: --replace is for --at (mshare map --help)' \
		map x 1M --replace
	expect rm_nothing 2 '' 'mshare: rm: a region is needed (mshare rm --help)' rm
	expect show_nothing 2 '' 'mshare: show: one region is needed (mshare show --help)' show
	expect stat_seconds 2 '' 'mshare: stat: x: not a number of seconds (mshare stat --help)' \
		stat -wx
	expect stat_count 2 '' 'mshare: stat: 0: not a count (mshare stat --help)' stat -c 0
	expect mount_two 2 '' 'mshare: mount: one directory is enough (mshare mount --help)' \
		mount a b
	expect estimate_nothing 2 '' \
		'mshare: estimate: processes, or --all, are needed (mshare estimate --help)' estimate
	expect estimate_both 2 '' '*' estimate --all 1
	expect estimate_word 2 '' \
		'mshare: estimate: 1x: not the number of a process (mshare estimate --help)' \
		estimate 1x
	expect version 0 'mshare 1.0' '' --version
	expect help 0 '*' '' --help
	for verb in create ls show stat map unmap protect rm mount doctor estimate; do
		expect "help.$verb" 0 '*' '' "$verb" --help
		has "help_names.$verb" "usage: mshare $verb "
	done
}

region_cases() {
	expect ls_empty 0 '' '' ls
	expect create 0 '' '' create one 5000
	expect exists 1 '' 'mshare: one: cannot be created: File exists' create one 1
	expect create_container 0 '' '' create two --mode 0640
	expect create_half 0 '' '' create three 1.5M
	expect create_large 1 '' 'mshare: huge: cannot be created: too large for a region' \
		create huge 1E
	expect create_nowhere 1 '' \
		'mshare: a/b: cannot be created: No such file or directory' create a/b
	expect create_empty_name 1 '' 'mshare: : cannot be created: Invalid argument' create ''
	expect ls 0 '*' '' ls -b
	awk '{ print $1, $2, $3, $4, $7 }' "$work/out" >"$work/table"
	printf '%s\n' "REGION MODE UID SIZE PROCESSES" "one 0600 0 1073741824 0" \
		"three 0600 0 1073741824 0" "two 0640 0 0 0" >"$work/want"
	check ls_table diff "$work/want" "$work/table"
	# Names are others' to choose, terminals are not.
	expect create_odd 0 '' '' create "$(printf 'od\033[7md')"
	expect ls_odd 0 '*' '' ls
	has ls_defused 'od?[7md'
	expect rm_odd 0 '' '' rm "$(printf 'od\033[7md')"
	expect rm_odd_again 4 '' 'mshare: o?od?[7md: no such region' \
		rm "$(printf 'o\nod\033[7md')"
	# Commands of eight bits, too; other letters are letters.
	expect create_eight_bits 0 '' '' create "$(printf 'c1\302\233x\233\377\303\244')"
	expect ls_eight_bits 0 '*' '' ls
	has ls_letters "$(printf 'c1??x??\303\244  0600')"
	expect ls_utf8 0 '*' '' ls -J
	has ls_replaced "$(printf 'c1\302\233x\357\277\275\357\277\275\303\244"')"
	expect rm_eight_bits 0 '' '' rm "$(printf 'c1\302\233x\233\377\303\244')"
	# Directories that others have made as deep as can be.
	deep=$(awk 'BEGIN { for (i = 0; i < 900; i++) printf "d/" }')
	(cd "${MSHARE_FAKE_DIR:-/sys/fs/mshare}" && mkdir -p "$deep")
	expect create_deep 0 '' '' create "${deep}leaf"
	expect ls_deep 0 '*' '' ls
	has ls_deep_leaf "${deep}leaf  0600"
	expect rm_deep 0 '' '' rm "${deep}leaf"
	rm -r "${MSHARE_FAKE_DIR:-/sys/fs/mshare}/d"
	expect ls_elsewhere 3 '' 'mshare: /tmp: not a mount of msharefs' ls -D /tmp
	expect ls_nowhere 1 '' \
		'mshare: /none: cannot be listed: No such file or directory' ls -D /none
	expect rm_missing 4 '' 'mshare: none: no such region' rm none
	expect rm_force 0 '' '' rm -f none three
	expect rm_partly 4 '' 'mshare: three: no such region' rm three two
	expect show_missing 4 '' 'mshare: two: no such region' show two
	expect stat_missing 4 '' 'mshare: two: no such region' stat two
	expect map_missing 4 '' 'mshare: two: no such region' map two 1M
	expect not_a_region 1 '' 'mshare: /dev/null: not a region' show /dev/null
	expect info_is_none 1 '' 'mshare: mshare_info: not a region' show mshare_info
	expect info_stays 1 '' 'mshare: mshare_info: cannot be removed: Operation not permitted' \
		rm mshare_info
}

map_cases() {
	expect map 0 0x2000 '' map one 64K
	expect map_at 0 0x100000 '' map one 1 --at 1M --prot r
	expect map_at_taken 1 '' 'mshare: one: cannot map: File exists' map one 1 --at 1M
	expect map_replaced 0 '*' '' map one 1 --at 0x100000 --replace -J
	has map_json '"at": 1048576'
	expect map_no_file 1 '' 'mshare: /none: cannot be opened: No such file or directory' \
		map one 1 --file /none
	expect map_device 1 '' 'mshare: one: cannot map: No such device' \
		map one 1 --file /dev/null
	head -c 20000 /dev/zero >"$work/object"
	expect map_file 0 0x12000 '' map one 8K --file "$work/object" --offset 4K
	expect protect 0 '' '' protect one 0x2000 4K r
	expect protect_hole 1 '' 'mshare: one: cannot protect: not all of it is mapped' \
		protect one 1M 1M r
	expect protect_uneven 1 '' 'mshare: one: cannot protect: Invalid argument' \
		protect one 1 1M r
	expect unmap 0 '' '' unmap one 8K 60K
	expect show_json 0 '*' '' show -J one
	has show_kind '"kind": "anon"'
	has show_size '"size": 1073741824'
	expect show 0 '*' '' show -b one
	sed -n '/^AT/,$p' "$work/out" | awk '{ print $1, $2, $3, $5, $9 }' >"$work/table"
	printf '%s\n' "AT SIZE PROT KIND OFFSET" "0 8192 rw anon 0" \
		"0x11000 4096 rw anon 0xf000" "0x12000 8192 rw FILE 0x1000" \
		"0x100000 4096 rw anon 0" >"$work/want"
	sed -i 's/ \(shmem\|file\) / FILE /; s/0x0$/0/; s/^0x0 /0 /' "$work/table"
	check show_table diff "$work/want" "$work/table"
	expect unmap_outside 1 '' 'mshare: one: cannot unmap: Invalid argument' \
		unmap one 1G 1
}

output_cases() {
	expect stat 0 '*' '' stat -n -b one
	check stat_fields awk 'NF != 7 || $1 != "one" { exit 1 }' "$work/out"
	expect stat_all 0 '*' '' stat
	expect stat_live 0 '*' '' stat -w 0.01 -c 3 one
	check stat_three [ "$(grep -c '^one' "$work/out")" -eq 3 ]
	expect stat_json 0 '*' '' stat -J one
	has stat_keys '"saved": 0'
	expect ls_json 0 '*' '' ls -J
	has ls_keys '"name": "one"'
	has ls_version '"version": 1'
	status=0
	"$mshare" ls >/dev/full 2>"$said" || status=$?
	check full_output [ "$status" -eq 1 ]
	expect doctor 0 '*' '' doctor
	check doctor_finds_nothing test "${printed#*BAD}" = "$printed"
	expect doctor_json 0 '*' '' doctor --json
	has doctor_usable '"usable": true'
	expect mounted_already 1 '' 'mshare: /sys/fs/mshare: msharefs is mounted already' mount
	expect rm 0 '' '' rm one
	expect ls_empty_again 0 '' '' ls
}

# missing REASON: without msharefs each command that needs it says so.
missing_cases() {
	for verb in ls stat; do
		expect "missing.$verb" 3 '' "mshare: /sys/fs/mshare: $1" "$verb"
	done
	for args in 'create one 1M' 'show one' 'stat one' 'map one 1M' 'unmap one 0 1M' \
		'protect one 0 1M r' 'rm one'; do
		# shellcheck disable=SC2086 # several arguments
		expect "missing.${args%% *}" 3 '' "mshare: one: $1" $args
	done
	expect missing.doctor 3 '*' '' doctor
	has missing.doctor_says 'BAD'
	expect missing.doctor_json 3 '*' '' doctor -J
	has missing.not_usable '"usable": false'
}
