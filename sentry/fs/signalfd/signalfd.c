/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): see signalfd.h for why all of them share one wait queue. */
#include "sentry/fs/signalfd/signalfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/eventfd.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/core/restart.h"

const struct signalfd_ops *g_signalfd_ops;

static struct waitq g_signalfd_wq;

/* Lifetime: refcounted as its file. */
struct signalfd {
    struct file file;
    _Atomic uint64_t mask;
};

static const struct file_ops signalfd_file_ops;

static struct signalfd *signalfd_of(struct file *f)
{
    return container_of(f, struct signalfd, file);
}

bool file_is_signalfd(const struct file *f)
{
    return f->ops == &signalfd_file_ops;
}

void signalfd_init(void)
{
    waitq_init(&g_signalfd_wq);
}

void signalfd_notify(void)
{
    waitq_wake(&g_signalfd_wq, WAKE_IN);
}

/* Linux fills only the members that si_code says are valid. */
static void signalfd_convert(const struct lx_siginfo *in, struct lx_signalfd_siginfo *out)
{
    memset(out, 0, sizeof(*out));
    out->ssi_signo = (uint32_t)in->signo;
    out->ssi_errno = in->err;
    out->ssi_code = in->code;
    switch (in->signo) {
    case LX_SIGCHLD:
        if (in->code <= 0)
            break;
        out->ssi_pid = (uint32_t)in->chld.pid;
        out->ssi_uid = in->chld.uid;
        out->ssi_status = in->chld.status;
        out->ssi_utime = (uint64_t)in->chld.utime;
        out->ssi_stime = (uint64_t)in->chld.stime;
        return;
    case LX_SIGSEGV:
    case LX_SIGBUS:
    case LX_SIGILL:
    case LX_SIGFPE:
    case LX_SIGTRAP:
        if (in->code <= 0 || in->code == LX_SI_KERNEL)
            break;
        out->ssi_addr = in->fault.addr;
        out->ssi_addr_lsb = in->fault.addr_lsb;
        return;
    case LX_SIGIO:
        if (in->code <= 0 || in->code == LX_SI_KERNEL)
            break;
        out->ssi_band = (uint32_t)in->poll.band;
        out->ssi_fd = in->poll.fd;
        return;
    case LX_SIGSYS:
        if (in->code <= 0)
            break;
        out->ssi_call_addr = in->sys.call_addr;
        out->ssi_syscall = in->sys.syscall;
        out->ssi_arch = in->sys.arch;
        return;
    }
    if (in->code == LX_SI_TIMER) {
        out->ssi_tid = (uint32_t)in->timer.tid;
        out->ssi_overrun = (uint32_t)in->timer.overrun;
        out->ssi_ptr = in->timer.value;
        out->ssi_int = (int32_t)in->timer.value;
        return;
    }
    out->ssi_pid = (uint32_t)in->rt.pid;
    out->ssi_uid = in->rt.uid;
    if (in->code < 0) { /* queued with a value */
        out->ssi_ptr = in->rt.value;
        out->ssi_int = (int32_t)in->rt.value;
    }
}

static int signalfd_wait(uint64_t mask, struct lx_siginfo *info)
{
    struct waiter w;
    int signo, ret = 0;

    waiter_init(&w, WAKE_IN);
    waitq_add(&g_signalfd_wq, &w);
    while ((signo = g_signalfd_ops->dequeue(mask, info)) == 0) {
        ret = task_block(NO_DEADLINE);
        if (ret < 0)
            break;
    }
    waitq_remove(&g_signalfd_wq, &w);
    return signo > 0 ? signo : ret;
}

static ssize_t signalfd_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct signalfd *s = signalfd_of(f);
    size_t done = 0;

    if (iov_iter_count(dst) < sizeof(struct lx_signalfd_siginfo))
        return -EINVAL;
    while (iov_iter_count(dst) >= sizeof(struct lx_signalfd_siginfo)) {
        struct lx_signalfd_siginfo out;
        struct lx_siginfo info;
        uint64_t mask = atomic_load(&s->mask);
        int signo = g_signalfd_ops->dequeue(mask, &info);

        if (signo == 0) {
            if (done > 0)
                break;
            if (file_nonblock(f))
                return -EAGAIN;
            signo = signalfd_wait(mask, &info);
            if (signo < 0)
                return signo;
        }
        signalfd_convert(&info, &out);
        if (copy_to_iter(dst, &out, sizeof(out)) != sizeof(out))
            return done > 0 ? (ssize_t)done : -EFAULT;
        done += sizeof(out);
    }
    return (ssize_t)done;
}

static uint32_t signalfd_poll(struct file *f)
{
    return g_signalfd_ops->pending() & atomic_load(&signalfd_of(f)->mask) ? WAKE_IN : 0;
}

static size_t signalfd_fdinfo(struct file *f, char *buf, size_t size)
{
    int n = snprintf(buf, size, "sigmask:\t%016llx\n",
                     (unsigned long long)atomic_load(&signalfd_of(f)->mask));

    return MIN((size_t)n, size);
}

static void signalfd_release(struct file *f)
{
    file_destroy_generic(f);
    free(signalfd_of(f));
}

static const struct file_ops signalfd_file_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .fdinfo = signalfd_fdinfo,
    .seek = file_seek_nowhere,
    .release = signalfd_release,
};

void signalfd_set_mask(struct file *f, uint64_t mask)
{
    atomic_store(&signalfd_of(f)->mask, mask);
    signalfd_notify();
}

int signalfd_create(uint64_t mask, uint32_t flags, struct file **out)
{
    struct signalfd *s = calloc(1, sizeof(*s));
    int ret;

    if (!s)
        return -ENOMEM;
    file_init(&s->file, &signalfd_file_ops, LX_O_RDWR | (flags & LX_SFD_NONBLOCK));
    s->file.wq = &g_signalfd_wq;
    atomic_init(&s->mask, mask);
    ret = file_set_anon(&s->file, "anon_inode:[signalfd]", 0600, NULL);
    if (ret < 0)
        file_put(&s->file);
    else
        *out = &s->file;
    return ret;
}
