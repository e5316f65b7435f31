/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ways into and out of a process's memory: O_DIRECT, aio, io_uring, long-term
 * pins, ptrace.
 */
#ifndef MSHARE_LIB_IO_H
#define MSHARE_LIB_IO_H

#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include "lib.h"

#define DIRECT_SIZE	(1UL << 20)

int direct_open(void);
int direct_fill(int fd, unsigned int region, unsigned int pages);
uint64_t direct_load(int fd, unsigned int i);

/* The smallest io_uring: one request at a time. */
struct uring {
	int fd;
	struct io_uring_params p;
	char *ring;
	size_t ring_size;
	struct io_uring_sqe *sqe;
};

int uring_setup(struct uring *u);
void uring_free(struct uring *u);
long uring_do(struct uring *u, const struct io_uring_sqe *sqe);
long uring_rw(struct uring *u, int op, int fd, char *buf, unsigned int len,
	      uint64_t off);
int uring_register(struct uring *u, char *buf, size_t len);
int uring_unregister(struct uring *u);
long aio_rw(int op, int fd, char *buf, size_t len, uint64_t off);

/* The ways to move data between an O_DIRECT file and memory. */
enum engine { SYNC, AIO, URING, URING_FIXED, ENGINES };

long direct_rw(enum engine engine, bool write, int fd, char *buf, size_t len,
	       uint64_t off);

/*
 * A long-term pin as a driver takes it, by the kernel's own test device: the
 * file that holds it, or -errno. There can be one at a time. The numbers are
 * those of mm/gup_test.h, which is no header for user space.
 */
struct longterm {
	uint64_t addr, size;
	uint32_t flags;
};

#define LONGTERM_START	_IOW('g', 7, struct longterm)
#define LONGTERM_READ	_IOW('g', 9, uint64_t)
#define LONGTERM_WRITE	1
#define LONGTERM_FAST	2	/* without locks, where that does */

int longterm_pin(const char *at, size_t size, uint32_t flags);
int longterm_read(int fd, char *buf);
long op_ptrace(const long *a);

#define peer_poke(p, pid, at, val) \
	peer_call(p, op_ptrace, pid, PTRACE_POKEDATA, L(at), L(val))
#define peer_peek_word(p, pid, at) \
	peer_call(p, op_ptrace, pid, PTRACE_PEEKDATA, L(at), 0)

long op_mem(const long *a);

#define peer_mem_write(p, pid, at, val)	\
	peer_call(p, op_mem, pid, L(at), L(val), 1)
#define peer_mem_read(p, pid, at)	peer_call(p, op_mem, pid, L(at), 0, 0)

long op_vm(const long *a);

#define peer_vm_write(p, pid, at, val)	\
	peer_call(p, op_vm, pid, L(at), L(val), 1)
#define peer_vm_read(p, pid, at)	peer_call(p, op_vm, pid, L(at), 0, 0)

#endif
