/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7). fs_notify_file and fs_notify_dir (vfs.h) are implemented here; they cost one atomic
 * load while the sandbox has no watch.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/inotify.h"
#include "sentry/fs/vfs.h"

int MUST_CHECK inotify_create(uint32_t flags, struct file **out);
bool file_is_inotify(const struct file *f);
/* Watch descriptor or -errno (-EEXIST with IN_MASK_CREATE, -ENOSPC). Permission was checked. */
int MUST_CHECK inotify_add(struct file *f, struct inode *inode, uint32_t mask);
int MUST_CHECK inotify_remove(struct file *f, int32_t wd);
/* From here to inotify_notice_end events of this inode reach fs_notify_dir although nobody has an
 * inotify watch. -ENOMEM. */
int MUST_CHECK inotify_notice(struct inode *inode);
void inotify_notice_end(void);
/* From inode_destroy_generic: a watched inode goes away for good. */
void inotify_inode_destroy(struct inode *inode);
