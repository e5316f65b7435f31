// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmshare-preload: which bytes of its windows the program has */
#include <stdatomic.h>

#include "preload.h"

static struct piece pieces[PRELOAD_PIECES];

/*
 * All pieces that there ever were are between these. They only move apart, so
 * that programs that map and unmap much, but nothing of this, take no lock.
 */
static _Atomic uintptr_t low = UINTPTR_MAX, high;

static struct piece *unused(void)
{
	for (int i = 0; i < PRELOAD_PIECES; i++)
		if (pieces[i].start == pieces[i].end)
			return &pieces[i];
	return NULL;
}

static bool overlaps(const struct piece *p, uintptr_t start, uintptr_t end)
{
	return p->start < p->end && p->start < end && start < p->end;
}

bool table_insert(uintptr_t start, uintptr_t end, uintptr_t real)
{
	struct piece *p = unused();

	if (!p)
		return false;
	if (start < low)
		low = start;
	if (end > high)
		high = end;
	*p = (struct piece){ start, end, real };
	return true;
}

/*
 * Where the middle of a piece goes and the table is full, the program keeps
 * what is after it: unmapped later than asked for, but not too early.
 */
static void cut(struct piece *p, uintptr_t start, uintptr_t end)
{
	if (start <= p->start && end >= p->end)
		*p = (struct piece){ };
	else if (start <= p->start)
		p->start = end;
	else if (end >= p->end || table_insert(end, p->end, p->real))
		p->end = start;
}

void table_cut(uintptr_t start, uintptr_t end)
{
	for (int i = 0; i < PRELOAD_PIECES; i++)
		if (overlaps(&pieces[i], start, end))
			cut(&pieces[i], start, end);
}

const struct piece *table_within(uintptr_t start, uintptr_t end)
{
	for (int i = 0; i < PRELOAD_PIECES; i++)
		if (overlaps(&pieces[i], start, end))
			return &pieces[i];
	return NULL;
}

const struct piece *table_find(uintptr_t at)
{
	return table_within(at, at + 1);
}

bool table_has(uintptr_t start, uintptr_t end)
{
	return table_within(start, end);
}

/* Any of the pieces that stand for an attachment. */
const struct piece *table_of(uintptr_t real)
{
	for (int i = 0; i < PRELOAD_PIECES; i++)
		if (pieces[i].start < pieces[i].end && pieces[i].real == real)
			return &pieces[i];
	return NULL;
}

bool table_may_have(uintptr_t start, uintptr_t end)
{
	return start < high && low < end;
}
