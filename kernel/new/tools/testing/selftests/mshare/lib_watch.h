/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watchers: processes that look at one word all the time and make no system
 * call, so that nothing but a flush takes an old translation from their CPU.
 * What they see is the word, or PROBE() of the signal that they got. Meanwhile
 * somebody changes it: watch_begin() before, watch_end() when it is done.
 */
#ifndef MSHARE_LIB_WATCH_H
#define MSHARE_LIB_WATCH_H

#include "lib.h"

#define WATCHERS 3

struct watch {
	unsigned long turn;	/* odd: being changed */
	uint64_t is;		/* what must be seen */
	uint64_t next;		/* may be seen while it is being changed */
	int stop;
	struct watcher {
		unsigned long looks;
		unsigned long wrong;
		uint64_t last;		/* wrong one */
	} by[WATCHERS];
};

struct watch *watch_new(uint64_t is);
void watch_begin(struct watch *w, uint64_t next);
void watch_end(struct watch *w);
void watch_cancel(struct watch *w);
bool watch_wait(struct watch *w, unsigned int n, unsigned long looks);
long op_watch(const long *a);

/* Rounds of a race: as many as asked for, but no more after half a minute. */
bool another_round(unsigned int round, unsigned int rounds);

#endif
