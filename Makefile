# SPDX-License-Identifier: GPL-2.0
# For those who type make: everything is a verb of ./run.
VERBS := demo test bench vm kernel userland series edit export deb lint clean help

.PHONY: all $(VERBS)
all: kernel
$(VERBS):
	./run $@
