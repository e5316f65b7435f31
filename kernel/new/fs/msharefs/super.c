// SPDX-License-Identifier: GPL-2.0
/*
 * msharefs superblock: mount options, limits, statfs
 *
 * Anonymous memory of the regions of a mount comes from a tmpfs that the mount
 * has to itself. The tmpfs enforces size= and keeps the counts for statfs(2),
 * page tables of the regions included.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/sysfs.h>

#include <uapi/linux/msharefs.h>

#include "msharefs.h"

/*
 * An empty region costs up to 12 KiB, for an mm_struct and a page directory, and
 * 40 bytes for each possible CPU. By default all regions of a mount together may
 * use a twentieth of memory, or a tenth with some hundred CPUs.
 */
#define MSHAREFS_INODE_PAGES	64

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

/* See struct mshare_limit: size= bounds memory and page tables together. */
static int charge_memory(struct mshare_limit *limit, long pages, bool reader)
{
	struct msharefs_sb_info *sbi =
		container_of(limit, struct msharefs_sb_info, limit);

	return shmem_charge_sb(sbi->memory->mnt_sb, pages, reader);
}

/* statfs(2) of the tmpfs behind the mount, for the number of blocks. */
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

	mshare_settle_all(&sbi->limit);
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

	/* msharefs counts its own inodes, not those of the tmpfs. */
	err = vfs_parse_fs_string(mem_fc, "nr_inodes", "0", 1);
	if (!err && size) {
		err = vfs_parse_fs_string(mem_fc, "size", size, strlen(size));
		if (err)
			errorfc(fc, "Bad value for 'size'");
	}
	mnt = err ? ERR_PTR(err) : fc_mount(mem_fc);
	put_fs_context(mem_fc);
	if (IS_ERR(mnt))
		return mnt;
	/* As for other anonymous shared memory, shmem_enabled decides. */
	shmem_inherit_huge(mnt->mnt_sb);
	/*
	 * Exempt the tmpfs from path-based security modules, because no user
	 * can open its files or mount it.
	 */
	mnt->mnt_sb->s_flags |= SB_NOUSER;
	return mnt;
}

/*
 * Let tmpfs check a new size=, which it refuses if more is in use. Only its
 * ->reconfigure() is needed, so reconfigure_super() is not called.
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
		errorfc(fc, "Bad value for 'size', or more memory in use");
	put_fs_context(mem_fc);
	return err;
}

static int resize_inodes(struct msharefs_sb_info *sbi, unsigned long max)
{
	unsigned long used;
	int err = 0;

	spin_lock(&sbi->lock);
	used = sbi->max_inodes - sbi->free_inodes;
	/* Inodes are counted only with a limit, so it cannot come or go. */
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
			return invalfc(fc, "Bad value for 'nr_inodes', or more in use");
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
	sbi->limit.charge = charge_memory;
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

	/* From here on msharefs_kill_sb() undoes everything. */
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
	return msharefs_make_info(sb);
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
		/* tmpfs checks the value. */
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
	err = register_filesystem(&msharefs_type);
	if (err)
		sysfs_remove_mount_point(fs_kobj, "mshare");
	return err;
}
fs_initcall(msharefs_init);
