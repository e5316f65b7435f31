/* SPDX-License-Identifier: GPL-2.0 */
/* Memory cgroups (version 2), for tests. */
#ifndef MSHARE_LIB_CGROUP_H
#define MSHARE_LIB_CGROUP_H

#include <glob.h>
#include <linux/magic.h>
#include <sys/swap.h>
#include "lib.h"

#define CG_ROOT "/sys/fs/cgroup"

int cg_create(const char *name);
int cg_write(const char *name, const char *file, const char *text);
int cg_enter(const char *name);
int cg_remove(const char *name);
void cg_empty(const char *name);
long cg_stat(const char *name, const char *field);
long cg_stat_settles(const char *name, const char *field, long want);
long cg_dying(void);
long cg_dying_settles(long want);
int cg_swap_again(void *arg);
long cg_number(const char *name, const char *file);
long cg_events(const char *name, const char *what);
long op_enter(const long *a);
long op_new(const long *a);
long op_private(const long *a);

#endif
