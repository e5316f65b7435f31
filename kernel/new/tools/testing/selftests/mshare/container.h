/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is mapped into a region: the ioctls as functions that return 0 or
 * -errno, objects to map, and processes that watch one word of a window.
 */
#ifndef MSHARE_CONTAINER_H
#define MSHARE_CONTAINER_H

#include <linux/mman.h>
#include <sys/ioctl.h>
#include <time.h>

#define RW		(PROT_READ | PROT_WRITE)
#define RX		(PROT_READ | PROT_EXEC)
#define RWX		(PROT_READ | PROT_WRITE | PROT_EXEC)
#define KIB		(1UL << 10)
#define MIB		(1UL << 20)
#define HUGE		(2 * MIB)

#define FIXED		(MAP_SHARED | MAP_FIXED)
#define NOREPLACE	(MAP_SHARED | MAP_FIXED_NOREPLACE)
#define ANON		(FIXED | MAP_ANONYMOUS)

static inline int region_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret == -1 ? -errno : ret;
}

static inline int region_map(int fd, uint64_t at, uint64_t size, int prot,
			     int flags, int object, uint64_t object_offset)
{
	struct mshare_create arg = {
		.region_offset = at,
		.size = size,
		.offset = object_offset,
		.prot = prot,
		.flags = flags,
		.fd = object,
	};

	return region_ioctl(fd, MSHAREFS_CREATE_MAPPING, &arg);
}

/* Anonymous memory, readable and writable. */
static inline int region_anon(int fd, uint64_t at, uint64_t size)
{
	return region_map(fd, at, size, RW, ANON, -1, 0);
}

static inline int region_unmap(int fd, uint64_t at, uint64_t size)
{
	struct mshare_unmap arg = { .region_offset = at, .size = size };

	return region_ioctl(fd, MSHAREFS_UNMAP, &arg);
}

static inline int region_protect(int fd, uint64_t at, uint64_t size, int prot)
{
	struct mshare_protect arg = {
		.region_offset = at,
		.size = size,
		.prot = prot,
	};

	return region_ioctl(fd, MSHAREFS_PROTECT, &arg);
}

static inline int region_advise(int fd, uint64_t at, uint64_t size, int advice)
{
	struct mshare_advise arg = {
		.region_offset = at,
		.size = size,
		.advice = advice,
	};

	return region_ioctl(fd, MSHAREFS_ADVISE, &arg);
}

static inline int region_lock(int fd, uint64_t at, uint64_t size, int op,
			      int flags)
{
	struct mshare_lock arg = {
		.region_offset = at,
		.size = size,
		.op = op,
		.flags = flags,
	};

	return region_ioctl(fd, MSHAREFS_LOCK, &arg);
}

/* Nothing is as it should be when that fails. */
static inline struct mshare_stat region_stat(int fd)
{
	struct mshare_stat st;

	if (region_ioctl(fd, MSHAREFS_STAT, &st))
		memset(&st, 0xff, sizeof(st));
	return st;
}

/* Blocks that are in use in the mount that @path is in. */
static inline long used_blocks(const char *path)
{
	struct statfs sf;

	return statfs(path, &sf) ? -1 : (long)(sf.f_blocks - sf.f_bfree);
}

static inline long used_inodes(const char *path)
{
	struct statfs sf;

	return statfs(path, &sf) ? -1 : (long)(sf.f_files - sf.f_ffree);
}

/* Blocks that a region uses beside its memory: page tables and mappings. */
static inline long overhead_blocks(int fd)
{
	struct mshare_stat st = region_stat(fd);

	return st.page_tables / PAGE + st.mappings / 2;
}

/*
 * Tables that hold nothing are freed a little later than the last process has
 * detached. Waits until @want bytes are left; returns how many there are then.
 */
static inline long tables_settle(int fd, long want)
{
	for (int i = 0; i < 100 && L(region_stat(fd).page_tables) > want; i++)
		usleep(100000);
	return region_stat(fd).page_tables;
}

