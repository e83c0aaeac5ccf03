/* SPDX-License-Identifier: Apache-2.0 */
/* io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2). */
#include <errno.h>

#include "sentry/abi/time.h"
#include "sentry/core/restart.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/kernel/aio.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/event.h"
#include "sentry/syscalls/fs_path.h"
#include "sentry/syscalls/fs_rw.h"

long sys_io_setup(struct task *t, uint32_t nr_events, uaddr_t ctxp)
{
    uint64_t id;
    struct aio_ctx *c;
    int ret;

    (void)t;
    if (get_user(&id, ctxp) < 0)
        return -EFAULT;
    if (id || !nr_events)
        return -EINVAL;
    ret = aio_ctx_new(nr_events, &id);
    if (ret == 0 && put_user(&id, ctxp) < 0) {
        ret = aio_ctx_find_get(id, &c);
        if (ret == 0) {
            (void)aio_ctx_destroy(c); /* another thread may have done it */
            aio_ctx_put(c);
        }
        return -EFAULT;
    }
    return ret;
}

long sys_io_destroy(struct task *t, uint64_t id)
{
    struct aio_ctx *c;
    int ret = aio_ctx_find_get(id, &c);

    (void)t;
    if (ret < 0)
        return ret;
    ret = aio_ctx_destroy(c);
    aio_ctx_put(c);
    return ret;
}

/* ---- submit --------------------------------------------------------------------------------- */

/* One request on its way: the file is open, the completion is known. */
struct request {
    struct aio_ctx *ctx;
    const struct lx_iocb *iocb;
    struct file *file;
    struct aio_done done;
};

/* Linux: what the op says is a completion; what comes before it is the caller's errno. */
static int submit_rw(const struct request *r, bool write, bool vectored)
{
    const struct lx_iocb *io = r->iocb;
    lx_loff_t pos = io->offset;
    struct iov_iter it;
    long ret;

    if (io->rw_flags & ~LX_RWF_SUPPORTED)
        return -EOPNOTSUPP;
    if (write ? !file_writable(r->file) : !file_readable(r->file))
        return -EBADF;
    if (!(write ? r->file->ops->write != NULL : r->file->ops->read != NULL))
        return -EINVAL;
    if (vectored) {
        ret = iov_iter_init_iovec(&it, io->buf, io->nbytes);
    } else {
        ret = iov_iter_init_user(&it, io->buf, io->nbytes);
    }
    if (ret < 0)
        return (int)ret;
    if (pos < 0) {
        iov_iter_destroy(&it);
        return -EINVAL;
    }
    ret = fs_rw_iter(r->file, &it, r->file->kind & FILE_STREAM ? NULL : &pos, io->rw_flags, write);
    iov_iter_destroy(&it);
    if (ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
        ret == -ERESTART_RESTARTBLOCK)
        ret = -EINTR;
    aio_complete(r->ctx, &r->done, ret);
    return 0;
}

static int submit_sync(const struct request *r, bool data_only)
{
    const struct lx_iocb *io = r->iocb;

    if (io->buf || io->offset || io->nbytes || io->rw_flags)
        return -EINVAL;
    if (!r->file->ops->fsync)
        return -EINVAL;
    aio_complete(r->ctx, &r->done, vfs_fsync(r->file, data_only));
    return 0;
}

static int submit_poll(const struct request *r)
{
    const struct lx_iocb *io = r->iocb;

    if ((uint16_t)io->buf != io->buf)
        return -EINVAL;
    if (io->offset || io->nbytes || io->rw_flags)
        return -EINVAL;
    return aio_poll(r->ctx, &r->done, r->file, (uint32_t)io->buf);
}

static int dispatch(const struct request *r)
{
    switch (r->iocb->opcode) {
    case LX_IOCB_CMD_PREAD:
        return submit_rw(r, /*write=*/false, /*vectored=*/false);
    case LX_IOCB_CMD_PWRITE:
        return submit_rw(r, /*write=*/true, /*vectored=*/false);
    case LX_IOCB_CMD_PREADV:
        return submit_rw(r, /*write=*/false, /*vectored=*/true);
    case LX_IOCB_CMD_PWRITEV:
        return submit_rw(r, /*write=*/true, /*vectored=*/true);
    case LX_IOCB_CMD_FSYNC:
        return submit_sync(r, /*data_only=*/false);
    case LX_IOCB_CMD_FDSYNC:
        return submit_sync(r, /*data_only=*/true);
    case LX_IOCB_CMD_POLL:
        return submit_poll(r);
    default:
        return -EINVAL;
    }
}

static int eventfd_get(int fd, struct file **out)
{
    int ret = fdtable_lookup_get(curr()->files, fd, out);

    if (ret == 0 && !file_is_eventfd(*out)) {
        file_put(*out);
        *out = NULL;
        ret = -EINVAL;
    }
    return ret;
}

