// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: msharefs
 *
 * The file system whose regular files are mshare regions. A file holds no
 * data of its own: its size is the size of the region, and mmap(2) makes a
 * window. The region is created and destroyed with the inode, so it lives as
 * long as its name, an open file or a window does.
 *
 * Anonymous memory of regions comes from a tmpfs that each mount has to
 * itself. That is where size= is enforced and what statfs(2) reports.
 *
 * Regions can be named and their size can be changed by anyone the file mode
 * allows; read() tells { start, size }, see struct mshare_info.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/sysfs.h>

#include <uapi/linux/msharefs.h>

#include "internal.h"

#define MSHAREFS_INFO_NAME	"mshare_info"

/*
 * A region costs up to 12 KiB before anything is in it: an mm_struct and a
 * page directory. By default all of them together get a twentieth of memory.
 */
#define MSHAREFS_INODE_PAGES	64

/**
 * struct msharefs_sb_info - what belongs to a mount
 * @memory: the tmpfs behind anonymous mappings
 * @lock: protects @free_inodes and @max_inodes
 * @max_inodes: nr_inodes=, 0 for no limit
 * @free_inodes: how many of them are left
 * @uid: uid= of the root directory
 * @gid: gid= of the root directory
 * @mode: mode= of the root directory
 */
struct msharefs_sb_info {
	struct vfsmount *memory;
	spinlock_t lock;	/* max_inodes, free_inodes */
	unsigned long max_inodes;
	unsigned long free_inodes;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
};

/**
 * struct msharefs_options - mount options as parsed
 * @size: the text of size=, as tmpfs takes it; NULL for the default
 * @max_inodes: nr_inodes=
 * @seen_inodes: nr_inodes= was given
 * @uid: uid=
 * @gid: gid=
 * @mode: mode=
 */
struct msharefs_options {
	char *size;
	unsigned long max_inodes;
	bool seen_inodes;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
};

static struct msharefs_sb_info *sb_info(struct super_block *sb)
{
	return sb->s_fs_info;
}

static struct mshare_region *inode_region(struct inode *inode)
{
	return inode->i_private;
}

/* ---- region files ---- */

static ssize_t msharefs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct mshare_region *region = inode_region(inode);
	struct mshare_info info;
	size_t left;

	if (iocb->ki_pos >= sizeof(info) || !iov_iter_count(to))
		return 0;
	left = sizeof(info) - iocb->ki_pos;
	if (!iocb->ki_pos && iov_iter_count(to) < sizeof(info))
		return -EINVAL;

	mutex_lock(&region->lock);
	info.start = region->start;
	info.size = region->size;
	mutex_unlock(&region->lock);

	left = copy_to_iter((char *)&info + iocb->ki_pos, left, to);
	if (!left)
		return -EFAULT;
	iocb->ki_pos += left;
	return left;
}

/*
 * The first mmap() of an empty region by a writer: its length is the region's
 * size, and the region is filled with anonymous shared memory. Pages are
 * charged as they are used, as for a file on tmpfs: the size is rounded to
 * units and says little about what is needed.
 */
static int msharefs_setup_plain(struct file *file, struct mshare_region *region,
				struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	u64 size = vma->vm_end - vma->vm_start;
	struct file *memory;
	int err;

	if (!(file->f_mode & FMODE_WRITE) || vma->vm_pgoff)
		return -EINVAL;

	memory = shmem_file_setup_with_mnt(sb_info(inode->i_sb)->memory,
					   "mshare", size, VM_NORESERVE);
	if (IS_ERR(memory))
		return PTR_ERR(memory);

	err = mshare_region_resize(region, size);
	if (!err) {
		err = mshare_region_map(region, memory, 0, size, 0,
					VM_READ | VM_WRITE | VM_SHARED |
					VM_MAYREAD | VM_MAYWRITE | VM_MAYSHARE |
					VM_NORESERVE);
		if (err)
			region->size = 0;
	}
	/* The mapping has its own reference. */
	fput(memory);
	return err;
}

static bool window_fits(struct mshare_region *region,
			struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;

	return offset <= region->size && len <= region->size - offset;
}

