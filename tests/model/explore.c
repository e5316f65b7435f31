// SPDX-License-Identifier: GPL-2.0
/*
 * All that can happen, from one beginning, breadth first: what is wrong is found
 * in as few moves as possible. Every state is kept as it is, and two are the same
 * only if they are so in every byte.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model.h"

#define MAX_STATES	(4U << 20)
#define MAX_BYTES	(700UL << 20)
#define NR_BUCKETS	(8U << 20)

/* How a state was reached. */
struct origin {
	uint32_t from;
	u8 cpu;
	u8 move;
};

const struct scenario *scenario;
bool tracing;

static u8 *states;
static struct origin *origins;
/* Numbers of states, + 1. */
static uint32_t *buckets;
static size_t size;
static uint32_t nr_states;

/* ---------------------------------------------------------------- states */

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return p;
}

static const u8 *state_at(uint32_t i)
{
	return states + i * size;
}

static uint32_t hash(const u8 *state)
{
	uint64_t h = 0, word;
	size_t i, len;

	for (i = 0; i < size; i += len) {
		len = size - i < sizeof(word) ? size - i : sizeof(word);
		word = 0;
		memcpy(&word, state + i, len);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	return (h >> 20) % NR_BUCKETS;
}

/* Forget the states of the scenario before. */
static void start_over(void)
{
	uint32_t i, bucket;

	if (!states) {
		states = reserve(MAX_BYTES);
		origins = reserve(MAX_STATES * sizeof(*origins));
		buckets = reserve(NR_BUCKETS * sizeof(*buckets));
	}
	for (i = 0; i < nr_states; i++) {
		bucket = hash(state_at(i));
		while (buckets[bucket] != i + 1)
			bucket = (bucket + 1) % NR_BUCKETS;
		buckets[bucket] = 0;
	}
	nr_states = 0;
	size = offsetof(struct state, cpu) +
	       scenario->cpus * sizeof(struct cpu);
}

/* Keep the present state unless it is known. */
static void keep(struct origin origin)
{
	uint32_t i = hash((u8 *)now);

	for (; buckets[i]; i = (i + 1) % NR_BUCKETS)
		if (!memcmp(state_at(buckets[i] - 1), now, size))
			return;
	if (nr_states == MAX_STATES || (nr_states + 1) * size > MAX_BYTES) {
		fprintf(stderr, "%s: too many states\n", scenario->name);
		exit(2);
	}
	memcpy(states + nr_states * size, now, size);
	origins[nr_states++] = origin;
	buckets[i] = nr_states;
}

/* ------------------------------------------------------------ the search */

/* Make all moves that are possible. Return whether there was one. */
static bool go_on(struct state *state, uint32_t from)
{
	struct state next;
	bool any = false;
	u8 cpu, move;

	for (cpu = 0; cpu < scenario->cpus; cpu++) {
		for (move = 0; move < NR_MOVES; move++) {
			now = state;
			if (!possible(&now->cpu[cpu], move))
				continue;
			memcpy(&next, state, size);
			now = &next;
			if (!make_move(&next.cpu[cpu], move))
				continue;
			keep((struct origin){ from, cpu, move });
			any = true;
		}
	}
	now = state;
	return any;
}

static uint32_t depth_of(uint32_t i)
{
	uint32_t depth = 0;

	for (; i; i = origins[i].from)
		depth++;
	return depth;
}

/**
 * explore - try all there is
 * @what: the scenario
 * @result: out: what was found until all was tried, or something was wrong
 */
void explore(const struct scenario *what, struct result *result)
{
	struct state state;
	uint32_t i;

	scenario = what;
	start_over();
	begin(&state);
	keep((struct origin){ 0, 0, 0 });
	result->why = NULL;
	for (i = 0; i < nr_states && !result->why; i++) {
		memcpy(&state, state_at(i), size);
		now = &state;
		result->why = wrong();
		if (!result->why && !go_on(&state, i) && !ended())
			result->why = "all wait for each other";
	}
	result->last = i - 1;
	result->states = nr_states;
	result->depth = depth_of(result->last);
}

/* ---------------------------------------------------------------- traces */

#define WIDTH	42

/* What each CPU was in when it was last told of. */
static const char *functions[MAX_CPUS];

void tell(const struct cpu *cpu, const char *function, const char *format, ...)
{
	int column = id(cpu) * WIDTH;
	va_list args;

	if (function && function != functions[id(cpu)])
		printf("# %*s%s()\n", column, "", function);
	if (function)
		functions[id(cpu)] = function;
	printf("# %*s  ", column, "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/**
 * print_trace - how the last state that was looked at was reached
 * @result: from explore()
 *
 * There is a column for each CPU. A line is an access, or the moment in which
 * a store reaches memory.
 */
void print_trace(const struct result *result)
{
	struct origin *path = calloc(result->depth + 1, sizeof(*path));
	uint32_t i, at = result->last;
	struct state state;
	int cpu;

	for (i = result->depth; i > 0; i--) {
		path[i] = origins[at];
		at = origins[at].from;
	}
	printf("#");
	for (cpu = 0; cpu < scenario->cpus; cpu++)
		printf(" CPU %-*d", WIDTH - 5, cpu);
	printf("\n");
	memset(functions, 0, sizeof(functions));
	begin(&state);
	tracing = true;
	for (i = 1; i <= result->depth; i++)
		make_move(&state.cpu[path[i].cpu], path[i].move);
	tracing = false;
	printf("# %s\n", result->why);
	free(path);
}
