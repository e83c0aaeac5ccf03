/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open(2): from a name or an object to an open file description.
 *
 * Order as in Linux: the walk; what O_CREAT finds or makes; may_open (type, permission, nodev);
 * write access (read-only mount, running executables); the op that makes the file; O_TRUNC last.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/dev/dev.h"
#include "sentry/fs/dev/rules.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/security.h"

/* ---- O_PATH ---------------------------------------------------------------------------------- */

static void path_file_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}
static const struct file_ops path_file_ops = {.release = path_file_release};

static int open_o_path(const struct path *p, uint32_t flags, struct file **out)
{
    struct file *f = malloc(sizeof(*f));

    if (!f)
        return -ENOMEM;
    file_init(f, &path_file_ops, flags & (LX_O_PATH | LX_O_DIRECTORY | LX_O_NOFOLLOW));
    f->kind = FILE_PATH;
    f->path = *p;
    path_get(&f->path);
    f->inode = inode_get(p->dentry->inode);
    *out = f;
    return 0;
}

/* ---- opening an object ----------------------------------------------------------------------- */

static uint32_t access_mask(uint32_t flags)
{
    switch (flags & LX_O_ACCMODE) {
    case LX_O_RDONLY:
        return MAY_READ;
    case LX_O_WRONLY:
        return MAY_WRITE;
    default: /* 3 is "read and write permission, no access" for odd drivers */
        return MAY_READ | MAY_WRITE;
    }
}

/* Type and permission rules for an existing object. *flags may lose O_TRUNC. */
static int may_open(const struct path *p, uint32_t *flags, const struct cred *cred, bool created)
{
    struct inode *i = p->dentry->inode;
    uint32_t mask = access_mask(*flags);
    int ret;

    if (*flags & LX_O_TRUNC)
        mask |= MAY_WRITE;
    switch (inode_type(i)) {
    case LX_S_IFLNK:
        return -ELOOP;
    case LX_S_IFDIR:
        if (mask & MAY_WRITE)
            return -EISDIR;
        break;
    case LX_S_IFBLK:
    case LX_S_IFCHR:
        if (p->mnt && ((p->mnt->flags & MOUNT_NODEV) || (p->mnt->super->flags & SUPER_NODEV)))
            return -EACCES;
        *flags &= ~LX_O_TRUNC;
        break;
    case LX_S_IFIFO:
    case LX_S_IFSOCK:
        *flags &= ~LX_O_TRUNC;
        break;
    default:
        break;
    }
    if (created)
        return 0;
    ret = inode_permission_cred(i, cred, mask);
    if (ret < 0)
        return ret;
    if ((inode_type(i) == LX_S_IFCHR || inode_type(i) == LX_S_IFBLK) && curr()->fs &&
        !dev_rules_allow(curr()->fs->devices, i->attr.mode, i->attr.rdev,
                         (mask & MAY_READ ? DEV_MAY_READ : 0) |
                             (mask & MAY_WRITE ? DEV_MAY_WRITE : 0)))
        return -EPERM;
    if (inode_is_append(i) &&
        ((*flags & LX_O_TRUNC) || ((access_mask(*flags) & MAY_WRITE) && !(*flags & LX_O_APPEND))))
        return -EPERM;
    if ((*flags & LX_O_NOATIME) && cred->fsuid != i->attr.uid && !inode_capable(i, LX_CAP_FOWNER))
        return -EPERM;
    return 0;
}

/* Counts a writer of a regular file; -EROFS, -ETXTBSY. */
static int want_writer(const struct path *p)
{
    struct inode *i = p->dentry->inode;
    int count;

    if (!LX_S_ISREG(i->attr.mode) && !LX_S_ISDIR(i->attr.mode))
        return 0;
    if (path_want_write(p) < 0)
        return -EROFS;
    count = atomic_load(&i->write_count);
    do {
        if (count < 0)
            return -ETXTBSY;
    } while (!atomic_compare_exchange_weak(&i->write_count, &count, count + 1));
    return 1;
}

static int call_open_op(const struct path *p, uint32_t flags, struct file **out)
{
    struct inode *i = p->dentry->inode;

    switch (inode_type(i)) {
    case LX_S_IFIFO:
        return fifo_open(i, p->dentry, flags, out);
    case LX_S_IFSOCK:
        return -ENXIO;
    case LX_S_IFCHR:
    case LX_S_IFBLK:
        if (!i->ops->open)
            return dev_open(i, p->dentry, flags, out);
        break;
    default:
        break;
    }
    return i->ops->open ? i->ops->open(i, p->dentry, flags, out) : -ENXIO;
}

