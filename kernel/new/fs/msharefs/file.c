// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: msharefs
 *
 * The file system whose regular files are mshare regions. A file holds no
 * data of its own: its size is the size of the region, and mmap(2) makes a
 * window. The region is created and destroyed with the inode, so it lives as
 * long as its name, an open file or a window does.
 *
 * Anonymous memory of regions comes from a tmpfs that each mount has to
 * itself. This tmpfs enforces size= and keeps the counts for statfs(2).
 *
 * Regions can have names, and the file mode says which users may change them.
 * read() returns { start, size }, see struct mshare_info.
 */
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/uio.h>

#include <uapi/linux/msharefs.h>

#include "msharefs.h"

static ssize_t msharefs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct msharefs_file *msharefs = inode_file(file_inode(iocb->ki_filp));
	struct mshare_info info;
	size_t left;

	if (iocb->ki_pos >= sizeof(info) || !iov_iter_count(to))
		return 0;
	left = sizeof(info) - iocb->ki_pos;
	if (!iocb->ki_pos && iov_iter_count(to) < sizeof(info))
		return -EINVAL;

	if (mshare_region_lock(msharefs->region))
		return -EINTR;
	info.start = msharefs->start;
	info.size = mshare_region_size(msharefs->region);
	mshare_region_unlock(msharefs->region);

	left = copy_to_iter((char *)&info + iocb->ki_pos, left, to);
	if (!left)
		return -EFAULT;
	iocb->ki_pos += left;
	return left;
}

/*
 * The first mmap() of an empty region by a writer: its length becomes the size
 * of the region, and the region is filled with anonymous shared memory. Pages
 * are charged when they are used, as for a file on tmpfs, because the size is
 * rounded to units and says little about the memory that will be used.
 */
static int msharefs_setup_plain(struct file *file, struct mshare_region *region,
				struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	u64 size = vma->vm_end - vma->vm_start;
	struct mshare_map_args args = {
		.private_object = true,
		.size	= size,
		.prot	= PROT_READ | PROT_WRITE,
		.flags	= MAP_SHARED | MAP_NORESERVE,
	};
	int err;

	if (!(file->f_mode & FMODE_WRITE) || vma->vm_pgoff)
		return -EINVAL;
	if (size > MSHARE_MAX_SIZE)
		return -EFBIG;

	args.file = shmem_file_setup_with_mnt(sb_info(inode->i_sb)->memory,
					      "mshare", size, VM_NORESERVE);
	if (IS_ERR(args.file))
		return PTR_ERR(args.file);

	err = mshare_map(region, &args);
	/* There was no mapping that could have been replaced. */
	WARN_ON_ONCE(!list_empty(&args.unmapped));
	if (!err)
		WARN_ON_ONCE(mshare_region_resize(region, size));
	/* The mapping has its own reference. */
	fput(args.file);
	return err;
}

static bool window_fits(struct mshare_region *region,
			struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;
	u64 size = mshare_region_size(region);

	return offset <= size && len <= size - offset;
}

static int msharefs_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	struct msharefs_file *msharefs = inode_file(inode);
	struct mshare_region *region = msharefs->region;
	struct mshare_attachment *attachment;
	int err = 0;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	/* A stacked file system may try to map a region into a region. */
	if (mm_is_mshare_host(vma->vm_mm))
		return -EINVAL;
	if (!IS_ALIGNED(vma->vm_start | vma->vm_end |
			((u64)vma->vm_pgoff << PAGE_SHIFT), MSHARE_UNIT))
		return -EINVAL;

	if (mshare_region_lock(region))
		return -EINTR;
	/* Attaching can fail, so attach before the region is changed. */
	attachment = mshare_attach(region, vma->vm_mm);
	if (IS_ERR(attachment)) {
		err = PTR_ERR(attachment);
		goto unlock;
	}
	if (!mshare_region_size(region))
		err = msharefs_setup_plain(file, region, vma);
	else if (!window_fits(region, vma))
		err = -EINVAL;
	if (err) {
		mshare_detach(attachment);
		goto unlock;
	}

	i_size_write(inode, mshare_region_size(region));
	if (!msharefs->start)
		msharefs->start = vma->vm_start;
	mshare_window_init(vma, attachment);
	file_accessed(file);
unlock:
	mshare_region_unlock(region);
	return err;
}

/*
 * Find a free range of whole units where the architecture would place any
 * mapping: at @hint, or in a hole that is larger by nearly a unit, so that the
 * range can be aligned. The small address space of a 32-bit process may have no
 * such hole, but a hole of exactly @len next to other windows may be aligned.
 */
