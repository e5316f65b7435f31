# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts beside it share. Expects $top and $me, and reads which kernel it
# is about.
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/supported.sh
. "$top/scripts/supported.sh"
read_supported

# version_of DIR: the version of the kernel source in DIR.
version_of() {
	awk '
		$1 == "VERSION" && $2 == "=" { v = $3 }
		$1 == "PATCHLEVEL" && $2 == "=" { p = $3 }
		$1 == "SUBLEVEL" && $2 == "=" { s = $3 }
		v != "" && p != "" && s != "" { print v "." p "." s; exit }
	' "$1/Makefile"
}

# check_version DIR: sets version to that of DIR, and dies if it is of another
# series.
check_version() {
	version=$(version_of "$1")
	case $version in
	$series.*) ;;
	*) die "$tarball has Linux $version, and not $series" ;;
	esac
}

# config_files FLAVOUR: what its configuration is made of. A later file overrides
# an earlier one; the last one, of the series alone, is for options that another
# kernel does not have.
config_files() {
	echo "$top/kernel/config/base $top/kernel/config/$1"
	[ ! -f "$top/kernel/config/$series" ] || echo "$top/kernel/config/$series"
}

# list_hooks: the file names in the series, in order.
list_hooks() {
	[ ! -f "$patches/series" ] ||
		sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$patches/series"
}

# touched PATCH: names of the files that it changes, adds or removes.
touched() {
	sed -n 's,^\(---\|+++\) [ab]/\([^[:space:]]*\).*,\2,p' "$1" | sort -u
}

# list_new: the files of kernel/new.
list_new() {
	[ ! -d "$top/kernel/new" ] ||
		(cd "$top/kernel/new" && find . -type f '(' ! -name '.*' -o -name .gitignore ')' |
			sed 's|^\./||' | LC_ALL=C sort)
}

# changed_lines PATCH: added and removed lines.
changed_lines() {
	# The head of a mail can hold lines that start with a dash.
	awk '/^diff --git/ { body = 1; next }
	     /^-- $/ { body = 0 }
	     body && (/^\+/ || /^-/) && !/^(\+\+\+|---) / { n++ }
	     END { print n + 0 }' "$1"
}

# checkpatch ARGS: its findings and status; files by their full names, because it
# leaves a cache where it runs. What it says on stderr comes from a helper that
# checks SPDX lines; scripts/lint.sh does that.
checkpatch() {
	(cd "$build" && GIT_DIR=/nonexistent perl "$src/scripts/checkpatch.pl" \
		--root="$src" --strict --no-summary --quiet --terse --show-types \
		"$@" 2>/dev/null)
}

# No advice for programs in user space: helpers and rules of the kernel, and
# what the macros of kselftest_harness.h need (braces) or look like.
not_for_programs=VOLATILE,PREFER_DEFINED_ATTRIBUTE_MACRO,ENOSYS,BIT_MACRO,CAMELCASE
not_for_programs=$not_for_programs,INCLUDE_LINUX,ARCH_INCLUDE_LINUX,EMBEDDED_FUNCTION_NAME
not_for_programs=$not_for_programs,BRACES,MULTISTATEMENT_MACRO_USE_DO_WHILE,MACRO_ARG_REUSE
not_for_programs=$not_for_programs,SINGLE_STATEMENT_DO_WHILE_MACRO,STATIC_CONST_CHAR_ARRAY
not_for_programs=$not_for_programs,REPEATED_WORD,PREFER_KERNEL_TYPES,ARRAY_SIZE,STRNCPY
# The arguments of functions that a macro declares have no names.
not_for_programs=$not_for_programs,FUNCTION_ARGUMENTS
# It takes FIXTURE_DATA(x) *self for a product, and knows printk but not TH_LOG.
not_for_programs=$not_for_programs,SPACING,LONG_LINE_STRING,ARRAY_SIZE,STRNCPY

# Trace events have a layout of their own.
# shellcheck disable=SC2034 # for those that read this file
not_for_traces=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT

# An identity for trees that nobody mails from as they are.
set_identity() {
	git config user.name >/dev/null 2>&1 || git config user.name mshare
	git config user.email >/dev/null 2>&1 || git config user.email mshare@localhost
	git config commit.gpgsign false
	git config core.hooksPath /dev/null
}
