/* SPDX-License-Identifier: Apache-2.0 */
/* The devpts file system: ptmx and one node per pty. pty(7). */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

struct tty;

/* A new instance (newinstance is always on). options: "gid=5,mode=620,ptmxmode=666,max=N" or NULL.
 * -EINVAL. */
int MUST_CHECK devpts_create(const char *options, struct super **out);
extern const struct fs_type g_fs_devpts;

/* Opens a new pty's master (what open("/dev/ptmx") does). s NULL: the first instance made, -ENODEV
 * without one. -ENOSPC: no free number. */
int MUST_CHECK devpts_open_master(struct super *s, uint32_t flags, struct file **out);
/* Opens the slave of a master with the slave's own path (TIOCGPTPEER). */
int MUST_CHECK devpts_open_peer(struct file *master, uint32_t flags, struct file **out);
/* The same, seen through mnt (borrowed, may be NULL: the path cannot be shown then). */
int MUST_CHECK devpts_open_slave(struct tty *tty, struct mount *mnt, uint32_t flags,
                                 struct file **out);
