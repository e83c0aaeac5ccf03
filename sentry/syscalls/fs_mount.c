/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2), umount2(2), pivot_root(2). */
#include "sentry/fs/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/mount.h"
#include "sentry/fs/security.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* MS_* of mount(2) to the flags that a mount keeps. */
static uint32_t mount_flags_of(uint64_t ms)
{
    static const struct {
        uint32_t ms, flag;
    } map[] = {{LX_MS_RDONLY, MOUNT_READONLY},
               {LX_MS_NOSUID, MOUNT_NOSUID},
               {LX_MS_NODEV, MOUNT_NODEV},
               {LX_MS_NOEXEC, MOUNT_NOEXEC},
               {LX_MS_NOATIME, MOUNT_NOATIME},
               {LX_MS_NODIRATIME, MOUNT_NODIRATIME},
               {LX_MS_NOSYMFOLLOW, MOUNT_NOSYMFOLLOW}};
    uint32_t flags = 0;
    size_t i;

    for (i = 0; i < ARRAY_COUNT(map); i++) {
        if (ms & map[i].ms)
            flags |= map[i].flag;
    }
    /* relatime is the default unless another rule is asked for. */
    if (!(ms & (LX_MS_NOATIME | LX_MS_STRICTATIME)))
        flags |= MOUNT_RELATIME;
    return flags;
}

/* Up to a page of options: a string, cut at the fault or the page's end. */
static int options_in(uaddr_t data, char **out)
{
    size_t n;

    *out = NULL;
    if (!data)
        return 0;
    *out = calloc(1, LX_PAGE_SIZE);
    if (!*out)
        return -ENOMEM;
    n = copy_in_partial(*out, data, LX_PAGE_SIZE - 1);
    if (n == 0) {
        free(*out);
        *out = NULL;
        return -EFAULT;
    }
    return 0;
}

/* NULL stays NULL. */
static int string_in(uaddr_t src, char **out)
{
    *out = NULL;
    if (!src)
        return 0;
    return copy_in_path(src, /*empty_ok=*/true, out);
}

static long mount_new(const char *type_name, const char *source, const char *options, uint64_t ms,
                      const struct path *where)
{
    const struct fs_type *type;
    struct mount *m;
    int ret;

    if (!type_name)
        return -EINVAL;
    ret = fs_type_find(type_name, &type);
    if (ret < 0)
        return ret;
    ret = fs_type_new_mount(type, source, options, (ms & LX_MS_RDONLY) ? SUPER_READONLY : 0,
                            mount_flags_of(ms), &m);
    if (ret < 0)
        return ret;
    ret = mount_graft(m, where);
    if (ret < 0)
        mount_put(m);
    return ret;
}

static long mount_from_path(const char *source, const struct path *where, uint64_t ms)
{
    struct path from;
    long ret;

    if (!source || !*source)
        return -EINVAL;
    ret = vfs_walk(LX_AT_FDCWD, source, WALK_FOLLOW, &from);
    if (ret < 0)
        return ret;
    if (ms & LX_MS_BIND)
        ret = vfs_bind(&from, where, ms & LX_MS_REC);
    else
        ret = vfs_move_mount(&from, where);
    path_put(&from);
    return ret;
}

static long do_mount(const char *source, const struct path *where, const char *type, uint64_t ms,
                     const char *options)
{
    const uint64_t propagation = LX_MS_SHARED | LX_MS_PRIVATE | LX_MS_SLAVE | LX_MS_UNBINDABLE;

    if (!may_mount() || security_mount() < 0)
        return -EPERM;
    if ((ms & (LX_MS_REMOUNT | LX_MS_BIND)) == (LX_MS_REMOUNT | LX_MS_BIND))
        return vfs_remount_bind(where, mount_flags_of(ms));
    if (ms & LX_MS_REMOUNT)
        return vfs_remount_super(where, (ms & LX_MS_RDONLY) ? SUPER_READONLY : 0,
                                 mount_flags_of(ms), options);
    if (ms & LX_MS_BIND)
        return mount_from_path(source, where, ms);
    if (ms & propagation) {
        uint64_t kind = ms & propagation;

        if ((ms & ~(propagation | LX_MS_REC | LX_MS_SILENT)) || (kind & (kind - 1)))
            return -EINVAL;
        return vfs_set_propagation(where, (uint32_t)kind, ms & LX_MS_REC);
    }
    if (ms & LX_MS_MOVE)
        return mount_from_path(source, where, ms);
    return mount_new(type, source, options, ms, where);
}

long sys_mount(struct task *t, uaddr_t dev_name, uaddr_t dir_name, uaddr_t type, uint64_t flags,
               uaddr_t data)
{
    char *type_str = NULL, *dev = NULL, *options = NULL;
    struct path where;
    long ret;

    ret = string_in(type, &type_str);
    if (ret == 0)
        ret = string_in(dev_name, &dev);
    if (ret == 0)
        ret = options_in(data, &options);
    if (ret < 0)
        goto out;
    ret = path_from_user(LX_AT_FDCWD, dir_name, /*follow=*/true, false, &where);
    if (ret < 0)
        goto out;
    if ((flags & LX_MS_MGC_MSK) == LX_MS_MGC_VAL)
        flags &= ~(uint64_t)LX_MS_MGC_MSK;
    ret = (flags & LX_MS_NOUSER) ? -EINVAL : do_mount(dev, &where, type_str, flags, options);
    path_put(&where);
out:
    free(type_str);
    free(dev);
    free(options);
    return ret;
}

long sys_umount2(struct task *t, uaddr_t name, int flags)
{
    struct path p;
    long ret;

    if ((uint32_t)flags & ~(LX_MNT_FORCE | LX_MNT_DETACH | LX_MNT_EXPIRE | LX_UMOUNT_NOFOLLOW))
        return -EINVAL;
    ret = path_from_user(LX_AT_FDCWD, name, !((uint32_t)flags & LX_UMOUNT_NOFOLLOW), false, &p);
    if (ret < 0)
        return ret;
    ret = may_mount() ? security_mount() : 0;
    if (ret == 0)
        ret = vfs_umount(&p, (uint32_t)flags);
    path_put(&p);
    return ret;
}

long sys_pivot_root(struct task *t, uaddr_t new_root, uaddr_t put_old)
{
    struct path_arg new_name, old_name;
    struct path n, o;
    long ret;

    if (!may_mount())
        return -EPERM;
    ret = path_arg_init(&new_name, new_root, /*empty_ok=*/false);
    if (ret < 0)
        return ret;
    ret = vfs_walk(LX_AT_FDCWD, new_name.s, WALK_FOLLOW | WALK_DIRECTORY, &n);
    path_arg_free(&new_name);
    if (ret < 0)
        return ret;
    ret = path_arg_init(&old_name, put_old, /*empty_ok=*/false);
    if (ret == 0) {
        ret = vfs_walk(LX_AT_FDCWD, old_name.s, WALK_FOLLOW | WALK_DIRECTORY, &o);
        path_arg_free(&old_name);
        if (ret == 0) {
            ret = security_mount();
            if (ret == 0)
                ret = vfs_pivot_root(&n, &o);
            path_put(&o);
        }
    }
    path_put(&n);
    return ret;
}
