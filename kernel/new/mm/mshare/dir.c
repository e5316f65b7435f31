// SPDX-License-Identifier: GPL-2.0
/*
 * msharefs inodes and their names: regions, directories, and mshare_info
 *
 * An inode that is a region creates it and destroys it: the region lives as
 * long as its name, an open file or a window does, since each of them holds
 * the inode. Names pin their inodes, as in ramfs: there is nothing to read
 * them from.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>

#include "fs.h"

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

/* Not even root: it would only confuse those who read it. */
static int msharefs_info_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				 struct iattr *attr)
{
	return -EPERM;
}

static const struct inode_operations msharefs_info_inode_operations = {
	.setattr		= msharefs_info_setattr,
	.getattr		= simple_getattr,
};

static bool is_info(struct inode *inode)
{
	return inode->i_fop == &msharefs_info_operations;
}

/* The one file of a mount that is no region: the unit, for programs to read. */
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

static int reserve_inode(struct super_block *sb)
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

static void release_inode(struct super_block *sb)
{
	struct msharefs_sb_info *sbi = sb_info(sb);

	if (!sbi->max_inodes)
		return;
	spin_lock(&sbi->lock);
	sbi->free_inodes++;
	spin_unlock(&sbi->lock);
}

static const struct inode_operations msharefs_dir_inode_operations;

/* A directory or a region that is not yet in a directory. */
struct inode *msharefs_new_inode(struct super_block *sb, struct inode *dir,
				 umode_t mode)
{
	struct mshare_region *region = NULL;
	unsigned int ino = get_next_ino();
	struct inode *inode;
	int err;

	err = reserve_inode(sb);
	if (err)
		return ERR_PTR(err);

	if (S_ISREG(mode)) {
		region = mshare_region_create(ino, &sb_info(sb)->limit);
		if (IS_ERR(region)) {
			err = PTR_ERR(region);
			goto release;
		}
	}

	err = -ENOMEM;
	inode = new_inode(sb);
	if (!inode)
		goto destroy;

	/* From here on msharefs_evict_inode() undoes it all. */
	inode->i_private = region;
	inode->i_ino = ino;
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
	simple_inode_init_ts(inode);
	if (region) {
		inode->i_op = &msharefs_file_inode_operations;
		inode->i_fop = &msharefs_file_operations;
	} else {
		inode->i_op = &msharefs_dir_inode_operations;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);
	}
	return inode;

destroy:
	if (region)
		mshare_region_destroy(region);
release:
	release_inode(sb);
	return ERR_PTR(err);
}

static int msharefs_make(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = msharefs_new_inode(dir->i_sb, dir, mode);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (S_ISDIR(mode))
		inc_nlink(dir);
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
	d_instantiate(dentry, inode);
	/* Pinned until it is unlinked: there is nothing to read it from. */
	dget(dentry);
	return 0;
}

static int msharefs_create(struct mnt_idmap *idmap, struct inode *dir,
			   struct dentry *dentry, umode_t mode, bool excl)
{
	return msharefs_make(dir, dentry, mode | S_IFREG);
}

static int msharefs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
			  struct dentry *dentry, umode_t mode)
{
	return msharefs_make(dir, dentry, mode | S_IFDIR);
}

static int msharefs_tmpfile(struct mnt_idmap *idmap, struct inode *dir,
			    struct file *file, umode_t mode)
{
	struct inode *inode = msharefs_new_inode(dir->i_sb, dir,
						 mode | S_IFREG);

	if (IS_ERR(inode))
		return finish_open_simple(file, PTR_ERR(inode));
	d_tmpfile(file, inode);
	return finish_open_simple(file, 0);
}

static int msharefs_link(struct dentry *old, struct inode *dir,
			 struct dentry *dentry)
{
	int err;

	if (is_info(d_inode(old)))
		return -EPERM;
	/*
	 * A name pins memory, too: each counts as an inode. The first name of
	 * an unnamed file is the inode's own.
	 */
	err = d_inode(old)->i_nlink ? reserve_inode(dir->i_sb) : 0;
	if (err)
		return err;
	return simple_link(old, dir, dentry);
}

static int msharefs_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (is_info(inode))
		return -EPERM;
	if (inode->i_nlink > 1)
		release_inode(dir->i_sb);
	return simple_unlink(dir, dentry);
}

static int msharefs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
			   struct dentry *old, struct inode *new_dir,
			   struct dentry *new, unsigned int flags)
{
	struct inode *target = d_inode(new);
	int err;

	if (is_info(d_inode(old)) || (target && is_info(target)))
		return -EPERM;
	err = simple_rename(idmap, old_dir, old, new_dir, new, flags);
	/* One of several names of the target is gone. */
	if (!err && target && !(flags & RENAME_EXCHANGE) &&
	    S_ISREG(target->i_mode) && target->i_nlink)
		release_inode(new_dir->i_sb);
	return err;
}

static const struct inode_operations msharefs_dir_inode_operations = {
	.lookup		= simple_lookup,
	.create		= msharefs_create,
	.mkdir		= msharefs_mkdir,
	.tmpfile	= msharefs_tmpfile,
	.link		= msharefs_link,
	.unlink		= msharefs_unlink,
	.rmdir		= simple_rmdir,
	.rename		= msharefs_rename,
	.getattr	= simple_getattr,
};

void msharefs_evict_inode(struct inode *inode)
{
	struct mshare_region *region = inode_region(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (region)
		mshare_region_destroy(region);
	if (!is_info(inode))
		release_inode(inode->i_sb);
}
