// SPDX-License-Identifier: GPL-2.0
/* mshare debug switches: break mshare, or widen a race, for tests */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/sched.h>

#include "internal.h"

bool mshare_no_flush;
bool mshare_no_catch_up;

static u32 memcg_delay;

/* Delay kernel threads only: khugepaged comes without a lock of the host mm. */
void mshare_delay_memcg(void)
{
	u32 ms = READ_ONCE(memcg_delay);

	if (unlikely(ms) && current->flags & PF_KTHREAD)
		mdelay(ms);
}

static int __init mshare_debug_init(void)
{
	struct dentry *dir = debugfs_create_dir("mshare", NULL);

	debugfs_create_bool("no_flush", 0600, dir, &mshare_no_flush);
	debugfs_create_bool("no_catch_up", 0600, dir, &mshare_no_catch_up);
	debugfs_create_u32("memcg_delay", 0600, dir, &memcg_delay);
	return 0;
}
late_initcall(mshare_debug_init);
