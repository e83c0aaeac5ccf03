/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the newer mount calls: a detached tree (open_tree, fsmount), a configuration in the
 * making (fsopen, fspick). */
#pragma once

#include "sentry/fs/mount.h"

/* An O_PATH file at the root of a detached tree; closing it dissolves the tree unless it was
 * attached. Takes m on success. */
int MUST_CHECK mount_file_new(struct mount *m_take, struct file **out);
/* Attaches the tree of such a file: -EINVAL when f is none or it was attached before. */
int MUST_CHECK mount_file_attach(struct file *f, const struct path *where);
bool file_is_mount(const struct file *f);

int MUST_CHECK fs_context_new(const struct fs_type *type, struct file **out);
/* For changing the mounted file system at p. */
int MUST_CHECK fs_context_pick(const struct path *p, struct file **out);
bool file_is_fs_context(const struct file *f);
/* value NULL: a flag. -EINVAL, -EBUSY after creation, -ENOMEM, -E2BIG. */
int MUST_CHECK fs_context_set(struct file *f, const char *key, const char *value);
int MUST_CHECK fs_context_create(struct file *f);
int MUST_CHECK fs_context_reconfigure(struct file *f);
/* The mount of what was created; flags: MOUNT_*. -EINVAL before creation, -EBUSY the second time.
 */
int MUST_CHECK fs_context_mount(struct file *f, uint32_t flags, struct mount **out);
