// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of the ioctls that make no sense: every field, flag and pointer.
 * Each gets the documented errno, and nothing of the region has changed. What
 * can be wrong about the files is in fail_file.c.
 */
#include "mshare_test.h"
#include "lib_unchanged.h"

FIXTURE(badinput) {
	size_t unit;
	struct scene s;
	struct snapshot before;
};

FIXTURE_SETUP(badinput)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	scene_make(_metadata, &self->s, MS_DIR "/scene", self->unit);
	/* Looking brings pages in, the first time. */
	snapshot_take(_metadata, &self->s, &self->before);
	snapshot_take(_metadata, &self->s, &self->before);
	ASSERT_EQ(6, self->before.mappings);
}

FIXTURE_TEARDOWN(badinput)
{
}

static char text[200];

static const char *say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* The call fails with @err and changes nothing. */
#define REFUSED(err, call, ...) do {					\
	int ret_ = (call);						\
	const char *what_ = say(__VA_ARGS__);				\
	EXPECT_EQ(-(err), ret_) {					\
		TH_LOG("%s: %s, expected %s", what_, strerror(-ret_),	\
		       strerror(err));					\
	}								\
	snapshot_compare(_metadata, &self->s, &self->before, what_);	\
} while (0)

/* The ioctls that change a region, with an argument that would be good. */
union argument {
	struct {
		uint64_t region_offset;
		uint64_t size;
	} range;			/* the first of each of them */
	struct mshare_create create;
	struct mshare_unmap unmap;
	struct mshare_protect protect;
	struct mshare_advise advise;
	struct mshare_lock lock;
	struct mshare_stat stat;
	struct mshare_mapping mapping;
	char bytes[128];
};

struct command {
	const char *name;
	unsigned int nr;
	size_t size;
	union argument good;
	int empty;	/* what it gives where nothing is mapped */
};

#define GOOD_RANGE	.region_offset = ANON_AT * PAGE, .size = PAGE

static const struct command changing[] = {
	{
		"CREATE_MAPPING", MSHAREFS_CREATE_MAPPING,
		sizeof(struct mshare_create),
		{ .create = {
			GOOD_RANGE, .prot = RW, .flags = ANON, .fd = -1,
		} }, 0,
	}, {
		"UNMAP", MSHAREFS_UNMAP, sizeof(struct mshare_unmap),
		{ .unmap = { GOOD_RANGE } }, 0,
	}, {
		"PROTECT", MSHAREFS_PROTECT, sizeof(struct mshare_protect),
		{ .protect = { GOOD_RANGE, .prot = PROT_READ } }, -ENOMEM,
	}, {
		"ADVISE", MSHAREFS_ADVISE, sizeof(struct mshare_advise),
		{ .advise = { GOOD_RANGE, .advice = MADV_REMOVE } }, -ENOMEM,
	}, {
		"LOCK", MSHAREFS_LOCK, sizeof(struct mshare_lock),
		{ .lock = { GOOD_RANGE, .op = MSHAREFS_LOCK_ON } }, -ENOMEM,
	},
};

