// SPDX-License-Identifier: GPL-2.0
/*
 * A caller that waits for a region: it can be killed, and then has changed
 * nothing; a signal that does not kill makes it neither fail nor return early.
 *
 * What it waits for: a file system is frozen, a process stores into a mapped
 * file of it and holds what a fault holds, and another one wants to change the
 * mapping's protection and holds what that holds, until the thaw. These two
 * cannot be killed, as without mshare.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include <dirent.h>
#include <linux/fs.h>
#include <linux/mempolicy.h>
#include <poll.h>

#define TMP	"/mnt"
#define FILE_AT	(64 * PAGE)
#define NPAGES	16

FIXTURE(killed) {
	size_t unit;
	char *base;
	int fd;
	pid_t guard, fault, writer;
	int thaw;		/* written: the file system is thawed */
};

/* Thaws it when it is told to, or the test is gone: nothing would end. */
static void guard(int frozen, int until, pid_t test)
{
	struct pollfd p = { .fd = until, .events = POLLIN };

	while (getppid() == test && !poll(&p, 1, 100))
		;
	_exit(ioctl(frozen, FITHAW, 0) ? 1 : 0);
}

/* The state of a process as /proc has it; 0 when it is gone. */
static char state_of(pid_t pid)
{
	char path[40], text[300], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return 0;
	p = strrchr(text, ')');
	return p ? p[2] : 0;
}

/* Until it has been waiting for some time. */
static bool waits(pid_t pid)
{
	int seen = 0;

	for (int i = 0; i < 2000 && seen < 20; i++) {
		char state = state_of(pid);

		if (state == 'Z' || !state)
			return false;
		seen = state == 'D' || state == 'S' ? seen + 1 : 0;
		usleep(10000);
	}
	return seen == 20;
}

