// SPDX-License-Identifier: GPL-2.0
/*
 * The limit of a cgroup is reached with memory of a region, or beside it. Who
 * is killed, what the log says, what comes back, and what stays.
 *
 * Those who are to be killed are called VICTIM, so that whoever looks through
 * the log knows that it was meant.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_cgroup.h"
#include "lib_kmsg.h"
#include <sys/ptrace.h>

#define MAKER	"mshare-maker"
#define USER	"mshare-user"
#define VICTIM	"mshare-victim"
#define LIMIT	(16 * MIB)
#define NPAGES	(4 * MIB / PAGE)
#define FAR	(1UL << 45)	/* in 512 GiB of its own */

FIXTURE(oom) {
	size_t unit;
	struct peer maker, user;
	int log;
	long dying;
};

static long op_victim(const long *a)
{
	prctl(PR_SET_NAME, VICTIM);
	return cg_enter((char *)a[0]) ?:
	       write_file("/proc/self/oom_score_adj", "0");
}

FIXTURE_SETUP(oom)
{
	char limit[32];

	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	/* No group pays for this program, which would hold it: see cg_empty(). */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	self->dying = cg_dying_settles(0);
	snprintf(limit, sizeof(limit), "%lu", LIMIT);
	ASSERT_EQ(0, cg_create(MAKER));
	ASSERT_EQ(0, cg_create(USER));
	self->maker = peer_start(_metadata);
	self->user = peer_start(_metadata);
	/* Nothing goes to swap: the limit is all there is. */
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, cg_write(i ? USER : MAKER, "memory.max", limit));
		ASSERT_EQ(0, cg_write(i ? USER : MAKER, "memory.swap.max",
				      "0"));
	}
	ASSERT_EQ(0, peer_call(&self->maker, op_victim, L(MAKER)));
	/* What the kernel says from here on. */
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(oom)
{
	if (!self->unit)
		return;
	peer_stop(&self->maker);
	peer_stop(&self->user);
	unlink(MS_DIR "/a");
	cg_empty(MAKER);
	cg_empty(USER);
	EXPECT_EQ(0, cg_remove(MAKER));
	EXPECT_EQ(0, cg_remove(USER));
	EXPECT_EQ(self->dying, cg_dying_settles(self->dying));
}

#define MAKE() peer_call(&self->maker, op_new, L(MS_DIR "/a"), self->unit)

/*
 * The process that fills the region is in another cgroup than the creator: the
 * creator must not be killed for it, and the process cannot wait for ever. It
 * gets SIGBUS, as when a file system is full, and everything else goes on.
 */
TEST_F(oom, limit_reached_from_elsewhere)
{
	const long max = 2 * LIMIT / PAGE;
	struct mshare_stat st;
	long base, pages, more;
	int fd;

	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	pages = peer_call(&self->user, op_touch, base, PAGE, max);
	EXPECT_LT(0, pages);
	EXPECT_GE(LIMIT / PAGE, pages);
	/* Full, but for page tables, the creator and what CPUs have in stock. */
	EXPECT_LE((LIMIT - 2 * MIB) / PAGE, pages);
	EXPECT_GE(LIMIT, cg_number(MAKER, "memory.peak"));
	EXPECT_EQ(0, cg_events(MAKER, "oom_kill"));
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base, 1, pages));
	EXPECT_EQ(BUS_END, peer_call(&self->user, op_peek,
				     base + pages * PAGE));

	/* More room, and it goes on where it was. */
	ASSERT_EQ(0, cg_write(MAKER, "memory.max", "24M"));
	more = peer_call(&self->user, op_touch, base, PAGE, max);
	EXPECT_LE(pages + L(7 * MIB / PAGE), more);
	fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	st = region_stat(fd);
	EXPECT_EQ(more * L(PAGE), L(st.resident));
	close(fd);
	EXPECT_EQ(0, cg_events(MAKER, "oom_kill"));
	EXPECT_EQ(0, cg_events(USER, "oom_kill"));
	EXPECT_EQ(0, peer_stop(&self->maker));
}

/*
 * The creator fills the region and is killed for it. The region stays as it is,
 * and the log lets the reader see why: what the cgroup has is shared memory,
 * what the victim has is little.
 */