/* All edges of pages, units and numbers, as offset and as size. */
TEST_F_TIMEOUT(badinput, range, 600)
{
	const uint64_t unit = self->unit, size = self->s.size;
	const uint64_t val[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, unit - 1, unit, unit + PAGE,
		size - PAGE - 1, size - PAGE, size - 1, size, size + 1,
		size + PAGE, 1ull << 32, (1ull << 32) + PAGE,
		(1ull << 46) - PAGE, 1ull << 46, (1ull << 63) - PAGE,
		(1ull << 63) - 1, 1ull << 63, (1ull << 63) + PAGE,
		-(uint64_t)size, -(uint64_t)unit, -(uint64_t)PAGE,
		-(uint64_t)PAGE - 1, ~0ull,
	};
	int empty = ms_container(_metadata, MS_DIR "/empty", size);
	unsigned int good = 0;

	for (size_t c = 0; c < ARRAY_SIZE(changing); c++) {
		const struct command *cmd = &changing[c];
		union argument arg = cmd->good;

		for (size_t i = 0; i < ARRAY_SIZE(val) * ARRAY_SIZE(val); i++) {
			uint64_t at = val[i / ARRAY_SIZE(val)];
			uint64_t len = val[i % ARRAY_SIZE(val)];
			__uint128_t end = (__uint128_t)at + len;
			bool ok = !(at % PAGE) && !(len % PAGE) && len &&
				  end <= size;

			arg.range.region_offset = at;
			arg.range.size = len;
			/* Where nothing is, what is right can be told, too. */
			EXPECT_EQ(ok ? cmd->empty : -EINVAL,
				  region_ioctl(empty, cmd->nr, &arg)) {
				TH_LOG("%s at %#llx, size %#llx", cmd->name,
				       (unsigned long long)at,
				       (unsigned long long)len);
			}
			if (ok) {
				good++;
				ASSERT_EQ(0, region_unmap(empty, at, len));
				continue;
			}
			REFUSED(EINVAL, region_ioctl(self->s.fd, cmd->nr, &arg),
				"%s at %#llx, size %#llx", cmd->name,
				(unsigned long long)at,
				(unsigned long long)len);
		}
	}
	EXPECT_LT(0, good);
	EXPECT_EQ(0, region_stat(empty).mappings);
	EXPECT_EQ(0, region_stat(empty).locked);
}

/* A region that has no size yet has no place for anything. */
TEST_F(badinput, no_size)
{
	int fd = open(MS_DIR "/none", O_RDWR | O_CREAT | O_EXCL, 0600);
	struct mshare_mapping m;
	struct stat st;

	ASSERT_LE(0, fd);
	for (size_t c = 0; c < ARRAY_SIZE(changing); c++) {
		EXPECT_EQ(-EINVAL, region_ioctl(fd, changing[c].nr,
						&changing[c].good)) {
			TH_LOG("%s", changing[c].name);
		}
	}
	EXPECT_EQ(0, region_stat(fd).size);
	EXPECT_EQ(0, region_stat(fd).mappings);
	EXPECT_EQ(-ENOENT, region_next(fd, 0, &m));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_size);
	/* And it is not spoiled. */
	EXPECT_NE(MAP_FAILED, ms_map(fd, self->unit, RW));
}

/* Bits that mean nothing, one by one, with all others as they should be. */
TEST_F(badinput, prot)
{
	for (unsigned int bit = 3; bit < 32; bit++) {
		uint32_t prot = PROT_READ | 1u << bit;

		REFUSED(EINVAL, region_map(self->s.fd, 0, PAGE, prot, ANON, -1,
					   0), "CREATE_MAPPING, prot %#x", prot);
		REFUSED(EINVAL, region_protect(self->s.fd, 0, PAGE, prot),
			"PROTECT, prot %#x", prot);
	}
	for (int prot = 0; prot < 8; prot++) {
		EXPECT_EQ(0, region_protect(self->s.fd, 0, PAGE, prot));
		EXPECT_EQ(0, region_map(self->s.fd, PAGE, PAGE, prot, ANON, -1,
					0));
	}
}

TEST_F(badinput, flags)
{
	for (size_t c = 0; c < ARRAY_SIZE(changing); c++) {
		const struct command *cmd = &changing[c];
		union argument arg;

		/* All of these have them in the same place. */
		if (cmd->size != sizeof(struct mshare_protect))
			continue;
		for (unsigned int bit = 0; bit < 32; bit++) {
			if (cmd->nr == MSHAREFS_LOCK &&
			    1u << bit == MSHAREFS_LOCK_ONFAULT)
				continue;
			arg = cmd->good;
			arg.protect.flags = 1u << bit;
			REFUSED(EINVAL, region_ioctl(self->s.fd, cmd->nr, &arg),
				"%s, flags %#x", cmd->name, arg.protect.flags);
		}
	}
	REFUSED(EINVAL, region_lock(self->s.fd, 0, PAGE, MSHAREFS_LOCK_OFF,
				    MSHAREFS_LOCK_ONFAULT), "LOCK_OFF, ONFAULT");
}

