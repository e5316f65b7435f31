// SPDX-License-Identifier: GPL-2.0
/*
 * clients: N processes attach to one shared area, touch every page of it and
 * check what they find. Prints what that costs in page tables.
 *
 * All processes are started first and counted without the area, so that what
 * is shown later is the price of the area alone. A server process then creates
 * and fills the area and exits, as nothing depends on who created it. After
 * that the clients attach and touch, a few at a time, in order.
 *
 * Exit status: 0 all clients alive and everything verified, 3 the OOM killer
 * took a client, 4 a client found wrong contents or died otherwise, 1 the run
 * could not be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { EXIT_OOM = 3, EXIT_WRONG = 4 };
enum state { STARTING, READY, GO, DONE };

struct client {
	atomic_int state;	/* futex: the client waits for GO */
	pid_t pid;
	bool dead;
	long faults;		/* of attaching and touching, nothing else */
	long vmpte_kib;		/* this process's own page tables, at the end */
	long wrong;		/* pages with contents that are not the server's */
};

static struct control {
	atomic_int done;	/* futex: the parent waits for it to change */
	struct client client[];
} *ctl;

static struct area area, rehearsal;
static int nr_clients = 100, parallel, every;
static u64 interval_ns = 10 * 1000000000ULL;
static FILE *csv;

static int nr_dead, nr_oom, nr_attached;
static long base_kib;
static u64 started_ns;

static char *klog_buf;
static int klog_size;

static void wait_while(atomic_int *word, int value, int msec)
{
	struct timespec ts = { msec / 1000, msec % 1000 * 1000000L };

	syscall(SYS_futex, word, FUTEX_WAIT, value, msec < 0 ? NULL : &ts, NULL, 0);
}

