#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# packaging/kernel.sh FLAVOUR: Debian packages of a kernel with mshare, in
# build/deb: linux-image-VERSION-mshare-FLAVOUR, and its headers. The source is
# Debian's with our series, in a tree of its own (build/deb/kernel/SERIES/src);
# the configuration is Debian's for that flavour with packaging/kconfig on top.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/deb
jobs=${MSHARE_JOBS:-$(nproc)}
me=deb

# shellcheck source=scripts/progress.sh
. "$top/scripts/progress.sh"
# shellcheck source=packaging/lib.sh
. "$top/packaging/lib.sh"
build=$out/kernel/$series

flavour=${1:-}
case $flavour in
amd64|cloud-amd64) ;;
*) die "kernel: flavour '$flavour': amd64 or cloud-amd64" ;;
esac
obj=$build/$flavour
log=$obj/build.log

check_config_package
mkdir -p "$obj"
exec 8>"$obj/lock"
flock -n 8 || {
	echo "kernel $flavour: waiting for another build"
	flock 8
}
trap 'stop_progress' EXIT
trap 'exit 130' INT TERM HUP

"$top/kernel/apply" "$build"
exec 9>"$build/lock"
flock -s 9
version=$(cat "$build/src.version")
release=$version-mshare-$flavour
[ "$version" = "${source%%-*}" ] ||
	die "kernel: the source tree is Linux $version, $config_package is $source"

use_ccache "$build"
# No preprocessor run to look for an object: it is seldom built twice.
export CCACHE_DEPEND=1
# With the version of Debian's package: it says which of their fixes are in.
revision=$(installed_version "$source_package")+mshare$(mshare_version)
kmake() {
	make -C "$build/src" O="$obj" CC="$cc" HOSTCC="$cc" LOCALVERSION= "$@"
}

# ------------------------------------------------------------- configuration
# The same wishes leave .config, and what was built with it, alone.
{
	xzcat "$config"
	cat "$top/packaging/kconfig"
	echo "CONFIG_LOCALVERSION=\"-mshare-$flavour\""
} >"$obj/config.wanted"
sum=$( (cat "$obj/config.wanted"; cd "$build/src" && find . -name 'Kconfig*' -exec cksum {} +) | cksum)
if [ ! -f "$obj/.config" ] || [ "$(cat "$obj/config.sum" 2>/dev/null)" != "$sum" ]; then
	rm -f "$obj/config.sum"
	cp "$obj/config.wanted" "$obj/.config"
	kmake olddefconfig >"$obj/config.log" 2>&1 8>&- 9>&- || {
		tail -n 20 "$obj/config.log" >&2
		die "make olddefconfig failed"
	}
	lost=
	while read -r line; do
		case $line in
		CONFIG_*=n) ! grep -q "^${line%=n}=" "$obj/.config" || lost="$lost $line" ;;
		CONFIG_*) grep -qxF "$line" "$obj/.config" || lost="$lost $line" ;;
		esac
	done <"$top/packaging/kconfig"
	[ -z "$lost" ] || die "kernel $flavour: refused by Kconfig:$lost"
	echo "$sum" >"$obj/config.sum"
fi

# --------------------------------------------------------------------- build
start=$(date +%s)
estimate=$(cat "$obj/build.steps" 2>/dev/null || case $flavour in
	amd64) echo 25700 ;;
	cloud-amd64) echo 8300 ;;
	esac)
: >"$log"
progress "$flavour" "$log" "$estimate" &
progress_pid=$!
status=0
kmake -j"$jobs" bzImage modules >>"$log" 2>&1 8>&- 9>&- || status=$?
n=$(steps_of "$log")
if [ "$status" -eq 0 ]; then
	echo 'packages' >>"$log"
	kmake -j"$jobs" bindeb-pkg KDEB_PKGVERSION="$revision" KDEB_SOURCENAME="linux-mshare-$flavour" \
		KDEB_CHANGELOG_DIST=bookworm KDEB_COMPRESS=zstd \
		>>"$log" 2>&1 8>&- 9>&- || status=$?
fi
stop_progress
if [ "$status" -ne 0 ]; then
	show_errors "$log"
	die "kernel $flavour does not build"
fi
[ "$n" -lt "$estimate" ] && [ -f "$obj/build.steps" ] || echo "$n" >"$obj/build.steps"

# linux-libc-dev, which comes with it, would replace that of the distribution.
rm -f "$out"/linux-*-"$series".*-mshare-"$flavour"_*.deb "$build"/linux-libc-dev_*.deb
for p in linux-image linux-headers; do
	deb=$build/$p-${release}_${revision}_amd64.deb
	[ -f "$deb" ] || die "kernel $flavour: $(basename "$deb") was not made, see $log"
	mv "$deb" "$out/"
	echo "build/deb/$(basename "$deb")"
done
rm -f "$build"/linux-mshare-"$flavour"_*
echo "kernel $flavour: built in $(($(date +%s) - start)) s ($n steps)"
