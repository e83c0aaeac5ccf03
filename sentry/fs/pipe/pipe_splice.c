/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice, tee and vmsplice on pipes. Pipe to pipe moves or shares page references. Between a pipe
 * and another file the bytes go straight between the pipe's page and the file's read or write,
 * which may block for long: pipe.lock cannot be held, so the end in use is claimed instead
 * (claimed_out: other readers wait; claimed_in: other writers wait), which gives the same exclusion
 * as Linux's pipe mutex.
 *
 * DEVIATION: vmsplice copies; the guest cannot see it except by changing gifted memory afterwards.
 */
#include <errno.h>

#include "sentry/abi/signal.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"
#include "sentry/fs/pipe/pipe_internal.h"

enum { SPLICE_BATCH_PAGES = 16 };

#define EVENTS_IN  (WAKE_IN | WAKE_RDNORM)
#define EVENTS_OUT (WAKE_OUT | WAKE_WRNORM)

/* Waits for data and claims the read side. 1, 0 (end of file), -EAGAIN, -ERESTARTSYS. */
static int splice_claim_out(struct pipe *p, bool nonblock)
{
    struct pipe_wait w = {.queued = false};
    int ret;

    for (;;) {
        bool empty;

        mutex_lock(&p->lock);
        empty = pipe_empty(p);
        if (!empty && !p->claimed_out) {
            p->claimed_out = true;
            mutex_unlock(&p->lock);
            ret = 1;
            break;
        }
        mutex_unlock(&p->lock);
        ret = 0;
        if (empty && atomic_load(&p->writers) == 0 && pipe_empty(p))
            break;
        ret = -EAGAIN;
        if (nonblock)
            break;
        ret = pipe_wait_step(p, &w, WAKE_IN);
        if (ret < 0)
            break;
    }
    pipe_wait_end(p, &w, /*pass on nothing: claimed or empty*/ 0);
    return ret;
}

static void splice_unclaim_out(struct pipe *p)
{
    mutex_lock(&p->lock);
    p->claimed_out = false;
    mutex_unlock(&p->lock);
    waitq_wake(&p->wq, EVENTS_IN);
}

ssize_t pipe_splice_from(struct file *pipe, struct file *out, lx_loff_t *out_pos, size_t size,
                         uint32_t flags)
{
    struct pipe *p = pipe_file_of(pipe)->pipe;
    size_t done = 0;
    ssize_t ret;

    if (size == 0)
        return 0;
    ret = splice_claim_out(p, (flags & LX_SPLICE_F_NONBLOCK) || file_nonblock(pipe));
    if (ret <= 0)
        return ret;
    while (done < size) {
        struct pipe_buf b = {.len = 0};
        struct iov_iter it;
        size_t want;
        bool was_full;

        mutex_lock(&p->lock);
        if (!pipe_empty(p))
            b = *pipe_slot(p, atomic_load(&p->tail));
        mutex_unlock(&p->lock);
        if (b.len == 0)
            break;
        want = MIN((size_t)b.len, size - done);
        iov_iter_init_kernel(&it, (char *)memfile_ptr(b.page) + b.off, want);
        ret = out_pos ? file_write_at(out, &it, out_pos) : file_write(out, &it);
        iov_iter_destroy(&it);
        if (ret <= 0)
            break;
        done += (size_t)ret;
        mutex_lock(&p->lock);
        was_full = pipe_full(p);
        pipe_slot(p, atomic_load(&p->tail))->off += (uint32_t)ret;
        pipe_slot(p, atomic_load(&p->tail))->len -= (uint32_t)ret;
        if (pipe_slot(p, atomic_load(&p->tail))->len == 0)
            pipe_pop_locked(p);
        mutex_unlock(&p->lock);
        if (was_full)
            pipe_wake(p, WAKE_OUT);
        if ((size_t)ret < want)
            break;
    }
    splice_unclaim_out(p);
    return done > 0 ? (ssize_t)done : ret;
}

/* Waits for room and claims the write side. Free slots, -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int splice_claim_in(struct pipe *p, bool nonblock)
{
    struct pipe_wait w = {.queued = false};
    int ret;

    for (;;) {
        mutex_lock(&p->lock);
        ret = 0;
        if (atomic_load(&p->readers) == 0) {
            ret = -EPIPE;
        } else if (!pipe_full(p) && !p->claimed_in) {
            p->claimed_in = true;
            ret = (int)(atomic_load(&p->slots) - pipe_used(p));
        }
        mutex_unlock(&p->lock);
        if (ret != 0)
            break;
        ret = -EAGAIN;
        if (nonblock)
            break;
        ret = pipe_wait_step(p, &w, WAKE_OUT);
        if (ret < 0)
            break;
    }
    pipe_wait_end(p, &w, 0);
    if (ret == -EPIPE)
        g_curr_ops->raise_thread(LX_SIGPIPE);
    return ret;
}

/* Makes n bytes, which start at page first, the newest buffers of the ring; the rest is freed. */
static void splice_push(struct pipe *p, mfpage_t first, uint32_t pages, size_t n)
{
    bool was_empty;
    uint32_t i = 0;

    mutex_lock(&p->lock);
    was_empty = pipe_empty(p);
    for (; i < pages && n > 0; i++) {
        uint32_t head = atomic_load(&p->head);
        uint32_t len = (uint32_t)MIN(n, LX_PAGE_SIZE);

        *pipe_slot(p, head) = (struct pipe_buf){.page = first + i, .len = len};
        atomic_store(&p->head, head + 1);
        n -= len;
    }
    for (; i < pages; i++)
        pipe_page_put_locked(p, first + i);
    mutex_unlock(&p->lock);
    if (was_empty)
        pipe_wake(p, WAKE_IN);
}

