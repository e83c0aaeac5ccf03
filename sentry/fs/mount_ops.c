/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mount(2), umount2(2), pivot_root(2) and the newer mount calls do to the tree of the calling
 * task's namespace. Arguments were decoded and CAP_SYS_ADMIN was checked by the system calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/mount.h"
#include "sentry/fs/mount_internal.h"

bool may_mount(void)
{
    struct mntns *ns = curr()->mntns;

    return cred_ns_capable(curr()->cred, ns ? ns->userns : curr()->cred->userns, LX_CAP_SYS_ADMIN);
}

int fs_type_find(const char *name, const struct fs_type **out)
{
    size_t i;

    for (i = 0; g_fs_types[i]; i++) {
        const struct fs_type *type = g_fs_types[i];

        if (strcmp(type->name, name))
            continue;
        if (!(type->flags & FS_TYPE_USERNS) && !cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
            return -EPERM;
        *out = type;
        return 0;
    }
    return -ENODEV;
}

int fs_type_new_mount(const struct fs_type *type, const char *source, const char *options,
                      uint32_t super_flags, uint32_t flags, struct mount **out)
{
    struct super *s;
    int ret =
        mntns_hides(type, (super_flags & SUPER_READONLY) || (flags & MOUNT_READONLY)) ? -EPERM : 0;

    if (ret < 0)
        return ret;
    ret = type->mount(type, source ? source : "none", options ? options : "", super_flags, &s);

    if (ret < 0)
        return ret;
    ret = mount_alloc(s, s->root, flags, source, out);
    super_put(s);
    return ret;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static int copy_one(struct mount *m, struct dentry *root, struct mount **out)
{
    struct mount *c;
    int ret = mount_alloc(m->super, root, m->flags, m->source, &c);

    if (ret < 0)
        return ret;
    c->propagation = m->propagation;
    c->peer_group = m->peer_group;
    c->master_group = m->master_group;
    *out = c;
    return 0;
}

/* The place of parent's copy: copies keep the shape, so step along both trees. */
int mount_copy_tree(struct mount *m, struct dentry *root, bool recursive, bool keep_unbindable,
                    struct mount **out)
{
    struct mount *top, *from, *at_copy;
    struct list gone;
    int ret = copy_one(m, root, &top);

    if (ret < 0)
        return ret;
    top->copy_of = m;
    top->flags &= ~MOUNT_LOCKED; /* of its own, it may be taken away again */
    at_copy = top;               /* copy of the mount that `from`'s parent is */
    from = recursive ? mount_next(m, m) : NULL;
    while (from) {
        struct mount *c, *parent_from = from->parent;
        bool skip = (!keep_unbindable && (from->propagation & LX_MS_UNBINDABLE)) ||
                    (parent_from == m && !dentry_is_below(from->mountpoint, root));

        /* at_copy stands for the last copied mount: go up to the copy of from's parent. */
        while (at_copy->copy_of != parent_from && at_copy != top)
            at_copy = at_copy->parent;
        if (skip && (from->flags & MOUNT_LOCKED) && (from->propagation & LX_MS_UNBINDABLE)) {
            ret = -EPERM;
            break;
        }
        if (skip) {
            from = mount_skip(from, m);
            continue;
        }
        ret = copy_one(from, from->root, &c);
        if (ret < 0)
            break;
        c->copy_of = from;
        mount_attach(c, at_copy, from->mountpoint);
        at_copy = c;
        from = mount_next(from, m);
    }
    if (ret < 0) {
        list_init(&gone);
        if (umount_tree(top, &gone) < 0)
            log_warn(LOG_FS, "copied mounts leaked: out of memory");
        mutex_unlock(&g_mount_lock);
        umount_list_put(&gone);
        mutex_lock(&g_mount_lock);
        return ret;
    }
    *out = top;
    return 0;
}

void mount_dissolve(struct mount *m)
{
    struct list gone;
    int ret;

    list_init(&gone);
    mutex_lock(&g_mount_lock);
    ret = umount_tree(m, &gone);
    mutex_unlock(&g_mount_lock);
    if (ret < 0)
        log_warn(LOG_FS, "detached mounts leaked: out of memory");
    umount_list_put(&gone);
}

/* A copy without them would show what they cover. */
static bool has_locked_children(const struct mount *m, const struct dentry *root)
    REQUIRES(g_mount_lock)
{
    struct mount *child;

    list_for_each_entry(child, &m->children, child) {
        if ((child->flags & MOUNT_LOCKED) && dentry_is_below(child->mountpoint, root))
            return true;
    }
    return false;
}

void mount_lock_tree(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top))
        atomic_fetch_or(&m->flags, MOUNT_FLAGS_LOCKED | (m == top ? 0 : MOUNT_LOCKED));
}

