/* SPDX-License-Identifier: GPL-2.0 */
/* A clock that counts instructions. */
#ifndef ICOUNT_H
#define ICOUNT_H

#include "bench.h"

static inline u64 ticks(void)
{
	unsigned int low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

u64 check_clock(void);

#endif