ssize_t pipe_splice_to(struct file *in, lx_loff_t *in_pos, struct file *pipe, size_t size,
                       uint32_t flags)
{
    struct pipe *p = pipe_file_of(pipe)->pipe;
    struct iov_iter it;
    mfpage_t first;
    uint32_t pages, run;
    ssize_t ret;

    if (size == 0)
        return 0;
    ret = splice_claim_in(p, (flags & LX_SPLICE_F_NONBLOCK) || file_nonblock(pipe));
    if (ret < 0)
        return ret;
    pages = (uint32_t)MIN((size_t)MIN(ret, SPLICE_BATCH_PAGES),
                          (MIN(size, LX_MAX_RW_COUNT) + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE);
    ret = memfile_alloc(MEMFILE_PIPE, pages, &first);
    if (ret == 0) {
        run = memfile_run(first, pages);
        if (run < pages) {
            memfile_put(first + run, pages - run);
            pages = run;
        }
        iov_iter_init_kernel(&it, memfile_ptr(first), MIN(size, pages * LX_PAGE_SIZE));
        ret = in_pos ? file_read_at(in, &it, in_pos) : file_read(in, &it);
        iov_iter_destroy(&it);
        splice_push(p, first, pages, ret > 0 ? (size_t)ret : 0);
    }
    mutex_lock(&p->lock);
    p->claimed_in = false;
    mutex_unlock(&p->lock);
    waitq_wake(&p->wq, EVENTS_OUT);
    return ret;
}

/* One pass with both locks held: moves or shares what fits. Bytes. */
static size_t splice_pipe_step(struct pipe *in, struct pipe *out, size_t size,
                               bool tee) NO_THREAD_SAFETY
{
    uint32_t i = atomic_load(&in->tail);
    size_t done = 0;

    if (in->claimed_out || out->claimed_in)
        return 0;
    while (done < size && i != atomic_load(&in->head) && !pipe_full(out)) {
        struct pipe_buf *b = pipe_slot(in, i);
        uint32_t n = (uint32_t)MIN((size_t)b->len, size - done);
        uint32_t head = atomic_load(&out->head);
        struct pipe_buf copy = *b;

        copy.len = n;
        copy.flags &= ~PIPE_BUF_MERGE;
        if (tee || n < b->len)
            memfile_get(b->page, 1);
        *pipe_slot(out, head) = copy;
        atomic_store(&out->head, head + 1);
        done += n;
        i++;
        if (tee)
            continue;
        b->off += n;
        b->len -= n;
        if (b->len == 0)
            atomic_store(&in->tail, i);
    }
    return done;
}

/* Sleeps until the pass that moved nothing is worth repeating. 0: stop with *out_ret; 1: again. */
static int splice_pipe_wait(struct pipe *in, struct pipe *out, bool nonblock, ssize_t *out_ret)
{
    struct waiter wi, wo;
    bool sleep;

    *out_ret = 0;
    if (pipe_empty(in) && atomic_load(&in->writers) == 0)
        return 0;
    *out_ret = -EAGAIN;
    if (nonblock)
        return 0;
    waiter_init(&wi, WAKE_IN);
    waiter_init(&wo, WAKE_OUT);
    waitq_add(&in->wq, &wi);
    waitq_add(&out->wq, &wo);
    sleep = (pipe_empty(in) && atomic_load(&in->writers) > 0) ||
            (pipe_full(out) && atomic_load(&out->readers) > 0) || in->claimed_out ||
            out->claimed_in;
    *out_ret = sleep ? task_block(NO_DEADLINE) : 0;
    waitq_remove(&in->wq, &wi);
    waitq_remove(&out->wq, &wo);
    return *out_ret == 0;
}

ssize_t pipe_splice_pipe(struct file *in, struct file *out, size_t size, uint32_t flags, bool tee)
{
    struct pipe *pi = pipe_file_of(in)->pipe, *po = pipe_file_of(out)->pipe;
    bool nonblock = (flags & LX_SPLICE_F_NONBLOCK) || file_nonblock(in) || file_nonblock(out);
    ssize_t ret;

    if (pi == po)
        return -EINVAL;
    if (size == 0)
        return 0;
    for (;;) {
        size_t done = 0;
        bool no_reader;

        mutex_lock_pair(&pi->lock, &po->lock);
        no_reader = atomic_load(&po->readers) == 0;
        if (!no_reader)
            done = splice_pipe_step(pi, po, size, tee);
        mutex_unlock_pair(&pi->lock, &po->lock);
        if (no_reader) {
            g_curr_ops->raise_thread(LX_SIGPIPE);
            return -EPIPE;
        }
        if (done > 0) {
            if (!tee)
                waitq_wake(&pi->wq, EVENTS_OUT);
            waitq_wake(&po->wq, EVENTS_IN);
            return (ssize_t)done;
        }
        if (!splice_pipe_wait(pi, po, nonblock, &ret))
            return ret;
    }
}

ssize_t pipe_vmsplice(struct file *pipe, struct iov_iter *it, uint32_t flags)
{
    struct pipe *p = pipe_file_of(pipe)->pipe;
    bool nonblock = (flags & LX_SPLICE_F_NONBLOCK) || file_nonblock(pipe);

    if (iov_iter_count(it) == 0)
        return 0;
    if (file_writable(pipe))
        return pipe_write_iter(p, it, /*packet=*/false, nonblock);
    return pipe_read_iter(p, it, nonblock);
}