int mount_clone_at(const struct path *from, bool recursive, struct mount **out)
{
    int ret;

    mutex_lock(&g_mount_lock);
    if (from->mnt->propagation & LX_MS_UNBINDABLE)
        ret = -EINVAL;
    else if (from->mnt->ns && !mount_in_ns(from->mnt, curr()->mntns))
        ret = -EINVAL;
    else if (!recursive && has_locked_children(from->mnt, from->dentry))
        ret = -EINVAL;
    else
        ret = mount_copy_tree(from->mnt, from->dentry, recursive, /*keep_unbindable=*/false, out);
    mutex_unlock(&g_mount_lock);
    return ret;
}

/* ---- bind, move, remount --------------------------------------------------------------------- */

static bool path_in_my_ns(const struct path *p)
{
    bool mine;

    mutex_lock(&g_mount_lock);
    mine = mount_in_ns(p->mnt, curr()->mntns);
    mutex_unlock(&g_mount_lock);
    return mine;
}

int vfs_bind(const struct path *from, const struct path *to, bool recursive)
{
    struct mount *m;
    int ret;

    if (!path_in_my_ns(to))
        return -EINVAL;
    ret = mount_clone_at(from, recursive, &m);
    if (ret < 0)
        return ret;
    ret = mount_graft(m, to);
    if (ret < 0)
        mount_dissolve(m);
    return ret;
}

static bool mount_is_below(const struct mount *m, const struct mount *top)
{
    for (; m; m = m->parent) {
        if (m == top)
            return true;
    }
    return false;
}

int vfs_move_mount(const struct path *from, const struct path *to)
{
    struct mount *m = from->mnt, *parent = to->mnt, *on;
    struct dentry *at = to->dentry;
    struct path was = {NULL, NULL};
    int ret = -EINVAL;

    if (from->dentry != m->root)
        return -EINVAL;
    if (dentry_is_dir(from->dentry) != dentry_is_dir(at))
        return -ENOTDIR;
    mutex_lock(&g_mount_lock);
    while ((on = mount_child_at(parent, at)) != NULL) {
        parent = on;
        at = on->root;
    }
    if (!mount_in_ns(m, curr()->mntns) || !mount_in_ns(parent, curr()->mntns))
        goto out;
    if (!m->parent || (m->flags & MOUNT_LOCKED) || (m->parent->propagation & LX_MS_SHARED))
        goto out;
    ret = -ELOOP;
    if (mount_is_below(parent, m))
        goto out;
    mount_detach(m, &was);
    mount_attach(m, parent, at);
    ret = 0;
out:
    mutex_unlock(&g_mount_lock);
    path_put(&was);
    return ret;
}

/* Flags that a mount from a more privileged namespace must keep. */
static bool locked_flags_dropped(const struct mount *m, uint32_t flags)
{
    const uint32_t keep = MOUNT_READONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC;

    return (m->flags & MOUNT_FLAGS_LOCKED) && (m->flags & keep & ~flags);
}

