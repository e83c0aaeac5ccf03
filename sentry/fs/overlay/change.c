/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that change names. They run under the overlay directories' locks, which is what makes
 * a pair of steps in the upper layer (unlink and whiteout) one step for everybody else.
 *
 * Renaming a directory that has lower parts: its upper part moves and is marked with the place of
 * the lower ones ("redirect", as redirect_dir=on), so nothing below is copied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

/* What is to be made. */
struct object {
    uint32_t mode;
    lx_dev_t rdev;
    const char *target;
};

static int make_upper(struct inode *dir, struct dentry *child, const struct object *o)
{
    const struct inode_ops *ops = dir->ops;

    switch (o->mode & LX_S_IFMT) {
    case LX_S_IFREG:
        return ops->create ? ops->create(dir, child, o->mode) : -EROFS;
    case LX_S_IFDIR:
        return ops->mkdir ? ops->mkdir(dir, child, o->mode) : -EROFS;
    case LX_S_IFLNK:
        return ops->symlink ? ops->symlink(dir, child, o->target) : -EROFS;
    default:
        return ops->mknod ? ops->mknod(dir, child, o->mode, o->rdev) : -EROFS;
    }
}

static const struct object g_whiteout = {.mode = LX_S_IFCHR};

/* Makes o under that name, where nothing (more) is. Directory locked. */
static int make_at(struct dentry *dir, const char *name, size_t len, const struct object *o,
                   struct dentry **out)
{
    struct dentry *d;
    int ret = walk_lookup(dir, name, len, /*locked=*/true, &d);

    if (ret < 0)
        return ret;
    ret = d->inode ? -EEXIST : make_upper(dir->inode, d, o);
    if (ret < 0 || !out)
        dentry_put(d);
    else
        *out = d;
    return ret;
}

/* Removes the upper object by that name, if any. Directory locked. */
static int remove_at(struct dentry *dir, const char *name, size_t len, bool only_whiteout,
                     bool *out_removed)
{
    struct dentry *d;
    int ret = walk_lookup(dir, name, len, /*locked=*/true, &d);

    *out_removed = false;
    if (ret < 0)
        return ret;
    if (d->inode && (!only_whiteout || ovl_is_whiteout(d->inode))) {
        if (LX_S_ISDIR(d->inode->attr.mode))
            ret = dir->inode->ops->rmdir(dir->inode, d);
        else
            ret = dir->inode->ops->unlink(dir->inode, d);
        if (ret == 0) {
            dentry_delete(d);
            *out_removed = true;
        }
    }
    dentry_put(d);
    return ret;
}