static int msharefs_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	struct mshare_region *region = inode_region(inode);
	struct mshare_attachment *attachment;
	int err = 0;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!IS_ALIGNED(vma->vm_start | vma->vm_end |
			((u64)vma->vm_pgoff << PAGE_SHIFT), MSHARE_UNIT))
		return -EINVAL;

	if (mutex_lock_killable(&region->lock))
		return -EINTR;
	/* All that can fail before the region is changed. */
	attachment = mshare_attach(region, vma->vm_mm);
	if (IS_ERR(attachment)) {
		err = PTR_ERR(attachment);
		goto unlock;
	}
	if (!region->size)
		err = msharefs_setup_plain(file, region, vma);
	else if (!window_fits(region, vma))
		err = -EINVAL;
	if (err) {
		mshare_detach(attachment);
		goto unlock;
	}

	i_size_write(inode, region->size);
	if (!region->start)
		region->start = vma->vm_start;
	mshare_window_init(vma, attachment);
	file_accessed(file);
unlock:
	mutex_unlock(&region->lock);
	return err;
}

/*
 * A free range of whole units. Top down from the same place as other mappings,
 * so that the table a link goes into is often there already.
 */
static unsigned long find_unit_area(unsigned long len, unsigned long base,
				    unsigned long end)
{
	struct vm_unmapped_area_info info = {};
	unsigned long addr;

	info.length = len;
	info.align_mask = MSHARE_UNIT - 1;

	if (test_bit(MMF_TOPDOWN, &current->mm->flags)) {
		info.flags = VM_UNMAPPED_AREA_TOPDOWN;
		info.low_limit = PAGE_SIZE;
		info.high_limit = base;
		addr = vm_unmapped_area(&info);
		if (!IS_ERR_VALUE(addr))
			return addr;
		info.flags = 0;
		base = TASK_UNMAPPED_BASE;
	}
	info.low_limit = base;
	info.high_limit = end;
	return vm_unmapped_area(&info);
}

static unsigned long msharefs_get_unmapped_area(struct file *file,
						unsigned long addr,
						unsigned long len,
						unsigned long pgoff,
						unsigned long flags)
{
	struct vm_area_struct *vma, *prev;
	unsigned long base, end;

	if (!IS_ALIGNED(len, MSHARE_UNIT) ||
	    !IS_ALIGNED((u64)pgoff << PAGE_SHIFT, MSHARE_UNIT))
		return -EINVAL;
	if (flags & MAP_FIXED)
		return IS_ALIGNED(addr, MSHARE_UNIT) ? addr : -EINVAL;
	if (!arch_mshare_mmap_limits(addr, flags, &base, &end))
		return -EINVAL;
	if (len > end)
		return -ENOMEM;

	if (addr) {
		addr = ALIGN(addr, MSHARE_UNIT);
		vma = find_vma_prev(current->mm, addr, &prev);
		if (addr && addr <= end - len &&
		    mmap_address_hint_valid(addr, len) &&
		    (!vma || addr + len <= vm_start_gap(vma)) &&
		    (!prev || addr >= vm_end_gap(prev)))
			return addr;
	}
	return find_unit_area(len, base, end);
}

/* Whether a process has a window on what is beyond @size. */
static bool windows_beyond(struct inode *inode, u64 size)
{
	struct address_space *mapping = inode->i_mapping;
	bool found;

	i_mmap_lock_read(mapping);
	found = vma_interval_tree_iter_first(&mapping->i_mmap,
					     size >> PAGE_SHIFT, ULONG_MAX);
	i_mmap_unlock_read(mapping);
	return found;
}

static int msharefs_resize(struct inode *inode, u64 size, bool shrink)
{
	struct mshare_region *region = inode_region(inode);
	int err = 0;

	mutex_lock(&region->lock);
	if (size < region->size && shrink && windows_beyond(inode, size))
		err = -EBUSY;
	else if (size > region->size || shrink)
		err = mshare_region_resize(region, size);
	if (!err)
		i_size_write(inode, region->size);
	mutex_unlock(&region->lock);
	return err;
}

