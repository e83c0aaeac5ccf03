/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by mount.c, mount_ops.c, mntns.c and propagation.c. */
#pragma once

#include "sentry/fs/mount.h"
#include "sentry/fs/vfs_internal.h"

/* Mounts of one namespace. Linux's default is 100000; propagation looks at pairs here, so that a
 * guest could keep the mount lock for minutes with that many. */
#define MOUNTS_MAX 8192u

/* One unmounted mount whose references are put once no lock is held. */
struct umounted {
    struct list node;
    struct mount *mnt;  /* the namespace's reference */
    struct path was_at; /* its mountpoint and parent */
};

struct mount *mount_child_at(const struct mount *m, const struct dentry *d) REQUIRES(g_mount_lock);
void mount_attach(struct mount *m, struct mount *parent, struct dentry *at) REQUIRES(g_mount_lock);
void mount_detach(struct mount *m, struct path *gone) REQUIRES(g_mount_lock);
void mount_enter_ns(struct mount *m, struct mntns *ns) REQUIRES(g_mount_lock);
void mount_leave_ns(struct mount *m) REQUIRES(g_mount_lock);
/* Walks the tree below top, parents first; NULL at the end. */
struct mount *mount_next(struct mount *m, struct mount *top) REQUIRES(g_mount_lock);
/* The same without what is below m. */
struct mount *mount_skip(struct mount *m, struct mount *top) REQUIRES(g_mount_lock);
extern struct list g_attached_mounts;
int MUST_CHECK umount_tree(struct mount *top, struct list *gone) REQUIRES(g_mount_lock);
void umount_list_put(struct list *gone);
bool mount_in_ns(const struct mount *m, const struct mntns *ns);
/* For a namespace with a lesser owner: nobody there may look below what is covered in the tree (nothing is below its top), or
 * drop what a mount forbids. */
void mount_lock_tree(struct mount *top) REQUIRES(g_mount_lock);
/* A copy of m and, when recursive, of what is mounted below root; detached. */
int MUST_CHECK mount_copy_tree(struct mount *m, struct dentry *root, bool recursive,
                               bool keep_unbindable, struct mount **out) REQUIRES(g_mount_lock);
/* Copies m to everywhere that receives mount events of parent. */
int MUST_CHECK propagate_mount(struct mount *m, struct mount *parent, struct dentry *at,
                               struct list *gone) REQUIRES(g_mount_lock);
/* Unmounts the copies that receive the umount of m. */
int MUST_CHECK propagate_umount(struct mount *m, struct list *gone) REQUIRES(g_mount_lock);
void propagation_set(struct mount *m, uint32_t type) REQUIRES(g_mount_lock);
