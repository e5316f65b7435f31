#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The mshare tool without a machine: under AddressSanitizer and UBSan with a fake
# of msharefs; on this kernel, which has none; and its estimates. Prints TAP.
# shellcheck disable=SC2034,SC2016,SC2317 # for what it sources; scripts in quotes;
# functions that are called through check
set -u
suite=tool
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
# shellcheck source=tests/tool/cases.sh
. tests/tool/cases.sh
work=$(mktemp -d)
plain=$PWD/build/userland
asan=$PWD/build/asan

check builds_with_sanitizers make -s -C tests/tool O="$asan" FAKE=y \
	SANITIZE=address,undefined
mshare=$asan/mshare
mkdir "$work/fake"
echo 1073741824 >"$work/fake/mshare_info"
export MSHARE_FAKE=mounted MSHARE_FAKE_DIR="$work/fake"
usage_cases
region_cases
map_cases
output_cases
MSHARE_FAKE=unmounted
missing_cases 'msharefs is not mounted (mshare mount)'
expect mount 0 '' '' mount
MSHARE_FAKE=absent
missing_cases 'this kernel has no mshare'
expect mount_absent 3 '' 'mshare: /sys/fs/mshare: this kernel has no mshare' mount

# On a screen lines are not longer than it is, as long as names can be cut; what
# goes elsewhere is complete. on_screen COLUMNS ROWS ARGS...
on_screen() {
	size="cols $1 rows $2"
	shift 2
	script -qec "stty $size; TERM=${term:-xterm} $mshare $*" /dev/null </dev/null |
		tr -d '\r' >"$work/screen"
}
longest() { awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }' "$work/screen"; }
MSHARE_FAKE=mounted
for name in short a-region-with-a-rather-long-name third fourth; do
	expect "create_$name" 0 '' '' create "$name"
done
on_screen 60 24 ls
check narrow [ "$(longest)" -eq 60 ]
check narrow_name grep -q '^\.\.\.[a-z-]*long-name  0600 ' "$work/screen"
on_screen 200 24 ls
check wide grep -q '^a-region-with-a-rather-long-name  0600 ' "$work/screen"
"$mshare" ls >"$work/screen"
check to_a_file grep -q '^a-region-with-a-rather-long-name  0600 ' "$work/screen"
on_screen 70 5 stat -w 0.01 -c 2
check live_rows [ "$(tr '\033' '\n' <"$work/screen" | grep -c '^and 2 more$')" -eq 2 ]
check live_clears [ "$(tr '\033' '\n' <"$work/screen" | grep -c '^\[H$')" -eq 2 ]
for name in short a-region-with-a-rather-long-name third fourth; do
	mv "$work/fake/$name" "$work/"
done
on_screen 70 5 stat -w 0.01 -c 1
check live_without_regions grep -q 'REGION  PROCESSES' "$work/screen"
for name in short a-region-with-a-rather-long-name third fourth; do
	mv "$work/$name" "$work/fake/"
done
term=dumb on_screen 70 5 stat -w 0.01 -c 2
check dumb_screen [ "$(grep -c '^third' "$work/screen")" -eq 2 ]
check dumb_escapes sh -c '! grep -q "$(printf "\033")" "$1"' - "$work/screen"
"$mshare" stat -w 0.01 -c 2 >"$work/screen"
check no_escapes_in_files sh -c '! grep -q "$(printf "\033")" "$1"' - "$work/screen"
MSHARE_FAKE=absent
on_screen 50 24 doctor
check doctor_wraps [ "$(longest)" -le 50 ]
check doctor_says_all grep -q 'mounted here\.$' "$work/screen"

# ------------------------------------------------------------------- estimates
unset MSHARE_FAKE
"$asan/tests/user" - 5 64 >"$work/ready" &
user=$!
while ! grep -q ready "$work/ready"; do sleep 0.1; done
expect estimate 0 '*' '*' estimate -J "$user"
field() { sed -n "/zero/,/}/s/.*\"$1\": \([0-9]*\),*/\1/p" "$work/out"; }
# 64 MiB take 32 page tables in each process, once is enough.
check estimate_processes [ "$(field processes)" -eq 5 ]
check estimate_mapped [ "$(field mapped)" -eq $((64 << 20)) ]
check estimate_tables [ "$(field page_tables)" -eq $((5 * 32 * 4096)) ]
check estimate_once [ "$(field page_tables_shared)" -eq $((32 * 4096)) ]
check estimate_saved [ "$(field saved)" -eq $((4 * 32 * 4096)) ]
vmpte=$(awk '$1 == "VmPTE:" { print $2 * 1024 }' "/proc/$user/status")
check estimate_total grep -q "^  \"page_tables\": $vmpte," "$work/out"
expect estimate_text 0 '*' '*' estimate "$user"
check estimate_row grep -Eq 'zero.*64 MiB +5 +640 KiB +128 KiB +512 KiB' "$work/out"
expect estimate_all 0 '*' '*' estimate --all
check estimate_all_row grep -Eq 'zero.*64 MiB +5 +640 KiB +128 KiB +512 KiB' "$work/out"
kill "$user"
wait "$user" 2>/dev/null
expect estimate_gone 1 '' "mshare: $user: no such process" estimate "$user"
expect estimate_no_proc 1 '' '*' estimate --all --proc /none