static inline long used_settle(const char *path, long want)
{
	for (int i = 0; i < 100 && used_blocks(path) > want; i++)
		usleep(100000);
	return used_blocks(path);
}

static inline int region_next(int fd, uint64_t from, struct mshare_mapping *m)
{
	memset(m, 0, sizeof(*m));
	m->offset = from;
	return region_ioctl(fd, MSHAREFS_NEXT_MAPPING, m);
}

/* What the mappings from @from to @to have in sum, and how many there are. */
static inline uint64_t region_mapped(int fd, uint64_t from, uint64_t to,
				     unsigned int *count)
{
	struct mshare_mapping m;
	uint64_t sum = 0, at, end;

	if (count)
		*count = 0;
	for (at = from; at < to && !region_next(fd, at, &m); at = end) {
		end = m.offset + m.size;
		/* No progress: whoever asked gets what cannot be true. */
		if (end <= at)
			return ~0ull;
		if (m.offset >= to)
			break;
		sum += (end < to ? end : to) -
		       (m.offset > from ? m.offset : from);
		if (count)
			++*count;
	}
	return sum;
}

/* A container: a region with a size and nothing in it. */
static inline int ms_container(struct __test_metadata *_metadata,
			       const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	ASSERT_EQ(0, ftruncate(fd, size)) TH_LOG("%s: %s", path,
						 strerror(errno));
	return fd;
}

/*
 * For peers: a container a[0] of a[1] bytes and mode a[2], filled with anonymous
 * memory that is not reserved; its window, or -errno.
 */
