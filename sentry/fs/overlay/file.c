/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files: a thin file over the real one. Its operations go straight to the layer's ops,
 * so an upper file costs one call more than a tmpfs file; mmap maps the real file's pages.
 *
 * A file opened read-only on a lower object is moved to the upper one at its next use after the
 * copy-up (Linux since 4.19); the lower file stays open until release, because others may be using
 * it.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/overlay/overlay_internal.h"

struct ovl_file {
    struct file file;
    _Atomic(struct file *) real; /* a, +1 */
    struct file *old;            /* +1: the lower file after the move; set once, with real */
};

static struct ovl_file *ovl_file(struct file *f)
{
    return container_of(f, struct ovl_file, file);
}

/* Flags of the real file: what its ops look at, nothing that the vfs did already. */
static uint32_t real_flags(uint32_t flags)
{
    return flags & ~(LX_O_CREAT | LX_O_EXCL | LX_O_TRUNC | LX_O_NOCTTY | LX_O_NOFOLLOW);
}

/* The file to use now. Borrowed: lives as long as f. */
static struct file *real_file(struct file *f)
{
    struct ovl_file *of = ovl_file(f);
    struct file *real = of->real, *fresh, *expected = real;
    struct dentry *upper = ovl_inode(f->inode)->upper;

    if (likely(!upper || real->inode == upper->inode))
        return real;
    if (ovl_open_real(upper, real_flags(f->flags), &fresh) < 0)
        return real; /* no memory: the old contents once more */
    if (atomic_compare_exchange_strong(&of->real, &expected, fresh)) {
        of->old = real;
        return fresh;
    }
    file_put(fresh);
    return expected;
}

static ssize_t ovl_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct file *real = real_file(f);

    return real->ops->read ? real->ops->read(real, dst, pos) : -EINVAL;
}

/* What the layer changed about the file shows in the overlay's attributes. */
static void size_changed(struct file *f, struct file *real)
{
    mutex_lock(&f->inode->lock);
    mutex_lock(&real->inode->lock);
    inode_touch(real->inode, /*atime=*/false, /*mtime=*/true, /*ctime=*/true);
    f->inode->attr.size = real->inode->attr.size;
    f->inode->attr.blocks = real->inode->attr.blocks;
    mutex_unlock(&real->inode->lock);
    mutex_unlock(&f->inode->lock);
}

static ssize_t ovl_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct file *real = real_file(f);
    ssize_t ret;

    if (!real->ops->write)
        return -EINVAL;
    atomic_store(&real->flags, real_flags(f->flags));
    ret = real->ops->write(real, src, pos);
    if (ret > 0)
        size_changed(f, real);
    return ret;
}

static lx_loff_t ovl_seek(struct file *f, lx_loff_t off, int whence)
{
    struct file *real = real_file(f);
    lx_loff_t ret;

    if (whence == LX_SEEK_DATA || whence == LX_SEEK_HOLE) {
        if (!real->ops->seek)
            return -EINVAL;
        ret = real->ops->seek(real, off, whence);
        if (ret >= 0)
            f->pos = ret;
        return ret;
    }
    return file_seek_generic(f, off, whence);
}

static struct mappable *ovl_mappable(struct file *f)
{
    struct file *real = real_file(f);

    if (real->ops->mappable)
        return real->ops->mappable(real);
    return real->inode->map.ops ? &real->inode->map : NULL;
}

static int ovl_fsync(struct file *f, bool data_only)
{
    struct file *real = real_file(f);

    if (real->inode != (ovl_inode(f->inode)->upper ? ovl_real_inode(ovl_inode(f->inode)) : NULL))
        return 0; /* nothing of a lower layer was ever written */
    return real->ops->fsync ? real->ops->fsync(real, data_only) : 0;
}

static int ovl_fallocate(struct file *f, int mode, lx_loff_t off, lx_loff_t len)
{
    struct file *real = real_file(f);
    int ret;

    if (!real->ops->fallocate)
        return -EOPNOTSUPP;
    ret = real->ops->fallocate(real, mode, off, len);
    if (ret == 0)
        size_changed(f, real);
    return ret;
}

static long ovl_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct file *real = real_file(f);

    return real->ops->ioctl ? real->ops->ioctl(real, cmd, arg) : -ENOTTY;
}

static void ovl_release(struct file *f)
{
    struct ovl_file *of = ovl_file(f);
    struct file *real = of->real, *old = of->old;

    file_destroy_generic(f);
    free(of);
    file_put(real);
    if (old)
        file_put(old);
}

static const struct file_ops g_ovl_file_ops = {
    .read = ovl_read,
    .write = ovl_write,
    .seek = ovl_seek,
    .mappable = ovl_mappable,
    .fsync = ovl_fsync,
    .fallocate = ovl_fallocate,
    .ioctl = ovl_ioctl,
    .release = ovl_release,
};

int ovl_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    struct ovl_inode *oi = ovl_inode(inode);
    struct ovl_file *of;
    struct file *real;
    int ret = 0;

    (void)dentry;
    if (LX_S_ISDIR(inode->attr.mode))
        return ovl_open_dir(inode, flags, out);
    if (!LX_S_ISREG(inode->attr.mode))
        return -ENXIO;
    if ((flags & LX_O_ACCMODE) != LX_O_RDONLY || (flags & LX_O_TRUNC))
        ret = ovl_copy_up(oi, flags & LX_O_TRUNC ? 0 : OVL_ALL_DATA);
    if (ret < 0)
        return ret;
    of = calloc(1, sizeof(*of));
    if (!of)
        return -ENOMEM;
    ret = ovl_open_real(ovl_real(oi), real_flags(flags), &real);
    if (ret < 0) {
        free(of);
        return ret;
    }
    atomic_init(&of->real, real);
    file_init(&of->file, &g_ovl_file_ops, flags);
    of->file.kind |= FILE_SEEKABLE;
    *out = &of->file;
    return 0;
}
