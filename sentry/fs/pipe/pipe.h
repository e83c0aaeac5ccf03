/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs: pipe(7), fifo(7). See pipe/README.md. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* Two ends of a new pipe; flags: LX_O_NONBLOCK, LX_O_DIRECT (packet mode). -ENFILE, -ENOMEM. */
int MUST_CHECK pipe_create(uint32_t flags, struct file **out_read, struct file **out_write);
/* inode_ops.open of a FIFO node, with Linux's blocking rules. -ENXIO, -ERESTARTSYS. */
int MUST_CHECK fifo_open(struct inode *inode, struct dentry *dentry, uint32_t flags,
                         struct file **out);
/* From inode_ops.destroy of any file system that has FIFOs (through inode_destroy_generic). */
void fifo_inode_destroy(struct inode *inode);

/* fcntl F_SETPIPE_SZ / F_GETPIPE_SZ; -EBADF when f is no pipe. */
long pipe_set_size(struct file *f, uint32_t size);
long pipe_get_size(struct file *f);
bool file_is_pipe(const struct file *f);

/* splice(2) family. f_in/f_out are checked for access mode by the caller; positions: NULL uses the
 * file's own. Bytes moved or -errno. */
#define LX_SPLICE_F_MOVE     1u
#define LX_SPLICE_F_NONBLOCK 2u
#define LX_SPLICE_F_MORE     4u
#define LX_SPLICE_F_GIFT     8u
ssize_t pipe_splice_from(struct file *pipe, struct file *out, lx_loff_t *out_pos, size_t size,
                         uint32_t flags);
ssize_t pipe_splice_to(struct file *in, lx_loff_t *in_pos, struct file *pipe, size_t size,
                       uint32_t flags);
/* Moves (tee: duplicates) buffers from one pipe to another; -EINVAL when they are the same. */
ssize_t pipe_splice_pipe(struct file *in, struct file *out, size_t size, uint32_t flags, bool tee);
/* vmsplice(2): user memory into or out of the pipe. */
ssize_t pipe_vmsplice(struct file *pipe, struct iov_iter *it, uint32_t flags);
