/* SPDX-License-Identifier: Apache-2.0 */
/* The twelve extended attribute calls: {,l,f} x {get,set,list,remove}. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* What an attribute call works on: a path (following or not) or a descriptor. */
enum xattr_how { BY_PATH, BY_LINK, BY_FD };

static int target_get(enum xattr_how how, uaddr_t pathname, int fd, struct path *out)
{
    struct fd_borrow b;
    int ret;

    if (how != BY_FD)
        return path_from_user(LX_AT_FDCWD, pathname, how == BY_PATH, /*empty_ok=*/false, out);
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    *out = b.file->path;
    path_get(out);
    fd_borrow_put(&b);
    return 0;
}

static int name_in(char name[LX_XATTR_NAME_MAX + 1], uaddr_t uname)
{
    ssize_t len = copy_in_str(name, uname, LX_XATTR_NAME_MAX + 1);

    if (len == 0 || len == -ENAMETOOLONG)
        return -ERANGE;
    return len < 0 ? (int)len : 0;
}

static long xattr_set(enum xattr_how how, uaddr_t pathname, int fd, uaddr_t uname, uaddr_t uvalue,
                      size_t size, int flags)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct path p;
    void *value;
    long ret;

    ret = target_get(how, pathname, fd, &p);
    if (ret < 0)
        return ret;
    ret = -EINVAL;
    if (flags & ~(LX_XATTR_CREATE | LX_XATTR_REPLACE))
        goto out_path;
    ret = name_in(name, uname);
    if (ret < 0)
        goto out_path;
    ret = -E2BIG;
    if (size > LX_XATTR_SIZE_MAX)
        goto out_path;
    value = malloc(size ? size : 1);
    ret = value ? copy_in(value, uvalue, size) : -ENOMEM;
    if (ret == 0)
        ret = vfs_setxattr(&p, name, value, size, (uint32_t)flags);
    free(value);
out_path:
    path_put(&p);
    return ret;
}

static long xattr_get(enum xattr_how how, uaddr_t pathname, int fd, uaddr_t uname, uaddr_t uvalue,
                      size_t size)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct path p;
    void *value;
    long ret;

    ret = target_get(how, pathname, fd, &p);
    if (ret < 0)
        return ret;
    ret = name_in(name, uname);
    if (ret == 0) {
        if (size > LX_XATTR_SIZE_MAX)
            size = LX_XATTR_SIZE_MAX;
        value = malloc(size ? size : 1);
        ret = value ? vfs_getxattr(p.dentry->inode, name, value, size) : -ENOMEM;
        if (ret > 0 && size > 0) {
            int err = copy_out(uvalue, value, (size_t)ret);

            if (err < 0)
                ret = err;
        }
        free(value);
    }
    path_put(&p);
    return ret;
}

static long xattr_list(enum xattr_how how, uaddr_t pathname, int fd, uaddr_t ulist, size_t size)
{
    struct path p;
    char *list;
    long ret;

    ret = target_get(how, pathname, fd, &p);
    if (ret < 0)
        return ret;
    if (size > LX_XATTR_LIST_MAX)
        size = LX_XATTR_LIST_MAX;
    list = malloc(size ? size : 1);
    ret = list ? vfs_listxattr(p.dentry->inode, list, size) : -ENOMEM;
    if (ret > 0 && size > 0) {
        int err = copy_out(ulist, list, (size_t)ret);

        if (err < 0)
            ret = err;
    }
    free(list);
    path_put(&p);
    return ret;
}

static long xattr_remove(enum xattr_how how, uaddr_t pathname, int fd, uaddr_t uname)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct path p;
    long ret;

    ret = target_get(how, pathname, fd, &p);
    if (ret < 0)
        return ret;
    ret = name_in(name, uname);
    if (ret == 0)
        ret = vfs_removexattr(&p, name);
    path_put(&p);
    return ret;
}

long sys_setxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size,
                  int flags)
{
    return xattr_set(BY_PATH, pathname, -1, name, value, size, flags);
}

long sys_lsetxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size,
                   int flags)
{
    return xattr_set(BY_LINK, pathname, -1, name, value, size, flags);
}

long sys_fsetxattr(struct task *t, int fd, uaddr_t name, uaddr_t value, size_t size, int flags)
{
    return xattr_set(BY_FD, 0, fd, name, value, size, flags);
}

long sys_getxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_PATH, pathname, -1, name, value, size);
}

long sys_lgetxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_LINK, pathname, -1, name, value, size);
}

long sys_fgetxattr(struct task *t, int fd, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_FD, 0, fd, name, value, size);
}

long sys_listxattr(struct task *t, uaddr_t pathname, uaddr_t list, size_t size)
{
    return xattr_list(BY_PATH, pathname, -1, list, size);
}

long sys_llistxattr(struct task *t, uaddr_t pathname, uaddr_t list, size_t size)
{
    return xattr_list(BY_LINK, pathname, -1, list, size);
}

long sys_flistxattr(struct task *t, int fd, uaddr_t list, size_t size)
{
    return xattr_list(BY_FD, 0, fd, list, size);
}

long sys_removexattr(struct task *t, uaddr_t pathname, uaddr_t name)
{
    return xattr_remove(BY_PATH, pathname, -1, name);
}

long sys_lremovexattr(struct task *t, uaddr_t pathname, uaddr_t name)
{
    return xattr_remove(BY_LINK, pathname, -1, name);
}

long sys_fremovexattr(struct task *t, int fd, uaddr_t name)
{
    return xattr_remove(BY_FD, 0, fd, name);
}
