/* SPDX-License-Identifier: Apache-2.0 */
/* The extended attribute calls: {,l,f} x {get,set,list,remove} and the four with *at. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* What an attribute call works on. */
struct xattr_target {
    int dfd;
    uaddr_t pathname;
    uint32_t at_flags;
};
#define BY_PATH(p) (&(const struct xattr_target){LX_AT_FDCWD, (p), 0})
#define BY_LINK(p) (&(const struct xattr_target){LX_AT_FDCWD, (p), LX_AT_SYMLINK_NOFOLLOW})
#define BY_FD(fd)  (&(const struct xattr_target){(fd), 0, LX_AT_EMPTY_PATH})

struct lx_xattr_args {
    uint64_t value;
    uint32_t size, flags;
};
static_assert(sizeof(struct lx_xattr_args) == 16, "struct xattr_args");

static int target_check(const struct xattr_target *x)
{
    return x->at_flags & ~(uint32_t)(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH) ? -EINVAL : 0;
}

/* Linux: without a name the descriptor itself is meant, and then O_PATH ones do not do. */
static int target_get(const struct xattr_target *x, struct path *out)
{
    bool empty_ok = x->at_flags & LX_AT_EMPTY_PATH;
    bool by_fd = empty_ok && !x->pathname;
    struct fd_borrow b;
    char first;
    int ret;

    if (empty_ok && x->pathname) {
        if (get_user(&first, x->pathname) < 0)
            return -EFAULT;
        by_fd = !first && x->dfd >= 0;
    }
    if (!by_fd)
        return path_from_user(x->dfd, x->pathname, !(x->at_flags & LX_AT_SYMLINK_NOFOLLOW),
                              empty_ok, out);
    ret = fdtable_borrow(x->dfd, &b);
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

static long xattr_set(const struct xattr_target *x, uaddr_t uname, uaddr_t uvalue, size_t size,
                      int flags)
{
    char name[LX_XATTR_NAME_MAX + 1];
    void *value = NULL;
    struct path p;
    long ret = target_check(x);

    if (ret < 0)
        return ret;
    if (flags & ~(LX_XATTR_CREATE | LX_XATTR_REPLACE))
        return -EINVAL;
    ret = name_in(name, uname);
    if (ret < 0)
        return ret;
    if (size > LX_XATTR_SIZE_MAX)
        return -E2BIG;
    value = malloc(size ? size : 1);
    ret = value ? copy_in(value, uvalue, size) : -ENOMEM;
    if (ret == 0)
        ret = target_get(x, &p);
    if (ret == 0) {
        ret = vfs_setxattr(&p, name, value, size, (uint32_t)flags);
        path_put(&p);
    }
    free(value);
    return ret;
}

static long xattr_get(const struct xattr_target *x, uaddr_t uname, uaddr_t uvalue, size_t size)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct path p;
    void *value;
    long ret = target_check(x);

    if (ret == 0)
        ret = name_in(name, uname);
    if (ret == 0)
        ret = target_get(x, &p);
    if (ret < 0)
        return ret;
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
    path_put(&p);
    return ret;
}

static long xattr_list(const struct xattr_target *x, uaddr_t ulist, size_t size)
{
    struct path p;
    char *list;
    long ret = target_check(x);

    if (ret == 0)
        ret = target_get(x, &p);
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

static long xattr_remove(const struct xattr_target *x, uaddr_t uname)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct path p;
    long ret = target_check(x);

    if (ret == 0)
        ret = name_in(name, uname);
    if (ret == 0)
        ret = target_get(x, &p);
    if (ret < 0)
        return ret;
    ret = vfs_removexattr(&p, name);
    path_put(&p);
    return ret;
}

static int args_in(struct lx_xattr_args *a, uaddr_t uargs, size_t usize)
{
    if (usize < sizeof(*a))
        return -EINVAL;
    if (usize > LX_PAGE_SIZE)
        return -E2BIG;
    return copy_struct_from_user(a, sizeof(*a), uargs, usize);
}

long sys_setxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size,
                  int flags)
{
    return xattr_set(BY_PATH(pathname), name, value, size, flags);
}

long sys_lsetxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size,
                   int flags)
{
    return xattr_set(BY_LINK(pathname), name, value, size, flags);
}

long sys_fsetxattr(struct task *t, int fd, uaddr_t name, uaddr_t value, size_t size, int flags)
{
    return xattr_set(BY_FD(fd), name, value, size, flags);
}

long sys_getxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_PATH(pathname), name, value, size);
}

long sys_lgetxattr(struct task *t, uaddr_t pathname, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_LINK(pathname), name, value, size);
}

long sys_fgetxattr(struct task *t, int fd, uaddr_t name, uaddr_t value, size_t size)
{
    return xattr_get(BY_FD(fd), name, value, size);
}

long sys_listxattr(struct task *t, uaddr_t pathname, uaddr_t list, size_t size)
{
    return xattr_list(BY_PATH(pathname), list, size);
}

long sys_llistxattr(struct task *t, uaddr_t pathname, uaddr_t list, size_t size)
{
    return xattr_list(BY_LINK(pathname), list, size);
}

long sys_flistxattr(struct task *t, int fd, uaddr_t list, size_t size)
{
    return xattr_list(BY_FD(fd), list, size);
}

long sys_removexattr(struct task *t, uaddr_t pathname, uaddr_t name)
{
    return xattr_remove(BY_PATH(pathname), name);
}

long sys_lremovexattr(struct task *t, uaddr_t pathname, uaddr_t name)
{
    return xattr_remove(BY_LINK(pathname), name);
}

long sys_fremovexattr(struct task *t, int fd, uaddr_t name)
{
    return xattr_remove(BY_FD(fd), name);
}

long sys_setxattrat(struct task *t, int dfd, uaddr_t pathname, uint32_t at_flags, uaddr_t name,
                    uaddr_t uargs, size_t usize)
{
    const struct xattr_target x = {dfd, pathname, at_flags};
    struct lx_xattr_args a;
    int ret = args_in(&a, uargs, usize);

    return ret < 0 ? ret : xattr_set(&x, name, a.value, a.size, (int)a.flags);
}

long sys_getxattrat(struct task *t, int dfd, uaddr_t pathname, uint32_t at_flags, uaddr_t name,
                    uaddr_t uargs, size_t usize)
{
    const struct xattr_target x = {dfd, pathname, at_flags};
    struct lx_xattr_args a;
    int ret = args_in(&a, uargs, usize);

    if (ret < 0)
        return ret;
    return a.flags ? -EINVAL : xattr_get(&x, name, a.value, a.size);
}

long sys_listxattrat(struct task *t, int dfd, uaddr_t pathname, uint32_t at_flags, uaddr_t list,
                     size_t size)
{
    const struct xattr_target x = {dfd, pathname, at_flags};

    return xattr_list(&x, list, size);
}

long sys_removexattrat(struct task *t, int dfd, uaddr_t pathname, uint32_t at_flags, uaddr_t name)
{
    const struct xattr_target x = {dfd, pathname, at_flags};

    return xattr_remove(&x, name);
}
