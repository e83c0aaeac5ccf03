/* SPDX-License-Identifier: Apache-2.0 */
/* Making and removing names: mkdir, mknod, symlink, link, unlink, rmdir. rename is in rename.c. */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sentry/fs/security.h"

int may_create(struct inode *dir)
{
    return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

/* The sticky bit: only the file's owner, the directory's owner or CAP_FOWNER may remove. */
static bool sticky_denies(const struct inode *dir, const struct inode *victim)
{
    lx_uid_t uid = curr()->cred->fsuid;

    if (!(dir->attr.mode & LX_S_ISVTX) || victim->attr.uid == uid || dir->attr.uid == uid)
        return false;
    return !inode_capable(victim, LX_CAP_FOWNER);
}

int may_delete(struct inode *dir, struct dentry *victim, bool is_dir)
{
    int ret = inode_permission(dir, MAY_WRITE | MAY_EXEC);

    if (ret < 0)
        return ret;
    if (inode_is_append(dir) || sticky_denies(dir, victim->inode) ||
        inode_is_append(victim->inode) || inode_is_immutable(victim->inode))
        return -EPERM;
    if (is_dir) {
        if (!dentry_is_dir(victim))
            return -ENOTDIR;
        if (victim->flags & DENTRY_ROOT)
            return -EBUSY;
    } else if (dentry_is_dir(victim)) {
        return -EISDIR;
    }
    return 0;
}

/* A name about to be made: the walk stands at the directory, which is locked; child is negative. */
struct new_name {
    struct walk w;
    struct inode *dir;
    struct dentry *child; /* +1 */
};

/* NO_THREAD_SAFETY: n->dir tells whether its lock is held. */
NO_THREAD_SAFETY static void new_name_end(struct new_name *n)
{
    if (n->dir)
        mutex_unlock(&n->dir->lock);
    if (n->child)
        dentry_put(n->child);
    walk_end(&n->w);
}

/* type: LX_S_IF* of what will have the name, 0: an object that has names already (link).
 * filename_create of Linux: EEXIST comes before EROFS, which comes before permission. */
NO_THREAD_SAFETY static int new_name_begin(struct new_name *n, int dirfd, const char *name,
                                           uint32_t type)
{
    int ret = walk_begin(&n->w, dirfd, name, 0);

    n->dir = NULL;
    n->child = NULL;
    if (ret == 0)
        ret = walk_to_parent(&n->w);
    if (ret < 0)
        return ret;
    if (n->w.last.type != LAST_NORM)
        return -EEXIST;
    if (n->w.last.len > LX_NAME_MAX)
        return -ENAMETOOLONG;
    n->dir = n->w.cur.dentry->inode;
    mutex_lock(&n->dir->lock);
    ret = walk_lookup(n->w.cur.dentry, n->w.last.name, n->w.last.len, /*locked=*/true, &n->child);
    if (ret < 0)
        return ret;
    if (n->child->inode)
        return -EEXIST;
    if (n->w.last.trailing_slash && type != LX_S_IFDIR)
        return -ENOENT;
    ret = path_want_write(&n->w.cur);
    if (ret == 0 && type)
        ret = security_make(&n->w.cur, type);
    return ret < 0 ? ret : may_create(n->dir);
}

/* The op ran. Unlocks, tells watchers. */
NO_THREAD_SAFETY static int new_name_made(struct new_name *n, int ret, uint32_t isdir)
{
    struct inode *dir = n->dir;

    if (ret == 0) {
        mutex_unlock(&dir->lock);
        n->dir = NULL;
        fs_notify_name(dir, LX_IN_CREATE | isdir, &n->w.last);
    }
    return ret;
}

int vfs_mkdir(int dirfd, const char *name, uint32_t mode)
{
    struct new_name n;
    int ret = new_name_begin(&n, dirfd, name, LX_S_IFDIR);

    if (ret == 0) {
        mode = LX_S_IFDIR | (mode & (0777u | LX_S_ISVTX) & ~fs_ctx_umask(curr()->fs));
        ret = n.dir->ops->mkdir ? n.dir->ops->mkdir(n.dir, n.child, mode) : -EPERM;
        ret = new_name_made(&n, ret, LX_IN_ISDIR);
    }
    new_name_end(&n);
    return ret;
}

static int mknod_allowed(uint32_t type, lx_dev_t dev)
{
    if (type != LX_S_IFCHR && type != LX_S_IFBLK)
        return 0;
    /* Anybody may make a whiteout. */
    if (type == LX_S_IFCHR && dev == 0)
        return 0;
    return cred_capable(curr()->cred, LX_CAP_MKNOD) ? 0 : -EPERM;
}

int vfs_mknod_path(int dirfd, const char *name, uint32_t mode, lx_dev_t dev, struct path *out)
{
    uint32_t type = mode & LX_S_IFMT;
    struct new_name n;
    int ret;

    switch (type) {
    case 0:
        type = LX_S_IFREG;
        break;
    case LX_S_IFREG:
    case LX_S_IFCHR:
    case LX_S_IFBLK:
    case LX_S_IFIFO:
    case LX_S_IFSOCK:
        break;
    case LX_S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    ret = new_name_begin(&n, dirfd, name, type);
    mode = type | (mode & LX_S_IALLUGO & ~fs_ctx_umask(curr()->fs));
    if (ret == 0)
        ret = mknod_allowed(type, dev);
    if (ret == 0) {
        if (type == LX_S_IFREG)
            ret = n.dir->ops->create ? n.dir->ops->create(n.dir, n.child, mode) : -EACCES;
        else
            ret = n.dir->ops->mknod ? n.dir->ops->mknod(n.dir, n.child, mode, dev) : -EPERM;
        ret = new_name_made(&n, ret, 0);
    }
    if (ret == 0 && out) {
        out->mnt = mount_get(n.w.cur.mnt);
        out->dentry = dentry_get(n.child);
    }
    new_name_end(&n);
    return ret;
}

int vfs_mknod(int dirfd, const char *name, uint32_t mode, lx_dev_t dev)
{
    return vfs_mknod_path(dirfd, name, mode, dev, NULL);
}

int vfs_symlink(const char *target, int dirfd, const char *name)
{
    struct new_name n;
    int ret = new_name_begin(&n, dirfd, name, LX_S_IFLNK);

    if (ret == 0) {
        ret = n.dir->ops->symlink ? n.dir->ops->symlink(n.dir, n.child, target) : -EPERM;
        ret = new_name_made(&n, ret, 0);
    }
    new_name_end(&n);
    return ret;
}

static int link_checks(const struct path *old, const struct new_name *n)
{
    struct inode *i = old->dentry->inode;

    if (old->mnt != n->w.cur.mnt || i->super != n->dir->super)
        return -EXDEV;
    if (inode_is_append(i) || inode_is_immutable(i) || LX_S_ISDIR(i->attr.mode) ||
        !n->dir->ops->link)
        return -EPERM;
    if (i->attr.nlink == 0 && !(i->flags & INODE_LINKABLE))
        return -ENOENT;
    return 0;
}

int vfs_link(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
             uint32_t at_flags)
{
    uint32_t walk = 0;
    struct path old;
    struct new_name n;
    int ret;

    if (at_flags & ~(uint32_t)(LX_AT_SYMLINK_FOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    if (at_flags & LX_AT_EMPTY_PATH) {
        walk |= WALK_EMPTY;
        if (!*old_name && !cred_capable(curr()->cred, LX_CAP_DAC_READ_SEARCH))
            return -ENOENT;
    }
    if (at_flags & LX_AT_SYMLINK_FOLLOW)
        walk |= WALK_FOLLOW;
    ret = vfs_walk(old_dirfd, old_name, walk, &old);
    if (ret < 0)
        return ret;
    ret = new_name_begin(&n, new_dirfd, new_name, 0);
    if (ret == 0)
        ret = link_checks(&old, &n);
    if (ret == 0)
        ret = security_link(&old, &n.w.cur);
    if (ret == 0) {
        ret = n.dir->ops->link(old.dentry->inode, n.dir, n.child);
        ret = new_name_made(&n, ret, 0);
    }
    new_name_end(&n);
    if (ret == 0)
        fs_notify_dentry(old.dentry, LX_IN_ATTRIB);
    path_put(&old);
    return ret;
}

/* The name goes from the tree; the file system's part is done. */
static int remove_child(struct inode *dir, struct dentry *d, bool is_dir)
{
    int (*op)(struct inode *, struct dentry *) = is_dir ? dir->ops->rmdir : dir->ops->unlink;
    int ret = may_delete(dir, d, is_dir);

    if (ret < 0)
        return ret;
    if (dentry_is_mountpoint_here(d))
        return -EBUSY;
    if (!op)
        return -EPERM;
    ret = op(dir, d);
    if (ret == 0)
        dentry_delete(d);
    return ret;
}

static int remove_name(int dirfd, const char *name, bool is_dir)
{
    struct walk w;
    struct dentry *d = NULL;
    struct inode *dir = NULL, *inode = NULL;
    int ret = walk_begin(&w, dirfd, name, 0);

    if (ret == 0)
        ret = walk_to_parent(&w);
    if (ret < 0)
        goto out;
    if (w.last.type != LAST_NORM) {
        ret = -EISDIR;
        if (is_dir) {
            static const int err[] = {
                [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY, [LAST_ROOT] = -EBUSY};

            ret = err[w.last.type];
        }
        goto out;
    }
    ret = -ENAMETOOLONG;
    if (w.last.len > LX_NAME_MAX)
        goto out;
    ret = path_want_write(&w.cur);
    if (ret < 0)
        goto out;
    dir = w.cur.dentry->inode;
    mutex_lock(&dir->lock);
    ret = walk_lookup(w.cur.dentry, w.last.name, w.last.len, /*locked=*/true, &d);
    if (ret == 0 && !d->inode)
        ret = -ENOENT;
    if (ret == 0 && w.last.trailing_slash && !is_dir)
        ret = dentry_is_dir(d) ? -EISDIR : -ENOTDIR;
    if (ret == 0)
        ret = security_remove(&w.cur, is_dir);
    if (ret == 0) {
        inode = inode_get(d->inode);
        ret = remove_child(dir, d, is_dir);
    }
    mutex_unlock(&dir->lock);
    if (ret == 0) {
        mounts_leave_dentry(d);
        fs_notify_name(dir, LX_IN_DELETE | (is_dir ? LX_IN_ISDIR : 0), &w.last);
        if (inode->attr.nlink == 0 || is_dir)
            fs_notify_dir(inode, LX_IN_DELETE_SELF, NULL, 0);
        else
            fs_notify_dir(inode, LX_IN_ATTRIB, NULL, 0);
    }
out:
    if (inode)
        inode_put(inode);
    if (d)
        dentry_put(d);
    walk_end(&w);
    return ret;
}

int vfs_unlink(int dirfd, const char *name)
{
    return remove_name(dirfd, name, /*is_dir=*/false);
}

int vfs_rmdir(int dirfd, const char *name)
{
    return remove_name(dirfd, name, /*is_dir=*/true);
}
