/* SPDX-License-Identifier: Apache-2.0 */
/* Files over donated host descriptors (stdio of `do`, `run` without terminal). See host/README.md.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* Takes host_fd over (also on error). flags: LX_O_* access mode and status flags as the guest shall
 * see them; the access mode is reduced to what the host fd allows. Starts the host poller thread on
 * first use. -ENOMEM, -EBADF. */
int MUST_CHECK hostfile_new_take(int host_fd, uint32_t flags, struct file **out);
/* Is it the inode of a donated descriptor? fifo_open leaves those to hostfile_reopen. */
bool inode_is_hostfile(const struct inode *inode);
int MUST_CHECK hostfile_reopen(struct inode *inode, uint32_t flags, struct file **out);
