/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mshare

#if !defined(_TRACE_MSHARE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_MSHARE_H

#include <linux/mm.h>
#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

/* A region is named by the inode number of its file. Offsets are in bytes. */

DECLARE_EVENT_CLASS(mshare_region,

	TP_PROTO(u64 region),

	TP_ARGS(region),

	TP_STRUCT__entry(
		__field(u64, region)
	),

	TP_fast_assign(
		__entry->region = region;
	),

	TP_printk("region=%llu", __entry->region)
);

DEFINE_EVENT(mshare_region, mshare_region_create,
	TP_PROTO(u64 region),
	TP_ARGS(region)
);

DEFINE_EVENT(mshare_region, mshare_region_destroy,
	TP_PROTO(u64 region),
	TP_ARGS(region)
);

DECLARE_EVENT_CLASS(mshare_range,

	TP_PROTO(u64 region, u64 offset, u64 size, unsigned long prot, int ret),

	TP_ARGS(region, offset, size, prot, ret),

	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, offset)
		__field(u64, size)
		__field(unsigned long, prot)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->region = region;
		__entry->offset = offset;
		__entry->size = size;
		__entry->prot = prot;
		__entry->ret = ret;
	),

	TP_printk("region=%llu offset=%#llx size=%#llx prot=%#lx ret=%d",
		  __entry->region, __entry->offset, __entry->size,
		  __entry->prot, __entry->ret)
);

DEFINE_EVENT(mshare_range, mshare_map,
	TP_PROTO(u64 region, u64 offset, u64 size, unsigned long prot, int ret),
	TP_ARGS(region, offset, size, prot, ret)
);

DEFINE_EVENT(mshare_range, mshare_unmap,
	TP_PROTO(u64 region, u64 offset, u64 size, unsigned long prot, int ret),
	TP_ARGS(region, offset, size, prot, ret)
);

DEFINE_EVENT(mshare_range, mshare_protect,
	TP_PROTO(u64 region, u64 offset, u64 size, unsigned long prot, int ret),
	TP_ARGS(region, offset, size, prot, ret)
);

TRACE_EVENT(mshare_link,

	TP_PROTO(u64 region, unsigned long address, unsigned long vm_flags),

	TP_ARGS(region, address, vm_flags),

	TP_STRUCT__entry(
		__field(u64, region)
		__field(unsigned long, address)
		__field(unsigned long, vm_flags)
	),

	TP_fast_assign(
		__entry->region = region;
		__entry->address = address;
		__entry->vm_flags = vm_flags;
	),

	TP_printk("region=%llu address=%#lx flags=%s", __entry->region,
		  __entry->address, show_vma_flags(__entry->vm_flags))
);

TRACE_EVENT(mshare_unlink,

	TP_PROTO(u64 region, unsigned long address),

	TP_ARGS(region, address),

	TP_STRUCT__entry(
		__field(u64, region)
		__field(unsigned long, address)
	),

	TP_fast_assign(
		__entry->region = region;
		__entry->address = address;
	),

	TP_printk("region=%llu address=%#lx", __entry->region,
		  __entry->address)
);

TRACE_EVENT(mshare_fault,

	TP_PROTO(u64 region, u64 offset, unsigned int flags, unsigned int ret),

	TP_ARGS(region, offset, flags, ret),

	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, offset)
		__field(unsigned int, flags)
		__field(unsigned int, ret)
	),

	TP_fast_assign(
		__entry->region = region;
		__entry->offset = offset;
		__entry->flags = flags;
		__entry->ret = ret;
	),

	TP_printk("region=%llu offset=%#llx flags=%s ret=%#x", __entry->region,
		  __entry->offset,
		  __print_flags(__entry->flags, "|", FAULT_FLAG_TRACE),
		  __entry->ret)
);

TRACE_EVENT(mshare_flush,

	TP_PROTO(u64 region, unsigned long mms, unsigned int cpus,
		 bool freed_tables),

	TP_ARGS(region, mms, cpus, freed_tables),

	TP_STRUCT__entry(
		__field(u64, region)
		__field(unsigned long, mms)
		__field(unsigned int, cpus)
		__field(bool, freed_tables)
	),

	TP_fast_assign(
		__entry->region = region;
		__entry->mms = mms;
		__entry->cpus = cpus;
		__entry->freed_tables = freed_tables;
	),

	TP_printk("region=%llu mms=%lu cpus=%u freed_tables=%d",
		  __entry->region, __entry->mms, __entry->cpus,
		  __entry->freed_tables)
);

#endif /* _TRACE_MSHARE_H */

#include <trace/define_trace.h>
