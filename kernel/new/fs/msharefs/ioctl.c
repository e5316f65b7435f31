// SPDX-License-Identifier: GPL-2.0
/*
 * msharefs ioctl(2): the mappings of a region
 *
 * Rights: a command that changes a region needs its file open for writing. An
 * object may be mapped and protected as mmap(2) and mprotect(2) allow for the
 * object's file. See include/uapi/linux/msharefs.h for arguments and
 * Documentation/filesystems/msharefs.rst for errors.
 */
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include <uapi/linux/msharefs.h>

#include "msharefs.h"

#define MSHAREFS_PROT	(PROT_READ | PROT_WRITE | PROT_EXEC)
#define MSHAREFS_HUGE	((u32)MAP_HUGE_MASK << MAP_HUGE_SHIFT)
#define MSHAREFS_MAP	((u32)(MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | \
			       MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | \
			       MAP_POPULATE | MAP_LOCKED | MAP_SYNC) | \
			 MSHAREFS_HUGE)

/*
 * The size is read without a lock. If the region shrinks afterwards, the range
 * has no mapping, because mappings keep the region from shrinking.
 */
static int check_range(struct mshare_region *region, u64 offset, u64 size)
{
	u64 limit = mshare_region_size(region);

	if (!size || !PAGE_ALIGNED(offset | size))
		return -EINVAL;
	if (offset > limit || size > limit - offset)
		return -EINVAL;
	return 0;
}

/* As for shmctl(SHM_LOCK): the owner, within limits, or the administrator. */
static int may_lock(struct inode *inode, u32 op)
{
	if (capable(CAP_IPC_LOCK))
		return 0;
	if (!uid_eq(current_fsuid(), inode->i_uid))
		return -EPERM;
	if (op == MSHAREFS_LOCK_ON && !rlimit(RLIMIT_MEMLOCK))
		return -EPERM;
	return 0;
}

