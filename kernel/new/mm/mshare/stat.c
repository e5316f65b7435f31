// SPDX-License-Identifier: GPL-2.0
/* mshare statistics: /sys/kernel/mm/mshare/ */
#include <linux/atomic.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/sysfs.h>

#include "internal.h"

static atomic_long_t stats[NR_MSHARE_STATS];

void mshare_stat_add(enum mshare_stat item, long n)
{
	atomic_long_add(n, &stats[item]);
}

static ssize_t stat_show(char *buf, enum mshare_stat item)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&stats[item]));
}

static ssize_t regions_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return stat_show(buf, MSHARE_STAT_REGIONS);
}

static struct kobj_attribute regions_attr = __ATTR_RO(regions);

static ssize_t windows_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return stat_show(buf, MSHARE_STAT_WINDOWS);
}

static struct kobj_attribute windows_attr = __ATTR_RO(windows);

static struct attribute *mshare_attrs[] = {
	&regions_attr.attr,
	&windows_attr.attr,
	NULL,
};

static const struct attribute_group mshare_attr_group = {
	.name	= "mshare",
	.attrs	= mshare_attrs,
};

int __init mshare_stat_init(void)
{
	return sysfs_create_group(mm_kobj, &mshare_attr_group);
}