static int submit_reserved(struct aio_ctx *c, const struct lx_iocb *io, uaddr_t uiocb)
{
    struct request r = {.ctx = c, .iocb = io, .done = {.data = io->data, .obj = uiocb}};
    uint32_t key = 0;
    int ret = fdtable_lookup_get(curr()->files, (int)io->fildes, &r.file);

    if (ret < 0)
        return ret;
    if (io->flags & LX_IOCB_FLAG_RESFD)
        ret = eventfd_get((int)io->resfd, &r.done.eventfd);
    if (ret == 0 && copy_out(uiocb + offsetof(struct lx_iocb, key), &key, sizeof(key)) < 0)
        ret = -EFAULT;
    if (ret == 0)
        ret = dispatch(&r);
    if (r.done.eventfd)
        file_put(r.done.eventfd);
    file_put(r.file);
    return ret;
}

static int submit_one(struct aio_ctx *c, uaddr_t uiocb)
{
    struct lx_iocb io;
    int ret;

    if (get_user(&io, uiocb) < 0)
        return -EFAULT;
    if (io.reserved2 || (int64_t)io.nbytes < 0)
        return -EINVAL;
    ret = aio_reserve(c);
    if (ret < 0)
        return ret;
    ret = submit_reserved(c, &io, uiocb);
    if (ret < 0)
        aio_unreserve(c);
    return ret;
}

long sys_io_submit(struct task *t, uint64_t id, int64_t nr, uaddr_t iocbpp)
{
    struct aio_ctx *c;
    int64_t i;
    long ret;

    (void)t;
    if (nr < 0)
        return -EINVAL;
    ret = aio_ctx_find_get(id, &c);
    if (ret < 0)
        return ret;
    nr = MIN(nr, (int64_t)aio_ctx_slots(c));
    for (i = 0; i < nr; i++) {
        uint64_t uiocb;

        ret = get_user(&uiocb, iocbpp + (uint64_t)i * sizeof(uiocb));
        if (ret == 0)
            ret = submit_one(c, uiocb);
        if (ret < 0)
            break;
    }
    aio_ctx_put(c);
    return i ? i : ret;
}

long sys_io_cancel(struct task *t, uint64_t id, uaddr_t iocb, uaddr_t result)
{
    struct aio_ctx *c;
    uint32_t key;
    int ret;

    (void)t;
    (void)result; /* the event comes through the ring */
    if (copy_in(&key, iocb + offsetof(struct lx_iocb, key), sizeof(key)) < 0)
        return -EFAULT;
    if (key)
        return -EINVAL;
    ret = aio_ctx_find_get(id, &c);
    if (ret < 0)
        return ret;
    ret = aio_cancel(c, iocb);
    aio_ctx_put(c);
    return ret;
}

/* ---- getevents ------------------------------------------------------------------------------ */

/* Relative; Linux takes whatever number it is, zero and less means not to wait. */
static int deadline_in(uaddr_t timeout, uint64_t *out)
{
    struct lx_timespec ts;

    *out = NO_DEADLINE;
    if (!timeout)
        return 0;
    if (get_user(&ts, timeout) < 0)
        return -EFAULT;
    if (ts.sec < 0 || ts.nsec < 0 || (ts.sec == 0 && ts.nsec == 0)) {
        *out = 0;
    } else {
        ts.sec += ts.nsec / 1000000000;
        ts.nsec %= 1000000000;
        *out = deadline_after(lx_timespec_to_ns(&ts));
    }
    return 0;
}

static long getevents(uint64_t id, int64_t min_nr, int64_t nr, uaddr_t events, uint64_t deadline)
{
    struct aio_ctx *c;
    long ret = aio_ctx_find_get(id, &c);

    if (ret < 0)
        return ret;
    ret = -EINVAL;
    if (min_nr <= nr && min_nr >= 0)
        ret = aio_read_events(c, min_nr, nr, events, deadline);
    aio_ctx_put(c);
    return ret;
}

long sys_io_getevents(struct task *t, uint64_t id, int64_t min_nr, int64_t nr, uaddr_t events,
                      uaddr_t timeout)
{
    uint64_t deadline;
    long ret = deadline_in(timeout, &deadline);

    (void)t;
    if (ret == 0)
        ret = getevents(id, min_nr, nr, events, deadline);
    return ret == -ERESTARTSYS ? -EINTR : ret;
}

struct lx_aio_sigset {
    uint64_t mask, size;
};

/* Linux: the mask is swapped before the context is looked up. */
long sys_io_pgetevents(struct task *t, uint64_t id, int64_t min_nr, int64_t nr, uaddr_t events,
                       uaddr_t timeout, uaddr_t usig)
{
    struct lx_aio_sigset set = {0};
    uint64_t deadline;
    long ret = deadline_in(timeout, &deadline);

    if (ret == 0 && usig && get_user(&set, usig) < 0)
        ret = -EFAULT;
    if (ret == 0)
        ret = event_set_mask(t, set.mask, set.size);
    if (ret == 0)
        ret = getevents(id, min_nr, nr, events, deadline);
    return ret == -ERESTARTSYS ? -ERESTARTNOHAND : ret;
}
