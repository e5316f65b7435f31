// SPDX-License-Identifier: GPL-2.0
/*
 * Core dumps of a process with windows: what it could see is in them, whoever
 * has written it; what is excluded is not; and holes cost nothing.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include <elf.h>

#define NPAGES	8UL
#define LARGE	512UL	/* units */

FIXTURE(coredump) {
	size_t unit, size;
	int fd;
	char *base;		/* window of all */
	struct peer p;
	long other;
};

FIXTURE_SETUP(coredump)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->size = UNITS * self->unit;
	self->base = ms_container_pair(_metadata, self->size, &self->fd,
				       &self->p, &self->other);
	for (unsigned int i = 0; i < UNITS; i++) {
		ASSERT_EQ(0, region_anon(self->fd, i * self->unit, 64 * MIB));
		/* The dumping process does not touch the first unit. */
		if (!i)
			peer_call(&self->p, op_fill, self->other, 0, NPAGES);
		else
			fill(self->base + i * self->unit, i, NPAGES);
	}
}

FIXTURE_TEARDOWN(coredump)
{
	EXPECT_EQ(0, peer_stop(&self->p));
}

#define CORE "/tmp/mshare-core"

static int crash(void *arg)
{
	struct rlimit rl = { RLIM_INFINITY, RLIM_INFINITY };

	CHECK(!setrlimit(RLIMIT_CORE, &rl));
	CHECK(!write_file("/proc/self/coredump_filter", arg));
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* The word at @addr in the dump; -1 when it has no such address. */
static long core_load(int fd, unsigned long addr)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	uint64_t val = 0;

	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return -1;
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) !=
		    sizeof(ph))
			return -1;
		if (ph.p_type != PT_LOAD || addr < ph.p_vaddr ||
		    addr >= ph.p_vaddr + ph.p_filesz)
			continue;
		if (pread(fd, &val, 8, ph.p_offset + addr - ph.p_vaddr) != 8)
			return -1;
		return val;
	}
	return -1;
}

static int core_of(const char *filter)
{
	char saved[256];
	int status, fd;

	/* A tmpfs takes the holes of a dump for what they are. */
	if (mount("core", "/tmp", "tmpfs", 0, NULL))
		return -errno;
	if (read_file("/proc/sys/kernel/core_pattern", saved, 256) < 0 ||
	    write_file("/proc/sys/kernel/core_pattern", CORE) ||
	    write_file("/proc/sys/kernel/core_uses_pid", "0"))
		return -EIO;
	status = in_child(crash, (void *)filter);
	fd = open(CORE, O_RDONLY);
	unlink(CORE);
	write_file("/proc/sys/kernel/core_pattern", saved);
	return status == 128 + SIGABRT ? fd : -EIO;
}

/* How many words of the pages at @at are in the dump as fill() wrote them. */
static unsigned long dumped(int core, const char *at, unsigned int region)
{
	unsigned long good = 0;

	for (unsigned long i = 0; i < NPAGES; i++)
		good += core_load(core, L(at) + i * PAGE) ==
			(long)pattern(region, i);
	return good;
}

TEST_F(coredump, contents)
{
	uint64_t resident = region_stat(self->fd).resident;
	int core = core_of("0xff");

	ASSERT_LE(0, core);
	for (unsigned int i = 0; i < UNITS; i++) {
		EXPECT_EQ(NPAGES, dumped(core, self->base + i * self->unit, i));
	}
	/* Pages that nobody has touched, and looking did not change that. */
	EXPECT_EQ(0, core_load(core, L(self->base) + 100 * PAGE));
	EXPECT_EQ(0, core_load(core, L(self->base) + 65 * MIB));
	EXPECT_EQ(resident, region_stat(self->fd).resident);
	close(core);
}

/* Pages on their way to swap, or there, are contents, not holes. */
TEST_F(coredump, swapped_out)
{
	uint64_t resident = region_stat(self->fd).resident;
	int core;

	for (unsigned int i = 0; i < UNITS; i++) {
		ASSERT_EQ(0, region_advise(self->fd, i * self->unit,
					   NPAGES * PAGE, MADV_PAGEOUT));
	}
	EXPECT_GT(resident, region_stat(self->fd).resident);
	core = core_of("0xff");
	ASSERT_LE(0, core);
	for (unsigned int i = 0; i < UNITS; i++) {
		EXPECT_EQ(NPAGES, dumped(core, self->base + i * self->unit, i));
	}
	close(core);
}

/* Windows are shared memory: of a file as long as the region has a name. */
TEST_F(coredump, filter)
{
	const struct {
		const char *filter;
		bool named, nameless;
	} want[] = {
		{ "0x11", false, false }, /* private memory */
		{ "0x2", false, true },	/* shared memory without a name */
		{ "0x8", true, false },	/* shared memory of files */
	};
	int core;

	for (unsigned int named = 2; named--;) {
		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			bool in = named ? want[i].named : want[i].nameless;

			core = core_of(want[i].filter);
			ASSERT_LE(0, core);
			EXPECT_EQ(in ? NPAGES : 0, dumped(core, self->base, 0))
				TH_LOG("filter %s", want[i].filter);
			close(core);
		}
		if (named)
			ASSERT_EQ(0, unlink(MS_DIR "/a"));
	}
}

