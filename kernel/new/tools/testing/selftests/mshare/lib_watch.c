// SPDX-License-Identifier: GPL-2.0
/* Processes that look at one word all the time, see lib_watch.h. */
#include "lib_region.h"
#include "lib_watch.h"

struct watch *watch_new(uint64_t is)
{
	struct watch *w = mmap(NULL, sizeof(*w), RW, MAP_SHARED |
			       MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	w->is = is;
	/* The watchers have the other CPUs for themselves. */
	pin(0);
	return w;
}

void watch_begin(struct watch *w, uint64_t next)
{
	w->next = next;
	__atomic_add_fetch(&w->turn, 1, __ATOMIC_SEQ_CST);
}

void watch_end(struct watch *w)
{
	w->is = w->next;
	__atomic_add_fetch(&w->turn, 1, __ATOMIC_SEQ_CST);
}

/* The same with a change that failed. */
void watch_cancel(struct watch *w)
{
	w->next = w->is;
	watch_end(w);
}

/* For peers: a[0] is where to look, a[1] the watch, a[2] the watcher. */
long op_watch(const long *a)
{
	struct sigaction sa = { .sa_sigaction = probe_signal,
				.sa_flags = SA_SIGINFO | SA_NODEFER };
	const volatile void *at = (void *)a[0];
	struct watch *w = (void *)a[1];
	struct watcher *by = &w->by[a[2]];
	volatile unsigned long turn;
	volatile uint64_t is, next, seen;

	pin(1 + a[2]);
	probe_catch(at);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		turn = __atomic_load_n(&w->turn, __ATOMIC_SEQ_CST);
		is = __atomic_load_n(&w->is, __ATOMIC_SEQ_CST);
		next = __atomic_load_n(&w->next, __ATOMIC_SEQ_CST);
		/* Without the signal mask, which takes a system call. */
		if (!sigsetjmp(probe_env, 0))
			seen = load(at);
		else
			seen = probe_result;
		if (__atomic_load_n(&w->turn, __ATOMIC_SEQ_CST) == turn &&
		    seen != is && (!(turn & 1) || seen != next)) {
			by->wrong++;
			by->last = seen;
		}
		__atomic_add_fetch(&by->looks, 1, __ATOMIC_RELEASE);
	}
	probe_done();
	return 0;
}

/* Rounds of a race: @rounds, but no more after half a minute. */
bool another_round(unsigned int round, unsigned int rounds)
{
	static time_t end;

	if (!round)
		end = time(NULL) + 30;
	return round < rounds && time(NULL) < end;
}

/* Until each of @n watchers has looked @looks times more. */
bool watch_wait(struct watch *w, unsigned int n, unsigned long looks)
{
	time_t limit = time(NULL) + 60;
	unsigned long until[WATCHERS];

	for (unsigned int i = 0; i < n; i++)
		until[i] = looks + __atomic_load_n(&w->by[i].looks,
						   __ATOMIC_ACQUIRE);
	for (unsigned int i = 0; i < n;) {
		if (__atomic_load_n(&w->by[i].looks, __ATOMIC_ACQUIRE) >=
		    until[i]) {
			i++;
			continue;
		}
		if (time(NULL) > limit)
			return false;
		usleep(1000);
	}
	return true;
}
