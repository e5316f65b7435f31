# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
# What all scripts share. A script sets me, its name in messages, before it calls
# one of these functions; and die_status, where its failures are not status 1.

die() { echo "mshare: $me: $*" >&2; exit "${die_status:-1}"; }
complain() { echo "mshare: $me: $*" >&2; }
say() { echo "$me: $*"; }

# usage_error WORDS: a wrong command line has a status of its own in scripts whose
# other failures are status 1.
usage_error() { die_status=2; die "$@"; }
