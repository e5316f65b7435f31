/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the fuzzer share: fuzz.c chooses operations and watches over
 * the workers, fuzz_util.c draws numbers and checks, the others are operations.
 *
 * Workers are processes of two threads. Each thread does random operations, of
 * which the n-th depends on the seed, the thread's number and n only, whatever
 * became of those before.
 *
 * Regions and objects belong to families, by their names. Everybody writes the
 * family's byte into memory of a family, and nothing else is ever in there but
 * zeros and the byte of its read-only objects, however writes are torn: so one
 * byte tells that a page came from elsewhere. What is written where it must not
 * go through is POISON, which is no family's.
 */
#ifndef MSHARE_FUZZ_H
#define MSHARE_FUZZ_H

#include <pthread.h>
#include "lib_region.h"

/* Down. */
#define ALIGN(x, a)	((x) / (a) * (a))

#define TMP		"/mnt"
#define FAMILIES	4
#define POISON		0x77

/*
 * Code of the first family is called: a byte returns, its read-only byte does
 * nothing, and zeros add AL to where RAX points to. All others are not.
 */
#define CODE		0
extern const uint8_t byte_of[FAMILIES], ro_byte_of[FAMILIES];

/* Objects of a family; the files are opened by each worker on its own. */
enum object {
	OBJ_MEMFD, OBJ_TMPFS, OBJ_EXT4, OBJ_DAX, OBJ_HUGETLB,
	OBJ_ROOT,		/* on whatever has the root directory */
	OBJ_SEALED,		/* cannot be written any more */
	OBJ_READ_ONLY,		/* open for reading only */
	NR_OBJECTS
};

#define OBJECT_PAGES	1536	/* of each at most; 6 MiB */
#define RO_PAGES	64

/* Where the n-th operation of a thread is now, for those who look later. */
struct slot {
	pid_t pid;
	unsigned int op;
	int fail;
	uint64_t n;
};

#define MAX_THREADS	32
#define MAX_OPS		64

/**
 * struct shared - what all processes see
 * @seed: of everything
 * @unit: what mshare_info says
 * @stop: set when it is time to end
 * @bad: how often something was wrong
 * @fail: allocations may be made to fail
 * @children: how many there are of each thread
 * @object: file descriptors, -1 where this machine has none
 * @count: calls of each operation
 * @done: how many of them did what they wanted
 * @usec: how long they took
 * @slot: the threads
 */
struct shared {
	unsigned int seed;
	size_t unit;
	int stop;
	int bad;
	int fail;
	int children[MAX_THREADS];
	int object[FAMILIES][NR_OBJECTS];
	unsigned long count[MAX_OPS];
	unsigned long done[MAX_OPS];
	unsigned long usec[MAX_OPS];
	struct slot slot[MAX_THREADS];
};

/* A region file that a thread has open. */
struct rfd {
	int fd;			/* -1: none */
	int family;
	int mode;		/* O_RDONLY, O_WRONLY, O_RDWR, O_PATH */
};

/* One unit of a window. Those of one mmap(2) are neighbours. */
struct win {
	char *at;		/* NULL: none */
	uint8_t family;
	uint8_t prot;
	uint8_t max;		/* what mprotect(2) can give */
	bool covered;		/* by the other thread, with private memory */
};

#define NR_FDS		6
#define NR_WINS		12
#define AREA_UNITS	24

/**
 * struct fz - a thread
 * @sh: for all
 * @id: number of the thread
 * @depth: how many forks away from the worker
 * @n: number of the operation
 * @rng: drawn from
 * @op: what is being done, in words
 * @fail: an allocation of it is made to fail
 * @fd: files
 * @win: windows; other threads look at them without asking
 * @area: where windows at chosen addresses go; nothing else comes there
 * @other: the other thread of the process, NULL in a child
 * @scratch: a page of its own
 */
struct fz {
	struct shared *sh;
	int id;
	int depth;
	uint64_t n;
	uint64_t rng;
	const char *op;
	bool fail;
	struct rfd fd[NR_FDS];
	struct win win[NR_WINS];
	char *area;
	struct fz *other;
	char *scratch;
};

static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t rnd64(struct fz *f)
{
	f->rng += 0x9e3779b97f4a7c15ull;
	return mix(f->rng);
}

static inline unsigned int rnd(struct fz *f, unsigned int below)
{
	return (rnd64(f) >> 16) % below;
}

static inline bool one_in(struct fz *f, unsigned int n)
{
	return !rnd(f, n);
}

#define PICK(f, array)	((array)[rnd(f, ARRAY_SIZE(array))])

/* Not as it must be: says so, and ends all. */
__attribute__((noreturn, format(printf, 2, 3)))
void wrong(struct fz *f, const char *fmt, ...);

