// SPDX-License-Identifier: GPL-2.0
/*
 * msharefs names: directories and their entries
 *
 * Names pin their inodes, as in ramfs, since no disk holds the inodes.
 */
#include <linux/fs.h>

#include "msharefs.h"

static int msharefs_make(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = msharefs_new_inode(dir->i_sb, dir, mode);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (S_ISDIR(mode))
		inc_nlink(dir);
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
	d_instantiate(dentry, inode);
	/* Pin the dentry until it is unlinked, since no disk holds the name. */
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

	if (msharefs_is_info(d_inode(old)))
		return -EPERM;
	/*
	 * A name pins memory, too, so each name counts as an inode. The first
	 * name of an unnamed file is already counted with the inode.
	 */
	err = d_inode(old)->i_nlink ? msharefs_reserve_inode(dir->i_sb) : 0;
	if (err)
		return err;
	return simple_link(old, dir, dentry);
}

static int msharefs_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (msharefs_is_info(inode))
		return -EPERM;
	if (inode->i_nlink > 1)
		msharefs_release_inode(dir->i_sb);
	return simple_unlink(dir, dentry);
}

static int msharefs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
			   struct dentry *old, struct inode *new_dir,
			   struct dentry *new, unsigned int flags)
{
	struct inode *target = d_inode(new);
	int err;

	if (msharefs_is_info(d_inode(old)) ||
	    (target && msharefs_is_info(target)))
		return -EPERM;
	err = simple_rename(idmap, old_dir, old, new_dir, new, flags);
	/* One of several names of the target is gone. */
	if (!err && target && !(flags & RENAME_EXCHANGE) &&
	    S_ISREG(target->i_mode) && target->i_nlink)
		msharefs_release_inode(new_dir->i_sb);
	return err;
}

const struct inode_operations msharefs_dir_inode_operations = {
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