# A /proc of ours: huge pages cost nothing, small mappings share their tables
# with others, and odd names and lines are no trouble.
fake_process() {
	mkdir -p "$work/proc/$1"
	printf 'VmPTE:\t 100 kB\n' >"$work/proc/$1/status"
	cat >"$work/proc/$1/smaps"
	grep -v : "$work/proc/$1/smaps" >"$work/proc/$1/maps"
	grep -E '^[0-9a-f]+-' "$work/proc/$1/smaps" >"$work/proc/$1/maps"
}
echo 'PageTables:    1000 kB' >"$work/proc_meminfo"
for pid in 7 8; do
	fake_process "$pid" <<'END'
7f0000000000-7f0010000000 rw-s 00000000 00:01 10 /a name  with "quotes"
Rss:             131072 kB
Pss:              65536 kB
ShmemPmdMapped:  131072 kB
7f1000000000-7f1010000000 rw-s 00000000 00:01 11
Rss:             131072 kB
Pss:              65536 kB
garbage
7f2000000000-7f2000100000 rw-s 00000000 00:01 12 /small
Rss:               1024 kB
Pss:                512 kB
VmFlags: rd wr sh mr mw me ms
7f3000000000-7f3010000000 rw-p 00000000 00:01 13 /private
Rss:             131072 kB
Pss:             131072 kB
VmFlags: rd wr mr mw me
7f4000000000-7f4040000000 rw-s 00000000 00:1e 14 /sys/fs/mshare/window
Rss:             131072 kB
Pss:              65536 kB
VmFlags: rd wr sh mr mw me ms de pt
END
done
mv "$work/proc_meminfo" "$work/proc/meminfo"
expect fixture 0 '*' '' estimate --all -J --proc "$work/proc"
check fixture_saved grep -q '^  "saved": 262144,' "$work/out"
check fixture_quotes grep -qF '"object": "/a name  with \"quotes\""' "$work/out"
check fixture_private sh -c '! grep -q private "$1"' - "$work/out"
check fixture_window sh -c '! grep -q window "$1"' - "$work/out"
check fixture_small sh -c '! grep -q small "$1"' - "$work/out"
: >"$work/proc/8/smaps"
expect fixture_ends 0 '*' '' estimate 7 --proc "$work/proc"
expect fixture_missing 1 '' 'mshare: 9: no such process' estimate 9 --proc "$work/proc"

# -------------------------------------------------------------- on this kernel
check builds make -s -C tests/tool O="$plain"
mshare=$plain/mshare
if [ ! -d /sys/fs/mshare ]; then
	missing_cases 'this kernel has no mshare'
fi
check installs make -s -C tool install O="$plain" DESTDIR="$work/at" prefix=/usr
check installed env LD_LIBRARY_PATH="$plain/lib" "$work/at/usr/bin/mshare" --version

# ------------------------------------------------------------------------- run
check builds_preload make -s -C preload O="$plain"
usage='(mshare run --help)'
expect run_nothing 125 '' "mshare: run: a program is needed $usage" run -r --
expect run_option 125 '' "mshare: run: --frob: not an option $usage" run --frob true
expect run_no_size 125 '' "mshare: run: x: not a size, 64M is one $usage" run -m x true
expect run_no_exe 125 '' "mshare: run: --only needs the name of a program $usage" \
	run --only= true
expect run_no_path 125 '' "mshare: run: x: not a path from / $usage" run -D x true
expect run_not_found 127 '' 'mshare: /none: No such file or directory' run /none
expect run_not_executable 126 '' 'mshare: /etc/passwd: Permission denied' run -- /etc/passwd
expect run_status 7 '' '' run sh -c 'exit 7'
expect run_arguments 0 '-r -m x' '' run echo -r -m x
so=$(realpath "$plain/preload/libmshare-preload.so")
LD_PRELOAD=/other.so expect run_variables 0 \
	"$so:/other.so 1 1048576 a:b 1 1 1 1 /x" '*' run -r -m 1M -o a:b -f -s -d -v -D /x \
	sh -c 'p=MSHARE_PRELOAD_; eval echo \$LD_PRELOAD \$${p}REQUIRE \$${p}MIN_SIZE \
		\$${p}ONLY \$${p}FILES \$${p}SYSV \$${p}DEEPBIND \$${p}VERBOSE \$${p}DIR'