static inline long op_sparse(const long *a)
{
	int fd = open((char *)a[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		      0600);
	char *base;
	int err;

	if (fd < 0 || fchmod(fd, a[2]) || ftruncate(fd, a[1]))
		return -errno;
	err = region_map(fd, 0, a[1], RW, ANON | MAP_NORESERVE, -1, 0);
	if (err)
		return err;
	base = ms_map(fd, a[1], RW);
	close(fd);
	return base == MAP_FAILED ? -errno : L(base);
}

/* A test with one container of four units and a window of the whole of it. */
#define UNITS 4

#define CONTAINER_FIXTURE(name)						\
	FIXTURE(name) {							\
		size_t unit, size;					\
		char *base;						\
		int fd;							\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		self->unit = ms_setup(_metadata, NULL);			\
		self->size = UNITS * self->unit;			\
		if (self->unit) {					\
			self->fd = ms_container(_metadata, MS_DIR "/a",	\
						self->size);		\
			self->base = ms_map(self->fd, self->size, RW);	\
			ASSERT_NE(MAP_FAILED, self->base);		\
		}							\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
	}

/*
 * A container of @size, MS_DIR "/a", with a window of all of it here and, at
 * @other, in a peer.
 */
static inline char *ms_container_pair(struct __test_metadata *_metadata,
				      size_t size, int *fd, struct peer *p,
				      long *other)
{
	char *base;

	*p = peer_start(_metadata);
	*fd = ms_container(_metadata, MS_DIR "/a", size);
	base = ms_map(*fd, size, RW);
	ASSERT_NE(MAP_FAILED, base);
	*other = peer_attach(p, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, *other);
	return base;
}

/* Writes fill()'s patterns into a file, page by page. */
static inline int file_fill(int fd, unsigned int region, unsigned long pages)
{
	static uint64_t page[PAGE / 8];

	for (unsigned long i = 0; i < pages; i++) {
		for (unsigned int at = 0; at < ARRAY_SIZE(page); at++)
			page[at] = pattern(region, i);
		if (pwrite(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -errno;
	}
	return 0;
}

/* The first word of a page of a file, by read(2). */
static inline uint64_t file_load(int fd, unsigned long page)
{
	uint64_t val = 0;

	if (pread(fd, &val, sizeof(val), page * PAGE) != sizeof(val))
		return ~0ull;
	return val;
}

/* A memfd whose pages hold what fill() would write. */
static inline int ms_memfd(struct __test_metadata *_metadata,
			   unsigned int region, unsigned long pages)
{
	int fd = memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, file_fill(fd, region, pages));
	return fd;
}

/* The same file, opened once more in another mode. */
static inline int reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* Two probes in one number: whether @at can be read, and written. */
#define CAN(read, write)	((read) << 16 | (write))

/* Changes nothing: writes what is there. */
static inline int access_of(volatile void *at)
{
	uint64_t val = 0;
	int r = probe_read(at, &val);

	return CAN(r, probe_write(at, val));
}

static inline long op_access(const long *a)
{
	return access_of((void *)a[0]);
}

/*
 * Watchers: processes that look at one word all the time and make no system
 * call, so that nothing but a flush takes an old translation from their CPU.
 * What they see is the word, or PROBE() of the signal that they got. Meanwhile
 * somebody changes it: watch_begin() before, watch_end() when it is done.
 */
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

static inline struct watch *watch_new(uint64_t is)
{
	struct watch *w = mmap(NULL, sizeof(*w), RW, MAP_SHARED |
			       MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	w->is = is;
	/* The watchers have the other CPUs for themselves. */
	pin(0);
	return w;
}

static inline void watch_begin(struct watch *w, uint64_t next)
{
	w->next = next;
	__atomic_add_fetch(&w->turn, 1, __ATOMIC_SEQ_CST);
}

static inline void watch_end(struct watch *w)
{
	w->is = w->next;
	__atomic_add_fetch(&w->turn, 1, __ATOMIC_SEQ_CST);
}

/* The same with a change that failed. */
static inline void watch_cancel(struct watch *w)
{
	w->next = w->is;
	watch_end(w);
}

/* For peers: a[0] is where to look, a[1] the watch, a[2] the watcher. */
static inline long op_watch(const long *a)
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

/*
 * WATCHERS new processes look at @off of MS_DIR "/a", each in its own window of
 * a file that is open with @flags.
 */
static inline void watchers_open(struct __test_metadata *_metadata,
				 struct watch *w, struct peer *p, size_t off,
				 int flags)
{
	long base;

	for (unsigned int i = 0; i < WATCHERS; i++) {
		p[i] = peer_start(_metadata);
		base = peer_attach(&p[i], MS_DIR "/a", flags, PROT_READ);
		ASSERT_LT(0, base);
		peer_begin(&p[i], op_watch,
			   (long[PEER_ARGS]){ base + off, L(w), i });
	}
}

/* These bring in memory that nobody has written yet, and see zeros there. */
static inline void watchers_start(struct __test_metadata *_metadata,
				  struct watch *w, struct peer *p, size_t off)
{
	watchers_open(_metadata, w, p, off, O_RDWR);
}

/* Rounds of a race: @rounds, but no more after half a minute. */
static inline bool another_round(unsigned int round, unsigned int rounds)
{
	static time_t end;

	if (!round)
		end = time(NULL) + 30;
	return round < rounds && time(NULL) < end;
}

/* Until each of @n watchers has looked @looks times more. */
static inline bool watch_wait(struct watch *w, unsigned int n,
			      unsigned long looks)
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

/* Ends them: none has seen what must not be. */
static inline void watchers_stop(struct __test_metadata *_metadata,
				 struct watch *w, struct peer *p)
{
	w->stop = 1;
	for (unsigned int i = 0; i < WATCHERS; i++) {
		EXPECT_EQ(0, peer_end(&p[i]));
		EXPECT_EQ(0, w->by[i].wrong) {
			TH_LOG("watcher %u: of %lu, last %#llx", i,
			       w->by[i].looks,
			       (unsigned long long)w->by[i].last);
		}
		EXPECT_EQ(0, peer_stop(&p[i]));
	}
}

/* Runs a program; its exit status, or 128 + the signal that killed it. */
static inline int run_program(const char *const *argv)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		dup2(null, 0);
		dup2(null, 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(null);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

#endif
