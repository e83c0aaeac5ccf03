/* SPDX-License-Identifier: Apache-2.0 */
/* The newer mount calls: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr.
 */
#include <errno.h>
#include <string.h>

#include "sentry/abi/mount.h"
#include "sentry/fs/fs_context.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/security.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* Consumes f. */
static long install(struct task *t, struct file *f, bool cloexec)
{
    int fd = fdtable_install_take(t->curr.files, f, 0, cloexec);

    if (fd < 0)
        file_put(f);
    return fd;
}

static int open_tree(struct task *t, int dfd, uaddr_t filename, uint32_t flags, struct file **out)
{
    struct mount *m;
    struct path p;
    int ret;

    if (flags & ~(uint32_t)(LX_OPEN_TREE_CLONE | LX_OPEN_TREE_CLOEXEC | LX_AT_EMPTY_PATH |
                            LX_AT_NO_AUTOMOUNT | LX_AT_RECURSIVE | LX_AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    if ((flags & (LX_AT_RECURSIVE | LX_OPEN_TREE_CLONE)) == LX_AT_RECURSIVE)
        return -EINVAL;
    if ((flags & LX_OPEN_TREE_CLONE) && !may_mount())
        return -EPERM;
    ret = path_from_user(dfd, filename, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH,
                         &p);
    if (ret < 0)
        return ret;
    if (flags & LX_OPEN_TREE_CLONE) {
        ret = mount_clone_at(&p, flags & LX_AT_RECURSIVE, &m);
        if (ret == 0) {
            ret = mount_file_new(m, out);
            if (ret < 0)
                mount_dissolve(m);
        }
    } else {
        ret = vfs_open_path(&p, LX_O_PATH, t->curr.cred, out);
    }
    path_put(&p);
    return ret;
}

long sys_open_tree(struct task *t, int dfd, uaddr_t filename, uint32_t flags)
{
    struct file *f;
    int ret = open_tree(t, dfd, filename, flags, &f);

    return ret < 0 ? ret : install(t, f, flags & LX_OPEN_TREE_CLOEXEC);
}

/* A detached tree given by its descriptor: *out is +1, or NULL when the name leads elsewhere. */
static long detached_from(struct task *t, int dfd, uaddr_t name, uint32_t flags, struct file **out)
{
    struct path_arg a;
    struct file *f;
    bool empty;
    long ret;

    *out = NULL;
    if (!(flags & LX_MOVE_MOUNT_F_EMPTY_PATH) || dfd < 0)
        return 0;
    ret = path_arg_init(&a, name, /*empty_ok=*/true);
    if (ret < 0)
        return ret;
    empty = !*a.s;
    path_arg_free(&a);
    if (!empty || fdtable_lookup_any_get(t->curr.files, dfd, &f) < 0)
        return 0;
    if (file_is_mount(f))
        *out = f;
    else
        file_put(f);
    return 0;
}

long sys_move_mount(struct task *t, int from_dfd, uaddr_t from_pathname, int to_dfd,
                    uaddr_t to_pathname, uint32_t flags)
{
    struct path from, to;
    struct file *f;
    long ret;

    if (!may_mount())
        return -EPERM;
    if (flags & ~LX_MOVE_MOUNT_MASK)
        return -EINVAL;
    if (flags & LX_MOVE_MOUNT_SET_GROUP)
        return -EINVAL;
    ret = detached_from(t, from_dfd, from_pathname, flags, &f);
    if (ret < 0)
        return ret;
    if (!f) {
        ret = path_from_user(from_dfd, from_pathname, flags & LX_MOVE_MOUNT_F_SYMLINKS,
                             flags & LX_MOVE_MOUNT_F_EMPTY_PATH, &from);
        if (ret < 0)
            return ret;
    }
    ret = path_from_user(to_dfd, to_pathname, flags & LX_MOVE_MOUNT_T_SYMLINKS,
                         flags & LX_MOVE_MOUNT_T_EMPTY_PATH, &to);
    if (ret == 0) {
        ret = security_mount();
        if (ret == 0)
            ret = f ? mount_file_attach(f, &to) : vfs_move_mount(&from, &to);
        path_put(&to);
    }
    if (f)
        file_put(f);
    else
        path_put(&from);
    return ret;
}

long sys_fsopen(struct task *t, uaddr_t fs_name, uint32_t flags)
{
    const struct fs_type *type;
    struct path_arg name;
    struct file *f;
    long ret;

    if (!may_mount())
        return -EPERM;
    if (flags & ~LX_FSOPEN_CLOEXEC)
        return -EINVAL;
    ret = path_arg_init(&name, fs_name, /*empty_ok=*/true);
    if (ret < 0)
        return ret;
    ret = fs_type_find(name.s, &type);
    path_arg_free(&name);
    if (ret == 0)
        ret = fs_context_new(type, &f);
    return ret < 0 ? ret : install(t, f, flags & LX_FSOPEN_CLOEXEC);
}

static int context_from_fd(int fd, struct fd_borrow *out)
{
    int ret = fdtable_borrow(fd, out);

    if (ret == 0 && !file_is_fs_context(out->file)) {
        fd_borrow_put(out);
        ret = -EINVAL;
    }
    return ret;
}

static int config_args(uint32_t cmd, uaddr_t key, uaddr_t value, int aux)
{
    switch (cmd) {
    case LX_FSCONFIG_SET_FLAG:
        return !key || value || aux ? -EINVAL : 0;
    case LX_FSCONFIG_SET_STRING:
        return !key || !value || aux ? -EINVAL : 0;
    case LX_FSCONFIG_SET_BINARY:
        return !key || !value || aux <= 0 || aux > 1024 * 1024 ? -EINVAL : 0;
    case LX_FSCONFIG_SET_PATH:
    case LX_FSCONFIG_SET_PATH_EMPTY:
        return !key || !value || (aux != LX_AT_FDCWD && aux < 0) ? -EINVAL : 0;
    case LX_FSCONFIG_SET_FD:
        return !key || value || aux < 0 ? -EINVAL : 0;
    case LX_FSCONFIG_CMD_CREATE:
    case LX_FSCONFIG_CMD_RECONFIGURE:
        return key || value || aux ? -EINVAL : 0;
    default:
        return -EOPNOTSUPP;
    }
}

#define FSCONFIG_STRING_MAX 256

static int config_set(struct file *f, uint32_t cmd, uaddr_t ukey, uaddr_t uvalue)
{
    char key[FSCONFIG_STRING_MAX], value[FSCONFIG_STRING_MAX];
    ssize_t n = copy_in_str(key, ukey, sizeof(key));

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    if (cmd == LX_FSCONFIG_SET_FLAG)
        return fs_context_set(f, key, NULL);
    if (cmd != LX_FSCONFIG_SET_STRING && cmd != LX_FSCONFIG_SET_PATH)
        return -EINVAL; /* no file system here takes blobs or descriptors */
    n = copy_in_str(value, uvalue, sizeof(value));
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    return fs_context_set(f, key, value);
}

long sys_fsconfig(struct task *t, int fd, uint32_t cmd, uaddr_t key, uaddr_t value, int aux)
{
    struct fd_borrow b;
    long ret;

    if (fd < 0)
        return -EINVAL;
    ret = config_args(cmd, key, value, aux);
    if (ret < 0)
        return ret;
    ret = context_from_fd(fd, &b);
    if (ret < 0)
        return ret;
    if (cmd == LX_FSCONFIG_CMD_CREATE)
        ret = may_mount() ? fs_context_create(b.file) : -EPERM;
    else if (cmd == LX_FSCONFIG_CMD_RECONFIGURE)
        ret = fs_context_reconfigure(b.file);
    else
        ret = config_set(b.file, cmd, key, value);
    fd_borrow_put(&b);
    return ret;
}

/* MOUNT_ATTR_* to MOUNT_*. -EINVAL for unknown bits. */
static int attr_flags(uint64_t attr, uint32_t *out)
{
    uint32_t flags = 0;

    if (attr & ~(uint64_t)(LX_MOUNT_ATTR_RDONLY | LX_MOUNT_ATTR_NOSUID | LX_MOUNT_ATTR_NODEV |
                           LX_MOUNT_ATTR_NOEXEC | LX_MOUNT_ATTR__ATIME | LX_MOUNT_ATTR_NODIRATIME |
                           LX_MOUNT_ATTR_NOSYMFOLLOW))
        return -EINVAL;
    if (attr & LX_MOUNT_ATTR_RDONLY)
        flags |= MOUNT_READONLY;
    if (attr & LX_MOUNT_ATTR_NOSUID)
        flags |= MOUNT_NOSUID;
    if (attr & LX_MOUNT_ATTR_NODEV)
        flags |= MOUNT_NODEV;
    if (attr & LX_MOUNT_ATTR_NOEXEC)
        flags |= MOUNT_NOEXEC;
    if (attr & LX_MOUNT_ATTR_NODIRATIME)
        flags |= MOUNT_NODIRATIME;
    if (attr & LX_MOUNT_ATTR_NOSYMFOLLOW)
        flags |= MOUNT_NOSYMFOLLOW;
    *out = flags;
    return 0;
}

static int atime_flags(uint64_t attr, uint32_t *out)
{
    switch (attr & LX_MOUNT_ATTR__ATIME) {
    case LX_MOUNT_ATTR_RELATIME:
        *out = MOUNT_RELATIME;
        return 0;
    case LX_MOUNT_ATTR_NOATIME:
        *out = MOUNT_NOATIME;
        return 0;
    case LX_MOUNT_ATTR_STRICTATIME:
        *out = 0;
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_fsmount(struct task *t, int fs_fd, uint32_t flags, uint32_t attr)
{
    uint32_t mount_bits, atime = 0;
    struct fd_borrow b;
    struct mount *m;
    struct file *f;
    long ret;

    if (!may_mount())
        return -EPERM;
    if (flags & ~LX_FSMOUNT_CLOEXEC)
        return -EINVAL;
    ret = attr_flags(attr, &mount_bits);
    if (ret == 0)
        ret = atime_flags(attr, &atime);
    if (ret == 0)
        ret = context_from_fd(fs_fd, &b);
    if (ret < 0)
        return ret;
    ret = fs_context_mount(b.file, mount_bits | atime, &m);
    fd_borrow_put(&b);
    if (ret < 0)
        return ret;
    ret = mount_file_new(m, &f);
    if (ret < 0) {
        mount_put(m);
        return ret;
    }
    return install(t, f, flags & LX_FSMOUNT_CLOEXEC);
}

long sys_fspick(struct task *t, int dfd, uaddr_t path, uint32_t flags)
{
    struct path p;
    struct file *f;
    long ret;

    if (!may_mount())
        return -EPERM;
    if (flags & ~(LX_FSPICK_CLOEXEC | LX_FSPICK_SYMLINK_NOFOLLOW | LX_FSPICK_NO_AUTOMOUNT |
                  LX_FSPICK_EMPTY_PATH))
        return -EINVAL;
    ret = path_from_user(dfd, path, !(flags & LX_FSPICK_SYMLINK_NOFOLLOW),
                         flags & LX_FSPICK_EMPTY_PATH, &p);
    if (ret < 0)
        return ret;
    ret = mount_root(p.mnt) == p.dentry ? fs_context_pick(&p, &f) : -EINVAL;
    path_put(&p);
    return ret < 0 ? ret : install(t, f, flags & LX_FSPICK_CLOEXEC);
}

/* Validates the struct; out: bits to set and clear, and the propagation type or 0. */
static int setattr_decode(const struct lx_mount_attr *a, uint32_t *set, uint32_t *clear)
{
    const uint64_t propagation = LX_MS_UNBINDABLE | LX_MS_PRIVATE | LX_MS_SLAVE | LX_MS_SHARED;
    uint32_t atime = 0;
    int ret;

    if ((a->propagation & ~propagation) || (a->propagation & (a->propagation - 1)))
        return -EINVAL;
    if ((a->attr_set | a->attr_clr) & LX_MOUNT_ATTR_IDMAP)
        return -EINVAL; /* no file system here takes id-mapped mounts */
    ret = attr_flags(a->attr_set, set);
    if (ret == 0)
        ret = attr_flags(a->attr_clr, clear);
    if (ret < 0)
        return ret;
    if (a->attr_clr & LX_MOUNT_ATTR__ATIME) {
        if ((a->attr_clr & LX_MOUNT_ATTR__ATIME) != LX_MOUNT_ATTR__ATIME)
            return -EINVAL;
        ret = atime_flags(a->attr_set, &atime);
        *clear |= MOUNT_RELATIME | MOUNT_NOATIME;
        *set |= atime;
        return ret;
    }
    return (a->attr_set & LX_MOUNT_ATTR__ATIME) ? -EINVAL : 0;
}

/* What mount_setattr(2) is asked to do. */
struct mount_change {
    uint32_t set, clear, propagation;
};

/* 1: *out is to be applied; 0: nothing is asked for. */
static int change_from_user(uaddr_t uattr, size_t usize, struct mount_change *out)
{
    struct lx_mount_attr attr;
    int ret;

    if (usize > LX_PAGE_SIZE)
        return -E2BIG;
    if (usize < sizeof(attr))
        return -EINVAL;
    if (!may_mount())
        return -EPERM;
    ret = copy_struct_from_user(&attr, sizeof(attr), uattr, usize);
    if (ret < 0)
        return ret;
    if (!attr.attr_set && !attr.attr_clr && !attr.propagation)
        return 0;
    ret = setattr_decode(&attr, &out->set, &out->clear);
    out->propagation = (uint32_t)attr.propagation;
    return ret < 0 ? ret : 1;
}

static int change_apply(const struct mount_change *c, const struct path *p, bool recursive)
{
    int ret = vfs_mount_setattr(p, c->set, c->clear, recursive);

    return ret == 0 && c->propagation ? vfs_set_propagation(p, c->propagation, recursive) : ret;
}

long sys_mount_setattr(struct task *t, int dfd, uaddr_t path, uint32_t flags, uaddr_t uattr,
                       size_t usize)
{
    struct mount_change c;
    struct path p;
    long ret;

    if (flags & ~(uint32_t)(LX_AT_EMPTY_PATH | LX_AT_RECURSIVE | LX_AT_SYMLINK_NOFOLLOW |
                            LX_AT_NO_AUTOMOUNT))
        return -EINVAL;
    ret = change_from_user(uattr, usize, &c);
    if (ret <= 0)
        return ret;
    ret =
        path_from_user(dfd, path, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH, &p);
    if (ret < 0)
        return ret;
    ret = change_apply(&c, &p, flags & LX_AT_RECURSIVE);
    path_put(&p);
    return ret;
}

long sys_open_tree_attr(struct task *t, int dfd, uaddr_t filename, uint32_t flags, uaddr_t uattr,
                        size_t usize)
{
    struct mount_change c;
    struct file *f;
    int ret;

    if (!uattr && usize)
        return -EINVAL;
    ret = open_tree(t, dfd, filename, flags, &f);
    if (ret < 0)
        return ret;
    if (uattr) {
        ret = change_from_user(uattr, usize, &c);
        if (ret > 0)
            ret = change_apply(&c, &f->path, flags & LX_AT_RECURSIVE);
        if (ret < 0) {
            file_put(f);
            return ret;
        }
    }
    return install(t, f, flags & LX_OPEN_TREE_CLOEXEC);
}
