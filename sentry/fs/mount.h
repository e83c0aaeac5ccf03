/* SPDX-License-Identifier: Apache-2.0 */
/* Mount operations behind mount(2), umount2(2), pivot_root(2), open_tree(2)...; see mount.c. */
#pragma once

#include "sentry/fs/vfs.h"

struct dentry *mount_root(const struct mount *m);
/* May the caller change mounts of its namespace (CAP_SYS_ADMIN over it)? */
bool may_mount(void);
/* Finds a file system type of g_fs_types; -ENODEV, -EPERM when it may not be mounted here. */
int MUST_CHECK fs_type_find(const char *name, const struct fs_type **out);
/* A mount that is nowhere: mount it with mount_graft, or mount_put it. */
int MUST_CHECK fs_type_new_mount(const struct fs_type *type, const char *source,
                                 const char *options, uint32_t super_flags, uint32_t flags,
                                 struct mount **out);
/* Attaches a detached tree (consumes the reference on success). -EINVAL, -ENOTDIR, -ENOENT. */
int MUST_CHECK mount_graft(struct mount *m, const struct path *where);
/* A detached copy of the mounts at *from (bind). */
int MUST_CHECK mount_clone_at(const struct path *from, bool recursive, struct mount **out);
int vfs_bind(const struct path *from, const struct path *to, bool recursive);
int vfs_move_mount(const struct path *from, const struct path *to);
int vfs_remount_bind(const struct path *p, uint32_t flags);
int vfs_remount_super(const struct path *p, uint32_t super_flags, uint32_t flags,
                      const char *options);
/* type: one of LX_MS_SHARED, _SLAVE, _PRIVATE, _UNBINDABLE. */
int vfs_set_propagation(const struct path *p, uint32_t type, bool recursive);
/* mount_setattr(2): clears then sets MOUNT_* bits. */
int vfs_mount_setattr(const struct path *p, uint32_t set, uint32_t clear, bool recursive);
int vfs_umount(struct path *p, uint32_t flags);
int vfs_pivot_root(const struct path *new_root, const struct path *put_old);
/* Undoes a detached tree (fsmount/open_tree file closed before it was attached). */
void mount_dissolve(struct mount *m);
/* statmount(2) of the mount with the unique id in the caller's namespace. *out_strings is
 * malloc'ed. -ENOENT, -EPERM (not below the caller's root), -ENOMEM. */
struct lx_statmount;
int MUST_CHECK vfs_statmount(uint64_t id, uint64_t mask, struct lx_statmount *out,
                             char **out_strings, size_t *out_size);
/* listmount(2): unique ids of what is mounted below id (or the caller's root), in the order of ids,
 * beginning after last (0: the first). *out is malloc'ed. -ENOENT, -EPERM, -ENOMEM. */
int MUST_CHECK vfs_listmount(uint64_t id, uint64_t last, bool reverse, uint64_t **out,
                             size_t *out_count);
struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);
