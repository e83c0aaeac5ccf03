/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: who may use which name space, xattr(7). Values are the file system's. Of
 * "system." only sockets have one, to be read; POSIX ACLs (system.posix_acl_*) are not supported by
 * any of our file systems: -EOPNOTSUPP.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <string.h>

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* xattr_permission of Linux. */
static int xattr_permission(struct inode *i, const char *name, uint32_t mask)
{
    if ((mask & MAY_WRITE) && (inode_is_append(i) || inode_is_immutable(i)))
        return -EPERM;
    if (starts(name, "security.")) {
        if (!(mask & MAY_WRITE))
            return 0;
        if (!strcmp(name, "security.capability"))
            return inode_capable(i, LX_CAP_SETFCAP) ? 0 : -EPERM;
        return cred_capable(curr()->cred, LX_CAP_SYS_ADMIN) ? 0 : -EPERM;
    }
    if (starts(name, "system."))
        return (mask & MAY_WRITE) ? -EOPNOTSUPP : 0;
    if (starts(name, "trusted.")) {
        if (cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
            return 0;
        return (mask & MAY_WRITE) ? -EPERM : -ENODATA;
    }
    if (starts(name, "user.")) {
        uint32_t type = inode_type(i);

        if (type != LX_S_IFREG && type != LX_S_IFDIR)
            return (mask & MAY_WRITE) ? -EPERM : -ENODATA;
        if (type == LX_S_IFDIR && (i->attr.mode & LX_S_ISVTX) && (mask & MAY_WRITE) &&
            !inode_owner_or_capable(i))
            return -EPERM;
        return inode_permission(i, mask);
    }
    return -EOPNOTSUPP;
}

ssize_t vfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    int ret = xattr_permission(i, name, MAY_READ);

    if (ret < 0)
        return ret;
    return i->ops->getxattr ? i->ops->getxattr(i, name, buf, size) : -EOPNOTSUPP;
}

int vfs_setxattr(const struct path *p, const char *name, const void *value, size_t size,
                 uint32_t flags)
{
    struct inode *i = p->dentry->inode;
    int ret = path_want_write(p);

    if (ret == 0)
        ret = xattr_permission(i, name, MAY_WRITE);
    if (ret < 0)
        return ret;
    if (!i->ops->setxattr)
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    ret = i->ops->setxattr(i, name, value, size, flags);
    mutex_unlock(&i->lock);
    if (ret == 0)
        fs_notify_dentry(p->dentry, LX_IN_ATTRIB);
    return ret;
}

ssize_t vfs_listxattr(struct inode *i, char *buf, size_t size)
{
    return i->ops->listxattr ? i->ops->listxattr(i, buf, size) : 0;
}

int vfs_removexattr(const struct path *p, const char *name)
{
    struct inode *i = p->dentry->inode;
    int ret = path_want_write(p);

    if (ret == 0)
        ret = xattr_permission(i, name, MAY_WRITE);
    if (ret < 0)
        return ret;
    if (!i->ops->removexattr)
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    ret = i->ops->removexattr(i, name);
    mutex_unlock(&i->lock);
    if (ret == 0)
        fs_notify_dentry(p->dentry, LX_IN_ATTRIB);
    return ret;
}
