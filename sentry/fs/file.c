/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open file descriptions: life, position, read and write.
 *
 * The position lock is only taken when somebody else could use the description too (count > 1):
 * a description is shared by being counted. Files without a position (FILE_STREAM, or neither kind
 * bit) never take it, because their ops block.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/fs/inotify/dnotify.h"

void file_init(struct file *f, const struct file_ops *ops, uint32_t flags)
{
    refs_init(&f->refs);
    f->ops = ops;
    f->path = (struct path){NULL, NULL};
    f->inode = NULL;
    f->cred = cred_get(curr()->cred);
    atomic_init(&f->flags, flags & ~(LX_O_CREAT | LX_O_EXCL | LX_O_NOCTTY | LX_O_TRUNC));
    mutex_init(&f->pos_lock, RANK_FILE_POS);
    f->pos = 0;
    waitq_init(&f->own_wq);
    f->wq = &f->own_wq;
    list_init(&f->epoll_items);
    atomic_init(&f->epoll_seen, false);
    atomic_init(&f->fasync, NULL);
    f->kind = 0;
    f->refused = 0;
}

void file_destroy_generic(struct file *f)
{
    path_put(&f->path);
    if (f->inode)
        inode_put(f->inode);
    /* SAFETY: cred_put takes a mutable pointer only to count. */
    cred_put((struct cred *)(uintptr_t)f->cred);
    waitq_destroy(&f->own_wq);
    mutex_destroy(&f->pos_lock);
}

struct file *file_get(struct file *f)
{
    refs_get(&f->refs);
    return f;
}

void file_put(struct file *f)
{
    struct inode *inode;

    if (!refs_put(&f->refs))
        return;
    if (atomic_load(&f->epoll_seen))
        epoll_file_release(f);
    if (unlikely(dnotify_in_use()))
        dnotify_release(f);
    inode = f->inode;
    if (inode && !(f->kind & FILE_PATH)) {
        /* The last reference is gone, but watchers look at the file: count 1 again until release.
         */
        refs_init(&f->refs);
        fs_notify_file(f, file_writable(f) ? LX_IN_CLOSE_WRITE : LX_IN_CLOSE_NOWRITE);
        if (inode->flocks)
            flock_release_file(f);
        if (f->kind & FILE_WRITER)
            atomic_fetch_sub(&inode->write_count, 1);
        if (f->kind & FILE_DENY_WRITE)
            atomic_fetch_add(&inode->write_count, 1);
    }
    fasync_free(f);
    f->ops->release(f);
    dcache_reap();
}

static bool time_before_eq(const struct fs_time *a, const struct fs_time *b)
{
    return a->sec != b->sec ? a->sec < b->sec : a->nsec <= b->nsec;
}

/* relatime: a read shows when the file changed since the last one, or once a day. */
static bool atime_wanted(const struct inode *i, uint32_t flags, const struct fs_time *now)
{
    if (!(flags & MOUNT_RELATIME))
        return true;
    return time_before_eq(&i->attr.atime, &i->attr.mtime) ||
           time_before_eq(&i->attr.atime, &i->attr.ctime) ||
           now->sec - i->attr.atime.sec >= 24 * 3600;
}

void file_accessed(struct file *f)
{
    struct inode *i = f->inode;
    uint32_t flags;
    struct fs_time now;

    if (!f->path.mnt) /* a layer's file, opened by an overlay */
        return;
    flags = f->path.mnt->flags;
    if ((f->flags & LX_O_NOATIME) || (i->flags & INODE_NO_ATIME) ||
        (i->fsflags & LX_FS_NOATIME_FL) || (flags & MOUNT_NOATIME) ||
        mount_is_readonly(f->path.mnt))
        return;
    if ((flags & MOUNT_NODIRATIME) && inode_type(i) == LX_S_IFDIR)
        return;
    now = fs_time_now();
    inode_times_lock(i);
    if (atime_wanted(i, flags, &now))
        i->attr.atime = now;
    inode_times_unlock(i);
}

static void after_read(struct file *f, ssize_t ret)
{
    struct io_counts *io = &curr()->io;

    io->syscr++;
    if (ret <= 0)
        return;
    io->rchar += (uint64_t)ret;
    if (f->kind & FILE_SEEKABLE)
        file_accessed(f);
    fs_notify_file(f, LX_IN_ACCESS);
}