TEST_F(badinput, lock_op)
{
	const uint32_t op[] = { 0, 3, 4, 1u << 16, 1u << 31, (1u << 31) | 1,
				~0u };

	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		REFUSED(EINVAL, region_lock(self->s.fd, 0, PAGE, op[i], 0),
			"LOCK, op %#x", op[i]);
	/* A hole fails before the rest of it is locked. */
	REFUSED(ENOMEM, region_lock(self->s.fd, ANON_AT * PAGE,
				    (SCENE_PART + 1) * PAGE, MSHAREFS_LOCK_ON,
				    0), "LOCK, hole at the end");
	REFUSED(ENOMEM, region_lock(self->s.fd, (MEMFD_AT - 1) * PAGE,
				    2 * PAGE, MSHAREFS_LOCK_ON,
				    MSHAREFS_LOCK_ONFAULT),
		"LOCK, hole at the start");
	REFUSED(ENOMEM, region_lock(self->s.fd, 0, self->s.size,
				    MSHAREFS_LOCK_ON, 0), "LOCK, all");
}

static bool advice_known(int advice)
{
	const int known[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_REMOVE, MADV_DONTDUMP, MADV_DODUMP,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD, MADV_PAGEOUT,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, 25 /* COLLAPSE */,
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (advice == known[i])
			return true;
	}
	return false;
}

TEST_F(badinput, advice)
{
	unsigned int known = 0;

	for (unsigned int advice = 0; advice < 256; advice++) {
		if (advice_known(advice)) {
			known++;
			continue;
		}
		REFUSED(EINVAL, region_advise(self->s.fd, 0, PAGE, advice),
			"ADVISE, %u", advice);
	}
	for (unsigned int bit = 8; bit < 32; bit++)
		REFUSED(EINVAL, region_advise(self->s.fd, 0, PAGE, 1u << bit),
			"ADVISE, %#x", 1u << bit);
	EXPECT_EQ(15, known);
}

/* Protection beyond the object, with what comes before it left alone. */
TEST_F(badinput, protect_beyond)
{
	const size_t both = 2 * SCENE_PART * PAGE;

	REFUSED(EACCES, region_protect(self->s.fd, SEALED_AT * PAGE, PAGE, RW),
		"PROTECT of a sealed object");
	REFUSED(EACCES, region_protect(self->s.fd, MEMFD_AT * PAGE, both, RW),
		"PROTECT of two objects");
	REFUSED(ENOMEM, region_protect(self->s.fd, ANON_AT * PAGE,
				       (SCENE_PART + 1) * PAGE, PROT_NONE),
		"PROTECT with a hole at the end");
	REFUSED(ENOMEM, region_protect(self->s.fd, (MEMFD_AT - 1) * PAGE,
				       2 * PAGE, PROT_NONE),
		"PROTECT with a hole at the start");
	REFUSED(ENOMEM, region_protect(self->s.fd, 0, self->s.size, PROT_NONE),
		"PROTECT of all");
}

