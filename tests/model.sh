#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# How a flush of a region reaches the processes, in a model that tries all that
# CPUs can do at the same time: see tests/model/model.c. Prints TAP.
set -u
suite=model
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
out=$PWD/build/model

# Not the program of a build before, when this one fails.
mkdir -p "$out"
rm -f "$out/model"
check builds gcc -O2 -Wall -Wextra -Werror -o "$out/model" tests/model/*.c
cmocka flush "$out/model"
finish
