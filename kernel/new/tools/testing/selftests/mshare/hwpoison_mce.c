// SPDX-License-Identifier: GPL-2.0
/*
 * A processor that comes to a bad frame of a region again: the kernel knows the
 * frame already, there is nothing left to unmap, and the address for the signal
 * has to be found in page tables. Needs a machine that recovers from machine
 * checks; frames are not given back afterwards, as no test may after a real one.
 */
#include "mshare_test.h"
#include "lib_container.h"
#include "lib_objects.h"
#include "lib_pfn.h"
#include "lib_hwpoison.h"
#include <asm/mce.h>

/*
 * A machine check of this process: "load, in user mode, of this address, can be
 * continued". From asm/mce.h of the kernel, which has them for itself only.
 */
#define MCG_RIPV	(1ull << 0)
#define MCG_EIPV	(1ull << 1)
#define MCG_MCIP	(1ull << 2)
#define MCG_LMCES	(1ull << 3)
#define MCI_VAL		(1ull << 63)
#define MCI_UC		(1ull << 61)
#define MCI_EN		(1ull << 60)
#define MCI_MISCV	(1ull << 59)
#define MCI_ADDRV	(1ull << 58)
#define MCI_S		(1ull << 56)
#define MCI_AR		(1ull << 55)
#define MCACOD_DATA	0x134
#define MISC_PHYSICAL	(2 << 6 | 12)	/* address, of a page */
#define MCJ_PROCESS	1
#define MCJ_EXCEPTION	8
#define USER_CS		0x33
#define BANK		1

/* a[0]: frame */
static long op_machine_check(const long *a)
{
	struct mce m = {
		.status = MCI_VAL | MCI_UC | MCI_EN | MCI_MISCV | MCI_ADDRV |
			  MCI_S | MCI_AR | MCACOD_DATA,
		.misc = MISC_PHYSICAL,
		.addr = a[0] * PAGE,
		.mcgstatus = MCG_RIPV | MCG_EIPV | MCG_MCIP | MCG_LMCES,
		.inject_flags = MCJ_PROCESS | MCJ_EXCEPTION,
		.cs = USER_CS,
		.bank = BANK,
	};
	int fd = open("/dev/mcelog", O_RDWR | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	pin(0);
	if (write(fd, &m, sizeof(m)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

FIXTURE(machinecheck) {
	size_t unit;
	int fd;
	struct peer p, elsewhere;
	long at;
};

FIXTURE_SETUP(machinecheck)
{
	self->unit = ms_setup(_metadata, NULL);
	if (!self->unit)
		return;
	self->fd = ms_container(_metadata, MS_DIR "/a", 2 * self->unit);
	self->p = attached(_metadata, self->unit, 0, 1, &self->at);
	self->elsewhere = attached(_metadata, self->unit, 1, 1, NULL);
	EXPECT_EQ(0, peer_call(&self->p, op_expect, false));
	EXPECT_EQ(0, peer_call(&self->elsewhere, op_expect, false));
}

FIXTURE_TEARDOWN(machinecheck)
{
	if (!self->unit)
		return;
	EXPECT_EQ(0, TOLD(&self->elsewhere, COUNT));
	EXPECT_EQ(0, peer_stop(&self->p));
	EXPECT_EQ(0, peer_stop(&self->elsewhere));
}

TEST_F(machinecheck, page)
{
	int object = ms_memfd(_metadata, 1, BAD + 1);
	uint64_t pfn[BAD + 1];

	ASSERT_EQ(0, region_map(self->fd, 0, (BAD + 1) * PAGE, RW, FIXED,
				object, 0));
	EXPECT_EQ(pattern(1, BAD), peer_call(&self->p, op_load, self->at));
	ASSERT_EQ(0, file_frames(object, pfn, BAD + 1));
	ASSERT_EQ(0, write_number(HWPOISON "corrupt-pfn", pfn[BAD]));
	/* It did not want to be told before it comes there. */
	EXPECT_EQ(0, TOLD(&self->p, COUNT));
	EXPECT_EQ(0, peer_call(&self->p, op_machine_check, pfn[BAD]));
	EXPECT_EQ(1, TOLD(&self->p, COUNT));
	EXPECT_EQ(BUS_MCEERR_AR, TOLD(&self->p, CODE));
	EXPECT_EQ(self->at, TOLD(&self->p, ADDR));
	EXPECT_EQ(12, TOLD(&self->p, LSB));
}

TEST_F(machinecheck, hugetlb)
{
	int object = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
				  MFD_HUGE_2MB);
	uint64_t pfn[HUGE / PAGE];

	ASSERT_EQ(2, hugepage_pool(2));
	ASSERT_EQ(0, ftruncate(object, HUGE));
	ASSERT_EQ(0, region_map(self->fd, 0, HUGE, RW, FIXED, object, 0));
	EXPECT_EQ(0, peer_call(&self->p, op_load, self->at));
	ASSERT_EQ(0, file_frames(object, pfn, HUGE / PAGE));
	ASSERT_EQ(0, write_number(HWPOISON "corrupt-pfn", pfn[BAD]));
	EXPECT_EQ(0, TOLD(&self->p, COUNT));
	EXPECT_EQ(0, peer_call(&self->p, op_machine_check, pfn[BAD]));
	EXPECT_EQ(1, TOLD(&self->p, COUNT));
	EXPECT_EQ(BUS_MCEERR_AR, TOLD(&self->p, CODE));
	EXPECT_EQ(self->at & ~L(HUGE - 1), TOLD(&self->p, ADDR) & ~L(HUGE - 1));
	EXPECT_EQ(21, TOLD(&self->p, LSB));
	hugepage_pool(0);
}

TEST_HARNESS_MAIN
