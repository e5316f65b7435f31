// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations by several processes on all of msharefs, with mostly good
 * and sometimes bad arguments, on all kinds of objects, while memory is short,
 * allocations fail (where the kernel can do that) and processes die. See fuzz.h
 * for what is checked meanwhile; in the end nothing must be left of it.
 *
 * From the environment: MSHARE_FUZZ_SECONDS (20), MSHARE_FUZZ_SEED (the time),
 * MSHARE_FUZZ_WORKERS (6), MSHARE_FUZZ_FAIL (1; 0: no failing allocations),
 * MSHARE_FUZZ_ONLY: names of operations, separated by commas.
 */
#include <dirent.h>
#include <malloc.h>
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_cgroup.h"
#include "lib_io.h"
#include <linux/memfd.h>
#include <sys/rseq.h>
#include "fuzz.h"

#define THREADS		2	/* of each worker */
#define PATIENCE	80	/* seconds without progress */

static const struct fuzz_op ops[] = {
	{ "open",	30, do_open },
	{ "close",	4, do_close },
	{ "unlink",	4, do_unlink },
	{ "rename",	5, do_rename },
	{ "link",	4, do_link },
	{ "linkat",	2, do_linkat },
	{ "dir",	4, do_dir },
	{ "readdir",	2, do_readdir },
	{ "resize",	8, do_resize },
	{ "read_info",	4, do_read_info },
	{ "attributes",	2, do_attributes },
	{ "mount",	4, do_mount },
	{ "create",	60, do_create_mapping },
	{ "unmap",	16, do_unmap_mapping },
	{ "protect",	30, do_protect },
	{ "advise",	30, do_advise },
	{ "lock",	10, do_lock },
	{ "stat",	6, do_stat },
	{ "next",	6, do_next },
	{ "ioctl",	4, do_bad_ioctl },
	{ "object",	24, do_object },
	{ "constant",	6, do_constant },
	{ "mmap",	60, do_mmap },
	{ "munmap",	20, do_munmap },
	{ "mprotect",	24, do_mprotect },
	{ "mremap",	16, do_mremap },
	{ "interfere",	6, do_interfere },
	{ "load",	80, do_load },
	{ "load_page",	50, do_load_page },
	{ "store",	100, do_store },
	{ "copy",	30, do_copy },
	{ "call",	16, do_call },
	{ "file_io",	30, do_file_io },
	{ "pipe",	16, do_pipe },
	{ "remote",	20, do_remote },
	{ "spy",	10, do_spy },
	{ "futex",	8, do_futex },
	{ "uring",	8, do_uring },
	{ "madvise",	30, do_madvise },
	{ "other_call",	30, do_other_call },
	{ "proc",	10, do_proc },
	{ "pressure",	1, do_pressure },
	{ "swapoff",	1, do_swapoff },
	{ "mlockall",	4, do_mlockall },
	{ "fork",	6, do_fork },
	{ "mrelease",	4, do_mrelease },
	{ "lock_other",	4, do_lock_other },
	{ "reader",	3, do_reader },
	{ "exit",	1, do_exit },
	{ "kill",	1, do_kill },
	{ "pause",	1, do_pause },
};

static const struct fuzz_op *chosen[2048];
static unsigned int nr_chosen;

static bool named(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; list; list = strchr(list, ',')) {
		list += *list == ',';
		if (!strncmp(list, name, len) && strchr(",", list[len]))
			return true;
	}
	return false;
}

static void choose_ops(const char *only)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (only && *only && !named(only, ops[i].name))
			continue;
		for (unsigned int n = 0; n < ops[i].weight; n++)
			chosen[nr_chosen++] = &ops[i];
	}
}

static uint64_t usec_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* One operation, perhaps with an allocation of it that fails. */
static void run_op(struct fz *f, int control)
{
	const struct fuzz_op *op;
	unsigned int fail, i;
	uint64_t begun;
	char text[16];
	bool done;

	f->rng = mix(mix(f->sh->seed) ^ mix(f->id * 64 + f->depth) ^ f->n);
	fail = rnd(f, 12) ? 0 : 1 + rnd(f, 40);
	op = chosen[rnd(f, nr_chosen)];
	i = op - ops;
	f->op = op->name;
	if (!f->depth) {
		f->sh->slot[f->id].op = i;
		f->sh->slot[f->id].n = f->n;
	}
	f->fail = control >= 0 && fail;
	if (!f->depth)
		f->sh->slot[f->id].fail = f->fail;
	if (f->fail)
		(void)!pwrite(control, text, sprintf(text, "%u", fail), 0);
	__atomic_fetch_add(&f->sh->count[i], 1, __ATOMIC_RELAXED);
	begun = usec_now();
	done = op->fn(f);
	if (f->fail)
		(void)!pwrite(control, "0", 1, 0);
	__atomic_fetch_add(&f->sh->usec[i], usec_now() - begun,
			   __ATOMIC_RELAXED);
	if (done)
		__atomic_fetch_add(&f->sh->done[i], 1, __ATOMIC_RELAXED);
}