static void dirs_sync(struct inode *a, struct inode *b)
{
    ovl_attr_sync(ovl_inode(a));
    if (b != a)
        ovl_attr_sync(ovl_inode(b));
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Makes the upper object in place of the whiteout that may be there. */
static int make_over(struct dentry *dir, const struct dentry *child, const struct object *o,
                     struct dentry **out)
{
    bool white;
    int ret = remove_at(dir, child->name, child->name_len, /*only_whiteout=*/true, &white);

    if (ret < 0)
        return ret;
    ret = make_at(dir, child->name, child->name_len, o, out);
    if (ret == 0 && white && LX_S_ISDIR(o->mode)) {
        /* What the whiteout hid must not merge into the new directory. */
        ret = ovl_mark_set((*out)->inode, OVL_XATTR_OPAQUE, "y", 1);
        if (ret < 0) {
            bool removed;

            (void)remove_at(dir, child->name, child->name_len, false, &removed); /* ret tells */
            dentry_put(*out);
        }
    }
    if (ret < 0 && white)
        (void)make_at(dir, child->name, child->name_len, &g_whiteout, NULL); /* ret tells */
    return ret;
}

static int make(struct inode *dir, struct dentry *child, const struct object *o)
{
    struct ovl_inode *od = ovl_inode(dir);
    struct ovl_found f = {0};
    struct inode *inode;
    struct dentry *upper;
    int ret = ovl_copy_up(od, OVL_ALL_DATA);

    if (ret < 0)
        return ret;
    upper = od->upper;
    mutex_lock(&upper->inode->lock);
    ret = make_over(upper, child, o, &f.upper);
    mutex_unlock(&upper->inode->lock);
    if (ret < 0)
        return ret;
    ret = ovl_inode_get(od->os, od, child->name, child->name_len, &f, &inode);
    if (ret < 0)
        return ret;
    dentry_instantiate(child, inode);
    ovl_attr_sync(od);
    return 0;
}

int ovl_create(struct inode *dir, struct dentry *child, uint32_t mode)
{
    return make(dir, child, &(struct object){.mode = LX_S_IFREG | (mode & 07777u)});
}

int ovl_mkdir(struct inode *dir, struct dentry *child, uint32_t mode)
{
    return make(dir, child, &(struct object){.mode = LX_S_IFDIR | (mode & 07777u)});
}

int ovl_mknod(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev)
{
    /* Linux: a guest cannot make whiteouts through the overlay. */
    if (LX_S_ISCHR(mode) && rdev == 0)
        return -EPERM;
    return make(dir, child, &(struct object){.mode = mode, .rdev = rdev});
}

int ovl_symlink(struct inode *dir, struct dentry *child, const char *target)
{
    return make(dir, child, &(struct object){.mode = LX_S_IFLNK | 0777u, .target = target});
}

int ovl_link(struct inode *target, struct inode *dir, struct dentry *child)
{
    struct ovl_inode *oi = ovl_inode(target), *od = ovl_inode(dir);
    struct dentry *upper, *d;
    bool white;
    int ret = ovl_copy_up(od, OVL_ALL_DATA);

    if (ret == 0)
        ret = ovl_copy_up(oi, OVL_ALL_DATA);
    if (ret < 0)
        return ret;
    upper = od->upper;
    if (!upper->inode->ops->link)
        return -EPERM;
    mutex_lock(&upper->inode->lock);
    ret = remove_at(upper, child->name, child->name_len, /*only_whiteout=*/true, &white);
    if (ret == 0)
        ret = walk_lookup(upper, child->name, child->name_len, /*locked=*/true, &d);
    if (ret == 0) {
        ret = upper->inode->ops->link(ovl_real_inode(oi), upper->inode, d);
        dentry_put(d);
        if (ret < 0 && white)
            (void)make_at(upper, child->name, child->name_len, &g_whiteout, NULL); /* ret tells */
    }
    mutex_unlock(&upper->inode->lock);
    if (ret < 0)
        return ret;
    ovl_set_name(oi, od, child->name, child->name_len);
    dirs_sync(target, dir);
    dentry_instantiate(child, inode_get(target));
    return 0;
}

int ovl_tmpfile(struct inode *dir, uint32_t mode, struct inode **out)
{
    struct ovl_inode *od = ovl_inode(dir);
    struct ovl_found f = {0};
    struct dentry *upper;
    struct inode *twin;
    int ret = ovl_copy_up(od, OVL_ALL_DATA);

    if (ret < 0)
        return ret;
    upper = od->upper;
    if (!upper->inode->ops->tmpfile)
        return -EOPNOTSUPP;
    mutex_lock(&upper->inode->lock);
    ret = upper->inode->ops->tmpfile(upper->inode, mode, &twin);
    mutex_unlock(&upper->inode->lock);
    if (ret == 0)
        ret = dentry_make_tmpfile(upper, twin, &f.upper);
    return ret < 0 ? ret : ovl_inode_get(od->os, NULL, "", 0, &f, out);
}

/* ---- removing -------------------------------------------------------------------------------- */

static int remove_name(struct inode *dir, struct dentry *child)
{
    struct ovl_inode *od = ovl_inode(dir), *oi = ovl_inode(child->inode);
    bool below, removed;
    struct dentry *upper;
    int ret = ovl_copy_up(od, OVL_ALL_DATA);

    if (ret == 0)
        ret = ovl_lower_has(od, child->name, child->name_len, &below);
    if (ret < 0)
        return ret;
    upper = od->upper;
    mutex_lock(&upper->inode->lock);
    ret = remove_at(upper, child->name, child->name_len, /*only_whiteout=*/false, &removed);
    if (ret == 0 && below)
        ret = make_at(upper, child->name, child->name_len, &g_whiteout, NULL);
    if (ret == 0 && !removed) {
        inode_touch(upper->inode, /*atime=*/false, /*mtime=*/true, /*ctime=*/true);
        if (LX_S_ISDIR(child->inode->attr.mode))
            upper->inode->attr.nlink--; /* still counted below: merged_attr */
    }
    mutex_unlock(&upper->inode->lock);
    if (ret < 0)
        return ret;
    ovl_clear_name(oi, od, child->name, child->name_len);
    ovl_attr_sync(oi);
    if (LX_S_ISDIR(oi->inode.attr.mode))
        oi->inode.attr.nlink = 0;
    ovl_attr_sync(od);
    return 0;
}

int ovl_unlink(struct inode *dir, struct dentry *child)
{
    return remove_name(dir, child);
}

int ovl_rmdir(struct inode *dir, struct dentry *child)
{
    struct ovl_inode *oi = ovl_inode(child->inode);
    int ret = ovl_dir_check_empty(oi);

    if (ret == 0 && oi->upper)
        ret = ovl_dir_clear_whiteouts(oi);
    return ret < 0 ? ret : remove_name(dir, child);
}

/* ---- renaming -------------------------------------------------------------------------------- */

/* Place of the directory's topmost lower part in its layer. */
static int lower_path(const struct ovl_inode *oi, char *buf, size_t size)
{
    const struct dentry *d = oi->lowers[0];
    const struct dentry *top = oi->os->layers[oi->layer_of[0]].root.dentry;
    size_t at = size - 1;
    int ret = 0;

    buf[at] = '\0';
    mutex_lock(&g_dcache.lock);
    for (; d != top && d->parent != d; d = d->parent) {
        if (d->name_len + 1u > at) {
            ret = -ENAMETOOLONG;
            break;
        }
        at -= d->name_len;
        memcpy(buf + at, d->name, d->name_len);
        buf[--at] = '/';
    }
    mutex_unlock(&g_dcache.lock);
    memmove(buf, buf + at, size - at);
    return ret;
}

/* A directory comes to a place where something with lower parts may be: keeps its own, takes no
 * others. Before the move; harmless when the move fails. */
static int prepare_move(struct ovl_inode *oi, bool below_there)
{
    struct inode *upper = ovl_real_inode(oi);
    char path[LX_PATH_MAX];
    int ret;

    if (!LX_S_ISDIR(oi->inode.attr.mode))
        return 0;
    if (oi->lower_count == 0)
        return below_there ? ovl_mark_set(upper, OVL_XATTR_OPAQUE, "y", 1) : 0;
    if (upper->ops->getxattr && upper->ops->getxattr(upper, OVL_XATTR_REDIRECT, NULL, 0) > 0)
        return 0;
    ret = lower_path(oi, path, sizeof(path));
    if (ret < 0)
        return ret == -ENAMETOOLONG ? -EXDEV : ret;
    return ovl_mark_set(upper, OVL_XATTR_REDIRECT, path, strlen(path));
}

struct move {
    struct ovl_inode *from, *to;
    struct dentry *old, *target;
    bool exchange, below_old, below_new;
};

/* The move in the upper layer, both upper directories locked. */
static int move_upper(const struct move *m)
{
    struct dentry *from = m->from->upper, *to = m->to->upper, *d, *t;
    bool is_dir = LX_S_ISDIR(m->old->inode->attr.mode), removed;
    uint32_t flags = m->exchange ? LX_RENAME_EXCHANGE : m->below_old ? LX_RENAME_WHITEOUT : 0;
    int ret = 0;

    if (is_dir && !m->exchange)
        ret = remove_at(to, m->target->name, m->target->name_len, /*only_whiteout=*/true, &removed);
    if (ret == 0)
        ret = walk_lookup(from, m->old->name, m->old->name_len, /*locked=*/true, &d);
    if (ret < 0)
        return ret;
    ret = walk_lookup(to, m->target->name, m->target->name_len, /*locked=*/true, &t);
    if (ret < 0) {
        dentry_put(d);
        return ret;
    }
    if (!from->inode->ops->rename) {
        ret = -EROFS;
    } else {
        ret = from->inode->ops->rename(from->inode, d, to->inode, t, flags);
        if (ret == -EINVAL && flags == LX_RENAME_WHITEOUT) {
            /* The upper file system makes no whiteouts on the way. */
            ret = from->inode->ops->rename(from->inode, d, to->inode, t, 0);
        } else {
            flags &= ~LX_RENAME_WHITEOUT;
        }
    }
    if (ret == 0) {
        const struct inode *victim = m->target->inode;

        dentry_replace(d, t, m->exchange);
        if (!m->exchange && victim && LX_S_ISDIR(victim->attr.mode) &&
            !ovl_inode(m->target->inode)->upper)
            to->inode->attr.nlink--; /* covered, but counted below: merged_attr */
    }
    dentry_put(t);
    dentry_put(d);
    if (ret == 0 && flags == LX_RENAME_WHITEOUT)
        ret = make_at(from, m->old->name, m->old->name_len, &g_whiteout, NULL);
    return ret;
}

static int move_prepare(struct move *m)
{
    struct ovl_inode *oi = ovl_inode(m->old->inode);
    struct ovl_inode *victim = m->target->inode ? ovl_inode(m->target->inode) : NULL;
    int ret = ovl_copy_up(m->from, OVL_ALL_DATA);

    if (ret == 0)
        ret = ovl_copy_up(m->to, OVL_ALL_DATA);
    if (ret == 0)
        ret = ovl_copy_up(oi, OVL_ALL_DATA);
    if (ret == 0 && m->exchange)
        ret = ovl_copy_up(victim, OVL_ALL_DATA);
    if (ret == 0 && victim && !m->exchange && LX_S_ISDIR(victim->inode.attr.mode)) {
        ret = ovl_dir_check_empty(victim);
        if (ret == 0 && victim->upper)
            ret = ovl_dir_clear_whiteouts(victim);
    }
    if (ret == 0)
        ret = ovl_lower_has(m->from, m->old->name, m->old->name_len, &m->below_old);
    if (ret == 0)
        ret = ovl_lower_has(m->to, m->target->name, m->target->name_len, &m->below_new);
    if (ret == 0)
        ret = prepare_move(oi, m->below_new);
    if (ret == 0 && m->exchange)
        ret = prepare_move(victim, m->below_old);
    return ret;
}

int ovl_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
               struct dentry *new_child, uint32_t flags)
{
    struct move m = {.from = ovl_inode(old_dir),
                     .to = ovl_inode(new_dir),
                     .old = old,
                     .target = new_child,
                     .exchange = flags & LX_RENAME_EXCHANGE};
    struct ovl_inode *oi = ovl_inode(old->inode);
    struct ovl_inode *victim = new_child->inode ? ovl_inode(new_child->inode) : NULL;
    struct inode *from, *to;
    int ret;

    if (flags & ~(LX_RENAME_EXCHANGE | LX_RENAME_NOREPLACE))
        return -EINVAL;
    ret = move_prepare(&m);
    if (ret < 0)
        return ret;
    from = ovl_real_inode(m.from);
    to = ovl_real_inode(m.to);
    mutex_lock_pair(&from->lock, &to->lock);
    ret = move_upper(&m);
    mutex_unlock_pair(&from->lock, &to->lock);
    if (ret < 0)
        return ret;
    if (victim && !m.exchange)
        ovl_clear_name(victim, m.to, new_child->name, new_child->name_len);
    ovl_set_name(oi, m.to, new_child->name, new_child->name_len);
    if (victim && m.exchange)
        ovl_set_name(victim, m.from, old->name, old->name_len);
    ovl_attr_sync(oi);
    if (victim)
        ovl_attr_sync(victim);
    dirs_sync(old_dir, new_dir);
    return 0;
}
