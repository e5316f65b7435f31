/* SPDX-License-Identifier: GPL-2.0 */
/* msharefs: declarations shared by its source files. */
#ifndef _FS_MSHAREFS_H
#define _FS_MSHAREFS_H

#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/spinlock.h>

#include "../../mm/mshare/engine.h"

/**
 * struct msharefs_sb_info - private data of a mount
 * @memory: the tmpfs behind anonymous mappings
 * @limit: counts page tables of regions as blocks of @memory
 * @lock: protects @free_inodes and @max_inodes
 * @max_inodes: nr_inodes=, 0 for no limit
 * @free_inodes: number of inodes left of @max_inodes
 * @uid: uid= of the root directory
 * @gid: gid= of the root directory
 * @mode: mode= of the root directory
 */
struct msharefs_sb_info {
	struct vfsmount *memory;
	struct mshare_limit limit;
	spinlock_t lock;	/* max_inodes, free_inodes */
	unsigned long max_inodes;
	unsigned long free_inodes;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
};

static inline struct msharefs_sb_info *sb_info(struct super_block *sb)
{
	return sb->s_fs_info;
}

/**
 * struct msharefs_file - i_private of an inode that is a region
 * @region: the region, with a reference
 * @start: address of the first window ever made, 0 before. Changed with the
 *	region locked
 */
struct msharefs_file {
	struct mshare_region *region;
	u64 start;
};

static inline struct msharefs_file *inode_file(struct inode *inode)
{
	return inode->i_private;
}

static inline struct mshare_region *inode_region(struct inode *inode)
{
	return inode_file(inode)->region;
}

/* ioctl.c */
long msharefs_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* file.c */
extern const struct file_operations msharefs_file_operations;
extern const struct inode_operations msharefs_file_inode_operations;

/* inode.c */
struct inode *msharefs_new_inode(struct super_block *sb, struct inode *dir,
				 umode_t mode);
bool msharefs_is_info(struct inode *inode);
int msharefs_make_info(struct super_block *sb);
int msharefs_reserve_inode(struct super_block *sb);
void msharefs_release_inode(struct super_block *sb);
void msharefs_evict_inode(struct inode *inode);

/* namei.c */
extern const struct inode_operations msharefs_dir_inode_operations;

#endif /* _FS_MSHAREFS_H */
