// SPDX-License-Identifier: GPL-2.0
/* mshare statistics: of one region, and of all in /sys/kernel/mm/mshare/ */
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/sysfs.h>

#define CREATE_TRACE_POINTS
#include <trace/events/mshare.h>

#include "internal.h"

/* The count of one CPU may be negative: only the sum is meaningful. */
DEFINE_PER_CPU(long [NR_MSHARE_STATS], mshare_stats);

/* The exact sum, since get_mm_counter() may be off by some hundred pages. */
static u64 host_resident(struct mm_struct *host)
{
	u64 pages = 0;
	int member;

	for (member = 0; member < NR_MM_COUNTERS; member++)
		if (member != MM_SWAPENTS)
			pages += get_mm_counter_sum(host, member);
#ifdef CONFIG_HUGETLB_PAGE
	pages += atomic_long_read(&host->hugetlb_usage);
#endif
	return pages << PAGE_SHIFT;
}

/**
 * mshare_region_stat - get the statistics of a region
 * @region: the region
 * @stat: out: the statistics
 *
 * Numbers that change meanwhile may not match each other.
 *
 * Context: may sleep.
 */
void mshare_region_stat(struct mshare_region *region,
			struct mshare_region_stat *stat)
{
	struct mm_struct *host = region->host;
	int cpu;

	memset(stat, 0, sizeof(*stat));
	stat->size = READ_ONCE(region->size);
	stat->mappings = READ_ONCE(host->map_count);
	spin_lock(&region->attach_lock);
	stat->windows = region->windows;
	stat->processes = region->processes;
	spin_unlock(&region->attach_lock);
	stat->resident = host_resident(host);
	stat->page_tables = mm_pgtables_bytes(host);
	stat->locked = (u64)READ_ONCE(region->locked) << PAGE_SHIFT;
	stat->links = atomic_long_read(&region->links);
	stat->flushes = atomic_long_read(&region->flushes);
	for_each_possible_cpu(cpu)
		stat->faults += READ_ONCE(*per_cpu_ptr(region->faults, cpu));
}

static ssize_t stat_show(char *buf, enum mshare_stat_item item)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(mshare_stats, cpu)[item]);
	return sysfs_emit(buf, "%ld\n", sum);
}

#define MSHARE_STAT_ATTR(_name, _item)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return stat_show(buf, _item);					\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

MSHARE_STAT_ATTR(regions, MSHARE_STAT_REGIONS);
MSHARE_STAT_ATTR(windows, MSHARE_STAT_WINDOWS);
MSHARE_STAT_ATTR(links, MSHARE_STAT_LINKS);
MSHARE_STAT_ATTR(faults, MSHARE_STAT_FAULTS);
MSHARE_STAT_ATTR(flushes, MSHARE_STAT_FLUSHES);

static struct attribute *mshare_attrs[] = {
	&regions_attr.attr,
	&windows_attr.attr,
	&links_attr.attr,
	&faults_attr.attr,
	&flushes_attr.attr,
	NULL,
};

static const struct attribute_group mshare_attr_group = {
	.name	= "mshare",
	.attrs	= mshare_attrs,
};

static int __init mshare_stat_init(void)
{
	return sysfs_create_group(mm_kobj, &mshare_attr_group);
}
subsys_initcall(mshare_stat_init);