static long msharefs_fallocate(struct file *file, int mode, loff_t offset,
			       loff_t len)
{
	struct inode *inode = file_inode(file);
	long err;

	if (mode)
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(offset | len, MSHARE_UNIT))
		return -EINVAL;

	inode_lock(inode);
	err = inode_newsize_ok(inode, offset + len);
	if (!err)
		err = msharefs_resize(inode, offset + len, false);
	if (!err)
		inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	inode_unlock(inode);
	return err;
}

static int msharefs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			    struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	if (attr->ia_valid & ATTR_SIZE) {
		err = msharefs_resize(inode, attr->ia_size, true);
		if (err)
			return err;
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

static const struct file_operations msharefs_file_operations = {
	.read_iter		= msharefs_read_iter,
	.mmap			= msharefs_mmap,
	.get_unmapped_area	= msharefs_get_unmapped_area,
	.fallocate		= msharefs_fallocate,
	.fsync			= noop_fsync,
	.llseek			= generic_file_llseek,
};

static const struct inode_operations msharefs_file_inode_operations = {
	.setattr		= msharefs_setattr,
	.getattr		= simple_getattr,
};

/* ---- mshare_info ---- */

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

/* ---- directories ---- */

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
static struct inode *msharefs_new_inode(struct super_block *sb,
					struct inode *dir, umode_t mode)
{
	struct mshare_region *region = NULL;
	struct inode *inode;
	int err;

	err = reserve_inode(sb);
	if (err)
		return ERR_PTR(err);

	if (S_ISREG(mode)) {
		region = mshare_region_create();
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
	inode->i_ino = get_next_ino();
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
	if (is_info(d_inode(old)))
		return -EPERM;
	return simple_link(old, dir, dentry);
}

static int msharefs_unlink(struct inode *dir, struct dentry *dentry)
{
	if (is_info(d_inode(dentry)))
		return -EPERM;
	return simple_unlink(dir, dentry);
}

static int msharefs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
			   struct dentry *old, struct inode *new_dir,
			   struct dentry *new, unsigned int flags)
{
	if (is_info(d_inode(old)) ||
	    (d_really_is_positive(new) && is_info(d_inode(new))))
		return -EPERM;
	return simple_rename(idmap, old_dir, old, new_dir, new, flags);
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

/* ---- the superblock ---- */

static void msharefs_evict_inode(struct inode *inode)
{
	struct mshare_region *region = inode_region(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (region)
		mshare_region_destroy(region);
	if (!is_info(inode))
		release_inode(inode->i_sb);
}

/* What the tmpfs behind the mount says of blocks. */
static int memory_statfs(struct msharefs_sb_info *sbi, struct kstatfs *buf)
{
	struct path memory = {
		.mnt	= sbi->memory,
		.dentry	= sbi->memory->mnt_root,
	};

	return vfs_statfs(&memory, buf);
}

static int msharefs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct msharefs_sb_info *sbi = sb_info(dentry->d_sb);
	int err;

	err = memory_statfs(sbi, buf);
	if (err)
		return err;
	buf->f_type = MSHAREFS_MAGIC;
	buf->f_files = 0;
	buf->f_ffree = 0;
	if (sbi->max_inodes) {
		spin_lock(&sbi->lock);
		buf->f_files = sbi->max_inodes;
		buf->f_ffree = sbi->free_inodes;
		spin_unlock(&sbi->lock);
	}
	buf->f_fsid = u64_to_fsid(huge_encode_dev(dentry->d_sb->s_dev));
	return 0;
}

static int msharefs_show_options(struct seq_file *m, struct dentry *root)
{
	struct msharefs_sb_info *sbi = sb_info(root->d_sb);
	struct kstatfs memory;

	if (!memory_statfs(sbi, &memory) && memory.f_blocks)
		seq_printf(m, ",size=%lluk",
			   memory.f_blocks << (PAGE_SHIFT - 10));
	if (sbi->max_inodes)
		seq_printf(m, ",nr_inodes=%lu", sbi->max_inodes);
	if (sbi->mode != (01777 & S_IALLUGO))
		seq_printf(m, ",mode=%03ho", sbi->mode);
	if (!uid_eq(sbi->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u",
			   from_kuid_munged(&init_user_ns, sbi->uid));
	if (!gid_eq(sbi->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u",
			   from_kgid_munged(&init_user_ns, sbi->gid));
	return 0;
}

static const struct super_operations msharefs_ops = {
	.statfs		= msharefs_statfs,
	.drop_inode	= generic_delete_inode,
	.evict_inode	= msharefs_evict_inode,
	.show_options	= msharefs_show_options,
};

static int make_info(struct super_block *sb)
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

static struct vfsmount *mount_memory(struct fs_context *fc, const char *size)
{
	struct file_system_type *type = get_fs_type("tmpfs");
	struct fs_context *mem_fc;
	struct vfsmount *mnt;
	int err;

	if (!type)
		return ERR_PTR(-ENODEV);
	mem_fc = fs_context_for_mount(type, 0);
	put_filesystem(type);
	if (IS_ERR(mem_fc))
		return ERR_CAST(mem_fc);

	/* Inodes of tmpfs are not what msharefs counts. */
	err = vfs_parse_fs_string(mem_fc, "nr_inodes", "0", 1);
	if (!err && size) {
		err = vfs_parse_fs_string(mem_fc, "size", size, strlen(size));
		if (err)
			errorfc(fc, "Bad value for 'size'");
	}
	mnt = err ? ERR_PTR(err) : fc_mount(mem_fc);
	put_fs_context(mem_fc);
	return mnt;
}

/*
 * Let tmpfs judge a new size=: it is refused when more than that is in use.
 * No more than its ->reconfigure() is wanted, so not reconfigure_super().
 */
static int resize_memory(struct fs_context *fc, struct vfsmount *memory,
			 const char *size)
{
	struct fs_context *mem_fc;
	int err;

	mem_fc = fs_context_for_reconfigure(memory->mnt_root, 0, 0);
	if (IS_ERR(mem_fc))
		return PTR_ERR(mem_fc);
	err = vfs_parse_fs_string(mem_fc, "size", size, strlen(size));
	if (!err)
		err = mem_fc->ops->reconfigure(mem_fc);
	if (err)
		errorfc(fc, "Bad value for 'size', or more than that in use");
	put_fs_context(mem_fc);
	return err;
}

static int resize_inodes(struct msharefs_sb_info *sbi, unsigned long max)
{
	unsigned long used;
	int err = 0;

	spin_lock(&sbi->lock);
	used = sbi->max_inodes - sbi->free_inodes;
	/* What exists has not been counted while there was no limit. */
	if (!sbi->max_inodes != !max || (max && max < used)) {
		err = -EINVAL;
	} else {
		sbi->max_inodes = max;
		sbi->free_inodes = max - used;
	}
	spin_unlock(&sbi->lock);
	return err;
}

static int msharefs_reconfigure(struct fs_context *fc)
{
	struct msharefs_sb_info *sbi = sb_info(fc->root->d_sb);
	struct msharefs_options *opts = fc->fs_private;
	int err = 0;

	if (opts->seen_inodes) {
		err = resize_inodes(sbi, opts->max_inodes);
		if (err)
			return invalfc(fc, "Cannot change 'nr_inodes' to that");
	}
	if (opts->size)
		err = resize_memory(fc, sbi->memory, opts->size);
	return err;
}

static int msharefs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct msharefs_options *opts = fc->fs_private;
	struct msharefs_sb_info *sbi;
	struct inode *root;
	int err;

	sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);
	if (!sbi)
		return -ENOMEM;
	spin_lock_init(&sbi->lock);
	sbi->uid = opts->uid;
	sbi->gid = opts->gid;
	sbi->mode = opts->mode;
	sbi->max_inodes = opts->seen_inodes ? opts->max_inodes :
			  totalram_pages() / MSHAREFS_INODE_PAGES;
	sbi->free_inodes = sbi->max_inodes;

	sbi->memory = mount_memory(fc, opts->size);
	if (IS_ERR(sbi->memory)) {
		err = PTR_ERR(sbi->memory);
		kfree(sbi);
		return err;
	}

	/* From here on msharefs_kill_sb() undoes it all. */
	sb->s_fs_info = sbi;
	sb->s_maxbytes = MSHARE_MAX_SIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MSHAREFS_MAGIC;
	sb->s_op = &msharefs_ops;
	sb->s_time_gran = 1;

	root = msharefs_new_inode(sb, NULL, S_IFDIR | opts->mode);
	if (IS_ERR(root))
		return PTR_ERR(root);
	root->i_uid = opts->uid;
	root->i_gid = opts->gid;
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	return make_info(sb);
}

static void msharefs_kill_sb(struct super_block *sb)
{
	struct msharefs_sb_info *sbi = sb_info(sb);

	kill_litter_super(sb);
	if (!sbi)
		return;
	mntput(sbi->memory);
	kfree(sbi);
}

/* ---- mounting ---- */

enum msharefs_param { OPT_GID, OPT_MODE, OPT_NR_INODES, OPT_SIZE, OPT_UID };

static const struct fs_parameter_spec msharefs_parameters[] = {
	fsparam_gid("gid",		OPT_GID),
	fsparam_u32oct("mode",		OPT_MODE),
	fsparam_string("nr_inodes",	OPT_NR_INODES),
	fsparam_string("size",		OPT_SIZE),
	fsparam_uid("uid",		OPT_UID),
	{}
};

static int msharefs_parse_param(struct fs_context *fc,
				struct fs_parameter *param)
{
	struct msharefs_options *opts = fc->fs_private;
	struct fs_parse_result result;
	char *rest;
	int opt;

	opt = fs_parse(fc, msharefs_parameters, param, &result);
	if (opt < 0)
		return opt;

	switch (opt) {
	case OPT_GID:
		opts->gid = result.gid;
		break;
	case OPT_MODE:
		opts->mode = result.uint_32 & 07777;
		break;
	case OPT_NR_INODES:
		opts->max_inodes = memparse(param->string, &rest);
		if (*rest || rest == param->string)
			return invalfc(fc, "Bad value for 'nr_inodes'");
		opts->seen_inodes = true;
		break;
	case OPT_SIZE:
		/* tmpfs says what it thinks of it. */
		kfree(opts->size);
		opts->size = param->string;
		param->string = NULL;
		break;
	case OPT_UID:
		opts->uid = result.uid;
		break;
	}
	return 0;
}

static int msharefs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, msharefs_fill_super);
}