TEST_F(oom, report)
{
	long base, status, pid = self->maker.pid, kb, n;
	char *log, *line, text[128];

	base = MAKE();
	ASSERT_LT(0, base);
	EXPECT_EQ(LONG_MIN, peer_call(&self->maker, op_touch, base, PAGE,
				      2 * LIMIT / PAGE));
	status = peer_stop(&self->maker);
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(1, cg_events(MAKER, "oom_kill"));

	log = kmsg_read(self->log);
	line = kmsg_line(log, VICTIM " invoked oom-killer");
	EXPECT_NE(NULL, line);
	/* The cgroup: nearly all of it is shared memory, with few tables. */
	n = number_after(log, "\n shmem ");
	if (n < 0)
		n = number_after(log, ";shmem ");
	EXPECT_LE(L(LIMIT - 2 * MIB), n);
	EXPECT_GE(L(LIMIT), n);
	snprintf(text, sizeof(text), "task=" VICTIM ",pid=%ld", pid);
	line = kmsg_line(log, "oom-kill:constraint=CONSTRAINT_MEMCG");
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, "oom_memcg=/" MAKER));
	EXPECT_NE(NULL, strstr(line, "task_memcg=/" MAKER));
	EXPECT_NE(NULL, strstr(line, text)) {
		TH_LOG("%s", line);
	}
	/* The victim: the window is seen, the region's memory is not its. */
	snprintf(text, sizeof(text), "Killed process %ld (" VICTIM ")", pid);
	line = kmsg_line(log, text);
	ASSERT_NE(NULL, line);
	EXPECT_LE(L(self->unit / 1024), number_after(line, "total-vm:"));
	EXPECT_EQ(0, number_after(line, "shmem-rss:"));
	kb = number_after(line, "pgtables:");
	EXPECT_LT(0, kb);
	EXPECT_GT(256, kb);
	EXPECT_GT(4096, number_after(line, "anon-rss:"));

	/* Nothing of the region went with it. */
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	n = (LIMIT - 2 * MIB) / PAGE;
	EXPECT_EQ(0, peer_call(&self->user, op_damaged, base, 1, n));
}

#define OUTER	"mshare-outer"

/*
 * The cgroup that is full is one that the creator's and the user's are both in:
 * it is the user's own limit, and the OOM killer goes through that cgroup.
 */
TEST_F(oom, limit_of_both)
{
	char limit[32];
	long base;

	snprintf(limit, sizeof(limit), "%lu", LIMIT);
	ASSERT_EQ(0, cg_create(OUTER));
	ASSERT_EQ(0, cg_write(OUTER, "cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, cg_write(OUTER, "memory.max", limit));
	ASSERT_EQ(0, cg_write(OUTER, "memory.swap.max", "0"));
	ASSERT_EQ(0, cg_create(OUTER "/maker"));
	ASSERT_EQ(0, cg_create(OUTER "/user"));
	ASSERT_EQ(0, peer_call(&self->maker, op_enter, L(OUTER "/maker")));
	ASSERT_EQ(0, peer_call(&self->user, op_victim, L(OUTER "/user")));
	ASSERT_LT(0, MAKE());
	base = peer_attach(&self->user, MS_DIR "/a", O_RDWR, RW);
	ASSERT_LT(0, base);
	EXPECT_EQ(LONG_MIN, peer_call(&self->user, op_touch, base, PAGE,
				      2 * LIMIT / PAGE));
	EXPECT_EQ(SIGKILL, WTERMSIG(peer_stop(&self->user)));
	EXPECT_LE(1, cg_events(OUTER, "oom_kill"));
	peer_stop(&self->maker);
	EXPECT_EQ(0, unlink(MS_DIR "/a"));
	cg_empty(OUTER "/maker");
	cg_empty(OUTER "/user");
	EXPECT_EQ(0, cg_remove(OUTER "/maker"));
	EXPECT_EQ(0, cg_remove(OUTER "/user"));
	EXPECT_EQ(0, cg_remove(OUTER));
}

/* What the user has in the region, and the page of the table for its link. */
static long attach_far(struct __test_metadata *_metadata, struct peer *p)
{
	long base = peer_call(p, op_attach, L(MS_DIR "/a"), O_RDWR, RW, FAR);

	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(p, op_damaged, base, 1, NPAGES));
	return base;
}

/*
 * A user of the region is killed for what it has itself. That comes back, down
 * to the page of the table with its link; the region loses a user, no memory.
 */
TEST_F(oom, killed_user)
{
	struct mshare_stat was, st;
	long base, status;
	int fd;

	base = MAKE();
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->maker, op_fill, base, 1, NPAGES));
	fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	was = region_stat(fd);
	ASSERT_EQ(0, peer_call(&self->user, op_victim, L(USER)));
	attach_far(_metadata, &self->user);
	EXPECT_EQ(was.processes + 1, region_stat(fd).processes);
	EXPECT_EQ(was.links + 1, region_stat(fd).links);
	EXPECT_EQ(LONG_MIN, peer_call(&self->user, op_private, 2 * LIMIT));
	status = peer_stop(&self->user);
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(1, cg_events(USER, "oom_kill"));
	EXPECT_EQ(0, cg_events(MAKER, "oom_kill"));
	st = region_stat(fd);
	EXPECT_EQ(was.processes, st.processes);
	EXPECT_EQ(was.windows, st.windows);
	EXPECT_EQ(was.links, st.links);
	EXPECT_EQ(was.resident, st.resident);
	EXPECT_EQ(was.page_tables, st.page_tables);
	EXPECT_EQ(0, cg_stat_settles(USER, "anon", 0));
	EXPECT_EQ(0, cg_stat_settles(USER, "pagetables", 0));
	EXPECT_EQ(0, peer_call(&self->maker, op_damaged, base, 1, NPAGES));
	close(fd);
}

