# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts beside it share. Expects $top, $flavour and $me, and reads which
# kernel it is about.
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/supported.sh
. "$top/scripts/supported.sh"
read_supported

# The packages of a source and of Debian's configurations: linux-source-6.12,
# linux-config-6.12.
source_package=$package
config_package=linux-config-${package#linux-source-}

userland_packages='libmshare1 libmshare-dev libmshare-preload mshare'

installed_version() {
	# shellcheck disable=SC2016 # a format of dpkg-query
	dpkg-query -W -f '${Version}' "$1" 2>/dev/null
}

mshare_version() {
	sed -n 's/^#define MSHARE_VERSION[[:space:]]*"\(.*\)"/\1/p' "$top/lib/mshare.h"
}

# need_config_package: there is one for the series.
need_config_package() {
	[ "$package" != - ] ||
		die "kernel: Debian has no Linux $series, and so no configuration for it"
}

# check_config_package: Debian's configuration of the flavour, of the version
# that the source has. Sets config.
check_config_package() {
	need_config_package
	have=$(installed_version "$config_package") ||
		die "kernel: $config_package is not installed (apt-get install $config_package)"
	source=$(installed_version "$source_package") ||
		die "kernel: $source_package is not installed (apt-get install $source_package)"
	[ "$have" = "$source" ] ||
		die "kernel: $source_package is $source and $config_package $have: install one version of both"
	config=${MSHARE_KERNEL_CONFIGS:-/usr/src/$config_package}/config.amd64_none_$flavour.xz
	[ -f "$config" ] || die "kernel: $config: not found"
	xzcat "$config" 2>/dev/null | grep -qF "Linux/x86 ${source%%-*} Kernel Configuration" ||
		die "kernel: $config is not of Linux ${source%%-*}, which $source_package is"
}
