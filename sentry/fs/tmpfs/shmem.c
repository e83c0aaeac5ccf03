/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the hidden tmpfs: memfd_create(2) and shared memory; seals. */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <errno.h>
#include <stdlib.h>

static struct super *g_shmem_super;

int shmem_init(void)
{
    struct tmpfs_options opt = {.mode = 0700};

    return tmpfs_create(&opt, &g_shmem_super);
}

int shmem_file_new(const char *name, uint64_t size, uint32_t flags, struct file **out)
{
    struct tmpfs_inode *ti;
    struct file *f;
    uint32_t mode = (flags & LX_MFD_NOEXEC_SEAL) ? 0666u : 0777u;
    int ret = tmpfs_inode_new(g_shmem_super, NULL, LX_S_IFREG | mode, 0, &ti);

    if (ret < 0)
        return ret;
    ti->inode.attr.nlink = 0;
    ti->inode.attr.size = size;
    ti->shmem = true;
    if (flags & (LX_MFD_ALLOW_SEALING | LX_MFD_NOEXEC_SEAL))
        ti->seals = (flags & LX_MFD_NOEXEC_SEAL) ? LX_F_SEAL_EXEC : 0;
    f = malloc(sizeof(*f));
    if (!f) {
        inode_put(&ti->inode);
        return -ENOMEM;
    }
    file_init(f, &tmpfs_file_ops, LX_O_RDWR | LX_O_LARGEFILE);
    f->kind = FILE_SEEKABLE; /* Linux: no writer, so it can be executed at once */
    ret = file_set_anon(f, name, 0, &ti->inode);
    if (ret < 0) {
        f->ops->release(f);
        return ret;
    }
    *out = f;
    return 0;
}

static struct tmpfs_inode *shmem_of(struct file *f)
{
    if (f->ops != &tmpfs_file_ops)
        return NULL;
    return tmpfs_inode_of(f->inode);
}

int shmem_add_seals(struct file *f, uint32_t seals)
{
    struct tmpfs_inode *ti = shmem_of(f);
    int ret = 0;

    if (!ti)
        return -EINVAL;
    if (!file_writable(f))
        return -EPERM;
    if (seals & ~LX_F_SEAL_ALL)
        return -EINVAL;
    mutex_lock(&ti->inode.lock);
    if (ti->seals & LX_F_SEAL_SEAL) {
        ret = -EPERM;
    } else if ((seals & LX_F_SEAL_WRITE) && !(ti->seals & LX_F_SEAL_WRITE) &&
               mappable_writable_mapped(&ti->inode.map)) {
        ret = -EBUSY;
    } else {
        /* An executable that may never change its mode must not change its bytes either. */
        if ((seals & LX_F_SEAL_EXEC) && (ti->inode.attr.mode & 0111u))
            seals |= LX_F_SEAL_SHRINK | LX_F_SEAL_GROW | LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE;
        ti->seals |= seals;
    }
    mutex_unlock(&ti->inode.lock);
    return ret;
}

int shmem_get_seals(struct file *f)
{
    struct tmpfs_inode *ti = shmem_of(f);

    return ti ? (int)ti->seals : -EINVAL;
}

int shmem_check_mmap(struct file *f, bool shared, bool writable, bool *no_write)
{
    struct tmpfs_inode *ti = shmem_of(f);

    *no_write = false;
    if (!ti || !shared)
        return 0;
    if (ti->seals & (LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE)) {
        if (writable)
            return -EPERM;
        *no_write = true;
    }
    return 0;
}