mkdir "$work/bin"
cp "$mshare" "$work/bin/"
alone() { mshare=$work/bin/mshare; "$@"; mshare=$plain/mshare; }
alone expect run_without_library 125 '' \
	'mshare: libmshare-preload.so: No such file or directory' run true
mkdir "$work/a b" "$work/a b/preload"
cp "$mshare" "$work/a b/"
cp "$so" "$work/a b/preload/"
spaced() { mshare="$work/a b/mshare"; "$@"; mshare=$plain/mshare; }
spaced expect run_with_space 125 '' \
	"mshare: $work/a b/preload/libmshare-preload.so: no colon or space may be in it" \
	run true

# Completion knows the commands, and the options that each has.
completion() {
	bash -c 'mshare() { "$0" "$@"; }
	. "$1"
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	_mshare
	printf "%s\n" "${COMPREPLY[@]}"' "$mshare" "$PWD/completions/mshare.bash" "$@" |
		sort | tr '\n' ' ' | sed 's/ $//'
}
# zsh_completion LINE...: the same from zsh, one line for each
zsh_completion() {
	printf '%s\n' "$@" | PATH=${mshare%/*}:$PATH \
		timeout 200 zsh -f tests/tool/complete.zsh "$PWD/completions"
}
verbs=$("$mshare" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | sort | tr '\n' ' ')
check completes_commands [ "$(completion mshare '')" = "--help --version ${verbs% }" ]
check completes_options [ "$(completion mshare rm --f)" = --force ]
check completes_protections [ "$(completion mshare protect x 0 1 rw)" = "rw rwx" ]
long_options() {
	{
		sed -n '/^static const struct option common/,/^}/p' tool/main.c
		sed -n "/^int cmd_$1(/,/^}/p" tool/*.c
	} | sed -n 's/.*{ "\([a-z-]*\)", [a-z]*_argument.*/--\1/p' | sort | tr '\n' ' ' |
		sed 's/ $//'
}
# What zsh says of all of it: it takes a while to start.
set -- 'mshare ' 'mshare --' 'mshare protect x 0 1 rw' 'mshare run mktem' \
	'mshare run -m 1M -- mktem' 'mshare run -o mktem' 'mshare run mktemp --dir' \
	'mshare run -r -- mktemp --dir' 'mshare mount -o x /sy' 'mshare map -f completions/_ms'
for verb in $verbs; do
	set -- "$@" "mshare $verb --"
done
zsh_completion "$@" >"$work/zsh" 2>"$said"
zsh_says() { [ "$(sed -n "$1p" "$work/zsh")" = "$2" ]; }
check zsh_commands zsh_says 1 "${verbs% }"
check zsh_no_command zsh_says 2 '--help --version'
check zsh_protections zsh_says 3 'rw rwx'
check zsh_run_program zsh_says 4 mktemp
check zsh_run_program_after_options zsh_says 5 mktemp
check zsh_run_only zsh_says 6 mktemp
check zsh_run_arguments zsh_says 7 --directory
check zsh_run_arguments_after_dashes zsh_says 8 --directory
check zsh_directory zsh_says 9 sys
check zsh_file zsh_says 10 _mshare
line=10
for verb in $verbs; do
	line=$((line + 1))
	check "completes_$verb" [ "$(completion mshare "$verb" --)" = "$(long_options "$verb")" ]
	check "zsh_completes_$verb" zsh_says $line "$(long_options "$verb")"
	check "manual_knows_$verb" grep -Eq "^\.(TP|B|BI|BR)? ?$verb( |\$)" man/mshare.1
done

# Regions, whose names others choose: no shell may take them for its own.
mshare=$asan/mshare
export MSHARE_FAKE=mounted
rm -rf "$work/fake" "$work/fake.meta"
mkdir "$work/fake"
echo 1073741824 >"$work/fake/mshare_info"
# shellcheck disable=SC2016 # not to be expanded, here or later
for name in one 'o;ne' 'o: two' '$(echo>expanded)' '`echo>expanded`' '*'; do
	expect "create.$name" 0 '' '' create "$name"
done
check regions [ "$(completion mshare rm o)" = 'o:\ two o\;ne one' ]
check regions_all [ "$(completion mshare stat '')" = \
	'\$\(echo\>expanded\) \* \`echo\>expanded\` o:\ two o\;ne one' ]
zsh_completion 'mshare show o' 'mshare rm ' >"$work/zsh" 2>"$said"
check zsh_regions zsh_says 1 'o: two o;ne one'
check zsh_regions_all zsh_says 2 '$(echo>expanded) * `echo>expanded` o: two o;ne one'
check regions_are_not_expanded test ! -e expanded
rm -f expanded
finish
