# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# Which kernel it is about: a row of SUPPORTED. Expects $top and scripts/lib.sh.

# read_supported: the first row. Sets the columns series, tested and package; and
# what follows from them: patches, tarball, and kernels, the directory of the
# source, of what is built from it, and of the tree of kernel/edit.
read_supported() {
	series='' tested='' package=''
	while read -r series tested package; do
		case $series in ''|'#'*) continue ;; esac
		break
	done <"$top/SUPPORTED"
	[ -n "$package" ] || die "SUPPORTED names no kernel"
	patches=$top/kernel/patches/$series
	kernels=$top/build/kernel/$series
	tarball=${MSHARE_KERNEL_TARBALL:-/usr/src/$package.tar.xz}
}
