/* SPDX-License-Identifier: Apache-2.0 */
/* inotify_init, inotify_add_watch, inotify_rm_watch. */
#include "sentry/fs/inotify/inotify.h"

#include <errno.h>
#include <stdlib.h>

#include "gen/syscall_protos.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"

#define INOTIFY_BITS                                                                               \
    (LX_IN_ALL_EVENTS | LX_IN_UNMOUNT | LX_IN_Q_OVERFLOW | LX_IN_IGNORED | LX_IN_ONLYDIR |         \
     LX_IN_DONT_FOLLOW | LX_IN_EXCL_UNLINK | LX_IN_MASK_ADD | LX_IN_MASK_CREATE | LX_IN_ISDIR |    \
     LX_IN_ONESHOT)

long sys_inotify_init1(struct task *t, int flags)
{
    struct file *f;
    long ret;

    if (flags & ~(LX_IN_CLOEXEC | LX_IN_NONBLOCK))
        return -EINVAL;
    ret = inotify_create((uint32_t)flags, &f);
    if (ret < 0)
        return ret;
    ret = fdtable_install_take(t->curr.files, f, 0, flags & LX_IN_CLOEXEC);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_inotify_init(struct task *t)
{
    return sys_inotify_init1(t, 0);
}

static long inotify_add_path(struct file *f, uaddr_t pathname, uint32_t mask)
{
    uint32_t walk =
        (mask & LX_IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) | (mask & LX_IN_ONLYDIR ? WALK_DIRECTORY : 0);
    struct path path;
    char *name;
    long ret = copy_in_path(pathname, /*empty_ok=*/false, &name);

    if (ret < 0)
        return ret;
    ret = vfs_walk(LX_AT_FDCWD, name, walk, &path);
    free(name);
    if (ret < 0)
        return ret;
    ret = inode_permission(path.dentry->inode, MAY_READ);
    if (ret == 0)
        ret = inotify_add(f, path.dentry->inode, mask);
    path_put(&path);
    return ret;
}

long sys_inotify_add_watch(struct task *t, int fd, uaddr_t pathname, uint32_t mask)
{
    struct file *f;
    long ret;

    if ((mask & ~INOTIFY_BITS) || !(mask & INOTIFY_BITS))
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, fd, &f);
    if (ret < 0)
        return ret;
    if (((mask & LX_IN_MASK_ADD) && (mask & LX_IN_MASK_CREATE)) || !file_is_inotify(f))
        ret = -EINVAL;
    else
        ret = inotify_add_path(f, pathname, mask);
    file_put(f);
    return ret;
}

long sys_inotify_rm_watch(struct task *t, int fd, int wd)
{
    struct file *f;
    long ret = fdtable_lookup_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    ret = file_is_inotify(f) ? inotify_remove(f, wd) : -EINVAL;
    file_put(f);
    return ret;
}
