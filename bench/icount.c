// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the time stamp counter counts instructions. Under qemu -icount
 * shift=0 virtual time goes on by one nanosecond per instruction, and the
 * counter shows nanoseconds.
 */
#include <limits.h>
#include <stdio.h>

#include "icount.h"

static u64 time_loop(u64 loops, bool wide)
{
	u64 t = ticks();

	if (wide)
		asm volatile("1: nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\ndec %0\njnz 1b"
			     : "+r" (loops) :: "cc");
	else
		asm volatile("1: dec %0\njnz 1b" : "+r" (loops) :: "cc");
	return ticks() - t;
}

/*
 * Two loops of a known number of instructions must show exactly that number,
 * give or take what reading the counter costs. No real clock passes both.
 * Returns what reading the counter twice shows.
 */
u64 check_clock(void)
{
	static const u64 loops = 100000;
	u64 narrow = ULONG_MAX, wide = ULONG_MAX, clock_cost = ULONG_MAX;

	for (int i = 0; i < 50; i++) {
		u64 t = ticks(), cost = ticks() - t;
		u64 n = time_loop(loops, false), w = time_loop(loops, true);

		clock_cost = cost < clock_cost ? cost : clock_cost;
		narrow = n < narrow ? n : narrow;
		wide = w < wide ? w : wide;
	}
	if (narrow < 2 * loops || narrow > 2 * loops + 100 ||
	    wide < 10 * loops || wide > 10 * loops + 100)
		die("no instruction counter: %lu show as %lu, %lu as %lu; use qemu -icount shift=0",
		    2 * loops, narrow, 10 * loops, wide);
	printf("clock: %lu instructions counted as %lu, %lu as %lu\n",
	       2 * loops, narrow, 10 * loops, wide);
	return clock_cost;
}