static int truncate_at_open(const struct path *p, const struct cred *cred)
{
    struct fs_attr a = {.mask = ATTR_SIZE | ATTR_MTIME_NOW, .size = 0};
    struct inode *i = p->dentry->inode;
    int ret;

    if (!LX_S_ISREG(i->attr.mode))
        return 0;
    ret = cred->security ? security_truncate(p) : 0;
    if (ret < 0)
        return ret;
    if (!inode_capable(i, LX_CAP_FSETID))
        a.mask |= ATTR_KILL_SUID;
    return inode_setattr(i, &a);
}

/* The checked part is done: make the file. */
static int do_open(const struct path *p, uint32_t flags, const struct cred *cred, struct file **out)
{
    struct file *f = NULL;
    bool writer = false;
    uint32_t refused;
    int ret;

    if ((flags & LX_O_ACCMODE) != LX_O_RDONLY || (flags & LX_O_TRUNC)) {
        ret = want_writer(p);
        if (ret < 0)
            return ret;
        writer = ret > 0;
    }
    ret = security_open(p, flags, cred, &refused);
    if (ret == 0)
        ret = call_open_op(p, flags, &f);
    if (ret < 0) {
        if (writer)
            atomic_fetch_sub(&p->dentry->inode->write_count, 1);
        return ret;
    }
    if (!f->path.dentry) {
        f->path = *p;
        path_get(&f->path);
    }
    if (!f->inode)
        f->inode = inode_get(p->dentry->inode);
    if (cred != f->cred) {
        /* SAFETY: cred_put takes a mutable pointer only to count. */
        cred_put((struct cred *)(uintptr_t)f->cred);
        f->cred = cred_get(cred);
    }
    f->refused = refused;
    if (writer)
        f->kind |= FILE_WRITER;
    if (flags & LX_O_TRUNC) {
        ret = truncate_at_open(p, cred);
        if (ret < 0) {
            file_put(f);
            return ret;
        }
        fs_notify_file(f, LX_IN_MODIFY);
    }
    fs_notify_file(f, LX_IN_OPEN);
    *out = f;
    return 0;
}

int vfs_open_path(const struct path *p, uint32_t flags, const struct cred *cred, struct file **out)
{
    int ret;

    if (flags & LX_O_PATH)
        return open_o_path(p, flags, out);
    ret = may_open(p, &flags, cred, /*created=*/false);
    if (ret < 0)
        return ret;
    return do_open(p, flags, cred, out);
}

/* ---- O_TMPFILE ------------------------------------------------------------------------------- */

static int open_tmpfile(struct walk *w, const struct open_how *how, struct file **out)
{
    struct inode *dir, *inode;
    struct path p;
    int ret;

    ret = walk_full(w);
    if (ret < 0)
        return ret;
    if (!dentry_is_dir(w->cur.dentry))
        return -ENOTDIR;
    ret = path_want_write(&w->cur);
    if (ret < 0)
        return ret;
    dir = w->cur.dentry->inode;
    ret = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    if (ret < 0)
        return ret;
    if (!dir->ops->tmpfile)
        return -EOPNOTSUPP;
    mutex_lock(&dir->lock);
    ret = dir->ops->tmpfile(
        dir, LX_S_IFREG | (how->mode & LX_S_IALLUGO & ~fs_ctx_umask(curr()->fs)), &inode);
    mutex_unlock(&dir->lock);
    if (ret < 0)
        return ret;
    ret = dentry_make_tmpfile(w->cur.dentry, inode, &p.dentry);
    if (ret < 0)
        return ret;
    if (!(how->flags & LX_O_EXCL))
        inode->flags |= INODE_LINKABLE;
    p.mnt = mount_get(w->cur.mnt);
    ret = do_open(&p, how->flags & ~(LX_O_TRUNC | LX_O_CREAT | LX_O_EXCL), curr()->cred, out);
    path_put(&p);
    return ret;
}

/* ---- O_CREAT --------------------------------------------------------------------------------- */

