// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's ioctls, and what it does to mapped objects behind their back. */
#include <linux/falloc.h>
#include "fuzz.h"

bool object_constant(int object)
{
	return object == OBJ_SEALED || object == OBJ_READ_ONLY;
}

/* A file that is none of the family's, and mostly none to be mapped. */
static int strange_fd(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	unsigned int what = rnd(f, 6);

	switch (what) {
	case 0:
		return r ? r->fd : -1;
	case 1:
		return -1;
	case 2:
		return 0;
	case 3:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 4:
		return syscall(__NR_memfd_secret, O_CLOEXEC);
	default:
		return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	}
}

static void mess_up(struct fz *f, void *arg, size_t size)
{
	uint64_t nasty = rnd_nasty(f);
	unsigned int at = rnd(f, size / 4) * 4;

	memcpy((char *)arg + at, &nasty, rnd(f, 2) || at + 8 > size ? 4 : 8);
}

bool do_create_mapping(struct fz *f)
{
	const uint32_t extra[] = { 0, 0, 0, 0, 0, 0, MAP_POPULATE, MAP_POPULATE,
				   MAP_NORESERVE, MAP_LOCKED, MAP_SYNC };
	struct rfd *r = rnd_fd(f);
	struct mshare_create arg = { .fd = -1 };
	unsigned int object = rnd(f, 2 * NR_OBJECTS);
	uint32_t more = PICK(f, extra), page = rnd(f, OBJECT_PAGES / 2);
	bool replace = rnd(f, 4), messed = one_in(f, 20), odd = one_in(f, 30);
	bool big = one_in(f, 3), strange = false;
	int ret, fd = -1;

	if (!r)
		return false;
	rnd_range(f, r, &arg.region_offset, &arg.size,
		  more & (MAP_POPULATE | MAP_LOCKED));
	arg.prot = rnd_prot(f, r->family);
	arg.flags = more | (replace ? MAP_FIXED : MAP_FIXED_NOREPLACE) |
		    (rnd(f, 4) ? MAP_SHARED : MAP_SHARED_VALIDATE);
	if (odd) {
		fd = strange_fd(f);
		strange = true;
	} else if (object < NR_OBJECTS) {
		fd = f->sh->object[r->family][object];
		arg.offset = big ? 0 : page * PAGE;
	}
	if (object == OBJ_HUGETLB && fd >= 0 && rnd(f, 8)) {
		arg.region_offset = ALIGN(arg.region_offset, HUGE);
		arg.size = HUGE;
		arg.offset = 0;
	}
	arg.fd = fd;
	if (fd < 0) {
		arg.flags |= MAP_ANONYMOUS;
		if (one_in(f, 24)) {
			arg.flags |= MAP_HUGETLB;
			arg.region_offset = ALIGN(arg.region_offset, HUGE);
			arg.size = HUGE;
		}
	}
	/* Any file but one of another family: that would be right, too. */
	if (messed)
		mess_up(f, &arg, offsetof(struct mshare_create, fd));
	ret = region_ioctl(r->fd, MSHAREFS_CREATE_MAPPING, &arg);
	if (strange && fd > 2 && (!r || fd != r->fd)) {
		/* Not one of those in the table of open regions. */
		bool known = false;

		for (int i = 0; i < NR_FDS; i++)
			known |= f->fd[i].fd == fd;
		if (!known)
			close(fd);
	}
	if (ret)
		return false;
	if (r->mode == O_RDONLY || r->mode == O_PATH)
		wrong(f, "CREATE_MAPPING by a file of mode %d", r->mode);
	if (strange && !(arg.flags & MAP_ANONYMOUS))
		wrong(f, "CREATE_MAPPING of fd %d", fd);
	if (object < NR_OBJECTS && object_constant(object) && !strange &&
	    !(arg.flags & MAP_ANONYMOUS) && arg.prot & PROT_WRITE)
		wrong(f, "CREATE_MAPPING, read-only object %u, prot %u", object,
		      arg.prot);
	if (!arg.size || arg.size % PAGE || arg.region_offset % PAGE)
		wrong(f, "CREATE_MAPPING at %#llx, size %#llx",
		      (unsigned long long)arg.region_offset,
		      (unsigned long long)arg.size);
	return true;
}

/* The others have the same beginning. */
static bool change(struct fz *f, unsigned int cmd, uint32_t what,
		   uint32_t flags, bool brief)
{
	struct mshare_protect arg = { .prot = what, .flags = flags };
	struct rfd *r = rnd_fd(f);
	bool messed = one_in(f, 20);
	int ret;

	if (!r)
		return false;
	if (cmd == MSHAREFS_PROTECT)
		arg.prot = rnd_prot(f, r->family);
	rnd_range(f, r, &arg.region_offset, &arg.size, brief);
	if (messed)
		mess_up(f, &arg, _IOC_SIZE(cmd));
	ret = region_ioctl(r->fd, cmd, &arg);
	if (!ret && (r->mode == O_RDONLY || r->mode == O_PATH))
		wrong(f, "ioctl %#x by a file of mode %d", cmd, r->mode);
	if (!ret && (!arg.size || arg.size % PAGE || arg.region_offset % PAGE))
		wrong(f, "ioctl %#x at %#llx, size %#llx", cmd,
		      (unsigned long long)arg.region_offset,
		      (unsigned long long)arg.size);
	return !ret;
}

bool do_unmap_mapping(struct fz *f)
{
	return change(f, MSHAREFS_UNMAP, 0, 0, false);
}

bool do_protect(struct fz *f)
{
	return change(f, MSHAREFS_PROTECT, 0, 0, false);
}

