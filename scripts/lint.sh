#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# scripts/lint.sh [quick]: shellcheck on the scripts, checkpatch on the C files,
# the licence line of every file; and unless quick: sparse and coccinelle on the
# engine. Every check runs, whatever the others find.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
me=lint
# shellcheck source=kernel/lib.sh
. "$top/kernel/lib.sh"
build=$kernels
src=$build/src
cd "$top"

quick=no
case ${1:-} in
'') ;;
quick) quick=yes ;;
*) usage_error "$1: quick, or nothing" ;;
esac

out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0

# check NAME STATUS: count a result, and show what the check said when it failed.
check() {
	if [ "$2" -eq 0 ]; then
		echo "ok - $1"
		passed=$((passed + 1))
	else
		echo "not ok - $1"
		sed 's/^/  /' "$out"
		failed=$((failed + 1))
	fi
}

# Files that belong to the project: those git knows and new ones it would add.
files() {
	git ls-files -c -o --exclude-standard -- "$@" | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done
}

"$top/kernel/apply"

# The identifier of each file is one that LICENSES has the text of.
files | while read -r f; do
	case $f in
	packaging/debian/rules|packaging/debian/tests/*|packaging/debian/*.mount) ;;
	# Files whose formats have no comments; its copyright speaks for them.
	packaging/debian/*) continue ;;
	esac
	case $f in LICENSES/*|.clang-format|*.patch|*/series|*/Documentation/ABI/*|*.json|*.png) continue ;; esac
	id=$(sed -n '1,5s/.*SPDX-License-Identifier: //p' "$f" | sed 's/[[:space:]]*\(\*\/\|-->\).*//' | head -n 1)
	case $id in
	GPL-2.0|LGPL-2.1-or-later|'GPL-2.0 WITH Linux-syscall-note') ;;
	'') echo "$f: no SPDX line" ;;
	*) echo "$f: $id" ;;
	esac
done >"$out"
status=0; [ ! -s "$out" ] || status=1
check "licence lines" $status

scripts=$(files | while read -r f; do
	case $f in *.sh) echo "$f"; continue ;; *.c|*.h|*.patch) continue ;; esac
	if head -n 1 "$f" | grep -qE '^#! ?/(usr/)?bin/(env )?(ba)?sh'; then echo "$f"; fi
done)
status=0
# shellcheck disable=SC2086
shellcheck -x -P "$top" $scripts >"$out" 2>&1 || status=$?
check "shellcheck" $status

# style NAME IGNORED FILES: whole files, so nothing to say about MAINTAINERS.
style() {
	name=$1 ignored=$2
	shift 2
	[ $# -gt 0 ] || return 0
	status=0
	checkpatch --ignore "FILE_PATH_CHANGES,$ignored" -f "$@" >"$out" || status=$?
	sed -i "s|^$top/||" "$out"
	check "checkpatch --strict, $name" $status
}
# linux/mshare.h is where asm/mshare.h has to be included.
# shellcheck disable=SC2046
style "kernel" INCLUDE_LINUX \
	$(files 'kernel/new/*.[ch]' | grep -vE '^kernel/new/(tools|include/trace)/' |
		sed "s|^|$top/|")
# shellcheck disable=SC2046
style "trace events" "$not_for_traces" \
	$(files 'kernel/new/include/trace/*.h' | sed "s|^|$top/|")
# shellcheck disable=SC2046
style "programs" "$not_for_programs" \
	$({ files '*.[ch]' | grep -v '^kernel/new/'; files 'kernel/new/tools/*.[ch]'; } |
		sed "s|^|$top/|")

# What is documented has all its arguments, and no others.
if [ -x "$src/scripts/kernel-doc" ]; then
	# shellcheck disable=SC2046
	"$src/scripts/kernel-doc" -none $(files 'kernel/new/*.[ch]' |
		grep -v '^kernel/new/tools/' | sed "s|^|$top/|") >"$out" 2>&1
	sed -i "s|^$top/||" "$out"
	status=0; [ ! -s "$out" ] || status=1
	check "kernel-doc" $status
fi

status=0
git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- . ':!scripts/lint.sh' ':!LICENSES' ':!.clang-format' >"$out" || status=$?
[ "$status" -eq 1 ] && status=0 || status=1
check "nothing left to do in the code" $status

if [ "$quick" = no ] && [ -d "$src/mm/mshare" ]; then
	status=0
	kernel/sparse >"$out" 2>&1 || status=1
	check "sparse" $status

	: >"$out"
	status=0
	for script in free/kfree free/ifnullfree locks/call_kern locks/double_lock \
		locks/mini_lock locks/flags null/deref_null null/eno \
		iterators/use_after_iter iterators/itnull api/err_cast \
		misc/returnvar tests/odd_ptr_err tests/unsigned_lesser_than_zero; do
		cocci=$src/scripts/coccinelle/$script.cocci
		spatch --very-quiet -D report --no-show-diff --no-includes \
			--cocci-file "$cocci" --dir "$src/mm/mshare" >>"$out" 2>/dev/null || :
		spatch --very-quiet -D report --no-show-diff --no-includes \
			--cocci-file "$cocci" --dir "$src/fs/msharefs" >>"$out" 2>/dev/null || :
	done
	[ ! -s "$out" ] || status=1
	check "coccinelle" $status
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
