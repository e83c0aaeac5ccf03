/* SPDX-License-Identifier: Apache-2.0 */
/* open family, close, memfd_create. */
#include <errno.h>
#include <string.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* build_open_flags of Linux: flags were masked or refused by the caller. */
static int build_how(uint32_t flags, uint32_t mode, uint32_t walk, struct open_how *out)
{
    if (flags & (LX_O_CREAT | LX___O_TMPFILE))
        mode &= LX_S_IALLUGO;
    else
        mode = 0;
    if (flags & LX___O_SYNC)
        flags |= LX_O_DSYNC;
    if (flags & LX___O_TMPFILE) {
        if ((flags & (LX_O_TMPFILE | LX_O_CREAT)) != LX_O_TMPFILE)
            return -EINVAL;
        if ((flags & LX_O_ACCMODE) == LX_O_RDONLY)
            return -EINVAL;
    }
    if (flags & LX_O_PATH)
        flags &= LX_O_PATH | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_CLOEXEC;
    else
        flags |= LX_O_LARGEFILE;
    *out = (struct open_how){.flags = flags, .mode = mode, .walk = walk};
    return 0;
}

/* Linux: name, then a descriptor, then the walk: EFAULT, EMFILE, ENOENT come in this order. */
static long do_open(struct task *t, int dfd, uaddr_t pathname, struct open_how *how)
{
    bool cloexec = how->flags & LX_O_CLOEXEC;
    struct fdtable *files = t->curr.files;
    struct path_arg name;
    struct file *f;
    int fd, ret = path_arg_init(&name, pathname, /*empty_ok=*/false);

    if (ret < 0)
        return ret;
    fd = fdtable_reserve(files, 0, cloexec);
    if (fd >= 0) {
        how->flags &= ~LX_O_CLOEXEC;
        ret = vfs_open(dfd, name.s, how, &f);
        if (ret < 0) {
            fdtable_cancel(files, fd);
            fd = ret;
        } else {
            fdtable_publish_take(files, fd, f);
        }
    }
    path_arg_free(&name);
    return fd;
}

long sys_openat(struct task *t, int dfd, uaddr_t pathname, int flags, uint32_t mode)
{
    struct open_how how;
    int ret = build_how((uint32_t)flags & LX_O_VALID, mode, 0, &how);

    return ret < 0 ? ret : do_open(t, dfd, pathname, &how);
}

long sys_open(struct task *t, uaddr_t pathname, int flags, uint32_t mode)
{
    return sys_openat(t, LX_AT_FDCWD, pathname, flags, mode);
}

long sys_creat(struct task *t, uaddr_t pathname, uint32_t mode)
{
    return sys_openat(t, LX_AT_FDCWD, pathname, LX_O_CREAT | LX_O_WRONLY | LX_O_TRUNC, mode);
}

long sys_openat2(struct task *t, int dfd, uaddr_t filename, uaddr_t uhow, size_t usize)
{
    static const struct {
        uint32_t resolve, walk;
    } map[] = {{LX_RESOLVE_NO_XDEV, WALK_NO_XDEV},
               {LX_RESOLVE_NO_MAGICLINKS, WALK_NO_MAGIC},
               {LX_RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS | WALK_NO_MAGIC},
               {LX_RESOLVE_BENEATH, WALK_BENEATH},
               {LX_RESOLVE_IN_ROOT, WALK_IN_ROOT},
               {LX_RESOLVE_CACHED, WALK_CACHED}};
    struct lx_open_how raw;
    struct open_how how;
    uint32_t walk = 0, known = 0;
    size_t i;
    int ret;

    if (usize < sizeof(raw))
        return -EINVAL;
    if (usize > LX_PAGE_SIZE)
        return -E2BIG;
    ret = copy_struct_from_user(&raw, sizeof(raw), uhow, usize);
    if (ret < 0)
        return ret;
    for (i = 0; i < ARRAY_COUNT(map); i++) {
        known |= map[i].resolve;
        if (raw.resolve & map[i].resolve)
            walk |= map[i].walk;
    }
    if ((raw.flags & ~(uint64_t)LX_O_VALID) || (raw.resolve & ~(uint64_t)known))
        return -EINVAL;
    if ((walk & WALK_BENEATH) && (walk & WALK_IN_ROOT))
        return -EINVAL;
    if (raw.flags & (LX_O_CREAT | LX___O_TMPFILE)) {
        if (raw.mode & ~(uint64_t)LX_S_IALLUGO)
            return -EINVAL;
    } else if (raw.mode) {
        return -EINVAL;
    }
    if ((raw.flags & LX_O_PATH) &&
        (raw.flags & ~(uint64_t)(LX_O_PATH | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_CLOEXEC)))
        return -EINVAL;
    if ((walk & WALK_CACHED) && (raw.flags & (LX_O_TRUNC | LX_O_CREAT | LX___O_TMPFILE)))
        return -EAGAIN;
    ret = build_how((uint32_t)raw.flags, (uint32_t)raw.mode, walk, &how);
    return ret < 0 ? ret : do_open(t, dfd, filename, &how);
}

long sys_close(struct task *t, int fd)
{
    return fdtable_close(t->curr.files, fd);
}

long sys_close_range(struct task *t, uint32_t fd, uint32_t max_fd, uint32_t flags)
{
    struct fdtable *files = t->curr.files, *mine;

    if (flags & ~(LX_CLOSE_RANGE_UNSHARE | LX_CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    if (fd > max_fd)
        return -EINVAL;
    if ((flags & LX_CLOSE_RANGE_UNSHARE) && fdtable_shared(files)) {
        int ret = fdtable_copy(files, INT32_MAX, &mine);

        if (ret < 0)
            return ret;
        mutex_lock(&t->lock);
        t->curr.files = mine;
        mutex_unlock(&t->lock);
        fdtable_put(files);
        files = mine;
    }
    return fdtable_close_range(files, fd, max_fd, flags & LX_CLOSE_RANGE_CLOEXEC);
}

#define MEMFD_PREFIX   "/memfd:"
#define MEMFD_NAME_MAX (LX_NAME_MAX - 6)

long sys_memfd_create(struct task *t, uaddr_t uname, uint32_t flags)
{
    char name[sizeof(MEMFD_PREFIX) + LX_NAME_MAX + sizeof(" (deleted)")] = MEMFD_PREFIX;
    struct file *f;
    ssize_t len;
    int fd, ret;

    if (flags & LX_MFD_HUGETLB)
        return -ENOSYS; /* as without CONFIG_HUGETLBFS; 0 huge pages are configured */
    if (flags & ~(LX_MFD_CLOEXEC | LX_MFD_ALLOW_SEALING | LX_MFD_NOEXEC_SEAL | LX_MFD_EXEC))
        return -EINVAL;
    if ((flags & LX_MFD_EXEC) && (flags & LX_MFD_NOEXEC_SEAL))
        return -EINVAL;
    len = copy_in_str(name + sizeof(MEMFD_PREFIX) - 1, uname, MEMFD_NAME_MAX + 1);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    strcat(name, " (deleted)");
    ret = shmem_file_new(name, 0, flags, &f);
    if (ret < 0)
        return ret;
    fd = fdtable_install_take(t->curr.files, f, 0, flags & LX_MFD_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}
