// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the frequency of the time stamp counter in kHz. The emulated machine
 * has the counter of the host, and what it finds when it measures it itself is
 * wrong by factors when the host is busy: its clock would run fast, and its time
 * limits with it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Both clocks at one moment: the reading that was disturbed least. */
static void read_both(uint64_t *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc();
		uint64_t t = now();
		uint64_t after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ns = t;
			*ticks = before + best / 2;
		}
	}
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t ns0, ticks0, ns1, ticks1;

	read_both(&ns0, &ticks0);
	nanosleep(&pause, NULL);
	read_both(&ns1, &ticks1);
	printf("%llu\n", (unsigned long long)((ticks1 - ticks0) * 1000000 / (ns1 - ns0)));
	return 0;
}
