/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee, vmsplice: argument rules; the work is in fs/pipe/pipe_splice.c. */
#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_rw.h"

#define SPLICE_FLAGS (LX_SPLICE_F_MOVE | LX_SPLICE_F_NONBLOCK | LX_SPLICE_F_MORE | LX_SPLICE_F_GIFT)

static int lookup_two(struct task *t, int a, int b, struct file **out_a, struct file **out_b)
{
    int ret = fdtable_lookup_get(t->curr.files, a, out_a);

    if (ret < 0)
        return ret;
    ret = fdtable_lookup_get(t->curr.files, b, out_b);
    if (ret < 0)
        file_put(*out_a);
    return ret;
}

/* One side is a pipe, the other is not; pos: its explicit position or NULL. */
static long splice_one(struct file *in, struct file *out, lx_loff_t *pos, size_t len,
                       uint32_t flags)
{
    bool from_pipe = file_is_pipe(in);
    struct file *other = from_pipe ? out : in;

    if (pos && ((other->kind & FILE_STREAM) || *pos < 0))
        return -EINVAL;
    if (from_pipe && (atomic_load(&out->flags) & LX_O_APPEND))
        return -EINVAL;
    return from_pipe ? pipe_splice_from(in, out, pos, len, flags)
                     : pipe_splice_to(in, pos, out, len, flags);
}

long fs_splice(struct file *in, lx_loff_t *off_in, struct file *out, lx_loff_t *off_out, size_t len,
               uint32_t flags)
{
    bool in_pipe = file_is_pipe(in), out_pipe = file_is_pipe(out);

    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if ((in_pipe && off_in) || (out_pipe && off_out))
        return -ESPIPE;
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (in_pipe && out_pipe)
        return pipe_splice_pipe(in, out, len, flags, /*tee=*/false);
    if (!in_pipe && !out_pipe)
        return -EINVAL;
    return splice_one(in, out, in_pipe ? off_out : off_in, len, flags);
}

/* Linux: a position for a pipe, one that cannot be read, and only then what the files are. */
static long splice_user(struct file *in, uaddr_t off_in, struct file *out, uaddr_t off_out,
                        size_t len, uint32_t flags)
{
    lx_loff_t pos_in = 0, pos_out = 0;
    long ret;

    if ((file_is_pipe(in) && off_in) || (file_is_pipe(out) && off_out))
        return -ESPIPE;
    if ((off_out && get_user(&pos_out, off_out) < 0) || (off_in && get_user(&pos_in, off_in) < 0))
        return -EFAULT;
    ret = fs_splice(in, off_in ? &pos_in : NULL, out, off_out ? &pos_out : NULL, len, flags);
    if (ret > 0 &&
        ((off_out && put_user(&pos_out, off_out) < 0) || (off_in && put_user(&pos_in, off_in) < 0)))
        return -EFAULT;
    return ret;
}

long sys_splice(struct task *t, int fd_in, uaddr_t off_in, int fd_out, uaddr_t off_out, size_t len,
                uint32_t flags)
{
    struct file *in, *out;
    long ret;

    if (len == 0)
        return 0;
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    ret = lookup_two(t, fd_in, fd_out, &in, &out);
    if (ret < 0)
        return ret;
    ret = splice_user(in, off_in, out, off_out, MIN(len, LX_MAX_RW_COUNT), flags);
    file_put(in);
    file_put(out);
    return ret;
}

long fs_tee(struct file *in, struct file *out, size_t len, uint32_t flags)
{
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (!file_is_pipe(in) || !file_is_pipe(out))
        return -EINVAL;
    return pipe_splice_pipe(in, out, len, flags, /*tee=*/true);
}

long sys_tee(struct task *t, int fdin, int fdout, size_t len, uint32_t flags)
{
    struct file *in, *out;
    long ret;

    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if (len == 0)
        return 0;
    ret = lookup_two(t, fdin, fdout, &in, &out);
    if (ret < 0)
        return ret;
    ret = fs_tee(in, out, MIN(len, LX_MAX_RW_COUNT), flags);
    file_put(in);
    file_put(out);
    return ret;
}

long sys_vmsplice(struct task *t, int fd, uaddr_t uiov, uint64_t nr_segs, uint32_t flags)
{
    struct iov_iter it;
    struct file *f;
    long ret;

    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, fd, &f);
    if (ret < 0)
        return ret;
    ret = iov_iter_init_iovec(&it, uiov, nr_segs);
    if (ret < 0)
        goto out;
    if (!file_is_pipe(f))
        ret = iov_iter_count(&it) == 0 ? 0 : -EBADF;
    else
        ret = pipe_vmsplice(f, &it, flags);
    iov_iter_destroy(&it);
out:
    file_put(f);
    return ret;
}
