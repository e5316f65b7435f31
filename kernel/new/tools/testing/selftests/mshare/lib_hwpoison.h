/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes at a region with a page that has an error, and what they are told.
 */
#ifndef MSHARE_LIB_HWPOISON_H
#define MSHARE_LIB_HWPOISON_H

#define BAD	5UL		/* the page with the error */
#define BUS_AR	PROBE(SIGBUS, BUS_MCEERR_AR)

/* The last SIGBUS, and how many there were. */
static struct {
	volatile int count, code, lsb;
	volatile long addr;
} bus;

static inline void bus_signal(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	bus.count++;
	bus.code = si->si_code;
	bus.addr = L(si->si_addr);
	bus.lsb = si->si_addr_lsb;
}

/* For peers: note a SIGBUS that comes meanwhile; a[0]: to be told early. */
static inline long op_expect(const long *a)
{
	struct sigaction sa = { .sa_sigaction = bus_signal,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	if (sigaction(SIGBUS, &sa, NULL) ||
	    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, a[0] ? PR_MCE_KILL_EARLY :
		  PR_MCE_KILL_LATE, 0, 0))
		return -errno;
	return 0;
}

enum { COUNT, CODE, ADDR, LSB };

static inline long op_bus(const long *a)
{
	switch (a[0]) {
	case COUNT:
		return bus.count;
	case CODE:
		return bus.code;
	case ADDR:
		return bus.addr;
	default:
		return bus.lsb;
	}
}

/* A peer with @units of the region from @from on; where page BAD is for it. */
static inline struct peer attached(struct __test_metadata *_metadata,
				   size_t unit, unsigned int from,
				   unsigned int units, long *at)
{
	/* Each elsewhere. */
	static unsigned long place = 1UL << 45;
	struct peer p = peer_start(_metadata);
	long fd = peer_open(&p, MS_DIR "/a", O_RDWR);

	ASSERT_LE(0, fd);
	place += 4 * unit;
	ASSERT_EQ(L(place), peer_mmap(&p, place, units * unit, RW, fd,
				      from * unit));
	if (at)
		*at = place + BAD * PAGE;
	return p;
}

#define TOLD(p, field)	peer_call(p, op_bus, field)

#endif
