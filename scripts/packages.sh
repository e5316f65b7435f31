# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
# need_packages VERB...: install the Debian packages that these verbs of run need,
# for the kernel that read_supported has chosen (scripts/supported.sh).

packages_of() {
	case $1 in
	kernel) echo gcc libc6-dev make flex bison bc libelf-dev libssl-dev \
		patch perl cpio kmod xz-utils ccache
		! from_package || echo "$package" ;;
	vm)	echo qemu-system-x86 busybox-static cpio ;;
	test)	echo gcc g++ libc6-dev make rsync libcap-dev libnuma-dev e2fsprogs \
		binutils libcmocka-dev libc6-dev-i386 apparmor zsh ;;
	postgres) echo postgresql-15 postgresql-client-15 ;;
	apps)	packages_of postgres
		echo php8.2-fpm php8.2-opcache libfcgi-bin fio stress-ng python3 util-linux ;;
	userland) echo gcc libc6-dev make pkgconf libjson-c-dev ;;
	deb)	echo debhelper dpkg-dev fakeroot lintian libjson-c-dev ;;
	deb-kernel) echo debhelper rsync "$package" "linux-config-${package#linux-source-}" ;;
	deb-test) echo mmdebstrap e2fsprogs util-linux xz-utils ;;
	demo|bench) echo gcc libc6-dev make gnuplot-nox ;;
	series)	echo git perl sparse ;;
	lint)	echo git perl shellcheck sparse coccinelle ;;
	esac
}

# The version that the series was tested with, where the archive still has it.
with_version() {
	case $1 in
	linux-source-*)
		exact=$(apt-cache madison "$1" 2>/dev/null |
			awk -v v="$tested" 'index($3, v "-") == 1 { print $3; exit }')
		echo "$1${exact:+=$exact}"
		;;
	linux-config-*)
		# Of the version that the source has.
		# shellcheck disable=SC2016 # a format of dpkg-query
		exact=$(dpkg-query -W -f '${Version}' "linux-source-${1#linux-config-}" 2>/dev/null) || exact=
		[ -z "$exact" ] || apt-cache madison "$1" 2>/dev/null | grep -qF " $exact " || exact=
		echo "$1${exact:+=$exact}"
		;;
	*)	echo "$1" ;;
	esac
}

# install_quietly PACKAGE...: what comes with a server must not start one on this
# machine, neither now, nor when it boots, nor make a data base. The packages'
# scripts find true(1) in place of what would; nothing of that stays.
install_quietly() {
	quiet=$(mktemp -d)
	for program in invoke-rc.d deb-systemd-invoke pg_createcluster; do
		ln -s /bin/true "$quiet/$program"
	done
	chmod 755 "$quiet"
	installed=0
	# shellcheck disable=SC2086 # no word, or sudo
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
		--no-install-recommends \
		-o DPkg::Path="$quiet:/usr/sbin:/usr/bin:/sbin:/bin" "$@" \
		>"$install_log" 2>&1 </dev/null || installed=1
	rm -r "$quiet"
	[ "$installed" -eq 0 ] || return 1
	# shellcheck disable=SC2046 # names of packages
	for service in $(dpkg -L $(printf '%s\n' "$@" | sed 's/=.*//') |
			 sed -n 's,^/etc/init.d/,,p'); do
		$root update-rc.d "$service" disable >/dev/null 2>&1 || :
	done
}

need_packages() {
	missing=
	for verb_ in "$@"; do
		for p in $(packages_of "$verb_"); do
			case " $missing " in *" $p "*) continue ;; esac
			# shellcheck disable=SC2016 # a format of dpkg-query
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
				missing="$missing $p"
		done
	done
	[ -n "$missing" ] || return 0

	root=
	if [ "$(id -u)" -ne 0 ]; then
		root=sudo
		command -v sudo >/dev/null || {
			echo "mshare: run: these packages are needed, install them as root:$missing" >&2
			exit 2
		}
	fi
	echo "run: installing with ${root:+$root }apt-get:$missing"
	# Old or absent package lists show up as packages without a candidate.
	# shellcheck disable=SC2086
	if ! apt-get install -s -qq --no-install-recommends $missing >/dev/null 2>&1; then
		$root apt-get update -qq || :
	fi
	wanted=
	for p in $missing; do
		wanted="$wanted $(with_version "$p")"
	done
	install_log=$(mktemp)
	# shellcheck disable=SC2086
	if ! install_quietly $wanted; then
		# The lists can be older than the archive.
		$root apt-get update -qq || :
		# shellcheck disable=SC2086
		install_quietly $missing || {
			tail -n 15 "$install_log" >&2
			rm -f "$install_log"
			echo "mshare: run: apt-get could not install:$missing" >&2
			exit 2
		}
	fi
	rm -f "$install_log"
}
