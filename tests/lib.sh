#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# libmshare without a machine: under AddressSanitizer and UBSan with a fake of
# msharefs, on this kernel, which has none, and as it is installed. Prints TAP.
# shellcheck disable=SC2317 # called through check
set -u
suite=lib
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
work=$(mktemp -d)
asan=$PWD/build/asan
plain=$PWD/build/userland

# with_fake STATE NAME PROGRAM ARGS...
with_fake() {
	state=$1
	shift
	rm -rf "$work/fake" "$work/fake.meta"
	mkdir "$work/fake"
	echo 1073741824 >"$work/fake/mshare_info"
	MSHARE_FAKE=$state MSHARE_FAKE_DIR=$work/fake cmocka "$@"
}

check builds_with_sanitizers make -s -C tests/lib fake O="$asan" SANITIZE=address,undefined
with_fake mounted api "$asan/tests/api-fake"
with_fake mounted windows "$asan/tests/windows-fake"
with_fake mounted faults "$asan/tests/faults-fake"
with_fake unmounted unmounted "$asan/tests/absent-fake" ENODEV
with_fake absent absent "$asan/tests/absent-fake" ENOSYS

check builds make -s -C tests/lib real O="$plain"
if [ ! -d /sys/fs/mshare ]; then
	cmocka this_kernel "$plain/tests/absent" ENOSYS
fi

# The guide has no program that is not compiled, and one that needs no mshare.
complete() {
	[ "$(grep -c '^```c$' docs/library.md)" = "$(grep -c '^<!-- program: ' docs/library.md)" ]
}
falls_back() { "$plain/tests/example-fallback" | diff "$plain/tests/example-fallback.expected" -; }
check guide_is_compiled complete
check guide.fallback falls_back
# Headers of the kernel are the same for both.
check builds_32_bits make -s -C lib static O="$work/32" LDFLAGS=-m32 \
	CFLAGS="-O2 -Werror -m32 -idirafter /usr/include/$(gcc -print-multiarch)"
is_32_bits() { readelf -h "$work/32/lib/libmshare.a" | grep -c 'ELF32' | grep -qx "$(find lib -name '*.c' | wc -l)"; }
check is_32_bits is_32_bits

# ------------------------------------------------------------- what it exports
so=$plain/lib/libmshare.so
exported() { nm -D --defined-only "$so" | awk '$2 == "T" { print $3 }' | sort; }
declared() {
	sed -n 's/^[a-z].*[ *]\(mshare[a-z_]*\)(.*/\1/p' lib/mshare.h | sort
}
symbols() { [ "$(exported | sed 's/@@LIBMSHARE_1.0$//')" = "$(declared)" ]; }
versions() { ! exported | grep -v '@@LIBMSHARE_1\.0$'; }
soname() { readelf -d "$so" | grep 'SONAME.*\[libmshare\.so\.1\]'; }
# No variable that two threads or processes could disagree about.
stateless() {
	! size -A "$plain"/lib/*.o | awk '$1 ~ /^\.(data|bss|tdata|tbss)$/ && $2' | grep .
}
# Each has a manual page, and none is about what is not there.
manuals() {
	for function in $(declared); do
		[ -f "man/$function.3" ] || { echo "man/$function.3: not there"; return 1; }
	done
	for page in man/mshare*.3; do
		page=${page##*/}
		declared | grep -qx "${page%.3}" || { echo "$page: no such function"; return 1; }
	done
}
# A link leads to a page that names what it is about.
links_lead() {
	for page in man/*.3; do
		target=$(sed -n 's|^\.so man3/||p' "$page")
		name=${page##*/}
		grep -q "^${name%.3}[ ,]\|, ${name%.3}[ ,]" "man/${target:-$name}" ||
			{ echo "$page: not named"; return 1; }
	done
}
check symbols symbols
check versions versions
check soname soname
check stateless stateless
check manuals manuals
check manual_links links_lead

# ------------------------------------------------------------ as it is installed
at=$work/at/usr
pc() { PKG_CONFIG_PATH=$at/lib/pkgconfig pkg-config --define-prefix "$@" libmshare; }
check install make -s -C lib install O="$plain" DESTDIR="$work/at" prefix=/usr
# Built before for another place.
check pkg_config [ "$(pc --variable=prefix)" = "$at" ]
echo '#include <mshare.h>
int main(void) { return mshare_probe() == 0; }' >"$work/user.c"
cat >"$work/both.c" <<'END'
#include <linux/types.h>
#include <mshare/msharefs.h>
#include <sys/mman.h>
#include <mshare.h>
int use(struct mshare_region *r, struct mshare_stat *s, struct mshare_info *i);
int use(struct mshare_region *r, struct mshare_stat *s, struct mshare_info *i)
{
	return mshare_stat(r, s) + mshare_info(r, i) + mshare("x", 0, 1, 2, 3);
}
END
# Flags are several words.
# shellcheck disable=SC2046,SC2086
links() { gcc -Wall -Wextra -Werror "$work/user.c" -o "$work/$1" $(pc --cflags) $2; }
# shellcheck disable=SC2046
compiles() {
	"$1" -x "$2" "-std=$3" -Wall -Wextra -pedantic -Werror -fsyntax-only \
		$(pc --cflags) "$work/both.c"
}
check installed_manual [ -f "$at/share/man/man3/mshare_unlink.3" ]
check shared links shared "$(pc --libs)"
check shared_runs env LD_LIBRARY_PATH="$at/lib" "$work/shared"
check static links static "$at/lib/libmshare.a"
check static_runs "$work/static"
for standard in c99 gnu99 c11 gnu17; do
	check "header.$standard" compiles gcc c "$standard"
done
for standard in c++11 c++17 gnu++20; do
	check "header.$standard" compiles g++ c++ "$standard"
done
finish
