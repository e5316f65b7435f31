// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libmshare-preload: the lock of the table
 *
 * A signal handler that maps memory must not find it held by the thread that it
 * interrupted, and a child of fork(2) not by a thread that it does not have.
 */
#include <pthread.h>
#include <signal.h>

#include "preload.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t before;		/* of the thread that has the lock */

void preload_lock(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_mutex_lock(&mutex);
	before = old;
}

void preload_unlock(void)
{
	sigset_t old = before;

	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void preload_lock_init(void)
{
	pthread_atfork(preload_lock, preload_unlock, preload_unlock);
}