static const int good_advice[] = {
	MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
	MADV_REMOVE, MADV_REMOVE, MADV_DONTDUMP, MADV_DODUMP, MADV_HUGEPAGE,
	MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD, MADV_PAGEOUT, MADV_PAGEOUT,
	MADV_POPULATE_READ, MADV_POPULATE_WRITE, 25 /* COLLAPSE */, 25,
};

bool do_advise(struct fz *f)
{
	return change(f, MSHAREFS_ADVISE, PICK(f, good_advice), 0, true);
}

bool do_lock(struct fz *f)
{
	bool on = rnd(f, 2);

	return change(f, MSHAREFS_LOCK,
		      on ? MSHAREFS_LOCK_ON : MSHAREFS_LOCK_OFF,
		      on ? rnd(f, 2) : 0, true);
}

bool do_stat(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	struct mshare_stat st = {};

	if (!r || region_ioctl(r->fd, MSHAREFS_STAT, &st))
		return false;
	if (st.size % f->sh->unit || st.page_tables % PAGE ||
	    st.locked % PAGE || st.processes > st.windows)
		wrong(f, "STAT: size %#llx, tables %#llx, locked %#llx, %llu processes, %llu windows",
		      (unsigned long long)st.size,
		      (unsigned long long)st.page_tables,
		      (unsigned long long)st.locked,
		      (unsigned long long)st.processes,
		      (unsigned long long)st.windows);
	for (size_t i = 0; i < ARRAY_SIZE(st.reserved); i++) {
		if (st.reserved[i])
			wrong(f, "STAT: reserved[%zu]", i);
	}
	return true;
}

/* From the start to the end, while others change it. */
bool do_next(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	struct mshare_mapping m;
	uint64_t at = one_in(f, 4) ? rnd_nasty(f) : 0;
	unsigned int n = 0;

	if (!r)
		return false;
	while (!region_next(r->fd, at, &m)) {
		if (m.offset + m.size <= at || m.offset % PAGE || !m.size ||
		    m.size % PAGE || m.prot & ~m.max_prot ||
		    m.max_prot & ~RWX || m.reserved ||
		    m.kind < MSHAREFS_KIND_ANON || m.kind > MSHAREFS_KIND_DAX ||
		    m.page_shift < 12 || m.page_shift > 21)
			wrong(f, "NEXT_MAPPING from %#llx: at %#llx, size %#llx, prot %u of %u, kind %u",
			      (unsigned long long)at,
			      (unsigned long long)m.offset,
			      (unsigned long long)m.size, m.prot, m.max_prot,
			      m.kind);
		at = m.offset + m.size;
		if (++n == 10000)
			wrong(f, "NEXT_MAPPING does not end");
	}
	return n;
}

bool do_bad_ioctl(struct fz *f)
{
	struct rfd *r = rnd_fd(f);
	const unsigned int nr[] = { 0, 1, 2, 15, 16, 17, 18, 19, 20, 21 };
	unsigned int cmd = _IOC(rnd(f, 4), 'x', PICK(f, nr), rnd(f, 160));
	char buf[256];

	if (!r)
		return false;
	/* Whatever this is, it is no mapping of another family's file. */
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = rnd(f, 256);
	if (cmd == MSHAREFS_CREATE_MAPPING)
		return false;
	return !ioctl(r->fd, cmd, rnd(f, 2) ? buf : (char *)rnd_nasty(f));
}

/* Files that are mapped are used as files, too. */
bool do_object(struct fz *f)
{
	int family = rnd(f, FAMILIES), object = rnd(f, NR_OBJECTS);
	const int fd = f->sh->object[family][object];
	off_t at = rnd(f, OBJECT_PAGES) * PAGE, size = rnd(f, OBJECT_PAGES);
	unsigned int what = rnd(f, 10), len = 8 * (1 + rnd(f, 512));
	ssize_t n;

	if (fd < 0)
		return false;
	switch (what) {
	case 0:
		/* Whoever has mapped the rest gets SIGBUS. */
		/* To the size that it has, even what is sealed can be cut. */
		if (size == RO_PAGES || ftruncate(fd, size * PAGE))
			return false;
		break;
	case 1:
		if (ftruncate(fd, OBJECT_PAGES * PAGE))
			return false;
		break;
	case 2:
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      at, 16 * PAGE))
			return false;
		break;
	case 3:
		return !fsync(fd);
	case 4:
		return !posix_fadvise(fd, at, 64 * PAGE, POSIX_FADV_DONTNEED);
	case 5:
	case 6:
	case 7:
		memset(f->scratch, byte_of[family], len);
		if (pwrite(fd, f->scratch, len, at) <= 0)
			return false;
		break;
	default:
		n = pread(fd, f->scratch, len, at);
		if (n > 0)
			check_bytes(f, family, f->scratch, n, (void *)at);
		return n > 0;
	}
	if (object_constant(object))
		wrong(f, "read-only object %d was changed", object);
	return true;
}

/* What can only be read is as it was made. */
bool do_constant(struct fz *f)
{
	int family = rnd(f, FAMILIES);
	int object = rnd(f, 2) ? OBJ_SEALED : OBJ_READ_ONLY;
	off_t at = rnd(f, RO_PAGES) * PAGE;

	if (pread(f->sh->object[family][object], f->scratch, PAGE, at) !=
	    (ssize_t)PAGE)
		return false;
	for (unsigned int i = 0; i < PAGE; i++) {
		if ((uint8_t)f->scratch[i] != ro_byte_of[family])
			wrong(f, "read-only object %d of family %d: byte %#x at %#llx",
			      object, family, (uint8_t)f->scratch[i],
			      (unsigned long long)at + i);
	}
	return true;
}
