#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# packaging/userland.sh: Debian packages of library, tool and preload, with their
# source package, in build/deb.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/deb
me=deb
# shellcheck source=packaging/lib.sh
. "$top/packaging/lib.sh"

version=$(mshare_version)
package=$(dpkg-parsechangelog -l "$top/packaging/debian/changelog" -S Version)
[ "${package%-*}" = "$version" ] ||
	die "userland: packaging/debian/changelog is of $package, lib/mshare.h of $version: make them one version"

# A tree with what these packages are made of, and nothing else.
work=$out/userland
tree=$work/mshare-$version
rm -rf "$work"
mkdir -p "$tree/kernel/new/include/uapi/linux"
cd "$top"
cp -a userland.mk lib preload tool man completions docs LICENSES "$tree/"
cp -a kernel/new/include/uapi/linux/msharefs.h "$tree/kernel/new/include/uapi/linux/"
# The same archive from the same files.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=go=rX,u+rw \
	-C "$work" -cJf "$work/mshare_$version.orig.tar.xz" "mshare-$version"
cp -a packaging/debian "$tree/"

log=$out/userland.log
echo "userland: building mshare $package, log in build/deb/userland.log"
(cd "$tree" && dpkg-buildpackage -us -uc -F) >"$log" 2>&1 || {
	tail -n 30 "$log" >&2
	die "userland: the packages do not build, see $log"
}
# What is wrong with them by Debian's policy. The project has no mail address, and
# Debian no bug that asks for these packages.
not_ours=bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs
lintian --fail-on error --allow-root --suppress-tags "$not_ours" --tag-display-limit 0 \
	"$work/mshare_${package}_amd64.changes" \
	>"$out/lintian.log" 2>&1 || {
	cat "$out/lintian.log" >&2
	die "userland: lintian finds errors"
}
! grep '^W:' "$out/lintian.log" || :

for p in $userland_packages; do
	rm -f "$out/${p}"_*.deb
	deb=$work/${p}_${package}_amd64.deb
	[ -f "$deb" ] || die "userland: $(basename "$deb") was not made, see $log"
	mv "$deb" "$out/"
	echo "build/deb/$(basename "$deb")"
done
mv "$work"/mshare_* "$out/"