/*
 * The OOM reaper takes the memory of a process that is being killed and cannot
 * exit yet. Shared memory it leaves alone, but a window that may only be read
 * does not look shared. It may take the links away, and nothing else.
 */
TEST_F(oom, reaped)
{
	struct peer *p = &self->user;
	struct mshare_stat was;
	int fd, pidfd, status;
	long base, ro, anon;

	base = MAKE();
	ASSERT_LT(0, base);
	EXPECT_EQ(0, peer_call(&self->maker, op_fill, base, 1, NPAGES));
	fd = open(MS_DIR "/a", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, peer_call(p, op_enter, L(USER)));
	attach_far(_metadata, p);
	ro = peer_attach(p, MS_DIR "/a", O_RDONLY, PROT_READ);
	ASSERT_LT(0, ro);
	EXPECT_EQ(0, peer_call(p, op_damaged, ro, 1, NPAGES));
	ASSERT_LT(0, peer_call(p, op_private, LIMIT / 2));
	anon = cg_stat(USER, "anon");
	EXPECT_LE(L(LIMIT / 2), anon);
	was = region_stat(fd);

	/* It is kept on its way out, with all that it has. */
	pidfd = syscall(__NR_pidfd_open, p->pid, 0);
	ASSERT_LE(0, pidfd);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, p->pid, NULL, PTRACE_O_TRACEEXIT));
	ASSERT_EQ(0, kill(p->pid, SIGKILL));
	ASSERT_EQ(p->pid, waitpid(p->pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status) &&
		    status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	ASSERT_EQ(0, syscall(__NR_process_mrelease, pidfd, 0));
	EXPECT_EQ(0, cg_stat_settles(USER, "anon", 0));
	EXPECT_EQ(was.processes, region_stat(fd).processes);
	EXPECT_EQ(was.links - 1, region_stat(fd).links);
	EXPECT_EQ(was.resident, region_stat(fd).resident);
	EXPECT_EQ(was.page_tables, region_stat(fd).page_tables);
	EXPECT_EQ(0, peer_call(&self->maker, op_damaged, base, 1, NPAGES));
	EXPECT_EQ(0, peer_call(&self->maker, op_fill, base, 2, NPAGES));

	ASSERT_EQ(0, ptrace(PTRACE_CONT, p->pid, NULL, NULL));
	status = peer_stop(p);
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(was.processes - 1, region_stat(fd).processes);
	EXPECT_EQ(was.links - 2, region_stat(fd).links);
	EXPECT_EQ(0, peer_call(&self->maker, op_damaged, base, 2, NPAGES));
	close(fd);
}

TEST_HARNESS_MAIN
