# SPDX-License-Identifier: GPL-2.0
# What the Makefiles of lib, tool and their tests have in common, and, as a file
# of its own, what builds and installs all of them.
.DEFAULT_GOAL := all

top := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
O ?= $(top)build/userland

prefix ?= /usr/local
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
bashdir ?= $(prefix)/share/bash-completion/completions
zshdir ?= $(prefix)/share/zsh/vendor-completions

CFLAGS ?= -O2 -g -Werror
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)
# Debian's hardening, unless the sanitizers are to see it all.
harden := $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
cflags := -std=gnu11 -Wall -Wextra $(harden) $(sanitize) $(CPPFLAGS) $(CFLAGS) \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I$(O)/include -I$(top)lib
ldflags := $(sanitize) $(LDFLAGS) -Wl,-z,relro,-z,now

# The kernel's header as it is installed, where programs need no kernel headers
# that know mshare. Its guard is that of linux/msharefs.h: both can be included.
uapi := $(O)/include/mshare/msharefs.h
$(uapi): $(top)kernel/new/include/uapi/linux/msharefs.h
	mkdir -p $(dir $@)
	sed 's/_UAPI_LINUX_/_LINUX_/' $< >$@

ifeq ($(abspath $(firstword $(MAKEFILE_LIST))),$(top)userland.mk)
parts := lib preload tool
all install:
	for part in $(parts); do $(MAKE) -C $(top)$$part $@ || exit 1; done
.PHONY: all install
endif
