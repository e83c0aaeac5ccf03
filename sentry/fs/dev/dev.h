/* SPDX-License-Identifier: Apache-2.0 */
/* Character devices by number, and the /dev tree. See dev/README.md. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* inode_ops.open of a character or block device node (inode->attr.rdev). -ENXIO: no such device. */
int MUST_CHECK dev_open(struct inode *inode, struct dentry *dentry, uint32_t flags,
                        struct file **out);

/* /dev/kmsg, which only containers have that ask for it. */
int MUST_CHECK kmsg_open(uint32_t flags, struct file **out);

/* A new tree for /dev: null zero full random urandom tty console, fd stdin stdout stderr, ptmx ->
 * pts/ptmx, empty directories pts shm mqueue. Mount type "devtmpfs". */
int MUST_CHECK devfs_create(struct super **out);
/* One more node (OCI linux.devices). name may have directories ("net/tun"). mode with type bits. */
int MUST_CHECK devfs_add_node(struct super *devfs, const char *name, uint32_t mode, lx_uid_t uid,
                              lx_gid_t gid, lx_dev_t rdev);
extern const struct fs_type g_fs_devtmpfs;

/* Mapping /dev/zero is mapping anonymous memory: mmap treats such a file as LX_MAP_ANONYMOUS. */
bool dev_file_is_zero(const struct file *f);