TEST_F(badinput, create_flags)
{
	const uint32_t known = MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE |
			       MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE |
			       MAP_POPULATE | MAP_LOCKED | MAP_SYNC;
	const uint32_t bad[] = {
		/* Neither of the two that say where. */
		MAP_SHARED | MAP_ANONYMOUS,
		MAP_SHARED_VALIDATE | MAP_ANONYMOUS,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		/* Sizes that there are no pages of. */
		ANON | MAP_HUGETLB | 13 << MAP_HUGE_SHIFT,
		ANON | MAP_HUGETLB | 63u << MAP_HUGE_SHIFT,
		ANON | MAP_HUGETLB | 12 << MAP_HUGE_SHIFT,
		/* As large as a unit. */
		ANON | MAP_HUGETLB | 30u << MAP_HUGE_SHIFT,
		/* No page of hugetlb at 0, size PAGE. */
		ANON | MAP_HUGETLB, ANON | MAP_HUGETLB | MAP_HUGE_2MB,
		0, ~0u,
	};

	for (unsigned int type = 0; type <= MAP_TYPE; type++) {
		uint32_t flags = MAP_FIXED | MAP_ANONYMOUS | type;

		if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
			continue;
		REFUSED(EINVAL, region_map(self->s.fd, 0, PAGE, RW, flags, -1,
					   0), "CREATE_MAPPING, flags %#x", flags);
	}
	for (unsigned int bit = 0; bit < 32; bit++) {
		uint32_t flags = ANON | 1u << bit;

		if (known & 1u << bit)
			continue;
		REFUSED(EINVAL, region_map(self->s.fd, 0, PAGE, RW, flags, -1,
					   0), "CREATE_MAPPING, flags %#x", flags);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		REFUSED(EINVAL, region_map(self->s.fd, 0, PAGE, RW, bad[i], -1,
					   0), "CREATE_MAPPING, flags %#x",
			bad[i]);
	/* Without anonymous memory a file is looked for. */
	REFUSED(EBADF, region_map(self->s.fd, 0, PAGE, RW, FIXED, -1, 0),
		"CREATE_MAPPING without a file");
	REFUSED(EINVAL, region_map(self->s.fd, 0, PAGE, RW, FIXED | MAP_HUGETLB,
				   self->s.object, 0),
		"CREATE_MAPPING, MAP_HUGETLB of a memfd");

	/* With both, what is there is not replaced. */
	REFUSED(EEXIST, region_map(self->s.fd, 0, PAGE, RW, ANON |
				   MAP_FIXED_NOREPLACE, -1, 0),
		"CREATE_MAPPING, both");
	REFUSED(EEXIST, region_map(self->s.fd, (SCENE_PART - 1) * PAGE,
				   2 * PAGE, RW, NOREPLACE | MAP_ANONYMOUS, -1,
				   0), "CREATE_MAPPING over an end");
	REFUSED(EEXIST, region_map(self->s.fd, (MEMFD_AT - 1) * PAGE,
				   2 * PAGE, RW, NOREPLACE | MAP_ANONYMOUS, -1,
				   0), "CREATE_MAPPING over a start");
	REFUSED(EEXIST, region_map(self->s.fd, 0, self->s.size, RW,
				   NOREPLACE | MAP_ANONYMOUS, -1, 0),
		"CREATE_MAPPING over all");
}

/* Where in the object. What an anonymous mapping has there does not matter. */
TEST_F(badinput, create_offset)
{
	const struct {
		uint64_t offset, size;
		int err;
	} bad[] = {
		{ 1, PAGE, EINVAL },
		{ PAGE - 1, PAGE, EINVAL },
		{ PAGE + 1, PAGE, EINVAL },
		{ (1ull << 63) + 1, PAGE, EINVAL },
		{ ~0ull, PAGE, EINVAL },
		{ -(uint64_t)PAGE, 2 * PAGE, EOVERFLOW },
		{ -(uint64_t)PAGE, PAGE, EOVERFLOW },
		{ 1ull << 63, PAGE, EOVERFLOW },
		{ (1ull << 63) - PAGE, 2 * PAGE, EOVERFLOW },
		{ -(uint64_t)self->s.size, self->s.size, EOVERFLOW },
	};
	const uint64_t any[] = { 1, PAGE + 1, 1ull << 63, ~0ull };
	struct mshare_mapping m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int ret = region_map(self->s.fd, 0, bad[i].size, RW, FIXED,
				     self->s.object, bad[i].offset);

		/* mmap(2) has the one, where it cannot mean the other. */
		EXPECT_TRUE(ret == -bad[i].err ||
			    (bad[i].err == EOVERFLOW && ret == -EINVAL)) {
			TH_LOG("offset %#llx: %s",
			       (unsigned long long)bad[i].offset,
			       strerror(-ret));
		}
		snapshot_compare(_metadata, &self->s, &self->before,
				 say("CREATE_MAPPING, offset %#llx",
				     (unsigned long long)bad[i].offset));
	}
	for (size_t i = 0; i < ARRAY_SIZE(any); i++) {
		EXPECT_EQ(0, region_map(self->s.fd, 0, PAGE, RW, ANON, 12345,
					any[i]));
		ASSERT_EQ(0, region_next(self->s.fd, 0, &m));
		EXPECT_EQ(0, m.object_offset);
	}
}

