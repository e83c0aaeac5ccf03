/* SPDX-License-Identifier: Apache-2.0 */
/* cachestat(2); inode flags by ioctl(2), file_getattr(2) and file_setattr(2). */
#include <errno.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* ---- cachestat ------------------------------------------------------------------------------ */

struct lx_cachestat_range {
    uint64_t off, len;
};
struct lx_cachestat {
    uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

/* Linux shows the cache of a file only to who could write it. */
static bool may_cachestat(struct file *f)
{
    return file_writable(f) || inode_owner_or_capable(f->inode) ||
           inode_permission(f->inode, MAY_WRITE) == 0;
}

/* Pages of [first, last] that hold data. What the file has is in memory: ours, or the host's. */
static uint64_t pages_present(struct file *f, uint64_t first, uint64_t last)
{
    uint64_t end = (f->inode->attr.size + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE, count = 0;

    if (!LX_S_ISREG(f->inode->attr.mode) || !f->ops->seek)
        return 0;
    last = last < end ? last + 1 : end;
    while (first < last) {
        lx_loff_t data = f->ops->seek(f, (lx_loff_t)(first * LX_PAGE_SIZE), LX_SEEK_DATA);
        lx_loff_t hole = data < 0 ? data : f->ops->seek(f, data, LX_SEEK_HOLE);
        uint64_t from, to;

        if (hole < 0)
            break;
        from = (uint64_t)data / LX_PAGE_SIZE;
        to = ((uint64_t)hole + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE;
        if (to <= first)
            break;
        if (from < last)
            count += MIN(to, last) - MAX(from, first);
        first = to;
    }
    return count;
}

long sys_cachestat(struct task *t, int fd, uaddr_t cstat_range, uaddr_t cstat, uint32_t flags)
{
    struct lx_cachestat_range r;
    struct lx_cachestat cs = {0};
    struct fd_borrow b;
    uint64_t last;
    long ret = fdtable_borrow(fd, &b);

    (void)t;
    if (ret < 0)
        return ret;
    if (get_user(&r, cstat_range) < 0)
        ret = -EFAULT;
    else if (!may_cachestat(b.file))
        ret = -EPERM;
    else if (flags)
        ret = -EINVAL;
    if (ret == 0) {
        last = r.len ? (r.off + r.len - 1) / LX_PAGE_SIZE : UINT64_MAX;
        cs.cache = pages_present(b.file, r.off / LX_PAGE_SIZE, last);
        ret = put_user(&cs, cstat);
    }
    fd_borrow_put(&b);
    return ret;
}

/* ---- file_getattr, file_setattr ------------------------------------------------------------- */

#define FILE_ATTR_SIZE_VER0 24u

struct lx_file_attr {
    uint64_t xflags;
    uint32_t extsize, nextents, projid, cowextsize;
};
static_assert(sizeof(struct lx_file_attr) == FILE_ATTR_SIZE_VER0, "struct file_attr");

static int attr_target(int dfd, uaddr_t filename, uint32_t at_flags, struct path *out)
{
    bool empty_ok = at_flags & LX_AT_EMPTY_PATH;

    if (empty_ok && !filename) {
        struct file *f;
        int ret = fdtable_lookup_any_get(curr()->files, dfd, &f);

        if (ret < 0)
            return ret;
        *out = f->path;
        path_get(out);
        file_put(f);
        return 0;
    }
    return path_from_user(dfd, filename, !(at_flags & LX_AT_SYMLINK_NOFOLLOW), empty_ok, out);
}

static int attr_args(size_t usize, uint32_t at_flags)
{
    if (at_flags & ~(uint32_t)(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    if (usize > LX_PAGE_SIZE)
        return -E2BIG;
    return usize < FILE_ATTR_SIZE_VER0 ? -EINVAL : 0;
}

/* Linux: the calls say otherwise than the ioctl that a file system keeps none. */
static int attr_error(int ret)
{
    return ret == -ENOTTY ? -EOPNOTSUPP : ret;
}

long sys_file_getattr(struct task *t, int dfd, uaddr_t filename, uaddr_t ufattr, size_t usize,
                      uint32_t at_flags)
{
    static const uint8_t zeros[LX_PAGE_SIZE];
    struct lx_file_attr attr = {0};
    struct fs_fileattr fa;
    struct path p;
    int ret = attr_args(usize, at_flags);

    if (ret == 0)
        ret = attr_target(dfd, filename, at_flags, &p);
    if (ret < 0)
        return ret;
    ret = vfs_fileattr_get(&p, &fa);
    path_put(&p);
    if (ret < 0)
        return attr_error(ret);
    attr.xflags = fa.xflags;
    ret = put_user(&attr, ufattr);
    /* A caller that knows more fields gets zeros for them. */
    return ret < 0 ? ret : copy_out(ufattr + sizeof(attr), zeros, usize - sizeof(attr));
}

long sys_file_setattr(struct task *t, int dfd, uaddr_t filename, uaddr_t ufattr, size_t usize,
                      uint32_t at_flags)
{
    struct lx_file_attr attr;
    struct fs_fileattr fa;
    struct path p;
    int ret = attr_args(usize, at_flags);

    if (ret == 0)
        ret = copy_struct_from_user(&attr, sizeof(attr), ufattr, usize);
    if (ret == 0 && (attr.xflags & ~(uint64_t)LX_FS_XFLAG_VALUES))
        ret = -EINVAL;
    if (ret == 0)
        ret = attr_target(dfd, filename, at_flags, &p);
    if (ret < 0)
        return ret;
    fa = (struct fs_fileattr){.by_xflags = true,
                              .xflags = (uint32_t)attr.xflags,
                              .extsize = attr.extsize,
                              .projid = attr.projid,
                              .cowextsize = attr.cowextsize};
    ret = vfs_fileattr_set(&p, &fa);
    path_put(&p);
    return attr_error(ret);
}

/* ---- the same by ioctl ------------------------------------------------------------------------ */

static long ioctl_get(struct file *f, bool by_xflags, uaddr_t arg)
{
    struct lx_fsxattr x = {0};
    struct fs_fileattr fa;
    int ret = vfs_fileattr_get(&f->path, &fa);

    if (ret < 0)
        return ret;
    if (!by_xflags)
        return put_user(&fa.flags, arg);
    x.xflags = fa.xflags;
    return put_user(&x, arg);
}

static long ioctl_set(struct file *f, bool by_xflags, uaddr_t arg)
{
    struct fs_fileattr fa = {.by_xflags = by_xflags};
    struct lx_fsxattr x;

    if (!by_xflags) {
        if (get_user(&fa.flags, arg) < 0)
            return -EFAULT;
        return vfs_fileattr_set(&f->path, &fa);
    }
    if (get_user(&x, arg) < 0)
        return -EFAULT;
    if (x.xflags & ~LX_FS_XFLAG_VALUES)
        return -EOPNOTSUPP;
    fa.xflags = x.xflags;
    fa.extsize = x.extsize;
    fa.projid = x.projid;
    fa.cowextsize = x.cowextsize;
    return vfs_fileattr_set(&f->path, &fa);
}

long ioctl_fileattr(struct file *f, uint32_t cmd, uaddr_t arg)
{
    const bool by_xflags = cmd == LX_FS_IOC_FSGETXATTR || cmd == LX_FS_IOC_FSSETXATTR;

    /* Without a file system's flags the command is the file's own, if anybody's. */
    if (!f->inode->ops->set_fsflags)
        return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
    if (cmd == LX_FS_IOC_GETFLAGS || cmd == LX_FS_IOC_FSGETXATTR)
        return ioctl_get(f, by_xflags, arg);
    return ioctl_set(f, by_xflags, arg);
}