static void msharefs_free_fc(struct fs_context *fc)
{
	struct msharefs_options *opts = fc->fs_private;

	if (opts)
		kfree(opts->size);
	kfree(opts);
}

static const struct fs_context_operations msharefs_context_ops = {
	.free		= msharefs_free_fc,
	.parse_param	= msharefs_parse_param,
	.get_tree	= msharefs_get_tree,
	.reconfigure	= msharefs_reconfigure,
};

static int msharefs_init_fs_context(struct fs_context *fc)
{
	struct msharefs_options *opts = kzalloc(sizeof(*opts), GFP_KERNEL);

	if (!opts)
		return -ENOMEM;
	opts->mode = 01777;
	opts->uid = current_fsuid();
	opts->gid = current_fsgid();
	fc->fs_private = opts;
	fc->ops = &msharefs_context_ops;
	return 0;
}

static struct file_system_type msharefs_type = {
	.name			= "msharefs",
	.init_fs_context	= msharefs_init_fs_context,
	.parameters		= msharefs_parameters,
	.kill_sb		= msharefs_kill_sb,
};

static int __init msharefs_init(void)
{
	int err;

	err = sysfs_create_mount_point(fs_kobj, "mshare");
	if (err)
		return err;
	err = mshare_stat_init();
	if (err)
		goto remove_mount_point;
	err = register_filesystem(&msharefs_type);
	if (!err)
		return 0;
remove_mount_point:
	sysfs_remove_mount_point(fs_kobj, "mshare");
	return err;
}
fs_initcall(msharefs_init);
