/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What programs have compiled in of linux/msharefs.h, and what therefore never
 * changes. Compiled by abi.sh as many languages, never run, so there is nothing
 * in here that one of them would not know.
 */
#include <linux/msharefs.h>

/* Complete on its own, and harmless the second time. */
#include <linux/msharefs.h>

#include <stddef.h>

#define PIN(name, value, expected) \
	extern char pin_##name[(value) == (expected) ? 1 : -1]

#define SIZE(type, expected) \
	PIN(size_of_##type, sizeof(struct type), expected)

#define AT(type, field, offset, size)					\
	PIN(offset_of_##type##_##field, offsetof(struct type, field),	\
	    offset);							\
	PIN(size_of_##type##_##field,					\
	    sizeof(((struct type *)0)->field), size)

PIN(create_mapping, MSHAREFS_CREATE_MAPPING, 0x40287800U);
PIN(unmap, MSHAREFS_UNMAP, 0x40107801U);
PIN(protect, MSHAREFS_PROTECT, 0x40187810U);
PIN(advise, MSHAREFS_ADVISE, 0x40187811U);
PIN(lock, MSHAREFS_LOCK, 0x40187812U);
PIN(stat, MSHAREFS_STAT, 0x80807813U);
PIN(next_mapping, MSHAREFS_NEXT_MAPPING, 0xc0407814U);

PIN(magic, MSHAREFS_MAGIC, 0x4d534852);
PIN(lock_on, MSHAREFS_LOCK_ON, 1);
PIN(lock_off, MSHAREFS_LOCK_OFF, 2);
PIN(lock_onfault, MSHAREFS_LOCK_ONFAULT, 1);
PIN(kind_anon, MSHAREFS_KIND_ANON, 1);
PIN(kind_shmem, MSHAREFS_KIND_SHMEM, 2);
PIN(kind_file, MSHAREFS_KIND_FILE, 3);
PIN(kind_hugetlb, MSHAREFS_KIND_HUGETLB, 4);
PIN(kind_dax, MSHAREFS_KIND_DAX, 5);

SIZE(mshare_info, 16);
AT(mshare_info, start, 0, 8);
AT(mshare_info, size, 8, 8);

SIZE(mshare_create, 40);
AT(mshare_create, region_offset, 0, 8);
AT(mshare_create, size, 8, 8);
AT(mshare_create, offset, 16, 8);
AT(mshare_create, prot, 24, 4);
AT(mshare_create, flags, 28, 4);
AT(mshare_create, fd, 32, 4);
AT(mshare_create, padding, 36, 4);

SIZE(mshare_unmap, 16);
AT(mshare_unmap, region_offset, 0, 8);
AT(mshare_unmap, size, 8, 8);

SIZE(mshare_protect, 24);
AT(mshare_protect, region_offset, 0, 8);
AT(mshare_protect, size, 8, 8);
AT(mshare_protect, prot, 16, 4);
AT(mshare_protect, flags, 20, 4);

SIZE(mshare_advise, 24);
AT(mshare_advise, region_offset, 0, 8);
AT(mshare_advise, size, 8, 8);
AT(mshare_advise, advice, 16, 4);
AT(mshare_advise, flags, 20, 4);

SIZE(mshare_lock, 24);
AT(mshare_lock, region_offset, 0, 8);
AT(mshare_lock, size, 8, 8);
AT(mshare_lock, op, 16, 4);
AT(mshare_lock, flags, 20, 4);

SIZE(mshare_stat, 128);
AT(mshare_stat, size, 0, 8);
AT(mshare_stat, mappings, 8, 8);
AT(mshare_stat, windows, 16, 8);
AT(mshare_stat, processes, 24, 8);
AT(mshare_stat, resident, 32, 8);
AT(mshare_stat, page_tables, 40, 8);
AT(mshare_stat, locked, 48, 8);
AT(mshare_stat, links, 56, 8);
AT(mshare_stat, faults, 64, 8);
AT(mshare_stat, flushes, 72, 8);
AT(mshare_stat, reserved, 80, 48);

SIZE(mshare_mapping, 64);
AT(mshare_mapping, offset, 0, 8);
AT(mshare_mapping, size, 8, 8);
AT(mshare_mapping, object_offset, 16, 8);
AT(mshare_mapping, inode, 24, 8);
AT(mshare_mapping, prot, 32, 4);
AT(mshare_mapping, max_prot, 36, 4);
AT(mshare_mapping, flags, 40, 4);
AT(mshare_mapping, kind, 44, 4);
AT(mshare_mapping, dev_major, 48, 4);
AT(mshare_mapping, dev_minor, 52, 4);
AT(mshare_mapping, page_shift, 56, 4);
AT(mshare_mapping, reserved, 60, 4);

#ifdef CONTROL
/* Must not compile, or none of the above says anything. */
AT(mshare_mapping, reserved, 64, 4);
#endif
