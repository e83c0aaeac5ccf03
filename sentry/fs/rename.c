/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename(2), renameat2(2).
 *
 * Two directories are locked under the super's rename lock: the one that is an ancestor of the
 * other first (rank DIR), the other second (the pair takes DIR2 by address order when neither is).
 * Both locks are of one class, so mutex_lock_pair's address order is used; ancestors cannot be
 * locked the other way round by anybody, because walks hold one directory at a time.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sentry/fs/security.h"

struct rename_op {
    struct walk old_w, new_w;
    struct inode *old_dir, *new_dir;
    struct dentry *old, *new_child; /* +1 */
    uint32_t flags;
};

static int last_error(const struct rename_op *r)
{
    if (r->old_w.last.type != LAST_NORM)
        return -EBUSY;
    if (r->new_w.last.type != LAST_NORM)
        return (r->flags & LX_RENAME_NOREPLACE) ? -EEXIST : -EBUSY;
    if (r->old_w.last.len > LX_NAME_MAX || r->new_w.last.len > LX_NAME_MAX)
        return -ENAMETOOLONG;
    return 0;
}

/* Both names, directories locked. */
static int rename_lookup(struct rename_op *r)
{
    struct dentry *from = r->old_w.cur.dentry, *to = r->new_w.cur.dentry;
    int ret = walk_lookup(from, r->old_w.last.name, r->old_w.last.len, true, &r->old);

    if (ret < 0)
        return ret;
    if (!r->old->inode)
        return -ENOENT;
    ret = walk_lookup(to, r->new_w.last.name, r->new_w.last.len, true, &r->new_child);
    if (ret < 0)
        return ret;
    if ((r->flags & LX_RENAME_NOREPLACE) && r->new_child->inode)
        return -EEXIST;
    if (r->flags & LX_RENAME_EXCHANGE) {
        if (!r->new_child->inode)
            return -ENOENT;
        if (!dentry_is_dir(r->new_child) && r->new_w.last.trailing_slash)
            return -ENOTDIR;
    }
    if (!dentry_is_dir(r->old)) {
        if (r->old_w.last.trailing_slash)
            return -ENOTDIR;
        if (!(r->flags & LX_RENAME_EXCHANGE) && r->new_w.last.trailing_slash)
            return -ENOTDIR;
    }
    /* Neither may be an ancestor of the other's directory. */
    if (dentry_is_below(to, r->old))
        return -EINVAL;
    if (r->new_child->inode && dentry_is_below(from, r->new_child))
        return (r->flags & LX_RENAME_EXCHANGE) ? -EINVAL : -ENOTEMPTY;
    return 0;
}

/* vfs_rename's own checks in its order. */
static int rename_check(struct rename_op *r)
{
    bool is_dir = dentry_is_dir(r->old);
    bool new_is_dir = dentry_is_dir(r->new_child);
    int ret = may_delete(r->old_dir, r->old, is_dir);

    if (ret < 0)
        return ret;
    if (!r->new_child->inode) {
        ret = may_create(r->new_dir);
    } else if (!(r->flags & LX_RENAME_EXCHANGE)) {
        ret = may_delete(r->new_dir, r->new_child, is_dir);
    } else {
        ret = may_delete(r->new_dir, r->new_child, new_is_dir);
    }
    if (ret < 0)
        return ret;
    if (!r->old_dir->ops->rename)
        return -EPERM;
    /* A directory that gets another parent has its ".." rewritten: it must be writable. */
    if (r->old_dir != r->new_dir) {
        if (is_dir) {
            ret = inode_permission(r->old->inode, MAY_WRITE);
            if (ret < 0)
                return ret;
        }
        if ((r->flags & LX_RENAME_EXCHANGE) && new_is_dir) {
            ret = inode_permission(r->new_child->inode, MAY_WRITE);
            if (ret < 0)
                return ret;
        }
    }
    if (dentry_is_mountpoint_here(r->old) || dentry_is_mountpoint_here(r->new_child))
        return -EBUSY;
    return 0;
}

static void notify_moved(const struct rename_op *r, const char *old_name, const char *new_name,
                         struct inode *moved, struct inode *target)
{
    static atomic_uint next_cookie = 1;
    uint32_t cookie = atomic_fetch_add(&next_cookie, 1);
    uint32_t isdir = LX_S_ISDIR(moved->attr.mode) ? LX_IN_ISDIR : 0;

