/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: getattr, and the rules of chmod(2), chown(2), utimensat(2) and truncate(2) about who
 * may change what.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <signal.h>

#include "sentry/abi/landlock.h"
#include "sentry/fs/security.h"

int inode_getattr(struct inode *i, struct fs_attr *out)
{
    if (i->ops->getattr) {
        int ret = i->ops->getattr(i);

        if (ret < 0)
            return ret;
    }
    inode_times_lock(i);
    *out = i->attr;
    inode_times_unlock(i);
    if (out->blksize == 0)
        out->blksize = LX_PAGE_SIZE;
    return 0;
}

int vfs_getattr(const struct path *p, struct fs_attr *out)
{
    return inode_getattr(p->dentry->inode, out);
}

void inode_setattr_generic(struct inode *i, const struct fs_attr *a)
{
    struct fs_time now = fs_time_now();

    if (a->mask & ATTR_UID)
        i->attr.uid = a->uid;
    if (a->mask & ATTR_GID)
        i->attr.gid = a->gid;
    if (a->mask & ATTR_MODE)
        i->attr.mode = (i->attr.mode & LX_S_IFMT) | (a->mode & LX_S_IALLUGO);
    if (a->mask & ATTR_KILL_SUID) {
        i->attr.mode &= ~LX_S_ISUID;
        if (i->attr.mode & LX_S_IXGRP)
            i->attr.mode &= ~LX_S_ISGID;
    }
    inode_times_lock(i);
    if (a->mask & ATTR_ATIME)
        i->attr.atime = a->atime;
    if (a->mask & ATTR_ATIME_NOW)
        i->attr.atime = now;
    if (a->mask & ATTR_MTIME)
        i->attr.mtime = a->mtime;
    if (a->mask & ATTR_MTIME_NOW)
        i->attr.mtime = now;
    i->attr.ctime = (a->mask & ATTR_CTIME) ? a->ctime : now;
    inode_times_unlock(i);
}

static int apply_locked(struct inode *i, const struct fs_attr *a) REQUIRES(i->lock)
{
    if (i->ops->setattr)
        return i->ops->setattr(i, a);
    if (a->mask & ATTR_SIZE)
        return -EINVAL;
    inode_setattr_generic(i, a);
    return 0;
}

int inode_setattr(struct inode *i, const struct fs_attr *a)
{
    int ret;

    mutex_lock(&i->lock);
    ret = apply_locked(i, a);
    mutex_unlock(&i->lock);
    return ret;
}

static int check_owner_change(const struct inode *i, const struct fs_attr *a)
{
    const struct cred *c = curr()->cred;

    if ((a->mask & ATTR_UID) && (c->fsuid != i->attr.uid || a->uid != i->attr.uid) &&
        !inode_capable(i, LX_CAP_CHOWN))
        return -EPERM;
    if ((a->mask & ATTR_GID) &&
        (c->fsuid != i->attr.uid || (!cred_in_group(c, a->gid) && a->gid != i->attr.gid)) &&
        !inode_capable(i, LX_CAP_CHOWN))
        return -EPERM;
    return 0;
}

/* may_setattr of Linux: what a file that is immutable, or may only grow, does not let change. */
static int check_fixed(const struct inode *i, const struct fs_attr *a)
{
    const uint32_t now = ATTR_ATIME_NOW | ATTR_MTIME_NOW;
    const uint32_t times = a->mask & (now | ATTR_ATIME | ATTR_MTIME);
    const bool immutable = inode_is_immutable(i), append = inode_is_append(i);

    if (!immutable && !append)
        return 0;
    if (a->mask & ATTR_SIZE)
        return append ? -EPERM : 0;
    if (a->mask & (ATTR_MODE | ATTR_UID | ATTR_GID))
        return -EPERM;
    if (times == now)
        return immutable ? -EPERM : 0;
    return times ? -EPERM : 0;
}

