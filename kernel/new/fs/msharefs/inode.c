// SPDX-License-Identifier: GPL-2.0
/*
 * msharefs inodes: regions, directories, and mshare_info
 *
 * The inode of a region holds a reference to the region, as each attached
 * process does: the region lives as long as its name, an open file or a window.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "msharefs.h"

#define MSHAREFS_INFO_NAME	"mshare_info"

static ssize_t msharefs_info_read(struct file *file, char __user *buf,
				  size_t count, loff_t *pos)
{
	char text[24];
	int len = scnprintf(text, sizeof(text), "%lu\n", MSHARE_UNIT);

	return simple_read_from_buffer(buf, count, pos, text, len);
}

static const struct file_operations msharefs_info_operations = {
	.read			= msharefs_info_read,
	.llseek			= generic_file_llseek,
};

/* Refused even for root, since a change would only confuse readers. */
static int msharefs_info_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				 struct iattr *attr)
{
	return -EPERM;
}

static const struct inode_operations msharefs_info_inode_operations = {
	.setattr		= msharefs_info_setattr,
	.getattr		= simple_getattr,
};

/**
 * msharefs_is_info - whether an inode is that of mshare_info
 * @inode: inode of an msharefs mount
 */
bool msharefs_is_info(struct inode *inode)
{
	return inode->i_fop == &msharefs_info_operations;
}

/* Make the only file that is not a region: programs read the unit from it. */
int msharefs_make_info(struct super_block *sb)
{
	struct dentry *dentry;
	struct inode *inode;

	inode = new_inode(sb);
	if (!inode)
		return -ENOMEM;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0444;
	simple_inode_init_ts(inode);
	inode->i_op = &msharefs_info_inode_operations;
	inode->i_fop = &msharefs_info_operations;

	dentry = d_alloc_name(sb->s_root, MSHAREFS_INFO_NAME);
	if (!dentry) {
		iput(inode);
		return -ENOMEM;
	}
	d_add(dentry, inode);
	return 0;
}

/**
 * msharefs_reserve_inode - count one more inode, or name, against nr_inodes=
 * @sb: the mount
 *
 * Return: 0 or -ENOSPC.
 */
int msharefs_reserve_inode(struct super_block *sb)
{
	struct msharefs_sb_info *sbi = sb_info(sb);
	int err = 0;

	if (!sbi->max_inodes)
		return 0;
	spin_lock(&sbi->lock);
	if (sbi->free_inodes)
		sbi->free_inodes--;
	else
		err = -ENOSPC;
	spin_unlock(&sbi->lock);
	return err;
}

/* Undo msharefs_reserve_inode(). */
void msharefs_release_inode(struct super_block *sb)
{
	struct msharefs_sb_info *sbi = sb_info(sb);

	if (!sbi->max_inodes)
		return;
	spin_lock(&sbi->lock);
	sbi->free_inodes++;
	spin_unlock(&sbi->lock);
}

static struct msharefs_file *new_file(struct super_block *sb, unsigned int ino)
{
	struct msharefs_file *info = kzalloc(sizeof(*info), GFP_KERNEL_ACCOUNT);
	struct mshare_region *region;

	if (!info)
		return ERR_PTR(-ENOMEM);
	region = mshare_region_create(ino, &sb_info(sb)->limit);
	if (IS_ERR(region)) {
		kfree(info);
		return ERR_CAST(region);
	}
	info->region = region;
	return info;
}

/* @info is NULL for a directory. */
static void free_file(struct msharefs_file *info)
{
	if (!info)
		return;
	mshare_region_put(info->region);
	kfree(info);
}

/* Make a directory or a region that has no name yet. */
struct inode *msharefs_new_inode(struct super_block *sb, struct inode *dir,
				 umode_t mode)
{
	struct msharefs_file *info = NULL;
	unsigned int ino = get_next_ino();
	struct inode *inode;
	int err;

	err = msharefs_reserve_inode(sb);
	if (err)
		return ERR_PTR(err);

	if (S_ISREG(mode)) {
		info = new_file(sb, ino);
		if (IS_ERR(info)) {
			err = PTR_ERR(info);
			goto release;
		}
	}

	err = -ENOMEM;
	inode = new_inode(sb);
	if (!inode)
		goto free_file;

	/* From here on msharefs_evict_inode() undoes everything. */
	inode->i_private = info;
	inode->i_ino = ino;
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
	simple_inode_init_ts(inode);
	if (info) {
		inode->i_op = &msharefs_file_inode_operations;
		inode->i_fop = &msharefs_file_operations;
	} else {
		inode->i_op = &msharefs_dir_inode_operations;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);
	}
	return inode;

free_file:
	free_file(info);
release:
	msharefs_release_inode(sb);
	return ERR_PTR(err);
}

void msharefs_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	free_file(inode->i_private);
	if (!msharefs_is_info(inode))
		msharefs_release_inode(inode->i_sb);
}
