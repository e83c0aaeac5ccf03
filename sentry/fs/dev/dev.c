/* SPDX-License-Identifier: Apache-2.0 */
/* The memory devices, and the table from device numbers to open functions. */
#include "sentry/fs/dev/dev.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/stat.h"
#include "sentry/core/random.h"
#include "sentry/core/restart.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/mm/uaccess.h"

enum { MAJOR_MEM = 1, MAJOR_TTY_AUX = 5, MAJOR_PTS_FIRST = 136, MAJOR_PTS_LAST = 143 };

static void mem_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

/* Linux: the position of these devices stays 0. */
static lx_loff_t mem_seek(struct file *f, lx_loff_t off, int whence)
{
    return 0;
}

static ssize_t null_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return 0;
}

static ssize_t null_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    size_t size = iov_iter_count(src);

    iov_iter_advance(src, size);
    return (ssize_t)size;
}

static ssize_t zero_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    size_t done = 0;

    while (iov_iter_count(dst) > 0) {
        size_t want = MIN(iov_iter_count(dst), (size_t)1 << 20);
        size_t n = zero_iter(dst, want);

        done += n;
        if (n < want)
            return done > 0 ? (ssize_t)done : -EFAULT;
        if (task_interrupted())
            break;
    }
    return (ssize_t)done;
}

static ssize_t full_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    return -ENOSPC;
}

static ssize_t random_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    size_t done = 0;

    while (iov_iter_count(dst) > 0) {
        char buf[1024];
        size_t want = MIN(iov_iter_count(dst), sizeof(buf)), n;

        random_bytes(buf, want);
        n = copy_to_iter(dst, buf, want);
        done += n;
        if (n < want)
            return done > 0 ? (ssize_t)done : -EFAULT;
        if (done >= 65536 && task_interrupted())
            break;
    }
    return (ssize_t)done;
}

/* Whatever the guest mixes in, the host's generator is not the worse for it: the bytes are dropped.
 */
static ssize_t random_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    size_t done = 0;

    while (iov_iter_count(src) > 0) {
        char buf[1024];
        size_t want = MIN(iov_iter_count(src), sizeof(buf));
        size_t n = copy_from_iter(src, buf, want);

        done += n;
        if (n < want)
            return done > 0 ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

static uint32_t random_poll(struct file *f)
{
    return WAKE_IN | WAKE_RDNORM | WAKE_OUT | WAKE_WRNORM;
}

static long random_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    int entropy = 256;

    switch (cmd) {
    case LX_RNDGETENTCNT:
        return put_user(&entropy, arg);
    case LX_RNDADDTOENTCNT:
    case LX_RNDADDENTROPY:
    case LX_RNDZAPENTCNT:
    case LX_RNDCLEARPOOL:
    case LX_RNDRESEEDCRNG:
        return cred_capable(curr()->cred, LX_CAP_SYS_ADMIN) ? 0 : -EPERM;
    default:
        return -ENOTTY;
    }
}

static const struct file_ops null_ops = {
    .read = null_read, .write = null_write, .seek = mem_seek, .release = mem_release};
static const struct file_ops zero_ops = {
    .read = zero_read, .write = null_write, .seek = mem_seek, .release = mem_release};
static const struct file_ops full_ops = {
    .read = zero_read, .write = full_write, .seek = mem_seek, .release = mem_release};
static const struct file_ops random_ops = {
    .read = random_read,
    .write = random_write,
    .seek = mem_seek,
    .poll = random_poll,
    .ioctl = random_ioctl,
    .release = mem_release,
};

/* Linux: only /dev/random can be polled. */
static const struct file_ops urandom_ops = {
    .read = random_read,
    .write = random_write,
    .seek = mem_seek,
    .ioctl = random_ioctl,
    .release = mem_release,
};

bool dev_file_is_zero(const struct file *f)
{
    return f->ops == &zero_ops;
}

static int mem_open(uint32_t minor, uint32_t flags, struct file **out)
{
    static const struct file_ops *const by_minor[] = {
        [3] = &null_ops, [5] = &zero_ops, [7] = &full_ops, [8] = &random_ops, [9] = &urandom_ops,
    };
    struct file *f;

    if (minor == 11)
        return kmsg_open(flags, out);
    if (minor >= ARRAY_COUNT(by_minor) || !by_minor[minor])
        return -ENXIO;
    f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    file_init(f, by_minor[minor], flags);
    *out = f;
    return 0;
}

int dev_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    uint32_t major = lx_dev_major(inode->attr.rdev), minor = lx_dev_minor(inode->attr.rdev);

    if (!LX_S_ISCHR(inode->attr.mode))
        return -ENXIO;
    if (major == MAJOR_MEM)
        return mem_open(minor, flags, out);
    if (major == MAJOR_TTY_AUX && minor == 0)
        return tty_open_current(flags, out);
    if (major == MAJOR_TTY_AUX && minor == 1)
        return tty_open_console(flags, out);
    if (major == MAJOR_TTY_AUX && minor == 2)
        return devpts_open_master(NULL, flags, out);
    if (major >= MAJOR_PTS_FIRST && major <= MAJOR_PTS_LAST)
        return tty_open_number((major - MAJOR_PTS_FIRST) << 20 | minor, flags, out);
    return -ENXIO;
}
