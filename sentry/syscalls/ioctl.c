/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl: what every file knows, then the file's own op. */
#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/landlock.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/fasync.h"
#include "sentry/fs/security.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

static long ioctl_set_flag(struct file *f, int fd, uint32_t flag, uaddr_t arg)
{
    int on;

    if (get_user(&on, arg) < 0)
        return -EFAULT;
    if (on && flag == LX_O_ASYNC) {
        int ret = file_set_async_fd(f, fd);

        if (ret < 0)
            return ret;
    }
    if (f->ops->set_flags) {
        uint32_t flags = atomic_load(&f->flags);
        int ret = f->ops->set_flags(f, on ? flags | flag : flags & ~flag);

        if (ret < 0)
            return ret;
    }
    if (on)
        atomic_fetch_or(&f->flags, flag);
    else
        atomic_fetch_and(&f->flags, ~flag);
    return 0;
}

static long ioctl_quad_size(struct file *f, uaddr_t arg)
{
    uint32_t mode = f->inode->attr.mode;
    int64_t size;

    if (!LX_S_ISREG(mode) && !LX_S_ISDIR(mode) && !LX_S_ISLNK(mode))
        return -ENOTTY;
    size = (int64_t)f->inode->attr.size;
    return put_user(&size, arg);
}

static long ioctl_bytes_left(struct file *f, uaddr_t arg)
{
    int left = (int)((int64_t)f->inode->attr.size - f->pos);

    return put_user(&left, arg);
}

static long ioctl_block_size(struct file *f, uaddr_t arg)
{
    int size = (int)f->inode->attr.blksize;

    return size == 0 ? -EINVAL : put_user(&size, arg);
}

long sys_ioctl(struct task *t, int fd, uint32_t request, uint64_t arg)
{
    struct file *f;
    long ret = fdtable_lookup_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    switch (request) {
    case LX_FIOCLEX:
    case LX_FIONCLEX:
        ret = fdtable_set_cloexec(t->curr.files, fd, request == LX_FIOCLEX);
        break;
    case LX_FIONBIO:
        ret = ioctl_set_flag(f, fd, LX_O_NONBLOCK, arg);
        break;
    case LX_FIOASYNC:
        ret = ioctl_set_flag(f, fd, LX_O_ASYNC, arg);
        break;
    case LX_FIOQSIZE:
        ret = ioctl_quad_size(f, arg);
        break;
    case LX_FIGETBSZ:
        ret = ioctl_block_size(f, arg);
        break;
    case LX_FICLONE:
    case LX_FICLONERANGE:
    case LX_FIDEDUPERANGE:
    case LX_FS_IOC_FIEMAP:
        ret = -EOPNOTSUPP;
        break;
    case LX_FS_IOC_GETFLAGS:
    case LX_FS_IOC_SETFLAGS:
    case LX_FS_IOC_FSGETXATTR:
    case LX_FS_IOC_FSSETXATTR:
        ret = ioctl_fileattr(f, request, arg);
        break;
    default:
        ret = security_file(f, LX_LL_FS_IOCTL_DEV);
        if (ret < 0)
            break;
        ret = -ENOTTY;
        if (request == LX_FIONREAD && LX_S_ISREG(f->inode->attr.mode))
            ret = ioctl_bytes_left(f, arg);
        else if (f->ops->ioctl)
            ret = f->ops->ioctl(f, request, arg);
        break;
    }
    file_put(f);
    return ret;
}
