/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes with RWF_* flags: preadv2, pwritev2, io_uring, AIO. */
#pragma once

#include "sentry/fs/vfs.h"

/* pos NULL: at the file's position, or a file without one; else it is advanced. flags: RWF_*. */
long fs_rw_vector(int fd, uaddr_t vec, uint64_t vlen, lx_loff_t *pos, int flags, bool write);
long fs_rw_buffer(int fd, uaddr_t buf, size_t len, lx_loff_t *pos, int flags, bool write);
/* The same on a file whose access mode and range were checked. */
long fs_rw_iter(struct file *f, struct iov_iter *it, lx_loff_t *pos, int flags, bool write);
/* splice(2); off: an explicit position, moved on, or NULL. */
long fs_splice(struct file *in, lx_loff_t *off_in, struct file *out, lx_loff_t *off_out, size_t len,
               uint32_t flags);
long fs_tee(struct file *in, struct file *out, size_t len, uint32_t flags);