static int gone_within(pid_t pid, int *status, int seconds)
{
	for (int i = 0; i < seconds * 100; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return 0;
		usleep(10000);
	}
	return -1;
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

FIXTURE_SETUP(killed)
{
	const char *disk = getenv("MSHARE_DISK");
	const char *const mkfs[] = { "mkfs.ext4", "-q", "-F", disk, NULL };
	pid_t test = getpid();
	int file, dir, end[2];

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	ASSERT_NE(NULL, disk) TH_LOG("needs a disk in MSHARE_DISK");
	ASSERT_EQ(0, run_program(mkfs));
	mkdir(TMP, 0700);
	ASSERT_EQ(0, mount(disk, TMP, "ext4", 0, NULL));
	file = open(TMP "/file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, file_fill(file, 2, NPAGES));
	ASSERT_EQ(0, fsync(file));

	self->fd = ms_container(_metadata, MS_DIR "/a", 2 * self->unit);
	self->base = ms_map(self->fd, 2 * self->unit, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	ASSERT_EQ(0, region_anon(self->fd, 0, NPAGES * PAGE));
	fill(self->base, 1, NPAGES);
	ASSERT_EQ(0, region_map(self->fd, FILE_AT, NPAGES * PAGE, RW, FIXED,
				file, 0));
	close(file);
	EXPECT_EQ(0, damaged(self->base + FILE_AT, 2, NPAGES));

	dir = open(TMP, O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(0, pipe2(end, O_CLOEXEC));
	self->thaw = end[1];
	self->guard = fork();
	if (!self->guard)
		guard(dir, end[0], test);
	close(end[0]);
	ASSERT_EQ(0, ioctl(dir, FIFREEZE, 0));
	close(dir);

	self->fault = child();
	if (!self->fault)
		_exit(probe_write(self->base + FILE_AT, pattern(2, 0)));
	ASSERT_TRUE(waits(self->fault)) TH_LOG("a store does not wait");
	self->writer = child();
	if (!self->writer)
		_exit(-region_protect(self->fd, FILE_AT, NPAGES * PAGE,
				      PROT_READ));
	ASSERT_TRUE(waits(self->writer)) TH_LOG("PROTECT does not wait");
}

static void thaw(struct __test_metadata *_metadata, FIXTURE_DATA(killed) *self)
{
	int status = -1;

	if (self->thaw <= 0)
		return;
	EXPECT_EQ(1, write(self->thaw, "", 1));
	close(self->thaw);
	self->thaw = 0;
	EXPECT_EQ(self->guard, waitpid(self->guard, &status, 0));
	EXPECT_EQ(0, status);
}

FIXTURE_TEARDOWN(killed)
{
	thaw(_metadata, self);
	if (!self->base || self->base == MAP_FAILED)
		return;
	munmap(self->base, 2 * self->unit);
	close(self->fd);
	unlink(MS_DIR "/a");
	EXPECT_EQ(0, umount(TMP)) TH_LOG("%s", strerror(errno));
}

/* Those that wait end well, and all is as it was but what they did. */
static void finish(struct __test_metadata *_metadata,
		   FIXTURE_DATA(killed) *self)
{
	struct mshare_mapping m;
	int status = -1;

	thaw(_metadata, self);
	EXPECT_EQ(0, gone_within(self->fault, &status, 60));
	/* The store comes before the change, or after it. */
	EXPECT_TRUE(!status || WEXITSTATUS(status) == (ACCERR & 0xff));
	EXPECT_EQ(0, gone_within(self->writer, &status, 60));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, damaged(self->base, 1, NPAGES));
	EXPECT_EQ(0, damaged(self->base + FILE_AT, 2, NPAGES));
	EXPECT_EQ(ACCERR, probe_write(self->base + FILE_AT, 1));
	EXPECT_EQ(0, probe_write(self->base, pattern(1, 0)));
	ASSERT_EQ(0, region_next(self->fd, 0, &m));
	EXPECT_EQ(0, m.offset);
	EXPECT_EQ(NPAGES * PAGE, m.size);
	EXPECT_EQ(RW, m.prot);
	ASSERT_EQ(0, region_next(self->fd, m.size, &m));
	EXPECT_EQ(FILE_AT, m.offset);
	EXPECT_EQ(NPAGES * PAGE, m.size);
	EXPECT_EQ(-ENOENT, region_next(self->fd, FILE_AT + m.size, &m));
	EXPECT_EQ(0, region_stat(self->fd).locked);
	EXPECT_EQ(1, region_stat(self->fd).windows);
	EXPECT_EQ(2 * self->unit, region_stat(self->fd).size);
}

enum {
	CREATE, UNMAP, PROTECT, ADVISE, LOCK, STAT, NEXT, STORE, READ, WINDOW,
	INFO, RESIZE, NR_CALLS
};

static const char *const name[] = {
	"CREATE_MAPPING", "UNMAP", "PROTECT", "ADVISE", "LOCK", "STAT",
	"NEXT_MAPPING", "a store", "getrandom(2)", "mmap(2)", "read(2)",
	"ftruncate(2)",
};

/* Calls that change the region, or ask about it. */
static void do_call(int what, int fd, char *base, size_t unit)
{
	struct mshare_mapping m;
	struct mshare_info info;

	switch (what) {
	case CREATE:
		region_map(fd, 0, PAGE, RW, ANON, -1, 0);
		break;
	case UNMAP:
		region_unmap(fd, 0, PAGE);
		break;
	case PROTECT:
		region_protect(fd, 0, PAGE, PROT_READ);
		break;
	case ADVISE:
		region_advise(fd, 0, PAGE, MADV_RANDOM);
		break;
	case LOCK:
		region_lock(fd, 0, PAGE, MSHAREFS_LOCK_ON, 0);
		break;
	case STAT:
		region_stat(fd);
		break;
	case NEXT:
		region_next(fd, 0, &m);
		break;
	case STORE:
		/* Where it has to look who is responsible. */
		probe_write(base + unit - PAGE, 1);
		break;
	case READ:
		syscall(__NR_getrandom, base + unit - PAGE, 8L, 0L);
		break;
	case WINDOW:
		ms_map(fd, unit, RW);
		break;
	case INFO:
		(void)!pread(fd, &info, sizeof(info), 0);
		break;
	case RESIZE:
		(void)!ftruncate(fd, 4 * unit);
		break;
	}
}

/*
 * Makes all calls at once, so that they wait for each other as well, and kills
 * them one by one. How many of them had to wait.
 */
static unsigned int kill_all(struct __test_metadata *_metadata,
			     FIXTURE_DATA(killed) *self,
			     void (*fn)(int, int, char *, size_t),
			     const char *const *names, int n)
{
	unsigned int waiting = 0;
	pid_t pid[n];
	int status;

	for (int i = 0; i < n; i++) {
		pid[i] = child();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			fn(i, self->fd, self->base, self->unit);
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++) {
		if (!waits(pid[i])) {
			TH_LOG("%s does not wait", names[i]);
			continue;
		}
		waiting++;
		TH_LOG("%s waits", names[i]);
	}
	for (int i = n - 1; i >= 0; i--) {
		status = -1;
		kill(pid[i], SIGKILL);
		EXPECT_EQ(0, gone_within(pid[i], &status, 20)) {
			TH_LOG("%s cannot be killed", names[i]);
		}
	}
	return waiting;
}

TEST_F_TIMEOUT(killed, waiting, 400)
{
	/* Else nothing has been shown. */
	EXPECT_LE(6, kill_all(_metadata, self, do_call, name, NR_CALLS));
	finish(_metadata, self);
}

enum {
	LOAD, VM_READ_SELF, VM_READ_OTHER, MEM, MOVE_QUERY, POLICY, BIND,
	POPULATE, WILLNEED, COLD, MINCORE, ADVISE_WILLNEED, ADVISE_POPULATE,
	NR_ACCESSES
};

static const char *const access_name[] = {
	"a load", "process_vm_readv(2)", "process_vm_readv(2) of another",
	"/proc/PID/mem", "move_pages(2), a query", "get_mempolicy(2)",
	"mbind(2)", "MADV_POPULATE_READ", "MADV_WILLNEED", "MADV_COLD",
	"mincore(2)", "ADVISE, MADV_WILLNEED", "ADVISE, MADV_POPULATE_READ",
};

static pid_t other;	/* has the window and sleeps */

static void read_memory(pid_t pid, char *at)
{
	uint64_t val;
	struct iovec local = { &val, 8 }, remote = { at, 8 };

	(void)!process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/*
 * Accesses to a page that is not mapped, so that it is looked up, and advice
 * about pages that are.
 */
static void do_access(int what, int fd, char *base, size_t unit)
{
	char *hole = base + unit - PAGE;
	unsigned char vec[NPAGES];
	unsigned long nodes = 1;
	int status, mode, mem;
	void *page = hole;
	uint64_t val;

	switch (what) {
	case LOAD:
		peek(hole);
		break;
	case VM_READ_SELF:
		read_memory(getpid(), hole);
		break;
	case VM_READ_OTHER:
		read_memory(other, hole);
		break;
	case MEM:
		mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
		(void)!pread(mem, &val, sizeof(val), L(hole));
		break;
	case MOVE_QUERY:
		syscall(__NR_move_pages, 0L, 1L, &page, NULL, &status, 0L);
		break;
	case POLICY:
		syscall(__NR_get_mempolicy, &mode, NULL, 0L, hole,
			(long)MPOL_F_ADDR);
		break;
	case BIND:
		syscall(__NR_mbind, base, NPAGES * PAGE, (long)MPOL_PREFERRED,
			&nodes, 8L, 0L);
		break;
	case POPULATE:
		madvise(hole, PAGE, MADV_POPULATE_READ);
		break;
	case WILLNEED:
		madvise(base, NPAGES * PAGE, MADV_WILLNEED);
		break;
	case COLD:
		madvise(base, NPAGES * PAGE, MADV_COLD);
		break;
	case MINCORE:
		mincore(base, NPAGES * PAGE, vec);
		break;
	case ADVISE_WILLNEED:
		region_advise(fd, 0, NPAGES * PAGE, MADV_WILLNEED);
		break;
	case ADVISE_POPULATE:
		region_advise(fd, 0, NPAGES * PAGE, MADV_POPULATE_READ);
		break;
	}
}

/* What reaches the region through a window is not less killable. */
TEST_F_TIMEOUT(killed, accesses, 400)
{
	int status;

	other = child();
	if (!other)
		pause();
	/* Some need no more than the lock of a mapping that is at rest. */
	EXPECT_LE(8, kill_all(_metadata, self, do_access, access_name,
			      NR_ACCESSES));
	kill(other, SIGKILL);
	EXPECT_EQ(0, gone_within(other, &status, 20));
	finish(_metadata, self);
}

/* Number of tasks that have a function on their stack. */
static int tasks_in(const char *function)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], text[4096];
	int n = 0;

	while ((entry = readdir(proc))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stack", entry->d_name);
		n += read_file(path, text, sizeof(text)) > 0 &&
		     strstr(text, function);
	}
	closedir(proc);
	return n;
}

/*
 * The worker that frees empty page tables serves the whole system: it does not
 * wait for a lock that a user of the region holds, and frees them later.
 */
TEST_F_TIMEOUT(killed, worker, 400)
{
	int fd = ms_container(_metadata, MS_DIR "/b", 4 * self->unit);
	int file = open(TMP "/file", O_RDWR | O_CLOEXEC), status = -1;
	pid_t pid;

	ASSERT_LE(0, file);
	for (size_t at = self->unit; at < 4 * self->unit; at += self->unit)
		ASSERT_EQ(0, region_anon(fd, at, PAGE));
	ASSERT_EQ(0, region_map(fd, FILE_AT, PAGE, RW, FIXED, file, 0));
	close(file);
	pid = child();
	if (!pid)
		_exit(-region_advise(fd, FILE_AT, PAGE, MADV_POPULATE_WRITE));
	ASSERT_TRUE(waits(pid));
	/* It can be seen that a task waits. */
	ASSERT_LT(0, tasks_in("msharefs_ioctl"));

	/* Leaves a PMD table in each unit. */
	for (size_t at = self->unit; at < 4 * self->unit; at += self->unit) {
		ASSERT_EQ(0, region_advise(fd, at, PAGE, MADV_POPULATE_WRITE));
		ASSERT_EQ(0, region_advise(fd, at, PAGE, MADV_DONTNEED));
	}
	for (int i = 0; i < 30; i++) {
		ASSERT_EQ(0, tasks_in("mshare_prune"));
		usleep(100000);
	}
	EXPECT_LE(5 * PAGE, region_stat(fd).page_tables);

	thaw(_metadata, self);
	EXPECT_EQ(0, gone_within(pid, &status, 60));
	EXPECT_EQ(0, status);
	/* Those above the page of the file. */
	EXPECT_EQ(3 * PAGE, tables_settle(fd, 3 * PAGE));
	close(fd);
	unlink(MS_DIR "/b");
	finish(_metadata, self);
}

static void ignore(int sig)
{
	(void)sig;
}

/* Signals with a handler, again and again; they do not end the waiting. */
TEST_F_TIMEOUT(killed, signal, 400)
{
	struct sigaction sa = { .sa_handler = ignore };
	int status = -1;
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = child();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			struct mshare_mapping m;
			int ret = 0;

			sigaction(SIGUSR1, &sa, NULL);
			/* What it does is undone, what it says is told. */
			if (i == 0)
				ret = region_protect(self->fd, 0, PAGE, RW);
			else if (i == 1)
				ret = region_map(self->fd, self->unit, PAGE, RW,
						 ANON, -1, 0) ?:
				      region_unmap(self->fd, self->unit, PAGE);
			else
				ret = region_next(self->fd, 0, &m);
			_exit(-ret);
		}
	}
	for (int i = 0; i < 3; i++) {
		ASSERT_TRUE(waits(pid[i]));
		for (int n = 0; n < 10; n++) {
			EXPECT_EQ(0, kill(pid[i], SIGUSR1));
			usleep(10000);
		}
		EXPECT_TRUE(waits(pid[i]));
	}
	thaw(_metadata, self);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, gone_within(pid[i], &status, 60));
		EXPECT_EQ(0, status);
	}
	finish(_metadata, self);
}

TEST_HARNESS_MAIN