TEST_F(coredump, dontdump)
{
	size_t unit = self->unit;
	int core;

	/* Of one unit; the others are there. */
	ASSERT_EQ(0, madvise(self->base + unit, unit, MADV_DONTDUMP));
	core = core_of("0xff");
	ASSERT_LE(0, core);
	EXPECT_EQ(NPAGES, dumped(core, self->base, 0));
	EXPECT_EQ(-1, core_load(core, L(self->base) + unit));
	EXPECT_EQ(NPAGES, dumped(core, self->base + 2 * unit, 2));
	close(core);
	ASSERT_EQ(0, madvise(self->base + unit, unit, MADV_DODUMP));
	core = core_of("0xff");
	ASSERT_LE(0, core);
	EXPECT_EQ(NPAGES, dumped(core, self->base + unit, 1));
	close(core);
}

/*
 * A dump has what the process could not read at the moment: as of ordinary
 * memory. Windows and mappings of less than everything.
 */
TEST_F(coredump, protection)
{
	int object = ms_memfd(_metadata, 5, NPAGES);
	char *plain = ms_map(object, NPAGES * PAGE, RW);
	size_t unit = self->unit;
	int core;

	ASSERT_NE(MAP_FAILED, plain);
	EXPECT_EQ(0, damaged(plain, 5, NPAGES));
	ASSERT_EQ(0, mprotect(plain, NPAGES * PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->base, unit, PROT_READ));
	ASSERT_EQ(0, mprotect(self->base + unit, unit, PROT_NONE));
	ASSERT_EQ(0, region_protect(self->fd, 2 * unit, MIB, PROT_READ));
	core = core_of("0xff");
	ASSERT_LE(0, core);
	EXPECT_EQ(NPAGES, dumped(core, plain, 5));
	EXPECT_EQ(NPAGES, dumped(core, self->base, 0));
	EXPECT_EQ(NPAGES, dumped(core, self->base + unit, 1));
	EXPECT_EQ(NPAGES, dumped(core, self->base + 2 * unit, 2));
	close(core);
	close(object);
}

/* A window that does not begin where the region does, at its own address. */
TEST_F(coredump, part_of_region)
{
	size_t unit = self->unit;
	char *part;
	int core;

	part = mmap(NULL, unit, PROT_READ, MAP_SHARED, self->fd, 2 * unit);
	ASSERT_NE(MAP_FAILED, part);
	ASSERT_EQ(0, munmap(self->base, self->size));
	core = core_of("0xff");
	ASSERT_LE(0, core);
	EXPECT_EQ(NPAGES, dumped(core, part, 2));
	EXPECT_EQ(-1, core_load(core, L(self->base)));
	close(core);
}

/* Objects of other kinds, small pages and huge ones. */
TEST_F(coredump, objects)
{
	int file, memfd = ms_memfd(_metadata, 10, NPAGES), huge, core;
	char *at = self->base + 128 * MIB;

	ASSERT_EQ(0, mount_disk());
	file = open(DISK "/f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, file_fill(file, 11, NPAGES));
	ASSERT_EQ(2, hugepage_pool(2));
	huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	ASSERT_EQ(0, ftruncate(huge, 2 * HUGE));
	ASSERT_EQ(0, region_map(self->fd, 128 * MIB, NPAGES * PAGE, RW, FIXED,
				memfd, 0));
	ASSERT_EQ(0, region_map(self->fd, 130 * MIB, NPAGES * PAGE, RW, FIXED,
				file, 0));
	ASSERT_EQ(0, region_map(self->fd, 132 * MIB, 2 * HUGE, RW, FIXED, huge,
				0));
	/* The second of the huge pages is not there. */
	fill(at + 4 * MIB, 12, NPAGES);
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + 128 * MIB,
			       10, NPAGES));
	EXPECT_EQ(0, peer_call(&self->p, op_damaged, self->other + 130 * MIB,
			       11, NPAGES));
	core = core_of("0xff");
	EXPECT_LE(0, core);
	EXPECT_EQ(NPAGES, dumped(core, at, 10));
	EXPECT_EQ(NPAGES, dumped(core, at + 2 * MIB, 11));
	EXPECT_EQ(NPAGES, dumped(core, at + 4 * MIB, 12));
	EXPECT_EQ(0, core_load(core, L(at) + 6 * MIB));
	EXPECT_EQ(1, hugepages("Free"));
	close(core);
	ASSERT_EQ(0, region_unmap(self->fd, 132 * MIB, 2 * HUGE));
	close(huge);
	close(file);
	EXPECT_EQ(0, hugepage_pool(0));
}

/*
 * 512 GiB with a few pages at both ends and in the middle: to look at every
 * page would take longer than the test may.
 */
TEST_F(coredump, time_goes_by_resident_pages)
{
	const size_t at[] = { 0, LARGE / 2 * self->unit + 5 * PAGE,
			      LARGE * self->unit - NPAGES * PAGE };
	int fd = ms_container(_metadata, MS_DIR "/large", LARGE * self->unit);
	char *base = ms_map(fd, LARGE * self->unit, RW);
	struct stat st;
	int core;

	ASSERT_NE(MAP_FAILED, base);
	ASSERT_EQ(0, region_map(fd, 0, LARGE * self->unit, RW,
				ANON | MAP_NORESERVE, -1, 0));
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		fill(base + at[i], 20 + i, NPAGES);
	core = core_of("0xff");
	ASSERT_LE(0, core);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		EXPECT_EQ(NPAGES, dumped(core, base + at[i], 20 + i));
	}
	ASSERT_EQ(0, fstat(core, &st));
	EXPECT_GT(64 * MIB, st.st_blocks * 512);
	close(core);
	close(fd);
}

TEST_HARNESS_MAIN