/* Accesses that may fail; each thread has its own. */
extern __thread sigjmp_buf access_env;
extern __thread volatile int access_armed, access_how;
extern __thread char *volatile access_at;

/*
 * Runs @code, which may end by a signal, as there is no telling what others do
 * to the region meanwhile. 0, or what the signal said.
 */
#define TRY(code) ({							\
	access_how = 0;							\
	if (!sigsetjmp(access_env, 0)) {				\
		access_armed = 1;					\
		__asm__ volatile("" : : : "memory");			\
		code;							\
		__asm__ volatile("" : : : "memory");			\
		access_armed = 0;					\
	}								\
	access_how; })

static inline uint64_t word_of(uint8_t byte)
{
	return byte * 0x0101010101010101ull;
}

/* What to write: the family's byte if it may be seen there, else POISON. */
static inline uint8_t byte_for(const struct win *w)
{
	return w->prot & PROT_WRITE ? byte_of[w->family] : POISON;
}

/*
 * Places of windows change under this lock: what another thread was told to
 * cover or protect must not have become something else.
 */
extern pthread_mutex_t layout;

/* Each returns whether it did what it wanted to do. */
typedef bool (*fuzz_fn)(struct fz *f);

struct fuzz_op {
	const char *name;
	unsigned int weight;
	fuzz_fn fn;
};

/* fuzz_util.c */
void catch_signals(void);
bool known_end(struct fz *f, int how);
void check_how(struct fz *f, int how, const char *from, size_t len);
void check_bytes(struct fz *f, int family, const void *buf, size_t len,
		 const void *from);
bool known_status(int status, bool fail);
unsigned int rnd_unit(struct fz *f);
uint64_t rnd_page(struct fz *f);
uint64_t rnd_nasty(struct fz *f);
uint64_t fit(struct fz *f, struct rfd *r, uint64_t at, uint64_t len);
void rnd_range(struct fz *f, struct rfd *r, __u64 *at, __u64 *size, bool brief);
int rnd_prot(struct fz *f, int family);
struct win *rnd_win(struct fz *f);
struct rfd *rnd_fd(struct fz *f);

/* fuzz.c */
void run_ops(struct fz *f, uint64_t from, uint64_t to);

/* Memory that a cgroup has little of: processes are killed there. */
#define SMALL		"mshare-fuzz"
#define SMALL_SIZE	(8 * MIB)

#define NR_MOUNTS	2
extern const char *const mount_point[NR_MOUNTS];

/* fuzz_fs.c: names, files and mounts */
void remove_names(const char *name);
bool do_open(struct fz *f);
bool do_close(struct fz *f);
bool do_unlink(struct fz *f);
bool do_rename(struct fz *f);
bool do_link(struct fz *f);
bool do_linkat(struct fz *f);
bool do_dir(struct fz *f);
bool do_readdir(struct fz *f);
bool do_resize(struct fz *f);
bool do_read_info(struct fz *f);
bool do_attributes(struct fz *f);
bool do_mount(struct fz *f);

/* fuzz_map.c: ioctls, and mapped objects */
bool object_constant(int object);
bool do_create_mapping(struct fz *f);
bool do_unmap_mapping(struct fz *f);
bool do_protect(struct fz *f);
bool do_advise(struct fz *f);
bool do_lock(struct fz *f);
bool do_stat(struct fz *f);
bool do_next(struct fz *f);
bool do_bad_ioctl(struct fz *f);
bool do_object(struct fz *f);
bool do_constant(struct fz *f);

/* fuzz_window.c: windows */
char *rnd_at(struct fz *f, struct win *w, size_t len);
char *rnd_word(struct fz *f, struct win *w);
bool do_mmap(struct fz *f);
bool do_munmap(struct fz *f);
bool do_mprotect(struct fz *f);
bool do_mremap(struct fz *f);
bool do_interfere(struct fz *f);
bool do_load(struct fz *f);
bool do_load_page(struct fz *f);
bool do_store(struct fz *f);
bool do_copy(struct fz *f);
bool do_call(struct fz *f);

/* fuzz_sys.c: system calls that reach into windows */
bool do_file_io(struct fz *f);
bool do_pipe(struct fz *f);
bool do_remote(struct fz *f);
bool do_spy(struct fz *f);
bool do_futex(struct fz *f);
bool do_uring(struct fz *f);
bool do_madvise(struct fz *f);
bool do_other_call(struct fz *f);
bool do_proc(struct fz *f);
bool do_pressure(struct fz *f);

/* fuzz_proc.c: processes */
bool do_fork(struct fz *f);
bool do_mrelease(struct fz *f);
bool do_lock_other(struct fz *f);
bool do_reader(struct fz *f);
bool do_mlockall(struct fz *f);
bool do_exit(struct fz *f);
bool do_kill(struct fz *f);
bool do_pause(struct fz *f);
bool do_swapoff(struct fz *f);

#endif
