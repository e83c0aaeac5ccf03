/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks: flock(2), POSIX record locks and open-file-description locks of fcntl(2). */
#pragma once

#include "sentry/core/pid.h"
#include "sentry/fs/vfs.h"

struct lx_flock;

/* op: LX_LOCK_SH/EX/UN, plus LX_LOCK_NB. -EWOULDBLOCK, -ERESTARTSYS, -ENOLCK. */
int flock_apply(struct file *f, uint32_t op);
/* fcntl record locks; cmd LX_F_*LK*. The range is resolved against f's position and size. For GETLK
 * *fl is filled in. -EAGAIN, -EDEADLK, -EBADF (mode), -EINVAL, -EOVERFLOW, -ERESTARTSYS. */
int flock_fcntl(struct file *f, int cmd, struct lx_flock *fl);
/* /proc/locks, as far as it fits. Returns the bytes used. */
size_t flock_format_all(char *buf, size_t size);
