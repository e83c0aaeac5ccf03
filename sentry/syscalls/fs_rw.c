/* SPDX-License-Identifier: Apache-2.0 */
/* read and write in all their forms, lseek, sync and space calls. */
#include <errno.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"
#include "sentry/syscalls/fs_rw.h"

/* Linux checks the whole range that was named before it cuts it to MAX_RW_COUNT. */
static int buffer_init(struct iov_iter *it, uaddr_t buf, size_t count)
{
    if (count > LX_TASK_SIZE || buf > LX_TASK_SIZE - count)
        return -EFAULT;
    return iov_iter_init_user(it, buf, count);
}

long sys_read(struct task *t, int fd, uaddr_t buf, size_t count)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = -EBADF;
    if (file_readable(b.file)) {
        ret = buffer_init(&it, buf, count);
        if (ret == 0)
            ret = file_read(b.file, &it);
    }
    fd_borrow_put(&b);
    return ret;
}

long sys_write(struct task *t, int fd, uaddr_t buf, size_t count)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = -EBADF;
    if (file_writable(b.file)) {
        ret = buffer_init(&it, buf, count);
        if (ret == 0)
            ret = file_write(b.file, &it);
    }
    fd_borrow_put(&b);
    return ret;
}

/* Linux: negative offset, bad descriptor, no positions, wrong mode, bad buffer: in this order. */
long sys_pread64(struct task *t, int fd, uaddr_t buf, size_t count, lx_loff_t pos)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret;

    if (pos < 0)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    if (b.file->kind & FILE_STREAM) {
        ret = -ESPIPE;
    } else if (!file_readable(b.file)) {
        ret = -EBADF;
    } else {
        ret = buffer_init(&it, buf, count);
        if (ret == 0)
            ret = file_read_at(b.file, &it, &pos);
    }
    fd_borrow_put(&b);
    return ret;
}

long sys_pwrite64(struct task *t, int fd, uaddr_t buf, size_t count, lx_loff_t pos)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret;

    if (pos < 0)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    if (b.file->kind & FILE_STREAM) {
        ret = -ESPIPE;
    } else if (!file_writable(b.file)) {
        ret = -EBADF;
    } else {
        ret = buffer_init(&it, buf, count);
        if (ret == 0)
            ret = file_write_at(b.file, &it, &pos);
    }
    fd_borrow_put(&b);
    return ret;
}

static long rw_plain(struct file *f, struct iov_iter *it, lx_loff_t *pos, bool write)
{
    if (pos)
        return write ? file_write_at(f, it, pos) : file_read_at(f, it, pos);
    return write ? file_write(f, it) : file_read(f, it);
}

long fs_rw_iter(struct file *f, struct iov_iter *it, lx_loff_t *pos, int flags, bool write)
{
    const bool nowait = g_curr->nowait, seekable = f->kind & FILE_SEEKABLE;
    long ret;

    /* Linux: nothing to transfer beats flags that are not known. */
    if (!iov_iter_count(it))
        flags = 0;
    if (flags & ~LX_RWF_SUPPORTED)
        return -EOPNOTSUPP;
    if ((flags & LX_RWF_APPEND) && (flags & LX_RWF_NOAPPEND))
        return -EINVAL;
    /* A regular file does not sleep in our sense. */
    g_curr->nowait = nowait || ((flags & LX_RWF_NOWAIT) && !seekable);
    if (write && (flags & (LX_RWF_APPEND | LX_RWF_NOAPPEND)))
        g_curr->append = flags & LX_RWF_APPEND ? APPEND_ALWAYS : APPEND_NEVER;
    ret = rw_plain(f, it, pos, write);
    g_curr->nowait = nowait;
    g_curr->append = APPEND_AS_OPENED;
    if (write && ret > 0 && (flags & (LX_RWF_DSYNC | LX_RWF_SYNC)) && f->ops->fsync) {
        int err = f->ops->fsync(f, !(flags & LX_RWF_SYNC));

        if (err < 0)
            return err;
    }
    return ret;
}