void run_ops(struct fz *f, uint64_t from, uint64_t to)
{
	int control = -1;

	if (f->sh->fail)
		control = open("/proc/thread-self/fail-nth",
			       O_RDWR | O_CLOEXEC);
	for (f->n = from; f->n < to; f->n++) {
		if (__atomic_load_n(&f->sh->stop, __ATOMIC_RELAXED) ||
		    __atomic_load_n(&f->sh->bad, __ATOMIC_RELAXED))
			break;
		run_op(f, control);
	}
	if (control >= 0)
		close(control);
}

/*
 * On its way back to user space the kernel writes to the rseq area of a thread,
 * which can be out in swap. When the allocation that this takes is made to fail
 * it ends the process: with SIGSEGV, at no instruction in particular.
 */
static void do_without_rseq(void)
{
	char *self = __builtin_thread_pointer();

	if (__rseq_size)
		syscall(__NR_rseq, self + __rseq_offset, sizeof(struct rseq),
			RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

static void *run_thread(void *arg)
{
	struct fz *f = arg;

	if (f->sh->fail)
		do_without_rseq();
	run_ops(f, f->n, UINT64_MAX);
	return NULL;
}

static void thread_init(struct fz *f, struct shared *sh, int id)
{
	const size_t unit = sh->unit;
	char *p;

	memset(f, 0, sizeof(*f));
	f->sh = sh;
	f->id = id;
	/* After one that died, with what would have been next. */
	f->n = sh->slot[id].n + 1;
	for (int i = 0; i < NR_FDS; i++)
		f->fd[i].fd = -1;
	f->scratch = mmap(NULL, PAGE * 4, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			  MAP_POPULATE, -1, 0);
	p = mmap(NULL, (AREA_UNITS + 1) * unit, PROT_NONE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p != MAP_FAILED)
		f->area = (char *)ALIGN(L(p) + unit - 1, unit);
	sh->children[id] = 0;
	sh->slot[id].pid = getpid();
}

static __attribute__((noreturn)) void worker(struct shared *sh, int number)
{
	static struct fz f[THREADS];
	pthread_t thread[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	catch_signals();
	/*
	 * Where a window was there is a gap until it is reserved again, and
	 * what malloc() maps meanwhile would be lost: it must not map.
	 */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	for (int i = 0; i < THREADS; i++)
		thread_init(&f[i], sh, number * THREADS + i);
	for (int i = 0; i < THREADS; i++)
		f[i].other = THREADS > 1 ? &f[(i + 1) % THREADS] : NULL;
	for (int i = 1; i < THREADS; i++) {
		if (pthread_create(&thread[i], NULL, run_thread, &f[i]))
			wrong(&f[i], "pthread_create");
	}
	run_thread(&f[0]);
	for (int i = 1; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

/* Settings that are changed, and put back. */
static const char *const setting[][2] = {
	{ "/sys/kernel/mm/transparent_hugepage/enabled", NULL },
	{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise" },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
	  "200" },
	{ "/proc/sys/vm/nr_hugepages", "12" },
	{ "/proc/sys/vm/overcommit_memory", "1" },
	{ "/proc/sys/kernel/numa_balancing", NULL },
};

static const char *const fault_setting[][2] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
};

#define REGIONS	"/sys/kernel/mm/mshare/regions"
#define WINDOWS	"/sys/kernel/mm/mshare/windows"

FIXTURE(fuzz) {
	size_t unit;
	struct shared *sh;
	char was[ARRAY_SIZE(setting)][64];
	char swap[64];
	int workers;
	pid_t pid[MAX_THREADS / THREADS];
	long regions, windows, shmem, inodes, dying;
};

static unsigned int from_env(const char *name, unsigned int other)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : other;
}

/* A choice among several, as it is written. */
static void chosen_word(char *text)
{
	char *open = strchr(text, '['), *close = strchr(text, ']');

	if (open && close) {
		*close = 0;
		memmove(text, open + 1, close - open);
	}
	text[strcspn(text, "\n")] = 0;
}

/* A file of @pages with one byte in all of them; all of it memory if 0. */
static int object_file(const char *path, uint8_t byte, unsigned int pages)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) :
		 memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char page[PAGE];

	memset(page, byte, PAGE);
	for (unsigned int i = 0; fd >= 0 && i < pages; i++) {
		if (pwrite(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return fd;
}

static bool block_fs(const char *device, const char *dir, const char *options)
{
	const char *const mkfs[] = { "mkfs.ext4", "-q", "-F", "-b", "4096",
				     device, NULL };

	mkdir(dir, 0700);
	return device && *device && !run_program(mkfs) &&
	       !mount(device, dir, "ext4", 0, options);
}

static void make_objects(struct __test_metadata *_metadata, struct shared *sh)
{
	bool ext4 = block_fs(getenv("MSHARE_DISK"), TMP "/ext4", "");
	bool dax = !access("/dev/pmem0", F_OK) &&
		   block_fs("/dev/pmem0", TMP "/dax", "dax=always");
	char path[64];

	for (int i = 0; i < FAMILIES; i++) {
		int *object = sh->object[i], fd;

		object[OBJ_MEMFD] = object_file(NULL, byte_of[i], 64);
		sprintf(path, TMP "/tmpfs%d", i);
		object[OBJ_TMPFS] = object_file(path, byte_of[i], 64);
		sprintf(path, TMP "/ext4/%d", i);
		object[OBJ_EXT4] = ext4 ? object_file(path, byte_of[i], 64) :
					  -1;
		sprintf(path, TMP "/dax/%d", i);
		object[OBJ_DAX] = dax ? object_file(path, byte_of[i], 1024) :
					-1;
		object[OBJ_HUGETLB] = memfd_create("huge", MFD_CLOEXEC |
						   MFD_HUGETLB | MFD_HUGE_2MB);
		object[OBJ_ROOT] = object_file("/var/tmp/mshare-fuzz",
					       byte_of[i], 64);
		unlink("/var/tmp/mshare-fuzz");
		object[OBJ_SEALED] = object_file(NULL, ro_byte_of[i], RO_PAGES);
		ASSERT_EQ(0, fcntl(object[OBJ_SEALED], F_ADD_SEALS,
				   F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK));
		sprintf(path, TMP "/constant%d", i);
		fd = object_file(path, ro_byte_of[i], RO_PAGES);
		object[OBJ_READ_ONLY] = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_EQ(0, unlink(path));
		close(fd);
		for (int o = 0; o < NR_OBJECTS; o++) {
			ASSERT_TRUE(object[o] >= 0 || (o == OBJ_EXT4 && !ext4) ||
				    (o == OBJ_DAX && !dax)) {
				TH_LOG("object %d: %s", o, strerror(errno));
			}
		}
	}
	TH_LOG("%s file on a disk, %s persistent memory", ext4 ? "with" : "no",
	       dax ? "with" : "no");
}

FIXTURE_SETUP(fuzz)
{
	struct shared *sh;
	char text[400];

	self->unit = ms_setup(_metadata, "size=192m");
	if (!self->unit)
		return;
	self->sh = mmap(NULL, sizeof(*self->sh), RW, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ASSERT_NE(MAP_FAILED, self->sh);
	sh = self->sh;
	sh->unit = self->unit;
	sh->seed = from_env("MSHARE_FUZZ_SEED", time(NULL));
	self->workers = from_env("MSHARE_FUZZ_WORKERS", 6);
	ASSERT_GE(MAX_THREADS / THREADS, self->workers);
	choose_ops(getenv("MSHARE_FUZZ_ONLY"));
	ASSERT_LT(0, nr_chosen);

	for (size_t i = 0; i < ARRAY_SIZE(setting); i++) {
		if (read_file(setting[i][0], self->was[i],
			      sizeof(self->was[i])) < 0)
			continue;
		chosen_word(self->was[i]);
		if (setting[i][1])
			write_file(setting[i][0], setting[i][1]);
	}
	if (read_file("/proc/swaps", text, sizeof(text)) > 0)
		(void)!sscanf(text, "%*[^\n]\n%63s", self->swap);
	sh->fail = from_env("MSHARE_FUZZ_FAIL", 1) &&
		   !access("/proc/self/fail-nth", W_OK);
	for (size_t i = 0; sh->fail && i < ARRAY_SIZE(fault_setting); i++) {
		ASSERT_EQ(0, write_file(fault_setting[i][0],
					fault_setting[i][1]));
	}
	self->dying = cg_dying_settles(0);
	snprintf(text, sizeof(text), "%lu", SMALL_SIZE);
	ASSERT_EQ(0, cg_create(SMALL));
	ASSERT_EQ(0, cg_write(SMALL, "memory.max", text));
	ASSERT_EQ(0, cg_write(SMALL, "memory.swap.max", "0"));
	self->inodes = used_inodes(MS_DIR);
	self->regions = file_number(REGIONS);
	self->windows = file_number(WINDOWS);
	self->shmem = meminfo_kb("Shmem");
	mkdir(TMP, 0700);
	ASSERT_EQ(0, mount("tmpfs", TMP, "tmpfs", 0, "size=128m"));
	for (size_t i = 0; i < NR_MOUNTS; i++) {
		ASSERT_EQ(0, mkdir(mount_point[i], 0700));
	}
	make_objects(_metadata, sh);
}

static void unmount_all(const char *dir)
{
	while (!umount(dir))
		;
}

static void close_objects(struct shared *sh)
{
	for (int i = 0; i < FAMILIES; i++) {
		for (int o = 0; o < NR_OBJECTS; o++) {
			close(sh->object[i][o]);
			sh->object[i][o] = -1;
		}
	}
}

static int swap_on(void *path)
{
	int ns = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

	return setns(ns, CLONE_NEWNS) || swapon(path, 0);
}

/* Also after a failure: what follows finds the machine as it was. */
FIXTURE_TEARDOWN(fuzz)
{
	if (!self->sh)
		return;
	for (int i = 0; i < self->workers; i++) {
		if (self->pid[i] > 0)
			kill(self->pid[i], SIGKILL);
	}
	while (wait(NULL) > 0)
		;
	close_objects(self->sh);
	for (size_t i = 0; i < NR_MOUNTS; i++)
		unmount_all(mount_point[i]);
	umount(TMP "/ext4");
	umount(TMP "/dax");
	umount(TMP);
	if (*self->swap)
		in_child(swap_on, self->swap);
	for (size_t i = 0; i < ARRAY_SIZE(setting); i++) {
		if (*self->was[i])
			write_file(setting[i][0], self->was[i]);
	}
	/* Pages of this program, too, that a process of the group has read in. */
	cg_empty(SMALL);
	EXPECT_EQ(0, cg_remove(SMALL));
	/* A page in swap, or on its way there, would hold it. */
	in_child(cg_swap_again, NULL);
	EXPECT_EQ(self->dying, cg_dying_settles(self->dying));
}

/* What all threads of a process wait for; the first one waits for the others. */
static void tell_stacks(pid_t pid)
{
	char path[300], text[2000];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid,
			 entry->d_name);
		if (read_file(path, text, sizeof(text)) > 0)
			fprintf(stderr, "# task %s\n%s\n", entry->d_name, text);
	}
	if (tasks)
		closedir(tasks);
}

static void tell_where(struct shared *sh, int id)
{
	fprintf(stderr, "# thread %d, process %d: operation %llu, %s\n", id,
		sh->slot[id].pid, (unsigned long long)sh->slot[id].n,
		ops[sh->slot[id].op].name);
	tell_stacks(sh->slot[id].pid);
}

/* Which thread has not begun an operation for too long; -1: none. */
static int stuck(struct shared *sh, int threads, uint64_t *last, time_t *since)
{
	time_t now = time(NULL);

	for (int i = 0; i < threads; i++) {
		if (sh->slot[i].n != last[i] || !since[i]) {
			last[i] = sh->slot[i].n;
			since[i] = now;
		} else if (now - since[i] > PATIENCE) {
			return i;
		}
	}
	return -1;
}

static bool failing(struct shared *sh, int number)
{
	for (int i = 0; i < THREADS; i++) {
		if (sh->slot[number * THREADS + i].fail)
			return true;
	}
	return false;
}

static pid_t start(struct shared *sh, int number)
{
	pid_t pid = fork();

	if (!pid)
		worker(sh, number);
	return pid;
}

/* Everybody is gone: what they had is, too, and what they could not change is. */
static void nothing_left(struct __test_metadata *_metadata,
			 FIXTURE_DATA(fuzz) *self)
{
	struct shared *sh = self->sh;
	char page[PAGE];

	/* Children of those that were killed are being killed as well. */
	while (wait(NULL) > 0)
		;
	EXPECT_EQ(self->windows, file_number(WINDOWS));
	remove_names(MS_DIR "/d0");
	remove_names(MS_DIR "/d1");
	remove_names(MS_DIR);
	EXPECT_EQ(0, used_settle(MS_DIR, 0));
	EXPECT_EQ(self->inodes, used_inodes(MS_DIR));
	for (size_t i = 0; i < NR_MOUNTS; i++) {
		unmount_all(mount_point[i]);
		EXPECT_EQ(EINVAL, errno) {
			TH_LOG("%s: %s", mount_point[i], strerror(errno));
		}
	}
	EXPECT_EQ(0, umount(MS_DIR)) TH_LOG("%s", strerror(errno));
	EXPECT_EQ(self->regions, file_number(REGIONS));

	for (int i = 0; i < FAMILIES; i++) {
		for (int o = OBJ_SEALED; o <= OBJ_READ_ONLY; o++) {
			unsigned int other = 0;

			for (unsigned int n = 0; n < RO_PAGES; n++) {
				ASSERT_EQ(PAGE, pread(sh->object[i][o], page,
						      PAGE, n * PAGE));
				for (unsigned int at = 0; at < PAGE; at++)
					other += (uint8_t)page[at] !=
						 ro_byte_of[i];
			}
			EXPECT_EQ(0, other) {
				TH_LOG("read-only object %d of family %d", o,
				       i);
			}
		}
	}
	close_objects(sh);
	EXPECT_EQ(0, file_field("/proc/meminfo", "HugePages_Rsvd"));
	EXPECT_EQ(file_field("/proc/meminfo", "HugePages_Total"),
		  file_field("/proc/meminfo", "HugePages_Free"));
	umount(TMP "/ext4");
	umount(TMP "/dax");
	EXPECT_EQ(0, umount(TMP)) TH_LOG("%s", strerror(errno));
	/* Less: what others have is in swap. */
	EXPECT_GE(self->shmem, meminfo_settles("Shmem", self->shmem));
}

TEST_F_TIMEOUT(fuzz, everything, 7200)
{
	unsigned int seconds = from_env("MSHARE_FUZZ_SECONDS", 20);
	const int threads = self->workers * THREADS;
	uint64_t last[MAX_THREADS] = { 0 };
	time_t since[MAX_THREADS] = { 0 };
	struct shared *sh = self->sh;
	time_t end = time(NULL) + seconds;
	int status, alive = 0, hangs;

	TH_LOG("MSHARE_FUZZ_SECONDS=%u MSHARE_FUZZ_SEED=%u", seconds, sh->seed);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < self->workers; i++) {
		self->pid[i] = start(sh, i);
		ASSERT_LT(0, self->pid[i]);
		alive++;
	}
	while (alive && !sh->bad) {
		pid_t gone = waitpid(-1, &status, WNOHANG);

		if (time(NULL) >= end)
			sh->stop = 1;
		hangs = stuck(sh, threads, last, since);
		ASSERT_EQ(-1, hangs) {
			TH_LOG("seed %u: thread %d hangs", sh->seed, hangs);
			for (int i = 0; i < threads; i++)
				tell_where(sh, i);
		}
		if (gone <= 0) {
			/* Who stopped them may be dead. */
			for (int i = 0; i < self->workers; i++)
				if (self->pid[i] > 0)
					kill(self->pid[i], SIGCONT);
			usleep(20000);
			continue;
		}
		for (int i = 0; i < self->workers; i++) {
			if (self->pid[i] != gone)
				continue;
			self->pid[i] = 0;
			alive--;
			ASSERT_TRUE(known_status(status, failing(sh, i))) {
				TH_LOG("seed %u: worker %d ended with status %#x",
				       sh->seed, i, status);
				tell_where(sh, i * THREADS);
				tell_where(sh, i * THREADS + 1);
			}
			if (!sh->stop) {
				self->pid[i] = start(sh, i);
				alive++;
			}
		}
	}
	ASSERT_EQ(0, sh->bad) TH_LOG("seed %u", sh->seed);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		TH_LOG("%-12s %8lu, %8lu done, %6lu ms", ops[i].name,
		       sh->count[i], sh->done[i], sh->usec[i] / 1000);
	nothing_left(_metadata, self);
}

TEST_HARNESS_MAIN
