/* SPDX-License-Identifier: GPL-2.0 */
/* msharefs: what its files share; the engine knows nothing of it. */
#ifndef _MM_MSHARE_FS_H
#define _MM_MSHARE_FS_H

#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/spinlock.h>

#include "internal.h"

/**
 * struct msharefs_sb_info - what belongs to a mount
 * @memory: the tmpfs behind anonymous mappings
 * @limit: counts page tables of regions as blocks of @memory
 * @lock: protects @free_inodes and @max_inodes
 * @max_inodes: nr_inodes=, 0 for no limit
 * @free_inodes: how many of them are left
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

static inline struct mshare_region *inode_region(struct inode *inode)
{
	return inode->i_private;
}

/* ioctl.c */
long msharefs_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* fs.c */
extern const struct file_operations msharefs_file_operations;
extern const struct inode_operations msharefs_file_inode_operations;

/* dir.c */
struct inode *msharefs_new_inode(struct super_block *sb, struct inode *dir,
				 umode_t mode);
int msharefs_make_info(struct super_block *sb);
void msharefs_evict_inode(struct inode *inode);

#endif /* _MM_MSHARE_FS_H */