static int check_create(const struct mshare_create *arg)
{
	u32 type = arg->flags & MAP_TYPE;

	if (arg->flags & ~MSHAREFS_MAP || arg->prot & ~MSHAREFS_PROT)
		return -EINVAL;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	/* Mappings are not placed automatically. */
	if (!(arg->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return -EINVAL;
	if (arg->flags & MSHAREFS_HUGE && !(arg->flags & MAP_HUGETLB))
		return -EINVAL;
	if (!(arg->flags & MAP_ANONYMOUS) && !PAGE_ALIGNED(arg->offset))
		return -EINVAL;
	return 0;
}

/* Whole huge pages only. A page of a unit or more would replace the link. */
static int check_huge(const struct mshare_create *arg, struct hstate *h)
{
	u64 offset = arg->flags & MAP_ANONYMOUS ? 0 : arg->offset;

	if (!h || huge_page_size(h) >= MSHARE_UNIT)
		return -EINVAL;
	if (!IS_ALIGNED(arg->region_offset | arg->size | offset,
			huge_page_size(h)))
		return -EINVAL;
	return 0;
}

static struct file *anonymous_object(struct inode *inode,
				     const struct mshare_create *arg)
{
	int log = (arg->flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
	unsigned long account = 0;
	int err;

	if (arg->flags & MAP_HUGETLB) {
		err = check_huge(arg, hstate_sizelog(log));
		if (err)
			return ERR_PTR(err);
		/* Huge pages are reserved when the file is mapped. */
		return hugetlb_file_setup(HUGETLB_ANON_FILE, arg->size,
					  VM_NORESERVE, HUGETLB_ANONHUGE_INODE,
					  log);
	}
	if (arg->flags & MAP_NORESERVE &&
	    sysctl_overcommit_memory != OVERCOMMIT_NEVER)
		account = VM_NORESERVE;
	return shmem_file_setup_with_mnt(sb_info(inode->i_sb)->memory,
					 "mshare", arg->size, account);
}

static int check_object(struct file *object, const struct mshare_create *arg)
{
	if (object->f_op == &msharefs_file_operations)
		return -EINVAL;
	/* Devices, pipes and other special files. */
	if (!S_ISREG(file_inode(object)->i_mode))
		return -ENODEV;
	if (is_file_hugepages(object))
		return check_huge(arg, hstate_file(object));
	return arg->flags & MAP_HUGETLB ? -EINVAL : 0;
}

static struct file *get_object(struct inode *inode,
			       const struct mshare_create *arg)
{
	struct file *object;
	int err;

	if (arg->flags & MAP_ANONYMOUS)
		return anonymous_object(inode, arg);
	object = fget(arg->fd);
	if (!object)
		return ERR_PTR(-EBADF);
	err = check_object(object, arg);
	if (err) {
		fput(object);
		return ERR_PTR(err);
	}
	return object;
}

static int create_mapping(struct inode *inode, struct file *object,
			  const struct mshare_create *arg)
{
	struct mshare_region *region = inode_region(inode);
	bool anonymous = arg->flags & MAP_ANONYMOUS;
	struct mshare_map_args args = {
		.file	= object,
		.private_object = anonymous,
		.pgoff	= anonymous ? 0 : arg->offset >> PAGE_SHIFT,
		.offset	= arg->region_offset,
		.size	= arg->size,
		.prot	= arg->prot,
		.flags	= arg->flags,
		.unmapped = LIST_HEAD_INIT(args.unmapped),
	};
	int err;

	err = security_mmap_file(anonymous ? NULL : object, arg->prot,
				 arg->flags);
	if (err)
		return err;
	if (mshare_region_lock(region))
		return -EINTR;
	/* The region may have shrunk meanwhile. */
	err = check_range(region, arg->region_offset, arg->size);
	if (!err)
		err = mshare_map(region, &args);
	mshare_region_unlock(region);
	mshare_free_unmapped(&args.unmapped);
	return err;
}

static int ioctl_create(struct inode *inode, void *data)
{
	struct mshare_region *region = inode_region(inode);
	const struct mshare_create *arg = data;
	struct file *object;
	int err;

	err = check_create(arg) ?:
	      check_range(region, arg->region_offset, arg->size);
	if (!err && arg->flags & MAP_LOCKED)
		err = may_lock(inode, MSHAREFS_LOCK_ON);
	if (err)
		return err;
	object = get_object(inode, arg);
	if (IS_ERR(object))
		return PTR_ERR(object);
	err = create_mapping(inode, object, arg);
	/* The mapping has its own reference. */
	fput(object);

	/* As with mmap(2), the mapping stays if populating it fails. */
	if (!err && arg->flags & (MAP_POPULATE | MAP_LOCKED))
		mshare_populate(region, arg->region_offset, arg->size);
	return err;
}

static int ioctl_unmap(struct inode *inode, void *data)
{
	struct mshare_region *region = inode_region(inode);
	const struct mshare_unmap *arg = data;

	return check_range(region, arg->region_offset, arg->size) ?:
	       mshare_unmap(region, arg->region_offset, arg->size);
}

static int ioctl_protect(struct inode *inode, void *data)
{
	struct mshare_region *region = inode_region(inode);
	const struct mshare_protect *arg = data;

	if (arg->flags || arg->prot & ~MSHAREFS_PROT)
		return -EINVAL;
	return check_range(region, arg->region_offset, arg->size) ?:
	       mshare_protect(region, arg->region_offset, arg->size, arg->prot);
}

static int ioctl_advise(struct inode *inode, void *data)
{
	struct mshare_region *region = inode_region(inode);
	const struct mshare_advise *arg = data;

	if (arg->flags)
		return -EINVAL;
	return check_range(region, arg->region_offset, arg->size) ?:
	       mshare_advise(region, arg->region_offset, arg->size,
			     arg->advice);
}

static int ioctl_lock(struct inode *inode, void *data)
{
	struct mshare_region *region = inode_region(inode);
	const struct mshare_lock *arg = data;
	vm_flags_t vm_flags = 0;
	int err;

	if (arg->op == MSHAREFS_LOCK_ON) {
		if (arg->flags & ~MSHAREFS_LOCK_ONFAULT)
			return -EINVAL;
		vm_flags = VM_LOCKED;
		if (arg->flags & MSHAREFS_LOCK_ONFAULT)
			vm_flags |= VM_LOCKONFAULT;
	} else if (arg->op != MSHAREFS_LOCK_OFF || arg->flags) {
		return -EINVAL;
	}

	err = check_range(region, arg->region_offset, arg->size) ?:
	      may_lock(inode, arg->op) ?:
	      mshare_mlock(region, arg->region_offset, arg->size, vm_flags);
	if (!err && vm_flags == VM_LOCKED)
		err = mshare_populate(region, arg->region_offset, arg->size);
	return err;
}

static int ioctl_stat(struct inode *inode, void *data)
{
	struct mshare_region_stat stat;
	struct mshare_stat *arg = data;

	mshare_region_stat(inode_region(inode), &stat);
	memset(arg, 0, sizeof(*arg));
	arg->size = stat.size;
	arg->mappings = stat.mappings;
	arg->windows = stat.windows;
	arg->processes = stat.processes;
	arg->resident = stat.resident;
	arg->page_tables = stat.page_tables;
	arg->locked = stat.locked;
	arg->links = stat.links;
	arg->faults = stat.faults;
	arg->flushes = stat.flushes;
	return 0;
}

static u32 flags_prot(vm_flags_t vm_flags)
{
	return (vm_flags & VM_READ ? PROT_READ : 0) |
	       (vm_flags & VM_WRITE ? PROT_WRITE : 0) |
	       (vm_flags & VM_EXEC ? PROT_EXEC : 0);
}

static u32 mapping_kind(const struct mshare_object *object)
{
	struct address_space *mapping = object->file->f_mapping;

	if (object->vm_flags & VM_HUGETLB)
		return MSHAREFS_KIND_HUGETLB;
	if (IS_DAX(mapping->host))
		return MSHAREFS_KIND_DAX;
	if (!shmem_mapping(mapping))
		return MSHAREFS_KIND_FILE;
	return object->is_private ? MSHAREFS_KIND_ANON : MSHAREFS_KIND_SHMEM;
}

static void describe_mapping(const struct mshare_object *object,
			     struct mshare_mapping *arg)
{
	/* The inode of the file as it was opened, as in /proc/PID/maps. */
	const struct inode *inode = file_user_inode(object->file);

	arg->offset = object->offset;
	arg->size = object->to - object->from;
	arg->object_offset = object->from;
	arg->inode = inode->i_ino;
	arg->dev_major = MAJOR(inode->i_sb->s_dev);
	arg->dev_minor = MINOR(inode->i_sb->s_dev);
	arg->prot = flags_prot(object->vm_flags);
	/* VM_MAY* are VM_* shifted by 4. */
	arg->max_prot = flags_prot(object->vm_flags >> 4);
	arg->kind = mapping_kind(object);
	arg->flags = MAP_SHARED |
		     (arg->kind == MSHAREFS_KIND_ANON ? MAP_ANONYMOUS : 0) |
		     (arg->kind == MSHAREFS_KIND_HUGETLB ? MAP_HUGETLB : 0) |
		     (object->vm_flags & VM_LOCKED ? MAP_LOCKED : 0);
	arg->page_shift = object->page_shift;
}

static int ioctl_next_mapping(struct inode *inode, void *data)
{
	struct mshare_mapping *arg = data;
	struct mshare_object object;
	int found;

	if (arg->reserved)
		return -EINVAL;
	found = mshare_find_object(inode_region(inode), arg->offset, &object);
	if (found <= 0)
		return found ?: -ENOENT;
	describe_mapping(&object, arg);
	fput(object.file);
	return 0;
}

struct msharefs_command {
	unsigned int cmd;
	bool write;	/* changes the region */
	int (*run)(struct inode *inode, void *data);
};

static const struct msharefs_command commands[] = {
	{ MSHAREFS_CREATE_MAPPING,	true,	ioctl_create },
	{ MSHAREFS_UNMAP,		true,	ioctl_unmap },
	{ MSHAREFS_PROTECT,		true,	ioctl_protect },
	{ MSHAREFS_ADVISE,		true,	ioctl_advise },
	{ MSHAREFS_LOCK,		true,	ioctl_lock },
	{ MSHAREFS_STAT,		false,	ioctl_stat },
	{ MSHAREFS_NEXT_MAPPING,	false,	ioctl_next_mapping },
};

static const struct msharefs_command *find_command(unsigned int cmd)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].cmd == cmd)
			return &commands[i];
	return NULL;
}

/* Kernel memory is charged to the region, like the memory itself. */
static int run_command(const struct msharefs_command *command,
		       struct inode *inode, void *data)
{
	struct mshare_charge charge;
	int err;

	mshare_charge_begin(&charge, inode_region(inode), !command->write);
	err = command->run(inode, data);
	mshare_charge_end(&charge);
	return err;
}

long msharefs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct msharefs_command *command = find_command(cmd);
	union {
		struct mshare_create create;
		struct mshare_unmap unmap;
		struct mshare_protect protect;
		struct mshare_advise advise;
		struct mshare_lock lock;
		struct mshare_stat stat;
		struct mshare_mapping mapping;
	} data;
	int err;

	if (!command)
		return -ENOTTY;
	if (command->write && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (_IOC_DIR(cmd) & _IOC_WRITE &&
	    copy_from_user(&data, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	err = run_command(command, file_inode(file), &data);
	if (!err && _IOC_DIR(cmd) & _IOC_READ &&
	    copy_to_user((void __user *)arg, &data, _IOC_SIZE(cmd)))
		return -EFAULT;
	return err;
}
