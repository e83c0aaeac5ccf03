/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of the real object; the overlay's own marks are nobody's business. */
#include <errno.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

static bool is_mark(const char *name)
{
    return strncmp(name, OVL_XATTR_PREFIX, strlen(OVL_XATTR_PREFIX)) == 0;
}

ssize_t ovl_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct inode *real = ovl_real_inode(ovl_inode(inode));

    if (!real->ops->getxattr)
        return -EOPNOTSUPP;
    return is_mark(name) ? -ENODATA : real->ops->getxattr(real, name, buf, size);
}

int ovl_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                 uint32_t flags)
{
    struct ovl_inode *oi = ovl_inode(inode);
    struct inode *real;
    int ret;

    if (is_mark(name))
        return -EOPNOTSUPP;
    ret = ovl_copy_up(oi, OVL_ALL_DATA);
    if (ret < 0)
        return ret;
    real = ovl_real_inode(oi);
    mutex_lock(&real->lock);
    ret = real->ops->setxattr ? real->ops->setxattr(real, name, value, size, flags) : -EOPNOTSUPP;
    mutex_unlock(&real->lock);
    if (ret == 0)
        ovl_attr_sync(oi);
    return ret;
}

ssize_t ovl_listxattr(struct inode *inode, char *buf, size_t size)
{
    struct inode *real = ovl_real_inode(ovl_inode(inode));
    ssize_t total, off = 0, kept = 0;

    if (!real->ops->listxattr)
        return 0;
    total = real->ops->listxattr(real, buf, size);
    if (total <= 0 || size == 0)
        return total; /* an upper bound is a fine answer to "how much" */
    while (off < total) {
        size_t step = strnlen(buf + off, (size_t)(total - off)) + 1;

        if (off + (ssize_t)step > total)
            break;
        if (!is_mark(buf + off)) {
            memmove(buf + kept, buf + off, step);
            kept += (ssize_t)step;
        }
        off += (ssize_t)step;
    }
    return kept;
}

int ovl_removexattr(struct inode *inode, const char *name)
{
    struct ovl_inode *oi = ovl_inode(inode);
    struct inode *real = ovl_real_inode(oi);
    int ret;

    if (is_mark(name))
        return -ENODATA;
    if (!oi->upper) {
        /* Nothing is copied up for an attribute that is not there. */
        ssize_t there = real->ops->getxattr ? real->ops->getxattr(real, name, NULL, 0) : -ENODATA;

        if (there < 0)
            return (int)there;
        ret = ovl_copy_up(oi, OVL_ALL_DATA);
        if (ret < 0)
            return ret;
        real = ovl_real_inode(oi);
    }
    mutex_lock(&real->lock);
    ret = real->ops->removexattr ? real->ops->removexattr(real, name) : -EOPNOTSUPP;
    mutex_unlock(&real->lock);
    if (ret == 0)
        ovl_attr_sync(oi);
    return ret;
}