/* A write by somebody without CAP_FSETID takes set-id bits away. */
static int file_remove_privs(struct file *f)
{
    struct inode *i = f->inode;
    uint32_t mode = i->attr.mode;
    struct fs_attr attr = {.mask = ATTR_KILL_SUID};

    if (likely(!(mode & (LX_S_ISUID | LX_S_ISGID))) || !LX_S_ISREG(mode))
        return 0;
    if (!(mode & LX_S_ISUID) && !(mode & LX_S_IXGRP))
        return 0;
    if (inode_capable(i, LX_CAP_FSETID))
        return 0;
    return inode_setattr(i, &attr);
}

static ssize_t after_write(struct file *f, ssize_t ret)
{
    struct io_counts *io = &curr()->io;

    io->syscw++;
    if (ret <= 0)
        return ret;
    io->wchar += (uint64_t)ret;
    if (f->kind & FILE_SEEKABLE) {
        inode_touch(f->inode, /*atime=*/false, /*mtime=*/true, /*ctime=*/true);
        if (unlikely(f->flags & LX_O_DSYNC) && f->ops->fsync) {
            int err = f->ops->fsync(f, !(f->flags & LX___O_SYNC));

            if (err < 0)
                ret = err;
        }
    }
    fs_notify_file(f, LX_IN_MODIFY);
    return ret;
}

/* NO_THREAD_SAFETY here and below: an unshared description needs no position lock. */
NO_THREAD_SAFETY ssize_t file_read(struct file *f, struct iov_iter *dst)
{
    lx_loff_t pos = -1; /* what files without a position of ours are given */
    bool shared;
    ssize_t ret;

    if (!file_readable(f))
        return -EBADF;
    if (!f->ops->read)
        return -EINVAL;
    if (!(f->kind & FILE_SEEKABLE)) {
        ret = f->ops->read(f, dst, &pos);
        after_read(f, ret);
        return ret;
    }
    shared = refs_read(&f->refs) > 1;
    if (shared)
        mutex_lock(&f->pos_lock);
    pos = f->pos;
    ret = f->ops->read(f, dst, &pos);
    if (ret >= 0)
        f->pos = pos;
    if (shared)
        mutex_unlock(&f->pos_lock);
    after_read(f, ret);
    return ret;
}

NO_THREAD_SAFETY ssize_t file_write(struct file *f, struct iov_iter *src)
{
    lx_loff_t pos = -1; /* what files without a position of ours are given */
    bool shared;
    ssize_t ret;

    if (!file_writable(f))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    if (!(f->kind & FILE_SEEKABLE))
        return after_write(f, f->ops->write(f, src, &pos));
    ret = file_remove_privs(f);
    if (ret < 0)
        return ret;
    shared = refs_read(&f->refs) > 1;
    if (shared)
        mutex_lock(&f->pos_lock);
    pos = f->pos;
    ret = f->ops->write(f, src, &pos);
    if (ret >= 0)
        f->pos = pos;
    if (shared)
        mutex_unlock(&f->pos_lock);
    return after_write(f, ret);
}

ssize_t file_read_at(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    ssize_t ret;

    if (f->kind & FILE_STREAM)
        return -ESPIPE;
    if (!file_readable(f))
        return -EBADF;
    if (!f->ops->read)
        return -EINVAL;
    ret = f->ops->read(f, dst, pos);
    after_read(f, ret);
    return ret;
}

ssize_t file_write_at(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    ssize_t ret;

    if (f->kind & FILE_STREAM)
        return -ESPIPE;
    if (!file_writable(f))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    ret = file_remove_privs(f);
    if (ret < 0)
        return ret;
    return after_write(f, f->ops->write(f, src, pos));
}

ssize_t file_read_kernel(struct file *f, void *buf, size_t size, lx_loff_t pos)
{
    struct iov_iter it;

    if (!f->ops->read)
        return -EINVAL;
    iov_iter_init_kernel(&it, buf, size);
    return f->ops->read(f, &it, &pos);
}

ssize_t file_write_kernel(struct file *f, const void *buf, size_t size, lx_loff_t pos)
{
    struct iov_iter it;

    if (!f->ops->write)
        return -EINVAL;
    /* SAFETY: a source iterator is only read from. */
    iov_iter_init_kernel(&it, (void *)(uintptr_t)buf, size);
    return after_write(f, f->ops->write(f, &it, &pos));
}

