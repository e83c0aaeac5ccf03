/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of tmpfs inodes, in memory. trusted. and security. as in Linux; user. too, as
 * Linux has since 6.6, because overlays and build tools look for it. Guarded by the super's lock.
 */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Memory that attributes of one inode may take. */
#define XATTRS_MAX (1u << 20)

static struct tmpfs_xattr *find(struct tmpfs_inode *ti, const char *name)
{
    struct tmpfs_xattr *x;

    list_for_each_entry(x, &ti->xattrs, node) {
        if (!strcmp(x->name, name))
            return x;
    }
    return NULL;
}

static bool known_space(const char *name)
{
    return !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9) ||
           !strncmp(name, "user.", 5);
}

ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(inode);
    struct mutex *lock = &tmpfs_super_of(inode)->lock;
    struct tmpfs_xattr *x;
    ssize_t ret = -ENODATA;

    if (!known_space(name))
        return -EOPNOTSUPP;
    if (list_empty(&ti->xattrs))
        return -ENODATA;
    mutex_lock(lock);
    x = find(ti, name);
    if (x) {
        ret = (ssize_t)x->size;
        if (size > 0 && size < x->size)
            ret = -ERANGE;
        else if (size > 0)
            memcpy(buf, x->value, x->size);
    }
    mutex_unlock(lock);
    return ret;
}

/* Attributes are memory that no page accounts for: they count as inodes, of 1 KiB each. */
enum { INODE_COST = 1024 };

static uint64_t xattr_cost(const struct tmpfs_xattr *x)
{
    return (sizeof(*x) + x->size + strlen(x->name)) / INODE_COST + 1;
}

static bool xattr_charge(struct tmpfs_super *ts, const struct tmpfs_xattr *x)
{
    uint64_t cost = xattr_cost(x), used = atomic_fetch_add(&ts->used_inodes, cost) + cost;

    if (!ts->max_inodes || used <= ts->max_inodes)
        return true;
    atomic_fetch_sub(&ts->used_inodes, cost);
    return false;
}

static void xattr_free(struct tmpfs_super *ts, struct tmpfs_xattr *x)
{
    atomic_fetch_sub(&ts->used_inodes, xattr_cost(x));
    list_del(&x->node);
    free(x->name);
    free(x);
}

int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   uint32_t flags)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(inode);
    struct mutex *lock = &tmpfs_super_of(inode)->lock;
    struct tmpfs_xattr *x, *old, *each;
    size_t total = size;
    int ret = 0;

    if (!known_space(name))
        return -EOPNOTSUPP;
    x = malloc(sizeof(*x) + size);
    if (!x)
        return -ENOMEM;
    x->name = strdup(name);
    if (!x->name) {
        free(x);
        return -ENOMEM;
    }
    x->size = size;
    memcpy(x->value, value, size);
    mutex_lock(lock);
    old = find(ti, name);
    list_for_each_entry(each, &ti->xattrs, node)
        total += each->size + 64;
    if (old && (flags & LX_XATTR_CREATE))
        ret = -EEXIST;
    else if (!old && (flags & LX_XATTR_REPLACE))
        ret = -ENODATA;
    else if (total > XATTRS_MAX || !xattr_charge(tmpfs_super_of(inode), x))
        ret = -ENOSPC;
    if (ret == 0) {
        list_add(&ti->xattrs, &x->node);
        if (old)
            xattr_free(tmpfs_super_of(inode), old);
    }
    mutex_unlock(lock);
    if (ret < 0) {
        free(x->name);
        free(x);
        return ret;
    }
    inode_touch(inode, false, false, /*ctime=*/true);
    return 0;
}

ssize_t tmpfs_listxattr(struct inode *inode, char *buf, size_t size)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(inode);
    struct mutex *lock = &tmpfs_super_of(inode)->lock;
    bool trusted = cred_capable(curr()->cred, LX_CAP_SYS_ADMIN);
    struct tmpfs_xattr *x;
    size_t used = 0;

    mutex_lock(lock);
    list_for_each_entry(x, &ti->xattrs, node) {
        size_t len = strlen(x->name) + 1;

        if (!trusted && !strncmp(x->name, "trusted.", 8))
            continue;
        if (size > 0) {
            if (used + len > size) {
                mutex_unlock(lock);
                return -ERANGE;
            }
            memcpy(buf + used, x->name, len);
        }
        used += len;
    }
    mutex_unlock(lock);
    return (ssize_t)used;
}

int tmpfs_removexattr(struct inode *inode, const char *name)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(inode);
    struct mutex *lock = &tmpfs_super_of(inode)->lock;
    struct tmpfs_xattr *x;

    if (!known_space(name))
        return -EOPNOTSUPP;
    mutex_lock(lock);
    x = find(ti, name);
    if (x)
        xattr_free(tmpfs_super_of(inode), x);
    mutex_unlock(lock);
    if (!x)
        return -ENODATA;
    inode_touch(inode, false, false, /*ctime=*/true);
    return 0;
}

void tmpfs_xattrs_free(struct tmpfs_inode *ti)
{
    struct tmpfs_xattr *x, *tmp;

    list_for_each_entry_safe(x, tmp, &ti->xattrs, node)
        xattr_free(tmpfs_super_of(&ti->inode), x);
}
