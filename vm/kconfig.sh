#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm/kconfig.sh [--partial] FLAVOUR SRC OBJ: make OBJ/.config from
# kernel/config/base and kernel/config/FLAVOUR, and die if Kconfig refused an
# option they ask for. --partial: the tree may not have mshare yet.
set -eu

partial=no
if [ "$1" = --partial ]; then
	partial=yes
	shift
fi
flavour=$1 src=$2 obj=$3
top=$(cd "$(dirname "$0")/.." && pwd)
fragments="$top/kernel/config/base $top/kernel/config/$flavour"

die() { echo "mshare: kernel config $flavour: $*" >&2; exit 1; }

[ -f "$top/kernel/config/$flavour" ] || die "no such flavour"
mkdir -p "$obj"

# The last line that names an option wins.
# shellcheck disable=SC2086
awk '
	/^CONFIG_[A-Za-z0-9_]+=/ {
		split($0, kv, "=")
		if (!(kv[1] in line)) order[n++] = kv[1]
		line[kv[1]] = $0
	}
	END { for (i = 0; i < n; i++) print line[order[i]] }
' $fragments >"$obj/.wanted"

# Nothing to do while the wishes and all Kconfig files are the same.
sum=$( (cat "$obj/.wanted"
	cd "$src" && find . -name 'Kconfig*' -exec cksum {} +) | cksum)
if [ -f "$obj/.config" ] && [ "$(cat "$obj/.config.sum" 2>/dev/null)" = "$sum" ]; then
	exit 0
fi

sed 's/[[:space:]]*#.*//' "$obj/.wanted" >"$obj/.allconfig"
make -C "$src" O="$obj" KCONFIG_ALLCONFIG="$obj/.allconfig" allnoconfig \
	>"$obj/config.log" 2>&1 || {
	tail -n 20 "$obj/config.log" >&2
	die "make allnoconfig failed"
}

lost=$(awk '
	FNR == NR { split($0, kv, "="); if ($0 ~ /^CONFIG_/) have[kv[1]] = substr($0, length(kv[1]) + 2); next }
	/# optional$/ { next }
	{
		split($0, kv, "=")
		want = substr($0, length(kv[1]) + 2)
		got = (kv[1] in have) ? have[kv[1]] : "n"
		if (got != want) printf " %s=%s(is %s)", kv[1], want, got
	}
' "$obj/.config" "$obj/.wanted")
[ "$partial" = no ] || lost=$(printf '%s' "$lost" | sed 's/ CONFIG_MSHARE[A-Z_]*=y(is n)//g')
[ -z "$lost" ] || die "refused by Kconfig:$lost"

echo "$sum" >"$obj/.config.sum"