uint32_t file_poll(struct file *f)
{
    if (!f->ops->poll)
        return WAKE_IN | WAKE_OUT | WAKE_RDNORM | WAKE_WRNORM;
    return f->ops->poll(f);
}

lx_loff_t file_seek_nowhere(struct file *f, lx_loff_t off, int whence)
{
    return f->pos;
}

lx_loff_t file_seek_generic(struct file *f, lx_loff_t off, int whence)
{
    lx_loff_t size = (lx_loff_t)f->inode->attr.size, base = 0;

    switch (whence) {
    case LX_SEEK_SET:
        break;
    case LX_SEEK_CUR:
        base = f->pos;
        break;
    case LX_SEEK_END:
        base = size;
        break;
    case LX_SEEK_DATA:
        return off < 0 || off >= size ? -ENXIO : off;
    case LX_SEEK_HOLE:
        return off < 0 || off >= size ? -ENXIO : size;
    default:
        return -EINVAL;
    }
    if (add_overflows(base, off, &off))
        return -EOVERFLOW;
    return off < 0 ? -EINVAL : off;
}

lx_loff_t vfs_lseek(struct file *f, lx_loff_t off, int whence)
{
    lx_loff_t ret;

    if (whence < 0 || whence > LX_SEEK_HOLE)
        return -EINVAL;
    if (!f->ops->seek)
        return -ESPIPE;
    mutex_lock(&f->pos_lock);
    ret = f->ops->seek(f, off, whence);
    if (ret >= 0)
        f->pos = ret;
    mutex_unlock(&f->pos_lock);
    return ret;
}

ssize_t file_write_limit(struct file *f, lx_loff_t pos, size_t size)
{
    uint64_t limit;

    if (!LX_S_ISREG(f->inode->attr.mode))
        return (ssize_t)size;
    limit = g_curr_ops->rlimit(LX_RLIMIT_FSIZE);
    if (limit != LX_RLIM_INFINITY) {
        if ((uint64_t)pos >= limit) {
            g_curr_ops->raise_thread(SIGXFSZ);
            return -EFBIG;
        }
        if (size > limit - (uint64_t)pos)
            size = limit - (uint64_t)pos;
    }
    if (size > (uint64_t)INT64_MAX - (uint64_t)pos) {
        size = (uint64_t)INT64_MAX - (uint64_t)pos;
        if (size == 0)
            return -EFBIG;
    }
    return (ssize_t)size;
}

int vfs_readdir(struct file *f, struct dir_emit *d)
{
    int ret;

    if (!f->ops->readdir)
        return -ENOTDIR;
    mutex_lock(&f->pos_lock);
    mutex_lock(&f->inode->lock);
    if (dentry_unlinked(f->path.dentry))
        ret = -ENOENT;
    else
        ret = f->ops->readdir(f, d);
    mutex_unlock(&f->inode->lock);
    mutex_unlock(&f->pos_lock);
    file_accessed(f);
    fs_notify_file(f, LX_IN_ACCESS | LX_IN_ISDIR);
    return ret;
}

int vfs_fsync(struct file *f, bool data_only)
{
    return f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
}

void fs_notify_name(struct inode *dir, uint32_t mask, const struct walk_last *last)
{
    char name[LX_NAME_MAX + 1];

    if (!dir->watches || last->len > LX_NAME_MAX)
        return;
    memcpy(name, last->name, last->len);
    name[last->len] = '\0';
    fs_notify_dir(dir, mask, name, 0);
}

void fs_notify_dentry(struct dentry *d, uint32_t mask)
{
    struct inode *inode = d->inode, *dir = NULL;
    char name[LX_NAME_MAX + 1];

    if (!inode)
        return;
    if (LX_S_ISDIR(inode->attr.mode))
        mask |= LX_IN_ISDIR;
    mutex_lock(&g_dcache.lock);
    if (d->parent != d && d->parent->inode && d->parent->inode->watches) {
        dir = inode_get(d->parent->inode);
        memcpy(name, d->name, d->name_len + 1);
    }
    mutex_unlock(&g_dcache.lock);
    if (dir) {
        fs_notify_dir(dir, mask, name, 0);
        inode_put(dir);
    }
    if (inode->watches)
        fs_notify_dir(inode, mask, NULL, 0);
}
