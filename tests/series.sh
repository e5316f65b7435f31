#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# More than one kernel: --series of ./run, in a copy of the scripts that has a
# SUPPORTED, sources and patches of its own. The sources are a Makefile and a file
# to patch; apt-get and QEMU write down how they were called. Prints TAP.
# shellcheck disable=SC2317 # called through check
set -u
suite=series
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
work=$(mktemp -d)
unset MSHARE_SERIES MSHARE_KERNEL_TARBALL
real=$PWD top=$work/top calls=$work/calls

# ------------------------------------------------------------------- the copy
mkdir "$top" "$work/bin"
cp -R run scripts kernel vm packaging bench tests "$top/"
cd "$top" || exit 1
rm -rf kernel/new/* kernel/patches/*
mkdir -p kernel/new/mm kernel/patches/99.1 kernel/patches/99.3
echo '/* of mshare */' >kernel/new/mm/added.c
touch kernel/patches/99.1/series kernel/patches/99.3/series
cat >SUPPORTED <<'END_OF_ROWS'
# 99.2 has no patches, 99.3 no package.
99.1  99.1.5  linux-source-99.1
99.2  -       -

99.3  -       -
END_OF_ROWS

# make_source VERSION: of a kernel that takes no time to build
make_source() {
	mkdir -p "$work/$1/linux/mm"
	echo "/* Linux $1 */" >"$work/$1/linux/mm/old.c"
	cat >"$work/$1/linux/Makefile" <<-END_OF_MAKEFILE
		VERSION = ${1%%.*}
		PATCHLEVEL = $(echo "$1" | cut -d. -f2)
		SUBLEVEL = ${1##*.}
		allnoconfig: ; cp \$(KCONFIG_ALLCONFIG) \$(O)/.config
		bzImage: ; mkdir -p \$(O)/arch/x86/boot && cat mm/*.c >\$(O)/arch/x86/boot/bzImage
	END_OF_MAKEFILE
	tar -C "$work/$1" -cf "$work/linux-$1.tar" linux
	# Archives are told apart by size and time.
	touch -d "2001-01-01 00:00:0${1##*.}" "$work/linux-$1.tar"
}
make_source 99.1.5
make_source 99.3.0

# fake PROGRAM: with the script on standard input
fake() {
	{ echo '#!/bin/sh'; cat; } >"$work/bin/$1"
	chmod 755 "$work/bin/$1"
}
export CALLS="$calls" INSTALLED="$work/installed"
# All packages are installed, or none is.
fake dpkg-query <<'END_OF_FAKE'
[ -f "$INSTALLED" ] && printf installed
END_OF_FAKE
fake apt-get <<'END_OF_FAKE'
echo "apt-get $*" >>"$CALLS"
exit 1
END_OF_FAKE
fake apt-cache </dev/null
echo 'exec "$@"' | fake sudo
# What the machine would have run, too.
fake qemu-system-x86_64 <<'END_OF_FAKE'
echo "$*" >>"$CALLS"
for word; do
	case $word in
	local,id=host,path=*) cat "$(echo "$word" | sed 's/.*path=//; s/,.*//')/program" >>"$CALLS" ;;
	esac
done
exit 1
END_OF_FAKE
export PATH="$work/bin:$PATH"

run() {
	: >"$calls"
	./run "$@" </dev/null
}

# with NAME=VALUE COMMAND...
with() {
	# shellcheck disable=SC2163 # NAME=VALUE
	(export "$1"
	shift
	"$@")
}

# refused MESSAGE WORDS OF RUN: that is all it says, and nothing has happened
refused() {
	message=$1 ended=0
	shift
	run "$@" >"$work/told" 2>&1 || ended=$?
	cat "$work/told"
	[ "$ended" -eq 2 ] && [ "$(cat "$work/told")" = "mshare: $message" ] &&
		[ ! -s "$calls" ] && [ ! -e build ]
}

# --------------------------------------------------------- what cannot be built
for verb in kernel vm test demo bench series lint deb; do
	check "no_patches.$verb" refused \
		"$verb: there are no patches for Linux 99.2 yet (kernel/patches/99.2)" \
		"$verb" --series 99.2
done
for verb in kernel vm test demo bench series lint deb edit; do
	check "no_source.$verb" refused \
		"$verb: no Debian package has Linux 99.3: MSHARE_KERNEL_TARBALL has to name its source" \
		"$verb" --series 99.3
	check "unknown.$verb" refused "$verb: 9.9: SUPPORTED has 99.1, 99.2, 99.3" \
		"$verb" --series 9.9
	check "no_value.$verb" refused "$verb: --series needs a value" "$verb" --series
done
check empty_value refused 'kernel: --series needs a value' kernel --series ''
check behind_words refused 'kernel: 9.9: SUPPORTED has 99.1, 99.2, 99.3' \
	kernel debug --series 9.9
check env.unknown with MSHARE_SERIES=9.9 refused 'kernel: 9.9: SUPPORTED has 99.1, 99.2, 99.3' kernel
check env.no_patches with MSHARE_SERIES=99.2 refused \
	'kernel: there are no patches for Linux 99.2 yet (kernel/patches/99.2)' kernel
check env.loses with MSHARE_SERIES=99.1 refused \
	'kernel: there are no patches for Linux 99.2 yet (kernel/patches/99.2)' \
	kernel --series 99.2
# Other scripts call it without ./run.
direct() {
	! with MSHARE_SERIES=99.2 kernel/build release 2>"$work/told" && [ ! -e build ] &&
		grep 'kernel: there are no patches for Linux 99.2 yet' "$work/told"
}
check direct direct
check no_tarball with MSHARE_KERNEL_TARBALL=/none.tar refused \
	'kernel: /none.tar: not found (MSHARE_KERNEL_TARBALL)' kernel --series 99.3

# -------------------------------------------------------------------- packages
# installs PACKAGES WORDS OF RUN: of sources and configurations
installs() {
	packages=$1
	shift
	run "$@"
	cat "$calls"
	[ "$(grep -- ' -y ' "$calls" | tail -n 1 | tr ' ' '\n' |
		grep -xE 'linux-.*|-' | sort | xargs)" = "$packages" ]
}
# with_tarball VERSION COMMAND...
with_tarball() {
	version=$1
	shift
	with MSHARE_KERNEL_TARBALL="$work/linux-$version.tar" "$@"
}
check packages.first installs linux-source-99.1 kernel
check packages.named installs linux-source-99.1 test --series 99.1
check packages.none with_tarball 99.3.0 installs '' kernel --series 99.3
check packages.deb installs 'linux-config-99.1 linux-source-99.1' deb kernel
check packages.no_config with_tarball 99.3.0 refused \
	'deb: kernel: Debian has no Linux 99.3, and so no configuration for it' \
	deb kernel --series 99.3

# ------------------------------------------------------ edit, export, build, boot
touch "$INSTALLED"
# hook SERIES VERSION: make its patch
hook() {
	edit=build/kernel/$1/edit
	with_tarball "$2" run edit --series "$1" || return 1
	echo "/* hook of $1 */" >>"$edit/mm/old.c"
	git -C "$edit" commit -q -a -m "mm: a hook of $1" && run export --series "$1" &&
		grep -q "^+/\* hook of $1 \*/$" "kernel/patches/$1/0001-mm-a-hook-of-$1.patch"
}
check hook.first hook 99.1 99.1.5
cp -R kernel/patches/99.1 "$work/before"
check hook.second hook 99.3 99.3.0
check hook.second_alone diff -r kernel/patches/99.1 "$work/before"

echo CONFIG_ONLY_HERE=y >kernel/config/99.3
# builds SERIES VERSION WORDS: the kernel consists of its own source, our new files
# and its own hook.
builds() {
	series=$1 version=$2
	shift 2
	with_tarball "$version" run kernel "$@" || return 1
	printf '/* of mshare */\n/* Linux %s */\n/* hook of %s */\n' "$version" "$series" |
		diff - "build/kernel/$series/release/arch/x86/boot/bzImage"
}
check builds.first builds 99.1 99.1.5
check builds.second builds 99.3 99.3.0 release --series 99.3
configured() { grep -qx CONFIG_ONLY_HERE=y "build/kernel/$1/release/.config"; }
check config.second configured 99.3
not_configured() { ! configured 99.1 && [ -s build/kernel/99.1/release/.config ]; }
check config.first not_configured
only_series() { [ "$(ls build/kernel)" = "$(printf '99.1\n99.3')" ]; }
check only_series only_series

# A tree of another series is worse than none.
wrong_source() {
	! with_tarball 99.1.5 run edit --series 99.3 "$work/wrong" && [ ! -e "$work/wrong" ] || return 1
	! with_tarball 99.1.5 run kernel --series 99.3 >"$work/told" 2>&1
	cat "$work/told"
	grep -q 'linux-99.1.5.tar has Linux 99.1.5, and not 99.3$' "$work/told" &&
		grep -q '^/\* Linux 99.3.0 ' build/kernel/99.3/src/mm/old.c &&
		[ ! -e build/kernel/99.3/unpack ]
}
check wrong_source wrong_source
# It is unpacked: nobody has to name it again.
again() { run kernel --series 99.3; }
check source_stays again

# boots SERIES WORDS
boots() {
	series=$1
	shift
	run vm "$@"
	cat "$calls"
	grep -q -- "-kernel $top/build/kernel/$series/release/arch/x86/boot/bzImage " "$calls"
}
check boots.first boots 99.1 --no-build -- true
check boots.second boots 99.3 --no-build --series 99.3 -- true
check boots.env with MSHARE_SERIES=99.3 boots 99.3 --no-build -- true
program_has_it() {
	boots 99.3 --no-build --series 99.3 -- true --series 99.1 &&
		grep -qx "set -- 'true' '--series' '99.1'" "$calls"
}
check boots.program_has_its_words program_has_it

# ---------------------------------------------------------------------- ./run clean
# What an older checkout has directly in build/kernel goes, except commits.
mkdir -p build/kernel/release build/kernel/src build/kernel/edit/mm build/test
cleans() {
	run clean || return 1
	find build -mindepth 1 -maxdepth 3 | sort
	[ ! -e build/kernel/release ] && [ ! -e build/kernel/src ] && [ ! -e build/test ] &&
		[ ! -e build/kernel/99.3/release ]
}
check clean cleans
for left in edit/mm 99.1/edit/mm/old.c 99.1/src/mm/old.c 99.3/src.version 99.3/edit/mm/old.c; do
	check "clean.leaves.$left" test -e "build/kernel/$left"
done

# --------------------------------------------------------- the kernels there are
cd "$real" || exit 1
rows() { sed '/^#/d; /^[[:space:]]*$/d' SUPPORTED; }
columns() { ! rows | awk 'NF != 3' | grep .; }
check columns columns
first() { rows | sed 's/[[:space:]].*//; q'; }
check first_has_patches test -f "kernel/patches/$(first)/series"
cd "$top" || exit 1
cp "$real/SUPPORTED" .
rm -rf build
for series in $(rows | sed 's/[[:space:]].*//'); do
	[ ! -f "$real/kernel/patches/$series/series" ] || continue
	check "planned.$series" refused \
		"kernel: there are no patches for Linux $series yet (kernel/patches/$series)" \
		kernel --series "$series"
done
finish