static void wake(atomic_int *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void report(struct client *c, enum state state)
{
	atomic_store(&c->state, state);
	atomic_fetch_add(&ctl->done, 1);
	wake(&ctl->done);
}

/* Word 0 of a page is the server's, word 1 is for the client of that number. */
static u64 stamp(size_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL;
}

static u64 *word_of(void *p, size_t page, int word)
{
	return (u64 *)((char *)p + page * PAGE) + word;
}

static void server(void)
{
	void *p = area_create(&area);

	for (size_t i = 0; i < area.bytes / PAGE; i++)
		*word_of(p, i, 0) = stamp(i);
}

static void client(struct client *c, size_t number)
{
	long faults;
	void *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_file("/proc/self/oom_score_adj", "0");
	/*
	 * Once for nothing, so that the code, stack and data pages which this
	 * needs are there already and only the area's faults are counted.
	 */
	p = area_attach(&rehearsal, PROT_READ | PROT_WRITE);
	c->wrong = *word_of(p, 0, 0) != 0;
	*word_of(p, 0, 1) = number + 1;
	area_detach(&rehearsal, p);
	faults = minor_faults() + status_kib("VmPTE");
	c->faults = faults;

	report(c, READY);
	while (atomic_load(&c->state) != GO)
		wait_while(&c->state, READY, -1);

	faults = minor_faults();
	p = area_attach(&area, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < area.bytes / PAGE; i++)
		c->wrong += *word_of(p, i, 0) != stamp(i);
	*word_of(p, number, 1) = number + 1;
	c->faults = minor_faults() - faults;
	c->vmpte_kib = status_kib("VmPTE");

	report(c, DONE);
	for (;;)
		pause();
}

/* Run fn in a process of its own; whatever it maps is gone afterwards. */
static int run_in_child(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		fn();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid: %s", strerror(errno));
	return status;
}

/* Every client left its number in the area: they wrote to the same memory. */
static void audit(void)
{
	void *p = area_attach(&area, PROT_READ);
	int missing = 0;

	for (int i = 0; i < nr_clients; i++)
		missing += *word_of(p, i, 1) != (u64)i + 1;
	_exit(missing ? EXIT_WRONG : 0);
}

static void start_clients(void)
{
	fflush(NULL);
	for (int i = 0; i < nr_clients; i++) {
		struct client *c = &ctl->client[i];
		pid_t pid = fork();

		if (pid < 0)
			die("fork of client %d: %s", i, strerror(errno));
		if (!pid)
			client(c, i);
		c->pid = pid;
		/* One at a time: 1500 starting at once only queue for the CPUs. */
		while (atomic_load(&c->state) == STARTING) {
			int seen = atomic_load(&ctl->done);

			if (atomic_load(&c->state) == STARTING)
				wait_while(&ctl->done, seen, 100);
			if (waitpid(pid, NULL, WNOHANG) == pid)
				die("client %d died while starting", i);
		}
	}
}

/* A client that is gone was killed; by SIGKILL here means by the OOM killer. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		nr_dead++;
		nr_oom += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		for (int i = 0; i < nr_clients; i++)
			ctl->client[i].dead |= ctl->client[i].pid == pid;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			printf("client %d died, wait status %#x\n", pid, status);
	}
}

static long median_of(size_t offset, int n)
{
	static u64 v[100000];
	int k = 0;

	for (int i = 0; i < n; i++)
		if (!ctl->client[i].dead)
			v[k++] = *(long *)((char *)&ctl->client[i] + offset);
	return median_u64(v, k);
}

static void sample(int n)
{
	static u64 last_ns;
	u64 ns = now_ns();
	long tables, max = 0, faults, vmpte;

	sync_counters();
	tables = meminfo_kib("PageTables");
	faults = median_of(offsetof(struct client, faults), n);
	vmpte = median_of(offsetof(struct client, vmpte_kib), n);
	for (int i = 0; i < n; i++)
		if (ctl->client[i].faults > max)
			max = ctl->client[i].faults;
	if (csv) {
		fprintf(csv, "%s,%d,%d,%ld,%ld,%ld,%ld,%ld,%.3f,%ld\n",
			mode_name(area.mode), n, n - nr_dead, tables,
			tables - base_kib, vmpte, faults, max,
			(ns - started_ns) / 1e9, meminfo_kib("MemAvailable"));
		fflush(csv);
	}
	if (ns - last_ns >= interval_ns || n == 1 || n == nr_clients) {
		last_ns = ns;
		printf("%5d clients: page tables of the area %6ld KiB, ", n, tables - base_kib);
		printf("%5ld faults per client, %4ld MiB of RAM left\n", faults,
		       meminfo_kib("MemAvailable") / 1024);
		fflush(stdout);
	}
}

static bool sample_point(int n)
{
	return n == 1 || n == 10 || n == 100 || n == 500 || n == 1500 ||
	       n == nr_clients || n % every == 0;
}

/* Let clients in until all are or one was killed. */
static void attach_all(void)
{
	int next = 0, done = 0;

	started_ns = now_ns();
	while (nr_attached < nr_clients && !nr_dead) {
		int limit = nr_attached + 1;

		while (!sample_point(limit))
			limit++;
		while (done < limit && !nr_dead) {
			int seen = atomic_load(&ctl->done);

			for (; next < limit && next - done < parallel; next++) {
				atomic_store(&ctl->client[next].state, GO);
				wake(&ctl->client[next].state);
			}
			wait_while(&ctl->done, seen, 100);
			reap();
			for (done = nr_attached; done < next; done++)
				if (atomic_load(&ctl->client[done].state) != DONE)
					break;
		}
		nr_attached = done;
		if (!nr_dead)
			sample(done);
	}
}

/* The first line of the kernel log that names a victim of the OOM killer. */
static const char *oom_line(void)
{
	int n = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, klog_buf, klog_size - 1);
	char *line, *end;

	if (n <= 0)
		return NULL;
	klog_buf[n] = '\0';
	line = strstr(klog_buf, "Out of memory: Killed");
	if (!line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	return line;
}

static int verdict(void)
{
	long wrong = 0;

	for (int i = 0; i < nr_attached; i++)
		wrong += ctl->client[i].wrong;
	if (wrong) {
		printf("%ld pages with wrong contents\n", wrong);
		return EXIT_WRONG;
	}
	if (nr_oom) {
		const char *line = oom_line();

		if (csv)
			fprintf(csv, "# oom %d\n# oom_line %s\n", nr_attached, line ? line : "");
		printf("The OOM killer struck when %d of %d clients were attached. The kernel log:\n  %s\n",
		       nr_attached, nr_clients,
		       line ? line : "(nothing: it was not the OOM killer)");
		return line ? EXIT_OOM : EXIT_WRONG;
	}
	if (nr_dead)
		return EXIT_WRONG;
	if (run_in_child(audit)) {
		printf("not every client's write arrived in the area\n");
		return EXIT_WRONG;
	}
	printf("%d of %d clients are alive, all saw the same %zu MiB and each other's writes\n",
	       nr_clients - nr_dead, nr_clients, area.bytes / MIB);
	if (csv)
		fprintf(csv, "# alive %d\n", nr_clients - nr_dead);
	return 0;
}

/*
 * A few at a time: all at once would queue up for the locks that the children
 * of one process share, for minutes on a busy machine.
 */
static void stop_clients(void)
{
	for (int i = 0; i < nr_clients; i++) {
		if (!ctl->client[i].dead)
			kill(ctl->client[i].pid, SIGKILL);
		if (i >= parallel && !ctl->client[i - parallel].dead)
			waitpid(ctl->client[i - parallel].pid, NULL, 0);
	}
	while (wait(NULL) > 0)
		;
}

static void prepare(void)
{
	size_t len = sizeof(*ctl) + nr_clients * sizeof(struct client);

	ctl = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ctl == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	klog_size = klogctl(10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
	if (klog_size <= 0)
		klog_size = 1 << 18;
	klog_buf = malloc(klog_size);
	if (!klog_buf)
		die("no memory");
	/*
	 * This process tells what happened, so it must be neither killed nor
	 * swapped out. Clients do not inherit the lock, and undo the other.
	 */
	if (geteuid() || !try_write_file("/proc/self/oom_score_adj", "-1000"))
		fputs("bench: not protected from the OOM killer\n", stderr);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall: %s", strerror(errno));
}

static void write_csv_head(size_t bytes)
{
	fprintf(csv, "# ram_kib %ld\n# base_kib %ld\n# free_kib %ld\n# area_kib %zu\n",
		meminfo_kib("MemTotal"), base_kib,
		meminfo_kib("MemFree") + meminfo_kib("Cached"), bytes / 1024);
	fputs("mode,clients,alive,pagetables_kib,area_tables_kib,vmpte_kib,", csv);
	fputs("faults,faults_max,seconds,available_kib\n", csv);
}

static void usage(void)
{
	fputs("options: [--clients N] [--area SIZE] [--parallel N] [--every N]\n"
	      "         [--interval SECONDS] [--csv FILE] [--dir MSHAREFS]\n", stderr);
	die("usage: clients --mode plain|mshare [options]");
}

static enum mode parse_options(int argc, char **argv, size_t *bytes, const char **dir)
{
	static const struct option options[] = {
		{ "mode", 1, NULL, 'm' }, { "clients", 1, NULL, 'n' },
		{ "area", 1, NULL, 'a' }, { "parallel", 1, NULL, 'p' },
		{ "every", 1, NULL, 'e' }, { "interval", 1, NULL, 'i' },
		{ "csv", 1, NULL, 'c' }, { "dir", 1, NULL, 'd' }, { }
	};
	int mode = -1, opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			mode = parse_mode(optarg);
			break;
		case 'n':
			nr_clients = atoi(optarg);
			break;
		case 'a':
			*bytes = parse_size(optarg);
			break;
		case 'p':
			parallel = atoi(optarg);
			break;
		case 'e':
			every = atoi(optarg);
			break;
		case 'i':
			interval_ns = atoi(optarg) * 1000000000ULL;
			break;
		case 'c':
			csv = csv_open(optarg);
			break;
		case 'd':
			*dir = optarg;
			break;
		default:
			usage();
		}
	}
	if (mode < 0 || optind != argc || nr_clients < 1 || nr_clients > 100000 ||
	    *bytes % PAGE || *bytes / PAGE < (size_t)nr_clients)
		usage();
	if (parallel < 1)
		parallel = sysconf(_SC_NPROCESSORS_ONLN);
	if (every < 1)
		every = 25;
	return mode;
}

int main(int argc, char **argv)
{
	size_t bytes = 256 * MIB;
	const char *dir = MSHARE_DIR;
	enum mode mode = parse_options(argc, argv, &bytes, &dir);
	int status;

	area_name(&area, mode, bytes, dir);
	area_name(&rehearsal, PLAIN, PAGE, dir);
	area_detach(&rehearsal, area_create(&rehearsal));
	prepare();
	printf("%ld MiB of RAM, %d clients, one area of %zu MiB as %s\n",
	       meminfo_kib("MemTotal") / 1024, nr_clients, bytes / MIB,
	       mode == MSHARE ? "an mshare region" : "ordinary shared memory");
	start_clients();
	sync_counters();
	base_kib = meminfo_kib("PageTables");
	if (csv)
		write_csv_head(bytes);
	printf("%d clients are running, nothing is attached yet: page tables %ld KiB\n",
	       nr_clients, base_kib);
	status = run_in_child(server);
	if (status)
		die("the process that fills the area failed, wait status %#x", status);

	attach_all();
	status = verdict();
	csv_close(csv);
	stop_clients();
	area_remove(&area);
	area_remove(&rehearsal);
	return status;
}
