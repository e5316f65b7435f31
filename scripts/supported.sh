# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# Which kernel it is about: a row of SUPPORTED. Expects $top and scripts/lib.sh.

# read_supported: the row of the series that MSHARE_SERIES names, without it the
# first row. Sets the columns series, tested and package; and what follows from
# them: patches, tarball, and kernels, the directory of the source, of what is
# built from it, and of the tree of kernel/edit.
read_supported() {
	others=''
	while read -r series tested package; do
		case $series in ''|'#'*) continue ;; esac
		[ "${MSHARE_SERIES:-$series}" != "$series" ] || break
		others="$others${others:+, }$series"
	done <"$top/SUPPORTED"
	[ -n "$series$others" ] || die "SUPPORTED names no kernel"
	[ -n "$series" ] || die "$MSHARE_SERIES: SUPPORTED has $others"
	[ -n "$package" ] || die "SUPPORTED has no three columns for $series"
	patches=$top/kernel/patches/$series
	kernels=$top/build/kernel/$series
	tarball=${MSHARE_KERNEL_TARBALL:-}
	[ -n "$tarball" ] || [ "$package" = - ] || tarball=/usr/src/$package.tar.xz
}

# need_patches: without a series this would be Linux without mshare.
need_patches() {
	[ -f "$patches/series" ] ||
		die "there are no patches for Linux $series yet (kernel/patches/$series)"
}

# from_package: the source is that of a Debian package.
from_package() { [ -z "${MSHARE_KERNEL_TARBALL:-}" ] && [ "$package" != - ]; }

need_tarball() {
	[ ! -f "$tarball" ] || return 0
	! from_package || die "$tarball: not found (apt-get install $package)"
	[ -z "$tarball" ] || die "$tarball: not found (MSHARE_KERNEL_TARBALL)"
	die "no Debian package has Linux $series: MSHARE_KERNEL_TARBALL has to name its source"
}

# need_kernel: there is what a kernel is built from, or it comes with a package
# that is yet to be installed.
need_kernel() {
	need_patches
	from_package || [ -f "$kernels/src.tarball" ] || need_tarball
}
