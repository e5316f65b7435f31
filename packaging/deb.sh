#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# packaging/deb.sh: the verb deb of run.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
me=deb die_status=2
# shellcheck source=packaging/lib.sh
. packaging/lib.sh
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

usage() {
	cat <<-'END'
	usage: ./run deb [userland|kernel|all|test] [options]
	  userland        libmshare1, libmshare-dev, libmshare-preload, mshare
	  kernel          linux-image and linux-headers, with Debian's configuration; an
	                  hour or several
	  all             both (default)
	  test            a Debian with these packages and PostgreSQL, booted in QEMU;
	                  needs root
	  --flavour F     of Debian's configurations "amd64" (default), or the smaller
	                  "cloud-amd64" for virtual machines; test: of what is built,
	                  the smaller by default
	  --kernel vm     test: with the kernel of ./run vm instead of a packaged one
	  --series S      the kernel of this row of SUPPORTED, by default the first

	The packages are in build/deb; docs/packages.md tells how to install them.
	END
}

part='' flavour='' kernel=''
while [ $# -gt 0 ]; do
	case $1 in
	--flavour|--kernel) [ $# -ge 2 ] || die "$1 needs a value" ;;
	esac
	case $1 in
	--flavour)
		case $2 in
		amd64|cloud-amd64) flavour=$2 ;;
		*) die "--flavour $2: amd64 or cloud-amd64" ;;
		esac
		shift ;;
	--kernel)
		[ "$2" = vm ] || die "--kernel $2: only vm"
		kernel=$2
		shift ;;
	--help|-h) usage; exit 0 ;;
	-*) usage >&2; die "$1: unknown option" ;;
	userland|kernel|all|test)
		[ -z "$part" ] || die "$part or $1, not both"
		part=$1 ;;
	*) die "$1: userland, kernel, all or test" ;;
	esac
	shift
done
part=${part:-all}
[ -z "$kernel" ] || [ "$part" = test ] || die "--kernel is for test"
[ -z "$flavour" ] || [ "$part" != userland ] || die "--flavour is for kernels"
[ -z "$flavour" ] || [ -z "$kernel" ] || die "--flavour or --kernel, not both"

# What is missing is said before an hour is spent on something else.
[ "$part" = userland ] || need_patches
[ -z "$kernel" ] || need_kernel
case $part in
kernel|all)
	need_kernel
	need_config_package
	;;
esac
case $part in
userland|all)
	need_packages userland deb
	packaging/userland.sh
	;;
esac
case $part in
kernel|all)
	need_packages kernel deb deb-kernel
	packaging/kernel.sh "${flavour:-amd64}"
	;;
test)
	[ "$(id -u)" -eq 0 ] || die "test: only root can install packages in a root directory of their own"
	need_packages vm userland deb deb-test
	[ -z "$kernel" ] || {
		need_packages kernel
		[ -f "$kernels/release/arch/x86/boot/bzImage" ] || kernel/build release
	}
	exec tests/packages.sh ${flavour:+"$flavour"} ${kernel:+"$kernel"}
	;;
esac