/* Four bytes that were never set must not be looked at. */
TEST_F(badinput, create_padding)
{
	union argument arg = changing[0].good;

	for (unsigned int bit = 0; bit < 32; bit++) {
		arg.create.padding = 1u << bit;
		EXPECT_EQ(0, region_ioctl(self->s.fd, MSHAREFS_CREATE_MAPPING,
					  &arg));
	}
}

TEST_F(badinput, next_mapping)
{
	struct mshare_mapping m, clean;
	const uint64_t none[] = { self->s.size, self->s.size + 1,
				  self->s.size + PAGE, 1ull << 46, 1ull << 47,
				  1ull << 63, -(uint64_t)PAGE, ~0ull };

	for (unsigned int bit = 0; bit < 32; bit++) {
		m = (struct mshare_mapping){ .reserved = 1u << bit };
		clean = m;
		REFUSED(EINVAL, region_ioctl(self->s.fd, MSHAREFS_NEXT_MAPPING,
					     &m), "NEXT_MAPPING, reserved");
		/* Nor is anything written into the argument. */
		EXPECT_EQ(0, memcmp(&clean, &m, sizeof(m)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		REFUSED(ENOENT, region_next(self->s.fd, none[i], &m),
			"NEXT_MAPPING from %#llx",
			(unsigned long long)none[i]);

	/* What is for results only may hold anything. */
	ASSERT_EQ(0, region_next(self->s.fd, 0, &clean));
	memset(&m, 0xff, sizeof(m));
	m.offset = 0;
	m.reserved = 0;
	EXPECT_EQ(0, region_ioctl(self->s.fd, MSHAREFS_NEXT_MAPPING, &m));
	EXPECT_EQ(0, memcmp(&clean, &m, sizeof(m)));
	EXPECT_EQ(0, m.reserved);

	/* From the last byte of a mapping it is that one. */
	ASSERT_EQ(0, region_next(self->s.fd, SCENE_PART * PAGE - 1, &m));
	EXPECT_EQ(0, m.offset);
	ASSERT_EQ(0, region_next(self->s.fd, SCENE_PART * PAGE, &m));
	EXPECT_EQ(MEMFD_AT * PAGE, m.offset);
	ASSERT_EQ(0, region_next(self->s.fd, self->s.size - 1, &m));
	EXPECT_EQ(self->s.size - PAGE, m.offset);
	ASSERT_EQ(-ENOENT, region_next(self->s.fd, self->s.size, &m));
}

/* All of the result is written, and nothing behind it. */
TEST_F(badinput, results)
{
	unsigned char buf[256];
	struct mshare_stat *st = (void *)buf;

	memset(buf, 0xa5, sizeof(buf));
	ASSERT_EQ(0, region_ioctl(self->s.fd, MSHAREFS_STAT, buf));
	for (size_t i = 0; i < ARRAY_SIZE(st->reserved); i++) {
		EXPECT_EQ(0, st->reserved[i]);
	}
	EXPECT_EQ(self->s.size, st->size);
	EXPECT_LE(6, st->mappings);
	for (size_t i = sizeof(*st); i < sizeof(buf); i++) {
		EXPECT_EQ(0xa5, buf[i]);
	}
	memset(buf, 0xa5, sizeof(buf));
	memset(buf, 0, sizeof(struct mshare_mapping));
	ASSERT_EQ(0, region_ioctl(self->s.fd, MSHAREFS_NEXT_MAPPING, buf));
	for (size_t i = sizeof(struct mshare_mapping); i < sizeof(buf); i++) {
		EXPECT_EQ(0xa5, buf[i]);
	}
}

static const struct command all[] = {
	{ "STAT", MSHAREFS_STAT, sizeof(struct mshare_stat), {}, 0 },
	{ "NEXT_MAPPING", MSHAREFS_NEXT_MAPPING, sizeof(struct mshare_mapping),
	  {}, 0 },
	/* Nothing new, where it works. */
	{ "UNMAP", MSHAREFS_UNMAP, sizeof(struct mshare_unmap),
	  { .unmap = { 20 * PAGE, PAGE } }, 0 },
	{ "PROTECT", MSHAREFS_PROTECT, sizeof(struct mshare_protect),
	  { .protect = { 0, PAGE, RW, 0 } }, 0 },
	{ "ADVISE", MSHAREFS_ADVISE, sizeof(struct mshare_advise),
	  { .advise = { 0, PAGE, MADV_NORMAL, 0 } }, 0 },
	{ "LOCK", MSHAREFS_LOCK, sizeof(struct mshare_lock),
	  { .lock = { 0, PAGE, MSHAREFS_LOCK_OFF, 0 } }, 0 },
	{ "CREATE_MAPPING", MSHAREFS_CREATE_MAPPING,
	  sizeof(struct mshare_create),
	  { .create = { 0, PAGE, 0, RW, NOREPLACE | MAP_ANONYMOUS, -1, 0 } },
	  -EEXIST },
};

/* Where the argument is. */
TEST_F(badinput, pointers)
{
	char *page, *none;

	page = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	none = page + PAGE;
	ASSERT_EQ(0, mprotect(none, PAGE, PROT_NONE));

	for (size_t c = 0; c < ARRAY_SIZE(all); c++) {
		const struct command *cmd = &all[c];
		const unsigned long bad[] = {
			0, 1, PAGE - 1, L(none), L(none) + PAGE - 1,
			L(none) - 1, L(none) - (cmd->size - 1), 1UL << 46,
			(1UL << 47) - PAGE, 1UL << 47, 1UL << 56, 1UL << 63,
			-PAGE, -1UL, -8UL, 0xffff888000000000UL,
			0xffffffff81000000UL, 0xffffffffff600000UL,
		};

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			REFUSED(EFAULT, region_ioctl(self->s.fd, cmd->nr,
						     (void *)bad[i]),
				"%s, pointer %#lx", cmd->name, bad[i]);

		/* Up to the last byte, at every alignment. */
		for (unsigned int i = 0; i < 16; i++) {
			char *at = none - cmd->size - i;

			memcpy(at, &cmd->good, cmd->size);
			EXPECT_EQ(cmd->empty, region_ioctl(self->s.fd, cmd->nr,
							   at)) {
				TH_LOG("%s, %u bytes before the end",
				       cmd->name, i);
			}
		}
		/* Across a border that is none. */
		ASSERT_EQ(0, mprotect(none, PAGE, RW));
		memcpy(none - 3, &cmd->good, cmd->size);
		EXPECT_EQ(cmd->empty, region_ioctl(self->s.fd, cmd->nr,
						   none - 3));

		/* Where results cannot be written. */
		memcpy(none, &cmd->good, cmd->size);
		ASSERT_EQ(0, mprotect(none, PAGE, PROT_READ));
		EXPECT_EQ(_IOC_DIR(cmd->nr) & _IOC_READ ? -EFAULT : cmd->empty,
			  region_ioctl(self->s.fd, cmd->nr, none)) {
			TH_LOG("%s, argument write-protected", cmd->name);
		}
		ASSERT_EQ(0, mprotect(none, PAGE, PROT_NONE));
		snapshot_compare(_metadata, &self->s, &self->before, cmd->name);
	}
}

/*
 * The argument is in the region, where a fault needs the locks that the ioctl
 * takes: it must not wait for itself. As well when it is what is unmapped.
 */
TEST_F(badinput, argument_in_region)
{
	const size_t at = FRESH_AT * PAGE, part = SCENE_PART * PAGE;
	char *arg = self->s.base + at;
	const struct command *cmd;

	for (size_t c = 0; c < ARRAY_SIZE(all); c++) {
		cmd = &all[c];
		/* In a page that is there, across pages, in fresh ones. */
		memcpy(arg, &cmd->good, cmd->size);
		EXPECT_EQ(cmd->empty, region_ioctl(self->s.fd, cmd->nr, arg));
		memcpy(arg + PAGE - 3, &cmd->good, cmd->size);
		EXPECT_EQ(cmd->empty, region_ioctl(self->s.fd, cmd->nr,
						   arg + PAGE - 3));
		ASSERT_EQ(0, region_advise(self->s.fd, at, part, MADV_REMOVE));
		/* All zero: a range that is none. */
		EXPECT_EQ(_IOC_DIR(cmd->nr) & _IOC_READ ? 0 : -EINVAL,
			  region_ioctl(self->s.fd, cmd->nr,
				       arg + 2 * PAGE - 3)) {
			TH_LOG("%s", cmd->name);
		}
		/* In a hole, and where it may not. */
		EXPECT_EQ(-EFAULT, region_ioctl(self->s.fd, cmd->nr,
						arg + part));
		EXPECT_EQ(-EFAULT, region_ioctl(self->s.fd, cmd->nr,
						self->s.base + self->unit));
	}
	for (size_t c = 0; c < ARRAY_SIZE(changing); c++) {
		cmd = &changing[c];
		union argument good = cmd->good;

		good.range.region_offset = at;
		ASSERT_EQ(0, region_anon(self->s.fd, at, part));
		memcpy(arg, &good, cmd->size);
		EXPECT_EQ(0, region_ioctl(self->s.fd, cmd->nr, arg)) {
			TH_LOG("%s of its own argument", cmd->name);
		}
	}
}

/* The numbers of the ioctls and everything that looks like one of them. */
TEST_F(badinput, numbers)
{
	static const unsigned int sizes[] = {
		0, 1, 4, 8, 15, 16, 17, 23, 24, 25, 32, 39, 40, 41, 48, 63, 64,
		65, 127, 128, 129, 256, 4096, 16383,
	};
	unsigned int ours = 0, seen = 0;
	char buf[256] = "";

	for (unsigned int nr = 0; nr < 256; nr++) {
		for (unsigned int i = 0; i < 4 * ARRAY_SIZE(sizes); i++) {
			unsigned int cmd = _IOC(i % 4, 'x', nr, sizes[i / 4]);
			bool known = false;

			for (size_t c = 0; c < ARRAY_SIZE(all); c++)
				known |= cmd == all[c].nr;
			if (known) {
				ours++;
				continue;
			}
			if (ioctl(self->s.fd, cmd, buf) != -1 ||
			    errno != ENOTTY) {
				TH_LOG("ioctl %#x: %s", cmd, strerror(errno));
				seen++;
			}
		}
	}
	EXPECT_EQ(ARRAY_SIZE(all), ours);
	EXPECT_EQ(0, seen);
	/* The same numbers in other letters. */
	for (unsigned int type = 0; type < 256; type++) {
		for (size_t c = 0; type != 'x' && c < ARRAY_SIZE(all); c++) {
			unsigned int cmd = _IOC(_IOC_DIR(all[c].nr), type,
						_IOC_NR(all[c].nr),
						all[c].size);

			EXPECT_ERR(ENOTTY, ioctl(self->s.fd, cmd, buf));
		}
	}
	/* Of 64 bits only 32 are a number. */
	EXPECT_EQ(0, syscall(__NR_ioctl, self->s.fd,
			     MSHAREFS_STAT | 1ULL << 32, buf));
	snapshot_compare(_metadata, &self->s, &self->before, "other numbers");
}

TEST_HARNESS_MAIN