int vfs_remount_bind(const struct path *p, uint32_t flags)
{
    struct mount *m = p->mnt;
    int ret = -EINVAL;

    mutex_lock(&g_mount_lock);
    if (mount_in_ns(m, curr()->mntns) && p->dentry == m->root) {
        ret = locked_flags_dropped(m, flags) ? -EPERM : 0;
        if (ret == 0)
            m->flags = flags | (m->flags & (MOUNT_LOCKED | MOUNT_FLAGS_LOCKED));
    }
    mutex_unlock(&g_mount_lock);
    return ret;
}

int vfs_remount_super(const struct path *p, uint32_t super_flags, uint32_t flags,
                      const char *options)
{
    struct mount *m = p->mnt;
    struct super *s = m->super;
    int ret = -EINVAL;

    mutex_lock(&g_mount_lock);
    if (!mount_in_ns(m, curr()->mntns) || p->dentry != m->root)
        goto out;
    ret = -EPERM;
    if (locked_flags_dropped(m, flags) ||
        !cred_ns_capable(curr()->cred, s->userns, LX_CAP_SYS_ADMIN))
        goto out;
    ret = s->ops->remount && options && *options ? s->ops->remount(s, options) : 0;
    if (ret == 0) {
        s->flags = (s->flags & ~SUPER_READONLY) | (super_flags & SUPER_READONLY);
        m->flags = flags | (m->flags & (MOUNT_LOCKED | MOUNT_FLAGS_LOCKED));
    }
out:
    mutex_unlock(&g_mount_lock);
    return ret;
}

int vfs_set_propagation(const struct path *p, uint32_t type, bool recursive)
{
    struct mount *m;
    int ret = 0;

    if (p->dentry != p->mnt->root)
        return -EINVAL;
    mutex_lock(&g_mount_lock);
    if (!mount_in_ns(p->mnt, curr()->mntns))
        ret = -EINVAL;
    for (m = p->mnt; ret == 0 && m; m = recursive ? mount_next(m, p->mnt) : NULL)
        propagation_set(m, type);
    mutex_unlock(&g_mount_lock);
    return ret;
}

int vfs_mount_setattr(const struct path *p, uint32_t set, uint32_t clear, bool recursive)
{
    struct mount *m;
    int ret = 0;

    if (p->dentry != p->mnt->root)
        return -EINVAL;
    mutex_lock(&g_mount_lock);
    if (p->mnt->ns && !mount_in_ns(p->mnt, curr()->mntns))
        ret = -EINVAL;
    for (m = p->mnt; ret == 0 && m; m = recursive ? mount_next(m, p->mnt) : NULL) {
        if (locked_flags_dropped(m, (m->flags & ~clear) | set))
            ret = -EPERM;
    }
    for (m = p->mnt; ret == 0 && m; m = recursive ? mount_next(m, p->mnt) : NULL)
        m->flags = (m->flags & ~clear) | set;
    mutex_unlock(&g_mount_lock);
    return ret;
}

/* ---- umount ---------------------------------------------------------------------------------- */

/* A plain umount needs the namespace's and the caller's references to be the only ones. */
static bool busy(struct mount *m)
{
    return !list_empty(&m->children) || refs_read(&m->refs) > 2;
}

static int umount_expire(struct mount *m, uint32_t flags)
{
    if (flags & (LX_MNT_FORCE | LX_MNT_DETACH))
        return -EINVAL;
    if (refs_read(&m->refs) > 2)
        return -EBUSY;
    if (!m->expiring) {
        m->expiring = true;
        return -EAGAIN;
    }
    return 0;
}