long fs_rw_buffer(int fd, uaddr_t buf, size_t len, lx_loff_t *pos, int flags, bool write)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret;

    if (pos && *pos < 0)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    ret = -EBADF;
    if (write ? file_writable(b.file) : file_readable(b.file))
        ret = buffer_init(&it, buf, len);
    if (ret == 0)
        ret = fs_rw_iter(b.file, &it, pos, flags, write);
    fd_borrow_put(&b);
    return ret;
}

long fs_rw_vector(int fd, uaddr_t vec, uint64_t vlen, lx_loff_t *pos, int flags, bool write)
{
    struct fd_borrow b;
    struct iov_iter it;
    long ret;

    if (pos && *pos < 0)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    if (pos && (b.file->kind & FILE_STREAM)) {
        ret = -ESPIPE;
        goto out;
    }
    if (write ? !file_writable(b.file) : !file_readable(b.file)) {
        ret = -EBADF;
        goto out;
    }
    ret = iov_iter_init_iovec(&it, vec, vlen);
    if (ret == 0) {
        ret = fs_rw_iter(b.file, &it, pos, flags, write);
        iov_iter_destroy(&it);
    }
out:
    fd_borrow_put(&b);
    return ret;
}

long sys_readv(struct task *t, int fd, uaddr_t vec, uint64_t vlen)
{
    return fs_rw_vector(fd, vec, vlen, NULL, 0, /*write=*/false);
}

long sys_writev(struct task *t, int fd, uaddr_t vec, uint64_t vlen)
{
    return fs_rw_vector(fd, vec, vlen, NULL, 0, /*write=*/true);
}

/* On 64-bit machines the high half of the position is ignored. */
long sys_preadv(struct task *t, int fd, uaddr_t vec, uint64_t vlen, uint64_t pos_l, uint64_t pos_h)
{
    lx_loff_t pos = (lx_loff_t)pos_l;

    return fs_rw_vector(fd, vec, vlen, &pos, 0, /*write=*/false);
}

long sys_pwritev(struct task *t, int fd, uaddr_t vec, uint64_t vlen, uint64_t pos_l, uint64_t pos_h)
{
    lx_loff_t pos = (lx_loff_t)pos_l;

    return fs_rw_vector(fd, vec, vlen, &pos, 0, /*write=*/true);
}

long sys_preadv2(struct task *t, int fd, uaddr_t vec, uint64_t vlen, uint64_t pos_l, uint64_t pos_h,
                 int flags)
{
    lx_loff_t pos = (lx_loff_t)pos_l;

    return fs_rw_vector(fd, vec, vlen, pos == -1 ? NULL : &pos, flags, /*write=*/false);
}

long sys_pwritev2(struct task *t, int fd, uaddr_t vec, uint64_t vlen, uint64_t pos_l,
                  uint64_t pos_h, int flags)
{
    lx_loff_t pos = (lx_loff_t)pos_l;

    return fs_rw_vector(fd, vec, vlen, pos == -1 ? NULL : &pos, flags, /*write=*/true);
}

long sys_lseek(struct task *t, int fd, lx_loff_t offset, uint32_t whence)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = whence > LX_SEEK_HOLE ? -EINVAL : vfs_lseek(b.file, offset, (int)whence);
    fd_borrow_put(&b);
    return ret;
}

static long fsync_fd(int fd, bool data_only)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = vfs_fsync(b.file, data_only);
    fd_borrow_put(&b);
    return ret;
}

long sys_fsync(struct task *t, int fd)
{
    return fsync_fd(fd, /*data_only=*/false);
}

long sys_fdatasync(struct task *t, int fd)
{
    return fsync_fd(fd, /*data_only=*/true);
}

long sys_syncfs(struct task *t, int fd)
{
    struct fd_borrow b;
    struct super *s;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    s = b.file->inode->super;
    ret = s->ops->sync ? s->ops->sync(s) : 0;
    fd_borrow_put(&b);
    return ret;
}

