// SPDX-License-Identifier: Apache-2.0
/* Opening a program: open_exec's checks, in its order. */
#include <errno.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/security.h"
#include "sentry/loader/loader_internal.h"

/* Counts the file as running: nobody may write to it until the file is released. */
static int deny_write(struct file *f)
{
    int count = atomic_load(&f->inode->write_count);

    do {
        if (count > 0)
            return -ETXTBSY;
    } while (!atomic_compare_exchange_weak(&f->inode->write_count, &count, count - 1));
    f->kind |= FILE_DENY_WRITE;
    return 0;
}

int loader_open_exec(int dirfd, const char *name, uint32_t walk_flags, struct file **out)
{
    struct path p = {0};
    struct inode *i;
    struct file *f = NULL;
    int ret;

    ret = vfs_walk(dirfd, name, walk_flags, &p);
    if (ret < 0)
        return ret;
    i = p.dentry->inode;
    if (inode_type(i) == LX_S_IFLNK) {
        ret = -ELOOP; /* AT_SYMLINK_NOFOLLOW */
        goto out;
    }
    if (inode_type(i) != LX_S_IFREG || (mount_flags(p.mnt) & MOUNT_NOEXEC) ||
        (i->super->flags & SUPER_NOEXEC)) {
        ret = -EACCES;
        goto out;
    }
    ret = inode_permission(i, MAY_EXEC);
    if (ret == 0)
        ret = security_exec(&p);
    if (ret < 0)
        goto out;
    /* Reading a program needs no read permission of the caller. */
    ret = vfs_open_path(&p, LX_O_RDONLY, cred_kernel(), &f);
    if (ret < 0)
        goto out;
    ret = deny_write(f);
    if (ret < 0)
        file_put(f);
    else
        *out = f;
out:
    path_put(&p);
    return ret;
}

bool loader_readable(struct file *f)
{
    return inode_permission(f->inode, MAY_READ) == 0;
}