int vfs_umount(struct path *p, uint32_t flags)
{
    struct mount *m = p->mnt;
    struct path root;
    struct list gone;
    bool is_root;
    int ret = 0;

    if (!may_mount())
        return -EPERM;
    if (p->dentry != m->root)
        return -EINVAL;
    fs_ctx_root(curr()->fs, &root);
    is_root = root.mnt == m;
    path_put(&root);
    list_init(&gone);
    mutex_lock(&g_mount_lock);
    if (!mount_in_ns(m, curr()->mntns) || (m->flags & MOUNT_LOCKED) || !m->parent)
        ret = -EINVAL;
    else if ((flags & LX_MNT_FORCE) && !cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
        ret = -EPERM;
    else if (flags & LX_MNT_EXPIRE)
        ret = is_root ? -EINVAL : umount_expire(m, flags);
    else if (is_root && !(flags & LX_MNT_DETACH))
        ret = -EBUSY;
    if (ret == 0 && !(flags & LX_MNT_DETACH) && busy(m))
        ret = -EBUSY;
    if (ret == 0)
        ret = propagate_umount(m, &gone);
    if (ret == 0)
        ret = umount_tree(m, &gone);
    mutex_unlock(&g_mount_lock);
    path_put(p);
    umount_list_put(&gone);
    return ret;
}

/* ---- pivot_root ------------------------------------------------------------------------------ */

const struct vfs_task_ops *g_vfs_task_ops;

struct pivot {
    const struct path *old_root, *new_root;
};

static void pivot_fs(struct fs_ctx *fs, void *arg)
{
    const struct pivot *p = arg;

    fs_ctx_replace(fs, p->old_root, p->new_root);
}

static int pivot_check(const struct path *new_root, const struct path *put_old,
                       const struct path *root)
{
    struct mntns *ns = curr()->mntns;
    struct mount *new_mnt = new_root->mnt, *old_mnt = put_old->mnt, *root_mnt = root->mnt;
    const struct mount *m;
    const struct dentry *d = put_old->dentry;

    if ((old_mnt->propagation & LX_MS_SHARED) ||
        (new_mnt->parent && (new_mnt->parent->propagation & LX_MS_SHARED)) ||
        (root_mnt->parent && (root_mnt->parent->propagation & LX_MS_SHARED)))
        return -EINVAL;
    if (!mount_in_ns(root_mnt, ns) || !mount_in_ns(new_mnt, ns))
        return -EINVAL;
    if (new_mnt->flags & MOUNT_LOCKED)
        return -EINVAL;
    if (dentry_unlinked(new_root->dentry))
        return -ENOENT;
    if (new_mnt == root_mnt || old_mnt == root_mnt)
        return -EBUSY;
    if (root->dentry != root_mnt->root || new_root->dentry != new_mnt->root || !new_mnt->parent)
        return -EINVAL;
    /* put_old must be at or below new_root. */
    for (m = old_mnt; m != new_mnt; m = m->parent) {
        if (!m->parent)
            return -EINVAL;
        d = m->mountpoint;
    }
    return dentry_is_below(d, new_root->dentry) ? 0 : -EINVAL;
}

int vfs_pivot_root(const struct path *new_root, const struct path *put_old)
{
    struct path root, gone[2] = {{NULL, NULL}, {NULL, NULL}};
    struct mount *root_mnt, *new_mnt = new_root->mnt;
    int ret;

    fs_ctx_root(curr()->fs, &root);
    root_mnt = root.mnt;
    mutex_lock(&g_mount_lock);
    ret = pivot_check(new_root, put_old, &root);
    if (ret == 0) {
        struct mount *parent = root_mnt->parent;
        struct dentry *at = root_mnt->mountpoint;

        mount_detach(new_mnt, &gone[0]);
        mount_detach(root_mnt, &gone[1]);
        if (parent)
            mount_attach(new_mnt, parent, at);
        else
            new_mnt->ns->root = new_mnt;
        mount_attach(root_mnt, put_old->mnt, put_old->dentry);
    }
    mutex_unlock(&g_mount_lock);
    path_put(&gone[0]);
    path_put(&gone[1]);
    if (ret == 0) {
        struct pivot p = {&root, new_root};

        pivot_fs(curr()->fs, &p);
        if (g_vfs_task_ops)
            g_vfs_task_ops->for_each_fs(pivot_fs, &p);
    }
    path_put(&root);
    return ret;
}