static unsigned long find_unit_area(unsigned long hint, unsigned long len,
				    unsigned long flags)
{
	unsigned long hole = len + MSHARE_UNIT - PAGE_SIZE, at;
	struct mm_struct *mm = current->mm;

	hint = ALIGN(hint, MSHARE_UNIT);
	if (hint) {
		at = mm_get_unmapped_area(mm, NULL, hint, len, 0, flags);
		if (at == hint)
			return at;
	}
	at = mm_get_unmapped_area(mm, NULL, hint, hole, 0, flags);
	if (!IS_ERR_VALUE(at))
		return ALIGN(at, MSHARE_UNIT);
	at = mm_get_unmapped_area(mm, NULL, hint, len, 0, flags);
	return IS_ERR_VALUE(at) || IS_ALIGNED(at, MSHARE_UNIT) ? at : -ENOMEM;
}

static unsigned long msharefs_get_unmapped_area(struct file *file,
						unsigned long addr,
						unsigned long len,
						unsigned long pgoff,
						unsigned long flags)
{
	if (!IS_ALIGNED(len, MSHARE_UNIT) ||
	    !IS_ALIGNED((u64)pgoff << PAGE_SHIFT, MSHARE_UNIT))
		return -EINVAL;
	if (flags & MAP_FIXED)
		return IS_ALIGNED(addr, MSHARE_UNIT) ? addr : -EINVAL;
	/* MAP_32BIT leaves no room for a unit. */
	if (flags & MAP_32BIT)
		return -EINVAL;
	if (len > TASK_SIZE - MSHARE_UNIT)
		return -ENOMEM;
	return find_unit_area(addr, len, flags);
}

/* Whether a process has a window that extends beyond @size. */
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
	u64 old;

	if (mshare_region_lock(region))
		return -EINTR;
	old = mshare_region_size(region);
	if (size < old && shrink && windows_beyond(inode, size))
		err = -EBUSY;
	else if (size > old || shrink)
		err = mshare_region_resize(region, size);
	if (!err)
		i_size_write(inode, mshare_region_size(region));
	mshare_region_unlock(region);
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

/*
 * msync(2) of a window, and fsync(2) of a region: sync the files that are
 * mapped in the range. @last is the last byte.
 */
static int msharefs_fsync(struct file *file, loff_t start, loff_t last,
			  int datasync)
{
	struct mshare_region *region = inode_region(file_inode(file));
	u64 end = min_t(u64, last, MSHARE_MAX_SIZE - 1) + 1;
	struct mshare_object object;
	u64 offset = start;
	int err = 0;
	int ret;

	while (offset < end) {
		ret = mshare_next_object(region, &offset, end, &object);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		ret = vfs_fsync_range(object.file, object.from, object.to - 1,
				      datasync);
		fput(object.file);
		/* Try all files. A file without fsync(2) is no error. */
		if (!err && ret != -EINVAL)
			err = ret;
	}
	return err;
}

static void msharefs_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct mshare_region_stat stat;

	mshare_region_stat(inode_region(file_inode(file)), &stat);
	seq_printf(m, "mshare-size:\t%llu\n", stat.size);
	seq_printf(m, "mshare-mappings:\t%llu\n", stat.mappings);
	seq_printf(m, "mshare-windows:\t%llu\n", stat.windows);
	seq_printf(m, "mshare-processes:\t%llu\n", stat.processes);
	seq_printf(m, "mshare-resident:\t%llu\n", stat.resident);
	seq_printf(m, "mshare-page-tables:\t%llu\n", stat.page_tables);
	seq_printf(m, "mshare-locked:\t%llu\n", stat.locked);
	seq_printf(m, "mshare-links:\t%llu\n", stat.links);
	seq_printf(m, "mshare-faults:\t%llu\n", stat.faults);
	seq_printf(m, "mshare-flushes:\t%llu\n", stat.flushes);
}

const struct file_operations msharefs_file_operations = {
	.read_iter		= msharefs_read_iter,
	.mmap			= msharefs_mmap,
	.get_unmapped_area	= msharefs_get_unmapped_area,
	.unlocked_ioctl		= msharefs_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.fallocate		= msharefs_fallocate,
	.fsync			= msharefs_fsync,
	.llseek			= generic_file_llseek,
	.show_fdinfo		= msharefs_show_fdinfo,
};

const struct inode_operations msharefs_file_inode_operations = {
	.setattr		= msharefs_setattr,
	.getattr		= simple_getattr,
};