long sys_sync(struct task *t)
{
    vfs_sync_all(t->curr.mntns);
    return 0;
}

long sys_sync_file_range(struct task *t, int fd, lx_loff_t offset, lx_loff_t nbytes, uint32_t flags)
{
    struct fd_borrow b;
    uint32_t type;
    lx_loff_t end;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    type = inode_type(b.file->inode);
    if ((flags & ~7u) || offset < 0 || nbytes < 0 || add_overflows(offset, nbytes, &end))
        ret = -EINVAL;
    else if (type != LX_S_IFREG && type != LX_S_IFBLK && type != LX_S_IFDIR && type != LX_S_IFLNK)
        ret = -ESPIPE;
    else if (flags && b.file->ops->fsync)
        ret = vfs_fsync(b.file, /*data_only=*/true);
    fd_borrow_put(&b);
    return ret;
}

long sys_fallocate(struct task *t, int fd, int mode, lx_loff_t offset, lx_loff_t len)
{
    const int exclusive = LX_FALLOC_FL_PUNCH_HOLE | LX_FALLOC_FL_COLLAPSE_RANGE |
                          LX_FALLOC_FL_ZERO_RANGE | LX_FALLOC_FL_INSERT_RANGE |
                          LX_FALLOC_FL_UNSHARE_RANGE;
    struct fd_borrow b;
    lx_loff_t end;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = -EINVAL;
    if (offset < 0 || len <= 0)
        goto out;
    ret = -EOPNOTSUPP;
    if (mode & ~(exclusive | LX_FALLOC_FL_KEEP_SIZE))
        goto out;
    if (__builtin_popcount((unsigned)(mode & exclusive)) > 1)
        goto out;
    if ((mode & LX_FALLOC_FL_PUNCH_HOLE) && !(mode & LX_FALLOC_FL_KEEP_SIZE))
        goto out;
    ret = -EINVAL;
    if ((mode & (LX_FALLOC_FL_COLLAPSE_RANGE | LX_FALLOC_FL_INSERT_RANGE)) &&
        (mode & LX_FALLOC_FL_KEEP_SIZE))
        goto out;
    ret = -EBADF;
    if (!file_writable(b.file))
        goto out;
    switch (inode_type(b.file->inode)) {
    case LX_S_IFIFO:
        ret = -ESPIPE;
        goto out;
    case LX_S_IFDIR:
        ret = -EISDIR;
        goto out;
    case LX_S_IFREG:
    case LX_S_IFBLK:
        break;
    default:
        ret = -ENODEV;
        goto out;
    }
    ret = -EFBIG;
    if (add_overflows(offset, len, &end))
        goto out;
    ret = -EPERM;
    if (inode_is_immutable(b.file->inode) ||
        ((mode & ~LX_FALLOC_FL_KEEP_SIZE) && inode_is_append(b.file->inode)))
        goto out;
    ret = b.file->ops->fallocate ? b.file->ops->fallocate(b.file, mode, offset, len) : -EOPNOTSUPP;
    if (ret == 0)
        fs_notify_file(b.file, 0x2 /* IN_MODIFY */);
out:
    fd_borrow_put(&b);
    return ret;
}

#define POSIX_FADV_LAST 5 /* NOREUSE */

long sys_fadvise64(struct task *t, int fd, lx_loff_t offset, size_t len, int advice)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    if (inode_type(b.file->inode) == LX_S_IFIFO)
        ret = -ESPIPE;
    else if ((lx_loff_t)len < 0 || advice < 0 || advice > POSIX_FADV_LAST)
        ret = -EINVAL;
    fd_borrow_put(&b);
    return ret;
}

long sys_readahead(struct task *t, int fd, lx_loff_t offset, size_t count)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    if (!file_readable(b.file))
        ret = -EBADF;
    else if (inode_type(b.file->inode) != LX_S_IFREG && inode_type(b.file->inode) != LX_S_IFBLK)
        ret = -EINVAL;
    fd_borrow_put(&b);
    return ret;
}