    fs_notify_dir(r->old_dir, LX_IN_MOVED_FROM | isdir, old_name, cookie);
    fs_notify_dir(r->new_dir, LX_IN_MOVED_TO | isdir, new_name, cookie);
    fs_notify_dir(moved, LX_IN_MOVE_SELF, NULL, 0);
    if (target && !(r->flags & LX_RENAME_EXCHANGE))
        fs_notify_dir(target, target->attr.nlink == 0 || isdir ? LX_IN_DELETE_SELF : LX_IN_ATTRIB,
                      NULL, 0);
}

static int rename_locked(struct rename_op *r)
{
    int ret = rename_lookup(r);

    if (ret == 0)
        ret = security_rename(&(struct path){r->old_w.cur.mnt, r->old}, &r->new_w.cur, r->new_child,
                              r->flags & LX_RENAME_EXCHANGE);
    if (ret < 0)
        return ret;
    if (r->old->inode == r->new_child->inode)
        return 0;
    ret = rename_check(r);
    if (ret < 0)
        return ret;
    ret = r->old_dir->ops->rename(r->old_dir, r->old, r->new_dir, r->new_child,
                                  r->flags & ~LX_RENAME_NOREPLACE);
    if (ret < 0)
        return ret;
    dentry_replace(r->old, r->new_child, r->flags & LX_RENAME_EXCHANGE);
    return 1;
}

/* NO_THREAD_SAFETY: the rename lock is for two directories only. */
NO_THREAD_SAFETY static int rename_run(struct rename_op *r)
{
    struct super *s = r->old_w.cur.dentry->super;
    char old_name[LX_NAME_MAX + 1], new_name[LX_NAME_MAX + 1];
    struct inode *moved = NULL, *target = NULL;
    bool cross;
    int ret;

    if (r->old_w.cur.mnt != r->new_w.cur.mnt)
        return -EXDEV;
    ret = last_error(r);
    if (ret < 0)
        return ret;
    ret = path_want_write(&r->old_w.cur);
    if (ret < 0)
        return ret;
    memcpy(old_name, r->old_w.last.name, r->old_w.last.len);
    old_name[r->old_w.last.len] = '\0';
    memcpy(new_name, r->new_w.last.name, r->new_w.last.len);
    new_name[r->new_w.last.len] = '\0';
    r->old_dir = r->old_w.cur.dentry->inode;
    r->new_dir = r->new_w.cur.dentry->inode;
    cross = r->old_dir != r->new_dir;
    if (cross)
        mutex_lock(&s->rename_lock);
    mutex_lock_pair(&r->old_dir->lock, &r->new_dir->lock);
    ret = rename_locked(r);
    if (ret == 1) {
        moved = inode_get(r->old->inode);
        if (r->new_child->inode)
            target = inode_get(r->new_child->inode);
    }
    mutex_unlock_pair(&r->old_dir->lock, &r->new_dir->lock);
    if (cross)
        mutex_unlock(&s->rename_lock);
    if (ret == 1) {
        if (!(r->flags & LX_RENAME_EXCHANGE))
            mounts_leave_dentry(r->new_child);
        notify_moved(r, old_name, new_name, moved, target);
        inode_put(moved);
        if (target)
            inode_put(target);
        ret = 0;
    }
    return ret;
}

int vfs_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
               uint32_t flags)
{
    struct rename_op r = {.flags = flags};
    int ret;

    if (flags & ~(LX_RENAME_NOREPLACE | LX_RENAME_EXCHANGE | LX_RENAME_WHITEOUT))
        return -EINVAL;
    if ((flags & (LX_RENAME_NOREPLACE | LX_RENAME_WHITEOUT)) && (flags & LX_RENAME_EXCHANGE))
        return -EINVAL;
    if ((flags & LX_RENAME_WHITEOUT) && !cred_capable(curr()->cred, LX_CAP_MKNOD))
        return -EPERM;
    ret = walk_begin(&r.old_w, old_dirfd, old_name, 0);
    if (ret == 0)
        ret = walk_to_parent(&r.old_w);
    if (ret < 0) {
        walk_end(&r.old_w);
        return ret;
    }
    ret = walk_begin(&r.new_w, new_dirfd, new_name, 0);
    if (ret == 0)
        ret = walk_to_parent(&r.new_w);
    if (ret == 0)
        ret = rename_run(&r);
    if (r.old)
        dentry_put(r.old);
    if (r.new_child)
        dentry_put(r.new_child);
    walk_end(&r.new_w);
    walk_end(&r.old_w);
    return ret;
}