/* The last component with the directory locked: finds or creates. *created tells. */
static int lookup_or_create(struct walk *w, const struct open_how *how, struct dentry **out,
                            bool *created)
{
    struct dentry *dir = w->cur.dentry, *d;
    uint32_t mode;
    int ret;

    *created = false;
    mutex_lock(&dir->inode->lock);
    ret = walk_lookup(dir, w->last.name, w->last.len, /*locked=*/true, &d);
    if (ret < 0)
        goto unlock;
    if (d->inode)
        goto found;
    ret = path_want_write(&w->cur);
    if (ret == 0)
        ret = security_make(&w->cur, LX_S_IFREG);
    if (ret == 0)
        ret = may_create(dir->inode);
    if (ret == 0 && !dir->inode->ops->create)
        ret = -EACCES;
    if (ret == 0) {
        mode = LX_S_IFREG | (how->mode & LX_S_IALLUGO & ~fs_ctx_umask(curr()->fs));
        ret = dir->inode->ops->create(dir->inode, d, mode);
    }
    if (ret < 0) {
        dentry_put(d);
        goto unlock;
    }
    *created = true;
found:
    *out = d;
unlock:
    mutex_unlock(&dir->inode->lock);
    if (ret == 0 && *created)
        fs_notify_name(dir->inode, LX_IN_CREATE, &w->last);
    return ret;
}

/* One round of O_CREAT: 1 when a link was followed and the walk must go on, 0 with w->cur at the
 * object (positive), or -errno. */
static int create_round(struct walk *w, const struct open_how *how, bool *created)
{
    struct dentry *d;
    struct path next;
    int ret = walk_to_parent(w);

    if (ret < 0)
        return ret;
    if (w->last.type != LAST_NORM || w->last.trailing_slash)
        return -EISDIR;
    if (w->last.len > LX_NAME_MAX)
        return -ENAMETOOLONG;
    ret = inode_permission(w->cur.dentry->inode, MAY_EXEC);
    if (ret < 0)
        return ret;
    if (!walk_lookup_cached(w->cur.dentry, w->last.name, w->last.len, &d))
        ret = lookup_or_create(w, how, &d, created);
    if (ret < 0)
        return ret;
    if (!*created && (how->flags & LX_O_EXCL)) {
        dentry_put(d);
        return -EEXIST;
    }
    if (LX_S_ISLNK(d->inode->attr.mode) && !(how->flags & LX_O_NOFOLLOW)) {
        ret = walk_push_link(w, d, w->last.name + w->last.len);
        dentry_put(d);
        if (ret == 1)
            return 0; /* a magic link jumped: w->cur is the object */
        return ret < 0 ? ret : 1;
    }
    next.mnt = mount_get(w->cur.mnt);
    next.dentry = d;
    path_put(&w->cur);
    w->cur = next;
    path_follow_mounts(&w->cur);
    return 0;
}

static int open_create(struct walk *w, const struct open_how *how, struct file **out)
{
    bool created = false;
    uint32_t flags = how->flags;
    int ret;

    do {
        ret = create_round(w, how, &created);
    } while (ret == 1);
    if (ret < 0)
        return ret;
    if (dentry_is_dir(w->cur.dentry))
        return -EISDIR;
    if ((how->flags & LX_O_DIRECTORY))
        return -ENOTDIR;
    if (created)
        flags &= ~LX_O_TRUNC;
    ret = may_open(&w->cur, &flags, curr()->cred, created);
    if (ret < 0)
        return ret;
    return do_open(&w->cur, flags, curr()->cred, out);
}

static int open_existing(struct walk *w, const struct open_how *how, struct file **out)
{
    int ret = walk_full(w);

    if (ret < 0)
        return ret;
    if ((how->flags & LX_O_DIRECTORY) && !dentry_is_dir(w->cur.dentry))
        return -ENOTDIR;
    return vfs_open_path(&w->cur, how->flags, curr()->cred, out);
}

int vfs_open(int dirfd, const char *name, const struct open_how *how, struct file **out)
{
    uint32_t walk = how->walk;
    struct walk w;
    int ret;

    if (!(how->flags & LX_O_NOFOLLOW))
        walk |= WALK_FOLLOW;
    ret = walk_begin(&w, dirfd, name, walk);
    if (ret == 0) {
        if (how->flags & LX_O_PATH)
            ret = open_existing(&w, how, out);
        else if (how->flags & LX___O_TMPFILE)
            ret = open_tmpfile(&w, how, out);
        else if (how->flags & LX_O_CREAT)
            ret = open_create(&w, how, out);
        else
            ret = open_existing(&w, how, out);
    }
    walk_end(&w);
    return ret;
}