/* setattr_prepare of Linux. May edit a->mode (set-gid without membership). */
static int check_change(struct inode *i, struct fs_attr *a)
{
    int ret = check_fixed(i, a);

    if (ret == 0)
        ret = check_owner_change(i, a);
    if (ret < 0)
        return ret;
    if (a->mask & ATTR_MODE) {
        lx_gid_t gid = (a->mask & ATTR_GID) ? a->gid : i->attr.gid;

        if (!inode_owner_or_capable(i))
            return -EPERM;
        if (!cred_in_group(curr()->cred, gid) && !inode_capable(i, LX_CAP_FSETID))
            a->mode &= ~LX_S_ISGID;
    }
    if ((a->mask & (ATTR_ATIME | ATTR_MTIME)) && !inode_owner_or_capable(i))
        return -EPERM;
    if (a->mask & ATTR_SIZE)
        return 0; /* the times follow from it; who may write was asked before */
    if ((a->mask & (ATTR_ATIME_NOW | ATTR_MTIME_NOW)) && !inode_owner_or_capable(i)) {
        const uint32_t both = ATTR_ATIME_NOW | ATTR_MTIME_NOW;

        /* "Both now" is open to whoever may write; the rest to the owner. */
        if ((a->mask & (both | ATTR_ATIME | ATTR_MTIME)) != both)
            return -EPERM;
        return inode_permission(i, MAY_WRITE);
    }
    return 0;
}

static int check_size(struct inode *i, const struct fs_attr *a)
{
    uint64_t limit = g_curr_ops->rlimit(LX_RLIMIT_FSIZE);

    if (i->flags & INODE_IMMUTABLE_SIZE)
        return -EINVAL;
    if (a->size > i->attr.size && a->size > limit) {
        g_curr_ops->raise_thread(SIGXFSZ);
        return -EFBIG;
    }
    return 0;
}

/* Chown of a file by its owner takes set-id bits away, so does truncation by a stranger. */
static void imply_kill_suid(const struct inode *i, struct fs_attr *a)
{
    if (LX_S_ISDIR(i->attr.mode) || (a->mask & ATTR_MODE))
        return;
    if (a->mask & (ATTR_UID | ATTR_GID))
        a->mask |= ATTR_KILL_SUID;
    if ((a->mask & ATTR_SIZE) && !inode_capable(i, LX_CAP_FSETID))
        a->mask |= ATTR_KILL_SUID;
}

int vfs_setattr(const struct path *p, const struct fs_attr *attr, struct file *f)
{
    struct inode *i = p->dentry->inode;
    struct fs_attr a = *attr;
    int ret;

    /* ftruncate goes by how the file was opened, everything else by the mount as it is now. */
    if (!(f && (a.mask & ATTR_SIZE))) {
        ret = path_want_write(p);
        if (ret < 0)
            return ret;
    }
    if ((a.mask & ATTR_SIZE) && !f) {
        ret = inode_permission(i, MAY_WRITE);
        if (ret < 0)
            return ret;
        if (atomic_load(&i->write_count) < 0)
            return -ETXTBSY;
    }
    if (a.mask & ATTR_SIZE) {
        ret = f ? security_file(f, LX_LL_FS_TRUNCATE) : security_truncate(p);
        if (ret < 0)
            return ret;
    }
    mutex_lock(&i->lock);
    ret = check_change(i, &a);
    if (ret == 0 && (a.mask & ATTR_SIZE))
        ret = check_size(i, &a);
    if (ret == 0) {
        imply_kill_suid(i, &a);
        ret = apply_locked(i, &a);
    }
    mutex_unlock(&i->lock);
    if (ret == 0) {
        uint32_t in = 0;

        if (a.mask & ATTR_SIZE)
            in |= LX_IN_MODIFY;
        if (a.mask & (ATTR_MODE | ATTR_UID | ATTR_GID))
            in |= LX_IN_ATTRIB;
        if (a.mask & (ATTR_ATIME | ATTR_ATIME_NOW | ATTR_MTIME | ATTR_MTIME_NOW))
            in |= LX_IN_ATTRIB;
        fs_notify_dentry(p->dentry, in);
    }
    return ret;
}

int vfs_readlink(const struct path *p, char **out)
{
    struct inode *i = p->dentry->inode;
    const char *text = i->link;

    if (text) {
        *out = __builtin_strdup(text);
        return *out ? 0 : -ENOMEM;
    }
    if (!LX_S_ISLNK(i->attr.mode) || !i->ops->readlink)
        return -EINVAL;
    return i->ops->readlink(i, out);
}
